//! When the lab has converged, and what is missing until then.
//!
//! Converged: every session that both ends configure is Established, what one end announced the other
//! has received, every route that connectivity implies is in its table, and all of that has stood still
//! for a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use peerage_core::speaker::{Desired, NeighborKey, NeighborStatus, PeerState};

use super::{
    expect,
    stop::Stop,
    world::{FAMILY, Member, World},
};

/// How often is looked.
const STEP: Duration = Duration::from_millis(20);
/// How long everything has to stand still.
const STILL: Duration = Duration::from_millis(200);

/// One end of a session: which speaker, and what it calls the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    /// Index of the speaker.
    pub(super) member: usize,
    /// Its neighbour.
    pub(super) key: NeighborKey,
}

/// A speaker as it was looked at.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) name: String,
    pub(super) machine: usize,
    pub(super) router: bool,
    pub(super) desired: Desired,
    status: BTreeMap<NeighborKey, NeighborStatus>,
    prefixes: BTreeSet<IpNet>,
    version: u64,
}

/// What of a speaker has to stand still: its table's version, its neighbours' states and counts.
type Figures = (u64, Vec<(PeerState, u32, u32)>);

/// All speakers, as they were looked at one after the other.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) looks: Vec<Look>,
}

/// Waits until the lab has converged; else says what is missing.
pub(crate) fn wait(world: &World, deadline: Instant, stop: &Stop) -> Result<(), Vec<String>> {
    let mut still_since = Instant::now();
    let mut last = None;
    loop {
        let view = View::take(world);
        let missing = view.missing(world);
        let figures = view.figures();
        if last.as_ref() != Some(&figures) || !missing.is_empty() {
            still_since = Instant::now();
        }
        last = Some(figures);
        if missing.is_empty() && still_since.elapsed() >= STILL {
            return Ok(());
        }
        if stop.requested() || Instant::now() >= deadline {
            return Err(if missing.is_empty() {
                vec!["the tables do not stand still; give them more time with --timeout".into()]
            } else {
                missing
            });
        }
        thread::sleep(STEP);
    }
}

impl View {
    fn take(world: &World) -> Self {
        Self { looks: world.members().iter().filter_map(|member| Look::take(world, member)).collect() }
    }

    /// Sessions and routes that should be there and are not, in words.
    fn missing(&self, world: &World) -> Vec<String> {
        let sessions = self.sessions(world);
        let mut missing = Vec::new();
        for (here, there) in &sessions {
            if self.state(here) != PeerState::Established || self.state(there) != PeerState::Established {
                missing.push(self.session_text(here, Some(there)));
            } else {
                for (from, to) in [(here, there), (there, here)] {
                    let (sent, received) = (self.advertised(from), self.received(to));
                    if sent != received {
                        missing.push(format!(
                            "routes from {} to {}: {received} of {sent} received",
                            self.name(from),
                            self.name(to)
                        ));
                    }
                }
            }
        }
        missing.extend(self.alone(world, &sessions).iter().map(|end| self.session_text(end, None)));
        for (look, expected) in self.looks.iter().zip(expect::tables(self, &sessions)) {
            for prefix in expected.difference(&look.prefixes) {
                missing.push(format!("route {prefix} on {}", look.name));
            }
            for prefix in look.prefixes.difference(&expected) {
                missing.push(format!("route {prefix} on {}: it is there and should not be", look.name));
            }
        }
        missing
    }

    /// Pairs of ends that are configured for each other, and where one can dial the other.
    fn sessions(&self, world: &World) -> Vec<(End, End)> {
        let mut sessions = Vec::new();
        for (member, look) in self.looks.iter().enumerate() {
            for (key, neighbor) in &look.desired.neighbors {
                if neighbor.shutdown {
                    continue;
                }
                let here = End { member, key: key.clone() };
                let there = match key {
                    NeighborKey::Interface(interface) => self.across(world, look, interface),
                    NeighborKey::Address(_) => self.opposite(world, &here),
                    NeighborKey::Range(_) => None,
                };
                // Each pair is found from both ends; one is enough.
                if let Some(there) = there.filter(|there| here < *there) {
                    sessions.push((here, there));
                }
            }
        }
        sessions
    }

    /// Who is configured for an unnumbered link at its other end.
    fn across(&self, world: &World, look: &Look, interface: &str) -> Option<End> {
        let link = world.fabric.machines().get(look.machine)?.link(interface)?;
        let key = NeighborKey::Interface(link.peer_interface.clone());
        let member = self.looks.iter().position(|other| {
            other.machine == link.peer
                && other.desired.neighbors.get(&key).is_some_and(|neighbor| !neighbor.shutdown)
        })?;
        Some(End { member, key })
    }

