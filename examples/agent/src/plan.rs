//! `peerage plan`: what each node would peer with and announce, without a cluster or a socket.

use std::process::ExitCode;

use anyhow::Result;
use peerage_kubernetes::{Snapshot, plan_with};

use crate::cli::{Format, PlanArgs};

/// Prints the plan, and every fault on standard error.
pub(crate) fn run(arguments: &PlanArgs) -> Result<ExitCode> {
    let mut snapshot = Snapshot::load(&arguments.files);
    let mut faults = Vec::new();
    if let Some(cluster) = &arguments.cluster {
        let (nodes, found) = peerage_lab_input::cluster(cluster, &snapshot);
        faults.extend(found);
        snapshot.apply(nodes);
    }
    let mut plan = plan_with(&snapshot, arguments.compile.options());
    plan.faults.splice(0..0, faults);
    match arguments.output {
        Format::Text => crate::print(&plan.to_string())?,
        Format::Json => crate::print(&format!("{}\n", serde_json::to_string_pretty(&plan)?))?,
    }
    plan.faults.iter().for_each(|fault| eprintln!("{fault}"));
    Ok(if plan.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
