//! What receivers have to get: the octets of every attribute set as the speaker has to send it on.

use std::ops::Range;

use crate::table::{Set, Table, View};

/// Attribute blocks, one after the other.
#[derive(Default)]
struct Blocks {
    octets: Vec<u8>,
    ends: Vec<u32>,
}

impl Blocks {
    /// Without the next hop, which differs from session to session.
    fn push(&mut self, set: &Set) {
        set.write(None, &mut self.octets);
        self.ends.push(self.octets.len() as u32);
    }

    #[inline]
    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.octets[start as usize..self.ends[index] as usize]
    }
}

/// What the speaker under test has to send on.
pub(crate) struct Expect {
    pub(crate) table: Table,
    /// AS of the first sender; the others count up.
    pub(crate) sender_as: u32,
    senders: Vec<Blocks>,
    /// By group: the sender whose path is best.
    best: Vec<u8>,
    /// By prefix: the number of its change, from 1 on. Empty before the first one.
    changes: Vec<u32>,
    changed: Blocks,
}

/// One of the blocks: of a group, or of a change.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    Group(u32),
    Change(u32),
}

/// Prefixes with one attribute set.
pub(crate) struct Run {
    pub(crate) members: Range<u32>,
    pub(crate) which: Which,
    /// The sender whose path is best.
    pub(crate) best: u32,
}

impl Default for Run {
    /// Nobody's.
    fn default() -> Self {
        Self { members: 0..0, which: Which::Group(0), best: 0 }
    }
}

impl Expect {
    /// For a speaker of AS `asn` that has the table from each of so many senders.
    pub(crate) fn new(table: Table, asn: u32, sender_as: u32, senders: u32) -> Self {
        let mut all = Vec::new();
        let mut ranks = vec![(usize::MAX, u8::MAX, u32::MAX); table.groups() as usize];
        for sender in 0..senders {
            let view = View { sender, asn: sender_as + sender, generation: 0 };
            let mut blocks = Blocks::default();
            for (group, best) in (0..).zip(&mut ranks) {
                let set = Set::new(group, view);
                // RFC 4271 §9.1.2.2: path length, ORIGIN, (MED: no two are of one AS), router id, which
                // ascends with the sender's number.
                *best = (*best).min((set.path.len(), set.origin, sender));
                blocks.push(&set.sent_on_by(asn));
            }
            all.push(blocks);
        }
        let best = ranks.into_iter().map(|(_, _, sender)| sender as u8).collect();
        Self { table, sender_as, senders: all, best, changes: Vec::new(), changed: Blocks::default() }
    }

    /// From now on a prefix is to come with this set, as the speaker sends it on.
    pub(crate) fn change(&mut self, number: u32, set: &Set) {
        self.changed.push(set);
        self.changes.resize(self.table.prefixes.len(), 0);
        self.changes[number as usize] = self.changed.ends.len() as u32;
    }

    /// How many senders there are.
    pub(crate) fn senders(&self) -> u32 {
        self.senders.len() as u32
    }

    /// What holds for a prefix, and for those around it.
    #[inline]
    pub(crate) fn run(&self, number: u32) -> Run {
        let group = self.table.group_of(number);
        let best = u32::from(self.best[group as usize]);
        match self.changes.get(number as usize) {
            Some(&change) if change != 0 => {
                Run { members: number..number + 1, which: Which::Change(change - 1), best }
            }
            // Others of its group may have changed.
            Some(_) => Run { members: number..number + 1, which: Which::Group(group), best },
            None => Run { members: self.table.members(group), which: Which::Group(group), best },
        }
    }

    /// Its octets, as they have to be for a path by this sender.
    #[inline]
    pub(crate) fn block(&self, which: Which, sender: u32) -> &[u8] {
        match which {
            Which::Group(group) => self.senders[sender as usize].get(group as usize),
            Which::Change(change) => self.changed.get(change as usize),
        }
    }
}
