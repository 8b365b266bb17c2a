//! Debug hooks (manual 6.10, `debug.sethook`): what a coroutine's hook is and when it fires. Only the tracing loop looks at this.

use super::native::Throw;
use super::Vm;
use crate::heap::value::Value;

/// Which events a hook wants.
pub mod mask {
    pub const CALL: u8 = 1;
    pub const RETURN: u8 = 2;
    pub const LINE: u8 = 4;
    pub const COUNT: u8 = 8;
}

/// A coroutine's hook.
#[derive(Clone, Copy)]
pub struct Hook {
    pub function: Value,
    pub mask: u8,
    /// Instructions between two count events.
    pub count: u32,
    pub count_left: u32,
    /// Where the last instruction was: frame depth and instruction index, to tell a new line.
    pub last_depth: usize,
    pub last_pc: usize,
    /// The event of the instruction at `last_pc` has been delivered: do not deliver it again when it is entered after the hook.
    pub delivered: bool,
}

/// What the tracing loop and the call machinery ask. Each returns true when a hook's call has been pushed: the frames have
/// changed, and what asked must be executed again afterwards.
impl Vm {
    /// Before each instruction of the tracing loop.
    pub(crate) fn trace_instruction(&mut self) -> Result<bool, Throw> {
        Ok(false)
    }
    /// Before a native's first entry.
    pub(crate) fn hook_native_call(&mut self) -> Result<bool, Throw> {
        Ok(false)
    }
    /// Before a native returns its top `n` slots.
    pub(crate) fn hook_native_return(&mut self, _n: u32) -> Result<bool, Throw> {
        Ok(false)
    }
    /// Before a Lua function returns `count` values from `first` on; `top` is behind them.
    pub(crate) fn hook_lua_return(&mut self, _first: usize, _count: usize) -> Result<bool, Throw> {
        Ok(false)
    }
}
