//! The lab as it runs: the fabric, a speaker for each router and each BGP instance of a node, and the
//! Kubernetes objects that say what the instances are.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use peerage_core::{
    rib::Route,
    speaker::{Desired, DownReason, Event, Plan},
    wire::Family,
};
use peerage_kubernetes::{Compiled, Fault, Severity, Snapshot, compile};
use peerage_lab_input::{Attached, Gateway, Lab, StaticRoute};
use peerage_sockets::SocketSetup;

use super::{
    fabric::{Fabric, Link, Machine},
    progress::Progress,
};
use crate::{
    cli::{Loopback, OnShutdown, Runtime as WhichRuntime},
    instances::{Home, Instances, Outcome, Wanted},
    node::{Node, Runtime},
    show::Instance,
};

/// The family that the lab's tables show.
pub(crate) const FAMILY: Family = Family::IPV4_UNICAST;

/// How long ending sessions may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A speaker in the lab.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its machine in the fabric.
    pub(crate) machine: usize,
    /// Its BGP instance, for a node's.
    pub(crate) instance: Option<String>,
    /// Its host name.
    pub(crate) hostname: Option<String>,
    /// Whether its tables name hosts.
    pub(crate) show_hostname: bool,
    /// Itself.
    pub(crate) node: Node,
}

impl Member {
    /// What it knows now.
    pub(crate) fn look(&self) -> Option<Instance> {
        self.look_at(FAMILY)
    }

    /// What it knows now about a family.
    pub(crate) fn look_at(&self, family: Family) -> Option<Instance> {
        self.node.with(|speaker, now| {
            Instance::take(speaker, now, family, self.hostname.clone(), self.show_hostname)
        })
    }
}

/// What the cluster's objects made of one instance.
#[derive(Clone, Debug)]
pub(crate) struct InstanceChange {
    /// The node's name.
    pub(crate) node: String,
    /// The instance's name.
    pub(crate) instance: String,
    /// What changed.
    pub(crate) plan: Plan,
}

/// The lab as it runs.
#[derive(Debug)]
pub(crate) struct World {
    /// What it was made of.
    pub(crate) lab: Lab,
    /// Its map.
    pub(crate) fabric: Arc<Fabric>,
    /// Who is told what happens.
    progress: Arc<Progress>,
    runtime: Runtime,
    routers: Mutex<Vec<Arc<Member>>>,
    /// In the order of the nodes.
    agents: Vec<Agent>,
    cluster: Mutex<Snapshot>,
}

/// What a node runs.
#[derive(Debug)]
struct Agent {
    machine: usize,
    node: String,
    instances: Instances,
}

/// An agent in its world, as its instances see it.
struct At<'a> {
    world: &'a World,
    agent: &'a Agent,
}

impl Home for At<'_> {
    fn sockets(&self, _name: &str) -> Arc<dyn SocketSetup> {
        Arc::new(self.world.fabric.sockets(self.agent.machine))
    }

    fn started(&self, name: &str, _wanted: &Wanted, node: &Node) {
        self.world.hear(format!("{}/{name}", self.agent.node), node);
    }
}

impl World {
    /// Runs the routers. The nodes' agents wait for policies.
    pub(crate) fn start(
        lab: Lab,
        cluster: Snapshot,
        runtime: WhichRuntime,
        loopback: Loopback,
        progress: Arc<Progress>,
    ) -> Result<Self> {
        let fabric = Fabric::new(machines(&lab)?, loopback).context("cannot prepare loopback sockets")?;
        let runtime = Runtime::start(runtime)?;
        let agents = lab.nodes.iter().enumerate().map(|(index, node)| Agent {
            machine: lab.routers.len() + index,
            node: node.name.clone(),
            instances: Instances::new(runtime.clone()),
        });
        let agents = agents.collect();
        let world = Self {
            lab,
            fabric,
            progress,
            runtime,
            routers: Mutex::default(),
            agents,
            cluster: Mutex::new(cluster),
        };
        world.start_routers()?;
        Ok(world)
    }

    /// Every router listens and knows its neighbours before any dials; who is on the other end of a link
    /// is found out after that, as with router advertisements.
    fn start_routers(&self) -> Result<()> {
        for (machine, router) in self.lab.routers.iter().enumerate() {
            let hostname = router.desired.hostname.clone().or_else(|| Some(router.name.clone()));
            self.add(machine, hostname, router.show.hostname)
                .with_context(|| format!("cannot start {}", router.name))?;
        }
        for (member, router) in self.members().into_iter().zip(&self.lab.routers) {
            self.reconcile(&member, &router.desired)
                .with_context(|| format!("the configuration of {} cannot run", router.name))?;
        }
        self.members().iter().for_each(|member| self.discover(member));
        Ok(())
    }

