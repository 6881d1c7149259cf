//! Slots addressed by small numbers, in chunks that never move.
//!
//! A growing `Vec` copies everything it holds and needs twice the room while it does; a table of a
//! million routes cannot afford either.

use alloc::vec::Vec;

const CHUNK_BITS: u32 = 14;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Values in slots; freed slots are used again, the last freed first.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// Puts a value into a free slot. `None`: all of the 2³² − 1 slots are taken.
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        if let Some(id) = self.free.pop() {
            if let Some(slot) = self.get_mut(id) {
                *slot = value;
            }
            return Some(id);
        }
        if self.len == u32::MAX {
            return None;
        }
        let id = self.len;
        if (id as usize).is_multiple_of(CHUNK) {
            // The first chunk grows as it fills, so that a small table stays small.
            self.chunks.push(if id == 0 { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        self.chunks.last_mut()?.push(value);
        self.len += 1;
        Some(id)
    }

    /// Frees a slot. The value stays until the slot is used again: overwrite it if it owns memory.
    pub(super) fn free(&mut self, id: u32) {
        self.free.push(id);
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<&T> {
        self.chunks.get((id >> CHUNK_BITS) as usize)?.get(id as usize & (CHUNK - 1))
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.chunks.get_mut((id >> CHUNK_BITS) as usize)?.get_mut(id as usize & (CHUNK - 1))
    }

    /// One more than the highest id in use so far.
    pub(super) fn bound(&self) -> u32 {
        self.len
    }

    /// Slots in use.
    pub(super) fn in_use(&self) -> usize {
        self.len as usize - self.free.len()
    }
}
