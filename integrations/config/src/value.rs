//! What single texts and numbers stand for.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use peerage_core::{
    policy::PrefixMatch,
    wire::{Asn, Community, Family, LargeCommunity, Origin},
};

use crate::reader::{Node, Reader};

const FAMILIES: [(&str, Family); 2] =
    [("ipv4-unicast", Family::IPV4_UNICAST), ("ipv6-unicast", Family::IPV6_UNICAST)];

pub(crate) const ORIGINS: [(&str, Origin); 3] =
    [("igp", Origin::Igp), ("egp", Origin::Egp), ("incomplete", Origin::Incomplete)];

/// The longest time a timer takes: more than a century.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

impl Reader {
    /// An AS number.
    pub(crate) fn asn(&mut self, node: &Node<'_>) -> Option<Asn> {
        self.integer(node, 1, u32::MAX.into()).map(Asn)
    }

    /// Any 32-bit number.
    pub(crate) fn number(&mut self, node: &Node<'_>) -> Option<u32> {
        self.integer(node, 0, u32::MAX.into())
    }

    /// A unicast address.
    pub(crate) fn address(&mut self, node: &Node<'_>) -> Option<IpAddr> {
        self.parsed(node, "a unicast address", |text| {
            let address: IpAddr = text.parse().ok()?;
            (!address.is_unspecified() && !address.is_multicast()).then_some(address)
        })
    }

    /// ORIGIN.
    pub(crate) fn origin(&mut self, node: &Node<'_>) -> Option<Origin> {
        self.choice(node, &ORIGINS)
    }

    /// Families.
    pub(crate) fn families(&mut self, node: &Node<'_>) -> Option<Vec<Family>> {
        let items = node.as_list();
        if items.is_none() {
            self.expected(node, "a list of \"ipv4-unicast\" and \"ipv6-unicast\"");
        }
        items?.iter().map(|item| self.choice(item, &FAMILIES)).collect()
    }

    /// Communities: one or a list.
    pub(crate) fn communities(&mut self, items: &[Node<'_>]) -> Vec<Community> {
        let expected = "a community such as \"65000:1\" or \"no-export\"";
        items.iter().filter_map(|item| self.parsed(item, expected, |text| text.parse().ok())).collect()
    }

    /// Large communities: one or a list.
    pub(crate) fn large_communities(&mut self, items: &[Node<'_>]) -> Vec<LargeCommunity> {
        let expected = "a large community such as \"65000:1:2\"";
        items.iter().filter_map(|item| self.parsed(item, expected, |text| text.parse().ok())).collect()
    }

    /// A prefix without bits beyond its length.
    pub(crate) fn prefix(&mut self, node: &Node<'_>) -> Option<IpNet> {
        let text = node.as_text();
        match text.map(prefix) {
            Some(Ok(prefix)) => Some(prefix),
            Some(Err(problem)) => {
                self.error(&node.place, problem);
                None
            }
            None => {
                self.expected(node, "a prefix such as \"10.0.0.0/8\"");
                None
            }
        }
    }

    /// A prefix with the lengths that match.
    pub(crate) fn prefix_match(&mut self, node: &Node<'_>) -> Option<PrefixMatch> {
        let text = node.as_text();
        match text.map(prefix_match) {
            Some(Ok(condition)) => Some(condition),
            Some(Err(problem)) => {
                self.error(&node.place, problem);
                None
            }
            None => {
                self.expected(node, "a prefix such as \"10.0.0.0/8\" or \"10.0.0.0/8 ge 16 le 24\"");
                None
            }
        }
    }

    /// A time: seconds, or a text with units.
    pub(crate) fn duration(&mut self, node: &Node<'_>) -> Option<Duration> {
        let seconds = node.as_integer().and_then(|number| u64::try_from(number).ok());
        let time = seconds.map(Duration::from_secs).or_else(|| node.as_text().and_then(duration));
        let time = time.filter(|time| *time <= LONGEST);
        if time.is_none() {
            self.expected(node, "seconds, or a time such as \"9s\", \"500ms\" or \"1m30s\"");
        }
        time
    }

    /// Lengths of an AS path: `2`, `"1..3"`, `"..3"`, `"2.."`; both ends included.
    pub(crate) fn lengths(&mut self, node: &Node<'_>) -> Option<(u16, u16)> {
        let exact = node.as_integer().and_then(|number| u16::try_from(number).ok());
        let range = exact.map(|exact| (exact, exact)).or_else(|| node.as_text().and_then(lengths));
        if range.is_none() {
            self.expected(node, "a length, or a range such as \"1..3\", \"..3\" or \"2..\"");
        }
        range
    }
}

/// Plain digits only: what `from_str` takes less its sign.
fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `10.0.0.0/8`, or what is wrong with it.
pub(crate) fn prefix(text: &str) -> Result<IpNet, String> {
    let Ok(prefix) = text.parse::<IpNet>() else {
        return Err(match text.parse::<IpAddr>() {
            Ok(address) => {
                format!("expected a prefix, found the address {address}: is `{}` meant?", host(address))
            }
            Err(_) => format!("expected a prefix such as \"10.0.0.0/8\", found the text {text:?}"),
        });
    };
    let network = prefix.trunc();
    if prefix != network {
        return Err(format!("{prefix} has bits beyond its length: is `{network}` meant?"));
    }
    Ok(prefix)
}

fn host(address: IpAddr) -> IpNet {
    IpNet::from(address)
}

/// `10.0.0.0/8`, `10.0.0.0/8 le 24`, `10.0.0.0/8 ge 16`, `10.0.0.0/8 ge 16 le 24`.
fn prefix_match(text: &str) -> Result<PrefixMatch, String> {
    let mut words = text.split_whitespace();
    let net = prefix(words.next().unwrap_or_default())?;
    let (mut least, mut most) = (None, None);
    while let Some(word) = words.next() {
        let bound = match word {
            "ge" => &mut least,
            "le" => &mut most,
            _ => return Err(format!("expected `ge` or `le` after the prefix, found {word:?}")),
        };
        if bound.is_some() {
            return Err(format!("`{word}` is there twice"));
        }
        let Some(length) = words.next().and_then(digits::<u8>) else {
            return Err(format!("expected a length after `{word}`"));
        };
        *bound = Some(length);
    }
    let (shortest, longest) = (net.prefix_len(), net.max_prefix_len());
    let (min_len, max_len) = match (least, most) {
        (None, None) => (shortest, shortest),
        (least, most) => (least.unwrap_or(shortest), most.unwrap_or(longest)),
    };
    if shortest > min_len || min_len > max_len || max_len > longest {
        return Err(format!(
            "lengths from {min_len} to {max_len} are none of {net}: expected {shortest} <= ge <= le <= {longest}"
        ));
    }
    Ok(PrefixMatch { net, min_len, max_len })
}

/// `9s`, `500ms`, `1m30s`: numbers with units, the largest first.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let number_end = rest.find(|character: char| !character.is_ascii_digit())?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        // Each unit once and in order, for the iterator does not go back.
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        milliseconds = milliseconds.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(milliseconds))
}

