//! `cargo xtask build-wasm`: `dist/evermoon.wasm`, `dist/evermoon-world.wasm` with worlds, and `dist/lua.wasm` for the original's hosts, from a
//! clean checkout.
//!
//! Cargo builds the module (`wasm_toolchain.rs`), `wasm/optimize.mjs` makes it small with npm's `binaryen`, and this file checks what must
//! hold of it: no imports, and sizes below the limits.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::child::output_of;
use crate::limits::{MODULE_HELD, MODULE_MAX, Sizes, WORLD_HELD};
use crate::tally::Tally;
use crate::tools::{self, need};
use crate::wasm_toolchain;
use crate::workspace::{on_path, root, run, scratch};

/// What is built.
struct Module {
    name: &'static str,
    features: &'static [&'static str],
    imports: u64,
    /// What it is to weigh.
    aim: Option<Sizes>,
    /// What `cargo xtask test size` refuses to see grow.
    held: Option<Sizes>,
}

const OURS: Module = Module {
    name: "evermoon.wasm",
    features: &[],
    imports: 0,
    aim: Some(MODULE_MAX),
    held: Some(MODULE_HELD),
};
/// The same with worlds.
const WORLD: Module = Module {
    name: "evermoon-world.wasm",
    features: &["worlds"],
    imports: 0,
    aim: None,
    held: Some(WORLD_HELD),
};
/// Nobody waits for the original's module on a slow line: it has no limits.
const LEGACY: Module = Module {
    name: "lua.wasm",
    features: &["legacy"],
    imports: 3,
    aim: None,
    held: None,
};

/// `cargo xtask build-wasm`.
///
/// The two without worlds have the engine in common, so they are built one behind the other.
pub fn build_wasm(given: &[String]) -> Result<bool> {
    Args::parse(given, &[], &[])?;
    build([WORLD, OURS, LEGACY], |module, path, sizes| {
        println!("{}", module.said(path, sizes));
    })?;
    Ok(true)
}

/// Builds modules, and says how large each has become.
///
/// The optimiser takes half as long as a compilation, and one core: so a module is optimised while cargo compiles the next one, and what
/// the optimiser needs is fetched while cargo compiles the first.
fn build<const N: usize>(
    modules: [Module; N],
    said: impl Fn(&Module, &Path, Sizes) + Sync,
) -> Result<()> {
    let optimizer = Optimizer::find()?;
    thread::scope(|scope| {
        let mut fetching = Some(scope.spawn(|| optimizer.fetch()));
        let mut under_way = Vec::new();
        for module in modules {
            let compiled = module.compile()?;
            if let Some(fetching) = fetching.take() {
                joined(fetching)?;
            }
            let (optimizer, said) = (&optimizer, &said);
            under_way.push(scope.spawn(move || {
                let path = optimizer.run(&module, &compiled)?;
                said(&module, &path, sizes(&path)?);
                Ok(())
            }));
        }
        under_way.into_iter().try_for_each(joined)
    })
}

/// What a thread has come to.
fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// `cargo xtask test size`: the modules are not larger than they have been.
pub fn size_check() -> Result<Tally> {
    let start = Instant::now();
    let tally = Mutex::new(Tally::new());
    build([WORLD, OURS], |module, _, sizes| {
        println!(
            "{}: {} bytes, {} by brotli",
            module.name, sizes.raw, sizes.brotli
        );
        let complaints = complaints(sizes, module.held);
        let result = if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints.join("; "))
        };
        let name = format!("the size of {}", module.name);
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.record(&name, start.elapsed(), result);
    })?;
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What is too much.
fn complaints(is: Sizes, limits: Option<Sizes>) -> Vec<String> {
    let Some(limits) = limits else {
        return Vec::new();
    };
    [
        (is.raw, limits.raw, ""),
        (is.brotli, limits.brotli, " by brotli"),
    ]
    .into_iter()
    .filter(|(is, limit, _)| is > limit)
    .map(|(is, limit, what)| format!("{is} bytes{what} are more than the limit of {limit}"))
    .collect()
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
    fn said(&self, path: &Path, sizes: Sizes) -> String {
        let Sizes { raw, brotli } = sizes;
        let mut said = format!("{}: {raw} bytes, {brotli} by brotli", path.display());
        for complaint in complaints(sizes, self.aim) {
            said.push_str("\n  ");
            said.push_str(&complaint);
        }
        said
    }
}

fn sizes(module: &Path) -> Result<Sizes> {
    let node = need(&tools::NODE)?;
    let script = root().join("xtask/wasm/sizes.mjs");
    let args = [script.display().to_string(), module.display().to_string()];
    let printed = output_of(&node, &args.each_ref().map(String::as_str))?;
    let mut numbers = printed.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(raw)), Some(Ok(brotli))) => Ok(Sizes { raw, brotli }),
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
        // Cargo links one module over the other, so it links each time; the optimiser's time can be saved.
        let stamp = scratch("wasm")?.join(format!("{}.stamp", module.name));
        let is = self.stamp(compiled, &optimized).ok();
        if is.is_some() && std::fs::read_to_string(&stamp).ok() == is {
            return Ok(optimized);
        }
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
        std::fs::write(stamp, self.stamp(compiled, &optimized)?)?;
        Ok(optimized)
    }

    /// Changes with what goes into the optimiser, with the optimiser, and with what has come out.
    fn stamp(&self, compiled: &Path, optimized: &Path) -> std::io::Result<String> {
        let mut hasher = DefaultHasher::new();
        let [script, versions] = ["optimize.mjs", "package.json"].map(|name| self.dir.join(name));
        for file in [compiled, optimized, &script, &versions] {
            std::fs::read(file)?.hash(&mut hasher);
        }
        for choice in ["WASM_NAMES", "WASM_OPTIMIZE", "WASM_SHRINK"] {
            std::env::var_os(choice).hash(&mut hasher);
        }
        Ok(format!("{:016x}", hasher.finish()))
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
