//! Walking TOML with places: what is read is checked on the way, and what is wrong is written down, so that
//! reading goes on.
//!
//! A read that finds something wrong gives `None` like one that finds nothing, and the caller goes on with a
//! default: with one error there is no [`Config`](crate::Config), so what is made after it is never seen.

use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    Fault, Severity,
    fault::Lines,
    hint,
    reference::{Key, Section as Keys},
};

/// Where something stands, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Octets from the text's beginning.
    pub(crate) offset: usize,
    /// `neighbor."10.0.0.1".timers.hold`
    pub(crate) path: String,
}

impl Place {
    /// The place of a key that is not there, in a table that is here.
    pub(crate) fn missing(&self, name: &str) -> Self {
        Self { offset: self.offset, path: join(&self.path, name) }
    }
}

/// A path with one more key.
fn join(path: &str, name: &str) -> String {
    let bare = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-';
    let name = match !name.is_empty() && name.bytes().all(bare) {
        true => name.to_owned(),
        false => quote(name),
    };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// A text as TOML's basic string.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) place: Place,
    value: &'a DeValue<'a>,
}

impl<'a> Node<'a> {
    /// The text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// The items, where it is a list.
    pub(crate) fn as_list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else { return None };
        let node = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Self {
            place: Place { offset: item.span().start, path: format!("{}[{index}]", self.place.path) },
            value: item.get_ref(),
        };
        Some(items.iter().enumerate().map(node).collect())
    }

    /// Whether it is a table.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// The whole number, where it is one that fits.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        let integer = self.value.as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The truth value, where it is one.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// What stands there, for a message.
    fn found(&self) -> String {
        match self.value {
            DeValue::String(text) => format!("the text {}", quote(text)),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date or time".into(),
            DeValue::Array(items) if items.is_empty() => "an empty list".into(),
            DeValue::Array(_) => "a list".into(),
            DeValue::Table(_) => "a table".into(),
        }
    }
}

/// A table whose keys are known.
#[derive(Clone, Debug)]
pub(crate) struct Table<'a> {
    /// Where its name stands.
    pub(crate) place: Place,
    keys: &'static [Key],
    entries: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        debug_assert!(self.keys.iter().any(|key| key.name == name), "{name} is in the reference");
        let (_, value) = self.entries.iter().find(|(key, _)| key.get_ref() == name)?;
        Some(Node {
            place: Place { offset: value.span().start, path: join(&self.place.path, name) },
            value: value.get_ref(),
        })
    }
}

/// One table among others of its kind, with a name that the user gave it.
pub(crate) struct Named<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: Node<'a>,
}

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Reader {
    findings: BTreeSet<(Place, Severity, String)>,
}

impl Reader {
    /// Something that must not be.
    pub(crate) fn error(&mut self, place: &Place, message: impl Into<String>) {
        self.findings.insert((place.clone(), Severity::Error, message.into()));
    }

    /// Something that may be.
    pub(crate) fn notice(&mut self, place: &Place, message: impl Into<String>) {
        self.findings.insert((place.clone(), Severity::Notice, message.into()));
    }

    /// `expected …, found …`
    pub(crate) fn expected(&mut self, node: &Node<'_>, expected: &str) {
        self.error(&node.place, format!("expected {expected}, found {}", node.found()));
    }

    /// Everything in the order of the file, each once: errors, notices.
    pub(crate) fn finish(self, file: &str, text: &str) -> (Vec<Fault>, Vec<Fault>) {
        let lines = Lines::new(text);
        let faults = self.findings.into_iter().map(|(place, severity, message)| {
            let (line, column) = lines.position(place.offset);
            Fault {
                file: file.to_owned(),
                line: Some(line),
                column: Some(column),
                severity,
                path: place.path,
                message,
            }
        });
        faults.partition(|fault| fault.severity == Severity::Error)
    }

    /// The file's own table.
    pub(crate) fn root<'a>(&mut self, entries: &'a DeTable<'a>, keys: &'static Keys) -> Table<'a> {
        self.known(Place { offset: 0, path: String::new() }, entries, keys)
    }

    fn known<'a>(&mut self, place: Place, entries: &'a DeTable<'a>, keys: &'static Keys) -> Table<'a> {
        for key in entries.keys() {
            let name = key.get_ref();
            if !keys.keys.iter().any(|known| known.name == name) {
                let place = Place { offset: key.span().start, path: join(&place.path, name) };
                let hint = hint::question(name, keys.keys.iter().map(|key| key.name));
                self.error(&place, format!("nobody knows this key{hint}"));
            }
        }
        Table { place, keys: keys.keys, entries }
    }

    /// A table with these keys; any other is a fault.
    pub(crate) fn table<'a>(&mut self, node: &Node<'a>, keys: &'static Keys) -> Option<Table<'a>> {
        let DeValue::Table(entries) = node.value else {
            self.expected(node, "a table");
            return None;
        };
        Some(self.known(node.place.clone(), entries, keys))
    }

    /// Tables by names that the user gives. Their place is where the name is.
    pub(crate) fn named<'a>(&mut self, node: &Node<'a>, expected: &str) -> Vec<Named<'a>> {
        let DeValue::Table(entries) = node.value else {
            self.expected(node, expected);
            return Vec::new();
        };
        let named = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let place = Place { offset: key.span().start, path: join(&node.place.path, name) };
            Named { name, node: Node { place, value: value.get_ref() } }
        };
        entries.iter().map(named).collect()
    }

    /// A text.
    pub(crate) fn text<'a>(&mut self, node: &Node<'a>) -> Option<&'a str> {
        let text = node.as_text();
        if text.is_none() {
            self.expected(node, "a text");
        }
        text
    }

    /// A text that stands for something.
    pub(crate) fn parsed<T>(
        &mut self,
        node: &Node<'_>,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = node.as_text().and_then(parse);
        if value.is_none() {
            self.expected(node, expected);
        }
        value
    }

    /// A text that is one of these.
    pub(crate) fn choice<T: Copy>(&mut self, node: &Node<'_>, choices: &[(&str, T)]) -> Option<T> {
        let chosen =
            node.as_text().and_then(|text| choices.iter().find(|(name, _)| *name == text)).map(|it| it.1);
        if chosen.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| quote(name)).collect();
            let expected = match names.as_slice() {
                [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
                _ => names.concat(),
            };
            self.expected(node, &expected);
        }
        chosen
    }

    /// A whole number; both ends included.
    pub(crate) fn integer<T: TryFrom<i64>>(&mut self, node: &Node<'_>, min: i64, max: i64) -> Option<T> {
        let value = node.as_integer().filter(|value| (min..=max).contains(value));
        let value = value.and_then(|value| T::try_from(value).ok());
        if value.is_none() {
            self.expected(node, &format!("a whole number from {min} to {max}"));
        }
        value
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, node: &Node<'_>) -> Option<bool> {
        let value = node.as_bool();
        if value.is_none() {
            self.expected(node, "true or false");
        }
        value
    }

    /// A list.
    pub(crate) fn list<'a>(&mut self, node: &Node<'a>) -> Vec<Node<'a>> {
        node.as_list().unwrap_or_else(|| {
            self.expected(node, "a list");
            Vec::new()
        })
    }

    /// One thing, or a list of at least one.
    pub(crate) fn some<'a>(&mut self, node: &Node<'a>) -> Vec<Node<'a>> {
        match node.as_list() {
            Some(items) if items.is_empty() => {
                self.expected(node, "at least one item");
                items
            }
            Some(items) => items,
            None => vec![node.clone()],
        }
    }
}
