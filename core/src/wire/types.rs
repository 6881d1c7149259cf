//! The small values that BGP is made of.

use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An autonomous system number, four octets (RFC 6793).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// `AS_TRANS`, which stands for a four-octet number where only two octets fit (RFC 6793 §9).
    pub const TRANS: Self = Self(23456);
    /// Reserved; must not appear in an OPEN or an AS path (RFC 7607).
    pub const ZERO: Self = Self(0);

    /// The number as two octets, or [`Asn::TRANS`] where it does not fit.
    pub fn as_u16_or_trans(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23456)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Asn {
    type Err = core::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A BGP identifier: four octets, unique within an AS, not zero (RFC 6286).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub u32);

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Ipv4Addr::from(self.0), f)
    }
}

impl From<Ipv4Addr> for RouterId {
    fn from(address: Ipv4Addr) -> Self {
        Self(u32::from(address))
    }
}

impl FromStr for RouterId {
    type Err = core::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Ipv4Addr>().map(Self::from)
    }
}

/// An address family identifier (IANA address family numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Afi(pub u16);

impl Afi {
    /// IPv4.
    pub const IPV4: Self = Self(1);
    /// IPv6.
    pub const IPV6: Self = Self(2);
}

/// A subsequent address family identifier (RFC 4760 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Safi(pub u8);

impl Safi {
    /// Unicast forwarding.
    pub const UNICAST: Self = Self(1);
}

/// An address family: what a set of NLRI is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family {
    /// The address family.
    pub afi: Afi,
    /// The subsequent address family.
    pub safi: Safi,
}

impl Family {
    /// IPv4 unicast.
    pub const IPV4_UNICAST: Self = Self::new(1, 1);
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self::new(2, 1);

    /// The family of these two code points.
    pub const fn new(afi: u16, safi: u8) -> Self {
        Self { afi: Afi(afi), safi: Safi(safi) }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IPV4_UNICAST => f.write_str("ipv4-unicast"),
            Self::IPV6_UNICAST => f.write_str("ipv6-unicast"),
            Self { afi, safi } => write!(f, "afi{}-safi{}", afi.0, safi.0),
        }
    }
}

/// Where a route came from, as its originator says (RFC 4271 §5.1.1). Lower is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Interior to the originating AS.
    #[default]
    Igp = 0,
    /// Learned through EGP.
    Egp = 1,
    /// Learned by some other means, such as redistribution.
    Incomplete = 2,
}

impl Origin {
    /// The origin this octet stands for.
    #[inline]
    pub(super) const fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            0 => Self::Igp,
            1 => Self::Egp,
            2 => Self::Incomplete,
            _ => return None,
        })
    }
}

/// A standard community (RFC 1997).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// GRACEFUL_SHUTDOWN, also called planned-shut (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xFFFF_0000);
    /// BLACKHOLE (RFC 7999).
    pub const BLACKHOLE: Self = Self(0xFFFF_029A);
    /// NO_EXPORT (RFC 1997).
    pub const NO_EXPORT: Self = Self(0xFFFF_FF01);
    /// NO_ADVERTISE (RFC 1997).
    pub const NO_ADVERTISE: Self = Self(0xFFFF_FF02);
    /// NO_EXPORT_SUBCONFED (RFC 1997).
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xFFFF_FF03);

    /// The community `high:low`.
    pub const fn new(high: u16, low: u16) -> Self {
        Self(((high as u32) << 16) | low as u32)
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xFFFF)
    }
}

