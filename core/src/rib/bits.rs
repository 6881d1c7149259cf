//! Sets of small numbers: one bit each.

use alloc::vec::Vec;

/// A set of ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    #[inline]
    pub(super) fn contains(&self, id: u32) -> bool {
        self.words.get((id / 64) as usize).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Adds an id; whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, id: u32) -> bool {
        let index = (id / 64) as usize;
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        let Some(word) = self.words.get_mut(index) else { return false };
        let bit = 1 << (id % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes an id out; whether it was in.
    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let Some(word) = self.words.get_mut((id / 64) as usize) else { return false };
        let bit = 1 << (id % 64);
        let was = *word & bit != 0;
        *word &= !bit;
        was
    }

    /// Adds everything that `other` holds.
    pub(super) fn union(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// The ids in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, &word)| {
            let mut left = word;
            core::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(index as u32 * 64 + bit)
            })
        })
    }
}

/// A set of ids of which the lowest is found without walking the empty part: a bit for each id, and a bit
/// above for each 64 ids, and so on. What is owed to a consumer stands in one of these; so its size is
/// bounded by the table's, however often a prefix changes.
#[derive(Clone, Debug, Default)]
pub(super) struct BitTree {
    /// Six levels of 64 hold every `u32`.
    levels: [Vec<u64>; 6],
    count: usize,
}

impl BitTree {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn contains(&self, id: u32) -> bool {
        self.levels[0].get((id / 64) as usize).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    /// Adds an id; whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, id: u32) -> bool {
        let mut position = id;
        for (depth, level) in self.levels.iter_mut().enumerate() {
            let index = (position / 64) as usize;
            if index >= level.len() {
                level.resize(index + 1, 0);
            }
            let Some(word) = level.get_mut(index) else { return false };
            let before = *word;
            *word |= 1 << (position % 64);
            if depth == 0 {
                if *word == before {
                    return false;
                }
                self.count += 1;
            }
            if before != 0 {
                return true;
            }
            position /= 64;
        }
        true
    }

    /// Takes an id out; whether it was in.
    #[inline]
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let mut position = id;
        for (depth, level) in self.levels.iter_mut().enumerate() {
            let Some(word) = level.get_mut((position / 64) as usize) else { return false };
            let before = *word;
            *word &= !(1 << (position % 64));
            if depth == 0 {
                if *word == before {
                    return false;
                }
                self.count -= 1;
            }
            if *word != 0 {
                return true;
            }
            position /= 64;
        }
        true
    }

    /// The lowest id that is at least `from`.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        // Up: the first level at which something to the right is set.
        let mut position = u64::from(from);
        let mut depth = 0;
        loop {
            let level = self.levels.get(depth)?;
            let word = level.get((position / 64) as usize).copied().unwrap_or(0);
            let right = word & (u64::MAX << (position % 64));
            if right != 0 {
                position = position / 64 * 64 + u64::from(right.trailing_zeros());
                break;
            }
            position = position / 64 + 1;
            depth += 1;
        }
        // Down: the lowest id below it.
        while depth > 0 {
            depth -= 1;
            let word = self.levels.get(depth)?.get(position as usize).copied()?;
            if word == 0 {
                return None;
            }
            position = position * 64 + u64::from(word.trailing_zeros());
        }
        u32::try_from(position).ok()
    }

    /// The ids in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let mut from = Some(0);
        core::iter::from_fn(move || {
            let id = self.next(from?)?;
            from = id.checked_add(1);
            Some(id)
        })
    }

    /// Empties the set. A few ids cost what they are, not what the largest id ever held was.
    pub(super) fn clear(&mut self) {
        if self.count < self.levels[0].len() / 8 {
            while let Some(id) = self.next(0) {
                self.remove(id);
            }
        } else {
            self.levels.iter_mut().for_each(|level| level.fill(0));
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Walking a set of twenty million takes its time.
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn both_sets_hold_what_a_plain_set_holds(ops in prop::collection::vec((any::<bool>(), prop_oneof![0u32..3_000, 0u32..300_000, 0u32..20_000_000]), 0..400)) {
            let mut plain = BTreeSet::new();
            let (mut tree, mut bits) = (BitTree::default(), Bits::default());
            for (add, id) in ops {
                if add {
                    let new = plain.insert(id);
                    prop_assert_eq!(tree.insert(id), new);
                    prop_assert_eq!(bits.insert(id), new);
                } else {
                    let was = plain.remove(&id);
                    prop_assert_eq!(tree.remove(id), was);
                    prop_assert_eq!(bits.remove(id), was);
                }
            }
            let expected: Vec<u32> = plain.iter().copied().collect();
            prop_assert_eq!(tree.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!((tree.len(), tree.is_empty()), (plain.len(), plain.is_empty()));
            tree.clear();
            prop_assert_eq!((tree.len(), tree.next(0)), (0, None));
            for &id in &plain {
                prop_assert!(tree.insert(id));
            }
            prop_assert_eq!(tree.iter().collect::<BTreeSet<_>>(), plain);
        }
    }
}
