//! Invariant 9: every state of RFC 4271 §8.2.2, every event of §8.1 that can come from outside, and what
//! is to happen. The table below has no default arm.
//!
//! Events that cannot come from outside are left out: BGPOpen with DelayOpenTimer (an option that is not
//! there), AutomaticStart and AutomaticStop (no damping), OpenCollisionDump (see `collision.rs`).

use std::time::Duration;

use peerage_core::{
    speaker::{CloseReason, ConnId, NeighborKey, PeerState},
    wire::{Family, Notification},
};
use peerage_sim::{
    Neighbors as _, Solo, desired, external,
    message::{self, Attrs, Message, OpenSpec},
    prefix,
};

const PEER: &str = "10.0.0.2";
const STATES: [PeerState; 6] = [
    PeerState::Idle,
    PeerState::Connect,
    PeerState::Active,
    PeerState::OpenSent,
    PeerState::OpenConfirm,
    PeerState::Established,
];

/// RFC 4271 §8.1, and RFC 2918, RFC 7606.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// 1: configured again, unchanged.
    ManualStart,
    /// 2: taken out of the configuration.
    ManualStop,
    /// 2: administratively down.
    Shutdown,
    /// 9.
    ConnectRetryTimerExpires,
    /// 10, and the one that waits for an OPEN.
    HoldTimerExpires,
    /// 11.
    KeepaliveTimerExpires,
    /// 16: a connection that this speaker opened.
    TcpCrAcked,
    /// 17: a connection that the peer opened.
    TcpConnectionConfirmed,
    /// 18.
    TcpConnectionFails,
    /// 19.
    BgpOpen,
    /// 21: not synchronised.
    BgpHeaderErr,
    /// 22: of a wrong AS.
    BgpOpenMsgErr,
    /// 24.
    NotifMsgVerErr,
    /// 25.
    NotifMsg,
    /// 26.
    KeepAliveMsg,
    /// 27.
    UpdateMsg,
    /// 28, an error that ends the session.
    UpdateMsgErr,
    /// RFC 2918.
    RouteRefresh,
}

const INPUTS: [Input; 18] = [
    Input::ManualStart,
    Input::ManualStop,
    Input::Shutdown,
    Input::ConnectRetryTimerExpires,
    Input::HoldTimerExpires,
    Input::KeepaliveTimerExpires,
    Input::TcpCrAcked,
    Input::TcpConnectionConfirmed,
    Input::TcpConnectionFails,
    Input::BgpOpen,
    Input::BgpHeaderErr,
    Input::BgpOpenMsgErr,
    Input::NotifMsgVerErr,
    Input::NotifMsg,
    Input::KeepAliveMsg,
    Input::UpdateMsg,
    Input::UpdateMsgErr,
    Input::RouteRefresh,
];

/// What is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It cannot happen in this state: there is no connection that it could happen to.
    Impossible,
    /// The state afterwards, and the messages sent.
    To(PeerState, Vec<Sent>),
    /// The neighbour is gone; what was sent before.
    Gone(Vec<Sent>),
}

/// A message that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Open,
    Keepalive,
    Update,
    Notification(u8, u8),
}

use Input as I;
use Outcome::{Gone, Impossible};
use PeerState as S;
use Sent::{Keepalive, Notification as Notify, Open, Update};

fn to(state: PeerState, sent: &[Sent]) -> Outcome {
    Outcome::To(state, sent.to_vec())
}

