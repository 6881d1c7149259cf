//! The layouts, against what FRR printed on the same fabric (a run of FRR 8.4.4, whose layout is that of
//! 8.2.2). Figures that core has not are gone from the text; nothing else differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, SystemTime},
};

use peerage_core::{
    Speaker,
    rib::{Exclusion, Path, PathOrigin, Route, Step},
    speaker::{
        CloseReason, Desired, DownReason, MessageCounts, NeighborKey, NeighborStatus, PeerAs, PeerId,
        PeerState, RouteCounts, SessionInfo, SourceId,
    },
    time::Instant,
    wire::{
        Asn, Capability, Family, GracefulRestartFamily, NextHop, Notification, Origin, RouterId, SessionKind,
        attr::{AsPath, PathAttributes, Segment, SegmentKind},
    },
};

use super::*;

const NOW: Instant = Instant::from_micros(1_000_000_000);

/// Any peer's id: only a speaker makes them.
fn peer_id() -> PeerId {
    let mut speaker = Speaker::new([7; 32], NOW);
    let mut desired = Desired::new(Asn(1), RouterId(1));
    let key = NeighborKey::Address("192.0.2.1".parse().unwrap());
    desired.neighbors.insert(key, peerage_core::speaker::Neighbor::new(PeerAs::Any));
    speaker.reconcile(NOW, &desired).unwrap();
    speaker.neighbors().first().unwrap().peer
}

fn key(text: &str) -> NeighborKey {
    text.parse().map_or_else(|_| NeighborKey::Interface(text.into()), NeighborKey::Address)
}

/// An established neighbour.
fn neighbor(name: &str, asn: u32, hostname: &str, messages: (u64, u64), prefixes: (u32, u32)) -> Neighbor {
    let address: IpAddr = name.parse().unwrap_or(IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)));
    let session = SessionInfo {
        local: "10.0.0.9:179".parse().unwrap(),
        remote: (address, 40000).into(),
        remote_as: Asn(asn),
        remote_router_id: RouterId(9),
        remote_hostname: Some(hostname.into()),
        remote_capabilities: Vec::new(),
        local_capabilities: Vec::new(),
        hold_time: Duration::from_secs(9),
        keepalive: Duration::from_secs(3),
        families: vec![Family::IPV4_UNICAST],
    };
    let counts = RouteCounts { received: prefixes.0, accepted: prefixes.0, advertised: prefixes.1 };
    let count = |total| MessageCounts { keepalives: total, ..MessageCounts::default() };
    Neighbor {
        status: NeighborStatus {
            peer: peer_id(),
            key: key(name),
            address: Some(address),
            state: PeerState::Established,
            shutdown: false,
            policy_missing: false,
            session: Some(session),
            since: Some(Instant::from_micros(NOW.as_micros() - 9_400_000)),
            received: count(messages.0),
            sent: count(messages.1),
            routes: BTreeMap::from([(Family::IPV4_UNICAST, counts)]),
            established: 1,
            dropped: 0,
            last_reset: None,
            last_error: None,
        },
        asn: PeerAs::External,
        description: None,
    }
}

/// A neighbour that waits.
fn waiting(name: &str) -> Neighbor {
    let mut neighbor = neighbor(name, 0, "", (0, 0), (0, 0));
    neighbor.asn = PeerAs::Internal;
    neighbor.status.state = PeerState::Active;
    neighbor.status.session = None;
    neighbor.status.since = None;
    neighbor.status.established = 0;
    neighbor
}

fn as_path(text: &str) -> AsPath {
    let asns: Vec<Asn> = text.split_whitespace().map(|asn| asn.parse().unwrap()).collect();
    let segments = if asns.is_empty() { vec![] } else { vec![Segment { kind: SegmentKind::Sequence, asns }] };
    AsPath { segments }
}

fn attributes(path: &str, med: Option<u32>, local_pref: Option<u32>) -> PathAttributes {
    PathAttributes {
        origin: Origin::Incomplete,
        as_path: as_path(path),
        med,
        local_pref,
        ..PathAttributes::default()
    }
}

