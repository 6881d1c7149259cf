//! The article's lab as a world: 8 routes, then 12, then 10.

use std::{collections::BTreeSet, time::Duration};

use peerage_core::{
    speaker::PeerState,
    wire::{Family, Origin},
};
use peerage_sim::{cases, lab};

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

fn set(prefixes: &[&str]) -> BTreeSet<String> {
    prefixes.iter().map(|prefix| (*prefix).to_owned()).collect()
}

fn table(world: &peerage_sim::World, name: &str) -> BTreeSet<String> {
    world.prefixes(name, Family::IPV4_UNICAST).iter().map(ToString::to_string).collect()
}

#[test]
fn eight_twelve_ten_twelve() {
    cases(6, |seed| {
        let mut lab = lab(seed);
        lab.world.start().settle();
        assert_eq!(table(&lab.world, "router0"), set(&BEFORE));
        assert!(lab.world.established("router0", "tor0") && lab.world.established("router0", "tor1"));
        assert_eq!(table(&lab.world, "tor0").len(), 9, "the default route is one more");
        // The ToRs dial nodes that do not listen.
        assert!(matches!(lab.world.state("tor0", "server0"), PeerState::Active | PeerState::Connect));

        lab.apply_policies().settle();
        let all: Vec<&str> = BEFORE.iter().chain(&PODS).copied().collect();
        assert_eq!(table(&lab.world, "router0"), set(&all));
        for (server, tor) in
            [("server0", "tor0"), ("server1", "tor0"), ("server2", "tor1"), ("server3", "tor1")]
        {
            assert!(lab.world.established(server, tor), "{server}");
        }
        for tor in ["tor0", "tor1"] {
            assert_eq!(table(&lab.world, tor).len(), 13);
        }

        lab.delete_policy(1).settle();
        let ten: Vec<&str> = BEFORE.iter().chain(&PODS[..2]).copied().collect();
        assert_eq!(table(&lab.world, "router0"), set(&ten));
        let ceases = lab
            .world
            .notifications()
            .iter()
            .filter(|(_, _, to, n)| to == "tor1" && (n.code, n.subcode) == (6, 3))
            .count();
        assert_eq!(ceases, 2);

        lab.apply_policies().run_for(Duration::from_secs(300)).settle();
        assert_eq!(table(&lab.world, "router0"), set(&all));
    });
}

/// What FRR shows for the same network (`lab.md`).
#[test]
fn the_tables_say_what_frr_says() {
    let mut lab = lab(1);
    lab.world.start().settle();
    lab.apply_policies().settle();
    let world = &lab.world;
    let router = |net: &str| world.best("router0", net).expect(net);
    let pod = router("10.1.0.0/24");
    assert_eq!(pod.attributes.as_path.to_string(), "65010");
    let hop = pod.next_hop.expect("a next hop");
    assert_eq!(hop.address(), std::net::IpAddr::V6(world.link_local("tor0", "net0")), "RFC 8950");
    let connected = router("10.0.0.1/32");
    assert_eq!((connected.attributes.origin, connected.attributes.med), (Origin::Incomplete, Some(0)));
    assert_eq!(router("10.0.0.0/32").next_hop, None);
    match router("10.1.2.0/24").origin {
        peerage_core::rib::PathOrigin::Peer { interface, .. } => {
            assert_eq!(interface.as_deref(), Some("net1"));
        }
        other => panic!("{other:?}"),
    }

    let tor = |net: &str| world.best("tor0", net).expect(net);
    assert_eq!(tor("0.0.0.0/0").attributes.as_path.to_string(), "65000");
    let local = tor("10.1.1.0/24");
    assert_eq!(local.attributes.as_path.to_string(), "");
    assert_eq!(local.attributes.local_pref, Some(100));
    assert_eq!(local.next_hop.map(|hop| hop.address().to_string()).as_deref(), Some("10.0.2.2"));
    assert_eq!(tor("10.1.3.0/24").attributes.as_path.to_string(), "65000 65011");
    assert_eq!(tor("10.0.0.2/32").attributes.med, None, "MED stops at the next AS");
    let status = world.status("tor0", "server0");
    let counts = status.routes[&Family::IPV4_UNICAST];
    assert_eq!((counts.received, counts.advertised), (1, 11), "PfxRcd and PfxSnt of lab.md");
    let counts = world.status("router0", "tor0").routes[&Family::IPV4_UNICAST];
    assert_eq!(counts.received, 5);
}
