//! Network layer reachability information: prefixes on the wire (RFC 4271 §4.3, RFC 4760 §5).

use alloc::vec::Vec;

use ipnet::IpNet;

mod ipv4;
mod ipv6;
#[cfg(test)]
mod tests;

pub use ipv4::Ipv4Prefixes;
pub use ipv6::Ipv6Prefixes;

/// A NLRI field that cannot be parsed: a length over the family's, or octets missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the NLRI field is malformed at octet {0}")]
pub struct NlriError(pub usize);

/// Appends one prefix: a length octet and as many octets as it needs, host bits cleared.
pub fn encode(prefix: IpNet, out: &mut Vec<u8>) {
    match prefix {
        IpNet::V4(prefix) => write(prefix.prefix_len(), &prefix.network().octets(), out),
        IpNet::V6(prefix) => write(prefix.prefix_len(), &prefix.network().octets(), out),
    }
}

#[inline]
fn write(bits: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(bits);
    out.extend_from_slice(octets.get(..usize::from(bits).div_ceil(8)).unwrap_or(octets));
}
