//! Real daemons: configured, started, asked, stopped, killed.
//!
//! Each runs in the cell's namespaces at port 179 of its own loopback address, with its files in a folder
//! that goes with it.

mod bird;
mod frr;
mod gobgp;
mod openbgpd;

use std::{
    fmt, fs,
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use peerage_core::wire::Family;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::{install::is_there, namespace::FILES, wait, wait_within};

/// Which daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// FRR's bgpd, where needed with zebra.
    Frr,
    /// BIRD 2.
    Bird,
    /// GoBGP.
    Gobgp,
    /// OpenBGPD, its portable edition.
    Openbgpd,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Frr, Self::Bird, Self::Gobgp, Self::Openbgpd];

    /// What a filter calls it.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Frr => "frr",
            Self::Bird => "bird",
            Self::Gobgp => "gobgp",
            Self::Openbgpd => "openbgpd",
        }
    }

    /// The Debian package that has it.
    pub const fn package(self) -> &'static str {
        match self {
            Self::Frr => "frr",
            Self::Bird => "bird2",
            Self::Gobgp => "gobgpd",
            Self::Openbgpd => "openbgpd",
        }
    }

    /// The programs that have to be there, each with its package, as [`install`](crate::install::install)
    /// wants them.
    pub fn wanted(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.programs().iter().map(move |program| (*program, self.package())).chain([("ip", "iproute2")])
    }

    /// The programs that have to be there.
    const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Frr => &[frr::BGPD, frr::ZEBRA, "/usr/bin/vtysh"],
            Self::Bird => &["/usr/sbin/bird", "/usr/sbin/birdc"],
            Self::Gobgp => &["/usr/bin/gobgpd", "/usr/bin/gobgp"],
            Self::Openbgpd => &["/usr/sbin/bgpd", "/usr/sbin/bgpctl"],
        }
    }

    /// Whether any of them is not.
    pub(crate) fn missing(self) -> bool {
        !self.programs().iter().all(|program| is_there(program))
    }

    /// Its version, from itself.
    pub fn version(self) -> Option<String> {
        let (program, flag) = match self {
            Self::Frr => (frr::BGPD, "--version"),
            Self::Bird => ("/usr/sbin/bird", "--version"),
            Self::Gobgp => ("/usr/bin/gobgpd", "--version"),
            Self::Openbgpd => ("/usr/sbin/bgpd", "-V"),
        };
        // BIRD and OpenBGPD say it on standard error.
        let output = Command::new(program).arg(flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
    }

    /// Whether it changes to a user of its own, which takes more than a user namespace.
    pub(crate) fn needs_root(self) -> bool {
        self == Self::Openbgpd
    }

    fn driver(self) -> Box<dyn Driver> {
        match self {
            Self::Frr => Box::new(frr::Frr),
            Self::Bird => Box::new(bird::Bird),
            Self::Gobgp => Box::new(gobgp::Gobgp),
            Self::Openbgpd => Box::new(openbgpd::Openbgpd),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Frr => "FRR",
            Self::Bird => "BIRD",
            Self::Gobgp => "GoBGP",
            Self::Openbgpd => "OpenBGPD",
        })
    }
}

/// What a daemon is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its AS.
    pub asn: u32,
    /// Where it is.
    pub address: IpAddr,
    /// Its neighbours.
    pub neighbors: Vec<Peer>,
    /// What it originates.
    pub routes: Vec<Announce>,
    /// A neighbour on a link.
    pub unnumbered: Option<Unnumbered>,
    /// Whether it keeps routes of a neighbour that restarts, where it has to be told to.
    pub graceful_restart: bool,
}

impl Config {
    /// A daemon with one neighbour that it does not connect to.
    pub fn passive(asn: u32, address: IpAddr, peer: IpAddr, peer_asn: u32) -> Self {
        let peer =
            Peer { address: peer, asn: peer_asn, passive: true, hold: 90, key: None, ttl_security: false };
        Self {
            asn,
            address,
            neighbors: vec![peer],
            routes: Vec::new(),
            unnumbered: None,
            graceful_restart: false,
        }
    }

    fn router_id(&self) -> Ipv4Addr {
        match self.address {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => Ipv4Addr::new(10, 77, 6, v6.octets()[15]),
        }
    }

    fn is_internal(&self, peer: &Peer) -> bool {
        peer.asn == self.asn
    }
}

