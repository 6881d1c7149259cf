//! What is wrong with an input, where, and what would be right.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The input is accepted; something in it has no effect (yet).
    Notice,
    /// The object (or the file, where there is no object) is not used.
    Error,
}

/// One finding about one place in one input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// The file as the user named it; empty where it is about no file.
    pub file: String,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Column, from 1.
    pub column: Option<usize>,
    /// The object: `CiliumBGPPeeringPolicy/rack0`.
    pub object: Option<String>,
    /// The field: `spec.virtualRouters[0].neighbors[1].peerAddress`.
    pub field: Option<String>,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl Fault {
    /// An error about a whole file.
    pub fn error(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.into(),
            line: None,
            column: None,
            object: None,
            field: None,
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
        for part in [&self.object, &self.field].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)
    }
}
