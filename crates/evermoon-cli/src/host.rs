//! The world outside for programs run from the command line: this process's streams, files, shell, clock and environment.
//!
//! Errors are reported as C does, by `errno` and its text. What is written is buffered here: standard output by lines on a terminal and in
//! blocks elsewhere, standard error not at all. [`StdHost::flush`] is called before the process ends, and before another one starts, so that
//! their outputs come in order. Standard input is handed out a line at a time, so that several readers of it (the program, the REPL,
//! `debug.debug`) take no bytes from each other.

use crate::clock;
use evermoon::vm::host::{Buffering, Calendar, Ended, Host, HostError, HostResult, Stream, Whence};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes that a stream holds back by default.
const BUFFER: usize = 16 << 10;
/// Attempts to find an unused name for a temporary file.
const NAME_ATTEMPTS: u32 = 100;

/// The native host.
pub struct StdHost {
    output: Shared,
    error: Shared,
}

/// A standard stream, written by `print` and by the program's file alike.
type Shared = Rc<RefCell<FileStream>>;

impl StdHost {
    pub fn new() -> StdHost {
        let terminal = io::stdout().is_terminal();
        let output = duplicate(io::stdout().as_fd());
        let error = duplicate(io::stderr().as_fd());
        let stream = |file, buffering| {
            let stream = FileStream {
                file,
                readable: false,
                writable: true,
                pending: Vec::new(),
                buffering,
            };
            Rc::new(RefCell::new(stream))
        };
        StdHost {
            output: stream(
                output,
                if terminal {
                    Buffering::Line(BUFFER)
                } else {
                    Buffering::Full(BUFFER)
                },
            ),
            error: stream(error, Buffering::None),
        }
    }

    /// Writes out what standard output holds back.
    pub fn flush(&self) {
        // Nobody is left to hear of an error.
        let _ = self.output.borrow_mut().flush();
    }
}

impl Default for StdHost {
    fn default() -> Self {
        StdHost::new()
    }
}

impl Drop for StdHost {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A descriptor of our own for a standard stream, without the standard library's buffer; `None` if it is closed.
fn duplicate(fd: std::os::fd::BorrowedFd<'_>) -> Option<File> {
    fd.try_clone_to_owned().ok().map(File::from)
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// An error as C reports it.
fn error(e: io::Error) -> HostError {
    let code = e.raw_os_error().unwrap_or(0);
    let text = e.to_string();
    // The standard library appends the number, which Lua reports by itself.
    let message = match text.rfind(" (os error ") {
        Some(at) if code != 0 => text[..at].to_string(),
        _ => text,
    };
    HostError { code, message }
}

fn os_error(code: i32) -> HostError {
    error(io::Error::from_raw_os_error(code))
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or(0)),
    }
}

/// Tries again when a signal has interrupted the call.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> HostResult<T> {
    loop {
        match call() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done.map_err(error),
        }
    }
}

// ---- streams ----

/// A file, or a standard stream.
struct FileStream {
    /// `None` for a standard stream that was closed when we started.
    file: Option<File>,
    readable: bool,
    writable: bool,
    /// Written by the program but not yet to the file.
    pending: Vec<u8>,
    buffering: Buffering,
}

impl FileStream {
    fn boxed(file: File, readable: bool, writable: bool) -> Box<dyn Stream> {
        Box::new(FileStream {
            file: Some(file),
            readable,
            writable,
            pending: Vec::new(),
            buffering: Buffering::Full(BUFFER),
        })
    }

    fn file(&mut self) -> HostResult<&mut File> {
        self.file.as_mut().ok_or_else(|| os_error(libc::EBADF))
    }

    fn write_through(&mut self, bytes: &[u8]) -> HostResult<()> {
        self.file()?.write_all(bytes).map_err(error)
    }
}

