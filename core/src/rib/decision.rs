//! The decision: which of a prefix's paths is used (RFC 4271 §9.1.2.2, RFC 4456 §9).
//!
//! One comparator serves selection, `explain` and tests. MULTI_EXIT_DISC only counts between paths of one
//! neighbouring AS, so there are two orders: *within* a neighbouring AS, where it counts, and *across*,
//! where it does not. Each is total and transitive. The best path is the best, across, of the best within
//! each neighbouring AS: so the order in which paths arrive never matters. No step looks at age.

use core::{cmp::Ordering, net::IpAddr};

use super::Step;
use crate::wire::{Asn, Origin, RouterId};

/// Whether MULTI_EXIT_DISC counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Between paths of one neighbouring AS: it counts.
    Within,
    /// Between paths of different ones: it does not.
    Across,
}

/// What the decision looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank<'a> {
    /// Originated here.
    pub local: bool,
    /// LOCAL_PREF, 100 where there is none.
    pub local_pref: u32,
    /// Length of AS_PATH.
    pub as_path_len: u16,
    /// ORIGIN.
    pub origin: Origin,
    /// The neighbouring AS: the first of the path. `None` where the path is empty.
    pub neighbor_as: Option<Asn>,
    /// MULTI_EXIT_DISC, 0 where there is none.
    pub med: u32,
    /// Learned from an eBGP peer.
    pub external: bool,
    /// Metric to the next hop.
    pub metric: u32,
    /// ORIGINATOR_ID, or the peer's identifier.
    pub router_id: RouterId,
    /// Entries of CLUSTER_LIST.
    pub cluster_list_len: u16,
    /// The peer's address.
    pub address: IpAddr,
    /// The interface, which tells link-local addresses apart.
    pub interface: Option<&'a str>,
}

/// Compares two paths: `Less` when `a` is preferred. `Equal` only for two paths of one peer; the step is
/// the one that decided.
pub fn prefer(a: &Rank<'_>, b: &Rank<'_>, scope: Scope) -> (Ordering, Step) {
    let med = match scope {
        Scope::Within => a.med.cmp(&b.med),
        Scope::Across => Ordering::Equal,
    };
    let steps = [
        (b.local.cmp(&a.local), Step::Local),
        (b.local_pref.cmp(&a.local_pref), Step::LocalPref),
        (a.as_path_len.cmp(&b.as_path_len), Step::AsPathLength),
        (a.origin.cmp(&b.origin), Step::Origin),
        (med, Step::Med),
        (b.external.cmp(&a.external), Step::External),
        (a.metric.cmp(&b.metric), Step::NextHopMetric),
        (a.router_id.cmp(&b.router_id), Step::RouterId),
        (a.cluster_list_len.cmp(&b.cluster_list_len), Step::ClusterListLength),
    ];
    for (ordering, step) in steps {
        if ordering != Ordering::Equal {
            return (ordering, step);
        }
    }
    ((a.address, a.interface).cmp(&(b.address, b.interface)), Step::PeerAddress)
}

/// The order to show or choose between any two: within where the neighbouring AS is the same.
pub fn scope_of(a: &Rank<'_>, b: &Rank<'_>) -> Scope {
    if a.neighbor_as == b.neighbor_as { Scope::Within } else { Scope::Across }
}

/// The position of the best of `ranks`.
pub fn select(ranks: &[Rank<'_>]) -> Option<usize> {
    let best_of = |candidates: &mut dyn Iterator<Item = (usize, &Rank<'_>)>, scope| {
        candidates
            .reduce(|best, next| if prefer(next.1, best.1, scope).0 == Ordering::Less { next } else { best })
            .map(|(index, _)| index)
    };
    if ranks.iter().all(|rank| rank.med == 0) {
        return best_of(&mut ranks.iter().enumerate(), Scope::Across);
    }
    let mut order: smallvec::SmallVec<[usize; 16]> = (0..ranks.len()).collect();
    order.sort_unstable_by_key(|&index| ranks.get(index).map(|rank| (rank.neighbor_as, index)));
    let mut winners: smallvec::SmallVec<[usize; 16]> = smallvec::SmallVec::new();
    for group in order.chunk_by(|&a, &b| {
        ranks.get(a).map(|rank| rank.neighbor_as) == ranks.get(b).map(|rank| rank.neighbor_as)
    }) {
        let mut members = group.iter().filter_map(|&index| Some((index, ranks.get(index)?)));
        winners.extend(best_of(&mut members, Scope::Within));
    }
    let mut finalists = winners.iter().filter_map(|&index| Some((index, ranks.get(index)?)));
    best_of(&mut finalists, Scope::Across)
}
