//! The package library (manual 6.3). Files come from the host (`Host::readable`, `Host::read_file`). There are no C libraries:
//! the searchers for them stand in their places, look for files and say that these cannot be loaded.
//!
//! `require` is a state machine, since searchers and loaders are functions of the program. `package` itself is remembered in the registry, so
//! that a program may overwrite the global.

use super::load::{self, Mode};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;
use crate::vm::{Act, NativeFn, NativeResult, Throw, Vm};

const FUNCTIONS: &[(&str, NativeFn)] = &[("loadlib", loadlib), ("searchpath", searchpath)];
const SEARCHERS: &[(&str, NativeFn)] = &[
    ("searchers.preload", searcher_preload),
    ("searchers.lua", searcher_lua),
    ("searchers.c", searcher_c),
    ("searchers.croot", searcher_c_root),
];

/// Directory separator, path separator, mark, executable's directory, and the mark before which `luaopen_` names are cut.
const CONFIG: &[u8] = b"/\n;\n?\n!\n-\n";
const DEFAULT_PATH: &[u8] = b"./?.lua;./?/init.lua";
const NO_C: &str = "dynamic libraries not enabled; check your Lua installation";

/// Registry names of `package`, `package.preload`.
const PACKAGE: &str = "_PACKAGE";
const PRELOAD: &str = "_PRELOAD";

pub fn open(vm: &mut Vm) -> Result<(), Throw> {
    let package = super::open_library(vm, "package", FUNCTIONS)?;
    let registry = vm.registry;
    vm.raw_set_name(registry, PACKAGE, Value::table(package))?;
    let preload = vm.new_table()?;
    vm.raw_set_name(registry, PRELOAD, Value::table(preload))?;
    vm.raw_set_name(package, "preload", Value::table(preload))?;
    let loaded = super::loaded(vm)?;
    vm.raw_set_name(package, "loaded", Value::table(loaded))?;
    let searchers = vm.new_table()?;
    for (i, &(name, function)) in SEARCHERS.iter().enumerate() {
        let searcher = vm.register("package", name, function);
        vm.raw_set_int(searchers, i as i64 + 1, searcher)?;
    }
    vm.raw_set_name(package, "searchers", Value::table(searchers))?;
    let config = vm.new_string(CONFIG)?;
    vm.raw_set_name(package, "config", config)?;
    set_path(vm, DEFAULT_PATH)?;
    set_cpath(vm, b"")?;
    let require = vm.register("", "require", require);
    let globals = vm.globals;
    vm.raw_set_name(globals, "require", require)
}

/// Sets `package.path`, as for LUA_PATH.
pub fn set_path(vm: &mut Vm, path: &[u8]) -> Result<(), Throw> {
    set_field(vm, "path", path)
}

/// Sets `package.cpath`.
pub fn set_cpath(vm: &mut Vm, path: &[u8]) -> Result<(), Throw> {
    set_field(vm, "cpath", path)
}

fn set_field(vm: &mut Vm, field: &str, text: &[u8]) -> Result<(), Throw> {
    let registry = vm.registry;
    if let Some(package) = vm.raw_get_name(registry, PACKAGE)?.as_table() {
        let text = vm.new_string(text)?;
        vm.raw_set_name(package, field, text)?;
    }
    Ok(())
}

/// A field of `package`.
fn package_field(vm: &mut Vm, field: &str) -> Result<Value, Throw> {
    let registry = vm.registry;
    match vm.raw_get_name(registry, PACKAGE)?.as_table() {
        Some(package) => vm.raw_get_name(package, field),
        None => Ok(Value::NIL),
    }
}

// ---- require ----

/// Slots of `require`.
mod slot {
    pub const NAME: usize = 0;
    pub const LOADED: usize = 1;
    pub const SEARCHERS: usize = 2;
    /// What the searchers have said so far.
    pub const MESSAGE: usize = 3;
    /// How many searchers have been asked.
    pub const ASKED: usize = 4;
    pub const COUNT: usize = 5;
    /// Later: the loader's extra value.
    pub const DATA: usize = 5;
}

/// States of `require`: what the top slots are.
const HAVE_LOADED: u32 = 1;
const SEARCHED: u32 = 2;
const LOADER_RETURNED: u32 = 3;
const STORED: u32 = 4;
const HAVE_RESULT: u32 = 5;
const STORED_TRUE: u32 = 6;

