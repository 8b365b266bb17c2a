//! `--list` and `--check`: looking at chunks without running them.

use crate::options::{Mode, Options};
use crate::session::{EXIT_FAILED, chunk_of, read_file, system_message};
use evermoon::bytecode::{chunk, listing, proto::Proto, verify};
use evermoon::compile::compile;
use evermoon::syntax::parser::{Limits, parse};
use evermoon::vm::error::chunk_id;
use std::io::Write;
use std::process::ExitCode;

/// Lists or checks every file; goes on after a bad one.
pub fn run(options: &Options, args: &[Vec<u8>], program: &str) -> ExitCode {
    let mut failed = false;
    let mut out = String::new();
    for path in &args[options.script.unwrap_or(args.len())..] {
        match load(path) {
            Ok((proto, source)) if options.mode == Mode::List => {
                let source = source.as_deref();
                listing::list(
                    &proto,
                    &mut out,
                    &listing::Options {
                        tables: true,
                        source,
                    },
                );
            }
            Ok(_) => {}
            Err(message) => {
                eprintln!("{program}: {message}");
                failed = true;
            }
        }
    }
    // A closed pipe (`| head`) is no error of ours.
    let _ = std::io::stdout().write_all(out.as_bytes());
    ExitCode::from(if failed { EXIT_FAILED } else { 0 })
}

/// The prototype of a file, and its text if it is source.
fn load(path: &[u8]) -> Result<(Proto, Option<Vec<u8>>), String> {
    let shown = String::from_utf8_lossy(path);
    let (bytes, name) = if path == b"-" {
        let mut bytes = Vec::new();
        let read = std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes);
        (read.map(|_| bytes), b"=stdin".to_vec())
    } else {
        (read_file(path), [b"@", path].concat())
    };
    let bytes = bytes.map_err(|e| format!("cannot open {shown}: {}", system_message(&e)))?;
    let source = chunk_of(&bytes);
    if source.first() == Some(&0x1b) {
        let proto = chunk::undump(source, &chunk::Limits::default())
            .map_err(|e| format!("{shown}: {e}"))?;
        verify::verify(&proto).map_err(|e| format!("{shown}: {e}"))?;
        return Ok((proto, None));
    }
    let proto = parse(source, &Limits::default())
        .and_then(|tree| compile(&tree, name.as_slice().into()))
        .map_err(|e| {
            format!(
                "{}:{}: {e}",
                String::from_utf8_lossy(&chunk_id(&name)),
                e.line
            )
        })?;
    Ok((proto, Some(source.to_vec())))
}
