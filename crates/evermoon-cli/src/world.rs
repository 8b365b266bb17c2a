//! `evermoon world …`: looking at worlds in files and taking care of them. It prints for people; everything it does is in `evermoon-store`.

use evermoon::{Lua, StdLib, Table, Value};
use evermoon_store::care::{self, Progress};
use evermoon_store::{RedbOptions, RedbStore, Store, World, WorldOptions};
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: evermoon world info FILE              figures about a world
       evermoon world ls FILE [PATH]         what a table of the world holds: the globals, or at a path such as users[1]
       evermoon world verify FILE [--quarantine]  reads every record and checks it; puts damaged ones aside
       evermoon world vacuum FILE            removes what nothing reaches, and gives space back
       evermoon world export FILE SNAPSHOT   writes the whole world as one portable file
       evermoon world import SNAPSHOT FILE   makes a world of such a file
";

/// Runs one of the commands.
pub fn run(args: &[Vec<u8>], program: &str) -> ExitCode {
    let words: Vec<String> = args
        .iter()
        .map(|a| String::from_utf8_lossy(a).into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["info", file] => info(file),
        ["ls", file] => list(file, ""),
        ["ls", file, path] => list(file, path),
        ["verify", file] => verify(file, false),
        ["verify", file, "--quarantine"] | ["verify", "--quarantine", file] => verify(file, true),
        ["vacuum", file] => vacuum(file),
        ["export", file, to] => export(file, to),
        ["import", from, file] => import(from, file),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(1);
        }
    };
    match done {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{program}: {message}");
            ExitCode::from(1)
        }
    }
}

type Done = Result<ExitCode, String>;

