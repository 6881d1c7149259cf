//! Pods of the manifests, and which node each is placed on.
//!
//! The first node in the Kind file's order that fits gets the pod: one whose labels are what
//! `nodeSelector` asks for, and no control plane unless the pod tolerates it or there is nothing else,
//! as Kind taints them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use peerage_kubernetes::{Fault, yaml::Document};
use serde_json::Value;

use crate::{
    model::{Node, Pod},
    yaml::{self, error, items, keys, member, notice, plain_text, text},
};

/// What Kind puts on control planes.
const TAINT: &str = "node-role.kubernetes.io/control-plane";

/// The host part of a node's first pod's address.
const FIRST_ADDRESS: u128 = 10;

/// Places pods, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// Pods so far.
    pub(crate) pods: Vec<Pod>,
    named: BTreeSet<(String, String)>,
    on_node: BTreeMap<String, u128>,
}

impl Placement {
    /// Takes the pods of a document: one, or a list of objects.
    pub(crate) fn read(&mut self, document: &Document, nodes: &[Node], faults: &mut Vec<Fault>) {
        let says = |path: &str, key: &str| {
            yaml::value(document, &member(path, key)).and_then(Value::as_str).unwrap_or("").to_owned()
        };
        let of_list = match (says("", "apiVersion").as_str(), says("", "kind").as_str()) {
            ("v1", "Pod") => return self.pod(document, "", nodes, faults),
            ("v1", "List") => false,
            ("v1", "PodList") => true,
            _ => return,
        };
        // A list that is none has its fault from the snapshot's reader.
        for path in items(document, "items", &mut Vec::new()) {
            if says(&path, "kind") == "Pod" || (of_list && says(&path, "kind").is_empty()) {
                self.pod(document, &path, nodes, faults);
            }
        }
    }

    fn pod(&mut self, document: &Document, path: &str, nodes: &[Node], faults: &mut Vec<Fault>) {
        let before = faults.len();
        let metadata = member(path, "metadata");
        let spec = member(path, "spec");
        let name_path = member(&metadata, "name");
        let name = text(document, &name_path, faults).unwrap_or_default();
        let namespace =
            text(document, &member(&metadata, "namespace"), faults).unwrap_or_else(|| "default".into());
        let selector_path = member(&spec, "nodeSelector");
        let mut selector = BTreeMap::new();
        for key in keys(document, &selector_path, faults) {
            if let Some(value) = text(document, &member(&selector_path, &key), faults) {
                selector.insert(key, value);
            }
        }
        let wanted = text(document, &member(&spec, "nodeName"), faults);
        let tolerant = tolerates(document, &member(&spec, "tolerations"), faults);
        if yaml::value(document, &member(&spec, "affinity")).is_some() {
            faults.push(notice(document, &member(&spec, "affinity"), "no effect in the lab"));
        }
        if name.is_empty() && faults.len() == before {
            faults.push(error(document, &name_path, "a pod without a name; expected metadata.name"));
        } else if !self.named.insert((namespace.clone(), name.clone())) {
            faults.push(error(document, &name_path, "there is a pod of that name in its namespace already"));
        }
        if faults.iter().skip(before).all(|fault| fault.severity == peerage_kubernetes::Severity::Notice) {
            let workers = nodes.iter().any(|node| !node.control_plane);
            let fits = |node: &&Node| match &wanted {
                Some(wanted) => node.name == *wanted,
                None => {
                    (tolerant || !node.control_plane || !workers)
                        && selector.iter().all(|(key, value)| node.labels.get(key) == Some(value))
                }
            };
            let node = nodes.iter().find(fits);
            if node.is_none() {
                let path = if wanted.is_some() { member(&spec, "nodeName") } else { selector_path };
                faults.push(notice(document, &path, "no node fits: the pod is not placed"));
            }
            let address = node.and_then(|node| self.address(node));
            self.pods.push(Pod {
                name: name.clone(),
                namespace,
                node: node.map(|node| node.name.clone()),
                address,
            });
        }
        for fault in faults.iter_mut().skip(before) {
            fault.object = Some(format!("Pod/{name}"));
        }
    }

    fn address(&mut self, node: &Node) -> Option<IpAddr> {
        let cidr = node.pod_cidrs.first()?;
        let count = self.on_node.entry(node.name.clone()).or_default();
        let host = FIRST_ADDRESS + *count;
        let address = match cidr.network() {
            IpAddr::V4(network) => {
                let bits = u32::from(network).checked_add(u32::try_from(host).ok()?)?;
                IpAddr::V4(bits.into())
            }
            IpAddr::V6(network) => IpAddr::V6(u128::from(network).checked_add(host)?.into()),
        };
        // The last address of an IPv4 network is its broadcast address.
        let broadcast = matches!(cidr, IpNet::V4(_)) && address == cidr.broadcast();
        let usable = cidr.contains(&address) && !broadcast;
        *count += u128::from(usable);
        usable.then_some(address)
    }
}

/// Whether one of the tolerations is about the control plane's taint.
fn tolerates(document: &Document, path: &str, faults: &mut Vec<Fault>) -> bool {
    items(document, path, faults).into_iter().any(|path| {
        let key = text(document, &member(&path, "key"), faults);
        let operator = text(document, &member(&path, "operator"), faults).unwrap_or_else(|| "Equal".into());
        let value = plain_text(document, &member(&path, "value"), faults).unwrap_or_default();
        let effect = text(document, &member(&path, "effect"), faults);
        let effect_fits = effect.is_none_or(|effect| effect == "NoSchedule" || effect.is_empty());
        effect_fits
            && match (key.as_deref(), operator.as_str()) {
                (None | Some(""), "Exists") | (Some(TAINT), "Exists") => true,
                (Some(TAINT), "Equal") => value.is_empty(),
                _ => false,
            }
    })
}
