//! What an attribute set becomes when a route is sent on (RFC 4271 §5, §9.2, RFC 4456 §8, RFC 6793 §4.2).

use alloc::{borrow::Cow, vec::Vec};
use core::net::IpAddr;

use super::{
    attrs::{AttrSet, Class, Identity},
    export::GroupKey,
};
use crate::{
    facts::NextHopMode,
    policy::Edits,
    wire::{
        Asn, Family, NextHop, RouterId, SessionKind,
        attr::{self, AsPath, Propagation, RawAttribute, RawAttributes, Segment, SegmentKind, code, flag},
    },
};

/// The next hop a route is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentNextHop {
    /// The session's own address: another one for each member of the group.
    Own,
    /// This one.
    Fixed(NextHop),
}

/// Chooses the next hop (RFC 4271 §5.1.3, RFC 4456 §10, RFC 8950 §4). `None`: the session can carry none,
/// so the route is not sent.
pub(super) fn next_hop(set: &AttrSet, edits: &Edits, key: &GroupKey) -> Option<SentNextHop> {
    let own = (key.slot_len > 0).then_some(SentNextHop::Own);
    if let Some(address) = edits.next_hop() {
        let next_hop = match address {
            IpAddr::V4(address) => NextHop::V4(address),
            IpAddr::V6(address) => NextHop::V6(address),
        };
        return carries(key, next_hop).then_some(SentNextHop::Fixed(next_hop));
    }
    let keep = match (key.next_hop, key.kind) {
        (NextHopMode::OwnAddress, _) => false,
        (NextHopMode::Unchanged, _) => true,
        (NextHopMode::Standard, kind) => kind == SessionKind::Internal,
    };
    let learned = set.next_hop().filter(|_| keep && set.class != Class::Local);
    match learned {
        // A link-local next hop means nothing beyond its link.
        Some(next_hop) if !next_hop.is_link_local() && carries(key, next_hop) => {
            let next_hop = match next_hop {
                NextHop::V6WithLinkLocal { global, .. } => NextHop::V6(global),
                other => other,
            };
            Some(SentNextHop::Fixed(next_hop))
        }
        _ => own,
    }
}

fn carries(key: &GroupKey, next_hop: NextHop) -> bool {
    match (key.family, next_hop) {
        (Family::IPV4_UNICAST, NextHop::V4(_)) => true,
        (Family::IPV4_UNICAST, _) => key.extended_next_hop,
        (_, NextHop::V4(_)) => false,
        (_, _) => true,
    }
}

/// Where a route that is sent on came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentFrom {
    /// The identifier of the peer it was learned from.
    pub(super) router_id: RouterId,
    /// It was learned from an iBGP peer, so sending it to another is reflecting it.
    pub(super) internal: bool,
}

/// Appends the attributes a route is sent with, the next hop and the NLRI excepted.
pub(super) fn attributes(
    set: &AttrSet,
    edits: &Edits,
    key: &GroupKey,
    from: SentFrom,
    identity: Identity,
    out: &mut Vec<u8>,
) {
    let block: Cow<'_, [u8]> = if edits.is_empty() {
        Cow::Borrowed(set.block())
    } else {
        let mut attributes = set.decode();
        edits.edit(&mut attributes);
        let mut block = Vec::new();
        attributes.encode(&mut block);
        Cow::Owned(block)
    };
    let internal = key.kind == SessionKind::Internal;
    let reflecting = internal && from.internal;
    // MULTI_EXIT_DISC from one AS says nothing to another (RFC 4271 §5.1.4).
    let keep_med = internal || set.class == Class::Local || matches!(edits.med(), Some(Some(_)));
    let missing = Missing::new(internal, reflecting, &block);
    let mut writer = Writer { key, identity, from, reflecting, missing };
    for raw in RawAttributes::new(&block) {
        writer.supply(raw.code, out);
        writer.copy(raw, keep_med, out);
    }
    writer.supply(u8::MAX, out);
}

/// Attributes that have to be there and that the set does not have, wherever in its order they stand.
struct Missing {
    as_path: bool,
    local_pref: bool,
    originator: bool,
    cluster_list: bool,
}

impl Missing {
    fn new(internal: bool, reflecting: bool, block: &[u8]) -> Self {
        let mut missing =
            Self { as_path: true, local_pref: internal, originator: reflecting, cluster_list: reflecting };
        for raw in RawAttributes::new(block) {
            match raw.code {
                code::AS_PATH => missing.as_path = false,
                code::LOCAL_PREF => missing.local_pref = false,
                code::ORIGINATOR_ID => missing.originator = false,
                code::CLUSTER_LIST => missing.cluster_list = false,
                _ => {}
            }
        }
        missing
    }
}

struct Writer<'a> {
    key: &'a GroupKey,
    identity: Identity,
    from: SentFrom,
    reflecting: bool,
    missing: Missing,
}

