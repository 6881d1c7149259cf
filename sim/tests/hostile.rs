//! Invariants 6 and 11: nothing that a peer sends is a panic, nor the end of another peer's session; a
//! malformed attribute has the outcome of its row and no other.

use peerage_core::{
    speaker::{Event, PeerState},
    wire::{Family, Notification, attr::Outcome},
};
use peerage_sim::{
    Neighbors as _, Rng, Solo, World, cases, desired,
    drill::{self, Before, Op},
    external,
    message::{self, Attrs, Message, OpenSpec},
    prefix,
};

/// A message that is nearly right: a good one with a few octets changed.
fn mutated(rng: &mut Rng) -> Vec<u8> {
    let net = [prefix("10.9.0.0/16"), prefix("10.8.0.0/13")];
    let attrs = Attrs::new(&[65002, 64000], [10, 0, 0, 2].into()).med(5).communities(&[1, 2]);
    let mut octets = match rng.below(7) {
        0 => OpenSpec::new(65002, [10, 0, 0, 2].into()).encode(),
        1 => message::keepalive(),
        2 => message::notification(6, 4, b"x"),
        3 => message::route_refresh(Family::IPV4_UNICAST),
        4 => message::announce(&attrs, &net),
        5 => {
            let family = Family::IPV6_UNICAST;
            let attrs = Attrs::default().origin(0).as_path(&[65002]).mp_reach(
                family,
                &[0x20; 16],
                &[prefix("2001:db8::/32")],
            );
            message::update(&[], &attrs.block, &[])
        }
        _ => message::withdraw(&net),
    };
    for _ in 0..rng.below(4) {
        let at = if rng.one_in(4) { rng.index(octets.len()) } else { 18 + rng.index(octets.len() - 18) };
        octets[at] = if rng.one_in(2) { rng.word() as u8 } else { octets[at] ^ (1 << rng.below(8)) };
    }
    if rng.one_in(10) {
        let len = rng.index(octets.len());
        octets.truncate(len);
    }
    octets
}

fn op(rng: &mut Rng) -> Op {
    match rng.below(24) {
        0..=11 => Op::Bytes(mutated(rng)),
        12 => {
            let len = rng.index(40);
            Op::Bytes(rng.octets(len))
        }
        13..=14 => {
            let len = rng.index(60);
            Op::Message(1 + rng.below(5) as u8, rng.octets(len))
        }
        15..=16 => Op::Advance(rng.below(200_000) as u32),
        17 => Op::Timeout,
        18 => Op::Transmit(rng.below(5000) as u16),
        19..=20 => Op::Poll,
        21 => Op::Close,
        22 => Op::Accept,
        _ if rng.one_in(3) => Op::Reconcile(rng.one_in(2)),
        _ => Op::Connected,
    }
}

#[test]
fn no_input_panics() {
    cases(1500, |seed| {
        let mut rng = Rng::new(seed);
        let before = rng.pick(&[Before::OpenSent, Before::OpenConfirm, Before::Established]);
        let ops: Vec<Op> = (0..1 + rng.index(40)).map(|_| op(&mut rng)).collect();
        drill::play(before, seed as u8, &ops);
    });
}

/// A speaker with a hostile neighbour goes on serving the others.
#[test]
fn a_hostile_peer_hurts_nobody_else() {
    cases(40, |seed| {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        world.raw("mallory", &OpenSpec::new(65002, [10, 0, 0, 2].into()).hold(0).encode());
        world.speaker("b", 65001).speaker("c", 65003).speaker("d", 65001);
        world.peer("b", "mallory").peer("b", "c").peer("b", "d");
        world.edit_neighbor("b", "mallory", |neighbor| neighbor.passive = true);
        world.originate("c", "10.3.0.0/16").checking(false).start().settle();
        world.raw_dial("mallory", "b").settle();
        for _ in 0..60 {
            if !world.raw_is_open("mallory") {
                world.run_for(std::time::Duration::from_secs(30)).raw_dial("mallory", "b").settle();
            }
            if world.raw_is_open("mallory") {
                let octets = mutated(&mut rng);
                world.raw_write("mallory", &octets);
                world.run_for(std::time::Duration::from_millis(rng.below(200)));
            }
        }
        world.run_for(std::time::Duration::from_secs(1));
        for peer in ["c", "d"] {
            assert!(world.established("b", peer), "{peer}");
            assert_eq!(world.status("b", peer).established, 1, "{peer}");
            assert_eq!(world.received(peer, "b").unwrap().malformed, None, "{peer}");
            let down = world.events(peer).iter().any(|(_, event)| matches!(event, Event::PeerDown { .. }));
            assert!(!down, "{peer} lost its session");
        }
        assert!(world.has("d", "10.3.0.0/16"));
    });
}

