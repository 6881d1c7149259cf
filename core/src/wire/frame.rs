//! The message header: where a message starts and ends (RFC 4271 §4.1).

use super::MessageError;

/// Length of the header.
pub const HEADER_LEN: usize = 19;
/// Longest message (RFC 4271 §4.1).
pub const MAX_LEN: usize = 4096;
/// Longest message where both sides agreed (RFC 8654 §4). OPEN and KEEPALIVE stay within [`MAX_LEN`].
pub const MAX_EXTENDED_LEN: usize = 65535;

/// A KEEPALIVE, whole.
pub const KEEPALIVE: [u8; HEADER_LEN] =
    [255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 19, 4];

/// The type field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// 1
    Open = 1,
    /// 2
    Update = 2,
    /// 3
    Notification = 3,
    /// 4
    Keepalive = 4,
    /// 5 (RFC 2918)
    RouteRefresh = 5,
}

/// One message in a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: MessageKind,
    /// What follows the header.
    pub body: &'a [u8],
    /// Octets of the whole message, header included.
    pub len: usize,
}

/// Takes the first message off `stream`; `None` while it is incomplete. `max_len` is what the session
/// agreed to. A header that cannot be right is an error as soon as its octets are there.
pub fn frame(stream: &[u8], max_len: usize) -> Result<Option<Frame<'_>>, MessageError> {
    let _ = (stream, max_len);
    todo!()
}
