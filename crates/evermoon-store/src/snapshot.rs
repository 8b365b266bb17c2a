//! Whole worlds to files and back (`docs/format.md`, "Snapshots"): the engine's exporter and importer over a store.
//!
//! Threads share the work: for an export one reads the store and looks records through, one (the caller's) gives numbers, one compresses; for an
//! import one reads the file and checks it, and the caller's writes the store. Memory is bounded by what is on its way between them, and by
//! the exporter's few bytes an object.
//!
//! **Reading.** A walk wants objects in its own order, and a store gives them quickly in the order of their numbers only. Numbers are given in the
//! order in which commits meet objects, so the two orders mostly agree, but need not. A walk knows the next [`WINDOW`] objects that it will
//! want, if the world is not very narrow there: these are fetched in the order of their numbers, by scans where they are neighbours, while those
//! before them are written. Where few are known, the records behind them are a good guess.
//!
//! **Writing.** Entries of one class come in ascending order, so each class is a run for the store (`redb_store/apply.rs`). Commits are relaxed
//! but for the last, which alone makes a world of what is there: an import that is interrupted leaves none.

use std::io::{Read, Write};
use std::ops::{ControlFlow, Range};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use evermoon::persist::record::{salt, unseal};
use evermoon::persist::refs::{Looked, Refs, Shape};
use evermoon::persist::snapshot::{BEGIN, Block, END, Exporter, Importer, Step};
use evermoon::persist::{Fetch, LoadError, Scanned, Source, key};

use crate::batch::Batch;
use crate::care::{OnProgress, Progress, fetch, io, lost, stopped};
use crate::store::{Durability, Scan, Store};
use crate::world::{Result, WorldError};

/// Blocks that may be on their way between the threads; pieces of a file, each of which may become a batch of several times its size.
const UNDER_WAY: usize = 4;
const PIECES_UNDER_WAY: usize = 2;

/// How many of the objects that come next are fetched at a time, and after how many bytes it is enough.
const WINDOW: usize = 2048;
const WINDOW_BYTES: usize = 4 << 20;
/// A scan passes over so many entries that are not wanted; a look-up costs about as much.
const GAP: u32 = 16;
/// With fewer known to come, those are fetched too that lie behind them: so many, as it has paid so far.
const FEW: usize = 64;
const RUN_MAX: usize = 1024;

/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 20;
/// Bytes of writes in one commit of an import.
const PORTION: u64 = 8 << 20;

/// A thread that answers each question with one answer, in their order.
struct Helper<Q, A> {
    questions: Sender<Q>,
    answers: Receiver<A>,
    under_way: usize,
}

impl<Q: Send, A: Send> Helper<Q, A> {
    fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        name: &str,
        mut answer: impl FnMut(Q) -> A + Send + 'scope,
    ) -> Result<Helper<Q, A>>
    where
        Q: 'scope,
        A: 'scope,
    {
        let (questions, asked) = channel::<Q>();
        let (tell, answers) = channel::<A>();
        let work = move || {
            for question in asked {
                if tell.send(answer(question)).is_err() {
                    break;
                }
            }
        };
        Builder::new()
            .name(format!("world-{name}"))
            .spawn_scoped(scope, work)
            .map_err(|e| lost(format!("a second thread: {e}")))?;
        Ok(Helper {
            questions,
            answers,
            under_way: 0,
        })
    }

    fn ask(&mut self, question: Q) -> Result<()> {
        self.under_way += 1;
        self.questions.send(question).map_err(|_| died())
    }

    /// The next answer, if more than so many are under way.
    fn answer(&mut self, more_than: usize) -> Result<Option<A>> {
        if self.under_way <= more_than {
            return Ok(None);
        }
        self.under_way -= 1;
        self.answers.recv().map(Some).map_err(|_| died())
    }
}

/// The thread has panicked, which the end of its scope tells in its own words.
fn died() -> WorldError {
    lost("the second thread has ended")
}

struct Records<'a>(&'a dyn Store);

impl Source for Records<'_> {
    fn get(&mut self, key: &[u8]) -> Fetch {
        fetch(self.0, key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        crate::world::scan(self.0, from, to, limit, false)
    }
}

