//! Capabilities in OPEN (RFC 5492).

use alloc::{string::String, vec::Vec};

use super::{Afi, Asn, Family, reader::Reader};

/// What a speaker may do with ADD-PATH in one family (RFC 7911 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddPathMode {
    /// Receives several paths.
    Receive,
    /// Sends several paths.
    Send,
    /// Both.
    Both,
}

/// One family of the graceful restart capability (RFC 4724 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GracefulRestartFamily {
    /// The family.
    pub family: Family,
    /// Whether forwarding state was kept across the restart (F bit).
    pub forwarding_kept: bool,
}

/// One capability. Unknown ones are kept byte-exact.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// 1: a family can be exchanged (RFC 4760 §8).
    Multiprotocol(Family),
    /// 2: route refresh (RFC 2918).
    RouteRefresh,
    /// 5: NLRI of a family with a next hop of another address family (RFC 8950 §4).
    ExtendedNextHop(Vec<(Family, Afi)>),
    /// 6: messages up to 65,535 octets (RFC 8654).
    ExtendedMessage,
    /// 9: the peer's role (RFC 9234 §4.1).
    Role(u8),
    /// 64: graceful restart (RFC 4724 §3, RFC 8538 §2).
    GracefulRestart {
        /// R: the speaker has restarted.
        restarting: bool,
        /// N: NOTIFICATION also starts a graceful restart (RFC 8538).
        notification: bool,
        /// How long the speaker wants to be waited for, in seconds, 12 bits.
        time: u16,
        /// The families whose routes may be kept.
        families: Vec<GracefulRestartFamily>,
    },
    /// 65: four-octet AS numbers (RFC 6793 §3).
    FourOctetAs(Asn),
    /// 69: several paths for one prefix (RFC 7911 §4).
    AddPath(Vec<(Family, AddPathMode)>),
    /// 70: enhanced route refresh (RFC 7313).
    EnhancedRouteRefresh,
    /// 73: the speaker's host and domain name (draft-walton-bgp-hostname-capability).
    Fqdn {
        /// Host name, at most 64 octets.
        host: String,
        /// Domain name, at most 64 octets.
        domain: String,
    },
    /// Any other, or a known one whose octets this codec does not interpret.
    Unknown {
        /// Capability code.
        code: u8,
        /// Its value.
        value: Vec<u8>,
    },
}

/// Capability codes (IANA "Capability Codes").
mod code {
    pub(super) const MULTIPROTOCOL: u8 = 1;
    pub(super) const ROUTE_REFRESH: u8 = 2;
    pub(super) const EXTENDED_NEXT_HOP: u8 = 5;
    pub(super) const EXTENDED_MESSAGE: u8 = 6;
    pub(super) const ROLE: u8 = 9;
    pub(super) const GRACEFUL_RESTART: u8 = 64;
    pub(super) const FOUR_OCTET_AS: u8 = 65;
    pub(super) const ADD_PATH: u8 = 69;
    pub(super) const ENHANCED_ROUTE_REFRESH: u8 = 70;
    pub(super) const FQDN: u8 = 73;
}

/// R and N in the first octet of graceful restart (RFC 4724 §3, RFC 8538 §2).
const RESTARTING: u8 = 0x80;
const NOTIFICATION: u8 = 0x40;
/// F in a family's flags (RFC 4724 §3).
const FORWARDING_KEPT: u8 = 0x80;
/// Longest host or domain name.
const NAME_LEN: usize = 64;

impl AddPathMode {
    fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Receive,
            2 => Self::Send,
            3 => Self::Both,
            _ => return None,
        })
    }

    const fn octet(self) -> u8 {
        match self {
            Self::Receive => 1,
            Self::Send => 2,
            Self::Both => 3,
        }
    }
}

