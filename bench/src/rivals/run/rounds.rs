//! All runs, one after the other, speakers in turn.

use std::{
    env, fs,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_interop::namespace;

use super::{daemon::Rival, figures::Figures};
use crate::workload::Workload;

/// When a run is given up.
const LIMIT: Duration = Duration::from_secs(600);

/// How runs are made.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The `peerage` program.
    pub(crate) peerage: PathBuf,
    /// Whether only to see that everything works.
    pub(crate) smoke: bool,
}

/// The figures of one workload, by speaker, in the order of the rounds.
pub(crate) struct Measured {
    pub(crate) workload: Workload,
    pub(crate) speakers: Vec<(Rival, Vec<Figures>)>,
}

/// Measures one workload: in every round each speaker once, and each first in turn.
pub(crate) fn measure(
    setup: &Setup,
    workload: &Workload,
    rivals: &[Rival],
    rounds: usize,
) -> Result<Measured> {
    let mut speakers: Vec<(Rival, Vec<Figures>)> = rivals.iter().map(|&it| (it, Vec::new())).collect();
    for round in 0..rounds {
        for turn in 0..rivals.len() {
            let (rival, figures) = &mut speakers[(round + turn) % rivals.len()];
            let run = run_once(setup, None, workload, *rival, (round + 1, rounds))?;
            figures.push(run);
        }
    }
    Ok(Measured { workload: *workload, speakers })
}

/// One run, and a line of progress. `with`: another generator than ours.
pub(crate) fn run_once(
    setup: &Setup,
    with: Option<&Path>,
    workload: &Workload,
    rival: Rival,
    (round, rounds): (usize, usize),
) -> Result<Figures> {
    let run = run(setup, with, workload, rival)
        .with_context(|| format!("{} with {rival}, round {round}", workload.name))?;
    eprintln!(
        "{:<17} {round:>2}/{rounds}  {rival:<14}  CPU {:7.3} s  wall {:7.3} s  {:6.1} MiB  {} {:.3} s, others {:.2} s",
        workload.name,
        run.cpu,
        run.wall,
        run.peak_rss_kib as f64 / 1024.0,
        if with.is_some() { "bgpload" } else { "generator" },
        run.generator_cpu,
        run.foreign_cpu,
    );
    Ok(run)
}

/// This program again, in namespaces that end with it.
fn run(setup: &Setup, with: Option<&Path>, workload: &Workload, rival: Rival) -> Result<Figures> {
    let (mut figures, mut log) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = namespace::within(&env::current_exe()?);
    command.args(["cell", workload.name, rival.id(), "--peerage"]).arg(&setup.peerage);
    if setup.smoke {
        command.arg("--smoke");
    }
    if let Some(bgpload) = with {
        command.arg("--validate").arg(bgpload);
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(figures.try_clone()?).stderr(log.try_clone()?).spawn()?;
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            // Everything in its namespaces ends with it.
            child.kill()?;
            child.wait()?;
            bail!("not done after {LIMIT:?}\n{}", text(&mut log)?);
        }
        thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        let text = text(&mut log)?;
        bail!("{}", text.trim().trim_start_matches("error: "));
    }
    serde_json::from_str(&text(&mut figures)?).context("figures of a run")
}

fn text(file: &mut fs::File) -> Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a program is there, with the remedy where it is not.
pub(crate) fn program(path: &Path, remedy: &str) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("{}: {remedy}", path.display()))
}
