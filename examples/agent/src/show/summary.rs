//! `show bgp ipv4 summary wide`, as text and with the keys of `show bgp ipv4 unicast summary json`.

use std::{fmt::Write as _, time::UNIX_EPOCH};

use peerage_core::speaker::{NeighborKey, PeerState};
use serde_json::{Map, Value, json};

use super::{Instance, Neighbor, family_title, uptime_text};

/// The heading of the table after the neighbour column.
const HEADING: &str =
    "V         AS    LocalAS   MsgRcvd   MsgSent   TblVer  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc\n";

/// The text, in FRR 8.2.2's layout.
pub(crate) fn summary_text(instance: &Instance) -> String {
    let mut out = String::new();
    let entries = instance.entries();
    let peers = instance.neighbors.len();
    _ = writeln!(out, "\n{} Summary (VRF default):", family_title(instance.family));
    _ = writeln!(
        out,
        "BGP router identifier {}, local AS number {} vrf-id 0",
        instance.router_id, instance.asn
    );
    _ = writeln!(out, "BGP table version {}", instance.version);
    _ = writeln!(out, "RIB entries {entries}");
    _ = writeln!(out, "Peers {peers}");
    if !instance.peer_groups.is_empty() {
        _ = writeln!(out, "Peer groups {}", instance.peer_groups.len());
    }
    out.push('\n');
    let names: Vec<String> = instance.neighbors.iter().map(|neighbor| name(instance, neighbor)).collect();
    let width = names.iter().map(|name| name.chars().count() + 1).max().unwrap_or(0).max(16);
    _ = write!(out, "{:width$}{HEADING}", "Neighbor");
    for (name, neighbor) in names.iter().zip(&instance.neighbors) {
        _ = writeln!(out, "{name:width$}{}", row(instance, neighbor));
    }
    _ = writeln!(out, "\nTotal number of neighbors {peers}");
    out
}

/// What the neighbour column says: `net0`, or `tor0(net0)` where tables name hosts.
fn name(instance: &Instance, neighbor: &Neighbor) -> String {
    let dynamic = if is_dynamic(neighbor) { "*" } else { "" };
    let key = key_text(neighbor);
    match neighbor.hostname().filter(|_| instance.show_hostname) {
        Some(hostname) => format!("{dynamic}{hostname}({key})"),
        None => format!("{dynamic}{key}"),
    }
}

/// How FRR calls a neighbour: its key, or for one that a range let in, its address.
pub(super) fn key_text(neighbor: &Neighbor) -> String {
    match (&neighbor.status.key, neighbor.status.address) {
        (NeighborKey::Range(_), Some(address)) => address.to_string(),
        (key, _) => key.to_string(),
    }
}

/// Whether a range let it in.
fn is_dynamic(neighbor: &Neighbor) -> bool {
    matches!(neighbor.status.key, NeighborKey::Range(_)) && neighbor.status.address.is_some()
}

/// A row after the neighbour column.
fn row(instance: &Instance, neighbor: &Neighbor) -> String {
    let status = &neighbor.status;
    let counts = neighbor.counts(instance.family);
    let up = neighbor.established();
    let state = match status.state {
        _ if status.shutdown => "Idle (Admin)".into(),
        PeerState::Established if !negotiated(instance, neighbor) => "NoNeg".into(),
        PeerState::Established if status.policy_missing => "(Policy)".into(),
        PeerState::Established => counts.accepted.to_string(),
        state => state.to_string(),
    };
    format!(
        "4 {:10} {:10} {:9} {:9} {:8} {:4} {:4} {:>8} {state:>12} {:8} {}",
        neighbor.remote_as(),
        instance.asn.0,
        status.received.total(),
        status.sent.total(),
        table_version(instance, neighbor),
        0,
        0,
        uptime_text(instance.uptime(neighbor)),
        if up { counts.advertised } else { 0 },
        neighbor.description.as_deref().unwrap_or("N/A"),
    )
}

/// Whether the session carries the family.
fn negotiated(instance: &Instance, neighbor: &Neighbor) -> bool {
    neighbor.status.session.as_ref().is_none_or(|session| session.families.contains(&instance.family))
}

/// The table version a neighbour follows: the present one while its session is up, for changes are
/// pending or sent, never skipped.
fn table_version(instance: &Instance, neighbor: &Neighbor) -> u64 {
    if neighbor.established() { instance.version } else { 0 }
}

/// The JSON, with FRR's keys. `null`: a figure FRR has and core has not.
pub(crate) fn summary_json(instance: &Instance) -> Value {
    let peers: Map<String, Value> =
        instance.neighbors.iter().map(|n| (key_text(n), peer_json(instance, n))).collect();
    let total = instance.neighbors.len();
    json!({
        "routerId": instance.router_id.to_string(),
        "as": instance.asn.0,
        "vrfId": 0,
        "vrfName": "default",
        "tableVersion": instance.version,
        "ribCount": instance.entries(),
        "ribMemory": null,
        "peerCount": total,
        "peerMemory": null,
        "peerGroupCount": instance.peer_groups.len(),
        "peerGroupMemory": null,
        "peers": peers,
        "failedPeers": instance.neighbors.iter().filter(|n| !n.established()).count(),
        "displayedPeers": total,
        "totalPeers": total,
        "dynamicPeers": instance.neighbors.iter().filter(|n| is_dynamic(n)).count(),
        "bestPath": { "multiPathRelax": "false" },
    })
}

/// One neighbour.
fn peer_json(instance: &Instance, neighbor: &Neighbor) -> Value {
    let status = &neighbor.status;
    let counts = neighbor.counts(instance.family);
    let uptime = instance.uptime(neighbor);
    let mut peer = json!({
        "hostname": neighbor.hostname(),
        "remoteAs": neighbor.remote_as(),
        "localAs": instance.asn.0,
        "version": 4,
        "msgRcvd": status.received.total(),
        "msgSent": status.sent.total(),
        "tableVersion": table_version(instance, neighbor),
        "outq": 0,
        "inq": 0,
        "peerUptime": uptime_text(uptime),
        "peerUptimeMsec": uptime.map_or(0, |uptime| uptime.as_millis()),
        "pfxRcd": counts.accepted,
        "pfxSnt": if neighbor.established() { counts.advertised } else { 0 },
        "state": if status.shutdown { "Idle (Admin)".into() } else { status.state.to_string() },
        "peerState": match () {
            () if status.shutdown => "Admin",
            () if status.policy_missing => "Policy",
            () => "OK",
        },
        "connectionsEstablished": status.established,
        "connectionsDropped": status.dropped,
        "idType": match status.key {
            NeighborKey::Interface(_) => "interface",
            NeighborKey::Address(std::net::IpAddr::V6(_)) => "ipv6",
            NeighborKey::Address(std::net::IpAddr::V4(_)) => "ipv4",
            NeighborKey::Range(net) if net.addr().is_ipv6() => "ipv6",
            NeighborKey::Range(_) => "ipv4",
        },
    });
    if let (Some(uptime), Value::Object(fields)) = (uptime, &mut peer) {
        let since = instance.wall.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(uptime);
        fields.insert("peerUptimeEstablishedEpoch".into(), since.as_secs().into());
    }
    if let (Some(text), Value::Object(fields)) = (&neighbor.description, &mut peer) {
        fields.insert("desc".into(), text.as_str().into());
    }
    peer
}
