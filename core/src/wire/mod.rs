//! Bytes to messages and back, without state.
//!
//! Everything here is a function of its arguments: what a session negotiated is passed in. Nothing
//! here panics on any input, allocates more than its input's length asks for, or reads past it.

pub mod attr;
mod capability;
mod error;
mod frame;
mod names;
pub mod nlri;
mod notification;
mod open;
mod reader;
mod refresh;
#[cfg(test)]
mod tests;
mod types;
mod update;

pub use capability::{AddPathMode, Capability, GracefulRestartFamily};
pub use error::MessageError;
pub use frame::{Frame, HEADER_LEN, KEEPALIVE, MAX_EXTENDED_LEN, MAX_LEN, MessageKind, frame};
pub use notification::Notification;
pub use open::Open;
pub use refresh::RouteRefresh;
pub use types::{
    Afi, Asn, Community, ExtendedCommunity, Family, LargeCommunity, NextHop, Origin, ParseCommunityError,
    RouterId, Safi, SessionKind,
};
pub use update::{Update, begin_message, finish_message};
