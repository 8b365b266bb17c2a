//! Errors: making them (with position and names, in the reference's words), and unwinding to whoever catches them.
//!
//! Unwinding drops frames down to the nearest protected one and then lets that frame close its to-be-closed variables, which may call
//! Lua and be suspended; so it is a state of that frame ([`UNWINDING`]), not a loop on the host's stack.

use super::meta::Event;
use super::native::{CATCH, CAUGHT, Throw, Thrown};
use super::{Exit, Vm};
use crate::heap::Heap;
use crate::heap::coroutine::{Frame, STACK_ERROR_EXTRA, Status, catches, frame_flag, kind};
use crate::heap::value::{Value, tag};

/// State of a protected frame that is closing variables after an error; the error waits in the slot of its function.
pub(crate) const UNWINDING: u32 = u32::MAX;
/// Message handlers that may run inside each other; the next one is told "C stack overflow" (PUC: LUAI_MAXCCALLS).
const HANDLERS_MAX: usize = 195;
/// Handlers beyond that until the error is thrown without any.
const HANDLERS_EXTRA: usize = 20;
/// An overflow in a handler counts as so many handlers.
const OVERFLOW_WEIGHT: usize = 40;

impl Vm {
    /// An error with a message and the position of the function that called the running native (or, in a Lua function, of the
    /// current instruction).
    #[cold]
    pub fn fail(&mut self, message: &str) -> Throw {
        self.fail_bytes(message.as_bytes())
    }

