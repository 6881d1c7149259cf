//! What a block of attributes means to its UPDATE, and what a decision reads of it (RFC 7606).
//!
//! The block itself is the route's attributes; [`Summary`] is what would otherwise be looked for in it
//! again and again.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use super::{
    super::{Asn, Community, Origin, RouterId, SessionKind, reader::Reader},
    RawAttribute, RawAttributes,
    as_path::{PathFacts, RawSegments},
    canonical::{Accepted, CodeSet, has_duplicates},
    code, find, flag, table,
};

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
    /// numbers four octets wide, AS4_PATH merged (RFC 6793 §4.2.3), large communities there once.
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
///
/// A block that is fine as it came is read in one pass and not copied.
///
/// An unknown attribute that claims to be well-known is treated as a withdrawal. RFC 4271 §6.3 ends the
/// session for it and RFC 7606 does not mention it; but what RFC 7606 §2 wants of every attribute whose
/// length can be trusted is that one route's oddity does not cost all the others.
pub fn parse(block: &[u8], context: AttributeContext, reachable: bool, needs_next_hop: bool) -> Summary {
    let mut summary = Summary::default();
    let (mut seen, mut dropped) = (CodeSet::default(), CodeSet::default());
    let mut verbatim = context.four_octet_as;
    let mut attributes = RawAttributes::new(block);
    for attribute in attributes.by_ref() {
        let code = attribute.code;
        let fault = if !seen.insert(code) {
            (Outcome::AttributeDiscard, FaultReason::Duplicate)
        } else if let Err(fault) = check(attribute, context, &mut summary) {
            dropped.insert(code);
            fault
        } else {
            // No fault (RFC 8092 §3), but not what is passed on either.
            verbatim &= code != code::LARGE_COMMUNITIES || !has_duplicates(attribute.value);
            continue;
        };
        verbatim = false;
        summary.record(code, fault);
    }
    let remainder = attributes.remainder();
    if !remainder.is_empty() {
        verbatim = false;
        let code = remainder.get(1).copied().unwrap_or_default();
        summary.record(code, (Outcome::TreatAsWithdraw, FaultReason::Truncated));
    }
    if reachable {
        let mandatory = [
            (code::ORIGIN, true),
            (code::AS_PATH, true),
            (code::NEXT_HOP, needs_next_hop),
            (code::LOCAL_PREF, context.kind == SessionKind::Internal),
        ];
        for (code, _) in mandatory.into_iter().filter(|&(code, needed)| needed && !seen.contains(code)) {
            summary.record(code, (Outcome::TreatAsWithdraw, FaultReason::Missing));
        }
    }
    if !verbatim {
        canonicalize(block, context, &dropped, &mut summary);
    }
    summary
}

/// What a malformed attribute leads to, and why.
type Fault = (Outcome, FaultReason);

/// Holds one attribute against its row and reads it.
#[inline]
fn check(attribute: RawAttribute<'_>, context: AttributeContext, summary: &mut Summary) -> Result<(), Fault> {
    let RawAttribute { flags, code, value } = attribute;
    let Some(row) = table::row(code) else {
        let well_known = flags & flag::OPTIONAL == 0;
        return if well_known { Err((Outcome::TreatAsWithdraw, FaultReason::Flags)) } else { Ok(()) };
    };
    if !row.is_taken(context) {
        return Err((Outcome::AttributeDiscard, FaultReason::NotFromThisPeer));
    }
    if !row.flags_fit(flags) {
        // RFC 7606 §3 (c): no attribute we know mandates anything milder for its flags.
        return Err((Outcome::TreatAsWithdraw, FaultReason::Flags));
    }
    if !row.length_fits(value.len(), context) {
        return Err((row.malformed, FaultReason::Length));
    }
    read(code, value, context, summary).ok_or((row.malformed, FaultReason::Value))
}

