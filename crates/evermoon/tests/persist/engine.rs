//! An engine with a world in a map, for tests: it can commit, let go, roll back, and be opened anew from the map.

use evermoon::persist::snapshot::{Exporter, Step};
use evermoon::persist::{Backing, Fetch, LoadError, PersistError, Scanned, Source, Write};
use evermoon::stdlib::{self, load};
use evermoon::syntax::parser::skip_shebang;
use evermoon::vm::host::{Host, HostError, HostResult};
use evermoon::vm::{Exit, Limits, Vm};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

pub type Map = Rc<RefCell<BTreeMap<Vec<u8>, Vec<u8>>>>;

/// What a late store has been asked for: it answers the second time.
type Asked = Rc<RefCell<HashSet<Vec<u8>>>>;

struct MapBacking(Map, Option<Asked>);

impl MapBacking {
    fn is_late(&self, question: &[u8]) -> bool {
        match &self.1 {
            Some(asked) => asked.borrow_mut().insert(question.to_vec()),
            None => false,
        }
    }
}

impl Source for MapBacking {
    fn get(&mut self, key: &[u8]) -> Fetch {
        Backing::get(self, key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        Backing::scan(self, from, to, limit, false)
    }
}

impl Backing for MapBacking {
    fn get(&mut self, key: &[u8]) -> Fetch {
        if self.is_late(key) {
            return Fetch::Later;
        }
        match self.0.borrow().get(key) {
            Some(value) => Fetch::Found(value.clone()),
            None => Fetch::Missing,
        }
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        if from >= to {
            return Scanned::Entries(Vec::new());
        }
        if self.is_late(&[from, to, &[reverse as u8]].concat()) {
            return Scanned::Later;
        }
        let map = self.0.borrow();
        let range = map.range(from.to_vec()..to.to_vec());
        let own = |(k, v): (&Vec<u8>, &Vec<u8>)| (k.clone(), v.clone());
        Scanned::Entries(if reverse {
            range.rev().take(limit).map(own).collect()
        } else {
            range.take(limit).map(own).collect()
        })
    }
    fn can_scan(&self) -> bool {
        true
    }
    fn may_wait(&self) -> bool {
        self.1.is_some()
    }
}

/// A folder whose files programs may read.
#[derive(Clone, Default)]
pub struct Files(pub Option<std::path::PathBuf>);

struct Output(Rc<RefCell<Vec<u8>>>, Files);

impl Host for Output {
    fn print(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
    fn report(&mut self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
    fn read_file(&mut self, path: Option<&[u8]>) -> HostResult<Vec<u8>> {
        let dir = self.1.0.as_ref().ok_or_else(HostError::unsupported)?;
        let name = String::from_utf8_lossy(path.unwrap_or(b"")).into_owned();
        let path = dir.join(name.trim_start_matches("./"));
        std::fs::read(path).map_err(|_| HostError::unsupported())
    }
    fn clock(&mut self) -> Option<f64> {
        Some(0.0)
    }
    fn time(&mut self) -> Option<i64> {
        Some(1_700_000_000)
    }
}

/// How a task ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    Done,
    Failed(String),
}

pub struct Engine {
    pub vm: Vm,
    pub map: Map,
    pub output: Rc<RefCell<Vec<u8>>>,
    files: Files,
    slice: u32,
    asked: Option<Asked>,
}

impl Engine {
    pub fn new(slice: u32) -> Engine {
        Engine::with_files(slice, Files::default())
    }

    pub fn with_files(slice: u32, files: Files) -> Engine {
        Engine::over(Map::default(), Rc::default(), files, slice, None)
    }

    /// The same world over a store that answers later, each time that something is asked for after a commit.
    pub fn over_a_late_store(mut self) -> Engine {
        self.asked = Some(Asked::default());
        self.reopen()
    }

