//! Records, snapshots and worlds damaged at random, very many of them: what libFuzzer's targets of these names do, without its guidance and its cost. A panic or a hang is a finding.
//!
//! `volume FILE` runs an input again: its name begins with `volume-NAME-`.
//! `volume [record snapshot world] [--seconds N | --executions N] [--seed S]`. An input that fails is written to `volume-NAME-SEED-N`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use evermoon_fuzz::choices::Rng;
use evermoon_fuzz::{record, snapshot, world};

type Target = (&'static str, fn(&[u8]));
const TARGETS: [Target; 3] = [
    ("record", record::one),
    ("snapshot", snapshot::one),
    ("world", world::one),
];

fn main() {
    let mut names = Vec::new();
    let (mut seconds, mut executions, mut seed) = (60, u64::MAX, 1);
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let mut number = || {
            let value = given.next().and_then(|n| n.parse().ok());
            value.unwrap_or_else(|| panic!("{word} needs a number"))
        };
        match word.as_str() {
            "--seconds" => seconds = number(),
            "--executions" => (executions, seconds) = (number(), u64::MAX),
            "--seed" => seed = number(),
            _ => names.push(word),
        }
    }
    let mut failed = 0;
    for file in names.iter().filter(|name| name.contains("volume-")) {
        let input = std::fs::read(file).expect("it is there");
        for (name, one) in TARGETS {
            if file.contains(&format!("volume-{name}-")) {
                one(&input);
                println!("{file}: well");
                return;
            }
        }
    }
    for (name, one) in TARGETS {
        if names.is_empty() || names.iter().any(|word| word == name) {
            failed += run(name, one, seconds, executions, seed);
        }
    }
    std::process::exit(i32::from(failed > 0));
}

fn run(name: &str, one: fn(&[u8]), seconds: u64, executions: u64, seed: u64) -> u64 {
    let began = Instant::now();
    let mut rng = Rng::new(seed);
    let (mut count, mut failed) = (0, 0);
    let mut slowest = Duration::ZERO;
    let mut input = Vec::new();
    while count < executions && (count % 64 != 0 || began.elapsed().as_secs() < seconds) {
        make(&mut rng, &mut input);
        if name == "world" {
            // Should it be the end of the process.
            let _ = std::fs::write("volume-world-current", &input);
        }
        let start = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| one(&input))).is_err() {
            failed += 1;
            let file = format!("volume-{name}-{seed}-{count}");
            let _ = std::fs::write(&file, &input);
            println!("{name}: a panic; the input is in {file}");
            if failed == 10 {
                break;
            }
        }
        slowest = slowest.max(start.elapsed());
        count += 1;
    }
    println!(
        "{name}: {count} executions in {:.0} s, seed {seed}, the slowest {:.0} ms, {failed} findings",
        began.elapsed().as_secs_f64(),
        slowest.as_secs_f64() * 1000.0
    );
    failed
}

/// Mostly few bytes, which are few edits of something good: those get far. Low numbers, which most fields are, as often as any.
fn make(rng: &mut Rng, input: &mut Vec<u8>) {
    input.clear();
    let size = match rng.below(8) {
        0..5 => 4 + rng.below(14),
        5..7 => 4 + rng.below(60),
        _ => rng.below(400),
    };
    let low = rng.below(2) == 0;
    for at in 0..size {
        let n = rng.number();
        let byte = (n >> 32) as u8;
        input.push(if low && at > 2 && n & 3 != 0 {
            byte % 16
        } else {
            byte
        });
    }
}
