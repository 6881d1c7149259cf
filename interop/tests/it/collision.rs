//! Both connect at once (RFC 4271 §6.8): one session comes of it in the end, and stays. The daemon is
//! stopped while Peerage connects to it, so that it wakes up with a connection that waits for it and with
//! its own timer run out.
//!
//! Peerage never ends a session that it has established. FRR 8.4 may: where the connection that it accepts
//! is established before its own connect is seen to have succeeded, the late success ends the session
//! without a NOTIFICATION (TCP_connection_open in Established). The next attempt succeeds.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use peerage_core::speaker::{DownReason, Event};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OURS, THEIRS},
    wait,
};

use crate::common::{OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "collision",
    about: "Both connect at once: one session",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

const ROUNDS: u32 = 3;
const STABLE: Duration = Duration::from_secs(2);

fn run(kind: Kind) -> Result<()> {
    let peer = Peer { address: OURS, asn: OUR_AS, passive: false, hold: 90 };
    let config = Config { neighbors: vec![peer], ..Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS) };
    for round in 0..ROUNDS {
        let daemon = Daemon::start(kind, config.clone())?;
        // Time for a first attempt, which nobody answers.
        sleep(Duration::from_millis(1200 + 300 * u64::from(round)));
        daemon.pause()?;
        let mut ours = Ours::start(OUR_AS, OURS)?;
        ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
        sleep(Duration::from_millis(1500));
        daemon.resume()?;
        ours.wait_up(THEIRS).with_context(|| daemon.log())?;
        let mut since = Instant::now();
        let mut seen = None;
        wait("one session that stays", || {
            let status = ours.status(THEIRS).ok()?;
            let now = status.session.is_some().then_some(status.established);
            if seen != now || now.is_none() {
                (seen, since) = (now, Instant::now());
            }
            (since.elapsed() > STABLE).then_some(())
        })
        .with_context(|| daemon.log())?;
        ensure!(sessions()? == 1, "{} connections\n{}", sessions()?, daemon.log());
        let ended_here = ours.events().into_iter().find(|event| {
            matches!(
                event,
                Event::PeerDown { reason: DownReason::Sent(_) | DownReason::SendHoldTimerExpired, .. }
            )
        });
        ensure!(ended_here.is_none(), "{ended_here:?}\n{}", daemon.log());
    }
    Ok(())
}

/// Established TCP connections of port 179 in this network namespace, where both of their ends are.
fn sessions() -> Result<usize> {
    let ends = fs::read_to_string("/proc/net/tcp")?
        .lines()
        .filter(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            matches!(fields[..], [_, local, remote, "01", ..] if local.ends_with(":00B3") || remote.ends_with(":00B3"))
        })
        .count();
    Ok(ends / 2)
}
