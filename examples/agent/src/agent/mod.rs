//! `peerage agent`: the BGP instances of one Kubernetes node, by the objects of a source.
//!
//! ```text
//! directory -> Store -> Snapshot -> compile(node) -> Instances: a speaker each
//!   hints, looks        faults        faults           | events, views
//!                          \_____________\__ log, `show faults`, `show`, `monitor`
//! ```
//!
//! Everything right of the `Snapshot` knows no files: another source fills the same one.

mod control;
mod directory;
mod faults;
mod source;
mod watch;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::Duration,
};

use anyhow::{Result, bail};
use faults::Faults;
use peerage_config::LogLevel;
use peerage_core::speaker::{Change, Desired, Plan};
use peerage_kubernetes::{Compiled, Fault, Options, Severity, compile_with};
use peerage_sockets::SocketSetup;
use source::{Found, Source, Told};

use crate::{
    cli::AgentArgs,
    control::{Server, agent_socket},
    daemon::{
        boot::Boot,
        count,
        log::Log,
        monitor::Listeners,
        news::Teller,
        plan,
        signals::{self, Asked},
    },
    instances::{Home, Instances, Outcome, Wanted},
    node::{Node, Runtime},
    router::sockets::{PROTECTS, Sockets},
};

/// When an instance that could not start is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// An agent that runs.
pub(crate) struct Agent {
    /// The node's name.
    node: String,
    /// How objects are compiled.
    options: Options,
    log: Arc<Log>,
    instances: Instances,
    /// What belongs to each instance that runs.
    parts: Mutex<BTreeMap<String, Part>>,
    faults: Mutex<Faults>,
    /// What the program before this one announced is still forwarded.
    forwarding_kept: bool,
    boot: Mutex<Option<Boot>>,
}

/// What an instance has beside its speaker.
#[derive(Debug)]
struct Part {
    sockets: Arc<Sockets>,
    listeners: Arc<Listeners>,
}

/// What the main loop waits for.
enum Input {
    /// A signal.
    Asked(Asked),
    /// The source has found something, or has ended.
    Told(Told),
}

