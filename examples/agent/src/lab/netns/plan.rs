//! What a lab in namespaces consists of, as data: which namespaces, which veths between them, and what `ip`
//! and `iptables` are told in each. Nothing is made here.
//!
//! Everything is from the [`Lab`] that was read and checked before: addresses and prefixes are values, and
//! names are looked at once more, for they become words of commands and names of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Result, bail};
use ipnet::{IpNet, Ipv4Net};
use peerage_lab_input::{Attached, Gateway, Lab, LinkEnd, Masquerade, StaticRoute};

/// The management network's namespace.
pub(super) const MANAGEMENT: &str = "management";
/// Its bridge.
const BRIDGE: &str = "bridge";
/// What Cilium gives routes to pods' networks that no pod has: behind all others.
const LAST: &str = "4278198272";

/// A whole lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// The namespaces.
    pub(super) spaces: Vec<Space>,
    /// The veths, in the order in which they are made.
    pub(super) links: Vec<Veth>,
    /// What the lab can not show.
    pub(super) notices: Vec<String>,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// Where its file is below the run directory.
    pub(super) file: String,
    /// Whether it passes packets on.
    pub(super) forwards: bool,
    /// What `ip` is told, once all veths are there.
    pub(super) ip: Vec<String>,
    /// What `iptables` or `ip6tables` is told.
    pub(super) rules: Vec<(&'static str, Vec<String>)>,
}

/// A pair of interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Veth {
    /// One.
    pub(super) a: Port,
    /// The other.
    pub(super) b: Port,
}

/// An interface of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// The file of its namespace.
    pub(super) space: String,
    /// Its name.
    pub(super) interface: String,
    /// Its hardware address, where something depends on it.
    pub(super) mac: Option<[u8; 6]>,
}

/// The file of a router or server, by its name in the topology.
pub(super) fn node_file(name: &str) -> String {
    format!("nodes/{name}")
}

/// The file of a pod.
pub(super) fn pod_file(name: &str) -> String {
    format!("pods/{name}")
}

/// Cilium's own address on a node, which answers for it towards pods: the first of its pods' network.
pub(super) fn router_address(pod_cidrs: &[IpNet]) -> Option<Ipv4Addr> {
    pod_cidrs.iter().find_map(|net| match net {
        IpNet::V4(net) => net.hosts().next(),
        IpNet::V6(_) => None,
    })
}

impl Plan {
    /// The plan of a lab.
    pub(super) fn of(lab: &Lab) -> Result<Self> {
        let mut plan = Self::default();
        let mut hosts = Hosts::default();
        for router in &lab.routers {
            hosts.add(&router.name, &router.connected, &router.routes, &router.masquerade);
        }
        for node in &lab.nodes {
            hosts.add(&node.server, &node.connected, &node.routes, &[]);
        }
        // Nodes that have no part in the lab are the other ends of links all the same.
        for end in lab.links.iter().flat_map(|link| [&link.a, &link.b]) {
            if !hosts.0.iter().any(|host| host.name == end.node) {
                hosts.add(&end.node, &[], &[], &[]);
            }
        }
        for host in &hosts.0 {
            plan.space(node_file(plain(host.name, 63)?), true);
        }
        plan.cilium(lab)?;
        for link in &lab.links {
            plan.links.push(Veth { a: port(&link.a)?, b: port(&link.b)? });
        }
        let gateways = plan.management(&hosts);
        plan.pods(lab)?;
        for host in &hosts.0 {
            plan.host(host)?;
        }
        for (file, gateway) in gateways {
            plan.ip(&file, &["route", "add", "default", "via", &gateway.to_string(), "dev", "eth0"]);
        }
        plan.up()?;
        Ok(plan)
    }

    fn space(&mut self, file: String, forwards: bool) {
        self.spaces.push(Space { file, forwards, ip: Vec::new(), rules: Vec::new() });
    }

    /// Tells `ip` something in a namespace.
    fn ip(&mut self, file: &str, words: &[&str]) {
        if let Some(space) = self.spaces.iter_mut().find(|space| space.file == file) {
            space.ip.push(words.join(" "));
        }
    }

