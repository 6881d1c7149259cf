//! What can be wrong with a message as a whole: each error is the NOTIFICATION it causes.

use alloc::vec::Vec;

use super::{Notification, nlri::NlriError};

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
    /// The NOTIFICATION to send (RFC 4271 §6.1, §6.2, §6.3; RFC 7313 §5).
    ///
    /// RFC 4271 §6.4 forbids answering a malformed NOTIFICATION with another: a session that gets one
    /// just closes. What it logs, if it needs a code, is a bad message length.
    pub fn notification(&self) -> Notification {
        let (code, subcode, data) = match self {
            Self::NotSynchronized => (1, 1, Vec::new()),
            Self::BadLength(length) => (1, 2, length.to_be_bytes().to_vec()),
            Self::BadType(kind) => (1, 3, [*kind].to_vec()),
            // The data is the largest version we know below the one that was offered.
            Self::UnsupportedVersion(_) => (2, 1, [0, 4].to_vec()),
            Self::BadRouterId => (2, 3, Vec::new()),
            Self::UnsupportedParameter(_) => (2, 4, Vec::new()),
            Self::MalformedOpen => (2, 0, Vec::new()),
            Self::UnacceptableHoldTime(_) => (2, 6, Vec::new()),
            Self::MalformedAttributeList => (3, 1, Vec::new()),
            Self::OptionalAttribute(attribute) => (3, 9, attribute.clone()),
            Self::InvalidNetworkField => (3, 10, Vec::new()),
            Self::BadRefresh(message) => (7, 1, message.clone()),
            Self::MalformedNotification => (1, 2, Vec::new()),
        };
        Notification { code, subcode, data }
    }
}

/// RFC 4271 §6.3, RFC 7606 §5.3: prefixes that cannot be told apart end the session.
impl From<NlriError> for MessageError {
    fn from(_: NlriError) -> Self {
        Self::InvalidNetworkField
    }
}
