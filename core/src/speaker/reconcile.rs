//! From what runs to what is desired: the plan, and carrying it out.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Change, ConnId, Cost, Desired, DownReason, Faults, Neighbor, NeighborKey, Origination, PeerId, Plan,
    SourceId, Speaker,
    connect::{cease, cease_with_text, subcode},
    transfer::prefix_limit,
};
use crate::{
    peer::{Peer, Transport},
    rib::Filter,
    session::Session,
    time::Instant,
};

impl Speaker {
    /// What [`Speaker::reconcile`] would do, or every fault of `desired`.
    pub fn plan(&self, desired: &Desired) -> Result<Plan, Faults> {
        desired.check()?;
        Ok(self.difference(desired))
    }

    fn difference(&self, desired: &Desired) -> Plan {
        let mut changes = Vec::new();
        let none = BTreeMap::new();
        let no_routes = BTreeMap::new();
        let known = self.desired.as_ref();
        let (neighbors, routes) =
            known.map_or((&none, &no_routes), |known| (&known.neighbors, &known.originate));
        if let Some(known) = known {
            let identity = |it: &Desired| (it.asn, it.router_id, it.cluster_id);
            if identity(known) != identity(desired) {
                changes.push(Change::Instance);
            }
            if known.hostname != desired.hostname || known.limits != desired.limits {
                changes.push(Change::Settings);
            }
        } else {
            changes.push(Change::Instance);
        }
        let keys: BTreeSet<&NeighborKey> = neighbors.keys().chain(desired.neighbors.keys()).collect();
        for key in keys {
            match (neighbors.get(key), desired.neighbors.get(key)) {
                (None, Some(_)) => changes.push(Change::AddNeighbor(key.clone())),
                (Some(_), None) => changes.push(Change::RemoveNeighbor(key.clone())),
                (Some(old), Some(new)) if old != new => {
                    let fields = differing(old, new);
                    let cost = fields.iter().map(|(_, cost)| *cost).max().unwrap_or(Cost::None);
                    let fields = fields.into_iter().map(|(field, _)| field).collect();
                    changes.push(Change::UpdateNeighbor { key: key.clone(), fields, cost });
                }
                _ => {}
            }
        }
        let withdrawn = routes.keys().filter(|prefix| !desired.originate.contains_key(*prefix));
        changes.extend(withdrawn.map(|prefix| Change::Withdraw(*prefix)));
        let originated =
            desired.originate.iter().filter(|(prefix, attributes)| routes.get(*prefix) != Some(*attributes));
        changes.extend(originated.map(|(prefix, _)| Change::Originate(*prefix)));
        Plan { changes }
    }

    /// Makes the speaker what `desired` says. With faults, nothing changes.
    pub fn reconcile(&mut self, now: Instant, desired: &Desired) -> Result<Plan, Faults> {
        self.latest = now;
        let plan = self.plan(desired)?;
        if plan.is_empty() {
            return Ok(plan);
        }
        let restart = core::mem::take(&mut self.stopped);
        let old = self.desired.replace(desired.clone());
        if plan.changes.contains(&Change::Instance) {
            self.become_instance(now, desired);
            if old.is_some() {
                self.restart(now);
            }
        }
        self.rib.set_retained_octets(desired.limits.retained_octets);
        // Routes first, so that a session that comes up has them all.
        for change in &plan.changes {
            match change {
                Change::Withdraw(prefix) => self.rib.withdraw(SourceId::CONFIG, *prefix),
                Change::Originate(prefix) => {
                    if let Some(attributes) = desired.originate.get(prefix) {
                        let route = Origination { prefix: *prefix, attributes: attributes.clone() };
                        self.rib.originate(SourceId::CONFIG, &route);
                    }
                }
                _ => {}
            }
        }
        for change in &plan.changes {
            match change {
                Change::AddNeighbor(key) => self.add_neighbor(now, key, desired),
                Change::RemoveNeighbor(key) => self.remove_neighbor(now, key),
                Change::UpdateNeighbor { key, fields, cost } => {
                    if let Some(neighbor) = desired.neighbors.get(key) {
                        self.update_neighbor(now, key, neighbor, fields, *cost);
                    }
                }
                _ => {}
            }
        }
        if restart {
            self.restart(now);
        }
        self.wake_all();
        Ok(plan)
    }