    /// Cilium's interface on each node. It is the first one that is made: a node that answers a pod, on an
    /// interface without an address, does so with that of its first interface.
    fn cilium(&mut self, lab: &Lab) -> Result<()> {
        for node in &lab.nodes {
            let Some(address) = router_address(&node.pod_cidrs) else { continue };
            let file = node_file(plain(&node.server, 63)?);
            self.links.push(Veth { a: inner(&file, "cilium_host"), b: inner(&file, "cilium_net") });
            self.ip(&file, &["address", "add", &format!("{address}/32"), "dev", "cilium_host"]);
            for net in &node.pod_cidrs {
                // An address that no pod has must not take the default route: the routers send it back.
                self.ip(&file, &["route", "add", "unreachable", &net.to_string(), "metric", LAST]);
            }
        }
        Ok(())
    }

    /// Containerlab's network for whoever keeps eth0. Who has no default route of its own gets one there.
    fn management(&mut self, hosts: &Hosts<'_>) -> Vec<(String, Ipv4Addr)> {
        let mut gateways: BTreeMap<Ipv4Net, Option<Ipv4Addr>> = BTreeMap::new();
        let mut defaults = Vec::new();
        let mut ports = 0;
        for host in &hosts.0 {
            let mut at_eth0 =
                host.connected.iter().filter(|attached| attached.interface == "eth0").peekable();
            if at_eth0.peek().is_none() {
                continue;
            }
            if ports == 0 {
                self.space(MANAGEMENT.to_owned(), true);
                self.ip(MANAGEMENT, &["link", "add", BRIDGE, "up", "type", "bridge"]);
            }
            let interface = format!("port{ports}");
            ports += 1;
            self.links
                .push(Veth { a: inner(&node_file(host.name), "eth0"), b: inner(MANAGEMENT, &interface) });
            self.ip(MANAGEMENT, &["link", "set", &interface, "master", BRIDGE]);
            let mut own_default = host.routes.iter().any(|route| route.prefix.prefix_len() == 0);
            for attached in at_eth0 {
                let IpNet::V4(net) = attached.address else { continue };
                let gateway = *gateways.entry(net.trunc()).or_insert_with(|| free(net, hosts));
                if let Some(gateway) = gateway.filter(|_| !std::mem::replace(&mut own_default, true)) {
                    defaults.push((node_file(host.name), gateway));
                }
            }
        }
        for (net, gateway) in gateways {
            if let Some(gateway) = gateway {
                let address = format!("{gateway}/{}", net.prefix_len());
                self.ip(MANAGEMENT, &["address", "add", &address, "dev", BRIDGE]);
            }
        }
        defaults
    }

    /// A namespace for each pod, wired as Cilium does: an address of its own and the way to its node.
    fn pods(&mut self, lab: &Lab) -> Result<()> {
        let mut names = BTreeSet::new();
        let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in &lab.pods {
            let node = lab.nodes.iter().find(|node| Some(&node.name) == pod.node.as_ref());
            let (Some(node), Some(address)) = (node, pod.address) else { continue };
            let (IpAddr::V4(address), Some(router)) = (address, router_address(&node.pod_cidrs)) else {
                self.notices.push(format!("pod {} has an IPv6 address only; the lab wires IPv4", pod.name));
                continue;
            };
            let file = pod_file(plain(&pod.name, 253)?);
            if !names.insert(&pod.name) {
                bail!("there are two pods {}; the lab in namespaces needs different names", pod.name);
            }
            self.space(file.clone(), false);
            let server = node_file(&node.server);
            let count = on_node.entry(&node.server).or_default();
            let interface = format!("lxc{count}");
            *count += 1;
            self.links.push(Veth { a: inner(&server, &interface), b: inner(&file, "eth0") });
            let (own, gateway) = (format!("{address}/32"), router.to_string());
            self.ip(&server, &["route", "add", &own, "dev", &interface]);
            self.ip(&file, &["address", "add", &own, "dev", "eth0"]);
            self.ip(&file, &["route", "add", &gateway, "dev", "eth0", "scope", "link"]);
            self.ip(&file, &["route", "add", "default", "via", &gateway, "dev", "eth0"]);
        }
        Ok(())
    }