    /// Tells a speaker who is on the other ends of its links.
    fn discover(&self, member: &Member) {
        let machines = self.fabric.machines();
        let Some(machine) = machines.get(member.machine) else { return };
        for link in &machine.links {
            let peer = machines.get(link.peer).and_then(|peer| peer.link(&link.peer_interface));
            let link_local = peer.map(|peer| peer.link_local);
            member.node.with(|speaker, now| speaker.handle_neighbor(now, &link.interface, link_local));
        }
    }

    /// Runs a router's speaker, which is not told yet what to be.
    fn add(&self, machine: usize, hostname: Option<String>, show_hostname: bool) -> Result<()> {
        let node = self
            .runtime
            .spawn(Arc::new(self.fabric.sockets(machine)), &self.fabric.listen(machine))
            .map_err(|error| {
            anyhow::anyhow!("{error}; the lab needs free ports on loopback: close what uses them up")
        })?;
        self.fabric.listening(machine, &node.listen_addrs());
        let member = Arc::new(Member { machine, instance: None, hostname, show_hostname, node });
        self.hear(self.name(&member), &member.node);
        lock(&self.routers).push(member);
        Ok(())
    }

    /// Has people told what happens at a speaker.
    fn hear(&self, name: String, node: &Node) {
        let progress = Arc::clone(&self.progress);
        node.set_event_sink(move |event| tell(&progress, &name, &event));
    }

    /// Makes a speaker what is desired, and lets it speak.
    fn reconcile(&self, member: &Member, desired: &Desired) -> Result<Plan> {
        member.node.with(|speaker, now| {
            let plan = speaker.reconcile(now, desired)?;
            speaker.release(now);
            Ok(plan)
        })
    }

    /// Every speaker: routers first, then the nodes' instances.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        let mut members = lock(&self.routers).clone();
        for agent in &self.agents {
            members.extend(agent.instances.running().into_iter().map(|(name, node)| {
                let (instance, hostname) = (Some(name), Some(agent.node.clone()));
                Arc::new(Member { machine: agent.machine, instance, hostname, show_hostname: false, node })
            }));
        }
        members
    }

    /// What a speaker is called: its machine, and its instance where it is not alone there.
    pub(crate) fn name(&self, member: &Member) -> String {
        let machine = self.fabric.machines().get(member.machine).map_or("", |machine| machine.name.as_str());
        match &member.instance {
            Some(instance) => format!("{machine}/{instance}"),
            None => machine.to_owned(),
        }
    }

    /// The router's speaker.
    pub(crate) fn router(&self, machine: usize) -> Option<Arc<Member>> {
        self.members().into_iter().find(|member| member.machine == machine && member.instance.is_none())
    }

    /// The speaker that `name` means: a router, a node by any of its names, or node/instance.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Member>> {
        let members = self.members();
        if let Some(member) = members.iter().find(|member| self.name(member) == name) {
            return Ok(Arc::clone(member));
        }
        let (wanted, instance) = name.split_once('/').map_or((name, None), |(node, at)| (node, Some(at)));
        let node = self
            .lab
            .nodes
            .iter()
            .position(|node| node.name == wanted || node.container == wanted || node.server == wanted);
        let machine = node.map(|index| index + self.lab.routers.len());
        let of_node: Vec<_> = members
            .iter()
            .filter(|member| Some(member.machine) == machine)
            .filter(|member| instance.is_none() || member.instance.as_deref() == instance)
            .collect();
        match of_node.as_slice() {
            [member] => Ok(Arc::clone(member)),
            [] if node.is_some() => bail!(
                "{wanted} runs no BGP instance{}",
                instance.map_or_else(|| "; no policy selects it".into(), |instance| format!(" {instance}"))
            ),
            [] => {
                let mut known: Vec<String> =
                    self.lab.routers.iter().map(|router| router.name.clone()).collect();
                known.extend(self.lab.nodes.iter().map(|node| node.name.clone()));
                bail!("there is no {name}; there are {}", known.join(", "))
            }
            several => {
                let names: Vec<_> = several.iter().map(|member| self.name(member)).collect();
                bail!("{wanted} runs several BGP instances; say {}", names.join(" or "))
            }
        }
    }

    /// The cluster's objects.
    pub(crate) fn cluster(&self) -> MutexGuard<'_, Snapshot> {
        lock(&self.cluster)
    }

    /// Makes every node what the cluster's objects say. Faulty objects are reported and left out.
    pub(crate) fn apply(&self) -> (Vec<InstanceChange>, Vec<Fault>) {
        let cluster = self.cluster();
        let (mut changes, mut faults) = (Vec::new(), Vec::new());
        for (agent, node) in self.agents.iter().zip(&self.lab.nodes) {
            let Compiled { instances, local_ports, held, faults: found, .. } = compile(&cluster, &node.name);
            let about = |message| Fault::error(format!("Node/{}", node.name), message);
            faults.extend(found);
            for (name, port) in local_ports {
                let message = format!(
                    "local-port={port} of instance {name} has no effect: agents of a lab do not listen"
                );
                faults.push(Fault { severity: Severity::Notice, ..about(message) });
            }
            let instances = if self.lab.bgp_enabled { instances } else { BTreeMap::new() };
            let wanted = instances
                .into_iter()
                .map(|(name, desired)| (name, Wanted { desired, listen: Vec::new() }))
                .collect();
            for (instance, outcome) in agent.instances.apply(&wanted, &held, &At { world: self, agent }) {
                match outcome {
                    Outcome::Started(plan) | Outcome::Changed(plan) | Outcome::Ended(plan) => {
                        changes.push(InstanceChange { node: node.name.clone(), instance, plan });
                    }
                    Outcome::Failed { why, .. } => {
                        faults.push(about(format!("BGP instance {instance} cannot run: {why}")));
                    }
                }
            }
        }
        changes.retain(|change| !change.plan.is_empty());
        faults.sort();
        faults.dedup();
        (changes, faults)
    }

    /// A router's route to an address.
    pub(crate) fn lookup(&self, machine: usize, address: IpAddr) -> Option<Route> {
        self.router(machine)?.node.with(|speaker, _| speaker.rib().lookup(address))
    }

    /// Ends every session with Cease 6/2.
    pub(crate) fn shutdown(&self) {
        std::thread::scope(|scope| {
            for router in lock(&self.routers).clone() {
                scope.spawn(move || router.node.shutdown("the lab ends", PATIENCE));
            }
            for agent in &self.agents {
                scope.spawn(|| agent.instances.shutdown(OnShutdown::Cease, "the lab ends"));
            }
        });
    }
}

