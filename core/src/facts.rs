//! The words that every layer above the wire uses: who is who, where things come from, why they end.

use alloc::string::String;
use core::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::wire::{Asn, Notification, attr::PathAttributes};

/// A TCP connection, from the action or the call that makes it until it is closed. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(crate) u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.0)
    }
}

/// A neighbour for as long as it is configured. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

/// Why a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It could not be opened: refused.
    Refused,
    /// It could not be opened: no answer in time.
    TimedOut,
    /// It could not be opened: no route, no such interface, no permission.
    Unreachable,
    /// The peer closed it.
    Closed,
    /// The peer or the network reset it.
    Reset,
    /// Something else went wrong on this side.
    Failed,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::TimedOut => "connection timed out",
            Self::Unreachable => "peer unreachable",
            Self::Closed => "connection closed by the peer",
            Self::Reset => "connection reset",
            Self::Failed => "connection failed",
        })
    }
}

/// Why a session ended or did not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownReason {
    /// The peer sent this NOTIFICATION.
    Received(Notification),
    /// This NOTIFICATION was sent to the peer.
    Sent(Notification),
    /// This end closed the connection without a NOTIFICATION, so that the peer keeps its routes until the
    /// restart is over (RFC 4724 §4).
    GracefulRestart,
    /// The transport went away.
    Transport(CloseReason),
    /// Writing made no progress (RFC 9687).
    SendHoldTimerExpired,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(notification) => write!(f, "received {notification}"),
            Self::Sent(notification) => write!(f, "sent {notification}"),
            Self::GracefulRestart => f.write_str("closed for a graceful restart"),
            Self::Transport(reason) => fmt::Display::fmt(reason, f),
            Self::SendHoldTimerExpired => f.write_str("send hold timer expired"),
        }
    }
}

/// Whether a next hop can be reached, and at which cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reachability {
    /// It can, at this IGP metric. Lower is nearer.
    Reachable {
        /// The metric.
        metric: u32,
    },
    /// It cannot: routes through it are not used.
    Unreachable,
}

/// How many of a neighbour's routes there are in one family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteCounts {
    /// Received and not withdrawn.
    pub received: u32,
    /// Of these, past the import policy and loop checks.
    pub accepted: u32,
    /// Announced to it and not withdrawn.
    pub advertised: u32,
}

/// Messages counted on a neighbour since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MessageCounts {
    /// OPENs.
    pub opens: u64,
    /// UPDATEs.
    pub updates: u64,
    /// NOTIFICATIONs.
    pub notifications: u64,
    /// KEEPALIVEs.
    pub keepalives: u64,
    /// ROUTE-REFRESHes.
    pub refreshes: u64,
}

impl MessageCounts {
    /// Adds another session's.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.opens += other.opens;
        self.updates += other.updates;
        self.notifications += other.notifications;
        self.keepalives += other.keepalives;
        self.refreshes += other.refreshes;
    }

    /// All of them.
    pub const fn total(&self) -> u64 {
        self.opens + self.updates + self.notifications + self.keepalives + self.refreshes
    }
}

/// What identifies a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeighborKey {
    /// One address.
    Address(IpAddr),
    /// Whoever is on the other end of an interface: its link-local address arrives by
    /// `Speaker::handle_neighbor`.
    Interface(String),
    /// Whoever connects from these addresses; each gets a peer of its own while it is connected.
    Range(IpNet),
}

impl fmt::Display for NeighborKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::Interface(name) => f.write_str(name),
            Self::Range(range) => fmt::Display::fmt(range, f),
        }
    }
}

/// Which AS a neighbour may be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerAs {
    /// This one.
    Number(Asn),
    /// Any but the speaker's own.
    External,
    /// The speaker's own.
    Internal,
    /// Any.
    Any,
}

/// Which next hop routes carry towards a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHopMode {
    /// RFC 4271 §5.1.3: the session's own address towards eBGP peers and for routes originated here;
    /// what was learned, towards iBGP peers, unless the session cannot carry it.
    #[default]
    Standard,
    /// Always the session's own address.
    OwnAddress,
    /// What was learned, also towards eBGP peers; the session's own address for routes originated here.
    Unchanged,
}

/// Who wants a route originated: several sources may want the same prefix, and each takes back only
/// what it wants itself. The lowest source's attributes are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

impl SourceId {
    /// [`Desired::originate`](crate::speaker::Desired::originate).
    pub const CONFIG: Self = Self(0);
}

/// A route to originate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origination {
    /// Its prefix.
    pub prefix: IpNet,
    /// Its attributes.
    pub attributes: PathAttributes,
}
