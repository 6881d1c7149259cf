//! The table: every route, the best of each prefix, and what follows it.
//!
//! A route comes in as octets and is kept as six: who sent it, and the number of its attribute set. The
//! layers, top to bottom: this facade; [`view`](Route) shows; `plane` is one address family: its `table`
//! and its `export`; `pack` and `rewrite` make octets of routes; `decision` chooses; `attrs` interns.

mod attrs;
mod bits;
pub mod decision;
mod export;
mod learn;
mod locals;
mod next_hops;
mod pack;
mod plane;
mod rewrite;
mod slab;
mod source;
mod table;
mod view;
mod work;

use alloc::vec::Vec;
use core::net::IpAddr;

use bytes::Bytes;
use ipnet::IpNet;
use smallvec::SmallVec;

use attrs::{AttrKey, AttrTable, Class, Identity};
use export::Polled;
pub(crate) use export::{Filter, GroupKey};
pub(crate) use learn::LearnContext;
use next_hops::NextHops;
use plane::{Plane, Shared};
pub(crate) use source::Source;
use source::Sources;
use table::{Address, PathSlot, V6};
pub use view::{Exclusion, Path, PathOrigin, Route, Step};
use work::Jobs;

use crate::{
    facts::{Origination, Reachability, RouteCounts, SourceId},
    wire::{
        Asn, Family, RouterId, SessionKind,
        attr::{self, AttributeContext, PathAttributes, Summary},
    },
};

/// The table of one speaker.
#[derive(Debug)]
pub struct Rib {
    shared: Shared,
    v4: Plane<u32>,
    v6: Plane<V6>,
    jobs: Jobs,
}

/// What [`Rib::poll`] gives a peer.
pub(crate) enum Outbound {
    /// Octets to send.
    Octets(Bytes),
    /// Everything is sent: the family's End-of-RIB is due.
    EndOfRib,
    /// Nothing for now.
    Idle,
}

/// How much there is, for metrics and for tests of bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sizes {
    /// Prefixes with a path.
    pub prefixes: usize,
    /// Prefixes known, with a path or because a withdrawal is still owed.
    pub ids: usize,
    /// Distinct attribute sets.
    pub attribute_sets: usize,
    /// Octets of their blocks.
    pub attribute_octets: usize,
    /// Encoded octets kept for peers that are behind.
    pub retained_octets: usize,
    /// Prefixes waiting to be sent, summed over the groups that wait.
    pub owed: usize,
}

impl Rib {
    pub(crate) fn new(seed: u64) -> Self {
        let identity = Identity { asn: Asn::ZERO, router_id: RouterId(0), cluster_id: RouterId(0) };
        let mut attrs = AttrTable::new(seed);
        // MULTI_EXIT_DISC 0, as FRR sends it.
        let default = PathAttributes { med: Some(0), ..PathAttributes::default() };
        let default_route = local_set(&mut attrs, &default, identity).unwrap_or(attrs::AttrId::NONE);
        attrs.retain(default_route, 1);
        Self {
            shared: Shared {
                attrs,
                sources: Sources::default(),
                locals: locals::Locals::default(),
                identity,
                default_route,
                next_hops: NextHops::default(),
                decoded: plane::Decoded::default(),
                retained_octets: usize::MAX,
            },
            v4: Plane::new(seed.rotate_left(17)),
            v6: Plane::new(seed.rotate_left(34)),
            jobs: Jobs::default(),
        }
    }

    /// Who the speaker is. Routes learned before are judged by who it was: change it only without any.
    pub(crate) fn set_identity(&mut self, asn: Asn, router_id: RouterId, cluster_id: RouterId) {
        self.shared.identity = Identity { asn, router_id, cluster_id };
    }

    pub(crate) fn set_retained_octets(&mut self, octets: usize) {
        self.shared.retained_octets = octets;
    }

    /// A session is established. `None`: there are too many.
    pub(crate) fn open(&mut self, source: Source) -> Option<u16> {
        self.shared.sources.insert(source)
    }

    /// A session ended: nothing more is sent to it, and its routes go in [`Rib::work`].
    pub(crate) fn close(&mut self, source: u16) {
        self.v4.leave(source);
        self.v6.leave(source);
        if let Some(slot) = self.shared.sources.get_mut(source) {
            slot.gone = true;
            if slot.counts.values().all(|counts| counts.received == 0) {
                self.shared.sources.remove(source);
            } else {
                self.jobs.forget(source);
            }
        }
    }

    /// Runs another import policy over a source's routes, in [`Rib::work`].
    pub(crate) fn set_import(
        &mut self,
        source: u16,
        import: Filter,
        rr_client: bool,
        enforce_first_as: bool,
    ) {
        if let Some(slot) = self.shared.sources.get_mut(source) {
            // Whether it is a client decides who its routes are reflected to.
            let touch = slot.rr_client != rr_client;
            slot.import = import;
            slot.rr_client = rr_client;
            slot.enforce_first_as = enforce_first_as;
            self.jobs.reimport(source, touch);
        }
    }

    /// A source's counters.
    pub(crate) fn counts(&self, source: u16, family: Family) -> RouteCounts {
        let mut counts = self
            .shared
            .sources
            .get(source)
            .and_then(|it| it.counts.get(&family))
            .copied()
            .unwrap_or_default();
        counts.advertised = match family {
            Family::IPV4_UNICAST => self.v4.advertised(source),
            Family::IPV6_UNICAST => self.v6.advertised(source),
            _ => 0,
        };
        counts
    }

