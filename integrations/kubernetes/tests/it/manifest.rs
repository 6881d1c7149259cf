//! Files, directories, lists, and objects of other kinds.

use std::fs;

use peerage_kubernetes::{Severity, Snapshot};

use crate::{NODES, POLICY, faults, nodes, policy, snapshot};

fn names(snapshot: &Snapshot) -> (Vec<&str>, Vec<&str>) {
    (
        snapshot.policies().map(|policy| policy.object.metadata.name.as_str()).collect(),
        snapshot.nodes().map(|node| node.object.metadata.name.as_str()).collect(),
    )
}

#[test]
fn files_and_directories() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("b.yml"), NODES).unwrap();
    fs::write(at("a.yaml"), POLICY).unwrap();
    fs::write(at("c.json"), "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n2\"}}")
        .unwrap();
    fs::write(at("values.yaml"), "bgpControlPlane: {enabled: true}\n").unwrap();
    fs::write(at("README.md"), "# not yaml: [\n").unwrap();
    fs::create_dir(at("deeper.yaml")).unwrap();
    fs::write(at("deeper.yaml").join("x.yaml"), "a: [\n").unwrap();
    fs::write(at("latin1.txt"), b"a: \xe4\n").unwrap();

    let snapshot = Snapshot::load([directory.path()]);
    assert_eq!(names(&snapshot), (vec!["rack0"], vec!["n0", "n1", "n2"]));
    let texts: Vec<_> = snapshot.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [format!(
            "{}:1:1: notice: not a Kubernetes object (neither apiVersion nor kind), passed over",
            at("values.yaml").display()
        )]
    );

    // What is named is expected to be of use, whatever its name ends in.
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let files = [at("values.yaml"), at("none.yaml"), at("latin1.txt"), at("README.md"), empty.clone()];
    let snapshot = Snapshot::load(&files);
    assert!(snapshot.faults().iter().all(|fault| fault.severity == Severity::Error));
    let texts: Vec<_> = snapshot.faults().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            format!(
                "{}:1:1: expected a Kubernetes object, found nothing under `apiVersion` and `kind`",
                at("values.yaml").display()
            ),
            format!(
                "{}: there is no such file or directory; give the path of one, from the current folder",
                at("none.yaml").display()
            ),
            format!("{}: not UTF-8 from octet 3 on: expected a text file", at("latin1.txt").display()),
            format!("{}: there is no *.yaml, *.yml or *.json file in this directory", empty.display()),
        ]
    );
}

#[test]
fn what_is_no_object() {
    for (text, message) in [
        ("a: 1", "a.yaml:1:1: expected a Kubernetes object, found nothing under `apiVersion` and `kind`"),
        ("kind: Node", "a.yaml:1:1: expected a Kubernetes object, found nothing under `apiVersion`"),
        ("apiVersion: v1", "a.yaml:1:1: expected a Kubernetes object, found nothing under `kind`"),
        ("{apiVersion: v1, kind: 1}", "a.yaml:1:1: expected a Kubernetes object, found nothing under `kind`"),
        ("[a]", "a.yaml:1:1: expected a Kubernetes object, found nothing under `apiVersion` and `kind`"),
        (
            "just words",
            "a.yaml:1:1: expected a Kubernetes object, found nothing under `apiVersion` and `kind`",
        ),
    ] {
        assert_eq!(faults(&[text]), [message]);
    }
}

#[test]
fn lists() {
    let list = r"apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: n0}
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: Node
    metadata: {name: n1}
    spec: {podCIDR: x}
- metadata: {name: n2}
";
    assert_eq!(names(&snapshot(&[list])).1, ["n0"]);
    assert_eq!(
        faults(&[list]),
        [
            "a.yaml:13:21: Node/n1: spec.podCIDR: expected a prefix such as \"10.1.0.0/24\", found the text \
             \"x\"",
            "a.yaml:14:3: items[2]: expected a Kubernetes object, found nothing under `apiVersion` and `kind`",
        ]
    );
    let typed = "{apiVersion: v1, kind: NodeList, items: [{metadata: {name: n0}}, {metadata: {name: n1}}]}";
    assert_eq!(names(&snapshot(&[typed])).1, ["n0", "n1"]);
    assert_eq!(faults(&[typed]), [""; 0]);
}

