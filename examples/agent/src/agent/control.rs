//! What a running agent answers to `peerage show`, `monitor` and `clear`.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::Agent;
use crate::{
    cli::{FamilyName, Format, What},
    control::{Answer, Request, Response},
    daemon::monitor::Listener,
    node::Node,
    show::{self, Instance},
};

/// Answers one request.
pub(super) fn answer(agent: &Agent, request: Request) -> Answer {
    let result = match request {
        Request::Show { show: What::Faults, format, .. } => {
            show::faults(&agent.node, agent.lock_faults().current(), format).map(Response::done)
        }
        Request::Show { show, node, format, family } => {
            self::show(agent, &show, node.as_deref(), format, family).map(Response::done)
        }
        Request::Monitor { node, format } => match monitor(agent, node.as_deref(), format) {
            Ok(listener) => return Answer::Stream(Box::new(move |stream| listener.serve(stream))),
            Err(error) => Err(error),
        },
        Request::Clear { .. } => Ok(Response::failed(
            "`peerage clear` is for a `peerage router`; an agent's sessions follow its policies",
        )),
        Request::Apply { .. } | Request::Delete { .. } => Ok(Response::failed(
            "this is an agent: change the files of its directory; `apply` and `delete` are for a `peerage lab`",
        )),
    };
    Answer::Once(result.unwrap_or_else(|error| Response::failed(format!("{error:#}"))))
}

/// One view of one speaker.
fn show(
    agent: &Agent,
    what: &What,
    name: Option<&str>,
    format: Format,
    family: FamilyName,
) -> Result<String> {
    let (name, node) = find(agent, name)?;
    let family = what.family(family);
    let look = if what.needs_routes() { Instance::take } else { Instance::without_routes };
    let Some(instance) = node.with(|speaker, now| look(speaker, now, family, None, false)) else {
        bail!("instance {name} is only starting; ask again");
    };
    show::answer(&node, &agent.node, &instance, what, format)
}

/// Follows one speaker.
fn monitor(agent: &Agent, name: Option<&str>, format: Format) -> Result<Listener> {
    let (name, node) = find(agent, name)?;
    let listeners = agent.lock_parts().get(&name).map(|part| Arc::clone(&part.listeners)).unwrap_or_default();
    let log = Arc::clone(&agent.log);
    match Listener::join(&listeners, node, format!("{}/{name}", agent.node), log, format) {
        Some(listener) => Ok(listener),
        None => bail!("as many monitors as there may be are running; end one"),
    }
}

/// The instance that `name` means: the only one, or by AS, with the node's name before it or not.
fn find(agent: &Agent, name: Option<&str>) -> Result<(String, Node)> {
    let mut running = agent.instances.running();
    let own = &agent.node;
    let wanted = match name {
        None => None,
        Some(name) if name == own => None,
        Some(name) => Some(name.strip_prefix(own).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)),
    };
    let names = running.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    match wanted {
        _ if running.is_empty() => bail!("{own} runs no BGP instance; `peerage show faults` may say why"),
        None if running.len() > 1 => {
            bail!("{own} runs several BGP instances; say --node with one of {names}")
        }
        None => Ok(running.remove(0)),
        Some(wanted) => match running.into_iter().find(|(name, _)| name == wanted) {
            Some(found) => Ok(found),
            None => bail!("{own} runs no BGP instance {wanted}; it runs {names}"),
        },
    }
}
