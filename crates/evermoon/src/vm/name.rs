//! Names for messages: which variable a failing instruction was about, and by which name a function was called (manual 4.7,
//! `lua_getinfo` "n"). Values carry no names, so the bytecode is asked where the value in a register came from: the last instruction
//! before the current one that surely wrote the register tells. What a conditional jump may have skipped tells nothing.
//!
//! Everything here only reads frames and prototypes, of any coroutine, and never fails: an unknown name is `None`.

use super::Vm;
use super::meta::EVENT_NAMES;
use super::run::event_of_op;
use crate::bytecode::instr::Instr;
use crate::bytecode::op::{Op, flag};
use crate::heap::coroutine::{Coroutine, Exec, Frame, frame_flag, kind};
use crate::heap::function::Proto;
use crate::heap::object::Gc;
use crate::heap::value::Value;

/// Kind and name, such as ("local", "user") or ("method", "close").
pub type Name = (&'static str, Vec<u8>);

/// Registers whose contents are named after the global environment make fields global variables.
const ENV: &[u8] = b"_ENV";

/// A name as messages show it: it ends at a zero byte, as in the reference.
fn text(bytes: &[u8]) -> Vec<u8> {
    bytes
        .split(|&byte| byte == 0)
        .next()
        .unwrap_or(&[])
        .to_vec()
}

/// The instruction at `pc`; verified code has one wherever a frame's pc points.
fn instr(proto: &Proto, pc: usize) -> Instr {
    proto.code().get(pc).map_or(Instr(0), |i| Instr(i.word))
}

/// The name of the `number`th local variable (from 1) alive at `pc`.
pub(crate) fn local_at(proto: &Proto, number: usize, pc: usize) -> Option<&[u8]> {
    let pc = pc as u32;
    let alive = proto
        .info()
        .locals
        .iter()
        .take_while(|l| l.start_pc <= pc)
        .filter(|l| pc < l.end_pc);
    alive
        .into_iter()
        .nth(number.checked_sub(1)?)
        .map(|l| &*l.name)
}

/// The name of an upvalue.
pub(crate) fn upvalue_name(proto: &Proto, n: u8) -> Option<&[u8]> {
    proto
        .info()
        .upvals
        .get(n as usize)
        .and_then(|u| u.name.as_deref())
}

/// Whether an instruction changes a register.
fn writes(i: Instr, op: Op, reg: u8) -> bool {
    match op {
        Op::LOADNIL => i.a() <= reg && reg as u32 <= i.a() as u32 + i.b() as u32,
        Op::CALL | Op::TAILCALL => reg >= i.a(),
        Op::TFORCALL => reg as u32 >= i.a() as u32 + 2,
        Op::VARARG | Op::FORPREP | Op::FORLOOP | Op::TFORLOOP => reg == i.a(),
        _ => op.has(flag::WRITES_A) && reg == i.a(),
    }
}

/// The last instruction before `end` that wrote `reg` whatever way control came, if there is one.
fn setter(proto: &Proto, end: usize, reg: u8) -> Option<usize> {
    let mut found = None;
    // Code before this pc may have been jumped over.
    let mut jumped_to = 0;
    for pc in 0..end {
        let i = instr(proto, pc);
        let Some(op) = i.op() else { continue };
        if op == Op::JMP {
            let target = pc as i64 + 1 + i.get_sj() as i64;
            if target <= end as i64 {
                jumped_to = jumped_to.max(target);
            }
        } else if writes(i, op, reg) {
            found = if (pc as i64) < jumped_to {
                None
            } else {
                Some(pc)
            };
        }
    }
    found
}

/// Follows moves back from a register: a variable's or constant's name at once, or else the instruction that made the value.
enum Origin {
    Named(Name),
    Made(usize),
}

fn origin(proto: &Proto, pc: usize, reg: u8) -> Option<Origin> {
    let (mut pc, mut reg) = (pc, reg);
    loop {
        if let Some(name) = local_at(proto, reg as usize + 1, pc) {
            return Some(Origin::Named(("local", text(name))));
        }
        pc = setter(proto, pc, reg)?;
        let i = instr(proto, pc);
        let constant = |k: usize| {
            let s = proto.consts().get(k)?.as_str()?;
            Some(Origin::Named(("constant", text(s.bytes()))))
        };
        return match i.op()? {
            // Always to a lower register, so this ends.
            Op::MOVE if i.b() < i.a() => {
                reg = i.b();
                continue;
            }
            Op::MOVE => None,
            Op::GETUPVAL => Some(Origin::Named((
                "upvalue",
                text(upvalue_name(proto, i.b()).unwrap_or(b"?")),
            ))),
            Op::LOADK => constant(i.bx() as usize),
            Op::LOADKX => constant(instr(proto, pc + 1).get_ax() as usize),
            _ => Some(Origin::Made(pc)),
        };
    }
}

/// The name of a constant that is a string.
fn constant_name(proto: &Proto, k: u8) -> Vec<u8> {
    proto
        .consts()
        .get(k as usize)
        .and_then(|v| v.as_str())
        .map_or(b"?".to_vec(), |s| text(s.bytes()))
}

fn field_kind(is_env: bool) -> &'static str {
    if is_env { "global" } else { "field" }
}

