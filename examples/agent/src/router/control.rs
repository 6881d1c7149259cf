//! What a running router answers to `peerage show`, `monitor` and `clear`.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use anyhow::{Result, bail};
use peerage_config::LogLevel;
use peerage_core::{
    Speaker,
    speaker::{NeighborKey, NeighborStatus, PeerState},
};

use super::Router;
use crate::{
    cli::{FamilyName, Format, Soft, What},
    control::{Answer, Request, Response},
    daemon::monitor::Listener,
    show::{self, Instance},
};

/// Answers one request.
pub(crate) fn answer(router: &Router, request: Request) -> Answer {
    let result = match request {
        Request::Show { show, node, format, family } => {
            self::show(router, &show, node.as_deref(), format, family).map(Response::done)
        }
        Request::Clear { neighbor, soft } => clear(router, neighbor.as_deref(), soft).map(Response::done),
        Request::Monitor { format, .. } => {
            let (node, log) = (router.node.clone(), Arc::clone(&router.log));
            match Listener::join(&router.listeners, node, router.name(), log, format) {
                Some(listener) => {
                    return Answer::Stream(Box::new(move |stream| listener.serve(stream)));
                }
                None => Ok(Response::failed("as many monitors as there may be are running; end one")),
            }
        }
        Request::Apply { .. } | Request::Delete { .. } => Ok(Response::failed(
            "this is a router: change its file and send it SIGHUP; manifests are for a `peerage lab`",
        )),
    };
    Answer::Once(result.unwrap_or_else(|error| Response::failed(format!("{error:#}"))))
}

/// One view of the speaker.
fn show(
    router: &Router,
    what: &What,
    name: Option<&str>,
    format: Format,
    family: FamilyName,
) -> Result<String> {
    let own = router.name();
    if let Some(name) = name.filter(|name| *name != own) {
        bail!("this router is {own} and knows no {name}; leave --node out");
    }
    let family = what.family(family);
    let look = if what.needs_routes() { Instance::take } else { Instance::without_routes };
    let Some(instance) = router.node.with(|speaker, now| look(speaker, now, family, None, false)) else {
        bail!("the router is only starting; ask again");
    };
    show::answer(&router.node, &own, &instance, what, format)
}

/// Ends sessions, or has routes judged or sent again.
fn clear(router: &Router, which: Option<&str>, soft: Option<Soft>) -> Result<String> {
    let mut out = String::new();
    router.node.with(|speaker, now| -> Result<()> {
        let keys = keys(speaker, which)?;
        let is_up = |status: &NeighborStatus| status.state == PeerState::Established;
        let up: BTreeSet<NeighborKey> =
            speaker.neighbors().into_iter().filter(is_up).map(|status| status.key).collect();
        for key in keys {
            let done = match soft {
                None => {
                    speaker.reset(now, &key);
                    if up.contains(&key) {
                        "reset: its session ends with Cease 6/4 and starts again"
                    } else {
                        "reset: it was not established, and starts again"
                    }
                }
                Some(soft) => {
                    let inbound = if soft == Soft::Out { 0 } else { speaker.refresh_in(now, &key) };
                    let outbound = if soft == Soft::In { 0 } else { speaker.refresh_out(now, &key, None) };
                    match (inbound, outbound, soft) {
                        (0, 0, _) => "not established, nothing to do",
                        (_, _, Soft::In) => "the import policy is run again over what it announced",
                        (_, _, Soft::Out) => "everything is sent to it again",
                        (_, _, Soft::Both) => "the import policy is run again, and everything sent again",
                    }
                }
            };
            _ = writeln!(out, "neighbor {key}: {done}");
        }
        Ok(())
    })?;
    if out.is_empty() {
        out.push_str("nobody is connected\n");
    }
    out.lines().for_each(|line| router.log.say(LogLevel::Info, &format!("clear: {line}")));
    Ok(out)
}

/// Who is meant: everyone, a neighbour, or everyone whom a range let in.
fn keys(speaker: &Speaker, which: Option<&str>) -> Result<Vec<NeighborKey>> {
    let statuses = speaker.neighbors();
    let Some(which) = which else { return Ok(statuses.into_iter().map(|status| status.key).collect()) };
    let configured = speaker.desired().map(|desired| &desired.neighbors);
    let range = configured
        .into_iter()
        .flat_map(|all| all.keys())
        .find(|key| matches!(key, NeighborKey::Range(_)) && key.to_string() == which);
    if let Some(range) = range {
        return Ok(members(speaker, range));
    }
    let found: Vec<NeighborKey> = statuses
        .iter()
        .filter(|status| show::is_called(status, which))
        .map(|status| status.key.clone())
        .collect();
    if found.is_empty() {
        let known: Vec<String> = statuses.iter().map(|status| status.key.to_string()).collect();
        bail!("there is no neighbor {which}; there are {}", known.join(", "));
    }
    Ok(found)
}

/// The neighbours that a key of the configuration means now: itself, or whom a range let in.
pub(crate) fn members(speaker: &Speaker, key: &NeighborKey) -> Vec<NeighborKey> {
    let NeighborKey::Range(range) = key else { return vec![key.clone()] };
    let configured = speaker.desired().map(|desired| &desired.neighbors);
    let came = |key: &NeighborKey| {
        matches!(key, NeighborKey::Address(address) if range.contains(address))
            && configured.is_some_and(|all| !all.contains_key(key))
    };
    speaker.neighbors().into_iter().map(|status| status.key).filter(came).collect()
}
