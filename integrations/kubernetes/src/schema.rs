//! What objects look like, as data: each resource's fields, their ranges and what must be there stand in
//! one table. Checking an object against it finds everything that is wrong, not the first thing only.

use serde_json::Value;

use crate::Severity;

/// What a value must be.
pub(crate) enum Shape {
    Bool,
    /// Both ends included.
    Integer {
        min: i64,
        max: i64,
    },
    Text(&'static Format),
    Choice(&'static [&'static str]),
    List {
        items: &'static Self,
        least: usize,
    },
    /// Texts by texts.
    Map {
        keys: &'static Format,
        values: &'static Format,
    },
    Object(&'static Object),
}

/// A rule for texts.
pub(crate) struct Format {
    /// Completes "expected …".
    pub(crate) expected: &'static str,
    pub(crate) accepts: fn(&str) -> bool,
}

/// A value with named fields.
pub(crate) struct Object {
    pub(crate) fields: &'static [Field],
    /// Whether there are fields that are of no interest here.
    pub(crate) open: bool,
}

/// One field.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

impl Field {
    pub(crate) const fn required(name: &'static str, shape: Shape) -> Self {
        Self { name, required: true, shape }
    }

    pub(crate) const fn optional(name: &'static str, shape: Shape) -> Self {
        Self { name, required: false, shape }
    }
}

/// A finding about one field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    /// From the object's root.
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), message: message.into() }
    }

    pub(crate) fn notice(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Notice, path: path.into(), message: message.into() }
    }
}

/// Whether an object may be used.
pub(crate) fn usable(problems: &[Problem]) -> bool {
    problems.iter().all(|problem| problem.severity == Severity::Notice)
}

/// Everything about `value` that is not as `shape` says.
pub(crate) fn check(value: &Value, shape: &Shape, path: &str, problems: &mut Vec<Problem>) {
    match (shape, value) {
        (Shape::Bool, Value::Bool(_)) => {}
        (Shape::Integer { min, max }, Value::Number(number))
            if number.as_i64().is_some_and(|number| (*min..=*max).contains(&number)) => {}
        (Shape::Text(format), Value::String(text)) if (format.accepts)(text) => {}
        (Shape::Choice(names), Value::String(text)) if names.contains(&text.as_str()) => {}
        (Shape::List { items, least }, Value::Array(values)) if values.len() >= *least => {
            for (index, value) in values.iter().enumerate() {
                check(value, items, &format!("{path}[{index}]"), problems);
            }
        }
        (Shape::Map { keys, values }, Value::Object(members)) => {
            for (key, value) in members {
                let path = format!("{path}[{key}]");
                if !(keys.accepts)(key) {
                    problems.push(Problem::error(&path, format!("expected {} as the key", keys.expected)));
                }
                check(value, &Shape::Text(values), &path, problems);
            }
        }
        (Shape::Object(object), Value::Object(members)) => {
            let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for field in object.fields {
                match members.get(field.name).filter(|value| !value.is_null()) {
                    Some(value) => check(value, &field.shape, &join(field.name), problems),
                    None if field.required => {
                        let message = format!("missing: expected {}", expected(&field.shape));
                        problems.push(Problem::error(join(field.name), message));
                    }
                    None => {}
                }
            }
            for name in members.keys().filter(|_| !object.open) {
                if !object.fields.iter().any(|field| field.name == name) {
                    problems.push(Problem::notice(join(name), unknown(name, object.fields)));
                }
            }
        }
        _ => {
            let message = format!("expected {}, found {}", expected(shape), found(value));
            problems.push(Problem::error(path, message));
        }
    }
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".into(),
        Shape::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Shape::Text(format) => format.expected.into(),
        Shape::Choice(names) => match names {
            [only] => only.to_string(),
            [first @ .., last] => format!("{} or {last}", first.join(", ")),
            [] => "nothing".into(),
        },
        Shape::List { least: 0, .. } => "a list".into(),
        Shape::List { .. } => "a list with at least one item".into(),
        Shape::Map { .. } => "a mapping of texts to texts".into(),
        Shape::Object(_) => "a mapping".into(),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(_) => format!("the text {value}"),
        Value::Array(values) if values.is_empty() => "an empty list".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

fn unknown(name: &str, fields: &[Field]) -> String {
    let likely = fields
        .iter()
        .map(|field| (distance(&name.to_lowercase(), &field.name.to_lowercase()), field.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match likely {
        Some((_, likely)) => format!("nobody knows this field, it has no effect: is `{likely}` meant?"),
        None => "nobody knows this field, it has no effect".into(),
    }
}

/// How many characters have to be put in, taken out or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((b, replace), put_in) in to.iter().zip(&row).zip(row.iter().skip(1)) {
            let take_out = next.last().copied().unwrap_or(0);
            next.push((replace + usize::from(a != *b)).min(put_in + 1).min(take_out + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
