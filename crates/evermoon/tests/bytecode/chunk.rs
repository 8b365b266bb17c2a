//! The chunk format: there and back, damage, and bombs.

use evermoon::bytecode::chunk::{ChunkProblem, Limits, dump, seal, undump};
use evermoon::bytecode::instr::Instr;
use evermoon::bytecode::op::Op;
use evermoon::bytecode::proto::{Const, Proto};
use evermoon::bytecode::verify::verify;

use crate::make::body;
use crate::rng::Rng;
use crate::{make, walk};

fn back(bytes: &[u8]) -> Result<Proto, String> {
    undump(bytes, &Limits::default()).map_err(|error| error.to_string())
}

fn stripped(proto: &Proto) -> Proto {
    let mut proto = proto.clone();
    proto.source = None;
    proto.lines.clear();
    proto.locals.clear();
    proto.upvals.iter_mut().for_each(|upval| upval.name = None);
    proto.protos = proto.protos.iter().map(stripped).collect();
    proto
}

#[test]
fn any_prototype_comes_back_as_it_was() {
    for seed in 0..400 {
        let proto = make::anything(&mut Rng::new(seed), None, 3);
        let chunk = dump(&proto, false);
        assert_eq!(back(&chunk).as_ref(), Ok(&proto), "seed {seed}");
        assert_eq!(seal(&body(&chunk)), chunk, "seed {seed}");
        let bare = dump(&proto, true);
        assert_eq!(back(&bare), Ok(stripped(&proto)), "seed {seed}");
        assert_eq!(bare, dump(&stripped(&proto), false), "seed {seed}");
    }
}

#[test]
fn numbers_come_back_bit_for_bit() {
    let mut proto = make::function(&[Instr::abc(Op::RETURN0, 0, 0, 0)]);
    let ints = [0, -1, 1, 63, 64, -64, -65, i64::MAX, i64::MIN];
    let floats = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
    ];
    proto.consts = ints.map(Const::Int).to_vec();
    proto.consts.extend(floats.map(Const::Float));
    let chunk = dump(&proto, false);
    let again = back(&chunk).unwrap();
    assert_eq!(again, proto);
    assert_eq!(dump(&again, false), chunk);
    // NaN is not equal to itself, but its bytes are.
    proto.consts = vec![Const::Float(f64::from_bits(0x7FF8_0000_DEAD_BEEF))];
    let chunk = dump(&proto, false);
    assert_eq!(dump(&back(&chunk).unwrap(), false), chunk);
}

#[test]
fn a_source_name_is_stored_once() {
    let source: std::sync::Arc<[u8]> = vec![b'x'; 1000].into();
    let mut proto = Proto::default();
    for _ in 0..3 {
        proto = Proto {
            protos: vec![proto],
            source: Some(source.clone()),
            ..Proto::default()
        };
    }
    let chunk = dump(&proto, false);
    assert!(chunk.len() < 1200, "{}", chunk.len());
    let again = back(&chunk).unwrap();
    let (outer, inner) = (
        again.source.as_ref().unwrap(),
        again.protos[0].protos[0].source.as_ref().unwrap(),
    );
    assert!(
        std::sync::Arc::ptr_eq(outer, inner),
        "nested functions share the name in memory as well"
    );
}

#[test]
fn a_chunk_cut_anywhere_is_called_truncated() {
    for seed in 0..20 {
        let chunk = dump(&make::anything(&mut Rng::new(seed), None, 2), false);
        for size in 0..chunk.len() {
            let message = back(&chunk[..size]).unwrap_err();
            assert!(
                message.starts_with("bad binary format (truncated chunk) at byte "),
                "{size}: {message}"
            );
        }
    }
}

#[test]
fn a_changed_byte_is_noticed() {
    let chunk = dump(&make::anything(&mut Rng::new(7), None, 2), false);
    for at in 0..chunk.len() {
        for change in [1, 0x80] {
            let mut changed = chunk.clone();
            changed[at] ^= change;
            assert!(back(&changed).is_err(), "byte {at}");
        }
    }
    let mut longer = chunk.clone();
    longer.push(0);
    assert_eq!(
        back(&longer).unwrap_err(),
        format!(
            "bad binary format (bytes after the end of the chunk) at byte {}",
            chunk.len()
        )
    );
}

