//! What the daemon prints: events as they come, and how the table differs from what was printed last.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use ipnet::IpNet;
use peerage_core::{
    rib::{PathOrigin, Rib},
    speaker::Event,
    wire::Family,
};

const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

/// The best routes that were learned when they were last printed, and the table's version then.
#[derive(Default)]
pub(crate) struct Shown {
    routes: BTreeMap<IpNet, String>,
    version: [u64; 2],
}

impl Shown {
    /// Prints what has changed. The version says whether to look at all.
    pub(crate) fn update(&mut self, rib: &Rib) -> io::Result<()> {
        let version = FAMILIES.map(|family| rib.version(family));
        if version == self.version {
            return Ok(());
        }
        let mut routes = BTreeMap::new();
        for route in FAMILIES.into_iter().flat_map(|family| rib.routes(family)) {
            if let Some(best) = route.best()
                && matches!(best.origin, PathOrigin::Peer { .. })
                && let Some(next_hop) = best.next_hop
            {
                routes.insert(route.prefix, format!("via {next_hop}, AS path {}", best.attributes.as_path));
            }
        }
        for prefix in self.routes.keys().filter(|prefix| !routes.contains_key(prefix)) {
            say(format_args!("- {prefix}"))?;
        }
        for (prefix, how) in routes.iter().filter(|(prefix, how)| self.routes.get(prefix) != Some(how)) {
            say(format_args!("+ {prefix} {how}"))?;
        }
        *self = Self { routes, version };
        Ok(())
    }
}

/// Says what happened.
pub(crate) fn tell(event: &Event) -> io::Result<()> {
    match event {
        Event::PeerUp { key, asn, router_id, .. } => {
            say(format_args!("session up: {key}, AS {asn}, router id {router_id}"))
        }
        Event::PeerDown { key, reason, .. } => say(format_args!("session down: {key}: {reason}")),
        Event::AttemptFailed { key, reason, .. } => say(format_args!("no session: {key}: {reason}")),
        Event::Refused { remote } => say(format_args!("refused: {remote} is no neighbour")),
        Event::MalformedUpdates { count, fault, .. } => {
            say(format_args!("malformed: {count}, last {fault:?}"))
        }
        _ => Ok(()),
    }
}

/// Prints a line; where nobody reads it any more, that ends the program without a panic.
pub(crate) fn say(line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
