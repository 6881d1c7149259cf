//! The lab within its namespaces, from the first mount to the last process.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use peerage_kubernetes::Snapshot;
use peerage_lab_input::Lab;
use rustix::mount::{MountFlags, mount};

use super::{
    super::{fabric::Machine, input, progress::Progress, stop::Stop, world},
    agents::Agents,
    build::build,
    control,
    course::Course,
    plan::{Plan, node_file},
    routers::Routers,
};
use crate::{
    cli::LabArgs,
    control::{Answer, Server, lab_socket},
};

/// A lab that runs.
#[derive(Debug)]
pub(super) struct Inside {
    /// What it was made of.
    pub(super) lab: Lab,
    /// Routers and nodes as a packet meets them.
    pub(super) machines: Vec<Machine>,
    /// Its directory.
    pub(super) run: PathBuf,
    /// Who the routers are.
    pub(super) routers: Routers,
    /// The nodes' agents; `None` where the values say that there are none.
    pub(super) agents: Option<Agents>,
    /// The cluster's objects.
    pub(super) cluster: Mutex<Snapshot>,
}

/// Runs the lab; `run` is the run directory, still empty.
pub(super) fn run(arguments: &LabArgs, run: &Path) -> Result<ExitCode> {
    if std::process::id() != 1 {
        bail!("--within is how `peerage lab --netns` starts itself; run that");
    }
    let stop = Stop::watch()?;
    follow(&stop)?;
    // Still the host's /proc: what this process is called there.
    let number = fs::read_link("/proc/self").context("cannot read /proc/self")?;
    let none = None::<&std::ffi::CStr>;
    mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, none)
        .context("cannot mount /proc")?;
    mount("tmpfs", run, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0755"))
        .with_context(|| format!("cannot mount a file system in memory at {}", run.display()))?;

    let Some((lab, faulty)) = input::load(arguments)? else { return Ok(ExitCode::FAILURE) };
    let progress = Arc::new(Progress::start());
    let plan = Plan::of(&lab)?;
    // Before anything is made: a socket in use is said at once.
    let socket = arguments.socket.clone().unwrap_or_else(lab_socket);
    let answering: Arc<Mutex<Option<Arc<Inside>>>> = Arc::default();
    let control = (!arguments.once).then(|| serve(&socket, &answering, &stop)).transpose()?;

    for notice in build(run, &plan)? {
        progress.say(&notice);
    }
    progress.say(&format!(
        "{}: {} network namespaces, {} veths",
        lab.name,
        plan.spaces.len(),
        plan.links.len()
    ));
    let deadline = Instant::now() + arguments.timeout;
    let inside = Arc::new(Inside::start(lab, run, arguments)?);
    progress.say(&format!("{} {} configured", inside.lab.routers.len(), inside.routers.kind()));
    *answering.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::clone(&inside));

    let result = Course { inside: &inside, arguments, deadline, progress: &progress, stop: &stop }.run();
    let converged = result.as_ref().is_ok_and(Vec::is_empty);
    if let (Ok(_), Some(control), false) = (&result, &control, stop.requested()) {
        if let Some(router) = inside.lab.routers.first() {
            let (number, space) = (number.display(), run.join(node_file(&router.name)));
            progress.say(&format!(
                "a shell on {}: nsenter -t {number} -m -p -- nsenter --net={} bash",
                router.name,
                space.display()
            ));
        }
        progress.say(&format!(
            "the lab is up; `peerage show routes` asks it at {}, Ctrl-C ends it",
            control.path().display()
        ));
        stop.wait();
    }
    drop(control);
    if let Some(agents) = &inside.agents {
        agents.stop();
    }
    result?;
    if faulty && converged && arguments.once {
        eprintln!("peerage: converged without the objects that are at fault (see above)");
    }
    // Whatever still runs ends with this process.
    Ok(if (converged && !faulty) || !arguments.once { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Inside {
    fn start(mut lab: Lab, run: &Path, arguments: &LabArgs) -> Result<Self> {
        let machines = world::machines(&lab)?;
        let cluster = std::mem::take(&mut lab.snapshot);
        let routers = Routers::start(&lab, run, arguments)?;
        let agents =
            lab.bgp_enabled.then(|| Agents::start(&lab, &cluster, run, arguments.runtime)).transpose()?;
        Ok(Self { lab, machines, run: run.to_owned(), routers, agents, cluster: Mutex::new(cluster) })
    }

    /// That every process of it lives.
    pub(super) fn check(&self) -> Result<()> {
        self.routers.check()?;
        self.agents.as_ref().map_or(Ok(()), Agents::check)
    }
}

/// The process outside says through standard input that the lab shall end, or that it is gone.
fn follow(stop: &Arc<Stop>) -> Result<()> {
    let stop = Arc::clone(stop);
    let listen = move || {
        for octet in io::stdin().lock().bytes() {
            match octet {
                Ok(_) => stop.request(),
                Err(_) => break,
            }
        }
        // Nobody is there any more whom it could be run for.
        std::process::exit(1);
    };
    thread::Builder::new().name("outside".into()).spawn(listen).context("cannot start a thread")?;
    Ok(())
}

/// Answers at a socket, as soon as there is a lab to ask.
fn serve(socket: &Path, lab: &Arc<Mutex<Option<Arc<Inside>>>>, stop: &Arc<Stop>) -> Result<Server> {
    let (lab, stop) = (Arc::clone(lab), Arc::clone(stop));
    Server::start(socket, move |request| {
        let inside = lab.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        Answer::Once(match inside {
            Some(inside) => control::answer(&inside, &stop, request),
            None => crate::control::Response::failed("the lab is still being built; ask again in a moment"),
        })
    })
}
