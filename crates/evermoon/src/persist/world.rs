//! A world attached to an engine: opening, commits, rolling back, letting contents go.
//!
//! A commit has three steps: [`Vm::world_delta`] encodes what has changed, the host puts the delta into its store, and
//! [`Vm::world_committed`] (or [`Vm::world_commit_failed`]) says how that went. The program may run on between them; the host makes one
//! commit at a time. All of this happens while no task is current.

use super::decode::{LoadError, NO_SCANS};
use super::encode::{Encoder, Segments, Unstorable};
use super::key::Content;
use super::meta::{GcRecord, Meta, TaskRecord, UnderWay};
use super::value::Stored;
use super::{Backing, Fetch, Scanned, key, row};
use crate::heap::coroutine::Coroutine;
use crate::heap::hollow::{IdHasher, sort_by_number};
use crate::heap::number;
use crate::heap::object::{Gc, Header};
use crate::heap::table::Table;
use crate::heap::userdata::Userdata;
use crate::heap::value::{TYPE_COUNT, Value, tag};
use crate::heap::{Heap, WORLDS};
use crate::ordered::Map;
use crate::vm::fault::{Loader, NO_WORLDS, Rows};
use crate::vm::task::{Stage, Task};
use crate::vm::{Native, Throw, Thrown, Vm};
use std::any::Any;
use std::cell::OnceCell;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;

/// One write of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Write {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// From the first key (inclusive) to the second (exclusive).
    DeleteRange(Vec<u8>, Vec<u8>),
}

/// What a commit changes in the store, to be applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delta {
    pub writes: Vec<Write>,
    /// Objects written.
    pub objects: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

impl Delta {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.bytes += key.len() + value.len();
        self.writes.push(Write::Put(key, value));
    }
    pub fn delete(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.writes.push(Write::Delete(key));
    }
    pub fn delete_range(&mut self, from: Vec<u8>, to: Vec<u8>) {
        self.bytes += from.len() + to.len();
        self.writes.push(Write::DeleteRange(from, to));
    }
}

/// Why a commit cannot be made. The world is as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PersistError {
    pub message: String,
    /// Where the object is that cannot be stored, as `_G.users[3].socket`; empty if nobody knows.
    pub path: String,
}

impl std::fmt::Display for PersistError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            write!(f, "cannot be stored: {}", self.message)
        } else {
            write!(f, "{} cannot be stored: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for PersistError {}

/// How a host's objects are stored: to bytes and back. The name stands in records, so it stays.
pub struct Codec {
    pub name: &'static str,
    /// `None` for an object that is not this codec's.
    pub encode: fn(&dyn Any) -> Option<Vec<u8>>,
    pub decode: DecodeData,
}

/// Makes an object of what its codec wrote.
pub type DecodeData = fn(&[u8]) -> Result<Box<dyn Any>, String>;

/// Figures of an attached world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Numbers given so far.
    pub objects_numbered: u32,
    /// Objects whose contents are in the store only.
    pub hollow: usize,
    /// Objects changed since the last commit.
    pub changed: usize,
    /// Records read since the world was opened.
    pub faults: u64,
    /// Logical bytes in the store only.
    pub absent_bytes: usize,
    /// Cycles of the collector since the world was opened.
    pub collections: u64,
}

/// Names by which records refer to natives and to what the host has. Made when a record first needs one: most commits need none.
#[derive(Default)]
pub(super) struct Names {
    natives: OnceCell<Vec<Name>>,
    permanents: OnceCell<Map<Bits, Name>>,
}

type Name = Box<[u8]>;
/// A value's tag and payload.
type Bits = (u32, u64);

impl Names {
    pub fn of<'a>(&'a self, world: &World, vm: &Vm, native: u32) -> Option<&'a [u8]> {
        self.natives
            .get_or_init(|| world.native_names(vm))
            .get(native as usize)
            .map(|name| &name[..])
            .filter(|name| !name.is_empty())
    }
    pub fn permanent<'a>(&'a self, vm: &Vm, v: Value) -> Option<&'a [u8]> {
        let by_value = || {
            let mut names = Map::new();
            for (name, v) in vm.permanents.iter() {
                names.insert((v.tag, v.bits), name.as_bytes().into());
            }
            names
        };
        self.permanents
            .get_or_init(by_value)
            .get(&(v.tag, v.bits))
            .map(|name| &name[..])
    }
}

/// The state of an attached world.
pub struct World {
    pub(super) backing: Box<dyn Backing>,
    pub(super) next_id: u32,
    /// Large tables' segments.
    pub(super) segments: Map<u32, Segments>,
    /// Contents that the store has, as far as this engine knows.
    contents: HashSet<Content, BuildHasherDefault<IdHasher>>,
    codecs: Vec<Codec>,
    /// The numbers of natives by name.
    natives: Map<Box<[u8]>, u32>,
    natives_known: usize,
    /// The meta record and the list of finalizers as they were committed last.
    meta: Vec<u8>,
    finalizers: Vec<u8>,
    /// Contents that the commit under way writes.
    in_flight_contents: Vec<Content>,
    in_flight_meta: Option<(Vec<u8>, Vec<u8>)>,
    /// Keys that the store will answer later.
    pub(super) wanted: Vec<Vec<u8>>,
    /// Upvalues made by the load under way that have no values yet, or whose values are in the stack of a coroutine that it loads.
    pub(super) fresh_cells: Vec<Gc<Header>>,
    /// Objects that the load under way has tried.
    pub(super) tried: Vec<u32>,
    pub(super) faults: u64,
    /// What a rollback has yet to load, when the store answers later.
    going_back: Vec<Gc<Header>>,
    manifest_written: bool,
}

