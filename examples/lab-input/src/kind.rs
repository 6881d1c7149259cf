//! The Kind file: nodes with their names, addresses and labels, and the pods' networks.
//!
//! As Kind does it: nodes are named after the cluster and their role; a kubeadm patch applies by the
//! `kind` in it: the first control plane is made by an InitConfiguration, every other node by a
//! JoinConfiguration. kube-controller-manager hands out a /24 (IPv6: /64) of the pod network to each.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use peerage_kubernetes::{Fault, yaml::Document};

use crate::{
    place::Place,
    yaml::{self, error, items, keys, member, notice, plain_text, text},
};

/// Lengths of a node's networks, kube-controller-manager's defaults.
const NODE_MASK: (u8, u8) = (24, 64);

/// A cluster.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Its name.
    pub(crate) name: String,
    /// Its nodes in the order of the file.
    pub(crate) nodes: Vec<KindNode>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct KindNode {
    /// Its name in Kubernetes, and its container's.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// Whether it is a control plane.
    pub(crate) control_plane: bool,
    /// `node-ip`
    pub(crate) addresses: Vec<(IpAddr, Place)>,
    /// `node-labels`, and those of the file's own `labels`
    pub(crate) labels: BTreeMap<String, String>,
    /// Its part of the pods' networks.
    pub(crate) pod_cidrs: Vec<IpNet>,
}

/// Keys of the file and of its nodes; Kind refuses others.
const CLUSTER_KEYS: [&str; 11] = [
    "kind",
    "apiVersion",
    "name",
    "nodes",
    "networking",
    "featureGates",
    "runtimeConfig",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
];
const NODE_KEYS: [&str; 7] = [
    "role",
    "image",
    "labels",
    "extraMounts",
    "extraPortMappings",
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
];

/// Reads a cluster. What is wrong is in `faults`; the rest is there all the same.
pub(crate) fn read(document: &Document, faults: &mut Vec<Fault>) -> Cluster {
    known_keys(document, "", &CLUSTER_KEYS, faults);
    expect_text(document, "kind", "Cluster", faults);
    expect_text(document, "apiVersion", "kind.x-k8s.io/v1alpha4", faults);
    let name = text(document, "name", faults).unwrap_or_else(|| "kind".into());
    let shared = patches(document, "kubeadmConfigPatches", faults);
    no_effect(document, "", "kubeadmConfigPatchesJSON6902", faults);
    let mut nodes = Vec::new();
    let (mut control_planes, mut workers) = (0, 0);
    for path in items(document, "nodes", faults) {
        known_keys(document, &path, &NODE_KEYS, faults);
        no_effect(document, &path, "kubeadmConfigPatchesJSON6902", faults);
        let role_path = member(&path, "role");
        let role = text(document, &role_path, faults).unwrap_or_else(|| "control-plane".into());
        let (control_plane, count) = match role.as_str() {
            "control-plane" => (true, &mut control_planes),
            "worker" => (false, &mut workers),
            other => {
                let message = format!("`{other}` is not a role; expected control-plane or worker");
                faults.push(error(document, &role_path, message));
                continue;
            }
        };
        *count += 1;
        let number = if *count == 1 { String::new() } else { count.to_string() };
        let mut node = KindNode {
            name: format!("{name}-{role}{number}"),
            place: yaml::place(document, &path),
            control_plane,
            addresses: Vec::new(),
            labels: BTreeMap::new(),
            pod_cidrs: Vec::new(),
        };
        node.place.object = Some(format!("Node/{}", node.name));
        let labels = member(&path, "labels");
        for key in keys(document, &labels, faults) {
            if let Some(label) = plain_text(document, &member(&labels, &key), faults) {
                node.labels.insert(key, label);
            }
        }
        let first = control_plane && control_planes == 1;
        let own = patches(document, &member(&path, "kubeadmConfigPatches"), faults);
        for patch in shared.iter() {
            node.patch(patch, first, false, faults);
        }
        for patch in own.iter() {
            node.patch(patch, first, true, faults);
        }
        nodes.push(node);
    }
    if nodes.is_empty() && faults.is_empty() {
        faults.push(error(document, "nodes", "a cluster without nodes; expected a list of roles"));
    }
    if control_planes == 0 && workers > 0 {
        faults.push(error(
            document,
            "nodes",
            "no node has the role control-plane; Kind makes no such cluster",
        ));
    }
    networks(document, &mut nodes, faults);
    Cluster { name, nodes }
}