    /// The speaker is somebody else now: every session ends, for its OPEN said who it was.
    fn become_instance(&mut self, now: Instant, desired: &Desired) {
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.end_all(now, id, &cease(subcode::CONFIGURATION));
        }
        // Routes are judged by who the speaker is, so those that were learned have to go first.
        while self.rib.work(usize::MAX) {}
        self.rib.set_identity(
            desired.asn,
            desired.router_id,
            desired.cluster_id.unwrap_or(desired.router_id),
        );
    }

    fn restart(&mut self, now: Instant) {
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            let idle = self.peers.get(&id).is_some_and(|peer| {
                matches!(peer.transport, Transport::Idle { .. }) && peer.conns().next().is_none()
            });
            if idle {
                self.start(now, id);
            }
        }
    }

    fn add_neighbor(&mut self, now: Instant, key: &NeighborKey, desired: &Desired) {
        let Some(neighbor) = desired.neighbors.get(key) else { return };
        // An address that a range let in becomes a neighbour of its own.
        self.remove_neighbor(now, key);
        let id = self.add_peer(key.clone(), neighbor.clone());
        self.start(now, id);
    }

    fn remove_neighbor(&mut self, now: Instant, key: &NeighborKey) {
        let Some(&id) = self.keys.get(key) else { return };
        let dynamic: Vec<PeerId> =
            self.peers.values().filter(|peer| peer.range.as_ref() == Some(key)).map(|peer| peer.id).collect();
        for id in dynamic.into_iter().chain([id]) {
            self.end_all(now, id, &cease(subcode::DECONFIGURED));
            self.remove_peer(id);
        }
    }

    fn update_neighbor(
        &mut self,
        now: Instant,
        key: &NeighborKey,
        neighbor: &Neighbor,
        fields: &[&'static str],
        cost: Cost,
    ) {
        let Some(&id) = self.keys.get(key) else { return };
        let members: Vec<PeerId> = self
            .peers
            .values()
            .filter(|peer| peer.id == id || peer.range.as_ref() == Some(key))
            .map(|peer| peer.id)
            .collect();
        for id in members {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.config = neighbor.clone();
            }
            match cost {
                Cost::Reset => {
                    let subcode = if neighbor.shutdown { subcode::SHUTDOWN } else { subcode::CONFIGURATION };
                    self.end_all(now, id, &cease(subcode));
                    if self.peers.contains_key(&id) {
                        self.start(now, id);
                    }
                }
                Cost::Refresh => self.reevaluate(id, fields),
                Cost::None => {}
            }
            if cost < Cost::Reset {
                if fields.contains(&"passive") {
                    self.dial_again(now, id);
                }
                if fields.contains(&"prefix_limit") {
                    self.enforce_limit(now, id);
                }
            }
        }
    }

    /// Policy changed: routes are evaluated again, both ways.
    fn reevaluate(&mut self, id: PeerId, fields: &[&'static str]) {
        let Some(peer) = self.peers.get(&id) else { return };
        let (rr_client, enforce) = (peer.config.route_reflector_client, peer.config.enforce_first_as);
        let import = peer.config.import.clone();
        let conns: Vec<ConnId> = peer.conns().filter(|&conn| self.is_established(conn)).collect();
        for conn in conns {
            let Some(source) = self.conns.get(&conn).and_then(|conn| conn.source) else { continue };
            let Some(kind) = self.negotiated(conn).map(|it| it.kind) else { continue };
            let inbound = ["import", "route_reflector_client", "enforce_first_as"];
            if fields.iter().any(|field| inbound.contains(field)) {
                let external = kind == crate::wire::SessionKind::External;
                let filter = Filter::new(import.as_ref(), kind);
                self.rib.set_import(source, filter, rr_client, enforce && external);
            }
            let outbound = ["export", "next_hop", "route_reflector_client", "default_originate"];
            if fields.iter().any(|field| outbound.contains(field)) {
                self.join(conn);
            }
        }
    }

    /// A lower prefix limit holds for what was announced already.
    fn enforce_limit(&mut self, now: Instant, id: PeerId) {
        let conns: Vec<ConnId> = self.peers.get(&id).into_iter().flat_map(Peer::conns).collect();
        for conn in conns {
            if let Some((family, limit)) = self.over_limit(conn) {
                self.end_session(now, conn, prefix_limit(family, limit));
            }
        }
    }

    /// Ends the hold: until now nothing is announced and no End-of-RIB is sent, so that the sources of
    /// routes can become complete first. The first End-of-RIB of each family follows what is originated by
    /// now, so that a neighbour with graceful restart drops what it has and this speaker no longer
    /// announces, and nothing else. No neighbour's End-of-RIB is waited for (RFC 4724 §4.1 would have a
    /// restarting speaker wait): what is originated here does not depend on what neighbours say, and one
    /// that never sends it must not keep routes away from the others.
    pub fn release(&mut self, now: Instant) {
        self.latest = now;
        if !core::mem::take(&mut self.held) {
            return;
        }
        let conns: Vec<ConnId> = self.sources.values().copied().collect();
        for conn in conns {
            self.join(conn);
            self.wake(now, conn);
        }
        self.wake_all();
    }

    /// Ends all sessions with Cease 6/2 and starts none until the next [`Speaker::reconcile`] that
    /// changes something. `text` is sent as the reason (RFC 9003). No neighbour keeps a route: one that
    /// would over a NOTIFICATION gets a Hard Reset (RFC 8538).
    pub fn shutdown(&mut self, now: Instant, text: &str) {
        let notification = cease_with_text(subcode::SHUTDOWN, text);
        self.stop(now, |session| session.close_hard(notification.clone()));
    }

    /// [`Speaker::shutdown`], but neighbours that agreed to graceful restart are left without a word and
    /// keep their routes for its restart time: for a process that is about to be started again
    /// (RFC 4724 §4). The others get Cease 6/2 with `text`, for they keep nothing anyway.
    pub fn shutdown_for_restart(&mut self, now: Instant, text: &str) {
        let notification = cease_with_text(subcode::SHUTDOWN, text);
        self.stop(now, |session| session.leave().or_else(|| session.close_hard(notification.clone())));
    }

    fn stop(&mut self, now: Instant, end: impl Fn(&mut Session) -> Option<DownReason>) {
        self.latest = now;
        self.stopped = true;
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.end_each(now, id, &end);
            self.start(now, id);
        }
        self.wake_all();
    }
}