/// The table. Where a session ends by an error, the peer rests in Idle (IdleHoldTimer); where the
/// transport just goes away before Established, it goes on in Active.
fn expected(state: PeerState, input: Input) -> Outcome {
    match (state, input) {
        // Configuring what is there changes nothing.
        (state, I::ManualStart) => to(state, &[]),

        (S::Idle | S::Connect | S::Active, I::ManualStop) => Gone(vec![]),
        (S::OpenSent | S::OpenConfirm | S::Established, I::ManualStop) => Gone(vec![Notify(6, 3)]),
        (S::Idle | S::Connect | S::Active, I::Shutdown) => to(S::Idle, &[]),
        (S::OpenSent | S::OpenConfirm | S::Established, I::Shutdown) => to(S::Idle, &[Notify(6, 2)]),

        // In Idle it is the IdleHoldTimer that starts the next attempt. A dial that takes longer than the
        // ConnectRetryTimer is dropped and made again.
        (S::Idle | S::Connect | S::Active, I::ConnectRetryTimerExpires) => to(S::Connect, &[]),
        // Not running in these.
        (S::OpenSent | S::OpenConfirm | S::Established, I::ConnectRetryTimerExpires) => Impossible,

        (S::Idle | S::Connect | S::Active, I::HoldTimerExpires) => Impossible,
        (S::OpenSent | S::OpenConfirm | S::Established, I::HoldTimerExpires) => to(S::Idle, &[Notify(4, 0)]),

        (S::Idle | S::Connect | S::Active | S::OpenSent, I::KeepaliveTimerExpires) => Impossible,
        (S::OpenConfirm, I::KeepaliveTimerExpires) => to(S::OpenConfirm, &[Keepalive]),
        (S::Established, I::KeepaliveTimerExpires) => to(S::Established, &[Keepalive]),

        // Only one that is being opened can open.
        (S::Idle | S::Active | S::OpenSent | S::OpenConfirm | S::Established, I::TcpCrAcked) => Impossible,
        (S::Connect, I::TcpCrAcked) => to(S::OpenSent, &[Open]),

        // In Idle a connection is refused (§8.2.2: "refuses all incoming BGP connections").
        (S::Idle, I::TcpConnectionConfirmed) => to(S::Idle, &[Notify(6, 5)]),
        (S::Connect | S::Active, I::TcpConnectionConfirmed) => to(S::OpenSent, &[Open]),
        // A second connection of its own is tracked until its OPEN comes (§6.8) or refused at once: this
        // table asks for what is sent on it in `second_connection`.
        (S::OpenSent, I::TcpConnectionConfirmed) => to(S::OpenSent, &[]),
        (S::OpenConfirm, I::TcpConnectionConfirmed) => to(S::OpenConfirm, &[]),
        (S::Established, I::TcpConnectionConfirmed) => to(S::Established, &[]),

        (S::Idle | S::Active, I::TcpConnectionFails) => Impossible,
        (S::Connect | S::OpenSent, I::TcpConnectionFails) => to(S::Active, &[]),
        (S::OpenConfirm | S::Established, I::TcpConnectionFails) => to(S::Idle, &[]),

        (S::Idle | S::Connect | S::Active, I::BgpOpen) => Impossible,
        (S::OpenSent, I::BgpOpen) => to(S::OpenConfirm, &[Keepalive]),
        (S::OpenConfirm, I::BgpOpen) => to(S::Idle, &[Notify(5, 2)]),
        (S::Established, I::BgpOpen) => to(S::Idle, &[Notify(5, 3)]),

        (S::Idle | S::Connect | S::Active, I::BgpHeaderErr) => Impossible,
        (S::OpenSent | S::OpenConfirm | S::Established, I::BgpHeaderErr) => to(S::Idle, &[Notify(1, 1)]),

        (S::Idle | S::Connect | S::Active, I::BgpOpenMsgErr) => Impossible,
        (S::OpenSent, I::BgpOpenMsgErr) => to(S::Idle, &[Notify(2, 2)]),
        // It is an OPEN where none is expected, whatever it says.
        (S::OpenConfirm, I::BgpOpenMsgErr) => to(S::Idle, &[Notify(5, 2)]),
        (S::Established, I::BgpOpenMsgErr) => to(S::Idle, &[Notify(5, 3)]),

        (S::Idle | S::Connect | S::Active, I::NotifMsgVerErr) => Impossible,
        (S::OpenSent | S::OpenConfirm | S::Established, I::NotifMsgVerErr) => to(S::Idle, &[]),

        (S::Idle | S::Connect | S::Active, I::NotifMsg) => Impossible,
        (S::OpenSent | S::OpenConfirm | S::Established, I::NotifMsg) => to(S::Idle, &[]),

        (S::Idle | S::Connect | S::Active, I::KeepAliveMsg) => Impossible,
        (S::OpenSent, I::KeepAliveMsg) => to(S::Idle, &[Notify(5, 1)]),
        // Established: the initial routes (one here), the End-of-RIB of two families.
        (S::OpenConfirm, I::KeepAliveMsg) => to(S::Established, &[Update, Update, Update]),
        (S::Established, I::KeepAliveMsg) => to(S::Established, &[]),

        (S::Idle | S::Connect | S::Active, I::UpdateMsg) => Impossible,
        (S::OpenSent, I::UpdateMsg) => to(S::Idle, &[Notify(5, 1)]),
        (S::OpenConfirm, I::UpdateMsg) => to(S::Idle, &[Notify(5, 2)]),
        (S::Established, I::UpdateMsg) => to(S::Established, &[]),

        (S::Idle | S::Connect | S::Active, I::UpdateMsgErr) => Impossible,
        (S::OpenSent, I::UpdateMsgErr) => to(S::Idle, &[Notify(5, 1)]),
        (S::OpenConfirm, I::UpdateMsgErr) => to(S::Idle, &[Notify(5, 2)]),
        (S::Established, I::UpdateMsgErr) => to(S::Idle, &[Notify(3, 1)]),

        (S::Idle | S::Connect | S::Active, I::RouteRefresh) => Impossible,
        (S::OpenSent, I::RouteRefresh) => to(S::Idle, &[Notify(5, 1)]),
        (S::OpenConfirm, I::RouteRefresh) => to(S::Idle, &[Notify(5, 2)]),
        // The route is sent again. (No End-of-RIB: RFC 4724 §2 asks for it after the initial exchange.)
        (S::Established, I::RouteRefresh) => to(S::Established, &[Update]),
    }
}

