use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ipnet::IpNet;
use peerage_core::{
    policy::Policy,
    speaker::{Neighbor, NeighborKey, NextHopMode, PeerAs},
    wire::{Asn, Family, Origin, RouterId, SessionKind},
};
use peerage_kubernetes::{Fault, Severity};
use proptest::prelude::*;

use super::*;
use crate::{
    model::{Attached, Gateway, Router, StaticRoute},
    place::Place,
};

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn host() -> Host {
    let attached =
        |interface: &str, address: &str| Attached { interface: interface.into(), address: net(address) };
    Host {
        name: "r".into(),
        connected: vec![
            attached("lo", "10.0.0.1/32"),
            attached("net1", "10.0.1.1/24"),
            attached("net1", "fd00:1::1/64"),
        ],
        routes: vec![StaticRoute { prefix: net("10.0.0.0/8"), gateway: Gateway::Blackhole }],
        masquerade: Vec::new(),
        linked: BTreeSet::from(["net0".to_owned(), "net1".to_owned()]),
    }
}

/// Takes lines, and what is wrong with them.
fn read(lines: &[&str]) -> (Option<Router>, Vec<Fault>) {
    let mut config = Config::default();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let place = Place { file: "f".into(), line: Some(index + 1), ..Place::default() };
        if let Err(message) = config.line(line, &place) {
            faults.push(place.error(message));
        }
    }
    let router = router(&config, host(), &mut faults);
    (router, faults)
}

/// The router of lines within `router bgp 65000`.
fn bgp(lines: &[&str]) -> Router {
    let (router, faults) = read(&[&["conf t", "router bgp 65000"], lines].concat());
    assert_eq!(faults, [], "{lines:?}");
    router.unwrap()
}

/// The only neighbour of an instance with these lines beside its own.
fn neighbor(own: &str, lines: &[&str]) -> (Neighbor, SessionKind) {
    let router = bgp(&[&["no bgp ebgp-requires-policy", own], lines].concat());
    let (key, neighbor) = router.desired.neighbors.into_iter().next().unwrap();
    (neighbor, router.show.kinds[&key])
}

const PEER: &str = "neighbor 10.0.1.2 remote-as 65001";

#[test]
fn an_instance() {
    let router = bgp(&[]);
    assert_eq!(router.desired.asn, Asn(65000));
    // zebra's choice: an address of lo.
    assert_eq!(router.desired.router_id, RouterId(0x0a00_0001));
    assert_eq!(router.desired.hostname.as_deref(), Some("r"));
    assert!(router.desired.originate.is_empty() && router.desired.neighbors.is_empty());
    assert!(router.show.ebgp_requires_policy && !router.show.hostname);
    assert_eq!(bgp(&["bgp router-id 1.2.3.4"]).desired.router_id, RouterId(0x0102_0304));
    assert!(!bgp(&["no bgp ebgp-requires-policy"]).show.ebgp_requires_policy);

    let (router, faults) =
        read(&["configure terminal", "frr defaults datacenter", "hostname x", "router bgp 1"]);
    assert_eq!(faults, []);
    let router = router.unwrap();
    assert_eq!(router.desired.hostname.as_deref(), Some("x"));
    assert!(!router.show.ebgp_requires_policy && router.show.hostname);
    assert_eq!(router.show.defaults, Defaults::Datacenter);
}

#[test]
fn defaults_hold_for_what_comes_after() {
    let lines = ["conf t", "frr defaults datacenter", "frr defaults traditional", "router bgp 65000", PEER];
    let timers =
        |lines: &[&str]| read(lines).0.unwrap().desired.neighbors.into_values().next().unwrap().timers;
    assert_eq!(timers(&lines).hold, Duration::from_secs(180));
    let lines = ["conf t", "router bgp 65000", "exit", "frr defaults datacenter", "router bgp 65000", PEER];
    assert_eq!(timers(&lines).hold, Duration::from_secs(180));
    assert_eq!(timers(&lines).connect_retry, Duration::from_secs(120));
    let lines = ["conf t", "frr defaults datacenter", "router bgp 65000", PEER];
    let found = timers(&lines);
    assert_eq!((found.hold.as_secs(), found.keepalive.as_secs(), found.connect_retry.as_secs()), (9, 3, 10));
}

