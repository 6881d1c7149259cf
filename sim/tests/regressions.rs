//! What reviews found, one test each, so that it stays found.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use peerage_core::{
    policy::{Match, Policy, PrefixMatch, Rule, Set, Verdict},
    rib::Exclusion,
    speaker::{
        CloseReason, ConnId, Desired, DownReason, Event, Neighbor, NeighborKey, Origination, PeerAs,
        PeerState, Reachability, SourceId, Timers,
    },
    wire::{
        Asn, Community, ExtendedCommunity, Family, RouterId, SessionKind,
        attr::{AttributeContext, PathAttributes},
    },
};
use peerage_sim::{
    Neighbors as _, Solo, attributes, desired, external, internal,
    message::{self, Attrs, Facts, Message, OpenSpec},
    prefix,
};

const V4: Family = Family::IPV4_UNICAST;
const V6: Family = Family::IPV6_UNICAST;
const NET: &str = "192.0.2.0/24";
const DEFAULT: &str = "0.0.0.0/0";

/// The neighbours of most tests; AS 65002 is at 10.0.0.2 and so on.
const B: &str = "10.0.0.2";
const C: &str = "10.0.0.3";
const D: &str = "10.0.0.4";

fn key(address: &str) -> NeighborKey {
    NeighborKey::Address(address.parse().unwrap())
}

/// AS 65001 with these neighbours, which only it is connected to by.
fn wanted(neighbors: &[(&str, Neighbor)]) -> Desired {
    neighbors.iter().fold(desired(65001, [10, 0, 0, 1].into()), |wanted, (address, neighbor)| {
        wanted.neighbor(address, Neighbor { passive: true, ..neighbor.clone() })
    })
}

fn open(address: &str, asn: u32) -> OpenSpec {
    OpenSpec::new(asn, address.parse().unwrap())
}

fn edit(wanted: &mut Desired, address: &str, edit: impl FnOnce(&mut Neighbor)) {
    edit(wanted.neighbors.get_mut(&key(address)).unwrap());
}

/// ORIGIN, AS_PATH and NEXT_HOP of a route from one of the neighbours.
fn from(address: &str, as_path: &[u32]) -> Attrs {
    Attrs::new(as_path, address.parse().unwrap())
}

/// A policy of one rule that goes on, and accepts.
fn rule(matches: Vec<Match>, set: Set) -> Policy {
    let rule = Rule { matches, sets: vec![set], verdict: None };
    Policy { rules: vec![rule], otherwise: Verdict::Accept }
}

/// `count` prefixes of 24 bits.
fn nets(count: u32) -> Vec<IpNet> {
    (0..count).map(|net| IpNet::V4(Ipv4Net::new((0x0B00_0000 + (net << 8)).into(), 24).unwrap())).collect()
}

/// What a peer was told, in order.
#[derive(Debug, Default)]
struct Heard {
    updates: Vec<Facts>,
    ends: Vec<Family>,
    /// Code and subcode of a NOTIFICATION.
    closed: Option<(u8, u8)>,
}

impl Heard {
    fn announced(&self) -> Vec<IpNet> {
        self.updates.iter().flat_map(|facts| facts.announced.keys().copied()).collect()
    }

    fn withdrawn(&self) -> Vec<IpNet> {
        self.updates.iter().flat_map(|facts| facts.withdrawn.iter().copied()).collect()
    }

    /// The attributes of the last announcement of a prefix.
    fn attributes(&self, net: &str) -> &PathAttributes {
        let net = prefix(net);
        let last = self.updates.iter().rev().find(|facts| facts.announced.contains_key(&net));
        &last.unwrap_or_else(|| panic!("{net} is not announced: {self:?}")).attributes
    }
}

fn heard(solo: &mut Solo, conn: ConnId) -> Heard {
    let mut heard = Heard::default();
    for message in solo.messages(conn) {
        match message {
            Message::Update(facts) => match facts.end_of_rib {
                Some(family) => heard.ends.push(family),
                None => heard.updates.push(*facts),
            },
            Message::Notification(notification) => {
                heard.closed = Some((notification.code, notification.subcode));
            }
            _ => {}
        }
    }
    heard
}

/// What the speaker says that it announces to a neighbour.
fn advertised(solo: &Solo, address: &str) -> Vec<IpNet> {
    let peer = solo.status(address).peer;
    solo.speaker.advertised(peer, V4).into_iter().map(|route| route.prefix).collect()
}

