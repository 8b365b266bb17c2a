//! Debug hooks (manual 6.10, `debug.sethook`): what a coroutine's hook is and when it fires. Only the tracing loop and the general
//! roads of call and return look at this; `Vm::tracing` says that the running coroutine has a hook which is not running itself.
//!
//! A hook runs as a frame of its own on top of what it interrupts. Afterwards the interrupted step is taken again and asks again, so
//! [`Hook::delivered`] remembers how far that step had come: an instruction may be a call, a count and a line at once.
//!
//! Invariant: while a hook function runs (`active`), `Vm::tracing` is off; [`Vm::hook_gone`] switches it on again however the frame ended.

use super::Vm;
use super::call::RETURNING;
use super::native::{Throw, Thrown};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;
use crate::heap::coroutine::{Coroutine, frame_flag, kind};
use crate::heap::function::Proto;
use crate::heap::object::Gc;
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
    /// Events wanted; 0 means that there is no hook any more.
    pub mask: u8,
    /// Instructions between two count events.
    pub count: u32,
    count_left: u32,
    /// The last instruction executed in the running function: its index, to tell a new line.
    last_pc: usize,
    /// The next line event comes whatever `last_pc` says.
    fresh: bool,
    /// A Lua function has been entered whose first instruction has not been traced yet.
    entered: bool,
    /// The hook function is running.
    active: bool,
    /// The step whose events have been delivered in part.
    delivered: Option<Step>,
    /// What the running hook's event passes: the first local's position and how many there are.
    transfer: (u32, u32),
}

/// A step that asked for hooks: how deep the stack was, what it was, and how many of its events are over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    depth: usize,
    point: Point,
    phase: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    Instr(usize),
    LuaReturn,
    NativeCall,
    NativeReturn,
}

/// An event for a hook function.
struct Event {
    name: &'static str,
    line: Option<u32>,
    transfer: (u32, u32),
}

impl Event {
    fn named(name: &'static str) -> Event {
        Event {
            name,
            line: None,
            transfer: (0, 0),
        }
    }
}

impl Hook {
    /// All but the function, as a record has it.
    pub(crate) fn numbers(&self) -> [u64; 14] {
        let (has, depth, point, at, phase) = match self.delivered {
            None => (0, 0, 0, 0, 0),
            Some(step) => {
                let (point, at) = match step.point {
                    Point::Instr(at) => (0, at as u64),
                    Point::LuaReturn => (1, 0),
                    Point::NativeCall => (2, 0),
                    Point::NativeReturn => (3, 0),
                };
                (1, step.depth as u64, point, at, step.phase as u64)
            }
        };
        [
            self.mask as u64,
            self.count as u64,
            self.count_left as u64,
            // A place that is none reads so after wrapping too.
            (self.last_pc as u64).wrapping_add(1),
            self.fresh as u64,
            self.entered as u64,
            self.active as u64,
            has,
            depth,
            point,
            at,
            phase,
            self.transfer.0 as u64,
            self.transfer.1 as u64,
        ]
    }

    /// A hook out of its record; `None` for numbers that no hook has.
    pub(crate) fn from_numbers(function: Value, n: [u64; 14]) -> Option<Hook> {
        let small = |n: u64| u32::try_from(n).ok();
        let point = match n[9] {
            0 => Point::Instr(n[10] as usize),
            1 => Point::LuaReturn,
            2 => Point::NativeCall,
            3 => Point::NativeReturn,
            _ => return None,
        };
        Some(Hook {
            function,
            mask: u8::try_from(n[0]).ok()?,
            count: small(n[1])?,
            count_left: small(n[2])?,
            last_pc: n[3].wrapping_sub(1) as usize,
            fresh: n[4] != 0,
            entered: n[5] != 0,
            active: n[6] != 0,
            delivered: match n[7] {
                0 => None,
                _ => Some(Step {
                    depth: n[8] as usize,
                    point,
                    phase: u8::try_from(n[11]).ok()?,
                }),
            },
            transfer: (small(n[12])?, small(n[13])?),
        })
    }
}

