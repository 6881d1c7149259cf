//! One neighbour or one prefix in full: what tables have no room for.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use peerage_core::{
    rib::{Path, PathOrigin, Route},
    speaker::{DownReason, MessageCounts},
    wire::{Capability, Family, GracefulRestartFamily, Notification, SessionKind},
};
use serde_json::{Map, Value, json};

use super::{
    Instance, Neighbor, family_title, interface_of, summary,
    table::{exclusion_text, path_json, selection_reason},
    uptime_text,
};

/// Neighbours in full: the one that is called `which`, or all.
pub(crate) fn neighbor_text(instance: &Instance, which: Option<&str>) -> String {
    let mut out = String::new();
    for neighbor in selected(instance, which) {
        one_neighbor(&mut out, instance, neighbor);
    }
    out
}

/// The same as JSON, by the neighbour's key; FRR's names where it has one.
pub(crate) fn neighbor_json(instance: &Instance, which: Option<&str>) -> Value {
    let all: Map<String, Value> = selected(instance, which)
        .map(|neighbor| (summary::key_text(neighbor), one_neighbor_json(instance, neighbor)))
        .collect();
    Value::Object(all)
}

/// Neighbours whose key, address or host name is `which`.
fn selected<'a>(instance: &'a Instance, which: Option<&'a str>) -> impl Iterator<Item = &'a Neighbor> {
    instance.neighbors.iter().filter(move |neighbor| {
        which.is_none_or(|which| {
            summary::key_text(neighbor) == which
                || neighbor.hostname() == Some(which)
                || neighbor.status.address.is_some_and(|address| address.to_string() == which)
        })
    })
}

/// One neighbour as text.
fn one_neighbor(out: &mut String, instance: &Instance, neighbor: &Neighbor) {
    let status = &neighbor.status;
    let uptime = uptime_text(instance.uptime(neighbor));
    _ = writeln!(
        out,
        "BGP neighbor is {}, remote AS {}, local AS {}",
        status.key,
        neighbor.remote_as(),
        instance.asn
    );
    if let Some(text) = &neighbor.description {
        _ = writeln!(out, "  Description: {text}");
    }
    if let Some(address) = status.address {
        _ = writeln!(out, "  Address: {address}");
    }
    let state = if status.shutdown { "Idle (Admin)".to_owned() } else { status.state.to_string() };
    let since = match (neighbor.established(), uptime.as_str()) {
        (true, uptime) => format!(", up for {uptime}"),
        (false, "never") => String::from(", never established"),
        (false, uptime) => format!(", down for {uptime}"),
    };
    _ = writeln!(out, "  BGP state: {state}{since}");
    if let Some(session) = &status.session {
        _ = writeln!(out, "  Local: {}, remote: {}", socket_text(session.local), socket_text(session.remote));
        _ = write!(out, "  Remote router ID: {}", session.remote_router_id);
        _ = match &session.remote_hostname {
            Some(hostname) => writeln!(out, ", host name: {hostname}"),
            None => writeln!(out),
        };
        _ = writeln!(
            out,
            "  Hold time: {} s, keepalive: {} s",
            session.hold_time.as_secs(),
            session.keepalive.as_secs()
        );
        let list = |list: &[Capability]| list.iter().map(capability_text).collect::<Vec<_>>().join(", ");
        _ = writeln!(out, "  Capabilities sent: {}", list(&session.local_capabilities));
        _ = writeln!(out, "  Capabilities received: {}", list(&session.remote_capabilities));
    }
    _ = writeln!(out, "  Messages:            sent   received");
    for (name, sent, received) in messages(&status.sent, &status.received) {
        _ = writeln!(out, "    {name:14} {sent:10} {received:10}");
    }
    for (family, counts) in &status.routes {
        _ = writeln!(
            out,
            "  {}: {} received, {} accepted, {} advertised",
            family_title(*family),
            counts.received,
            counts.accepted,
            counts.advertised
        );
    }
    if status.policy_missing {
        _ = writeln!(out, "  No policy: as an eBGP neighbor it exchanges no routes (RFC 8212)");
    }
    _ = writeln!(out, "  Connections established {}; dropped {}", status.established, status.dropped);
    if let Some(reason) = &status.last_reset {
        _ = writeln!(out, "  Last reset: {reason}");
    }
    if let Some(reason) = &status.last_error {
        _ = writeln!(out, "  Last error: {reason}");
    }
    out.push('\n');
}

