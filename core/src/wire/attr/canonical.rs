//! The canonical form of a block: what was discarded is gone, nothing is said twice, AS numbers have four octets, and what an
//! old speaker could not say in AS_PATH is merged into it (RFC 6793 §4.2.3).
//!
//! Only blocks that are not canonical as they came get here; it may allocate.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    super::{Asn, reader::Reader},
    AsPath, RawAttribute, RawAttributes, Segment, SegmentKind, code, write,
};

/// A set of type codes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CodeSet([u64; 4]);

impl CodeSet {
    /// Adds a code and says whether it was new.
    #[inline]
    pub(super) fn insert(&mut self, code: u8) -> bool {
        let bit = 1 << (code & 63);
        let Some(word) = self.0.get_mut(usize::from(code >> 6)) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    #[inline]
    pub(super) fn contains(&self, code: u8) -> bool {
        self.0.get(usize::from(code >> 6)).is_some_and(|word| word & 1 << (code & 63) != 0)
    }
}

/// The attributes of a block that count: the first of each code, less those that were dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted<'a> {
    block: &'a [u8],
    dropped: &'a CodeSet,
}

impl<'a> Accepted<'a> {
    pub(super) const fn new(block: &'a [u8], dropped: &'a CodeSet) -> Self {
        Self { block, dropped }
    }

    fn iter(self) -> impl Iterator<Item = RawAttribute<'a>> {
        let mut done = *self.dropped;
        RawAttributes::new(self.block).filter(move |attribute| done.insert(attribute.code))
    }

    fn value(self, code: u8) -> Option<&'a [u8]> {
        self.iter().find(|attribute| attribute.code == code).map(|attribute| attribute.value)
    }

    /// Appends them as they are.
    pub(super) fn copy(self, out: &mut Vec<u8>) {
        self.iter().for_each(|attribute| copy(attribute, out));
    }

    /// Appends them with four-octet AS numbers and returns the value of AS_PATH, if there is one.
    pub(super) fn widen(self, out: &mut Vec<u8>) -> Option<Vec<u8>> {
        let aggregator = self.value(code::AGGREGATOR).and_then(Narrow::read);
        // RFC 6793 §4.2.3: an AGGREGATOR that is not AS_TRANS was written by an old speaker that did not
        // know of the AS4 attributes, so they are about some earlier aggregate.
        let trusted = aggregator.is_none_or(|aggregator| aggregator.asn == Asn::TRANS)
            || self.value(code::AS4_AGGREGATOR).is_none();
        let as4_path = self.value(code::AS4_PATH).filter(|_| trusted);
        let as4_aggregator = self.value(code::AS4_AGGREGATOR).filter(|_| trusted);
        let mut path = None;
        for attribute in self.iter() {
            let RawAttribute { flags, code, value } = attribute;
            match code {
                code::AS4_PATH | code::AS4_AGGREGATOR => {}
                code::AS_PATH => {
                    let merged = path.insert(widen_path(value, as4_path));
                    write(flags, code, merged, out);
                }
                code::AGGREGATOR => match (as4_aggregator, aggregator) {
                    (Some(value), _) => write(flags, code, value, out),
                    (None, Some(aggregator)) => write(flags, code, &aggregator.widen(), out),
                    (None, None) => {}
                },
                _ => copy(attribute, out),
            }
        }
        path
    }
}

/// Appends an attribute that does not depend on the width of AS numbers.
fn copy(RawAttribute { flags, code, value }: RawAttribute<'_>, out: &mut Vec<u8>) {
    if code == code::LARGE_COMMUNITIES && has_duplicates(value) {
        let (communities, _) = value.as_chunks::<12>();
        let communities: Vec<_> = distinct(communities.iter().copied()).collect();
        write(flags, code, communities.as_flattened(), out);
    } else {
        write(flags, code, value, out);
    }
}

/// Whether a value of LARGE_COMMUNITIES says something twice; the second time is to be removed
/// (RFC 8092 §3).
#[inline]
pub(super) fn has_duplicates(value: &[u8]) -> bool {
    /// Up to here comparing each with each takes less than sorting.
    const FEW: usize = 16;
    let (communities, _) = value.as_chunks::<12>();
    if communities.len() <= FEW {
        return communities
            .iter()
            .enumerate()
            .any(|(at, it)| communities.iter().skip(at + 1).any(|other| other == it));
    }
    let mut sorted = communities.to_vec();
    sorted.sort_unstable();
    !sorted.is_sorted_by(|a, b| a < b)
}

/// The first of each of `items`, in their order.
pub(super) fn distinct<T: Copy + Ord>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(move |&item| seen.insert(item))
}

/// An AGGREGATOR with a two-octet AS number.
#[derive(Clone, Copy, Debug)]
struct Narrow {
    asn: Asn,
    router_id: [u8; 4],
}

impl Narrow {
    fn read(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        Some(Self { asn: Asn(u32::from(reader.u16()?)), router_id: reader.array()? })
    }

    fn widen(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.asn.0.to_be_bytes(), self.router_id);
        [a, b, c, d, e, f, g, h]
    }
}

/// The value of an AS_PATH with two-octet numbers, with four-octet ones.
fn widen_path(value: &[u8], as4_path: Option<&[u8]>) -> Vec<u8> {
    let mut path = AsPath::decode(value, false).unwrap_or_default();
    if let Some(as4_path) = as4_path.and_then(|value| AsPath::decode(value, true)) {
        merge(&mut path, as4_path);
    }
    let mut out = Vec::with_capacity(value.len() * 2);
    path.encode(&mut out);
    out
}

/// Replaces the tail of `path` by `as4_path` (RFC 6793 §4.2.3).
fn merge(path: &mut AsPath, mut as4_path: AsPath) {
    // RFC 6793 §6: confederation segments have no place there; the others stand.
    as4_path.segments.retain(|segment| !segment.kind.is_confederation());
    // An AS4_PATH that is longer is not about this path: some old speaker has shortened the latter.
    let Some(mut missing) = path.length().checked_sub(as4_path.length()) else { return };
    let mut segments: Vec<Segment> = Vec::with_capacity(path.segments.len());
    for Segment { kind, mut asns } in core::mem::take(&mut path.segments) {
        match kind {
            // Next to what was taken, or leading.
            SegmentKind::ConfedSequence | SegmentKind::ConfedSet => {}
            _ if missing == 0 => break,
            SegmentKind::Set => missing -= 1,
            SegmentKind::Sequence if asns.len() <= missing => missing -= asns.len(),
            SegmentKind::Sequence => {
                asns.truncate(missing);
                segments.push(Segment { kind, asns });
                break;
            }
        }
        segments.push(Segment { kind, asns });
    }
    for segment in as4_path.segments {
        match segments.last_mut() {
            Some(last) if last.kind == SegmentKind::Sequence && segment.kind == SegmentKind::Sequence => {
                last.asns.extend(segment.asns);
            }
            _ => segments.push(segment),
        }
    }
    path.segments = segments;
}