/// A neighbour whose socket takes nothing from the first octet on.
fn establish_blocked(solo: &mut Solo, address: &str, asn: u32) -> ConnId {
    let conn = solo.accept(address);
    solo.block(conn, true);
    solo.bytes(conn, &open(address, asn).encode());
    solo.bytes(conn, &message::keepalive());
    assert_eq!(solo.state(address), PeerState::Established);
    conn
}

fn read_as_internal(solo: &mut Solo, conn: ConnId) {
    solo.read_as(conn, AttributeContext { four_octet_as: true, kind: SessionKind::Internal });
}

/// The best path goes from one peer to none to another before anybody is told: the other peer has the old
/// one still, and is told to forget it.
#[test]
fn a_route_that_changed_hands_by_way_of_none_is_not_left_behind() {
    let neighbors = [(B, external(65002)), (C, external(65003)), (D, external(65004))];
    let mut solo = Solo::new(1, &wanted(&neighbors));
    let [b, c, d] = [(B, 65002), (C, 65003), (D, 65004)].map(|(at, asn)| solo.establish(at, &open(at, asn)));
    solo.bytes(b, &message::announce(&from(B, &[65002]), &[prefix(NET)]));
    for conn in [b, c, d] {
        heard(&mut solo, conn);
    }
    solo.speaker.handle_bytes(solo.now, b, &message::withdraw(&[prefix(NET)]));
    solo.speaker.handle_bytes(solo.now, c, &message::announce(&from(C, &[65003, 9]), &[prefix(NET)]));
    solo.pump();
    let to_c = heard(&mut solo, c);
    assert_eq!((to_c.announced(), to_c.withdrawn()), (vec![], vec![prefix(NET)]));
    for conn in [b, d] {
        assert_eq!(heard(&mut solo, conn).attributes(NET).as_path.to_string(), "65001 65003 9");
    }
    assert_eq!(advertised(&solo, C), []);
    assert_eq!(advertised(&solo, D), [prefix(NET)]);
}

/// A table of 300 routes, each in an UPDATE of its own, and a neighbour that has it.
fn with_table() -> (Solo, ConnId) {
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002))]));
    let routes: Vec<Origination> = nets(300)
        .into_iter()
        .zip(0..)
        .map(|(prefix, tag)| {
            let communities = vec![Community(tag)];
            Origination { prefix, attributes: PathAttributes { communities, ..attributes(&[]) } }
        })
        .collect();
    solo.speaker.originate(SourceId(1), &routes);
    let conn = solo.establish(B, &open(B, 65002));
    assert_eq!(heard(&mut solo, conn).updates.len(), 300);
    (solo, conn)
}

/// However often a peer asks for everything, it gets it once at a time: what it is being sent, and then
/// once more, for it asked since.
#[test]
fn a_flood_of_route_refresh_is_answered_once() {
    let (mut solo, conn) = with_table();
    solo.bytes(conn, &message::route_refresh(V4).repeat(100));
    let updates = heard(&mut solo, conn).updates.len();
    assert!((300..=600).contains(&updates), "{updates} UPDATEs");
    solo.pump();
    assert_eq!(heard(&mut solo, conn).updates.len(), 0, "it goes on and on");
    // One that asks later is served, as often as it asks.
    for _ in 0..3 {
        solo.bytes(conn, &message::route_refresh(V4));
        assert_eq!(heard(&mut solo, conn).updates.len(), 300);
    }
}

/// A peer that asks again with every message that it reads gets on all the same: nobody starts from the
/// beginning for it.
#[test]
fn a_route_refresh_does_not_start_what_is_under_way_again() {
    let (mut solo, conn) = with_table();
    let (mut updates, mut routes) = (0, BTreeSet::new());
    for _ in 0..300 {
        solo.speaker.handle_bytes(solo.now, conn, &message::route_refresh(V4));
        let mut reader = message::Reader::default();
        reader.push(&solo.speaker.poll_transmit(solo.now, conn, 1).expect("another message"));
        for message in reader.all() {
            let Message::Update(facts) = message else { panic!("{message:?}") };
            updates += 1;
            routes.extend(facts.announced.into_keys());
        }
    }
    assert_eq!((updates, routes.len()), (300, 300), "it is sent the same again and again");
    // And then once more, for it asked since.
    assert_eq!(heard(&mut solo, conn).updates.len(), 300);
}

/// A peer asks for everything before it has got it the first time: End-of-RIB comes, once.
#[test]
fn end_of_rib_survives_a_refresh() {
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002))]).route(NET));
    let conn = establish_blocked(&mut solo, B, 65002);
    solo.bytes(conn, &message::route_refresh(V4));
    solo.block(conn, false);
    let heard = heard(&mut solo, conn);
    assert_eq!(heard.ends, [V4, V6]);
    assert!(heard.announced().contains(&prefix(NET)));
}