#[test]
fn duplicates() {
    let other = policy("10.0.0.1/32", "10.0.0.9/32");
    assert_eq!(
        faults(&[POLICY, &format!("---\n{other}"), NODES, NODES]),
        [
            "b.yaml:5:9: CiliumBGPPeeringPolicy/rack0: metadata.name: there is one of that name already, at \
             a.yaml:1, which is used",
            "d.yaml:4:9: Node/n0: metadata.name: there is one of that name already, at c.yaml:1, which is \
             used",
            "d.yaml:18:9: Node/n1: metadata.name: there is one of that name already, at c.yaml:15, which is \
             used",
        ]
    );
    let snapshot = snapshot(&[POLICY, &other]);
    let used = &snapshot.policy("rack0").unwrap().object.virtual_routers()[0].neighbors[0];
    assert_eq!(used.peer_address, "10.0.0.1/32");
}

#[test]
fn other_kinds_are_noticed_once() {
    let objects = r"apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: b}
---
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
name: demo
---
apiVersion: cilium.io/v2
kind: CiliumBGPClusterConfig
metadata: {name: c}
---
apiVersion: cilium.io/v2
kind: CiliumBGPPeeringPolicy
metadata: {name: d}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: web}
---
apiVersion: discovery.k8s.io/v1beta1
kind: EndpointSlice
metadata: {name: web-1}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-root-ca.crt}
";
    assert_eq!(
        faults(&[objects]),
        [
            "a.yaml:21:13: CiliumBGPPeeringPolicy/d: apiVersion: expected cilium.io/v2alpha1, found \
             cilium.io/v2",
            "a.yaml:29:13: EndpointSlice/default/web-1: apiVersion: expected discovery.k8s.io/v1, found \
             discovery.k8s.io/v1beta1",
            "a.yaml:1:1: notice: Deployment (apps/v1): 2 objects are of a kind nobody knows here, and passed \
             over: a, b",
            "a.yaml:17:1: notice: CiliumBGPClusterConfig (cilium.io/v2): 1 object is not yet acted on: c",
            "a.yaml:13:1: notice: Cluster (kind.x-k8s.io/v1alpha4): 1 object is of a kind nobody knows here, \
             and passed over: demo",
            "a.yaml:25:1: notice: Service (serving.knative.dev/v1): 1 object is of a kind nobody knows here, \
             and passed over: web",
            "a.yaml:33:1: notice: ConfigMap (v1): 1 object is not yet acted on: kube-root-ca.crt",
            "a.yaml:5:1: notice: Secret (v1): 1 object is not yet acted on: key",
        ]
    );
}

#[test]
fn nodes_are_checked_too() {
    for (from, to, message) in [
        (
            "rack: r0",
            "rack: 0",
            "6: Node/n0: metadata.labels[rack]: expected at most 63 letters, digits, \"-\", \"_\" and \".\", \
             the first and last a letter or digit, found 0",
        ),
        (
            "podCIDRs: [10.1.0.0/24]",
            "podCIDRs: [10.1.0.0]",
            "9: Node/n0: spec.podCIDRs[0]: expected a prefix such as \"10.1.0.0/24\", found the text \
             \"10.1.0.0\"",
        ),
        (
            "podCIDRs: [10.1.0.0/24]",
            "podCIDRs: [10.1.2.0/24]",
            "9: Node/n0: spec.podCIDRs[0]: expected \"10.1.0.0/24\", as in podCIDR, found \"10.1.2.0/24\"",
        ),
        (
            "address: 10.0.1.2",
            "address: n0.example.org",
            "13: Node/n0: status.addresses[1].address: expected an IP address, found \"n0.example.org\"",
        ),
        (
            "{type: Hostname, address: n0}",
            "{type: Hostname}",
            "12: Node/n0: status.addresses[0].address: missing: expected a text",
        ),
    ] {
        let said = faults(&[&nodes(from, to)]);
        let (line, rest) = message.split_once(':').unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(&format!("a.yaml:{line}:")), "{said:?} {message}");
        assert!(said[0].ends_with(rest), "{said:?} {message}");
    }
    assert_eq!(names(&snapshot(&[&nodes("rack: r0", "rack: 0")])).1, ["n1"]);
}

