//! One neighbour: Idle, Connect, Active, and at most two connections (RFC 4271 §8.2.2, §6.8).
//!
//! A peer decides when to open a connection and which of two survives. It does not look into messages:
//! that is [`crate::session`]'s.

mod collision;

use core::net::{IpAddr, Ipv6Addr};

pub(crate) use collision::{Role, survivor};

use crate::{
    facts::{ConnId, DownReason, MessageCounts, NeighborKey, PeerId},
    intent::Neighbor,
    time::Instant,
};

/// How a peer gets a connection, while it has none that carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Not trying, and refusing: switched off, or waiting after an error until the timer is due.
    Idle { until: Option<Instant> },
    /// This connection is being opened; at the timer it is given up for another.
    Connect { conn: ConnId, retry: Instant },
    /// Waiting for the peer; at the timer one is opened. A passive peer has no timer.
    Active { retry: Option<Instant> },
}

/// One neighbour.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) key: NeighborKey,
    pub(crate) config: Neighbor,
    /// The range it was created for: it goes with its session.
    pub(crate) range: Option<NeighborKey>,
    pub(crate) transport: Transport,
    /// Connections with a session: the one it opened, the one it accepted.
    slots: [Option<ConnId>; 2],
    /// Who is on the other end of its interface.
    pub(crate) link_local: Option<Ipv6Addr>,
    /// When a timer of the speaker's queue is set for it.
    pub(crate) scheduled: Option<Instant>,
    pub(crate) since: Option<Instant>,
    pub(crate) established: u64,
    pub(crate) dropped: u64,
    pub(crate) received: MessageCounts,
    pub(crate) sent: MessageCounts,
    pub(crate) last_reset: Option<DownReason>,
    pub(crate) last_error: Option<DownReason>,
}

impl Peer {
    pub(crate) fn new(id: PeerId, key: NeighborKey, config: Neighbor) -> Self {
        Self {
            id,
            key,
            config,
            range: None,
            transport: Transport::Idle { until: None },
            slots: [None; 2],
            link_local: None,
            scheduled: None,
            since: None,
            established: 0,
            dropped: 0,
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
            last_reset: None,
            last_error: None,
        }
    }

    /// Its address, where known.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.key {
            NeighborKey::Address(address) => Some(address),
            NeighborKey::Interface(_) => self.link_local.map(IpAddr::V6),
            NeighborKey::Range(_) => None,
        }
    }

    /// Its interface, if it is known by one.
    pub(crate) fn interface(&self) -> Option<&str> {
        match &self.key {
            NeighborKey::Interface(name) => Some(name),
            NeighborKey::Address(_) | NeighborKey::Range(_) => None,
        }
    }

    /// The connection that it opened or accepted.
    pub(crate) fn slot(&self, role: Role) -> Option<ConnId> {
        self.slots[role as usize]
    }

    pub(crate) fn set_slot(&mut self, role: Role, conn: Option<ConnId>) {
        self.slots[role as usize] = conn;
    }

    /// Its connections with a session.
    pub(crate) fn conns(&self) -> impl Iterator<Item = ConnId> + use<> {
        self.slots.into_iter().flatten()
    }

    /// When its transport has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.transport {
            Transport::Idle { until } => until,
            Transport::Connect { retry, .. } => Some(retry),
            Transport::Active { retry } => retry,
        }
    }

    /// Whether it opens connections itself.
    pub(crate) fn dials(&self) -> bool {
        !self.config.passive && self.range.is_none()
    }
}