/// A neighbour on a link that has only link-local addresses. The daemon runs in the network namespace of
/// another process, where its end of the link is.
#[derive(Clone, Debug)]
pub struct Unnumbered {
    /// The daemon's interface.
    pub interface: String,
    /// The process.
    pub process: u32,
    /// The neighbour's link-local address, for daemons that cannot find it out.
    pub address: Ipv6Addr,
    /// Its AS.
    pub asn: u32,
    /// Whether the daemon only waits for it.
    pub passive: bool,
    /// The TCP MD5 key of the session, for FRR.
    pub key: Option<&'static str>,
}

impl Unnumbered {
    /// What puts a command into the other network namespace.
    fn within(&self, line: &str) -> Command {
        command(&format!("nsenter -t {} -n -- {line}", self.process))
    }
}

/// A neighbour of a daemon. Its families are those of its address.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: IpAddr,
    /// Its AS.
    pub asn: u32,
    /// Whether the daemon only waits for it.
    pub passive: bool,
    /// The hold time that the daemon proposes, in seconds.
    pub hold: u16,
    /// The TCP MD5 key of the session (RFC 2385).
    pub key: Option<&'static str>,
    /// Whether it has to be directly connected, by its TTL (RFC 5082).
    pub ttl_security: bool,
}

/// A route that a daemon originates.
#[derive(Clone, Debug)]
pub struct Announce {
    /// Its prefix.
    pub prefix: IpNet,
    /// Whether it has [`COMMUNITY`], [`LARGE`], [`EXTENDED`], [`MED`] and [`LOCAL_PREF`].
    pub decorated: bool,
}

/// The community of decorated routes, 65001:100.
pub const COMMUNITY: (u16, u16) = (65001, 100);
/// The large community of decorated routes.
pub const LARGE: (u32, u32, u32) = (4_200_000_001, 1, 2);
/// The extended community of decorated routes, a route target: its AS and its number.
pub const EXTENDED: (u16, u32) = (65001, 300);
/// The MULTI_EXIT_DISC of decorated routes.
pub const MED: u32 = 77;
/// The LOCAL_PREF of decorated routes, within an AS.
pub const LOCAL_PREF: u32 = 250;

/// How the attributes of decorated routes look where a daemon shows them.
#[derive(Clone, Debug)]
pub struct Marks {
    /// All three communities and the MED.
    pub transitive: Vec<String>,
    /// LOCAL_PREF.
    pub local_pref: String,
}

/// What differs from daemon to daemon.
trait Driver: fmt::Debug {
    /// The configuration file: its name and text.
    fn file(&self, config: &Config, dir: &Path) -> (&'static str, String);
    /// What to run, in order.
    fn commands(&self, config: &Config, dir: &Path) -> Vec<Command>;
    /// Whether it answers.
    fn is_ready(&self, dir: &Path) -> bool;
    /// What its configuration file cannot say.
    fn originate(&self, _config: &Config, _dir: &Path) -> Result<()> {
        Ok(())
    }
    /// How many prefixes it has from a neighbour.
    fn received(&self, dir: &Path, index: usize, peer: &Peer) -> Result<usize>;
    /// What it shows of a prefix; empty, or without the prefix, where it has none.
    fn route(&self, dir: &Path, prefix: IpNet) -> Result<String>;
    /// What it shows of a neighbour.
    fn neighbor(&self, dir: &Path, index: usize, peer: &Peer) -> Result<String>;
    /// Ends a session as an operator would; it comes up again.
    fn reset(&self, dir: &Path, index: usize, peer: &Peer) -> Result<()>;
    /// How decorated routes look.
    fn marks(&self) -> Marks;
}

/// A daemon.
#[derive(Debug)]
pub struct Daemon {
    kind: Kind,
    config: Config,
    driver: Box<dyn Driver>,
    // Before the folder: processes end before their files go.
    processes: Vec<Process>,
    dir: TempDir,
}

impl Daemon {
    /// Starts a daemon and waits until it answers.
    ///
    /// # Errors
    /// If it does not; the text has its log.
    pub fn start(kind: Kind, config: Config) -> Result<Self> {
        let driver = kind.driver();
        let dir = tempfile::Builder::new().prefix(kind.id()).tempdir_in(FILES)?;
        let mut daemon = Self { kind, config, driver, processes: Vec::new(), dir };
        daemon.restart()?;
        Ok(daemon)
    }

