//! Messages of other implementations: what they say is what others read in them, and what is wrong with
//! the malformed ones has a name.

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod common;

use std::{collections::BTreeMap, fs, net::Ipv4Addr};

use ipnet::IpNet;
use peerage_core::wire::{
    Capability, Family, Frame, MAX_EXTENDED_LEN, MessageError, MessageKind, NextHop, Notification, Open,
    Origin, RouteRefresh, SessionKind, Update,
    attr::{
        self, AsPath, AttributeContext, AttributeFault, MpReach, MpUnreach, Outcome, PathAttributes,
        RawAttributes, SegmentKind, Summary, code, flag,
    },
    frame,
    nlri::{self, Ipv4Prefixes, Ipv6Prefixes},
};
use serde_json::{Map, Value, json};

use common::{hex, unhex};

/// An IPv6 route with a next hop of four octets: read, and refused by whoever asks for the next hop.
const FOUR_OCTETS_FOR_IPV6: &str = "exabgp/extended-nexthop.ci#2";

/// Rows that say what others read in them, but whose routes are not to be used: a next hop that is
/// broadcast (RFC 4271 §6.3), an unknown attribute that claims to be well-known, AS 0 (RFC 7607 §2).
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("exabgp/conf-attributes.ci#3", "TreatAsWithdraw(NEXT_HOP, Value)"),
    ("exabgp/conf-generic-attribute.ci#2", "TreatAsWithdraw(unknown, Flags)"),
    ("exabgp/conf-generic-attribute.ci#3", "TreatAsWithdraw(unknown, Flags)"),
    ("frr/test_aspath.c/BGP_AS_ZERO", "TreatAsWithdraw(AS_PATH, Value)"),
];

