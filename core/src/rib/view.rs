//! What the table shows: owned, decoded, for tables, JSON and tests.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use ipnet::IpNet;

use super::{
    Rib, Shared,
    attrs::{AttrSet, Facts, decode_next_hop},
    decision::{Scope, prefer, scope_of},
    export::GroupKey,
    plane::{Decoded, Plane},
    rewrite::{self, SentNextHop},
    table::{Address, PathSlot},
};
use crate::{
    facts::{NeighborKey, PeerId, SourceId},
    wire::{Family, NextHop, RouterId, SessionKind, attr::PathAttributes},
};

/// A prefix and its paths, the best one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The prefix.
    pub prefix: IpNet,
    /// Its paths: the best first if there is a best one, the others by preference.
    pub paths: Vec<Path>,
}

impl Route {
    /// The path in use.
    pub fn best(&self) -> Option<&Path> {
        self.paths.first().filter(|path| path.best)
    }
}

/// Where a path came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOrigin {
    /// Originated here.
    Local(SourceId),
    /// Learned from a peer.
    Peer {
        /// Who.
        peer: PeerId,
        /// How it is configured.
        key: NeighborKey,
        /// Its address.
        address: IpAddr,
        /// Its identifier.
        router_id: RouterId,
        /// Its host name (capability 73), where it sent one.
        hostname: Option<String>,
        /// The interface, for a neighbour that is known by it.
        interface: Option<String>,
        /// iBGP or eBGP.
        kind: SessionKind,
    },
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where it came from.
    pub origin: PathOrigin,
    /// Its next hop; `None` for a route originated here.
    pub next_hop: Option<NextHop>,
    /// Its attributes, after the import policy.
    pub attributes: PathAttributes,
    /// It is the one in use.
    pub best: bool,
    /// Why it may not be used, if it may not.
    pub excluded: Option<Exclusion>,
    /// Why it lost against the best; for the best, why it won against the second. `None` where there
    /// is nothing to compare.
    pub step: Option<Step>,
}

/// Why a path is not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exclusion {
    /// The import policy rejected it.
    Policy,
    /// Its AS path contains the speaker's AS (RFC 4271 §9.1.2).
    AsLoop,
    /// It was reflected back: ORIGINATOR_ID or CLUSTER_LIST (RFC 4456 §8).
    ReflectionLoop,
    /// Its first AS is not the peer's (RFC 4271 §6.3).
    FirstAs,
    /// Its next hop cannot be reached (RFC 4271 §9.1.2).
    NextHop,
}

/// The step of the decision at which two paths differ (RFC 4271 §9.1.2.2, RFC 4456 §9), in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Routes originated here come first.
    Local,
    /// Higher LOCAL_PREF (§9.1.1).
    LocalPref,
    /// Shorter AS_PATH (a).
    AsPathLength,
    /// Lower ORIGIN (b).
    Origin,
    /// Lower MULTI_EXIT_DISC, within one neighbouring AS (c).
    Med,
    /// eBGP before iBGP (d).
    External,
    /// Lower metric to the next hop (e).
    NextHopMetric,
    /// Lower identifier, or ORIGINATOR_ID (f; RFC 4456 §9).
    RouterId,
    /// Shorter CLUSTER_LIST (RFC 4456 §9).
    ClusterListLength,
    /// Lower peer address (g).
    PeerAddress,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "originated here",
            Self::LocalPref => "LOCAL_PREF",
            Self::AsPathLength => "AS_PATH length",
            Self::Origin => "ORIGIN",
            Self::Med => "MULTI_EXIT_DISC",
            Self::External => "eBGP over iBGP",
            Self::NextHopMetric => "metric to the next hop",
            Self::RouterId => "router id",
            Self::ClusterListLength => "CLUSTER_LIST length",
            Self::PeerAddress => "peer address",
        })
    }
}

impl Rib {
    /// Every prefix of a family that has a path, in prefix order.
    pub fn routes(&self, family: Family) -> Vec<Route> {
        match family {
            Family::IPV4_UNICAST => self.v4.routes(&self.shared),
            Family::IPV6_UNICAST => self.v6.routes(&self.shared),
            _ => Vec::new(),
        }
    }

    /// One prefix.
    pub fn route(&self, prefix: IpNet) -> Option<Route> {
        fn one<A: Address>(plane: &Plane<A>, shared: &Shared, prefix: IpNet) -> Option<Route> {
            let (address, len) = A::from_net(prefix)?;
            plane.route(shared, plane.table.find(address, len)?)
        }
        one(&self.v4, &self.shared, prefix).or_else(|| one(&self.v6, &self.shared, prefix))
    }

    /// The longest prefix with a best path that covers an address.
    pub fn lookup(&self, address: IpAddr) -> Option<Route> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        (0..=longest).rev().find_map(|len| {
            let prefix = IpNet::new(address, len).ok()?.trunc();
            self.route(prefix).filter(|route| route.best().is_some())
        })
    }

    /// What a session is told of a family, in prefix order: as it leaves the export policy, with the next
    /// hop it is sent with.
    pub(crate) fn advertised(&self, source: u16, family: Family) -> Vec<Route> {
        match family {
            Family::IPV4_UNICAST => self.v4.advertised_routes(&self.shared, source),
            Family::IPV6_UNICAST => self.v6.advertised_routes(&self.shared, source),
            _ => Vec::new(),
        }
    }
}

