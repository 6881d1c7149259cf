//! What follows the table: update groups of peers.
//!
//! Peers that get the same octets share a *group*. A group has *lanes*: one that its members share, and one
//! more for each member that is by itself because it has just joined, asked for a refresh, or fell
//! behind. A lane holds, for each prefix, whether something is *pending* and whether it is *advertised*:
//! bits, so what a stalled peer is owed is bounded by the table's size, and changes that come before
//! sending fold into one. Pending prefixes are sorted and encoded into *windows* of whole messages,
//! which the lane's members pass one after the other and which go when the last has passed. A member by
//! itself that has caught up goes back to the shared lane.
//!
//! An UPDATE holds routes of one source, so that a window is a list of runs, and a member skips the runs
//! of routes that it sent itself. The next hop is a slot of fixed width that is patched for each member.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    attrs::AttrId,
    bits::{BitTree, Bits},
};
use crate::{
    facts::NextHopMode,
    policy::{Edits, Policy},
    wire::{Family, HEADER_LEN, SessionKind},
};

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Accept,
    Reject,
    Rules(Arc<Policy>),
}

impl Filter {
    pub(crate) fn new(policy: Option<&Policy>, kind: SessionKind) -> Self {
        match policy {
            // RFC 8212 §3: without a policy, eBGP neither imports nor exports.
            None if kind == SessionKind::External => Self::Reject,
            None => Self::Accept,
            Some(policy) if policy.rules.is_empty() => match policy.otherwise {
                crate::policy::Verdict::Accept => Self::Accept,
                crate::policy::Verdict::Reject => Self::Reject,
            },
            Some(policy) => Self::Rules(Arc::new(policy.clone())),
        }
    }
}

/// Everything that changes the octets a peer gets, or whether it gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupKey {
    pub(crate) family: Family,
    pub(crate) kind: SessionKind,
    pub(crate) four_octet_as: bool,
    pub(crate) max_len: usize,
    pub(crate) rr_client: bool,
    pub(crate) next_hop: NextHopMode,
    /// Octets of the session's own next hop; 0: it has none in this family.
    pub(crate) slot_len: usize,
    /// IPv4 NLRI may go with an IPv6 next hop (RFC 8950).
    pub(crate) extended_next_hop: bool,
    pub(crate) default_originate: bool,
    pub(crate) filter: Filter,
}

/// Who a run of messages is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    All,
    Except(u16),
    Only(u16),
}

impl Audience {
    const fn includes(self, member: u16) -> bool {
        match self {
            Self::All => true,
            Self::Except(other) => other != member,
            Self::Only(one) => one == member,
        }
    }
}

/// Encoded messages.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) octets: Bytes,
    /// Where each run ends, and who it is for.
    pub(super) runs: SmallVec<[(u32, Audience); 1]>,
    /// Where next hops to be patched stand.
    pub(super) slots: SmallVec<[u32; 2]>,
    /// What stands there.
    pub(super) slot: SmallVec<[u8; 32]>,
    /// Members that have not passed it yet.
    pub(super) waiting: usize,
}

/// A prefix to send, as it was when the batch was sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Withdrawals first; then routes by source, attributes and edits.
    pub(super) what: What,
    pub(super) id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// For this member only: the route it now provides itself.
    WithdrawOnly(u16),
    Withdraw,
    Announce {
        source: u16,
        attrs: AttrId,
        edits: u32,
    },
}

/// What one or several members are owed and have been sent.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) pending: BitTree,
    pub(super) advertised: Bits,
    /// The best path moved to another source since it was sent: the new source is owed a withdrawal.
    pub(super) moved: Bits,
    /// Sorted, to be encoded; consumed from `batch_at`.
    pub(super) batch: Vec<Item>,
    pub(super) batch_at: usize,
    pub(super) batch_edits: Vec<Edits>,
    windows: VecDeque<Window>,
    first: u64,
    retained: usize,
    members: Vec<u16>,
    told: Told,
}

/// Which of a lane's members know that there is something for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nobody,
    /// All but the source of all that there is: what it sent itself it is not sent back.
    AllBut(u16),
    All,
}

impl Lane {
    fn end(&self) -> u64 {
        self.first + self.windows.len() as u64
    }

    pub(super) fn drained(&self) -> bool {
        self.pending.is_empty() && self.batch_at >= self.batch.len()
    }

    pub(super) fn holds(&self, id: u32) -> bool {
        self.advertised.contains(id) || self.pending.contains(id)
    }

