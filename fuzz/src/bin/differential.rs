//! Runs made programs here and under the reference, and compares what they print and how they end. A difference is shrunk,
//! shown, and kept in `fuzz/artifacts/differential`.
//!
//! `differential [--seconds N] [--seed S] [--lua PATH] [--findings N]`; with file names, compares those programs instead.

use std::collections::HashSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use evermoon::bytecode::chunk::dump;
use evermoon::compile::compile;
use evermoon::syntax::parser::{self, parse};
use evermoon_fuzz::choices::Choices;
use evermoon_fuzz::engine::{End, Engine, Leash, OUTPUT_MAX};
use evermoon_fuzz::program;
use evermoon_fuzz::reference::Reference;
use evermoon_fuzz::shrink::shrink;

struct Options {
    seconds: u64,
    seed: u64,
    lua: String,
    findings_max: usize,
    show: bool,
    files: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("differential: {message}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        seconds: 60,
        seed: 1,
        lua: "lua5.4".into(),
        findings_max: 5,
        show: false,
        files: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| {
            text.parse::<u64>()
                .map_err(|_| format!("'{text}' is no number"))
        };
        match arg.as_str() {
            "--seconds" => options.seconds = number(value()?)?,
            "--seed" => options.seed = number(value()?)?,
            "--findings" => options.findings_max = number(value()?)? as usize,
            "--lua" => options.lua = value()?,
            "--show" => options.show = true,
            _ if arg.starts_with("--") => return Err(format!("no option '{arg}' here")),
            _ => options.files.push(arg),
        }
    }
    Ok(options)
}

/// What came of one program.
enum Verdict {
    Same,
    /// One of the two ran out of what it was given.
    Skipped,
    Different {
        ours: String,
        theirs: String,
    },
}

#[derive(Default)]
struct Counts {
    programs: u64,
    skipped: u64,
    failed: u64,
    lines: u64,
}

