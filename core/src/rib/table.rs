//! Prefixes and their paths, of one address family.
//!
//! A prefix has a small number, its id. Its destination holds the path in use inline; the others are in
//! unrolled list nodes. A path is who it came from and which attribute set it has: six octets. There are
//! no tables per peer.

use core::hash::BuildHasher;

use alloc::vec::Vec;
use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use smallvec::SmallVec;

use super::{attrs::AttrId, slab::Slab};
use crate::wire::{
    Family,
    nlri::{Ipv4Prefixes, Ipv6Prefixes},
};

/// The address part of a prefix.
pub(super) trait Address: Copy + Eq + Ord + Default + core::fmt::Debug + core::hash::Hash {
    const FAMILY: Family;
    fn to_net(self, len: u8) -> Option<IpNet>;
    fn from_net(net: IpNet) -> Option<(Self, u8)>;
    /// The first `len` bits, as a number.
    fn leading(self, len: u8) -> Self;
    /// The lowest bits, as many as there is room for.
    fn low(self) -> u8;
    fn write(self, len: u8, out: &mut Vec<u8>);
    /// Calls `each` for every prefix of a field; `false`: the field is malformed.
    fn for_each(field: &[u8], each: impl FnMut((Self, u8))) -> bool;
}

/// An IPv4 address as a number.
impl Address for u32 {
    const FAMILY: Family = Family::IPV4_UNICAST;

    fn to_net(self, len: u8) -> Option<IpNet> {
        Ipv4Net::new(self.into(), len).ok().map(IpNet::V4)
    }

    fn from_net(net: IpNet) -> Option<(Self, u8)> {
        match net {
            IpNet::V4(net) => Some((Self::from(net.network()), net.prefix_len())),
            IpNet::V6(_) => None,
        }
    }

    #[inline]
    fn leading(self, len: u8) -> Self {
        self.checked_shr(Self::BITS.saturating_sub(len.into())).unwrap_or(0)
    }

    #[inline]
    fn low(self) -> u8 {
        self as u8
    }

    #[inline]
    fn write(self, len: u8, out: &mut Vec<u8>) {
        out.push(len);
        let octets = self.to_be_bytes();
        out.extend_from_slice(octets.get(..usize::from(len).div_ceil(8)).unwrap_or(&octets));
    }

    #[inline]
    fn for_each(field: &[u8], mut each: impl FnMut((Self, u8))) -> bool {
        for prefix in Ipv4Prefixes::new(field) {
            match prefix {
                Ok(net) => each((Self::from(net.addr()), net.prefix_len())),
                Err(_) => return false,
            }
        }
        true
    }
}

/// An IPv6 address as four numbers, so that a destination needs no alignment to sixteen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct V6([u32; 4]);

impl V6 {
    fn from_bits(bits: u128) -> Self {
        Self([(bits >> 96) as u32, (bits >> 64) as u32, (bits >> 32) as u32, bits as u32])
    }

    fn bits(self) -> u128 {
        self.0.iter().fold(0, |bits, &word| bits << 32 | u128::from(word))
    }
}

impl Address for V6 {
    const FAMILY: Family = Family::IPV6_UNICAST;

    fn to_net(self, len: u8) -> Option<IpNet> {
        Ipv6Net::new(self.bits().into(), len).ok().map(IpNet::V6)
    }

    fn from_net(net: IpNet) -> Option<(Self, u8)> {
        match net {
            IpNet::V6(net) => Some((Self::from_bits(u128::from(net.network())), net.prefix_len())),
            IpNet::V4(_) => None,
        }
    }

    #[inline]
    fn leading(self, len: u8) -> Self {
        Self::from_bits(self.bits().checked_shr(u128::BITS.saturating_sub(len.into())).unwrap_or(0))
    }

    #[inline]
    fn low(self) -> u8 {
        self.0[3] as u8
    }

    #[inline]
    fn write(self, len: u8, out: &mut Vec<u8>) {
        out.push(len);
        let octets = self.bits().to_be_bytes();
        out.extend_from_slice(octets.get(..usize::from(len).div_ceil(8)).unwrap_or(&octets));
    }

