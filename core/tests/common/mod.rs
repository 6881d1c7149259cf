//! What the tests on real data share.
#![allow(dead_code, reason = "every test binary uses its own part")]

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

pub(crate) mod mrt;

use std::path::PathBuf;

/// The folder of conformance data: `PEERAGE_SHARED`, or the one beside the workspace. Where it is missing
/// there is nothing to test with, which is loud on a desk and an error in CI.
pub(crate) fn shared(part: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PEERAGE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let folder = root.join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing", folder.display());
    loudly!("SKIPPED LOUDLY: {} is missing, set PEERAGE_SHARED", folder.display());
    None
}

/// `"00ff"` as octets.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// Octets as `"00ff"`.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
