//! An optional transitive attribute that nobody knows passes through the daemon, which marks it partial
//! (RFC 4271 §5), beside communities of all three kinds.

use anyhow::{Context as _, Result, ensure};
use peerage_core::wire::attr::{OtherAttribute, PathAttributes, flag};
use peerage_interop::{Behaviour, Kind, all_can, namespace::THEIRS};

use crate::common::{OUR_AS, THEIR_AS, Transit, decoration, ensure_communities, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "unknown-attribute",
    about: "Unknown transitive attribute, there and back, partial",
    heavy: false,
    root: false,
    cannot: all_can,
    run,
};

/// Not assigned.
const CODE: u8 = 213;

fn run(kind: Kind) -> Result<()> {
    let mine = net("198.18.2.0/24")?;
    let transit = Transit::start(kind)?;
    let value = vec![0xde, 0xad, 0xbe, 0xef, 0x00];
    let flags = flag::OPTIONAL | flag::TRANSITIVE;
    let other = vec![OtherAttribute { flags, code: CODE, value: value.clone() }];
    transit.ours.originate([mine], &PathAttributes { other, ..decoration() });
    let path = transit.other.wait_route(mine).with_context(|| transit.daemon.log())?;
    ensure_path(&path, &[THEIR_AS, OUR_AS], THEIRS)?;
    ensure_communities(&path)?;
    let wanted = vec![OtherAttribute { flags: flags | flag::PARTIAL, code: CODE, value }];
    ensure!(path.attributes.other == wanted, "{:?}", path.attributes.other);
    Ok(())
}