/// A time as [`duration`] reads it.
pub(crate) fn show_duration(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => time.as_secs().to_string(),
        _ => format!("\"{}ms\"", time.as_millis()),
    }
}

fn lengths(text: &str) -> Option<(u16, u16)> {
    let (min, max) = text.split_once("..")?;
    if min.is_empty() && max.is_empty() {
        return None;
    }
    let min = if min.is_empty() { 0 } else { digits(min)? };
    let max = if max.is_empty() { u16::MAX } else { digits(max)? };
    (min <= max).then_some((min, max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = |text| duration(text).map(|time| time.as_millis());
        assert_eq!(ms("9s"), Some(9000));
        assert_eq!(ms("2m"), Some(120_000));
        assert_eq!(ms("500ms"), Some(500));
        assert_eq!(ms("1h2m3s4ms"), Some(3_723_004));
        assert_eq!(ms("1d"), Some(86_400_000));
        for wrong in
            ["", "9", "s", "9 s", "-9s", "+9s", "9x", "1s1m", "1s1s", "1.5s", "99999999999999999999s"]
        {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(duration("18446744073709551615d"), None);
        assert_eq!(show_duration(Duration::from_secs(90)), "90");
        assert_eq!(show_duration(Duration::from_millis(1500)), "\"1500ms\"");
    }

    #[test]
    fn path_lengths() {
        assert_eq!(lengths("1..3"), Some((1, 3)));
        assert_eq!(lengths("..3"), Some((0, 3)));
        assert_eq!(lengths("2.."), Some((2, 65535)));
        for wrong in ["", "..", "3..1", "a..b", "1...3", "+1..3", "1..65536", "3"] {
            assert_eq!(lengths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn prefixes() {
        let show = |text: &str| match prefix_match(text) {
            Ok(PrefixMatch { net, min_len, max_len }) => format!("{net} {min_len} {max_len}"),
            Err(problem) => problem,
        };
        assert_eq!(show("10.0.0.0/8"), "10.0.0.0/8 8 8");
        assert_eq!(show("10.0.0.0/8 le 24"), "10.0.0.0/8 8 24");
        assert_eq!(show("10.0.0.0/8  ge 16"), "10.0.0.0/8 16 32");
        assert_eq!(show("10.0.0.0/8 le 24 ge 16"), "10.0.0.0/8 16 24");
        assert_eq!(show("2001:db8::/32 ge 48"), "2001:db8::/32 48 128");
        assert_eq!(show("10.0.0.1/8"), "10.0.0.1/8 has bits beyond its length: is `10.0.0.0/8` meant?");
        assert_eq!(
            show("10.0.0.1"),
            "expected a prefix, found the address 10.0.0.1: is `10.0.0.1/32` meant?"
        );
        assert_eq!(show("ten"), "expected a prefix such as \"10.0.0.0/8\", found the text \"ten\"");
        assert_eq!(show("10.0.0.0/8 eq 9"), "expected `ge` or `le` after the prefix, found \"eq\"");
        assert_eq!(show("10.0.0.0/8 ge 9 ge 9"), "`ge` is there twice");
        assert_eq!(show("10.0.0.0/8 ge"), "expected a length after `ge`");
        assert_eq!(show("10.0.0.0/8 ge +9"), "expected a length after `ge`");
        for wrong in ["ge 7", "le 33", "ge 24 le 16", "le 7"] {
            assert!(show(&format!("10.0.0.0/8 {wrong}")).contains("expected 8 <= ge <= le <= 32"), "{wrong}");
        }
    }
}
