//! The interfaces there are, by their numbers, as far as neighbour discovery needs to know them.

use std::{collections::BTreeMap, net::Ipv6Addr};

use crate::netlink::Update;

/// What is known of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its name now; empty: only its addresses are known yet.
    pub(crate) name: String,
    /// Its link-layer address.
    pub(crate) link_layer: Vec<u8>,
    /// Up, and with a carrier.
    pub(crate) running: bool,
    /// Its link-local addresses, and whether each may be used.
    addresses: BTreeMap<Ipv6Addr, bool>,
}

impl Link {
    /// Whether something can be sent from it: it runs, and has an address to send from.
    pub(crate) fn is_ready(&self) -> bool {
        self.running && self.addresses.values().any(|usable| *usable)
    }

    /// Whether an address is its own.
    pub(crate) fn has(&self, address: Ipv6Addr) -> bool {
        self.addresses.contains_key(&address)
    }
}

/// All interfaces.
#[derive(Debug, Default)]
pub(crate) struct Links {
    known: BTreeMap<u32, Link>,
    /// Being told anew. What was known stays in force until that is complete.
    anew: Option<BTreeMap<u32, Link>>,
    complete: bool,
}

impl Links {
    /// Something is told.
    pub(crate) fn update(&mut self, update: Update) {
        let links = self.anew.as_mut().unwrap_or(&mut self.known);
        match update {
            Update::Link { index, name, link_layer, running } => {
                let link = links.entry(index).or_default();
                (link.name, link.link_layer, link.running) = (name, link_layer, running);
            }
            Update::LinkGone(index) => drop(links.remove(&index)),
            Update::Address { index, address, usable } => {
                links.entry(index).or_default().addresses.insert(address, usable);
            }
            Update::AddressGone { index, address } => {
                if let Some(link) = links.get_mut(&index) {
                    link.addresses.remove(&address);
                }
            }
            Update::Begin => self.anew = Some(BTreeMap::new()),
            Update::End => {
                if let Some(links) = self.anew.take() {
                    (self.known, self.complete) = (links, true);
                }
            }
        }
    }

    /// Whether everything has been told once.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The interface that has a name now.
    pub(crate) fn named(&self, name: &str) -> Option<(u32, &Link)> {
        self.known.iter().find(|(_, link)| link.name == name).map(|(index, link)| (*index, link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn link(index: u32, name: &str, running: bool) -> Update {
        Update::Link { index, name: name.into(), link_layer: vec![2; 6], running }
    }

    fn ready(links: &Links, name: &str) -> Option<bool> {
        links.named(name).map(|(_, link)| link.is_ready())
    }

    #[test]
    fn a_link_is_ready_with_a_carrier_and_a_usable_address() {
        let mut links = Links::default();
        assert_eq!(ready(&links, "net0"), None);
        links.update(link(7, "net0", false));
        links.update(Update::Address { index: 7, address: OWN, usable: false });
        assert_eq!(ready(&links, "net0"), Some(false));
        links.update(link(7, "net0", true));
        assert_eq!(ready(&links, "net0"), Some(false), "tentative");
        links.update(Update::Address { index: 7, address: OWN, usable: true });
        assert_eq!(ready(&links, "net0"), Some(true));
        links.update(link(7, "net0", false));
        assert_eq!(ready(&links, "net0"), Some(false), "no carrier");
        links.update(link(7, "net0", true));
        links.update(Update::AddressGone { index: 7, address: OWN });
        assert_eq!(ready(&links, "net0"), Some(false), "no address");
    }

    #[test]
    fn names_move_and_interfaces_go() {
        let mut links = Links::default();
        links.update(link(7, "net0", true));
        links.update(Update::Address { index: 7, address: OWN, usable: true });
        links.update(link(7, "net9", true));
        assert_eq!((ready(&links, "net0"), ready(&links, "net9")), (None, Some(true)));
        // The name is another interface's now.
        links.update(link(8, "net0", true));
        assert_eq!(links.named("net0").map(|(index, _)| index), Some(8));
        links.update(Update::LinkGone(7));
        assert_eq!(ready(&links, "net9"), None);
    }

    #[test]
    fn what_was_known_stays_until_all_is_told_again() {
        let mut links = Links::default();
        for update in [Update::Begin, link(7, "net0", true), link(8, "net1", true)] {
            links.update(update);
            assert!(!links.is_complete() && links.named("net0").is_none());
        }
        links.update(Update::End);
        assert!(links.is_complete() && links.named("net1").is_some());
        links.update(Update::Begin);
        links.update(link(7, "net0", true));
        assert!(links.named("net1").is_some());
        links.update(Update::End);
        assert!(links.named("net1").is_none() && links.named("net0").is_some());
    }
}
