//! Router Advertisements and Solicitations as octets (RFC 4861 §4.1, §4.2). Pure: no socket, no clock. The
//! checksum is the kernel's, both ways.

use std::net::Ipv6Addr;

/// What every message of neighbour discovery is sent with, and has to arrive with: whoever is further away
/// than this link cannot send it (RFC 4861 §3.1).
pub(crate) const HOP_LIMIT: u8 = 255;

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// The option that says the sender's link-layer address (RFC 4861 §4.6.1).
const SOURCE_LINK_LAYER: u8 = 1;

/// A valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A router is there.
    Advertisement {
        /// How long hosts may take it for their default router, in seconds; 0: not at all, or no longer.
        lifetime: u16,
    },
    /// Somebody asks routers to say so.
    Solicitation,
}

/// Why a message is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// It is of another type.
    Type,
    /// It has been forwarded, so it is not from this link.
    HopLimit,
    /// Its source is not what the RFC asks for.
    Source,
    /// Its code is not 0.
    Code,
    /// It ends too early.
    Short,
    /// An option has no length, or more than there is.
    Option,
}

/// Reads what came from `source` with `hop_limit` (RFC 4861 §6.1.1, §6.1.2).
pub(crate) fn parse(source: Ipv6Addr, hop_limit: u8, octets: &[u8]) -> Result<Message, Invalid> {
    let [kind, code, _, _, body @ ..] = octets else { return Err(Invalid::Short) };
    let (message, options) = match *kind {
        ADVERTISEMENT => {
            if !source.is_unicast_link_local() {
                return Err(Invalid::Source);
            }
            let [_, _, high, low, _, _, _, _, _, _, _, _, options @ ..] = body else {
                return Err(Invalid::Short);
            };
            (Message::Advertisement { lifetime: u16::from_be_bytes([*high, *low]) }, options)
        }
        SOLICITATION => {
            if source.is_multicast() {
                return Err(Invalid::Source);
            }
            let [_, _, _, _, options @ ..] = body else { return Err(Invalid::Short) };
            (Message::Solicitation, options)
        }
        _ => return Err(Invalid::Type),
    };
    if hop_limit != HOP_LIMIT {
        return Err(Invalid::HopLimit);
    }
    if *code != 0 {
        return Err(Invalid::Code);
    }
    let mut rest = options;
    while let [kind, length, ..] = *rest {
        // Who has no address yet cannot say where it is.
        if kind == SOURCE_LINK_LAYER && source.is_unspecified() {
            return Err(Invalid::Option);
        }
        let end = usize::from(length) * 8;
        rest = rest.get(end..).filter(|_| end > 0).ok_or(Invalid::Option)?;
    }
    if rest.is_empty() { Ok(message) } else { Err(Invalid::Option) }
}