/// Runs the agent.
pub(crate) fn run(arguments: &AgentArgs) -> Result<ExitCode> {
    let (inputs, waiting) = channel();
    let found = inputs.clone();
    signals::watch_with(move |asked| inputs.send(Input::Asked(asked)).is_ok())?;
    let tell = move |told| found.send(Input::Told(told)).is_ok();
    let source = Source::start(&arguments.manifests, arguments.debounce, tell)?;
    // A directory may take its time; who asks for the end does not wait for it.
    loop {
        match waiting.recv()? {
            Input::Asked(Asked::End) => return Ok(ExitCode::SUCCESS),
            Input::Asked(Asked::Reload) => {}
            Input::Told(Told::Found) => break,
            Input::Told(Told::Ended(why)) => bail!("--manifests {}: {why}", arguments.manifests.display()),
        }
    }
    let log = Arc::new(Log::start(LogLevel::Info, arguments.output)?);
    let boot = arguments.state_dir.as_deref().map(Boot::look).transpose()?;
    let agent = Arc::new(Agent {
        node: arguments.node.clone(),
        options: arguments.compile.options(),
        log: Arc::clone(&log),
        instances: Instances::new(Runtime::start(arguments.runtime)?),
        parts: Mutex::default(),
        faults: Mutex::default(),
        forwarding_kept: boot.as_ref().is_some_and(Boot::forwarding_kept),
        boot: Mutex::new(boot),
    });
    let answering = Arc::clone(&agent);
    let socket = arguments.socket.clone().unwrap_or_else(agent_socket);
    // Before any session: a socket in use is said at once.
    let server = Server::start(&socket, move |request| control::answer(&answering, request))?;
    log.say(LogLevel::Info, &format!("`peerage show summary` asks at {}", server.path().display()));
    let ended = agent.follow(&source, &waiting);
    if let Err(why) = &ended {
        log.say(LogLevel::Error, &format!("--manifests {}: {why}", arguments.manifests.display()));
    }
    log.say(LogLevel::Info, arguments.on_shutdown.farewell());
    drop(server);
    agent.instances.shutdown(arguments.on_shutdown, "the agent is shut down");
    log.say(LogLevel::Info, "ended");
    log.flush();
    Ok(if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Agent {
    /// Becomes what the source says, again and again, until the end is asked for; or why there is nothing to
    /// follow any more.
    fn follow(&self, source: &Source, waiting: &Receiver<Input>) -> Result<(), String> {
        let mut current = None;
        let mut wait = Duration::ZERO;
        loop {
            match waiting.recv_timeout(wait) {
                Ok(Input::Asked(Asked::End)) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err("nobody looks at it any more".into()),
                Ok(Input::Told(Told::Ended(why))) => return Err(why),
                Ok(Input::Asked(Asked::Reload)) => {
                    source.ask();
                    continue;
                }
                Ok(Input::Told(Told::Found)) | Err(RecvTimeoutError::Timeout) => {}
            }
            current = source.take().or(current);
            let done = current.as_mut().is_none_or(|found| self.become_what(found));
            wait = if done { Duration::MAX } else { RETRY };
        }
    }

    /// Becomes what the objects say; whether all of it could be done.
    fn become_what(&self, found: &mut Found) -> bool {
        let Compiled { policy, instances, local_ports, held, faults, .. } =
            compile_with(&found.snapshot, &self.node, self.options);
        let mut all = found.snapshot.faults();
        all.extend(found.notes.iter().cloned());
        if policy.is_none() && faults.is_empty() {
            let message = "no CiliumBGPPeeringPolicy selects it: no BGP instance runs here";
            all.push(Fault { severity: Severity::Notice, ..self.fault(message.into()) });
        }
        all.extend(faults);
        let wanted: BTreeMap<String, Wanted> = instances
            .into_iter()
            .map(|(name, desired)| {
                let listen = local_ports.get(&name).map(|port| everywhere(*port)).unwrap_or_default();
                (name, Wanted { desired, listen })
            })
            .collect();
        let home = HomeOf { agent: self, starting: RefCell::default() };
        let outcomes = self.instances.apply(&wanted, &held, &home);
        let mut done = true;
        if outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Started(_) | Outcome::Changed(_))) {
            let mut boot = self.boot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Err(error)) = boot.as_mut().map(Boot::announcing) {
                done = false;
                let remedy = "neighbours forget routes when it is started again; check --state-dir";
                all.push(self.fault(format!("{error:#}: {remedy}")));
            }
        }
        for (name, outcome) in &outcomes {
            if let Outcome::Failed { why, runs } = outcome {
                done = false;
                let rest = if *runs { "what ran of it goes on" } else { "it does not run" };
                let again = RETRY.as_secs();
                all.push(
                    self.fault(format!("BGP instance {name}: {why}; {rest}; tried again every {again} s")),
                );
            }
        }
        let lines = self.lock_faults().replace(all, &found.files);
        let quiet = lines.is_empty();
        lines.iter().for_each(|(level, text)| self.log.say(*level, text));
        let said = outcomes.iter().filter(|(name, outcome)| self.say(name, outcome)).count();
        if std::mem::take(&mut found.asked) && quiet && said == 0 {
            self.log.say(LogLevel::Info, "looked again: nothing changes");
        }
        self.forget();
        done
    }

    /// Something about the node.
    fn fault(&self, message: String) -> Fault {
        Fault { object: Some(format!("Node/{}", self.node)), ..Fault::error("", message) }
    }

    /// Says what became of an instance; whether that is anything.
    fn say(&self, name: &str, outcome: &Outcome) -> bool {
        let tell = |text: &str| self.log.say(LogLevel::Info, &format!("instance {name}: {text}"));
        match outcome {
            // That was said before its sessions came up.
            Outcome::Started(_) => {}
            Outcome::Changed(plan) if plan.is_empty() => return false,
            Outcome::Changed(plan) => {
                let cost = plan::cost_name(plan.cost());
                tell(&format!("{}, highest cost: {cost}", count(plan.changes.len(), "change")));
                plan::lines(plan, plan::POLICY).iter().for_each(|line| tell(&format!("  {line}")));
            }
            Outcome::Ended(plan) => {
                let sessions = removed(plan);
                tell(&format!("ends: nobody wants it any more; {}: Cease 6/3", count(sessions, "neighbor")));
            }
            // That is a fault.
            Outcome::Failed { .. } => return false,
        }
        true
    }

    /// Drops what belonged to instances that are not there any more.
    fn forget(&self) {
        let running: BTreeSet<String> = self.instances.running().into_iter().map(|(name, _)| name).collect();
        self.lock_parts().retain(|name, part| {
            let runs = running.contains(name);
            if !runs {
                part.listeners.end("the instance has ended");
            }
            runs
        });
    }

    fn lock_parts(&self) -> MutexGuard<'_, BTreeMap<String, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent, as its instances see it.
