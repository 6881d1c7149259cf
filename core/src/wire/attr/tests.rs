//! The table, row by row: one malformed attribute has the outcome of its row, never more (invariant 11);
//! then everything that depends on more than one attribute.

extern crate std;

use alloc::borrow::Cow;
use std::{format, string::ToString as _, vec, vec::Vec};

use proptest::prelude::*;

use super::{
    super::{
        Asn, Community, ExtendedCommunity, Family, LargeCommunity, MessageError, NextHop, Origin, RouterId,
        SessionKind,
    },
    *,
};
use FaultReason::{Duplicate, Flags, Length, Missing, NotFromThisPeer, Truncated, Value};
use Outcome::{Accept, AttributeDiscard as Discard, TreatAsWithdraw as Withdraw};
use SessionKind::{External, Internal};

const fn session(four_octet_as: bool, kind: SessionKind) -> AttributeContext {
    AttributeContext { four_octet_as, kind }
}

const SESSIONS: [AttributeContext; 4] =
    [session(true, Internal), session(true, External), session(false, Internal), session(false, External)];

/// What the RFCs say of one attribute, apart from the table in the code.
struct Expected {
    code: u8,
    flags: u8,
    malformed: Outcome,
    /// A good value with four-octet and with two-octet AS numbers.
    good: (&'static [u8], &'static [u8]),
    bad_lengths: &'static [usize],
    bad_values: &'static [&'static [u8]],
}

const EXPECTED: &[Expected] = &[
    Expected {
        code: code::ORIGIN,
        flags: 0x40,
        malformed: Withdraw,
        good: (&[1], &[1]),
        bad_lengths: &[0, 2],
        bad_values: &[&[3], &[255]],
    },
    Expected {
        code: code::AS_PATH,
        flags: 0x40,
        malformed: Withdraw,
        good: (&[2, 1, 0, 0, 0xFD, 0xE9], &[2, 1, 0xFD, 0xE9]),
        bad_lengths: &[],
        bad_values: &[
            &[2],
            &[2, 0],
            &[2, 1, 0],
            &[2, 9, 0, 0, 0, 1],
            &[0, 1, 0, 0, 0, 1],
            &[5, 1, 0, 0, 0, 1],
            &[2, 1, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 1, 7],
        ],
    },
    Expected {
        code: code::NEXT_HOP,
        flags: 0x40,
        malformed: Withdraw,
        good: (&[192, 0, 2, 1], &[192, 0, 2, 1]),
        bad_lengths: &[0, 3, 5, 16],
        bad_values: &[&[0, 0, 0, 0], &[224, 0, 0, 5], &[240, 0, 0, 1], &[255; 4]],
    },
    Expected {
        code: code::MULTI_EXIT_DISC,
        flags: 0x80,
        malformed: Withdraw,
        good: (&[0, 0, 0, 5], &[0, 0, 0, 5]),
        bad_lengths: &[0, 3, 5],
        bad_values: &[],
    },
    Expected {
        code: code::LOCAL_PREF,
        flags: 0x40,
        malformed: Withdraw,
        good: (&[0, 0, 0, 100], &[0, 0, 0, 100]),
        bad_lengths: &[0, 3, 5],
        bad_values: &[],
    },
    Expected {
        code: code::ATOMIC_AGGREGATE,
        flags: 0x40,
        malformed: Discard,
        good: (&[], &[]),
        bad_lengths: &[1],
        bad_values: &[],
    },
    Expected {
        code: code::AGGREGATOR,
        flags: 0xC0,
        malformed: Discard,
        good: (&[0, 0, 0xFD, 0xE9, 10, 0, 0, 1], &[0xFD, 0xE9, 10, 0, 0, 1]),
        bad_lengths: &[0, 5, 7, 9],
        bad_values: &[],
    },
    Expected {
        code: code::COMMUNITIES,
        flags: 0xC0,
        malformed: Withdraw,
        good: (&[0xFF, 0xFF, 0xFF, 0x02], &[0xFF, 0xFF, 0xFF, 0x02]),
        bad_lengths: &[0, 3, 5],
        bad_values: &[],
    },
    Expected {
        code: code::ORIGINATOR_ID,
        flags: 0x80,
        malformed: Withdraw,
        good: (&[10, 0, 0, 9], &[10, 0, 0, 9]),
        bad_lengths: &[0, 3, 5],
        bad_values: &[],
    },
    Expected {
        code: code::CLUSTER_LIST,
        flags: 0x80,
        malformed: Withdraw,
        good: (&[10, 0, 0, 8, 10, 0, 0, 7], &[10, 0, 0, 8, 10, 0, 0, 7]),
        bad_lengths: &[0, 3, 5],
        bad_values: &[],
    },
    Expected {
        code: code::EXTENDED_COMMUNITIES,
        flags: 0xC0,
        malformed: Withdraw,
        good: (&[0; 8], &[0; 8]),
        bad_lengths: &[0, 7, 9],
        bad_values: &[],
    },
    Expected {
        code: code::AS4_PATH,
        flags: 0xC0,
        malformed: Discard,
        good: (&[2, 1, 0, 1, 0x11, 0x70], &[2, 1, 0, 1, 0x11, 0x70]),
        bad_lengths: &[],
        bad_values: &[&[], &[2, 0], &[2, 1, 0, 0], &[9, 1, 0, 0, 0, 1], &[2, 1, 0, 0, 0, 0]],
    },
    Expected {
        code: code::AS4_AGGREGATOR,
        flags: 0xC0,
        malformed: Discard,
        good: (&[0, 1, 0x11, 0x70, 10, 0, 0, 1], &[0, 1, 0x11, 0x70, 10, 0, 0, 1]),
        bad_lengths: &[0, 6, 7, 9],
        bad_values: &[&[0, 0, 0, 0, 10, 0, 0, 1]],
    },
    Expected {
        code: code::LARGE_COMMUNITIES,
        flags: 0xC0,
        malformed: Withdraw,
        good: (&[1; 12], &[1; 12]),
        bad_lengths: &[0, 8, 11, 13],
        bad_values: &[],
    },
];