fn known_keys(document: &Document, path: &str, known: &[&str], faults: &mut Vec<Fault>) {
    for key in keys(document, path, faults) {
        if !known.contains(&key.as_str()) {
            let message = format!("Kind has no such key; expected one of {}", known.join(", "));
            faults.push(error(document, &member(path, &key), message));
        }
    }
}

fn expect_text(document: &Document, path: &str, expected: &str, faults: &mut Vec<Fault>) {
    match yaml::value(document, path) {
        Some(serde_json::Value::String(found)) if found == expected => {}
        found => {
            let found = found.map_or_else(|| "nothing".into(), yaml::kind);
            faults.push(error(document, path, format!("expected {path}: {expected}, found {found}")));
        }
    }
}

fn no_effect(document: &Document, path: &str, key: &str, faults: &mut Vec<Fault>) {
    let path = member(path, key);
    if yaml::value(document, &path).is_some() {
        faults.push(notice(document, &path, "no effect in the lab"));
    }
}

/// The documents within the texts of a list.
fn patches(document: &Document, path: &str, faults: &mut Vec<Fault>) -> Vec<Document> {
    let mut patches = Vec::new();
    for path in items(document, path, faults) {
        if text(document, &path, faults).is_none() {
            continue;
        }
        let (inner, wrong) = document.nested(&path);
        faults.extend(wrong);
        patches.extend(inner);
    }
    patches
}

impl KindNode {
    /// Applies a kubeadm patch. Those that every node shares apply where they fit; one of its own that
    /// does not is worth a notice.
    fn patch(&mut self, patch: &Document, first: bool, own: bool, faults: &mut Vec<Fault>) {
        let about = |mut fault: Fault| {
            fault.object = self.place.object.clone();
            fault
        };
        let Some(kind) = text(patch, "kind", faults) else {
            faults.push(about(error(
                patch,
                "",
                "a patch without kind; expected InitConfiguration or JoinConfiguration",
            )));
            return;
        };
        let expected = if first { "InitConfiguration" } else { "JoinConfiguration" };
        if kind != expected {
            if own {
                faults.push(about(notice(
                    patch,
                    "kind",
                    format!("no effect in the lab: {} is made by its {expected}, not by {kind}", self.name),
                )));
            }
            return;
        }
        let before = faults.len();
        let arguments = arguments(patch, "nodeRegistration.kubeletExtraArgs", faults);
        for (key, value, path) in arguments {
            match key.as_str() {
                "node-ip" => self.node_ip(&value, patch, &path, faults),
                "node-labels" => self.node_labels(&value, patch, &path, faults),
                _ => faults.push(notice(patch, &path, format!("{key} has no effect in the lab"))),
            }
        }
        for fault in faults.iter_mut().skip(before) {
            fault.object = self.place.object.clone();
        }
    }

    fn node_ip(&mut self, value: &str, patch: &Document, path: &str, faults: &mut Vec<Fault>) {
        self.addresses.clear();
        for part in value.split(',') {
            match part.trim().parse::<IpAddr>() {
                Ok(address)
                    if self.addresses.iter().any(|(other, _)| other.is_ipv4() == address.is_ipv4()) =>
                {
                    faults.push(error(patch, path, format!("{address} is a second address of one family")));
                }
                Ok(address) => {
                    let mut place = yaml::place(patch, path);
                    place.object = self.place.object.clone();
                    self.addresses.push((address, place));
                }
                Err(_) => faults.push(error(patch, path, format!("`{part}` is not an address"))),
            }
        }
    }

