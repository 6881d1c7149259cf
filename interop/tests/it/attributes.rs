//! Communities of all three kinds and MULTI_EXIT_DISC over eBGP, both ways.

use anyhow::{Result, ensure};
use peerage_interop::{Behaviour, Kind, all_can, daemon::MED};

use crate::common::{announce, decoration, ensure_communities, net, pair};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "attributes",
    about: "Communities, extended and large ones, MED, both ways",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let (ours, daemon) = pair(kind, vec![announce(theirs, true)])?;
    ours.originate([mine], &decoration());
    let path = ours.wait_route(theirs)?;
    ensure_communities(&path)?;
    ensure!(path.attributes.med == Some(MED), "{path:?}");
    daemon.wait_shows(mine, &daemon.marks().transitive)
}