impl Expected {
    fn good(&self, context: AttributeContext) -> &'static [u8] {
        if context.four_octet_as { self.good.0 } else { self.good.1 }
    }

    fn is_taken(&self, context: AttributeContext) -> bool {
        match self.code {
            code::LOCAL_PREF | code::ORIGINATOR_ID | code::CLUSTER_LIST => context.kind == Internal,
            code::AS4_PATH | code::AS4_AGGREGATOR => !context.four_octet_as,
            _ => true,
        }
    }
}

/// A block with every attribute that this session takes, the one at `code` written differently.
fn block(context: AttributeContext, code: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in EXPECTED {
        if row.code == code {
            write(flags, code, value, &mut out);
        } else if row.is_taken(context) {
            write(row.flags, row.code, row.good(context), &mut out);
        }
    }
    out
}

/// The attribute at `code` gives this fault, and all that comes after it is still read.
#[track_caller]
fn one_fault(context: AttributeContext, block: &[u8], code: u8, outcome: Outcome, reason: FaultReason) {
    let summary = parse(block, context, true, true);
    let what = format!("{:?} {context:?} {block:02x?}", name(code));
    assert_eq!(summary.fault, Some(AttributeFault { code, outcome, reason }), "{what}");
    assert_eq!(summary.outcome, outcome, "{what}");
    let canonical = summary.canonical.as_deref().expect("something was dropped");
    let left: Vec<u8> = RawAttributes::new(canonical).map(|attribute| attribute.code).collect();
    let expected: Vec<u8> = EXPECTED
        .iter()
        .filter(|row| row.is_taken(context) && (row.code != code || reason == Duplicate))
        .map(|row| row.code)
        .filter(|code| !matches!(*code, code::AS4_PATH | code::AS4_AGGREGATOR))
        .collect();
    assert_eq!(left, expected, "{what}");
    // What is left is good, but for what is now missing.
    let again = parse(canonical, session(true, context.kind), false, false);
    assert_eq!((again.outcome, &again.canonical), (Accept, &None), "{what}");
}

#[test]
fn the_table_has_every_code_once_and_in_order() {
    assert!(table::TABLE.is_sorted_by(|a, b| a.code < b.code));
    let expected: Vec<u8> = EXPECTED.iter().map(|row| row.code).collect();
    let multiprotocol = [code::MP_REACH_NLRI, code::MP_UNREACH_NLRI];
    let table = table::TABLE.iter().filter(|row| !multiprotocol.contains(&row.code));
    assert!(table.clone().map(|row| row.code).eq(expected));
    for (row, expected) in table.zip(EXPECTED) {
        assert_eq!((row.flags, row.malformed), (expected.flags, expected.malformed), "{}", row.name);
    }
    assert_eq!(name(code::MULTI_EXIT_DISC), Some("MULTI_EXIT_DISC"));
    assert_eq!(name(99), None);
}