impl<A: Address> Plane<A> {
    fn routes(&self, shared: &Shared) -> Vec<Route> {
        let mut ids: Vec<((A, u8), u32)> = (0..self.table.bound())
            .filter(|&id| !self.table.is_vacant(id))
            .filter_map(|id| Some((self.table.prefix(id)?, id)))
            .collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|(_, id)| self.route(shared, id)).collect()
    }

    fn route(&self, shared: &Shared, id: u32) -> Option<Route> {
        let (address, len) = self.table.prefix(id)?;
        let prefix = address.to_net(len)?;
        let mut paths: Vec<PathSlot> = self.table.paths(id).into_vec();
        if paths.is_empty() {
            return None;
        }
        let best = self.table.best(id);
        let best_rank = best.and_then(|best| shared.rank(best));
        // The best, then the other candidates by preference, then those that may not be used.
        paths.sort_by(|&a, &b| {
            let class = |path: PathSlot| (Some(path) != best, !shared.eligible(path));
            class(a).cmp(&class(b)).then_with(|| match (shared.rank(a), shared.rank(b)) {
                (Some(a), Some(b)) => prefer(&a, &b, Scope::Across).0,
                _ => core::cmp::Ordering::Equal,
            })
        });
        let second = paths
            .iter()
            .filter(|&&path| Some(path) != best && shared.eligible(path))
            .find_map(|&path| shared.rank(path));
        let paths = paths
            .into_iter()
            .map(|path| {
                let is_best = Some(path) == best;
                let rival = if is_best { second } else { best_rank };
                let step = match (shared.rank(path), rival) {
                    (Some(own), Some(rival)) if is_best || shared.eligible(path) => {
                        Some(prefer(&own, &rival, scope_of(&own, &rival)).1)
                    }
                    _ => None,
                };
                shared.path(prefix, path, is_best, step)
            })
            .collect();
        Some(Route { prefix, paths })
    }

    fn advertised_routes(&self, shared: &Shared, member: u16) -> Vec<Route> {
        let Some((key, slot)) = self.export.place(member) else { return Vec::new() };
        // To be read back here, whatever the peer reads (RFC 6793).
        let key = &GroupKey { four_octet_as: true, ..key.clone() };
        let mut decoded = Decoded::default();
        let mut routes: Vec<Route> = (0..self.table.bound())
            .filter_map(|id| {
                let exported = self.exported(shared, key, id, &mut decoded)?;
                if exported.source == member {
                    return None;
                }
                let (address, len) = self.table.prefix(id)?;
                let prefix = address.to_net(len)?;
                let set = shared.attrs.get(exported.attrs)?;
                let next_hop = match rewrite::next_hop(set, &exported.edits, key)? {
                    SentNextHop::Own => decode_next_hop(slot),
                    SentNextHop::Fixed(next_hop) => Some(next_hop),
                };
                let mut block = Vec::new();
                let from = shared.sent_from(exported.source);
                rewrite::attributes(set, &exported.edits, key, from, shared.identity, &mut block);
                let slot = PathSlot::new(exported.source, exported.attrs, false);
                let mut path = shared.path(prefix, slot, true, None);
                (path.next_hop, path.attributes) = (next_hop, PathAttributes::decode(&block));
                Some(Route { prefix, paths: Vec::from([path]) })
            })
            .collect();
        routes.sort_by_key(|route| route.prefix);
        routes
    }
}

impl Shared {
    fn path(&self, prefix: IpNet, slot: PathSlot, best: bool, step: Option<Step>) -> Path {
        let set = self.attrs.get(slot.attrs);
        let source = self.sources.get(slot.source());
        let origin = match source {
            None => PathOrigin::Local(self.locals.source(prefix).unwrap_or(SourceId::CONFIG)),
            Some(source) => PathOrigin::Peer {
                peer: source.peer,
                key: source.key.clone(),
                address: source.address,
                router_id: source.router_id,
                hostname: source.hostname.clone(),
                interface: source.interface.clone(),
                kind: source.kind,
            },
        };
        let has = |fact| set.is_some_and(|set| set.facts.has(fact));
        let first_as = source
            .zip(set)
            .is_some_and(|(source, set)| source.enforce_first_as && set.first_as != source.asn.0);
        let excluded = if has(Facts::AS_LOOP) {
            Some(Exclusion::AsLoop)
        } else if has(Facts::REFLECTION_LOOP) {
            Some(Exclusion::ReflectionLoop)
        } else if slot.excluded() {
            // A policy that prepends makes a first AS that nobody enforces.
            Some(if first_as { Exclusion::FirstAs } else { Exclusion::Policy })
        } else {
            has(Facts::UNREACHABLE).then_some(Exclusion::NextHop)
        };
        Path {
            origin,
            next_hop: set.and_then(AttrSet::next_hop),
            attributes: set.map(AttrSet::decode).unwrap_or_default(),
            best,
            excluded,
            step,
        }
    }
}