struct Rig {
    solo: Solo,
    conn: Option<ConnId>,
}

/// Brings a speaker into a state.
fn rig(state: PeerState) -> Rig {
    let mut neighbor = external(65002);
    neighbor.timers.connect_retry = Duration::from_secs(60);
    let wanted = desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, neighbor).route("192.0.2.0/24");
    let mut solo = Solo::new(9, &wanted);
    let open = OpenSpec::new(65002, [10, 0, 0, 2].into()).encode();
    let dial = |solo: &mut Solo| {
        for _ in 0..20 {
            if !solo.connects.is_empty() {
                return;
            }
            solo.next_timer();
        }
        panic!("it never dials");
    };
    dial(&mut solo);
    let conn = match state {
        S::Idle => {
            // After an error it rests.
            let conn = solo.connect(PEER);
            solo.bytes(conn, &open);
            solo.bytes(conn, &[0; 19]);
            solo.messages(conn);
            None
        }
        S::Connect => None,
        S::Active => {
            let (conn, _) = solo.connects[0];
            solo.lose(conn, CloseReason::Refused);
            None
        }
        S::OpenSent => Some(solo.connect(PEER)),
        S::OpenConfirm => {
            let conn = solo.connect(PEER);
            solo.bytes(conn, &open);
            Some(conn)
        }
        S::Established => {
            let conn = solo.connect(PEER);
            solo.bytes(conn, &open);
            solo.bytes(conn, &message::keepalive());
            Some(conn)
        }
    };
    if let Some(conn) = conn {
        solo.messages(conn);
    }
    assert_eq!(solo.state(PEER), state, "the way into the state");
    Rig { solo, conn }
}

