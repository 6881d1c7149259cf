//! `show bgp ipv4 wide`, as text and with the keys of `show bgp ipv4 unicast json`.

use std::fmt::Write as _;

use peerage_core::{
    rib::{Exclusion, Path, PathOrigin, Route, Step},
    wire::{Family, NextHop, Origin, SessionKind},
};
use serde_json::{Map, Value, json};

use super::{Instance, interface_of};

/// FRR's legend, without the first two lines that name the table, and the heading.
const LEGEND: &str = "\
Status codes:  s suppressed, d damped, h history, * valid, > best, = multipath,
               i internal, r RIB-failure, S Stale, R Removed
Nexthop codes: @NNN nexthop's vrf id, < announce-nh-self
Origin codes:  i - IGP, e - EGP, ? - incomplete
RPKI validation codes: V valid, I invalid, N Not found

   Network                                      Next Hop                                  Metric LocPrf Weight Path
";

/// FRR's weight of a route that was originated here; learned ones have 0. Core has the same order
/// without a number for it: what is originated here comes first.
const LOCAL_WEIGHT: u32 = 32768;

/// The text, in FRR 8.2.2's layout.
pub(crate) fn table_text(instance: &Instance) -> String {
    let mut out = String::new();
    _ = writeln!(
        out,
        "BGP table version is {}, local router ID is {}, vrf id 0",
        instance.version, instance.router_id
    );
    _ = writeln!(out, "Default local pref 100, local AS {}", instance.asn);
    out.push_str(LEGEND);
    let (mut routes, mut total) = (0, 0);
    for (route, paths) in instance.table() {
        routes += 1;
        for (index, path) in paths.into_iter().enumerate() {
            total += 1;
            let network = if index == 0 { route.prefix.to_string() } else { String::new() };
            row(&mut out, instance, &network, path);
        }
    }
    _ = writeln!(out, "\nDisplayed  {routes} routes and {total} total paths");
    out
}

/// One line: three columns of status, 45 of network, 41 of next hop; a value that is too wide goes on in
/// the next line, as in FRR.
fn row(out: &mut String, instance: &Instance, network: &str, path: &Path) {
    let valid = if path.excluded.is_none() { '*' } else { ' ' };
    let best = if path.best { '>' } else { ' ' };
    let internal = if is_internal(path) { 'i' } else { ' ' };
    _ = write!(out, "{valid}{best}{internal}");
    cell(out, network, 45, 20);
    cell(out, &next_hop_text(instance, path), 41, 36);
    let attributes = &path.attributes;
    let number = |value: Option<u32>| value.map(|value| value.to_string()).unwrap_or_default();
    _ = write!(out, "{:>7}{:>7}{:>7} ", number(attributes.med), number(local_pref(path)), weight(path));
    let as_path = attributes.as_path.to_string();
    if !as_path.is_empty() {
        _ = write!(out, "{as_path} ");
    }
    out.push_str(match attributes.origin {
        Origin::Igp => "i\n",
        Origin::Egp => "e\n",
        Origin::Incomplete => "?\n",
    });
}

/// A value in a column of `width`, or followed by a new line with `indent` spaces where it does not fit.
fn cell(out: &mut String, value: &str, width: usize, indent: usize) {
    if value.chars().count() < width {
        _ = write!(out, "{value:width$}");
    } else {
        _ = write!(out, "{value}\n{:indent$}", "");
    }
}

/// The next hop column: the interface of an unnumbered neighbour, else an address, with the host's name
/// where tables name hosts.
fn next_hop_text(instance: &Instance, path: &Path) -> String {
    if let Some(interface) = interface_of(path) {
        return interface.to_owned();
    }
    let (address, hostname) = match (&path.origin, path.next_hop) {
        (PathOrigin::Peer { hostname, .. }, Some(next_hop)) => (next_hop.to_string(), hostname),
        (PathOrigin::Peer { hostname, .. }, None) => (unspecified(instance.family).into(), hostname),
        (PathOrigin::Local(_), _) => (unspecified(instance.family).into(), &instance.hostname),
    };
    match hostname.as_deref().filter(|_| instance.show_hostname) {
        Some(hostname) => format!("{address}({hostname})"),
        None => address,
    }
}

/// The next hop of a route that was originated here.
fn unspecified(family: Family) -> &'static str {
    if family == Family::IPV6_UNICAST { "::" } else { "0.0.0.0" }
}

/// Whether it was learned by iBGP.
fn is_internal(path: &Path) -> bool {
    matches!(path.origin, PathOrigin::Peer { kind: SessionKind::Internal, .. })
}

/// LOCAL_PREF as FRR shows it: what a path from an iBGP peer carries.
fn local_pref(path: &Path) -> Option<u32> {
    path.attributes.local_pref
}

/// FRR's weight.
fn weight(path: &Path) -> u32 {
    match path.origin {
        PathOrigin::Local(_) => LOCAL_WEIGHT,
        PathOrigin::Peer { .. } => 0,
    }
}

