//! Reads the files and puts what they say together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use peerage_kubernetes::{
    Fault, Metadata, Node as Object, NodeAddress, NodeSpec, NodeStatus, Origin, Severity, Snapshot, Stored,
    yaml::{self, Document},
};

use crate::{
    frr,
    kind::{self, Cluster, KindNode},
    model::{Gateway, Lab, Node, Router},
    pods::Placement,
    topo::{self, TopoNode, Topology},
    values,
};

/// The files of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The Kind cluster.
    pub cluster: PathBuf,
    /// The Containerlab topology.
    pub topology: PathBuf,
    /// Kubernetes manifests: files and directories of policies, pods and nodes.
    pub manifests: Vec<PathBuf>,
    /// Helm values for Cilium. Without a file every node has an agent.
    pub values: Option<PathBuf>,
}

/// Reads a lab. Every fault of every file is there, not the first one only, in the order of the files
/// and lines; notices are among them.
///
/// There is a lab unless something is wrong with the cluster, the topology or the values. A manifest
/// that is wrong costs its own object only.
pub fn load(inputs: &Inputs) -> (Option<Lab>, Vec<Fault>) {
    let mut faults = Vec::new();
    let cluster = document(&inputs.cluster, "--cluster", &mut faults)
        .map(|document| (kind::read(&document, &mut faults), Arc::new(document)));
    let topology = document(&inputs.topology, "--topology", &mut faults)
        .map(|document| topo::read(&document, &mut faults));
    let joined = match (&cluster, &topology) {
        (Some((cluster, _)), Some(topology)) => Some(join(cluster, topology, &mut faults)),
        _ => None,
    };
    let routers = topology.as_ref().map(|topology| routers(topology, &mut faults)).unwrap_or_default();
    let bgp_enabled = values(inputs.values.as_deref(), &mut faults);
    let usable = faults.iter().all(|fault| fault.severity == Severity::Notice);

    let manifests = Snapshot::load(&inputs.manifests);
    faults.extend(manifests.faults().into_iter().filter(|fault| is_ours(fault, inputs)));
    let mut lab = None;
    if let (Some((cluster, document)), Some(topology), Some(joined)) = (&cluster, &topology, &joined) {
        let (snapshot, nodes) = nodes(cluster, document, joined, &manifests, &mut faults);
        let mut placement = Placement::default();
        for document in pod_documents(&inputs.manifests) {
            placement.read(&document, &nodes, &mut faults);
        }
        if usable {
            let (name, links) = (topology.name.clone(), topology.links.clone());
            let pods = placement.pods;
            lab = Some(Lab { name, routers, nodes, links, pods, snapshot, bgp_enabled, notices: Vec::new() });
        }
    }
    sort(&mut faults, inputs);
    if let Some(lab) = &mut lab {
        let notices = faults.iter().filter(|fault| fault.severity == Severity::Notice);
        lab.notices = notices.cloned().collect();
    }
    (lab, faults)
}

/// The nodes of a Kind cluster alone, with what the Node manifests among `manifests` say about them.
/// Those of a lab can have more: the addresses of the servers that join them.
pub fn cluster(path: &Path, manifests: &Snapshot) -> (Snapshot, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut nodes = Snapshot::new();
    if let Some(document) = document(path, "--cluster", &mut faults) {
        let cluster = kind::read(&document, &mut faults);
        let document = Arc::new(document);
        for (index, node) in cluster.nodes.iter().enumerate() {
            let manifest = manifests.node(&node.name);
            let object = merge(node, None, manifest.map(|stored| &stored.object));
            let origin = manifest.map_or_else(
                || Origin::document(Arc::clone(&document), format!("nodes[{index}]")),
                |stored| stored.origin.clone(),
            );
            nodes.add_node(object, origin);
        }
    }
    faults.extend(nodes.faults());
    (nodes, faults)
}

