//! The real binary on our own files, the article's originals and changed copies, on both runtimes, against
//! an oracle that shares no code with the speaker.

#[path = "../../lab-input/tests/support/mod.rs"]
mod support;
mod tool;

use std::{fs, path::Path};

use peerage_lab_input::{
    Inputs, Lab,
    expect::{self, Expected},
};
use serde_json::Value;
use support::{Copy, inputs, root};
use tool::{Run, once, shared};

const RUNTIMES: [&str; 2] = ["tokio", "smol"];

fn lab(inputs: &Inputs) -> Lab {
    let (lab, faults) = peerage_lab_input::load(inputs);
    lab.unwrap_or_else(|| panic!("{faults:?}"))
}

/// Runs the lab and compares everything with the oracle.
fn check(inputs: &Inputs, runtime: &str, more: &[&str]) -> Run {
    let lab = lab(inputs);
    let (before, after) = (expect::before(&lab), expect::after(&lab));
    let converges = before.missing().chain(after.missing()).next().is_none();
    let timeout = if converges { "60s" } else { "4s" };
    let run = once(inputs, &[&["--json", "--runtime", runtime, "--timeout", timeout], more].concat());
    assert_eq!(run.code, i32::from(!converges), "{run}");
    let document = run.json();
    tables(&lab, &before, &document["before"], &run);
    tables(&lab, &after, &document["after"], &run);
    for missing in after.missing() {
        let line = run.stderr.lines().find(|line| {
            line.contains("session") && line.contains(&missing.a) && line.contains(&missing.a_key)
        });
        assert!(line.is_some(), "{missing:?} is not named\n{run}");
    }
    for (name, text) in [("output", &run.stdout), ("standard error", &run.stderr)] {
        assert!(!text.contains("127."), "a loopback address in the {name}\n{run}");
    }
    run
}

/// Every router's sessions and routes.
fn tables(lab: &Lab, expected: &Expected, found: &Value, run: &Run) {
    assert_eq!(found.as_object().map(serde_json::Map::len), Some(lab.routers.len()), "{run}");
    for router in &lab.routers {
        let name = router.name.as_str();
        let routes =
            found[name]["table"]["routes"].as_object().unwrap_or_else(|| panic!("{name}: no routes\n{run}"));
        let mut prefixes: Vec<ipnet::IpNet> = routes.keys().map(|prefix| prefix.parse().unwrap()).collect();
        prefixes.sort();
        assert_eq!(prefixes, expected.prefixes(name).into_iter().collect::<Vec<_>>(), "{name}\n{run}");
        for (prefix, route) in &expected.routers[name] {
            let path = &routes[&prefix.to_string()][0];
            let as_path: Vec<String> = route.as_path.iter().map(ToString::to_string).collect();
            assert_eq!(path["path"], as_path.join(" "), "{name} {prefix}\n{run}");
            let from = match &route.from {
                None => "(unspec)".to_owned(),
                Some(key) => match lab.other_end(name, key) {
                    Some(end) => end.link_local.to_string(),
                    None => key.clone(),
                },
            };
            assert_eq!(path["peerId"], from, "{name} {prefix}\n{run}");
            assert_eq!(path["bestpath"], true);
        }
        let peers = &found[name]["summary"]["peers"];
        for session in &expected.sessions {
            for (end, key) in [(&session.a, &session.a_key), (&session.b, &session.b_key)] {
                if end == name {
                    let up = peers[key]["state"] == "Established";
                    assert_eq!(up, session.down.is_none(), "{name} {key}\n{run}");
                }
            }
        }
    }
}

fn routes(run: &Run, stage: &str, router: &str) -> usize {
    run.json()[stage][router]["table"]["routes"].as_object().map_or(0, serde_json::Map::len)
}

#[test]
fn our_own_files() {
    for runtime in RUNTIMES {
        let run = check(&inputs(&root().join("examples/lab")), runtime, &[]);
        assert_eq!((routes(&run, "before", "router0"), routes(&run, "after", "router0")), (8, 12));
    }
}

#[test]
fn nothing_but_the_binary() {
    let elsewhere = tempfile::tempdir().unwrap();
    let run = Run::of(tool::peerage(&["lab", "--once", "--json"]).current_dir(elsewhere.path()));
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(routes(&run, "after", "router0"), 12, "{run}");
}

#[test]
fn where_there_is_one_loopback_address_only() {
    for runtime in RUNTIMES {
        check(&inputs(&root().join("examples/lab")), runtime, &["--loopback", "ports"]);
    }
}

