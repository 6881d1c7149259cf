//! Sessions: who may peer, what is negotiated, limits, refresh, the hold at the start.

use std::{collections::BTreeSet, time::Duration};

use peerage_core::{
    policy::Policy,
    rib::Exclusion,
    speaker::{DownReason, Event, Neighbor, NeighborKey, Origination, PeerAs, PeerState, SourceId},
    wire::{Asn, Capability, Family, Notification, attr::PathAttributes},
};
use peerage_sim::{
    Neighbors as _, Solo, World, desired, external, internal,
    message::{self, Attrs, Message, OpenSpec},
    prefix,
};

const PEER: &str = "10.0.0.2";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn open() -> OpenSpec {
    OpenSpec::new(65002, [10, 0, 0, 2].into())
}

fn solo(neighbor: Neighbor) -> Solo {
    Solo::new(2, &desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, neighbor).route("192.0.2.0/24"))
}

fn notification(messages: &[Message]) -> Option<(u8, u8)> {
    messages.iter().find_map(|message| match message {
        Message::Notification(notification) => Some((notification.code, notification.subcode)),
        _ => None,
    })
}

/// RFC 8212: without a policy eBGP learns nothing and announces nothing, and says so.
#[test]
fn default_deny() {
    let mut world = World::new(1);
    world.speaker("a", 65001).speaker("b", 65002);
    let bare = |neighbor: &mut Neighbor| (neighbor.import, neighbor.export) = (None, None);
    world.peer_with("a", "b", bare, |_| ());
    world.originate("a", "10.1.0.0/16").originate("b", "10.2.0.0/16").start().settle();
    assert!(world.established("a", "b"));
    assert!(world.status("a", "b").policy_missing);
    assert!(!world.status("b", "a").policy_missing);
    assert!(!world.has("b", "10.1.0.0/16"));
    assert!(!world.has("a", "10.2.0.0/16"));
    let route = world.of("a").rib().route(prefix("10.2.0.0/16")).expect("it is kept");
    assert_eq!(route.paths[0].excluded, Some(Exclusion::Policy));
    // A policy given later works on what is there.
    world.edit_neighbor("a", "b", |neighbor| {
        (neighbor.import, neighbor.export) = (Some(Policy::accept()), Some(Policy::accept()));
    });
    world.settle();
    assert!(world.has("b", "10.1.0.0/16") && world.has("a", "10.2.0.0/16"));
    assert_eq!(world.status("a", "b").dropped, 0);
}

#[test]
fn who_may_be_in_which_as() {
    let rows = [
        (PeerAs::Number(Asn(65002)), 65002, true),
        (PeerAs::Number(Asn(65002)), 65003, false),
        (PeerAs::External, 65002, true),
        (PeerAs::External, 65001, false),
        (PeerAs::Internal, 65001, true),
        (PeerAs::Internal, 65002, false),
        (PeerAs::Any, 65001, true),
        (PeerAs::Any, 4_200_000_000, true),
    ];
    for (asn, theirs, fine) in rows {
        let mut solo = solo(Neighbor::new(asn));
        let conn = solo.establish(PEER, &OpenSpec::new(theirs, [10, 0, 0, 2].into()));
        assert_eq!(solo.state(PEER) == PeerState::Established, fine, "{asn:?} and {theirs}");
        if !fine {
            assert_eq!(notification(&solo.messages(conn)), Some((2, 2)), "{asn:?} and {theirs}");
            let failed = solo.events.iter().any(|event| {
                matches!(
                    event,
                    Event::AttemptFailed { reason: DownReason::Sent(Notification { code: 2, .. }), .. }
                )
            });
            assert!(failed, "{:?}", solo.events);
            assert!(matches!(solo.status(PEER).last_error, Some(DownReason::Sent(_))));
        }
    }
}

