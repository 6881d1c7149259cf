//! Where PodCIDRs come from, by IPAM mode, and which pools are announced.

use peerage_kubernetes::{Compiled, Fault, Ipam, Options, Severity, compile_with};

use crate::{NODES, POLICY, policy, snapshot};

/// What Cilium's own IPAM gave n0: neither is what the Node says.
const CILIUM_NODE: &str = "apiVersion: cilium.io/v2
kind: CiliumNode
metadata: {name: n0}
spec:
  ipam:
    podCIDRs: [10.7.0.0/24, 'fd00:7::/64']
    pools:
      allocated:
      - {pool: blue, cidrs: [10.8.0.0/27, 10.8.0.32/27]}
      - {pool: green, cidrs: [10.9.0.0/27]}
      - {pool: nobody, cidrs: [10.10.0.0/27]}
";

/// Pools in both versions.
const POOLS: &str = "apiVersion: cilium.io/v2alpha1
kind: CiliumPodIPPool
metadata: {name: blue, labels: {color: blue}}
spec: {ipv4: {cidrs: [10.8.0.0/16], maskSize: 27}}
---
apiVersion: cilium.io/v2
kind: CiliumPodIPPool
metadata: {name: green, labels: {color: green}}
";

fn config(ipam: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: cilium-config, namespace: kube-system}}\ndata: {ipam}\n"
    )
}

fn compiled(texts: &[&str], ipam: Ipam) -> Compiled {
    let snapshot = snapshot(texts);
    let errors = snapshot.faults().into_iter().filter(|fault| fault.severity == Severity::Error);
    assert_eq!(errors.collect::<Vec<Fault>>(), []);
    compile_with(&snapshot, "n0", Options { ipam, ..Options::default() })
}

fn announced(texts: &[&str], ipam: Ipam) -> Vec<String> {
    compiled(texts, ipam).instances["65010"].originate.keys().map(ToString::to_string).collect()
}

fn said(texts: &[&str], ipam: Ipam) -> Vec<String> {
    compiled(texts, ipam).faults.iter().map(ToString::to_string).collect()
}

const OF_NODE: [&str; 1] = ["10.1.0.0/24"];
const OF_CILIUM: [&str; 2] = ["10.7.0.0/24", "fd00:7::/64"];

#[test]
fn pod_cidrs_by_mode() {
    for (ipam, config_map, expected, faults) in [
        (Ipam::Auto, None, &OF_NODE[..], 0),
        (Ipam::Auto, Some("{ipam: kubernetes}"), &OF_NODE, 0),
        (Ipam::Auto, Some("{ipam: cluster-pool}"), &OF_CILIUM, 0),
        // Cilium's own default.
        (Ipam::Auto, Some("{}"), &OF_CILIUM, 0),
        (Ipam::Auto, Some("{ipam: multi-pool}"), &[], 1),
        (Ipam::Auto, Some("{ipam: eni}"), &[], 1),
        (Ipam::Auto, Some("{ipam: delegated-plugin, other: x}"), &[], 1),
        (Ipam::Kubernetes, Some("{ipam: cluster-pool}"), &OF_NODE, 0),
        (Ipam::ClusterPool, None, &OF_CILIUM, 0),
        (Ipam::ClusterPool, Some("{ipam: kubernetes}"), &OF_CILIUM, 0),
        (Ipam::MultiPool, None, &[], 1),
        (Ipam::None, None, &[], 1),
    ] {
        let config = config_map.map(config);
        let mut texts = vec![POLICY, NODES, CILIUM_NODE];
        texts.extend(config.as_deref());
        assert_eq!(announced(&texts, ipam), expected, "{ipam} {config_map:?}");
        let said = said(&texts, ipam);
        assert_eq!(said.len(), faults, "{ipam} {config_map:?}: {said:?}");
    }
}

#[test]
fn what_has_no_effect_in_a_mode_is_said_of_the_field() {
    let notice = "a.yaml:11:20: notice: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].exportPodCIDR: no effect: \
                  the IPAM mode is";
    let texts = [POLICY, NODES, CILIUM_NODE];
    assert_eq!(
        said(&texts, Ipam::MultiPool),
        [format!("{notice} multi-pool, where podIPPoolSelector chooses what is announced")]
    );
    assert_eq!(said(&texts, Ipam::None), [format!("{notice} none")]);
    let eni = config("{ipam: eni}");
    assert_eq!(
        said(&[POLICY, NODES, &eni], Ipam::Auto),
        [format!("{notice} \"eni\", by the ConfigMap cilium-config: it has no PodCIDRs")]
    );
    let silent = policy("exportPodCIDR: true", "exportPodCIDR: false");
    assert_eq!(said(&[&silent, NODES, &eni], Ipam::Auto), [""; 0]);
}

#[test]
fn cluster_pool_without_a_cilium_node_announces_nothing_and_says_so() {
    let other = CILIUM_NODE.replace("name: n0", "name: n1");
    for texts in [&[POLICY, NODES][..], &[POLICY, NODES, &other]] {
        assert_eq!(announced(texts, Ipam::ClusterPool), [""; 0]);
        assert_eq!(
            said(texts, Ipam::ClusterPool),
            ["CiliumNode/n0: there is no such CiliumNode that can be used, and the IPAM mode has PodCIDRs \
              nowhere else: none are announced for it by spec.virtualRouters[0].exportPodCIDR of \
              CiliumBGPPeeringPolicy/rack0 (kubectl get ciliumnode n0 -o yaml)"]
        );
    }
    // Its sessions are there all the same.
    assert_eq!(compiled(&[POLICY, NODES], Ipam::ClusterPool).instances["65010"].neighbors.len(), 1);
    let none_yet = CILIUM_NODE.replace("podCIDRs: [10.7.0.0/24, 'fd00:7::/64']", "podCIDRs: []");
    assert_eq!(said(&[POLICY, NODES, &none_yet], Ipam::ClusterPool).len(), 1);
}

