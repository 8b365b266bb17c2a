//! A whole world to edit: the fixture of `tests/worlds`, read from its snapshot into a map as a store would hold it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use evermoon::persist::record::{salt, seal};
use evermoon::persist::snapshot::{Exporter, Importer, Step};
use evermoon::persist::{Backing, Delta, Fetch, LoadError, Scanned, Source, Write, row};

/// What a store holds.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The snapshot of a world with one of everything.
pub const FIXTURE: &[u8] = include_bytes!("../../tests/worlds/format1.snapshot");

/// The fixture's entries.
pub fn fixture() -> Entries {
    import(FIXTURE).expect("the fixture is whole")
}

/// A snapshot's entries.
pub fn import(file: &[u8]) -> Result<Entries, LoadError> {
    import_in_pieces(file, file.len().max(1))
}

/// The same for a file that comes so many bytes at a time.
pub fn import_in_pieces(file: &[u8], piece: usize) -> Result<Entries, LoadError> {
    let mut entries = Entries::new();
    let mut put = |key: &[u8], value: &[u8]| drop(entries.insert(key.to_vec(), value.to_vec()));
    let mut importer = Importer::new();
    for piece in file.chunks(piece) {
        importer.feed(piece, &mut put)?;
    }
    importer.finish(&mut put)?;
    Ok(entries)
}

pub fn apply(entries: &mut Entries, delta: &Delta) {
    for write in &delta.writes {
        match write {
            Write::Put(key, value) => {
                entries.insert(key.clone(), value.clone());
            }
            Write::Delete(key) => {
                entries.remove(key);
            }
            Write::DeleteRange(from, to) => entries.retain(|key, _| key < from || key >= to),
        }
    }
}

/// What the check of the entry under a key is bound to; `None` for entries that have none.
pub fn salt_of(key: &[u8]) -> Option<u64> {
    let id = || Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?) as u32);
    match key.first()? {
        b'm' if key.len() == 1 => Some(u64::MAX),
        b'o' => Some(salt(id()?, None)),
        b's' => Some(salt(
            id()?,
            Some(u32::from_be_bytes(key.get(9..13)?.try_into().ok()?)),
        )),
        b'x' => Some(row::salt(id()?, row::encoded(key))),
        _ => None,
    }
}

/// Bytes with the check that belongs under the key.
pub fn sealed(key: &[u8], mut body: Vec<u8>) -> Vec<u8> {
    if let Some(salt) = salt_of(key) {
        seal(salt, &mut body);
    }
    body
}

/// The bytes under a key without their check.
pub fn body<'a>(key: &[u8], bytes: &'a [u8]) -> &'a [u8] {
    match salt_of(key) {
        Some(_) => &bytes[..bytes.len().saturating_sub(4)],
        None => bytes,
    }
}

/// A map that is read as a store is.
pub struct Map(pub Rc<RefCell<Entries>>);

impl Map {
    fn entries(&self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        if from >= to {
            return Scanned::Entries(Vec::new());
        }
        let entries = self.0.borrow();
        let range = entries.range(from.to_vec()..to.to_vec());
        let own = |(k, v): (&Vec<u8>, &Vec<u8>)| (k.clone(), v.clone());
        Scanned::Entries(if reverse {
            range.rev().take(limit).map(own).collect()
        } else {
            range.take(limit).map(own).collect()
        })
    }
    fn find(&self, key: &[u8]) -> Fetch {
        match self.0.borrow().get(key) {
            Some(value) => Fetch::Found(value.clone()),
            None => Fetch::Missing,
        }
    }
}

impl Source for Map {
    fn get(&mut self, key: &[u8]) -> Fetch {
        self.find(key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize) -> Scanned {
        self.entries(from, to, limit, false)
    }
}

impl Backing for Map {
    fn get(&mut self, key: &[u8]) -> Fetch {
        self.find(key)
    }
    fn scan(&mut self, from: &[u8], to: &[u8], limit: usize, reverse: bool) -> Scanned {
        self.entries(from, to, limit, reverse)
    }
    fn can_scan(&self) -> bool {
        true
    }
}

/// The world's snapshot, or why there is none.
pub fn export(map: &mut Map) -> Result<Vec<u8>, String> {
    let mut exporter = Exporter::new();
    let mut out = Vec::new();
    loop {
        let step = exporter.step_over(map).map_err(|e| e.to_string())?;
        out.append(&mut exporter.take());
        match step {
            Step::Done => return Ok(out),
            Step::More => {}
            Step::Wait(_) => panic!("a map answers at once"),
        }
    }
}
