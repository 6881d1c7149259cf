//! From objects to what a node should do: Cilium's rules one by one.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use peerage_core::{
    policy::{Match, Policy, RouteSource, Verdict},
    speaker::{Desired, NeighborKey, NextHopMode, PeerAs, SocketOptions, Timers},
    wire::{Asn, Family, Origin, RouterId, attr::PathAttributes},
};
use peerage_kubernetes::{CiliumBGPPeeringPolicy, Node, Origin as From_, Severity, Snapshot, compile};

use crate::{NODES, POLICY, compiled, instance, neighbor, nodes, policy, snapshot};

/// What is said about a node.
fn said(texts: &[&str], node: &str) -> Vec<String> {
    compiled(texts, node).faults.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults() {
    let desired = instance(POLICY);
    assert_eq!(desired.asn, Asn(65010));
    assert_eq!(desired.router_id, "10.0.1.2".parse::<RouterId>().unwrap());
    assert_eq!(desired.hostname.as_deref(), Some("n0"));
    assert_eq!(desired.cluster_id, None);
    let originated: Vec<_> = desired.originate.into_iter().collect();
    assert_eq!(originated, [("10.1.0.0/24".parse().unwrap(), PathAttributes::default())]);
    assert_eq!(originated[0].1.origin, Origin::Igp);

    let (key, neighbor) = neighbor(POLICY);
    assert_eq!(key, NeighborKey::Address("10.0.0.1".parse().unwrap()));
    assert_eq!(neighbor.asn, PeerAs::Number(Asn(65010)));
    assert_eq!(neighbor.port, 179);
    assert_eq!(neighbor.timers, Timers::default());
    assert_eq!(neighbor.timers.hold, Duration::from_secs(90));
    assert_eq!(neighbor.timers.keepalive, Duration::from_secs(30));
    assert_eq!(neighbor.timers.connect_retry, Duration::from_secs(120));
    assert_eq!(neighbor.timers.idle_hold, Duration::from_secs(5));
    assert_eq!(neighbor.families, BTreeSet::from([Family::IPV4_UNICAST, Family::IPV6_UNICAST]));
    assert_eq!(neighbor.socket, SocketOptions::default());
    assert_eq!(neighbor.next_hop, NextHopMode::Standard);
    assert_eq!(neighbor.local_address, None);
    assert!(!neighbor.passive && !neighbor.shutdown);
}

#[test]
fn nothing_learned_is_used_and_nothing_but_own_routes_goes_out() {
    let (_, neighbor) = neighbor(POLICY);
    assert_eq!(neighbor.import, Some(Policy::reject()));
    let export = neighbor.export.unwrap();
    assert_eq!(export.otherwise, Verdict::Reject);
    let [rule] = &export.rules[..] else { panic!("{export:?}") };
    assert_eq!(rule.matches, [Match::Source(BTreeSet::from([RouteSource::Local]))]);
    assert_eq!(rule.verdict, Some(Verdict::Accept));
    assert_eq!(rule.sets, []);
}

#[test]
fn each_field_of_a_neighbour_arrives() {
    let with = |line: &str| neighbor(&policy("# more", line)).1;
    assert_eq!(with("peerPort: 1790").port, 1790);
    assert_eq!(with("connectRetryTimeSeconds: 7").timers.connect_retry, Duration::from_secs(7));
    let restart = |text| with(text).graceful_restart.map(|it| it.restart_time.as_secs());
    assert_eq!(neighbor(POLICY).1.graceful_restart, None);
    assert_eq!(restart("gracefulRestart: {enabled: false, restartTimeSeconds: 60}"), None);
    assert_eq!(restart("gracefulRestart: {enabled: true}"), Some(120));
    assert_eq!(restart("gracefulRestart: {enabled: true, restartTimeSeconds: 60}"), Some(60));
    let timers = with("holdTimeSeconds: 9\n      keepAliveTimeSeconds: 3").timers;
    assert_eq!((timers.hold, timers.keepalive), (Duration::from_secs(9), Duration::from_secs(3)));
    assert_eq!(
        with("families: [{afi: ipv6, safi: unicast}]").families,
        BTreeSet::from([Family::IPV6_UNICAST])
    );
    assert_eq!(with("families: []").families.len(), 2);
    assert_eq!(
        with("families: [{afi: l2vpn, safi: evpn}, {afi: ls, safi: ls}, {afi: opaque, safi: key_value}]")
            .families,
        BTreeSet::from([Family::new(25, 70), Family::new(16388, 71), Family::new(16397, 241)])
    );
    let (key, neighbor) = neighbor(&policy("10.0.0.1/32", "fd00::1/128"));
    assert_eq!(key, NeighborKey::Address("fd00::1".parse().unwrap()));
    assert_eq!(neighbor.port, 179);
    let (key, _) = crate::neighbor(&policy("10.0.0.1/32", "10.0.0.1/24"));
    assert_eq!(key, NeighborKey::Address("10.0.0.1".parse().unwrap()), "the length is dropped");
}

#[test]
fn ttl_is_for_ebgp_only() {
    for (asn, line, ttl) in [
        (65010, "", None),
        (65010, "eBGPMultihopTTL: 9", None),
        (65000, "", Some(1)),
        (65000, "eBGPMultihopTTL: 1", Some(1)),
        (65000, "eBGPMultihopTTL: 255", Some(255)),
    ] {
        let text = policy("peerASN: 65010", &format!("peerASN: {asn}")).replace("# more", line);
        assert_eq!(neighbor(&text).1.socket.ttl, ttl, "{asn} {line}");
    }
}

#[test]
fn each_virtual_router_is_an_instance() {
    let other = "  - localASN: 4200000000\n    neighbors: [{peerAddress: 10.0.0.1/32, peerASN: 1}]\n";
    let compiled = compiled(&[&policy("      # more\n", other), NODES], "n0");
    assert_eq!(compiled.faults, []);
    assert_eq!(compiled.policy.as_deref(), Some("rack0"));
    let names: Vec<_> = compiled.instances.keys().map(String::as_str).collect();
    assert_eq!(names, ["4200000000", "65010"]);
    let second = &compiled.instances["4200000000"];
    assert_eq!(second.asn, Asn(4_200_000_000));
    assert!(second.originate.is_empty(), "without exportPodCIDR nothing is announced");
}

#[test]
fn pod_cidrs() {
    let originated = |nodes: &str| -> Vec<String> {
        let compiled = compiled(&[POLICY, nodes], "n0");
        assert_eq!(compiled.faults, []);
        compiled.instances["65010"].originate.keys().map(ToString::to_string).collect()
    };
    let list = "  podCIDR: 10.1.0.0/24\n  podCIDRs: [10.1.0.0/24]";
    for (spec, expected) in [
        ("  podCIDR: 10.1.9.0/24", &["10.1.9.0/24"][..]),
        ("  podCIDR: 10.1.9.0/24\n  podCIDRs: []", &["10.1.9.0/24"]),
        ("  podCIDRs: [10.1.9.0/24, 'fd00:1::/64']", &["10.1.9.0/24", "fd00:1::/64"]),
        ("  podCIDRs: [10.1.9.0/24, 10.2.0.0/16]", &["10.1.9.0/24", "10.2.0.0/16"]),
        ("  podCIDRs: [10.1.9.7/24, 10.1.9.0/24]", &["10.1.9.0/24"]),
        ("  podCIDR: ''\n  podCIDRs: [10.1.9.0/24]", &["10.1.9.0/24"]),
    ] {
        assert_eq!(originated(&nodes(list, spec)), expected, "{spec}");
    }
    let unused = instance(&policy("exportPodCIDR: true", "exportPodCIDR: false"));
    assert!(unused.originate.is_empty());
}

#[test]
fn a_node_without_pod_cidrs_announces_nothing_and_says_so() {
    let without = nodes("  podCIDR: 10.1.0.0/24\n  podCIDRs: [10.1.0.0/24]", "  unschedulable: true");
    let compiled = compiled(&[POLICY, &without], "n0");
    assert_eq!(compiled.instances["65010"].neighbors.len(), 1, "its sessions come up");
    assert!(compiled.instances["65010"].originate.is_empty());
    assert_eq!(
        said(&[POLICY, &without], "n0"),
        [
            "b.yaml:7:1: notice: Node/n0: spec.podCIDRs: CiliumBGPPeeringPolicy/rack0 announces the PodCIDRs of \
          this node from AS 65010, and it has none: nothing is announced"
        ]
    );
    let silent = policy("exportPodCIDR: true", "exportPodCIDR: false");
    assert_eq!(said(&[&silent, &without], "n0"), [""; 0]);
}

#[test]
fn which_policy_applies() {
    assert_eq!(compiled(&[POLICY, NODES], "n0").policy.as_deref(), Some("rack0"));
    let none = compiled(&[POLICY, NODES], "n1");
    assert_eq!((none.policy, none.instances.len(), none.faults.len()), (None, 0, 0));

    let everyone = policy("\n    matchLabels:\n      rack: r0", " {}").replace("name: rack0", "name: all");
    for node in ["n0", "n1"] {
        assert_eq!(compiled(&[&everyone, NODES], node).policy.as_deref(), Some("all"));
    }
    let both = compiled(&[POLICY, NODES, &everyone], "n0");
    assert_eq!((both.policy, both.instances.len()), (None, 0));
    assert_eq!(
        said(&[POLICY, NODES, &everyone], "n0"),
        [
            "a.yaml:6:3: CiliumBGPPeeringPolicy/rack0: spec.nodeSelector: more than one CiliumBGPPeeringPolicy \
          applies to node n0, so none does: all (c.yaml:1), rack0 (a.yaml:1); change their nodeSelectors so \
          that only one matches the labels of the node"
        ]
    );
    // The node that only one of them is for is not affected.
    let n1 = compiled(&[POLICY, NODES, &everyone], "n1");
    assert_eq!((n1.policy.as_deref(), n1.faults.len()), (Some("all"), 0));
}

#[test]
fn a_policy_that_is_not_used_takes_nothing_valid_with_it() {
    let refused = policy("# more", "holdTimeSeconds: 9").replace("name: rack0", "name: refused");
    let broken = "kind: CiliumBGPPeeringPolicy\nmetadata: [\n";
    let snapshot = snapshot(&[&refused, broken, POLICY, NODES]);
    let texts: Vec<_> = snapshot.faults().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].starts_with("a.yaml:15:24: CiliumBGPPeeringPolicy/refused: "), "{texts:?}");
    assert!(texts[1].starts_with("b.yaml:2:11: not valid YAML: "), "{texts:?}");
    let compiled = compile(&snapshot, "n0");
    assert_eq!((compiled.policy.as_deref(), compiled.faults.len()), (Some("rack0"), 0));
}

