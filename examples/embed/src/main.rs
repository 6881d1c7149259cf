//! Peerage's core in a plain daemon: the standard library, threads, no async.
//!
//! One thread owns the [`Speaker`]. The others wait in blocking calls (to accept, to connect, to read, to
//! write) and tell it what came of them: a [`Fact`] each, over one bounded channel. None of them knows
//! anything about BGP, and the owner never blocks on a socket:
//!
//! - what a reader reads becomes `handle_bytes`; the channel's bound is what holds a fast peer back;
//! - a writer gets the next bytes only when it has written the last ones, so nothing queues up for a peer
//!   that does not read;
//! - between two facts the owner sleeps until `poll_timeout`.
//!
//! It dials one neighbour, accepts from it where told to, announces the given prefixes, and prints what it
//! learns: `+` for a route that is new or has changed, `-` for one that is gone.

mod args;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use args::Args;
use bytes::Bytes;
use ipnet::IpNet;
use peerage_core::{
    Speaker,
    policy::Policy,
    rib::PathOrigin,
    speaker::{Action, CloseReason, ConnId, Desired, Event, Faults, Neighbor, NeighborKey, PeerAs},
    time,
    wire::{Family, attr::PathAttributes},
};

/// How long a connection that is closed may take to deliver its last words.
const LINGER: Duration = Duration::from_secs(5);
/// How long TCP may take to connect.
const CONNECT: Duration = Duration::from_secs(20);
const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

/// What the threads tell the owner of the speaker.
enum Fact {
    Accepted(TcpStream),
    Connected(ConnId, io::Result<TcpStream>),
    Bytes(ConnId, Vec<u8>),
    Written(ConnId),
    Closed(ConnId, CloseReason),
}

/// An open connection.
struct Link {
    stream: Arc<TcpStream>,
    writer: Sender<Bytes>,
    /// The writer has not yet written what it was given.
    writing: bool,
    closing: bool,
}

/// The owner of the speaker.
struct Daemon {
    speaker: Speaker,
    start: Instant,
    facts: SyncSender<Fact>,
    connecting: BTreeSet<ConnId>,
    links: BTreeMap<ConnId, Link>,
    /// What was learned when it was last printed, and the table's version then.
    shown: BTreeMap<IpNet, String>,
    version: [u64; 2],
}

fn main() -> ExitCode {
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, facts) = mpsc::sync_channel(64);
    let mut daemon = Daemon::new(args, sender.clone())?;
    if let Some(address) = args.listen {
        let listener = TcpListener::bind(address)
            .map_err(|error| format!("cannot listen on {address}: {error}; try another --listen"))?;
        say(format_args!("listening on {}", listener.local_addr()?))?;
        thread::spawn(move || accept(&listener, &sender));
    }
    Ok(daemon.run(&facts)?)
}

/// What the command line asks for, as the speaker wants to hear it.
fn desired(args: &Args) -> Desired {
    let mut neighbor = Neighbor::new(PeerAs::Number(args.peer_as));
    neighbor.port = args.peer.port();
    neighbor.passive = args.passive;
    // What comes back is to be heard soon.
    neighbor.timers.connect_retry = Duration::from_secs(5);
    neighbor.timers.idle_hold = Duration::from_secs(1);
    // Without policies, eBGP neither learns nor announces anything (RFC 8212).
    neighbor.import = Some(Policy::accept());
    neighbor.export = Some(Policy::accept());
    let mut desired = Desired::new(args.asn, args.router_id);
    desired.neighbors.insert(NeighborKey::Address(args.peer.ip()), neighbor);
    desired.originate = args.announce.iter().map(|&prefix| (prefix, PathAttributes::default())).collect();
    desired
}

