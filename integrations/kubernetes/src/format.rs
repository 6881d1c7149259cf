//! The formats of texts in Kubernetes objects.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use peerage_core::wire::{Community, LargeCommunity};

use crate::schema::Format;

/// Anything.
pub(crate) static ANY: Format = Format { expected: "a text", accepts: |_| true };

/// `10.0.0.1/32`; bits after the length may be set.
pub(crate) static CIDR: Format = Format {
    expected: "an address with its length, such as \"10.0.0.1/32\" or \"fd00::1/128\"",
    accepts: |text| text.parse::<IpNet>().is_ok(),
};

/// A prefix, or nothing.
pub(crate) static POD_CIDR: Format = Format {
    expected: "a prefix such as \"10.1.0.0/24\"",
    accepts: |text| text.is_empty() || text.parse::<IpNet>().is_ok(),
};

/// The name of an object: a DNS subdomain (RFC 1123).
pub(crate) static NAME: Format = Format {
    expected: "a name of at most 253 lower case letters, digits, \"-\" and \".\"",
    accepts: is_subdomain,
};

/// A label's or annotation's key.
pub(crate) static LABEL_KEY: Format = Format {
    expected: "a label key such as \"rack\" or \"example.org/rack\"",
    accepts: |text| match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_label_name(name),
        None => is_label_name(text),
    },
};

/// A label's value.
pub(crate) static LABEL_VALUE: Format = Format {
    expected: "at most 63 letters, digits, \"-\", \"_\" and \".\", the first and last a letter or digit",
    accepts: |text| text.is_empty() || is_label_name(text),
};

/// A standard community.
pub(crate) static COMMUNITY: Format = Format {
    expected: "a community, as a number up to 4294967295 or as \"65010:100\"",
    accepts: |text| community(text).is_some(),
};

/// A large community.
pub(crate) static LARGE_COMMUNITY: Format = Format {
    expected: "a large community such as \"65010:1:100\"",
    accepts: |text| large_community(text).is_some(),
};

/// The names that Cilium gives communities.
pub(crate) const WELL_KNOWN: [&str; 14] = [
    "internet",
    "planned-shut",
    "accept-own",
    "route-filter-translated-v4",
    "route-filter-v4",
    "route-filter-translated-v6",
    "route-filter-v6",
    "llgr-stale",
    "no-llgr",
    "blackhole",
    "no-export",
    "no-advertise",
    "no-export-subconfed",
    "no-peer",
];

/// The community behind a name of [`WELL_KNOWN`].
pub(crate) fn well_known(name: &str) -> Option<Community> {
    const LOW: [u16; 14] = [0, 0, 1, 2, 3, 4, 5, 6, 7, 666, 65281, 65282, 65283, 65284];
    let index = WELL_KNOWN.iter().position(|known| *known == name)?;
    let high = if index == 0 { 0 } else { 65535 };
    LOW.get(index).map(|low| Community::new(high, *low))
}

/// `4259840100` or `65000:100`.
pub(crate) fn community(text: &str) -> Option<Community> {
    match text.split_once(':') {
        Some((high, low)) => {
            Some(Community::new(u16::try_from(plain(high)?).ok()?, u16::try_from(plain(low)?).ok()?))
        }
        None => plain(text).map(Community),
    }
}

/// `65000:1:100`
pub(crate) fn large_community(text: &str) -> Option<LargeCommunity> {
    let mut parts = text.split(':').map(plain);
    let mut part = || parts.next().flatten();
    let community = LargeCommunity { global: part()?, local1: part()?, local2: part()? };
    parts.next().is_none().then_some(community)
}

/// A number without sign or leading zeros.
fn plain(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let shortest = text == "0" || !text.starts_with('0');
    if digits && shortest { text.parse().ok() } else { None }
}

/// Whether a speaker can open a session to an address, and if not, why.
pub(crate) fn unusable_peer(address: IpAddr) -> Option<&'static str> {
    match address {
        address if address.is_unspecified() => Some("the unspecified address is not a neighbour's"),
        address if address.is_multicast() => Some("a multicast address is not a neighbour's"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some("the broadcast address is not a neighbour's"),
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            Some("a link-local address means nothing without an interface, which cannot be given here")
        }
        _ => None,
    }
}

fn is_subdomain(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= 253
        && text.split('.').all(|part| {
            let bytes = part.as_bytes();
            bytes.iter().all(|byte| allowed(*byte) || *byte == b'-')
                && bytes.first().is_some_and(|byte| allowed(*byte))
                && bytes.last().is_some_and(|byte| allowed(*byte))
        })
}

fn is_label_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}
