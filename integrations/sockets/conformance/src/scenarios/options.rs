//! Options of sockets change while they are open.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use peerage_core::speaker::{Event, NeighborKey};
use peerage_sockets::{Accepted, SocketSetup};
use socket2::Socket;

use crate::{
    Adapter, Running,
    bed::{Node, host, link, wait},
};

/// Writes down whose options are set anew.
#[derive(Default)]
struct Recorder {
    listeners: Mutex<Vec<SocketAddr>>,
    connections: Mutex<Vec<SocketAddr>>,
    fails: AtomicBool,
}

impl Recorder {
    fn count(list: &Mutex<Vec<SocketAddr>>, fits: impl Fn(&SocketAddr) -> bool) -> usize {
        list.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|it| fits(it)).count()
    }
}

impl SocketSetup for Recorder {
    fn relisten(&self, socket: &Socket, address: SocketAddr) {
        assert_eq!(socket.local_addr().ok().and_then(|it| it.as_socket()), Some(address));
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    fn reconfigure(&self, socket: &Socket, connection: &Accepted) -> io::Result<()> {
        let peer = socket.peer_addr()?.as_socket();
        assert_eq!(peer, Some(connection.remote));
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection.remote);
        if self.fails.load(Ordering::Acquire) { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }
}

/// Whoever opened a connection, and sockets that listen: each has its options set anew, each time, and the
/// session goes on; but where they cannot be set, it ends.
pub fn changed_options_reach_every_open_socket<A: Adapter>() {
    let adapter = A::start();
    let setups = [Arc::new(Recorder::default()), Arc::new(Recorder::default())];
    let mut a = Node::start_with(&adapter, 1, Arc::clone(&setups[0]) as Arc<dyn SocketSetup>);
    let mut b = Node::start_with(&adapter, 2, Arc::clone(&setups[1]) as Arc<dyn SocketSetup>);
    link(&mut a, &mut b);
    a.reconcile();
    b.reconcile();
    a.wait_up(2);
    b.wait_up(1);
    for (node, setup, peer) in [(&a, &setups[0], 2), (&b, &setups[1], 1)] {
        for round in 1..=3 {
            node.running.refresh_sockets();
            wait("options to be set anew", || {
                let listeners = Recorder::count(&setup.listeners, |it| *it == node.address());
                let connections = Recorder::count(&setup.connections, |it| it.ip() == host(peer));
                (listeners == round && connections == round).then_some(())
            });
        }
        assert_eq!((node.status(peer).established, node.status(peer).dropped), (1, 0));
    }
    setups[1].fails.store(true, Ordering::Release);
    b.running.refresh_sockets();
    let key = NeighborKey::Address(host(1));
    b.wait_event("PeerDown", |event| match event {
        Event::PeerDown { key: down, .. } if *down == key => Some(()),
        _ => None,
    });
    a.stop();
    b.stop();
}
