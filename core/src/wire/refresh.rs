//! ROUTE-REFRESH (RFC 2918, RFC 7313).

use alloc::vec::Vec;

use super::{Family, HEADER_LEN, MessageError, MessageKind, begin_message, finish_message};

/// A ROUTE-REFRESH.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteRefresh {
    /// Whose routes are asked for.
    pub family: Family,
    /// 0: a request; 1 and 2: begin and end of a refresh (RFC 7313 §3.2).
    pub subtype: u8,
    /// What follows, such as an outbound route filter: kept, not interpreted.
    pub extra: Vec<u8>,
}

impl RouteRefresh {
    /// A plain request for the routes of `family`.
    pub const fn request(family: Family) -> Self {
        Self { family, subtype: 0, extra: Vec::new() }
    }

    /// Parses a body. The markers of an enhanced refresh have nothing behind them (RFC 7313 §5);
    /// subtypes that are not known are for the session to ignore.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        match *body {
            [a, b, subtype, safi] => Ok((u16::from_be_bytes([a, b]), subtype, safi, &[][..])),
            [a, b, subtype, safi, ref extra @ ..] if !matches!(subtype, 1 | 2) => {
                Ok((u16::from_be_bytes([a, b]), subtype, safi, extra))
            }
            _ => Err(Self::malformed(body)),
        }
        .map(|(afi, subtype, safi, extra)| Self {
            family: Family::new(afi, safi),
            subtype,
            extra: extra.to_vec(),
        })
    }

    /// The error's data is the whole message (RFC 7313 §5), so the header is put back.
    fn malformed(body: &[u8]) -> MessageError {
        let mut message = Vec::with_capacity(HEADER_LEN + body.len());
        let start = begin_message(&mut message, MessageKind::RouteRefresh);
        message.extend(body);
        finish_message(&mut message, start);
        MessageError::BadRefresh(message)
    }

    /// Appends the whole message, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_message(out, MessageKind::RouteRefresh);
        out.extend(self.family.afi.0.to_be_bytes());
        out.extend([self.subtype, self.family.safi.0]);
        out.extend(&self.extra);
        finish_message(out, start);
    }
}
