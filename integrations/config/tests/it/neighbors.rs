//! Who a neighbour is, what it has from its group, and what follows from both.

use std::{collections::BTreeSet, time::Duration};

use peerage_core::{
    policy::Policy,
    speaker::{Neighbor, NeighborKey, PeerAs, SocketOptions, Timers},
    wire::{Asn, Family},
};

use crate::{BASE, config, faults, notices};

/// The only neighbour of a text.
fn neighbor(text: &str) -> (NeighborKey, Neighbor) {
    let mut neighbors = config(&format!("{BASE}{text}")).desired.neighbors;
    assert_eq!(neighbors.len(), 1);
    neighbors.pop_first().expect("there is one")
}

#[test]
fn names_say_who() {
    let key = |name: &str| neighbor(&format!("[neighbor.\"{name}\"]\nas = 1")).0;
    assert_eq!(key("10.0.0.2"), NeighborKey::Address("10.0.0.2".parse().expect("an address")));
    assert_eq!(key("2001:db8::1"), NeighborKey::Address("2001:db8::1".parse().expect("an address")));
    assert_eq!(key("10.1.0.0/16"), NeighborKey::Range("10.1.0.0/16".parse().expect("a prefix")));
    assert_eq!(key("::/0"), NeighborKey::Range("::/0".parse().expect("a prefix")));
    assert_eq!(key("net0"), NeighborKey::Interface("net0".into()));
    assert_eq!(key("eth0.100"), NeighborKey::Interface("eth0.100".into()));
}

#[test]
fn names_that_are_nobody() {
    let said = |name: &str| {
        let mut said = faults(&format!("{BASE}[neighbor.{name}]\nas = 1"));
        assert_eq!(said.len(), 1, "{said:?}");
        let said = said.remove(0);
        assert!(said.starts_with("t.toml:3:11: neighbor."), "{said}");
        said
    };
    let expected = "expected an address, a prefix or the name of an interface, found ";
    for name in
        ["\"10.0.0.300\"", "\"10.0.0\"", "\"::x\"", "\"eth0:1\"", "\"a b\"", "\"\"", "\"abcdefghijklmnop\""]
    {
        assert!(said(name).ends_with(&format!("{expected}{name}")), "{name}");
    }
    assert!(
        said("\"10.0.0.1/24\"").ends_with("10.0.0.1/24 has bits beyond its length: is `10.0.0.0/24` meant?")
    );
    assert!(
        said("10.0.0.1").ends_with("neighbor.10: an address stands in quotes: `[neighbor.\"10.0.0.1\"]`")
    );
    assert!(said("\"fe80::1\"").contains("link-local"));
    assert!(said("\"224.0.0.1\"").contains("224.0.0.1 is nobody's address"));
}

#[test]
fn the_same_one_twice() {
    let text = format!("{BASE}[neighbor.\"::1\"]\nas = 1\n[neighbor.\"0::1\"]\nas = 1\n");
    let said = faults(&text);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("the neighbour ::1 is there already, written otherwise"), "{said:?}");
}

#[test]
fn an_as_has_to_be_given() {
    let said = faults(&format!("{BASE}[group.g]\n[neighbor.net0]\ngroup = \"g\"\n"));
    let expected = "missing: expected an AS number, \"internal\", \"external\" or \"any\"";
    assert_eq!(said, [format!("t.toml:4:11: neighbor.net0.as: {expected}")]);
    let said = faults(&format!("{BASE}[neighbor.net0]\ngroup = \"g\"\n"));
    assert_eq!(said, ["t.toml:4:9: neighbor.net0.group: there is no group \"g\""]);
}

#[test]
fn a_group_gives_what_the_neighbour_does_not() {
    let text = r#"
[group.g]
as = "external"
description = "of the group"
passive = true
multihop = 3
timers = { hold = 9, connect-retry = 10 }
families = ["ipv4-unicast"]
default-originate = true
import = "accept"
export = "reject"
prefix-limit = 10

[neighbor."10.0.0.2"]
group = "g"
description = "its own"
passive = false
timers.connect-retry = 5
families = ["ipv6-unicast"]
export = "accept"
"#;
    let (_, found) = neighbor(text);
    let mut expected = Neighbor::new(PeerAs::External);
    expected.peer_group = Some("g".into());
    expected.description = Some("its own".into());
    expected.socket.ttl = Some(3);
    expected.timers = Timers {
        hold: Duration::from_secs(9),
        keepalive: Duration::from_secs(3),
        connect_retry: Duration::from_secs(5),
        ..Timers::default()
    };
    expected.families = BTreeSet::from([Family::IPV6_UNICAST]);
    expected.default_originate = expected.families.clone();
    expected.import = Some(Policy::accept());
    expected.export = Some(Policy::accept());
    expected.prefix_limit = Some(10);
    assert_eq!(found, expected);
}

#[test]
fn groups_in_groups() {
    let said = faults(&format!("{BASE}[group.a]\n[group.b]\ngroup = \"a\"\n"));
    assert_eq!(said, ["t.toml:5:9: group.b.group: a group is in no other group: leave it out"]);
}

