//! The attribute table: everything that is the same kind of question for every attribute is one row.
//!
//! A row says what is expected and what follows from anything else; the values themselves are read in
//! `parse`. Adding an attribute starts here.

use super::{
    super::SessionKind,
    AttributeContext, Outcome, RawAttribute, code,
    flag::{OPTIONAL, TRANSITIVE},
};

use Length::{Any, Exactly, MultipleOf};
use Outcome::{AttributeDiscard as Discard, TreatAsWithdraw as Withdraw};
use Propagation::{Always, Internal, Never, Rewritten};
use Source::{Anyone, InternalPeers, OldSpeakers};

/// Which lengths an attribute may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// This one.
    Exactly(usize),
    /// Any multiple but zero.
    MultipleOf(usize),
    /// An AS number of the session's width and four octets.
    Aggregator,
    /// The value decides.
    Any,
}

impl Length {
    #[inline]
    fn fits(self, len: usize, context: AttributeContext) -> bool {
        match self {
            Self::Exactly(expected) => len == expected,
            Self::MultipleOf(unit) => len != 0 && len.is_multiple_of(unit),
            Self::Aggregator => len == if context.four_octet_as { 8 } else { 6 },
            Self::Any => true,
        }
    }
}

/// From whom an attribute is taken; from others it is discarded, however it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Everyone.
    Anyone,
    /// Internal peers (RFC 7606 §7.5, §7.9, §7.10).
    InternalPeers,
    /// Speakers with two-octet AS numbers (RFC 6793 §4.1).
    OldSpeakers,
}

impl Source {
    #[inline]
    fn covers(self, context: AttributeContext) -> bool {
        match self {
            Self::Anyone => true,
            Self::InternalPeers => context.kind == SessionKind::Internal,
            Self::OldSpeakers => !context.four_octet_as,
        }
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Type code.
    pub(super) code: u8,
    /// The RFC's word, for people.
    pub(super) name: &'static str,
    /// The optional and transitive bits.
    pub(super) flags: u8,
    /// From whom it is taken.
    pub(super) source: Source,
    /// Its lengths.
    pub(super) length: Length,
    /// What a malformed one leads to (RFC 7606 §7 and the attribute's own RFC). Wrong flags make an
    /// attribute malformed too: RFC 7606 §3 (c) has them treated as a withdrawal; where nothing of
    /// the attribute itself would, it is not worth the route, so its own outcome holds (FRR agrees).
    pub(super) malformed: Outcome,
    /// How it is sent on.
    pub(super) propagation: Propagation,
}

/// How an attribute fares when a route is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// To everyone.
    Always,
    /// To internal peers only.
    Internal,
    /// The sender writes it anew: AS_PATH, NEXT_HOP, MP_REACH_NLRI.
    Rewritten,
    /// Unknown and transitive: to everyone, with the partial bit set (RFC 4271 §5).
    Partial,
    /// To nobody.
    Never,
}

const WELL_KNOWN: u8 = TRANSITIVE;
const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;

/// The columns in the order of [`Row`]'s fields.
#[rustfmt::skip]
macro_rules! rows {
    ($($code:ident $flags:ident $source:ident $length:expr => $malformed:ident, $propagation:ident;)*) => {
        &[$(Row {
            code: code::$code, name: stringify!($code), flags: $flags, source: $source, length: $length,
            malformed: $malformed, propagation: $propagation,
        }),*]
    };
}

