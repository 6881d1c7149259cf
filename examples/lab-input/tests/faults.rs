//! Every kind of line, broken: the fault names the file, the line and what would be right.

mod support;

use std::fs;

use peerage_lab_input::{Inputs, load};
use proptest::prelude::*;
use support::{Copy, errors};

const CLUSTER: &str = "cluster.yaml";
const TOPO: &str = "topo.yaml";
const POLICIES: &str = "cilium-bgp-peering-policies.yaml";
const PODS: &str = "nettool.yaml";
const VALUES: &str = "values.yaml";

/// In copies of the lab's files `from` becomes `to`, which makes the only line of `file` that begins
/// with `at` wrong: there is one error, about that line, and `message` is part of it.
fn check(file: &str, broken: &[(&str, &str, &str, &str)]) {
    for (from, to, at, message) in broken {
        let copy = Copy::new().replace(file, from, to);
        let text = fs::read_to_string(copy.path(file)).unwrap();
        let lines = (1..).zip(text.lines()).filter(|(_, line)| line.trim_start().starts_with(at));
        let lines: Vec<usize> = lines.map(|(number, _)| number).collect();
        assert_eq!(lines.len(), 1, "one line of {file} has to begin with {at}");
        let (lab, faults) = copy.load();
        let found: Vec<_> = errors(&faults).collect();
        let [fault] = found.as_slice() else { panic!("{file}: {to}: {found:#?}") };
        assert!(fault.message.contains(message), "{to}: {}", fault.message);
        assert!(fault.file.ends_with(file), "{fault}");
        assert_eq!(fault.line, Some(lines[0]), "{fault}");
        assert!(fault.column.is_some(), "{fault}");
        // A manifest costs its own object only.
        assert_eq!(lab.is_some(), [POLICIES, PODS].contains(&file), "{to}");
    }
}

#[test]
fn the_kind_file() {
    let arguments = "kubeletExtraArgs: {node-ip: 10.0.3.2, node-labels: rack=rack1}";
    check(
        CLUSTER,
        &[
            ("kind: Cluster", "kind: Clutter", "kind: Clutter", "expected kind: Cluster, found `Clutter`"),
            ("io/v1alpha4", "io/v1", "apiVersion", "expected apiVersion: kind.x-k8s.io/v1alpha4, found"),
            ("networking:", "nets: {}\nnetworking:", "nets:", "Kind has no such key; expected one of kind, "),
            ("10.1.0.0/16", "10.1.0.0", "podSubnet", "`10.1.0.0` is not a network; expected one like"),
            ("10.1.0.0/16", "10", "podSubnet", "expected a text, found 10"),
            ("10.1.0.0/16", "10.1.0.0/23", "podSubnet", "room for 2 of 4 nodes; expected a shorter prefix"),
            ("10.1.0.0/16", "10.1.0.0/25", "podSubnet", "room for 0 of 4 nodes"),
            ("10.1.0.0/16", "10.1.0.0/16,10.2.0.0/16", "podSubnet", "10.2.0.0/16 is a second network"),
            ("networking:", "networking:\n  ipFamily: v5", "ipFamily", "`v5` is not a family; expected ipv4"),
            (
                arguments,
                "kubeletExtraArgs: {node-ip: ten}",
                "kubeletExtraArgs: {node-ip: ten",
                "`ten` is not",
            ),
            (
                arguments,
                "kubeletExtraArgs: {node-ip: 10.0.3.2, node-labels: rack}",
                "kubeletExtraArgs: {node-ip: 10.0.3.2",
                "`rack` is not a label; expected KEY=VALUE",
            ),
            (
                arguments,
                "kubeletExtraArgs: {node-ip: 10.0.3.9}",
                "kubeletExtraArgs: {node-ip: 10.0.3.9",
                "10.0.3.9 is on no interface of server2, which joins clab-bgp-cplane-demo-worker2",
            ),
            (
                arguments,
                "kubeletExtraArgs: {node-ip: \"10.0.3.2,10.0.3.3\"}",
                "kubeletExtraArgs: {node-ip: \"10",
                "10.0.3.3 is a second address of one family",
            ),
            (
                arguments,
                "kubeletExtraArgs: none",
                "kubeletExtraArgs: none",
                "expected a mapping, found `none`",
            ),
            (arguments, "kubeletExtraArgs: [{name: x}]", "kubeletExtraArgs: [", "expected name and value"),
            (
                "kind: InitConfiguration",
                "kined: InitConfiguration",
                "kined",
                "a patch without kind; expected InitConfiguration or JoinConfiguration",
            ),
            ("10.1.0.0/16", "}", "podSubnet", "not valid YAML"),
        ],
    );
}