#[test]
fn the_originals_in_place() {
    let Some(article) = shared("article") else { return };
    for runtime in RUNTIMES {
        let run = check(&inputs(&article), runtime, &[]);
        assert_eq!((routes(&run, "before", "router0"), routes(&run, "after", "router0")), (8, 12));
    }
}

#[test]
fn other_as_numbers() {
    let copy = Copy::new()
        .replace_all("topo.yaml", "65000", "4200000000")
        .replace_all("topo.yaml", "65010'", "64601'")
        .replace_all("topo.yaml", "65011'", "64602'")
        .replace_all("cilium-bgp-peering-policies.yaml", "65010", "64601")
        .replace_all("cilium-bgp-peering-policies.yaml", "65011", "64602");
    let run = check(&copy.inputs, "tokio", &[]);
    assert_eq!(run.json()["after"]["tor0"]["table"]["routes"]["10.1.3.0/24"][0]["path"], "4200000000 64602");
}

#[test]
fn another_pod_network() {
    let copy = Copy::new().replace("cluster.yaml", "10.1.0.0/16", "10.9.0.0/16");
    let run = check(&copy.inputs, "smol", &[]);
    assert!(run.json()["after"]["router0"]["table"]["routes"]["10.9.3.0/24"].is_array(), "{run}");
}

/// A fifth node on rack 1, as lab-input's own tests have it.
fn five() -> Copy {
    Copy::new()
        .append(
            "cluster.yaml",
            "  - role: worker\n    kubeadmConfigPatches:\n      - |\n        kind: JoinConfiguration\n        \
             nodeRegistration:\n          kubeletExtraArgs: {node-ip: 10.0.5.2, node-labels: rack=rack1}\n",
        )
        .replace(
            "topo.yaml",
            "  links:\n",
            "    server4:\n      kind: linux\n      network-mode: container:worker4\n      exec:\n        - ip addr \
             add 10.0.5.2/24 dev net0\n        - ip route add default via 10.0.5.1\n\n  links:\n",
        )
        .append("topo.yaml", "    - endpoints: [tor1:net3, server4:net0]\n")
        .replace(
            "topo.yaml",
            "        - ip addr add 10.0.4.1/24 dev net2\n",
            "        - ip addr add 10.0.4.1/24 dev net2\n        - ip addr add 10.0.5.1/24 dev net3\n",
        )
        .replace(
            "topo.yaml",
            "          -c   'neighbor 10.0.4.2 peer-group SERVERS'\n",
            "          -c   'neighbor 10.0.4.2 peer-group SERVERS'\n          -c   'neighbor 10.0.5.2 peer-group SERVERS'\n",
        )
}

#[test]
fn a_fifth_node() {
    let run = check(&five().inputs, "tokio", &[]);
    assert_eq!((routes(&run, "before", "router0"), routes(&run, "after", "router0")), (9, 14));
}

#[test]
fn a_fifth_node_on_a_subnet_that_is_there() {
    let copy = five()
        .replace("topo.yaml", "        - ip addr add 10.0.5.1/24 dev net3\n", "")
        .replace("topo.yaml", "ip addr add 10.0.4.1/24 dev net2", "ip addr add 10.0.4.1/23 dev net2")
        .replace("topo.yaml", "via 10.0.5.1", "via 10.0.4.1")
        .replace("topo.yaml", "10.0.5.2/24", "10.0.5.2/23");
    let run = check(&copy.inputs, "smol", &[]);
    assert_eq!((routes(&run, "before", "router0"), routes(&run, "after", "router0")), (8, 13));
}

#[test]
fn tor1_without_redistribute_connected() {
    let copy = Copy::new();
    let text = fs::read_to_string(copy.path("topo.yaml")).unwrap();
    let at = text.rfind("          -c     'redistribute connected'\n").unwrap();
    let line = text[at..].find('\n').unwrap() + 1;
    let copy = copy.write("topo.yaml", &(text[..at].to_owned() + &text[at + line..]));
    check(&copy.inputs, "tokio", &[]);
}

#[test]
fn router0_with_rfc_8212() {
    let copy = Copy::new().replace(
        "topo.yaml",
        "'bgp router-id 10.0.0.0'\n          -c   'no bgp ebgp-requires-policy'",
        "'bgp router-id 10.0.0.0'",
    );
    let run = check(&copy.inputs, "smol", &[]);
    assert_eq!(routes(&run, "after", "router0"), 2);
    assert_eq!(run.json()["after"]["router0"]["summary"]["peers"]["net0"]["peerState"], "Policy");
    let text = once(&copy.inputs, &[]);
    assert!(text.stdout.contains("     (Policy) "), "{text}");
}