    fn push(&mut self, mut window: Window) {
        window.waiting = self.members.len();
        self.retained += window.octets.len();
        self.windows.push_back(window);
    }

    /// Says who is to be told of something. `source`: who has nothing to hear of it.
    fn tell(&mut self, source: Option<u16>, woken: &mut Vec<u16>) {
        match (self.told, source) {
            (Told::Nobody, Some(source)) => {
                woken.extend(self.members.iter().filter(|&&member| member != source));
                self.told = Told::AllBut(source);
            }
            (Told::Nobody, None) => {
                woken.extend(&self.members);
                self.told = Told::All;
            }
            (Told::AllBut(last), source) if source != Some(last) => {
                woken.extend(self.members.iter().filter(|&&member| member == last));
                self.told = Told::All;
            }
            _ => {}
        }
    }

    fn passed(&mut self, seq: u64) {
        if let Some(window) = self.windows.get_mut(seq.saturating_sub(self.first) as usize) {
            window.waiting = window.waiting.saturating_sub(1);
        }
        while let Some(window) = self.windows.front().filter(|window| window.waiting == 0) {
            self.retained -= window.octets.len();
            self.windows.pop_front();
            self.first += 1;
        }
    }
}

/// Peers that get the same octets.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) key: GroupKey,
    /// The first is the shared one.
    lanes: Vec<Option<Lane>>,
}

/// A peer in a group.
#[derive(Debug)]
struct Member {
    group: usize,
    lane: usize,
    seq: u64,
    run: usize,
    offset: usize,
    slot: SmallVec<[u8; 32]>,
    end_of_rib: bool,
    /// It asked for everything again while it was still being sent everything.
    again: bool,
}

/// The groups of one address family.
#[derive(Debug, Default)]
pub(super) struct Export {
    groups: Vec<Option<Group>>,
    members: BTreeMap<u16, Member>,
    /// Members that have something to send and do not know yet.
    woken: Vec<u16>,
}

/// What a member gets from [`Export::poll`].
pub(super) enum Polled {
    /// Octets.
    Octets(Bytes),
    /// The lane has to encode more.
    Encode { group: usize, lane: usize },
    /// The member has everything: its End-of-RIB is due.
    EndOfRib,
    /// Nothing for now.
    Idle,
}

impl Export {
    pub(super) fn lane(&self, group: usize, lane: usize) -> Option<&Lane> {
        self.groups.get(group)?.as_ref()?.lanes.get(lane)?.as_ref()
    }

    pub(super) fn lane_mut(&mut self, group: usize, lane: usize) -> Option<(&GroupKey, &mut Lane)> {
        let group = self.groups.get_mut(group)?.as_mut()?;
        Some((&group.key, group.lanes.get_mut(lane)?.as_mut()?))
    }

    /// The slot of the lane's first member: windows are encoded with it.
    pub(super) fn first_slot(&self, group: usize, lane: usize) -> SmallVec<[u8; 32]> {
        self.lane(group, lane)
            .and_then(|lane| self.members.get(lane.members.first()?))
            .map(|member| member.slot.clone())
            .unwrap_or_default()
    }

    /// Whether a source's routes are to be kept from some member of the lane.
    pub(super) fn lane_has(&self, group: usize, lane: usize, source: u16) -> bool {
        self.members.get(&source).is_some_and(|member| member.group == group && member.lane == lane)
    }

    /// Members that have something to send and were not told.
    pub(super) fn take_woken(&mut self) -> Vec<u16> {
        core::mem::take(&mut self.woken)
    }

