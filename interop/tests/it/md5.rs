//! TCP MD5 (RFC 2385), whoever connects: with another key or none at this end the kernel drops what comes, as
//! its counters say, and nothing else; with the right one, set while both ends try, the session comes up.

use anyhow::{Context as _, Result, ensure};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Peer,
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_kept_out, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "md5",
    about: "TCP MD5, either side connects: no session with another key or none",
    heavy: false,
    root: false,
    cannot,
    run,
};

const KEY: &str = "open-sesame";

fn cannot(kind: Kind) -> Option<&'static str> {
    (kind == Kind::Openbgpd).then_some(
        "OpenBGPD 7.7 has TCP MD5 only where there is PF_KEY: on Linux it does not sign, and says so.",
    )
}

fn run(kind: Kind) -> Result<()> {
    for we_connect in [true, false] {
        session(kind, we_connect).with_context(|| format!("Peerage connects: {we_connect}"))?;
    }
    Ok(())
}

fn session(kind: Kind, we_connect: bool) -> Result<()> {
    let theirs = net("198.18.1.0/24")?;
    let peer = Peer {
        address: OURS,
        asn: OUR_AS,
        passive: we_connect,
        hold: 90,
        key: Some(KEY),
        ttl_security: false,
    };
    let mut config = Config::passive(THEIR_AS, THEIRS, OURS, OUR_AS);
    (config.neighbors, config.routes) = (vec![peer], vec![announce(theirs, false)]);
    let mut ours = Ours::start(OUR_AS, OURS)?;
    let with = |ours: &mut Ours, key: Option<&str>| {
        ours.neighbor(THEIRS, THEIR_AS, |neighbor| {
            neighbor.passive = !we_connect;
            neighbor.socket.md5_key = key.map(|key| key.as_bytes().to_vec());
        })
    };
    with(&mut ours, Some("shut-sesame"))?;
    let daemon = Daemon::start(kind, config)?;
    ensure_kept_out(&ours, &["TCPMD5Failure"]).context("another key").with_context(|| daemon.log())?;
    with(&mut ours, None)?;
    ensure_kept_out(&ours, &["TCPMD5NotFound", "TCPMD5Unexpected"])
        .context("no key")
        .with_context(|| daemon.log())?;
    with(&mut ours, Some(KEY))?;
    let session = ours.wait_up(THEIRS).with_context(|| daemon.log())?.session.context("a session")?;
    let port = if we_connect { session.remote.port() } else { session.local.port() };
    ensure!(port == 179, "{session:?}");
    ours.wait_route(theirs).map(drop)
}
