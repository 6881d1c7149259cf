//! The loop: what a runtime does for one speaker, for all of them, in virtual time.

use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use peerage_core::{
    speaker::{Action, CloseReason, ConnId, ConnectTarget, Event},
    time::Instant,
};

use super::{Kind, Segmentation, World};
use crate::{
    message,
    net::{End, NetEvent, PathState, Side, Tcp, TcpId},
    record::Half,
};

/// Steps in one moment after which the world is taken to go in circles.
const STEPS_IN_A_MOMENT: u64 = 200_000;
/// Virtual time after which a world that does not settle is given up.
const LONGEST_SETTLE: Duration = Duration::from_secs(3600);
/// How long a runtime tries to write to a connection that it wants closed.
const LINGER: Duration = Duration::from_secs(10);
/// Attempts of a SYN: 1 + 2 + 4 + 8 + 16 seconds.
const SYN_ATTEMPTS: u32 = 5;

impl World {
    /// Does the next thing there is to do. `false`: there is nothing, and never will be by itself.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        self.pump_dirty();
        let Some((at, timer)) = self.next_thing() else { return false };
        assert!(at >= self.now, "time runs backwards");
        self.now = at;
        if let Some(node) = timer {
            self.timeout(node);
        } else if let Some(((_, _), event)) = self.queue.pop_first() {
            self.net_event(event);
        }
        self.spurious_timeout();
        self.pump_dirty();
        true
    }

    /// Runs until for [`World::quiet`] no route has moved and no session has come or gone, then checks every
    /// invariant. KEEPALIVEs, and attempts that fail, do not count.
    ///
    /// # Panics
    ///
    /// When the world does not come to rest, and when an invariant is hurt.
    pub fn settle(&mut self) -> &mut Self {
        let start = self.now;
        self.active = self.active.max(self.now);
        self.run_while(|world, next| {
            assert!(
                world.now.saturating_since(start) < LONGEST_SETTLE,
                "the world does not settle: steps {}",
                world.steps
            );
            next <= world.active + world.quiet
        });
        if self.checking {
            self.check();
        }
        self
    }

    /// Runs for a time, whatever happens.
    pub fn run_for(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        self.run_while(|_, next| next <= end);
        self.now = end;
        self
    }

    /// Runs until `done` holds; `false` if it does not within `time`.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + time;
        let mut reached = false;
        self.run_while(|world, next| {
            reached = done(world);
            !reached && next <= end
        });
        reached || done(self)
    }

    fn run_while(&mut self, mut go_on: impl FnMut(&Self, Instant) -> bool) {
        let (mut moment, mut steps) = (self.now, 0);
        self.pump_dirty();
        while let Some((next, _)) = self.next_thing() {
            if !go_on(self, next) {
                return;
            }
            if next > moment {
                (moment, steps) = (next, 0);
            }
            steps += 1;
            assert!(steps < STEPS_IN_A_MOMENT, "livelock at {moment}: {steps} steps");
            self.step();
        }
    }

    /// When the next thing happens, and whose timer it is unless it comes from the network.
    fn next_thing(&self) -> Option<(Instant, Option<usize>)> {
        let network = self.queue.keys().next().map(|&(at, _)| (at, None));
        let timers = self.nodes.iter().enumerate().filter_map(|(index, node)| match &node.kind {
            Kind::Speaker(speaker) => {
                speaker.poll_timeout().map(|at| (at.max(self.now) + node.slack, Some(index)))
            }
            Kind::Raw { .. } => None,
        });
        // The network first where both are due: `min` keeps the first of equals.
        network.into_iter().chain(timers).min_by_key(|&(at, _)| at)
    }

    fn timeout(&mut self, node: usize) {
        let now = self.now;
        self.transcript.entry(format_args!("{now} {node} timeout"));
        let slack = self.late.map_or(Duration::ZERO, |late| {
            Duration::from_micros(self.rng.below(late.as_micros() as u64 + 1))
        });
        self.nodes[node].slack = slack;
        self.nodes[node].dirty = true;
        let Kind::Speaker(speaker) = &mut self.nodes[node].kind else { return };
        speaker.handle_timeout(now);
        let next = speaker.poll_timeout();
        assert!(
            next.is_none_or(|next| next > now),
            "{}: poll_timeout is {next:?} after handle_timeout({now:?})",
            self.nodes[node].name
        );
    }

    /// Calls `handle_timeout` where nothing is due: it must change nothing.
    fn spurious_timeout(&mut self) {
        let Some(rng) = &mut self.spurious else { return };
        if !rng.one_in(3) {
            return;
        }
        let node = rng.index(self.nodes.len());
        let now = self.now;
        if let Kind::Speaker(speaker) = &mut self.nodes[node].kind {
            let before = speaker.poll_timeout();
            if before.is_none_or(|at| at > now) {
                speaker.handle_timeout(now);
                assert_eq!(before, speaker.poll_timeout(), "an early handle_timeout changed a timer");
            }
        }
    }

    pub(super) fn schedule(&mut self, after: Duration, event: NetEvent) {
        self.next_event += 1;
        self.queue.insert((self.now + after, self.next_event), event);
    }

    // --- runtimes -------------------------------------------------------------------------------

    fn pump_dirty(&mut self) {
        for node in 0..self.nodes.len() {
            if !core::mem::take(&mut self.nodes[node].dirty) {
                continue;
            }
            match self.late {
                None => self.pump(node),
                Some(_) if self.nodes[node].pump_scheduled => {}
                Some(late) => {
                    self.nodes[node].pump_scheduled = true;
                    let delay = Duration::from_micros(self.rng.below(late.as_micros() as u64 + 1));
                    self.schedule(delay, NetEvent::Pump { node });
                }
            }
        }
    }

    /// Serves a speaker: actions, long work, octets, events. A late runtime may stop anywhere; it comes
    /// back.
    fn pump(&mut self, node: usize) {
        let lazy = self.late.is_some();
        while let Some(action) = self.poll_action(node) {
            self.act(node, action);
            if lazy && self.rng.one_in(3) {
                self.nodes[node].dirty = true;
                break;
            }
        }
        let now = self.now;
        let budget = if lazy { 1 + self.rng.index(20) } else { 1000 };
        if let Kind::Speaker(speaker) = &mut self.nodes[node].kind
            && speaker.work(now, budget)
        {
            self.active = now;
            self.schedule(Duration::from_micros(1), NetEvent::Pump { node });
        }
        let mut conns: Vec<(TcpId, Side)> = self.nodes[node].conns.values().copied().collect();
        if let Some(rng) = &mut self.permute {
            rng.shuffle(&mut conns);
        }
        for (tcp, side) in conns {
            if lazy && self.rng.one_in(3) {
                self.nodes[node].dirty = true;
            } else {
                self.flush(tcp, side);
            }
        }
        if !lazy || self.rng.one_in(2) {
            self.poll_events(node);
        }
        // Serving connections may have led to more actions.
        if let Some(action) = self.poll_action(node) {
            self.act(node, action);
            self.nodes[node].dirty = true;
        }
        if self.nodes[node].dirty && !lazy {
            self.nodes[node].dirty = false;
            self.pump(node);
        }
    }

    fn poll_action(&mut self, node: usize) -> Option<Action> {
        let Kind::Speaker(speaker) = &mut self.nodes[node].kind else { return None };
        let action = speaker.poll_action()?;
        self.transcript.entry(format_args!("{} {node} {action:?}", self.now));
        Some(action)
    }

    fn poll_events(&mut self, node: usize) {
        let now = self.now;
        let super::Node { kind: Kind::Speaker(speaker), events, .. } = &mut self.nodes[node] else { return };
        while let Some(event) = speaker.poll_event() {
            // Attempts and refusals go on for ever where two do not agree: that is as settled as it gets.
            if !matches!(event, Event::AttemptFailed { .. } | Event::Refused { .. }) {
                self.active = now;
            }
            self.transcript.entry(format_args!("{now} {node} {event:?}"));
            events.push((now, event));
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Connect { conn, target, .. } => self.dial(node, conn, &target),
            Action::Writable(conn) => {
                if let Some(&(tcp, side)) = self.nodes[node].conns.get(&conn)
                    && let Some(tcp) = self.tcps.get_mut(&tcp)
                {
                    tcp.ends[side].writable = true;
                }
            }
            Action::Close(conn) => self.close(node, conn),
            other => panic!("an action this runtime does not know: {other:?}"),
        }
    }

    fn dial(&mut self, node: usize, conn: ConnId, target: &ConnectTarget) {
        let remote = target.remote.ip();
        let (peer, interface, peer_interface) = match remote {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                let name = target.interface.clone().unwrap_or_default();
                let link = self.nodes[node].interfaces.get(&name).cloned();
                let Some(link) = link.filter(|link| {
                    self.nodes[link.peer]
                        .interfaces
                        .get(&link.peer_interface)
                        .is_some_and(|peer| peer.address == address)
                }) else {
                    return self.unreachable(node, conn, target);
                };
                (link.peer, Some(name), Some(link.peer_interface))
            }
            address => match self.nodes.iter().position(|node| node.addresses.contains(&address)) {
                Some(peer) if peer != node => (peer, None, None),
                _ => return self.unreachable(node, conn, target),
            },
        };
        let source = target.local.unwrap_or_else(|| self.source(node, remote, interface.as_deref()));
        let port = self.next_port(node);
        let mut ends = [
            End::new(node, SocketAddr::new(source, port), interface),
            End::new(peer, target.remote, peer_interface),
        ];
        ends[0].conn = Some(conn);
        let tcp = self.insert(ends);
        self.nodes[node].conns.insert(conn, (tcp, 0));
        let path = self.path(node, peer);
        self.schedule(path.latency + path.connect_delay, NetEvent::Syn { tcp, attempt: 0 });
    }

    fn unreachable(&mut self, node: usize, conn: ConnId, target: &ConnectTarget) {
        let mut ends =
            [End::new(node, target.remote, None), End::new(node, target.remote, target.interface.clone())];
        ends[0].conn = Some(conn);
        ends[1].alive = false;
        let tcp = self.insert(ends);
        self.nodes[node].conns.insert(conn, (tcp, 0));
        let reason = CloseReason::Unreachable;
        self.schedule(Duration::from_micros(10), NetEvent::Refused { tcp, reason });
    }

    pub(super) fn insert(&mut self, ends: [End; 2]) -> TcpId {
        let tcp = self.next_tcp;
        self.next_tcp += 1;
        let halves = [Half::default(), Half::default()];
        self.tcps.insert(tcp, Tcp { ends, accepted: false, connected: false, halves });
        // Closed ones are kept for a while, for tests to look at.
        if self.tcps.len() > 4096 {
            self.tcps.retain(|&id, tcp| id + 2048 > self.next_tcp || tcp.ends.iter().any(|end| end.alive));
        }
        tcp
    }

    pub(super) fn next_port(&mut self, node: usize) -> u16 {
        let port = self.nodes[node].next_port;
        self.nodes[node].next_port = port.checked_add(1).unwrap_or(49152);
        port
    }

    /// The address that a system would choose: the one that shares most bits with the destination.
    pub(super) fn source(&self, node: usize, remote: IpAddr, interface: Option<&str>) -> IpAddr {
        let node = &self.nodes[node];
        if let Some(interface) = interface.and_then(|name| node.interfaces.get(name)) {
            return interface.address.into();
        }
        let common = |address: &&IpAddr| match (address, remote) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
            (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
            _ => None,
        };
        *node.addresses.iter().rev().max_by_key(common).expect("an address")
    }

    fn close(&mut self, node: usize, conn: ConnId) {
        let Some(&(id, side)) = self.nodes[node].conns.get(&conn) else { return };
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        if side == 0 && !tcp.connected {
            tcp.ends[side].alive = false;
            self.nodes[node].conns.remove(&conn);
            return;
        }
        tcp.ends[side].closing = true;
        tcp.ends[side].writable = true;
        self.schedule(LINGER, NetEvent::Linger { tcp: id, side });
        self.nodes[node].dirty = true;
    }

    /// Takes from the speaker what the window has room for.
    pub(super) fn flush(&mut self, id: TcpId, side: Side) {
        loop {
            let Some(tcp) = self.tcps.get_mut(&id) else { return };
            if !tcp.ends[side].alive || (side == 0 && !tcp.connected) {
                return;
            }
            let node = tcp.ends[side].node;
            let latency = {
                let (one, other) = (node, tcp.ends[1 - side].node);
                self.paths[&(one.min(other), one.max(other))].latency
            };
            let end = &mut tcp.ends[side];
            let room = self.window.saturating_sub(end.in_flight);
            if !end.unsent.is_empty() {
                let len = room.min(end.unsent.len());
                if len == 0 {
                    return;
                }
                let octets = end.unsent.split_to(len);
                let arrives = (self.now + latency).max(end.arrives);
                end.arrives = arrives;
                end.in_flight += len;
                end.flight.push_back((arrives, octets));
                if !end.scheduled {
                    end.scheduled = true;
                    self.schedule(arrives - self.now, NetEvent::Deliver { tcp: id, from: side });
                }
                continue;
            }
            if end.writable && room > 0 {
                if let (Kind::Speaker(speaker), Some(conn)) = (&mut self.nodes[node].kind, end.conn) {
                    let limit = if self.late.is_some() { 1 + self.rng.index(room) } else { room };
                    match speaker.poll_transmit(self.now, conn, limit) {
                        Some(octets) => {
                            assert!(!octets.is_empty(), "poll_transmit gave no octets");
                            assert!(
                                octets.len() <= limit.max(65535),
                                "poll_transmit gave {} octets where {limit} were wanted",
                                octets.len()
                            );
                            self.transcript.entry(format_args!("{} {node} {conn} transmit", self.now));
                            self.transcript.octets(&octets);
                            end.unsent = octets;
                            continue;
                        }
                        None => end.writable = false,
                    }
                } else {
                    end.writable = false;
                }
            }
            if end.closing && !end.writable && end.unsent.is_empty() {
                self.finish(id, side);
            }
            return;
        }
    }

    /// Everything is written and the speaker wants no more of it.
    fn finish(&mut self, id: TcpId, side: Side) {
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let end = &mut tcp.ends[side];
        end.alive = false;
        end.finished = true;
        let schedule = !core::mem::replace(&mut end.scheduled, true);
        let (node, other, conn) = (end.node, tcp.ends[1 - side].node, tcp.ends[side].conn);
        let arrives = tcp.ends[side].arrives;
        if schedule {
            let delay = self.path(node, other).latency.max(arrives.saturating_since(self.now));
            self.schedule(delay, NetEvent::Deliver { tcp: id, from: side });
        }
        let Some(conn) = conn else { return };
        self.nodes[node].conns.remove(&conn);
        // Telling a speaker what it knows already is allowed.
        if self.late.is_some() && self.rng.one_in(2) {
            let now = self.now;
            self.fact(node).handle_closed(now, conn, CloseReason::Closed);
        }
    }

    // --- the network ----------------------------------------------------------------------------

    fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Syn { tcp, attempt } => self.syn(tcp, attempt),
            NetEvent::SynAck { tcp } => self.syn_ack(tcp),
            NetEvent::Refused { tcp, reason } => self.lost(tcp, 0, reason),
            NetEvent::Deliver { tcp, from } => self.deliver(tcp, from),
            NetEvent::Room { tcp, side } => {
                if let Some(node) = self.tcps.get(&tcp).map(|tcp| tcp.ends[side].node) {
                    self.flush(tcp, side);
                    self.nodes[node].dirty = true;
                }
            }
            NetEvent::Reset { tcp, to } => match self.state_of(tcp) {
                Some(PathState::Up) => self.lost(tcp, to, CloseReason::Reset),
                Some(PathState::Held) => self.parked.push(NetEvent::Reset { tcp, to }),
                Some(PathState::Partitioned) | None => {}
            },
            NetEvent::Linger { tcp, side } => {
                if self.tcps.get(&tcp).is_some_and(|tcp| tcp.ends[side].alive) {
                    self.abort(tcp, side);
                }
            }
            NetEvent::Pump { node } => {
                self.nodes[node].pump_scheduled = false;
                self.nodes[node].dirty = false;
                self.pump(node);
            }
        }
    }

    fn state_of(&self, tcp: TcpId) -> Option<PathState> {
        self.tcps.get(&tcp).map(|tcp| self.path(tcp.ends[0].node, tcp.ends[1].node).state)
    }

    fn syn(&mut self, id: TcpId, attempt: u32) {
        let Some(tcp) = self.tcps.get(&id).filter(|tcp| tcp.ends[0].alive && !tcp.accepted) else { return };
        let (node, local, remote) = (tcp.ends[1].node, tcp.ends[1].address, tcp.ends[0].address);
        let path = self.path(tcp.ends[0].node, node);
        match path.state {
            PathState::Held => return self.parked.push(NetEvent::Syn { tcp: id, attempt }),
            PathState::Partitioned if attempt >= SYN_ATTEMPTS => {
                return self.lost(id, 0, CloseReason::TimedOut);
            }
            PathState::Partitioned => {
                let again = NetEvent::Syn { tcp: id, attempt: attempt + 1 };
                return self.schedule(Duration::from_secs(1 << attempt), again);
            }
            PathState::Up => {}
        }
        let interface = tcp.ends[1].interface.clone();
        if !self.nodes[node].listens || local.port() != 179 {
            let reason = CloseReason::Refused;
            return self.schedule(path.latency, NetEvent::Refused { tcp: id, reason });
        }
        let now = self.now;
        let conn = if self.is_speaker(node) {
            let conn = self.fact(node).handle_accepted(now, remote, local, interface.as_deref());
            self.transcript
                .entry(format_args!("{now} {node} accepted {conn} {remote} {local} {interface:?}"));
            self.nodes[node].conns.insert(conn, (id, 1));
            Some(conn)
        } else {
            None
        };
        if let Some(tcp) = self.tcps.get_mut(&id) {
            tcp.accepted = true;
            tcp.ends[1].conn = conn;
        }
        self.schedule(path.latency, NetEvent::SynAck { tcp: id });
        self.greet(id, 1);
    }

    pub(super) fn syn_ack(&mut self, id: TcpId) {
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let (node, local, conn) = (tcp.ends[0].node, tcp.ends[0].address, tcp.ends[0].conn);
        let path = self.paths[&(node.min(tcp.ends[1].node), node.max(tcp.ends[1].node))];
        match path.state {
            PathState::Held => return self.parked.push(NetEvent::SynAck { tcp: id }),
            PathState::Partitioned => {
                return self.schedule(Duration::from_secs(1), NetEvent::SynAck { tcp: id });
            }
            PathState::Up => {}
        }
        if !tcp.ends[0].alive {
            return self.schedule(path.latency, NetEvent::Reset { tcp: id, to: 1 });
        }
        tcp.connected = true;
        let now = self.now;
        if let Some(conn) = conn {
            self.transcript.entry(format_args!("{now} {node} connected {conn} {local}"));
            self.fact(node).handle_connected(now, conn, local);
        }
        self.greet(id, 0);
        self.wake_delivery(id, 1);
    }

    /// A raw peer says its OPEN.
    fn greet(&mut self, id: TcpId, side: Side) {
        let Some(tcp) = self.tcps.get(&id) else { return };
        if let Kind::Raw { open } = &self.nodes[tcp.ends[side].node].kind {
            let open = Bytes::from(open.clone());
            self.write(id, side, &open);
        }
    }

    /// Octets of a raw peer.
    pub(super) fn write(&mut self, id: TcpId, side: Side, octets: &[u8]) {
        if let Some(tcp) = self.tcps.get_mut(&id) {
            let mut unsent = BytesMut::from(&tcp.ends[side].unsent[..]);
            unsent.extend_from_slice(octets);
            tcp.ends[side].unsent = unsent.freeze();
            self.active = self.now;
            self.flush(id, side);
        }
    }

    /// A connection is gone for one end.
    pub(super) fn lost(&mut self, id: TcpId, side: Side, reason: CloseReason) {
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let end = &mut tcp.ends[side];
        if !core::mem::replace(&mut end.alive, false) {
            return;
        }
        end.unsent = Bytes::new();
        let (node, conn) = (end.node, end.conn);
        let now = self.now;
        if let Some(conn) = conn {
            self.nodes[node].conns.remove(&conn);
            self.transcript.entry(format_args!("{now} {node} closed {conn} {reason:?}"));
            self.fact(node).handle_closed(now, conn, reason);
        }
    }

    /// One end forgets the connection and resets it for the other.
    pub(super) fn abort(&mut self, id: TcpId, side: Side) {
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let end = &mut tcp.ends[side];
        end.alive = false;
        end.flight.clear();
        end.in_flight = 0;
        end.unsent = Bytes::new();
        let (node, other, conn) = (end.node, tcp.ends[1 - side].node, tcp.ends[side].conn);
        if let Some(conn) = conn {
            self.nodes[node].conns.remove(&conn);
        }
        self.schedule(self.path(node, other).latency, NetEvent::Reset { tcp: id, to: 1 - side });
    }

    /// Delivers again what waits on its way from `side`.
    pub(super) fn wake_delivery(&mut self, id: TcpId, side: Side) {
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let end = &mut tcp.ends[side];
        if (end.finished || !end.flight.is_empty()) && !core::mem::replace(&mut end.scheduled, true) {
            self.schedule(Duration::from_micros(100), NetEvent::Deliver { tcp: id, from: side });
        }
    }

    fn deliver(&mut self, id: TcpId, from: Side) {
        let now = self.now;
        let to = 1 - from;
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        tcp.ends[from].scheduled = false;
        let (reader, writer) = (tcp.ends[to].node, tcp.ends[from].node);
        let path = self.paths[&(reader.min(writer), reader.max(writer))];
        if path.state != PathState::Up
            || self.stalled.contains(&(reader, writer))
            || (to == 0 && !tcp.connected && tcp.ends[0].alive)
        {
            return; // Woken when that ends.
        }
        if !tcp.ends[to].alive {
            let data = tcp.ends[from].in_flight > 0;
            tcp.ends[from].flight.clear();
            tcp.ends[from].in_flight = 0;
            if data && tcp.ends[from].alive {
                self.schedule(path.latency, NetEvent::Reset { tcp: id, to: from });
            }
            return;
        }
        let Some(octets) = self.piece(id, from) else {
            let Some(tcp) = self.tcps.get(&id) else { return };
            if let Some(&(arrives, _)) = tcp.ends[from].flight.front() {
                if let Some(tcp) = self.tcps.get_mut(&id) {
                    tcp.ends[from].scheduled = true;
                }
                self.schedule(arrives - now, NetEvent::Deliver { tcp: id, from });
            } else if tcp.ends[from].finished {
                self.lost(id, to, CloseReason::Closed);
            }
            return;
        };
        self.schedule(path.latency, NetEvent::Room { tcp: id, side: from });
        let gap = Duration::from_micros(self.rng.below(100));
        if let Some(tcp) = self.tcps.get_mut(&id) {
            tcp.ends[from].scheduled = true;
        }
        self.schedule(gap, NetEvent::Deliver { tcp: id, from });
        self.receive(id, to, &octets);
    }

    /// The next piece that has arrived from an end.
    fn piece(&mut self, id: TcpId, from: Side) -> Option<Bytes> {
        let now = self.now;
        let end = &mut self.tcps.get_mut(&id)?.ends[from];
        let arrived = end.flight.iter().take_while(|(at, _)| *at <= now).count();
        let whole = match self.segmentation {
            Segmentation::Whole => true,
            Segmentation::Random => arrived > 0 && self.rng.one_in(3),
            Segmentation::Octets => false,
        };
        let octets = if whole && arrived > 1 {
            let mut octets = BytesMut::new();
            end.flight.drain(..arrived).for_each(|(_, piece)| octets.extend_from_slice(&piece));
            octets.freeze()
        } else {
            let front = end.flight.front_mut().filter(|(at, _)| *at <= now)?;
            let len = match self.segmentation {
                Segmentation::Octets => 1,
                Segmentation::Random if !whole && front.1.len() > 1 => 1 + self.rng.index(front.1.len()),
                Segmentation::Whole | Segmentation::Random => front.1.len(),
            };
            let piece = front.1.split_to(len);
            if front.1.is_empty() {
                end.flight.pop_front();
            }
            piece
        };
        end.in_flight -= octets.len();
        Some(octets)
    }

    fn receive(&mut self, id: TcpId, to: Side, octets: &[u8]) {
        let now = self.now;
        let Some(tcp) = self.tcps.get_mut(&id) else { return };
        let (node, peer, conn) = (tcp.ends[to].node, tcp.ends[1 - to].node, tcp.ends[to].conn);
        let raw = conn.is_none();
        let own = tcp.halves[1 - to].open.clone();
        let before = (tcp.halves[to].notification.is_some(), tcp.halves[to].open.is_some());
        if tcp.halves[to].take(octets, own.as_ref(), self.keep || raw) {
            self.active = now;
        }
        let half = &tcp.halves[to];
        if let (false, Some(notification)) = (before.0, &half.notification) {
            let names = [peer, node].map(|node| self.nodes[node].name.clone());
            let [from, to] = names;
            self.notifications.push((now, from, to, notification.clone()));
        }
        let opened = !before.1 && half.open.is_some();
        match conn {
            Some(conn) => {
                self.transcript.entry(format_args!("{now} {node} {conn} octets"));
                self.transcript.octets(octets);
                self.fact(node).handle_bytes(now, conn, octets);
            }
            None if opened => self.write(id, to, &message::keepalive()),
            None => {}
        }
    }
}
