//! What the oracle expects of the lab and of changed copies of it: figures that were worked out by hand.

mod support;

use std::collections::BTreeSet;

use ipnet::IpNet;
use peerage_kubernetes::Snapshot;
use peerage_lab_input::{
    Lab,
    expect::{self, Expected},
};
use support::Copy;

const BEFORE: [&str; 8] = [
    "10.0.0.0/32",
    "10.0.0.1/32",
    "10.0.0.2/32",
    "10.0.1.0/24",
    "10.0.2.0/24",
    "10.0.3.0/24",
    "10.0.4.0/24",
    "172.20.20.0/24",
];
const PODS: [&str; 4] = ["10.1.0.0/24", "10.1.1.0/24", "10.1.2.0/24", "10.1.3.0/24"];

fn nets(lists: &[&[&str]]) -> BTreeSet<IpNet> {
    lists.concat().iter().map(|net| net.parse().unwrap()).collect()
}

/// `PREFIX from NEIGHBOUR AS PATH`
fn table(expected: &Expected, router: &str) -> Vec<String> {
    let routes = expected.routers[router].iter();
    routes
        .map(|(prefix, route)| {
            let path: Vec<String> = route.as_path.iter().map(ToString::to_string).collect();
            format!("{prefix} {} {}", route.from.as_deref().unwrap_or("own"), path.join(" "))
        })
        .collect()
}

fn both(lab: &Lab) -> (usize, usize) {
    (expect::before(lab).prefixes("router0").len(), expect::after(lab).prefixes("router0").len())
}

fn missing(expected: &Expected) -> Vec<String> {
    expected.missing().map(|session| format!("{} {}", session.a, session.a_key)).collect()
}

#[test]
fn the_lab() {
    let lab = Copy::new().lab();
    let before = expect::before(&lab);
    assert_eq!(before.prefixes("router0"), nets(&[&BEFORE]));
    assert_eq!(before.sessions.len(), 2);
    let after = expect::after(&lab);
    assert_eq!(after.prefixes("router0"), nets(&[&BEFORE, &PODS]));
    assert_eq!(after.prefixes("tor0"), nets(&[&BEFORE, &PODS, &["0.0.0.0/0"]]));
    assert_eq!(after.prefixes("tor1"), after.prefixes("tor0"));
    assert_eq!(after.sessions.len(), 6);
    assert_eq!(missing(&after), [""; 0]);
    // ../shared/reference/lab.md has these from FRR.
    assert_eq!(
        table(&after, "tor0"),
        [
            "0.0.0.0/0 net0 65000",
            "10.0.0.0/32 net0 65000",
            "10.0.0.1/32 own ",
            "10.0.0.2/32 net0 65000 65011",
            "10.0.1.0/24 own ",
            "10.0.2.0/24 own ",
            "10.0.3.0/24 net0 65000 65011",
            "10.0.4.0/24 net0 65000 65011",
            "10.1.0.0/24 10.0.1.2 ",
            "10.1.1.0/24 10.0.2.2 ",
            "10.1.2.0/24 net0 65000 65011",
            "10.1.3.0/24 net0 65000 65011",
            "172.20.20.0/24 net0 65000",
        ]
    );
    let session = &after.sessions[2];
    assert_eq!(
        (session.a.as_str(), session.a_key.as_str()),
        ("clab-bgp-cplane-demo-control-plane", "10.0.0.1")
    );
    assert_eq!((session.b.as_str(), session.b_key.as_str()), ("tor0", "10.0.1.2"));
    // One policy less.
    let mut policies = Snapshot::new();
    let rack1 = lab.snapshot.policy("rack1").unwrap();
    policies.add_policy(rack1.object.clone(), rack1.origin.clone());
    let one = expect::expected(&lab, &policies);
    assert_eq!(one.prefixes("router0"), nets(&[&BEFORE, &PODS[2..]]));
}

#[test]
fn other_as_numbers() {
    let lab = Copy::new()
        .replace_all("topo.yaml", "65000", "4200000000")
        .replace_all("topo.yaml", "65010'", "64601'")
        .replace_all("topo.yaml", "65011'", "64602'")
        .replace_all("cilium-bgp-peering-policies.yaml", "65010", "64601")
        .replace_all("cilium-bgp-peering-policies.yaml", "65011", "64602")
        .lab();
    assert_eq!(both(&lab), (8, 12));
    let after = expect::after(&lab);
    assert!(table(&after, "router0").contains(&"10.1.3.0/24 net1 64602".to_owned()));
    assert!(table(&after, "tor0").contains(&"10.1.3.0/24 net0 4200000000 64602".to_owned()));
}

#[test]
fn another_pod_network() {
    let lab = Copy::new().replace("cluster.yaml", "10.1.0.0/16", "10.9.0.0/16").lab();
    let pods = ["10.9.0.0/24", "10.9.1.0/24", "10.9.2.0/24", "10.9.3.0/24"];
    assert_eq!(expect::after(&lab).prefixes("router0"), nets(&[&BEFORE, &pods]));
}

/// A fifth node on rack 1.
fn five() -> Copy {
    Copy::new()
        .append(
            "cluster.yaml",
            "  - role: worker\n    kubeadmConfigPatches:\n      - |\n        kind: JoinConfiguration\n        \
             nodeRegistration:\n          kubeletExtraArgs: {node-ip: 10.0.5.2, node-labels: rack=rack1}\n",
        )
        .replace(
            "topo.yaml",
            "  links:\n",
            "    server4:\n      kind: linux\n      network-mode: container:worker4\n      exec:\n        - ip addr \
             add 10.0.5.2/24 dev net0\n        - ip route add default via 10.0.5.1\n\n  links:\n",
        )
        .append("topo.yaml", "    - endpoints: [tor1:net3, server4:net0]\n")
        .replace(
            "topo.yaml",
            "        - ip addr add 10.0.4.1/24 dev net2\n",
            "        - ip addr add 10.0.4.1/24 dev net2\n        - ip addr add 10.0.5.1/24 dev net3\n",
        )
        .replace(
            "topo.yaml",
            "          -c   'neighbor 10.0.4.2 peer-group SERVERS'\n",
            "          -c   'neighbor 10.0.4.2 peer-group SERVERS'\n          -c   'neighbor 10.0.5.2 peer-group SERVERS'\n",
        )
}

