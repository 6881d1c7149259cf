//! Putting a world together.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use std::collections::BTreeMap;

use peerage_core::{
    Speaker,
    policy::Policy,
    speaker::{Desired, Neighbor, NeighborKey, Origination, PeerAs, Plan, SourceId},
    wire::attr::PathAttributes,
};

use super::{Interface, Kind, Node, World};
use crate::net::{Path, PathState};

impl World {
    /// Adds a speaker with addresses of its own, the IPv4 one being its identifier.
    pub fn speaker(&mut self, name: &str, asn: u32) -> &mut Self {
        let address = self.next_address();
        self.speaker_with(name, crate::desired(asn, address))
    }

    /// Adds a speaker that is to be `desired`. Its identifier is an address of its own.
    pub fn speaker_with(&mut self, name: &str, desired: Desired) -> &mut Self {
        let seed = self.rng.fork(0x5EED_0000 + self.nodes.len() as u64).seed();
        let speaker = Speaker::new(seed, self.now);
        self.add(name, Kind::Speaker(Box::new(speaker)), desired)
    }

    /// Adds a peer whose octets the test writes: `open` is what it says first on every connection, and
    /// an OPEN is answered with a KEEPALIVE.
    pub fn raw(&mut self, name: &str, open: &[u8]) -> &mut Self {
        let address = self.next_address();
        self.add(name, Kind::Raw { open: open.to_vec() }, crate::desired(1, address))
    }

    /// Gives a node another address to accept connections on.
    pub fn address(&mut self, name: &str, address: &str) -> &mut Self {
        let node = self.index(name);
        self.nodes[node].addresses.push(address.parse().expect("an address"));
        self
    }

