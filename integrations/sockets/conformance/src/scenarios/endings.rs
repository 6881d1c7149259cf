//! Sessions end: by silence, by resets, by nonsense, and by being stopped.

use std::{
    io::Write,
    net::{Shutdown, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use peerage_core::{
    speaker::{CloseReason, DownReason, Event, PeerState},
    wire::KEEPALIVE,
};

use crate::{
    Adapter, Running,
    bed::{Node, PATIENCE, SmallBuffers, established, key, link, pair, prefix, wait},
    raw::RawPeer,
};

/// The hold timer: a peer that says nothing gets NOTIFICATION 4/0 (RFC 4271 §6.5), not before its time.
pub fn a_peer_that_goes_silent_is_told_and_left<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    let mut peer = RawPeer::connect(101, node.address());
    peer.handshake(3);
    node.wait_up(101);
    let start = Instant::now();
    peer.expect_end(4, 0);
    let took = start.elapsed();
    assert!((2500..6000).contains(&took.as_millis()), "a hold time of 3 s took {took:?}");
    node.wait_event("PeerDown", |event| match event {
        Event::PeerDown { reason: DownReason::Sent(sent), .. } => (sent.code == 4).then_some(()),
        _ => None,
    });
    node.stop();
}

/// Half an UPDATE and a RST: the session is reset, and its routes are gone.
pub fn a_reset_in_the_middle_of_a_message_ends_the_session<A: Adapter>() {
    ended_in_the_middle::<A>(CloseReason::Reset, RawPeer::reset);
}

/// Half an UPDATE and a FIN: the same, by another name.
pub fn an_end_in_the_middle_of_a_message_ends_the_session<A: Adapter>() {
    ended_in_the_middle::<A>(CloseReason::Closed, RawPeer::close);
}

fn ended_in_the_middle<A: Adapter>(reason: CloseReason, end: impl FnOnce(RawPeer)) {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    let mut peer = RawPeer::connect(101, node.address());
    peer.handshake(90);
    peer.announce(&[prefix(1), prefix(2), prefix(3)]);
    node.wait_routes(3);
    let update = peer.update(&[prefix(4), prefix(5)]);
    let (half, _) = update.split_at(update.len() / 2);
    peer.send(half);
    end(peer);

    node.wait_event("PeerDown", |event| match event {
        Event::PeerDown { reason: DownReason::Transport(found), key, .. } => {
            assert_eq!((*found, key), (reason, &self::key(101)));
            Some(())
        }
        Event::PeerDown { reason, .. } => panic!("down for another reason: {reason}"),
        _ => None,
    });
    node.wait_routes(0);
    node.stop();
}

/// Bytes that are not BGP get NOTIFICATION 1/1 (RFC 4271 §6.1) and harm nobody else.
pub fn what_is_not_bgp_is_told_so<A: Adapter>() {
    let adapter = A::start();
    let (mut a, mut b) = (Node::start(&adapter, 1), Node::start(&adapter, 2));
    link(&mut a, &mut b);
    a.raw_neighbor(101, |_| {});
    a.reconcile();
    b.reconcile();
    a.wait_up(2);
    let before = a.status(2);

    let mut peer = RawPeer::connect(101, a.address());
    peer.send(b"GET / HTTP/1.1\r\nHost: router.example\r\n\r\n");
    peer.expect_end(1, 1);
    a.wait_event("AttemptFailed", |event| match event {
        Event::AttemptFailed { reason: DownReason::Sent(sent), .. } => {
            ((sent.code, sent.subcode) == (1, 1)).then_some(())
        }
        _ => None,
    });
    let after = a.status(2);
    assert_eq!((after.state, after.since, after.dropped), (PeerState::Established, before.since, 0));
    a.stop();
    b.stop();
}

/// Stopping sends Cease 6/2 with the text (RFC 9003), and when it returns no socket is left.
pub fn stopping_says_so_and_leaves_nothing_open<A: Adapter>() {
    let adapter = A::start();
    let (mut a, b) = pair(&adapter, 1, 2);
    a.raw_neighbor(101, |_| {});
    a.reconcile();
    b.reconcile();
    a.wait_up(2);
    let address = a.address();
    let mut peer = RawPeer::connect(101, address);
    peer.handshake(90);
    a.wait_up(101);

    let reader = thread::spawn(move || {
        let notification = peer.expect_end(6, 2);
        drop(peer);
        notification.text()
    });
    let start = Instant::now();
    a.running.shutdown_blocking("back at noon", PATIENCE);
    assert!(start.elapsed() < Duration::from_secs(3), "it took {:?}", start.elapsed());
    assert_eq!(reader.join().expect("the peer got what it waited for").as_deref(), Some("back at noon"));
    assert_eq!(established(&[address]), 0);
    TcpListener::bind(address).expect("the port is free again");
    let text = b.wait_event("the Cease", |event| match event {
        Event::PeerDown { reason: DownReason::Received(received), .. } => {
            assert_eq!((received.code, received.subcode), (6, 2));
            received.text()
        }
        _ => None,
    });
    assert_eq!(text, "back at noon");
    b.stop();
}

/// The last NOTIFICATION reaches a peer that is in the middle of saying something: input that nobody
/// wants any more must not turn the end into a reset.
pub fn stopping_says_so_to_a_peer_that_keeps_talking<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    let mut peer = RawPeer::connect(101, node.address());
    peer.handshake(90);
    node.wait_up(101);

    let quiet = Arc::new(AtomicBool::new(false));
    let mut voice = peer.stream.try_clone().expect("a second handle");
    let told = Arc::clone(&quiet);
    let talker = thread::spawn(move || {
        let keepalives = KEEPALIVE.repeat(512);
        while !told.load(Ordering::Acquire) {
            voice.write_all(&keepalives)?;
        }
        voice.shutdown(Shutdown::Write)
    });
    let before = node.status(101).received.keepalives;
    wait("the peer to be heard", || (node.status(101).received.keepalives > before + 1000).then_some(()));

    let listener = thread::spawn(move || {
        let notification = peer.next_notification();
        quiet.store(true, Ordering::Release);
        let talked = talker.join().expect("no panic");
        (notification, talked, peer.next())
    });
    node.running.shutdown_blocking("enough", PATIENCE);
    let (notification, talked, end) = listener.join().expect("the peer got what it waited for");
    assert_eq!((notification.code, notification.subcode), (6, 2));
    talked.expect("nothing the peer said was answered by a reset");
    assert!(matches!(end, crate::raw::Message::End), "{end:?}");
}

