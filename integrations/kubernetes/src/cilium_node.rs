//! `CiliumNode`: which prefixes Cilium's own IPAM has given a node.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    schema::{Field, Object, Shape},
    selector::{METADATA, Metadata},
};

/// `cilium.io/v2` `CiliumNode`: what matters of it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumNode {
    /// The node's name.
    pub metadata: Metadata,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<CiliumNodeSpec>,
}

/// `spec` of a [`CiliumNode`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumNodeSpec {
    /// Addresses for pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<CiliumNodeIpam>,
}

/// `spec.ipam`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumNodeIpam {
    /// By the mode `cluster-pool`.
    #[serde(rename = "podCIDRs", default, skip_serializing_if = "Option::is_none")]
    pub pod_cidrs: Option<Vec<String>>,
    /// By the mode `multi-pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<CiliumNodePools>,
}

/// `spec.ipam.pools`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumNodePools {
    /// What is the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated: Option<Vec<AllocatedPool>>,
}

/// `spec.ipam.pools.allocated[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatedPool {
    /// The `CiliumPodIPPool`.
    pub pool: String,
    /// The node's prefixes out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidrs: Option<Vec<String>>,
}

static CIDR: Shape = Shape::Text(&format::POD_CIDR);

static CILIUM_NODE: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional(
            "spec",
            Shape::Object(&Object { open: true, fields: &[Field::optional("ipam", Shape::Object(&IPAM))] }),
        ),
    ],
});

static IPAM: Object = Object {
    open: true,
    fields: &[
        Field::optional("podCIDRs", Shape::List { items: &CIDR, least: 0 }),
        Field::optional(
            "pools",
            Shape::Object(&Object {
                open: true,
                fields: &[Field::optional(
                    "allocated",
                    Shape::List { items: &Shape::Object(&ALLOCATED), least: 0 },
                )],
            }),
        ),
    ],
};

static ALLOCATED: Object = Object {
    open: true,
    fields: &[
        Field::required("pool", Shape::Text(&format::ANY)),
        Field::optional("cidrs", Shape::List { items: &CIDR, least: 0 }),
    ],
};

impl Resource for CiliumNode {
    const KIND: &'static str = "CiliumNode";
    const VERSIONS: &'static [&'static str] = &["cilium.io/v2"];

    fn shape() -> &'static Shape {
        &CILIUM_NODE
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl CiliumNode {
    /// What the mode `cluster-pool` gave it.
    pub fn pod_cidrs(&self) -> Vec<IpNet> {
        prefixes(self.ipam().and_then(|ipam| ipam.pod_cidrs.as_deref()))
    }

    /// What the mode `multi-pool` gave it, by pool.
    pub fn pools(&self) -> impl Iterator<Item = (&str, Vec<IpNet>)> {
        let pools = self.ipam().and_then(|ipam| ipam.pools.as_ref());
        let allocated = pools.and_then(|pools| pools.allocated.as_deref()).unwrap_or_default();
        allocated.iter().map(|pool| (pool.pool.as_str(), prefixes(pool.cidrs.as_deref())))
    }

    fn ipam(&self) -> Option<&CiliumNodeIpam> {
        self.spec.as_ref().and_then(|spec| spec.ipam.as_ref())
    }
}

fn prefixes(texts: Option<&[String]>) -> Vec<IpNet> {
    let texts = texts.unwrap_or_default().iter();
    texts.filter_map(|text| text.parse::<IpNet>().ok()).map(|prefix| prefix.trunc()).collect()
}
