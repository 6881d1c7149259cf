//! What a socket that listens has been given, and which of those there are let a connection in.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use socket2::Socket;

use crate::sockopt;

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where; port 0: any, which one is not known yet.
    pub(crate) address: SocketAddr,
    /// The keys that it has.
    keys: BTreeMap<IpNet, Vec<u8>>,
}

impl Listener {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, keys: BTreeMap::new() }
    }

    /// Gives it these keys and no others; what could not be done, of whom.
    pub(crate) fn set_keys(
        &mut self,
        socket: &Socket,
        wanted: BTreeMap<IpNet, Vec<u8>>,
    ) -> Vec<(IpNet, io::Error)> {
        let mut faults = Vec::new();
        let gone: Vec<IpNet> =
            self.keys.keys().filter(|peers| !wanted.contains_key(peers)).copied().collect();
        // Before old ones go: who has a key of its own instead of a range's is never without one.
        let late = self.add(socket, wanted, |_, _| {});
        for peers in gone {
            match sockopt::set_md5_key(socket, peers, &[]) {
                Ok(()) => drop(self.keys.remove(&peers)),
                Err(error) => faults.push((peers, error)),
            }
        }
        // The old ones may have taken the room.
        self.add(socket, late, |peers, error| faults.push((peers, error)));
        faults
    }

    /// Adds those that it has not; what is left.
    fn add(
        &mut self,
        socket: &Socket,
        wanted: BTreeMap<IpNet, Vec<u8>>,
        mut failed: impl FnMut(IpNet, io::Error),
    ) -> BTreeMap<IpNet, Vec<u8>> {
        let mut left = BTreeMap::new();
        for (peers, key) in wanted {
            if self.keys.get(&peers) == Some(&key) {
                continue;
            }
            match sockopt::set_md5_key(socket, peers, &key) {
                Ok(()) => drop(self.keys.insert(peers, key)),
                Err(error) => {
                    failed(peers, error);
                    left.insert(peers, key);
                }
            }
        }
        left
    }

    /// The key that whoever connects from an address has to have.
    fn key(&self, remote: IpAddr) -> Option<&[u8]> {
        let of = self.keys.iter().filter(|(peers, _)| peers.contains(&remote));
        // The kernel takes the longest prefix, too.
        of.max_by_key(|(peers, _)| peers.prefix_len()).map(|(_, key)| &**key)
    }

    /// How well it fits a connection's own end, as the kernel sees it; `None`: it is another's.
    fn fits(&self, local: SocketAddr) -> Option<(bool, bool)> {
        let (port, ip) = (self.address.port(), self.address.ip());
        let fits = (port == 0 || port == local.port())
            && (ip == local.ip() || ip.is_unspecified() && ip.is_ipv4() == local.is_ipv4());
        fits.then_some((port != 0, !ip.is_unspecified()))
    }
}

/// Whether whoever connects from `remote` to `local` has to have that key.
pub(crate) fn asks_for<'l>(
    listeners: impl Iterator<Item = &'l Listener> + Clone,
    local: SocketAddr,
    remote: IpAddr,
    key: &[u8],
) -> bool {
    let fits = |listener: &Listener| listener.fits(local);
    let Some(best) = listeners.clone().filter_map(fits).max() else { return false };
    listeners.filter(|it| fits(it) == Some(best)).all(|it| it.key(remote) == Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, keys: &[(&str, &str)]) -> Listener {
        let keys = keys.iter().map(|(peers, key)| (peers.parse().unwrap(), key.as_bytes().to_vec()));
        Listener { address: address.parse().unwrap(), keys: keys.collect() }
    }

    #[test]
    fn only_the_listener_that_accepted_is_asked() {
        let all = [
            listener("0.0.0.0:179", &[("192.0.2.0/24", "range"), ("192.0.2.1/32", "own")]),
            listener("10.0.0.1:179", &[("192.0.2.0/24", "other")]),
            listener("0.0.0.0:1179", &[]),
            listener("[::]:179", &[]),
        ];
        let asks = |local: &str, remote: &str, key: &str| {
            asks_for(all.iter(), local.parse().unwrap(), remote.parse().unwrap(), key.as_bytes())
        };
        assert!(asks("10.0.0.9:179", "192.0.2.1", "own"));
        assert!(!asks("10.0.0.9:179", "192.0.2.1", "range"));
        assert!(asks("10.0.0.9:179", "192.0.2.2", "range"));
        // The kernel prefers the one with the address.
        assert!(asks("10.0.0.1:179", "192.0.2.1", "other"));
        assert!(!asks("10.0.0.1:179", "192.0.2.1", "own"));
        assert!(!asks("10.0.0.9:1179", "192.0.2.1", "own"));
        assert!(!asks("[2001:db8::1]:179", "2001:db8::2", "own"));
        // Nobody listens there: nobody asked.
        assert!(!asks("10.0.0.9:4179", "192.0.2.1", "own"));
    }
}
