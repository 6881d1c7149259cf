//! The topology: nodes, what their `exec` lines would do to them, and links.
//!
//! Only Containerlab's `linux` nodes with veth links between them are read, which is all that the
//! fabric consists of. A key that describes what runs on the machine (images, commands, labels) says
//! nothing to the lab; any other key without effect is worth a notice.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Net};
use peerage_kubernetes::{Fault, yaml::Document};
use serde_json::Value;

use crate::{
    exec::{self, Exec},
    frr::Config,
    link_local,
    model::{Attached, Gateway, Link, LinkEnd, Masquerade, StaticRoute},
    place::Place,
    words,
    yaml::{self, error, items, keys, member, notice, text},
};

/// Containerlab's own network.
const MANAGEMENT: &str = "172.20.20.0/24";

/// Keys that say nothing to the lab.
const SILENT: [&str; 6] = ["kind", "image", "cmd", "labels", "group", "image-pull-policy"];

/// A topology.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Its name.
    pub(crate) name: String,
    /// What Containerlab puts in front of a container's name.
    pub(crate) prefix: String,
    /// Its nodes in the order of the file.
    pub(crate) hosts: Vec<TopoNode>,
    /// Its links.
    pub(crate) links: Vec<Link>,
}

/// A node of the topology.
#[derive(Debug)]
pub(crate) struct TopoNode {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) place: Place,
    /// `network-mode: container:X`
    pub(crate) joins: Option<(String, Place)>,
    /// Its addresses.
    pub(crate) connected: Vec<Attached>,
    /// Its other routes.
    pub(crate) routes: Vec<StaticRoute>,
    /// Interfaces with a link.
    pub(crate) linked: BTreeSet<String>,
    /// What its `vtysh` lines said, and where the first of them stands.
    pub(crate) config: Option<(Config, Place)>,
    /// Its rules of source NAT.
    pub(crate) masquerade: Vec<Masquerade>,
    /// Interfaces that it has at the moment.
    interfaces: BTreeSet<String>,
}

/// Reads a topology. What is wrong is in `faults`; the rest is there all the same.
pub(crate) fn read(document: &Document, faults: &mut Vec<Fault>) -> Topology {
    let name = text(document, "name", faults).unwrap_or_default();
    if name.is_empty() {
        faults.push(error(document, "name", "the topology has no name; expected name: TEXT"));
    }
    let prefix = match yaml::value(document, "prefix") {
        Some(_) => text(document, "prefix", faults).unwrap_or_default(),
        None => "clab".into(),
    };
    let prefix = match prefix.as_str() {
        "" => String::new(),
        "__lab-name" => format!("{name}-"),
        other => format!("{other}-{name}-"),
    };
    for key in keys(document, "", faults) {
        if !["name", "prefix", "mgmt", "topology"].contains(&key.as_str()) {
            faults.push(notice(document, &member("", &key), "no effect in the lab"));
        }
    }
    for key in keys(document, "topology", faults) {
        match key.as_str() {
            "nodes" | "links" => {}
            "kinds" | "defaults" | "groups" => shared_settings(document, &member("topology", &key), faults),
            _ => faults.push(notice(document, &member("topology", &key), "no effect in the lab")),
        }
    }
    let names = keys(document, "topology.nodes", faults);
    if names.is_empty() {
        faults.push(error(
            document,
            "topology.nodes",
            "a topology without nodes; expected a mapping of them",
        ));
    }
    for name in names.iter().filter(|name| name.len() > 63 || !exec::is_plain(name)) {
        let message =
            "a node's name has 1 to 63 letters, digits, `-`, `_` and `.`, the first a letter or a digit";
        faults.push(error(document, &member("topology.nodes", name), message));
    }
    let links = links(document, &names, faults);
    let mut management = Management::read(document, faults);
    let hosts = names
        .into_iter()
        .map(|name| TopoNode::read(document, name, &links, &mut management, faults))
        .collect();
    Topology { name, prefix, hosts, links }
}