/// Makes the event happen. `None`: it cannot. Otherwise the connection on which to look for an answer.
fn inject(rig: &mut Rig, input: Input) -> Option<Option<ConnId>> {
    let Rig { solo, conn } = rig;
    let conn = *conn;
    let address = NeighborKey::Address(PEER.parse().unwrap());
    let mut wanted = solo.speaker.desired().cloned().expect("a configuration");
    let octets = |solo: &mut Solo, octets: &[u8]| {
        let conn = conn?;
        solo.bytes(conn, octets);
        Some(Some(conn))
    };
    match input {
        I::ManualStart => {
            assert!(solo.reconcile(&wanted).is_empty());
            Some(conn)
        }
        I::ManualStop => {
            wanted.neighbors.clear();
            solo.reconcile(&wanted);
            Some(conn)
        }
        I::Shutdown => {
            wanted.neighbors.get_mut(&address).unwrap().shutdown = true;
            solo.reconcile(&wanted);
            Some(conn)
        }
        I::ConnectRetryTimerExpires => {
            if conn.is_some() {
                return None;
            }
            let before = solo.connects.clone();
            for _ in 0..10 {
                solo.next_timer()?;
                if !solo.connects.is_empty() && solo.connects != before {
                    return Some(None);
                }
            }
            None
        }
        I::HoldTimerExpires => {
            let conn = conn?;
            let before = solo.state(PEER);
            for _ in 0..100 {
                solo.next_timer()?;
                if solo.state(PEER) != before {
                    return Some(Some(conn));
                }
                solo.messages(conn);
            }
            panic!("the hold timer never expires")
        }
        I::KeepaliveTimerExpires => {
            let conn = conn?;
            let state = solo.state(PEER);
            if state == S::OpenSent {
                return None;
            }
            solo.next_timer()?;
            Some(Some(conn))
        }
        I::TcpCrAcked => {
            if solo.connects.is_empty() {
                return None;
            }
            Some(Some(solo.connect(PEER)))
        }
        I::TcpConnectionConfirmed => {
            let second = solo.accept(PEER);
            // What happens on a second connection is not this table's.
            Some(if conn.is_some() { conn } else { Some(second) })
        }
        I::TcpConnectionFails => {
            match conn {
                Some(conn) => solo.lose(conn, CloseReason::Reset),
                None => {
                    let (conn, _) = *solo.connects.first()?;
                    solo.lose(conn, CloseReason::Refused);
                }
            }
            Some(None)
        }
        I::BgpOpen => octets(solo, &OpenSpec::new(65002, [10, 0, 0, 2].into()).encode()),
        I::BgpHeaderErr => octets(solo, &[0; 19]),
        I::BgpOpenMsgErr => octets(solo, &OpenSpec::new(65009, [10, 0, 0, 2].into()).encode()),
        I::NotifMsgVerErr => octets(solo, &message::notification(2, 1, &[0, 4])),
        I::NotifMsg => octets(solo, &message::notification(6, 4, &[])),
        I::KeepAliveMsg => octets(solo, &message::keepalive()),
        I::UpdateMsg => {
            let attrs = Attrs::new(&[65002], [10, 0, 0, 2].into());
            octets(solo, &message::announce(&attrs, &[prefix("10.9.0.0/16")]))
        }
        // The length of the attributes runs past the message.
        I::UpdateMsgErr => octets(solo, &message::message(2, &[0, 0, 0, 99])),
        I::RouteRefresh => octets(solo, &message::route_refresh(Family::IPV4_UNICAST)),
    }
}

fn sent(messages: Vec<Message>) -> Vec<Sent> {
    messages
        .into_iter()
        .map(|message| match message {
            Message::Open(_) => Open,
            Message::Keepalive => Keepalive,
            Message::Update(_) => Update,
            Message::Notification(Notification { code, subcode, .. }) => Notify(code, subcode),
            Message::Refresh(_) => panic!("a ROUTE-REFRESH nobody asked for"),
        })
        .collect()
}