#[test]
fn an_unknown_node() {
    let compiled = compiled(&[POLICY, NODES], "n7");
    assert!(compiled.instances.is_empty());
    assert_eq!(
        said(&[POLICY, NODES], "n7"),
        [
            "Node/n7: there is no such Node that can be used: nothing is announced for it; its manifest is needed \
          for labels, spec.podCIDRs and status.addresses (kubectl get node n7 -o yaml)"
        ]
    );
    assert_eq!(compiled.faults[0].severity, Severity::Error);
}

/// n0 with an annotation about AS 65010.
fn annotated(value: &str) -> String {
    nodes(
        "  name: n0",
        &format!("  name: n0\n  annotations:\n    cilium.io/bgp-virtual-router.65010: {value:?}"),
    )
}

#[test]
fn router_ids_by_annotation() {
    for (value, router_id, faults) in [
        ("router-id=192.0.2.1", Some("192.0.2.1"), 0),
        ("router-id=192.0.2.1,local-port=0", Some("192.0.2.1"), 0),
        ("local-port=0,router-id=192.0.2.1,router-id=192.0.2.2", Some("192.0.2.2"), 0),
        ("local-port=0", Some("10.0.1.2"), 0),
        ("router-id=192.0.2.1,local-port=179", Some("192.0.2.1"), 0),
        ("local-port=179,local-port=0", Some("10.0.1.2"), 0),
        ("", Some("10.0.1.2"), 1),
        ("router-id", Some("10.0.1.2"), 1),
        ("router-id=192.0.2.1=2", Some("10.0.1.2"), 1),
        (" router-id=192.0.2.1", Some("10.0.1.2"), 1),
        ("routerid=192.0.2.1,x,y=1", Some("10.0.1.2"), 3),
        // Wrong.
        ("router-id=", None, 1),
        ("router-id=0.0.0.0", None, 1),
        ("router-id=fd00::1", None, 1),
        ("router-id=300.0.0.1,router-id=192.0.2.1", None, 1),
        ("local-port=", None, 1),
        ("local-port=65536", None, 1),
        ("local-port=-1", None, 1),
        ("local-port=x,router-id=y", None, 2),
    ] {
        let compiled = compiled(&[POLICY, &annotated(value)], "n0");
        let found = compiled.instances.get("65010").map(|desired| desired.router_id.to_string());
        assert_eq!(found.as_deref(), router_id, "{value:?}");
        assert_eq!(compiled.faults.len(), faults, "{value:?}: {:?}", compiled.faults);
        let errors = compiled.faults.iter().any(|fault| fault.severity == Severity::Error);
        assert_eq!(errors, router_id.is_none(), "{value:?}");
    }
}

