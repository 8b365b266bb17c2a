//! Work on a store's records as a whole, by steps: export to a snapshot and import from one, the check of every record, the mark that finds
//! garbage (`docs/abi.md`, "Jobs"). No engine takes part.
//!
//! SAFETY of the file: as in `abi.rs`: one thread, no calls back, so the table of jobs is never borrowed twice.

use crate::abi::{find, range};
use crate::inside::Inside;
use crate::pieces::Pieces;
use crate::world::{put_entry, put_write};
use evermoon::persist::care::{Walk, Walked, is_garbage};
use evermoon::persist::snapshot::{Exporter, Importer, Step};
use evermoon::persist::{Fetch, LoadError, Scanned, Source, key};

/// What a step came back for.
mod status {
    pub const DONE: u32 = 0;
    /// Take the output and go on.
    pub const MORE: u32 = 1;
    /// The output is a list of keys (entries with absent values): supply them and go on.
    pub const WAIT: u32 = 2;
    /// The output says why.
    pub const FAILED: u32 = 3;
}

enum Work {
    Export(Exporter),
    Import(Importer),
    /// A walk; `None` until its first records are here. `true` checks and names everything.
    Walk(Option<Walk>, bool),
}

struct Job {
    work: Work,
    records: Pieces,
    output: Vec<u8>,
}

static mut JOBS: Vec<Option<Job>> = Vec::new();

#[allow(static_mut_refs)]
fn jobs() -> &'static mut Vec<Option<Job>> {
    // SAFETY: see the head of this file.
    unsafe { &mut JOBS }
}

/// The job with this number, and that a call is at work on it.
fn job(number: u32) -> Option<(&'static mut Job, Inside)> {
    let inside = Inside::enter()?;
    let job = jobs()
        .get_mut((number as usize).checked_sub(1)?)?
        .as_mut()?;
    Some((job, inside))
}

/// `em_job_new(kind) -> job`: 0 export, 1 import, 2 check of every record, 3 mark. 0 for an unknown kind.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_new(kind: u32) -> u32 {
    let Some(_inside) = Inside::enter() else {
        return 0;
    };
    let work = match kind {
        0 => Work::Export(Exporter::new()),
        1 => Work::Import(Importer::new()),
        2 => Work::Walk(None, true),
        3 => Work::Walk(None, false),
        _ => return 0,
    };
    let new = Job {
        work,
        records: Pieces::default(),
        output: Vec::new(),
    };
    let all = jobs();
    let index = all.iter().position(Option::is_none).unwrap_or_else(|| {
        all.push(None);
        all.len() - 1
    });
    all[index] = Some(new);
    index as u32 + 1
}

/// `em_job_free(job)`
#[unsafe(no_mangle)]
pub extern "C" fn em_job_free(number: u32) {
    if let Some((_, _inside)) = job(number) {
        jobs()[number as usize - 1] = None;
    }
}

/// `em_job_supply(job, address, len) -> status`: records as for `em_world_supply`; for an import the next bytes of the snapshot.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_supply(number: u32, address: u32, len: u32) -> u32 {
    let (Some((job, _inside)), Some(bytes)) = (job(number), range(address, len)) else {
        return status::FAILED;
    };
    match &mut job.work {
        Work::Import(importer) => {
            let output = &mut job.output;
            output.clear();
            match importer.feed(bytes, &mut |key, value| put_write(output, 0, key, value)) {
                Ok(()) => status::MORE,
                Err(e) => job.fail(&e),
            }
        }
        _ if job.records.supply(bytes) => status::MORE,
        _ => status::FAILED,
    }
}

/// `em_job_step(job) -> status`: goes on: 0 all is done (for an import: the file has ended; the output is the last writes), 1 there is output, 2 records are
/// wanted (the output lists them, as `em_world_wanted`'s list), 3 it failed.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_step(number: u32) -> u32 {
    match job(number) {
        Some((job, _inside)) => job.step(),
        None => status::FAILED,
    }
}

/// `em_job_output(job) -> address` of the output of the last call, good until the next.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_output(number: u32) -> u32 {
    job(number).map_or(0, |(job, _inside)| job.output.as_ptr() as usize as u32)
}

/// `em_job_output_len(job) -> bytes`
#[unsafe(no_mangle)]
pub extern "C" fn em_job_output_len(number: u32) -> u32 {
    job(number).map_or(0, |(job, _inside)| job.output.len() as u32)
}