#[test]
fn what_is_said_about_neighbors() {
    let group = "neighbor G peer-group";
    let (found, kind) = neighbor(PEER, &[]);
    assert_eq!((found.asn, kind), (PeerAs::Number(Asn(65001)), SessionKind::External));
    assert_eq!(found.families, BTreeSet::from([Family::IPV4_UNICAST]));
    assert_eq!((found.import, found.export), (Some(Policy::accept()), Some(Policy::accept())));
    assert!(!found.extended_next_hop && !found.enforce_first_as);
    assert_eq!(found.socket.ttl, Some(1));

    let (found, kind) = neighbor("neighbor 10.0.1.2 remote-as internal", &[]);
    assert_eq!((found.asn, found.socket.ttl, kind), (PeerAs::Internal, None, SessionKind::Internal));
    let (found, kind) = neighbor("neighbor 10.0.1.2 remote-as 65000", &[]);
    assert_eq!((found.asn, kind), (PeerAs::Number(Asn(65000)), SessionKind::Internal));

    let (found, kind) = neighbor("neighbor net0 interface remote-as external", &[]);
    assert_eq!((found.asn, kind), (PeerAs::External, SessionKind::External));
    assert!(found.extended_next_hop);
    for own in ["neighbor net0 interface", "neighbor net0 interface v6only"] {
        let (found, _) = neighbor(own, &["neighbor net0 remote-as internal"]);
        assert_eq!(found.asn, PeerAs::Internal);
    }
    let (found, _) =
        neighbor(group, &["neighbor G remote-as external", "neighbor net0 interface v6only peer-group G"]);
    assert_eq!((found.asn, found.peer_group.as_deref()), (PeerAs::External, Some("G")));

    // What a group says holds for its members, unless they say it themselves.
    let (found, _) = neighbor(
        group,
        &[
            "neighbor G remote-as 65001",
            "neighbor G timers 5 20",
            "neighbor G timers connect 7",
            "neighbor G description of the group",
            "neighbor G default-originate",
            "neighbor 10.0.1.2 peer-group G",
            "neighbor 10.0.1.2 timers 10 40",
            "neighbor 10.0.1.2 description  its   own",
        ],
    );
    assert_eq!(found.asn, PeerAs::Number(Asn(65001)));
    assert_eq!((found.timers.keepalive.as_secs(), found.timers.hold.as_secs()), (10, 40));
    assert_eq!(found.timers.connect_retry.as_secs(), 7);
    assert_eq!(found.description.as_deref(), Some("its own"));
    assert_eq!(found.default_originate, BTreeSet::from([Family::IPV4_UNICAST]));

    let said = |line: &str| neighbor(PEER, &[line]).0;
    assert!(said("neighbor 10.0.1.2 passive").passive);
    assert!(said("neighbor 10.0.1.2 shutdown").shutdown);
    assert_eq!(said("neighbor 10.0.1.2 next-hop-self").next_hop, NextHopMode::OwnAddress);
    assert_eq!(said("neighbor 10.0.1.2 ebgp-multihop").socket.ttl, Some(255));
    assert_eq!(said("neighbor 10.0.1.2 ebgp-multihop 2").socket.ttl, Some(2));
    assert_eq!(said("neighbor 10.0.1.2 maximum-prefix 100").prefix_limit, Some(100));
    assert_eq!(said("neighbor 10.0.1.2 update-source lo").local_address, "10.0.0.1".parse().ok());
    assert_eq!(said("neighbor 10.0.1.2 update-source 10.0.1.1").local_address, "10.0.1.1".parse().ok());
    assert_eq!(said("neighbor 10.0.1.2 default-originate").default_originate.len(), 1);
    assert_eq!(said("timers bgp 1 6").timers.hold.as_secs(), 6);
    // FRR's: at most a third.
    assert_eq!(said("neighbor 10.0.1.2 timers 60 30").timers.keepalive.as_secs(), 10);
    assert_eq!(said("neighbor 10.0.1.2 timers 0 0").timers.hold.as_secs(), 0);
    let (found, _) =
        neighbor("neighbor 10.0.1.2 remote-as internal", &["neighbor 10.0.1.2 route-reflector-client"]);
    assert!(found.route_reflector_client);
    let found = neighbor("neighbor fd00:1::2 remote-as 65001", &["neighbor fd00:1::2 update-source net1"]).0;
    assert_eq!(found.local_address, "fd00:1::1".parse().ok());
}

