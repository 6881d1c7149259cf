//! Our generator against another one: the same speakers, the same workloads, in turn.

use std::{fmt::Write as _, path::Path};

use anyhow::Result;

use super::{
    daemon::Rival,
    figures::Figures,
    rounds::{Setup, run_once},
    table::Spread,
};
use crate::workload::Workload;

/// The table's head.
pub(crate) const HEAD: &str = "\
| workload | speaker | CPU s | with bgpload | ratio | wall s | with bgpload | ratio |
|---|---|--:|--:|--:|--:|--:|--:|
";

/// One workload with both generators: a row for each speaker.
pub(crate) fn rows(
    setup: &Setup,
    bgpload: &Path,
    workload: &Workload,
    rivals: &[Rival],
    rounds: usize,
) -> Result<String> {
    let mut text = String::new();
    for rival in rivals {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            ours.push(run_once(setup, None, workload, *rival, (round, rounds))?);
            theirs.push(run_once(setup, Some(bgpload), workload, *rival, (round, rounds))?);
        }
        let _ = write!(text, "| {} | {rival} |", workload.name);
        for value in [(|it| it.cpu) as fn(&Figures) -> f64, |it| it.wall] {
            let spread = |figures: &[Figures]| Spread::of(figures.iter().map(value));
            if let (Some(ours), Some(theirs)) = (spread(&ours), spread(&theirs)) {
                let ratio = ours.median / theirs.median;
                let _ = write!(text, " {} | {} | {ratio:.2} |", ours.show(3), theirs.show(3));
            }
        }
        text.push('\n');
    }
    Ok(text)
}
