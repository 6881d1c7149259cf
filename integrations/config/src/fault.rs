//! What is wrong with a file, where, and what would be right.

use std::{fmt, ops::Range};

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is accepted; something in it has no effect or is surely not meant so.
    Notice,
    /// The file is not used.
    Error,
}

/// One finding about one place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fault {
    /// The file as the user named it.
    pub file: String,
    /// Line, from 1. Always there for what [`parse`](crate::parse) finds.
    pub line: Option<usize>,
    /// Column in characters, from 1. Always there for what [`parse`](crate::parse) finds.
    pub column: Option<usize>,
    /// How bad it is.
    pub severity: Severity,
    /// The key, as the file would name it: `neighbor."10.0.0.1".timers.hold`; empty where it is about none.
    pub path: String,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Fault {
    /// An error about a whole file, such as that it cannot be read.
    pub fn error(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            severity: Severity::Error,
            path: String::new(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        if !self.file.is_empty() {
            f.write_str(": ")?;
        }
        if self.severity == Severity::Notice {
            f.write_str("notice: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// From offsets to lines and columns.
pub(crate) struct Lines<'a> {
    text: &'a str,
    /// Where each line is.
    lines: Vec<Range<usize>>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut start = 0;
        let lines = text.split('\n').map(|line| {
            let range = start..start + line.len();
            start = range.end + 1;
            range
        });
        Self { text, lines: lines.collect() }
    }

    /// Line and column of an offset, both from 1. One that is beyond the end is at the end.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|line| line.start <= offset).max(1);
        let start = self.lines.get(line - 1).map_or(0, |line| line.start);
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        // Characters begin at octets that do not continue one.
        let column = before.iter().filter(|octet| **octet & 0xC0 != 0x80).count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let text = "a = 1\né = \"ü\"\n\nb";
        let lines = Lines::new(text);
        let at = |part: &str| lines.position(text.find(part).expect("it is there"));
        assert_eq!(lines.position(0), (1, 1));
        assert_eq!(at("1"), (1, 5));
        assert_eq!(at("é"), (2, 1));
        assert_eq!(at("\"ü"), (2, 5));
        assert_eq!(at("b"), (4, 1));
        assert_eq!(lines.position(text.len()), (4, 2));
        assert_eq!(lines.position(9999), (4, 2));
        assert_eq!(Lines::new("").position(0), (1, 1));
        assert_eq!(Lines::new("\n").position(1), (2, 1));
    }
}