    fn lanes_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.groups.iter_mut().flatten().flat_map(|group| group.lanes.iter_mut().flatten())
    }

    /// The best path of a prefix changed, maybe to another source.
    pub(super) fn mark(&mut self, id: u32, before: Option<u16>, after: Option<u16>) {
        let woken = &mut self.woken;
        let lanes = self.groups.iter_mut().flatten().flat_map(|group| {
            let default_originate = group.key.default_originate;
            group.lanes.iter_mut().flatten().map(move |lane| (default_originate, lane))
        });
        for (default_originate, lane) in lanes {
            if lane.members.is_empty() {
                continue;
            }
            lane.pending.insert(id);
            let moved = match (before, after) {
                (Some(before), Some(after)) => before != after,
                // What is advertised still, or about to be, may have been another source's.
                (None, Some(_)) => lane.advertised.contains(id) || lane.batch_at < lane.batch.len(),
                (_, None) => false,
            };
            if moved {
                lane.moved.insert(id);
            }
            // A default route towards everyone may stand for its own, and somebody has to empty the lane.
            let own = !moved && !default_originate && lane.members.len() > 1;
            lane.tell(after.filter(|_| own), woken);
        }
    }

    /// A prefix has no path any more: lanes that advertised it owe a withdrawal, others owe nothing.
    /// Whether any lane still holds it.
    pub(super) fn vacate(&mut self, id: u32) -> bool {
        let mut held = false;
        for lane in self.lanes_mut() {
            if lane.advertised.contains(id) {
                held = true;
            } else {
                lane.pending.remove(id);
                lane.moved.remove(id);
            }
        }
        held
    }

    /// Whether any lane still holds a prefix.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.groups.iter().flatten().any(|group| group.lanes.iter().flatten().any(|lane| lane.holds(id)))
    }

    /// Lets a peer follow the table in a group of such peers: it is owed everything in `everything`. What
    /// it holds from a group it leaves by this stays advertised, and the octets it has not read there are
    /// returned with its lane.
    pub(super) fn join(
        &mut self,
        member: u16,
        key: GroupKey,
        slot: SmallVec<[u8; 32]>,
        everything: impl Iterator<Item = u32>,
    ) -> Laggard {
        let end_of_rib = self.members.get(&member).is_none_or(|place| place.end_of_rib);
        let (mut lane, unread) = self.detach(member);
        lane.pending = everything.chain(lane.advertised.iter()).chain(lane.pending.iter()).fold(
            BitTree::default(),
            |mut pending, id| {
                pending.insert(id);
                pending
            },
        );
        let group = self.group_for(key);
        let lane = self.settle(member, group, lane, slot, end_of_rib);
        Laggard { group, lane, unread }
    }

    /// A peer is gone. Returns ids that nobody holds any more.
    pub(super) fn leave(&mut self, member: u16) -> Vec<u32> {
        let (lane, _) = self.detach(member);
        lane.advertised.iter().chain(lane.pending.iter()).filter(|&id| !self.holds(id)).collect()
    }

    /// Gives a member a lane of its own.
    fn settle(
        &mut self,
        member: u16,
        group: usize,
        mut lane: Lane,
        slot: SmallVec<[u8; 32]>,
        end_of_rib: bool,
    ) -> usize {
        lane.members = alloc::vec![member];
        lane.told = Told::All;
        let lane = self.add_lane(group, lane);
        let place = Member { group, lane, seq: 0, run: 0, offset: 0, slot, end_of_rib, again: false };
        self.members.insert(member, place);
        self.woken.push(member);
        lane
    }

    /// A prefix is to be looked at again, though its best path is the same.
    pub(super) fn touch(&mut self, id: u32) {
        self.mark(id, None, None);
    }

    /// A member wants everything again. `true`: it may have it now; else it has it when it has got what it
    /// is being sent, however often it asks meanwhile.
    pub(super) fn ask_again(&mut self, member: u16) -> bool {
        match self.members.get_mut(&member) {
            Some(place) => {
                place.again = place.lane > 0;
                place.lane == 0
            }
            None => false,
        }
    }

    /// Whether a member that has got everything wants it again.
    pub(super) fn take_again(&mut self, member: u16) -> bool {
        self.members.get_mut(&member).is_some_and(|place| core::mem::take(&mut place.again))
    }

    /// Takes a member out of its lane. Returns a lane that owes it the same, but for the octets that it
    /// has not read, which are returned too. A lane and a group without members go.
    fn detach(&mut self, member: u16) -> (Lane, Vec<Bytes>) {
        let Some(place) = self.members.remove(&member) else { return Default::default() };
        let Some(group) = self.groups.get_mut(place.group).and_then(Option::as_mut) else {
            return Default::default();
        };
        let Some(lane) = group.lanes.get_mut(place.lane).and_then(Option::as_mut) else {
            return Default::default();
        };
        let mut unread = Vec::new();
        for seq in place.seq..lane.end() {
            if let Some(window) = lane.windows.get((seq - lane.first) as usize) {
                let (run, mut start) = if seq == place.seq { (place.run, place.offset) } else { (0, 0) };
                for &(end, audience) in window.runs.get(run..).unwrap_or_default() {
                    if audience.includes(member) && start < end as usize {
                        unread.push(window.octets.slice(start..end as usize));
                    }
                    start = end as usize;
                }
            }
            lane.passed(seq);
        }
        lane.members.retain(|&other| other != member);
        let last = lane.members.is_empty();
        let mut own = if last {
            core::mem::take(lane)
        } else {
            Lane {
                pending: lane.pending.clone(),
                advertised: lane.advertised.clone(),
                moved: lane.moved.clone(),
                batch: lane.batch.get(lane.batch_at..).unwrap_or_default().to_vec(),
                ..Lane::default()
            }
        };
        for item in own.batch.drain(own.batch_at..) {
            own.pending.insert(item.id);
            if item.what == What::WithdrawOnly(member) {
                own.moved.insert(item.id);
            }
        }
        let own =
            Lane { pending: own.pending, advertised: own.advertised, moved: own.moved, ..Lane::default() };
        if last
            && place.lane > 0
            && let Some(slot) = group.lanes.get_mut(place.lane)
        {
            *slot = None;
            trim(&mut group.lanes);
        }
        if group.lanes.iter().flatten().all(|lane| lane.members.is_empty())
            && let Some(slot) = self.groups.get_mut(place.group)
        {
            *slot = None;
            trim(&mut self.groups);
        }
        (own, unread)
    }

    fn group_for(&mut self, key: GroupKey) -> usize {
        let known = self.groups.iter().position(|group| group.as_ref().is_some_and(|group| group.key == key));
        known.unwrap_or_else(|| {
            let group = Group { key, lanes: alloc::vec![Some(Lane::default())] };
            match self.groups.iter().position(Option::is_none) {
                Some(free) => {
                    if let Some(slot) = self.groups.get_mut(free) {
                        *slot = Some(group);
                    }
                    free
                }
                None => {
                    self.groups.push(Some(group));
                    self.groups.len() - 1
                }
            }
        })
    }

    fn add_lane(&mut self, group: usize, lane: Lane) -> usize {
        let Some(group) = self.groups.get_mut(group).and_then(Option::as_mut) else { return 0 };
        match group.lanes.iter().position(Option::is_none) {
            Some(free) => {
                if let Some(slot) = group.lanes.get_mut(free) {
                    *slot = Some(lane);
                }
                free
            }
            None => {
                group.lanes.push(Some(lane));
                group.lanes.len() - 1
            }
        }
    }

    /// What a member is to do next.
    pub(super) fn poll(&mut self, member: u16, limit: usize) -> Polled {
        let Some(place) = self.members.get_mut(&member) else { return Polled::Idle };
        let Some(group) = self.groups.get_mut(place.group).and_then(Option::as_mut) else {
            return Polled::Idle;
        };
        loop {
            let Some(lane) = group.lanes.get_mut(place.lane).and_then(Option::as_mut) else {
                return Polled::Idle;
            };
            if let Some(window) = lane.windows.get(place.seq.saturating_sub(lane.first) as usize) {
                let octets = place.read(window, member, limit);
                if place.run >= window.runs.len() {
                    lane.passed(place.seq);
                    (place.seq, place.run, place.offset) = (place.seq + 1, 0, 0);
                }
                match octets {
                    Some(octets) => return Polled::Octets(octets),
                    None => continue,
                }
            }
            if !lane.drained() {
                return Polled::Encode { group: place.group, lane: place.lane };
            }
            lane.told = Told::Nobody;
            if place.lane > 0 {
                // It has caught up: what its own lane remembers goes to the shared one.
                let own = group.lanes.get_mut(place.lane).and_then(Option::take).unwrap_or_default();
                trim(&mut group.lanes);
                let Some(shared) = group.lanes.first_mut().and_then(Option::as_mut) else {
                    return Polled::Idle;
                };
                shared.advertised.union(&own.advertised);
                shared.members.push(member);
                (place.lane, place.seq) = (0, shared.end());
                if shared.drained() { shared.told = Told::Nobody } else { self.woken.push(member) }
            }
            return if core::mem::take(&mut place.end_of_rib) { Polled::EndOfRib } else { Polled::Idle };
        }
    }

    /// Puts a window into a lane. Members that are up to it and for whom nothing is in it have passed it;
    /// those that something is for know of it.
    pub(super) fn push(&mut self, lane: &mut Lane, window: Window) {
        let end = lane.end();
        let mut passed = 0;
        for &member in &lane.members {
            let concerned = window.runs.iter().any(|(_, audience)| audience.includes(member));
            match self.members.get_mut(&member) {
                Some(place) if !concerned && place.seq == end => {
                    place.seq += 1;
                    passed += 1;
                }
                _ if concerned && lane.told == Told::AllBut(member) => {
                    self.woken.push(member);
                    lane.told = Told::All;
                }
                _ => {}
            }
        }
        lane.push(window);
        (0..passed).for_each(|_| lane.passed(end));
    }

    /// Lets the members that are furthest behind go on by themselves while a lane retains more than
    /// `limit` octets for them. Returns them with the octets they have not read.
    pub(super) fn split_laggards(&mut self, group: usize, lane: usize, limit: usize) -> Vec<Laggard> {
        let mut laggards = Vec::new();
        while let Some(shared) = self.lane(group, lane)
            && shared.retained > limit
            && shared.members.len() > 1
        {
            let end = shared.end();
            let slowest = shared
                .members
                .iter()
                .filter_map(|&member| self.members.get(&member).map(|place| (place.seq, member)))
                .min();
            let Some((_, member)) = slowest.filter(|&(seq, _)| seq < end) else { break };
            let Some(place) = self.members.get(&member) else { break };
            let (slot, end_of_rib) = (place.slot.clone(), place.end_of_rib);
            let (own, unread) = self.detach(member);
            let lane = self.settle(member, group, own, slot, end_of_rib);
            laggards.push(Laggard { group, lane, unread });
        }
        laggards
    }

    /// Every lane's size, for tests of bounds: octets retained and prefixes owed.
    pub(super) fn debt(&self) -> (usize, usize) {
        self.groups
            .iter()
            .flatten()
            .flat_map(|group| group.lanes.iter().flatten())
            .fold((0, 0), |(octets, owed), lane| (octets + lane.retained, owed + lane.pending.len()))
    }
}

