//! The objects that there are, checked one by one: what [`compile`](crate::compile()) starts from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    CiliumBGPPeeringPolicy, CiliumLoadBalancerIPPool, CiliumNode, CiliumPodIPPool, ConfigMap, EndpointSlice,
    Fault, Node, Origin, Service, Severity, Stored,
    objects::{NO_NAME, Objects, Resource, key_of, name_of, object_name, read},
};

/// Kinds that will matter and do not yet.
const LATER: [(&str, &str); 11] = [
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "Namespace"),
    ("cilium.io/", "CiliumBGPClusterConfig"),
    ("cilium.io/", "CiliumBGPPeerConfig"),
    ("cilium.io/", "CiliumBGPAdvertisement"),
    ("cilium.io/", "CiliumBGPNodeConfig"),
    ("cilium.io/", "CiliumBGPNodeConfigOverride"),
    ("metallb.io/", "BGPPeer"),
    ("metallb.io/", "BGPAdvertisement"),
    ("metallb.io/", "IPAddressPool"),
];

/// Every object there is, and what is wrong with those that are not used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub(crate) policies: Objects<CiliumBGPPeeringPolicy>,
    pub(crate) nodes: Objects<Node>,
    pub(crate) services: Objects<Service>,
    pub(crate) endpoint_slices: Objects<EndpointSlice>,
    pub(crate) lb_pools: Objects<CiliumLoadBalancerIPPool>,
    pub(crate) pod_pools: Objects<CiliumPodIPPool>,
    pub(crate) cilium_nodes: Objects<CiliumNode>,
    pub(crate) config_maps: Objects<ConfigMap>,
    node_order: Vec<String>,
    faults: Vec<Fault>,
    passed_over: BTreeMap<(String, String), PassedOver>,
}

/// Objects of one kind that nothing is done with.
#[derive(Clone, Debug, PartialEq)]
struct PassedOver {
    first: Origin,
    names: Vec<String>,
}

/// Runs a macro with the field and the type of each kind that is acted on.
macro_rules! each_kind {
    ($step:ident) => {
        $step!(policies, CiliumBGPPeeringPolicy);
        $step!(nodes, Node);
        $step!(services, Service);
        $step!(endpoint_slices, EndpointSlice);
        $step!(lb_pools, CiliumLoadBalancerIPPool);
        $step!(pod_pools, CiliumPodIPPool);
        $step!(cilium_nodes, CiliumNode);
        $step!(config_maps, ConfigMap);
    };
}

impl Snapshot {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a policy, unless it is wrong, or there is one of that name already.
    pub fn add_policy(&mut self, policy: CiliumBGPPeeringPolicy, origin: Origin) -> bool {
        match serde_json::to_value(&policy) {
            Ok(value) => self.add_typed::<CiliumBGPPeeringPolicy>(&value, origin),
            Err(error) => self.unwritable(&origin, error),
        }
    }

    /// Adds a node, unless it is wrong, or there is one of that name already.
    pub fn add_node(&mut self, node: Node, origin: Origin) -> bool {
        match serde_json::to_value(&node) {
            Ok(value) => self.add_typed::<Node>(&value, origin),
            Err(error) => self.unwritable(&origin, error),
        }
    }

    fn add_typed<T: Resource>(&mut self, value: &Value, origin: Origin) -> bool {
        let version = T::VERSIONS.first().copied().unwrap_or_default();
        matches!(self.add_value(value, version, T::KIND, origin), Ok(true))
    }

