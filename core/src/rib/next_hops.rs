//! Which next hops can be reached, as far as anybody says.

use alloc::collections::BTreeMap;
use core::net::IpAddr;

use crate::facts::Reachability;

/// What was said; of all others, that they can be reached at metric 0.
#[derive(Debug, Default)]
pub(super) struct NextHops {
    said: BTreeMap<IpAddr, Reachability>,
}

impl NextHops {
    const DEFAULT: Reachability = Reachability::Reachable { metric: 0 };

    /// Whether it is news.
    pub(super) fn set(&mut self, address: IpAddr, reach: Reachability) -> bool {
        let before = if reach == Self::DEFAULT {
            self.said.remove(&address)
        } else {
            self.said.insert(address, reach)
        };
        before.unwrap_or(Self::DEFAULT) != reach
    }

    /// The metric to an address; `None`: it cannot be reached.
    pub(super) fn metric(&self, address: IpAddr) -> Option<u32> {
        match self.said.get(&address).copied().unwrap_or(Self::DEFAULT) {
            Reachability::Reachable { metric } => Some(metric),
            Reachability::Unreachable => None,
        }
    }
}
