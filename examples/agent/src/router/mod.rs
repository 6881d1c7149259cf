//! `peerage router`: one speaker by a configuration file, in the place of a router.
//!
//! ```text
//! file -> Config (peerage_config) -> Desired -> speaker on a runtime
//!                                       ^          | events, views
//!                                    SIGHUP     log, `show`, `monitor`, `clear`
//! ```

mod control;
mod file;
mod links;
pub(crate) mod sockets;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use links::Links;
use peerage_config::{Config, Fault, LogLevel};
use peerage_core::{
    Speaker,
    speaker::{Desired, Faults, NeighborKey},
};
use peerage_sockets::{Clock, seed};
use sockets::Sockets;

use crate::{
    cli::{Format, RouterArgs},
    control::{Server, router_socket},
    daemon::{
        boot::Boot,
        count,
        log::Log,
        monitor::Listeners,
        news::Teller,
        plan,
        signals::{self, Asked},
    },
    node::{Node, Runtime},
};

/// How long ending sessions may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A router that runs.
pub(crate) struct Router {
    node: Node,
    log: Arc<Log>,
    listeners: Arc<Listeners>,
    sockets: Arc<Sockets>,
    links: Links,
    file: PathBuf,
    /// What listens and answers, which only a restart changes.
    started: Started,
}

/// Parts of the configuration that are used at the start only.
#[derive(Debug, PartialEq, Eq)]
struct Started {
    listen: Vec<SocketAddr>,
    socket: Option<PathBuf>,
}

