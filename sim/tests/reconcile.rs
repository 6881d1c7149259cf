//! Invariant 13: reconciling twice changes nothing the second time, and any way to a configuration ends
//! where a fresh speaker with it starts.

use std::{collections::BTreeMap, time::Duration};

use peerage_core::{
    policy::{Match, Policy, Rule, Set, Verdict},
    rib::PathOrigin,
    speaker::{Change, Cost, Desired, NeighborKey, NextHopMode, PeerAs, PeerState},
    wire::{Asn, Community, Family, Origin, RouterId},
};
use peerage_sim::{
    Neighbors as _, Rng, Solo, World, attributes, cases, desired, external, internal,
    message::{Message, OpenSpec},
    prefix,
};

/// Changes one thing.
fn edit(desired: &mut Desired, rng: &mut Rng) {
    let keys: Vec<NeighborKey> = desired.neighbors.keys().cloned().collect();
    let neighbor =
        if keys.is_empty() { None } else { desired.neighbors.get_mut(&keys[rng.index(keys.len())]) };
    match (rng.below(16), neighbor) {
        (0, _) => drop(desired.neighbors.insert(
            NeighborKey::Address([10, 0, 0, 2 + rng.below(4) as u8].into()),
            if rng.one_in(4) { internal() } else { external(65002 + rng.below(3) as u32) },
        )),
        (1, _) => drop(desired.neighbors.pop_first()),
        (2, _) => {
            let net = prefix(&format!("10.{}.0.0/16", rng.below(6)));
            desired.originate.insert(net, attributes(&[]));
        }
        (3, _) => drop(desired.originate.pop_first()),
        (4, _) => {
            if let Some(route) = desired.originate.values_mut().next() {
                route.origin = rng.pick(&[Origin::Igp, Origin::Incomplete]);
            }
        }
        (5, Some(neighbor)) => neighbor.import = Some(Policy::reject()),
        (6, Some(neighbor)) => {
            let rule = Rule {
                matches: vec![Match::Origin(Origin::Igp)],
                sets: vec![Set::AddCommunities(vec![Community(rng.below(3) as u32)])],
                verdict: Some(Verdict::Accept),
            };
            neighbor.export = Some(Policy { rules: vec![rule], otherwise: Verdict::Reject });
        }
        (7, Some(neighbor)) => neighbor.shutdown = rng.one_in(2),
        (8, Some(neighbor)) => neighbor.passive = rng.one_in(2),
        (9, Some(neighbor)) => neighbor.timers.hold = Duration::from_secs(30 + 30 * rng.below(3)),
        (10, Some(neighbor)) => neighbor.description = Some(format!("number {}", rng.below(5))),
        (11, Some(neighbor)) => {
            neighbor.next_hop =
                rng.pick(&[NextHopMode::Standard, NextHopMode::OwnAddress, NextHopMode::Unchanged]);
        }
        (12, Some(neighbor)) => neighbor.prefix_limit = Some(100 + rng.below(3) as u32),
        (13, Some(neighbor)) => {
            neighbor.families = [Family::IPV4_UNICAST].into();
            if rng.one_in(2) {
                neighbor.families.insert(Family::IPV6_UNICAST);
            }
        }
        (14, Some(neighbor)) => neighbor.default_originate = [Family::IPV4_UNICAST].into(),
        (15, _) => {
            desired.hostname = Some(format!("host{}", rng.below(3)));
            if rng.one_in(4) {
                desired.router_id = RouterId(0x0A00_0001 + rng.below(2) as u32 * 100);
            }
        }
        _ => {}
    }
}

/// What a configuration leads to, without what the way to it left: counters, ids, times.
fn seen(world: &World, name: &str) -> Vec<String> {
    let mut seen: Vec<String> = world
        .of(name)
        .neighbors()
        .iter()
        .map(|status| {
            // One that cannot come up is in any state but that.
            let up = status.state == PeerState::Established;
            format!("{} {up} {} {} {:?}", status.key, status.shutdown, status.policy_missing, status.routes)
        })
        .collect();
    for family in [Family::IPV4_UNICAST, Family::IPV6_UNICAST] {
        for route in world.routes(name, family) {
            for path in route.paths {
                let origin = match path.origin {
                    PathOrigin::Local(source) => format!("{source:?}"),
                    PathOrigin::Peer { address, router_id, .. } => format!("{address} {router_id}"),
                };
                seen.push(format!(
                    "{} {origin} {:?} {:?} {} {:?}",
                    route.prefix, path.next_hop, path.attributes, path.best, path.excluded
                ));
            }
        }
    }
    seen
}

