//! Two speakers converge in memory: every message is printed octet by octet as it is sent, with the time,
//! which is virtual too. Nothing here opens a socket or reads a clock, so every run prints the same.
//!
//! Speaker `a` dials and announces, `b` only accepts and announces; later `a` takes a route back, the two
//! keep their session alive for a while, and `a` shuts down.

mod decode;

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use bytes::Bytes;
use peerage_core::{
    Speaker,
    policy::Policy,
    speaker::{
        Action, CloseReason, ConnId, Desired, Event, Neighbor, NeighborKey, Origination, PeerAs, SourceId,
    },
    time::Instant,
    wire::{Asn, Community, Family, attr::PathAttributes},
};

/// How long anything takes from one end to the other.
const LATENCY: Duration = Duration::from_millis(10);
/// Who wants the routes that `a` announces.
const SOURCE: SourceId = SourceId(1);

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

impl Side {
    fn name(self) -> char {
        match self {
            Self::A => 'a',
            Self::B => 'b',
        }
    }

    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its address; `a` dials from a port of its own.
    fn address(self) -> &'static str {
        match self {
            Self::A => "192.0.2.1:50000",
            Self::B => "192.0.2.2:179",
        }
    }
}

/// What arrives at an end of the connection.
enum Delivery {
    /// The other end dials.
    Dialled,
    /// The other end has accepted.
    Accepted,
    Bytes(Bytes),
    Closed,
}

/// One end: a speaker and its side of the only connection.
struct End {
    speaker: Speaker,
    conn: Option<ConnId>,
}

/// Two ends and what is on its way between them, by the time at which it arrives.
struct World<W> {
    now: Instant,
    a: End,
    b: End,
    wire: BTreeMap<(Instant, u64), (Side, Delivery)>,
    sent: u64,
    out: W,
}

