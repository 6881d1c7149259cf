//! What a lab has to arrive at, worked out from its input alone: for tests to compare with.
//!
//! An oracle that shares no code with the speaker: it walks the graph of sessions from every route's
//! origin along every path without a loop, and keeps the shortest AS path at each stop. There is no
//! table, no decision process and no message in it. It is exact where at most one path leads to each
//! prefix, or where the shortest one wins, as in the lab's tree; it says nothing about communities,
//! local preferences or MEDs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use peerage_core::{
    speaker::{Neighbor, NeighborKey, PeerAs},
    wire::Family,
};
use peerage_kubernetes::{CiliumBGPPeeringPolicy, LabelSelector, NeighborSpec, Snapshot};

use crate::model::{Lab, Node};

/// A session that the configuration of both ends asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// One end: a router's name, or a node's in Kubernetes.
    pub a: String,
    /// What `a` knows the other one as: `net0`, `10.0.0.1`.
    pub a_key: String,
    /// The other end.
    pub b: String,
    /// What `b` knows `a` as.
    pub b_key: String,
    /// Why it cannot come up; `None`: it does.
    pub down: Option<String>,
}

/// A route that a router has to hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The neighbour it comes from; `None`: it is the router's own.
    pub from: Option<String>,
    /// Its AS path.
    pub as_path: Vec<u32>,
}

/// What a lab has to arrive at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Every session that is configured on both ends, or on a node's alone.
    pub sessions: Vec<Session>,
    /// The routes of each router.
    pub routers: BTreeMap<String, BTreeMap<IpNet, Route>>,
}

impl Expected {
    /// The prefixes that a router has to hold.
    pub fn prefixes(&self, router: &str) -> BTreeSet<IpNet> {
        self.routers.get(router).map(|routes| routes.keys().copied().collect()).unwrap_or_default()
    }

    /// Sessions that cannot come up.
    pub fn missing(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(|session| session.down.is_some())
    }
}

/// Before any policy is there.
pub fn before(lab: &Lab) -> Expected {
    expected(lab, &Snapshot::new())
}

/// With the lab's own policies.
pub fn after(lab: &Lab) -> Expected {
    expected(lab, &lab.snapshot)
}

/// With the policies of `policies`, whose nodes do not count: these are the lab's.
pub fn expected(lab: &Lab, policies: &Snapshot) -> Expected {
    let mut graph = Graph::default();
    for router in &lab.routers {
        graph.speakers.push(Speaker {
            name: router.name.clone(),
            asn: router.desired.asn.0,
            own: router.desired.originate.keys().copied().collect(),
            forwards: true,
        });
    }
    graph.fabric(lab);
    if lab.bgp_enabled {
        for node in &lab.nodes {
            graph.agents(lab, node, policies);
        }
    }
    let mut routers = BTreeMap::new();
    for router in &lab.routers {
        let own = router.desired.originate.keys();
        let own = own.map(|prefix| (*prefix, Route { from: None, as_path: Vec::new() }));
        routers.insert(router.name.clone(), own.collect::<BTreeMap<_, _>>());
    }
    graph.spread(&mut routers);
    Expected { sessions: graph.sessions, routers }
}

#[derive(Debug)]
struct Speaker {
    name: String,
    asn: u32,
    own: Vec<IpNet>,
    /// Whether it passes on what it learns: agents do not.
    forwards: bool,
}

/// One direction of a session that is up.
#[derive(Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// What the receiver knows the sender as.
    key: String,
    external: bool,
    families: BTreeSet<Family>,
    /// Whether routes may leave the sender, and enter the receiver.
    open: (bool, bool),
    /// Families of a default route that the sender makes up.
    default: BTreeSet<Family>,
    /// Whether the sender is the receiver's route-reflector client, and the other way round.
    client: (bool, bool),
}

/// One end of a session.
struct End<'a> {
    speaker: usize,
    key: String,
    asn: PeerAs,
    families: BTreeSet<Family>,
    neighbor: Option<&'a Neighbor>,
}

#[derive(Debug, Default)]
struct Graph {
    speakers: Vec<Speaker>,
    edges: Vec<Edge>,
    sessions: Vec<Session>,
}

impl Graph {
    /// Sessions between routers.
    fn fabric(&mut self, lab: &Lab) {
        for (index, router) in lab.routers.iter().enumerate() {
            for (key, neighbor) in &router.desired.neighbors {
                let other = match key {
                    NeighborKey::Interface(interface) => lab
                        .other_end(&router.name, interface)
                        .map(|end| (end.node.as_str(), vec![NeighborKey::Interface(end.interface.clone())])),
                    NeighborKey::Address(address) => lab.owner(*address).map(|owner| {
                        let own = router.connected.iter().map(|attached| attached.address.addr());
                        (owner, own.map(NeighborKey::Address).collect())
                    }),
                    NeighborKey::Range(_) => None,
                };
                let Some((other, keys)) = other else { continue };
                // Each session once, from the end that comes first.
                for (other_index, other) in
                    lab.routers.iter().enumerate().skip(index + 1).filter(|(_, router)| router.name == other)
                {
                    for back in &keys {
                        let Some(answer) = other.desired.neighbors.get(back) else { continue };
                        if !dials(lab, &router.name, neighbor, key, back)
                            && !dials(lab, &other.name, answer, back, key)
                        {
                            continue;
                        }
                        let a = end(index, key, neighbor);
                        let b = end(other_index, back, answer);
                        self.session(&a, &b);
                    }
                }
            }
        }
    }