/// What is wrong with each malformed row, in the order of the files.
///
/// A next hop of a length that the family does not have, NLRI that overrun their field and an
/// MP_REACH_NLRI that overruns itself end the session (RFC 7606 §5.3, §7.11); a capability that does not
/// have its length ends the handshake (RFC 5492 §5, RFC 4271 §6.2); an AS_PATH that is malformed withdraws
/// (RFC 7606 §7.2). Where our outcome is milder than upstream's:
/// - `IPv6-bug` is an MP_REACH_NLRI without NLRI. It announces nothing, which RFC 4760 does not forbid.
/// - The lengths of VPN prefixes, of ORF entries and of the capabilities inside a dynamic capability are
///   for those who read them: opaque octets with good lengths around them.
#[rustfmt::skip]
const MALFORMED: &[(&str, &str)] = &[
    ("frr/test_mp_attr.c/IPv6-nhlen", "NextHop(4 octets)"),
    ("frr/test_mp_attr.c/IPv6-nhlen2", "NextHop(5 octets)"),
    ("frr/test_mp_attr.c/IPv6-nhlen3", "OptionalAttribute"),
    ("frr/test_mp_attr.c/IPv6-nhlen4", "InvalidNetworkField"),
    ("frr/test_mp_attr.c/IPv6-nlri", "InvalidNetworkField"),
    ("frr/test_mp_attr.c/IPv4-nhlen", "OptionalAttribute"),
    ("frr/test_mp_attr.c/IPv4-nlrilen", "InvalidNetworkField"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-bogus-plen", "Opaque"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-plen1-short", "Opaque"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-plen1-long", "Opaque"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-plenn-long", "Opaque"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-plenn-short", "Opaque"),
    ("frr/test_mp_attr.c/IPv4-VPNv4-0-nlri", "Opaque"),
    ("frr/test_mp_attr.c/IPv6-bug", "Accept"),
    ("frr/test_mp_attr.c/IPv6-unreach-nlri", "InvalidNetworkField"),
    ("frr/test_mp_attr.c/IPv4-unreach-nlrilen", "InvalidNetworkField"),
    ("frr/test_capability.c/nodata", "MalformedOpen"),
    ("frr/test_capability.c/minsize", "Opaque"),
    ("frr/test_capability.c/MP-short", "MalformedOpen"),
    ("frr/test_capability.c/MP-overflow", "MalformedOpen"),
    ("frr/test_capability.c/ORFlo", "MalformedOpen"),
    ("frr/test_capability.c/ORFlu", "MalformedOpen"),
    ("frr/test_capability.c/AS4", "MalformedOpen"),
    ("frr/test_capability.c/AS4", "MalformedOpen"),
    ("frr/test_capability.c/GR-short", "MalformedOpen"),
    ("frr/test_capability.c/GR-long", "MalformedOpen"),
    ("frr/test_capability.c/GR-trunc", "MalformedOpen"),
    ("frr/test_capability.c/GR-empty", "MalformedOpen"),
    ("frr/test_capability.c/MP-empty", "MalformedOpen"),
    ("frr/test_capability.c/ORF-empty", "Opaque"),
    ("frr/test_capability.c/AS4-empty", "MalformedOpen"),
    ("frr/test_capability.c/Role-long", "MalformedOpen"),
    ("frr/test_capability.c/Role-empty", "MalformedOpen"),
    ("frr/test_capability.c/DynCap", "MalformedOpen"),
    ("frr/test_capability.c/DynCapLong", "MalformedOpen"),
    ("frr/test_capability.c/DynCapPadded", "Opaque"),
    ("frr/test_capability.c/DynCapMPCoverflow", "Opaque"),
    ("frr/test_aspath.c/zero-size overflow", "TreatAsWithdraw(AS_PATH, Value)"),
    ("frr/test_aspath.c/zero-size overflow + valid segment", "TreatAsWithdraw(AS_PATH, Value)"),
    ("frr/test_aspath.c/invalid segment type", "TreatAsWithdraw(AS_PATH, Value)"),
    ("gobgp/bgp_test.go/TestFuzzCrashers@80884", "NotSynchronized"),
    ("gobgp/bgp_test.go/TestFuzzCrashers@81007", "NotSynchronized"),
    ("gobgp/bgp_test.go/TestParseMessageWithBadLength@81909", "NotSynchronized"),
    ("gobgp/bgp_test.go/TestParseMessageWithBadLength@82220", "NotSynchronized"),
    ("gobgp/bgp_test.go/TestParseMessageWithBadLength@82305", "NotSynchronized"),
];

/// One row of the vectors.
#[derive(Debug)]
struct Row {
    name: String,
    octets: Vec<u8>,
    four_octet_as: bool,
    add_path: bool,
    expect: Option<Map<String, Value>>,
    expect_error: bool,
    /// The NOTIFICATION that the row itself asks for.
    notification: Option<(u64, u64)>,
}

fn rows() -> Option<Vec<Row>> {
    let folder = common::shared("vectors")?;
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let texts: Vec<_> = files.iter().map(|file| fs::read_to_string(file).expect("text")).collect();
    Some(texts.iter().flat_map(|text| text.lines()).map(row).collect())
}

fn row(line: &str) -> Row {
    let row: Value = serde_json::from_str(line).expect("one JSON object a line");
    let context = &row["ctx"];
    Row {
        name: row["name"].as_str().expect("a name").into(),
        octets: unhex(row["hex"].as_str().expect("octets")),
        four_octet_as: context["as4"].as_bool().unwrap_or(true),
        add_path: context["addpath"].as_array().is_some_and(|families| !families.is_empty()),
        expect: row["expect"].as_object().cloned(),
        expect_error: row.get("expect_error").is_some(),
        notification: row["code"].as_u64().zip(row["subcodes"][0].as_u64()),
    }
}

/// NLRI of a family we read, or the octets of any other.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Prefixes {
    Unicast(Vec<IpNet>),
    Opaque(Vec<u8>),
}

