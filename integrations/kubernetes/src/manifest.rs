//! Objects from files, or from code, checked one by one: what [`compile`](crate::compile()) starts from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    CiliumBGPPeeringPolicy, CiliumLoadBalancerIPPool, CiliumNode, CiliumPodIPPool, ConfigMap, EndpointSlice,
    Fault, Node, Service, Severity,
    objects::{NO_NAME, Objects, Resource, key_of, name_of, object_name, read},
    schema::Problem,
    yaml::{self, Document},
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

/// Where an object comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    file: String,
    document: Option<Arc<Document>>,
    path: String,
}

impl Origin {
    /// From code, or from anything else without lines; the name stands where a file's name would.
    pub fn named(name: impl Into<String>) -> Self {
        Self { file: name.into(), document: None, path: String::new() }
    }

    /// The value at a path of a document; an empty path is the whole of it.
    pub fn document(document: Arc<Document>, path: impl Into<String>) -> Self {
        Self { file: document.file.clone(), document: Some(document), path: path.into() }
    }

    /// The file as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line and column of one of the object's fields, or of the nearest thing above it.
    pub fn position(&self, field: &str) -> Option<(usize, usize)> {
        let document = self.document.as_deref()?;
        let path = match (self.path.as_str(), field) {
            (path, "") => path.to_owned(),
            ("", field) => field.to_owned(),
            (path, field) => format!("{path}.{field}"),
        };
        document.position(&path)
    }

