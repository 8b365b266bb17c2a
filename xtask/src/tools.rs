//! The programs of others that the verbs need, found or installed: `lua5.4` and `luajit` to compare with, `pip` and
//! `apt-get download` to fetch with, Node and a wasm toolchain. Installing needs root and apt (the image's way); where
//! they are missing we say what to do and stop.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::workspace::{on_path, run};
use crate::{wasm_toolchain, workspace};

/// A program and the Debian package that has it.
pub struct Tool {
    pub program: &'static str,
    pub package: &'static str,
    pub why: &'static str,
}

pub const LUA: Tool = Tool {
    program: "lua5.4",
    package: "lua5.4",
    why: "the reference that programs are compared with",
};
pub const LUAC: Tool = Tool {
    program: "luac5.4",
    package: "lua5.4",
    why: "the reference for compile speed",
};
pub const LUAJIT: Tool = Tool {
    program: "luajit",
    package: "luajit",
    why: "a second reference in benchmarks",
};
pub const NODE: Tool = Tool {
    program: "node",
    package: "nodejs",
    why: "runs the wasm module",
};
pub const CHROMIUM: Tool = Tool {
    program: "chromium",
    package: "chromium",
    why: "the browser that the page is tested in",
};
pub const PYTHON_PIP: Tool = Tool {
    program: "pip",
    package: "python3-pip",
    why: "fetches the official test suite",
};

/// All that `setup` looks for.
const ALL: [&Tool; 6] = [&LUA, &LUAC, &LUAJIT, &NODE, &PYTHON_PIP, &CHROMIUM];

/// `cargo xtask setup`: installs what is missing, once, so that no later verb has to.
pub fn setup(args: &[String]) -> Result<bool> {
    Args::parse(args, &[], &[])?;
    let mut complete = true;
    for tool in ALL {
        match need(tool) {
            Ok(path) => println!("{:9} {}", tool.program, path.display()),
            Err(error) => {
                complete = false;
                println!("{:9} missing: {error:#}", tool.program);
            }
        }
    }
    match wasm_toolchain::prepare() {
        Ok(found) => println!("{:9} {found}", "wasm"),
        Err(error) => {
            complete = false;
            println!("{:9} missing: {error:#}", "wasm");
        }
    }
    Ok(complete)
}

/// The tool's path, installed now if it is missing and can be.
pub fn need(tool: &Tool) -> Result<PathBuf> {
    if let Some(path) = on_path(tool.program) {
        return Ok(path);
    }
    install(&[tool.package])
        .with_context(|| format!("'{}' is needed: {}", tool.program, tool.why))?;
    on_path(tool.program).with_context(|| {
        format!(
            "{} is installed, but '{}' is not on PATH",
            tool.package, tool.program
        )
    })
}

/// A Chromium: the one that `CHROMIUM` names, one that is here, or Debian's, installed now.
pub fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return Ok(path.into());
    }
    let known = ["chromium", "chromium-browser", "google-chrome"];
    match known.iter().find_map(|name| on_path(name)) {
        Some(path) => Ok(path),
        None => need(&CHROMIUM),
    }
}

/// Installs Debian packages. Only as root and with apt; otherwise the error says what to type.
pub fn install(packages: &[&str]) -> Result<()> {
    if on_path("apt-get").is_none() {
        bail!(
            "install {} with your system's package manager",
            packages.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "run: sudo apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        );
    }
    eprintln!("installing {}", packages.join(" "));
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages)
        .stdout(std::process::Stdio::null());
    if run(&mut apt).is_ok() {
        return Ok(());
    }
    // A fresh image has no package lists yet.
    update_lists()?;
    run(&mut apt)
}

/// `apt-get update`.
pub fn update_lists() -> Result<()> {
    run(Command::new("apt-get").args(["update", "-qq"]))
}

/// Whether we may install: the user's number is 0.
pub fn is_root() -> bool {
    // /proc belongs to whoever runs us; no call into libc is needed for it.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Runs `pip`, by whichever name it has here.
pub fn pip() -> Result<Command> {
    if let Ok(path) = need(&PYTHON_PIP) {
        return Ok(Command::new(path));
    }
    let python = workspace::on_path("python3").context("neither 'pip' nor 'python3' is on PATH")?;
    let mut command = Command::new(python);
    command.args(["-m", "pip"]);
    Ok(command)
}
