//! What a network does: silence, delay, refusals, crashes. Sessions notice in time and come back.

use std::time::Duration;

use peerage_core::{
    speaker::{CloseReason, DownReason, Event, PeerState},
    wire::Notification,
};
use peerage_sim::{Rng, World, cases};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b").peer("b", "c");
    world.originate("a", "10.1.0.0/16").originate("b", "10.2.0.0/16").originate("c", "10.3.0.0/16");
    world.start().settle();
    assert!(world.has("c", "10.1.0.0/16"));
    world
}

#[test]
fn silence_is_noticed_by_the_hold_timer() {
    let mut world = pair(1);
    world.partition("a", "b").run_for(seconds(80));
    assert!(world.has("c", "10.1.0.0/16"), "nobody knows yet");
    world.run_for(seconds(40));
    for (one, other) in [("a", "b"), ("b", "a")] {
        let down = world.events(one).iter().any(|(_, event)| {
            matches!(event, Event::PeerDown { reason: DownReason::Sent(Notification { code: 4, .. }), .. })
        });
        assert!(down, "{one} and {other}");
    }
    assert!(!world.has("c", "10.1.0.0/16"));
    assert!(world.established("b", "c"));
    world.repair("a", "b").run_for(seconds(300)).settle();
    assert!(world.established("a", "b"));
    assert!(world.has("c", "10.1.0.0/16"));
}

/// A partition shorter than the hold time costs nothing.
#[test]
fn a_short_partition_is_survived() {
    let mut world = pair(2);
    for _ in 0..5 {
        world.partition("a", "b");
        world.originate("a", "10.9.0.0/16").run_for(seconds(30)).repair("a", "b").settle();
        assert!(world.has("c", "10.9.0.0/16"));
        world.withdraw("a", "10.9.0.0/16").settle();
    }
    assert_eq!(world.status("a", "b").dropped, 0);
}

#[test]
fn held_messages_arrive_in_order() {
    let mut world = pair(3);
    world.hold("a", "b");
    for net in 0..20 {
        world.originate("a", &format!("10.{}.0.0/16", 20 + net)).run_for(Duration::from_millis(500));
    }
    world.withdraw("a", "10.20.0.0/16").run_for(seconds(1));
    assert!(!world.has("b", "10.21.0.0/16"));
    world.repair("a", "b").settle();
    assert!(world.has("b", "10.21.0.0/16") && !world.has("b", "10.20.0.0/16"));
    assert_eq!(world.status("a", "b").dropped, 0);
}

/// A reset is known at once.
#[test]
fn resets() {
    let mut world = pair(4);
    world.reset_connections("a", "b").run_for(Duration::from_millis(100));
    assert!(!world.has("b", "10.1.0.0/16"));
    assert!(matches!(world.status("b", "a").last_error, Some(DownReason::Transport(CloseReason::Reset))));
    world.run_for(seconds(300)).settle();
    assert!(world.established("a", "b"));
}

/// Sessions that are reset come back, whoever rests first: two ends must not refuse each other for ever.
#[test]
fn resets_are_got_over_soon() {
    cases(60, |seed| {
        let mut world = World::new(seed);
        world.speaker("a", 65001).speaker("b", 65002).peer("a", "b").start().settle();
        for _ in 0..3 {
            world.reset_connections("a", "b");
            assert!(world.run_until(seconds(60), |world| world.established("a", "b")), "it never comes back");
            world.settle();
        }
    });
}

/// A node that crashes and is there again at once: its peer still holds a session that is gone.
#[test]
fn a_crash_without_a_word() {
    cases(10, |seed| {
        let mut world = pair(seed);
        world.bounce("a").run_for(seconds(400)).settle();
        assert!(world.established("a", "b"));
        assert!(world.has("a", "10.3.0.0/16") && world.has("c", "10.1.0.0/16"));
        world.bounce("b").run_for(seconds(400)).settle();
        assert!(world.established("a", "b") && world.established("b", "c"));
        assert!(world.has("a", "10.3.0.0/16") && world.has("c", "10.1.0.0/16"));
    });
}