/// `kinds`, `defaults` and `groups` give nodes what they have in common. What the lab acts on has to
/// stand at the node.
fn shared_settings(document: &Document, path: &str, faults: &mut Vec<Fault>) {
    let paths: Vec<String> = if path.ends_with("defaults") {
        vec![path.to_owned()]
    } else {
        keys(document, path, faults).iter().map(|key| member(path, key)).collect()
    };
    for path in paths {
        for key in keys(document, &path, faults) {
            let path = member(&path, &key);
            match key.as_str() {
                "exec" | "network-mode" => faults.push(error(
                    document,
                    &path,
                    format!("{key} is read at nodes only; expected it at topology.nodes.NAME.{key}"),
                )),
                key if SILENT.contains(&key) => {}
                _ => faults.push(notice(document, &path, "no effect in the lab")),
            }
        }
    }
}

/// Containerlab's network, which gives every container an eth0.
struct Management {
    subnet: Ipv4Net,
    given: BTreeSet<IpAddr>,
}

impl Management {
    fn read(document: &Document, faults: &mut Vec<Fault>) -> Self {
        let path = "mgmt.ipv4-subnet";
        for key in keys(document, "mgmt", faults) {
            if !["ipv4-subnet", "network"].contains(&key.as_str()) {
                faults.push(notice(document, &member("mgmt", &key), "no effect in the lab"));
            }
        }
        let said = text(document, path, faults);
        let subnet = match said.as_deref().unwrap_or(MANAGEMENT).parse::<Ipv4Net>() {
            Ok(subnet) => Some(subnet.trunc()),
            Err(_) => {
                let said = said.unwrap_or_default();
                let message = format!("`{said}` is not an IPv4 network; expected one like {MANAGEMENT}");
                faults.push(error(document, path, message));
                None
            }
        };
        Self { subnet: subnet.unwrap_or_default(), given: BTreeSet::new() }
    }

    /// The next free address: Docker keeps the first one for the gateway.
    fn next(&mut self) -> Option<IpNet> {
        let free = self.subnet.hosts().skip(1).find(|host| !self.given.contains(&IpAddr::V4(*host)))?;
        self.given.insert(IpAddr::V4(free));
        Ipv4Net::new(free, self.subnet.prefix_len()).ok().map(IpNet::V4)
    }

    /// The one that a node asks for.
    fn take(&mut self, text: &str) -> Result<IpNet, String> {
        let address = text
            .parse()
            .map_err(|_| format!("`{text}` is not an IPv4 address; expected one of {}", self.subnet))?;
        if !self.subnet.contains(&address) {
            return Err(format!("{address} is not in {}, the management network", self.subnet));
        }
        if !self.given.insert(IpAddr::V4(address)) {
            return Err(format!("{address} is another node's already"));
        }
        Ipv4Net::new(address, self.subnet.prefix_len()).map(IpNet::V4).map_err(|error| error.to_string())
    }
}

fn links(document: &Document, names: &[String], faults: &mut Vec<Fault>) -> Vec<Link> {
    let mut links = Vec::new();
    let mut taken: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut given = BTreeSet::new();
    for path in items(document, "topology.links", faults) {
        for key in keys(document, &path, faults) {
            let path = member(&path, &key);
            match (key.as_str(), yaml::value(document, &path)) {
                ("endpoints", _) => {}
                ("type", Some(Value::String(kind))) if kind == "veth" => {}
                ("type", _) => {
                    faults.push(error(document, &path, "expected veth, the only kind of link here"))
                }
                _ => faults.push(notice(document, &path, "no effect in the lab")),
            }
        }
        let endpoints = member(&path, "endpoints");
        let paths = items(document, &endpoints, faults);
        if paths.len() != 2 {
            faults.push(error(document, &endpoints, "expected two endpoints, each NODE:INTERFACE"));
            continue;
        }
        let mut ends = paths.iter().filter_map(|path| {
            let (node, interface) = endpoint(document, path, names, faults)?;
            if let Some(other) = taken.insert((node.clone(), interface.clone()), path.clone()) {
                let line = document.position(&other).map_or(0, |(line, _)| line);
                let message = format!("{node}:{interface} has a link already, in line {line}");
                faults.push(error(document, path, message));
                return None;
            }
            let link_local = link_local::choose(&node, &interface, &mut given);
            Some(LinkEnd { node, interface, link_local })
        });
        if let (Some(a), Some(b)) = (ends.next(), ends.next()) {
            links.push(Link { a, b });
        }
    }
    links
}

