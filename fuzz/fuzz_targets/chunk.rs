//! Chunks from anywhere: they are refused, or they are what the interpreter may trust.
#![no_main]

use evermoon::bytecode::chunk::{Limits, dump, seal, undump};
use evermoon::bytecode::verify::verify;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/evermoon/tests/bytecode/make.rs"]
#[allow(dead_code)]
mod make;
#[path = "../../crates/evermoon/tests/bytecode/rng.rs"]
mod rng;
#[path = "../../crates/evermoon/tests/bytecode/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        // As it is, which hardly ever gets past the checksum.
        0 => check(data),
        // As a body, whose surroundings are good.
        1 => check(&seal(data)),
        // As edits of a good body: the first two bytes choose it, then each three say where and what.
        _ => {
            let Some((&[low, high], edits)) = data.split_first_chunk() else {
                return;
            };
            let good = make::valid(
                &mut rng::Rng::new(u16::from_le_bytes([low, high]).into()),
                None,
                2,
            );
            let mut body = make::body(&dump(&good, false));
            for edit in edits.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % body.len();
                body[at] = edit[2];
            }
            check(&seal(&body));
        }
    }
});

fn check(chunk: &[u8]) {
    // Small, so that what goes beyond it is found as slowness or as a refusal and not as the end of this machine.
    let limits = Limits {
        bytes_max: 16 << 20,
        ..Limits::default()
    };
    let Ok(proto) = undump(chunk, &limits) else {
        return;
    };
    assert!(dump(&proto, false) == chunk, "a second encoding");
    if verify(&proto).is_ok() {
        walk::walk(&proto, &mut rng::Rng::new(chunk.len() as u64), 200);
    }
}