    /// Starts it again after [`Daemon::kill`].
    ///
    /// # Errors
    /// If it does not answer; the text has its log.
    pub fn restart(&mut self) -> Result<()> {
        let (name, text) = self.driver.file(&self.config, self.dir.path());
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        // OpenBGPD reads no file that others may read; FRR's daemons may not be root when they read theirs.
        let (file, folder) = if self.kind == Kind::Frr { (0o644, 0o777) } else { (0o600, 0o700) };
        fs::set_permissions(&path, fs::Permissions::from_mode(file))?;
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(folder))?;
        for command in self.driver.commands(&self.config, self.dir.path()) {
            self.processes.push(Process::spawn(command, &self.dir.path().join("log"))?);
        }
        let what = format!("{} to answer", self.kind);
        wait_within(Duration::from_secs(15), &what, || self.driver.is_ready(self.dir.path()).then_some(()))
            .with_context(|| self.log())?;
        self.driver.originate(&self.config, self.dir.path()).with_context(|| self.log())
    }

    /// Ends it without letting it say anything.
    pub fn kill(&mut self) {
        self.processes.clear();
        // GoBGP does not start where this is left behind.
        let _ = fs::remove_file(self.dir.path().join(gobgp::API));
    }

    /// Stops it where it stands: its sockets stay open and nobody reads them.
    ///
    /// # Errors
    /// If it is not running.
    pub fn pause(&self) -> Result<()> {
        self.processes.iter().try_for_each(|process| process.signal(Signal::STOP))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If it is not running.
    pub fn resume(&self) -> Result<()> {
        self.processes.iter().try_for_each(|process| process.signal(Signal::CONT))
    }

    /// How many prefixes it has from its neighbour number `index`.
    ///
    /// # Errors
    /// If it does not say.
    pub fn received(&self, index: usize) -> Result<usize> {
        self.driver.received(self.dir.path(), index, self.peer(index)?)
    }

    /// Waits until it has so many prefixes from a neighbour.
    ///
    /// # Errors
    /// If it does not get them; the text has what it shows and its log.
    pub fn wait_received(&self, index: usize, count: usize) -> Result<()> {
        wait(&format!("{} to have {count} prefixes", self.kind), || {
            self.received(index).is_ok_and(|it| it == count).then_some(())
        })
        .with_context(|| format!("{:?}\n{}", self.received(index), self.log()))
    }

    /// What it shows of a prefix.
    ///
    /// # Errors
    /// If it does not say.
    pub fn route(&self, prefix: IpNet) -> Result<String> {
        self.driver.route(self.dir.path(), prefix)
    }

    /// Waits until what it shows of a prefix has all of these words.
    ///
    /// # Errors
    /// If it never has; the text has what it shows.
    pub fn wait_shows(&self, prefix: IpNet, words: &[String]) -> Result<()> {
        wait(&format!("{} to show {prefix} with {words:?}", self.kind), || {
            let text = self.route(prefix).ok()?;
            words.iter().all(|word| text.contains(word)).then_some(())
        })
        .with_context(|| format!("{:?}", self.route(prefix)))
    }

    /// What it shows of its neighbour number `index`, and its log.
    ///
    /// # Errors
    /// If it does not say.
    pub fn neighbor(&self, index: usize) -> Result<String> {
        self.driver.neighbor(self.dir.path(), index, self.peer(index)?)
    }

    /// Ends a session as an operator would; it comes up again.
    ///
    /// # Errors
    /// If it refuses to.
    pub fn reset(&self, index: usize) -> Result<()> {
        self.driver.reset(self.dir.path(), index, self.peer(index)?)
    }

    /// How decorated routes look.
    pub fn marks(&self) -> Marks {
        self.driver.marks()
    }

    /// Its last words.
    pub fn log(&self) -> String {
        let text = fs::read(self.dir.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        format!(
            "log of {}:\n{}",
            self.kind,
            lines.get(lines.len().saturating_sub(100)..).unwrap_or(&[]).join("\n")
        )
    }

    fn peer(&self, index: usize) -> Result<&Peer> {
        self.config.neighbors.get(index).with_context(|| format!("no neighbour number {index}"))
    }
}

/// The family of a prefix or an address.
pub fn family(is_ipv4: bool) -> Family {
    if is_ipv4 { Family::IPV4_UNICAST } else { Family::IPV6_UNICAST }
}

/// A process and those that it starts: they end with this value.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn spawn(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let errors = log.try_clone()?;
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map(Self)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        Ok(kill_process_group(id, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group is its own as long as it has not been waited for.
        let _ = self.signal(Signal::KILL);
        let _ = self.0.wait();
    }
}

/// A program with arguments that are separated by white space; none has any in it.
fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn display(path: &Path, name: &str) -> String {
    path.join(name).display().to_string()
}
