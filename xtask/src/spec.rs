//! SPEC.md names files and tests that are there.
//!
//! Whether a test would fail without what its row promises is for a reader to judge; that it exists is not.

use std::fs;

use crate::context::{Context, Stop};

const SPEC: &str = "SPEC.md";

/// Reads SPEC.md and looks for everything in backquotes that is a path, or a path and a test.
pub(crate) fn check(context: &Context) -> Result<(), Stop> {
    let text = fs::read_to_string(context.root.join(SPEC))
        .map_err(|error| Stop::failed(format!("{SPEC}: {error}")))?;
    let (mut named, mut faults) = (0, Vec::new());
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.iter().any(|cell| cell.starts_with("implemented")) && !line.contains(".rs::") {
            faults.push(format!("{SPEC}:{}: a row that says implemented names no test", number + 1));
        }
        // Every second piece between backquotes is quoted.
        for quoted in line.split('`').skip(1).step_by(2) {
            let (path, test) = quoted.split_once("::").unwrap_or((quoted, ""));
            if !path.ends_with(".rs") {
                continue;
            }
            named += 1;
            let place = format!("{SPEC}:{}", number + 1);
            match fs::read_to_string(context.root.join(path)) {
                Err(error) => faults.push(format!("{place}: {path}: {error}")),
                Ok(source) if !test.is_empty() && !source.contains(&format!("fn {test}(")) => {
                    faults.push(format!("{place}: {path} has no test {test}"));
                }
                Ok(_) => {}
            }
        }
    }
    println!("{named} files and tests named");
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 if named > 0 => Ok(()),
        0 => Err(Stop::failed(format!("{SPEC} names no test at all"))),
        count => Err(Stop::failed(format!("{count} things in {SPEC} that are not so"))),
    }
}
