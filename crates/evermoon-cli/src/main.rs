//! The `evermoon` command: `lua`'s flags and behaviour, and more flags of its own. Parse, one call into the API, print.
//!
//! Reading order: `options.rs` (the command line), `session.rs` (running chunks the way `lua` does), `repl.rs` (the interactive loop) with
//! `editor.rs`, `scope.rs` and `pretty.rs`.
#![deny(unsafe_code)]

mod clock;
mod editor;
mod host;
mod inspect;
mod options;
mod pretty;
mod repl;
mod scope;
mod session;
mod world;

use options::{Action, Mode, Options};
use session::Session;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = options::arguments();
    let program = options::program_name(&args);
    if let Some(b"world") = args.get(1).map(|arg| arg.as_slice()) {
        return world::run(&args[2..], &program);
    }
    match options::parse(&args) {
        Ok(options) => match options.mode {
            Mode::Help => show(&options::help(&program)),
            Mode::Version => show(&format!("{}\n", options::version())),
            Mode::List | Mode::Check => inspect::run(&options, &args, &program),
            Mode::Run => run(&options, args, program),
        },
        Err(message) => {
            eprint!("{program}: {message}\n{}", options::usage(&program));
            ExitCode::from(session::EXIT_FAILED)
        }
    }
}

fn show(text: &str) -> ExitCode {
    // A closed pipe is no reason to complain.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// What `lua`'s main does, in its order.
fn run(options: &Options, args: Vec<Vec<u8>>, program: String) -> ExitCode {
    if options.show_version {
        show(&format!("{}\n", options::version()));
    }
    let mut session = match Session::new(options, args, program) {
        Ok(session) => session,
        Err(message) => {
            eprintln!("evermoon: {message}");
            return ExitCode::from(session::EXIT_FAILED);
        }
    };
    let outcome = run_in(options, &mut session);
    session.finish();
    ExitCode::from(match outcome {
        Ok(()) => 0,
        Err(code) => code,
    })
}

fn run_in(options: &Options, session: &mut Session) -> Result<(), u8> {
    if !options.ignore_environment {
        session.run_init()?;
    }
    for action in &options.actions {
        match action {
            Action::Execute(source) => session.run_string(source, "=(command line)")?,
            Action::Require(library) => session.require(library)?,
            Action::Warnings => session.lua.set_warnings(true),
        }
    }
    if options.resume {
        session.resume()?;
    }
    if let Some(script) = options.script {
        session.run_script(script)?;
    }
    let nothing_asked =
        options.script.is_none() && !options.has_code && !options.show_version && !options.resume;
    if options.interactive {
        repl::run(session)
    } else if nothing_asked && std::io::stdin().is_terminal() {
        show(&format!("{}\n", options::version()));
        repl::run(session)
    } else if nothing_asked {
        session.run_file(None)
    } else {
        Ok(())
    }
}
