//! One address family: its table, and what follows it.

use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{
    attrs::{AttrId, AttrTable, Class, Facts, Identity},
    decision::{self, Rank, Scope},
    export::{Audience, Export, Filter, GroupKey, Item, Laggard, Lane, Polled, What},
    locals::Locals,
    next_hops::NextHops,
    pack::Packer,
    rewrite::{self, SentFrom},
    source::{Source, Sources},
    table::{Address, PathSlot, Table},
};
use crate::{
    policy::{Edits, RoutePolicy, RouteSource, RouteView, Verdict},
    wire::{
        Asn, Family, MAX_EXTENDED_LEN, RouterId, SessionKind, Update,
        attr::{self, PathAttributes},
        frame,
    },
};

/// What every family shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) attrs: AttrTable,
    pub(super) sources: Sources,
    pub(super) locals: Locals,
    pub(super) identity: Identity,
    /// The attributes of a default route that is originated towards a neighbour.
    pub(super) default_route: AttrId,
    pub(super) next_hops: NextHops,
    /// The set that import policy looks at, while an UPDATE's prefixes are walked.
    pub(super) decoded: Decoded,
    /// Octets a lane may retain for members that are behind.
    pub(super) retained_octets: usize,
}

/// A family.
#[derive(Debug)]
pub(super) struct Plane<A> {
    pub(super) table: Table<A>,
    pub(super) export: Export,
    /// What was received, for paths that import policy edited.
    received: HashMap<(u32, u16), AttrId, FixedState>,
}

