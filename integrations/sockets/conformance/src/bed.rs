//! Nodes to test, and waiting with a deadline.

use std::{
    fmt::Debug,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipnet::{IpNet, Ipv4Net};
use peerage_core::{
    Speaker,
    policy::{Policy, Rule, Set},
    speaker::{
        Desired, Event, Neighbor, NeighborKey, NeighborStatus, Origination, PeerAs, PeerState, SocketOptions,
        SourceId,
    },
    wire::{Asn, Community, Family, RouterId, attr::PathAttributes},
};
use peerage_sockets::{Accepted, Clock, Dial, Direct, SocketSetup, seed};
use socket2::Socket;

use crate::{Adapter, Running};

/// Long enough for anything on a busy machine. A test that passes never waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Routes in a big table.
pub(crate) const MANY: u32 = 100_000;

/// Looks at something until it is there.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The loopback address that ends in `host`.
pub(crate) const fn host(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

/// The identifier and next hop of whoever is at `host`.
pub(crate) const fn identifier(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, host)
}

/// The AS of whoever is at `host`.
pub(crate) fn asn(host: u8) -> Asn {
    Asn(65000 + u32::from(host))
}

pub(crate) fn key(host: u8) -> NeighborKey {
    NeighborKey::Address(self::host(host))
}

/// Send buffers so small that a peer which does not read is soon felt.
pub(crate) struct SmallBuffers;

impl SocketSetup for SmallBuffers {
    fn prepare(&self, socket: &Socket, _dial: &Dial, _options: &SocketOptions) -> io::Result<()> {
        socket.set_send_buffer_size(4096)
    }

    fn configure(&self, socket: &Socket, _accepted: &Accepted) -> io::Result<()> {
        socket.set_send_buffer_size(4096)
    }
}

/// A node at 127.0.0.N: AS 65000 + N, identifier 10.0.0.N.
pub(crate) struct Node<A: Adapter> {
    pub(crate) running: A::Node,
    pub(crate) number: u8,
    pub(crate) desired: Desired,
    events: Arc<Mutex<Vec<Event>>>,
}

impl<A: Adapter> Node<A> {
    pub(crate) fn start(adapter: &A, number: u8) -> Self {
        Self::start_with(adapter, number, Arc::new(Direct))
    }

    pub(crate) fn start_with(adapter: &A, number: u8, setup: Arc<dyn SocketSetup>) -> Self {
        let speaker = Speaker::new(seed(), Clock.now());
        let listen = SocketAddr::new(host(number), 0);
        let running =
            adapter.spawn(speaker, setup, &[listen]).expect("a free port on the loopback interface");
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        running.set_event_sink(Box::new(move |event| {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }));
        running.with(|speaker, now| speaker.release(now));
        let router_id = RouterId::from(identifier(number));
        Self { running, number, desired: Desired::new(asn(number), router_id), events }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.running.listen_addrs().first().expect("a node listens")
    }

    /// Adds a neighbour that may be told and may tell everything. Nothing happens before
    /// [`Node::reconcile`].
    pub(crate) fn neighbor(&mut self, at: SocketAddr, number: u8, edit: impl FnOnce(&mut Neighbor)) {
        let mut neighbor = Neighbor::new(PeerAs::Number(asn(number)));
        neighbor.port = at.port();
        neighbor.local_address = Some(host(self.number));
        neighbor.import = Some(Policy::accept());
        // Nobody believes a next hop within 127.0.0.0/8, which is what the session's address is.
        let next_hop = Set::NextHop(IpAddr::V4(identifier(self.number)));
        let rule = Rule { sets: vec![next_hop], ..Rule::default() };
        neighbor.export = Some(Policy { rules: vec![rule], ..Policy::accept() });
        neighbor.timers.connect_retry = Duration::from_secs(1);
        neighbor.timers.idle_hold = Duration::from_millis(200);
        edit(&mut neighbor);
        self.desired.neighbors.insert(NeighborKey::Address(at.ip()), neighbor);
    }

    /// A raw peer that connects from 127.0.0.`number`.
    pub(crate) fn raw_neighbor(&mut self, number: u8, edit: impl FnOnce(&mut Neighbor)) {
        self.neighbor(SocketAddr::new(host(number), 179), number, |neighbor| {
            neighbor.passive = true;
            edit(neighbor);
        });
    }

    pub(crate) fn reconcile(&self) {
        self.running
            .with(|speaker, now| speaker.reconcile(now, &self.desired))
            .expect("the scenario's configuration has no faults");
    }

    pub(crate) fn status(&self, number: u8) -> NeighborStatus {
        let neighbors = self.running.with(|speaker, _| speaker.neighbors());
        neighbors
            .into_iter()
            .find(|neighbor| neighbor.key == key(number))
            .expect("the neighbour is configured")
    }

    pub(crate) fn wait_up(&self, number: u8) -> NeighborStatus {
        wait(&format!("{} to have a session with {}", self.number, number), || {
            Some(self.status(number)).filter(|status| status.state == PeerState::Established)
        })
    }

    /// Waits for an event, now or in the past.
    pub(crate) fn wait_event<T: Debug>(&self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        wait(&format!("{what} at {}", self.number), || self.events().iter().find_map(&mut pick))
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn originate(&self, prefixes: impl Iterator<Item = u32>, tag: u16) {
        let batch: Vec<_> = prefixes
            .map(|index| Origination { prefix: prefix(index), attributes: attributes(index, tag) })
            .collect();
        self.running.with(|speaker, _| speaker.originate(SourceId(1), &batch));
    }

    pub(crate) fn routes(&self) -> usize {
        self.running.with(|speaker, _| speaker.rib().len(Family::IPV4_UNICAST))
    }

    pub(crate) fn wait_routes(&self, count: usize) {
        wait(&format!("{} to have {count} routes", self.number), || (self.routes() == count).then_some(()));
    }

    /// Waits until the best path to a prefix has a community.
    pub(crate) fn wait_community(&self, prefix: IpNet, community: Community) {
        wait(&format!("{} to have {prefix} with {community}", self.number), || {
            let route = self.running.with(|speaker, _| speaker.rib().route(prefix))?;
            route.best()?.attributes.communities.contains(&community).then_some(())
        });
    }

    pub(crate) fn stop(&self) {
        self.running.shutdown_blocking("done", Duration::from_secs(5));
    }
}

/// Two nodes that are configured for each other and not started yet.
pub(crate) fn pair<A: Adapter>(adapter: &A, first: u8, second: u8) -> (Node<A>, Node<A>) {
    let (mut a, mut b) = (Node::start(adapter, first), Node::start(adapter, second));
    link(&mut a, &mut b);
    (a, b)
}

/// Makes two nodes neighbours. The first connects, the second waits.
pub(crate) fn link<A: Adapter>(a: &mut Node<A>, b: &mut Node<A>) {
    a.neighbor(b.address(), b.number, |_| {});
    b.neighbor(a.address(), a.number, |neighbor| neighbor.passive = true);
}

/// The prefix number `index`: a /24 from 20.0.0.0 on.
pub(crate) fn prefix(index: u32) -> IpNet {
    let network = Ipv4Addr::from((20 << 24) + (index << 8));
    Ipv4Net::new(network, 24).expect("24 is a prefix length").into()
}

/// The attributes of the prefix number `index`: a hundred different ones, told apart by a community, and
/// `tag` in another.
pub(crate) fn attributes(index: u32, tag: u16) -> PathAttributes {
    PathAttributes { communities: vec![community(index), Community::new(65000, tag)], ..Default::default() }
}

pub(crate) fn community(index: u32) -> Community {
    Community(index % 100)
}

/// TCP connections of this host in state ESTABLISHED that have one of `addresses` on this or the other
/// side. A connection within the host counts twice, for it has two ends here.
pub(crate) fn established(addresses: &[SocketAddr]) -> usize {
    let in_proc = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(v4) => format!("{:08X}:{:04X}", u32::from_le_bytes(v4.octets()), address.port()),
        IpAddr::V6(_) => String::from("not here"),
    };
    let wanted: Vec<_> = addresses.iter().map(in_proc).collect();
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    table
        .lines()
        .filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let ends = [fields.next(), fields.next()];
            fields.next() == Some("01")
                && ends.iter().flatten().any(|end| wanted.iter().any(|wanted| wanted == end))
        })
        .count()
}
