//! `peerage lab --netns`: the same files as real routers, nodes and pods in network namespaces. FRR runs as
//! the routers, an agent on each node, and packets go from pod to pod.
//!
//! ```text
//! outside   in the host's namespaces: starts the rest, hands on Ctrl-C, waits     run_dir: what the host sees
//! inside    the first process of new namespaces of processes, mounts and network
//!   plan    Lab -> which namespaces, veths, addresses, routes; data               build: makes them (space)
//!   routers zebra and bgpd (frr), or `peerage router` (peer)                      agents: on the nodes
//!   course  before, after, ping and traceroute (packets)                          control: `peerage show`
//! ```
//!
//! Cleaning up is the kernel's: processes, network namespaces, veths and files in memory all belong to
//! namespaces that end with their first process, which ends with `outside`, even if that is killed.

mod agents;
mod build;
mod control;
mod converge;
mod course;
mod frr;
mod inside;
mod outside;
mod packets;
mod peer;
mod plan;
mod routers;
mod run_dir;
mod space;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::LabArgs;

/// Runs the lab, or the part of it that is within the namespaces.
pub(super) fn run(arguments: &LabArgs) -> Result<ExitCode> {
    match &arguments.within {
        None => outside::run(arguments),
        Some(directory) => inside::run(arguments, directory),
    }
}
