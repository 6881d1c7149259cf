//! A synthetic table shaped like the internet's, the same every time.
//!
//! Prefixes share attribute sets in heavy-tailed groups, 5.5 prefixes on average and most of one. A million
//! prefixes have about 180,000 sets.

mod attributes;
mod feed;
mod prefix;
mod random;

use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(crate) use attributes::{Set, View};
pub(crate) use feed::{announce, table as feed, withdraw};
pub(crate) use prefix::{Prefix, Version, read};
pub(crate) use random::Random;

/// The largest group.
const LARGEST: f64 = 1000.0;

/// A table: prefixes have numbers, groups are runs of them. Numbers are in the order in which the first
/// sender announces them, so that what a receiver has to look at next is usually next in memory.
pub(crate) struct Table {
    pub(crate) version: Version,
    pub(crate) prefixes: Vec<Prefix>,
    groups: Vec<u32>,
    group_of: Vec<u32>,
    numbers: HashMap<Prefix, u32, FixedState>,
}

impl Table {
    pub(crate) fn new(version: Version, count: usize) -> Self {
        let all = prefix::prefixes(version, count);
        let mut random = Random::new(2);
        let mut runs = Vec::new();
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            // A discrete Pareto law.
            let size = random.unit().powf(-1.0 / 1.1).min(LARGEST) as usize;
            let (run, others) = rest.split_at(size.min(rest.len()));
            runs.push(run);
            rest = others;
        }
        // Neighbouring prefixes share attributes; neighbouring groups are nowhere near each other.
        random.shuffle(&mut runs);
        let (mut prefixes, mut groups, mut group_of) = (Vec::with_capacity(count), vec![0], Vec::new());
        for (run, group) in runs.into_iter().zip(0..) {
            prefixes.extend_from_slice(run);
            groups.push(prefixes.len() as u32);
            group_of.resize(prefixes.len(), group);
        }
        let numbers = prefixes.iter().copied().zip(0..).collect();
        Self { version, prefixes, groups, group_of, numbers }
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> u32 {
        self.groups.len() as u32 - 1
    }

    /// The numbers of a group's prefixes.
    pub(crate) fn members(&self, group: u32) -> Range<u32> {
        let group = group as usize;
        self.groups[group]..self.groups[group + 1]
    }

    /// The group of a prefix.
    #[inline]
    pub(crate) fn group_of(&self, number: u32) -> u32 {
        self.group_of[number as usize]
    }

    /// The number of a prefix. `guess` is where it probably is.
    #[inline]
    pub(crate) fn number(&self, prefix: Prefix, guess: u32) -> Option<u32> {
        if self.prefixes.get(guess as usize) == Some(&prefix) {
            return Some(guess);
        }
        self.numbers.get(&prefix).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_the_table() {
        let table = Table::new(Version::V4, 100_000);
        let mean = 100_000.0 / f64::from(table.groups());
        assert!((4.5..6.5).contains(&mean), "{mean} prefixes a group");
        let mut next = 0;
        for group in 0..table.groups() {
            let members = table.members(group);
            assert_eq!(members.start, next);
            next = members.end;
            for number in members {
                assert_eq!(table.group_of(number), group);
                assert_eq!(table.number(table.prefixes[number as usize], 7), Some(number));
            }
        }
        assert_eq!(next, 100_000);
    }
}
