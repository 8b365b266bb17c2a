//! What an engine may ask of the world outside: output, files, clock, environment. Everything is refused unless the embedder gives
//! it, so a sandbox is what you get by default. The engine itself has no clock, no files and no randomness.

/// Why the host could not do something, as `io` and `os` report it: message and `errno`.
#[derive(Clone, Debug)]
pub struct HostError {
    pub code: i32,
    pub message: String,
}

impl HostError {
    /// The answer of a host that does not offer something.
    pub fn unsupported() -> HostError {
        HostError {
            code: 38,
            message: "not supported by this host".into(),
        }
    }
}

pub type HostResult<T> = Result<T, HostError>;

/// Where `seek` counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    Start,
    Current,
    End,
}

/// How a stream's writes are buffered (`setvbuf`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffering {
    None,
    Full(usize),
    Line(usize),
}

/// How a child process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Exit(i32),
    Signal(i32),
}

/// An open file, pipe or standard stream.
pub trait Stream {
    /// Reads into `buffer`; 0 means the end.
    fn read(&mut self, buffer: &mut [u8]) -> HostResult<usize>;
    fn write(&mut self, bytes: &[u8]) -> HostResult<()>;
    fn flush(&mut self) -> HostResult<()>;
    /// The new position from the start.
    fn seek(&mut self, whence: Whence, offset: i64) -> HostResult<u64>;
    fn set_buffering(&mut self, _mode: Buffering) -> HostResult<()> {
        Ok(())
    }
    /// Closes; for a process, how it ended.
    fn close(&mut self) -> HostResult<Option<Ended>>;
    /// A placeholder for a standard stream that the host does not have.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Broken-down calendar time (`os.date "*t"`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calendar {
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub min: i64,
    pub sec: i64,
    /// 1 is Sunday.
    pub wday: i64,
    pub yday: i64,
    pub isdst: Option<bool>,
    /// Seconds east of Greenwich.
    pub offset: i32,
}

/// What the embedder offers. Every method has a refusing default.
pub trait Host {
    /// Writes program output (`print`, and `io.stdout` where the host has no stream for it).
    fn print(&mut self, _bytes: &[u8]) {}
    /// Called now and then while a program runs, at least every few milliseconds unless it waits for this host.
    fn tick(&mut self) {}
    /// Whether the run should come back to the embedder soon (as when much output has gathered). Asked after each write.
    fn wants_pause(&mut self) -> bool {
        false
    }
    /// Writes text that is not the program's output (`io.stderr` where the host has no stream for it, warnings).
    fn report(&mut self, _bytes: &[u8]) {}
    /// A whole warning (`warn`, an error in a finalizer), without a line end.
    fn warning(&mut self, text: &[u8]) {
        self.report(&[b"Lua warning: ", text, b"\n"].concat());
    }
    /// Standard streams: 0 input, 1 output, 2 error.
    fn standard(&mut self, _number: u8) -> HostResult<Box<dyn Stream>> {
        Err(HostError::unsupported())
    }
    /// Opens a file with a C mode string ("r", "w+b" …), already checked.
    fn open(&mut self, _path: &[u8], _mode: &str) -> HostResult<Box<dyn Stream>> {
        Err(HostError::unsupported())
    }
    /// Starts a shell command with a pipe; `mode` is "r" or "w".
    fn popen(&mut self, _command: &[u8], _mode: &str) -> HostResult<Box<dyn Stream>> {
        Err(HostError::unsupported())
    }
    fn tmpfile(&mut self) -> HostResult<Box<dyn Stream>> {
        Err(HostError::unsupported())
    }
    fn tmpname(&mut self) -> HostResult<Vec<u8>> {
        Err(HostError::unsupported())
    }
    /// The whole content of a file, for `loadfile`, `dofile`, `require`. `None` is standard input.
    fn read_file(&mut self, _path: Option<&[u8]>) -> HostResult<Vec<u8>> {
        Err(HostError::unsupported())
    }
    /// Whether a file can be read (`package.searchpath`).
    fn readable(&mut self, path: &[u8]) -> bool {
        self.read_file(Some(path)).is_ok()
    }
    fn remove(&mut self, _path: &[u8]) -> HostResult<()> {
        Err(HostError::unsupported())
    }
    fn rename(&mut self, _from: &[u8], _to: &[u8]) -> HostResult<()> {
        Err(HostError::unsupported())
    }
    fn getenv(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }
    /// Runs a shell command; `None` asks whether there is a shell.
    fn execute(&mut self, _command: Option<&[u8]>) -> HostResult<Ended> {
        Err(HostError::unsupported())
    }
    /// Seconds since the epoch.
    fn time(&mut self) -> Option<i64> {
        None
    }
    /// Processor seconds used.
    fn clock(&mut self) -> Option<f64> {
        None
    }
    /// Whether the host knows a local time zone: then it answers the next three. Else local time is UTC.
    fn has_zone(&mut self) -> bool {
        false
    }
    /// Local calendar time of a moment, if it can be represented.
    fn calendar(&mut self, _time: i64) -> Option<Calendar> {
        None
    }
    /// The moment of a local calendar time whose fields may be out of range (`mktime`); the fields are normalised.
    fn moment(&mut self, _calendar: &mut Calendar) -> Option<i64> {
        None
    }
    /// The name of the local time zone at a moment (`%Z`).
    fn zone_name(&mut self, _time: i64) -> Option<String> {
        None
    }
    /// A number nobody can guess, for `math.randomseed()`. A host that offers none keeps its programs deterministic.
    fn entropy(&mut self) -> Option<u64> {
        None
    }
    /// The embedder's own data, for its natives.
    fn as_any(&mut self) -> Option<&mut dyn std::any::Any> {
        None
    }
}

/// A host that offers nothing.
pub struct NoHost;
impl Host for NoHost {}
