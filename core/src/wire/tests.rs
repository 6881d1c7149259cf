//! Whole messages: headers, OPEN, NOTIFICATION, ROUTE-REFRESH, UPDATE's parts, and the small types.

extern crate std;

use std::{
    format,
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use proptest::prelude::*;

use super::{
    attr::{self, MpReach, MpUnreach},
    nlri::{Ipv4Prefixes, Ipv6Prefixes},
    *,
};

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![255; 16];
    message.extend(u16::try_from(HEADER_LEN + body.len()).unwrap().to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

fn body(message: &[u8]) -> &[u8] {
    let frame = frame(message, MAX_EXTENDED_LEN).unwrap().unwrap();
    assert_eq!(frame.len, message.len());
    frame.body
}

/// Invariant: an error's NOTIFICATION has exactly this code, subcode and data.
#[track_caller]
fn sends(error: &MessageError, code: u8, subcode: u8, data: &[u8]) {
    let expected = Notification { code, subcode, data: data.to_vec() };
    assert_eq!(error.notification(), expected, "{error}");
}

#[test]
fn a_frame_is_found_octet_by_octet() {
    let stream = [&KEEPALIVE[..], &message(2, &[0; 4])].concat();
    for end in 0..HEADER_LEN {
        assert_eq!(frame(&stream[..end], MAX_LEN), Ok(None), "{end}");
    }
    let first = frame(&stream, MAX_LEN).unwrap().unwrap();
    assert_eq!(first, Frame { kind: MessageKind::Keepalive, body: &[], len: HEADER_LEN });
    let second = frame(&stream[first.len..], MAX_LEN).unwrap().unwrap();
    assert_eq!(second, Frame { kind: MessageKind::Update, body: &[0; 4], len: 23 });
}

#[test]
fn a_wrong_marker_is_told_at_its_first_octet() {
    for at in 0..16 {
        let mut stream = KEEPALIVE;
        stream[at] = 0;
        assert_eq!(frame(&stream[..at], MAX_LEN), Ok(None));
        assert_eq!(frame(&stream[..=at], MAX_LEN), Err(MessageError::NotSynchronized));
        assert_eq!(frame(&stream, MAX_LEN), Err(MessageError::NotSynchronized));
    }
    sends(&MessageError::NotSynchronized, 1, 1, &[]);
}

#[test]
fn lengths_are_bounded_by_session_and_type() {
    // type, length, longest message agreed to, is it good
    let cases = [
        (1, 28, 4096, false),
        (1, 29, 4096, true),
        (1, 4096, 65535, true),
        (1, 4097, 65535, false),
        (2, 22, 4096, false),
        (2, 23, 4096, true),
        (2, 4096, 4096, true),
        (2, 4097, 4096, false),
        (2, 65535, 65535, true),
        (3, 20, 4096, false),
        (3, 21, 4096, true),
        (3, 4097, 65535, true),
        (4, 18, 4096, false),
        (4, 19, 4096, true),
        (4, 20, 4096, false),
        (4, 5000, 65535, false),
        (5, 22, 4096, false),
        (5, 23, 4096, true),
        (5, 4097, 65535, true),
        (2, 0, 4096, false),
    ];
    for (kind, length, max_len, good) in cases {
        let mut stream = [255; HEADER_LEN];
        stream[16..18].copy_from_slice(&u16::to_be_bytes(length));
        stream[18] = kind;
        // No body: a good header asks for more, or is a whole message.
        let found = frame(&stream, max_len);
        if good {
            assert_eq!(found.map(|frame| frame.is_some()), Ok(length == 19), "{kind} {length}");
        } else {
            assert_eq!(found, Err(MessageError::BadLength(length)), "{kind} {length}");
        }
    }
    sends(&MessageError::BadLength(4097), 1, 2, &[0x10, 0x01]);
}

#[test]
fn an_unknown_type_is_told() {
    for kind in [0, 6, 255] {
        assert_eq!(frame(&message(kind, &[0; 10]), MAX_LEN), Err(MessageError::BadType(kind)));
    }
    sends(&MessageError::BadType(6), 1, 3, &[6]);
}

#[test]
fn every_error_is_its_notification() {
    sends(&MessageError::UnsupportedVersion(3), 2, 1, &[0, 4]);
    sends(&MessageError::BadRouterId, 2, 3, &[]);
    sends(&MessageError::UnsupportedParameter(1), 2, 4, &[]);
    sends(&MessageError::MalformedOpen, 2, 0, &[]);
    sends(&MessageError::UnacceptableHoldTime(2), 2, 6, &[]);
    sends(&MessageError::MalformedAttributeList, 3, 1, &[]);
    sends(&MessageError::OptionalAttribute(vec![0x80, 14, 1, 0]), 3, 9, &[0x80, 14, 1, 0]);
    sends(&MessageError::InvalidNetworkField, 3, 10, &[]);
    sends(&MessageError::MalformedNotification, 1, 2, &[]);
    let error = RouteRefresh::decode(&[0, 1, 1, 1, 7]).unwrap_err();
    sends(&error, 7, 1, &message(5, &[0, 1, 1, 1, 7]));
}

/// An OPEN's body with these optional parameters, their length octet included.
fn open_body(parameters: &[u8]) -> Vec<u8> {
    [&[4, 0xFD, 0xE9, 0, 90, 10, 0, 0, 1], parameters].concat()
}

#[test]
fn the_fixed_part_of_an_open_is_checked() {
    let good = open_body(&[0]);
    let open = Open::decode(&good).unwrap();
    assert_eq!((open.my_as, open.hold_time, open.router_id), (65001, 90, RouterId(0x0A00_0001)));
    assert_eq!(open.asn(), Asn(65001));
    let with = |at: usize, octets: &[u8]| {
        let mut body = good.clone();
        body[at..at + octets.len()].copy_from_slice(octets);
        Open::decode(&body).unwrap_err()
    };
    assert_eq!(with(0, &[3]), MessageError::UnsupportedVersion(3));
    assert_eq!(with(3, &[0, 1]), MessageError::UnacceptableHoldTime(1));
    assert_eq!(with(3, &[0, 2]), MessageError::UnacceptableHoldTime(2));
    assert_eq!(with(5, &[0, 0, 0, 0]), MessageError::BadRouterId);
    assert_eq!(with(9, &[1]), MessageError::MalformedOpen);
    assert_eq!(Open::decode(&open_body(&[0, 0])), Err(MessageError::MalformedOpen), "octets left over");
    assert_eq!(Open::decode(&[4, 0, 1]), Err(MessageError::MalformedOpen));
}

#[test]
fn parameters_and_capabilities_come_in_any_number() {
    let expected = vec![Capability::RouteRefresh, Capability::Role(3), Capability::FourOctetAs(Asn(70000))];
    let spread = open_body(&[15, 2, 5, 2, 0, 9, 1, 3, 2, 0, 2, 6, 65, 4, 0, 1, 0x11]);
    let mut spread = spread;
    spread.push(0x70);
    spread[9] = 17;
    let open = Open::decode(&spread).unwrap();
    assert_eq!(open.capabilities, expected);
    assert_eq!(open.asn(), Asn(70000));
    // RFC 9072: the same, with two-octet lengths; the one-octet length says nothing.
    for ignored in [255, 1, 77] {
        let extended =
            open_body(&[ignored, 255, 0, 17, 2, 0, 5, 2, 0, 9, 1, 3, 2, 0, 6, 65, 4, 0, 1, 0x11, 0x70]);
        assert_eq!(Open::decode(&extended).unwrap().capabilities, expected);
    }
    assert_eq!(Open::decode(&open_body(&[3, 1, 1, 0])), Err(MessageError::UnsupportedParameter(1)));
    assert_eq!(Open::decode(&open_body(&[255, 255, 0, 3, 2, 0])), Err(MessageError::MalformedOpen));
}

#[test]
fn a_known_capability_of_a_wrong_length_is_malformed() {
    let malformed: [(u8, &[u8]); 13] = [
        (1, &[]),
        (1, &[0, 1, 0]),
        (1, &[0, 1, 0, 1, 0]),
        (5, &[0, 1, 0, 1, 0]),
        (9, &[]),
        (9, &[1, 2]),
        (64, &[]),
        (64, &[0]),
        (64, &[0, 120, 0, 1, 1]),
        (65, &[0, 0, 1]),
        (65, &[0, 0, 1, 1, 1]),
        (69, &[0, 1, 1]),
        (69, &[0, 1, 1, 3, 0]),
    ];
    for (code, value) in malformed {
        let len = u8::try_from(value.len()).unwrap();
        let parameters = [&[len + 4, 2, len + 2, code, len], value].concat();
        assert_eq!(
            Open::decode(&open_body(&parameters)),
            Err(MessageError::MalformedOpen),
            "{code} {value:?}"
        );
    }
}

#[test]
fn what_is_not_understood_is_kept() {
    let kept: [(u8, &[u8]); 9] = [
        (2, &[1]),
        (5, &[0, 1, 1, 1, 0, 2]),
        (6, &[0]),
        (69, &[0, 1, 1, 1, 0, 2, 1, 4]),
        (70, &[9]),
        (73, &[5, 104]),
        (73, &[1, 0xFF, 0]),
        (73, &[0, 0, 0]),
        (128, &[1, 2, 3]),
    ];
    for (code, value) in kept {
        let len = u8::try_from(value.len()).unwrap();
        let parameters = [&[len + 4, 2, len + 2, code, len], value].concat();
        let open = Open::decode(&open_body(&parameters)).unwrap();
        assert_eq!(open.capabilities, [Capability::Unknown { code, value: value.to_vec() }]);
        let mut out = Vec::new();
        open.encode(&mut out);
        assert_eq!(body(&out), open_body(&parameters), "byte-exact");
    }
}

#[test]
fn capabilities_over_255_octets_take_the_extended_form() {
    let unknown = |len: usize| Capability::Unknown { code: 200, value: vec![7; len] };
    let open = |capabilities| Open { my_as: 1, hold_time: 0, router_id: RouterId(1), capabilities };
    for (capabilities, extended) in [
        (vec![], false),
        (vec![unknown(251)], false),
        (vec![unknown(252)], true),
        (vec![unknown(250); 15], true),
    ] {
        let open = open(capabilities);
        let mut out = Vec::new();
        open.encode(&mut out);
        assert_eq!(body(&out).get(10) == Some(&255), extended);
        assert_eq!(Open::decode(body(&out)), Ok(open));
    }
    let mut out = Vec::new();
    open(vec![unknown(255); 20]).encode(&mut out);
    assert!(out.len() <= MAX_LEN, "what does not fit is left out");
    assert_eq!(Open::decode(body(&out)).unwrap().capabilities.len(), 15);
}

#[test]
fn names_are_cut_at_a_character() {
    let host: String = "ä".repeat(40);
    let capability = Capability::Fqdn { host, domain: String::new() };
    let mut out = Vec::new();
    Open { my_as: 1, hold_time: 0, router_id: RouterId(1), capabilities: vec![capability] }.encode(&mut out);
    let expected = Capability::Fqdn { host: "ä".repeat(32), domain: String::new() };
    assert_eq!(Open::decode(body(&out)).unwrap().capabilities, [expected]);
}

/// RFC 8538 §3.1: code, subcode and data of the real reason are the data.
#[test]
fn a_hard_reset_carries_its_reason() {
    let reason = Notification { code: 6, subcode: 2, data: b"\x04bye!".to_vec() };
    let hard = reason.clone().into_hard_reset();
    assert_eq!(hard, Notification { code: 6, subcode: 9, data: b"\x06\x02\x04bye!".to_vec() });
    assert_eq!((hard.hard_reset_cause().as_ref(), reason.hard_reset_cause()), (Some(&reason), None));
    assert_eq!(hard.text().as_deref(), Some("bye!"));
    assert_eq!(
        hard.to_string(),
        "NOTIFICATION 6/9 (Cease/Hard Reset for 6/2 Cease/Administrative Shutdown): bye!"
    );
    // What is no reason is none; one within another is read one level deep.
    for data in [b"".as_slice(), b"\x06"] {
        let broken = Notification { data: data.to_vec(), ..Notification::new(6, 9) };
        assert_eq!((broken.hard_reset_cause(), broken.text()), (None, None));
        assert_eq!(broken.to_string(), "NOTIFICATION 6/9 (Cease/Hard Reset)");
    }
    assert_eq!(hard.into_hard_reset().text(), None);
}

#[test]
fn the_text_of_a_cease_is_read() {
    let text = |code, subcode, data: &[u8]| Notification { code, subcode, data: data.to_vec() }.text();
    assert_eq!(text(6, 2, b"\x04bye!").as_deref(), Some("bye!"));
    assert_eq!(text(6, 4, b"\x04bye!and more").as_deref(), Some("bye!"));
    assert_eq!(text(6, 2, b"\x05bye!"), None);
    assert_eq!(text(6, 2, b"\x00"), None);
    assert_eq!(text(6, 2, b""), None);
    assert_eq!(text(6, 2, b"\x01\xFF"), None);
    assert_eq!(text(6, 3, b"\x04bye!"), None);
    assert_eq!(text(4, 2, b"\x04bye!"), None);
    assert_eq!(Notification::decode(&[6]), Err(MessageError::MalformedNotification));
}

#[test]
fn the_data_of_a_notification_fits_any_peer() {
    let mut out = Vec::new();
    Notification { code: 7, subcode: 1, data: vec![1; 60_000] }.encode(&mut out);
    assert_eq!(out.len(), MAX_LEN);
    assert!(frame(&out, MAX_LEN).unwrap().is_some());
}

#[test]
fn refresh_markers_have_nothing_behind_them() {
    for subtype in 0..=3 {
        let short = RouteRefresh::decode(&[0, 1, subtype, 1]).unwrap();
        assert_eq!(short, RouteRefresh { family: Family::IPV4_UNICAST, subtype, extra: vec![] });
        let long = RouteRefresh::decode(&[0, 1, subtype, 1, 9]);
        assert_eq!(long.is_err(), matches!(subtype, 1 | 2));
    }
    assert!(RouteRefresh::decode(&[0, 1, 0]).is_err());
}

#[test]
fn an_update_is_cut_where_its_lengths_say() {
    let update = Update::split(&[0, 2, 8, 10, 0, 3, 0x40, 1, 0, 16, 192, 168]).unwrap();
    assert_eq!(update, Update { withdrawn: &[8, 10], attributes: &[0x40, 1, 0], nlri: &[16, 192, 168] });
    for malformed in [&[][..], &[0, 0, 0], &[0, 1, 0, 0], &[0, 0, 0, 1], &[0xFF, 0xFF, 0, 0]] {
        assert_eq!(Update::split(malformed), Err(MessageError::MalformedAttributeList));
    }
}

#[test]
fn end_of_rib_is_an_empty_update_of_a_family() {
    let family = |body: &[u8]| Update::split(body).unwrap().end_of_rib();
    assert_eq!(family(&[0, 0, 0, 0]), Some(Family::IPV4_UNICAST));
    assert_eq!(family(&[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1]), Some(Family::IPV6_UNICAST));
    assert_eq!(family(&[0, 0, 0, 7, 0x90, 15, 0, 3, 0, 2, 1]), Some(Family::IPV6_UNICAST));
    assert_eq!(family(&[0, 0, 0, 7, 0x80, 15, 4, 0, 2, 1, 0]), None, "withdraws a route");
    assert_eq!(family(&[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1, 0]), None, "has NLRI");
    assert_eq!(family(&[0, 1, 0, 0, 0]), None, "withdraws a route");
    assert_eq!(family(&[0, 0, 0, 4, 0x40, 1, 1, 0]), None);
}

#[test]
fn communities_read_as_operators_write_them() {
    let read = |text: &str| text.parse::<Community>();
    assert_eq!(read("65000:100"), Ok(Community::new(65000, 100)));
    assert_eq!(read("4259840100"), Ok(Community::new(65000, 100)));
    assert_eq!(read("no-export"), Ok(Community::NO_EXPORT));
    assert_eq!(read("planned-shut"), Ok(Community::GRACEFUL_SHUTDOWN));
    assert_eq!(read("no-peer"), Ok(Community(0xFFFF_FF04)));
    assert_eq!(read("internet"), Ok(Community(0)));
    for text in ["", "noexport", "-1", "+1:2", " 1:2"] {
        assert!(read(text).is_err(), "{text}");
    }
    assert_eq!(read("65536:1"), Err(ParseCommunityError::Number { field: "high", bits: 16 }));
    assert_eq!(read("1:2:3"), Err(ParseCommunityError::Number { field: "low", bits: 16 }));
    assert_eq!(read("4294967296"), Err(ParseCommunityError::Number { field: "community", bits: 32 }));
    let large = LargeCommunity { global: 4_200_000_000, local1: 1, local2: 0 };
    assert_eq!(large.to_string().parse(), Ok(large));
    assert_eq!("1:2".parse::<LargeCommunity>(), Err(ParseCommunityError::Large));
    assert_eq!("1:2:3:4".parse::<LargeCommunity>(), Err(ParseCommunityError::Large));
    assert_eq!(
        "1:2:x".parse::<LargeCommunity>(),
        Err(ParseCommunityError::Number { field: "local2", bits: 32 })
    );
}

#[test]
fn a_next_hop_is_where_packets_go() {
    let (global, link_local) = ("2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap());
    let unspecified = "::".parse().unwrap();
    assert_eq!(NextHop::V6WithLinkLocal { global, link_local }.to_string(), "2001:db8::1");
    assert!(NextHop::V6WithLinkLocal { global: unspecified, link_local }.is_link_local());
    assert!(NextHop::V6WithLinkLocal { global: link_local, link_local }.is_link_local());
}

fn family() -> impl Strategy<Value = Family> {
    (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Family::new(afi, safi))
}

fn capability() -> impl Strategy<Value = Capability> {
    let mode = prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)];
    let kept = (family(), any::<bool>())
        .prop_map(|(family, forwarding_kept)| GracefulRestartFamily { family, forwarding_kept });
    prop_oneof![
        family().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        prop::collection::vec((family(), any::<u16>().prop_map(Afi)), 0..10)
            .prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        any::<u8>().prop_map(Capability::Role),
        (any::<bool>(), any::<bool>(), 0..4096_u16, prop::collection::vec(kept, 0..10)).prop_map(
            |(restarting, notification, time, families)| {
                Capability::GracefulRestart { restarting, notification, time, families }
            }
        ),
        any::<u32>().prop_map(|asn| Capability::FourOctetAs(Asn(asn))),
        prop::collection::vec((family(), mode), 0..10).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        ("[a-zä]{0,20}", "[a-z.]{0,40}").prop_map(|(host, domain)| Capability::Fqdn { host, domain }),
        (74..=255_u8, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(code, value)| Capability::Unknown { code, value }),
    ]
}

proptest! {
    #[test]
    fn open_survives_the_wire(
        my_as in any::<u16>(),
        hold_time in prop_oneof![Just(0), 3..=u16::MAX],
        router_id in 1..=u32::MAX,
        capabilities in prop::collection::vec(capability(), 0..30),
    ) {
        let open = Open { my_as, hold_time, router_id: RouterId(router_id), capabilities };
        let mut out = Vec::new();
        open.encode(&mut out);
        prop_assert_eq!(Open::decode(body(&out)), Ok(open));
    }

    #[test]
    fn notification_survives_the_wire(
        code in any::<u8>(), subcode in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let notification = Notification { code, subcode, data };
        let mut out = Vec::new();
        notification.encode(&mut out);
        prop_assert_eq!(Notification::decode(body(&out)), Ok(notification));
    }

    #[test]
    fn refresh_survives_the_wire(
        family in family(), subtype in any::<u8>(), extra in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let extra = if matches!(subtype, 1 | 2) { vec![] } else { extra };
        let refresh = RouteRefresh { family, subtype, extra };
        let mut out = Vec::new();
        refresh.encode(&mut out);
        prop_assert_eq!(RouteRefresh::decode(body(&out)), Ok(refresh));
    }

    /// Invariant 6: whatever comes, nothing panics; what decodes does so again after encoding.
    #[test]
    fn no_input_panics(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 0..7_u8) {
        let _ = frame(&octets, MAX_LEN);
        let message = message(kind, &octets);
        let _ = frame(&message, MAX_LEN).map(|frame| format!("{frame:?}"));
        let mut with_version = vec![4];
        with_version.extend(&octets);
        for octets in [&octets, &with_version] {
            if let Ok(open) = Open::decode(octets) {
                let mut out = Vec::new();
                open.encode(&mut out);
                prop_assert_eq!(Open::decode(body(&out)), Ok(open));
            }
        }
        if let Ok(notification) = Notification::decode(&octets) {
            let _ = notification.text();
        }
        if let Err(error) = RouteRefresh::decode(&octets) {
            let _ = error.notification();
        }
        if let Ok(update) = Update::split(&octets) {
            let _ = (update.end_of_rib(), attr::split(update.attributes));
        }
        let _ = attr::split(&octets);
        let _ = (MpReach::decode(&octets).map(|reach| reach.unicast_next_hop()), MpUnreach::decode(&octets));
        let _ = (Ipv4Prefixes::new(&octets).count(), Ipv6Prefixes::new(&octets).count());
    }
}