/// The export policy and the next hop change before a peer has got its first dump.
#[test]
fn end_of_rib_survives_a_reconcile() {
    let mut wanted = wanted(&[(B, external(65002))]).route(NET);
    let mut solo = Solo::new(1, &wanted);
    let conn = establish_blocked(&mut solo, B, 65002);
    edit(&mut wanted, B, |neighbor| {
        neighbor.next_hop = peerage_core::speaker::NextHopMode::Unchanged;
        neighbor.export = Some(rule(vec![], Set::Med(Some(7))));
    });
    solo.reconcile(&wanted);
    solo.block(conn, false);
    let before = heard(&mut solo, conn);
    assert_eq!(before.ends, [V4, V6]);
    assert_eq!(before.attributes(NET).med, Some(7));
    // And is not said again when that changes later.
    edit(&mut wanted, B, |neighbor| neighbor.export = Some(Policy::accept()));
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, conn).ends, []);
}

/// A default route that is originated towards a neighbour is announced though a real one comes and goes,
/// also where it goes before the neighbour was told of either.
#[test]
fn default_originate_survives_the_real_one() {
    let mut neighbor = external(65003);
    neighbor.default_originate.insert(V4);
    let mut wanted = wanted(&[(B, external(65002)), (C, neighbor)]);
    let mut solo = Solo::new(1, &wanted);
    let b = solo.establish(B, &open(B, 65002));
    let announce = message::announce(&from(B, &[65002]), &[prefix(DEFAULT)]);
    solo.bytes(b, &announce);
    let c = establish_blocked(&mut solo, C, 65003);
    solo.bytes(b, &message::withdraw(&[prefix(DEFAULT)]));
    solo.block(c, false);
    assert_eq!(heard(&mut solo, c).announced(), [prefix(DEFAULT)]);
    assert_eq!(advertised(&solo, C), [prefix(DEFAULT)]);
    for octets in [&announce, &message::withdraw(&[prefix(DEFAULT)])] {
        solo.bytes(b, octets);
        assert_eq!(heard(&mut solo, c).withdrawn(), []);
        assert_eq!(advertised(&solo, C), [prefix(DEFAULT)]);
    }
    // Nobody wants it any more: nothing keeps it.
    edit(&mut wanted, C, |neighbor| neighbor.default_originate.clear());
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, c).withdrawn(), [prefix(DEFAULT)]);
    assert_eq!(solo.speaker.rib().sizes().ids, 0);
}

/// A neighbour announces a default route itself: what is originated towards it counts all the same.
#[test]
fn a_default_towards_who_has_one_is_counted() {
    let mut neighbor = external(65002);
    neighbor.default_originate.insert(V4);
    let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
    let conn = solo.establish(B, &open(B, 65002));
    assert_eq!(heard(&mut solo, conn).announced(), [prefix(DEFAULT)]);
    solo.bytes(conn, &message::announce(&from(B, &[65002]), &[prefix(DEFAULT), prefix(NET)]));
    assert_eq!(heard(&mut solo, conn).withdrawn(), []);
    assert_eq!(advertised(&solo, B), [prefix(DEFAULT)]);
    assert_eq!(solo.status(B).routes[&V4].advertised, 1);
}

/// A session over IPv6 has no next hop for an IPv4 default route: the real one, which it had, is taken back
/// when one is to be originated in its place.
#[test]
fn a_default_that_a_session_cannot_carry_leaves_no_other_behind() {
    let at = "fd00::3";
    let mut wanted = wanted(&[(B, external(65002)), (at, internal())]);
    let mut solo = Solo::new(1, &wanted);
    let b = solo.establish(B, &open(B, 65002));
    let c = solo.establish(at, &OpenSpec::new(65001, [10, 0, 0, 3].into()));
    read_as_internal(&mut solo, c);
    solo.bytes(b, &message::announce(&from(B, &[65002]), &[prefix(DEFAULT)]));
    assert_eq!(heard(&mut solo, c).announced(), [prefix(DEFAULT)]);
    edit(&mut wanted, at, |neighbor| neighbor.default_originate = [V4].into());
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, c).withdrawn(), [prefix(DEFAULT)]);
    assert_eq!(advertised(&solo, at), []);
    assert_eq!(solo.status(at).routes[&V4].advertised, 0);
    edit(&mut wanted, at, |neighbor| neighbor.default_originate.clear());
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, c).announced(), [prefix(DEFAULT)]);
}