impl Stream for FileStream {
    fn read(&mut self, buffer: &mut [u8]) -> HostResult<usize> {
        if !self.readable {
            return Err(os_error(libc::EBADF));
        }
        self.flush()?;
        let file = self.file()?;
        uninterrupted(|| file.read(buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> HostResult<()> {
        if !self.writable {
            return Err(os_error(libc::EBADF));
        }
        let (size, by_line) = match self.buffering {
            Buffering::None => (0, false),
            Buffering::Full(size) => (size, false),
            Buffering::Line(size) => (size, bytes.contains(&b'\n')),
        };
        if self.pending.is_empty() && bytes.len() >= size {
            return self.write_through(bytes);
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= size || by_line {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> HostResult<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let written = self.write_through(&pending);
        // Keeps the allocation.
        self.pending = pending;
        self.pending.clear();
        written
    }

    fn seek(&mut self, whence: Whence, offset: i64) -> HostResult<u64> {
        self.flush()?;
        let target = match whence {
            Whence::Start => {
                SeekFrom::Start(u64::try_from(offset).map_err(|_| os_error(libc::EINVAL))?)
            }
            Whence::Current => SeekFrom::Current(offset),
            Whence::End => SeekFrom::End(offset),
        };
        self.file()?.seek(target).map_err(error)
    }

    fn set_buffering(&mut self, mode: Buffering) -> HostResult<()> {
        self.flush()?;
        self.buffering = mode;
        Ok(())
    }

    fn close(&mut self) -> HostResult<Option<Ended>> {
        let flushed = self.flush();
        self.file = None;
        flushed.map(|()| None)
    }
}

impl Drop for FileStream {
    fn drop(&mut self) {
        // As C at the end of a process: an error has nobody to hear of it.
        let _ = self.flush();
    }
}

/// The program's view of a shared standard stream.
struct SharedStream(Shared);

impl Stream for SharedStream {
    fn read(&mut self, buffer: &mut [u8]) -> HostResult<usize> {
        self.0.borrow_mut().read(buffer)
    }
    fn write(&mut self, bytes: &[u8]) -> HostResult<()> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> HostResult<()> {
        self.0.borrow_mut().flush()
    }
    fn seek(&mut self, whence: Whence, offset: i64) -> HostResult<u64> {
        self.0.borrow_mut().seek(whence, offset)
    }
    fn set_buffering(&mut self, mode: Buffering) -> HostResult<()> {
        self.0.borrow_mut().set_buffering(mode)
    }
    fn close(&mut self) -> HostResult<Option<Ended>> {
        self.flush().map(|()| None)
    }
}

/// Standard input.
struct Input {
    /// What the program may write to show before it waits, if anything.
    output: Shared,
    file: Option<File>,
}

impl Stream for Input {
    fn read(&mut self, buffer: &mut [u8]) -> HostResult<usize> {
        // A prompt must be seen before its answer is typed.
        let mut output = self.output.borrow_mut();
        if matches!(output.buffering, Buffering::Line(_)) {
            output.flush()?;
        }
        let mut input = io::stdin().lock();
        let available = loop {
            match input.fill_buf() {
                Ok(available) => break available,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(error(e)),
            }
        };
        let line = available
            .iter()
            .position(|&c| c == b'\n')
            .map_or(available.len(), |n| n + 1);
        let n = line.min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        input.consume(n);
        Ok(n)
    }
    fn write(&mut self, _bytes: &[u8]) -> HostResult<()> {
        Err(os_error(libc::EBADF))
    }
    fn flush(&mut self) -> HostResult<()> {
        Ok(())
    }
    fn seek(&mut self, whence: Whence, offset: i64) -> HostResult<u64> {
        // The standard library has read ahead of us: `Stdin` cannot tell how far, but its buffer can.
        let mut input = io::stdin().lock();
        let Some(file) = &mut self.file else {
            return Err(os_error(libc::EBADF));
        };
        file.stream_position().map_err(error)?;
        // A file or a device: what is buffered is what the next `fill_buf` would give without reading.
        let ahead = input.fill_buf().map_err(error)?.len();
        input.consume(ahead);
        let target = match whence {
            Whence::Start => {
                SeekFrom::Start(u64::try_from(offset).map_err(|_| os_error(libc::EINVAL))?)
            }
            Whence::Current => SeekFrom::Current(offset - ahead as i64),
            Whence::End => SeekFrom::End(offset),
        };
        file.seek(target).map_err(error)
    }
    fn close(&mut self) -> HostResult<Option<Ended>> {
        Ok(None)
    }
}

/// A shell command at the other end of a pipe.
struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    pending: Vec<u8>,
    buffering: Buffering,
}

impl Stream for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> HostResult<usize> {
        match &mut self.output {
            Some(output) => uninterrupted(|| output.read(buffer)),
            None => Err(os_error(libc::EBADF)),
        }
    }
    fn write(&mut self, bytes: &[u8]) -> HostResult<()> {
        if self.input.is_none() {
            return Err(os_error(libc::EBADF));
        }
        self.pending.extend_from_slice(bytes);
        let full = match self.buffering {
            Buffering::None => true,
            Buffering::Full(size) => self.pending.len() >= size,
            Buffering::Line(size) => self.pending.len() >= size || bytes.contains(&b'\n'),
        };
        if full { self.flush() } else { Ok(()) }
    }
    fn flush(&mut self) -> HostResult<()> {
        let pending = std::mem::take(&mut self.pending);
        match &mut self.input {
            Some(input) => input.write_all(&pending).map_err(error),
            None => Ok(()),
        }
    }
    fn seek(&mut self, _whence: Whence, _offset: i64) -> HostResult<u64> {
        Err(os_error(libc::ESPIPE))
    }
    fn set_buffering(&mut self, mode: Buffering) -> HostResult<()> {
        self.buffering = mode;
        self.flush()
    }
    fn close(&mut self) -> HostResult<Option<Ended>> {
        let flushed = self.flush();
        self.input = None;
        self.output = None;
        let status = self.child.wait().map_err(error)?;
        flushed.map(|()| Some(ended(status)))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.flush();
        self.input = None;
        self.output = None;
        // A child that nobody waits for would stay a zombie.
        let _ = self.child.wait();
    }
}

fn shell(command: &[u8]) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(OsStr::from_bytes(command));
    shell
}

/// A fresh empty file with an unused name.
fn temporary() -> HostResult<(PathBuf, File)> {
    // The standard library's hash keys are random.
    let mut n = RandomBits::default().next();
    let mut last = os_error(libc::EEXIST);
    for _ in 0..NAME_ATTEMPTS {
        let name = format!("lua_{:06x}", n & 0xff_ffff);
        n = n.rotate_right(24).wrapping_add(std::process::id() as u64);
        let path = std::env::temp_dir().join(name);
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
        {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => last = error(e),
            Err(e) => return Err(error(e)),
        }
    }
    Err(last)
}

/// Numbers nobody can guess, from the keys of the standard library's hash tables.
#[derive(Default)]
struct RandomBits(std::collections::hash_map::RandomState);

impl RandomBits {
    fn next(&self) -> u64 {
        let mut hasher = self.0.build_hasher();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as u64);
        hasher.write_u64(now);
        hasher.finish()
    }
}

// ---- the host ----

impl Host for StdHost {
    fn print(&mut self, bytes: &[u8]) {
        // As in the reference, `print` does not look at errors.
        let _ = self.output.borrow_mut().write(bytes);
    }
    fn tick(&mut self) {
        // The reference writes out each `print`. Whoever reads our output gets it as soon, for fewer system calls.
        self.flush();
    }
    fn report(&mut self, bytes: &[u8]) {
        self.flush();
        let _ = self.error.borrow_mut().write(bytes);
    }
    fn standard(&mut self, number: u8) -> HostResult<Box<dyn Stream>> {
        match number {
            0 => Ok(Box::new(Input {
                output: self.output.clone(),
                file: duplicate(io::stdin().as_fd()),
            })),
            1 => Ok(Box::new(SharedStream(self.output.clone()))),
            2 => Ok(Box::new(SharedStream(self.error.clone()))),
            _ => Err(HostError::unsupported()),
        }
    }
    fn open(&mut self, name: &[u8], mode: &str) -> HostResult<Box<dyn Stream>> {
        let update = mode.contains('+');
        let mut options = OpenOptions::new();
        let (readable, writable) = match mode.as_bytes().first() {
            Some(b'w') => {
                options.write(true).create(true).truncate(true);
                (update, true)
            }
            Some(b'a') => {
                options.append(true).create(true);
                (update, true)
            }
            _ => {
                options.write(update);
                (true, update)
            }
        };
        let file = options.read(readable).open(path(name)).map_err(error)?;
        Ok(FileStream::boxed(file, readable, writable))
    }
    fn popen(&mut self, command: &[u8], mode: &str) -> HostResult<Box<dyn Stream>> {
        self.flush();
        let mut shell = shell(command);
        if mode == "w" {
            shell.stdin(Stdio::piped());
        } else {
            shell.stdout(Stdio::piped());
        }
        let mut child = shell.spawn().map_err(error)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Ok(Box::new(Pipe {
            child,
            input,
            output,
            pending: Vec::new(),
            buffering: Buffering::Full(BUFFER),
        }))
    }
    fn tmpfile(&mut self) -> HostResult<Box<dyn Stream>> {
        let (path, file) = temporary()?;
        // Without a name it goes when it is closed.
        fs::remove_file(path).map_err(error)?;
        Ok(FileStream::boxed(file, true, true))
    }
    fn tmpname(&mut self) -> HostResult<Vec<u8>> {
        Ok(temporary()?.0.into_os_string().into_vec())
    }
    fn read_file(&mut self, name: Option<&[u8]>) -> HostResult<Vec<u8>> {
        match name {
            Some(name) => fs::read(path(name)).map_err(error),
            None => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map_err(error)?;
                Ok(bytes)
            }
        }
    }
    fn readable(&mut self, name: &[u8]) -> bool {
        File::open(path(name)).is_ok()
    }
    fn remove(&mut self, name: &[u8]) -> HostResult<()> {
        let path = path(name);
        let is_folder = fs::symlink_metadata(path).map_err(error)?.is_dir();
        if is_folder {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
        .map_err(error)
    }
    fn rename(&mut self, from: &[u8], to: &[u8]) -> HostResult<()> {
        fs::rename(path(from), path(to)).map_err(error)
    }
    fn getenv(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        // Names that cannot be are nobody's (the standard library would panic in old versions).
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            return None;
        }
        std::env::var_os(OsStr::from_bytes(name)).map(|v| v.into_vec())
    }
    fn execute(&mut self, command: Option<&[u8]>) -> HostResult<Ended> {
        let Some(command) = command else {
            // As C's `system(NULL)`: not zero when there is a shell.
            return Ok(Ended::Exit(i32::from(Path::new("/bin/sh").exists())));
        };
        self.flush();
        shell(command).status().map(ended).map_err(error)
    }
    fn time(&mut self) -> Option<i64> {
        // Before the epoch it is negative.
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Some(since.as_secs() as i64),
            Err(e) => Some(-(e.duration().as_secs() as i64)),
        }
    }
    fn clock(&mut self) -> Option<f64> {
        clock::cpu_seconds()
    }
    fn has_zone(&mut self) -> bool {
        true
    }
    fn calendar(&mut self, time: i64) -> Option<Calendar> {
        clock::calendar(time)
    }
    fn moment(&mut self, calendar: &mut Calendar) -> Option<i64> {
        clock::moment(calendar)
    }
    fn zone_name(&mut self, time: i64) -> Option<String> {
        clock::zone_name(time)
    }
    fn entropy(&mut self) -> Option<u64> {
        Some(RandomBits::default().next())
    }
    fn as_any(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }
}
