//! The steps of `cargo xtask test`, cheap ones first.
//!
//! All of them but the fuzz targets and the no_std proof build the workspace with the `dev` profile in one
//! target folder, so that no dependency is compiled twice for one purpose.

use std::process::Command;

use crate::{
    bench,
    context::{Context, Stop},
    fuzz, licences, purity, spec,
};

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    /// What it makes sure of.
    pub(crate) about: &'static str,
    /// Does it.
    pub(crate) run: fn(&Context) -> Result<(), Stop>,
}

/// The steps in order.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "format", about: "every crate is formatted", run: format },
    Step {
        name: "purity",
        about: "core names no clock, socket, thread, file or entropy",
        run: purity::check,
    },
    Step { name: "spec", about: "SPEC.md names files and tests that are there", run: spec::check },
    Step { name: "no-std", about: "core links where there is no std", run: no_std },
    Step { name: "licences", about: "every dependency's licence is one we accept", run: licences::check },
    Step { name: "clippy", about: "no warnings from compiler or clippy, all targets", run: clippy },
    Step { name: "docs", about: "documentation builds without warnings", run: docs },
    Step {
        name: "tests",
        about: "unit, property, simulation, conformance and lab tests, doctests",
        run: tests,
    },
    Step {
        name: "interop",
        about: "FRR, BIRD, GoBGP and OpenBGPD; missing ones are installed where that is possible",
        run: interop,
    },
    Step {
        name: "bench",
        about: "every workload beside BIRD, small: receivers check all that they get",
        run: bench::smoke,
    },
    Step { name: "fuzz", about: "every fuzz target builds and runs for a while", run: fuzz::smoke },
];

/// Crates that are workspaces of their own.
pub(crate) const APART: [&str; 2] = ["fuzz/Cargo.toml", "xtask/no-std-proof/Cargo.toml"];

fn format(context: &Context) -> Result<(), Stop> {
    context.component("rustfmt", "fmt")?;
    context.run(&mut context.cargo(["fmt", "--all", "--check"]))?;
    APART.iter().try_for_each(|manifest| {
        context.run(&mut context.cargo(["fmt", "--check", "--manifest-path", manifest]))
    })
}

/// A `#![no_std]` library with a panic handler of its own links core: std anywhere below it would be a
/// second panic handler, which does not compile.
fn no_std(context: &Context) -> Result<(), Stop> {
    let [_, manifest] = APART;
    context.run(&mut context.cargo([
        "build",
        "--manifest-path",
        manifest,
        "--target-dir",
        "target/no-std-proof",
    ]))
}

fn clippy(context: &Context) -> Result<(), Stop> {
    context.component("clippy", "clippy")?;
    context.run(&mut context.cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--keep-going",
        "--",
        "-D",
        "warnings",
    ]))
}

fn docs(context: &Context) -> Result<(), Stop> {
    let mut command: Command = context.cargo(["doc", "--workspace", "--no-deps", "--keep-going"]);
    context.run(command.env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn tests(context: &Context) -> Result<(), Stop> {
    if context.ci && context.shared.is_none() {
        return Err(Stop::missing(
            "CI tests on the conformance data: put it beside the workspace as ../shared",
        ));
    }
    let apart = ["test", "--workspace", "--exclude", "peerage-interop", "--no-fail-fast"];
    // The lab in namespaces runs FRR.
    context.run(context.cargo(apart).env("PEERAGE_INSTALL", "1"))
}

/// What a machine cannot run is said by the suite itself, which fails for it in CI.
fn interop(context: &Context) -> Result<(), Stop> {
    context.run(&mut context.cargo(["test", "--package", "peerage-interop", "--lib"]))?;
    context.run(&mut context.cargo([
        "test",
        "--package",
        "peerage-interop",
        "--test",
        "it",
        "--",
        "--install",
    ]))
}