/// Reads a value whose length is right; `None` where the value is none the type allows.
#[inline]
fn read(code: u8, value: &[u8], context: AttributeContext, summary: &mut Summary) -> Option<()> {
    let mut reader = Reader::new(value);
    match code {
        code::ORIGIN => summary.origin = Origin::of(reader.u8()?)?,
        code::AS_PATH => {
            let facts = if context.four_octet_as {
                PathFacts::read::<4>(value)?
            } else {
                PathFacts::read::<2>(value)?
            };
            // RFC 5065 §5: a plain external peer is in no confederation of ours.
            if facts.confederation && context.kind == SessionKind::External {
                return None;
            }
            summary.set_path(facts);
        }
        code::NEXT_HOP => {
            let next_hop = Ipv4Addr::from(reader.u32()?);
            summary.next_hop = Some(next_hop).filter(|&next_hop| is_host(next_hop));
            summary.next_hop?;
        }
        code::MULTI_EXIT_DISC => summary.med = Some(reader.u32()?),
        code::LOCAL_PREF => summary.local_pref = Some(reader.u32()?),
        // RFC 7607 §2: AS 0 has formed no aggregate.
        code::AGGREGATOR | code::AS4_AGGREGATOR => {
            let asn = value.get(..value.len().saturating_sub(4))?;
            asn.iter().any(|&octet| octet != 0).then_some(())?;
        }
        code::COMMUNITIES => {
            let (communities, _) = value.as_chunks();
            for community in communities {
                match Community(u32::from_be_bytes(*community)) {
                    Community::NO_EXPORT | Community::NO_EXPORT_SUBCONFED => summary.no_export = true,
                    Community::NO_ADVERTISE => summary.no_advertise = true,
                    _ => {}
                }
            }
        }
        code::ORIGINATOR_ID => summary.originator_id = Some(RouterId(reader.u32()?)),
        code::CLUSTER_LIST => summary.cluster_list_len = u16::try_from(value.len() / 4).unwrap_or(u16::MAX),
        // RFC 6793 §6: unlike AS_PATH it is malformed when empty.
        code::AS4_PATH => {
            (!value.is_empty()).then_some(())?;
            PathFacts::read::<4>(value)?;
        }
        _ => {}
    }
    Some(())
}

/// Whether it can be a host's address (RFC 4271 §6.3: a syntactically incorrect NEXT_HOP). Loopback can:
/// speakers on one machine use it, and whether it is reachable is for `Speaker::handle_next_hop` to say.
#[inline]
const fn is_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !address.is_unspecified() && first < 224
}

impl Summary {
    /// Notes a fault; the first of the worst ones is kept.
    fn record(&mut self, code: u8, (outcome, reason): Fault) {
        if outcome > self.outcome {
            self.outcome = outcome;
            self.fault = Some(AttributeFault { code, outcome, reason });
        }
    }

    #[inline]
    fn set_path(&mut self, facts: PathFacts) {
        self.as_path_len = u16::try_from(facts.length).unwrap_or(u16::MAX);
        self.first_as = facts.first;
        self.origin_as = facts.origin;
    }
}

/// Writes the canonical block and reads again what depends on it.
#[cold]
fn canonicalize(block: &[u8], context: AttributeContext, dropped: &CodeSet, summary: &mut Summary) {
    let accepted = Accepted::new(block, dropped);
    let mut out = Vec::with_capacity(block.len());
    if context.four_octet_as {
        accepted.copy(&mut out);
    } else if let Some(path) = accepted.widen(&mut out) {
        match PathFacts::read::<4>(&path) {
            Some(facts) if u16::try_from(path.len()).is_ok() => summary.set_path(facts),
            // A path of 64 KiB with two-octet numbers does not fit an attribute once it is wider.
            _ => summary.record(code::AS_PATH, (Outcome::TreatAsWithdraw, FaultReason::Length)),
        }
    }
    summary.canonical = Some(out);
}

/// Whether a canonical block's AS_PATH contains `asn` (RFC 4271 §9.1.2), confederation segments
/// included (RFC 5065 §4).
pub fn as_path_contains(block: &[u8], asn: Asn) -> bool {
    let octets = asn.0.to_be_bytes();
    find(block, code::AS_PATH).is_some_and(|path| {
        RawSegments::<4>::new(path.value).flatten().any(|segment| segment.asns.contains(&octets))
    })
}

/// Whether a canonical block's CLUSTER_LIST contains `id` (RFC 4456 §8).
pub fn cluster_list_contains(block: &[u8], id: RouterId) -> bool {
    let octets = id.0.to_be_bytes();
    find(block, code::CLUSTER_LIST).is_some_and(|list| list.value.as_chunks().0.contains(&octets))
}
