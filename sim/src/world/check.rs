//! What must hold whenever a world has settled.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use peerage_core::{
    rib::{PathOrigin, Route},
    speaker::{NeighborStatus, PeerState},
    wire::Family,
};

use super::World;
use crate::{
    naive,
    net::{PathState, Side, Tcp},
};

const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

impl World {
    /// Checks every invariant that holds at any settled moment.
    ///
    /// - A session that one end calls established is established at the other, on one connection and
    ///   the only one.
    /// - What one end says it advertised is what reached the other and was not withdrawn.
    /// - What a speaker advertises and what it imports is what [`naive`] says.
    /// - The best path of every prefix is the one that a full scan finds.
    /// - A table holds nothing of a peer that is not established.
    /// - Counters say what is there.
    ///
    /// # Panics
    ///
    /// With what is wrong.
    pub fn check(&self) {
        for node in 0..self.nodes.len() {
            if self.is_speaker(node) {
                let statuses = self.speaker_at(node).neighbors();
                self.check_table(node, &statuses);
                for status in statuses.iter().filter(|status| status.state == PeerState::Established) {
                    self.check_session(node, status);
                }
            }
        }
    }

    fn check_table(&self, node: usize, statuses: &[NeighborStatus]) {
        let name = &self.nodes[node].name;
        let rib = self.speaker_at(node).rib();
        let peers: BTreeSet<_> = statuses
            .iter()
            .filter(|status| status.state == PeerState::Established)
            .map(|status| status.peer)
            .collect();
        for family in FAMILIES {
            let routes = rib.routes(family);
            assert_eq!(routes.len(), rib.len(family), "{name}: len of {family}");
            assert!(routes.windows(2).all(|two| two[0].prefix < two[1].prefix), "{name}: order of {family}");
            for route in &routes {
                self.check_route(node, route);
                for path in &route.paths {
                    if let PathOrigin::Peer { peer, key, .. } = &path.origin {
                        assert!(
                            peers.contains(peer),
                            "{name}: {} has a path of {key}, which is not established",
                            route.prefix
                        );
                    }
                }
            }
        }
        if self.stalled.is_empty() && self.paths.values().all(|path| path.state == PathState::Up) {
            let sizes = rib.sizes();
            assert_eq!(sizes.owed, 0, "{name} owes: {sizes:?}");
            assert_eq!(sizes.retained_octets, 0, "{name} keeps octets: {sizes:?}");
            // A default route that neighbours are told has an id, whether there is one or not.
            let mut neighbors = self.nodes[node].desired.neighbors.values();
            let defaults = if neighbors.any(|it| !it.default_originate.is_empty()) { 2 } else { 0 };
            let ids = sizes.prefixes..=sizes.prefixes + defaults;
            assert!(ids.contains(&sizes.ids), "{name} keeps prefixes: {sizes:?}");
            if sizes.prefixes == 0 {
                assert_eq!(sizes.attribute_sets, 0, "{name}: {sizes:?}");
            }
        }
        for status in statuses {
            let session = status.session.is_some();
            assert_eq!(session, status.state == PeerState::Established, "{name}: session of {}", status.key);
            assert!(status.dropped <= status.established, "{name}: counts of {}", status.key);
        }
    }

    fn check_route(&self, node: usize, route: &Route) {
        let (name, prefix) = (&self.nodes[node].name, route.prefix);
        let metrics = &self.nodes[node].metrics;
        assert!(!route.paths.is_empty(), "{name}: {prefix} has no path");
        let naive = naive::decide(&route.paths, metrics);
        let expected = naive.map(|index| &route.paths[index]);
        assert_eq!(route.best(), expected, "{name}: the best path to {prefix} of {:#?}", route.paths);
        let marked = route.paths.iter().filter(|path| path.best).count();
        assert_eq!(marked, usize::from(expected.is_some()), "{name}: best paths to {prefix}");
        for path in &route.paths {
            assert!(!(path.best && path.excluded.is_some()), "{name}: {prefix} uses an excluded path");
        }
        if let Some(best) = route.best()
            && let Some(second) = route.paths.get(1).filter(|path| path.excluded.is_none())
        {
            let meds = route.paths.iter().any(|path| path.attributes.med.unwrap_or(0) > 0);
            if !meds {
                let step = naive::difference(best, second, metrics);
                assert_eq!(best.step, step, "{name}: why {prefix} is won: {:#?}", route.paths);
            }
        }
    }

    /// The connection under a session, with the side that is `node`.
    fn connection(&self, node: usize, status: &NeighborStatus) -> (Side, &Tcp) {
        let name = &self.nodes[node].name;
        let session = status.session.as_ref().expect("a session");
        let found: Vec<_> = self
            .tcps
            .values()
            .filter_map(|tcp| {
                (0..2)
                    .find(|&side| {
                        tcp.ends[side].node == node
                            && tcp.ends[side].alive
                            && tcp.ends[side].address == session.local
                            && tcp.ends[1 - side].address == session.remote
                    })
                    .map(|side| (side, tcp))
            })
            .collect();
        assert_eq!(found.len(), 1, "{name}: connections under the session with {}", status.key);
        found[0]
    }

