//! Capabilities in OPEN (RFC 5492).

use alloc::{string::String, vec::Vec};

use super::{Afi, Asn, Family};

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