    /// What the topology's own lines say of a router or server.
    fn host(&mut self, host: &Host<'_>) -> Result<()> {
        let file = node_file(host.name);
        for Attached { interface, address } in host.connected {
            self.ip(&file, &["address", "add", &address.to_string(), "dev", plain(interface, 15)?]);
        }
        for StaticRoute { prefix, gateway } in &host.routes {
            let prefix = prefix.to_string();
            match gateway {
                Gateway::Blackhole => self.ip(&file, &["route", "replace", "blackhole", &prefix]),
                Gateway::Via { address, interface } => {
                    let (via, interface) = (address.to_string(), plain(interface, 15)?);
                    self.ip(&file, &["route", "replace", &prefix, "via", &via, "dev", interface]);
                }
            }
        }
        let rules = host.masquerade.iter().map(rule).collect::<Result<Vec<_>>>()?;
        if let Some(space) = self.spaces.iter_mut().find(|space| space.file == file) {
            space.rules = rules;
        }
        Ok(())
    }

    /// Every interface is up before it is used.
    fn up(&mut self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for space in &mut self.spaces {
            space.ip.insert(0, "link set lo up".to_owned());
        }
        for port in self.links.iter().flat_map(|link| [&link.a, &link.b]) {
            if !seen.insert((&port.space, &port.interface)) {
                bail!("{} has two interfaces {}: rename the topology's", port.space, port.interface);
            }
            let line = format!("link set {} up", plain(&port.interface, 15)?);
            if let Some(space) = self.spaces.iter_mut().find(|space| space.file == port.space) {
                space.ip.insert(1, line);
            }
        }
        Ok(())
    }
}

/// A router, a server, or who else has a link.
struct Host<'a> {
    name: &'a str,
    connected: &'a [Attached],
    routes: Vec<StaticRoute>,
    masquerade: &'a [Masquerade],
}

#[derive(Default)]
struct Hosts<'a>(Vec<Host<'a>>);

impl<'a> Hosts<'a> {
    fn add(
        &mut self,
        name: &'a str,
        connected: &'a [Attached],
        routes: &[StaticRoute],
        masquerade: &'a [Masquerade],
    ) {
        self.0.push(Host { name, connected, routes: routes.to_vec(), masquerade });
    }
}

/// The first address of a network that nobody has.
fn free(net: Ipv4Net, hosts: &Hosts<'_>) -> Option<Ipv4Addr> {
    let taken = |address: &Ipv4Addr| {
        let all = hosts.0.iter().flat_map(|host| host.connected);
        all.into_iter().any(|attached| attached.address.addr() == IpAddr::V4(*address))
    };
    net.hosts().find(|address| !taken(address))
}

fn inner(space: &str, interface: &str) -> Port {
    Port { space: space.to_owned(), interface: interface.to_owned(), mac: None }
}

/// An end of a link, with the hardware address that its link-local address is made from.
fn port(end: &LinkEnd) -> Result<Port> {
    let (node, interface) = (plain(&end.node, 63)?, plain(&end.interface, 15)?);
    Ok(Port { space: node_file(node), interface: interface.to_owned(), mac: Some(mac(end.link_local)) })
}

/// RFC 4291, appendix A, backwards.
fn mac(address: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, _, _, d, e, f] = address.octets();
    [a ^ 2, b, c, d, e, f]
}

fn rule(rule: &Masquerade) -> Result<(&'static str, Vec<String>)> {
    let program = if rule.ipv4 { "iptables" } else { "ip6tables" };
    let mut words: Vec<String> = ["-w", "-t", "nat", "-A", "POSTROUTING"].map(str::to_owned).to_vec();
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([name.to_owned(), value]);
        }
    };
    option("-s", rule.source.map(|net| net.to_string()));
    option("-d", rule.destination.map(|net| net.to_string()));
    if let Some(out) = &rule.out {
        option("-o", Some(plain(out, 15)?.to_owned()));
    }
    option("-j", Some("MASQUERADE".into()));
    Ok((program, words))
}

/// A name that is a word of a command and a file's: nothing in it could be taken for something else.
fn plain(name: &str, longest: usize) -> Result<&str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > longest
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || !name.chars().all(fits)
    {
        bail!(
            "{name:?} cannot be the name of a namespace, device or file: expected up to {longest} letters, digits, `-`, `_` and `.`"
        );
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