/// Whether a register holds a variable named `_ENV`.
fn is_env(proto: &Proto, pc: usize, reg: u8) -> bool {
    matches!(origin(proto, pc, reg), Some(Origin::Named(("local" | "upvalue", name))) if name == ENV)
}

/// What is in `reg` before the instruction at `pc`.
pub(crate) fn register_name(proto: &Proto, pc: usize, reg: u8) -> Option<Name> {
    let pc = match origin(proto, pc, reg)? {
        Origin::Named(name) => return Some(name),
        Origin::Made(pc) => pc,
    };
    let i = instr(proto, pc);
    Some(match i.op()? {
        Op::GETTABUP => (
            field_kind(upvalue_name(proto, i.b()) == Some(ENV)),
            constant_name(proto, i.c()),
        ),
        Op::GETFIELD => (
            field_kind(is_env(proto, pc, i.b())),
            constant_name(proto, i.c()),
        ),
        Op::GETI => ("field", b"integer index".to_vec()),
        Op::SELF => ("method", constant_name(proto, i.c())),
        Op::GETTABLE => {
            let name = match origin(proto, pc, i.c()) {
                Some(Origin::Named(("constant", name))) => name,
                _ => b"?".to_vec(),
            };
            // A table above its result: a method whose name does not fit `SELF`.
            if i.b() > i.a() {
                ("method", name)
            } else {
                (field_kind(is_env(proto, pc, i.b())), name)
            }
        }
        _ => return None,
    })
}

/// By which name the instruction at `pc` calls a function: a variable's, or a metamethod's.
fn call_name_in_code(proto: &Proto, pc: usize) -> Option<Name> {
    let i = instr(proto, pc);
    let op = i.op()?;
    let event = match op {
        Op::CALL | Op::TAILCALL => return register_name(proto, pc, i.a()),
        Op::TFORCALL => return Some(("for iterator", b"for iterator".to_vec())),
        Op::GETTABUP | Op::GETTABLE | Op::GETI | Op::GETFIELD | Op::SELF => "index",
        Op::SETTABUP
        | Op::SETTABUPK
        | Op::SETTABLE
        | Op::SETTABLEK
        | Op::SETI
        | Op::SETIK
        | Op::SETFIELD
        | Op::SETFIELDK => "newindex",
        Op::LEN => "len",
        Op::CONCAT => "concat",
        Op::EQ => "eq",
        Op::LT | Op::LTI | Op::GTI => "lt",
        Op::LE | Op::LEI | Op::GEI => "le",
        Op::CLOSE | Op::RETURN => "close",
        _ if (Op::ADDI as u8..=Op::BNOT as u8).contains(&(op as u8)) => {
            EVENT_NAMES[event_of_op(op) as usize].trim_start_matches('_')
        }
        _ => return None,
    };
    Some(("metamethod", event.into()))
}

fn same(a: Value, b: Value) -> bool {
    a.tag == b.tag && a.bits == b.bits
}

impl Vm {
    /// Names are searched for in the code before the current instruction, which may be long.
    pub(crate) fn charge_search(&mut self, frame: usize) {
        if let Some(frame) = self.exec.frames().get(frame) {
            let work = self.frame_pc(frame) as u64 >> 4;
            self.charge(work);
        }
    }

    /// The execution state of a coroutine, running or not.
    pub(crate) fn exec_of<'a>(&'a self, co: &'a Gc<Coroutine>) -> &'a Exec {
        if *co == self.current {
            &self.exec
        } else {
            &co.exec
        }
    }

    /// The variable that holds the offending operand `value` of the current instruction, if the bytecode tells. Of two operands
    /// that are the same value the left one is meant, as in the reference.
    pub(crate) fn variable_name(&self, value: Value) -> Option<Name> {
        let frame = self.exec.frame();
        let closure = self.frame_closure(frame)?;
        let proto = closure.proto;
        let pc = self.frame_pc(frame);
        let i = instr(&proto, pc);
        let upvalue = |n: u8| {
            let held = closure.upvals().get(n as usize)?.get();
            same(held, value).then(|| ("upvalue", text(upvalue_name(&proto, n).unwrap_or(b"?"))))
        };
        let regs: &[u8] = match i.op()? {
            Op::GETTABUP => return upvalue(i.b()),
            Op::SETTABUP | Op::SETTABUPK => return upvalue(i.a()),
            Op::SETTABLE | Op::SETTABLEK | Op::SETI | Op::SETIK | Op::SETFIELD | Op::SETFIELDK => {
                &[i.a()]
            }
            Op::GETTABLE | Op::GETI | Op::GETFIELD | Op::SELF | Op::LEN => &[i.b()],
            op if (Op::ADDI as u8..Op::ADD as u8).contains(&(op as u8))
                || op == Op::UNM
                || op == Op::BNOT =>
            {
                &[i.b()]
            }
            op if (Op::ADD as u8..Op::UNM as u8).contains(&(op as u8)) => &[i.b(), i.c()],
            _ => return None,
        };
        let reg = *regs.iter().find(|&&r| same(self.reg(r), value))?;
        register_name(&proto, pc, reg)
    }

