//! The `peerage` command: the lab, the router, the agent, their control, the plan.
//!
//! Only the beginning and the end are here: the command line goes in, an exit status comes out. 0: done;
//! 1: not done, standard error says why; 2: wrong usage.

mod agent;
mod cli;
mod control;
mod daemon;
mod files;
mod instances;
mod lab;
mod node;
mod plan;
mod router;
mod show;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Router(arguments) => router::run(&arguments),
        Command::Show(arguments) => control::show(arguments),
        Command::Monitor(arguments) => control::monitor(arguments),
        Command::Clear(arguments) => control::clear(arguments),
        Command::Apply(arguments) => control::change(arguments, false),
        Command::Delete(arguments) => control::change(arguments, true),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Version => {
            print(&format!("peerage {}\n", env!("CARGO_PKG_VERSION"))).map(|()| ExitCode::SUCCESS)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("peerage: {error:#}");
        ExitCode::FAILURE
    })
}

/// Writes to standard output. A reader that has gone away (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}