/// A hub with four neighbours that take whatever AS they meet.
fn hub(seed: u64, wanted: &Desired) -> World {
    let mut world = World::new(seed);
    world.speaker_with("hub", wanted.clone());
    for spoke in 0..4_u32 {
        let name = format!("s{spoke}");
        world.speaker(&name, 65002 + spoke % 3);
        world.originate(&name, &format!("10.10{spoke}.0.0/16"));
        let mut neighbor = external(1);
        neighbor.asn = PeerAs::Any;
        world.edit(&name, |desired| {
            desired.neighbors.insert(NeighborKey::Address([10, 0, 0, 1].into()), neighbor);
        });
    }
    // Sessions that cannot come up are tried again and again: such a world never settles.
    world.checking(false).start();
    world
}

#[test]
fn any_way_to_a_configuration_is_as_good_as_the_straight_one() {
    cases(20, |seed| {
        let mut rng = Rng::new(seed);
        let mut wanted = desired(65001, [10, 0, 0, 1].into())
            .neighbor("10.0.0.2", external(65002))
            .neighbor("10.0.0.3", external(65003))
            .route("10.1.0.0/16");
        let mut winding = hub(seed, &wanted);
        winding.run_for(Duration::from_secs(rng.below(10)));
        for _ in 0..12 {
            for _ in 0..1 + rng.below(3) {
                edit(&mut wanted, &mut rng);
            }
            let again = wanted.clone();
            winding.edit("hub", |desired| *desired = again.clone());
            assert!(winding.edit("hub", |_| ()).is_empty(), "the second plan is not empty");
            assert!(winding.of("hub").plan(&wanted).unwrap().is_empty());
            assert_eq!(winding.of("hub").desired(), Some(&wanted));
            if rng.one_in(2) {
                winding.run_for(Duration::from_millis(rng.below(20_000)));
            }
        }
        // The addresses of the hub do not move with its identifier.
        let mut straight = hub(seed ^ 0xFF, &desired(65001, [10, 0, 0, 1].into()));
        straight.edit("hub", |desired| desired.clone_from(&wanted));
        for world in [&mut winding, &mut straight] {
            world.run_for(Duration::from_secs(900));
        }
        assert_eq!(seen(&winding, "hub"), seen(&straight, "hub"), "{wanted:#?}");
        let stable = winding
            .of("hub")
            .neighbors()
            .iter()
            .all(|status| status.shutdown || status.state == PeerState::Established);
        if stable {
            winding.check();
        }
    });
}

/// A dry run says what reconciling then does.
#[test]
fn plan_and_reconcile_agree() {
    cases(200, |seed| {
        let mut rng = Rng::new(seed);
        let mut wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002));
        let mut solo = Solo::new(1, &wanted);
        for _ in 0..10 {
            edit(&mut wanted, &mut rng);
            let plan = solo.speaker.plan(&wanted).unwrap();
            assert_eq!(solo.reconcile(&wanted), plan);
            assert!(solo.speaker.plan(&wanted).unwrap().is_empty());
        }
    });
}

