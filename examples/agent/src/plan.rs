//! `peerage plan`: what each node would peer with and announce, without a cluster or a socket.

use std::process::ExitCode;

use anyhow::Result;
use peerage_kubernetes::{Snapshot, plan};

use crate::{
    cli::{Format, PlanArgs},
    files,
};

/// Prints the plan, and every fault on standard error.
pub(crate) fn run(arguments: &PlanArgs) -> Result<ExitCode> {
    let mut snapshot = Snapshot::load(&arguments.files);
    let mut faults = Vec::new();
    if let Some(cluster) = &arguments.cluster {
        let cluster = files::read(cluster)?;
        let (nodes, found) = peerage_lab_input::cluster_nodes(&cluster.name, &cluster.text);
        faults.extend(found);
        nodes.into_iter().for_each(|(node, origin)| _ = snapshot.add_node(node, origin));
    }
    let mut plan = plan(&snapshot);
    plan.faults.splice(0..0, faults);
    match arguments.output {
        Format::Text => crate::print(&plan.to_string())?,
        Format::Json => crate::print(&format!("{}\n", serde_json::to_string_pretty(&plan)?))?,
    }
    plan.faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(if plan.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
