//! Nodes, and what Cilium's annotations on them say.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use peerage_core::wire::RouterId;
use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    schema::{Field, Object, Problem, Shape},
    selector::{METADATA, Metadata},
};

/// `v1` `Node`: what matters of it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name, labels and annotations.
    pub metadata: Metadata,
    /// What is wanted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<NodeSpec>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<NodeStatus>,
}

/// `spec` of a [`Node`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpec {
    /// The first of `podCIDRs`.
    #[serde(rename = "podCIDR", default, skip_serializing_if = "Option::is_none")]
    pub pod_cidr: Option<String>,
    /// The prefixes of its pods.
    #[serde(rename = "podCIDRs", default, skip_serializing_if = "Option::is_none")]
    pub pod_cidrs: Option<Vec<String>>,
}

/// `status` of a [`Node`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Where it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<NodeAddress>>,
}

/// One address of a [`Node`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAddress {
    /// `InternalIP`, `ExternalIP`, `Hostname`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The address, or a name.
    pub address: String,
}

static NODE: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional(
            "spec",
            Shape::Object(&Object {
                open: true,
                fields: &[
                    Field::optional("podCIDR", Shape::Text(&format::POD_CIDR)),
                    Field::optional(
                        "podCIDRs",
                        Shape::List { items: &Shape::Text(&format::POD_CIDR), least: 0 },
                    ),
                ],
            }),
        ),
        Field::optional(
            "status",
            Shape::Object(&Object {
                open: true,
                fields: &[Field::optional(
                    "addresses",
                    Shape::List { items: &Shape::Object(&ADDRESS), least: 0 },
                )],
            }),
        ),
    ],
});

static ADDRESS: Object = Object {
    open: true,
    fields: &[
        Field::required("type", Shape::Text(&format::ANY)),
        Field::required("address", Shape::Text(&format::ANY)),
    ],
};

impl Resource for Node {
    const KIND: &'static str = "Node";
    const VERSIONS: &'static [&'static str] = &["v1"];

    fn shape() -> &'static Shape {
        &NODE
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self) -> Vec<Problem> {
        self.problems()
    }
}

/// What every annotation about an instance begins with.
const ANNOTATION: &str = "cilium.io/bgp-virtual-router";

/// What the annotation of one instance says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstanceAnnotation {
    pub(crate) router_id: Option<RouterId>,
    pub(crate) local_port: Option<u16>,
}

/// What the annotations of a node say, by AS. An instance whose annotation is wrong is `None`.
pub(crate) type InstanceAnnotations = BTreeMap<u32, Option<InstanceAnnotation>>;

impl Node {
    /// A node with a name, labels, an `InternalIP` and PodCIDRs: what a cluster's definition says.
    pub fn new<'a>(
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        address: IpAddr,
        pod_cidrs: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let address = NodeAddress { kind: "InternalIP".into(), address: address.to_string() };
        let pod_cidrs: Vec<_> = pod_cidrs.into_iter().map(|prefix| prefix.to_string()).collect();
        Self {
            metadata: Metadata { name: name.to_owned(), labels: Some(labels), ..Metadata::default() },
            spec: Some(NodeSpec { pod_cidr: pod_cidrs.first().cloned(), pod_cidrs: Some(pod_cidrs) }),
            status: Some(NodeStatus { addresses: Some(vec![address]) }),
        }
    }

    /// Whether a selector chooses this node; none chooses every node.
    pub(crate) fn is_selected(&self, selector: Option<&crate::LabelSelector>) -> bool {
        let none = BTreeMap::new();
        let labels = self.metadata.labels.as_ref().unwrap_or(&none);
        selector.is_none_or(|selector| selector.matches(labels))
    }

    /// The prefixes of its pods: `podCIDRs`, or `podCIDR` where there are none.
    pub fn pod_cidrs(&self) -> Vec<IpNet> {
        let Some(spec) = &self.spec else { return Vec::new() };
        let list = spec.pod_cidrs.as_deref().filter(|list| !list.is_empty());
        let list = list.unwrap_or(spec.pod_cidr.as_slice());
        list.iter().filter_map(|text| text.parse::<IpNet>().ok()).map(|prefix| prefix.trunc()).collect()
    }

    /// Its `InternalIP`s in order.
    pub fn internal_ips(&self) -> Vec<IpAddr> {
        let addresses = self.status.iter().flat_map(|status| status.addresses.iter().flatten());
        addresses
            .filter(|address| address.kind == "InternalIP")
            .filter_map(|address| address.address.parse().ok())
            .collect()
    }

    /// Its first `InternalIP` of IPv4.
    pub(crate) fn ipv4(&self) -> Option<Ipv4Addr> {
        self.internal_ips().into_iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    }

    /// What the schema cannot say.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(NodeSpec { pod_cidr: Some(one), pod_cidrs: Some(all) }) = &self.spec
            && let Some(first) = all.first().filter(|first| !one.is_empty() && *first != one)
        {
            let message = format!("expected {one:?}, as in podCIDR, found {first:?}");
            problems.push(Problem::error("spec.podCIDRs[0]", message));
        }
        let addresses = self.status.iter().flat_map(|status| status.addresses.iter().flatten());
        for (index, address) in addresses.enumerate() {
            if address.kind == "InternalIP" && address.address.parse::<IpAddr>().is_err() {
                let message = format!("expected an IP address, found {:?}", address.address);
                problems.push(Problem::error(format!("status.addresses[{index}].address"), message));
            }
        }
        problems
    }

    /// Reads the annotations `cilium.io/bgp-virtual-router.{ASN}`.
    pub(crate) fn instance_annotations(&self, problems: &mut Vec<Problem>) -> InstanceAnnotations {
        let mut instances = InstanceAnnotations::new();
        for (name, value) in self.metadata.annotations.iter().flatten() {
            let path = format!("metadata.annotations[{name}]");
            let asn = match name.strip_prefix(ANNOTATION) {
                Some("") => None,
                Some(rest) => match rest.strip_prefix('.') {
                    Some(asn) => asn.parse::<u32>().ok(),
                    None => continue,
                },
                None => continue,
            };
            let Some(asn) = asn else {
                let message = format!("expected an AS number after the last dot, as in {ANNOTATION}.65010");
                problems.push(Problem::error(path, message));
                continue;
            };
            let said = instance_annotation(value, &path, problems);
            instances.insert(asn, said);
        }
        instances
    }
}

/// Reads `router-id=10.0.1.2,local-port=179`. Of a key that stands there twice the last one counts.
fn instance_annotation(value: &str, path: &str, problems: &mut Vec<Problem>) -> Option<InstanceAnnotation> {
    let mut said = InstanceAnnotation::default();
    let mut valid = true;
    let mut wrong = |problems: &mut Vec<Problem>, message: String| {
        problems.push(Problem::error(path, message));
        valid = false;
    };
    for part in value.split(',') {
        match part.split('=').collect::<Vec<_>>()[..] {
            ["router-id", id] => match id.parse::<Ipv4Addr>() {
                Ok(id) if !id.is_unspecified() => said.router_id = Some(id.into()),
                _ => wrong(problems, format!("router-id: expected an IPv4 address, found {id:?}")),
            },
            ["local-port", port] => match port.parse::<u16>() {
                Ok(port) => said.local_port = Some(port),
                Err(_) => {
                    wrong(problems, format!("local-port: expected a number from 0 to 65535, found {port:?}"));
                }
            },
            _ => {
                let message = format!("{part:?} has no effect: expected router-id=… or local-port=…");
                problems.push(Problem::notice(path, message));
            }
        }
    }
    valid.then_some(said)
}