impl Loader for World {
    fn load(&mut self, vm: &mut Vm, object: Gc<Header>) -> Result<(), Throw> {
        match self.load_all(vm, object) {
            Ok(()) => Ok(()),
            Err(LoadError::Later) => Err(vm.raise(Thrown::Fault)),
            Err(LoadError::Memory) => Err(vm.raise(Thrown::Memory)),
            Err(e) => Err(vm.fail(&e.to_string())),
        }
    }
    fn load_reachable(&mut self, vm: &mut Vm) -> bool {
        let mut waits = false;
        let mut todo: Vec<Gc<Header>> = vm
            .heap
            .numbered_objects()
            .into_iter()
            .filter(|o| o.is_hollow() && !o.is_external())
            .collect();
        vm.heap.world.new_stubs.clear();
        while let Some(object) = todo.pop() {
            if object.is_hollow() {
                match self.load_all(vm, object) {
                    Ok(()) => {}
                    // All that is known to be wanted is asked for in one go.
                    Err(LoadError::Later) => waits = true,
                    // What cannot be loaded stays hollow, and the cycle partial.
                    Err(_) => return false,
                }
            }
            todo.append(&mut vm.heap.world.new_stubs);
        }
        waits
    }
    fn evict(&mut self, vm: &mut Vm) {
        for t in vm.heap.external_tables() {
            vm.heap.external_evict(t);
        }
        let kept: Vec<Gc<Header>> = vm
            .tasks
            .iter()
            .flatten()
            .flat_map(|task| [task.root.header(), task.current.header()])
            .chain([vm.main.header(), vm.current.header()])
            .collect();
        let objects = vm.heap.numbered_in_any_order();
        let is_closure = |o: &Gc<Header>| o.kind as u32 == tag::LUA_CLOSURE;
        for &object in objects.iter().filter(|o| !is_closure(o)) {
            if vm.heap.may_hollow(object) && !kept.contains(&object) {
                vm.heap.hollow_out(object);
            }
        }
        // The functions that run in coroutines which are still here stay too (`heap/hollow.rs`, invariant 4).
        let running = vm.heap.running_closures(&vm.exec);
        for &object in objects.iter().filter(|o| is_closure(o)) {
            if vm.heap.may_hollow(object) && !running.contains_key(&object.address()) {
                vm.heap.hollow_out(object);
            }
        }
        let mut here = |id| vm.heap.object_by_id(id).is_some_and(|o| !o.is_hollow());
        let gone: Vec<u32> = self
            .segments
            .keys()
            .copied()
            .filter(|id| !here(*id))
            .collect();
        for id in gone {
            self.segments.remove(&id);
        }
    }
    fn row(&mut self, vm: &mut Vm, t: Gc<Table>, encoded: &[u8]) -> Result<Value, Throw> {
        let id = t.header.meta;
        let key = row::key(id, encoded);
        self.faults += 1;
        match self.backing.get(&key) {
            Fetch::Found(record) => self.row_value(vm, t, encoded, &record),
            Fetch::Missing => Ok(Value::NIL),
            Fetch::Later => {
                self.wanted.push(key);
                Err(vm.raise(Thrown::Fault))
            }
            Fetch::Failed(e) => Err(vm.fail(&LoadError::Store(e).to_string())),
        }
    }
    fn rows(
        &mut self,
        vm: &mut Vm,
        t: Gc<Table>,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
        reverse: bool,
    ) -> Result<Rows, Throw> {
        let id = t.header.meta;
        let to = to.map_or_else(|| row::end(id), |to| row::key(id, to));
        self.faults += 1;
        let scanned = self.backing.scan(&row::key(id, from), &to, limit, reverse);
        match scanned {
            Scanned::Entries(mut entries) => {
                for (key, _) in &mut entries {
                    key.drain(..9.min(key.len()));
                }
                Ok(entries)
            }
            Scanned::Later => Err(vm.raise(Thrown::Fault)),
            Scanned::Failed(e) => Err(vm.fail(&LoadError::Store(e).to_string())),
            Scanned::Cannot => Err(vm.fail(NO_SCANS)),
        }
    }
    fn row_value(
        &mut self,
        vm: &mut Vm,
        t: Gc<Table>,
        encoded: &[u8],
        record: &[u8],
    ) -> Result<Value, Throw> {
        let id = t.header.meta;
        let value = row::read(id, encoded, record)
            .map_err(|bad| LoadError::Damaged(format!("a row of object {id}: {bad}")))
            .and_then(|stored| self.value(vm, &stored));
        match value {
            Ok(v) => Ok(v),
            Err(LoadError::Later) => Err(vm.raise(Thrown::Fault)),
            Err(LoadError::Memory) => Err(vm.raise(Thrown::Memory)),
            Err(e) => Err(vm.fail(&e.to_string())),
        }
    }
    fn no_external(&mut self) -> Option<&'static str> {
        (!self.backing.can_scan()).then_some(NO_SCANS)
    }
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl World {
    fn new(backing: Box<dyn Backing>) -> World {
        World {
            backing,
            next_id: 1,
            segments: Map::new(),
            contents: HashSet::default(),
            codecs: Vec::new(),
            natives: Map::new(),
            natives_known: 0,
            meta: Vec::new(),
            finalizers: Vec::new(),
            in_flight_contents: Vec::new(),
            in_flight_meta: None,
            wanted: Vec::new(),
            fresh_cells: Vec::new(),
            tried: Vec::new(),
            faults: 0,
            going_back: Vec::new(),
            manifest_written: false,
        }
    }

    /// Notes that contents are about to be stored; false when they are stored already.
    pub(super) fn new_content(&mut self, content: Content) -> bool {
        self.contents.insert(content)
    }
    pub(super) fn has_content(&self, content: &Content) -> bool {
        self.contents.contains(content)
    }
    pub(super) fn know_content(&mut self, content: Content) {
        self.contents.insert(content);
    }

    pub(super) fn encode_data(&self, data: &dyn Any) -> Option<(&'static [u8], Vec<u8>)> {
        // A stand-in for what the host did not provide says its name again.
        if let Some(Absent(name)) = data.downcast_ref::<Absent>() {
            return Some((ABSENT, name.to_vec()));
        }
        self.codecs
            .iter()
            .find_map(|codec| Some((codec.name.as_bytes(), (codec.encode)(data)?)))
    }

    pub(super) fn decode_data(&self, codec: &[u8], data: &[u8]) -> Result<Box<dyn Any>, String> {
        if codec == ABSENT {
            return Ok(Box::new(Absent(data.into())));
        }
        match self.codecs.iter().find(|c| c.name.as_bytes() == codec) {
            Some(codec) => (codec.decode)(data),
            None => Err(format!(
                "the host has no codec '{}' for it",
                String::from_utf8_lossy(codec)
            )),
        }
    }

    /// The native with this name; a stand-in that says so when it is called, if this engine has none.
    pub(super) fn native(&mut self, vm: &mut Vm, name: &[u8]) -> Result<Value, LoadError> {
        self.know_natives(vm);
        match self.natives.get(name) {
            Some(&number) => Ok(Value::native(number)),
            None => self.stand_in(vm, name),
        }
    }

    fn know_natives(&mut self, vm: &Vm) {
        for number in self.natives_known..vm.natives.len() {
            let name = vm.natives[number].full_name().into_bytes();
            self.natives
                .get_or_insert_with(name.into(), || number as u32);
        }
        self.natives_known = vm.natives.len();
    }

    /// What the host has under this name.
    pub(super) fn permanent(
        &mut self,
        vm: &mut Vm,
        name: &[u8],
        function: bool,
    ) -> Result<Value, LoadError> {
        if let Ok(text) = std::str::from_utf8(name)
            && let Some(v) = vm.permanents.get(text)
            && v.is_function() == function
        {
            return Ok(*v);
        }
        if function {
            return self.stand_in(vm, name);
        }
        let data: Box<dyn Any> = Box::new(Absent(name.into()));
        let u = vm
            .heap
            .userdata(Some(data))
            .map_err(|_| LoadError::Memory)?;
        self.keep_stand_in(vm, name, Value::userdata(u))
    }

    fn stand_in(&mut self, vm: &mut Vm, name: &[u8]) -> Result<Value, LoadError> {
        let number = match vm
            .natives
            .iter()
            .position(|n| n.library == "world" && n.name == "absent")
        {
            Some(number) => number as u32,
            None => vm.register("world", "absent", absent_function).bits as u32,
        };
        let name_value = vm.heap.string(name).map_err(|_| LoadError::Memory)?;
        let c = vm
            .heap
            .native_closure(
                number,
                &[
                    Value::string(name_value),
                    Value::NIL,
                    Value::NIL,
                    Value::NIL,
                ],
            )
            .map_err(|_| LoadError::Memory)?;
        self.keep_stand_in(vm, name, Value::native_closure(c))
    }

    /// A stand-in is one object however often it is met, and is stored under its name again.
    fn keep_stand_in(&mut self, vm: &mut Vm, name: &[u8], v: Value) -> Result<Value, LoadError> {
        let text = String::from_utf8_lossy(name).into_owned();
        vm.permanents.insert(text.into(), v);
        Ok(v)
    }

    /// The natives' names by number; empty for what records cannot refer to.
    fn native_names(&self, vm: &Vm) -> Vec<Name> {
        let name_of = |(number, native): (usize, &Native)| {
            let name = native.full_name().into_bytes();
            // Of two natives with one name, records can mean the first only.
            let own =
                self.natives.get(&name[..]) == Some(&(number as u32)) && native.library != "host";
            if own { name.into() } else { [].into() }
        };
        vm.natives.iter().enumerate().map(name_of).collect()
    }

    fn meta_bytes(&self, vm: &Vm) -> Vec<u8> {
        let table = |t: Option<Gc<Table>>| t.map_or(Stored::Nil, |t| Stored::Table(t.header.meta));
        let gc = &vm.heap.gc;
        let tasks = vm
            .tasks
            .iter()
            .map(|task| {
                task.as_ref().map(|task| TaskRecord {
                    root: task.root.header.meta,
                    current: task.current.header.meta,
                    depth: task.depth,
                    stage: task.stage as u8,
                    call: task.call,
                })
            })
            .collect();
        Meta {
            engine: env!("CARGO_PKG_VERSION").as_bytes(),
            next_id: self.next_id,
            globals: table(Some(vm.globals)),
            registry: table(Some(vm.registry)),
            main: Stored::Coroutine(vm.main.header.meta),
            type_metatables: vm.type_metatables.map(table),
            roots: Vec::new(),
            random: vm.random,
            next_printed: vm.heap.next_printed_id,
            gc: GcRecord {
                pause: gc.pause,
                step_mul: gc.step_mul,
                step_size: gc.step_size,
                stopped: gc.stopped,
                generational: gc.generational,
                whole_steps: gc.whole_steps,
                sees_collector: vm.heap.world.sees_collector,
                bytes: vm.heap.bytes as u64,
                debt: vm.heap.debt_when_swept() as i64,
            },
            warn_on: vm.warn_on,
            under_way: UnderWay {
                finalizing: vm.finalizing,
                finalizers_due: vm.finalizers_due,
                collector_suspended: gc.suspended,
                handler_returned: vm.handler_returned,
                handler_overflows: vm.handler_overflows as u32,
            },
            host_calls: vm.host_calls,
            tasks,
        }
        .write()
    }

    /// Puts the engine into the state that the meta record tells. The roots that instructions and natives reach without asking are loaded.
    fn take_meta(&mut self, vm: &mut Vm, bytes: &[u8], first: bool) -> Result<(), LoadError> {
        let damaged = |bad| LoadError::Damaged(format!("the meta record: {bad}"));
        let meta = Meta::read(bytes).map_err(damaged)?;
        self.next_id = meta.next_id;
        let mut roots = Vec::new();
        let mut root = |world: &mut World,
                        vm: &mut Vm,
                        v: &Stored<'_>|
         -> Result<Option<Gc<Table>>, LoadError> {
            match v {
                Stored::Nil => Ok(None),
                Stored::Table(id) => {
                    let object = world.object(vm, tag::TABLE, *id, 0)?;
                    roots.push(object);
                    Ok(Heap::as_kind(object))
                }
                _ => Err(LoadError::Damaged(
                    "the meta record: a root that is no table".into(),
                )),
            }
        };
        let none = || LoadError::Damaged("the meta record: no globals".into());
        let globals = root(self, vm, &meta.globals)?.ok_or_else(none)?;
        let registry = root(self, vm, &meta.registry)?.ok_or_else(none)?;
        let mut metatables = [None; TYPE_COUNT];
        for (to, from) in metatables.iter_mut().zip(&meta.type_metatables) {
            *to = root(self, vm, from)?;
        }
        let main = match &meta.main {
            Stored::Coroutine(id) => {
                let object = self.object(vm, tag::COROUTINE, *id, 0)?;
                roots.push(object);
                Heap::as_kind::<Coroutine>(object)
            }
            _ => None,
        };
        let main =
            main.ok_or_else(|| LoadError::Damaged("the meta record: no main coroutine".into()))?;
        let mut tasks = Vec::new();
        for task in &meta.tasks {
            tasks.push(match task {
                None => None,
                Some(task) => {
                    let no = || LoadError::Damaged("the meta record: a task".into());
                    let co = |world: &mut World, vm: &mut Vm, id: u32| {
                        let object = world.object(vm, tag::COROUTINE, id, 0)?;
                        Ok::<_, LoadError>((object, Heap::as_kind(object).ok_or_else(no)?))
                    };
                    let (a, root) = co(self, vm, task.root)?;
                    let (b, current) = co(self, vm, task.current)?;
                    roots.extend([a, b]);
                    Some(Task {
                        root,
                        current,
                        depth: task.depth,
                        stage: match task.stage {
                            0 => Stage::New,
                            1 => Stage::Ready,
                            2 => Stage::Asked,
                            3 => Stage::Yielded,
                            _ => Stage::Resumed,
                        },
                        call: task.call,
                    })
                }
            });
        }
        for object in &roots {
            self.load_all(vm, *object)?;
        }
        let mut theirs = Map::new();
        let alone = |task: &Task| {
            theirs.insert(task.root.header.meta, ()).is_none()
                && (task.current == task.root
                    || theirs.insert(task.current.header.meta, ()).is_none())
        };
        if !tasks.iter().flatten().all(Task::holds) || !tasks.iter().flatten().all(alone) {
            return Err(LoadError::Damaged(
                "the meta record: a task is not in the middle of what its coroutines say".into(),
            ));
        }
        vm.globals = globals;
        vm.registry = registry;
        vm.main = main;
        vm.host_calls = meta.host_calls;
        vm.finalizing = meta.under_way.finalizing;
        vm.finalizers_due = meta.under_way.finalizers_due;
        vm.handler_returned = meta.under_way.handler_returned;
        vm.handler_overflows = meta.under_way.handler_overflows as usize;
        vm.heap.gc.suspended = meta.under_way.collector_suspended;
        vm.type_metatables = metatables;
        vm.tasks = tasks;
        for mut t in [globals, registry]
            .into_iter()
            .chain(metatables.into_iter().flatten())
        {
            t.header.flags |= crate::heap::table::flags::METATABLE;
        }
        vm.random = meta.random;
        vm.heap.next_printed_id = meta.next_printed;
        vm.warn_on = meta.warn_on;
        let gc = &mut vm.heap.gc;
        (gc.pause, gc.step_mul, gc.step_size) =
            (meta.gc.pause, meta.gc.step_mul, meta.gc.step_size.min(40));
        (gc.stopped, gc.generational, gc.whole_steps) =
            (meta.gc.stopped, meta.gc.generational, meta.gc.whole_steps);
        vm.heap.world.sees_collector = meta.gc.sees_collector;
        let bytes = usize::try_from(meta.gc.bytes).unwrap_or(usize::MAX / 4);
        if first {
            // (A snapshot does not say how large its world is: what comes is counted as it comes.)
            let here = vm.heap.bytes;
            vm.heap.bytes = bytes.max(here);
            vm.heap.world.absent_bytes = bytes.saturating_sub(here);
        } else {
            let absent = vm.heap.world.absent_bytes;
            vm.heap.world.absent_bytes = absent.saturating_add(bytes).saturating_sub(vm.heap.bytes);
            vm.heap.bytes = bytes;
        }
        vm.heap.debt = meta.gc.debt.clamp(-(1 << 40), 1 << 40) as isize;
        self.take_finalizers(vm)?;
        Ok(())
    }

    /// What has a name of the host's, or is a userdata with data that no codec knows: the host's own, outside of every record.
    fn is_hosts(&self, object: Gc<Header>) -> bool {
        if object.flags & crate::heap::object::PERMANENT != 0 {
            return true;
        }
        !object.is_hollow()
            && Heap::as_kind::<Userdata>(object)
                .and_then(|u| u.data.as_ref().map(|data| self.encode_data(data.as_ref())))
                .is_some_and(|encoded| encoded.is_none())
    }

    fn finalizer_bytes(&self, vm: &Vm) -> Vec<u8> {
        let mut out = Vec::new();
        let mut list = |objects: &mut dyn Iterator<Item = &Gc<Header>>| {
            let stored = objects.filter(|o| !self.is_hosts(**o));
            let ids: Vec<(u32, u8)> = stored.map(|o| (o.meta, o.kind)).collect();
            super::bytes::put_varint(&mut out, ids.len() as u64);
            for (id, kind) in ids {
                out.push(kind);
                super::bytes::put_varint(&mut out, id as u64);
            }
        };
        list(&mut vm.heap.finalizable().iter());
        list(&mut vm.heap.gc.to_finalize.iter());
        out
    }

    fn take_finalizers(&mut self, vm: &mut Vm) -> Result<(), LoadError> {
        let bytes = match self.backing.get(key::FINALIZERS) {
            Fetch::Found(bytes) => bytes,
            Fetch::Missing => Vec::new(),
            Fetch::Later => {
                self.wanted.push(key::FINALIZERS.to_vec());
                return Err(LoadError::Later);
            }
            Fetch::Failed(e) => return Err(LoadError::Store(e)),
        };
        let damaged =
            |bad: super::bytes::BadBytes| LoadError::Damaged(format!("the finalizers: {bad}"));
        let mut lists = [Vec::new(), Vec::new()];
        if !bytes.is_empty() {
            let mut from = super::bytes::Reader::new(&bytes);
            for list in &mut lists {
                let count = from.count("count").map_err(damaged)?;
                for _ in 0..count {
                    let kind = from.byte("kind").map_err(damaged)? as u32;
                    let id = from.u32("number").map_err(damaged)?;
                    if kind != tag::TABLE && kind != tag::USERDATA {
                        return Err(LoadError::Damaged("the finalizers: a kind".into()));
                    }
                    let mut object = self.object(vm, kind, id, 0)?;
                    object.mark |= crate::heap::object::mark::FINALIZER;
                    list.push(object);
                }
            }
        }
        let [mut finalizable, mut due] = lists;
        let hosts = |o: &&Gc<Header>| self.is_hosts(**o);
        finalizable.extend(vm.heap.finalizable().iter().filter(hosts));
        due.extend(vm.heap.gc.to_finalize.iter().filter(hosts));
        vm.heap.set_finalizable(finalizable, due);
        self.finalizers = bytes;
        Ok(())
    }
}

