//! The files of `examples/router`, which say nothing wrong and nothing to notice.

use std::{collections::BTreeSet, time::Duration};

use peerage_config::{Config, parse};
use peerage_core::{
    policy::Policy,
    speaker::{NeighborKey, PeerAs},
    wire::{Asn, Family, Origin, RouterId},
};

const TOR: &str = include_str!("../../../../examples/router/tor.toml");

pub(crate) const EXAMPLES: [(&str, &str); 3] = [
    ("tor.toml", TOR),
    ("route-reflector.toml", include_str!("../../../../examples/router/route-reflector.toml")),
    ("collector.toml", include_str!("../../../../examples/router/collector.toml")),
];

fn example(name: &str) -> Config {
    let (_, text) = EXAMPLES.iter().find(|(it, _)| *it == name).expect("an example");
    parse(name, text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn all_are_as_they_should_be() {
    for (name, _) in EXAMPLES {
        assert_eq!(example(name).notices, [], "{name}");
    }
}

/// What topo.yaml says about tor0.
#[test]
fn the_tor_is_tor0_of_the_article() {
    let desired = example("tor.toml").desired;
    assert_eq!((desired.asn, desired.router_id), (Asn(65010), RouterId(0x0a00_0001)));
    let prefixes: Vec<String> = desired.originate.keys().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["10.0.0.1/32", "10.0.1.0/24", "10.0.2.0/24"]);
    for attributes in desired.originate.values() {
        assert_eq!((attributes.origin, attributes.med), (Origin::Incomplete, Some(0)));
    }
    let keys: Vec<String> = desired.neighbors.keys().map(ToString::to_string).collect();
    assert_eq!(keys, ["10.0.1.2", "10.0.2.2", "net0"]);
    for (key, neighbor) in &desired.neighbors {
        let (asn, group) = match key {
            NeighborKey::Interface(_) => (PeerAs::External, "ROUTERS"),
            _ => (PeerAs::Internal, "SERVERS"),
        };
        assert_eq!((neighbor.asn, neighbor.peer_group.as_deref()), (asn, Some(group)));
        assert_eq!((&neighbor.import, &neighbor.export), (&Some(Policy::accept()), &Some(Policy::accept())));
        assert_eq!(neighbor.families, BTreeSet::from([Family::IPV4_UNICAST]));
        let timers = neighbor.timers;
        let seconds = [timers.hold, timers.keepalive, timers.connect_retry].map(|time| time.as_secs());
        assert_eq!(seconds, [9, 3, 10]);
        assert_eq!(timers.idle_hold, Duration::from_secs(5));
    }
}

#[test]
fn the_reflector_has_clients() {
    let desired = example("route-reflector.toml").desired;
    assert!(desired.cluster_id.is_some());
    let clients = desired.neighbors.values().filter(|neighbor| neighbor.route_reflector_client).count();
    assert!(clients >= 2 && clients < desired.neighbors.len());
}

#[test]
fn the_collector_says_nothing() {
    let desired = example("collector.toml").desired;
    assert!(!desired.neighbors.is_empty() && desired.originate.is_empty());
    assert!(desired.neighbors.values().all(|neighbor| neighbor.export == Some(Policy::reject())));
    assert!(desired.neighbors.keys().any(|key| matches!(key, NeighborKey::Range(_))));
}
