//! What an embedder wants of a speaker, as one value: compared with what runs, it makes a [`Plan`].
//!
//! Configuration files and Kubernetes objects are front ends that produce a [`Desired`]. They keep their
//! own spans: a [`Fault`] carries a path into this value, and the front end maps it to line and column.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::{fmt, net::IpAddr, time::Duration};

use ipnet::IpNet;

mod check;

use crate::{
    facts::{NeighborKey, NextHopMode, PeerAs},
    policy::Policy,
    wire::{Asn, Family, RouterId, attr::PathAttributes},
};

/// One BGP instance: an AS, an identifier, its neighbours and its static routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The speaker's AS.
    pub asn: Asn,
    /// The speaker's identifier. Changing it ends every session.
    pub router_id: RouterId,
    /// The cluster a route reflector serves; the router id where not given (RFC 4456 §7).
    pub cluster_id: Option<RouterId>,
    /// Sent in the FQDN capability (73) where given.
    pub hostname: Option<String>,
    /// Neighbours by what identifies them.
    pub neighbors: BTreeMap<NeighborKey, Neighbor>,
    /// Routes that are always originated, by prefix. The source is [`SourceId::CONFIG`](crate::facts::SourceId::CONFIG).
    pub originate: BTreeMap<IpNet, PathAttributes>,
    /// Bounds that hold for the whole speaker.
    pub limits: Limits,
}

impl Desired {
    /// An instance without neighbours or routes.
    pub fn new(asn: Asn, router_id: RouterId) -> Self {
        Self {
            asn,
            router_id,
            cluster_id: None,
            hostname: None,
            neighbors: BTreeMap::new(),
            originate: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

/// The timers of a session (RFC 4271 §10, RFC 9687).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timers {
    /// Proposed hold time: zero, or 3 to 65,535 seconds. The smaller of both sides' counts.
    pub hold: Duration,
    /// Time between KEEPALIVEs where the negotiated hold time is the proposed one; a third of the
    /// negotiated hold time where that is less.
    pub keepalive: Duration,
    /// Time between attempts to connect.
    pub connect_retry: Duration,
    /// Time in Idle after a session ended by an error.
    pub idle_hold: Duration,
    /// How long a peer may take to send its OPEN.
    pub open: Duration,
    /// How long writing may make no progress; `None`: twice the hold time, 8 minutes at least
    /// (RFC 9687 §3).
    pub send_hold: Option<Duration>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(90),
            keepalive: Duration::from_secs(30),
            connect_retry: Duration::from_secs(120),
            idle_hold: Duration::from_secs(5),
            open: Duration::from_secs(240),
            send_hold: None,
        }
    }
}

/// How long a neighbour is asked to keep routes while this speaker restarts (RFC 4724).
///
/// The speaker is the restarting one: it keeps nothing of a neighbour that restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GracefulRestart {
    /// How long the neighbour waits for the session to be established again: up to 4,095 whole seconds.
    pub restart_time: Duration,
}

impl Default for GracefulRestart {
    fn default() -> Self {
        Self { restart_time: Duration::from_secs(120) }
    }
}

/// What the operating system has to do for a connection. Core passes it on and never reads it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SocketOptions {
    /// Outgoing TTL; `None` leaves it to the system. 1 for a directly connected eBGP peer.
    pub ttl: Option<u8>,
    /// Least TTL of incoming packets (RFC 5082).
    pub min_ttl: Option<u8>,
    /// TCP MD5 key (RFC 2385). Never printed.
    pub md5_key: Option<Vec<u8>>,
}

impl SocketOptions {
    /// Whether a connection that these options are not enforced on must not be used.
    pub const fn protects(&self) -> bool {
        self.md5_key.is_some() || self.min_ttl.is_some()
    }
}

impl fmt::Debug for SocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOptions")
            .field("ttl", &self.ttl)
            .field("min_ttl", &self.min_ttl)
            .field("md5_key", &self.md5_key.as_ref().map(|_| "(redacted)"))
            .finish()
    }
}

