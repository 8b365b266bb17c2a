//! Programs from anywhere, run: they end, fail, or run out of fuel or memory; and they do the same whenever the collector
//! works.
#![no_main]

use evermoon_fuzz::choices::{Choices, hash};
use evermoon_fuzz::engine::{End, Engine, Leash};
use evermoon_fuzz::{program, tokens};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // A text does not begin with a control character: it needs no mark to be one, so that program files are seeds.
    match data {
        [0, rest @ ..] => check(tokens::source(rest).as_bytes(), data),
        [1, rest @ ..] => check(
            program::make(&mut Choices::from_bytes(rest)).as_bytes(),
            data,
        ),
        _ => check(data, data),
    }
});

fn check(source: &[u8], data: &[u8]) {
    let hash = hash(data);
    let mut leash = Leash::default();
    match hash >> 8 & 15 {
        // Little memory, which runs out anywhere.
        0 | 1 => leash.bytes_max = 80_000 + (hash >> 16 & 0xffff) as usize,
        2 | 3 => {
            leash.stress = true;
            leash.fuel = 30_000;
        }
        // Short slices, which end anywhere.
        4 | 5 => leash.slice = 1 + (hash >> 16 & 15) as u32,
        _ => {}
    }
    let mut engine = Engine::new(&leash);
    if engine.run(source, "=p", &[1, 2]) != End::OutOfFuel {
        engine.check_usable();
    } else {
        engine.vm.collect();
    }
}
