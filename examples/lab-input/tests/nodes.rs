//! Nodes by every way of describing them: Kind's rules, Node manifests over them, pods on them.

mod support;

use std::net::IpAddr;

use peerage_kubernetes::compile;
use peerage_lab_input::Lab;
use support::Copy;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidrs(lab: &Lab) -> Vec<Vec<String>> {
    lab.nodes.iter().map(|node| node.pod_cidrs.iter().map(ToString::to_string).collect()).collect()
}

/// A cluster and a topology of servers only, each with an address.
fn cluster(head: &str, roles: &[(&str, &str)]) -> Copy {
    let mut kind =
        format!("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nname: clab-l-k\n{head}nodes:\n");
    let mut topology = "name: l\ntopology:\n  nodes:\n".to_owned();
    let (mut control_planes, mut workers) = (0, 0);
    for (index, (role, patch)) in roles.iter().enumerate() {
        let count = if *role == "worker" { &mut workers } else { &mut control_planes };
        *count += 1;
        let number = if *count == 1 { String::new() } else { count.to_string() };
        kind += &format!("- role: {role}\n{patch}");
        topology += &format!(
            "    s{index}:\n      network-mode: container:k-{role}{number}\n      exec:\n      - ip addr add \
             10.0.{index}.2/24 dev eth0\n      - ip addr add fd00:{index}::2/64 dev eth0\n"
        );
    }
    let mut copy = Copy::new().write("cluster.yaml", &kind).write("topo.yaml", &topology);
    copy.inputs.manifests.clear();
    copy
}

#[test]
fn kind_s_names_and_patches() {
    let patch = |kind: &str, arguments: &str| {
        format!(
            "  labels: {{tier: one}}\n  kubeadmConfigPatches:\n  - |\n    kind: {kind}\n    nodeRegistration:\n      \
             kubeletExtraArgs:{arguments}\n"
        )
    };
    let first = patch("InitConfiguration", " {node-labels: \"a=b,c=d\", node-ip: \"10.0.0.2,fd00:0::2\"}");
    let second = patch(
        "JoinConfiguration",
        "\n      - name: node-ip\n        value: 10.0.1.2\n      - {name: node-labels, value: a=e}",
    );
    let copy = cluster(
        "kubeadmConfigPatches:\n- |\n  kind: JoinConfiguration\n  nodeRegistration:\n    kubeletExtraArgs: {node-labels: shared=yes}\n",
        &[
            ("control-plane", &first),
            ("control-plane", &second),
            ("worker", ""),
            ("control-plane", ""),
            ("worker", ""),
        ],
    );
    let lab = copy.lab();
    let names: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "clab-l-k-control-plane",
            "clab-l-k-control-plane2",
            "clab-l-k-worker",
            "clab-l-k-control-plane3",
            "clab-l-k-worker2"
        ]
    );
    let labels = |index: usize| -> Vec<(&str, &str)> {
        let labels = lab.nodes[index].labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        labels.filter(|(key, _)| !key.contains("kubernetes.io/")).collect()
    };
    assert_eq!(labels(0), [("a", "b"), ("c", "d"), ("tier", "one")]);
    assert_eq!(labels(1), [("a", "e"), ("shared", "yes"), ("tier", "one")]);
    assert_eq!(labels(4), [("shared", "yes")]);
    assert_eq!(lab.nodes[4].labels["kubernetes.io/hostname"], "clab-l-k-worker2");
    assert_eq!(lab.nodes[0].addresses, [ip("10.0.0.2"), ip("fd00::2")]);
    assert_eq!(lab.nodes[1].addresses, [ip("10.0.1.2")]);
    // Without node-ip it is the first address.
    assert_eq!(lab.nodes[2].addresses, [ip("10.0.2.2")]);
    // Kind's own network, where nothing is said.
    assert_eq!(cidrs(&lab)[4], ["10.244.4.0/24"]);
    assert!(lab.routers.is_empty());
}

#[test]
fn families_of_pod_networks() {
    let of = |networking: &str| cidrs(&cluster(networking, &[("control-plane", ""), ("worker", "")]).lab());
    assert_eq!(of("networking: {ipFamily: ipv6}\n"), [["fd00:10:244::/64"], ["fd00:10:244:1::/64"]]);
    assert_eq!(
        of("networking: {ipFamily: dual}\n"),
        [["10.244.0.0/24", "fd00:10:244::/64"], ["10.244.1.0/24", "fd00:10:244:1::/64"]]
    );
    assert_eq!(
        of("networking: {podSubnet: \"fd00:1::/56,10.7.3.0/22\"}\n"),
        [["fd00:1::/64", "10.7.0.0/24"], ["fd00:1:0:1::/64", "10.7.1.0/24"]]
    );
    let errors = cluster("", &[("worker", "")]).errors();
    assert!(
        errors[0].ends_with("no node has the role control-plane; Kind makes no such cluster"),
        "{errors:?}"
    );
}

