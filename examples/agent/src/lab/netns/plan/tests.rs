use std::path::Path;

use peerage_lab_input::{Inputs, Lab};

use super::*;

/// The lab's own files, with something replaced.
fn lab(changes: &[(&str, &str, &str)]) -> Lab {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab");
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let mut text = std::fs::read_to_string(entry.path()).unwrap();
        for (_, from, to) in changes.iter().filter(|(file, ..)| entry.file_name() == **file) {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        std::fs::write(directory.path().join(entry.file_name()), text).unwrap();
    }
    let inputs = Inputs {
        cluster: directory.path().join("cluster.yaml"),
        topology: directory.path().join("topo.yaml"),
        manifests: vec![directory.path().join("nettool.yaml")],
        values: None,
    };
    let (lab, faults) = peerage_lab_input::load(&inputs);
    lab.unwrap_or_else(|| panic!("{faults:?}"))
}

fn plan(changes: &[(&str, &str, &str)]) -> Plan {
    Plan::of(&lab(changes)).unwrap()
}

fn space<'a>(plan: &'a Plan, file: &str) -> &'a Space {
    plan.spaces.iter().find(|space| space.file == file).unwrap()
}

#[test]
fn the_article_as_namespaces() {
    let plan = plan(&[]);
    let files: Vec<&str> = plan.spaces.iter().map(|space| space.file.as_str()).collect();
    assert_eq!(
        files,
        [
            "nodes/router0",
            "nodes/tor0",
            "nodes/tor1",
            "nodes/server0",
            "nodes/server1",
            "nodes/server2",
            "nodes/server3",
            "management",
            "pods/nettool-1",
            "pods/nettool-2",
        ]
    );
    assert_eq!(plan.notices, [""; 0]);
    assert!(plan.spaces.iter().all(|space| space.forwards != space.file.starts_with("pods/")));
}

