//! Messages written by hand, octet by octet, and read through core's codec.
//!
//! What a test sends is built here without core's encoder, so that a fault in the codec cannot hide
//! itself; well-formedness is up to the test.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use ipnet::IpNet;
use peerage_core::wire::{
    Asn, Family, Frame, MAX_EXTENDED_LEN, MessageError, MessageKind, NextHop, Notification, Open,
    RouteRefresh, RouterId, SessionKind, Update,
    attr::{self, AttributeContext, Outcome, PathAttributes},
    frame, nlri,
};

/// A whole message: marker, length, `kind`, `body`.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xFF; 16];
    out.extend_from_slice(&u16::try_from(19 + body.len()).expect("a message that fits").to_be_bytes());
    out.push(kind);
    out.extend_from_slice(body);
    out
}

/// A KEEPALIVE.
pub fn keepalive() -> Vec<u8> {
    message(4, &[])
}

/// A NOTIFICATION.
pub fn notification(code: u8, subcode: u8, data: &[u8]) -> Vec<u8> {
    message(3, &[&[code, subcode], data].concat())
}

/// A ROUTE-REFRESH.
pub fn route_refresh(family: Family) -> Vec<u8> {
    let afi = family.afi.0.to_be_bytes();
    message(5, &[afi[0], afi[1], 0, family.safi.0])
}

/// An OPEN to be changed in any way before it is encoded.
#[derive(Clone, Debug)]
pub struct OpenSpec {
    /// Version.
    pub version: u8,
    /// The two-octet AS field.
    pub my_as: u16,
    /// Hold time.
    pub hold: u16,
    /// Identifier.
    pub router_id: [u8; 4],
    /// Capabilities: code and value.
    pub capabilities: Vec<(u8, Vec<u8>)>,
    /// Other optional parameters: type and value.
    pub parameters: Vec<(u8, Vec<u8>)>,
}

impl OpenSpec {
    /// Hold time 90 s; IPv4 and IPv6 unicast, route refresh, four-octet AS numbers.
    pub fn new(asn: u32, router_id: Ipv4Addr) -> Self {
        Self {
            version: 4,
            my_as: Asn(asn).as_u16_or_trans(),
            hold: 90,
            router_id: router_id.octets(),
            capabilities: vec![
                (1, vec![0, 1, 0, 1]),
                (1, vec![0, 2, 0, 1]),
                (2, vec![]),
                (65, asn.to_be_bytes().to_vec()),
            ],
            parameters: vec![],
        }
    }

    /// With another hold time.
    pub fn hold(mut self, seconds: u16) -> Self {
        self.hold = seconds;
        self
    }

    /// Without a capability.
    pub fn without(mut self, code: u8) -> Self {
        self.capabilities.retain(|capability| capability.0 != code);
        self
    }

    /// With a capability more.
    pub fn with(mut self, code: u8, value: &[u8]) -> Self {
        self.capabilities.push((code, value.to_vec()));
        self
    }

    /// The whole message.
    pub fn encode(&self) -> Vec<u8> {
        let mut parameters = Vec::new();
        for (code, value) in &self.capabilities {
            let len = value.len() as u8;
            parameters.extend_from_slice(&[2, len + 2, *code, len]);
            parameters.extend_from_slice(value);
        }
        for (code, value) in &self.parameters {
            parameters.extend_from_slice(&[*code, value.len() as u8]);
            parameters.extend_from_slice(value);
        }
        let mut body = vec![self.version];
        body.extend_from_slice(&self.my_as.to_be_bytes());
        body.extend_from_slice(&self.hold.to_be_bytes());
        body.extend_from_slice(&self.router_id);
        body.push(parameters.len() as u8);
        body.extend_from_slice(&parameters);
        message(1, &body)
    }
}

/// A block of attributes.
#[derive(Clone, Debug, Default)]
pub struct Attrs {
    /// The block.
    pub block: Vec<u8>,
}

impl Attrs {
    /// ORIGIN IGP, AS_PATH (four octets, one sequence) and NEXT_HOP.
    pub fn new(as_path: &[u32], next_hop: Ipv4Addr) -> Self {
        Self::default().origin(0).as_path(as_path).next_hop(next_hop)
    }

    /// Any attribute.
    pub fn raw(mut self, flags: u8, code: u8, value: &[u8]) -> Self {
        if flags & 0x10 != 0 || value.len() > 255 {
            self.block.extend_from_slice(&[flags | 0x10, code]);
            self.block.extend_from_slice(&(value.len() as u16).to_be_bytes());
        } else {
            self.block.extend_from_slice(&[flags, code, value.len() as u8]);
        }
        self.block.extend_from_slice(value);
        self
    }

