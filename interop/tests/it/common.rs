//! What several behaviours need.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use peerage_core::{
    rib::Path,
    wire::{
        Asn, Community, ExtendedCommunity, LargeCommunity,
        attr::{AsPath, PathAttributes},
    },
};
use peerage_interop::{
    Announce, Config, Daemon, Kind, Ours, Peer,
    daemon::{COMMUNITY, EXTENDED, LARGE, LOCAL_PREF, MED},
    namespace::{OTHER, OURS, THEIRS},
    wait,
};

/// Peerage's AS.
pub(crate) const OUR_AS: u32 = 65001;
/// The daemon's.
pub(crate) const THEIR_AS: u32 = 65002;
/// The second Peerage's.
pub(crate) const OTHER_AS: u32 = 65003;

pub(crate) fn net(text: &str) -> Result<IpNet> {
    text.parse().with_context(|| text.to_owned())
}

/// A route as a daemon originates it.
pub(crate) fn announce(prefix: IpNet, decorated: bool) -> Announce {
    Announce { prefix, decorated }
}

/// A session over IPv4 between Peerage, which connects, and a daemon that originates `routes`.
pub(crate) fn pair(kind: Kind, routes: Vec<Announce>) -> Result<(Ours, Daemon)> {
    let config = Config { routes, ..Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let mut ours = Ours::start(OUR_AS, OURS)?;
    ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    Ok((ours, daemon))
}

/// A daemon between two Peerages: what one tells it, it tells the other.
pub(crate) struct Transit {
    pub(crate) ours: Ours,
    pub(crate) other: Ours,
    pub(crate) daemon: Daemon,
}

impl Transit {
    pub(crate) fn start(kind: Kind) -> Result<Self> {
        let mut config = Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS);
        config.neighbors.push(Peer {
            address: OTHER,
            asn: OTHER_AS,
            passive: true,
            hold: 90,
            key: None,
            ttl_security: false,
        });
        let daemon = Daemon::start(kind, config)?;
        let mut ours = Ours::start(OUR_AS, OURS)?;
        let mut other = Ours::start(OTHER_AS, OTHER)?;
        ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
        other.neighbor(THEIRS, THEIR_AS, |_| {})?;
        ours.wait_up(THEIRS).with_context(|| daemon.log())?;
        other.wait_up(THEIRS).with_context(|| daemon.log())?;
        Ok(Self { ours, other, daemon })
    }
}

/// What decorated routes have.
pub(crate) fn decoration() -> PathAttributes {
    let ([a, b], [c, d, e, f]) = (EXTENDED.0.to_be_bytes(), EXTENDED.1.to_be_bytes());
    PathAttributes {
        communities: vec![Community::new(COMMUNITY.0, COMMUNITY.1)],
        // A route target with a two-octet AS (RFC 4360 §4).
        extended_communities: vec![ExtendedCommunity([0, 2, a, b, c, d, e, f])],
        large_communities: vec![LargeCommunity { global: LARGE.0, local1: LARGE.1, local2: LARGE.2 }],
        med: Some(MED),
        local_pref: Some(LOCAL_PREF),
        ..PathAttributes::default()
    }
}

/// The communities of a path are those of decorated routes.
pub(crate) fn ensure_communities(path: &Path) -> Result<()> {
    let (is, wanted) = (&path.attributes, decoration());
    ensure!(is.communities == wanted.communities, "{is:?}");
    ensure!(is.extended_communities == wanted.extended_communities, "{is:?}");
    ensure!(is.large_communities == wanted.large_communities, "{is:?}");
    Ok(())
}

/// A path's AS_PATH and next hop.
pub(crate) fn ensure_path(path: &Path, asns: &[u32], next_hop: IpAddr) -> Result<()> {
    let wanted = AsPath::sequence(asns.iter().copied().map(Asn));
    ensure!(path.attributes.as_path == wanted, "{:?}", path.attributes);
    ensure!(path.next_hop.is_some_and(|it| it.address() == next_hop), "{:?}", path.next_hop);
    Ok(())
}

/// How many segments the kernel has dropped in this cell, for such reasons (TcpExt of /proc/net/netstat).
pub(crate) fn dropped(reasons: &[&str]) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
    let wanted = names.split(' ').zip(values.split(' ')).filter(|(name, _)| reasons.contains(name));
    Ok(wanted.filter_map(|(_, value)| value.parse::<u64>().ok()).sum())
}

/// Waits until several more segments are dropped for such reasons.
pub(crate) fn wait_dropped(reasons: &[&str]) -> Result<()> {
    let before = dropped(reasons)?;
    wait(&format!("segments to be dropped: {reasons:?}"), || {
        (dropped(reasons).ok()? >= before + 4).then_some(())
    })
}

/// Likewise, and there was no session with the daemon so far.
pub(crate) fn ensure_kept_out(ours: &Ours, reasons: &[&str]) -> Result<()> {
    wait_dropped(reasons)?;
    let status = ours.status(THEIRS)?;
    ensure!(status.established == 0, "{status:?}");
    Ok(())
}