/// `require (modname)`
fn require(vm: &mut Vm) -> NativeResult {
    match vm.state() {
        0 => {
            let name = vm.check_str(slot::NAME)?;
            vm.set_slots(slot::COUNT)?;
            let loaded = super::loaded(vm)?;
            vm.set_slot(slot::LOADED, Value::table(loaded));
            get_loaded(vm, HAVE_LOADED, Value::string(name))
        }
        HAVE_LOADED => require_found(vm),
        SEARCHED => require_searched(vm),
        LOADER_RETURNED => {
            let result = vm.pop();
            if result.is_nil() {
                return require_stored(vm);
            }
            set_loaded(vm, STORED, result)
        }
        STORED => require_stored(vm),
        HAVE_RESULT => require_result(vm),
        _ => require_end(vm, Value::TRUE),
    }
}

/// Gets `package.loaded[name]` and goes on with `state`.
fn get_loaded(vm: &mut Vm, state: u32, name: Value) -> NativeResult {
    vm.set_state(state);
    let loaded = vm.arg(slot::LOADED);
    match vm.index(loaded, name)? {
        Some(v) => {
            vm.push(v);
            if state == HAVE_LOADED {
                require_found(vm)
            } else {
                require_result(vm)
            }
        }
        None => Ok(Act::calling(2, 1)),
    }
}

/// Sets `package.loaded[name]` and goes on with `state`.
fn set_loaded(vm: &mut Vm, state: u32, value: Value) -> NativeResult {
    vm.set_state(state);
    let (loaded, name) = (vm.arg(slot::LOADED), vm.arg(slot::NAME));
    if vm.set_index(loaded, name, value)? {
        return if state == STORED {
            require_stored(vm)
        } else {
            require_end(vm, value)
        };
    }
    Ok(Act::calling(3, 0))
}

/// The entry of `package.loaded` is on top.
fn require_found(vm: &mut Vm) -> NativeResult {
    let v = vm.pop();
    if v.is_truthy() {
        return vm.ret(v);
    }
    let searchers = package_field(vm, "searchers")?;
    if !searchers.is_table() {
        return Err(vm.fail("'package.searchers' must be a table"));
    }
    vm.set_slot(slot::SEARCHERS, searchers);
    let message = vm.new_string(b"")?;
    vm.set_slot(slot::MESSAGE, message);
    vm.set_slot(slot::ASKED, Value::int(0));
    ask_next(vm)
}

/// Asks the next searcher, or gives up.
fn ask_next(vm: &mut Vm) -> NativeResult {
    let (Some(searchers), Some(asked)) = (
        vm.arg(slot::SEARCHERS).as_table(),
        vm.arg(slot::ASKED).as_int(),
    ) else {
        return Err(vm.fail("'package.searchers' must be a table"));
    };
    let name = vm.arg(slot::NAME);
    let searcher = searchers.get_int(asked + 1);
    if searcher.is_nil() {
        let mut text = b"module '".to_vec();
        vm.display(name, &mut text);
        text.extend(b"' not found:");
        let message = vm.arg(slot::MESSAGE);
        vm.display(message, &mut text);
        return Err(vm.fail_bytes(&text));
    }
    vm.set_slot(slot::ASKED, Value::int(asked + 1));
    vm.set_state(SEARCHED);
    vm.push(searcher);
    vm.push(name);
    Ok(Act::calling(1, 2))
}

/// A searcher's two results are on top.
fn require_searched(vm: &mut Vm) -> NativeResult {
    let data = vm.pop();
    let loader = vm.pop();
    if loader.is_function() {
        let name = vm.arg(slot::NAME);
        vm.push(data);
        vm.push(loader);
        vm.push(name);
        vm.push(data);
        vm.set_state(LOADER_RETURNED);
        return Ok(Act::calling(2, 1));
    }
    if loader.is_string() {
        let mut text = Vec::new();
        let message = vm.arg(slot::MESSAGE);
        vm.display(message, &mut text);
        text.extend(b"\n\t");
        vm.display(loader, &mut text);
        let text = vm.new_string(&text)?;
        vm.set_slot(slot::MESSAGE, text);
    }
    ask_next(vm)
}

/// The loader's result, if any, is stored: what is there now is the module.
fn require_stored(vm: &mut Vm) -> NativeResult {
    let name = vm.arg(slot::NAME);
    get_loaded(vm, HAVE_RESULT, name)
}

fn require_result(vm: &mut Vm) -> NativeResult {
    let v = vm.pop();
    if v.is_nil() {
        set_loaded(vm, STORED_TRUE, Value::TRUE)
    } else {
        require_end(vm, v)
    }
}

fn require_end(vm: &mut Vm, module: Value) -> NativeResult {
    let data = vm.arg(slot::DATA);
    vm.push(module);
    vm.push(data);
    Ok(Act::returning(2))
}

// ---- searchers ----

/// `package.preload`; `None` in an engine without this library.
pub fn preload_table(vm: &mut Vm) -> Result<Option<Gc<Table>>, Throw> {
    let registry = vm.registry;
    Ok(vm.raw_get_name(registry, PRELOAD)?.as_table())
}

