//! Calls, returns and coroutines: pushing and popping frames, and the driver that lets natives run until a Lua frame is on top.
//!
//! ```text
//! before a call:   ... | func | arg 1 ... arg n |                     top
//! Lua callee:      ... | func | R[0] = arg 1 ...                      (base = func + 1)
//! vararg callee:   ... | func | params | varargs | R[0] ...           (base = func + 1 + n; params copied up)
//! native callee:   ... | func | slot 0 = arg 1 ... |                  top
//! after:           ... | result 1 ... |                               (from func on)
//! ```
//! Everything that is in progress is in the frames; nothing here keeps state on the host's stack across a call.

use super::error::UNWINDING;
use super::meta::{Event, Outcome};
use super::native::{Act, Request, Throw, Thrown};
use super::{Exit, Vm};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;
use crate::heap::coroutine::{Coroutine, Exec, Frame, SLACK, SafePoint, Status, frame_flag, kind};
use crate::heap::function::{LuaClosure, Proto, Upvalue};
use crate::heap::object::Gc;
use crate::heap::value::{Value, tag};

/// Stacks beyond this size (slots, frames) are made smaller when an error has left most of them unused.
const LARGE: usize = 1 << 13;

/// Protected calls inside each other that the frame stack is enlarged for (PUC ends at 200 C levels).
const PROTECTED_MAX: usize = 1500;

/// Results of a call that wants all.
pub(crate) const ALL: i16 = -1;

impl Vm {
    /// Puts `top` above the live part of the top frame, for pushing a call there.
    #[inline]
    pub(crate) fn open_top(&mut self) {
        let frame = *self.exec.frame();
        if frame.kind == kind::LUA {
            // Multiple results may lie beyond the frame's registers only directly before their use; else top is stale.
            let top = frame.top as usize;
            if self.exec.top < top || !self.open_results() {
                self.exec.top = top;
            }
        }
    }

    /// Whether the next instruction of the top Lua frame uses open results (`B == 0`).
    fn open_results(&self) -> bool {
        let frame = self.exec.frame();
        let Some(proto) = self.frame_proto(frame) else {
            return false;
        };
        let at = self.frame_next_pc(frame);
        // Either the instruction that is being executed, or the next one.
        [at.wrapping_sub(1), at].iter().any(|&pc| {
            proto.code().get(pc).is_some_and(|insn| {
                let i = Instr(insn.word);
                matches!(
                    i.op(),
                    Some(Op::CALL | Op::TAILCALL | Op::RETURN | Op::SETLIST)
                ) && i.b() == 0
            })
        })
    }

