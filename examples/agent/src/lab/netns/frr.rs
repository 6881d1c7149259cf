//! FRR's zebra and bgpd for a router: started without any configuration but the host's name, configured by
//! the topology's own `vtysh` commands, which were understood one by one before and are handed on as words.
//!
//! The daemons and vtysh run in a mount namespace where the directories that FRR has built in (/etc/frr,
//! /run/frr, /var/tmp) are empty and in memory.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_lab_input::Router;
use serde_json::Value;

use super::space::{output, program, within};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked.
const STEP: Duration = Duration::from_millis(10);
/// What FRR writes to by itself.
const BUILT_IN: [&str; 4] = ["/var/tmp", "/etc/frr", "/run/frr", "/var/log/frr"];

/// FRR on this machine, within the lab.
#[derive(Debug)]
pub(super) struct Frr {
    run: PathBuf,
    /// The file of its mount namespace.
    mounts: PathBuf,
    /// The process that holds it.
    holder: Mutex<Child>,
    /// Which FRR it is.
    version: String,
}

/// FRR as one router.
#[derive(Debug)]
pub(super) struct Daemons {
    dir: PathBuf,
    children: Vec<(&'static str, Child)>,
}

impl Frr {
    /// Makes the place where FRR runs.
    pub(super) fn prepare(run: &Path) -> Result<Self> {
        // A process holds it: to mount a mount namespace's file, as `unshare --mount=FILE` does, fails now and
        // then (EINVAL, seen with Linux 6.18).
        let holder = program("unshare", run)?
            .args(["--mount", "--", "sleep", "infinity"])
            .spawn()
            .context("cannot run unshare")?;
        let mounts = PathBuf::from(format!("/proc/{}/ns/mnt", holder.id()));
        let mut frr =
            Self { run: run.to_owned(), mounts, holder: Mutex::new(holder), version: String::new() };
        let own = fs::read_link("/proc/self/ns/mnt").context("cannot read /proc/self/ns/mnt")?;
        let deadline = Instant::now() + PATIENCE;
        while fs::read_link(&frr.mounts).is_ok_and(|there| there == own) {
            if Instant::now() >= deadline {
                bail!("unshare makes no mount namespace");
            }
            thread::sleep(STEP);
        }
        for folder in BUILT_IN.into_iter().filter(|folder| Path::new(folder).is_dir()) {
            output(frr.command("mount")?.args(["-t", "tmpfs", "-o", "mode=755", "tmpfs", folder]))?;
        }
        // `bgpd version 8.4.4`
        let said = output(frr.command("frr/bgpd")?.arg("--version"))?;
        frr.version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
        Ok(frr)
    }

    /// Which FRR it is.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// That its place is still there.
    pub(super) fn check(&self) -> Result<()> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        match holder.try_wait()? {
            Some(status) => bail!("what holds FRR's mount namespace ended: {status}"),
            None => Ok(()),
        }
    }

    /// A program in FRR's mount namespace.
    fn command(&self, name: &str) -> Result<Command> {
        let mut option = std::ffi::OsString::from("--mount=");
        option.push(&self.mounts);
        let path = super::outside::find(name).with_context(|| format!("{name} is not installed"))?;
        let mut command = program("nsenter", &self.run)?;
        command.arg(option).arg("--").arg(path);
        Ok(command)
    }

    /// Runs FRR as a router, in its namespace.
    pub(super) fn start(&self, index: usize, router: &Router, space: &Path) -> Result<Daemons> {
        // By its number: a name can be too long for a socket's path.
        let dir = self.run.join("frr").join(index.to_string());
        // The daemons change to a user of their own.
        let owned = ["-d", "-m", "0755", "-o", "frr", "-g", "frr"];
        output(program("install", &self.run)?.args(owned).arg(&dir))?;
        // In a container this would be the host's name; FRR tells it to neighbours.
        for file in ["zebra.conf", "bgpd.conf", "vtysh.conf"] {
            let text =
                if file == "vtysh.conf" { String::new() } else { format!("hostname {}\n", router.name) };
            fs::write(dir.join(file), text)
                .with_context(|| format!("cannot write {}", dir.join(file).display()))?;
        }
        let mut daemons = Daemons { dir, children: Vec::new() };
        within(space, || {
            daemons.run(self, "zebra", &["-s", "90000000"])?;
            daemons.run(self, "bgpd", &[])?;
            Ok(())
        })?;
        for commands in &router.vtysh {
            let said = self.vtysh(&daemons, commands.iter().map(String::as_str))?;
            // vtysh ends with success after some of what it does not understand.
            if let Some(line) = said.lines().find(|line| line.trim_start().starts_with('%')) {
                bail!("FRR does not take a command of {}: {line}", router.name);
            }
        }
        Ok(daemons)
    }

    /// What vtysh says to commands, each of them one word of its.
    pub(super) fn vtysh<'a>(
        &self,
        daemons: &Daemons,
        commands: impl IntoIterator<Item = &'a str>,
    ) -> Result<String> {
        let mut command = self.command("vtysh")?;
        command.arg("--vty_socket").arg(&daemons.dir).arg("--config_dir").arg(&daemons.dir);
        for line in commands {
            command.args(["-c", line]);
        }
        output(&mut command)
    }

    /// What vtysh says to commands that answer with JSON.
    pub(super) fn json(&self, daemons: &Daemons, commands: &[&str]) -> Result<Vec<Value>> {
        let text = self.vtysh(daemons, commands.iter().copied())?;
        serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .with_context(|| format!("vtysh -c {commands:?} said no JSON: {text}"))
    }
}

impl Daemons {
    /// Starts a daemon in the calling thread's network namespace and waits until it answers.
    fn run(&mut self, frr: &Frr, name: &'static str, more: &[&str]) -> Result<()> {
        let file = |suffix: &str| self.dir.join(format!("{name}.{suffix}"));
        let log =
            File::create(file("out")).with_context(|| format!("cannot make {}", file("out").display()))?;
        let mut command = frr.command(&format!("frr/{name}"))?;
        command.arg("-f").arg(file("conf")).arg("-i").arg(file("pid"));
        command.arg("-z").arg(self.dir.join("zserv.api")).arg("--vty_socket").arg(&self.dir);
        command.args(["-A", "127.0.0.1", "-P", "0", "--log-level", "informational"]).args(more);
        let mut target = std::ffi::OsString::from("file:");
        target.push(file("log"));
        command.arg("--log").arg(target);
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot run nsenter")?;
        self.children.push((name, child));
        let ready = if name == "zebra" { self.dir.join("zserv.api") } else { file("vty") };
        self.wait(&[&file("vty"), &ready])
    }

    /// Until sockets are answered.
    fn wait(&mut self, sockets: &[&Path]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while sockets.iter().any(|socket| UnixStream::connect(socket).is_err()) {
            self.check()?;
            if Instant::now() >= deadline {
                bail!("FRR does not answer in {}\n{}", self.dir.display(), self.said());
            }
            thread::sleep(STEP);
        }
        Ok(())
    }

    /// That every daemon lives.
    pub(super) fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let name = *name;
                bail!("FRR's {name} in {} ended: {status}\n{}", self.dir.display(), self.said());
            }
        }
        Ok(())
    }

    /// What the daemons wrote.
    fn said(&self) -> String {
        let files = ["zebra.out", "zebra.log", "bgpd.out", "bgpd.log"];
        files.iter().map(|file| fs::read_to_string(self.dir.join(file)).unwrap_or_default()).collect()
    }
}