/// By file, in the order they are read, then by line; none twice.
fn sort(faults: &mut Vec<Fault>, inputs: &Inputs) {
    let known = [Some(&inputs.cluster), Some(&inputs.topology), inputs.values.as_ref()];
    let mut files: Vec<String> = known.into_iter().flatten().map(|path| path.display().to_string()).collect();
    for fault in faults.iter() {
        if !files.contains(&fault.file) {
            files.push(fault.file.clone());
        }
    }
    faults.sort_by_key(|fault| {
        (files.iter().position(|file| *file == fault.file), fault.line, fault.column, fault.message.clone())
    });
    faults.dedup();
}

/// The only document of a file.
fn document(path: &Path, option: &str, faults: &mut Vec<Fault>) -> Option<Document> {
    let file = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "there is no such file".to_owned(),
                io::ErrorKind::InvalidData => "not UTF-8: expected a text file".to_owned(),
                _ if path.is_dir() => "a directory: expected a file".to_owned(),
                _ => format!("cannot be read: {error}"),
            };
            faults.push(Fault::error(file, format!("{why}; {option} FILE names another one")));
            return None;
        }
    };
    let (documents, wrong) = yaml::parse(&file, &text);
    let before = faults.len();
    faults.extend(wrong);
    let mut own = faults.split_off(before);
    let only = crate::yaml::only(&file, documents, &mut own);
    faults.extend(own);
    only
}

fn values(path: Option<&Path>, faults: &mut Vec<Fault>) -> bool {
    let Some(path) = path else { return true };
    document(path, "--values", faults).is_some_and(|document| values::read(&document, faults))
}

/// Whether a finding of the manifests' reader is one: pods are known here, and a directory of manifests
/// may hold the lab's other files.
fn is_ours(fault: &Fault, inputs: &Inputs) -> bool {
    let others = [Some(&inputs.cluster), Some(&inputs.topology), inputs.values.as_ref()];
    let same = |other: &PathBuf| match (fs::canonicalize(other), fs::canonicalize(&fault.file)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    };
    fault.object.as_deref() != Some("Pod (v1)") && !others.into_iter().flatten().any(same)
}

/// The documents of the manifests once more, for pods. What is wrong with them has been said.
fn pod_documents(paths: &[PathBuf]) -> Vec<Document> {
    let mut documents = Vec::new();
    for path in paths {
        let mut files = vec![path.clone()];
        if path.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
            let is_manifest = |path: &PathBuf| {
                let extension = path.extension().and_then(|extension| extension.to_str());
                matches!(extension, Some("yaml" | "yml" | "json")) && !path.is_dir()
            };
            files = entries.filter(is_manifest).collect();
            files.sort();
        }
        for file in files {
            if let Ok(text) = fs::read_to_string(&file) {
                documents.extend(yaml::parse(&file.display().to_string(), &text).0);
            }
        }
    }
    documents
}

fn routers(topology: &Topology, faults: &mut Vec<Fault>) -> Vec<Router> {
    let mut routers = Vec::new();
    for host in topology.hosts.iter().filter(|host| host.joins.is_none()) {
        let config = host.config.as_ref().map(|(config, _)| config).filter(|config| config.bgp.is_some());
        let Some(config) = config else {
            faults.push(host.place.notice(
                "it has no `router bgp` line and joins no container of the cluster: no part in the lab",
            ));
            continue;
        };
        let before = faults.len();
        let own = frr::Host {
            name: host.name.clone(),
            connected: host.connected.clone(),
            routes: host.routes.clone(),
            linked: host.linked.clone(),
            masquerade: host.masquerade.clone(),
        };
        routers.extend(frr::router(config, own, faults));
        for fault in faults.iter_mut().skip(before) {
            fault.object.get_or_insert_with(|| host.name.clone());
        }
    }
    routers
}

/// Servers by the cluster's node that they join, with what the topology calls its container.
type Joined<'a> = BTreeMap<String, (&'a TopoNode, String)>;

