//! Names for messages: which variable a failing instruction was about, and by which name a function was called (the reference
//! does the same by symbolic execution of the bytecode; manual 4.7, `lua_getinfo` "n").

use super::Vm;
use crate::heap::value::Value;

/// Kind and name, such as ("local", "user") or ("method", "close").
pub type Name = (&'static str, String);

impl Vm {
    /// The variable that holds the offending operand `value` of the current instruction, if the bytecode tells.
    pub(crate) fn variable_name(&self, _value: Value) -> Option<Name> {
        None
    }

    /// How the function in frame `index` was called, read from its caller's code.
    pub(crate) fn call_name(&self, _index: usize) -> Option<Name> {
        None
    }

    /// The name of the local variable in register `r` at the current instruction of the top Lua frame.
    pub(crate) fn local_name(&self, _r: u8) -> Option<String> {
        None
    }

    /// How the running native was called.
    pub(crate) fn native_call_name(&self) -> Option<Name> {
        self.call_name(self.exec.frame_count - 1)
    }
}
