//! Cilium's pools of addresses, for Services and for pods.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    schema::{Field, Object, Problem, Shape},
    selector::{METADATA, Metadata},
};

/// `CiliumLoadBalancerIPPool` (`cilium.io/v2`, `cilium.io/v2alpha1`): what matters of it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumLoadBalancerIPPool {
    /// Name and labels.
    pub metadata: Metadata,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<LoadBalancerIPPoolSpec>,
}

/// `spec` of a [`CiliumLoadBalancerIPPool`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBalancerIPPoolSpec {
    /// Its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Vec<PoolBlock>>,
    /// What `blocks` was called before Cilium 1.15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidrs: Option<Vec<PoolBlock>>,
    /// Whether it is out of use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// `spec.blocks[]`: a prefix, or the addresses from `start` to `stop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolBlock {
    /// `10.0.10.0/24`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// The first address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The last address; without it there is one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
}

/// `CiliumPodIPPool` (`cilium.io/v2alpha1`, `cilium.io/v2`): nodes say what they have of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumPodIPPool {
    /// Name and labels.
    pub metadata: Metadata,
}

static LB_POOL: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional(
            "spec",
            Shape::Object(&Object {
                open: true,
                fields: &[
                    Field::optional("blocks", Shape::List { items: &Shape::Object(&BLOCK), least: 0 }),
                    Field::optional("cidrs", Shape::List { items: &Shape::Object(&BLOCK), least: 0 }),
                    Field::optional("disabled", Shape::Bool),
                ],
            }),
        ),
    ],
});

static BLOCK: Object = Object {
    open: false,
    fields: &[
        Field::optional("cidr", Shape::Text(&format::ANY)),
        Field::optional("start", Shape::Text(&format::ANY)),
        Field::optional("stop", Shape::Text(&format::ANY)),
    ],
};

static POD_POOL: Shape =
    Shape::Object(&Object { open: true, fields: &[Field::required("metadata", Shape::Object(&METADATA))] });

const VERSIONS: &[&str] = &["cilium.io/v2", "cilium.io/v2alpha1"];

impl Resource for CiliumLoadBalancerIPPool {
    const KIND: &'static str = "CiliumLoadBalancerIPPool";
    const VERSIONS: &'static [&'static str] = VERSIONS;

    fn shape() -> &'static Shape {
        &LB_POOL
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// A block that means nothing costs the others nothing.
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (path, block) in self.blocks() {
            if let Err(why) = block.prefixes() {
                problems.push(Problem::notice(path, format!("no effect: {why}")));
            }
        }
        problems
    }
}

impl Resource for CiliumPodIPPool {
    const KIND: &'static str = "CiliumPodIPPool";
    const VERSIONS: &'static [&'static str] = VERSIONS;

    fn shape() -> &'static Shape {
        &POD_POOL
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl CiliumLoadBalancerIPPool {
    /// Whether it is out of use.
    pub fn is_disabled(&self) -> bool {
        self.spec.as_ref().and_then(|spec| spec.disabled).unwrap_or(false)
    }

    /// The fewest prefixes that hold the addresses of its blocks, and no others.
    pub fn prefixes(&self) -> Vec<IpNet> {
        let found = self.blocks().filter_map(|(_, block)| block.prefixes().ok()).flatten();
        IpNet::aggregate(&found.collect())
    }

    fn blocks(&self) -> impl Iterator<Item = (String, &PoolBlock)> {
        let lists = self.spec.iter().flat_map(|spec| [("blocks", &spec.blocks), ("cidrs", &spec.cidrs)]);
        lists.flat_map(|(name, list)| {
            let blocks = list.iter().flatten().enumerate();
            blocks.map(move |(index, block)| (format!("spec.{name}[{index}]"), block))
        })
    }
}

impl PoolBlock {
    /// The prefixes that hold its addresses: at most 62 of IPv4 or 254 of IPv6.
    pub fn prefixes(&self) -> Result<Vec<IpNet>, String> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        match (text(&self.cidr), text(&self.start), text(&self.stop)) {
            (Some(cidr), None, None) => match cidr.parse::<IpNet>() {
                Ok(prefix) => Ok(vec![prefix.trunc()]),
                Err(_) => Err(format!("cidr: expected a prefix such as \"10.0.10.0/24\", found {cidr:?}")),
            },
            (None, Some(start), stop) => between(&start, stop.as_deref().unwrap_or(&start)),
            _ => Err("expected either cidr, or start and stop".into()),
        }
    }
}

fn between(start: &str, stop: &str) -> Result<Vec<IpNet>, String> {
    let address = |name: &str, text: &str| {
        text.parse::<IpAddr>().map_err(|_| format!("{name}: expected an IP address, found {text:?}"))
    };
    match (address("start", start)?, address("stop", stop)?) {
        (IpAddr::V4(start), IpAddr::V4(stop)) if start <= stop => {
            Ok(Ipv4Subnets::new(start, stop, 0).map(IpNet::V4).collect())
        }
        (IpAddr::V6(start), IpAddr::V6(stop)) if start <= stop => {
            Ok(Ipv6Subnets::new(start, stop, 0).map(IpNet::V6).collect())
        }
        (start, stop) if start.is_ipv4() != stop.is_ipv4() => {
            Err(format!("expected two addresses of one family, found {start} and {stop}"))
        }
        (start, stop) => {
            Err(format!("expected a stop that is not before the start, found {start} and {stop}"))
        }
    }
}
