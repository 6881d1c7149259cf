//! RFC 4724 and RFC 8538 as the restarting speaker: what OPEN says, when End-of-RIB goes, how sessions end.

use std::time::Duration;

use peerage_core::{
    Speaker,
    speaker::{
        CloseReason, ConnId, Cost, Desired, DownReason, Event, GracefulRestart, Neighbor, NeighborKey,
        Origination, PeerState, SourceId,
    },
    time::Instant,
    wire::{Capability, Family, GracefulRestartFamily, Notification, attr::PathAttributes},
};
use peerage_sim::{
    Neighbors as _, Solo, desired, external,
    message::{self, Message, OpenSpec},
    prefix,
};

const PEER: &str = "10.0.0.2";
const OTHER: &str = "10.0.0.3";

/// What a peer says that keeps routes over everything but a Hard Reset: N, no family of its own.
const HELPER: [u8; 2] = [0x40, 120];
/// One that knows RFC 4724 only.
const OLD_HELPER: [u8; 2] = [0x00, 120];

fn open() -> OpenSpec {
    OpenSpec::new(65002, [10, 0, 0, 2].into())
}

fn other_open() -> OpenSpec {
    OpenSpec::new(65002, [10, 0, 0, 3].into()).with(64, &HELPER)
}

fn graceful() -> Neighbor {
    let mut neighbor = external(65002);
    neighbor.graceful_restart = Some(GracefulRestart { restart_time: Duration::from_secs(60) });
    neighbor
}

fn wanted() -> Desired {
    desired(65001, [10, 0, 0, 1].into())
        .neighbor(PEER, graceful())
        .neighbor(OTHER, graceful())
        .route("192.0.2.0/24")
        .route("2001:db8::/32")
}

fn key(address: &str) -> NeighborKey {
    NeighborKey::Address(address.parse().expect("an address"))
}

/// R, N, the time and the families with F of the graceful restart capability in an OPEN.
type Offer = (bool, bool, u16, Vec<(Family, bool)>);

fn offer(messages: &[Message]) -> Option<Offer> {
    let Some(Message::Open(open)) = messages.first() else { panic!("no OPEN first: {messages:?}") };
    open.capabilities.iter().find_map(|capability| match capability {
        Capability::GracefulRestart { restarting, notification, time, families } => Some((
            *restarting,
            *notification,
            *time,
            families.iter().map(|it| (it.family, it.forwarding_kept)).collect(),
        )),
        _ => None,
    })
}

fn offered(restarting: bool, forwarding_kept: bool) -> Option<Offer> {
    let families = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
    Some((restarting, true, 60, families.into_iter().map(|it| (it, forwarding_kept)).collect()))
}

fn notification(messages: &[Message]) -> Option<Notification> {
    messages.iter().find_map(|message| match message {
        Message::Notification(notification) => Some(notification.clone()),
        _ => None,
    })
}

fn end_of_ribs(messages: &[Message]) -> usize {
    let ends = |message: &&Message| matches!(message, Message::Update(facts) if facts.end_of_rib.is_some());
    messages.iter().filter(ends).count()
}

/// Until the first End-of-RIB of the process an OPEN says that it has restarted, and never after.
#[test]
fn the_restart_bit_ends_with_the_first_end_of_rib() {
    let mut solo = Solo::held(1, &wanted());
    let first = solo.establish(PEER, &open().with(64, &HELPER));
    let messages = solo.messages(first);
    assert_eq!(offer(&messages), offered(true, false));
    assert_eq!(end_of_ribs(&messages), 0, "held");
    // No End-of-RIB has been sent yet: to another neighbour it is still the restart.
    let attempt = solo.accept(OTHER);
    assert_eq!(offer(&solo.messages(attempt)), offered(true, false));
    solo.lose(attempt, CloseReason::Reset);
    solo.speaker.release(solo.now);
    solo.pump();
    assert_eq!(end_of_ribs(&solo.messages(first)), 2);
    solo.advance(Duration::from_secs(10));
    let late = solo.accept(OTHER);
    assert_eq!(offer(&solo.messages(late)), offered(false, false));
    solo.lose(first, CloseReason::Reset);
    solo.advance(Duration::from_secs(10));
    let second = solo.accept(PEER);
    assert_eq!(offer(&solo.messages(second)), offered(false, false));
}