/// Both ends of a wrong AS know why.
#[test]
fn a_wrong_as_in_a_world() {
    let mut world = World::new(3);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer_with("a", "b", |neighbor| neighbor.asn = PeerAs::Number(Asn(65009)), |_| ());
    world.peer("a", "c").checking(false).start().run_for(seconds(60));
    assert_ne!(world.state("a", "b"), PeerState::Established);
    assert!(world.established("a", "c"));
    let seen = world.notifications().iter().any(|(_, from, to, notification)| {
        from == "a" && to == "b" && (notification.code, notification.subcode) == (2, 2)
    });
    assert!(seen, "{:?}", world.notifications());
    assert!(
        matches!(world.status("b", "a").last_error, Some(DownReason::Received(Notification { code: 2, .. }))),
        "{:?}",
        world.status("b", "a").last_error
    );
    // Corrected, it comes up.
    world.edit_neighbor("a", "b", |neighbor| neighbor.asn = PeerAs::Number(Asn(65002)));
    world.run_for(seconds(300)).checking(true).settle();
    assert!(world.established("a", "b"));
}

#[test]
fn the_open_says_what_is_configured() {
    let mut neighbor = external(65002);
    neighbor.extended_next_hop = true;
    let mut wanted = desired(4_200_000_001, [10, 0, 0, 1].into()).neighbor(PEER, neighbor);
    wanted.hostname = Some("here".into());
    let mut solo = Solo::new(2, &wanted);
    let conn = solo.accept(PEER);
    let messages = solo.messages(conn);
    let [Message::Open(open)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!((open.my_as, open.asn(), open.hold_time), (23456, Asn(4_200_000_001), 90));
    let has = |capability: &Capability| open.capabilities.contains(capability);
    assert!(has(&Capability::Multiprotocol(Family::IPV4_UNICAST)));
    assert!(has(&Capability::Multiprotocol(Family::IPV6_UNICAST)));
    assert!(has(&Capability::RouteRefresh));
    assert!(has(&Capability::FourOctetAs(Asn(4_200_000_001))));
    assert!(open.capabilities.iter().any(|capability| {
        matches!(capability, Capability::ExtendedNextHop(rows) if rows.iter().any(|row| row.0 == Family::IPV4_UNICAST))
    }));
    assert!(
        open.capabilities
            .iter()
            .any(|capability| { matches!(capability, Capability::Fqdn { host, .. } if host == "here") })
    );
}

/// Only families that both offer are exchanged (RFC 4760 §8); without any capability it is IPv4.
#[test]
fn families_are_negotiated() {
    let both = vec![Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    let mut only_6 = open();
    only_6.capabilities.remove(0);
    let mut none = open();
    none.capabilities.clear();
    let rows = [
        (open(), both.clone()),
        (only_6, vec![Family::IPV6_UNICAST]),
        (none, vec![Family::IPV4_UNICAST]),
        (open().with(1, &[0, 25, 0, 70]).with(200, &[1, 2, 3]), both),
    ];
    for (open, families) in rows {
        let mut solo = solo(external(65002));
        let conn = solo.establish(PEER, &open);
        let session = solo.status(PEER).session.expect("a session");
        assert_eq!(session.families, families);
        let ends: BTreeSet<Family> = solo
            .messages(conn)
            .into_iter()
            .filter_map(|message| match message {
                Message::Update(facts) => facts.end_of_rib,
                _ => None,
            })
            .collect();
        assert_eq!(ends, families.iter().copied().collect(), "End-of-RIB");
    }
}

/// Announcements of a family that was not negotiated do not reach the table.
#[test]
fn an_unnegotiated_family_is_ignored() {
    let mut neighbor = external(65002);
    neighbor.families = [Family::IPV4_UNICAST].into();
    let mut solo = solo(neighbor);
    let conn = solo.establish(PEER, &open());
    let attrs = Attrs::default().origin(0).as_path(&[65002]).mp_reach(
        Family::IPV6_UNICAST,
        &[0x20; 16],
        &[prefix("2001:db8::/32")],
    );
    solo.messages(conn);
    solo.bytes(conn, &message::update(&[], &attrs.block, &[]));
    assert_eq!(solo.speaker.rib().len(Family::IPV6_UNICAST), 0);
    assert_eq!(solo.state(PEER), PeerState::Established);
}

/// Cease 6/1 once more prefixes are accepted than allowed; and not at the limit.
#[test]
fn prefix_limit() {
    for (limit, count, fine) in [(10, 10, true), (10, 11, false)] {
        let mut neighbor = external(65002);
        neighbor.prefix_limit = Some(limit);
        let mut solo = solo(neighbor);
        let conn = solo.establish(PEER, &open());
        solo.messages(conn);
        let attrs = Attrs::new(&[65002], [10, 0, 0, 2].into());
        for net in 0..count {
            // Announced again, a prefix counts once.
            for _ in 0..2 {
                solo.bytes(conn, &message::announce(&attrs, &[prefix(&format!("10.{net}.0.0/16"))]));
            }
        }
        assert_eq!(solo.state(PEER) == PeerState::Established, fine);
        if fine {
            // Withdrawn ones make room.
            solo.bytes(conn, &message::withdraw(&[prefix("10.0.0.0/16")]));
            solo.bytes(conn, &message::announce(&attrs, &[prefix("10.99.0.0/16")]));
            assert_eq!(solo.state(PEER), PeerState::Established);
        } else {
            assert_eq!(notification(&solo.messages(conn)), Some((6, 1)));
            assert_eq!(solo.speaker.rib().len(Family::IPV4_UNICAST), 1, "only its own route is left");
        }
    }
}

/// A held speaker opens sessions and says nothing; released, it sends its routes and then End-of-RIB.
#[test]
fn held_until_released() {
    let mut world = World::new(5);
    world.keep_messages().speaker("a", 65001).speaker("b", 65002);
    world.peer("a", "b").originate("a", "10.1.0.0/16").originate("b", "10.2.0.0/16");
    world.start_held().release("b").settle();
    assert!(world.established("a", "b"));
    let half = world.received("b", "a").unwrap();
    assert_eq!((half.updates, half.end_of_rib.len()), (0, 0), "a is held");
    assert!(world.has("a", "10.2.0.0/16"), "a held speaker learns");
    world.of_mut("a").originate(
        SourceId(7),
        &[Origination { prefix: prefix("10.3.0.0/16"), attributes: PathAttributes::default() }],
    );
    world.settle();
    assert_eq!(world.received("b", "a").unwrap().updates, 0);
    world.release("a").settle();
    let half = world.received("b", "a").unwrap();
    assert_eq!(half.end_of_rib.len(), 2);
    assert_eq!(half.routes.len(), 2);
    let order: Vec<bool> = half
        .log
        .iter()
        .filter_map(|message| match message {
            Message::Update(facts) => Some(facts.end_of_rib.is_some()),
            _ => None,
        })
        .collect();
    assert!(order.is_sorted(), "End-of-RIB comes before a route: {order:?}");
    let ends = world.events("b").iter().filter(|(_, event)| matches!(event, Event::EndOfRib { .. })).count();
    assert_eq!(ends, 2);
}

/// ROUTE-REFRESH asks for everything again, in one family, and everything comes.
#[test]
fn route_refresh_received() {
    let mut wanted = desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, external(65002));
    for net in 0..50 {
        wanted = wanted.route(&format!("10.{net}.0.0/16"));
    }
    wanted = wanted.route("2001:db8::/32");
    let mut solo = Solo::new(2, &wanted);
    let conn = solo.establish(PEER, &open());
    solo.messages(conn);
    for _ in 0..3 {
        solo.bytes(conn, &message::route_refresh(Family::IPV4_UNICAST));
        let mut prefixes = BTreeSet::new();
        for message in solo.messages(conn) {
            let Message::Update(facts) = message else { panic!("{message:?}") };
            prefixes.extend(facts.announced.into_keys());
            assert!(facts.withdrawn.is_empty());
        }
        assert_eq!(prefixes.len(), 50);
    }
    // One of a family that is not negotiated is ignored.
    solo.bytes(conn, &message::route_refresh(Family::new(25, 70)));
    assert_eq!(solo.messages(conn), []);
    assert_eq!(solo.state(PEER), PeerState::Established);
}

/// Routes that the old import policy let through and the new one does not, and back: without a session
/// reset, whether by what is kept or by asking for it again.
#[test]
fn import_policies_change_in_place() {
    let mut world = World::new(6);
    world.speaker("a", 65001).speaker("b", 65002).peer("a", "b");
    world.originate("b", "10.2.0.0/16").start().settle();
    for round in 0..3 {
        world.edit_neighbor("a", "b", |neighbor| neighbor.import = Some(Policy::reject()));
        world.settle();
        assert!(!world.has("a", "10.2.0.0/16"), "round {round}");
        world.edit_neighbor("a", "b", |neighbor| neighbor.import = Some(Policy::accept()));
        world.settle();
        assert!(world.has("a", "10.2.0.0/16"), "round {round}");
    }
    assert_eq!(world.status("a", "b").established, 1);
}

/// Neighbours by range: each that connects is a peer while it does, up to a limit.
#[test]
fn dynamic_neighbours() {
    let mut wanted = desired(65001, [10, 0, 0, 1].into());
    let mut neighbor = external(1);
    neighbor.asn = PeerAs::External;
    let range = NeighborKey::Range(prefix("10.5.0.0/24"));
    wanted.neighbors.insert(range.clone(), neighbor);
    wanted.limits.dynamic_peers = 3;
    let mut solo = Solo::new(2, &wanted);
    let mut conns = Vec::new();
    for last in 1..=5_u8 {
        let address = format!("10.5.0.{last}");
        let conn =
            solo.establish(&address, &OpenSpec::new(65000 + 10 * u32::from(last), [10, 5, 0, last].into()));
        let messages = solo.messages(conn);
        if last <= 3 {
            assert_eq!(solo.state(&address), PeerState::Established);
        } else {
            assert!(matches!(notification(&messages), Some((6, 5 | 8)) | None), "{messages:?}");
            assert!(!solo.is_open(conn));
        }
        conns.push(conn);
    }
    let attrs = Attrs::new(&[65010], [10, 5, 0, 1].into());
    solo.bytes(conns[0], &message::announce(&attrs, &[prefix("10.9.0.0/16")]));
    assert_eq!(solo.speaker.rib().len(Family::IPV4_UNICAST), 1);
    // Gone, it leaves nothing, and there is room for another.
    solo.lose(conns[0], peerage_core::speaker::CloseReason::Closed);
    solo.advance(seconds(20));
    assert_eq!(solo.speaker.rib().len(Family::IPV4_UNICAST), 0);
    let left = solo.speaker.neighbors().iter().filter(|status| status.address.is_some()).count();
    assert_eq!(left, 2, "{:?}", solo.speaker.neighbors());
    solo.establish("10.5.0.9", &OpenSpec::new(65090, [10, 5, 0, 9].into()));
    assert_eq!(solo.state("10.5.0.9"), PeerState::Established);
    assert!(solo.connects.is_empty(), "a range is dialled");
    // Outside the range nobody is let in; and without the range nobody is left.
    let stranger = solo.accept("10.6.0.1");
    assert!(!solo.is_open(stranger));
    wanted.neighbors.remove(&range);
    solo.reconcile(&wanted);
    assert!(solo.speaker.neighbors().is_empty());
    assert_eq!(notification(&solo.messages(conns[1])), Some((6, 3)));
}

/// A more specific neighbour goes before a range, and a narrower range before a wider one.
#[test]
fn the_most_specific_neighbour_counts() {
    let mut wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.5.0.7", external(65007));
    for (net, asn) in [("10.5.0.0/16", 65016), ("10.5.0.0/24", 65024)] {
        wanted.neighbors.insert(NeighborKey::Range(prefix(net)), external(asn));
    }
    for (address, asn) in [("10.5.0.7", 65007), ("10.5.0.8", 65024), ("10.5.1.1", 65016)] {
        let mut solo = Solo::new(2, &wanted);
        solo.establish(address, &OpenSpec::new(asn, [10, 5, 1, 1].into()));
        assert_eq!(solo.state(address), PeerState::Established, "{address}");
    }
}

#[test]
fn passive_and_shutdown() {
    let mut world = World::new(8);
    world.speaker("a", 65001).speaker("b", 65002);
    world.peer_with("a", "b", |neighbor| neighbor.passive = true, |_| ()).start().settle();
    assert!(world.established("a", "b"));
    assert_eq!(world.status("a", "b").session.unwrap().local.port(), 179);
    world.edit_neighbor("a", "b", |neighbor| neighbor.shutdown = true);
    world.checking(false).run_for(seconds(600));
    assert_eq!(world.state("a", "b"), PeerState::Idle);
    assert!(world.status("a", "b").shutdown);
    assert_ne!(world.state("b", "a"), PeerState::Established);
    let cease = world
        .notifications()
        .iter()
        .any(|(_, from, _, notification)| from == "a" && (notification.code, notification.subcode) == (6, 2));
    assert!(cease, "{:?}", world.notifications());
}

/// Stopping a speaker: Cease 6/2 with its text on every session, and no new ones.
#[test]
fn shutdown_of_a_speaker() {
    let mut world = World::new(8);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b").peer("a", "c").start().settle();
    let now = world.now();
    world.of_mut("a").shutdown(now, "back at noon");
    world.checking(false).run_for(seconds(5));
    for to in ["b", "c"] {
        let text = world.notifications().iter().find_map(|(_, from, name, notification)| {
            (from == "a" && name == to && (notification.code, notification.subcode) == (6, 2))
                .then(|| notification.text())
        });
        assert_eq!(text.flatten().as_deref(), Some("back at noon"), "{:?}", world.notifications());
    }
    world.run_for(seconds(600));
    assert!(world.of("a").neighbors().iter().all(|status| status.state == PeerState::Idle));
}

#[test]
fn reset_of_a_neighbour() {
    let mut world = World::new(8);
    world.speaker("a", 65001).speaker("b", 65002).peer("a", "b").start().settle();
    let (now, key) = (world.now(), NeighborKey::Address([10, 0, 0, 2].into()));
    world.of_mut("a").reset(now, &key);
    world.run_for(seconds(1));
    let cease =
        world.notifications().iter().any(|(_, from, _, n)| from == "a" && (n.code, n.subcode) == (6, 4));
    assert!(cease, "{:?}", world.notifications());
    world.run_for(seconds(300)).settle();
    assert!(world.established("a", "b"));
    assert_eq!(world.status("a", "b").established, 2);
}

/// Configuration comes first, then the connection: iBGP and eBGP, over IPv6, and counters add up.
#[test]
fn over_ipv6() {
    let mut world = World::new(9);
    world.speaker("a", 65001).speaker("b", 65001).speaker("c", 65002);
    world.peer_6("a", "b").peer_6("a", "c").originate("c", "2001:db8::/32").start().settle();
    assert!(world.established("a", "b") && world.established("a", "c"));
    assert!(world.has("b", "2001:db8::/32"));
    let status = world.status("a", "c");
    // A collision takes two.
    assert!(status.sent.opens >= 1 && status.received.opens >= 1, "{status:?}");
    assert!(status.received.updates >= 2, "{status:?}");
    assert!(status.sent.total() >= 4);
}

/// The peer's own report of itself.
#[test]
fn a_session_says_who_is_there() {
    let mut wanted = desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, internal());
    wanted.hostname = Some("here".into());
    let mut solo = Solo::new(2, &wanted);
    let fqdn = [&[5][..], b"there", &[0]].concat();
    solo.establish(PEER, &OpenSpec::new(65001, [10, 0, 0, 2].into()).with(73, &fqdn));
    let session = solo.status(PEER).session.expect("a session");
    assert_eq!(session.remote_hostname.as_deref(), Some("there"));
    assert_eq!(session.remote_as, Asn(65001));
    assert_eq!(message::router_id(session.remote_router_id).octets(), [10, 0, 0, 2]);
    assert_eq!(session.local.ip().to_string(), "10.0.0.1");
    assert!(session.remote_capabilities.contains(&Capability::RouteRefresh));
    let up = solo.events.iter().any(|event| matches!(event, Event::PeerUp { asn: Asn(65001), .. }));
    assert!(up, "{:?}", solo.events);
}

/// RFC 2385, RFC 5082: what is accepted from a neighbour with a key or a least TTL is refused, unless the
/// runtime says that it enforces them.
#[test]
fn unprotected_connections_are_refused() {
    for protect in [
        (|neighbor| neighbor.socket.md5_key = Some(b"secret".to_vec())) as fn(&mut Neighbor),
        |neighbor| neighbor.socket.min_ttl = Some(255),
    ] {
        let mut neighbor = external(65002);
        protect(&mut neighbor);
        let mut refusing = solo(neighbor.clone());
        let conn = refusing.accept(PEER);
        assert_eq!(notification(&refusing.messages(conn)), Some((6, 5)));
        let mut enforcing = solo(neighbor);
        enforcing.speaker.protect_accepted();
        enforcing.establish(PEER, &open());
        assert_eq!(enforcing.state(PEER), PeerState::Established);
    }
}
