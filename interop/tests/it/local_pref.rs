//! LOCAL_PREF over iBGP, both ways, beside everything that also travels over eBGP.

use anyhow::{Context as _, Result, ensure};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, all_can,
    daemon::{LOCAL_PREF, MED},
    namespace::{OURS, THEIRS},
};

use crate::common::{OUR_AS, announce, decoration, ensure_communities, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "local-pref",
    about: "LOCAL_PREF over iBGP, both ways",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

fn run(kind: Kind) -> Result<()> {
    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let routes = vec![announce(theirs, true)];
    let daemon = Daemon::start(kind, Config { routes, ..Config::passive(OUR_AS, THEIRS, OURS, OUR_AS) })?;
    let mut ours = Ours::start(OUR_AS, OURS)?;
    ours.neighbor(THEIRS, OUR_AS, |_| {})?;
    ours.wait_up(THEIRS).with_context(|| daemon.log())?;
    ours.originate([mine], &decoration());
    let path = ours.wait_route(theirs)?;
    ensure_path(&path, &[], THEIRS)?;
    ensure_communities(&path)?;
    ensure!(path.attributes.local_pref == Some(LOCAL_PREF), "{path:?}");
    ensure!(path.attributes.med == Some(MED), "{path:?}");
    let marks = daemon.marks();
    daemon.wait_shows(mine, &marks.transitive)?;
    daemon.wait_shows(mine, &[marks.local_pref])
}
