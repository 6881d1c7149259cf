//! IPv4 routes over a link that has only link-local addresses (RFC 8950), with nothing told to Peerage but the
//! interface's name: it advertises itself there and finds the daemon by its advertisements (RFC 4861). FRR
//! does the same, also with a TCP MD5 key (RFC 2385). BIRD advertises itself and has our address in its configuration. GoBGP takes our address
//! from the kernel's table of neighbours, into which our advertisement brings it, and only connects.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use peerage_core::{
    speaker::{NeighborKey, PeerAs},
    wire::attr::PathAttributes,
};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Unnumbered, accepting,
    namespace::{OURS, THEIRS, output, run as sh},
    wait,
};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "unnumbered",
    about: "IPv4 over link-local addresses that are found, either side connects",
    heavy: false,
    root: true,
    cannot,
    run,
};

fn cannot(kind: Kind) -> Option<&'static str> {
    (kind == Kind::Openbgpd)
        .then_some("OpenBGPD 7.7 does not have capability 5 (RFC 8950): IPv4 routes need an IPv4 next hop.")
}

/// Another network namespace, for as long as a process is in it.
struct Namespace(Child);

impl Namespace {
    fn new() -> Result<Self> {
        let there =
            Self(Command::new("unshare").args(["--net", "--", "sleep", "600"]).stdin(Stdio::null()).spawn()?);
        // unshare has not made it yet when it is spawned.
        wait("the other namespace", || {
            let own = std::fs::read_link("/proc/self/ns/net").ok()?;
            (std::fs::read_link(format!("/proc/{}/ns/net", there.0.id())).ok()? != own).then_some(())
        })?;
        Ok(there)
    }

    /// Runs a command in it.
    fn within(&self, line: &str) -> Result<String> {
        let id = self.0.id().to_string();
        let words = ["-t", &id, "-n", "--"].into_iter().chain(line.split_whitespace());
        output(Command::new("nsenter").args(words))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Ours,
    Theirs,
}

fn run(kind: Kind) -> Result<()> {
    let there = Namespace::new()?;
    let id = there.0.id().to_string();
    sh("ip", ["link", "add", "net0", "type", "veth", "peer", "name", "net1", "netns", &id])?;
    sh("ip", ["link", "set", "net0", "up"])?;
    there.within("ip link set lo up")?;
    there.within("ip link set net1 up")?;
    // GoBGP lets nobody know where it is.
    let sides: &[Opens] = if kind == Kind::Gobgp { &[Opens::Theirs] } else { &[Opens::Ours, Opens::Theirs] };
    // Only FRR knows the neighbour by its interface, as we do, and so has a key without an address.
    let keys: &[Option<&str>] = if kind == Kind::Frr { &[None, Some("open-sesame")] } else { &[None] };
    for &side in sides {
        for &secret in keys {
            session(kind, &there, side, secret).with_context(|| format!("{side:?} opens, {secret:?}"))?;
        }
    }
    Ok(())
}

fn session(kind: Kind, there: &Namespace, opens: Opens, secret: Option<&'static str>) -> Result<()> {
    let own = link_local(|| output(Command::new("ip").args(["-6", "-o", "address", "show", "dev", "net0"])))?;
    let peer = link_local(|| there.within("ip -6 -o address show dev net1"))?;
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);

    let listen = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 179);
    let mut ours = Ours::start_listening(OUR_AS, OURS, listen)?;
    let key = NeighborKey::Interface("net0".into());
    let mut neighbor = accepting(THEIR_AS);
    neighbor.asn = PeerAs::External;
    neighbor.passive = opens == Opens::Theirs;
    neighbor.socket.md5_key = secret.map(|it| it.as_bytes().to_vec());
    ours.configure(key.clone(), neighbor)?;
    ours.discover(&["net0"])?;
    if kind == Kind::Gobgp {
        // It looks once, when it starts.
        wait("the kernel to have the neighbour by its advertisement", || {
            let text = there.within("ip -6 neighbor show dev net1").ok()?;
            text.lines()
                .any(|line| line.starts_with(&own.to_string()) && line.contains("lladdr"))
                .then_some(())
        })?;
    }
    let config = Config {
        asn: THEIR_AS,
        address: THEIRS,
        neighbors: Vec::new(),
        routes: vec![announce(theirs, false)],
        unnumbered: Some(Unnumbered {
            interface: "net1".into(),
            process: there.0.id(),
            address: own,
            asn: OUR_AS,
            passive: opens == Opens::Ours,
            key: secret,
        }),
        graceful_restart: false,
    };
    let daemon = Daemon::start(kind, config)?;
    let status = ours.wait_up(key.clone()).with_context(|| daemon.log())?;
    let session = status.session.context("a session")?;
    let port = if opens == Opens::Ours { session.remote.port() } else { session.local.port() };
    ensure!(port == 179, "{session:?}");
    if kind != Kind::Gobgp {
        wait("the daemon to be found by its advertisement", || {
            (ours.status(key.clone()).ok()?.address == Some(IpAddr::V6(peer))).then_some(())
        })?;
    }
    ours.originate([mine], &PathAttributes::default());
    let path = ours.wait_route(theirs)?;
    ensure_path(&path, &[THEIR_AS], IpAddr::V6(peer))?;
    ensure!(path.next_hop.is_some_and(|it| it.is_link_local()), "{path:?}");
    daemon.wait_shows(mine, &[mine.to_string(), own.to_string(), OUR_AS.to_string()])
}

/// The link-local address of an interface, once it may be used.
fn link_local(mut show: impl FnMut() -> Result<String>) -> Result<Ipv6Addr> {
    wait("a link-local address", || {
        let text = show().ok()?;
        let line = text.lines().find(|line| line.contains("scope link") && !line.contains("tentative"))?;
        let address = line.split_whitespace().find(|word| word.starts_with("fe80::"))?;
        address.split('/').next()?.parse().ok()
    })
}
