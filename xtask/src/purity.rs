//! Core names no clock, socket, thread, file or source of entropy.
//!
//! The compiler proves most of it in the `no-std` step. This one reads the source, because its answer has
//! a line number, and because it also knows what could come in through another crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::context::{Context, Stop};

/// Where core's code is.
const SOURCE: &str = "core/src";

/// What must not stand in core outside of tests.
const FORBIDDEN: &[&str] = &[
    "std::",
    "extern crate std",
    "Instant::now",
    "SystemTime",
    "UNIX_EPOCH",
    "TcpStream",
    "UdpSocket",
    "RandomState",
    "getrandom",
    "thread_rng",
    "tokio",
    "async_std",
    "smol::",
    "async fn",
    "println!",
    "eprintln!",
    "dbg!",
    "static mut",
    "unsafe ",
];

/// What `lib.rs` must say.
const DECLARED: &[&str] = &["#![no_std]", "#![forbid(unsafe_code)]"];

/// Reads core's source.
pub(crate) fn check(context: &Context) -> Result<(), Stop> {
    let folder = context.root.join(SOURCE);
    let mut files = Vec::new();
    collect(&folder, &mut files).map_err(|error| Stop::failed(format!("{}: {error}", folder.display())))?;
    files.sort();
    let mut faults = Vec::new();
    for file in &files {
        let shown = file.strip_prefix(&context.root).unwrap_or(file).display();
        let text = fs::read_to_string(file).map_err(|error| Stop::failed(format!("{shown}: {error}")))?;
        faults.extend(
            search(&text).into_iter().map(|(line, found)| format!("{shown}:{line}: `{}`", found.trim())),
        );
        if file.ends_with("core/src/lib.rs") {
            let missing = DECLARED.iter().filter(|attribute| !text.lines().any(|line| line == **attribute));
            faults.extend(missing.map(|attribute| format!("{shown}: `{attribute}` is missing")));
        }
    }
    println!("{} files", files.len());
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => Err(Stop::failed(format!("{count} things in core that do not belong there"))),
    }
}

/// Every source file that is not one of tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default();
        if name == "tests" || name.to_string_lossy().ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// What a file names that it must not, with line numbers: outside of comments and of items for tests.
fn search(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    let mut skipping: Option<usize> = None;
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if code.trim() == "#[cfg(test)]" {
            skipping.get_or_insert(depth);
            continue;
        }
        if skipping.is_none() {
            found.extend(FORBIDDEN.iter().filter(|word| names(code, word)).map(|word| (number + 1, *word)));
        }
        for octet in code.bytes() {
            match octet {
                b'{' => depth += 1,
                b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        // The item is over where its braces are, or where it has none.
        let over = code.contains('}') || code.trim_end().ends_with(';');
        if over && skipping == Some(depth) {
            skipping = None;
        }
    }
    found
}

/// Whether code has `word` at the start of a word.
fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn what_does_not_belong_is_found_with_its_line() {
        let text = "use core::fmt;\nuse std::fs;\nfn now() { Instant::now() }\n";
        assert_eq!(search(text), [(2, "std::"), (3, "Instant::now")]);
    }

    #[test]
    fn comments_and_tests_may_say_anything() {
        for text in [
            "//! use std::collections::VecDeque;\n",
            "/// Never std::time.\nfn f() {} // std::fs\n",
            "#[cfg(test)]\nextern crate std;\n",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn f() {\n        std::fs::read();\n    }\n}\n",
            "use a_std::b;\n",
        ] {
            assert_eq!(search(text), [], "{text}");
        }
    }

    #[test]
    fn what_follows_a_test_counts_again() {
        for before in ["#[cfg(test)]\nmod tests;\n", "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\n"] {
            assert_eq!(search(&format!("{before}use std::fs;\n")).len(), 1, "{before}");
        }
    }
}
