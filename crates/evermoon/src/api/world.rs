//! A world attached to an engine, as an embedder reaches it: what changed, what was committed, going back. Stores are not known here: see the
//! `evermoon-store` crate, whose `World` does all of this over one.

use super::error::{Error, Result};
use super::lua::Lua;
use super::run::Run;
use super::table::Table;
use super::value::Value;
use crate::heap::value::Value as Raw;
use crate::persist::{Delta, LoadError, Statistics};
use crate::vm::task::Stage;

impl From<LoadError> for Error {
    fn from(e: LoadError) -> Error {
        Error::World {
            message: e.to_string(),
        }
    }
}

/// A program that a world was in the middle of when it was committed.
#[derive(Debug)]
pub struct Pending {
    /// To go on with it.
    pub run: Run,
    /// The host function whose answer it waits for, and the call's number, which is the same after every restart.
    pub waits_for: Option<(String, u64)>,
}

impl Lua {
    /// Whether a world is attached ([`Builder::world`](super::Builder::world)).
    pub fn has_world(&self) -> bool {
        self.inner.vm.try_borrow().is_ok_and(|vm| vm.has_world())
    }

    /// A table whose rows are in the world's store one by one, as `ext.table()` makes it.
    pub fn create_external_table(&self) -> Result<Table> {
        self.with(|vm| {
            let table = vm.new_external_table()?;
            Ok(Table(self.hold(vm, Raw::table(table))))
        })
    }

    /// What has changed since the last commit, to be put into the store in one atomic batch; then say how that went with
    /// [`world_committed`](Self::world_committed) or [`world_commit_failed`](Self::world_commit_failed). An error (something cannot be stored)
    /// leaves everything as it was.
    pub fn world_delta(&self) -> Result<Delta> {
        self.with(|vm| {
            Ok(vm.world_delta().map_err(|e| Error::World {
                message: e.to_string(),
            })?)
        })
    }

    /// The store has made the commit.
    pub fn world_committed(&self) {
        let _ = self.with(|vm| {
            vm.world_committed();
            Ok(())
        });
    }

    /// The store has not made the commit.
    pub fn world_commit_failed(&self) {
        let _ = self.with(|vm| {
            vm.world_commit_failed();
            Ok(())
        });
    }

    /// Puts the world back to its last commit. Programs under way are dropped.
    pub fn world_rollback(&self) -> Result<()> {
        self.with(|vm| Ok(vm.world_rollback().map_err(Error::from)?))
    }

    /// Lets the contents of objects that have not changed since the last commit go from memory; they come back when they are touched.
    pub fn world_evict(&self) {
        let _ = self.with(|vm| {
            vm.world_evict();
            vm.collect_if_due();
            Ok(())
        });
    }

    /// Figures about the world.
    pub fn world_statistics(&self) -> Statistics {
        self.with(|vm| Ok(vm.world_statistics()))
            .unwrap_or_default()
    }

    /// Logical bytes that are in memory; [`used_memory`](Self::used_memory) counts the whole world.
    pub fn resident_memory(&self) -> usize {
        self.with(|vm| Ok(vm.heap.resident_bytes())).unwrap_or(0)
    }

    /// Gives a value of the host's (a function, a userdata) a name, by which a world stores it, and under which the next host finds its own.
    ///
    /// The answer is to be used in place of the value from here on: the world may have been waiting for it.
    pub fn set_permanent(&self, name: &str, value: impl super::IntoLua) -> Result<Value> {
        let value = value.into_lua(self)?;
        self.with(|vm| {
            let raw = self.to_raw(vm, &value)?;
            let kept = vm.set_permanent(name, raw);
            Ok(self.to_value(vm, kept))
        })
    }

    /// Gives the programs of this world a function: a global with this name, unless the world has one.
    pub fn define<F, A, R>(&self, name: &str, function: F) -> Result<()>
    where
        F: Fn(&Lua, A) -> Result<R> + 'static,
        A: super::FromLuaMulti,
        R: super::IntoLuaMulti,
    {
        let function = self.named_function(name, function)?;
        let function = self.set_permanent(name, function)?;
        let globals = self.globals();
        if globals.raw_get::<Value>(name)?.is_nil() {
            globals.raw_set(name, function)?;
        }
        Ok(())
    }

    /// What has a name ([`set_permanent`](Self::set_permanent)), if it has.
    pub fn permanent(&self, name: &str) -> Result<Option<Value>> {
        self.with(|vm| {
            let raw = vm.permanents.get(name).copied();
            Ok(raw.map(|raw| self.to_value(vm, raw)))
        })
    }

    /// The programs that the world was in the middle of, in the order of their start.
    pub fn pending(&self) -> Result<Vec<Pending>> {
        let tasks = self.with(|vm| Ok(vm.task_numbers()))?;
        let mut all = Vec::new();
        for task in tasks {
            let waits_for = self.with(|vm| {
                if vm.task_stage(task) != Some(Stage::Asked) {
                    return Ok(None);
                }
                let call = vm.task_call_number(task).unwrap_or(0);
                let name = match self.asked(vm, task) {
                    Ok((function, _)) => function.name.clone(),
                    // This host does not have it.
                    Err(_) => vm.task_permanent(task).unwrap_or_default(),
                };
                Ok(Some((name, call)))
            })?;
            all.push(Pending {
                run: Run::of_task(self, task),
                waits_for,
            });
        }
        Ok(all)
    }
}
