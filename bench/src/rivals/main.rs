//! What Peerage costs beside BIRD: a load generator, the speakers, and the table of both.
//!
//! `cargo xtask bench rivals` builds and runs it. docs/performance.md says how it measures.
//!
//! ```text
//! main ─▶ run/rounds ─▶ this program again, in namespaces ─▶ run/cell ─▶ run/daemon   the speaker
//!                                                                    └─▶ load        its peers ─▶ table
//! ```

mod load;
mod run;
mod table;
mod workload;

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use peerage_interop::{Kind, install, namespace};

use run::{
    bgpload, cell,
    daemon::Rival,
    machine, page,
    rounds::{self, Setup},
    table as tables, validate,
};
use workload::{WORKLOADS, Workload};

/// Measures Peerage beside BIRD
#[derive(Parser)]
#[command(name = "rivals", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    rounds: Rounds,
}

#[derive(Subcommand)]
enum Command {
    /// One run, within its namespaces
    #[command(hide = true)]
    Cell {
        #[arg(value_parser = workload)]
        workload: Workload,
        rival: Rival,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
struct Rounds {
    /// How often each speaker does each workload
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Only these workloads, by name
    #[arg(long, value_delimiter = ',', value_name = "WORKLOAD", value_parser = workload)]
    only: Vec<Workload>,
    /// Only these speakers
    #[arg(long, value_delimiter = ',', value_name = "SPEAKER", value_enum)]
    against: Vec<Rival>,
    /// Write the figures to docs/performance.md
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct Common {
    /// The `peerage` program
    #[arg(long, value_name = "FILE", default_value = "target/dist/peerage")]
    pub(crate) peerage: PathBuf,
    /// Hold the generator against bgpload, which is this file
    #[arg(long, value_name = "FILE")]
    pub(crate) validate: Option<PathBuf>,
    /// Only see that everything works: 10,000 prefixes, one round
    #[arg(long)]
    pub(crate) smoke: bool,
}

fn workload(name: &str) -> Result<Workload, String> {
    Workload::find(name).ok_or_else(|| {
        let names: Vec<&str> = WORKLOADS.iter().map(|it| it.name).collect();
        format!("the workloads are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Cell { workload, rival, common }) => one(workload, *rival, common),
        None => all(&cli.rounds),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<Missing>() { ExitCode::from(MISSING) } else { ExitCode::FAILURE }
        }
    }
}

/// The exit status where the machine lacks something; `cargo xtask` knows it too.
const MISSING: u8 = 3;

/// What the machine lacks.
#[derive(Debug)]
struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

fn one(workload: &Workload, rival: Rival, common: &Common) -> Result<()> {
    let workload = if common.smoke { workload.smoke() } else { *workload };
    let figures = cell::run(&workload, rival, common)?;
    Ok(serde_json::to_writer(io::stdout(), &figures)?)
}

fn all(options: &Rounds) -> Result<()> {
    let workloads = if options.only.is_empty() { WORKLOADS.to_vec() } else { options.only.clone() };
    let rivals = if options.against.is_empty() { Rival::ALL.to_vec() } else { options.against.clone() };
    let rounds = if options.common.smoke { 1 } else { usize::from(options.rounds) };
    let complete = options.only.is_empty() && options.against.is_empty() && !options.common.smoke;
    if options.write && !complete {
        bail!(
            "docs/performance.md is written only by a run of everything: leave out --only, --against, --smoke"
        );
    }
    if let Some(why) = namespace::unavailable() {
        return Err(Missing(format!("no namespaces here: {why}")).into());
    }
    if rivals.contains(&Rival::Bird) {
        install::install(Kind::Bird.wanted()).map_err(|error| Missing(format!("{error:#}")))?;
    }
    let peerage = rounds::program(&options.common.peerage, "`cargo xtask bench rivals` builds it")?;
    let setup = Setup { peerage, smoke: options.common.smoke };
    let mut page = format!("{}\n{rounds} rounds.\n", machine::describe());
    if let Some(bgpload) = &options.common.validate {
        let bgpload = rounds::program(bgpload, "docs/performance.md says how to build it")?;
        page.push_str(&format!("\n{}", validate::HEAD));
        for workload in workloads.iter().filter(|workload| bgpload::knows(workload)) {
            page.push_str(&validate::rows(&setup, &bgpload, workload, &rivals, rounds)?);
        }
        writeln!(io::stdout(), "\n{page}")?;
    } else {
        for workload in &workloads {
            let measured = rounds::measure(&setup, workload, &rivals, rounds)?;
            if options.common.smoke {
                continue;
            }
            let table = tables::show(&measured);
            // Each as soon as it is there: a run takes long.
            writeln!(io::stdout(), "\n{table}")?;
            page.push('\n');
            page.push_str(&table);
        }
    }
    if options.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md");
        let section = if options.common.validate.is_some() { "generator" } else { "figures" };
        page::write(&path, section, &page)?;
    }
    Ok(())
}
