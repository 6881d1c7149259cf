//! The facade: one BGP speaker as a value.
//!
//! Here sessions, peers and the table meet, and nowhere else. The files: `io` is what
//! goes in and out besides bytes; `reconcile` makes the speaker what is desired; `refresh` has routes judged or
//! sent again; `connect` gets connections and gives them up; `transfer` moves octets; `status` shows.

mod connect;
mod io;
mod reconcile;
mod refresh;
mod status;
mod timers;
mod transfer;

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

pub use io::{Action, ConnectTarget, Event, NeighborStatus, PeerState, SessionInfo};
use timers::TimerQueue;

pub use crate::{
    facts::{
        CloseReason, ConnId, DownReason, MessageCounts, NeighborKey, NextHopMode, Origination, PeerAs,
        PeerId, Reachability, RouteCounts, SourceId,
    },
    intent::{
        Change, Cost, Desired, Fault, Faults, GracefulRestart, Limits, Neighbor, Plan, SocketOptions, Timers,
    },
};
use crate::{
    peer::{Peer, Role},
    rib::Rib,
    session::Session,
    time::Instant,
};

/// A BGP speaker.
///
/// Facts go in by the `handle_` methods, results are pulled by the `poll_` methods, and neither waits. Any
/// order of calls is legal; draining late only delays.
#[derive(Debug)]
pub struct Speaker {
    desired: Option<Desired>,
    rib: Rib,
    peers: BTreeMap<PeerId, Peer>,
    keys: BTreeMap<NeighborKey, PeerId>,
    conns: BTreeMap<ConnId, Conn>,
    /// Who is on the other end of which interface, also of those that nobody is configured on yet.
    links: BTreeMap<String, Ipv6Addr>,
    /// Connections of established sessions, by their index in the table.
    sources: BTreeMap<u16, ConnId>,
    timers: TimerQueue,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    events_lost: u64,
    late_inputs: u64,
    /// The moment of the last call that named one: what a call that names none takes for now.
    latest: Instant,
    random: u64,
    next_conn: u64,
    next_peer: u64,
    held: bool,
    stopped: bool,
    protects_accepted: bool,
    /// Forwarding state outlived the process before this one: the F bit.
    forwarding_kept: bool,
    /// An End-of-RIB has been sent, so that the restart is over: no R bit from here on.
    restarted: bool,
}

/// A connection.
#[derive(Debug)]
struct Conn {
    /// Whose; none where it is being refused.
    peer: Option<PeerId>,
    role: Role,
    state: ConnState,
    remote: SocketAddr,
    local: Option<SocketAddr>,
    /// An incomplete message.
    tail: Vec<u8>,
    /// The runtime has been told that there is something to transmit.
    signalled: bool,
    scheduled: Option<Instant>,
    /// Its index in the table, while established.
    source: Option<u16>,
}

#[derive(Debug)]
enum ConnState {
    /// Being opened.
    Connecting,
    /// Carrying a session.
    Session(alloc::boxed::Box<Session>),
    /// To be closed once this is written.
    Draining(Vec<u8>),
}

impl Speaker {
    /// A speaker with no neighbours, held (see [`Speaker::release`]). All jitter and hashing come from
    /// `seed`: take it from the system, or fix it in a test.
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        let mut word = 0xcbf2_9ce4_8422_2325_u64 ^ now.as_micros();
        for chunk in seed.chunks(8) {
            for octet in chunk {
                word = (word ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            word = splitmix(&mut word.clone());
        }
        Self {
            desired: None,
            rib: Rib::new(splitmix(&mut word)),
            peers: BTreeMap::new(),
            keys: BTreeMap::new(),
            conns: BTreeMap::new(),
            links: BTreeMap::new(),
            sources: BTreeMap::new(),
            timers: TimerQueue::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            events_lost: 0,
            late_inputs: 0,
            latest: now,
            random: word,
            next_conn: 0,
            next_peer: 0,
            held: true,
            stopped: false,
            protects_accepted: false,
            forwarding_kept: false,
            restarted: false,
        }
    }

    /// The runtime enforces [`SocketOptions::md5_key`] and [`SocketOptions::min_ttl`] on connections that it
    /// accepts. Until it says so, connections from neighbours that ask for either are refused.
    pub fn protect_accepted(&mut self) {
        self.protects_accepted = true;
    }

    /// What the speaker announced before it restarted is still forwarded, and will be while a session is
    /// away: OPENs from here on have the F bit of every family (RFC 4724 §3), and neighbours with
    /// [`Neighbor::graceful_restart`] keep stale routes until the next End-of-RIB. Until somebody says so, a
    /// neighbour forgets them with the next OPEN. Only who sees the forwarding plane knows, for instance
    /// because the machine has not booted since.
    pub fn mark_forwarding_kept(&mut self) {
        self.forwarding_kept = true;
    }

    /// What was last reconciled.
    pub fn desired(&self) -> Option<&Desired> {
        self.desired.as_ref()
    }

    /// Originates routes on behalf of `source`, which replaces what it said about the same prefixes.
    pub fn originate(&mut self, source: SourceId, batch: &[Origination]) {
        for route in batch {
            self.rib.originate(source, route);
        }
        self.wake_all_undated();
    }

    /// Takes back what `source` originated.
    pub fn withdraw(&mut self, source: SourceId, batch: &[IpNet]) {
        for &prefix in batch {
            self.rib.withdraw(source, prefix);
        }
        self.wake_all_undated();
    }

    /// Whether a next hop can be reached. Where nobody says, it can, at metric 0.
    pub fn handle_next_hop(&mut self, now: Instant, address: IpAddr, reach: Reachability) {
        self.latest = now;
        self.rib.next_hop(address, reach);
    }

    /// Does up to `budget` steps of long work, such as forgetting a peer's million routes. `true`: more
    /// is waiting, call again soon.
    pub fn work(&mut self, now: Instant, budget: usize) -> bool {
        self.latest = now;
        let more = self.rib.work(budget);
        self.wake_all();
        more
    }

    /// Whether [`Speaker::work`] has anything to do.
    pub fn has_work(&self) -> bool {
        self.rib.has_work()
    }

    /// The next thing for the runtime to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing to tell people.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Speaker::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The table.
    pub fn rib(&self) -> &Rib {
        &self.rib
    }

    /// Events lost because nobody polled them.
    pub fn events_lost(&self) -> u64 {
        self.events_lost
    }

    /// Input for connections that were gone already.
    pub fn late_inputs(&self) -> u64 {
        self.late_inputs
    }

    fn limits(&self) -> Limits {
        self.desired.as_ref().map_or_else(Limits::default, |desired| desired.limits)
    }

    fn event(&mut self, event: Event) {
        if let (
            Event::MalformedUpdates { peer, count, fault },
            Some(Event::MalformedUpdates { peer: last, count: known, fault: latest }),
        ) = (&event, self.events.back_mut())
            && peer == last
        {
            *known = known.saturating_add(*count);
            *latest = *fault;
            return;
        }
        if self.events.len() >= self.limits().events {
            self.events_lost += 1;
            return;
        }
        self.events.push_back(event);
    }

    fn random16(&mut self) -> u16 {
        (splitmix(&mut self.random) >> 48) as u16
    }
}

/// SplitMix64: enough for jitter, which only has to differ between speakers.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}
