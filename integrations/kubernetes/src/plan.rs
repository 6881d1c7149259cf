//! What every node would do, for people and programs to read before anything does it.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use peerage_core::{
    policy::{RoutePolicy as _, RouteSource, RouteView, Verdict},
    speaker::{Desired, Neighbor, NeighborKey, PeerAs, SourceId},
    wire::{Family, attr::PathAttributes},
};
use serde::{Serialize, Serializer};

use crate::{Advertised, Fault, Options, Reason, Severity, Snapshot, compile_with};

/// What every node of a [`Snapshot`] would do, and everything that is to be said about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Nodes in the order of the files.
    pub nodes: Vec<NodePlan>,
    /// Every fault once, those of the nodes among them.
    pub faults: Vec<Fault>,
}

/// What one node would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// Its name.
    pub node: String,
    /// The policy that applies.
    pub policy: Option<String>,
    /// The sessions it would open.
    pub peers: Vec<PeerPlan>,
    /// What it would announce to any of them.
    #[serde(serialize_with = "texts")]
    pub announcements: BTreeSet<IpNet>,
    /// What is to be said about this node.
    pub faults: Vec<Fault>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerPlan {
    /// The name of the instance.
    pub instance: String,
    /// Its AS.
    pub local_asn: u32,
    /// Its identifier.
    pub router_id: String,
    /// The peer's address.
    pub address: IpAddr,
    /// The TCP port.
    pub port: u16,
    /// The peer's AS.
    pub peer_asn: u32,
    /// Seconds of the proposed hold time.
    pub hold_seconds: u64,
    /// Seconds between KEEPALIVEs.
    pub keepalive_seconds: u64,
    /// Families offered.
    pub families: Vec<String>,
    /// What is announced in them.
    #[serde(serialize_with = "texts")]
    pub announcements: BTreeSet<IpNet>,
    /// The same, with why and with what.
    pub routes: Vec<RoutePlan>,
}

/// One route that a peer gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutePlan {
    /// Its prefix.
    #[serde(serialize_with = "text")]
    pub prefix: IpNet,
    /// Everything that wants it announced.
    pub reasons: BTreeSet<Reason>,
    /// Its communities, as `65010:100`.
    pub communities: Vec<String>,
    /// Its large communities, as `65010:1:100`.
    pub large_communities: Vec<String>,
    /// LOCAL_PREF, where it is set.
    pub local_preference: Option<u32>,
}

/// Compiles every node.
pub fn plan(snapshot: &Snapshot) -> Plan {
    plan_with(snapshot, Options::default())
}

/// [`plan`], in another way than the usual one.
pub fn plan_with(snapshot: &Snapshot, options: Options) -> Plan {
    let mut faults = snapshot.faults();
    let mut nodes = Vec::new();
    for stored in snapshot.nodes() {
        let name = &stored.object.metadata.name;
        let compiled = compile_with(snapshot, name, options);
        let nothing = Advertised::new();
        let mut peers = Vec::new();
        for (instance, desired) in &compiled.instances {
            let advertised = compiled.advertised.get(instance).unwrap_or(&nothing);
            peers.extend(
                desired
                    .neighbors
                    .iter()
                    .filter_map(|(key, peer)| plan_peer(instance, desired, key, peer, advertised)),
            );
        }
        faults.extend(compiled.faults.iter().cloned());
        nodes.push(NodePlan {
            node: name.clone(),
            policy: compiled.policy,
            announcements: peers.iter().flat_map(|peer| peer.announcements.iter().copied()).collect(),
            peers,
            faults: compiled.faults,
        });
    }
    faults.extend(idle(snapshot));
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    Plan { nodes, faults }
}

/// Policies that are for no node.
fn idle(snapshot: &Snapshot) -> Vec<Fault> {
    let mut faults = Vec::new();
    let none = snapshot.nodes().next().is_none();
    for policy in snapshot.policies() {
        let selector = policy.object.node_selector();
        if !snapshot.nodes().any(|node| node.object.is_selected(selector)) {
            let message = if none {
                "applies to no node: there are no Nodes among these files (try kubectl get nodes -o yaml)"
            } else {
                "applies to no node: its selector chooses none of those in these files"
            };
            let object = format!("CiliumBGPPeeringPolicy/{}", policy.object.metadata.name);
            faults.push(policy.origin.fault(Severity::Notice, &object, "spec.nodeSelector", message));
        }
    }
    faults
}

fn plan_peer(
    instance: &str,
    desired: &Desired,
    key: &NeighborKey,
    peer: &Neighbor,
    advertised: &Advertised,
) -> Option<PeerPlan> {
    let (NeighborKey::Address(address), PeerAs::Number(asn)) = (key, peer.asn) else { return None };
    let family = |prefix: &IpNet| match prefix {
        IpNet::V4(_) => Family::IPV4_UNICAST,
        IpNet::V6(_) => Family::IPV6_UNICAST,
    };
    let routes: Vec<_> = desired
        .originate
        .iter()
        .filter(|(prefix, _)| peer.families.contains(&family(prefix)))
        .filter_map(|(prefix, attributes)| plan_route(*prefix, attributes, peer, advertised))
        .collect();
    Some(PeerPlan {
        instance: instance.to_owned(),
        local_asn: desired.asn.0,
        router_id: desired.router_id.to_string(),
        address: *address,
        port: peer.port,
        peer_asn: asn.0,
        hold_seconds: peer.timers.hold.as_secs(),
        keepalive_seconds: peer.timers.keepalive.as_secs(),
        families: peer.families.iter().map(ToString::to_string).collect(),
        announcements: routes.iter().map(|route| route.prefix).collect(),
        routes,
    })
}

