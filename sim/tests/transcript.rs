//! Invariant 14: same seed, same transcript. And the second half of invariant 3: the order in which
//! connections are served does not change where a network ends up.

use std::time::Duration;

use peerage_core::wire::Family;
use peerage_sim::{World, cases};

fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    for (node, asn) in [("a", 65001), ("b", 65002), ("c", 65003), ("d", 65001), ("e", 65002)] {
        world.speaker(node, asn);
    }
    for (one, other) in [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"), ("b", "e"), ("e", "d")] {
        world.peer(one, other);
    }
    for net in 0..25_usize {
        world.originate(["a", "b", "c", "d", "e"][net % 5], &format!("10.{}.0.0/16", net % 9));
    }
    world
}

fn course(mut world: World) -> World {
    world.start().settle();
    world.reset_connections("a", "b").settle();
    world.partition("c", "d").run_for(Duration::from_secs(200)).repair("c", "d");
    world.run_for(Duration::from_secs(300)).settle();
    world.withdraw("a", "10.0.0.0/16").settle();
    world
}

#[test]
fn same_seed_same_transcript() {
    cases(3, |seed| {
        let run = |late: bool| {
            let mut world = world(seed);
            if late {
                world.late(Duration::from_millis(30));
            }
            course(world).transcript()
        };
        for late in [false, true] {
            assert_eq!(run(late), run(late));
        }
        let other = course(world(seed + 1)).transcript();
        assert_ne!(run(false), other, "the seed has no effect");
    });
}

fn tables(world: &World) -> Vec<String> {
    let mut tables = Vec::new();
    for node in ["a", "b", "c", "d", "e"] {
        for route in world.routes(node, Family::IPV4_UNICAST) {
            let best = route.best().map(|best| (&best.attributes, best.next_hop));
            tables.push(format!("{node} {} {best:?}", route.prefix));
        }
    }
    tables
}

#[test]
fn poll_order_does_not_change_the_state() {
    cases(6, |seed| {
        let plain = tables(&course(world(seed)));
        for order in 1..4 {
            let mut world = world(seed);
            world.permute(order);
            assert_eq!(plain, tables(&course(world)), "order {order}");
        }
        let mut late = world(seed);
        late.late(Duration::from_millis(50));
        assert_eq!(plain, tables(&course(late)), "late");
    });
}
