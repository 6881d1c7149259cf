//! Export: coalescing, late joiners, laggards that leave their group and come back, several sources.

use std::{collections::BTreeSet, time::Duration};

use peerage_core::{
    speaker::{Origination, SourceId},
    wire::{Community, Family, attr::PathAttributes},
};
use peerage_sim::{
    Neighbors as _, Rng, Solo, World, attributes, cases, desired, external,
    message::{self, Attrs, Message, OpenSpec},
    prefix,
};

const NET: &str = "10.9.0.0/16";

fn tagged(value: u32) -> PathAttributes {
    PathAttributes { communities: vec![Community(value)], ..attributes(&[]) }
}

fn route(net: &str, attributes: PathAttributes) -> Origination {
    Origination { prefix: prefix(net), attributes }
}

/// A peer that takes nothing while one prefix changes a hundred times gets the last word only.
#[test]
fn changes_coalesce() {
    let wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002));
    let mut solo = Solo::new(1, &wanted);
    let conn = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
    solo.messages(conn);
    solo.block(conn, true);
    for round in 0..100 {
        solo.speaker.originate(SourceId(1), &[route(NET, tagged(round))]);
        if round % 7 == 0 {
            solo.speaker.withdraw(SourceId(1), &[prefix(NET)]);
        }
    }
    assert_eq!(solo.messages(conn), []);
    solo.block(conn, false);
    let messages = solo.messages(conn);
    assert!(messages.len() <= 2, "{} messages for one prefix", messages.len());
    let Some(Message::Update(facts)) = messages.last() else { panic!("{messages:?}") };
    assert_eq!(facts.attributes.communities, [Community(99)]);
    // Announced and withdrawn while nobody looks is nothing at all.
    solo.block(conn, true);
    for net in 0..200 {
        let net = format!("10.20.{net}.0/24");
        solo.speaker.originate(SourceId(1), &[route(&net, tagged(1))]);
        solo.speaker.withdraw(SourceId(1), &[prefix(&net)]);
    }
    solo.block(conn, false);
    let announced = solo.messages(conn).into_iter().any(|message| match message {
        Message::Update(facts) => !facts.announced.is_empty(),
        _ => false,
    });
    assert!(!announced);
    assert_eq!(solo.speaker.rib().sizes().owed, 0);
    assert_eq!(solo.speaker.rib().sizes().ids, 1);
}

/// A session that comes up late gets everything, and then End-of-RIB.
#[test]
fn late_joiners_get_the_whole_table() {
    cases(4, |seed| {
        let mut world = World::new(seed);
        world.keep_messages().window(3000).speaker("hub", 65001).speaker("a", 65002).speaker("late", 65003);
        world.peer("hub", "a");
        for net in 0..600_u32 {
            let prefix = format!("10.{}.{}.0/24", net / 256, net % 256);
            world.originate_with("a", &prefix, tagged(net % 50));
        }
        world.start().settle();
        world.peer("hub", "late").edit("hub", |_| ());
        world.edit("late", |_| ());
        world.settle();
        let half = world.received("late", "hub").unwrap();
        assert_eq!(half.routes.len(), 600);
        assert_eq!(half.announcements, 600, "each prefix once");
        let ends: Vec<bool> = half
            .log
            .iter()
            .filter_map(|message| match message {
                Message::Update(facts) => Some(facts.end_of_rib.is_some()),
                _ => None,
            })
            .collect();
        assert!(ends.is_sorted(), "End-of-RIB before the last route");
    });
}

