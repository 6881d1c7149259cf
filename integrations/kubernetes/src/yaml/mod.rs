//! YAML that remembers where everything stood.
//!
//! [`parse`] gives the documents of a text as JSON values, each with the line and column of every value
//! in it: a fault can then name the place that the user has to change. It reads Kubernetes manifests,
//! Kind's and Containerlab's files and Helm values alike, and knows nothing about any of them.
//!
//! Scalars are read by the core schema of YAML 1.2 (`no` is a text). A key that stands twice in one
//! mapping is a fault, and so is a tag nobody knows. Depth is bounded, and so is what aliases may copy.
//! It never panics on any text.
//!
//! The parser is `granit-parser`, which stands under `serde-saphyr` too: its events carry spans.

mod build;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::{
    build::{Children, Mark},
    source::Source,
};
use crate::{Fault, Severity};

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file as the user named it.
    pub file: String,
    /// What it says.
    pub value: Value,
    root: Mark,
    source: Arc<Source>,
}

/// Reads every document of a text. One that cannot be read is a fault; the others are not affected.
/// Empty documents are left out.
pub fn parse(file: &str, text: &str) -> (Vec<Document>, Vec<Fault>) {
    build::documents(file, &Arc::new(Source::file(text)))
}

impl Document {
    /// Line and column, from 1, of the value at a path such as
    /// `spec.virtualRouters[0].neighbors[1].peerAddress`, or of the nearest value above it that exists.
    ///
    /// Keys with dots in them may stand as they are, or in brackets: `labels[example.org/rack]`. A list
    /// or mapping that begins below its key is found at its key, a block scalar at its first line.
    pub fn position(&self, path: &str) -> Option<(usize, usize)> {
        let (mark, ..) = self.walk(path);
        Some(self.source.locate(mark.shown_at()))
    }

    /// The value at a path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let (_, value, whole) = self.walk(path);
        value.filter(|_| whole)
    }

    /// The keys of the mapping at a path in the order of the file.
    pub fn keys(&self, path: &str) -> Vec<&str> {
        match self.walk(path) {
            (Mark { children: Children::Mapping(members), .. }, _, true) => {
                members.iter().map(|(key, _)| key.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Reads the value at a path as a type; an empty path is the whole document. The fault names the
    /// field that does not fit.
    pub fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        let value = self.get(path).unwrap_or(&Value::Null);
        serde_path_to_error::deserialize(value).map_err(|error| {
            let inner = error.path().to_string();
            let field = match (path, inner.as_str()) {
                (_, ".") => path.to_owned(),
                ("", _) => inner,
                (_, _) if inner.starts_with('[') => format!("{path}{inner}"),
                _ => format!("{path}.{inner}"),
            };
            self.fault(Severity::Error, &field, error.into_inner().to_string())
        })
    }

    /// A finding about the value at a path.
    pub fn fault(&self, severity: Severity, path: &str, message: impl Into<String>) -> Fault {
        let position = self.position(path);
        Fault {
            severity,
            file: self.file.clone(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            object: None,
            field: Some(path).filter(|path| !path.is_empty()).map(str::to_owned),
            message: message.into(),
        }
    }

    /// Reads the text at a path as YAML in its turn; positions are those of the file. `(vec![], vec![])`
    /// where there is no text at that path.
    pub fn nested(&self, path: &str) -> (Vec<Self>, Vec<Fault>) {
        match self.inner(path) {
            Some(inner) => build::documents(&self.file, &Arc::new(inner)),
            None => (Vec::new(), Vec::new()),
        }
    }

    /// Line and column of an octet of the text at a path, as an offset into the value: where a word in
    /// the middle of a folded scalar stands.
    pub fn position_within(&self, path: &str, offset: usize) -> Option<(usize, usize)> {
        Some(self.inner(path)?.locate(offset))
    }

    fn inner(&self, path: &str) -> Option<Source> {
        match self.walk(path) {
            (mark, Some(Value::String(text)), true) => Some(Source::inner(&self.source, mark, text)),
            _ => None,
        }
    }

    /// As far down a path as it goes, and whether that is all of it.
    fn walk(&self, path: &str) -> (&Mark, Option<&Value>, bool) {
        let (mut mark, mut value) = (&self.root, Some(&self.value));
        let mut rest = path;
        while !rest.is_empty() {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            let next = match &mark.children {
                Children::None => None,
                Children::Sequence(items) => brackets(rest).and_then(|(index, tail)| {
                    let index = index.parse::<usize>().ok()?;
                    Some((items.get(index)?, value.and_then(|value| value.get(index)), tail))
                }),
                Children::Mapping(members) => member(members, rest)
                    .map(|(key, mark, tail)| (mark, value.and_then(|value| value.get(key)), tail)),
            };
            match next {
                Some(next) => (mark, value, rest) = next,
                None => return (mark, None, false),
            }
        }
        (mark, value, true)
    }
}

/// `[inner]tail`
fn brackets(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('[')?.split_once(']')
}

/// The member that a path goes on with: the longest key that fits.
fn member<'a, 'p>(members: &'a [(String, Mark)], path: &'p str) -> Option<(&'a str, &'a Mark, &'p str)> {
    if let Some((key, tail)) = brackets(path) {
        let key = key.trim_matches('"');
        return members.iter().find(|(other, _)| other == key).map(|(key, mark)| (key.as_str(), mark, tail));
    }
    members
        .iter()
        .filter_map(|(key, mark)| {
            let tail = path.strip_prefix(key.as_str()).filter(|_| !key.is_empty())?;
            (tail.is_empty() || tail.starts_with(['.', '['])).then_some((key.as_str(), mark, tail))
        })
        .max_by_key(|(key, ..)| key.len())
}
