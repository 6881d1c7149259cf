//! What each key does: one file with all of them, and what it says.

use std::{collections::BTreeSet, time::Duration};

use peerage_config::{LogLevel, render};
use peerage_core::{
    policy::{Match, Policy, PrefixMatch, RouteSource, Rule, Set, Verdict},
    speaker::{
        Desired, GracefulRestart, Limits, Neighbor, NeighborKey, NextHopMode, PeerAs, SocketOptions, Timers,
    },
    wire::{
        Asn, Community, Family, LargeCommunity, Origin, RouterId,
        attr::{AsPath, PathAttributes, Segment, SegmentKind},
    },
};

use crate::{BASE, config};

const ALL: &str = r#"
as = 65000
router-id = "10.0.0.1"
cluster-id = "10.0.0.9"
hostname = "rr0"
listen = ["10.0.0.1:1790", "::1"]
socket = "/run/peerage/rr0.sock"
log = "debug"
originate = [
    "10.1.0.0/16",
    { prefix = "2001:db8::/32", origin = "incomplete", med = 5, local-pref = 200, communities = "no-export", large-communities = ["65000:1:2"], prepend = { count = 2 } },
]

[limits]
prefixes-per-neighbor = 1
refused-connections = 2
dynamic-peers = 3
retained-octets = 4
events = 5

[neighbor."10.0.0.2"]
as = 65001
description = "all of it"
passive = true
shutdown = true
port = 1791
local-address = "10.0.0.1"
ttl-security = 2
password = "secret"
timers = { hold = "1m", keepalive = 20, connect-retry = 11, idle-hold = "12s", open = 13, send-hold = 600 }
families = ["ipv4-unicast"]
extended-next-hop = true
graceful-restart = "2m"
next-hop = "self"
default-originate = ["ipv4-unicast"]
prefix-limit = 14
enforce-first-as = false
import = "in"
export = [{ match.source = "local", verdict = "accept" }]

[neighbor."10.0.0.3"]
as = "internal"
route-reflector-client = true
next-hop = "unchanged"

[policy.in]
otherwise = "accept"

[[policy.in.rule]]
match.prefix = ["10.0.0.0/8 le 24", "0.0.0.0/0"]
match.source = ["internal", "external"]
match.community = ["65000:1", "blackhole"]
match.large-community = "65000:1:1"
match.as-path-contains = 1
match.neighbor-as = 2
match.origin-as = 3
match.as-path-length = "1..3"
match.origin = "egp"
match.next-hop = "10.0.0.5"
match.med = 4
match.local-pref = 5
match.not.med = 6
match.not.source = "local"
set.local-pref = 7
set.med = "none"
set.origin = "igp"
set.community = { set = "65000:2", remove = "65000:3", add = ["65000:4"] }
set.large-community = { set = [], remove = "65000:1:3", add = "65000:1:4" }
set.prepend = { as = 8, count = 9 }
set.next-hop = "10.0.0.6"

[[policy.in.rule]]
match.as-path-length = 2
set.med = 1
verdict = "reject"
"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn expected_policy() -> Policy {
    let prefix =
        |net: &str, min_len, max_len| PrefixMatch { net: net.parse().expect("a prefix"), min_len, max_len };
    let large = |local2| LargeCommunity { global: 65000, local1: 1, local2 };
    let source = |sources: &[RouteSource]| Match::Source(sources.iter().copied().collect());
    let address = |text: &str| text.parse().expect("an address");
    let first = Rule {
        matches: vec![
            Match::Prefix(vec![prefix("10.0.0.0/8", 8, 24), prefix("0.0.0.0/0", 0, 0)]),
            source(&[RouteSource::Internal, RouteSource::External]),
            Match::AnyCommunity(vec![Community::new(65000, 1), Community::BLACKHOLE]),
            Match::AnyLargeCommunity(vec![large(1)]),
            Match::AsPathContains(Asn(1)),
            Match::NeighborAs(Asn(2)),
            Match::OriginAs(Asn(3)),
            Match::AsPathLength { min: 1, max: 3 },
            Match::Origin(Origin::Egp),
            Match::NextHop(address("10.0.0.5")),
            Match::Med(4),
            Match::LocalPref(5),
            Match::Not(Box::new(source(&[RouteSource::Local]))),
            Match::Not(Box::new(Match::Med(6))),
        ],
        sets: vec![
            Set::LocalPref(7),
            Set::Med(None),
            Set::Origin(Origin::Igp),
            Set::Communities(vec![Community::new(65000, 2)]),
            Set::RemoveCommunities(vec![Community::new(65000, 3)]),
            Set::AddCommunities(vec![Community::new(65000, 4)]),
            Set::LargeCommunities(vec![]),
            Set::RemoveLargeCommunities(vec![large(3)]),
            Set::AddLargeCommunities(vec![large(4)]),
            Set::Prepend { asn: Asn(8), count: 9 },
            Set::NextHop(address("10.0.0.6")),
        ],
        verdict: None,
    };
    let second = Rule {
        matches: vec![Match::AsPathLength { min: 2, max: 2 }],
        sets: vec![Set::Med(Some(1))],
        verdict: Some(Verdict::Reject),
    };
    Policy { rules: vec![first, second], otherwise: Verdict::Accept }
}

