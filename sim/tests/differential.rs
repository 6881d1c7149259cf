//! Export and decision against what a speaker says of them: six peers over IPv4 and IPv6, eBGP, iBGP and a
//! route reflector's client, that read a message at a time or not at all, announce, withdraw, ask for
//! everything again, are reset and come back, while policies, next hops and origination change and forgetting
//! goes in small steps. When all is said, what each peer has been told is what `Speaker::advertised` says;
//! the table is that of a speaker that was told only what holds in the end, in another order; and when the
//! peers are gone every table is empty.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use peerage_core::{
    Speaker,
    policy::{Match, Policy, Rule, Set, Verdict},
    rib::PathOrigin,
    speaker::{
        Action, CloseReason, ConnId, Desired, Neighbor, NeighborKey, NeighborStatus, NextHopMode,
        Origination, PeerAs, Reachability, SourceId,
    },
    time::Instant,
    wire::{
        Asn, Community, Family, NextHop, SessionKind,
        attr::{AttributeContext, PathAttributes},
    },
};
use peerage_sim::{
    Rng, attributes, cases, desired, external,
    message::{self, Attrs, Message, OpenSpec},
    prefix,
};

const OWN_AS: u32 = 65000;
const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
const PREFIXES: [&str; 8] = [
    "0.0.0.0/0",
    "192.0.2.0/24",
    "192.0.3.0/24",
    "192.0.4.0/24",
    "192.0.5.0/24",
    "::/0",
    "2001:db8:1::/48",
    "2001:db8:2::/48",
];

/// Two peers in one AS, two in the hub's, two in others.
const PEERS: [(&str, u32); 6] = [
    ("10.0.0.1", 65001),
    ("fd00::2", 65001),
    ("10.0.0.3", OWN_AS),
    ("fd00::4", OWN_AS),
    ("10.0.0.5", 65005),
    ("fd00::6", 65006),
];

fn address(peer: usize) -> IpAddr {
    PEERS[peer].0.parse().unwrap()
}

fn key(peer: usize) -> NeighborKey {
    NeighborKey::Address(address(peer))
}

fn is_internal(peer: usize) -> bool {
    PEERS[peer].1 == OWN_AS
}

/// Whether it knows AS numbers of two octets only (RFC 6793).
fn is_narrow(peer: usize) -> bool {
    peer == 4
}

/// Its identifier, and the next hop of the IPv4 routes it announces.
fn identifier(peer: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 1 + peer as u8)
}

/// A next hop of what a peer announces.
fn next_hop(peer: usize, family: Family) -> IpAddr {
    match family {
        Family::IPV4_UNICAST => identifier(peer).into(),
        _ => format!("fd00::{}", peer + 1).parse().unwrap(),
    }
}

fn family(net: IpNet) -> Family {
    FAMILIES[usize::from(net.addr().is_ipv6())]
}

/// A peer's end of its session.
struct Peer {
    conn: ConnId,
    reader: message::Reader,
    /// What it has been told and not told otherwise.
    told: BTreeMap<IpNet, (NextHop, PathAttributes)>,
    ends: Vec<Family>,
    /// What it has announced and not withdrawn: the UPDATEs.
    said: BTreeMap<IpNet, Vec<u8>>,
}

impl Peer {
    fn new(conn: ConnId, peer: usize) -> Self {
        let kind = if is_internal(peer) { SessionKind::Internal } else { SessionKind::External };
        let mut reader = message::Reader::default();
        reader.set_context(AttributeContext { four_octet_as: !is_narrow(peer), kind });
        Self { conn, reader, told: BTreeMap::new(), ends: Vec::new(), said: BTreeMap::new() }
    }

    fn read(&mut self, octets: &[u8]) {
        self.reader.push(octets);
        for message in self.reader.all() {
            match message {
                Message::Update(facts) => {
                    self.ends.extend(facts.end_of_rib);
                    for net in &facts.withdrawn {
                        self.told.remove(net);
                    }
                    for (net, next_hop) in facts.announced {
                        self.told.insert(net, (next_hop, facts.attributes.clone()));
                    }
                }
                Message::Notification(notification) => panic!("{notification:?}"),
                _ => {}
            }
        }
    }
}

/// The speaker under test, and everything that was done to it.
struct Hub {
    rng: Rng,
    now: Instant,
    speaker: Speaker,
    wanted: Desired,
    peers: [Option<Peer>; PEERS.len()],
    unreachable: BTreeSet<IpAddr>,
    originated: BTreeMap<(SourceId, IpNet), PathAttributes>,
}

