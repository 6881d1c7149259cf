//! What happens, as a line for people and as an object for programs.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use peerage_config::LogLevel;
use peerage_core::{
    rib::{Path, PathOrigin},
    speaker::{DownReason, Event, NeighborKey, PeerId},
};
use serde_json::{Map, Value, json};

use super::log::stamp;
use crate::cli::Format;

/// Refused connections are logged as a warning this often at most: anybody can make them.
const REFUSED_EVERY: Duration = Duration::from_secs(10);

/// Failed attempts that are remembered.
const REMEMBERED: usize = 4096;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// How much it matters.
    pub(crate) level: LogLevel,
    /// For people.
    pub(crate) text: String,
    /// For programs.
    json: Value,
    time: SystemTime,
    /// Whether nothing comes after it.
    pub(crate) last: bool,
}

impl News {
    /// Something that happened just now.
    pub(crate) fn new(level: LogLevel, text: String, json: Value) -> Self {
        Self { level, text, json, time: SystemTime::now(), last: false }
    }

    /// There is nothing more to tell, and why.
    pub(crate) fn end(text: &str) -> Self {
        let json = json!({ "event": "end", "reason": text });
        Self { last: true, ..Self::new(LogLevel::Info, text.into(), json) }
    }

    /// A best route is another one; `None`: there is none any more.
    pub(crate) fn route(prefix: ipnet::IpNet, best: Option<&Path>) -> Self {
        let Some(path) = best else {
            let json = json!({ "event": "withdraw", "prefix": prefix.to_string() });
            return Self::new(LogLevel::Info, format!("withdraw {prefix}"), json);
        };
        let from = match &path.origin {
            PathOrigin::Local(_) => None,
            PathOrigin::Peer { key, .. } => Some(key.to_string()),
        };
        let as_path = path.attributes.as_path.to_string();
        let mut text = format!("route {prefix}");
        match (&from, path.next_hop) {
            (None, _) => text += " originated here",
            (Some(from), None) => text += &format!(" from {from}"),
            (Some(from), Some(next_hop)) => text += &format!(" via {next_hop} from {from}"),
        }
        if !as_path.is_empty() {
            text += &format!(" path {as_path}");
        }
        let json = json!({
            "event": "route",
            "prefix": prefix.to_string(),
            "nextHop": path.next_hop.map(|next_hop| next_hop.to_string()),
            "from": from,
            "path": as_path,
            "origin": format!("{:?}", path.attributes.origin).to_lowercase(),
            "localPref": path.attributes.local_pref,
            "med": path.attributes.med,
            "communities": path.attributes.communities.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        Self::new(LogLevel::Info, text, json)
    }

    /// As a line, with its time.
    pub(crate) fn line(&self, format: Format) -> String {
        let time = stamp(self.time);
        match format {
            Format::Text => format!("{time} {}\n", self.text),
            Format::Json => {
                let mut line = Map::from_iter([("time".to_owned(), Value::from(time))]);
                if let Value::Object(fields) = &self.json {
                    line.extend(fields.clone());
                }
                format!("{}\n", Value::Object(line))
            }
        }
    }
}

/// From a speaker's events to news.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    names: HashMap<PeerId, NeighborKey>,
    /// Why a neighbour's last attempt failed: the same again is no warning.
    failed: HashMap<PeerId, DownReason>,
    refused: Option<Instant>,
}

impl Teller {
    /// What people want to know of an event.
    pub(crate) fn tell(&mut self, event: &Event) -> Option<News> {
        let (level, text, json) = match event {
            Event::PeerUp { peer, key, asn, router_id } => {
                self.names.insert(*peer, key.clone());
                self.failed.remove(peer);
                let text = format!("neighbor {key}: up, AS {asn}, router id {router_id}");
                let json = json!({
                    "event": "up", "neighbor": key.to_string(), "as": asn.0, "routerId": router_id.to_string(),
                });
                (LogLevel::Info, text, json)
            }
            Event::PeerDown { peer, key, reason } => {
                self.names.remove(peer);
                (LogLevel::Warn, format!("neighbor {key}: down: {reason}"), ended("down", key, reason))
            }
            Event::AttemptFailed { peer, key, reason } => {
                if self.failed.len() >= REMEMBERED {
                    // Peers of ranges come and go.
                    self.failed.clear();
                }
                let known = self.failed.insert(*peer, reason.clone());
                let level = if known.as_ref() == Some(reason) || is_collision(reason) {
                    LogLevel::Debug
                } else {
                    LogLevel::Warn
                };
                (level, format!("neighbor {key}: does not come up: {reason}"), ended("failed", key, reason))
            }
            Event::Refused { remote } => {
                let recent = self.refused.is_some_and(|last| last.elapsed() < REFUSED_EVERY);
                if !recent {
                    self.refused = Some(Instant::now());
                }
                let level = if recent { LogLevel::Debug } else { LogLevel::Warn };
                let json = json!({ "event": "refused", "remote": remote.to_string() });
                (level, format!("{remote}: refused: no neighbor that may connect now"), json)
            }
            Event::EndOfRib { peer, family } => {
                let key = self.name(*peer);
                let text = format!("neighbor {key}: has sent all its {family} routes");
                let json = json!({ "event": "end-of-rib", "neighbor": key, "family": family.to_string() });
                (LogLevel::Debug, text, json)
            }
            Event::MalformedUpdates { peer, count, fault } => {
                let key = self.name(*peer);
                let text = format!("neighbor {key}: {count} malformed UPDATEs, the last: {fault:?}");
                let json = json!({
                    "event": "malformed", "neighbor": key, "count": count, "fault": format!("{fault:?}"),
                });
                (LogLevel::Warn, text, json)
            }
            _ => return None,
        };
        Some(News::new(level, text, json))
    }

    fn name(&self, peer: PeerId) -> String {
        self.names.get(&peer).map_or_else(|| peer.to_string(), ToString::to_string)
    }
}

/// Two connections met and one was to go.
fn is_collision(reason: &DownReason) -> bool {
    match reason {
        DownReason::Sent(body) | DownReason::Received(body) => (body.code, body.subcode) == (6, 7),
        _ => false,
    }
}

/// The end of a session or of an attempt.
fn ended(event: &str, key: &NeighborKey, reason: &DownReason) -> Value {
    let (direction, body) = match reason {
        DownReason::Sent(body) => (Some("sent"), Some(body)),
        DownReason::Received(body) => (Some("received"), Some(body)),
        _ => (None, None),
    };
    json!({
        "event": event,
        "neighbor": key.to_string(),
        "reason": reason.to_string(),
        "direction": direction,
        "code": body.map(|body| body.code),
        "subcode": body.map(|body| body.subcode),
    })
}