/// What a malformed attribute did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    /// The route is there without the attribute.
    Discarded,
    /// The route is gone.
    Withdrawn,
    /// The session is gone, by this NOTIFICATION.
    Reset(u8, u8),
}

/// One case of each outcome of RFC 7606, and of some that are easily got wrong, end to end.
#[test]
fn malformed_attributes_have_their_outcome() {
    let good = || Attrs::new(&[65002], [10, 0, 0, 2].into());
    let net = || prefix("10.9.0.0/16");
    let rows: Vec<(&str, Vec<u8>, Got)> = vec![
        // RFC 7606 §7.6, §7.7: ATOMIC_AGGREGATE and AGGREGATOR are discarded.
        ("ATOMIC_AGGREGATE with a value", good().raw(0x40, 6, &[1]).block, Got::Discarded),
        ("AGGREGATOR of 3 octets", good().raw(0xC0, 7, &[1, 2, 3]).block, Got::Discarded),
        // §7.5, §7.9, §7.10: not from an external peer.
        ("LOCAL_PREF from an eBGP peer", good().local_pref(7).block, Got::Discarded),
        ("ORIGINATOR_ID from an eBGP peer", good().raw(0x80, 9, &[1, 2, 3, 4]).block, Got::Discarded),
        ("CLUSTER_LIST from an eBGP peer", good().raw(0x80, 10, &[1, 2, 3, 4]).block, Got::Discarded),
        // §3 (g): the first counts.
        ("MED twice", good().med(1).med(2).block, Got::Discarded),
        // §7.1 ff.
        (
            "ORIGIN 3",
            Attrs::default().origin(3).as_path(&[65002]).next_hop([10, 0, 0, 2].into()).block,
            Got::Withdrawn,
        ),
        (
            "AS_PATH cut short",
            Attrs::default().origin(0).raw(0x40, 2, &[2, 2, 0, 0]).next_hop([10, 0, 0, 2].into()).block,
            Got::Withdrawn,
        ),
        (
            "NEXT_HOP of 3 octets",
            Attrs::default().origin(0).as_path(&[65002]).raw(0x40, 3, &[10, 0, 0]).block,
            Got::Withdrawn,
        ),
        ("MED of 3 octets", good().raw(0x80, 4, &[0, 0, 1]).block, Got::Withdrawn),
        ("COMMUNITIES of 3 octets", good().raw(0xC0, 8, &[0, 0, 1]).block, Got::Withdrawn),
        ("LARGE_COMMUNITIES of 11 octets", good().raw(0xC0, 32, &[0; 11]).block, Got::Withdrawn),
        // §3 (c), (d).
        (
            "ORIGIN with wrong flags",
            Attrs::default().raw(0xC0, 1, &[0]).as_path(&[65002]).next_hop([10, 0, 0, 2].into()).block,
            Got::Withdrawn,
        ),
        (
            "no ORIGIN",
            Attrs::default().as_path(&[65002]).next_hop([10, 0, 0, 2].into()).block,
            Got::Withdrawn,
        ),
        ("no AS_PATH", Attrs::default().origin(0).next_hop([10, 0, 0, 2].into()).block, Got::Withdrawn),
        ("no NEXT_HOP", Attrs::default().origin(0).as_path(&[65002]).block, Got::Withdrawn),
        // §4: a length past the end of the block.
        ("an attribute past the end", [good().block, vec![0x80, 4, 9, 0]].concat(), Got::Withdrawn),
        // §3 (g): twice MP_REACH_NLRI.
        (
            "MP_REACH_NLRI twice",
            good()
                .mp_reach(Family::IPV6_UNICAST, &[0x20; 16], &[])
                .mp_reach(Family::IPV6_UNICAST, &[0x20; 16], &[])
                .block,
            Got::Reset(3, 1),
        ),
        // §5.3: too short to say what is announced.
        ("MP_REACH_NLRI of 3 octets", good().raw(0x80, 14, &[0, 2, 1]).block, Got::Reset(3, 9)),
        // An unknown attribute that calls itself well-known: not RFC 4271 §6.3, see decision 4.
        ("unknown well-known attribute", good().raw(0x40, 99, &[1]).block, Got::Withdrawn),
    ];
    let mut wrong = Vec::new();
    for (what, block, want) in rows {
        let wanted = desired(65001, [10, 0, 0, 1].into())
            .neighbor("10.0.0.2", external(65002))
            .neighbor("10.0.0.3", external(65003));
        let mut solo = Solo::new(6, &wanted);
        let third = solo.establish("10.0.0.3", &OpenSpec::new(65003, [10, 0, 0, 3].into()));
        let conn = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
        solo.bytes(conn, &message::announce(&good(), &[net()]));
        assert!(solo.speaker.rib().route(net()).is_some());
        solo.messages(conn);
        solo.messages(third);
        solo.bytes(conn, &message::update(&[], &block, &[net()]));
        // A withdrawal may go back to where the route came from: it is never wrong.
        let mut messages = solo.messages(conn);
        messages.retain(|message| !matches!(message, Message::Update(facts) if facts.announced.is_empty()));
        let got = match &messages[..] {
            [Message::Notification(Notification { code, subcode, .. })] => Got::Reset(*code, *subcode),
            [] if solo.speaker.rib().route(net()).is_some() => Got::Discarded,
            [] => Got::Withdrawn,
            other => panic!("{what}: {other:?}"),
        };
        if got != want {
            wrong.push(format!("{what}: got {got:?}, expected {want:?}"));
        }
        assert_eq!(solo.state("10.0.0.3"), PeerState::Established);
        for message in solo.messages(third) {
            let Message::Update(facts) = message else { panic!("{what}: {message:?}") };
            assert_eq!(facts.outcome, Outcome::Accept, "{what} was sent on malformed");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Faults are reported, coalesced, and the session goes on.
#[test]
fn malformed_updates_are_reported() {
    let mut solo = Solo::new(6, &desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002)));
    let conn = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
    let bad = Attrs::default().origin(7).as_path(&[65002]).next_hop([10, 0, 0, 2].into());
    for _ in 0..100 {
        solo.speaker.handle_bytes(solo.now, conn, &message::announce(&bad, &[prefix("10.9.0.0/16")]));
    }
    solo.pump();
    let counts: Vec<u32> = solo
        .events
        .iter()
        .filter_map(|event| match event {
            Event::MalformedUpdates { count, fault, .. } => {
                assert_eq!((fault.code, fault.outcome), (1, Outcome::TreatAsWithdraw));
                Some(*count)
            }
            _ => None,
        })
        .collect();
    assert_eq!(counts.iter().sum::<u32>(), 100);
    assert!(counts.len() < 10, "{counts:?}");
    assert_eq!(solo.state("10.0.0.2"), PeerState::Established);
}

/// Connections that nobody is configured for are refused, and more than so many are dropped.
#[test]
fn strangers_are_refused() {
    let mut wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002));
    wanted.limits.refused_connections = 4;
    let mut solo = Solo::new(6, &wanted);
    let mut answers = Vec::new();
    for last in 0..50_u8 {
        let conn = solo.accept(&format!("10.0.7.{last}"));
        answers.push(solo.messages(conn));
        assert!(solo.closed.contains(&conn), "a stranger is not closed");
        let octets = OpenSpec::new(65002, [10, 0, 0, 2].into()).encode();
        solo.bytes(conn, &octets);
        assert_eq!(solo.messages(conn), []);
    }
    for answer in answers {
        match &answer[..] {
            [] => {}
            [Message::Notification(notification)] => {
                assert_eq!((notification.code, notification.subcode), (6, 5));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(solo.state("10.0.0.2"), solo.state("10.0.0.2"));
    let conn = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
    assert!(solo.is_open(conn));
    assert_eq!(solo.state("10.0.0.2"), PeerState::Established);
}

/// A storm of connections from a configured neighbour costs its own session at most nothing.
#[test]
fn connections_of_a_neighbour_are_bounded() {
    let wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002));
    let mut solo = Solo::new(6, &wanted);
    let first = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
    let mut open = 0;
    for _ in 0..200 {
        let conn = solo.accept("10.0.0.2");
        open += usize::from(solo.is_open(conn));
    }
    assert!(open <= 2, "{open} connections of one neighbour are open beside its session");
    assert_eq!(solo.state("10.0.0.2"), PeerState::Established);
    assert!(solo.is_open(first));
}