/// `NODE:INTERFACE`, or a mapping of node and interface.
fn endpoint(
    document: &Document,
    path: &str,
    names: &[String],
    faults: &mut Vec<Fault>,
) -> Option<(String, String)> {
    let (node, interface) = match yaml::value(document, path) {
        Some(Value::String(text)) => match text.split_once(':') {
            Some((node, interface)) => (node.to_owned(), interface.to_owned()),
            None => (text.clone(), String::new()),
        },
        Some(Value::Object(_)) => (
            text(document, &member(path, "node"), faults).unwrap_or_default(),
            text(document, &member(path, "interface"), faults).unwrap_or_default(),
        ),
        _ => (String::new(), String::new()),
    };
    if node.is_empty() || interface.is_empty() {
        faults.push(error(document, path, "expected an endpoint like router0:net0"));
    } else if !names.contains(&node) {
        let message = format!("there is no node {node}; the topology's nodes are {}", names.join(", "));
        faults.push(error(document, path, message));
    } else if interface == "eth0" || interface == "lo" {
        let message = format!("{interface} is there already and cannot be linked; expected another name");
        faults.push(error(document, path, message));
    } else if !exec::is_interface(&interface) {
        let message = format!(
            "`{interface}` is no interface's name; expected 1 to 15 letters, digits, `-`, `_` and `.`, the first a \
             letter or a digit"
        );
        faults.push(error(document, path, message));
    } else {
        return Some((node, interface));
    }
    None
}

impl TopoNode {
    fn read(
        document: &Document,
        name: String,
        links: &[Link],
        management: &mut Management,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let path = member("topology.nodes", &name);
        let mut place = yaml::place(document, &path);
        place.object = Some(name.clone());
        let linked: BTreeSet<String> = links
            .iter()
            .flat_map(|link| [&link.a, &link.b])
            .filter(|end| end.node == name)
            .map(|end| end.interface.clone())
            .collect();
        let mut interfaces = linked.clone();
        interfaces.extend(["lo".to_owned(), "eth0".to_owned()]);
        let mut node = Self {
            name,
            place,
            joins: None,
            connected: Vec::new(),
            routes: Vec::new(),
            linked,
            config: None,
            masquerade: Vec::new(),
            interfaces,
        };
        let before = faults.len();
        node.settings(document, &path, management, faults);
        for path in items(document, &member(&path, "exec"), faults) {
            if let Some(line) = text(document, &path, faults) {
                node.exec(document, &path, &line, faults);
            }
        }
        for fault in faults.iter_mut().skip(before) {
            fault.object.get_or_insert_with(|| node.name.clone());
        }
        node
    }

    fn settings(
        &mut self,
        document: &Document,
        path: &str,
        management: &mut Management,
        faults: &mut Vec<Fault>,
    ) {
        let mut asked = None;
        for key in keys(document, path, faults) {
            let path = member(path, &key);
            match key.as_str() {
                "exec" => {}
                "kind" => {
                    if text(document, &path, faults).is_some_and(|kind| kind != "linux") {
                        faults.push(error(document, &path, "expected linux, the only kind of node here"));
                    }
                }
                "network-mode" => self.network_mode(document, &path, faults),
                "mgmt-ipv4" => asked = text(document, &path, faults).map(|text| (text, path)),
                key if SILENT.contains(&key) => {}
                _ => faults.push(notice(document, &path, "no effect in the lab")),
            }
        }
        if self.joins.is_some() || !self.interfaces.contains("eth0") {
            return;
        }
        let address = match asked {
            Some((text, path)) => management.take(&text).map_err(|message| error(document, &path, message)),
            None => management.next().ok_or_else(|| {
                let message = format!("{} has no address left for {}", management.subnet, self.name);
                error(document, "mgmt.ipv4-subnet", message)
            }),
        };
        match address {
            Ok(address) => self.connected.push(Attached { interface: "eth0".into(), address }),
            Err(fault) => faults.push(fault),
        }
    }

    fn network_mode(&mut self, document: &Document, path: &str, faults: &mut Vec<Fault>) {
        let Some(mode) = text(document, path, faults) else { return };
        match mode.split_once(':') {
            Some(("container", container)) if !container.is_empty() => {
                self.joins = Some((container.to_owned(), yaml::place(document, path)));
            }
            None if mode == "none" => {
                self.interfaces.remove("eth0");
            }
            None if mode == "bridge" => {}
            _ => faults.push(error(
                document,
                path,
                format!("`{mode}` is not understood; expected container:NAME, bridge or none"),
            )),
        }
    }