/// A member that goes on in a lane of its own, with the messages it has not read: what they withdraw
/// and announce is owed to it still.
pub(super) struct Laggard {
    pub(super) group: usize,
    pub(super) lane: usize,
    pub(super) unread: Vec<Bytes>,
}

impl Member {
    /// The next octets of a window that are for this member; `None` if the rest is for others.
    fn read(&mut self, window: &Window, member: u16, limit: usize) -> Option<Bytes> {
        // Skip what is for others.
        loop {
            let &(end, audience) = window.runs.get(self.run)?;
            if audience.includes(member) && self.offset < end as usize {
                break;
            }
            self.offset = end as usize;
            self.run += 1;
        }
        let start = self.offset;
        while let Some(&(end, audience)) = window.runs.get(self.run) {
            if !audience.includes(member) {
                break;
            }
            while self.offset < end as usize {
                let len = message_len(window.octets.get(self.offset..).unwrap_or_default());
                if self.offset > start && self.offset + len - start > limit {
                    return Some(self.patch(window, start));
                }
                self.offset += len;
            }
            self.offset = end as usize;
            self.run += 1;
        }
        Some(self.patch(window, start))
    }

    fn patch(&self, window: &Window, start: usize) -> Bytes {
        let octets = window.octets.slice(start..self.offset);
        let from = window.slots.partition_point(|&slot| (slot as usize) < start);
        let slots = window.slots.get(from..).unwrap_or_default();
        let mut slots =
            slots.iter().map(|&slot| slot as usize).take_while(|&slot| slot < self.offset).peekable();
        if self.slot == window.slot || slots.peek().is_none() {
            return octets;
        }
        let mut own = octets.to_vec();
        for slot in slots {
            if let Some(place) = own.get_mut(slot - start..slot - start + self.slot.len()) {
                place.copy_from_slice(&self.slot);
            }
        }
        Bytes::from(own)
    }
}

