//! Which addresses of Services are announced: Cilium's table, row by row.

use std::collections::BTreeSet;

use peerage_kubernetes::{Compiled, EndpointConditions, Options, Severity, Terminating, compile_with};

use crate::{NODES, faults, policy, snapshot};

/// A policy that announces nothing but these Services.
fn policy_with(lines: &str) -> String {
    policy("exportPodCIDR: true", lines)
}

/// A Service with every kind of address; `more` goes into its spec.
fn service(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\nspec:\n  \
         type: LoadBalancer\n  clusterIP: 10.96.0.1\n  clusterIPs: [10.96.0.1, 'fd00:96::1']\n  externalIPs: \
         [192.0.2.1, '2001:db8::1']\n{more}status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.1}}, {{ip: \
         '2001:db8:1::1'}}, {{hostname: lb.example.org}}]}}}}\n"
    )
}

/// A slice of the Service `web` in the namespace `shop`.
fn slice(name: &str, family: &str, endpoints: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: shop, labels: \
         {{kubernetes.io/service-name: web}}}}\naddressType: {family}\nendpoints: {endpoints}\nports: []\n"
    )
}

fn compiled_with(texts: &[&str], node: &str, terminating: Terminating) -> Compiled {
    let snapshot = snapshot(texts);
    let faults = snapshot.faults();
    assert!(faults.iter().all(|fault| fault.severity == Severity::Notice), "{faults:#?}");
    compile_with(&snapshot, node, Options { terminating, ..Options::default() })
}

/// What n0 announces.
fn announced(texts: &[&str]) -> BTreeSet<String> {
    let compiled = compiled_with(texts, "n0", Terminating::Withdraw);
    assert_eq!(compiled.faults, []);
    let desired = &compiled.instances["65010"];
    let reasons: Vec<_> = compiled.advertised["65010"].keys().collect();
    assert_eq!(desired.originate.keys().collect::<Vec<_>>(), reasons);
    desired.originate.keys().map(ToString::to_string).collect()
}

fn set(prefixes: &[&str]) -> BTreeSet<String> {
    prefixes.iter().map(ToString::to_string).collect()
}

const LB: [&str; 2] = ["198.51.100.1/32", "2001:db8:1::1/128"];
const CLUSTER: [&str; 2] = ["10.96.0.1/32", "fd00:96::1/128"];
const EXTERNAL: [&str; 2] = ["192.0.2.1/32", "2001:db8::1/128"];

#[test]
fn service_advertisements() {
    let web = service("web", "");
    let all = [LB, CLUSTER, EXTERNAL].concat();
    for (lines, expected) in [
        ("exportPodCIDR: false", &[][..]),
        ("serviceSelector: {}", &LB),
        ("serviceSelector: {}\n    serviceAdvertisements: []", &[]),
        ("serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP]", &LB),
        ("serviceSelector: {}\n    serviceAdvertisements: [ClusterIP]", &CLUSTER),
        ("serviceSelector: {}\n    serviceAdvertisements: [ExternalIP]", &EXTERNAL),
        ("serviceSelector: {}\n    serviceAdvertisements: [ExternalIP, ClusterIP, LoadBalancerIP]", &all),
        ("serviceAdvertisements: [ExternalIP, ClusterIP, LoadBalancerIP]", &[]),
        ("serviceSelector: {matchLabels: {app: web}}", &LB),
        ("serviceSelector: {matchLabels: {app: db}}", &[]),
        ("serviceSelector: {matchLabels: {io.kubernetes.service.namespace: shop}}", &LB),
        ("serviceSelector: {matchLabels: {io.kubernetes.service.namespace: default}}", &[]),
        ("serviceSelector: {matchLabels: {io.kubernetes.service.name: web}}", &LB),
        ("serviceSelector: {matchExpressions: [{key: nobody, operator: NotIn, values: [x]}]}", &LB),
    ] {
        assert_eq!(announced(&[&policy_with(lines), NODES, &web]), set(expected), "{lines}");
    }
    // The same field in another namespace, and beside PodCIDRs.
    let here = web.replace(", namespace: shop", "");
    let selector = "serviceSelector: {matchLabels: {io.kubernetes.service.namespace: default}}";
    assert_eq!(announced(&[&policy_with(selector), NODES, &here]), set(&LB));
    let both = policy_with("exportPodCIDR: true\n    serviceSelector: {}");
    assert_eq!(announced(&[&both, NODES, &web]), set(&[LB[0], LB[1], "10.1.0.0/24"]));
}

