//! What can be wrong with a message as a whole: each error is the NOTIFICATION it causes.

use alloc::vec::Vec;

use super::Notification;

/// A message that cannot be used at all. An UPDATE with malformed attributes is not one of these
/// unless RFC 7606 asks for a session reset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The marker is not all ones (RFC 4271 §6.1: 1/1).
    #[error("the marker is not all ones")]
    NotSynchronized,
    /// The length field is out of bounds for the session or the type (RFC 4271 §6.1: 1/2).
    #[error("length {0} is out of bounds")]
    BadLength(u16),
    /// The type is none we know (RFC 4271 §6.1: 1/3).
    #[error("message type {0} is unknown")]
    BadType(u8),
    /// The version is not 4 (RFC 4271 §6.2: 2/1).
    #[error("version {0} is not supported")]
    UnsupportedVersion(u8),
    /// The identifier is zero (RFC 6286 §2.2: 2/3).
    #[error("the BGP identifier is zero")]
    BadRouterId,
    /// An optional parameter is none we know (RFC 4271 §6.2: 2/4).
    #[error("optional parameter {0} is unknown")]
    UnsupportedParameter(u8),
    /// The OPEN's parameters or capabilities do not fit their lengths (RFC 4271 §6.2: 2/0).
    #[error("the OPEN is malformed")]
    MalformedOpen,
    /// The hold time is one or two seconds (RFC 4271 §6.2: 2/6).
    #[error("hold time {0} is not acceptable")]
    UnacceptableHoldTime(u16),
    /// The UPDATE's parts do not fit its length, or MP_REACH_NLRI or MP_UNREACH_NLRI is there twice
    /// (RFC 4271 §6.3, RFC 7606 §3: 3/1).
    #[error("the attribute list is malformed")]
    MalformedAttributeList,
    /// An attribute cannot be skipped safely, so the NLRI cannot be trusted (RFC 7606 §5.3: 3/9).
    #[error("attribute {} is malformed", .0.get(1).copied().unwrap_or_default())]
    OptionalAttribute(Vec<u8>),
    /// A NLRI field cannot be parsed (RFC 4271 §6.3: 3/10).
    #[error("the NLRI field is malformed")]
    InvalidNetworkField,
    /// A ROUTE-REFRESH has the wrong length (RFC 7313 §5: 7/1).
    #[error("the ROUTE-REFRESH is malformed")]
    BadRefresh(Vec<u8>),
    /// A NOTIFICATION is too short to have a code.
    #[error("the NOTIFICATION is malformed")]
    MalformedNotification,
}

impl MessageError {
    /// The NOTIFICATION to send.
    pub fn notification(&self) -> Notification {
        let _ = self;
        todo!()
    }
}
