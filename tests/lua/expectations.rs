//! What a program of `tests/lua` says about itself, in comments, and whether a run kept to it.
//!
//! ```lua
//! -- What this shows.
//! print(1 + 1)       --> 2
//! print("a\nb")      --> a
//! --> b
//! error("no", 0)     --! no
//! ```
//!
//! - `--> text`: the next line of standard output is exactly `text`. Every line that is printed has its own.
//! - `--! text`: the program ends with an error, and what `lua` writes to standard error has `text` in one of its
//!   lines; several are looked for in order. Without any, the program must end well.
//!
//! Notes stand in the comment lines at the top:
//! - `-- evermoon-only: reason`: the reference does otherwise, rightly or because it cannot; it is not asked.
//! - `-- reference: 5.4.8`: an older reference does otherwise; only one of that version is asked.
//! - `-- needs: host`: uses `os`, `io` (but for what writes), `require` of files or the command (which is the `[C]` at the end of a
//!   traceback); a bare engine cannot run it.
//! - `-- watches: collector`: sees what the collector does, and need not print the same when it is made to run at
//!   other times.
//!
//! This file knows nothing but text, so that the command's runner (`xtask`) and a test of the engine crate can both
//! have it as a module: `#[path = "../../../tests/lua/expectations.rs"] mod expectations;`.

/// What a program says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// The lines of standard output.
    pub output: Vec<String>,
    /// Texts to find in the error, in order. Empty when the program must end well.
    pub error: Vec<String>,
    /// Why the reference is not asked.
    pub evermoon_only: Option<String>,
    /// The reference version that is asked, when an older one does otherwise.
    pub reference: Option<String>,
    pub needs_host: bool,
    pub watches_collector: bool,
}

/// How a run of a program ended.
pub struct Outcome<'a> {
    pub stdout: &'a [u8],
    /// What `lua` writes to standard error: `lua: message` and a traceback. `None` after a good end.
    pub error: Option<&'a [u8]>,
}

impl Expectations {
    /// Reads the comments of a program. An unknown note, or no expectation at all, is an error.
    pub fn parse(source: &[u8]) -> Result<Self, String> {
        let mut found = Expectations::default();
        let mut at_top = true;
        for (index, line) in String::from_utf8_lossy(source).lines().enumerate() {
            at_top &= line.starts_with("--") || line.starts_with('#') || line.is_empty();
            if let Some((_, text)) = line.split_once("-->") {
                found
                    .output
                    .push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            } else if let Some((_, text)) = line.split_once("--!") {
                found.error.push(text.trim().to_owned());
            } else if at_top {
                found
                    .note(line)
                    .map_err(|why| format!("line {}: {why}", index + 1))?;
            }
        }
        if found.output.is_empty() && found.error.is_empty() {
            return Err("says nothing about what it prints ('--> text' or '--! text')".to_owned());
        }
        Ok(found)
    }

    fn note(&mut self, line: &str) -> Result<(), String> {
        let Some((name, value)) = line
            .strip_prefix("-- ")
            .and_then(|rest| rest.split_once(": "))
        else {
            return Ok(());
        };
        match (name, value) {
            ("evermoon-only", reason) => self.evermoon_only = Some(reason.to_owned()),
            ("reference", version) => self.reference = Some(version.to_owned()),
            ("needs", "host") => self.needs_host = true,
            ("watches", "collector") => self.watches_collector = true,
            ("needs" | "watches", other) => return Err(format!("'{name}: {other}' means nothing")),
            // A sentence with a colon.
            _ => {}
        }
        Ok(())
    }

    /// Whether a run did what the program says. The error shows the first difference.
    pub fn check(&self, outcome: &Outcome) -> Result<(), String> {
        let stdout = String::from_utf8_lossy(outcome.stdout);
        let error = outcome.error.map(String::from_utf8_lossy);
        let ended = match &error {
            Some(error) => format!("\nit ended with: {}", error.trim_end()),
            None => String::new(),
        };
        let mut printed = stdout.lines();
        for (index, expected) in self.output.iter().enumerate() {
            match printed.next() {
                Some(line) if line == expected => {}
                Some(line) => {
                    let number = index + 1;
                    return Err(format!(
                        "output line {number}\nexpected: {expected}\nprinted:  {line}{ended}"
                    ));
                }
                None => {
                    return Err(format!(
                        "after {index} lines of output\nexpected: {expected}\nprinted nothing{ended}"
                    ));
                }
            }
        }
        if let Some(line) = printed.next() {
            return Err(format!("prints more than it says: {line}{ended}"));
        }
        match (error, self.error.is_empty()) {
            (None, true) => Ok(()),
            (None, false) => Err(format!("ended well\nexpected the error: {}", self.error[0])),
            (Some(error), true) => Err(format!("ended with an error: {}", error.trim_end())),
            (Some(error), false) => self.check_error(&error),
        }
    }

    fn check_error(&self, error: &str) -> Result<(), String> {
        let mut lines = error.lines();
        for expected in &self.error {
            if !lines.any(|line| line.contains(expected.as_str())) {
                return Err(format!(
                    "the error lacks: {expected}\nit is: {}",
                    error.trim_end()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Expectations, Outcome};

    const PROGRAM: &[u8] =
        b"-- Shows: this.\n-- needs: host\nprint('a\\nb') --> a\n--> b\nerror('no', 0) --! no\n";

    fn outcome<'a>(stdout: &'a str, error: Option<&'a str>) -> Outcome<'a> {
        Outcome {
            stdout: stdout.as_bytes(),
            error: error.map(str::as_bytes),
        }
    }

    #[test]
    fn reads_lines_errors_and_notes() {
        let found = Expectations::parse(PROGRAM).unwrap();
        assert_eq!(found.output, ["a", "b"]);
        assert_eq!(found.error, ["no"]);
        assert!(found.needs_host && !found.watches_collector && found.evermoon_only.is_none());
    }

    #[test]
    fn a_run_must_print_all_and_no_more_and_end_as_told() {
        let found = Expectations::parse(PROGRAM).unwrap();
        assert_eq!(found.check(&outcome("a\nb\n", Some("lua: no\n"))), Ok(()));
        assert!(
            found
                .check(&outcome("a\n", Some("lua: no\n")))
                .unwrap_err()
                .contains("expected: b")
        );
        assert!(
            found
                .check(&outcome("a\nb\nc\n", Some("lua: no\n")))
                .unwrap_err()
                .contains("more")
        );
        assert!(
            found
                .check(&outcome("a\nb\n", None))
                .unwrap_err()
                .contains("ended well")
        );
        assert!(
            found
                .check(&outcome("a\nb\n", Some("lua: yes\n")))
                .unwrap_err()
                .contains("lacks: no")
        );
    }

    #[test]
    fn a_program_that_says_nothing_is_refused() {
        assert!(Expectations::parse(b"print(1)\n").is_err());
        assert!(Expectations::parse(b"-- needs: luck\nprint(1) --> 1\n").is_err());
    }
}
