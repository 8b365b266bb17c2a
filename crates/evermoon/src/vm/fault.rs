//! Touching hollow objects (`heap/hollow.rs`): where the engine notices that contents are missing, and has them loaded. Who loads is not
//! known here ([`Loader`]); without one, nothing is ever hollow.
//!
//! Rules. Instructions touch their operands in their cold functions, before any side effect; then they can be executed again. Natives find all
//! their slots and upvalues loaded when they are entered. What they look up beyond that (a field of a field) they touch themselves. A
//! loaded object's metatable is loaded. Loading may have to wait for a store ([`Thrown::Fault`](super::native::Thrown::Fault)): then the run comes back with
//! [`Exit::Fault`](super::Exit), and the instruction or the native's step is executed again when it is resumed.

use super::Vm;
use super::native::{Throw, Thrown};
use crate::heap::WORLDS;
use crate::heap::coroutine::Frame;
use crate::heap::object::{Gc, Header};
use crate::heap::table::Table;
use crate::heap::value::Value;
use std::any::Any;

/// Who fetches contents.
pub trait Loader {
    /// Loads a hollow object. Errors: the record is missing or damaged (with a message in `Vm::error`), or the store answers later.
    fn load(&mut self, vm: &mut Vm, object: Gc<Header>) -> Result<(), Throw>;
    /// Has everything loaded that can be reached from what is here, as far as that is possible. True if the store will answer for more of it later.
    fn load_reachable(&mut self, vm: &mut Vm) -> bool;
    /// Lets the contents of unchanged objects go.
    fn evict(&mut self, vm: &mut Vm);
    /// A row of an external table by its encoded key; nil if there is none.
    fn row(&mut self, vm: &mut Vm, t: Gc<Table>, key: &[u8]) -> Result<Value, Throw>;
    /// Keys and records of an external table's rows in a range of encoded keys.
    fn rows(
        &mut self,
        vm: &mut Vm,
        t: Gc<Table>,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
        reverse: bool,
    ) -> Result<Rows, Throw>;
    /// What the record of a row says.
    fn row_value(
        &mut self,
        vm: &mut Vm,
        t: Gc<Table>,
        key: &[u8],
        record: &[u8],
    ) -> Result<Value, Throw>;
    /// Why there can be no external tables, if so.
    fn no_external(&mut self) -> Option<&'static str>;
    /// The loader's own type.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// Rows as the store has them.
pub type Rows = Vec<crate::heap::external::StoredRow>;

/// What a build without worlds says to whoever wants one.
pub(crate) const NO_WORLDS: &str = "this build of the engine has no worlds";

/// Worlds with more than so many bytes in the store only are not loaded for a collection's sake.
const EXACT_MAX: usize = 64 << 20;

/// A native's frame and slots as they were when its step began, to take the step again.
#[derive(Default)]
pub struct Retry {
    slots: Vec<Value>,
    frame: Option<Frame>,
}

impl Retry {
    pub(crate) fn forget(&mut self) {
        self.frame = None;
    }
}

impl Vm {
    /// There is a loader, so natives' slots are looked through.
    #[inline]
    pub(crate) fn may_fault(&self) -> bool {
        WORLDS && self.may_fault
    }

