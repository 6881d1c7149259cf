//! Labels and what selects them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    format,
    schema::{Field, Object, Problem, Shape},
};

/// The part of an object's metadata that matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its namespace, where its kind has one: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Metadata {
    /// The namespace of an object that names none.
    pub(crate) const DEFAULT_NAMESPACE: &str = "default";

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(Self::DEFAULT_NAMESPACE)
    }

    /// Its labels, and what else selectors may name.
    pub(crate) fn labels_and(&self, more: [(&str, &str); 2]) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone().unwrap_or_default();
        labels.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
        labels
    }
}

pub(crate) static METADATA: Object = Object {
    open: true,
    fields: &[
        Field::required("name", Shape::Text(&format::NAME)),
        Field::optional("namespace", Shape::Text(&format::NAME)),
        Field::optional("labels", Shape::Map { keys: &format::LABEL_KEY, values: &format::LABEL_VALUE }),
        Field::optional("annotations", Shape::Map { keys: &format::ANY, values: &format::ANY }),
    ],
};

/// Chooses objects by their labels. All requirements have to hold; without any it chooses every object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels that have to be there with these values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_labels: Option<BTreeMap<String, String>>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_expressions: Option<Vec<Requirement>>,
}

/// One requirement on a label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// What `In` and `NotIn` compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

pub(crate) static LABEL_SELECTOR: Object = Object {
    open: false,
    fields: &[
        Field::optional("matchLabels", Shape::Map { keys: &format::LABEL_KEY, values: &format::LABEL_VALUE }),
        Field::optional("matchExpressions", Shape::List { items: &Shape::Object(&REQUIREMENT), least: 0 }),
    ],
};

static REQUIREMENT: Object = Object {
    open: false,
    fields: &[
        Field::required("key", Shape::Text(&format::LABEL_KEY)),
        Field::required("operator", Shape::Choice(&["In", "NotIn", "Exists", "DoesNotExist"])),
        Field::optional("values", Shape::List { items: &Shape::Text(&format::LABEL_VALUE), least: 0 }),
    ],
};

impl LabelSelector {
    /// Whether it chooses an object with these labels. `NotIn` also chooses objects without the label.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let equal = self.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
        equal && self.match_expressions.iter().flatten().all(|requirement| requirement.holds(labels))
    }

    /// What the schema cannot say.
    pub(crate) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        for (index, requirement) in self.match_expressions.iter().flatten().enumerate() {
            let none = requirement.values.as_ref().is_none_or(Vec::is_empty);
            let message = match (requirement.operator.as_str(), none) {
                ("In" | "NotIn", true) => "expected at least one value for",
                ("Exists" | "DoesNotExist", false) => "expected no values for",
                _ => continue,
            };
            let path = format!("{path}.matchExpressions[{index}].values");
            problems.push(Problem::error(path, format!("{message} the operator {}", requirement.operator)));
        }
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.iter().flatten().any(|other| other == value));
        match self.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}
