//! The lab's input: what a Kind cluster, a Containerlab topology, Kubernetes manifests and Helm values
//! describe, as one [`Lab`].
//!
//! ```text
//! cluster.yaml    ->  nodes: names, addresses, labels, pod networks  (kind)
//! topo.yaml       ->  links, addresses, routes; vtysh -c lines       (topo, exec, frr)
//! manifests       ->  policies, nodes, pods                          (peerage_kubernetes, pods)
//! values.yaml     ->  whether there are agents                       (values)
//! ```
//!
//! The files are those that the real tools read, unchanged. Nothing in them is run: an `exec` line is
//! recognised for what it would do, and one that is not recognised is a fault with its file and line.
//! There are no sockets and no speakers here; [`Router::desired`] and [`Lab::snapshot`] are what those
//! are made from. [`expect`] works out by itself what the lab has to arrive at, for tests.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod exec;
pub mod expect;
mod frr;
mod kind;
mod link_local;
mod load;
mod lookup;
mod model;
mod place;
mod pods;
mod topo;
mod values;
mod words;
mod yaml;

pub use load::{Inputs, cluster, load};
pub use model::{
    Attached, Defaults, Gateway, Lab, Link, LinkEnd, Masquerade, Node, Pod, Router, Show, StaticRoute,
};
