//! The arguments after the verb: flags, options with a value, and words. A flag that no verb has is an error that says
//! which there are.

use anyhow::{Result, bail};

/// What was typed after the verb.
#[derive(Debug, Default)]
pub struct Args {
    flags: Vec<String>,
    options: Vec<(String, String)>,
    pub words: Vec<String>,
}

impl Args {
    /// Sorts the arguments. `flags` stand alone, `options` take the next argument (or `--name=value`).
    pub fn parse(given: &[String], flags: &[&str], options: &[&str]) -> Result<Self> {
        let mut args = Args::default();
        let mut rest = given.iter();
        while let Some(arg) = rest.next() {
            let Some(name) = arg.strip_prefix("--") else {
                args.words.push(arg.clone());
                continue;
            };
            let (name, inline) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            if options.contains(&name) {
                let value = match inline.or_else(|| rest.next().cloned()) {
                    Some(value) => value,
                    None => bail!("--{name} needs a value"),
                };
                args.options.push((name.to_owned(), value));
            } else if flags.contains(&name) && inline.is_none() {
                args.flags.push(name.to_owned());
            } else {
                let known: Vec<String> = flags
                    .iter()
                    .chain(options)
                    .map(|n| format!("--{n}"))
                    .collect();
                bail!("no flag '{arg}' here (there are: {})", known.join(" "));
            }
        }
        Ok(args)
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f == flag)
    }

    /// The value of an option; the last one typed counts.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn number(&self, name: &str, default: usize) -> Result<usize> {
        match self.option(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => bail!("--{name} needs a number, got '{text}'"),
            },
        }
    }

    /// Whether a name was asked for: all are when no words were typed.
    pub fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }
}
