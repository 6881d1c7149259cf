//! Peerage restarts, the daemon keeps its routes (RFC 4724): the connection goes away without a word, the
//! routes stay; the next Peerage is there and held, they stay; it announces, and what it does not announce
//! goes with its End-of-RIB. A daemon with RFC 8538 also keeps them over a NOTIFICATION, but not over the
//! Hard Reset of a removed neighbour; one without keeps them over none.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use peerage_core::{
    speaker::{DownReason, GracefulRestart, Neighbor},
    wire::{Notification, attr::PathAttributes},
};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, all_can,
    namespace::{OURS, THEIRS},
    wait,
};

use crate::common::{OUR_AS, THEIR_AS, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "graceful-restart",
    about: "Peerage restarts: routes kept, stale ones gone with its End-of-RIB, none after a Hard Reset",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

/// Longer than this test waits for anything: what goes meanwhile does not go by the restart timer.
const RESTART_TIME: Duration = Duration::from_secs(600);

/// Whether the daemon knows RFC 8538.
fn knows_hard_reset(kind: Kind) -> bool {
    matches!(kind, Kind::Frr | Kind::Gobgp)
}

fn run(kind: Kind) -> Result<()> {
    let (stays, goes, comes) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?, net("198.18.3.0/24")?);
    let config = Config { graceful_restart: true, ..Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let before = process(&daemon)?;
    before.originate([stays, goes], &PathAttributes::default());
    before.with(peerage_core::Speaker::release);
    for prefix in [stays, goes] {
        wait_fresh(&daemon, prefix)?;
    }

    before.with(|speaker, now| speaker.shutdown_for_restart(now, "never said"));
    before.wait_end("its own end", |reason| *reason == DownReason::GracefulRestart)?;
    wait_down(&daemon)?;
    for prefix in [stays, goes] {
        ensure_kept(&daemon, prefix)?;
    }
    drop(before);

    let after = process(&daemon)?;
    after.originate([stays, comes], &PathAttributes::default());
    for prefix in [stays, goes] {
        // Held: nothing is announced yet, and nothing is taken away.
        ensure!(shows(&daemon, prefix)?, "{prefix} is gone:\n{}", daemon.log());
    }
    ensure!(!shows(&daemon, comes)?, "a held speaker announced {comes}");
    after.with(peerage_core::Speaker::release);
    for prefix in [stays, comes] {
        wait_fresh(&daemon, prefix)?;
    }
    wait_gone(&daemon, goes)?;
    ensure!(shows(&daemon, stays)?, "{stays} went along");
    endings(kind, &daemon, after, stays)
}

/// A NOTIFICATION for something that is soon over, and one for what is not.
fn endings(kind: Kind, daemon: &Daemon, mut ours: Ours, prefix: IpNet) -> Result<()> {
    // Another hold time resets the session; passive at both ends, it does not come up again.
    ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
        graceful(neighbor);
        (neighbor.passive, neighbor.timers.hold) = (true, Duration::from_secs(60));
    })?;
    ours.wait_end("Cease 6/6", |it| matches!(it, DownReason::Sent(it) if (it.code, it.subcode) == (6, 6)))?;
    if knows_hard_reset(kind) {
        wait_down(daemon)?;
        ensure_kept(daemon, prefix)?;
    } else {
        wait_gone(daemon, prefix)?;
    }

    ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
        graceful(neighbor);
        neighbor.timers.hold = Duration::from_secs(60);
    })?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    wait_fresh(daemon, prefix)?;
    ours.remove(THEIRS)?;
    let DownReason::Sent(sent) = ours.wait_end(
        "its last word",
        |it| matches!(it, DownReason::Sent(it) if matches!((it.code, it.subcode), (6, 3 | 9))),
    )?
    else {
        unreachable!("it was sent");
    };
    if knows_hard_reset(kind) {
        ensure!(sent.hard_reset_cause() == Some(Notification::new(6, 3)), "{sent}");
    } else {
        ensure!(sent == Notification::new(6, 3), "{sent}");
    }
    wait_gone(daemon, prefix)
}

/// A Peerage that holds back what it announces, with its session up.
fn process(daemon: &Daemon) -> Result<Ours> {
    let mut ours = Ours::held(OUR_AS, OURS)?;
    ours.with(|speaker, _| speaker.mark_forwarding_kept());
    ours.neighbor(THEIRS, THEIR_AS, graceful)?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    Ok(ours)
}

fn graceful(neighbor: &mut Neighbor) {
    neighbor.graceful_restart = Some(GracefulRestart { restart_time: RESTART_TIME });
}

fn shows(daemon: &Daemon, prefix: IpNet) -> Result<bool> {
    let text = daemon.route(prefix)?;
    Ok(text.contains(&prefix.to_string()) && text.contains(&OUR_AS.to_string()))
}

/// Waits until the daemon knows that there is no session.
fn wait_down(daemon: &Daemon) -> Result<()> {
    wait("the daemon to miss the session", || {
        let text = daemon.neighbor(0).ok()?;
        (!text.contains("Established") && !text.contains("ESTABLISHED")).then_some(())
    })
    .with_context(|| daemon.log())
}

/// The daemon has a route though it has no session.
fn ensure_kept(daemon: &Daemon, prefix: IpNet) -> Result<()> {
    ensure!(shows(daemon, prefix)?, "{prefix} is gone:\n{}", daemon.log());
    Ok(())
}

/// Whether a daemon says of a route that it is stale; BIRD never does.
fn is_stale(text: &str) -> bool {
    text.contains("stale") || text.lines().any(|line| line.starts_with('S'))
}

/// Waits until the daemon has a route that is not stale.
fn wait_fresh(daemon: &Daemon, prefix: IpNet) -> Result<()> {
    wait(&format!("the daemon to have {prefix}"), || {
        let text = daemon.route(prefix).ok()?;
        (text.contains(&OUR_AS.to_string()) && !is_stale(&text)).then_some(())
    })
    .with_context(|| daemon.log())
}

fn wait_gone(daemon: &Daemon, prefix: IpNet) -> Result<()> {
    wait(&format!("the daemon to lose {prefix}"), || (!shows(daemon, prefix).ok()?).then_some(()))
        .with_context(|| format!("{:?}\n{}", daemon.route(prefix), daemon.log()))
}
