//! From a router's configuration and addresses to what its speaker should do.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;
use peerage_core::{
    policy::Policy,
    speaker::{Desired, Neighbor, NeighborKey, NextHopMode, PeerAs, Timers},
    wire::{Asn, Family, Origin, RouterId, SessionKind, attr::PathAttributes},
};
use peerage_kubernetes::{Fault, Severity};

use super::{
    command::{Defaults, Keepalive},
    config::{Bgp, Config, Peer},
};
use crate::model::{Attached, Masquerade, Router, Show, StaticRoute};

/// What a router has beside its configuration.
pub(crate) struct Host {
    /// Its name.
    pub(crate) name: String,
    /// Its addresses.
    pub(crate) connected: Vec<Attached>,
    /// Its kernel's routes.
    pub(crate) routes: Vec<StaticRoute>,
    /// Interfaces with a link.
    pub(crate) linked: BTreeSet<String>,
    /// Its rules of source NAT.
    pub(crate) masquerade: Vec<Masquerade>,
}

/// The router of a configuration; `None` where it has no `router bgp`, or a fault.
pub(crate) fn router(config: &Config, host: Host, faults: &mut Vec<Fault>) -> Option<Router> {
    let bgp = config.bgp.as_ref()?;
    let before = errors(faults);
    let router_id = bgp.router_id.map(RouterId::from).or_else(|| default_router_id(&host.connected));
    let Some(router_id) = router_id else {
        faults.push(bgp.place.error(
            "no router id: there is no `bgp router-id` line, and no interface has an IPv4 address to take it from",
        ));
        return None;
    };
    let mut desired = Desired::new(bgp.asn, router_id);
    desired.hostname = Some(config.hostname.clone().unwrap_or_else(|| host.name.clone()));
    desired.originate = originate(bgp, &host, faults);
    let mut kinds = BTreeMap::new();
    for (key, own) in &bgp.neighbors {
        if let NeighborKey::Interface(interface) = key
            && !host.linked.contains(interface)
        {
            let message = format!("{} has no link on {interface}; expected one in topology.links", host.name);
            faults.push(own.place.error(message));
        }
        if let Some((neighbor, kind)) = neighbor(bgp, key, own, &host, faults) {
            desired.neighbors.insert(key.clone(), neighbor);
            kinds.insert(key.clone(), kind);
        }
    }
    if errors(faults) == before
        && let Err(refused) = desired.check()
    {
        // What this module lets through and a speaker does not: at the neighbour's line, where it is about one.
        faults.extend(refused.0.iter().map(|fault| {
            let about =
                bgp.neighbors.iter().find(|(key, _)| fault.path.starts_with(&format!("neighbors[{key}]")));
            about.map_or(&bgp.place, |(_, peer)| &peer.place).error(fault.to_string())
        }));
    }
    let mut groups: BTreeMap<String, Vec<NeighborKey>> =
        bgp.groups.keys().map(|name| (name.clone(), Vec::new())).collect();
    for (key, peer) in &bgp.neighbors {
        if let Some(members) = peer.group.as_ref().and_then(|group| groups.get_mut(group)) {
            members.push(key.clone());
        }
    }
    let show = Show {
        defaults: bgp.defaults,
        hostname: bgp.defaults == Defaults::Datacenter,
        groups,
        kinds,
        ebgp_requires_policy: bgp.requires_policy,
    };
    let Host { name, connected, routes, masquerade, .. } = host;
    let vtysh = config.vtysh.clone();
    (errors(faults) == before).then_some(Router { name, desired, connected, routes, masquerade, vtysh, show })
}

fn errors(faults: &[Fault]) -> usize {
    faults.iter().filter(|fault| fault.severity == Severity::Error).count()
}

/// As zebra takes it: the highest address of `lo`, else of any interface.
fn default_router_id(connected: &[Attached]) -> Option<RouterId> {
    let v4 = |attached: &Attached| match attached.address.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let lo = connected.iter().filter(|attached| attached.interface == "lo").filter_map(v4).max();
    lo.or_else(|| connected.iter().filter_map(v4).max()).map(RouterId::from)
}

fn originate(bgp: &Bgp, host: &Host, faults: &mut Vec<Fault>) -> BTreeMap<IpNet, PathAttributes> {
    let mut routes = BTreeMap::new();
    for prefix in host.connected.iter().map(Attached::prefix) {
        let family = match prefix {
            IpNet::V4(_) => Family::IPV4_UNICAST,
            IpNet::V6(_) => Family::IPV6_UNICAST,
        };
        if bgp.redistribute.contains(&family) {
            let attributes =
                PathAttributes { origin: Origin::Incomplete, med: Some(0), ..PathAttributes::default() };
            routes.insert(prefix, attributes);
        }
    }
    // `bgp network import-check` is on: only what the kernel has is announced.
    for (net, place) in &bgp.networks {
        let there = host.connected.iter().any(|attached| attached.prefix() == *net)
            || host.routes.iter().any(|route| route.prefix == *net);
        if there {
            let attributes = PathAttributes { med: Some(0), ..PathAttributes::default() };
            routes.insert(*net, attributes);
        } else {
            faults.push(place.notice(format!(
                "`network {net}` announces nothing: {} has no such route (FRR's import check)",
                host.name
            )));
        }
    }
    routes
}

