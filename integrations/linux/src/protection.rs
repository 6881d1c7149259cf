//! Neighbours' socket options on every socket that may carry something of theirs: connections opened here,
//! sockets that listen, and connections that were accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use ipnet::IpNet;
use peerage_core::speaker::{ConnectTarget, NeighborKey, SocketOptions};
use peerage_sockets::{Accepted, Dial, Direct, SocketSetup};
use socket2::Socket;

use crate::{
    listener::{Listener, asks_for},
    sockopt,
};

/// Things said that are remembered; further ones may be said again.
const MOST_TOLD: usize = 1024;

/// TCP MD5 (RFC 2385), GTSM (RFC 5082) and TTLs, as neighbours ask for them.
///
/// It is told who the neighbours are, and on a change again; then
/// [`Driver::refresh_sockets`](peerage_sockets::Driver::refresh_sockets) of the node brings it to sockets that
/// are open: a new key is that of a session that goes on. A speaker with this setup may be told
/// [`Speaker::protect_accepted`](peerage_core::Speaker::protect_accepted).
///
/// Whoever asks for a key or a least TTL is never spoken with without it: a connection on which it cannot be
/// set is not opened, or closed. What cannot be set on a listening socket keeps only that neighbour out. A
/// connection counts only if it was made under a key: one that was waiting to be accepted when its neighbour
/// got its first key is closed, whatever is set by then. One made under a key that another has replaced since
/// goes on with that, as sessions do.
///
/// Where a VRF has the listening socket, the kernel keeps a connection's key where it cannot be found: such
/// connections are refused, and only this end can connect.
///
/// A socket that listens is everybody's. It has a key for each address and range; a neighbour's on an
/// interface from when its address is known. It checks the TTL only as far as all neighbours of its family
/// ask for it: what one asks for beyond that is checked from when its connection is accepted.
pub struct Protection {
    state: Mutex<State>,
    tell: Box<Tell>,
}

/// Who hears of what could not be set.
type Tell = dyn Fn(&str, &io::Error) + Send + Sync;

#[derive(Default)]
struct State {
    neighbors: BTreeMap<NeighborKey, SocketOptions>,
    /// Who is on the other end of interfaces, and who was last.
    link_local: BTreeMap<String, Ipv6Addr>,
    last: BTreeMap<String, Ipv6Addr>,
    /// Sockets that listen, by their cookies.
    listeners: BTreeMap<u64, Listener>,
    /// What was said of whom: once is enough.
    told: BTreeSet<(String, String)>,
}

