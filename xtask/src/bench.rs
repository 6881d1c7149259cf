//! Measuring beside other speakers: builds what that takes and leaves the rest to `bench/src/rivals`.

use std::{path::PathBuf, process::Command};

use serde_json::Value;

use crate::context::{Context, Stop};

/// The profile that figures are of.
const MEASURED: &str = "dist";
/// What the program's exit status says where the machine lacks something.
const MISSING: i32 = 3;

/// `cargo xtask bench rivals`: the flags are that program's.
pub(crate) fn rivals(context: &Context, flags: &[String]) -> Result<(), Stop> {
    // What only shows that everything works needs nothing that takes long to build.
    let smoke = flags.iter().any(|flag| flag == "--smoke");
    run(context, if smoke { "dev" } else { MEASURED }, flags)
}

/// The step: every workload with every speaker once, small; receivers check all that they get.
pub(crate) fn smoke(context: &Context) -> Result<(), Stop> {
    run(context, "dev", &["--smoke".to_owned()])
}

fn run(context: &Context, profile: &str, flags: &[String]) -> Result<(), Stop> {
    let packages = ["--package", "peerage", "--package", "peerage-bench"];
    let programs = ["--bin", "peerage", "--bin", "rivals"];
    let mut build = context.cargo(["build", "--profile", profile]);
    context.run(build.args(packages).args(programs))?;
    let folder = target(context)?.join(if profile == "dev" { "debug" } else { profile });
    let program = folder.join("rivals");
    let mut command = Command::new(&program);
    command.current_dir(&context.root).arg("--peerage").arg(folder.join("peerage")).args(flags);
    println!("$ rivals {}", flags.join(" "));
    let status = command
        .status()
        .map_err(|error| Stop::failed(format!("cannot run {}: {error}", program.display())))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(MISSING) => Err(Stop::missing("it is said above what the machine lacks")),
        _ => Err(Stop::failed(format!("rivals: {status}"))),
    }
}

/// Where cargo builds.
fn target(context: &Context) -> Result<PathBuf, Stop> {
    let text = context.read(&mut context.cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| Stop::failed(format!("cargo metadata: {error}")))?;
    let folder = metadata["target_directory"].as_str().map(PathBuf::from);
    folder.ok_or_else(|| Stop::failed("cargo metadata names no target folder"))
}
