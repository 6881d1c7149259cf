//! Services, and which addresses of theirs can be announced.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    schema::{Field, Object, Problem, Shape},
    selector::{METADATA, Metadata},
};

/// `v1` `Service`: what matters of it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Name, namespace and labels.
    pub metadata: Metadata,
    /// What is wanted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ServiceSpec>,
    /// What it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ServiceStatus>,
}

/// `spec` of a [`Service`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The first of `clusterIPs`, or `None`.
    #[serde(rename = "clusterIP", default, skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<String>,
    /// Its addresses within the cluster.
    #[serde(rename = "clusterIPs", default, skip_serializing_if = "Option::is_none")]
    pub cluster_ips: Option<Vec<String>>,
    /// Further addresses under which nodes accept traffic for it.
    #[serde(rename = "externalIPs", default, skip_serializing_if = "Option::is_none")]
    pub external_ips: Option<Vec<String>>,
    /// Who gets traffic from outside: `Cluster` (every backend) or `Local` (the node's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<String>,
    /// The same for traffic from within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_traffic_policy: Option<String>,
    /// Who implements its load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer_class: Option<String>,
}

/// `status` of a [`Service`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// What its load balancer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancerStatus>,
}

/// `status.loadBalancer`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerStatus {
    /// Where traffic comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<LoadBalancerIngress>>,
}

/// `status.loadBalancer.ingress[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerIngress {
    /// Its address; others have a host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
}

static SERVICE: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional("spec", Shape::Object(&SPEC)),
        Field::optional("status", Shape::Object(&STATUS)),
    ],
});

static TEXTS: Shape = Shape::Text(&format::ANY);
const POLICY: Shape = Shape::Choice(&["Cluster", "Local"]);

static SPEC: Object = Object {
    open: true,
    fields: &[
        Field::optional("type", Shape::Choice(&["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])),
        Field::optional("clusterIP", Shape::Text(&format::ANY)),
        Field::optional("clusterIPs", Shape::List { items: &TEXTS, least: 0 }),
        Field::optional("externalIPs", Shape::List { items: &TEXTS, least: 0 }),
        Field::optional("externalTrafficPolicy", POLICY),
        Field::optional("internalTrafficPolicy", POLICY),
        Field::optional("loadBalancerClass", Shape::Text(&format::ANY)),
    ],
};

static STATUS: Object = Object {
    open: true,
    fields: &[Field::optional(
        "loadBalancer",
        Shape::Object(&Object {
            open: true,
            fields: &[Field::optional("ingress", Shape::List { items: &Shape::Object(&INGRESS), least: 0 })],
        }),
    )],
};

static INGRESS: Object = Object { open: true, fields: &[Field::optional("ip", Shape::Text(&format::ANY))] };

impl Resource for Service {
    const KIND: &'static str = "Service";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const NAMESPACED: bool = true;

    fn shape() -> &'static Shape {
        &SERVICE
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// An address that cannot be announced costs the others nothing.
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (path, text) in AddressType::ALL.iter().flat_map(|kind| self.texts(*kind)) {
            if let Err(why) = virtual_ip(text) {
                problems.push(Problem::notice(path, format!("{text:?} is not announced: {why}")));
            }
        }
        problems
    }
}

/// `serviceAdvertisements[]`: a kind of address that a Service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum AddressType {
    /// `status.loadBalancer.ingress[].ip`
    LoadBalancerIP,
    /// `spec.clusterIPs`
    ClusterIP,
    /// `spec.externalIPs`
    ExternalIP,
}

impl AddressType {
    const ALL: [Self; 3] = [Self::LoadBalancerIP, Self::ClusterIP, Self::ExternalIP];
}

impl fmt::Display for AddressType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadBalancerIP => "LoadBalancerIP",
            Self::ClusterIP => "ClusterIP",
            Self::ExternalIP => "ExternalIP",
        })
    }
}

impl FromStr for AddressType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == text).ok_or(())
    }
}

impl Service {
    /// The class of load balancers that Cilium's BGP announces, beside that of no name.
    pub const LOAD_BALANCER_CLASS: &'static str = "io.cilium/bgp-control-plane";

    /// The addresses of one kind that can be announced, each once, in their order.
    pub fn addresses(&self, kind: AddressType) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for (_, text) in self.texts(kind) {
            if let Ok(address) = virtual_ip(text)
                && !addresses.contains(&address)
            {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Whether traffic to such an address stays on the node that it comes to.
    pub fn is_local(&self, kind: AddressType) -> bool {
        let Some(spec) = &self.spec else { return false };
        let policy = match kind {
            AddressType::LoadBalancerIP | AddressType::ExternalIP => &spec.external_traffic_policy,
            AddressType::ClusterIP => &spec.internal_traffic_policy,
        };
        policy.as_deref() == Some("Local")
    }

    /// The texts of the addresses of one kind, with their paths.
    fn texts(&self, kind: AddressType) -> Vec<(String, &str)> {
        let Some(spec) = &self.spec else { return Vec::new() };
        let list = |name: &str, texts: &'_ Option<Vec<String>>| -> Vec<String> {
            let count = texts.as_ref().map_or(0, Vec::len);
            (0..count).map(|index| format!("spec.{name}[{index}]")).collect()
        };
        let texts: Vec<(String, &str)> = match kind {
            AddressType::LoadBalancerIP => {
                let class = spec.load_balancer_class.as_deref();
                if spec.kind.as_deref() != Some("LoadBalancer")
                    || class.is_some_and(|class| class != Self::LOAD_BALANCER_CLASS)
                {
                    return Vec::new();
                }
                let balancer = self.status.as_ref().and_then(|status| status.load_balancer.as_ref());
                let ingress = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
                let path = |index| format!("status.loadBalancer.ingress[{index}].ip");
                let texts = ingress.iter().map(|ingress| ingress.ip.as_deref().unwrap_or_default());
                texts.enumerate().map(|(index, text)| (path(index), text)).collect()
            }
            AddressType::ClusterIP => {
                let one = spec.cluster_ip.iter().map(|text| ("spec.clusterIP".to_owned(), text.as_str()));
                let all = spec.cluster_ips.iter().flatten().map(String::as_str);
                list("clusterIPs", &spec.cluster_ips).into_iter().zip(all).chain(one).collect()
            }
            AddressType::ExternalIP => {
                let all = spec.external_ips.iter().flatten().map(String::as_str);
                list("externalIPs", &spec.external_ips).into_iter().zip(all).collect()
            }
        };
        // A headless Service has the address "None".
        texts.into_iter().filter(|(_, text)| !text.is_empty() && *text != "None").collect()
    }
}

/// Reads an address that a route can be announced for, or says why there can be none.
fn virtual_ip(text: &str) -> Result<IpAddr, &'static str> {
    let Ok(address) = text.parse::<IpAddr>() else { return Err("expected an IPv4 or IPv6 address") };
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || link_local || mapped {
        return Err("expected a unicast address that routers forward to");
    }
    Ok(address)
}
