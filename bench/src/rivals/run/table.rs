//! Figures as a table: medians with their spread, and ratios of medians to BIRD's.

use std::fmt::Write as _;

use super::{daemon::Rival, figures::Figures, rounds::Measured};

/// The middle value, and the smallest and largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None`: there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }

    /// The median, and what it lies between.
    pub(crate) fn show(self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

/// One column.
struct Column {
    title: &'static str,
    digits: usize,
    value: fn(&Figures) -> Option<f64>,
    /// Whether it is compared with BIRD's.
    ratio: bool,
}

const COLUMNS: [Column; 6] = [
    Column { title: "CPU s", digits: 3, value: |it| Some(it.cpu), ratio: true },
    Column { title: "peak MiB", digits: 1, value: |it| Some(it.peak_rss_kib as f64 / 1024.0), ratio: true },
    Column { title: "wall s", digits: 3, value: |it| Some(it.wall), ratio: true },
    Column { title: "p50 ms", digits: 3, value: |it| Some(it.latency?.p50), ratio: true },
    Column { title: "p99 ms", digits: 3, value: |it| Some(it.latency?.p99), ratio: true },
    Column { title: "generator CPU s", digits: 3, value: |it| Some(it.generator_cpu), ratio: false },
];

/// One workload's table, with a heading.
pub(crate) fn show(measured: &Measured) -> String {
    let workload = &measured.workload;
    let mut text = format!("### {}\n\n{}.\n\n", workload.name, upper(workload.about));
    let all = || measured.speakers.iter().flat_map(|(_, figures)| figures);
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|column| all().any(|it| (column.value)(it).is_some())).collect();
    let has_base = measured.speakers.iter().any(|(rival, _)| *rival == Rival::Bird);
    let (mut head, mut rule) = ("| |".to_owned(), "|---|".to_owned());
    for column in &columns {
        let _ = write!(head, " {} |", column.title);
        rule.push_str("--:|");
        if column.ratio && has_base {
            head.push_str(" of BIRD's |");
            rule.push_str("--:|");
        }
    }
    let _ = writeln!(text, "{head}\n{rule}");
    for (rival, figures) in &measured.speakers {
        let _ = write!(text, "| {rival} |");
        for column in &columns {
            let spread = |figures: &[Figures]| Spread::of(figures.iter().filter_map(column.value));
            let own = spread(figures);
            let _ = write!(text, " {} |", own.map_or_else(|| "–".into(), |it| it.show(column.digits)));
            if column.ratio && has_base {
                let base = measured.speakers.iter().find(|(rival, _)| *rival == Rival::Bird);
                let base = base.and_then(|(_, figures)| spread(figures));
                let ratio = own.zip(base).map(|(own, base)| own.median / base.median);
                let _ = write!(text, " {} |", ratio.map_or_else(|| "–".into(), |it| format!("{it:.2}")));
            }
        }
        text.push('\n');
    }
    text
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WORKLOADS;

    #[test]
    fn a_spread_is_in_the_middle_of_its_values() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]).map(|it| it.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_to_bird() {
        let figures = |cpu| Figures {
            wall: 2.0 * cpu,
            cpu,
            peak_rss_kib: 1024,
            generator_cpu: 0.5,
            foreign_cpu: 0.0,
            updates: 1,
            prefixes: 1,
            latency: None,
        };
        let [workload, ..] = WORKLOADS;
        let speakers = vec![
            (Rival::Bird, vec![figures(4.0), figures(2.0), figures(3.0)]),
            (Rival::Tokio, vec![figures(1.5)]),
        ];
        let text = show(&Measured { workload, speakers });
        assert!(text.contains("| BIRD | 3.000 (2.000–4.000) | 1.00 |"), "{text}");
        assert!(text.contains("| Peerage, tokio | 1.500 (1.500–1.500) | 0.50 |"), "{text}");
        assert!(!text.contains("p99"), "{text}");
    }
}
