//! Filling windows: from sorted prefixes to whole UPDATEs (RFC 4271 §4.3, RFC 4760 §3, §4).

use alloc::vec::Vec;

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    export::{Audience, GroupKey, Window},
    rewrite::SentNextHop,
    table::Address,
};
use crate::wire::{
    Family, MAX_LEN, MessageKind, NextHop,
    attr::{code, flag},
    begin_message, finish_message,
};

/// Octets at which a window is full.
pub(super) const WINDOW: usize = 64 * 1024;

/// Octets of most messages with one prefix.
const ONE: usize = 200;

/// A window being filled.
pub(super) struct Packer<'a> {
    key: &'a GroupKey,
    slot: &'a [u8],
    out: Vec<u8>,
    runs: SmallVec<[(u32, Audience); 1]>,
    slots: SmallVec<[u32; 2]>,
    message: Option<Message>,
    /// The attributes that follow MP_REACH_NLRI in the open message.
    trailer: Vec<u8>,
}

/// The UPDATE being filled.
struct Message {
    start: usize,
    audience: Audience,
    /// Where the field that NLRI are appended to starts.
    field: usize,
    /// Octets to follow the field.
    tail: usize,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Withdrawn routes in their own field.
    Withdraw,
    /// MP_UNREACH_NLRI.
    MpUnreach,
    /// NLRI at the end.
    Announce,
    /// MP_REACH_NLRI, and the attributes after it; `attrs` is where the attribute starts.
    MpReach { attrs: usize },
}

