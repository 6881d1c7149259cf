//! 100,000 routes to the daemon, and from it to another Peerage; then none.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use peerage_core::wire::Family;
use peerage_interop::{Behaviour, Kind, all_can, namespace::THEIRS, prefix};

use crate::common::{OUR_AS, THEIR_AS, Transit, decoration, ensure_communities, ensure_path};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "bulk",
    about: "100,000 routes each way",
    heavy: true,
    root: false,
    cannot: all_can,
    run,
};

const COUNT: u32 = 100_000;
const LIMIT: Duration = Duration::from_secs(60);

fn run(kind: Kind) -> Result<()> {
    let transit = Transit::start(kind)?;
    let start = Instant::now();
    transit.ours.originate((0..COUNT).map(prefix), &decoration());
    transit.daemon.wait_received(0, COUNT as usize)?;
    println!("at the daemon after {:?}", start.elapsed());
    transit
        .other
        .wait_count(LIMIT, Family::IPV4_UNICAST, COUNT as usize)
        .with_context(|| transit.daemon.log())?;
    println!("at the other Peerage after {:?}", start.elapsed());
    for index in [0, 1, COUNT / 2, COUNT - 1] {
        let path = transit.other.wait_route(prefix(index))?;
        ensure_path(&path, &[THEIR_AS, OUR_AS], THEIRS)?;
        ensure_communities(&path)?;
    }
    let all: Vec<_> = (0..COUNT).map(prefix).collect();
    transit.ours.withdraw(&all);
    transit.other.wait_count(LIMIT, Family::IPV4_UNICAST, 0).with_context(|| transit.daemon.log())?;
    println!("gone after {:?}", start.elapsed());
    for speaker in [&transit.ours, &transit.other] {
        ensure!(speaker.status(THEIRS)?.dropped == 0, "a session ended meanwhile");
    }
    Ok(())
}
