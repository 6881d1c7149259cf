//! ROUTE-REFRESH (RFC 2918, RFC 7313).

use alloc::vec::Vec;

use super::{Family, MessageError};

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
    /// Parses a body.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let _ = body;
        todo!()
    }

    /// Appends the whole message, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}
