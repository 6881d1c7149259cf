//! advertisedPathAttributes: which routes get which communities and LOCAL_PREF.

use peerage_core::{
    policy::{RoutePolicy as _, RouteSource, RouteView, Verdict},
    wire::attr::PathAttributes,
};
use peerage_kubernetes::{PoolBlock, Snapshot, compile, plan};

use crate::{NODES, policy, snapshot};

/// Pools in both versions, with blocks of every kind, and one under its old name.
const POOLS: &str = r"apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: {name: blue, labels: {color: blue, tier: lb}}
spec:
  blocks:
  - {cidr: 198.51.100.0/25}
  - {start: 198.51.100.200, stop: 198.51.100.210}
  - {start: '2001:db8::5', stop: '2001:db8::9'}
  - {start: 203.0.113.7}
---
apiVersion: cilium.io/v2alpha1
kind: CiliumLoadBalancerIPPool
metadata: {name: green, labels: {color: green, tier: lb}}
spec: {disabled: false, cidrs: [{cidr: 198.51.101.0/24}]}
---
apiVersion: cilium.io/v2
kind: CiliumLoadBalancerIPPool
metadata: {name: red, labels: {color: red, tier: lb}}
spec: {disabled: true, blocks: [{cidr: 198.51.102.0/24}]}
---
apiVersion: cilium.io/v2
kind: CiliumPodIPPool
metadata: {name: gold, labels: {color: gold}}
---
apiVersion: cilium.io/v2
kind: CiliumNode
metadata: {name: n0}
spec: {ipam: {pools: {allocated: [{pool: gold, cidrs: [10.8.0.0/27]}]}}}
";

/// What a neighbour of n0 gets for a route: communities, large communities, LOCAL_PREF.
fn exported(attributes: &str, asn: u32, prefix: &str, source: RouteSource) -> Option<String> {
    let text = policy("# more", &format!("advertisedPathAttributes: {attributes}"))
        .replace("peerASN: 65010", &format!("peerASN: {asn}"));
    let snapshot = snapshot(&[&text, NODES, POOLS]);
    let compiled = compile(&snapshot, "n0");
    let neighbor = compiled.instances["65010"].neighbors.values().next().unwrap();
    let mut attributes = PathAttributes::default();
    let prefix = prefix.parse().unwrap();
    let route = RouteView { prefix, source, origination: None, next_hop: None, attributes: &attributes };
    let (verdict, edits) = neighbor.export.as_ref().unwrap().apply(&route);
    edits.edit(&mut attributes);
    let list = |items: Vec<String>| items.join(" ");
    let PathAttributes { communities, large_communities, local_pref, .. } = &attributes;
    (verdict == Verdict::Accept).then(|| {
        format!(
            "{}|{}|{}",
            list(communities.iter().map(ToString::to_string).collect()),
            list(large_communities.iter().map(ToString::to_string).collect()),
            local_pref.map(|value| value.to_string()).unwrap_or_default()
        )
    })
}

fn local(attributes: &str, prefix: &str) -> String {
    exported(attributes, 65010, prefix, RouteSource::Local).unwrap()
}

#[test]
fn which_routes_a_selector_chooses() {
    let all = [
        "10.1.0.0/24",
        "10.8.0.0/27",
        "198.51.100.127/32",
        "198.51.100.128/32",
        "198.51.100.199/32",
        "198.51.100.200/32",
        "198.51.100.210/32",
        "198.51.100.211/32",
        "198.51.100.0/25",
        "203.0.113.7/32",
        "203.0.113.8/32",
        "2001:db8::4/128",
        "2001:db8::5/128",
        "2001:db8::9/128",
        "2001:db8::a/128",
        "198.51.101.1/32",
        "198.51.102.1/32",
    ];
    let blue = [2, 5, 6, 9, 12, 13];
    let pools = [&blue[..], &[15]].concat();
    for (kind, selector, chosen) in [
        ("PodCIDR", "", &[0][..]),
        ("PodCIDR", "selector: {}, ", &[0]),
        ("PodCIDR", "selector: {matchLabels: {rack: r0}}, ", &[0]),
        ("PodCIDR", "selector: {matchLabels: {rack: r1}}, ", &[]),
        ("CiliumPodIPPool", "", &[1]),
        ("CiliumPodIPPool", "selector: {matchLabels: {color: gold}}, ", &[1]),
        ("CiliumPodIPPool", "selector: {matchLabels: {color: blue}}, ", &[]),
        ("CiliumLoadBalancerIPPool", "", &pools),
        ("CiliumLoadBalancerIPPool", "selector: {}, ", &pools),
        ("CiliumLoadBalancerIPPool", "selector: {matchLabels: {tier: lb}}, ", &pools),
        ("CiliumLoadBalancerIPPool", "selector: {matchLabels: {color: blue}}, ", &blue),
        ("CiliumLoadBalancerIPPool", "selector: {matchLabels: {color: green}}, ", &[15]),
        // Disabled.
        ("CiliumLoadBalancerIPPool", "selector: {matchLabels: {color: red}}, ", &[]),
    ] {
        let attributes =
            format!("[{{selectorType: {kind}, {selector}communities: {{standard: ['65010:1']}}}}]");
        for (index, prefix) in all.iter().enumerate() {
            let expected = if chosen.contains(&index) { "65010:1||" } else { "||" };
            assert_eq!(local(&attributes, prefix), expected, "{kind} {selector} {prefix}");
        }
    }
}

