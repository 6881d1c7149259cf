//! Which of two connections to one peer survives (RFC 4271 §6.8, RFC 6286 §2.3).
//!
//! Both ends compare the same identifiers, so both keep the same connection: the one that the end with the
//! higher identifier opened. For that to hold whatever the order in which messages arrive, a connection
//! that is to lose waits in OpenConfirm while the other may still come up; it is established when the
//! other fails.

use crate::wire::{Asn, RouterId};

/// Which end opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// This one.
    Outgoing = 0,
    /// The peer.
    Incoming = 1,
}

impl Role {
    /// The other one.
    #[must_use]
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Outgoing => Self::Incoming,
            Self::Incoming => Self::Outgoing,
        }
    }
}

/// Which connection survives: that of the end with the higher identifier; where they are equal, with the
/// higher AS.
pub(crate) fn survivor(local: (RouterId, Asn), remote: (RouterId, Asn)) -> Role {
    if local > remote { Role::Outgoing } else { Role::Incoming }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_keep_the_same_connection() {
        for (a, b) in
            [((RouterId(1), Asn(9)), (RouterId(2), Asn(1))), ((RouterId(2), Asn(1)), (RouterId(2), Asn(9)))]
        {
            assert_eq!(survivor(a, b), survivor(b, a).other(), "{a:?} {b:?}");
        }
    }
}
