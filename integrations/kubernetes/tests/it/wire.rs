//! What a peer gets when objects change: the compiled intent on two speakers that talk through memory.

use std::{collections::VecDeque, net::SocketAddr};

use peerage_core::{
    Speaker,
    policy::Policy,
    speaker::{Action, ConnId, Cost, Desired, Neighbor, NeighborKey, PeerAs},
    time::Instant,
    wire::{Asn, MAX_LEN, MessageKind, Update, attr::PathAttributes, frame, nlri::Ipv4Prefixes},
};
use peerage_kubernetes::compile;

use crate::{NODES, policy, snapshot};

const NOW: Instant = Instant::ZERO;

/// A node's speaker and its ToR.
struct Pair {
    node: Speaker,
    tor: Speaker,
    conns: Option<(ConnId, ConnId)>,
    /// UPDATEs that the node sent and nobody has looked at.
    sent: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        let mut tor = Speaker::new([2; 32], NOW);
        let mut desired = Desired::new(Asn(65010), "10.0.0.1".parse().unwrap());
        let mut neighbor = Neighbor::new(PeerAs::Internal);
        (neighbor.passive, neighbor.export) = (true, Some(Policy::reject()));
        desired.neighbors.insert(NeighborKey::Address("10.0.1.2".parse().unwrap()), neighbor);
        tor.reconcile(NOW, &desired).unwrap();
        tor.release(NOW);
        Self { node: Speaker::new([1; 32], NOW), tor, conns: None, sent: Vec::new() }
    }

    /// Makes the node what these objects say; what that costs the session, and the UPDATEs it sends.
    fn apply(&mut self, texts: &[&str]) -> (Cost, Vec<String>) {
        let snapshot = snapshot(texts);
        assert_eq!(snapshot.faults(), []);
        let desired = compile(&snapshot, "n0").instances.remove("65010").unwrap();
        let cost = self.node.reconcile(NOW, &desired).unwrap().cost();
        self.node.release(NOW);
        self.settle();
        (cost, std::mem::take(&mut self.sent))
    }

    fn settle(&mut self) {
        let (from, to): (SocketAddr, SocketAddr) =
            ("10.0.1.2:50000".parse().unwrap(), "10.0.0.1:179".parse().unwrap());
        let mut ready = VecDeque::new();
        loop {
            while let Some(action) = self.node.poll_action() {
                match action {
                    Action::Connect { conn, .. } => {
                        self.node.handle_connected(NOW, conn, from);
                        let accepted = self.tor.handle_accepted(NOW, from, to, None);
                        assert_eq!(self.conns.replace((conn, accepted)), None, "it connects once");
                    }
                    Action::Writable(_) => ready.push_back(true),
                    other => panic!("{other:?}"),
                }
            }
            while let Some(action) = self.tor.poll_action() {
                assert!(matches!(action, Action::Writable(_)), "{action:?}");
                ready.push_back(false);
            }
            let (Some((at_node, at_tor)), Some(of_node)) = (self.conns, ready.pop_front()) else { return };
            if of_node {
                while let Some(bytes) = self.node.poll_transmit(NOW, at_node, 65536) {
                    self.sent.extend(updates(&bytes));
                    self.tor.handle_bytes(NOW, at_tor, &bytes);
                }
            } else {
                while let Some(bytes) = self.tor.poll_transmit(NOW, at_tor, 65536) {
                    self.node.handle_bytes(NOW, at_node, &bytes);
                }
            }
        }
    }
}

/// The UPDATEs among whole messages, with a line for each route. Routes are of IPv4, as the session is.
fn updates(mut bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(message) = frame(bytes, MAX_LEN).unwrap() {
        if message.kind == MessageKind::Update {
            lines.extend(update(&Update::split(message.body).unwrap()));
        }
        bytes = &bytes[message.len..];
    }
    lines
}

fn update(update: &Update<'_>) -> Vec<String> {
    if let Some(family) = update.end_of_rib() {
        return vec![format!("end of {family}")];
    }
    let prefixes = |field| Ipv4Prefixes::new(field).map(Result::unwrap);
    let mut lines: Vec<_> = prefixes(update.withdrawn).map(|prefix| format!("withdraw {prefix}")).collect();
    let attributes = PathAttributes::decode(update.attributes);
    for prefix in prefixes(update.nlri) {
        let mut line = format!("announce {prefix}");
        for community in &attributes.communities {
            line += &format!(" +{community}");
        }
        for community in &attributes.large_communities {
            line += &format!(" +{community}");
        }
        lines.push(format!("{line} at {}", attributes.local_pref.unwrap()));
    }
    lines
}

const LB: &str = "{selectorType: CiliumLoadBalancerIPPool, selector: {matchLabels: {color: blue}}, localPreference: 200, \
                  communities: {standard: ['65010:100'], large: ['65010:1:1']}}";

fn rack0(router: &str, attributes: &str) -> String {
    policy("exportPodCIDR: true", &format!("exportPodCIDR: true\n    {router}"))
        .replace("# more", &format!("advertisedPathAttributes: [{attributes}]"))
}