#[test]
fn attributes_of_no_pool_are_said() {
    let said = |kind: &str, selector: &str| -> Vec<String> {
        let attributes = format!("[{{selectorType: {kind}, {selector}localPreference: 5}}]");
        let text = policy("# more", &format!("advertisedPathAttributes: {attributes}"));
        let compiled = compile(&snapshot(&[&text, NODES, POOLS]), "n0");
        compiled.faults.iter().map(ToString::to_string).collect()
    };
    for kind in ["CiliumLoadBalancerIPPool", "CiliumPodIPPool"] {
        assert_eq!(said(kind, ""), [""; 0]);
        for none in ["color: red", "nobody: has"] {
            assert_eq!(
                said(kind, &format!("selector: {{matchLabels: {{{none}}}}}, ")),
                [format!(
                    "a.yaml:15:34: notice: CiliumBGPPeeringPolicy/rack0: \
                     spec.virtualRouters[0].neighbors[0].advertisedPathAttributes[0]: no effect: no {kind} that \
                     is in use is chosen, so no route gets these attributes"
                )]
            );
        }
    }
    assert_eq!(said("PodCIDR", "selector: {matchLabels: {rack: r1}}, "), [""; 0], "it is for other nodes");
}

#[test]
fn what_they_carry() {
    let pods = "10.1.0.0/24";
    for (attributes, expected) in [
        ("communities: {standard: ['65010:7', '1', '65010:7']}", "0:1 65010:7||"),
        ("communities: {wellKnown: [no-export, blackhole]}", "65535:666 65535:65281||"),
        ("communities: {standard: ['65535:666'], wellKnown: [blackhole]}", "65535:666||"),
        ("communities: {large: ['65010:1:2', '1:2:3']}", "|1:2:3 65010:1:2|"),
        ("localPreference: 0", "||0"),
        ("localPreference: 4294967295, communities: {large: ['1:2:3']}", "|1:2:3|4294967295"),
        ("communities: {}", "||"),
    ] {
        assert_eq!(local(&format!("[{{selectorType: PodCIDR, {attributes}}}]"), pods), expected);
    }
    // LOCAL_PREF is for peers in the same AS; nothing learned goes out, whatever it would be given.
    let both = "[{selectorType: PodCIDR, localPreference: 7, communities: {standard: ['1:1']}}]";
    assert_eq!(exported(both, 65000, pods, RouteSource::Local).unwrap(), "1:1||");
    for source in [RouteSource::Internal, RouteSource::External] {
        assert_eq!(exported(both, 65010, pods, source), None);
    }
}

/// Communities unite, and the highest localPreference counts, whatever the order.
#[test]
fn overlapping_selectors() {
    let entries = [
        "{selectorType: PodCIDR, communities: {standard: ['65010:1', '65010:2']}, localPreference: 300}",
        "{selectorType: PodCIDR, communities: {standard: ['65010:2', '65010:3'], large: ['1:1:1']}}",
        "{selectorType: PodCIDR, selector: {matchLabels: {rack: r0}}, localPreference: 200}",
        "{selectorType: PodCIDR, selector: {matchLabels: {rack: r1}}, localPreference: 900}",
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let found = local(&format!("[{}]", order.map(|index| entries[index]).join(", ")), "10.1.0.0/24");
        let (standard, rest) = found.split_once('|').unwrap();
        let mut standard: Vec<_> = standard.split(' ').collect();
        standard.sort_unstable();
        assert_eq!(standard, ["65010:1", "65010:2", "65010:3"], "{order:?}");
        assert_eq!(rest, "1:1:1|300", "{order:?}");
    }
}

