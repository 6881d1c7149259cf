//! The daemon opens the connection, Peerage waits for it.

use anyhow::{Context as _, Result, ensure};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "passive",
    about: "Session, the daemon connects",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let mut ours = Ours::start(OUR_AS, OURS)?;
    ours.neighbor(THEIRS, THEIR_AS, |neighbor| neighbor.passive = true)?;
    let peer = Peer { address: OURS, asn: OUR_AS, passive: false, hold: 90, key: None, ttl_security: false };
    let config = Config { neighbors: vec![peer], ..Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let session = ours.wait_up(THEIRS).with_context(|| daemon.log())?.session.context("a session")?;
    ensure!(session.local.port() == 179, "{session:?}");
    Ok(())
}