    /// ORIGIN.
    pub fn origin(self, value: u8) -> Self {
        self.raw(0x40, 1, &[value])
    }

    /// AS_PATH of one sequence, four octets a number; none where `asns` is empty.
    pub fn as_path(self, asns: &[u32]) -> Self {
        let value = path(2, asns.iter().map(|asn| asn.to_be_bytes().to_vec()));
        self.raw(0x40, 2, &value)
    }

    /// AS_PATH of one sequence, two octets a number.
    pub fn as_path_2(self, asns: &[u16]) -> Self {
        let value = path(2, asns.iter().map(|asn| asn.to_be_bytes().to_vec()));
        self.raw(0x40, 2, &value)
    }

    /// NEXT_HOP.
    pub fn next_hop(self, address: Ipv4Addr) -> Self {
        self.raw(0x40, 3, &address.octets())
    }

    /// MULTI_EXIT_DISC.
    pub fn med(self, value: u32) -> Self {
        self.raw(0x80, 4, &value.to_be_bytes())
    }

    /// LOCAL_PREF.
    pub fn local_pref(self, value: u32) -> Self {
        self.raw(0x40, 5, &value.to_be_bytes())
    }

    /// COMMUNITIES.
    pub fn communities(self, values: &[u32]) -> Self {
        let value: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
        self.raw(0xC0, 8, &value)
    }

    /// MP_REACH_NLRI.
    pub fn mp_reach(self, family: Family, next_hop: &[u8], prefixes: &[IpNet]) -> Self {
        let afi = family.afi.0.to_be_bytes();
        let mut value = vec![afi[0], afi[1], family.safi.0, next_hop.len() as u8];
        value.extend_from_slice(next_hop);
        value.push(0);
        value.extend_from_slice(&prefixes_field(prefixes));
        self.raw(0x80, 14, &value)
    }

    /// MP_UNREACH_NLRI.
    pub fn mp_unreach(self, family: Family, prefixes: &[IpNet]) -> Self {
        let afi = family.afi.0.to_be_bytes();
        let mut value = vec![afi[0], afi[1], family.safi.0];
        value.extend_from_slice(&prefixes_field(prefixes));
        self.raw(0x80, 15, &value)
    }
}

/// One AS_PATH segment, or nothing at all without numbers.
fn path(kind: u8, asns: impl ExactSizeIterator<Item = Vec<u8>>) -> Vec<u8> {
    if asns.len() == 0 {
        return Vec::new();
    }
    let mut value = vec![kind, asns.len() as u8];
    asns.for_each(|asn| value.extend_from_slice(&asn));
    value
}

/// Prefixes as in a NLRI field.
pub fn prefixes_field(prefixes: &[IpNet]) -> Vec<u8> {
    let mut out = Vec::new();
    for prefix in prefixes {
        let octets = match prefix {
            IpNet::V4(net) => net.network().octets().to_vec(),
            IpNet::V6(net) => net.network().octets().to_vec(),
        };
        out.push(prefix.prefix_len());
        out.extend_from_slice(&octets[..usize::from(prefix.prefix_len().div_ceil(8))]);
    }
    out
}

/// An UPDATE of these parts.
pub fn update(withdrawn: &[IpNet], attributes: &[u8], nlri: &[IpNet]) -> Vec<u8> {
    let withdrawn = prefixes_field(withdrawn);
    let mut body = (withdrawn.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(&withdrawn);
    body.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    body.extend_from_slice(attributes);
    body.extend_from_slice(&prefixes_field(nlri));
    message(2, &body)
}

/// An UPDATE that announces IPv4 prefixes.
pub fn announce(attributes: &Attrs, nlri: &[IpNet]) -> Vec<u8> {
    update(&[], &attributes.block, nlri)
}

/// An UPDATE that withdraws IPv4 prefixes.
pub fn withdraw(prefixes: &[IpNet]) -> Vec<u8> {
    update(prefixes, &[], &[])
}

/// A message as core's codec reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// OPEN.
    Open(Open),
    /// UPDATE.
    Update(Box<Facts>),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH.
    Refresh(RouteRefresh),
}

/// What an UPDATE says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The body as it was.
    pub body: Vec<u8>,
    /// What becomes of it.
    pub outcome: Outcome,
    /// The End-of-RIB marker of a family.
    pub end_of_rib: Option<Family>,
    /// Withdrawn prefixes.
    pub withdrawn: Vec<IpNet>,
    /// Announced prefixes and their next hops.
    pub announced: BTreeMap<IpNet, NextHop>,
    /// The attributes of what is announced.
    pub attributes: PathAttributes,
}