/// What people want to know of an event. A node that does not answer is not told of: the ToRs dial
/// agents, which never listen.
fn tell(progress: &Progress, name: &str, event: &Event) {
    match event {
        Event::PeerUp { key, asn, .. } => progress.say(&format!("{name}: {key} (AS {asn}) is Established")),
        Event::PeerDown { key, reason, .. } => progress.say(&format!("{name}: {key} is down: {reason}")),
        Event::AttemptFailed { key, reason: reason @ (DownReason::Sent(body) | DownReason::Received(body)), .. }
            // Two connections met and one was to go.
            if (body.code, body.subcode) != (6, 7) =>
        {
            progress.say(&format!("{name}: {key} does not come up: {reason}"));
        }
        Event::MalformedUpdates { count, fault, .. } => {
            progress.say(&format!("{name}: {count} malformed UPDATEs, the last: {fault:?}"));
        }
        _ => {}
    }
}

/// Routers and nodes as machines, in this order, with their ends of links.
pub(super) fn machines(lab: &Lab) -> Result<Vec<Machine>> {
    let mut machines = Vec::new();
    let mut index = HashMap::new();
    for router in &lab.routers {
        index.insert(router.name.as_str(), machines.len());
        machines.push(machine(&router.name, &router.connected, &router.routes, true));
    }
    for node in &lab.nodes {
        index.insert(node.server.as_str(), machines.len());
        machines.push(machine(&node.name, &node.connected, &node.routes, false));
    }
    for link in &lab.links {
        let (Some(&a), Some(&b)) = (index.get(link.a.node.as_str()), index.get(link.b.node.as_str())) else {
            // One end is neither a router nor a node: nothing speaks BGP over it.
            continue;
        };
        for (here, this, there, other) in [(a, &link.a, b, &link.b), (b, &link.b, a, &link.a)] {
            let machine = machines.get_mut(here).context("a link without a machine")?;
            machine.links.push(Link {
                interface: this.interface.clone(),
                link_local: this.link_local,
                peer: there,
                peer_interface: other.interface.clone(),
            });
        }
    }
    Ok(machines)
}

fn machine(name: &str, connected: &[Attached], routes: &[StaticRoute], router: bool) -> Machine {
    Machine {
        name: name.to_owned(),
        addresses: connected.iter().map(|at| (at.interface.clone(), at.address)).collect(),
        routes: routes
            .iter()
            .map(|route| match &route.gateway {
                Gateway::Blackhole => (route.prefix, None),
                Gateway::Via { address, .. } => (route.prefix, Some(*address)),
            })
            .collect(),
        links: Vec::new(),
        router,
    }
}

/// A panic elsewhere was reported there; the lists are whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
