//! The BGP instances of one node, by name: a speaker for each one that is wanted, started, changed and
//! ended as that changes.
//!
//! Who wants what is decided elsewhere. What is wrong with one instance stops no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use peerage_core::speaker::{Desired, Plan};
use peerage_sockets::SocketSetup;

use crate::{
    cli::OnShutdown,
    node::{Node, Runtime},
};

/// How long ending sessions may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What peers are told of an instance that listens elsewhere from now on.
const MOVES: &str = "the local port changes";

const REFUSED: &str = "the speaker refuses this";

/// What an instance should be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What its speaker should do.
    pub(crate) desired: Desired,
    /// Where it listens.
    pub(crate) listen: Vec<SocketAddr>,
}

/// What a program has to say about instances of its.
pub(crate) trait Home {
    /// The sockets of one that starts.
    fn sockets(&self, name: &str) -> Arc<dyn SocketSetup>;

    /// One runs, and is not told yet what to be: the time for an event sink.
    fn started(&self, name: &str, wanted: &Wanted, node: &Node);

    /// One is about to be told what to be.
    fn telling(&self, name: &str, desired: &Desired) {
        let _ = (name, desired);
    }
}

/// What became of an instance.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It runs now, and did not before; or it runs anew.
    Started(Plan),
    /// It goes on, with these changes.
    Changed(Plan),
    /// It is not there any more: its sessions closed with Cease 6/3.
    Ended(Plan),
    /// It is not what it should be, and why.
    Failed {
        /// What is wrong, and what helps.
        why: String,
        /// What ran of it goes on; else it does not run.
        runs: bool,
    },
}

/// Instances that run.
#[derive(Debug)]
pub(crate) struct Instances {
    runtime: Runtime,
    /// One change at a time; looking at them goes on meanwhile.
    changing: Mutex<()>,
    running: Mutex<BTreeMap<String, Running>>,
}

#[derive(Clone, Debug)]
struct Running {
    node: Node,
    listen: Vec<SocketAddr>,
}

impl Instances {
    /// None yet.
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { runtime, changing: Mutex::default(), running: Mutex::default() }
    }

    /// Those that run, in order of their names.
    pub(crate) fn running(&self) -> Vec<(String, Node)> {
        self.lock().iter().map(|(name, running)| (name.clone(), running.node.clone())).collect()
    }

    /// Makes them what is wanted. Those in `held` go on as they are, wanted or not.
    pub(crate) fn apply(
        &self,
        wanted: &BTreeMap<String, Wanted>,
        held: &BTreeSet<String>,
        home: &dyn Home,
    ) -> Vec<(String, Outcome)> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // First: a peer is to be left by one instance before it is dialled by another.
        let unwanted: Vec<_> = {
            let mut running = self.lock();
            let names: Vec<_> = running
                .keys()
                .filter(|name| !wanted.contains_key(*name) && !held.contains(*name))
                .cloned()
                .collect();
            names.iter().filter_map(|name| running.remove_entry(name)).collect()
        };
        let mut outcomes = end(unwanted);
        self.make_way(wanted);
        for (name, wanted) in wanted {
            let outcome = self.make(name, wanted, home).unwrap_or_else(|error| Outcome::Failed {
                why: format!("{error:#}"),
                runs: self.lock().contains_key(name),
            });
            outcomes.push((name.clone(), outcome));
        }
        outcomes
    }

    /// Ends those that listen where another one, or what is to be in their place, has to listen: two that
    /// swap their ports would wait for each other for ever.
    fn make_way(&self, wanted: &BTreeMap<String, Wanted>) {
        let in_the_way: Vec<Running> = {
            let mut running = self.lock();
            let moving: Vec<&String> = wanted
                .iter()
                .filter(|(name, wanted)| running.get(*name).is_none_or(|known| known.listen != wanted.listen))
                .map(|(name, _)| name)
                .collect();
            let needed: BTreeSet<SocketAddr> =
                moving.iter().flat_map(|name| wanted[*name].listen.iter().copied()).collect();
            let blocks = |running: &Running| running.listen.iter().any(|address| needed.contains(address));
            let names: Vec<&String> =
                moving.into_iter().filter(|name| running.get(*name).is_some_and(blocks)).collect();
            names.into_iter().filter_map(|name| running.remove(name)).collect()
        };
        thread::scope(|scope| {
            for running in &in_the_way {
                scope.spawn(|| running.node.shutdown(MOVES, PATIENCE));
            }
        });
    }

    /// Makes one what is wanted.
    fn make(&self, name: &str, wanted: &Wanted, home: &dyn Home) -> Result<Outcome> {
        let known = self.lock().get(name).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.listen == wanted.listen) {
            // Nobody is told of what is refused.
            let planned = known.node.with(|speaker, _| speaker.plan(&wanted.desired));
            planned.context("the speaker refuses this")?;
            home.telling(name, &wanted.desired);
            let plan = tell(&known.node, &wanted.desired)?;
            // A TTL, for instance, is another one on a session that goes on.
            known.node.refresh_sockets();
            return Ok(Outcome::Changed(plan));
        }
        // Where it listens only a new one can change. That it can listen there, and be what is wanted, is
        // known first.
        let node = self.runtime.spawn(home.sockets(name), &wanted.listen)?;
        if let Err(faults) = node.with(|speaker, _| speaker.plan(&wanted.desired)) {
            node.shutdown("", PATIENCE);
            return Err(faults).context(REFUSED);
        }
        home.started(name, wanted, &node);
        if let Some(known) = &known {
            known.node.with(|speaker, now| speaker.shutdown(now, MOVES));
        }
        home.telling(name, &wanted.desired);
        let plan = tell(&node, &wanted.desired);
        // It listened before its neighbours were known.
        node.refresh_sockets();
        self.lock().insert(name.to_owned(), Running { node, listen: wanted.listen.clone() });
        if let Some(known) = known {
            known.node.shutdown(MOVES, PATIENCE);
        }
        Ok(Outcome::Started(plan?))
    }

    /// Ends all of them.
    pub(crate) fn shutdown(&self, how: OnShutdown, text: &str) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        thread::scope(|scope| {
            for (_, node) in self.running() {
                scope.spawn(move || node.end(how, text, PATIENCE));
            }
        });
    }

    /// A panic elsewhere was reported there; the map is whole after every step.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a speaker what to be, and lets it speak.
fn tell(node: &Node, desired: &Desired) -> Result<Plan> {
    node.with(|speaker, now| {
        let plan = speaker.reconcile(now, desired).context(REFUSED)?;
        // What it originates it knows; nothing else has to be waited for.
        speaker.release(now);
        Ok(plan)
    })
}

/// Ends instances for good, all at a time.
fn end(unwanted: Vec<(String, Running)>) -> Vec<(String, Outcome)> {
    thread::scope(|scope| {
        let endings: Vec<_> = unwanted
            .into_iter()
            .map(|(name, running)| {
                scope.spawn(move || {
                    let plan = quiet(&running.node);
                    running.node.shutdown("the instance is not wanted any more", PATIENCE);
                    (name, Outcome::Ended(plan))
                })
            })
            .collect();
        endings.into_iter().filter_map(|ending| ending.join().ok()).collect()
    })
}

/// Takes all neighbours and routes from a speaker: its sessions close with Cease 6/3.
fn quiet(node: &Node) -> Plan {
    node.with(|speaker, now| {
        let Some(mut desired) = speaker.desired().cloned() else { return Plan::default() };
        desired.neighbors.clear();
        desired.originate.clear();
        // Less of what was accepted is accepted.
        speaker.reconcile(now, &desired).unwrap_or_default()
    })
}
