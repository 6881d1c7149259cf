//! The world: speakers, the network between them, and a clock that only moves when nothing is left to
//! do in the present.

mod check;
mod faults;
mod run;
mod setup;

use core::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use peerage_core::{
    Speaker,
    rib::{Path as RibPath, Route},
    speaker::{ConnId, Desired, Event, NeighborStatus, PeerState},
    time::Instant,
    wire::{Family, Notification},
};

use crate::{
    message::Message,
    net::{NetEvent, Path, Side, Tcp, TcpId},
    record::Half,
    rng::Rng,
    transcript::Transcript,
};

/// How a byte stream is cut into the pieces that a speaker sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Segmentation {
    /// All that is there at once.
    Whole,
    /// Pieces of random lengths, many of them within a message.
    #[default]
    Random,
    /// One octet at a time.
    Octets,
}

/// What a node is.
#[derive(Debug)]
enum Kind {
    /// A speaker.
    Speaker(Box<Speaker>),
    /// A peer whose octets a test writes.
    Raw {
        /// Sent as soon as a connection is there.
        open: Vec<u8>,
    },
}

/// One end of a link by which a neighbour is known.
#[derive(Clone, Debug)]
struct Interface {
    address: Ipv6Addr,
    peer: usize,
    peer_interface: String,
}

/// One machine.
#[derive(Debug)]
struct Node {
    name: String,
    kind: Kind,
    desired: Desired,
    addresses: Vec<IpAddr>,
    interfaces: BTreeMap<String, Interface>,
    /// It accepts connections at all.
    listens: bool,
    conns: BTreeMap<ConnId, (TcpId, Side)>,
    next_port: u16,
    /// Something happened that its runtime has not looked at.
    dirty: bool,
    /// A late look is in the queue.
    pump_scheduled: bool,
    /// How late its timer is served this time.
    slack: Duration,
    events: Vec<(Instant, Event)>,
    /// What it was told about next hops.
    metrics: BTreeMap<IpAddr, Option<u32>>,
    released: bool,
}

/// A network of speakers in virtual time.
///
/// Nodes are called by their names; a name that does not exist is a panic, as everywhere in a test.
#[derive(Debug)]
pub struct World {
    seed: u64,
    now: Instant,
    rng: Rng,
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    tcps: BTreeMap<TcpId, Tcp>,
    next_tcp: TcpId,
    queue: BTreeMap<(Instant, u64), NetEvent>,
    next_event: u64,
    paths: BTreeMap<(usize, usize), Path>,
    /// Kept by held paths.
    parked: Vec<NetEvent>,
    /// Who does not read from whom.
    stalled: BTreeSet<(usize, usize)>,
    segmentation: Segmentation,
    window: usize,
    /// The latest that a runtime serves its speaker.
    late: Option<Duration>,
    /// Serves connections in random order, by a stream of its own.
    permute: Option<Rng>,
    /// Calls `handle_timeout` at random, by a stream of its own.
    spurious: Option<Rng>,
    keep: bool,
    started: bool,
    checking: bool,
    /// How long nothing of substance must happen before a world counts as settled.
    quiet: Duration,
    /// When something of substance happened last.
    active: Instant,
    steps: u64,
    transcript: Transcript,
    notifications: Vec<(Instant, String, String, Notification)>,
}

