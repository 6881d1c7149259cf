//! The front end for Cilium's v1: from a [`Snapshot`] to what each instance on one node should do.
//!
//! Cilium's rules are kept: a policy is for the nodes its selector chooses; two policies for one node are
//! none; each virtual router is an instance; what is learned is never used, and only what the node
//! originates is announced. In two places it is milder, so that nothing wrong takes something right with
//! it: an object that is not used is not there for the other rules either, and an annotation that is
//! wrong costs its own instance, not the whole node.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use peerage_core::{
    policy::{Match, Policy, RouteSource, Rule, Verdict},
    speaker::{Desired, GracefulRestart, Neighbor, NeighborKey, PeerAs, SocketOptions, Timers},
    wire::{Asn, RouterId, attr::PathAttributes},
};

use crate::{
    CiliumBGPPeeringPolicy, Fault, Node, Severity, Snapshot, Stored,
    node::InstanceAnnotations,
    peering_policy::{NeighborSpec, VirtualRouter},
};

/// What one node should do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The policy that applies.
    pub policy: Option<String>,
    /// What each instance should do, by its name: the AS as text. An instance that is not here should
    /// not be there.
    pub instances: BTreeMap<String, Desired>,
    /// The TCP port on which an instance listens, on every address of the node. One that is not here
    /// does not listen.
    pub local_ports: BTreeMap<String, u16>,
    /// Instances that are wanted and cannot be made, as a fault says. What runs of them is to go on.
    pub held: BTreeSet<String>,
    /// What is to be said about this node. [`Snapshot::faults`] has what is to be said about objects
    /// whichever node they are used on.
    pub faults: Vec<Fault>,
}

/// What the node of this name should do: a pure function of its arguments.
///
/// The node's name becomes the host name in the OPEN; a caller who wants another one changes it in the
/// result.
pub fn compile(snapshot: &Snapshot, node: &str) -> Compiled {
    let mut compiled = Compiled::default();
    let Some(stored) = snapshot.node(node) else {
        let message = format!(
            "there is no such Node that can be used: nothing is announced for it; its manifest is needed \
             for labels, spec.podCIDRs and status.addresses (kubectl get node {node} -o yaml)"
        );
        let fault = Fault { object: Some(format!("Node/{node}")), ..Fault::error("", message) };
        compiled.faults.push(fault);
        return compiled;
    };
    let chosen: Vec<_> = snapshot
        .policies()
        .filter(|policy| stored.object.is_selected(policy.object.node_selector()))
        .collect();
    match chosen[..] {
        [] => {}
        [policy] => NodeCompiler { node: stored, policy, compiled: &mut compiled }.instances(),
        [_, second, ..] => compiled.faults.push(conflict(node, &chosen, second)),
    }
    compiled
}

fn conflict(
    node: &str,
    chosen: &[&Stored<CiliumBGPPeeringPolicy>],
    at: &Stored<CiliumBGPPeeringPolicy>,
) -> Fault {
    let names: Vec<_> = chosen
        .iter()
        .map(|policy| match policy.origin.position("") {
            Some((line, _)) => {
                format!("{} ({}:{line})", policy.object.metadata.name, policy.origin.file())
            }
            None => format!("{} ({})", policy.object.metadata.name, policy.origin.file()),
        })
        .collect();
    let message = format!(
        "more than one CiliumBGPPeeringPolicy applies to node {node}, so none does: {}; change their \
         nodeSelectors so that only one matches the labels of the node",
        names.join(", ")
    );
    let object = format!("CiliumBGPPeeringPolicy/{}", at.object.metadata.name);
    at.origin.fault(Severity::Error, &object, "spec.nodeSelector", message)
}

/// One policy on one node.
struct NodeCompiler<'a> {
    node: &'a Stored<Node>,
    policy: &'a Stored<CiliumBGPPeeringPolicy>,
    compiled: &'a mut Compiled,
}

