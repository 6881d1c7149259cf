//! The rules once more, as slowly as the RFCs state them: decision (RFC 4271 §9.1), import and export
//! (§5, §9.2, RFC 1997, RFC 4456, RFC 8212).
//!
//! Nothing here is shared with core's own decision and export: the two are compared.

use core::net::IpAddr;
use std::collections::BTreeMap;

use ipnet::IpNet;
use peerage_core::{
    policy::{Policy, RoutePolicy, RouteSource, RouteView, Set, Verdict},
    rib::{Exclusion, Path, PathOrigin, Rib, Step},
    speaker::{Desired, NeighborStatus, NextHopMode, PeerState, SessionInfo},
    wire::{
        Afi, Asn, Capability, Community, Family, NextHop, RouterId, SessionKind,
        attr::{AsPath, PathAttributes, Segment, SegmentKind},
    },
};

use crate::record::Received;

/// What next hops cost; what is not there costs nothing, `None` cannot be reached.
pub type Metrics = BTreeMap<IpAddr, Option<u32>>;

/// The length of a path as the decision counts it.
pub fn path_length(path: &AsPath) -> usize {
    path.segments
        .iter()
        .map(|segment| match segment.kind {
            SegmentKind::Sequence => segment.asns.len(),
            SegmentKind::Set => 1,
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => 0,
        })
        .sum()
}

/// The first AS of a path that starts with a sequence.
pub fn first_as(path: &AsPath) -> Option<Asn> {
    let first = path.segments.first().filter(|segment| segment.kind == SegmentKind::Sequence)?;
    first.asns.first().copied()
}

/// The path that is used: RFC 4271 §9.1.2.2, tie by tie, on all candidates at once.
pub fn decide(paths: &[Path], metrics: &Metrics) -> Option<usize> {
    let mut left: Vec<usize> = (0..paths.len()).filter(|&index| paths[index].excluded.is_none()).collect();
    let keep = |left: &mut Vec<usize>, key: &dyn Fn(&Path) -> u64| {
        let best = left.iter().map(|&index| key(&paths[index])).min();
        left.retain(|&index| Some(key(&paths[index])) == best);
    };
    keep(&mut left, &|path| source(path));
    keep(&mut left, &|path| u64::from(u32::MAX - path.attributes.local_pref.unwrap_or(100)));
    keep(&mut left, &|path| path_length(&path.attributes.as_path) as u64);
    keep(&mut left, &|path| path.attributes.origin as u64);
    // (c): within each neighbouring AS, those with the lowest MED stay.
    let med = |path: &Path| path.attributes.med.unwrap_or(0);
    let all = left.clone();
    left.retain(|&index| {
        let group = first_as(&paths[index].attributes.as_path);
        all.iter()
            .filter(|&&other| first_as(&paths[other].attributes.as_path) == group)
            .all(|&other| med(&paths[index]) <= med(&paths[other]))
    });
    keep(&mut left, &|path| u64::from(!is_external(path)));
    keep(&mut left, &|path| u64::from(metric(path, metrics)));
    keep(&mut left, &|path| u64::from(identifier(path)));
    keep(&mut left, &|path| path.attributes.cluster_list.len() as u64);
    let address = left.iter().map(|&index| peer_address(&paths[index])).min();
    left.retain(|&index| Some(peer_address(&paths[index])) == address);
    left.first().copied()
}

/// The first step at which two paths differ, MED counting only within one neighbouring AS.
pub fn difference(a: &Path, b: &Path, metrics: &Metrics) -> Option<Step> {
    let pref = |path: &Path| path.attributes.local_pref.unwrap_or(100);
    let length = |path: &Path| path_length(&path.attributes.as_path);
    let group = |path: &Path| first_as(&path.attributes.as_path);
    let med = |path: &Path| path.attributes.med.unwrap_or(0);
    let steps = [
        (Step::Local, source(a) != source(b)),
        (Step::LocalPref, pref(a) != pref(b)),
        (Step::AsPathLength, length(a) != length(b)),
        (Step::Origin, a.attributes.origin != b.attributes.origin),
        (Step::Med, group(a) == group(b) && med(a) != med(b)),
        (Step::External, is_external(a) != is_external(b)),
        (Step::NextHopMetric, metric(a, metrics) != metric(b, metrics)),
        (Step::RouterId, identifier(a) != identifier(b)),
        (Step::ClusterListLength, a.attributes.cluster_list.len() != b.attributes.cluster_list.len()),
        (Step::PeerAddress, peer_address(a) != peer_address(b)),
    ];
    steps.into_iter().find(|(_, differs)| *differs).map(|(step, _)| step)
}

