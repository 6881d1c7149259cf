//! Every field of a CiliumBGPPeeringPolicy: type, range, enum, format, and what is said of each.

use crate::{faults, nodes, policy};

const AT: &str = "a.yaml:15:";
const PEER: &str = "CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].neighbors[0]";

/// The policy with a line about its neighbour, and what is said about it.
fn with(line: &str) -> Vec<String> {
    faults(&[&policy("# more", line)])
}

#[test]
fn a_policy_as_it_should_be() {
    assert_eq!(with("# nothing"), [""; 0]);
}

#[test]
fn ranges_on_both_ends() {
    for (field, min, max) in [
        ("peerPort", 1_i64, 65_535_i64),
        ("eBGPMultihopTTL", 1, 255),
        ("connectRetryTimeSeconds", 1, 2_147_483_647),
        ("keepAliveTimeSeconds", 1, 65_535),
        ("holdTimeSeconds", 3, 65_535),
    ] {
        let expected = format!("expected a whole number from {min} to {max}, found");
        let column = 7 + field.len() + 2;
        for wrong in [min - 1, max + 1, -1, i64::MAX] {
            let said = with(&format!("{field}: {wrong}"));
            assert_eq!(said, [format!("{AT}{column}: {PEER}.{field}: {expected} {wrong}")]);
        }
        for (wrong, found) in [
            ("\"5\"", "the text \"5\""),
            ("5.5", "5.5"),
            ("yes", "the text \"yes\""),
            ("true", "true"),
            ("[5]", "a list"),
            ("{a: 5}", "a mapping"),
        ] {
            let said = with(&format!("{field}: {wrong}"));
            assert_eq!(said, [format!("{AT}{column}: {PEER}.{field}: {expected} {found}")]);
        }
        for right in [min, max] {
            let others = match field {
                "keepAliveTimeSeconds" => "\n      holdTimeSeconds: 65535",
                "holdTimeSeconds" => "\n      keepAliveTimeSeconds: 1",
                _ => "",
            };
            let said = with(&format!("{field}: {right}{others}"));
            let notices = usize::from(field == "eBGPMultihopTTL");
            assert_eq!(said.len(), notices, "{said:?}");
        }
        assert_eq!(with(&format!("{field}:")), [""; 0], "nothing is as good as absent");
    }
}

#[test]
fn as_numbers() {
    let expected = "expected a whole number from 0 to 4294967295, found";
    for wrong in ["-1", "4294967296"] {
        assert_eq!(
            faults(&[&policy("peerASN: 65010", &format!("peerASN: {wrong}"))]),
            [format!("a.yaml:14:16: {PEER}.peerASN: {expected} {wrong}")]
        );
        assert_eq!(
            faults(&[&policy("localASN: 65010", &format!("localASN: {wrong}"))]),
            [format!(
                "a.yaml:10:15: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].localASN: \
                 {expected} {wrong}"
            )]
        );
    }
    assert_eq!(
        faults(&[&policy("peerASN: 65010", "peerASN: 0")]),
        [format!("a.yaml:14:16: {PEER}.peerASN: AS 0 is reserved (RFC 7607)")]
    );
    assert_eq!(
        faults(&[&policy("localASN: 65010", "localASN: 0")]),
        ["a.yaml:10:15: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].localASN: \
          AS 0 is reserved (RFC 7607)"]
    );
    for right in ["1", "4294967295"] {
        assert_eq!(faults(&[&policy("peerASN: 65010", &format!("peerASN: {right}"))]), [""; 0]);
        assert_eq!(faults(&[&policy("localASN: 65010", &format!("localASN: {right}"))]), [""; 0]);
    }
}

