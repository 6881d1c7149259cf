//! No text, however bent, panics; what is refused is said; what is not refused compiles.

use peerage_kubernetes::{Severity, Snapshot, compile, plan, yaml};
use proptest::prelude::*;

use crate::{NODES, POLICY};

/// The manifests with everything that can be in them.
const FULL: &str = r#"apiVersion: cilium.io/v2alpha1
kind: CiliumBGPPeeringPolicy
metadata:
  name: full
spec:
  nodeSelector:
    matchExpressions:
    - {key: rack, operator: In, values: [r0, r1]}
  virtualRouters:
  - localASN: 65010
    exportPodCIDR: true
    serviceSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}
    serviceAdvertisements: [ClusterIP, ExternalIP]
    podIPPoolSelector: {matchLabels: {a: b}}
    neighbors:
    - peerAddress: "10.0.0.1/32"
      peerASN: 65000
      peerPort: 1790
      authSecretRef: key
      eBGPMultihopTTL: 2
      connectRetryTimeSeconds: 5
      holdTimeSeconds: 9
      keepAliveTimeSeconds: 3
      gracefulRestart: {enabled: true, restartTimeSeconds: 60}
      families:
      - {afi: ipv4, safi: unicast}
      advertisedPathAttributes:
      - selectorType: PodCIDR
        selector: {matchLabels: {a: b}}
        communities: {standard: ["65000:1"], large: ["1:2:3"], wellKnown: [no-export]}
        localPreference: 200
"#;

/// What else a cluster has.
const OBJECTS: &str = r#"apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {b: c}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  clusterIPs: [10.96.0.1]
  externalIPs: [192.0.2.1]
status: {loadBalancer: {ingress: [{ip: 10.4.0.1}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{conditions: {ready: true, serving: true, terminating: false}, nodeName: n0}]
---
apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: {name: blue, labels: {a: b}}
spec: {disabled: false, blocks: [{cidr: 10.4.0.0/24}, {start: 10.5.0.1, stop: 10.5.0.200}, {start: 10.6.0.1}]}
---
apiVersion: cilium.io/v2alpha1
kind: CiliumPodIPPool
metadata: {name: green, labels: {a: b}}
---
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: {name: n0}
spec: {ipam: {podCIDRs: [10.7.0.0/24], pools: {allocated: [{pool: green, cidrs: [10.9.0.0/27]}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {ipam: multi-pool}
"#;

fn check(text: &str) -> Result<(), TestCaseError> {
    let mut snapshot = Snapshot::new();
    snapshot.read("f", text);
    for fault in snapshot.faults() {
        prop_assert!(!fault.message.is_empty());
        prop_assert!(fault.line.is_some_and(|line| line >= 1 && line <= text.lines().count() + 1));
    }
    let all = plan(&snapshot);
    let _ = (all.to_string(), serde_json::to_string(&all));
    for node in snapshot.nodes() {
        let compiled = compile(&snapshot, &node.object.metadata.name);
        prop_assert_eq!(&compiled, &compile(&snapshot, &node.object.metadata.name));
        for (name, desired) in &compiled.instances {
            prop_assert_eq!(name, &desired.asn.to_string());
            prop_assert!(!desired.neighbors.is_empty());
            for neighbor in desired.neighbors.values() {
                prop_assert!(neighbor.timers.keepalive <= neighbor.timers.hold);
                prop_assert!(neighbor.timers.hold.as_secs() >= 3);
                prop_assert!(neighbor.port > 0 && !neighbor.families.is_empty());
            }
        }
    }
    Ok(())
}

#[test]
fn the_full_manifest_has_nothing_wrong() {
    let mut snapshot = Snapshot::new();
    snapshot.read("f", &format!("{FULL}---\n{NODES}---\n{OBJECTS}"));
    assert!(
        snapshot.faults().iter().all(|fault| fault.severity == Severity::Notice),
        "{:?}",
        snapshot.faults()
    );
    assert_eq!(plan(&snapshot).nodes.iter().map(|node| node.peers.len()).sum::<usize>(), 2);
    let announced = &plan(&snapshot).nodes[0].announcements;
    assert_eq!(
        announced.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.9.0.0/27", "10.96.0.1/32", "192.0.2.1/32"]
    );
}

/// No field is lost between the table, the types and the text.
#[test]
fn what_is_read_is_written_again() {
    for (text, name) in [(FULL, "full"), (POLICY, "rack0")] {
        let (documents, _) = yaml::parse("f", text);
        let mut snapshot = Snapshot::new();
        snapshot.read("f", text);
        let written = serde_json::to_value(&snapshot.policy(name).unwrap().object).unwrap();
        assert_eq!(written["spec"], documents[0].value["spec"]);
        assert!(!snapshot.faults().iter().any(|fault| fault.message.contains("nobody knows")));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "(?s).{0,300}") {
        let mut snapshot = Snapshot::new();
        snapshot.read("f", &text);
        let _ = plan(&snapshot).to_string();
    }

    #[test]
    fn no_mutation_panics(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[-\\[\\]{}:,'\"|>&*!#%@ \\n\\t0-9a-z~/.]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = format!("{FULL}---\n{POLICY}---\n{NODES}---\n{OBJECTS}").chars().collect();
        for (at, length, new) in cuts {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, new.chars());
        }
        check(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn no_line_out_of_place_panics(
        lines in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let text = format!("{FULL}---\n{NODES}---\n{OBJECTS}");
        let mut text: Vec<&str> = text.lines().collect();
        for (from, to) in lines {
            let line = text.remove(from.index(text.len()));
            text.insert(to.index(text.len()), line);
        }
        check(&text.join("\n"))?;
    }
}
