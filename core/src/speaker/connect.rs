//! Connections: opened, accepted, established, ended (RFC 4271 §8.2.2, §6.8, RFC 8538 §5).

use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use smallvec::SmallVec;

use super::{
    Action, CloseReason, Conn, ConnId, ConnState, ConnectTarget, DownReason, Event, NeighborKey, PeerId,
    Speaker,
};
use crate::{
    peer::{Peer, Role, Transport, survivor},
    rib::{Filter, GroupKey, Source},
    session::{Negotiated, RestartOffer, Session, SessionConfig, SessionState},
    time::{Instant, jittered},
    wire::{Asn, Family, MAX_EXTENDED_LEN, MAX_LEN, Notification, RouterId, SessionKind},
};

/// Cease subcodes (RFC 4486).
pub(super) mod subcode {
    pub(in crate::speaker) const PREFIX_LIMIT: u8 = 1;
    pub(in crate::speaker) const SHUTDOWN: u8 = 2;
    pub(in crate::speaker) const DECONFIGURED: u8 = 3;
    pub(in crate::speaker) const RESET: u8 = 4;
    pub(in crate::speaker) const REJECTED: u8 = 5;
    pub(in crate::speaker) const CONFIGURATION: u8 = 6;
    pub(in crate::speaker) const COLLISION: u8 = 7;
    pub(in crate::speaker) const RESOURCES: u8 = 8;
}

pub(super) const fn cease(subcode: u8) -> Notification {
    Notification::new(6, subcode)
}

/// Whether the peer would not have the connection, whatever was to be said on it.
fn is_rejection(notification: &Notification) -> bool {
    notification.code == 6 && matches!(notification.subcode, subcode::REJECTED | subcode::COLLISION)
}

/// What becomes of the routes that a peer with graceful restart has, when a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer keeps them for a while, if it agreed to that.
    Graceful,
    /// The peer forgets them at once.
    Hard,
}

impl Ending {
    /// What RFC 8538 §5.1 suggests: whatever is to last is a Hard Reset. 6/4 is the caller's choice.
    fn of(notification: &Notification) -> Self {
        match (notification.code, notification.subcode) {
            (6, subcode::PREFIX_LIMIT | subcode::SHUTDOWN | subcode::DECONFIGURED) => Self::Hard,
            _ => Self::Graceful,
        }
    }

    fn close(self, session: &mut Session, notification: Notification) -> Option<DownReason> {
        match self {
            Self::Graceful => session.close(notification),
            Self::Hard => session.close_hard(notification),
        }
    }
}

/// A Cease with a text for the other operator (RFC 9003).
pub(super) fn cease_with_text(subcode: u8, text: &str) -> Notification {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut data = Vec::new();
    if end > 0 {
        data.push(end as u8);
        data.extend_from_slice(text.as_bytes().get(..end).unwrap_or_default());
    }
    Notification { data, ..cease(subcode) }
}

impl Speaker {
    /// Lets a peer try, if it may.
    pub(super) fn start(&mut self, now: Instant, id: PeerId) {
        let stopped = self.stopped;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let pattern = matches!(peer.key, NeighborKey::Range(_));
        if peer.config.shutdown || stopped || pattern {
            peer.transport = Transport::Idle { until: None };
            self.schedule_peer(id);
        } else if !peer.dials() || peer.address().is_none() {
            peer.transport = Transport::Active { retry: None };
            self.schedule_peer(id);
        } else {
            self.connect(now, id);
        }
    }

    /// Opens a connection, unless the peer has one.
    pub(super) fn connect(&mut self, now: Instant, id: PeerId) {
        let jitter = self.random16();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let retry = now + jittered(peer.config.timers.connect_retry, jitter);
        let (Some(address), true, None) = (peer.address(), peer.dials(), peer.conns().next()) else {
            peer.transport = Transport::Active { retry: None };
            self.schedule_peer(id);
            return;
        };
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        let remote = SocketAddr::new(address, peer.config.port);
        peer.transport = Transport::Connect { conn, retry };
        let target = ConnectTarget {
            remote,
            local: peer.config.local_address,
            interface: peer.interface().map(ToString::to_string),
            socket: peer.config.socket.clone(),
        };
        self.conns.insert(conn, Conn::new(Some(id), Role::Outgoing, ConnState::Connecting, remote, None));
        self.actions.push_back(Action::Connect { conn, peer: id, target });
        self.schedule_peer(id);
    }

