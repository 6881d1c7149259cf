//! What a reader of manifests gets: from text to faults with their places, and to what nodes should do.

mod article;
mod attributes;
mod compile;
mod fields;
mod manifest;
mod plan;
mod pods;
mod properties;
mod selector;
mod services;
mod store;
mod wire;

use peerage_core::speaker::{Desired, Neighbor, NeighborKey};
use peerage_kubernetes::{Compiled, Severity, Snapshot, compile};

/// A policy for rack0, line by line; `# more` marks where a test adds lines about the neighbour.
pub(crate) const POLICY: &str = r#"apiVersion: cilium.io/v2alpha1
kind: CiliumBGPPeeringPolicy
metadata:
  name: rack0
spec:
  nodeSelector:
    matchLabels:
      rack: r0
  virtualRouters:
  - localASN: 65010
    exportPodCIDR: true
    neighbors:
    - peerAddress: "10.0.0.1/32"
      peerASN: 65010
      # more
"#;

/// Two nodes, one in each rack.
pub(crate) const NODES: &str = r"apiVersion: v1
kind: Node
metadata:
  name: n0
  labels:
    rack: r0
spec:
  podCIDR: 10.1.0.0/24
  podCIDRs: [10.1.0.0/24]
status:
  addresses:
  - {type: Hostname, address: n0}
  - {type: InternalIP, address: 10.0.1.2}
---
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels:
    rack: r1
spec:
  podCIDR: 10.1.1.0/24
status:
  addresses:
  - {type: InternalIP, address: 10.0.3.2}
";

/// [`POLICY`] with a part of it replaced, which has to be there once.
pub(crate) fn policy(from: &str, to: &str) -> String {
    replaced(POLICY, from, to)
}

/// [`NODES`] with a part of it replaced, which has to be there once.
pub(crate) fn nodes(from: &str, to: &str) -> String {
    replaced(NODES, from, to)
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
    text.replace(from, to)
}

/// The objects of these texts, called `a.yaml`, `b.yaml` and so on.
pub(crate) fn snapshot(texts: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for (text, name) in texts.iter().zip('a'..='z') {
        snapshot.read(&format!("{name}.yaml"), text);
    }
    snapshot
}

/// What is said about the objects of these texts.
pub(crate) fn faults(texts: &[&str]) -> Vec<String> {
    snapshot(texts).faults().iter().map(ToString::to_string).collect()
}

/// What a node should do by these texts, about which nothing worse than a notice is to be said.
pub(crate) fn compiled(texts: &[&str], node: &str) -> Compiled {
    let snapshot = snapshot(texts);
    let faults = snapshot.faults();
    assert!(faults.iter().all(|fault| fault.severity == Severity::Notice), "{faults:#?}");
    compile(&snapshot, node)
}

/// The only instance on n0, about which nothing is to be said.
pub(crate) fn instance(policy: &str) -> Desired {
    let mut compiled = compiled(&[policy, NODES], "n0");
    assert_eq!(compiled.faults, []);
    assert_eq!(compiled.instances.len(), 1);
    compiled.instances.remove("65010").expect("the instance is named after its AS")
}

/// The only neighbour of the only instance on n0.
pub(crate) fn neighbor(policy: &str) -> (NeighborKey, Neighbor) {
    let mut neighbors = instance(policy).neighbors;
    assert_eq!(neighbors.len(), 1);
    neighbors.pop_first().expect("there is one")
}