/// What is announced to a peer with AS numbers of two octets can be shown (RFC 6793).
#[test]
fn what_is_advertised_has_a_path_also_towards_two_octets() {
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002)), (C, external(65003))]));
    let b = solo.establish(B, &open(B, 65002));
    let c = solo.establish(C, &open(C, 65003).without(65));
    solo.read_as(c, AttributeContext { four_octet_as: false, kind: SessionKind::External });
    solo.bytes(b, &message::announce(&from(B, &[65002, 4_200_000_000]), &[prefix(NET)]));
    assert_eq!(heard(&mut solo, c).attributes(NET).as_path.to_string(), "65001 65002 4200000000");
    let routes = solo.speaker.advertised(solo.status(C).peer, V4);
    assert_eq!(routes[0].paths[0].attributes.as_path.to_string(), "65001 65002 4200000000");
}

fn range(edit: impl FnOnce(&mut Neighbor)) -> Desired {
    let mut wanted = desired(65001, [10, 0, 0, 1].into());
    let mut neighbor = external(65002);
    edit(&mut neighbor);
    wanted.neighbors.insert(NeighborKey::Range(prefix("10.0.0.0/24")), neighbor);
    wanted
}

/// An address of a range connects again before its first connection got anywhere: the second takes its
/// place, the first is closed, and when all is over nothing is left.
#[test]
fn a_second_connection_from_a_range_takes_the_place_of_the_first() {
    let mut solo = Solo::new(1, &range(|_| ()));
    let (first, second) = (solo.accept(B), solo.accept(B));
    assert_eq!(heard(&mut solo, first).closed, Some((6, 7)));
    assert_eq!(solo.closed, [first]);
    solo.bytes(second, &open(B, 65002).encode());
    solo.bytes(second, &message::keepalive());
    assert_eq!(solo.state(B), PeerState::Established);
    assert_eq!(solo.speaker.neighbors().len(), 1);

    solo.lose(second, CloseReason::Reset);
    solo.lose(first, CloseReason::Closed);
    assert_eq!(solo.speaker.neighbors(), []);
    assert_eq!(solo.speaker.poll_timeout(), None);
    // And again from the start.
    solo.establish(B, &open(B, 65002));
    assert_eq!(solo.state(B), PeerState::Established);
}

/// Each connection from a range ends with a `Close` or has a timer, whatever the order they come and go in.
#[test]
fn no_connection_from_a_range_is_left_alone() {
    let mut solo = Solo::new(1, &range(|_| ()));
    let conns: Vec<ConnId> = (0..5).map(|_| solo.accept(B)).collect();
    let (last, others) = conns.split_last().unwrap();
    assert_eq!(solo.closed, others);
    // The last one says nothing: its OPEN timer runs.
    while solo.is_open(*last) {
        assert!(solo.next_timer().is_some(), "an open connection without a timer");
    }
    assert_eq!(solo.closed, conns);
    assert_eq!(solo.speaker.neighbors(), []);
    assert_eq!(solo.speaker.poll_timeout(), None);
}

/// Connections that come in on another address than a range's own are refused, and leave no peers behind.
#[test]
fn a_refused_local_address_makes_no_peer() {
    let mut wanted = range(|neighbor| neighbor.local_address = Some([10, 0, 0, 1].into()));
    wanted.limits.dynamic_peers = 4;
    let mut solo = Solo::new(1, &wanted);
    for host in 10..30 {
        let [remote, local] = [[10, 0, 0, host], [10, 0, 0, 254]];
        let conn =
            solo.accept_from(SocketAddr::new(remote.into(), 9), SocketAddr::new(local.into(), 179), None);
        assert_eq!(heard(&mut solo, conn).closed, Some((6, 5)));
        assert!(solo.closed.contains(&conn));
        solo.lose(conn, CloseReason::Closed);
        assert_eq!(solo.speaker.neighbors(), []);
    }
    solo.establish(B, &open(B, 65002));
    assert_eq!(solo.state(B), PeerState::Established);
}

