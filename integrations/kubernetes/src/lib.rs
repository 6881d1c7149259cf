//! From Kubernetes objects to what a BGP speaker should do.
//!
//! ```text
//! files (yaml)  ->  Snapshot (manifest)  ->  compile(&Snapshot, node)  ->  a Desired per instance
//!               faults: file, line, field         faults of this node
//! ```
//!
//! The snapshot has Nodes, Services, EndpointSlices, Cilium's policies, pools and CiliumNodes, and the
//! ConfigMap `cilium-config`. A front end is a pure function from stored objects to [`Desired`](peerage_core::speaker::Desired)
//! values keyed by instance name. Today there is one, for Cilium's [`CiliumBGPPeeringPolicy`]
//! (`cilium.io/v2alpha1`), whose instances are named after their AS. Objects are accepted as Cilium
//! accepts them: what is unknown or has no effect yet is said in a notice, never ignored in silence;
//! what is wrong costs that object and nothing else.
//!
//! ```
//! use peerage_kubernetes::{Node, Origin, Snapshot, compile};
//!
//! let mut snapshot = Snapshot::new();
//! snapshot.read("rack0.yaml", r#"
//! apiVersion: cilium.io/v2alpha1
//! kind: CiliumBGPPeeringPolicy
//! metadata: {name: rack0}
//! spec:
//!   nodeSelector: {matchLabels: {rack: rack0}}
//!   virtualRouters:
//!   - localASN: 65010
//!     exportPodCIDR: true
//!     neighbors:
//!     - {peerAddress: 10.0.0.1/32, peerASN: 65010}
//! "#);
//! let pods = ["10.1.0.0/24".parse()?];
//! let node = Node::new("worker", [("rack", "rack0")], "10.0.1.2".parse()?, pods);
//! snapshot.add_node(node, Origin::named("a node of ours"));
//! assert_eq!(snapshot.faults(), []);
//!
//! let compiled = compile(&snapshot, "worker");
//! assert_eq!(compiled.instances["65010"].originate.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate reads files and code. There is no client for the API server in it yet, and so no `kube`
//! among its dependencies: a source of that kind fills the same [`Snapshot`].
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// A fault is read by people, one at a time.
#![allow(clippy::result_large_err)]

mod cilium_node;
mod compile;
mod config_map;
mod endpoint_slice;
mod fault;
mod format;
mod manifest;
mod node;
mod objects;
mod options;
mod origin;
mod path_attributes;
mod peering_policy;
mod plan;
mod pool;
mod schema;
mod selector;
mod service;
mod snapshot;
mod store;
pub mod yaml;

pub use cilium_node::{AllocatedPool, CiliumNode, CiliumNodeIpam, CiliumNodePools, CiliumNodeSpec};
pub use compile::{Advertised, Compiled, Reason, compile, compile_with};
pub use config_map::{CiliumConfig, ConfigMap};
pub use endpoint_slice::{Endpoint, EndpointConditions, EndpointSlice};
pub use fault::{Fault, Severity};
pub use node::{Node, NodeAddress, NodeSpec, NodeStatus};
pub use options::{Ipam, Options, Terminating};
pub use origin::{Origin, Stored};
pub use path_attributes::{AdvertisedPathAttributes, Communities};
pub use peering_policy::{
    CiliumBGPPeeringPolicy, FamilyName, GracefulRestart, NeighborSpec, PeeringPolicySpec, VirtualRouter,
};
pub use plan::{NodePlan, PeerPlan, Plan, RoutePlan, plan, plan_with};
pub use pool::{CiliumLoadBalancerIPPool, CiliumPodIPPool, LoadBalancerIPPoolSpec, PoolBlock};
pub use selector::{LabelSelector, Metadata, Requirement};
pub use service::{
    AddressType, LoadBalancerIngress, LoadBalancerStatus, Service, ServiceSpec, ServiceStatus,
};
pub use snapshot::Snapshot;
pub use store::{Look, Store};
