//! Invariant 10: both sides dial at once (RFC 4271 §6.8). Every order in which the two handshakes can
//! run is played; both ends keep the same connection, and exactly one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{Hash as _, Hasher as _},
};

use peerage_core::{
    Speaker,
    speaker::{Action, CloseReason, ConnId, Desired, PeerState},
    time::Instant,
};
use peerage_sim::{Neighbors as _, World, cases, desired, external, internal};

/// Something that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Choice {
    /// The SYN of side `0` or `1` arrives.
    Syn(usize),
    /// The dialler learns that its connection is open.
    Open(usize),
    /// What waits from an end of a connection arrives: (who dialled it, who wrote).
    Deliver(usize, usize),
}

/// A connection: who calls it what, and what is under way from each side.
#[derive(Debug, Default)]
struct Link {
    names: [Option<ConnId>; 2],
    accepted: bool,
    opened: bool,
    under_way: [VecDeque<Vec<u8>>; 2],
    closed: [bool; 2],
    told: [bool; 2],
}

struct Pair {
    speakers: [Speaker; 2],
    now: Instant,
    /// Connections by who dialled them. Later dials are not let through.
    links: [Link; 2],
    addresses: [[u8; 4]; 2],
}

impl Pair {
    fn new(wanted: [&Desired; 2]) -> Self {
        let now = Instant::from_micros(1_000_000);
        let addresses = [[10, 0, 0, 1], [10, 0, 0, 2]];
        let speakers = [0, 1].map(|side| {
            let mut speaker = Speaker::new([side as u8 + 1; 32], now);
            speaker.reconcile(now, wanted[side]).expect("no faults");
            speaker.release(now);
            speaker
        });
        let mut pair = Self { speakers, now, links: Default::default(), addresses };
        // Until both have dialled.
        for _ in 0..20 {
            pair.pump();
            if (0..2).all(|side| pair.links[side].names[side].is_some()) {
                return pair;
            }
            for speaker in &mut pair.speakers {
                if let Some(at) = speaker.poll_timeout().filter(|at| at.as_micros() < 20_000_000) {
                    pair.now = pair.now.max(at);
                    speaker.handle_timeout(pair.now);
                }
            }
        }
        panic!("both never dial");
    }