/// Takes free places off the end, so that a crowd that has gone is not walked for ever.
fn trim<T>(places: &mut Vec<Option<T>>) {
    while places.last().is_some_and(Option::is_none) {
        places.pop();
    }
}

/// Length of the message at the start of octets that this crate encoded.
fn message_len(octets: &[u8]) -> usize {
    match octets.get(16..18) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN),
        _ => octets.len().max(1),
    }
}

impl Lane {
    /// Whether `member` is all there is in it.
    pub(super) fn is_only(&self, member: u16) -> bool {
        matches!(self.members.as_slice(), [only] if *only == member)
    }
}

impl Export {
    /// Whether any group is told of a default route that the table does not hold.
    pub(super) fn originates_default(&self) -> bool {
        self.groups.iter().flatten().any(|group| group.key.default_originate)
    }

    /// What a member's lane advertises.
    pub(super) fn advertised(&self, member: u16) -> Option<&Bits> {
        let place = self.members.get(&member)?;
        Some(&self.lane(place.group, place.lane)?.advertised)
    }

    /// A member's group and slot.
    pub(super) fn place(&self, member: u16) -> Option<(&GroupKey, &[u8])> {
        let place = self.members.get(&member)?;
        Some((&self.groups.get(place.group)?.as_ref()?.key, &place.slot))
    }
}
