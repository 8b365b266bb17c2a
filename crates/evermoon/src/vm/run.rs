//! The interpreter: one loop over fixed-width instructions. Fast cases inline, everything else in cold functions of the same name.
//!
//! Rules for touching it
//! 1. The loop's state is `vm`, `base`, `pc`, `k`, nothing else. A cold function gets `vm` and the instruction word.
//! 2. Save the pc before anything that can raise, call, fault, suspend or collect: `cold!` does. Afterwards base, pc and k are
//!    reloaded from the top frame, always all three: whatever happened is in the frames.
//! 3. A fresh object is stored in a register before the next safe point; allocation itself never collects.
//! 4. Every store into a heap object passes the barrier first. Registers need none.
//! 5. Nothing visible happens before an instruction's last point of restart.
//! 6. No handler keeps old register state live across a call with a choice after it (a V8 trap: `shared/interpreter-notes.md`).
//!
//! SAFETY of the whole file: code passes `bytecode/verify.rs` before it gets here, so opcodes exist, registers are below `max_stack`, constants,
//! upvalues and jumps are in range; a frame's registers lie inside the stack with `SLACK` slots beyond (`heap/coroutine.rs`, invariants 1 and 2);
//! slots hold valid values at all times, so any register may be read. Tags are tested before a payload is used as an address. Integer
//! payloads are written together with their tag, so that no instruction can turn a number into an address.

use super::call::ALL;
use super::checked::Bounds;
use super::meta::{Event, Outcome};
use super::native::{Request, Throw, Thrown};
use super::{Exit, Vm};
use crate::bytecode::instr::Instr;
use crate::bytecode::op::Op;
use crate::heap::coroutine::{Frame, SLACK, SafePoint, frame_flag, kind};
use crate::heap::function::{Insn, LuaClosure, Upvalue};
use crate::heap::number::{self, Num};
use crate::heap::object::{Gc, mark};
use crate::heap::string::Str;
use crate::heap::table::{Entry, Table, flags};
use crate::heap::value::{Value, tag};

