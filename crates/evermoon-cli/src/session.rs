//! An engine set up the way `lua` sets up its own, and chunks run the way `lua` runs them: messages with a traceback on standard error,
//! exit code 1.

use crate::host::StdHost;
use crate::options::Options;
use evermoon::syntax::parser::skip_shebang;
use evermoon::{Error, Function, Lua, MultiValue, Result as LuaResult, StdLib, Table, Value};
use evermoon_store::{OnError, World, WorldError, WorldOptions};
use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit codes; `options::help` lists them.
pub const EXIT_FAILED: u8 = 1;
pub const EXIT_FUEL: u8 = 2;

/// Where modules are looked for: the reference's places, Debian's, and here.
const PATH: &str = "/usr/local/share/lua/5.4/?.lua;/usr/local/share/lua/5.4/?/init.lua;\
    /usr/share/lua/5.4/?.lua;/usr/share/lua/5.4/?/init.lua;./?.lua;./?/init.lua";
/// There are no C libraries, but `require` names the places where the reference looks for them.
const CPATH: &str = "/usr/local/lib/lua/5.4/?.so;/usr/local/lib/lua/5.4/loadall.so;./?.so";

pub struct Session {
    pub lua: Lua,
    /// The world of `--world`: then each chunk is a transaction.
    world: Option<RefCell<World>>,
    /// How messages begin; nothing in the interactive loop.
    pub program: Option<String>,
    args: Vec<Vec<u8>>,
    /// The program has ended itself and does not want its state closed (`os.exit`).
    leave_open: bool,
    /// No Lua runs: Ctrl-C has its usual meaning.
    idle: Arc<AtomicBool>,
}

/// The outcome of something that has reported its error already; the code is for exiting.
pub type Outcome = Result<(), u8>;

impl Session {
    pub fn new(options: &Options, args: Vec<Vec<u8>>, program: String) -> Result<Session, String> {
        let (n1, n2) = options.seed.map_or_else(entropy, |seed| (seed, 0));
        let mut builder = Lua::builder()
            .libraries(StdLib::ALL)
            .module(evermoon_bigint::preload)
            .host(StdHost::new())
            .seed(n1, n2);
        if let Some(memory) = options.memory {
            builder = builder.memory(memory);
        }
        if let Some(fuel) = options.fuel {
            builder = builder.fuel(fuel);
        }
        let (lua, world) = match &options.world {
            None => (builder.build().map_err(|e| e.to_string())?, None),
            Some(path) => {
                let world = open_world(path, builder, options)?;
                (world.lua().clone(), Some(RefCell::new(world)))
            }
        };
        // The reference's interpreter starts in generational mode, which a program can see.
        lua.load("collectgarbage('generational')")
            .exec()
            .map_err(|e| e.to_string())?;
        let idle = Arc::new(AtomicBool::new(true));
        catch_interrupts(&idle, lua.interrupter().flag());
        let session = Session {
            lua,
            world,
            program: Some(program),
            args,
            leave_open: false,
            idle,
        };
        let ready = session
            .set_arg(options.script)
            .and_then(|()| session.set_paths(options.ignore_environment));
        ready.map_err(|e| e.to_string())?;
        Ok(session)
    }

    fn set_paths(&self, ignore_environment: bool) -> LuaResult<()> {
        let Some(package) = self.library("package") else {
            return Ok(());
        };
        for (field, names, default) in [
            ("path", ["LUA_PATH_5_4", "LUA_PATH"], PATH),
            ("cpath", ["LUA_CPATH_5_4", "LUA_CPATH"], CPATH),
        ] {
            let path = if ignore_environment {
                default.into()
            } else {
                search_path(names, default)
            };
            package.raw_set(field, path.as_slice())?;
        }
        Ok(())
    }

    /// The global `arg`: the script's name at 0, its arguments behind, what came before it at negative indices.
    fn set_arg(&self, script: Option<usize>) -> LuaResult<()> {
        let zero = script.unwrap_or(0) as i64;
        let table = self.lua.create_table()?;
        for (i, arg) in self.args.iter().enumerate() {
            table.raw_set(i as i64 - zero, arg.as_slice())?;
        }
        self.lua.globals().raw_set("arg", table)
    }

    /// Runs the code of `LUA_INIT`.
    pub fn run_init(&mut self) -> Outcome {
        for name in ["LUA_INIT_5_4", "LUA_INIT"] {
            let Some(code) = std::env::var_os(name) else {
                continue;
            };
            let code = code.as_encoded_bytes();
            return match code.strip_prefix(b"@") {
                Some(path) => self.run_file(Some(path)),
                None => self.run_string(code, &format!("={name}")),
            };
        }
        Ok(())
    }

