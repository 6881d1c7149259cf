//! What the speaker shows.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{ConnId, NeighborStatus, PeerId, PeerState, SessionInfo, Speaker};
use crate::{
    peer::{Peer, Transport},
    rib::Route,
    session::{Session, SessionState},
    wire::{Family, SessionKind},
};

impl Speaker {
    /// Every neighbour, in the order of their keys; ranges themselves are not among them.
    pub fn neighbors(&self) -> Vec<NeighborStatus> {
        self.keys
            .values()
            .filter_map(|id| self.peers.get(id))
            .filter(|peer| !matches!(peer.key, super::NeighborKey::Range(_)))
            .map(|peer| self.neighbor(peer))
            .collect()
    }

    /// What is announced to a peer in a family, in prefix order, with the attributes and next hop it is
    /// sent with. Routes still waiting to be sent are counted as sent.
    pub fn advertised(&self, peer: PeerId, family: Family) -> Vec<Route> {
        let source = self
            .peers
            .get(&peer)
            .and_then(|peer| peer.conns().find_map(|conn| self.conns.get(&conn)?.source));
        source.map(|source| self.rib.advertised(source, family)).unwrap_or_default()
    }

    fn neighbor(&self, peer: &Peer) -> NeighborStatus {
        let conns: Vec<ConnId> = peer.conns().collect();
        let furthest = conns.iter().copied().max_by_key(|&conn| self.conn_state(conn));
        let transport = match peer.transport {
            Transport::Idle { .. } => PeerState::Idle,
            Transport::Connect { .. } => PeerState::Connect,
            Transport::Active { .. } => PeerState::Active,
        };
        let state = furthest.and_then(|conn| self.conn_state(conn)).unwrap_or(transport);
        let established = furthest.filter(|_| state == PeerState::Established);
        let source = established.and_then(|conn| self.conns.get(&conn)?.source);
        let session = established.and_then(|conn| self.session_info(conn));
        let routes: BTreeMap<Family, _> = session
            .iter()
            .flat_map(|session| &session.families)
            .filter_map(|&family| Some((family, self.rib.counts(source?, family))))
            .collect();
        let external = established
            .and_then(|conn| self.negotiated(conn))
            .is_some_and(|it| it.kind == SessionKind::External);
        let (mut received, mut sent) = (peer.received, peer.sent);
        for session in conns.iter().filter_map(|&conn| self.session(conn)) {
            received.add(&session.received);
            sent.add(&session.sent);
        }
        NeighborStatus {
            peer: peer.id,
            key: peer.key.clone(),
            address: peer.address(),
            state,
            shutdown: peer.config.shutdown,
            policy_missing: external && (peer.config.import.is_none() || peer.config.export.is_none()),
            session,
            since: peer.since,
            received,
            sent,
            routes,
            established: peer.established,
            dropped: peer.dropped,
            last_reset: peer.last_reset.clone(),
            last_error: peer.last_error.clone(),
        }
    }

    fn conn_state(&self, conn: ConnId) -> Option<PeerState> {
        match self.session(conn)?.state() {
            SessionState::OpenSent => Some(PeerState::OpenSent),
            SessionState::OpenConfirm { .. } => Some(PeerState::OpenConfirm),
            SessionState::Established(_) => Some(PeerState::Established),
            SessionState::Closed => None,
        }
    }

    fn session_info(&self, id: ConnId) -> Option<SessionInfo> {
        let conn = self.conns.get(&id)?;
        let session: &Session = self.session(id)?;
        let negotiated = session.negotiated()?;
        Some(SessionInfo {
            local: conn.local?,
            remote: conn.remote,
            remote_as: negotiated.asn,
            remote_router_id: negotiated.router_id,
            remote_hostname: negotiated.hostname.clone(),
            remote_capabilities: negotiated.capabilities.clone(),
            local_capabilities: session.config().capabilities(),
            hold_time: negotiated.hold,
            keepalive: negotiated.keepalive,
            families: negotiated.families.clone(),
        })
    }
}
