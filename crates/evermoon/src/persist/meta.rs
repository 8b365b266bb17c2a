//! The meta record: what a world is beside its objects. Roots, the next number, the state of the collector and the random generator, the
//! programs under way.

use super::bytes::{Read, Reader, put_bytes, put_signed, put_varint};
use super::record::{check, unseal};
use super::value::Stored;
use crate::heap::value::TYPE_COUNT;

/// The version of the formats in this folder. A reader opens every version up to its own.
pub const FORMAT: u8 = 1;

/// What the check of the meta record is bound to.
const SALT: u64 = u64::MAX;

const MAGIC: &[u8] = b"EVERMOON";

/// A program under way: its root coroutine, the one that runs, how many have resumed each other, what it waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskRecord {
    pub root: u32,
    pub current: u32,
    pub depth: u32,
    /// `vm/task.rs`, `Stage`.
    pub stage: u8,
    /// The number of its last host call.
    pub call: u64,
}

/// The collector's state that a program can see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GcRecord {
    pub pause: u32,
    pub step_mul: u32,
    pub step_size: u32,
    pub stopped: bool,
    pub generational: bool,
    pub whole_steps: bool,
    pub sees_collector: bool,
    pub bytes: u64,
    pub debt: i64,
}

/// State of the machine that belongs to a step under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UnderWay {
    pub finalizing: bool,
    pub finalizers_due: bool,
    pub collector_suspended: bool,
    pub handler_returned: bool,
    pub handler_overflows: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Meta<'a> {
    /// The engine that wrote it.
    pub engine: &'a [u8],
    pub next_id: u32,
    pub globals: Stored<'a>,
    pub registry: Stored<'a>,
    /// The main coroutine.
    pub main: Stored<'a>,
    pub type_metatables: [Stored<'a>; TYPE_COUNT],
    /// What the host keeps by name.
    pub roots: Vec<(&'a [u8], Stored<'a>)>,
    pub random: [u64; 4],
    pub next_printed: u64,
    pub gc: GcRecord,
    pub warn_on: bool,
    /// What the machine is in the middle of beside frames: finalizers, message handlers.
    pub under_way: UnderWay,
    /// Host calls so far: each has a number of its own in a world's life.
    pub host_calls: u64,
    pub tasks: Vec<Option<TaskRecord>>,
}

impl<'a> Meta<'a> {
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        let o = &mut out;
        o.extend_from_slice(MAGIC);
        o.push(FORMAT);
        put_bytes(o, self.engine);
        put_varint(o, self.next_id as u64);
        self.globals.write(o);
        self.registry.write(o);
        self.main.write(o);
        for mt in &self.type_metatables {
            mt.write(o);
        }
        put_varint(o, self.roots.len() as u64);
        for (name, value) in &self.roots {
            put_bytes(o, name);
            value.write(o);
        }
        for n in self.random {
            o.extend_from_slice(&n.to_le_bytes());
        }
        put_varint(o, self.next_printed);
        let gc = &self.gc;
        for n in [gc.pause, gc.step_mul, gc.step_size] {
            put_varint(o, n as u64);
        }
        let flags = [
            gc.stopped,
            gc.generational,
            gc.whole_steps,
            gc.sees_collector,
            self.warn_on,
        ];
        o.push(
            flags
                .iter()
                .enumerate()
                .map(|(i, &on)| (on as u8) << i)
                .sum(),
        );
        put_varint(o, gc.bytes);
        put_signed(o, gc.debt);
        let way = &self.under_way;
        let flags = [
            way.finalizing,
            way.finalizers_due,
            way.collector_suspended,
            way.handler_returned,
        ];
        o.push(
            flags
                .iter()
                .enumerate()
                .map(|(i, &on)| (on as u8) << i)
                .sum(),
        );
        put_varint(o, way.handler_overflows as u64);
        put_varint(o, self.host_calls);
        put_varint(o, self.tasks.len() as u64);
        for task in &self.tasks {
            match task {
                None => o.push(0),
                Some(task) => {
                    o.push(1 + task.stage);
                    for n in [task.root, task.current, task.depth] {
                        put_varint(o, n as u64);
                    }
                    put_varint(o, task.call);
                }
            }
        }
        let sum = check(SALT, o);
        o.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub fn read(bytes: &'a [u8]) -> Read<Meta<'a>> {
        let first = Reader::new(bytes);
        if !bytes.starts_with(MAGIC) {
            return first.bad("meta record: this is no world of Evermoon's");
        }
        if bytes
            .get(MAGIC.len())
            .is_some_and(|&v| v == 0 || v > FORMAT)
        {
            return first.bad("meta record: a newer Evermoon wrote this world; open it with that");
        }
        let mut from = Reader::new(unseal(SALT, bytes)?);
        let f = &mut from;
        f.take(MAGIC.len() + 1, "meta record")?;
        let engine = f.counted("engine")?;
        let next_id = f.u32("next object number")?;
        let globals = Stored::read(f)?;
        let registry = Stored::read(f)?;
        let main = Stored::read(f)?;
        let mut type_metatables = [Stored::Nil; TYPE_COUNT];
        for mt in &mut type_metatables {
            *mt = Stored::read(f)?;
        }
        let count = f.count("roots")?;
        let mut roots = Vec::new();
        for _ in 0..count {
            roots.push((f.counted("root")?, Stored::read(f)?));
        }
        let mut random = [0; 4];
        for n in &mut random {
            *n = u64::from_le_bytes(f.array("random generator")?);
        }
        let next_printed = f.varint("printed numbers")?;
        let (pause, step_mul, step_size) = (f.u32("pause")?, f.u32("step")?, f.u32("step")?);
        let flags = f.byte("flags")?;
        let bytes = f.varint("bytes")?;
        let debt = f.signed("debt")?;
        let way = f.byte("flags")?;
        if flags >> 5 != 0 || way >> 4 != 0 {
            return f.bad("flags");
        }
        let handler_overflows = f.u32("handlers")?;
        let host_calls = f.varint("host calls")?;
        let count = f.count("tasks")?;
        let mut tasks = Vec::new();
        for _ in 0..count {
            tasks.push(match f.byte("task")? {
                0 => None,
                n @ 1..=5 => Some(TaskRecord {
                    root: f.u32("task")?,
                    current: f.u32("task")?,
                    depth: f.u32("task")?,
                    stage: n - 1,
                    call: f.varint("task")?,
                }),
                _ => return f.bad("task"),
            });
        }
        f.end()?;
        let flag = |i: u8| flags >> i & 1 != 0;
        Ok(Meta {
            engine,
            next_id,
            globals,
            registry,
            main,
            type_metatables,
            roots,
            random,
            next_printed,
            gc: GcRecord {
                pause,
                step_mul,
                step_size,
                stopped: flag(0),
                generational: flag(1),
                whole_steps: flag(2),
                sees_collector: flag(3),
                bytes,
                debt,
            },
            warn_on: flag(4),
            under_way: UnderWay {
                finalizing: way & 1 != 0,
                finalizers_due: way & 2 != 0,
                collector_suspended: way & 4 != 0,
                handler_returned: way & 8 != 0,
                handler_overflows,
            },
            host_calls,
            tasks,
        })
    }
}
