//! IPv4 routes both ways.

use anyhow::Result;
use peerage_core::wire::attr::PathAttributes;
use peerage_interop::{
    Behaviour, Kind, all_can,
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_path, net, pair};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "ipv4",
    about: "IPv4 routes both ways",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let (ours, daemon) = pair(kind, vec![announce(theirs, false)])?;
    ours.originate([mine], &PathAttributes::default());
    ensure_path(&ours.wait_route(theirs)?, &[THEIR_AS], THEIRS)?;
    daemon.wait_shows(mine, &[mine.to_string(), OURS.to_string(), OUR_AS.to_string()])
}