    fn pump(&mut self) {
        for _ in 0..100 {
            let mut idle = true;
            for side in 0..2 {
                while let Some(action) = self.speakers[side].poll_action() {
                    idle = false;
                    match action {
                        Action::Connect { conn, .. } if self.links[side].names[side].is_none() => {
                            self.links[side].names[side] = Some(conn);
                        }
                        Action::Connect { conn, .. } => {
                            self.speakers[side].handle_closed(self.now, conn, CloseReason::Refused);
                        }
                        Action::Writable(conn) => self.transmit(side, conn),
                        Action::Close(conn) => {
                            self.transmit(side, conn);
                            if let Some(link) = self.link(side, conn) {
                                self.links[link].closed[side] = true;
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
                while self.speakers[side].poll_event().is_some() {}
            }
            if idle {
                return;
            }
        }
        panic!("the pair never comes to rest");
    }

    fn link(&self, side: usize, conn: ConnId) -> Option<usize> {
        (0..2).find(|&link| self.links[link].names[side] == Some(conn))
    }

    fn transmit(&mut self, side: usize, conn: ConnId) {
        while let Some(octets) = self.speakers[side].poll_transmit(self.now, conn, 65536) {
            let Some(link) = self.link(side, conn) else { continue };
            // One message at a time: each may arrive by itself.
            let mut rest = &octets[..];
            while rest.len() >= 19 {
                let (message, after) = rest.split_at(usize::from(u16::from_be_bytes([rest[16], rest[17]])));
                self.links[link].under_way[side].push_back(message.to_vec());
                rest = after;
            }
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        for dialler in 0..2 {
            let link = &self.links[dialler];
            if link.names[dialler].is_some() && !link.accepted && !link.closed[dialler] {
                choices.push(Choice::Syn(dialler));
            }
            if link.accepted && !link.opened && !link.closed[dialler] {
                choices.push(Choice::Open(dialler));
            }
            for writer in 0..2 {
                let reader = 1 - writer;
                let something = !link.under_way[writer].is_empty()
                    || (link.closed[writer] && !link.told[reader] && link.accepted);
                let ready = link.accepted && (link.opened || reader != dialler);
                if something && ready && !link.closed[reader] {
                    choices.push(Choice::Deliver(dialler, writer));
                }
            }
        }
        choices
    }

    fn choose(&mut self, choice: Choice) {
        // Time stands still: two orders that come to the same are the same.
        let now = self.now;
        match choice {
            Choice::Syn(dialler) => {
                let port = 40000 + dialler as u16;
                let conn = self.speakers[1 - dialler].handle_accepted(
                    now,
                    (self.addresses[dialler], port).into(),
                    (self.addresses[1 - dialler], 179).into(),
                    None,
                );
                self.links[dialler].names[1 - dialler] = Some(conn);
                self.links[dialler].accepted = true;
            }
            Choice::Open(dialler) => {
                self.links[dialler].opened = true;
                let conn = self.links[dialler].names[dialler].unwrap();
                let local = (self.addresses[dialler], 40000 + dialler as u16).into();
                self.speakers[dialler].handle_connected(now, conn, local);
            }
            Choice::Deliver(dialler, writer) => {
                let reader = 1 - writer;
                let conn = self.links[dialler].names[reader].unwrap();
                match self.links[dialler].under_way[writer].pop_front() {
                    Some(octets) => self.speakers[reader].handle_bytes(now, conn, &octets),
                    None => {
                        self.links[dialler].told[reader] = true;
                        self.links[dialler].closed[reader] = true;
                        self.speakers[reader].handle_closed(now, conn, CloseReason::Closed);
                    }
                }
            }
        }
        self.pump();
    }

    /// Everything there is, as a number.
    fn state(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        format!("{:?} {:?}", self.speakers, self.links).hash(&mut hasher);
        hasher.finish()
    }

    /// What is left: who dialled the connection that both call established.
    fn survivor(&self) -> Result<usize, String> {
        let states: Vec<_> = self.speakers.iter().map(|speaker| speaker.neighbors()[0].state).collect();
        let open: Vec<usize> = (0..2)
            .filter(|&link| {
                let link = &self.links[link];
                link.opened && !link.closed[0] && !link.closed[1]
            })
            .collect();
        let half: Vec<usize> = (0..2)
            .filter(|&link| {
                let link = &self.links[link];
                link.accepted && link.closed[0] != link.closed[1]
            })
            .collect();
        match (&states[..], &open[..], &half[..]) {
            ([PeerState::Established, PeerState::Established], [link], []) => Ok(*link),
            _ => Err(format!("states {states:?}, open {open:?}, half open {half:?}")),
        }
    }
}

/// Every state that any order of events leads to, from scratch each time (a speaker cannot be copied);
/// states that two orders share are followed once. Returns how often each connection survives at an end,
/// and how many states there are.
fn explore(wanted: [&Desired; 2]) -> (BTreeMap<usize, usize>, usize) {
    let mut survivors: BTreeMap<usize, usize> = BTreeMap::new();
    let mut seen: BTreeSet<u64> = BTreeSet::new();
    let mut stack: Vec<Vec<Choice>> = vec![vec![]];
    while let Some(path) = stack.pop() {
        let mut pair = Pair::new(wanted);
        path.iter().for_each(|choice| pair.choose(*choice));
        if !seen.insert(pair.state()) {
            continue;
        }
        let choices = pair.choices();
        if choices.is_empty() {
            let survivor = pair.survivor().unwrap_or_else(|wrong| panic!("{wrong} after {path:?}"));
            *survivors.entry(survivor).or_default() += 1;
        }
        assert!(path.len() < 100, "it goes on and on: {path:?}");
        stack.extend(choices.into_iter().map(|choice| [&path[..], &[choice]].concat()));
    }
    (survivors, seen.len())
}

fn pair(asns: [u32; 2], ids: [[u8; 4]; 2]) -> [Desired; 2] {
    [0, 1].map(|side| {
        let other = asns[1 - side];
        let neighbor = if asns[side] == other { internal() } else { external(other) };
        desired(asns[side], ids[side].into()).neighbor(&format!("10.0.0.{}", 2 - side), neighbor)
    })
}

#[test]
fn higher_identifier_wins() {
    for (ids, winner) in [([[10, 0, 0, 9], [10, 0, 0, 2]], 0), ([[10, 0, 0, 2], [10, 0, 0, 9]], 1)] {
        for asns in [[65001, 65002], [65001, 65001]] {
            let wanted = pair(asns, ids);
            let (survivors, states) = explore([&wanted[0], &wanted[1]]);
            println!("{states} states, survivors {survivors:?}");
            // Where one handshake is over before the other begins there is no collision: the second
            // connection is refused. So both occur, but the collision itself has one winner.
            assert!(survivors.contains_key(&winner), "{survivors:?}");
        }
    }
}

#[test]
fn equal_identifiers_are_decided_by_the_as() {
    for (asns, winner) in [([65009, 65002], 0), ([65002, 65009], 1)] {
        let wanted = pair(asns, [[10, 0, 0, 7], [10, 0, 0, 7]]);
        let (survivors, states) = explore([&wanted[0], &wanted[1]]);
        println!("{states} states, survivors {survivors:?}");
        assert!(survivors.contains_key(&winner), "{survivors:?}");
    }
}

/// Both OPENs under way before either arrives: the textbook case, whose winner is fixed.
#[test]
fn the_textbook_collision() {
    for (ids, winner) in [([[10, 0, 0, 9], [10, 0, 0, 2]], 0), ([[10, 0, 0, 2], [10, 0, 0, 9]], 1)] {
        let wanted = pair([65001, 65002], ids);
        for first in [0, 1] {
            let mut pair = Pair::new([&wanted[0], &wanted[1]]);
            for dialler in [first, 1 - first] {
                pair.choose(Choice::Syn(dialler));
            }
            for dialler in [first, 1 - first] {
                pair.choose(Choice::Open(dialler));
            }
            while let Some(&choice) = pair.choices().first() {
                pair.choose(choice);
            }
            assert_eq!(pair.survivor(), Ok(winner));
        }
    }
}

/// In worlds, with everything that a network does.
#[test]
fn networks_keep_one_connection() {
    cases(30, |seed| {
        let mut world = World::new(seed);
        if seed % 3 == 0 {
            world.late(core::time::Duration::from_millis(30));
        }
        world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65001);
        world.peer("a", "b").peer("b", "c").peer("a", "c");
        world.originate("a", "10.1.0.0/16").start().settle();
        let pairs = [("a", "b"), ("b", "c"), ("a", "c")];
        for (one, other) in pairs {
            assert!(world.established(one, other));
            assert_eq!(world.open_connections(one, other), 1);
        }
        let sessions: BTreeSet<_> =
            pairs.iter().map(|(one, other)| world.status(one, other).session.unwrap().remote).collect();
        assert_eq!(sessions.len(), 3);
    });
}
