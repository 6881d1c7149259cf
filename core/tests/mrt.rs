//! Recorded update streams hold as many prefixes as other implementations count in them.
//!
//! `vectors/mrt/counts.json` has the figures of a reference decoder and of bgpdump.

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod common;

use peerage_core::wire::{
    Family, MAX_EXTENDED_LEN, MessageError, MessageKind, Open, Update, attr, frame,
    nlri::{Ipv4Prefixes, Ipv6Prefixes},
};

use common::mrt::Mrt;

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    messages: u64,
    undecoded: u64,
    announced: u64,
    withdrawn: u64,
}

/// A field without its path ids, which the codec does not know of (RFC 7911 §3).
fn without_path_ids(field: &[u8]) -> Vec<u8> {
    let (mut field, mut out) = (field, Vec::new());
    while let Some((_path_id, prefix)) = field.split_at_checked(4) {
        let octets = prefix.first().map_or(0, |&bits| 1 + usize::from(bits).div_ceil(8));
        let (prefix, rest) = prefix.split_at(octets.min(prefix.len()));
        out.extend(prefix);
        field = rest;
    }
    out.extend(field);
    out
}

/// How many prefixes one message announces and withdraws.
fn prefixes(message: &[u8], add_path: bool) -> Result<(u64, u64), MessageError> {
    let Some(frame) = frame(message, MAX_EXTENDED_LEN)? else {
        return Err(MessageError::BadLength(u16::try_from(message.len()).unwrap_or(u16::MAX)));
    };
    if frame.kind == MessageKind::Open {
        Open::decode(frame.body)?;
    }
    if frame.kind != MessageKind::Update {
        return Ok((0, 0));
    }
    let update = Update::split(frame.body)?;
    let split = attr::split(update.attributes)?;
    let count = |family, field: &[u8]| {
        if add_path { count(family, &without_path_ids(field)) } else { count(family, field) }
    };
    let mut announced = count(Family::IPV4_UNICAST, update.nlri)?;
    let mut withdrawn = count(Family::IPV4_UNICAST, update.withdrawn)?;
    if let Some(reach) = split.mp_reach {
        announced += count(reach.family, reach.nlri)?;
    }
    if let Some(unreach) = split.mp_unreach {
        withdrawn += count(unreach.family, unreach.withdrawn)?;
    }
    Ok((announced, withdrawn))
}

/// Prefixes of the unicast families, and of multicast ones, which look the same.
fn count(family: Family, field: &[u8]) -> Result<u64, MessageError> {
    const IPV4_MULTICAST: Family = Family::new(1, 2);
    const IPV6_MULTICAST: Family = Family::new(2, 2);
    let mut count = 0;
    match family {
        Family::IPV4_UNICAST | IPV4_MULTICAST => {
            for prefix in Ipv4Prefixes::new(field) {
                prefix?;
                count += 1;
            }
        }
        Family::IPV6_UNICAST | IPV6_MULTICAST => {
            for prefix in Ipv6Prefixes::new(field) {
                prefix?;
                count += 1;
            }
        }
        _ => {}
    }
    Ok(count)
}

#[test]
fn recorded_updates_hold_what_others_count_in_them() {
    let Some(folder) = common::shared("vectors/mrt") else { return };
    let expected = std::fs::read(folder.join("counts.json")).expect("counts.json");
    let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
    let expected = expected.as_object().expect("one entry a file");
    let mut total = Counts::default();
    for (name, expected) in expected {
        let figure = |field: &str| expected[field].as_u64().expect("a figure");
        let expected = Counts {
            messages: figure("messages"),
            undecoded: figure("undecoded"),
            announced: figure("announced"),
            withdrawn: figure("withdrawn"),
        };
        let mut found = Counts::default();
        let mut last = 0;
        for record in Mrt::open(&folder.join(name)).expect("a file for every entry") {
            assert!(record.timestamp >= last, "{name}: recorded in order");
            last = record.timestamp;
            found.messages += 1;
            match prefixes(&record.message, record.add_path) {
                Ok((announced, withdrawn)) => {
                    found.announced += announced;
                    found.withdrawn += withdrawn;
                }
                Err(_) => found.undecoded += 1,
            }
        }
        assert_eq!(found, expected, "{name}");
        total.messages += found.messages;
        total.undecoded += found.undecoded;
        total.announced += found.announced;
        total.withdrawn += found.withdrawn;
    }
    loudly!("{} files: {total:?}", expected.len());
    assert_eq!(expected.len(), 13);
}
