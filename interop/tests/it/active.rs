//! Peerage opens the connection, the daemon waits for it.

use anyhow::{Context as _, Result, ensure};
use peerage_core::wire::Asn;
use peerage_interop::{Behaviour, Kind, all_can, namespace::THEIRS};

use crate::common::{THEIR_AS, pair};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "active",
    about: "Session, Peerage connects",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (ours, _daemon) = pair(kind, Vec::new())?;
    let session = ours.status(THEIRS)?.session.context("a session")?;
    ensure!(session.remote.port() == 179 && session.remote_as == Asn(THEIR_AS), "{session:?}");
    Ok(())
}