#[test]
fn a_good_block_is_taken_as_it_is() {
    for context in SESSIONS {
        let summary = parse(&block(context, 0, 0, &[]), context, true, true);
        assert_eq!((summary.outcome, summary.fault), (Accept, None), "{context:?}");
        assert_eq!(summary.canonical.is_none(), context.four_octet_as);
        let internal = context.kind == Internal;
        let expected = Summary {
            canonical: summary.canonical.clone(),
            origin: Origin::Egp,
            as_path_len: 1,
            // AGGREGATOR was not AS_TRANS, so AS4_PATH is not looked at.
            first_as: Some(Asn(65001)),
            origin_as: Some(Asn(65001)),
            next_hop: Some([192, 0, 2, 1].into()),
            med: Some(5),
            local_pref: internal.then_some(100),
            originator_id: internal.then_some(RouterId(0x0A00_0009)),
            cluster_list_len: if internal { 2 } else { 0 },
            no_export: false,
            no_advertise: true,
            ..Summary::default()
        };
        assert_eq!(summary, expected);
    }
}

#[test]
fn one_malformed_attribute_has_the_outcome_of_its_row() {
    for (context, row) in
        SESSIONS.into_iter().flat_map(|context| EXPECTED.iter().map(move |row| (context, row)))
    {
        let Expected { code, flags, malformed, .. } = *row;
        if !row.is_taken(context) {
            // However it looks.
            for (flags, value) in [(flags, row.good(context)), (flags ^ 0x80, &[][..]), (flags, &[1, 2, 3])] {
                one_fault(context, &block(context, code, flags, value), code, Discard, NotFromThisPeer);
            }
            continue;
        }
        for wrong in [flag::OPTIONAL, flag::TRANSITIVE, flag::OPTIONAL | flag::TRANSITIVE] {
            let block = block(context, code, flags ^ wrong, row.good(context));
            one_fault(context, &block, code, Outcome::TreatAsWithdraw, Flags);
        }
        for &len in row.bad_lengths {
            one_fault(context, &block(context, code, flags, &vec![1; len]), code, malformed, Length);
        }
        for value in row.bad_values {
            one_fault(context, &block(context, code, flags, value), code, malformed, Value);
        }
    }
}

#[test]
fn the_partial_bit_and_a_long_length_are_no_fault() {
    let context = session(true, Internal);
    for row in EXPECTED.iter().filter(|row| row.is_taken(context)) {
        let block = block(context, row.code, row.flags | flag::PARTIAL, row.good(context));
        assert_eq!(parse(&block, context, true, true).outcome, Accept);
    }
    let summary = parse(&[0x50, 1, 0, 1, 2], context, false, false);
    assert_eq!((summary.outcome, summary.origin, summary.canonical), (Accept, Origin::Incomplete, None));
}

#[test]
fn the_width_of_as_numbers_decides_what_an_aggregator_is() {
    let value = [0, 0, 0xFD, 0xE9, 10, 0, 0, 1];
    for (four_octet_as, value, reason) in [
        (true, &value[2..], Length),
        (false, &value[..], Length),
        (true, &[0, 0, 0, 0, 10, 0, 0, 1][..], Value),
        (false, &[0, 0, 10, 0, 0, 1][..], Value),
    ] {
        let context = session(four_octet_as, Internal);
        let block = block(context, code::AGGREGATOR, 0xC0, value);
        one_fault(context, &block, code::AGGREGATOR, Discard, reason);
    }
}

#[test]
fn confederation_segments_are_for_internal_peers() {
    let value = [3, 1, 0, 0, 0, 7, 2, 1, 0, 0, 0, 1];
    let external = session(true, External);
    one_fault(external, &block(external, code::AS_PATH, 0x40, &value), code::AS_PATH, Withdraw, Value);
    let internal = session(true, Internal);
    let summary = parse(&block(internal, code::AS_PATH, 0x40, &value), internal, true, true);
    assert_eq!((summary.outcome, summary.as_path_len, summary.first_as), (Accept, 1, Some(Asn(1))));
}

#[test]
fn of_duplicates_the_first_counts() {
    for context in SESSIONS {
        for row in EXPECTED.iter().filter(|row| row.is_taken(context)) {
            let mut block = block(context, 0, 0, &[]);
            write(row.flags, row.code, row.good(context), &mut block);
            one_fault(context, &block, row.code, Discard, Duplicate);
        }
    }
    let mut block = block(SESSIONS[0], 0, 0, &[]);
    for value in [1, 2] {
        write(0xC0, 99, &[value], &mut block);
    }
    let summary = parse(&block, SESSIONS[0], true, true);
    assert_eq!(summary.fault, Some(AttributeFault { code: 99, outcome: Discard, reason: Duplicate }));
    assert!(summary.canonical.unwrap().ends_with(&[0xC0, 99, 1, 1]));
}

