//! Sessions come up: from either side, once, and again.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Barrier, Mutex},
    thread,
};

use peerage_core::{
    speaker::{CloseReason, ConnectTarget, DownReason, Event, NeighborKey, PeerState},
    wire,
};
use peerage_sockets::{Accepted, Dial, SocketSetup};
use socket2::{Domain, Socket, Type};

use crate::{
    Adapter, Running,
    bed::{Node, established, host, key, link, pair, wait},
    raw::{Message, RawPeer},
};

/// Whichever end connects, both have the session, with the same two addresses.
pub fn a_session_comes_up_from_either_side<A: Adapter>() {
    let adapter = A::start();
    for dialer in [1, 2] {
        let (mut a, mut b) = (Node::start(&adapter, 1), Node::start(&adapter, 2));
        if dialer == 1 {
            link(&mut a, &mut b)
        } else {
            link(&mut b, &mut a)
        }
        a.reconcile();
        b.reconcile();
        let at_a = a.wait_up(2).session.expect("an established session has one");
        let at_b = b.wait_up(1).session.expect("an established session has one");
        assert_eq!((at_a.local, at_a.remote), (at_b.remote, at_b.local));

        let (passive, active) = if dialer == 1 { (&b, at_b) } else { (&a, at_a) };
        assert_eq!(active.local, passive.address(), "the passive end's address is where it listens");
        assert_ne!(active.remote.port(), 0);
        assert_eq!(established(&[a.address(), b.address()]), 2, "one connection, seen from both ends");
        a.wait_event("PeerUp", |event| matches!(event, Event::PeerUp { .. }).then_some(()));
        a.stop();
        b.stop();
    }
}

/// Stands in for a laboratory: everyone at 192.0.2.N is really at 127.0.0.N.
struct Elsewhere;

impl Elsewhere {
    fn moved(address: IpAddr, network: [u8; 3]) -> IpAddr {
        let [a, b, c] = network;
        match address {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::new(a, b, c, v4.octets()[3])),
            IpAddr::V6(_) => address,
        }
    }

    fn real(address: IpAddr) -> IpAddr {
        Self::moved(address, [127, 0, 0])
    }

    fn told(address: SocketAddr) -> SocketAddr {
        SocketAddr::new(Self::moved(address.ip(), [192, 0, 2]), address.port())
    }
}

impl SocketSetup for Elsewhere {
    fn dial(&self, target: &ConnectTarget) -> io::Result<Dial> {
        Ok(Dial {
            bind: target.local.map(|local| SocketAddr::new(Self::real(local), 0)),
            remote: SocketAddr::new(Self::real(target.remote.ip()), target.remote.port()),
        })
    }

    fn local(&self, local: SocketAddr) -> SocketAddr {
        Self::told(local)
    }

    fn accepted(&self, remote: SocketAddr, local: SocketAddr) -> Option<Accepted> {
        // Only its own kind: anything else never reaches the speaker.
        let known = remote.ip() != host(102);
        known.then(|| Accepted { remote: Self::told(remote), local: Self::told(local), interface: None })
    }
}

/// A socket setup may give addresses that exist nowhere: the speakers see only those.
pub fn a_setup_decides_what_addresses_mean<A: Adapter>() {
    let adapter = A::start();
    let mut a = Node::start_with(&adapter, 1, Arc::new(Elsewhere));
    let mut b = Node::start_with(&adapter, 2, Arc::new(Elsewhere));
    link(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        let neighbors = std::mem::take(&mut node.desired.neighbors);
        for (key, mut neighbor) in neighbors {
            let NeighborKey::Address(address) = key else { continue };
            let own = SocketAddr::new(host(node.number), 0);
            neighbor.local_address = Some(Elsewhere::told(own).ip());
            let told = Elsewhere::told(SocketAddr::new(address, 0)).ip();
            node.desired.neighbors.insert(NeighborKey::Address(told), neighbor);
        }
        node.reconcile();
    }
    let session = |node: &Node<A>| {
        wait("a session between addresses that do not exist", || {
            let status = node.running.with(|speaker, _| speaker.neighbors()).pop()?;
            status.session.filter(|_| status.state == PeerState::Established)
        })
    };
    let (at_a, at_b) = (session(&a), session(&b));
    assert_eq!((at_a.local, at_a.remote), (at_b.remote, at_b.local));
    assert_eq!(at_b.local, Elsewhere::told(b.address()));

    // Dropped without a word, and without the speaker being told.
    let mut stranger = RawPeer::connect(102, a.address());
    match stranger.next() {
        Message::End | Message::Reset => {}
        other => panic!("a stranger was sent {other:?}"),
    }
    assert!(!a.events().iter().any(|event| matches!(event, Event::Refused { .. })));
    a.stop();
    b.stop();
}

