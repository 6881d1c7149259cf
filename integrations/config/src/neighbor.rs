//! `[neighbor.NAME]` and `[group.NAME]`: the group's values, the neighbour's over them, and what follows
//! from both.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use peerage_core::{
    speaker::{GracefulRestart, Neighbor, NeighborKey, NextHopMode, PeerAs},
    wire::{Asn, Family},
};

use crate::{
    hint,
    policy::Policies,
    reader::{Node, Place, Reader, Table, quote},
    reference, value,
};

/// The longest key that Linux takes for TCP MD5.
const PASSWORD: std::ops::RangeInclusive<usize> = 1..=80;

/// What stands in a group or a neighbour, so far.
#[derive(Clone)]
struct Draft {
    neighbor: Neighbor,
    /// Where each value was written, by the path of core's field.
    places: BTreeMap<&'static str, Place>,
    /// `default-originate = true`
    default_in_all: bool,
}

impl Draft {
    fn new() -> Self {
        Self { neighbor: Neighbor::new(PeerAs::Any), places: BTreeMap::new(), default_in_all: false }
    }

    fn says(&self, field: &str) -> bool {
        self.places.contains_key(field)
    }
}

/// A neighbour as far as its values are concerned, and where they stand.
pub(crate) struct Written {
    /// Where its name stands.
    pub(crate) place: Place,
    /// Where its values stand, by the path of core's field.
    pub(crate) places: BTreeMap<&'static str, Place>,
}

/// All neighbours.
#[derive(Default)]
pub(crate) struct Neighbors {
    pub(crate) neighbors: BTreeMap<NeighborKey, Neighbor>,
    pub(crate) written: BTreeMap<NeighborKey, Written>,
}

/// What reading a neighbour needs.
struct Context<'r> {
    reader: &'r mut Reader,
    policies: &'r mut Policies,
    own: Asn,
}

/// Reads `group` and `neighbor`.
pub(crate) fn read(reader: &mut Reader, policies: &mut Policies, root: &Table<'_>, own: Asn) -> Neighbors {
    let mut context = Context { reader, policies, own };
    let mut groups = BTreeMap::new();
    if let Some(node) = root.get("group") {
        for entry in context.reader.named(&node, "a table for each group: `[group.NAME]`") {
            let Some(table) = context.reader.table(&entry.node, &reference::NEIGHBOR) else { continue };
            if let Some(node) = table.get("group") {
                context.reader.error(&node.place, "a group is in no other group: leave it out");
            }
            let mut draft = Draft::new();
            draft.neighbor.peer_group = Some(entry.name.to_owned());
            read_settings(&mut context, &table, &mut draft);
            groups.insert(entry.name, (entry.node.place, draft));
        }
    }
    let mut used = BTreeSet::new();
    let mut neighbors = Neighbors::default();
    if let Some(node) = root.get("neighbor") {
        let expected = "a table for each neighbour: `[neighbor.\"10.0.0.1\"]` or `[neighbor.eth0]`";
        for entry in context.reader.named(&node, expected) {
            let key = match neighbor_key(entry.name, entry.node.is_table()) {
                Ok(key) => key,
                Err(problem) => {
                    context.reader.error(&entry.node.place, problem);
                    continue;
                }
            };
            let Some(table) = context.reader.table(&entry.node, &reference::NEIGHBOR) else { continue };
            let mut draft = Draft::new();
            if let Some(node) = table.get("group")
                && let Some(name) = context.reader.text(&node)
            {
                match groups.get(name) {
                    Some((_, group)) => draft = group.clone(),
                    None => {
                        let hint = hint::question(name, groups.keys().copied());
                        let message = format!("there is no group {}{hint}", quote(name));
                        context.reader.error(&node.place, message);
                        // Its AS may be there.
                        draft.places.insert("asn", node.place);
                    }
                }
                used.insert(name);
            }
            read_settings(&mut context, &table, &mut draft);
            let place = entry.node.place;
            follow(&mut context, &key, &place, &mut draft);
            if neighbors.neighbors.insert(key.clone(), draft.neighbor).is_some() {
                context
                    .reader
                    .error(&place, format!("the neighbour {key} is there already, written otherwise"));
            }
            neighbors.written.insert(key, Written { place, places: draft.places });
        }
    }
    for (name, (place, _)) in &groups {
        if !used.contains(name) {
            context.reader.notice(place, "no neighbour is in this group");
        }
    }
    neighbors
}

/// Who a name stands for.
fn neighbor_key(name: &str, is_table: bool) -> Result<NeighborKey, String> {
    if name.contains('/') {
        return value::prefix(name).map(NeighborKey::Range);
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Err(format!(
                "{address} is link-local and means nothing without its interface: name the neighbour by that, \
                 `[neighbor.eth0]`"
            )),
            _ => Ok(NeighborKey::Address(address)),
        };
    }
    if is_table && !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err("an address stands in quotes: `[neighbor.\"10.0.0.1\"]`".into());
    }
    let like_address =
        name.contains(':') || name.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    // What Linux takes for the name of an interface.
    let fits =
        (1..=15).contains(&name.len()) && !name.chars().any(|it| it.is_whitespace() || it.is_control());
    if like_address || !fits {
        return Err(format!(
            "expected an address, a prefix or the name of an interface, found {}",
            quote(name)
        ));
    }
    Ok(NeighborKey::Interface(name.to_owned()))
}

