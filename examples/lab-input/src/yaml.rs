//! Helpers for walking a YAML document: typed values, each with the fault that names its place.

use peerage_kubernetes::{Fault, Severity, yaml::Document};
use serde_json::Value;

use crate::place::Place;

/// The path of a member.
pub(crate) fn member(path: &str, key: &str) -> String {
    match (path, key.contains(['.', '['])) {
        (_, true) => format!("{path}[{key}]"),
        ("", false) => key.to_owned(),
        (_, false) => format!("{path}.{key}"),
    }
}

/// The path of an item.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

/// A place in a document.
pub(crate) fn place(document: &Document, path: &str) -> Place {
    let position = document.position(path);
    Place {
        file: document.file.clone(),
        line: position.map(|(line, _)| line),
        column: position.map(|(_, column)| column),
        object: None,
        field: Some(path).filter(|path| !path.is_empty()).map(str::to_owned),
    }
}

/// An error in a document.
pub(crate) fn error(document: &Document, path: &str, message: impl Into<String>) -> Fault {
    document.fault(Severity::Error, path, message)
}

/// A notice in a document.
pub(crate) fn notice(document: &Document, path: &str, message: impl Into<String>) -> Fault {
    document.fault(Severity::Notice, path, message)
}

/// The value at a path; a `null` is none.
pub(crate) fn value<'a>(document: &'a Document, path: &str) -> Option<&'a Value> {
    document.get(path).filter(|value| !value.is_null())
}

/// The text at a path, where there is one. Anything else is a fault.
pub(crate) fn text(document: &Document, path: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value(document, path)? {
        Value::String(text) => Some(text.clone()),
        other => {
            faults.push(error(document, path, format!("expected a text, found {}", kind(other))));
            None
        }
    }
}

/// As [`text`], but numbers and truth values count by how they are usually written: labels and kubelet
/// arguments are often not quoted.
pub(crate) fn plain_text(document: &Document, path: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match value(document, path)? {
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => text(document, path, faults),
    }
}

/// The paths of a list's items. Anything but a list is a fault.
pub(crate) fn items(document: &Document, path: &str, faults: &mut Vec<Fault>) -> Vec<String> {
    match value(document, path) {
        None => Vec::new(),
        Some(Value::Array(items)) => (0..items.len()).map(|index| item(path, index)).collect(),
        Some(other) => {
            faults.push(error(document, path, format!("expected a list, found {}", kind(other))));
            Vec::new()
        }
    }
}

/// A mapping's keys in the order of the file. Anything but a mapping is a fault.
pub(crate) fn keys(document: &Document, path: &str, faults: &mut Vec<Fault>) -> Vec<String> {
    match value(document, path) {
        None => Vec::new(),
        Some(Value::Object(_)) => document.keys(path).into_iter().map(str::to_owned).collect(),
        Some(other) => {
            faults.push(error(document, path, format!("expected a mapping, found {}", kind(other))));
            Vec::new()
        }
    }
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("`{text}`"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

/// The only document of a file: an error where there is none or another one.
pub(crate) fn only(file: &str, documents: Vec<Document>, faults: &mut Vec<Fault>) -> Option<Document> {
    let mut documents = documents.into_iter();
    let Some(first) = documents.next() else {
        // A text that cannot be read has its fault already.
        if faults.is_empty() {
            faults.push(Fault::error(file, "the file is empty"));
        }
        return None;
    };
    if let Some(second) = documents.next() {
        faults.push(error(&second, "", "a second document; expected one"));
    }
    if !first.value.is_object() {
        faults.push(error(&first, "", format!("expected a mapping, found {}", kind(&first.value))));
        return None;
    }
    Some(first)
}
