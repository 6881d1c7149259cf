//! Running a policy over one route.

use alloc::vec::Vec;

use ipnet::IpNet;

use super::{Match, Policy, RouteSource, Set, Verdict};
use crate::{
    facts::SourceId,
    wire::{
        Asn, NextHop,
        attr::{PathAttributes, Segment, SegmentKind},
    },
};

/// A route as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    /// Its prefix.
    pub prefix: IpNet,
    /// Where it came from.
    pub source: RouteSource,
    /// Who originated it here, if anybody did.
    pub origination: Option<SourceId>,
    /// Its next hop.
    pub next_hop: Option<NextHop>,
    /// Its attributes.
    pub attributes: &'a PathAttributes,
}

/// What a policy changes about a route it accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edits {
    /// In order.
    pub sets: Vec<Set>,
}

/// A policy: data of this module, or a program's own.
pub trait RoutePolicy {
    /// Decides about one route.
    fn apply(&self, route: &RouteView<'_>) -> (Verdict, Edits);
}

impl RoutePolicy for Policy {
    fn apply(&self, route: &RouteView<'_>) -> (Verdict, Edits) {
        let mut edits = Edits::default();
        for rule in &self.rules {
            if !rule.matches.iter().all(|condition| condition.holds(route)) {
                continue;
            }
            edits.sets.extend(rule.sets.iter().cloned());
            if let Some(verdict) = rule.verdict {
                return (verdict, edits);
            }
        }
        (self.otherwise, edits)
    }
}

impl Match {
    fn holds(&self, route: &RouteView<'_>) -> bool {
        let attributes = route.attributes;
        match self {
            Self::Prefix(list) => list.iter().any(|it| {
                let len = route.prefix.prefix_len();
                it.net.contains(&route.prefix) && (it.min_len..=it.max_len).contains(&len)
            }),
            Self::Source(sources) => sources.contains(&route.source),
            Self::Origination(source) => route.origination == Some(*source),
            Self::AnyCommunity(list) => list.iter().any(|it| attributes.communities.contains(it)),
            Self::AnyLargeCommunity(list) => list.iter().any(|it| attributes.large_communities.contains(it)),
            Self::AsPathContains(asn) => {
                attributes.as_path.segments.iter().any(|segment| segment.asns.contains(asn))
            }
            Self::NeighborAs(asn) => {
                attributes.as_path.segments.first().and_then(|segment| segment.asns.first()) == Some(asn)
            }
            Self::OriginAs(asn) => {
                attributes.as_path.segments.last().and_then(|segment| segment.asns.last()) == Some(asn)
            }
            Self::AsPathLength { min, max } => (*min..=*max).contains(&path_length(attributes)),
            Self::Origin(origin) => attributes.origin == *origin,
            Self::NextHop(address) => route.next_hop.is_some_and(|next_hop| next_hop.address() == *address),
            Self::Med(med) => attributes.med == Some(*med),
            Self::LocalPref(value) => attributes.local_pref == Some(*value),
            Self::Not(condition) => !condition.holds(route),
        }
    }
}

/// Length as the decision counts it (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
fn path_length(attributes: &PathAttributes) -> u16 {
    attributes.as_path.segments.iter().fold(0, |length: u16, segment| {
        length.saturating_add(match segment.kind {
            SegmentKind::Sequence => u16::try_from(segment.asns.len()).unwrap_or(u16::MAX),
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        })
    })
}

impl Edits {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Makes the edits, those of the next hop excepted: [`Edits::next_hop`].
    pub fn edit(&self, attributes: &mut PathAttributes) {
        for set in &self.sets {
            match set {
                Set::LocalPref(value) => attributes.local_pref = Some(*value),
                Set::Med(value) => attributes.med = *value,
                Set::Origin(origin) => attributes.origin = *origin,
                Set::Communities(list) => attributes.communities.clone_from(list),
                Set::AddCommunities(list) => add(&mut attributes.communities, list),
                Set::RemoveCommunities(list) => attributes.communities.retain(|it| !list.contains(it)),
                Set::LargeCommunities(list) => attributes.large_communities.clone_from(list),
                Set::AddLargeCommunities(list) => add(&mut attributes.large_communities, list),
                Set::RemoveLargeCommunities(list) => {
                    attributes.large_communities.retain(|it| !list.contains(it));
                }
                Set::Prepend { asn, count } => {
                    for _ in 0..*count {
                        prepend(attributes, *asn);
                    }
                }
                Set::NextHop(_) => {}
            }
        }
    }

    /// The next hop they set.
    pub fn next_hop(&self) -> Option<core::net::IpAddr> {
        self.sets.iter().rev().find_map(|set| match set {
            Set::NextHop(address) => Some(*address),
            _ => None,
        })
    }

    /// Whether they say something about MULTI_EXIT_DISC, and what.
    pub(crate) fn med(&self) -> Option<Option<u32>> {
        self.sets.iter().rev().find_map(|set| match set {
            Set::Med(value) => Some(*value),
            _ => None,
        })
    }
}

fn add<T: Copy + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(*item);
        }
    }
}

/// Puts an AS in front of a path (RFC 4271 §5.1.2 (b)).
pub(crate) fn prepend(attributes: &mut PathAttributes, asn: Asn) {
    let segments = &mut attributes.as_path.segments;
    match segments.first_mut() {
        Some(first) if first.kind == SegmentKind::Sequence && first.asns.len() < 255 => {
            first.asns.insert(0, asn);
        }
        _ => segments.insert(0, Segment { kind: SegmentKind::Sequence, asns: alloc::vec![asn] }),
    }
}