    /// A family in which a source has announced more than `limit` prefixes.
    pub(crate) fn over_limit(&self, source: u16, limit: u32) -> Option<Family> {
        let counts = &self.shared.sources.get(source)?.counts;
        counts.iter().find(|(_, counts)| counts.received > limit).map(|(family, _)| *family)
    }

    /// Lets a session follow the table, with what it is owed from before.
    pub(crate) fn join(&mut self, source: u16, key: GroupKey, slot: SmallVec<[u8; 32]>) {
        match key.family {
            Family::IPV4_UNICAST => self.v4.join(source, key, slot),
            Family::IPV6_UNICAST => self.v6.join(source, key, slot),
            _ => {}
        }
    }

    /// Sends a session everything again, as it asked for (RFC 2918 §4).
    pub(crate) fn refresh(&mut self, source: u16, family: Family) {
        match family {
            Family::IPV4_UNICAST => self.v4.refresh(source),
            Family::IPV6_UNICAST => self.v6.refresh(source),
            _ => {}
        }
    }

    /// The next octets of a family for a session.
    pub(crate) fn poll(&mut self, source: u16, family: Family, limit: usize) -> Outbound {
        let polled = match family {
            Family::IPV4_UNICAST => self.v4.poll(&self.shared, source, limit),
            Family::IPV6_UNICAST => self.v6.poll(&self.shared, source, limit),
            _ => return Outbound::Idle,
        };
        match polled {
            Polled::Octets(octets) => Outbound::Octets(octets),
            Polled::EndOfRib => Outbound::EndOfRib,
            Polled::Idle | Polled::Encode { .. } => Outbound::Idle,
        }
    }

    /// Sessions that have something to be sent since the last call.
    pub(crate) fn take_woken(&mut self) -> Vec<u16> {
        let mut woken = self.v4.export.take_woken();
        woken.extend(self.v6.export.take_woken());
        woken
    }

    /// Originates a route on behalf of `source`.
    pub(crate) fn originate(&mut self, source: SourceId, route: &Origination) {
        let prefix = route.prefix.trunc();
        if self.shared.locals.insert(prefix, source, &route.attributes) {
            self.announce_local(prefix);
        }
    }

    /// Takes it back.
    pub(crate) fn withdraw(&mut self, source: SourceId, prefix: IpNet) {
        let prefix = prefix.trunc();
        if self.shared.locals.remove(prefix, source) {
            self.announce_local(prefix);
        }
    }

    /// Brings the table in line with what is wanted of one prefix.
    fn announce_local(&mut self, prefix: IpNet) {
        let id = self
            .shared
            .locals
            .get(prefix)
            .cloned()
            .and_then(|attributes| local_set(&mut self.shared.attrs, &attributes, self.shared.identity));
        fn put<A: Address>(
            plane: &mut Plane<A>,
            shared: &mut Shared,
            prefix: IpNet,
            id: Option<attrs::AttrId>,
        ) {
            let Some(key) = A::from_net(prefix) else { return };
            match id {
                Some(id) => {
                    plane.learn(shared, PathSlot::LOCAL, key, id);
                }
                None => plane.forget(shared, PathSlot::LOCAL, key),
            }
        }
        put(&mut self.v4, &mut self.shared, prefix, id);
        put(&mut self.v6, &mut self.shared, prefix, id);
        // On whose behalf it is announced may be another one with the same attributes.
        self.v4.touch_local(prefix);
        self.v6.touch_local(prefix);
    }

    /// A next hop can be reached at this metric, or cannot. Routes are decided again in [`Rib::work`].
    pub(crate) fn next_hop(&mut self, address: IpAddr, reach: Reachability) {
        if self.shared.next_hops.set(address, reach)
            && self.shared.attrs.update_reach(address, self.shared.next_hops.metric(address))
        {
            self.jobs.redecide();
        }
    }

    /// How often a best path of a family changed.
    pub fn version(&self, family: Family) -> u64 {
        match family {
            Family::IPV4_UNICAST => self.v4.table.version,
            Family::IPV6_UNICAST => self.v6.table.version,
            _ => 0,
        }
    }

    /// Prefixes of a family that have a path.
    pub fn len(&self, family: Family) -> usize {
        match family {
            Family::IPV4_UNICAST => self.v4.table.len(),
            Family::IPV6_UNICAST => self.v6.table.len(),
            _ => 0,
        }
    }

    /// Whether no family has a path.
    pub fn is_empty(&self) -> bool {
        self.v4.table.len() + self.v6.table.len() == 0
    }

    /// How much there is.
    pub fn sizes(&self) -> Sizes {
        let (v4, v6) = (self.v4.export.debt(), self.v6.export.debt());
        Sizes {
            prefixes: self.v4.table.len() + self.v6.table.len(),
            ids: self.v4.table.ids() + self.v6.table.ids(),
            // The default route towards neighbours is always there.
            attribute_sets: self.shared.attrs.len().saturating_sub(1),
            attribute_octets: self.shared.attrs.octets(),
            retained_octets: v4.0 + v6.0,
            owed: v4.1 + v6.1,
        }
    }
}

/// Interns the attributes of a route that is originated here.
fn local_set(
    attrs: &mut AttrTable,
    attributes: &PathAttributes,
    identity: Identity,
) -> Option<attrs::AttrId> {
    let mut block = Vec::new();
    attributes.encode(&mut block);
    let context = AttributeContext { four_octet_as: true, kind: SessionKind::Internal };
    let summary: Summary = attr::parse(&block, context, false, false);
    attrs.intern(
        &AttrKey { class: Class::Local, edited: false, next_hop: &[], block: &block },
        &summary,
        identity,
        |_| Some(0),
    )
}