#[test]
fn listening_is_asked_for_by_annotation() {
    for (value, port) in [
        ("local-port=179", Some(179)),
        ("local-port=1790,router-id=192.0.2.1", Some(1790)),
        ("local-port=179,local-port=1179", Some(1179)),
        ("local-port=0", None),
        ("router-id=192.0.2.1", None),
        ("local-port=x", None),
    ] {
        let compiled = compiled(&[POLICY, &annotated(value)], "n0");
        assert_eq!(compiled.local_ports.get("65010").copied(), port, "{value:?}");
    }
}

#[test]
fn an_instance_that_cannot_be_made_is_held_and_not_unwanted() {
    for (value, held) in [("router-id=x", true), ("local-port=x", true), ("router-id=192.0.2.1", false)] {
        let compiled = compiled(&[POLICY, &annotated(value)], "n0");
        assert_eq!(compiled.held.contains("65010"), held, "{value:?}");
        assert_eq!(compiled.instances.contains_key("65010"), !held, "{value:?}");
    }
    let no_address = NODES.replace("  - {type: InternalIP, address: 10.0.1.2}\n", "");
    assert!(compiled(&[POLICY, &no_address], "n0").held.contains("65010"));
    assert!(compiled(&[NODES], "n0").held.is_empty(), "nobody wants it");
}

