//! What `peerage lab` shows: the fabric without policy, then with the policies, then the way of a
//! packet.

use std::{fmt::Write as _, sync::Arc};

use serde_json::{Map, Value, json};

use super::{
    trace::{self, Pod},
    world::World,
};
use crate::show::{self, Instance};

/// The routers' views at one moment, in the order of the topology.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    routers: Vec<(String, Instance)>,
}

impl Stage {
    /// Looks at every router.
    pub(crate) fn take(world: &World) -> Self {
        let routers = (0..world.lab.routers.len())
            .filter_map(|machine| {
                let member = world.router(machine)?;
                Some((world.name(&member), member.look()?))
            })
            .collect();
        Self { routers }
    }

    /// The summaries of all routers and the table of the one in the middle.
    pub(crate) fn text(&self, title: &str) -> String {
        let mut out = format!("==== {title}\n");
        for (name, instance) in &self.routers {
            out.push('\n');
            out += &show::heading(name, "show bgp ipv4 summary wide");
            out += &show::summary_text(instance);
        }
        let center = self.routers.iter().find(|(name, _)| name == "router0").or_else(|| self.routers.first());
        if let Some((name, instance)) = center {
            out.push('\n');
            out += &show::heading(name, "show bgp ipv4 wide");
            out += &show::table_text(instance);
        }
        out.push('\n');
        out
    }

    /// The same as JSON, by router, with FRR's keys.
    pub(crate) fn json(&self) -> Value {
        let routers: Map<String, Value> = self
            .routers
            .iter()
            .map(|(name, instance)| {
                let views =
                    json!({ "summary": show::summary_json(instance), "table": show::table_json(instance) });
                (name.clone(), views)
            })
            .collect();
        Value::Object(routers)
    }
}

/// The article's traceroute: between the first two pods that are on different nodes.
pub(crate) fn trace_text(world: &Arc<World>) -> Option<String> {
    let first = world.lab.routers.len();
    let pods: Vec<Pod> = world
        .lab
        .pods
        .iter()
        .filter_map(|pod| {
            let node = world.lab.nodes.iter().position(|node| Some(&node.name) == pod.node.as_ref())?;
            Some(Pod { name: pod.name.clone(), address: pod.address?, machine: first + node })
        })
        .collect();
    let from = pods.first()?;
    let to = pods.iter().find(|pod| pod.machine != from.machine)?;
    let mut out = String::from("==== The way of a packet\n\n");
    let lookup = |machine, address| world.lookup(machine, address);
    _ = write!(out, "{}", trace::trace_text(world.fabric.machines(), from, to, &lookup));
    Some(out)
}
