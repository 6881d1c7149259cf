//! The front end for Cilium's v1: from a [`Snapshot`] to what each instance on one node should do.
//!
//! Cilium's rules are kept: a policy is for the nodes its selector chooses; two policies for one node are
//! none; each virtual router is an instance; what is learned is never used, and only what the node
//! originates is announced. In two places it is milder, so that nothing wrong takes something right with
//! it: an object that is not used is not there for the other rules either, and an annotation that is
//! wrong costs its own instance, not the whole node.

mod advertised;
mod attributes;
mod pods;
mod services;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use peerage_core::{
    policy::Policy,
    speaker::{Desired, GracefulRestart, Neighbor, NeighborKey, PeerAs, SocketOptions, Timers},
    wire::{Asn, RouterId, attr::PathAttributes},
};

pub use advertised::{Advertised, Reason};
use attributes::Routes;
use pods::{PodPrefixes, Use, pool_labels};
use services::Services;

use crate::{
    CiliumBGPPeeringPolicy, Fault, Node, Options, Severity, Snapshot, Stored,
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
    /// Why each of them announces what it announces.
    pub advertised: BTreeMap<String, Advertised>,
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
    compile_with(snapshot, node, Options::default())
}

/// [`compile`], in another way than the usual one.
pub fn compile_with(snapshot: &Snapshot, node: &str, options: Options) -> Compiled {
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
        [policy] => {
            let pods = PodPrefixes::new(snapshot, &stored.object, options.ipam);
            // Without a policy that asks for Services nobody looks at them.
            let asks = policy.object.virtual_routers().iter().any(|router| router.service_selector.is_some());
            let services = asks.then(|| Services::new(snapshot, node, options.terminating));
            NodeCompiler { snapshot, node: stored, policy, pods, services, compiled: &mut compiled }
                .instances();
        }
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
    snapshot: &'a Snapshot,
    pods: PodPrefixes,
    services: Option<Services<'a>>,
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
        for (index, router) in routers.iter().enumerate() {
            let name = router.local_asn.to_string();
            let Some(router_id) = self.router_id(router, &annotations) else {
                self.compiled.held.insert(name);
                continue;
            };
            let advertised = self.advertised(router, &format!("spec.virtualRouters[{index}]"));
            self.find_pools(router, &format!("spec.virtualRouters[{index}]"));
            let desired = self.instance(router, router_id, &advertised);
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
            self.compiled.advertised.insert(name.clone(), advertised);
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

    fn instance(&self, router: &VirtualRouter, router_id: RouterId, advertised: &Advertised) -> Desired {
        let mut desired = Desired::new(Asn(router.local_asn), router_id);
        // The FQDN capability has room for 64 octets; a node's name may be longer, and is ASCII.
        desired.hostname = Some(self.node.object.metadata.name.chars().take(64).collect());
        let routes = Routes { snapshot: self.snapshot, node: &self.node.object, pods: &self.pods };
        for neighbor in &router.neighbors {
            if let Some(address) = neighbor.address() {
                let compiled = compile_neighbor(router.local_asn, neighbor, routes);
                desired.neighbors.insert(NeighborKey::Address(address), compiled);
            }
        }
        // ORIGIN IGP and an empty path are the defaults; the rest is for each neighbour's export policy.
        desired.originate = advertised.keys().map(|prefix| (*prefix, PathAttributes::default())).collect();
        desired
    }

    /// What a virtual router, which is at a path of the policy, announces here, and why.
    fn advertised(&mut self, router: &VirtualRouter, path: &str) -> Advertised {
        let mut advertised = Advertised::new();
        if router.export_pod_cidr == Some(true) {
            self.explain(&self.pods.export.clone(), &format!("{path}.exportPodCIDR"));
            if self.pods.export == Use::Acts && self.pods.cidrs.is_empty() {
                let message = format!(
                    "CiliumBGPPeeringPolicy/{} announces the PodCIDRs of this node from AS {}, and it has \
                     none: nothing is announced",
                    self.policy.object.metadata.name, router.local_asn
                );
                self.say(Severity::Notice, "spec.podCIDRs", message);
            }
            for prefix in &self.pods.cidrs {
                advertised.entry(*prefix).or_default().insert(Reason::PodCidr);
            }
        }
        if let Some(selector) = &router.pod_ip_pool_selector {
            self.explain(&self.pods.select.clone(), &format!("{path}.podIPPoolSelector"));
            for pool in self.snapshot.pod_pools.values().map(|stored| &stored.object) {
                if selector.matches(&pool_labels(pool)) {
                    let name = &pool.metadata.name;
                    for prefix in self.pods.of_pool(name) {
                        advertised.entry(prefix).or_default().insert(Reason::PodIpPool(name.clone()));
                    }
                }
            }
        }
        if let (Some(selector), Some(services)) = (&router.service_selector, &self.services) {
            services.advertise(selector, &router.service_advertisements(), &mut advertised);
        }
        advertised
    }

    /// Says which attributes are for pools that are not there.
    fn find_pools(&mut self, router: &VirtualRouter, path: &str) {
        let routes = Routes { snapshot: self.snapshot, node: &self.node.object, pods: &self.pods };
        let mut faults = Vec::new();
        for (at, neighbor) in router.neighbors.iter().enumerate() {
            for (index, attributes) in neighbor.advertised_path_attributes.iter().flatten().enumerate() {
                if routes.lacks_pool(attributes) {
                    let field = format!("{path}.neighbors[{at}].advertisedPathAttributes[{index}]");
                    let message = format!(
                        "no effect: no {} that is in use is chosen, so no route gets these attributes",
                        attributes.selector_type
                    );
                    faults.push(self.of_policy(Severity::Notice, &field, message));
                }
            }
        }
        self.compiled.faults.extend(faults);
    }

    /// Something about the policy.
    fn of_policy(&self, severity: Severity, field: &str, message: String) -> Fault {
        let object = format!("CiliumBGPPeeringPolicy/{}", self.policy.object.metadata.name);
        self.policy.origin.fault(severity, &object, field, message)
    }

    /// Says why a field of the policy does not do what it says.
    fn explain(&mut self, how: &Use, field: &str) {
        let (severity, message) = match how {
            Use::Acts => return,
            Use::NoCiliumNode => {
                let node = &self.node.object.metadata.name;
                let message = format!(
                    "there is no such CiliumNode that can be used, and the IPAM mode has PodCIDRs nowhere \
                     else: none are announced for it by {field} of CiliumBGPPeeringPolicy/{} (kubectl get \
                     ciliumnode {node} -o yaml)",
                    self.policy.object.metadata.name
                );
                let object = Some(format!("CiliumNode/{node}"));
                self.compiled.faults.push(Fault { object, ..Fault::error("", message) });
                return;
            }
            Use::NoEffect(why) => (Severity::Notice, format!("no effect: {why}")),
            Use::Unknown(why) => (Severity::Error, format!("nothing is announced: {why}")),
        };
        self.compiled.faults.push(self.of_policy(severity, field, message));
    }

    /// Something about the node.
    fn say(&mut self, severity: Severity, field: &str, message: String) {
        let object = format!("Node/{}", self.node.object.metadata.name);
        self.compiled.faults.push(self.node.origin.fault(severity, &object, field, message));
    }
}

fn compile_neighbor(local_asn: u32, spec: &NeighborSpec, routes: Routes<'_>) -> Neighbor {
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
    neighbor.export = Some(attributes::export(spec, spec.peer_asn == local_asn, routes));
    neighbor
}
