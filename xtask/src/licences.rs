//! Every dependency's licence is one that goes with MIT OR Apache-2.0: what `cargo deny check licenses`
//! does by `deny.toml`, without minutes of compiling cargo-deny.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    context::{Context, Stop},
    spdx,
    steps::APART,
};

/// Licences we accept: permissive ones, without a condition on what links them. `deny.toml` says the same.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Licences accepted of one crate alone.
const EXCEPTIONS: &[(&str, &str)] = &[
    // As permissive as BSD-3-Clause; LLVM's fuzzer in source, never part of what is shipped.
    ("libfuzzer-sys", "NCSA"),
];

/// Checks the packages of every workspace here, for all platforms.
pub(crate) fn check(context: &Context) -> Result<(), Stop> {
    let (mut faults, mut checked) = (BTreeSet::new(), BTreeSet::new());
    for manifest in ["Cargo.toml"].iter().chain(&APART) {
        let arguments = ["metadata", "--format-version", "1", "--all-features", "--manifest-path", manifest];
        let text = context.read(&mut context.cargo(arguments))?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|error| Stop::failed(format!("cargo metadata of {manifest}: {error}")))?;
        let packages = metadata["packages"].as_array().ok_or_else(|| Stop::failed("no packages"))?;
        // Packages without a source are ours.
        for package in packages.iter().filter(|package| !package["source"].is_null()) {
            let text = |key: &str| package[key].as_str().unwrap_or_default();
            let (name, version) = (text("name"), text("version"));
            checked.insert(format!("{name} {version}"));
            if let Err(fault) = judge(name, package["license"].as_str()) {
                faults.insert(format!("{name} {version}: {fault}"));
            }
        }
    }
    println!("{} packages", checked.len());
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => Err(Stop::failed(format!("{count} packages have no licence that we accept"))),
    }
}

fn judge(name: &str, licence: Option<&str>) -> Result<(), String> {
    let expression = licence.ok_or("says no licence")?;
    let accept = |licence: &str| ALLOWED.contains(&licence) || EXCEPTIONS.contains(&(name, licence));
    match spdx::allowed(expression, &accept) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("`{expression}` is not among the licences of xtask/src/licences.rs")),
        Err(fault) => Err(format!("`{expression}` is no licence expression: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_needs_one_licence_that_we_accept() {
        assert_eq!(judge("a", Some("MIT OR GPL-3.0-only")), Ok(()));
        for licence in [None, Some("GPL-3.0-only"), Some("MIT OR")] {
            assert!(judge("a", licence).is_err(), "{licence:?}");
        }
    }

    #[test]
    fn an_exception_is_for_one_crate() {
        let licence = Some("(MIT OR Apache-2.0) AND NCSA");
        assert_eq!(judge("libfuzzer-sys", licence), Ok(()));
        assert!(judge("another", licence).is_err());
    }

    #[test]
    fn deny_toml_says_the_same() {
        let text = include_str!("../../deny.toml");
        let (_, list) = text.split_once("\nallow = [").expect("a list");
        let (list, _) = list.split_once(']').expect("its end");
        let listed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        assert_eq!(listed, ALLOWED);
        for (name, licence) in EXCEPTIONS {
            assert!(text.contains(&format!("{{ crate = \"{name}\", allow = [\"{licence}\"] }}")), "{name}");
        }
    }
}