#[test]
fn peer_addresses() {
    let at = format!("a.yaml:13:20: {PEER}.peerAddress");
    for (wrong, message) in [
        (
            "10.0.0.1",
            "expected an address with its length, such as \"10.0.0.1/32\" or \"fd00::1/128\", \
             found the text \"10.0.0.1\"",
        ),
        (
            "10.0.0.1/33",
            "expected an address with its length, such as \"10.0.0.1/32\" or \"fd00::1/128\", \
             found the text \"10.0.0.1/33\"",
        ),
        (
            "tor0/32",
            "expected an address with its length, such as \"10.0.0.1/32\" or \"fd00::1/128\", \
             found the text \"tor0/32\"",
        ),
        ("0.0.0.0/0", "0.0.0.0: the unspecified address is not a neighbour's"),
        ("::/128", "::: the unspecified address is not a neighbour's"),
        ("224.0.0.5/32", "224.0.0.5: a multicast address is not a neighbour's"),
        ("ff02::5/128", "ff02::5: a multicast address is not a neighbour's"),
        ("255.255.255.255/32", "255.255.255.255: the broadcast address is not a neighbour's"),
        (
            "fe80::1/128",
            "fe80::1: a link-local address means nothing without an interface, which cannot be given here",
        ),
    ] {
        assert_eq!(faults(&[&policy("10.0.0.1/32", wrong)]), [format!("{at}: {message}")]);
    }
    for right in ["10.0.0.1/32", "fd00::1/128", "127.0.0.1/32", "0.0.0.1/32"] {
        assert_eq!(faults(&[&policy("10.0.0.1/32", right)]), [""; 0]);
    }
    assert_eq!(
        faults(&[&policy("10.0.0.1/32", "10.0.0.1/24")]),
        [format!(
            "a.yaml:13:20: notice: {PEER}.peerAddress: the length /24 has no effect: \
             the peer is 10.0.0.1 alone, as with /32"
        )]
    );
}

#[test]
fn what_must_be_there() {
    let missing = |from: &str, to: &str| faults(&[&policy(from, to)]);
    assert_eq!(
        missing("\n      peerASN: 65010", ""),
        [format!("a.yaml:13:7: {PEER}.peerASN: missing: expected a whole number from 0 to 4294967295")]
    );
    assert_eq!(
        missing("peerAddress: \"10.0.0.1/32\"", "peerPort: 179"),
        [format!(
            "a.yaml:13:7: {PEER}.peerAddress: missing: expected an address with its length, such as \
             \"10.0.0.1/32\" or \"fd00::1/128\""
        )]
    );
    let list = "expected a list with at least one item";
    let router = "CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0]";
    let (_, neighbors) = crate::POLICY.split_once("    neighbors:\n").unwrap();
    assert_eq!(
        missing(&format!("    neighbors:\n{neighbors}"), ""),
        [format!("a.yaml:10:5: {router}.neighbors: missing: {list}")]
    );
    assert_eq!(
        missing(&format!("    neighbors:\n{neighbors}"), "    neighbors: []\n"),
        [format!("a.yaml:12:16: {router}.neighbors: {list}, found an empty list")]
    );
    let (_, routers) = crate::POLICY.split_once("  virtualRouters:\n").unwrap();
    assert_eq!(
        missing(&format!("  virtualRouters:\n{routers}"), "  virtualRouters: []\n"),
        [format!(
            "a.yaml:9:19: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters: {list}, found an empty list"
        )]
    );
    assert_eq!(
        missing("localASN: 65010\n    ", ""),
        [format!("a.yaml:10:5: {router}.localASN: missing: expected a whole number from 0 to 4294967295")]
    );
    assert_eq!(
        missing("  name: rack0", "  labels: {}"),
        ["a.yaml:3:1: CiliumBGPPeeringPolicy/(no name): metadata.name: missing: expected a name of at most \
          253 lower case letters, digits, \"-\" and \".\""]
    );
    assert_eq!(
        missing("name: rack0", "name: Rack_0"),
        ["a.yaml:4:9: CiliumBGPPeeringPolicy/Rack_0: metadata.name: expected a name of at most 253 lower \
          case letters, digits, \"-\" and \".\", found the text \"Rack_0\""]
    );
    let (_, spec) = crate::POLICY.split_once("spec:\n").unwrap();
    assert_eq!(
        missing(&format!("spec:\n{spec}"), ""),
        ["a.yaml:1:1: notice: CiliumBGPPeeringPolicy/rack0: spec: without a spec this policy is for every \
          node, and does nothing there"]
    );
}

#[test]
fn booleans() {
    assert_eq!(
        faults(&[&policy("exportPodCIDR: true", "exportPodCIDR: yes")]),
        ["a.yaml:11:20: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].exportPodCIDR: expected true \
          or false, found the text \"yes\""]
    );
    assert_eq!(
        with("gracefulRestart: {}"),
        [format!("{AT}24: {PEER}.gracefulRestart.enabled: missing: expected true or false")]
    );
    assert_eq!(with("gracefulRestart: {enabled: false}"), [""; 0]);
}

