//! Policies: `[policy.NAME]`, and what a neighbour's `import` and `export` say.

use std::collections::{BTreeMap, BTreeSet};

use peerage_core::{
    policy::{Match, Policy, RouteSource, Rule, Set, Verdict},
    wire::Asn,
};

use crate::{
    hint,
    reader::{Node, Place, Reader, Table, quote},
    reference,
};

const VERDICTS: [(&str, Verdict); 2] = [("accept", Verdict::Accept), ("reject", Verdict::Reject)];

const SOURCES: [(&str, RouteSource); 3] =
    [("local", RouteSource::Local), ("internal", RouteSource::Internal), ("external", RouteSource::External)];

/// The policies that have names.
#[derive(Default)]
pub(crate) struct Policies {
    named: BTreeMap<String, (Place, Policy)>,
    used: BTreeSet<String>,
}

impl Policies {
    /// Reads `policy`.
    pub(crate) fn read(reader: &mut Reader, node: &Node<'_>, own: Asn) -> Self {
        let mut policies = Self::default();
        for entry in reader.named(node, "a table for each policy: `[policy.NAME]`") {
            if VERDICTS.iter().any(|(name, _)| *name == entry.name) {
                reader.error(
                    &entry.node.place,
                    format!("`{}` is a policy already: name it otherwise", entry.name),
                );
            }
            let Some(table) = reader.table(&entry.node, &reference::POLICY) else { continue };
            let policy = read_policy(reader, &table, own);
            policies.named.insert(entry.name.to_owned(), (entry.node.place, policy));
        }
        policies
    }

    /// What `import` or `export` says.
    pub(crate) fn resolve(&mut self, reader: &mut Reader, node: &Node<'_>, own: Asn) -> Option<Policy> {
        if let Some(text) = node.as_text() {
            return self.by_name(reader, node, text);
        }
        if let Some(rules) = node.as_list() {
            return Some(Policy { rules: read_rules(reader, &rules, own), otherwise: Verdict::Reject });
        }
        if node.is_table() {
            let table = reader.table(node, &reference::POLICY)?;
            return Some(read_policy(reader, &table, own));
        }
        reader.expected(node, "\"accept\", \"reject\", the name of a policy, a policy or a list of rules");
        None
    }

    fn by_name(&mut self, reader: &mut Reader, node: &Node<'_>, name: &str) -> Option<Policy> {
        match name {
            "accept" => return Some(Policy::accept()),
            "reject" => return Some(Policy::reject()),
            _ => {}
        }
        let Some((_, policy)) = self.named.get(name) else {
            let names = self.named.keys().map(String::as_str).chain(["accept", "reject"]);
            let hint = hint::question(name, names);
            reader.error(&node.place, format!("there is no policy {}{hint}", quote(name)));
            return None;
        };
        self.used.insert(name.to_owned());
        Some(policy.clone())
    }

    /// Says which policies nobody uses.
    pub(crate) fn finish(self, reader: &mut Reader) {
        for (name, (place, _)) in &self.named {
            if !self.used.contains(name) {
                reader.notice(place, "no neighbour uses this policy");
            }
        }
    }
}

fn read_policy(reader: &mut Reader, table: &Table<'_>, own: Asn) -> Policy {
    let otherwise = table.get("otherwise").and_then(|node| reader.choice(&node, &VERDICTS));
    let rules = match table.get("rule") {
        Some(node) => {
            let rules = reader.list(&node);
            read_rules(reader, &rules, own)
        }
        None => Vec::new(),
    };
    Policy { rules, otherwise: otherwise.unwrap_or(Verdict::Reject) }
}