#[test]
fn families() {
    let both = BTreeSet::from([Family::IPV4_UNICAST, Family::IPV6_UNICAST]);
    let v6 = ["address-family ipv6 unicast", "neighbor 10.0.1.2 activate", "exit-address-family"];
    assert_eq!(neighbor(PEER, &v6).0.families, both);
    let off = [v6.as_slice(), &["no neighbor 10.0.1.2 activate"]].concat();
    assert_eq!(neighbor(PEER, &off).0.families, BTreeSet::from([Family::IPV6_UNICAST]));
    let off = [
        &["no bgp default ipv4-unicast", "neighbor fd00:1::2 remote-as 1", "address-family ipv6"][..],
        &["neighbor fd00:1::2 activate"],
    ];
    let router = bgp(&off.concat());
    let found = router.desired.neighbors.into_values().next().unwrap();
    assert_eq!(found.families, BTreeSet::from([Family::IPV6_UNICAST]));
    // A default route of a family that is not spoken is none.
    let lines = ["address-family ipv6 unicast", "neighbor 10.0.1.2 default-originate"];
    assert_eq!(neighbor(PEER, &lines).0.default_originate, BTreeSet::new());
}

#[test]
fn rfc_8212() {
    let router = bgp(&[PEER, "neighbor 10.0.1.3 remote-as internal"]);
    let found: Vec<_> =
        router.desired.neighbors.values().map(|found| (&found.import, &found.export)).collect();
    let accept = Some(Policy::accept());
    assert_eq!(found, [(&None, &None), (&accept, &accept)]);
}

#[test]
fn originations() {
    let origins = |lines: &[&str]| -> BTreeMap<String, (Origin, Option<u32>)> {
        let originate = bgp(lines).desired.originate;
        originate.into_iter().map(|(net, route)| (net.to_string(), (route.origin, route.med))).collect()
    };
    let of = |list: &[(&str, Origin)]| -> BTreeMap<String, (Origin, Option<u32>)> {
        list.iter().map(|(net, origin)| ((*net).to_owned(), (*origin, Some(0)))).collect()
    };
    let v4 = of(&[("10.0.0.1/32", Origin::Incomplete), ("10.0.1.0/24", Origin::Incomplete)]);
    assert_eq!(origins(&["redistribute connected"]), v4);
    assert_eq!(origins(&["address-family ipv4 unicast", "redistribute connected"]), v4);
    let v6 = of(&[("fd00:1::/64", Origin::Incomplete)]);
    assert_eq!(origins(&["address-family ipv6 unicast", "redistribute connected"]), v6);
    // Leaving the family, by its name or by a line of the instance.
    for leave in ["exit-address-family", "exit", "bgp router-id 1.1.1.1"] {
        assert_eq!(origins(&["address-family ipv6 unicast", leave, "redistribute connected"]), v4, "{leave}");
    }
    let own = of(&[("10.0.0.0/8", Origin::Igp), ("10.0.1.0/24", Origin::Igp)]);
    assert_eq!(origins(&["network 10.0.0.0/8", "network 10.0.1.1/24"]), own);
    let (router, faults) = read(&["conf t", "router bgp 1", "network 10.7.0.0/16"]);
    assert!(router.unwrap().desired.originate.is_empty());
    assert_eq!(faults[0].severity, Severity::Notice);
    assert_eq!(
        faults[0].message,
        "`network 10.7.0.0/16` announces nothing: r has no such route (FRR's import check)"
    );
}

#[test]
fn lines_without_effect() {
    let (router, faults) = read(&[
        "!",
        "",
        "# x",
        "write",
        "conf t",
        "! x",
        "router bgp 1",
        "!",
        "do write",
        "end",
        "write memory",
    ]);
    assert!(router.is_some());
    assert_eq!(faults, []);
    assert!(read(&["conf t", "hostname x"]).0.is_none());
}

