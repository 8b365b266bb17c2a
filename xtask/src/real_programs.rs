//! Programs of other people, unmodified, under our binary and under `lua5.4`: both must print the same.
//!
//! They are fetched from Debian when they are needed (`apt-get download`, unpacked below `target/programs`; nothing is
//! installed) and never committed. What drives them are our own scripts in `tests/programs/*.lua`, which name their
//! packages in comment lines at the top:
//!
//! ```lua
//! -- package: lua-penlight
//! ```
//!
//! A driver prints nothing that may differ between two right implementations: no addresses, times or `pairs` orders.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::child::{Child, Finished, output_of};
use crate::tally::Tally;
use crate::tools::{self, need};
use crate::workspace::{self, Profile, run};

struct Driver {
    name: String,
    path: PathBuf,
    packages: Vec<String>,
}

/// `cargo xtask programs [names] [--bin PATH] [--dev]`.
pub fn programs(given: &[String]) -> Result<bool> {
    let args = Args::parse(given, &["dev", "show"], &["bin"])?;
    let profile = if args.has("dev") {
        Profile::Dev
    } else {
        Profile::Release
    };
    let ours = workspace::binary(args.option("bin"), profile)?;
    Ok(run_drivers(&ours, &args)?.close())
}

/// All of them, for `cargo xtask test`.
pub fn part_of_test(ours: &Path) -> Result<Tally> {
    run_drivers(ours, &Args::default())
}

fn run_drivers(ours: &Path, args: &Args) -> Result<Tally> {
    let reference = need(&tools::LUA)?;
    let home = workspace::scratch("programs")?;
    let mut tally = Tally::new();
    for driver in drivers()? {
        if !args.wants(&driver.name) {
            continue;
        }
        let start = Instant::now();
        let result = compare(&driver, ours, &reference, &home, args.has("show"));
        tally.record(
            &driver.name,
            start.elapsed(),
            result.map_err(|error| format!("{error:#}")),
        );
    }
    Ok(tally)
}

fn compare(driver: &Driver, ours: &Path, reference: &Path, home: &Path, show: bool) -> Result<()> {
    for package in &driver.packages {
        fetch(package, home)?;
    }
    let expected = run_driver(reference, driver, home)?;
    if !expected.success() {
        bail!(
            "lua5.4 itself: {}\n{}",
            expected.ending,
            expected.error_text()
        );
    }
    if show {
        print!("{}", String::from_utf8_lossy(&expected.stdout));
    }
    let got = run_driver(ours, driver, home)?;
    if !got.success() {
        bail!("{}\n{}", got.ending, got.error_text());
    }
    first_difference(&expected.stdout, &got.stdout)?;
    let packages = driver
        .packages
        .iter()
        .map(|p| version_of(p, home))
        .collect::<Vec<_>>()
        .join(", ");
    println!(
        "        {} lines alike, {packages}",
        expected.stdout.split(|b| *b == b'\n').count() - 1
    );
    Ok(())
}

fn run_driver(lua: &Path, driver: &Driver, home: &Path) -> Result<Finished> {
    let share = home.join("root/usr/share");
    let share = share.display();
    let path = [
        "lua/5.4/?.lua",
        "lua/5.4/?/init.lua",
        "lua/5.3/?.lua",
        "lua/5.1/?.lua",
        "lua/5.1/?/init.lua",
    ]
    .map(|pattern| format!("{share}/{pattern}"))
    .join(";");
    Child::new(lua)
        .arg(&driver.path)
        .arg(home.join("root"))
        .env("LUA_PATH", path)
        .env("LUA_CPATH", "")
        .dir(home)
        .limit(Duration::from_secs(180))
        .run()
}

fn first_difference(expected: &[u8], got: &[u8]) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let (expected, got) = (
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(got),
    );
    let mut theirs = expected.lines();
    let mut ours = got.lines();
    let mut number = 0;
    loop {
        number += 1;
        match (theirs.next(), ours.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => bail!(
                "line {number}\nlua5.4:   {}\nevermoon: {}",
                a.unwrap_or("<end>"),
                b.unwrap_or("<end>")
            ),
        }
    }
}

fn drivers() -> Result<Vec<Driver>> {
    let mut drivers = Vec::new();
    for path in workspace::files_in(&workspace::root().join("tests/programs"), "lua")? {
        let text = std::fs::read_to_string(&path)?;
        let comments = text.lines().take_while(|line| line.starts_with("--"));
        let packages = comments
            .filter_map(|line| line.strip_prefix("-- package: "))
            .map(str::to_owned)
            .collect();
        let name = path
            .file_stem()
            .context("a driver has a name")?
            .to_string_lossy()
            .into_owned();
        drivers.push(Driver {
            name,
            path,
            packages,
        });
    }
    Ok(drivers)
}

/// Downloads a Debian package and unpacks it into `target/programs/root`, once.
fn fetch(package: &str, home: &Path) -> Result<()> {
    let stamp = home.join(format!("{package}.version"));
    if stamp.is_file() {
        return Ok(());
    }
    if workspace::on_path("apt-get").is_none() {
        bail!("'{package}' comes from Debian: this needs apt-get");
    }
    let folder = home.join("packages").join(package);
    std::fs::create_dir_all(&folder)?;
    let mut download = Command::new("apt-get");
    // `apt-get download` as root warns about its own sandbox; -qq keeps only errors.
    download
        .args(["-qq", "-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(&folder);
    if run(&mut download).is_err() {
        tools::update_lists()?;
        run(&mut download)?;
    }
    let archives = workspace::files_in(&folder, "deb")?;
    let archive = archives
        .last()
        .with_context(|| format!("apt-get left no package of {package}"))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(archive).arg(home.join("root"));
    run(&mut unpack)?;
    let dpkg = workspace::found("dpkg-deb")?;
    let version = output_of(&dpkg, &["-f", &archive.to_string_lossy(), "Version"])?;
    std::fs::write(&stamp, version.trim())?;
    Ok(())
}

fn version_of(package: &str, home: &Path) -> String {
    let version =
        std::fs::read_to_string(home.join(format!("{package}.version"))).unwrap_or_default();
    format!("{package} {version}")
}
