//! The thread that watches interfaces: it joins what the kernel says ([`Links`]), what arrives ([`Icmp`]) and
//! what is to be done ([`Exchange`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::Ipv6Addr,
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use crate::{
    exchange::{Exchange, LIFETIME, Send},
    icmp::{Icmp, To},
    links::{Link, Links},
    message,
    netlink::Netlink,
};

/// Packets read from one interface at a time.
const BATCH: usize = 32;
/// How long nothing is read after a full batch: a flood costs no more than this.
const REST: Duration = Duration::from_millis(10);
/// How long an interface may take to be ready before somebody is told that it is not. Detecting duplicates
/// of its address takes one to two seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between attempts at what the system refuses.
const RETRY: Duration = Duration::from_secs(5);

/// What [`Discovery`] has to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found {
    /// Who is on the other end of an interface: what
    /// [`Speaker::handle_neighbor`](peerage_core::Speaker::handle_neighbor) wants to know.
    Neighbor {
        /// The interface, by the name it was given with.
        interface: String,
        /// The link-local address there; `None`: there is none any more.
        address: Option<Ipv6Addr>,
    },
    /// Something keeps from looking, with the remedy. It is tried again, and said once.
    Fault {
        /// The interface.
        interface: String,
        /// What, with the remedy.
        error: io::Error,
    },
}

/// Finds whoever is on the other end of interfaces, and lets itself be found (RFC 4861).
///
/// On each interface that is watched it does what FRR does for `neighbor IFNAME interface`: a Router
/// Advertisement every ten seconds at most, with a router lifetime of 30 s, and after a Router Solicitation,
/// three seconds apart at least; and it listens to those of the other end. The neighbour's address is the
/// source of the last one; it is gone when the interface goes down or away, or when what it said has run out.
/// Advertisements that did not come from the link (a hop limit other than 255) do not count.
///
/// Hosts on such a link that heed advertisements take this one for a default router, as they do with FRR:
/// the link is to be one between two routers.
///
/// Interfaces may come, go, change their names and lose their carrier at any time: the kernel says so. What
/// is looked at is the network namespace of the thread that called [`Discovery::start`]. Sockets need
/// `CAP_NET_RAW`; without it there is a [`Found::Fault`].
///
/// Dropping it ends the thread, within moments.
pub struct Discovery {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    wake: EventFd,
    names: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
}

impl Discovery {
    /// Starts the thread. `tell` is called on it, and nothing else is done until it returns.
    ///
    /// # Errors
    /// If the thread, or its socket to hear about interfaces, cannot be had.
    pub fn start(tell: impl FnMut(Found) + std::marker::Send + 'static) -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let netlink = Netlink::open()?;
        let shared = Arc::new(Shared { wake, names: Mutex::default(), stop: AtomicBool::new(false) });
        let watcher = Watcher {
            shared: Arc::clone(&shared),
            tell: Box::new(tell),
            netlink,
            links: Links::default(),
            watched: BTreeMap::new(),
            random: u64::from_ne_bytes(*peerage_sockets::seed().first_chunk().unwrap_or(&[1; 8])),
            rest: None,
        };
        let thread = thread::Builder::new().name("neighbors".into()).spawn(move || watcher.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Which interfaces to watch from now on, by their names. They need not be there.
    pub fn watch(&self, interfaces: impl IntoIterator<Item = String>) {
        *self.shared.names.lock().unwrap_or_else(PoisonError::into_inner) = interfaces.into_iter().collect();
        self.wake();
    }

    fn wake(&self) {
        // It fails only if it has been woken 2^64 times already.
        let _ = self.shared.wake.write(1);
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("interfaces", &self.shared.names).finish_non_exhaustive()
    }
}

/// What the thread has.
struct Watcher {
    shared: Arc<Shared>,
    tell: Box<dyn FnMut(Found) + std::marker::Send>,
    netlink: Netlink,
    links: Links,
    watched: BTreeMap<String, Watched>,
    random: u64,
    /// Until when no packet is read.
    rest: Option<Instant>,
}

/// An interface that is to be watched.
struct Watched {
    /// While the interface is ready.
    channel: Option<Channel>,
    /// What was told last.
    told: Option<Ipv6Addr>,
    /// What is wrong, as it was told.
    fault: Option<String>,
    /// Why it is not ready, and since when.
    missing: Option<Missing>,
    since: Instant,
    /// When to try again what failed.
    retry: Option<Instant>,
}

struct Channel {
    icmp: Icmp,
    exchange: Exchange,
    link_layer: Vec<u8>,
}

impl Watcher {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.hear();
            let now = Instant::now();
            self.receive(now);
            self.rename(now);
            let names: Vec<String> = self.watched.keys().cloned().collect();
            for name in &names {
                self.look_after(now, name);
            }
            let deadline = self.watched.values().filter_map(|it| it.deadline(now)).min();
            self.wait(now, deadline);
        }
        self.watched.values().for_each(Watched::say_goodbye);
    }

