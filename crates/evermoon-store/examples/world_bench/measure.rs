//! Clocks and memory, and parts of the benchmark that need a process of their own: this program starts itself with the part's name, and the part
//! answers with one line of numbers.

use std::process::Command;
use std::time::Instant;

/// Wall and processor seconds since it was made.
pub struct Watch {
    wall: Instant,
    cpu: f64,
}

impl Watch {
    pub fn start() -> Watch {
        Watch {
            wall: Instant::now(),
            cpu: cpu(),
        }
    }
    pub fn wall(&self) -> f64 {
        self.wall.elapsed().as_secs_f64()
    }
    /// Of all threads, the kernel's part included; in hundredths of a second.
    pub fn cpu(&self) -> f64 {
        cpu() - self.cpu
    }
}

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// The most memory that this process has had, in MiB.
pub fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// The middle one.
pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Runs a part in a process of its own; its numbers.
pub fn part(name: &str, args: &[&str]) -> Vec<f64> {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .arg(name)
        .args(args)
        .output()
        .expect("it starts");
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .map(|n| n.parse().expect("a number"))
        .collect()
}

/// What a part answers.
pub fn answer(numbers: &[f64]) {
    for n in numbers {
        print!("{n} ");
    }
    println!();
}