impl World {
    /// A world without anybody in it.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            now: Instant::from_micros(1_000_000),
            rng: Rng::new(seed).fork(1),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            tcps: BTreeMap::new(),
            next_tcp: 1,
            queue: BTreeMap::new(),
            next_event: 0,
            paths: BTreeMap::new(),
            parked: Vec::new(),
            stalled: BTreeSet::new(),
            segmentation: Segmentation::default(),
            window: 64 << 10,
            late: None,
            permute: None,
            spurious: None,
            keep: false,
            started: false,
            checking: true,
            quiet: Duration::from_secs(10),
            active: Instant::ZERO,
            steps: 0,
            transcript: Transcript::new(),
            notifications: Vec::new(),
        }
    }

    /// How streams are cut.
    pub const fn segmentation(&mut self, segmentation: Segmentation) -> &mut Self {
        self.segmentation = segmentation;
        self
    }

    /// How many octets of a connection may be under way.
    pub const fn window(&mut self, octets: usize) -> &mut Self {
        self.window = octets;
        self
    }

    /// Runtimes serve their speakers up to `delay` late, in pieces and in random order.
    pub fn late(&mut self, delay: Duration) -> &mut Self {
        self.late = Some(delay);
        self.permute = Some(self.rng.fork(2));
        self
    }

    /// Connections are served in an order that depends on `seed` and changes every time.
    pub const fn permute(&mut self, seed: u64) -> &mut Self {
        self.permute = Some(Rng::new(seed));
        self
    }

    /// `handle_timeout` is called when it need not be, too.
    pub const fn spurious_timeouts(&mut self, seed: u64) -> &mut Self {
        self.spurious = Some(Rng::new(seed));
        self
    }

    /// Every UPDATE is kept in its [`Half`].
    pub const fn keep_messages(&mut self) -> &mut Self {
        self.keep = true;
        self
    }

    /// How long no route may move before the world counts as settled: 10 s.
    pub const fn quiet(&mut self, quiet: Duration) -> &mut Self {
        self.quiet = quiet;
        self
    }

    /// Whether [`World::settle`] checks the invariants.
    pub const fn checking(&mut self, checking: bool) -> &mut Self {
        self.checking = checking;
        self
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Steps so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// A hash over every input and output of every speaker, in order.
    pub const fn transcript(&self) -> u64 {
        self.transcript.hash()
    }

    /// A speaker.
    pub fn of(&self, name: &str) -> &Speaker {
        self.speaker_at(self.index(name))
    }

    /// A speaker, to call it directly. Its runtime looks at what came of it in the next step.
    pub fn of_mut(&mut self, name: &str) -> &mut Speaker {
        let node = self.index(name);
        self.nodes[node].dirty = true;
        self.active = self.now;
        match &mut self.nodes[node].kind {
            Kind::Speaker(speaker) => speaker,
            Kind::Raw { .. } => panic!("{name} is a raw peer"),
        }
    }

    /// What a speaker is to be.
    pub fn desired(&self, name: &str) -> &Desired {
        &self.nodes[self.index(name)].desired
    }

    /// What `name` says about its neighbour `peer`.
    pub fn status(&self, name: &str, peer: &str) -> NeighborStatus {
        self.try_status(name, peer).unwrap_or_else(|| panic!("{name} has no neighbour {peer}"))
    }

    /// What `name` says about its neighbour `peer`, if it has one.
    pub fn try_status(&self, name: &str, peer: &str) -> Option<NeighborStatus> {
        let (node, peer) = (self.index(name), self.index(peer));
        self.speaker_at(node).neighbors().into_iter().find(|status| self.is_at(node, status, peer))
    }

    /// The state of a neighbour.
    pub fn state(&self, name: &str, peer: &str) -> PeerState {
        self.status(name, peer).state
    }

    /// Whether both ends say that their session is established.
    pub fn established(&self, one: &str, other: &str) -> bool {
        self.state(one, other) == PeerState::Established && self.state(other, one) == PeerState::Established
    }

    /// The table of a family.
    pub fn routes(&self, name: &str, family: Family) -> Vec<Route> {
        self.of(name).rib().routes(family)
    }

    /// The best path to a prefix.
    pub fn best(&self, name: &str, prefix: &str) -> Option<RibPath> {
        self.of(name).rib().route(crate::prefix(prefix)).and_then(|route| route.best().cloned())
    }

    /// Whether there is a best path to a prefix.
    pub fn has(&self, name: &str, prefix: &str) -> bool {
        self.best(name, prefix).is_some()
    }

    /// Prefixes with a best path.
    pub fn prefixes(&self, name: &str, family: Family) -> BTreeSet<IpNet> {
        self.routes(name, family)
            .into_iter()
            .filter(|route| route.best().is_some())
            .map(|route| route.prefix)
            .collect()
    }

    /// What reached `name` from `peer` on their present connection: the furthest there is.
    pub fn received(&self, name: &str, peer: &str) -> Option<&Half> {
        let (node, peer) = (self.index(name), self.index(peer));
        self.connections(node, peer)
            .max_by_key(|(id, side, tcp)| {
                (tcp.ends[*side].alive, tcp.halves[*side].keepalives.min(1), tcp.halves[*side].updates, *id)
            })
            .map(|(_, side, tcp)| &tcp.halves[side])
    }

    /// Connections open between two nodes.
    pub fn open_connections(&self, one: &str, other: &str) -> usize {
        let (one, other) = (self.index(one), self.index(other));
        self.connections(one, other)
            .filter(|(_, _, tcp)| tcp.connected && tcp.ends.iter().all(|end| end.alive))
            .count()
    }

    /// Events of a speaker so far, with their times.
    pub fn events(&self, name: &str) -> &[(Instant, Event)] {
        &self.nodes[self.index(name)].events
    }

    /// NOTIFICATIONs that reached somebody: when, from whom, to whom.
    pub fn notifications(&self) -> &[(Instant, String, String, Notification)] {
        &self.notifications
    }

    /// Messages that reached the raw peer `name` on its latest connection.
    pub fn raw_messages(&self, name: &str) -> Vec<Message> {
        let node = self.index(name);
        self.tcps
            .values()
            .rev()
            .find_map(|tcp| (0..2).find(|&side| tcp.ends[side].node == node).map(|side| &tcp.halves[side]))
            .map(|half| half.log.clone())
            .unwrap_or_default()
    }

    fn index(&self, name: &str) -> usize {
        *self.names.get(name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    fn speaker_at(&self, node: usize) -> &Speaker {
        match &self.nodes[node].kind {
            Kind::Speaker(speaker) => speaker,
            Kind::Raw { .. } => panic!("{} is a raw peer", self.nodes[node].name),
        }
    }

    fn is_speaker(&self, node: usize) -> bool {
        matches!(self.nodes[node].kind, Kind::Speaker(_))
    }

    /// Whether a neighbour of `node` is the node `peer`.
    fn is_at(&self, node: usize, status: &NeighborStatus, peer: usize) -> bool {
        use peerage_core::speaker::NeighborKey;
        match &status.key {
            NeighborKey::Interface(name) => {
                self.nodes[node].interfaces.get(name).is_some_and(|interface| interface.peer == peer)
            }
            NeighborKey::Address(address) => self.nodes[peer].addresses.contains(address),
            NeighborKey::Range(_) => {
                status.address.is_some_and(|address| self.nodes[peer].addresses.contains(&address))
            }
        }
    }

    /// Connections between two nodes, with the side that is `one`.
    fn connections(&self, one: usize, other: usize) -> impl Iterator<Item = (TcpId, Side, &Tcp)> {
        self.tcps.iter().filter_map(move |(&id, tcp)| {
            let nodes = [tcp.ends[0].node, tcp.ends[1].node];
            match nodes {
                _ if nodes == [one, other] => Some((id, 0, tcp)),
                _ if nodes == [other, one] => Some((id, 1, tcp)),
                _ => None,
            }
        })
    }

    fn path(&self, one: usize, other: usize) -> Path {
        self.paths[&(one.min(other), one.max(other))]
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("world of seed {} at {} after {} steps", self.seed, self.now, self.steps);
        }
    }
}