    fn check_session(&self, node: usize, status: &NeighborStatus) {
        let name = &self.nodes[node].name;
        let (side, tcp) = self.connection(node, status);
        let peer = tcp.ends[1 - side].node;
        let stalled = self.stalled.contains(&(node, peer)) || self.stalled.contains(&(peer, node));
        if self.path(node, peer).state != PathState::Up || stalled {
            return;
        }
        let peer_name = &self.nodes[peer].name;
        for (side, half) in tcp.halves.iter().enumerate() {
            if self.is_speaker(tcp.ends[1 - side].node) {
                assert_eq!(
                    half.malformed, None,
                    "{name} and {peer_name}: a speaker sent something malformed"
                );
            }
        }
        let speaker = self.speaker_at(node);
        for family in FAMILIES {
            let received = tcp.halves[side].family(family);
            self.check_import(node, status, &received, family);
            if !self.nodes[node].released {
                assert!(tcp.halves[1 - side].routes.is_empty(), "{name} is held and announces");
                continue;
            }
            let arrived = tcp.halves[1 - side].family(family);
            let advertised: BTreeMap<IpNet, _> = speaker
                .advertised(status.peer, family)
                .into_iter()
                .map(|mut route| {
                    assert_eq!(route.paths.len(), 1, "{name}: advertised paths to {}", route.prefix);
                    (route.prefix, route.paths.remove(0))
                })
                .collect();
            let (said, came): (Vec<_>, Vec<_>) = (advertised.keys().collect(), arrived.keys().collect());
            assert_eq!(said, came, "mirror: {name} advertised, and {peer_name} received");
            for (prefix, path) in &advertised {
                let arrived = &arrived[prefix];
                assert_eq!(
                    (&path.attributes, path.next_hop),
                    (&arrived.attributes, Some(arrived.next_hop)),
                    "mirror: {name} advertised {prefix} to {peer_name}"
                );
            }
            let export = naive::export(&self.nodes[node].desired, speaker.rib(), status, family);
            let (want, said): (Vec<_>, Vec<_>) = (export.keys().collect(), advertised.keys().collect());
            assert_eq!(want, said, "{name} is to advertise, and does, to {peer_name}");
            for (prefix, export) in export {
                let path = &advertised[&prefix];
                let (mut want, mut said) =
                    (naive::normal(&export.attributes), naive::normal(&path.attributes));
                if export.default {
                    (want.med, said.med) = (None, None);
                }
                assert_eq!(want, said, "{name}: {prefix} to {peer_name}");
                let said = path.next_hop.map(peerage_core::wire::NextHop::address);
                assert_eq!(Some(export.next_hop), said, "{name}: next hop of {prefix} to {peer_name}");
            }
            let counts = status.routes.get(&family).copied().unwrap_or_default();
            assert_eq!(
                counts.received as usize,
                received.len(),
                "{name}: received from {peer_name}, {family}"
            );
            assert_eq!(
                counts.advertised as usize,
                arrived.len(),
                "{name}: advertised to {peer_name}, {family}"
            );
        }
        if self.is_speaker(peer) {
            let back = self.speaker_at(peer).neighbors();
            let session = status.session.as_ref().expect("a session");
            let both = back.iter().filter(|back| {
                back.session
                    .as_ref()
                    .is_some_and(|back| back.local == session.remote && back.remote == session.local)
            });
            assert_eq!(both.count(), 1, "{peer_name} has the session that {name} has");
        }
    }

    fn check_import(
        &self,
        node: usize,
        status: &NeighborStatus,
        received: &BTreeMap<IpNet, crate::Received>,
        family: Family,
    ) {
        let Self { nodes, .. } = self;
        let (name, desired, metrics) = (&nodes[node].name, &nodes[node].desired, &nodes[node].metrics);
        let mut paths = BTreeMap::new();
        for route in self.speaker_at(node).rib().routes(family) {
            for path in route.paths {
                if matches!(&path.origin, PathOrigin::Peer { peer, .. } if *peer == status.peer) {
                    let twice = paths.insert(route.prefix, path).is_some();
                    assert!(!twice, "{name}: two paths to {} from {}", route.prefix, status.key);
                }
            }
        }
        let (kept, came): (Vec<_>, Vec<_>) = (paths.keys().collect(), received.keys().collect());
        assert_eq!(kept, came, "{name}: kept, and received, from {}", status.key);
        let mut accepted = 0;
        for (prefix, path) in &paths {
            let received = &received[prefix];
            let reasons = naive::exclusions(desired, status, *prefix, received, metrics);
            match path.excluded {
                Some(reason) => assert!(
                    reasons.contains(&reason),
                    "{name}: {prefix} from {} is excluded by {reason:?}, not {reasons:?}",
                    status.key
                ),
                None => {
                    assert!(
                        reasons.is_empty(),
                        "{name}: {prefix} from {} is to be excluded: {reasons:?}",
                        status.key
                    );
                    let imported = naive::import(desired, status, *prefix, received).expect("accepted");
                    assert_eq!(
                        (naive::normal(&imported.attributes), Some(imported.next_hop)),
                        (naive::normal(&path.attributes), path.next_hop),
                        "{name}: import of {prefix} from {}",
                        status.key
                    );
                }
            }
            let only_next_hop = reasons == [peerage_core::rib::Exclusion::NextHop];
            accepted += usize::from(reasons.is_empty() || only_next_hop);
        }
        let counts = status.routes.get(&family).copied().unwrap_or_default();
        assert_eq!(counts.accepted as usize, accepted, "{name}: accepted from {}, {family}", status.key);
    }
}
