//! Protocol addresses on loopback sockets: what makes seven speakers with the article's addresses run in
//! one unprivileged process.
//!
//! Every (node, address) and (node, unnumbered interface) is an *endpoint* with a real address of its
//! own: one of 127.77.0.0/16, or where 127/8 is not routed to loopback (macOS), 127.0.0.1 with a port.
//! Listeners take free ports. A dial is bound to its source endpoint's real address, so that the other
//! side can map it back; what core sees on both sides are protocol addresses and interfaces only.
//!
//! A dial needs a way: the peer's end of a link, a connected subnet, or a route as the topology has it.
//! Real addresses are loopback's, so other users of the same machine could connect with one of them: a
//! laboratory has no secrets. Who does not listen refuses for real: such dials go to a port that is bound and never listens.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use ipnet::IpNet;
use peerage_core::speaker::ConnectTarget;
use peerage_sockets::{Accepted, Dial, SocketSetup};
use socket2::{Domain, Socket, Type};

use crate::cli::Loopback;

/// Where BGP listens, as far as speakers are told.
const BGP_PORT: u16 = 179;

/// One machine of the fabric: a router or a Kubernetes node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// Its name.
    pub(crate) name: String,
    /// Its addresses, each with its interface and subnet.
    pub(crate) addresses: Vec<(String, IpNet)>,
    /// Its static routes with their gateways; `None` drops packets.
    pub(crate) routes: Vec<(IpNet, Option<IpAddr>)>,
    /// Its links.
    pub(crate) links: Vec<Link>,
    /// Whether it runs a router: listens on its addresses and passes packets on.
    pub(crate) router: bool,
}

/// One end of a link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// This end's interface.
    pub(crate) interface: String,
    /// This end's link-local address.
    pub(crate) link_local: Ipv6Addr,
    /// Index of the machine at the other end.
    pub(crate) peer: usize,
    /// The other end's interface.
    pub(crate) peer_interface: String,
}

impl Machine {
    /// Whether an address is its own.
    pub(crate) fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(_, net)| net.addr() == address)
    }

    /// Its link at an interface.
    pub(crate) fn link(&self, interface: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.interface == interface)
    }

    /// The interface and own address of the subnet that an address is in, the longest.
    pub(crate) fn connected(&self, address: IpAddr) -> Option<(&str, IpAddr)> {
        self.addresses
            .iter()
            .filter(|(_, net)| net.contains(&address) && net.prefix_len() < net.max_prefix_len())
            .max_by_key(|(_, net)| net.prefix_len())
            .map(|(interface, net)| (interface.as_str(), net.addr()))
    }

    /// The gateway of its longest static route to an address.
    pub(crate) fn gateway(&self, address: IpAddr) -> Option<IpAddr> {
        let routes = self.routes.iter().filter(|(net, _)| net.contains(&address));
        routes
            .filter_map(|(net, via)| Some((net, (*via)?)))
            .max_by_key(|(net, _)| net.prefix_len())
            .map(|(_, via)| via)
    }

    /// The address of a loopback interface, which answers where a link has none.
    pub(crate) fn loopback(&self) -> Option<IpAddr> {
        self.addresses.iter().find(|(name, _)| name == "lo").map(|(_, net)| net.addr())
    }

    /// Its address at an interface.
    pub(crate) fn address_at(&self, interface: &str) -> Option<IpAddr> {
        self.addresses.iter().find(|(name, _)| name == interface).map(|(_, net)| net.addr())
    }
}

/// What an endpoint is in the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Interface(String),
}

/// A protocol address or unnumbered interface, and where it really is.
#[derive(Debug)]
struct Endpoint {
    machine: usize,
    key: Key,
    /// What the protocol calls it: its address, or the interface's link-local one.
    protocol: IpAddr,
    /// Its real address.
    real: Ipv4Addr,
    /// Its listener's real port; 0 while there is none.
    port: AtomicU16,
}