    #[inline]
    fn for_each(field: &[u8], mut each: impl FnMut((Self, u8))) -> bool {
        for prefix in Ipv6Prefixes::new(field) {
            match prefix {
                Ok(net) => each((Self::from_bits(net.addr().into()), net.prefix_len())),
                Err(_) => return false,
            }
        }
        true
    }
}

/// Who a path came from: an index into the table's sources, and whether import excluded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PathSlot {
    pub(super) attrs: AttrId,
    source: u16,
}

impl PathSlot {
    const EXCLUDED: u16 = 0x8000;
    /// Sources are below this.
    pub(super) const SOURCES: u16 = 0x7FFF;
    /// The source of routes originated here.
    pub(super) const LOCAL: u16 = 0x7FFF;

    pub(super) const fn new(source: u16, attrs: AttrId, excluded: bool) -> Self {
        Self { attrs, source: source | if excluded { Self::EXCLUDED } else { 0 } }
    }

    #[inline]
    pub(super) const fn source(self) -> u16 {
        self.source & !Self::EXCLUDED
    }

    /// Whether import policy or its checks keep it out of the decision.
    #[inline]
    pub(super) const fn excluded(self) -> bool {
        self.source & Self::EXCLUDED != 0
    }
}

const NONE: u32 = u32::MAX;
const NODE_PATHS: usize = 4;

/// A prefix and its best path.
#[derive(Debug)]
struct Destination<A> {
    address: A,
    attrs: AttrId,
    overflow: u32,
    source: u16,
    len: u8,
    flags: u8,
}

impl<A> Destination<A> {
    /// The inline path is in use.
    const BEST: u8 = 1;
    /// Some path has a MULTI_EXIT_DISC other than 0, so a new path may change which others lose.
    const MED: u8 = 2;
    /// Held although it may have no path.
    const PINNED: u8 = 4;
    /// In use, not a freed slot.
    const LIVE: u8 = 8;
}

/// Four paths that are not in use.
#[derive(Clone, Copy, Debug)]
struct Node {
    attrs: [AttrId; NODE_PATHS],
    sources: [u16; NODE_PATHS],
    next: u32,
    len: u8,
}

const SHARDS: usize = 64;

/// The shard of a hash's 256 parts. The last has twice as much as the first, so that they do not all
/// double at the same size: half of what they held would be empty then.
const SHARD_OF: [u8; 256] = {
    let mut shards = [0; 256];
    let mut part: u32 = 0;
    while part < 256 {
        // Shard i begins at ((64 + i)² − 64²) / 48.
        shards[part as usize] = ((64 * 64 + 48 * part).isqrt() - 64) as u8;
        part += 1;
    }
    shards
};

/// An id with its prefix's hash, so that growing the index does not read the prefixes.
#[derive(Clone, Copy, Debug)]
struct Indexed {
    hash: u32,
    id: u32,
}

/// Where the index has a prefix.
#[derive(Clone, Copy)]
struct Place {
    shard: usize,
    hash: u32,
}

impl Place {
    /// Prefixes come in runs of neighbours, and what a probe costs is the memory that it waits for. So the
    /// prefixes of four lengths within the shortest of them, up to fifteen, have one place, where they stand
    /// side by side, and each a tag of its own. It is never more than these fifteen, whatever a peer
    /// announces, for the seed is secret.
    #[inline]
    fn new<A: Address>(hasher: &FixedState, address: A, len: u8) -> Self {
        // The lengths 21 to 24 are in the block of their /21, and so on.
        let depth = len.wrapping_sub(1) % 4;
        let top = len.saturating_sub(depth);
        let sibling = 1 << depth | (address.leading(len).low() & ((1 << depth) - 1));
        let hash = hasher.hash_one((address.leading(top), top));
        let shard = SHARD_OF.get((hash >> 40) as usize % SHARD_OF.len()).copied().unwrap_or(0);
        Self { shard: shard.into(), hash: hash as u32 ^ u32::from(sibling) << 28 }
    }
}

/// hashbrown takes the place from the lowest bits and the tag from the seven highest.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash & 0x0FFF_FFFF)
}