    fn over(
        map: Map,
        output: Rc<RefCell<Vec<u8>>>,
        files: Files,
        slice: u32,
        asked: Option<Asked>,
    ) -> Engine {
        let mut vm = Vm::new(Limits {
            slice,
            ..Limits::default()
        });
        vm.host = Box::new(Output(output.clone(), files.clone()));
        stdlib::open(&mut vm).expect("the libraries open");
        stdlib::open_os_io(&mut vm).expect("the libraries open");
        stdlib::traceback_handler(&mut vm);
        stdlib::ext::open(&mut vm).expect("the library opens");
        let backing = || Box::new(MapBacking(map.clone(), asked.clone()));
        loop {
            match vm.open_world(backing(), vec![stdlib::io::codec()]) {
                Err(LoadError::Later) => {}
                opened => {
                    opened.expect("the world opens");
                    break;
                }
            }
        }
        Engine {
            vm,
            map,
            output,
            files,
            slice,
            asked,
        }
    }

    /// The world in a new engine.
    pub fn reopen(self) -> Engine {
        let Engine {
            vm,
            map,
            output,
            files,
            slice,
            asked,
        } = self;
        drop(vm);
        Engine::over(map, output, files, slice, asked)
    }

    pub fn commit(&mut self) -> Result<usize, PersistError> {
        let delta = self.vm.world_delta()?;
        let mut map = self.map.borrow_mut();
        for write in &delta.writes {
            match write {
                Write::Put(key, value) => {
                    map.insert(key.clone(), value.clone());
                }
                Write::Delete(key) => {
                    map.remove(key);
                }
                Write::DeleteRange(from, to) => {
                    map.retain(|key, _| key < from || key >= to);
                }
            }
        }
        drop(map);
        self.vm.world_committed();
        if let Some(asked) = &self.asked {
            asked.borrow_mut().clear();
        }
        Ok(delta.bytes)
    }

    /// The snapshot of what was committed last.
    pub fn snapshot(&self) -> Result<Vec<u8>, String> {
        let mut exporter = Exporter::new();
        let mut source = MapBacking(self.map.clone(), None);
        let mut out = Vec::new();
        loop {
            let step = exporter.step_over(&mut source).map_err(|e| e.to_string())?;
            out.append(&mut exporter.take());
            if step == Step::Done {
                return Ok(out);
            }
        }
    }

    /// A task that will run this program; or why it does not compile.
    pub fn start(&mut self, source: &[u8], name: &str) -> Result<usize, String> {
        let env = evermoon::heap::value::Value::table(self.vm.globals);
        let chunk = load::load(
            &mut self.vm,
            skip_shebang(source),
            name.as_bytes(),
            load::Mode(b"t"),
            env,
        )
        .expect("memory");
        let function = chunk.map_err(|message| String::from_utf8_lossy(&message).into_owned())?;
        Ok(self
            .vm
            .new_task(function, &[], None, false)
            .expect("memory"))
    }

    /// One slice of a task, waiting for the store as often as need be; `None` while the task has not ended.
    pub fn step(&mut self, task: usize) -> Option<Ended> {
        for _ in 0..1_000_000 {
            match self.vm.run_task(task, 1).expect("the task exists") {
                Exit::Fault => {}
                Exit::Done => return Some(Ended::Done),
                Exit::Failed => {
                    let mut text = Vec::new();
                    let error = self.vm.error;
                    self.vm.display(error, &mut text);
                    return Some(Ended::Failed(String::from_utf8_lossy(&text).into_owned()));
                }
                Exit::Slice => return None,
                exit => panic!("{exit:?}"),
            }
        }
        panic!("it waits for ever");
    }

    /// Runs a program to its end; what it printed.
    pub fn run(&mut self, source: &str) -> String {
        let task = self.start(source.as_bytes(), "=test").expect("it compiles");
        self.output.borrow_mut().clear();
        let ended = loop {
            if let Some(ended) = self.step(task) {
                break ended;
            }
        };
        let text = String::from_utf8_lossy(&self.output.borrow()).into_owned();
        match ended {
            Ended::Done => text,
            Ended::Failed(message) => format!("{text}error: {message}\n"),
        }
    }
}