#[test]
fn every_wrong_line_is_said() {
    let bgp = ["conf t", "router bgp 65000"];
    for (lines, message) in [
        (&["router bgp 65000"][..], "`router bgp 65000`: `configure terminal` has to come first"),
        (&["conf t", "bgp router-id 1.1.1.1"], "`bgp router-id 1.1.1.1`: it stands outside of `router bgp`"),
        (&["conf t", "neighbor x peer-group"], "`neighbor x peer-group`: it stands outside of `router bgp`"),
        (&["conf t", "address-family ipv4 unicast"], "it stands outside of `router bgp`"),
        (&["conf t", "redistribute connected"], "it stands outside of `router bgp`"),
        (&["hostname x"], "`configure terminal` has to come first"),
        (&["frr defaults datacenter"], "`configure terminal` has to come first"),
        (&["conf t", "frr defaults x"], "`frr defaults x` is not understood; understood are: configure"),
        (&["conf t", "router bgp 0"], "`0` is not an AS number; expected 1 to 4294967295"),
        (&["conf t", "router bgp 1 vrf x"], "`router bgp 1 vrf x` is not understood"),
        (
            &["conf t", "router bgp 1", "router bgp 2"],
            "there is a router bgp 1 already in line 2; expected one",
        ),
        (&["conf t", "router bgp 1", "exit-address-family"], "there is no address-family to leave"),
    ] {
        wrong(lines, message);
    }
    for (lines, message) in [
        (&["bgp router-id x"][..], "`x` is not a router id; expected an IPv4 address"),
        (&["bgp router-id 0.0.0.0"], "`0.0.0.0` is not a router id"),
        (&["address-family l2vpn evpn"], "`address-family l2vpn evpn` is not understood"),
        (&["redistribute static"], "`redistribute static` is not understood"),
        (&["network 10.0.0.0"], "`10.0.0.0` is not a prefix"),
        (&["network fd00::/8"], "fd00::/8 is not of ipv4-unicast"),
        (&["timers bgp 1 2"], "`2` is not a hold time; expected 0 or 3 to 65535 seconds"),
        (&["timers bgp x 9"], "`x` is not a keepalive time"),
        (&["neighbor"], "`neighbor` is not understood"),
        (&["neighbor 10.0.1.2"], "`neighbor 10.0.1.2` is not understood"),
        (&["neighbor 10.0.1.2 password x"], "`neighbor 10.0.1.2 password x` is not understood"),
        (
            &["neighbor 10.0.1.2 remote-as x"],
            "`x` is not an AS number; expected 1 to 4294967295, external or internal",
        ),
        (&["neighbor 10.0.1.2 peer-group"], "a peer group's name is not an address"),
        (
            &["neighbor 10.0.1.2 peer-group G"],
            "there is no peer group G; `neighbor G peer-group` has to come first",
        ),
        (&["neighbor 10.0.1.2 interface"], "10.0.1.2 is not an interface"),
        (&["neighbor fe80::1 remote-as 1"], "a link-local neighbour is configured by its interface"),
        (&["neighbor x remote-as 1"], "x is no address, and no peer group or interface neighbour yet"),
        (&["neighbor net0 peer-group G"], "there is no peer group G"),
        (
            &["neighbor 10.0.1.2 timers 3 9"],
            "there is no neighbour 10.0.1.2 yet; its remote-as or peer-group has to come first",
        ),
        (
            &["neighbor G peer-group", "neighbor G interface remote-as 1"],
            "G is a peer group already, not an interface",
        ),
        (
            &["neighbor net0 interface remote-as 1", "neighbor net0 peer-group"],
            "net0 is an interface already",
        ),
        (
            &["neighbor G peer-group", "neighbor H peer-group", "neighbor G peer-group H"],
            "G is a peer group, which cannot be in another",
        ),
        (
            &[
                "neighbor G peer-group",
                "neighbor G remote-as 1",
                "neighbor 10.0.1.2 peer-group G",
                "neighbor 10.0.1.2 remote-as 2",
            ],
            "its peer group G has another remote-as already",
        ),
        (
            &[
                "neighbor G peer-group",
                "neighbor G remote-as 1",
                "neighbor 10.0.1.2 remote-as 2",
                "neighbor 10.0.1.2 peer-group G",
            ],
            "10.0.1.2 has another remote-as than its peer group G",
        ),
        (
            &[
                "neighbor G peer-group",
                "neighbor G remote-as 1",
                "neighbor H peer-group",
                "neighbor 10.0.1.2 peer-group G",
                "neighbor 10.0.1.2 peer-group H",
            ],
            "10.0.1.2 is in peer group G already",
        ),
        (&[PEER, "neighbor 10.0.1.2 timers connect 0"], "`0` is not a time; expected 1 to 65535 seconds"),
        (&[PEER, "neighbor 10.0.1.2 ebgp-multihop 256"], "`256` is not a number of hops"),
        (&[PEER, "neighbor 10.0.1.2 maximum-prefix 0"], "`0` is not a number of prefixes"),
        (&[PEER, "neighbor 10.0.1.2 maximum-prefix 5 80"], "is not understood"),
        // What only the whole shows; the line is where the neighbour comes up.
        (
            &["neighbor G peer-group", "neighbor 10.0.1.2 peer-group G"],
            "neighbor 10.0.1.2 has no AS; expected `neighbor G remote-as external|internal|NUMBER`",
        ),
        (&["neighbor net0 interface"], "neighbor net0 has no AS; expected `neighbor net0 remote-as"),
        (&["neighbor net7 interface remote-as 1"], "r has no link on net7; expected one in topology.links"),
        (&["no bgp default ipv4-unicast", PEER], "neighbor 10.0.1.2 has no active address family"),
        (
            &[PEER, "neighbor 10.0.1.2 route-reflector-client"],
            "route-reflector-client is for internal neighbours only",
        ),
        (&[PEER, "neighbor 10.0.1.2 update-source net0"], "update-source net0: r has no such address"),
        (
            &[PEER, "neighbor 10.0.1.2 update-source 10.9.9.9"],
            "update-source 10.9.9.9: r has no such address",
        ),
        (
            &[PEER, "neighbor 10.0.1.2 update-source fd00:1::1"],
            "update-source fd00:1::1: r has no such address",
        ),
    ] {
        wrong(&[&bgp, lines].concat(), message);
    }
}

