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
mod tests {
    use std::os::fd::AsFd as _;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn key(text: &str) -> NeighborKey {
        match (text.parse(), text.parse()) {
            (Ok(address), _) => NeighborKey::Address(address),
            (_, Ok(range)) => NeighborKey::Range(range),
            _ => NeighborKey::Interface(text.into()),
        }
    }

    /// A name, a key and a least TTL.
    type Asked = (&'static str, Option<&'static str>, Option<u8>);

    fn state(neighbors: &[Asked]) -> State {
        let options = |md5: &Option<&str>, min_ttl| SocketOptions {
            ttl: None,
            min_ttl,
            md5_key: md5.map(|md5| md5.as_bytes().to_vec()),
        };
        let neighbors = neighbors.iter().map(|(name, md5, ttl)| (key(name), options(md5, *ttl)));
        State { neighbors: neighbors.collect(), ..State::default() }
    }

    #[test]
    fn a_listener_checks_what_all_ask_for() {
        let table: [(&[Asked], u8, bool); 5] = [
            (&[], 0, false),
            (&[("192.0.2.1", None, None)], 0, false),
            (&[("192.0.2.1", None, Some(255)), ("192.0.2.2", None, Some(254))], 254, true),
            (&[("192.0.2.1", None, Some(255)), ("192.0.2.2", None, None)], 0, true),
            // Those of the other family come to another socket.
            (&[("192.0.2.0/24", None, Some(255)), ("net0", None, None)], 255, true),
        ];
        for (neighbors, all, any) in table {
            assert_eq!(state(neighbors).least_ttl(true), LeastTtl { all, any }, "{neighbors:?}");
        }
    }

    #[test]
    fn keys_are_by_address_and_an_interface_has_one_when_it_is_known() {
        let mut state = state(&[
            ("192.0.2.1", Some("a"), None),
            ("198.51.100.0/24", Some("b"), None),
            ("192.0.2.2", None, None),
            ("net0", Some("c"), None),
            ("net1", Some("d"), None),
        ]);
        let mut faults = Vec::new();
        let of = |keys: BTreeMap<IpNet, Vec<u8>>| {
            keys.into_iter()
                .map(|(peers, key)| format!("{peers} {}", String::from_utf8_lossy(&key)))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(state.keys(true, &mut faults)), ["192.0.2.1/32 a", "198.51.100.0/24 b"]);
        assert!(state.keys(false, &mut faults).is_empty());
        let both: Ipv6Addr = "fe80::1".parse().unwrap();
        state.last.insert("net0".into(), both);
        assert_eq!(of(state.keys(false, &mut faults)), ["fe80::1/128 c"]);
        assert!(faults.is_empty());
        state.last.insert("net1".into(), both);
        assert_eq!(of(state.keys(false, &mut faults)), ["fe80::1/128 c"]);
        let [(who, error)] = &faults[..] else { panic!("{faults:?}") };
        assert!(who == "net1" && error.to_string().contains("fe80::1"), "{error}");
    }

    #[test]
    fn who_cannot_connect_for_another_s_key_is_named() {
        let mut state = state(&[
            ("192.0.2.0/24", Some("a"), None),
            ("192.0.2.1", None, None),
            ("192.0.2.2", Some("b"), None),
            ("192.0.2.128/25", None, None),
            ("192.0.0.0/16", None, None),
            ("net0", Some("c"), None),
            ("net1", None, None),
            ("net2", None, None),
        ]);
        for (name, address) in [("net0", "fe80::1"), ("net1", "fe80::1"), ("net2", "fe80::2")] {
            state.last.insert(name.into(), address.parse().unwrap());
        }
        let said = |is_ipv4| {
            let mut faults = Vec::new();
            state.keys(is_ipv4, &mut faults);
            faults.into_iter().map(|(who, error)| (who, error.to_string())).collect::<Vec<_>>()
        };
        let [(one, text), (range, _)] = &said(true)[..] else { panic!("{:?}", said(true)) };
        assert_eq!((&**one, &**range), ("192.0.2.1", "192.0.2.128/25"));
        assert!(text.contains("from 192.0.2.0/24"), "{text}");
        let [(who, text)] = &said(false)[..] else { panic!("{:?}", said(false)) };
        assert!(who == "net1" && text.contains("from fe80::1 has"), "{text}");
    }

    #[test]
    fn whoever_is_not_the_one_on_the_link_is_found_by_address() {
        let mut state =
            state(&[("net0", Some("a"), None), ("fe80::2", Some("b"), None), ("fe80::/64", Some("c"), None)]);
        let found = |state: &State, remote: &str, interface| {
            state.find(remote.parse().unwrap(), interface).map(|(key, _)| key.to_string())
        };
        // Nobody is known there.
        assert_eq!(found(&state, "fe80::2", Some("net0")).as_deref(), Some("net0"));
        state.link_local.insert("net0".into(), "fe80::1".parse().unwrap());
        assert_eq!(found(&state, "fe80::1", Some("net0")).as_deref(), Some("net0"));
        assert_eq!(found(&state, "fe80::2", Some("net0")).as_deref(), Some("fe80::2"));
        assert_eq!(found(&state, "fe80::3", Some("net0")).as_deref(), Some("fe80::/64"));
        assert_eq!(found(&state, "fe80::2", None).as_deref(), Some("fe80::2"));
        // Never without what the interface asks for.
        assert_eq!(found(&state, "fe80:0:0:1::3", Some("net0")).as_deref(), Some("net0"));
    }

