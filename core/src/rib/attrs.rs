//! Attribute sets, interned: each distinct one is stored once and known by a number.
//!
//! What makes two sets the same is the block as received (without the multiprotocol attributes), the next
//! hop, and whether it came from inside or outside the AS, for that decides what is valid. So a block
//! that is known is found by its octets and not parsed again. Sets that mean the same but are spelled
//! differently stay different: that costs a little packing and is never wrong.

use alloc::{boxed::Box, vec::Vec};
use core::{hash::BuildHasher, net::IpAddr};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::slab::Slab;
use crate::{
    policy::Edits,
    wire::{
        Asn, NextHop, Origin, RouterId, SessionKind,
        attr::{self, AttributeContext, PathAttributes, RawAttributes, Summary, code},
    },
};

/// An interned attribute set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AttrId(pub(super) u32);

impl AttrId {
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Where a set came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    Local,
    Internal,
    External,
}

/// Facts about a set, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts(u8);

impl Facts {
    pub(super) const NO_EXPORT: u8 = 1;
    pub(super) const NO_ADVERTISE: u8 = 2;
    pub(super) const AS_LOOP: u8 = 4;
    pub(super) const REFLECTION_LOOP: u8 = 8;
    pub(super) const UNREACHABLE: u8 = 16;
    pub(super) const ORIGINATOR: u8 = 32;
    pub(super) const EDITED: u8 = 64;

    #[inline]
    pub(super) const fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    pub(super) const fn set(&mut self, bits: u8, on: bool) {
        if on {
            self.0 |= bits;
        } else {
            self.0 &= !bits;
        }
    }
}

/// One set: the fields that decisions read, and the octets.
#[derive(Debug)]
pub(super) struct AttrSet {
    refs: u32,
    hash: u32,
    /// One octet with the next hop's length, the next hop, the block. Length 0: it is in the block.
    octets: Box<[u8]>,
    pub(super) med: u32,
    pub(super) local_pref: u32,
    /// The neighbouring AS, zero where there is none.
    pub(super) first_as: u32,
    /// The metric to the next hop.
    pub(super) metric: u32,
    pub(super) as_path_len: u16,
    pub(super) cluster_list_len: u16,
    pub(super) origin: Origin,
    pub(super) class: Class,
    pub(super) facts: Facts,
}

impl AttrSet {
    /// The block, attributes as on the wire with four-octet AS numbers.
    pub(super) fn block(&self) -> &[u8] {
        let skip = 1 + usize::from(self.octets.first().copied().unwrap_or(0));
        self.octets.get(skip..).unwrap_or_default()
    }

    /// The next hop; none for a route originated here.
    pub(super) fn next_hop(&self) -> Option<NextHop> {
        let (len, rest) = self.octets.split_first()?;
        match len {
            0 => RawAttributes::new(rest)
                .find(|attribute| attribute.code == code::NEXT_HOP)
                .and_then(|attribute| decode_next_hop(attribute.value)),
            len => decode_next_hop(rest.get(..usize::from(*len))?),
        }
    }

    pub(super) fn originator_id(&self) -> Option<RouterId> {
        if !self.facts.has(Facts::ORIGINATOR) {
            return None;
        }
        let value = RawAttributes::new(self.block()).find(|raw| raw.code == code::ORIGINATOR_ID)?.value;
        Some(RouterId(u32::from_be_bytes(value.try_into().ok()?)))
    }

    pub(super) fn decode(&self) -> PathAttributes {
        PathAttributes::decode(self.block())
    }
}

/// A next hop of its octets.
pub(super) fn decode_next_hop(octets: &[u8]) -> Option<NextHop> {
    Some(match octets.len() {
        4 => NextHop::V4(<[u8; 4]>::try_from(octets).ok()?.into()),
        16 => NextHop::V6(<[u8; 16]>::try_from(octets).ok()?.into()),
        32 => NextHop::V6WithLinkLocal {
            global: <[u8; 16]>::try_from(octets.get(..16)?).ok()?.into(),
            link_local: <[u8; 16]>::try_from(octets.get(16..)?).ok()?.into(),
        },
        _ => return None,
    })
}

