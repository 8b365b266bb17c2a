//! The command line. Single-dash options are `lua`'s, parsed as it parses them: in any order, before the script, `-e` and `-l` with their
//! argument attached or next. Options with two dashes are ours.

/// The options, understood.
#[derive(Debug, Default)]
pub struct Options {
    pub mode: Mode,
    /// `-e`, `-l` and `-W` in their order.
    pub actions: Vec<Action>,
    /// There is an `-e` (then standard input is not read as a script).
    pub has_code: bool,
    /// Index of the script's name in the arguments.
    pub script: Option<usize>,
    pub interactive: bool,
    pub show_version: bool,
    pub ignore_environment: bool,
    pub fuel: Option<u64>,
    pub memory: Option<usize>,
    pub seed: Option<i64>,
    /// The file of the world to run in.
    pub world: Option<std::path::PathBuf>,
    /// A long run commits this often.
    pub checkpoint: Option<std::time::Duration>,
    /// Go on with the programs that the world was in the middle of.
    pub resume: bool,
    /// A failed script's changes stay.
    pub keep: bool,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Run,
    /// Show the bytecode of the files.
    List,
    /// Compile the files and run nothing.
    Check,
    Help,
    Version,
}

/// Something to do before the script.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Execute(Vec<u8>),
    Require(Vec<u8>),
    Warnings,
}

const LONG: &[&str] = &[
    "--check",
    "--checkpoint",
    "--fuel",
    "--help",
    "--keep",
    "--list",
    "--memory",
    "--resume",
    "--seed",
    "--version",
    "--world",
];

/// The process's arguments as bytes, the program's name first.
pub fn arguments() -> Vec<Vec<u8>> {
    std::env::args_os().map(bytes_of).collect()
}

#[cfg(unix)]
fn bytes_of(text: std::ffi::OsString) -> Vec<u8> {
    std::os::unix::ffi::OsStringExt::into_vec(text)
}

#[cfg(not(unix))]
fn bytes_of(text: std::ffi::OsString) -> Vec<u8> {
    text.to_string_lossy().into_owned().into_bytes()
}

