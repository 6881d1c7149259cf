//! When the routers have arrived at what the files imply, and what is missing until then.
//!
//! What has to be there is worked out from the files alone ([`peerage_lab_input::expect`]); what is there is
//! what the routers say. All of it has to stand still for a while, for FRR gathers changes before it tells
//! them.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use ipnet::IpNet;
use peerage_kubernetes::Snapshot;
use peerage_lab_input::expect::{Expected, Session, expected};
use serde_json::Value;

use super::{super::stop::Stop, inside::Inside, routers::Look};

/// How often is looked.
const STEP: Duration = Duration::from_millis(100);
/// How long everything has to stand still: FRR waits up to a second for more to send.
const STILL: Duration = Duration::from_millis(1300);

/// Waits until the routers have what `policies` imply; else the last views and what is missing.
pub(super) fn wait(
    inside: &Inside,
    policies: &Snapshot,
    deadline: Instant,
    stop: &Stop,
) -> Result<(Vec<Look>, Vec<String>)> {
    let expected = expected(&inside.lab, policies);
    let mut still_since = Instant::now();
    let mut last: Option<Vec<Value>> = None;
    loop {
        inside.check()?;
        let looks: Vec<Look> =
            (0..inside.lab.routers.len()).map(|index| inside.routers.look(index)).collect::<Result<_>>()?;
        let missing = missing(inside, &expected, &looks);
        let figures: Vec<Value> = looks.iter().map(figures).collect();
        if last.as_ref() != Some(&figures) || !missing.is_empty() {
            still_since = Instant::now();
        }
        last = Some(figures);
        if missing.is_empty() && still_since.elapsed() >= STILL {
            return Ok((looks, missing));
        }
        if stop.requested() || Instant::now() >= deadline {
            let missing = if missing.is_empty() {
                vec!["the tables do not stand still; give them more time with --timeout".into()]
            } else {
                missing
            };
            return Ok((looks, missing));
        }
        thread::sleep(STEP);
    }
}

/// Sessions and routes that should be there and are not, and the other way round, in words.
fn missing(inside: &Inside, expected: &Expected, looks: &[Look]) -> Vec<String> {
    let look = |name: &str| {
        let index = inside.lab.routers.iter().position(|router| router.name == name)?;
        looks.get(index)
    };
    let mut missing: Vec<String> =
        expected.sessions.iter().filter_map(|session| session_text(session, &look)).collect();
    for (router, look) in inside.lab.routers.iter().zip(looks) {
        let there = prefixes(look);
        let wanted = expected.prefixes(&router.name);
        missing.extend(wanted.difference(&there).map(|prefix| format!("route {prefix} on {}", router.name)));
        missing.extend(
            there
                .difference(&wanted)
                .map(|prefix| format!("route {prefix} on {}: it is there and should not be", router.name)),
        );
    }
    missing
}

/// What is wrong with a session, where anything is.
fn session_text<'a>(session: &Session, look: &dyn Fn(&str) -> Option<&'a Look>) -> Option<String> {
    let Session { a, a_key, b, b_key, down } = session;
    let state = |name: &str, key: &str| {
        let state = look(name)?.summary.pointer("/peers")?.get(key)?.get("state")?.as_str();
        state.map(|state| format!("{name} (neighbor {key}): {state}"))
    };
    let states: Vec<String> = [state(a, a_key), state(b, b_key)].into_iter().flatten().collect();
    let up = !states.is_empty() && states.iter().all(|state| state.ends_with(": Established"));
    match down {
        None if up => None,
        None => {
            Some(format!("session {a} (neighbor {a_key}) - {b} (neighbor {b_key}): {}", states.join(", ")))
        }
        Some(why) => Some(format!("session {a} (neighbor {a_key}) - {b} (neighbor {b_key}): {why}")),
    }
}

/// The prefixes that a router has a best path for.
fn prefixes(look: &Look) -> BTreeSet<IpNet> {
    let routes = look.table.get("routes").and_then(Value::as_object);
    let has_best = |paths: &Value| {
        let is_best = |path: &Value| path.get("bestpath").is_some_and(|best| best.as_bool() != Some(false));
        paths.as_array().is_some_and(|paths| paths.iter().any(is_best))
    };
    routes
        .into_iter()
        .flatten()
        .filter(|(_, paths)| has_best(paths))
        .filter_map(|(prefix, _)| prefix.parse().ok())
        .collect()
}

/// What has to stand still: the table's version, and of neighbours their state and counts.
fn figures(look: &Look) -> Value {
    let mut figures = vec![look.table.get("tableVersion").cloned().unwrap_or_default()];
    let peers = look.summary.get("peers").and_then(Value::as_object);
    for peer in peers.into_iter().flat_map(|peers| peers.values()) {
        // A neighbour that is dialled in vain goes back and forth between states.
        let up = peer.get("state").and_then(Value::as_str) == Some("Established");
        figures.push(up.into());
        figures.extend(["pfxRcd", "pfxSnt"].map(|key| peer.get(key).cloned().unwrap_or_default()));
    }
    Value::Array(figures)
}
