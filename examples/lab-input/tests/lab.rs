//! The lab's own files and the article's: what they describe.

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use peerage_core::{
    policy::Policy,
    speaker::{Desired, Neighbor, NeighborKey, NextHopMode, PeerAs, Timers},
    wire::{Asn, Family, Origin, SessionKind, attr::PathAttributes},
};
use peerage_kubernetes::compile;
use peerage_lab_input::{Attached, Defaults, Gateway, Lab, Masquerade, Router, Show, StaticRoute, load};
use support::{Copy, errors, inputs, root};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn attached(interface: &str, address: &str) -> Attached {
    Attached { interface: interface.into(), address: net(address) }
}

fn unnumbered(group: &str, hold: u64) -> Neighbor {
    Neighbor {
        peer_group: Some(group.into()),
        extended_next_hop: true,
        socket: peerage_core::speaker::SocketOptions { ttl: Some(1), ..Default::default() },
        ..neighbor(PeerAs::External, hold)
    }
}

fn neighbor(asn: PeerAs, hold: u64) -> Neighbor {
    Neighbor {
        timers: Timers {
            hold: Duration::from_secs(hold),
            keepalive: Duration::from_secs(hold / 3),
            connect_retry: Duration::from_secs(if hold == 9 { 10 } else { 120 }),
            idle_hold: Duration::from_secs(1),
            ..Timers::default()
        },
        families: BTreeSet::from([Family::IPV4_UNICAST]),
        import: Some(Policy::accept()),
        export: Some(Policy::accept()),
        next_hop: NextHopMode::Standard,
        enforce_first_as: false,
        ..Neighbor::new(asn)
    }
}

fn connected(prefixes: &[&str]) -> BTreeMap<IpNet, PathAttributes> {
    let attributes = PathAttributes { origin: Origin::Incomplete, med: Some(0), ..Default::default() };
    prefixes.iter().map(|prefix| (net(prefix), attributes.clone())).collect()
}

/// What is said to FRR: `first`, what all have in common, and `then`.
fn said(first: &[&str], then: &[&str]) -> Vec<String> {
    let group =
        ["no bgp ebgp-requires-policy", "neighbor ROUTERS peer-group", "neighbor ROUTERS remote-as external"];
    let family = ["address-family ipv4 unicast", "redistribute connected", "exit-address-family"];
    let lines = first.iter().chain(&group).chain(then).chain(&family);
    lines.map(|line| (*line).to_owned()).collect()
}

/// However the file spells `configure terminal`, it is the same; the rest is as it stands there.
fn without_configure(mut routers: Vec<Router>) -> Vec<Router> {
    for commands in routers.iter_mut().flat_map(|router| &mut router.vtysh) {
        let first = commands.remove(0);
        assert!(["configure terminal", "conf t"].contains(&first.as_str()), "{first}");
    }
    routers
}

fn router0() -> Router {
    let mut desired = Desired::new(Asn(65000), "10.0.0.0".parse().unwrap());
    desired.hostname = Some("router0".into());
    desired.originate = connected(&["10.0.0.0/32", "172.20.20.0/24"]);
    let up =
        Neighbor { default_originate: BTreeSet::from([Family::IPV4_UNICAST]), ..unnumbered("ROUTERS", 180) };
    let keys = ["net0", "net1"].map(|name| NeighborKey::Interface(name.into()));
    desired.neighbors = keys.iter().cloned().map(|key| (key, up.clone())).collect();
    Router {
        name: "router0".into(),
        desired,
        connected: vec![attached("eth0", "172.20.20.2/24"), attached("lo", "10.0.0.0/32")],
        routes: vec![StaticRoute { prefix: net("10.0.0.0/8"), gateway: Gateway::Blackhole }],
        masquerade: vec![Masquerade {
            ipv4: true,
            out: Some("eth0".into()),
            source: None,
            destination: None,
        }],
        vtysh: vec![said(
            &["router bgp 65000", "bgp router-id 10.0.0.0"],
            &[
                "neighbor ROUTERS default-originate",
                "neighbor net0 interface peer-group ROUTERS",
                "neighbor net1 interface peer-group ROUTERS",
            ],
        )],
        show: Show {
            defaults: Defaults::Traditional,
            hostname: false,
            groups: BTreeMap::from([("ROUTERS".into(), keys.to_vec())]),
            kinds: keys.into_iter().map(|key| (key, SessionKind::External)).collect(),
            ebgp_requires_policy: false,
        },
    }
}