/// One member of a group stops reading; the others do not wait for it, what is kept for it is bounded,
/// and when it reads again it has everything that the others have.
#[test]
fn laggards_leave_and_come_back() {
    cases(3, |seed| {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        world.window(2000).speaker("hub", 65000);
        for (name, asn) in [("a", 65001), ("b", 65002), ("slow", 65003), ("slower", 65004)] {
            world.speaker(name, asn);
            world.peer("hub", name);
        }
        world.edit("hub", |desired| desired.limits.retained_octets = 5_000);
        world.start().settle();
        for round in 0..3_u32 {
            world.stall("slow", "hub");
            if round > 0 {
                world.stall("slower", "hub");
            }
            for step in 0..30_u32 {
                let batch: Vec<Origination> = (0..40)
                    .map(|_| {
                        let net = rng.below(400);
                        route(&format!("10.{}.{}.0/24", net / 256, net % 256), tagged(rng.below(1000) as u32))
                    })
                    .collect();
                world.of_mut("hub").originate(SourceId(1), &batch);
                if step % 4 == 3 {
                    let gone: Vec<_> = (0..30)
                        .map(|_| rng.below(400))
                        .map(|net| prefix(&format!("10.{}.{}.0/24", net / 256, net % 256)))
                        .collect();
                    world.of_mut("hub").withdraw(SourceId(1), &gone);
                }
                world.run_for(Duration::from_millis(100));
                let retained = world.of("hub").rib().sizes().retained_octets;
                // One window may be open over the limit.
                assert!(retained <= 5_000 + 70_000, "{retained} octets are kept");
            }
            world.settle();
            assert!(!world.received("a", "hub").unwrap().routes.is_empty());
            let here: BTreeSet<_> = world.prefixes("hub", Family::IPV4_UNICAST);
            assert_eq!(world.prefixes("a", Family::IPV4_UNICAST), here, "others wait for a laggard");
            assert_eq!(world.prefixes("b", Family::IPV4_UNICAST), here);
            world.resume("slow", "hub").settle();
            assert_eq!(world.prefixes("slow", Family::IPV4_UNICAST), here);
            if round == 2 {
                world.resume("slower", "hub").settle();
            }
        }
        for name in ["a", "b", "slow", "slower"] {
            assert_eq!(world.status("hub", name).dropped, 0, "{name}");
        }
        // Back in the group: one encoding for all again.
        let before = world.received("slow", "hub").unwrap().updates;
        world.of_mut("hub").originate(SourceId(1), &[route(NET, tagged(7))]);
        world.settle();
        assert_eq!(world.received("slow", "hub").unwrap().updates, before + 1);
        assert_eq!(world.of("hub").rib().sizes().retained_octets, 0);
    });
}

/// Members stop and go at random while the table churns, with sources among them.
#[test]
fn stalls_at_random() {
    cases(10, |seed| {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        world.window(500 + rng.index(4000)).speaker("hub", 65000);
        let spokes: Vec<String> = (0..6).map(|spoke| format!("s{spoke}")).collect();
        for (index, name) in spokes.iter().enumerate() {
            world.speaker(name, if index == 5 { 65000 } else { 65001 + index as u32 });
            world.peer("hub", name);
        }
        let octets = 1000 + rng.index(20_000);
        world.edit("hub", |desired| desired.limits.retained_octets = octets);
        if rng.one_in(2) {
            world.late(Duration::from_millis(10));
        }
        world.start().settle();
        for _ in 0..60 {
            let name = spokes[rng.index(spokes.len())].clone();
            match rng.below(8) {
                0 => {
                    world.stall(&name, "hub");
                }
                1 => {
                    world.resume(&name, "hub");
                }
                2 if rng.one_in(3) => {
                    world.reset_connections(&name, "hub");
                }
                3 => {
                    let gone: Vec<_> =
                        (0..20).map(|_| prefix(&format!("10.0.{}.0/24", rng.below(100)))).collect();
                    world.of_mut(&name).withdraw(SourceId(1), &gone);
                }
                _ => {
                    let batch: Vec<_> = (0..20)
                        .map(|_| {
                            let net = format!("10.0.{}.0/24", rng.below(100));
                            let mut attributes = tagged(rng.below(10) as u32);
                            attributes.med = Some(rng.below(3) as u32);
                            route(&net, attributes)
                        })
                        .collect();
                    world.of_mut(&name).originate(SourceId(1), &batch);
                }
            }
            world.run_for(Duration::from_millis(rng.below(300)));
        }
        for name in &spokes {
            world.resume(name, "hub");
        }
        world.run_for(Duration::from_secs(300)).settle();
        for name in &spokes {
            assert!(world.established("hub", name), "{name}");
        }
    });
}

