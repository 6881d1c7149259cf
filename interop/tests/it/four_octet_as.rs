//! AS numbers above 65535 on both sides (RFC 6793).

use anyhow::{Context as _, Result};
use peerage_core::wire::{Asn, attr::PathAttributes};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, all_can,
    namespace::{OURS, THEIRS},
};

use crate::common::{announce, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "four-octet-as",
    about: "4-octet AS on both sides",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

const MINE: u32 = 4_200_000_001;
const THEIRS_AS: u32 = 4_200_000_002;

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let routes = vec![announce(theirs, false)];
    let daemon = Daemon::start(kind, Config { routes, ..Config::passive(THEIRS_AS, THEIRS, OURS, MINE) })?;
    let mut ours = Ours::start(MINE, OURS)?;
    ours.neighbor(THEIRS, THEIRS_AS, |_| {})?;
    let session = ours.wait_up(THEIRS)?.session.context("a session")?;
    anyhow::ensure!(session.remote_as == Asn(THEIRS_AS), "{session:?}");
    ours.originate([mine], &PathAttributes::default());
    ensure_path(&ours.wait_route(theirs)?, &[THEIRS_AS], THEIRS)?;
    daemon.wait_shows(mine, &[mine.to_string(), MINE.to_string()])
}
