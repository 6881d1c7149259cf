//! A daemon that stops reading while Peerage has 100,000 routes for it and for another peer: the other
//! peer gets them, the hold timer ends the daemon's session, and when it goes on it gets them, too.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use peerage_core::{
    speaker::DownReason,
    wire::{Family, attr::PathAttributes},
};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OTHER, OURS, THEIRS},
    prefix,
};

use crate::common::{OTHER_AS, OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "stopped-reader",
    about: "A stopped reader: others unaffected, hold timer, recovery",
    heavy: true,
    root: false,
    cannot: all_can,
    run,
};

const COUNT: u32 = 100_000;
const HOLD: u16 = 9;

fn run(kind: Kind) -> Result<()> {
    // Of this network namespace: the routes would fit into the buffers that the system allows otherwise.
    for buffers in ["tcp_rmem", "tcp_wmem"] {
        fs::write(format!("/proc/sys/net/ipv4/{buffers}"), "4096 16384 65536")?;
    }
    let peer = Peer { address: OURS, asn: OUR_AS, passive: true, hold: HOLD, key: None, ttl_security: false };
    let config = Config { neighbors: vec![peer], ..Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let mut ours = Ours::start(OUR_AS, OURS)?;
    let mut other = Ours::start(OTHER_AS, OTHER)?;
    ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
    ours.neighbor(OTHER, OTHER_AS, |neighbor| neighbor.passive = true)?;
    other.neighbor(OURS, OUR_AS, |_| {})?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    ours.wait_up(OTHER)?;

    daemon.pause()?;
    ours.originate((0..COUNT).map(prefix), &PathAttributes::default());
    other.wait_count(Duration::from_secs(30), Family::IPV4_UNICAST, COUNT as usize)?;
    ours.wait_end(
        "the hold timer expire, 4/0",
        |reason| matches!(reason, DownReason::Sent(it) if it.code == 4),
    )?;
    ensure!(!ours.is_up(THEIRS));
    daemon.resume()?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    daemon.wait_received(0, COUNT as usize)?;
    let status = ours.status(OTHER)?;
    ensure!(status.session.is_some() && status.dropped == 0, "{status:?}");
    ensure!(other.count(Family::IPV4_UNICAST) == COUNT as usize);
    Ok(())
}