impl<A: Address> Plane<A> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: Table::new(seed),
            export: Export::default(),
            received: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    /// A source has this route now. `false`: the table is full.
    pub(super) fn learn(
        &mut self,
        shared: &mut Shared,
        source: u16,
        (address, len): (A, u8),
        received: AttrId,
    ) -> bool {
        let Some(id) = self.table.find_or_insert(address, len) else { return false };
        let (path, edited) = shared.import(source, || address.to_net(len), received);
        shared.attrs.retain(path.attrs, 1);
        if edited {
            shared.attrs.retain(received, 1);
            if let Some(old) = self.received.insert((id, source), received) {
                shared.attrs.release(old);
            }
        } else if !self.received.is_empty()
            && let Some(old) = self.received.remove(&(id, source))
        {
            shared.attrs.release(old);
        }
        let before = self.table.best(id);
        let old = self.table.put(id, path);
        shared.count(A::FAMILY, source, old, Some(path));
        if shared.attrs.get(path.attrs).is_some_and(|set| set.med != 0) {
            self.table.set_med_matters(id, true);
        }
        match before {
            // A path that was not and is not the best only has to lose against the best again.
            Some(best) if best.source() != source && !self.table.med_matters(id) && shared.eligible(best) => {
                if shared.eligible(path)
                    && let (Some(new), Some(old)) = (shared.rank(path), shared.rank(best))
                    && decision::prefer(&new, &old, Scope::Across).0.is_lt()
                {
                    self.table.choose(id, Some(source));
                }
            }
            _ => self.decide(shared, id),
        }
        self.changed(id, before);
        if let Some(old) = old {
            shared.attrs.release(old.attrs);
        }
        true
    }

    /// A source does not have this route any more.
    pub(super) fn forget(&mut self, shared: &mut Shared, source: u16, (address, len): (A, u8)) {
        if let Some(id) = self.table.find(address, len) {
            self.forget_id(shared, source, id);
        }
    }

    fn forget_id(&mut self, shared: &mut Shared, source: u16, id: u32) {
        let before = self.table.best(id);
        let Some(old) = self.table.take(id, source) else { return };
        shared.count(A::FAMILY, source, Some(old), None);
        if !self.received.is_empty()
            && let Some(received) = self.received.remove(&(id, source))
        {
            shared.attrs.release(received);
        }
        let was_best = before.is_some_and(|best| best.source() == source);
        if !self.table.is_vacant(id) && (was_best || self.table.med_matters(id)) {
            self.decide(shared, id);
        }
        self.changed(id, before);
        shared.attrs.release(old.attrs);
    }

    /// Chooses among all paths of a prefix.
    fn decide(&mut self, shared: &Shared, id: u32) {
        if let Some(only) = self.table.only(id) {
            let best = shared.eligible(only).then_some(only.source());
            return self.table.choose(id, best);
        }
        let paths = self.table.paths(id);
        let candidates: SmallVec<[(u16, Rank<'_>); 8]> = paths
            .iter()
            .filter(|&&path| shared.eligible(path))
            .filter_map(|&path| Some((path.source(), shared.rank(path)?)))
            .collect();
        let ranks: SmallVec<[Rank<'_>; 8]> = candidates.iter().map(|(_, rank)| *rank).collect();
        let best = decision::select(&ranks).and_then(|index| candidates.get(index));
        self.table.choose(id, best.map(|(source, _)| *source));
        let med = paths.iter().any(|path| shared.attrs.get(path.attrs).is_some_and(|set| set.med != 0));
        self.table.set_med_matters(id, med);
    }

    /// Tells who follows the table, if the best path is another one. Identity, not rank, decides: a route
    /// announced again with equal rank and other attributes is a change.
    fn changed(&mut self, id: u32, before: Option<PathSlot>) {
        let after = self.table.best(id);
        if before != after {
            self.table.version += 1;
            self.export.mark(id, before.map(PathSlot::source), after.map(PathSlot::source));
        }
        let vacant = self.table.is_vacant(id) && !self.table.is_pinned(id);
        if after.is_none() && vacant && !self.export.vacate(id) {
            self.table.free(id);
        }
    }

    /// Decides again about a prefix, after something other than its paths changed.
    pub(super) fn redecide(&mut self, shared: &Shared, id: u32) {
        if self.table.is_vacant(id) {
            return;
        }
        let before = self.table.best(id);
        self.decide(shared, id);
        self.changed(id, before);
    }

    /// Forgets the routes with this id of sources that are gone: one step of forgetting them.
    pub(super) fn sweep(&mut self, shared: &mut Shared, id: u32) {
        for path in self.table.paths(id) {
            if shared.sources.get(path.source()).is_some_and(|source| source.gone) {
                self.forget_id(shared, path.source(), id);
            }
        }
    }

    /// Tells who follows the table about a route originated here, though its path is the same.
    pub(super) fn touch_local(&mut self, prefix: ipnet::IpNet) {
        let id = A::from_net(prefix).and_then(|(address, len)| self.table.find(address, len));
        if let Some(id) = id
            && self.table.best(id).is_some_and(|best| best.source() == PathSlot::LOCAL)
        {
            self.export.touch(id);
        }
    }

    /// Runs a source's import policy again over its route with this id. `touch`: tells who follows the table
    /// though the path is the same.
    pub(super) fn reimport(&mut self, shared: &mut Shared, source: u16, touch: bool, id: u32) {
        let Some(path) = self.table.path_of(id, source) else { return };
        let received = self.received.get(&(id, source)).copied().unwrap_or(path.attrs);
        let Some(prefix) = self.table.prefix(id) else { return };
        self.learn(shared, source, prefix, received);
        shared.decoded = Decoded::default();
        if touch && self.table.best(id).is_some_and(|best| best.source() == source) {
            self.export.touch(id);
        }
    }

    /// Lets a peer follow the table, again from the start where it already does.
    pub(super) fn join(&mut self, member: u16, key: GroupKey, slot: SmallVec<[u8; 32]>) {
        let (default, default_originate) = (A::default(), key.default_originate);
        if default_originate && let Some(id) = self.table.find_or_insert(default, 0) {
            self.table.pin(id, true);
        }
        let table = &self.table;
        let default = if default_originate { table.find(default, 0) } else { None };
        let everything = (0..table.bound()).filter(|&id| table.best(id).is_some()).chain(default);
        let joined = self.export.join(member, key, slot, everything);
        self.owe(joined);
        self.unpin_default();
    }

    /// Sends a peer everything again.
    pub(super) fn refresh(&mut self, member: u16) {
        if self.export.ask_again(member) {
            self.start_again(member);
        }
    }

    fn start_again(&mut self, member: u16) {
        if let Some((key, slot)) = self.export.place(member) {
            let (key, slot) = (key.clone(), SmallVec::from_slice(slot));
            self.join(member, key, slot);
        }
    }

    /// A peer follows no more.
    pub(super) fn leave(&mut self, member: u16) {
        for id in self.export.leave(member) {
            self.reclaim(id);
        }
        self.unpin_default();
    }

    /// Lets the default route's id go, unless some group is told of one whatever the table holds.
    fn unpin_default(&mut self) {
        if let Some(id) = self.table.find(A::default(), 0)
            && !self.export.originates_default()
        {
            self.table.pin(id, false);
            self.reclaim(id);
        }
    }

    fn reclaim(&mut self, id: u32) {
        if self.table.is_vacant(id) && !self.export.holds(id) {
            self.table.free(id);
        }
    }

    /// Reads back what a member had not read when it left its lane: it is owed all of it, at what the
    /// table says now.
    fn owe(&mut self, laggard: Laggard) {
        for octets in &laggard.unread {
            let mut rest: &[u8] = octets;
            while let Ok(Some(message)) = frame(rest, MAX_EXTENDED_LEN) {
                rest = rest.get(message.len..).unwrap_or_default();
                let Ok(update) = Update::split(message.body) else { continue };
                let Ok(split) = attr::split(update.attributes) else { continue };
                let mp = split
                    .mp_reach
                    .map(|it| it.nlri)
                    .into_iter()
                    .chain(split.mp_unreach.map(|it| it.withdrawn));
                for field in [update.withdrawn, update.nlri].into_iter().chain(mp) {
                    A::for_each(field, |(address, len)| {
                        if let Some(id) = self.table.find_or_insert(address, len)
                            && let Some((_, lane)) = self.export.lane_mut(laggard.group, laggard.lane)
                        {
                            lane.pending.insert(id);
                            lane.advertised.insert(id);
                        }
                    });
                }
            }
        }
    }

    /// The next octets for a member.
    pub(super) fn poll(&mut self, shared: &Shared, member: u16, limit: usize) -> Polled {
        loop {
            match self.export.poll(member, limit) {
                Polled::Encode { group, lane } => self.encode(shared, group, lane),
                Polled::Idle if self.export.take_again(member) => self.start_again(member),
                other => return other,
            }
        }
    }

    /// Encodes one window of a lane that owes something.
    fn encode(&mut self, shared: &Shared, group: usize, lane: usize) {
        let slot = self.export.first_slot(group, lane);
        let Some((key, place)) = self.export.lane_mut(group, lane) else { return };
        let (key, mut own) = (key.clone(), core::mem::take(place));
        let mut vacated = Vec::new();
        if own.batch_at >= own.batch.len() {
            self.sort(shared, &key, (group, lane), &mut own, &mut vacated);
        }
        let mut packer = Packer::new(&key, &slot, own.batch.len() - own.batch_at);
        let mut sending = Sending::default();
        while let Some(&item) = own.batch.get(own.batch_at) {
            if packer.is_full() {
                break;
            }
            own.batch_at += 1;
            self.send(shared, &key, (group, lane), &mut own, item, &mut packer, &mut sending, &mut vacated);
        }
        if own.batch_at >= own.batch.len() {
            (own.batch_at, own.batch_edits) = (0, Vec::new());
            own.batch.clear();
            own.batch.shrink_to(SPARE);
        }
        if let Some(window) = packer.finish() {
            self.export.push(&mut own, window);
        }
        if let Some((_, place)) = self.export.lane_mut(group, lane) {
            *place = own;
        }
        for id in vacated {
            self.reclaim(id);
        }
        for laggard in self.export.split_laggards(group, lane, shared.retained_octets) {
            self.owe(laggard);
        }
    }

    /// Puts one item of a batch into a window, if it still holds.
    #[expect(clippy::too_many_arguments, reason = "the loop body of `encode`, split off for reading")]
    fn send(
        &self,
        shared: &Shared,
        key: &GroupKey,
        (group, lane): (usize, usize),
        own: &mut Lane,
        item: Item,
        packer: &mut Packer<'_>,
        sending: &mut Sending,
        vacated: &mut Vec<u32>,
    ) {
        let Some((address, len)) = self.table.prefix(item.id) else { return };
        if own.pending.contains(item.id) {
            // It changed since the batch was sorted, and comes again.
            if matches!(item.what, What::WithdrawOnly(_)) {
                own.moved.insert(item.id);
            }
            return;
        }
        match item.what {
            What::WithdrawOnly(member) => packer.withdraw(address, len, Audience::Only(member)),
            What::Withdraw => {
                if own.advertised.remove(item.id) {
                    packer.withdraw(address, len, Audience::All);
                    vacated.push(item.id);
                }
            }
            What::Announce { source, attrs, edits } => {
                let current = self.table.best(item.id).map(|best| (best.source(), best.attrs));
                let default = key.default_originate && len == 0 && attrs == shared.default_route;
                if current != Some((source, attrs)) && !default {
                    return;
                }
                let Some(set) = shared.attrs.get(attrs) else { return };
                let fresh = sending.what != Some(item.what);
                if fresh {
                    let none = Edits::default();
                    let edits = own.batch_edits.get((edits as usize).wrapping_sub(1)).unwrap_or(&none);
                    sending.attributes.clear();
                    sending.attributes.reserve(ROOM);
                    let from = shared.sent_from(source);
                    rewrite::attributes(set, edits, key, from, shared.identity, &mut sending.attributes);
                    sending.what = Some(item.what);
                    sending.next_hop = rewrite::next_hop(set, edits, key);
                }
                let audience = if self.export.lane_has(group, lane, source) {
                    Audience::Except(source)
                } else {
                    Audience::All
                };
                let sent = sending.next_hop.is_some_and(|next_hop| {
                    packer.announce(address, len, audience, &sending.attributes, next_hop, fresh)
                });
                if sent {
                    own.advertised.insert(item.id);
                } else if own.advertised.remove(item.id) {
                    // The session can carry no next hop of it, or its attributes do not fit a message: what
                    // was there before must not stay.
                    sending.what = None;
                    packer.withdraw(address, len, Audience::All);
                    vacated.push(item.id);
                }
            }
        }
    }

    /// Turns what is pending into a sorted batch. What turns out to be owed no more goes to `vacated`.
    fn sort(
        &self,
        shared: &Shared,
        key: &GroupKey,
        (group, lane): (usize, usize),
        own: &mut Lane,
        vacated: &mut Vec<u32>,
    ) {
        let mut batch = core::mem::take(&mut own.batch);
        batch.clear();
        batch.reserve(own.pending.len());
        let mut edits = EditsIndex::default();
        let mut decoded = Decoded::default();
        for id in own.pending.iter() {
            let moved = own.moved.remove(id);
            let advertised = own.advertised.contains(id);
            // A lane of the source alone: what it sent itself it is not told.
            let route =
                self.exported(shared, key, id, &mut decoded).filter(|route| !own.is_only(route.source));
            match route {
                Some(route) => {
                    if moved && advertised && self.export.lane_has(group, lane, route.source) {
                        batch.push(Item { what: What::WithdrawOnly(route.source), id });
                    }
                    let edits = edits.number(route.edits);
                    batch.push(Item {
                        what: What::Announce { source: route.source, attrs: route.attrs, edits },
                        id,
                    });
                }
                None if advertised => batch.push(Item { what: What::Withdraw, id }),
                None if self.table.is_vacant(id) => vacated.push(id),
                None => {}
            }
        }
        own.pending.clear();
        batch.sort_unstable();
        (own.batch, own.batch_at, own.batch_edits) = (batch, 0, edits.list);
    }

    /// What a group of peers is told about a prefix; `None`: nothing.
    pub(super) fn exported(
        &self,
        shared: &Shared,
        key: &GroupKey,
        id: u32,
        decoded: &mut Decoded,
    ) -> Option<Exported> {
        let (address, len) = self.table.prefix(id)?;
        if key.default_originate && len == 0 {
            let (source, attrs, edits) = (PathSlot::LOCAL, shared.default_route, Edits::default());
            // Over IPv6 there may be no next hop for it.
            rewrite::next_hop(shared.attrs.get(attrs)?, &edits, key)?;
            return Some(Exported { source, attrs, edits });
        }
        let best = self.table.best(id)?;
        let (source, attrs) = (best.source(), best.attrs);
        let exported = |edits| Exported { source, attrs, edits };
        // Without rules, the prefix does not matter: neighbouring prefixes often share the answer.
        let memo = !matches!(key.filter, Filter::Rules(_));
        if memo && let Some((_, told)) = decoded.told.filter(|(last, _)| *last == best) {
            return told.then(|| exported(Edits::default()));
        }
        let edits = self.exported_edits(shared, key, (address, len), best, decoded);
        if memo {
            decoded.told = Some((best, edits.is_some()));
        }
        edits.map(exported)
    }

    /// What export policy makes of a best path; `None`: it is not told.
    fn exported_edits(
        &self,
        shared: &Shared,
        key: &GroupKey,
        (address, len): (A, u8),
        best: PathSlot,
        decoded: &mut Decoded,
    ) -> Option<Edits> {
        let (source, attrs) = (best.source(), best.attrs);
        let set = shared.attrs.get(attrs)?;
        let from = shared.sources.get(source);
        if from.is_some_and(|from| from.gone) {
            return None;
        }
        let internal = key.kind == SessionKind::Internal;
        if set.class == Class::Internal && internal {
            // RFC 4456 §6: what an internal peer sent goes to another only from or to a client.
            let client = from.is_some_and(|from| from.rr_client);
            if !client && !key.rr_client {
                return None;
            }
        }
        if set.facts.has(Facts::NO_ADVERTISE) || (!internal && set.facts.has(Facts::NO_EXPORT)) {
            return None;
        }
        let edits = match &key.filter {
            Filter::Accept => Edits::default(),
            Filter::Reject => return None,
            Filter::Rules(policy) => {
                let prefix = address.to_net(len)?;
                let view = RouteView {
                    prefix,
                    source: route_source(set.class),
                    origination: shared.locals.source(prefix).filter(|_| set.class == Class::Local),
                    next_hop: set.next_hop(),
                    attributes: decoded.of(attrs, || set.decode()),
                };
                match policy.apply(&view) {
                    (Verdict::Accept, edits) => edits,
                    (Verdict::Reject, _) => return None,
                }
            }
        };
        rewrite::next_hop(set, &edits, key)?;
        Some(edits)
    }

    /// Prefixes a member has been told and not been told to forget.
    pub(super) fn advertised(&self, member: u16) -> u32 {
        let Some(advertised) = self.export.advertised(member) else { return 0 };
        // Its own routes it is not told, but for a default route that stands for another.
        let default = self.export.place(member).is_some_and(|(key, _)| key.default_originate);
        let default = self.table.find(A::default(), 0).filter(|_| default);
        let count = advertised
            .iter()
            .filter(|&id| {
                Some(id) == default || self.table.best(id).is_none_or(|best| best.source() != member)
            })
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// Items that a batch keeps room for.
const SPARE: usize = 64;

/// Octets that most attribute sets have room in.
const ROOM: usize = 256;

/// The attributes last written, so that a run of prefixes writes them once.
#[derive(Default)]
struct Sending {
    what: Option<What>,
    attributes: Vec<u8>,
    next_hop: Option<rewrite::SentNextHop>,
}

/// What is exported.
#[derive(Debug)]
pub(super) struct Exported {
    pub(super) source: u16,
    pub(super) attrs: AttrId,
    pub(super) edits: Edits,
}

/// The set decoded last: neighbouring prefixes often share one.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// The path asked for last, and whether it is told.
    told: Option<(PathSlot, bool)>,
    last: Option<(AttrId, PathAttributes)>,
}

impl Decoded {
    fn of(&mut self, id: AttrId, decode: impl FnOnce() -> PathAttributes) -> &PathAttributes {
        if self.last.as_ref().is_some_and(|(last, _)| *last != id) {
            self.last = None;
        }
        &self.last.get_or_insert_with(|| (id, decode())).1
    }
}

/// Numbers for edits, from 1; 0 is none.
#[derive(Default)]
struct EditsIndex {
    list: Vec<Edits>,
    known: HashMap<Edits, u32, FixedState>,
}

impl EditsIndex {
    fn number(&mut self, edits: Edits) -> u32 {
        if edits.is_empty() {
            return 0;
        }
        if let Some(&number) = self.known.get(&edits) {
            return number;
        }
        self.list.push(edits.clone());
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.known.insert(edits, number);
        number
    }
}

fn route_source(class: Class) -> RouteSource {
    match class {
        Class::Local => RouteSource::Local,
        Class::Internal => RouteSource::Internal,
        Class::External => RouteSource::External,
    }
}

impl Shared {
    /// Runs the import checks and policy: the path to keep, and whether policy edited it.
    fn import(
        &mut self,
        source: u16,
        prefix: impl FnOnce() -> Option<ipnet::IpNet>,
        received: AttrId,
    ) -> (PathSlot, bool) {
        let accept = |excluded| (PathSlot::new(source, received, excluded), false);
        let Self { sources, attrs, identity, next_hops, decoded, .. } = self;
        let (Some(from), Some(set)) = (sources.get(source), attrs.get(received)) else {
            return accept(false);
        };
        if from.enforce_first_as && set.first_as != from.asn.0 {
            return accept(true);
        }
        let edits = match &from.import {
            Filter::Accept => return accept(false),
            Filter::Reject => return accept(true),
            Filter::Rules(policy) => {
                let Some(prefix) = prefix() else { return accept(true) };
                let view = RouteView {
                    prefix,
                    source: route_source(set.class),
                    origination: None,
                    next_hop: set.next_hop(),
                    attributes: decoded.of(received, || set.decode()),
                };
                match policy.apply(&view) {
                    (Verdict::Reject, _) => return accept(true),
                    (Verdict::Accept, edits) if edits.is_empty() => return accept(false),
                    (Verdict::Accept, edits) => edits,
                }
            }
        };
        // A loop stays one, whatever policy makes of it: it is kept as it came.
        if set.facts.has(Facts::AS_LOOP | Facts::REFLECTION_LOOP) {
            return accept(false);
        }
        match attrs.edited(received, &edits, *identity, |address| next_hops.metric(address)) {
            Some(edited) => (PathSlot::new(source, edited, false), true),
            None => accept(true),
        }
    }

    /// Whether a path may be chosen.
    pub(super) fn eligible(&self, path: PathSlot) -> bool {
        const NEVER: u8 = Facts::AS_LOOP | Facts::REFLECTION_LOOP | Facts::UNREACHABLE;
        !path.excluded()
            && self.attrs.get(path.attrs).is_some_and(|set| !set.facts.has(NEVER))
            && self.sources.get(path.source()).is_none_or(|source| !source.gone)
    }

    /// What the decision looks at.
    pub(super) fn rank(&self, path: PathSlot) -> Option<Rank<'_>> {
        let set = self.attrs.get(path.attrs)?;
        let source = self.sources.get(path.source());
        let router_id = match source {
            Some(source) => set.originator_id().unwrap_or(source.router_id),
            None => self.identity.router_id,
        };
        Some(Rank {
            local: source.is_none(),
            local_pref: set.local_pref,
            as_path_len: set.as_path_len,
            origin: set.origin,
            neighbor_as: (set.first_as != 0).then_some(Asn(set.first_as)),
            med: set.med,
            external: set.class == Class::External,
            metric: set.metric,
            router_id,
            cluster_list_len: set.cluster_list_len,
            address: source
                .map_or(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), |source| source.address),
            interface: source.and_then(|source| source.interface.as_deref()),
        })
    }

    pub(super) fn sent_from(&self, source: u16) -> SentFrom {
        match self.sources.get(source) {
            Some(Source { router_id, kind, .. }) => {
                SentFrom { router_id: *router_id, internal: *kind == SessionKind::Internal }
            }
            None => SentFrom { router_id: RouterId(0), internal: false },
        }
    }

    /// Keeps a source's counters.
    fn count(&mut self, family: Family, source: u16, old: Option<PathSlot>, new: Option<PathSlot>) {
        const LOOPS: u8 = Facts::AS_LOOP | Facts::REFLECTION_LOOP;
        let accepted = |path: PathSlot| {
            !path.excluded() && self.attrs.get(path.attrs).is_some_and(|set| !set.facts.has(LOOPS))
        };
        let (was, is) = (old.is_some_and(accepted), new.is_some_and(accepted));
        let Some(counts) = self.sources.get_mut(source).map(|source| source.counts(family)) else { return };
        let step = |counter: &mut u32, was: bool, is: bool| {
            *counter = counter.saturating_add(u32::from(is)).saturating_sub(u32::from(was));
        };
        step(&mut counts.received, old.is_some(), new.is_some());
        step(&mut counts.accepted, was, is);
    }
}
