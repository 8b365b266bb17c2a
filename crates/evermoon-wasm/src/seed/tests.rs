//! The engine without a host around it: what hosts see byte by byte is tested in Node (`packages/evermoon/test/legacy`).

use super::backend::Backend;
use super::engine::{Bounds, Seed};
use super::ids::{self, Ids};
use super::in_memory::InMemory;
use super::output::{OUTPUT_MAX, Output};
use super::response::Buffer;

fn seed(heap: usize) -> Seed {
    let bounds = Bounds {
        heap,
        string: 1 << 24,
        system: 1 << 30,
    };
    Seed::new(Box::new(InMemory::default()), 0, true, bounds).expect("there is memory")
}

/// The answer to a chunk: bytes, or the error's message.
fn run(seed: &mut Seed, code: &str) -> Result<Vec<u8>, String> {
    let mut buffer = Box::new(Buffer::new());
    let n = seed.compute(code.as_bytes(), &mut buffer);
    match usize::try_from(n) {
        Ok(n) => Ok(buffer.bytes()[..n].to_vec()),
        Err(_) => Err(String::from_utf8_lossy(&buffer.bytes()[..(-n - 1) as usize]).into_owned()),
    }
}

#[test]
fn results_and_errors() {
    let mut seed = seed(1 << 26);
    assert_eq!(run(&mut seed, "x = 1"), Ok(vec![0, 0, 0, 0, 0]));
    assert_eq!(
        run(&mut seed, "print('a') return ''"),
        Ok(b"\x02\0\0\0a\n\x04\0\0\0\0".to_vec())
    );
    assert_eq!(run(&mut seed, "return {}"), Ok(b"\0\0\0\0table".to_vec()));
    assert_eq!(run(&mut seed, "error('e', 0)"), Err("e".into()));
    assert_eq!(run(&mut seed, "error({})"), Err("Unknown error".into()));
}

#[test]
fn functions_keep_what_they_capture() {
    let mut seed = seed(1 << 26);
    let store = "local n, t = 1, {} t.t = t local function f(k) n = n + k return t.t == t and n or f end _home.f = f";
    run(&mut seed, store).unwrap();
    seed.collect();
    assert_eq!(
        run(&mut seed, "return _home.f(5) == 6 and _home.f(5) == 6"),
        Ok(b"\0\0\0\0\x01\x01".to_vec())
    );
}

#[test]
fn memory_that_runs_out_is_an_error() {
    let mut seed = seed(1 << 22);
    for _ in 0..3 {
        let message = run(&mut seed, "kept = {} for i = 1, 1e9 do kept[i] = {i} end").unwrap_err();
        assert!(message.ends_with("not enough memory"), "{message}");
        assert_eq!(
            run(&mut seed, "kept = nil return true"),
            Ok(b"\0\0\0\0\x01\x01".to_vec())
        );
    }
}

#[test]
fn output_is_cut_once() {
    let mut output = Output::default();
    output.push(&vec![b'x'; OUTPUT_MAX]);
    assert!(!output.bytes().ends_with(b"."));
    output.push(b"y");
    output.push(b"z");
    assert_eq!(output.bytes().len(), OUTPUT_MAX);
    assert!(output.bytes().ends_with(b"x..."));
}

#[test]
fn numbers_of_tables_in_use_are_skipped() {
    let mut store = InMemory::default();
    let mut ids = Ids::new(0);
    assert_eq!((ids.home, ids.io), (1, ids::IO));
    assert_eq!(ids.take(&mut store), Some(ids::FIRST));
    assert!(store.set(ids::FIRST + 1, b"k", &[1, 1]));
    assert_eq!(ids.take(&mut store), Some(ids::FIRST + 2));
    // A counter above `_io` says nothing of ours: the end of what is in use is looked for.
    for id in 0..500 {
        assert!(store.set(ids::FIRST + id * 10, b"k", &[1, 1]));
    }
    let mut ids = Ids::new(0);
    ids.sync(ids::IO + 7);
    assert!(
        ids.take(&mut store)
            .is_some_and(|id| id > ids::FIRST + 4990 && id < ids::FIRST + 8000)
    );
}