#[test]
fn mandatory_attributes_are_missed_where_routes_are_announced() {
    for context in SESSIONS {
        for missing in [code::ORIGIN, code::AS_PATH, code::NEXT_HOP, code::LOCAL_PREF] {
            let mut block = Vec::new();
            for row in EXPECTED.iter().filter(|row| row.is_taken(context) && row.code != missing) {
                write(row.flags, row.code, row.good(context), &mut block);
            }
            for (reachable, needs_next_hop) in [(true, true), (true, false), (false, false)] {
                let expected = match missing {
                    code::NEXT_HOP => reachable && needs_next_hop,
                    code::LOCAL_PREF => reachable && context.kind == Internal,
                    _ => reachable,
                };
                let fault = AttributeFault { code: missing, outcome: Withdraw, reason: Missing };
                let summary = parse(&block, context, reachable, needs_next_hop);
                assert_eq!(summary.fault, expected.then_some(fault), "{context:?} {missing}");
            }
        }
    }
}

#[test]
fn a_malformed_attribute_is_not_missing_too() {
    let summary = parse(&[0x40, 1, 1, 9, 0x40, 2, 0], session(true, External), true, false);
    assert_eq!(summary.fault, Some(AttributeFault { code: 1, outcome: Withdraw, reason: Value }));
}

#[test]
fn the_first_of_the_worst_faults_is_told() {
    // ATOMIC_AGGREGATE with a value, then an ORIGIN and a MED that are malformed.
    let block = [0x40, 6, 1, 0, 0x40, 1, 1, 9, 0x80, 4, 0];
    let summary = parse(&block, session(true, External), false, false);
    assert_eq!(summary.fault, Some(AttributeFault { code: 1, outcome: Withdraw, reason: Value }));
    assert_eq!(summary.canonical.as_deref(), Some(&[][..]));
}

#[test]
fn unknown_attributes_are_kept_if_they_are_optional() {
    let context = session(true, External);
    for (flags, outcome) in [(0xC0, Accept), (0x80, Accept), (0xE0, Accept), (0x40, Withdraw), (0, Withdraw)]
    {
        let mut block = block(context, 0, 0, &[]);
        write(flags, 99, &[1, 2, 3], &mut block);
        let summary = parse(&block, context, true, true);
        assert_eq!(summary.outcome, outcome, "{flags:#x}");
        assert_eq!(summary.canonical.is_none(), outcome == Accept);
    }
}

#[test]
fn a_length_past_the_block_withdraws() {
    let good = block(session(true, External), 0, 0, &[]);
    for (tail, code) in [(&[0x40][..], 0), (&[0x80, 4], 4), (&[0x80, 4, 4, 0], 4), (&[0xD0, 99, 0], 99)] {
        let block = [&good, tail].concat();
        let summary = parse(&block, session(true, External), true, true);
        assert_eq!(summary.fault, Some(AttributeFault { code, outcome: Withdraw, reason: Truncated }));
        assert_eq!(summary.canonical.as_ref(), Some(&good));
        let split = split(&block).unwrap();
        assert!(split.truncated);
        assert_eq!(split.rest, Cow::Borrowed(&good));
    }
}

const REACH: &[u8] = &[0x80, 14, 9, 0, 1, 1, 4, 192, 0, 2, 1, 0];
const UNREACH: &[u8] = &[0x80, 15, 3, 0, 2, 1];

#[test]
fn split_takes_the_multiprotocol_attributes_out() {
    let (origin, med) = ([0x40, 1, 1, 0], [0x80, 4, 4, 0, 0, 0, 1]);
    let reach = MpReach { family: Family::IPV4_UNICAST, next_hop: &[192, 0, 2, 1], nlri: &[] };
    let unreach = MpUnreach { family: Family::IPV6_UNICAST, withdrawn: &[] };
    let rest = [&origin[..], &med].concat();
    // The parts in wire order, and whether what is left is one piece.
    for (parts, one_piece) in [
        (vec![&origin[..], &med], true),
        (vec![REACH, &origin, &med], true),
        (vec![&origin, &med, REACH], true),
        (vec![UNREACH, &origin, &med, REACH], true),
        (vec![&origin, REACH, &med], false),
        (vec![&origin, UNREACH, REACH, &med], false),
    ] {
        let block = parts.concat();
        let split = split(&block).unwrap();
        assert_eq!(*split.rest, *rest, "{parts:?}");
        assert_eq!(matches!(split.rest, Cow::Borrowed(_)), one_piece);
        assert_eq!(split.mp_reach, parts.contains(&REACH).then_some(reach));
        assert_eq!(split.mp_unreach, parts.contains(&UNREACH).then_some(unreach));
        assert!(!split.truncated);
    }
}