impl Hub {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut wanted = desired(OWN_AS, [10, 0, 0, 254].into());
        wanted.limits.retained_octets = rng.pick(&[150, 400, 1 << 20]);
        for (peer, (_, asn)) in PEERS.iter().enumerate() {
            let mut neighbor = external(*asn);
            neighbor.asn = PeerAs::Number(Asn(*asn));
            neighbor.passive = true;
            neighbor.route_reflector_client = peer == 2;
            // No timer has a part in this.
            neighbor.timers.hold = Duration::ZERO;
            if rng.one_in(4) {
                neighbor.default_originate = FAMILIES.into();
            }
            wanted.neighbors.insert(key(peer), neighbor);
        }
        let now = Instant::from_micros(1);
        let speaker = fresh(now, &wanted);
        Self {
            rng,
            now,
            speaker,
            wanted,
            peers: Default::default(),
            unreachable: BTreeSet::new(),
            originated: BTreeMap::new(),
        }
    }

    fn any_prefix(&mut self) -> IpNet {
        prefix(self.rng.pick(&PREFIXES))
    }

    /// Something happens.
    fn step(&mut self) {
        let peer = self.rng.index(PEERS.len());
        match (self.rng.below(30), self.peers[peer].as_ref().map(|peer| peer.conn)) {
            (0..=7, Some(conn)) => self.announce(peer, conn),
            (8..=12, Some(conn)) => {
                let net = self.any_prefix();
                self.speaker.handle_bytes(self.now, conn, &withdraw(net));
                self.peers[peer].as_mut().unwrap().said.remove(&net);
            }
            (13..=18, Some(_)) => self.drain(peer, 1),
            (19..=21, Some(_)) => self.drain(peer, usize::MAX),
            (22, Some(conn)) => {
                let octets = message::route_refresh(self.rng.pick(&FAMILIES));
                self.speaker.handle_bytes(self.now, conn, &octets);
            }
            (23, Some(conn)) => {
                self.peers[peer] = None;
                self.speaker.handle_closed(self.now, conn, CloseReason::Reset);
            }
            (24..=25, None) => {
                self.now = self.now + Duration::from_secs(10);
                self.speaker.handle_timeout(self.now);
                self.peers[peer] = Some(Peer::new(connect(&mut self.speaker, self.now, peer), peer));
            }
            (26, _) => {
                let budget = 1 + self.rng.index(5);
                self.speaker.work(self.now, budget);
            }
            (27, _) => {
                let neighbor = self.wanted.neighbors.get_mut(&key(peer)).unwrap();
                edit(neighbor, &mut self.rng, is_internal(peer));
                self.speaker.reconcile(self.now, &self.wanted).unwrap();
            }
            (28, _) => {
                let address = next_hop(peer, self.rng.pick(&FAMILIES));
                let reach = if self.unreachable.remove(&address) {
                    Reachability::Reachable { metric: 0 }
                } else {
                    self.unreachable.insert(address);
                    Reachability::Unreachable
                };
                self.speaker.handle_next_hop(self.now, address, reach);
            }
            (29, _) => self.originate_or_withdraw(),
            _ => {}
        }
    }

    /// A peer announces one prefix, or several of one family.
    fn announce(&mut self, peer: usize, conn: ConnId) {
        let nets: Vec<IpNet> = (0..1 + self.rng.below(3)).map(|_| self.any_prefix()).collect();
        let own = family(nets[0]);
        let nets: BTreeSet<IpNet> = nets.into_iter().filter(|net| family(*net) == own).collect();
        let attrs = self.attributes(peer, own);
        let update = |nets: &[IpNet]| match next_hop(peer, own) {
            IpAddr::V4(_) => message::announce(&attrs, nets),
            IpAddr::V6(next_hop) => {
                let attrs = attrs.clone().mp_reach(own, &message::next_hop_6(next_hop), nets);
                message::update(&[], &attrs.block, &[])
            }
        };
        self.speaker.handle_bytes(self.now, conn, &update(&Vec::from_iter(nets.clone())));
        let said = &mut self.peers[peer].as_mut().unwrap().said;
        said.extend(nets.into_iter().map(|net| (net, update(&[net]))));
    }

    fn attributes(&mut self, peer: usize, family: Family) -> Attrs {
        let rng = &mut self.rng;
        let first = if is_internal(peer) { 65001 + rng.below(2) as u16 } else { PEERS[peer].1 as u16 };
        let path: Vec<u16> =
            [first].into_iter().chain((0..rng.below(3)).map(|_| 100 + rng.below(3) as u16)).collect();
        let mut attrs = Attrs::default().origin(0);
        attrs = if is_narrow(peer) {
            attrs.as_path_2(&path)
        } else {
            attrs.as_path(&path.into_iter().map(u32::from).collect::<Vec<_>>())
        };
        if family == Family::IPV4_UNICAST {
            attrs = attrs.next_hop(identifier(peer));
        }
        if rng.one_in(2) {
            attrs = attrs.med(rng.below(3) as u32);
        }
        // Nobody listens to it where it comes from another AS.
        if is_internal(peer) || rng.one_in(4) {
            attrs = attrs.local_pref(100 + rng.below(2) as u32 * 100);
        }
        attrs
    }

    fn originate_or_withdraw(&mut self) {
        let (source, net) = (SourceId(1 + self.rng.below(2) as u32), self.any_prefix());
        if self.originated.remove(&(source, net)).is_some() {
            return self.speaker.withdraw(source, &[net]);
        }
        let attributes = PathAttributes { med: Some(self.rng.below(2) as u32), ..attributes(&[]) };
        self.speaker.originate(source, &[Origination { prefix: net, attributes: attributes.clone() }]);
        self.originated.insert((source, net), attributes);
    }

    /// A peer reads up to so many times.
    fn drain(&mut self, peer: usize, times: usize) {
        let Some(end) = &mut self.peers[peer] else { return };
        for _ in 0..times {
            let Some(octets) = self.speaker.poll_transmit(self.now, end.conn, 1) else { return };
            end.read(&octets);
        }
    }

    /// Everything is done, and everybody reads who is told that there is something to read.
    fn settle(&mut self) {
        while self.speaker.work(self.now, 7) {}
        let mut actions = 0;
        while let Some(action) = self.speaker.poll_action() {
            actions += 1;
            assert!(actions < 100_000, "it never ends");
            let Action::Writable(conn) = action else { continue };
            let of = |end: &Option<Peer>| end.as_ref().is_some_and(|end| end.conn == conn);
            if let Some(peer) = self.peers.iter().position(of) {
                self.drain(peer, usize::MAX);
            }
        }
        for (peer, end) in self.peers.iter().enumerate() {
            let Some(end) = end else { continue };
            let rest = self.speaker.poll_transmit(self.now, end.conn, 1);
            assert_eq!(rest, None, "{} was not told", PEERS[peer].0);
        }
    }

    fn status(&self, peer: usize) -> NeighborStatus {
        self.speaker.neighbors().into_iter().find(|status| status.key == key(peer)).unwrap()
    }

    /// What each peer has been told is what the speaker says that it was told.
    fn check_told(&self) {
        for (peer, end) in self.peers.iter().enumerate().filter_map(|(peer, end)| Some((peer, end.as_ref()?)))
        {
            let status = self.status(peer);
            let advertised: BTreeMap<IpNet, (NextHop, PathAttributes)> = FAMILIES
                .iter()
                .flat_map(|family| self.speaker.advertised(status.peer, *family))
                .map(|route| {
                    let path = &route.paths[0];
                    (route.prefix, (path.next_hop.expect("a next hop"), path.attributes.clone()))
                })
                .collect();
            assert_eq!(end.told, advertised, "{}", status.key);
            let mut ends = end.ends.clone();
            ends.sort_unstable();
            assert_eq!(ends, FAMILIES, "{}: each family's End-of-RIB, once", status.key);
            for own in FAMILIES {
                let of =
                    |nets: &mut dyn Iterator<Item = &IpNet>| nets.filter(|net| family(**net) == own).count();
                let counts = status.routes[&own];
                assert_eq!(counts.received as usize, of(&mut end.said.keys()), "{} received", status.key);
                assert_eq!(counts.advertised as usize, of(&mut end.told.keys()), "{} advertised", status.key);
            }
        }
        let sizes = self.speaker.rib().sizes();
        assert_eq!((sizes.owed, sizes.retained_octets), (0, 0));
    }

    /// The table is that of a speaker that never knew anything else.
    fn check_table(&self) {
        let mut other = fresh(self.now, &self.wanted);
        for address in &self.unreachable {
            other.handle_next_hop(self.now, *address, Reachability::Unreachable);
        }
        for ((source, net), attributes) in self.originated.iter().rev() {
            other.originate(*source, &[Origination { prefix: *net, attributes: attributes.clone() }]);
        }
        for (peer, end) in self.peers.iter().enumerate().rev() {
            let Some(end) = end else { continue };
            let conn = connect(&mut other, self.now, peer);
            for octets in end.said.values() {
                other.handle_bytes(self.now, conn, octets);
            }
        }
        while other.work(self.now, 100) {}
        assert_eq!(table(&self.speaker), table(&other));
    }

    /// Everybody goes, and takes everything along.
    fn check_empty(mut self) {
        for end in self.peers.iter().flatten() {
            self.speaker.handle_closed(self.now, end.conn, CloseReason::Reset);
        }
        for (source, net) in self.originated.keys() {
            self.speaker.withdraw(*source, &[*net]);
        }
        while self.speaker.work(self.now, 7) {}
        let sizes = self.speaker.rib().sizes();
        let counts = [sizes.prefixes, sizes.ids, sizes.attribute_sets, sizes.owed, sizes.retained_octets];
        assert_eq!(counts, [0; 5], "{sizes:?}");
    }
}

