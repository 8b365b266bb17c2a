//! Source from anywhere: it is refused with a message, or what comes of it is what the interpreter may trust.
#![no_main]

use evermoon::bytecode::chunk::{self, dump, undump};
use evermoon::bytecode::verify::verify;
use evermoon::compile::compile;
use evermoon::syntax::parser::{Limits, parse};
use evermoon_fuzz::tokens;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/evermoon/tests/bytecode/program.rs"]
mod program;
#[allow(dead_code)]
#[path = "../../crates/evermoon/tests/bytecode/rng.rs"]
mod rng;
#[path = "../../crates/evermoon/tests/bytecode/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => check(data),
        1 => check(tokens::source(data).as_bytes()),
        _ => {
            let mut seed = [0; 8];
            let size = data.len().min(8);
            seed[..size].copy_from_slice(&data[..size]);
            let source = program::program(&mut rng::Rng::new(u64::from_le_bytes(seed) >> 1));
            check(source.as_bytes());
        }
    }
});

fn check(source: &[u8]) {
    let limits = Limits {
        memory: 64 << 20,
        ..Limits::default()
    };
    let tree = parse(source, &limits);
    let Ok(proto) = tree.and_then(|tree| compile(&tree, b"=source".as_slice().into())) else {
        return;
    };
    if let Err(error) = verify(&proto) {
        panic!("{error}");
    }
    walk::walk(&proto, &mut rng::Rng::new(source.len() as u64), 100);
    let bytes = dump(&proto, false);
    let again = undump(&bytes, &chunk::Limits::default()).expect("a chunk of ours is read");
    assert!(dump(&again, false) == bytes);
    assert!(
        verify(
            &undump(&dump(&proto, true), &chunk::Limits::default()).expect("a stripped one too")
        )
        .is_ok()
    );
}
