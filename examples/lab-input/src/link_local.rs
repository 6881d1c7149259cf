//! Link-local addresses for the ends of links.
//!
//! A veth's hardware address is random in Containerlab, with its prefix `aa:c1:ab`; here the other half
//! is a hash of who the end is, so that the same lab has the same addresses every time.

use std::{collections::BTreeSet, net::Ipv6Addr};

/// The address of an end, not among those given before.
pub(crate) fn choose(node: &str, interface: &str, given: &mut BTreeSet<Ipv6Addr>) -> Ipv6Addr {
    let mut seed = hash(node, interface);
    loop {
        let address = eui64(seed);
        if given.insert(address) {
            return address;
        }
        seed = seed.wrapping_add(1);
    }
}

/// The address of an end that nobody else has asked for.
pub(crate) fn derive(node: &str, interface: &str) -> Ipv6Addr {
    eui64(hash(node, interface))
}

/// RFC 4291, appendix A, for `aa:c1:ab` and 24 bits.
fn eui64(bits: u32) -> Ipv6Addr {
    let [_, a, b, c] = bits.to_be_bytes();
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xa8, 0xc1, 0xab, 0xff, 0xfe, a, b, c])
}

/// FNV-1a over both names, its halves folded.
fn hash(node: &str, interface: &str) -> u32 {
    let octets = node.bytes().chain([0xff]).chain(interface.bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = hash ^ (hash >> 24) ^ (hash >> 48);
    (folded & 0x00ff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_every_time_and_never_twice() {
        let mut given = BTreeSet::new();
        let first = choose("router0", "net0", &mut given);
        assert_eq!(first, derive("router0", "net0"));
        assert!(first.is_unicast_link_local());
        assert_ne!(choose("router0", "net0", &mut given), first);
        for node in 0..500 {
            for interface in 0..4 {
                choose(&format!("tor{node}"), &format!("net{interface}"), &mut given);
            }
        }
        assert_eq!(given.len(), 2002);
    }
}
