//! Routes once more, without ending a session: what people call soft in and soft out.

use alloc::vec::Vec;

use super::{ConnId, NeighborKey, Speaker};
use crate::{time::Instant, wire::Family};

impl Speaker {
    /// Sends a neighbour everything of `family` again, as though it had asked for it (RFC 2918); `None`: of
    /// all families of its session. A range means everyone it let in. Returns how many sessions that are
    /// established this concerns; where it is none, nothing happens.
    pub fn refresh_out(&mut self, now: Instant, key: &NeighborKey, family: Option<Family>) -> usize {
        self.latest = now;
        let conns = self.established_of(key);
        if self.held {
            // Nothing was sent yet, and everything will be.
            return conns.len();
        }
        for &conn in &conns {
            let Some(source) = self.conns.get(&conn).and_then(|conn| conn.source) else { continue };
            let families = self.negotiated(conn).map(|it| it.families.clone()).unwrap_or_default();
            for &known in families.iter().filter(|&&known| family.is_none_or(|family| family == known)) {
                self.rib.refresh(source, known);
            }
        }
        self.wake_all();
        conns.len()
    }

    /// Runs a neighbour's import policy again over everything it has announced, in [`Speaker::work`]. What a
    /// policy rejected is kept, so the neighbour need not be asked. A range means everyone it let in. Returns
    /// how many sessions that are established this concerns; where it is none, nothing happens.
    pub fn refresh_in(&mut self, now: Instant, key: &NeighborKey) -> usize {
        self.latest = now;
        let conns = self.established_of(key);
        for conn in &conns {
            if let Some(source) = self.conns.get(conn).and_then(|conn| conn.source) {
                self.rib.reimport(source);
            }
        }
        conns.len()
    }

    /// The established sessions of a neighbour, or of everyone a range let in.
    fn established_of(&self, key: &NeighborKey) -> Vec<ConnId> {
        self.peers
            .values()
            .filter(|peer| peer.key == *key || peer.range.as_ref() == Some(key))
            .flat_map(|peer| peer.conns())
            .filter(|&conn| self.is_established(conn))
            .collect()
    }
}