fn source(path: &Path) -> u64 {
    match &path.origin {
        PathOrigin::Local(source) => u64::from(source.0),
        PathOrigin::Peer { .. } => u64::MAX,
    }
}

const fn is_external(path: &Path) -> bool {
    matches!(path.origin, PathOrigin::Peer { kind: SessionKind::External, .. })
}

fn metric(path: &Path, metrics: &Metrics) -> u32 {
    path.next_hop.and_then(|hop| metrics.get(&hop.address()).copied().flatten()).unwrap_or(0)
}

fn identifier(path: &Path) -> u32 {
    match (&path.origin, path.attributes.originator_id) {
        (PathOrigin::Local(_), _) => 0,
        (PathOrigin::Peer { kind: SessionKind::Internal, .. }, Some(id)) => id.0,
        (PathOrigin::Peer { router_id, .. }, _) => router_id.0,
    }
}

const fn peer_address(path: &Path) -> Option<IpAddr> {
    match path.origin {
        PathOrigin::Local(_) => None,
        PathOrigin::Peer { address, .. } => Some(address),
    }
}

/// Why a received route may not be used: every reason that applies.
pub fn exclusions(
    desired: &Desired,
    status: &NeighborStatus,
    prefix: IpNet,
    received: &Received,
    metrics: &Metrics,
) -> Vec<Exclusion> {
    let (Some(neighbor), Some(session)) = (desired.neighbors.get(&status.key), &status.session) else {
        return Vec::new();
    };
    let external = session.remote_as != desired.asn;
    let attributes = &received.attributes;
    let mut reasons = Vec::new();
    if attributes.as_path.segments.iter().any(|segment| segment.asns.contains(&desired.asn)) {
        reasons.push(Exclusion::AsLoop);
    }
    let cluster = desired.cluster_id.unwrap_or(desired.router_id);
    if attributes.originator_id == Some(desired.router_id) || attributes.cluster_list.contains(&cluster) {
        reasons.push(Exclusion::ReflectionLoop);
    }
    if external && neighbor.enforce_first_as && first_as(&attributes.as_path) != Some(session.remote_as) {
        reasons.push(Exclusion::FirstAs);
    }
    match import(desired, status, prefix, received) {
        None => reasons.push(Exclusion::Policy),
        Some(imported) => {
            if metrics.get(&imported.next_hop.address()) == Some(&None) {
                reasons.push(Exclusion::NextHop);
            }
        }
    }
    reasons
}

/// A received route past the import policy; `None`: it was rejected.
pub fn import(
    desired: &Desired,
    status: &NeighborStatus,
    prefix: IpNet,
    received: &Received,
) -> Option<Received> {
    let (neighbor, session) = (desired.neighbors.get(&status.key)?, status.session.as_ref()?);
    let external = session.remote_as != desired.asn;
    let Some(policy) = &neighbor.import else {
        return (!external).then(|| received.clone());
    };
    let source = if external { RouteSource::External } else { RouteSource::Internal };
    let sets = run(policy, prefix, source, Some(received.next_hop), &received.attributes, None)?;
    let mut imported = received.clone();
    for set in sets {
        edit(&mut imported.attributes, &set);
        if let Set::NextHop(address) = set {
            imported.next_hop = hop(address);
        }
    }
    Some(imported)
}

/// What is sent for a prefix, and with which next hop where the rules leave no choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its attributes.
    pub attributes: PathAttributes,
    /// The address of its next hop.
    pub next_hop: IpAddr,
    /// It is there by `default_originate`.
    pub default: bool,
}

