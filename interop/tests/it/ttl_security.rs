//! GTSM (RFC 5082), whoever connects: where only one end asks for it, the other's TTL is too low and the kernel
//! drops what comes, as its counter says; where both do, the session comes up.

use anyhow::{Context as _, Result, ensure};
use peerage_core::wire::attr::PathAttributes;
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_kept_out, net, wait_dropped};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "ttl-security",
    about: "GTSM, either side connects: dropped where one end alone asks for it",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    for we_connect in [true, false] {
        let who = || format!("Peerage connects: {we_connect}");
        session(kind, we_connect, false).context("only Peerage asks").with_context(who)?;
        session(kind, we_connect, true).context("the daemon asks").with_context(who)?;
    }
    Ok(())
}

fn session(kind: Kind, we_connect: bool, they_ask: bool) -> Result<()> {
    let theirs = net("198.18.1.0/24")?;
    let peer =
        Peer { address: OURS, asn: OUR_AS, passive: we_connect, hold: 90, key: None, ttl_security: they_ask };
    let mut config = Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS);
    (config.neighbors, config.routes) = (vec![peer], vec![announce(theirs, false)]);
    let mut ours = Ours::start(OUR_AS, OURS)?;
    let with = |ours: &mut Ours, we_ask: bool| {
        ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
            neighbor.passive = !we_connect;
            neighbor.socket.ttl = Some(if we_ask { 255 } else { 64 });
            neighbor.socket.min_ttl = we_ask.then_some(255);
        })
    };
    with(&mut ours, !they_ask)?;
    let daemon = Daemon::start(kind, config)?;
    let reason = ["TCPMinTTLDrop"];
    if they_ask {
        // The others begin to check some moments after they have accepted, so that a session may come up first.
        wait_dropped(&reason).with_context(|| daemon.log())?;
    } else {
        ensure_kept_out(&ours, &reason).with_context(|| daemon.log())?;
    }
    // Now both ask for it, or neither.
    with(&mut ours, they_ask)?;
    let session = ours.wait_up(THEIRS).with_context(|| daemon.log())?.session.context("a session")?;
    let port = if we_connect { session.remote.port() } else { session.local.port() };
    ensure!(port == 179, "{session:?}");
    ours.wait_route(theirs)?;
    // And what is sent from now on arrives.
    let mine = net("198.18.2.0/24")?;
    ours.originate([mine], &PathAttributes::default());
    daemon.wait_shows(mine, &[mine.to_string(), OUR_AS.to_string()])
}
