//! Policy: a route in, a verdict and edits out. Rules are data, so that two policies can be compared;
//! [`RoutePolicy`] is the one method behind which a program may put its own.
//!
//! A policy is pure: the same route gives the same verdict. It never sees a table, a clock or a peer
//! other than the one the route comes from or goes to.

mod eval;

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};
use core::net::IpAddr;

use ipnet::IpNet;

pub use eval::{Edits, RoutePolicy, RouteView};

use crate::{
    facts::SourceId,
    wire::{Asn, Community, LargeCommunity, Origin},
};

/// What happens to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes on, with the edits so far.
    Accept,
    /// It stops here.
    Reject,
}

/// An ordered list of rules: the first rule that matches and has a verdict decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Rules in order.
    pub rules: Vec<Rule>,
    /// What happens to a route that no rule decides on.
    pub otherwise: Verdict,
}

impl Policy {
    /// Accepts everything unchanged.
    pub const fn accept() -> Self {
        Self { rules: Vec::new(), otherwise: Verdict::Accept }
    }

    /// Rejects everything: what RFC 8212 asks of an eBGP neighbour without a policy.
    pub const fn reject() -> Self {
        Self { rules: Vec::new(), otherwise: Verdict::Reject }
    }
}

/// One rule: every condition must hold for it to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Conditions, all of which must hold; none means always.
    pub matches: Vec<Match>,
    /// Edits in order, made when the rule matches.
    pub sets: Vec<Set>,
    /// What happens then; `None` goes on to the next rule with the edits made.
    pub verdict: Option<Verdict>,
}

/// A prefix condition: within `net`, with a length between `min_len` and `max_len`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PrefixMatch {
    /// The covering prefix.
    pub net: IpNet,
    /// Shortest length that matches.
    pub min_len: u8,
    /// Longest length that matches.
    pub max_len: u8,
}

impl PrefixMatch {
    /// Exactly this prefix.
    pub fn exact(net: IpNet) -> Self {
        Self { net, min_len: net.prefix_len(), max_len: net.prefix_len() }
    }
}

/// Where a route came into the speaker from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteSource {
    /// Originated here.
    Local,
    /// Learned from an iBGP peer.
    Internal,
    /// Learned from an eBGP peer.
    External,
}

/// A condition on a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Match {
    /// The prefix is in one of these.
    Prefix(Vec<PrefixMatch>),
    /// The route came from one of these.
    Source(BTreeSet<RouteSource>),
    /// The route was originated by this source of the program (see `Speaker::originate`).
    Origination(SourceId),
    /// One of these communities is there.
    AnyCommunity(Vec<Community>),
    /// One of these large communities is there.
    AnyLargeCommunity(Vec<LargeCommunity>),
    /// The AS path contains this AS.
    AsPathContains(Asn),
    /// The first AS of the path is this one.
    NeighborAs(Asn),
    /// The last AS of the path is this one.
    OriginAs(Asn),
    /// The AS path's length is within these bounds, both included.
    AsPathLength {
        /// Shortest.
        min: u16,
        /// Longest.
        max: u16,
    },
    /// ORIGIN is this.
    Origin(Origin),
    /// The next hop is this.
    NextHop(IpAddr),
    /// MULTI_EXIT_DISC is this.
    Med(u32),
    /// LOCAL_PREF is this.
    LocalPref(u32),
    /// The condition does not hold.
    Not(Box<Self>),
}

/// An edit of a route's attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Set {
    /// LOCAL_PREF; reaches iBGP peers only.
    LocalPref(u32),
    /// MULTI_EXIT_DISC; `None` takes it away.
    Med(Option<u32>),
    /// ORIGIN.
    Origin(Origin),
    /// Replaces the communities.
    Communities(Vec<Community>),
    /// Adds communities that are not there yet.
    AddCommunities(Vec<Community>),
    /// Takes communities away.
    RemoveCommunities(Vec<Community>),
    /// Replaces the large communities.
    LargeCommunities(Vec<LargeCommunity>),
    /// Adds large communities that are not there yet.
    AddLargeCommunities(Vec<LargeCommunity>),
    /// Takes large communities away.
    RemoveLargeCommunities(Vec<LargeCommunity>),
    /// Puts an AS in front of the path, as often as `count` says.
    Prepend {
        /// The AS.
        asn: Asn,
        /// How often.
        count: u8,
    },
    /// The next hop.
    NextHop(IpAddr),
}
