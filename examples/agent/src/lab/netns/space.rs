//! Network namespaces: made without names, held by a file on the lab's own file system, entered by a thread.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsFd as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::outside;

/// A program of the system, with nothing of the caller's environment and nothing to read. What it would write
/// to its user's home goes to the run directory.
pub(super) fn program(name: &str, run: &Path) -> Result<Command> {
    let path = outside::find(name).with_context(|| format!("{name} is not installed"))?;
    let mut command = Command::new(path);
    plain(&mut command, run);
    Ok(command)
}

/// Takes the caller's environment from a command.
pub(super) fn plain(command: &mut Command, run: &Path) {
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("HOME", run)
        .env("TMPDIR", run)
        .current_dir(run)
        .stdin(Stdio::null());
}

/// Makes a network namespace that lasts as long as `file`, which is on a file system of this mount namespace
/// alone.
pub(super) fn make(file: &Path, run: &Path) -> Result<()> {
    File::create_new(file).with_context(|| format!("cannot make {}", file.display()))?;
    let mut option = std::ffi::OsString::from("--net=");
    option.push(file);
    output(program("unshare", run)?.arg(option).args(["--", "true"])).map(drop)
}

/// Does something in a network namespace: sockets, settings under /proc/sys/net and processes that it makes
/// are there. It runs in a thread of its own, which ends with it.
pub(super) fn within<T: Send>(file: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let entered = scope.spawn(|| {
            let space = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("cannot enter {}", file.display()))?;
            work()
        });
        entered.join().unwrap_or_else(|_| Err(anyhow!("a thread in {} panicked", file.display())))
    })
}

/// Runs a command to its end; what it says on standard output.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = run(command, "")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{}: {}: {}", shown(command), output.status, said(&output));
    }
    Ok(text)
}

/// Runs a command to its end with something to read, whatever it ends with.
pub(super) fn run(command: &mut Command, input: &str) -> Result<Output> {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let name = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    thread::scope(|scope| {
        if let Some(mut pipe) = child.stdin.take() {
            // Who does not read to the end says why by itself.
            scope.spawn(move || pipe.write_all(input.as_bytes()));
        }
        child.wait_with_output().with_context(|| format!("cannot wait for {name}"))
    })
}

/// What a command said, errors first, in one line.
pub(super) fn said(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A command for people.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
