//! What `peerage plan` shows.

use peerage_kubernetes::plan;
use serde_json::json;

use crate::{NODES, POLICY, policy, snapshot};

#[test]
fn a_table_for_people() {
    let rack1 = policy("rack: r0", "rack: r1")
        .replace("name: rack0", "name: rack1")
        .replace("65010", "65011")
        .replace("10.0.0.1/32", "fd00::2/128")
        .replace("# more", "families: [{afi: ipv6, safi: unicast}]");
    let n2 = "apiVersion: v1\nkind: Node\nmetadata: {name: another}\n";
    let plan = plan(&snapshot(&[POLICY, NODES, &rack1, n2]));
    assert!(!plan.has_errors());
    assert_eq!(
        plan.to_string(),
        "\
NODE     POLICY  AS     ROUTER ID  PEER           PEER AS  HOLD     FAMILIES                   ANNOUNCES
n0       rack0   65010  10.0.1.2   10.0.0.1:179   65010    90/30 s  ipv4-unicast ipv6-unicast  10.1.0.0/24
n1       rack1   65011  10.0.3.2   [fd00::2]:179  65011    90/30 s  ipv6-unicast               -
another  -       -      -          -              -        -        -                          -

3 nodes, 2 sessions, 1 prefix announced
"
    );
    assert_eq!(plan.faults, []);
}

#[test]
fn json_for_programs() {
    let plan = plan(&snapshot(&[&policy("# more", "eBGPMultihopTTL: 3"), NODES]));
    let value = serde_json::to_value(&plan).unwrap();
    assert_eq!(
        value,
        json!({
            "nodes": [
                {
                    "node": "n0",
                    "policy": "rack0",
                    "peers": [{
                        "instance": "65010",
                        "localAsn": 65010,
                        "routerId": "10.0.1.2",
                        "address": "10.0.0.1",
                        "port": 179,
                        "peerAsn": 65010,
                        "holdSeconds": 90,
                        "keepaliveSeconds": 30,
                        "families": ["ipv4-unicast", "ipv6-unicast"],
                        "announcements": ["10.1.0.0/24"],
                        "routes": [{
                            "prefix": "10.1.0.0/24",
                            "reasons": ["PodCIDR"],
                            "communities": [],
                            "largeCommunities": [],
                            "localPreference": null,
                        }],
                    }],
                    "announcements": ["10.1.0.0/24"],
                    "faults": [],
                },
                {"node": "n1", "policy": null, "peers": [], "announcements": [], "faults": []},
            ],
            "faults": [{
                "severity": "notice",
                "file": "a.yaml",
                "line": 15,
                "column": 24,
                "object": "CiliumBGPPeeringPolicy/rack0",
                "field": "spec.virtualRouters[0].neighbors[0].eBGPMultihopTTL",
                "message": "no effect on a peer in the same AS",
            }],
        })
    );
}

#[test]
fn every_fault_once() {
    let all = policy("\n    matchLabels:\n      rack: r0", " {}").replace("name: rack0", "name: all");
    let faulty = policy("# more", "peerPort: 0").replace("name: rack0", "name: faulty");
    let plan = plan(&snapshot(&[POLICY, NODES, &all, &faulty, "a: ["]));
    assert!(plan.has_errors());
    let messages: Vec<_> = plan.faults.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 3, "{messages:#?}");
    assert!(messages[0].contains("peerPort"));
    assert!(messages[1].contains("not valid YAML"));
    assert!(messages[2].contains("more than one CiliumBGPPeeringPolicy applies to node n0"));
    assert_eq!(plan.nodes[0].faults, [plan.faults[2].clone()]);
    assert_eq!(plan.nodes[0].peers, []);
    assert_eq!(plan.nodes[1].peers.len(), 1);
}

#[test]
fn policies_for_nobody() {
    let said = |texts: &[&str]| -> Vec<String> {
        plan(&snapshot(texts)).faults.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        said(&[POLICY]),
        [
            "a.yaml:6:3: notice: CiliumBGPPeeringPolicy/rack0: spec.nodeSelector: applies to no node: there are \
          no Nodes among these files (try kubectl get nodes -o yaml)"
        ]
    );
    assert_eq!(
        said(&[&policy("rack: r0", "rack: r9"), NODES]),
        ["a.yaml:6:3: notice: CiliumBGPPeeringPolicy/rack0: spec.nodeSelector: applies to no node: its \
          selector chooses none of those in these files"]
    );
}