/// Several sources want one prefix: the lowest is announced, and each takes back only its own.
#[test]
fn several_sources() {
    let mut world = World::new(1);
    world.speaker("a", 65001).speaker("b", 65002).peer("a", "b").start().settle();
    let tag = |world: &World| {
        world.best("b", NET).map(|best| best.attributes.communities.first().map_or(0, |tag| tag.0))
    };
    world.of_mut("a").originate(SourceId(5), &[route(NET, tagged(5))]);
    world.settle();
    assert_eq!(tag(&world), Some(5));
    world.of_mut("a").originate(SourceId(3), &[route(NET, tagged(3))]);
    world.settle();
    assert_eq!(tag(&world), Some(3));
    world.of_mut("a").originate(SourceId(9), &[route(NET, tagged(9))]);
    world.edit("a", |desired| drop(desired.originate.insert(prefix(NET), tagged(0))));
    world.settle();
    assert_eq!(tag(&world), Some(0), "configuration is source 0");
    world.edit("a", |desired| desired.originate.clear());
    world.settle();
    assert_eq!(tag(&world), Some(3));
    for (source, left) in
        [(SourceId(3), Some(5)), (SourceId(3), Some(5)), (SourceId(5), Some(9)), (SourceId(9), None)]
    {
        world.of_mut("a").withdraw(source, &[prefix(NET)]);
        world.settle();
        assert_eq!(tag(&world), left, "after {source:?}");
    }
    assert!(world.of("a").rib().is_empty());
}

/// A peer is not told its own route; when another's becomes the best, it is, and back again.
#[test]
fn the_best_path_changes_hands() {
    cases(10, |seed| {
        let mut rng = Rng::new(seed);
        let mut wanted = desired(65000, [10, 0, 0, 1].into());
        let addresses = ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
        for (index, address) in addresses.iter().enumerate() {
            wanted = wanted.neighbor(address, external(65002 + index as u32));
        }
        let mut solo = Solo::new(1, &wanted);
        let conns: Vec<_> = addresses
            .iter()
            .enumerate()
            .map(|(index, address)| {
                solo.establish(address, &OpenSpec::new(65002 + index as u32, address.parse().unwrap()))
            })
            .collect();
        // What each has been told, and not told otherwise.
        let mut told: Vec<Option<String>> = vec![None; 4];
        let mut blocked = [false; 4];
        for _ in 0..60 {
            let peer = rng.index(4);
            let octets = if rng.one_in(3) {
                message::withdraw(&[prefix(NET)])
            } else {
                let mut path = vec![65002 + peer as u32];
                path.extend((0..rng.below(3)).map(|_| 64000 + rng.below(3) as u32));
                message::announce(&Attrs::new(&path, addresses[peer].parse().unwrap()), &[prefix(NET)])
            };
            solo.speaker.handle_bytes(solo.now, conns[peer], &octets);
            if rng.one_in(4) {
                let other = rng.index(4);
                blocked[other] = !blocked[other];
                solo.block(conns[other], blocked[other]);
            }
            if rng.one_in(2) {
                continue;
            }
            solo.pump();
            for index in 0..4 {
                for message in solo.messages(conns[index]) {
                    let Message::Update(facts) = message else { continue };
                    if facts.announced.contains_key(&prefix(NET)) {
                        told[index] = Some(facts.attributes.as_path.to_string());
                    } else if facts.withdrawn.contains(&prefix(NET)) {
                        told[index] = None;
                    }
                }
                if blocked[index] {
                    continue;
                }
                let best = solo.speaker.rib().route(prefix(NET)).and_then(|route| route.best().cloned());
                let want = best.and_then(|best| {
                    let from = best.attributes.as_path.segments[0].asns[0].0 as usize - 65002;
                    (from != index).then(|| format!("65000 {}", best.attributes.as_path))
                });
                assert_eq!(told[index], want, "{}", addresses[index]);
            }
        }
    });
}
