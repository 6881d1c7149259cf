//! The facade: one BGP speaker as a value.

mod desired;
mod io;

use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use alloc::vec::Vec;
use bytes::Bytes;
use ipnet::IpNet;

pub use desired::{
    Change, Cost, Desired, Fault, Faults, Limits, Neighbor, NeighborKey, NextHopMode, Origination, PeerAs,
    Plan, SocketOptions, SourceId, Timers,
};
pub use io::{
    Action, CloseReason, ConnId, ConnectTarget, DownReason, Event, MessageCounts, NeighborStatus, PeerId,
    PeerState, Reachability, RouteCounts, SessionInfo,
};

use crate::{rib::Rib, time::Instant, wire::Family};

/// A BGP speaker.
#[derive(Debug)]
pub struct Speaker {
    rib: Rib,
}

impl Speaker {
    /// A speaker with no neighbours, held (see [`Speaker::release`]). All jitter and hashing come from
    /// `seed`: take it from the system, or fix it in a test.
    pub fn new(seed: [u8; 32], now: Instant) -> Self {
        let _ = (seed, now);
        todo!()
    }

    /// What [`Speaker::reconcile`] would do, or every fault of `desired`.
    pub fn plan(&self, desired: &Desired) -> Result<Plan, Faults> {
        let _ = desired;
        todo!()
    }

    /// Makes the speaker what `desired` says. With faults, nothing changes.
    pub fn reconcile(&mut self, now: Instant, desired: &Desired) -> Result<Plan, Faults> {
        let _ = (now, desired);
        todo!()
    }

    /// What was last reconciled.
    pub fn desired(&self) -> Option<&Desired> {
        todo!()
    }

    /// Originates routes on behalf of `source`, which replaces what it said about the same prefixes.
    pub fn originate(&mut self, source: SourceId, batch: &[Origination]) {
        let _ = (source, batch);
        todo!()
    }

    /// Takes back what `source` originated.
    pub fn withdraw(&mut self, source: SourceId, batch: &[IpNet]) {
        let _ = (source, batch);
        todo!()
    }

    /// Ends the hold: until now nothing is announced and no End-of-RIB is sent, so that the sources of
    /// routes can become complete first.
    pub fn release(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// Ends all sessions with Cease 6/2 and starts none until the next [`Speaker::reconcile`] that
    /// changes something. `text` is sent as the reason (RFC 9003).
    pub fn shutdown(&mut self, now: Instant, text: &str) {
        let _ = (now, text);
        todo!()
    }

    /// Ends a neighbour's session with Cease 6/4 and starts it again.
    pub fn reset(&mut self, now: Instant, key: &NeighborKey) {
        let _ = (now, key);
        todo!()
    }

    /// The runtime accepted a connection. `interface`: the one it came in on, for link-local addresses.
    /// A connection that nobody is configured for is refused by `poll_transmit` and
    /// [`Action::Close`].
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: SocketAddr,
        interface: Option<&str>,
    ) -> ConnId {
        let _ = (now, remote, local, interface);
        todo!()
    }

    /// A connection that [`Action::Connect`] asked for is open.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, local: SocketAddr) {
        let _ = (now, conn, local);
        todo!()
    }

    /// Bytes came in, in any pieces.
    pub fn handle_bytes(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        let _ = (now, conn, data);
        todo!()
    }

    /// A connection is gone, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, reason: CloseReason) {
        let _ = (now, conn, reason);
        todo!()
    }

    /// Who is on the other end of an interface, for [`NeighborKey::Interface`]; `None`: nobody any more.
    pub fn handle_neighbor(&mut self, now: Instant, interface: &str, link_local: Option<Ipv6Addr>) {
        let _ = (now, interface, link_local);
        todo!()
    }

    /// Whether a next hop can be reached. Where nobody says, it can, at metric 0.
    pub fn handle_next_hop(&mut self, now: Instant, address: IpAddr, reach: Reachability) {
        let _ = (now, address, reach);
        todo!()
    }

    /// Time has come to `now`: call it when [`Speaker::poll_timeout`] is reached. Early or repeated calls
    /// change nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
        todo!()
    }

    /// Does up to `budget` steps of long work, such as forgetting a peer's million routes. `true`: more
    /// is waiting, call again soon.
    pub fn work(&mut self, now: Instant, budget: usize) -> bool {
        let _ = (now, budget);
        todo!()
    }

    /// The next octets to write to a connection: whole messages, at most `limit` octets where one
    /// message is not longer. `None`: nothing for now; [`Action::Writable`] says when there is.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, conn: ConnId, limit: usize) -> Option<Bytes> {
        let _ = (now, conn, limit);
        todo!()
    }

    /// The next thing for the runtime to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        todo!()
    }

    /// The next thing to tell people.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// When to call [`Speaker::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The table.
    pub fn rib(&self) -> &Rib {
        &self.rib
    }

    /// Every neighbour, in the order of their keys.
    pub fn neighbors(&self) -> Vec<NeighborStatus> {
        todo!()
    }

    /// What is announced to a peer in a family, in prefix order, with the attributes and next hop it is
    /// sent with. Routes still waiting to be sent are counted as sent.
    pub fn advertised(&self, peer: PeerId, family: Family) -> Vec<crate::rib::Route> {
        let _ = (peer, family);
        todo!()
    }

    /// Events lost because nobody polled them.
    pub fn events_lost(&self) -> u64 {
        todo!()
    }

    /// Input for connections that were gone already.
    pub fn late_inputs(&self) -> u64 {
        todo!()
    }
}