    fn exec(&mut self, document: &Document, path: &str, line: &str, faults: &mut Vec<Fault>) {
        let at = |offset: usize| {
            // Of an empty text no octet has a place.
            let within = document.position_within(path, offset).filter(|_| !line.trim().is_empty());
            let position = within.or_else(|| document.position(path));
            Place {
                file: document.file.clone(),
                line: position.map(|(line, _)| line),
                column: position.map(|(_, column)| column),
                object: None,
                field: Some(path.to_owned()),
            }
        };
        let words = match words::split(line) {
            Ok(words) => words,
            Err(error) => {
                faults.push(at(0).error(error.to_string()));
                return;
            }
        };
        let done = match exec::parse(&words) {
            Err(error) => {
                faults.push(at(error.offset).error(error.message));
                return;
            }
            Ok(Exec::NoEffect) => Ok(()),
            Ok(Exec::Masquerade(rule)) => {
                self.masquerade.push(rule);
                Ok(())
            }
            Ok(Exec::AddAddress { address, interface }) => self.add_address(address, interface),
            Ok(Exec::DeleteLink(interface)) => self.delete_link(&interface),
            Ok(Exec::Blackhole(prefix)) => {
                self.add_route(StaticRoute { prefix, gateway: Gateway::Blackhole });
                Ok(())
            }
            Ok(Exec::Route { prefix, via, interface }) => self.route(prefix, via, interface),
            Ok(Exec::Vtysh(commands)) => {
                let (config, _) = self.config.get_or_insert_with(|| (Config::default(), at(0)));
                config.begin();
                for command in commands {
                    let mut place = at(command.offset);
                    place.object = Some(self.name.clone());
                    if let Err(message) = config.line(&command.text, &place) {
                        faults.push(place.error(message));
                    }
                }
                Ok(())
            }
        };
        if let Err(message) = done {
            faults.push(at(words.first().map_or(0, |word| word.offset)).error(message));
        }
    }

    fn interface(&self, name: &str) -> Result<(), String> {
        if self.interfaces.contains(name) {
            return Ok(());
        }
        let known: Vec<&str> = self.interfaces.iter().map(String::as_str).collect();
        Err(format!("{} has no interface {name} here; it has {}", self.name, known.join(", ")))
    }

    fn add_address(&mut self, address: IpNet, interface: String) -> Result<(), String> {
        self.interface(&interface)?;
        let attached = Attached { interface, address };
        if self.connected.contains(&attached) {
            return Err(format!("{address} is on {} already", attached.interface));
        }
        self.connected.push(attached);
        Ok(())
    }

    fn delete_link(&mut self, interface: &str) -> Result<(), String> {
        self.interface(interface)?;
        if interface != "eth0" {
            return Err(format!("expected eth0, the only interface to delete; {interface} stays"));
        }
        self.interfaces.remove(interface);
        self.connected.retain(|attached| attached.interface != interface);
        self.routes.retain(
            |route| !matches!(&route.gateway, Gateway::Via { interface: over, .. } if over == interface),
        );
        Ok(())
    }

    fn route(&mut self, prefix: IpNet, address: IpAddr, interface: Option<String>) -> Result<(), String> {
        if let Some(interface) = &interface {
            self.interface(interface)?;
        }
        let on_link = self.connected.iter().find(|attached| {
            attached.prefix().contains(&address)
                && interface.as_ref().is_none_or(|interface| *interface == attached.interface)
        });
        let Some(on_link) = on_link else {
            let over = interface.map_or(String::new(), |interface| format!(" on {interface}"));
            return Err(format!(
                "{address} is not on a network of {}{over}; expected an `ip addr add` line for it before",
                self.name
            ));
        };
        let gateway = Gateway::Via { address, interface: on_link.interface.clone() };
        self.add_route(StaticRoute { prefix, gateway });
        Ok(())
    }

    /// A later route to the same prefix replaces an earlier one.
    fn add_route(&mut self, route: StaticRoute) {
        self.routes.retain(|other| other.prefix != route.prefix);
        self.routes.push(route);
    }
}
