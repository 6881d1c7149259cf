//! One speaker by itself: its peers are whoever writes the octets.

use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use std::collections::BTreeMap;

use peerage_core::{
    Speaker,
    speaker::{
        Action, CloseReason, ConnId, ConnectTarget, Desired, Event, NeighborKey, NeighborStatus, PeerState,
    },
    time::Instant,
};

use crate::message::{self, Message, OpenSpec, Reader};

/// A connection as the other end sees it.
#[derive(Debug, Default)]
struct Conn {
    /// The speaker said that there is something to transmit.
    writable: bool,
    /// The speaker wants it closed.
    closing: bool,
    /// It does not take anything.
    blocked: bool,
    reader: Reader,
    output: Vec<u8>,
}

/// One speaker, its clock, and everything that came out of it.
#[derive(Debug)]
pub struct Solo {
    /// The speaker.
    pub speaker: Speaker,
    /// The time.
    pub now: Instant,
    /// Events so far.
    pub events: Vec<Event>,
    /// Connections it wants to open and that nobody has answered.
    pub connects: Vec<(ConnId, ConnectTarget)>,
    /// Connections that it has closed.
    pub closed: Vec<ConnId>,
    conns: BTreeMap<ConnId, Conn>,
    next_port: u16,
}

/// The speaker's own address.
pub(crate) const OWN: &str = "10.0.0.1";

impl Solo {
    /// A speaker that is what `desired` says and is not held.
    pub fn new(seed: u8, desired: &Desired) -> Self {
        let mut solo = Self::held(seed, desired);
        solo.speaker.release(solo.now);
        solo.pump();
        solo
    }

    /// A speaker that is what `desired` says and held.
    pub fn held(seed: u8, desired: &Desired) -> Self {
        let now = Instant::from_micros(1_000_000);
        let mut solo = Self {
            speaker: Speaker::new([seed; 32], now),
            now,
            events: Vec::new(),
            connects: Vec::new(),
            closed: Vec::new(),
            conns: BTreeMap::new(),
            next_port: 40000,
        };
        solo.reconcile(desired);
        solo
    }

    /// Makes it what `desired` says.
    ///
    /// # Panics
    ///
    /// With the faults of `desired`.
    pub fn reconcile(&mut self, desired: &Desired) -> peerage_core::speaker::Plan {
        let plan = self.speaker.reconcile(self.now, desired).unwrap_or_else(|faults| panic!("{faults}"));
        self.pump();
        plan
    }

    /// A connection from `remote` comes in.
    pub fn accept(&mut self, remote: &str) -> ConnId {
        self.next_port += 1;
        let remote: IpAddr = remote.parse().expect("an address");
        let own: IpAddr = if remote.is_ipv4() { OWN } else { "fd00::1" }.parse().expect("an address");
        self.accept_from(SocketAddr::new(remote, self.next_port), SocketAddr::new(own, 179), None)
    }

    /// A connection comes in.
    pub fn accept_from(&mut self, remote: SocketAddr, local: SocketAddr, interface: Option<&str>) -> ConnId {
        let conn = self.speaker.handle_accepted(self.now, remote, local, interface);
        self.conns.insert(conn, Conn::default());
        self.pump();
        conn
    }

    /// The connection that the speaker wants to open to `remote` opens.
    pub fn connect(&mut self, remote: &str) -> ConnId {
        let remote: IpAddr = remote.parse().expect("an address");
        let index = self
            .connects
            .iter()
            .position(|(_, target)| target.remote.ip() == remote)
            .unwrap_or_else(|| panic!("no connection to {remote} is wanted"));
        let (conn, _) = self.connects.remove(index);
        let own: IpAddr = if remote.is_ipv4() { OWN } else { "fd00::1" }.parse().expect("an address");
        self.conns.insert(conn, Conn::default());
        self.speaker.handle_connected(self.now, conn, SocketAddr::new(own, 50000));
        self.pump();
        conn
    }

    /// Octets come in.
    pub fn bytes(&mut self, conn: ConnId, octets: &[u8]) {
        self.speaker.handle_bytes(self.now, conn, octets);
        self.pump();
    }