    #[cold]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn fail_bytes(&mut self, message: &[u8]) -> Throw {
        let mut text = self.position(self.level_of_error());
        text.extend_from_slice(message);
        self.throw_bytes(&text)
    }

    /// An error of an operation (`luaG_runerror`): with a position in a Lua function, without one when a native does the operation.
    #[cold]
    pub(crate) fn fail_here(&mut self, message: impl AsRef<[u8]>) -> Throw {
        let mut text = self.position(self.exec.frame_count.checked_sub(1));
        text.extend_from_slice(message.as_ref());
        self.throw_bytes(&text)
    }

    /// An error whose value is this text.
    #[cold]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn throw_bytes(&mut self, text: &[u8]) -> Throw {
        match self.heap.string(text) {
            Ok(s) => self.throw(Value::string(s)),
            Err(e) => e.into(),
        }
    }

    /// An error with this value.
    #[cold]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn throw(&mut self, value: Value) -> Throw {
        self.error = value;
        self.raise(Thrown::Error)
    }

    /// The frame whose position an error names: the top one if it is Lua's, else the one below.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn level_of_error(&self) -> Option<usize> {
        let top = self.exec.frame_count.checked_sub(1)?;
        if self.exec.frames()[top].kind == kind::LUA {
            Some(top)
        } else {
            top.checked_sub(1)
        }
    }

    /// The frame at a level as `error` and `debug` count them: 0 is the running function, 1 the one that called it.
    pub fn frame_at_level(&self, level: usize) -> Option<usize> {
        (0..self.exec.frame_count)
            .rev()
            .filter(|&i| matches!(self.exec.frames()[i].kind, kind::LUA | kind::NATIVE))
            .nth(level)
    }

    /// `chunk:line: ` of a frame, empty for one that is not Lua's.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn position(&self, frame: Option<usize>) -> Vec<u8> {
        let Some(frame) = frame.and_then(|i| self.exec.frames().get(i)) else {
            return Vec::new();
        };
        self.frame_position(frame)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn frame_position(&self, frame: &Frame) -> Vec<u8> {
        let Some(proto) = self.frame_proto(frame) else {
            return Vec::new();
        };
        let mut text = match &proto.info().source {
            Some(source) => chunk_id(source),
            None => b"?".to_vec(),
        };
        match proto.line(self.frame_pc(frame)) {
            Some(line) => text.extend(format!(":{line}: ").into_bytes()),
            // Stripped: a native that was called from here says nothing, an instruction says what the reference says.
            None if frame.kind == kind::LUA
                && self
                    .exec
                    .frames()
                    .last()
                    .is_some_and(|top| std::ptr::eq(frame, top)) =>
            {
                text.extend(b":-1: ")
            }
            None => text.clear(),
        }
        text
    }

    /// `attempt to <what> a <type> value (variable)`.
    #[cold]
    pub(crate) fn type_error(&mut self, value: Value, what: &str) -> Throw {
        let suffix = variable_suffix(self.variable_name(value));
        self.type_error_with(value, what, &suffix)
    }

    fn type_error_with(&mut self, value: Value, what: &str, suffix: &[u8]) -> Throw {
        self.charge_search(self.exec.frame_count - 1);
        let name = self.type_name_meta(value, false);
        self.fail_here(
            [
                b"attempt to ",
                what.as_bytes(),
                b" a ",
                &name,
                b" value",
                suffix,
            ]
            .concat(),
        )
    }

    #[cold]
    pub(crate) fn index_error(&mut self, object: Value, _key: Value) -> Throw {
        self.type_error(object, "index")
    }

    /// A call of something that cannot be called, by the name under which the instruction calls it.
    #[cold]
    pub(crate) fn call_error(&mut self, value: Value) -> Throw {
        let suffix = variable_suffix(self.name_called_by(self.exec.frame()));
        self.type_error_with(value, "call", &suffix)
    }

    #[cold]
    pub(crate) fn arith_error(&mut self, event: Event, a: Value, b: Value) -> Throw {
        let culprit = if a.is_number() { b } else { a };
        if event.is_bitwise() {
            if !culprit.is_number() {
                return self.type_error(culprit, "perform bitwise operation on");
            }
            // One of the two numbers has no integer value.
            let culprit = if self.to_int(a).is_none() { a } else { b };
            let suffix = variable_suffix(self.variable_name(culprit));
            return self
                .fail_here([b"number", &suffix[..], b" has no integer representation"].concat());
        }
        if a.is_string() || b.is_string() {
            // In the reference this comes from the metamethods of strings, which know no variables.
            let operation = super::meta::EVENT_NAMES[event as usize].trim_start_matches('_');
            let (x, y) = (a.type_of().name(), b.type_of().name());
            let message = format!("attempt to {operation} a '{x}' with a '{y}'");
            // They are natives: these say no place in code that has been stripped of its lines.
            let frame = self.exec.frames().last();
            let proto = frame.and_then(|frame| self.frame_proto(frame));
            let stripped = proto.is_some_and(|p| p.line(0).is_none());
            return if stripped {
                self.throw_bytes(message.as_bytes())
            } else {
                self.fail(&message)
            };
        }
        self.type_error(culprit, "perform arithmetic on")
    }

    /// Neither of the values at `slot` and behind it has a `__concat`.
    #[cold]
    pub(crate) fn concat_error(&mut self, slot: usize) -> Throw {
        let a = self.exec.get(slot);
        let slot = if a.is_string() || a.is_number() {
            slot + 1
        } else {
            slot
        };
        let suffix = variable_suffix(self.slot_name(slot));
        self.type_error_with(self.exec.get(slot), "concatenate", &suffix)
    }

    #[cold]
    pub(crate) fn compare_error(&mut self, a: Value, b: Value) -> Throw {
        let (x, y) = (self.type_name_meta(a, false), self.type_name_meta(b, false));
        if x == y {
            self.fail_here([b"attempt to compare two ", &x[..], b" values"].concat())
        } else {
            self.fail_here([b"attempt to compare ", &x[..], b" with ", &y].concat())
        }
    }

    /// `stack overflow`, or the end of patience with a message handler that overflows too.
    #[cold]
    pub(crate) fn stack_overflow(&mut self) -> Throw {
        if self.handlers_active() > 0 {
            self.handler_overflows += 1;
            let throw = self.throw_bytes(b"error in error handling");
            return match self.thrown() {
                Thrown::Error => self.raise(Thrown::ErrorUnhandled),
                _ => throw,
            };
        }
        self.fail("stack overflow")
    }

    pub(crate) fn handlers_active(&self) -> usize {
        self.exec.handlers as usize
    }

    /// Slots that the stack may have now: a message handler gets some more.
    pub(crate) fn stack_limit(&self) -> usize {
        if self.handlers_active() > 0 {
            self.limits.stack_max + STACK_ERROR_EXTRA
        } else {
            self.limits.stack_max
        }
    }

    /// Goes on after an error: calls the message handler, or unwinds to the nearest frame that catches. `Exit` when nobody does.
    #[cold]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn unwind(&mut self, _: Throw) -> Exit {
        let handled = match self.thrown() {
            Thrown::Error => false,
            Thrown::ErrorUnhandled => true,
            Thrown::Fault => {
                if !std::mem::take(&mut self.between_instructions) {
                    self.step_again();
                }
                return Exit::Fault;
            }
            Thrown::Memory => {
                if self.retry_after_collection() {
                    return Exit::Continue;
                }
                self.error = Value::string(self.memory_message);
                true
            }
        };
        if !handled && let Some(handler) = self.message_handler() {
            let error = self.error;
            // The handler runs on top of the failing frames, so that it can look at them.
            self.open_top();
            let func = self.exec.top;
            self.exec.push(handler);
            self.exec.push(error);
            // Handlers that fail call each other without a safe point that the loop would count.
            self.charge(1);
            // It has the room beyond the limits from here on.
            self.exec.handlers += 1;
            let begun = self.begin_call(func, 1, 1, frame_flag::HANDLER | frame_flag::NO_YIELD);
            self.exec.handlers -= 1;
            return match begun {
                Ok(()) => Exit::Continue,
                Err(_) => {
                    self.throw_bytes(b"error in error handling");
                    let throw = self.raise(Thrown::ErrorUnhandled);
                    self.unwind(throw)
                }
            };
        }
        self.unwind_to_catcher()
    }

    /// Collects everything when an allocation has failed. True when the failing instruction of a Lua function can then be executed
    /// again: instructions allocate before their first side effect. Each gets one more try.
    fn retry_after_collection(&mut self) -> bool {
        if self.heap.gc.suspended {
            return false;
        }
        let asked = self.heap.refused().unwrap_or(0);
        if self.may_fault() && self.exec.frame().kind == kind::LUA {
            self.evict_for_room();
        }
        self.collect_here();
        let frame = *self.exec.frame();
        let at = (self.exec.frame_count, frame.pc as usize);
        if frame.kind != kind::LUA || self.memory_retry == at || self.heap.reserve(asked).is_err() {
            return false;
        }
        self.memory_retry = at;
        self.step_back();
        true
    }

    /// The message handler that is in charge now, unless handlers are already failing in a row.
    fn message_handler(&mut self) -> Option<Value> {
        let active = self.handlers_active();
        if active == 0 {
            self.handler_overflows = 0;
        }
        // A handler that recurses without end must not do so as often as it may fail otherwise.
        match active + self.handler_overflows * OVERFLOW_WEIGHT {
            HANDLERS_MAX => self.error = Value::string(self.heap.string(b"C stack overflow").ok()?),
            n if n >= HANDLERS_MAX + HANDLERS_EXTRA => {
                self.error = Value::string(self.heap.string(b"error in error handling").ok()?);
                return None;
            }
            _ => {}
        }
        for frame in self.exec.frames().iter().rev() {
            if frame.flags & frame_flag::FINALIZER != 0 {
                return None;
            }
            if catches(frame.kind, frame.flags) {
                // Natives that deal with errors themselves have no handler of their own.
                if frame.top == CATCH {
                    continue;
                }
                // Closing variables on the way out, it still handles what goes wrong there.
                if frame.top == 0 {
                    return None;
                }
                return Some(self.exec.get(frame.top as usize));
            }
        }
        None
    }

    /// Drops frames down to the one that catches and starts closing its variables. `Continue` means: drive on.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn unwind_to_catcher(&mut self) -> Exit {
        {
            let Some(index) = self.exec.frames().iter().rposition(|f| {
                f.kind == kind::ENTRY
                    || f.kind == kind::BOTTOM
                    || f.flags & frame_flag::FINALIZER != 0
                    || f.kind == kind::NATIVE && f.flags & frame_flag::PROTECTED != 0
            }) else {
                return Exit::Failed;
            };
            let frame = self.exec.frames()[index];
            if frame.flags & frame_flag::FINALIZER != 0 {
                self.drop_frames(index);
                self.close_upvalues(frame.func as usize);
                self.exec.tbc.retain(|&slot| slot < frame.func);
                self.exec.top = self.saved_top(frame.func as usize);
                self.finalizer_ended();
                self.warn_finalizer_error();
                return Exit::Continue;
            }
            if frame.kind == kind::BOTTOM {
                match self.coroutine_failed() {
                    Ok(()) => return Exit::Continue,
                    Err(throw) => return self.unwind(throw),
                }
            }
            self.begin_unwinding(index, self.error);
            Exit::Continue
        }
    }

    /// Drops the frames above one that catches. That one closes their variables step by step, and a slice may end between two steps: what is still
    /// to be closed is below the top, for the collector and for who stores the stack.
    pub(crate) fn begin_unwinding(&mut self, index: usize, error: Value) {
        self.drop_frames(index + 1);
        let slot = error_slot(self.exec.frame());
        self.exec.set(slot, error);
        self.exec.frame_mut().state = UNWINDING;
        let mut end = slot + 1;
        if let Some(&at) = self.exec.tbc.last() {
            end = end.max(at as usize + 1);
        }
        if let Some(&up) = self.exec.open.last() {
            end = end.max(Heap::open_slot(&self.exec, up) as usize + 1);
        }
        self.exec.top = end;
    }

    /// Removes all frames from `index` on, and undoes what they switched.
    pub(crate) fn drop_frames(&mut self, index: usize) {
        for i in index..self.exec.frame_count {
            self.frame_gone(self.exec.frames()[i].flags);
        }
        // A step of the collector that waits belongs to the frame that was on top.
        self.exec.collection_waits = None;
        self.exec.keep_frames(index);
    }

    /// A frame leaves the stack by whatever road.
    #[inline]
    pub(crate) fn frame_gone(&mut self, flags: u8) {
        if flags & (frame_flag::NO_YIELD | frame_flag::HOOK) != 0 {
            if flags & frame_flag::NO_YIELD != 0 {
                self.exec.no_yield -= 1;
                self.exec.handlers -= (flags & frame_flag::HANDLER != 0) as u32;
            }
            if flags & frame_flag::HOOK != 0 {
                self.hook_gone();
            }
        }
    }

    /// One more step of a protected frame that is closing variables; called whenever that frame is on top.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn continue_unwinding(&mut self) -> Result<Option<Exit>, Throw> {
        let frame = *self.exec.frame();
        // What was there when the frame was entered stays: its own slots begin at `base`.
        if let Some(&slot) = self.exec.tbc.last()
            && slot >= frame.base
        {
            let value = self.exec.get(slot as usize);
            self.touch_closable(value)?;
            self.exec.tbc.pop();
            self.close_upvalues(slot as usize);
            let error = self.exec.get(error_slot(&frame));
            self.exec.top = slot as usize + 1;
            self.call_close(value, error)?;
            return Ok(None);
        }
        self.close_upvalues(frame.base as usize);
        let error = self.exec.get(error_slot(&frame));
        self.error = error;
        if frame.kind == kind::ENTRY {
            self.exec.top = frame.base as usize;
            self.shrink_stacks();
            return Ok(Some(Exit::Failed));
        }
        if frame.top == CATCH {
            self.exec.top = error_slot(&frame) + 1;
            self.shrink_stacks();
            let frame = self.exec.frame_mut();
            frame.flags &= !frame_flag::PROTECTED;
            frame.state = CAUGHT;
            return Ok(None);
        }
        if self.tracing {
            self.exec.top = error_slot(&frame) + 1;
            self.exec.push(Value::FALSE);
            self.exec.push(error);
            if self.hook_native_return(2)? {
                return Ok(None);
            }
        }
        // false and the error, where the results belong.
        let func = frame.func as usize;
        self.exec.set(func, Value::FALSE);
        self.exec.set(func + 1, error);
        self.exec.top = func + 2;
        self.complete(func, 2);
        self.shrink_stacks();
        // A safe point, or a row of errors that are caught would never meet one.
        if self.heap.debt > 0 {
            self.collect_at_native_return()?;
        }
        Ok(None)
    }

    fn coroutine_failed(&mut self) -> Result<(), Throw> {
        // The dead coroutine keeps its frames, for tracebacks and for `coroutine.close`.
        let error = self.error;
        let mut co = self.current;
        co.failed = true;
        co.error = error;
        self.hook_gone();
        self.forget_temporaries();
        self.switch_back(Status::Dead);
        self.resume_failed(co, error)
    }

    /// Clears the registers of the Lua frame on top that no variable has: the frame will not go on, and what is left there from before hangs on what was
    /// let go meanwhile. (Without debug information nobody knows which these are.)
    fn forget_temporaries(&mut self) {
        let frame = *self.exec.frame();
        let Some(proto) = self.frame_proto(&frame) else {
            return;
        };
        if proto.info().lines.is_empty() {
            return;
        }
        let pc = self.frame_pc(&frame);
        let mut first = frame.base as usize;
        while super::name::local_at(&proto, first - frame.base as usize + 1, pc).is_some() {
            first += 1;
        }
        for at in first..self.exec.live_end() {
            self.exec.set(at, Value::NIL);
        }
    }

    /// A warning for an error in a `__gc` metamethod.
    pub(crate) fn warn_finalizer_error(&mut self) {
        let mut text = b"error in __gc (".to_vec();
        match self.error.tag {
            tag::STR | tag::LONG_STR => self.display(self.error, &mut text),
            _ => text.extend(b"error object is not a string"),
        }
        text.extend(b")");
        self.warning(&text);
    }

    /// Emits a whole warning.
    pub fn warning(&mut self, text: &[u8]) {
        if self.warn_on {
            self.host.warning(text);
        }
    }
}

