//! Hold times: the smaller counts, none is none, and one second is refused with NOTIFICATION 2/6.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use anyhow::{Context as _, Result, ensure};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OTHER, OURS, THEIRS},
    raw,
};

use crate::common::{OTHER_AS, OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "hold-time",
    about: "Hold time: the smaller, none, NOTIFICATION 2/6 for 1 s",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let mut config = Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS);
    config.neighbors = vec![
        Peer { address: OURS, asn: OUR_AS, passive: true, hold: 9, key: None, ttl_security: false },
        Peer { address: OTHER, asn: OTHER_AS, passive: true, hold: 90, key: None, ttl_security: false },
    ];
    for (proposed, negotiated) in [(90, 9), (6, 6), (0, 0)] {
        // Another daemon each time: OpenBGPD rests for half a minute after a second reset.
        let daemon = Daemon::start(kind, config.clone())?;
        let notification = raw::answer_to_open(OTHER, SocketAddr::new(THEIRS, 179), OTHER_AS, 1)
            .with_context(|| daemon.log())?;
        ensure!((notification.code, notification.subcode) == (2, 6), "{notification:?}");

        let mut ours = Ours::start(OUR_AS, OURS)?;
        ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
            neighbor.timers.hold = Duration::from_secs(proposed);
            neighbor.timers.keepalive = Duration::from_secs((proposed / 3).max(1));
        })?;
        let session = ours.wait_up(THEIRS).with_context(|| daemon.log())?.session.context("a session")?;
        ensure!(session.hold_time == Duration::from_secs(negotiated), "{session:?}");
        if negotiated == 0 {
            // Nobody says anything any more, and nobody minds.
            sleep(Duration::from_secs(10));
            let after = ours.status(THEIRS)?;
            ensure!(after.session.is_some() && after.dropped == 0, "{after:?}\n{}", daemon.log());
        }
    }
    Ok(())
}
