//! Hold times: the smaller counts, none is none, and one second is refused with NOTIFICATION 2/6.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use anyhow::{Context as _, Result, ensure};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OTHER, OURS, THEIRS},
    raw, wait,
};

use crate::common::{OTHER_AS, OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "hold-time",
    about: "Hold time: the smaller, none, NOTIFICATION 2/6 for 1 s",
    heavy: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let mut config = Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS);
    config.neighbors = vec![
        Peer { address: OURS, asn: OUR_AS, passive: true, hold: 9 },
        Peer { address: OTHER, asn: OTHER_AS, passive: true, hold: 90 },
    ];
    let daemon = Daemon::start(kind, config)?;
    let notification = raw::answer_to_open(OTHER, SocketAddr::new(THEIRS, 179), OTHER_AS, 1)
        .with_context(|| daemon.log())?;
    ensure!((notification.code, notification.subcode) == (2, 6), "{notification:?}");

    let mut ours = Ours::start(OUR_AS, OURS)?;
    for (proposed, negotiated) in [(90, 9), (6, 6), (0, 0)] {
        let (proposed, negotiated) = (Duration::from_secs(proposed), Duration::from_secs(negotiated));
        ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
            neighbor.timers.hold = proposed;
            neighbor.timers.keepalive = (proposed / 3).max(Duration::from_secs(1));
        })?;
        wait(&format!("a session with a hold time of {negotiated:?}"), || {
            let session = ours.status(THEIRS).ok()?.session?;
            (session.hold_time == negotiated).then_some(())
        })
        .with_context(|| format!("{:?}\n{}", ours.status(THEIRS), daemon.log()))?;
    }
    // Nobody says anything any more, and nobody minds.
    let before = ours.status(THEIRS)?;
    sleep(Duration::from_secs(10));
    let after = ours.status(THEIRS)?;
    ensure!(after.session.is_some() && after.dropped == before.dropped, "{after:?}");
    Ok(())
}