const POOL: &str = "apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata: {name: blue, labels: {color: \
                    blue}}\nspec: {blocks: [{cidr: 198.51.100.0/24}]}\n";

fn service(name: &str, policy: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: LoadBalancer, externalTrafficPolicy: \
         {policy}, clusterIPs: [10.96.0.7]}}\nstatus: {{loadBalancer: {{ingress: [{{ip: 198.51.100.1}}]}}}}\n"
    )
}

fn slice(endpoints: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: \
         {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nendpoints: {endpoints}\n"
    )
}

const VIP: &str = "announce 198.51.100.1/32 +65010:100 +65010:1:1 at 200";

#[test]
fn a_service_comes_and_goes() {
    let rack0 = rack0("serviceSelector: {}", LB);
    let mut pair = Pair::new();
    let (_, first) = pair.apply(&[&rack0, NODES, POOL]);
    assert_eq!(first, ["announce 10.1.0.0/24 at 100", "end of ipv4-unicast", "end of ipv6-unicast"]);

    // The first UPDATE already has its attributes.
    let local = service("web", "Local");
    let ready = slice("[{nodeName: n1}, {nodeName: n0, conditions: {ready: true}}]");
    let nothing: (Cost, Vec<String>) = (Cost::None, Vec::new());
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local]), nothing);
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local, &ready]), (Cost::None, vec![VIP.into()]));
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local, &ready]), nothing);

    // Its last endpoint here terminates; it is ready again; its slice alone is deleted.
    let ends = "{ready: false, serving: true, terminating: true}";
    let ending = slice(&format!("[{{nodeName: n1}}, {{nodeName: n0, conditions: {ends}}}]"));
    let gone = (Cost::None, vec!["withdraw 198.51.100.1/32".to_owned()]);
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local, &ending]), gone);
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local, &ready]), (Cost::None, vec![VIP.into()]));
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &local]), gone);

    // Two Services with one address: it goes with the last, and says nothing in between.
    let (web, db) = (service("web", "Cluster"), service("db", "Cluster"));
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &web]), (Cost::None, vec![VIP.into()]));
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &web, &db]), nothing);
    assert_eq!(pair.apply(&[&rack0, NODES, POOL, &db]), nothing);
    assert_eq!(pair.apply(&[&rack0, NODES, POOL]), gone);
}

/// One field alone changes, and acts at once: what is announced and what it carries never cost more than
/// UPDATEs.
#[test]
fn each_field_acts_alone() {
    let web = service("web", "Cluster");
    let mut pair = Pair::new();
    let mut to = |router: &str, attributes: &str, objects: &[&str]| {
        let text = rack0(router, attributes);
        pair.apply(&[&[text.as_str(), NODES], objects].concat())
    };
    let all = [POOL, web.as_str()];
    to("serviceAdvertisements: null", LB, &all);
    let chosen = "serviceSelector: {}";
    assert_eq!(to(chosen, LB, &all), (Cost::None, vec![VIP.into()]));
    let cluster = "serviceSelector: {}\n    serviceAdvertisements: [ClusterIP]";
    let (cost, mut said) = to(cluster, LB, &all);
    said.sort();
    assert_eq!(
        (cost, said),
        (Cost::None, vec!["announce 10.96.0.7/32 at 100".to_owned(), "withdraw 198.51.100.1/32".to_owned(),])
    );
    to(chosen, LB, &all);
    // The attributes, their selector, the pool's label, and the pool itself. What has not changed may be
    // said again.
    let mut changes = |attributes: &str, objects: &[&str], vip: &str| {
        let (cost, mut said) = to(chosen, attributes, objects);
        said.retain(|line| line != PODS);
        assert_eq!((cost, said), (Cost::Refresh, vec![vip.to_owned()]), "{attributes} {objects:?}");
    };
    let bare = "announce 198.51.100.1/32 at 100";
    changes(&LB.replace("color: blue", "color: red"), &all, bare);
    changes(LB, &all, VIP);
    let red = POOL.replace("color: blue", "color: red");
    changes(LB, &[&red, &web], bare);
    changes(LB, &all, VIP);
    changes(LB, &all[1..], bare);
    changes(LB, &all, VIP);
    let disabled = POOL.replace("spec: {", "spec: {disabled: true, ");
    changes(LB, &[&disabled, &web], bare);
    changes(LB, &all, VIP);
    let other = VIP.replace("65010:100", "65010:200");
    changes(&LB.replace("65010:100", "65010:200"), &all, &other);
    changes(&LB.replace("200", "300"), &all, &VIP.replace("200", "300"));
    // Both in one change: the route's first UPDATE is its only one.
    let pods = "{selectorType: PodCIDR, communities: {standard: ['65010:7']}}";
    let (_, mut said) = to(chosen, pods, &all[..1]);
    said.sort();
    assert_eq!(said, ["announce 10.1.0.0/24 +65010:7 at 100", "withdraw 198.51.100.1/32"]);
    let (_, mut said) = to(chosen, LB, &all);
    said.sort();
    assert_eq!(said, [PODS, VIP]);
}

const PODS: &str = "announce 10.1.0.0/24 at 100";
