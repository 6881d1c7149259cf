//! Invariants 2 and 3: the orders of the decision, and that the order of arrival does not matter.

use std::collections::BTreeMap;

use peerage_core::{
    rib::Route,
    wire::{Family, RouterId},
};
use peerage_sim::{
    Neighbors as _, Rng, Solo, cases, desired, external, internal,
    message::{self, Attrs, OpenSpec},
    prefix,
};

/// One announcement of a peer, drawn from few values so that ties are common.
fn announcement(rng: &mut Rng, asn: u32, own: u32) -> Attrs {
    let mut path = Vec::new();
    if asn != own {
        path.push(asn);
    }
    for _ in 0..rng.below(3) {
        path.push(64000 + rng.below(3) as u32);
    }
    let next_hop = [10, 9, 0, 1 + rng.below(3) as u8].into();
    let mut attrs = Attrs::default().origin(rng.below(3) as u8).as_path(&path).next_hop(next_hop);
    if rng.one_in(2) {
        attrs = attrs.med(rng.below(3) as u32);
    }
    if asn == own {
        attrs = attrs.local_pref(100 + rng.below(2) as u32);
        if rng.one_in(3) {
            attrs = attrs.raw(0x80, 9, &[10, 0, 0, 50 + rng.below(2) as u8]);
            let clusters: Vec<u8> = (0..4 * rng.below(3)).map(|_| 7).collect();
            if !clusters.is_empty() {
                attrs = attrs.raw(0x80, 10, &clusters);
            }
        }
    }
    attrs
}

/// Everything but who is called what: ids depend on the order of arrival, and may.
fn shape(routes: &[Route]) -> Vec<String> {
    routes
        .iter()
        .map(|route| {
            let paths: Vec<String> = route
                .paths
                .iter()
                .map(|path| {
                    let origin = match &path.origin {
                        peerage_core::rib::PathOrigin::Local(source) => format!("{source:?}"),
                        peerage_core::rib::PathOrigin::Peer { address, router_id, .. } => {
                            format!("{address} {router_id}")
                        }
                    };
                    format!("{origin} {:?} {:?} {}", path.attributes, path.next_hop, path.best)
                })
                .collect();
            format!("{} {paths:?}", route.prefix)
        })
        .collect()
}

/// A speaker with eBGP and iBGP peers, two of the eBGP ones in one AS.
fn rig(seed: u8, peers: &[(String, u32)]) -> (Solo, Vec<peerage_core::speaker::ConnId>) {
    let mut wanted = desired(65000, [10, 0, 0, 1].into()).route("10.1.0.0/16");
    for (address, asn) in peers {
        let neighbor = if *asn == 65000 { internal() } else { external(*asn) };
        wanted = wanted.neighbor(address, neighbor);
    }
    let mut solo = Solo::new(seed, &wanted);
    let conns = peers
        .iter()
        .map(|(address, asn)| {
            let id: std::net::Ipv4Addr = address.parse().unwrap();
            // Some share an identifier: allowed between ASes, and a tie to break.
            let id = [10, 0, 0, id.octets()[3] / 2].into();
            solo.establish(address, &OpenSpec::new(*asn, id))
        })
        .collect();
    for metric in 0..3_u32 {
        let reach = peerage_core::speaker::Reachability::Reachable { metric: metric % 2 };
        solo.speaker.handle_next_hop(solo.now, [10, 9, 0, 1 + metric as u8].into(), reach);
    }
    (solo, conns)
}

fn peers() -> Vec<(String, u32)> {
    [65001, 65001, 65002, 65002, 65003, 65000, 65000, 65000]
        .iter()
        .enumerate()
        .map(|(index, asn)| (format!("10.0.0.{}", 20 + index), *asn))
        .collect()
}

#[test]
fn arrival_order_does_not_matter() {
    cases(40, |seed| {
        let mut rng = Rng::new(seed);
        let peers = peers();
        let prefixes = ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"];
        // The last word of every peer on every prefix; the words before differ with the order.
        let mut last: BTreeMap<(usize, usize), Option<Attrs>> = BTreeMap::new();
        for (peer, (_, asn)) in peers.iter().enumerate() {
            for net in 0..prefixes.len() {
                let says = (!rng.one_in(4)).then(|| announcement(&mut rng, *asn, 65000));
                last.insert((peer, net), says);
            }
        }
        let mut shapes = Vec::new();
        for round in 0..4 {
            let (mut solo, conns) = rig(round, &peers);
            let mut order: Vec<_> = last.keys().copied().collect();
            rng.shuffle(&mut order);
            for &(peer, net) in &order {
                if rng.one_in(3) {
                    let noise = announcement(&mut rng, peers[peer].1, 65000);
                    solo.bytes(conns[peer], &message::announce(&noise, &[prefix(prefixes[net])]));
                }
            }
            rng.shuffle(&mut order);
            for (peer, net) in order {
                let octets = match &last[&(peer, net)] {
                    Some(attrs) => message::announce(attrs, &[prefix(prefixes[net])]),
                    None => message::withdraw(&[prefix(prefixes[net])]),
                };
                solo.bytes(conns[peer], &octets);
            }
            let routes = solo.speaker.rib().routes(Family::IPV4_UNICAST);
            let metrics = (1..=3_u8)
                .map(|last| (std::net::IpAddr::from([10, 9, 0, last]), Some(u32::from(last - 1) % 2)))
                .collect();
            for route in &routes {
                let naive = peerage_sim::naive::decide(&route.paths, &metrics);
                assert_eq!(
                    route.best(),
                    naive.map(|index| &route.paths[index]),
                    "{} of {:#?}",
                    route.prefix,
                    route.paths
                );
            }
            shapes.push(shape(&routes));
        }
        assert!(shapes.windows(2).all(|two| two[0] == two[1]), "{shapes:#?}");
    });
}