/// A peer that neither reads nor closes cannot hold stopping up.
pub fn stopping_is_bounded_in_time<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start_with(&adapter, 1, Arc::new(SmallBuffers));
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    let mut peer = RawPeer::connect_with(101, node.address(), Some(4096));
    peer.handshake(90);
    node.wait_up(101);
    node.originate(0..20_000, 7);
    wait("the peer to be sent something", || (node.status(101).sent.updates > 0).then_some(()));

    let start = Instant::now();
    node.running.shutdown_blocking("now", Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
    TcpListener::bind(node.address()).expect("the port is free again");
    drop(peer);
}

/// A sink that panics loses that event and no other.
pub fn a_sink_that_panics_hears_the_next_event<A: Adapter>() {
    let adapter = A::start();
    let (a, b) = pair(&adapter, 1, 2);
    let (say, heard) = std::sync::mpsc::channel();
    a.running.set_event_sink(Box::new(move |event| {
        let up = matches!(event, Event::PeerUp { .. });
        let _ = say.send(event);
        // Without the report of a panic, which is meant here.
        if up {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
    }));
    a.reconcile();
    b.reconcile();
    let until = |what: &str, fits: fn(&Event) -> bool| {
        while !fits(&heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} is not heard"))) {}
    };
    until("PeerUp", |event| matches!(event, Event::PeerUp { .. }));
    b.stop();
    until("PeerDown", |event| matches!(event, Event::PeerDown { .. }));
    a.stop();
}
