//! Deadlines of connections and peers, in one queue.
//!
//! A hold timer moves with every message; the queue does not. It holds, for each owner, a moment that is
//! not later than the owner's deadline: when it comes, the owner says when to look again.

use alloc::collections::BTreeSet;

use super::{ConnId, ConnState, DownReason, PeerId, Speaker};
use crate::{peer::Transport, time::Instant};

/// Whose deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Conn(ConnId),
    Peer(PeerId),
}

#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    queue: BTreeSet<(Instant, Owner)>,
}

impl TimerQueue {
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    fn pop(&mut self, now: Instant) -> Option<Owner> {
        let first = *self.queue.first().filter(|(deadline, _)| *deadline <= now)?;
        self.queue.remove(&first);
        Some(first.1)
    }

    /// Moves an owner's entry, where `deadline` is earlier than what is scheduled or nothing is.
    fn schedule(&mut self, owner: Owner, scheduled: &mut Option<Instant>, deadline: Option<Instant>) {
        match (*scheduled, deadline) {
            (Some(known), Some(deadline)) if known <= deadline => {}
            (_, Some(deadline)) => {
                if let Some(known) = scheduled.take() {
                    self.queue.remove(&(known, owner));
                }
                self.queue.insert((deadline, owner));
                *scheduled = Some(deadline);
            }
            (Some(known), None) => {
                self.queue.remove(&(known, owner));
                *scheduled = None;
            }
            (None, None) => {}
        }
    }

    pub(super) fn remove_conn(&mut self, conn: ConnId, scheduled: Option<Instant>) {
        if let Some(known) = scheduled {
            self.queue.remove(&(known, Owner::Conn(conn)));
        }
    }

    pub(super) fn remove_peer(&mut self, peer: PeerId, scheduled: Option<Instant>) {
        if let Some(known) = scheduled {
            self.queue.remove(&(known, Owner::Peer(peer)));
        }
    }
}

impl Speaker {
    /// Time has come to `now`: call it when [`Speaker::poll_timeout`] is reached. Early or repeated calls
    /// change nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.latest = now;
        while let Some(owner) = self.timers.pop(now) {
            match owner {
                Owner::Conn(id) => self.conn_timeout(now, id),
                Owner::Peer(id) => self.peer_timeout(now, id),
            }
        }
        self.wake_all();
    }

    fn conn_timeout(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.scheduled = None;
        let ConnState::Session(session) = &mut conn.state else { return };
        if conn.signalled && !session.is_writing() {
            session.writing(now);
        }
        if session.poll_timeout().is_none_or(|deadline| deadline > now) {
            return self.schedule_conn(id);
        }
        let jitter = self.random16();
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let ConnState::Session(session) = &mut conn.state else { return };
        match session.handle_timeout(now, jitter) {
            Some(reason) => self.session_down(now, id, reason),
            None => {
                if session.has_control() {
                    self.wake(now, id);
                }
                self.schedule_conn(id);
            }
        }
    }

    fn peer_timeout(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.scheduled = None;
        match peer.transport {
            Transport::Idle { until: Some(until) } if until <= now => self.start(now, id),
            Transport::Active { retry: Some(retry) } if retry <= now => self.connect(now, id),
            Transport::Connect { retry, conn } if retry <= now => {
                // RFC 4271 §8.2.2, Connect, Event 9: give it up and try again.
                self.give_up(conn);
                if let Some(peer) = self.peers.get_mut(&id) {
                    peer.last_error = Some(DownReason::Transport(super::CloseReason::TimedOut));
                }
                self.connect(now, id);
            }
            _ => self.schedule_peer(id),
        }
    }

    /// Puts a connection's next deadline into the queue.
    pub(super) fn schedule_conn(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let deadline = match &conn.state {
            ConnState::Session(session) => session.poll_timeout(),
            ConnState::Connecting | ConnState::Draining(_) => None,
        };
        self.timers.schedule(Owner::Conn(id), &mut conn.scheduled, deadline);
    }

    /// Looks at a connection as soon as somebody says what time it is.
    pub(super) fn look_again(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            self.timers.schedule(Owner::Conn(id), &mut conn.scheduled, Some(self.latest));
        }
    }

    /// Puts a peer's next deadline into the queue.
    pub(super) fn schedule_peer(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let deadline = peer.poll_timeout();
        self.timers.schedule(Owner::Peer(id), &mut peer.scheduled, deadline);
    }
}