/// Where a protected frame that is closing variables keeps the error: in the slot of what it called, which no variable of the callee
/// shares; or behind the slots that it keeps. Its handler, which comes before, is still needed.
pub(super) fn error_slot(frame: &Frame) -> usize {
    let slot = match frame.kind {
        kind::NATIVE if frame.top == CATCH => frame.base + frame.aux,
        kind::NATIVE if frame.top == frame.base => frame.base + 1,
        _ => frame.base,
    };
    slot as usize
}

/// ` (kind 'name')` for a message, or nothing.
fn variable_suffix(name: Option<super::name::Name>) -> Vec<u8> {
    match name {
        Some((kind, name)) => [b" (", kind.as_bytes(), b" '", &name, b"')"].concat(),
        None => Vec::new(),
    }
}

/// A chunk's name for messages (`luaO_chunkid`): `=name` as it is, `@file` as the file with `...` before its end, else the first line
/// of the source in `[string "..."]`; at most 59 bytes.
pub fn chunk_id(source: &[u8]) -> Vec<u8> {
    const SIZE: usize = 60;
    match source.first() {
        Some(b'=') => source[1..source.len().min(SIZE)].to_vec(),
        Some(b'@') => {
            let name = &source[1..];
            if name.len() < SIZE {
                name.to_vec()
            } else {
                [b"...", &name[name.len() - (SIZE - 4)..]].concat()
            }
        }
        _ => {
            let line = source.split(|&b| b == b'\n').next().unwrap_or(&[]);
            let room = SIZE - "[string \"".len() - "...".len() - "\"]".len() - 1;
            if line.len() < source.len() || line.len() > room {
                [b"[string \"", &line[..line.len().min(room)], b"...\"]"].concat()
            } else {
                [b"[string \"", line, b"\"]"].concat()
            }
        }
    }
}