/// Setting and asking.
impl Vm {
    /// Sets a coroutine's hook; a mask of 0 removes it.
    pub fn set_hook(&mut self, mut co: Gc<Coroutine>, function: Value, mask: u8, count: u32) {
        self.heap.barrier(co);
        match &mut co.hook {
            // What is under way (perhaps this very hook) stays known.
            Some(hook) => {
                **hook = Hook {
                    function,
                    mask,
                    count,
                    count_left: count,
                    ..**hook
                };
            }
            None if mask == 0 => {}
            None => {
                co.hook = Some(Box::new(Hook {
                    function,
                    mask,
                    count,
                    count_left: count,
                    last_pc: 0,
                    fresh: false,
                    entered: false,
                    active: false,
                    delivered: None,
                    transfer: (0, 0),
                }))
            }
        }
        self.update_tracing();
    }

    /// A coroutine's hook.
    pub fn hook_of(&self, co: Gc<Coroutine>) -> Option<Hook> {
        co.hook.as_deref().copied().filter(|hook| hook.mask != 0)
    }

    /// What the event that a frame is interrupted by passes: the first local's position, and how many.
    pub(crate) fn frame_transfer(&self, co: Gc<Coroutine>, index: usize) -> (u32, u32) {
        match &co.hook {
            Some(hook) if hook.active => {
                let above = self.exec_of(&co).frames().get(index + 1);
                if above.is_some_and(|f| f.flags & frame_flag::HOOK != 0) {
                    hook.transfer
                } else {
                    (0, 0)
                }
            }
            _ => (0, 0),
        }
    }

    /// Switches the tracing loop as the current coroutine's hook wants it. Finalizers are not traced: when they run is no matter of the
    /// program's.
    pub(crate) fn update_tracing(&mut self) {
        let hook = self.current.hook.as_ref();
        self.tracing = hook.is_some_and(|hook| hook.mask != 0 && !hook.active) && !self.finalizing;
    }
}

/// What the call machinery tells.
impl Vm {
    /// The hook's frame is gone, by whatever road.
    pub(crate) fn hook_gone(&mut self) {
        let mut co = self.current;
        if let Some(hook) = &mut co.hook {
            hook.active = false;
        }
        self.update_tracing();
    }

    /// A Lua function's frame is being pushed.
    #[cold]
    pub(crate) fn hook_entered(&mut self) {
        let mut co = self.current;
        if let Some(hook) = &mut co.hook {
            hook.entered = true;
        }
    }

    /// A frame has ended; its caller is on top again.
    #[cold]
    pub(crate) fn hook_returned(&mut self) {
        let mut co = self.current;
        if let Some(hook) = &mut co.hook {
            hook.entered = false;
            if let Some(frame) = self.exec.frames().last()
                && frame.kind == kind::LUA
            {
                hook.last_pc = self.frame_pc(frame);
            }
        }
    }
}

/// What the tracing loop and the call machinery ask. Each returns true when a hook's call has been pushed: the frames have
/// changed, and what asked must be executed again afterwards.
impl Vm {
    /// The current coroutine's hook, with the part of the step that has been delivered already.
    fn hook_step(&mut self, depth: usize, point: Point) -> Option<(Hook, u8)> {
        let mut co = self.current;
        let hook = co.hook.as_mut()?;
        let phase = match hook.delivered.take() {
            Some(step) if step.depth == depth && step.point == point => step.phase,
            _ => 0,
        };
        Some((**hook, phase))
    }

    /// The step whose events have been delivered in part.
    pub(crate) fn hook_delivered(&self) -> Option<Step> {
        self.current.hook.as_ref()?.delivered
    }