fn shown(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An existing world's store.
fn open(file: &str) -> Result<RedbStore, String> {
    if !Path::new(file).exists() {
        return Err(format!("there is no file {file}"));
    }
    RedbStore::open(file, RedbOptions::default()).map_err(shown)
}

/// A line on the terminal that says how far the work is, a few times a second.
struct Bar {
    what: &'static str,
    began: Instant,
    last: Option<Instant>,
    visible: bool,
}

impl Bar {
    fn new(what: &'static str) -> Bar {
        Bar {
            what,
            began: Instant::now(),
            last: None,
            visible: std::io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, now: Progress) -> ControlFlow<()> {
        if self.visible
            && self
                .last
                .is_none_or(|last| last.elapsed().as_millis() > 100)
        {
            self.last = Some(Instant::now());
            let share = now.objects as f64 / now.known.max(1) as f64;
            let filled = (share * 30.0) as usize;
            eprint!(
                "\r{} [{:<30}] {} objects, {} ",
                self.what,
                "#".repeat(filled),
                now.objects,
                size(now.payload)
            );
        }
        ControlFlow::Continue(())
    }

    fn end(&self, now: Progress) {
        if self.visible {
            eprint!("\r{:<79}\r", "");
        }
        let seconds = self.began.elapsed().as_secs_f64();
        println!(
            "{}: {} objects, {} in {seconds:.2} s",
            self.what,
            now.objects,
            size(now.payload)
        );
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1048576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1048576.0),
    }
}

fn info(file: &str) -> Done {
    let store = open(file)?;
    let head = store.head().map_err(shown)?;
    let stats = store.stats().map_err(shown)?;
    println!("version   {}", head.version);
    println!("opened    {} times", head.epoch);
    println!("entries   {}", stats.entries);
    println!("payload   {}", size(stats.payload_bytes));
    println!("file      {}", size(stats.file_bytes));
    let world = engine(Box::new(store))?;
    let pending = world.pending().map_err(shown)?;
    println!("objects   {} numbered", world.statistics().objects_numbered);
    println!("programs  {} under way", pending.len());
    for p in &pending {
        let place = p.run.position().unwrap_or_else(|| "?".into());
        match &p.waits_for {
            Some((name, call)) => println!("          {place} waits for '{name}' (call {call})"),
            None => println!("          {place}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn engine(store: Box<dyn Store>) -> Result<World, String> {
    let engine = Lua::builder()
        .libraries(StdLib::ALL)
        .module(evermoon_bigint::preload);
    World::open_boxed(
        store,
        WorldOptions {
            engine,
            ..WorldOptions::default()
        },
    )
    .map_err(shown)
}

fn list(file: &str, path: &str) -> Done {
    let world = engine(Box::new(open(file)?))?;
    let lua = world.lua();
    let expression = if path.is_empty() {
        "_G".to_owned()
    } else {
        path.to_owned()
    };
    // A path is looked up, not run: names, `.name` and `[key]` only.
    if !expression
        .chars()
        .all(|c| c.is_alphanumeric() || "_.[]'\"-".contains(c))
    {
        return Err(format!("'{path}' is no path: write names, .name and [key]"));
    }
    let value: Value = lua
        .load(format!("return {expression}"))
        .set_name("=path")
        .eval()
        .map_err(shown)?;
    let Value::Table(table) = value else {
        println!("{}", one(&value));
        return Ok(ExitCode::SUCCESS);
    };
    // Lua's own names are not what a person looks for.
    let fresh = Lua::builder()
        .libraries(StdLib::ALL)
        .build()
        .map_err(shown)?;
    let boot = path.is_empty().then(|| fresh.globals());
    let mut hidden = 0;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(shown)?;
        if let (Some(boot), Value::String(_)) = (&boot, &key) {
            let name = key.to_text().map_err(shown)?;
            let own = !boot.raw_get::<Value>(&name[..]).map_err(shown)?.is_nil();
            // What every world has (`_home` may hold something).
            if own || matches!(&name[..], "ext" | "_io" | "Memory") {
                hidden += 1;
                continue;
            }
        }
        println!("{:<24} {}", one(&key), one(&value));
    }
    if hidden > 0 {
        println!("({hidden} of Lua's own)");
    }
    Ok(ExitCode::SUCCESS)
}

/// A value in a line.
fn one(value: &Value) -> String {
    match value {
        Value::String(s) => {
            let text = s.to_string_lossy();
            let short: String = text.chars().take(60).collect();
            if short.len() < text.len() {
                format!("{short:?}…")
            } else {
                format!("{short:?}")
            }
        }
        Value::Table(t) => about(t),
        other => other.to_text().unwrap_or_else(|_| other.type_name().into()),
    }
}

fn about(table: &Table) -> String {
    match table.raw_len() {
        0 => "table".into(),
        n => format!("table of {n}"),
    }
}

fn verify(file: &str, quarantine: bool) -> Done {
    let mut store = open(file)?;
    let mut bar = Bar::new("checked");
    let own = store
        .verify(&mut |_| ControlFlow::Continue(()))
        .map_err(shown)?;
    let report = care::verify(&store, &mut |now| bar.show(now)).map_err(shown)?;
    bar.end(Progress {
        objects: report.objects,
        known: report.objects,
        payload: report.bytes,
    });
    for damage in &own.damage {
        println!("damaged: the store itself: {damage}");
    }
    for b in &report.broken {
        let place = if b.path.is_empty() {
            "somewhere"
        } else {
            &b.path
        };
        println!("damaged: {place}: {}", b.what);
    }
    if report.garbage > 0 {
        println!(
            "{} entries are reached by nothing: 'evermoon world vacuum' removes them",
            report.garbage
        );
    }
    if report.broken.is_empty() && own.is_whole() {
        println!("all is well");
        return Ok(ExitCode::SUCCESS);
    }
    if quarantine {
        let count = care::quarantine(&mut store, &report.broken).map_err(shown)?;
        println!("{count} put aside; the rest can be used");
    }
    Ok(ExitCode::from(1))
}

fn vacuum(file: &str) -> Done {
    let mut store = open(file)?;
    let mut bar = Bar::new("marked");
    let freed = care::remove_garbage(&mut store, &mut |now| bar.show(now)).map_err(shown)?;
    let given = store
        .vacuum(&mut |_| ControlFlow::Continue(()))
        .map_err(shown)?;
    println!(
        "removed {} entries, {}; the file is {} smaller",
        freed.entries,
        size(freed.bytes),
        size(given)
    );
    Ok(ExitCode::SUCCESS)
}

fn export(file: &str, to: &str) -> Done {
    let store = open(file)?;
    let part = format!("{to}.part");
    let mut bar = Bar::new("exported");
    let mut out = BufWriter::new(File::create(&part).map_err(|e| format!("{part}: {e}"))?);
    let now = care::export(&store, &mut out, &mut |now| bar.show(now)).map_err(shown)?;
    out.flush()
        .and_then(|()| out.get_ref().sync_all())
        .map_err(|e| format!("{part}: {e}"))?;
    std::fs::rename(&part, to).map_err(|e| format!("{to}: {e}"))?;
    bar.end(now);
    Ok(ExitCode::SUCCESS)
}

fn import(from: &str, file: &str) -> Done {
    if Path::new(file).exists() {
        return Err(format!("{file} exists already: import makes a new world"));
    }
    let mut input = BufReader::new(File::open(from).map_err(|e| format!("{from}: {e}"))?);
    let mut bar = Bar::new("imported");
    let result = RedbStore::open(file, RedbOptions::default())
        .map_err(shown)
        .and_then(|mut store| {
            care::import(&mut store, &mut input, &mut |now| bar.show(now)).map_err(shown)
        });
    match result {
        Ok(now) => {
            bar.end(now);
            Ok(ExitCode::SUCCESS)
        }
        Err(message) => {
            let _ = std::fs::remove_file(file);
            Err(message)
        }
    }
}
