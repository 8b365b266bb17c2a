//! The heap: values, strings, tables, functions, coroutines, the pools they live in, and the collector.
//!
//! Who may hold what for how long: objects are freed only by the sweeper, which runs only when the interpreter is at a safe point
//! (`object.rs`, invariant 3). Allocation never collects. So code between two safe points, natives included, holds values freely.
//!
//! Memory is counted in *logical bytes*, the same on every platform, because a program can see the collector's pace.

pub mod alloc;
#[cfg(feature = "checked")]
pub mod check;
pub mod coroutine;
pub mod external;
pub mod function;
pub mod gc;
pub mod hollow;
pub mod number;
pub mod object;
mod rows;
pub mod string;
pub mod table;
pub mod userdata;
pub mod value;

use crate::bytecode::proto as plain;
use crate::ordered::Map;
use coroutine::{Coroutine, Exec, Status};
use function::{
    CLOSURE_HEAD, Insn, LuaClosure, NATIVE_HEAD, NativeClosure, Proto, ProtoInfo, Upvalue,
};
use object::{Gc, Header, mark};
use std::cell::Cell;
use string::{Interner, SLOT_BYTES, STR_HEAD, Str};
use table::{TABLE_BYTES, Table};
use userdata::Userdata;
use value::{Value, tag};

/// Whether this build keeps worlds (the feature `worlds`). Without them no object is ever numbered, hollow or external, and all that only such
/// objects need is left out, by conditions on this constant at the few places that ask for one.
pub const WORLDS: bool = cfg!(feature = "worlds");

/// An allocation would have passed the memory cap. The heap knows by how much ([`Heap::refused`]), so that results stay small.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory(());

/// All objects of one engine. What is used most comes first: small offsets make small code.
#[repr(C)]
pub struct Heap {
    /// The white of new objects.
    pub(crate) white: u8,
    /// Logical bytes in use.
    pub(crate) bytes: usize,
    /// Logical bytes allocated beyond what the collector's pace allows; a step is due when positive.
    pub(crate) debt: isize,
    /// Hard limit of `bytes`.
    pub bytes_max: usize,
    /// Logical bytes of the allocation that was refused, until an error of another kind comes.
    refused: Cell<Option<usize>>,
    /// The name `__mode`, which the collector looks up in metatables.
    pub(crate) mode_name: Option<Gc<Str>>,
    pub(crate) interner: Interner,
    pub(crate) gc: gc::Collector,
    /// Numbers of objects whose identity has been printed, by address.
    printed_ids: Map<usize, u64>,
    pub(crate) next_printed_id: u64,
    /// What a world has of this heap's objects: numbers, changes, absences.
    pub(crate) world: hollow::Objects,
    /// The names that `table::flags::ABSENT` speaks of.
    #[cfg(feature = "checked")]
    pub(crate) event_names: Vec<Gc<Str>>,
    /// What calls of `check_sometimes` have paid, and what the next check costs.
    #[cfg(feature = "checked")]
    check_credit: usize,
    #[cfg(feature = "checked")]
    check_cost: usize,
    pub(crate) pools: alloc::Pools,
}

impl Heap {
    pub fn new() -> Heap {
        let interner = Interner::new();
        Heap {
            pools: alloc::Pools::new(),
            interner,
            bytes: Interner::BYTES,
            debt: 0,
            bytes_max: usize::MAX / 2,
            refused: Cell::new(None),
            white: mark::WHITE_A,
            gc: gc::Collector::new(),
            mode_name: None,
            printed_ids: Default::default(),
            next_printed_id: 0,
            world: hollow::Objects::default(),
            #[cfg(feature = "checked")]
            event_names: Vec::new(),
            #[cfg(feature = "checked")]
            check_credit: 0,
            #[cfg(feature = "checked")]
            check_cost: 0,
        }
    }

    /// Logical bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many logical bytes were asked for, when the last error was that there is no room.
    pub fn refused(&self) -> Option<usize> {
        self.refused.get()
    }
    pub(crate) fn clear_refused(&self) {
        self.refused.set(None);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self, asked: usize) -> OutOfMemory {
        self.refused.set(Some(asked));
        OutOfMemory(())
    }

    #[inline]
    pub(crate) fn account(&mut self, change: isize) {
        self.bytes = self.bytes.wrapping_add_signed(change);
        self.debt += change;
    }

    /// Whether `bytes` more would fit under the cap.
    #[inline]
    pub fn reserve(&self, bytes: usize) -> Result<(), OutOfMemory> {
        self.reserve_block(bytes, bytes)
    }

