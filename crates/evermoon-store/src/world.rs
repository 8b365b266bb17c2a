//! A world: an engine over a store. A run is a transaction; contents are read when they are touched; a commit writes what changed.
//!
//! ```
//! use evermoon_store::{MemoryStore, World};
//! let mut world = World::open(MemoryStore::new()).unwrap();
//! world.run("local n = 0 function count() n = n + 1 return n end").unwrap();
//! world.run("count()").unwrap();
//! // The same store, as after a restart:
//! let store = world.close().unwrap();
//! let mut world = World::open_boxed(store, Default::default()).unwrap();
//! assert_eq!(world.eval::<i64>("return count()").unwrap(), 2);
//! ```
//!
//! The store answers at once, so a program never notices that it is read. Memory: when more than the limit's greater part is in use, clean
//! contents are let go between two slices of a run.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evermoon::persist::{Backing, Fetch, Scanned, Statistics};
use evermoon::{Builder, Error, Event, FromLuaMulti, IntoLuaMulti, Lua, MultiValue, Pending, Run};

use crate::error::StoreError;
use crate::store::{Durability, Scan, Store};

/// The result of an operation on a world.
pub type Result<T> = std::result::Result<T, WorldError>;

/// What can go wrong with a world.
#[derive(Debug)]
pub enum WorldError {
    /// The program or the engine.
    Lua(Error),
    /// The store.
    Store(StoreError),
    /// The program failed, and the world could not be put back either: it has to be opened again.
    Lost { why: String },
}

impl std::fmt::Display for WorldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WorldError::Lua(e) => e.fmt(f),
            WorldError::Store(e) => e.fmt(f),
            WorldError::Lost { why } => write!(f, "the world has to be opened again: {why}"),
        }
    }
}

impl std::error::Error for WorldError {}

impl From<Error> for WorldError {
    fn from(e: Error) -> Self {
        WorldError::Lua(e)
    }
}

impl From<StoreError> for WorldError {
    fn from(e: StoreError) -> Self {
        WorldError::Store(e)
    }
}

/// What a failed run leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnError {
    /// The world as it was at its last commit.
    #[default]
    Rollback,
    /// What the program had done when it failed; it is committed, as a REPL wants it.
    Keep,
}

/// How a world is opened.
pub struct WorldOptions {
    /// The engine: libraries, limits, host. With a memory limit, the world may be larger than it.
    pub engine: Builder,
    pub on_error: OnError,
    pub durability: Durability,
    /// A long run commits this often, so that it goes on from there after a crash.
    pub checkpoint: Option<Duration>,
    /// Bytes in memory beyond which contents are let go between two slices.
    pub resident_max: usize,
}

impl Default for WorldOptions {
    fn default() -> Self {
        WorldOptions {
            engine: Lua::builder(),
            on_error: OnError::default(),
            durability: Durability::default(),
            checkpoint: None,
            resident_max: 48 << 20,
        }
    }
}

/// One commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commit {
    pub version: u64,
    /// Objects written.
    pub objects: usize,
    /// Bytes of keys and values written.
    pub bytes: usize,
}

type Shared = Rc<RefCell<Option<Box<dyn Store>>>>;

struct StoreBacking(Shared);

impl Backing for StoreBacking {
    fn get(&mut self, key: &[u8]) -> Fetch {
        let Ok(store) = self.0.try_borrow() else {
            return Fetch::Failed("the store is in use".into());
        };
        match store.as_ref().map(|store| store.get(key)) {
            Some(Ok(Some(value))) => Fetch::Found(value),
            Some(Ok(None)) => Fetch::Missing,
            Some(Err(error)) => Fetch::Failed(error.to_string()),
            None => Fetch::Failed("the world is closed".into()),
        }
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        let Ok(store) = self.0.try_borrow() else {
            return Scanned::Failed("the store is in use".into());
        };
        match store.as_ref() {
            Some(store) => scan(store.as_ref(), from, to, limit, reverse),
            None => Scanned::Failed("the world is closed".into()),
        }
    }
    fn can_scan(&self) -> bool {
        true
    }
}

pub(crate) fn scan(
    store: &dyn Store,
    from: &[u8],
    to: &[u8],
    limit: usize,
    reverse: bool,
) -> Scanned {
    let range = Scan::range(from, Some(to)).limit(limit);
    match store.scan(if reverse { range.reversed() } else { range }) {
        Ok(entries) => Scanned::Entries(entries),
        Err(error) => Scanned::Failed(error.to_string()),
    }
}

/// An open world. One process, one thread, one writer.
pub struct World {
    lua: Lua,
    store: Shared,
    state: Rc<RefCell<State>>,
    on_error: OnError,
    checkpoint: Option<Duration>,
    resident_max: usize,
}

struct State {
    version: u64,
    epoch: u64,
    durability: Durability,
    last: Option<Commit>,
}