#[test]
fn a_neighbour_with_a_key_is_not_spoken_with_without_it() {
    let guarded = POLICY.replace("# more", "authSecretRef: bgp-key");
    let compiled = compiled(&[&guarded, NODES], "n0");
    assert!(compiled.instances["65010"].neighbors.values().all(|neighbor| neighbor.shutdown));
    assert!(!compiled.instances["65010"].originate.is_empty());
}

#[test]
fn what_is_said_about_annotations() {
    let at = "b.yaml:6:41: ";
    let field = "Node/n0: metadata.annotations[cilium.io/bgp-virtual-router.65010]:";
    for (value, message) in [
        ("router-id=x", format!("{at}{field} router-id: expected an IPv4 address, found \"x\"")),
        (
            "local-port=65536",
            format!("{at}{field} local-port: expected a number from 0 to 65535, found \"65536\""),
        ),
        ("x", format!("{at}notice: {field} \"x\" has no effect: expected router-id=… or local-port=…")),
    ] {
        assert_eq!(said(&[POLICY, &annotated(value)], "n0"), [message]);
    }
    for asn in [".", ".x", ".65.010", ".-1", ".4294967296", ""] {
        let text = annotated("router-id=1.2.3.4").replace(".65010:", &format!("{asn}:"));
        let faults = said(&[POLICY, &text], "n0");
        assert_eq!(
            faults,
            [format!(
                "b.yaml:6:{}: Node/n0: metadata.annotations[cilium.io/bgp-virtual-router{asn}]: expected an \
                 AS number after the last dot, as in cilium.io/bgp-virtual-router.65010",
                35 + asn.len()
            )]
        );
        assert_eq!(compiled(&[POLICY, &text], "n0").instances.len(), 1, "it costs no other instance");
    }
    let other = annotated("router-id=1.2.3.4").replace("router.65010", "router.65011");
    assert_eq!(
        said(&[POLICY, &other], "n0"),
        [
            "b.yaml:6:41: notice: Node/n0: metadata.annotations[cilium.io/bgp-virtual-router.65011]: no effect: \
          CiliumBGPPeeringPolicy/rack0, which applies here, has no virtual router of AS 65011"
        ]
    );
    let stranger = annotated("x").replace("bgp-virtual-router.65010", "bgp-virtual-routers");
    assert_eq!(said(&[POLICY, &stranger], "n0"), [""; 0]);
}

#[test]
fn a_wrong_annotation_costs_its_own_instance_only() {
    let other = "  - localASN: 65020\n    neighbors: [{peerAddress: 10.0.0.1/32, peerASN: 1}]\n";
    let compiled = compiled(&[&policy("      # more\n", other), &annotated("router-id=x")], "n0");
    assert_eq!(compiled.instances.keys().collect::<Vec<_>>(), ["65020"]);
    assert_eq!(compiled.faults.len(), 1);
}

