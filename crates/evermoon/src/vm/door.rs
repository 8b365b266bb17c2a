//! What the embedder's side needs of the VM beyond `enter`, `run` and `leave`: giving up an entry, and coroutines that the host drives.

use super::Vm;
use super::error::{UNWINDING, error_slot};
use super::meta::Event;
use super::native::Throw;
use crate::heap::coroutine::{Coroutine, Status, frame_flag, kind};
use crate::heap::object::Gc;
use crate::heap::table::Table;
use crate::heap::value::Value;

/// Where the host has entered: what [`Vm::abandon`] goes back to.
#[derive(Clone, Copy)]
pub struct Entry {
    coroutine: Gc<Coroutine>,
    frame: usize,
}

/// What a host-driven coroutine interrupted, and gets back when it is parked.
pub struct Outside {
    pub coroutine: Gc<Coroutine>,
    depth: u32,
    host_coroutine: bool,
}

impl Vm {
    /// As [`Vm::enter`], and says where that was. The coroutine is kept alive by being current, or by those that it resumes.
    pub fn enter_at(
        &mut self,
        function: Value,
        args: &[Value],
        handler: Option<Value>,
    ) -> Result<Entry, Throw> {
        let entry = Entry {
            coroutine: self.current,
            frame: self.exec.frame_count,
        };
        self.enter(function, args, handler)?;
        Ok(entry)
    }

    /// Gives up a run: drops everything above and including the entry without running anything of it. Variables that were to be closed
    /// are not. This is how a limit that no `pcall` may catch ends.
    pub fn abandon(&mut self, entry: Entry) {
        self.abandon_coroutines(entry);
        if let Some(frame) = self.exec.frames().get(entry.frame) {
            let func = frame.func as usize;
            self.drop_stack(entry.frame, func);
        }
        self.handler_returned = false;
    }

    /// Gives up a run in good order, as `os.exit(code, true)` wants it: drops everything above the entry, and lets the entry close the
    /// variables that were to be closed. Run again until [`Exit::Failed`](super::Exit::Failed), whose error is nil unless a
    /// `__close` method failed; then `leave`. Coroutines that were running inside are dropped as they are.
    pub fn unwind_entry(&mut self, entry: Entry) {
        self.abandon_coroutines(entry);
        if entry.frame >= self.exec.frame_count {
            return;
        }
        if self.exec.frames()[entry.frame..]
            .iter()
            .any(|f| f.flags & frame_flag::FINALIZER != 0)
        {
            self.finalizer_ended();
        }
        self.drop_frames(entry.frame + 1);
        let slot = error_slot(self.exec.frame());
        self.exec.set(slot, Value::NIL);
        self.exec.frame_mut().state = UNWINDING;
        self.handler_returned = false;
        self.exit_requested = None;
    }

    /// Leaves the coroutines that are running inside the entry's, dead.
    fn abandon_coroutines(&mut self, entry: Entry) {
        while self.current != entry.coroutine && self.current.resumer.is_some() {
            self.drop_stack(0, 0);
            self.coroutine_depth = self.coroutine_depth.saturating_sub(1);
            self.switch_back(Status::Dead);
        }
    }

    fn drop_stack(&mut self, frame: usize, slot: usize) {
        let finalizing = self.exec.frames()[frame..]
            .iter()
            .any(|f| f.flags & frame_flag::FINALIZER != 0);
        if finalizing {
            self.finalizer_ended();
        }
        self.drop_frames(frame);
        self.close_upvalues(slot);
        self.exec.tbc.retain(|&at| (at as usize) < slot);
        self.exec.top = slot;
    }

    /// An empty coroutine for the host to drive.
    pub fn new_host_coroutine(&mut self) -> Result<Gc<Coroutine>, Throw> {
        let mut co = self.heap.coroutine()?;
        // Lua code that gets hold of it can neither resume nor close it.
        co.status = Status::Normal;
        Ok(co)
    }

    /// Makes `inner` current: a host-driven coroutine, or the one inside it that was current when it was parked. `depth` is what
    /// `park` gave. The caller keeps both coroutines rooted.
    pub fn unpark(&mut self, inner: Gc<Coroutine>, depth: u32) -> Outside {
        let outside = Outside {
            coroutine: self.current,
            depth: self.coroutine_depth,
            host_coroutine: self.host_coroutine,
        };
        self.current.status = Status::Normal;
        self.coroutine_depth = depth;
        self.host_coroutine = true;
        self.switch_to(inner);
        self.current.status = Status::Running;
        outside
    }

    /// Puts the current coroutine aside and goes back to what `unpark` interrupted. Gives the coroutine and its depth.
    pub fn park(&mut self, outside: Outside, finished: bool) -> (Gc<Coroutine>, u32) {
        let mut inner = self.current;
        let depth = self.coroutine_depth;
        self.switch_to(outside.coroutine);
        // Not `Suspended`: only the host may go on with it.
        inner.status = if finished {
            Status::Dead
        } else {
            Status::Normal
        };
        self.current.status = Status::Running;
        self.coroutine_depth = outside.depth;
        self.host_coroutine = outside.host_coroutine;
        (inner, depth)
    }

    /// Gives the values of a host's resume to the native that yielded.
    pub fn finish_yield(&mut self, values: &[Value]) -> Result<(), Throw> {
        let slots = self.slots();
        self.ensure_stack(values.len())?;
        for &v in values {
            self.push(v);
        }
        debug_assert_eq!(self.slots(), slots + values.len());
        self.native_ends(values.len())
    }

    /// The value in a slot of the handle table, for a host that keeps track of its slots itself.
    pub(crate) fn held_slot(&self, slot: u32) -> Value {
        self.handles
            .get(slot as usize)
            .map_or(Value::NIL, |(v, _)| *v)
    }

    /// Lets go of a slot; the host has seen to it that this happens once.
    pub(crate) fn release_slot(&mut self, slot: u32) {
        if let Some(generation) = self.handle_generation(slot) {
            self.release(super::Handle { slot, generation });
        }
    }

    /// `chunk:line` of the innermost Lua function, empty if there is none.
    pub fn where_it_is(&self) -> String {
        let at = self.exec.frames().iter().rposition(|f| f.kind == kind::LUA);
        String::from_utf8_lossy(&self.position(at))
            .trim_end_matches(": ")
            .to_string()
    }

    /// Puts every object that has a finalizer on the list of those whose turn it is, the newest first: the engine closes.
    /// Objects that get one later are not called.
    pub fn finalize_everything(&mut self) {
        self.heap.finalize_all();
    }

    /// The next finalizer that is due, and its object. The collector stands still while it runs.
    pub fn next_finalizer(&mut self) -> Option<(Value, Value)> {
        while let Some(object) = self.heap.take_finalizable() {
            let handler = self.metamethod(object, Event::Gc);
            if !handler.is_nil() {
                self.heap.gc.suspended = true;
                return Some((handler, object));
            }
        }
        None
    }

    /// Gives a table another metatable, or none.
    pub fn set_table_metatable(&mut self, mut table: Gc<Table>, metatable: Option<Gc<Table>>) {
        self.heap.barrier(table);
        table.metatable = metatable;
        if let Some(mt) = metatable
            && !self.event_of(mt, Event::Gc).is_nil()
        {
            self.heap.mark_for_finalization(table.header());
        }
    }
}
