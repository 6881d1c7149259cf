//! Peerage on tokio, as one side of a session.

use std::{
    fmt::Debug,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use ipnet::{IpNet, Ipv4Net};
use peerage_core::{
    Speaker,
    policy::Policy,
    rib::{Path, Route},
    speaker::{
        Desired, DownReason, Event, Neighbor, NeighborKey, NeighborStatus, Origination, PeerAs, PeerState,
        SourceId,
    },
    wire::{Asn, Family, RouterId, attr::PathAttributes},
};
use peerage_linux::{Discovery, Found, Protection};
use peerage_sockets::{Clock, seed};
use peerage_tokio::Node;
use tokio::runtime::Runtime;

use crate::{wait, wait_within};

/// The source of everything a test originates.
const SOURCE: SourceId = SourceId(1);

/// A neighbour that may be told and may tell everything, and is tried often.
pub fn accepting(asn: u32) -> Neighbor {
    let mut neighbor = Neighbor::new(PeerAs::Number(Asn(asn)));
    neighbor.import = Some(Policy::accept());
    neighbor.export = Some(Policy::accept());
    neighbor.timers.connect_retry = Duration::from_secs(1);
    neighbor.timers.idle_hold = Duration::from_millis(200);
    neighbor
}

/// A running Peerage.
#[derive(Debug)]
pub struct Ours {
    // Before the node, which it tells.
    discovery: Option<Discovery>,
    node: Node,
    // Declared after the node, which it runs.
    _runtime: Runtime,
    protection: Arc<Protection>,
    address: IpAddr,
    desired: Desired,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Ours {
    /// Starts Peerage at `address`, port 179, without neighbours.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn start(asn: u32, address: IpAddr) -> Result<Self> {
        Self::start_listening(asn, address, SocketAddr::new(address, 179))
    }

    /// [`Ours::start`] with another address to listen on.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn start_listening(asn: u32, address: IpAddr, listen: SocketAddr) -> Result<Self> {
        let ours = Self::spawn(asn, address, listen)?;
        ours.with(Speaker::release);
        Ok(ours)
    }

    /// [`Ours::start`] with a speaker that is held until somebody releases it.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub fn held(asn: u32, address: IpAddr) -> Result<Self> {
        Self::spawn(asn, address, SocketAddr::new(address, 179))
    }

    fn spawn(asn: u32, address: IpAddr, listen: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mut speaker = Speaker::new(seed(), Clock.now());
        speaker.protect_accepted();
        let protection = Arc::new(Protection::new(move |who, error| println!("{address}: {who}: {error}")));
        let setup = Arc::clone(&protection);
        let node = Node::spawn_on(runtime.handle(), speaker, setup, &[listen])?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        node.set_event_sink(Box::new(move |event| {
            // The cell's output is shown where it fails.
            println!("{address}: {event:?}");
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }));
        let router_id = match address {
            IpAddr::V4(v4) => v4,
            IpAddr::V6(v6) => Ipv4Addr::new(10, 77, 6, v6.octets()[15]),
        };
        Ok(Self {
            discovery: None,
            node,
            _runtime: runtime,
            protection,
            address,
            desired: Desired::new(Asn(asn), RouterId::from(router_id)),
            events,
        })
    }

    /// Adds or replaces a neighbour, at once.
    ///
    /// # Errors
    /// If its configuration has a fault.
    pub fn neighbor(&mut self, address: IpAddr, asn: u32, edit: impl FnOnce(&mut Neighbor)) -> Result<()> {
        let mut neighbor = accepting(asn);
        neighbor.local_address = Some(self.address);
        edit(&mut neighbor);
        self.configure(NeighborKey::Address(address), neighbor)
    }

    /// Adds or replaces a neighbour of any kind, at once.
    ///
    /// # Errors
    /// If its configuration has a fault.
    pub fn configure(&mut self, key: NeighborKey, neighbor: Neighbor) -> Result<()> {
        self.desired.neighbors.insert(key, neighbor);
        self.reconcile()
    }

    /// Removes a neighbour, at once.
    ///
    /// # Errors
    /// If what is left has a fault.
    pub fn remove(&mut self, key: impl Into<Key>) -> Result<()> {
        let Key(key) = key.into();
        self.desired.neighbors.remove(&key);
        self.reconcile()
    }

    fn reconcile(&mut self) -> Result<()> {
        let options = self.desired.neighbors.iter().map(|(key, it)| (key.clone(), it.socket.clone()));
        self.protection.set_neighbors(options);
        self.node.refresh_sockets();
        let faults = self.node.with(|speaker, now| speaker.reconcile(now, &self.desired));
        faults.map_err(|faults| anyhow::anyhow!("{faults}")).map(drop)
    }

    /// Looks for whoever is on the other end of interfaces, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// If the system does not let it.
    pub fn discover(&mut self, interfaces: &[&str]) -> Result<()> {
        let (node, protection) = (self.node.clone(), Arc::clone(&self.protection));
        let discovery = Discovery::start(move |found| {
            println!("{found:?}");
            if let Found::Neighbor { interface, address } = found {
                if protection.set_link_local(&interface, address) {
                    node.refresh_sockets();
                }
                node.with(|speaker, now| speaker.handle_neighbor(now, &interface, address));
            }
        })?;
        discovery.watch(interfaces.iter().map(ToString::to_string));
        self.discovery = Some(discovery);
        Ok(())
    }

    /// Something done to the speaker.
    pub fn with<R>(&self, f: impl FnOnce(&mut Speaker, peerage_core::time::Instant) -> R) -> R {
        self.node.with(f)
    }

    /// A neighbour as it stands.
    ///
    /// # Errors
    /// If it is not configured.
    pub fn status(&self, key: impl Into<Key>) -> Result<NeighborStatus> {
        let Key(key) = key.into();
        let neighbors = self.node.with(|speaker, _| speaker.neighbors());
        neighbors
            .into_iter()
            .find(|neighbor| neighbor.key == key)
            .with_context(|| format!("no neighbour {key}"))
    }

    /// Whether the session with a neighbour is established.
    pub fn is_up(&self, key: impl Into<Key>) -> bool {
        self.status(key).is_ok_and(|status| status.state == PeerState::Established)
    }

    /// Waits for a session.
    ///
    /// # Errors
    /// If it does not come up: the text has the neighbour's state.
    pub fn wait_up(&self, key: impl Into<Key>) -> Result<NeighborStatus> {
        let Key(key) = key.into();
        wait(&format!("{} to have a session with {key}", self.address), || {
            self.status(key.clone()).ok().filter(|status| status.state == PeerState::Established)
        })
        .with_context(|| format!("{:?}", self.status(key.clone()).map(|it| (it.state, it.last_error))))
    }

    /// Ends the session with a neighbour; it comes up again.
    pub fn reset(&self, key: impl Into<Key>) {
        let Key(key) = key.into();
        self.node.with(|speaker, now| speaker.reset(now, &key));
    }

    /// Waits for an event, now or in the past.
    ///
    /// # Errors
    /// If it does not come: the text has those that did.
    pub fn wait_event<T: Debug>(&self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> Result<T> {
        wait(&format!("{} to see {what}", self.address), || self.events().iter().find_map(&mut pick))
            .with_context(|| format!("events: {:?}", self.events()))
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a session or an attempt has ended for such a reason.
    ///
    /// # Errors
    /// If none has: the text has the events that there were.
    pub fn wait_end(&self, what: &str, mut fits: impl FnMut(&DownReason) -> bool) -> Result<DownReason> {
        self.wait_event(what, |event| match event {
            Event::PeerDown { reason, .. } | Event::AttemptFailed { reason, .. } if fits(reason) => {
                Some(reason.clone())
            }
            _ => None,
        })
    }

    /// Originates routes.
    pub fn originate(&self, prefixes: impl IntoIterator<Item = IpNet>, attributes: &PathAttributes) {
        let batch: Vec<Origination> = prefixes
            .into_iter()
            .map(|prefix| Origination { prefix, attributes: attributes.clone() })
            .collect();
        self.node.with(|speaker, _| speaker.originate(SOURCE, &batch));
    }

    /// Takes routes back.
    pub fn withdraw(&self, prefixes: &[IpNet]) {
        self.node.with(|speaker, _| speaker.withdraw(SOURCE, prefixes));
    }

    /// How many prefixes there are.
    pub fn count(&self, family: Family) -> usize {
        self.node.with(|speaker, _| speaker.rib().len(family))
    }

    /// One prefix.
    pub fn route(&self, prefix: IpNet) -> Option<Route> {
        self.node.with(|speaker, _| speaker.rib().route(prefix))
    }

    /// Waits for a prefix to have a best path.
    ///
    /// # Errors
    /// If it gets none: the text says what there is.
    pub fn wait_route(&self, prefix: IpNet) -> Result<Path> {
        wait(&format!("{} to have {prefix}", self.address), || self.route(prefix)?.best().cloned())
            .with_context(|| format!("{:?}", self.route(prefix)))
    }

    /// Waits for a prefix to be gone.
    ///
    /// # Errors
    /// If it stays.
    pub fn wait_gone(&self, prefix: IpNet) -> Result<()> {
        wait(&format!("{} to lose {prefix}", self.address), || self.route(prefix).is_none().then_some(()))
    }

    /// Waits for so many prefixes.
    ///
    /// # Errors
    /// If there are others: the text says how many.
    pub fn wait_count(&self, limit: Duration, family: Family, count: usize) -> Result<()> {
        wait_within(limit, &format!("{} to have {count} prefixes", self.address), || {
            (self.count(family) == count).then_some(())
        })
        .with_context(|| format!("{} prefixes", self.count(family)))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.node.shutdown_blocking("done", Duration::from_secs(2));
    }
}

/// A neighbour's key: an address will do.
#[derive(Clone, Debug)]
pub struct Key(NeighborKey);

impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Self {
        Self(NeighborKey::Address(address))
    }
}

impl From<NeighborKey> for Key {
    fn from(key: NeighborKey) -> Self {
        Self(key)
    }
}

/// The prefix number `index`: a /24 from 20.0.0.0 on.
pub fn prefix(index: u32) -> IpNet {
    Ipv4Net::new_assert(Ipv4Addr::from((20 << 24) + (index << 8)), 24).into()
}