    /// Room for `slots` more values above `top`, and `SLACK` beyond. May move the stack.
    #[inline]
    pub fn ensure_stack(&mut self, slots: usize) -> Result<(), Throw> {
        if self.exec.top + slots + SLACK <= self.exec.stack_cap {
            Ok(())
        } else {
            self.grow_stack(slots)
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn grow_stack(&mut self, slots: usize) -> Result<(), Throw> {
        let needed = self.exec.top.saturating_add(slots).saturating_add(SLACK);
        let limit = self.stack_limit();
        if needed > limit + SLACK {
            return Err(self.stack_overflow());
        }
        let cap = (self.exec.stack_cap * 2).clamp(needed, limit.max(needed) + SLACK);
        self.heap.reserve((cap - self.exec.stack_cap) * 16)?;
        let change = self.exec.grow_stack(&mut self.heap.pools, cap);
        self.heap.account(change);
        Ok(())
    }

    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn push_frame(&mut self, frame: Frame) -> Result<(), Throw> {
        if self.exec.frame_count == self.exec.frame_cap {
            self.grow_frames()?;
        }
        if frame.flags & frame_flag::NO_YIELD != 0 {
            self.exec.no_yield += 1;
            // Handlers' frames let no yield pass.
            self.exec.handlers += (frame.flags & frame_flag::HANDLER != 0) as u32;
        }
        self.exec.enter_frame();
        *self.exec.frame_mut() = frame;
        Ok(())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn grow_frames(&mut self) -> Result<(), Throw> {
        // A message handler has room of its own, to deal with an overflow.
        let limit = self.limits.frames_max
            + if self.handlers_active() > 0 {
                FRAMES_ERROR_EXTRA
            } else {
                0
            };
        if self.exec.frame_count >= limit {
            return Err(self.stack_overflow());
        }
        // Errors that pass many protected calls gather a position at each, so their nesting is bounded more tightly.
        let protects = |f: &&Frame| f.kind == kind::NATIVE && f.flags & frame_flag::PROTECTED != 0;
        if self.exec.frames().iter().filter(protects).count() > PROTECTED_MAX {
            return Err(self.stack_overflow());
        }
        let cap = (self.exec.frame_cap * 2).clamp(self.exec.frame_count + 1, limit);
        self.heap.reserve((cap - self.exec.frame_cap) * 48)?;
        let change = self.exec.grow_frames(&mut self.heap.pools, cap);
        self.heap.account(change);
        Ok(())
    }

    /// After an error: gives back the room that a message handler had beyond the limits, so that the next one has it again.
    pub(crate) fn shrink_stacks(&mut self) {
        let (frames, slots) = (self.limits.frames_max, self.limits.stack_max + SLACK);
        if self.handlers_active() > 0 {
            return;
        }
        // What a deep recursion has left behind goes too. The frames below were entered before: their registers end at most a
        // frame's size above `top`.
        let used = self.exec.top + 256 + 2 * SLACK;
        if self.exec.frame_cap > LARGE && self.exec.frame_count < self.exec.frame_cap / 8 {
            let cap = (self.exec.frame_count * 2).max(LARGE / 2);
            let change = self.exec.grow_frames(&mut self.heap.pools, cap);
            self.heap.account(change);
        }
        if self.exec.stack_cap > LARGE && used < self.exec.stack_cap / 8 {
            self.forget_above_live();
            let change = self
                .exec
                .grow_stack(&mut self.heap.pools, (used * 2).max(LARGE / 2));
            self.heap.account(change);
        }
        if self.exec.frame_cap > frames && self.exec.frame_count <= frames {
            let change = self.exec.grow_frames(&mut self.heap.pools, frames);
            self.heap.account(change);
        }
        if self.exec.stack_cap > slots && self.exec.live_end() + SLACK <= slots {
            self.forget_above_live();
            let change = self.exec.grow_stack(&mut self.heap.pools, slots);
            self.heap.account(change);
        }
    }

    /// Before the stack becomes smaller: nothing points into the part that goes. Frames leave nothing behind when they end, but those of a record
    /// that somebody has changed may: it can say that a variable is open where the verifier has seen that none can be.
    fn forget_above_live(&mut self) {
        let end = self.exec.live_end();
        self.close_upvalues(end);
        self.exec.tbc.retain(|&slot| (slot as usize) < end);
    }

    /// Pushes the frame of a call whose function is at `func` and whose arguments end at `top`. Natives do not run yet:
    /// [`Vm::drive`] runs them.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn begin_call(
        &mut self,
        func: usize,
        args: usize,
        results: i16,
        flags: u8,
    ) -> Result<(), Throw> {
        debug_assert_eq!(func + 1 + args, self.exec.top);
        let mut args = args;
        // Arguments are moved, here or by the callee.
        self.charge(args as u64 >> 6);
        loop {
            let callee = self.exec.get(func);
            self.touch(callee)?;
            match callee.tag {
                tag::LUA_CLOSURE => {
                    return self.begin_lua(func, args, results, flags, Gc::from_bits(callee.bits));
                }
                tag::NATIVE | tag::NATIVE_CLOSURE => {
                    self.ensure_stack(SLACK)?;
                    return self.push_frame(Frame {
                        pc: std::ptr::null(),
                        k: std::ptr::null(),
                        closure: std::ptr::null(),
                        base: func as u32 + 1,
                        func: func as u32,
                        top: 0,
                        state: 0,
                        aux: 0,
                        results,
                        kind: kind::NATIVE,
                        flags,
                    });
                }
                _ => {
                    // The handler may need one itself. A circle of them ends when the stack is full.
                    let handler = self.metamethod(callee, Event::Call);
                    if handler.is_nil() {
                        return Err(self.call_error(callee));
                    }
                    self.touch(handler)?;
                    self.ensure_stack(1)?;
                    self.exec.copy(func, func + 1, args + 1);
                    self.exec.set(func, handler);
                    self.exec.top += 1;
                    args += 1;
                }
            }
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn begin_lua(
        &mut self,
        func: usize,
        args: usize,
        results: i16,
        flags: u8,
        closure: Gc<LuaClosure>,
    ) -> Result<(), Throw> {
        let proto = closure.proto;
        let params = proto.num_params as usize;
        // The same room as on the loop's own roads: which road it is must not show in the stack's size, and a function that has been let go
        // takes this one.
        let need = if proto.is_vararg || args > params {
            proto.max_stack as usize + SLACK + params
        } else {
            proto.max_stack as usize + SLACK + 1 - args
        };
        self.ensure_stack(need)?;
        let outward = match self.exec.frames().last() {
            Some(f) if f.kind == kind::LUA => 0,
            _ => frame_flag::OUTWARD,
        };
        for at in args..params {
            self.exec.set(func + 1 + at, Value::NIL);
        }
        let (base, varargs) = if proto.is_vararg {
            let base = func + 1 + args.max(params);
            self.exec.copy(func + 1, base, params);
            for at in func + 1..func + 1 + params {
                self.exec.set(at, Value::NIL);
            }
            (base, args.saturating_sub(params))
        } else {
            (func + 1, 0)
        };
        let frame = Frame {
            pc: proto.code,
            k: proto.consts,
            closure: closure.as_ptr(),
            base: base as u32,
            func: func as u32,
            top: (base + proto.max_stack as usize) as u32,
            state: varargs as u32,
            aux: 0,
            results,
            kind: kind::LUA,
            flags: flags | outward,
        };
        if self.tracing {
            self.hook_entered();
        }
        self.push_frame(frame)
    }

    /// Ends the top frame: its `count` results from `first` on go where its caller wants them.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn complete(&mut self, first: usize, count: usize) {
        self.charge(count as u64 >> 6);
        // (Field by field: a copy of the whole frame is a call in wasm.)
        let frame = self.exec.frame();
        let (func, results) = (frame.func as usize, frame.results);
        let (flags, kind) = (frame.flags, frame.kind);
        self.frame_gone(flags);
        self.exec.leave_frame();
        if self.tracing && flags & frame_flag::HOOK == 0 {
            self.hook_returned();
        }
        const SPECIAL: u8 =
            frame_flag::FINALIZER | frame_flag::CLOSE | frame_flag::HOOK | frame_flag::HANDLER;
        if flags & SPECIAL != 0 && kind != kind::BOTTOM {
            return self.complete_special(func, flags, first, count);
        }
        if results < 0 {
            if first != func {
                self.exec.copy(first, func, count);
            }
            self.exec.top = func + count;
        } else {
            let wanted = results as usize;
            let n = wanted.min(count);
            if first != func {
                self.exec.copy(first, func, n);
            }
            for at in n..wanted {
                self.exec.set(func + at, Value::NIL);
            }
            self.exec.top = func + wanted;
        }
        if flags & frame_flag::FINISH != 0 {
            self.finish_instruction(func);
        }
    }

    /// Keeps a top below the function of a special call, which is pushed next: the frame's own fields belong to the callee.
    pub(crate) fn save_top(&mut self, top: usize) {
        self.exec.push(Value::int(top as i64));
    }

    /// The top that was kept for when the special frame whose function is at `func` ends.
    pub(crate) fn saved_top(&self, func: usize) -> usize {
        let saved = self.exec.get(func - 1);
        debug_assert!(saved.is_int());
        saved.raw_int() as usize
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn complete_special(&mut self, func: usize, flags: u8, first: usize, count: usize) {
        self.exec.top = if flags & frame_flag::HANDLER != 0 {
            func
        } else {
            self.saved_top(func)
        };
        if flags & frame_flag::HANDLER != 0 {
            self.error = if count > 0 {
                self.exec.get(first)
            } else {
                Value::NIL
            };
            self.handler_returned = true;
        } else if flags & frame_flag::FINALIZER != 0 {
            self.finalizer_ended();
        } else if flags & (frame_flag::CLOSE | frame_flag::HOOK) != 0 {
            // The Lua frame executes its instruction again, to close the next variable; or at last, after a hook.
            self.step_back();
        }
    }

    /// Lets natives and pending steps run until a Lua frame is on top or the interpreter must be left.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn drive(&mut self) -> Exit {
        self.drive_on(false)
    }

    /// The same when the host enters again: in the middle of a Lua function nothing is collected that would not be without the break,
    /// because where slices end must not show.
    pub(crate) fn drive_entered(&mut self) -> Exit {
        self.drive_on(self.exec.frame().kind == kind::LUA)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn drive_on(&mut self, mut collected: bool) -> Exit {
        loop {
            if self.handler_returned {
                self.handler_returned = false;
                match self.unwind_to_catcher() {
                    Exit::Continue => continue,
                    exit => return exit,
                }
            }
            let in_lua = self.exec.frame().kind == kind::LUA;
            if self.exec.collection_waits.is_some() || (self.finalizers_due && in_lua) {
                self.finalizers_due &= !in_lua;
                let step = match self.exec.collection_waits.take() {
                    Some(point) => self.collect_at(point),
                    None => self.call_finalizer(),
                };
                if let Err(throw) = step
                    && let exit @ (Exit::Failed | Exit::OutOfFuel | Exit::Fault) =
                        self.unwind(throw)
                {
                    return exit;
                }
            }
            let frame = self.exec.frame();
            let step = match frame.kind {
                // Errors and callbacks make garbage too: here is their safe point.
                kind::LUA if self.heap.debt > 0 && !collected => {
                    collected = true;
                    self.collect_at_native_return().map(|()| None)
                }
                // Natives that call each other, and metamethods that do, meet no other safe point.
                kind::LUA | kind::NATIVE if self.ticks <= 0 => self.slice_over_in_call(),
                kind::LUA => return Exit::Continue,
                kind::NATIVE if frame.state == PASSING && !self.tracing => {
                    // `true` takes the place of the function (and of `xpcall`'s handler) before the results.
                    let first = frame.func as usize + (frame.top != 0) as usize;
                    self.exec.set(first, Value::TRUE);
                    self.complete(first, self.exec.top - first);
                    Ok(None)
                }
                kind::NATIVE if frame.state == UNWINDING => self.continue_unwinding(),
                kind::NATIVE if frame.state == RETURNING => {
                    self.native_returns(frame.top as usize).map(|()| None)
                }
                kind::NATIVE if frame.state == CLOSING => self.go_on_closing().map(|()| None),
                kind::NATIVE => self.run_native(),
                kind::ENTRY if frame.state == UNWINDING => self.continue_unwinding(),
                kind::ENTRY => return Exit::Done,
                _ => self.coroutine_returned(),
            };
            match step {
                Ok(None) => {}
                Ok(Some(exit)) => return exit,
                Err(throw) => match self.unwind(throw) {
                    Exit::Continue => {}
                    exit => return exit,
                },
            }
        }
    }

    /// The safe point between two calls when the slice is over.
    #[cold]
    fn slice_over_in_call(&mut self) -> Result<Option<Exit>, Throw> {
        match self.interrupt.take() {
            Some(message) => Err(self.fail(&message)),
            None => Ok(Some(self.slice_over())),
        }
    }

    /// Runs the native of the top frame, and does what it asks for.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn run_native(&mut self) -> Result<Option<Exit>, Throw> {
        if !self.may_fault() {
            return self.native_step();
        }
        self.prepare_native()?;
        let delivered = self.hook_delivered();
        let step = self.native_step();
        if step.is_ok() || self.thrown() != Thrown::Fault || self.between_instructions {
            // What it has begun is not to be begun again.
            self.retry.forget();
        } else if delivered.is_some() {
            self.restore_hook_delivered(delivered);
        }
        step
    }

    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn native_step(&mut self) -> Result<Option<Exit>, Throw> {
        let callee = self.exec.get(self.exec.frame().func as usize);
        let number = match callee.as_native_closure() {
            Some(c) => c.native as usize,
            None => callee.bits as usize,
        };
        let Some(native) = self.natives.get(number) else {
            return Err(self.fail("a native function that this engine does not have"));
        };
        let function = native.function;
        if self.tracing && self.exec.frame().state == 0 && self.hook_native_call()? {
            return Ok(None);
        }
        let act = function(self)?;
        if self.tracing
            && let Request::Return(n) = act.request()
        {
            self.keep_function_slot(callee, n as usize)?;
        }
        self.act(act)
    }

    /// Natives may return values from their function's slot on. A return hook wants to see the function there: the values move up.
    #[cold]
    fn keep_function_slot(&mut self, callee: Value, n: usize) -> Result<(), Throw> {
        let first = self.exec.top - n;
        if first == self.exec.frame().func as usize {
            self.ensure_stack(1)?;
            self.exec.copy(first, first + 1, n);
            self.exec.set(first, callee);
            self.exec.top += 1;
        }
        Ok(())
    }

    /// The native of the top frame returns its top `n` slots, which others have put there: what it yielded for, or what it resumed.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn native_ends(&mut self, n: usize) -> Result<(), Throw> {
        if self.tracing && self.hook_native_return(n as u32)? {
            return Ok(());
        }
        self.complete(self.exec.top - n, n);
        Ok(())
    }

    /// The native of the top frame returns its top `n` slots.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn native_returns(&mut self, n: usize) -> Result<(), Throw> {
        self.complete(self.exec.top - n, n);
        if self.heap.debt > 0 {
            self.collect_at_native_return()?;
        }
        Ok(())
    }

    /// Does what the native of the top frame asks for.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn act(&mut self, act: Act) -> Result<Option<Exit>, Throw> {
        match act.request() {
            Request::Return(n) => {
                if self.tracing && self.hook_native_return(n)? {
                    return Ok(None);
                }
                self.native_returns(n as usize)?;
            }
            Request::Call { args, results } => {
                let func = self.exec.top - args as usize - 1;
                self.begin_call(func, args as usize, results, 0)?;
            }
            Request::TailCall { args } => {
                // The callee's results become ours: call it for all, and return them.
                let func = self.exec.top - args as usize - 1;
                let frame = *self.exec.frame();
                let to = frame.func as usize;
                self.exec.copy(func, to, args as usize + 1);
                self.exec.top = to + 1 + args as usize;
                self.frame_gone(frame.flags);
                self.exec.leave_frame();
                self.begin_call(
                    to,
                    args as usize,
                    frame.results,
                    frame.flags & !frame_flag::PROTECTED,
                )?;
            }
            Request::Yield(n) => return self.yield_now(n as usize),
            Request::Resume { args, wrap } => {
                let co = if wrap { self.upval(0) } else { self.arg(0) };
                match co.as_coroutine() {
                    Some(co) => self.resume(co, args as usize, wrap)?,
                    None => return Err(self.type_error(co, "resume")),
                }
            }
            Request::CloseCoroutine => {
                let co = self.arg(0);
                match co.as_coroutine() {
                    Some(co) => self.close_coroutine(co)?,
                    None => return Err(self.type_error(co, "close")),
                }
            }
            Request::HostCall => return Ok(Some(Exit::HostCall)),
            // Also when only the slice is over: the host may want to interrupt.
            Request::Again if self.ticks <= 0 => return self.slice_over_in_call(),
            Request::Again => {}
            Request::Rest => return self.slice_over_in_call(),
        }
        Ok(None)
    }

