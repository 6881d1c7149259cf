//! The article's own files, read where they are: they are not ours to keep here.

/// Prints past the test harness, which swallows what the print macros write in a test that passes.
macro_rules! loudly {
    ($($words:tt)*) => {{
        use std::io::Write;
        _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

use std::path::PathBuf;

use peerage_kubernetes::{Node, Origin, Snapshot, plan, yaml};

/// The directory of the article, or nothing where there is none, in a line that cannot be missed.
fn article() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("PEERAGE_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    let article = shared.join("article");
    if article.is_dir() {
        return Some(article);
    }
    let message = format!("NOT RUN: the article's files are not at {} (PEERAGE_SHARED)", article.display());
    assert!(std::env::var_os("CI").is_none(), "{message}");
    loudly!("{message}");
    None
}

/// The nodes that the article's cluster has, as a lab makes them of its Kind file.
fn nodes(snapshot: &mut Snapshot) {
    for (index, (name, rack)) in
        [("control-plane", "rack0"), ("worker", "rack0"), ("worker2", "rack1"), ("worker3", "rack1")]
            .into_iter()
            .enumerate()
    {
        let address = format!("10.0.{}.2", index + 1).parse().unwrap();
        let pods = format!("10.1.{index}.0/24").parse().unwrap();
        let node = Node::new(name, [("rack", rack)], address, [pods]);
        assert!(snapshot.add_node(node, Origin::named("cluster.yaml")));
    }
}

#[test]
fn the_policies_unmodified() {
    let Some(article) = article() else { return };
    let mut snapshot = Snapshot::load([article.join("cilium-bgp-peering-policies.yaml")]);
    nodes(&mut snapshot);
    let plan = plan(&snapshot);
    assert_eq!(plan.faults, []);
    let sessions: Vec<_> = plan
        .nodes
        .iter()
        .flat_map(|node| node.peers.iter().map(|peer| (node.node.as_str(), peer)))
        .map(|(node, peer)| {
            let prefixes: Vec<_> = peer.announcements.iter().map(ToString::to_string).collect();
            format!(
                "{node} {} {} -> {}:{} {} {}/{}: {}",
                peer.local_asn,
                peer.router_id,
                peer.address,
                peer.port,
                peer.peer_asn,
                peer.hold_seconds,
                peer.keepalive_seconds,
                prefixes.join(" ")
            )
        })
        .collect();
    assert_eq!(
        sessions,
        [
            "control-plane 65010 10.0.1.2 -> 10.0.0.1:179 65010 90/30: 10.1.0.0/24",
            "worker 65010 10.0.2.2 -> 10.0.0.1:179 65010 90/30: 10.1.1.0/24",
            "worker2 65011 10.0.3.2 -> 10.0.0.2:179 65011 90/30: 10.1.2.0/24",
            "worker3 65011 10.0.4.2 -> 10.0.0.2:179 65011 90/30: 10.1.3.0/24",
        ]
    );
}

#[test]
fn every_file_unmodified() {
    let Some(article) = article() else { return };
    let snapshot = Snapshot::load([&article]);
    assert_eq!(snapshot.policies().count(), 2);
    let errors: Vec<_> = snapshot
        .faults()
        .into_iter()
        .filter(|fault| fault.severity == peerage_kubernetes::Severity::Error)
        .collect();
    assert_eq!(errors, []);
}

#[test]
fn the_other_files_as_yaml() {
    let Some(article) = article() else { return };
    let read = |name: &str| {
        let (documents, faults) = yaml::parse(name, &std::fs::read_to_string(article.join(name)).unwrap());
        assert_eq!(faults, [], "{name}");
        documents
    };
    let cluster = &read("cluster.yaml")[0];
    let (patches, faults) = cluster.nested("nodes[1].kubeadmConfigPatches[0]");
    assert_eq!(faults, []);
    let labels = "nodeRegistration.kubeletExtraArgs.node-labels";
    assert_eq!(patches[0].get(labels).and_then(|value| value.as_str()), Some("rack=rack0"));
    let (line, _) = patches[0].position(labels).unwrap();
    let text = std::fs::read_to_string(article.join("cluster.yaml")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("node-labels"));

    let topology = &read("topo.yaml")[0];
    assert_eq!(topology.keys("topology.nodes")[..3], ["router0", "tor0", "tor1"]);
    let text = std::fs::read_to_string(article.join("topo.yaml")).unwrap();
    let command = topology.get("topology.nodes.tor0.exec[7]").and_then(|value| value.as_str()).unwrap();
    let at = command.find("frr defaults datacenter").unwrap();
    let (line, column) = topology.position_within("topology.nodes.tor0.exec[7]", at).unwrap();
    let line: String = text.lines().nth(line - 1).unwrap().chars().skip(column - 1).collect();
    assert!(line.starts_with("frr defaults datacenter"), "{line}");
    let _ = (read("values.yaml"), read("nettool.yaml"));
}