#[test]
fn graceful_restart_time() {
    for wrong in ["0", "4096"] {
        assert_eq!(
            with(&format!("gracefulRestart: {{enabled: true, restartTimeSeconds: {wrong}}}")),
            [format!(
                "{AT}60: {PEER}.gracefulRestart.restartTimeSeconds: expected a whole number from 1 to 4095, \
                 found {wrong}"
            )]
        );
    }
    for right in ["1", "4095"] {
        assert_eq!(
            with(&format!("gracefulRestart: {{enabled: true, restartTimeSeconds: {right}}}")),
            [""; 0]
        );
    }
}

#[test]
fn families() {
    let afis = ["ipv4", "ipv6", "l2vpn", "ls", "opaque"];
    let safis = [
        "unicast",
        "multicast",
        "mpls_label",
        "encapsulation",
        "vpls",
        "evpn",
        "ls",
        "sr_policy",
        "mup",
        "mpls_vpn",
        "mpls_vpn_multicast",
        "route_target_constraints",
        "flowspec_unicast",
        "flowspec_vpn",
        "key_value",
    ];
    for afi in afis {
        for safi in safis {
            let said = with(&format!("families: [{{afi: {afi}, safi: {safi}}}]"));
            let acted_on = ["ipv4", "ipv6"].contains(&afi) && safi == "unicast";
            let expected = format!(
                "{AT}18: notice: {PEER}.families[0]: {afi}/{safi} is offered, and nothing is announced in it"
            );
            assert_eq!(said, if acted_on { vec![] } else { vec![expected] });
        }
    }
    assert_eq!(
        with("families: [{afi: ipv5, safi: Unicast}, {afi: ipv4}]"),
        [
            format!(
                "{AT}24: {PEER}.families[0].afi: expected ipv4, ipv6, l2vpn, ls or opaque, found the text \
                 \"ipv5\""
            ),
            format!(
                "{AT}36: {PEER}.families[0].safi: expected {} or key_value, found the text \"Unicast\"",
                safis[..14].join(", ")
            ),
            format!(
                "{AT}46: {PEER}.families[1].safi: missing: expected {} or key_value",
                safis[..14].join(", ")
            ),
        ]
    );
    assert_eq!(with("families: []"), [""; 0]);
}

#[test]
fn path_attributes() {
    let said = |inner: &str| with(&format!("advertisedPathAttributes: [{{{inner}}}]"));
    let field = format!("{PEER}.advertisedPathAttributes[0]");
    for kind in ["PodCIDR", "CiliumLoadBalancerIPPool", "CiliumPodIPPool"] {
        assert_eq!(said(&format!("selectorType: {kind}, localPreference: 200")), [""; 0]);
        assert_eq!(
            said(&format!("selectorType: {kind}, communities: {{standard: []}}")),
            [format!("{AT}34: notice: {field}: no effect: neither communities nor localPreference")]
        );
    }
    let external = policy("peerASN: 65010", "peerASN: 65000")
        .replace("# more", "advertisedPathAttributes: [{selectorType: PodCIDR, localPreference: 200}]");
    assert_eq!(
        faults(&[&external]),
        [format!("{AT}75: notice: {field}.localPreference: no effect on a peer in another AS")]
    );
    assert_eq!(
        said("selectorType: Service"),
        [format!(
            "{AT}49: {field}.selectorType: expected PodCIDR, CiliumLoadBalancerIPPool or CiliumPodIPPool, \
             found the text \"Service\""
        )]
    );
    let community = "expected a community, as a number up to 4294967295 or as \"65010:100\"";
    for wrong in ["x", "1:2:3", "65536:1", "1:65536", "01:1", "4294967296", "-1", "+1", ":", "1:", " 1"] {
        assert_eq!(
            said(&format!("selectorType: PodCIDR, communities: {{standard: ['{wrong}']}}")),
            [format!("{AT}83: {field}.communities.standard[0]: {community}, found the text {wrong:?}")]
        );
    }
    assert_eq!(
        said("selectorType: PodCIDR, communities: {standard: [65010]}"),
        [format!("{AT}83: {field}.communities.standard[0]: {community}, found 65010")]
    );
    for wrong in ["1:2", "1:2:3:4", "4294967296:1:1", "1:2:x", "1::2", "01:1:1"] {
        assert_eq!(
            said(&format!("selectorType: PodCIDR, communities: {{large: ['{wrong}']}}")),
            [format!(
                "{AT}80: {field}.communities.large[0]: expected a large community such as \"65010:1:100\", \
                 found the text {wrong:?}"
            )]
        );
    }
    let all = "selectorType: PodCIDR, selector: {matchLabels: {a: b}}, localPreference: 4294967295, \
               communities: {standard: ['0', '4294967295', '65535:65535'], large: ['1:2:4294967295'], \
               wellKnown: [internet, planned-shut, accept-own, route-filter-translated-v4, route-filter-v4, \
               route-filter-translated-v6, route-filter-v6, llgr-stale, no-llgr, blackhole, no-export, \
               no-advertise, no-export-subconfed, no-peer]}";
    assert_eq!(said(all), [""; 0]);
    let unknown = said("selectorType: PodCIDR, communities: {wellKnown: [graceful-shutdown]}");
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].contains("wellKnown[0]: expected internet, planned-shut, "), "{unknown:?}");
    assert_eq!(
        said("selectorType: PodCIDR, localPreference: 4294967296"),
        [format!(
            "{AT}75: {field}.localPreference: expected a whole number from 0 to 4294967295, found 4294967296"
        )]
    );
}

