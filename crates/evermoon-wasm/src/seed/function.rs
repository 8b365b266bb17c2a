//! Functions as values of external tables: tag 05 with a payload of our own, which keeps what a function captures.
//!
//! ```text
//! payload    head, object 0 (a variable that holds the value), object 1, …       to the end of the bytes
//! object     'F' chunk (counted), count, that many variables (object numbers)
//!            'V' value                                               a captured variable
//!            'T' metatable (value), count, that many keys and values
//! value      a kind byte, then: integer or float, 8 bytes; text, counted; object number; table number
//! ```
//! Counts and numbers are LEB128, everything else little-endian. Objects are numbered in the order in which a walk from the function meets
//! them, so sharing and cycles inside one stored function survive; between two stored functions nothing is shared. Captured plain tables
//! are copied with their metatables. Globals, library tables and native functions are stored by name and found again by it.
//!
//! Reading takes bytes from anywhere: they are parsed wholly, with their numbers checked, before an object is made, and code passes
//! the engine's verifier.

use super::codec::VALUE_MAX;
use super::proxy;
use evermoon::bytecode::chunk;
use evermoon::heap::function::{LuaClosure, Upvalue};
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::{Type, Value, tag as lua};
use evermoon::ordered::Map;
use evermoon::stdlib::{self, closure};
use evermoon::vm::{Throw, Vm};

/// ESC, so that the original takes it for a bad chunk and reads nil.
const HEAD: &[u8] = b"\x1bEvermoon function 1\n";

/// What a chunk may take in memory when it is read, in bytes.
const CHUNK_BYTES_MAX: usize = 16 << 20;

/// Kinds of values.
mod kind {
    pub const NIL: u8 = 0;
    pub const FALSE: u8 = 1;
    pub const TRUE: u8 = 2;
    pub const INT: u8 = 3;
    pub const FLOAT: u8 = 4;
    pub const STRING: u8 = 5;
    pub const OBJECT: u8 = 6;
    pub const EXTERNAL: u8 = 7;
    pub const GLOBALS: u8 = 8;
    pub const NATIVE: u8 = 9;
    pub const LIBRARY: u8 = 10;
    pub const BIGINT: u8 = 11;
}

/// Whether a chunk is of this format.
pub fn is_ours(bytes: &[u8]) -> bool {
    bytes.starts_with(HEAD)
}

/// The function behind `name` or `library.name` now, if it is one.
pub fn named(vm: &mut Vm, name: &str) -> Result<Option<Value>, Throw> {
    let found = match name.split_once('.') {
        None => {
            let globals = vm.globals;
            vm.raw_get_name(globals, name)?
        }
        Some((library, name)) => match loaded_library(vm, library)? {
            Some(table) => vm.raw_get_name(table, name)?,
            None => Value::NIL,
        },
    };
    Ok(found.is_function().then_some(found))
}

fn loaded_library(vm: &mut Vm, name: &str) -> Result<Option<Gc<Table>>, Throw> {
    let loaded = stdlib::loaded(vm)?;
    Ok(vm.raw_get_name(loaded, name)?.as_table())
}

// ---- writing ----

/// Appends a function, or another value that only this format can hold (a big integer). The inner error says what cannot be stored.
pub fn encode(vm: &mut Vm, v: Value, out: &mut Vec<u8>) -> Result<Result<(), String>, Throw> {
    let mut writer = Writer {
        out: HEAD.to_vec(),
        objects: Vec::new(),
        numbers: Map::new(),
    };
    if let Err(problem) = writer.write(vm, v)? {
        return Ok(Err(problem));
    }
    out.push(super::codec::tag::FUNCTION);
    out.extend((writer.out.len() as u32).to_le_bytes());
    out.append(&mut writer.out);
    Ok(Ok(()))
}

enum Object {
    Function(Gc<LuaClosure>),
    Variable(Gc<Upvalue>),
    Table(Gc<Table>),
}

struct Writer {
    out: Vec<u8>,
    /// In the order of their numbers; those behind the one being written are still to come.
    objects: Vec<Object>,
    numbers: Map<usize, u64>,
}

