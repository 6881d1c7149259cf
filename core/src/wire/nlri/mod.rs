//! Network layer reachability information: prefixes on the wire (RFC 4271 §4.3, RFC 4760 §5).

use alloc::vec::Vec;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A NLRI field that cannot be parsed: a length over the family's, or octets missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the NLRI field is malformed at octet {0}")]
pub struct NlriError(pub usize);

/// Iterates over IPv4 prefixes, host bits cleared. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Ipv4Prefixes<'a> {
    field: &'a [u8],
}

impl<'a> Ipv4Prefixes<'a> {
    /// Over `field`.
    pub fn new(field: &'a [u8]) -> Self {
        Self { field }
    }
}

impl Iterator for Ipv4Prefixes<'_> {
    type Item = Result<Ipv4Net, NlriError>;

    fn next(&mut self) -> Option<Self::Item> {
        let _ = self.field;
        todo!()
    }
}

/// Iterates over IPv6 prefixes, host bits cleared. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Ipv6Prefixes<'a> {
    field: &'a [u8],
}

impl<'a> Ipv6Prefixes<'a> {
    /// Over `field`.
    pub fn new(field: &'a [u8]) -> Self {
        Self { field }
    }
}

impl Iterator for Ipv6Prefixes<'_> {
    type Item = Result<Ipv6Net, NlriError>;

    fn next(&mut self) -> Option<Self::Item> {
        let _ = self.field;
        todo!()
    }
}

/// Appends one prefix: a length octet and as many octets as it needs.
pub fn encode(prefix: IpNet, out: &mut Vec<u8>) {
    let _ = (prefix, out);
    todo!()
}
