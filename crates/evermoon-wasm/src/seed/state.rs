//! What belongs to an engine with external tables: the captured output, the store of the tables, and what is known about them.

use super::backend::Backend;
use super::ids::Ids;
use super::output::Output;
use evermoon::heap::object::Gc;
use evermoon::heap::table::Table;
use evermoon::heap::value::Value;
use evermoon::ordered::Map;
use evermoon::vm::Vm;
use evermoon::vm::host::Host;
use std::any::Any;
use std::collections::VecDeque;

/// The host object of such an engine.
pub struct SeedHost {
    pub output: Output,
    pub state: State,
}

impl Host for SeedHost {
    fn print(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
    }
    fn report(&mut self, bytes: &[u8]) {
        self.output.push(bytes);
    }
    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

/// External tables of an engine. The Lua tables named here are held for the engine's life.
pub struct State {
    /// Away while it is being asked.
    pub backend: Option<Box<dyn Backend>>,
    pub ids: Ids,
    /// Proxies by id, weakly: there is at most one for an id.
    pub proxies: Gc<Table>,
    /// Ids by proxy, weakly. Being in here is what makes a table a proxy; scripts cannot reach it.
    pub proxy_ids: Gc<Table>,
    pub metatable: Gc<Table>,
    /// For each id, a table whose keys are the keys that this instance has seen.
    pub seen: Gc<Table>,
    /// How many keys have been seen of each table, and in all.
    pub seen_counts: Map<u32, usize>,
    pub seen_total: usize,
    /// Tables in the order in which they were first seen.
    pub seen_order: VecDeque<u32>,
    /// Entries that a warning has been given for.
    pub warned: Map<(u32, Vec<u8>), ()>,
    /// The function that reading an unknown built-in gives.
    pub unsupported: Value,
}

/// The host object of the running engine.
pub fn host(vm: &mut Vm) -> &mut SeedHost {
    let host = vm.host.as_any().and_then(|h| h.downcast_mut::<SeedHost>());
    host.expect("these functions are registered only in engines whose host is a SeedHost")
}

pub fn state(vm: &mut Vm) -> &mut State {
    &mut host(vm).state
}

/// Asks the store something. An engine whose store is being asked already is not entered again (`seed.rs`).
pub fn ask<R>(vm: &mut Vm, question: impl FnOnce(&mut dyn Backend, &mut Vm) -> R) -> Option<R> {
    let mut backend = state(vm).backend.take()?;
    let answer = question(&mut *backend, vm);
    state(vm).backend = Some(backend);
    Some(answer)
}
