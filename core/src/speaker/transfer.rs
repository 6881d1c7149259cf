//! Octets in and out.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{
    Action, ConnId, ConnState, Event, Speaker,
    connect::{cease, subcode},
};
use crate::{
    rib::{LearnContext, Outbound},
    session::{Negotiated, Outcome, Session, SessionState},
    time::Instant,
    wire::{
        Family, Frame, HEADER_LEN, MessageKind, Notification, RouteRefresh, Update,
        attr::{self, AttributeContext, code, flag},
        begin_message, finish_message, frame,
    },
};

impl Speaker {
    /// Bytes came in, in any pieces.
    pub fn handle_bytes(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        self.latest = now;
        let Some(it) = self.conns.get_mut(&conn) else {
            self.late_inputs += 1;
            return;
        };
        if !matches!(it.state, ConnState::Session(_)) {
            return;
        }
        let mut tail = core::mem::take(&mut it.tail);
        let mut rest = data;
        // A message that began in an earlier piece is completed first; the others are read in place.
        while !tail.is_empty() && !rest.is_empty() {
            let wanted = wanted(&tail).saturating_sub(tail.len()).max(1).min(rest.len());
            let (piece, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
            tail.extend_from_slice(piece);
            rest = after;
            match self.handle_stream(now, conn, &tail) {
                Some(0) => {}
                Some(_) => tail.clear(),
                None => return self.wake_all(),
            }
        }
        if tail.is_empty() {
            match self.handle_stream(now, conn, rest) {
                Some(used) => tail.extend_from_slice(rest.get(used..).unwrap_or_default()),
                None => return self.wake_all(),
            }
        }
        if let Some(it) = self.conns.get_mut(&conn) {
            it.tail = tail;
        }
        self.wake_all();
    }

    /// Handles the whole messages at the start of a stream and says how many octets they were; `None`: the
    /// session is over.
    fn handle_stream(&mut self, now: Instant, conn: ConnId, stream: &[u8]) -> Option<usize> {
        let mut used = 0;
        loop {
            let limit = self.session(conn)?.receive_limit();
            let rest = stream.get(used..).unwrap_or_default();
            match frame(rest, limit) {
                Ok(Some(message)) => {
                    used += message.len;
                    self.handle_message(now, conn, message);
                }
                Ok(None) => break,
                Err(error) => {
                    let outcome = self.session_mut(conn)?.fail(&error);
                    self.handle_outcome(now, conn, outcome);
                }
            }
        }
        // The last message may have ended it.
        self.session(conn)?;
        Some(used)
    }

    fn handle_message(&mut self, now: Instant, conn: ConnId, message: Frame<'_>) {
        self.implied(now, conn, message.kind);
        let Some(session) = self.session_mut(conn) else { return };
        let outcome = session.handle_message(now, message);
        self.handle_outcome(now, conn, outcome);
    }

    /// A connection that waits for another to win a collision (RFC 4271 §6.8), and on which routes arrive:
    /// the peer has established it, so it has given up the other, which only has not been heard of yet.
    fn implied(&mut self, now: Instant, conn: ConnId, kind: MessageKind) {
        if self.is_confirmed(conn) && matches!(kind, MessageKind::Update | MessageKind::RouteRefresh) {
            self.establish(now, conn);
        }
    }

    fn handle_outcome(&mut self, now: Instant, conn: ConnId, outcome: Outcome<'_>) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Opened => {
                self.wake(now, conn);
                self.schedule_conn(conn);
                self.opened(now, conn);
            }
            Outcome::Confirmed => self.confirmed(now, conn),
            Outcome::Update(update) => self.handle_update(now, conn, &update),
            Outcome::Refresh(refresh) => self.handle_refresh(conn, &refresh),
            Outcome::Down(reason) => self.session_down(now, conn, reason),
        }
    }

    fn handle_update(&mut self, now: Instant, id: ConnId, update: &Update<'_>) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (Some(source), Some(peer), ConnState::Session(session)) = (conn.source, conn.peer, &conn.state)
        else {
            return;
        };
        let Some(negotiated) = session.negotiated() else { return };
        if let Some(family) = update.end_of_rib() {
            let event = Event::EndOfRib { peer, family };
            // A peer that repeats itself crowds nobody out.
            if self.events.back() != Some(&event) {
                self.event(event);
            }
            return;
        }
        let context = LearnContext {
            attributes: AttributeContext { four_octet_as: negotiated.four_octet_as, kind: negotiated.kind },
            families: &negotiated.families,
        };
        match self.rib.learn(source, update, context) {
            Ok(report) => {
                if let Some(fault) = report.fault {
                    self.event(Event::MalformedUpdates { peer, count: 1, fault });
                }
                if report.full {
                    self.end_session(now, id, cease(subcode::RESOURCES));
                } else if let Some((family, limit)) = self.over_limit(id) {
                    self.end_session(now, id, prefix_limit(family, limit));
                }
            }
            Err(error) => {
                let Some(session) = self.session_mut(id) else { return };
                let outcome = session.fail(&error);
                self.handle_outcome(now, id, outcome);
            }
        }
    }

    /// The family in which a session has announced more prefixes than it may, and the limit.
    pub(super) fn over_limit(&self, id: ConnId) -> Option<(Family, u32)> {
        let conn = self.conns.get(&id)?;
        let peer = self.peers.get(&conn.peer?)?;
        let limit = peer.config.prefix_limit.unwrap_or_else(|| self.limits().prefixes_per_neighbor);
        let family = self.rib.over_limit(conn.source?, limit)?;
        Some((family, limit))
    }

    fn handle_refresh(&mut self, id: ConnId, refresh: &RouteRefresh) {
        // Begin and end markers (RFC 7313) come only to who offered to understand them.
        let Some(source) = self.conns.get(&id).and_then(|conn| conn.source) else { return };
        let negotiated = self
            .session(id)
            .and_then(Session::negotiated)
            .is_some_and(|it| it.families.contains(&refresh.family));
        if refresh.subtype == 0 && negotiated && !self.held {
            self.rib.refresh(source, refresh.family);
        }
    }

    /// The next octets to write to a connection: whole messages, at most `limit` octets where one
    /// message is not longer. `None`: nothing for now; [`Action::Writable`] says when there is.
    #[must_use]
    pub fn poll_transmit(&mut self, now: Instant, conn: ConnId, limit: usize) -> Option<Bytes> {
        let it = self.conns.get_mut(&conn)?;
        let source = it.source;
        let session = match &mut it.state {
            ConnState::Connecting => return None,
            ConnState::Draining(octets) => {
                if octets.is_empty() {
                    self.conns.remove(&conn);
                    return None;
                }
                return Some(Bytes::from(core::mem::take(octets)));
            }
            ConnState::Session(session) => session,
        };
        if session.has_control() {
            session.writing(now);
            let octets = Bytes::from(session.take_control());
            self.schedule_conn(conn);
            return Some(octets);
        }
        if let Some(octets) = source.and_then(|source| self.poll_routes(conn, source, limit)) {
            let updates = count_messages(&octets);
            if let Some(session) = self.session_mut(conn) {
                session.sent.updates += updates;
                session.writing(now);
            }
            self.schedule_conn(conn);
            return Some(octets);
        }
        if let Some(session) = self.session_mut(conn) {
            session.written();
        }
        if let Some(it) = self.conns.get_mut(&conn) {
            it.signalled = false;
        }
        self.latest = now;
        self.wake_all();
        None
    }

    fn poll_routes(&mut self, conn: ConnId, source: u16, limit: usize) -> Option<Bytes> {
        let families = match self.session(conn)?.state() {
            SessionState::Established(negotiated) => {
                smallvec::SmallVec::<[Family; 4]>::from_slice(&negotiated.families)
            }
            _ => return None,
        };
        families.into_iter().find_map(|family| match self.rib.poll(source, family, limit) {
            Outbound::Octets(octets) => Some(octets),
            Outbound::EndOfRib => {
                self.restarted = true;
                Some(end_of_rib(family))
            }
            Outbound::Idle => None,
        })
    }

    /// Tells the runtime that a connection has something to transmit, once until it has taken it.
    pub(super) fn wake(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let ConnState::Session(session) = &mut conn.state else { return };
        if conn.signalled {
            return;
        }
        conn.signalled = true;
        session.writing(now);
        self.actions.push_back(Action::Writable(id));
        self.schedule_conn(id);
    }

    /// Tells the runtime of every connection that the table has something for.
    pub(super) fn wake_all(&mut self) {
        for source in self.rib.take_woken() {
            if let Some(&conn) = self.sources.get(&source) {
                self.wake(self.latest, conn);
            }
        }
    }

    /// The same where nobody says what time it is: the send hold time starts at the next look at the clock,
    /// which is due at once.
    pub(super) fn wake_all_undated(&mut self) {
        for source in self.rib.take_woken() {
            let Some(&id) = self.sources.get(&source) else { continue };
            let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.signalled) else { continue };
            conn.signalled = true;
            self.actions.push_back(Action::Writable(id));
            self.look_again(id);
        }
    }

    /// Negotiated facts of a connection.
    pub(super) fn negotiated(&self, id: ConnId) -> Option<&Negotiated> {
        self.session(id)?.negotiated()
    }
}