#[test]
fn what_is_wrong_with_a_head_is_said_in_the_reference_words() {
    let chunk = dump(&Proto::default(), false);
    let cases: &[(usize, &str)] = &[
        (0, "not a binary chunk"),
        (3, "not a binary chunk"),
        (4, "version mismatch"),
        (5, "format mismatch"),
        (8, "corrupted chunk"),
        (12, "Instruction size mismatch"),
        (13, "lua_Integer size mismatch"),
        (14, "lua_Number size mismatch"),
        (15, "integer format mismatch"),
        (30, "float format mismatch"),
        (
            31,
            "compiled by another Lua, whose bytecode differs: load its source instead",
        ),
        (
            44,
            "chunk format 2, this engine reads 1 to 1: load it with a newer evermoon",
        ),
        (
            45,
            "instruction set 2, this engine reads 1 to 1: load it with a newer evermoon",
        ),
        (
            chunk.len() - 1,
            "corrupted chunk: its checksum does not match",
        ),
    ];
    for &(at, expected) in cases {
        let mut changed = chunk.clone();
        changed[at] = changed[at].wrapping_add(1);
        let message = back(&changed).unwrap_err();
        assert!(
            message.starts_with(&format!("bad binary format ({expected}) at byte ")),
            "{at}: {message}"
        );
    }
}

/// Sealed bodies with random changes: past the checksum, everything is up to the decoder and the verifier.
#[test]
fn changed_bodies_are_refused_or_harmless() {
    let (mut decoded, mut verified) = (0, 0);
    for seed in 0..3000 {
        let rng = &mut Rng::new(seed);
        let mut bytes = body(&dump(&make::valid(rng, None, 2), false));
        for _ in 0..rng.between(1, 3) {
            match rng.below(5) {
                0 => bytes.truncate(rng.below(bytes.len() + 1)),
                1 => bytes.insert(rng.below(bytes.len() + 1), rng.byte()),
                2 if !bytes.is_empty() => drop(bytes.remove(rng.below(bytes.len()))),
                _ if !bytes.is_empty() => {
                    let at = rng.below(bytes.len());
                    bytes[at] = if rng.chance(2) {
                        rng.byte()
                    } else {
                        bytes[at] ^ 1 << rng.below(8)
                    };
                }
                _ => {}
            }
        }
        let chunk = seal(&bytes);
        let Ok(proto) = back(&chunk) else { continue };
        decoded += 1;
        assert_eq!(
            dump(&proto, false),
            chunk,
            "seed {seed}: one encoding for each prototype"
        );
        if verify(&proto).is_ok() {
            verified += 1;
            walk::walk(&proto, rng, 100);
        }
    }
    // So that the test keeps meaning something.
    assert!(
        decoded > 300 && verified > 100,
        "{decoded} decoded, {verified} verified"
    );
}

#[test]
fn noise_is_refused() {
    for seed in 0..2000 {
        let rng = &mut Rng::new(seed);
        let bytes: Vec<u8> = (0..rng.below(200))
            .map(|_| rng.byte() >> rng.below(8))
            .collect();
        assert!(back(&bytes).is_err());
        if let Ok(proto) = back(&seal(&bytes)) {
            assert_eq!(dump(&proto, false), seal(&bytes), "seed {seed}");
        }
    }
}

/// The fields of a function before its count of instructions.
const FUNCTION: [u8; 5] = [0, 0, 2, 0, 0];

fn problem(body: &[u8]) -> ChunkProblem {
    undump(&seal(body), &Limits::default()).unwrap_err().problem
}

#[test]
fn a_count_beyond_the_bytes_left_reserves_nothing() {
    // 2^63 instructions; 2^32 constants; 2^20 functions.
    for after in [
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..],
        &[0, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0, 0, 0, 0, 0xff, 0xff, 0x3f],
    ] {
        assert_eq!(
            problem(&[&FUNCTION, after].concat()),
            ChunkProblem::Truncated
        );
    }
}

#[test]
fn functions_that_each_promise_as_many_as_could_follow_are_refused() {
    // Each of 100 levels claims 90 nested functions where 1,000 bytes are left.
    let level = [&FUNCTION[..], &[0, 0, 0, 0, 90]].concat();
    assert_eq!(problem(&level.repeat(100)), ChunkProblem::Truncated);
}