/// The JSON, with FRR's keys.
pub(crate) fn table_json(instance: &Instance) -> Value {
    let routes: Map<String, Value> = instance
        .table()
        .map(|(route, paths)| {
            let paths = paths.into_iter().map(|path| path_json(instance, route, path)).collect();
            (route.prefix.to_string(), Value::Array(paths))
        })
        .collect();
    json!({
        "vrfId": 0,
        "vrfName": "default",
        "tableVersion": instance.version,
        "routerId": instance.router_id.to_string(),
        "defaultLocPrf": 100,
        "localAS": instance.asn.0,
        "routes": routes,
    })
}

/// One path. `metric` and `locPrf` are `null` where the path has none; FRR leaves them out. `version` is
/// `null`: core counts changes of the table, not of each route.
pub(super) fn path_json(instance: &Instance, route: &Route, path: &Path) -> Value {
    let mut fields = Map::new();
    let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    if in_use(path) {
        set("valid", true.into());
    }
    if path.best {
        set("bestpath", true.into());
        set("selectionReason", selection_reason(path).into());
    }
    if let Some(excluded) = path.excluded {
        set("excluded", exclusion_text(excluded).into());
    }
    set("pathFrom", if is_internal(path) { "internal" } else { "external" }.into());
    set("prefix", route.prefix.addr().to_string().into());
    set("prefixLen", route.prefix.prefix_len().into());
    set("network", route.prefix.to_string().into());
    set("version", Value::Null);
    set("metric", path.attributes.med.into());
    set("locPrf", local_pref(path).into());
    set("weight", weight(path).into());
    set(
        "peerId",
        match &path.origin {
            PathOrigin::Local(_) => "(unspec)".into(),
            PathOrigin::Peer { address, .. } => address.to_string().into(),
        },
    );
    set("path", path.attributes.as_path.to_string().into());
    set(
        "origin",
        match path.attributes.origin {
            Origin::Igp => "IGP",
            Origin::Egp => "EGP",
            Origin::Incomplete => "incomplete",
        }
        .into(),
    );
    set("nexthops", next_hops_json(instance, path));
    Value::Object(fields)
}

/// Whether it is a candidate.
fn in_use(path: &Path) -> bool {
    path.excluded.is_none()
}

/// The next hops of a path: two where a global and a link-local address travel together.
fn next_hops_json(instance: &Instance, path: &Path) -> Value {
    let hostname = match &path.origin {
        PathOrigin::Peer { hostname, .. } => hostname.clone(),
        PathOrigin::Local(_) => instance.hostname.clone(),
    };
    let v4 = |ip: String| json!({ "ip": ip, "hostname": hostname, "afi": "ipv4", "used": path.excluded.is_none() });
    let v6 = |ip: String, scope: &str, used: bool| {
        let mut hop = json!({ "ip": ip, "hostname": hostname, "afi": "ipv6", "scope": scope });
        if let (true, Value::Object(fields)) = (used, &mut hop) {
            fields.insert("used".into(), path.excluded.is_none().into());
        }
        hop
    };
    let hops = match path.next_hop {
        None if instance.family == Family::IPV6_UNICAST => vec![v6("::".into(), "global", true)],
        None => vec![v4("0.0.0.0".into())],
        Some(NextHop::V4(address)) => vec![v4(address.to_string())],
        Some(NextHop::V6(address)) => vec![v6(address.to_string(), "global", true)],
        Some(NextHop::V6WithLinkLocal { global, link_local }) => {
            vec![v6(global.to_string(), "global", true), v6(link_local.to_string(), "link-local", false)]
        }
    };
    Value::Array(hops)
}

/// FRR's words for the step that decided. A path without a rival was the first one received.
pub(super) fn selection_reason(path: &Path) -> &'static str {
    match path.step {
        None => "First path received",
        Some(Step::Local) => "Local Route",
        Some(Step::LocalPref) => "Local Pref",
        Some(Step::AsPathLength) => "AS Path",
        Some(Step::Origin) => "Origin",
        Some(Step::Med) => "MED",
        Some(Step::External) => "Peer Type",
        Some(Step::NextHopMetric) => "IGP Metric",
        Some(Step::RouterId) => "Router ID",
        Some(Step::ClusterListLength) => "Cluster length",
        Some(Step::PeerAddress) => "Neighbor IP",
    }
}

/// Why a path is not a candidate.
pub(super) fn exclusion_text(excluded: Exclusion) -> &'static str {
    match excluded {
        Exclusion::Policy => "rejected by the import policy",
        Exclusion::AsLoop => "the AS path contains the own AS",
        Exclusion::ReflectionLoop => "reflected back to where it came from",
        Exclusion::FirstAs => "the first AS is not the peer's",
        Exclusion::NextHop => "the next hop cannot be reached",
    }
}
