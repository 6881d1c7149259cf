//! Invariants 1, 2, 8 and 15: random networks, random changes, and every check after each settle.

use std::time::Duration;

use peerage_core::{
    policy::{Match, Policy, PrefixMatch, Rule, Set, Verdict},
    speaker::{Neighbor, NextHopMode},
    wire::{Asn, Community, Family, Origin},
};
use peerage_sim::{Rng, Segmentation, World, attributes, cases, prefix};

/// A policy with a bit of everything.
fn policy(rng: &mut Rng) -> Policy {
    let mut policy = Policy::accept();
    for _ in 0..rng.below(3) {
        let mut rule = Rule::default();
        if rng.one_in(2) {
            rule.matches.push(Match::Prefix(vec![PrefixMatch {
                net: prefix("10.64.0.0/11"),
                min_len: 11,
                max_len: 32,
            }]));
        }
        if rng.one_in(4) {
            rule.matches.push(Match::Not(Box::new(Match::Origin(Origin::Igp))));
        }
        match rng.below(6) {
            0 => rule.sets.push(Set::LocalPref(50 + rng.below(3) as u32 * 50)),
            1 => rule.sets.push(Set::Med(Some(rng.below(3) as u32))),
            2 => rule.sets.push(Set::AddCommunities(vec![Community::new(65000, rng.below(3) as u16)])),
            3 => rule.sets.push(Set::Prepend { asn: Asn(64999), count: 2 }),
            4 => rule.sets.push(Set::Origin(Origin::Incomplete)),
            _ => rule.verdict = Some(Verdict::Reject),
        }
        policy.rules.push(rule);
    }
    policy
}

fn route_attributes(rng: &mut Rng) -> peerage_core::wire::attr::PathAttributes {
    let path: Vec<u32> = (0..rng.below(3)).map(|_| 64000 + rng.below(5) as u32).collect();
    let mut route = attributes(&path);
    route.origin = rng.pick(&[Origin::Igp, Origin::Egp, Origin::Incomplete]);
    if rng.one_in(3) {
        route.med = Some(rng.below(3) as u32 * 10);
    }
    if rng.one_in(4) {
        route.communities = vec![Community(rng.word() as u32 & 0x0FFF_FFFF)];
    }
    if rng.one_in(12) {
        route.communities.push(rng.pick(&[Community::NO_EXPORT, Community::NO_ADVERTISE]));
    }
    route
}

/// Networks of several ASes, partly meshed, with policies.
fn network(seed: u64, rng: &mut Rng) -> (World, Vec<(String, String)>) {
    let mut world = World::new(seed);
    let count = 3 + rng.index(5);
    for node in 0..count {
        world.speaker(&format!("n{node}"), 65001 + rng.below(4) as u32);
    }
    let mut peerings = Vec::new();
    for one in 0..count {
        for other in one + 1..count {
            if other != one + 1 && !rng.one_in(3) {
                continue;
            }
            let (a, b) = (format!("n{one}"), format!("n{other}"));
            let policies = [policy(rng), policy(rng), policy(rng), policy(rng)];
            let with = rng.one_in(2);
            let client = rng.one_in(3);
            let [import_a, export_a, import_b, export_b] = policies;
            let edit = |import: Policy, export: Policy| {
                move |neighbor: &mut Neighbor| {
                    if with {
                        (neighbor.import, neighbor.export) = (Some(import), Some(export));
                    }
                    neighbor.enforce_first_as = true;
                }
            };
            if rng.one_in(3) {
                world.peer_6(&a, &b);
                peerings.push((a, b));
                continue;
            }
            world.peer_with(
                &a,
                &b,
                |neighbor| {
                    edit(import_a, export_a)(neighbor);
                    neighbor.route_reflector_client = client;
                },
                edit(import_b, export_b),
            );
            peerings.push((a, b));
        }
    }
    match rng.below(4) {
        0 => {
            let _ = world.segmentation(Segmentation::Whole);
        }
        1 => {
            let _ = world.late(Duration::from_millis(20));
        }
        2 => {
            let _ = world.window(64 + rng.index(2000));
        }
        _ => {}
    }
    (world, peerings)
}

fn some_prefix(rng: &mut Rng) -> String {
    if rng.one_in(20) {
        rng.pick(&["0.0.0.0/0", "::/0"]).to_owned()
    } else if rng.one_in(3) {
        format!("2001:db8:{:x}::/48", rng.below(12))
    } else {
        format!("10.{}.0.0/16", 60 + rng.below(12))
    }
}

