//! What a running lab answers to `peerage show`, `apply` and `delete`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use peerage_core::speaker::Change;
use peerage_kubernetes::{Fault, Severity, Snapshot, plan};

use super::{
    converge,
    stop::Stop,
    world::{InstanceChange, World},
};
use crate::{
    cli::{FamilyName, Format, What},
    control::{File, Request, Response},
    show,
};

/// How long a change may take to settle before it is answered anyway.
pub(super) const SETTLE: Duration = Duration::from_secs(15);

/// Whose view it is where nobody says.
pub(super) const DEFAULT_NODE: &str = "router0";

/// Answers one request.
pub(crate) fn answer(world: &World, stop: &Stop, request: Request) -> Response {
    let result = match request {
        Request::Show { show: What::Faults, format, .. } => {
            show::faults(&world.lab.name, &plan(&world.cluster()).faults, format).map(Response::done)
        }
        Request::Show { show, node, format, family } => {
            self::show(world, &show, node.as_deref(), format, family).map(Response::done)
        }
        Request::Apply { files } => change(world, stop, &files, false),
        Request::Delete { files } => change(world, stop, &files, true),
        Request::Monitor { .. } | Request::Clear { .. } => Ok(Response::failed(
            "this is a lab; `peerage monitor` and `peerage clear` are for a `peerage router`: say --socket PATH",
        )),
    };
    result.unwrap_or_else(|error| Response::failed(format!("{error:#}")))
}

/// One view of one speaker.
fn show(
    world: &World,
    what: &What,
    name: Option<&str>,
    format: Format,
    family: FamilyName,
) -> Result<String> {
    let name = name.unwrap_or(DEFAULT_NODE);
    let member = world.find(name)?;
    let Some(instance) = member.look_at(what.family(family)) else {
        bail!("{name} is not told yet what to be")
    };
    show::answer(&member.node, name, &instance, what, format)
}

/// Applies or deletes objects and waits until the lab has settled. What is wrong with one object keeps
/// no other from being changed.
fn change(world: &World, stop: &Stop, files: &[File], delete: bool) -> Result<Response> {
    let (mut output, mut faults) = edit(&mut world.cluster(), files, delete);
    let (changes, compiled) = world.apply();
    faults.extend(compiled);
    changes.iter().for_each(|change| output.push_str(&change_text(change)));
    if let Err(missing) = converge::wait(world, Instant::now() + SETTLE, stop) {
        faults.extend(missing.into_iter().map(|missing| Fault::error("missing", missing)));
    }
    for router in &world.lab.routers {
        if let Some(instance) = world.find(&router.name)?.look() {
            let summary = show::table_json(&instance);
            let routes =
                summary.get("routes").and_then(|routes| routes.as_object()).map_or(0, |routes| routes.len());
            _ = writeln!(output, "{}: {routes} routes", router.name);
        }
    }
    let mut complaint = String::new();
    faults.iter().for_each(|fault| _ = writeln!(complaint, "{fault}"));
    let done = faults.iter().all(|fault| fault.severity != Severity::Error);
    Ok(Response { done, output, complaint })
}

/// Applies or deletes the objects of files: what was done to which, and what is wrong.
pub(super) fn edit(cluster: &mut Snapshot, files: &[File], delete: bool) -> (String, Vec<Fault>) {
    let mut read = Snapshot::new();
    for file in files {
        read.read(&file.name, &file.text);
    }
    let mut faults = read.faults();
    let mut output = String::new();
    let names = objects(&read);
    if delete {
        let removed = cluster.remove(&read);
        for name in names.iter().filter(|name| !removed.contains(name)) {
            faults.push(Fault::error(name.clone(), "is not there; nothing to delete"));
        }
        removed.iter().for_each(|name| _ = writeln!(output, "{name} deleted"));
    } else {
        let nodes = nodes(cluster, &read);
        cluster.apply(read);
        cluster.apply(nodes);
        names.iter().for_each(|name| _ = writeln!(output, "{name} applied"));
    }
    (output, faults)
}

/// Nodes as a change leaves them: a manifest that says only labels takes nothing else away.
fn nodes(cluster: &Snapshot, read: &Snapshot) -> Snapshot {
    let mut merged = Snapshot::new();
    for stored in read.nodes() {
        let mut node = stored.object.clone();
        if let Some(known) = cluster.node(&node.metadata.name).map(|known| known.object.clone()) {
            let join = |known: Option<BTreeMap<String, String>>, more: Option<BTreeMap<String, String>>| {
                let mut all = known.unwrap_or_default();
                all.extend(more.unwrap_or_default());
                Some(all)
            };
            node.metadata.labels = join(known.metadata.labels, node.metadata.labels);
            node.metadata.annotations = join(known.metadata.annotations, node.metadata.annotations);
            node.spec = node.spec.or(known.spec);
            node.status = node.status.or(known.status);
        }
        merged.add_node(node, stored.origin.clone());
    }
    merged
}

/// The objects that a change is about.
fn objects(snapshot: &Snapshot) -> Vec<String> {
    let policies =
        snapshot.policies().map(|stored| format!("CiliumBGPPeeringPolicy/{}", stored.object.metadata.name));
    let nodes = snapshot.nodes().map(|stored| format!("Node/{}", stored.object.metadata.name));
    policies.chain(nodes).collect()
}

/// What a change did to an instance, a line each.
fn change_text(change: &InstanceChange) -> String {
    let mut out = String::new();
    for step in &change.plan.changes {
        let text = match step {
            Change::Instance => "the instance starts".to_owned(),
            Change::AddNeighbor(key) => format!("neighbor {key} added"),
            Change::RemoveNeighbor(key) => format!("neighbor {key} removed (Cease 6/3)"),
            Change::UpdateNeighbor { key, fields, cost } => {
                format!("neighbor {key}: {} changed, costs the session {cost:?}", fields.join(", "))
            }
            Change::Originate(prefix) => format!("announces {prefix}"),
            Change::Withdraw(prefix) => format!("no longer announces {prefix}"),
            _ => continue,
        };
        _ = writeln!(out, "  {} AS {}: {text}", change.node, change.instance);
    }
    out
}
