//! Many routes: all of them arrive, and a peer that reads slowly or not at all harms nobody else.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use peerage_core::{
    speaker::{DownReason, Event, PeerState},
    wire::{Community, Family, NextHop, Origin, Update, nlri::Ipv4Prefixes},
};

use crate::{
    Adapter, Running,
    bed::{MANY, Node, SmallBuffers, asn, attributes, community, identifier, link, pair, prefix, wait},
    raw::{Message, RawPeer},
};

/// How long a change may take to reach a peer that reads, whatever the others do. A peer that waited for
/// another would wait for many seconds.
const PROMPT: Duration = Duration::from_secs(4);

/// What the first originates, the third has, with the path it took.
pub fn a_hundred_thousand_routes_cross_three_nodes<A: Adapter>() {
    let adapter = A::start();
    let (mut a, mut b, mut c) =
        (Node::start(&adapter, 1), Node::start(&adapter, 2), Node::start(&adapter, 3));
    link(&mut a, &mut b);
    link(&mut b, &mut c);
    a.originate(0..MANY, 7);
    for node in [&a, &b, &c] {
        node.reconcile();
    }
    c.wait_routes(MANY as usize);

    for index in [0, 1, 99, 4711, MANY - 1] {
        let route = c.running.with(|speaker, _| speaker.rib().route(prefix(index))).expect("it arrived");
        let best = route.best().expect("its only path is the best");
        let path: Vec<_> =
            best.attributes.as_path.segments.iter().flat_map(|part| part.asns.clone()).collect();
        assert_eq!(path, [asn(2), asn(1)]);
        assert_eq!(best.attributes.communities, attributes(index, 7).communities);
        assert_eq!(best.attributes.origin, Origin::Igp);
        assert_eq!(best.next_hop, Some(NextHop::V4(identifier(2))));
    }
    let counts = c.status(2).routes.get(&Family::IPV4_UNICAST).copied().expect("the family is used");
    assert_eq!((counts.received, counts.accepted), (MANY, MANY));

    // And gone again, from end to end.
    a.stop();
    c.wait_routes(0);
    assert_eq!(c.status(2).state, PeerState::Established);
    b.stop();
    c.stop();
}

/// Work that takes long, such as forgetting a peer's routes, is done without anyone asking.
pub fn long_work_goes_on_by_itself<A: Adapter>() {
    let adapter = A::start();
    let (a, b) = pair(&adapter, 1, 2);
    a.originate(0..MANY / 2, 7);
    a.reconcile();
    b.reconcile();
    b.wait_routes(MANY as usize / 2);
    a.stop();
    b.wait_event("PeerDown", |event| matches!(event, Event::PeerDown { .. }).then_some(()));
    // Every look at a node makes it do a little: the routes must be gone after few looks.
    let gone = (0..10).any(|_| {
        std::thread::sleep(Duration::from_millis(200));
        b.routes() == 0
    });
    assert!(gone, "{} routes are left", b.routes());
    b.stop();
}

/// A peer that reads a few octets at a time gets every route, and others get theirs meanwhile.
pub fn a_slow_reader_gets_everything_and_delays_nobody<A: Adapter>() {
    let adapter = A::start();
    let mut a = Node::start_with(&adapter, 1, Arc::new(SmallBuffers));
    let mut b = Node::start(&adapter, 2);
    link(&mut a, &mut b);
    a.raw_neighbor(101, |_| {});
    a.reconcile();
    b.reconcile();
    b.wait_up(1);
    let mut slow = RawPeer::connect_with(101, a.address(), Some(4096));
    slow.handshake(90);
    a.wait_up(101);
    a.originate(0..MANY, 7);

    let mut missing: BTreeSet<_> = (0..MANY).map(prefix).collect();
    let mut others = None;
    let mut read = 0;
    while !missing.is_empty() {
        let message = slow.next_by(61, || {
            read += 1;
            if read % 8 == 0 && others.is_none() {
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let Message::Update(body) = message else {
            assert!(matches!(message, Message::Keepalive), "{message:?}");
            continue;
        };
        for prefix in Ipv4Prefixes::new(Update::split(&body).expect("well formed").nlri) {
            missing.remove(&prefix.expect("well formed").into());
        }
        // While this one is at its first tenth, the other node has everything and is up to date.
        if others.is_none() && missing.len() < MANY as usize / 10 * 9 {
            b.wait_routes(MANY as usize);
            let start = Instant::now();
            a.originate(0..1, 8);
            b.wait_community(prefix(0), Community::new(65000, 8));
            others = Some(start.elapsed());
        }
    }
    let others = others.expect("it was looked at before the end");
    assert!(others < PROMPT, "a change took {others:?} past a slow reader");
    a.stop();
    b.stop();
}

/// A peer that stops reading is not sent for: nothing is taken out of the speaker that cannot be
/// written, others are served, and the send hold timer ends it (RFC 9687).
pub fn a_stopped_reader_is_owed_nothing_and_ends<A: Adapter>() {
    let adapter = A::start();
    let mut a = Node::start_with(&adapter, 1, Arc::new(SmallBuffers));
    let mut b = Node::start(&adapter, 2);
    link(&mut a, &mut b);
    a.raw_neighbor(101, |neighbor| neighbor.timers.send_hold = Some(Duration::from_secs(5)));
    a.reconcile();
    b.reconcile();
    a.originate(0..MANY, 0);
    b.wait_routes(MANY as usize);

    let mut stopped = RawPeer::connect_with(101, a.address(), Some(4096));
    let start = Instant::now();
    stopped.handshake(90);
    a.wait_up(101);
    let updates = || a.status(101).sent.updates;
    let (mut last, mut since) = (0, Instant::now());
    wait("writing to be stuck", || {
        let now = updates();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (now > 0 && since.elapsed() > Duration::from_millis(200)).then_some(())
    });
    // It does not read, but it can be heard.
    stopped.announce(&[prefix(MANY)]);
    a.wait_routes(MANY as usize + 1);

    let (before, to_other) = (updates(), a.status(2).sent.updates);
    for round in 1..=10 {
        a.originate((0..MANY).step_by(1000), round);
        b.wait_community(prefix(MANY - 1000), Community::new(65000, round));
    }
    assert!(a.status(2).sent.updates >= to_other + 10);
    assert_eq!(a.status(101).state, PeerState::Established, "it was too slow for the send hold timer");
    assert_eq!(updates(), before, "taken out of the speaker and not written");

    a.wait_event("the send hold timer", |event| match event {
        Event::PeerDown { reason: DownReason::SendHoldTimerExpired, .. } => Some(()),
        _ => None,
    });
    assert!(start.elapsed() > Duration::from_secs(2), "too early: {:?}", start.elapsed());
    assert_eq!((a.status(2).dropped, a.status(2).state), (0, PeerState::Established));
    a.wait_gone(stopped.local());
    b.wait_routes(MANY as usize);
    let tag = b.running.with(|speaker, _| speaker.rib().route(prefix(7))).expect("it is still there");
    assert!(tag.best().is_some_and(|best| best.attributes.communities.contains(&community(7))));
    a.stop();
    b.stop();
}

impl<A: Adapter> Node<A> {
    /// Waits until the node has no connection with `remote`, whatever the kernel still holds for it.
    fn wait_gone(&self, remote: SocketAddr) {
        wait(&format!("{} to let go of {remote}", self.number), || {
            (crate::bed::established(&[remote]) <= 1).then_some(())
        });
    }
}
