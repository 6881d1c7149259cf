//! The message header: where a message starts and ends (RFC 4271 §4.1).

use super::{MessageError, reader::Reader};

/// Length of the header.
pub const HEADER_LEN: usize = 19;
/// Longest message (RFC 4271 §4.1).
pub const MAX_LEN: usize = 4096;
/// Longest message where both sides agreed (RFC 8654 §4). OPEN and KEEPALIVE stay within [`MAX_LEN`].
pub const MAX_EXTENDED_LEN: usize = 65535;

/// What a message starts with: sixteen octets of ones.
pub(super) const MARKER: [u8; 16] = [255; 16];

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

impl MessageKind {
    fn of(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Open,
            2 => Self::Update,
            3 => Self::Notification,
            4 => Self::Keepalive,
            5 => Self::RouteRefresh,
            _ => return None,
        })
    }

    /// The lengths a message of this type can have (RFC 4271 §6.1, RFC 8654 §4). The minimum of
    /// ROUTE-REFRESH is its fixed part (RFC 2918 §3).
    fn allows(self, len: usize) -> bool {
        match self {
            Self::Open => (29..=MAX_LEN).contains(&len),
            Self::Update | Self::RouteRefresh => len >= 23,
            Self::Notification => len >= 21,
            Self::Keepalive => len == HEADER_LEN,
        }
    }
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
/// agreed to. A header that cannot be right is an error as soon as its octets are there
/// (RFC 4271 §6.1).
#[inline]
pub fn frame(stream: &[u8], max_len: usize) -> Result<Option<Frame<'_>>, MessageError> {
    let mut header = Reader::new(stream);
    let Some(marker) = header.array::<16>() else {
        // A peer that does not speak BGP is told so without waiting for the rest of its header.
        return if stream.iter().all(|&octet| octet == 0xFF) {
            Ok(None)
        } else {
            Err(MessageError::NotSynchronized)
        };
    };
    if marker != MARKER {
        return Err(MessageError::NotSynchronized);
    }
    let Some(length) = header.u16() else { return Ok(None) };
    let len = usize::from(length);
    if !(HEADER_LEN..=max_len).contains(&len) {
        return Err(MessageError::BadLength(length));
    }
    let Some(octet) = header.u8() else { return Ok(None) };
    let kind = MessageKind::of(octet).ok_or(MessageError::BadType(octet))?;
    if !kind.allows(len) {
        return Err(MessageError::BadLength(length));
    }
    Ok(header.take(len - HEADER_LEN).map(|body| Frame { kind, body, len }))
}
