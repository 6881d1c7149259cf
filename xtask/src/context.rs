//! What every step needs to know: where the workspace is, what the machine has, how to run cargo.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Why a step did not pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It failed.
    Failed(String),
    /// The machine lacks something: a failure in CI, a step loudly left out elsewhere.
    Missing(String),
}

impl Stop {
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed(why.into())
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::Missing(what.into())
    }
}

/// What every step needs to know.
#[derive(Debug)]
pub(crate) struct Context {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// The conformance data, where there is any.
    pub(crate) shared: Option<PathBuf>,
    /// Whether this is CI.
    pub(crate) ci: bool,
    /// How long each fuzz target runs.
    pub(crate) fuzz_seconds: u64,
    cargo: OsString,
}

impl Context {
    /// Reads the environment.
    pub(crate) fn new() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .filter(|root| root.join("Cargo.lock").is_file())
            .ok_or("the workspace is not where xtask was built: run it as `cargo xtask`")?;
        let shared = match env::var_os("PEERAGE_SHARED") {
            Some(path) => {
                let path = PathBuf::from(path);
                let found = path.canonicalize().ok().filter(|path| path.is_dir());
                Some(found.ok_or_else(|| format!("PEERAGE_SHARED is {}: no such folder", path.display()))?)
            }
            None => root.join("../shared").canonicalize().ok().filter(|path| path.is_dir()),
        };
        let fuzz_seconds =
            match env::var("PEERAGE_FUZZ_SECONDS") {
                Ok(text) => text.parse().ok().filter(|&seconds| seconds > 0).ok_or_else(|| {
                    format!("PEERAGE_FUZZ_SECONDS is `{text}`: a number of seconds above 0")
                })?,
                Err(_) => 10,
            };
        let ci = env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root: root.to_path_buf(), shared, ci, fuzz_seconds, cargo })
    }

    /// A cargo command in the workspace's root, as from a shell: without what the cargo that runs xtask
    /// says about xtask, which would make build scripts run again.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root).args(arguments).stdin(Stdio::null());
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            let about_xtask = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "DEP_"];
            if about_xtask.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&*name);
            }
        }
        if let Some(shared) = &self.shared {
            command.env("PEERAGE_SHARED", shared);
        }
        let defaults = if self.ci {
            // Nothing is built twice in CI, so that nothing is gained by incremental builds.
            &[
                ("CARGO_INCREMENTAL", "0"),
                ("CARGO_NET_RETRY", "5"),
                ("CARGO_TERM_COLOR", "never"),
                ("RUST_BACKTRACE", "1"),
            ][..]
        } else {
            &[]
        };
        for (name, value) in defaults.iter().filter(|(name, _)| env::var_os(name).is_none()) {
            command.env(name, value);
        }
        command
    }

    /// Runs a command whose output is for the reader.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), Stop> {
        let line = line(command);
        println!("$ {line}");
        let status =
            command.status().map_err(|error| Stop::failed(format!("cannot run `{line}`: {error}")))?;
        if status.success() { Ok(()) } else { Err(Stop::failed(format!("`{line}`: {status}"))) }
    }

    /// Runs a command whose standard output is for xtask.
    pub(crate) fn read(&self, command: &mut Command) -> Result<String, Stop> {
        let line = line(command);
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Stop::failed(format!("cannot run `{line}`: {error}")))?;
        if !output.status.success() {
            return Err(Stop::failed(format!("`{line}`: {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|_| Stop::failed(format!("`{line}` wrote no text")))
    }

    /// Whether one of cargo's companions is installed.
    pub(crate) fn component(&self, name: &str, command: &str) -> Result<(), Stop> {
        let installed = self
            .cargo([command, "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        installed.then_some(()).ok_or_else(|| {
            Stop::missing(format!("{name} is not installed: `rustup component add {name}` installs it"))
        })
    }
}

/// A command as it would be typed.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
