//! Source text or a binary chunk to a function value: what `load`, `require` and the embedder's `load` share.

use crate::bytecode::{chunk, verify};
use crate::heap::object::Gc;
use crate::heap::value::Value;
use crate::syntax::parser::{self, Limits};
use crate::vm::error::chunk_id;
use crate::vm::{Throw, Vm};
use std::sync::Arc;

/// Which kinds of chunk are welcome, as `load`'s mode says it: text if it has a `t`, binary if it has a `b`.
#[derive(Clone, Copy, Debug)]
pub struct Mode<'a>(pub &'a [u8]);

impl Mode<'_> {
    pub const ANY: Mode<'static> = Mode(b"bt");
}

/// Loads a file that the host reads (`None`: its standard input), without a byte order mark and a first line that starts with `#`.
pub fn load_file(
    vm: &mut Vm,
    path: Option<&[u8]>,
    mode: Mode<'_>,
    env: Value,
) -> Result<Result<Value, Vec<u8>>, Throw> {
    let bytes = match vm.host.read_file(path) {
        Ok(bytes) => bytes,
        Err(e) => {
            // A directory opens, but does not read.
            const EISDIR: i32 = 21;
            let what: &[u8] = if e.code == EISDIR {
                b"cannot read "
            } else {
                b"cannot open "
            };
            return Ok(Err([
                what,
                path.unwrap_or(b"stdin"),
                b": ",
                e.message.as_bytes(),
            ]
            .concat()));
        }
    };
    let name = match path {
        Some(path) => [b"@", path].concat(),
        None => b"=stdin".to_vec(),
    };
    let mut chunk = parser::skip_shebang(&bytes);
    // A binary chunk may follow the first line.
    if chunk.len() < bytes.len() && chunk.starts_with(b"\n\x1b") {
        chunk = &chunk[1..];
    }
    load(vm, chunk, &name, mode, env)
}

/// Charges for the loading of so many bytes, and loads them ([`load_paid`]).
pub fn load(
    vm: &mut Vm,
    bytes: &[u8],
    name: &[u8],
    mode: Mode<'_>,
    env: Value,
) -> Result<Result<Value, Vec<u8>>, Throw> {
    vm.charge(price(bytes.len()));
    load_paid(vm, bytes, name, mode, env)
}

/// What loading so many bytes costs.
pub fn price(len: usize) -> u64 {
    len as u64 / 16
}

/// Compiles or undumps a chunk to a main function whose first upvalue is `env` (the rest are nil). The outer error is the engine's (memory);
/// the inner one is the chunk's message. This is one step, however long the chunk.
pub fn load_paid(
    vm: &mut Vm,
    bytes: &[u8],
    name: &[u8],
    mode: Mode<'_>,
    env: Value,
) -> Result<Result<Value, Vec<u8>>, Throw> {
    let binary = bytes.first() == Some(&0x1b);
    if !mode.0.contains(if binary { &b'b' } else { &b't' }) {
        let kind: &[u8] = if binary { b"binary" } else { b"text" };
        return Ok(Err([
            b"attempt to load a ",
            kind,
            b" chunk (mode is '",
            mode.0,
            b"')",
        ]
        .concat()));
    }
    // Trees and decoded chunks are not in the heap, so they are held to what it has left: half of it, since vectors double.
    let room = vm.heap.room() / 2;
    let proto = if binary {
        let shown = match name.first() {
            Some(b'@' | b'=') => String::from_utf8_lossy(&name[1..]).into_owned(),
            Some(0x1b) => "binary string".to_string(),
            _ => String::from_utf8_lossy(name).into_owned(),
        };
        let defaults = chunk::Limits::default();
        let chunk_limits = chunk::Limits {
            bytes_max: defaults.bytes_max.min(room),
            ..defaults
        };
        let proto = match chunk::undump(bytes, &chunk_limits) {
            Ok(proto) => proto,
            Err(e) => return Ok(Err(format!("{shown}: {e}").into_bytes())),
        };
        if let Err(e) = verify::verify(&proto) {
            return Ok(Err(format!("{shown}: {e}").into_bytes()));
        }
        proto
    } else {
        let limits = Limits {
            nesting: vm.limits.syntax_nesting,
            memory: room,
        };
        let compiled = parser::parse(bytes, &limits)
            .and_then(|tree| crate::compile::compile(&tree, Arc::from(name)));
        match compiled {
            Ok(proto) => proto,
            Err(e) => {
                let mut message = chunk_id(name);
                message.extend(format!(":{}: ", e.line).into_bytes());
                message.extend_from_slice(&e.message);
                return Ok(Err(message));
            }
        }
    };
    debug_assert!(
        verify::verify(&proto).is_ok(),
        "the compiler's code passes the verifier"
    );
    let count = proto.upvals.len();
    let proto = vm.heap.load_proto(&proto)?;
    let mut upvals = Vec::with_capacity(count);
    for i in 0..count {
        upvals.push(vm.heap.upvalue(if i == 0 { env } else { Value::NIL })?);
    }
    let closure = vm.heap.lua_closure(proto, count)?;
    for (i, up) in upvals.into_iter().enumerate() {
        closure.set_upval(i, up);
    }
    let _: Gc<_> = closure;
    Ok(Ok(Value::lua_closure(closure)))
}
