//! One neighbour that does anything at all: the body of the fuzz target `session`, and of the tests
//! that run it on seeds.

use core::time::Duration;

use peerage_core::{
    Speaker,
    speaker::{Action, CloseReason, ConnId, Desired},
    time::Instant,
};

use crate::{Neighbors as _, message};

/// How far the session is before the input starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// A connection is there.
    OpenSent,
    /// OPENs are exchanged.
    OpenConfirm,
    /// Routes are exchanged.
    Established,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Op {
    /// These octets come in.
    Bytes(Vec<u8>),
    /// A well-formed header of this type around these octets comes in.
    Message(u8, Vec<u8>),
    /// Time passes, in milliseconds; timers are served where they are due.
    Advance(u32),
    /// `handle_timeout` is called, due or not.
    Timeout,
    /// Up to so many octets are taken.
    Transmit(u16),
    /// Actions and events are taken.
    Poll,
    /// The connection is gone.
    Close,
    /// The neighbour connects once more.
    Accept,
    /// A connection that the speaker asked for opens.
    Connected,
    /// The speaker is configured again, with or without the neighbour.
    Reconcile(bool),
}

/// The most octets that one message may bring out.
const OUTPUT_PER_MESSAGE: usize = 8192;

/// Plays `ops` against one speaker with one neighbour.
///
/// # Panics
///
/// When the speaker does, when a timer stays due after it was served, and when it sends more than
/// what came in can be the reason for.
pub fn play(before: Before, seed: u8, ops: &[Op]) {
    let mut drill = Drill::new(before, seed);
    for op in ops {
        drill.op(op);
    }
    drill.finish();
}

struct Drill {
    speaker: Speaker,
    desired: Desired,
    now: Instant,
    conns: Vec<ConnId>,
    wanted: Vec<ConnId>,
    output: usize,
    allowed: usize,
}

impl Drill {
    fn new(before: Before, seed: u8) -> Self {
        let now = Instant::from_micros(1);
        let desired = crate::desired(65001, [10, 0, 0, 1].into())
            .neighbor("10.0.0.2", crate::external(65002))
            .route("192.0.2.0/24")
            .route("2001:db8::/32");
        let mut drill = Self {
            speaker: Speaker::new([seed; 32], now),
            desired,
            now,
            conns: Vec::new(),
            wanted: Vec::new(),
            output: 0,
            allowed: 1 << 20,
        };
        let _ = drill.speaker.reconcile(now, &drill.desired);
        drill.speaker.release(now);
        drill.accept();
        let open = message::OpenSpec::new(65002, [10, 0, 0, 2].into()).encode();
        match before {
            Before::OpenSent => {}
            Before::OpenConfirm => drill.bytes(&open),
            Before::Established => {
                drill.bytes(&open);
                drill.bytes(&message::keepalive());
            }
        }
        drill.poll();
        drill
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Bytes(octets) => self.bytes(octets),
            Op::Message(kind, body) => {
                let body = &body[..body.len().min(4077)];
                self.bytes(&message::message(*kind, body));
            }
            Op::Advance(millis) => {
                let end = self.now + Duration::from_millis(u64::from(*millis));
                for _ in 0..10_000 {
                    match self.speaker.poll_timeout().filter(|next| *next <= end) {
                        Some(next) => {
                            self.now = self.now.max(next);
                            self.timeout();
                        }
                        None => break,
                    }
                }
                self.now = end;
            }
            Op::Timeout => self.timeout(),
            Op::Transmit(limit) => self.transmit(usize::from(*limit).max(1), 4),
            Op::Poll => self.poll(),
            Op::Close => {
                if let Some(conn) = self.conns.pop() {
                    self.speaker.handle_closed(self.now, conn, CloseReason::Reset);
                }
            }
            Op::Accept => self.accept(),
            Op::Connected => {
                if let Some(conn) = self.wanted.pop() {
                    self.speaker.handle_connected(self.now, conn, ([10, 0, 0, 1], 50000).into());
                    self.conns.push(conn);
                    self.allowed += OUTPUT_PER_MESSAGE;
                }
            }
            Op::Reconcile(with) => {
                let mut desired = self.desired.clone();
                if !with {
                    desired.neighbors.clear();
                }
                let _ = self.speaker.reconcile(self.now, &desired);
                self.allowed += OUTPUT_PER_MESSAGE;
            }
        }
        assert!(self.output <= self.allowed, "{} octets came out", self.output);
    }

    fn accept(&mut self) {
        let port = 40000 + self.conns.len() as u16;
        let remote = ([10, 0, 0, 2], port).into();
        let conn = self.speaker.handle_accepted(self.now, remote, ([10, 0, 0, 1], 179).into(), None);
        self.conns.push(conn);
        self.allowed += OUTPUT_PER_MESSAGE;
    }

    fn bytes(&mut self, octets: &[u8]) {
        self.allowed += OUTPUT_PER_MESSAGE * (1 + octets.len() / 19);
        if let Some(&conn) = self.conns.last() {
            self.speaker.handle_bytes(self.now, conn, octets);
        }
    }

    fn timeout(&mut self) {
        self.allowed += OUTPUT_PER_MESSAGE;
        self.speaker.handle_timeout(self.now);
        let next = self.speaker.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "{next:?} after handle_timeout({:?})", self.now);
    }

    fn transmit(&mut self, limit: usize, times: usize) {
        for index in 0..self.conns.len() {
            for _ in 0..times {
                match self.speaker.poll_transmit(self.now, self.conns[index], limit) {
                    Some(octets) => {
                        assert!(!octets.is_empty() && octets.len() <= limit.max(65535));
                        self.output += octets.len();
                    }
                    None => break,
                }
            }
        }
    }

    fn poll(&mut self) {
        for _ in 0..10_000 {
            match self.speaker.poll_action() {
                Some(Action::Connect { conn, .. }) => self.wanted.push(conn),
                Some(Action::Writable(_)) => self.transmit(65536, 1000),
                Some(Action::Close(conn)) => {
                    self.transmit(65536, 1000);
                    self.conns.retain(|other| *other != conn);
                    self.wanted.retain(|other| *other != conn);
                }
                Some(_) => {}
                None => break,
            }
        }
        while self.speaker.poll_event().is_some() {}
        while self.speaker.work(self.now, 100) {}
    }

    /// Afterwards the speaker still works: without its neighbour nothing is left of it.
    fn finish(&mut self) {
        self.poll();
        let mut desired = self.desired.clone();
        desired.neighbors.clear();
        desired.originate.clear();
        let _ = self.speaker.reconcile(self.now, &desired);
        self.poll();
        self.timeout();
        self.poll();
        for family in [peerage_core::wire::Family::IPV4_UNICAST, peerage_core::wire::Family::IPV6_UNICAST] {
            assert_eq!(self.speaker.rib().len(family), 0, "routes of a neighbour that is gone");
        }
        assert!(self.speaker.neighbors().is_empty());
    }
}