impl Facts {
    /// The raw attribute with this code: flags and value.
    pub fn raw(&self, code: u8) -> Option<(u8, Vec<u8>)> {
        let update = Update::split(&self.body).ok()?;
        attr::RawAttributes::new(update.attributes)
            .find(|attribute| attribute.code == code)
            .map(|attribute| (attribute.flags, attribute.value.to_vec()))
    }
}

/// Reads the UPDATE `body`.
pub fn facts(body: &[u8], context: AttributeContext) -> Result<Facts, MessageError> {
    let update = Update::split(body)?;
    let split = attr::split(update.attributes)?;
    let reach = split.mp_reach.filter(|reach| is_unicast(reach.family));
    let reachable = !update.nlri.is_empty() || reach.is_some();
    let summary = attr::parse(&split.rest, context, reachable, !update.nlri.is_empty());
    let attributes = PathAttributes::decode(summary.canonical.as_deref().unwrap_or(&split.rest));

    let mut withdrawn = Vec::new();
    let mut announced = BTreeMap::new();
    withdrawn.extend(prefixes(Family::IPV4_UNICAST, update.withdrawn)?);
    if let Some(unreach) = split.mp_unreach.filter(|unreach| is_unicast(unreach.family)) {
        withdrawn.extend(prefixes(unreach.family, unreach.withdrawn)?);
    }
    let mut outcome = summary.outcome;
    if let Some(reach) = reach {
        match reach.unicast_next_hop() {
            Some(next_hop) => {
                announced.extend(prefixes(reach.family, reach.nlri)?.into_iter().map(|net| (net, next_hop)));
            }
            None => {
                outcome = Outcome::TreatAsWithdraw;
                withdrawn.extend(prefixes(reach.family, reach.nlri)?);
            }
        }
    }
    let nlri = prefixes(Family::IPV4_UNICAST, update.nlri)?;
    match summary.next_hop {
        Some(address) => announced.extend(nlri.into_iter().map(|net| (net, NextHop::V4(address)))),
        None => withdrawn.extend(nlri),
    }
    if outcome == Outcome::TreatAsWithdraw || split.truncated {
        outcome = Outcome::TreatAsWithdraw;
        withdrawn.extend(core::mem::take(&mut announced).into_keys());
    }
    Ok(Facts {
        body: body.to_vec(),
        outcome,
        end_of_rib: update.end_of_rib(),
        withdrawn,
        announced,
        attributes,
    })
}

fn is_unicast(family: Family) -> bool {
    family == Family::IPV4_UNICAST || family == Family::IPV6_UNICAST
}

fn prefixes(family: Family, field: &[u8]) -> Result<Vec<IpNet>, MessageError> {
    if family == Family::IPV4_UNICAST {
        nlri::Ipv4Prefixes::new(field)
            .map(|net| net.map(IpNet::V4).map_err(|_| MessageError::InvalidNetworkField))
            .collect()
    } else {
        nlri::Ipv6Prefixes::new(field)
            .map(|net| net.map(IpNet::V6).map_err(|_| MessageError::InvalidNetworkField))
            .collect()
    }
}

/// Cuts a stream into messages and reads them; what is incomplete stays in it.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    context: Option<AttributeContext>,
}

impl Reader {
    /// Says how UPDATEs are to be read; four octets and eBGP until then.
    pub const fn set_context(&mut self, context: AttributeContext) {
        self.context = Some(context);
    }

    /// Adds octets.
    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Octets of an incomplete message.
    pub const fn rest(&self) -> usize {
        self.buffer.len()
    }

    /// The next message.
    pub fn take(&mut self) -> Result<Option<Message>, MessageError> {
        let Some(Frame { kind, body, len }) = frame(&self.buffer, MAX_EXTENDED_LEN)? else {
            return Ok(None);
        };
        let context =
            self.context.unwrap_or(AttributeContext { four_octet_as: true, kind: SessionKind::External });
        let message = match kind {
            MessageKind::Open => Message::Open(Open::decode(body)?),
            MessageKind::Update => Message::Update(Box::new(facts(body, context)?)),
            MessageKind::Notification => Message::Notification(Notification::decode(body)?),
            MessageKind::Keepalive => Message::Keepalive,
            MessageKind::RouteRefresh => Message::Refresh(RouteRefresh::decode(body)?),
        };
        self.buffer.drain(..len);
        Ok(Some(message))
    }

    /// Every complete message. Panics on one that cannot be read.
    pub fn all(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(message) = self.take().expect("messages that can be read") {
            all.push(message);
        }
        all
    }
}

/// The identifier as an address.
pub fn router_id(id: RouterId) -> Ipv4Addr {
    Ipv4Addr::from(id.0)
}

/// The sixteen octets of an IPv6 next hop.
pub fn next_hop_6(address: Ipv6Addr) -> Vec<u8> {
    address.octets().to_vec()
}