    /// A connection is gone.
    pub fn lose(&mut self, conn: ConnId, reason: CloseReason) {
        self.conns.remove(&conn);
        self.connects.retain(|(other, _)| *other != conn);
        self.speaker.handle_closed(self.now, conn, reason);
        self.pump();
    }

    /// Connects from `remote` and says `open` and a KEEPALIVE: the session is established, unless the
    /// speaker objects.
    pub fn establish(&mut self, remote: &str, open: &OpenSpec) -> ConnId {
        let conn = self.accept(remote);
        self.bytes(conn, &open.encode());
        self.bytes(conn, &message::keepalive());
        conn
    }

    /// A connection takes nothing any more, or everything again.
    pub fn block(&mut self, conn: ConnId, blocked: bool) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.blocked = blocked;
        }
        self.pump();
    }

    /// Time passes, timer by timer.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.speaker.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.timeout();
        }
        self.now = end;
    }

    /// Time passes to the next timer, which is returned.
    pub fn next_timer(&mut self) -> Option<Instant> {
        let next = self.speaker.poll_timeout()?;
        self.now = self.now.max(next);
        self.timeout();
        Some(next)
    }

    /// Calls `handle_timeout`.
    pub fn timeout(&mut self) {
        self.speaker.handle_timeout(self.now);
        let next = self.speaker.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} after handle_timeout({:?})", self.now);
        self.pump();
    }

    /// Messages that came out of a connection since the last call.
    pub fn messages(&mut self, conn: ConnId) -> Vec<Message> {
        self.pump();
        self.conns.get_mut(&conn).map(|conn| conn.reader.all()).unwrap_or_default()
    }

    /// Octets that came out of a connection since the last call.
    pub fn output(&mut self, conn: ConnId) -> Vec<u8> {
        self.pump();
        self.conns.get_mut(&conn).map(|conn| core::mem::take(&mut conn.output)).unwrap_or_default()
    }

    /// Reads what comes out of a connection as a two-octet or an iBGP session does.
    pub fn read_as(&mut self, conn: ConnId, context: peerage_core::wire::attr::AttributeContext) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.reader.set_context(context);
        }
    }

    /// Whether a connection is still open.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|conn| !conn.closing)
    }

    /// The neighbour at an address.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn status(&self, address: &str) -> NeighborStatus {
        let address: IpAddr = address.parse().expect("an address");
        self.speaker
            .neighbors()
            .into_iter()
            .find(|status| status.key == NeighborKey::Address(address) || status.address == Some(address))
            .unwrap_or_else(|| panic!("{address} is no neighbour"))
    }

    /// The state of the neighbour at an address.
    pub fn state(&self, address: &str) -> PeerState {
        self.status(address).state
    }

    /// Does what the speaker asks for until it asks for nothing.
    pub fn pump(&mut self) {
        for _ in 0..100_000 {
            let mut idle = true;
            while let Some(action) = self.speaker.poll_action() {
                idle = false;
                match action {
                    Action::Connect { conn, target, .. } => self.connects.push((conn, target)),
                    Action::Writable(conn) => self.conns.entry(conn).or_default().writable = true,
                    Action::Close(conn) => {
                        self.connects.retain(|(other, _)| *other != conn);
                        self.closed.push(conn);
                        if let Some(conn) = self.conns.get_mut(&conn) {
                            conn.closing = true;
                            conn.writable = true;
                        }
                    }
                    other => panic!("an action this test does not know: {other:?}"),
                }
            }
            for (id, conn) in &mut self.conns {
                while conn.writable && !conn.blocked {
                    match self.speaker.poll_transmit(self.now, *id, 65536) {
                        Some(octets) => {
                            idle = false;
                            conn.reader.push(&octets);
                            conn.output.extend_from_slice(&octets);
                        }
                        None => conn.writable = false,
                    }
                }
            }
            while let Some(event) = self.speaker.poll_event() {
                self.events.push(event);
            }
            if self.speaker.work(self.now, 10_000) {
                idle = false;
            }
            if idle {
                return;
            }
        }
        panic!("the speaker never comes to rest");
    }
}