/// Rows of the message table.
fn messages(sent: &MessageCounts, received: &MessageCounts) -> [(&'static str, u64, u64); 6] {
    [
        ("Opens", sent.opens, received.opens),
        ("Notifications", sent.notifications, received.notifications),
        ("Updates", sent.updates, received.updates),
        ("Keepalives", sent.keepalives, received.keepalives),
        ("Route refreshes", sent.refreshes, received.refreshes),
        ("Total", sent.total(), received.total()),
    ]
}

/// One neighbour as JSON.
fn one_neighbor_json(instance: &Instance, neighbor: &Neighbor) -> Value {
    let status = &neighbor.status;
    let session = status.session.as_ref();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let families: Map<String, Value> = status
        .routes
        .iter()
        .map(|(family, counts)| {
            let counts = json!({
                "receivedPrefixCounter": counts.received,
                "acceptedPrefixCounter": counts.accepted,
                "sentPrefixCounter": counts.advertised,
            });
            (family_key(*family), counts)
        })
        .collect();
    json!({
        "remoteAs": neighbor.remote_as(),
        "localAs": instance.asn.0,
        "nbrDesc": neighbor.description,
        "address": status.address.map(|address| address.to_string()),
        "hostname": neighbor.hostname(),
        "remoteRouterId": session.map(|session| session.remote_router_id.to_string()),
        "localRouterId": instance.router_id.to_string(),
        "bgpState": status.state.to_string(),
        "shutdown": status.shutdown,
        "policyMissing": status.policy_missing,
        "bgpTimerUpMsec": instance.uptime(neighbor).filter(|_| neighbor.established()).map(millis),
        "bgpTimerHoldTimeMsecs": session.map(|session| millis(session.hold_time)),
        "bgpTimerKeepAliveIntervalMsecs": session.map(|session| millis(session.keepalive)),
        "hostLocal": session.map(|session| session.local.ip().to_string()),
        "portLocal": session.map(|session| session.local.port()),
        "hostForeign": session.map(|session| session.remote.ip().to_string()),
        "portForeign": session.map(|session| session.remote.port()),
        "capabilities": {
            "sent": session.map(|session| session.local_capabilities.iter().map(capability_text).collect::<Vec<_>>()),
            "received": session.map(|session| session.remote_capabilities.iter().map(capability_text).collect::<Vec<_>>()),
        },
        "messageStats": {
            "opensSent": status.sent.opens,
            "opensRecv": status.received.opens,
            "notificationsSent": status.sent.notifications,
            "notificationsRecv": status.received.notifications,
            "updatesSent": status.sent.updates,
            "updatesRecv": status.received.updates,
            "keepalivesSent": status.sent.keepalives,
            "keepalivesRecv": status.received.keepalives,
            "routeRefreshSent": status.sent.refreshes,
            "routeRefreshRecv": status.received.refreshes,
            "totalSent": status.sent.total(),
            "totalRecv": status.received.total(),
        },
        "addressFamilyInfo": families,
        "connectionsEstablished": status.established,
        "connectionsDropped": status.dropped,
        "lastReset": status.last_reset.as_ref().map(down_json),
        "lastError": status.last_error.as_ref().map(down_json),
    })
}

/// A family as FRR's JSON has it.
fn family_key(family: Family) -> String {
    match family {
        Family::IPV4_UNICAST => "ipv4Unicast".into(),
        Family::IPV6_UNICAST => "ipv6Unicast".into(),
        other => other.to_string(),
    }
}

/// Why a session ended.
fn down_json(reason: &DownReason) -> Value {
    let notification = |direction: &str, notification: &Notification| {
        json!({
            "direction": direction,
            "code": notification.code,
            "subcode": notification.subcode,
            "name": notification.name(),
            "text": notification.text(),
        })
    };
    match reason {
        DownReason::Received(body) => notification("received", body),
        DownReason::Sent(body) => notification("sent", body),
        other => {
            json!({ "direction": null, "code": null, "subcode": null, "name": other.to_string(), "text": null })
        }
    }
}

/// Address and port; the scope of a link-local address is the neighbour's interface, which stands beside.
fn socket_text(socket: SocketAddr) -> String {
    match socket {
        SocketAddr::V4(socket) => socket.to_string(),
        SocketAddr::V6(socket) => format!("[{}]:{}", socket.ip(), socket.port()),
    }
}

/// A capability in a word or two.
fn capability_text(capability: &Capability) -> String {
    match capability {
        Capability::Multiprotocol(family) => family.to_string(),
        Capability::RouteRefresh => "route refresh".into(),
        Capability::ExtendedNextHop(list) => {
            let list: Vec<_> =
                list.iter().map(|(family, afi)| format!("{family} via afi {}", afi.0)).collect();
            format!("extended next hop ({})", list.join(", "))
        }
        Capability::ExtendedMessage => "extended message".into(),
        Capability::Role(role) => format!("role {role}"),
        Capability::GracefulRestart { restarting, notification, time, families } => {
            graceful_restart_text(*restarting, *notification, *time, families)
        }
        Capability::FourOctetAs(asn) => format!("4-octet AS {asn}"),
        Capability::AddPath(_) => "ADD-PATH".into(),
        Capability::EnhancedRouteRefresh => "enhanced route refresh".into(),
        Capability::Fqdn { host, domain } if domain.is_empty() => format!("host name {host}"),
        Capability::Fqdn { host, domain } => format!("host name {host}.{domain}"),
        Capability::Unknown { code, .. } => format!("code {code}"),
        other => format!("{other:?}"),
    }
}

/// The time, R and N where they are set, and each family with its F: `graceful restart (120 s, R, N,
/// ipv4-unicast F)`. Without a family the sender only helps others.
fn graceful_restart_text(
    restarting: bool,
    notification: bool,
    time: u16,
    families: &[GracefulRestartFamily],
) -> String {
    let mut parts = vec![format!("{time} s")];
    parts
        .extend([(restarting, "R"), (notification, "N")].into_iter().filter(|it| it.0).map(|it| it.1.into()));
    parts.extend(families.iter().map(|entry| {
        let kept = if entry.forwarding_kept { " F" } else { "" };
        format!("{}{kept}", entry.family)
    }));
    format!("graceful restart ({})", parts.join(", "))
}

/// A prefix with all its paths and why each is or is not in use.
pub(crate) fn route_text(instance: &Instance, route: &Route) -> String {
    let mut out = String::new();
    _ = writeln!(out, "BGP routing table entry for {}", route.prefix);
    _ = writeln!(out, "Paths: ({} available)", route.paths.len());
    for path in &route.paths {
        one_path(&mut out, instance, path);
    }
    out
}

/// One path as text.
fn one_path(out: &mut String, instance: &Instance, path: &Path) {
    let attributes = &path.attributes;
    let as_path = attributes.as_path.to_string();
    _ = writeln!(out, "  {}", if as_path.is_empty() { "Local" } else { &as_path });
    let next_hop = path.next_hop.map_or_else(|| "0.0.0.0".into(), |next_hop| next_hop.to_string());
    match &path.origin {
        PathOrigin::Local(_) => _ = writeln!(out, "    {next_hop} originated here ({})", instance.router_id),
        PathOrigin::Peer { address, router_id, kind, .. } => {
            let on = interface_of(path).map(|name| format!(" on {name}")).unwrap_or_default();
            let kind = if *kind == SessionKind::Internal { "internal" } else { "external" };
            _ = writeln!(out, "    {next_hop}{on} from {address} ({router_id}), {kind}");
        }
    }
    _ = write!(out, "      Origin {:?}", attributes.origin);
    for (name, value) in [("metric", attributes.med), ("localpref", attributes.local_pref)] {
        if let Some(value) = value {
            _ = write!(out, ", {name} {value}");
        }
    }
    let communities: Vec<String> = attributes
        .communities
        .iter()
        .map(ToString::to_string)
        .chain(attributes.large_communities.iter().map(ToString::to_string))
        .collect();
    if !communities.is_empty() {
        _ = write!(out, ", communities {}", communities.join(" "));
    }
    _ = match (path.best, path.excluded, path.step) {
        (_, Some(excluded), _) => writeln!(out, ", not valid: {}", exclusion_text(excluded)),
        (true, None, _) => writeln!(out, ", valid, best ({})", selection_reason(path)),
        (false, None, Some(step)) => writeln!(out, ", valid, not best: {step}"),
        (false, None, None) => writeln!(out, ", valid"),
    };
}

/// The same as JSON.
pub(crate) fn route_json(instance: &Instance, route: &Route) -> Value {
    let paths: Vec<Value> = route
        .paths
        .iter()
        .map(|path| {
            let mut json = path_json(instance, route, path);
            if let (Some(step), false, Value::Object(fields)) = (path.step, path.best, &mut json) {
                fields.insert("lostBy".into(), step.to_string().into());
            }
            json
        })
        .collect();
    json!({ "prefix": route.prefix.to_string(), "paths": paths })
}