/// The global under which a world has its own external table.
const HOME: &str = "_home";
/// The global, and the name in records, of the table that host and program share.
const EXCHANGE: &str = "_io";

/// Fuel between two looks at the clock and the memory.
const QUANTUM: u64 = 200_000;

impl World {
    /// Opens the world in a store, or begins one.
    pub fn open(store: impl Store + 'static) -> Result<World> {
        World::open_boxed(Box::new(store), WorldOptions::default())
    }

    /// The same with options.
    pub fn open_boxed(mut store: Box<dyn Store>, options: WorldOptions) -> Result<World> {
        let epoch = store.lease()?;
        let version = store.head()?.version;
        let store: Shared = Rc::new(RefCell::new(Some(store)));
        let lua = options.engine.world(StoreBacking(store.clone())).build()?;
        let state = Rc::new(RefCell::new(State {
            version,
            epoch,
            durability: options.durability,
            last: None,
        }));
        let mut world = World {
            lua,
            store,
            state,
            on_error: options.on_error,
            checkpoint: options.checkpoint,
            resident_max: options.resident_max,
        };
        let added = world.open_library()?;
        if version == 0 || added {
            // There is something to go back to from the start, and it has all that a world has.
            world.commit()?;
        }
        Ok(world)
    }

    /// `world.commit()` for programs: it returns the version.
    fn open_library(&mut self) -> Result<bool> {
        let (store, state) = (self.store.clone(), self.state.clone());
        let function = self.lua.create_function(move |lua, ()| {
            let commit = commit(lua, &store, &state).map_err(|e| Error::runtime(e.to_string()))?;
            Ok(commit.version as i64)
        })?;
        let function = self.lua.set_permanent("world.commit", function)?;
        let globals = self.lua.globals();
        let mut added = false;
        if globals.raw_get::<evermoon::Value>("world")?.is_nil() {
            let library = self.lua.create_table()?;
            library.raw_set("commit", function)?;
            globals.raw_set("world", library)?;
            added = true;
        }
        if globals.raw_get::<evermoon::Value>(HOME)?.is_nil() {
            let home = self.lua.create_external_table()?;
            for name in [HOME, "Memory"] {
                globals.raw_set(name, &home)?;
            }
            added = true;
        }
        if globals.raw_get::<evermoon::Value>(EXCHANGE)?.is_nil() {
            globals.raw_set(EXCHANGE, self.exchange()?)?;
            added = true;
        }
        Ok(added)
    }

    /// The engine, for everything else: functions of the host's (by [`Lua::define`], so that the world can store them), values, limits.
    pub fn lua(&self) -> &Lua {
        &self.lua
    }

    /// The world's own external table, the global `_home` (and `Memory`), where an application keeps its data.
    pub fn home(&self) -> Result<evermoon::Table> {
        Ok(self.lua.globals().get(HOME)?)
    }

    /// The table `_io`, in which host and program hand each other values: the host sets `input` before a run and reads `output` after it. It is
    /// the same table for as long as the world is open, and is not stored.
    pub fn exchange(&self) -> Result<evermoon::Table> {
        match self.lua.permanent(EXCHANGE)? {
            Some(evermoon::Value::Table(table)) => Ok(table),
            _ => Err(Error::runtime("there is no table _io").into()),
        }
    }

    /// Runs a program as a transaction.
    pub fn run(&mut self, source: &str) -> Result<MultiValue> {
        self.run_named(source, "=world")
    }

    /// The same under a chunk name.
    pub fn run_named(&mut self, source: &str, name: &str) -> Result<MultiValue> {
        let main = self.lua.load(source).set_name(name).into_function()?;
        self.transact(&main, ())
    }

    /// Runs a program and converts what it returns.
    pub fn eval<R: FromLuaMulti>(&mut self, source: &str) -> Result<R> {
        let values = self.run(source)?;
        Ok(R::from_lua_multi(values, &self.lua)?)
    }

    /// Calls a global function as a transaction.
    pub fn call<R: FromLuaMulti>(&mut self, function: &str, args: impl IntoLuaMulti) -> Result<R> {
        let function: evermoon::Function = self.lua.globals().get(function)?;
        let run = self.lua.start(&function, args)?;
        let values = self.finish(run)?;
        Ok(R::from_lua_multi(values, &self.lua)?)
    }

    /// Calls a function as the main program, as a transaction.
    pub fn transact(
        &mut self,
        function: &evermoon::Function,
        args: impl IntoLuaMulti,
    ) -> Result<MultiValue> {
        let run = self.lua.start_as_main(function, args)?;
        self.finish(run)
    }

    /// What a failed run leaves behind from here on.
    pub fn set_on_error(&mut self, on_error: OnError) {
        self.on_error = on_error;
    }

    /// The programs that the world was in the middle of when it was last committed. Go on with [`finish`](Self::finish).
    pub fn pending(&self) -> Result<Vec<Pending>> {
        Ok(self.lua.pending()?)
    }

