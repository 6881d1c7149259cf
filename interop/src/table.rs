//! `docs/interop.md`: what each behaviour is, and which daemon does it.

use std::fmt::Write as _;

use crate::{Behaviour, Kind};

const HEAD: &str = "\
# Interoperability

Peerage against real BGP daemons, as `cargo xtask test --only interop` runs them: each cell is a process in
network namespaces of its own. This page is written by the run
(`PEERAGE_INTEROP_WRITE=1 cargo xtask test --only interop`) and only where every cell passed; a run fails
where behaviours, daemons or reasons differ from this page. Versions are those of the last run that wrote it.
";

/// The page. `versions`: of each daemon, where it is known.
pub(crate) fn page(behaviours: &[Behaviour], versions: impl Fn(Kind) -> Option<String>) -> String {
    let mut text = format!("{HEAD}\n| |");
    for kind in Kind::ALL {
        let version = versions(kind).unwrap_or_else(|| "?".into());
        let _ = write!(text, " {kind} {version} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(Kind::ALL.len()));
    let mut reasons: Vec<&str> = Vec::new();
    for behaviour in behaviours {
        let _ = write!(
            text,
            "\n| {} ([`{}`](../interop/tests/it/{}.rs)) |",
            behaviour.about,
            behaviour.name,
            file(behaviour)
        );
        for kind in Kind::ALL {
            match (behaviour.cannot)(kind) {
                None => text.push_str(" pass |"),
                Some(reason) => {
                    let number = reasons.iter().position(|it| *it == reason).unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    let _ = write!(text, " no ({}) |", number + 1);
                }
            }
        }
    }
    text.push('\n');
    if !reasons.is_empty() {
        text.push_str("\nWhat a daemon cannot do, and why:\n\n");
        for (index, reason) in reasons.iter().enumerate() {
            let _ = writeln!(text, "{}. {reason}", index + 1);
        }
    }
    text
}

/// Whether two pages are the same but for the versions.
pub(crate) fn same_shape(a: &str, b: &str) -> bool {
    let plain = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                if !line.starts_with("| |") {
                    return line.to_owned();
                }
                line.split('|')
                    .map(|cell| cell.split_whitespace().next().unwrap_or_default())
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect()
    };
    plain(a) == plain(b)
}

fn file(behaviour: &Behaviour) -> String {
    behaviour.name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behaviour(cannot: fn(Kind) -> Option<&'static str>) -> Behaviour {
        Behaviour {
            name: "some-thing",
            about: "Something",
            heavy: false,
            root: false,
            cannot,
            run: |_| Ok(()),
        }
    }

    #[test]
    fn versions_may_differ_and_nothing_else() {
        let can = [behaviour(crate::all_can)];
        let a = page(&can, |_| Some("1.2".into()));
        assert!(a.contains("| | FRR 1.2 | BIRD 1.2 |"), "{a}");
        assert!(
            a.contains("| Something ([`some-thing`](../interop/tests/it/some_thing.rs)) | pass |"),
            "{a}"
        );
        assert!(same_shape(&a, &page(&can, |_| Some("1.3".into()))));
        let cannot = [behaviour(|kind| (kind == Kind::Bird).then_some("Not its business."))];
        let b = page(&cannot, |_| Some("1.2".into()));
        assert!(b.contains("| pass | no (1) | pass |") && b.contains("\n1. Not its business.\n"), "{b}");
        assert!(!same_shape(&a, &b));
    }
}
