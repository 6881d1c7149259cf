//! Both connect at once (RFC 4271 §6.8): one session comes of it in the end, and stays, whichever side has
//! the higher identifier.
//!
//! A relay at Peerage's port takes the daemon's connection and its OPEN. The daemon is then stopped while
//! Peerage connects to it and is given the relayed connection, so that both ends have both when it goes on.
//!
//! Peerage never ends a session that it has established. FRR 8.4 may: a connect that succeeds when another
//! connection is established already ends it without a NOTIFICATION (TCP_connection_open in Established).
//! The next attempt succeeds.

use std::{
    fs, io,
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use peerage_core::speaker::{DownReason, Event};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer, all_can,
    namespace::{OTHER, OURS, THEIRS},
    wait,
};
use socket2::{Domain, Socket, Type};

use crate::common::{OUR_AS, THEIR_AS};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "collision",
    about: "Both connect at once: one session",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

/// Where Peerage listens, behind the relay.
const BEHIND: u16 = 1790;
const STABLE: Duration = Duration::from_secs(2);

fn run(kind: Kind) -> Result<()> {
    // The daemon's identifier is between the two.
    for address in [OURS, OTHER] {
        round(kind, address).with_context(|| format!("Peerage at {address}"))?;
    }
    Ok(())
}

fn round(kind: Kind, address: IpAddr) -> Result<()> {
    let relay = TcpListener::bind((address, 179))?;
    relay.set_nonblocking(true)?;
    let peer = Peer { address, asn: OUR_AS, passive: false, hold: 90, key: None, ttl_security: false };
    let config = Config { neighbors: vec![peer], ..Config::passive(THEIR_AS, THEIRS, address, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let (theirs, _) = wait("the daemon to connect", || relay.accept().ok()).with_context(|| daemon.log())?;
    drop(relay);
    theirs.set_nonblocking(false)?;
    ensure!(theirs.peek(&mut [0; 19])? > 0, "the daemon closed its connection\n{}", daemon.log());

    daemon.pause()?;
    let mut ours = Ours::start_listening(OUR_AS, address, SocketAddr::new(address, BEHIND))?;
    ours.neighbor(THEIRS, THEIR_AS, |_| {})?;
    let relayed = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    relayed.bind(&SocketAddr::new(THEIRS, 0).into())?;
    relayed.connect(&SocketAddr::new(address, BEHIND).into())?;
    splice(theirs, relayed.into())?;
    wait("two connections", || (ours.status(THEIRS).ok()?.sent.opens == 2).then_some(()))?;
    daemon.resume()?;

    let (mut since, mut seen) = (Instant::now(), None);
    wait("one session that stays", || {
        let status = ours.status(THEIRS).ok()?;
        let now = status.session.is_some().then_some(status.established);
        if seen != now || now.is_none() {
            (seen, since) = (now, Instant::now());
        }
        (since.elapsed() > STABLE).then_some(())
    })
    .with_context(|| daemon.log())?;
    let session = ours.status(THEIRS)?.session;
    println!("survives: {:?}", session.map(|it| (it.local, it.remote)));
    ensure!(sessions()? == 1, "{} connections\n{}", sessions()?, daemon.log());
    let ended_here = ours.events().into_iter().find(|event| {
        matches!(
            event,
            Event::PeerDown { reason: DownReason::Sent(_) | DownReason::SendHoldTimerExpired, .. }
        )
    });
    ensure!(ended_here.is_none(), "{ended_here:?}\n{}", daemon.log());
    Ok(())
}

/// Carries octets between two connections until either ends, then ends both.
fn splice(a: TcpStream, b: TcpStream) -> Result<()> {
    for (mut from, mut to) in [(a.try_clone()?, b.try_clone()?), (b, a)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
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