#[test]
fn exec_lines() {
    let address = "ip addr add 10.0.0.0/32 dev lo";
    let route = "ip route replace default via 10.0.3.1";
    check(
        TOPO,
        &[
            (
                address,
                "ip addr add 10.0.0.0/99 dev lo",
                "- ip addr add 10.0.0.0/99",
                "is not an address with",
            ),
            (
                address,
                "ip addr add 10.0.0.0/32 dev lo0",
                "- ip addr add 10.0.0.0/32",
                "no interface lo0 here",
            ),
            (
                address,
                "ip addr del 10.0.0.0/32 dev lo",
                "- ip addr del",
                "is not understood; understood are: ip",
            ),
            (address, "sleep 1", "- sleep", "`sleep 1` is not understood; understood are: ip addr add"),
            (address, "\"\"", "- \"\"", "an empty line; expected a command"),
            (
                address,
                "ip addr add 10.0.0.0/32 dev lo ; rm -rf /",
                "- ip addr add 10.0.0.0/32 dev lo ;",
                "is not understood",
            ),
            (address, "ip link del $(reboot)", "- ip link del $", "has no interface $(reboot) here"),
            (address, "rm -rf /", "- rm -rf", "`rm -rf /` is not understood"),
            (address, "ip 'addr", "- ip 'addr", "a ' is opened and not closed"),
            (address, "[ip, addr]", "- [ip", "expected a text, found a list"),
            (address, "ip link set lo down", "- ip link set", "is not understood"),
            (
                address,
                "ip link del net0",
                "- ip link del net0",
                "expected eth0, the only interface to delete",
            ),
            (
                address,
                "ip link del net7",
                "- ip link del net7",
                "router0 has no interface net7 here; it has eth0",
            ),
            (
                "ip addr add 10.0.1.1/24 dev net1",
                "ip addr add 10.0.1.1/24 dev eth0",
                "- ip addr add 10.0.1.1/24",
                "tor0 has no interface eth0 here; it has lo, net0, net1, net2",
            ),
            (
                "blackhole 10.0.0.0/8",
                "blackhole 10.0.0.1/8",
                "- ip route add",
                "10.0.0.0/8 would be a prefix",
            ),
            (
                route,
                "ip route replace default via 10.7.3.1",
                "- ip route replace default via 10.7",
                "10.7.3.1 is not on a network of server2; expected an `ip addr add` line for it before",
            ),
            (
                route,
                "ip route replace default via 10.0.3.1 dev lo",
                "- ip route replace default via 10.0.3.1",
                "10.0.3.1 is not on a network of server2 on lo",
            ),
            (
                route,
                "ip route replace default via x",
                "- ip route replace default via x",
                "`x` is not an address",
            ),
            ("-o eth0 -j MASQUERADE", "-o eth0 -j DROP", "- iptables", "is not understood"),
            (
                "topology:\n",
                "topology:\n  groups: {x: {exec: [ls]}}\n",
                "groups",
                "exec is read at nodes only",
            ),
        ],
    );
}

#[test]
fn frr_s_lines() {
    let id = "'bgp router-id 10.0.0.2'";
    check(
        TOPO,
        &[
            (
                id,
                "'bgp router-id two'",
                "-c   'bgp router-id two'",
                "`two` is not a router id; expected an IPv4",
            ),
            (
                id,
                "'bgp  dampening'",
                "-c   'bgp  dampening'",
                "`bgp  dampening` is not understood; understood are:",
            ),
            (id, "'write file'", "-c   'write file'", "`write file` is not understood"),
            (id, "'do shell'", "-c   'do shell'", "`do shell` is not understood"),
            (id, "'log file /etc/frr'", "-c   'log file", "`log file /etc/frr` is not understood"),
            (
                id,
                "\"bgp router-id 10.0.0.2\\nlog file /etc/frr\"",
                "-c   \"bgp router-id",
                "is not understood",
            ),
            (
                id,
                "'router bgp 65012'",
                "-c   'router bgp 65012'",
                "there is a router bgp 65011 already in line",
            ),
            (
                id,
                "'neighbor net1 remote-as 7'",
                "-c   'neighbor net1 remote-as 7'",
                "net1 is no address, and",
            ),
            (
                id,
                "'bgp router-id 10.0.0.2' -d",
                "-c   'bgp router-id 10.0.0.2' -d",
                "vtysh: `-d` is not understood; expected -c 'COMMAND'",
            ),
            (
                "'neighbor 10.0.3.2 peer-group SERVERS'",
                "'neighbor 10.0.3.2 peer-group SERVICE'",
                "-c   'neighbor 10.0.3.2",
                "there is no peer group SERVICE; `neighbor SERVICE peer-group` has to come first",
            ),
            (
                "'neighbor 10.0.3.2 peer-group SERVERS'",
                "'neighbor 10.0.3.2 description rack one'",
                "-c   'neighbor 10.0.3.2",
                "there is no neighbour 10.0.3.2 yet; its remote-as or peer-group has to come first",
            ),
            (
                "'neighbor net1 interface peer-group ROUTERS'",
                "'neighbor net9 interface peer-group ROUTERS'",
                "-c   'neighbor net9",
                "router0 has no link on net9; expected one in topology.links",
            ),
        ],
    );
}