    /// What the top Lua frame's code knows about a stack slot of that frame.
    pub(crate) fn slot_name(&self, slot: usize) -> Option<Name> {
        let frame = self.exec.frame();
        let proto = self.frame_proto(frame)?;
        let reg = u8::try_from(slot.checked_sub(frame.base as usize)?).ok()?;
        register_name(&proto, self.frame_pc(frame), reg)
    }

    /// How the function in frame `index` was called, read from its caller's code.
    pub(crate) fn call_name(&self, exec: &Exec, index: usize) -> Option<Name> {
        let frame = exec.frames().get(index)?;
        if matches!(frame.kind, kind::BOTTOM | kind::ENTRY) || frame.flags & frame_flag::TAIL != 0 {
            return None;
        }
        if frame.flags & frame_flag::HOOK != 0 {
            return Some(("hook", b"?".to_vec()));
        }
        if frame.flags & frame_flag::FINALIZER != 0 {
            return Some(("metamethod", b"__gc".to_vec()));
        }
        self.name_called_by(exec.frames().get(index.checked_sub(1)?)?)
    }

    /// By which name a frame's current instruction calls a function.
    pub(crate) fn name_called_by(&self, caller: &Frame) -> Option<Name> {
        let proto = self.frame_proto(caller)?;
        call_name_in_code(&proto, self.frame_pc(caller))
    }

    /// The name of the local variable in register `r` at the current instruction of the top Lua frame.
    pub(crate) fn local_name(&self, r: u8) -> Option<Vec<u8>> {
        let frame = self.exec.frame();
        let proto = self.frame_proto(frame)?;
        local_at(&proto, r as usize + 1, self.frame_pc(frame)).map(text)
    }

    /// How the running native was called, or else under which name the loaded modules know it.
    pub(crate) fn native_call_name(&mut self) -> Option<Name> {
        let index = self.exec.frame_count - 1;
        self.charge_search(index.saturating_sub(1));
        if let Some(name) = self.call_name(&self.exec, index) {
            return Some(name);
        }
        let function = self.exec.get(self.exec.frame().func as usize);
        self.loaded_name(function).map(|name| ("function", name))
    }

    /// The name of a function that is a field of a loaded module: `string.rep`; without the module if that is `_G`.
    pub(crate) fn loaded_name(&mut self, function: Value) -> Option<Vec<u8>> {
        let registry = self.registry;
        let loaded = self.raw_get_name(registry, "_LOADED").ok()?.as_table()?;
        self.touch_table(loaded).ok()?;
        for module in loaded.entries() {
            let (key, value) = (module.key(), module.value());
            let (Some(module), Some(fields)) = (key.as_str(), value.as_table()) else {
                continue;
            };
            self.touch_table(fields).ok()?;
            for field in fields.entries() {
                if let Some(name) = field.key().as_str()
                    && field.value().raw_equals(function)
                    && !field.value().is_nil()
                {
                    let (module, name) = (module.bytes(), name.bytes());
                    return Some(if module == b"_G" {
                        text(name)
                    } else {
                        text(&[module, b".", name].concat())
                    });
                }
            }
        }
        None
    }

    /// Has what [`Vm::loaded_name`] looks at loaded, for a native that is about to ask it.
    pub(crate) fn touch_loaded_names(&mut self) -> Result<(), super::Throw> {
        let registry = self.registry;
        let loaded = self.raw_get_name(registry, "_LOADED")?;
        let Some(loaded) = loaded.as_table() else {
            return Ok(());
        };
        self.touch_table(loaded)?;
        for module in loaded.entries() {
            self.touch(module.value())?;
        }
        Ok(())
    }

    /// The frame at a level as Lua counts them: 0 is the running function. Where the host entered and coroutines begin is none.
    pub(crate) fn level_frame(&self, exec: &Exec, level: i64) -> Option<usize> {
        let level = usize::try_from(level).ok()?;
        let frames = exec.frames();
        let counted = (0..frames.len())
            .rev()
            .filter(|&i| !matches!(frames[i].kind, kind::BOTTOM | kind::ENTRY));
        counted.into_iter().nth(level)
    }

    /// The called function of a frame.
    pub(crate) fn frame_function(&self, exec: &Exec, frame: &Frame) -> Value {
        match self.frame_closure(frame) {
            Some(c) => Value::lua_closure(c),
            None => exec.get(frame.func as usize),
        }
    }
}