#[test]
fn communities_have_their_values() {
    use peerage_core::wire::{Community, LargeCommunity};
    let communities = peerage_kubernetes::Communities {
        standard: Some(vec!["65010:100".into(), "0".into(), "65535:666".into()]),
        well_known: Some(vec![
            "blackhole".into(),
            "no-peer".into(),
            "internet".into(),
            "planned-shut".into(),
        ]),
        large: Some(vec!["1:2:3".into(), "1:2:3".into()]),
    };
    assert_eq!(
        communities.standard(),
        [
            Community(0),
            Community::new(65010, 100),
            Community::GRACEFUL_SHUTDOWN,
            Community::BLACKHOLE,
            Community::new(65535, 65284)
        ]
    );
    assert_eq!(communities.large(), [LargeCommunity { global: 1, local1: 2, local2: 3 }]);
}

#[test]
fn what_has_no_effect_is_said() {
    let router = "CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0]";
    let with_router =
        |line: &str| faults(&[&policy("exportPodCIDR: true", &format!("exportPodCIDR: true\n    {line}"))]);
    for line in [
        "serviceSelector: {}",
        "podIPPoolSelector: {matchLabels: {a: b}}",
        "serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ClusterIP, ExternalIP]",
    ] {
        assert_eq!(with_router(line), [""; 0], "{line}");
    }
    assert_eq!(
        with_router("serviceAdvertisements: [ClusterIP]"),
        [format!(
            "a.yaml:12:28: notice: {router}.serviceAdvertisements: no effect without serviceSelector: no \
             Service is chosen"
        )]
    );
    assert_eq!(
        with_router("serviceSelector: {}\n    serviceAdvertisements: []"),
        [format!(
            "a.yaml:13:28: notice: {router}.serviceAdvertisements: an empty list: no address of the chosen \
             Services is announced"
        )]
    );
    assert_eq!(
        with_router("serviceAdvertisements: [NodePort]"),
        [format!(
            "a.yaml:12:29: {router}.serviceAdvertisements[0]: expected LoadBalancerIP, ClusterIP or \
             ExternalIP, found the text \"NodePort\""
        )]
    );
    assert_eq!(
        with("authSecretRef: bgp-key"),
        [format!(
            "{AT}22: notice: {PEER}.authSecretRef: checked, and not yet acted on: no session is \
             opened with this neighbour"
        )]
    );
    assert_eq!(
        with("eBGPMultihopTTL: 4"),
        [format!("{AT}24: notice: {PEER}.eBGPMultihopTTL: no effect on a peer in the same AS")]
    );
}

