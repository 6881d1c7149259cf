//! The objects of one kind by their names, and what all kinds have in common.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Stored,
    schema::{self, Problem, Shape},
    selector::Metadata,
};

/// What an object without a name is called.
pub(crate) const NO_NAME: &str = "(no name)";

/// One kind of object that is acted on.
pub(crate) trait Resource: Clone + Serialize + DeserializeOwned {
    const KIND: &'static str;
    /// Which `apiVersion`s are understood; they are of one group.
    const VERSIONS: &'static [&'static str];
    /// Whether its objects live in namespaces.
    const NAMESPACED: bool = false;

    /// What such an object looks like.
    fn shape() -> &'static Shape;

    fn metadata(&self) -> &Metadata;

    /// What the shape cannot say.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Whether an object of this kind is of interest.
    fn is_wanted(value: &Value) -> bool {
        let _ = value;
        true
    }

    /// What identifies it among those of its kind.
    fn key(&self) -> String {
        let metadata = self.metadata();
        if Self::NAMESPACED {
            format!("{}/{}", metadata.namespace(), metadata.name)
        } else {
            metadata.name.clone()
        }
    }
}

/// The objects of one kind, in order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Objects<T>(BTreeMap<String, Stored<T>>);

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Resource> Objects<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Stored<T>> {
        self.0.get(key)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Stored<T>> {
        self.0.values()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Stored<T>)> {
        self.0.iter()
    }

    pub(crate) fn insert(&mut self, key: String, stored: Stored<T>) {
        self.0.insert(key, stored);
    }

    /// Takes one away; whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// Adds all of these, in place of those of the same keys.
    pub(crate) fn replace(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Their names, as `CiliumBGPPeeringPolicy/rack0`.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|key| object_name(T::KIND, key))
    }
}

pub(crate) fn object_name(kind: &str, key: &str) -> String {
    format!("{kind}/{key}")
}

/// The name of an object, or of something that has its name elsewhere.
pub(crate) fn name_of(value: &Value) -> &str {
    let metadata = value.get("metadata").and_then(|metadata| metadata.get("name"));
    metadata.or_else(|| value.get("name")).and_then(Value::as_str).unwrap_or(NO_NAME)
}

/// The key of an object that is not read yet.
pub(crate) fn key_of<T: Resource>(value: &Value) -> String {
    let name = name_of(value);
    if !T::NAMESPACED {
        return name.to_owned();
    }
    let namespace = value.get("metadata").and_then(|metadata| metadata.get("namespace"));
    let namespace = namespace.and_then(Value::as_str).unwrap_or(Metadata::DEFAULT_NAMESPACE);
    format!("{namespace}/{name}")
}

/// Reads an object: the object if it may be used, and everything that is to be said about it.
pub(crate) fn read<T: Resource>(value: &Value) -> (Option<T>, Vec<Problem>) {
    let mut problems = Vec::new();
    schema::check(value, T::shape(), "", &mut problems);
    if !schema::usable(&problems) {
        return (None, problems);
    }
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(object) => {
            problems.extend(object.check());
            (schema::usable(&problems).then_some(object), problems)
        }
        Err(error) => {
            problems.push(Problem::error(error.path().to_string(), error.inner().to_string()));
            (None, problems)
        }
    }
}
