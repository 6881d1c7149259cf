//! NOTIFICATION (RFC 4271 §4.5), Hard Reset (RFC 8538 §3).

use alloc::{string::String, vec::Vec};

use super::{HEADER_LEN, MAX_LEN, MessageError, MessageKind, begin_message, finish_message, reader::Reader};

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

/// Cease and those of its subcodes that this file reads (RFC 4486, RFC 9003, RFC 8538).
const CEASE: u8 = 6;
const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
const ADMINISTRATIVE_RESET: u8 = 4;
const HARD_RESET: u8 = 9;

impl Notification {
    /// A NOTIFICATION without data.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// Parses a body.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let [code, subcode, data @ ..] = body else {
            return Err(MessageError::MalformedNotification);
        };
        Ok(Self { code: *code, subcode: *subcode, data: data.to_vec() })
    }

    /// Appends the whole message, header included. Data that a peer without extended messages could
    /// not receive is cut off: some of a diagnosis is better than a second error.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = begin_message(out, MessageKind::Notification);
        out.extend([self.code, self.subcode]);
        out.extend(self.data.iter().take(MAX_LEN - HEADER_LEN - 2));
        finish_message(out, start);
    }

    /// This reason as a Hard Reset, Cease 6/9 (RFC 8538 §3.1): a peer that would keep routes over a
    /// NOTIFICATION keeps none over this one. Only a peer that offered the N bit understands it.
    #[must_use]
    pub fn into_hard_reset(self) -> Self {
        let mut data = Vec::with_capacity(2 + self.data.len());
        data.extend([self.code, self.subcode]);
        data.extend(self.data);
        Self { data, ..Self::new(CEASE, HARD_RESET) }
    }

    /// The reason that a Hard Reset carries. `None`: it is no Hard Reset, or carries none.
    pub fn hard_reset_cause(&self) -> Option<Self> {
        if (self.code, self.subcode) != (CEASE, HARD_RESET) {
            return None;
        }
        Self::decode(&self.data).ok()
    }

    /// The text of an administrative Cease, if there is one (RFC 9003 §2): shutdown and reset carry
    /// it, also within a Hard Reset. Text that is empty, overruns the data or is not UTF-8 is none.
    pub fn text(&self) -> Option<String> {
        match self.hard_reset_cause() {
            Some(cause) => cause.administrative_text(),
            None => self.administrative_text(),
        }
    }

    fn administrative_text(&self) -> Option<String> {
        if self.code != CEASE || !matches!(self.subcode, ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET) {
            return None;
        }
        let text = Reader::new(&self.data).take_u8_prefixed()?;
        let text = core::str::from_utf8(text).ok()?;
        (!text.is_empty()).then(|| text.into())
    }
}