impl Writer {
    fn write(&mut self, vm: &mut Vm, v: Value) -> Result<Result<(), String>, Throw> {
        // The first object is a variable that holds the value, so that any value can be at the root.
        let root = vm.heap.upvalue(v)?;
        self.number(Object::Variable(root));
        let mut at = 0;
        while at < self.objects.len() {
            let step = match &self.objects[at] {
                Object::Function(c) => {
                    let c = *c;
                    self.function(vm, c)
                }
                Object::Variable(up) => {
                    let v = up.get();
                    self.out.push(b'V');
                    self.value(vm, v)?
                }
                Object::Table(t) => {
                    let t = *t;
                    self.table(vm, t)?
                }
            };
            if step.is_err() {
                return Ok(step);
            }
            if self.out.len() + 5 > VALUE_MAX {
                return Ok(Err(format!(
                    "a function that takes more than {VALUE_MAX} bytes with what it captures"
                )));
            }
            at += 1;
        }
        Ok(Ok(()))
    }

    fn number(&mut self, object: Object) -> u64 {
        let address = match &object {
            Object::Function(c) => c.address(),
            Object::Variable(up) => up.address(),
            Object::Table(t) => t.address(),
        };
        let next = self.objects.len() as u64;
        *self.numbers.get_or_insert_with(address, || {
            self.objects.push(object);
            next
        })
    }

    fn function(&mut self, vm: &mut Vm, c: Gc<LuaClosure>) -> Result<(), String> {
        let chunk = chunk::dump(&vm.heap.plain_proto(c.proto), false);
        vm.charge(chunk.len() as u64 / 16);
        self.out.push(b'F');
        self.text(&chunk);
        self.count(c.upvals().len() as u64);
        for &up in c.upvals() {
            let number = self.number(Object::Variable(up));
            self.count(number);
        }
        Ok(())
    }

    fn table(&mut self, vm: &mut Vm, t: Gc<Table>) -> Result<Result<(), String>, Throw> {
        self.out.push(b'T');
        let metatable = vm
            .metatable_of(Value::table(t))
            .map_or(Value::NIL, Value::table);
        if let Err(problem) = self.value(vm, metatable)? {
            return Ok(Err(problem));
        }
        let (mut entries, mut key, mut hint) = (0, Value::NIL, 0);
        while let Ok(Some((k, _))) = t.next(key, &mut hint) {
            (key, entries) = (k, entries + 1);
        }
        self.count(entries);
        (key, hint) = (Value::NIL, 0);
        while let Ok(Some((k, v))) = t.next(key, &mut hint) {
            key = k;
            vm.charge(1);
            for part in [k, v] {
                if let Err(problem) = self.value(vm, part)? {
                    return Ok(Err(problem));
                }
            }
            if self.out.len() > VALUE_MAX {
                break;
            }
        }
        Ok(Ok(()))
    }

    fn value(&mut self, vm: &mut Vm, v: Value) -> Result<Result<(), String>, Throw> {
        match v.tag {
            lua::NIL => self.out.push(kind::NIL),
            lua::FALSE => self.out.push(kind::FALSE),
            lua::TRUE => self.out.push(kind::TRUE),
            lua::INT | lua::FLOAT => {
                self.out
                    .push(if v.is_int() { kind::INT } else { kind::FLOAT });
                self.out.extend(v.bits.to_le_bytes());
            }
            lua::STR | lua::LONG_STR => {
                let bytes = v.as_str().map_or(&[][..], |s| s.as_bytes());
                if bytes.len() > VALUE_MAX {
                    return Ok(Err(format!(
                        "a function that captures a string of {} bytes",
                        bytes.len()
                    )));
                }
                self.out.push(kind::STRING);
                self.text(bytes);
            }
            lua::TABLE => return self.table_value(vm, v).map(Ok),
            lua::LUA_CLOSURE => {
                if let Some(c) = v.as_lua_closure() {
                    self.object(Object::Function(c));
                }
            }
            lua::NATIVE => return self.native(vm, v),
            _ => {
                if let Some(digits) = evermoon_bigint::to_decimal(vm, v)? {
                    self.out.push(kind::BIGINT);
                    self.text(digits.as_bytes());
                    return Ok(Ok(()));
                }
                let what = match v.type_of() {
                    Type::Thread => "a coroutine",
                    Type::Function => "a function of the engine's that has state",
                    _ => "a userdata",
                };
                let captured = if self.objects.len() > 1 {
                    "a function that captures "
                } else {
                    ""
                };
                return Ok(Err(format!("{captured}{what}")));
            }
        }
        Ok(Ok(()))
    }

