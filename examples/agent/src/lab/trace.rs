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

/// What a router's table has for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The prefix that it falls under.
    pub(crate) prefix: IpNet,
    /// Where its best path leads.
    pub(crate) to: Onward,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// Out of an interface, to whoever is at its other end.
    Interface(String, IpAddr),
    /// To an address of a connected network.
    Address(IpAddr),
    /// Nowhere: the prefix is the router's own.
    Own,
    /// Nowhere: no path is the best.
    NoBest,
}

impl From<&Route> for Way {
    fn from(route: &Route) -> Self {
        let to = route.best().map_or(Onward::NoBest, |best| {
            match (&best.origin, best.next_hop.map(|next_hop| next_hop.address())) {
                (PathOrigin::Peer { interface: Some(interface), .. }, Some(next_hop)) => {
                    Onward::Interface(interface.clone(), next_hop)
                }
                (PathOrigin::Peer { .. }, Some(next_hop)) => Onward::Address(next_hop),
                (PathOrigin::Local(_), _) | (_, None) => Onward::Own,
            }
        });
        Self { prefix: route.prefix, to }
    }
}

/// Asks a machine's table.
pub(crate) type Lookup<'a> = &'a dyn Fn(usize, IpAddr) -> Option<Way>;

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

/// The addresses of the machines on the way, the nodes included; `None`: not all the way.
pub(crate) fn addresses(
    machines: &[Machine],
    from: &Pod,
    to: &Pod,
    lookup: Lookup<'_>,
) -> Option<Vec<Option<IpAddr>>> {
    let (hops, arrived) = walk(machines, from.machine, to, lookup);
    arrived.then(|| hops.into_iter().map(|hop| hop.address).collect())
}