#[test]
fn multiprotocol_attributes_that_cannot_be_trusted_end_the_session() {
    for twice in [REACH, UNREACH] {
        assert_eq!(split(&[twice, twice].concat()), Err(MessageError::MalformedAttributeList));
    }
    for short in [
        &[0x80, 14, 0][..],
        &[0x80, 14, 4, 0, 1, 1, 0],
        &[0x80, 14, 9, 0, 1, 1, 16, 192, 0, 2, 1, 0],
        &[0x80, 15, 2, 0, 1],
        // Its own length runs past the block.
        &[0x80, 14, 200, 0, 1, 1, 4],
        &[0x80, 15],
    ] {
        let block = [&[0x40, 1, 1, 0], short].concat();
        assert_eq!(split(&block), Err(MessageError::OptionalAttribute(short.to_vec())));
    }
    let mut wrong_flags = REACH.to_vec();
    wrong_flags[0] = 0xC0;
    let split = split(&wrong_flags).unwrap();
    assert!(split.truncated && split.mp_reach.is_some());
}

#[test]
fn unicast_next_hops_have_the_lengths_of_their_family() {
    for (family, lengths) in [
        (Family::IPV4_UNICAST, &[4, 16, 32][..]),
        (Family::IPV6_UNICAST, &[16, 32]),
        (Family::new(1, 128), &[]),
    ] {
        for len in 0..=48 {
            let octets = vec![1; len];
            let reach = MpReach { family, next_hop: &octets, nlri: &[] };
            assert_eq!(reach.unicast_next_hop().is_some(), lengths.contains(&len), "{family} {len}");
        }
    }
    let octets: Vec<u8> = (0..32).collect();
    let reach = MpReach { family: Family::IPV4_UNICAST, next_hop: &octets, nlri: &[] };
    let Some(NextHop::V6WithLinkLocal { global, link_local }) = reach.unicast_next_hop() else { panic!() };
    assert_eq!(
        (global.octets().to_vec(), link_local.octets().to_vec()),
        (octets[..16].into(), octets[16..].into())
    );
}

