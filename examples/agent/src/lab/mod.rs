//! `peerage lab`: routers and Kubernetes nodes of the given files as one process of speakers with real
//! TCP sessions on loopback.
//!
//! ```text
//! files -> Lab (peerage_lab_input) -> World: fabric (addresses -> sockets), a speaker for each router
//!          first without policies, then with them                            and each node's instances
//! ```

mod control;
mod converge;
mod course;
mod expect;
mod fabric;
mod input;
#[cfg(target_os = "linux")]
mod netns;
mod progress;
mod stop;
mod trace;
mod world;

use std::{process::ExitCode, sync::Arc, time::Instant};

use anyhow::Result;
use course::Stage;
use peerage_kubernetes::plan;
use progress::Progress;
use serde_json::{Value, json};
use stop::Stop;
use world::World;

use crate::{
    cli::LabArgs,
    control::{Answer, Server, lab_socket},
};

/// Runs the lab.
pub(crate) fn run(arguments: &LabArgs) -> Result<ExitCode> {
    if arguments.netns {
        #[cfg(target_os = "linux")]
        return netns::run(arguments);
        #[cfg(not(target_os = "linux"))]
        anyhow::bail!("network namespaces are Linux's: run it there, or `peerage lab`, which runs anywhere");
    }
    let Some((mut lab, faulty)) = input::load(arguments)? else { return Ok(ExitCode::FAILURE) };
    let progress = Arc::new(Progress::start());
    let stop = Stop::watch()?;
    let cluster = std::mem::take(&mut lab.snapshot);
    let world = World::start(lab, cluster, arguments.runtime, arguments.loopback, Arc::clone(&progress))?;
    let world = Arc::new(world);
    let mut control = None;
    if !arguments.once {
        // Before the course: a socket in use is said at once.
        let socket = arguments.socket.clone().unwrap_or_else(lab_socket);
        let answering = Arc::clone(&world);
        let stop = Arc::clone(&stop);
        control = Some(Server::start(&socket, move |request| {
            Answer::Once(control::answer(&answering, &stop, request))
        })?);
    }
    let deadline = Instant::now() + arguments.timeout;
    let course = Course { world: &world, arguments, deadline, progress: &progress, stop: &stop };
    let result = course.run();
    let converged = result.as_ref().is_ok_and(Vec::is_empty);
    if let (Ok(_), Some(control), false) = (&result, &control, stop.requested()) {
        progress.say(&format!(
            "the lab is up; `peerage show routes` asks it at {}, Ctrl-C ends it",
            control.path().display()
        ));
        stop.wait();
    }
    drop(control);
    if arguments.once {
        // Sessions that end because the lab does are no news.
        progress.hush();
    }
    world.shutdown();
    result?;
    if faulty && converged && arguments.once {
        eprintln!("peerage: converged without the objects that are at fault (see above)");
    }
    Ok(if (converged && !faulty) || !arguments.once { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Without policies, then with them.
struct Course<'a> {
    world: &'a Arc<World>,
    arguments: &'a LabArgs,
    /// Both stages together may take until then.
    deadline: Instant,
    progress: &'a Progress,
    stop: &'a Stop,
}

impl Course<'_> {
    /// Shows both stages; what was missing in the end is returned.
    fn run(&self) -> Result<Vec<String>> {
        let lab = &self.world.lab;
        self.progress.say(&format!(
            "{}: {} routers start, {} nodes wait for their policies",
            lab.name,
            lab.routers.len(),
            lab.nodes.len()
        ));
        let (before, missing) = self.stage("the fabric")?;
        if !missing.is_empty() {
            self.finish(&before, None)?;
            return Ok(missing);
        }
        if !self.arguments.json {
            crate::print(&before.text("Before: the fabric is up, no policy is applied"))?;
        }
        if !lab.bgp_enabled {
            self.progress.say("bgpControlPlane.enabled is false: no agent runs");
        }
        // What is to be said about the objects was said when they were read.
        let (changes, faults) = self.world.apply();
        let known = plan(&self.world.cluster()).faults;
        for fault in faults.iter().filter(|fault| !known.contains(fault)) {
            self.progress.say(&fault.to_string());
        }
        self.progress.say(&format!("policies applied: {} BGP instances on nodes", changes.len()));
        let (after, missing) = self.stage("the policies")?;
        self.finish(&before, Some(&after))?;
        Ok(missing)
    }

    /// Waits for a stage and says how it went.
    fn stage(&self, what: &str) -> Result<(Stage, Vec<String>)> {
        let missing = converge::wait(self.world, self.deadline, self.stop).err().unwrap_or_default();
        if missing.is_empty() {
            self.progress.say(&format!("converged with {what}"));
        } else {
            let when = if self.stop.requested() {
                "when it was interrupted".into()
            } else {
                format!("within {:?}", self.arguments.timeout)
            };
            eprintln!("peerage: not converged with {what} {when}; missing:");
            missing.iter().for_each(|missing| eprintln!("  {missing}"));
        }
        Ok((Stage::take(self.world), missing))
    }

    /// Prints what is still to print.
    fn finish(&self, before: &Stage, after: Option<&Stage>) -> Result<()> {
        if self.arguments.json {
            let after = after.map_or(Value::Null, Stage::json);
            let document = json!({ "before": before.json(), "after": after });
            return crate::print(&format!("{}\n", serde_json::to_string_pretty(&document)?));
        }
        match after {
            None => crate::print(&before.text("Before, not converged: no policy is applied")),
            Some(after) => {
                crate::print(&after.text("After: the policies are applied"))?;
                crate::print(&course::trace_text(self.world).unwrap_or_default())
            }
        }
    }
}