    /// The sessions of a node's agent. None where no policy selects it, or more than one does.
    fn agents(&mut self, lab: &Lab, node: &Node, policies: &Snapshot) {
        let selected: Vec<&CiliumBGPPeeringPolicy> =
            policies.policies().map(|stored| &stored.object).filter(|policy| selects(policy, node)).collect();
        let [policy] = selected.as_slice() else { return };
        for instance in policy.spec.iter().flat_map(|spec| &spec.virtual_routers) {
            let exports = instance.export_pod_cidr == Some(true);
            let agent = self.speakers.len();
            self.speakers.push(Speaker {
                name: node.name.clone(),
                asn: instance.local_asn,
                own: if exports { node.pod_cidrs.clone() } else { Vec::new() },
                forwards: false,
            });
            for peer in &instance.neighbors {
                self.agent_session(lab, node, agent, peer);
            }
        }
    }

    fn agent_session(&mut self, lab: &Lab, node: &Node, agent: usize, peer: &NeighborSpec) {
        let address = peer.peer_address.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
        let Some(address) = address else { return };
        let families = match &peer.families {
            None => BTreeSet::from([Family::IPV4_UNICAST, Family::IPV6_UNICAST]),
            Some(families) => families.iter().filter_map(|name| family(&name.afi, &name.safi)).collect(),
        };
        let here = End {
            speaker: agent,
            key: address.to_string(),
            asn: PeerAs::Number(peerage_core::wire::Asn(peer.peer_asn)),
            families,
            neighbor: None,
        };
        let router = lab
            .routers
            .iter()
            .position(|router| router.connected.iter().any(|attached| attached.address.addr() == address));
        let source = lab.source_for(&node.name, address);
        let there = router.zip(source).and_then(|(index, source)| {
            let key = NeighborKey::Address(source);
            let neighbor = lab.routers.get(index)?.desired.neighbors.get(&key)?;
            Some(end(index, &key, neighbor))
        });
        match there {
            Some(there) => self.session(&here, &there),
            None => self.sessions.push(Session {
                a: node.name.clone(),
                a_key: address.to_string(),
                b: router
                    .and_then(|index| lab.routers.get(index))
                    .map_or(String::new(), |router| router.name.clone()),
                b_key: source.map_or(String::new(), |source| source.to_string()),
                down: Some("no router has this address and the node as its neighbour".into()),
            }),
        }
    }

    fn session(&mut self, a: &End<'_>, b: &End<'_>) {
        let (Some(one), Some(other)) = (self.speakers.get(a.speaker), self.speakers.get(b.speaker)) else {
            return;
        };
        let refuses = |end: &End<'_>, own: &Speaker, peer: &Speaker| {
            let fits = match end.asn {
                PeerAs::Number(number) => number.0 == peer.asn,
                PeerAs::External => own.asn != peer.asn,
                PeerAs::Internal => own.asn == peer.asn,
                PeerAs::Any => true,
            };
            (!fits).then(|| format!("{} expects another AS than {} of {}", own.name, peer.asn, peer.name))
        };
        let shut = |end: &End<'_>, own: &Speaker| {
            let shut = end.neighbor.is_some_and(|neighbor| neighbor.shutdown);
            shut.then(|| format!("{} has it shut down", own.name))
        };
        let down = refuses(a, one, other)
            .or_else(|| refuses(b, other, one))
            .or_else(|| shut(a, one))
            .or_else(|| shut(b, other));
        let up = down.is_none();
        let external = one.asn != other.asn;
        self.sessions.push(Session {
            a: one.name.clone(),
            a_key: a.key.clone(),
            b: other.name.clone(),
            b_key: b.key.clone(),
            down,
        });
        if up {
            self.edges.push(edge(a, b, external));
            self.edges.push(edge(b, a, external));
        }
    }

    /// Carries every route along every path.
    fn spread(&self, routers: &mut BTreeMap<String, BTreeMap<IpNet, Route>>) {
        for (index, speaker) in self.speakers.iter().enumerate() {
            for prefix in &speaker.own {
                let mut walk = Walk { graph: self, prefix: *prefix, visited: vec![index], routers };
                walk.on(index, &[], None);
            }
        }
        for edge in &self.edges {
            for family in edge.default.intersection(&edge.families) {
                let prefix = if *family == Family::IPV4_UNICAST {
                    IpNet::V4(ipnet::Ipv4Net::default())
                } else {
                    IpNet::V6(ipnet::Ipv6Net::default())
                };
                let mut walk = Walk { graph: self, prefix, visited: vec![edge.from], routers };
                walk.over(edge, &[]);
            }
        }
    }
}