#[test]
fn router_ids_without_annotation() {
    let addresses = "  - {type: InternalIP, address: 10.0.1.2}\n";
    let of = |new: &str| {
        let compiled = compiled(&[POLICY, &nodes(addresses, new)], "n0");
        compiled.instances.get("65010").map(|desired| desired.router_id.to_string())
    };
    for (new, router_id) in [
        (
            "  - {type: InternalIP, address: 'fd00::2'}\n  - {type: InternalIP, address: 10.0.9.9}\n",
            "10.0.9.9",
        ),
        (
            "  - {type: InternalIP, address: 10.0.9.8}\n  - {type: InternalIP, address: 10.0.9.9}\n",
            "10.0.9.8",
        ),
        ("  - {type: ExternalIP, address: 1.1.1.1}\n  - {type: InternalIP, address: 10.0.9.9}\n", "10.0.9.9"),
    ] {
        assert_eq!(of(new).as_deref(), Some(router_id));
    }
    let wanted = "no router id for AS 65010: expected an InternalIP of IPv4 or the annotation \
                  cilium.io/bgp-virtual-router.65010: router-id=… (an IPv4 address)";
    for new in
        ["  - {type: InternalIP, address: 'fd00::2'}\n", "  - {type: ExternalIP, address: 1.1.1.1}\n", ""]
    {
        assert_eq!(of(new), None);
        assert_eq!(
            said(&[POLICY, &nodes(addresses, new)], "n0"),
            [format!("b.yaml:11:3: Node/n0: status.addresses: {wanted}")]
        );
    }
    let v6 = annotated("router-id=192.0.2.1").replace("address: 10.0.1.2", "address: 'fd00::2'");
    assert_eq!(said(&[POLICY, &v6], "n0"), [""; 0]);
    assert_eq!(compiled(&[POLICY, &v6], "n0").instances["65010"].router_id.to_string(), "192.0.2.1");
}

#[test]
fn from_code_as_from_files() {
    let mut built = Snapshot::new();
    let address: IpAddr = "10.0.1.2".parse().unwrap();
    let node = Node::new("n0", [("rack", "r0")], address, ["10.1.0.0/24".parse().unwrap()]);
    assert!(built.add_node(node.clone(), From_::named("cluster.yaml")));
    assert!(!built.add_node(node, From_::named("again.yaml")), "there is one already");
    let read = snapshot(&[POLICY, NODES]);
    let mut policy: CiliumBGPPeeringPolicy = read.policy("rack0").unwrap().object.clone();
    assert!(built.add_policy(policy.clone(), From_::named("code")));
    assert_eq!(compile(&built, "n0"), compile(&read, "n0"));

    // Code is held to the same rules.
    policy.metadata.name = "wrong".into();
    policy.spec.as_mut().unwrap().virtual_routers[0].neighbors[0].hold_time_seconds = Some(2);
    assert!(!built.add_policy(policy, From_::named("code")));
    let texts: Vec<_> = built.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "again.yaml: Node/n0: metadata.name: there is one of that name already, at cluster.yaml, which \
             is used",
            "code: CiliumBGPPeeringPolicy/wrong: spec.virtualRouters[0].neighbors[0].holdTimeSeconds: \
             expected a whole number from 3 to 65535, found 2",
        ]
    );
}

#[test]
fn the_same_objects_give_the_same_result() {
    let first: Desired = instance(POLICY);
    assert_eq!(first, instance(POLICY));
    let swapped = compiled(&[NODES, POLICY], "n0");
    assert_eq!(swapped.instances["65010"], first, "whatever the order of the files");
}

/// The FQDN capability has room for 64 octets, a node's name for 253: a speaker takes every instance.
#[test]
fn a_long_node_name_makes_no_bad_instance() {
    let name = "node-".repeat(20);
    let mut snapshot = Snapshot::new();
    snapshot.read(
        "p.yaml",
        &format!(
            "apiVersion: cilium.io/v2alpha1\nkind: CiliumBGPPeeringPolicy\nmetadata: {{name: p}}\nspec:\n  \
             virtualRouters:\n  - {{localASN: 65001, neighbors: [{{peerAddress: 10.0.0.1/32, peerASN: 65001}}]}}\n\
             ---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}a}}\nstatus: {{addresses: [{{type: \
             InternalIP, address: 10.0.0.2}}]}}\n"
        ),
    );
    let compiled = compile(&snapshot, &format!("{name}a"));
    let desired = compiled.instances.get("65001").expect("an instance");
    desired.check().expect("one that a speaker takes");
    assert_eq!(desired.hostname.as_ref().map(String::len), Some(64));
}
