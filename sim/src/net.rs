//! The network: TCP connections as two byte pipes each, and the paths that they run over.

use core::{net::SocketAddr, time::Duration};
use std::collections::VecDeque;

use bytes::Bytes;
use peerage_core::{speaker::ConnId, time::Instant};

use crate::record::Half;

/// A connection in the world.
pub(crate) type TcpId = u64;

/// Which end: 0 dialled, 1 accepted.
pub(crate) type Side = usize;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    /// Whose.
    pub(crate) node: usize,
    /// What its speaker calls it; `None` for a raw peer, or before it is accepted.
    pub(crate) conn: Option<ConnId>,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Its interface, for link-local addresses.
    pub(crate) interface: Option<String>,
    /// The socket is open.
    pub(crate) alive: bool,
    /// The speaker may have something to transmit.
    pub(crate) writable: bool,
    /// The speaker wants it closed once everything is written.
    pub(crate) closing: bool,
    /// Taken from the speaker, not yet taken by the network.
    pub(crate) unsent: Bytes,
    /// On the way from this end to the other: when it arrives, and what.
    pub(crate) flight: VecDeque<(Instant, Bytes)>,
    /// Octets in `flight`.
    pub(crate) in_flight: usize,
    /// Everything was written: what follows `flight` is the end of the stream.
    pub(crate) finished: bool,
    /// A delivery from this end is in the queue.
    pub(crate) scheduled: bool,
    /// When the latest octets arrive: later ones do not overtake.
    pub(crate) arrives: Instant,
}

impl End {
    pub(crate) fn new(node: usize, address: SocketAddr, interface: Option<String>) -> Self {
        Self {
            node,
            conn: None,
            address,
            interface,
            alive: true,
            writable: false,
            closing: false,
            unsent: Bytes::new(),
            flight: VecDeque::new(),
            in_flight: 0,
            finished: false,
            scheduled: false,
            arrives: Instant::ZERO,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Tcp {
    pub(crate) ends: [End; 2],
    /// The SYN was accepted.
    pub(crate) accepted: bool,
    /// The dialler knows.
    pub(crate) connected: bool,
    /// What reached each end.
    pub(crate) halves: [Half; 2],
}

/// What is on its way through the network, or has to be done by a runtime.
#[derive(Clone, Debug)]
pub(crate) enum NetEvent {
    /// A SYN arrives.
    Syn { tcp: TcpId, attempt: u32 },
    /// The answer to a SYN arrives.
    SynAck { tcp: TcpId },
    /// A dialler learns that it failed.
    Refused { tcp: TcpId, reason: peerage_core::speaker::CloseReason },
    /// Octets from an end arrive at the other one.
    Deliver { tcp: TcpId, from: Side },
    /// There is room again in an end's window.
    Room { tcp: TcpId, side: Side },
    /// A reset arrives at an end.
    Reset { tcp: TcpId, to: Side },
    /// A runtime gives up writing to a connection that it wants closed.
    Linger { tcp: TcpId, side: Side },
    /// A runtime gets around to serving its speaker.
    Pump { node: usize },
}

/// What the network does between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathState {
    /// It delivers.
    Up,
    /// It loses everything, in silence.
    Partitioned,
    /// It keeps everything for later.
    Held,
}

/// The network between two nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) state: PathState,
    pub(crate) latency: Duration,
    /// How much longer a SYN takes.
    pub(crate) connect_delay: Duration,
}
