//! Whether attributes are those that were expected.
//!
//! Octets first: a speaker that writes attributes in the order of their codes, but for the next hop, is
//! compared at the speed of `memcmp`. Attributes that look different are compared one by one, so that
//! another order or form is no fault, and a fault has a name.

use std::net::IpAddr;

use peerage_core::wire::attr::{self, RawAttributes, code, flag};

/// An attribute that is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) code: u8,
    /// Flags without the extended-length bit, and the value; `None`: there has to be none.
    pub(crate) expected: Option<(u8, Vec<u8>)>,
    pub(crate) got: Option<(u8, Vec<u8>)>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |side: &Option<(u8, Vec<u8>)>| {
            side.as_ref()
                .map_or_else(|| "none".to_owned(), |(flags, value)| format!("{flags:02x}:{value:x?}"))
        };
        let name = attr::name(self.code).map_or_else(|| self.code.to_string(), str::to_owned);
        write!(f, "{name} is {}, expected {}", side(&self.got), side(&self.expected))
    }
}

/// `expected` has no next hop; `got` is without MP_REACH_NLRI, so that it has one where it is of IPv4.
#[inline]
pub(crate) fn compare(expected: &[u8], got: &[u8], next_hop: IpAddr) -> Result<(), Difference> {
    let same = match next_hop {
        IpAddr::V6(_) => expected == got,
        IpAddr::V4(next_hop) => {
            let mut attributes = RawAttributes::new(got);
            let mut start = 0;
            // Wherever in the order of attributes it stands.
            let found = loop {
                match attributes.next() {
                    Some(it) if it.code == code::NEXT_HOP => break it.value == next_hop.octets(),
                    Some(_) => start = got.len() - attributes.remainder().len(),
                    None => break false,
                }
            };
            let after = attributes.remainder();
            found
                && expected.len() == start + after.len()
                && expected[..start] == got[..start]
                && expected[start..] == *after
        }
    };
    if same { Ok(()) } else { explain(expected, got, next_hop) }
}

/// The second AS of the path, which is the sender's where the first is the speaker's.
#[inline]
pub(crate) fn second_as(block: &[u8]) -> Option<u32> {
    let path = RawAttributes::new(block).find(|it| it.code == code::AS_PATH)?;
    Some(u32::from_be_bytes(path.value.get(6..10)?.try_into().ok()?))
}

#[cold]
fn explain(expected: &[u8], got: &[u8], next_hop: IpAddr) -> Result<(), Difference> {
    let (mut expected, got) = (attributes(expected), attributes(got));
    if let IpAddr::V4(next_hop) = next_hop {
        expected.push((code::NEXT_HOP, flag::TRANSITIVE, next_hop.octets().to_vec()));
    }
    for code in 0..=u8::MAX {
        let mut ours = expected.iter().filter(|it| it.0 == code).map(|it| (it.1, it.2.clone()));
        let mut theirs = got.iter().filter(|it| it.0 == code).map(|it| (it.1, it.2.clone()));
        loop {
            let (expected, got) = (ours.next(), theirs.next());
            if expected != got {
                return Err(Difference { code, expected, got });
            }
            if expected.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Code, flags and value of each. Communities are sets: their order says nothing.
fn attributes(block: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut all = RawAttributes::new(block);
    let mut out: Vec<(u8, u8, Vec<u8>)> = all
        .by_ref()
        .map(|it| {
            let value = match it.code {
                code::COMMUNITIES => sorted::<4>(it.value),
                code::LARGE_COMMUNITIES => sorted::<12>(it.value),
                _ => it.value.to_vec(),
            };
            (it.code, it.flags & !flag::EXTENDED_LENGTH, value)
        })
        .collect();
    if !all.remainder().is_empty() {
        // Never equal to anything: there is no attribute 0.
        out.push((0, 0, all.remainder().to_vec()));
    }
    out
}

fn sorted<const N: usize>(value: &[u8]) -> Vec<u8> {
    let (items, rest) = value.as_chunks::<N>();
    let mut items = items.to_vec();
    items.sort_unstable();
    let mut out = items.concat();
    out.extend_from_slice(rest);
    out
}
