//! `originate`: routes that are always announced.

use std::collections::BTreeMap;

use ipnet::IpNet;
use peerage_core::wire::{
    Asn,
    attr::{AsPath, PathAttributes, Segment, SegmentKind},
};

use crate::{
    policy::read_prepend,
    reader::{Node, Place, Reader},
    reference,
};

/// Reads `originate`: texts and tables.
pub(crate) fn read(reader: &mut Reader, node: &Node<'_>, own: Asn) -> BTreeMap<IpNet, PathAttributes> {
    let mut routes = BTreeMap::new();
    if node.as_list().is_none() {
        reader.expected(node, "a list of prefixes, or tables: `[[originate]]`");
        return routes;
    }
    for item in reader.list(node) {
        let Some((place, prefix, attributes)) = read_one(reader, &item, own) else { continue };
        if routes.insert(prefix, attributes).is_some() {
            reader.error(&place, format!("{prefix} is originated already"));
        }
    }
    routes
}

fn read_one(reader: &mut Reader, item: &Node<'_>, own: Asn) -> Option<(Place, IpNet, PathAttributes)> {
    if item.as_text().is_some() {
        let prefix = reader.prefix(item)?;
        return Some((item.place.clone(), prefix, PathAttributes::default()));
    }
    if !item.is_table() {
        reader.expected(item, "a prefix such as \"10.0.0.0/8\", or a table with one");
        return None;
    }
    let table = reader.table(item, &reference::ORIGINATE)?;
    let get = |name: &str| table.get(name);
    let mut attributes = PathAttributes::default();
    if let Some(origin) = get("origin").and_then(|node| reader.origin(&node)) {
        attributes.origin = origin;
    }
    attributes.med = get("med").and_then(|node| reader.number(&node));
    attributes.local_pref = get("local-pref").and_then(|node| reader.number(&node));
    if let Some(node) = get("communities") {
        let items = node.as_list().unwrap_or_else(|| vec![node]);
        attributes.communities = reader.communities(&items);
    }
    if let Some(node) = get("large-communities") {
        let items = node.as_list().unwrap_or_else(|| vec![node]);
        attributes.large_communities = reader.large_communities(&items);
    }
    if let Some((asn, count)) = get("prepend").and_then(|node| read_prepend(reader, &node, own)) {
        let asns = vec![asn; count.into()];
        attributes.as_path = AsPath { segments: vec![Segment { kind: SegmentKind::Sequence, asns }] };
    }
    let Some(node) = get("prefix") else {
        reader.error(&item.place.missing("prefix"), "missing: expected a prefix such as \"10.0.0.0/8\"");
        return None;
    };
    let prefix = reader.prefix(&node)?;
    Some((node.place, prefix, attributes))
}