/// Everything that an established peer is to be told in a family.
pub fn export(
    desired: &Desired,
    rib: &Rib,
    peer: &NeighborStatus,
    family: Family,
) -> BTreeMap<IpNet, Exported> {
    let mut all = BTreeMap::new();
    let (Some(neighbor), Some(session)) = (desired.neighbors.get(&peer.key), &peer.session) else {
        return all;
    };
    if peer.state != PeerState::Established || !session.families.contains(&family) {
        return all;
    }
    for route in rib.routes(family) {
        if let Some(best) = route.best()
            && let Some(exported) = export_one(desired, peer, route.prefix, best)
        {
            all.insert(route.prefix, exported);
        }
    }
    if neighbor.default_originate.contains(&family) {
        let prefix = if family == Family::IPV4_UNICAST { "0.0.0.0/0" } else { "::/0" };
        let mut attributes = PathAttributes::default();
        if session.remote_as == desired.asn {
            attributes.local_pref = Some(100);
        } else {
            prepend(&mut attributes.as_path, desired.asn);
        }
        let next_hop = session.local.ip();
        let exported = Exported { attributes, next_hop, default: true };
        // It stands for what the table holds, also where the session cannot carry it.
        all.remove(&crate::prefix(prefix));
        if carries(session, family == Family::IPV4_UNICAST, next_hop) {
            all.insert(crate::prefix(prefix), exported);
        }
    }
    all
}

fn export_one(desired: &Desired, peer: &NeighborStatus, prefix: IpNet, best: &Path) -> Option<Exported> {
    let (neighbor, session) = (desired.neighbors.get(&peer.key)?, peer.session.as_ref()?);
    let external = session.remote_as != desired.asn;
    let communities = &best.attributes.communities;
    if communities.contains(&Community::NO_ADVERTISE) {
        return None;
    }
    if external
        && (communities.contains(&Community::NO_EXPORT)
            || communities.contains(&Community::NO_EXPORT_SUBCONFED))
    {
        return None;
    }
    let mut attributes = best.attributes.clone();
    let (source, origination) = match &best.origin {
        PathOrigin::Local(source) => (RouteSource::Local, Some(*source)),
        PathOrigin::Peer { peer: from, .. } if *from == peer.peer => return None,
        PathOrigin::Peer { kind: SessionKind::External, .. } => (RouteSource::External, None),
        PathOrigin::Peer { key, router_id, .. } => {
            if !external {
                let client = desired.neighbors.get(key).is_some_and(|from| from.route_reflector_client);
                if !client && !neighbor.route_reflector_client {
                    return None;
                }
                attributes.originator_id = attributes.originator_id.or(Some(*router_id));
                attributes.cluster_list.insert(0, desired.cluster_id.unwrap_or(desired.router_id));
            }
            (RouteSource::Internal, None)
        }
    };
    let sets = match &neighbor.export {
        Some(policy) => run(policy, prefix, source, best.next_hop, &best.attributes, origination)?,
        None if external => return None,
        None => Vec::new(),
    };
    if external {
        attributes.local_pref = None;
        attributes.originator_id = None;
        attributes.cluster_list.clear();
        attributes.extended_communities.retain(|community| community.0[0] & 0x40 == 0);
        if source != RouteSource::Local {
            attributes.med = None;
        }
    } else {
        attributes.local_pref = attributes.local_pref.or(Some(100));
    }
    attributes.other.retain(|other| other.flags & 0x40 != 0);
    let mut set_next_hop = None;
    for set in &sets {
        match set {
            Set::LocalPref(_) if external => {}
            Set::NextHop(address) => set_next_hop = Some(*address),
            set => edit(&mut attributes, set),
        }
    }
    if external {
        prepend(&mut attributes.as_path, desired.asn);
    }
    let own = session.local.ip();
    let keep = match neighbor.next_hop {
        NextHopMode::OwnAddress => false,
        NextHopMode::Unchanged => true,
        NextHopMode::Standard => !external,
    };
    let v4 = prefix.addr().is_ipv4();
    // A link-local one means nothing on another link.
    let learned =
        best.next_hop.filter(|hop| keep && !hop.is_link_local() && carries(session, v4, hop.address()));
    let next_hop = set_next_hop.unwrap_or_else(|| learned.map_or(own, NextHop::address));
    carries(session, v4, next_hop).then_some(Exported { attributes, next_hop, default: false })
}