/// LOCAL_PREF from an eBGP peer is ignored, also where its octets are those of a set that import policy
/// made and the table knows.
#[test]
fn local_pref_cannot_be_smuggled_in() {
    let [preferred, same, other] = ["2001:db8:1::/48", "2001:db8:2::/48", "2001:db8:3::/48"].map(prefix);
    let mut neighbor = external(65002);
    neighbor.import =
        Some(rule(vec![Match::Prefix(vec![PrefixMatch::exact(preferred)])], Set::LocalPref(200)));
    let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
    let conn = solo.establish(B, &open(B, 65002));
    let next_hop = message::next_hop_6("2001:db8::2".parse().unwrap());
    for (net, local_pref) in [(preferred, None), (same, Some(200)), (other, Some(201)), (same, Some(200))] {
        let mut attrs = Attrs::default().mp_reach(V6, &next_hop, &[net]).origin(0).as_path(&[65002]);
        if let Some(value) = local_pref {
            attrs = attrs.local_pref(value);
        }
        solo.bytes(conn, &message::update(&[], &attrs.block, &[]));
    }
    let preferences: BTreeMap<IpNet, Option<u32>> = solo
        .speaker
        .rib()
        .routes(V6)
        .into_iter()
        .map(|route| (route.prefix, route.paths[0].attributes.local_pref))
        .collect();
    assert_eq!(preferences, BTreeMap::from([(preferred, Some(200)), (same, None), (other, None)]));
}

/// A neighbour that is not passive any more is dialled, whatever else changes with that.
#[test]
fn a_neighbour_that_is_not_passive_any_more_is_dialled() {
    let mut wanted = wanted(&[(B, external(65002))]);
    let mut solo = Solo::new(1, &wanted);
    assert_eq!(solo.connects, []);
    edit(&mut wanted, B, |neighbor| (neighbor.passive, neighbor.export) = (false, None));
    solo.reconcile(&wanted);
    let dialled: Vec<_> = solo.connects.iter().map(|(_, target)| target.remote.ip().to_string()).collect();
    assert_eq!(dialled, [B]);
    assert_eq!(solo.state(B), PeerState::Connect);
    edit(&mut wanted, B, |neighbor| (neighbor.passive, neighbor.export) = (true, Some(Policy::accept())));
    solo.reconcile(&wanted);
    assert_eq!(solo.connects, []);
}

/// A neighbour becomes a client of the route reflector: what it has announced is reflected, and
/// withdrawn when it is one no longer.
#[test]
fn becoming_a_client_reflects_and_ceasing_to_be_one_withdraws() {
    let mut wanted = wanted(&[(B, internal()), (C, internal())]);
    let mut solo = Solo::new(1, &wanted);
    let [b, c] = [B, C].map(|at| solo.establish(at, &open(at, 65001)));
    read_as_internal(&mut solo, c);
    let attrs = from(B, &[64999]).local_pref(100);
    solo.bytes(b, &message::announce(&attrs, &[prefix(NET)]));
    assert_eq!(heard(&mut solo, c).announced(), []);

    edit(&mut wanted, B, |neighbor| neighbor.route_reflector_client = true);
    solo.reconcile(&wanted);
    let reflected = heard(&mut solo, c);
    assert_eq!(reflected.attributes(NET).originator_id, Some(RouterId(0x0A00_0002)));
    assert_eq!(reflected.attributes(NET).cluster_list, [RouterId(0x0A00_0001)]);
    assert_eq!(advertised(&solo, C), [prefix(NET)]);

    edit(&mut wanted, B, |neighbor| neighbor.route_reflector_client = false);
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, c).withdrawn(), [prefix(NET)]);
    assert_eq!(advertised(&solo, C), []);
    // The other end of it: who becomes a client is told what it was not.
    edit(&mut wanted, C, |neighbor| neighbor.route_reflector_client = true);
    solo.reconcile(&wanted);
    assert_eq!(heard(&mut solo, c).announced(), [prefix(NET)]);
}

/// Several sources want one prefix with the same attributes: a policy that asks on whose behalf it is
/// announced follows the one whose it is.
#[test]
fn an_origination_is_matched_by_who_wins() {
    let mut neighbor = external(65002);
    let accept =
        Rule { matches: vec![Match::Origination(SourceId(3))], sets: vec![], verdict: Some(Verdict::Accept) };
    neighbor.export = Some(Policy { rules: vec![accept], otherwise: Verdict::Reject });
    let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
    let conn = solo.establish(B, &open(B, 65002));
    let route = [Origination { prefix: prefix(NET), attributes: attributes(&[]) }];
    let mut told = false;
    let steps = [(5, true, false), (3, true, true), (1, true, false), (1, false, true), (3, false, false)];
    for (source, originate, announced) in steps {
        if originate {
            solo.speaker.originate(SourceId(source), &route);
        } else {
            solo.speaker.withdraw(SourceId(source), &[prefix(NET)]);
        }
        let heard = heard(&mut solo, conn);
        if !heard.announced().is_empty() {
            told = true;
        }
        if !heard.withdrawn().is_empty() {
            told = false;
        }
        assert_eq!(told, announced, "source {source}, originate: {originate}");
        assert_eq!(!advertised(&solo, B).is_empty(), announced);
    }
}

