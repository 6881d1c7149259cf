//! What is wrong now, said when it begins and when it ends, and not in between.

use std::collections::{BTreeSet, HashSet};

use peerage_config::LogLevel;
use peerage_kubernetes::{Fault, Severity};

/// Lines about one change; the rest is counted.
const MAX_LINES: usize = 50;

/// What is wrong now.
#[derive(Debug, Default)]
pub(super) struct Faults {
    current: Vec<Fault>,
}

impl Faults {
    /// What is wrong, in the order of the files.
    pub(super) fn current(&self) -> &[Fault] {
        &self.current
    }

    /// Other faults from now on, `files` being those that there are: what is to be said about that.
    pub(super) fn replace(
        &mut self,
        faults: Vec<Fault>,
        files: &BTreeSet<String>,
    ) -> Vec<(LogLevel, String)> {
        let mut seen = HashSet::new();
        let faults: Vec<Fault> = faults.into_iter().filter(|fault| seen.insert(fault.clone())).collect();
        let before: HashSet<&Fault> = self.current.iter().collect();
        let mut lines: Vec<(LogLevel, String)> =
            faults.iter().filter(|fault| !before.contains(fault)).map(line).collect();
        let is_error = |fault: &&Fault| fault.severity == Severity::Error;
        let faulty: HashSet<&str> = faults.iter().filter(is_error).map(|fault| fault.file.as_str()).collect();
        let mut told = HashSet::new();
        for fault in self.current.iter().filter(is_error).filter(|fault| !seen.contains(*fault)) {
            let file = fault.file.as_str();
            if file.is_empty() {
                lines.push((LogLevel::Info, format!("no longer: {fault}")));
            } else if !faulty.contains(file) && told.insert(file) {
                let how = if files.contains(file) { "good again" } else { "gone, and its faults with it" };
                lines.push((LogLevel::Info, format!("{file}: {how}")));
            }
        }
        if lines.len() > MAX_LINES {
            let more = lines.len() - MAX_LINES;
            lines.truncate(MAX_LINES);
            lines.push((LogLevel::Warn, format!("and {more} more; `peerage show faults` has all there are")));
        }
        self.current = faults;
        lines
    }
}

/// As the log has it, where the level says how bad it is.
fn line(fault: &Fault) -> (LogLevel, String) {
    match fault.severity {
        Severity::Error => (LogLevel::Error, fault.to_string()),
        Severity::Notice => (LogLevel::Warn, fault.to_string().replacen("notice: ", "", 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(file: &str, message: &str) -> Fault {
        Fault::error(file, message)
    }

    #[test]
    fn faults_are_said_when_they_come_and_when_they_go() {
        let mut book = Faults::default();
        let files = BTreeSet::from(["a".to_owned()]);
        // (the faults now, what is said)
        for (now, said) in [
            (vec![], vec![]),
            (vec![fault("a", "x"), fault("b", "y")], vec!["a: x", "b: y"]),
            (vec![fault("a", "x"), fault("b", "y"), fault("b", "y")], vec![]),
            (vec![fault("a", "z"), fault("b", "y")], vec!["a: z"]),
            (vec![fault("b", "y")], vec!["a: good again"]),
            (vec![], vec!["b: gone, and its faults with it"]),
            (vec![fault("", "no Node")], vec!["no Node"]),
            (vec![], vec!["no longer: no Node"]),
            (vec![Fault { severity: Severity::Notice, ..fault("a", "n") }], vec!["a: n"]),
            (vec![], vec![]),
        ] {
            let lines = book.replace(now, &files);
            assert_eq!(lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), said);
        }
    }

    #[test]
    fn many_are_counted() {
        let mut book = Faults::default();
        let faults = (0..500).map(|number| fault("a", &number.to_string())).collect();
        let lines = book.replace(faults, &BTreeSet::new());
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert!(lines.last().unwrap().1.starts_with("and 450 more"), "{lines:?}");
        assert_eq!(book.current().len(), 500);
    }
}