    // ---- Lua frames ----

    /// The prototype of a Lua frame.
    #[inline]
    pub(crate) fn frame_proto(&self, frame: &Frame) -> Option<Gc<Proto>> {
        self.frame_closure(frame).map(|c| c.proto)
    }

    /// The closure of a Lua frame.
    #[inline]
    pub(crate) fn frame_closure(&self, frame: &Frame) -> Option<Gc<LuaClosure>> {
        if frame.kind != kind::LUA {
            None
        } else {
            Some(Gc::from_bits(frame.closure as u64))
        }
    }

    /// Index of the instruction that a Lua frame executes next.
    pub(crate) fn frame_next_pc(&self, frame: &Frame) -> usize {
        match self.frame_proto(frame) {
            Some(proto) => {
                (frame.pc as usize - proto.code as usize) / size_of::<crate::heap::function::Insn>()
            }
            None => 0,
        }
    }

    /// Index of the instruction that a Lua frame is executing (or was, when it called).
    pub(crate) fn frame_pc(&self, frame: &Frame) -> usize {
        self.frame_next_pc(frame).saturating_sub(1)
    }

    /// The instruction that the top Lua frame is executing.
    pub(crate) fn current_instr(&self) -> Instr {
        let frame = self.exec.frame();
        match self.frame_proto(frame) {
            Some(proto) => proto
                .code()
                .get(self.frame_pc(frame))
                .map_or(Instr(0), |i| Instr(i.word)),
            None => Instr(0),
        }
    }