fn main() -> ExitCode {
    match converge(io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What happens.
fn converge(out: impl Write) -> Result<(), Box<dyn Error>> {
    let mut world = World::new(out)?;
    let route = |prefix: &str, attributes: PathAttributes| -> Result<Origination, Box<dyn Error>> {
        Ok(Origination { prefix: prefix.parse()?, attributes })
    };
    let coloured =
        PathAttributes { communities: vec![Community::new(65001, 100)], ..PathAttributes::default() };
    let from_a = [
        route("198.51.100.0/24", PathAttributes::default())?,
        route("203.0.113.0/25", coloured.clone())?,
        route("203.0.113.128/25", coloured)?,
    ];
    world.a.speaker.originate(SOURCE, &from_a);
    world.b.speaker.originate(SOURCE, &[route("192.0.2.128/25", PathAttributes::default())?]);

    world.say("both sides know their neighbour and their routes")?;
    for end in [&mut world.a, &mut world.b] {
        end.speaker.release(world.now);
    }
    world.run_until(1)?;
    world.print_tables()?;

    world.say("a takes one route back")?;
    world.a.speaker.withdraw(SOURCE, &["203.0.113.128/25".parse()?]);
    world.run_until(2)?;
    world.print_tables()?;

    world.say("nothing happens for a while")?;
    world.run_until(31)?;

    world.say("a shuts down")?;
    world.a.speaker.shutdown(world.now, "maintenance");
    world.run_until(32)?;
    world.print_tables()
}

impl<W: Write> World<W> {
    fn new(out: W) -> Result<Self, Box<dyn Error>> {
        let now = Instant::ZERO;
        let end = |asn, side: Side, hostname: &str| -> Result<End, Box<dyn Error>> {
            let mut neighbor = Neighbor::new(PeerAs::External);
            neighbor.passive = side == Side::B;
            // Without policies, eBGP neither learns nor announces anything (RFC 8212).
            neighbor.import = Some(Policy::accept());
            neighbor.export = Some(Policy::accept());
            let (own, peer) = (ip(side)?, ip(side.other())?);
            let mut desired = Desired::new(Asn(asn), own.to_string().parse()?);
            desired.hostname = Some(hostname.to_owned());
            desired.neighbors.insert(NeighborKey::Address(peer), neighbor);
            let mut speaker = Speaker::new([side as u8; 32], now);
            speaker.reconcile(now, &desired)?;
            Ok(End { speaker, conn: None })
        };
        let (a, b) = (end(65001, Side::A, "alpha")?, end(4_200_000_002, Side::B, "beta")?);
        Ok(Self { now, a, b, wire: BTreeMap::new(), sent: 0, out })
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// The run loop: do what the speakers want done, then go to whatever comes next, an arrival or a timer.
    fn run_until(&mut self, seconds: u64) -> Result<(), Box<dyn Error>> {
        let end = Instant::ZERO + Duration::from_secs(seconds);
        loop {
            for side in [Side::A, Side::B] {
                let now = self.now;
                while self.end(side).speaker.work(now, 1000) {}
                while let Some(action) = self.end(side).speaker.poll_action() {
                    self.act(side, &action)?;
                }
                while let Some(event) = self.end(side).speaker.poll_event() {
                    self.print_event(side, &event)?;
                }
            }
            let arrival = self.wire.first_key_value().map(|(&(at, _), _)| at);
            let timers = [self.a.speaker.poll_timeout(), self.b.speaker.poll_timeout()];
            let next = arrival.into_iter().chain(timers.into_iter().flatten()).min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                if let Some((_, (side, delivery))) = self.wire.pop_first() {
                    self.deliver(side, delivery)?;
                }
            } else {
                for side in [Side::A, Side::B] {
                    let now = self.now;
                    self.end(side).speaker.handle_timeout(now);
                }
            }
        }
        self.now = end;
        Ok(())
    }

    /// What a speaker wants done.
    fn act(&mut self, side: Side, action: &Action) -> Result<(), Box<dyn Error>> {
        match *action {
            Action::Connect { conn, .. } => {
                self.end(side).conn = Some(conn);
                self.print(side, "connects")?;
                self.send(side, Delivery::Dialled);
            }
            Action::Writable(conn) => self.transmit(side, conn)?,
            Action::Close(conn) => {
                self.transmit(side, conn)?;
                self.print(side, "closes")?;
                self.send(side, Delivery::Closed);
            }
            _ => {}
        }
        Ok(())
    }

    /// Puts everything on the wire that a speaker has to say.
    fn transmit(&mut self, side: Side, conn: ConnId) -> Result<(), Box<dyn Error>> {
        let now = self.now;
        while let Some(bytes) = self.end(side).speaker.poll_transmit(now, conn, 65_536) {
            for (message, text) in decode::messages(&bytes) {
                let arrow = format!("-> {}  {text}", side.other().name());
                self.print(side, &arrow)?;
                for (row, octets) in message.chunks(16).enumerate() {
                    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                    writeln!(self.out, "{:16}{:04x}  {}", "", row * 16, digits.join(" "))?;
                }
            }
            self.send(side, Delivery::Bytes(bytes));
        }
        Ok(())
    }

    fn send(&mut self, from: Side, delivery: Delivery) {
        self.wire.insert((self.now + LATENCY, self.sent), (from.other(), delivery));
        self.sent += 1;
    }

    /// Something arrives.
    fn deliver(&mut self, side: Side, delivery: Delivery) -> Result<(), Box<dyn Error>> {
        let now = self.now;
        let (local, remote) = (side.address().parse()?, side.other().address().parse()?);
        let end = self.end(side);
        match (delivery, end.conn) {
            (Delivery::Dialled, _) => {
                end.conn = Some(end.speaker.handle_accepted(now, remote, local, None));
                self.print(side, "accepts")?;
                self.send(side, Delivery::Accepted);
            }
            (Delivery::Accepted, Some(conn)) => end.speaker.handle_connected(now, conn, local),
            (Delivery::Bytes(bytes), Some(conn)) => end.speaker.handle_bytes(now, conn, &bytes),
            (Delivery::Closed, Some(conn)) => end.speaker.handle_closed(now, conn, CloseReason::Closed),
            (_, None) => {}
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n# {text}\n")
    }

    fn print(&mut self, side: Side, text: &str) -> io::Result<()> {
        writeln!(self.out, "{:>10} s  {} {text}", self.now.to_string(), side.name())
    }

    fn print_event(&mut self, side: Side, event: &Event) -> io::Result<()> {
        match event {
            Event::PeerUp { asn, router_id, .. } => {
                self.print(side, &format!("is up with AS {asn}, router id {router_id}"))
            }
            Event::PeerDown { reason, .. } => self.print(side, &format!("is down: {reason}")),
            Event::EndOfRib { family, .. } => self.print(side, &format!("has all routes of {family}")),
            _ => Ok(()),
        }
    }

    fn print_tables(&mut self) -> Result<(), Box<dyn Error>> {
        for side in [Side::A, Side::B] {
            let routes = self.end(side).speaker.rib().routes(Family::IPV4_UNICAST);
            writeln!(self.out, "\nThe table of {}:", side.name())?;
            for route in routes {
                let Some(best) = route.best() else { continue };
                let how = match best.next_hop {
                    Some(next_hop) => format!("via {next_hop}, AS path {}", best.attributes.as_path),
                    None => "originated here".to_owned(),
                };
                writeln!(self.out, "  {:<20}{how}", route.prefix.to_string())?;
            }
        }
        Ok(())
    }
}

fn ip(side: Side) -> Result<std::net::IpAddr, std::net::AddrParseError> {
    Ok(side.address().parse::<std::net::SocketAddr>()?.ip())
}