/// The way from one pod to another as text, computed as `how` says.
pub(crate) fn trace_text(
    machines: &[Machine],
    from: &Pod,
    to: &Pod,
    how: &str,
    lookup: Lookup<'_>,
) -> String {
    let mut out = String::new();
    _ = writeln!(
        out,
        "Path from pod {} ({}) to pod {} ({}), computed from {how}:",
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
fn walk(machines: &[Machine], start: usize, to: &Pod, lookup: Lookup<'_>) -> (Vec<Hop>, bool) {
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
fn next(machine: &Machine, index: usize, to: IpAddr, lookup: Lookup<'_>) -> Step {
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
fn by_table(machine: &Machine, way: &Way) -> Step {
    let prefix = way.prefix;
    match &way.to {
        Onward::Interface(interface, next_hop) => {
            Step::Out(interface.clone(), format!("{prefix} via {next_hop}"))
        }
        Onward::Address(next_hop) => match machine.connected(*next_hop) {
            Some((interface, _)) => Step::Out(interface.to_owned(), format!("{prefix} via {next_hop}")),
            None => Step::Nowhere(format!("{prefix} via {next_hop}, which is on no interface")),
        },
        Onward::Own => Step::Nowhere(format!("{prefix} is its own, nothing answers")),
        Onward::NoBest => Step::Nowhere(format!("{prefix} has no best path")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use peerage_core::{
        Speaker,
        rib::Path,
        speaker::{Desired, Neighbor, NeighborKey, PeerAs, PeerId},
        time::Instant,
        wire::{Asn, NextHop, RouterId, SessionKind, attr::PathAttributes},
    };

    use super::{super::fabric::Link, *};

    /// Any peer's id: only a speaker makes them.
    fn peer_id() -> PeerId {
        let mut speaker = Speaker::new([7; 32], Instant::ZERO);
        let mut desired = Desired::new(Asn(1), RouterId(1));
        desired.neighbors.insert(NeighborKey::Interface("net0".into()), Neighbor::new(PeerAs::Any));
        speaker.reconcile(Instant::ZERO, &desired).unwrap();
        speaker.neighbors().first().unwrap().peer
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn link(interface: &str, peer: usize, peer_interface: &str) -> Link {
        Link {
            interface: interface.into(),
            link_local: Ipv6Addr::LOCALHOST,
            peer,
            peer_interface: peer_interface.into(),
        }
    }

    /// node a - tor - spine - node b; the spine is unnumbered towards the tor.
    fn machines() -> Vec<Machine> {
        let node = |name: &str, address: &str, via: &str, tor: usize, interface: &str| Machine {
            name: name.into(),
            addresses: vec![("net0".into(), net(address))],
            routes: vec![(net("0.0.0.0/0"), Some(via.parse().unwrap()))],
            links: vec![link("net0", tor, interface)],
            router: false,
        };
        vec![
            node("a", "10.0.1.2/24", "10.0.1.1", 1, "net1"),
            Machine {
                name: "tor".into(),
                addresses: vec![("lo".into(), net("10.0.0.1/32")), ("net1".into(), net("10.0.1.1/24"))],
                routes: vec![],
                links: vec![link("net0", 2, "net0"), link("net1", 0, "net0")],
                router: true,
            },
            Machine {
                name: "spine".into(),
                addresses: vec![("lo".into(), net("10.0.0.0/32")), ("net1".into(), net("10.0.2.1/24"))],
                routes: vec![(net("10.0.0.0/8"), None)],
                links: vec![link("net0", 1, "net0"), link("net1", 3, "net0")],
                router: true,
            },
            node("b", "10.0.2.2/24", "10.0.2.1", 2, "net1"),
        ]
    }

    fn route(next_hop: &str, interface: Option<&str>) -> Way {
        let address: IpAddr = next_hop.parse().unwrap();
        let origin = PathOrigin::Peer {
            peer: peer_id(),
            key: NeighborKey::Address(address),
            address,
            router_id: RouterId(1),
            hostname: None,
            interface: interface.map(str::to_owned),
            kind: SessionKind::External,
        };
        let next_hop = match address {
            IpAddr::V4(address) => NextHop::V4(address),
            IpAddr::V6(address) => NextHop::V6(address),
        };
        let path = Path {
            origin,
            next_hop: Some(next_hop),
            attributes: PathAttributes::default(),
            best: true,
            excluded: None,
            step: None,
        };
        Way::from(&Route { prefix: net("10.9.1.0/24"), paths: vec![path] })
    }

    fn pods() -> (Pod, Pod) {
        let pod = |name: &str, address: &str, machine| Pod {
            name: name.into(),
            address: address.parse().unwrap(),
            machine,
        };
        (pod("one", "10.9.0.10", 0), pod("two", "10.9.1.10", 3))
    }

    fn hops(lookup: &dyn Fn(usize, IpAddr) -> Option<Way>) -> (Vec<Hop>, bool) {
        walk(&machines(), 0, &pods().1, lookup)
    }

    #[test]
    fn a_packet_follows_routes_links_and_default_routes() {
        let lookup = |machine: usize, _| match machine {
            1 => Some(route("fe80::1", Some("net0"))),
            2 => Some(route("10.0.2.2", None)),
            _ => None,
        };
        let (hops, arrived) = hops(&lookup);
        let addresses: Vec<_> = hops.iter().map(|hop| hop.address.map(|it| it.to_string())).collect();
        assert!(arrived);
        assert_eq!(
            addresses,
            [None, Some("10.0.1.1".into()), Some("10.0.0.0".into()), Some("10.0.2.2".into())]
        );
        let (from, to) = pods();
        let text = trace_text(&machines(), &from, &to, "tables", &lookup);
        assert!(text.contains("computed") && text.contains("10.9.1.0/24 via fe80::1 out net0"), "{text}");
        assert_eq!(text.lines().count(), 6);
    }

    #[test]
    fn a_gap_and_a_loop_show() {
        let (gap, arrived) = hops(&|machine, _| (machine == 1).then(|| route("fe80::1", Some("net0"))));
        assert!(!arrived);
        assert_eq!(gap.last().unwrap().decision, "10.0.0.0/8 is a blackhole");
        let (gap, arrived) = hops(&|_, _| None);
        assert!(!arrived);
        assert_eq!(gap.last().unwrap().decision, "has no route");
        let (endless, arrived) = hops(&|_, _| Some(route("fe80::1", Some("net0"))));
        assert!(!arrived);
        assert_eq!(endless.len(), MAX_HOPS);
    }
}