/// Who does not listen is reached when it dials; who only listens waits.
#[test]
fn refused_connections() {
    let mut world = World::new(6);
    world.speaker("a", 65001).speaker("b", 65002);
    world.listens("a", false).peer("a", "b").start().settle();
    assert!(world.established("a", "b"));
    let remote = world.status("b", "a").session.unwrap().remote;
    assert_ne!(remote.port(), 179, "a dialled");

    let mut world = World::new(6);
    world.speaker("a", 65001).speaker("b", 65002);
    world.listens("a", false).listens("b", false).peer("a", "b").start().run_for(seconds(1000));
    assert!(matches!(world.state("a", "b"), PeerState::Active | PeerState::Connect));
    assert!(matches!(world.status("a", "b").last_error, Some(DownReason::Transport(CloseReason::Refused))));
    let attempts =
        world.events("a").iter().filter(|(_, event)| matches!(event, Event::AttemptFailed { .. })).count();
    assert!((5..40).contains(&attempts), "{attempts} attempts in 1,000 s");
    world.listens("b", true).run_for(seconds(300)).settle();
    assert!(world.established("a", "b"));
}

#[test]
fn slow_connections() {
    for delay in [1, 20, 100] {
        let mut world = World::new(7);
        world.speaker("a", 65001).speaker("b", 65002).peer("a", "b");
        world.connect_delay("a", "b", seconds(delay)).start().run_for(seconds(600)).settle();
        assert!(world.established("a", "b"), "{delay} s");
    }
}

/// Nobody there at all: it is tried, not too often, and noted.
#[test]
fn an_address_that_nobody_has() {
    let mut world = World::new(8);
    world.speaker("a", 65001).speaker("b", 65002).peer("a", "b");
    let peer = peerage_core::speaker::NeighborKey::Address([10, 99, 0, 1].into());
    world.edit("a", |desired| drop(desired.neighbors.insert(peer, peerage_sim::external(65009))));
    world.start().run_for(seconds(1000)).settle();
    assert!(world.established("a", "b"));
    let status = world.of("a").neighbors().pop().unwrap();
    assert_ne!(status.state, PeerState::Established);
    assert!(matches!(status.last_error, Some(DownReason::Transport(CloseReason::Unreachable))));
}

/// A peer behind a full window that reads again just before the send hold time is over.
#[test]
fn a_stalled_reader() {
    let mut world = pair(9);
    world.window(500);
    world.stall("b", "a");
    for net in 0..200 {
        world.originate("a", &format!("10.200.{net}.0/24"));
    }
    // b reads nothing, so a's KEEPALIVEs do not arrive either: b's hold timer expires first.
    world.run_for(seconds(200));
    assert_eq!(world.status("b", "a").dropped, 1);
    world.resume("b", "a").run_for(seconds(600)).settle();
    assert!(world.established("a", "b"));
    assert!(world.has("c", "10.200.199.0/24"));
}

/// Anything, at any time.
#[test]
fn storms() {
    cases(12, |seed| {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        let names = ["a", "b", "c", "d", "e"];
        for (index, name) in names.iter().enumerate() {
            world.speaker(name, 65001 + index as u32 / 2);
        }
        let pairs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "a"), ("b", "d")];
        for (one, other) in pairs {
            world.peer(one, other);
        }
        for (index, name) in names.iter().enumerate() {
            for net in 0..5 {
                world.originate(name, &format!("10.{}.{net}.0/24", 100 + index));
            }
        }
        if rng.one_in(2) {
            world.late(Duration::from_millis(40));
        }
        world.window(300 + rng.index(5000)).start();
        for _ in 0..40 {
            let (one, other) = rng.pick(&pairs);
            match rng.below(10) {
                0 => world.partition(one, other),
                1 => world.hold(one, other),
                2..=3 => world.repair(one, other),
                4 => world.reset_connections(one, other),
                5 => world.stall(one, other),
                6 => world.resume(one, other),
                7 if rng.one_in(3) => world.bounce(one),
                8 => world.connect_delay(one, other, seconds(rng.below(30))),
                _ => world.originate(one, &format!("10.50.{}.0/24", rng.below(9))),
            };
            world.run_for(Duration::from_millis(rng.below(60_000)));
        }
        for (one, other) in pairs {
            world.repair(one, other).resume(one, other).resume(other, one);
            world.connect_delay(one, other, Duration::ZERO);
        }
        world.run_for(seconds(900)).settle();
        for (one, other) in pairs {
            assert!(world.established(one, other), "{one} and {other}");
            assert_eq!(world.open_connections(one, other), 1, "{one} and {other}");
        }
    });
}
