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
mod report;
mod threads;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    io,
    net::{Shutdown, TcpListener, TcpStream},
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
use peerage_core::{
    Speaker,
    policy::Policy,
    speaker::{Action, ConnId, Desired, Faults, Neighbor, NeighborKey, PeerAs},
    time,
    wire::attr::PathAttributes,
};
use report::{Shown, say, tell};
use threads::{Fact, accept, addresses, read, reason, write};

/// How long a connection that is closed may take to deliver its last words.
const LINGER: Duration = Duration::from_secs(5);
/// How long TCP may take to connect.
const CONNECT: Duration = Duration::from_secs(20);

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
    shown: Shown,
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
        let (connecting, links) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { speaker, start, facts, connecting, links, shown: Shown::default() })
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
                self.shown.update(self.speaker.rib())?;
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
}