impl Protection {
    /// One without neighbours. `tell` hears what could not be set and what would help, with the neighbour; it
    /// hears the same once. It is called on the runtime's threads: it must not block.
    pub fn new(tell: impl Fn(&str, &io::Error) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), tell: Box::new(tell) }
    }

    /// Who the neighbours are from now on, and what they ask for.
    pub fn set_neighbors(&self, neighbors: impl IntoIterator<Item = (NeighborKey, SocketOptions)>) {
        let mut state = self.lock();
        state.neighbors = neighbors.into_iter().collect();
        state.told.clear();
        let State { neighbors, link_local, last, .. } = &mut *state;
        let is_there = |name: &String| neighbors.contains_key(&NeighborKey::Interface(name.clone()));
        last.retain(|name, _| is_there(name) || link_local.contains_key(name));
    }

    /// Who is on the other end of an interface. `true`: a key depends on it, and the node's sockets are to
    /// be refreshed. Who goes has its key until somebody else is there: whoever says that it goes and comes must
    /// not have it taken away.
    pub fn set_link_local(&self, interface: &str, address: Option<Ipv6Addr>) -> bool {
        let mut state = self.lock();
        match address {
            Some(address) => drop(state.link_local.insert(interface.to_owned(), address)),
            None => drop(state.link_local.remove(interface)),
        }
        let Some(address) = address else { return false };
        if state.last.insert(interface.to_owned(), address) == Some(address) {
            return false;
        }
        let key = NeighborKey::Interface(interface.to_owned());
        state.neighbors.get(&key).is_some_and(|options| options.md5_key.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something of somebody, unless it was said.
    fn say(&self, who: &str, error: &io::Error) {
        let is_new = {
            let told = &mut self.lock().told;
            if told.len() >= MOST_TOLD {
                told.clear();
            }
            told.insert((who.to_owned(), error.to_string()))
        };
        if is_new {
            (self.tell)(who, error);
        }
    }

    /// Makes a socket that listens what all neighbours together ask for.
    fn set_listener(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        let cookie = socket.cookie()?;
        let is_ipv4 = address.is_ipv4();
        let mut faults = Vec::new();
        {
            let mut state = self.lock();
            let wanted = state.keys(is_ipv4, &mut faults);
            let least = state.least_ttl(is_ipv4);
            let ttl = least.any.then_some(u8::MAX);
            let set = sockopt::set_min_ttl(socket, is_ipv4, least.all)
                .and_then(|()| sockopt::set_ttl(socket, is_ipv4, ttl));
            if let Err(error) = set {
                faults.push((address.to_string(), explain_ttl(error)));
            }
            // Nobody else can have that address: whoever had it is closed.
            let is_dead = |it: &Listener| it.address == address && address.port() != 0;
            state.listeners.retain(|other, it| *other == cookie || !is_dead(it));
            let listener = state.listeners.entry(cookie).or_insert_with(|| Listener::new(address));
            listener.address = address;
            let failed = listener.set_keys(socket, wanted);
            faults.extend(failed.into_iter().map(|(peers, error)| (peers.to_string(), explain_md5(error))));
        }
        for (who, error) in faults {
            self.say(&who, &error);
        }
        Ok(())
    }

    /// The neighbour with a connection, and what it asks for.
    fn options(&self, connection: &Accepted) -> Option<(NeighborKey, SocketOptions)> {
        let state = self.lock();
        let found = state.find(connection.remote.ip(), connection.interface.as_deref());
        found.map(|(key, options)| (key.clone(), options.clone()))
    }

    /// The error, after somebody has heard of it.
    fn failed(&self, who: impl fmt::Display, error: io::Error) -> io::Error {
        self.say(&who.to_string(), &error);
        error
    }

    /// Gives an accepted connection its key, if it was made under one.
    fn set_accepted_key(&self, socket: &Socket, accepted: &Accepted, key: &[u8]) -> io::Result<()> {
        let remote = accepted.remote.ip();
        // What has arrived by now need not be signed, or by somebody else.
        if asks_for(self.lock().listeners.values(), accepted.local, remote, key)
            && sockopt::renew_md5_key(socket, remote, key).map_err(explain_md5)?
        {
            return Ok(());
        }
        // Without an address: of a range, anybody may come.
        let text = "a connection was refused that was made without the TCP MD5 key: it came before the key was in \
                    force (a neighbor on an interface has one from when its address is known), and has to be made \
                    again; if it stays so, the log says why the key cannot be set, or why nobody is looked for";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options do not print their keys; the listeners' copies are not shown.
        f.debug_struct("Protection").field("neighbors", &self.lock().neighbors).finish_non_exhaustive()
    }
}

impl SocketSetup for Protection {
    fn dial(&self, target: &ConnectTarget) -> io::Result<Dial> {
        Direct.dial(target)
    }

    fn prepare(&self, socket: &Socket, dial: &Dial, options: &SocketOptions) -> io::Result<()> {
        protect(socket, dial.remote, options, Before::Nothing)
            .map_err(|error| self.failed(dial.remote.ip(), error))
    }

    fn listen(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        self.set_listener(socket, address)
    }

    fn configure(&self, socket: &Socket, accepted: &Accepted) -> io::Result<()> {
        // Nobody's connection will be refused.
        let Some((who, options)) = self.options(accepted) else { return Ok(()) };
        let set = || {
            if let Some(key) = &options.md5_key {
                self.set_accepted_key(socket, accepted, key)?;
            }
            protect(socket, accepted.remote, &options, Before::Listener)
        };
        set().map_err(|error| self.failed(who, error))
    }

    fn relisten(&self, socket: &Socket, address: SocketAddr) {
        if let Err(error) = self.set_listener(socket, address) {
            self.say(&address.to_string(), &error);
        }
    }

    fn reconfigure(&self, socket: &Socket, connection: &Accepted) -> io::Result<()> {
        // Somebody's no more: it is closed anyway.
        let Some((who, options)) = self.options(connection) else { return Ok(()) };
        protect(socket, connection.remote, &options, Before::Options).map_err(|error| self.failed(who, error))
    }
}

/// What a socket may have already, which has to go where it is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// What the listening socket has, which accepted ones inherit.
    Listener,
    /// Options of the same neighbour, before they changed.
    Options,
}