/// One neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Which AS it may be in.
    pub asn: PeerAs,
    /// Free text for tables.
    pub description: Option<String>,
    /// The name of the peer group it was configured by, for tables.
    pub peer_group: Option<String>,
    /// Administratively down: no session is opened or accepted.
    pub shutdown: bool,
    /// Only accepts connections.
    pub passive: bool,
    /// TCP port to connect to.
    pub port: u16,
    /// Source address of outgoing connections.
    pub local_address: Option<IpAddr>,
    /// What the operating system does for its connections.
    pub socket: SocketOptions,
    /// Timers.
    pub timers: Timers,
    /// Families to offer. IPv4 and IPv6 unicast are kept in the table; routes of others are read past.
    pub families: BTreeSet<Family>,
    /// Offer IPv4 NLRI with IPv6 next hops (RFC 8950). Always on for [`NeighborKey::Interface`].
    pub extended_next_hop: bool,
    /// Offer graceful restart for all of these families, with the N bit (RFC 4724, RFC 8538). `None`: not.
    pub graceful_restart: Option<GracefulRestart>,
    /// What is learned. `None`: everything from iBGP, nothing from eBGP (RFC 8212).
    pub import: Option<Policy>,
    /// What is announced. `None`: everything to iBGP, nothing to eBGP (RFC 8212).
    pub export: Option<Policy>,
    /// Which next hop its routes carry.
    pub next_hop: NextHopMode,
    /// Whether it is a client of this route reflector (RFC 4456).
    pub route_reflector_client: bool,
    /// Families in which a default route is announced to it, whatever the table holds and the export
    /// policy says.
    pub default_originate: BTreeSet<Family>,
    /// Most prefixes accepted in one family before the session is closed with Cease 6/1; `None`:
    /// [`Limits::prefixes_per_neighbor`].
    pub prefix_limit: Option<u32>,
    /// Whether the first AS of a path from an eBGP peer must be the peer's (RFC 4271 §6.3).
    pub enforce_first_as: bool,
}

impl Neighbor {
    /// A neighbour with the defaults of this type: port 179, IPv4 and IPv6 unicast.
    pub fn new(asn: PeerAs) -> Self {
        Self {
            asn,
            description: None,
            peer_group: None,
            shutdown: false,
            passive: false,
            port: 179,
            local_address: None,
            socket: SocketOptions::default(),
            timers: Timers::default(),
            families: BTreeSet::from([Family::IPV4_UNICAST, Family::IPV6_UNICAST]),
            extended_next_hop: false,
            graceful_restart: None,
            import: None,
            export: None,
            next_hop: NextHopMode::Standard,
            route_reflector_client: false,
            default_originate: BTreeSet::new(),
            prefix_limit: None,
            enforce_first_as: true,
        }
    }
}

/// Bounds against hostile or broken peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Prefixes accepted from one neighbour in one family where it has no limit of its own.
    pub prefixes_per_neighbor: u32,
    /// Connections that are being refused and whose NOTIFICATION is not taken yet; further ones are
    /// dropped without a word.
    pub refused_connections: usize,
    /// Peers that a [`NeighborKey::Range`] may create.
    pub dynamic_peers: usize,
    /// Encoded octets kept for members of one update group that are behind, before the slowest goes on
    /// by itself.
    pub retained_octets: usize,
    /// Events kept until they are polled; further ones are counted and lost.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prefixes_per_neighbor: 4_000_000,
            refused_connections: 64,
            dynamic_peers: 1024,
            retained_octets: 4 << 20,
            events: 4096,
        }
    }
}

/// What is wrong with a [`Desired`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `neighbors[10.0.0.1].timers.hold`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Every fault of a [`Desired`], never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(fault, f)?;
        }
        Ok(())
    }
}

impl core::error::Error for Faults {}

/// What a change costs a live session, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cost {
    /// Nothing, or UPDATEs only where routes really change.
    None,
    /// Routes are evaluated again and those that changed are sent.
    Refresh,
    /// The session is closed and opened again.
    Reset,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The instance starts or stops being what it is: its AS or identifier changed.
    Instance,
    /// A neighbour appears.
    AddNeighbor(NeighborKey),
    /// A neighbour goes: Cease 6/3.
    RemoveNeighbor(NeighborKey),
    /// A neighbour changes.
    UpdateNeighbor {
        /// Which.
        key: NeighborKey,
        /// The fields that differ.
        fields: Vec<&'static str>,
        /// What that costs.
        cost: Cost,
    },
    /// Static routes to originate.
    Originate(IpNet),
    /// Static routes no longer to originate.
    Withdraw(IpNet),
    /// Something that no peer notices.
    Settings,
}

/// The way from what runs to what is wanted. Empty where both are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes in the order they are made.
    pub changes: Vec<Change>,
}

impl Plan {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The highest cost of all changes.
    pub fn cost(&self) -> Cost {
        self.changes
            .iter()
            .map(|change| match change {
                Change::Instance | Change::RemoveNeighbor(_) => Cost::Reset,
                Change::UpdateNeighbor { cost, .. } => *cost,
                Change::AddNeighbor(_) | Change::Originate(_) | Change::Withdraw(_) | Change::Settings => {
                    Cost::None
                }
            })
            .max()
            .unwrap_or(Cost::None)
    }
}
