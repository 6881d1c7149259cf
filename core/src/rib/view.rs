//! What the table shows: owned, decoded, for tables, JSON and tests.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::{
    speaker::{NeighborKey, PeerId, SourceId},
    wire::{NextHop, RouterId, SessionKind, attr::PathAttributes},
};

/// A prefix and its paths, the best one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The prefix.
    pub prefix: IpNet,
    /// Its paths: the best first if there is a best one, the others by preference.
    pub paths: Vec<Path>,
}

impl Route {
    /// The path in use.
    pub fn best(&self) -> Option<&Path> {
        self.paths.first().filter(|path| path.best)
    }
}

/// Where a path came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathOrigin {
    /// Originated here.
    Local(SourceId),
    /// Learned from a peer.
    Peer {
        /// Who.
        peer: PeerId,
        /// How it is configured.
        key: NeighborKey,
        /// Its address.
        address: IpAddr,
        /// Its identifier.
        router_id: RouterId,
        /// Its host name (capability 73), where it sent one.
        hostname: Option<String>,
        /// The interface, for a neighbour that is known by it.
        interface: Option<String>,
        /// iBGP or eBGP.
        kind: SessionKind,
    },
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where it came from.
    pub origin: PathOrigin,
    /// Its next hop; `None` for a route originated here.
    pub next_hop: Option<NextHop>,
    /// Its attributes, after the import policy.
    pub attributes: PathAttributes,
    /// It is the one in use.
    pub best: bool,
    /// Why it may not be used, if it may not.
    pub excluded: Option<Exclusion>,
    /// Why it lost against the best; for the best, why it won against the second. `None` where there
    /// is nothing to compare.
    pub step: Option<Step>,
}

/// Why a path is not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exclusion {
    /// The import policy rejected it.
    Policy,
    /// Its AS path contains the speaker's AS (RFC 4271 §9.1.2).
    AsLoop,
    /// It was reflected back: ORIGINATOR_ID or CLUSTER_LIST (RFC 4456 §8).
    ReflectionLoop,
    /// Its first AS is not the peer's (RFC 4271 §6.3).
    FirstAs,
    /// Its next hop cannot be reached (RFC 4271 §9.1.2).
    NextHop,
}

/// The step of the decision at which two paths differ (RFC 4271 §9.1.2.2, RFC 4456 §9), in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Routes originated here come first.
    Local,
    /// Higher LOCAL_PREF (§9.1.1).
    LocalPref,
    /// Shorter AS_PATH (a).
    AsPathLength,
    /// Lower ORIGIN (b).
    Origin,
    /// Lower MULTI_EXIT_DISC, within one neighbouring AS (c).
    Med,
    /// eBGP before iBGP (d).
    External,
    /// Lower metric to the next hop (e).
    NextHopMetric,
    /// Lower identifier, or ORIGINATOR_ID (f; RFC 4456 §9).
    RouterId,
    /// Shorter CLUSTER_LIST (RFC 4456 §9).
    ClusterListLength,
    /// Lower peer address (g).
    PeerAddress,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "originated here",
            Self::LocalPref => "LOCAL_PREF",
            Self::AsPathLength => "AS_PATH length",
            Self::Origin => "ORIGIN",
            Self::Med => "MULTI_EXIT_DISC",
            Self::External => "eBGP over iBGP",
            Self::NextHopMetric => "metric to the next hop",
            Self::RouterId => "router id",
            Self::ClusterListLength => "CLUSTER_LIST length",
            Self::PeerAddress => "peer address",
        })
    }
}