/// Writes the world in a store as a snapshot, as of its last commit.
pub fn export(
    store: &dyn Store,
    out: &mut dyn Write,
    progress: &mut OnProgress<'_>,
) -> Result<Progress> {
    std::thread::scope(|scope| {
        let mut packer = Helper::start(scope, "pack", |block: Block| {
            let mut packed = Vec::new();
            block.pack(&mut packed);
            packed
        })?;
        let reader = match store.reader() {
            Some(store) => Some(Helper::start(scope, "read", move |asked| {
                Window::read(store.as_ref(), asked)
            })?),
            None => None,
        };
        let mut walk = ExportWalk {
            store,
            exporter: Exporter::new(),
            reader,
            here: Window::default(),
            window: WINDOW,
            run: 16,
        };
        out.write_all(BEGIN).map_err(io)?;
        loop {
            let step = walk.go()?;
            for block in walk.exporter.take_blocks() {
                packer.ask(block)?;
            }
            let may_wait = if step == Step::Done { 0 } else { UNDER_WAY };
            while let Some(packed) = packer.answer(may_wait)? {
                out.write_all(&packed).map_err(io)?;
            }
            if progress(walk.exporter.progress()).is_break() {
                return Err(stopped());
            }
            match step {
                Step::Done => break,
                Step::More => {}
                Step::Wait(_) => return Err(lost("the store answers later")),
            }
        }
        out.write_all(END).map_err(io)?;
        out.flush().map_err(io)?;
        Ok(walk.exporter.progress())
    })
}

/// Which records a window is to have.
struct Asked {
    /// In ascending order.
    ids: Vec<u32>,
    /// Behind them (or from this number on), so many more.
    from: u32,
    run: usize,
}

/// Records that have been fetched and looked through, in the order of their numbers. What is damaged or missing is not among them.
#[derive(Default)]
struct Window {
    records: Vec<Fetched>,
    bytes: Vec<u8>,
    refs: Refs,
    /// How many were asked for by number, whether all of these have been looked for, and how many have come of the run behind them.
    asked: usize,
    whole: bool,
    run: usize,
    /// The last number in it.
    last: u32,
    /// Where the record that was found last is, and how many have been found.
    at: usize,
    found: usize,
}

struct Fetched {
    id: u32,
    shape: Shape,
    body: Range<u32>,
    objects: Range<u32>,
    contents: Range<u32>,
}

impl Window {
    fn read(store: &dyn Store, asked: Asked) -> Result<Window> {
        let mut window = Window {
            asked: asked.ids.len(),
            ..Window::default()
        };
        let mut ids = asked.ids.iter().copied().peekable();
        while let Some(&first) = ids.peek() {
            let mut passed = 0;
            let from = key::object(first);
            store.visit(Scan::range(&from, None), &mut |key, record| {
                let (Some(id), Some(&want)) = (number(key), ids.peek()) else {
                    return ControlFlow::Break(());
                };
                if id < want && passed < GAP {
                    passed += 1;
                    return ControlFlow::Continue(());
                }
                if id != want {
                    return ControlFlow::Break(());
                }
                passed = 0;
                window.add(id, record);
                ids.next();
                match ids.peek() {
                    _ if window.bytes.len() > WINDOW_BYTES => ControlFlow::Break(()),
                    // (A later one is not worth a walk.)
                    Some(&next) if next - id <= 4 * GAP => ControlFlow::Continue(()),
                    _ => ControlFlow::Break(()),
                }
            })?;
            // It is not there.
            ids.next_if_eq(&first);
            if window.bytes.len() > WINDOW_BYTES && ids.peek().is_some() {
                return Ok(window);
            }
        }
        window.whole = true;
        if asked.run > 0 {
            let from = key::object(asked.from.max(window.last.saturating_add(1)));
            let scan = Scan::range(&from, None).limit(asked.run);
            store.visit(scan, &mut |key, record| {
                let Some(id) = number(key).filter(|_| window.bytes.len() < WINDOW_BYTES) else {
                    return ControlFlow::Break(());
                };
                window.run += 1;
                window.add(id, record);
                ControlFlow::Continue(())
            })?;
        }
        Ok(window)
    }