/// Room for the upvalues of a host function that takes a stand-in's place.
const STAND_IN_UPVALUES: usize = 4;

/// The codec's name of [`Absent`].
const ABSENT: &[u8] = b"absent";

/// Stands for an object of a host's that this host does not have.
struct Absent(Box<[u8]>);

/// The native behind functions that this host or engine does not have.
fn absent_function(vm: &mut Vm) -> crate::vm::NativeResult {
    if vm.state() != 0 {
        // Called when a host had it, and answered by one that has not.
        return crate::vm::task::ask_host(vm);
    }
    let name = vm
        .upval(0)
        .as_str()
        .map_or_else(String::new, |s| s.to_text());
    Err(vm.fail(&format!(
        "the function '{name}' of this world is not provided by its present host (define it before the run)"
    )))
}

impl Vm {
    fn with_world<T>(&mut self, f: impl FnOnce(&mut World, &mut Vm) -> T) -> Option<T> {
        let mut loader = self.loader.take()?;
        let result = loader
            .as_any()
            .downcast_mut::<World>()
            .map(|world| f(world, self));
        self.loader = Some(loader);
        result
    }

    /// Attaches a world to an engine whose libraries are open and which has run nothing. True when the store held one: the engine's state
    /// is the world's then. With a store that answers later this has to be called again, with what it wants supplied, until it is not
    /// [`LoadError::Later`]. After another error the engine is of no use.
    pub fn open_world(
        &mut self,
        backing: Box<dyn Backing>,
        codecs: Vec<Codec>,
    ) -> Result<bool, LoadError> {
        if !WORLDS {
            return Err(LoadError::Store(NO_WORLDS.into()));
        }
        self.heap.world_begin().map_err(|_| LoadError::Memory)?;
        if self.loader.is_none() {
            let mut world = World::new(backing);
            world.codecs = codecs;
            self.may_wait = world.backing.may_wait();
            self.may_fault = true;
            self.loader = Some(Box::new(world));
        }
        self.continue_open()
    }

