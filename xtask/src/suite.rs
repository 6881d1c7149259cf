//! Runs steps one after the other and says how they went.

use std::{process::ExitCode, time::Instant};

use crate::{
    context::{Context, Stop},
    steps::{STEPS, Step},
};

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Runs the steps in `only`, or all of them. Every step runs whatever became of those before it, so that
/// one run shows all there is to repair; with `fail_fast` the first failure is the end.
pub(crate) fn run(context: &Context, only: &[String], fail_fast: bool) -> ExitCode {
    match &context.shared {
        Some(shared) => println!("Conformance data: {}", shared.display()),
        None => {
            loud("../shared is missing and PEERAGE_SHARED is not set: tests on conformance data are left out")
        }
    }
    let mut results = Vec::new();
    for step in STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)) {
        println!("\n==> {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = judge((step.run)(context), context.ci);
        let seconds = start.elapsed().as_secs_f64();
        match &outcome {
            Outcome::Passed => println!("<== {} passed in {seconds:.1} s", step.name),
            Outcome::Failed(why) => println!("<== {} FAILED after {seconds:.1} s: {why}", step.name),
            Outcome::Skipped(what) => loud(&format!("{} left out: {what}", step.name)),
        }
        let failed = matches!(outcome, Outcome::Failed(_));
        results.push((step, outcome, seconds));
        if failed && fail_fast {
            break;
        }
    }
    print!("{}", summary(&results));
    let failed = results.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_)));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// A missing part of the machine is a failure in CI.
fn judge(result: Result<(), Stop>, ci: bool) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(Stop::Missing(what)) if !ci => Outcome::Skipped(what),
        Err(Stop::Missing(why) | Stop::Failed(why)) => Outcome::Failed(why),
    }
}

fn loud(line: &str) {
    println!("\n!!!!!!!! {line} !!!!!!!!");
}

/// A table of the steps, and a plain last line that CI reads.
fn summary(results: &[(&Step, Outcome, f64)]) -> String {
    let mut text = String::from("\n");
    let (mut passed, mut failed, mut skipped, mut total) = (0, 0, 0, 0.0);
    for (step, outcome, seconds) in results {
        let (word, why) = match outcome {
            Outcome::Passed => ("passed", ""),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
            Outcome::Skipped(what) => ("SKIPPED", what.as_str()),
        };
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
        total += seconds;
        let why = why.lines().next().unwrap_or_default();
        let line = format!("{:<10} {word:<8} {seconds:>7.1} s  {why}", step.name);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("{:<10} {:<8} {total:>7.1} s\n\n", "all", ""));
    let skipped = if skipped == 0 { String::new() } else { format!(", {skipped} skipped") };
    text.push_str(&format!("{passed} passed, {failed} failed{skipped}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_fails_only_in_ci() {
        let missing = || Err(Stop::missing("a compiler"));
        assert_eq!(judge(missing(), false), Outcome::Skipped("a compiler".into()));
        assert_eq!(judge(missing(), true), Outcome::Failed("a compiler".into()));
        assert_eq!(judge(Err(Stop::failed("no")), false), Outcome::Failed("no".into()));
    }

    #[test]
    fn the_last_line_counts_the_steps() {
        let [first, second, third, ..] = STEPS else { panic!("three steps") };
        let passed = [(first, Outcome::Passed, 1.0), (second, Outcome::Passed, 2.5)];
        assert!(summary(&passed).ends_with("\n\n2 passed, 0 failed\n"));
        let mut mixed = passed.to_vec();
        mixed.push((third, Outcome::Failed("this\nand that".into()), 0.0));
        mixed.push((third, Outcome::Skipped("no compiler".into()), 0.0));
        let text = summary(&mixed);
        assert!(text.ends_with("\n\n2 passed, 1 failed, 1 skipped\n"), "{text}");
        assert_eq!(text.matches("and that").count(), 0);
    }
}