/// What a plan calls free is free, and what it calls a reset resets: no more, no less.
#[test]
fn costs_are_what_they_say() {
    type Edit = (&'static str, fn(&mut Desired), Cost);
    let key = || NeighborKey::Address([10, 0, 0, 2].into());
    let edits: Vec<Edit> = vec![
        ("description", |d| each(d, |n| n.description = Some("x".into())), Cost::None),
        ("peer group", |d| each(d, |n| n.peer_group = Some("x".into())), Cost::None),
        ("import", |d| each(d, |n| n.import = Some(Policy::reject())), Cost::Refresh),
        ("export", |d| each(d, |n| n.export = Some(Policy::reject())), Cost::Refresh),
        ("default", |d| each(d, |n| n.default_originate = [Family::IPV4_UNICAST].into()), Cost::Refresh),
        ("AS", |d| each(d, |n| n.asn = PeerAs::Number(Asn(65009))), Cost::Reset),
        ("families", |d| each(d, |n| n.families = [Family::IPV4_UNICAST].into()), Cost::Reset),
        ("hold time", |d| each(d, |n| n.timers.hold = Duration::from_secs(30)), Cost::Reset),
        ("shutdown", |d| each(d, |n| n.shutdown = true), Cost::Reset),
        ("graceful restart", |d| each(d, |n| n.graceful_restart = Some(Default::default())), Cost::Reset),
        ("router id", |d| d.router_id = RouterId(77), Cost::Reset),
        ("own AS", |d| d.asn = Asn(65077), Cost::Reset),
    ];
    for (what, edit, cost) in edits {
        let mut wanted =
            desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002)).route("10.1.0.0/16");
        let mut solo = Solo::new(1, &wanted);
        let conn = solo.establish("10.0.0.2", &OpenSpec::new(65002, [10, 0, 0, 2].into()));
        solo.messages(conn);
        edit(&mut wanted);
        // Some plans move the keepalive along with the hold time.
        if what == "hold time" {
            each(&mut wanted, |neighbor| neighbor.timers.keepalive = Duration::from_secs(10));
        }
        let plan = solo.reconcile(&wanted);
        let messages = solo.messages(conn);
        let reset = messages.iter().any(|message| matches!(message, Message::Notification(_)));
        assert_eq!(reset, plan.cost() == Cost::Reset, "{what}: {plan:?} {messages:?}");
        assert!(plan.cost() <= cost, "{what} costs {:?}", plan.cost());
        if cost == Cost::Reset && what != "hold time" {
            assert_eq!(plan.cost(), Cost::Reset, "{what}");
        }
        if cost == Cost::None {
            assert_eq!(messages, [], "{what} is noticed");
        }
        assert!(solo.speaker.neighbors().iter().any(|status| status.key == key()));
    }
}

fn each(desired: &mut Desired, edit: impl Fn(&mut peerage_core::speaker::Neighbor)) {
    desired.neighbors.values_mut().for_each(edit);
}

/// One neighbour's change is no other's business.
#[test]
fn a_change_touches_only_its_neighbour() {
    let mut world = World::new(4);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b").peer("a", "c").originate("a", "10.1.0.0/16").start().settle();
    world.edit_neighbor("a", "b", |neighbor| neighbor.shutdown = true);
    world.settle();
    assert_eq!(world.status("a", "c").established, 1);
    assert_eq!(world.status("a", "c").dropped, 0);
    assert_eq!(world.state("a", "b"), PeerState::Idle);
    world.edit_neighbor("a", "b", |neighbor| neighbor.shutdown = false);
    world.run_for(Duration::from_secs(300)).settle();
    assert!(world.established("a", "b"));
    assert!(world.has("b", "10.1.0.0/16"));
}

/// All faults are named, and nothing changes.
#[test]
fn faults_are_all_named() {
    let good = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002));
    let mut solo = Solo::new(1, &good);
    let mut bad = good.clone();
    bad.neighbors.insert(NeighborKey::Address([10, 0, 0, 3].into()), {
        let mut neighbor = external(0);
        neighbor.timers.hold = Duration::from_secs(2);
        neighbor
    });
    bad.neighbors.insert(NeighborKey::Address([10, 0, 0, 4].into()), {
        let mut neighbor = external(65004);
        neighbor.timers.keepalive = Duration::from_secs(100);
        neighbor
    });
    bad.router_id = RouterId(0);
    let faults = solo.speaker.reconcile(solo.now, &bad).unwrap_err().0;
    let paths: BTreeMap<&str, &str> =
        faults.iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
    for part in
        ["router_id", "neighbors[10.0.0.3].timers.hold", "neighbors[10.0.0.3].asn", "neighbors[10.0.0.4]"]
    {
        assert!(paths.keys().any(|path| path.starts_with(part)), "{part} is not among {paths:?}");
    }
    assert_eq!(solo.speaker.desired(), Some(&good));
    assert!(solo.reconcile(&good).is_empty());
}

/// The same from any side: removing and adding a neighbour in one go is two changes.
#[test]
fn changes_are_listed() {
    let before =
        desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002)).route("10.1.0.0/16");
    let after =
        desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.3", external(65003)).route("10.2.0.0/16");
    let solo = Solo::new(1, &before);
    let changes = solo.speaker.plan(&after).unwrap().changes;
    for change in [
        Change::RemoveNeighbor(NeighborKey::Address([10, 0, 0, 2].into())),
        Change::AddNeighbor(NeighborKey::Address([10, 0, 0, 3].into())),
        Change::Withdraw(prefix("10.1.0.0/16")),
        Change::Originate(prefix("10.2.0.0/16")),
    ] {
        assert!(changes.contains(&change), "{change:?} is not in {changes:?}");
    }
    assert_eq!(changes.len(), 4);
}
