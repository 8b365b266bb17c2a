//! The reference interpreter in a process of its own, which runs one program after the other.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const DRIVER: &str = include_str!("reference.lua");
/// Longer than any program takes that has ended here.
const PATIENCE: Duration = Duration::from_secs(3);
/// What the reference may take, in KiB, so that a program that grows does not end this machine.
const MEMORY_KIB: u32 = 2_000_000;

pub struct Reference {
    lua: String,
    driver: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    answers: Receiver<Vec<u8>>,
}

impl Reference {
    /// `lua` is a program's path or name.
    pub fn new(lua: &str) -> std::io::Result<Reference> {
        let driver =
            std::env::temp_dir().join(format!("evermoon-reference-{}.lua", std::process::id()));
        std::fs::write(&driver, DRIVER)?;
        Ok(Reference {
            lua: lua.to_owned(),
            driver,
            running: None,
        })
    }

    /// Begins to run a program.
    pub fn send(&mut self, source: &[u8]) -> std::io::Result<()> {
        if self.running.is_none() {
            self.running = Some(self.start()?);
        }
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let input = running.child.stdin.as_mut().expect("stdin is a pipe");
        let sent = writeln!(input, "{}", source.len()).and_then(|()| input.write_all(source));
        // A process that has ended answers nothing: `receive` sees it.
        sent.and_then(|()| input.flush()).or(Ok(()))
    }

    /// What the program printed and how it ended, or nothing if it took too long or ended the process.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut running = self.running.take()?;
        match running.answers.recv_timeout(PATIENCE) {
            Ok(answer) => {
                self.running = Some(running);
                Some(answer)
            }
            Err(_) => {
                let _ = running.child.kill();
                let _ = running.child.wait();
                None
            }
        }
    }

    fn start(&self) -> std::io::Result<Running> {
        let limited = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$1\"");
        let mut child = Command::new("sh")
            .args(["-c", &limited, &self.lua])
            .arg(&self.driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut header = String::new();
            loop {
                header.clear();
                if !matches!(output.read_line(&mut header), Ok(1..)) {
                    return;
                }
                let Ok(size) = header.trim().parse() else {
                    return;
                };
                let mut answer = vec![0; size];
                if output.read_exact(&mut answer).is_err() || sender.send(answer).is_err() {
                    return;
                }
            }
        });
        Ok(Running { child, answers })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // End of input ends it.
            drop(running.child.stdin.take());
            let _ = running.child.wait();
        }
        let _ = std::fs::remove_file(&self.driver);
    }
}