/// Runs the router, or checks its file.
pub(crate) fn run(arguments: &RouterArgs) -> Result<ExitCode> {
    let config = match file::load(&arguments.config)? {
        Ok(config) => config,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            let name = arguments.config.display();
            eprintln!("peerage: {name}: {}; nothing was started", count(faults.len(), "fault"));
            return Ok(ExitCode::FAILURE);
        }
    };
    config.notices.iter().for_each(|notice| eprintln!("{notice}"));
    if arguments.check {
        crate::print(&format!("{}\n", file::summary(&arguments.config, &config)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let asked = signals::watch()?;
    let log = Arc::new(Log::start(config.log, Format::Text)?);
    let router = Arc::new(Router::start(arguments, config, Arc::clone(&log))?);
    let server = match router.answer(arguments) {
        Ok(server) => server,
        Err(error) => {
            router.node.shutdown("the router did not start", PATIENCE);
            log.flush();
            return Err(error);
        }
    };
    log.say(LogLevel::Info, &format!("`peerage show summary` asks at {}", server.path().display()));
    for asked in asked {
        match asked {
            Asked::Reload => router.reload(),
            Asked::End => break,
        }
    }
    log.say(LogLevel::Info, arguments.on_shutdown.farewell());
    drop(server);
    router.links.stop();
    router.node.end(arguments.on_shutdown, "the router is shut down", PATIENCE);
    log.say(LogLevel::Info, "ended");
    log.flush();
    Ok(ExitCode::SUCCESS)
}

impl Router {
    /// Starts the speaker.
    fn start(arguments: &RouterArgs, config: Config, log: Arc<Log>) -> Result<Self> {
        let Config { desired, listen, socket, .. } = config;
        let mut speaker = Speaker::new(seed(), Clock.now());
        speaker.reconcile(Clock.now(), &desired).map_err(|faults| anyhow!("{faults}"))?;
        // What it originates it knows; nothing else has to be waited for.
        speaker.release(Clock.now());
        if sockets::PROTECTS {
            speaker.protect_accepted();
        }
        let mut boot = arguments.state_dir.as_deref().map(Boot::look).transpose()?;
        if boot.as_ref().is_some_and(Boot::forwarding_kept) {
            speaker.mark_forwarding_kept();
        }
        let sockets = Arc::new(Sockets::new(Arc::clone(&log), &desired.neighbors));
        let setup = Arc::clone(&sockets);
        let node = Runtime::start(arguments.runtime)?.spawn_speaker(speaker, setup, &listen)?;
        boot.as_mut().map(Boot::announcing).transpose()?;
        let at: Vec<String> = node.listen_addrs().iter().map(ToString::to_string).collect();
        let at = if at.is_empty() { "nowhere".into() } else { at.join(" and ") };
        let text = format!("AS {}, router id {}, listening on {at}", desired.asn, desired.router_id);
        log.say(LogLevel::Info, &text);
        let listeners = Arc::new(Listeners::default());
        let (teller_log, told) = (Arc::clone(&log), Arc::clone(&listeners));
        let mut teller = Teller::default();
        node.set_event_sink(move |event| {
            if let Some(news) = teller.tell(&event) {
                teller_log.say(news.level, &news.text);
                told.tell(news);
            }
        });
        let links = Links::new(node.clone(), Arc::clone(&sockets), Arc::clone(&log));
        links.watch(links::interfaces(&desired));
        let file = arguments.config.clone();
        let started = Started { listen, socket };
        Ok(Self { node, log, listeners, sockets, links, file, started })
    }

    /// Answers on the control socket.
    fn answer(self: &Arc<Self>, arguments: &RouterArgs) -> Result<Server> {
        let named = arguments.socket.clone().or_else(|| self.started.socket.clone());
        let router = Arc::clone(self);
        let path = named.unwrap_or_else(router_socket);
        Server::start(&path, move |request| control::answer(&router, request))
    }

    /// What it calls itself.
    fn name(&self) -> String {
        self.node
            .with(|speaker, _| speaker.desired().and_then(|desired| desired.hostname.clone()))
            .unwrap_or_else(|| "router".into())
    }

    /// Reads the file again and becomes what it says. With faults, everything stays.
    fn reload(&self) {
        let faults = match file::load(&self.file) {
            Ok(Ok(config)) => return self.change(&config),
            Ok(Err(faults)) => faults.iter().map(Fault::to_string).collect(),
            Err(error) => vec![format!("{error:#}")],
        };
        faults.iter().for_each(|fault| self.log.tell(LogLevel::Error, &format!("reload: {fault}")));
        let text = format!("reload: {}; what runs goes on unchanged", count(faults.len(), "fault"));
        self.log.tell(LogLevel::Error, &text);
    }

    fn change(&self, config: &Config) {
        for notice in &config.notices {
            self.log.tell(LogLevel::Warn, &format!("reload: {notice}"));
        }
        let started = Started { listen: config.listen.clone(), socket: config.socket.clone() };
        for (same, what) in [
            (started.listen == self.started.listen, "listen"),
            (started.socket == self.started.socket, "socket"),
        ] {
            if !same {
                let text = format!(
                    "reload: `{what}` differs from the start: it needs a restart, and stays as it is"
                );
                self.log.tell(LogLevel::Warn, &text);
            }
        }
        self.log.set_level(config.log);
        // The sockets are told first, for nobody is to be spoken with before; but not of what is refused.
        let planned = self.node.with(|speaker, _| speaker.plan(&config.desired));
        if planned.is_ok() {
            self.sockets.set_neighbors(&config.desired.neighbors);
        }
        let done = self.node.with(|speaker, now| {
            planned?;
            let guarded = newly_guarded(speaker.desired(), &config.desired);
            let plan = speaker.reconcile(now, &config.desired)?;
            // A session goes on without the protection that is asked for now.
            for key in guarded {
                control::members(speaker, &key).iter().for_each(|key| speaker.reset(now, key));
            }
            Ok::<_, Faults>(plan)
        });
        if done.is_ok() {
            // A key, for instance, is another one on a session that goes on.
            self.node.refresh_sockets();
            self.links.watch(links::interfaces(&config.desired));
        }
        match done {
            Ok(plan) if plan.is_empty() => self.log.tell(LogLevel::Info, "reload: nothing changes"),
            Ok(plan) => {
                let count = count(plan.changes.len(), "change");
                let cost = plan::cost_name(plan.cost());
                self.log.tell(LogLevel::Info, &format!("reload: {count}, highest cost: {cost}"));
                for line in plan::lines(&plan, plan::ROUTER) {
                    self.log.tell(LogLevel::Info, &format!("reload:   {line}"));
                }
            }
            Err(faults) => {
                self.log.tell(LogLevel::Error, &format!("reload: {faults}; what runs goes on unchanged"));
            }
        }
    }
}

/// Neighbours that ask for protection which cannot be given, and did not before.
fn newly_guarded(old: Option<&Desired>, new: &Desired) -> Vec<NeighborKey> {
    let before = |key| old.and_then(|old| old.neighbors.get(key)).is_some_and(file::is_guarded);
    let now = new.neighbors.iter().filter(|(_, neighbor)| file::is_guarded(neighbor));
    now.map(|(key, _)| key).filter(|key| !before(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_examples_are_good() {
        for name in ["tor", "route-reflector", "collector"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../router/{name}.toml"));
            let config = file::load(&path).unwrap().unwrap();
            let line = file::summary(&path, &config);
            assert!(line.contains("good: AS "), "{line}");
            assert!(config.notices.iter().all(|notice| notice.line.is_some()), "{:?}", config.notices);
        }
    }
}