    /// The top Lua frame executes its instruction again.
    pub(crate) fn step_back(&mut self) {
        let frame = self.exec.frame_mut();
        if frame.kind == kind::LUA {
            frame.pc = frame.pc.wrapping_sub(1);
        }
    }

    /// Goes on behind a conditional instruction whose condition came out as `answer` (`op.rs`, note 1).
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn finish_test(&mut self, answer: bool) {
        let i = self.current_instr();
        let frame = *self.exec.frame();
        let next = self.frame_next_pc(&frame);
        let distance = if answer != (i.c() != 0) {
            1
        } else {
            let jump = self
                .frame_proto(&frame)
                .and_then(|p| p.code().get(next).copied())
                .map_or(0, |j| Instr(j.word).get_sj());
            // As the loop does: a way back takes fuel.
            self.charge((jump < 0) as u64);
            1 + jump as isize
        };
        self.exec.frame_mut().pc = frame.pc.wrapping_offset(distance);
    }

    /// A metamethod called by an instruction has returned with its result at `slot`: what the instruction still has to do.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn finish_instruction(&mut self, slot: usize) {
        let i = self.current_instr();
        let v = self.exec.get(slot);
        let base = self.exec.frame().base as usize;
        match i.op() {
            Some(Op::EQ | Op::LT | Op::LE | Op::LTI | Op::LEI | Op::GTI | Op::GEI) => {
                let negated = std::mem::take(&mut self.exec.frame_mut().aux) != 0;
                self.finish_test(v.is_truthy() != negated);
            }
            Some(Op::CONCAT) => {
                // The result replaces the two operands; the frame knows how many values are left.
                let left = self.exec.frame().aux as usize;
                let a = base + i.a() as usize;
                self.exec.set(a + left - 2, v);
                self.exec.frame_mut().aux = left as u32 - 1;
                self.exec.top = a + left - 1;
                if left - 1 > 1 {
                    self.step_back();
                } else {
                    self.exec.frame_mut().aux = 0;
                }
            }
            Some(op) if op.has(crate::bytecode::op::flag::WRITES_A) => {
                self.exec.set(base + i.a() as usize, v)
            }
            _ => {}
        }
    }

    /// Makes the call that an operation of the top Lua frame has pushed.
    pub(crate) fn call_meta(&mut self, args: u32, results: i16, flags: u8) -> Result<(), Throw> {
        let func = self.exec.top - args as usize - 1;
        self.begin_call(func, args as usize, results, flags)
    }

    /// A register of the top Lua frame.
    #[inline]
    pub(crate) fn reg(&self, r: u8) -> Value {
        self.exec.get(self.exec.frame().base as usize + r as usize)
    }
    #[inline]
    pub(crate) fn set_reg(&mut self, r: u8, v: Value) {
        let at = self.exec.frame().base as usize + r as usize;
        self.exec.set(at, v);
    }
    /// A constant of the top Lua frame.
    #[inline]
    pub(crate) fn constant(&self, k: u32) -> Value {
        self.frame_proto(self.exec.frame())
            .and_then(|p| p.consts().get(k as usize).copied())
            .unwrap_or(Value::NIL)
    }

    /// Takes an outcome of `meta.rs`: a result goes to R[A], a call is made with `FINISH`.
    pub(crate) fn finish_outcome(&mut self, i: Instr, outcome: Outcome) -> Result<(), Throw> {
        match outcome {
            Outcome::Done(v) => {
                self.set_reg(i.a(), v);
                Ok(())
            }
            Outcome::Call(args) => self.call_meta(args, 1, frame_flag::FINISH),
        }
    }

    // ---- upvalues and to-be-closed variables ----

    /// The open upvalue of a slot, made if there is none.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn find_upvalue(&mut self, slot: usize) -> Result<Gc<Upvalue>, Throw> {
        let address = self.exec.stack.wrapping_add(slot);
        let mut at = self.exec.open.len();
        while at > 0 {
            let up = self.exec.open[at - 1];
            if up.slot == address {
                return Ok(up);
            }
            if up.slot < address {
                break;
            }
            at -= 1;
        }
        let up = self.heap.open_upvalue(address)?;
        if at == self.exec.open.len() {
            self.exec.open.push(up);
        } else {
            self.exec.open.insert(at, up);
        }
        self.heap.list_open(self.current);
        Ok(up)
    }

    /// Closes the upvalues of all slots from `level` on.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn close_upvalues(&mut self, level: usize) {
        let address = self.exec.stack.wrapping_add(level);
        while let Some(&up) = self.exec.open.last() {
            if up.slot < address {
                break;
            }
            self.exec.open.pop();
            self.heap.close_upvalue(up);
        }
    }

    /// Marks a slot to be closed (manual 3.3.8).
    pub(crate) fn mark_to_be_closed(
        &mut self,
        slot: usize,
        name: Option<Vec<u8>>,
    ) -> Result<(), Throw> {
        let v = self.exec.get(slot);
        if !v.is_truthy() {
            return Ok(());
        }
        self.touch(v)?;
        if self.metamethod(v, Event::Close).is_nil() {
            let name = name.unwrap_or_else(|| b"?".to_vec());
            return Err(self
                .fail_bytes(&[b"variable '", &name[..], b"' got a non-closable value"].concat()));
        }
        self.exec.tbc.push(slot as u32);
        Ok(())
    }

    /// Has a variable's value and its `__close` metamethod loaded: before it is no longer among those to be closed.
    pub(crate) fn touch_closable(&mut self, value: Value) -> Result<(), Throw> {
        self.touch(value)?;
        let handler = self.metamethod(value, Event::Close);
        self.touch(handler)
    }

    /// Pushes the call of a `__close` metamethod above `top`; its results are dropped. The value has been touched ([`Vm::touch_closable`]).
    pub(crate) fn call_close(&mut self, value: Value, error: Value) -> Result<(), Throw> {
        let handler = self.metamethod(value, Event::Close);
        let func = self.exec.top;
        self.ensure_stack(3)?;
        self.exec.push(handler);
        self.exec.push(value);
        self.exec.push(error);
        // A handler that is gone by now fails like a call of nil: "attempt to call a nil value (metamethod 'close')".
        self.begin_call(func, 2, 0, 0)
    }

    /// Closes what a Lua frame has open from `level` on, one `__close` call at a time: true when a call was made and the
    /// instruction must be executed again; `top` is what the frame needs back then.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn close_some(&mut self, level: usize, top: usize) -> Result<bool, Throw> {
        if let Some(&slot) = self.exec.tbc.last()
            && slot as usize >= level
        {
            let value = self.exec.get(slot as usize);
            self.touch(value)?;
            let handler = self.metamethod(value, Event::Close);
            self.touch(handler)?;
            self.exec.tbc.pop();
            self.close_upvalues(slot as usize);
            let frame_top = self.exec.frame().top as usize;
            self.exec.top = top.max(frame_top);
            self.ensure_stack(4)?;
            self.save_top(top);
            let func = self.exec.top;
            self.exec.push(handler);
            self.exec.push(value);
            self.exec.push(Value::NIL);
            self.begin_call(func, 2, 0, frame_flag::CLOSE)?;
            return Ok(true);
        }
        self.close_upvalues(level);
        Ok(false)
    }

    /// A collector step after a native has returned.
    #[cold]
    #[inline(never)]
    pub(crate) fn collect_at_native_return(&mut self) -> Result<(), Throw> {
        self.collect_at(SafePoint::NativeReturn).map(|_| ())
    }

    /// A collector step where the Lua frame on top has done an instruction and not begun the next, or where the native on top has been given its
    /// callee's results; then, in the Lua frame, the call of the first finalizer that is due (true if there is one). A step that has to wait for the store is
    /// taken when the run goes on.
    #[cold]
    #[inline(never)]
    pub(crate) fn collect_at(&mut self, point: SafePoint) -> Result<bool, Throw> {
        if self.collection_must_wait() {
            self.exec.collection_waits = Some(point);
            self.between_instructions = true;
            return Err(self.raise(Thrown::Fault));
        }
        let in_lua = self.exec.frame().kind == kind::LUA;
        if in_lua {
            self.exec.live_limit = self.dead_from(point);
        }
        self.collect_step();
        self.exec.live_limit = 0;
        if !in_lua || self.heap.gc.to_finalize.is_empty() {
            return Ok(false);
        }
        self.call_finalizer()
    }

    /// The slot from which on the registers of the Lua frame on top are known to be dead, else 0. Old temporaries must not keep objects alive
    /// for as long as a loop runs.
    fn dead_from(&mut self, point: SafePoint) -> usize {
        let mut i = self.current_instr();
        if i.op() == Some(Op::EXTRAARG) {
            // NEWTABLE has taken its second word.
            self.step_back();
            i = self.current_instr();
            let frame = self.exec.frame_mut();
            frame.pc = frame.pc.wrapping_add(1);
        }
        match (point, i.op()) {
            // The compiler gives these the first free register: what is above their result is dead.
            (SafePoint::Instruction, Some(Op::NEWTABLE | Op::CLOSURE | Op::CONCAT)) => {
                self.exec.frame().base as usize + i.a() as usize + 1
            }
            // What is above the results is dead.
            (SafePoint::NativeReturn, Some(Op::CALL | Op::TAILCALL | Op::TFORCALL)) => {
                self.exec.top
            }
            _ => 0,
        }
    }

    // ---- coroutines ----

    /// A coroutine that will run `function`.
    pub fn new_coroutine(&mut self, function: Value) -> Result<Gc<Coroutine>, Throw> {
        let mut co = self.heap.coroutine()?;
        co.exec.push(function);
        Ok(co)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn switch_to(&mut self, mut co: Gc<Coroutine>) {
        let mut from = self.current;
        self.heap.touch(from.header());
        self.heap.touch(co.header());
        // (The current coroutine's own state is empty while it runs. Nothing is dropped.)
        from.exec.swap(&mut self.exec);
        self.exec.swap(&mut co.exec);
        self.current = co;
        self.update_tracing();
    }

    /// Back to the resumer; the current coroutine gets this status.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn switch_back(&mut self, status: Status) {
        let mut co = self.current;
        co.status = status;
        if let Some(mut resumer) = co.resumer.take() {
            resumer.status = Status::Running;
            self.switch_to(resumer);
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn resume(&mut self, mut co: Gc<Coroutine>, args: usize, wrap: bool) -> Result<(), Throw> {
        self.exec.frame_mut().top = wrap as u32;
        // (One that has neither begun nor a function to begin with can only be of a damaged world.)
        let nothing = co.exec.frame_count == 0 && co.exec.top == 0;
        if co.status != Status::Suspended || nothing {
            let text = match co.status {
                Status::Dead | Status::Suspended => "cannot resume dead coroutine",
                _ => "cannot resume non-suspended coroutine",
            };
            if wrap {
                return Err(self.fail(text));
            }
            let message = self.new_string(text.as_bytes())?;
            return self.resume_refused(message);
        }
        if self.coroutine_depth >= COROUTINE_DEPTH_MAX {
            if wrap {
                return Err(self.fail("C stack overflow"));
            }
            let message = self.new_string(b"C stack overflow")?;
            return self.resume_refused(message);
        }
        if co.exec.frame_count == 0 {
            // It is called in the coroutine, where there is no step that could be taken again.
            self.touch(co.exec.get(0))?;
        }
        // The arguments move over while errors are still the resumer's.
        if co.exec.top + args + 2 * SLACK > co.exec.stack_cap {
            self.grow_other_stack(co, args)?;
        }
        let first = self.exec.top - args;
        for at in first..first + args {
            let v = self.exec.get(at);
            co.exec.push(v);
        }
        self.exec.top = first;
        self.current.status = Status::Normal;
        co.resumer = Some(self.current);
        co.status = Status::Running;
        self.coroutine_depth += 1;
        self.switch_to(co);
        // From here on errors belong to the coroutine.
        if self.exec.frame_count > 0 {
            // Its top frame is the native that yielded: the values are that native's results.
            self.native_ends(args)
        } else {
            self.push_frame(BOTTOM_FRAME)?;
            let func = self.exec.top - args - 1;
            self.begin_call(func, args, ALL, 0)
        }
    }

    /// Room for values in a coroutine that is not running.
    #[cold]
    fn grow_other_stack(&mut self, mut co: Gc<Coroutine>, values: usize) -> Result<(), Throw> {
        let needed = co.exec.top + values + 2 * SLACK;
        if needed > self.limits.stack_max {
            return Err(self.fail("too many arguments to resume"));
        }
        let cap = needed
            .max(co.exec.stack_cap * 2)
            .min(self.limits.stack_max + SLACK);
        self.heap.reserve((cap - co.exec.stack_cap) * 16)?;
        let change = co.exec.grow_stack(&mut self.heap.pools, cap);
        self.heap.account(change);
        Ok(())
    }

    /// Ends a `resume` or `wrap` native, which is the top frame again, with `true` and values from the stack of the coroutine that it resumed.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn resume_succeeded(
        &mut self,
        co: Gc<Coroutine>,
        first: usize,
        count: usize,
    ) -> Result<(), Throw> {
        let frame = *self.exec.frame();
        // The results begin in the function's slot, unless a hook wants to see the function.
        let bottom = frame.func as usize + self.tracing as usize;
        self.exec.top = bottom;
        self.ensure_stack(count + 1)?;
        let wrap = frame.top != 0;
        if !wrap {
            self.exec.push(Value::TRUE);
        }
        for at in first..first + count {
            let v = co.exec.get(at);
            self.exec.push(v);
        }
        self.native_ends(self.exec.top - bottom)
    }

    /// Ends a `resume` native, which is the top frame again, with `false` and an error.
    fn resume_refused(&mut self, error: Value) -> Result<(), Throw> {
        let bottom = self.exec.frame().func as usize + self.tracing as usize;
        self.exec.set(bottom, Value::FALSE);
        self.exec.set(bottom + 1, error);
        self.exec.top = bottom + 2;
        self.native_ends(2)
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn yield_now(&mut self, n: usize) -> Result<Option<Exit>, Throw> {
        let mut co = self.current;
        if co.resumer.is_none() {
            if self.exec.no_yield == 0 {
                self.exec.frame_mut().aux = n as u32;
                return Ok(Some(Exit::Yielded));
            }
            return Err(self.throw_bytes(b"attempt to yield from outside a coroutine"));
        }
        if self.exec.no_yield > 0 {
            return Err(self.throw_bytes(b"attempt to yield across a C-call boundary"));
        }
        let first = self.exec.top - n;
        self.coroutine_depth -= 1;
        self.switch_back(Status::Suspended);
        let done = self.resume_succeeded(co, first, n);
        co.exec.top = first;
        done?;
        Ok(None)
    }

    /// Whether a yield would work in this coroutine, were it running.
    pub fn is_yieldable_in(&self, co: Gc<Coroutine>) -> bool {
        let exec = if co == self.current {
            &self.exec
        } else {
            &co.exec
        };
        exec.no_yield == 0 && co != self.main
    }

    /// The function of the current coroutine has returned to its bottom frame.
    #[cfg_attr(evermoon_small, optimize(speed))]
    fn coroutine_returned(&mut self) -> Result<Option<Exit>, Throw> {
        let mut co = self.current;
        let closing = co.resumer.is_some_and(|r| r.exec.frame().state == CLOSING);
        if closing && let Some(&slot) = self.exec.tbc.last() {
            self.touch_closable(self.exec.get(slot as usize))?;
        }
        self.coroutine_depth -= 1;
        if closing {
            self.exec.keep_frames(0);
            self.switch_back(Status::Dead);
            self.close_coroutine(co)?;
            return Ok(None);
        }
        let count = self.exec.top;
        self.exec.keep_frames(0);
        self.switch_back(Status::Dead);
        let done = self.resume_succeeded(co, 0, count);
        // A dead coroutine needs no stack.
        self.heap.release_exec(&mut co.exec);
        done?;
        Ok(None)
    }

    /// The coroutine died by an error; the resumer is current again.
    pub(crate) fn resume_failed(&mut self, co: Gc<Coroutine>, error: Value) -> Result<(), Throw> {
        self.coroutine_depth -= 1;
        let frame = *self.exec.frame();
        if frame.state == CLOSING {
            // An error in a `__close` method while closing: go on closing with it.
            return self.close_coroutine(co);
        }
        if frame.top != 0 {
            // A wrap: close the coroutine, then raise its error here. The native is entered again for that.
            let frame = self.exec.frame_mut();
            (frame.aux, frame.state) = (WRAP_FAILED, CLOSING);
            return self.close_coroutine(co);
        }
        self.resume_refused(error)
    }

    /// The native of the top frame was closing a coroutine, and had to wait for the store between two of its variables.
    fn go_on_closing(&mut self) -> Result<(), Throw> {
        let frame = *self.exec.frame();
        let callee = self.exec.get(frame.func as usize);
        self.touch(callee)?;
        let of_wrap = || callee.as_native_closure()?.upvals().first().copied();
        let co = if frame.aux == WRAP_FAILED {
            of_wrap().unwrap_or(Value::NIL)
        } else {
            self.exec.get(frame.base as usize)
        };
        self.touch(co)?;
        // (Another one can only be of a damaged world.)
        match co.as_coroutine() {
            Some(co) if co.status == Status::Dead => self.close_coroutine(co),
            _ => Err(self.fail("the coroutine that was being closed is gone")),
        }
    }

    /// Closes the pending variables of a suspended or dead coroutine, each by a call on the coroutine's own stack.
    fn close_coroutine(&mut self, mut co: Gc<Coroutine>) -> Result<(), Throw> {
        if self.coroutine_depth >= COROUTINE_DEPTH_MAX && !co.exec.tbc.is_empty() {
            return Err(self.fail("C stack overflow"));
        }
        if let Some(&slot) = co.exec.tbc.last() {
            self.touch_closable(co.exec.get(slot as usize))?;
        }
        self.heap.touch(co.header());
        co.status = Status::Dead;
        let frame = self.exec.frame_mut();
        if frame.state != CLOSING {
            frame.aux = frame.state;
            frame.state = CLOSING;
        }
        let Some(slot) = co.exec.tbc.pop() else {
            // All closed: the native is entered again with the outcome.
            let origin = frame.aux;
            frame.aux = 0;
            frame.state = if origin == WRAP_FAILED {
                WRAP_FAILED
            } else {
                CLOSED
            };
            let (failed, error) = (co.failed, co.error);
            co.failed = false;
            co.error = Value::NIL;
            let mut exec = std::mem::replace(&mut co.exec, Exec::none());
            self.heap.release_exec(&mut exec);
            if origin != WRAP_FAILED {
                self.push(Value::bool(!failed));
            }
            self.push(error);
            return Ok(());
        };
        if self.coroutine_depth >= COROUTINE_DEPTH_MAX {
            // None of its variables can be closed: as if each `__close` failed so.
            co.exec.tbc.clear();
            co.error = self.new_string(b"C stack overflow")?;
            co.failed = true;
            return self.close_coroutine(co);
        }
        co.exec.keep_frames(0);
        co.exec.no_yield = 0;
        co.exec.handlers = 0;
        self.current.status = Status::Normal;
        co.resumer = Some(self.current);
        co.status = Status::Running;
        self.coroutine_depth += 1;
        self.switch_to(co);
        self.close_upvalues(slot as usize);
        let value = self.exec.get(slot as usize);
        let error = if co.failed { co.error } else { Value::NIL };
        self.exec.top = slot as usize + 1;
        self.push_frame(Frame {
            flags: frame_flag::NO_YIELD,
            ..BOTTOM_FRAME
        })?;
        self.call_close(value, error)
    }
}

/// State of a native whose return hook is running; `top` says how many results it has.
pub(crate) const RETURNING: u32 = u32::MAX - 1;
/// State of a protected native that only passes on what it has called returns, after `true`: the driver does that for it.
pub const PASSING: u32 = u32::MAX - 6;
/// State of a native that waits while a coroutine is being closed.
pub(crate) const CLOSING: u32 = u32::MAX - 2;
/// State of a native that is entered after a coroutine has been closed: `ok` and the error are its last two slots.
pub const CLOSED: u32 = u32::MAX - 3;
/// State of `wrap`'s native when the coroutine failed: the error is its last slot.
pub const WRAP_FAILED: u32 = u32::MAX - 4;
/// Frames beyond the limit for a message handler.
const FRAMES_ERROR_EXTRA: usize = 1000;
/// Coroutines that resume each other at most (PUC: LUAI_MAXCCALLS).
const COROUTINE_DEPTH_MAX: u32 = 195;

const BOTTOM_FRAME: Frame = Frame {
    pc: std::ptr::null(),
    k: std::ptr::null(),
    closure: std::ptr::null(),
    base: 0,
    func: 0,
    top: 0,
    state: 0,
    aux: 0,
    results: ALL,
    kind: kind::BOTTOM,
    flags: 0,
};
