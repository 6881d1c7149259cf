//! OPEN (RFC 4271 §4.2, RFC 5492, RFC 9072).

use alloc::vec::Vec;

use super::{
    Asn, Capability, HEADER_LEN, MAX_LEN, MessageError, MessageKind, RouterId, begin_message, finish_message,
    reader::Reader,
};

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

/// The only version (RFC 4271 §4.2).
const VERSION: u8 = 4;
/// Optional parameter: capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// In the place of the first parameter's type: lengths have two octets from here on (RFC 9072 §2).
const EXTENDED: u8 = 255;
/// What an OPEN can have in capabilities: the longest message less all that stands before them, in the
/// extended form.
const MAX_CAPABILITIES: usize = MAX_LEN - HEADER_LEN - 10 - 3 - 3;

impl Open {
    /// Parses a body. A zero identifier, a wrong version, a hold time of 1 or 2 and malformed
    /// parameters are errors; unknown capabilities are not.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let version = reader.u8().ok_or(MessageError::MalformedOpen)?;
        // First of all: what follows means something only in version 4.
        if version != VERSION {
            return Err(MessageError::UnsupportedVersion(version));
        }
        let fixed = (|| Some((reader.u16()?, reader.u16()?, reader.u32()?)))();
        let (my_as, hold_time, router_id) = fixed.ok_or(MessageError::MalformedOpen)?;
        if matches!(hold_time, 1 | 2) {
            return Err(MessageError::UnacceptableHoldTime(hold_time));
        }
        if router_id == 0 {
            return Err(MessageError::BadRouterId);
        }
        let mut capabilities = Vec::new();
        decode_parameters(reader, &mut capabilities)?;
        Ok(Self { my_as, hold_time, router_id: RouterId(router_id), capabilities })
    }

    /// Appends the whole message, header included: all capabilities in one parameter, in the extended
    /// form of RFC 9072 where they need it. Capabilities that do not fit the message are left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut capabilities = Vec::new();
        for capability in &self.capabilities {
            let before = capabilities.len();
            capability.encode(&mut capabilities);
            if capabilities.len() > MAX_CAPABILITIES {
                capabilities.truncate(before);
            }
        }
        let start = begin_message(out, MessageKind::Open);
        out.push(VERSION);
        out.extend(self.my_as.to_be_bytes());
        out.extend(self.hold_time.to_be_bytes());
        out.extend(self.router_id.0.to_be_bytes());
        match u8::try_from(capabilities.len()) {
            Ok(0) => out.push(0),
            Ok(len @ ..=253) => out.extend([len + 2, CAPABILITIES, len]),
            _ => {
                let len = u16::try_from(capabilities.len()).unwrap_or(u16::MAX);
                out.extend([EXTENDED, EXTENDED]);
                out.extend(len.saturating_add(3).to_be_bytes());
                out.push(CAPABILITIES);
                out.extend(len.to_be_bytes());
            }
        }
        out.extend(&capabilities);
        finish_message(out, start);
    }

    /// The sender's AS: from the four-octet capability where it is there (RFC 6793 §4.1).
    pub fn asn(&self) -> Asn {
        let four_octets = self.capabilities.iter().find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        });
        four_octets.unwrap_or_else(|| Asn(u32::from(self.my_as)))
    }
}

/// The optional parameters, in whichever of the two forms they come; they end where the body ends.
fn decode_parameters(mut reader: Reader<'_>, out: &mut Vec<Capability>) -> Result<(), MessageError> {
    let len = reader.u8().ok_or(MessageError::MalformedOpen)?;
    // RFC 9072 §2: once the first type says so, the one-octet length is not looked at.
    let extended = len != 0 && reader.rest().first() == Some(&EXTENDED);
    let parameters = if extended {
        reader.u8().and_then(|_| reader.take_u16_prefixed())
    } else {
        reader.take(usize::from(len))
    };
    let mut parameters = Reader::new(parameters.ok_or(MessageError::MalformedOpen)?);
    if !reader.is_empty() {
        return Err(MessageError::MalformedOpen);
    }
    while let Some(kind) = parameters.u8() {
        let value = if extended { parameters.take_u16_prefixed() } else { parameters.take_u8_prefixed() };
        let value = value.ok_or(MessageError::MalformedOpen)?;
        if kind != CAPABILITIES {
            return Err(MessageError::UnsupportedParameter(kind));
        }
        let mut capabilities = Reader::new(value);
        while let Some(code) = capabilities.u8() {
            let capability =
                capabilities.take_u8_prefixed().and_then(|value| Capability::decode(code, value));
            out.push(capability.ok_or(MessageError::MalformedOpen)?);
        }
    }
    Ok(())
}