/// The prefixes of one address family.
#[derive(Debug)]
pub(super) struct Table<A> {
    destinations: Slab<Destination<A>>,
    nodes: Slab<Node>,
    /// Prefix to id, in shards so that growing moves little at a time.
    index: Vec<HashTable<Indexed>>,
    hasher: FixedState,
    with_paths: usize,
    pub(super) version: u64,
}

impl<A: Address> Table<A> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            destinations: Slab::default(),
            nodes: Slab::default(),
            index: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: FixedState::with_seed(seed),
            with_paths: 0,
            version: 0,
        }
    }

    /// The id of a prefix.
    #[inline]
    pub(super) fn find(&self, address: A, len: u8) -> Option<u32> {
        let Place { shard, hash } = Place::new(&self.hasher, address, len);
        self.index
            .get(shard)?
            .find(spread(hash), |entry| {
                entry.hash == hash && self.destinations.get(entry.id).is_some_and(|it| it.is(address, len))
            })
            .map(|entry| entry.id)
    }

    /// The id of a prefix, new where it has none. `None`: there are too many.
    #[inline]
    pub(super) fn find_or_insert(&mut self, address: A, len: u8) -> Option<u32> {
        let Place { shard, hash } = Place::new(&self.hasher, address, len);
        let destinations = &mut self.destinations;
        let entry = self.index.get_mut(shard)?.entry(
            spread(hash),
            |entry| entry.hash == hash && destinations.get(entry.id).is_some_and(|it| it.is(address, len)),
            |entry| spread(entry.hash),
        );
        match entry {
            Entry::Occupied(entry) => Some(entry.get().id),
            Entry::Vacant(vacant) => {
                let id = destinations.insert(Destination {
                    address,
                    attrs: AttrId::NONE,
                    overflow: NONE,
                    source: 0,
                    len,
                    flags: Destination::<A>::LIVE,
                })?;
                vacant.insert(Indexed { hash, id });
                Some(id)
            }
        }
    }

    /// Frees an id whose prefix has no path and nobody to tell.
    pub(super) fn free(&mut self, id: u32) {
        let Some(it) = self.destinations.get_mut(id) else { return };
        let keep = it.flags & Destination::<A>::PINNED != 0 || it.flags & Destination::<A>::LIVE == 0;
        if keep || !it.attrs_is_none() {
            return;
        }
        it.flags = 0;
        let (address, len) = (it.address, it.len);
        let Place { shard, hash } = Place::new(&self.hasher, address, len);
        if let Some(Ok(entry)) =
            self.index.get_mut(shard).map(|shard| shard.find_entry(spread(hash), |entry| entry.id == id))
        {
            entry.remove();
            self.destinations.free(id);
        }
    }

    /// Keeps an id while it has no path, or no longer.
    pub(super) fn pin(&mut self, id: u32, pinned: bool) {
        if let Some(it) = self.destinations.get_mut(id) {
            if pinned {
                it.flags |= Destination::<A>::PINNED;
            } else {
                it.flags &= !Destination::<A>::PINNED;
            }
        }
    }

    /// Whether it is kept without a path.
    pub(super) fn is_pinned(&self, id: u32) -> bool {
        self.destinations.get(id).is_some_and(|it| it.flags & Destination::<A>::PINNED != 0)
    }

    #[inline]
    pub(super) fn prefix(&self, id: u32) -> Option<(A, u8)> {
        let it = self.destinations.get(id).filter(|it| it.flags & Destination::<A>::LIVE != 0)?;
        Some((it.address, it.len))
    }

    /// The path in use.
    #[inline]
    pub(super) fn best(&self, id: u32) -> Option<PathSlot> {
        let it = self.destinations.get(id).filter(|it| it.flags & Destination::<A>::BEST != 0)?;
        Some(PathSlot { attrs: it.attrs, source: it.source })
    }

    /// The path of a prefix that has exactly one.
    #[inline]
    pub(super) fn only(&self, id: u32) -> Option<PathSlot> {
        let it = self.destinations.get(id).filter(|it| it.overflow == NONE && !it.attrs_is_none())?;
        Some(PathSlot { attrs: it.attrs, source: it.source })
    }

    /// Whether the prefix has no path at all.
    pub(super) fn is_vacant(&self, id: u32) -> bool {
        self.destinations.get(id).is_none_or(|it| it.attrs_is_none())
    }

    /// Whether MULTI_EXIT_DISC may matter between its paths.
    #[inline]
    pub(super) fn med_matters(&self, id: u32) -> bool {
        self.destinations.get(id).is_some_and(|it| it.flags & Destination::<A>::MED != 0)
    }

    pub(super) fn set_med_matters(&mut self, id: u32, on: bool) {
        if let Some(it) = self.destinations.get_mut(id) {
            if on {
                it.flags |= Destination::<A>::MED;
            } else {
                it.flags &= !Destination::<A>::MED;
            }
        }
    }

    /// All paths, the inline one first.
    pub(super) fn paths(&self, id: u32) -> SmallVec<[PathSlot; 8]> {
        let mut paths = SmallVec::new();
        let Some(it) = self.destinations.get(id).filter(|it| !it.attrs_is_none()) else { return paths };
        paths.push(PathSlot { attrs: it.attrs, source: it.source });
        let mut next = it.overflow;
        while let Some(node) = self.nodes.get(next) {
            paths.extend(
                node.attrs
                    .iter()
                    .zip(node.sources)
                    .take(usize::from(node.len))
                    .map(|(&attrs, source)| PathSlot { attrs, source }),
            );
            next = node.next;
        }
        paths
    }

    /// A source's path.
    pub(super) fn path_of(&self, id: u32, source: u16) -> Option<PathSlot> {
        let it = self.destinations.get(id).filter(|it| !it.attrs_is_none())?;
        let inline = PathSlot { attrs: it.attrs, source: it.source };
        if inline.source() == source {
            return Some(inline);
        }
        let mut next = it.overflow;
        while let Some(node) = self.nodes.get(next) {
            for (&attrs, &raw) in node.attrs.iter().zip(&node.sources).take(usize::from(node.len)) {
                let slot = PathSlot { attrs, source: raw };
                if slot.source() == source {
                    return Some(slot);
                }
            }
            next = node.next;
        }
        None
    }

    /// Puts a path in, in the place of the one its source had: that one is returned.
    pub(super) fn put(&mut self, id: u32, path: PathSlot) -> Option<PathSlot> {
        let it = self.destinations.get_mut(id)?;
        if it.attrs_is_none() {
            self.with_paths += 1;
            it.attrs = path.attrs;
            it.source = path.source;
            return None;
        }
        let inline = PathSlot { attrs: it.attrs, source: it.source };
        if inline.source() == path.source() {
            it.attrs = path.attrs;
            it.source = path.source;
            return Some(inline);
        }
        let head = it.overflow;
        let mut next = head;
        while let Some(node) = self.nodes.get_mut(next) {
            for (attrs, source) in node.attrs.iter_mut().zip(&mut node.sources).take(usize::from(node.len)) {
                let old = PathSlot { attrs: *attrs, source: *source };
                if old.source() == path.source() {
                    (*attrs, *source) = (path.attrs, path.source);
                    return Some(old);
                }
            }
            next = node.next;
        }
        self.push(id, head, path);
        None
    }

    fn push(&mut self, id: u32, head: u32, path: PathSlot) {
        if let Some(node) = self.nodes.get_mut(head).filter(|node| usize::from(node.len) < NODE_PATHS) {
            let at = usize::from(node.len);
            if let (Some(attrs), Some(source)) = (node.attrs.get_mut(at), node.sources.get_mut(at)) {
                (*attrs, *source) = (path.attrs, path.source);
                node.len += 1;
            }
            return;
        }
        let mut node =
            Node { attrs: [AttrId::NONE; NODE_PATHS], sources: [0; NODE_PATHS], next: head, len: 1 };
        (node.attrs[0], node.sources[0]) = (path.attrs, path.source);
        if let Some(new) = self.nodes.insert(node)
            && let Some(it) = self.destinations.get_mut(id)
        {
            it.overflow = new;
        }
    }

    /// Takes a source's path out. Where it was the one in use, none is until [`Table::choose`].
    pub(super) fn take(&mut self, id: u32, source: u16) -> Option<PathSlot> {
        let it = self.destinations.get_mut(id).filter(|it| !it.attrs_is_none())?;
        let inline = PathSlot { attrs: it.attrs, source: it.source };
        let head = it.overflow;
        if inline.source() == source {
            it.flags &= !Destination::<A>::BEST;
            match self.pop(id, head) {
                Some(last) => {
                    let it = self.destinations.get_mut(id)?;
                    it.attrs = last.attrs;
                    it.source = last.source;
                }
                None => {
                    let it = self.destinations.get_mut(id)?;
                    it.attrs = AttrId::NONE;
                    it.flags &= !Destination::<A>::MED;
                    self.with_paths -= 1;
                }
            }
            return Some(inline);
        }
        let mut next = head;
        while let Some(node) = self.nodes.get(next) {
            let found = (0..usize::from(node.len)).find_map(|at| {
                let slot = PathSlot { attrs: *node.attrs.get(at)?, source: *node.sources.get(at)? };
                (slot.source() == source).then_some((at, slot))
            });
            let Some((at, old)) = found else {
                next = node.next;
                continue;
            };
            let last = self.pop(id, head)?;
            // The hole is filled with the last path, unless the hole was the last path.
            if last != old
                && let Some(node) = self.nodes.get_mut(next)
                && let (Some(attrs), Some(source)) = (node.attrs.get_mut(at), node.sources.get_mut(at))
            {
                (*attrs, *source) = (last.attrs, last.source);
            }
            return Some(old);
        }
        None
    }

    /// Takes the last path of the first overflow node out.
    fn pop(&mut self, id: u32, head: u32) -> Option<PathSlot> {
        let node = self.nodes.get_mut(head)?;
        node.len = node.len.saturating_sub(1);
        let at = usize::from(node.len);
        let last = PathSlot { attrs: *node.attrs.get(at)?, source: *node.sources.get(at)? };
        if node.len == 0 {
            let next = node.next;
            self.nodes.free(head);
            if let Some(it) = self.destinations.get_mut(id) {
                it.overflow = next;
            }
        }
        Some(last)
    }

    /// Makes a source's path the one in use, or none.
    pub(super) fn choose(&mut self, id: u32, source: Option<u16>) {
        let Some(it) = self.destinations.get_mut(id) else { return };
        let Some(source) = source else {
            it.flags &= !Destination::<A>::BEST;
            return;
        };
        let inline = PathSlot { attrs: it.attrs, source: it.source };
        it.flags |= Destination::<A>::BEST;
        if inline.source() == source {
            return;
        }
        let mut next = it.overflow;
        while let Some(node) = self.nodes.get_mut(next) {
            for (attrs, raw) in node.attrs.iter_mut().zip(&mut node.sources).take(usize::from(node.len)) {
                let slot = PathSlot { attrs: *attrs, source: *raw };
                if slot.source() == source {
                    (*attrs, *raw) = (inline.attrs, inline.source);
                    if let Some(it) = self.destinations.get_mut(id) {
                        (it.attrs, it.source) = (slot.attrs, slot.source);
                    }
                    return;
                }
            }
            next = node.next;
        }
    }

    /// One more than the highest id so far.
    pub(super) fn bound(&self) -> u32 {
        self.destinations.bound()
    }

    /// Prefixes with a path.
    pub(super) fn len(&self) -> usize {
        self.with_paths
    }

    /// Ids in use: prefixes with a path, and those whose withdrawal somebody is still owed.
    pub(super) fn ids(&self) -> usize {
        self.destinations.in_use()
    }
}

impl<A: Address> Destination<A> {
    #[inline]
    fn is(&self, address: A, len: u8) -> bool {
        self.address == address && self.len == len
    }
}

impl<A> Destination<A> {
    fn attrs_is_none(&self) -> bool {
        self.attrs == AttrId::NONE
    }
}