#[test]
fn fields_that_nobody_knows() {
    assert_eq!(
        with("peerAsn: 1\n      bfd: true"),
        [
            format!(
                "a.yaml:15:16: notice: {PEER}.peerAsn: nobody knows this field, it has no effect: is \
                 `peerASN` meant?"
            ),
            format!("a.yaml:16:12: notice: {PEER}.bfd: nobody knows this field, it has no effect"),
        ]
    );
    assert_eq!(
        faults(&[&policy("exportPodCIDR", "exportPodCidr")]),
        ["a.yaml:11:20: notice: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].exportPodCidr: nobody \
          knows this field, it has no effect: is `exportPodCIDR` meant?"]
    );
    // A Node has many fields that are of no interest here, and an object's metadata too.
    assert_eq!(faults(&[&nodes("  podCIDR: 10.1.1.0/24", "  providerID: x\n  taints: []")]), [""; 0]);
    assert_eq!(faults(&[&policy("name: rack0", "name: rack0\n  uid: x")]), [""; 0]);
}

#[test]
fn keepalive_and_hold() {
    let said = |line: &str| with(line);
    let peer = "peer AS 65010 at 10.0.0.1: the keepalive time of";
    assert_eq!(
        said("holdTimeSeconds: 9"),
        [format!(
            "{AT}24: {PEER}.holdTimeSeconds: {peer} 30 s (the default) is longer than the hold time of 9 s: \
             set keepAliveTimeSeconds to a third of it, 3 s"
        )]
    );
    assert_eq!(
        said("keepAliveTimeSeconds: 91"),
        [format!(
            "{AT}29: {PEER}.keepAliveTimeSeconds: {peer} 91 s is longer than the hold time of 90 s (the \
             default): set keepAliveTimeSeconds to a third of it, 30 s"
        )]
    );
    assert_eq!(
        said("holdTimeSeconds: 9\n      keepAliveTimeSeconds: 10"),
        [format!(
            "a.yaml:16:29: {PEER}.keepAliveTimeSeconds: {peer} 10 s is longer than the hold time of 9 s: set \
             keepAliveTimeSeconds to a third of it, 3 s"
        )]
    );
    for right in [
        "holdTimeSeconds: 30",
        "keepAliveTimeSeconds: 90",
        "holdTimeSeconds: 9\n      keepAliveTimeSeconds: 9",
        "holdTimeSeconds: 3\n      keepAliveTimeSeconds: 1",
    ] {
        assert_eq!(said(right), [""; 0], "{right}");
    }
}

#[test]
fn what_stands_twice() {
    assert_eq!(
        with("\n    - {peerAddress: 10.0.0.1/24, peerASN: 65011}"),
        [
            "a.yaml:16:21: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].neighbors[1].peerAddress: \
             10.0.0.1 is already the address of spec.virtualRouters[0].neighbors[0]"
                .to_owned(),
            "a.yaml:16:21: notice: CiliumBGPPeeringPolicy/rack0: \
             spec.virtualRouters[0].neighbors[1].peerAddress: the length /24 has no effect: the peer is \
             10.0.0.1 alone, as with /32"
                .to_owned(),
        ]
    );
    let router = "  - localASN: 65010\n    neighbors: [{peerAddress: 10.0.0.9/32, peerASN: 1}]\n";
    assert_eq!(
        faults(&[&policy("      # more\n", router)]),
        ["a.yaml:15:15: CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[1].localASN: AS 65010 is already \
          that of spec.virtualRouters[0]: expected an AS of its own"]
    );
    // The same peer of two instances is two sessions.
    let other = "  - localASN: 65020\n    neighbors: [{peerAddress: 10.0.0.1/32, peerASN: 1}]\n";
    assert_eq!(faults(&[&policy("      # more\n", other)]), [""; 0]);
}

#[test]
fn everything_wrong_is_said_and_not_the_first_thing_only() {
    let text = policy("10.0.0.1/32", "10.0.0.1")
        .replace("localASN: 65010", "localASN: many")
        .replace("# more", "holdTimeSeconds: 2\n      peerPort: 0\n      families: [{afi: ipv4, safi: x}]")
        .replace("rack: r0", "rack: -r0");
    let places: Vec<_> =
        faults(&[&text]).iter().map(|text| text.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        places,
        ["a.yaml:8:13", "a.yaml:10:15", "a.yaml:13:20", "a.yaml:15:24", "a.yaml:16:17", "a.yaml:17:36"]
    );
    // Nothing of what the schema cannot say hides another such thing.
    let text = policy("# more", "holdTimeSeconds: 9").replace("localASN: 65010", "localASN: 0");
    assert_eq!(faults(&[&text]).len(), 2);
}
