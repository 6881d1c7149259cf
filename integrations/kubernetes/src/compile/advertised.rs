//! Why a prefix is announced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::service::AddressType;

/// What an instance announces: each prefix with everything that wants it. It goes when the last does.
pub type Advertised = BTreeMap<IpNet, BTreeSet<Reason>>;

/// One thing that wants a prefix announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is a PodCIDR of the node.
    PodCidr,
    /// The node has it of this `CiliumPodIPPool`.
    PodIpPool(String),
    /// It is an address of a Service.
    Service {
        /// The Service's namespace.
        namespace: String,
        /// The Service's name.
        name: String,
        /// Which of its addresses.
        address: AddressType,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodCidr => f.write_str("PodCIDR"),
            Self::PodIpPool(pool) => write!(f, "CiliumPodIPPool/{pool}"),
            Self::Service { namespace, name, address } => write!(f, "Service/{namespace}/{name} {address}"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