impl Prefixes {
    fn decode(family: Family, field: &[u8]) -> Result<Self, MessageError> {
        let prefixes = match family {
            Family::IPV4_UNICAST => Ipv4Prefixes::new(field).map(|it| it.map(IpNet::V4)).collect(),
            Family::IPV6_UNICAST => Ipv6Prefixes::new(field).map(|it| it.map(IpNet::V6)).collect(),
            _ => return Ok(Self::Opaque(field.to_vec())),
        };
        let prefixes: Result<_, nlri::NlriError> = prefixes;
        Ok(Self::Unicast(prefixes?))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unicast(prefixes) => prefixes.iter().for_each(|&prefix| nlri::encode(prefix, out)),
            Self::Opaque(octets) => out.extend(octets),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Unicast(prefixes) => prefixes.len(),
            Self::Opaque(octets) => octets.len(),
        }
    }

    /// Under `name`, or `name_hex` where they are opaque.
    fn facts(&self, name: &str, facts: &mut Map<String, Value>) {
        match self {
            Self::Unicast(prefixes) => {
                let prefixes: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
                facts.insert(name.into(), json!(prefixes));
            }
            Self::Opaque(octets) => {
                facts.insert(format!("{name}_hex"), json!(hex(octets)));
            }
        }
    }
}

/// Everything an UPDATE says, decoded.
#[derive(Clone, Debug, PartialEq)]
struct Decoded {
    withdrawn: Prefixes,
    nlri: Prefixes,
    attributes: PathAttributes,
    next_hop: Option<Ipv4Addr>,
    reach: Option<(Family, Vec<u8>, Prefixes)>,
    unreach: Option<(Family, Prefixes)>,
    end_of_rib: Option<Family>,
}

/// An UPDATE, decoded, and what the table makes of its attributes.
fn decode(body: &[u8], four_octet_as: bool) -> Result<(Decoded, Summary), MessageError> {
    let update = Update::split(body)?;
    let split = attr::split(update.attributes)?;
    let context = AttributeContext { four_octet_as, kind: session_kind(&split.rest, four_octet_as) };
    let summary = attr::parse(&split.rest, context, false, false);
    // What is wrong with an attribute is the table's business; here it is what it says.
    let verbatim = four_octet_as && summary.outcome != Outcome::Accept;
    let block = summary.canonical.as_deref().filter(|_| !verbatim).unwrap_or(&split.rest);
    let next_hop = RawAttributes::new(&split.rest).find(|attribute| attribute.code == code::NEXT_HOP);
    let next_hop = next_hop.and_then(|attribute| <[u8; 4]>::try_from(attribute.value).ok());
    let decoded = Decoded {
        withdrawn: Prefixes::decode(Family::IPV4_UNICAST, update.withdrawn)?,
        nlri: Prefixes::decode(Family::IPV4_UNICAST, update.nlri)?,
        attributes: PathAttributes::decode(block),
        next_hop: next_hop.map(Ipv4Addr::from),
        reach: match split.mp_reach {
            Some(MpReach { family, next_hop, nlri }) => {
                Some((family, next_hop.to_vec(), Prefixes::decode(family, nlri)?))
            }
            None => None,
        },
        unreach: match split.mp_unreach {
            Some(MpUnreach { family, withdrawn }) => Some((family, Prefixes::decode(family, withdrawn)?)),
            None => None,
        },
        end_of_rib: update.end_of_rib(),
    };
    Ok((decoded, summary))
}

/// Some attributes, and the segments of a confederation, are only taken from internal peers: where there is
/// one, the peer must have been one.
fn session_kind(block: &[u8], four_octet_as: bool) -> SessionKind {
    let internal = RawAttributes::new(block).any(|attribute| match attribute.code {
        code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => true,
        code::AS_PATH => AsPath::decode(attribute.value, four_octet_as)
            .is_some_and(|path| path.segments.iter().any(|segment| segment.kind.is_confederation())),
        _ => false,
    });
    if internal { SessionKind::Internal } else { SessionKind::External }
}

