//! The routers of the lab, whoever they are: FRR, or Peerage itself. Both are asked for the same views.

use std::{
    net::IpAddr,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use peerage_lab_input::{Lab, Router};
use serde_json::Value;

use super::{
    frr::{Daemons, Frr},
    peer::Peer,
    plan::node_file,
};
use crate::cli::{self, FamilyName, Format, LabArgs, Lookup, What};

/// A router's sessions and table as JSON, with FRR's keys.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// `show bgp ipv4 unicast summary json`
    pub(super) summary: Value,
    /// `show bgp ipv4 unicast json`
    pub(super) table: Value,
}

/// The routers, in the order of the topology.
#[derive(Debug)]
pub(super) enum Routers {
    /// FRR.
    Frr(Frr, Vec<Mutex<Daemons>>),
    /// `peerage router`.
    Peerage(Vec<Mutex<Peer>>),
}

impl Routers {
    /// Starts and configures all of them.
    pub(super) fn start(lab: &Lab, run: &Path, arguments: &LabArgs) -> Result<Self> {
        match arguments.routers {
            cli::Routers::Frr => {
                let frr = Frr::prepare(run)?;
                let daemons =
                    all(lab, |index, router| frr.start(index, router, &run.join(node_file(&router.name))))?;
                Ok(Self::Frr(frr, daemons))
            }
            cli::Routers::Peerage => {
                all(lab, |index, router| Peer::start(index, router, run, arguments.runtime))
                    .map(Self::Peerage)
            }
        }
    }

    /// What they are, for people.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Frr(..) => "routers of FRR are",
            Self::Peerage(_) => "routers of Peerage are",
        }
    }

    /// Whether they put what they learn into the kernel, so that packets go that way.
    pub(super) const fn forward(&self) -> bool {
        matches!(self, Self::Frr(..))
    }

    /// That every process lives.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Frr(frr, daemons) => {
                frr.check()?;
                daemons.iter().try_for_each(|daemons| lock(daemons).check())
            }
            Self::Peerage(peers) => peers.iter().try_for_each(|peer| lock(peer).check()),
        }
    }

    /// A router's view of IPv4.
    pub(super) fn look(&self, index: usize) -> Result<Look> {
        match self {
            Self::Frr(frr, daemons) => {
                let commands = ["show bgp ipv4 unicast summary json", "show bgp ipv4 unicast json"];
                let views = frr.json(&lock(at(daemons, index)?), &commands)?;
                let [summary, table] = <[Value; 2]>::try_from(views)
                    .map_err(|views| anyhow!("vtysh gave {} answers to 2 commands", views.len()))?;
                Ok(Look { summary, table })
            }
            Self::Peerage(peers) => {
                let peer = lock(at(peers, index)?);
                let json = |what: What| -> Result<Value> {
                    let text = peer.show(what, Format::Json, FamilyName::Ipv4)?;
                    serde_json::from_str(&text).context("the answer is no JSON")
                };
                Ok(Look { summary: json(What::Summary)?, table: json(What::Routes)? })
            }
        }
    }

    /// A view for who asked, with a heading in text.
    pub(super) fn show(
        &self,
        index: usize,
        router: &Router,
        what: &What,
        format: Format,
        family: FamilyName,
    ) -> Result<String> {
        match self {
            Self::Frr(frr, daemons) => {
                let command = question(router, what, format, family)?;
                let text = frr.vtysh(&lock(at(daemons, index)?), [command.as_str()])?;
                if let Some(why) = text.trim_start().strip_prefix('%') {
                    bail!("{}: {}", router.name, why.trim());
                }
                Ok(match format {
                    Format::Json => text,
                    Format::Text => format!("{}# {command}    (FRR {})\n{text}", router.name, frr.version()),
                })
            }
            Self::Peerage(peers) => lock(at(peers, index)?).show(what.clone(), format, family),
        }
    }
}

/// The command that a question is to FRR. Nothing of it is text of who asked: a neighbour is one of the
/// router's own, prefixes and addresses are values.
fn question(router: &Router, what: &What, format: Format, family: FamilyName) -> Result<String> {
    let ipv4 = |is: bool| if is { "ipv4" } else { "ipv6" };
    let asked = ipv4(family == FamilyName::Ipv4);
    let json = if format == Format::Json { " json" } else { "" };
    Ok(match (what, format) {
        (What::Summary, Format::Text) => format!("show bgp {asked} summary wide"),
        (What::Routes, Format::Text) => format!("show bgp {asked} wide"),
        (What::Summary, Format::Json) => format!("show bgp {asked} unicast summary json"),
        (What::Routes, Format::Json) => format!("show bgp {asked} unicast json"),
        (What::Faults, _) => {
            bail!("{} is a router; faults are an agent's: say --node with a node", router.name)
        }
        (What::Neighbor { neighbor: None }, _) => format!("show bgp neighbors{json}"),
        (What::Neighbor { neighbor: Some(name) }, _) => {
            let mut known = router.desired.neighbors.keys().map(ToString::to_string);
            let Some(neighbor) = known.find(|key| key == name) else {
                let keys: Vec<String> = router.desired.neighbors.keys().map(ToString::to_string).collect();
                bail!("{} has no neighbor {name}; it has {}", router.name, keys.join(", "));
            };
            format!("show bgp neighbors {neighbor}{json}")
        }
        (What::Route { prefix: Lookup::Exact(net) }, _) => {
            format!("show bgp {} unicast {net}{json}", ipv4(net.addr().is_ipv4()))
        }
        (What::Route { prefix: Lookup::Longest(address) }, _) => {
            format!("show bgp {} unicast {address}{json}", ipv4(matches!(address, IpAddr::V4(_))))
        }
    })
}

/// Starts all routers at once.
fn all<T: Send>(lab: &Lab, start: impl Fn(usize, &Router) -> Result<T> + Sync) -> Result<Vec<Mutex<T>>> {
    let start = |(index, router): (usize, &Router)| {
        start(index, router).with_context(|| format!("cannot start {}", router.name))
    };
    let start = &start;
    thread::scope(|scope| {
        let routers = lab.routers.iter().enumerate();
        let started: Vec<_> = routers.map(|router| scope.spawn(move || start(router))).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))).map(Mutex::new))
            .collect()
    })
}

fn at<T>(list: &[T], index: usize) -> Result<&T> {
    list.get(index).context("there is no such router")
}

/// A panic elsewhere was reported there; there is no state that it could leave half-made.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