fn run(options: Options) -> Result<bool, String> {
    let mut reference = Reference::new(&options.lua).map_err(|error| error.to_string())?;
    let mut counts = Counts::default();
    let mut well = true;
    if !options.files.is_empty() {
        for file in &options.files {
            let source =
                std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            for way in 0..WAYS {
                if let Verdict::Different { ours, theirs } =
                    compare(&source, way, &mut reference, &mut counts)?
                {
                    println!("== {file}, way {way}\n-- ours\n{ours}\n-- reference\n{theirs}");
                    well = false;
                }
            }
        }
        return Ok(well);
    }
    let mut seen = HashSet::new();
    let start = Instant::now();
    let mut seed = options.seed << 32;
    while start.elapsed() < Duration::from_secs(options.seconds) {
        seed += 1;
        let source = program::make(&mut Choices::from_seed(seed));
        if options.show {
            println!("{source}");
            return Ok(true);
        }
        let way = seed % WAYS;
        let Verdict::Different { ours, theirs } =
            compare(&source, way, &mut reference, &mut counts)?
        else {
            continue;
        };
        let first = signature(&ours, &theirs);
        if !seen.insert(first.clone()) {
            continue;
        }
        well = false;
        // What does not compile any more would be another finding.
        let refused = |text: &str| text.starts_with("refused");
        let was_refused = refused(&ours) || refused(&theirs);
        let small = shrink(&source, program::PRELUDE, 3_000, |candidate| match compare(
            candidate,
            way,
            &mut reference,
            &mut Counts::default(),
        ) {
            Ok(Verdict::Different { ours, theirs }) => {
                was_refused || !refused(&ours) && !refused(&theirs)
            }
            _ => false,
        });
        let Verdict::Different {
            ours: less,
            theirs: least,
        } = compare(&small, way, &mut reference, &mut Counts::default())?
        else {
            println!(
                "== seed {seed}, way {way}: seen once, and not again\n-- ours\n{ours}\n-- reference\n{theirs}"
            );
            continue;
        };
        let last = signature(&less, &least);
        if last != first && !seen.insert(last) {
            continue;
        }
        let body = small.strip_prefix(program::PRELUDE).unwrap_or(&small);
        println!("== seed {seed}, way {way}\n{body}\n-- ours\n{less}\n-- reference\n{least}\n");
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts/differential");
        let _ = std::fs::create_dir_all(dir);
        let _ = std::fs::write(format!("{dir}/{seed:x}.lua"), &small);
        if seen.len() >= options.findings_max * 2 {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "differential: {} programs in {seconds:.0} s ({:.0} a second), {} lines compared, {} ended by an error, {} skipped, {}",
        counts.programs,
        counts.programs as f64 / seconds,
        counts.lines,
        counts.failed,
        counts.skipped,
        if well {
            "no difference".to_owned()
        } else {
            format!("{} differences", seen.len().div_ceil(2))
        }
    );
    Ok(well)
}

/// Ways in which a program is run here.
const WAYS: u64 = 8;

fn compare(
    source: &str,
    way: u64,
    reference: &mut Reference,
    counts: &mut Counts,
) -> Result<Verdict, String> {
    counts.programs += 1;
    // First here, where fuel ends what does not end by itself.
    let Some(ours) = ours(source, way) else {
        counts.skipped += 1;
        return Ok(Verdict::Skipped);
    };
    reference
        .send(source.as_bytes())
        .map_err(|error| error.to_string())?;
    let Some(theirs) = reference.receive() else {
        counts.skipped += 1;
        return Ok(Verdict::Skipped);
    };
    let (ours, theirs) = (normal(&ours), normal(&theirs));
    if theirs.contains("not enough memory") || ours.contains("not enough memory") {
        counts.skipped += 1;
        return Ok(Verdict::Skipped);
    }
    // Programs take care not to; but a method that yields may come to where the library compares by way of a variable. Here that works.
    if theirs.contains("attempt to yield across a C-call boundary") {
        counts.skipped += 1;
        return Ok(Verdict::Skipped);
    }
    counts.failed += u64::from(!theirs.ends_with("done"));
    counts.lines += theirs.lines().count() as u64;
    if ours == theirs || known(source, &ours, &theirs) {
        return Ok(Verdict::Same);
    }
    Ok(Verdict::Different { ours, theirs })
}

fn ours(source: &str, way: u64) -> Option<Vec<u8>> {
    let mut leash = Leash {
        fuel: 3_000_000,
        bytes_max: 256 << 20,
        stack_max: 1_000_000,
        ..Leash::default()
    };
    match way {
        0 => {
            leash.stress = true;
            leash.bytes_max = 8 << 20;
            leash.fuel = 1_000_000;
        }
        1 => leash.slice = 1,
        _ => {}
    }
    let mut chunk = source.as_bytes().to_vec();
    if way == 2 {
        let tree = parse(source.as_bytes(), &parser::Limits::default());
        if let Ok(proto) = tree.and_then(|tree| compile(&tree, b"=p".as_slice().into())) {
            chunk = dump(&proto, false);
        }
    }
    let mut engine = Engine::new(&leash);
    let end = engine.run(&chunk, "=p", &[1, 2]);
    let mut text = engine.output.borrow().clone();
    if text.len() >= OUTPUT_MAX {
        // The rest was dropped.
        return None;
    }
    match end {
        End::OutOfFuel | End::OutOfMemory => return None,
        End::Done => text.extend(b"done"),
        End::Refused(message) => {
            text.extend(b"refused: ");
            text.extend(message);
        }
        End::Failed(message) => {
            text.extend(b"failed: ");
            text.extend(message);
        }
    }
    Some(text)
}

/// Without what may differ: addresses, and the sign of a NaN.
fn normal(text: &[u8]) -> String {
    let text = text
        .escape_ascii()
        .to_string()
        .replace("\\n", "\n")
        .replace("\\t", "\t");
    let mut out = String::new();
    let mut rest = text.replace("builtin: ", "");
    for sign in ["-nan", " nan", "+nan"] {
        while rest.contains(sign) {
            rest = rest.replace(sign, "nan");
        }
    }
    while let Some(at) = rest.find(": 0x") {
        let digits = rest[at + 4..]
            .bytes()
            .take_while(u8::is_ascii_hexdigit)
            .count();
        out.push_str(&rest[..at]);
        // Of a real address only: a number in hexadecimal may follow a colon too.
        if digits < 6 {
            out.push_str(&rest[at..at + 4 + digits]);
        }
        rest = rest.split_off(at + 4 + digits);
    }
    out + &rest
}

/// Differences that are meant (`docs/lua.md`): the first of two arguments that is wrong, where C looks at the second one first; and some last bits and signs.
fn known(source: &str, ours: &str, theirs: &str) -> bool {
    let mut differing = ours.lines().zip(theirs.lines()).filter(|(x, y)| x != y);
    let Some((x, y)) = differing.next() else {
        return false;
    };
    if x.contains("\\'fmod\\'") && y.contains("\\'fmod\\'") {
        return true;
    }
    // The reference subtracts an integer constant by adding its negation, which makes 0.0 of -0.0 - 0.
    let unsigned = |text: &str| text.replace("-0.0", "0.0");
    if source.contains("- 0") && unsigned(ours) == unsigned(theirs) {
        return true;
    }
    // Ours is correctly rounded for more arguments than the C library's, or for fewer: the last bit may show.
    let rounds = source.contains('^')
        || ["exp(", "log(", "sin(", "cos(", "tan(", "sqrt("]
            .iter()
            .any(|name| source.contains(name));
    rounds
        && ours.lines().count() == theirs.lines().count()
        && nearly(x, y)
        && differing.all(|(x, y)| nearly(x, y))
}

/// Equal, but for floats whose tenth digit is the same.
fn nearly(x: &str, y: &str) -> bool {
    let words = |line: &'_ str| -> Vec<String> {
        let apart = |c: char| c.is_whitespace() || ",;|()".contains(c);
        line.split(apart).map(str::to_owned).collect()
    };
    let (x, y) = (words(x), words(y));
    x.len() == y.len()
        && x.iter().zip(&y).all(|(x, y)| {
            let float = |word: &String| word.parse::<f64>().ok().filter(|_| word.contains('.'));
            x == y
                // A float in hexadecimal.
                || x.starts_with("0x1.") && x.get(..12).is_some_and(|head| y.starts_with(head))
                || matches!((float(x), float(y)), (Some(x), Some(y)) if (x - y).abs() <= 1e-10 * x.abs())
        })
}

/// The first lines that differ, without their numbers: findings that look the same are shown once.
fn signature(ours: &str, theirs: &str) -> String {
    let differing = ours.lines().zip(theirs.lines()).find(|(x, y)| x != y);
    let (x, y) = differing.unwrap_or(("", ""));
    format!("{x}|{y}").replace(|c: char| c.is_ascii_digit(), "")
}
