//! A small server for one folder on localhost: what `cargo xtask demo` needs and nothing more.
//!
//! It answers GET and HEAD for files below the folder, to this machine only. A path cannot lead out of the folder: only its plain
//! components are followed.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How many ports from the wanted one on are tried.
const PORTS: u16 = 20;
/// The longest request head that is read, in bytes.
const HEAD_MAX: u64 = 16 << 10;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// Serves the folder until the process is stopped, and says where.
pub fn serve(folder: &Path, port: u16) -> Result<()> {
    let listener = listen(port)?;
    let port = listener.local_addr()?.port();
    println!(
        "\n  Evermoon's page is at \x1b[1mhttp://localhost:{port}/\x1b[0m   (Ctrl-C ends it)\n"
    );
    for stream in listener.incoming() {
        // One that failed before we had it is its browser's business.
        let Ok(stream) = stream else { continue };
        let folder = folder.to_path_buf();
        std::thread::spawn(move || {
            // A browser that goes away in the middle is no error of ours.
            let _ = answer(stream, &folder);
        });
    }
    Ok(())
}

/// The wanted port, or the first free one after it.
fn listen(port: u16) -> Result<TcpListener> {
    for candidate in port..=port.saturating_add(PORTS) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot listen on port {candidate}"));
            }
        }
    }
    bail!("the ports from {port} on are all in use: say which with --port N")
}

fn answer(stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new((&stream).take(HEAD_MAX));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    // The headers are read, for the browser expects it, and passed over.
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 2 {
        line.clear();
    }
    let mut words = request.split(' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    if method != "GET" && method != "HEAD" {
        return reply(&stream, "405 Method Not Allowed", "text/plain", b"", true);
    }
    let found = file_for(folder, target)
        .and_then(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes)));
    match found {
        Some((path, bytes)) => reply(
            &stream,
            "200 OK",
            media_type(&path),
            &bytes,
            method == "GET",
        ),
        None => reply(&stream, "404 Not Found", "text/plain", b"not found\n", true),
    }
}

fn reply(
    mut stream: &TcpStream,
    status: &str,
    media: &str,
    body: &[u8],
    with_body: bool,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    if with_body {
        stream.write_all(body)?;
    }
    stream.flush()
}

/// The file that a request's target names; `None` if it is not one below the folder.
fn file_for(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let path = percent_decoded(path)?;
    let path = if path.is_empty() {
        "index.html"
    } else {
        path.as_str()
    };
    let plain = Path::new(path)
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    plain
        .then(|| folder.join(path))
        .filter(|file| file.is_file())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::{file_for, percent_decoded};

    #[test]
    fn a_target_stays_in_the_folder() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(file_for(folder, "/Cargo.toml?x=1").is_some());
        assert!(file_for(folder, "/src/%6dain.rs").is_some());
        for outside in [
            "/../Cargo.toml",
            "/src/../../Cargo.toml",
            "/%2e%2e/Cargo.toml",
            "//etc/passwd",
            "/%2Fetc/passwd",
            "Cargo.toml",
            "/src",
            "",
        ] {
            assert!(file_for(folder, outside).is_none(), "{outside}");
        }
    }

    #[test]
    fn percent_signs_are_followed_by_two_digits() {
        assert_eq!(percent_decoded("a%20b").as_deref(), Some("a b"));
        for bad in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(percent_decoded(bad), None, "{bad}");
        }
    }
}