/// The whole fabric's map. It never changes after it is made, except for ports.
#[derive(Debug)]
pub(crate) struct Fabric {
    machines: Vec<Machine>,
    endpoints: Vec<Endpoint>,
    by_key: HashMap<(usize, Key), usize>,
    by_real: HashMap<Ipv4Addr, usize>,
    /// Source ports of dials where all real addresses are 127.0.0.1; `None` where each endpoint has its
    /// own.
    by_port: Option<Mutex<HashMap<u16, usize>>>,
    /// Bound, never listening: connections here are refused.
    refusing: SocketAddr,
    _refusing: Socket,
}

/// The sockets of one speaker in the fabric.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    fabric: Arc<Fabric>,
    machine: usize,
}

impl Fabric {
    /// A map for these machines.
    pub(crate) fn new(machines: Vec<Machine>, loopback: Loopback) -> io::Result<Arc<Self>> {
        let own_addresses = match loopback {
            Loopback::Addresses => true,
            Loopback::Ports => false,
            Loopback::Auto => TcpListener::bind((Ipv4Addr::new(127, 77, 0, 1), 0)).is_ok(),
        };
        let mut endpoints = Vec::new();
        for (index, machine) in machines.iter().enumerate() {
            let mut known = HashSet::new();
            for (_, net) in &machine.addresses {
                if known.insert(net.addr()) {
                    endpoints.push((index, Key::Address(net.addr()), net.addr()));
                }
            }
            for link in &machine.links {
                let key = Key::Interface(link.interface.clone());
                endpoints.push((index, key, IpAddr::V6(link.link_local)));
            }
        }
        if endpoints.len() > 60_000 {
            return Err(io::Error::other("the topology has more addresses than 127.77.0.0/16"));
        }
        let endpoints: Vec<Endpoint> = (1_u32..)
            .zip(endpoints)
            .map(|(number, (machine, key, protocol))| Endpoint {
                machine,
                key,
                protocol,
                real: if own_addresses {
                    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 77, 0, 0)) + number)
                } else {
                    Ipv4Addr::LOCALHOST
                },
                port: AtomicU16::new(0),
            })
            .collect();
        let by_key =
            endpoints.iter().enumerate().map(|(i, end)| ((end.machine, end.key.clone()), i)).collect();
        let by_real = if own_addresses {
            endpoints.iter().enumerate().map(|(i, end)| (end.real, i)).collect()
        } else {
            HashMap::new()
        };
        let (socket, refusing) = bound()?;
        Ok(Arc::new(Self {
            machines,
            endpoints,
            by_key,
            by_real,
            by_port: (!own_addresses).then(Mutex::default),
            refusing,
            _refusing: socket,
        }))
    }

    /// The machines, in the order they were given.
    pub(crate) fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The sockets of a machine's speaker.
    pub(crate) fn sockets(self: &Arc<Self>, machine: usize) -> Sockets {
        Sockets { fabric: Arc::clone(self), machine }
    }

    /// Where a router is to listen: one real socket for each of its endpoints, free ports.
    pub(crate) fn listen(&self, machine: usize) -> Vec<SocketAddr> {
        self.of(machine).map(|end| SocketAddr::from((end.real, 0))).collect()
    }

    /// What [`Fabric::listen`]'s sockets became, in its order.
    pub(crate) fn listening(&self, machine: usize, real: &[SocketAddr]) {
        for (end, real) in self.of(machine).zip(real) {
            end.port.store(real.port(), Ordering::Release);
        }
    }

    /// A machine's endpoints.
    fn of(&self, machine: usize) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(move |end| end.machine == machine)
    }

    /// The endpoint with this key.
    fn find(&self, machine: usize, key: Key) -> Option<usize> {
        self.by_key.get(&(machine, key)).copied()
    }

    fn endpoint(&self, index: usize) -> io::Result<&Endpoint> {
        self.endpoints.get(index).ok_or_else(|| io::Error::other("no such endpoint"))
    }

    /// Source and destination endpoints of a dial by a machine.
    fn route(&self, from: usize, target: &ConnectTarget) -> io::Result<(usize, Option<usize>)> {
        if let Some(interface) = &target.interface {
            return self.across(from, interface, target.remote.ip());
        }
        let to = target.remote.ip();
        let (source, owner) =
            self.way(from, to).ok_or_else(|| unreachable(&format!("no way to {to} in the topology")))?;
        let source = target.local.unwrap_or(source);
        let source = self.find(from, Key::Address(source)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                format!("{source} is not an address of this node"),
            )
        })?;
        Ok((source, self.find(owner, Key::Address(to))))
    }

    /// A dial to whoever is at the other end of an interface.
    fn across(&self, from: usize, interface: &str, to: IpAddr) -> io::Result<(usize, Option<usize>)> {
        let missing = || unreachable(&format!("nothing is connected to {interface}"));
        let link = self.machines.get(from).and_then(|machine| machine.link(interface)).ok_or_else(missing)?;
        let source = self.find(from, Key::Interface(interface.to_owned())).ok_or_else(missing)?;
        let peer = self.find(link.peer, Key::Interface(link.peer_interface.clone())).ok_or_else(missing)?;
        if self.endpoint(peer)?.protocol != to {
            return Err(unreachable(&format!("{to} is not on {interface}")));
        }
        Ok((source, Some(peer)))
    }

    /// How packets get from a machine to an address: the source address they have, and who owns it.
    ///
    /// The first hop is a connected subnet or a static route; a router without one has learned the way.
    /// From there on routers pass it on.
    pub(crate) fn way(&self, from: usize, to: IpAddr) -> Option<(IpAddr, usize)> {
        let machine = self.machines.get(from)?;
        if machine.owns(to) {
            return Some((to, from));
        }
        if let Some((interface, source)) = machine.connected(to) {
            let peer = machine.link(interface)?.peer;
            return self.machines.get(peer)?.owns(to).then_some((source, peer));
        }
        if let Some(via) = machine.gateway(to) {
            let (interface, source) = machine.connected(via)?;
            let peer = machine.link(interface)?.peer;
            self.machines.get(peer).filter(|peer| peer.owns(via))?;
            return Some((source, self.owner(peer, to)?));
        }
        let owner = machine.router.then(|| self.owner(from, to))??;
        Some((machine.loopback()?, owner))
    }

    /// Who owns an address, of those that routers lead to from `start`.
    fn owner(&self, start: usize, address: IpAddr) -> Option<usize> {
        let mut seen = HashSet::from([start]);
        let mut queue = VecDeque::from([start]);
        while let Some(index) = queue.pop_front() {
            let machine = self.machines.get(index)?;
            if machine.owns(address) {
                return Some(index);
            }
            if machine.router {
                queue.extend(machine.links.iter().map(|link| link.peer).filter(|peer| seen.insert(*peer)));
            }
        }
        None
    }

    /// The endpoint a real remote or dialling socket belongs to.
    fn dialler(&self, real: SocketAddr) -> Option<&Endpoint> {
        let IpAddr::V4(address) = real.ip() else { return None };
        let index = match &self.by_port {
            None => self.by_real.get(&address).copied(),
            Some(ports) => ports.lock().unwrap_or_else(PoisonError::into_inner).get(&real.port()).copied(),
        };
        self.endpoints.get(index?)
    }

    /// The endpoint whose listener accepted at a real address.
    fn listener(&self, machine: usize, real: SocketAddr) -> Option<&Endpoint> {
        self.of(machine)
            .find(|end| IpAddr::V4(end.real) == real.ip() && end.port.load(Ordering::Acquire) == real.port())
    }
}