type Segments<'a> = &'a [(SegmentKind, &'a [u32])];

fn path(segments: Segments<'_>) -> AsPath {
    let segment = |(kind, asns): &(SegmentKind, &[u32])| Segment {
        kind: *kind,
        asns: asns.iter().copied().map(Asn).collect(),
    };
    AsPath { segments: segments.iter().map(segment).collect() }
}

use SegmentKind::{ConfedSequence, ConfedSet, Sequence, Set};

#[test]
fn a_path_displays_as_operators_write_it() {
    let text = |segments: Segments<'_>| path(segments).to_string();
    assert_eq!(
        text(&[(Sequence, &[65010, 65001]), (Set, &[1, 2]), (ConfedSequence, &[3, 4])]),
        "65010 65001 {1,2} (3 4)"
    );
    assert_eq!(text(&[(ConfedSet, &[5, 6]), (Sequence, &[1])]), "[5,6] 1");
    assert_eq!(text(&[]), "");
}

#[test]
fn a_long_segment_becomes_several() {
    let long = AsPath::sequence((1..=600).map(Asn));
    let mut value = Vec::new();
    long.encode(&mut value);
    let decoded = AsPath::decode(&value, true).unwrap();
    let lengths: Vec<_> = decoded.segments.iter().map(|segment| segment.asns.len()).collect();
    assert_eq!((lengths, decoded.length()), (vec![255, 255, 90], 600));
}

/// What a session with two-octet numbers makes of these; `None`: the attribute is not there.
fn merged(
    as_path: &AsPath,
    as4_path: Option<&AsPath>,
    aggregators: (Option<u16>, Option<u32>),
) -> PathAttributes {
    let mut block = vec![0x40, 1, 1, 0];
    let mut value = Vec::new();
    for segment in &as_path.segments {
        value.extend([segment.kind as u8, u8::try_from(segment.asns.len()).unwrap()]);
        value.extend(segment.asns.iter().flat_map(|asn| asn.as_u16_or_trans().to_be_bytes()));
    }
    write(0x40, code::AS_PATH, &value, &mut block);
    if let Some(asn) = aggregators.0 {
        write(0xC0, code::AGGREGATOR, &[&asn.to_be_bytes()[..], &[10, 0, 0, 1]].concat(), &mut block);
    }
    if let Some(as4_path) = as4_path {
        value.clear();
        as4_path.encode(&mut value);
        write(0xC0, code::AS4_PATH, &value, &mut block);
    }
    if let Some(asn) = aggregators.1 {
        write(0xC0, code::AS4_AGGREGATOR, &[&asn.to_be_bytes()[..], &[10, 0, 0, 2]].concat(), &mut block);
    }
    let summary = parse(&block, session(false, Internal), false, false);
    assert_eq!(summary.fault, None);
    let canonical = summary.canonical.unwrap();
    let again = parse(&canonical, session(true, Internal), false, false);
    assert_eq!(again, Summary { canonical: None, ..again.clone() });
    assert_eq!((summary.as_path_len, summary.first_as), (again.as_path_len, again.first_as));
    assert_eq!(summary.origin_as, again.origin_as);
    PathAttributes::decode(&canonical)
}

#[test]
fn as4_path_replaces_the_tail_of_as_path() {
    const TRANS: u32 = 23456;
    let cases: &[(Segments<'_>, Segments<'_>, &str)] = &[
        // All of it, and a part of it.
        (&[(Sequence, &[TRANS, TRANS])], &[(Sequence, &[70000, 70001])], "70000 70001"),
        (&[(Sequence, &[1, 2, TRANS, 4])], &[(Sequence, &[70000, 4])], "1 2 70000 4"),
        // One that is longer is about another path.
        (&[(Sequence, &[1, TRANS])], &[(Sequence, &[2, 3, 70000])], "1 23456"),
        // A set counts as one, on either side.
        (
            &[(Sequence, &[1, TRANS]), (Set, &[5, 6])],
            &[(Sequence, &[70000]), (Set, &[5, 6])],
            "1 70000 {5,6}",
        ),
        (&[(Set, &[8, 9]), (Sequence, &[TRANS])], &[(Sequence, &[70000])], "{8,9} 70000"),
        (&[(Set, &[8, 9]), (Sequence, &[1, TRANS])], &[(Sequence, &[70000])], "{8,9} 1 70000"),
        // Confederation segments that lead or are next to what is taken are taken too.
        (&[(ConfedSequence, &[7]), (Sequence, &[TRANS])], &[(Sequence, &[70000])], "(7) 70000"),
        (
            &[(ConfedSequence, &[7]), (Sequence, &[1]), (ConfedSet, &[8]), (Sequence, &[TRANS])],
            &[(Sequence, &[70000])],
            "(7) 1 [8] 70000",
        ),
        (
            &[(Sequence, &[1, TRANS]), (ConfedSequence, &[8]), (Sequence, &[TRANS])],
            &[(Sequence, &[70000, 70001])],
            "1 70000 70001",
        ),
        // Those in AS4_PATH are not (RFC 6793 §6).
        (&[(Sequence, &[1, TRANS])], &[(ConfedSequence, &[9]), (Sequence, &[70000])], "1 70000"),
        (&[(Sequence, &[1, 2])], &[(ConfedSequence, &[9])], "1 2"),
    ];
    for (as_path, as4_path, expected) in cases {
        let attributes = merged(&path(as_path), Some(&path(as4_path)), (None, None));
        assert_eq!(attributes.as_path.to_string(), *expected);
        assert_eq!(attributes.other, []);
    }
}

#[test]
fn the_aggregator_tells_whether_the_as4_attributes_count() {
    let (as_path, as4_path) = (path(&[(Sequence, &[1, 23456])]), path(&[(Sequence, &[70000])]));
    for (aggregators, path, asn, id) in [
        ((Some(23456), Some(70000)), "1 70000", 70000, 2),
        ((Some(23456), None), "1 70000", 23456, 1),
        ((Some(65001), Some(70000)), "1 23456", 65001, 1),
        ((Some(65001), None), "1 70000", 65001, 1),
    ] {
        let attributes = merged(&as_path, Some(&as4_path), aggregators);
        let aggregator = Aggregator { asn: Asn(asn), router_id: RouterId(0x0A00_0000 | id) };
        assert_eq!(attributes.aggregator, Some(aggregator), "{aggregators:?}");
        assert_eq!(attributes.as_path.to_string(), path, "{aggregators:?}");
    }
    assert_eq!(merged(&as_path, Some(&as4_path), (None, Some(70000))).aggregator, None);
}

#[test]
fn a_path_too_wide_for_an_attribute_withdraws() {
    let mut value = Vec::new();
    for _ in 0..120 {
        value.extend([2, 255]);
        value.extend([1; 510]);
    }
    let mut block = Vec::new();
    write(0x40, code::AS_PATH, &value, &mut block);
    let summary = parse(&block, session(false, External), false, false);
    assert_eq!(summary.fault, Some(AttributeFault { code: 2, outcome: Withdraw, reason: Length }));
}

#[test]
fn loops_are_found_in_the_block() {
    let mut block = Vec::new();
    let as_path = path(&[(ConfedSequence, &[64512]), (Sequence, &[1, 2]), (Set, &[70000])]);
    let cluster_list = vec![RouterId(1), RouterId(2)];
    PathAttributes { as_path, cluster_list, ..PathAttributes::default() }.encode(&mut block);
    for asn in [64512, 1, 2, 70000] {
        assert!(as_path_contains(&block, Asn(asn)));
    }
    assert!(!as_path_contains(&block, Asn(3)) && !as_path_contains(&[], Asn(3)));
    assert!(cluster_list_contains(&block, RouterId(2)) && !cluster_list_contains(&block, RouterId(3)));
    assert!(!cluster_list_contains(&[], RouterId(2)));
}

#[test]
fn the_first_and_last_as_are_those_of_sequences() {
    for (segments, length, first, origin) in [
        (&[][..], 0, None, None),
        (&[(Sequence, &[1, 2, 3][..])][..], 3, Some(1), Some(3)),
        (&[(ConfedSequence, &[9]), (Sequence, &[1, 2])], 2, Some(1), Some(2)),
        (&[(Set, &[4, 5]), (Sequence, &[1])], 2, None, Some(1)),
        (&[(Sequence, &[1]), (Set, &[4, 5])], 2, Some(1), None),
        (&[(ConfedSet, &[4, 5])], 0, None, None),
    ] {
        let mut block = Vec::new();
        PathAttributes { as_path: path(segments), ..PathAttributes::default() }.encode(&mut block);
        let summary = parse(&block, session(true, Internal), false, false);
        assert_eq!(summary.as_path_len, length);
        assert_eq!((summary.first_as, summary.origin_as), (first.map(Asn), origin.map(Asn)));
    }
}

#[test]
fn well_known_communities_are_seen() {
    for (community, no_export, no_advertise) in [
        (Community::NO_EXPORT, true, false),
        (Community::NO_EXPORT_SUBCONFED, true, false),
        (Community::NO_ADVERTISE, false, true),
        (Community::BLACKHOLE, false, false),
    ] {
        let mut block = Vec::new();
        let communities = vec![Community::new(1, 2), community];
        PathAttributes { communities, ..PathAttributes::default() }.encode(&mut block);
        let summary = parse(&block, session(true, External), false, false);
        assert_eq!((summary.no_export, summary.no_advertise), (no_export, no_advertise));
    }
}

#[test]
fn a_large_community_is_there_once() {
    let large = |local2| LargeCommunity { global: 1, local1: 2, local2 };
    for (count, again) in [(3, vec![1]), (3, vec![]), (100, vec![7, 99, 7]), (100, vec![])] {
        let (mut block, mut value) = (Vec::new(), Vec::new());
        for local2 in (0..count).chain(again.clone()) {
            value.extend([1, 2, local2].into_iter().flat_map(u32::to_be_bytes));
        }
        write(0xC0, code::LARGE_COMMUNITIES, &value, &mut block);
        for context in SESSIONS {
            let summary = parse(&block, context, false, false);
            assert_eq!(summary.fault, None);
            assert_eq!(summary.canonical.is_none(), again.is_empty() && context.four_octet_as);
            let canonical = summary.canonical.as_deref().unwrap_or(&block);
            let expected: Vec<_> = (0..count).map(large).collect();
            assert_eq!(PathAttributes::decode(canonical).large_communities, expected);
            assert_eq!(canonical.len(), 12 * expected.len() + if count == 3 { 3 } else { 4 });
        }
        let twice =
            PathAttributes { large_communities: vec![large(1), large(1)], ..PathAttributes::default() };
        let mut out = Vec::new();
        twice.encode(&mut out);
        assert_eq!(PathAttributes::decode(&out).large_communities, [large(1)]);
    }
}

#[test]
fn every_row_says_how_it_is_sent_on() {
    use Propagation::{Always, Never, Partial, Rewritten};
    for (code, flags, expected) in [
        (code::ORIGIN, 0x40, Always),
        (code::AS_PATH, 0x40, Rewritten),
        (code::NEXT_HOP, 0x40, Rewritten),
        (code::MULTI_EXIT_DISC, 0x80, Propagation::Internal),
        (code::LOCAL_PREF, 0x40, Propagation::Internal),
        (code::COMMUNITIES, 0xC0, Always),
        (code::CLUSTER_LIST, 0x80, Propagation::Internal),
        (code::AS4_PATH, 0xC0, Never),
        (99, 0xC0, Partial),
        (99, 0x80, Never),
        (99, 0x40, Never),
    ] {
        assert_eq!(propagation(code, flags), expected, "{code}");
    }
}

fn as_path() -> impl Strategy<Value = AsPath> {
    let kind = prop_oneof![Just(Set), Just(Sequence), Just(ConfedSequence), Just(ConfedSet)];
    let asns = prop::collection::vec(any::<u32>().prop_map(Asn), 1..8);
    let segment = (kind, asns).prop_map(|(kind, asns)| Segment { kind, asns });
    prop::collection::vec(segment, 0..5).prop_map(|segments| AsPath { segments })
}

prop_compose! {
    fn attributes()(
        origin in prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)],
        as_path in as_path(),
        (med, local_pref, originator_id, aggregator) in any::<(Option<u32>, Option<u32>, Option<u32>, Option<(u32, u32)>)>(),
        atomic_aggregate in any::<bool>(),
        communities in prop::collection::vec(any::<u32>().prop_map(Community), 0..100),
        extended_communities in prop::collection::vec(any::<[u8; 8]>().prop_map(ExtendedCommunity), 0..40),
        large_communities in prop::collection::vec(any::<(u32, u32, u32)>(), 0..30),
        cluster_list in prop::collection::vec(any::<u32>().prop_map(RouterId), 0..5),
        other in prop::collection::btree_map(any::<u8>(), (any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..4),
    ) -> PathAttributes {
        let large = |(global, local1, local2)| LargeCommunity { global, local1, local2 };
        let other = other.into_iter().filter(|(code, _)| name(*code).is_none());
        PathAttributes {
            origin,
            as_path,
            med,
            local_pref,
            atomic_aggregate,
            aggregator: aggregator.map(|(asn, id)| Aggregator { asn: Asn(asn), router_id: RouterId(id) }),
            communities,
            extended_communities,
            large_communities: canonical::distinct(large_communities.into_iter().map(large)).collect(),
            originator_id: originator_id.map(RouterId),
            cluster_list,
            other: other
                .map(|(code, (flags, value))| OtherAttribute { flags: flags & !flag::EXTENDED_LENGTH, code, value })
                .collect(),
        }
    }
}

fn context() -> impl Strategy<Value = AttributeContext> {
    (0..4_usize).prop_map(|at| SESSIONS[at])
}

/// Octets that are attributes more often than noise is.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![1..=18_u8, Just(32), any::<u8>()];
    let flags = prop_oneof![Just(0x40_u8), Just(0x80), Just(0xC0), any::<u8>()];
    let attribute = (flags, code, prop::collection::vec(0..6_u8, 0..14)).prop_map(|(flags, code, value)| {
        let mut out = Vec::new();
        write(flags, code, &value, &mut out);
        out
    });
    let tail = prop::collection::vec(any::<u8>(), 0..10);
    (prop::collection::vec(attribute, 0..12), tail)
        .prop_map(|(attributes, tail)| [attributes.concat(), tail].concat())
}