    /// A step is to be taken again: with what had been delivered of it before.
    pub(crate) fn restore_hook_delivered(&mut self, delivered: Option<Step>) {
        let mut co = self.current;
        if let Some(hook) = &mut co.hook {
            hook.delivered = delivered;
        }
    }

    /// Has the hook's function loaded, before a step that may call it.
    pub(crate) fn touch_hook(&mut self) -> Result<(), Throw> {
        match &self.current.hook {
            Some(hook) => self.touch(hook.function),
            None => Ok(()),
        }
    }

    /// Before each instruction of the tracing loop; the frame's pc is the instruction.
    pub(crate) fn trace_instruction(&mut self) -> Result<bool, Throw> {
        if self.may_fault()
            && let Err(throw) = self.touch_hook()
        {
            self.between_instructions = self.thrown() == Thrown::Fault;
            return Err(throw);
        }
        let mut co = self.current;
        let depth = self.exec.frame_count;
        let frame = *self.exec.frame();
        let Some(proto) = self.frame_proto(&frame) else {
            return Ok(false);
        };
        if let Some(hook) = &co.hook
            && hook.delivered
                == Some(Step {
                    depth,
                    point: Point::LuaReturn,
                    phase: 1,
                })
        {
            // A return that is executed again after its hook: all other events are over too.
            return Ok(false);
        }
        let pc = self.frame_next_pc(&frame);
        let step = |phase| Step {
            depth,
            point: Point::Instr(pc),
            phase,
        };
        let Some((hook, phase)) = self.hook_step(depth, Point::Instr(pc)) else {
            return Ok(false);
        };
        let op = proto.code().get(pc).and_then(|i| Instr(i.word).op());
        let mut fresh = hook.fresh;
        if phase == 0 && hook.entered {
            fresh = true;
            if let Some(hook) = &mut co.hook {
                (hook.entered, hook.fresh) = (false, true);
            }
            if hook.mask & mask::CALL != 0 {
                let name = if frame.flags & frame_flag::TAIL != 0 {
                    "tail call"
                } else {
                    "call"
                };
                let event = Event {
                    transfer: (1, proto.num_params as u32),
                    ..Event::named(name)
                };
                return self.push_hook(&hook, step(1), event);
            }
        }
        if op == Some(Op::VARARGPREP) {
            return Ok(false);
        }
        // The same instruction again, without a jump: it goes on after a call of its own, and is no new step.
        let jumps = matches!(op, Some(Op::JMP | Op::FORLOOP));
        let again = !fresh && pc == hook.last_pc && !jumps;
        if phase <= 1 && hook.mask & mask::COUNT != 0 && !again {
            let left = hook.count_left.saturating_sub(1);
            let due = left == 0;
            if let Some(hook) = &mut co.hook {
                hook.count_left = if due { hook.count } else { left };
            }
            if due {
                return self.push_hook(&hook, step(2), Event::named("count"));
            }
        }
        if phase <= 2 && hook.mask & mask::LINE != 0 {
            let last = if hook.last_pc < proto.code().len() {
                hook.last_pc
            } else {
                0
            };
            if fresh || pc < last || pc == last && jumps || line_changed(&proto, last, pc) {
                if let Some(hook) = &mut co.hook {
                    (hook.fresh, hook.last_pc) = (false, pc);
                }
                return self.push_hook(
                    &hook,
                    step(3),
                    Event {
                        line: proto.line(pc),
                        ..Event::named("line")
                    },
                );
            }
        }
        if let Some(hook) = &mut co.hook {
            (hook.fresh, hook.last_pc) = (false, pc);
        }
        Ok(false)
    }

