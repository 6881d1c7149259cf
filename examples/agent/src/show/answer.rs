//! What `peerage show` asked, of whichever program has the speaker.

use anyhow::{Result, bail};
use peerage_core::{rib::Route, speaker::NeighborStatus, wire::Family};
use peerage_kubernetes::Fault;
use serde_json::json;

use super::{
    Instance, heading, neighbor_json, neighbor_text, route_json, route_text, summary_json, summary_text,
    table_json, table_text,
};
use crate::{
    cli::{FamilyName, Format, Lookup, What},
    node::Node,
};

impl What {
    /// Whether it shows the routes of the whole table, which take time to copy.
    pub(crate) const fn needs_routes(&self) -> bool {
        matches!(self, Self::Routes)
    }

    /// The family it shows: a prefix has its own, the others the one that was asked for.
    pub(crate) fn family(&self, asked: FamilyName) -> Family {
        let ipv4 = match self {
            Self::Route { prefix: Lookup::Exact(net) } => net.addr().is_ipv4(),
            Self::Route { prefix: Lookup::Longest(address) } => address.is_ipv4(),
            Self::Summary | Self::Routes | Self::Neighbor { .. } | Self::Faults => asked == FamilyName::Ipv4,
        };
        if ipv4 { Family::IPV4_UNICAST } else { Family::IPV6_UNICAST }
    }
}

/// One view of the speaker of `node`, which calls itself `name` and of which `instance` is a copy.
pub(crate) fn answer(
    node: &Node,
    name: &str,
    instance: &Instance,
    what: &What,
    format: Format,
) -> Result<String> {
    let neighbor = |which: &Option<String>| -> Result<()> {
        match which {
            Some(which) if neighbor_text(instance, Some(which)).is_empty() => {
                bail!("{name} has no neighbor {which}; it has {}", known(&instance.neighbors))
            }
            _ => Ok(()),
        }
    };
    let route = |lookup: Lookup| -> Result<Route> {
        node.with(|speaker, _| match lookup {
            Lookup::Exact(prefix) => speaker.rib().route(prefix),
            Lookup::Longest(address) => speaker.rib().lookup(address),
        })
        .ok_or_else(|| anyhow::anyhow!("{name} has no route to {}", String::from(lookup)))
    };
    let family = if instance.family == Family::IPV6_UNICAST { "ipv6" } else { "ipv4" };
    let json = match (what, format) {
        (What::Summary, Format::Text) => {
            let heading = heading(name, &format!("show bgp {family} summary wide"));
            return Ok(heading + &summary_text(instance));
        }
        (What::Routes, Format::Text) => {
            let heading = heading(name, &format!("show bgp {family} wide"));
            return Ok(heading + &table_text(instance));
        }
        (What::Neighbor { neighbor: which }, Format::Text) => {
            neighbor(which)?;
            return Ok(neighbor_text(instance, which.as_deref()));
        }
        (What::Route { prefix }, Format::Text) => return Ok(route_text(instance, &route(*prefix)?)),
        (What::Summary, Format::Json) => summary_json(instance),
        (What::Routes, Format::Json) => table_json(instance),
        (What::Neighbor { neighbor: which }, Format::Json) => {
            neighbor(which)?;
            neighbor_json(instance, which.as_deref())
        }
        (What::Route { prefix }, Format::Json) => route_json(instance, &route(*prefix)?),
        (What::Faults, _) => bail!("{name} is made by no objects, and has no faults of theirs"),
    };
    Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
}

/// What is wrong with the objects by which `name` is run.
pub(crate) fn faults(name: &str, faults: &[Fault], format: Format) -> Result<String> {
    Ok(match format {
        Format::Text if faults.is_empty() => format!("{name}: no faults\n"),
        Format::Text => faults.iter().map(|fault| format!("{fault}\n")).collect(),
        Format::Json => {
            format!("{}\n", serde_json::to_string_pretty(&json!({ "node": name, "faults": faults }))?)
        }
    })
}

/// Names of neighbours, for who named one that is not there.
fn known(neighbors: &[super::Neighbor]) -> String {
    if neighbors.is_empty() {
        return "none".into();
    }
    neighbors.iter().map(|neighbor| neighbor.status.key.to_string()).collect::<Vec<_>>().join(", ")
}

/// Whether a neighbour is called `which`: by its key, its address or its host name.
pub(crate) fn is_called(status: &NeighborStatus, which: &str) -> bool {
    status.key.to_string() == which
        || status.address.is_some_and(|address| address.to_string() == which)
        || status.session.as_ref().is_some_and(|session| session.remote_hostname.as_deref() == Some(which))
}