/// A route as the export policy lets it go; `None`: it does not.
fn plan_route(
    prefix: IpNet,
    attributes: &PathAttributes,
    peer: &Neighbor,
    advertised: &Advertised,
) -> Option<RoutePlan> {
    let mut attributes = attributes.clone();
    if let Some(export) = &peer.export {
        let route = RouteView {
            prefix,
            source: RouteSource::Local,
            origination: Some(SourceId::CONFIG),
            next_hop: None,
            attributes: &attributes,
        };
        let (verdict, edits) = export.apply(&route);
        if verdict == Verdict::Reject {
            return None;
        }
        edits.edit(&mut attributes);
    }
    Some(RoutePlan {
        prefix,
        reasons: advertised.get(&prefix).cloned().unwrap_or_default(),
        communities: attributes.communities.iter().map(ToString::to_string).collect(),
        large_communities: attributes.large_communities.iter().map(ToString::to_string).collect(),
        local_preference: attributes.local_pref,
    })
}

impl Plan {
    /// Whether anything is wrong, rather than only to be noticed.
    pub fn has_errors(&self) -> bool {
        self.faults.iter().any(|fault| fault.severity == Severity::Error)
    }
}

/// A table with a row for each session, one with a row for each route where there is more to say of any
/// than that it is a PodCIDR, and a line that sums up. Faults are not in it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles =
            ["NODE", "POLICY", "AS", "ROUTER ID", "PEER", "PEER AS", "HOLD", "FAMILIES", "ANNOUNCES"];
        table(f, titles, self.nodes.iter().flat_map(NodePlan::rows))?;
        let routes = || self.nodes.iter().flat_map(|node| &node.peers).flat_map(|peer| &peer.routes);
        if routes().any(RoutePlan::is_notable) {
            let titles = ["NODE", "AS", "PEER", "PREFIX", "COMMUNITIES", "LOCAL PREF", "BECAUSE OF"];
            writeln!(f)?;
            table(f, titles, self.nodes.iter().flat_map(NodePlan::route_rows))?;
        }
        let sessions = self.nodes.iter().map(|node| node.peers.len()).sum();
        let prefixes = self.nodes.iter().flat_map(|node| &node.announcements).collect::<BTreeSet<_>>().len();
        let count = |number: usize, one: &str, more: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {more}"),
        };
        writeln!(
            f,
            "\n{}, {}, {}",
            count(self.nodes.len(), "node", "nodes"),
            count(sessions, "session", "sessions"),
            count(prefixes, "prefix announced", "prefixes announced"),
        )
    }
}

impl NodePlan {
    fn rows(&self) -> Vec<[String; 9]> {
        let policy = self.policy.clone().unwrap_or_else(nothing);
        if self.peers.is_empty() {
            let mut row = [(); 9].map(|()| nothing());
            (row[0], row[1]) = (self.node.clone(), policy);
            return vec![row];
        }
        self.peers
            .iter()
            .map(|peer| {
                [
                    self.node.clone(),
                    policy.clone(),
                    peer.local_asn.to_string(),
                    peer.router_id.clone(),
                    peer.socket().to_string(),
                    peer.peer_asn.to_string(),
                    format!("{}/{} s", peer.hold_seconds, peer.keepalive_seconds),
                    list(peer.families.clone()),
                    list(peer.announcements.iter().map(ToString::to_string).collect()),
                ]
            })
            .collect()
    }

    fn route_rows(&self) -> Vec<[String; 7]> {
        let row = |peer: &PeerPlan, route: &RoutePlan| {
            [
                self.node.clone(),
                peer.local_asn.to_string(),
                peer.socket().to_string(),
                route.prefix.to_string(),
                list([&route.communities[..], &route.large_communities].concat()),
                route.local_preference.map_or_else(nothing, |value| value.to_string()),
                route.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            ]
        };
        let of = |peer: &PeerPlan| peer.routes.iter().map(|route| row(peer, route)).collect::<Vec<_>>();
        self.peers.iter().flat_map(of).collect()
    }
}

impl PeerPlan {
    fn socket(&self) -> SocketAddr {
        (self.address, self.port).into()
    }
}

impl RoutePlan {
    /// Whether there is more to say of it than that it is a PodCIDR.
    fn is_notable(&self) -> bool {
        self.reasons.iter().any(|reason| *reason != Reason::PodCidr)
            || !self.communities.is_empty()
            || !self.large_communities.is_empty()
            || self.local_preference.is_some()
    }
}

fn nothing() -> String {
    "-".to_owned()
}

fn list(items: Vec<String>) -> String {
    if items.is_empty() { nothing() } else { items.join(" ") }
}

/// Columns as wide as what stands in them.
fn table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    titles: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let rows: Vec<_> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += &format!("{cell:<width$}  ");
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

fn texts<S: Serializer>(prefixes: &BTreeSet<IpNet>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(prefixes.iter().map(ToString::to_string))
}

fn text<S: Serializer>(prefix: &IpNet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(prefix)
}
