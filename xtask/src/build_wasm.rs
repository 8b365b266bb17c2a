//! `cargo xtask build-wasm`: `dist/evermoon.wasm`, and `dist/lua.wasm` for the original's hosts, from a clean checkout.
//!
//! Cargo builds the module (`wasm_toolchain.rs`), `wasm/optimize.mjs` makes it small with npm's `binaryen`, and this file checks what must
//! hold of it: no imports, and sizes below the limits.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::child::output_of;
use crate::limits::{MODULE_BROTLI_HELD, MODULE_BROTLI_MAX, MODULE_BYTES_HELD, MODULE_BYTES_MAX};
use crate::tally::Tally;
use crate::tools::{self, need};
use crate::wasm_toolchain;
use crate::workspace::{on_path, root, run, scratch};

/// What is built.
struct Module {
    name: &'static str,
    features: &'static [&'static str],
    imports: u64,
    limited: bool,
}

const OURS: Module = Module {
    name: "evermoon.wasm",
    features: &[],
    imports: 0,
    limited: true,
};
/// Nobody waits for the original's module on a slow line: it has no limits.
const LEGACY: Module = Module {
    name: "lua.wasm",
    features: &["legacy"],
    imports: 3,
    limited: false,
};

/// `cargo xtask build-wasm`.
///
/// The optimiser takes half as long as a compilation, and one core: so a module is optimised while cargo compiles the next one, and what
/// the optimiser needs is fetched while cargo compiles the first.
pub fn build_wasm(given: &[String]) -> Result<bool> {
    Args::parse(given, &[], &[])?;
    let optimizer = Optimizer::find()?;
    thread::scope(|scope| {
        let mut fetching = Some(scope.spawn(|| optimizer.fetch()));
        let mut under_way = Vec::new();
        for module in [OURS, LEGACY] {
            let compiled = module.compile()?;
            if let Some(fetching) = fetching.take() {
                joined(fetching)?;
            }
            let optimizer = &optimizer;
            under_way.push(scope.spawn(move || {
                let path = optimizer.run(&module, &compiled)?;
                println!("{}", module.said(&path, sizes(&path)?));
                Ok(())
            }));
        }
        under_way.into_iter().try_for_each(joined)?;
        Ok(true)
    })
}

/// What a thread has come to.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// `cargo xtask test size`: the module is not larger than it has been.
pub fn size_check() -> Result<Tally> {
    let mut tally = Tally::new();
    let start = Instant::now();
    let compiled = OURS.compile()?;
    let optimizer = Optimizer::find()?;
    optimizer.fetch()?;
    let (raw, brotli) = sizes(&optimizer.run(&OURS, &compiled)?)?;
    println!("{}: {raw} bytes, {brotli} by brotli", OURS.name);
    let complaints = complaints([(raw, MODULE_BYTES_HELD), (brotli, MODULE_BROTLI_HELD)]);
    let result = if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("; "))
    };
    tally.record(
        &format!("the size of {}", OURS.name),
        start.elapsed(),
        result,
    );
    Ok(tally)
}

/// What is too much: raw size and its limit, packed size and its limit.
fn complaints(sizes: [(u64, u64); 2]) -> Vec<String> {
    let mut all = Vec::new();
    for ((is, limit), what) in sizes.into_iter().zip(["", " by brotli"]) {
        if is > limit {
            all.push(format!(
                "{is} bytes{what} are more than the limit of {limit}"
            ));
        }
    }
    all
}

impl Module {
    /// What cargo makes of it, kept where the next module's does not take its place.
    fn compile(&self) -> Result<PathBuf> {
        let built = wasm_toolchain::build("evermoon-wasm", self.features)?;
        let kept = scratch("wasm")?.join(self.name);
        std::fs::copy(&built, &kept).with_context(|| format!("cannot keep {}", built.display()))?;
        Ok(kept)
    }

    /// How large it has become, for people.
    fn said(&self, path: &Path, (raw, brotli): (u64, u64)) -> String {
        let mut said = format!("{}: {raw} bytes, {brotli} by brotli", path.display());
        if self.limited {
            for complaint in complaints([(raw, MODULE_BYTES_MAX), (brotli, MODULE_BROTLI_MAX)]) {
                said.push_str("\n  ");
                said.push_str(&complaint);
            }
        }
        said
    }
}

/// A module's bytes, raw and packed by brotli.
fn sizes(module: &Path) -> Result<(u64, u64)> {
    let node = need(&tools::NODE)?;
    let script = root().join("xtask/wasm/sizes.mjs");
    let args = [script.display().to_string(), module.display().to_string()];
    let printed = output_of(&node, &args.each_ref().map(String::as_str))?;
    let mut numbers = printed.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(raw)), Some(Ok(brotli))) => Ok((raw, brotli)),
        _ => bail!("sizes.mjs printed '{}'", printed.trim_end()),
    }
}

/// The optimiser: node and npm, and a directory for the script and what it needs.
struct Optimizer {
    node: PathBuf,
    npm: Option<PathBuf>,
    dir: PathBuf,
}

impl Optimizer {
    fn find() -> Result<Self> {
        let optimizer = Optimizer {
            node: need(&tools::NODE)?,
            npm: on_path("npm"),
            dir: scratch("wasm-tools")?,
        };
        // Said before anything has taken its time.
        if !optimizer.is_fetched() && optimizer.npm.is_none() {
            bail!("'npm' is not on PATH (install npm: it fetches the optimiser)");
        }
        Ok(optimizer)
    }

    fn is_fetched(&self) -> bool {
        self.dir.join("node_modules/binaryen").is_dir()
    }

    /// Puts into the directory what is not there.
    fn fetch(&self) -> Result<()> {
        let source = root().join("xtask/wasm");
        for file in ["package.json", "optimize.mjs"] {
            std::fs::copy(source.join(file), self.dir.join(file))
                .with_context(|| format!("cannot copy {file}"))?;
        }
        match &self.npm {
            Some(npm) if !self.is_fetched() => run(Command::new(npm)
                .current_dir(&self.dir)
                .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])),
            _ => Ok(()),
        }
    }

    /// Optimises a module into `dist`, and checks its imports.
    fn run(&self, module: &Module, compiled: &Path) -> Result<PathBuf> {
        let out = root().join("dist");
        std::fs::create_dir_all(&out)?;
        let optimized = out.join(module.name);
        let done = Command::new(&self.node)
            .arg(self.dir.join("optimize.mjs"))
            .arg(compiled)
            .arg(&optimized)
            .stdin(Stdio::null())
            // Kept until its end: cargo may be in the middle of a line.
            .output()
            .context("cannot run node")?;
        if !done.status.success() {
            bail!(
                "{} cannot be optimised ({}):\n{}",
                module.name,
                done.status,
                String::from_utf8_lossy(&done.stderr).trim_end()
            );
        }
        let imports = imports(&std::fs::read(&optimized)?)?;
        if imports != module.imports {
            bail!(
                "{} has {imports} imports; it must have {}",
                optimized.display(),
                module.imports
            );
        }
        Ok(optimized)
    }
}

/// How many imports a module has.
fn imports(bytes: &[u8]) -> Result<u64> {
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let size = leb(bytes, &mut at)?;
        if id == 2 {
            return leb(bytes, &mut at);
        }
        at += size as usize;
    }
    Ok(0)
}

fn leb(bytes: &[u8], at: &mut usize) -> Result<u64> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(*at).context("the module is cut short")?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Ok(value)
}