impl SocketSetup for Sockets {
    fn dial(&self, target: &ConnectTarget) -> io::Result<Dial> {
        let fabric = &self.fabric;
        let (source, destination) = fabric.route(self.machine, target)?;
        let port = match destination {
            Some(index) if target.remote.port() == BGP_PORT => {
                fabric.endpoint(index)?.port.load(Ordering::Acquire)
            }
            _ => 0,
        };
        let remote = match destination {
            Some(index) if port != 0 => SocketAddr::from((fabric.endpoint(index)?.real, port)),
            _ => fabric.refusing,
        };
        let mut bind = SocketAddr::from((fabric.endpoint(source)?.real, 0));
        if let Some(ports) = &fabric.by_port {
            // The source port tells who dials, so it must be known before the other side accepts. It is
            // free again when the probe is dropped; should another process take it in between, the
            // dial fails and is tried again.
            bind = bound()?.1;
            ports.lock().unwrap_or_else(PoisonError::into_inner).insert(bind.port(), source);
        }
        Ok(Dial { bind: Some(bind), remote })
    }

    fn local(&self, local: SocketAddr) -> SocketAddr {
        match self.fabric.dialler(local) {
            Some(end) => SocketAddr::new(end.protocol, local.port()),
            None => SocketAddr::from((Ipv4Addr::UNSPECIFIED, local.port())),
        }
    }