/// The body of an UPDATE that says the same, with four-octet AS numbers. Only what was there is written:
/// an UPDATE that withdraws has no ORIGIN.
fn encode(decoded: &Decoded, present: &[u8]) -> Vec<u8> {
    let mut attributes = Vec::new();
    let mut all = Vec::new();
    decoded.attributes.encode(&mut all);
    for attribute in RawAttributes::new(&all).filter(|attribute| present.contains(&attribute.code)) {
        attr::write(attribute.flags, attribute.code, attribute.value, &mut attributes);
    }
    if let Some(next_hop) = decoded.next_hop {
        attr::write(flag::TRANSITIVE, code::NEXT_HOP, &next_hop.octets(), &mut attributes);
    }
    if let Some((family, next_hop, nlri)) = &decoded.reach {
        let mut value = family.afi.0.to_be_bytes().to_vec();
        value.extend([family.safi.0, u8::try_from(next_hop.len()).expect("a length")]);
        value.extend(next_hop);
        value.push(0);
        nlri.encode(&mut value);
        attr::write(flag::OPTIONAL, code::MP_REACH_NLRI, &value, &mut attributes);
    }
    if let Some((family, withdrawn)) = &decoded.unreach {
        let mut value = family.afi.0.to_be_bytes().to_vec();
        value.push(family.safi.0);
        withdrawn.encode(&mut value);
        attr::write(flag::OPTIONAL, code::MP_UNREACH_NLRI, &value, &mut attributes);
    }
    let mut withdrawn = Vec::new();
    decoded.withdrawn.encode(&mut withdrawn);
    let mut body = Vec::new();
    for part in [withdrawn, attributes] {
        body.extend(u16::try_from(part.len()).expect("a length").to_be_bytes());
        body.extend(part);
    }
    decoded.nlri.encode(&mut body);
    body
}

fn next_hops(next_hop: NextHop) -> Vec<String> {
    match next_hop {
        NextHop::V4(address) => vec![address.to_string()],
        NextHop::V6(address) => vec![address.to_string()],
        NextHop::V6WithLinkLocal { global, link_local } => vec![global.to_string(), link_local.to_string()],
    }
}

fn path_facts(path: &AsPath) -> Value {
    let segment = |segment: &attr::Segment| {
        let kind = match segment.kind {
            SegmentKind::Set => "set",
            SegmentKind::Sequence => "seq",
            SegmentKind::ConfedSequence => "confed_seq",
            SegmentKind::ConfedSet => "confed_set",
        };
        json!({ "type": kind, "as": segment.asns.iter().map(|asn| asn.0).collect::<Vec<_>>() })
    };
    path.segments.iter().map(segment).collect()
}

/// What `decoded` says of its attributes, in the words of the vectors.
fn attribute_facts(decoded: &Decoded, present: &[u8]) -> Map<String, Value> {
    let Decoded { attributes, next_hop, .. } = decoded;
    let mut facts = Map::new();
    let mut fact = |name: &str, value: Value| facts.insert(name.into(), value);
    let strings = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
    fact("type", json!("UPDATE"));
    if present.contains(&code::ORIGIN) {
        let origin = match attributes.origin {
            Origin::Igp => "igp",
            Origin::Egp => "egp",
            Origin::Incomplete => "incomplete",
        };
        fact("origin", json!(origin));
    }
    if present.contains(&code::AS_PATH) {
        fact("as_path", path_facts(&attributes.as_path));
    }
    let aggregator =
        attributes.aggregator.map(|it| json!({ "as": it.asn.0, "id": it.router_id.to_string() }));
    let text = |items: &mut dyn Iterator<Item = String>| strings(items.collect());
    for (name, value) in [
        ("next_hop", next_hop.map(|next_hop| json!(next_hop.to_string()))),
        ("med", attributes.med.map(|med| json!(med))),
        ("local_pref", attributes.local_pref.map(|local_pref| json!(local_pref))),
        ("atomic_aggregate", attributes.atomic_aggregate.then_some(true.into())),
        ("aggregator", aggregator),
        ("communities", text(&mut attributes.communities.iter().map(ToString::to_string))),
        ("originator_id", attributes.originator_id.map(|id| json!(id.to_string()))),
        ("cluster_list", text(&mut attributes.cluster_list.iter().map(ToString::to_string))),
        ("ext_communities_hex", text(&mut attributes.extended_communities.iter().map(|it| hex(&it.0)))),
        ("large_communities", text(&mut attributes.large_communities.iter().map(ToString::to_string))),
    ] {
        if let Some(value) = value {
            fact(name, value);
        }
    }
    let other = attributes.other.iter();
    let other = other.map(|it| json!({ "type": it.code, "flags": it.flags, "hex": hex(&it.value) }));
    let other: Vec<_> = other.collect();
    if !other.is_empty() {
        fact("other_attributes", json!(other));
    }
    facts
}