/// Whether a session can carry a next hop in a family (RFC 4271 §4.3, RFC 4760 §3, RFC 8950 §4).
fn carries(session: &SessionInfo, v4: bool, hop: IpAddr) -> bool {
    let offers = |capabilities: &[Capability]| {
        capabilities.iter().any(|capability| match capability {
            Capability::ExtendedNextHop(rows) => rows.contains(&(Family::IPV4_UNICAST, Afi::IPV6)),
            _ => false,
        })
    };
    match (v4, hop.is_ipv4()) {
        (true, true) | (false, false) => true,
        (true, false) => offers(&session.local_capabilities) && offers(&session.remote_capabilities),
        (false, true) => false,
    }
}

fn run(
    policy: &Policy,
    prefix: IpNet,
    source: RouteSource,
    next_hop: Option<NextHop>,
    attributes: &PathAttributes,
    origination: Option<peerage_core::speaker::SourceId>,
) -> Option<Vec<Set>> {
    let (verdict, edits) = policy.apply(&RouteView { prefix, source, origination, next_hop, attributes });
    (verdict == Verdict::Accept).then_some(edits.sets)
}

/// Makes an edit of a policy; the next hop is no attribute here.
pub fn edit(attributes: &mut PathAttributes, set: &Set) {
    match set {
        Set::LocalPref(value) => attributes.local_pref = Some(*value),
        Set::Med(value) => attributes.med = *value,
        Set::Origin(origin) => attributes.origin = *origin,
        Set::Communities(values) => attributes.communities.clone_from(values),
        Set::AddCommunities(values) => add(&mut attributes.communities, values),
        Set::RemoveCommunities(values) => attributes.communities.retain(|value| !values.contains(value)),
        Set::LargeCommunities(values) => attributes.large_communities.clone_from(values),
        Set::AddLargeCommunities(values) => add(&mut attributes.large_communities, values),
        Set::RemoveLargeCommunities(values) => {
            attributes.large_communities.retain(|value| !values.contains(value));
        }
        Set::Prepend { asn, count } => {
            (0..*count).for_each(|_| prepend(&mut attributes.as_path, *asn));
        }
        Set::NextHop(_) => {}
        other => panic!("an edit that is not written down here: {other:?}"),
    }
}

fn add<T: Copy + PartialEq>(to: &mut Vec<T>, values: &[T]) {
    for value in values {
        if !to.contains(value) {
            to.push(*value);
        }
    }
}

fn prepend(path: &mut AsPath, asn: Asn) {
    match path.segments.first_mut() {
        Some(first) if first.kind == SegmentKind::Sequence && first.asns.len() < 255 => {
            first.asns.insert(0, asn);
        }
        _ => path.segments.insert(0, Segment { kind: SegmentKind::Sequence, asns: vec![asn] }),
    }
}

const fn hop(address: IpAddr) -> NextHop {
    match address {
        IpAddr::V4(address) => NextHop::V4(address),
        IpAddr::V6(address) => NextHop::V6(address),
    }
}

/// Attributes in a form in which only what matters differs: sets sorted, defaults written out, the
/// partial bit ignored.
pub fn normal(attributes: &PathAttributes) -> PathAttributes {
    let mut normal = attributes.clone();
    normal.local_pref = Some(normal.local_pref.unwrap_or(100));
    normal.communities.sort_unstable();
    normal.extended_communities.sort_unstable();
    normal.large_communities.sort_unstable();
    normal.other.iter_mut().for_each(|other| other.flags &= !0x30);
    normal.other.sort_unstable();
    normal
}

/// The identifier of the speaker that brought a route into the AS, for tests.
pub fn originator(attributes: &PathAttributes, from: RouterId) -> RouterId {
    attributes.originator_id.unwrap_or(from)
}
