//! Tables as UPDATEs.

use std::net::IpAddr;

use peerage_core::wire::{
    MAX_LEN, MessageKind,
    attr::{self, code, flag},
    begin_message, finish_message,
};

use super::{Prefix, Random, Set, Table, Version, View};

/// AFI and SAFI of IPv6 unicast.
const IPV6_UNICAST: [u8; 3] = [0, 2, 1];
/// Header of an attribute with extended length.
const HEAD: usize = 4;

/// A sender's table, closed by an End-of-RIB. All but the first have the groups in an order of their own.
pub(crate) fn table(table: &Table, view: View, next_hop: IpAddr) -> Vec<u8> {
    let mut order: Vec<u32> = (0..table.groups()).collect();
    if view.sender > 0 {
        Random::new(1000 + u64::from(view.sender)).shuffle(&mut order);
    }
    let mut out = Vec::with_capacity(order.len() * 110 + table.prefixes.len() * 5);
    for group in order {
        let members = table.members(group);
        let members = &table.prefixes[members.start as usize..members.end as usize];
        announce(&Set::new(group, view), next_hop, members, &mut out);
    }
    end_of_rib(table.version, &mut out);
    out
}

/// Appends prefixes with one attribute set, in as few UPDATEs as they fit. IPv6 next hops mean IPv6
/// prefixes, in MP_REACH_NLRI.
pub(crate) fn announce(set: &Set, next_hop: IpAddr, prefixes: &[Prefix], out: &mut Vec<u8>) {
    let mut block = Vec::with_capacity(128);
    let version = match next_hop {
        IpAddr::V4(next_hop) => {
            set.write(Some(next_hop), &mut block);
            Version::V4
        }
        IpAddr::V6(_) => {
            set.write(None, &mut block);
            Version::V6
        }
    };
    // What stands before the NLRI in MP_REACH_NLRI: family, next hop, reserved octet.
    let mut reach = IPV6_UNICAST.to_vec();
    if let IpAddr::V6(next_hop) = next_hop {
        reach.push(16);
        reach.extend(next_hop.octets());
        reach.push(0);
    }
    let around = match version {
        Version::V4 => 23 + block.len(),
        Version::V6 => 23 + block.len() + HEAD + reach.len(),
    };
    for chunk in chunks(prefixes, MAX_LEN - around) {
        let start = begin_message(out, MessageKind::Update);
        out.extend_from_slice(&[0, 0]);
        match version {
            Version::V4 => {
                out.extend_from_slice(&(block.len() as u16).to_be_bytes());
                out.extend_from_slice(&block);
                chunk.iter().for_each(|prefix| prefix.write(out));
            }
            Version::V6 => {
                let mut value = reach.clone();
                chunk.iter().for_each(|prefix| prefix.write(&mut value));
                let field = out.len();
                out.extend_from_slice(&[0, 0]);
                attr::write(flag::OPTIONAL, code::MP_REACH_NLRI, &value, out);
                out.extend_from_slice(&block);
                patch_length(out, field);
            }
        }
        finish_message(out, start);
    }
}

/// Everything withdrawn, in full messages, by address: not in the order in which it was announced.
pub(crate) fn withdraw(table: &Table) -> Vec<u8> {
    let mut out = Vec::with_capacity(table.prefixes.len() * 5);
    let mut prefixes = table.prefixes.clone();
    prefixes.sort_unstable();
    for chunk in chunks(&prefixes, MAX_LEN - 23 - HEAD - IPV6_UNICAST.len()) {
        let start = begin_message(&mut out, MessageKind::Update);
        let mut field = out.len();
        out.extend_from_slice(&[0, 0]);
        match table.version {
            Version::V4 => {
                chunk.iter().for_each(|prefix| prefix.write(&mut out));
                patch_length(&mut out, field);
                out.extend_from_slice(&[0, 0]);
            }
            Version::V6 => {
                let mut value = IPV6_UNICAST.to_vec();
                chunk.iter().for_each(|prefix| prefix.write(&mut value));
                field = out.len();
                out.extend_from_slice(&[0, 0]);
                attr::write(flag::OPTIONAL, code::MP_UNREACH_NLRI, &value, &mut out);
                patch_length(&mut out, field);
            }
        }
        finish_message(&mut out, start);
    }
    out
}

/// Appends the End-of-RIB of a family (RFC 4724 §2).
fn end_of_rib(version: Version, out: &mut Vec<u8>) {
    let start = begin_message(out, MessageKind::Update);
    out.extend_from_slice(&[0, 0]);
    match version {
        Version::V4 => out.extend_from_slice(&[0, 0]),
        Version::V6 => {
            let field = out.len();
            out.extend_from_slice(&[0, 0]);
            attr::write(flag::OPTIONAL, code::MP_UNREACH_NLRI, &IPV6_UNICAST, out);
            patch_length(out, field);
        }
    }
    finish_message(out, start);
}

/// Cuts prefixes into runs of at most so many octets.
fn chunks(mut prefixes: &[Prefix], room: usize) -> impl Iterator<Item = &[Prefix]> {
    std::iter::from_fn(move || {
        let mut octets = 0;
        let count = prefixes.iter().take_while(|prefix| {
            octets += prefix.octets();
            octets <= room
        });
        let (chunk, rest) = prefixes.split_at(count.count());
        prefixes = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Writes the length of what follows the two octets at `field`.
fn patch_length(out: &mut [u8], field: usize) {
    let len = (out.len() - field - 2) as u16;
    out[field..field + 2].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use peerage_core::wire::{Update, attr::split, frame};

    use super::{super::read, *};

    fn scan(version: Version, mut stream: &[u8]) -> (Vec<Prefix>, Vec<Prefix>, usize) {
        let (mut up, mut down, mut ends) = (Vec::new(), Vec::new(), 0);
        while let Some(message) = frame(stream, MAX_LEN).expect("messages") {
            let update = Update::split(message.body).expect("an update");
            ends += usize::from(update.end_of_rib().is_some());
            let parts = split(update.attributes).expect("attributes");
            assert!(!parts.truncated);
            let reach = parts.mp_reach.map_or(update.nlri, |reach| reach.nlri);
            let gone = parts.mp_unreach.map_or(update.withdrawn, |unreach| unreach.withdrawn);
            assert!(read(version, reach, |prefix| up.push(prefix.expect("ours"))));
            assert!(read(version, gone, |prefix| down.push(prefix.expect("ours"))));
            stream = &stream[message.len..];
        }
        assert!(stream.is_empty());
        (up, down, ends)
    }

    #[test]
    fn a_feed_is_the_table_once_and_ends() {
        for (version, next_hop) in [(Version::V4, "192.0.2.1"), (Version::V6, "fd77::1")] {
            let all = Table::new(version, 20_000);
            let view = View { sender: 0, asn: 64600, generation: 0 };
            let octets = table(&all, view, next_hop.parse().expect("an address"));
            let (mut up, down, ends) = scan(version, &octets);
            assert_eq!((down.len(), ends), (0, 1));
            let mut expected = all.prefixes.clone();
            up.sort_unstable();
            expected.sort_unstable();
            assert!(up == expected);

            let (up, down, ends) = scan(version, &withdraw(&all));
            assert_eq!((up.len(), ends), (0, 0));
            assert!(down == expected);
        }
    }
}