/// What the routes of `decoded` are, and what it says of its attributes.
fn update_facts(decoded: &Decoded, present: &[u8]) -> Map<String, Value> {
    let Decoded { withdrawn, nlri, reach, unreach, end_of_rib, .. } = decoded;
    let mut facts = attribute_facts(decoded, present);
    if let Some(family) = end_of_rib {
        facts.insert("eor".into(), json!(format!("{}/{}", family.afi.0, family.safi.0)));
    }
    for (name, prefixes) in [("withdrawn", withdrawn), ("nlri", nlri)] {
        if prefixes.len() != 0 {
            prefixes.facts(name, &mut facts);
        }
    }
    if let Some((family, next_hop, nlri)) = reach {
        let mut reach = Map::new();
        reach.insert("afi".into(), json!(family.afi.0));
        reach.insert("safi".into(), json!(family.safi.0));
        reach.insert("next_hop_hex".into(), json!(hex(next_hop)));
        nlri.facts("nlri", &mut reach);
        let next_hop = MpReach { family: *family, next_hop, nlri: &[] }.unicast_next_hop();
        reach.insert("next_hops".into(), json!(next_hop.map(next_hops)));
        facts.insert("mp_reach".into(), reach.into());
    }
    if let Some((family, withdrawn)) = unreach {
        let mut unreach = Map::new();
        unreach.insert("afi".into(), json!(family.afi.0));
        unreach.insert("safi".into(), json!(family.safi.0));
        withdrawn.facts("withdrawn", &mut unreach);
        facts.insert("mp_unreach".into(), unreach.into());
    }
    facts
}

/// AS_PATH before it is merged with what an old speaker could not say in it, and that. No vector has an
/// AS4_AGGREGATOR.
fn unmerged_facts(block: &[u8], four_octet_as: bool, facts: &mut Map<String, Value>) {
    let attributes: BTreeMap<u8, &[u8]> = RawAttributes::new(block).map(|it| (it.code, it.value)).collect();
    let path = |code, wide| attributes.get(&code).and_then(|value| AsPath::decode(value, wide));
    for (name, path) in
        [("as_path", path(code::AS_PATH, four_octet_as)), ("as4_path", path(code::AS4_PATH, true))]
    {
        if let Some(path) = path {
            facts.insert(name.into(), path_facts(&path));
        }
    }
    assert!(!attributes.contains_key(&code::AS4_AGGREGATOR));
}

/// The capabilities of an OPEN one by one: what encoding makes of each.
fn capability_facts(open: &Open) -> Vec<Value> {
    let capability = |capability: &Capability| {
        let mut message = Vec::new();
        Open { capabilities: vec![capability.clone()], ..open.clone() }.encode(&mut message);
        // Header, fixed part, then type and length of the parameter, code and length of the capability.
        json!({ "code": message[31], "hex": hex(&message[33..]) })
    };
    open.capabilities.iter().map(capability).collect()
}

/// Decodes a row, encodes what it says and decodes that, and returns the facts and the table's verdict.
fn facts(row: &Row) -> Result<(Map<String, Value>, Option<Summary>), MessageError> {
    let frame = whole(&row.octets)?;
    let mut again = Vec::new();
    let facts = match frame.kind {
        MessageKind::Update => {
            return update_row(row, frame.body).map(|(facts, verdict)| (facts, Some(verdict)));
        }
        MessageKind::Open => {
            let open = Open::decode(frame.body)?;
            open.encode(&mut again);
            assert_eq!(Open::decode(whole(&again)?.body).as_ref(), Ok(&open), "{}", row.name);
            json!({
                "type": "OPEN", "version": 4, "my_as": open.my_as, "hold_time": open.hold_time,
                "bgp_id": open.router_id.to_string(), "capabilities": capability_facts(&open),
            })
        }
        MessageKind::Notification => {
            let notification = Notification::decode(frame.body)?;
            notification.encode(&mut again);
            assert_eq!(again, row.octets, "{}", row.name);
            let Notification { code, subcode, data } = notification;
            json!({ "type": "NOTIFICATION", "code": code, "subcode": subcode, "data_hex": hex(&data) })
        }
        MessageKind::RouteRefresh => {
            let refresh = RouteRefresh::decode(frame.body)?;
            refresh.encode(&mut again);
            assert_eq!(again, row.octets, "{}", row.name);
            json!({
                "type": "ROUTE-REFRESH", "afi": refresh.family.afi.0, "safi": refresh.family.safi.0,
                "subtype": refresh.subtype, "extra_hex": hex(&refresh.extra),
            })
        }
        MessageKind::Keepalive => json!({ "type": "KEEPALIVE" }),
    };
    Ok((facts.as_object().cloned().unwrap_or_default(), None))
}