    /// Begins and ends to watch.
    fn rename(&mut self, now: Instant) {
        let names = self.shared.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gone: Vec<String> = self.watched.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for interface in gone {
            let Some(watched) = self.watched.remove(&interface) else { continue };
            watched.say_goodbye();
            if watched.told.is_some() {
                self.tell(Found::Neighbor { interface, address: None });
            }
        }
        for name in names {
            self.watched.entry(name).or_insert(Watched {
                channel: None,
                told: None,
                fault: None,
                missing: None,
                since: now,
                retry: None,
            });
        }
    }

    /// Makes one interface what it should be now, sends what is due and tells what has changed.
    fn look_after(&mut self, now: Instant, name: &str) {
        let jitter = self.jitter();
        let Some(watched) = self.watched.get_mut(name) else { return };
        let mut fault = None;
        match self.links.named(name).filter(|(_, link)| link.is_ready()) {
            None => {
                // What comes of it has another beginning, and until then nothing is to be tried.
                (watched.channel, watched.retry) = (None, None);
                let missing = Missing::of(self.links.named(name).map(|(_, link)| link));
                if watched.missing != Some(missing) {
                    // It has come this far, and may take its time for the rest.
                    (watched.missing, watched.since, watched.fault) = (Some(missing), now, None);
                }
                if self.links.is_complete() && now >= watched.since + PATIENCE {
                    fault = Some(io::Error::new(io::ErrorKind::NetworkDown, missing.explain(name)));
                }
            }
            Some((index, link)) => {
                watched.missing = None;
                let other = watched.channel.as_ref().is_none_or(|channel| channel.icmp.index() != index);
                if other && watched.retry.is_none_or(|retry| retry <= now) {
                    watched.channel = None;
                    match Icmp::open(name, index) {
                        Ok(icmp) => {
                            let exchange = Exchange::new(now, jitter);
                            watched.channel = Some(Channel { icmp, exchange, link_layer: Vec::new() });
                            (watched.retry, watched.fault) = (None, None);
                        }
                        Err(error) => {
                            watched.retry = Some(now + RETRY);
                            fault = Some(error);
                        }
                    }
                }
                if let Some(channel) = &mut watched.channel {
                    channel.link_layer.clone_from(&link.link_layer);
                    match channel.send_due(now, jitter) {
                        None => {}
                        Some(Ok(())) => watched.fault = None,
                        Some(Err(error)) => fault = Some(error),
                    }
                }
            }
        }
        let address = watched.channel.as_ref().and_then(|channel| channel.exchange.other());
        let changed = std::mem::replace(&mut watched.told, address) != address;
        let fault = fault.filter(|error| {
            let text = error.to_string();
            let new = watched.fault.as_ref() != Some(&text);
            watched.fault = Some(text);
            new
        });
        if changed {
            self.tell(Found::Neighbor { interface: name.to_owned(), address });
        }
        if let Some(error) = fault {
            self.tell(Found::Fault { interface: name.to_owned(), error });
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self, now: Instant, deadline: Option<Instant>) {
        let resting = self.rest.take_if(|rest| *rest > now);
        self.rest = resting;
        let deadline = [deadline, resting].into_iter().flatten().min();
        let mut wanted = vec![
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.netlink.as_fd(), PollFlags::POLLIN),
        ];
        if resting.is_none() {
            let channels = self.watched.values().filter_map(|watched| watched.channel.as_ref());
            wanted.extend(channels.map(|channel| PollFd::new(channel.icmp.as_fd(), PollFlags::POLLIN)));
        }
        let deadline = if self.netlink.is_behind() { Some(now) } else { deadline };
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            // Rounded up: waking early would only be waking twice.
            let left = deadline.saturating_duration_since(now) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // Interrupted or not, everything is looked at.
        let _ = poll(&mut wanted, timeout);
        let _ = self.shared.wake.read();
    }

