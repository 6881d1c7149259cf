//! Short ways to say what a test wants.

use core::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use peerage_core::{
    policy::Policy,
    speaker::{Desired, Neighbor, NeighborKey, PeerAs},
    wire::{
        Asn, RouterId,
        attr::{AsPath, PathAttributes, Segment, SegmentKind},
    },
};

/// A prefix from its text.
///
/// # Panics
///
/// If the text is none.
pub fn prefix(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a prefix"))
}

/// An instance without neighbours; the identifier is an address.
pub fn desired(asn: u32, router_id: Ipv4Addr) -> Desired {
    Desired::new(Asn(asn), RouterId::from(router_id))
}

/// An eBGP neighbour that everything is learned from and announced to.
pub fn external(asn: u32) -> Neighbor {
    let mut neighbor = Neighbor::new(PeerAs::Number(Asn(asn)));
    neighbor.import = Some(Policy::accept());
    neighbor.export = Some(Policy::accept());
    neighbor
}

/// An iBGP neighbour.
pub fn internal() -> Neighbor {
    Neighbor::new(PeerAs::Internal)
}

/// Attributes of a route to originate, with an AS path of one sequence.
pub fn attributes(as_path: &[u32]) -> PathAttributes {
    let mut attributes = PathAttributes::default();
    if !as_path.is_empty() {
        let asns = as_path.iter().copied().map(Asn).collect();
        attributes.as_path = AsPath { segments: vec![Segment { kind: SegmentKind::Sequence, asns }] };
    }
    attributes
}

/// Neighbours by address, chained.
pub trait Neighbors {
    /// Adds or replaces a neighbour.
    fn neighbor(self, address: &str, neighbor: Neighbor) -> Self;
    /// Originates a route with default attributes.
    fn route(self, prefix: &str) -> Self;
}

impl Neighbors for Desired {
    fn neighbor(mut self, address: &str, neighbor: Neighbor) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        self.neighbors.insert(NeighborKey::Address(address), neighbor);
        self
    }

    fn route(mut self, text: &str) -> Self {
        self.originate.insert(prefix(text), PathAttributes::default());
        self
    }
}
