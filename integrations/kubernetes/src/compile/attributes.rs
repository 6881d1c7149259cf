//! `advertisedPathAttributes`: the export policy of one neighbour.
//!
//! Which routes are of a pool is told by their addresses, as in Cilium. So the policy stays as it is
//! when Services come and go, and such a change costs no more than its own routes.
//!
//! Where several selectors choose a route, it gets the communities of all, and the highest
//! localPreference, as in Cilium's BGPv2.

use std::collections::BTreeSet;

use ipnet::IpNet;
use peerage_core::policy::{Match, Policy, PrefixMatch, RouteSource, Rule, Set, Verdict};

use super::pods::{PodPrefixes, pool_labels};
use crate::{
    AdvertisedPathAttributes, CiliumLoadBalancerIPPool, CiliumPodIPPool, LabelSelector, NeighborSpec, Node,
    Snapshot,
};

/// What attributes are chosen by, on one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routes<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) node: &'a Node,
    pub(super) pods: &'a PodPrefixes,
}

/// Only what is originated here goes out, so that nothing learned ever does; with its attributes.
pub(super) fn export(neighbor: &NeighborSpec, internal: bool, routes: Routes<'_>) -> Policy {
    let own = Match::Source(BTreeSet::from([RouteSource::Local]));
    let mut chosen: Vec<_> = neighbor.advertised_path_attributes.iter().flatten().collect();
    // The last one that sets LOCAL_PREF counts.
    chosen.sort_by_key(|attributes| attributes.local_preference);
    let mut rules: Vec<Rule> = chosen
        .into_iter()
        .filter_map(|attributes| {
            let prefixes = routes.of(attributes);
            let sets = sets(attributes, internal);
            let matches = vec![own.clone(), Match::Prefix(prefixes)];
            matches_any(&matches, &sets).then_some(Rule { matches, sets, verdict: None })
        })
        .collect();
    rules.push(Rule { matches: vec![own], verdict: Some(Verdict::Accept), ..Rule::default() });
    Policy { rules, otherwise: Verdict::Reject }
}

/// Whether a rule can do anything.
fn matches_any(matches: &[Match], sets: &[Set]) -> bool {
    let nothing = matches.iter().any(|it| matches!(it, Match::Prefix(prefixes) if prefixes.is_empty()));
    !nothing && !sets.is_empty()
}

fn sets(attributes: &AdvertisedPathAttributes, internal: bool) -> Vec<Set> {
    let communities = attributes.communities.as_ref();
    let standard = communities.map(|communities| communities.standard()).unwrap_or_default();
    let large = communities.map(|communities| communities.large()).unwrap_or_default();
    let mut sets = Vec::new();
    if !standard.is_empty() {
        sets.push(Set::AddCommunities(standard));
    }
    if !large.is_empty() {
        sets.push(Set::AddLargeCommunities(large));
    }
    sets.extend(attributes.local_preference.filter(|_| internal).map(Set::LocalPref));
    sets
}

impl Routes<'_> {
    /// The prefixes that attributes are for.
    fn of(&self, attributes: &AdvertisedPathAttributes) -> Vec<PrefixMatch> {
        let selector = attributes.selector.as_ref();
        let exact = |prefixes: &[IpNet]| prefixes.iter().copied().map(PrefixMatch::exact).collect();
        match attributes.selector_type.as_str() {
            "PodCIDR" if self.node.is_selected(selector) => exact(&self.pods.cidrs),
            "CiliumPodIPPool" => {
                let pools = self.pod_pools(selector);
                let prefixes: BTreeSet<_> =
                    pools.flat_map(|pool| self.pods.of_pool(&pool.metadata.name)).collect();
                exact(&prefixes.into_iter().collect::<Vec<_>>())
            }
            "CiliumLoadBalancerIPPool" => {
                let prefixes: Vec<_> =
                    self.lb_pools(selector).flat_map(CiliumLoadBalancerIPPool::prefixes).collect();
                IpNet::aggregate(&prefixes).into_iter().map(hosts).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether attributes are for pools and no pool is chosen.
    pub(super) fn lacks_pool(&self, attributes: &AdvertisedPathAttributes) -> bool {
        let selector = attributes.selector.as_ref();
        match attributes.selector_type.as_str() {
            "CiliumPodIPPool" => self.pod_pools(selector).next().is_none(),
            "CiliumLoadBalancerIPPool" => self.lb_pools(selector).next().is_none(),
            _ => false,
        }
    }

    fn pod_pools(&self, selector: Option<&LabelSelector>) -> impl Iterator<Item = &CiliumPodIPPool> {
        let pools = self.snapshot.pod_pools.values().map(|stored| &stored.object);
        pools.filter(move |pool| selector.is_none_or(|selector| selector.matches(&pool_labels(pool))))
    }

    /// Without those that are disabled.
    fn lb_pools(&self, selector: Option<&LabelSelector>) -> impl Iterator<Item = &CiliumLoadBalancerIPPool> {
        let pools = self.snapshot.lb_pools.values().map(|stored| &stored.object);
        pools.filter(move |pool| {
            let labels = pool.metadata.labels.clone().unwrap_or_default();
            !pool.is_disabled() && selector.is_none_or(|selector| selector.matches(&labels))
        })
    }
}

/// The single addresses in a prefix.
fn hosts(net: IpNet) -> PrefixMatch {
    PrefixMatch { net, min_len: net.max_prefix_len(), max_len: net.max_prefix_len() }
}