fn tor(number: u32) -> Router {
    let loopback = format!("10.0.0.{}", number + 1);
    let subnets = [1, 2].map(|port| format!("10.0.{}", number * 2 + port));
    let mut desired = Desired::new(Asn(65010 + number), loopback.parse().unwrap());
    desired.hostname = Some(format!("tor{number}"));
    let prefixes = [format!("{loopback}/32"), format!("{}.0/24", subnets[0]), format!("{}.0/24", subnets[1])];
    desired.originate = connected(&prefixes.each_ref().map(String::as_str));
    let net0 = NeighborKey::Interface("net0".into());
    let servers = subnets.each_ref().map(|subnet| NeighborKey::Address(ip(&format!("{subnet}.2"))));
    desired.neighbors.insert(net0.clone(), unnumbered("ROUTERS", 9));
    let down = Neighbor { peer_group: Some("SERVERS".into()), ..neighbor(PeerAs::Internal, 9) };
    desired.neighbors.extend(servers.iter().cloned().map(|key| (key, down.clone())));
    let mut kinds: BTreeMap<_, _> = servers.iter().cloned().map(|key| (key, SessionKind::Internal)).collect();
    kinds.insert(net0.clone(), SessionKind::External);
    Router {
        name: format!("tor{number}"),
        desired,
        connected: vec![
            attached("lo", &format!("{loopback}/32")),
            attached("net1", &format!("{}.1/24", subnets[0])),
            attached("net2", &format!("{}.1/24", subnets[1])),
        ],
        routes: Vec::new(),
        masquerade: Vec::new(),
        vtysh: vec![said(
            &[
                "frr defaults datacenter",
                &format!("router bgp {}", 65010 + number),
                &format!("bgp router-id {loopback}"),
            ],
            &[
                "neighbor SERVERS peer-group",
                "neighbor SERVERS remote-as internal",
                "neighbor net0 interface peer-group ROUTERS",
                &format!("neighbor {}.2 peer-group SERVERS", subnets[0]),
                &format!("neighbor {}.2 peer-group SERVERS", subnets[1]),
            ],
        )],
        show: Show {
            defaults: Defaults::Datacenter,
            hostname: true,
            groups: BTreeMap::from([("ROUTERS".into(), vec![net0]), ("SERVERS".into(), servers.to_vec())]),
            kinds,
            ebgp_requires_policy: false,
        },
    }
}

