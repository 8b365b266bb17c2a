//! Finalizers (`__gc`): calling those that are due, one at a time, on top of whatever Lua function is running; and giving an object a
//! metatable that may have one.
//!
//! While one runs the collector stands still and hooks are off, so `Vm::finalizing` and `gc.suspended` go together with a frame that has
//! [`frame_flag::FINALIZER`]: whoever drops that frame calls `finalizer_ended`.

use super::Vm;
use super::meta::Event;
use super::native::{Throw, Thrown};
use crate::heap::coroutine::{frame_flag, kind};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;

impl Vm {
    /// Calls the next due finalizer on top of the top Lua frame. Errors in it become warnings.
    /// False when none is due.
    pub(crate) fn call_finalizer(&mut self) -> Result<bool, Throw> {
        if self.finalizing || self.heap.gc.suspended {
            return Ok(false);
        }
        while let Some(object) = self.heap.next_finalizable() {
            let loaded = self.touch(object);
            if let Err(throw) = loaded {
                return Err(self.finalizer_waits(throw));
            }
            let handler = self.metamethod(object, Event::Gc);
            if handler.is_nil() {
                self.heap.take_finalizable();
                continue;
            }
            let saved = self.exec.top;
            if self.exec.frame().kind == kind::LUA {
                self.open_top();
            }
            self.ensure_stack(4)?;
            self.save_top(saved);
            let func = self.exec.top;
            self.exec.push(handler);
            self.exec.push(object);
            self.finalizing = true;
            self.heap.gc.suspended = true;
            self.tracing = false;
            match self.begin_call(func, 1, 0, frame_flag::FINALIZER | frame_flag::NO_YIELD) {
                Ok(()) => {
                    self.heap.take_finalizable();
                    return Ok(true);
                }
                // Who is to be called is in the store; the object stays the next one.
                Err(throw) if self.thrown() == Thrown::Fault => {
                    self.exec.top = saved;
                    self.finalizer_ended();
                    return Err(self.finalizer_waits(throw));
                }
                // It cannot be called at all: also that is only worth a warning.
                Err(_) => {
                    self.exec.top = saved;
                    self.heap.take_finalizable();
                    self.finalizer_ended();
                    self.warn_finalizer_error();
                }
            }
        }
        Ok(false)
    }

    /// A finalizer that has met something which is in the store only: the instruction before is done, and it comes first when the store has answered.
    fn finalizer_waits(&mut self, throw: Throw) -> Throw {
        if self.thrown() == Thrown::Fault && self.exec.frame().kind == kind::LUA {
            self.finalizers_due = true;
            self.between_instructions = true;
        }
        throw
    }

    pub(crate) fn finalizer_ended(&mut self) {
        self.finalizing = false;
        self.heap.gc.suspended = false;
        self.update_tracing();
        self.finalizers_due = !self.heap.gc.to_finalize.is_empty();
    }

    /// Puts every object that has a finalizer on the list of those whose turn it is, the newest first: the engine closes.
    /// Objects that get one later are not called.
    pub fn finalize_everything(&mut self) {
        self.heap.finalize_all();
    }

    /// The next finalizer that is due, and its object. From here on the collector stands still.
    pub fn next_finalizer(&mut self) -> Option<(Value, Value)> {
        while let Some(object) = self.heap.take_finalizable() {
            if self.touch(object).is_err() {
                continue;
            }
            let handler = self.metamethod(object, Event::Gc);
            if !handler.is_nil() {
                self.finalizing = true;
                self.heap.gc.suspended = true;
                return Some((handler, object));
            }
        }
        None
    }

    /// Gives a table another metatable, or none.
    pub fn set_table_metatable(&mut self, table: Gc<Table>, metatable: Option<Gc<Table>>) {
        self.heap.barrier(table);
        self.heap.set_external_metatable(table, metatable);
        if let Some(mt) = metatable
            && !self.event_of(mt, Event::Gc).is_nil()
        {
            self.heap.mark_for_finalization(table.header());
        }
    }
}
