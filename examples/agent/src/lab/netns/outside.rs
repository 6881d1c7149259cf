//! The part of the lab that stays in the host's namespaces: it makes sure that everything is there, starts
//! the lab within namespaces of its own, hands on the wish to end, and waits.
//!
//! ```text
//! peerage lab --netns            here; holds the pipe and the lock on the run directory
//!   unshare                      ends when this does, by whatever signal, and ends its child (--kill-child)
//!     peerage lab --within DIR   first process of a namespace of processes: when it ends, all in it end
//!       zebra, bgpd, agents      in network namespaces that nobody but the kernel holds
//! ```

use std::{
    ffi::OsString,
    io::Write as _,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use super::run_dir::RunDir;
use crate::cli::{LabArgs, Routers};

/// Programs, with the Debian packages that have them.
const ALWAYS: [(&str, &str); 4] =
    [("unshare", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux"), ("ip", "iproute2")];
/// Those that a lab with FRR needs.
const WITH_FRR: [(&str, &str); 5] = [
    ("vtysh", "frr"),
    ("frr/zebra", "frr"),
    ("frr/bgpd", "frr"),
    ("ping", "iputils-ping"),
    ("traceroute", "traceroute"),
];

/// Where programs are, whatever the PATH of who calls.
const FOLDERS: [&str; 7] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib"];

/// Where a program is.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// Runs the lab in namespaces.
pub(super) fn run(arguments: &LabArgs) -> Result<ExitCode> {
    check(arguments.routers)?;
    let run = RunDir::make()?;
    let mut command = namespaces()?;
    command.arg(std::env::current_exe().context("cannot find this program's own file")?);
    let own: Vec<OsString> = std::env::args_os().skip(1).collect();
    command.args(own).arg("--within").arg(run.path());
    // The pipe: an octet in it is the wish to end, its end is the end of this process. A terminal's Ctrl-C
    // comes here alone.
    command.stdin(Stdio::piped()).process_group(0).env("TMPDIR", run.path());
    let mut child = command.spawn().context("cannot run setpriv and unshare")?;
    forward(&mut child)?;
    let status = child.wait().context("cannot wait for the lab")?;
    if let Some(signal) = status.signal() {
        bail!("the lab was ended by signal {signal}; nothing of it is left");
    }
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// What runs a program as the first process of new namespaces. It ends when the calling thread does, and
/// everything in the namespaces with it.
fn namespaces() -> Result<Command> {
    let path = |program| find(program).with_context(|| format!("{program} is not installed"));
    let mut command = Command::new(path("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(path("unshare")?);
    command.args(["--net", "--pid", "--mount", "--fork", "--kill-child", "--"]);
    Ok(command)
}

/// Hands on Ctrl-C and SIGTERM: the first is a wish, the second an order.
fn forward(child: &mut Child) -> Result<()> {
    let pipe = Arc::new(Mutex::new(child.stdin.take()));
    let id = child.id();
    let mut asked = false;
    ctrlc::set_handler(move || {
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut asked, true) {
            let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
            _ = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::KILL));
        } else if let Some(pipe) = pipe.as_mut() {
            _ = pipe.write_all(b".");
        }
    })
    .context("cannot watch for Ctrl-C")
}

/// Says in one sentence what is missing, and the remedy.
fn check(routers: Routers) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "network namespaces need root: run `sudo peerage lab --netns`, or `peerage lab`, which needs no rights"
        );
    }
    let with_frr = (routers == Routers::Frr).then_some(WITH_FRR);
    let wanted = ALWAYS.into_iter().chain(with_frr.into_iter().flatten());
    let mut packages: Vec<&str> =
        wanted.filter(|(program, _)| find(program).is_none()).map(|(_, package)| package).collect();
    packages.dedup();
    if !packages.is_empty() {
        bail!(
            "peerage lab --netns runs programs that are not installed here: apt-get install {}",
            packages.join(" ")
        );
    }
    let trial = namespaces()?.arg("true").stdin(Stdio::null()).output().context("cannot run setpriv")?;
    if !trial.status.success() {
        bail!(
            "no namespaces can be had here ({}): in a container, run it with --privileged; `peerage lab` needs none",
            String::from_utf8_lossy(&trial.stderr).trim()
        );
    }
    Ok(())
}