/// How long the message is whose beginning is in `tail`: at least its header.
fn wanted(tail: &[u8]) -> usize {
    match tail.get(16..18) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN),
        _ => HEADER_LEN,
    }
}

/// The End-of-RIB marker of a family (RFC 4724 §2).
fn end_of_rib(family: Family) -> Bytes {
    let mut out = Vec::with_capacity(HEADER_LEN + 11);
    let start = begin_message(&mut out, MessageKind::Update);
    if family == Family::IPV4_UNICAST {
        out.extend_from_slice(&[0, 0, 0, 0]);
    } else {
        let [high, low] = family.afi.0.to_be_bytes();
        let mut attribute = Vec::new();
        attr::write(flag::OPTIONAL, code::MP_UNREACH_NLRI, &[high, low, family.safi.0], &mut attribute);
        out.extend_from_slice(&[0, 0, 0, attribute.len() as u8]);
        out.extend_from_slice(&attribute);
    }
    finish_message(&mut out, start);
    Bytes::from(out)
}

/// Whole messages in octets that this crate encoded.
fn count_messages(octets: &[u8]) -> u64 {
    let (mut count, mut at) = (0, 0);
    while let Some(&[high, low]) = octets.get(at + 16..at + 18) {
        at += usize::from(u16::from_be_bytes([high, low])).max(HEADER_LEN);
        count += 1;
    }
    count
}

/// Cease 6/1 with the family and the limit (RFC 4486 §4).
pub(super) fn prefix_limit(family: Family, limit: u32) -> Notification {
    let mut notification = cease(subcode::PREFIX_LIMIT);
    notification.data.extend_from_slice(&family.afi.0.to_be_bytes());
    notification.data.push(family.safi.0);
    notification.data.extend_from_slice(&limit.to_be_bytes());
    notification
}
