//! Routes withdrawn: by Peerage at the daemon, and by the daemon at another Peerage. What is not withdrawn
//! stays.

use anyhow::{Result, ensure};
use peerage_core::wire::attr::PathAttributes;
use peerage_interop::{Behaviour, Kind, all_can, namespace::THEIRS};

use crate::common::{Transit, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "withdraw",
    about: "Withdrawals both ways",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (gone, stays) = (net("198.18.2.0/24")?, net("198.18.3.0/24")?);
    let transit = Transit::start(kind)?;
    transit.ours.originate([gone, stays], &PathAttributes::default());
    transit.other.wait_route(gone)?;
    transit.other.wait_route(stays)?;
    transit.daemon.wait_received(0, 2)?;
    transit.ours.withdraw(&[gone]);
    transit.other.wait_gone(gone)?;
    transit.daemon.wait_received(0, 1)?;
    ensure!(transit.other.route(stays).is_some(), "{stays} has gone, too");
    ensure!(transit.other.status(THEIRS)?.dropped == 0);
    Ok(())
}