#[test]
fn random_networks_stay_consistent() {
    cases(25, |seed| {
        let mut rng = Rng::new(seed);
        let (mut world, peerings) = network(seed, &mut rng);
        let names: Vec<String> = (0..8).map(|node| format!("n{node}")).collect();
        let count = peerings.iter().map(|(_, b)| b[1..].parse::<usize>().unwrap()).max().unwrap() + 1;
        for _ in 0..10 {
            let (node, prefix) = (rng.index(count), some_prefix(&mut rng));
            world.originate_with(&names[node], &prefix, route_attributes(&mut rng));
        }
        world.start().settle();
        for (a, b) in &peerings {
            assert!(world.established(a, b), "{a} and {b}");
        }
        for _ in 0..6 {
            for _ in 0..1 + rng.below(6) {
                let node = rng.index(count);
                let name = names[node].clone();
                let (a, b) = peerings[rng.index(peerings.len())].clone();
                match rng.below(13) {
                    0..=3 => {
                        let attributes = route_attributes(&mut rng);
                        world.originate_with(&name, &some_prefix(&mut rng), attributes);
                    }
                    4..=5 => {
                        world.withdraw(&name, &some_prefix(&mut rng));
                    }
                    6 => {
                        world.reset_connections(&a, &b);
                    }
                    7 => {
                        let changed = policy(&mut rng);
                        drop(world.edit_neighbor(&a, &b, |neighbor| neighbor.import = Some(changed)));
                    }
                    8 => {
                        let changed = policy(&mut rng);
                        drop(world.edit_neighbor(&a, &b, |neighbor| neighbor.export = Some(changed)));
                    }
                    9 => {
                        let mode = rng.pick(&[
                            NextHopMode::Standard,
                            NextHopMode::OwnAddress,
                            NextHopMode::Unchanged,
                        ]);
                        world.edit_neighbor(&a, &b, |neighbor| neighbor.next_hop = mode);
                    }
                    10 => {
                        world.edit_neighbor(&a, &b, |neighbor| {
                            neighbor.route_reflector_client = !neighbor.route_reflector_client;
                        });
                    }
                    11 => {
                        world.edit_neighbor(&b, &a, |neighbor| {
                            if neighbor.default_originate.is_empty() {
                                neighbor.default_originate =
                                    [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into();
                            } else {
                                neighbor.default_originate.clear();
                            }
                            neighbor.enforce_first_as = !neighbor.enforce_first_as;
                        });
                    }
                    _ => {
                        let metric = if rng.one_in(3) { None } else { Some(rng.below(20) as u32) };
                        let address = format!("10.0.0.{}", 1 + rng.below(count as u64));
                        world.next_hop(&name, &address, metric);
                    }
                }
            }
            if rng.one_in(2) {
                world.run_for(Duration::from_millis(rng.below(30)));
            }
            world.settle();
        }
        for name in &names[..count] {
            world.edit(name, |desired| desired.neighbors.clear());
        }
        world.settle();
        for (node, name) in names[..count].iter().enumerate() {
            assert!(world.of(name).neighbors().is_empty());
            for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST] {
                for route in world.routes(name, family) {
                    assert_eq!(route.paths.len(), 1, "n{node} keeps something of a peer");
                }
            }
        }
    });
}

/// Invariant 8: a route that is as good as before and says something else is sent on.
#[test]
fn equal_rank_with_other_attributes_propagates() {
    let mut world = World::new(8);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b").peer("b", "c");
    world.originate("a", "192.0.2.0/24").start().settle();
    for value in 1..6_u32 {
        let mut route = attributes(&[]);
        route.communities = vec![Community(value)];
        world.edit("a", |desired| drop(desired.originate.insert(prefix("192.0.2.0/24"), route)));
        world.settle();
        let best = world.best("c", "192.0.2.0/24").expect("a route");
        assert_eq!(best.attributes.communities, [Community(value)]);
    }
}

/// Invariant 15: a session that is down leaves nothing; a table without neighbours is empty.
#[test]
fn what_a_peer_brought_goes_with_it() {
    cases(4, |seed| {
        let mut world = World::new(seed);
        world.speaker("hub", 65000);
        for spoke in 0..5 {
            let name = format!("s{spoke}");
            world.speaker(&name, 65001 + spoke);
            world.peer("hub", &name);
            for net in 0..40 {
                world.originate(&name, &format!("10.{}.{net}.0/24", net % 3 + spoke % 2));
            }
        }
        world.start().settle();
        world.edit("s2", |desired| desired.neighbors.clear());
        world.settle();
        for route in world.routes("hub", Family::IPV4_UNICAST) {
            assert!(route.paths.iter().all(|path| path.attributes.as_path.to_string() != "65003"));
        }
        world.edit("hub", |desired| desired.neighbors.clear());
        world.settle();
        for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST] {
            assert_eq!(world.of("hub").rib().len(family), 0);
        }
    });
}