/// The next hop that import policy sets decides whether a route can be used, not the one it came with.
#[test]
fn a_next_hop_that_policy_sets_has_a_reachability_of_its_own() {
    let set: std::net::IpAddr = [10, 9, 9, 9].into();
    let came = B.parse().unwrap();
    let mut neighbor = external(65002);
    neighbor.import = Some(rule(vec![], Set::NextHop(set)));
    let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
    let reachable = Reachability::Reachable { metric: 3 };
    // Known before the route comes, and learned after it.
    solo.speaker.handle_next_hop(solo.now, set, Reachability::Unreachable);
    let conn = solo.establish(B, &open(B, 65002));
    solo.bytes(conn, &message::announce(&from(B, &[65002]), &[prefix(NET)]));
    let exclusion = |solo: &mut Solo| {
        solo.pump();
        let path = solo.speaker.rib().route(prefix(NET)).unwrap().paths[0].clone();
        assert_eq!(path.best, path.excluded.is_none());
        path.excluded
    };
    assert_eq!(exclusion(&mut solo), Some(Exclusion::NextHop));
    solo.speaker.handle_next_hop(solo.now, set, reachable);
    assert_eq!(exclusion(&mut solo), None);
    solo.speaker.handle_next_hop(solo.now, came, Reachability::Unreachable);
    assert_eq!(exclusion(&mut solo), None);
    solo.bytes(conn, &message::withdraw(&[prefix(NET)]));
    solo.bytes(conn, &message::announce(&from(B, &[65002, 7]), &[prefix(NET)]));
    assert_eq!(exclusion(&mut solo), None, "the next hop it came with cannot be reached");
    solo.speaker.handle_next_hop(solo.now, set, Reachability::Unreachable);
    assert_eq!(exclusion(&mut solo), Some(Exclusion::NextHop));
}

/// A link-local address means nothing without its link: what is said about one concerns no route.
#[test]
fn link_local_next_hops_are_nobodys_business() {
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002))]));
    let conn = solo.establish(B, &open(B, 65002));
    let link_local = "fe80::2".parse().unwrap();
    let [before, after] = ["2001:db8:1::/48", "2001:db8:2::/48"].map(prefix);
    let announce = |net, tag| {
        let next_hop = message::next_hop_6(link_local);
        let attrs = Attrs::default().mp_reach(V6, &next_hop, &[net]).origin(0).as_path(&[65002, tag]);
        message::update(&[], &attrs.block, &[])
    };
    solo.bytes(conn, &announce(before, 1));
    solo.speaker.handle_next_hop(solo.now, link_local.into(), Reachability::Unreachable);
    solo.bytes(conn, &announce(after, 2));
    for net in [before, after] {
        let path = solo.speaker.rib().route(net).unwrap().paths[0].clone();
        assert_eq!((path.best, path.excluded), (true, None), "{net}");
    }
}

/// A socket that is never writable: nobody polls, the peer keeps talking, and RFC 9687's timer runs all the
/// same, from when there was something to send.
#[test]
fn the_send_hold_timer_runs_for_who_never_polls() {
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002)), (C, external(65003))]));
    let [b, c] = [(B, 65002), (C, 65003)].map(|(at, asn)| solo.establish(at, &open(at, asn)));
    solo.block(b, true);
    let start = solo.now;
    solo.bytes(c, &message::announce(&from(C, &[65003]), &[prefix(NET)]));
    while solo.state(B) == PeerState::Established {
        // Eight minutes where nothing is configured (RFC 9687 §3).
        let waited = solo.now.saturating_since(start);
        assert!(waited <= Duration::from_secs(500), "nothing taken for {waited:?}");
        solo.advance(Duration::from_secs(20));
        for conn in [b, c] {
            solo.bytes(conn, &message::keepalive());
        }
    }
    assert!(solo.now.saturating_since(start) >= Duration::from_secs(480));
    assert_eq!(solo.status(B).last_reset, Some(DownReason::SendHoldTimerExpired));
    assert_eq!(solo.state(C), PeerState::Established);
}