/// Sets what a neighbour asks for on a connection with it.
fn protect(socket: &Socket, remote: SocketAddr, options: &SocketOptions, before: Before) -> io::Result<()> {
    let is_ipv4 = remote.is_ipv4();
    // RFC 5082 §3: who checks the other's has to send the highest.
    let ttl = options.ttl.or_else(|| options.min_ttl.map(|_| u8::MAX));
    if ttl.is_some() || before != Before::Nothing {
        sockopt::set_ttl(socket, is_ipv4, ttl).map_err(explain_ttl)?;
    }
    if options.min_ttl.is_some() || before != Before::Nothing {
        sockopt::set_min_ttl(socket, is_ipv4, options.min_ttl.unwrap_or(0)).map_err(explain_ttl)?;
    }
    match &options.md5_key {
        Some(key) => {
            sockopt::set_md5_key(socket, IpNet::from(remote.ip()), key).map_err(explain_md5)?;
        }
        // A kernel without keys has none to take away.
        None if before != Before::Nothing => {
            match sockopt::set_md5_key(socket, IpNet::from(remote.ip()), &[]) {
                Err(error) if !is_missing(&error) => return Err(explain_md5(error)),
                _ => {}
            }
        }
        None => {}
    }
    Ok(())
}

/// Whether the kernel was built without TCP MD5.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP))
}