    fn add(&mut self, id: u32, record: &[u8]) {
        self.last = id;
        let ends = |w: &Window| {
            let (objects, contents) = (w.refs.objects.len(), w.refs.contents.len());
            [w.bytes.len(), objects, contents].map(|end| end as u32)
        };
        let before = ends(self);
        let Ok(body) = unseal(salt(id, None), record) else {
            return;
        };
        let Ok(shape) = self.refs.add(body) else {
            self.refs.objects.truncate(before[1] as usize);
            self.refs.contents.truncate(before[2] as usize);
            return;
        };
        self.bytes.extend_from_slice(body);
        let after = ends(self);
        self.records.push(Fetched {
            id,
            shape,
            body: before[0]..after[0],
            objects: before[1]..after[1],
            contents: before[2]..after[2],
        });
    }

    fn has(&self, id: u32) -> bool {
        self.records.binary_search_by_key(&id, |r| r.id).is_ok()
    }

    fn find(&mut self, id: u32) -> Option<Looked<'_>> {
        let next = (self.at + 1).min(self.records.len());
        let is_next = self.records.get(next).is_some_and(|r| r.id == id);
        let at = match is_next {
            true => next,
            false => self.records.binary_search_by_key(&id, |r| r.id).ok()?,
        };
        self.at = at;
        self.found += 1;
        let record = &self.records[at];
        let range = |r: &Range<u32>| r.start as usize..r.end as usize;
        Some(Looked {
            body: &self.bytes[range(&record.body)],
            shape: record.shape,
            objects: &self.refs.objects[range(&record.objects)],
            contents: &self.refs.contents[range(&record.contents)],
        })
    }
}

struct ExportWalk<'a> {
    store: &'a dyn Store,
    exporter: Exporter,
    /// Fetches the window that comes next, if the store can be read on two threads.
    reader: Option<Helper<Asked, Result<Window>>>,
    here: Window,
    /// How many records are asked for, and how many behind them.
    window: usize,
    run: usize,
}

impl ExportWalk<'_> {
    /// Goes on until blocks are full, all is done, or the window has not what comes next.
    fn go(&mut self) -> Result<Step> {
        let store = self.store;
        let source = &mut |key: &[u8]| fetch(store, key);
        let mut served = false;
        loop {
            let next = self.exporter.upcoming().next();
            let Some(next) = next else {
                break;
            };
            if self.exporter.has_blocks() {
                return Ok(Step::More);
            }
            let Some(looked) = self.here.find(next) else {
                if served {
                    return Ok(Step::More);
                }
                self.turn(next)?;
                let step = match self.here.find(next) {
                    Some(looked) => self.exporter.looked(looked, source)?,
                    // This says what is the matter with it.
                    None => match fetch(store, &key::object(next)) {
                        Fetch::Found(record) => self.exporter.object(&record, source)?,
                        Fetch::Failed(e) => return Err(LoadError::Store(e).into()),
                        _ => return Err(LoadError::Missing(format!("object {next}")).into()),
                    },
                };
                return Ok(step);
            };
            let step = self.exporter.looked(looked, source)?;
            if step != Step::More {
                return Ok(step);
            }
            served = true;
        }
        match served {
            true => Ok(Step::More),
            false => Ok(self.exporter.between(&mut Records(store))?),
        }
    }

    /// Goes over to a window that has this object, and has the one behind it fetched.
    fn turn(&mut self, next: u32) -> Result<()> {
        if self.here.run > 0 {
            let paid = self.here.found.saturating_sub(self.here.asked) * 2 >= self.here.run;
            self.run = if paid { self.run * 2 } else { self.run / 2 }.clamp(1, RUN_MAX);
        }
        self.here = Window::default();
        if let Some(reader) = &mut self.reader
            && let Some(window) = reader.answer(0)?
        {
            self.here = window?;
        }
        if self.here.find(next).is_none() {
            let asked = self.coming(0, next);
            self.here = Window::read(self.store, asked)?;
        }
        self.window = match self.here.whole {
            true => (self.window * 2).min(WINDOW),
            false => (self.window / 2).max(1),
        };
        let asked = self.coming(self.here.asked, self.here.last.saturating_add(1));
        if let Some(reader) = &mut self.reader
            && (!asked.ids.is_empty() || asked.run > 8)
        {
            reader.ask(asked)?;
        }
        Ok(())
    }

    /// What will be wanted when so many more objects have been written.
    fn coming(&self, skip: usize, from: u32) -> Asked {
        let coming = self.exporter.upcoming().skip(skip).take(self.window);
        let mut ids: Vec<u32> = match self.here.run {
            0 => coming.collect(),
            _ => coming.filter(|&id| !self.here.has(id)).collect(),
        };
        ids.sort_unstable();
        let run = if ids.len() < FEW { self.run } else { 0 };
        Asked { ids, from, run }
    }
}

