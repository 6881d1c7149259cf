//! A session that ends comes up again, with all routes both ways: reset here, reset there, and the daemon
//! killed and started again.

use anyhow::{Context as _, Result};
use peerage_core::{speaker::DownReason, wire::attr::PathAttributes};
use peerage_interop::{Behaviour, Daemon, Kind, Ours, all_can, namespace::THEIRS, wait};

use crate::common::{OUR_AS, announce, net, pair};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "reset",
    about: "Reset here, reset there, daemon killed: up again with all routes",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let (ours, mut daemon) = pair(kind, vec![announce(theirs, false)])?;
    ours.originate([mine], &PathAttributes::default());
    let whole = |ours: &Ours, daemon: &Daemon, established: u64| -> Result<()> {
        wait("the session to come up again", || {
            let status = ours.status(THEIRS).ok()?;
            (status.established > established && status.session.is_some()).then_some(())
        })
        .with_context(|| daemon.log())?;
        ours.wait_route(theirs)?;
        daemon.wait_shows(mine, &[mine.to_string(), OUR_AS.to_string()])
    };
    whole(&ours, &daemon, 0)?;

    let before = ours.status(THEIRS)?.established;
    ours.reset(THEIRS);
    ours.wait_end(
        "its own reset, Cease 6/4",
        |reason| matches!(reason, DownReason::Sent(it) if (it.code, it.subcode) == (6, 4)),
    )?;
    whole(&ours, &daemon, before).context("reset by Peerage")?;

    let before = ours.status(THEIRS)?.established;
    daemon.reset(0)?;
    ours.wait_end(
        "the daemon's reset, Cease",
        |reason| matches!(reason, DownReason::Received(it) if it.code == 6),
    )?;
    whole(&ours, &daemon, before).context("reset by the daemon")?;

    let before = ours.status(THEIRS)?.established;
    daemon.kill();
    ours.wait_end("the connection go", |reason| matches!(reason, DownReason::Transport(_)))?;
    ours.wait_gone(theirs)?;
    daemon.restart()?;
    whole(&ours, &daemon, before).context("daemon killed")
}