/// A next hop's octets as on the wire.
pub(super) fn encode_next_hop(next_hop: NextHop, out: &mut Vec<u8>) {
    match next_hop {
        NextHop::V4(address) => out.extend_from_slice(&address.octets()),
        NextHop::V6(address) => out.extend_from_slice(&address.octets()),
        NextHop::V6WithLinkLocal { global, link_local } => {
            out.extend_from_slice(&global.octets());
            out.extend_from_slice(&link_local.octets());
        }
    }
}

/// What identifies a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttrKey<'a> {
    pub(super) class: Class,
    /// Import policy made it: what a peer sends is never taken for it, for it was never checked as such.
    pub(super) edited: bool,
    /// The next hop's octets where it is not in the block.
    pub(super) next_hop: &'a [u8],
    pub(super) block: &'a [u8],
}

/// Who the speaker is, as far as a set can be about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    pub(super) asn: Asn,
    pub(super) router_id: RouterId,
    pub(super) cluster_id: RouterId,
}

/// All sets.
#[derive(Debug)]
pub(super) struct AttrTable {
    sets: Slab<AttrSet>,
    index: HashTable<u32>,
    hasher: FixedState,
    octets: usize,
}

impl AttrTable {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            sets: Slab::default(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            octets: 0,
        }
    }

    fn hash(&self, key: &AttrKey<'_>) -> u32 {
        // Two halves are mixed so that the truncated hash keeps the entropy of both.
        let hash = self.hasher.hash_one((key.class, key.edited, key.next_hop, key.block));
        (hash ^ (hash >> 32)) as u32
    }

    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// A known set.
    pub(super) fn find(&self, key: &AttrKey<'_>) -> Option<AttrId> {
        let hash = self.hash(key);
        self.index
            .find(Self::spread(hash), |&id| {
                self.sets.get(id).is_some_and(|set| set.hash == hash && set.is(key))
            })
            .map(|&id| AttrId(id))
    }

    /// Finds or stores a set. It has no reference yet: [`AttrTable::retain`] it, or it stays until
    /// [`AttrTable::release_unused`].
    pub(super) fn intern(
        &mut self,
        key: &AttrKey<'_>,
        summary: &Summary,
        identity: Identity,
        reach: impl FnOnce(IpAddr) -> Option<u32>,
    ) -> Option<AttrId> {
        if let Some(id) = self.find(key) {
            return Some(id);
        }
        let hash = self.hash(key);
        let mut octets = Vec::with_capacity(1 + key.next_hop.len() + key.block.len());
        octets.push(u8::try_from(key.next_hop.len()).ok()?);
        octets.extend_from_slice(key.next_hop);
        octets.extend_from_slice(key.block);
        self.octets += octets.len();
        let mut facts = Facts::default();
        facts.set(Facts::NO_EXPORT, summary.no_export);
        facts.set(Facts::NO_ADVERTISE, summary.no_advertise);
        facts.set(Facts::ORIGINATOR, summary.originator_id.is_some());
        facts.set(Facts::EDITED, key.edited);
        if key.class != Class::Local && !key.edited {
            facts.set(Facts::AS_LOOP, attr::as_path_contains(key.block, identity.asn));
            facts.set(
                Facts::REFLECTION_LOOP,
                summary.originator_id == Some(identity.router_id)
                    || attr::cluster_list_contains(key.block, identity.cluster_id),
            );
        }
        let mut set = AttrSet {
            refs: 0,
            hash,
            octets: octets.into_boxed_slice(),
            med: summary.med.unwrap_or(0),
            local_pref: summary.local_pref.unwrap_or(100),
            first_as: summary.first_as.map_or(0, |asn| asn.0),
            metric: 0,
            as_path_len: summary.as_path_len,
            cluster_list_len: summary.cluster_list_len,
            origin: summary.origin,
            class: key.class,
            facts,
        };
        if let Some(next_hop) = set.next_hop().filter(|next_hop| !next_hop.is_link_local()) {
            set.set_reach(reach(next_hop.address()));
        }
        let id = self.sets.insert(set)?;
        let sets = &self.sets;
        self.index.insert_unique(Self::spread(hash), id, |&id| {
            Self::spread(sets.get(id).map_or(0, |set| set.hash))
        });
        Some(AttrId(id))
    }

    /// The set that edits make of another, which is no loop. `None`: there are too many.
    pub(super) fn edited(
        &mut self,
        id: AttrId,
        edits: &Edits,
        identity: Identity,
        reach: impl FnOnce(IpAddr) -> Option<u32>,
    ) -> Option<AttrId> {
        let set = self.get(id)?;
        let class = set.class;
        let mut attributes = set.decode();
        let next_hop = match edits.next_hop() {
            Some(IpAddr::V4(address)) => Some(NextHop::V4(address)),
            Some(IpAddr::V6(address)) => Some(NextHop::V6(address)),
            None => set.next_hop(),
        };
        edits.edit(&mut attributes);
        let (mut block, mut octets) = (Vec::new(), Vec::new());
        attributes.encode(&mut block);
        if let Some(next_hop) = next_hop {
            encode_next_hop(next_hop, &mut octets);
        }
        let context = AttributeContext { four_octet_as: true, kind: SessionKind::Internal };
        let summary = attr::parse(&block, context, false, false);
        let key = AttrKey { class, edited: true, next_hop: &octets, block: &block };
        self.intern(&key, &summary, identity, reach)
    }

    #[inline]
    pub(super) fn get(&self, id: AttrId) -> Option<&AttrSet> {
        self.sets.get(id.0)
    }

    /// Adds references.
    pub(super) fn retain(&mut self, id: AttrId, count: u32) {
        if let Some(set) = self.sets.get_mut(id.0) {
            set.refs = set.refs.saturating_add(count);
        }
    }

    /// Drops one reference, and the set with the last one.
    pub(super) fn release(&mut self, id: AttrId) {
        let Some(set) = self.sets.get_mut(id.0) else { return };
        set.refs = set.refs.saturating_sub(1);
        self.release_unused(id);
    }

    /// Drops a set that nothing refers to.
    pub(super) fn release_unused(&mut self, id: AttrId) {
        let Some(set) = self.sets.get_mut(id.0).filter(|set| set.refs == 0) else { return };
        let hash = set.hash;
        let octets = core::mem::take(&mut set.octets);
        if let Ok(entry) = self.index.find_entry(Self::spread(hash), |&other| other == id.0) {
            entry.remove();
            self.octets -= octets.len();
            self.sets.free(id.0);
        }
    }

    /// Tells every set with this next hop how far it is. Whether any changed.
    pub(super) fn update_reach(&mut self, address: IpAddr, reach: Option<u32>) -> bool {
        let mut changed = false;
        for id in 0..self.sets.bound() {
            let Some(set) = self.sets.get_mut(id).filter(|set| set.refs > 0) else { continue };
            let own = set.next_hop().filter(|next_hop| !next_hop.is_link_local());
            if own.is_some_and(|next_hop| next_hop.address() == address) {
                changed |= set.set_reach(reach);
            }
        }
        changed
    }

    /// Sets stored.
    pub(super) fn len(&self) -> usize {
        self.sets.in_use()
    }

    /// Octets they hold.
    pub(super) fn octets(&self) -> usize {
        self.octets
    }
}

impl AttrSet {
    fn is(&self, key: &AttrKey<'_>) -> bool {
        let Some((len, rest)) = self.octets.split_first() else { return false };
        self.class == key.class
            && self.facts.has(Facts::EDITED) == key.edited
            && usize::from(*len) == key.next_hop.len()
            && rest.len() == key.next_hop.len() + key.block.len()
            && rest.starts_with(key.next_hop)
            && rest.ends_with(key.block)
    }

    fn set_reach(&mut self, reach: Option<u32>) -> bool {
        let before = (self.metric, self.facts);
        self.facts.set(Facts::UNREACHABLE, reach.is_none());
        self.metric = reach.unwrap_or(u32::MAX);
        before != (self.metric, self.facts)
    }
}