/// A frame that is all of `octets`.
fn whole(octets: &[u8]) -> Result<Frame<'_>, MessageError> {
    let frame = frame(octets, MAX_EXTENDED_LEN)?.filter(|frame| frame.len == octets.len());
    frame.ok_or_else(|| MessageError::BadLength(u16::try_from(octets.len()).unwrap_or(u16::MAX)))
}

fn update_row(row: &Row, body: &[u8]) -> Result<(Map<String, Value>, Summary), MessageError> {
    let (decoded, verdict) = decode(body, row.four_octet_as)?;
    let block = Update::split(body)?.attributes;
    let present: Vec<u8> = RawAttributes::new(block).map(|attribute| attribute.code).collect();
    let mut facts = update_facts(&decoded, &present);
    unmerged_facts(block, row.four_octet_as, &mut facts);
    facts.insert("attribute_types".into(), json!(present));

    let (again, second) = decode(&encode(&decoded, &present), true)?;
    assert_eq!(again, decoded, "{}: encoded and decoded again", row.name);
    if verdict.outcome == Outcome::Accept {
        assert_eq!((second.outcome, second.canonical), (Outcome::Accept, None), "{}", row.name);
    }
    Ok((facts, verdict))
}

/// What the vectors say of a row, in the words of this codec.
fn expected_facts(row: &Row) -> Map<String, Value> {
    let mut expect = row.expect.clone().expect("a row with facts");
    for (name, prefixes) in [("mp_reach", "nlri"), ("mp_unreach", "withdrawn")] {
        let Some(part) = expect.get_mut(name).and_then(Value::as_object_mut) else { continue };
        let unicast = (part["afi"] == 1 || part["afi"] == 2) && part["safi"] == 1;
        if name == "mp_reach" && !unicast {
            part.insert("next_hops".into(), Value::Null);
        }
        // Families that look like unicast are opaque all the same.
        if let Some(list) = part.get(prefixes).filter(|_| !unicast).and_then(Value::as_array) {
            let mut octets = Vec::new();
            let list = list.iter().filter_map(Value::as_str).map(|it| it.parse().expect("a prefix"));
            list.for_each(|prefix| nlri::encode(prefix, &mut octets));
            part.remove(prefixes);
            part.insert(format!("{prefixes}_hex"), json!(hex(&octets)));
        }
    }
    for attribute in expect.get_mut("other_attributes").and_then(Value::as_array_mut).into_iter().flatten() {
        let flags = attribute["flags"].as_u64().expect("flags") & !u64::from(flag::EXTENDED_LENGTH);
        attribute["flags"] = json!(flags);
    }
    for capability in expect.get_mut("capabilities").and_then(Value::as_array_mut).into_iter().flatten() {
        if capability["code"] == 64 {
            // The reserved bits of graceful restart are sent as zero.
            let mut octets = unhex(capability["hex"].as_str().expect("octets"));
            octets[0] &= 0xCF;
            octets[2..].chunks_mut(4).for_each(|family| family[3] &= 0x80);
            capability["hex"] = json!(hex(&octets));
        }
    }
    if expect["type"] == "UPDATE" && !expect.contains_key("attribute_types") {
        expect.insert("attribute_types".into(), json!([]));
    }
    expect
}

/// Whether a row is about another family than those whose NLRI we read.
fn is_opaque(row: &Row) -> bool {
    let parts = ["mp_reach", "mp_unreach"].into_iter().filter_map(|name| row.expect.as_ref()?.get(name));
    parts.into_iter().any(|part| part["safi"] != 1 || (part["afi"] != 1 && part["afi"] != 2))
}

