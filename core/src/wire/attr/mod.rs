//! Path attributes: one table row for each (RFC 4271 §5, RFC 7606).

use alloc::vec::Vec;

use super::reader::Reader;

mod as_path;
mod canonical;
mod mp;
mod parse;
mod path_attributes;
mod table;
#[cfg(test)]
mod tests;

pub use as_path::{AsPath, Segment, SegmentKind};
pub use mp::{MpReach, MpUnreach, Split, split};
pub use parse::{
    AttributeContext, AttributeFault, FaultReason, Outcome, Summary, as_path_contains, cluster_list_contains,
    parse,
};
pub use path_attributes::{Aggregator, OtherAttribute, PathAttributes};
pub use table::{Propagation, name, propagation};

/// Attribute type codes.
pub mod code {
    #![allow(missing_docs)]
    pub const ORIGIN: u8 = 1;
    pub const AS_PATH: u8 = 2;
    pub const NEXT_HOP: u8 = 3;
    pub const MULTI_EXIT_DISC: u8 = 4;
    pub const LOCAL_PREF: u8 = 5;
    pub const ATOMIC_AGGREGATE: u8 = 6;
    pub const AGGREGATOR: u8 = 7;
    pub const COMMUNITIES: u8 = 8;
    pub const ORIGINATOR_ID: u8 = 9;
    pub const CLUSTER_LIST: u8 = 10;
    pub const MP_REACH_NLRI: u8 = 14;
    pub const MP_UNREACH_NLRI: u8 = 15;
    pub const EXTENDED_COMMUNITIES: u8 = 16;
    pub const AS4_PATH: u8 = 17;
    pub const AS4_AGGREGATOR: u8 = 18;
    pub const LARGE_COMMUNITIES: u8 = 32;
}

/// Attribute flag bits (RFC 4271 §4.3).
pub mod flag {
    #![allow(missing_docs)]
    pub const OPTIONAL: u8 = 0x80;
    pub const TRANSITIVE: u8 = 0x40;
    pub const PARTIAL: u8 = 0x20;
    pub const EXTENDED_LENGTH: u8 = 0x10;
}

/// One attribute as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RawAttribute<'a> {
    /// Flags, the extended-length bit included.
    pub flags: u8,
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: &'a [u8],
}

/// Iterates over a block of attributes; stops at the first whose length does not fit.
#[derive(Clone, Debug)]
pub struct RawAttributes<'a> {
    block: &'a [u8],
}

impl<'a> RawAttributes<'a> {
    /// Over `block`.
    #[inline]
    pub fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// What was not read: empty unless a length did not fit.
    pub fn remainder(&self) -> &'a [u8] {
        self.block
    }
}

impl<'a> Iterator for RawAttributes<'a> {
    type Item = RawAttribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(self.block);
        let [flags, code] = reader.array()?;
        let value = if flags & flag::EXTENDED_LENGTH != 0 {
            reader.take_u16_prefixed()?
        } else {
            reader.take_u8_prefixed()?
        };
        self.block = reader.rest();
        Some(RawAttribute { flags, code, value })
    }
}

/// Appends one attribute; chooses the extended length where the value needs it. A value over 65,535
/// octets fits no message: such an attribute is left out.
#[inline]
pub fn write(flags: u8, code: u8, value: &[u8], out: &mut Vec<u8>) {
    let flags = flags & !flag::EXTENDED_LENGTH;
    if let Ok(len) = u8::try_from(value.len()) {
        out.extend_from_slice(&[flags, code, len]);
    } else if let Ok(len) = u16::try_from(value.len()) {
        let [high, low] = len.to_be_bytes();
        out.extend_from_slice(&[flags | flag::EXTENDED_LENGTH, code, high, low]);
    } else {
        return;
    }
    out.extend_from_slice(value);
}

/// The first attribute with this code.
#[inline]
fn find(block: &[u8], code: u8) -> Option<RawAttribute<'_>> {
    RawAttributes::new(block).find(|attribute| attribute.code == code)
}