#[rustfmt::skip]
pub(super) const TABLE: &[Row] = rows! {
    ORIGIN               WELL_KNOWN          Anyone        Exactly(1)         => Withdraw, Always;    // RFC 7606 §7.1
    AS_PATH              WELL_KNOWN          Anyone        Any                => Withdraw, Rewritten; // RFC 7606 §7.2
    NEXT_HOP             WELL_KNOWN          Anyone        Exactly(4)         => Withdraw, Rewritten; // RFC 7606 §7.3
    MULTI_EXIT_DISC      OPTIONAL            Anyone        Exactly(4)         => Withdraw, Internal;  // RFC 7606 §7.4
    LOCAL_PREF           WELL_KNOWN          InternalPeers Exactly(4)         => Withdraw, Internal;  // RFC 7606 §7.5
    ATOMIC_AGGREGATE     WELL_KNOWN          Anyone        Exactly(0)         => Discard,  Always;    // RFC 7606 §7.6
    AGGREGATOR           OPTIONAL_TRANSITIVE Anyone        Length::Aggregator => Discard,  Always;    // RFC 7606 §7.7
    COMMUNITIES          OPTIONAL_TRANSITIVE Anyone        MultipleOf(4)      => Withdraw, Always;    // RFC 7606 §7.8
    ORIGINATOR_ID        OPTIONAL            InternalPeers Exactly(4)         => Withdraw, Internal;  // RFC 7606 §7.9
    CLUSTER_LIST         OPTIONAL            InternalPeers MultipleOf(4)      => Withdraw, Internal;  // RFC 7606 §7.10
    MP_REACH_NLRI        OPTIONAL            Anyone        Any                => Withdraw, Rewritten; // RFC 7606 §7.11
    MP_UNREACH_NLRI      OPTIONAL            Anyone        Any                => Withdraw, Rewritten; // RFC 7606 §7.12
    EXTENDED_COMMUNITIES OPTIONAL_TRANSITIVE Anyone        MultipleOf(8)      => Withdraw, Always;    // RFC 7606 §7.14
    AS4_PATH             OPTIONAL_TRANSITIVE OldSpeakers   Any                => Discard,  Never;     // RFC 6793 §6
    AS4_AGGREGATOR       OPTIONAL_TRANSITIVE OldSpeakers   Exactly(8)         => Discard,  Never;     // RFC 6793 §6
    LARGE_COMMUNITIES    OPTIONAL_TRANSITIVE Anyone        MultipleOf(12)     => Withdraw, Always;    // RFC 8092 §6
};

/// Where in the table a code's row is; a row that is not there is past its end.
const INDEX: [u8; 256] = {
    let mut index = [u8::MAX; 256];
    let mut at = 0;
    while at < TABLE.len() {
        index[TABLE[at].code as usize] = at as u8;
        at += 1;
    }
    index
};

/// The row of an attribute we know.
#[inline]
pub(super) fn row(code: u8) -> Option<&'static Row> {
    TABLE.get(usize::from(*INDEX.get(usize::from(code))?))
}

impl Row {
    /// Whether a session takes this attribute at all.
    #[inline]
    pub(super) fn is_taken(&self, context: AttributeContext) -> bool {
        self.source.covers(context)
    }

    /// Whether the optional and transitive bits are the type's (RFC 7606 §3 (c)). The partial bit and
    /// the extended length are never an error.
    #[inline]
    pub(super) const fn flags_fit(&self, flags: u8) -> bool {
        (flags ^ self.flags) & (OPTIONAL | TRANSITIVE) == 0
    }

    /// Whether the type allows this length.
    #[inline]
    pub(super) fn length_fits(&self, len: usize, context: AttributeContext) -> bool {
        self.length.fits(len, context)
    }
}

/// Whether an attribute's flags are its type's; true of unknown ones.
#[inline]
pub(super) fn flags_fit(attribute: RawAttribute<'_>) -> bool {
    row(attribute.code).is_none_or(|row| row.flags_fit(attribute.flags))
}

/// The RFC's name of an attribute we know, such as `MULTI_EXIT_DISC`.
pub fn name(code: u8) -> Option<&'static str> {
    row(code).map(|row| row.name)
}

/// How the attribute with this code and these flags is sent on.
///
/// Of EXTENDED_COMMUNITIES only the transitive ones leave the AS (RFC 4360 §6): the sender filters.
#[inline]
pub fn propagation(code: u8, flags: u8) -> Propagation {
    match row(code) {
        Some(row) => row.propagation,
        None if flags & OPTIONAL_TRANSITIVE == OPTIONAL_TRANSITIVE => Propagation::Partial,
        None => Never,
    }
}