/// The well-known communities that have a name (IANA "BGP Well-known Communities"), as configuration
/// writes them.
const WELL_KNOWN: [(&str, Community); 14] = [
    ("internet", Community::new(0, 0)),
    ("planned-shut", Community::GRACEFUL_SHUTDOWN),
    ("accept-own", Community::new(0xFFFF, 1)),
    ("route-filter-translated-v4", Community::new(0xFFFF, 2)),
    ("route-filter-v4", Community::new(0xFFFF, 3)),
    ("route-filter-translated-v6", Community::new(0xFFFF, 4)),
    ("route-filter-v6", Community::new(0xFFFF, 5)),
    ("llgr-stale", Community::new(0xFFFF, 6)),
    ("no-llgr", Community::new(0xFFFF, 7)),
    ("blackhole", Community::BLACKHOLE),
    ("no-export", Community::NO_EXPORT),
    ("no-advertise", Community::NO_ADVERTISE),
    ("no-export-subconfed", Community::NO_EXPORT_SUBCONFED),
    ("no-peer", Community::new(0xFFFF, 0xFF04)),
];

/// Text that is no community.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCommunityError {
    /// Neither `high:low`, nor one number, nor a well-known name.
    #[error("a community is two numbers `high:low`, one number, or a well-known name")]
    Standard,
    /// Not `global:local1:local2`.
    #[error("a large community is three numbers `global:local1:local2`")]
    Large,
    /// A part is not a number, or does not fit its field.
    #[error("`{field}` is not a number of at most {bits} bits")]
    Number {
        /// Which part.
        field: &'static str,
        /// How wide it is.
        bits: u8,
    },
}

/// Plain decimal digits: what `from_str` accepts less its leading plus sign.
fn number<T: FromStr>(text: &str, field: &'static str, bits: u8) -> Result<T, ParseCommunityError> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    let value = if digits { text.parse().ok() } else { None };
    value.ok_or(ParseCommunityError::Number { field, bits })
}

/// `high:low`, one decimal number, or a well-known name in the spelling of Cilium's CRDs.
impl FromStr for Community {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((high, low)) = text.split_once(':') {
            return Ok(Self::new(number(high, "high", 16)?, number(low, "low", 16)?));
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return number(text, "community", 32).map(Self);
        }
        let named = WELL_KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        named.map(|&(_, community)| community).ok_or(ParseCommunityError::Standard)
    }
}

/// An extended community, eight octets as on the wire (RFC 4360).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity(pub [u8; 8]);

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// A large community (RFC 8092).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// The AS that gives the two data parts their meaning.
    pub global: u32,
    /// First data part.
    pub local1: u32,
    /// Second data part.
    pub local2: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

impl FromStr for LargeCommunity {
    type Err = ParseCommunityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        let (Some(global), Some(local1), Some(local2), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseCommunityError::Large);
        };
        Ok(Self {
            global: number(global, "global", 32)?,
            local1: number(local1, "local1", 32)?,
            local2: number(local2, "local2", 32)?,
        })
    }
}

/// A next hop as it travels: in NEXT_HOP or in MP_REACH_NLRI (RFC 4271 §5.1.3, RFC 2545 §3, RFC 8950).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// Four octets.
    V4(Ipv4Addr),
    /// Sixteen octets: a global address, or a link-local one where the session is unnumbered.
    V6(Ipv6Addr),
    /// Thirty-two octets. FRR repeats the link-local address in both halves on unnumbered links.
    V6WithLinkLocal {
        /// The first half.
        global: Ipv6Addr,
        /// The second half.
        link_local: Ipv6Addr,
    },
}

impl NextHop {
    /// The address that packets are sent to: the link-local one where the global part is none.
    pub fn address(self) -> IpAddr {
        match self {
            Self::V4(address) => IpAddr::V4(address),
            Self::V6(address) => IpAddr::V6(address),
            Self::V6WithLinkLocal { global, link_local } if global.is_unspecified() => IpAddr::V6(link_local),
            Self::V6WithLinkLocal { global, .. } => IpAddr::V6(global),
        }
    }

    /// Whether the address only means something together with an interface.
    pub fn is_link_local(self) -> bool {
        match self.address() {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address(), f)
    }
}

/// What a session is to the AS: it decides which attributes are valid and what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionKind {
    /// iBGP: the peer is in the speaker's own AS.
    Internal,
    /// eBGP.
    External,
}