fn path(origin: PathOrigin, next_hop: Option<NextHop>, attributes: PathAttributes) -> Path {
    Path { origin, next_hop, attributes, best: true, excluded: None, step: None }
}

fn local() -> Path {
    path(PathOrigin::Local(SourceId::CONFIG), None, attributes("", Some(0), None))
}

fn learned(from: &str, hostname: &str, kind: SessionKind, attributes: PathAttributes) -> Path {
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let (address, interface, next_hop) = match from.parse::<std::net::Ipv4Addr>() {
        Ok(address) => (IpAddr::V4(address), None, NextHop::V4(address)),
        Err(_) => (
            IpAddr::V6(link_local),
            Some(from.to_owned()),
            NextHop::V6WithLinkLocal { global: link_local, link_local },
        ),
    };
    let origin = PathOrigin::Peer {
        peer: peer_id(),
        key: key(from),
        address,
        router_id: RouterId(9),
        hostname: Some(hostname.into()),
        interface,
        kind,
    };
    path(origin, Some(next_hop), attributes)
}

fn route(prefix: &str, path: Path) -> Route {
    Route { prefix: prefix.parse().unwrap(), paths: vec![path] }
}

fn instance(asn: u32, router_id: &str, version: u64, hostnames: bool) -> Instance {
    Instance {
        prefixes: 0,
        asn: Asn(asn),
        router_id: router_id.parse().unwrap(),
        hostname: Some("vm".into()),
        show_hostname: hostnames,
        family: Family::IPV4_UNICAST,
        version,
        peer_groups: BTreeSet::from(["ROUTERS".into()]),
        neighbors: Vec::new(),
        routes: Vec::new(),
        now: NOW,
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_656),
    }
}

#[test]
fn the_summary_has_frrs_layout() {
    let mut router0 = instance(65000, "10.0.0.0", 12, false);
    router0.neighbors = vec![
        neighbor("net0", 65010, "tor0", (16, 15), (5, 13)),
        neighbor("net1", 65011, "tor1", (16, 16), (5, 13)),
    ];
    router0.routes = vec![route("10.0.0.0/32", local()), route("172.20.20.0/24", local())];
    assert_eq!(
        summary_text(&router0),
        "
IPv4 Unicast Summary (VRF default):
BGP router identifier 10.0.0.0, local AS number 65000 vrf-id 0
BGP table version 12
RIB entries 2
Peers 2
Peer groups 1

Neighbor        V         AS    LocalAS   MsgRcvd   MsgSent   TblVer  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc
net0            4      65010      65000        16        15       12    0    0 00:00:09            5       13 N/A
net1            4      65011      65000        16        16       12    0    0 00:00:09            5       13 N/A

Total number of neighbors 2
"
    );
}

#[test]
fn hosts_are_named_where_frr_names_them() {
    let mut tor0 = instance(65010, "10.0.0.1", 9, true);
    let mut blocked = neighbor("10.0.9.2", 65099, "x", (3, 3), (0, 0));
    blocked.status.policy_missing = true;
    let mut down = waiting("10.0.9.3");
    down.status.shutdown = true;
    down.description = Some("spare".into());
    down.asn = PeerAs::Number(Asn(65098));
    tor0.neighbors = vec![
        neighbor("net0", 65000, "clab-bgp-cplane-demo-router0", (8, 10), (6, 9)),
        waiting("10.0.1.2"),
        blocked,
        down,
    ];
    let text = summary_text(&tor0);
    let rows: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("Neighbor")).take(5).collect();
    assert_eq!(
        rows,
        [
            "Neighbor                           V         AS    LocalAS   MsgRcvd   MsgSent   TblVer  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc",
            "clab-bgp-cplane-demo-router0(net0) 4      65000      65010         8        10        9    0    0 00:00:09            6        9 N/A",
            "10.0.1.2                           4          0      65010         0         0        0    0    0    never       Active        0 N/A",
            "x(10.0.9.2)                        4      65099      65010         3         3        9    0    0 00:00:09     (Policy)        0 N/A",
            "10.0.9.3                           4      65098      65010         0         0        0    0    0    never Idle (Admin)        0 spare",
        ]
    );
}

