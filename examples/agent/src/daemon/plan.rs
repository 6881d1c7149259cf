//! What a new configuration changes and what that costs, in words.

use peerage_core::speaker::{Change, Cost, Plan};

/// The words of one kind of configuration.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    /// What the whole is.
    whole: &'static str,
    /// What it is told apart by.
    identity: &'static str,
    /// A field of a neighbour.
    field: fn(&str) -> &str,
}

/// Of a router's file.
pub(crate) const ROUTER: Words =
    Words { whole: "router", identity: "as, router-id or cluster-id", field: key_of_file };

/// Of a policy.
pub(crate) const POLICY: Words = Words { whole: "node", identity: "router id", field: field_of_policy };

/// The plan, a line each.
pub(crate) fn lines(plan: &Plan, words: Words) -> Vec<String> {
    plan.changes.iter().filter_map(|change| line(change, words)).collect()
}

/// One change: what, its cost, and what that means.
fn line(change: &Change, words: Words) -> Option<String> {
    let (what, cost, meaning) = match change {
        Change::Instance => {
            let meaning = "every session is closed and opened again";
            (format!("{}: {} changed", words.whole, words.identity), Cost::Reset, meaning)
        }
        Change::Settings => {
            let meaning = "sessions go on; a host name is for the next one";
            (format!("{}: settings changed", words.whole), Cost::None, meaning)
        }
        Change::AddNeighbor(key) => (format!("neighbor {key}: added"), Cost::None, "a session more"),
        Change::RemoveNeighbor(key) => {
            (format!("neighbor {key}: removed"), Cost::Reset, "its session ends with Cease 6/3")
        }
        Change::UpdateNeighbor { key, fields, cost } => {
            let names: Vec<&str> = fields.iter().map(|field| (words.field)(field)).collect();
            let meaning = match cost {
                Cost::None => "the session stays",
                Cost::Refresh => "the session stays, its routes are judged again",
                Cost::Reset => "its session is closed and opened again",
            };
            (format!("neighbor {key}: {} changed", names.join(", ")), *cost, meaning)
        }
        Change::Originate(prefix) => (format!("originate {prefix}"), Cost::None, "UPDATEs only"),
        Change::Withdraw(prefix) => (format!("withdraw {prefix}"), Cost::None, "UPDATEs only"),
        // What a later core adds has no words here.
        _ => return None,
    };
    Some(format!("{what}; cost: {} ({meaning})", cost_name(cost)))
}

/// A cost in a word.
pub(crate) const fn cost_name(cost: Cost) -> &'static str {
    match cost {
        Cost::None => "none",
        Cost::Refresh => "refresh",
        Cost::Reset => "reset",
    }
}

/// A field of a neighbour as the file names it.
fn key_of_file(field: &str) -> &str {
    match field {
        "asn" => "as",
        "peer_group" => "group",
        "local_address" => "local-address",
        "socket" => "multihop, ttl-security or password",
        "extended_next_hop" => "extended-next-hop",
        "graceful_restart" => "graceful-restart",
        "next_hop" => "next-hop",
        "route_reflector_client" => "route-reflector-client",
        "default_originate" => "default-originate",
        "prefix_limit" => "prefix-limit",
        "enforce_first_as" => "enforce-first-as",
        same => same,
    }
}

/// A field of a neighbour as a CiliumBGPPeeringPolicy names it.
fn field_of_policy(field: &str) -> &str {
    match field {
        "asn" => "peerASN",
        "port" => "peerPort",
        "timers" => "holdTimeSeconds, keepAliveTimeSeconds or connectRetryTimeSeconds",
        "socket" => "eBGPMultihopTTL",
        "shutdown" => "authSecretRef",
        "export" => "advertisedPathAttributes",
        "graceful_restart" => "gracefulRestart",
        same => same,
    }
}
