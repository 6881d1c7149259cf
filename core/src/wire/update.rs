//! UPDATE: its three parts (RFC 4271 §4.3). Attributes are in [`super::attr`], prefixes in
//! [`super::nlri`].

use alloc::vec::Vec;

use super::{Family, MessageError, MessageKind};

/// An UPDATE cut into its parts, each still encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// IPv4 unicast prefixes that are gone.
    pub withdrawn: &'a [u8],
    /// The path attributes.
    pub attributes: &'a [u8],
    /// IPv4 unicast prefixes that have these attributes.
    pub nlri: &'a [u8],
}

impl<'a> Update<'a> {
    /// Cuts a body.
    pub fn split(body: &'a [u8]) -> Result<Self, MessageError> {
        let _ = body;
        todo!()
    }

    /// The family whose End-of-RIB marker this is (RFC 4724 §2).
    pub fn end_of_rib(&self) -> Option<Family> {
        todo!()
    }
}

/// Appends a header with a length to be filled in by [`finish_message`] and returns where the message
/// starts.
pub fn begin_message(out: &mut Vec<u8>, kind: MessageKind) -> usize {
    let _ = (out, kind);
    todo!()
}

/// Fills in the length of the message that starts at `start` and ends where `out` ends.
pub fn finish_message(out: &mut [u8], start: usize) {
    let _ = (out, start);
    todo!()
}
