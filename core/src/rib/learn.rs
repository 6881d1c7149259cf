//! From an UPDATE's octets to the table (RFC 4271 §9, RFC 7606).

use alloc::vec::Vec;

use super::{
    Rib, Shared,
    attrs::{AttrId, AttrKey, Class},
    plane::{Decoded, Plane},
    table::Address,
};
use crate::wire::{
    Family, MessageError, SessionKind, Update,
    attr::{self, AttributeContext, AttributeFault, FaultReason, MpReach, Outcome, code, flag},
};

/// What an UPDATE did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// An attribute was malformed, and this is what it led to.
    pub(crate) fault: Option<AttributeFault>,
    /// The table has no room for another prefix.
    pub(crate) full: bool,
}

/// What the session of an UPDATE negotiated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LearnContext<'a> {
    pub(crate) attributes: AttributeContext,
    pub(crate) families: &'a [Family],
}

impl Rib {
    /// Takes an UPDATE in. An error ends the session.
    pub(crate) fn learn(
        &mut self,
        source: u16,
        update: &Update<'_>,
        context: LearnContext<'_>,
    ) -> Result<Report, MessageError> {
        let mut report = Report::default();
        let split = attr::split(update.attributes)?;
        let v4 = context.families.contains(&Family::IPV4_UNICAST);
        let v6 = context.families.contains(&Family::IPV6_UNICAST);
        if v4 {
            self.v4.withdraw_field(&mut self.shared, source, update.withdrawn)?;
        }
        if let Some(gone) = split.mp_unreach {
            match gone.family {
                Family::IPV4_UNICAST if v4 => {
                    self.v4.withdraw_field(&mut self.shared, source, gone.withdrawn)?;
                }
                Family::IPV6_UNICAST if v6 => {
                    self.v6.withdraw_field(&mut self.shared, source, gone.withdrawn)?;
                }
                _ => {}
            }
        }
        let reach = split.mp_reach.filter(|reach| match reach.family {
            Family::IPV4_UNICAST => v4,
            Family::IPV6_UNICAST => v6,
            // Negotiated or not, there is no table for it.
            _ => false,
        });
        if split.truncated {
            let fault =
                AttributeFault { code: 0, outcome: Outcome::TreatAsWithdraw, reason: FaultReason::Truncated };
            report.fault = Some(fault);
            if update.nlri.is_empty() && split.mp_reach.is_none() && !update.attributes.is_empty() {
                // Which routes were meant cannot be told (RFC 7606 §3 (j)).
                return Err(MessageError::MalformedAttributeList);
            }
        }
        if !update.nlri.is_empty() && v4 {
            let set = (!split.truncated)
                .then(|| self.attribute_set(&split.rest, &[], context, &mut report))
                .flatten();
            self.v4.announce_field(&mut self.shared, source, update.nlri, set, &mut report)?;
        }
        if let Some(reach) = reach {
            let next_hop = mp_next_hop(&reach)?;
            let set = (!split.truncated)
                .then(|| self.attribute_set(&split.rest, next_hop, context, &mut report))
                .flatten();
            let (shared, report) = (&mut self.shared, &mut report);
            match reach.family {
                Family::IPV4_UNICAST => {
                    self.v4.announce_field(shared, source, reach.nlri, set, report)?;
                }
                Family::IPV6_UNICAST => {
                    self.v6.announce_field(shared, source, reach.nlri, set, report)?;
                }
                _ => {}
            }
        }
        Ok(report)
    }

    /// The interned set of a block; `None`: its routes are to be withdrawn.
    fn attribute_set(
        &mut self,
        block: &[u8],
        next_hop: &[u8],
        context: LearnContext<'_>,
        report: &mut Report,
    ) -> Option<AttrId> {
        let class = match context.attributes.kind {
            SessionKind::Internal => Class::Internal,
            SessionKind::External => Class::External,
        };
        let key = AttrKey { class, edited: false, next_hop, block };
        // Blocks are kept with four-octet AS numbers: the same octets mean something else with two.
        if context.attributes.four_octet_as
            && let Some(id) = self.shared.attrs.find(&key)
        {
            return Some(id);
        }
        let summary = attr::parse(block, context.attributes, true, next_hop.is_empty());
        report.fault = report.fault.or(summary.fault);
        if summary.outcome == Outcome::TreatAsWithdraw {
            return None;
        }
        let block = summary.canonical.as_deref().unwrap_or(block);
        let Shared { attrs, identity, next_hops, .. } = &mut self.shared;
        let key = AttrKey { class, edited: false, next_hop, block };
        attrs.intern(&key, &summary, *identity, |address| next_hops.metric(address))
    }
}

/// The next hop's octets, where their number is one the family allows (RFC 7606 §7.11).
fn mp_next_hop<'a>(reach: &MpReach<'a>) -> Result<&'a [u8], MessageError> {
    match reach.unicast_next_hop() {
        Some(_) => Ok(reach.next_hop),
        None => {
            let mut attribute = Vec::from([flag::OPTIONAL | flag::EXTENDED_LENGTH, code::MP_REACH_NLRI]);
            let len = 5 + reach.next_hop.len() + reach.nlri.len();
            attribute.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
            Err(MessageError::OptionalAttribute(attribute))
        }
    }
}

impl<A: Address> Plane<A> {
    fn withdraw_field(&mut self, shared: &mut Shared, source: u16, field: &[u8]) -> Result<(), MessageError> {
        let whole = A::for_each(field, |prefix| self.forget(shared, source, prefix));
        if whole { Ok(()) } else { Err(MessageError::InvalidNetworkField) }
    }

    fn announce_field(
        &mut self,
        shared: &mut Shared,
        source: u16,
        field: &[u8],
        set: Option<AttrId>,
        report: &mut Report,
    ) -> Result<(), MessageError> {
        let Some(set) = set else {
            return self.withdraw_field(shared, source, field);
        };
        // Held while the field is walked: the last of its routes may replace the first.
        shared.attrs.retain(set, 1);
        let whole = A::for_each(field, |prefix| {
            report.full |= !self.learn(shared, source, prefix, set);
        });
        shared.attrs.release(set);
        // Its number may be another set's soon.
        shared.decoded = Decoded::default();
        if whole { Ok(()) } else { Err(MessageError::InvalidNetworkField) }
    }
}