fn expected_desired() -> Desired {
    let mut desired = Desired::new(Asn(65000), RouterId(0x0a00_0001));
    desired.cluster_id = Some(RouterId(0x0a00_0009));
    desired.hostname = Some("rr0".into());
    desired.limits = Limits {
        prefixes_per_neighbor: 1,
        refused_connections: 2,
        dynamic_peers: 3,
        retained_octets: 4,
        events: 5,
    };
    let route = PathAttributes {
        origin: Origin::Incomplete,
        as_path: AsPath {
            segments: vec![Segment { kind: SegmentKind::Sequence, asns: vec![Asn(65000); 2] }],
        },
        med: Some(5),
        local_pref: Some(200),
        communities: vec![Community::NO_EXPORT],
        large_communities: vec![LargeCommunity { global: 65000, local1: 1, local2: 2 }],
        ..PathAttributes::default()
    };
    desired.originate.insert("10.1.0.0/16".parse().expect("a prefix"), PathAttributes::default());
    desired.originate.insert("2001:db8::/32".parse().expect("a prefix"), route);

    let mut first = Neighbor::new(PeerAs::Number(Asn(65001)));
    first.description = Some("all of it".into());
    first.passive = true;
    first.shutdown = true;
    first.port = 1791;
    first.local_address = Some("10.0.0.1".parse().expect("an address"));
    first.socket = SocketOptions { ttl: Some(255), min_ttl: Some(254), md5_key: Some(b"secret".to_vec()) };
    first.timers = Timers {
        hold: seconds(60),
        keepalive: seconds(20),
        connect_retry: seconds(11),
        idle_hold: seconds(12),
        open: seconds(13),
        send_hold: Some(seconds(600)),
    };
    first.families = BTreeSet::from([Family::IPV4_UNICAST]);
    first.extended_next_hop = true;
    first.graceful_restart = Some(GracefulRestart { restart_time: seconds(120) });
    first.next_hop = NextHopMode::OwnAddress;
    first.default_originate = first.families.clone();
    first.prefix_limit = Some(14);
    first.enforce_first_as = false;
    first.import = Some(expected_policy());
    let own = Rule {
        matches: vec![Match::Source(BTreeSet::from([RouteSource::Local]))],
        sets: vec![],
        verdict: Some(Verdict::Accept),
    };
    first.export = Some(Policy { rules: vec![own], otherwise: Verdict::Reject });
    let mut second = Neighbor::new(PeerAs::Internal);
    second.route_reflector_client = true;
    second.next_hop = NextHopMode::Unchanged;
    for (address, neighbor) in [("10.0.0.2", first), ("10.0.0.3", second)] {
        desired.neighbors.insert(NeighborKey::Address(address.parse().expect("an address")), neighbor);
    }
    desired
}

#[test]
fn all_of_them() {
    let config = config(ALL);
    assert_eq!(config.desired, expected_desired());
    assert_eq!(config.desired.check(), Ok(()));
    assert_eq!(
        config.listen,
        ["10.0.0.1:1790".parse().expect("an address"), "[::1]:179".parse().expect("an address")]
    );
    assert_eq!(config.socket.as_deref(), Some("/run/peerage/rr0.sock".as_ref()));
    assert_eq!(config.log, LogLevel::Debug);
    let notices: Vec<String> = config.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["t.toml:72:1: notice: policy.in.rule[1]: what this rule changes has no effect, for it rejects"]
    );
}

#[test]
fn the_least() {
    let config = config(BASE);
    assert_eq!(config.desired, Desired::new(Asn(65000), RouterId(0x0a00_0001)));
    assert_eq!(
        config.listen,
        ["0.0.0.0:179".parse().expect("an address"), "[::]:179".parse().expect("an address")]
    );
    assert_eq!((config.socket, config.log, config.notices), (None, LogLevel::Info, vec![]));
}

/// What the effective configuration says is the configuration, less its passwords.
#[test]
fn all_of_them_rendered() {
    let mut before = config(ALL);
    let text = render(&before);
    let after = config(&text);
    for neighbor in before.desired.neighbors.values_mut() {
        neighbor.socket.md5_key = None;
    }
    assert_eq!(before.desired, after.desired, "{text}");
    assert_eq!(
        (before.listen, before.socket, before.log),
        (after.listen.clone(), after.socket.clone(), after.log)
    );
    assert_eq!(render(&after), text.replace("# password: there is one\n", ""));
}