#[test]
fn objects_of_every_kind_come_and_go() {
    const OBJECTS: [&str; 6] = [
        "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}",
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, labels: \
         {kubernetes.io/service-name: web}}, addressType: IPv4}",
        "{apiVersion: cilium.io/v2alpha1, kind: CiliumLoadBalancerIPPool, metadata: {name: blue}}",
        "{apiVersion: cilium.io/v2, kind: CiliumPodIPPool, metadata: {name: green}}",
        "{apiVersion: cilium.io/v2, kind: CiliumNode, metadata: {name: n0}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}}",
    ];
    let names = [
        "Service/shop/web",
        "EndpointSlice/default/web-1",
        "CiliumLoadBalancerIPPool/blue",
        "CiliumPodIPPool/green",
        "CiliumNode/n0",
        "ConfigMap/kube-system/cilium-config",
    ];
    let all = snapshot(&OBJECTS);
    assert_eq!(all.faults(), []);
    assert!(all.service("shop", "web").is_some() && all.service("default", "web").is_none());
    for (object, name) in OBJECTS.into_iter().zip(names) {
        let one = snapshot(&[object]);
        let mut running = all.clone();
        assert_eq!(running.remove(&one), [name]);
        assert_eq!(running.remove(&one), [""; 0]);
        running.apply(one);
        assert_eq!(running.remove(&all).len(), 6, "{name}");
        let twice = faults(&[object, object]);
        assert_eq!(twice.len(), 1);
        assert!(twice[0].contains(&format!("{name}: metadata.name: there is one of that name")), "{twice:?}");
        // The same name in another namespace is another object.
        if name.matches('/').count() == 2 {
            let other = object
                .replace("metadata: {", "metadata: {namespace: other, ")
                .replace(", namespace: shop", "");
            let other = other.replace(", namespace: kube-system", "");
            assert_eq!(faults(&[object, &other]), [""; 0], "{name}");
        }
    }
}

#[test]
fn apply_and_remove() {
    let mut running = snapshot(&[POLICY, NODES]);
    let removed = running.remove(&snapshot(&[POLICY]));
    assert_eq!(removed, ["CiliumBGPPeeringPolicy/rack0"]);
    assert_eq!(running.remove(&snapshot(&[POLICY])), [""; 0]);
    assert_eq!(names(&running), (vec![], vec!["n0", "n1"]));
    running.apply(snapshot(&[POLICY]));
    assert_eq!(running, snapshot(&[POLICY, NODES]));

    // A wrong one says so and leaves what runs alone; the next, right one takes its fault with it.
    let wrong = snapshot(&[&policy("# more", "peerPort: 0")]);
    running.apply(wrong);
    assert_eq!(running.faults().len(), 1);
    assert_eq!(names(&running).0, ["rack0"]);
    running.apply(snapshot(&[&policy("# more", "peerPort: 1790")]));
    assert_eq!(running.faults(), []);
    let port = running.policy("rack0").unwrap().object.virtual_routers()[0].neighbors[0].port();
    assert_eq!(port, 1790);

    running.apply(snapshot(&[&nodes("name: n1", "name: n2")]));
    assert_eq!(names(&running).1, ["n0", "n1", "n2"]);
    assert_eq!(running.remove(&snapshot(&[NODES])), ["Node/n0", "Node/n1"]);
    assert_eq!(names(&running).1, ["n2"]);
}