/// A speaker that is what `wanted` says, without routes.
fn fresh(now: Instant, wanted: &Desired) -> Speaker {
    let mut speaker = Speaker::new([7; 32], now);
    speaker.reconcile(now, wanted).unwrap();
    speaker.release(now);
    speaker
}

fn connect(speaker: &mut Speaker, now: Instant, peer: usize) -> ConnId {
    let remote = address(peer);
    let local: IpAddr = if remote.is_ipv4() { "10.0.0.254" } else { "fd00::254" }.parse().unwrap();
    let conn =
        speaker.handle_accepted(now, SocketAddr::new(remote, 50000), SocketAddr::new(local, 179), None);
    let mut open = OpenSpec::new(PEERS[peer].1, identifier(peer)).hold(0);
    if is_narrow(peer) {
        open = open.without(65);
    }
    speaker.handle_bytes(now, conn, &[open.encode(), message::keepalive()].concat());
    conn
}

fn withdraw(net: IpNet) -> Vec<u8> {
    match family(net) {
        Family::IPV4_UNICAST => message::withdraw(&[net]),
        family => message::update(&[], &Attrs::default().mp_unreach(family, &[net]).block, &[]),
    }
}

/// Changes one thing about a neighbour that does not end its session.
fn edit(neighbor: &mut Neighbor, rng: &mut Rng, internal: bool) {
    match rng.below(6) {
        0 => neighbor.export = Some(policy(rng)),
        1 => neighbor.import = Some(policy(rng)),
        2 => {
            let modes = [NextHopMode::Standard, NextHopMode::OwnAddress, NextHopMode::Unchanged];
            neighbor.next_hop = rng.pick(&modes);
        }
        3 if internal => neighbor.route_reflector_client ^= true,
        3 => neighbor.enforce_first_as ^= true,
        4 => (neighbor.export, neighbor.import) = (Some(policy(rng)), Some(policy(rng))),
        _ => {
            let family = rng.pick(&FAMILIES);
            if !neighbor.default_originate.remove(&family) {
                neighbor.default_originate.insert(family);
            }
        }
    }
}

