//! A peer that is a plain blocking socket: it says what it is told to, right or wrong.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use ipnet::IpNet;
use peerage_core::wire::{
    self, Asn, Capability, Family, MAX_LEN, MessageKind, Notification, Open, RouterId, Update,
    attr::{AsPath, code, flag},
    nlri,
};
use socket2::{Domain, Socket, Type};

use crate::bed::{PATIENCE, asn, host, identifier, wait};

/// What a raw peer reads.
#[derive(Debug)]
pub(crate) enum Message {
    Open,
    Update(Vec<u8>),
    Notification(Notification),
    Keepalive,
    Refresh,
    /// The other end closed.
    End,
    /// The other end reset.
    Reset,
}

/// A peer at 127.0.0.N: AS 65000 + N.
pub(crate) struct RawPeer {
    number: u8,
    pub(crate) stream: TcpStream,
    /// Read and not taken yet.
    pending: Vec<u8>,
}

impl RawPeer {
    /// Connects from 127.0.0.`number`.
    pub(crate) fn connect(number: u8, to: SocketAddr) -> Self {
        Self::connect_with(number, to, None)
    }

    /// Connects with a receive buffer of about this many octets, so that the sender soon has to wait.
    pub(crate) fn connect_with(number: u8, to: SocketAddr, buffer: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        if let Some(size) = buffer {
            socket.set_recv_buffer_size(size).expect("a receive buffer of this size");
        }
        socket.bind(&SocketAddr::new(host(number), 0).into()).expect("127.0.0.0/8 is local");
        socket.connect(&to.into()).expect("the node listens");
        Self { number, stream: socket.into(), pending: Vec::new() }
    }

    /// Takes the connection that the node opens to `listener`.
    pub(crate) fn accept(number: u8, listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).expect("it is a socket");
        let (stream, _) = wait("the node to connect", || listener.accept().ok());
        stream.set_nonblocking(false).expect("it is a socket");
        Self { number, stream, pending: Vec::new() }
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("it is connected")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the node reads");
    }

    /// Sends an OPEN.
    pub(crate) fn open(&mut self, hold_time: u16) {
        let mut open = Vec::new();
        Open {
            my_as: asn(self.number).as_u16_or_trans(),
            hold_time,
            router_id: RouterId::from(identifier(self.number)),
            capabilities: vec![
                Capability::Multiprotocol(Family::IPV4_UNICAST),
                Capability::FourOctetAs(asn(self.number)),
            ],
        }
        .encode(&mut open);
        self.send(&open);
    }

    pub(crate) fn expect_open(&mut self) {
        match self.next() {
            Message::Open => {}
            other => panic!("expected an OPEN: {other:?}"),
        }
    }

    pub(crate) fn expect_keepalive(&mut self) {
        match self.next() {
            Message::Keepalive => {}
            other => panic!("expected a KEEPALIVE: {other:?}"),
        }
    }

    /// Sends an OPEN, reads one, and exchanges KEEPALIVEs.
    pub(crate) fn handshake(&mut self, hold_time: u16) {
        self.open(hold_time);
        self.expect_open();
        self.send(&wire::KEEPALIVE);
        self.expect_keepalive();
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> Message {
        self.next_by(64 << 10, || {})
    }

    /// The next message, read at most `step` octets at a time, with `pause` after each.
    pub(crate) fn next_by(&mut self, step: usize, mut pause: impl FnMut()) -> Message {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = vec![0; step];
        loop {
            if let Some((message, len)) = parse(&self.pending) {
                self.pending.drain(..len);
                return message;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {PATIENCE:?} for a message");
            self.stream.set_read_timeout(Some(left)).expect("a timeout");
            match self.stream.read(&mut buffer) {
                Ok(0) => return Message::End,
                Ok(len) => self.pending.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Message::Reset,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("reading failed: {error}"),
            }
            pause();
        }
    }

    /// Passes over everything up to a NOTIFICATION.
    pub(crate) fn next_notification(&mut self) -> Notification {
        loop {
            match self.next() {
                Message::Notification(notification) => return notification,
                Message::End | Message::Reset => panic!("the connection ended without a NOTIFICATION"),
                _ => {}
            }
        }
    }

    /// The NOTIFICATION that ends the connection, and that it ends well: closed, not reset.
    pub(crate) fn expect_end(&mut self, code: u8, subcode: u8) -> Notification {
        let notification = self.next_notification();
        assert_eq!((notification.code, notification.subcode), (code, subcode), "{notification:?}");
        match self.next() {
            Message::End => notification,
            other => panic!("expected the end after the NOTIFICATION: {other:?}"),
        }
    }

    /// Announces prefixes with its identifier as the next hop.
    pub(crate) fn announce(&mut self, prefixes: &[IpNet]) {
        let message = self.update(prefixes);
        self.send(&message);
    }

    /// An UPDATE that announces prefixes.
    pub(crate) fn update(&self, prefixes: &[IpNet]) -> Vec<u8> {
        let mut path = Vec::new();
        AsPath::sequence([Asn(asn(self.number).0)]).encode(&mut path);
        let mut attributes = Vec::new();
        wire::attr::write(flag::TRANSITIVE, code::ORIGIN, &[0], &mut attributes);
        wire::attr::write(flag::TRANSITIVE, code::AS_PATH, &path, &mut attributes);
        wire::attr::write(
            flag::TRANSITIVE,
            code::NEXT_HOP,
            &identifier(self.number).octets(),
            &mut attributes,
        );

        let mut message = Vec::new();
        let start = wire::begin_message(&mut message, MessageKind::Update);
        message.extend_from_slice(&[0, 0]);
        let len = u16::try_from(attributes.len()).expect("few attributes");
        message.extend_from_slice(&len.to_be_bytes());
        message.extend_from_slice(&attributes);
        for prefix in prefixes {
            nlri::encode(*prefix, &mut message);
        }
        wire::finish_message(&mut message, start);
        message
    }

    /// Ends the connection with a FIN.
    pub(crate) fn close(self) {
        self.stream.shutdown(Shutdown::Both).expect("it is connected");
    }

    /// Ends the connection with a RST.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
    }
}

fn parse(stream: &[u8]) -> Option<(Message, usize)> {
    let frame = wire::frame(stream, MAX_LEN).expect("the node's messages have good headers")?;
    let good = "the node's messages are well formed";
    let message = match frame.kind {
        MessageKind::Open => {
            Open::decode(frame.body).expect(good);
            Message::Open
        }
        MessageKind::Update => {
            Update::split(frame.body).expect(good);
            Message::Update(frame.body.to_vec())
        }
        MessageKind::Notification => Message::Notification(Notification::decode(frame.body).expect(good)),
        MessageKind::Keepalive => Message::Keepalive,
        MessageKind::RouteRefresh => Message::Refresh,
    };
    Some((message, frame.len))
}