#[test]
fn the_topology() {
    let router = "labels: {app: frr}\n      exec:\n        - ip addr add 10.0.0.0/32 dev lo";
    let with = |more: &str| format!("{more}\n      exec:\n        - ip addr add 10.0.0.0/32 dev lo");
    check(
        TOPO,
        &[
            (
                "name: bgp-cplane-demo\n\n",
                "name: bgp-cplane-demo\nmgmt: []\n",
                "mgmt",
                "expected a mapping, found a list",
            ),
            (
                "name: bgp-cplane-demo\n",
                "name: bgp-cplane-demo\nmgmt:\n  ipv4-subnet: 172.20.20.0\n",
                "ipv4-subnet",
                "`172.20.20.0` is not an IPv4 network; expected one like 172.20.20.0/24",
            ),
            (
                "linux: {cmd: bash}",
                "linux: {exec: [ls]}",
                "linux: {exec",
                "exec is read at nodes only; expected it at",
            ),
            (
                router,
                &with("kind2: x\n      network-mode: host"),
                "network-mode: host",
                "`host` is not understood",
            ),
            (router, &with("mgmt-ipv4: 10.1.1.1"), "mgmt-ipv4", "10.1.1.1 is not in 172.20.20.0/24"),
            (router, &with("mgmt-ipv4: x"), "mgmt-ipv4", "`x` is not an IPv4 address; expected one of"),
            ("  links:\n", "  links:\n    - {}\n", "- {}", "expected two endpoints, each NODE:INTERFACE"),
            (
                "  links:\n",
                "  links:\n    - endpoints: [tor0, \"tor1:x\"]\n",
                "- endpoints: [tor0",
                "expected an endpoint like router0:net0",
            ),
            (
                "  links:\n",
                "  links:\n    - endpoints: [\"tor0:../../etc\", \"tor1:x\"]\n",
                "- endpoints: [\"tor0:..",
                "`../../etc` is no interface's name; expected 1 to 15 letters",
            ),
            (
                "  links:\n",
                "  links:\n    - endpoints: [\"tor0:abcdefghijklmnop\", \"tor1:x\"]\n",
                "- endpoints: [\"tor0:abc",
                "is no interface's name",
            ),
            ("  links:\n", "    ../etc: {}\n  links:\n", "../etc: {}", "a node's name has 1 to 63 letters"),
            (
                "  links:\n",
                "  links:\n    - endpoints: [\"tor9:x\", \"tor1:x\"]\n",
                "- endpoints: [\"tor9",
                "there is no node tor9; the topology's nodes are router0, tor0, tor1, server0",
            ),
            (
                "  links:\n",
                "  links:\n    - endpoints: [\"tor0:eth0\", \"tor1:x\"]\n",
                "- endpoints: [\"tor0:eth0",
                "eth0 is there already and cannot be linked",
            ),
            (
                "    # rack 0\n",
                "    - endpoints: [\"tor0:x\", \"router0:net0\"]\n",
                "- endpoints: [\"tor0:x",
                "router0:net0 has a link already, in line ",
            ),
            (
                "  links:\n",
                "  links:\n    - {type: vxlan, endpoints: [\"tor0:x\", \"tor1:x\"]}\n",
                "- {type: vxlan",
                "expected veth, the only kind of link here",
            ),
        ],
    );
}

#[test]
fn policies_pods_and_values() {
    check(
        POLICIES,
        &[
            ("10.0.0.2/32", "10.0.0/32", "- {peerAddress: 10.0.0/32", "expected"),
            ("localASN: 65011", "localASN: -1", "- localASN: -1", "expected"),
        ],
    );
    check(
        PODS,
        &[
            ("{rack: rack1}", "{rack: 1}", "nodeSelector: {rack: 1}", "expected a text, found 1"),
            ("{name: nettool-2, labels", "{labels", "metadata: {labels", "a pod without a name"),
            (
                "{name: nettool-2, labels",
                "{name: nettool-1, labels",
                "metadata: {name: nettool-1, labels: {run: nettool-2",
                "a pod of that name",
            ),
        ],
    );
    check(
        VALUES,
        &[
            (
                "{enabled: true}",
                "{enabled: \"yes\"}",
                "bgpControlPlane",
                "expected true or false, found `yes`",
            ),
            ("{enabled: true}", "on", "bgpControlPlane", "expected a mapping, found `on`"),
            ("tunnel: disabled", "tunnel: disabled\n---\nx: 1", "x: 1", "a second document; expected one"),
        ],
    );
}