    /// Runs a program to its end, commits, and gives its results; a failed one is dealt with as the options say.
    pub fn finish(&mut self, mut run: Run) -> Result<MultiValue> {
        let budget = self.lua.fuel();
        let mut spent = 0;
        let mut last = Instant::now();
        let ended = loop {
            let left = budget.map_or(QUANTUM, |budget| QUANTUM.min(budget - spent));
            self.lua.set_fuel(Some(left));
            let event = run.resume();
            spent += left - self.lua.fuel().unwrap_or(0).min(left);
            match event {
                Ok(Event::Finished(values)) => break Ok(values),
                Ok(Event::OutOfFuel) if budget.is_some_and(|budget| spent >= budget) => {
                    break Err(Error::Fuel {
                        message: format!("out of fuel: {spent} used"),
                    });
                }
                Ok(Event::OutOfFuel) => {
                    let due = self.checkpoint.is_some_and(|every| last.elapsed() >= every);
                    if due {
                        self.commit()?;
                        last = Instant::now();
                    }
                    if self.lua.resident_memory() > self.resident_max {
                        self.lua.world_evict();
                    }
                }
                Ok(Event::Yielded(_)) => {
                    break Err(Error::runtime("attempt to yield from outside a coroutine"));
                }
                Ok(Event::HostCall(call)) => {
                    break Err(Error::runtime(format!(
                        "nobody answers host function '{}' here",
                        call.name
                    )));
                }
                Err(error) => break Err(error),
            }
        };
        self.lua
            .set_fuel(budget.map(|budget| budget.saturating_sub(spent)));
        drop(run);
        match ended {
            Ok(values) => {
                self.commit()?;
                Ok(values)
            }
            Err(error @ Error::Exit { .. }) => self.leave(error),
            Err(error) => {
                match self.on_error {
                    OnError::Keep => {
                        self.commit()?;
                    }
                    OnError::Rollback => self.rollback()?,
                }
                Err(error.into())
            }
        }
    }

    /// What has run ends the process (`os.exit`): its changes are committed.
    fn leave(&mut self, error: Error) -> Result<MultiValue> {
        self.commit()?;
        Err(error.into())
    }

    /// Writes what has changed.
    pub fn commit(&mut self) -> Result<Commit> {
        let commit = commit(&self.lua, &self.store, &self.state)?;
        if self.lua.resident_memory() > self.resident_max {
            self.lua.world_evict();
        }
        Ok(commit)
    }

    /// Puts the world back to its last commit.
    pub fn rollback(&mut self) -> Result<()> {
        let back = self.lua.world_rollback();
        back.map_err(|e| WorldError::Lost { why: e.to_string() })?;
        // If the program had committed on its way, it was in the middle of that: it has failed all the same.
        drop(self.lua.pending()?);
        Ok(())
    }

    /// Lets go of all contents that are in the store.
    pub fn evict(&mut self) {
        self.lua.world_evict();
    }

    /// The number of the last commit.
    pub fn version(&self) -> u64 {
        self.state.borrow().version
    }

    /// The last commit that this world has made.
    pub fn last_commit(&self) -> Option<Commit> {
        self.state.borrow().last
    }

    pub fn statistics(&self) -> Statistics {
        self.lua.world_statistics()
    }

    /// The store, between two operations.
    pub fn with_store<T>(&self, f: impl FnOnce(&mut dyn Store) -> T) -> Option<T> {
        self.store
            .borrow_mut()
            .as_mut()
            .map(|store| f(store.as_mut()))
    }

    /// Closes the world without another commit, and gives the store back.
    pub fn close(self) -> Result<Box<dyn Store>> {
        self.lua.skip_finalizers();
        let store = self.store.borrow_mut().take();
        store.ok_or_else(|| WorldError::Lost {
            why: "it is closed".into(),
        })
    }
}

fn commit(lua: &Lua, store: &Shared, state: &Rc<RefCell<State>>) -> Result<Commit> {
    let delta = lua.world_delta()?;
    let mut state = state.borrow_mut();
    if delta.writes.is_empty() {
        lua.world_committed();
        return Ok(Commit {
            version: state.version,
            objects: 0,
            bytes: 0,
        });
    }
    let (objects, bytes) = (delta.objects, delta.bytes);
    let batch = crate::care::to_batch(delta);
    let mut store = store.borrow_mut();
    let closed = || WorldError::Lost {
        why: "it is closed".into(),
    };
    let store = store.as_mut().ok_or_else(closed)?;
    match store.commit(state.version, state.epoch, &batch, state.durability) {
        Ok(version) => {
            state.version = version;
            lua.world_committed();
            let commit = Commit {
                version,
                objects,
                bytes,
            };
            state.last = Some(commit);
            Ok(commit)
        }
        Err(error) => {
            lua.world_commit_failed();
            Err(error.into())
        }
    }
}
