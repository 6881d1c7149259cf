//! One message of any kind (invariants 6 and 7): no input panics; `encode(decode(b))` is a fixed point.

use arbitrary::{Arbitrary, Unstructured};
use ipnet::IpNet;
use peerage_core::wire::{
    Family, HEADER_LEN, MAX_EXTENDED_LEN, MAX_LEN, MessageKind, Notification, Open, RouteRefresh,
    SessionKind, Update,
    attr::{self, AttributeContext, Outcome, PathAttributes, Summary, flag},
    begin_message, finish_message, frame,
    nlri::{self, Ipv4Prefixes, Ipv6Prefixes},
};

/// A message and what the session that gets it has agreed to. On disk: the two selectors, then the body.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Bits: four-octet AS numbers, internal peer, routes announced, a NEXT_HOP needed.
    pub session: u8,
    /// The type field.
    pub kind: u8,
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> Arbitrary<'a> for Input<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        // From the front, so that a seed is simply written down.
        let [session, kind] = *u.bytes(2)?.first_chunk().ok_or(arbitrary::Error::NotEnoughData)?;
        Ok(Self { session, kind, body: u.bytes(u.len())? })
    }

    fn arbitrary_take_rest(mut u: Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::arbitrary(&mut u)
    }
}

/// Panics if something is wrong.
pub fn check(input: &Input<'_>) {
    // As a stream of its own: whatever the framing says, it says it of octets that are there.
    if let Ok(Some(frame)) = frame(input.body, MAX_LEN) {
        assert!(frame.len <= input.body.len() && frame.body.len() + HEADER_LEN == frame.len);
    }
    let mut message = vec![255; 16];
    let Ok(len) = u16::try_from(HEADER_LEN + input.body.len()) else { return };
    message.extend(len.to_be_bytes());
    message.push(input.kind);
    message.extend(input.body);
    match frame(&message, MAX_EXTENDED_LEN) {
        Ok(Some(frame)) => {
            assert_eq!(frame.body, input.body);
            decode(frame.kind, frame.body, input.session);
        }
        Ok(None) => panic!("the message is whole"),
        Err(error) => drop(error.notification()),
    }
}

fn decode(kind: MessageKind, body: &[u8], session: u8) {
    match kind {
        MessageKind::Open => fixed_point(body, Open::decode, Open::encode),
        MessageKind::RouteRefresh => fixed_point(body, RouteRefresh::decode, RouteRefresh::encode),
        MessageKind::Notification => {
            // Data over the limit is cut once, so the comparison starts behind that.
            let body = body.get(..MAX_LEN - HEADER_LEN).unwrap_or(body);
            fixed_point(body, Notification::decode, Notification::encode);
            let _ = Notification::decode(body).map(|notification| notification.text());
        }
        MessageKind::Keepalive => assert!(body.is_empty()),
        MessageKind::Update => update(body, session),
    }
}

/// What decodes is what its encoding decodes to.
fn fixed_point<T: PartialEq + std::fmt::Debug>(
    body: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, peerage_core::wire::MessageError>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let decoded = match decode(body) {
        Ok(decoded) => decoded,
        Err(error) => return drop(error.notification()),
    };
    let mut out = Vec::new();
    encode(&decoded, &mut out);
    let frame = frame(&out, MAX_EXTENDED_LEN).expect("our own header").expect("a whole message");
    assert_eq!(frame.len, out.len());
    assert_eq!(decode(frame.body).as_ref(), Ok(&decoded));
}

fn update(body: &[u8], session: u8) {
    let Ok(update) = Update::split(body) else { return };
    let mut out = Vec::new();
    let start = begin_message(&mut out, MessageKind::Update);
    for part in [update.withdrawn, update.attributes] {
        out.extend(u16::try_from(part.len()).expect("it was in a message").to_be_bytes());
        out.extend(part);
    }
    out.extend(update.nlri);
    finish_message(&mut out, start);
    assert_eq!(&out[HEADER_LEN..], body);

    let end_of_rib = update.end_of_rib();
    prefixes(Family::IPV4_UNICAST, update.withdrawn);
    prefixes(Family::IPV4_UNICAST, update.nlri);
    let split = match attr::split(update.attributes) {
        Ok(split) => split,
        Err(error) => return drop(error.notification()),
    };
    if let Some(reach) = split.mp_reach {
        prefixes(reach.family, reach.nlri);
        let _ = reach.unicast_next_hop();
    }
    if let Some(unreach) = split.mp_unreach {
        prefixes(unreach.family, unreach.withdrawn);
    }
    if let Some(family) = end_of_rib {
        let announced = split.mp_unreach.map_or(Family::IPV4_UNICAST, |unreach| unreach.family);
        assert!(split.rest.is_empty() && split.mp_reach.is_none() && announced == family);
    }
    attributes(&split.rest, session);
}

fn attributes(block: &[u8], session: u8) {
    let kind = if session & 2 == 0 { SessionKind::External } else { SessionKind::Internal };
    let context = AttributeContext { four_octet_as: session & 1 != 0, kind };
    let (reachable, needs_next_hop) = (session & 4 != 0, session & 8 != 0);
    let summary = attr::parse(block, context, reachable, needs_next_hop);
    let canonical = summary.canonical.as_deref().unwrap_or(block);
    assert_eq!(summary.fault.map(|fault| fault.outcome).unwrap_or_default(), summary.outcome);
    if summary.outcome != Outcome::TreatAsWithdraw {
        let wide = AttributeContext { four_octet_as: true, kind };
        let again = attr::parse(canonical, wide, reachable, needs_next_hop);
        let expected = Summary { outcome: Outcome::Accept, fault: None, canonical: None, ..summary.clone() };
        assert_eq!(again, expected);
        let path = PathAttributes::decode(canonical).as_path;
        assert_eq!(path.length().min(usize::from(u16::MAX)), usize::from(summary.as_path_len));
        for asn in summary.first_as.into_iter().chain(summary.origin_as) {
            assert!(attr::as_path_contains(canonical, asn));
        }
    }
    let mut decoded = PathAttributes::decode(canonical);
    let mut out = Vec::new();
    decoded.encode(&mut out);
    decoded.other.sort_by_key(|other| other.code);
    assert!(decoded.other.iter().all(|other| other.flags & flag::EXTENDED_LENGTH == 0));
    assert_eq!(PathAttributes::decode(&out), decoded);
}

/// Prefixes of a family we read: encoding what was decoded is the field, less its host bits.
fn prefixes(family: Family, field: &[u8]) {
    let decoded: Result<Vec<IpNet>, _> = match family {
        Family::IPV4_UNICAST => Ipv4Prefixes::new(field).map(|it| it.map(IpNet::V4)).collect(),
        Family::IPV6_UNICAST => Ipv6Prefixes::new(field).map(|it| it.map(IpNet::V6)).collect(),
        _ => return,
    };
    let Ok(decoded) = decoded else { return };
    let mut out = Vec::new();
    decoded.iter().for_each(|&prefix| nlri::encode(prefix, &mut out));
    assert_eq!(out.len(), field.len());
    let again: Vec<IpNet> = match family {
        Family::IPV4_UNICAST => Ipv4Prefixes::new(&out).flatten().map(IpNet::V4).collect(),
        _ => Ipv6Prefixes::new(&out).flatten().map(IpNet::V6).collect(),
    };
    assert_eq!(again, decoded);
}
