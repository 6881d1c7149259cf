//! A configuration as a file that says all of it: what a neighbour got from its group stands at the
//! neighbour, defaults stand there too.

use std::fmt::Write as _;

use peerage_core::{
    policy::{Match, Policy, PrefixMatch, RouteSource, Rule, Set, Verdict},
    speaker::{Neighbor, NeighborKey, NextHopMode, PeerAs},
    wire::{
        Family, Origin,
        attr::{PathAttributes, SegmentKind},
    },
};

use crate::{Config, reader::quote, value};

/// The effective configuration: a file which [`parse`](crate::parse) reads as the same configuration, its
/// notices and passwords excepted, for a password is never printed. What a program put into `config` and no
/// file can say is left out; of a rule it stands there in a comment.
pub fn render(config: &Config) -> String {
    let mut out = String::new();
    let desired = &config.desired;
    line(&mut out, "as", desired.asn);
    line(&mut out, "router-id", quoted(desired.router_id));
    if let Some(id) = desired.cluster_id {
        line(&mut out, "cluster-id", quoted(id));
    }
    if let Some(hostname) = &desired.hostname {
        line(&mut out, "hostname", quote(hostname));
    }
    line(&mut out, "listen", list(config.listen.iter().map(quoted)));
    if let Some(socket) = &config.socket {
        line(&mut out, "socket", quote(&socket.to_string_lossy()));
    }
    line(&mut out, "log", quoted(config.log.name()));
    if !desired.originate.is_empty() {
        out.push_str("originate = [\n");
        for (prefix, attributes) in &desired.originate {
            let _infallible = writeln!(out, "    {{ prefix = {}{} }},", quoted(prefix), route(attributes));
        }
        out.push_str("]\n");
    }
    out.push_str("\n[limits]\n");
    line(&mut out, "prefixes-per-neighbor", desired.limits.prefixes_per_neighbor);
    line(&mut out, "refused-connections", desired.limits.refused_connections);
    line(&mut out, "dynamic-peers", desired.limits.dynamic_peers);
    line(&mut out, "retained-octets", desired.limits.retained_octets);
    line(&mut out, "events", desired.limits.events);
    let mut groups: Vec<&String> =
        desired.neighbors.values().filter_map(|neighbor| neighbor.peer_group.as_ref()).collect();
    groups.sort();
    groups.dedup();
    for group in groups {
        let _infallible = writeln!(out, "\n[group.{}]", quote(group));
    }
    for (key, neighbor) in &desired.neighbors {
        write_neighbor(&mut out, key, neighbor);
    }
    out
}

fn line(out: &mut String, key: &str, value: impl std::fmt::Display) {
    let _infallible = writeln!(out, "{key} = {value}");
}

fn quoted(value: impl ToString) -> String {
    quote(&value.to_string())
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

const fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Igp => "igp",
        Origin::Egp => "egp",
        Origin::Incomplete => "incomplete",
    }
}

/// The attributes of a route as further entries of an inline table.
fn route(attributes: &PathAttributes) -> String {
    let mut out = format!(", origin = {}", quoted(origin_name(attributes.origin)));
    let mut entry = |key: &str, value: String| out.push_str(&format!(", {key} = {value}"));
    if let Some(med) = attributes.med {
        entry("med", med.to_string());
    }
    if let Some(local_pref) = attributes.local_pref {
        entry("local-pref", local_pref.to_string());
    }
    if !attributes.communities.is_empty() {
        entry("communities", list(attributes.communities.iter().map(quoted)));
    }
    if !attributes.large_communities.is_empty() {
        entry("large-communities", list(attributes.large_communities.iter().map(quoted)));
    }
    if let [segment] = attributes.as_path.segments.as_slice()
        && segment.kind == SegmentKind::Sequence
        && let [first, rest @ ..] = segment.asns.as_slice()
        && rest.iter().all(|asn| asn == first)
    {
        entry("prepend", format!("{{ as = {first}, count = {} }}", segment.asns.len()));
    }
    out
}

