//! An OPEN with another AS than is configured: NOTIFICATION 2/2, from either side.

use anyhow::{Context as _, Result, ensure};
use peerage_core::speaker::DownReason;
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, all_can,
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "wrong-as",
    about: "Wrong AS: NOTIFICATION 2/2 from either side",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

const WRONG: u32 = 65099;

fn run(kind: Kind) -> Result<()> {
    let mut ours = Ours::start(OUR_AS, OURS)?;
    {
        let daemon = Daemon::start(kind, Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS))?;
        ours.neighbor(THEIRS, WRONG, |_| {})?;
        ours.wait_end(
            "the daemon's AS refused",
            |reason| matches!(reason, DownReason::Sent(it) if (it.code, it.subcode) == (2, 2)),
        )
        .with_context(|| daemon.log())?;
        ensure!(!ours.is_up(THEIRS));
        // Put right, it comes up.
        ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
        ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    }
    let daemon = Daemon::start(kind, Config::passive(THEIR_AS, THEIRS, OURS, WRONG))?;
    ours.wait_end(
        "its own AS refused",
        |reason| matches!(reason, DownReason::Received(it) if (it.code, it.subcode) == (2, 2)),
    )
    .with_context(|| daemon.log())?;
    ensure!(!ours.is_up(THEIRS));
    Ok(())
}
