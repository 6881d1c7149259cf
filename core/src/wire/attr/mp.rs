//! The multiprotocol attributes, and how they are taken out of a block (RFC 4760, RFC 7606 §5).

use alloc::{borrow::Cow, vec::Vec};
use core::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{Family, MessageError, NextHop, reader::Reader},
    RawAttribute, RawAttributes, code, table,
};

/// MP_REACH_NLRI, NLRI still encoded (RFC 4760 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpReach<'a> {
    /// Family of the NLRI.
    pub family: Family,
    /// The next hop's octets.
    pub next_hop: &'a [u8],
    /// The NLRI's octets.
    pub nlri: &'a [u8],
}

impl<'a> MpReach<'a> {
    /// Parses a value. `None`: it is too short to say whose NLRI it holds.
    ///
    /// The octet between next hop and NLRI is reserved and ignored (RFC 4760 §3). A next hop of no
    /// octets is fine: there are families without one.
    #[inline]
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let (afi, safi) = (reader.u16()?, reader.u8()?);
        let next_hop = reader.take_u8_prefixed()?;
        let _reserved = reader.u8()?;
        Some(Self { family: Family::new(afi, safi), next_hop, nlri: reader.rest() })
    }

    /// The next hop of a unicast family; `None` where its length is none the family allows
    /// (RFC 2545 §3, RFC 8950 §3).
    pub fn unicast_next_hop(&self) -> Option<NextHop> {
        let mut reader = Reader::new(self.next_hop);
        match (self.family, self.next_hop.len()) {
            (Family::IPV4_UNICAST, 4) => Some(NextHop::V4(Ipv4Addr::from(reader.u32()?))),
            (Family::IPV4_UNICAST | Family::IPV6_UNICAST, 16) => {
                Some(NextHop::V6(Ipv6Addr::from(reader.array::<16>()?)))
            }
            (Family::IPV4_UNICAST | Family::IPV6_UNICAST, 32) => Some(NextHop::V6WithLinkLocal {
                global: Ipv6Addr::from(reader.array::<16>()?),
                link_local: Ipv6Addr::from(reader.array::<16>()?),
            }),
            _ => None,
        }
    }
}

/// MP_UNREACH_NLRI, NLRI still encoded (RFC 4760 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpUnreach<'a> {
    /// Family of the NLRI.
    pub family: Family,
    /// The withdrawn NLRI's octets.
    pub withdrawn: &'a [u8],
}

impl<'a> MpUnreach<'a> {
    /// Parses a value. `None`: it is too short to say whose NLRI it holds.
    #[inline]
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let (afi, safi) = (reader.u16()?, reader.u8()?);
        Some(Self { family: Family::new(afi, safi), withdrawn: reader.rest() })
    }
}

/// The attribute block of an UPDATE with the two multiprotocol attributes taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// Everything else, in wire order; borrowed where it is one piece, as it is where neither was there.
    pub rest: Cow<'a, [u8]>,
    /// MP_REACH_NLRI.
    pub mp_reach: Option<MpReach<'a>>,
    /// MP_UNREACH_NLRI.
    pub mp_unreach: Option<MpUnreach<'a>>,
    /// An attribute's length ran past the block (RFC 7606 §4): the routes in it are to be withdrawn.
    /// `rest` then holds what came before. So are they where a multiprotocol attribute has the flags
    /// of another kind (RFC 7606 §3 (c)), which says just as little about what else went wrong.
    pub truncated: bool,
}

/// Walks the headers of a block once. Twice MP_REACH_NLRI or MP_UNREACH_NLRI, or one too short to
/// parse, is the end of the session (RFC 7606 §3 (g), §5.3, §7.11).
#[inline]
pub fn split(block: &[u8]) -> Result<Split<'_>, MessageError> {
    let mut split = Split { rest: Cow::Borrowed(&[]), mp_reach: None, mp_unreach: None, truncated: false };
    let mut attributes = RawAttributes::new(block);
    // The one piece of the block that `rest` is as long as it is borrowed.
    let mut piece = 0..0;
    loop {
        let start = block.len() - attributes.remainder().len();
        let Some(attribute) = attributes.next() else { break };
        let end = block.len() - attributes.remainder().len();
        if matches!(attribute.code, code::MP_REACH_NLRI | code::MP_UNREACH_NLRI) {
            take_multiprotocol(&mut split, attribute, block.get(start..end).unwrap_or_default())?;
        } else if let Cow::Owned(rest) = &mut split.rest {
            rest.extend_from_slice(block.get(start..end).unwrap_or_default());
        } else if piece.is_empty() {
            piece = start..end;
        } else if piece.end == start {
            piece.end = end;
        } else {
            let mut rest = Vec::with_capacity(block.len());
            rest.extend_from_slice(block.get(piece.clone()).unwrap_or_default());
            rest.extend_from_slice(block.get(start..end).unwrap_or_default());
            split.rest = Cow::Owned(rest);
        }
    }
    if let Cow::Borrowed(rest) = &mut split.rest {
        *rest = block.get(piece).unwrap_or_default();
    }
    let remainder = attributes.remainder();
    if !remainder.is_empty() {
        // RFC 7606 §3 (j): routes that cannot be read cannot be withdrawn either.
        if let Some(&(code::MP_REACH_NLRI | code::MP_UNREACH_NLRI)) = remainder.get(1) {
            return Err(MessageError::OptionalAttribute(remainder.to_vec()));
        }
        split.truncated = true;
    }
    Ok(split)
}

/// Files one of the two multiprotocol attributes, `whole` being all its octets.
fn take_multiprotocol<'a>(
    split: &mut Split<'a>,
    attribute: RawAttribute<'a>,
    whole: &[u8],
) -> Result<(), MessageError> {
    let twice = if attribute.code == code::MP_REACH_NLRI {
        let decoded = MpReach::decode(attribute.value);
        let decoded = decoded.ok_or_else(|| MessageError::OptionalAttribute(whole.to_vec()))?;
        split.mp_reach.replace(decoded).is_some()
    } else {
        let decoded = MpUnreach::decode(attribute.value);
        let decoded = decoded.ok_or_else(|| MessageError::OptionalAttribute(whole.to_vec()))?;
        split.mp_unreach.replace(decoded).is_some()
    };
    if twice {
        return Err(MessageError::MalformedAttributeList);
    }
    split.truncated |= !table::flags_fit(attribute);
    Ok(())
}