/// The last line is the one that is wrong.
fn wrong(lines: &[&str], message: &str) {
    let (router, faults) = read(lines);
    let [fault] = faults.as_slice() else { panic!("{lines:?}: {faults:?}") };
    assert!(fault.message.contains(message), "{lines:?}: {}", fault.message);
    assert_eq!(fault.line, Some(lines.len()), "{lines:?}");
    let of_the_whole = lines.len() > 2 && !fault.message.starts_with('`');
    assert!(router.is_none() || !of_the_whole, "{lines:?}");
}

#[test]
fn without_any_address_a_router_id_has_to_be_said() {
    let mut config = Config::default();
    for line in ["conf t", "router bgp 1"] {
        config.line(line, &Place::default()).unwrap();
    }
    let mut faults = Vec::new();
    assert!(router(&config, Host { connected: Vec::new(), ..host() }, &mut faults).is_none());
    assert!(faults[0].message.starts_with("no router id"));
    // Without lo it is the highest.
    let attached = |address: &str| Attached { interface: "net1".into(), address: net(address) };
    let connected = vec![attached("fd00::1/64"), attached("10.0.9.1/24"), attached("10.0.1.1/24")];
    let router = router(&config, Host { connected, ..host() }, &mut Vec::new()).unwrap();
    assert_eq!(router.desired.router_id, RouterId(0x0a00_0901));
    assert_eq!(router.show.groups.len(), 0);
    assert!(!router.desired.neighbors.contains_key(&NeighborKey::Interface("net0".into())));
}

proptest! {
    #[test]
    fn any_lines_are_no_panic(lines in proptest::collection::vec(line(), 0..24)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let _ = read(&[&["conf t", "router bgp 65000"], lines.as_slice()].concat());
        let _ = read(&lines);
    }
}

/// Words that mean something in any order, and texts that mean nothing.
fn line() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec![
        "conf",
        "t",
        "frr",
        "defaults",
        "datacenter",
        "router",
        "bgp",
        "65000",
        "1",
        "no",
        "neighbor",
        "net0",
        "10.0.1.2",
        "fd00:1::2",
        "fe80::1",
        "G",
        "peer-group",
        "interface",
        "remote-as",
        "external",
        "internal",
        "timers",
        "connect",
        "3",
        "9",
        "address-family",
        "ipv4",
        "ipv6",
        "unicast",
        "exit",
        "end",
        "!",
        "redistribute",
        "connected",
        "network",
        "10.0.0.0/8",
        "activate",
        "default-originate",
        "description",
        "update-source",
        "lo",
        "ebgp-multihop",
        "maximum-prefix",
        "0",
        "4294967296",
        "v6only",
    ]);
    prop_oneof![
        4 => proptest::collection::vec(word, 1..6).prop_map(|words| words.join(" ")),
        1 => any::<String>(),
    ]
}
