//! Counts what passed and what failed, prints a line for each, and closes with the line that people and CI look for:
//! `N passed, N failed`.

use std::time::Duration;

/// Passed and failed so far.
#[derive(Default, Debug)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    /// The names of what failed, repeated at the end, where one looks first.
    failures: Vec<String>,
    /// What could not be run here, with reasons.
    skipped: Vec<String>,
}

impl Tally {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one thing and prints its line. An error is shown indented below it.
    pub fn record(&mut self, name: &str, took: Duration, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.passed += 1;
                println!("ok      {name} ({:.2} s)", took.as_secs_f64());
            }
            Err(why) => {
                self.fail(name);
                println!("FAILED  {name} ({:.2} s)", took.as_secs_f64());
                for line in why.lines() {
                    println!("        {line}");
                }
            }
        }
    }

    /// As `record`, but a pass is silent: for lists of many quick things.
    pub fn record_quietly(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(_) => self.record(name, Duration::ZERO, result),
        }
    }

    /// Counts a failure whose details are already on the screen.
    pub fn fail(&mut self, name: &str) {
        self.failed += 1;
        self.failures.push(name.to_owned());
    }

    /// Counts something that cannot be run here, and says why.
    pub fn skip(&mut self, name: &str, why: &str) {
        println!("skipped {name}: {why}");
        self.skipped.push(format!("{name}: {why}"));
    }

    /// Takes over what a part has counted.
    pub fn add(&mut self, part: Tally) {
        self.passed += part.passed;
        self.failed += part.failed;
        self.failures.extend(part.failures);
        self.skipped.extend(part.skipped);
    }

    /// The closing line, and whether all is well.
    pub fn close(self) -> bool {
        for name in &self.failures {
            println!("failed: {name}");
        }
        for what in &self.skipped {
            println!("skipped: {what}");
        }
        let skipped = match self.skipped.len() {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        println!("{} passed, {} failed{skipped}", self.passed, self.failed);
        self.failed == 0
    }
}