    /// What is left below the cap. What is in the store only takes no room here: a world may be many times as large as the cap.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        let elsewhere = match WORLDS {
            true => self.world.absent_bytes + self.world.unnoticed_bytes,
            false => 0,
        };
        self.bytes_max
            .saturating_add(elsewhere)
            .saturating_sub(self.bytes)
    }

    /// The same for a block of `size` bytes that takes the place of a smaller one.
    #[inline]
    pub(crate) fn reserve_block(&self, bytes: usize, size: usize) -> Result<(), OutOfMemory> {
        if bytes > self.room() || size >= alloc::REFUSABLE && !alloc::available(size) {
            Err(self.refuse(bytes))
        } else {
            Ok(())
        }
    }

    #[inline]
    fn header(&self, kind: u32) -> Header {
        Header {
            kind: kind as u8,
            mark: self.white,
            flags: 0,
            meta: 0,
        }
    }

    /// A string with these bytes; equal short strings are one object.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        if bytes.len() > string::SHORT_MAX {
            return self.long_string(bytes);
        }
        let hash = string::hash_bytes(bytes);
        match self.interner.find(bytes, hash) {
            Ok(s) => {
                // SAFETY: interned strings are live, or dead and not swept yet: then this saves it. It counts as new
                // memory again, as it would if the sweep had come first.
                unsafe {
                    let marks = (*s).header.mark;
                    if marks & mark::WHITES & !self.white != 0 {
                        (*s).header.mark = self.white;
                        if marks & mark::PRINTED != 0 {
                            self.printed_ids.remove(&(s as usize));
                        }
                        self.account((STR_HEAD + bytes.len() + SLOT_BYTES) as isize);
                    }
                    Ok(Gc::from_raw(s))
                }
            }
            Err(slot) => {
                let size = STR_HEAD + bytes.len();
                self.reserve(size)?;
                let block = self.pools.object(size);
                self.account((size + SLOT_BYTES) as isize);
                // SAFETY: the block has that size.
                let s = unsafe { string::write(block, self.white, hash, bytes) };
                self.interner.insert(slot, s.as_ptr());
                Ok(s)
            }
        }
    }

    #[cfg_attr(evermoon_small, optimize(speed))]
    fn long_string(&mut self, bytes: &[u8]) -> Result<Gc<Str>, OutOfMemory> {
        let size = STR_HEAD + bytes.len();
        if bytes.len() > u32::MAX as usize / 2 {
            return Err(self.refuse(size));
        }
        self.reserve(size)?;
        let block = self.pools.object(size);
        self.account(size as isize);
        // SAFETY: the block has that size.
        Ok(unsafe { string::write(block, self.white, 0, bytes) })
    }

    /// The concatenation of strings whose lengths add up to `total`.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn joined_string(
        &mut self,
        parts: impl Iterator<Item = Gc<Str>>,
        total: usize,
    ) -> Result<Gc<Str>, OutOfMemory> {
        if total <= string::SHORT_MAX {
            let mut text = [std::mem::MaybeUninit::<u8>::uninit(); string::SHORT_MAX];
            // SAFETY: room for `total` bytes; what `join` has written is initialised.
            let text = unsafe {
                let at: *mut u8 = text.as_mut_ptr().cast();
                std::slice::from_raw_parts(at, string::join(parts, at, total))
            };
            return self.string(text);
        }
        let size = STR_HEAD + total;
        self.reserve(size)?;
        let block = self.pools.object(size);
        self.account(size as isize);
        // SAFETY: the block has room for the head and `total` bytes of text.
        unsafe {
            let written = string::join(parts, block.add(STR_HEAD), total);
            debug_assert_eq!(written, total);
            Ok(string::finish_long(block, self.white, total))
        }
    }

    /// A string of `len` bytes that `fill` writes in place; they are zeros before.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn string_filled(
        &mut self,
        len: usize,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Gc<Str>, OutOfMemory> {
        if len <= string::SHORT_MAX {
            let mut bytes = [0; string::SHORT_MAX];
            fill(&mut bytes[..len]);
            return self.string(&bytes[..len]);
        }
        let size = STR_HEAD.saturating_add(len);
        if len > u32::MAX as usize / 2 {
            return Err(self.refuse(size));
        }
        self.reserve(size)?;
        let block = self.pools.object(size);
        self.account(size as isize);
        // SAFETY: the block has room for the head and `len` bytes of text, which are initialised before anyone sees them.
        unsafe {
            let text = block.add(STR_HEAD);
            text.write_bytes(0, len);
            fill(std::slice::from_raw_parts_mut(text, len));
            Ok(string::finish_long(block, self.white, len))
        }
    }

    /// A string of `len` zero bytes that its maker fills in ([`Heap::text_in_the_making`]) before anyone else sees it; longer than a short
    /// one. Where the system hands out zeroed memory lazily, this takes no time.
    pub fn blank_string(&mut self, len: usize) -> Result<Gc<Str>, OutOfMemory> {
        let size = STR_HEAD.saturating_add(len);
        if len <= string::SHORT_MAX || len > u32::MAX as usize / 2 {
            return Err(self.refuse(size));
        }
        self.reserve(size)?;
        let block = self.pools.object_zeroed(size);
        self.account(size as isize);
        // SAFETY: the block has room for the head and `len` bytes of text, which are zeros.
        Ok(unsafe { string::finish_long(block, self.white, len) })
    }

    /// The same without zeros in it: its text is what was in that memory.
    ///
    /// # Safety
    /// The text is written before anyone reads it, or whatever is in memory counts as initialised.
    pub unsafe fn unwritten_string(&mut self, len: usize) -> Result<Gc<Str>, OutOfMemory> {
        let size = STR_HEAD.saturating_add(len);
        if len <= string::SHORT_MAX || len > u32::MAX as usize / 2 {
            return Err(self.refuse(size));
        }
        self.reserve(size)?;
        let block = std::hint::black_box(self.pools.object(size));
        self.account(size as isize);
        // SAFETY: the block has room for the head and `len` bytes of text, of which the caller knows.
        Ok(unsafe { string::finish_long(block, self.white, len) })
    }

    /// The text of a string that was made blank and has not been shown to anyone yet: its maker goes on filling it in. (It may have been
    /// saved as it was: what is known of its contents is forgotten.)
    pub fn text_in_the_making<'a>(&mut self, s: Gc<Str>) -> &'a mut [u8] {
        if !s.is_short() {
            self.forget_content(s.header());
        }
        s.text_mut()
    }

    /// Makes a long string shorter that has not been shown to anyone yet: its maker has guessed its length. Its block stays as large as it is. False
    /// for a string that was or would be small.
    pub fn cut_string(&mut self, mut s: Gc<Str>, len: usize) -> bool {
        let before = s.len();
        if s.is_short() || len > before || STR_HEAD + len <= alloc::POOLED_MAX {
            return false;
        }
        let _ = self.text_in_the_making(s);
        s.len = len as u32;
        self.account(len as isize - before as isize);
        true
    }

    /// Completed collections.
    pub fn cycles(&self) -> u64 {
        self.gc.cycles
    }

    /// Bytes taken from the system's allocator for objects and their parts.
    pub fn system_bytes(&self) -> usize {
        self.pools.system_bytes
    }

    /// An empty table.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn table(&mut self) -> Result<Gc<Table>, OutOfMemory> {
        self.reserve(TABLE_BYTES)?;
        let block = self.pools.object(size_of::<Table>()).cast::<Table>();
        self.account(TABLE_BYTES as isize);
        // SAFETY: the block has room for a table.
        unsafe {
            block.write(Table::empty(self.header(tag::TABLE)));
            Ok(Gc::from_raw(block))
        }
    }

    /// A closure whose upvalues the caller fills in at once, before the next safe point. Slots are uninitialised until then.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn lua_closure(
        &mut self,
        proto: Gc<Proto>,
        upval_count: usize,
    ) -> Result<Gc<LuaClosure>, OutOfMemory> {
        let logical = 32 + 8 * upval_count;
        self.reserve(logical)?;
        let size = CLOSURE_HEAD + upval_count * size_of::<Gc<Upvalue>>();
        let block = self.pools.object(size).cast::<LuaClosure>();
        self.account(logical as isize);
        // SAFETY: the block has room for the head and the upvalues.
        unsafe {
            block.write(LuaClosure {
                header: self.header(tag::LUA_CLOSURE),
                proto,
                upval_count: upval_count as u32,
            });
            Ok(Gc::from_raw(block))
        }
    }

    /// A closed upvalue.
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub fn upvalue(&mut self, value: Value) -> Result<Gc<Upvalue>, OutOfMemory> {
        let up = self.open_upvalue(std::ptr::null_mut())?;
        up.close(value);
        Ok(up)
    }

    /// An upvalue that is open at `slot`.
    #[inline]
    #[cfg_attr(evermoon_small, optimize(speed))]
    pub(crate) fn open_upvalue(&mut self, slot: *mut Value) -> Result<Gc<Upvalue>, OutOfMemory> {
        self.reserve(40)?;
        let block = self.pools.object(size_of::<Upvalue>()).cast::<Upvalue>();
        self.account(40);
        // SAFETY: the block has room for an upvalue.
        unsafe {
            block.write(Upvalue {
                header: self.header(tag::UPVALUE),
                slot,
                closed: Value::NIL,
            });
            Ok(Gc::from_raw(block))
        }
    }

    /// A native function with upvalues.
    pub fn native_closure(
        &mut self,
        native: u32,
        upvals: &[Value],
    ) -> Result<Gc<NativeClosure>, OutOfMemory> {
        let size = NATIVE_HEAD + upvals.len() * 16;
        self.reserve(size)?;
        let block = self.pools.object(size).cast::<NativeClosure>();
        self.account(size as isize);
        // SAFETY: the block has room for the head and the values.
        unsafe {
            block.write(NativeClosure {
                header: self.header(tag::NATIVE_CLOSURE),
                native,
                upval_count: upvals.len() as u32,
            });
            let mut c = Gc::from_raw(block);
            c.upvals_mut().copy_from_slice(upvals);
            Ok(c)
        }
    }

    pub fn userdata(
        &mut self,
        data: Option<Box<dyn std::any::Any>>,
    ) -> Result<Gc<Userdata>, OutOfMemory> {
        self.reserve(64)?;
        let block = self.pools.object(size_of::<Userdata>()).cast::<Userdata>();
        self.account(64);
        // SAFETY: the block has room for a userdata.
        unsafe {
            block.write(Userdata {
                header: self.header(tag::USERDATA),
                metatable: None,
                data,
                user_values: Vec::new(),
            });
            Ok(Gc::from_raw(block))
        }
    }

    /// A coroutine without a function yet.
    pub(crate) fn coroutine(&mut self) -> Result<Gc<Coroutine>, OutOfMemory> {
        self.reserve(COROUTINE_BYTES + 1024)?;
        let mut co = self.coroutine_without_stacks(Status::Suspended)?;
        let change = co.exec.grow_stack(&mut self.pools, 2 * coroutine::SLACK)
            + co.exec.grow_frames(&mut self.pools, 4);
        self.account(change);
        Ok(co)
    }

    fn coroutine_without_stacks(&mut self, status: Status) -> Result<Gc<Coroutine>, OutOfMemory> {
        self.reserve(COROUTINE_BYTES)?;
        let block = self
            .pools
            .object(size_of::<Coroutine>())
            .cast::<Coroutine>();
        self.account(COROUTINE_BYTES as isize);
        // SAFETY: the block has room for a coroutine.
        unsafe {
            block.write(Coroutine {
                header: self.header(tag::COROUTINE),
                status,
                listed: false,
                failed: false,
                seen: false,
                error: Value::NIL,
                resumer: None,
                exec: Exec::none(),
                hook: None,
            });
            Ok(Gc::from_raw(block))
        }
    }

    /// Gives back the stacks of a coroutine that will not run again.
    pub(crate) fn release_exec(&mut self, exec: &mut Exec) {
        // (There may be some where no frame is left that would have closed them: `Vm::forget_above_live` says why.)
        for up in std::mem::take(&mut exec.open) {
            self.close_upvalue(up);
        }
        let change = exec.release(&mut self.pools);
        self.account(change);
    }

    /// Loads a verified prototype, nested ones included. Equal long strings of a chunk become one object.
    pub fn load_proto(&mut self, plain: &plain::Proto) -> Result<Gc<Proto>, OutOfMemory> {
        self.load_proto_sharing(plain, &mut Map::new())
    }

    fn load_proto_sharing<'p>(
        &mut self,
        plain: &'p plain::Proto,
        long: &mut Map<&'p [u8], Gc<Str>>,
    ) -> Result<Gc<Proto>, OutOfMemory> {
        let bytes = 128 + plain.code.len() * 12 + plain.consts.len() * 16 + plain.locals.len() * 24;
        self.reserve(bytes)?;
        // The depth of nesting is bounded by the parser and by undump.
        let protos = plain
            .protos
            .iter()
            .map(|p| self.load_proto_sharing(p, long))
            .collect::<Result<Box<[_]>, _>>()?;
        let code: Box<[Insn]> = plain
            .code
            .iter()
            .map(|i| Insn {
                word: i.0,
                cache: 0,
            })
            .collect();
        let consts = plain
            .consts
            .iter()
            .map(|c| {
                Ok(match c {
                    plain::Const::Nil => Value::NIL,
                    plain::Const::False => Value::FALSE,
                    plain::Const::True => Value::TRUE,
                    plain::Const::Int(i) => Value::int(*i),
                    plain::Const::Float(f) => Value::float(*f),
                    plain::Const::Str(s) if s.len() <= string::SHORT_MAX => {
                        Value::string(self.string(s)?)
                    }
                    plain::Const::Str(s) => Value::string(match long.get(&s[..]) {
                        Some(shared) => *shared,
                        None => {
                            let new = self.string(s)?;
                            long.insert(s, new);
                            new
                        }
                    }),
                })
            })
            .collect::<Result<Box<[Value]>, OutOfMemory>>()?;
        let block = self.pools.object(size_of::<Proto>()).cast::<Proto>();
        self.account(bytes as isize);
        // SAFETY: the block has room for a prototype; the boxes are given back in `proto_drop`.
        unsafe {
            block.write(Proto {
                header: self.header(tag::PROTO),
                code_len: code.len() as u32,
                const_len: consts.len() as u32,
                code: Box::into_raw(code).cast(),
                consts: Box::into_raw(consts).cast(),
                num_params: plain.num_params,
                is_vararg: plain.is_vararg,
                max_stack: plain.max_stack,
                protos,
                info: Box::new(ProtoInfo {
                    upvals: plain.upvals.clone().into(),
                    line_defined: plain.line_defined,
                    last_line_defined: plain.last_line_defined,
                    source: plain.source.clone(),
                    lines: plain.lines.clone().into(),
                    locals: plain.locals.clone().into(),
                    bytes,
                }),
            });
            Ok(Gc::from_raw(block))
        }
    }

    /// The plain form of a loaded prototype, for dump and listing.
    pub fn plain_proto(&self, proto: Gc<Proto>) -> plain::Proto {
        let info = proto.info();
        plain::Proto {
            code: proto
                .code()
                .iter()
                .map(|i| crate::bytecode::instr::Instr(i.word))
                .collect(),
            consts: proto
                .consts()
                .iter()
                .map(|v| match v.tag {
                    tag::FALSE => plain::Const::False,
                    tag::TRUE => plain::Const::True,
                    tag::INT => plain::Const::Int(v.raw_int()),
                    tag::FLOAT => plain::Const::Float(v.raw_float()),
                    _ => v
                        .as_str()
                        .map_or(plain::Const::Nil, |s| plain::Const::Str(s.bytes().into())),
                })
                .collect(),
            protos: proto
                .protos()
                .iter()
                .map(|p| self.plain_proto(*p))
                .collect(),
            upvals: info.upvals.to_vec(),
            num_params: proto.num_params,
            is_vararg: proto.is_vararg,
            max_stack: proto.max_stack,
            line_defined: info.line_defined,
            last_line_defined: info.last_line_defined,
            source: info.source.clone(),
            lines: info.lines.to_vec(),
            locals: info.locals.to_vec(),
        }
    }

    /// The stable number by which an object is printed. Numbers are given in the order of first printing.
    pub fn printed_id(&mut self, value: Value) -> u64 {
        let Some(mut object) = value.as_object() else {
            // Natives and light userdata are their own numbers, in a range of their own.
            return 0x4000_0000 + value.bits;
        };
        if let Some(&id) = self.printed_ids.get(&object.address()) {
            return id;
        }
        self.next_printed_id += 1;
        let id = 0x1000 + self.next_printed_id * 16;
        object.mark |= mark::PRINTED;
        self.barrier(object);
        self.printed_ids.insert(object.address(), id);
        id
    }

    /// The write barrier: to be passed before a store into an object whose mark has a bit of `mark::BARRIER`.
    #[inline]
    pub fn barrier<T>(&mut self, object: Gc<T>) {
        let header = object.header();
        if header.mark & mark::BARRIER != 0 {
            self.barrier_slow(header);
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn barrier_slow(&mut self, mut header: Gc<Header>) {
        // Black goes back to gray and is traversed again in the atomic phase, so later stores need no barrier.
        if header.mark & mark::BLACK != 0 {
            header.mark &= !mark::BLACK;
            if self.gc.phase == gc::Phase::Propagate {
                self.uncount_marked(header);
                self.gc.gray_again.push(header);
            }
        }
        // The object is no longer as its record says.
        self.touch(header);
    }
}

impl Default for Heap {
    fn default() -> Self {
        Heap::new()
    }
}

/// Logical bytes of a coroutine without its stacks.
const COROUTINE_BYTES: usize = 160;
