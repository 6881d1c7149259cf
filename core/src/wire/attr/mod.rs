//! Path attributes: one table row for each (RFC 4271 §5, RFC 7606).

use alloc::{borrow::Cow, vec::Vec};
use core::net::Ipv4Addr;

use super::{
    Asn, Community, ExtendedCommunity, Family, LargeCommunity, MessageError, NextHop, Origin, RouterId,
    SessionKind,
};

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

    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// Appends one attribute; chooses the extended length where the value needs it.
pub fn write(flags: u8, code: u8, value: &[u8], out: &mut Vec<u8>) {
    let _ = (flags, code, value, out);
    todo!()
}

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
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let _ = value;
        todo!()
    }

    /// The next hop of a unicast family; `None` where its length is none the family allows
    /// (RFC 2545 §3, RFC 8950 §3).
    pub fn unicast_next_hop(&self) -> Option<NextHop> {
        todo!()
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
    pub fn decode(value: &'a [u8]) -> Option<Self> {
        let _ = value;
        todo!()
    }
}

/// The attribute block of an UPDATE with the two multiprotocol attributes taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split<'a> {
    /// Everything else, in wire order; borrowed where neither was there.
    pub rest: Cow<'a, [u8]>,
    /// MP_REACH_NLRI.
    pub mp_reach: Option<MpReach<'a>>,
    /// MP_UNREACH_NLRI.
    pub mp_unreach: Option<MpUnreach<'a>>,
    /// An attribute's length ran past the block (RFC 7606 §4): the routes in it are to be withdrawn.
    /// `rest` then holds what came before.
    pub truncated: bool,
}

/// Walks the headers of a block once. Twice MP_REACH_NLRI or MP_UNREACH_NLRI, or one too short to
/// parse, is the end of the session (RFC 7606 §3 (g), §5.3, §7.11).
pub fn split(block: &[u8]) -> Result<Split<'_>, MessageError> {
    let _ = block;
    todo!()
}

/// What a session negotiated, as far as attributes depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeContext {
    /// Whether AS numbers have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// iBGP or eBGP.
    pub kind: SessionKind,
}

/// What one malformed attribute does to the UPDATE that has it (RFC 7606 §2). In order of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// Nothing is malformed.
    #[default]
    Accept,
    /// The attribute is dropped, the rest counts.
    AttributeDiscard,
    /// The routes of the UPDATE are withdrawn.
    TreatAsWithdraw,
}

/// Which attribute was malformed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttributeFault {
    /// Type code.
    pub code: u8,
    /// What it led to.
    pub outcome: Outcome,
    /// What was wrong.
    pub reason: FaultReason,
}

/// What can be wrong with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultReason {
    /// Optional or transitive bit is not the type's (RFC 7606 §3 (c)).
    Flags,
    /// The length is none the type allows.
    Length,
    /// The value is none the type allows.
    Value,
    /// It was there before (RFC 7606 §3 (g)); the first one counts.
    Duplicate,
    /// A mandatory attribute is missing (RFC 7606 §3 (d)).
    Missing,
    /// It must not come from such a peer (RFC 7606 §7.5, §7.9, §7.10).
    NotFromThisPeer,
    /// Its length runs past the block (RFC 7606 §4).
    Truncated,
}

/// What a block of attributes (without the multiprotocol ones) says: the fields that a decision reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The worst outcome of all attributes.
    pub outcome: Outcome,
    /// The first attribute that led to `outcome`.
    pub fault: Option<AttributeFault>,
    /// The block in canonical form, where the received one is not: discarded attributes gone, AS
    /// numbers four octets wide, AS4_PATH merged (RFC 6793 §4.2.3).
    pub canonical: Option<Vec<u8>>,
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH length as the decision counts it: an AS_SET is one, confederation segments are none
    /// (RFC 4271 §9.1.2.2, RFC 5065 §5.3).
    pub as_path_len: u16,
    /// The first AS of the path, if it starts with an AS_SEQUENCE: the neighbouring AS for MED.
    pub first_as: Option<Asn>,
    /// The last AS of the path: who originated it.
    pub origin_as: Option<Asn>,
    /// NEXT_HOP.
    pub next_hop: Option<Ipv4Addr>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ORIGINATOR_ID.
    pub originator_id: Option<RouterId>,
    /// Entries of CLUSTER_LIST.
    pub cluster_list_len: u16,
    /// NO_EXPORT or NO_EXPORT_SUBCONFED is among the communities.
    pub no_export: bool,
    /// NO_ADVERTISE is among the communities.
    pub no_advertise: bool,
}

