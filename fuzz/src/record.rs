//! Records of all kinds, rows and meta records from anywhere: they are refused, or they are what the world and the snapshots may trust. No engine runs here, so
//! that very many can be tried.

use std::sync::OnceLock;

use crate::fixture::{body, fixture};
use evermoon::heap::external::{decode_key, successor};
use evermoon::persist::meta::Meta;
use evermoon::persist::record::{Record, salt, seal};
use evermoon::persist::{key, row};

/// Good bodies: of the meta record, of records, and of rows with their keys.
struct Good {
    meta: Vec<u8>,
    records: Vec<Vec<u8>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let entries = fixture();
        let of = |class: u8| entries.iter().filter(move |(k, _)| k[0] == class);
        Good {
            meta: body(key::META, &entries[key::META]).to_vec(),
            records: of(b'o')
                .chain(of(b's'))
                .map(|(k, v)| body(k, v).to_vec())
                .collect(),
            rows: of(b'x')
                .map(|(k, v)| (row::encoded(k).to_vec(), body(k, v).to_vec()))
                .collect(),
        }
    })
}

/// One execution.
pub fn one(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 7 {
        // As it is, which hardly ever gets past the check.
        0 => {
            let _ = Record::read(1, data);
            let _ = Meta::read(data);
            let _ = row::read(1, b"", data);
        }
        1 => record(data),
        2 => {
            let Some((&[low, high], edits)) = data.split_first_chunk() else {
                return;
            };
            let records = &good().records;
            let mut body =
                records[usize::from(u16::from_le_bytes([low, high])) % records.len()].clone();
            edit(&mut body, edits);
            record(&body);
        }
        3 => {
            let size = usize::from(data.first().copied().unwrap_or(0));
            let Some((encoded, value)) = data.get(1..).and_then(|d| d.split_at_checked(size))
            else {
                return;
            };
            row_of(encoded, value);
        }
        4 => {
            let Some((&[low, high], edits)) = data.split_first_chunk() else {
                return;
            };
            let rows = &good().rows;
            let (mut encoded, mut value) =
                rows[usize::from(u16::from_le_bytes([low, high])) % rows.len()].clone();
            let (one, two) = edits.split_at(edits.len() / 2);
            edit(&mut encoded, one);
            edit(&mut value, two);
            row_of(&encoded, &value);
        }
        5 => meta(&[b"EVERMOON\x01", data].concat()),
        _ => {
            let mut body = good().meta.clone();
            edit(&mut body, data);
            meta(&body);
        }
    }
}

/// Three bytes an edit: a byte becomes another, goes, or comes in.
fn edit(body: &mut Vec<u8>, edits: &[u8]) {
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[0]) | usize::from(edit[1] & 0x3f) << 8;
        let at = at % (body.len() + 1);
        match edit[1] >> 6 {
            0 | 1 if at < body.len() => body[at] = edit[2],
            2 if at < body.len() => {
                body.remove(at);
            }
            _ => body.insert(at, edit[2]),
        }
    }
}

fn record(body: &[u8]) {
    let salt = salt(7, (body.len() % 2 == 1).then_some(3));
    let mut bytes = body.to_vec();
    seal(salt, &mut bytes);
    let Ok(mut record) = Record::read(salt, &bytes) else {
        return;
    };
    let mut again = Vec::new();
    record.write(salt, &mut again);
    assert!(again == bytes, "a second encoding");
    // What walks over records does.
    let (mut references, mut contents) = (0, 0);
    record.each_content(&mut |_| contents += 1);
    record.each_reference(&mut |id| {
        references += 1;
        *id = id.wrapping_add(1).max(1);
    });
    assert!(references + contents <= bytes.len());
    let _ = record.segments();
    again.clear();
    record.write(salt, &mut again);
    assert!(Record::read(salt, &again).is_ok(), "renumbered");
}

fn row_of(encoded: &[u8], value: &[u8]) {
    if decode_key(encoded).is_some() {
        assert!(successor(encoded.to_vec()).as_slice() > encoded);
    }
    let mut bytes = value.to_vec();
    seal(row::salt(9, encoded), &mut bytes);
    if let Ok(value) = row::read(9, encoded, &bytes) {
        let mut again = Vec::new();
        row::write(9, encoded, &value, &mut again);
        assert!(again == bytes, "a second encoding");
        assert!(row::read(10, encoded, &bytes).is_err());
    }
}

fn meta(body: &[u8]) {
    let mut bytes = body.to_vec();
    seal(u64::MAX, &mut bytes);
    if let Ok(meta) = Meta::read(&bytes) {
        assert!(meta.write() == bytes, "a second encoding");
    }
}