    #[test]
    fn who_goes_and_comes_has_its_key_meanwhile() {
        let protection = Protection::new(|_, _| {});
        let options =
            |md5: &str| SocketOptions { md5_key: Some(md5.as_bytes().to_vec()), ..SocketOptions::default() };
        protection.set_neighbors([(key("net0"), options("a"))]);
        let keys = || protection.lock().keys(false, &mut Vec::new()).into_keys().collect::<Vec<_>>();
        let one: Ipv6Addr = "fe80::1".parse().unwrap();
        let other: Ipv6Addr = "fe80::2".parse().unwrap();
        for (address, changes, kept) in
            [(Some(one), true, one), (None, false, one), (Some(one), false, one), (Some(other), true, other)]
        {
            assert_eq!(protection.set_link_local("net0", address), changes, "{address:?}");
            assert_eq!(keys(), [IpNet::from(IpAddr::V6(kept))]);
        }
        // No interface is remembered that is nobody's.
        assert!(!protection.set_link_local("net0", None));
        protection.set_neighbors([]);
        assert!(keys().is_empty());
        assert!(protection.lock().last.is_empty());
    }

    #[test]
    fn the_same_is_said_once_and_what_is_kept_of_it_is_bounded() {
        let said = std::sync::Arc::new(Mutex::new(Vec::new()));
        let tell = std::sync::Arc::clone(&said);
        let protection = Protection::new(move |who, _| tell.lock().unwrap().push(who.to_owned()));
        let error = |text: &str| io::Error::other(text.to_owned());
        for _ in 0..3 {
            protection.say("net0", &error("one"));
            protection.say("net0", &error("another"));
        }
        assert_eq!(*said.lock().unwrap(), ["net0", "net0"]);
        for text in 0..3 * MOST_TOLD {
            protection.say("net0", &error(&text.to_string()));
        }
        assert!(protection.lock().told.len() <= MOST_TOLD);
    }

    /// Waits until there is a connection to be accepted.
    fn waits(listener: &std::net::TcpListener) {
        let mut wanted = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut wanted, PollTimeout::from(10_000_u16)).unwrap(), 1);
    }

    #[test]
    fn what_was_accepted_without_its_key_is_refused() {
        let protection = Protection::new(|_, _| {});
        let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        // Connected before there is a key, accepted after.
        let client = std::net::TcpStream::connect(address).unwrap();
        let options = SocketOptions { md5_key: Some(b"key".to_vec()), ..SocketOptions::default() };
        protection.set_neighbors([(key("127.0.0.0/8"), options)]);
        let remote = client.local_addr().unwrap();
        waits(&listener);
        let (stream, _) = listener.accept().unwrap();
        let stream = Socket::from(stream);
        let accepted = Accepted { remote, local: address, interface: None };
        let refused = |stream: &Socket, accepted: &Accepted| {
            let error = protection.configure(stream, accepted).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        };
        refused(&stream, &accepted);
        // From here on the kernel lets nobody in without it.
        protection.relisten(&Socket::from(listener.try_clone().unwrap()), address);
        let late = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let dropped =
            late.connect_timeout(&address.into(), std::time::Duration::from_millis(200)).unwrap_err();
        assert_eq!(dropped.kind(), io::ErrorKind::TimedOut);
        // That changes nothing about what was there before.
        refused(&stream, &accepted);
        // Whoever has the key comes in, and the connection still has it.
        let signed = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let net = IpNet::from(address.ip());
        sockopt::set_md5_key(&signed, net, b"key").unwrap();
        signed.connect(&address.into()).unwrap();
        waits(&listener);
        let (stream, remote) = listener.accept().unwrap();
        let stream = Socket::from(stream);
        let accepted = Accepted { remote, local: address, interface: None };
        for _ in 0..2 {
            protection.configure(&stream, &accepted).unwrap();
        }
        io::Write::write_all(&mut &signed, b"signed").unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut octets = [0; 6];
        io::Read::read_exact(&mut &stream, &mut octets).unwrap();
        assert_eq!(&octets, b"signed");
    }

    #[test]
    fn what_waits_to_be_accepted_when_the_key_is_set_is_refused() {
        for peers in ["127.0.0.0/8", "127.0.0.1"] {
            let said = std::sync::Arc::new(Mutex::new(Vec::new()));
            let tell = std::sync::Arc::clone(&said);
            let protection = Protection::new(move |who, error| {
                tell.lock().unwrap().push(format!("{who}: {error}"));
            });
            let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
            let address = listener.local_addr().unwrap();
            let client = std::net::TcpStream::connect(address).unwrap();
            waits(&listener);
            let options = SocketOptions { md5_key: Some(b"key".to_vec()), ..SocketOptions::default() };
            protection.set_neighbors([(key(peers), options)]);
            protection.relisten(&Socket::from(listener.try_clone().unwrap()), address);
            let (stream, remote) = listener.accept().unwrap();
            assert_eq!(remote, client.local_addr().unwrap());
            let accepted = Accepted { remote, local: address, interface: None };
            let error = protection.configure(&Socket::from(stream), &accepted).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let said = said.lock().unwrap();
            let [line] = &said[..] else { panic!("{said:?}") };
            assert!(
                line.starts_with(&format!("{peers}: ")) && line.contains("has to be made again"),
                "{line}"
            );
        }
    }

    #[test]
    fn no_key_is_printed() {
        let protection = Protection::new(|_, _| {});
        let options = SocketOptions { md5_key: Some(b"hush-hush".to_vec()), ..SocketOptions::default() };
        protection.set_neighbors([(key("192.0.2.1"), options)]);
        let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(!format!("{protection:?} {listener:?}").contains("hush"));
        assert!(!format!("{protection:?}").contains("104, 117, 115, 104"));
        for code in [libc::ENOPROTOOPT, libc::ENOMEM, libc::EINVAL] {
            let error = explain_md5(io::Error::from_raw_os_error(code)).to_string();
            assert!(error.contains("key"), "{error}");
        }
    }
}
