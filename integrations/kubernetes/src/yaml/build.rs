//! From the parser's events to values and marks.

use std::{collections::HashMap, sync::Arc};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag, options};
use serde_json::{Map, Number, Value};

use super::{Document, source::Source};
use crate::{Fault, Severity};

/// Deepest nesting of lists and mappings, aliases included.
const MAX_DEPTH: usize = 100;
/// What anchors and aliases may copy within one document: one for each value and each 16 octets of text.
const MAX_COPIES: usize = 100_000;
/// Repeated keys that are told one by one.
const MAX_FAULTS: usize = 32;

/// Where a value stands, and its children stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// First octet.
    pub(super) start: usize,
    /// One past the last octet.
    pub(super) end: usize,
    /// First octet of its key, where it has one and does not begin on its key's line itself.
    pub(super) key: Option<usize>,
    /// Whether it is a text between quotation marks.
    pub(super) quoted: bool,
    pub(super) children: Children,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Children {
    None,
    Sequence(Vec<Mark>),
    Mapping(Vec<(String, Mark)>),
}

impl Mark {
    /// The octet at which a reader looks for it.
    pub(super) fn shown_at(&self) -> usize {
        self.key.unwrap_or(self.start)
    }
}

/// What has been read and not yet been put in its place.
struct Node {
    value: Value,
    mark: Mark,
    weight: usize,
    depth: usize,
}

struct Frame {
    start: usize,
    block: bool,
    anchor: usize,
    weight: usize,
    depth: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Value>, Vec<Mark>),
    Mapping { values: Map<String, Value>, marks: Vec<(String, Mark)>, key: Option<Key> },
}

struct Key {
    text: String,
    plain: bool,
    start: usize,
}

/// Why a document is given up at once.
struct Abandon {
    at: usize,
    message: String,
}

struct Builder<'a> {
    file: &'a str,
    source: &'a Arc<Source>,
    frames: Vec<Frame>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    copies: usize,
    faults: Vec<Fault>,
}

/// Every document of a source that is worth something, and what is wrong with the others.
pub(super) fn documents(file: &str, source: &Arc<Source>) -> (Vec<Document>, Vec<Fault>) {
    let mut documents = Vec::new();
    let mut faults = Vec::new();
    let limits = options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut parser = Parser::new_from_str_with_options(&source.text, limits);
    let mut builder = Builder::new(file, source);
    while let Some(next) = parser.next_event() {
        let given_up = match next {
            Ok((Event::DocumentEnd, _)) => {
                documents.extend(builder.finish(&mut faults));
                continue;
            }
            Ok((event, span)) => match builder.event(event, span) {
                Ok(()) => continue,
                Err(Abandon { at, message }) => builder.fault(at, message),
            },
            Err(error) => {
                let marker = error.marker();
                let at = marker.byte_offset().unwrap_or_else(|| source.offset_of_character(marker.index()));
                builder.fault(at, format!("not valid YAML: {}", error.info()))
            }
        };
        faults.append(&mut builder.faults);
        builder = Builder::new(file, source);
        faults.push(given_up);
        match parser.proceed_next_document() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let (line, column) = source.locate(source.offset_of_character(error.marker().index()));
                let fault = Fault::error(file, format!("not valid YAML: {}", error.info()));
                faults.push(Fault { line: Some(line), column: Some(column), ..fault });
                break;
            }
        }
    }
    (documents, faults)
}

impl<'a> Builder<'a> {
    fn new(file: &'a str, source: &'a Arc<Source>) -> Self {
        Self {
            file,
            source,
            frames: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            copies: 0,
            faults: Vec::new(),
        }
    }

    fn fault(&self, at: usize, message: String) -> Fault {
        let (line, column) = self.source.locate(at);
        Fault {
            severity: Severity::Error,
            file: self.file.to_owned(),
            line: Some(line),
            column: Some(column),
            object: None,
            field: None,
            message,
        }
    }

