//! Where objects come from, so that a fault can name the place.

use std::sync::Arc;

use crate::{Fault, Severity, schema::Problem, yaml::Document};

/// Where an object comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    file: String,
    document: Option<Arc<Document>>,
    path: String,
}

impl Origin {
    /// From code, or from anything else without lines; the name stands where a file's name would.
    pub fn named(name: impl Into<String>) -> Self {
        Self { file: name.into(), document: None, path: String::new() }
    }

    /// The value at a path of a document; an empty path is the whole of it.
    pub fn document(document: Arc<Document>, path: impl Into<String>) -> Self {
        Self { file: document.file.clone(), document: Some(document), path: path.into() }
    }

    /// The file as the user named it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line and column of one of the object's fields, or of the nearest thing above it.
    pub fn position(&self, field: &str) -> Option<(usize, usize)> {
        let document = self.document.as_deref()?;
        let path = match (self.path.as_str(), field) {
            (path, "") => path.to_owned(),
            ("", field) => field.to_owned(),
            (path, field) => format!("{path}.{field}"),
        };
        document.position(&path)
    }

    /// A finding about one of the object's fields.
    pub fn fault(&self, severity: Severity, object: &str, field: &str, message: impl Into<String>) -> Fault {
        let position = self.position(field);
        Fault {
            severity,
            file: self.file.clone(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            object: Some(object.to_owned()),
            field: Some(field).filter(|field| !field.is_empty()).map(str::to_owned),
            message: message.into(),
        }
    }

    pub(crate) fn faults(&self, object: &str, problems: Vec<Problem>) -> impl Iterator<Item = Fault> {
        problems
            .into_iter()
            .map(move |problem| self.fault(problem.severity, object, &problem.path, problem.message))
    }
}

/// An object that may be used, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// The object.
    pub object: T,
    /// Where it comes from.
    pub origin: Origin,
}