    /// Before a native's first entry.
    pub(crate) fn hook_native_call(&mut self) -> Result<bool, Throw> {
        let depth = self.exec.frame_count;
        let Some((hook, phase)) = self.hook_step(depth, Point::NativeCall) else {
            return Ok(false);
        };
        if phase > 0 || hook.mask & mask::CALL == 0 {
            return Ok(false);
        }
        let frame = self.exec.frame();
        let name = if frame.flags & frame_flag::TAIL != 0 {
            "tail call"
        } else {
            "call"
        };
        let args = self.exec.top - frame.base as usize;
        let event = Event {
            transfer: (1, args as u32),
            ..Event::named(name)
        };
        self.push_hook(
            &hook,
            Step {
                depth,
                point: Point::NativeCall,
                phase: 1,
            },
            event,
        )
    }

    /// Before a native returns its top `n` slots. It is marked as returning, so that it is not entered again.
    pub(crate) fn hook_native_return(&mut self, n: u32) -> Result<bool, Throw> {
        let depth = self.exec.frame_count;
        let Some((hook, phase)) = self.hook_step(depth, Point::NativeReturn) else {
            return Ok(false);
        };
        if phase > 0 || hook.mask & mask::RETURN == 0 {
            return Ok(false);
        }
        let first = self.exec.top - n as usize;
        let frame = self.exec.frame_mut();
        if frame.state != super::error::UNWINDING {
            frame.state = RETURNING;
            frame.top = n;
        }
        // It no longer catches what comes: the hook is not part of what it protects.
        frame.flags &= !frame_flag::PROTECTED;
        let event = Event {
            transfer: ((first as u32 + 1).saturating_sub(frame.base), n),
            ..Event::named("return")
        };
        self.push_hook(
            &hook,
            Step {
                depth,
                point: Point::NativeReturn,
                phase: 1,
            },
            event,
        )
    }

    /// Before a Lua function returns `count` values from `first` on; `top` is behind them.
    pub(crate) fn hook_lua_return(&mut self, first: usize, count: usize) -> Result<bool, Throw> {
        let depth = self.exec.frame_count;
        let Some((hook, phase)) = self.hook_step(depth, Point::LuaReturn) else {
            return Ok(false);
        };
        if phase > 0 || hook.mask & mask::RETURN == 0 {
            return Ok(false);
        }
        let from = first - self.exec.frame().base as usize;
        let event = Event {
            transfer: (from as u32 + 1, count as u32),
            ..Event::named("return")
        };
        // `push_hook` steps forward, as the other events come before their instruction.
        self.step_back();
        self.push_hook(
            &hook,
            Step {
                depth,
                point: Point::LuaReturn,
                phase: 1,
            },
            event,
        )
    }

    /// Pushes the call of a hook function. A Lua frame's pc goes behind the instruction meanwhile, as it is in any call; when the
    /// hook's frame ends it goes back.
    fn push_hook(&mut self, hook: &Hook, step: Step, event: Event) -> Result<bool, Throw> {
        let name = self.new_string(event.name.as_bytes())?;
        let saved = self.exec.top;
        let frame = self.exec.frame_mut();
        if frame.kind == kind::LUA {
            frame.pc = frame.pc.wrapping_add(1);
            self.open_top();
        }
        self.ensure_stack(4)?;
        self.save_top(saved);
        let func = self.exec.top;
        self.exec.push(hook.function);
        self.exec.push(name);
        self.exec.push(
            event
                .line
                .map_or(Value::NIL, |line| Value::int(line as i64)),
        );
        let mut co = self.current;
        if let Some(hook) = &mut co.hook {
            hook.active = true;
            hook.delivered = Some(step);
            // No values, no place.
            hook.transfer = if event.transfer.1 == 0 {
                (0, 0)
            } else {
                event.transfer
            };
        }
        self.tracing = false;
        if let Err(throw) = self.begin_call(func, 2, 0, frame_flag::HOOK | frame_flag::NO_YIELD) {
            self.hook_gone();
            return Err(throw);
        }
        Ok(true)
    }
}

fn line_changed(proto: &Proto, from: usize, to: usize) -> bool {
    proto.line(from) != proto.line(to)
}