    /// Goes on opening, after the store's answers have been supplied.
    pub fn continue_open(&mut self) -> Result<bool, LoadError> {
        self.with_world(|world, vm| {
            let bytes = match world.backing.get(key::META) {
                Fetch::Found(bytes) => bytes,
                Fetch::Missing => return Ok(false),
                Fetch::Later => {
                    world.wanted.push(key::META.to_vec());
                    return Err(LoadError::Later);
                }
                Fetch::Failed(e) => return Err(LoadError::Store(e)),
            };
            let fresh = (vm.globals, vm.registry);
            world.take_meta(vm, &bytes, true)?;
            world.meta = bytes;
            world.add_new_names(vm, fresh.0)?;
            Ok(true)
        })
        .unwrap_or(Err(LoadError::Store("no world is attached".into())))
    }

    /// A world is attached.
    pub fn has_world(&self) -> bool {
        self.loader.is_some()
    }

    /// The keys whose values are wanted from a store that answers later. The list is given once.
    pub fn take_wanted(&mut self) -> Vec<Vec<u8>> {
        let wanted = self.with_world(|world, _| std::mem::take(&mut world.wanted));
        let mut once = Map::new();
        for key in wanted.unwrap_or_default() {
            once.insert(key, ());
        }
        once.keys().cloned().collect()
    }

