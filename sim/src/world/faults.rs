//! What goes wrong: partitions, holds, stalls, resets, crashes; and peers played by hand.

use core::{net::IpAddr, time::Duration};

use peerage_core::{Speaker, speaker::Reachability};

use super::{Kind, World};
use crate::net::{End, NetEvent, PathState, Side, TcpId};

impl World {
    /// Loses everything between two nodes, in silence: connections stay open until somebody gives up,
    /// resets are lost for good, SYNs and octets are tried again once it is repaired.
    pub fn partition(&mut self, one: &str, other: &str) -> &mut Self {
        self.path_mut(one, other).state = PathState::Partitioned;
        self
    }

    /// Keeps everything between two nodes until it is repaired; nothing is lost.
    pub fn hold(&mut self, one: &str, other: &str) -> &mut Self {
        self.path_mut(one, other).state = PathState::Held;
        self
    }

    /// Ends a partition or hold.
    pub fn repair(&mut self, one: &str, other: &str) -> &mut Self {
        self.path_mut(one, other).state = PathState::Up;
        for event in core::mem::take(&mut self.parked) {
            self.schedule(Duration::from_micros(10), event);
        }
        self.wake(one, other);
        self
    }

    /// How long it takes from one node to another, each way.
    pub fn latency(&mut self, one: &str, other: &str, latency: Duration) -> &mut Self {
        self.path_mut(one, other).latency = latency;
        self
    }

    /// How much longer a connection takes to open.
    pub fn connect_delay(&mut self, one: &str, other: &str, delay: Duration) -> &mut Self {
        self.path_mut(one, other).connect_delay = delay;
        self
    }

    /// `reader` stops reading what `writer` sends; the window fills.
    pub fn stall(&mut self, reader: &str, writer: &str) -> &mut Self {
        let key = (self.index(reader), self.index(writer));
        self.stalled.insert(key);
        self
    }

    /// Ends a stall.
    pub fn resume(&mut self, reader: &str, writer: &str) -> &mut Self {
        let key = (self.index(reader), self.index(writer));
        self.stalled.remove(&key);
        self.wake(reader, writer);
        self
    }

    /// Resets every connection between two nodes, for both at once.
    pub fn reset_connections(&mut self, one: &str, other: &str) -> &mut Self {
        for (id, side) in self.between(one, other) {
            self.abort(id, side);
            // The network did it: this end learns as well.
            if let Some(tcp) = self.tcps.get_mut(&id) {
                let end = &mut tcp.ends[side];
                end.alive = true;
                if let Some(conn) = end.conn {
                    self.nodes[end.node].conns.insert(conn, (id, side));
                }
            }
            self.schedule(Duration::ZERO, NetEvent::Reset { tcp: id, to: side });
        }
        self
    }

    /// A node stops without a word and is there again at once, with nothing but its configuration. Its
    /// connections are reset when somebody writes to them.
    pub fn bounce(&mut self, name: &str) -> &mut Self {
        let node = self.index(name);
        self.forget_connections(node);
        let seed = self.rng.seed();
        let was_released = self.nodes[node].released;
        self.nodes[node].kind = Kind::Speaker(Box::new(Speaker::new(seed, self.now)));
        self.nodes[node].metrics.clear();
        self.transcript.entry(format_args!("{} {node} bounce", self.now));
        self.announce_interfaces(node);
        self.apply(node);
        if was_released {
            self.release_at(node);
        }
        self
    }

    /// What a speaker is told about a next hop; `None`: it cannot be reached.
    pub fn next_hop(&mut self, name: &str, address: &str, metric: Option<u32>) -> &mut Self {
        let node = self.index(name);
        let address: IpAddr = address.parse().expect("an address");
        let reach = metric.map_or(Reachability::Unreachable, |metric| Reachability::Reachable { metric });
        let now = self.now;
        self.transcript.entry(format_args!("{now} {node} next hop {address} {reach:?}"));
        self.speaker_mut(node).handle_next_hop(now, address, reach);
        self.nodes[node].metrics.insert(address, metric);
        self
    }

    /// A raw peer dials a speaker.
    pub fn raw_dial(&mut self, name: &str, to: &str) -> &mut Self {
        let (node, peer) = (self.index(name), self.index(to));
        let remote = IpAddr::V4(self.address_of(to));
        let source = self.source(node, remote, None);
        let port = self.next_port(node);
        let tcp = self.insert([
            End::new(node, (source, port).into(), None),
            End::new(peer, (remote, 179).into(), None),
        ]);
        let latency = self.path(node, peer).latency;
        self.schedule(latency, NetEvent::Syn { tcp, attempt: 0 });
        self
    }

    /// A raw peer writes octets to its latest open connection.
    pub fn raw_write(&mut self, name: &str, octets: &[u8]) -> &mut Self {
        let (tcp, side) = self.raw_connection(name);
        self.write(tcp, side, octets);
        self
    }

    /// Whether a raw peer has an open connection.
    pub fn raw_is_open(&self, name: &str) -> bool {
        let node = self.index(name);
        self.tcps.values().any(|tcp| (0..2).any(|side| tcp.ends[side].node == node && tcp.ends[side].alive))
    }

    fn raw_connection(&self, name: &str) -> (TcpId, Side) {
        let node = self.index(name);
        self.tcps
            .iter()
            .rev()
            .find_map(|(&id, tcp)| {
                (0..2)
                    .find(|&side| {
                        tcp.ends[side].node == node && tcp.ends[side].alive && (side == 1 || tcp.connected)
                    })
                    .map(|side| (id, side))
            })
            .unwrap_or_else(|| panic!("{name} has no open connection"))
    }

    fn path_mut(&mut self, one: &str, other: &str) -> &mut crate::net::Path {
        let (one, other) = (self.index(one), self.index(other));
        self.active = self.now;
        self.paths.get_mut(&(one.min(other), one.max(other))).expect("a path")
    }

    fn between(&self, one: &str, other: &str) -> Vec<(TcpId, Side)> {
        let (one, other) = (self.index(one), self.index(other));
        self.connections(one, other)
            .filter(|(_, _, tcp)| tcp.ends.iter().any(|end| end.alive))
            .map(|(id, side, _)| (id, side))
            .collect()
    }

    fn wake(&mut self, one: &str, other: &str) {
        self.active = self.now;
        for (id, _) in self.between(one, other) {
            self.wake_delivery(id, 0);
            self.wake_delivery(id, 1);
        }
    }

    fn forget_connections(&mut self, node: usize) {
        self.nodes[node].conns.clear();
        for tcp in self.tcps.values_mut() {
            for end in tcp.ends.iter_mut().filter(|end| end.node == node) {
                end.alive = false;
                end.flight.clear();
                end.in_flight = 0;
                end.finished = false;
            }
        }
    }
}
