//! OPEN (RFC 4271 §4.2, RFC 5492, RFC 9072).

use alloc::vec::Vec;

use super::{Asn, Capability, MessageError, RouterId};

/// An OPEN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Open {
    /// The two-octet AS field; [`Asn::TRANS`] where the AS does not fit.
    pub my_as: u16,
    /// Proposed hold time in seconds: 0, or at least 3.
    pub hold_time: u16,
    /// The sender's identifier.
    pub router_id: RouterId,
    /// Capabilities in wire order.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// Parses a body. A zero identifier, a wrong version, a hold time of 1 or 2 and malformed
    /// parameters are errors; unknown capabilities are not.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let _ = body;
        todo!()
    }

    /// Appends the whole message, header included: all capabilities in one parameter, in the extended
    /// form of RFC 9072 where they need it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }

    /// The sender's AS: from the four-octet capability where it is there (RFC 6793 §4.1).
    pub fn asn(&self) -> Asn {
        todo!()
    }
}