proptest! {
    #[test]
    fn attributes_survive_the_wire(attributes in attributes()) {
        let mut block = Vec::new();
        attributes.encode(&mut block);
        prop_assert_eq!(PathAttributes::decode(&block), attributes);
        let codes: Vec<u8> = RawAttributes::new(&block).map(|attribute| attribute.code).collect();
        prop_assert!(codes.is_sorted(), "{:?}", codes);
    }

    /// Invariants 6 and 7: no block panics, and what a block is made into needs no more making.
    #[test]
    fn the_canonical_form_is_a_fixed_point(
        block in noise(), context in context(), reachable in any::<bool>(), needs_next_hop in any::<bool>(),
    ) {
        let summary = parse(&block, context, reachable, needs_next_hop);
        let canonical = summary.canonical.as_deref().unwrap_or(&block);
        if summary.outcome != Outcome::TreatAsWithdraw {
            let four_octets = session(true, context.kind);
            let again = parse(canonical, four_octets, reachable, needs_next_hop);
            let expected = Summary { outcome: Accept, fault: None, canonical: None, ..summary.clone() };
            prop_assert_eq!(again, expected);
        }
        let attributes = PathAttributes::decode(canonical);
        let mut encoded = Vec::new();
        attributes.encode(&mut encoded);
        let mut sorted = attributes;
        sorted.other.sort_by_key(|other| other.code);
        prop_assert_eq!(PathAttributes::decode(&encoded), sorted);
        let _ = (as_path_contains(&block, Asn(1)), cluster_list_contains(&block, RouterId(1)));
        let _ = AsPath::decode(&block, context.four_octet_as);
        if let Ok(split) = split(&block) {
            prop_assert!(split.rest.len() <= block.len());
        }
    }
}
