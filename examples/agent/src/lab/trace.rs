//! The way a packet would take, walked through the speakers' tables. Nothing is sent: it says which
//! route each machine has, so a gap or a loop in the tables shows as one.

use std::{fmt::Write as _, net::IpAddr};

use ipnet::IpNet;
use peerage_core::rib::{PathOrigin, Route};

use super::fabric::Machine;

/// As far as a packet goes: traceroute's own limit.
const MAX_HOPS: usize = 30;

/// A pod that sends or receives.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: IpAddr,
    /// The machine of its node.
    pub(crate) machine: usize,
}

/// A machine on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hop {
    machine: usize,
    /// The address that would answer: of the interface the packet came in on, else of the loopback.
    address: Option<IpAddr>,
    /// The interface the packet came in on.
    interface: Option<String>,
    /// What it does with the packet.
    decision: String,
}

/// The way from one pod to another as text.
pub(crate) fn trace_text(
    machines: &[Machine],
    from: &Pod,
    to: &Pod,
    lookup: &dyn Fn(usize, IpAddr) -> Option<Route>,
) -> String {
    let mut out = String::new();
    _ = writeln!(
        out,
        "Path from pod {} ({}) to pod {} ({}), computed from the speakers' tables; no packet was sent:",
        from.name, from.address, to.name, to.address
    );
    let (hops, arrived) = walk(machines, from.machine, to, lookup);
    let name = |hop: &Hop| machines.get(hop.machine).map_or("", |machine| machine.name.as_str());
    let width = hops.iter().map(|hop| name(hop).len()).max().unwrap_or(0).max(to.name.len());
    for (number, hop) in (1..).zip(&hops) {
        let address = hop.address.map_or_else(|| "*".into(), |address| address.to_string());
        let interface = hop.interface.as_deref().unwrap_or("pod");
        _ = writeln!(out, "{number:2}  {address:15} {:width$}  in {interface:6} {}", name(hop), hop.decision);
    }
    if arrived {
        _ = writeln!(out, "{:2}  {:15} {:width$}", hops.len() + 1, to.address.to_string(), to.name);
    } else {
        _ = writeln!(out, "The packet does not arrive.");
    }
    out
}

/// The machines on the way, and whether the packet arrives.
fn walk(
    machines: &[Machine],
    start: usize,
    to: &Pod,
    lookup: &dyn Fn(usize, IpAddr) -> Option<Route>,
) -> (Vec<Hop>, bool) {
    let mut hops = Vec::new();
    let (mut at, mut came_in) = (start, None::<String>);
    while hops.len() < MAX_HOPS {
        let Some(machine) = machines.get(at) else { break };
        let address = match &came_in {
            Some(interface) => machine.address_at(interface).or_else(|| machine.loopback()),
            None => None,
        };
        let step = if at == to.machine { Step::Here } else { next(machine, at, to.address, lookup) };
        let decision = match &step {
            Step::Here => "delivers to the pod".into(),
            Step::Out(interface, why) => format!("{why} out {interface}"),
            Step::Nowhere(why) => why.clone(),
        };
        hops.push(Hop { machine: at, address, interface: came_in.clone(), decision });
        match step {
            Step::Here => return (hops, true),
            Step::Nowhere(_) => break,
            Step::Out(interface, _) => {
                let Some(link) = machine.link(&interface) else { break };
                at = link.peer;
                came_in = Some(link.peer_interface.clone());
            }
        }
    }
    (hops, false)
}

/// What a machine does with a packet.
enum Step {
    /// The pod is here.
    Here,
    /// It sends it out of an interface, because.
    Out(String, String),
    /// It drops it, because.
    Nowhere(String),
}

/// Connected subnets, then for a router its table, then static routes: a longer prefix wins where the
/// table and the static routes both have one.
fn next(
    machine: &Machine,
    index: usize,
    to: IpAddr,
    lookup: &dyn Fn(usize, IpAddr) -> Option<Route>,
) -> Step {
    if let Some((interface, _)) = machine.connected(to) {
        return Step::Out(interface.to_owned(), "connected".into());
    }
    let learned = if machine.router { lookup(index, to) } else { None };
    let longest = |net: &IpNet| net.prefix_len();
    let fixed =
        machine.routes.iter().filter(|(net, _)| net.contains(&to)).max_by_key(|(net, _)| longest(net));
    match (learned, fixed) {
        (Some(route), fixed) if fixed.is_none_or(|(net, _)| longest(net) <= longest(&route.prefix)) => {
            by_table(machine, &route)
        }
        (_, Some((net, None))) => Step::Nowhere(format!("{net} is a blackhole")),
        (_, Some((net, Some(via)))) => match machine.connected(*via) {
            Some((interface, _)) => Step::Out(interface.to_owned(), format!("{net} via {via}")),
            None => Step::Nowhere(format!("{net} via {via}, which is on no interface")),
        },
        (_, None) => Step::Nowhere("has no route".into()),
    }
}

/// Where the best path of a route leads.
fn by_table(machine: &Machine, route: &Route) -> Step {
    let prefix = route.prefix;
    let Some(best) = route.best() else { return Step::Nowhere(format!("{prefix} has no best path")) };
    match (&best.origin, best.next_hop) {
        (PathOrigin::Peer { interface: Some(interface), .. }, Some(next_hop)) => {
            Step::Out(interface.clone(), format!("{prefix} via {next_hop}"))
        }
        (PathOrigin::Peer { .. }, Some(next_hop)) => match machine.connected(next_hop.address()) {
            Some((interface, _)) => Step::Out(interface.to_owned(), format!("{prefix} via {next_hop}")),
            None => Step::Nowhere(format!("{prefix} via {next_hop}, which is on no interface")),
        },
        (PathOrigin::Local(_), _) | (_, None) => {
            Step::Nowhere(format!("{prefix} is its own, nothing answers"))
        }
    }
}