/// A session that was up in this process comes back from a flap, not from a restart, also while held.
#[test]
fn a_flap_is_no_restart() {
    let mut solo = Solo::held(1, &wanted());
    let first = solo.establish(PEER, &open().with(64, &HELPER));
    assert_eq!(offer(&solo.messages(first)), offered(true, false));
    solo.lose(first, CloseReason::Closed);
    solo.advance(Duration::from_secs(10));
    let second = solo.accept(PEER);
    assert_eq!(offer(&solo.messages(second)), offered(false, false));
    // An attempt that got nowhere is none.
    let attempt = solo.accept(OTHER);
    solo.lose(attempt, CloseReason::Closed);
    solo.advance(Duration::from_secs(10));
    let attempt = solo.accept(OTHER);
    assert_eq!(offer(&solo.messages(attempt)), offered(true, false));
}

/// F only from who sees the forwarding plane; the capability only to who is to keep routes.
#[test]
fn the_forwarding_bit_and_the_capability_are_asked_for() {
    let mut families = graceful();
    families.families = [Family::IPV6_UNICAST].into();
    families.graceful_restart = Some(GracefulRestart { restart_time: Duration::from_secs(4095) });
    let wanted =
        desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, families).neighbor(OTHER, external(65002));
    for kept in [false, true] {
        let mut solo = Solo::held(1, &desired(65001, [10, 0, 0, 1].into()));
        if kept {
            solo.speaker.mark_forwarding_kept();
        }
        solo.reconcile(&wanted);
        let conn = solo.accept(PEER);
        assert_eq!(offer(&solo.messages(conn)), Some((true, true, 4095, vec![(Family::IPV6_UNICAST, kept)])));
        let conn = solo.accept(OTHER);
        assert_eq!(offer(&solo.messages(conn)), None);
    }
}

/// After a release everything that was originated by then goes before the End-of-RIB of its family, whether
/// or not the peer ever sends its own.
#[test]
fn end_of_rib_follows_all_complete_sources() {
    for (peer, family, routes) in [
        (PEER, Family::IPV4_UNICAST, ["192.0.2.0/24", "198.51.100.0/24"]),
        ("fd00::2", Family::IPV6_UNICAST, ["2001:db8::/32", "2001:db8:1::/48"]),
    ] {
        let mut solo = Solo::held(1, &wanted().neighbor("fd00::2", graceful()));
        let conn = solo.establish(peer, &open().with(64, &HELPER));
        let late = [Origination { prefix: prefix(routes[1]), attributes: PathAttributes::default() }];
        solo.speaker.originate(SourceId(1), &late);
        solo.pump();
        assert_eq!(end_of_ribs(&solo.messages(conn)), 0);
        solo.speaker.release(solo.now);
        solo.pump();
        let messages = solo.messages(conn);
        let at = |wanted: &dyn Fn(&message::Facts) -> bool| {
            messages.iter().position(|message| matches!(message, Message::Update(facts) if wanted(facts)))
        };
        let end = at(&|facts| facts.end_of_rib == Some(family)).expect("an End-of-RIB");
        for text in routes {
            let there = at(&|facts| facts.announced.contains_key(&prefix(text))).expect("a route");
            assert!(there < end, "{text} comes after its End-of-RIB");
        }
        assert_eq!(end_of_ribs(&messages), 2);
    }
}