#[test]
fn one_wrong_peer_as() {
    let copy = Copy::new().replace("cilium-bgp-peering-policies.yaml", "peerASN: 65011", "peerASN: 65012");
    let run = check(&copy.inputs, "tokio", &[]);
    assert!(run.stderr.contains("NOTIFICATION 2/2"), "{run}");
    assert_eq!(routes(&run, "after", "router0"), 10);
}

/// A link that is configured at one end only is a session that is missing, and is named.
#[test]
fn one_end_of_a_link() {
    let topology = fs::read_to_string(root().join("examples/lab/topo.yaml")).unwrap();
    let tor1 = topology.find("router bgp 65011").unwrap();
    let line = "neighbor net0 interface peer-group ROUTERS";
    let at = tor1 + topology[tor1..].find(line).unwrap();
    let copy = Copy::new();
    let changed = format!("{}!{}", &topology[..at], &topology[at + line.len()..]);
    fs::write(&copy.inputs.topology, changed).unwrap();
    let run = once(&copy.inputs, &["--timeout", "3s"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("router0: net1"), "{run}");
}

/// A policy at fault is said and left out; the other one acts.
#[test]
fn one_faulty_policy() {
    let copy = Copy::new().replace(
        "cilium-bgp-peering-policies.yaml",
        "peerASN: 65011",
        "peerASN: 65011, holdTimeSeconds: 1",
    );
    let run = once(&copy.inputs, &["--json"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(
        run.stderr.contains("CiliumBGPPeeringPolicy/rack1: spec.virtualRouters[0].neighbors[0]"),
        "{run}"
    );
    assert_eq!(routes(&run, "after", "router0"), 10, "{run}");
}

#[test]
fn no_agents() {
    let copy = Copy::new().replace("values.yaml", "enabled: true", "enabled: false");
    let run = check(&copy.inputs, "tokio", &[]);
    assert_eq!(routes(&run, "after", "router0"), 8);
}

/// Every key of FRR's own JSON on the same fabric is in ours, in the same place.
#[test]
fn the_json_has_frrs_keys() {
    let Some(reference) = shared("reference/lab-frr.json") else { return };
    let frr: Value = serde_json::from_str(&fs::read_to_string(reference).unwrap()).unwrap();
    let run = once(&inputs(&root().join("examples/lab")), &["--json"]);
    let mut missing = Vec::new();
    missing_keys(&frr, &run.json(), "", &mut missing);
    assert_eq!(missing, [""; 0], "{run}");
}

fn missing_keys(frr: &Value, ours: &Value, at: &str, missing: &mut Vec<String>) {
    match (frr, ours) {
        (Value::Object(frr), _) => {
            for (key, value) in frr {
                match ours.get(key) {
                    Some(ours) => missing_keys(value, ours, &format!("{at}.{key}"), missing),
                    None => missing.push(format!("{at}.{key}")),
                }
            }
        }
        (Value::Array(frr), _) => {
            for (index, value) in frr.iter().enumerate() {
                let at = format!("{at}[{index}]");
                match ours.get(index) {
                    Some(ours) => missing_keys(value, ours, &at, missing),
                    None => missing.push(at),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn for_people_it_has_frrs_layout_and_the_way_of_a_packet() {
    let run = once(&inputs(&root().join("examples/lab")), &[]);
    assert_eq!(run.code, 0, "{run}");
    for expected in [
        "router0# show bgp ipv4 summary wide    (Peerage ",
        "Neighbor        V         AS    LocalAS   MsgRcvd   MsgSent   TblVer  InQ OutQ  Up/Down State/PfxRcd   PfxSnt Desc\nnet0            4      65010      65000",
        "router0(net0)",
        "*> 10.1.0.0/24                                  net0                                                         0 65010 i\n",
        "*> 172.20.20.0/24                               0.0.0.0                                        0         32768 ?\n",
        "\nDisplayed  8 routes and 8 total paths\n",
        "\nDisplayed  12 routes and 12 total paths\n",
        "Path from pod nettool-1",
        "computed",
    ] {
        assert!(run.stdout.contains(expected), "{expected}\n{run}");
    }
    let hops = run.stdout.lines().skip_while(|line| !line.starts_with("Path from pod")).skip(1);
    let addresses: Vec<&str> = hops.filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(addresses, ["*", "10.0.2.1", "10.0.0.0", "10.0.0.2", "10.0.3.2", "10.1.2.10"], "{run}");
    assert!(!run.stdout.contains("127."), "{run}");
}

/// router0's tables are what FRR printed, octet by octet. Only the origin of the pods' networks differs: the
/// agents there were GoBGP, which says `?`; ours say what Cilium says.
#[test]
fn the_tables_are_frrs() {
    let Some(reference) = shared("reference/lab.md") else { return };
    let reference = fs::read_to_string(reference).unwrap();
    let run = once(&inputs(&root().join("examples/lab")), &[]);
    let (ours, frrs) = (router0(&run.stdout), router0(&reference));
    assert_eq!((ours.len(), frrs.len()), (2, 2), "{run}");
    for (ours, frr) in ours.iter().zip(&frrs) {
        let frr: String = frr.split_inclusive('\n').map(origin_of_pods).collect();
        assert_eq!(*ours, frr);
    }
}

/// The tables of router0 in a text, from their first line to their last.
fn router0(text: &str) -> Vec<&str> {
    let starts = text.match_indices("BGP table version is ").filter(|(at, _)| {
        text[*at..].lines().next().is_some_and(|line| line.contains("local router ID is 10.0.0.0,"))
    });
    let ends = |start: usize| text[start..].find(" total paths\n").map(|end| &text[start..start + end]);
    starts.filter_map(|(start, _)| ends(start)).collect()
}

fn origin_of_pods(line: &str) -> String {
    match line.strip_suffix("?\n") {
        Some(line) if line.starts_with("*> 10.1.") => format!("{line}i\n"),
        _ => line.to_owned(),
    }
}

#[test]
fn every_fault_is_said_with_its_place() {
    let copy = Copy::new()
        .replace(
            "topo.yaml",
            "        - ip addr add 10.0.4.1/24 dev net2\n",
            "        - ip addr add 10.0.4.1/33 dev net2\n",
        )
        .replace("cilium-bgp-peering-policies.yaml", "10.0.0.2/32", "10.0.0.300/32")
        .replace("cluster.yaml", "podSubnet: 10.1.0.0/16", "podSubnet: ten");
    let run = once(&copy.inputs, &[]);
    assert_eq!(run.code, 1, "{run}");
    for file in ["topo.yaml", "cilium-bgp-peering-policies.yaml", "cluster.yaml"] {
        let place = format!("{}:", copy.path(file).display());
        let line = run
            .stderr
            .lines()
            .find(|line| line.starts_with(&place))
            .unwrap_or_else(|| panic!("{file}\n{run}"));
        assert!(line[place.len()..].starts_with(|c: char| c.is_ascii_digit()), "{line}");
    }
    assert_eq!(run.stdout, "");
}

#[test]
fn wrong_usage_is_2_and_a_missing_file_1() {
    for wrong in
        [&["lab", "--runtime", "threads"][..], &["lab", "--timeout", "soon"], &["show"], &["frobnicate"], &[]]
    {
        assert_eq!(Run::of(&mut tool::peerage(wrong)).code, 2, "{wrong:?}");
    }
    let run = Run::of(&mut tool::peerage(&["lab", "--once", "--cluster", "/nowhere/cluster.yaml"]));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("/nowhere/cluster.yaml") && run.stderr.contains("--cluster"), "{run}");
    assert_eq!(
        Run::of(&mut tool::peerage(&["version"])).stdout,
        format!("peerage {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert!(Run::of(&mut tool::peerage(&["--help"])).stdout.contains("Examples:"));
}

#[test]
fn the_plan_names_nodes_and_faults() {
    let copy = Copy::new();
    let policies = copy.path("cilium-bgp-peering-policies.yaml");
    let run = |policies: &Path, more: &[&str]| {
        let mut command = tool::peerage(&["plan", "-f"]);
        Run::of(command.arg(policies).arg("--cluster").arg(copy.path("cluster.yaml")).args(more))
    };
    let good = run(&policies, &[]);
    assert_eq!(good.code, 0, "{good}");
    assert!(
        good.stdout.contains("clab-bgp-cplane-demo-worker3") && good.stdout.contains("10.1.3.0/24"),
        "{good}"
    );
    let json = run(&policies, &["-o", "json"]).json();
    assert_eq!(json["nodes"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["nodes"][0]["peers"][0]["address"], "10.0.0.1");

    let text = fs::read_to_string(&policies).unwrap();
    let bad = text.replace("localASN: 65010", "localASN: 0").replace("10.0.0.2/32", "there");
    fs::write(&policies, bad).unwrap();
    let bad = run(&policies, &[]);
    assert_eq!(bad.code, 1, "{bad}");
    let faults: Vec<&str> =
        bad.stderr.lines().filter(|line| line.contains("cilium-bgp-peering-policies.yaml:")).collect();
    assert!(faults.iter().any(|line| line.contains("rack0") && line.contains("localASN")), "{bad}");
    assert!(faults.iter().any(|line| line.contains("rack1") && line.contains("peerAddress")), "{bad}");
}