    fn table_value(&mut self, vm: &mut Vm, v: Value) -> Result<(), Throw> {
        let Some(table) = v.as_table() else {
            return Ok(());
        };
        if table.address() == vm.globals.address() {
            self.out.push(kind::GLOBALS);
        } else if let Some(id) = proxy::id_of(vm, v) {
            self.out.push(kind::EXTERNAL);
            self.count(id as u64);
        } else if let Some(name) = library_name(vm, table)? {
            self.out.push(kind::LIBRARY);
            self.text(&name);
        } else {
            self.object(Object::Table(table));
        }
        Ok(())
    }

    fn native(&mut self, vm: &mut Vm, v: Value) -> Result<Result<(), String>, Throw> {
        let name = vm
            .natives
            .get(v.bits as usize)
            .map(|n| n.full_name())
            .unwrap_or_default();
        // Only what the name leads back to.
        if !named(vm, &name)?.is_some_and(|f| f.raw_equals(v)) {
            return Ok(Err(format!(
                "the built-in function '{name}', which that name does not lead to"
            )));
        }
        self.out.push(kind::NATIVE);
        self.text(name.as_bytes());
        Ok(Ok(()))
    }

    fn object(&mut self, object: Object) {
        let number = self.number(object);
        self.out.push(kind::OBJECT);
        self.count(number);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.count(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn count(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }
}

/// The name under which `package.loaded` has a table.
fn library_name(vm: &mut Vm, table: Gc<Table>) -> Result<Option<Vec<u8>>, Throw> {
    let loaded = stdlib::loaded(vm)?;
    let (mut key, mut hint) = (Value::NIL, 0);
    while let Ok(Some((k, v))) = loaded.next(key, &mut hint) {
        key = k;
        if let (Some(name), Some(t)) = (k.as_str(), v.as_table())
            && t.address() == table.address()
        {
            return Ok(Some(name.bytes().to_vec()));
        }
    }
    Ok(None)
}

// ---- reading ----

/// The value of a payload; `None` for bytes that are not one.
pub fn decode(vm: &mut Vm, bytes: &[u8]) -> Result<Option<Value>, Throw> {
    let Some(body) = bytes.strip_prefix(HEAD) else {
        return Ok(None);
    };
    vm.charge(bytes.len() as u64 / 8);
    let Some(parts) = (Reader { bytes: body }).parts() else {
        return Ok(None);
    };
    build(vm, &parts)
}

/// A value as it stands in the bytes.
enum Plain<'a> {
    Value(Value),
    String(&'a [u8]),
    Object(usize),
    External(u32),
    Globals,
    Native(&'a [u8]),
    Library(&'a [u8]),
    Bigint(&'a [u8]),
}

/// An object as it stands in the bytes.
enum Part<'a> {
    Function {
        chunk: &'a [u8],
        variables: Vec<usize>,
    },
    Variable(Plain<'a>),
    Table {
        metatable: Plain<'a>,
        entries: Vec<(Plain<'a>, Plain<'a>)>,
    },
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn parts(mut self) -> Option<Vec<Part<'a>>> {
        let mut parts = Vec::new();
        while !self.bytes.is_empty() {
            let part = match self.byte()? {
                b'F' => {
                    let chunk = self.text()?;
                    // A function has at most 255 variables.
                    let count = self.count().filter(|&n| n <= 255)?;
                    let variables = (0..count).map(|_| self.count()).collect::<Option<_>>()?;
                    Part::Function { chunk, variables }
                }
                b'V' => Part::Variable(self.value()?),
                b'T' => {
                    let metatable = self.value()?;
                    // Each entry takes two bytes at least.
                    let count = self.count().filter(|&n| n <= self.bytes.len() / 2)?;
                    let mut entries = Vec::new();
                    for _ in 0..count {
                        entries.push((self.value()?, self.value()?));
                    }
                    Part::Table { metatable, entries }
                }
                _ => return None,
            };
            parts.push(part);
        }
        Some(parts)
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn count(&mut self) -> Option<usize> {
        let mut n = 0u32;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            n |= (byte as u32 & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n as usize);
            }
        }
        // Table numbers may take 31 bits; nothing else comes near.
        let byte = self.byte().filter(|&b| b < 8)?;
        Some((n | (byte as u32) << 28) as usize)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.count()?;
        let (text, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(text)
    }

    fn eight(&mut self) -> Option<u64> {
        let (bits, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*bits))
    }

    fn value(&mut self) -> Option<Plain<'a>> {
        Some(match self.byte()? {
            kind::NIL => Plain::Value(Value::NIL),
            kind::FALSE => Plain::Value(Value::FALSE),
            kind::TRUE => Plain::Value(Value::TRUE),
            kind::INT => Plain::Value(Value::int(self.eight()? as i64)),
            kind::FLOAT => Plain::Value(Value::float(f64::from_bits(self.eight()?))),
            kind::STRING => Plain::String(self.text()?),
            kind::OBJECT => Plain::Object(self.count()?),
            kind::EXTERNAL => Plain::External(self.count()? as u32),
            kind::GLOBALS => Plain::Globals,
            kind::NATIVE => Plain::Native(self.text()?),
            kind::LIBRARY => Plain::Library(self.text()?),
            kind::BIGINT => Plain::Bigint(self.text()?),
            _ => return None,
        })
    }
}

/// What has been made of a part.
#[derive(Clone, Copy)]
enum Built {
    Variable(Gc<Upvalue>),
    Value(Value),
    /// Not yet.
    Nothing,
}

fn build(vm: &mut Vm, parts: &[Part<'_>]) -> Result<Option<Value>, Throw> {
    // Variables and tables first, empty; then the functions, which need variables; then what is in variables and tables.
    let mut built = Vec::with_capacity(parts.len());
    for part in parts {
        built.push(match part {
            Part::Function { .. } => Built::Nothing,
            Part::Variable(_) => Built::Variable(vm.heap.upvalue(Value::NIL)?),
            Part::Table { .. } => Built::Value(Value::table(vm.new_table()?)),
        });
    }
    let mut bytes_left = CHUNK_BYTES_MAX;
    for (i, part) in parts.iter().enumerate() {
        let Part::Function { chunk, variables } = part else {
            continue;
        };
        let mut cells = Vec::with_capacity(variables.len());
        for &number in variables {
            let Some(Built::Variable(cell)) = built.get(number) else {
                return Ok(None);
            };
            cells.push(*cell);
        }
        // The bytes of all functions together are bounded, not only those of each.
        let before = vm.heap.bytes();
        let Some(function) = closure::assemble(vm, chunk, &cells, bytes_left)? else {
            return Ok(None);
        };
        bytes_left = bytes_left.saturating_sub(vm.heap.bytes().saturating_sub(before));
        built[i] = Built::Value(function);
    }
    for (i, part) in parts.iter().enumerate() {
        match (part, built[i]) {
            (Part::Variable(plain), Built::Variable(cell)) => {
                let Some(v) = resolve(vm, plain, &built)? else {
                    return Ok(None);
                };
                closure::set_variable(vm, cell, v);
            }
            (Part::Table { metatable, entries }, Built::Value(v)) => {
                let Some(table) = v.as_table() else {
                    continue;
                };
                for (key, value) in entries {
                    let (Some(key), Some(value)) =
                        (resolve(vm, key, &built)?, resolve(vm, value, &built)?)
                    else {
                        return Ok(None);
                    };
                    if key.is_nil() || key.as_float().is_some_and(f64::is_nan) {
                        return Ok(None);
                    }
                    vm.raw_set(table, key, value)?;
                }
                match resolve(vm, metatable, &built)? {
                    Some(mt) if mt.is_nil() => {}
                    Some(mt) if mt.is_table() => table.set_metatable(mt.as_table()),
                    _ => return Ok(None),
                }
            }
            _ => {}
        }
    }
    Ok(match built.first() {
        Some(Built::Variable(cell)) => Some(cell.get()),
        _ => None,
    })
}

/// The Lua value of a plain one; `None` for a number that names no value.
fn resolve(vm: &mut Vm, plain: &Plain<'_>, built: &[Built]) -> Result<Option<Value>, Throw> {
    Ok(match plain {
        Plain::Value(v) => Some(*v),
        Plain::String(s) => Some(vm.new_string(s)?),
        Plain::Object(number) => match built.get(*number) {
            Some(Built::Value(v)) => Some(*v),
            _ => None,
        },
        Plain::External(id) if (1..=i32::MAX as u32).contains(id) => Some(proxy::of(vm, *id)?),
        Plain::External(_) => None,
        Plain::Globals => Some(Value::table(vm.globals)),
        // A library or function that this build does not have is nil, as an unknown global is.
        Plain::Native(name) => match std::str::from_utf8(name) {
            Ok(name) => Some(named(vm, name)?.unwrap_or(Value::NIL)),
            Err(_) => None,
        },
        Plain::Library(name) => match std::str::from_utf8(name) {
            Ok(name) => Some(loaded_library(vm, name)?.map_or(Value::NIL, Value::table)),
            Err(_) => None,
        },
        Plain::Bigint(digits) => evermoon_bigint::from_decimal(vm, digits)?,
    })
}