#[test]
fn one_long_string_in_many_places_is_counted_at_each() {
    // 1 MiB once, then referred to by 1,000 constants of two bytes.
    let size = 1 << 20;
    let mut body = [&FUNCTION[..], &[0, 0xe9, 7, 5, 1, 0x80, 0x80, 0x40]].concat();
    body.resize(body.len() + size, b'x');
    body.extend([5, 2].repeat(1000));
    body.extend([0, 0, 0]);
    assert_eq!(problem(&body), ChunkProblem::Large(256 << 20));
    let roomy = Limits {
        bytes_max: 2 << 30,
        ..Limits::default()
    };
    assert_eq!(
        undump(&seal(&body), &roomy).map(|proto| proto.consts.len()),
        Ok(1001)
    );
}

#[test]
fn depth_has_a_limit() {
    let nest = |depth: usize| {
        let mut body = [&FUNCTION[..], &[0, 0, 0, 0, 1]].concat().repeat(depth - 1);
        body.extend([&FUNCTION[..], &[0, 0, 0, 0, 0]].concat());
        seal(&body)
    };
    assert!(back(&nest(200)).is_ok());
    let error = undump(&nest(201), &Limits::default()).unwrap_err();
    assert_eq!(error.problem, ChunkProblem::Deep(200));
    assert_eq!(error.code(), "chunk_deep");
    assert!(undump(&nest(100_000), &Limits::default()).is_err());
}

#[test]
fn there_is_one_form_only() {
    let rest = [0, 0, 0, 0, 0];
    let cases: &[(&str, Vec<u8>)] = &[
        (
            "a number with a needless byte",
            [&[0, 0, 2, 0x80, 0, 0][..], &rest].concat(),
        ),
        (
            "lines of no instructions",
            [&[2, 0, 2, 0, 0][..], &rest].concat(),
        ),
        (
            "the same string twice",
            [
                &FUNCTION[..],
                &[0, 2, 5, 1, 1, b'x', 5, 1, 1, b'x', 0, 0, 0],
            ]
            .concat(),
        ),
        (
            "the enclosing function's source name again",
            [
                &[8, 0, 2, 1, 1, b'x', 0, 0, 0, 0, 0, 0, 1, 8, 0, 2, 2, 0, 0][..],
                &rest,
            ]
            .concat(),
        ),
    ];
    for (what, body) in cases {
        assert!(
            matches!(problem(body), ChunkProblem::NotCanonical(_)),
            "{what}: {:?}",
            problem(body)
        );
    }
    let meaningless: &[(&str, Vec<u8>)] = &[
        (
            "an overlong number",
            [&[0, 0, 2][..], &[0xff; 9], &[2, 0], &rest].concat(),
        ),
        ("an unknown flag", [&[16, 0, 2, 0, 0][..], &rest].concat()),
        (
            "a source name from nobody",
            [&[4, 0, 2, 0, 0][..], &rest].concat(),
        ),
        ("a line below zero", [&[0, 0, 2, 0, 1][..], &rest].concat()),
        (
            "an unknown constant",
            [&FUNCTION[..], &[0, 1, 6, 0, 0, 0]].concat(),
        ),
        (
            "a string that is not there",
            [&FUNCTION[..], &[0, 1, 5, 2, 0, 0, 0]].concat(),
        ),
        (
            "a constant string that is none",
            [&FUNCTION[..], &[0, 1, 5, 0, 0, 0, 0]].concat(),
        ),
        (
            "an unknown upvalue",
            [&FUNCTION[..], &[0, 0, 1, 8, 0, 0, 0, 0]].concat(),
        ),
    ];
    for (what, body) in meaningless {
        assert!(
            matches!(problem(body), ChunkProblem::Bad(_)),
            "{what}: {:?}",
            problem(body)
        );
    }
}

#[test]
fn a_problem_says_in_which_function_it_is() {
    let good = [&FUNCTION[..], &[0, 0, 0, 0, 0]].concat();
    let outer = [&FUNCTION[..], &[0, 0, 0, 0, 2]].concat();
    let bad = [&FUNCTION[..], &[0, 1, 9, 0, 0, 0]].concat();
    let chunk = seal(&[&outer[..], &good, &bad].concat());
    let start = chunk.len() - 4 - bad.len();
    assert_eq!(
        back(&chunk).unwrap_err(),
        format!(
            "bad binary format (corrupted chunk: bad constant) at byte {} in function 2",
            start + 7
        )
    );
}