/// Reads what a table says over what is there.
fn read_settings(context: &mut Context<'_>, table: &Table<'_>, draft: &mut Draft) {
    read_identity(context.reader, table, draft);
    read_transport(context.reader, table, draft);
    if let Some(node) = table.get("timers")
        && let Some(timers) = context.reader.table(&node, &reference::TIMERS)
    {
        read_timers(context.reader, &timers, draft);
    }
    read_routes(context.reader, table, draft);
    let own = context.own;
    for (name, field) in [("import", "import"), ("export", "export")] {
        let Some(node) = table.get(name) else { continue };
        let policy = context.policies.resolve(context.reader, &node, own);
        draft.places.insert(field, node.place);
        let target = if name == "import" { &mut draft.neighbor.import } else { &mut draft.neighbor.export };
        *target = policy;
    }
}

/// Reads one key: what it says goes to `target`, its place is kept under core's name of the field.
fn read_into<T>(
    table: &Table<'_>,
    (name, field): (&str, &'static str),
    places: &mut BTreeMap<&'static str, Place>,
    target: &mut T,
    read: impl FnOnce(&Node<'_>) -> Option<T>,
) {
    let Some(node) = table.get(name) else { return };
    if let Some(value) = read(&node) {
        *target = value;
    }
    places.insert(field, node.place);
}

fn read_identity(reader: &mut Reader, table: &Table<'_>, draft: &mut Draft) {
    let Draft { neighbor, places, .. } = draft;
    read_into(table, ("as", "asn"), places, &mut neighbor.asn, |node| {
        let names = [("internal", PeerAs::Internal), ("external", PeerAs::External), ("any", PeerAs::Any)];
        let named = node.as_text().and_then(|text| names.iter().find(|(name, _)| *name == text));
        let number = || {
            let number = node.as_integer().and_then(|number| u32::try_from(number).ok())?;
            (number != 0).then_some(PeerAs::Number(Asn(number)))
        };
        let asn = named.map(|(_, asn)| *asn).or_else(number);
        if asn.is_none() {
            let expected = "an AS number from 1 to 4294967295, \"internal\", \"external\" or \"any\"";
            reader.expected(node, expected);
        }
        asn
    });
    read_into(table, ("description", "description"), places, &mut neighbor.description, |node| {
        reader.text(node).map(|text| Some(text.to_owned()))
    });
    read_into(table, ("passive", "passive"), places, &mut neighbor.passive, |node| reader.boolean(node));
    read_into(table, ("shutdown", "shutdown"), places, &mut neighbor.shutdown, |node| reader.boolean(node));
}

fn read_transport(reader: &mut Reader, table: &Table<'_>, draft: &mut Draft) {
    let Draft { neighbor, places, .. } = draft;
    read_into(table, ("port", "port"), places, &mut neighbor.port, |node| reader.integer(node, 1, 65535));
    read_into(table, ("local-address", "local_address"), places, &mut neighbor.local_address, |node| {
        reader.address(node).map(Some)
    });
    read_into(table, ("password", "socket.md5_key"), places, &mut neighbor.socket.md5_key, |node| {
        let password = node.as_text().filter(|text| PASSWORD.contains(&text.len()));
        if password.is_none() {
            // What stands there is not for a message.
            let (min, max) = (PASSWORD.start(), PASSWORD.end());
            reader.error(&node.place, format!("expected a text of {min} to {max} octets"));
        }
        password.map(|text| Some(text.as_bytes().to_vec()))
    });
    let socket = &mut neighbor.socket;
    if let (Some(node), Some(_)) = (table.get("ttl-security"), table.get("multihop")) {
        reader.error(&node.place, "not together with `multihop`: say here how many hops away it is");
    }
    if let Some(node) = table.get("multihop") {
        socket.ttl = reader.integer(&node, 1, 255);
        socket.min_ttl = None;
        places.insert("socket.ttl", node.place);
    }
    if let Some(node) = table.get("ttl-security") {
        // Sent with 255, each hop takes one (RFC 5082 §3).
        socket.ttl = Some(u8::MAX);
        socket.min_ttl = reader.integer(&node, 1, 254).map(|hops: u8| u8::MAX - (hops - 1));
        places.insert("socket.ttl", node.place);
    }
}

fn read_timers(reader: &mut Reader, table: &Table<'_>, draft: &mut Draft) {
    let Draft { neighbor, places, .. } = draft;
    let timers = &mut neighbor.timers;
    for (names, target) in [
        (("hold", "timers.hold"), &mut timers.hold),
        (("keepalive", "timers.keepalive"), &mut timers.keepalive),
        (("connect-retry", "timers.connect_retry"), &mut timers.connect_retry),
        (("idle-hold", "timers.idle_hold"), &mut timers.idle_hold),
        (("open", "timers.open"), &mut timers.open),
    ] {
        read_into(table, names, places, target, |node| reader.duration(node));
    }
    read_into(table, ("send-hold", "timers.send_hold"), places, &mut timers.send_hold, |node| {
        reader.duration(node).map(Some)
    });
}

fn read_routes(reader: &mut Reader, table: &Table<'_>, draft: &mut Draft) {
    let Draft { neighbor, places, default_in_all } = draft;
    read_into(table, ("families", "families"), places, &mut neighbor.families, |node| {
        reader.families(node).map(BTreeSet::from_iter)
    });
    read_into(
        table,
        ("extended-next-hop", "extended_next_hop"),
        places,
        &mut neighbor.extended_next_hop,
        |node| reader.boolean(node),
    );
    // Where core's check looks for what is wrong with it.
    let field = "graceful_restart.restart_time";
    read_into(table, ("graceful-restart", field), places, &mut neighbor.graceful_restart, |node| match node
        .as_bool()
    {
        Some(wanted) => Some(wanted.then(GracefulRestart::default)),
        None => reader.duration(node).map(|restart_time| Some(GracefulRestart { restart_time })),
    });
    read_into(table, ("next-hop", "next_hop"), places, &mut neighbor.next_hop, |node| {
        let modes = [
            ("standard", NextHopMode::Standard),
            ("self", NextHopMode::OwnAddress),
            ("unchanged", NextHopMode::Unchanged),
        ];
        reader.choice(node, &modes)
    });
    let client = &mut neighbor.route_reflector_client;
    read_into(table, ("route-reflector-client", "route_reflector_client"), places, client, |node| {
        reader.boolean(node)
    });
    read_into(table, ("prefix-limit", "prefix_limit"), places, &mut neighbor.prefix_limit, |node| {
        reader.integer(node, 1, u32::MAX.into()).map(Some)
    });
    read_into(
        table,
        ("enforce-first-as", "enforce_first_as"),
        places,
        &mut neighbor.enforce_first_as,
        |node| reader.boolean(node),
    );
    read_into(
        table,
        ("default-originate", "default_originate"),
        places,
        &mut neighbor.default_originate,
        |node| {
            if node.as_list().is_some() {
                *default_in_all = false;
                return reader.families(node).map(BTreeSet::from_iter);
            }
            match node.as_bool() {
                Some(all) => *default_in_all = all,
                None => reader.expected(node, "true, false or a list of families"),
            }
            Some(BTreeSet::new())
        },
    );
}

/// What follows from all values together.
fn follow(context: &mut Context<'_>, key: &NeighborKey, place: &Place, draft: &mut Draft) {
    let reader = &mut *context.reader;
    if !draft.says("asn") {
        let expected = "missing: expected an AS number, \"internal\", \"external\" or \"any\"";
        reader.error(&place.missing("as"), expected);
    }
    let external = match draft.neighbor.asn {
        PeerAs::External => true,
        PeerAs::Number(asn) => asn != context.own,
        PeerAs::Internal | PeerAs::Any => false,
    };
    let may_be_external = external || draft.neighbor.asn == PeerAs::Any;
    // A directly connected neighbour is one hop away.
    if external && draft.neighbor.socket.ttl.is_none() {
        draft.neighbor.socket.ttl = Some(1);
    }
    if draft.says("timers.hold") && !draft.says("timers.keepalive") {
        let timers = &mut draft.neighbor.timers;
        let third = timers.hold / 3;
        if third > Duration::ZERO {
            timers.keepalive = timers.keepalive.min(third);
        }
    }
    if draft.default_in_all {
        draft.neighbor.default_originate = draft.neighbor.families.clone();
    }
    let missing: Vec<String> = draft
        .neighbor
        .default_originate
        .difference(&draft.neighbor.families)
        .map(Family::to_string)
        .collect();
    if let (Some(place), [first, ..]) = (draft.places.get("default_originate"), missing.as_slice()) {
        reader.error(place, format!("{first} is none of the neighbour's families"));
    }
    if let Some(place) = draft.places.get("route_reflector_client")
        && draft.neighbor.route_reflector_client
        && external
    {
        reader.error(place, "only an iBGP neighbour is a client of a route reflector (RFC 4456)");
    }
    if let NeighborKey::Range(range) = key
        && range.prefix_len() == range.max_prefix_len()
    {
        let address = range.addr();
        let message = format!("only waits for connections: `[neighbor.\"{address}\"]` also makes them");
        reader.notice(place, message);
    }
    if may_be_external && draft.says("asn") && !draft.neighbor.shutdown {
        if !draft.says("import") {
            reader.notice(place, "no `import`: nothing is learned from it where it is external (RFC 8212)");
        }
        if !draft.says("export") && draft.neighbor.default_originate.is_empty() {
            reader.notice(place, "no `export`: nothing is announced to it where it is external (RFC 8212)");
        }
    }
}