/// Origination says nothing of the time: the send hold timer starts when somebody does, not when the
/// speaker was last told.
#[test]
fn originating_after_a_long_silence_ends_no_session() {
    for (hold, send_hold, silence) in [(0, None, 3600), (90, Some(Duration::from_secs(10)), 20)] {
        let mut neighbor = external(65002);
        (neighbor.timers.hold, neighbor.timers.send_hold) = (Duration::from_secs(hold), send_hold);
        let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
        let conn = solo.establish(B, &open(B, 65002).hold(hold as u16));
        heard(&mut solo, conn);
        solo.now = solo.now + Duration::from_secs(silence);
        let route = Origination { prefix: prefix(NET), attributes: attributes(&[]) };
        solo.speaker.originate(SourceId(1), &[route]);
        solo.block(conn, true);
        let start = solo.now;
        solo.timeout();
        assert_eq!(solo.state(B), PeerState::Established);
        // And it does start.
        while solo.state(B) == PeerState::Established {
            solo.bytes(conn, &message::keepalive());
            assert!(solo.next_timer().is_some());
        }
        assert_eq!(solo.status(B).last_reset, Some(DownReason::SendHoldTimerExpired));
        let held = solo.now.saturating_since(start);
        assert_eq!(held, send_hold.unwrap_or(Duration::from_secs(480)));
    }
}

/// A hundred sessions go at once: their routes are forgotten in one walk of the table.
#[test]
fn sessions_that_go_at_once_are_forgotten_in_one_walk() {
    let peers: Vec<String> = (2..102).map(|host| format!("10.0.0.{host}")).collect();
    let neighbors: Vec<_> = peers.iter().map(|at| (at.as_str(), external(65002))).collect();
    let mut solo = Solo::new(1, &wanted(&neighbors));
    let conns: Vec<ConnId> = peers.iter().map(|at| solo.establish(at, &open(at, 65002))).collect();
    let nets = nets(1000);
    for ((at, conn), own) in peers.iter().zip(&conns).zip(nets.chunks(10)) {
        solo.bytes(*conn, &message::announce(&from(at, &[65002]), own));
    }
    assert_eq!(solo.speaker.rib().len(V4), 1000);
    for conn in &conns {
        solo.speaker.handle_closed(solo.now, *conn, CloseReason::Reset);
    }
    let mut steps = 1;
    while solo.speaker.work(solo.now, 1) {
        steps += 1;
    }
    assert!(steps <= 1100, "{steps} steps for 1000 prefixes");
    let sizes = solo.speaker.rib().sizes();
    assert_eq!((sizes.prefixes, sizes.ids, sizes.attribute_sets), (0, 0, 0));
    // Who has nothing costs nothing.
    solo.speaker.originate(SourceId(1), &[Origination { prefix: prefix(NET), attributes: attributes(&[]) }]);
    let conn = solo.establish(B, &open(B, 65002));
    solo.speaker.handle_closed(solo.now, conn, CloseReason::Reset);
    assert!(!solo.speaker.work(solo.now, 0));
}

/// Timers that would overflow, or be due again at once, are faults.
#[test]
fn timers_beyond_reason_are_faults() {
    type Timer = (&'static str, fn(&mut Timers) -> &mut Duration);
    let timers: [Timer; 6] = [
        ("hold", |timers| &mut timers.hold),
        ("keepalive", |timers| &mut timers.keepalive),
        ("connect_retry", |timers| &mut timers.connect_retry),
        ("idle_hold", |timers| &mut timers.idle_hold),
        ("open", |timers| &mut timers.open),
        ("send_hold", |timers| timers.send_hold.get_or_insert_default()),
    ];
    let mut solo = Solo::new(1, &wanted(&[]));
    for (name, timer) in timers {
        for value in [Duration::MAX, Duration::from_nanos(1), Duration::from_secs(1 << 31)] {
            let mut neighbor = external(65002);
            *timer(&mut neighbor.timers) = value;
            let faults = solo.speaker.reconcile(solo.now, &wanted(&[(B, neighbor)])).unwrap_err().0;
            let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
            assert!(
                paths.contains(&format!("neighbors[{B}].timers.{name}").as_str()),
                "{value:?}: {paths:?}"
            );
        }
    }
    // The extremes are none.
    for value in [Duration::from_millis(1), Duration::from_secs(0x7FFF_FFFF)] {
        let mut neighbor = external(65002);
        (neighbor.timers.connect_retry, neighbor.timers.idle_hold) = (value, value);
        (neighbor.timers.open, neighbor.timers.send_hold) = (value, Some(value));
        let mut wanted = wanted(&[(B, neighbor)]);
        edit(&mut wanted, B, |neighbor| neighbor.passive = false);
        solo.reconcile(&wanted);
        solo.timeout();
    }
}

/// An address with bits beyond the length is no prefix to originate.
#[test]
fn originating_host_bits_is_a_fault() {
    let solo = Solo::new(1, &wanted(&[]));
    let faults = solo.speaker.plan(&wanted(&[]).route("192.0.2.1/24").route("2001:db8::1/64")).unwrap_err().0;
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["originate[192.0.2.1/24]", "originate[2001:db8::1/64]"]);
    assert!(solo.speaker.plan(&wanted(&[]).route("192.0.2.1/32")).is_ok());
}

