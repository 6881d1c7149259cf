//! Invariant 5, and what each timer does: keepalive, hold, open, connect retry, idle hold, send hold.
//! That `poll_timeout` is later than the time after every `handle_timeout` is asserted by `Solo` and
//! `World` themselves, so by every test of this crate.

use std::time::Duration;

use peerage_core::{
    speaker::{CloseReason, DownReason, Event, PeerState},
    wire::Notification,
};
use peerage_sim::{
    Neighbors as _, Solo, World, cases, desired, external,
    message::{Message, OpenSpec, keepalive},
};

const PEER: &str = "10.0.0.2";

fn solo(edit: impl FnOnce(&mut peerage_core::speaker::Neighbor)) -> Solo {
    let mut neighbor = external(65002);
    edit(&mut neighbor);
    Solo::new(5, &desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, neighbor))
}

fn open() -> OpenSpec {
    OpenSpec::new(65002, [10, 0, 0, 2].into())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The same world with and without calls of `handle_timeout` that nobody asked for.
#[test]
fn early_and_repeated_timeouts_change_nothing() {
    cases(5, |seed| {
        let run = |spurious: bool| {
            let mut world = World::new(seed);
            if spurious {
                world.spurious_timeouts(seed ^ 1);
            }
            world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65001);
            world.peer("a", "b").peer("b", "c").peer("a", "c");
            world.originate("a", "10.1.0.0/16").originate("b", "10.2.0.0/16").start().settle();
            world.partition("a", "b").run_for(seconds(300)).repair("a", "b").run_for(seconds(300)).settle();
            world.transcript()
        };
        assert_eq!(run(false), run(true));
    });
}

#[test]
fn a_late_timeout_is_served_once() {
    let mut solo = solo(|_| ());
    let conn = solo.establish(PEER, &open());
    solo.messages(conn);
    // Ten minutes pass before anybody looks at the clock: one expiry, not many.
    solo.now = solo.now + seconds(600);
    solo.timeout();
    assert_eq!(solo.messages(conn).last(), Some(&Message::Notification(Notification::new(4, 0))));
    solo.timeout();
    solo.timeout();
    assert_eq!(solo.messages(conn), []);
    let downs = solo.events.iter().filter(|event| matches!(event, Event::PeerDown { .. })).count();
    assert_eq!(downs, 1);
}

/// RFC 4271 §4.2, §4.4: the smaller hold time counts; KEEPALIVEs come three times within it.
#[test]
fn hold_time_is_negotiated() {
    for (own, theirs, hold) in [(90, 90, 90), (90, 30, 30), (9, 90, 9), (90, 3, 3)] {
        let mut solo = solo(|neighbor| {
            neighbor.timers.hold = seconds(own);
            neighbor.timers.keepalive = seconds(own / 3);
        });
        let conn = solo.establish(PEER, &open().hold(theirs));
        let session = solo.status(PEER).session.expect("a session");
        assert_eq!(session.hold_time, seconds(hold));
        assert_eq!(session.keepalive, seconds(hold / 3));
        solo.messages(conn);
        // Silence: KEEPALIVEs go out meanwhile, and at the end the hold timer expires.
        let before = solo.now;
        while solo.state(PEER) == PeerState::Established {
            solo.next_timer().expect("a timer");
            assert!(solo.now.saturating_since(before) <= seconds(hold));
        }
        let silence = solo.now.saturating_since(before);
        assert_eq!(silence, seconds(hold), "hold time {hold}");
        let messages = solo.messages(conn);
        let keepalives = messages.iter().filter(|message| **message == Message::Keepalive).count();
        assert!((2..=4).contains(&keepalives), "{keepalives} KEEPALIVEs in {hold} s");
        assert_eq!(messages.last(), Some(&Message::Notification(Notification::new(4, 0))));
        assert!(solo.events.iter().any(|event| matches!(
            event,
            Event::PeerDown { reason: DownReason::Sent(Notification { code: 4, .. }), .. }
        )));
    }
}

/// RFC 4271 §4.2: a hold time of zero means no KEEPALIVEs and no expiry.
#[test]
fn hold_time_zero_is_for_ever() {
    let mut solo = solo(|_| ());
    let conn = solo.establish(PEER, &open().hold(0));
    assert_eq!(solo.status(PEER).session.expect("a session").hold_time, Duration::ZERO);
    solo.messages(conn);
    solo.advance(seconds(100_000));
    assert_eq!(solo.state(PEER), PeerState::Established);
    assert_eq!(solo.messages(conn), []);
}

