//! UPDATE: its three parts (RFC 4271 §4.3). Attributes are in [`super::attr`], prefixes in
//! [`super::nlri`].

use alloc::vec::Vec;

use super::{
    Family, HEADER_LEN, MAX_EXTENDED_LEN, MessageError, MessageKind,
    attr::{MpUnreach, RawAttributes, code},
    frame::MARKER,
    reader::Reader,
};

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
    /// Cuts a body: two lengths that have to fit (RFC 4271 §6.3).
    #[inline]
    pub fn split(body: &'a [u8]) -> Result<Self, MessageError> {
        let mut reader = Reader::new(body);
        let parts = (|| Some((reader.take_u16_prefixed()?, reader.take_u16_prefixed()?)))();
        let (withdrawn, attributes) = parts.ok_or(MessageError::MalformedAttributeList)?;
        Ok(Self { withdrawn, attributes, nlri: reader.rest() })
    }

    /// The family whose End-of-RIB marker this is (RFC 4724 §2): an UPDATE with nothing in it, or with
    /// an empty MP_UNREACH_NLRI alone.
    pub fn end_of_rib(&self) -> Option<Family> {
        if !self.withdrawn.is_empty() || !self.nlri.is_empty() {
            return None;
        }
        if self.attributes.is_empty() {
            return Some(Family::IPV4_UNICAST);
        }
        // The longest form is seven octets: real updates are told apart without reading them.
        if self.attributes.len() > 7 {
            return None;
        }
        let mut attributes = RawAttributes::new(self.attributes);
        let only = attributes.next()?;
        if only.code != code::MP_UNREACH_NLRI || !attributes.remainder().is_empty() {
            return None;
        }
        let unreach = MpUnreach::decode(only.value)?;
        unreach.withdrawn.is_empty().then_some(unreach.family)
    }
}

/// Appends a header with a length to be filled in by [`finish_message`] and returns where the message
/// starts.
#[inline]
pub fn begin_message(out: &mut Vec<u8>, kind: MessageKind) -> usize {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0, 0, kind as u8]);
    start
}

/// Fills in the length of the message that starts at `start` and ends where `out` ends. The caller
/// keeps it within what the session agreed to; one over 65,535 octets cannot be told apart from it.
#[inline]
pub fn finish_message(out: &mut [u8], start: usize) {
    let len = out.len().saturating_sub(start);
    debug_assert!((HEADER_LEN..=MAX_EXTENDED_LEN).contains(&len), "a message of {len} octets");
    let len = u16::try_from(len).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start + 16..start + 18) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}
