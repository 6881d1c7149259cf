//! What is measured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::table::Version;

/// AS of the speaker under test.
pub(crate) const ASN: u32 = 65000;
/// AS of the first sender; the others count up.
pub(crate) const SENDER_AS: u32 = 64600;
/// AS of the first receiver; the others count up.
const RECEIVER_AS: u32 = 64800;
/// Where the speaker under test listens.
const PORT: u16 = 1790;

/// What happens, and from when on it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Every sender announces its table, until every receiver holds all of it by the best paths.
    Table,
    /// After that, not counted, the first sender withdraws everything, until no receiver holds anything.
    Withdraw,
    /// After that, not counted, single prefixes are announced again with other communities.
    Churn {
        /// How many a second.
        rate: u32,
        seconds: u32,
    },
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) version: Version,
    pub(crate) kind: Kind,
    pub(crate) senders: u8,
    pub(crate) receivers: u8,
    /// Whether the speaker has an address of its own for each receiver.
    pub(crate) own_addresses: bool,
    pub(crate) prefixes: usize,
}

const TABLE: Workload = Workload {
    name: "table-1M",
    about: "1,000,000 prefixes from one sender to one receiver",
    version: Version::V4,
    kind: Kind::Table,
    senders: 1,
    receivers: 1,
    own_addresses: false,
    prefixes: 1_000_000,
};

/// All of them.
pub(crate) const WORKLOADS: [Workload; 7] = [
    TABLE,
    Workload { name: "table-1M-v6", about: "the same in IPv6, over IPv6", version: Version::V6, ..TABLE },
    Workload {
        name: "peers-10x100k",
        about: "10 senders with the same 100,000 prefixes and different paths, 10 receivers",
        senders: 10,
        receivers: 10,
        prefixes: 100_000,
        ..TABLE
    },
    Workload {
        name: "fanout-50x100k",
        about: "100,000 prefixes from one sender to 50 receivers",
        receivers: 50,
        prefixes: 100_000,
        ..TABLE
    },
    Workload {
        name: "fanout-50x100k-50",
        about: "the same with an address of the speaker's own, so another next hop, for each receiver",
        receivers: 50,
        own_addresses: true,
        prefixes: 100_000,
        ..TABLE
    },
    Workload {
        name: "withdraw-1M",
        about: "1,000,000 prefixes that were sent on are withdrawn",
        kind: Kind::Withdraw,
        ..TABLE
    },
    Workload {
        name: "churn-1k",
        about: "1,000 of 100,000 prefixes a second are announced again, changed, for 10 seconds",
        kind: Kind::Churn { rate: 1000, seconds: 10 },
        prefixes: 100_000,
        ..TABLE
    },
];

/// A peer as the speaker under test has it configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neighbor {
    pub(crate) asn: u32,
    pub(crate) address: IpAddr,
    /// The speaker's address on this session.
    pub(crate) local: SocketAddr,
}

impl Workload {
    pub(crate) fn find(name: &str) -> Option<Self> {
        WORKLOADS.into_iter().find(|it| it.name == name)
    }

    /// The same with so little to do that it only shows whether everything works.
    pub(crate) fn smoke(mut self) -> Self {
        self.prefixes = 10_000;
        if let Kind::Churn { seconds, .. } = &mut self.kind {
            *seconds = 1;
        }
        self
    }

    /// An address of the speaker or its peers: IPv4 127.0.`net`.`host`, IPv6 fd77::`net`:`host`.
    fn address(&self, net: u8, host: u8) -> IpAddr {
        match self.version {
            Version::V4 => Ipv4Addr::new(127, 0, net, host).into(),
            Version::V6 => Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, u16::from(net), u16::from(host)).into(),
        }
    }

    fn neighbor(&self, net: u8, base: u32, index: u8, local: IpAddr) -> Neighbor {
        Neighbor {
            asn: base + u32::from(index),
            address: self.address(net, index + 1),
            local: SocketAddr::new(local, PORT),
        }
    }

    pub(crate) fn senders(&self) -> Vec<Neighbor> {
        let local = self.address(0, 1);
        (0..self.senders).map(|index| self.neighbor(1, SENDER_AS, index, local)).collect()
    }

    pub(crate) fn receivers(&self) -> Vec<Neighbor> {
        let local = |index| if self.own_addresses { self.address(3, index + 1) } else { self.address(0, 1) };
        (0..self.receivers).map(|index| self.neighbor(2, RECEIVER_AS, index, local(index))).collect()
    }

    /// What a sender says is its routes' next hop.
    pub(crate) fn next_hop(&self, sender: u8) -> IpAddr {
        match self.version {
            Version::V4 => Ipv4Addr::new(192, 0, 2, sender + 1).into(),
            Version::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(sender) + 1).into(),
        }
    }
}
