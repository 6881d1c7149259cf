//! What a session carried: every message that reached one end, and what of it still stands.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use peerage_core::wire::{
    Capability, Family, NextHop, Notification, Open, SessionKind,
    attr::{AttributeContext, Outcome, PathAttributes},
};

use crate::message::{Message, Reader};

/// A route as it came over the wire, before any policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its attributes.
    pub attributes: PathAttributes,
    /// Its next hop.
    pub next_hop: NextHop,
}

/// What reached one end of a connection.
#[derive(Clone, Debug, Default)]
pub struct Half {
    reader: Reader,
    /// The other end's OPEN.
    pub open: Option<Open>,
    /// Announced and not withdrawn.
    pub routes: BTreeMap<IpNet, Received>,
    /// Families whose End-of-RIB came.
    pub end_of_rib: BTreeSet<Family>,
    /// The NOTIFICATION that ended it.
    pub notification: Option<Notification>,
    /// UPDATEs, End-of-RIB markers included.
    pub updates: u64,
    /// Prefixes announced, again or for the first time.
    pub announcements: u64,
    /// Prefixes withdrawn.
    pub withdrawals: u64,
    /// KEEPALIVEs.
    pub keepalives: u64,
    /// ROUTE-REFRESHes.
    pub refreshes: u64,
    /// The first message that was not well-formed, and why.
    pub malformed: Option<String>,
    /// Every UPDATE, where the world [keeps](crate::World::keep_messages) them.
    pub log: Vec<Message>,
}

impl Half {
    /// Takes octets in. Returns whether routes were among them.
    pub(crate) fn take(&mut self, octets: &[u8], own: Option<&Open>, keep: bool) -> bool {
        if self.malformed.is_some() {
            return true;
        }
        self.reader.push(octets);
        let mut substance = false;
        loop {
            if let (Some(open), Some(own)) = (&self.open, own) {
                self.reader.set_context(context(open, own));
            }
            match self.reader.take() {
                Ok(Some(message)) => substance |= self.message(message, keep),
                Ok(None) => break,
                Err(error) => {
                    self.malformed = Some(format!("{error:?}"));
                    return true;
                }
            }
        }
        substance
    }

    /// Routes of a family.
    pub fn family(&self, family: Family) -> BTreeMap<IpNet, Received> {
        let v4 = family == Family::IPV4_UNICAST;
        self.routes
            .iter()
            .filter(|(prefix, _)| prefix.addr().is_ipv4() == v4)
            .map(|(prefix, received)| (*prefix, received.clone()))
            .collect()
    }

    fn message(&mut self, message: Message, keep: bool) -> bool {
        let kept = if keep { Some(message.clone()) } else { None };
        match message {
            Message::Keepalive => {
                self.keepalives += 1;
                return false;
            }
            Message::Open(open) => {
                self.open = Some(open);
                return false;
            }
            Message::Notification(notification) => {
                self.notification = Some(notification);
                return false;
            }
            Message::Refresh(_) => self.refreshes += 1,
            Message::Update(facts) => {
                self.updates += 1;
                self.withdrawals += facts.withdrawn.len() as u64;
                self.announcements += facts.announced.len() as u64;
                if facts.outcome != Outcome::Accept {
                    self.malformed = Some(format!("{:?}: {:02x?}", facts.outcome, facts.body));
                }
                self.end_of_rib.extend(facts.end_of_rib);
                for prefix in &facts.withdrawn {
                    self.routes.remove(prefix);
                }
                for (prefix, next_hop) in facts.announced {
                    let attributes = facts.attributes.clone();
                    self.routes.insert(prefix, Received { attributes, next_hop });
                }
            }
        }
        self.log.extend(kept);
        true
    }
}

/// How UPDATEs are to be read between these two.
fn context(one: &Open, other: &Open) -> AttributeContext {
    let wide = |open: &Open| {
        open.capabilities.iter().any(|capability| matches!(capability, Capability::FourOctetAs(_)))
    };
    let kind = if one.asn() == other.asn() { SessionKind::Internal } else { SessionKind::External };
    AttributeContext { four_octet_as: wide(one) && wide(other), kind }
}
