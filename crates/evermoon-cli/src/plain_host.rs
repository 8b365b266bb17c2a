//! A small host until `host.rs` is there: output, files to read, environment.

use evermoon::vm::host::{Host, HostError, HostResult};
use std::io::{Read, Write};

pub struct PlainHost;

impl Host for PlainHost {
    fn print(&mut self, bytes: &[u8]) {
        let _ = std::io::stdout().write_all(bytes);
    }
    fn report(&mut self, bytes: &[u8]) {
        let _ = std::io::stdout().flush();
        let _ = std::io::stderr().write_all(bytes);
    }
    fn read_file(&mut self, path: Option<&[u8]>) -> HostResult<Vec<u8>> {
        let read = match path {
            Some(path) => std::fs::read(String::from_utf8_lossy(path).as_ref()),
            None => {
                let mut bytes = Vec::new();
                std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
            }
        };
        read.map_err(|e| HostError {
            code: e.raw_os_error().unwrap_or(0),
            message: crate::session::system_message(&e),
        })
    }
    fn getenv(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        std::env::var(String::from_utf8_lossy(name).as_ref())
            .ok()
            .map(String::into_bytes)
    }
    fn as_any(&mut self) -> Option<&mut dyn std::any::Any> {
        Some(self)
    }
}
