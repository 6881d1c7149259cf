//! Which prefixes of its pods a node has, by the IPAM mode.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::{CiliumNode, CiliumPodIPPool, ConfigMap, Node, Snapshot, Stored, options::Ipam};

/// The prefixes of a node's pods.
#[derive(Debug)]
pub(super) struct PodPrefixes {
    /// Its PodCIDRs.
    pub(super) cidrs: Vec<IpNet>,
    /// What it has of pools, by their names.
    pools: BTreeMap<String, BTreeSet<IpNet>>,
    /// How the mode takes exportPodCIDR.
    pub(super) export: Use,
    /// How it takes podIPPoolSelector.
    pub(super) select: Use,
}

/// Whether a field can act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It acts on what there is.
    Acts,
    /// It acts, and the node's `CiliumNode` is not there.
    NoCiliumNode,
    /// It does nothing in this mode: completes "no effect: ".
    NoEffect(String),
    /// Nobody knows where PodCIDRs come from: completes "nothing is announced: ".
    Unknown(String),
}

impl PodPrefixes {
    pub(super) fn new(snapshot: &Snapshot, node: &Node, ipam: Ipam) -> Self {
        let cilium = snapshot.cilium_nodes.get(&node.metadata.name).map(|stored| &stored.object);
        let config = cilium_config(snapshot).map(|stored| &stored.object);
        let of_cilium = if cilium.is_some() { Use::Acts } else { Use::NoCiliumNode };
        let not_in = |mode: &str| Use::NoEffect(format!("the IPAM mode is {mode}"));
        let only_pools = "the IPAM mode is multi-pool, where podIPPoolSelector chooses what is announced";
        let (export, select) = match (ipam, config.map(ConfigMap::ipam)) {
            (Ipam::Kubernetes, _) | (Ipam::Auto, Some("kubernetes")) => (Use::Acts, not_in("kubernetes")),
            (Ipam::ClusterPool, _) | (Ipam::Auto, Some("cluster-pool")) => {
                (of_cilium, not_in("cluster-pool"))
            }
            (Ipam::MultiPool, _) | (Ipam::Auto, Some("multi-pool")) => {
                (Use::NoEffect(only_pools.into()), of_cilium)
            }
            (Ipam::None, _) => (not_in("none"), not_in("none")),
            (Ipam::Auto, Some(other)) => {
                let why =
                    format!("the IPAM mode is {other:?}, by the ConfigMap cilium-config: it has no PodCIDRs");
                (Use::NoEffect(why.clone()), Use::NoEffect(why))
            }
            (Ipam::Auto, None) => match calico(snapshot) {
                Some(why) => (Use::Unknown(why), of_cilium),
                None => (Use::Acts, of_cilium),
            },
        };
        let cluster_pool = matches!(
            (ipam, config.map(ConfigMap::ipam)),
            (Ipam::ClusterPool, _) | (Ipam::Auto, Some("cluster-pool"))
        );
        let mut cidrs = match export {
            Use::Acts if cluster_pool => cilium.map(CiliumNode::pod_cidrs).unwrap_or_default(),
            Use::Acts => node.pod_cidrs(),
            _ => Vec::new(),
        };
        cidrs.sort_unstable();
        cidrs.dedup();
        let mut pools: BTreeMap<String, BTreeSet<IpNet>> = BTreeMap::new();
        if select == Use::Acts {
            for (pool, prefixes) in cilium.into_iter().flat_map(CiliumNode::pools) {
                pools.entry(pool.to_owned()).or_default().extend(prefixes);
            }
        }
        Self { cidrs, pools, export, select }
    }

    /// What the node has of a pool.
    pub(super) fn of_pool(&self, name: &str) -> impl Iterator<Item = IpNet> {
        self.pools.get(name).into_iter().flatten().copied()
    }
}

/// A pool's labels, and the two that Cilium adds; a pool lives in no namespace.
pub(super) fn pool_labels(pool: &CiliumPodIPPool) -> BTreeMap<String, String> {
    let metadata = &pool.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    metadata.labels_and([
        ("io.cilium.podippool.namespace", namespace),
        ("io.cilium.podippool.name", &metadata.name),
    ])
}

/// Cilium's ConfigMap; of several that where Cilium is installed most often.
fn cilium_config(snapshot: &Snapshot) -> Option<&Stored<ConfigMap>> {
    let usual = snapshot.config_maps.get(&format!("kube-system/{}", ConfigMap::CILIUM));
    usual.or_else(|| snapshot.config_maps.values().next())
}

/// Why `Node.spec.podCIDRs` may not be what pods have: Calico's IPAM gives each node other blocks.
fn calico(snapshot: &Snapshot) -> Option<String> {
    const KINDS: [&str; 4] = ["IPPool", "IPAMBlock", "BlockAffinity", "IPAMConfig"];
    const DEFINITIONS: [&str; 3] = ["ippools.", "ipamblocks.", "blockaffinities."];
    const GROUP: &str = "projectcalico.org";
    let found = snapshot.passed_over(|version, kind, names| {
        let group = version.split('/').next().unwrap_or_default();
        let object = group.ends_with(GROUP) && KINDS.contains(&kind);
        let definition = kind == "CustomResourceDefinition"
            && names
                .iter()
                .any(|name| name.ends_with(GROUP) && DEFINITIONS.iter().any(|start| name.starts_with(start)));
        object || definition
    })?;
    Some(format!(
        "Calico's IPAM is here ({}), which gives nodes other prefixes than Node.spec.podCIDRs; say where \
         PodCIDRs come from with --ipam=kubernetes or --ipam=none",
        found.file()
    ))
}