#[test]
fn every_cell() {
    let mut wrong = Vec::new();
    for state in STATES {
        for input in INPUTS {
            let mut rig = rig(state);
            let got = match inject(&mut rig, input) {
                None => Impossible,
                Some(conn) => {
                    let messages = conn.map(|conn| sent(rig.solo.messages(conn))).unwrap_or_default();
                    if rig.solo.speaker.neighbors().is_empty() {
                        Gone(messages)
                    } else {
                        to(rig.solo.state(PEER), &messages)
                    }
                }
            };
            let want = expected(state, input);
            if got != want {
                wrong.push(format!("{state:?} x {input:?}: got {got:?}, expected {want:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cells:\n{}",
        wrong.len(),
        STATES.len() * INPUTS.len(),
        wrong.join("\n")
    );
}

/// A connection that ends by a NOTIFICATION is closed, and nothing comes after the NOTIFICATION.
#[test]
fn a_notification_is_the_last_word() {
    for state in [S::OpenSent, S::OpenConfirm, S::Established] {
        for input in [I::BgpHeaderErr, I::BgpOpenMsgErr, I::UpdateMsgErr, I::ManualStop, I::Shutdown] {
            let mut rig = rig(state);
            let conn = rig.conn.unwrap();
            inject(&mut rig, input);
            let messages = sent(rig.solo.messages(conn));
            assert!(matches!(messages[..], [Notify(..)]), "{state:?} x {input:?}: {messages:?}");
            assert!(rig.solo.closed.contains(&conn));
            let late = rig.solo.speaker.late_inputs();
            rig.solo.bytes(conn, &message::keepalive());
            assert_eq!(rig.solo.messages(conn), []);
            assert!(rig.solo.speaker.late_inputs() > late);
        }
    }
}

/// Header errors by their subcodes (RFC 4271 §6.1), with the data that the RFC asks for.
#[test]
fn header_errors() {
    let mut long = message::keepalive();
    long[16..18].copy_from_slice(&4097_u16.to_be_bytes());
    let mut short = message::keepalive();
    short[16..18].copy_from_slice(&18_u16.to_be_bytes());
    let mut keepalive_with_body = message::keepalive();
    keepalive_with_body[16..18].copy_from_slice(&20_u16.to_be_bytes());
    let open_too_short = message::message(1, &[4]);
    let rows: [(&str, Vec<u8>, u8, &[u8]); 6] = [
        ("marker", vec![0; 19], 1, &[]),
        ("too long", long, 2, &[0x10, 0x01]),
        ("too short", short, 2, &[0, 18]),
        ("KEEPALIVE with a body", keepalive_with_body, 2, &[0, 20]),
        ("OPEN without a body", open_too_short, 2, &[0, 20]),
        ("type", message::message(77, &[]), 3, &[77]),
    ];
    for (what, octets, subcode, data) in rows {
        for state in [S::OpenSent, S::OpenConfirm, S::Established] {
            let mut rig = rig(state);
            let conn = rig.conn.unwrap();
            rig.solo.bytes(conn, &octets);
            let want = Message::Notification(Notification { code: 1, subcode, data: data.to_vec() });
            assert_eq!(rig.solo.messages(conn), [want], "{what} in {state:?}");
        }
    }
}

/// OPEN errors by their subcodes (RFC 4271 §6.2).
#[test]
fn open_errors() {
    let good = OpenSpec::new(65002, [10, 0, 0, 2].into());
    let mut version = good.clone();
    version.version = 3;
    let mut zero_id = good.clone();
    zero_id.router_id = [0; 4];
    let mut zero_as = good.clone().without(65);
    zero_as.my_as = 0;
    let mut parameter = good.clone();
    parameter.parameters.push((9, vec![1]));
    let rows = [
        ("version 3", version, 1),
        ("another AS", OpenSpec::new(65009, [10, 0, 0, 2].into()), 2),
        ("AS 0", zero_as, 2),
        ("identifier 0", zero_id, 3),
        ("unknown parameter", parameter, 4),
        ("hold time 1", good.clone().hold(1), 6),
        ("hold time 2", good.clone().hold(2), 6),
    ];
    for (what, open, subcode) in rows {
        let mut rig = rig(S::OpenSent);
        let conn = rig.conn.unwrap();
        rig.solo.bytes(conn, &open.encode());
        let messages = rig.solo.messages(conn);
        let [Message::Notification(notification)] = &messages[..] else { panic!("{what}: {messages:?}") };
        assert_eq!((notification.code, notification.subcode), (2, subcode), "{what}");
        if subcode == 1 {
            assert_eq!(notification.data, [0, 4], "the version this speaker supports");
        }
        assert_eq!(rig.solo.state(PEER), S::Idle);
    }
}

/// An identifier like the speaker's own is wrong within its AS only (RFC 6286 §2.2).
#[test]
fn equal_identifiers() {
    for (asn, fine) in [(65002, true), (65001, false)] {
        let neighbor = if asn == 65001 { peerage_sim::internal() } else { external(asn) };
        let mut solo = Solo::new(1, &desired(65001, [10, 0, 0, 1].into()).neighbor(PEER, neighbor));
        let conn = solo.establish(PEER, &OpenSpec::new(asn, [10, 0, 0, 1].into()));
        assert_eq!(solo.state(PEER) == S::Established, fine, "AS {asn}");
        if !fine {
            let last = solo.messages(conn).pop();
            let Some(Message::Notification(notification)) = last else { panic!("{last:?}") };
            assert_eq!((notification.code, notification.subcode), (2, 3));
        }
    }
}
