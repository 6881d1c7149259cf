//! Prefixes of a table: distinct, with the lengths that the internet has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use peerage_core::wire::nlri;

use super::random::Random;

/// The family of a table, and of the sessions that carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// A prefix in one word: address bits on top, its length in the lowest octet. Of an IPv6 prefix these are
/// the first 56 bits, which is all that a table here has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix(u64);

impl Prefix {
    fn len(self) -> u8 {
        self.0 as u8
    }

    /// Appends it as NLRI.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let octets = usize::from(self.len()).div_ceil(8);
        out.push(self.len());
        out.extend_from_slice(&self.0.to_be_bytes()[..octets]);
    }

    /// It as people know it.
    pub(crate) fn net(self, version: Version) -> IpNet {
        let bits = self.0 & !0xff;
        let address: IpAddr = match version {
            Version::V4 => Ipv4Addr::from((bits >> 32) as u32).into(),
            Version::V6 => Ipv6Addr::from(u128::from(bits) << 64).into(),
        };
        IpNet::new_assert(address, self.len())
    }

    /// Its octets as NLRI.
    pub(crate) fn octets(self) -> usize {
        1 + usize::from(self.len()).div_ceil(8)
    }
}

/// Calls `each` for every prefix of a field; `None` is one that no table has. False: the field is
/// malformed.
#[inline]
pub(crate) fn read(version: Version, field: &[u8], mut each: impl FnMut(Option<Prefix>)) -> bool {
    match version {
        Version::V4 => nlri::Ipv4Prefixes::new(field).all(|item| match item {
            Ok(net) => {
                each(Some(of_v4(net)));
                true
            }
            Err(_) => false,
        }),
        Version::V6 => nlri::Ipv6Prefixes::new(field).all(|item| match item {
            Ok(net) => {
                each(of_v6(net));
                true
            }
            Err(_) => false,
        }),
    }
}

#[inline]
fn of_v4(net: Ipv4Net) -> Prefix {
    Prefix(u64::from(u32::from(net.network())) << 32 | u64::from(net.prefix_len()))
}

#[inline]
fn of_v6(net: Ipv6Net) -> Option<Prefix> {
    let word = u128::from(net.network());
    (net.prefix_len() <= 56).then(|| Prefix((word >> 64) as u64 | u64::from(net.prefix_len())))
}

/// Lengths and how many of a million prefixes have them: roughly the tables of the mid 2020s.
const LENGTHS_V4: [(u8, u64); 17] = [
    (8, 16),
    (9, 13),
    (10, 40),
    (11, 100),
    (12, 300),
    (13, 600),
    (14, 1_200),
    (15, 2_100),
    (16, 13_500),
    (17, 8_400),
    (18, 14_200),
    (19, 25_500),
    (20, 45_000),
    (21, 53_000),
    (22, 112_000),
    (23, 103_000),
    (24, 621_031),
];
const LENGTHS_V6: [(u8, u64); 13] = [
    (20, 100),
    (24, 400),
    (28, 1_500),
    (29, 22_000),
    (32, 118_000),
    (33, 21_000),
    (36, 47_000),
    (38, 10_000),
    (40, 95_000),
    (42, 35_000),
    (44, 115_000),
    (46, 55_000),
    (48, 480_000),
];

/// What is not announced to the internet, or is used by the benchmark itself.
const RESERVED_V4: [(u32, u8); 13] = [
    (0x0000_0000, 8),
    (0x0a00_0000, 8),
    (0x6440_0000, 10),
    (0x7f00_0000, 8),
    (0xa9fe_0000, 16),
    (0xac10_0000, 12),
    (0xc000_0000, 24),
    (0xc000_0200, 24),
    (0xc0a8_0000, 16),
    (0xc612_0000, 15),
    (0xc633_6400, 24),
    (0xcb00_7100, 24),
    (0xe000_0000, 3),
];

/// So many distinct prefixes. Those of the longer lengths lie side by side; each shorter length walks the
/// space on its own, so that some prefixes cover others, as they do in the internet.
pub(crate) fn prefixes(version: Version, count: usize) -> Vec<Prefix> {
    let (lengths, packed_from, width, first, end): (&[(u8, u64)], u8, u32, u64, u64) = match version {
        Version::V4 => (&LENGTHS_V4, 20, 32, 0x0100_0000, 0xe000_0000),
        // 2400::/6, of which nothing is reserved.
        Version::V6 => (&LENGTHS_V6, 33, 64, 0x2400 << 48, 0x2800 << 48),
    };
    let total: u64 = lengths.iter().map(|(_, share)| share).sum();
    let mut random = Random::new(1);
    let mut cursors = [first; 65];
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let mut at = random.below(total);
        let chosen = lengths.iter().find(|&&(_, share)| {
            let here = at < share;
            at = at.wrapping_sub(share);
            here
        });
        let Some(&(len, _)) = chosen else { continue };
        let size = 1_u64 << (width - u32::from(len));
        let cursor = &mut cursors[usize::from(len.min(packed_from))];
        let mut address = cursor.next_multiple_of(size);
        while let Some(after) = (version == Version::V4).then(|| reserved(address, size)).flatten() {
            address = after.next_multiple_of(size);
        }
        if address.saturating_add(size) > end {
            assert!(len < packed_from, "{count} prefixes do not fit the address space");
            continue;
        }
        *cursor = address + size;
        out.push(Prefix(address << (64 - width) | u64::from(len)));
    }
    out
}

/// Where the reserved range ends that this one touches.
fn reserved(address: u64, size: u64) -> Option<u64> {
    RESERVED_V4.iter().find_map(|&(start, len)| {
        let (start, end) = (u64::from(start), u64::from(start) + (1 << (32 - len)));
        (address < end && start < address + size).then_some(end)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(net: IpNet) -> Option<Prefix> {
        match net {
            IpNet::V4(net) => Some(of_v4(net)),
            IpNet::V6(net) => of_v6(net),
        }
    }

    #[test]
    fn prefixes_are_distinct_and_survive_the_wire() {
        for version in [Version::V4, Version::V6] {
            let all = prefixes(version, 200_000);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), 200_000);
            let mut field = Vec::new();
            all.iter().for_each(|prefix| prefix.write(&mut field));
            assert_eq!(field.len(), all.iter().map(|prefix| prefix.octets()).sum::<usize>());
            let mut got = Vec::new();
            assert!(read(version, &field, |prefix| got.push(prefix.expect("of the table"))));
            let text = all[7].net(version).to_string();
            assert_eq!(of(text.parse().expect("a prefix")), Some(all[7]), "{text}");
            assert!(got == all, "host bits are clear, lengths are kept");
        }
    }

    #[test]
    fn a_million_fit_in_both_families() {
        for version in [Version::V4, Version::V6] {
            assert_eq!(prefixes(version, 1_000_000).len(), 1_000_000);
        }
    }

    #[test]
    fn what_no_table_has_is_told() {
        let mut got = Vec::new();
        assert!(read(Version::V6, &[64, 0x24, 0, 0, 0, 0, 0, 0, 1], |prefix| got.push(prefix)));
        assert_eq!(got, [None]);
        assert!(!read(Version::V4, &[24, 1, 2], |_| ()));
    }
}
