//! The speakers under test: configured alike, started, ended.
//!
//! AS 65000, eBGP over several hops on loopback addresses, passive, everything accepted and everything
//! announced, no kernel routes, the peers' family only.

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::{
    table::Version,
    workload::{ASN, Neighbor, Workload},
};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rival {
    /// BIRD 2.
    Bird,
    /// `peerage router --runtime tokio`.
    Tokio,
    /// `peerage router --runtime smol`.
    Smol,
}

impl Rival {
    pub(crate) const ALL: [Self; 3] = [Self::Bird, Self::Tokio, Self::Smol];

    /// What the command line calls it.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Bird => "bird",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
        }
    }
}

impl std::fmt::Display for Rival {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Bird => "BIRD",
            Self::Tokio => "Peerage, tokio",
            Self::Smol => "Peerage, smol",
        })
    }
}

/// A running speaker. It ends with this value.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Writes its configuration to `folder` and starts it. It may not listen yet.
    pub(crate) fn start(rival: Rival, workload: &Workload, peerage: &Path, folder: &Path) -> Result<Self> {
        let neighbors = [workload.senders(), workload.receivers()].concat();
        let (config, control) = (folder.join("config"), folder.join("control"));
        let (text, mut command) = match rival {
            Rival::Bird => {
                let mut command = Command::new("bird");
                command.arg("-f").arg("-c").arg(&config).arg("-s").arg(&control);
                command.arg("-P").arg(folder.join("pid"));
                (bird(workload, &neighbors), command)
            }
            Rival::Tokio | Rival::Smol => {
                let mut command = Command::new(peerage);
                command.args(["router", "--runtime", rival.id(), "-c"]).arg(&config);
                command.arg("--socket").arg(&control);
                (peerage_config(workload, &neighbors), command)
            }
        };
        fs::write(&config, text)?;
        let log = folder.join("log");
        let output = File::create(&log)?;
        let errors = output.try_clone()?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If it does not; the text has its last words.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended: {status}\n{}", self.last_words()),
            None => Ok(()),
        }
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its next hops are resolved in a table of their own, for on loopback nothing is directly connected.
fn bird(workload: &Workload, neighbors: &[Neighbor]) -> String {
    let (family, hops) = match workload.version {
        Version::V4 => ("ipv4", "192.0.2.0/24"),
        Version::V6 => ("ipv6", "2001:db8::/32"),
    };
    let mut text = format!(
        "log stderr {{ warning, error, fatal, bug }};
router id 127.0.0.1;
protocol device {{ }}
{family} table hops;
protocol static {{ {family} {{ table hops; }}; route {hops} via \"lo\"; }}
template bgp peer {{
    multihop;
    passive;
    strict bind yes;
    {family} {{ igp table hops; import all; export all; }};
}}
"
    );
    for (index, Neighbor { asn, address, local }) in neighbors.iter().enumerate() {
        let _ = writeln!(
            text,
            "protocol bgp p{index} from peer {{ local {} port {} as {ASN}; neighbor {address} as {asn}; }}",
            local.ip(),
            local.port(),
        );
    }
    text
}

fn peerage_config(workload: &Workload, neighbors: &[Neighbor]) -> String {
    let mut listen: Vec<SocketAddr> = neighbors.iter().map(|it| it.local).collect();
    listen.sort_unstable();
    listen.dedup();
    let listen: Vec<String> = listen.iter().map(SocketAddr::to_string).collect();
    let family = match workload.version {
        Version::V4 => "ipv4-unicast",
        Version::V6 => "ipv6-unicast",
    };
    let mut text = format!(
        "as = {ASN}
router-id = \"127.0.0.1\"
log = \"warn\"
listen = {listen:?}

[group.peers]
passive = true
multihop = 64
families = [\"{family}\"]
import = \"accept\"
export = \"accept\"
"
    );
    for Neighbor { asn, address, local } in neighbors {
        let _ = write!(
            text,
            "
[neighbor.\"{address}\"]
group = \"peers\"
as = {asn}
local-address = \"{}\"
",
            local.ip()
        );
    }
    text
}