/// The error in words that help, without the key.
fn explain_md5(error: io::Error) -> io::Error {
    let text = match error.raw_os_error() {
        _ if is_missing(&error) => {
            "this kernel has no TCP MD5 (CONFIG_TCP_MD5SIG): use one that has, or take the key away; until then \
             there is no session"
                .to_owned()
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => {
            "there is no room for another TCP MD5 key on the socket: raise net.core.optmem_max, or give a range \
             of neighbours one key"
                .to_owned()
        }
        _ => format!("the TCP MD5 key cannot be set: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// The error in words that help.
fn explain_ttl(error: io::Error) -> io::Error {
    let text = format!(
        "the TTL, or the least one to be received (GTSM), cannot be set: {error}; use a kernel with IP_MINTTL and \
         IPV6_MINHOPCOUNT, or take the neighbor's TTL security away; until then there is no session"
    );
    io::Error::new(error.kind(), text)
}

/// The least TTL that neighbours of a family ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LeastTtl {
    /// What all of them ask for at least; 0: one asks for nothing.
    all: u8,
    /// Whether any does.
    any: bool,
}

impl State {
    /// The neighbour with an address and what it asks for: by interface, by address, by the longest range, as
    /// the speaker finds it.
    fn find(&self, remote: IpAddr, interface: Option<&str>) -> Option<(&NeighborKey, &SocketOptions)> {
        let on_link =
            interface.and_then(|name| self.neighbors.get_key_value(&NeighborKey::Interface(name.to_owned())));
        // Somebody else is known to be there.
        let is_other = interface
            .and_then(|name| self.link_local.get(name))
            .is_some_and(|known| IpAddr::V6(*known) != remote);
        let by_address = || {
            self.neighbors.get_key_value(&NeighborKey::Address(remote)).or_else(|| {
                let ranges = self.neighbors.iter().filter_map(|(key, options)| match key {
                    NeighborKey::Range(range) if range.contains(&remote) => {
                        Some((range.prefix_len(), (key, options)))
                    }
                    _ => None,
                });
                ranges.max_by_key(|(len, _)| *len).map(|(_, found)| found)
            })
        };
        if is_other {
            // The speaker may not know it yet, and take it for the one on the link: then with what that asks for.
            by_address().or(on_link)
        } else {
            on_link.or_else(by_address)
        }
    }

    /// Where a neighbour's connections come from; `None`: nobody knows yet.
    fn peers(&self, key: &NeighborKey) -> Option<IpNet> {
        match key {
            NeighborKey::Address(address) => Some(IpNet::from(*address)),
            NeighborKey::Range(range) => Some(range.trunc()),
            NeighborKey::Interface(name) => self.last.get(name).map(|it| IpNet::from(IpAddr::V6(*it))),
        }
    }

    /// The keys of a family. The kernel tells neighbours apart by their addresses alone: two interfaces
    /// with one address behind both cannot have two keys.
    fn keys(&self, is_ipv4: bool, faults: &mut Vec<(String, io::Error)>) -> BTreeMap<IpNet, Vec<u8>> {
        let mut keys = BTreeMap::new();
        for (key, options) in &self.neighbors {
            let (Some(secret), Some(peers)) = (&options.md5_key, self.peers(key)) else { continue };
            if peers.addr().is_ipv4() != is_ipv4 {
                continue;
            }
            if keys.get(&peers).is_some_and(|other| other != secret) {
                let text = format!(
                    "another neighbour has the address {} too, with another key: give both the same key, or \
                     one another address",
                    peers.addr()
                );
                faults.push((key.to_string(), io::Error::new(io::ErrorKind::InvalidInput, text)));
                continue;
            }
            keys.insert(peers, secret.clone());
        }
        self.find_shadowed(&keys, faults);
        keys
    }

    /// Says which neighbours without a key are where somebody's key counts: the kernel drops what they send
    /// to a listening socket.
    fn find_shadowed(&self, keys: &BTreeMap<IpNet, Vec<u8>>, faults: &mut Vec<(String, io::Error)>) {
        for (key, options) in &self.neighbors {
            let Some(peers) = self.peers(key).filter(|_| options.md5_key.is_none()) else { continue };
            let Some(range) = keys.keys().find(|range| range.contains(&peers)) else { continue };
            let range: &dyn fmt::Display = if *range == peers { &range.addr() } else { range };
            let text = format!(
                "it has no key, and cannot connect: whoever connects from {range} has to have the TCP MD5 key of \
                 the neighbor there; give it the same key, or another address"
            );
            faults.push((key.to_string(), io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
    }

    fn least_ttl(&self, is_ipv4: bool) -> LeastTtl {
        let of_family = |key: &NeighborKey| match key {
            NeighborKey::Address(address) => address.is_ipv4() == is_ipv4,
            NeighborKey::Range(range) => range.addr().is_ipv4() == is_ipv4,
            NeighborKey::Interface(_) => !is_ipv4,
        };
        let asked = self.neighbors.iter().filter(|(key, _)| of_family(key));
        let least = asked.map(|(_, options)| options.min_ttl.unwrap_or(0));
        let (low, high) = least.fold((u8::MAX, 0), |(low, high), it| (low.min(it), high.max(it)));
        LeastTtl { all: low.min(high), any: high > 0 }
    }
}

#[cfg(test)]
mod tests;
