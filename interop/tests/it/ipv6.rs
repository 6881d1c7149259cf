//! IPv6 routes both ways, over IPv6.

use anyhow::{Context as _, Result};
use peerage_core::wire::attr::PathAttributes;
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, all_can,
    namespace::{OURS6, THEIRS6},
};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "ipv6",
    about: "IPv6 routes both ways, over IPv6",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("2001:db8:1::/48")?, net("2001:db8:2::/48")?);
    let routes = vec![announce(theirs, false)];
    let config = Config { routes, ..Config::passive(THEIR_AS, THEIRS6, OURS6, OUR_AS) };
    let daemon = Daemon::start(kind, config)?;
    let mut ours = Ours::start(OUR_AS, OURS6)?;
    ours.neighbor(THEIRS6, THEIR_AS, |_| {})?;
    ours.wait_up(THEIRS6).with_context(|| daemon.log())?;
    ours.originate([mine], &PathAttributes::default());
    let path = ours.wait_route(theirs).with_context(|| daemon.log())?;
    ensure_path(&path, &[THEIR_AS], THEIRS6)?;
    daemon.wait_shows(mine, &[mine.to_string(), OURS6.to_string(), OUR_AS.to_string()])
}