    /// A finding about one of the object's fields.
    pub fn fault(&self, severity: Severity, object: &str, field: &str, message: impl Into<String>) -> Fault {
        let position = self.position(field);
        Fault {
            severity,
            file: self.file.clone(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            object: Some(object.to_owned()),
            field: Some(field).filter(|field| !field.is_empty()).map(str::to_owned),
            message: message.into(),
        }
    }

    fn faults(&self, object: &str, problems: Vec<Problem>) -> impl Iterator<Item = Fault> {
        problems
            .into_iter()
            .map(move |problem| self.fault(problem.severity, object, &problem.path, problem.message))
    }
}

/// An object that may be used, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The object.
    pub object: T,
    /// Where it comes from.
    pub origin: Origin,
}

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

    /// Reads files and directories. Of a directory it reads `*.yaml`, `*.yml` and `*.json` in order of
    /// their names, and none of the directories in it.
    pub fn load<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        let mut snapshot = Self::new();
        for path in paths {
            let path = path.as_ref();
            if path.is_dir() {
                match manifests_in(path) {
                    Ok(files) if files.is_empty() => {
                        let message = "there is no *.yaml, *.yml or *.json file in this directory";
                        snapshot.faults.push(Fault::error(path.display().to_string(), message));
                    }
                    Ok(files) => files.iter().for_each(|file| snapshot.read_file(file, true)),
                    Err(error) => snapshot.unreadable(path, &error),
                }
            } else {
                snapshot.read_file(path, false);
            }
        }
        snapshot
    }

    /// Reads the objects of a text, which `file` is the name of.
    pub fn read(&mut self, file: &str, text: &str) {
        _ = self.read_text(file, text, false);
    }

    /// Adds a policy, unless it is wrong, or there is one of that name already.
    pub fn add_policy(&mut self, policy: CiliumBGPPeeringPolicy, origin: Origin) -> bool {
        match serde_json::to_value(&policy) {
            Ok(value) => self.add_policy_value(&value, origin),
            Err(error) => self.unwritable(&origin, error),
        }
    }

    /// Adds a node, unless it is wrong, or there is one of that name already.
    pub fn add_node(&mut self, node: Node, origin: Origin) -> bool {
        match serde_json::to_value(&node) {
            Ok(value) => self.add_node_value(&value, origin),
            Err(error) => self.unwritable(&origin, error),
        }
    }

    fn add_policy_value(&mut self, value: &Value, origin: Origin) -> bool {
        let faults = add_object(&mut self.policies, value, origin);
        self.take_in(faults)
    }

    fn add_node_value(&mut self, value: &Value, origin: Origin) -> bool {
        let faults = add_object(&mut self.nodes, value, origin);
        let added = self.take_in(faults);
        if added {
            self.node_order.push(name_of(value).to_owned());
        }
        added
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

    /// Adds objects that nothing is done with.
    fn pass_over(&mut self, more: BTreeMap<(String, String), PassedOver>) {
        for (kind, passed_over) in more {
            match self.passed_over.get_mut(&kind) {
                Some(known) => known.names.extend(passed_over.names),
                None => _ = self.passed_over.insert(kind, passed_over),
            }
        }
    }

    fn read_file(&mut self, path: &Path, of_directory: bool) {
        match fs::read(path) {
            Ok(octets) => match String::from_utf8(octets) {
                Ok(text) => _ = self.read_text(&path.display().to_string(), &text, of_directory),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let message = format!("not UTF-8 from octet {at} on: expected a text file");
                    self.faults.push(Fault::error(path.display().to_string(), message));
                }
            },
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let message = match error.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file or directory; give the path of one, from the current folder".to_owned()
            }
            io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        self.faults.push(Fault::error(path.display().to_string(), message));
    }

    fn unwritable(&mut self, origin: &Origin, error: serde_json::Error) -> bool {
        self.faults.push(Fault::error(origin.file(), error.to_string()));
        false
    }

    /// Reads a text, where not everything has to be an object if it is `of_directory`. Whether all of it is
    /// YAML.
    pub(crate) fn read_text(&mut self, file: &str, text: &str, of_directory: bool) -> bool {
        let (documents, faults) = yaml::parse(file, text);
        let whole = faults.iter().all(|fault| fault.severity != Severity::Error);
        self.faults.extend(faults);
        for document in documents {
            let document = Arc::new(document);
            self.add(&document.value, &document, "", None, of_directory);
        }
        whole
    }

    /// Adds the object at a path of a document, or what is in it if it is a list. Items of a typed list
    /// need not say what they are: `inherited` does.
    fn add(
        &mut self,
        value: &Value,
        document: &Arc<Document>,
        path: &str,
        inherited: Option<(&str, &str)>,
        of_directory: bool,
    ) {
        let origin = Origin::document(Arc::clone(document), path);
        let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (version, kind) = match (text("apiVersion"), text("kind"), inherited) {
            (Some(version), Some(kind), _) | (None, None, Some((version, kind))) => (version, kind),
            (None, None, None) if of_directory => {
                let message = "not a Kubernetes object (neither apiVersion nor kind), passed over";
                self.faults.push(document.fault(Severity::Notice, path, message));
                return;
            }
            (version, kind, _) => {
                let missing = match (version, kind) {
                    (None, None) => "`apiVersion` and `kind`",
                    (None, _) => "`apiVersion`",
                    _ => "`kind`",
                };
                let message = format!("expected a Kubernetes object, found nothing under {missing}");
                self.faults.push(document.fault(Severity::Error, path, message));
                return;
            }
        };
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
                    return;
                }
            };
        }
        each_kind!(step);
        match value.get("items") {
            Some(Value::Array(items)) if kind.ends_with("List") => {
                let of = kind.strip_suffix("List").filter(|of| !of.is_empty()).map(|of| (version, of));
                for (index, item) in items.iter().enumerate() {
                    let dot = if path.is_empty() { "" } else { "." };
                    self.add(item, document, &format!("{path}{dot}items[{index}]"), of, false);
                }
            }
            _ => {
                let entry = self.passed_over.entry((version.to_owned(), kind.to_owned()));
                let known = entry.or_insert_with(|| PassedOver { first: origin, names: Vec::new() });
                known.names.push(name_of(value).to_owned());
            }
        }
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

fn manifests_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
