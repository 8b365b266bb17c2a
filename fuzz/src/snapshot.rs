//! Snapshots from anywhere: their frame, their blocks, and the entries in blocks whose surroundings are good. They are refused, or they give a store that can be
//! walked and written again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::OnceLock;

use crate::fixture::{self, FIXTURE, Map, export, import_in_pieces};
use evermoon::persist::bytes::put_varint;
use evermoon::persist::care::{Walk, Walked};
use evermoon::persist::key;
use evermoon::persist::record::{check, salt, seal};
use evermoon::persist::row;

/// The fixture's entries: kind and bytes, checks taken off.
fn good() -> &'static Vec<(u8, Vec<u8>)> {
    static GOOD: OnceLock<Vec<(u8, Vec<u8>)>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let mut all = Vec::new();
        let mut file = &FIXTURE[8..];
        while let Some((head, rest)) = file.split_first_chunk::<12>() {
            let word = |i: usize| {
                u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]) as usize
            };
            if word(0) == 0 {
                break;
            }
            let block = lz4_flex::block::decompress(&rest[..word(0)], word(4))
                .expect("the fixture is whole");
            file = &rest[word(0)..];
            let mut from = evermoon::persist::bytes::Reader::new(&block);
            while from.left() > 0 {
                let kind = from.byte("kind").expect("the fixture is whole");
                if kind == b'e' {
                    break;
                }
                let bytes = from.counted("entry").expect("the fixture is whole");
                let bytes = match kind {
                    b'm' | b'o' | b's' | b'x' => &bytes[..bytes.len() - 4],
                    _ => bytes,
                };
                all.push((kind, bytes.to_vec()));
            }
        }
        all
    })
}

/// One execution.
pub fn one(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 5 {
        // As it is.
        0 => import(data, kind),
        // One block with a good head, whose packed bytes are these.
        1 => {
            let mut file = b"EVMSNAP\x01".to_vec();
            let size = usize::from(data.first().copied().unwrap_or(0)) * 64;
            file.extend_from_slice(&(data.len() as u32).to_le_bytes());
            file.extend_from_slice(&(size as u32).to_le_bytes());
            let sum = lz4_flex::block::decompress(data, size).map_or(0, |block| check(0, &block));
            file.extend_from_slice(&sum.to_le_bytes());
            file.extend_from_slice(data);
            file.extend_from_slice(&[0; 12]);
            import(&file, kind);
        }
        // Entries as the bytes say: kind, size (two bytes), bytes. Their checks are made to hold.
        2 => {
            let mut entries = Vec::new();
            let mut rest = data;
            while let Some((&[kind, low, high], more)) = rest.split_first_chunk::<3>() {
                let size = usize::from(u16::from_le_bytes([low, high % 4])).min(more.len());
                let kind = b"mlfosxpb"[usize::from(kind) % 8];
                entries.push((kind, more[..size].to_vec()));
                rest = &more[size..];
            }
            import(&file_of(&entries), kind);
        }
        // Edits of a few of the good ones: a run of entries, the meta record before them.
        _ => {
            let Some((&[low, high, count], edits)) = data.split_first_chunk() else {
                return;
            };
            let from = usize::from(u16::from_le_bytes([low, high])) % good().len();
            let mut entries = vec![good()[0].clone()];
            entries.extend(
                good()
                    .iter()
                    .skip(from.max(1))
                    .take(usize::from(count % 16))
                    .cloned(),
            );
            for edit in edits.chunks_exact(4) {
                let n = usize::from(edit[0]) % entries.len();
                let at = usize::from(u16::from_le_bytes([edit[1], edit[2] & 0x0f]));
                let action = edit[2] >> 4;
                let size = entries[n].1.len();
                match action {
                    0..8 if size > 0 => entries[n].1[at % size] = edit[3],
                    8 if size > 0 => entries[n].1.truncate(at % size),
                    9 => entries[n].1.insert(at % (size + 1), edit[3]),
                    10 => entries[n].0 = b"mlfosxpb"[usize::from(edit[3]) % 8],
                    11 => entries.swap(n, 0),
                    12 if n > 0 => {
                        entries.remove(n);
                    }
                    13 if entries.len() < 40 => {
                        let copy = entries[n].clone();
                        entries.push(copy);
                    }
                    14 if size > 0 => {
                        entries[n].1.remove(at % size);
                    }
                    _ => {}
                }
            }
            import(&file_of(&entries), kind);
        }
    }
}

/// A file of these entries, all checks holding.
fn file_of(entries: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut objects = 0u32;
    for (kind, body) in entries {
        let mut bytes = body.clone();
        match kind {
            b'm' => seal(u64::MAX, &mut bytes),
            b'o' => {
                objects += 1;
                seal(salt(objects, None), &mut bytes);
            }
            b's' if body.len() >= 4 => {
                let index = u32::from_le_bytes([body[0], body[1], body[2], body[3]]);
                let sum = check(salt(objects, Some(index)), &body[4..]);
                bytes.extend_from_slice(&sum.to_le_bytes());
            }
            b'x' => {
                let mut from = evermoon::persist::bytes::Reader::new(body);
                let encoded = from.counted("key").unwrap_or(&[]);
                let sum = check(row::salt(objects, encoded), &body[from.at()..]);
                bytes.extend_from_slice(&sum.to_le_bytes());
            }
            _ => {}
        }
        block.push(*kind);
        put_varint(&mut block, bytes.len() as u64);
        block.extend_from_slice(&bytes);
    }
    block.push(b'e');
    put_varint(&mut block, objects.into());
    let packed = lz4_flex::block::compress(&block);
    let mut file = b"EVMSNAP\x01".to_vec();
    file.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    file.extend_from_slice(&(block.len() as u32).to_le_bytes());
    file.extend_from_slice(&check(0, &block).to_le_bytes());
    file.extend_from_slice(&packed);
    file.extend_from_slice(&[0; 12]);
    file
}

fn import(file: &[u8], how: u8) {
    let piece = match how / 5 % 3 {
        0 => file.len().max(1),
        1 => 7,
        _ => 100,
    };
    let Ok(entries) = import_in_pieces(file, piece) else {
        return;
    };
    let (meta, finalizers) = (
        entries[key::META].clone(),
        entries.get(key::FINALIZERS).cloned(),
    );
    let mut map = Map(Rc::new(RefCell::new(entries)));
    let Ok(mut walk) = Walk::new(
        &meta,
        &finalizers.unwrap_or_default(),
        how.is_multiple_of(2),
    ) else {
        return;
    };
    loop {
        match walk.step_over(&mut map, 100) {
            Ok(Walked::Done) => break,
            Ok(Walked::More) => {}
            Ok(Walked::Wait) => panic!("a map answers at once"),
            Err(_) => return,
        }
    }
    let exported = export(&mut map);
    if walk.broken.is_empty() && how.is_multiple_of(2) {
        // What the walk calls whole can be written, and what was written is read again and written alike.
        let file = exported.expect("it is whole");
        let entries = fixture::import(&file).expect("it is whole");
        let again = export(&mut Map(Rc::new(RefCell::new(entries)))).expect("it is whole");
        assert!(again == file, "equal worlds, equal bytes");
    }
}
