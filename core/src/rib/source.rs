//! Who routes come from: one entry for each established session, for as long as its routes are there.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::net::IpAddr;

use super::{export::Filter, table::PathSlot};
use crate::{
    facts::{NeighborKey, PeerId, RouteCounts},
    wire::{Asn, Family, RouterId, SessionKind},
};

/// A session that routes are learned from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) peer: PeerId,
    pub(crate) key: NeighborKey,
    pub(crate) address: IpAddr,
    pub(crate) interface: Option<String>,
    pub(crate) asn: Asn,
    pub(crate) kind: SessionKind,
    pub(crate) router_id: RouterId,
    pub(crate) hostname: Option<String>,
    pub(crate) rr_client: bool,
    /// eBGP and the first AS of its paths must be its own (RFC 4271 §6.3).
    pub(crate) enforce_first_as: bool,
    pub(crate) import: Filter,
    pub(crate) counts: BTreeMap<Family, RouteCounts>,
    /// The session ended; its routes are being forgotten.
    pub(crate) gone: bool,
}

impl Source {
    pub(super) fn counts(&mut self, family: Family) -> &mut RouteCounts {
        self.counts.entry(family).or_default()
    }
}

/// All sources, by index.
#[derive(Debug, Default)]
pub(super) struct Sources {
    slots: Vec<Option<Source>>,
}

impl Sources {
    /// `None`: there are as many as paths can tell apart.
    pub(super) fn insert(&mut self, source: Source) -> Option<u16> {
        if let Some(free) = self.slots.iter().position(Option::is_none) {
            *self.slots.get_mut(free)? = Some(source);
            return u16::try_from(free).ok();
        }
        let index = u16::try_from(self.slots.len()).ok().filter(|&index| index < PathSlot::SOURCES)?;
        self.slots.push(Some(source));
        Some(index)
    }

    pub(super) fn remove(&mut self, index: u16) {
        if let Some(slot) = self.slots.get_mut(usize::from(index)) {
            *slot = None;
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u16) -> Option<&Source> {
        self.slots.get(usize::from(index))?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u16) -> Option<&mut Source> {
        self.slots.get_mut(usize::from(index))?.as_mut()
    }
}
