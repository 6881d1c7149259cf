//! Another generator in the place of ours, to hold ours against: `bgpload`, which shares no code with it.
//!
//! It counts prefixes and does not look at attributes; it knows IPv4 only, and one address of the speaker.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{
    daemon::Daemon,
    figures::{Figures, Latency},
};
use crate::{
    table::Version,
    workload::{Kind, Workload},
};

/// Whether it has this workload.
pub(crate) fn knows(workload: &Workload) -> bool {
    workload.version == Version::V4 && !workload.own_addresses
}

/// Lets it do a workload with a speaker that has just been started.
pub(crate) fn run(program: &Path, workload: &Workload, daemon: &Daemon) -> Result<Figures> {
    let local = workload.senders().first().context("a sender")?.local;
    let (kind, phase) = match workload.kind {
        Kind::Table => ("table", "converge"),
        Kind::Withdraw => ("flap", "flap"),
        Kind::Churn { .. } => ("churn", "churn"),
    };
    let mut command = Command::new(program);
    command.args(["load", kind, "--dut", &local.to_string(), "--quiet", "1"]);
    for (flag, value) in [
        ("--senders", usize::from(workload.senders)),
        ("--receivers", usize::from(workload.receivers)),
        ("--prefixes", workload.prefixes),
        ("--pids", daemon.pid() as usize),
    ] {
        command.args([flag, &value.to_string()]);
    }
    if let Kind::Churn { rate, seconds } = workload.kind {
        command.args(["--rate", &rate.to_string(), "--duration", &seconds.to_string()]);
    }
    let output = command.output().with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .with_context(|| format!("bgpload: {}", String::from_utf8_lossy(&output.stderr)))?;
    if report["status"] != "ok" {
        bail!("bgpload: {}", report["status"]);
    }
    let number = |key: &str| report[key].as_f64().with_context(|| format!("bgpload: no {key}"));
    // Until the last best path has come, as ours: its own figure ends at the last first path.
    let wall = if phase == "churn" { "churn_s".to_owned() } else { format!("{phase}_last_s") };
    let latency = match workload.kind {
        Kind::Churn { .. } => Some(Latency { p50: number("churn_p50_ms")?, p99: number("churn_p99_ms")? }),
        Kind::Table | Kind::Withdraw => None,
    };
    // Its churn has no memory figure; the peak is that of the table before it.
    let rss =
        if phase == "churn" { "converge_peak_rss_kib".to_owned() } else { format!("{phase}_peak_rss_kib") };
    Ok(Figures {
        wall: number(&wall)?,
        cpu: number(&format!("{phase}_cpu_s"))?,
        peak_rss_kib: number(&rss)? as u64,
        // Of its whole life, the making of tables included.
        generator_cpu: number("generator_cpu_s")?,
        foreign_cpu: 0.0,
        updates: number("rx_updates")? as u64,
        prefixes: number("rx_announced")? as u64,
        latency,
    })
}