#[test]
fn keepalives_keep_a_session() {
    let mut solo = solo(|_| ());
    let conn = solo.establish(PEER, &open().hold(9));
    for _ in 0..50 {
        solo.advance(seconds(8));
        solo.bytes(conn, &keepalive());
        assert_eq!(solo.state(PEER), PeerState::Established);
    }
}

/// RFC 4271 §8.2.2: a peer that connects and says nothing is given up after the open time.
#[test]
fn open_is_waited_for_so_long() {
    let mut solo = solo(|neighbor| neighbor.timers.open = seconds(20));
    let conn = solo.accept(PEER);
    solo.messages(conn);
    solo.advance(seconds(19));
    assert!(solo.is_open(conn));
    solo.advance(seconds(2));
    assert!(!solo.is_open(conn));
    assert_eq!(solo.messages(conn), [Message::Notification(Notification::new(4, 0))]);
}

/// A refused connection is tried again after the connect retry time.
#[test]
fn connecting_is_retried() {
    let mut solo = solo(|neighbor| neighbor.timers.connect_retry = seconds(30));
    solo.advance(seconds(6));
    for _ in 0..5 {
        let (conn, _) = *solo.connects.first().expect("a dial");
        solo.lose(conn, CloseReason::Refused);
        assert!(solo.connects.is_empty());
        let before = solo.now;
        while solo.connects.is_empty() {
            solo.next_timer().expect("a timer");
        }
        let waited = solo.now.saturating_since(before);
        assert!(waited >= seconds(15) && waited <= seconds(45), "tried again after {waited:?}");
    }
}

/// A connection that neither opens nor fails is given up after the connect retry time.
#[test]
fn a_silent_dial_is_given_up() {
    let mut solo = solo(|neighbor| neighbor.timers.connect_retry = seconds(30));
    solo.advance(seconds(6));
    let (first, _) = *solo.connects.first().expect("a dial");
    solo.advance(seconds(120));
    assert!(solo.closed.contains(&first), "the first dial was never given up");
    let (last, _) = *solo.connects.first().expect("another dial");
    assert_ne!(first, last);
}

/// After an error the peer is left alone for the idle hold time, for connections of its own as well.
#[test]
fn errors_are_followed_by_rest() {
    let mut solo = solo(|neighbor| neighbor.timers.idle_hold = seconds(10));
    let conn = solo.establish(PEER, &open());
    solo.bytes(conn, &[0; 19]);
    assert_eq!(solo.state(PEER), PeerState::Idle);
    assert!(solo.connects.is_empty(), "it dials at once after an error");
    let before = solo.now;
    while solo.state(PEER) == PeerState::Idle {
        solo.next_timer().expect("a timer");
    }
    let waited = solo.now.saturating_since(before);
    assert!(waited >= seconds(5) && waited <= seconds(60), "{waited:?}");
}

/// RFC 9687: a peer that takes nothing is given up, also when it keeps talking.
#[test]
fn send_hold_timer() {
    let mut solo = solo(|neighbor| neighbor.timers.send_hold = Some(seconds(100)));
    let conn = solo.establish(PEER, &open());
    solo.block(conn, true);
    let before = solo.now;
    while solo.state(PEER) == PeerState::Established {
        solo.bytes(conn, &keepalive());
        solo.advance(seconds(5));
        assert!(solo.now.saturating_since(before) < seconds(200), "the send hold timer never expires");
    }
    let held = solo.now.saturating_since(before);
    assert!(held >= seconds(100) && held <= seconds(140), "{held:?}");
    assert!(solo.closed.contains(&conn));
    assert!(solo.events.iter().any(|event| matches!(
        event,
        Event::PeerDown {
            reason: DownReason::SendHoldTimerExpired | DownReason::Sent(Notification { code: 8, .. }),
            ..
        }
    )));
}

/// Progress in writing is progress, however little.
#[test]
fn send_hold_timer_is_about_progress() {
    let mut solo = solo(|neighbor| neighbor.timers.send_hold = Some(seconds(100)));
    let conn = solo.establish(PEER, &open());
    for _ in 0..40 {
        solo.block(conn, true);
        solo.advance(seconds(50));
        solo.block(conn, false);
        solo.bytes(conn, &keepalive());
        assert_eq!(solo.state(PEER), PeerState::Established);
    }
}