/// Containerlab puts its prefix and the topology's name in front of a container's name; a name that
/// has them already is taken as well.
fn join<'a>(cluster: &Cluster, topology: &'a Topology, faults: &mut Vec<Fault>) -> Joined<'a> {
    let mut joined = Joined::new();
    for host in &topology.hosts {
        let Some((container, place)) = &host.joins else { continue };
        let mut place = place.clone();
        place.object = Some(host.name.clone());
        let full = format!("{}{container}", topology.prefix);
        let known = |name: &str| cluster.nodes.iter().any(|node| node.name == name);
        let (node, short) = if known(&full) {
            (full, container.clone())
        } else if known(container) {
            let short = container.strip_prefix(&format!("{}-", cluster.name)).unwrap_or(container);
            (container.clone(), short.to_owned())
        } else {
            let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
            faults.push(place.error(format!(
                "container:{container} is {full} to Containerlab, which is none of the cluster's nodes: {}",
                names.join(", ")
            )));
            continue;
        };
        if let Some((_, vtysh)) = &host.config {
            let mut place = vtysh.clone();
            place.object = Some(host.name.clone());
            faults.push(place.error("a server that joins a node runs the lab's agent, not FRR"));
        }
        if let Some((other, _)) = joined.get(&node) {
            faults.push(place.error(format!("{node} is joined by {} already", other.name)));
            continue;
        }
        joined.insert(node, (host, short));
    }
    for node in cluster.nodes.iter().filter(|node| !joined.contains_key(&node.name)) {
        faults.push(node.place.error(format!(
            "no node of the topology joins it; expected one with network-mode: container:{}",
            node.name.strip_prefix(&topology.prefix).unwrap_or(&node.name)
        )));
    }
    for (name, (host, _)) in &joined {
        let Some(node) = cluster.nodes.iter().find(|node| node.name == *name) else { continue };
        addresses_meet(node, host, faults);
    }
    joined
}

/// A kubelet refuses a `node-ip` that its machine does not have.
fn addresses_meet(node: &KindNode, host: &TopoNode, faults: &mut Vec<Fault>) {
    let has = |address: &IpAddr| host.connected.iter().any(|attached| attached.address.addr() == *address);
    for (address, place) in node.addresses.iter().filter(|(address, _)| !has(address)) {
        faults.push(place.error(format!(
            "{address} is on no interface of {}, which joins {}; expected an `ip addr add` line for it",
            host.name, node.name
        )));
    }
    if node.addresses.is_empty() && guess(host).is_none() {
        faults.push(node.place.error(format!(
            "it has no node-ip, and {}, which joins it, has no address; expected one of both",
            host.name
        )));
    }
}

/// As a kubelet without `node-ip` does: the address towards the default route, or the first one.
fn guess(host: &TopoNode) -> Option<IpAddr> {
    let default = host.routes.iter().find(|route| route.prefix.prefix_len() == 0);
    let over = default.and_then(|route| match &route.gateway {
        Gateway::Via { interface, .. } => Some(interface),
        Gateway::Blackhole => None,
    });
    let on = |interface: &String| host.connected.iter().find(|attached| attached.interface == *interface);
    let first = || host.connected.iter().find(|attached| attached.interface != "lo");
    over.and_then(on).or_else(first).map(|attached| attached.address.addr())
}

