//! The file: its own keys, and putting everything together.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use peerage_core::{
    speaker::{self, Desired, Limits},
    wire::{Asn, RouterId},
};
use toml::de::DeTable;

use crate::{
    Config, Fault, LogLevel,
    fault::Lines,
    neighbor::{self, Neighbors},
    originate,
    policy::Policies,
    reader::{Node, Place, Reader, Table},
    reference,
};

const PORT: u16 = 179;

/// Octets of a path that `sockaddr_un` has room for.
const SOCKET_PATH: std::ops::RangeInclusive<usize> = 1..=107;

const LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// All addresses of both families.
pub(crate) fn default_listen() -> Vec<SocketAddr> {
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    any.map(|address| SocketAddr::new(address, PORT)).to_vec()
}

/// What this text says, or everything that is wrong with it, in its order. `file` is what faults call it.
pub fn parse(file: &str, text: &str) -> Result<Config, Vec<Fault>> {
    // An editor may have put it there.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let entries = match DeTable::parse(text) {
        Ok(entries) => entries.into_inner(),
        Err(error) => {
            let (line, column) =
                Lines::new(text).position(error.span().map_or(text.len(), |span| span.start));
            // Its message alone: the rest shows the line, where there may be a password.
            let fault = Fault::error(file, error.message());
            return Err(vec![Fault { line: Some(line), column: Some(column), ..fault }]);
        }
    };
    let mut reader = Reader::default();
    let mut config = read(&mut reader, &entries);
    let (errors, notices) = reader.finish(file, text);
    if errors.is_empty() {
        config.notices = notices;
        Ok(config)
    } else {
        Err(errors)
    }
}

fn read(reader: &mut Reader, entries: &DeTable<'_>) -> Config {
    let root = reader.root(entries, &reference::ROUTER);
    let asn = required(reader, &root, "as", "an AS number", |reader, node| reader.asn(node));
    let id = required(reader, &root, "router-id", "an IPv4 address", |reader, node| {
        reader.parsed(node, "an IPv4 address", |text| text.parse::<RouterId>().ok())
    });
    // Where they are missing there is a fault, and these make no further one.
    let mut desired = Desired::new(asn.unwrap_or(Asn(1)), id.unwrap_or(RouterId(1)));
    let get = |name: &str| root.get(name);
    desired.cluster_id = get("cluster-id").and_then(|node| {
        reader.parsed(&node, "an IPv4 address other than 0.0.0.0", |text| {
            text.parse::<RouterId>().ok().filter(|id| id.0 != 0)
        })
    });
    desired.hostname = get("hostname").and_then(|node| reader.text(&node).map(str::to_owned));
    if let Some(node) = get("limits")
        && let Some(table) = reader.table(&node, &reference::LIMITS)
    {
        read_limits(reader, &table, &mut desired.limits);
    }
    if let Some(node) = get("originate") {
        desired.originate = originate::read(reader, &node, desired.asn);
    }
    let mut policies = match get("policy") {
        Some(node) => Policies::read(reader, &node, desired.asn),
        None => Policies::default(),
    };
    let mut neighbors = neighbor::read(reader, &mut policies, &root, desired.asn);
    policies.finish(reader);
    desired.neighbors = std::mem::take(&mut neighbors.neighbors);
    if let Err(faults) = desired.check() {
        for fault in faults.0 {
            lead_back(reader, &root, &neighbors, &fault);
        }
    }
    let mut config = Config::new(desired);
    if let Some(node) = get("listen") {
        config.listen = read_listen(reader, &node);
    }
    if let Some(node) = get("socket") {
        let expected = "the path of a socket, 1 to 107 octets";
        config.socket = reader.parsed(&node, expected, |text| {
            (SOCKET_PATH.contains(&text.len()) && !text.contains('\0')).then(|| PathBuf::from(text))
        });
    }
    if let Some(level) = get("log").and_then(|node| reader.choice(&node, &LEVELS)) {
        config.log = level;
    }
    config
}

/// A key that has to be there.
fn required<T>(
    reader: &mut Reader,
    table: &Table<'_>,
    name: &str,
    expected: &str,
    read: impl FnOnce(&mut Reader, &Node<'_>) -> Option<T>,
) -> Option<T> {
    match table.get(name) {
        Some(node) => read(reader, &node),
        None => {
            reader.error(&table.place.missing(name), format!("missing: expected {expected}"));
            None
        }
    }
}

fn read_limits(reader: &mut Reader, table: &Table<'_>, limits: &mut Limits) {
    const MOST: i64 = u32::MAX as i64;
    if let Some(node) = table.get("prefixes-per-neighbor")
        && let Some(value) = reader.integer(&node, 1, MOST)
    {
        limits.prefixes_per_neighbor = value;
    }
    for (name, least, target) in [
        ("refused-connections", 0, &mut limits.refused_connections),
        ("dynamic-peers", 0, &mut limits.dynamic_peers),
        ("retained-octets", 0, &mut limits.retained_octets),
        ("events", 1, &mut limits.events),
    ] {
        if let Some(node) = table.get(name)
            && let Some(value) = reader.integer(&node, least, MOST)
        {
            *target = value;
        }
    }
}

fn read_listen(reader: &mut Reader, node: &Node<'_>) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    let mut listen = Vec::new();
    for item in reader.list(node) {
        let address =
            reader.parsed(&item, "an address and port such as \"0.0.0.0:179\" or \"[::]:179\"", |text| {
                let port = || text.parse().ok().map(|address: IpAddr| SocketAddr::new(address, PORT));
                text.parse().ok().or_else(port)
            });
        let Some(address) = address else { continue };
        if !seen.insert(address) {
            reader.error(&item.place, format!("{address} is there already"));
        }
        listen.push(address);
    }
    listen
}

/// A fault of core's goes where the value was written that it is about.
fn lead_back(reader: &mut Reader, root: &Table<'_>, neighbors: &Neighbors, fault: &speaker::Fault) {
    for (key, written) in &neighbors.written {
        let Some(rest) = fault.path.strip_prefix(&format!("neighbors[{key}]")) else { continue };
        let field = match rest.strip_prefix('.') {
            Some(field) => field,
            None if rest.is_empty() => rest,
            None => continue,
        };
        let place = written.places.get(field).unwrap_or(&written.place);
        reader.error(place, fault.message.as_str());
        return;
    }
    let name = match fault.path.as_str() {
        "asn" => "as".to_owned(),
        path => path.split('.').next().unwrap_or(path).replace('_', "-"),
    };
    let known = reference::ROUTER.keys.iter().any(|key| key.name == name);
    let place = known.then(|| root.get(&name)).flatten().map(|node| node.place);
    let place = place.unwrap_or_else(|| Place { offset: 0, path: fault.path.clone() });
    reader.error(&place, fault.message.as_str());
}
