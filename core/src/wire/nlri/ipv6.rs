//! IPv6 prefixes (RFC 4760 §5, RFC 2545).

use core::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::NlriError;

/// Iterates over IPv6 prefixes, host bits cleared. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Ipv6Prefixes<'a> {
    field: &'a [u8],
    /// Octets of the whole field, so that an error can say where it is.
    len: usize,
}

impl<'a> Ipv6Prefixes<'a> {
    /// Over `field`.
    #[inline]
    pub fn new(field: &'a [u8]) -> Self {
        Self { field, len: field.len() }
    }

    /// Ends the iteration.
    #[cold]
    fn fail(&mut self) -> NlriError {
        let at = self.len - self.field.len();
        self.field = &[];
        NlriError(at)
    }
}

impl Iterator for Ipv6Prefixes<'_> {
    type Item = Result<Ipv6Net, NlriError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&bits, tail) = self.field.split_first()?;
        let Some((octets, rest)) = tail.split_at_checked(usize::from(bits).div_ceil(8)) else {
            return Some(Err(self.fail()));
        };
        // Sixteen octets at once where the field has them: the mask below drops what is not ours.
        let word = match tail.first_chunk() {
            Some(octets) => u128::from_be_bytes(*octets),
            None => octets.iter().rev().fold(0, |word, &octet| word >> 8 | u128::from(octet) << 120),
        };
        let mask = u128::MAX.checked_shl(128_u32.wrapping_sub(u32::from(bits))).unwrap_or(0);
        match Ipv6Net::new(Ipv6Addr::from(word & mask), bits) {
            Ok(prefix) => {
                self.field = rest;
                Some(Ok(prefix))
            }
            Err(_) => Some(Err(self.fail())),
        }
    }

    /// A prefix has at least its length octet.
    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!self.field.is_empty()), Some(self.field.len()))
    }
}