#[test]
fn a_fifth_node() {
    let lab = five().lab();
    // Its subnet is the ninth, its pods' network the fourteenth.
    assert_eq!(both(&lab), (9, 14));
    assert_eq!(lab.nodes[4].name, "clab-bgp-cplane-demo-worker4");
    let more = ["10.0.5.0/24", "10.1.4.0/24"];
    assert_eq!(expect::after(&lab).prefixes("router0"), nets(&[&BEFORE, &PODS, &more]));
}

#[test]
fn a_fifth_node_on_a_subnet_that_is_there() {
    // Two servers cannot share a link, but two links may share a subnet.
    let lab = five()
        .replace("topo.yaml", "10.0.5.1/24 dev net3", "10.0.4.254/24 dev net3")
        .replace("topo.yaml", "10.0.5.2/24", "10.0.4.3/24")
        .replace("topo.yaml", "via 10.0.5.1", "via 10.0.4.254")
        .replace("topo.yaml", "neighbor 10.0.5.2", "neighbor 10.0.4.3")
        .replace("cluster.yaml", "node-ip: 10.0.5.2", "node-ip: 10.0.4.3")
        .lab();
    assert_eq!(both(&lab), (8, 13));
}

#[test]
fn tor1_without_redistribute_connected() {
    let copy = Copy::new();
    let text = std::fs::read_to_string(copy.path("topo.yaml")).unwrap();
    let at = text.rfind("          -c     'redistribute connected'\n").unwrap();
    let line = text[at..].find('\n').unwrap() + 1;
    let lab = copy.write("topo.yaml", &(text[..at].to_owned() + &text[at + line..])).lab();
    assert_eq!(both(&lab), (5, 9));
    assert_eq!(missing(&expect::after(&lab)), [""; 0]);
}

#[test]
fn router0_with_rfc_8212() {
    let lab = Copy::new()
        .replace(
            "topo.yaml",
            "'bgp router-id 10.0.0.0'\n          -c   'no bgp ebgp-requires-policy'",
            "'bgp router-id 10.0.0.0'",
        )
        .lab();
    assert_eq!(both(&lab), (2, 2));
    let after = expect::after(&lab);
    assert_eq!(after.prefixes("router0"), nets(&[&["10.0.0.0/32", "172.20.20.0/24"]]));
    assert!(after.sessions.iter().all(|session| session.down.is_none()));
    assert!(lab.router("router0").unwrap().show.ebgp_requires_policy);
}

#[test]
fn one_wrong_peer_as() {
    let lab =
        Copy::new().replace("cilium-bgp-peering-policies.yaml", "peerASN: 65011", "peerASN: 65012").lab();
    let after = expect::after(&lab);
    assert_eq!(
        missing(&after),
        ["clab-bgp-cplane-demo-worker2 10.0.0.2", "clab-bgp-cplane-demo-worker3 10.0.0.2"]
    );
    assert_eq!(after.prefixes("router0"), nets(&[&BEFORE, &PODS[..2]]));
}

#[test]
fn a_peer_that_nobody_has() {
    let lab = Copy::new().replace("cilium-bgp-peering-policies.yaml", "10.0.0.2/32", "10.0.0.9/32").lab();
    let after = expect::after(&lab);
    assert_eq!(after.missing().count(), 2);
    assert_eq!(both(&lab), (8, 10));
}

#[test]
fn no_agents() {
    let lab = Copy::new().replace("values.yaml", "enabled: true", "enabled: false").lab();
    assert!(!lab.bgp_enabled);
    assert_eq!(both(&lab), (8, 8));
}

#[test]
fn two_policies_on_a_node() {
    let more = "kind: CiliumBGPPeeringPolicy\napiVersion: cilium.io/v2alpha1\nmetadata: {name: all}\nspec: \
                {virtualRouters: [{localASN: 1, neighbors: [{peerAddress: 10.0.0.1/32, peerASN: 1}]}]}\n";
    let lab = Copy::new().manifest("all.yaml", more).lab();
    assert_eq!(both(&lab), (8, 8));
}

#[test]
fn a_route_reflector_and_an_internal_fabric() {
    // The tors in router0's AS: what one says reaches the other only by reflection.
    let inside = || {
        Copy::new()
            .replace_all("topo.yaml", "remote-as external", "remote-as internal")
            .replace_all("topo.yaml", "65010'", "65000'")
            .replace_all("topo.yaml", "65011'", "65000'")
            .replace_all("cilium-bgp-peering-policies.yaml", "65010", "65000")
            .replace_all("cilium-bgp-peering-policies.yaml", "65011", "65000")
    };
    let lab = inside().lab();
    // Pods' networks are internal to the tors already.
    assert_eq!(both(&lab), (8, 8));
    let reflecting = inside()
        .replace_all(
            "topo.yaml",
            "          -c   'neighbor SERVERS remote-as internal'\n",
            "          -c   'neighbor SERVERS remote-as internal'\n          -c   'neighbor SERVERS route-reflector-client'\n",
        )
        .lab();
    assert_eq!(both(&reflecting), (8, 12));
    assert_eq!(expect::after(&reflecting).prefixes("tor0").len(), 3 + 2 + 3);
}