fn neighbor(
    bgp: &Bgp,
    key: &NeighborKey,
    own: &Peer,
    host: &Host,
    faults: &mut Vec<Fault>,
) -> Option<(Neighbor, SessionKind)> {
    let group = own.group.as_ref().and_then(|group| bgp.groups.get(group));
    let said = || std::iter::once(own).chain(group);
    let Some(asn) = group.and_then(|group| group.asn).or(own.asn) else {
        faults.push(own.place.error(format!(
            "neighbor {key} has no AS; expected `neighbor {} remote-as external|internal|NUMBER`",
            own.group.clone().unwrap_or_else(|| key.to_string())
        )));
        return None;
    };
    let kind = kind(asn, bgp.asn);
    if kind == SessionKind::External
        && let Some(place) = said().find_map(|peer| peer.reflector_client.as_ref())
    {
        faults.push(place.error("route-reflector-client is for internal neighbours only (RFC 4456)"));
    }
    let active = |family: Family| {
        said()
            .find_map(|peer| peer.activate.get(&family).copied())
            .unwrap_or(family == Family::IPV4_UNICAST && own.default_ipv4)
    };
    let families: BTreeSet<Family> =
        [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into_iter().filter(|family| active(*family)).collect();
    if families.is_empty() {
        faults.push(own.place.error(format!("neighbor {key} has no active address family")));
    }
    // RFC 8212: without a policy nothing crosses an eBGP session. There are no route maps here.
    let blocked = kind == SessionKind::External && bgp.requires_policy;
    let policy = (!blocked).then(Policy::accept);
    let mut neighbor = Neighbor::new(asn);
    neighbor.description = said().find_map(|peer| peer.description.clone());
    neighbor.peer_group = own.group.clone();
    neighbor.shutdown = said().any(|peer| peer.shutdown);
    neighbor.passive = said().any(|peer| peer.passive);
    neighbor.local_address = source(key, said().find_map(|peer| peer.update_source.as_ref()), host, faults);
    neighbor.socket.ttl = match kind {
        SessionKind::Internal => None,
        SessionKind::External => Some(said().find_map(|peer| peer.multihop).unwrap_or(1)),
    };
    neighbor.timers = timers(bgp, own, group);
    neighbor.default_originate = said()
        .flat_map(|peer| &peer.default_originate)
        .copied()
        .filter(|family| families.contains(family))
        .collect();
    neighbor.families = families;
    neighbor.extended_next_hop = matches!(key, NeighborKey::Interface(_));
    neighbor.import = policy.clone();
    neighbor.export = policy;
    if said().any(|peer| peer.next_hop_self) {
        neighbor.next_hop = NextHopMode::OwnAddress;
    }
    neighbor.route_reflector_client = said().any(|peer| peer.reflector_client.is_some());
    neighbor.prefix_limit = said().find_map(|peer| peer.maximum_prefix);
    neighbor.enforce_first_as = false;
    Some((neighbor, kind))
}

fn kind(asn: PeerAs, own: Asn) -> SessionKind {
    match asn {
        PeerAs::Internal => SessionKind::Internal,
        PeerAs::Number(number) if number == own => SessionKind::Internal,
        PeerAs::Number(_) | PeerAs::External | PeerAs::Any => SessionKind::External,
    }
}

/// FRR 8.2.2's: the profile's, with a keepalive time of at most a third of the hold time.
fn timers(bgp: &Bgp, own: &Peer, group: Option<&Peer>) -> Timers {
    let (profile, connect_retry) = match bgp.defaults {
        Defaults::Traditional => (Keepalive { keepalive: 60, hold: 180 }, 120),
        Defaults::Datacenter => (Keepalive { keepalive: 3, hold: 9 }, 10),
    };
    let said = || std::iter::once(own).chain(group);
    let both = said().find_map(|peer| peer.timers).or(bgp.timers).unwrap_or(profile);
    let connect_retry = said().find_map(|peer| peer.connect_retry).unwrap_or(connect_retry);
    Timers {
        hold: Duration::from_secs(both.hold.into()),
        keepalive: Duration::from_secs(both.keepalive.min(both.hold / 3).into()),
        connect_retry: Duration::from_secs(connect_retry.into()),
        // BGP_INIT_START_TIMER
        idle_hold: Duration::from_secs(1),
        ..Timers::default()
    }
}

/// An address, or an interface's of the neighbour's family.
fn source(
    key: &NeighborKey,
    said: Option<&(String, crate::place::Place)>,
    host: &Host,
    faults: &mut Vec<Fault>,
) -> Option<IpAddr> {
    let (source, place) = said?;
    let fits = |address: &IpAddr| match key {
        NeighborKey::Address(peer) => peer.is_ipv4() == address.is_ipv4(),
        // An unnumbered session is over IPv6.
        NeighborKey::Interface(_) => address.is_ipv6(),
        NeighborKey::Range(_) => true,
    };
    let own = || host.connected.iter().map(|attached| (&attached.interface, attached.address.addr()));
    let found = match source.parse::<IpAddr>() {
        Ok(wanted) => own().map(|(_, address)| address).find(|address| *address == wanted && fits(address)),
        Err(_) => own()
            .find(|(interface, address)| *interface == source && fits(address))
            .map(|(_, address)| address),
    };
    if found.is_none() {
        faults.push(place.error(format!(
            "update-source {source}: {} has no such address, or interface with an address of {key}'s family",
            host.name
        )));
    }
    found
}