fn write_neighbor(out: &mut String, key: &NeighborKey, neighbor: &Neighbor) {
    let name = format!("neighbor.{}", quoted(key));
    let _infallible = writeln!(out, "\n[{name}]");
    let asn = match neighbor.asn {
        PeerAs::Number(asn) => asn.to_string(),
        PeerAs::Internal => quoted("internal"),
        PeerAs::External => quoted("external"),
        PeerAs::Any => quoted("any"),
    };
    line(out, "as", asn);
    if let Some(group) = &neighbor.peer_group {
        line(out, "group", quote(group));
    }
    if let Some(description) = &neighbor.description {
        line(out, "description", quote(description));
    }
    line(out, "passive", neighbor.passive);
    line(out, "shutdown", neighbor.shutdown);
    line(out, "port", neighbor.port);
    if let Some(address) = neighbor.local_address {
        line(out, "local-address", quoted(address));
    }
    match (neighbor.socket.ttl, neighbor.socket.min_ttl) {
        (_, Some(min_ttl)) => line(out, "ttl-security", (u8::MAX - min_ttl).saturating_add(1)),
        (Some(ttl), None) => line(out, "multihop", ttl),
        (None, None) => {}
    }
    if neighbor.socket.md5_key.is_some() {
        out.push_str("# password: there is one\n");
    }
    let timers = &neighbor.timers;
    let mut times = vec![
        ("hold", timers.hold),
        ("keepalive", timers.keepalive),
        ("connect-retry", timers.connect_retry),
        ("idle-hold", timers.idle_hold),
        ("open", timers.open),
    ];
    times.extend(timers.send_hold.map(|time| ("send-hold", time)));
    let times: Vec<String> =
        times.iter().map(|(name, time)| format!("{name} = {}", value::show_duration(*time))).collect();
    line(out, "timers", format!("{{ {} }}", times.join(", ")));
    line(out, "families", list(neighbor.families.iter().map(quoted)));
    line(out, "extended-next-hop", neighbor.extended_next_hop);
    let restart = neighbor.graceful_restart.map(|it| value::show_duration(it.restart_time));
    line(out, "graceful-restart", restart.as_deref().unwrap_or("false"));
    let next_hop = match neighbor.next_hop {
        NextHopMode::Standard => "standard",
        NextHopMode::OwnAddress => "self",
        NextHopMode::Unchanged => "unchanged",
    };
    line(out, "next-hop", quoted(next_hop));
    line(out, "route-reflector-client", neighbor.route_reflector_client);
    line(
        out,
        "default-originate",
        list(neighbor.default_originate.iter().map(Family::to_string).map(quoted)),
    );
    if let Some(limit) = neighbor.prefix_limit {
        line(out, "prefix-limit", limit);
    }
    line(out, "enforce-first-as", neighbor.enforce_first_as);
    let policies = [("import", &neighbor.import), ("export", &neighbor.export)];
    // Lines before tables.
    for (name, policy) in policies {
        if let Some(Policy { rules, otherwise }) = policy
            && rules.is_empty()
        {
            line(out, name, quoted(verdict_name(*otherwise)));
        }
    }
    for (field, policy) in policies {
        if let Some(policy) = policy
            && !policy.rules.is_empty()
        {
            write_policy(out, &format!("{name}.{field}"), policy);
        }
    }
}

const fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Reject => "reject",
    }
}

fn write_policy(out: &mut String, name: &str, policy: &Policy) {
    let _infallible = writeln!(out, "\n[{name}]");
    line(out, "otherwise", quoted(verdict_name(policy.otherwise)));
    for rule in &policy.rules {
        let _infallible = writeln!(out, "\n[[{name}.rule]]");
        write_rule(out, rule);
    }
}

fn write_rule(out: &mut String, rule: &Rule) {
    for condition in &rule.matches {
        let (prefix, inner) = match condition {
            Match::Not(inner) => ("match.not", inner.as_ref()),
            other => ("match", other),
        };
        match show_condition(inner) {
            Some((key, value)) => line(out, &format!("{prefix}.{key}"), value),
            None => line(out, "# match", format!("{condition:?}")),
        }
    }
    for set in &rule.sets {
        match show_edit(set) {
            Some((key, value)) => line(out, &format!("set.{key}"), value),
            None => line(out, "# set", format!("{set:?}")),
        }
    }
    line(out, "verdict", quoted(rule.verdict.map_or("next", verdict_name)));
}

fn show_condition(condition: &Match) -> Option<(&'static str, String)> {
    Some(match condition {
        Match::Prefix(prefixes) => ("prefix", list(prefixes.iter().map(show_prefix))),
        Match::Source(sources) => ("source", list(sources.iter().map(|source| show_source(*source)))),
        Match::AnyCommunity(communities) => ("community", list(communities.iter().map(quoted))),
        Match::AnyLargeCommunity(communities) => ("large-community", list(communities.iter().map(quoted))),
        Match::AsPathContains(asn) => ("as-path-contains", asn.to_string()),
        Match::NeighborAs(asn) => ("neighbor-as", asn.to_string()),
        Match::OriginAs(asn) => ("origin-as", asn.to_string()),
        Match::AsPathLength { min, max } => ("as-path-length", quoted(format!("{min}..{max}"))),
        Match::Origin(origin) => ("origin", quoted(origin_name(*origin))),
        Match::NextHop(address) => ("next-hop", quoted(address)),
        Match::Med(med) => ("med", med.to_string()),
        Match::LocalPref(value) => ("local-pref", value.to_string()),
        _ => return None,
    })
}

fn show_prefix(condition: &PrefixMatch) -> String {
    let PrefixMatch { net, min_len, max_len } = condition;
    if *condition == PrefixMatch::exact(*net) {
        return quoted(net);
    }
    quoted(format!("{net} ge {min_len} le {max_len}"))
}

fn show_source(source: RouteSource) -> String {
    quoted(match source {
        RouteSource::Local => "local",
        RouteSource::Internal => "internal",
        RouteSource::External => "external",
    })
}

fn show_edit(set: &Set) -> Option<(&'static str, String)> {
    Some(match set {
        Set::LocalPref(value) => ("local-pref", value.to_string()),
        Set::Med(Some(med)) => ("med", med.to_string()),
        Set::Med(None) => ("med", quoted("none")),
        Set::Origin(origin) => ("origin", quoted(origin_name(*origin))),
        Set::Communities(items) => ("community.set", list(items.iter().map(quoted))),
        Set::RemoveCommunities(items) => ("community.remove", list(items.iter().map(quoted))),
        Set::AddCommunities(items) => ("community.add", list(items.iter().map(quoted))),
        Set::LargeCommunities(items) => ("large-community.set", list(items.iter().map(quoted))),
        Set::RemoveLargeCommunities(items) => ("large-community.remove", list(items.iter().map(quoted))),
        Set::AddLargeCommunities(items) => ("large-community.add", list(items.iter().map(quoted))),
        Set::Prepend { asn, count } => ("prepend", format!("{{ as = {asn}, count = {count} }}")),
        Set::NextHop(address) => ("next-hop", quoted(address)),
        _ => return None,
    })
}