impl Daemon {
    fn new(args: &Args, facts: SyncSender<Fact>) -> Result<Self, Faults> {
        // The standard library's own hashers are seeded by the system: that is where the seed comes from.
        let mut seed = [0; 32];
        for word in seed.chunks_exact_mut(8) {
            word.copy_from_slice(&RandomState::new().hash_one(0_u8).to_le_bytes());
        }
        let start = Instant::now();
        let now = time::Instant::ZERO;
        let mut speaker = Speaker::new(seed, now);
        speaker.reconcile(now, &desired(args))?;
        speaker.release(now);
        let (connecting, links, shown) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { speaker, start, facts, connecting, links, shown, version: [0; 2] })
    }

    /// The run loop.
    fn run(&mut self, facts: &Receiver<Fact>) -> io::Result<()> {
        loop {
            let more = self.speaker.work(self.now(), 10_000);
            while let Some(action) = self.speaker.poll_action() {
                self.act(action);
            }
            while let Some(event) = self.speaker.poll_event() {
                tell(&event)?;
            }
            let fact = facts.try_recv().ok();
            let fact = if fact.is_some() || more {
                fact
            } else {
                self.show()?;
                facts.recv_timeout(self.until_timeout()).ok()
            };
            if let Some(fact) = fact {
                self.handle(fact);
            }
            self.speaker.handle_timeout(self.now());
        }
    }

    /// Core's time: microseconds since the start.
    fn now(&self) -> time::Instant {
        time::Instant::ZERO + self.start.elapsed()
    }

    fn until_timeout(&self) -> Duration {
        let timeout = self.speaker.poll_timeout();
        timeout.map_or(Duration::from_secs(60), |timeout| timeout.saturating_since(self.now()))
    }

    /// A fact from outside goes into the speaker.
    fn handle(&mut self, fact: Fact) {
        let now = self.now();
        match fact {
            Fact::Accepted(stream) => {
                // A connection that is gone already has no addresses.
                let Ok((remote, local)) = addresses(&stream) else { return };
                let conn = self.speaker.handle_accepted(now, remote, local, None);
                self.open(conn, stream);
            }
            // A connection that was given up meanwhile is no longer awaited.
            Fact::Connected(conn, result) if self.connecting.remove(&conn) => {
                match result.and_then(|stream| Ok((addresses(&stream)?.1, stream))) {
                    Ok((local, stream)) => {
                        self.speaker.handle_connected(now, conn, local);
                        self.open(conn, stream);
                    }
                    Err(error) => self.speaker.handle_closed(now, conn, reason(&error)),
                }
            }
            Fact::Connected(..) => {}
            Fact::Bytes(conn, bytes) => self.speaker.handle_bytes(now, conn, &bytes),
            Fact::Written(conn) => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.writing = false;
                    self.write(conn);
                }
            }
            Fact::Closed(conn, reason) => {
                self.links.remove(&conn);
                self.speaker.handle_closed(now, conn, reason);
            }
        }
    }

    /// What the speaker wants done.
    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { conn, target, .. } => {
                self.connecting.insert(conn);
                let facts = self.facts.clone();
                thread::spawn(move || {
                    let result = TcpStream::connect_timeout(&target.remote, CONNECT);
                    facts.send(Fact::Connected(conn, result))
                });
            }
            Action::Writable(conn) => self.write(conn),
            Action::Close(conn) => {
                self.connecting.remove(&conn);
                if let Some(link) = self.links.get_mut(&conn) {
                    link.closing = true;
                    let stream = Arc::clone(&link.stream);
                    thread::spawn(move || {
                        thread::sleep(LINGER);
                        stream.shutdown(Shutdown::Both)
                    });
                    self.write(conn);
                }
            }
            _ => {}
        }
    }

    /// Gives an idle writer the next bytes; what is closing is closed after the last ones.
    fn write(&mut self, conn: ConnId) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.writing) else { return };
        match self.speaker.poll_transmit(now, conn, 65_536) {
            Some(bytes) => link.writing = link.writer.send(bytes).is_ok(),
            // The peer has the time to read them: its end of the stream is left open until it closes.
            None if link.closing => drop(link.stream.shutdown(Shutdown::Write)),
            None => {}
        }
    }

    /// Gives a new connection its two threads.
    fn open(&mut self, conn: ConnId, stream: TcpStream) {
        let stream = Arc::new(stream);
        let (writer, chunks) = mpsc::channel();
        let (reading, facts) = (Arc::clone(&stream), self.facts.clone());
        thread::spawn(move || read(conn, &reading, &facts));
        let (writing, facts) = (Arc::clone(&stream), self.facts.clone());
        thread::spawn(move || write(conn, &writing, &chunks, &facts));
        self.links.insert(conn, Link { stream, writer, writing: false, closing: false });
    }

    /// Prints what has changed among the best routes that were learned.
    fn show(&mut self) -> io::Result<()> {
        let rib = self.speaker.rib();
        let version = FAMILIES.map(|family| rib.version(family));
        if version == self.version {
            return Ok(());
        }
        let mut learned = BTreeMap::new();
        for route in FAMILIES.into_iter().flat_map(|family| rib.routes(family)) {
            if let Some((best, next_hop)) = route.best().and_then(|best| Some((best, best.next_hop?)))
                && matches!(best.origin, PathOrigin::Peer { .. })
            {
                learned.insert(route.prefix, format!("via {next_hop}, AS path {}", best.attributes.as_path));
            }
        }
        for prefix in self.shown.keys().filter(|prefix| !learned.contains_key(prefix)) {
            say(format_args!("- {prefix}"))?;
        }
        for (prefix, how) in learned.iter().filter(|(prefix, how)| self.shown.get(prefix) != Some(how)) {
            say(format_args!("+ {prefix} {how}"))?;
        }
        (self.shown, self.version) = (learned, version);
        Ok(())
    }
}