/// The case that a pairwise comparison gets wrong: A beats B by MED, B beats C, C beats A.
#[test]
fn med_makes_no_circles() {
    let peers: Vec<(String, u32)> =
        vec![("10.0.0.20".into(), 65001), ("10.0.0.24".into(), 65001), ("10.0.0.22".into(), 65002)];
    // Same AS: the first has the better identifier, the second the better MED; the third lies between
    // them by identifier.
    let med = [10, 5, 0];
    let mut winners = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (mut solo, conns) = rig(3, &peers);
        for peer in order {
            let attrs = Attrs::new(&[peers[peer].1], [10, 9, 0, 1].into()).med(med[peer]);
            solo.bytes(conns[peer], &message::announce(&attrs, &[prefix("10.7.0.0/16")]));
        }
        let route = solo.speaker.rib().route(prefix("10.7.0.0/16")).unwrap();
        winners.push(route.best().unwrap().attributes.as_path.to_string());
    }
    assert!(winners.iter().all(|winner| winner == "65002"), "{winners:?}");
}

mod orders {
    //! Each of the two orders by itself.

    use core::cmp::Ordering;
    use std::net::IpAddr;

    use peerage_core::{
        rib::decision::{Rank, Scope, prefer, select},
        wire::{Asn, Origin},
    };

    use super::{Rng, RouterId, cases};

    fn rank(rng: &mut Rng) -> Rank<'static> {
        Rank {
            local: rng.one_in(8),
            local_pref: 100 + rng.below(2) as u32,
            as_path_len: rng.below(2) as u16,
            origin: rng.pick(&[Origin::Igp, Origin::Egp]),
            neighbor_as: rng.pick(&[None, Some(Asn(1)), Some(Asn(2)), Some(Asn(3))]),
            med: rng.below(3) as u32,
            external: rng.one_in(2),
            metric: rng.below(2) as u32,
            router_id: RouterId(1 + rng.below(2) as u32),
            cluster_list_len: rng.below(2) as u16,
            address: IpAddr::from([10, 0, 0, rng.below(3) as u8]),
            interface: rng.pick(&[None, Some("net0"), Some("net1")]),
        }
    }

    #[test]
    fn each_is_total_antisymmetric_and_transitive() {
        cases(40, |seed| {
            let mut rng = Rng::new(seed);
            let ranks: Vec<_> = (0..16).map(|_| rank(&mut rng)).collect();
            for scope in [Scope::Within, Scope::Across] {
                for a in &ranks {
                    assert_eq!(prefer(a, a, scope).0, Ordering::Equal);
                    for b in &ranks {
                        let (ab, step) = prefer(a, b, scope);
                        let (ba, back) = prefer(b, a, scope);
                        assert_eq!((ab, step), (ba.reverse(), back), "{a:?} {b:?}");
                        for c in &ranks {
                            let (bc, ac) = (prefer(b, c, scope).0, prefer(a, c, scope).0);
                            if ab != Ordering::Greater && bc != Ordering::Greater {
                                assert_ne!(ac, Ordering::Greater, "{a:?} {b:?} {c:?}");
                            }
                        }
                    }
                }
            }
        });
    }

    #[test]
    fn the_selection_does_not_depend_on_the_order() {
        cases(200, |seed| {
            let mut rng = Rng::new(seed);
            let mut ranks: Vec<_> = (0..1 + rng.index(9)).map(|_| rank(&mut rng)).collect();
            let best = ranks[select(&ranks).unwrap()];
            for _ in 0..6 {
                rng.shuffle(&mut ranks);
                let again = ranks[select(&ranks).unwrap()];
                // Equal ones may stand for each other.
                assert_eq!(prefer(&best, &again, Scope::Across).0, Ordering::Equal);
                assert_eq!((best.neighbor_as, best.med), (again.neighbor_as, again.med));
            }
        });
    }
}
