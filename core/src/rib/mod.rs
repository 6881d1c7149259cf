//! The table: every route, the best of each prefix, and what follows it.

mod view;

use core::net::IpAddr;

use ipnet::IpNet;

pub use view::{Exclusion, Path, PathOrigin, Route, Step};

use alloc::vec::Vec;

use crate::wire::Family;

/// The table of one speaker.
#[derive(Debug)]
pub struct Rib {}

impl Rib {
    /// Every prefix of a family that has a path, in prefix order.
    pub fn routes(&self, family: Family) -> Vec<Route> {
        let _ = family;
        todo!()
    }

    /// One prefix.
    pub fn route(&self, prefix: IpNet) -> Option<Route> {
        let _ = prefix;
        todo!()
    }

    /// The longest prefix with a best path that covers an address.
    pub fn lookup(&self, address: IpAddr) -> Option<Route> {
        let _ = address;
        todo!()
    }

    /// How often a best path of a family changed.
    pub fn version(&self, family: Family) -> u64 {
        let _ = family;
        todo!()
    }

    /// Prefixes of a family that have a path.
    pub fn len(&self, family: Family) -> usize {
        let _ = family;
        todo!()
    }
}
