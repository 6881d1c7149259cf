//! AS_PATH: its segments as they stand on the wire, and decoded (RFC 4271 §4.3, RFC 5065 §3).

use alloc::vec::Vec;
use core::fmt;

use super::super::{Asn, reader::Reader};

/// Kinds of AS_PATH segments (RFC 4271 §4.3, RFC 5065 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// AS_SET
    Set = 1,
    /// AS_SEQUENCE
    Sequence = 2,
    /// AS_CONFED_SEQUENCE
    ConfedSequence = 3,
    /// AS_CONFED_SET
    ConfedSet = 4,
}

/// One AS_PATH segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Its kind.
    pub kind: SegmentKind,
    /// Its AS numbers, at most 255.
    pub asns: Vec<Asn>,
}

/// An AS path, decoded. Displays as operators write it: `65010 65001 {1,2} (3 4)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsPath {
    /// Segments, the nearest first.
    pub segments: Vec<Segment>,
}

impl SegmentKind {
    #[inline]
    const fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Set,
            2 => Self::Sequence,
            3 => Self::ConfedSequence,
            4 => Self::ConfedSet,
            _ => return None,
        })
    }

    /// Whether it never leaves a confederation (RFC 5065 §3).
    #[inline]
    pub const fn is_confederation(self) -> bool {
        matches!(self, Self::ConfedSequence | Self::ConfedSet)
    }

    /// What a segment of this kind adds to the path's length (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
    #[inline]
    const fn length(self, asns: usize) -> usize {
        match self {
            Self::Set => 1,
            Self::Sequence => asns,
            Self::ConfedSequence | Self::ConfedSet => 0,
        }
    }
}

impl AsPath {
    /// A path of one AS_SEQUENCE; empty where `asns` is.
    pub fn sequence(asns: impl IntoIterator<Item = Asn>) -> Self {
        let asns: Vec<Asn> = asns.into_iter().collect();
        if asns.is_empty() {
            return Self::default();
        }
        Self { segments: Vec::from([Segment { kind: SegmentKind::Sequence, asns }]) }
    }

    /// Parses a value of AS_PATH or AS4_PATH; `None` where it is malformed: a segment type that is not
    /// known, a segment of no ASes or one that does not fit (RFC 7606 §7.2).
    pub fn decode(value: &[u8], four_octet_as: bool) -> Option<Self> {
        let segments = if four_octet_as { Self::collect::<4>(value) } else { Self::collect::<2>(value) };
        segments.map(|segments| Self { segments })
    }

    fn collect<const WIDTH: usize>(value: &[u8]) -> Option<Vec<Segment>> {
        let segment = |raw: Option<RawSegment<'_, WIDTH>>| {
            raw.map(|raw| Segment { kind: raw.kind, asns: raw.asns.iter().map(asn).collect() })
        };
        RawSegments::<WIDTH>::new(value).map(segment).collect()
    }

    /// Appends the value with four-octet AS numbers. A segment of more than 255 becomes several, one of
    /// none is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for segment in &self.segments {
            for asns in segment.asns.chunks(255) {
                out.extend([segment.kind as u8, u8::try_from(asns.len()).unwrap_or(u8::MAX)]);
                out.extend(asns.iter().flat_map(|asn| asn.0.to_be_bytes()));
            }
        }
    }

    /// The length as the decision counts it (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
    pub fn length(&self) -> usize {
        self.segments.iter().map(|segment| segment.kind.length(segment.asns.len())).sum()
    }
}

impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            let (open, between, close) = match segment.kind {
                SegmentKind::Set => ("{", ",", "}"),
                SegmentKind::Sequence => ("", " ", ""),
                SegmentKind::ConfedSequence => ("(", " ", ")"),
                SegmentKind::ConfedSet => ("[", ",", "]"),
            };
            f.write_str(if at == 0 { "" } else { " " })?;
            f.write_str(open)?;
            for (at, asn) in segment.asns.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { between })?;
                fmt::Display::fmt(asn, f)?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

/// One segment on the wire, AS numbers `WIDTH` octets wide.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSegment<'a, const WIDTH: usize> {
    pub(super) kind: SegmentKind,
    pub(super) asns: &'a [[u8; WIDTH]],
}

/// Iterates over the segments of a value; `Some(None)` is a malformed one and the last item.
#[derive(Clone, Debug)]
pub(super) struct RawSegments<'a, const WIDTH: usize>(Reader<'a>);

impl<'a, const WIDTH: usize> RawSegments<'a, WIDTH> {
    #[inline]
    pub(super) const fn new(value: &'a [u8]) -> Self {
        Self(Reader::new(value))
    }

    #[inline]
    fn segment(&mut self) -> Option<RawSegment<'a, WIDTH>> {
        let [kind, count] = self.0.array()?;
        let kind = SegmentKind::of(kind).filter(|_| count != 0)?;
        let (asns, _) = self.0.take(usize::from(count) * WIDTH)?.as_chunks();
        Some(RawSegment { kind, asns })
    }
}

impl<'a, const WIDTH: usize> Iterator for RawSegments<'a, WIDTH> {
    type Item = Option<RawSegment<'a, WIDTH>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let segment = self.segment();
        if segment.is_none() {
            self.0 = Reader::new(&[]);
        }
        Some(segment)
    }
}

/// An AS number of two or four octets.
#[inline]
pub(super) fn asn<const WIDTH: usize>(octets: &[u8; WIDTH]) -> Asn {
    Asn(octets.iter().fold(0, |asn, &octet| asn << 8 | u32::from(octet)))
}

/// What a decision wants to know of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PathFacts {
    /// RFC 4271 §9.1.2.2, RFC 5065 §5.3.
    pub(super) length: usize,
    /// The neighbouring AS: the first of an AS_SEQUENCE that only confederation segments precede.
    pub(super) first: Option<Asn>,
    /// Who originated the route: the last of an AS_SEQUENCE that ends the path.
    pub(super) origin: Option<Asn>,
    /// There is a confederation segment.
    pub(super) confederation: bool,
}

impl PathFacts {
    /// Reads a value in one pass; `None` where it is malformed (RFC 7606 §7.2) or names AS 0
    /// (RFC 7607 §2).
    #[inline]
    pub(super) fn read<const WIDTH: usize>(value: &[u8]) -> Option<Self> {
        let mut facts = Self::default();
        let mut leading = true;
        for segment in RawSegments::<WIDTH>::new(value) {
            let RawSegment { kind, asns } = segment?;
            if asns.contains(&[0; WIDTH]) {
                return None;
            }
            if kind.is_confederation() {
                facts.confederation = true;
                continue;
            }
            let sequence = kind == SegmentKind::Sequence;
            if core::mem::take(&mut leading) && sequence {
                facts.first = asns.first().map(asn);
            }
            facts.origin = if sequence { asns.last().map(asn) } else { None };
            facts.length += kind.length(asns.len());
        }
        Some(facts)
    }
}