/// Changes with more than one consequence: all of them are said at once, in the order of the lines.
#[test]
fn names_that_do_not_meet() {
    let copy = Copy::new().replace(TOPO, "container:worker2", "container:worker7");
    assert_eq!(
        copy.errors(),
        [
            "cluster.yaml:33:5: Node/clab-bgp-cplane-demo-worker2: nodes[2]: no node of the topology joins it; \
             expected one with network-mode: container:worker2",
            "topo.yaml:128:21: server2: topology.nodes.server2.network-mode: container:worker7 is \
             clab-bgp-cplane-demo-worker7 to Containerlab, which is none of the cluster's nodes: \
             clab-bgp-cplane-demo-control-plane, clab-bgp-cplane-demo-worker, clab-bgp-cplane-demo-worker2, \
             clab-bgp-cplane-demo-worker3",
        ]
    );
    // The other end of it: Containerlab's name for the container comes from the topology's.
    let copy = Copy::new().replace(CLUSTER, "name: clab-bgp-cplane-demo\n", "name: demo\n");
    assert_eq!(copy.errors().len(), 8);
    let copy = copy.replace(TOPO, "name: bgp-cplane-demo\n", "name: bgp-cplane-demo\nprefix: \"\"\n");
    assert_eq!(copy.errors().len(), 8);
    let copy = copy.replace_all(TOPO, "container:", "container:demo-");
    assert_eq!(copy.errors(), [""; 0]);
    let (lab, _) = copy.load();
    let names: Vec<_> = lab.unwrap().nodes.into_iter().map(|node| (node.name, node.container)).collect();
    assert_eq!(names[2], ("demo-worker2".into(), "demo-worker2".into()));

    let copy = Copy::new().replace(TOPO, "container:worker2", "container:clab-bgp-cplane-demo-worker2");
    let (lab, _) = copy.load();
    assert_eq!(lab.unwrap().nodes[2].container, "worker2");

    let copy = Copy::new().replace(TOPO, "container:worker3", "container:worker2");
    let errors = copy.errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors[1].ends_with("clab-bgp-cplane-demo-worker2 is joined by server2 already"),
        "{}",
        errors[1]
    );
}

#[test]
fn every_fault_at_once() {
    let errors = Copy::new()
        .replace(CLUSTER, "io/v1alpha4", "io/v2")
        .replace(TOPO, "- ip addr add 10.0.0.0/32 dev lo", "- reboot")
        .replace(TOPO, "'neighbor 10.0.2.2 peer-group SERVERS'", "'neighbor 10.0.2.2 peer-group X'")
        .replace(POLICIES, "10.0.0.1/32", "tor0")
        .replace(VALUES, "{enabled: true}", "{enabled: 1}")
        .errors();
    let places: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "cluster.yaml:9:13",
            "topo.yaml:24:11",
            "topo.yaml:73:16",
            "values.yaml:2:28",
            "cilium-bgp-peering-policies.yaml:12:25"
        ]
    );
}

#[test]
fn a_server_without_its_link() {
    let copy = Copy::new().replace(TOPO, "    - endpoints: [\"tor1:net2\", \"server3:net0\"]\n", "");
    let errors = copy.errors();
    let ends = [
        "tor1 has no interface net2 here; it has lo, net0, net1",
        "server3 has no interface net0 here; it has eth0, lo",
        "10.0.4.1 is not on a network of server3; expected an `ip addr add` line for it before",
    ];
    for end in ends {
        assert!(errors.iter().any(|error| error.ends_with(end)), "{end}: {errors:#?}");
    }
    let copy = Copy::new().replace(
        TOPO,
        "      network-mode: container:worker2\n      exec:\n",
        "      network-mode: container:worker2\n      exec:\n        - vtysh -c 'conf t'\n",
    );
    assert!(copy.errors()[0].ends_with("a server that joins a node runs the lab's agent, not FRR"));
}