    /// Adds an object of a kind that is acted on, if nothing is wrong with it: whether it was added. Of
    /// another kind its origin comes back.
    pub(crate) fn add_value(
        &mut self,
        value: &Value,
        version: &str,
        kind: &str,
        origin: Origin,
    ) -> Result<bool, Origin> {
        let mine = &mut *self;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                if is_of::<$type>(value, version, kind) {
                    let faults = match wrong_version::<$type>(value, version, &origin) {
                        Some(fault) => vec![fault],
                        None => add_object(&mut mine.$field, value, origin),
                    };
                    let added = mine.take_in(faults);
                    if added && kind == Node::KIND {
                        mine.node_order.push(name_of(value).to_owned());
                    }
                    return Ok(added);
                }
            };
        }
        each_kind!(step);
        Err(origin)
    }

    /// Takes in what is said about an object; whether it may be used.
    fn take_in(&mut self, faults: Vec<Fault>) -> bool {
        let usable = faults.iter().all(|fault| fault.severity == Severity::Notice);
        self.faults.extend(faults);
        usable
    }

    /// Adds everything in `other`; objects of the same kind and name are replaced, as are the faults
    /// about them.
    pub fn apply(&mut self, other: Self) {
        self.forget_faults(&other);
        let mine = &mut *self;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                mine.$field.replace(other.$field)
            };
        }
        each_kind!(step);
        self.order_nodes(&other.node_order);
        self.faults.extend(other.faults);
        self.pass_over(other.passed_over);
    }

    /// Takes away the objects of the kinds and names in `other`. What was there is returned, as
    /// `CiliumBGPPeeringPolicy/rack0`.
    pub fn remove(&mut self, other: &Self) -> Vec<String> {
        self.forget_faults(other);
        let mut removed = Vec::new();
        let mine = &mut *self;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                for (key, _) in other.$field.iter() {
                    if mine.$field.remove(key) {
                        removed.push(object_name(<$type>::KIND, key));
                    }
                }
            };
        }
        each_kind!(step);
        self.order_nodes(&[]);
        removed
    }

    /// Policies that may be used, in order of their names.
    pub fn policies(&self) -> impl Iterator<Item = &Stored<CiliumBGPPeeringPolicy>> {
        self.policies.values()
    }

    /// The policy of that name, if it may be used.
    pub fn policy(&self, name: &str) -> Option<&Stored<CiliumBGPPeeringPolicy>> {
        self.policies.get(name)
    }

    /// The Service of that namespace and name, if it may be used.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Stored<Service>> {
        self.services.get(&format!("{namespace}/{name}"))
    }

    /// Nodes in the order they were added.
    pub fn nodes(&self) -> impl Iterator<Item = &Stored<Node>> {
        self.node_order.iter().filter_map(|name| self.nodes.get(name))
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&Stored<Node>> {
        self.nodes.get(name)
    }

    /// Everything that is to be said about files and objects, whichever node it concerns.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.faults.clone();
        for ((version, kind), passed_over) in &self.passed_over {
            let how_many = match passed_over.names.len() {
                1 => "1 object is".to_owned(),
                more => format!("{more} objects are"),
            };
            let known = LATER
                .iter()
                .any(|(group, other)| kind == other && (version == group || version.starts_with(group)));
            let why = if known { "not yet acted on" } else { "of a kind nobody knows here, and passed over" };
            let (told, untold) = passed_over.names.split_at(passed_over.names.len().min(8));
            let more = if untold.is_empty() { String::new() } else { format!(" and {} more", untold.len()) };
            let message = format!("{how_many} {why}: {}{more}", told.join(", "));
            faults.push(passed_over.first.fault(
                Severity::Notice,
                &format!("{kind} ({version})"),
                "",
                message,
            ));
        }
        faults
    }

    /// The first object of a kind that nothing is done with, of those that `choose` chooses.
    pub(crate) fn passed_over(&self, choose: impl Fn(&str, &str, &[String]) -> bool) -> Option<&Origin> {
        let mut kinds = self.passed_over.iter();
        kinds
            .find(|((version, kind), passed)| choose(version, kind, &passed.names))
            .map(|(_, passed)| &passed.first)
    }

    /// Whether no object is in it that may be used.
    pub(crate) fn is_empty(&self) -> bool {
        let mut empty = true;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                empty &= self.$field.is_empty()
            };
        }
        each_kind!(step);
        empty
    }

    /// The objects that may be used, as `CiliumBGPPeeringPolicy/rack0`.
    pub(crate) fn objects(&self) -> Vec<String> {
        let mut names = Vec::new();
        macro_rules! step {
            ($field:ident, $type:ty) => {
                names.extend(self.$field.names())
            };
        }
        each_kind!(step);
        names
    }

    /// Has something said about it.
    pub(crate) fn say(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Everything said about single objects; what is said of kinds stays.
    pub(crate) fn take_faults(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.faults)
    }

    /// Takes from `old` the objects that `faults` say are faulty now. Where a fault is about something
    /// without a name, it may be any that is missing.
    pub(crate) fn fill_from(&mut self, old: &Self, faults: &[Fault]) -> Vec<String> {
        let errors = || faults.iter().filter(|fault| fault.severity == Severity::Error);
        let any = errors().any(|fault| fault.object.as_ref().is_none_or(|name| name.ends_with(NO_NAME)));
        let faulty: BTreeSet<&str> = errors().filter_map(|fault| fault.object.as_deref()).collect();
        let wanted = |name: &String| any || faulty.contains(name.as_str());
        let mut kept = Vec::new();
        let mine = &mut *self;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                for (key, stored) in old.$field.iter() {
                    let object = object_name(<$type>::KIND, key);
                    if !mine.$field.contains(key) && wanted(&object) {
                        mine.$field.insert(key.clone(), stored.clone());
                        kept.push(object);
                    }
                }
            };
        }
        each_kind!(step);
        self.order_nodes(&old.node_order);
        kept
    }

    /// Adds everything in `other`, which has been checked. Of objects that are here already these stay,
    /// and that is a fault.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.faults.extend(other.faults.iter().cloned());
        let mine = &mut *self;
        macro_rules! step {
            ($field:ident, $type:ty) => {
                for (key, stored) in other.$field.iter() {
                    match mine.$field.get(key) {
                        Some(known) => {
                            let name = object_name(<$type>::KIND, key);
                            mine.faults.push(duplicate(&stored.origin, &name, &known.origin));
                        }
                        None => mine.$field.insert(key.clone(), stored.clone()),
                    }
                }
            };
        }
        each_kind!(step);
        self.order_nodes(&other.node_order);
        self.pass_over(other.passed_over.clone());
    }

    /// Nodes that came stand behind those that were there, and those that went do not stand anywhere.
    fn order_nodes(&mut self, more: &[String]) {
        let known: BTreeSet<String> = self.node_order.iter().cloned().collect();
        self.node_order.extend(more.iter().filter(|name| !known.contains(*name)).cloned());
        self.node_order.retain(|name| self.nodes.contains(name));
    }

    /// Adds an object that nothing is done with.
    pub(crate) fn pass_over_one(&mut self, version: &str, kind: &str, name: &str, origin: Origin) {
        let entry = self.passed_over.entry((version.to_owned(), kind.to_owned()));
        let known = entry.or_insert_with(|| PassedOver { first: origin, names: Vec::new() });
        known.names.push(name.to_owned());
    }

    /// Adds objects that nothing is done with.
    fn pass_over(&mut self, more: BTreeMap<(String, String), PassedOver>) {
        for (kind, passed_over) in more {
            match self.passed_over.get_mut(&kind) {
                Some(known) => known.names.extend(passed_over.names),
                None => _ = self.passed_over.insert(kind, passed_over),
            }
        }
    }

    fn unwritable(&mut self, origin: &Origin, error: serde_json::Error) -> bool {
        self.faults.push(Fault::error(origin.file(), error.to_string()));
        false
    }

    /// Faults about objects that `other` has, or has faults about.
    fn forget_faults(&mut self, other: &Self) {
        let faulty = other.faults.iter().filter_map(|fault| fault.object.clone());
        let named: BTreeSet<_> = other.objects().into_iter().chain(faulty).collect();
        self.faults.retain(|fault| fault.object.as_ref().is_none_or(|object| !named.contains(object)));
    }
}