    /// The backing, for a host that supplies what was wanted.
    pub fn world_backing<T>(&mut self, f: impl FnOnce(&mut dyn Backing) -> T) -> Option<T> {
        self.with_world(|world, _| f(world.backing.as_mut()))
    }

    /// Encodes what has changed since the last commit. An error leaves everything as it was.
    pub fn world_delta(&mut self) -> Result<Delta, PersistError> {
        let no_world = PersistError {
            message: "no world is attached".into(),
            path: String::new(),
        };
        self.with_world(|world, vm| world.delta(vm))
            .unwrap_or(Err(no_world))
    }

    /// The store has made the commit.
    pub fn world_committed(&mut self) {
        for object in std::mem::take(&mut self.heap.world.in_flight) {
            self.settle_external(object, true);
        }
        self.with_world(|world, _| {
            world.in_flight_contents.clear();
            if let Some((meta, finalizers)) = world.in_flight_meta.take() {
                world.meta = meta;
                world.finalizers = finalizers;
            }
        });
    }

    fn settle_external(&mut self, object: Gc<Header>, committed: bool) {
        if object.is_external()
            && let Some(t) = Heap::as_kind(object)
        {
            self.heap.external_settled(t, committed);
        }
    }

    /// The store has not made it: what it would have written counts as changed again.
    pub fn world_commit_failed(&mut self) {
        for object in std::mem::take(&mut self.heap.world.in_flight) {
            // What memory's shortage has let go meanwhile comes back from the commit that is under way, while the host still has it.
            if object.is_hollow() {
                let _ = self.load_object(object);
            }
            self.heap.touch(object);
            self.settle_external(object, false);
        }
        self.with_world(|world, _| {
            for content in std::mem::take(&mut world.in_flight_contents) {
                world.contents.remove(&content);
            }
            world.in_flight_meta = None;
            world.segments.clear();
            world.manifest_written = false;
        });
    }