#[test]
fn types_and_classes() {
    let policy = policy_with(
        "serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ClusterIP, ExternalIP]",
    );
    let others = [CLUSTER, EXTERNAL].concat();
    let all = [LB, CLUSTER, EXTERNAL].concat();
    for (from, to, expected) in [
        ("type: LoadBalancer", "type: LoadBalancer", &all[..]),
        ("type: LoadBalancer", "type: ClusterIP", &others),
        ("type: LoadBalancer", "type: NodePort", &others),
        ("type: LoadBalancer", "type: LoadBalancer\n  loadBalancerClass: io.cilium/bgp-control-plane", &all),
        ("type: LoadBalancer", "type: LoadBalancer\n  loadBalancerClass: io.cilium/l2-announcer", &others),
        ("type: LoadBalancer", "type: LoadBalancer\n  loadBalancerClass: ''", &others),
        (
            "  clusterIPs: [10.96.0.1, 'fd00:96::1']\n",
            "",
            &[LB[0], LB[1], CLUSTER[0], EXTERNAL[0], EXTERNAL[1]],
        ),
        (
            "  clusterIP: 10.96.0.1\n  clusterIPs: [10.96.0.1, 'fd00:96::1']\n",
            "  clusterIP: None\n  clusterIPs: [None]\n",
            &[LB[0], LB[1], EXTERNAL[0], EXTERNAL[1]],
        ),
    ] {
        let text = service("web", "").replace(from, to);
        assert_eq!(announced(&[&policy, NODES, &text]), set(expected), "{to}");
    }
}

/// externalTrafficPolicy is about what comes from outside, internalTrafficPolicy about ClusterIPs alone.
#[test]
fn traffic_policies() {
    let policy = policy_with(
        "serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ClusterIP, ExternalIP]",
    );
    let outside = [LB, EXTERNAL].concat();
    let all = [LB, CLUSTER, EXTERNAL].concat();
    let at = |node: &str, family: &str| {
        let name = format!("{node}-{}", family.to_lowercase());
        slice(&name, family, &format!("[{{addresses: [x], nodeName: {node}}}]"))
    };
    for (more, without, with) in [
        ("", &all[..], &all[..]),
        ("  externalTrafficPolicy: Cluster\n  internalTrafficPolicy: Cluster\n", &all, &all),
        ("  externalTrafficPolicy: Local\n", &CLUSTER, &all),
        ("  internalTrafficPolicy: Local\n", &outside, &all),
        ("  externalTrafficPolicy: Local\n  internalTrafficPolicy: Local\n", &[], &all),
    ] {
        let web = service("web", more);
        let texts = [&policy, NODES, &web];
        assert_eq!(announced(&texts), set(without), "{more} no slices");
        let (there4, there6) = (at("n1", "IPv4"), at("n1", "IPv6"));
        assert_eq!(announced(&[&texts[..], &[&there4, &there6]].concat()), set(without), "{more} elsewhere");
        let (here4, here6) = (at("n0", "IPv4"), at("n0", "IPv6"));
        assert_eq!(announced(&[&texts[..], &[&here4, &here6, &there4]].concat()), set(with), "{more} here");
    }
}

#[test]
fn a_vip_needs_a_backend_of_its_family() {
    let policy = policy_with("serviceSelector: {}");
    let web = service("web", "  externalTrafficPolicy: Local\n");
    let endpoints = "[{addresses: [x], nodeName: n0}]";
    for (families, expected) in [
        (&[][..], &[][..]),
        (&["IPv4"], &LB[..1]),
        (&["IPv6"], &LB[1..]),
        (&["IPv4", "IPv6"], &LB),
        (&["FQDN"], &[]),
        (&["FQDN", "IPv6"], &LB[1..]),
    ] {
        let slices: Vec<String> =
            families.iter().map(|family| slice(&family.to_lowercase(), family, endpoints)).collect();
        let mut texts = vec![policy.as_str(), NODES, &web];
        texts.extend(slices.iter().map(String::as_str));
        assert_eq!(announced(&texts), set(expected), "{families:?}");
    }
}