/// The fields in which two neighbours differ, and what each costs a live session.
fn differing(old: &Neighbor, new: &Neighbor) -> Vec<(&'static str, Cost)> {
    let timers = (&old.timers, &new.timers);
    let agreed = (timers.0.hold, timers.0.keepalive) == (timers.1.hold, timers.1.keepalive);
    let all = [
        ("asn", old.asn == new.asn, Cost::Reset),
        ("description", old.description == new.description, Cost::None),
        ("peer_group", old.peer_group == new.peer_group, Cost::None),
        ("shutdown", old.shutdown == new.shutdown, Cost::Reset),
        ("passive", old.passive == new.passive, Cost::None),
        ("port", old.port == new.port, Cost::Reset),
        ("local_address", old.local_address == new.local_address, Cost::Reset),
        ("socket", old.socket == new.socket, Cost::None),
        ("timers", agreed, Cost::Reset),
        ("timers", !agreed || old.timers == new.timers, Cost::None),
        ("families", old.families == new.families, Cost::Reset),
        ("extended_next_hop", old.extended_next_hop == new.extended_next_hop, Cost::Reset),
        ("graceful_restart", old.graceful_restart == new.graceful_restart, Cost::Reset),
        ("import", old.import == new.import, Cost::Refresh),
        ("export", old.export == new.export, Cost::Refresh),
        ("next_hop", old.next_hop == new.next_hop, Cost::Refresh),
        ("route_reflector_client", old.route_reflector_client == new.route_reflector_client, Cost::Refresh),
        ("default_originate", old.default_originate == new.default_originate, Cost::Refresh),
        ("prefix_limit", old.prefix_limit == new.prefix_limit, Cost::None),
        ("enforce_first_as", old.enforce_first_as == new.enforce_first_as, Cost::Refresh),
    ];
    all.into_iter().filter(|(_, same, _)| !same).map(|(field, _, cost)| (field, cost)).collect()
}