    fn node_labels(&mut self, value: &str, patch: &Document, path: &str, faults: &mut Vec<Fault>) {
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, label)) if !key.is_empty() => {
                    self.labels.insert(key.trim().to_owned(), label.trim().to_owned());
                }
                _ => faults.push(error(patch, path, format!("`{part}` is not a label; expected KEY=VALUE"))),
            }
        }
    }
}

/// A mapping (kubeadm v1beta3), or a list of name and value (v1beta4): key, value and path of each.
fn arguments(patch: &Document, path: &str, faults: &mut Vec<Fault>) -> Vec<(String, String, String)> {
    let mut arguments = Vec::new();
    if yaml::value(patch, path).is_some_and(serde_json::Value::is_array) {
        for path in items(patch, path, faults) {
            let value_path = member(&path, "value");
            let name = text(patch, &member(&path, "name"), faults);
            let value = plain_text(patch, &value_path, faults);
            match (name, value) {
                (Some(name), Some(value)) => arguments.push((name, value, value_path)),
                _ => faults.push(error(patch, &path, "expected name and value")),
            }
        }
    } else {
        for key in keys(patch, path, faults) {
            let path = member(path, &key);
            if let Some(value) = plain_text(patch, &path, faults) {
                arguments.push((key, value, path));
            }
        }
    }
    arguments
}

/// Hands out the pods' networks.
fn networks(document: &Document, nodes: &mut [KindNode], faults: &mut Vec<Fault>) {
    let path = "networking.podSubnet";
    keys(document, "networking", faults);
    let family = text(document, "networking.ipFamily", faults).unwrap_or_else(|| "ipv4".into());
    let default = match family.as_str() {
        "ipv4" => "10.244.0.0/16",
        "ipv6" => "fd00:10:244::/56",
        "dual" => "10.244.0.0/16,fd00:10:244::/56",
        other => {
            let message = format!("`{other}` is not a family; expected ipv4, ipv6 or dual");
            faults.push(error(document, "networking.ipFamily", message));
            return;
        }
    };
    let subnets = text(document, path, faults).unwrap_or_else(|| default.into());
    let mut seen: Vec<IpNet> = Vec::new();
    for part in subnets.split(',') {
        let Ok(subnet) = part.trim().parse::<IpNet>() else {
            let message = format!("`{part}` is not a network; expected one like 10.1.0.0/16");
            faults.push(error(document, path, message));
            continue;
        };
        if seen.iter().any(|other| other.addr().is_ipv4() == subnet.addr().is_ipv4()) {
            faults.push(error(document, path, format!("{subnet} is a second network of one family")));
            continue;
        }
        seen.push(subnet);
        let parts = slices(subnet.trunc(), nodes.len());
        if parts.len() < nodes.len() {
            faults.push(error(
                document,
                path,
                format!("{subnet} has room for {} of {} nodes; {}", parts.len(), nodes.len(), room(subnet)),
            ));
        }
        for (node, cidr) in nodes.iter_mut().zip(parts) {
            node.pod_cidrs.push(cidr);
        }
    }
}

fn room(subnet: IpNet) -> &'static str {
    match subnet {
        IpNet::V4(_) => "expected a shorter prefix: each node gets a /24",
        IpNet::V6(_) => "expected a shorter prefix: each node gets a /64",
    }
}

/// The first networks of a node's size in `subnet`, `count` of them at most.
fn slices(subnet: IpNet, count: usize) -> Vec<IpNet> {
    match subnet {
        IpNet::V4(net) if net.prefix_len() <= NODE_MASK.0 => net
            .subnets(NODE_MASK.0)
            .into_iter()
            .flatten()
            .take(count)
            .map(|net: Ipv4Net| net.into())
            .collect(),
        IpNet::V6(net) if net.prefix_len() <= NODE_MASK.1 => net
            .subnets(NODE_MASK.1)
            .into_iter()
            .flatten()
            .take(count)
            .map(|net: Ipv6Net| net.into())
            .collect(),
        _ => Vec::new(),
    }
}