#[test]
fn whose_backends_count() {
    let policy = policy_with("serviceSelector: {}");
    let web = service("web", "  externalTrafficPolicy: Local\n");
    let here = slice("here", "IPv4", "[{addresses: [x], nodeName: n0}]");
    let of = |slice: &str| announced(&[&policy, NODES, &web, slice]).len();
    assert_eq!(of(&here), 1);
    for (from, to) in [
        ("nodeName: n0", "nodeName: n1"),
        (", nodeName: n0", ""),
        ("nodeName: n0", "nodeName: null"),
        ("service-name: web", "service-name: db"),
        ("service-name: web", "service-name: ''"),
        ("namespace: shop", "namespace: bank"),
        (", namespace: shop", ""),
        ("endpoints: [{addresses: [x], nodeName: n0}]", "endpoints: []"),
        ("endpoints: [{addresses: [x], nodeName: n0}]", "endpoints: null"),
        ("endpoints: [{addresses: [x], nodeName: n0}]\n", ""),
    ] {
        assert_eq!(here.matches(from).count(), 1, "{from}");
        assert_eq!(of(&here.replace(from, to)), 0, "{to}");
    }
    // One of several is enough, in one slice or in another.
    let several = "[{nodeName: n1}, {conditions: {ready: false}, nodeName: n0}, {nodeName: n0}]";
    assert_eq!(of(&slice("several", "IPv4", several)), 1);
    let empty = slice("empty", "IPv4", "[]");
    assert_eq!(announced(&[&policy, NODES, &web, &empty, &here]).len(), 1);
}

/// ready, serving, terminating: does it count by Cilium's rule, and by kube-proxy's.
const TRUTH: &str = "
    nil   nil   nil   yes yes
    nil   nil   true  yes yes
    nil   nil   false yes yes
    nil   true  nil   yes yes
    nil   true  true  yes yes
    nil   true  false yes yes
    nil   false nil   yes yes
    nil   false true  yes yes
    nil   false false yes yes
    true  nil   nil   yes yes
    true  nil   true  yes yes
    true  nil   false yes yes
    true  true  nil   yes yes
    true  true  true  yes yes
    true  true  false yes yes
    true  false nil   yes yes
    true  false true  yes yes
    true  false false yes yes
    false nil   nil   no  no
    false nil   true  no  no
    false nil   false no  no
    false true  nil   yes yes
    false true  true  no  yes
    false true  false yes yes
    false false nil   no  no
    false false true  no  no
    false false false no  no
";

#[test]
fn the_truth_table_of_conditions() {
    let policy = policy_with("serviceSelector: {}");
    let web = service("web", "  externalTrafficPolicy: Local\n");
    let mut seen = BTreeSet::new();
    for row in TRUTH.trim().lines() {
        let [ready, serving, terminating, cilium, kube_proxy] =
            row.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        assert!(seen.insert((ready, serving, terminating)));
        let value = |text: &str| match text {
            "nil" => None,
            _ => Some(text == "true"),
        };
        let conditions = EndpointConditions {
            ready: value(ready),
            serving: value(serving),
            terminating: value(terminating),
        };
        let fields = [("ready", ready), ("serving", serving), ("terminating", terminating)];
        let written: Vec<_> = fields
            .iter()
            .filter(|(_, value)| *value != "nil")
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let endpoints = format!("[{{nodeName: n0, conditions: {{{}}}}}]", written.join(", "));
        let slice = slice("here", "IPv4", &endpoints);
        for (how, counts) in [(Terminating::Withdraw, cilium), (Terminating::Keep, kube_proxy)] {
            assert_eq!(conditions.count(how), counts == "yes", "{row} {how}");
            let compiled = compiled_with(&[&policy, NODES, &web, &slice], "n0", how);
            let announced = compiled.instances["65010"].originate.len();
            assert_eq!(announced, usize::from(counts == "yes"), "{row} {how}");
        }
    }
    assert_eq!(seen.len(), 27);
}

/// What the controller writes for a Service with publishNotReadyAddresses: always ready, as long as the
/// pod is there. The field itself changes nothing; the slices speak.
#[test]
fn not_ready_addresses_that_are_published() {
    let policy = policy_with("serviceSelector: {}");
    for published in [true, false] {
        let more = format!("  externalTrafficPolicy: Local\n  publishNotReadyAddresses: {published}\n");
        let web = service("web", &more);
        for (conditions, counts) in [
            ("{ready: true, serving: false, terminating: false}", true),
            ("{ready: true, serving: false, terminating: true}", true),
            ("{ready: false, serving: false, terminating: false}", false),
        ] {
            let slice = slice("s", "IPv4", &format!("[{{nodeName: n0, conditions: {conditions}}}]"));
            let announced = announced(&[&policy, NODES, &web, &slice]).len();
            assert_eq!(announced, usize::from(counts), "{published} {conditions}");
        }
    }
}

