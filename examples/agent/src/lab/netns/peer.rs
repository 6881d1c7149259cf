//! Peerage as a program in a namespace of the lab: a router by a file, or a node's agent.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_lab_input::Router;
use rustix::process::{Pid, Signal, kill_process};

use super::{plan::node_file, space};
use crate::{
    cli::{FamilyName, Format, Runtime, What},
    control::{Request, Response, ask},
};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked.
const STEP: Duration = Duration::from_millis(10);

/// A process of Peerage that answers at a socket.
#[derive(Debug)]
pub(super) struct Peer {
    name: String,
    socket: PathBuf,
    log: PathBuf,
    child: Child,
}

impl Peer {
    /// `peerage router` as a router of the lab.
    pub(super) fn start(index: usize, router: &Router, run: &Path, runtime: Runtime) -> Result<Self> {
        // By its number: a name can be too long for a socket's path.
        let dir = run.join("routers").join(index.to_string());
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let file = dir.join("peerage.toml");
        let config = peerage_config::Config::new(router.desired.clone());
        fs::write(&file, peerage_config::render(&config))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let words = ["router".as_ref(), "-c".as_ref(), file.as_os_str()];
        let mut peer = Self::spawn(&router.name, &words, &dir, run, &node_file(&router.name), runtime)?;
        peer.wait()?;
        Ok(peer)
    }

    /// Starts a process in a namespace, with its socket and log in `dir`.
    pub(super) fn spawn(
        name: &str,
        words: &[&std::ffi::OsStr],
        dir: &Path,
        run: &Path,
        space: &str,
        runtime: Runtime,
    ) -> Result<Self> {
        let (socket, log) = (dir.join("control.sock"), dir.join("log"));
        let output = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        // This very program, also where its file was replaced since.
        let mut command = Command::new("/proc/self/exe");
        space::plain(&mut command, run);
        let runtime = match runtime {
            Runtime::Tokio => "tokio",
            Runtime::Smol => "smol",
        };
        command.args(words).arg("--runtime").arg(runtime).arg("--socket").arg(&socket);
        command.stdout(output.try_clone()?).stderr(output);
        let child = space::within(&run.join(space), || command.spawn().context("cannot run peerage"))?;
        Ok(Self { name: name.to_owned(), socket, log, child })
    }

    /// Until it answers.
    pub(super) fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(&self.socket).is_err() {
            self.check()?;
            if Instant::now() >= deadline {
                bail!("{} does not answer\n{}", self.name, self.said());
            }
            std::thread::sleep(STEP);
        }
        Ok(())
    }

    /// That it lives.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the Peerage of {} ended: {status}\n{}", self.name, self.said()),
            None => Ok(()),
        }
    }

    /// What it wrote.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Who it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Asks it.
    pub(super) fn ask(&self, request: &Request) -> Result<Response> {
        ask(&self.socket, request).with_context(|| format!("{} does not answer", self.name))
    }

    /// A view of it.
    pub(super) fn show(&self, show: What, format: Format, family: FamilyName) -> Result<String> {
        let response = self.ask(&Request::Show { show, node: None, format, family })?;
        if !response.done {
            bail!("{}: {}", self.name, response.complaint.trim_end());
        }
        Ok(response.output)
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        _ = id.map(|id| kill_process(id, Signal::TERM));
    }

    /// Whether it has ended.
    pub(super) fn is_gone(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}