/// An advertisement from the owner of a link-layer address; an empty one is not said.
///
/// It says nothing about prefixes, hop limits or timers, which are none of a BGP speaker's business.
pub(crate) fn advertisement(lifetime: u16, link_layer: &[u8]) -> Vec<u8> {
    let [high, low] = lifetime.to_be_bytes();
    let mut octets = vec![ADVERTISEMENT, 0, 0, 0, 0, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
    push_source(&mut octets, link_layer);
    octets
}

/// A solicitation, likewise.
pub(crate) fn solicitation(link_layer: &[u8]) -> Vec<u8> {
    let mut octets = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    push_source(&mut octets, link_layer);
    octets
}

fn push_source(octets: &mut Vec<u8>, link_layer: &[u8]) {
    let units = (link_layer.len() + 2).div_ceil(8);
    let (Ok(length), false) = (u8::try_from(units), link_layer.is_empty()) else { return };
    octets.extend([SOURCE_LINK_LAYER, length]);
    octets.extend(link_layer);
    octets.resize(octets.len() + units * 8 - 2 - link_layer.len(), 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    #[test]
    fn what_frr_sends_is_read() {
        // FRR 8.4.4: hop limit 64, lifetime 30 s, its link-layer address.
        let octets = [134, 0, 0x12, 0x34, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 7];
        assert_eq!(parse(PEER, 255, &octets), Ok(Message::Advertisement { lifetime: 30 }));
    }

    #[test]
    fn what_is_sent_is_what_the_rfc_draws() {
        assert_eq!(
            advertisement(30, &MAC),
            [134, 0, 0, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 7]
        );
        assert_eq!(advertisement(0, &[]), [134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(solicitation(&MAC), [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 7]);
        // Infiniband's addresses have 20 octets.
        assert_eq!(solicitation(&[7; 20]).len(), 8 + 24);
    }

    #[test]
    fn each_rule_of_the_rfc_holds() {
        let good = advertisement(30, &MAC);
        let with = |at: usize, octet: u8| {
            let mut octets = good.clone();
            octets[at] = octet;
            octets
        };
        let asked = solicitation(&MAC);
        let global: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let table: [(&str, Ipv6Addr, u8, &[u8], Invalid); 14] = [
            ("nothing", PEER, 255, &[], Invalid::Short),
            ("a neighbour solicitation", PEER, 255, &with(0, 135), Invalid::Type),
            ("an echo request", PEER, 255, &with(0, 128), Invalid::Type),
            ("forwarded once", PEER, 254, &good, Invalid::HopLimit),
            ("no hop limit", PEER, 0, &good, Invalid::HopLimit),
            ("from a global address", global, 255, &good, Invalid::Source),
            ("from nobody", Ipv6Addr::UNSPECIFIED, 255, &good, Invalid::Source),
            ("another code", PEER, 255, &with(1, 1), Invalid::Code),
            ("15 octets", PEER, 255, &good[..15], Invalid::Short),
            ("an option of length 0", PEER, 255, &with(17, 0), Invalid::Option),
            ("an option beyond the end", PEER, 255, &with(17, 2), Invalid::Option),
            ("half an option", PEER, 255, &good[..17], Invalid::Option),
            ("a question of 7 octets", PEER, 255, &asked[..7], Invalid::Short),
            ("nobody's address", Ipv6Addr::UNSPECIFIED, 255, &asked, Invalid::Option),
        ];
        for (what, source, hop_limit, octets, invalid) in table {
            assert_eq!(parse(source, hop_limit, octets), Err(invalid), "{what}");
        }
        assert_eq!(parse(PEER, 255, &good[..16]), Ok(Message::Advertisement { lifetime: 30 }));
        let from_nobody = parse(Ipv6Addr::UNSPECIFIED, 255, &solicitation(&[]));
        assert_eq!(from_nobody, Ok(Message::Solicitation));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(source: u128, hop: u8, octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let source = Ipv6Addr::from(source);
            if let Ok(message) = parse(source, hop, &octets) {
                prop_assert_eq!(hop, 255);
                prop_assert_eq!(octets[1], 0);
                prop_assert_eq!(matches!(message, Message::Solicitation), octets[0] == 133);
                // What is behind the fixed part is whole options.
                prop_assert_eq!(octets.len() % 8, 0);
            }
        }

        #[test]
        fn what_is_written_is_read(lifetime: u16, link_layer in prop::collection::vec(any::<u8>(), 0..32)) {
            let read = parse(PEER, 255, &advertisement(lifetime, &link_layer));
            prop_assert_eq!(read, Ok(Message::Advertisement { lifetime }));
            prop_assert_eq!(parse(PEER, 255, &solicitation(&link_layer)), Ok(Message::Solicitation));
        }

        #[test]
        fn any_octet_may_be_wrong(at in 0..24_usize, octet: u8, cut in 0..25_usize) {
            let mut octets = advertisement(30, &MAC);
            octets[at] = octet;
            octets.truncate(cut);
            let _ = parse(PEER, 255, &octets);
        }
    }
}