    /// The first IPv4 address of a node.
    pub fn address_of(&self, name: &str) -> Ipv4Addr {
        self.nodes[self.index(name)]
            .addresses
            .iter()
            .find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            })
            .expect("an IPv4 address")
    }

    /// The first IPv6 address of a node.
    pub fn address_6_of(&self, name: &str) -> Ipv6Addr {
        self.nodes[self.index(name)]
            .addresses
            .iter()
            .find_map(|address| match address {
                IpAddr::V4(_) => None,
                IpAddr::V6(address) => Some(*address),
            })
            .expect("an IPv6 address")
    }

    /// Whether a node accepts connections.
    pub fn listens(&mut self, name: &str, listens: bool) -> &mut Self {
        let node = self.index(name);
        self.nodes[node].listens = listens;
        self
    }

    /// Makes two speakers neighbours over IPv4: eBGP with everything accepted both ways, or iBGP. A raw
    /// peer gets no configuration; the speaker expects AS `Any` there unless it is told.
    pub fn peer(&mut self, one: &str, other: &str) -> &mut Self {
        self.peer_with(one, other, |_| (), |_| ())
    }

    /// [`World::peer`], with each side's neighbour changed.
    pub fn peer_with(
        &mut self,
        one: &str,
        other: &str,
        edit_one: impl FnOnce(&mut Neighbor),
        edit_other: impl FnOnce(&mut Neighbor),
    ) -> &mut Self {
        let [a, b] = [self.index(one), self.index(other)];
        let [at_a, at_b] = [IpAddr::V4(self.address_of(one)), IpAddr::V4(self.address_of(other))];
        let (mut of_a, mut of_b) = (self.neighbor_towards(a, b), self.neighbor_towards(b, a));
        edit_one(&mut of_a);
        edit_other(&mut of_b);
        self.nodes[a].desired.neighbors.insert(NeighborKey::Address(at_b), of_a);
        self.nodes[b].desired.neighbors.insert(NeighborKey::Address(at_a), of_b);
        self
    }

    /// Makes two speakers neighbours over IPv6.
    pub fn peer_6(&mut self, one: &str, other: &str) -> &mut Self {
        let [a, b] = [self.index(one), self.index(other)];
        let [at_a, at_b] = [IpAddr::V6(self.address_6_of(one)), IpAddr::V6(self.address_6_of(other))];
        let (of_a, of_b) = (self.neighbor_towards(a, b), self.neighbor_towards(b, a));
        self.nodes[a].desired.neighbors.insert(NeighborKey::Address(at_b), of_a);
        self.nodes[b].desired.neighbors.insert(NeighborKey::Address(at_a), of_b);
        self
    }

    /// Joins two speakers by a link on which they are neighbours by interface, everything accepted.
    pub fn unnumbered(
        &mut self,
        one: &str,
        interface: &str,
        other: &str,
        other_interface: &str,
    ) -> &mut Self {
        self.link(one, interface, other, other_interface);
        for (node, name, peer) in [(one, interface, other), (other, other_interface, one)] {
            let (node, peer) = (self.index(node), self.index(peer));
            let mut neighbor = self.neighbor_towards(node, peer);
            if self.nodes[node].desired.asn != self.nodes[peer].desired.asn {
                neighbor.asn = PeerAs::External;
            }
            self.nodes[node].desired.neighbors.insert(NeighborKey::Interface(name.to_owned()), neighbor);
        }
        self
    }

    /// Joins two nodes by a link and says nothing about neighbours.
    pub fn link(&mut self, one: &str, interface: &str, other: &str, other_interface: &str) -> &mut Self {
        let [a, b] = [self.index(one), self.index(other)];
        let address = |node: usize, count: usize| {
            Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, node as u16 + 1, count as u16 + 1)
        };
        let [at_a, at_b] =
            [address(a, self.nodes[a].interfaces.len()), address(b, self.nodes[b].interfaces.len())];
        self.nodes[a].interfaces.insert(
            interface.to_owned(),
            Interface { address: at_a, peer: b, peer_interface: other_interface.to_owned() },
        );
        self.nodes[b].interfaces.insert(
            other_interface.to_owned(),
            Interface { address: at_b, peer: a, peer_interface: interface.to_owned() },
        );
        if self.started {
            self.announce_interfaces(a);
            self.announce_interfaces(b);
        }
        self
    }

    /// The link-local address of an interface.
    pub fn link_local(&self, name: &str, interface: &str) -> Ipv6Addr {
        self.nodes[self.index(name)].interfaces[interface].address
    }

    /// Originates a route with default attributes: part of the configuration before [`World::start`],
    /// by a source of its own afterwards.
    pub fn originate(&mut self, name: &str, prefix: &str) -> &mut Self {
        self.originate_with(name, prefix, PathAttributes::default())
    }

    /// [`World::originate`] with attributes.
    pub fn originate_with(&mut self, name: &str, prefix: &str, attributes: PathAttributes) -> &mut Self {
        let prefix = crate::prefix(prefix);
        if self.started {
            self.of_mut(name).originate(SourceId(1), &[Origination { prefix, attributes }]);
        } else {
            let node = self.index(name);
            self.nodes[node].desired.originate.insert(prefix, attributes);
        }
        self
    }

    /// Takes back what [`World::originate`] did, whenever it did it.
    pub fn withdraw(&mut self, name: &str, prefix: &str) -> &mut Self {
        let prefix = crate::prefix(prefix);
        self.of_mut(name).withdraw(SourceId(1), &[prefix]);
        if self.desired(name).originate.contains_key(&prefix) {
            self.edit(name, |desired| {
                desired.originate.remove(&prefix);
            });
        }
        self
    }

    /// Changes what a speaker is to be; after [`World::start`], makes it so.
    pub fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Desired)) -> Plan {
        let node = self.index(name);
        edit(&mut self.nodes[node].desired);
        if self.started { self.apply(node) } else { Plan::default() }
    }

    /// Changes a neighbour of a speaker.
    pub fn edit_neighbor(&mut self, name: &str, peer: &str, edit: impl FnOnce(&mut Neighbor)) -> Plan {
        let (node, peer) = (self.index(name), self.index(peer));
        let world = &*self;
        let key = world.nodes[node]
            .desired
            .neighbors
            .keys()
            .find(|key| match key {
                NeighborKey::Address(address) => world.nodes[peer].addresses.contains(address),
                NeighborKey::Interface(name) => world.nodes[node].interfaces[name].peer == peer,
                NeighborKey::Range(_) => false,
            })
            .cloned()
            .expect("a neighbour");
        self.edit(name, |desired| edit(desired.neighbors.get_mut(&key).expect("a neighbour")))
    }

    /// Replaces what speakers are to be, all at once, as a cluster's compiler would.
    pub fn converge(&mut self, wanted: &BTreeMap<String, Desired>) -> &mut Self {
        for (name, desired) in wanted {
            self.edit(name, |present| present.clone_from(desired));
        }
        self
    }

    /// Makes every speaker what it is to be, tells them their interfaces, and ends their hold.
    pub fn start(&mut self) -> &mut Self {
        self.start_held();
        for node in 0..self.nodes.len() {
            self.release_at(node);
        }
        self
    }

    /// [`World::start`], with every speaker still held.
    pub fn start_held(&mut self) -> &mut Self {
        self.started = true;
        for node in 0..self.nodes.len() {
            if self.is_speaker(node) {
                self.announce_interfaces(node);
                self.apply(node);
            }
        }
        self
    }

    /// Ends the hold of a speaker.
    pub fn release(&mut self, name: &str) -> &mut Self {
        self.release_at(self.index(name))
    }

    pub(super) fn release_at(&mut self, node: usize) -> &mut Self {
        if self.is_speaker(node) {
            let now = self.now;
            self.transcript.entry(format_args!("{now} {node} release"));
            self.speaker_mut(node).release(now);
            self.nodes[node].released = true;
        }
        self
    }

    pub(super) fn apply(&mut self, node: usize) -> Plan {
        let now = self.now;
        let desired = self.nodes[node].desired.clone();
        self.transcript.entry(format_args!("{now} {node} reconcile {desired:?}"));
        let plan = self
            .speaker_mut(node)
            .reconcile(now, &desired)
            .unwrap_or_else(|faults| panic!("{}: {faults}", self.nodes[node].name));
        self.transcript.entry(format_args!("{plan:?}"));
        plan
    }

    pub(super) fn announce_interfaces(&mut self, node: usize) {
        let now = self.now;
        for (name, interface) in self.nodes[node].interfaces.clone() {
            let peer = self.nodes[interface.peer].interfaces.get(&interface.peer_interface);
            let Some(address) = peer.map(|peer| peer.address) else { continue };
            self.transcript.entry(format_args!("{now} {node} neighbor {name} {address}"));
            self.speaker_mut(node).handle_neighbor(now, &name, Some(address));
        }
    }

    /// A speaker that is told what it is to do: something of substance.
    pub(super) fn speaker_mut(&mut self, node: usize) -> &mut Speaker {
        self.active = self.now;
        self.fact(node)
    }

    /// A speaker that is told what happened.
    pub(super) fn fact(&mut self, node: usize) -> &mut Speaker {
        self.nodes[node].dirty = true;
        match &mut self.nodes[node].kind {
            Kind::Speaker(speaker) => speaker,
            Kind::Raw { .. } => panic!("a raw peer"),
        }
    }

    fn neighbor_towards(&self, node: usize, peer: usize) -> Neighbor {
        let [own, other] = [node, peer].map(|node| self.nodes[node].desired.asn);
        let raw = !self.is_speaker(peer);
        let mut neighbor = Neighbor::new(match (raw, own == other) {
            (true, _) => PeerAs::Any,
            (false, true) => PeerAs::Internal,
            (false, false) => PeerAs::Number(other),
        });
        if raw || own != other {
            neighbor.import = Some(Policy::accept());
            neighbor.export = Some(Policy::accept());
        }
        neighbor
    }

    fn next_address(&self) -> Ipv4Addr {
        let number = self.nodes.len() as u32 + 1;
        Ipv4Addr::from(0x0A00_0000 + (number / 250) * 256 + number % 250)
    }

    fn add(&mut self, name: &str, kind: Kind, desired: Desired) -> &mut Self {
        let node = self.nodes.len();
        let address = Ipv4Addr::from(desired.router_id.0);
        let address_6 = Ipv6Addr::new(0xFD00, 0, 0, 0, 0, 0, 0, node as u16 + 1);
        for other in 0..node {
            let mut rng = self.rng.fork(0x9A7F_0000 + (other * 4096 + node) as u64);
            let latency = Duration::from_micros(50 + rng.below(4000));
            let path = Path { state: PathState::Up, latency, connect_delay: Duration::ZERO };
            self.paths.insert((other, node), path);
        }
        let previous = self.names.insert(name.to_owned(), node);
        assert!(previous.is_none(), "{name} is there twice");
        self.nodes.push(Node {
            name: name.to_owned(),
            kind,
            desired,
            addresses: vec![address.into(), address_6.into()],
            interfaces: BTreeMap::new(),
            listens: true,
            conns: BTreeMap::new(),
            next_port: 49152,
            dirty: true,
            pump_scheduled: false,
            slack: Duration::ZERO,
            events: Vec::new(),
            metrics: BTreeMap::new(),
            released: false,
        });
        self
    }
}