    pub fn run_string(&mut self, source: &[u8], name: &str) -> Outcome {
        let loaded = self.lua.load(source).set_name(name).into_function();
        self.run_loaded(loaded, MultiValue::new())
    }

    /// Runs a file, or standard input.
    pub fn run_file(&mut self, path: Option<&[u8]>) -> Outcome {
        let loaded = self.load_file(path);
        self.run_loaded(loaded, MultiValue::new())
    }

    /// Runs the script with the arguments that `arg` has now.
    pub fn run_script(&mut self, index: usize) -> Outcome {
        let name = self.args[index].clone();
        let is_stdin = name == b"-" && self.args[index - 1] != b"--";
        let loaded = self.load_file(if is_stdin { None } else { Some(&name) });
        let args = match loaded
            .as_ref()
            .map_err(Error::clone)
            .and_then(|_| self.script_args())
        {
            Ok(args) => args,
            Err(error) => return self.report(&error),
        };
        self.run_loaded(loaded, args)
    }

    fn script_args(&self) -> LuaResult<MultiValue> {
        let Value::Table(arg) = self.lua.globals().get("arg")? else {
            return Err(Error::runtime("'arg' is not a table"));
        };
        (1..=arg.len()?).map(|i| arg.get::<Value>(i)).collect()
    }

    fn load_file(&self, path: Option<&[u8]>) -> LuaResult<Function> {
        let (bytes, name) = match path {
            Some(path) => (read_file(path), [b"@", path].concat()),
            None => (read_stdin(), b"=stdin".to_vec()),
        };
        let bytes = bytes.map_err(|e| {
            let shown = path.map_or("stdin".into(), String::from_utf8_lossy);
            Error::runtime(format!("cannot open {shown}: {}", system_message(&e)))
        })?;
        self.lua
            .load(chunk_of(&bytes))
            .set_name(name)
            .into_function()
    }

    /// `-l name` and `-l global=name`.
    pub fn require(&mut self, library: &[u8]) -> Outcome {
        let (global, module) = match library.iter().position(|&b| b == b'=') {
            Some(at) => (&library[..at], &library[at + 1..]),
            // A version behind a hyphen is not part of the global's name.
            None => (
                library.split(|&b| b == b'-').next().unwrap_or(library),
                library,
            ),
        };
        let required =
            self.lua
                .globals()
                .get::<Value>("require")
                .and_then(|require| match require {
                    Value::Function(require) => {
                        self.call(&require, MultiValue::from_vec(vec![Value::string(module)]))
                    }
                    _ => Err(Error::runtime("'require' is not a function")),
                });
        match required.and_then(|results| self.lua.globals().set(global, results.get_or_nil(0))) {
            Ok(()) => Ok(()),
            Err(error) => self.report(&error),
        }
    }

    fn run_loaded(&mut self, loaded: LuaResult<Function>, args: MultiValue) -> Outcome {
        match loaded.and_then(|function| self.call(&function, args)) {
            Ok(_) => Ok(()),
            Err(error) => self.report(&error),
        }
    }

    /// Calls a function; Ctrl-C interrupts it.
    pub fn call(&self, function: &Function, args: MultiValue) -> LuaResult<MultiValue> {
        self.lua.interrupter().clear();
        self.idle.store(false, Ordering::Relaxed);
        let results = match &self.world {
            None => function.call_as_main(args),
            Some(world) => match world.try_borrow_mut() {
                Ok(mut world) => world.transact(function, args).map_err(|e| match e {
                    WorldError::Lua(error) => error,
                    other => Error::runtime(other.to_string()),
                }),
                Err(_) => Err(Error::runtime("the world is in use")),
            },
        };
        self.idle.store(true, Ordering::Relaxed);
        results
    }

    /// What a failed chunk has done stays: for the interactive loop, where the person decides.
    pub fn keep_on_error(&self) {
        if let Some(world) = &self.world
            && let Ok(mut world) = world.try_borrow_mut()
        {
            world.set_on_error(OnError::Keep);
        }
    }

    /// Goes on with the programs that the world was in the middle of.
    pub fn resume(&mut self) -> Outcome {
        let Some(world) = &self.world else {
            self.report_text("evermoon: --resume needs --world");
            return Err(EXIT_FAILED);
        };
        let pending = world.borrow().pending();
        let resumed = pending.and_then(|all| {
            if all.is_empty() {
                return Err(WorldError::Lua(Error::runtime(
                    "no program is under way in this world",
                )));
            }
            all.into_iter().try_for_each(|pending| {
                self.idle.store(false, Ordering::Relaxed);
                let done = world.borrow_mut().finish(pending.run).map(|_| ());
                self.idle.store(true, Ordering::Relaxed);
                done
            })
        });
        match resumed {
            Ok(()) => Ok(()),
            Err(WorldError::Lua(error)) => self.report(&error),
            Err(other) => self.report(&Error::runtime(other.to_string())),
        }
    }

