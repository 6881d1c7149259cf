//! What the router has to say about sockets.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use peerage_config::LogLevel;
use peerage_core::speaker::{ConnectTarget, Neighbor, NeighborKey};
use peerage_sockets::{Accepted, SocketSetup};
use socket2::Socket;

use crate::daemon::log::Log;

/// Addresses as they are, and neighbours' TTLs on accepted connections too.
#[derive(Debug)]
pub(crate) struct Sockets {
    log: Arc<Log>,
    neighbors: Mutex<BTreeMap<NeighborKey, Neighbor>>,
}

impl Sockets {
    pub(crate) fn new(log: Arc<Log>, neighbors: BTreeMap<NeighborKey, Neighbor>) -> Self {
        Self { log, neighbors: Mutex::new(neighbors) }
    }

    /// Other neighbours from now on.
    pub(crate) fn set_neighbors(&self, neighbors: BTreeMap<NeighborKey, Neighbor>) {
        *self.neighbors.lock().unwrap_or_else(PoisonError::into_inner) = neighbors;
    }

    /// Asks about the neighbour that a connection is from: by interface, by address, by the longest range.
    fn neighbor<T>(&self, accepted: &Accepted, ask: impl FnOnce(&Neighbor) -> T) -> Option<T> {
        let neighbors = self.neighbors.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = accepted.remote.ip();
        let by_interface =
            accepted.interface.as_ref().and_then(|name| neighbors.get(&NeighborKey::Interface(name.clone())));
        let by_range = || {
            let ranges = neighbors.iter().filter_map(|(key, neighbor)| match key {
                NeighborKey::Range(range) if range.contains(&remote) => Some((range.prefix_len(), neighbor)),
                _ => None,
            });
            ranges.max_by_key(|(len, _)| *len).map(|(_, neighbor)| neighbor)
        };
        let found =
            by_interface.or_else(|| neighbors.get(&NeighborKey::Address(remote))).or_else(by_range)?;
        Some(ask(found))
    }
}

impl SocketSetup for Sockets {
    fn configure(&self, socket: &Socket, accepted: &Accepted) -> io::Result<()> {
        match (self.neighbor(accepted, |neighbor| neighbor.socket.ttl).flatten(), accepted.remote) {
            (None, _) => Ok(()),
            (Some(ttl), SocketAddr::V4(_)) => socket.set_ttl_v4(ttl.into()),
            (Some(ttl), SocketAddr::V6(_)) => socket.set_unicast_hops_v6(ttl.into()),
        }
    }

    fn dial_failed(&self, target: &ConnectTarget, error: &io::Error) {
        self.log.say(LogLevel::Debug, &format!("{}: {error}", target.remote));
    }
}