fn read_rules(reader: &mut Reader, nodes: &[Node<'_>], own: Asn) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut decided = false;
    for node in nodes {
        let Some(table) = reader.table(node, &reference::RULE) else { continue };
        let rule = read_rule(reader, &table, own);
        if decided {
            reader.notice(&node.place, "no route gets here: a rule before it decides on all of them");
        } else if rule.verdict.is_none() && rule.sets.is_empty() {
            reader.notice(&node.place, "this rule changes nothing and decides nothing");
        } else if rule.verdict == Some(Verdict::Reject) && !rule.sets.is_empty() {
            reader.notice(&node.place, "what this rule changes has no effect, for it rejects");
        }
        decided |= rule.matches.is_empty() && rule.verdict.is_some();
        rules.push(rule);
    }
    rules
}

fn read_rule(reader: &mut Reader, table: &Table<'_>, own: Asn) -> Rule {
    let mut rule = Rule::default();
    if let Some(node) = table.get("match")
        && let Some(conditions) = reader.table(&node, &reference::MATCH)
    {
        read_conditions(reader, &conditions, &mut rule.matches);
        if let Some(node) = conditions.get("not")
            && let Some(conditions) = reader.table(&node, &reference::MATCH)
        {
            let mut none = Vec::new();
            read_conditions(reader, &conditions, &mut none);
            rule.matches.extend(none.into_iter().map(|condition| Match::Not(Box::new(condition))));
            if let Some(node) = conditions.get("not") {
                reader.error(&node.place, "`not` is within `not`: write the condition under `match` itself");
            }
        }
    }
    if let Some(node) = table.get("set")
        && let Some(edits) = reader.table(&node, &reference::SET)
    {
        read_edits(reader, &edits, own, &mut rule.sets);
    }
    if let Some(node) = table.get("verdict") {
        let verdicts = [("accept", Some(Verdict::Accept)), ("reject", Some(Verdict::Reject)), ("next", None)];
        rule.verdict = reader.choice(&node, &verdicts).flatten();
    }
    rule
}

/// The conditions of a table, `not` excepted.
fn read_conditions(reader: &mut Reader, table: &Table<'_>, out: &mut Vec<Match>) {
    if let Some(node) = table.get("prefix") {
        let items = reader.some(&node);
        out.push(Match::Prefix(items.iter().filter_map(|item| reader.prefix_match(item)).collect()));
    }
    if let Some(node) = table.get("source") {
        let items = reader.some(&node);
        out.push(Match::Source(items.iter().filter_map(|item| reader.choice(item, &SOURCES)).collect()));
    }
    if let Some(node) = table.get("community") {
        let items = reader.some(&node);
        out.push(Match::AnyCommunity(reader.communities(&items)));
    }
    if let Some(node) = table.get("large-community") {
        let items = reader.some(&node);
        out.push(Match::AnyLargeCommunity(reader.large_communities(&items)));
    }
    let get = |name: &str| table.get(name);
    out.extend(get("as-path-contains").and_then(|node| reader.asn(&node)).map(Match::AsPathContains));
    out.extend(get("neighbor-as").and_then(|node| reader.asn(&node)).map(Match::NeighborAs));
    out.extend(get("origin-as").and_then(|node| reader.asn(&node)).map(Match::OriginAs));
    let lengths = get("as-path-length").and_then(|node| reader.lengths(&node));
    out.extend(lengths.map(|(min, max)| Match::AsPathLength { min, max }));
    out.extend(get("origin").and_then(|node| reader.origin(&node)).map(Match::Origin));
    out.extend(get("next-hop").and_then(|node| reader.address(&node)).map(Match::NextHop));
    out.extend(get("med").and_then(|node| reader.number(&node)).map(Match::Med));
    out.extend(get("local-pref").and_then(|node| reader.number(&node)).map(Match::LocalPref));
}

fn read_edits(reader: &mut Reader, table: &Table<'_>, own: Asn, out: &mut Vec<Set>) {
    let get = |name: &str| table.get(name);
    out.extend(get("local-pref").and_then(|node| reader.number(&node)).map(Set::LocalPref));
    if let Some(node) = get("med") {
        let none = node.as_text() == Some("none");
        let med = if none { Some(None) } else { read_med(reader, &node).map(Some) };
        out.extend(med.map(Set::Med));
    }
    out.extend(get("origin").and_then(|node| reader.origin(&node)).map(Set::Origin));
    if let Some(node) = get("community")
        && let Some(edits) = reader.table(&node, &reference::COMMUNITY)
    {
        let read = Reader::communities;
        out.extend(replaced(reader, &edits, read).map(Set::Communities));
        out.extend(listed(reader, &edits, "remove", read).map(Set::RemoveCommunities));
        out.extend(listed(reader, &edits, "add", read).map(Set::AddCommunities));
    }
    if let Some(node) = get("large-community")
        && let Some(edits) = reader.table(&node, &reference::LARGE_COMMUNITY)
    {
        let read = Reader::large_communities;
        out.extend(replaced(reader, &edits, read).map(Set::LargeCommunities));
        out.extend(listed(reader, &edits, "remove", read).map(Set::RemoveLargeCommunities));
        out.extend(listed(reader, &edits, "add", read).map(Set::AddLargeCommunities));
    }
    let prepend = get("prepend").and_then(|node| read_prepend(reader, &node, own));
    out.extend(prepend.map(|(asn, count)| Set::Prepend { asn, count }));
    out.extend(get("next-hop").and_then(|node| reader.address(&node)).map(Set::NextHop));
}

fn read_med(reader: &mut Reader, node: &Node<'_>) -> Option<u32> {
    let med = node.as_integer().and_then(|number| u32::try_from(number).ok());
    if med.is_none() {
        reader.expected(node, "a whole number from 0 to 4294967295 or \"none\"");
    }
    med
}

/// `set` of communities: may be empty.
fn replaced<T>(
    reader: &mut Reader,
    table: &Table<'_>,
    read: impl FnOnce(&mut Reader, &[Node<'_>]) -> Vec<T>,
) -> Option<Vec<T>> {
    let node = table.get("set")?;
    let items = node.as_list().unwrap_or_else(|| vec![node]);
    Some(read(reader, &items))
}

/// `add` and `remove` of communities.
fn listed<T>(
    reader: &mut Reader,
    table: &Table<'_>,
    name: &str,
    read: impl FnOnce(&mut Reader, &[Node<'_>]) -> Vec<T>,
) -> Option<Vec<T>> {
    let node = table.get(name)?;
    let items = reader.some(&node);
    Some(read(reader, &items))
}

/// `prepend`: which AS, how often.
pub(crate) fn read_prepend(reader: &mut Reader, node: &Node<'_>, own: Asn) -> Option<(Asn, u8)> {
    let table = reader.table(node, &reference::PREPEND)?;
    let asn = table.get("as").map_or(Some(own), |node| reader.asn(&node));
    let count = table.get("count").map_or(Some(1), |node| reader.integer(&node, 1, 255));
    asn.zip(count)
}
