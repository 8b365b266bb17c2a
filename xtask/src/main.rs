//! `cargo xtask`: the one door to building, showing, testing and measuring, the same here and in CI.
//!
//! A verb is one row of `VERBS` and one file. Nothing here is part of what users get.

mod args;
mod bench;
mod bench_wasm;
mod browser_faults;
mod build_wasm;
mod child;
mod conformance;
mod deep_checks;
mod demo;
#[path = "../../tests/lua/expectations.rs"]
mod expectations;
mod faults;
mod fuzz;
mod limits;
mod lua_programs;
mod packages;
mod page_server;
mod real_programs;
mod tally;
mod tools;
mod verify;
mod wasm_toolchain;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

/// A verb: its name, the line of help, and what runs it (true: all is well).
type Verb = (&'static str, &'static str, fn(&[String]) -> Result<bool>);

const VERBS: [Verb; 14] = [
    (
        "setup",
        "installs what the other verbs need and is missing",
        tools::setup,
    ),
    (
        "demo",
        "builds the page and serves it on localhost [--port N] [--build-only]; or shows examples/ in the terminal: --terminal [names]",
        demo::demo,
    ),
    (
        "test",
        "all checks: fmt clippy wasm rust lua checked reference conformance anywhere programs host package node page size [parts] [--quick] [--only NAME]",
        verify::test,
    ),
    (
        "lua-tests",
        "the programs of tests/lua [names] [--release] [--checked | --features stress | --reference | --wasm]",
        lua_tests,
    ),
    (
        "conformance",
        "the official suite of Lua 5.4.8 [names] [--whole | --wasm] [--dev | --checked] [--limit SECONDS]",
        conformance::conformance,
    ),
    (
        "programs",
        "programs of other people, compared with lua5.4 [names] [--show]",
        real_programs::programs,
    ),
    (
        "bench",
        "speed against lua5.4 and LuaJIT [names] [--runs N] [--memory | --start | --compile | --worlds [--chromium] | --wasm [--no-speed] [--fengari] [--chromium]]",
        bench::bench,
    ),
    (
        "asan",
        "the tests under AddressSanitizer [filters] [--conformance]",
        deep_checks::asan,
    ),
    (
        "miri",
        "the unsafe rooms' tests, small programs and worlds under Miri [filters]",
        deep_checks::miri,
    ),
    (
        "fuzz",
        "the fuzzers, one after the other [names] [--seconds N] [--seed S] [--checked]",
        fuzz::fuzz,
    ),
    (
        "faults",
        "the hostile world, at length: [crash errors flips kill race | anywhere story damage | browser] [--images N] [--kills N] [--races N] [--seed S] [--quick]",
        faults::faults,
    ),
    (
        "bless",
        "rewrites golden files from what the code says now [filters]",
        deep_checks::bless,
    ),
    (
        "build-wasm",
        "builds the modules in dist: small, without imports",
        build_wasm::build_wasm,
    ),
    (
        "wasm",
        "builds a package for wasm32 and says where it is: PACKAGE",
        wasm_package,
    ),
];

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let Some((verb, rest)) = given.split_first() else {
        help();
        return ExitCode::from(2);
    };
    if ["help", "--help", "-h"].contains(&verb.as_str()) {
        help();
        return ExitCode::SUCCESS;
    }
    let Some((_, _, run)) = VERBS.iter().find(|(name, ..)| name == verb) else {
        eprintln!("xtask: no verb is called '{verb}'");
        help();
        return ExitCode::from(2);
    };
    match run(rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {verb}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() {
    eprintln!("cargo xtask <verb>");
    for (name, line, _) in VERBS {
        eprintln!("  {name:12} {line}");
    }
    eprintln!("verbs that run Lua take --bin PATH for a binary other than ours (say --bin lua5.4)");
}

/// `cargo xtask lua-tests [names] [--bin PATH] [--release] [--reference] [--checked] [--wasm] [--features stress]`.
fn lua_tests(given: &[String]) -> Result<bool> {
    let args = args::Args::parse(
        given,
        &["release", "reference", "checked", "wasm"],
        &["bin", "features"],
    )?;
    if args.has("wasm") {
        return Ok(lua_programs::run_wasm(&args.words)?.close());
    }
    if args.has("reference") {
        return Ok(lua_programs::run_reference(&args.words, args.option("bin"))?.close());
    }
    let profile = if args.has("release") {
        workspace::Profile::Release
    } else {
        workspace::Profile::Dev
    };
    if args.has("checked") {
        let lua = workspace::build(profile, Some("checked"))?;
        return Ok(
            lua_programs::run_all(&lua, &args.words, lua_programs::Subject::Evermoon)?.close(),
        );
    }
    let (lua, subject) = match args.option("features") {
        Some(features) => (
            workspace::build(profile, Some(features))?,
            lua_programs::Subject::Stressed,
        ),
        None => (
            workspace::binary(args.option("bin"), profile)?,
            lua_programs::Subject::Evermoon,
        ),
    };
    Ok(lua_programs::run_all(&lua, &args.words, subject)?.close())
}

/// `cargo xtask wasm PACKAGE`.
fn wasm_package(given: &[String]) -> Result<bool> {
    let args = args::Args::parse(given, &[], &["features"])?;
    let features: Vec<&str> = args
        .option("features")
        .map(|f| f.split(',').collect())
        .unwrap_or_default();
    for package in &args.words {
        println!("{}", wasm_toolchain::build(package, &features)?.display());
    }
    Ok(true)
}