#[test]
fn the_table_has_frrs_layout() {
    let mut tor0 = instance(65010, "10.0.0.1", 13, true);
    let from_router0 = |path, med| learned("net0", "vm", SessionKind::External, attributes(path, med, None));
    let mut default = from_router0("65000", Some(0));
    default.attributes.origin = Origin::Igp;
    let mut looped = from_router0("65000 65010", None);
    looped.best = false;
    looped.excluded = Some(Exclusion::AsLoop);
    let mut lost = learned("10.0.2.2", "vm", SessionKind::Internal, attributes("", None, Some(100)));
    lost.best = false;
    lost.step = Some(Step::RouterId);
    tor0.routes = vec![
        route("0.0.0.0/0", default),
        route("10.0.0.1/32", local()),
        route("10.0.0.2/32", from_router0("65000 65011", None)),
        route("10.0.9.0/24", looped),
        Route {
            prefix: "10.1.0.0/24".parse().unwrap(),
            paths: vec![
                learned("10.0.1.2", "vm", SessionKind::Internal, attributes("", None, Some(100))),
                lost,
            ],
        },
    ];
    assert_eq!(
        table_text(&tor0),
        "\
BGP table version is 13, local router ID is 10.0.0.1, vrf id 0
Default local pref 100, local AS 65010
Status codes:  s suppressed, d damped, h history, * valid, > best, = multipath,
               i internal, r RIB-failure, S Stale, R Removed
Nexthop codes: @NNN nexthop's vrf id, < announce-nh-self
Origin codes:  i - IGP, e - EGP, ? - incomplete
RPKI validation codes: V valid, I invalid, N Not found

   Network                                      Next Hop                                  Metric LocPrf Weight Path
*> 0.0.0.0/0                                    net0                                           0             0 65000 i
*> 10.0.0.1/32                                  0.0.0.0(vm)                                    0         32768 ?
*> 10.0.0.2/32                                  net0                                                         0 65000 65011 ?
*>i10.1.0.0/24                                  10.0.1.2(vm)                                        100      0 ?
* i                                             10.0.2.2(vm)                                        100      0 ?

Displayed  4 routes and 5 total paths
"
    );
    tor0.show_hostname = false;
    let text = table_text(&tor0);
    assert!(
        text.contains("*> 10.0.0.1/32                                  0.0.0.0                  "),
        "{text}"
    );
}