impl<'a> Packer<'a> {
    /// For about as many prefixes as `expected`.
    pub(super) fn new(key: &'a GroupKey, slot: &'a [u8], expected: usize) -> Self {
        // Room for a prefix and its share of attributes, so that a full window grows no further.
        let room = expected.saturating_mul(24).saturating_add(ONE).min(WINDOW + MAX_LEN);
        let (out, runs, slots) = (Vec::with_capacity(room), SmallVec::new(), SmallVec::new());
        Self { key, slot, out, runs, slots, message: None, trailer: Vec::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= WINDOW
    }

    /// The window, or nothing if nothing was put in.
    pub(super) fn finish(mut self) -> Option<Window> {
        self.close();
        if self.out.is_empty() {
            return None;
        }
        Some(Window {
            octets: Bytes::from(self.out),
            runs: self.runs,
            slots: self.slots,
            slot: SmallVec::from_slice(self.slot),
            ..Window::default()
        })
    }

    /// Withdraws a prefix.
    pub(super) fn withdraw<A: Address>(&mut self, address: A, len: u8, audience: Audience) {
        let shape = if A::FAMILY == Family::IPV4_UNICAST { Shape::Withdraw } else { Shape::MpUnreach };
        let open = self.message.as_ref().is_some_and(|message| {
            message.shape == shape && message.audience == audience && self.fits(message, len)
        });
        if !open {
            self.close();
            let start = begin_message(&mut self.out, MessageKind::Update);
            let tail = if shape == Shape::Withdraw {
                self.out.extend_from_slice(&[0, 0]);
                2
            } else {
                // No withdrawn routes; attributes; MP_UNREACH_NLRI of a length to be known.
                self.out.extend_from_slice(&[0, 0, 0, 0]);
                self.out.extend_from_slice(&[
                    flag::OPTIONAL | flag::EXTENDED_LENGTH,
                    code::MP_UNREACH_NLRI,
                    0,
                    0,
                ]);
                family(A::FAMILY, &mut self.out);
                0
            };
            let field = self.out.len();
            self.message = Some(Message { start, audience, field, tail, shape });
        }
        address.write(len, &mut self.out);
    }

    /// Announces a prefix with attributes and a next hop. `fresh`: they are not those of the call before.
    /// `false`: one prefix with these attributes is longer than a message may be.
    pub(super) fn announce<A: Address>(
        &mut self,
        address: A,
        len: u8,
        audience: Audience,
        attributes: &[u8],
        next_hop: SentNextHop,
        fresh: bool,
    ) -> bool {
        let open = !fresh
            && self.message.as_ref().is_some_and(|message| {
                matches!(message.shape, Shape::Announce | Shape::MpReach { .. })
                    && message.audience == audience
                    && self.fits(message, len)
            });
        if !open {
            self.close();
            let message = self.begin_announce(A::FAMILY, audience, attributes, next_hop);
            if !self.fits(&message, len) {
                self.out.truncate(message.start);
                self.slots.retain(|slot| (*slot as usize) < message.start);
                return false;
            }
            self.message = Some(message);
        }
        address.write(len, &mut self.out);
        true
    }

    fn begin_announce(
        &mut self,
        of: Family,
        audience: Audience,
        attributes: &[u8],
        next_hop: SentNextHop,
    ) -> Message {
        let start = begin_message(&mut self.out, MessageKind::Update);
        self.out.extend_from_slice(&[0, 0]);
        let mut octets: SmallVec<[u8; 32]> = SmallVec::new();
        match next_hop {
            SentNextHop::Own => octets.extend_from_slice(self.slot),
            SentNextHop::Fixed(NextHop::V4(address)) => octets.extend_from_slice(&address.octets()),
            SentNextHop::Fixed(NextHop::V6(address)) => octets.extend_from_slice(&address.octets()),
            SentNextHop::Fixed(NextHop::V6WithLinkLocal { global, link_local }) => {
                octets.extend_from_slice(&global.octets());
                octets.extend_from_slice(&link_local.octets());
            }
        }
        let slot = |out: &Vec<u8>| u32::try_from(out.len()).unwrap_or(u32::MAX);
        if of == Family::IPV4_UNICAST && octets.len() == 4 {
            let total = u16::try_from(attributes.len() + 7).unwrap_or(u16::MAX);
            self.out.extend_from_slice(&total.to_be_bytes());
            // ORIGIN and AS_PATH come first in what `attributes` holds; the order is free (RFC 4271 §5),
            // so NEXT_HOP stands before them.
            self.out.extend_from_slice(&[flag::TRANSITIVE, code::NEXT_HOP, 4]);
            if next_hop == SentNextHop::Own {
                self.slots.push(slot(&self.out));
            }
            self.out.extend_from_slice(&octets);
            self.out.extend_from_slice(attributes);
            let field = self.out.len();
            return Message { start, audience, field, tail: 0, shape: Shape::Announce };
        }
        self.out.extend_from_slice(&[0, 0]);
        let attrs = self.out.len();
        // MP_REACH_NLRI first (RFC 7606 §5.1).
        self.out.extend_from_slice(&[flag::OPTIONAL | flag::EXTENDED_LENGTH, code::MP_REACH_NLRI, 0, 0]);
        family(of, &mut self.out);
        self.out.push(u8::try_from(octets.len()).unwrap_or(u8::MAX));
        if next_hop == SentNextHop::Own {
            self.slots.push(slot(&self.out));
        }
        self.out.extend_from_slice(&octets);
        self.out.push(0);
        self.trailer.clear();
        self.trailer.extend_from_slice(attributes);
        let field = self.out.len();
        Message { start, audience, field, tail: attributes.len(), shape: Shape::MpReach { attrs } }
    }

    fn fits(&self, message: &Message, len: u8) -> bool {
        let more = 1 + usize::from(len).div_ceil(8) + message.tail;
        self.out.len() - message.start + more <= self.key.max_len
    }

    /// Ends the open message.
    fn close(&mut self) {
        let Some(message) = self.message.take() else { return };
        let field_len = self.out.len() - message.field;
        let put = |out: &mut Vec<u8>, at: usize, value: usize| {
            if let Some(place) = out.get_mut(at..at + 2) {
                place.copy_from_slice(&u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes());
            }
        };
        match message.shape {
            Shape::Withdraw => {
                put(&mut self.out, message.field - 2, field_len);
                self.out.extend_from_slice(&[0, 0]);
            }
            Shape::MpUnreach => {
                // Flags, type, length, family: 4 + 3 octets before the field.
                put(&mut self.out, message.field - 5, field_len + 3);
                put(&mut self.out, message.field - 9, field_len + 7);
            }
            Shape::Announce => {}
            Shape::MpReach { attrs } => {
                let reach_len = self.out.len() - attrs - 4;
                put(&mut self.out, attrs + 2, reach_len);
                self.out.extend_from_slice(&self.trailer);
                let attrs_len = self.out.len() - attrs;
                put(&mut self.out, attrs - 2, attrs_len);
            }
        }
        finish_message(&mut self.out, message.start);
        let end = u32::try_from(self.out.len()).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some((last, audience)) if *audience == message.audience => *last = end,
            _ => self.runs.push((end, message.audience)),
        }
    }
}

fn family(family: Family, out: &mut Vec<u8>) {
    out.extend_from_slice(&family.afi.0.to_be_bytes());
    out.push(family.safi.0);
}