    /// Has the value's object loaded if it is hollow.
    #[inline]
    pub(crate) fn touch(&mut self, v: Value) -> Result<(), Throw> {
        match v.as_object() {
            Some(object) if object.is_hollow() => self.load_object(object),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn touch_table(&mut self, t: Gc<Table>) -> Result<(), Throw> {
        if t.header.is_hollow() {
            self.load_object(t.header())
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn load_object(&mut self, object: Gc<Header>) -> Result<(), Throw> {
        if object.is_external() {
            // Its rows are looked up one by one.
            return Ok(());
        }
        self.with_loader(|loader, vm| loader.load(vm, object))
    }

    pub(super) fn with_loader<T>(
        &mut self,
        f: impl FnOnce(&mut dyn Loader, &mut Vm) -> Result<T, Throw>,
    ) -> Result<T, Throw> {
        let Some(mut loader) = self.loader.take() else {
            return Err(self.fail("the world that this object belongs to is closed"));
        };
        let result = f(loader.as_mut(), self);
        self.loader = Some(loader);
        result
    }

    /// A new external table.
    pub fn new_external_table(&mut self) -> Result<Gc<Table>, Throw> {
        if !WORLDS {
            return Err(self.fail(NO_WORLDS));
        }
        if let Some(why) = self.loader.as_mut().and_then(|loader| loader.no_external()) {
            return Err(self.fail(why));
        }
        Ok(self.heap.external_table()?)
    }

    /// Before a collection of which the program sees something: a cycle is exact only when nothing is hollow. Larger worlds have partial
    /// cycles (`heap/hollow.rs`). True if the store has yet to answer: who is short of memory does not wait for it, and collects a part.
    #[cold]
    #[inline(never)]
    pub(crate) fn prepare_cycle(&mut self, asked_for: bool) -> bool {
        let world = &self.heap.world;
        if world.hollow_count == world.external_count
            || world.absent_bytes > EXACT_MAX
            || !(asked_for || world.sees_collector)
        {
            return false;
        }
        let Some(mut loader) = self.loader.take() else {
            return false;
        };
        // What the sweep has not come to yet may be dead: that is not reachable, and would be freed in the middle of the loading.
        self.heap.end_sweep();
        let waits = loader.load_reachable(self);
        self.loader = Some(loader);
        waits
    }

    /// Whether the next step of the collector begins or goes on with a cycle of which the program sees something, and the store has yet to answer.
    pub(crate) fn collection_must_wait(&mut self) -> bool {
        let gc = &self.heap.gc;
        self.may_fault()
            && self.may_wait
            && !(gc.stopped || gc.suspended)
            && gc.phase != crate::heap::gc::Phase::Sweep
            && self.prepare_cycle(false)
    }

    /// The same for a native that collects because it was asked to: its step is taken again when the store has answered.
    pub(crate) fn wait_for_cycle(&mut self, asked_for: bool) -> Result<(), Throw> {
        if self.may_fault() && self.prepare_cycle(asked_for) {
            return Err(self.raise(Thrown::Fault));
        }
        Ok(())
    }

    /// When memory is short: contents that are in the store go. Only where no native is in the middle of a step.
    #[cold]
    pub(crate) fn evict_for_room(&mut self) {
        if let Some(mut loader) = self.loader.take() {
            loader.evict(self);
            self.loader = Some(loader);
        }
    }

    /// After that, and where the collector may run: what only those contents had goes too. Not where the next cycle is to be exact.
    pub(crate) fn free_unreached(&mut self) {
        let world = &self.heap.world;
        let exact = world.sees_collector && world.absent_bytes <= EXACT_MAX;
        if world.hollow_count == 0 || exact || self.heap.gc.suspended {
            return;
        }
        let roots = self.root_values();
        self.heap.collect_unnoticed(crate::heap::gc::Roots {
            values: &roots,
            exec: &mut self.exec,
        });
    }

    /// Before a native's step: its function and its slots are loaded, and the step can be taken again.
    #[cold]
    #[inline(never)]
    pub(crate) fn prepare_native(&mut self) -> Result<(), Throw> {
        self.retry.frame = None;
        let frame = *self.exec.frame();
        let callee = self.exec.get(frame.func as usize);
        self.touch(callee)?;
        if let Some(closure) = callee.as_native_closure() {
            for at in 0..closure.upvals().len() {
                self.touch(closure.upvals()[at])?;
            }
        }
        for at in frame.base as usize..self.exec.top {
            let v = self.exec.get(at);
            self.touch(v)?;
        }
        if self.tracing {
            self.touch_hook()?;
        }
        if self.may_wait {
            self.retry.frame = Some(frame);
            self.retry.slots.clear();
            for at in frame.func as usize..self.exec.top {
                self.retry.slots.push(self.exec.get(at));
            }
        }
        Ok(())
    }

    /// The step that met a hollow object will be taken again.
    pub(crate) fn step_again(&mut self) {
        if self.exec.frame().kind == crate::heap::coroutine::kind::LUA {
            self.step_back();
            return;
        }
        if let Some(frame) = self.retry.frame.take() {
            *self.exec.frame_mut() = frame;
            let first = frame.func as usize;
            for at in 0..self.retry.slots.len() {
                let v = self.retry.slots[at];
                self.exec.set(first + at, v);
            }
            self.exec.top = first + self.retry.slots.len();
        }
    }
}