    /// Who is configured for this end, for neighbours known by their addresses.
    fn opposite(&self, world: &World, here: &End) -> Option<End> {
        for (member, look) in self.looks.iter().enumerate() {
            for (key, neighbor) in &look.desired.neighbors {
                let there = End { member, key: key.clone() };
                if member != here.member
                    && !neighbor.shutdown
                    && (self.reaches(world, here, &there) || self.reaches(world, &there, here))
                {
                    return Some(there);
                }
            }
        }
        None
    }

    /// Whether `from` can dial `to`, who listens and knows the source address.
    fn reaches(&self, world: &World, from: &End, to: &End) -> bool {
        let (Some(dialler), Some(listener)) = (self.looks.get(from.member), self.looks.get(to.member)) else {
            return false;
        };
        let (NeighborKey::Address(target), NeighborKey::Address(known)) = (&from.key, &to.key) else {
            return false;
        };
        listener.router
            && world.fabric.way(dialler.machine, *target).is_some_and(|(source, owner)| {
                let local =
                    dialler.desired.neighbors.get(&from.key).and_then(|neighbor| neighbor.local_address);
                owner == listener.machine && local.unwrap_or(source) == *known
            })
    }

    /// Sessions that an agent is told to open and nobody is configured for, and those of a link between
    /// routers that is configured at one end only. Others of a router may wait for a node that has no
    /// policy yet.
    fn alone(&self, world: &World, sessions: &[(End, End)]) -> Vec<End> {
        let paired: BTreeSet<&End> = sessions.iter().flat_map(|(here, there)| [here, there]).collect();
        let mut alone = Vec::new();
        let between_routers = |look: &Look, key: &NeighborKey| {
            let NeighborKey::Interface(interface) = key else { return false };
            let link = world.fabric.machines().get(look.machine).and_then(|machine| machine.link(interface));
            link.is_some_and(|link| self.looks.iter().any(|other| other.router && other.machine == link.peer))
        };
        for (member, look) in self.looks.iter().enumerate() {
            let open = look.desired.neighbors.iter().filter(|(_, neighbor)| !neighbor.shutdown);
            let open = open.filter(|(key, _)| !look.router || between_routers(look, key));
            alone.extend(
                open.map(|(key, _)| End { member, key: key.clone() }).filter(|end| !paired.contains(end)),
            );
        }
        alone
    }

    fn status(&self, end: &End) -> Option<&NeighborStatus> {
        self.looks.get(end.member)?.status.get(&end.key)
    }

    fn state(&self, end: &End) -> PeerState {
        self.status(end).map_or(PeerState::Idle, |status| status.state)
    }

    fn advertised(&self, end: &End) -> u32 {
        self.status(end).and_then(|status| status.routes.get(&FAMILY)).map_or(0, |counts| counts.advertised)
    }

    fn received(&self, end: &End) -> u32 {
        self.status(end).and_then(|status| status.routes.get(&FAMILY)).map_or(0, |counts| counts.received)
    }

    fn name(&self, end: &End) -> &str {
        self.looks.get(end.member).map_or("", |look| look.name.as_str())
    }

    /// `session tor0 10.0.1.2 - clab-... 10.0.0.1: Active; the last error at tor0: ...`
    fn session_text(&self, here: &End, there: Option<&End>) -> String {
        let side = |end: &End| format!("{} (neighbor {})", self.name(end), end.key);
        let mut text = match there {
            Some(there) => format!(
                "session {} - {}: {} - {}",
                side(here),
                side(there),
                self.state(here),
                self.state(there)
            ),
            None => {
                format!("session {}: {}; nobody there is configured for it", side(here), self.state(here))
            }
        };
        for end in [Some(here), there].into_iter().flatten() {
            if let Some(error) = self.status(end).and_then(|status| status.last_error.as_ref()) {
                text += &format!("; last at {}: {error}", self.name(end));
            }
        }
        text
    }

    /// What has to stand still: states, counts and tables. KEEPALIVEs and clocks go on.
    fn figures(&self) -> Vec<Figures> {
        let of = |look: &Look| {
            let neighbors = look.status.values().map(|status| {
                let counts = status.routes.get(&FAMILY).copied().unwrap_or_default();
                // A neighbour that is dialled in vain goes back and forth between two states.
                let state = if status.state == PeerState::Connect { PeerState::Active } else { status.state };
                (state, counts.received, counts.advertised)
            });
            (look.version, neighbors.collect())
        };
        self.looks.iter().map(of).collect()
    }
}

impl Look {
    fn take(world: &World, member: &Arc<Member>) -> Option<Self> {
        member.node.with(|speaker, _| {
            let routes = speaker.rib().routes(FAMILY);
            Some(Self {
                name: world.name(member),
                machine: member.machine,
                router: member.instance.is_none(),
                desired: speaker.desired()?.clone(),
                status: speaker.neighbors().into_iter().map(|status| (status.key.clone(), status)).collect(),
                prefixes: routes
                    .into_iter()
                    .filter(|route| route.best().is_some())
                    .map(|route| route.prefix)
                    .collect(),
                version: speaker.rib().version(FAMILY),
            })
        })
    }
}
