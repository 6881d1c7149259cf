//! What `peerage lab` shows: the fabric without policy, then with the policies, then the way of a
//! packet.

use std::{fmt::Write as _, sync::Arc};

use peerage_lab_input::Lab;
use serde_json::{Map, Value, json};

use super::{
    trace::{self, Pod, Way},
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

/// The first two pods that are on different nodes.
pub(super) fn ends(lab: &Lab) -> Option<(Pod, Pod)> {
    let first = lab.routers.len();
    let pods: Vec<Pod> = lab
        .pods
        .iter()
        .filter_map(|pod| {
            let node = lab.nodes.iter().position(|node| Some(&node.name) == pod.node.as_ref())?;
            Some(Pod { name: pod.name.clone(), address: pod.address?, machine: first + node })
        })
        .collect();
    let from = pods.first()?.clone();
    let to = pods.into_iter().find(|pod| pod.machine != from.machine)?;
    Some((from, to))
}

/// The article's traceroute.
pub(crate) fn trace_text(world: &Arc<World>) -> Option<String> {
    let (from, to) = ends(&world.lab)?;
    let mut out = String::from("==== The way of a packet\n\n");
    let lookup = |machine, address| world.lookup(machine, address).as_ref().map(Way::from);
    let how = "the speakers' tables; no packet was sent";
    _ = write!(out, "{}", trace::trace_text(world.fabric.machines(), &from, &to, how, &lookup));
    Some(out)
}