/// The cluster's nodes with what Node manifests say about them, and a snapshot of these and of the
/// policies.
fn nodes(
    cluster: &Cluster,
    document: &Arc<Document>,
    joined: &Joined<'_>,
    manifests: &Snapshot,
    faults: &mut Vec<Fault>,
) -> (Snapshot, Vec<Node>) {
    let mut merged = Snapshot::new();
    let mut nodes = Vec::new();
    for (index, node) in cluster.nodes.iter().enumerate() {
        let Some((host, container)) = joined.get(&node.name) else { continue };
        let manifest = manifests.node(&node.name);
        let object = merge(node, guess(host), manifest.map(|stored| &stored.object));
        let origin = manifest.map_or_else(
            || Origin::document(Arc::clone(document), format!("nodes[{index}]")),
            |stored| stored.origin.clone(),
        );
        nodes.push(Node {
            name: node.name.clone(),
            container: container.clone(),
            server: host.name.clone(),
            control_plane: node.control_plane,
            addresses: object.internal_ips(),
            connected: host.connected.clone(),
            routes: host.routes.clone(),
            labels: object.metadata.labels.clone().unwrap_or_default(),
            annotations: object.metadata.annotations.clone().unwrap_or_default(),
            pod_cidrs: object.pod_cidrs(),
        });
        merged.add_node(object, origin);
    }
    faults.extend(merged.faults());
    overlaps(&nodes, &merged, faults);

    // The nodes come first for their order, and last for what is merged into them.
    let mut snapshot = merged.clone();
    snapshot.apply(manifests.clone());
    let mut strangers = Snapshot::new();
    for Stored { object, origin } in manifests.nodes() {
        let name = &object.metadata.name;
        if cluster.nodes.iter().all(|node| node.name != *name) {
            let names: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
            let message = format!("the cluster has no such node; it has {}", names.join(", "));
            faults.push(origin.fault(Severity::Error, &format!("Node/{name}"), "metadata.name", message));
            strangers.add_node(object.clone(), origin.clone());
        }
    }
    snapshot.remove(&strangers);
    snapshot.apply(merged);
    (snapshot, nodes)
}

/// What the Kind file says, and over it what a manifest says.
fn merge(node: &KindNode, guess: Option<IpAddr>, manifest: Option<&Object>) -> Object {
    let mut labels = node.labels.clone();
    labels.entry("kubernetes.io/hostname".into()).or_insert_with(|| node.name.clone());
    if node.control_plane {
        labels.entry("node-role.kubernetes.io/control-plane".into()).or_default();
    }
    let said: Vec<IpAddr> = node.addresses.iter().map(|(address, _)| *address).collect();
    let mut addresses = if said.is_empty() { guess.into_iter().collect() } else { said };
    let mut pod_cidrs = node.pod_cidrs.clone();
    let mut annotations = None;
    if let Some(manifest) = manifest {
        labels.extend(manifest.metadata.labels.clone().unwrap_or_default());
        annotations = manifest.metadata.annotations.clone();
        let own = manifest.internal_ips();
        if !own.is_empty() {
            addresses = own;
        }
        let own = manifest.pod_cidrs();
        if !own.is_empty() {
            pod_cidrs = own;
        }
    }
    let pod_cidrs: Vec<String> = pod_cidrs.iter().map(IpNet::to_string).collect();
    let address = |address: IpAddr| NodeAddress { kind: "InternalIP".into(), address: address.to_string() };
    Object {
        metadata: Metadata { name: node.name.clone(), namespace: None, labels: Some(labels), annotations },
        spec: Some(NodeSpec { pod_cidr: pod_cidrs.first().cloned(), pod_cidrs: Some(pod_cidrs) }),
        status: Some(NodeStatus { addresses: Some(addresses.into_iter().map(address).collect()) }),
    }
}

/// No two nodes may have the same pod network.
fn overlaps(nodes: &[Node], objects: &Snapshot, faults: &mut Vec<Fault>) {
    let mut seen: BTreeSet<(IpNet, &str)> = BTreeSet::new();
    for node in nodes {
        for cidr in &node.pod_cidrs {
            let other = seen.iter().find(|(other, _)| other.contains(cidr) || cidr.contains(other));
            if let (Some((other, owner)), Some(object)) = (other, objects.node(&node.name)) {
                faults.push(object.origin.fault(
                    Severity::Error,
                    &format!("Node/{}", node.name),
                    "spec.podCIDRs",
                    format!("{cidr} overlaps {other} of {owner}"),
                ));
            }
            seen.insert((*cidr, &node.name));
        }
    }
}
