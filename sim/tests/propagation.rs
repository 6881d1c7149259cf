//! What is sent on, to whom, and how it is changed on the way (RFC 4271 §5, §9.1.2, §9.2; RFC 1997,
//! RFC 4456, RFC 6793, RFC 8950).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use peerage_core::{
    policy::{Policy, Rule, Set},
    rib::Exclusion,
    speaker::{ConnId, Neighbor, NextHopMode, PeerState},
    wire::{
        Asn, Community, Family, NextHop, RouterId, SessionKind,
        attr::{AttributeContext, PathAttributes},
    },
};
use peerage_sim::{
    Neighbors as _, Solo, World, attributes, desired, external, internal,
    message::{self, Attrs, Facts, Message, OpenSpec},
    prefix,
};

const NET: &str = "10.9.0.0/16";

/// A speaker in AS 65000 with two eBGP and three iBGP peers, the last one a client of its reflector.
struct Rig {
    solo: Solo,
    peers: Vec<(&'static str, ConnId)>,
}

const PEERS: [(&str, u32); 5] =
    [("10.0.0.2", 65002), ("10.0.0.3", 65003), ("10.0.0.4", 65000), ("10.0.0.5", 65000), ("10.0.0.6", 65000)];
const E1: usize = 0;
const E2: usize = 1;
const I1: usize = 2;
const I2: usize = 3;
const CLIENT: usize = 4;

fn rig() -> Rig {
    rig_with(|_, _| ())
}

fn rig_with(edit: impl Fn(&str, &mut Neighbor)) -> Rig {
    let mut wanted = desired(65000, [10, 0, 0, 1].into());
    for (address, asn) in PEERS {
        let mut neighbor = if asn == 65000 { internal() } else { external(asn) };
        neighbor.route_reflector_client = address == "10.0.0.6";
        edit(address, &mut neighbor);
        wanted = wanted.neighbor(address, neighbor);
    }
    let mut solo = Solo::new(3, &wanted);
    let peers = PEERS.map(|(address, asn)| {
        let conn = solo.establish(address, &OpenSpec::new(asn, address.parse().unwrap()));
        if asn == 65000 {
            solo.read_as(conn, AttributeContext { four_octet_as: true, kind: SessionKind::Internal });
        }
        solo.messages(conn);
        assert_eq!(solo.state(address), PeerState::Established);
        (address, conn)
    });
    for (_, conn) in peers {
        solo.messages(conn);
    }
    Rig { solo, peers: peers.to_vec() }
}

impl Rig {
    fn says(&mut self, peer: usize, attrs: &Attrs) {
        self.solo.bytes(self.peers[peer].1, &message::announce(attrs, &[prefix(NET)]));
    }

    /// What each peer is told about the prefix now: `None` for nothing.
    fn heard(&mut self, peer: usize) -> Option<Facts> {
        let net = prefix(NET);
        self.solo
            .messages(self.peers[peer].1)
            .into_iter()
            .map(|message| match message {
                Message::Update(facts) => *facts,
                other => panic!("{other:?}"),
            })
            .rfind(|facts| facts.announced.contains_key(&net) || facts.withdrawn.contains(&net))
            .filter(|facts| facts.announced.contains_key(&net))
    }

    /// Who is told about the prefix.
    fn told(&mut self) -> Vec<usize> {
        (0..self.peers.len()).filter(|&peer| self.heard(peer).is_some()).collect()
    }