/// Checks a block of attributes by the table and reads it. `reachable`: the UPDATE announces routes, so
/// mandatory attributes must be there; `needs_next_hop`: among them IPv4 NLRI outside MP_REACH_NLRI.
pub fn parse(block: &[u8], context: AttributeContext, reachable: bool, needs_next_hop: bool) -> Summary {
    let _ = (block, context, reachable, needs_next_hop);
    todo!()
}

/// Whether a canonical block's AS_PATH contains `asn` (RFC 4271 §9.1.2).
pub fn as_path_contains(block: &[u8], asn: Asn) -> bool {
    let _ = (block, asn);
    todo!()
}

/// Whether a canonical block's CLUSTER_LIST contains `id` (RFC 4456 §8).
pub fn cluster_list_contains(block: &[u8], id: RouterId) -> bool {
    let _ = (block, id);
    todo!()
}

/// Kinds of AS_PATH segments (RFC 4271 §4.3, RFC 5065 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// AS_SET
    Set = 1,
    /// AS_SEQUENCE
    Sequence = 2,
    /// AS_CONFED_SEQUENCE
    ConfedSequence = 3,
    /// AS_CONFED_SET
    ConfedSet = 4,
}

/// One AS_PATH segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// Its kind.
    pub kind: SegmentKind,
    /// Its AS numbers, at most 255.
    pub asns: Vec<Asn>,
}

/// An AS path, decoded. Displays as operators write it: `65010 65001 {1,2} (3 4)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsPath {
    /// Segments, the nearest first.
    pub segments: Vec<Segment>,
}

impl AsPath {
    /// Parses a value of AS_PATH or AS4_PATH; `None` where it is malformed.
    pub fn decode(value: &[u8], four_octet_as: bool) -> Option<Self> {
        let _ = (value, four_octet_as);
        todo!()
    }

    /// Appends the value with four-octet AS numbers.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}

/// AGGREGATOR (RFC 4271 §5.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// Who formed the aggregate.
    pub asn: Asn,
    /// Its identifier.
    pub router_id: RouterId,
}

/// An attribute this codec does not interpret, kept byte-exact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OtherAttribute {
    /// Flags.
    pub flags: u8,
    /// Type code.
    pub code: u8,
    /// Value.
    pub value: Vec<u8>,
}

/// The attributes of a route, decoded and owned: for originating, showing and testing. The table keeps
/// blocks instead. The next hop is not among them: it belongs to the route's family.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PathAttributes {
    /// ORIGIN.
    pub origin: Origin,
    /// AS_PATH.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AGGREGATOR.
    pub aggregator: Option<Aggregator>,
    /// COMMUNITIES, in wire order.
    pub communities: Vec<Community>,
    /// EXTENDED COMMUNITIES, in wire order.
    pub extended_communities: Vec<ExtendedCommunity>,
    /// LARGE_COMMUNITIES, in wire order.
    pub large_communities: Vec<LargeCommunity>,
    /// ORIGINATOR_ID (RFC 4456).
    pub originator_id: Option<RouterId>,
    /// CLUSTER_LIST (RFC 4456).
    pub cluster_list: Vec<RouterId>,
    /// Everything else, in wire order.
    pub other: Vec<OtherAttribute>,
}

impl PathAttributes {
    /// Reads a canonical block (NEXT_HOP in it is passed over).
    pub fn decode(block: &[u8]) -> Self {
        let _ = block;
        todo!()
    }

    /// Appends the canonical block, attributes in order of their codes, empty ones left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}

/// How an attribute fares when a route is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// To everyone.
    Always,
    /// To internal peers only.
    Internal,
    /// The sender writes it anew: AS_PATH, NEXT_HOP, MP_REACH_NLRI.
    Rewritten,
    /// Unknown and transitive: to everyone, with the partial bit set (RFC 4271 §5).
    Partial,
    /// To nobody.
    Never,
}

/// How the attribute with this code and these flags is sent on.
pub fn propagation(code: u8, flags: u8) -> Propagation {
    let _ = (code, flags);
    todo!()
}
