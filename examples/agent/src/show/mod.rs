//! What a speaker knows, for people and programs: FRR's tables and FRR's JSON keys.
//!
//! Everything is rendered from an [`Instance`], a copy of core's views taken at one moment, so nothing
//! here belongs to the lab: any program that has a speaker can show it. Figures are what core measured.
//! What FRR has and core has not (memory, a version for each route) is left out of the text and `null`
//! in JSON; it is never imitated. FRR's `InQ` and `OutQ` count messages that wait: core keeps none, so
//! they are 0 as a fact.

mod answer;
mod detail;
mod summary;
mod table;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use peerage_core::{
    Speaker,
    rib::{Exclusion, Path, PathOrigin, Route},
    speaker::{NeighborKey, NeighborStatus, PeerAs, PeerState, RouteCounts},
    time::Instant,
    wire::{Asn, Family, RouterId},
};

pub(crate) use answer::{answer, faults, is_called};
pub(crate) use detail::{neighbor_json, neighbor_text, route_json, route_text};
pub(crate) use summary::{summary_json, summary_text};
pub(crate) use table::{table_json, table_text};

/// A neighbour: its state and the parts of its configuration that tables show.
#[derive(Clone, Debug)]
pub(crate) struct Neighbor {
    /// Core's view.
    pub(crate) status: NeighborStatus,
    /// Which AS it may be in.
    pub(crate) asn: PeerAs,
    /// Free text.
    pub(crate) description: Option<String>,
}

impl Neighbor {
    /// Its AS where it is known: from its OPEN, or because only one number is allowed; else 0, as FRR
    /// shows it.
    fn remote_as(&self) -> u32 {
        match (&self.status.session, self.asn) {
            (Some(session), _) => session.remote_as.0,
            (None, PeerAs::Number(asn)) => asn.0,
            (None, PeerAs::External | PeerAs::Internal | PeerAs::Any) => 0,
        }
    }

    /// The host name it sent.
    fn hostname(&self) -> Option<&str> {
        self.status.session.as_ref()?.remote_hostname.as_deref()
    }

    /// Whether a session is up.
    fn established(&self) -> bool {
        self.status.state == PeerState::Established
    }

    /// Its routes of a family.
    fn counts(&self, family: Family) -> RouteCounts {
        self.status.routes.get(&family).copied().unwrap_or_default()
    }
}

/// A speaker at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// The speaker's AS.
    pub(crate) asn: Asn,
    /// Its identifier.
    pub(crate) router_id: RouterId,
    /// Its own host name.
    pub(crate) hostname: Option<String>,
    /// Whether tables name hosts (FRR: `bgp default show-hostname`, on in `frr defaults datacenter`).
    pub(crate) show_hostname: bool,
    /// The family shown.
    pub(crate) family: Family,
    /// How often a best path changed.
    pub(crate) version: u64,
    /// Names of peer groups in use.
    pub(crate) peer_groups: BTreeSet<String>,
    /// Neighbours in the order of tables.
    pub(crate) neighbors: Vec<Neighbor>,
    /// How many prefixes the table has, for where `routes` was not copied.
    pub(crate) prefixes: usize,
    /// Every prefix with its paths, those that are not candidates included.
    pub(crate) routes: Vec<Route>,
    /// The moment, on the speaker's clock.
    pub(crate) now: Instant,
    /// The moment, on the wall.
    pub(crate) wall: SystemTime,
}

impl Instance {
    /// A copy of what `speaker` knows about a family. `None`: it was never told what to be.
    pub(crate) fn take(
        speaker: &Speaker,
        now: Instant,
        family: Family,
        hostname: Option<String>,
        show_hostname: bool,
    ) -> Option<Self> {
        let instance = Self::without_routes(speaker, now, family, hostname, show_hostname)?;
        Some(Self { routes: speaker.rib().routes(family), ..instance })
    }

    /// The same without the routes, which take time to copy.
    pub(crate) fn without_routes(
        speaker: &Speaker,
        now: Instant,
        family: Family,
        hostname: Option<String>,
        show_hostname: bool,
    ) -> Option<Self> {
        let desired = speaker.desired()?;
        let mut neighbors: Vec<Neighbor> = speaker
            .neighbors()
            .into_iter()
            .map(|status| {
                let configured = desired.neighbors.get(&status.key);
                Neighbor {
                    asn: configured.map_or(PeerAs::Any, |neighbor| neighbor.asn),
                    description: configured.and_then(|neighbor| neighbor.description.clone()),
                    status,
                }
            })
            .collect();
        // FRR's order: interfaces, then addresses.
        neighbors.sort_by_key(|neighbor| !matches!(neighbor.status.key, NeighborKey::Interface(_)));
        Some(Self {
            asn: desired.asn,
            router_id: desired.router_id,
            hostname: hostname.or_else(|| desired.hostname.clone()),
            show_hostname,
            family,
            version: speaker.rib().version(family),
            peer_groups: desired.neighbors.values().filter_map(|n| n.peer_group.clone()).collect(),
            neighbors,
            prefixes: speaker.rib().len(family),
            routes: Vec::new(),
            now,
            wall: SystemTime::now(),
        })
    }

    /// How many prefixes there are.
    fn entries(&self) -> usize {
        if self.routes.is_empty() { self.prefixes } else { self.table().count() }
    }

    /// The table as FRR has it: without paths that its input checks drop before the table.
    fn table(&self) -> impl Iterator<Item = (&Route, Vec<&Path>)> {
        self.routes.iter().filter_map(|route| {
            let paths: Vec<&Path> = route.paths.iter().filter(|path| in_table(path)).collect();
            (!paths.is_empty()).then_some((route, paths))
        })
    }

    /// How long a neighbour has been in its state; `None`: it never had a session.
    fn uptime(&self, neighbor: &Neighbor) -> Option<Duration> {
        neighbor.status.since.map(|since| self.now.saturating_since(since))
    }
}

/// Whether FRR would have this path in its table: a next hop that cannot be reached keeps a path from
/// being used, the other exclusions keep it out.
fn in_table(path: &Path) -> bool {
    matches!(path.excluded, None | Some(Exclusion::NextHop))
}

/// FRR's way to write an uptime.
fn uptime_text(uptime: Option<Duration>) -> String {
    let Some(uptime) = uptime else { return "never".into() };
    let seconds = uptime.as_secs();
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86400);
    if days == 0 {
        format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
    } else if days < 7 {
        format!("{days}d{hours:02}h{minutes:02}m")
    } else {
        format!("{:02}w{}d{hours:02}h", days / 7, days % 7)
    }
}

/// A line that says who speaks: the layout is FRR's, the program is not.
pub(crate) fn heading(name: &str, command: &str) -> String {
    format!("{name}# {command}    (Peerage {})\n", env!("CARGO_PKG_VERSION"))
}

/// A family as FRR's headings have it.
fn family_title(family: Family) -> String {
    match family {
        Family::IPV4_UNICAST => "IPv4 Unicast".into(),
        Family::IPV6_UNICAST => "IPv6 Unicast".into(),
        other => other.to_string(),
    }
}

/// The interface a path was learned on, for neighbours that are known by it.
fn interface_of(path: &Path) -> Option<&str> {
    match &path.origin {
        PathOrigin::Peer { interface, .. } => interface.as_deref(),
        PathOrigin::Local(_) => None,
    }
}
