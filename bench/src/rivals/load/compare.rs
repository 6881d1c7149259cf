//! Whether attributes are those that were expected.
//!
//! Octets first: a speaker that writes attributes in the order of their codes is compared at the speed of
//! `memcmp`. Attributes that look different are compared one by one, so that another order or form is no
//! fault, and a fault has a name.

use std::{borrow::Cow, net::IpAddr};

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

/// `expected` has a slot where an IPv4 next hop is; `got` is without MP_REACH_NLRI.
#[inline]
pub(crate) fn compare(expected: &[u8], got: &[u8], next_hop: IpAddr) -> Result<(), Difference> {
    let same = match next_hop {
        IpAddr::V6(_) => expected == got,
        IpAddr::V4(next_hop) => {
            let slot = slot(expected);
            let after = slot + 4;
            expected.len() == got.len()
                && expected[..slot] == got[..slot]
                && got[slot..after] == next_hop.octets()
                && expected[after..] == got[after..]
        }
    };
    if same { Ok(()) } else { explain(expected, got, next_hop) }
}

/// Where the next hop is in a block of ours: after ORIGIN (4 octets) and AS_PATH.
#[inline]
fn slot(expected: &[u8]) -> usize {
    4 + 3 + usize::from(expected[6]) + 3
}

#[cold]
fn explain(expected: &[u8], got: &[u8], next_hop: IpAddr) -> Result<(), Difference> {
    let mut filled = Cow::Borrowed(expected);
    if let IpAddr::V4(next_hop) = next_hop {
        let slot = slot(expected);
        filled.to_mut()[slot..slot + 4].copy_from_slice(&next_hop.octets());
    }
    let (expected, got) = (attributes(&filled), attributes(got));
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