/// How one session may end, with what a peer is to be told that keeps routes over a NOTIFICATION.
type Way = (&'static str, fn(&mut Speaker, Instant), (u8, u8), bool);

fn reconciled(speaker: &mut Speaker, now: Instant, edit: impl FnOnce(&mut Desired)) {
    let mut desired = speaker.desired().expect("a configuration").clone();
    edit(&mut desired);
    speaker.reconcile(now, &desired).expect("no faults");
}

fn neighbor(desired: &mut Desired) -> &mut Neighbor {
    desired.neighbors.get_mut(&key(PEER)).expect("the neighbour")
}

/// RFC 8538 §5.1: what lasts is a Hard Reset with the real reason in it, what is soon over is not; and a
/// peer without the N bit is told plainly.
#[test]
fn what_lasts_is_a_hard_reset() {
    let ways: [Way; 9] = [
        (
            "removed",
            |speaker, now| {
                reconciled(speaker, now, |it| drop(it.neighbors.remove(&key(PEER))));
            },
            (6, 3),
            true,
        ),
        (
            "shut down",
            |speaker, now| reconciled(speaker, now, |it| neighbor(it).shutdown = true),
            (6, 2),
            true,
        ),
        ("stopped", |speaker, now| speaker.shutdown(now, "bye"), (6, 2), true),
        (
            "limit",
            |speaker, now| reconciled(speaker, now, |it| neighbor(it).prefix_limit = Some(1)),
            (6, 1),
            true,
        ),
        ("reset hard", |speaker, now| speaker.reset_hard(now, &key(PEER)), (6, 4), true),
        ("reset", |speaker, now| speaker.reset(now, &key(PEER)), (6, 4), false),
        (
            "hold time",
            |speaker, now| reconciled(speaker, now, |it| neighbor(it).timers.hold = Duration::from_secs(30)),
            (6, 6),
            false,
        ),
        (
            "graceful restart",
            |speaker, now| reconciled(speaker, now, |it| neighbor(it).graceful_restart = None),
            (6, 6),
            false,
        ),
        ("identifier", |speaker, now| reconciled(speaker, now, |it| it.router_id.0 += 99), (6, 6), false),
    ];
    let attributes = message::Attrs::new(&[65002], [10, 0, 0, 2].into());
    let learned = [prefix("198.18.0.0/16"), prefix("198.19.0.0/16")];
    for (what, end, (code, subcode), hard) in ways {
        for (capability, knows) in [(Some(HELPER), true), (Some(OLD_HELPER), false), (None, false)] {
            let mut solo = Solo::new(1, &wanted());
            let open = capability.map_or_else(open, |value| open().with(64, &value));
            let conn = solo.establish(PEER, &open);
            solo.bytes(conn, &message::announce(&attributes, &learned));
            assert_eq!(solo.state(PEER), PeerState::Established);
            solo.messages(conn);
            end(&mut solo.speaker, solo.now);
            let sent =
                notification(&solo.messages(conn)).unwrap_or_else(|| panic!("{what}: no NOTIFICATION"));
            let cause = if hard && knows {
                assert_eq!((sent.code, sent.subcode), (6, 9), "{what}");
                sent.hard_reset_cause().expect("a cause")
            } else {
                assert_eq!(sent.hard_reset_cause(), None, "{what}");
                sent.clone()
            };
            assert_eq!((cause.code, cause.subcode), (code, subcode), "{what}");
            assert_eq!(sent.text().is_some(), what == "stopped", "{what}: the text goes along");
            assert!(
                solo.events.iter().any(
                    |event| matches!(event, Event::PeerDown { reason: DownReason::Sent(it), .. } if *it == sent)
                ),
                "{what}: {:?}",
                solo.events
            );
        }
    }
}

/// Without a capability of our own there is nothing to harden.
#[test]
fn who_does_not_offer_it_sends_no_hard_reset() {
    let plain = desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, external(65002));
    let mut solo = Solo::new(1, &plain);
    let conn = solo.establish(PEER, &open().with(64, &HELPER));
    solo.messages(conn);
    solo.reconcile(&desired(65001, [10, 0, 0, 1].into()));
    assert_eq!(notification(&solo.messages(conn)), Some(Notification::new(6, 3)));
}

/// Leaving for a restart: not a word to who keeps routes, Cease 6/2 to the others, nothing dialled after.
#[test]
fn leaving_for_a_restart() {
    let mut solo = Solo::new(1, &wanted());
    let keeps = solo.establish(PEER, &open().with(64, &OLD_HELPER));
    let forgets = solo.establish(OTHER, &OpenSpec::new(65002, [10, 0, 0, 3].into()));
    let (_, _) = (solo.messages(keeps), solo.messages(forgets));
    solo.speaker.shutdown_for_restart(solo.now, "back soon");
    assert_eq!(solo.messages(keeps), []);
    let told = notification(&solo.messages(forgets)).expect("a NOTIFICATION");
    assert_eq!((told.code, told.subcode, told.text().as_deref()), (6, 2, Some("back soon")));
    assert!(!solo.is_open(keeps) && !solo.is_open(forgets));
    assert_eq!(solo.status(PEER).last_reset, Some(DownReason::GracefulRestart));
    solo.connects.clear();
    solo.advance(Duration::from_secs(600));
    assert_eq!(solo.connects, []);
    assert_eq!(solo.state(PEER), PeerState::Idle);
    // What comes next is the process after it; shutting down once more says nothing more.
    solo.speaker.shutdown(solo.now, "bye");
    assert_eq!(solo.messages(keeps), []);
}

