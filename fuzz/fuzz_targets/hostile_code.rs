//! Compiled code changed by hand: what the verifier still accepts is run, and may do anything but harm.
#![no_main]

use evermoon::bytecode::chunk::dump;
use evermoon::bytecode::proto::Proto;
use evermoon::compile::compile;
use evermoon::syntax::parser::{self, parse};
use evermoon_fuzz::choices::{Choices, hash};
use evermoon_fuzz::engine::{End, Engine, Leash};
use evermoon_fuzz::{edit, program, tokens};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/evermoon/tests/bytecode/make.rs"]
#[allow(dead_code)]
mod make;
#[path = "../../crates/evermoon/tests/bytecode/rng.rs"]
mod rng;

fuzz_target!(|data: &[u8]| {
    let hash = hash(data);
    match data {
        // Made code: two bytes choose it, the rest is edits.
        [0, low, high, rest @ ..] => {
            let seed = u16::from_le_bytes([*low, *high]);
            let proto = make::valid(&mut rng::Rng::new(seed.into()), None, 2);
            check(proto, &mut Choices::from_bytes(rest), hash);
        }
        // A made program, and edits from the same bytes.
        [1, rest @ ..] => {
            let mut choices = Choices::from_bytes(rest);
            let source = program::make(&mut choices);
            compiled(source.as_bytes(), &mut choices, hash);
        }
        [2, rest @ ..] => {
            let (edits, rest) = rest.split_at(rest.len() / 2);
            let source = tokens::source(rest);
            compiled(source.as_bytes(), &mut Choices::from_bytes(edits), hash);
        }
        // A text: the edits come from all of it.
        _ => compiled(data, &mut Choices::from_seed(hash), hash),
    }
});

fn compiled(source: &[u8], choices: &mut Choices, hash: u64) {
    let tree = parse(source, &parser::Limits::default());
    if let Ok(proto) = tree.and_then(|tree| compile(&tree, b"=p".as_slice().into())) {
        check(proto, choices, hash);
    }
}

fn check(mut proto: Proto, choices: &mut Choices, hash: u64) {
    edit::edit(&mut proto, choices, 12);
    let leash = Leash {
        fuel: if hash & 1 == 0 { 30_000 } else { 100_000 },
        // Whatever dangles is found when everything dead is freed at once.
        stress: hash & 1 == 0,
        ..Leash::default()
    };
    let mut engine = Engine::new(&leash);
    let end = engine.run(&dump(&proto, false), "=p", &[1, 2, 3]);
    assert!(!matches!(end, End::Refused(_)), "{end:?}");
    if end != End::OutOfFuel {
        engine.check_usable();
    } else {
        engine.vm.collect();
    }
}