    /// The document that ends here, unless it is empty or something in it was wrong.
    fn finish(&mut self, faults: &mut Vec<Fault>) -> Option<Document> {
        let done = std::mem::replace(self, Self::new(self.file, self.source));
        let whole = done.faults.is_empty();
        faults.extend(done.faults);
        let root = done.root.filter(|root| whole && !root.value.is_null())?;
        Some(Document {
            file: done.file.to_owned(),
            value: root.value,
            root: root.mark,
            source: Arc::clone(done.source),
        })
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Abandon> {
        let range = span.byte_range().unwrap_or_else(|| {
            let start = self.source.offset_of_character(span.start.index());
            start..self.source.offset_of_character(span.end.index())
        });
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), range.start);
                if let Some(key) = self.awaited_key() {
                    *key = Some(Key {
                        text: text.into_owned(),
                        plain: style == ScalarStyle::Plain,
                        start: range.start,
                    });
                    return Ok(());
                }
                let weight = 1 + text.len() / 16;
                let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
                let mark =
                    Mark { start: range.start, end: range.end, key: None, quoted, children: Children::None };
                self.place(Node { value, mark, weight, depth: 0 }, anchor, range.is_empty())
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.known_tag(tag.as_deref(), "seq", range.start);
                let content = Content::Sequence(Vec::new(), Vec::new());
                self.open(range.start, style, anchor, content)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.known_tag(tag.as_deref(), "map", range.start);
                let content = Content::Mapping { values: Map::new(), marks: Vec::new(), key: None };
                self.open(range.start, style, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Alias(id) => self.alias(id, range.start, range.end),
            _ => Ok(()),
        }
    }

    /// The place for a key, where a key comes next.
    fn awaited_key(&mut self) -> Option<&mut Option<Key>> {
        match self.frames.last_mut()?.content {
            Content::Mapping { ref mut key, .. } if key.is_none() => Some(key),
            _ => None,
        }
    }

    fn open(
        &mut self,
        start: usize,
        style: StructureStyle,
        anchor: usize,
        content: Content,
    ) -> Result<(), Abandon> {
        if self.awaited_key().is_some() {
            let message = "a list or mapping cannot be a key here: expected a text";
            return Err(Abandon { at: start, message: message.into() });
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(too_deep(start));
        }
        let block = style == StructureStyle::Block;
        self.frames.push(Frame { start, block, anchor, weight: 1, depth: 0, content });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Abandon> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let (value, children) = match frame.content {
            Content::Sequence(values, marks) => (Value::Array(values), Children::Sequence(marks)),
            Content::Mapping { mut values, mut marks, .. } => {
                self.merge(&mut values, &mut marks);
                (Value::Object(values), Children::Mapping(marks))
            }
        };
        let mark = Mark { start: frame.start, end, key: None, quoted: false, children };
        let node = Node { value, mark, weight: frame.weight, depth: frame.depth + 1 };
        self.place(node, frame.anchor, frame.block)
    }

    /// `<<: *defaults`, which YAML 1.2 no longer has and everyone writes.
    fn merge(&mut self, values: &mut Map<String, Value>, marks: &mut Vec<(String, Mark)>) {
        let Some(index) = marks.iter().position(|(key, _)| key == "<<") else { return };
        let sources = match (values.get("<<"), marks.get(index).map(|(_, mark)| mark)) {
            (Some(Value::Object(source)), Some(mark)) => vec![(source.clone(), mark.clone())],
            (Some(Value::Array(sources)), Some(Mark { children: Children::Sequence(items), .. })) => sources
                .iter()
                .zip(items)
                .filter_map(|(value, mark)| Some((value.as_object()?.clone(), mark.clone())))
                .collect(),
            _ => return,
        };
        values.remove("<<");
        marks.remove(index);
        for (source, mark) in sources {
            let Children::Mapping(members) = mark.children else { continue };
            for ((key, mark), value) in
                members.into_iter().filter_map(|member| source.get(&member.0).map(|value| (member, value)))
            {
                if !values.contains_key(&key) {
                    values.insert(key.clone(), value.clone());
                    marks.push((key, mark));
                }
            }
        }
    }

    fn alias(&mut self, id: usize, start: usize, end: usize) -> Result<(), Abandon> {
        if self.awaited_key().is_some() {
            let message = "an alias cannot be a key here: expected a text";
            return Err(Abandon { at: start, message: message.into() });
        }
        let Some(target) = self.anchors.get(&id) else {
            return Err(Abandon { at: start, message: "this alias refers to what it stands in".into() });
        };
        let (weight, depth) = (target.weight, target.depth);
        self.copies += weight;
        if self.copies > MAX_COPIES {
            return Err(too_many(start));
        }
        if self.frames.len() + depth > MAX_DEPTH {
            return Err(too_deep(start));
        }
        let Some(target) = self.anchors.get(&id) else { return Ok(()) };
        let mark = Mark { start, end, key: None, quoted: false, children: target.mark.children.clone() };
        let node = Node { value: target.value.clone(), mark, weight, depth };
        self.place(node, 0, false)
    }

    /// Puts a finished node where it belongs; `below`: it does not begin on its key's line.
    fn place(&mut self, mut node: Node, anchor: usize, below: bool) -> Result<(), Abandon> {
        if anchor != 0 {
            self.copies += node.weight;
            if self.copies > MAX_COPIES {
                return Err(too_many(node.mark.start));
            }
            let copy = Node { value: node.value.clone(), mark: node.mark.clone(), ..node };
            self.anchors.insert(anchor, copy);
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight += node.weight;
        frame.depth = frame.depth.max(node.depth);
        match &mut frame.content {
            Content::Sequence(values, marks) => {
                values.push(node.value);
                marks.push(node.mark);
            }
            Content::Mapping { values, marks, key } => {
                let Some(Key { text, plain, start }) = key.take() else { return Ok(()) };
                if below {
                    node.mark.key = Some(start);
                }
                if values.contains_key(&text) && !(plain && text == "<<") {
                    let first = marks
                        .iter()
                        .find(|(other, _)| *other == text)
                        .map_or(0, |(_, mark)| self.source.locate(mark.shown_at()).0);
                    let message = format!("the key `{text}` stands here twice, first on line {first}");
                    if self.faults.len() >= MAX_FAULTS {
                        return Err(Abandon { at: start, message: "and more like this".into() });
                    }
                    let fault = self.fault(start, message);
                    self.faults.push(fault);
                    return Ok(());
                }
                values.insert(text.clone(), node.value);
                marks.push((text, node.mark));
            }
        }
        Ok(())
    }

    fn known_tag(&mut self, tag: Option<&Tag>, expected: &str, at: usize) {
        let Some(tag) = tag else { return };
        if tag.core_suffix() != Some(expected) && tag.original() != "!" {
            let fault = self.fault(at, format!("the tag `{}` is not known here", tag.original()));
            self.faults.push(fault);
        }
    }

    /// The core schema of YAML 1.2: `no`, `on` and `0777` are not what YAML 1.1 made of them.
    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: usize) -> Value {
        let resolved = || resolve(text);
        let Some(tag) = tag else {
            return if style == ScalarStyle::Plain { resolved() } else { Value::from(text) };
        };
        if tag.original() == "!" {
            return Value::from(text);
        }
        let value = match tag.core_suffix() {
            Some("str") => Some(Value::from(text)),
            Some("null") => Some(Value::Null),
            Some("bool") => Some(resolved()).filter(Value::is_boolean),
            Some("int") => Some(resolved()).filter(|value| value.is_i64() || value.is_u64()),
            Some("float") => Some(resolved()).filter(Value::is_number),
            _ => None,
        };
        value.unwrap_or_else(|| {
            let message = format!("the tag `{}` does not go with `{text}`", tag.original());
            let fault = self.fault(at, message);
            self.faults.push(fault);
            Value::Null
        })
    }
}

fn too_deep(at: usize) -> Abandon {
    Abandon { at, message: format!("nested more than {MAX_DEPTH} deep") }
}

fn too_many(at: usize) -> Abandon {
    Abandon { at, message: format!("anchors and aliases copy more than {MAX_COPIES} values") }
}

/// What a plain scalar stands for.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::from(text), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = |text: &str, radix| {
        (!text.is_empty() && text.chars().all(|c| c.is_digit(radix)))
            .then(|| u64::from_str_radix(text, radix).ok())
            .flatten()
    };
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8).map(Number::from);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16).map(Number::from);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = text.parse::<i64>().map(Number::from);
        let whole = whole.or_else(|_| text.trim_start_matches('+').parse::<u64>().map(Number::from));
        return whole.ok().or_else(|| Number::from_f64(text.parse().ok()?));
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let float = decimal(before)
        && decimal(after)
        && !(before.is_empty() && after.is_empty())
        && !exponent.is_empty()
        && decimal(exponent);
    if float { Number::from_f64(text.parse().ok()?) } else { None }
}
