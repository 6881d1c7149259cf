//! Which addresses of Services a node announces: the table of Cilium's rules.
//!
//! | address | of | announced |
//! |---|---|---|
//! | LoadBalancerIP | type LoadBalancer, of no class or of Cilium's BGP | externalTrafficPolicy |
//! | ExternalIP | any | externalTrafficPolicy |
//! | ClusterIP | any that is not headless | internalTrafficPolicy |
//!
//! By the policy Cluster it is announced by every node; by Local where this node has a backend of the
//! same family.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::advertised::{Advertised, Reason};
use crate::{LabelSelector, Service, Snapshot, options::Terminating, service::AddressType};

/// Which families a Service has backends of on one node.
#[derive(Clone, Copy, Debug, Default)]
struct Backends {
    ipv4: bool,
    ipv6: bool,
}

/// The Services of a snapshot as one node sees them.
#[derive(Debug)]
pub(super) struct Services<'a> {
    snapshot: &'a Snapshot,
    /// By namespace and name.
    local: BTreeMap<(&'a str, &'a str), Backends>,
}

impl<'a> Services<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, node: &str, terminating: Terminating) -> Self {
        let mut local: BTreeMap<_, Backends> = BTreeMap::new();
        for slice in snapshot.endpoint_slices.values().map(|stored| &stored.object) {
            let Some(service) = slice.service().filter(|_| slice.has_backend_on(node, terminating)) else {
                continue;
            };
            let backends = local.entry((slice.metadata.namespace(), service)).or_default();
            match slice.address_type.as_str() {
                "IPv4" => backends.ipv4 = true,
                "IPv6" => backends.ipv6 = true,
                _ => {}
            }
        }
        Self { snapshot, local }
    }

    /// Adds what the node announces of the Services that a selector chooses.
    pub(super) fn advertise(
        &self,
        selector: &LabelSelector,
        kinds: &[AddressType],
        advertised: &mut Advertised,
    ) {
        for service in self.snapshot.services.values().map(|stored| &stored.object) {
            if !selector.matches(&labels(service)) {
                continue;
            }
            let (namespace, name) = (service.metadata.namespace(), service.metadata.name.as_str());
            let backends = self.local.get(&(namespace, name)).copied().unwrap_or_default();
            for &kind in kinds {
                for address in service.addresses(kind) {
                    let has_backend = if address.is_ipv4() { backends.ipv4 } else { backends.ipv6 };
                    if service.is_local(kind) && !has_backend {
                        continue;
                    }
                    let reason = Reason::Service {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                        address: kind,
                    };
                    advertised.entry(IpNet::from(address)).or_default().insert(reason);
                }
            }
        }
    }
}

/// A Service's labels, and the two that Cilium adds.
fn labels(service: &Service) -> BTreeMap<String, String> {
    let metadata = &service.metadata;
    metadata.labels_and([
        ("io.kubernetes.service.namespace", metadata.namespace()),
        ("io.kubernetes.service.name", &metadata.name),
    ])
}
