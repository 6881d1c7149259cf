//! Recorded update streams replayed through sessions: the table is what a map per peer says.
//!
//! The files lie beside the project (`PEERAGE_SHARED`) and are not part of it.

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

#[path = "../../core/tests/common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use peerage_core::{
    rib::PathOrigin,
    speaker::{ConnId, NeighborKey, PeerAs},
    wire::{
        Family, SessionKind,
        attr::{AttributeContext, PathAttributes},
    },
};
use peerage_sim::{
    Solo, desired, external,
    message::{self, OpenSpec},
    prefix,
};

use common::mrt::Mrt;

const FAMILIES: [Family; 2] = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];

/// A recorded peer: its session, and what it has announced and not withdrawn.
struct Peer {
    conn: ConnId,
    context: AttributeContext,
    routes: BTreeMap<IpNet, PathAttributes>,
}

#[test]
fn replayed_tables_are_those_of_a_map() {
    let Some(folder) = common::shared("vectors/mrt") else { return };
    let mut wanted = desired(64999, [10, 0, 0, 1].into());
    let mut neighbor = external(1);
    neighbor.asn = PeerAs::Any;
    neighbor.enforce_first_as = false;
    neighbor.timers.hold = core::time::Duration::ZERO;
    for range in ["0.0.0.0/0", "::/0"] {
        wanted.neighbors.insert(NeighborKey::Range(prefix(range)), neighbor.clone());
    }
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            (name.contains("updates") || name.contains("mrtdump_bgp")) && !name.contains("expect")
        })
        .collect();
    names.sort();
    let (mut messages, mut total) = (0, 0);
    for path in &names {
        let mut solo = Solo::new(1, &wanted);
        let mut peers: BTreeMap<(IpAddr, u32, bool), Peer> = BTreeMap::new();
        let mut next: u32 = 0;
        for record in Mrt::open(path).expect("a file") {
            if record.add_path || record.message.get(18) != Some(&2) {
                continue;
            }
            messages += 1;
            let key = (record.peer_ip, record.peer_as, record.as4);
            let peer = peers.entry(key).or_insert_with(|| {
                // An address of its own for each: a collector has several sessions with one router.
                next += 1;
                let remote: SocketAddr = ([10, 77, (next / 250) as u8, (next % 250) as u8 + 1], 40000).into();
                let conn = solo.accept_from(remote, ([10, 0, 0, 1], 179).into(), None);
                let mut open = OpenSpec::new(record.peer_as, [10, 77, 0, 1].into()).hold(0);
                if !record.as4 {
                    open = open.without(65);
                }
                solo.bytes(conn, &open.encode());
                solo.bytes(conn, &message::keepalive());
                let context = AttributeContext { four_octet_as: record.as4, kind: SessionKind::External };
                Peer { conn, context, routes: BTreeMap::new() }
            });
            // Not read: the speaker writes nothing to them but its End-of-RIB and each other's routes.
            solo.speaker.handle_bytes(solo.now, peer.conn, &record.message);
            match message::facts(&record.message[19..], peer.context) {
                Ok(facts) => {
                    for net in &facts.withdrawn {
                        peer.routes.remove(net);
                    }
                    let attributes = &facts.attributes;
                    peer.routes.extend(facts.announced.keys().map(|net| (*net, attributes.clone())));
                }
                // The end of the session.
                Err(_) => {
                    let gone = peers.remove(&key).expect("it is there");
                    solo.pump();
                    assert!(!solo.is_open(gone.conn), "{}: a fault does not end the session", path.display());
                }
            }
        }
        solo.pump();
        let mut want: BTreeMap<IpNet, usize> = BTreeMap::new();
        let mut sets: BTreeMap<IpNet, Vec<String>> = BTreeMap::new();
        for peer in peers.values() {
            for (net, attributes) in &peer.routes {
                *want.entry(*net).or_default() += 1;
                sets.entry(*net).or_default().push(format!("{attributes:?}"));
            }
        }
        let (mut got, mut found) = (BTreeMap::new(), BTreeMap::new());
        for family in FAMILIES {
            for route in solo.speaker.rib().routes(family) {
                got.insert(route.prefix, route.paths.len());
                let all: Vec<String> = route
                    .paths
                    .iter()
                    .inspect(|path| assert!(matches!(path.origin, PathOrigin::Peer { .. })))
                    .map(|path| format!("{:?}", path.attributes))
                    .collect();
                let naive = peerage_sim::naive::decide(&route.paths, &BTreeMap::new());
                assert_eq!(route.best(), naive.map(|index| &route.paths[index]), "{}", route.prefix);
                found.insert(route.prefix, all);
            }
        }
        assert_eq!(want, got, "{}", path.display());
        for (net, sets) in &mut sets {
            let mut found = found.remove(net).expect("a route");
            sets.sort();
            found.sort();
            assert_eq!(*sets, found, "{}: {net}", path.display());
        }
        total += got.values().sum::<usize>();
    }
    loudly!("{} files, {messages} UPDATEs, {total} paths at the end", names.len());
    assert!(names.len() >= 10 && messages > 1000);
}