#[test]
fn blocks_of_pools() {
    let block = |cidr: &str, start: &str, stop: &str| {
        let text = |text: &str| Some(text.to_owned()).filter(|text| text != "-");
        let block = PoolBlock { cidr: text(cidr), start: text(start), stop: text(stop) };
        block.prefixes().map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    for (cidr, start, stop, expected) in [
        ("10.0.0.0/24", "-", "-", "10.0.0.0/24"),
        ("10.0.0.7/24", "-", "-", "10.0.0.0/24"),
        ("10.0.0.0/24", "", "", "10.0.0.0/24"),
        ("fd00::/64", "-", "-", "fd00::/64"),
        ("-", "10.0.0.1", "-", "10.0.0.1/32"),
        ("-", "10.0.0.1", "10.0.0.1", "10.0.0.1/32"),
        ("-", "10.0.0.1", "10.0.0.4", "10.0.0.1/32 10.0.0.2/31 10.0.0.4/32"),
        ("-", "0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
        ("-", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ("-", "fd00::fe", "fd00::101", "fd00::fe/127 fd00::100/127"),
    ] {
        assert_eq!(block(cidr, start, stop).as_deref(), Ok(expected), "{cidr} {start} {stop}");
    }
    for (cidr, start, stop, message) in [
        ("-", "-", "-", "expected either cidr, or start and stop"),
        ("-", "-", "10.0.0.1", "expected either cidr, or start and stop"),
        ("10.0.0.0/24", "10.0.0.1", "-", "expected either cidr, or start and stop"),
        ("10.0.0.0", "-", "-", "cidr: expected a prefix such as \"10.0.10.0/24\", found \"10.0.0.0\""),
        ("-", "x", "-", "start: expected an IP address, found \"x\""),
        ("-", "10.0.0.1", "10.0.0.0/24", "stop: expected an IP address, found \"10.0.0.0/24\""),
        (
            "-",
            "10.0.0.2",
            "10.0.0.1",
            "expected a stop that is not before the start, found 10.0.0.2 and 10.0.0.1",
        ),
        ("-", "10.0.0.2", "fd00::3", "expected two addresses of one family, found 10.0.0.2 and fd00::3"),
    ] {
        assert_eq!(block(cidr, start, stop), Err(message.to_owned()), "{cidr} {start} {stop}");
    }
    // The widest ranges that are not whole: bounded all the same.
    let widest = |start: &str, stop: &str| {
        let block = PoolBlock { cidr: None, start: Some(start.into()), stop: Some(stop.into()) };
        block.prefixes().unwrap().len()
    };
    assert_eq!(widest("0.0.0.1", "255.255.255.254"), 62);
    assert_eq!(widest("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), 254);
}

#[test]
fn a_block_that_means_nothing_costs_the_others_nothing() {
    let wrong = POOLS.replace("{start: 203.0.113.7}", "{start: 203.0.113.7, stop: 203.0.113.1}");
    let mut snapshot = Snapshot::new();
    snapshot.read("pools.yaml", &wrong);
    let texts: Vec<_> = snapshot.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "pools.yaml:9:5: notice: CiliumLoadBalancerIPPool/blue: spec.blocks[3]: no effect: expected a stop \
          that is not before the start, found 203.0.113.7 and 203.0.113.1"
        ]
    );
    let attributes =
        "advertisedPathAttributes: [{selectorType: CiliumLoadBalancerIPPool, localPreference: 5}]";
    snapshot.read("policy.yaml", &policy("# more", attributes));
    snapshot.read("nodes.yaml", NODES);
    let rules = compile(&snapshot, "n0").instances["65010"].neighbors.values().next().unwrap().export.clone();
    assert_eq!(rules.unwrap().rules.len(), 2);
}

#[test]
fn the_plan_shows_them() {
    let policy = policy(
        "exportPodCIDR: true",
        "exportPodCIDR: true\n    serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ExternalIP]",
    )
    .replace(
        "# more",
        "advertisedPathAttributes:\n      - {selectorType: CiliumLoadBalancerIPPool, localPreference: 200, communities: \
         {standard: ['65010:100'], large: ['65010:1:1']}}",
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer, externalIPs: \
                   [192.0.2.1]}\nstatus: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}\n";
    let plan = plan(&snapshot(&[&policy, NODES, POOLS, service]));
    assert_eq!(plan.faults, []);
    assert_eq!(
        plan.to_string(),
        "\
NODE  POLICY  AS     ROUTER ID  PEER          PEER AS  HOLD     FAMILIES                   ANNOUNCES
n0    rack0   65010  10.0.1.2   10.0.0.1:179  65010    90/30 s  ipv4-unicast ipv6-unicast  10.1.0.0/24 192.0.2.1/32 198.51.100.1/32
n1    -       -      -          -             -        -        -                          -

NODE  AS     PEER          PREFIX           COMMUNITIES          LOCAL PREF  BECAUSE OF
n0    65010  10.0.0.1:179  10.1.0.0/24      -                    -           PodCIDR
n0    65010  10.0.0.1:179  192.0.2.1/32     -                    -           Service/default/web ExternalIP
n0    65010  10.0.0.1:179  198.51.100.1/32  65010:100 65010:1:1  200         Service/default/web LoadBalancerIP

2 nodes, 1 session, 3 prefixes announced
"
    );
}
