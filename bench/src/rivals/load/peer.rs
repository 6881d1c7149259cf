//! One emulated peer: its session, and what it has to write.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use peerage_core::wire::{
    Asn, Capability, Family, Frame, KEEPALIVE, MAX_LEN, MessageKind, Notification, Open, RouterId, Update,
    frame,
};
use socket2::{Domain, Socket, Type};

use super::{expect::Expect, receiver::Receiver};

/// Seconds without a word after which a session ends.
const HOLD: u16 = 90;
/// Most octets written to one socket before the others have their turn.
const SLICE: usize = 256 * 1024;
/// Between attempts to connect.
const RETRY: Duration = Duration::from_millis(50);

/// Who a peer is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) asn: u32,
    pub(crate) local: IpAddr,
    /// The speaker under test.
    pub(crate) remote: SocketAddr,
}

/// What a peer does.
pub(crate) enum Role {
    /// Sends; what it is told is not looked at.
    Sender,
    /// Checks what it is told.
    Receiver(Receiver),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    OpenSent,
    OpenConfirm,
    Established,
}

/// A peer.
pub(crate) struct Peer {
    pub(crate) role: Role,
    endpoint: Endpoint,
    state: State,
    stream: Option<TcpStream>,
    /// Goes before the feed.
    control: VecDeque<u8>,
    feed: Option<(Arc<[u8]>, usize)>,
    /// The beginning of a message.
    partial: Vec<u8>,
    /// When to connect, or to send a KEEPALIVE.
    due: Instant,
}

impl Peer {
    pub(crate) fn new(endpoint: Endpoint, role: Role) -> Self {
        Self {
            role,
            endpoint,
            state: State::Idle,
            stream: None,
            control: VecDeque::new(),
            feed: None,
            partial: Vec::new(),
            due: Instant::now(),
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.state == State::Established
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    /// Whether there is anything to be written.
    pub(crate) fn is_writing(&self) -> bool {
        self.feed.is_some() || !self.control.is_empty()
    }

    /// Hands over whole messages, to be written after what is left of others.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.control.extend(message);
    }

    /// Hands over a feed.
    pub(crate) fn feed(&mut self, octets: Arc<[u8]>) {
        assert!(self.feed.is_none(), "one feed at a time");
        self.feed = Some((octets, 0));
    }

    /// Connects or keeps alive where that is due. True: there is a new stream.
    pub(crate) fn tick(&mut self, now: Instant) -> Result<bool> {
        if now < self.due {
            return Ok(false);
        }
        match self.state {
            State::Idle => {
                self.due = now + RETRY;
                // Not there yet: the speaker has just been started.
                let Ok(stream) = connect(&self.endpoint) else { return Ok(false) };
                self.stream = Some(stream);
                self.state = State::OpenSent;
                self.send_open();
                Ok(true)
            }
            State::Established if self.feed.is_none() => {
                self.due = now + Duration::from_secs(u64::from(HOLD) / 3);
                self.control.extend(KEEPALIVE);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// The capabilities are what both sides of an ordinary session have, and the same for all speakers.
    fn send_open(&mut self) {
        let Endpoint { asn, local, .. } = self.endpoint;
        let (family, id) = match local {
            IpAddr::V4(local) => (Family::IPV4_UNICAST, u32::from(local)),
            // 10.0.x.y, ascending with the address.
            IpAddr::V6(local) => (Family::IPV6_UNICAST, 10 << 24 | u128::from(local) as u32 & 0xffff),
        };
        let open = Open {
            my_as: Asn(asn).as_u16_or_trans(),
            hold_time: HOLD,
            router_id: RouterId(id),
            capabilities: vec![
                Capability::Multiprotocol(family),
                Capability::RouteRefresh,
                Capability::FourOctetAs(Asn(asn)),
            ],
        };
        let mut out = Vec::new();
        open.encode(&mut out);
        self.control.extend(out);
    }

    /// The connection is gone: before the session is up, the next one may do better.
    fn lost(&mut self, why: &str) -> Result<()> {
        let Endpoint { asn, local, .. } = self.endpoint;
        if self.state == State::Established {
            bail!("the session of {local} (AS {asn}) ended: {why}");
        }
        self.stream = None;
        self.control.clear();
        self.partial.clear();
        self.state = State::Idle;
        self.due = Instant::now() + RETRY;
        Ok(())
    }

    /// Writes what the socket takes, up to a slice.
    pub(crate) fn write(&mut self) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut budget = SLICE;
        let error = loop {
            let control = self.control.as_slices().0;
            let chunk = match &self.feed {
                _ if !control.is_empty() => control,
                Some((feed, at)) if budget > 0 => &feed[*at..(at + budget).min(feed.len())],
                _ => return Ok(()),
            };
            match stream.write(chunk) {
                Ok(len) if !control.is_empty() => drop(self.control.drain(..len)),
                Ok(len) => {
                    budget -= len;
                    self.feed = self.feed.take().map(|(feed, at)| (feed, at + len));
                    self.feed.take_if(|(feed, at)| *at == feed.len());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error,
            }
        };
        self.lost(&error.to_string())
    }

    /// Reads once, into a buffer that all peers use, and hears every message that is whole.
    pub(crate) fn read(&mut self, buffer: &mut [u8], expect: &Expect) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let kept = self.partial.len();
        buffer[..kept].copy_from_slice(&self.partial);
        let len = match stream.read(&mut buffer[kept..]) {
            Ok(0) => return self.lost("closed by the speaker"),
            Ok(len) => kept + len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return self.lost(&error.to_string()),
        };
        let now = Instant::now();
        let mut rest = &buffer[..len];
        while let Some(message) = frame(rest, MAX_LEN)? {
            self.hear(message, expect, now)?;
            rest = &rest[message.len..];
        }
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    #[inline]
    fn hear(&mut self, message: Frame<'_>, expect: &Expect, now: Instant) -> Result<()> {
        match (message.kind, self.state) {
            (MessageKind::Update, State::Established) => {
                let Role::Receiver(receiver) = &mut self.role else { return Ok(()) };
                receiver.update(expect, Update::split(message.body)?, now).map_err(|fault| {
                    anyhow::anyhow!("{} was told something wrong: {fault}", self.endpoint.local)
                })
            }
            (MessageKind::Open, State::OpenSent) => {
                self.state = State::OpenConfirm;
                self.control.extend(KEEPALIVE);
                Ok(())
            }
            (MessageKind::Keepalive, State::OpenConfirm) => {
                self.state = State::Established;
                self.due = now + Duration::from_secs(u64::from(HOLD) / 3);
                Ok(())
            }
            (MessageKind::Keepalive | MessageKind::RouteRefresh, State::Established) => Ok(()),
            (MessageKind::Notification, _) => {
                let text = Notification::decode(message.body)
                    .map_or_else(|_| "a NOTIFICATION that cannot be read".to_owned(), |it| format!("{it:?}"));
                self.lost(&text)
            }
            (kind, state) => bail!("{} was told {kind:?} in {state:?}", self.endpoint.local),
        }
    }
}

/// Connects from the peer's own address. On one machine that is done at once.
fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(endpoint.remote), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(endpoint.local, 0).into())?;
    socket.connect(&endpoint.remote.into())?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}
