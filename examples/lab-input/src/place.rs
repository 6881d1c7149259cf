//! Where something stands in an input, so that a fault can say so.

use peerage_kubernetes::{Fault, Severity};

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file as the user named it.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: Option<usize>,
    /// Column, from 1.
    pub(crate) column: Option<usize>,
    /// The object: a node's name.
    pub(crate) object: Option<String>,
    /// The field's path.
    pub(crate) field: Option<String>,
}

impl Place {
    /// An error here.
    pub(crate) fn error(&self, message: impl Into<String>) -> Fault {
        self.fault(Severity::Error, message)
    }

    /// A notice here.
    pub(crate) fn notice(&self, message: impl Into<String>) -> Fault {
        self.fault(Severity::Notice, message)
    }

    fn fault(&self, severity: Severity, message: impl Into<String>) -> Fault {
        Fault {
            severity,
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            object: self.object.clone(),
            field: self.field.clone(),
            message: message.into(),
        }
    }
}