/// Two connections, one from each end, each half open when the other gets there (RFC 4271 §6.8): the one
/// that the speaker with the higher identifier began is left.
pub fn of_two_connections_that_cross_one_survives<A: Adapter>() {
    let adapter = A::start();
    for number in [1, 3] {
        let listener = TcpListener::bind(SocketAddr::new(host(number), 0)).expect("a free port");
        let mut node = Node::start(&adapter, 2);
        node.neighbor(listener.local_addr().expect("it is bound"), number, |_| {});
        node.reconcile();

        let mut theirs = RawPeer::accept(number, &listener);
        theirs.expect_open();
        let mut ours = RawPeer::connect(number, node.address());
        // Neither has more than an OPEN before both have one: only now it is known that they cross.
        ours.open(90);
        ours.expect_open();
        theirs.open(90);
        let (mut winner, mut loser) = if number > 2 { (ours, theirs) } else { (theirs, ours) };
        loser.expect_end(6, 7);
        winner.expect_keepalive();
        winner.send(&wire::KEEPALIVE);
        node.wait_up(number);
        let status = node.status(number);
        assert_eq!((status.established, status.dropped), (1, 0), "{:#?}", node.events());
        let session = status.session.expect("an established session has one");
        assert_eq!(session.remote, winner.local());
        assert_eq!(established(&[session.local, session.remote]), 2, "one connection, both its ends here");
        node.stop();
    }
}

/// Both ends connect at the same time. Whether their connections cross is up to the system, and so is
/// where: whatever happens, one connection is left, the same on both ends, and no session is lost for it.
pub fn two_ends_that_connect_at_once_have_one_session<A: Adapter>() {
    let adapter = A::start();
    for round in 0..20 {
        let (mut a, mut b) = pair(&adapter, 1, 2);
        for node in [&mut a, &mut b] {
            for neighbor in node.desired.neighbors.values_mut() {
                neighbor.passive = false;
            }
        }
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            for node in [&a, &b] {
                let (barrier, running, desired) = (&barrier, node.running.clone(), &node.desired);
                scope.spawn(move || {
                    running.with(|speaker, now| {
                        barrier.wait();
                        speaker.reconcile(now, desired).expect("no faults");
                    });
                });
            }
        });
        let both = [a.address(), b.address()];
        let (at_a, at_b) = wait(&format!("one session in round {round}"), || {
            let session = |node: &Node<A>, peer| {
                let status = node.status(peer);
                status.session.filter(|_| status.state == PeerState::Established)
            };
            let found = (session(&a, 2)?, session(&b, 1)?);
            (established(&both) == 2).then_some(found)
        });
        assert_eq!((at_a.local, at_a.remote), (at_b.remote, at_b.local), "round {round}");
        for (node, peer) in [(&a, 2), (&b, 1)] {
            let status = node.status(peer);
            let events = (a.events(), b.events());
            assert_eq!((status.established, status.dropped), (1, 0), "round {round}: {events:#?}");
        }
        a.stop();
        b.stop();
    }
}

/// After a session has ended by an error both ends wait before they connect again. They must not keep
/// finding each other waiting.
pub fn two_ends_that_both_connect_find_each_other_again<A: Adapter>() {
    let adapter = A::start();
    let (mut a, mut b) = pair(&adapter, 1, 2);
    for node in [&mut a, &mut b] {
        for neighbor in node.desired.neighbors.values_mut() {
            neighbor.passive = false;
        }
        node.reconcile();
    }
    for round in 1..=5 {
        b.wait_up(1);
        a.wait_up(2);
        let before = a.status(2).established;
        a.running.with(|speaker, now| speaker.reset(now, &key(2)));
        wait(&format!("the session to be back in round {round}"), || {
            (a.status(2).established > before && a.status(2).state == PeerState::Established).then_some(())
        });
        let opens = a.status(2).sent.opens + b.status(1).sent.opens;
        assert!(opens <= round * 16, "{opens} OPENs for {round} resets");
    }
    a.stop();
    b.stop();
}

/// A neighbour that refuses is waited for in Active, and found when it is there.
pub fn a_refused_connection_is_tried_again<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    // Bound and not listening: the port is taken, and connections to it are refused.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(host(2), 0).into()).expect("127.0.0.0/8 is local");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    node.neighbor(address, 2, |_| {});
    node.reconcile();

    node.wait_event("a refusal", |event| match event {
        Event::AttemptFailed { reason: DownReason::Transport(CloseReason::Refused), key, .. } => {
            (*key == self::key(2)).then_some(())
        }
        _ => None,
    });
    wait("Active", || (node.status(2).state == PeerState::Active).then_some(()));

    socket.listen(1).expect("listen");
    let (_stream, from) = socket.accept().expect("the node tries again");
    assert_eq!(from.as_socket().map(|from| from.ip()), Some(host(1)));
    wait("OpenSent", || (node.status(2).state == PeerState::OpenSent).then_some(()));
    node.stop();
}

/// A sink is called without a lock, for one event after the other: it may look at the speaker.
pub fn an_event_sink_may_call_back<A: Adapter>() {
    let adapter = A::start();
    let (a, b) = pair(&adapter, 1, 2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (running, sink) = (a.running.clone(), Arc::clone(&seen));
    a.running.set_event_sink(Box::new(move |event| {
        let up = match event {
            Event::PeerUp { .. } => true,
            Event::PeerDown { .. } => false,
            _ => return,
        };
        let neighbors = running.with(|speaker, _| speaker.neighbors());
        let really = neighbors.iter().any(|neighbor| neighbor.state == PeerState::Established);
        sink.lock().expect("no panic under it").push((up, really));
    }));
    a.reconcile();
    b.reconcile();
    let wait_seen = |expected: &[_]| {
        wait("the sink to have called back", || {
            (*seen.lock().expect("no panic under it") == expected).then_some(())
        });
    };
    wait_seen(&[(true, true)]);
    b.stop();
    wait_seen(&[(true, true), (false, false)]);
    a.stop();
}