    fn excluded(&self) -> Option<Exclusion> {
        self.solo.speaker.rib().route(prefix(NET)).expect("a route").paths[0].excluded
    }
}

fn from_e1() -> Attrs {
    Attrs::new(&[65002, 64000], [10, 0, 0, 2].into())
}

fn from_ibgp() -> Attrs {
    Attrs::new(&[64000], [10, 7, 7, 7].into()).local_pref(150)
}

fn v4(hop: [u8; 4]) -> Option<NextHop> {
    Some(NextHop::V4(hop.into()))
}

#[test]
fn who_is_told() {
    let mut rig = rig();
    rig.says(E1, &from_e1());
    assert_eq!(rig.told(), [E2, I1, I2, CLIENT], "from eBGP to all others");
    let mut rig = rig_with(|_, _| ());
    rig.says(I1, &from_ibgp());
    assert_eq!(rig.told(), [E1, E2, CLIENT], "from iBGP to eBGP and clients");
    let mut rig = rig_with(|_, _| ());
    rig.says(CLIENT, &from_ibgp());
    assert_eq!(rig.told(), [E1, E2, I1, I2], "from a client to all others");
}

/// RFC 1997.
#[test]
fn well_known_communities() {
    let no_export = Community::NO_EXPORT.0;
    let rows = [
        (Community::NO_ADVERTISE.0, vec![]),
        (no_export, vec![I1, I2, CLIENT]),
        (Community::NO_EXPORT_SUBCONFED.0, vec![I1, I2, CLIENT]),
        (Community::GRACEFUL_SHUTDOWN.0, vec![E2, I1, I2, CLIENT]),
    ];
    for (community, told) in rows {
        let mut rig = rig();
        rig.says(E1, &from_e1().communities(&[7, community]));
        assert_eq!(rig.told(), told, "{community:08x}");
    }
    // It comes and goes with the attributes.
    let mut rig = rig();
    rig.says(E1, &from_e1());
    rig.told();
    rig.says(E1, &from_e1().communities(&[no_export]));
    let gone: Vec<_> = rig
        .solo
        .messages(rig.peers[E2].1)
        .into_iter()
        .filter(|message| matches!(message, Message::Update(facts) if facts.withdrawn.contains(&prefix(NET))))
        .collect();
    assert_eq!(gone.len(), 1);
}

/// RFC 4271 §9.1.2: a path with the own AS in it is not used and not sent on.
#[test]
fn as_loop() {
    let mut rig = rig();
    rig.says(E1, &Attrs::new(&[65002, 65000, 64000], [10, 0, 0, 2].into()));
    assert_eq!(rig.excluded(), Some(Exclusion::AsLoop));
    assert_eq!(rig.told(), [] as [usize; 0]);
    rig.says(I1, &Attrs::new(&[65000], [10, 7, 7, 7].into()).local_pref(100));
    assert_eq!(rig.told(), [] as [usize; 0]);
}

/// RFC 4271 §6.3: the first AS is the peer's, unless that is not asked for.
#[test]
fn first_as() {
    let foreign = Attrs::new(&[64000], [10, 0, 0, 2].into());
    let mut rig = rig();
    rig.says(E1, &foreign);
    assert_eq!(rig.excluded(), Some(Exclusion::FirstAs));
    assert_eq!(rig.told(), [] as [usize; 0]);
    let mut rig = rig_with(|_, neighbor| neighbor.enforce_first_as = false);
    rig.says(E1, &foreign);
    assert_eq!(rig.excluded(), None);
    assert_eq!(rig.told(), [E2, I1, I2, CLIENT]);
}

/// RFC 4271 §5.1.5, §5.1.2, §5.1.4: what each kind of peer sees of an eBGP route.
#[test]
fn attributes_towards_each_kind() {
    let mut rig = rig();
    rig.says(E1, &from_e1().med(50).communities(&[1]));
    let external = rig.heard(E2).expect("a route").attributes;
    assert_eq!(external.as_path.to_string(), "65000 65002 64000");
    assert_eq!((external.local_pref, external.med), (None, None), "MED goes no further than the next AS");
    let internal = rig.heard(I1).expect("a route").attributes;
    assert_eq!(internal.as_path.to_string(), "65002 64000");
    assert_eq!((internal.local_pref, internal.med), (Some(100), Some(50)));
    assert_eq!(internal.communities, [Community(1)]);
    assert_eq!((internal.originator_id, internal.cluster_list.len()), (None, 0));
}

#[test]
fn local_pref_stays_inside() {
    let mut rig = rig();
    rig.says(I1, &from_ibgp().med(9));
    let external = rig.heard(E1).expect("a route").attributes;
    assert_eq!((external.local_pref, external.med), (None, None));
    assert_eq!(external.as_path.to_string(), "65000 64000");
    let internal = rig.heard(CLIENT).expect("a route").attributes;
    assert_eq!((internal.local_pref, internal.med), (Some(150), Some(9)));
}

/// A MED of one's own is sent, by origination as well as by policy.
#[test]
fn own_med_is_sent() {
    let mut world = World::new(1);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b");
    world.peer_with(
        "b",
        "c",
        |neighbor| {
            let rule = Rule { sets: vec![Set::Med(Some(33))], ..Rule::default() };
            neighbor.export = Some(Policy { rules: vec![rule], ..Policy::accept() });
        },
        |_| (),
    );
    let route = PathAttributes { med: Some(7), ..attributes(&[]) };
    world.originate_with("a", NET, route).start().settle();
    assert_eq!(world.best("b", NET).unwrap().attributes.med, Some(7));
    assert_eq!(world.best("c", NET).unwrap().attributes.med, Some(33));
}

/// RFC 4456: reflection adds ORIGINATOR_ID and CLUSTER_LIST, and sees its own.
#[test]
fn reflection() {
    let mut rig = rig();
    rig.says(CLIENT, &from_ibgp());
    let reflected = rig.heard(I1).expect("a route");
    assert_eq!(reflected.attributes.originator_id, Some(RouterId(0x0A00_0006)));
    assert_eq!(reflected.attributes.cluster_list, [RouterId(0x0A00_0001)]);
    assert_eq!(reflected.announced[&prefix(NET)], NextHop::V4([10, 7, 7, 7].into()));
    assert_eq!(reflected.attributes.local_pref, Some(150));
    let outside = rig.heard(E1).expect("a route").attributes;
    assert_eq!((outside.originator_id, outside.cluster_list.len()), (None, 0), "optional, non-transitive");

    // What was reflected before keeps its originator and gets one more cluster.
    let mut rig = rig_with(|_, _| ());
    rig.says(I1, &from_ibgp().raw(0x80, 9, &[9, 9, 9, 9]).raw(0x80, 10, &[8, 8, 8, 8]));
    let reflected = rig.heard(CLIENT).expect("a route").attributes;
    assert_eq!(reflected.originator_id, Some(RouterId(0x0909_0909)));
    assert_eq!(reflected.cluster_list, [RouterId(0x0A00_0001), RouterId(0x0808_0808)]);

    // Loops.
    for attrs in
        [from_ibgp().raw(0x80, 9, &[10, 0, 0, 1]), from_ibgp().raw(0x80, 10, &[8, 8, 8, 8, 10, 0, 0, 1])]
    {
        let mut rig = rig_with(|_, _| ());
        rig.says(I1, &attrs);
        assert_eq!(rig.excluded(), Some(Exclusion::ReflectionLoop));
        assert_eq!(rig.told(), [] as [usize; 0]);
    }
}

/// Two reflectors with a cluster between them and redundant sessions: no loops, everybody knows.
#[test]
fn a_reflected_network_converges() {
    let mut world = World::new(12);
    for name in ["rr1", "rr2", "c1", "c2", "c3"] {
        world.speaker(name, 65000);
    }
    world.peer("rr1", "rr2");
    for client in ["c1", "c2", "c3"] {
        for reflector in ["rr1", "rr2"] {
            let client_of = |neighbor: &mut Neighbor| neighbor.route_reflector_client = true;
            world.peer_with(reflector, client, client_of, |_| ());
        }
    }
    world.originate("c1", NET).start().settle();
    for name in ["rr1", "rr2", "c2", "c3"] {
        assert!(world.has(name, NET), "{name}");
    }
    world.withdraw("c1", NET).settle();
    for name in ["rr1", "rr2", "c2", "c3"] {
        assert!(!world.has(name, NET), "{name}");
    }
}

/// RFC 4271 §5.1.3.
#[test]
fn next_hops() {
    let mut plain = rig();
    plain.says(E1, &from_e1());
    let hop = |facts: Option<Facts>| facts.map(|facts| facts.announced[&prefix(NET)]);
    assert_eq!(hop(plain.heard(E2)), v4([10, 0, 0, 1]), "own address towards eBGP");
    assert_eq!(hop(plain.heard(I1)), v4([10, 0, 0, 2]), "unchanged towards iBGP");

    let mut own = rig_with(|_, neighbor| neighbor.next_hop = NextHopMode::OwnAddress);
    own.says(E1, &from_e1());
    assert_eq!(hop(own.heard(I1)), v4([10, 0, 0, 1]), "next-hop-self");

    let mut unchanged = rig_with(|_, neighbor| neighbor.next_hop = NextHopMode::Unchanged);
    unchanged.says(E1, &from_e1());
    assert_eq!(hop(unchanged.heard(E2)), v4([10, 0, 0, 2]), "unchanged towards eBGP");

    let mut policy = rig_with(|_, neighbor| {
        let rule = Rule { sets: vec![Set::NextHop([10, 3, 3, 3].into())], ..Rule::default() };
        neighbor.export = Some(Policy { rules: vec![rule], ..Policy::accept() });
    });
    policy.says(E1, &from_e1());
    assert_eq!(hop(policy.heard(E2)), v4([10, 3, 3, 3]));

    let mut local = rig();
    local.solo.reconcile(&local.solo.speaker.desired().cloned().unwrap().route(NET));
    assert_eq!(hop(local.heard(E1)), v4([10, 0, 0, 1]));
    assert_eq!(hop(local.heard(I1)), v4([10, 0, 0, 1]));
}

/// A next hop that cannot be reached takes its routes out of use until it can.
#[test]
fn unreachable_next_hops() {
    let mut world = World::new(2);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.peer("a", "b").peer("b", "c").originate("a", NET).start().settle();
    world.next_hop("b", "10.0.0.1", None).settle();
    assert!(!world.has("b", NET) && !world.has("c", NET));
    world.next_hop("b", "10.0.0.1", Some(10)).settle();
    assert!(world.has("b", NET) && world.has("c", NET));
}

/// RFC 8950: IPv4 routes over a session between link-local addresses, in MP_REACH_NLRI.
#[test]
fn unnumbered() {
    let mut world = World::new(4);
    world.keep_messages().speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
    world.unnumbered("a", "net0", "b", "net0").unnumbered("b", "net1", "c", "eth7");
    world.originate("a", NET).originate("a", "2001:db8::/32").start().settle();
    assert!(world.established("a", "b") && world.established("b", "c"));
    let from_a = world.link_local("a", "net0");
    for net in [NET, "2001:db8::/32"] {
        let best = world.best("b", net).expect("a route");
        let hop = best.next_hop.expect("a next hop");
        assert_eq!(hop.address(), IpAddr::V6(from_a), "{net}");
        assert!(world.has("c", net));
    }
    let half = world.received("b", "a").unwrap();
    let carried = half.log.iter().any(|message| match message {
        Message::Update(facts) => facts.announced.contains_key(&prefix(NET)) && facts.raw(14).is_some(),
        _ => false,
    });
    assert!(carried, "the IPv4 route is not in MP_REACH_NLRI");
    // Nobody there any more: the session goes on until its own timers end it, and comes again with the
    // neighbour.
    let now = world.now();
    world.of_mut("b").handle_neighbor(now, "net0", None);
    world.of_mut("a").handle_neighbor(now, "net0", None);
    world.settle();
    assert!(world.has("c", NET));
    world.reset_connections("a", "b").run_for(std::time::Duration::from_secs(300)).settle();
    assert!(!world.has("b", NET));
    for (name, peer) in [("a", "b"), ("b", "a")] {
        let (now, address) = (world.now(), world.link_local(peer, "net0"));
        world.of_mut(name).handle_neighbor(now, "net0", Some(address));
    }
    world.run_for(std::time::Duration::from_secs(300)).settle();
    assert!(world.has("c", NET));
}

/// Two links between the same two speakers are two sessions.
#[test]
fn parallel_links() {
    let mut world = World::new(4);
    world.speaker("a", 65001).speaker("b", 65002);
    world.unnumbered("a", "net0", "b", "net0").unnumbered("a", "net1", "b", "net1");
    world.originate("a", NET).start().settle();
    let route = world.of("b").rib().route(prefix(NET)).expect("a route");
    assert_eq!(route.paths.len(), 2);
    assert!(world.of("b").neighbors().iter().all(|status| status.state == PeerState::Established));
}

/// IPv4 routes cannot go where only IPv6 next hops can and RFC 8950 is not agreed; nothing else breaks.
#[test]
fn next_hops_that_a_session_cannot_carry() {
    let mut world = World::new(5);
    world.speaker("a", 65001).speaker("b", 65002);
    world.peer_6("a", "b").originate("a", "2001:db8::/32").start().settle();
    assert!(world.has("b", "2001:db8::/32"));
    assert!(world.established("a", "b"));
}

#[test]
fn default_originate() {
    let mut world = World::new(6);
    world.speaker("a", 65001).speaker("b", 65002).speaker("c", 65001);
    let default = |neighbor: &mut Neighbor| {
        neighbor.default_originate = [Family::IPV4_UNICAST, Family::IPV6_UNICAST].into();
        neighbor.export = Some(Policy::reject());
    };
    world.peer_with("a", "b", default, |_| ()).peer_with("a", "c", default, |_| ());
    world.originate("a", NET).start().settle();
    for peer in ["b", "c"] {
        assert!(world.has(peer, "0.0.0.0/0"), "{peer}");
        assert!(!world.has(peer, NET), "{peer}: the export policy says no");
    }
    assert!(!world.has("a", "0.0.0.0/0"), "it is in nobody's own table");
    assert_eq!(world.best("b", "0.0.0.0/0").unwrap().attributes.as_path.to_string(), "65001");
    world.edit_neighbor("a", "b", |neighbor| neighbor.default_originate.clear());
    world.settle();
    assert!(!world.has("b", "0.0.0.0/0") && world.has("c", "0.0.0.0/0"));
    assert_eq!(world.status("a", "b").dropped, 0);
}

/// RFC 4271 §5: unknown attributes, transitive ones with the partial bit and every octet kept.
#[test]
fn unknown_attributes() {
    let value: Vec<u8> = (0..300_u16).map(|octet| octet as u8).collect();
    let mut rig = rig();
    rig.says(E1, &from_e1().raw(0xC0, 200, b"transitive").raw(0x80, 201, b"not").raw(0xE0, 202, &value));
    for peer in [E2, I1] {
        let facts = rig.heard(peer).expect("a route");
        let (flags, octets) = facts.raw(200).expect("a transitive attribute");
        assert_eq!((flags & 0xE0, &octets[..]), (0xE0, &b"transitive"[..]));
        assert_eq!(facts.raw(201), None, "not transitive");
        let (flags, octets) = facts.raw(202).expect("a long transitive attribute");
        assert_eq!((flags & 0xE0, octets), (0xE0, value.clone()));
    }
}

/// RFC 6793: towards a peer with two-octet AS numbers, and from it.
#[test]
fn two_octet_as_numbers() {
    let old = |asn: u16| OpenSpec::new(u32::from(asn), [10, 0, 0, 2].into()).without(65);
    let wanted = desired(4_200_000_000, [10, 0, 0, 1].into())
        .neighbor("10.0.0.2", external(65002))
        .neighbor("10.0.0.3", external(4_200_000_003));
    let mut solo = Solo::new(3, &wanted);
    let narrow = solo.accept("10.0.0.2");
    let Some(Message::Open(open)) = solo.messages(narrow).pop() else { panic!("no OPEN") };
    assert_eq!(open.my_as, 23456);
    solo.bytes(narrow, &old(65002).encode());
    solo.bytes(narrow, &message::keepalive());
    solo.read_as(narrow, AttributeContext { four_octet_as: false, kind: SessionKind::External });
    let wide = solo.establish("10.0.0.3", &OpenSpec::new(4_200_000_003, [10, 0, 0, 3].into()));
    solo.messages(narrow);
    solo.messages(wide);

    // Out: AS_TRANS in AS_PATH, the truth in AS4_PATH.
    let attrs = Attrs::new(&[4_200_000_003, 64000], [10, 0, 0, 3].into()).raw(
        0xC0,
        7,
        &[&4_200_000_003_u32.to_be_bytes()[..], &[10, 0, 0, 3]].concat(),
    );
    solo.bytes(wide, &message::announce(&attrs, &[prefix(NET)]));
    let messages = solo.messages(narrow);
    let [Message::Update(facts)] = &messages[..] else { panic!("{messages:?}") };
    let two = |asns: &[u16]| {
        [&[2, asns.len() as u8][..], &asns.iter().flat_map(|asn| asn.to_be_bytes()).collect::<Vec<_>>()]
            .concat()
    };
    let four = |asns: &[u32]| {
        [&[2, asns.len() as u8][..], &asns.iter().flat_map(|asn| asn.to_be_bytes()).collect::<Vec<_>>()]
            .concat()
    };
    assert_eq!(facts.raw(2).unwrap().1, two(&[23456, 23456, 64000]));
    let (flags, value) = facts.raw(17).expect("AS4_PATH");
    assert_eq!(value, four(&[4_200_000_000, 4_200_000_003, 64000]));
    assert_eq!(flags & 0xC0, 0xC0);
    assert_eq!(facts.raw(7).unwrap().1, [&[0x5B, 0xA0][..], &[10, 0, 0, 3]].concat());
    assert_eq!(facts.raw(18).unwrap().1, [&4_200_000_003_u32.to_be_bytes()[..], &[10, 0, 0, 3]].concat());
    assert_eq!(facts.attributes.as_path.to_string(), "4200000000 4200000003 64000", "merged again");

    // In: merged (RFC 6793 §4.2.3), and sent on whole.
    let attrs = Attrs::default()
        .origin(0)
        .as_path_2(&[65002, 23456, 64001])
        .next_hop([10, 0, 0, 2].into())
        .raw(0xC0, 17, &four(&[4_200_000_009, 64001]));
    solo.bytes(narrow, &message::announce(&attrs, &[prefix("10.8.0.0/16")]));
    let route = solo.speaker.rib().route(prefix("10.8.0.0/16")).expect("a route");
    assert_eq!(route.paths[0].attributes.as_path.to_string(), "65002 4200000009 64001");
    let messages = solo.messages(wide);
    let Some(Message::Update(facts)) = messages.last() else { panic!("{messages:?}") };
    assert_eq!(facts.raw(2).unwrap().1, four(&[4_200_000_000, 65002, 4_200_000_009, 64001]));
    assert_eq!(facts.raw(17), None, "AS4_PATH is for old peers only");
}

/// A path where nothing needs four octets has no AS4_PATH.
#[test]
fn no_as4_path_where_none_is_needed() {
    let wanted = desired(65001, [10, 0, 0, 1].into()).neighbor("10.0.0.2", external(65002)).route(NET);
    let mut solo = Solo::new(3, &wanted);
    let conn = solo.accept("10.0.0.2");
    solo.messages(conn);
    solo.bytes(conn, &OpenSpec::new(65002, [10, 0, 0, 2].into()).without(65).encode());
    solo.read_as(conn, AttributeContext { four_octet_as: false, kind: SessionKind::External });
    solo.bytes(conn, &message::keepalive());
    let announced = solo.messages(conn).into_iter().find_map(|message| match message {
        Message::Update(facts) if !facts.announced.is_empty() => Some(facts),
        _ => None,
    });
    let facts = announced.expect("a route");
    assert_eq!(facts.raw(2).unwrap().1, [2, 1, 0xFD, 0xE9]);
    assert_eq!(facts.raw(17), None);
}

/// A path of 255 ASes grows into a second segment.
#[test]
fn long_paths() {
    let mut path = vec![65002];
    path.extend(64000..64254);
    let mut rig = rig();
    rig.says(E1, &Attrs::new(&path, [10, 0, 0, 2].into()));
    let sent = rig.heard(E2).expect("a route").attributes.as_path;
    assert_eq!(sent.segments.iter().map(|segment| segment.asns.len()).sum::<usize>(), 256);
    assert_eq!(sent.segments[0].asns[0], Asn(65000));
    assert!(sent.segments.iter().all(|segment| segment.asns.len() <= 255));
}

/// Many prefixes of one set of attributes share UPDATEs, none longer than 4,096 octets.
#[test]
fn updates_are_packed() {
    let mut rig = rig();
    let nets: Vec<IpNet> =
        (0..2000_u32).map(|net| prefix(&format!("10.{}.{}.0/24", net / 256, net % 256))).collect();
    for chunk in nets.chunks(500) {
        rig.solo.speaker.handle_bytes(rig.solo.now, rig.peers[E1].1, &message::announce(&from_e1(), chunk));
    }
    let messages = rig.solo.messages(rig.peers[E2].1);
    assert!(messages.len() <= 4, "{} UPDATEs for 2,000 prefixes of one kind", messages.len());
    let mut count = 0;
    for message in messages {
        let Message::Update(facts) = message else { panic!("{message:?}") };
        assert!(facts.body.len() + 19 <= 4096);
        count += facts.announced.len();
    }
    assert_eq!(count, 2000);
}

/// Attributes that leave no room for a prefix in a message are not sent, and break nothing.
#[test]
fn attributes_too_long_to_send() {
    let mut rig = rig();
    // 4,096 - 23 octets of attributes fit a message that comes in, and not one with an AS more.
    let base = Attrs::new(&[65002], [10, 0, 0, 2].into());
    let room = 4096 - 23 - base.block.len() - 4 - 3;
    let attrs = base.raw(0xC0, 200, &vec![7; room]);
    rig.says(E1, &attrs);
    assert!(rig.solo.speaker.rib().route(prefix(NET)).is_some());
    assert_eq!(rig.heard(E2).map(|facts| facts.body.len()), None);
    assert_eq!(rig.solo.state("10.0.0.3"), PeerState::Established);
    rig.says(E1, &from_e1());
    assert!(rig.heard(E2).is_some(), "the next route is sent again");
}

/// IPv6 routes with a link-local half (RFC 2545 §3).
#[test]
fn ipv6_next_hop_with_link_local() {
    let mut rig = rig();
    let global: Ipv6Addr = "2001:db8::7".parse().unwrap();
    let local: Ipv6Addr = "fe80::7".parse().unwrap();
    let hop = [message::next_hop_6(global), message::next_hop_6(local)].concat();
    let net = prefix("2001:db8:1::/48");
    let attrs = Attrs::default().origin(0).as_path(&[65002]).mp_reach(Family::IPV6_UNICAST, &hop, &[net]);
    rig.solo.bytes(rig.peers[E1].1, &message::update(&[], &attrs.block, &[]));
    let best = rig.solo.speaker.rib().route(net).expect("a route").paths.remove(0);
    assert_eq!(best.next_hop, Some(NextHop::V6WithLinkLocal { global, link_local: local }));
    let gone = Attrs::default().mp_unreach(Family::IPV6_UNICAST, &[net]);
    rig.solo.bytes(rig.peers[E1].1, &message::update(&[], &gone.block, &[]));
    assert!(rig.solo.speaker.rib().route(net).is_none());
}

/// The longest match of an address.
#[test]
fn lookup() {
    let wanted = desired(65000, [10, 0, 0, 1].into())
        .route("0.0.0.0/0")
        .route("10.0.0.0/8")
        .route("10.1.0.0/16")
        .route("10.1.1.1/32")
        .route("2001:db8::/32");
    let solo = Solo::new(1, &wanted);
    let rows = [
        ("10.1.1.1", Some("10.1.1.1/32")),
        ("10.1.1.2", Some("10.1.0.0/16")),
        ("10.2.0.1", Some("10.0.0.0/8")),
        ("192.0.2.1", Some("0.0.0.0/0")),
        ("2001:db8::1", Some("2001:db8::/32")),
        ("2001:db9::1", None),
    ];
    for (address, want) in rows {
        let found = solo.speaker.rib().lookup(address.parse().unwrap()).map(|route| route.prefix);
        assert_eq!(found, want.map(prefix), "{address}");
    }
    let _: Ipv4Addr = "10.0.0.1".parse().unwrap();
}