    fn accepted(&self, remote: SocketAddr, local: SocketAddr) -> Option<Accepted> {
        let from = self.fabric.dialler(remote)?;
        let at = self.fabric.listener(self.machine, local)?;
        let interface = match &at.key {
            Key::Interface(name) => Some(name.clone()),
            Key::Address(_) => None,
        };
        // Only the other end of a link speaks on it.
        if interface.is_some() != matches!(from.key, Key::Interface(_)) {
            return None;
        }
        Some(Accepted {
            remote: SocketAddr::new(from.protocol, remote.port()),
            local: SocketAddr::new(at.protocol, BGP_PORT),
            interface,
        })
    }
}

/// A TCP socket that is bound to a free port of 127.0.0.1 and does not listen.
fn bound() -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
    let address = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the system gave a socket without an address"))?;
    Ok((socket, address))
}

fn unreachable(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::HostUnreachable, message.to_owned())
}

#[cfg(test)]
mod tests {
    use peerage_core::speaker::SocketOptions;

    use super::*;

    /// agent --- tor --- spine --- tor2, the agent with a default route, the routers unnumbered.
    fn machines() -> Vec<Machine> {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let link = |interface: &str, local: u16, peer: usize, peer_interface: &str| Link {
            interface: interface.into(),
            link_local: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, local),
            peer,
            peer_interface: peer_interface.into(),
        };
        vec![
            Machine {
                name: "agent".into(),
                addresses: vec![("net0".into(), net("10.0.1.2/24"))],
                routes: vec![(net("0.0.0.0/0"), Some("10.0.1.1".parse().unwrap()))],
                links: vec![link("net0", 1, 1, "net1")],
                router: false,
            },
            Machine {
                name: "tor".into(),
                addresses: vec![("lo".into(), net("10.0.0.1/32")), ("net1".into(), net("10.0.1.1/24"))],
                routes: vec![],
                links: vec![link("net0", 2, 2, "net0"), link("net1", 3, 0, "net0")],
                router: true,
            },
            Machine {
                name: "spine".into(),
                addresses: vec![("lo".into(), net("10.0.0.0/32"))],
                routes: vec![],
                links: vec![link("net0", 4, 1, "net0"), link("net1", 5, 3, "net0")],
                router: true,
            },
            Machine {
                name: "tor2".into(),
                addresses: vec![("lo".into(), net("10.0.0.2/32"))],
                routes: vec![],
                links: vec![link("net0", 6, 2, "net1")],
                router: true,
            },
        ]
    }

    fn target(remote: &str, interface: Option<&str>) -> ConnectTarget {
        ConnectTarget {
            remote: remote.parse().unwrap(),
            local: None,
            interface: interface.map(str::to_owned),
            socket: SocketOptions::default(),
        }
    }

    fn listen(fabric: &Fabric, machine: usize) -> Vec<TcpListener> {
        let listeners: Vec<_> =
            fabric.listen(machine).into_iter().map(|real| TcpListener::bind(real).unwrap()).collect();
        let real: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        fabric.listening(machine, &real);
        listeners
    }

    /// Connects as `from` would, and gives both ends' views: (local of the dialler, accepted).
    fn connect(
        fabric: &Arc<Fabric>,
        from: usize,
        to: usize,
        target: &ConnectTarget,
    ) -> (SocketAddr, Accepted) {
        let listeners = listen(fabric, to);
        let dial = fabric.sockets(from).dial(target).unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&dial.bind.unwrap().into()).unwrap();
        socket.connect(&dial.remote.into()).unwrap();
        let listener = listeners.iter().find(|l| l.local_addr().unwrap() == dial.remote).unwrap();
        let (stream, remote) = listener.accept().unwrap();
        let accepted = fabric.sockets(to).accepted(remote, stream.local_addr().unwrap()).unwrap();
        let local = fabric.sockets(from).local(socket.local_addr().unwrap().as_socket().unwrap());
        (local, accepted)
    }

    #[test]
    fn both_ends_see_protocol_addresses_only() {
        for loopback in [Loopback::Auto, Loopback::Ports] {
            let fabric = Fabric::new(machines(), loopback).unwrap();
            let (local, accepted) = connect(&fabric, 0, 1, &target("10.0.0.1:179", None));
            assert_eq!(local.ip(), "10.0.1.2".parse::<IpAddr>().unwrap());
            assert_eq!(accepted.remote.ip(), local.ip());
            assert_eq!(accepted.local, "10.0.0.1:179".parse().unwrap());
            assert_eq!(accepted.interface, None);

            let (local, accepted) = connect(&fabric, 2, 1, &target("[fe80::2]:179", Some("net0")));
            assert_eq!(local.ip(), "fe80::4".parse::<IpAddr>().unwrap());
            assert_eq!(accepted.remote.ip(), local.ip());
            assert_eq!(accepted.local, "[fe80::2]:179".parse().unwrap());
            assert_eq!(accepted.interface.as_deref(), Some("net0"));
        }
    }

    #[test]
    fn who_does_not_listen_refuses_for_real() {
        let fabric = Fabric::new(machines(), Loopback::Auto).unwrap();
        for (from, to) in [(1, "10.0.1.2:179"), (0, "10.0.0.1:1790")] {
            let dial = fabric.sockets(from).dial(&target(to, None)).unwrap();
            let error = std::net::TcpStream::connect(dial.remote).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_dial_needs_a_way() {
        let fabric = Fabric::new(machines(), Loopback::Auto).unwrap();
        let source = |from, to: &str| fabric.way(from, to.parse().unwrap());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(source(0, "10.0.0.1"), Some((address("10.0.1.2"), 1)));
        assert_eq!(source(0, "10.0.0.2"), Some((address("10.0.1.2"), 3)));
        assert_eq!(source(1, "10.0.1.2"), Some((address("10.0.1.1"), 0)));
        assert_eq!(source(3, "10.0.0.1"), Some((address("10.0.0.2"), 1)));
        assert_eq!(source(1, "10.0.1.9"), None);
        assert_eq!(source(0, "192.0.2.1"), None);
        for (remote, interface) in
            [("192.0.2.1:179", None), ("[fe80::9]:179", Some("net0")), ("[fe80::1]:179", Some("net7"))]
        {
            let error = fabric.sockets(0).dial(&target(remote, interface)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
        }
    }

    #[test]
    fn strangers_are_not_accepted() {
        let fabric = Fabric::new(machines(), Loopback::Auto).unwrap();
        let listeners = listen(&fabric, 1);
        let local = listeners.first().unwrap().local_addr().unwrap();
        assert_eq!(fabric.sockets(1).accepted("127.0.0.1:5".parse().unwrap(), local), None);
        assert_eq!(fabric.sockets(1).accepted("[::1]:5".parse().unwrap(), local), None);
    }
}
