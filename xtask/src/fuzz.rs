//! Builds the fuzz targets with the stable toolchain and runs each of them for a while.
//!
//! libFuzzer's coverage comes from an LLVM pass, see `fuzz/README.md`, where the same commands stand.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
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
    let (targets, build_folder) = targets(context)?;
    if targets.is_empty() {
        return Err(Stop::failed(format!("{MANIFEST} has no target")));
    }
    let compiler = compiler(context)?;
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
    if compiler != "c++" {
        build.env("CXX", compiler);
    }
    context.run(build.env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    let programs = build_folder.join(triple).join("release");
    targets.iter().try_for_each(|target| run(context, &programs, target))
}

/// Lets one target run on its seeds and what it makes of them. What libFuzzer says goes to a file; the
/// reader sees its figures, or all of it where it found something.
fn run(context: &Context, programs: &Path, target: &str) -> Result<(), Stop> {
    let corpus = format!("fuzz/corpus/{target}");
    let path = context.root.join(&corpus);
    fs::create_dir_all(&path).map_err(|error| io(&path, &error))?;
    let log = context.root.join(format!("fuzz/artifacts/{target}.log"));
    let output = File::create(&log).map_err(|error| io(&log, &error))?;
    let errors = output.try_clone().map_err(|error| io(&log, &error))?;
    let mut command = Command::new(programs.join(target));
    command.current_dir(&context.root).stdin(Stdio::null()).stdout(output).stderr(errors).args([
        &format!("-max_total_time={}", context.fuzz_seconds),
        "-max_len=4096",
        "-timeout=25",
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

/// The names of the fuzz targets, and the folder they are built in, as the manifest has them.
fn targets(context: &Context) -> Result<(Vec<String>, PathBuf), Stop> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--manifest-path", MANIFEST];
    let text = context.read(&mut context.cargo(arguments))?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|error| Stop::failed(format!("cargo metadata of {MANIFEST}: {error}")))?;
    let folder = metadata["target_directory"].as_str().map(PathBuf::from);
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = packages
        .filter_map(|package| package["targets"].as_array())
        .flatten()
        .filter(|target| target["src_path"].as_str().is_some_and(|path| path.contains("fuzz_targets")))
        .filter_map(|target| target["name"].as_str().map(str::to_owned))
        .collect();
    Ok((names, folder.ok_or_else(|| Stop::failed(format!("{MANIFEST} has no target folder")))?))
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

/// The C++ compiler, which libFuzzer's source needs: the one there is, or one that is installed here.
fn compiler(context: &Context) -> Result<String, Stop> {
    if let Some(named) = env::var_os("CXX") {
        // It may come with arguments.
        let named = named.to_string_lossy().into_owned();
        let program = named.split_whitespace().next().unwrap_or_default().to_owned();
        return works(&program).then(|| named.clone()).ok_or_else(|| {
            Stop::missing(format!(
                "CXX names the C++ compiler `{named}`, which does not run: unset or correct it"
            ))
        });
    }
    let find = || ["c++", "g++", "clang++"].into_iter().find(|program| works(program)).map(str::to_owned);
    if let Some(found) = find() {
        return Ok(found);
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root && works("apt-get") {
        println!("There is no C++ compiler: installing one.");
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
            context.run(&mut command)
        };
        apt(&["update", "-q"])?;
        apt(&["install", "-q", "-y", "--no-install-recommends", "g++"])?;
    }
    find().ok_or_else(|| {
        Stop::missing("libFuzzer needs a C++ compiler: install g++ or clang++, or name one in CXX")
    })
}

fn works(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