fn policy(rng: &mut Rng) -> Policy {
    let asn = Asn(100 + rng.below(3) as u32);
    let rule = |matches, sets, verdict| Policy {
        rules: vec![Rule { matches, sets, verdict }],
        otherwise: Verdict::Accept,
    };
    match rng.below(9) {
        0 => Policy::accept(),
        1 => Policy::reject(),
        2 => rule(vec![Match::OriginAs(asn)], vec![], Some(Verdict::Reject)),
        3 => {
            let sets = vec![Set::AddCommunities(vec![Community::new(1, 2)]), Set::Med(Some(2))];
            rule(vec![Match::OriginAs(asn)], sets, None)
        }
        4 => rule(vec![Match::Origination(SourceId(2))], vec![], Some(Verdict::Reject)),
        5 => rule(vec![Match::Med(1)], vec![Set::LocalPref(200)], None),
        6 => rule(vec![Match::OriginAs(asn)], vec![Set::Prepend { asn: Asn(OWN_AS), count: 2 }], None),
        7 => {
            let peer = rng.index(PEERS.len());
            rule(vec![Match::Med(0)], vec![Set::NextHop(next_hop(peer, rng.pick(&FAMILIES)))], None)
        }
        _ => rule(vec![], vec![Set::Med(None)], None),
    }
}

/// The table without what only this speaker knows: the peers' numbers.
fn table(speaker: &Speaker) -> Vec<String> {
    FAMILIES
        .iter()
        .flat_map(|family| speaker.rib().routes(*family))
        .flat_map(|route| {
            route.paths.into_iter().map(move |path| {
                let origin = match path.origin {
                    PathOrigin::Local(source) => format!("{source:?}"),
                    PathOrigin::Peer { address, .. } => address.to_string(),
                };
                let verdict = (path.best, path.excluded, path.step);
                format!("{} {origin} {:?} {verdict:?} {:?}", route.prefix, path.next_hop, path.attributes)
            })
        })
        .collect()
}

#[test]
fn what_was_told_is_what_is_said_to_be_told() {
    cases(1500, |seed| {
        let mut hub = Hub::new(seed);
        for _ in 0..20 + hub.rng.below(200) {
            hub.step();
        }
        hub.settle();
        hub.check_told();
        hub.check_table();
        hub.check_empty();
    });
}