fn searcher_preload(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?;
    let registry = vm.registry;
    let preload = vm.raw_get_name(registry, PRELOAD)?;
    let loader = preload.as_table().map_or(Value::NIL, |t| t.get_str(name));
    if loader.is_nil() {
        let text = [b"no field package.preload['", name.as_bytes(), b"']"].concat();
        return vm.ret_bytes(&text);
    }
    vm.push(loader);
    let data = vm.new_string(b":preload:")?;
    vm.push(data);
    Ok(Act::returning(2))
}

/// A string field of `package`.
fn path_field(vm: &mut Vm, field: &str) -> Result<Vec<u8>, Throw> {
    match package_field(vm, field)?.as_str() {
        Some(path) => Ok(path.as_bytes().to_vec()),
        None => Err(vm.fail(&format!("'package.{field}' must be a string"))),
    }
}

fn searcher_lua(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?;
    let path = path_field(vm, "path")?;
    let file = match find_file(vm, name.as_bytes(), &path, b".", b"/") {
        Ok(file) => file,
        Err(message) => return vm.ret_bytes(&message),
    };
    let env = Value::table(vm.globals);
    match load::load_file(vm, Some(&file), Mode::ANY, env)? {
        Ok(loader) => {
            vm.push(loader);
            let file = vm.new_string(&file)?;
            vm.push(file);
            Ok(Act::returning(2))
        }
        Err(message) => Err(load_error(vm, name.as_bytes(), &file, &message)),
    }
}

fn load_error(vm: &mut Vm, name: &[u8], file: &[u8], message: &[u8]) -> Throw {
    let text = [
        b"error loading module '",
        name,
        b"' from file '",
        file,
        b"':\n\t",
        message,
    ]
    .concat();
    vm.fail_bytes(&text)
}

fn searcher_c(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?;
    search_c(vm, name.as_bytes(), name.as_bytes())
}

/// Looks for the library of a submodule's root.
fn searcher_c_root(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?;
    match name.bytes().iter().position(|&b| b == b'.') {
        Some(dot) => search_c(vm, name.as_bytes(), &name.as_bytes()[..dot]),
        None => vm.ret_none(),
    }
}

fn search_c(vm: &mut Vm, name: &[u8], root: &[u8]) -> NativeResult {
    let path = path_field(vm, "cpath")?;
    if path.is_empty() {
        // The usual case here: nothing to look for.
        return if name == root {
            vm.ret_bytes(b"no C libraries in this Lua")
        } else {
            vm.ret_none()
        };
    }
    match find_file(vm, root, &path, b".", b"/") {
        Ok(file) => Err(load_error(vm, name, &file, NO_C.as_bytes())),
        Err(message) => vm.ret_bytes(&message),
    }
}

/// The first readable file of a path's templates, or the list of those that are not.
fn find_file(
    vm: &mut Vm,
    name: &[u8],
    path: &[u8],
    separator: &[u8],
    replacement: &[u8],
) -> Result<Vec<u8>, Vec<u8>> {
    let name = if separator.is_empty() {
        name.to_vec()
    } else {
        replaced(name, separator, replacement)
    };
    let path = replaced(path, b"?", &name);
    vm.charge(path.len() as u64 / 16);
    if !path.is_empty() {
        for file in path.split(|&b| b == b';') {
            if vm.host.readable(file) {
                return Ok(file.to_vec());
            }
        }
    }
    Err([
        b"no file '",
        replaced(&path, b";", b"'\n\tno file '").as_slice(),
        b"'",
    ]
    .concat())
}

/// `text` with every `from` (not empty) replaced.
fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

/// `package.searchpath (name, path [, sep [, rep]])`
fn searchpath(vm: &mut Vm) -> NativeResult {
    let name = vm.check_str(0)?;
    let path = vm.check_str(1)?;
    let separator = vm.opt_str(2)?;
    let replacement = vm.opt_str(3)?;
    let separator = separator.map_or(&b"."[..], |s| s.as_bytes());
    let replacement = replacement.map_or(&b"/"[..], |s| s.as_bytes());
    match find_file(vm, name.as_bytes(), path.as_bytes(), separator, replacement) {
        Ok(file) => vm.ret_bytes(&file),
        Err(message) => {
            let message = vm.new_string(&message)?;
            vm.push(Value::NIL);
            vm.push(message);
            Ok(Act::returning(2))
        }
    }
}

/// `package.loadlib (libname, funcname)`
fn loadlib(vm: &mut Vm) -> NativeResult {
    vm.check_str(0)?;
    vm.check_str(1)?;
    vm.push(Value::NIL);
    for text in [NO_C, "absent"] {
        let text = vm.new_string(text.as_bytes())?;
        vm.push(text);
    }
    Ok(Act::returning(3))
}