#[test]
fn the_usual_cilium_config_counts() {
    let usual = config("{ipam: cluster-pool}");
    let other = config("{ipam: kubernetes}").replace("kube-system", "another");
    assert_eq!(announced(&[POLICY, NODES, CILIUM_NODE, &other, &usual], Ipam::Auto), OF_CILIUM);
    assert_eq!(announced(&[POLICY, NODES, CILIUM_NODE, &other], Ipam::Auto), OF_NODE);
    // Another ConfigMap says nothing about it.
    let stranger = usual.replace("name: cilium-config", "name: my-config");
    assert_eq!(announced(&[POLICY, NODES, CILIUM_NODE, &stranger], Ipam::Auto), OF_NODE);
}

#[test]
fn beside_calico_the_mode_has_to_be_said() {
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: \
                      ipamblocks.crd.projectcalico.org}\n";
    let object = "apiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: default}\n";
    for calico in [definition, object] {
        let texts = [POLICY, NODES, CILIUM_NODE, calico];
        assert_eq!(announced(&texts, Ipam::Auto), [""; 0]);
        assert_eq!(
            said(&texts, Ipam::Auto),
            ["a.yaml:11:20: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].exportPodCIDR: nothing is \
              announced: Calico's IPAM is here (d.yaml), which gives nodes other prefixes than \
              Node.spec.podCIDRs; say where PodCIDRs come from with --ipam=kubernetes or --ipam=none"]
        );
        assert_eq!(announced(&texts, Ipam::Kubernetes), OF_NODE);
        assert_eq!(said(&texts, Ipam::Kubernetes), [""; 0]);
        let config = config("{ipam: cluster-pool}");
        assert_eq!(announced(&[POLICY, NODES, CILIUM_NODE, calico, &config], Ipam::Auto), OF_CILIUM);
    }
    let harmless = object.replace("kind: IPPool", "kind: GlobalNetworkPolicy");
    assert_eq!(announced(&[POLICY, NODES, &harmless], Ipam::Auto), OF_NODE);
}

#[test]
fn pod_ip_pools() {
    let blue = ["10.8.0.0/27", "10.8.0.32/27"];
    let all = ["10.8.0.0/27", "10.8.0.32/27", "10.9.0.0/27"];
    for (selector, expected) in [
        ("{matchLabels: {color: blue}}", &blue[..]),
        ("{matchLabels: {color: red}}", &[]),
        ("{matchLabels: {io.cilium.podippool.name: green}}", &all[2..]),
        ("{matchLabels: {io.cilium.podippool.namespace: ''}}", &all),
        ("{matchExpressions: [{key: color, operator: Exists}]}", &all),
        ("{matchExpressions: [{key: color, operator: DoesNotExist}]}", &[]),
        ("{}", &all),
    ] {
        let policy = policy("exportPodCIDR: true", &format!("podIPPoolSelector: {selector}"));
        let config = config("{ipam: multi-pool}");
        let texts = [policy.as_str(), NODES, CILIUM_NODE, POOLS];
        assert_eq!(announced(&texts, Ipam::MultiPool), expected, "{selector}");
        assert_eq!(announced(&[&texts[..], &[&config]].concat(), Ipam::Auto), expected, "{selector}");
        assert_eq!(announced(&texts, Ipam::Auto), expected, "{selector}");
        assert_eq!(announced(&texts[..3], Ipam::MultiPool), [""; 0], "without pools: {selector}");
        assert_eq!(said(&texts, Ipam::MultiPool), [""; 0]);
        for ipam in [Ipam::Kubernetes, Ipam::ClusterPool, Ipam::None] {
            assert_eq!(announced(&texts, ipam), [""; 0]);
            assert_eq!(
                said(&texts, ipam),
                [format!(
                    "a.yaml:11:24: notice: CiliumBGPPeeringPolicy/rack0: \
                     spec.virtualRouters[0].podIPPoolSelector: no effect: the IPAM mode is {ipam}"
                )]
            );
        }
    }
    let policy = policy("exportPodCIDR: true", "podIPPoolSelector: {}");
    assert!(
        said(&[&policy, NODES, POOLS], Ipam::MultiPool)[0].starts_with("CiliumNode/n0: there is no such")
    );
    let compiled = compiled(&[&policy, NODES, CILIUM_NODE, POOLS], Ipam::MultiPool);
    let reasons: Vec<_> = compiled.advertised["65010"].values().flatten().map(ToString::to_string).collect();
    assert_eq!(reasons, ["CiliumPodIPPool/blue", "CiliumPodIPPool/blue", "CiliumPodIPPool/green"]);
}

#[test]
fn options_by_name() {
    for name in Ipam::NAMES {
        assert_eq!(name.parse::<Ipam>().unwrap().to_string(), *name);
    }
    assert_eq!(
        "crd".parse::<Ipam>().unwrap_err(),
        "expected one of auto, kubernetes, cluster-pool, multi-pool, none"
    );
}