/// Accepts connections for as long as there is a daemon.
fn accept(listener: &TcpListener, facts: &SyncSender<Fact>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if facts.send(Fact::Accepted(stream)).is_err() {
                    return;
                }
            }
            // Out of descriptors, most likely: that passes.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Reads a connection to its end.
fn read(conn: ConnId, mut stream: &TcpStream, facts: &SyncSender<Fact>) {
    let mut buffer = vec![0; 65_536];
    let reason = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break CloseReason::Closed,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if facts.send(Fact::Bytes(conn, bytes)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break reason(&error),
        }
    };
    // Nobody to tell is fine: then the daemon is gone.
    drop(facts.send(Fact::Closed(conn, reason)));
}

/// Writes what it is given, and says so.
fn write(conn: ConnId, mut stream: &TcpStream, chunks: &Receiver<Bytes>, facts: &SyncSender<Fact>) {
    while let Ok(bytes) = chunks.recv() {
        let fact = match stream.write_all(&bytes) {
            Ok(()) => Fact::Written(conn),
            Err(error) => Fact::Closed(conn, reason(&error)),
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}

/// Both ends of a connection. On a socket for both families an IPv4 address comes as an IPv6 one.
fn addresses(stream: &TcpStream) -> io::Result<(SocketAddr, SocketAddr)> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    Ok((plain(stream.peer_addr()?), plain(stream.local_addr()?)))
}

fn reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => CloseReason::Refused,
        io::ErrorKind::TimedOut => CloseReason::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => CloseReason::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::Reset,
        _ => CloseReason::Failed,
    }
}

/// Says what happened.
fn tell(event: &Event) -> io::Result<()> {
    match event {
        Event::PeerUp { key, asn, router_id, .. } => {
            say(format_args!("session up: {key}, AS {asn}, router id {router_id}"))
        }
        Event::PeerDown { key, reason, .. } => say(format_args!("session down: {key}: {reason}")),
        Event::AttemptFailed { key, reason, .. } => say(format_args!("no session: {key}: {reason}")),
        Event::Refused { remote } => say(format_args!("refused: {remote} is no neighbour")),
        Event::MalformedUpdates { count, fault, .. } => {
            say(format_args!("malformed: {count}, last {fault:?}"))
        }
        _ => Ok(()),
    }
}

/// Prints a line; where nobody reads it any more, that ends the program without a panic.
fn say(line: std::fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