#[test]
fn a_value_that_is_too_wide_goes_on_in_the_next_line() {
    let mut instance = instance(1, "0.0.0.1", 1, false);
    let name = "a-name-of-an-interface-that-is-longer-than-the-column";
    instance.routes =
        vec![route("10.0.0.0/8", learned(name, "x", SessionKind::External, attributes("2", None, None)))];
    let text = table_text(&instance);
    let line = format!("\n*> 10.0.0.0/8                                   {name}\n{:36}", "");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn uptimes() {
    let text = |seconds| uptime_text(Some(Duration::from_secs(seconds)));
    assert_eq!(uptime_text(None), "never");
    assert_eq!(text(0), "00:00:00");
    assert_eq!(text(86_399), "23:59:59");
    assert_eq!(text(86_400 + 3_600 * 2 + 60 * 3 + 4), "1d02h03m");
    assert_eq!(text(86_400 * 17 + 3_600 * 5), "02w3d05h");
}

#[test]
fn the_json_says_null_where_nothing_was_measured() {
    let mut router0 = instance(65000, "10.0.0.0", 12, false);
    router0.neighbors = vec![neighbor("net0", 65010, "tor0", (16, 15), (5, 13))];
    router0.routes = vec![
        route("10.0.0.0/32", local()),
        route(
            "10.0.0.1/32",
            learned("net0", "tor0", SessionKind::External, attributes("65010", Some(0), None)),
        ),
    ];
    let summary = summary_json(&router0);
    assert!(summary["ribMemory"].is_null() && summary["peerMemory"].is_null());
    assert_eq!(summary["ribCount"], 2);
    assert_eq!(summary["peers"]["net0"]["peerUptimeEstablishedEpoch"], 1_795_435_646);
    assert_eq!(summary["peers"]["net0"]["peerUptimeMsec"], 9_400);
    let table = table_json(&router0);
    let learned = &table["routes"]["10.0.0.1/32"][0];
    assert!(learned["version"].is_null());
    assert_eq!(learned["nexthops"][1]["scope"], "link-local");
    assert_eq!(learned["peerId"], "fe80::1");
    assert_eq!(table["routes"]["10.0.0.0/32"][0]["nexthops"][0]["ip"], "0.0.0.0");
    assert!(learned["locPrf"].is_null());
}

#[test]
fn a_neighbor_in_full_says_why_it_is_down() {
    let mut router0 = instance(65000, "10.0.0.0", 12, false);
    let mut gone = waiting("10.0.1.2");
    gone.status.since = Some(Instant::from_micros(NOW.as_micros() - 3_000_000));
    gone.status.last_error = Some(DownReason::Transport(CloseReason::Refused));
    gone.status.last_reset = Some(DownReason::Received(Notification::new(6, 3)));
    router0.neighbors = vec![gone, waiting("10.0.2.2")];
    let text = neighbor_text(&router0, Some("10.0.1.2"));
    assert!(text.contains("BGP state: Active, down for 00:00:03"), "{text}");
    assert!(text.contains("Last reset: received NOTIFICATION 6/3 (Cease/Peer De-configured)"), "{text}");
    assert!(text.contains("Last error: connection refused"), "{text}");
    assert!(!text.contains("10.0.2.2"));
    assert_eq!(neighbor_text(&router0, None).matches("BGP neighbor is").count(), 2);
    let json = neighbor_json(&router0, Some("10.0.1.2"));
    assert_eq!(json["10.0.1.2"]["lastReset"]["subcode"], 3);
    assert_eq!(json["10.0.1.2"]["lastError"]["name"], "connection refused");
    assert!(json["10.0.1.2"]["hostname"].is_null());
}

/// R, N and F are there to be seen, and a peer that only helps.
#[test]
fn graceful_restart_is_shown_bit_by_bit() {
    let offer = |bits, time, families: &[(Family, bool)]| Capability::GracefulRestart {
        restarting: bits,
        notification: bits,
        time,
        families: families
            .iter()
            .map(|&(family, forwarding_kept)| GracefulRestartFamily { family, forwarding_kept })
            .collect(),
    };
    let mut router0 = instance(65000, "10.0.0.0", 12, false);
    let mut there = neighbor("10.0.1.2", 65010, "tor0", (1, 1), (1, 1));
    let session = there.status.session.as_mut().unwrap();
    let families = [(Family::IPV4_UNICAST, true), (Family::IPV6_UNICAST, false)];
    session.local_capabilities = vec![offer(true, 60, &families)];
    session.remote_capabilities = vec![offer(false, 120, &[])];
    router0.neighbors = vec![there];
    let text = neighbor_text(&router0, None);
    let sent = "sent: graceful restart (60 s, R, N, ipv4-unicast F, ipv6-unicast)\n";
    assert!(text.contains(sent), "{text}");
    assert!(text.contains("received: graceful restart (120 s)\n"), "{text}");
}

#[test]
fn a_route_in_full_says_why_it_was_chosen() {
    let router0 = instance(65000, "10.0.0.0", 12, false);
    let mut best = learned("net0", "a", SessionKind::External, attributes("65010", Some(0), None));
    best.step = Some(Step::AsPathLength);
    let mut refused = learned("net1", "b", SessionKind::External, attributes("65011 65000", None, None));
    refused.best = false;
    refused.excluded = Some(Exclusion::AsLoop);
    let route = Route { prefix: "10.1.0.0/24".parse().unwrap(), paths: vec![best, refused] };
    let text = route_text(&router0, &route);
    assert!(text.contains("valid, best (AS Path)"), "{text}");
    assert!(text.contains("not valid: the AS path contains the own AS"), "{text}");
    assert_eq!(route_json(&router0, &route)["paths"][0]["selectionReason"], "AS Path");
}