#[test]
fn node_manifests_over_the_kind_file() {
    let node = "
kind: Node
apiVersion: v1
metadata:
  name: clab-bgp-cplane-demo-worker2
  labels: {rack: rack0, size: big}
  annotations: {cilium.io/bgp-virtual-router.65010: router-id=9.9.9.9}
spec: {podCIDR: 10.1.77.0/24, podCIDRs: [10.1.77.0/24, \"fd00:77::/64\"]}
---
kind: Node
apiVersion: v1
metadata: {name: clab-bgp-cplane-demo-worker3}
status: {addresses: [{type: InternalIP, address: 10.0.4.2}, {type: Hostname, address: x}]}
";
    let lab = Copy::new().manifest("nodes.yaml", node).lab();
    assert_eq!(
        cidrs(&lab),
        [vec!["10.1.0.0/24"], vec!["10.1.1.0/24"], vec!["10.1.77.0/24", "fd00:77::/64"], vec!["10.1.3.0/24"]]
    );
    let node = &lab.nodes[2];
    assert_eq!((node.labels["rack"].as_str(), node.labels["size"].as_str()), ("rack0", "big"));
    assert_eq!(node.annotations.len(), 1);
    assert_eq!(node.addresses, [ip("10.0.3.2")]);
    // The snapshot says the same, in the Kind file's order, once each.
    let names: Vec<_> = lab.snapshot.nodes().map(|stored| &stored.object.metadata.name).collect();
    assert_eq!(names, lab.nodes.iter().map(|node| &node.name).collect::<Vec<_>>());
    let stored = lab.snapshot.node(&node.name).unwrap();
    assert!(stored.origin.file().ends_with("nodes.yaml"));
    assert_eq!(stored.object.pod_cidrs(), node.pod_cidrs);
    let compiled = compile(&lab.snapshot, &node.name);
    assert_eq!(compiled.policy.as_deref(), Some("rack0"));
    assert_eq!(compiled.instances["65010"].router_id.to_string(), "9.9.9.9");
    assert!(lab.snapshot.node(&lab.nodes[0].name).unwrap().origin.file().ends_with("cluster.yaml"));
}

#[test]
fn node_manifests_that_do_not_fit() {
    let node = "
kind: Node
apiVersion: v1
metadata: {name: stranger}
---
kind: Node
apiVersion: v1
metadata: {name: clab-bgp-cplane-demo-worker}
spec: {podCIDR: 10.1.0.0/16}
---
kind: Node
apiVersion: v1
metadata: {name: clab-bgp-cplane-demo-worker3}
spec: {podCIDR: ten}
";
    let copy = Copy::new().manifest("nodes.yaml", node);
    let (lab, _) = copy.load();
    let lab = lab.unwrap();
    assert_eq!(lab.snapshot.nodes().count(), 4);
    assert_eq!(cidrs(&lab)[3], ["10.1.3.0/24"], "a manifest that is wrong says nothing");
    let errors = copy.errors();
    let expected = [
        ("cluster.yaml:33:5", "10.1.2.0/24 overlaps 10.1.0.0/16 of clab-bgp-cplane-demo-worker"),
        ("cluster.yaml:40:5", "10.1.3.0/24 overlaps 10.1.0.0/16 of clab-bgp-cplane-demo-worker"),
        ("nodes.yaml:4:18", "the cluster has no such node; it has clab-bgp-cplane-demo-control-plane, "),
        ("nodes.yaml:9:7", "10.1.0.0/16 overlaps 10.1.0.0/24 of clab-bgp-cplane-demo-control-plane"),
        ("nodes.yaml:14:17", "expected"),
    ];
    for (place, message) in expected {
        let found = errors.iter().find(|error| error.starts_with(place) && error.contains(message));
        assert!(found.is_some(), "{place} {message}: {errors:#?}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn where_pods_go() {
    let pod = |name: &str, spec: &str| {
        format!("kind: Pod\napiVersion: v1\nmetadata: {{name: {name}, namespace: n}}\nspec: {spec}\n---\n")
    };
    let rack0 = "nodeSelector: {rack: rack0}";
    let pods = [
        pod("any", "{}"),
        pod("again", &format!("{{{rack0}}}")),
        pod("named", "{nodeName: clab-bgp-cplane-demo-control-plane}"),
        pod("elsewhere", "{nodeName: x}"),
        pod("control", "{nodeSelector: {node-role.kubernetes.io/control-plane: \"\"}}"),
        pod("tolerant", &format!("{{{rack0}, tolerations: [{{operator: Exists}}]}}")),
        pod(
            "precise",
            &format!(
                "{{{rack0}, tolerations: [{{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}}]}}"
            ),
        ),
        pod("other", &format!("{{{rack0}, tolerations: [{{key: other, operator: Exists}}]}}")),
        "kind: List\napiVersion: v1\nitems: [{kind: Pod, apiVersion: v1, metadata: {name: listed}}]\n"
            .to_owned(),
    ];
    let mut copy = Copy::new().manifest("pods.yaml", &pods.concat());
    copy.inputs.manifests.remove(1);
    let (lab, faults) = copy.load();
    let lab = lab.unwrap();
    let found: Vec<String> = lab
        .pods
        .iter()
        .map(|pod| {
            let node = pod.node.as_deref().map_or("nowhere", |node| &node["clab-bgp-cplane-demo-".len()..]);
            format!(
                "{}/{} {node} {}",
                pod.namespace,
                pod.name,
                pod.address.map_or(String::new(), |a| a.to_string())
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "n/any worker 10.1.1.10",
            "n/again worker 10.1.1.11",
            "n/named control-plane 10.1.0.10",
            "n/elsewhere nowhere ",
            "n/control nowhere ",
            "n/tolerant control-plane 10.1.0.11",
            "n/precise control-plane 10.1.0.12",
            "n/other worker 10.1.1.12",
            "default/listed worker 10.1.1.13",
        ]
    );
    assert_eq!(faults.iter().filter(|fault| fault.message.starts_with("no node fits")).count(), 2);
    // Kind takes the taint away where there is nothing else.
    let pod = "kind: Pod\napiVersion: v1\nmetadata: {name: p}\n";
    let lab = cluster("", &[("control-plane", "")]).manifest("pod.yaml", pod).lab();
    assert_eq!(lab.pods[0].node.as_deref(), Some("clab-l-k-control-plane"));
}

#[test]
fn the_management_network() {
    let addresses = |head: &str, router: &str| {
        let lab = Copy::new()
            .replace("topo.yaml", "name: bgp-cplane-demo\n", &format!("name: bgp-cplane-demo\n{head}"))
            .replace("topo.yaml", "    router0:\n", &format!("    router0:\n{router}"))
            .lab();
        let router = lab.router("router0").unwrap();
        let eth0 = router.connected.iter().find(|attached| attached.interface == "eth0");
        let prefixes: Vec<String> = router.desired.originate.keys().map(ToString::to_string).collect();
        (eth0.map(|attached| attached.address.to_string()), prefixes.join(" "))
    };
    let of = |address: &str, prefixes: &str| (Some(address.to_owned()), prefixes.to_owned());
    assert_eq!(addresses("", ""), of("172.20.20.2/24", "10.0.0.0/32 172.20.20.0/24"));
    let mgmt = "mgmt: {network: x, ipv4-subnet: 192.168.7.0/28}\n";
    assert_eq!(addresses(mgmt, ""), of("192.168.7.2/28", "10.0.0.0/32 192.168.7.0/28"));
    let asked = "      mgmt-ipv4: 192.168.7.9\n";
    assert_eq!(addresses(mgmt, asked), of("192.168.7.9/28", "10.0.0.0/32 192.168.7.0/28"));
    assert_eq!(addresses("", "      network-mode: none\n"), (None, "10.0.0.0/32".to_owned()));
    assert_eq!(addresses("", "      network-mode: bridge\n").1, "10.0.0.0/32 172.20.20.0/24");

    let small = Copy::new().replace(
        "topo.yaml",
        "name: bgp-cplane-demo\n",
        "name: bgp-cplane-demo\nmgmt: {ipv4-subnet: 10.7.0.0/30}\n",
    );
    let errors = small.errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].ends_with("10.7.0.0/30 has no address left for tor0"), "{}", errors[0]);
}

/// A wrong first line of a block is one fault, not one for every line in it.
#[test]
fn one_fault_for_a_block() {
    let errors = Copy::new().replace("topo.yaml", "'router bgp 65010'", "'router bgp AS65010'").errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let copy = Copy::new();
    let text = std::fs::read_to_string(copy.path("topo.yaml")).unwrap();
    let errors = copy.write("topo.yaml", &text.replacen("ipv4 unicast", "vpnv4 unicast", 1)).errors();
    assert_eq!(errors.len(), 1, "{errors:#?}");
}
