//! Which prefixes connectivity and policies imply for each table, worked out from what every speaker is
//! told, without looking at what any of them learned.
//!
//! Rounds of announcements until nothing changes: who has a route offers it to its neighbours by the
//! rules of RFC 4271 §9.2 and RFC 8212, and the best of what is offered is kept.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use ipnet::{IpNet, Ipv4Net};
use peerage_core::{
    policy::{Policy, RoutePolicy as _, RouteSource, RouteView, Verdict},
    speaker::Neighbor,
    wire::{
        Asn, Origin,
        attr::{PathAttributes, Segment, SegmentKind},
    },
};

use super::converge::{End, Look, View};

/// A route as a speaker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    source: RouteSource,
    attributes: PathAttributes,
    /// Learned from a client of this route reflector.
    client: bool,
}

/// A speaker's best routes.
type Table = BTreeMap<IpNet, Held>;

/// The prefixes of each speaker's table, in the order of the view.
pub(super) fn tables(view: &View, sessions: &[(End, End)]) -> Vec<BTreeSet<IpNet>> {
    let mut tables: Vec<Table> = view.looks.iter().map(own).collect();
    // A route crosses one session a round, and none crosses more than there are speakers.
    for _ in 0..=view.looks.len() {
        let mut next: Vec<Table> = view.looks.iter().map(own).collect();
        for (here, there) in sessions {
            for (from, to) in [(here, there), (there, here)] {
                announce(view, &tables, from, to, &mut next);
            }
        }
        if next == tables {
            break;
        }
        tables = next;
    }
    tables.into_iter().map(|table| table.into_keys().collect()).collect()
}

/// What a speaker originates.
fn own(look: &Look) -> Table {
    let held = |attributes: &PathAttributes| Held {
        source: RouteSource::Local,
        attributes: attributes.clone(),
        client: false,
    };
    let originated = look.desired.originate.iter().filter(|(prefix, _)| matches!(prefix, IpNet::V4(_)));
    originated.map(|(prefix, attributes)| (*prefix, held(attributes))).collect()
}

/// Offers the routes of one end's speaker to the other's.
fn announce(view: &View, tables: &[Table], from: &End, to: &End, next: &mut [Table]) {
    let (Some(sender), Some(receiver)) = (view.looks.get(from.member), view.looks.get(to.member)) else {
        return;
    };
    let (Some(outwards), Some(inwards)) =
        (sender.desired.neighbors.get(&from.key), receiver.desired.neighbors.get(&to.key))
    else {
        return;
    };
    let internal = sender.desired.asn == receiver.desired.asn;
    let (Some(table), Some(target)) = (tables.get(from.member), next.get_mut(to.member)) else { return };
    let default = PathAttributes::default();
    let default = outwards
        .default_originate
        .contains(&super::world::FAMILY)
        .then(|| (IpNet::V4(Ipv4Net::default()), sent(sender, default, internal)));
    let routes = table
        .iter()
        .filter_map(|(prefix, held)| Some((*prefix, export(sender, outwards, internal, *prefix, held)?)));
    for (prefix, attributes) in routes.chain(default) {
        if let Some(held) = import(receiver, inwards, internal, prefix, attributes) {
            let better = target.get(&prefix).is_none_or(|known| rank(&held) > rank(known));
            if better {
                target.insert(prefix, held);
            }
        }
    }
}

/// What a neighbour is sent of a route, if anything.
fn export(
    sender: &Look,
    neighbor: &Neighbor,
    internal: bool,
    prefix: IpNet,
    held: &Held,
) -> Option<PathAttributes> {
    let reflected = held.client || neighbor.route_reflector_client;
    if internal && held.source == RouteSource::Internal && !reflected {
        return None;
    }
    let attributes =
        decide(neighbor.export.as_ref(), internal, prefix, held.source, held.attributes.clone())?;
    Some(sent(sender, attributes, internal))
}

/// Attributes as they leave: an eBGP peer sees the sender's AS and no LOCAL_PREF.
fn sent(sender: &Look, mut attributes: PathAttributes, internal: bool) -> PathAttributes {
    if !internal {
        attributes.local_pref = None;
        attributes
            .as_path
            .segments
            .insert(0, Segment { kind: SegmentKind::Sequence, asns: vec![sender.desired.asn] });
    }
    attributes
}

/// What a neighbour keeps of a route, if anything.
fn import(
    receiver: &Look,
    neighbor: &Neighbor,
    internal: bool,
    prefix: IpNet,
    attributes: PathAttributes,
) -> Option<Held> {
    if path(&attributes).any(|asn| asn == receiver.desired.asn) {
        return None;
    }
    let source = if internal { RouteSource::Internal } else { RouteSource::External };
    let attributes = decide(neighbor.import.as_ref(), internal, prefix, source, attributes)?;
    Some(Held { source, attributes, client: internal && neighbor.route_reflector_client })
}

/// Runs a policy; without one, iBGP lets everything pass and eBGP nothing.
fn decide(
    policy: Option<&Policy>,
    internal: bool,
    prefix: IpNet,
    source: RouteSource,
    mut attributes: PathAttributes,
) -> Option<PathAttributes> {
    let Some(policy) = policy else { return internal.then_some(attributes) };
    let view = RouteView { prefix, source, origination: None, next_hop: None, attributes: &attributes };
    let (verdict, edits) = policy.apply(&view);
    edits.edit(&mut attributes);
    (verdict == Verdict::Accept).then_some(attributes)
}

/// The AS numbers of a path.
fn path(attributes: &PathAttributes) -> impl Iterator<Item = Asn> {
    attributes.as_path.segments.iter().flat_map(|segment| segment.asns.iter().copied())
}

/// How good a route is, in the order of the decision.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    local: bool,
    preference: u32,
    length: Reverse<usize>,
    origin: Reverse<Origin>,
    external: bool,
    path: Reverse<Vec<Asn>>,
}

/// The decision as far as it matters for who hears of a prefix; higher is better. The path itself stands
/// last, so that the order in which neighbours are asked does not matter.
fn rank(held: &Held) -> Rank {
    let attributes = &held.attributes;
    Rank {
        local: held.source == RouteSource::Local,
        preference: attributes.local_pref.unwrap_or(100),
        length: Reverse(path(attributes).count()),
        origin: Reverse(attributes.origin),
        external: held.source != RouteSource::Internal,
        path: Reverse(path(attributes).collect()),
    }
}