/// A session that is not established yet has announced nothing: Cease 6/2, whatever its OPEN says.
#[test]
fn leaving_before_a_session_is_established() {
    let mut solo = Solo::new(1, &wanted());
    let conn: ConnId = solo.accept(PEER);
    solo.bytes(conn, &open().with(64, &HELPER).encode());
    solo.messages(conn);
    solo.speaker.shutdown_for_restart(solo.now, "");
    let sent = notification(&solo.messages(conn)).expect("a NOTIFICATION");
    assert_eq!(sent.hard_reset_cause().map(|it| it.subcode), Some(2));
}

/// What both ends said is there to be shown; of two capabilities of the peer the last one counts.
#[test]
fn both_capabilities_are_shown() {
    let mut solo = Solo::new(1, &wanted());
    let twice = open().with(64, &HELPER).with(64, &[0x80, 7, 0, 1, 1, 0x80]);
    let conn = solo.establish(PEER, &twice);
    let session = solo.status(PEER).session.expect("a session");
    let theirs = Capability::GracefulRestart {
        restarting: true,
        notification: false,
        time: 7,
        families: vec![GracefulRestartFamily { family: Family::IPV4_UNICAST, forwarding_kept: true }],
    };
    assert!(session.remote_capabilities.contains(&theirs), "{:?}", session.remote_capabilities);
    assert!(session.local_capabilities.iter().any(
        |it| matches!(it, Capability::GracefulRestart { time: 60, families, .. } if families.len() == 2)
    ));
    // The last one has no N bit.
    solo.messages(conn);
    solo.speaker.shutdown(solo.now, "");
    assert_eq!(notification(&solo.messages(conn)), Some(Notification::new(6, 2)));
    // A peer with graceful restart that goes away leaves nothing here: this speaker helps nobody.
    let mut solo = Solo::new(1, &wanted());
    let conn = solo.establish(OTHER, &other_open());
    let attributes = message::Attrs::new(&[65002], [10, 0, 0, 3].into());
    solo.bytes(conn, &message::announce(&attributes, &[prefix("198.18.0.0/16")]));
    assert!(solo.speaker.rib().route(prefix("198.18.0.0/16")).is_some());
    solo.lose(conn, CloseReason::Reset);
    assert!(solo.speaker.rib().route(prefix("198.18.0.0/16")).is_none());
}

/// 12 bits of whole seconds; any change resets the session once.
#[test]
fn the_restart_time_is_checked_and_a_change_is_one_reset() {
    let with = |time: Option<Duration>| {
        let mut neighbor = graceful();
        neighbor.graceful_restart = time.map(|restart_time| GracefulRestart { restart_time });
        wanted().neighbor(PEER, neighbor)
    };
    for fine in [0, 1, 4095] {
        assert_eq!(with(Some(Duration::from_secs(fine))).check(), Ok(()));
    }
    for wrong in [Duration::from_secs(4096), Duration::from_millis(1500), Duration::MAX] {
        let faults = with(Some(wrong)).check().expect_err("a fault");
        assert_eq!(faults.0.len(), 1, "{faults}");
        assert_eq!(faults.0[0].path, "neighbors[10.0.0.2].graceful_restart.restart_time");
        assert!(faults.0[0].message.contains("0 to 4095"), "{faults}");
    }
    let mut solo = Solo::new(1, &wanted());
    let (conn, other) =
        (solo.establish(PEER, &open().with(64, &HELPER)), solo.establish(OTHER, &other_open()));
    for time in [Some(Duration::from_secs(61)), None, Some(Duration::from_secs(60))] {
        let plan = solo.speaker.plan(&with(time)).expect("no faults");
        if time != Some(Duration::from_secs(60)) {
            assert_eq!((plan.changes.len(), plan.cost()), (1, Cost::Reset), "{time:?}");
        }
    }
    solo.reconcile(&with(Some(Duration::from_secs(61))));
    assert!(!solo.is_open(conn) && solo.is_open(other));
    assert_eq!((solo.status(PEER).dropped, solo.status(OTHER).dropped), (1, 0));
}