struct HomeOf<'a> {
    agent: &'a Agent,
    /// Of one that is about to start; it may not come to that.
    starting: RefCell<Option<(String, Part)>>,
}

impl Home for HomeOf<'_> {
    fn sockets(&self, name: &str) -> Arc<dyn SocketSetup> {
        let sockets = Arc::new(Sockets::new(Arc::clone(&self.agent.log), &BTreeMap::new()));
        let part = Part { sockets: Arc::clone(&sockets), listeners: Arc::default() };
        self.starting.replace(Some((name.to_owned(), part)));
        sockets
    }

    fn started(&self, name: &str, wanted: &Wanted, node: &Node) {
        node.with(|speaker, _| {
            if PROTECTS {
                speaker.protect_accepted();
            }
            if self.agent.forwarding_kept {
                speaker.mark_forwarding_kept();
            }
        });
        let Wanted { desired, listen } = wanted;
        let listens = match listen.first() {
            Some(address) => format!("listening on port {}", address.port()),
            None => "it does not listen".to_owned(),
        };
        let text = format!(
            "instance {name}: starts: AS {}, router id {}, {}, {}, {listens}",
            desired.asn,
            desired.router_id,
            count(desired.neighbors.len(), "neighbor"),
            count(desired.originate.len(), "route"),
        );
        self.agent.log.say(LogLevel::Info, &text);
        let log = Arc::clone(&self.agent.log);
        let listeners =
            self.starting.borrow().as_ref().map(|(_, part)| Arc::clone(&part.listeners)).unwrap_or_default();
        let name = name.to_owned();
        let mut teller = Teller::default();
        node.set_event_sink(move |event| {
            if let Some(news) = teller.tell(&event) {
                log.say(news.level, &format!("instance {name}: {}", news.text));
                listeners.tell(news);
            }
        });
    }

    fn telling(&self, name: &str, desired: &Desired) {
        let mut parts = self.agent.lock_parts();
        if let Some((name, part)) = self.starting.take().filter(|(starting, _)| starting == name)
            && let Some(old) = parts.insert(name, part)
        {
            old.listeners.end("the instance starts anew");
        }
        if let Some(part) = parts.get(name) {
            part.sockets.set_neighbors(&desired.neighbors);
        }
    }
}

/// Every address of this host, in the families that it has. Only what is said about IPv6 counts: an instance
/// does not move because this process is short of sockets for a moment.
fn everywhere(port: u16) -> Vec<SocketAddr> {
    let has_ipv6 = match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => true,
        Err(error) => {
            error.kind() != ErrorKind::AddrNotAvailable
                && error.raw_os_error() != Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        }
    };
    let ipv6 = has_ipv6.then(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))].into_iter().chain(ipv6).collect()
}

/// How many neighbours a plan removes.
fn removed(plan: &Plan) -> usize {
    plan.changes.iter().filter(|change| matches!(change, Change::RemoveNeighbor(_))).count()
}
