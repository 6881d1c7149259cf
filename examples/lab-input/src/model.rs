//! The lab as its files describe it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::IpNet;
use peerage_core::{
    speaker::{Desired, NeighborKey},
    wire::SessionKind,
};
use peerage_kubernetes::{Fault, Snapshot};

pub use crate::frr::Defaults;

/// An address on an interface.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// The address with its prefix length; host bits are kept.
    pub address: IpNet,
}

impl Attached {
    /// The network that is connected by it.
    pub fn prefix(&self) -> IpNet {
        self.address.trunc()
    }
}

/// Where a route of the kernel leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gateway {
    /// Nowhere: packets are dropped.
    Blackhole,
    /// To a neighbour.
    Via {
        /// Its address.
        address: IpAddr,
        /// The interface it is reached over.
        interface: String,
    },
}

/// A route of the kernel that is not a connected one. It is not redistributed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StaticRoute {
    /// Where to.
    pub prefix: IpNet,
    /// Which way.
    pub gateway: Gateway,
}

/// What a router's tables are printed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show {
    /// The profile of `frr defaults`.
    pub defaults: Defaults,
    /// Whether neighbours and next hops are shown with their host names: `tor0(net0)`.
    pub hostname: bool,
    /// Peer groups and their members, in the order of tables.
    pub groups: BTreeMap<String, Vec<NeighborKey>>,
    /// What each neighbour is by configuration.
    pub kinds: BTreeMap<NeighborKey, SessionKind>,
    /// Whether eBGP neighbours without a policy are shown as `(Policy)` (RFC 8212).
    pub ebgp_requires_policy: bool,
}

/// A rule of source NAT, which a topology gives by an `iptables` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masquerade {
    /// Whether it is about IPv4, else IPv6.
    pub ipv4: bool,
    /// For packets that leave by this interface.
    pub out: Option<String>,
    /// For packets from here.
    pub source: Option<IpNet>,
    /// For packets to here.
    pub destination: Option<IpNet>,
}

/// A router of the fabric: a node of the topology with `router bgp` lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its name in the topology.
    pub name: String,
    /// What its speaker should do.
    pub desired: Desired,
    /// Its addresses, Containerlab's eth0 included.
    pub connected: Vec<Attached>,
    /// Its other kernel routes.
    pub routes: Vec<StaticRoute>,
    /// Its rules of source NAT.
    pub masquerade: Vec<Masquerade>,
    /// The commands of each of its `vtysh` lines: all of them understood, their words apart by one space,
    /// without comments and `write`.
    pub vtysh: Vec<Vec<String>>,
    /// What its tables are printed with.
    pub show: Show,
}

/// A node of the Kind cluster, joined by a server of the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name in Kubernetes: `clab-bgp-cplane-demo-worker`.
    pub name: String,
    /// What the topology calls its container: `worker`.
    pub container: String,
    /// The server's name in the topology, which links use.
    pub server: String,
    /// Whether it is a control plane, where only pods that tolerate it are placed.
    pub control_plane: bool,
    /// Its node addresses, one a family.
    pub addresses: Vec<IpAddr>,
    /// Its interfaces' addresses.
    pub connected: Vec<Attached>,
    /// Its routes; a default route is among them.
    pub routes: Vec<StaticRoute>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its pods' networks.
    pub pod_cidrs: Vec<IpNet>,
}

impl Node {
    /// The gateway of its default route.
    pub fn default_route(&self) -> Option<&Gateway> {
        self.routes.iter().find(|route| route.prefix.prefix_len() == 0).map(|route| &route.gateway)
    }
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkEnd {
    /// The node's name in the topology.
    pub node: String,
    /// Its interface.
    pub interface: String,
    /// The link-local address it has there; no two ends of a lab have the same.
    pub link_local: Ipv6Addr,
}

/// A link between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// One end.
    pub a: LinkEnd,
    /// The other.
    pub b: LinkEnd,
}

/// A pod of the manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The node it is placed on; `None` where none fits.
    pub node: Option<String>,
    /// Its address, chosen by the lab out of its node's first pod network.
    pub address: Option<IpAddr>,
}

/// What the lab's files describe.
#[derive(Clone, Debug)]
pub struct Lab {
    /// The topology's name.
    pub name: String,
    /// Routers in the order of the topology.
    pub routers: Vec<Router>,
    /// Nodes in the order of the Kind file.
    pub nodes: Vec<Node>,
    /// Links in the order of the topology.
    pub links: Vec<Link>,
    /// Pods in the order of the manifests.
    pub pods: Vec<Pod>,
    /// The policies of the manifests, and the nodes: the Kind file's, with what Node manifests say over
    /// it, in its order.
    pub snapshot: Snapshot,
    /// Whether agents run at all (`bgpControlPlane.enabled`).
    pub bgp_enabled: bool,
    /// What has no effect in the lab; these are among the faults of [`load`](crate::load) too.
    pub notices: Vec<Fault>,
}
