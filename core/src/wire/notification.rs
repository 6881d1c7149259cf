//! NOTIFICATION (RFC 4271 §4.5).

use alloc::{string::String, vec::Vec};

use super::MessageError;

/// Why a session ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Diagnostic data.
    pub data: Vec<u8>,
}

impl Notification {
    /// A NOTIFICATION without data.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

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

    /// The text of an administrative Cease, if there is one (RFC 9003).
    pub fn text(&self) -> Option<String> {
        todo!()
    }
}
