//! Functions put together from their parts: a binary chunk and the variables it captures. For whoever stores functions outside the engine
//! and reads them back; the bytes may come from anywhere, since they pass the verifier.

use crate::bytecode::{chunk, verify};
use crate::heap::function::Upvalue;
use crate::heap::object::Gc;
use crate::heap::value::Value;
use crate::vm::{Throw, Vm};

/// A function whose upvalues are these variables. `None` if the bytes are not a sound chunk for so many variables, or one that would take
/// more than `bytes_max` bytes.
pub fn assemble(
    vm: &mut Vm,
    bytes: &[u8],
    cells: &[Gc<Upvalue>],
    bytes_max: usize,
) -> Result<Option<Value>, Throw> {
    let limits = chunk::Limits {
        bytes_max,
        ..chunk::Limits::default()
    };
    let Ok(proto) = chunk::undump(bytes, &limits) else {
        return Ok(None);
    };
    if proto.upvals.len() != cells.len() || verify::verify(&proto).is_err() {
        return Ok(None);
    }
    let proto = vm.heap.load_proto(&proto)?;
    let closure = vm.heap.lua_closure(proto, cells.len())?;
    for (i, &cell) in cells.iter().enumerate() {
        closure.set_upval(i, cell);
    }
    Ok(Some(Value::lua_closure(closure)))
}

/// Sets a captured variable.
pub fn set_variable(vm: &mut Vm, cell: Gc<Upvalue>, value: Value) {
    vm.heap.barrier(cell);
    cell.put(value);
}