/// How messages name the program: as it was called.
pub fn program_name(args: &[Vec<u8>]) -> String {
    match args.first() {
        Some(name) if !name.is_empty() => text(name),
        _ => "evermoon".into(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Understands the arguments; `Err` is a message for the user.
pub fn parse(args: &[Vec<u8>]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut i = 1;
    while let Some(arg) = args.get(i) {
        let unknown = || unrecognized(arg);
        match arg.as_slice() {
            // A lone dash is standard input as the script.
            b"-" => break,
            b"--" => {
                i += 1;
                break;
            }
            [b'-', b'-', ..] => i = long_option(&mut options, args, i)?,
            b"-E" => options.ignore_environment = true,
            b"-W" => options.actions.push(Action::Warnings),
            b"-v" => options.show_version = true,
            b"-p" => options.mode = Mode::Check,
            b"-i" => {
                options.interactive = true;
                options.show_version = true;
            }
            [b'-', letter @ (b'e' | b'l'), attached @ ..] => {
                let argument = if attached.is_empty() {
                    i += 1;
                    match args.get(i) {
                        Some(next) if next.first() != Some(&b'-') => next.clone(),
                        _ => return Err(format!("'-{}' needs argument", *letter as char)),
                    }
                } else {
                    attached.to_vec()
                };
                if *letter == b'e' {
                    options.has_code = true;
                    options.actions.push(Action::Execute(argument));
                } else {
                    options.actions.push(Action::Require(argument));
                }
            }
            [b'-', ..] => return Err(unknown()),
            _ => break,
        }
        i += 1;
    }
    options.script = (i < args.len()).then_some(i);
    if matches!(options.mode, Mode::List | Mode::Check) && options.script.is_none() {
        return Err("no file given".into());
    }
    Ok(options)
}

/// One of ours, with its value attached (`--fuel=9`) or next. Gives the index of its last argument.
fn long_option(options: &mut Options, args: &[Vec<u8>], at: usize) -> Result<usize, String> {
    let arg = text(&args[at]);
    let (name, attached) = match arg.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (arg.as_str(), None),
    };
    let plain = |mode: Mode| {
        if attached.is_some() {
            Err(format!("'{name}' takes no value"))
        } else {
            Ok(mode)
        }
    };
    match name {
        "--help" => options.mode = plain(Mode::Help)?,
        "--version" => options.mode = plain(Mode::Version)?,
        "--list" => options.mode = plain(Mode::List)?,
        "--check" => options.mode = plain(Mode::Check)?,
        "--resume" | "--keep" => {
            plain(Mode::Run)?;
            *(if name == "--keep" {
                &mut options.keep
            } else {
                &mut options.resume
            }) = true;
        }
        "--fuel" | "--memory" | "--seed" | "--world" | "--checkpoint" => {
            let (value, last) = match attached {
                Some(value) => (value, at),
                None => match args.get(at + 1) {
                    Some(value) => (text(value), at + 1),
                    None => return Err(format!("'{name}' needs argument")),
                },
            };
            let bad = |what: &str| format!("'{name}' needs {what}, got '{value}'");
            match name {
                "--fuel" => {
                    options.fuel =
                        Some(count(&value).ok_or_else(|| bad("a number such as 1000000"))?)
                }
                "--world" => options.world = Some(value.into()),
                "--checkpoint" => {
                    options.checkpoint =
                        Some(duration(&value).ok_or_else(|| bad("a time such as 5s"))?)
                }
                "--memory" => {
                    options.memory = Some(size(&value).ok_or_else(|| bad("a size such as 64M"))?)
                }
                _ => options.seed = Some(value.parse().map_err(|_| bad("an integer"))?),
            }
            return Ok(last);
        }
        _ => return Err(unrecognized(&args[at])),
    }
    Ok(at)
}

/// A count, with underscores for readability.
fn count(value: &str) -> Option<u64> {
    value.replace('_', "").parse().ok()
}

/// A time: `500ms`, `5s`, `2m`; seconds without a unit.
fn duration(value: &str) -> Option<std::time::Duration> {
    let (digits, unit) = value.split_at(
        value
            .find(|c: char| c.is_alphabetic())
            .unwrap_or(value.len()),
    );
    let n: f64 = digits.trim().parse().ok()?;
    let seconds = match unit {
        "ms" => n / 1000.0,
        "" | "s" => n,
        "m" | "min" => n * 60.0,
        "h" => n * 3600.0,
        _ => return None,
    };
    std::time::Duration::try_from_secs_f64(seconds).ok()
}

/// A number of bytes with a suffix K, M or G (powers of 1024).
fn size(value: &str) -> Option<usize> {
    let value = value.strip_suffix('B').unwrap_or(value);
    let value = value.strip_suffix('i').unwrap_or(value);
    let (digits, shift) = match value.chars().last()?.to_ascii_uppercase() {
        'K' => (&value[..value.len() - 1], 10),
        'M' => (&value[..value.len() - 1], 20),
        'G' => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let n: usize = digits.trim().parse().ok()?;
    n.checked_mul(1 << shift)
}

fn unrecognized(arg: &[u8]) -> String {
    let arg = text(arg);
    let near = LONG
        .iter()
        .find(|known| arg.len() > 3 && distance(known, arg.split('=').next().unwrap_or("")) <= 2);
    match near {
        Some(known) => format!("unrecognized option '{arg}' (did you mean '{known}'?)"),
        None => format!("unrecognized option '{arg}'"),
    }
}

/// How many letters must change to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// One line about what this is.
pub fn version() -> String {
    format!(
        "Evermoon {} (Lua 5.4.8)  The Lua language is by Lua.org, PUC-Rio",
        env!("CARGO_PKG_VERSION")
    )
}

/// What is shown when the options are wrong.
pub fn usage(program: &str) -> String {
    format!(
        "usage: {program} [options] [script [args]]
Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
  -l mod    require library 'mod' into global 'mod'
  -l g=mod  require library 'mod' into global 'g'
  -v        show version information
  -E        ignore environment variables
  -W        turn warnings on
  -p        parse only (also --check)
  --        stop handling options
  -         stop handling options and execute stdin
  --list    show the script's bytecode instead of running it
  --fuel N  stop after N units of work
  --memory SIZE  limit memory (such as 64M)
  --seed N  seed of 'math.random' (the system's entropy without it)
  --world FILE  run in the world that FILE keeps: what the program leaves behind is there the next time
  --checkpoint 5s  commit a long run this often, so that it goes on from there after a crash
  --resume  go on with the programs that the world was in the middle of
  --keep    keep what a failed script has done (without it, the world goes back to its last commit)
  world ... look after worlds: info, ls, verify, vacuum, export, import
  --help    show more
"
    )
}

/// The long help.
pub fn help(program: &str) -> String {
    format!(
        "{}

{}
Exit codes:
  0  success
  1  an error in the script, in the command line or in opening a file
  2  the fuel of --fuel ran out
  or what the script passes to 'os.exit'

Environment: LUA_INIT_5_4 or LUA_INIT (code, or @file, to run first); LUA_PATH_5_4 or LUA_PATH, LUA_CPATH_5_4 or LUA_CPATH;
EVERMOON_HISTORY (the file of the interactive mode's history; empty for none).
",
        version(),
        usage(program)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        let all: Vec<Vec<u8>> = std::iter::once("lua")
            .chain(args.iter().copied())
            .map(|a| a.as_bytes().to_vec())
            .collect();
        parse(&all)
    }

    #[test]
    fn options_end_at_the_script() {
        let o = parsed(&["-e", "x=1", "-lm", "script", "-v"]).unwrap();
        assert_eq!(
            o.actions,
            [
                Action::Execute(b"x=1".to_vec()),
                Action::Require(b"m".to_vec())
            ]
        );
        assert_eq!(o.script, Some(4));
        assert!(!o.show_version);
        assert_eq!(parsed(&["--", "-v"]).unwrap().script, Some(2));
        assert_eq!(parsed(&["-"]).unwrap().script, Some(1));
        assert_eq!(parsed(&["--"]).unwrap().script, None);
    }

    #[test]
    fn wrong_options_are_named() {
        for bad in ["-h", "---", "-Ex", "-vv", "-iv"] {
            assert_eq!(
                parsed(&[bad]).unwrap_err(),
                format!("unrecognized option '{bad}'")
            );
        }
        assert_eq!(parsed(&["-e"]).unwrap_err(), "'-e' needs argument");
        assert_eq!(parsed(&["-l", "-v"]).unwrap_err(), "'-l' needs argument");
        assert_eq!(
            parsed(&["--feul", "3"]).unwrap_err(),
            "unrecognized option '--feul' (did you mean '--fuel'?)"
        );
        assert_eq!(
            parsed(&["--fuel", "x"]).unwrap_err(),
            "'--fuel' needs a number such as 1000000, got 'x'"
        );
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parsed(&["--memory=64M"]).unwrap().memory, Some(64 << 20));
        assert_eq!(parsed(&["--memory", "2KiB"]).unwrap().memory, Some(2048));
        assert_eq!(parsed(&["--memory", "17"]).unwrap().memory, Some(17));
        assert!(parsed(&["--memory", "99999999999999G"]).is_err());
        assert!(parsed(&["--memory", ""]).is_err());
    }
}