/// The number in the key of an object's record.
fn number(key: &[u8]) -> Option<u32> {
    let id = key.strip_prefix(b"o")?.try_into().ok()?;
    u32::try_from(u64::from_be_bytes(id)).ok()
}

/// What has been read of a file, by classes of keys: each class ascends, so each is added in one run.
#[derive(Default)]
struct Entries {
    classes: [Batch; 4],
}

impl Entries {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        let class = match key.first() {
            Some(b'o') => 0,
            Some(b's') => 1,
            Some(b'x') => 2,
            _ => 3,
        };
        self.classes[class].put(key, value);
    }

    fn payload_bytes(&self) -> u64 {
        self.classes.iter().map(Batch::payload_bytes).sum()
    }

    /// All of them, class by class; none are left.
    fn take(&mut self) -> Batch {
        let [objects, rest @ ..] = &mut self.classes;
        let mut batch = std::mem::take(objects);
        for class in rest {
            batch.append(class);
        }
        batch
    }
}

/// Reads a snapshot into a store, which must be empty. Only the last commit makes a world of it: one that is interrupted leaves none.
pub fn import(
    store: &mut dyn Store,
    input: &mut dyn Read,
    progress: &mut OnProgress<'_>,
) -> Result<Progress> {
    let epoch = store.lease()?;
    let mut version = store.head()?.version;
    if store.read(key::META, &mut |_| {})? {
        return Err(lost(
            "the store holds a world already; import into an empty one",
        ));
    }
    // What an interrupted import has left.
    let mut rest = Batch::new();
    rest.delete_range([], None);
    version = store.commit(version, epoch, &rest, Durability::Relaxed)?;
    std::thread::scope(|scope| {
        let mut importer = Importer::new();
        let mut entries = Entries::default();
        // Pieces of the file to batches that are large enough, or everything at the file's end.
        let mut reader = Helper::start(scope, "check", move |piece: Option<Vec<u8>>| {
            let batch = match piece {
                Some(piece) => {
                    importer.feed(&piece, &mut |key, value| entries.put(key, value))?;
                    (entries.payload_bytes() >= PORTION).then(|| entries.take())
                }
                None => {
                    importer.finish(&mut |key, value| entries.put(key, value))?;
                    Some(entries.take())
                }
            };
            Ok::<_, LoadError>((batch, importer.progress()))
        })?;
        let mut at_end = false;
        let mut now = Progress::default();
        loop {
            while !at_end && reader.under_way < PIECES_UNDER_WAY {
                let mut piece = Vec::with_capacity(PIECE);
                let read = input.take(PIECE as u64).read_to_end(&mut piece);
                at_end = read.map_err(io)? == 0;
                reader.ask((!at_end).then_some(piece))?;
            }
            let Some(answer) = reader.answer(0)? else {
                return Ok(now);
            };
            let batch;
            (batch, now) = answer?;
            if let Some(batch) = batch {
                let last = at_end && reader.under_way == 0;
                let durability = if last {
                    Durability::Durable
                } else {
                    Durability::Relaxed
                };
                version = store.commit(version, epoch, &batch, durability)?;
            }
            if progress(now).is_break() {
                return Err(stopped());
            }
        }
    })
}