#[test]
fn keepalive_follows_hold() {
    let keepalive = |timers: &str| {
        let text = format!("[neighbor.net0]\nas = 1\ntimers = {{ {timers} }}\n");
        neighbor(&text).1.timers.keepalive
    };
    assert_eq!(keepalive(""), Duration::from_secs(30));
    assert_eq!(keepalive("hold = 9"), Duration::from_secs(3));
    assert_eq!(keepalive("hold = 180"), Duration::from_secs(30));
    assert_eq!(keepalive("hold = 0"), Duration::from_secs(30));
    assert_eq!(keepalive("hold = 9, keepalive = 4"), Duration::from_secs(4));
}

#[test]
fn how_far_packets_go() {
    let socket = |lines: &str| {
        let SocketOptions { ttl, min_ttl, .. } =
            neighbor(&format!("[neighbor.\"10.0.0.2\"]\n{lines}")).1.socket;
        (ttl, min_ttl)
    };
    assert_eq!(socket("as = 65001"), (Some(1), None));
    assert_eq!(socket("as = \"external\""), (Some(1), None));
    assert_eq!(socket("as = 65000"), (None, None));
    assert_eq!(socket("as = \"internal\""), (None, None));
    assert_eq!(socket("as = \"any\""), (None, None));
    assert_eq!(socket("as = 65001\nmultihop = 5"), (Some(5), None));
    assert_eq!(socket("as = 65001\nttl-security = 1"), (Some(255), Some(255)));
    assert_eq!(socket("as = 65001\nttl-security = 254"), (Some(255), Some(2)));
    // What the neighbour says is instead of what the group says.
    let group = |of_group: &str, own: &str| {
        socket(&format!("group = \"g\"\n{own}\n[group.g]\nas = \"external\"\n{of_group}\n"))
    };
    assert_eq!(group("ttl-security = 1", "multihop = 5"), (Some(5), None));
    assert_eq!(group("multihop = 5", "ttl-security = 1"), (Some(255), Some(255)));
    let both = faults(&format!("{BASE}[neighbor.net0]\nas = 1\nmultihop = 2\nttl-security = 1\n"));
    assert_eq!(
        both,
        [
            "t.toml:6:16: neighbor.net0.ttl-security: not together with `multihop`: say here how many hops away it is"
        ]
    );
}

#[test]
fn default_routes_in_families_that_are_there() {
    let text = "[neighbor.net0]\nas = 1\nfamilies = [\"ipv4-unicast\"]\ndefault-originate = ";
    assert_eq!(neighbor(&format!("{text}true")).1.default_originate, BTreeSet::from([Family::IPV4_UNICAST]));
    assert_eq!(neighbor(&format!("{text}false")).1.default_originate, BTreeSet::new());
    assert_eq!(
        faults(&format!("{BASE}{text}[\"ipv6-unicast\"]")),
        ["t.toml:6:21: neighbor.net0.default-originate: ipv6-unicast is none of the neighbour's families"]
    );
    // The neighbour's list is instead of the group's `true`.
    let (_, found) = neighbor(
        "[group.g]\nas = 1\ndefault-originate = true\n[neighbor.net0]\ngroup = \"g\"\ndefault-originate = []\n",
    );
    assert_eq!(found.default_originate, BTreeSet::new());
}

#[test]
fn clients_are_internal() {
    let said =
        |asn: &str| faults(&format!("{BASE}[neighbor.net0]\nas = {asn}\nroute-reflector-client = true\n"));
    let fault = "t.toml:5:26: neighbor.net0.route-reflector-client: only an iBGP neighbour is a client of a route reflector (RFC 4456)";
    assert_eq!(said("65001"), [fault]);
    assert_eq!(said("\"external\""), [fault]);
    for internal in ["65000", "\"internal\"", "\"any\""] {
        assert_eq!(said(internal), [""; 0]);
    }
}

#[test]
fn silent_neighbours_are_noticed() {
    let said = |lines: &str| notices(&format!("{BASE}[neighbor.\"10.0.0.2\"]\n{lines}\n")).len();
    assert_eq!(said("as = \"internal\""), 0);
    assert_eq!(said("as = 65000"), 0);
    assert_eq!(said("as = 65001"), 2);
    assert_eq!(said("as = \"any\""), 2);
    assert_eq!(said("as = 65001\nimport = \"reject\""), 1);
    assert_eq!(said("as = 65001\nimport = \"reject\"\ndefault-originate = true"), 0);
    assert_eq!(said("as = 65001\nshutdown = true"), 0);
    assert_eq!(
        notices(&format!("{BASE}[neighbor.\"10.0.0.2/32\"]\nas = 65000\n")),
        [
            "t.toml:3:11: notice: neighbor.\"10.0.0.2/32\": only waits for connections: `[neighbor.\"10.0.0.2\"]` also makes them"
        ]
    );
}

#[test]
fn numbers_are_numbers() {
    let (_, found) = neighbor("[neighbor.net0]\nas = 0xFDE9\nport = 1_790\n");
    assert_eq!((found.asn, found.port), (PeerAs::Number(Asn(65001)), 1790));
}
