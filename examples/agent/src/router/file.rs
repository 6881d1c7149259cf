//! The file: reading it, and what is to be said about it.

use std::path::Path;

use anyhow::Result;
use peerage_config::{Config, Fault, Severity};
use peerage_core::speaker::{Neighbor, NeighborKey};

use super::sockets::PROTECTS;
use crate::{daemon::count, files};

/// Reads the file. What is wrong with it is in the inner result, in its order.
pub(crate) fn load(path: &Path) -> Result<Result<Config, Vec<Fault>>> {
    let file = files::read(path)?;
    Ok(peerage_config::parse(&file.name, &file.text).map(|mut config| {
        for (key, neighbor) in &config.desired.neighbors {
            config.notices.extend(limits(key, neighbor).map(|message| Fault {
                file: file.name.clone(),
                line: line(&file.text, key),
                column: None,
                severity: Severity::Notice,
                path: path_of(key),
                message: message.into(),
            }));
        }
        config.notices.sort_by_key(|notice| (notice.line, notice.column));
        config
    }))
}

/// What the configuration may say of a neighbour and this program cannot do.
fn limits(key: &NeighborKey, neighbor: &Neighbor) -> impl Iterator<Item = &'static str> {
    let interface = cfg!(not(target_os = "linux")) && matches!(key, NeighborKey::Interface(_));
    let interface = (interface && !neighbor.shutdown).then_some(
        "on this system nothing looks for whoever is on the link: it is waited for, and not connected to",
    );
    let guarded = is_guarded(neighbor).then_some(
        "on this system `password` cannot be set nor `ttl-security` checked: no connection with this neighbour is made or accepted",
    );
    interface.into_iter().chain(guarded)
}

/// Whether it asks for protection that the sockets here do not give. It is never spoken with: without the
/// protection would be worse than not at all.
pub(crate) const fn is_guarded(neighbor: &Neighbor) -> bool {
    !PROTECTS && neighbor.socket.protects()
}

/// A neighbour as the file names it.
fn path_of(key: &NeighborKey) -> String {
    match key {
        NeighborKey::Interface(name) => format!("neighbor.{name}"),
        NeighborKey::Address(_) | NeighborKey::Range(_) => format!("neighbor.\"{key}\""),
    }
}

/// The line of its table, where that is written as usual.
fn line(text: &str, key: &NeighborKey) -> Option<usize> {
    let headers = [format!("[neighbor.\"{key}\"]"), format!("[neighbor.{key}]")];
    let at = text.lines().position(|line| headers.iter().any(|header| line.trim_start().starts_with(header)));
    at.map(|index| index + 1)
}

/// One line that says what a file makes of a router.
pub(crate) fn summary(name: &Path, config: &Config) -> String {
    let desired = &config.desired;
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let listen = if listen.is_empty() { "nowhere".into() } else { listen.join(" and ") };
    format!(
        "{}: good: AS {}, router id {}, listens on {listen}, {}, {}",
        name.display(),
        desired.asn,
        desired.router_id,
        count(desired.neighbors.len(), "neighbor"),
        count(desired.originate.len(), "originated route"),
    )
}
