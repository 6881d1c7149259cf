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
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result, bail};

use rustix::process::{Pid, Signal, kill_process};

use super::run_dir::RunDir;
use crate::{
    cli::{LabArgs, Routers},
    control::{lab_socket, prepare_folder},
};

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
    let lab = Lab::watch()?;
    let run = RunDir::make()?;
    let mut command = namespaces()?;
    command.arg(std::env::current_exe().context("cannot find this program's own file")?);
    let own: Vec<OsString> = std::env::args_os().skip(1).collect();
    command.args(own).arg("--within").arg(run.path());
    if arguments.socket.is_none() && !arguments.once {
        // Within, this user may be root, who would look elsewhere.
        prepare_folder(&lab_socket())?;
        command.arg("--socket").arg(lab_socket());
    }
    // The pipe: an octet in it is the wish to end, its end is the end of this process. A terminal's Ctrl-C
    // comes here alone.
    command.stdin(Stdio::piped()).process_group(0).env("TMPDIR", run.path());
    let mut child = command.spawn().context("cannot run setpriv and unshare")?;
    lab.started(&mut child);
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
    command.args(["--net", "--pid", "--mount", "--fork", "--kill-child"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--");
    Ok(command)
}

/// The lab within, as signals reach it: the first is a wish to end, the second an order.
#[derive(Clone, Debug, Default)]
struct Lab(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    asked: bool,
    child: Option<(Pid, ChildStdin)>,
}

impl Lab {
    /// Watches Ctrl-C and SIGTERM from now on.
    fn watch() -> Result<Self> {
        let lab = Self::default();
        let handler = lab.clone();
        ctrlc::set_handler(move || handler.lock().ask()).context("cannot watch for Ctrl-C")?;
        Ok(lab)
    }

    /// It runs now.
    fn started(&self, child: &mut Child) {
        let mut state = self.lock();
        state.child = child.stdin.take().map(|pipe| (Pid::from_child(child), pipe));
        if std::mem::take(&mut state.asked) {
            state.ask();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self) {
        let again = std::mem::replace(&mut self.asked, true);
        match &mut self.child {
            Some((child, _)) if again => _ = kill_process(*child, Signal::KILL),
            Some((_, pipe)) => _ = pipe.write_all(b"."),
            None => {}
        }
    }
}

/// Says in one sentence what is missing, and the remedy.
fn check(routers: Routers) -> Result<()> {
    if !rustix::process::geteuid().is_root() && routers == Routers::Frr {
        bail!(
            "FRR in network namespaces needs root: run `sudo peerage lab --netns`, or without it `peerage lab`"
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