#[test]
fn messages_say_what_others_read_in_them() {
    let Some(rows) = rows() else { return };
    let (mut unicast, mut opaque, mut refused) = (0, 0, Vec::new());
    for row in rows.iter().filter(|row| row.expect.is_some() && !row.add_path) {
        let (facts, verdict) = facts(row).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let mut expected = expected_facts(row);
        if row.name == FOUR_OCTETS_FOR_IPV6 {
            expected["mp_reach"]["next_hops"] = Value::Null;
        }
        assert_eq!(facts, expected, "{}", row.name);
        if let Some(fault) = verdict.and_then(|verdict| verdict.fault) {
            refused.push((row.name.as_str(), fault_name(fault)));
        }
        *if is_opaque(row) { &mut opaque } else { &mut unicast } += 1;
    }
    let add_path = rows.iter().filter(|row| row.add_path).count();
    let errors = rows.iter().filter(|row| row.expect_error).count();
    let neither = rows.iter().filter(|row| row.expect.is_none() && !row.expect_error).count();
    loudly!(
        "{} rows: {unicast} decode, {opaque} of other families are kept as they are, {errors} are errors; \
         not looked at: {add_path} with path ids, {neither} without facts",
        rows.len()
    );
    assert_eq!((unicast, opaque, errors, add_path, neither), (818, 322, 45, 20, 7));
    let expected: Vec<_> = REFUSED.iter().map(|&(name, fault)| (name, fault.to_owned())).collect();
    assert_eq!(refused, expected);
}

#[test]
fn what_is_wrong_has_a_name() {
    let Some(rows) = rows() else { return };
    let found: Vec<_> =
        rows.iter().filter(|row| row.expect_error).map(|row| (row.name.as_str(), outcome(row))).collect();
    let expected: Vec<_> = MALFORMED.iter().map(|&(name, outcome)| (name, outcome.to_owned())).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 45);
    // One more row is the capture of a real incident, with the NOTIFICATION that it deserves.
    let incident = rows.iter().find_map(|row| row.notification.map(|notification| (row, notification)));
    let (row, notification) = incident.expect("an UPDATE whose NLRI end inside a prefix");
    let sent = facts(row).expect_err("a malformed message").notification();
    assert_eq!((u64::from(sent.code), u64::from(sent.subcode)), notification);
}

/// What a fault does to the UPDATE, the attribute, and why.
fn fault_name(fault: AttributeFault) -> String {
    format!("{:?}({}, {:?})", fault.outcome, attr::name(fault.code).unwrap_or("unknown"), fault.reason)
}

/// The name of what is wrong with a row: a [`MessageError`], a fault of an attribute, or a next hop that its
/// family does not allow. `Opaque`: it takes the rules of a family we do not read to see it.
fn outcome(row: &Row) -> String {
    let update = |body| -> Result<String, MessageError> {
        let update = Update::split(body)?;
        let split = attr::split(update.attributes)?;
        let mut opaque = false;
        if let Some(reach) = split.mp_reach {
            let unicast = matches!(reach.family, Family::IPV4_UNICAST | Family::IPV6_UNICAST);
            if unicast && reach.unicast_next_hop().is_none() {
                return Ok(format!("NextHop({} octets)", reach.next_hop.len()));
            }
            opaque = !unicast;
        }
        let (_, summary) = decode(body, row.four_octet_as)?;
        Ok(match summary.fault {
            Some(fault) => fault_name(fault),
            None if opaque => "Opaque".into(),
            None => "Accept".into(),
        })
    };
    let outcome = whole(&row.octets).and_then(|frame| match frame.kind {
        MessageKind::Update => update(frame.body),
        MessageKind::Open => Open::decode(frame.body).map(|open| {
            let unknown = |it: &Capability| matches!(it, Capability::Unknown { .. });
            (if open.capabilities.iter().any(unknown) { "Opaque" } else { "Accept" }).into()
        }),
        _ => Ok("Accept".into()),
    });
    outcome.unwrap_or_else(|error| {
        let name = format!("{error:?}");
        name.split('(').next().unwrap_or_default().into()
    })
}