impl Vm {
    /// Runs until the interpreter must be left. Enter again after [`Exit::Slice`].
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn run(&mut self) -> Exit {
        self.begin_slice();
        let exit = self.run_unchecked();
        self.check_event();
        exit
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn run_unchecked(&mut self) -> Exit {
        // Natives may be on top (after a host call, or when the entry's function is one).
        match self.drive_entered() {
            Exit::Continue => {}
            exit => return exit,
        }
        loop {
            let exit = if self.tracing {
                run_traced(self)
            } else {
                run_loop::<false>(self)
            };
            if exit != Exit::Continue {
                return exit;
            }
        }
    }
}

impl Bounds {
    /// Register `n` of the frame at `base`.
    #[inline(always)]
    unsafe fn register(self, base: *mut Value, n: u32) -> *mut Value {
        self.check_register(n);
        // SAFETY: see the head of this file.
        unsafe { base.add(n as usize) }
    }
    /// Constant `n` of those at `k`.
    #[inline(always)]
    unsafe fn constant(self, k: *const Value, n: u32) -> *const Value {
        self.check_constant(n);
        // SAFETY: see the head of this file.
        unsafe { k.add(n as usize) }
    }
}

#[inline(always)]
unsafe fn copy(to: *mut Value, from: *const Value) {
    // SAFETY: the caller's registers or constants.
    unsafe { Value::load(from).store(to) }
}

#[inline(always)]
unsafe fn as_float(v: *const Value) -> Option<f64> {
    // SAFETY: a register or constant.
    unsafe {
        match (*v).tag {
            tag::FLOAT => Some((*v).raw_float()),
            tag::INT => Some((*v).raw_int() as f64),
            _ => None,
        }
    }
}

/// The loop with hooks, on its own: an engine that compiles functions when they are called first does not wait for it.
#[cold]
#[inline(never)]
fn run_traced(vm: &mut Vm) -> Exit {
    run_loop::<true>(vm)
}

/// The loop. `TRACE` looks at hooks before each instruction; it returns `Continue` when hooks were switched on or off. It leaves the fast cases
/// to the cold functions, which know them too: a second copy would be a fiftieth of the wasm module.
#[inline(always)]
fn run_loop<const TRACE: bool>(vm: &mut Vm) -> Exit {
    let vm: *mut Vm = vm;
    // SAFETY: see the head of this file.
    unsafe {
        let mut base: *mut Value;
        let mut pc: *const Insn;
        let mut k: *const Value;

        macro_rules! frame {
            () => {
                (*vm).exec.last
            };
        }
        macro_rules! reload {
            () => {{
                let ci = frame!();
                base = (*vm).exec.stack.add((*ci).base as usize);
                pc = (*ci).pc;
                k = (*ci).k;
            }};
        }
        reload!();
        'next: loop {
            if TRACE {
                (*frame!()).pc = pc;
                match trace(&mut *vm) {
                    Exit::Continue => {
                        reload!();
                        if !(*vm).tracing {
                            return Exit::Continue;
                        }
                    }
                    exit => return exit,
                }
            }
            // Nothing, but in a checked build.
            let bounds = Bounds::of_instruction(&*vm, base, pc, k);
            let i = (*pc).word;
            pc = pc.add(1);

            // What fast cases leave to cold functions. They end here, so that the way back into the loop is there once.
            let exit = 'cold: {
                'slice: {
                    'arith: {
                        // Calls a cold function with the pc saved; then goes on with whatever frame is on top.
                        macro_rules! cold {
                            ($call:expr) => {{
                                (*frame!()).pc = pc;
                                break 'cold $call;
                            }};
                        }
                        macro_rules! step_gc {
                            () => {
                                if (*vm).heap.debt > 0 {
                                    cold!(collect(&mut *vm));
                                }
                            };
                        }
                        macro_rules! a {
                            () => {
                                bounds.register(base, i >> 8 & 0xff)
                            };
                        }
                        macro_rules! b {
                            () => {
                                bounds.register(base, i >> 16 & 0xff)
                            };
                        }
                        macro_rules! c {
                            () => {
                                bounds.register(base, i >> 24)
                            };
                        }
                        macro_rules! kb {
                            () => {
                                bounds.constant(k, i >> 16 & 0xff)
                            };
                        }
                        macro_rules! kc {
                            () => {
                                bounds.constant(k, i >> 24)
                            };
                        }
                        macro_rules! sc {
                            () => {
                                (i as i32 >> 24) as i64
                            };
                        }
                        macro_rules! sb {
                            () => {
                                (i >> 16) as u8 as i8 as i64
                            };
                        }
                        // A test: skip, or take the jump that follows.
                        macro_rules! test {
                            ($answer:expr) => {{
                                if $answer as u32 != i >> 24 {
                                    pc = pc.add(1);
                                } else {
                                    jump!();
                                }
                            }};
                        }
                        macro_rules! jump {
                            () => {{
                                let distance = (*pc).word as i32 >> 8;
                                pc = pc.offset(distance as isize + 1);
                                if distance < 0 {
                                    tick!();
                                }
                            }};
                        }
                        macro_rules! tick {
                            () => {{
                                (*vm).ticks -= 1;
                                if (*vm).ticks <= 0 {
                                    break 'slice;
                                }
                            }};
                        }
                        macro_rules! arith {
                ($x:expr, $y:expr, $int:ident, $op:tt) => {{
    if TRACE { break 'arith; }

                    let (x, y) = ($x, $y);
                    if (*x).tag == tag::INT && (*y).tag == tag::INT {
                        Value::int((*x).raw_int().$int((*y).raw_int())).store(a!());
                    } else if (*x).tag == tag::FLOAT && (*y).tag == tag::FLOAT {
                        Value::float((*x).raw_float() $op (*y).raw_float()).store(a!());
                    } else if let (Some(x), Some(y)) = (as_float(x), as_float(y)) {
                        Value::float(x $op y).store(a!());
                    } else {
                        break 'arith;
                    }
                }};
            }
                        macro_rules! float_arith {
                            ($x:expr, $y:expr, $f:expr) => {{
                                if TRACE {
                                    break 'arith;
                                }

                                if let (Some(x), Some(y)) = (as_float($x), as_float($y)) {
                                    let f: fn(f64, f64) -> f64 = $f;
                                    Value::float(f(x, y)).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }};
                        }
                        macro_rules! bits {
                            ($x:expr, $y:expr, $f:expr) => {{
                                if TRACE {
                                    break 'arith;
                                }

                                let (x, y) = ($x, $y);
                                if (*x).tag == tag::INT && (*y).tag == tag::INT {
                                    let f: fn(i64, i64) -> i64 = $f;
                                    Value::int(f((*x).raw_int(), (*y).raw_int())).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }};
                        }
                        // Integer division and modulo: a divisor of 0 or -1 goes the cold way.
                        macro_rules! modulo {
                ($x:expr, $y:expr) => {{
    if TRACE { break 'arith; }

                    let (x, y) = ($x, $y);
                    if (*x).tag == tag::INT && (*y).tag == tag::INT && (*y).raw_int() > 0 {
                        let (n, d) = ((*x).raw_int(), (*y).raw_int());
                        // Both halves fit in 32 bits more often than not, where division is several times faster.
                        let r = if (n | d) as u64 >> 32 == 0 {
                            (n as u32 % d as u32) as i64
                        } else {
                            let r = n % d;
                            if r < 0 { r + d } else { r }
                        };
                        Value::int(r).store(a!());
                    } else if (*x).tag == tag::FLOAT && (*y).tag == tag::FLOAT {
                        Value::float(number::float_mod((*x).raw_float(), (*y).raw_float())).store(a!());
                    } else {
                        break 'arith;
                    }
                }};
            }
                        macro_rules! floor_div {
                            ($x:expr, $y:expr) => {{
                                if TRACE {
                                    break 'arith;
                                }

                                let (x, y) = ($x, $y);
                                if (*x).tag == tag::INT
                                    && (*y).tag == tag::INT
                                    && (*y).raw_int() > 0
                                {
                                    let (n, d) = ((*x).raw_int(), (*y).raw_int());
                                    let q = if (n | d) as u64 >> 32 == 0 {
                                        (n as u32 / d as u32) as i64
                                    } else {
                                        let q = n / d;
                                        if n % d < 0 { q - 1 } else { q }
                                    };
                                    Value::int(q).store(a!());
                                } else if (*x).tag == tag::FLOAT && (*y).tag == tag::FLOAT {
                                    Value::float(number::float_idiv(
                                        (*x).raw_float(),
                                        (*y).raw_float(),
                                    ))
                                    .store(a!());
                                } else {
                                    break 'arith;
                                }
                            }};
                        }
                        macro_rules! compare {
                ($op:tt) => {{
    if TRACE { cold!(compare(&mut *vm, i)); }

                    let (x, y) = (a!(), b!());
                    if (*x).tag == tag::INT && (*y).tag == tag::INT {
                        test!((*x).raw_int() $op (*y).raw_int());
                    } else if (*x).tag == tag::FLOAT && (*y).tag == tag::FLOAT {
                        test!((*x).raw_float() $op (*y).raw_float());
                    } else {
                        cold!(compare(&mut *vm, i));
                    }
                }};
            }
                        macro_rules! compare_imm {
                ($op:tt) => {{
    if TRACE { cold!(compare(&mut *vm, i)); }

                    let x = a!();
                    if (*x).tag == tag::INT {
                        test!((*x).raw_int() $op sb!());
                    } else if (*x).tag == tag::FLOAT {
                        test!((*x).raw_float() $op sb!() as f64);
                    } else {
                        cold!(compare(&mut *vm, i));
                    }
                }};
            }
                        // Reads a field by an interned name, by the position cached beside the instruction.
                        macro_rules! get_name {
                            ($object:expr, $name:expr, $to:expr) => {{
                                if TRACE {
                                    cold!(get_name(&mut *vm, i));
                                }

                                let object: *const Value = $object;
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *const Table;
                                    let name: *const Value = $name;
                                    let at = (*pc.sub(1)).cache as usize;
                                    if at < (*t).entry_count as usize {
                                        let e: *const Entry = (*t).entries.add(at);
                                        if (*e).key_bits == (*name).bits
                                            && (*e).key_tag == tag::STR
                                            && (*e).value_tag != tag::NIL
                                        {
                                            copy($to, e.cast());
                                            continue 'next;
                                        }
                                    }
                                    if find_name(t, (*name).bits, pc.sub(1).cast_mut(), $to) {
                                        continue 'next;
                                    }
                                }
                                cold!(get_name(&mut *vm, i));
                            }};
                        }
                        macro_rules! set_name {
                            ($object:expr, $name:expr, $value:expr) => {{
                                if TRACE {
                                    cold!(set_name(&mut *vm, i));
                                }

                                let object: *const Value = $object;
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *mut Table;
                                    let name: *const Value = $name;
                                    let at = (*pc.sub(1)).cache as usize;
                                    if at < (*t).entry_count as usize {
                                        let e: *mut Entry = (*t).entries.add(at);
                                        if (*e).key_bits == (*name).bits
                                            && (*e).key_tag == tag::STR
                                            && (*e).value_tag != tag::NIL
                                        {
                                            if (*t).header.mark & mark::BARRIER != 0 {
                                                (*vm).heap.barrier_slow(Gc::from_raw(t).header());
                                            }
                                            copy(e.cast(), $value);
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(set_name(&mut *vm, i));
                            }};
                        }

                        // SAFETY: verified code holds only bytes that are opcodes.
                        match std::mem::transmute::<u8, Op>(i as u8) {
                            Op::MOVE => copy(a!(), b!()),
                            Op::LOADI => Value::int((i as i32 >> 16) as i64).store(a!()),
                            Op::LOADF => Value::float((i as i32 >> 16) as f64).store(a!()),
                            Op::LOADK => copy(a!(), bounds.constant(k, i >> 16)),
                            Op::LOADKX => {
                                copy(a!(), bounds.constant(k, (*pc).word >> 8));
                                pc = pc.add(1);
                            }
                            Op::LOADFALSE => Value::FALSE.store(a!()),
                            Op::LFALSESKIP => {
                                Value::FALSE.store(a!());
                                pc = pc.add(1);
                            }
                            Op::LOADTRUE => Value::TRUE.store(a!()),
                            Op::LOADNIL => {
                                let mut to = a!();
                                for _ in 0..=(i >> 16 & 0xff) {
                                    Value::NIL.store(to);
                                    to = to.add(1);
                                }
                            }
                            Op::GETUPVAL => {
                                let up = upval(frame!(), bounds.upvalue(i >> 16 & 0xff));
                                copy(a!(), (*up).slot);
                            }
                            Op::SETUPVAL => {
                                let up = upval(frame!(), bounds.upvalue(i >> 16 & 0xff));
                                if (*up).header.mark & mark::BARRIER != 0 {
                                    (*vm).heap.barrier_slow(Gc::from_raw(up).header());
                                }
                                copy((*up).slot, a!());
                            }

                            Op::GETTABUP => {
                                let up = upval(frame!(), bounds.upvalue(i >> 16 & 0xff));
                                get_name!((*up).slot, kc!(), a!())
                            }
                            Op::GETFIELD => get_name!(b!(), kc!(), a!()),
                            Op::SELF => {
                                if TRACE {
                                    cold!(self_(&mut *vm, i));
                                }

                                let object = b!();
                                let to = a!();
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *const Table;
                                    let name: *const Value = kc!();
                                    let at = (*pc.sub(1)).cache as usize;
                                    if at < (*t).entry_count as usize {
                                        let e: *const Entry = (*t).entries.add(at);
                                        if (*e).key_bits == (*name).bits
                                            && (*e).key_tag == tag::STR
                                            && (*e).value_tag != tag::NIL
                                        {
                                            copy(to.add(1), object);
                                            copy(to, e.cast());
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(self_(&mut *vm, i));
                            }
                            Op::GETTABLE => {
                                if TRACE {
                                    cold!(get_table(&mut *vm, i));
                                }

                                let (object, key) = (b!(), c!());
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *const Table;
                                    if (*key).tag == tag::INT {
                                        let at = ((*key).bits).wrapping_sub(1);
                                        if at < (*t).array_len as u64 {
                                            let v = (*t).array.add(at as usize);
                                            if (*v).tag != tag::NIL {
                                                copy(a!(), v);
                                                continue 'next;
                                            }
                                        }
                                    } else if (*key).tag == tag::STR {
                                        let at = (*pc.sub(1)).cache as usize;
                                        if at < (*t).entry_count as usize {
                                            let e: *const Entry = (*t).entries.add(at);
                                            if (*e).key_bits == (*key).bits
                                                && (*e).key_tag == tag::STR
                                                && (*e).value_tag != tag::NIL
                                            {
                                                copy(a!(), e.cast());
                                                continue 'next;
                                            }
                                        }
                                        if find_name(t, (*key).bits, pc.sub(1).cast_mut(), a!()) {
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(get_table(&mut *vm, i));
                            }
                            Op::GETI => {
                                if TRACE {
                                    cold!(get_table(&mut *vm, i));
                                }

                                let object = b!();
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *const Table;
                                    let at = (i >> 24).wrapping_sub(1);
                                    if at < (*t).array_len {
                                        let v = (*t).array.add(at as usize);
                                        if (*v).tag != tag::NIL {
                                            copy(a!(), v);
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(get_table(&mut *vm, i));
                            }
                            Op::SETTABUP => {
                                let up = upval(frame!(), bounds.upvalue(i >> 8 & 0xff));
                                set_name!((*up).slot, kb!(), c!())
                            }
                            Op::SETTABUPK => {
                                let up = upval(frame!(), bounds.upvalue(i >> 8 & 0xff));
                                set_name!((*up).slot, kb!(), kc!())
                            }
                            Op::SETFIELD => set_name!(a!(), kb!(), c!()),
                            Op::SETFIELDK => set_name!(a!(), kb!(), kc!()),
                            Op::SETTABLE | Op::SETTABLEK | Op::SETI | Op::SETIK => {
                                if TRACE {
                                    cold!(set_table(&mut *vm, i));
                                }

                                let op = i as u8;
                                let object = a!();
                                let value: *const Value =
                                    if op == Op::SETTABLEK as u8 || op == Op::SETIK as u8 {
                                        kc!()
                                    } else {
                                        c!()
                                    };
                                if (*object).tag == tag::TABLE {
                                    let t = (*object).bits as usize as *mut Table;
                                    let (is_int, key) = if op >= Op::SETI as u8 {
                                        (true, (i >> 16 & 0xff) as u64)
                                    } else {
                                        ((*b!()).tag == tag::INT, (*b!()).bits)
                                    };
                                    if is_int && (*value).tag != tag::NIL {
                                        let at = key.wrapping_sub(1);
                                        if at < (*t).array_len as u64 {
                                            let slot = (*t).array.add(at as usize);
                                            if (*slot).tag != tag::NIL || (*t).metatable.is_none() {
                                                if (*t).header.mark & mark::BARRIER != 0 {
                                                    (*vm)
                                                        .heap
                                                        .barrier_slow(Gc::from_raw(t).header());
                                                }
                                                copy(slot, value);
                                                continue 'next;
                                            }
                                        } else if at == (*t).array_len as u64
                                            && (*t).array_len < (*t).array_cap
                                            && (*t).metatable.is_none()
                                            && (*t).header.flags & flags::INT_ENTRIES == 0
                                        {
                                            if (*t).header.mark & mark::BARRIER != 0 {
                                                (*vm).heap.barrier_slow(Gc::from_raw(t).header());
                                            }
                                            copy((*t).array.add(at as usize), value);
                                            (*t).array_len += 1;
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(set_table(&mut *vm, i));
                            }
                            Op::NEWTABLE => {
                                let array = (*pc).word >> 8;
                                pc = pc.add(1);
                                let log = i >> 16 & 0xff;
                                match (*vm).heap.table() {
                                    Ok(t) if array == 0 && log == 0 => Value::table(t).store(a!()),
                                    Ok(t) => {
                                        let entries = if log == 0 {
                                            0
                                        } else {
                                            1u32 << (log - 1).min(25)
                                        };
                                        (*vm).charge((array as u64 + entries as u64) >> 6);
                                        if (*vm).heap.table_presize(t, array, entries).is_err() {
                                            pc = pc.sub(1);
                                            cold!(out_of_memory(&mut *vm));
                                        }
                                        Value::table(t).store(a!());
                                    }
                                    Err(_) => {
                                        pc = pc.sub(1);
                                        cold!(out_of_memory(&mut *vm))
                                    }
                                }
                                step_gc!();
                            }

                            Op::ADDI => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int((*x).raw_int().wrapping_add(sc!())).store(a!());
                                } else if (*x).tag == tag::FLOAT {
                                    Value::float((*x).raw_float() + sc!() as f64).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::SUBI => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int((*x).raw_int().wrapping_sub(sc!())).store(a!());
                                } else if (*x).tag == tag::FLOAT {
                                    Value::float((*x).raw_float() - sc!() as f64).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::SHLI => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int(number::shl(sc!(), (*x).raw_int())).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::SHRI => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int(number::shr((*x).raw_int(), sc!())).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::SHLIR => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int(number::shl((*x).raw_int(), sc!())).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::ADDK | Op::ADDKF => arith!(b!(), kc!(), wrapping_add, +),
                            Op::SUBK => arith!(b!(), kc!(), wrapping_sub, -),
                            Op::MULK | Op::MULKF => arith!(b!(), kc!(), wrapping_mul, *),
                            Op::SUBKF => arith!(kc!(), b!(), wrapping_sub, -),
                            Op::MODK => modulo!(b!(), kc!()),
                            Op::POWK => float_arith!(b!(), kc!(), number::pow),
                            Op::DIVK => float_arith!(b!(), kc!(), |x, y| x / y),
                            Op::DIVKF => float_arith!(kc!(), b!(), |x, y| x / y),
                            Op::IDIVK => floor_div!(b!(), kc!()),
                            Op::BANDK => bits!(b!(), kc!(), |x, y| x & y),
                            Op::BORK => bits!(b!(), kc!(), |x, y| x | y),
                            Op::BXORK => bits!(b!(), kc!(), |x, y| x ^ y),
                            Op::ADD => arith!(b!(), c!(), wrapping_add, +),
                            Op::SUB => arith!(b!(), c!(), wrapping_sub, -),
                            Op::MUL => arith!(b!(), c!(), wrapping_mul, *),
                            Op::MOD => modulo!(b!(), c!()),
                            Op::POW => float_arith!(b!(), c!(), number::pow),
                            Op::DIV => float_arith!(b!(), c!(), |x, y| x / y),
                            Op::IDIV => floor_div!(b!(), c!()),
                            Op::BAND => bits!(b!(), c!(), |x, y| x & y),
                            Op::BOR => bits!(b!(), c!(), |x, y| x | y),
                            Op::BXOR => bits!(b!(), c!(), |x, y| x ^ y),
                            Op::SHL => bits!(b!(), c!(), number::shl),
                            Op::SHR => bits!(b!(), c!(), number::shr),
                            Op::UNM => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int(0i64.wrapping_sub((*x).raw_int())).store(a!());
                                } else if (*x).tag == tag::FLOAT {
                                    Value::float(-(*x).raw_float()).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::BNOT => {
                                if TRACE {
                                    break 'arith;
                                }

                                let x = b!();
                                if (*x).tag == tag::INT {
                                    Value::int(!(*x).raw_int()).store(a!());
                                } else {
                                    break 'arith;
                                }
                            }
                            Op::NOT => Value::bool((*b!()).tag <= tag::FALSE).store(a!()),
                            Op::LEN => {
                                if TRACE {
                                    cold!(length(&mut *vm, i));
                                }

                                let x = b!();
                                if (*x).tag == tag::TABLE {
                                    let t = (*x).bits as usize as *const Table;
                                    if (*t).metatable.is_none() {
                                        Value::int((*t).border() as i64).store(a!());
                                        continue 'next;
                                    }
                                }
                                cold!(length(&mut *vm, i));
                            }
                            Op::CONCAT => cold!(concat(&mut *vm, i)),

                            Op::CLOSE => cold!(close(&mut *vm, i)),
                            Op::TBC => cold!(tbc(&mut *vm, i)),
                            Op::JMP => {
                                let distance = i as i32 >> 8;
                                pc = pc.offset(distance as isize);
                                if distance < 0 {
                                    tick!();
                                }
                            }

                            Op::EQ => {
                                if TRACE {
                                    cold!(equal(&mut *vm, i));
                                }

                                let (x, y) = (a!(), b!());
                                if (*x).tag == (*y).tag
                                    && (*x).tag != tag::FLOAT
                                    && ((*x).bits == (*y).bits || (*x).tag < tag::LONG_STR)
                                {
                                    test!((*x).bits == (*y).bits);
                                } else {
                                    cold!(equal(&mut *vm, i));
                                }
                            }
                            Op::LT => compare!(<),
                            Op::LE => compare!(<=),
                            Op::EQK => {
                                let x = a!();
                                if (*x).tag == tag::LONG_STR {
                                    cold!(equal_constant(&mut *vm, i));
                                }
                                test!((*x).raw_equals(Value::load(kb!())))
                            }
                            Op::EQI => {
                                let x = a!();
                                if (*x).tag == tag::INT {
                                    test!((*x).raw_int() == sb!());
                                } else {
                                    test!(
                                        (*x).tag == tag::FLOAT && (*x).raw_float() == sb!() as f64
                                    );
                                }
                            }
                            Op::LTI => compare_imm!(<),
                            Op::LEI => compare_imm!(<=),
                            Op::GTI => compare_imm!(>),
                            Op::GEI => compare_imm!(>=),
                            Op::TEST => test!((*a!()).tag > tag::FALSE),
                            Op::TESTSET => {
                                let x = b!();
                                if ((*x).tag > tag::FALSE) as u32 != i >> 24 {
                                    pc = pc.add(1);
                                } else {
                                    copy(a!(), x);
                                    jump!();
                                }
                            }

                            Op::CALL => {
                                let func = a!();
                                if (*func).tag == tag::LUA_CLOSURE {
                                    let closure = (*func).bits as usize as *const LuaClosure;
                                    let proto = (*closure).proto.as_ptr();
                                    let count = i >> 16 & 0xff;
                                    let args = if count != 0 {
                                        count as usize - 1
                                    } else {
                                        (*vm).exec.top
                                            - func.offset_from((*vm).exec.stack) as usize
                                            - 1
                                    };
                                    let at = func.offset_from((*vm).exec.stack) as usize;
                                    let params = (*proto).num_params as usize;
                                    let top = at + 1 + (*proto).max_stack as usize;
                                    if !TRACE
                                        && !(*proto).is_vararg
                                        && args <= params
                                        && top + 2 * SLACK < (*vm).exec.stack_cap
                                        && (*vm).exec.frame_count < (*vm).exec.frame_cap
                                    {
                                        for n in args..params {
                                            Value::NIL.store(func.add(1 + n));
                                        }
                                        let ci = frame!();
                                        (*ci).pc = pc;
                                        let ci = ci.add(1);
                                        (*vm).exec.enter_frame();
                                        pc = (*proto).code;
                                        k = (*proto).consts;
                                        base = func.add(1);
                                        (*ci).k = k;
                                        (*ci).closure = closure;
                                        (*ci).base = at as u32 + 1;
                                        (*ci).func = at as u32;
                                        (*ci).top = top as u32;
                                        (*ci).state = 0;
                                        (*ci).aux = 0;
                                        (*ci).results = (i >> 24) as i16 - 1;
                                        (*ci).kind = kind::LUA;
                                        (*ci).flags = 0;
                                        (*vm).ticks -= 1;
                                        if (*vm).ticks <= 0 {
                                            break 'slice;
                                        }
                                        continue 'next;
                                    }
                                }
                                cold!(call(&mut *vm, i));
                            }
                            Op::TAILCALL => cold!(tail_call(&mut *vm, i)),
                            Op::RETURN => {
                                let ci = frame!();
                                let count = i >> 16 & 0xff;
                                if (*ci).flags & !frame_flag::TAIL == 0
                                    && !TRACE
                                    && count != 0
                                    && (*vm).exec.tbc.is_empty()
                                    && (*vm).exec.open.last().is_none_or(|up| up.slot < base)
                                {
                                    let count = count as usize - 1;
                                    let results = (*ci).results;
                                    let stack = (*vm).exec.stack;
                                    let to = stack.add((*ci).func as usize);
                                    let wanted = if results < 0 {
                                        (*vm).exec.top = (*ci).func as usize + count;
                                        count
                                    } else {
                                        results as usize
                                    };
                                    let from = a!();
                                    (*vm).exec.leave_frame();
                                    let ci = ci.sub(1);
                                    for n in 0..wanted {
                                        if n < count {
                                            copy(to.add(n), from.add(n))
                                        } else {
                                            Value::NIL.store(to.add(n))
                                        }
                                    }
                                    base = stack.add((*ci).base as usize);
                                    pc = (*ci).pc;
                                    k = (*ci).k;
                                    continue 'next;
                                }
                                cold!(return_(&mut *vm, i));
                            }
                            Op::RETURN0 => {
                                let ci = frame!();
                                if (*ci).flags & !frame_flag::TAIL == 0 && !TRACE {
                                    let func = (*ci).func as usize;
                                    let results = (*ci).results;
                                    (*vm).exec.leave_frame();
                                    let ci = ci.sub(1);
                                    let stack = (*vm).exec.stack;
                                    if results < 0 {
                                        (*vm).exec.top = func;
                                    } else {
                                        for n in 0..results as usize {
                                            Value::NIL.store(stack.add(func + n));
                                        }
                                    }
                                    base = stack.add((*ci).base as usize);
                                    pc = (*ci).pc;
                                    k = (*ci).k;
                                    continue 'next;
                                }
                                cold!(return_(&mut *vm, i));
                            }
                            Op::RETURN1 => {
                                let ci = frame!();
                                if (*ci).flags & !frame_flag::TAIL == 0 && !TRACE {
                                    let func = (*ci).func as usize;
                                    let results = (*ci).results as isize;
                                    let stack = (*vm).exec.stack;
                                    let to = stack.add(func);
                                    (*vm).exec.leave_frame();
                                    let ci = ci.sub(1);
                                    if results == 1 {
                                        copy(to, a!());
                                    } else if results < 0 {
                                        copy(to, a!());
                                        (*vm).exec.top = func + 1;
                                    } else if results > 0 {
                                        copy(to, a!());
                                        for n in 1..results as usize {
                                            Value::NIL.store(to.add(n));
                                        }
                                    }
                                    base = stack.add((*ci).base as usize);
                                    pc = (*ci).pc;
                                    k = (*ci).k;
                                    continue 'next;
                                }
                                cold!(return_(&mut *vm, i));
                            }

                            Op::FORLOOP => {
                                let v = a!();
                                let step = v.add(2);
                                if (*step).tag == tag::INT {
                                    let count = (*v.add(1)).bits;
                                    if count > 0 {
                                        let next = (*v).raw_int().wrapping_add((*step).raw_int());
                                        Value::int((count - 1) as i64).store(v.add(1));
                                        Value::int(next).store(v);
                                        Value::int(next).store(v.add(3));
                                        jump!();
                                    } else {
                                        pc = pc.add(1);
                                    }
                                } else {
                                    let step = (*step).raw_float();
                                    let next = (*v).raw_float() + step;
                                    let limit = (*v.add(1)).raw_float();
                                    if if step > 0.0 {
                                        next <= limit
                                    } else {
                                        limit <= next
                                    } {
                                        Value::float(next).store(v);
                                        Value::float(next).store(v.add(3));
                                        jump!();
                                    } else {
                                        pc = pc.add(1);
                                    }
                                }
                            }
                            Op::FORPREP => {
                                let v = a!();
                                if (*v).tag == tag::INT
                                    && (*v.add(1)).tag == tag::INT
                                    && (*v.add(2)).tag == tag::INT
                                    && (*v.add(2)).raw_int() == 1
                                {
                                    let (first, last) = ((*v).raw_int(), (*v.add(1)).raw_int());
                                    if first > last {
                                        jump!();
                                    } else {
                                        Value::int((last as u64).wrapping_sub(first as u64) as i64)
                                            .store(v.add(1));
                                        Value::int(first).store(v.add(3));
                                        pc = pc.add(1);
                                    }
                                } else {
                                    cold!(for_prepare(&mut *vm, i));
                                }
                            }
                            Op::TFORPREP => cold!(for_in_prepare(&mut *vm, i)),
                            Op::TFORCALL => {
                                let v = a!();
                                if (*v).tag == tag::NATIVE
                                    && (*v).bits == 0
                                    && !TRACE
                                    && (*v.add(1)).tag == tag::TABLE
                                {
                                    // The native number 0 is `next`: no frame is needed for it.
                                    let t = (*v.add(1)).bits as usize as *const Table;
                                    let insn = pc.sub(1).cast_mut();
                                    let mut hint = (*insn).cache;
                                    if let Ok(next) =
                                        (*t).next_near(Value::load(v.add(2)), &mut hint)
                                    {
                                        (*insn).cache = hint;
                                        match next {
                                            Some((key, value)) => {
                                                key.store(v.add(4));
                                                value.store(v.add(5));
                                            }
                                            None => {
                                                Value::NIL.store(v.add(4));
                                                Value::NIL.store(v.add(5));
                                            }
                                        }
                                        for n in 2..(i >> 24) as usize {
                                            Value::NIL.store(v.add(4 + n));
                                        }
                                        continue 'next;
                                    }
                                } else if (*v).tag == tag::NATIVE && (*v).bits == 1 && !TRACE {
                                    // Number 1 is the iterator of `ipairs`: here for values in the array part.
                                    let (t, at) = (
                                        (*v.add(1)).bits as usize as *const Table,
                                        (*v.add(2)).bits,
                                    );
                                    if (*v.add(1)).tag == tag::TABLE
                                        && (*v.add(2)).tag == tag::INT
                                        && at < (*t).array_len as u64
                                    {
                                        let value = (*t).array.add(at as usize);
                                        if (*value).tag != tag::NIL {
                                            Value::int(at as i64 + 1).store(v.add(4));
                                            copy(v.add(5), value);
                                            for n in 2..(i >> 24) as usize {
                                                Value::NIL.store(v.add(4 + n));
                                            }
                                            continue 'next;
                                        }
                                    }
                                }
                                cold!(for_in_call(&mut *vm, i));
                            }
                            Op::TFORLOOP => {
                                let v = a!();
                                if (*v.add(4)).tag != tag::NIL {
                                    copy(v.add(2), v.add(4));
                                    jump!();
                                } else {
                                    pc = pc.add(1);
                                }
                            }

                            Op::SETLIST => cold!(set_list(&mut *vm, i)),
                            Op::CLOSURE => cold!(closure(&mut *vm, i)),
                            Op::VARARG => cold!(vararg(&mut *vm, i)),
                            Op::VARARGPREP => {}
                            Op::EXTRAARG => {}
                        }
                        continue 'next;
                    }
                    (*frame!()).pc = pc;
                    break 'cold arith(&mut *vm, i);
                }
                (*frame!()).pc = pc;
                slice_over(&mut *vm)
            };
            if exit != Exit::Continue || (*vm).tracing != TRACE {
                return exit;
            }
            reload!();
        }
    }
}

/// The upvalue `n` of the running closure.
#[inline(always)]
unsafe fn upval(frame: *mut Frame, n: u32) -> *mut Upvalue {
    // SAFETY: verified code names existing upvalues only; a Lua frame's closure is alive.
    unsafe { (*LuaClosure::upvals_of((*frame).closure).add(n as usize)).as_ptr() }
}

/// Looks a name up in a table's own entries, stores the value and remembers the position.
#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
unsafe fn find_name(t: *const Table, name: u64, insn: *mut Insn, to: *mut Value) -> bool {
    // SAFETY: a live table; an interned string's address; the instruction that is being executed.
    unsafe {
        let n = (*t).find_name(Gc::<Str>::from_bits(name));
        if n == u32::MAX {
            return false;
        }
        let e = (*t).entries.add(n as usize);
        if (*e).value_tag == tag::NIL {
            return false;
        }
        (*insn).cache = n;
        copy(to, e.cast());
        true
    }
}

// ---- cold functions: `vm`'s top frame is the Lua frame that executes `i`, its pc is saved behind it ----

#[cold]
#[inline(never)]
fn slice_over(vm: &mut Vm) -> Exit {
    if let Some(message) = vm.interrupt.take() {
        let throw = vm.fail(&message);
        return vm.settle(Err(throw));
    }
    vm.slice_over()
}

/// The end of an instruction that may have charged for long work: the slice may be over.
#[inline(always)]
fn charged(vm: &mut Vm) -> Exit {
    if vm.ticks <= 0 {
        slice_over(vm)
    } else {
        Exit::Continue
    }
}

#[cold]
#[inline(never)]
fn collect(vm: &mut Vm) -> Exit {
    match vm.collect_at(SafePoint::Instruction) {
        Ok(false) => charged(vm),
        step => vm.settle(step.map(|_| ())),
    }
}

#[cold]
#[inline(never)]
fn out_of_memory(vm: &mut Vm) -> Exit {
    // Collect everything and try the instruction again; if there is still no room, it is an error.
    let throw = vm.memory_throw();
    vm.settle(Err(throw))
}

#[cold]
#[inline(never)]
fn trace(vm: &mut Vm) -> Exit {
    // Again after a hook that has already returned, as one instruction may have several events.
    while vm.tracing {
        let exit = match vm.trace_instruction() {
            Ok(false) => break,
            Ok(true) => vm.drive(),
            Err(throw) => vm.settle(Err(throw)),
        };
        if exit != Exit::Continue {
            return exit;
        }
    }
    Exit::Continue
}

pub(super) fn event_of_op(op: Op) -> Event {
    match op {
        Op::ADD | Op::ADDI | Op::ADDK | Op::ADDKF => Event::Add,
        Op::SUB | Op::SUBI | Op::SUBK | Op::SUBKF => Event::Sub,
        Op::MUL | Op::MULK | Op::MULKF => Event::Mul,
        Op::MOD | Op::MODK => Event::Mod,
        Op::POW | Op::POWK => Event::Pow,
        Op::DIV | Op::DIVK | Op::DIVKF => Event::Div,
        Op::IDIV | Op::IDIVK => Event::IDiv,
        Op::BAND | Op::BANDK => Event::BAnd,
        Op::BOR | Op::BORK => Event::BOr,
        Op::BXOR | Op::BXORK => Event::BXor,
        Op::SHL | Op::SHLI | Op::SHLIR => Event::Shl,
        Op::SHR | Op::SHRI => Event::Shr,
        Op::UNM => Event::Unm,
        _ => Event::BNot,
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn arith(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let Some(op) = i.op() else {
        return Exit::Continue;
    };
    let b = vm.reg(i.b());
    let (x, y) = match op {
        Op::ADDI | Op::SUBI | Op::SHRI | Op::SHLIR => (b, Value::int(i.sc() as i64)),
        Op::SHLI => (Value::int(i.sc() as i64), b),
        Op::ADDKF | Op::SUBKF | Op::MULKF | Op::DIVKF => (vm.constant(i.c() as u32), b),
        Op::ADDK
        | Op::SUBK
        | Op::MULK
        | Op::MODK
        | Op::POWK
        | Op::DIVK
        | Op::IDIVK
        | Op::BANDK
        | Op::BORK
        | Op::BXORK => (b, vm.constant(i.c() as u32)),
        Op::UNM | Op::BNOT => (b, b),
        _ => (b, vm.reg(i.c())),
    };
    match vm.arith(event_of_op(op), x, y) {
        Ok(Outcome::Done(v)) => {
            vm.set_reg(i.a(), v);
            charged(vm)
        }
        Ok(outcome) => {
            let step = vm.finish_outcome(i, outcome);
            vm.settle(step)
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn compare(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let (a, imm) = (vm.reg(i.a()), Value::int(i.sb() as i64));
    let (event, x, y) = match i.op() {
        Some(Op::LT) => (Event::Lt, a, vm.reg(i.b())),
        Some(Op::LE) => (Event::Le, a, vm.reg(i.b())),
        Some(Op::LTI) => (Event::Lt, a, imm),
        Some(Op::LEI) => (Event::Le, a, imm),
        Some(Op::GTI) => (Event::Lt, imm, a),
        _ => (Event::Le, imm, a),
    };
    let outcome = vm.compare(event, x, y);
    finish_condition(vm, outcome)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn equal(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let (x, y) = (vm.reg(i.a()), vm.reg(i.b()));
    let outcome = vm.equal_value(x, y);
    finish_condition(vm, outcome)
}

#[inline(never)]
fn equal_constant(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let (x, y) = (vm.reg(i.a()), vm.constant(i.b() as u32));
    vm.charge_string(x);
    vm.finish_test(x.raw_equals(y));
    charged(vm)
}

#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn finish_condition(vm: &mut Vm, outcome: Result<Outcome, Throw>) -> Exit {
    match outcome {
        Ok(Outcome::Done(v)) => {
            vm.finish_test(v.is_truthy());
            charged(vm)
        }
        Ok(Outcome::Call(args)) => {
            let step = vm.call_meta(args, 1, frame_flag::FINISH);
            vm.settle(step)
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

/// A field found along a chain of `__index` tables, without calls; `None` when it takes more than that.
#[inline]
#[cfg_attr(evermoon_small, optimize(speed))]
fn inherited(vm: &Vm, mut t: Gc<Table>, name: Gc<Str>) -> Option<Value> {
    for _ in 0..100 {
        if t.header.is_hollow() {
            return None;
        }
        let n = t.find_name(name);
        if n != u32::MAX {
            let v = t.entries()[n as usize].value();
            if !v.is_nil() {
                return Some(v);
            }
        }
        let Some(mt) = t.metatable else {
            return Some(Value::NIL);
        };
        let handler = vm.event_of(mt, Event::Index);
        if handler.is_nil() {
            return Some(Value::NIL);
        }
        t = handler.as_table()?;
    }
    None
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn get_name(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let key = vm.constant(i.c() as u32);
    let object = if i.op() == Some(Op::GETTABUP) {
        vm.upvalue_value(i.b())
    } else {
        vm.reg(i.b())
    };
    if let Some(v) = vm.row_here(object, key) {
        vm.set_reg(i.a(), v);
        return Exit::Continue;
    }
    if let (Some(t), Some(name)) = (object.as_table(), key.as_str())
        && let Some(v) = inherited(vm, t, name)
    {
        vm.set_reg(i.a(), v);
        return Exit::Continue;
    }
    get(vm, i, object, key)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn self_(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let object = vm.reg(i.b());
    let key = vm.constant(i.c() as u32);
    let Some(name) = key.as_str() else {
        return Exit::Continue;
    };
    let table = match object.as_table() {
        Some(t) => Some(t),
        // A string's methods: the `__index` of its metatable.
        None if object.is_string() => vm
            .metatable_of(object)
            .and_then(|mt| vm.event_of(mt, Event::Index).as_table()),
        None => None,
    };
    if let Some(t) = table
        && let Some(v) = inherited(vm, t, name)
    {
        if object.is_table() {
            let n = t.find_name(name);
            if n != u32::MAX {
                vm.remember(n);
            }
        }
        vm.set_reg(i.a() + 1, object);
        vm.set_reg(i.a(), v);
        return Exit::Continue;
    }
    // R[A+1] must not be written before the lookup can no longer fail or be restarted; but R[A] may be R[B], and the call only
    // writes R[A].
    let outcome = vm.index_value(object, key);
    if outcome.is_ok() {
        vm.set_reg(i.a() + 1, object);
    }
    finish_get(vm, i, outcome)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn get_table(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let object = vm.reg(i.b());
    let key = if i.op() == Some(Op::GETI) {
        Value::int(i.c() as i64)
    } else {
        vm.reg(i.c())
    };
    vm.charge_string(key);
    if let Some(v) = vm.row_here(object, key) {
        vm.set_reg(i.a(), v);
        return charged(vm);
    }
    if let Some(t) = object.as_table() {
        let v = t.get(key);
        if !v.is_nil() || t.metatable.is_none() {
            vm.set_reg(i.a(), v);
            return charged(vm);
        }
    }
    get(vm, i, object, key)
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn get(vm: &mut Vm, i: Instr, object: Value, key: Value) -> Exit {
    let outcome = vm.index_value(object, key);
    finish_get(vm, i, outcome)
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn finish_get(vm: &mut Vm, i: Instr, outcome: Result<Outcome, Throw>) -> Exit {
    match outcome {
        Ok(Outcome::Done(v)) => {
            vm.set_reg(i.a(), v);
            Exit::Continue
        }
        Ok(outcome) => {
            let step = vm.finish_outcome(i, outcome);
            vm.settle(step)
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn set_name(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let op = i.op();
    let key = vm.constant(i.b() as u32);
    let value = if matches!(op, Some(Op::SETFIELDK | Op::SETTABUPK)) {
        vm.constant(i.c() as u32)
    } else {
        vm.reg(i.c())
    };
    let object = if matches!(op, Some(Op::SETTABUP | Op::SETTABUPK)) {
        vm.upvalue_value(i.a())
    } else {
        vm.reg(i.a())
    };
    if let (Some(mut t), Some(name)) = (object.as_table(), key.as_str()) {
        let n = t.find_name(name);
        if n != u32::MAX {
            if !t.entries()[n as usize].value().is_nil() {
                vm.remember(n);
                vm.heap.barrier(t);
                let e = &mut t.entries_mut()[n as usize];
                e.value_bits = value.bits;
                e.value_tag = value.tag;
                return Exit::Continue;
            }
        } else if t.metatable.is_none() {
            // The next object of this shape gets the field at the same position.
            vm.remember(t.entry_count);
        }
    }
    set(vm, object, key, value)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn set_table(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let object = vm.reg(i.a());
    let op = i.op();
    let key = if matches!(op, Some(Op::SETI | Op::SETIK)) {
        Value::int(i.b() as i64)
    } else {
        vm.reg(i.b())
    };
    vm.charge_string(key);
    let value = if matches!(op, Some(Op::SETTABLEK | Op::SETIK)) {
        vm.constant(i.c() as u32)
    } else {
        vm.reg(i.c())
    };
    set(vm, object, key, value)
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn set(vm: &mut Vm, object: Value, key: Value, value: Value) -> Exit {
    if let Some(t) = object.as_table()
        && t.metatable.is_none()
    {
        vm.heap.barrier(t);
        match vm.heap.table_set(t, key, value) {
            Ok(()) => {
                return if vm.heap.debt > 0 {
                    collect(vm)
                } else {
                    charged(vm)
                };
            }
            Err(e) => {
                let throw = vm.store_error(e);
                return vm.settle(Err(throw));
            }
        }
    }
    let step = match vm.set_index_value(object, key, value) {
        Ok(Outcome::Done(_)) => return Exit::Continue,
        Ok(Outcome::Call(args)) => vm.call_meta(args, 0, frame_flag::FINISH),
        Err(throw) => Err(throw),
    };
    vm.settle(step)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn length(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let v = vm.reg(i.b());
    let outcome = vm.length_value(v);
    finish_get(vm, i, outcome)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn concat(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let frame = vm.exec.frame();
    let first = frame.base as usize + i.a() as usize;
    // A restart after a metamethod's call goes on with what is left.
    let left = frame.aux as usize;
    let count = if left != 0 { left } else { i.b() as usize };
    match vm.concat(first, count) {
        Ok((_, None)) => {
            vm.exec.frame_mut().aux = 0;
            if vm.heap.debt > 0 {
                collect(vm)
            } else {
                charged(vm)
            }
        }
        Ok((left, Some(args))) => {
            vm.exec.frame_mut().aux = left as u32;
            let step = vm.call_meta(args, 1, frame_flag::FINISH);
            vm.settle(step)
        }
        // What is left stays, should the instruction be tried again after a collection.
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
fn close(vm: &mut Vm, word: u32) -> Exit {
    let level = vm.exec.frame().base as usize + Instr(word).a() as usize;
    let top = vm.exec.frame().top as usize;
    match vm.close_some(level, top) {
        Ok(false) => Exit::Continue,
        Ok(true) => vm.drive(),
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
fn tbc(vm: &mut Vm, word: u32) -> Exit {
    let r = Instr(word).a();
    let slot = vm.exec.frame().base as usize + r as usize;
    let name = vm.local_name(r);
    match vm.mark_to_be_closed(slot, name) {
        Ok(()) => Exit::Continue,
        Err(throw) => vm.settle(Err(throw)),
    }
}

/// Calls that the loop does not make itself: natives, vararg functions, `__call`, a stack that must grow.
#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn call(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let func = vm.exec.frame().base as usize + i.a() as usize;
    if i.b() != 0 {
        vm.exec.top = func + i.b() as usize;
    }
    let args = vm.exec.top - func - 1;
    vm.ticks -= 1;
    call_at(vm, func, args, i.c() as i16 - 1)
}

#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn call_at(vm: &mut Vm, func: usize, args: usize, results: i16) -> Exit {
    let callee = vm.exec.get(func);
    let native = match callee.tag {
        tag::NATIVE => Some(callee.bits as usize),
        tag::NATIVE_CLOSURE => callee.as_native_closure().map(|c| c.native as usize),
        _ => None,
    };
    if let Some(native) = native
        && !vm.tracing
    {
        // As `begin_call` does it, without its choices.
        let room = args < 64
            && vm.exec.top + 2 * SLACK <= vm.exec.stack_cap
            && vm.exec.frame_count < vm.exec.frame_cap;
        if room {
            // SAFETY: there is room for a frame above the top one.
            unsafe {
                let ci = vm.exec.last.add(1);
                (*ci).pc = std::ptr::null();
                (*ci).k = std::ptr::null();
                (*ci).closure = std::ptr::null();
                (*ci).base = func as u32 + 1;
                (*ci).func = func as u32;
                (*ci).top = 0;
                (*ci).state = 0;
                (*ci).aux = 0;
                (*ci).results = results;
                (*ci).kind = kind::NATIVE;
                (*ci).flags = 0;
            }
            vm.exec.enter_frame();
        } else if let Err(throw) = vm.begin_call(func, args, results, 0) {
            return vm.settle(Err(throw));
        }
        if vm.may_fault() {
            return match vm.run_native() {
                Ok(None) => vm.drive(),
                Ok(Some(exit)) => exit,
                Err(throw) => vm.settle(Err(throw)),
            };
        }
        let function = vm.natives[native].function;
        let act = match function(vm) {
            Ok(act) => act,
            Err(throw) => return vm.settle(Err(throw)),
        };
        match act.request() {
            Request::Return(n) if !vm.tracing => {
                // (If it has just switched hooks on, its return is an event.) The usual end: results to the caller, which is this Lua frame.
                let n = n as usize;
                vm.charge(n as u64 >> 6);
                let first = vm.exec.top - n;
                vm.exec.leave_frame();
                if results == 1 {
                    let v = if n == 0 {
                        Value::NIL
                    } else {
                        vm.exec.get(first)
                    };
                    vm.exec.set(func, v);
                    vm.exec.top = func + 1;
                } else {
                    let wanted = if results < 0 { n } else { results as usize };
                    let moved = n.min(wanted);
                    vm.exec.copy(first, func, moved);
                    for at in moved..wanted {
                        vm.exec.set(func + at, Value::NIL);
                    }
                    vm.exec.top = func + wanted;
                }
                if vm.heap.debt > 0 {
                    let step = vm.collect_at_native_return();
                    return vm.settle(step);
                }
                return charged(vm);
            }
            Request::Call { args, results } => {
                let func = vm.exec.top - args as usize - 1;
                let step = vm.begin_call(func, args as usize, results, 0);
                let plain = vm.ticks > 0 && vm.heap.debt <= 0 && !vm.finalizers_due;
                if step.is_ok() && plain && vm.exec.frame().kind == kind::LUA && !vm.tracing {
                    return Exit::Continue;
                }
                return vm.settle(step);
            }
            _ => match vm.act(act) {
                Ok(None) => return vm.drive(),
                Ok(Some(exit)) => return exit,
                Err(throw) => return vm.settle(Err(throw)),
            },
        }
    }
    if callee.tag == tag::LUA_CLOSURE {
        // SAFETY: the callee is a Lua function, and its caller's frame is on top.
        if unsafe {
            enter_vararg(
                vm,
                func,
                args,
                results,
                callee.bits as usize as *const LuaClosure,
            )
        } {
            return Exit::Continue;
        }
        let step = vm.begin_call(func, args, results, 0);
        if step.is_ok() {
            return Exit::Continue;
        }
        return vm.settle(step);
    }
    let step = vm.begin_call(func, args, results, 0);
    vm.settle(step)
}

/// The call of a vararg function by a Lua function, as `begin_call` does it, when there is room and nothing special. False: nothing was done.
#[inline(always)]
#[cfg_attr(evermoon_small, optimize(speed))]
unsafe fn enter_vararg(
    vm: &mut Vm,
    func: usize,
    args: usize,
    results: i16,
    closure: *const LuaClosure,
) -> bool {
    // SAFETY: a live function; the slots and the frame that are written lie in the room that was looked for.
    unsafe {
        let proto = (*closure).proto.as_ptr();
        let (params, size) = ((*proto).num_params as usize, (*proto).max_stack as usize);
        let exec = &mut vm.exec;
        // A hollow function looks like a vararg one: it is loaded on the general road.
        let room = (*proto).is_vararg
            && !(*closure).header.is_hollow()
            && !vm.tracing
            && args < 64
            && exec.top + size + params + 2 * SLACK <= exec.stack_cap
            && exec.frame_count < exec.frame_cap;
        if !room {
            return false;
        }
        let first = exec.stack.add(func + 1);
        for at in args..params {
            Value::NIL.store(first.add(at));
        }
        let shift = args.max(params);
        for at in 0..params {
            copy(first.add(shift + at), first.add(at));
            Value::NIL.store(first.add(at));
        }
        let base = func + 1 + shift;
        let ci = exec.last.add(1);
        (*ci).pc = (*proto).code;
        (*ci).k = (*proto).consts;
        (*ci).closure = closure;
        (*ci).base = base as u32;
        (*ci).func = func as u32;
        (*ci).top = (base + size) as u32;
        (*ci).state = args.saturating_sub(params) as u32;
        (*ci).aux = 0;
        (*ci).results = results;
        (*ci).kind = kind::LUA;
        (*ci).flags = 0;
        exec.enter_frame();
        true
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn tail_call(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let frame = *vm.exec.frame();
    let func = frame.base as usize + i.a() as usize;
    if i.b() != 0 {
        vm.exec.top = func + i.b() as usize;
    }
    if let Err(throw) = vm.touch(vm.exec.get(func)) {
        return vm.settle(Err(throw));
    }
    vm.ticks -= 1;
    vm.close_upvalues(frame.base as usize);
    let mut args = vm.exec.top - func - 1;
    // Anything but a Lua function is called as usual; the RETURN that follows hands its results on.
    let mut callee = vm.exec.get(func);
    while !callee.is_function() {
        let handler = vm.metamethod(callee, Event::Call);
        if handler.is_nil() {
            let throw = vm.call_error(callee);
            return vm.settle(Err(throw));
        }
        if let Err(throw) = vm.touch(handler) {
            return vm.settle(Err(throw));
        }
        if let Err(throw) = vm.ensure_stack(1) {
            return vm.settle(Err(throw));
        }
        vm.exec.copy(func, func + 1, args + 1);
        vm.exec.set(func, handler);
        vm.exec.top += 1;
        args += 1;
        callee = handler;
    }
    if callee.tag != tag::LUA_CLOSURE {
        return call_at(vm, func, args, ALL);
    }
    // The callee takes over the frame's place.
    let to = frame.func as usize;
    vm.exec.copy(func, to, args + 1);
    vm.exec.top = to + 1 + args;
    vm.exec.leave_frame();
    if frame.flags & frame_flag::NO_YIELD != 0 {
        // `begin_call` counts the flags again.
        vm.exec.no_yield -= 1;
        vm.exec.handlers -= (frame.flags & frame_flag::HANDLER != 0) as u32;
    }
    let step = vm.begin_call(
        to,
        args,
        frame.results,
        frame.flags & !frame_flag::OUTWARD | frame_flag::TAIL,
    );
    match step {
        Ok(()) => {
            if vm.ticks <= 0 {
                slice_over(vm)
            } else {
                Exit::Continue
            }
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn return_(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let frame = *vm.exec.frame();
    let (first, count) = match i.op() {
        Some(Op::RETURN0) => (frame.base as usize, 0),
        Some(Op::RETURN1) => (frame.base as usize + i.a() as usize, 1),
        _ => {
            let first = frame.base as usize + i.a() as usize;
            (
                first,
                if i.b() == 0 {
                    vm.exec.top - first
                } else {
                    i.b() as usize - 1
                },
            )
        }
    };
    if i.op() == Some(Op::RETURN) {
        match vm.close_some(frame.base as usize, first + count) {
            Ok(false) => {}
            Ok(true) => return vm.drive(),
            Err(throw) => return vm.settle(Err(throw)),
        }
    }
    if vm.tracing {
        vm.exec.top = first + count;
        match vm.hook_lua_return(first, count) {
            Ok(false) => {}
            Ok(true) => return vm.drive(),
            Err(throw) => return vm.settle(Err(throw)),
        }
    }
    vm.complete(first, count);
    if frame.flags & !frame_flag::TAIL == 0 {
        Exit::Continue
    } else {
        vm.drive()
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn for_prepare(vm: &mut Vm, word: u32) -> Exit {
    let a = Instr(word).a();
    match prepare_loop(vm, a) {
        Ok(true) => {
            // The loop runs: skip the jump.
            vm.skip_or_jump(false);
            Exit::Continue
        }
        Ok(false) => {
            vm.skip_or_jump(true);
            Exit::Continue
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

/// Prepares a numeric `for` (manual 3.3.5); false when it does not run.
#[cfg_attr(evermoon_small, optimize(speed))]
fn prepare_loop(vm: &mut Vm, a: u8) -> Result<bool, Throw> {
    let (init, limit, step) = (vm.reg(a), vm.reg(a + 1), vm.reg(a + 2));
    if init.is_int() && step.is_int() {
        let (first, step) = (init.raw_int(), step.raw_int());
        if step == 0 {
            return Err(vm.fail("'for' step is zero"));
        }
        let Some(limit) = vm.to_number(limit) else {
            return Err(vm.for_error(limit, "limit"));
        };
        let Some(count) = number::for_loop_count(first, limit, step) else {
            return Ok(false);
        };
        vm.set_reg(a + 1, Value::int(count as i64));
        vm.set_reg(a + 3, init);
        return Ok(true);
    }
    // Strings that are numbers will do, and make the loop one over floats.
    let float = |v: Value| match vm.to_number(v)? {
        Num::Int(n) => Some(n as f64),
        Num::Float(f) => Some(f),
    };
    let Some(last) = float(limit) else {
        return Err(vm.for_error(limit, "limit"));
    };
    let Some(by) = float(step) else {
        return Err(vm.for_error(step, "step"));
    };
    let Some(first) = float(init) else {
        return Err(vm.for_error(init, "initial value"));
    };
    if by == 0.0 {
        return Err(vm.fail("'for' step is zero"));
    }
    if if by > 0.0 { last < first } else { first < last } || first.is_nan() || last.is_nan() {
        return Ok(false);
    }
    vm.set_reg(a, Value::float(first));
    vm.set_reg(a + 1, Value::float(last));
    vm.set_reg(a + 2, Value::float(by));
    vm.set_reg(a + 3, Value::float(first));
    Ok(true)
}

#[inline(never)]
fn for_in_prepare(vm: &mut Vm, word: u32) -> Exit {
    let a = Instr(word).a();
    let slot = vm.exec.frame().base as usize + a as usize + 3;
    let name = vm.local_name(a + 3);
    match vm.mark_to_be_closed(slot, name) {
        Ok(()) => {
            vm.skip_or_jump(true);
            Exit::Continue
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn for_in_call(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let a = vm.exec.frame().base as usize + i.a() as usize;
    vm.exec.copy(a, a + 4, 3);
    vm.exec.top = a + 7;
    vm.ticks -= 1;
    call_at(vm, a + 4, 2, i.c() as i16)
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn set_list(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let frame = vm.exec.frame();
    let (base, next) = (frame.base as usize, frame.pc);
    let a = base + i.a() as usize;
    let count = if i.b() == 0 {
        vm.exec.top - a - 1
    } else {
        i.b() as usize
    };
    // SAFETY: in verified code a second word follows.
    let offset = unsafe { Instr((*next).word).get_ax() };
    let Some(mut t) = vm.exec.get(a).as_table() else {
        return Exit::Continue;
    };
    if let Err(throw) = vm.touch_table(t) {
        return vm.settle(Err(throw));
    }
    vm.heap.barrier(t);
    if count as u64 + offset as u64 > t.array_cap as u64 {
        let cap = (count as u64 + offset as u64).min(u32::MAX as u64) as u32;
        if let Err(e) = vm.heap.table_array_cap(t, cap) {
            let throw = vm.store_error(e);
            return vm.settle(Err(throw));
        }
    }
    if t.array_len == offset && t.header.flags & flags::INT_ENTRIES == 0 {
        // Constructors fill from the front: holes stay nil inside the array part, and it ends with a value.
        // SAFETY: room was made above; the values are below the top.
        unsafe {
            let (from, to) = (vm.exec.stack.add(a + 1), t.array.add(offset as usize));
            for n in 0..count {
                copy(to.add(n), from.add(n));
            }
        }
        t.array_len += count as u32;
    } else {
        for n in 0..count {
            let v = vm.exec.get(a + 1 + n);
            if let Err(e) = vm.heap.table_set_int(t, offset as i64 + n as i64 + 1, v) {
                let throw = vm.store_error(e);
                return vm.settle(Err(throw));
            }
        }
    }
    t.trim();
    vm.exec.frame_mut().pc = next.wrapping_add(1);
    if vm.heap.debt > 0 {
        collect(vm)
    } else {
        Exit::Continue
    }
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn closure(vm: &mut Vm, word: u32) -> Exit {
    match make_closure(vm, Instr(word)) {
        Ok(()) => {
            if vm.heap.debt > 0 {
                collect(vm)
            } else {
                Exit::Continue
            }
        }
        Err(throw) => vm.settle(Err(throw)),
    }
}

#[cfg_attr(evermoon_small, optimize(speed))]
fn make_closure(vm: &mut Vm, i: Instr) -> Result<(), Throw> {
    let frame = *vm.exec.frame();
    // SAFETY: a Lua frame's closure is alive, and verified code names existing prototypes.
    let (enclosing, proto) = unsafe {
        let enclosing: Gc<LuaClosure> = Gc::from_raw(frame.closure.cast_mut());
        (
            enclosing,
            *enclosing.proto.protos.get_unchecked(i.bx() as usize),
        )
    };
    let count = proto.info.upvals.len();
    // Upvalues first: a closure must not be seen half filled if one of them cannot be made.
    let mut made: [std::mem::MaybeUninit<Gc<Upvalue>>; 255] =
        [const { std::mem::MaybeUninit::uninit() }; 255];
    for (n, desc) in proto.info.upvals.iter().enumerate().take(255) {
        let up = if desc.in_stack {
            vm.find_upvalue(frame.base as usize + desc.index as usize)?
        } else {
            enclosing.upvals()[desc.index as usize]
        };
        made[n].write(up);
    }
    let new = vm.heap.lua_closure(proto, count)?;
    for (n, up) in made.iter().enumerate().take(count) {
        // SAFETY: the first `count` were written above.
        new.set_upval(n, unsafe { up.assume_init() });
    }
    vm.set_reg(i.a(), Value::lua_closure(new));
    Ok(())
}

#[inline(never)]
#[cfg_attr(evermoon_small, optimize(speed))]
fn vararg(vm: &mut Vm, word: u32) -> Exit {
    let i = Instr(word);
    let frame = vm.exec.frame();
    let (have, base) = (frame.state as usize, frame.base as usize);
    let a = base + i.a() as usize;
    if (1..64).contains(&i.c()) {
        // SAFETY: verified registers; the variable arguments lie directly below the base.
        unsafe {
            let from = vm.exec.stack.add(base - have);
            let to = vm.exec.stack.add(a);
            for n in 0..i.c() as usize - 1 {
                if n < have {
                    copy(to.add(n), from.add(n));
                } else {
                    Value::NIL.store(to.add(n));
                }
            }
        }
        return Exit::Continue;
    }
    let wanted = if i.c() == 0 {
        vm.exec.top = a;
        if let Err(throw) = vm.ensure_stack(have + SLACK) {
            return vm.settle(Err(throw));
        }
        vm.exec.top = a + have;
        have
    } else {
        i.c() as usize - 1
    };
    let n = have.min(wanted);
    vm.charge(n as u64 >> 6);
    vm.exec.copy(base - have, a, n);
    for at in n..wanted {
        vm.exec.set(a + at, Value::NIL);
    }
    charged(vm)
}

impl Vm {
    /// The value of upvalue `n` of the top Lua frame.
    fn upvalue_value(&self, n: u8) -> Value {
        match self.frame_closure(self.exec.frame()) {
            Some(c) => c.upvals()[n as usize].get(),
            None => Value::NIL,
        }
    }

    /// Writes the cache word of the instruction that is being executed.
    fn remember(&mut self, position: u32) {
        let frame = self.exec.frame();
        if frame.kind == kind::LUA {
            // SAFETY: the pc of a Lua frame is behind the instruction that it executes; caches are guesses.
            unsafe { (*frame.pc.sub(1).cast_mut()).cache = position }
        }
    }

    /// Skips the jump behind the current instruction, or takes it.
    fn skip_or_jump(&mut self, jump: bool) {
        let frame = *self.exec.frame();
        let next = self.frame_next_pc(&frame);
        let distance = if jump {
            1 + self
                .frame_proto(&frame)
                .and_then(|p| p.code().get(next).copied())
                .map_or(0, |j| Instr(j.word).get_sj()) as isize
        } else {
            1
        };
        self.exec.frame_mut().pc = frame.pc.wrapping_offset(distance);
    }

    #[cold]
    fn for_error(&mut self, v: Value, what: &str) -> Throw {
        let name = self.type_name_meta(v, false);
        self.fail_bytes(
            &[
                b"bad 'for' ",
                what.as_bytes(),
                b" (number expected, got ",
                &name,
                b")",
            ]
            .concat(),
        )
    }

    /// The error of an allocation that failed.
    fn memory_throw(&mut self) -> Throw {
        self.raise(Thrown::Memory)
    }
}
