//! The namespaces of a cell, and the addresses in them.
//!
//! `unshare` makes them without names, so that nothing is left that could leak: when the cell's process
//! ends, the kernel ends everything it started and takes the namespaces away.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Peerage.
pub const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
/// The daemon.
pub const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));
/// A second Peerage.
pub const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 3));
/// Peerage, over IPv6.
pub const OURS6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1));
/// The daemon, over IPv6.
pub const THEIRS6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2));

/// Where the files of daemons are: in memory, seen by nobody else, gone with the cell.
pub(crate) const FILES: &str = "/run/interop";

/// Whether this process is root's.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs `program` as the first process of new namespaces. It ends when the calling thread
/// does, and everything in the namespaces with it.
pub fn within(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net", "--pid", "--fork", "--kill-child"]);
    command.arg("--mount-proc");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--").arg(program).stdin(Stdio::null());
    command
}

/// Why namespaces cannot be had here, if they cannot.
pub fn unavailable() -> Option<String> {
    match within(Path::new("true")).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("setpriv and unshare (util-linux): {error}")),
    }
}

/// Mounts that the host does not see, and addresses on the loopback interface. Called once, in the cell's
/// namespaces, whose /sys is still the host's.
pub(crate) fn prepare() -> Result<()> {
    run("mount", ["-t", "sysfs", "sysfs", "/sys"])?;
    // A /run of its own: OpenBGPD confines itself to a folder in it that its service would have made.
    run("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])?;
    std::fs::create_dir("/run/openbgpd")?;
    std::fs::create_dir(FILES)?;
    // FRR leaves a folder behind for each process.
    run("mount", ["-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/var/tmp"])?;
    run("ip", ["link", "set", "lo", "up"])?;
    for address in [OURS, THEIRS, OTHER, OURS6, THEIRS6] {
        let len = if address.is_ipv4() { 32 } else { 128 };
        run("ip", ["address", "add", &format!("{address}/{len}"), "dev", "lo"])?;
    }
    // OpenBGPD uses a next hop only if the main table has a route to it.
    run("ip", ["route", "add", "10.77.0.0/24", "dev", "lo"])?;
    run("ip", ["route", "add", "default", "dev", "lo"])?;
    run("ip", ["-6", "route", "add", "default", "dev", "lo"])
}

/// Runs a command that says nothing when all is well.
///
/// # Errors
/// If it cannot be run or fails: the text has what it said.
pub fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Result<()> {
    output(Command::new(program).args(arguments)).map(drop)
}

/// Runs a command for what it says.
///
/// # Errors
/// If it cannot be run or fails: the text has what it said.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(text)
}
