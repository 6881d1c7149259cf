//! Unnumbered neighbours: whoever is on the other end of an interface.

use std::sync::Arc;

use peerage_core::speaker::{Desired, NeighborKey};

use super::sockets::Sockets;
use crate::daemon::log::Log;
use crate::node::Node;

/// The interfaces whose other end is somebody to speak with.
pub(crate) fn interfaces(desired: &Desired) -> Vec<String> {
    let wanted = desired.neighbors.iter().filter(|(_, neighbor)| !neighbor.shutdown);
    wanted
        .filter_map(|(key, _)| match key {
            NeighborKey::Interface(name) => Some(name.clone()),
            NeighborKey::Address(_) | NeighborKey::Range(_) => None,
        })
        .collect()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use peerage_config::LogLevel;
    use peerage_linux::{Discovery, Found};

    use super::*;

    /// Looks for neighbours, once there is an interface to look at.
    #[derive(Debug)]
    pub(crate) struct Links {
        node: Node,
        sockets: Arc<Sockets>,
        log: Arc<Log>,
        discovery: Mutex<Option<Discovery>>,
    }

    impl Links {
        pub(crate) fn new(node: Node, sockets: Arc<Sockets>, log: Arc<Log>) -> Self {
            Self { node, sockets, log, discovery: Mutex::default() }
        }

        /// Looks at these interfaces from now on.
        pub(crate) fn watch(&self, interfaces: Vec<String>) {
            let mut discovery = self.lock();
            if discovery.is_none() && !interfaces.is_empty() {
                let (node, sockets, log) =
                    (self.node.clone(), Arc::clone(&self.sockets), Arc::clone(&self.log));
                match Discovery::start(move |found| tell(&node, &sockets, &log, found)) {
                    Ok(started) => *discovery = Some(started),
                    Err(error) => {
                        let text = format!(
                            "no neighbors on interfaces are looked for: {error}; the next reload tries again"
                        );
                        self.log.say(LogLevel::Error, &text);
                    }
                }
            }
            if let Some(discovery) = &*discovery {
                discovery.watch(interfaces);
            }
        }

        /// Looks no longer, and says so on the links.
        pub(crate) fn stop(&self) {
            let discovery = self.lock().take();
            drop(discovery);
        }

        fn lock(&self) -> MutexGuard<'_, Option<Discovery>> {
            self.discovery.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    fn tell(node: &Node, sockets: &Sockets, log: &Log, found: Found) {
        match found {
            Found::Neighbor { interface, address } => {
                if sockets.set_link_local(&interface, address) {
                    node.refresh_sockets();
                }
                node.with(|speaker, now| speaker.handle_neighbor(now, &interface, address));
                let text = match address {
                    Some(address) => format!("neighbor {interface}: {address} is on the link"),
                    None => format!("neighbor {interface}: nobody is known on the link any more"),
                };
                log.say(LogLevel::Info, &text);
            }
            Found::Fault { interface, error } => {
                log.say(LogLevel::Warn, &format!("neighbor {interface}: {error}"));
            }
            _ => {}
        }
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::Links;

/// Only Linux says enough of its links.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Links;

#[cfg(not(target_os = "linux"))]
impl Links {
    pub(crate) fn new(_node: Node, _sockets: Arc<Sockets>, _log: Arc<Log>) -> Self {
        Self
    }

    /// `--check` and the log have a notice for each of these.
    pub(crate) fn watch(&self, _interfaces: Vec<String>) {}

    pub(crate) fn stop(&self) {}
}