impl NodeCompiler<'_> {
    fn instances(&mut self) {
        self.compiled.policy = Some(self.policy.object.metadata.name.clone());
        let mut problems = Vec::new();
        let annotations = self.node.object.instance_annotations(&mut problems);
        for problem in problems {
            self.say(problem.severity, &problem.path, problem.message);
        }
        let routers = self.policy.object.virtual_routers();
        for asn in annotations.keys().filter(|asn| routers.iter().all(|router| router.local_asn != **asn)) {
            let field = format!("metadata.annotations[cilium.io/bgp-virtual-router.{asn}]");
            let message = format!(
                "no effect: CiliumBGPPeeringPolicy/{}, which applies here, has no virtual router of AS {asn}",
                self.policy.object.metadata.name
            );
            self.say(Severity::Notice, &field, message);
        }
        for router in routers {
            let name = router.local_asn.to_string();
            let Some(router_id) = self.router_id(router, &annotations) else {
                self.compiled.held.insert(name);
                continue;
            };
            let desired = self.instance(router, router_id);
            // What the schema lets through and a speaker does not is a fault here already.
            if let Err(refused) = desired.check() {
                let message = format!("BGP instance {name} cannot run: {refused}");
                self.say(Severity::Error, "metadata.name", message);
                self.compiled.held.insert(name);
                continue;
            }
            let annotation = annotations.get(&router.local_asn).and_then(Option::as_ref);
            if let Some(port) = annotation.and_then(|said| said.local_port).filter(|port| *port != 0) {
                self.compiled.local_ports.insert(name.clone(), port);
            }
            self.compiled.instances.insert(name, desired);
        }
    }

    /// The annotation's, or else the node's IPv4 address.
    fn router_id(&mut self, router: &VirtualRouter, annotations: &InstanceAnnotations) -> Option<RouterId> {
        let annotation = match annotations.get(&router.local_asn) {
            Some(Some(annotation)) => Some(annotation),
            // It is wrong, which has been said.
            Some(None) => return None,
            None => None,
        };
        let name = format!("cilium.io/bgp-virtual-router.{}", router.local_asn);
        let of_node = || self.node.object.ipv4().filter(|address| !address.is_unspecified());
        let router_id = annotation.and_then(|said| said.router_id).or_else(|| of_node().map(RouterId::from));
        if router_id.is_none() {
            let message = format!(
                "no router id for AS {}: expected an InternalIP of IPv4 or the annotation \
                 {name}: router-id=… (an IPv4 address)",
                router.local_asn
            );
            self.say(Severity::Error, "status.addresses", message);
        }
        router_id
    }

    fn instance(&mut self, router: &VirtualRouter, router_id: RouterId) -> Desired {
        let mut desired = Desired::new(Asn(router.local_asn), router_id);
        // The FQDN capability has room for 64 octets; a node's name may be longer, and is ASCII.
        desired.hostname = Some(self.node.object.metadata.name.chars().take(64).collect());
        for neighbor in &router.neighbors {
            if let Some(address) = neighbor.address() {
                desired
                    .neighbors
                    .insert(NeighborKey::Address(address), compile_neighbor(router.local_asn, neighbor));
            }
        }
        if router.export_pod_cidr == Some(true) {
            let prefixes = self.node.object.pod_cidrs();
            if prefixes.is_empty() {
                let message = format!(
                    "CiliumBGPPeeringPolicy/{} announces the PodCIDRs of this node from AS {}, and it has \
                     none: nothing is announced",
                    self.policy.object.metadata.name, router.local_asn
                );
                self.say(Severity::Notice, "spec.podCIDRs", message);
            }
            // ORIGIN IGP and an empty path are the defaults.
            desired.originate =
                prefixes.into_iter().map(|prefix| (prefix, PathAttributes::default())).collect();
        }
        desired
    }

    /// Something about the node.
    fn say(&mut self, severity: Severity, field: &str, message: String) {
        let object = format!("Node/{}", self.node.object.metadata.name);
        self.compiled.faults.push(self.node.origin.fault(severity, &object, field, message));
    }
}

fn compile_neighbor(local_asn: u32, spec: &NeighborSpec) -> Neighbor {
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    let mut neighbor = Neighbor::new(PeerAs::Number(Asn(spec.peer_asn)));
    neighbor.port = spec.port();
    neighbor.timers = Timers {
        hold: seconds(spec.hold()),
        keepalive: seconds(spec.keepalive()),
        connect_retry: Duration::from_secs(spec.connect_retry().into()),
        ..Timers::default()
    };
    let ttl = spec.ebgp_multihop_ttl.unwrap_or(NeighborSpec::DEFAULT_EBGP_MULTIHOP_TTL);
    neighbor.socket =
        SocketOptions { ttl: (spec.peer_asn != local_asn).then_some(ttl), ..SocketOptions::default() };
    neighbor.families = spec.families().into_iter().collect();
    neighbor.graceful_restart =
        spec.graceful_restart().map(|restart_time| GracefulRestart { restart_time: seconds(restart_time) });
    // With a key that is not known it is not spoken with: without it would be worse.
    neighbor.shutdown = spec.auth_secret_ref.is_some();
    neighbor.import = Some(Policy::reject());
    neighbor.export = Some(own_routes());
    neighbor
}

/// Only what is originated here goes out, so that nothing learned ever does.
fn own_routes() -> Policy {
    let own = Rule {
        matches: vec![Match::Source(BTreeSet::from([RouteSource::Local]))],
        verdict: Some(Verdict::Accept),
        ..Rule::default()
    };
    Policy { rules: vec![own], otherwise: Verdict::Reject }
}