impl Capability {
    /// The code it travels under.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol(_) => code::MULTIPROTOCOL,
            Self::RouteRefresh => code::ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => code::EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => code::EXTENDED_MESSAGE,
            Self::Role(_) => code::ROLE,
            Self::GracefulRestart { .. } => code::GRACEFUL_RESTART,
            Self::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Self::AddPath(_) => code::ADD_PATH,
            Self::EnhancedRouteRefresh => code::ENHANCED_ROUTE_REFRESH,
            Self::Fqdn { .. } => code::FQDN,
            Self::Unknown { code, .. } => *code,
        }
    }

    /// Parses the value of a capability. `None`: its length is none the code allows.
    ///
    /// A value that has a good length but says what this codec does not understand is kept as
    /// [`Capability::Unknown`], for RFC 5492 §4 has such capabilities ignored.
    pub(super) fn decode(code: u8, value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let understood = match code {
            code::MULTIPROTOCOL => {
                let family = family(&mut reader)?;
                reader.is_empty().then_some(())?;
                Some(Self::Multiprotocol(family))
            }
            code::ROUTE_REFRESH => value.is_empty().then_some(Self::RouteRefresh),
            code::EXTENDED_NEXT_HOP => extended_next_hop(value)?,
            code::EXTENDED_MESSAGE => value.is_empty().then_some(Self::ExtendedMessage),
            code::ROLE => {
                let role = reader.u8()?;
                reader.is_empty().then_some(())?;
                Some(Self::Role(role))
            }
            code::GRACEFUL_RESTART => Some(graceful_restart(value)?),
            code::FOUR_OCTET_AS => {
                let asn = reader.u32()?;
                reader.is_empty().then_some(())?;
                Some(Self::FourOctetAs(Asn(asn)))
            }
            code::ADD_PATH => add_path(value)?,
            code::ENHANCED_ROUTE_REFRESH => value.is_empty().then_some(Self::EnhancedRouteRefresh),
            code::FQDN => fqdn(value),
            _ => None,
        };
        Some(understood.unwrap_or_else(|| Self::Unknown { code, value: value.to_vec() }))
    }

    /// Appends the capability: code, length, value. What one length octet cannot hold is left out.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.code());
        let length_at = out.len();
        out.push(0);
        match self {
            Self::Multiprotocol(family) => {
                out.extend(family.afi.0.to_be_bytes());
                out.extend([0, family.safi.0]);
            }
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => {}
            Self::ExtendedNextHop(entries) => {
                for (family, next_hop) in entries.iter().take(255 / 6) {
                    out.extend(family.afi.0.to_be_bytes());
                    out.extend([0, family.safi.0]);
                    out.extend(next_hop.0.to_be_bytes());
                }
            }
            Self::Role(role) => out.push(*role),
            Self::GracefulRestart { restarting, notification, time, families } => {
                let [high, low] = (time & 0x0FFF).to_be_bytes();
                let restarting = if *restarting { RESTARTING } else { 0 };
                let notification = if *notification { NOTIFICATION } else { 0 };
                out.extend([high | restarting | notification, low]);
                for entry in families.iter().take((255 - 2) / 4) {
                    out.extend(entry.family.afi.0.to_be_bytes());
                    let flags = if entry.forwarding_kept { FORWARDING_KEPT } else { 0 };
                    out.extend([entry.family.safi.0, flags]);
                }
            }
            Self::FourOctetAs(asn) => out.extend(asn.0.to_be_bytes()),
            Self::AddPath(entries) => {
                for (family, mode) in entries.iter().take(255 / 4) {
                    out.extend(family.afi.0.to_be_bytes());
                    out.extend([family.safi.0, mode.octet()]);
                }
            }
            Self::Fqdn { host, domain } => {
                for name in [host, domain] {
                    let name = at_most(name, NAME_LEN);
                    out.push(u8::try_from(name.len()).unwrap_or_default());
                    out.extend(name.as_bytes());
                }
            }
            Self::Unknown { value, .. } => out.extend(value.iter().take(255)),
        }
        let len = out.len() - length_at - 1;
        if let (Some(field), Ok(len)) = (out.get_mut(length_at), u8::try_from(len)) {
            *field = len;
        }
    }
}

/// AFI, a reserved octet, SAFI (RFC 4760 §8).
fn family(reader: &mut Reader<'_>) -> Option<Family> {
    let afi = reader.u16()?;
    let [_reserved, safi] = reader.array()?;
    Some(Family::new(afi, safi))
}

/// RFC 8950 §4. The SAFI has two octets here; one over 255 is none we know. Outer `None`: bad length.
fn extended_next_hop(value: &[u8]) -> Option<Option<Capability>> {
    let (entries, []) = value.as_chunks::<6>() else { return None };
    let entry = |&[a, b, high, safi, c, d]: &[u8; 6]| {
        (high == 0).then(|| (Family::new(u16::from_be_bytes([a, b]), safi), Afi(u16::from_be_bytes([c, d]))))
    };
    Some(entries.iter().map(entry).collect::<Option<_>>().map(Capability::ExtendedNextHop))
}

/// RFC 4724 §3.
fn graceful_restart(value: &[u8]) -> Option<Capability> {
    let (&[high, low], entries) = value.split_first_chunk()?;
    let (entries, []) = entries.as_chunks::<4>() else { return None };
    let families = entries.iter().map(|&[a, b, safi, flags]| GracefulRestartFamily {
        family: Family::new(u16::from_be_bytes([a, b]), safi),
        forwarding_kept: flags & FORWARDING_KEPT != 0,
    });
    Some(Capability::GracefulRestart {
        restarting: high & RESTARTING != 0,
        notification: high & NOTIFICATION != 0,
        time: u16::from_be_bytes([high & 0x0F, low]),
        families: families.collect(),
    })
}

/// RFC 7911 §4: with a mode outside 1..=3 the capability is treated as not understood. Outer `None`:
/// bad length.
fn add_path(value: &[u8]) -> Option<Option<Capability>> {
    let (entries, []) = value.as_chunks::<4>() else { return None };
    let entry = |&[a, b, safi, mode]: &[u8; 4]| {
        AddPathMode::of(mode).map(|mode| (Family::new(u16::from_be_bytes([a, b]), safi), mode))
    };
    Some(entries.iter().map(entry).collect::<Option<_>>().map(Capability::AddPath))
}

/// A name that makes no sense is not worth a session, so whatever does not parse is not understood.
fn fqdn(value: &[u8]) -> Option<Capability> {
    let mut reader = Reader::new(value);
    let mut name = || {
        let name = reader.take_u8_prefixed().filter(|name| name.len() <= NAME_LEN)?;
        core::str::from_utf8(name).ok().map(String::from)
    };
    let (host, domain) = (name()?, name()?);
    reader.is_empty().then_some(Capability::Fqdn { host, domain })
}

/// As much of `name` as fits, whole characters.
fn at_most(name: &str, len: usize) -> &str {
    if name.len() <= len {
        return name;
    }
    (0..=len).rev().find_map(|len| name.get(..len)).unwrap_or(name)
}
