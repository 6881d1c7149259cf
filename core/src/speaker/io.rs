//! What goes in and out of a speaker besides bytes: actions, events, facts.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    facts::{ConnId, DownReason, MessageCounts, NeighborKey, PeerId, RouteCounts},
    intent::SocketOptions,
    time::Instant,
    wire::{Asn, Capability, Family, RouterId, attr::AttributeFault},
};

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTarget {
    /// The peer's address and port. A link-local address means one on `interface`.
    pub remote: SocketAddr,
    /// The source address, where the neighbour has one.
    pub local: Option<IpAddr>,
    /// The interface, for a neighbour that is known by it.
    pub interface: Option<String>,
    /// What the operating system is to do for the connection.
    pub socket: SocketOptions,
}

/// What a runtime has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Open a TCP connection, then call `handle_connected` or `handle_closed`.
    Connect {
        /// What to call it.
        conn: ConnId,
        /// Whose it is.
        peer: PeerId,
        /// Where to.
        target: ConnectTarget,
    },
    /// There is something to transmit: call `poll_transmit` until it returns `None`. Given once until
    /// then.
    Writable(ConnId),
    /// Write what `poll_transmit` still returns, then close. `handle_closed` need not be called and does
    /// no harm. A connection still being opened is given up.
    Close(ConnId),
}

/// What happened, for logs, metrics and people. Losing one loses no state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session is established.
    PeerUp {
        /// Whose.
        peer: PeerId,
        /// How it is configured.
        key: NeighborKey,
        /// The peer's AS.
        asn: Asn,
        /// The peer's identifier.
        router_id: RouterId,
    },
    /// An established session ended.
    PeerDown {
        /// Whose.
        peer: PeerId,
        /// How it is configured.
        key: NeighborKey,
        /// Why.
        reason: DownReason,
    },
    /// A connection failed before its session was established.
    AttemptFailed {
        /// Whose.
        peer: PeerId,
        /// How it is configured.
        key: NeighborKey,
        /// Why.
        reason: DownReason,
    },
    /// A connection matched no neighbour and was refused.
    Refused {
        /// Where it came from.
        remote: SocketAddr,
    },
    /// The peer has sent all its routes of a family (RFC 4724 §2).
    EndOfRib {
        /// Who.
        peer: PeerId,
        /// Which.
        family: Family,
    },
    /// Malformed attributes were dropped or made routes be withdrawn (RFC 7606). Coalesced.
    MalformedUpdates {
        /// Whose.
        peer: PeerId,
        /// How many UPDATEs since the last such event.
        count: u32,
        /// The latest fault.
        fault: AttributeFault,
    },
}

/// The state of a neighbour (RFC 4271 §8.2.2): of its connection that is furthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerState {
    /// Not trying.
    Idle,
    /// A connection is being opened.
    Connect,
    /// Waiting to try again, or for the peer to connect.
    Active,
    /// An OPEN is sent.
    OpenSent,
    /// OPENs are exchanged.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "Idle",
            Self::Connect => "Connect",
            Self::Active => "Active",
            Self::OpenSent => "OpenSent",
            Self::OpenConfirm => "OpenConfirm",
            Self::Established => "Established",
        })
    }
}

/// What is negotiated on a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// This end, as the runtime said.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The peer's AS.
    pub remote_as: Asn,
    /// The peer's identifier.
    pub remote_router_id: RouterId,
    /// Its host name (capability 73).
    pub remote_hostname: Option<String>,
    /// The peer's capabilities, in its order.
    pub remote_capabilities: Vec<Capability>,
    /// This end's capabilities.
    pub local_capabilities: Vec<Capability>,
    /// Negotiated hold time; zero: none.
    pub hold_time: Duration,
    /// Time between KEEPALIVEs.
    pub keepalive: Duration,
    /// Families both sides offered.
    pub families: Vec<Family>,
}

/// A neighbour as it stands, for tables and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighborStatus {
    /// Its id.
    pub peer: PeerId,
    /// How it is configured.
    pub key: NeighborKey,
    /// Its address now, where known: differs from the key for interfaces and ranges.
    pub address: Option<IpAddr>,
    /// Its state.
    pub state: PeerState,
    /// Administratively down.
    pub shutdown: bool,
    /// Whether eBGP without a policy keeps routes out or in (RFC 8212).
    pub policy_missing: bool,
    /// What is negotiated, while a session is established.
    pub session: Option<SessionInfo>,
    /// When the session was established, or ended last; `None`: never.
    pub since: Option<Instant>,
    /// Messages received.
    pub received: MessageCounts,
    /// Messages sent.
    pub sent: MessageCounts,
    /// Routes by family.
    pub routes: BTreeMap<Family, RouteCounts>,
    /// Sessions that were established.
    pub established: u64,
    /// Established sessions that ended.
    pub dropped: u64,
    /// Why the last established session ended.
    pub last_reset: Option<DownReason>,
    /// Why the last session or attempt ended.
    pub last_error: Option<DownReason>,
}