/// Everything that the article's values come to, whoever wrote the files.
fn is_the_article(lab: &Lab) {
    assert_eq!(lab.name, "bgp-cplane-demo");
    assert_eq!(without_configure(lab.routers.clone()), [router0(), tor(0), tor(1)]);
    assert!(lab.bgp_enabled);

    let containers = ["control-plane", "worker", "worker2", "worker3"];
    for (index, (node, container)) in lab.nodes.iter().zip(containers).enumerate() {
        assert_eq!(node.name, format!("clab-bgp-cplane-demo-{container}"));
        assert_eq!(node.container, container);
        assert_eq!(node.server, format!("server{index}"));
        assert_eq!(node.control_plane, index == 0);
        let subnet = format!("10.0.{}", index + 1);
        assert_eq!(node.addresses, [ip(&format!("{subnet}.2"))]);
        assert_eq!(node.connected, [attached("net0", &format!("{subnet}.2/24"))]);
        let gateway = Gateway::Via { address: ip(&format!("{subnet}.1")), interface: "net0".into() };
        assert_eq!(node.default_route(), Some(&gateway));
        assert_eq!(node.labels["rack"], ["rack0", "rack0", "rack1", "rack1"][index]);
        assert_eq!(node.pod_cidrs, [net(&format!("10.1.{index}.0/24"))]);
        let stored = lab.snapshot.nodes().nth(index).unwrap();
        assert_eq!(stored.object.metadata.name, node.name);
        assert_eq!(stored.object.pod_cidrs(), node.pod_cidrs);
        assert_eq!(stored.object.internal_ips(), node.addresses);

        let loopback = ip(["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"][index]);
        assert_eq!(lab.source_for(&node.name, loopback), Some(node.addresses[0]));
        assert_eq!(lab.source_for(&node.server, ip("8.8.8.8")), Some(node.addresses[0]));
        let compiled = compile(&lab.snapshot, &node.name);
        assert_eq!(compiled.instances.len(), 1, "{}", node.name);
    }
    assert_eq!(lab.nodes.len(), 4);

    let links: Vec<String> = lab
        .links
        .iter()
        .map(|link| format!("{}:{} {}:{}", link.a.node, link.a.interface, link.b.node, link.b.interface))
        .collect();
    assert_eq!(
        links,
        [
            "router0:net0 tor0:net0",
            "router0:net1 tor1:net0",
            "tor0:net1 server0:net0",
            "tor0:net2 server1:net0",
            "tor1:net1 server2:net0",
            "tor1:net2 server3:net0",
        ]
    );
    let addresses: BTreeSet<Ipv6Addr> =
        lab.links.iter().flat_map(|link| [link.a.link_local, link.b.link_local]).collect();
    assert_eq!(addresses.len(), 12);
    assert!(addresses.iter().all(Ipv6Addr::is_unicast_link_local));
    assert_eq!(lab.link_local("tor0", "net0"), lab.links[0].b.link_local);
    assert_eq!(lab.link_local("clab-bgp-cplane-demo-worker", "net0"), lab.links[3].b.link_local);
    assert_eq!(lab.other_end("server1", "net0"), Some(&lab.links[3].a));
    assert_eq!(lab.owner(ip("10.0.0.2")), Some("tor1"));
    assert_eq!(lab.owner(ip("10.0.4.2")), Some("server3"));
    assert_eq!(lab.source_for("tor0", ip("10.0.1.2")), Some(ip("10.0.1.1")));
    assert_eq!(lab.source_for("tor0", ip("10.0.3.2")), None);
    assert_eq!(lab.source_for("router0", ip("10.9.9.9")), None);

    let pods: Vec<_> = lab
        .pods
        .iter()
        .map(|pod| (pod.name.as_str(), pod.node.as_deref().unwrap(), pod.address.unwrap()))
        .collect();
    // The control plane's rack is rack0 too, but Kind taints it.
    assert_eq!(
        pods,
        [
            ("nettool-1", "clab-bgp-cplane-demo-worker", ip("10.1.1.10")),
            ("nettool-2", "clab-bgp-cplane-demo-worker2", ip("10.1.2.10")),
        ]
    );
    let policies: Vec<&str> =
        lab.snapshot.policies().map(|stored| stored.object.metadata.name.as_str()).collect();
    assert_eq!(policies, ["rack0", "rack1"]);
}

const NOTICES: [&str; 4] = ["ipam.mode", "ipv4NativeRoutingCIDR", "k8s.requireIPv4PodCIDR", "tunnel"];

fn loads_without_a_fault(directory: &Path) {
    let (lab, faults) = load(&inputs(directory));
    assert_eq!(errors(&faults).map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let lab = lab.unwrap();
    assert_eq!(lab.notices, faults);
    let fields: BTreeSet<&str> = faults.iter().filter_map(|fault| fault.field.as_deref()).collect();
    assert_eq!(fields, BTreeSet::from(NOTICES));
    assert!(faults.iter().all(|fault| fault.message == "no effect in the lab" && fault.line.is_some()));
    is_the_article(&lab);
}

#[test]
fn our_own_files() {
    loads_without_a_fault(&root().join("examples/lab"));
}

/// They are not ours to commit: read in place, unmodified.
#[test]
fn the_article_s_files() {
    let shared = std::env::var_os("PEERAGE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let directory = shared.join("article");
    if !directory.is_dir() {
        let message = format!("NOT RUN: {} is missing (PEERAGE_SHARED names it)", directory.display());
        assert!(std::env::var_os("CI").is_none(), "{message}");
        loudly!("{message}");
        return;
    }
    loads_without_a_fault(&directory);
}

#[test]
fn a_directory_of_manifests_may_hold_the_other_files() {
    let mut copy = Copy::new();
    copy.inputs.manifests = vec![copy.inputs.cluster.parent().unwrap().to_owned()];
    let (lab, faults) = copy.load();
    assert_eq!(faults.len(), NOTICES.len(), "{faults:?}");
    is_the_article(&lab.unwrap());
}

#[test]
fn nothing_but_a_cluster_and_a_topology() {
    let mut copy = Copy::new();
    copy.inputs.manifests.clear();
    copy.inputs.values = None;
    let (lab, faults) = copy.load();
    assert_eq!(faults, []);
    let lab = lab.unwrap();
    assert!(lab.bgp_enabled && lab.pods.is_empty());
    assert_eq!(lab.snapshot.policies().count(), 0);
    assert_eq!(lab.snapshot.nodes().count(), 4);
}
