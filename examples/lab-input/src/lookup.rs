//! Questions about a lab that adapters and tables ask.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    link_local,
    model::{Attached, Gateway, Lab, LinkEnd, Node, Router, StaticRoute},
};

impl Lab {
    /// The router of that name.
    pub fn router(&self, name: &str) -> Option<&Router> {
        self.routers.iter().find(|router| router.name == name)
    }

    /// The node of that name, in Kubernetes or in the topology.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name || node.server == name)
    }

    /// The link-local address of an interface, the same in every run. Those of linked interfaces are
    /// all different.
    pub fn link_local(&self, node: &str, interface: &str) -> Ipv6Addr {
        let node = self.in_topology(node);
        let ends = self.links.iter().flat_map(|link| [&link.a, &link.b]);
        let mut ends = ends.filter(|end| end.node == node && end.interface == interface);
        ends.next().map_or_else(|| link_local::derive(node, interface), |end| end.link_local)
    }

    /// Who is on the other end of an interface.
    pub fn other_end(&self, node: &str, interface: &str) -> Option<&LinkEnd> {
        let node = self.in_topology(node);
        self.links.iter().find_map(|link| match (&link.a, &link.b) {
            (a, b) if a.node == node && a.interface == interface => Some(b),
            (a, b) if b.node == node && b.interface == interface => Some(a),
            _ => None,
        })
    }

    /// Who has an address, by its name in the topology. A router comes before a server.
    pub fn owner(&self, address: IpAddr) -> Option<&str> {
        let has =
            |connected: &[Attached]| connected.iter().any(|attached| attached.address.addr() == address);
        let router = self.routers.iter().find(|router| has(&router.connected)).map(|router| &router.name);
        let node = || self.nodes.iter().find(|node| has(&node.connected)).map(|node| &node.server);
        router.or_else(node).map(String::as_str)
    }

    /// The address that a router or node sends from towards `peer`: that of the interface its connected
    /// networks and its kernel's routes lead over. What BGP would find out does not count.
    pub fn source_for(&self, node: &str, peer: IpAddr) -> Option<IpAddr> {
        let (connected, routes) = match (self.router(node), self.node(node)) {
            (Some(router), _) => (&router.connected, &router.routes),
            (None, Some(node)) => (&node.connected, &node.routes),
            (None, None) => return None,
        };
        source(connected, routes, peer)
    }

    /// A node's name in the topology.
    fn in_topology<'a>(&'a self, node: &'a str) -> &'a str {
        self.node(node).map_or(node, |node| node.server.as_str())
    }
}

fn source(connected: &[Attached], routes: &[StaticRoute], peer: IpAddr) -> Option<IpAddr> {
    // Of two equal ones the kernel takes the first, of two maxima `max_by_key` the last.
    let near = connected.iter().rev().filter(|attached| attached.prefix().contains(&peer));
    let near = near.max_by_key(|attached| attached.address.prefix_len());
    let far = routes.iter().filter(|route| route.prefix.contains(&peer));
    let far = far.max_by_key(|route| route.prefix.prefix_len());
    match (near, far) {
        (Some(near), far) if far.is_none_or(|far| far.prefix.prefix_len() <= near.address.prefix_len()) => {
            Some(near.address.addr())
        }
        (_, Some(StaticRoute { gateway: Gateway::Via { address, interface }, .. })) => connected
            .iter()
            .find(|attached| attached.interface == *interface && attached.prefix().contains(address))
            .map(|attached| attached.address.addr()),
        _ => None,
    }
}