/// What is told to `ip` in each namespace, and that nothing else is.
#[test]
fn each_namespace_s_commands() {
    let plan = plan(&[]);
    for (file, commands) in [
        (
            "nodes/router0",
            &[
                "link set lo up",
                "link set eth0 up",
                "link set net1 up",
                "link set net0 up",
                "address add 172.20.20.2/24 dev eth0",
                "address add 10.0.0.0/32 dev lo",
                "route replace blackhole 10.0.0.0/8",
                "route add default via 172.20.20.1 dev eth0",
            ][..],
        ),
        (
            "nodes/tor0",
            &[
                "link set lo up",
                "link set net2 up",
                "link set net1 up",
                "link set net0 up",
                "address add 10.0.0.1/32 dev lo",
                "address add 10.0.1.1/24 dev net1",
                "address add 10.0.2.1/24 dev net2",
            ],
        ),
        (
            "nodes/server1",
            &[
                "link set lo up",
                "link set lxc0 up",
                "link set net0 up",
                "link set cilium_net up",
                "link set cilium_host up",
                "address add 10.1.1.1/32 dev cilium_host",
                "route add unreachable 10.1.1.0/24 metric 4278198272",
                "route add 10.1.1.10/32 dev lxc0",
                "address add 10.0.2.2/24 dev net0",
                "route replace 0.0.0.0/0 via 10.0.2.1 dev net0",
            ],
        ),
        (
            "pods/nettool-1",
            &[
                "link set lo up",
                "link set eth0 up",
                "address add 10.1.1.10/32 dev eth0",
                "route add 10.1.1.1 dev eth0 scope link",
                "route add default via 10.1.1.1 dev eth0",
            ],
        ),
        (
            "management",
            &[
                "link set lo up",
                "link set port0 up",
                "link add bridge up type bridge",
                "link set port0 master bridge",
                "address add 172.20.20.1/24 dev bridge",
            ],
        ),
    ] {
        assert_eq!(space(&plan, file).ip, commands, "{file}");
    }
    let words = ["-w", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"];
    assert_eq!(space(&plan, "nodes/router0").rules, [("iptables", words.map(str::to_owned).to_vec())]);
    assert!(
        plan.spaces.iter().filter(|space| space.file != "nodes/router0").all(|space| space.rules.is_empty())
    );
}

/// The kernel makes the link-local addresses of the loopback lab from these.
#[test]
fn the_veths_in_order() {
    let lab = lab(&[]);
    let plan = Plan::of(&lab).unwrap();
    let ends = |port: &Port| format!("{}:{}", port.space, port.interface);
    let links: Vec<String> =
        plan.links.iter().map(|link| format!("{} {}", ends(&link.a), ends(&link.b))).collect();
    assert_eq!(
        links,
        [
            "nodes/server0:cilium_host nodes/server0:cilium_net",
            "nodes/server1:cilium_host nodes/server1:cilium_net",
            "nodes/server2:cilium_host nodes/server2:cilium_net",
            "nodes/server3:cilium_host nodes/server3:cilium_net",
            "nodes/router0:net0 nodes/tor0:net0",
            "nodes/router0:net1 nodes/tor1:net0",
            "nodes/tor0:net1 nodes/server0:net0",
            "nodes/tor0:net2 nodes/server1:net0",
            "nodes/tor1:net1 nodes/server2:net0",
            "nodes/tor1:net2 nodes/server3:net0",
            "nodes/router0:eth0 management:port0",
            "nodes/server1:lxc0 pods/nettool-1:eth0",
            "nodes/server2:lxc0 pods/nettool-2:eth0",
        ]
    );
    let first = plan.links.iter().find(|link| link.a.space == "nodes/router0").unwrap();
    let [.., a, b, c] = lab.link_local("router0", "net0").octets();
    assert_eq!(first.a.mac, Some([0xaa, 0xc1, 0xab, a, b, c]));
}

#[test]
fn who_keeps_eth0_is_in_the_management_network() {
    let plan = plan(&[("topo.yaml", "        - ip link del eth0\n", "")]);
    for (router, address) in [("router0", 2), ("tor0", 3), ("tor1", 4)] {
        let commands = &space(&plan, &node_file(router)).ip;
        assert!(commands.contains(&format!("address add 172.20.20.{address}/24 dev eth0")), "{commands:?}");
        assert!(commands.contains(&"route add default via 172.20.20.1 dev eth0".into()), "{commands:?}");
    }
    let masters = space(&plan, MANAGEMENT).ip.iter().filter(|line| line.ends_with("master bridge"));
    assert_eq!(masters.count(), 3);
    let alone = self::plan(&[
        ("topo.yaml", "        - ip link del eth0\n", ""),
        ("topo.yaml", "      image: frrouting/frr:v8.2.2\n", "      network-mode: none\n"),
    ]);
    assert!(alone.spaces.iter().all(|space| space.file != MANAGEMENT));
}

#[test]
fn names_that_meet_are_refused() {
    for (changes, part) in [
        (
            &[
                ("topo.yaml", "server1:net0", "server1:lxc0"),
                ("topo.yaml", "10.0.2.2/24 dev net0", "10.0.2.2/24 dev lxc0"),
            ][..],
            "two interfaces lxc0",
        ),
        (
            &[("nettool.yaml", "metadata: {name: nettool-2", "metadata: {name: nettool-2/../x")],
            "cannot be the name of a namespace",
        ),
        (
            &[("nettool.yaml", "metadata: {name: nettool-2", "metadata: {namespace: other, name: nettool-1")],
            "two pods nettool-1",
        ),
    ] {
        let error = Plan::of(&lab(changes)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// Whatever a lab says, no word has a blank or begins like an option, and no file leaves the run directory.
#[test]
fn nothing_but_plain_words() {
    for name in ["", "-x", ".", "..", "a b", "a/b", "a\n", "$(x)", "a;b", "ä", "abcdefghijklmnop"] {
        assert!(plain(name, 15).is_err(), "{name}");
    }
    for name in ["net0", "a", "0", "a.b-c_d", "abcdefghijklmno"] {
        assert_eq!(plain(name, 15).unwrap(), name);
    }
}
