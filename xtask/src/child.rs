//! Runs one child process to its end: output, exit code, CPU time, peak memory, and a time limit that also ends what
//! the child has started.
//!
//! The only unsafe code of xtask: `waitid`, `wait4` and `kill` have no safe form in std, and only `wait4` tells the use
//! of *one* child apart from that of all.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::workspace::shown;

/// How a child ended and what it used.
#[derive(Debug)]
pub struct Finished {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub ending: Ending,
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel on the child's behalf.
    pub system: Duration,
    /// The most memory it had resident. Never below what xtask itself had at the moment of the start (a few MiB):
    /// Linux counts from before `exec`.
    pub peak_bytes: u64,
}

/// The ways in which a child ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Exit(i32),
    Signal(i32),
    TimeLimit(Duration),
}

impl Finished {
    pub fn success(&self) -> bool {
        self.ending == Ending::Exit(0)
    }

    /// Standard error as text, for messages.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exit code {code}"),
            Ending::Signal(signal) => write!(f, "ended by signal {signal}"),
            Ending::TimeLimit(limit) => write!(f, "over the time limit of {} s", limit.as_secs()),
        }
    }
}

/// What to run: a program, its arguments, where, and for how long at most. It has nothing to read.
pub struct Child {
    command: Command,
    limit: Duration,
}

impl Child {
    pub fn new(program: &Path) -> Self {
        Child {
            command: Command::new(program),
            limit: Duration::from_secs(300),
        }
    }

    /// A program with its first arguments, such as an interpreter and its script.
    pub fn of(command: &[impl AsRef<Path>]) -> Self {
        let (program, first) = match command.split_first() {
            Some((program, first)) => (program.as_ref(), first),
            None => (Path::new(""), &[][..]),
        };
        Child::new(program).args(first.iter().map(|arg| arg.as_ref()))
    }

    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it. Failing to start is an error; a bad ending is not.
    pub fn run(mut self) -> Result<Finished> {
        // A LUA_INIT or LUA_PATH of the person at the keyboard must not change what is tested.
        for name in [
            "LUA_INIT",
            "LUA_INIT_5_4",
            "LUA_PATH",
            "LUA_PATH_5_4",
            "LUA_CPATH",
            "LUA_CPATH_5_4",
        ] {
            if !self.command.get_envs().any(|(set, _)| set == name) {
                self.command.env_remove(name);
            }
        }
        // A pipe that is closed at once, rather than /dev/null: the official suite checks that it cannot seek.
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        own_group(&mut self.command);
        let mut child = self
            .command
            .spawn()
            .with_context(|| format!("cannot run {}", shown(&self.command)))?;
        let stdout = child.stdout.take().context("the child has no stdout")?;
        let stderr = child.stderr.take().context("the child has no stderr")?;
        drop(child.stdin.take());
        let limit = self.limit;

        thread::scope(|scope| {
            let stdout = scope.spawn(move || read_all(stdout));
            let stderr = scope.spawn(move || read_all(stderr));
            let (ended, end_seen) = mpsc::channel::<()>();
            let pid = child.id();
            let watch = scope.spawn(move || {
                let late = end_seen.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
                if late {
                    sys::kill_group(pid);
                }
                late
            });
            // Seen as ended but not yet reaped, so that the watch can never hit a stranger with the same pid.
            sys::await_end(pid)?;
            drop(ended);
            let late = watch.join().unwrap_or(false);
            // What the child has left running would keep the pipes open.
            sys::kill_group(pid);
            let (status, user, system, peak_bytes) = sys::reap(pid)?;
            let ending = match (late, status) {
                (true, _) => Ending::TimeLimit(limit),
                (false, ending) => ending,
            };
            let stdout = stdout.join().unwrap_or_default();
            let stderr = stderr.join().unwrap_or_default();
            Ok(Finished {
                stdout,
                stderr,
                ending,
                user,
                system,
                peak_bytes,
            })
        })
    }
}

/// Runs and expects success; standard output as text.
pub fn output_of(program: &Path, args: &[&str]) -> Result<String> {
    let done = Child::new(program).args(args).run()?;
    if !done.success() {
        bail!(
            "{} {}: {}\n{}",
            program.display(),
            args.join(" "),
            done.ending,
            done.error_text()
        );
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn read_all(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A broken pipe leaves what has come so far.
    let _ = pipe.read_to_end(&mut bytes);
    bytes
}

/// The child leads a group of its own, so that the time limit reaches its children too.
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

mod sys {
    use super::Ending;
    use anyhow::{Result, bail};
    use std::time::Duration;

    /// Waits until the process has ended, and leaves it to be reaped.
    pub(super) fn await_end(pid: u32) -> Result<()> {
        loop {
            // SAFETY: `info` is plain data that the call fills in; zero bytes are a valid value of it.
            let result = unsafe {
                let mut info: libc::siginfo_t = std::mem::zeroed();
                libc::waitid(
                    libc::P_PID,
                    pid as libc::id_t,
                    &mut info,
                    libc::WEXITED | libc::WNOWAIT,
                )
            };
            if result == 0 {
                return Ok(());
            }
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                bail!("waitid {pid}: {error}");
            }
        }
    }

    /// Ends the child's process group. The child is not reaped yet, so its pid (the group's id) is still its own.
    pub(super) fn kill_group(pid: u32) {
        // SAFETY: no memory is passed. A group that is gone is an error that we need not see.
        unsafe { libc::kill(-(pid as libc::pid_t), libc::SIGKILL) };
    }

    /// Reaps an ended child: ending, user time, system time, peak resident bytes.
    pub(super) fn reap(pid: u32) -> Result<(Ending, Duration, Duration, u64)> {
        let mut status = 0;
        // SAFETY: both out-parameters are plain data on this stack; zero bytes are a valid rusage.
        let (result, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (
                libc::wait4(pid as libc::pid_t, &mut status, 0, &mut usage),
                usage,
            )
        };
        if result < 0 {
            bail!("wait4 {pid}: {}", std::io::Error::last_os_error());
        }
        let ending = if libc::WIFSIGNALED(status) {
            Ending::Signal(libc::WTERMSIG(status))
        } else {
            Ending::Exit(libc::WEXITSTATUS(status))
        };
        // Linux counts in KiB.
        let peak_bytes = usage.ru_maxrss as u64 * 1024;
        Ok((
            ending,
            duration(usage.ru_utime),
            duration(usage.ru_stime),
            peak_bytes,
        ))
    }

    fn duration(time: libc::timeval) -> Duration {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    }
}