    /// Gives up a connection that is being opened.
    pub(super) fn give_up(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.remove(&id) {
            self.timers.remove_conn(id, conn.scheduled);
            self.actions.push_back(Action::Close(id));
        }
    }

    /// The runtime accepted a connection. `interface`: the one it came in on, for link-local addresses.
    /// A connection that nobody is configured for is refused by `poll_transmit` and
    /// [`Action::Close`].
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        local: SocketAddr,
        interface: Option<&str>,
    ) -> ConnId {
        let id = ConnId(self.next_conn);
        self.next_conn += 1;
        match self.admit(remote, local, interface) {
            Ok((peer, earlier)) => {
                self.open_session(now, id, peer, Role::Incoming, remote, local);
                // The peer has the new connection by now: a peer of a range stays.
                if let Some(earlier) = earlier {
                    self.end_session(now, earlier, cease(subcode::COLLISION));
                }
            }
            Err(notification) => self.refuse(id, remote, local, &notification),
        }
        id
    }

    /// Whose connection this is, if anybody's and if now, and which earlier one it takes the place of.
    fn admit(
        &mut self,
        remote: SocketAddr,
        local: SocketAddr,
        interface: Option<&str>,
    ) -> Result<(PeerId, Option<ConnId>), Notification> {
        let rejected = || cease(subcode::REJECTED);
        let id = self.match_peer(remote.ip(), local.ip(), interface).ok_or_else(rejected)?;
        let peer = self.peers.get(&id).ok_or_else(rejected)?;
        if peer.config.local_address.is_some_and(|address| address != local.ip()) {
            return Err(rejected());
        }
        if peer.config.socket.protects() && !self.protects_accepted {
            // Nobody has checked the key or the TTL of what was accepted.
            return Err(rejected());
        }
        if matches!(peer.transport, Transport::Idle { .. }) && peer.conns().next().is_none() {
            // RFC 4271 §8.2.2: Idle refuses all incoming connections.
            return Err(rejected());
        }
        if peer.conns().any(|conn| self.is_established(conn)) {
            return Err(cease(subcode::COLLISION));
        }
        // A peer that connects again has lost its first connection, unless that has got somewhere.
        let earlier = peer.slot(Role::Incoming);
        if earlier.and_then(|earlier| self.negotiated(earlier)).is_some() {
            return Err(cease(subcode::COLLISION));
        }
        Ok((id, earlier))
    }

    /// The neighbour that a remote address belongs to: by interface, by address, by range.
    fn match_peer(&mut self, remote: IpAddr, local: IpAddr, interface: Option<&str>) -> Option<PeerId> {
        let by_interface = interface
            .and_then(|name| self.keys.get(&NeighborKey::Interface(name.to_string())))
            .filter(|id| {
                let known = self.peers.get(id).and_then(|peer| peer.link_local);
                known.is_none_or(|known| IpAddr::V6(known) == remote)
            });
        if let Some(id) = by_interface.or_else(|| self.keys.get(&NeighborKey::Address(remote))) {
            return Some(*id);
        }
        let ranges = self.keys.iter().filter_map(|(key, id)| match key {
            NeighborKey::Range(range) if range.contains(&remote) => Some((range.prefix_len(), *id)),
            _ => None,
        });
        let (_, range) = ranges.max_by_key(|(len, _)| *len)?;
        self.create_dynamic(range, remote, local)
    }

    /// A peer for a connection that came out of a range.
    fn create_dynamic(&mut self, range: PeerId, remote: IpAddr, local: IpAddr) -> Option<PeerId> {
        let known = self.peers.values().filter(|peer| peer.range.is_some()).count();
        let pattern = self.peers.get(&range).filter(|peer| {
            !peer.config.shutdown && peer.config.local_address.is_none_or(|address| address == local)
        })?;
        if self.stopped || known >= self.limits().dynamic_peers {
            return None;
        }
        let (key, config) = (pattern.key.clone(), pattern.config.clone());
        let id = self.add_peer(NeighborKey::Address(remote), config);
        let peer = self.peers.get_mut(&id)?;
        peer.range = Some(key);
        peer.transport = Transport::Active { retry: None };
        Some(id)
    }

    pub(super) fn add_peer(&mut self, key: NeighborKey, config: super::Neighbor) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        self.keys.insert(key.clone(), id);
        let mut peer = Peer::new(id, key, config);
        peer.link_local = peer.interface().and_then(|name| self.links.get(name).copied());
        self.peers.insert(id, peer);
        id
    }

    fn refuse(&mut self, id: ConnId, remote: SocketAddr, local: SocketAddr, notification: &Notification) {
        let refusing = self.conns.values().filter(|conn| conn.peer.is_none()).count();
        let mut octets = Vec::new();
        if refusing < self.limits().refused_connections {
            notification.encode(&mut octets);
        }
        let mut conn = Conn::new(None, Role::Incoming, ConnState::Draining(octets), remote, Some(local));
        conn.signalled = true;
        self.conns.insert(id, conn);
        self.actions.push_back(Action::Close(id));
        self.event(Event::Refused { remote });
    }

    /// A connection that [`Action::Connect`] asked for is open.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId, local: SocketAddr) {
        self.latest = now;
        let connecting = self
            .conns
            .get(&conn)
            .filter(|it| matches!(it.state, ConnState::Connecting))
            .and_then(|it| Some((it.peer?, it.remote)));
        let Some((peer, remote)) = connecting else {
            self.late_inputs += 1;
            return;
        };
        if let Some(it) = self.peers.get_mut(&peer) {
            it.transport = Transport::Active { retry: None };
        }
        self.schedule_peer(peer);
        self.open_session(now, conn, peer, Role::Outgoing, remote, local);
    }

    fn open_session(
        &mut self,
        now: Instant,
        id: ConnId,
        peer: PeerId,
        role: Role,
        remote: SocketAddr,
        local: SocketAddr,
    ) {
        let Some(config) = self.session_config(peer) else {
            return self.refuse(id, remote, local, &cease(subcode::REJECTED));
        };
        let session = Session::new(now, config);
        let state = ConnState::Session(Box::new(session));
        self.conns.insert(id, Conn::new(Some(peer), role, state, remote, Some(local)));
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.set_slot(role, Some(id));
        }
        self.schedule_conn(id);
        self.wake(now, id);
    }

    fn session_config(&self, peer: PeerId) -> Option<SessionConfig> {
        let desired = self.desired.as_ref()?;
        let peer = self.peers.get(&peer)?;
        let config = &peer.config;
        Some(SessionConfig {
            asn: desired.asn,
            router_id: desired.router_id,
            peer_as: config.asn,
            hold: config.timers.hold,
            keepalive: config.timers.keepalive,
            open: config.timers.open,
            send_hold: config.timers.send_hold,
            families: config.families.iter().copied().collect(),
            extended_next_hop: config.extended_next_hop || peer.interface().is_some(),
            graceful_restart: config.graceful_restart.map(|restart| RestartOffer {
                restart_time: restart.restart_time,
                restarting: !self.restarted && peer.established == 0,
                forwarding_kept: self.forwarding_kept,
            }),
            hostname: desired.hostname.clone(),
        })
    }

    pub(super) fn session(&self, id: ConnId) -> Option<&Session> {
        match &self.conns.get(&id)?.state {
            ConnState::Session(session) => Some(session),
            ConnState::Connecting | ConnState::Draining(_) => None,
        }
    }

    pub(super) fn session_mut(&mut self, id: ConnId) -> Option<&mut Session> {
        match &mut self.conns.get_mut(&id)?.state {
            ConnState::Session(session) => Some(session),
            ConnState::Connecting | ConnState::Draining(_) => None,
        }
    }

    pub(super) fn is_established(&self, id: ConnId) -> bool {
        self.session(id).is_some_and(|session| matches!(session.state(), SessionState::Established(_)))
    }

    /// Whether a connection waits in OpenConfirm for nothing but another one.
    pub(super) fn is_confirmed(&self, id: ConnId) -> bool {
        self.session(id).is_some_and(|session| {
            matches!(session.state(), SessionState::OpenConfirm { confirmed: true, .. })
        })
    }

    /// Which of a peer's two connections is to survive, by what one OPEN said.
    fn survivor(&self, negotiated: &Negotiated) -> Role {
        let local = self.desired.as_ref().map_or((RouterId(0), Asn(0)), |it| (it.router_id, it.asn));
        survivor(local, (negotiated.router_id, negotiated.asn))
    }

    /// A connection's OPEN came: the moment at which a collision is detected (RFC 4271 §6.8).
    pub(super) fn opened(&mut self, now: Instant, id: ConnId) {
        let Some((role, other)) = self.rival(id) else { return };
        let (Some(negotiated), Some(rival)) =
            (self.session(id).and_then(Session::negotiated), other.and_then(|other| self.session(other)))
        else {
            return;
        };
        let Some(other) = other else { return };
        let survives = self.survivor(negotiated) == role;
        match rival.state() {
            SessionState::Established(_) => self.end_session(now, id, cease(subcode::COLLISION)),
            _ if survives => self.end_session(now, other, cease(subcode::COLLISION)),
            SessionState::OpenConfirm { .. } => self.end_session(now, id, cease(subcode::COLLISION)),
            // The other one is to survive, if it comes up: this one waits for that in OpenConfirm.
            SessionState::OpenSent | SessionState::Closed => {}
        }
    }

    /// A connection is ready to be established, unless one that is to survive may still come up.
    pub(super) fn confirmed(&mut self, now: Instant, id: ConnId) {
        let Some((role, other)) = self.rival(id) else { return };
        let Some(negotiated) = self.session(id).and_then(Session::negotiated) else { return };
        let waits = self.survivor(negotiated) != role;
        let hold = negotiated.hold;
        if waits
            && let Some(rival) = other.and_then(|other| self.session_mut(other))
            && *rival.state() == SessionState::OpenSent
        {
            if !hold.is_zero() {
                rival.expect_open_by(now + hold);
            }
            if let Some(other) = other {
                self.schedule_conn(other);
            }
            return;
        }
        self.establish(now, id);
    }

    /// A connection's role, and its peer's other connection.
    fn rival(&self, id: ConnId) -> Option<(Role, Option<ConnId>)> {
        let conn = self.conns.get(&id)?;
        let peer = self.peers.get(&conn.peer?)?;
        Some((conn.role, peer.slot(conn.role.other())))
    }

    pub(super) fn establish(&mut self, now: Instant, id: ConnId) {
        let Some(peer_id) = self.conns.get(&id).and_then(|conn| conn.peer) else { return };
        if !self.session_mut(id).is_some_and(Session::establish) {
            return;
        }
        if let Some((_, Some(other))) = self.rival(id) {
            self.end_session(now, other, cease(subcode::COLLISION));
        }
        if let Some(Transport::Connect { conn, .. }) = self.peers.get(&peer_id).map(|peer| peer.transport) {
            self.give_up(conn);
        }
        let Some(source) = self.source(id, peer_id) else { return };
        let (key, asn, router_id) = (source.key.clone(), source.asn, source.router_id);
        let Some(index) = self.rib.open(source) else {
            self.end_session(now, id, cease(subcode::RESOURCES));
            return;
        };
        self.sources.insert(index, id);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.source = Some(index);
        }
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.transport = Transport::Active { retry: None };
            peer.since = Some(now);
            peer.established += 1;
        }
        self.schedule_peer(peer_id);
        self.event(Event::PeerUp { peer: peer_id, key, asn, router_id });
        self.join(id);
        self.wake(now, id);
        self.schedule_conn(id);
    }

    /// What the table has to know of a session.
    fn source(&self, id: ConnId, peer: PeerId) -> Option<Source> {
        let negotiated = self.session(id)?.negotiated()?;
        let (conn, peer) = (self.conns.get(&id)?, self.peers.get(&peer)?);
        Some(Source {
            peer: peer.id,
            key: peer.key.clone(),
            address: conn.remote.ip(),
            interface: peer.interface().map(ToString::to_string),
            asn: negotiated.asn,
            kind: negotiated.kind,
            router_id: negotiated.router_id,
            hostname: negotiated.hostname.clone(),
            rr_client: peer.config.route_reflector_client,
            enforce_first_as: peer.config.enforce_first_as && negotiated.kind == SessionKind::External,
            import: Filter::new(peer.config.import.as_ref(), negotiated.kind),
            counts: alloc::collections::BTreeMap::new(),
            gone: false,
        })
    }

    /// Lets an established session follow the table, by what its peer's configuration says now.
    pub(super) fn join(&mut self, id: ConnId) {
        if self.held {
            return;
        }
        let Some(conn) = self.conns.get(&id) else { return };
        let (Some(source), Some(local), Some(peer)) = (conn.source, conn.local, conn.peer) else { return };
        let Some(peer) = self.peers.get(&peer) else { return };
        let Some(negotiated) = self.session(id).and_then(Session::negotiated) else { return };
        let groups: Vec<(GroupKey, SmallVec<[u8; 32]>)> = negotiated
            .families
            .iter()
            .map(|&family| {
                let slot = own_next_hop(family, local.ip(), negotiated.extended_next_hop);
                let key = GroupKey {
                    family,
                    kind: negotiated.kind,
                    four_octet_as: negotiated.four_octet_as,
                    max_len: if negotiated.extended_message { MAX_EXTENDED_LEN } else { MAX_LEN },
                    rr_client: peer.config.route_reflector_client,
                    next_hop: peer.config.next_hop,
                    slot_len: slot.len(),
                    extended_next_hop: negotiated.extended_next_hop,
                    default_originate: peer.config.default_originate.contains(&family),
                    filter: Filter::new(peer.config.export.as_ref(), negotiated.kind),
                };
                (key, slot)
            })
            .collect();
        for (key, slot) in groups {
            self.rib.join(source, key, slot);
        }
        self.wake_all();
    }

    /// Ends a session with a NOTIFICATION.
    pub(super) fn end_session(&mut self, now: Instant, id: ConnId, notification: Notification) {
        let ending = Ending::of(&notification);
        if let Some(reason) = self.session_mut(id).and_then(|session| ending.close(session, notification)) {
            self.session_down(now, id, reason);
        }
    }

    /// A session is over: what it still has to say is sent, its routes go, and its peer goes on.
    pub(super) fn session_down(&mut self, now: Instant, id: ConnId, reason: DownReason) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let state = core::mem::replace(&mut conn.state, ConnState::Draining(Vec::new()));
        let ConnState::Session(mut session) = state else { return };
        // A closed session does not know any more how far it was; its counters do.
        let opened = session.received.opens > 0;
        let (peer_id, role, source) = (conn.peer, conn.role, conn.source.take());
        let scheduled = conn.scheduled.take();
        self.timers.remove_conn(id, scheduled);
        if matches!(reason, DownReason::Transport(_)) {
            self.conns.remove(&id);
        } else {
            conn.state = ConnState::Draining(session.take_control());
            conn.tail = Vec::new();
            conn.signalled = true;
            self.actions.push_back(Action::Close(id));
        }
        if let Some(source) = source {
            self.sources.remove(&source);
            self.rib.close(source);
        }
        let Some(peer_id) = peer_id else { return };
        let jitter = self.random16();
        let Some(peer) = self.peers.get_mut(&peer_id) else { return };
        if peer.slot(role) == Some(id) {
            peer.set_slot(role, None);
        }
        peer.received.add(&session.received);
        peer.sent.add(&session.sent);
        peer.last_error = Some(reason.clone());
        let key = peer.key.clone();
        if source.is_some() {
            peer.dropped += 1;
            peer.since = Some(now);
            peer.last_reset = Some(reason.clone());
        }
        let others: Vec<ConnId> = peer.conns().collect();
        if others.is_empty() && !matches!(peer.transport, Transport::Connect { .. }) {
            let timers = &peer.config.timers;
            let retry = match &reason {
                _ if source.is_some() => None,
                // RFC 4271 §8.2.2, OpenSent, Event 18.
                DownReason::Transport(_) if !opened => Some(now + jittered(timers.connect_retry, jitter)),
                // A peer that refuses may only be waiting itself. Where both ends connect and both were to
                // refuse the other while they wait, they could miss each other for ever.
                DownReason::Received(notification) if is_rejection(notification) => {
                    Some(now + jittered(timers.idle_hold, jitter))
                }
                _ => None,
            };
            peer.transport = match retry {
                Some(retry) => Transport::Active { retry: peer.dials().then_some(retry) },
                None => Transport::Idle { until: Some(now + jittered(timers.idle_hold, jitter)) },
            };
        }
        let dynamic = peer.range.is_some();
        self.event(if source.is_some() {
            Event::PeerDown { peer: peer_id, key: key.clone(), reason }
        } else {
            Event::AttemptFailed { peer: peer_id, key: key.clone(), reason }
        });
        self.schedule_peer(peer_id);
        if others.is_empty() && dynamic {
            self.remove_peer(peer_id);
        }
        // The one that waited for this one need not any more.
        if let Some(waiting) = others.into_iter().find(|&conn| self.is_confirmed(conn)) {
            self.establish(now, waiting);
        }
    }

    /// Forgets a peer that has no connection.
    pub(super) fn remove_peer(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.remove(&id) {
            self.timers.remove_peer(id, peer.scheduled);
            self.keys.remove(&peer.key);
            if let Transport::Connect { conn, .. } = peer.transport {
                self.give_up(conn);
            }
        }
    }

    /// A connection is gone, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId, reason: CloseReason) {
        self.latest = now;
        // A connection that this end closed is forgotten as soon as its last octets are taken.
        let Some(it) = self.conns.get(&conn) else { return };
        let peer = it.peer;
        match it.state {
            ConnState::Session(_) => self.session_down(now, conn, DownReason::Transport(reason)),
            ConnState::Draining(_) => {
                self.conns.remove(&conn);
            }
            ConnState::Connecting => {
                self.conns.remove(&conn);
                let Some(peer) = peer.and_then(|peer| self.peers.get_mut(&peer)) else { return };
                let id = peer.id;
                // The retry timer goes on: RFC 4271 would go to Idle here and restart from there, which
                // comes to the same; to show Active and to accept meanwhile is what others do.
                if let Transport::Connect { retry, .. } = peer.transport {
                    peer.transport = Transport::Active { retry: Some(retry) };
                }
                peer.last_error = Some(DownReason::Transport(reason));
                let (key, rival) = (peer.key.clone(), peer.conns().next());
                if rival.is_some() {
                    peer.transport = Transport::Active { retry: None };
                }
                self.schedule_peer(id);
                let reason = DownReason::Transport(reason);
                self.event(Event::AttemptFailed { peer: id, key, reason });
            }
        }
        self.wake_all();
    }

    /// Who is on the other end of an interface, for [`NeighborKey::Interface`]; `None`: nobody any more.
    pub fn handle_neighbor(&mut self, now: Instant, interface: &str, link_local: Option<Ipv6Addr>) {
        match link_local {
            Some(address) => drop(self.links.insert(interface.to_string(), address)),
            None => drop(self.links.remove(interface)),
        }
        let Some(&id) = self.keys.get(&NeighborKey::Interface(interface.to_string())) else { return };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.link_local == link_local {
            return;
        }
        peer.link_local = link_local;
        // A session goes on until its own timers end it; what is being opened goes to the wrong address.
        self.dial_again(now, id);
    }

    /// Where or whether a peer dials is another question now: what is being opened is given up, and a peer
    /// without a connection starts again.
    pub(super) fn dial_again(&mut self, now: Instant, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Transport::Connect { conn, .. } = peer.transport {
            peer.transport = Transport::Active { retry: None };
            self.give_up(conn);
        }
        let waiting = self.peers.get(&id).is_some_and(|peer| {
            matches!(peer.transport, Transport::Active { .. }) && peer.conns().next().is_none()
        });
        if waiting {
            self.start(now, id);
        }
        self.schedule_peer(id);
    }

    /// Ends a neighbour's session with Cease 6/4 and starts it again. A neighbour that agreed to RFC 8538
    /// keeps its routes meanwhile.
    pub fn reset(&mut self, now: Instant, key: &NeighborKey) {
        self.reset_as(now, key, Ending::Graceful);
    }

    /// [`Speaker::reset`], and the neighbour keeps no route meanwhile: Cease 6/4 goes within a Hard Reset
    /// where it would (RFC 8538 §3).
    pub fn reset_hard(&mut self, now: Instant, key: &NeighborKey) {
        self.reset_as(now, key, Ending::Hard);
    }

    fn reset_as(&mut self, now: Instant, key: &NeighborKey, ending: Ending) {
        self.latest = now;
        let Some(&id) = self.keys.get(key) else { return };
        self.end_each(now, id, |session| ending.close(session, cease(subcode::RESET)));
        if self.peers.contains_key(&id) {
            self.start(now, id);
        }
        self.wake_all();
    }

    /// Ends all sessions of a peer with a NOTIFICATION, and what it is opening.
    pub(super) fn end_all(&mut self, now: Instant, id: PeerId, notification: &Notification) {
        let ending = Ending::of(notification);
        self.end_each(now, id, |session| ending.close(session, notification.clone()));
    }

    /// Ends all sessions of a peer in some way, and what it is opening.
    pub(super) fn end_each(
        &mut self,
        now: Instant,
        id: PeerId,
        end: impl Fn(&mut Session) -> Option<DownReason>,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if let Transport::Connect { conn, .. } = peer.transport {
            peer.transport = Transport::Idle { until: None };
            self.give_up(conn);
        }
        let Some(peer) = self.peers.get(&id) else { return };
        // First one that waits: the end of its rival would establish it.
        let mut conns: Vec<ConnId> = peer.conns().collect();
        conns.sort_by_key(|&conn| !self.is_confirmed(conn));
        for conn in conns {
            if let Some(reason) = self.session_mut(conn).and_then(&end) {
                self.session_down(now, conn, reason);
            }
        }
    }
}

impl Conn {
    fn new(
        peer: Option<PeerId>,
        role: Role,
        state: ConnState,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Self {
        Self {
            peer,
            role,
            state,
            remote,
            local,
            tail: Vec::new(),
            signalled: false,
            scheduled: None,
            source: None,
        }
    }
}

/// The octets of a session's own next hop in a family; none where its address cannot be one.
fn own_next_hop(family: Family, local: IpAddr, extended_next_hop: bool) -> SmallVec<[u8; 32]> {
    let mut octets = SmallVec::new();
    match (family, local) {
        (Family::IPV4_UNICAST, IpAddr::V4(address)) => octets.extend_from_slice(&address.octets()),
        (Family::IPV4_UNICAST, IpAddr::V6(_)) if !extended_next_hop => {}
        (_, IpAddr::V6(address)) => {
            octets.extend_from_slice(&address.octets());
            if address.is_unicast_link_local() {
                // RFC 2545 §3 wants a global address first; there is none: FRR and others repeat it.
                octets.extend_from_slice(&address.octets());
            }
        }
        (_, IpAddr::V4(_)) => {}
    }
    octets
}