    /// Shows an error; the outcome is the exit code for it.
    pub fn report(&mut self, error: &Error) -> Outcome {
        if let Error::Exit { code, close } = error {
            self.leave_open = !close;
            // As the system does it: the low eight bits.
            return Err(*code as u8);
        }
        let mut text = String::new();
        if let Some(program) = &self.program {
            text = format!("{program}: ");
        }
        text += &error.to_string();
        if let Some(traceback) = error.traceback() {
            text = format!("{text}\n{traceback}");
        }
        self.report_text(&text);
        Err(if matches!(error, Error::Fuel { .. }) {
            EXIT_FUEL
        } else {
            EXIT_FAILED
        })
    }

    /// Shows a line on standard error, behind what the program has printed.
    pub fn report_text(&self, text: &str) {
        self.flush();
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Sends the program's output on its way.
    pub fn flush(&self) {
        self.lua.with_host(|host: &mut StdHost| host.flush());
    }

    /// The table of a library.
    pub fn library(&self, name: &str) -> Option<Table> {
        self.lua
            .globals()
            .raw_get::<Value>(name)
            .ok()?
            .try_into()
            .ok()
    }

    /// The end: finalizers run, unless the program wanted none of that; output is written out.
    pub fn finish(self) {
        if self.leave_open || self.world.is_some() {
            // A world's finalizers are called when its objects are garbage, not when a process ends.
            self.lua.skip_finalizers();
        } else {
            self.lua.close();
        }
        self.flush();
    }
}

/// Opens the world in a file, or begins one there.
fn open_world(
    path: &std::path::Path,
    engine: evermoon::Builder,
    options: &Options,
) -> Result<World, String> {
    let store = evermoon_store::open(path).map_err(|e| e.to_string())?;
    let world = World::open_boxed(
        store,
        WorldOptions {
            engine,
            on_error: if options.keep {
                OnError::Keep
            } else {
                OnError::Rollback
            },
            checkpoint: options.checkpoint,
            resident_max: options.memory.map_or(1 << 30, |max| max / 4 * 3),
            ..WorldOptions::default()
        },
    );
    world.map_err(|e| format!("{}: {e}", path.display()))
}

/// What of a file's contents is the chunk. A binary chunk may follow a first line that starts with `#`.
pub fn chunk_of(bytes: &[u8]) -> &[u8] {
    let chunk = skip_shebang(bytes);
    if chunk.len() < bytes.len() && chunk.starts_with(b"\n\x1b") {
        &chunk[1..]
    } else {
        chunk
    }
}

/// The path for searching modules: from the environment, where `;;` stands for the default.
fn search_path(names: [&str; 2], default: &str) -> Vec<u8> {
    let Some(path) = names.iter().find_map(std::env::var_os) else {
        return default.into();
    };
    let path = path.as_encoded_bytes();
    let Some(at) = path.windows(2).position(|two| two == b";;") else {
        return path.into();
    };
    let mut full = path[..at].to_vec();
    if at > 0 {
        full.push(b';');
    }
    full.extend_from_slice(default.as_bytes());
    if at + 2 < path.len() {
        full.push(b';');
        full.extend_from_slice(&path[at + 2..]);
    }
    full
}

/// Ctrl-C: kills an idle process, interrupts a running program, and kills one that does not stop for the second time.
fn catch_interrupts(idle: &Arc<AtomicBool>, interrupt: Arc<AtomicBool>) {
    use signal_hook::consts::SIGINT;
    use signal_hook::flag::{register, register_conditional_default};
    // Without a handler Ctrl-C simply ends the process, as it would have anyway.
    let _ = register_conditional_default(SIGINT, idle.clone());
    let _ = register_conditional_default(SIGINT, interrupt.clone());
    let _ = register(SIGINT, interrupt);
}

/// Two numbers that differ from run to run: the standard library seeds its hashers by the system's entropy.
fn entropy() -> (i64, i64) {
    let number = || {
        std::collections::hash_map::RandomState::new()
            .build_hasher()
            .finish() as i64
    };
    (number(), number())
}

#[cfg(unix)]
pub fn read_file(path: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    std::fs::read(std::ffi::OsStr::from_bytes(path))
}

#[cfg(not(unix))]
pub fn read_file(path: &[u8]) -> std::io::Result<Vec<u8>> {
    std::fs::read(String::from_utf8_lossy(path).as_ref())
}

fn read_stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)?;
    Ok(bytes)
}

/// An error of the system's in its own words, without Rust's number behind.
pub fn system_message(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}
