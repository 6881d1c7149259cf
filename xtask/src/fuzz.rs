//! Builds the fuzz targets with the stable toolchain and runs each of them for a while.
//!
//! libFuzzer's coverage comes from an LLVM pass, see `fuzz/README.md`, where the same commands stand.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::context::{Context, Stop};

const MANIFEST: &str = "fuzz/Cargo.toml";

/// What instruments the crates of a build for the target; build scripts are for the host and stay as they
/// are.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Seeds, build, run.
pub(crate) fn smoke(context: &Context) -> Result<(), Stop> {
    let targets = targets(context)?;
    if targets.is_empty() {
        return Err(Stop::failed(format!("{MANIFEST} has no target")));
    }
    compiler(context)?;
    let triple = triple()?;
    for folder in ["fuzz/corpus", "fuzz/artifacts"] {
        let path = context.root.join(folder);
        fs::create_dir_all(&path).map_err(|error| io(&path, &error))?;
    }
    // Seeds need no engine, which would be built a second time for them.
    let seeds =
        ["run", "--manifest-path", MANIFEST, "--no-default-features", "--bin", "seeds", "--", "fuzz/corpus"];
    context.run(&mut context.cargo(seeds))?;
    let mut build = context.cargo(["build", "--release", "--manifest-path", MANIFEST, "--target", &triple]);
    for target in &targets {
        build.args(["--bin", target]);
    }
    context.run(build.env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    targets.iter().try_for_each(|target| run(context, &triple, target))
}

/// Lets one target run on its seeds and what it makes of them. What libFuzzer says goes to a file; the
/// reader sees its figures, or all of it where it found something.
fn run(context: &Context, triple: &str, target: &str) -> Result<(), Stop> {
    let corpus = format!("fuzz/corpus/{target}");
    let path = context.root.join(&corpus);
    fs::create_dir_all(&path).map_err(|error| io(&path, &error))?;
    let log = context.root.join(format!("fuzz/artifacts/{target}.log"));
    let output = File::create(&log).map_err(|error| io(&log, &error))?;
    let errors = output.try_clone().map_err(|error| io(&log, &error))?;
    let build = env::var_os("CARGO_TARGET_DIR").map_or_else(|| context.root.join("fuzz/target"), Into::into);
    let mut command = Command::new(build.join(triple).join("release").join(target));
    command.current_dir(&context.root).stdin(Stdio::null()).stdout(output).stderr(errors).args([
        &format!("-max_total_time={}", context.fuzz_seconds),
        "-max_len=4096",
        "-timeout=10",
        "-print_final_stats=1",
        "-artifact_prefix=fuzz/artifacts/",
        &corpus,
    ]);
    let result = context.run(&mut command);
    let text = fs::read(&log).map_err(|error| io(&log, &error))?;
    let text = String::from_utf8_lossy(&text);
    if result.is_err() {
        print!("{text}");
        return Err(Stop::failed(format!("{target} found something: see above and fuzz/artifacts")));
    }
    for line in text
        .lines()
        .filter(|line| ["INFO: seed corpus", "Done ", "stat::"].iter().any(|it| line.starts_with(it)))
    {
        println!("{line}");
    }
    Ok(())
}

fn io(path: &Path, error: &std::io::Error) -> Stop {
    Stop::failed(format!("{}: {error}", path.display()))
}

/// The names of the fuzz targets, from the manifest itself.
fn targets(context: &Context) -> Result<Vec<String>, Stop> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--manifest-path", MANIFEST];
    let text = context.read(&mut context.cargo(arguments))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Stop::failed(format!("cargo metadata of {MANIFEST}: {error}")))?;
    let targets = metadata["packages"].as_array().into_iter().flatten().flat_map(|package| {
        let targets = package["targets"].as_array();
        targets.into_iter().flatten()
    });
    Ok(targets
        .filter(|target| target["src_path"].as_str().is_some_and(|path| path.contains("fuzz_targets")))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect())
}

/// The triple of this machine.
fn triple() -> Result<String, Stop> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .arg("-vV")
        .output()
        .map_err(|error| Stop::failed(format!("cannot run `rustc -vV`: {error}")))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Stop::failed("`rustc -vV` names no host"))
}

/// Sees to it that there is a C++ compiler, which libFuzzer's source needs.
fn compiler(context: &Context) -> Result<(), Stop> {
    let compilers: Vec<_> = match env::var_os("CXX") {
        Some(named) => vec![named],
        None => ["c++", "g++", "clang++"].map(Into::into).to_vec(),
    };
    if compilers.iter().any(|compiler| works(compiler, "--version")) {
        return Ok(());
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root && works("apt-get".as_ref(), "--version") {
        println!("There is no C++ compiler: installing one.");
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
            context.run(&mut command)
        };
        apt(&["update", "-q"])?;
        apt(&["install", "-q", "-y", "--no-install-recommends", "g++"])?;
        return Ok(());
    }
    Err(Stop::missing("libFuzzer needs a C++ compiler: install g++ or clang++, or name one in CXX"))
}

fn works(program: &OsStr, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