    /// Puts the world back to its last commit: what has changed since is forgotten. Not while a commit is under way. With a store that answers
    /// later, to be called again (and nothing else meanwhile) until it is not [`LoadError::Later`].
    pub fn world_rollback(&mut self) -> Result<(), LoadError> {
        self.with_world(|world, vm| world.rollback(vm))
            .unwrap_or(Ok(()))
    }

    /// Lets the contents of unchanged objects go, so that memory holds little more than what was touched lately. Between runs or at the end
    /// of a slice only.
    pub fn world_evict(&mut self) {
        self.evict_for_room();
        self.free_unreached();
    }

    /// Has what a host holds loaded, before it looks inside without asking the interpreter.
    pub fn world_load(&mut self, v: Value) -> Result<(), LoadError> {
        match v.as_object() {
            Some(object) if object.is_hollow() => self
                .with_world(|world, vm| world.load_all(vm, object))
                .unwrap_or(Err(LoadError::Store("no world is attached".into()))),
            _ => Ok(()),
        }
    }

    /// Whether this engine may refer to what is stored under a key, though the last commit does not: it must not be removed as garbage now.
    pub fn world_holds(&mut self, key: &[u8]) -> bool {
        match (key.first(), key.get(1..9)) {
            (Some(b'o' | b's'), Some(id)) => {
                let id = id.iter().fold(0u64, |n, &b| n << 8 | b as u64);
                u32::try_from(id).is_ok_and(|id| self.heap.object_by_id(id).is_some())
            }
            (Some(b'p' | b'b'), _) => Content::of_key(key).is_some_and(|content| {
                self.with_world(|world, _| world.has_content(&content))
                    .unwrap_or(false)
            }),
            _ => true,
        }
    }

    pub fn world_statistics(&mut self) -> Statistics {
        let (hollow, changed, absent, collections) = (
            self.heap.world.hollow_count,
            self.heap.world.changed.len(),
            self.heap.world.absent_bytes,
            self.heap.cycles(),
        );
        self.with_world(|world, _| Statistics {
            objects_numbered: world.next_id - 1,
            hollow,
            changed,
            faults: world.faults,
            absent_bytes: absent,
            collections,
        })
        .unwrap_or_default()
    }

    /// What records know by a name.
    pub fn permanent(&self, name: &str) -> Option<Value> {
        self.permanents.get(name).copied()
    }

    /// Gives a function or userdata of the host's a name for records; it is then stored by that name and found again by it. When something
    /// in the world has been waiting under this name, that becomes what is given. The value that has the name from here on.
    pub fn set_permanent(&mut self, name: &str, value: Value) -> Value {
        if let Some(&known) = self.permanents.get(name) {
            if known.raw_equals(value) {
                return known;
            }
            if let (Some(mut stand_in), Some(new)) =
                (known.as_native_closure(), value.as_native_closure())
                && stand_in.upvals().len() == STAND_IN_UPVALUES
                && new.upvals().len() <= STAND_IN_UPVALUES
            {
                self.heap.barrier(stand_in);
                stand_in.native = new.native;
                stand_in.upvals_mut()[..new.upvals().len()].copy_from_slice(new.upvals());
                return known;
            }
            if let (Some(mut stand_in), Some(mut new)) = (known.as_userdata(), value.as_userdata())
                && stand_in
                    .data
                    .as_ref()
                    .is_some_and(|data| data.is::<Absent>())
            {
                self.heap.barrier(stand_in);
                stand_in.data = new.data.take();
                stand_in.set_metatable(new.metatable);
                stand_in.header.flags |= crate::heap::object::PERMANENT;
                return known;
            }
        }
        if let Some(mut t) = value.as_table() {
            t.header.flags |= crate::heap::object::PERMANENT;
        }
        if let Some(mut u) = value.as_userdata() {
            u.header.flags |= crate::heap::object::PERMANENT;
        }
        self.permanents.insert(name.into(), value);
        value
    }
}