impl Writer<'_> {
    /// Writes what is missing and comes before `next`.
    fn supply(&mut self, next: u8, out: &mut Vec<u8>) {
        if self.missing.as_path && next > code::AS_PATH {
            self.missing.as_path = false;
            self.as_path(&[], out);
        }
        if self.missing.local_pref && next > code::LOCAL_PREF {
            self.missing.local_pref = false;
            attr::write(flag::TRANSITIVE, code::LOCAL_PREF, &100u32.to_be_bytes(), out);
        }
        if self.missing.originator && next > code::ORIGINATOR_ID {
            self.missing.originator = false;
            attr::write(flag::OPTIONAL, code::ORIGINATOR_ID, &self.from.router_id.0.to_be_bytes(), out);
        }
        if self.missing.cluster_list && next > code::CLUSTER_LIST {
            self.missing.cluster_list = false;
            attr::write(flag::OPTIONAL, code::CLUSTER_LIST, &self.identity.cluster_id.0.to_be_bytes(), out);
        }
    }

    fn copy(&self, raw: RawAttribute<'_>, keep_med: bool, out: &mut Vec<u8>) {
        let internal = self.key.kind == SessionKind::Internal;
        match raw.code {
            code::AS_PATH => self.as_path(raw.value, out),
            code::MULTI_EXIT_DISC if keep_med => attr::write(raw.flags, raw.code, raw.value, out),
            code::MULTI_EXIT_DISC => {}
            code::AGGREGATOR if !self.key.four_octet_as => aggregator(raw, out),
            code::EXTENDED_COMMUNITIES if !internal => transitive_communities(raw, out),
            code::CLUSTER_LIST if self.reflecting => {
                let mut value = self.identity.cluster_id.0.to_be_bytes().to_vec();
                value.extend_from_slice(raw.value);
                attr::write(raw.flags, raw.code, &value, out);
            }
            _ => match attr::propagation(raw.code, raw.flags) {
                Propagation::Always => attr::write(raw.flags, raw.code, raw.value, out),
                Propagation::Internal if internal => attr::write(raw.flags, raw.code, raw.value, out),
                Propagation::Partial => attr::write(raw.flags | flag::PARTIAL, raw.code, raw.value, out),
                Propagation::Internal | Propagation::Rewritten | Propagation::Never => {}
            },
        }
    }

    fn as_path(&self, value: &[u8], out: &mut Vec<u8>) {
        let external = self.key.kind == SessionKind::External;
        if self.key.four_octet_as {
            if external {
                let mut path = Vec::with_capacity(value.len() + 6);
                prepend(value, self.identity.asn, &mut path);
                attr::write(flag::TRANSITIVE, code::AS_PATH, &path, out);
            } else {
                attr::write(flag::TRANSITIVE, code::AS_PATH, value, out);
            }
            return;
        }
        let mut path = Vec::with_capacity(value.len() + 6);
        if external {
            prepend(value, self.identity.asn, &mut path);
        } else {
            path.extend_from_slice(value);
        }
        narrow_as_path(&path, out);
    }
}

/// Puts an AS in front of an encoded path (RFC 4271 §5.1.2 (b)).
fn prepend(path: &[u8], asn: Asn, out: &mut Vec<u8>) {
    match path.split_first_chunk::<2>() {
        Some((&[kind, count], rest)) if kind == SegmentKind::Sequence as u8 && count < 255 => {
            out.extend_from_slice(&[kind, count + 1]);
            out.extend_from_slice(&asn.0.to_be_bytes());
            out.extend_from_slice(rest);
        }
        _ => {
            out.extend_from_slice(&[SegmentKind::Sequence as u8, 1]);
            out.extend_from_slice(&asn.0.to_be_bytes());
            out.extend_from_slice(path);
        }
    }
}

/// AS_PATH for a peer that knows two octets only, and AS4_PATH where it loses something
/// (RFC 6793 §4.2.2).
fn narrow_as_path(path: &[u8], out: &mut Vec<u8>) {
    let Some(path) = AsPath::decode(path, true) else { return };
    let mut narrow = Vec::new();
    for Segment { kind, asns } in &path.segments {
        narrow.push(*kind as u8);
        narrow.push(u8::try_from(asns.len()).unwrap_or(u8::MAX));
        for asn in asns {
            narrow.extend_from_slice(&asn.as_u16_or_trans().to_be_bytes());
        }
    }
    attr::write(flag::TRANSITIVE, code::AS_PATH, &narrow, out);
    let wide = |segment: &Segment| segment.asns.iter().any(|asn| asn.0 > u32::from(u16::MAX));
    if path.segments.iter().any(wide) {
        let segments = path
            .segments
            .into_iter()
            .filter(|it| matches!(it.kind, SegmentKind::Sequence | SegmentKind::Set))
            .collect();
        let mut value = Vec::new();
        AsPath { segments }.encode(&mut value);
        attr::write(flag::OPTIONAL | flag::TRANSITIVE, code::AS4_PATH, &value, out);
    }
}

/// Extended communities that may leave the AS (RFC 4360 §6): those without the non-transitive bit.
fn transitive_communities(raw: RawAttribute<'_>, out: &mut Vec<u8>) {
    const NON_TRANSITIVE: u8 = 0x40;
    let stays = |community: &[u8]| community.first().is_some_and(|kind| kind & NON_TRANSITIVE != 0);
    if !raw.value.chunks(8).any(stays) {
        return attr::write(raw.flags, raw.code, raw.value, out);
    }
    let value: Vec<u8> =
        raw.value.chunks(8).filter(|community| !stays(community)).flatten().copied().collect();
    if !value.is_empty() {
        attr::write(raw.flags, raw.code, &value, out);
    }
}

/// AGGREGATOR for such a peer, and AS4_AGGREGATOR where it loses something.
fn aggregator(raw: RawAttribute<'_>, out: &mut Vec<u8>) {
    let Some((&asn, router_id)) = raw.value.split_first_chunk::<4>() else { return };
    let asn = Asn(u32::from_be_bytes(asn));
    let mut value = asn.as_u16_or_trans().to_be_bytes().to_vec();
    value.extend_from_slice(router_id);
    attr::write(raw.flags, code::AGGREGATOR, &value, out);
    if asn.0 > u32::from(u16::MAX) {
        attr::write(flag::OPTIONAL | flag::TRANSITIVE, code::AS4_AGGREGATOR, raw.value, out);
    }
}