    /// Takes in what the kernel says of interfaces.
    fn hear(&mut self) {
        let links = &mut self.links;
        if self.netlink.read(|update| links.update(update)).is_err() {
            // A socket that fails is of no use any more; a new one tells everything. Where it cannot be had, the
            // system is short of something, and the old one still wakes this thread at once.
            if let Ok(netlink) = Netlink::open() {
                self.netlink = netlink;
            }
            thread::sleep(REST);
        }
    }

    /// Takes in what has arrived, for each interface at most a batch.
    fn receive(&mut self, now: Instant) {
        if self.rest.is_some_and(|rest| rest > now) {
            return;
        }
        let names: Vec<String> = self.watched.keys().cloned().collect();
        for name in names {
            let jitter = self.jitter();
            let Some(channel) = self.watched.get_mut(&name).and_then(|watched| watched.channel.as_mut())
            else {
                continue;
            };
            let own = self.links.named(&name).map(|(_, link)| link);
            for count in 1..=BATCH {
                // An error is about one packet, or the interface is gone, which the kernel says otherwise.
                let Ok(Some(it)) = channel.icmp.receive() else { break };
                if own.is_none_or(|link| !link.has(it.source))
                    && let Ok(message) = message::parse(it.source, it.hop_limit, it.octets)
                {
                    channel.exchange.handle(now, it.source, message, jitter);
                }
                if count == BATCH {
                    self.rest = Some(now + REST);
                }
            }
        }
    }

    fn tell(&mut self, found: Found) {
        // It is somebody else's panic, and has been reported: the other interfaces still want looking after.
        let _ = catch_unwind(AssertUnwindSafe(|| (self.tell)(found)));
    }

    /// A random number from 0 to 1 (SplitMix64): enough to keep routers from sending in step.
    fn jitter(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from((word >> 40) as u32) / f64::from(1 << 24)
    }
}

impl Watched {
    /// When there is something to do without anything happening.
    fn deadline(&self, now: Instant) -> Option<Instant> {
        let patience = self.since + PATIENCE;
        match &self.channel {
            Some(channel) => Some(channel.exchange.timeout()),
            None => self.retry.or(Some(patience)).filter(|deadline| *deadline > now),
        }
    }

    /// Says that no router is here any more (RFC 4861 §6.2.5).
    fn say_goodbye(&self) {
        if let Some(channel) = &self.channel {
            // If it is lost, what was said before runs out.
            let _ = channel.icmp.send(To::Nodes, &message::advertisement(0, &channel.link_layer));
        }
    }
}

impl Channel {
    /// Sends what is due, if anything is.
    fn send_due(&mut self, now: Instant, jitter: f64) -> Option<io::Result<()>> {
        let mut result = None;
        while let Some(send) = self.exchange.poll(now, jitter) {
            let sent = match send {
                Send::Advertisement => {
                    self.icmp.send(To::Nodes, &message::advertisement(LIFETIME, &self.link_layer))
                }
                Send::Solicitation => self.icmp.send(To::Routers, &message::solicitation(&self.link_layer)),
            };
            result = Some(result.unwrap_or(Ok(())).and(sent));
        }
        result
    }
}

/// Why nothing can be sent from an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Interface,
    Carrier,
    Address,
}

impl Missing {
    fn of(link: Option<&Link>) -> Self {
        match link {
            None => Self::Interface,
            Some(link) if !link.running => Self::Carrier,
            Some(_) => Self::Address,
        }
    }

    /// With what would help.
    fn explain(self, name: &str) -> String {
        match self {
            Self::Interface => {
                format!("there is no interface {name} in this network namespace; it is waited for")
            }
            Self::Carrier => format!("{name} is down or has no carrier; try `ip link set {name} up`"),
            Self::Address => format!(
                "{name} has no link-local address that may be used: see `ip -6 address show dev {name}` and \
                 net.ipv6.conf.{name}.disable_ipv6"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_it_ends_its_thread() {
        let (say, said) = std::sync::mpsc::channel();
        let discovery = Discovery::start(move |found| drop(say.send(found))).expect("netlink");
        discovery.watch(["nosuch0".to_owned()]);
        let told = said.recv_timeout(Duration::from_secs(60)).expect("a fault");
        let Found::Fault { interface, error } = told else { panic!("{told:?}") };
        assert_eq!(interface, "nosuch0");
        assert!(error.to_string().contains("there is no interface nosuch0"), "{error}");
        // It has nothing to do now and waits for whatever comes; what it had to tell with is gone with it.
        drop(discovery);
        assert!(said.recv().is_err());
    }
}