#[test]
fn files_that_are_not_there() {
    let copy = Copy::new();
    let inputs = Inputs {
        cluster: "no/cluster.yaml".into(),
        topology: "no/topo.yaml".into(),
        manifests: vec!["no/manifest.yaml".into()],
        values: Some("no/values.yaml".into()),
    };
    let (lab, faults) = load(&inputs);
    assert!(lab.is_none());
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], "no/cluster.yaml: there is no such file; --cluster FILE names another one");
    assert_eq!(texts[1], "no/topo.yaml: there is no such file; --topology FILE names another one");
    assert_eq!(texts[2], "no/values.yaml: there is no such file; --values FILE names another one");
    assert!(texts[3].starts_with("no/manifest.yaml: "));
    assert_eq!(texts.len(), 4);
    for file in [CLUSTER, TOPO, VALUES] {
        let errors = Copy::new().write(file, "# nothing\n").errors();
        assert!(errors.contains(&format!("{file}: the file is empty")), "{errors:?}");
        let errors = Copy::new().write(file, "- 1\n").errors();
        assert!(errors.iter().any(|error| error.contains("expected a mapping, found a list")), "{errors:?}");
    }
    drop(copy);
}

#[test]
fn what_has_no_effect_is_said() {
    let notices = Copy::new()
        .replace(CLUSTER, "networking:", "kubeadmConfigPatchesJSON6902: []\nnetworking:")
        .replace(
            CLUSTER,
            "  # rack 0: 10.1.1.0/24\n  - role: worker\n    kubeadmConfigPatches:\n",
            "  - role: worker\n    kubeadmConfigPatches:\n      - |\n        kind: InitConfiguration\n",
        )
        .replace(CLUSTER, "10.0.3.2, node-labels", "10.0.3.2, v: 5, node-labels")
        .replace(
            TOPO,
            "image: frrouting/frr:v8.2.2\n      labels: {app: frr}\n      exec:\n        - ip addr",
            "binds: [a]\n      exec:\n        - ip addr",
        )
        .replace(TOPO, "  nodes:\n", "  nodes:\n    spare: {kind: linux}\n")
        .replace(PODS, "{rack: rack1}", "{rack: rack7}")
        .write(VALUES, "bgpControlPlane: {secretsNamespace: {create: true}}\nx: [1]\ny: {}\n")
        .notices();
    let expected = [
        ("cluster.yaml:13:31", "no effect in the lab"),
        (
            "cluster.yaml:29:15",
            "no effect in the lab: clab-bgp-cplane-demo-worker is made by its JoinConfiguration, not by InitConfiguration",
        ),
        ("cluster.yaml:40:52", "v has no effect in the lab"),
        (
            "topo.yaml:17:12",
            "it has no `router bgp` line and joins no container of the cluster: no part in the lab",
        ),
        ("topo.yaml:22:14", "no effect in the lab"),
        (
            "values.yaml:1:18",
            "bgpControlPlane.enabled is not set, which in Cilium means false: no node runs an agent",
        ),
        ("values.yaml:1:46", "no effect in the lab"),
        ("values.yaml:2:5", "no effect in the lab"),
        ("values.yaml:3:4", "no effect in the lab"),
        ("nettool.yaml:14:17", "no node fits: the pod is not placed"),
    ];
    assert_eq!(notices.len(), expected.len(), "{notices:#?}");
    for (notice, (place, message)) in notices.iter().zip(expected) {
        assert!(notice.starts_with(&format!("{place}: notice: ")), "{place}: {notice}");
        assert!(notice.ends_with(&format!(": {message}")), "{message}: {notice}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any text at any line of any file is no panic.
    #[test]
    fn any_text_anywhere(file in 0..5_usize, at in any::<proptest::sample::Index>(), text in "\\PC*") {
        let file = [CLUSTER, TOPO, POLICIES, PODS, VALUES][file];
        let copy = Copy::new();
        let whole = fs::read_to_string(copy.path(file)).unwrap();
        let mut lines: Vec<&str> = whole.lines().collect();
        let at = at.index(lines.len());
        let indent = lines[at].len() - lines[at].trim_start().len();
        let line = format!("{}{text}", &lines[at][..indent]);
        lines[at] = &line;
        let _ = copy.write(file, &lines.join("\n")).load();
    }

    /// Any exec line too, and whatever vtysh is told.
    #[test]
    fn any_exec_line(text in "[^\"\\\\\\p{C}]*") {
        for line in [format!("\"{text}\""), format!("\"vtysh -c 'conf t' -c 'router bgp 1' -c {text}\"")] {
            let copy = Copy::new().replace(TOPO, "ip addr add 10.0.0.0/32 dev lo", &line);
            let (lab, faults) = copy.load();
            prop_assert!(lab.is_some() || errors(&faults).count() > 0);
        }
    }
}
