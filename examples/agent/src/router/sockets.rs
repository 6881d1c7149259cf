//! What the router has to say about sockets.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use peerage_config::LogLevel;
use peerage_core::speaker::{ConnectTarget, Neighbor, NeighborKey, SocketOptions};
use peerage_sockets::{Accepted, Dial, SocketSetup};
use socket2::Socket;

use crate::daemon::log::Log;

#[cfg(target_os = "linux")]
type Inner = peerage_linux::Protection;
#[cfg(not(target_os = "linux"))]
type Inner = peerage_sockets::Direct;

/// Whether sockets get the keys and check the TTLs that neighbours ask for.
pub(crate) const PROTECTS: bool = cfg!(target_os = "linux");

/// Addresses as they are, neighbours' options on all their connections, and a log.
#[derive(Debug)]
pub(crate) struct Sockets {
    log: Arc<Log>,
    inner: Inner,
}

impl Sockets {
    pub(crate) fn new(log: Arc<Log>, neighbors: &BTreeMap<NeighborKey, Neighbor>) -> Self {
        #[cfg(target_os = "linux")]
        let inner = {
            let log = Arc::clone(&log);
            Inner::new(move |who, error| log.say(LogLevel::Warn, &format!("neighbor {who}: {error}")))
        };
        #[cfg(not(target_os = "linux"))]
        let inner = Inner::default();
        let sockets = Self { log, inner };
        sockets.set_neighbors(neighbors);
        sockets
    }

    /// Other neighbours from now on.
    pub(crate) fn set_neighbors(&self, neighbors: &BTreeMap<NeighborKey, Neighbor>) {
        #[cfg(target_os = "linux")]
        self.inner.set_neighbors(neighbors.iter().map(|(key, it)| (key.clone(), it.socket.clone())));
        #[cfg(not(target_os = "linux"))]
        let _ = neighbors;
    }

    /// Who is on the other end of an interface. `true`: the sockets are to be refreshed.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_link_local(&self, interface: &str, address: Option<std::net::Ipv6Addr>) -> bool {
        self.inner.set_link_local(interface, address)
    }
}

impl SocketSetup for Sockets {
    fn prepare(&self, socket: &Socket, dial: &Dial, options: &SocketOptions) -> io::Result<()> {
        self.inner.prepare(socket, dial, options)
    }

    fn listen(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        self.inner.listen(socket, address)
    }

    fn configure(&self, socket: &Socket, accepted: &Accepted) -> io::Result<()> {
        self.inner.configure(socket, accepted)
    }

    fn relisten(&self, socket: &Socket, address: SocketAddr) {
        self.inner.relisten(socket, address);
    }

    fn reconfigure(&self, socket: &Socket, connection: &Accepted) -> io::Result<()> {
        self.inner.reconfigure(socket, connection)
    }

    fn dial_failed(&self, target: &ConnectTarget, error: &io::Error) {
        self.log.say(LogLevel::Debug, &format!("{}: {error}", target.remote));
    }
}
