//! Prefixes there and back, and the octets that are none.

extern crate std;

use core::net::{Ipv4Addr, Ipv6Addr};
use std::{vec, vec::Vec};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::*;

fn v4(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

#[test]
fn host_bits_are_cleared_whatever_follows() {
    // 10.255.255/9, then a default route, then 192.0.2.1/32 at the very end of the field.
    let field = [9, 10, 255, 0, 32, 192, 0, 2, 1];
    let prefixes: Result<Vec<_>, _> = Ipv4Prefixes::new(&field).collect();
    assert_eq!(prefixes.unwrap(), [v4("10.128.0.0/9"), v4("0.0.0.0/0"), v4("192.0.2.1/32")]);
    let prefixes: Result<Vec<_>, _> = Ipv6Prefixes::new(&[33, 32, 1, 13, 184, 255]).collect();
    assert_eq!(prefixes.unwrap(), ["2001:db8:8000::/33".parse::<Ipv6Net>().unwrap()]);
}

#[test]
fn an_error_says_where_and_ends_the_iteration() {
    for (field, at) in
        [(&[8_u8, 10, 33, 1, 2, 3, 4, 5][..], 2), (&[8, 10, 24, 1, 2], 2), (&[255], 0), (&[0, 0, 1], 2)]
    {
        let items: Vec<_> = Ipv4Prefixes::new(field).collect();
        assert_eq!(items.last(), Some(&Err(NlriError(at))), "{field:?}");
        assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    }
    let mut long = vec![129];
    long.extend([0; 40]);
    assert_eq!(Ipv6Prefixes::new(&long).collect::<Vec<_>>(), [Err(NlriError(0))]);
}

proptest! {
    #[test]
    fn decode_inverts_encode(
        list4 in prop::collection::vec((any::<u32>(), 0..=32_u8), 0..20),
        list6 in prop::collection::vec((any::<u128>(), 0..=128_u8), 0..20),
    ) {
        let list4: Vec<_> = list4.into_iter()
            .map(|(address, len)| Ipv4Net::new(Ipv4Addr::from(address), len).unwrap()).collect();
        let mut field = Vec::new();
        list4.iter().for_each(|&prefix| encode(IpNet::V4(prefix), &mut field));
        let decoded: Result<Vec<_>, _> = Ipv4Prefixes::new(&field).collect();
        prop_assert_eq!(decoded.unwrap(), list4.iter().map(Ipv4Net::trunc).collect::<Vec<_>>());

        let list6: Vec<_> = list6.into_iter()
            .map(|(address, len)| Ipv6Net::new(Ipv6Addr::from(address), len).unwrap()).collect();
        let mut field = Vec::new();
        list6.iter().for_each(|&prefix| encode(IpNet::V6(prefix), &mut field));
        let decoded: Result<Vec<_>, _> = Ipv6Prefixes::new(&field).collect();
        prop_assert_eq!(decoded.unwrap(), list6.iter().map(Ipv6Net::trunc).collect::<Vec<_>>());
    }

    #[test]
    fn no_field_panics_and_every_octet_is_accounted_for(field in prop::collection::vec(any::<u8>(), 0..100)) {
        let octets = |bits: u8| 1 + usize::from(bits).div_ceil(8);
        let mut at = 0;
        for item in Ipv4Prefixes::new(&field) {
            match item {
                Ok(prefix) => at += octets(prefix.prefix_len()),
                Err(NlriError(error)) => prop_assert_eq!(error, core::mem::replace(&mut at, field.len())),
            }
        }
        prop_assert_eq!(at, field.len());
        let mut at = 0;
        for item in Ipv6Prefixes::new(&field) {
            match item {
                Ok(prefix) => at += octets(prefix.prefix_len()),
                Err(NlriError(error)) => prop_assert_eq!(error, core::mem::replace(&mut at, field.len())),
            }
        }
        prop_assert_eq!(at, field.len());
    }
}
