//! What a lab in namespaces answers to `peerage show`, `apply` and `delete`: routers and agents are asked, and
//! the cluster's objects go into the agents' directory.

use std::{fmt::Write as _, sync::PoisonError, time::Instant};

use anyhow::{Result, bail};
use peerage_kubernetes::{Fault, Severity, plan};
use serde_json::Value;

use super::{
    super::{
        control::{DEFAULT_NODE, SETTLE, edit},
        stop::Stop,
    },
    converge,
    inside::Inside,
};
use crate::{
    cli::{FamilyName, Format, What},
    control::{File, Request, Response},
};

/// Answers one request.
pub(super) fn answer(inside: &Inside, stop: &Stop, request: Request) -> Response {
    let result = match request {
        Request::Show { show, node, format, family } => {
            self::show(inside, show, node.as_deref(), format, family)
        }
        Request::Apply { files } => change(inside, stop, &files, false),
        Request::Delete { files } => change(inside, stop, &files, true),
        Request::Monitor { .. } | Request::Clear { .. } => Ok(Response::failed(
            "this is a lab; `peerage monitor` and `peerage clear` are for a `peerage router`: say --socket PATH",
        )),
    };
    result.unwrap_or_else(|error| Response::failed(format!("{error:#}")))
}

/// One view of a router, or of a node's agent.
fn show(
    inside: &Inside,
    what: What,
    name: Option<&str>,
    format: Format,
    family: FamilyName,
) -> Result<Response> {
    let name = name.unwrap_or(DEFAULT_NODE);
    let routers = &inside.lab.routers;
    if let Some(index) = routers.iter().position(|router| router.name == name)
        && let Some(router) = routers.get(index)
    {
        return inside.routers.show(index, router, &what, format, family).map(Response::done);
    }
    let (wanted, instance) = name.split_once('/').map_or((name, None), |(node, at)| (node, Some(at)));
    let nodes = &inside.lab.nodes;
    let node = nodes
        .iter()
        .position(|node| node.name == wanted || node.container == wanted || node.server == wanted);
    let Some(index) = node else {
        let names = routers.iter().map(|router| &router.name).chain(nodes.iter().map(|node| &node.name));
        bail!("there is no {name}; there are {}", names.cloned().collect::<Vec<_>>().join(", "));
    };
    let Some(agents) = &inside.agents else {
        bail!("{wanted} runs no agent: bgpControlPlane.enabled is false");
    };
    agents.ask(index, &Request::Show { show: what, node: instance.map(str::to_owned), format, family })
}

/// Applies or deletes objects and waits until the routers have what that implies. What is wrong with one
/// object keeps no other from being changed.
fn change(inside: &Inside, stop: &Stop, files: &[File], delete: bool) -> Result<Response> {
    let mut cluster = inside.cluster.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut output, mut faults) = edit(&mut cluster, files, delete);
    // What is wrong with objects by themselves was said when they were read.
    let known = cluster.faults();
    faults.extend(plan(&cluster).faults.into_iter().filter(|fault| !known.contains(fault)));
    let missing = match &inside.agents {
        Some(agents) => {
            agents.apply(&cluster)?;
            converge::wait(inside, &cluster, Instant::now() + SETTLE, stop)?.1
        }
        None => Vec::new(),
    };
    faults.extend(missing.into_iter().map(|missing| Fault::error("missing", missing)));
    for (index, router) in inside.lab.routers.iter().enumerate() {
        let look = inside.routers.look(index)?;
        let routes = look.table.get("routes").and_then(Value::as_object).map_or(0, serde_json::Map::len);
        _ = writeln!(output, "{}: {routes} routes", router.name);
    }
    faults.sort();
    faults.dedup();
    let mut complaint = String::new();
    faults.iter().for_each(|fault| _ = writeln!(complaint, "{fault}"));
    let done = faults.iter().all(|fault| fault.severity != Severity::Error);
    Ok(Response { done, output, complaint })
}