/// RFC 4360 §6: non-transitive extended communities stay inside the AS.
#[test]
fn non_transitive_extended_communities_stay() {
    let transitive = [0x00, 2, 0xFD, 0xE9, 0, 0, 0, 1];
    let stays = [0x40, 4, 0, 1, 0, 0, 0, 1];
    let mut solo = Solo::new(1, &wanted(&[(B, external(65002)), (C, external(65003)), (D, internal())]));
    let [b, c, d] = [(B, 65002), (C, 65003), (D, 65001)].map(|(at, asn)| solo.establish(at, &open(at, asn)));
    read_as_internal(&mut solo, d);
    for came in [vec![stays], vec![stays, transitive], vec![transitive]] {
        let leaves: Vec<_> = came.iter().copied().filter(|community| *community == transitive).collect();
        let attrs = from(B, &[65002]).raw(0xC0, 16, &came.concat());
        solo.bytes(b, &message::announce(&attrs, &[prefix(NET)]));
        let list = |values: &[[u8; 8]]| values.iter().copied().map(ExtendedCommunity).collect::<Vec<_>>();
        let to_c = heard(&mut solo, c);
        assert_eq!(to_c.attributes(NET).extended_communities, list(&leaves));
        assert_eq!(to_c.updates.last().unwrap().raw(16).is_none(), leaves.is_empty(), "an empty attribute");
        assert_eq!(heard(&mut solo, d).attributes(NET).extended_communities, list(&came));
    }
}

/// A prefix limit that is lowered below what a neighbour has announced ends its session, whatever else
/// changes with it.
#[test]
fn a_lowered_prefix_limit_closes() {
    for export in [Some(Policy::accept()), None] {
        let mut wanted = wanted(&[(B, external(65002))]);
        let mut solo = Solo::new(1, &wanted);
        let conn = solo.establish(B, &open(B, 65002));
        solo.bytes(conn, &message::announce(&from(B, &[65002]), &nets(5)));
        edit(&mut wanted, B, |neighbor| neighbor.prefix_limit = Some(5));
        solo.reconcile(&wanted);
        assert_eq!(solo.state(B), PeerState::Established);
        edit(&mut wanted, B, |neighbor| (neighbor.prefix_limit, neighbor.export) = (Some(4), export));
        solo.reconcile(&wanted);
        assert_eq!(heard(&mut solo, conn).closed, Some((6, 1)));
        assert!(solo.closed.contains(&conn));
        assert_eq!(solo.speaker.rib().len(V4), 0);
    }
}

/// A peer that says End-of-RIB all the time fills nobody's queue of events.
#[test]
fn repeated_end_of_rib_is_one_event() {
    let mut wanted = wanted(&[(B, external(65002))]);
    wanted.limits.events = 4;
    let mut solo = Solo::new(1, &wanted);
    let conn = solo.establish(B, &open(B, 65002));
    solo.events.clear();
    solo.bytes(conn, &message::update(&[], &[], &[]).repeat(100));
    let peer = solo.status(B).peer;
    assert_eq!(solo.events, [Event::EndOfRib { peer, family: V4 }]);
    assert_eq!(solo.speaker.events_lost(), 0);
}

/// A loop is judged by what a peer sent: policy neither makes one nor hides one.
#[test]
fn policy_neither_makes_nor_hides_a_loop() {
    let mut neighbor = external(65002);
    neighbor.asn = PeerAs::Number(Asn(65002));
    neighbor.import = Some(rule(vec![], Set::Prepend { asn: Asn(65001), count: 1 }));
    let mut solo = Solo::new(1, &wanted(&[(B, neighbor)]));
    let conn = solo.establish(B, &open(B, 65002));
    let path = |solo: &Solo| solo.speaker.rib().route(prefix(NET)).unwrap().paths[0].clone();
    solo.bytes(conn, &message::announce(&from(B, &[65002]), &[prefix(NET)]));
    assert_eq!(path(&solo).excluded, None);
    assert_eq!(path(&solo).attributes.as_path.to_string(), "65001 65002");
    solo.bytes(conn, &message::announce(&from(B, &[65002, 65001]), &[prefix(NET)]));
    assert_eq!(path(&solo).excluded, Some(Exclusion::AsLoop));
}