#[test]
fn one_address_of_several_services_goes_with_the_last() {
    let policy = policy_with("serviceSelector: {}");
    let (web, db) = (service("web", ""), service("db", ""));
    let local = service("local", "  externalTrafficPolicy: Local\n");
    let reasons = |texts: &[&str]| -> Vec<String> {
        let compiled =
            compiled_with(&[&[policy.as_str(), NODES], texts].concat(), "n0", Terminating::Withdraw);
        let of = compiled.advertised["65010"].get(&"198.51.100.1/32".parse().unwrap());
        of.into_iter().flatten().map(ToString::to_string).collect()
    };
    let (of_web, of_db) = ("Service/shop/web LoadBalancerIP", "Service/shop/db LoadBalancerIP");
    assert_eq!(reasons(&[&web, &db]), [of_db, of_web]);
    assert_eq!(reasons(&[&db]), [of_db]);
    assert_eq!(reasons(&[&web]), [of_web]);
    assert_eq!(reasons(&[]), [""; 0]);
    // One that this node has no backend of does not count, and takes nothing from the others.
    assert_eq!(reasons(&[&local]), [""; 0]);
    assert_eq!(reasons(&[&local, &web]), [of_web]);
    // One Service that has an address twice has two reasons.
    let twice = web.replace("192.0.2.1", "198.51.100.1");
    let policy = policy_with("serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ExternalIP]");
    let compiled = compiled_with(&[&policy, NODES, &twice], "n0", Terminating::Withdraw);
    assert_eq!(compiled.advertised["65010"][&"198.51.100.1/32".parse().unwrap()].len(), 2);
}

/// An address or an object that is wrong costs nothing else.
#[test]
fn what_cannot_be_announced_is_said() {
    let policy = policy_with(
        "serviceSelector: {}\n    serviceAdvertisements: [LoadBalancerIP, ClusterIP, ExternalIP]",
    );
    let unicast = "expected a unicast address that routers forward to";
    let no_address = "expected an IPv4 or IPv6 address";
    for (wrong, why) in [
        ("192.0.2.01", no_address),
        ("192.0.2.1/32", no_address),
        ("web.example.org", no_address),
        ("0.0.0.0", unicast),
        ("127.0.0.1", unicast),
        ("224.0.0.1", unicast),
        ("169.254.1.1", unicast),
        ("255.255.255.255", unicast),
        ("::", unicast),
        ("::1", unicast),
        ("ff02::1", unicast),
        ("fe80::1", unicast),
        ("::ffff:192.0.2.1", unicast),
    ] {
        let text = service("web", "").replace("[192.0.2.1,", &format!("['{wrong}',"));
        assert_eq!(
            faults(&[&policy, NODES, &text]),
            [format!(
                "c.yaml:8:17: notice: Service/shop/web: spec.externalIPs[0]: \"{wrong}\" is not announced: \
                 {why}"
            )]
        );
        let announced = announced(&[&policy, NODES, &text]);
        assert_eq!(announced, set(&[LB[0], LB[1], CLUSTER[0], CLUSTER[1], EXTERNAL[1]]), "{wrong}");
    }
    let good = service("good", "");
    let wrong = service("wrong", "  externalTrafficPolicy: Locally\n");
    let texts = [policy.as_str(), NODES, &wrong, &good];
    assert_eq!(
        faults(&texts),
        [
            "c.yaml:9:26: Service/shop/wrong: spec.externalTrafficPolicy: expected Cluster or Local, found the \
          text \"Locally\""
        ]
    );
    let compiled = compile_with(&snapshot(&texts), "n0", Options::default());
    assert_eq!(compiled.instances["65010"].originate.len(), 6);
    assert_eq!(
        faults(&[&slice("s", "FQDN", "[]").replace("kubernetes.io/service-name: web", "a: b")]),
        [
            "a.yaml:3:46: notice: EndpointSlice/shop/s: metadata.labels: no effect: no label \
             kubernetes.io/service-name says which Service it belongs to",
            "a.yaml:4:14: notice: EndpointSlice/shop/s: addressType: no effect: an FQDN is no backend of an \
             address; expected IPv4 or IPv6",
        ]
    );
}