impl World {
    fn delta(&mut self, vm: &mut Vm) -> Result<Delta, PersistError> {
        self.know_natives(vm);
        let names = Names::default();
        let next_id = self.next_id;
        let mut changed = std::mem::take(&mut vm.heap.world.changed);
        sort_by_number(&mut changed);
        let dead = std::mem::take(&mut vm.heap.world.dead);
        let dead_externals = std::mem::take(&mut vm.heap.world.dead_externals);
        let mut encoder = Encoder {
            vm,
            world: self,
            names: &names,
            delta: Delta::default(),
            queue: changed.iter().copied().collect::<VecDeque<_>>(),
            numbered: Vec::new(),
            contents: Vec::new(),
            externals: Vec::new(),
        };
        let result = encoder.everything();
        let Encoder {
            mut delta,
            numbered,
            contents,
            externals,
            ..
        } = encoder;
        match result {
            Ok(written) => {
                for &id in &dead {
                    delta.delete(key::object(id));
                    if let Some(segments) = self.segments.remove(&id) {
                        for index in segments.segments.keys() {
                            delta.delete(key::segment(id, *index));
                        }
                    }
                }
                for &id in &dead_externals {
                    delta.delete_range(row::key(id, &[]), row::end(id));
                }
                for &object in &written {
                    vm.heap.set_clean(object);
                }
                for (t, refs) in externals {
                    vm.heap.external_written(t, refs);
                }
                delta.objects = written.len();
                vm.heap.world.in_flight = written;
                let (meta, finalizers) = (self.meta_bytes(vm), self.finalizer_bytes(vm));
                let none = finalizers == [0, 0] && self.finalizers.is_empty();
                if finalizers != self.finalizers && !none {
                    delta.put(key::FINALIZERS.to_vec(), finalizers.clone());
                }
                if !self.manifest_written {
                    let manifest = self.manifest(vm);
                    if !matches!(self.backing.get(key::MANIFEST), Fetch::Found(old) if old == manifest)
                    {
                        delta.put(key::MANIFEST.to_vec(), manifest);
                    }
                    self.manifest_written = true;
                }
                if meta != self.meta {
                    delta.put(key::META.to_vec(), meta.clone());
                }
                self.in_flight_contents = contents;
                self.in_flight_meta = Some((meta, finalizers));
                Ok(delta)
            }
            Err(Unstorable { object, why }) => {
                let path = object.map_or(String::new(), |o| path_to(vm, o));
                for object in numbered {
                    vm.heap.take_id(object);
                }
                self.next_id = next_id;
                for content in contents {
                    self.contents.remove(&content);
                }
                self.segments.clear();
                vm.heap.world.changed = changed;
                vm.heap.world.dead = dead;
                vm.heap.world.dead_externals = dead_externals;
                Err(PersistError { message: why, path })
            }
        }
    }

    fn rollback(&mut self, vm: &mut Vm) -> Result<(), LoadError> {
        if self.meta.is_empty() {
            return Err(LoadError::Missing("a first commit to go back to".into()));
        }
        let changed = std::mem::take(&mut vm.heap.world.changed);
        vm.heap.world.dead.clear();
        let mut again = std::mem::take(&mut self.going_back);
        vm.heap.world.dead_externals.clear();
        for &object in &changed {
            let mut object = object;
            object.mark &= !crate::heap::object::mark::FINALIZER;
            if object.kind as u32 == tag::UPVALUE {
                vm.heap.set_clean(object);
                again.push(object);
                continue;
            }
            let needed = object.kind as u32 != tag::TABLE
                || object.flags & crate::heap::table::flags::METATABLE != 0;
            vm.heap.hollow_again(object);
            self.segments.remove(&object.meta);
            if needed {
                again.push(object);
            }
        }
        // What the failed run had under way goes with it.
        vm.tasks.clear();
        let mut late = Vec::new();
        for object in again {
            match self.load_all(vm, object) {
                Err(LoadError::Later) => late.push(object),
                done => done?,
            }
        }
        if !late.is_empty() {
            self.going_back = late;
            return Err(LoadError::Later);
        }
        let meta = self.meta.clone();
        self.take_meta(vm, &meta, false)
    }

    /// The names of the libraries' functions, each as `library.name` under the global it is found in.
    fn manifest(&self, vm: &Vm) -> Vec<u8> {
        let mut out = Vec::new();
        for native in &vm.natives {
            if !matches!(native.library, "host" | "world" | "engine") {
                out.extend_from_slice(native.full_name().as_bytes());
                out.push(b'\n');
            }
        }
        out
    }