/// One prefix on its way.
struct Walk<'a> {
    graph: &'a Graph,
    prefix: IpNet,
    visited: Vec<usize>,
    routers: &'a mut BTreeMap<String, BTreeMap<IpNet, Route>>,
}

impl Walk<'_> {
    /// From a speaker to everyone it may tell. `learned` is the edge it came over.
    fn on(&mut self, speaker: usize, as_path: &[u32], learned: Option<&Edge>) {
        let graph = self.graph;
        for edge in graph.edges.iter().filter(|edge| edge.from == speaker) {
            // RFC 4456: what an internal peer said goes to internal peers only if one of both is a client.
            let reflected = learned.is_some_and(|learned| learned.client.0) || edge.client.1;
            let inside = learned.is_some_and(|learned| !learned.external) && !edge.external;
            if edge.open.0 && (!inside || reflected) {
                self.over(edge, as_path);
            }
        }
    }

    fn over(&mut self, edge: &Edge, as_path: &[u32]) {
        let graph = self.graph;
        let (Some(from), Some(to)) = (graph.speakers.get(edge.from), graph.speakers.get(edge.to)) else {
            return;
        };
        let family = if self.prefix.addr().is_ipv4() { Family::IPV4_UNICAST } else { Family::IPV6_UNICAST };
        if self.visited.contains(&edge.to) || !edge.open.1 || !edge.families.contains(&family) {
            return;
        }
        let mut as_path = as_path.to_vec();
        if edge.external {
            as_path.insert(0, from.asn);
        }
        if as_path.contains(&to.asn) || !to.forwards {
            return;
        }
        if let Some(routes) = self.routers.get_mut(&to.name) {
            let better = routes
                .get(&self.prefix)
                .is_none_or(|known| known.from.is_some() && known.as_path.len() > as_path.len());
            if better {
                let route = Route { from: Some(edge.key.clone()), as_path: as_path.clone() };
                routes.insert(self.prefix, route);
            }
        }
        self.visited.push(edge.to);
        self.on(edge.to, &as_path, Some(edge));
        self.visited.pop();
    }
}

fn end<'a>(speaker: usize, key: &NeighborKey, neighbor: &'a Neighbor) -> End<'a> {
    End {
        speaker,
        key: key.to_string(),
        asn: neighbor.asn,
        families: neighbor.families.clone(),
        neighbor: Some(neighbor),
    }
}

fn edge(from: &End<'_>, to: &End<'_>, external: bool) -> Edge {
    Edge {
        from: from.speaker,
        to: to.speaker,
        key: to.key.clone(),
        external,
        families: from.families.intersection(&to.families).copied().collect(),
        open: (
            from.neighbor.is_none_or(|neighbor| !external || neighbor.export.is_some()),
            to.neighbor.is_some_and(|neighbor| !external || neighbor.import.is_some()),
        ),
        default: from.neighbor.map(|neighbor| neighbor.default_originate.clone()).unwrap_or_default(),
        client: (
            to.neighbor.is_some_and(|neighbor| neighbor.route_reflector_client),
            from.neighbor.is_some_and(|neighbor| neighbor.route_reflector_client),
        ),
    }
}

/// Whether a router's own connection to `key` comes from the address that the other one knows it as.
fn dials(lab: &Lab, router: &str, neighbor: &Neighbor, key: &NeighborKey, back: &NeighborKey) -> bool {
    match (key, back) {
        (NeighborKey::Address(address), NeighborKey::Address(back)) => {
            let source = neighbor.local_address.or_else(|| lab.source_for(router, *address));
            !neighbor.passive && source == Some(*back)
        }
        (NeighborKey::Interface(_), NeighborKey::Interface(_)) => !neighbor.passive,
        _ => false,
    }
}

fn family(afi: &str, safi: &str) -> Option<Family> {
    match (afi, safi) {
        ("ipv4", "unicast") => Some(Family::IPV4_UNICAST),
        ("ipv6", "unicast") => Some(Family::IPV6_UNICAST),
        _ => None,
    }
}

/// A policy without a selector is for every node.
fn selects(policy: &CiliumBGPPeeringPolicy, node: &Node) -> bool {
    let Some(selector) = policy.spec.as_ref().and_then(|spec| spec.node_selector.as_ref()) else {
        return true;
    };
    let LabelSelector { match_labels, match_expressions } = selector;
    let equal = match_labels.iter().flatten().all(|(key, value)| node.labels.get(key) == Some(value));
    equal
        && match_expressions.iter().flatten().all(|requirement| {
            let value = node.labels.get(&requirement.key);
            let listed = requirement.values.iter().flatten().any(|other| Some(other) == value);
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}