/// Whether an object is of this kind, in whichever version.
fn is_of<T: Resource>(value: &Value, version: &str, kind: &str) -> bool {
    let group = |version: &str| version.split_once('/').map_or("", |(group, _)| group).to_owned();
    let same = T::VERSIONS.first().is_some_and(|known| group(known) == group(version));
    kind == T::KIND && same && T::is_wanted(value)
}

/// An object of a version that is not understood.
fn wrong_version<T: Resource>(value: &Value, version: &str, origin: &Origin) -> Option<Fault> {
    if T::VERSIONS.contains(&version) {
        return None;
    }
    let name = object_name(T::KIND, &key_of::<T>(value));
    let message = format!("expected {}, found {version}", T::VERSIONS.join(" or "));
    Some(origin.fault(Severity::Error, &name, "apiVersion", message))
}

/// Adds an object of a kind that is acted on, if nothing is wrong with it, and says what is.
fn add_object<T: Resource>(objects: &mut Objects<T>, value: &Value, origin: Origin) -> Vec<Fault> {
    let key = key_of::<T>(value);
    let name = object_name(T::KIND, &key);
    if let Some(earlier) = objects.get(&key) {
        return vec![duplicate(&origin, &name, &earlier.origin)];
    }
    let (object, problems) = read::<T>(value);
    let mut faults: Vec<_> = origin.faults(&name, problems).collect();
    faults.sort_by_key(|fault| (fault.line, fault.column));
    if let Some(object) = object {
        objects.insert(object.key(), Stored { object, origin });
    }
    faults
}

/// An object that is there already.
fn duplicate(at: &Origin, object: &str, earlier: &Origin) -> Fault {
    let place = match earlier.position("") {
        Some((line, _)) => format!("{}:{line}", earlier.file()),
        None => earlier.file().to_owned(),
    };
    let message = format!("there is one of that name already, at {place}, which is used");
    at.fault(Severity::Error, object, "metadata.name", message)
}