    /// Functions that this engine's libraries have and the one that wrote the world had not: they come into the world's tables.
    fn add_new_names(&mut self, vm: &mut Vm, fresh: Gc<Table>) -> Result<(), LoadError> {
        let old = match self.backing.get(key::MANIFEST) {
            Fetch::Found(bytes) => bytes,
            Fetch::Missing => Vec::new(),
            Fetch::Later => {
                self.wanted.push(key::MANIFEST.to_vec());
                return Err(LoadError::Later);
            }
            Fetch::Failed(e) => return Err(LoadError::Store(e)),
        };
        if old == self.manifest(vm) {
            self.manifest_written = true;
            return Ok(());
        }
        let mut known = Map::new();
        for name in old.split(|&b| b == b'\n') {
            known.insert(name, ());
        }
        let mut additions = Vec::new();
        for e in fresh.entries() {
            if is_new(vm, &known, e.value()) {
                additions.push((vm.globals, e.key(), e.value()));
            }
            let Some(library) = e.value().as_table().filter(|t| *t != fresh) else {
                continue;
            };
            let here = vm.globals.get(e.key());
            let all_new = library
                .entries()
                .iter()
                .any(|e| is_new(vm, &known, e.value()));
            match here.as_table() {
                None if all_new && here.is_nil() => {
                    additions.push((vm.globals, e.key(), e.value()))
                }
                Some(t) => {
                    if t.header.is_hollow() && all_new {
                        self.load_all(vm, t.header())?;
                    }
                    for e in library.entries() {
                        if is_new(vm, &known, e.value()) {
                            additions.push((t, e.key(), e.value()));
                        }
                    }
                }
                None => {}
            }
        }
        for (t, key, value) in additions {
            if t.get(key).is_nil() {
                vm.heap.barrier(t);
                let _ = vm.heap.table_set(t, key, value);
            }
        }
        Ok(())
    }
}

fn is_new(vm: &Vm, known: &Map<&[u8], ()>, v: Value) -> bool {
    v.tag == tag::NATIVE
        && vm
            .natives
            .get(v.bits as usize)
            .is_some_and(|native| !known.contains_key(native.full_name().as_bytes()))
}

impl Encoder<'_> {
    /// Gives the roots numbers and writes all that is to be written. The objects written.
    fn everything(&mut self) -> Result<Vec<Gc<Header>>, Unstorable> {
        let mut roots = vec![
            self.vm.globals.header(),
            self.vm.registry.header(),
            self.vm.main.header(),
        ];
        roots.extend(self.vm.type_metatables.iter().flatten().map(|t| t.header()));
        for task in self.vm.tasks.iter().flatten() {
            roots.extend([task.root.header(), task.current.header()]);
        }
        // Finalizers of what is the host's alone are the host's concern: it is stored only if the program refers to it.
        let own = |o: &&Gc<Header>| !self.world.is_hosts(**o);
        roots.extend(self.vm.heap.finalizable().iter().filter(own));
        roots.extend(self.vm.heap.gc.to_finalize.iter().filter(own));
        for mut object in roots {
            if object.kind as u32 == tag::TABLE {
                // Roots are not hollowed.
                object.flags |= crate::heap::table::flags::METATABLE;
            }
            self.number(object);
        }
        let mut written = Vec::new();
        while let Some(object) = self.queue.pop_front() {
            self.object(object)?;
            written.push(object);
        }
        Ok(written)
    }
}

/// Where an object is, from the globals, as a person would write it. Looks at what is loaded.
fn path_to(vm: &Vm, wanted: Gc<Header>) -> String {
    const LOOK_AT_MOST: usize = 1_000_000;
    let mut seen = Map::new();
    let mut queue = VecDeque::from([(Value::table(vm.globals), String::new())]);
    for task in vm.tasks.iter().flatten() {
        queue.push_back((Value::coroutine(task.current), "(the program)".to_owned()));
    }
    queue.push_back((Value::table(vm.registry), "(registry)".to_owned()));
    while let Some((v, path)) = queue.pop_front() {
        let Some(object) = v.as_object() else {
            continue;
        };
        if object == wanted {
            return path;
        }
        if object.is_hollow()
            || seen.insert(object.address(), ()).is_some()
            || seen.len() > LOOK_AT_MOST
        {
            continue;
        }
        let mut go = |v: Value, step: String| {
            if v.is_collectable() && !v.is_string() {
                queue.push_back((v, step));
            }
        };
        if let Some(t) = v.as_table() {
            for (i, v) in t.array().iter().enumerate() {
                go(*v, format!("{path}[{}]", i + 1));
            }
            for e in t.entries() {
                if e.value_tag != tag::NIL {
                    let step = step_name(&path, e.key());
                    go(e.value(), step.clone());
                    go(e.key(), format!("(key of {path})"));
                }
            }
            if let Some(mt) = t.metatable {
                go(Value::table(mt), format!("(metatable of {path})"));
            }
        } else if let Some(c) = v.as_lua_closure() {
            for (i, up) in c.upvals().iter().enumerate() {
                let name = c.proto.info().upvals.get(i).and_then(|d| d.name.as_deref());
                let name = String::from_utf8_lossy(name.unwrap_or(b"?")).into_owned();
                go(up.get(), format!("{path}(upvalue {name})"));
                if up.header() == wanted {
                    return format!("{path}(upvalue {name})");
                }
            }
        } else if let Some(c) = v.as_native_closure() {
            for v in c.upvals() {
                go(*v, format!("{path}(upvalue)"));
            }
        } else if let Some(co) = v.as_coroutine() {
            for slot in 0..co.exec.live_end() {
                go(co.exec.get(slot), format!("{path}(local)"));
            }
        } else if let Some(u) = v.as_userdata() {
            for v in &u.user_values {
                go(*v, format!("{path}(user value)"));
            }
        }
    }
    String::new()
}

fn step_name(path: &str, key: Value) -> String {
    match key.as_str() {
        Some(s) if path.is_empty() => s.to_text(),
        Some(s) => format!("{path}.{}", s.to_text()),
        None if key.is_int() => format!("{path}[{}]", key.raw_int()),
        None if key.is_float() => format!("{path}[{}]", number::float_string(key.raw_float())),
        None => format!("{path}[{}]", key.type_of().name()),
    }
}