/// `em_job_progress(job, which) -> f64`: 0 objects done, 1 objects known of, 2 payload bytes.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_progress(number: u32, which: u32) -> f64 {
    let Some((job, _inside)) = job(number) else {
        return -1.0;
    };
    let (objects, known, payload) = match &job.work {
        Work::Export(e) => (
            e.progress().objects,
            e.progress().known,
            e.progress().payload,
        ),
        Work::Import(i) => (
            i.progress().objects,
            i.progress().known,
            i.progress().payload,
        ),
        Work::Walk(Some(walk), _) => (walk.objects, walk.objects, walk.bytes),
        Work::Walk(None, _) => (0, 0, 0),
    };
    match which {
        0 => objects as f64,
        1 => known as f64,
        2 => payload as f64,
        _ => -1.0,
    }
}

/// `em_job_garbage(job, engine, address, len) -> status`: of these keys (entries), those that a walk which is done has not met and that the engine that has the
/// world open (0: none) does not know either, as the output.
#[unsafe(no_mangle)]
pub extern "C" fn em_job_garbage(number: u32, user: u32, address: u32, len: u32) -> u32 {
    let (Some((job, _inside)), Some(flat)) = (job(number), range(address, len)) else {
        return status::FAILED;
    };
    let Work::Walk(Some(walk), _) = &job.work else {
        return status::FAILED;
    };
    job.output.clear();
    let mut keys = Pieces::default();
    if !keys.supply(flat) {
        return status::FAILED;
    }
    let mut user = find(user);
    for key in keys.keys().filter(|key| is_garbage(walk, key)) {
        if user.as_mut().is_some_and(|e| e.vm.world_holds(key)) {
            continue;
        }
        put_entry(&mut job.output, key, None);
    }
    status::DONE
}

/// Records, and the keys that were looked for in vain.
struct Noted<'a> {
    records: &'a mut Pieces,
    wanted: Vec<Vec<u8>>,
}

impl Source for Noted<'_> {
    fn get(&mut self, key: &[u8]) -> Fetch {
        let found = self.records.get(key);
        if matches!(found, Fetch::Later) {
            self.wanted.push(key.to_vec());
        }
        found
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        self.records.scan(from, to, limit)
    }
}

impl Job {
    fn fail(&mut self, error: &LoadError) -> u32 {
        self.output = error.to_string().into_bytes();
        status::FAILED
    }

    fn wait(&mut self, keys: &[Vec<u8>]) -> u32 {
        for key in keys {
            put_entry(&mut self.output, key, None);
        }
        self.records.put_wanted(&mut self.output);
        status::WAIT
    }

    fn step(&mut self) -> u32 {
        self.output.clear();
        let records = &mut self.records;
        match &mut self.work {
            Work::Export(exporter) => match exporter.step_over(records) {
                Ok(step) => {
                    self.output = exporter.take();
                    match step {
                        Step::Done => status::DONE,
                        Step::More => {
                            self.records.trim();
                            status::MORE
                        }
                        Step::Wait(keys) if self.output.is_empty() => self.wait(&keys),
                        // Its output first; the next step asks again.
                        Step::Wait(_) => status::MORE,
                    }
                }
                Err(e) => self.fail(&e),
            },
            Work::Import(importer) => {
                let output = &mut self.output;
                match importer.finish(&mut |key, value| put_write(output, 0, key, value)) {
                    Ok(()) => status::DONE,
                    Err(e) => self.fail(&e),
                }
            }
            Work::Walk(walk, names) => {
                let walk = match walk {
                    Some(walk) => walk,
                    None => match (records.get(key::META), records.get(key::FINALIZERS)) {
                        (Fetch::Found(meta), finalizers @ (Fetch::Found(_) | Fetch::Missing)) => {
                            let finalizers = match finalizers {
                                Fetch::Found(bytes) => bytes,
                                _ => Vec::new(),
                            };
                            match Walk::new(&meta, &finalizers, *names) {
                                Ok(new) => walk.insert(new),
                                Err(e) => return self.fail(&e),
                            }
                        }
                        (Fetch::Missing, _) => {
                            return self.fail(&LoadError::Missing(
                                "its beginning: the store holds no world".into(),
                            ));
                        }
                        _ => return self.wait(&[key::META.to_vec(), key::FINALIZERS.to_vec()]),
                    },
                };
                let mut noted = Noted {
                    records,
                    wanted: Vec::new(),
                };
                let walked = walk.step_over(&mut noted, 1024);
                let wanted = noted.wanted;
                match walked {
                    Err(e) => self.fail(&e),
                    Ok(Walked::Wait) => self.wait(&wanted),
                    Ok(Walked::Done) => {
                        for broken in &walk.broken {
                            put_entry(&mut self.output, &broken.key, Some(broken.path.as_bytes()));
                            put_entry(&mut self.output, broken.what.as_bytes(), Some(&[]));
                        }
                        status::DONE
                    }
                    Ok(_) => {
                        self.records.trim();
                        status::MORE
                    }
                }
            }
        }
    }
}
