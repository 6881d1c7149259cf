//! The project's own commands: `cargo xtask test` runs everything that has to hold before a change lands.
//!
//! It needs the Rust toolchain with rustfmt and clippy, crates.io, and a C++ compiler for the fuzz targets;
//! on a Debian machine it installs the last one itself where it may. Nothing here is a shell script.

mod bench;
mod context;
mod fuzz;
mod licences;
mod purity;
mod spdx;
mod spec;
mod steps;
mod suite;

use std::{env, process::ExitCode};

use context::{Context, Stop};
use steps::STEPS;

const USAGE: &str = "\
The project's own commands.

Usage: cargo xtask test [--only STEP[,STEP]] [--fail-fast]
       cargo xtask test --list
       cargo xtask bench rivals [FLAG]...

  --only STEP[,STEP]  run these steps; may be repeated
  --fail-fast         stop at the first step that fails (otherwise all steps run)
  --list              name the steps and what they do
  bench rivals        what Peerage costs beside BIRD: docs/performance.md; --help lists its flags
  -h, --help          this text

Environment:
  PEERAGE_SHARED        the conformance data; ../shared where it is there
  PEERAGE_FUZZ_SECONDS  how long each fuzz target runs (10)
  CI                    a part that is missing on the machine is a failure, not a skipped step
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    List,
    Test { only: Vec<String>, fail_fast: bool },
    Bench { flags: Vec<String> },
}

fn main() -> ExitCode {
    match parse(env::args().skip(1)) {
        Ok(Command::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Command::List) => {
            for step in STEPS {
                println!("{:<10} {}", step.name, step.about);
            }
            ExitCode::SUCCESS
        }
        Ok(Command::Test { only, fail_fast }) => match Context::new() {
            Ok(context) => suite::run(&context, &only, fail_fast),
            Err(error) => fault(&error),
        },
        Ok(Command::Bench { flags }) => match Context::new() {
            Ok(context) => match bench::rivals(&context, &flags) {
                Ok(()) => ExitCode::SUCCESS,
                Err(Stop::Failed(why) | Stop::Missing(why)) => fault(&why),
            },
            Err(error) => fault(&error),
        },
        Err(error) => fault(&error),
    }
}

fn fault(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(2)
}

fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    match arguments.next().as_deref() {
        Some("test") => {}
        Some("bench") => {
            return match arguments.next().as_deref() {
                Some("rivals") => Ok(Command::Bench { flags: arguments.collect() }),
                _ => Err("there is one benchmark here: `cargo xtask bench rivals`".to_owned()),
            };
        }
        None | Some("-h" | "--help" | "help") => return Ok(Command::Help),
        Some(other) => {
            return Err(format!(
                "no command `{other}`: there are `cargo xtask test` and `cargo xtask bench`"
            ));
        }
    }
    let (mut only, mut fail_fast) = (Vec::new(), false);
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        match flag {
            "-h" | "--help" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--fail-fast" => fail_fast = true,
            "--only" => {
                let value = value.or_else(|| arguments.next());
                let value = value.ok_or("--only needs the name of a step: see `cargo xtask test --list`")?;
                only.extend(value.split(',').map(|name| name.trim().to_owned()));
            }
            _ => return Err(format!("no flag `{argument}`: see `cargo xtask --help`")),
        }
    }
    match only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        Some(unknown) => {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            Err(format!("no step `{unknown}`: the steps are {}", names.join(", ")))
        }
        None => Ok(Command::Test { only, fail_fast }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_says_what_to_run() {
        assert_eq!(parsed(""), Ok(Command::Help));
        assert_eq!(parsed("test --list"), Ok(Command::List));
        assert_eq!(parsed("test"), Ok(Command::Test { only: Vec::new(), fail_fast: false }));
        let flags = ["--rounds", "3"].map(str::to_owned).to_vec();
        assert_eq!(parsed("bench rivals --rounds 3"), Ok(Command::Bench { flags }));
        let only = ["format", "clippy", "docs"].map(str::to_owned).to_vec();
        assert_eq!(
            parsed("test --only format,clippy --only=docs --fail-fast"),
            Ok(Command::Test { only, fail_fast: true })
        );
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence_with_the_remedy() {
        for (line, part) in [
            ("tset", "cargo xtask test"),
            ("test --only", "--list"),
            ("bench", "cargo xtask bench rivals"),
            ("bench rival", "cargo xtask bench rivals"),
            ("test --only fromat", "format"),
            ("test --fast", "--help"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }
}
