//! `peerage agent` as a process: a directory that changes, and a router that sees what comes of it.

mod tool;

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use peerage_core::wire::{
    self, Asn, Capability, Family, GracefulRestartFamily, MessageKind, Notification, Open,
};
use serde_json::Value;
use tempfile::TempDir;
use tool::{Process, Run, port};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The node, with what a test wants of it.
fn node(prefix: &str, annotation: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Node\nmetadata:\n  name: worker\n  labels: {{rack: rack0}}\n  annotations: \
         {{{annotation}}}\nspec: {{podCIDR: {prefix}, podCIDRs: [{prefix}]}}\nstatus: {{addresses: [{{type: InternalIP, \
         address: 192.0.2.7}}]}}\n"
    )
}

/// A policy for the node with a neighbour at 127.0.0.`peer`.
fn policy(name: &str, peer: u8, port: u16) -> String {
    format!(
        "apiVersion: cilium.io/v2alpha1\nkind: CiliumBGPPeeringPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         nodeSelector: {{matchLabels: {{rack: rack0}}}}\n  virtualRouters:\n  - localASN: 65010\n    \
         exportPodCIDR: true\n    neighbors:\n    - peerAddress: 127.0.0.{peer}/32\n      peerASN: 65010\n      \
         peerPort: {port}\n      connectRetryTimeSeconds: 1\n"
    )
}

/// Something that answers on a control socket.
struct Program {
    process: Process,
    socket: PathBuf,
}

impl Program {
    fn hears(&mut self, parts: &[&str]) -> String {
        self.process.hears(parts)
    }

    fn ask(&self, arguments: &[&str]) -> Run {
        Run::of(tool::peerage(arguments).arg("--socket").arg(&self.socket))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let run = self.ask(&[arguments, &["-o", "json"]].concat());
        assert_eq!(run.code, 0, "{run}");
        run.json()
    }

    /// Waits until something holds.
    fn until(&self, arguments: &[&str], holds: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let run = self.ask(&[arguments, &["-o", "json"]].concat());
            if run.code == 0 && holds(&run.json()) {
                return run.json();
            }
            assert!(Instant::now() < end, "{run}\n{}", self.process.heard.join("\n"));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until its table has these prefixes and no others.
    fn has(&self, prefixes: &[&str]) {
        self.until(&["show", "routes"], |table| {
            table["routes"].as_object().unwrap().keys().map(String::as_str).eq(prefixes.iter().copied())
        });
    }

    /// How many sessions came up with the agent, and how many of them ended.
    fn sessions(&self) -> (Value, Value) {
        let neighbor = &self.json(&["show", "neighbor", "127.0.0.1"])["127.0.0.1"];
        (neighbor["connectionsEstablished"].clone(), neighbor["connectionsDropped"].clone())
    }

    /// Waits until nothing is wrong.
    fn good(&self) {
        self.until(&["show", "faults"], |faults| faults["faults"] == Value::Array(Vec::new()));
    }

    fn stop(&mut self) {
        self.process.signal("-TERM");
        self.process.hears(&["ended"]);
        assert_eq!(tool::wait(&mut self.process.child, PATIENCE), 0);
        assert!(!self.socket.exists());
    }
}

/// A router at 127.0.0.`own` in AS 65010 that waits for the agent.
fn router(folder: &Path, own: u8, port: u16) -> Program {
    let file = folder.join(format!("r{own}.toml"));
    let socket = folder.join(format!("r{own}.sock"));
    fs::write(
        &file,
        format!(
            "as = 65010\nrouter-id = \"10.0.0.{own}\"\nlisten = [\"127.0.0.{own}:{port}\"]\n\
             [neighbor.\"127.0.0.1\"]\nas = 65010\npassive = true\nimport = \"accept\"\nexport = \"accept\"\n\
             timers = {{ idle-hold = 1 }}\n"
        ),
    )
    .unwrap();
    let mut command = tool::peerage(&["router", "-c"]);
    command.arg(&file).arg("--socket").arg(&socket);
    let mut process = Process::start(&mut command, true);
    process.hears(&["peerage show summary"]);
    Program { process, socket }
}

/// A place for everything, with a directory of manifests.
struct Place {
    folder: TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), port: port() };
        fs::create_dir(place.manifests()).unwrap();
        place
    }

    fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.manifests().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    /// As most programs write a file that others read.
    fn replace(&self, name: &str, text: &str) {
        let new = self.at(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.at(name)).unwrap();
    }

    fn command(&self, runtime: &str) -> Command {
        let mut command =
            tool::peerage(&["agent", "--node", "worker", "--debounce", "20ms", "--runtime", runtime]);
        command
            .arg("--manifests")
            .arg(self.manifests())
            .arg("--socket")
            .arg(self.folder.path().join("a.sock"));
        command
    }

    fn agent(&self, runtime: &str) -> Program {
        let mut process = Process::start(&mut self.command(runtime), true);
        process.hears(&["peerage show summary"]);
        Program { process, socket: self.folder.path().join("a.sock") }
    }
}

const PODS: &str = "10.1.0.0/24";

#[test]
fn sessions_and_routes_follow_the_directory() {
    for runtime in ["tokio", "smol"] {
        let place = Place::new();
        let mut tor = router(place.folder.path(), 11, place.port);
        place.write("node.yaml", &node(PODS, ""));
        let mut agent = place.agent(runtime);
        assert_eq!(fs::metadata(&agent.socket).unwrap().permissions().mode() & 0o777, 0o600);
        agent.hears(&["no CiliumBGPPeeringPolicy selects it"]);
        let none = agent.ask(&["show", "summary"]);
        assert!(none.code == 1 && none.stderr.contains("runs no BGP instance"), "{none}");

        place.replace("rack0.yaml", &policy("rack0", 11, place.port));
        agent.hears(&["instance 65010: starts: AS 65010, router id 192.0.2.7, 1 neighbor, 1 route"]);
        agent.hears(&["instance 65010: neighbor 127.0.0.11: up"]);
        tor.hears(&["neighbor 127.0.0.1: up, AS 65010, router id 192.0.2.7"]);
        tor.has(&[PODS]);
        assert_eq!(agent.json(&["show", "summary"])["peers"]["127.0.0.11"]["state"], "Established");
        assert_eq!(agent.json(&["show", "summary", "--node", "worker/65010"])["ribCount"], 1);
        assert_eq!(agent.json(&["show", "faults"])["faults"], Value::Array(Vec::new()));

        let mut command = tool::peerage(&["monitor", "-o", "json", "--socket"]);
        let mut monitor = Process::start(command.arg(&agent.socket), false);
        monitor.hears(&["\"event\":\"start\"", "worker/65010"]);

        // UPDATEs only.
        place.replace("node.yaml", &node("10.2.0.0/24", ""));
        agent.hears(&["2 changes, highest cost: none"]);
        agent.hears(&["withdraw 10.1.0.0/24; cost: none"]);
        agent.hears(&["originate 10.2.0.0/24; cost: none"]);
        tor.has(&["10.2.0.0/24"]);
        assert_eq!(tor.sessions(), (1.into(), 0.into()));
        monitor.hears(&["\"event\":\"route\"", "10.2.0.0/24"]);

        fs::remove_file(place.at("rack0.yaml")).unwrap();
        tor.hears(&["neighbor 127.0.0.1: down: received NOTIFICATION 6/3"]);
        agent.hears(&["instance 65010: ends"]);
        monitor.hears(&["\"event\":\"end\"", "the instance has ended"]);
        tool::wait(&mut monitor.child, PATIENCE);
        tor.has(&[]);

        place.replace("rack0.yaml", &policy("rack0", 11, place.port));
        tor.hears(&["neighbor 127.0.0.1: up"]);
        tor.has(&["10.2.0.0/24"]);
        agent.process.signal("-HUP");
        agent.hears(&["looked again: nothing changes"]);

        agent.stop();
        tor.hears(&["neighbor 127.0.0.1: down: received NOTIFICATION 6/2"]);
        tor.stop();
    }
}

/// A Service with one address, whose traffic stays on its node, and its endpoint there.
fn service(conditions: &str) -> (String, String) {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web, labels: {expose: bgp}}\nspec: {type: LoadBalancer, \
                   externalTrafficPolicy: Local}\nstatus: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}\n";
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: web-1, labels: \
         {{kubernetes.io/service-name: web}}}}\naddressType: IPv4\nendpoints: [{{nodeName: worker, conditions: \
         {{{conditions}}}}}]\n"
    );
    (service.to_owned(), slice)
}

#[test]
fn services_come_with_their_attributes_and_go_with_their_endpoints() {
    for runtime in ["tokio", "smol"] {
        let place = Place::new();
        let mut tor = router(place.folder.path(), 11, place.port);
        let rack0 = policy("rack0", 11, place.port).replace(
            "exportPodCIDR: true\n",
            "exportPodCIDR: true\n    serviceSelector: {matchLabels: {expose: bgp}}\n",
        ) + "      advertisedPathAttributes:\n      - selectorType: CiliumLoadBalancerIPPool\n        communities: \
             {standard: ['65010:100'], large: ['65010:1:1']}\n        localPreference: 200\n";
        let pool = "apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata: {name: blue}\nspec: {blocks: \
                    [{cidr: 198.51.100.0/24}]}\n";
        for (name, text) in [("node.yaml", node(PODS, "")), ("rack0.yaml", rack0), ("pool.yaml", pool.into())]
        {
            place.write(name, &text);
        }
        let mut agent = place.agent(runtime);
        tor.has(&[PODS]);
        let (web, ready) = service("ready: true");
        place.replace("web.yaml", &web);
        place.replace("slice.yaml", &ready);
        agent.hears(&["originate 198.51.100.1/32; cost: none"]);
        tor.has(&[PODS, "198.51.100.1/32"]);
        let route = tor.ask(&["show", "route", "198.51.100.1/32"]);
        assert!(route.stdout.contains("communities 65010:100 65010:1:1"), "{route}");
        assert!(route.stdout.contains("localpref 200"), "{route}");
        assert!(!tor.ask(&["show", "route", PODS]).stdout.contains("communities"));

        let (_, ending) = service("ready: false, serving: true, terminating: true");
        place.replace("slice.yaml", &ending);
        agent.hears(&["withdraw 198.51.100.1/32; cost: none"]);
        tor.has(&[PODS]);
        place.replace("slice.yaml", &ready);
        tor.has(&[PODS, "198.51.100.1/32"]);
        fs::remove_file(place.at("slice.yaml")).unwrap();
        tor.has(&[PODS]);
        assert_eq!(agent.json(&["show", "faults"])["faults"], Value::Array(Vec::new()));
        assert_eq!(tor.sessions(), (1.into(), 0.into()));
        agent.stop();
        tor.stop();
    }
}

#[test]
fn a_file_that_is_not_good_changes_nothing_and_is_said_once() {
    for runtime in ["smol", "tokio"] {
        let place = Place::new();
        let mut tor = router(place.folder.path(), 11, place.port);
        let good = policy("rack0", 11, place.port);
        place.write("node.yaml", &node(PODS, ""));
        place.write("rack0.yaml", &good);
        let mut agent = place.agent(runtime);
        tor.has(&[PODS]);

        let cut = &good[..good.find(": 65010\n      peerPort").unwrap()];
        let wrong = good.replace("peerASN: 65010", "peerASN: none");
        let huge = format!("{good}# {}\n", "x".repeat(5 << 20));
        let link = || symlink("nowhere.yaml", place.at(".new")).unwrap();
        let fifo = || assert!(Command::new("mkfifo").arg(place.at(".new")).status().unwrap().success());
        let text = |text: &str| fs::write(place.at(".new"), text).unwrap();
        let field = "CiliumBGPPeeringPolicy/rack0: spec.virtualRouters[0].neighbors[0].peerASN: expected";
        let breaks: [(&dyn Fn(), &[&str]); 7] = [
            (&|| text("a: [\n"), &["rack0.yaml:1:4: not valid YAML"]),
            (&|| text(cut), &["rack0.yaml:11:7: ", "not valid YAML"]),
            (&|| text(&wrong), &["rack0.yaml:11:16: ", field]),
            (&|| text(""), &["rack0.yaml: is empty; delete the file"]),
            (&|| text(&huge), &["rack0.yaml: is larger than 4 MiB"]),
            (&link, &["rack0.yaml: is a link to nothing"]),
            (&fifo, &["rack0.yaml: is a FIFO"]),
        ];
        for (make, said) in breaks {
            make();
            fs::rename(place.at(".new"), place.at("rack0.yaml")).unwrap();
            agent.hears(said);
            agent.hears(&["CiliumBGPPeeringPolicy/rack0 stays in use as last good"]);
            // Another look says nothing of it again.
            agent.process.signal("-HUP");
            agent.hears(&["looked again: nothing changes"]);
            let faults = agent.json(&["show", "faults"]);
            let faulty = faults["faults"].as_array().unwrap();
            assert!(faulty.iter().any(|fault| fault["severity"] == "error"), "{said:?}: {faults}");
            assert!(agent.ask(&["show", "faults"]).stdout.contains(said[0]), "{said:?}");
            place.replace("rack0.yaml", &good);
            agent.hears(&["rack0.yaml: good again"]);
        }
        let times = agent.process.heard.iter().filter(|line| line.contains("unclosed bracket")).count();
        assert_eq!(times, 1, "{:#?}", agent.process.heard);
        assert_eq!(tor.sessions(), (1.into(), 0.into()));
        tor.has(&[PODS]);
        agent.stop();
        tor.stop();
    }
}

#[test]
fn a_file_written_in_two_pieces_is_good_in_the_end() {
    let place = Place::new();
    let tor = router(place.folder.path(), 11, place.port);
    let good = policy("rack0", 11, place.port);
    let other = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n2, labels: {a: b";
    place.write("node.yaml", &node(PODS, ""));
    place.write("rack0.yaml", &good);
    let mut agent = place.agent("tokio");
    tor.has(&[PODS]);
    let mut file = fs::File::create(place.at("rack0.yaml")).unwrap();
    file.write_all(format!("{good}{other}").as_bytes()).unwrap();
    agent.hears(&["rack0.yaml:", "not valid YAML"]);
    file.write_all(b"}}\n").unwrap();
    drop(file);
    agent.hears(&["rack0.yaml: good again"]);
    assert_eq!(tor.sessions(), (1.into(), 0.into()));
}

/// What kubelet makes of a ConfigMap: files that are links through `..data`, which is changed at once.
fn config_map(place: &Place, version: &str, files: &[(&str, &str)]) {
    let folder = place.at(&format!("..{version}"));
    fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    let old = fs::read_link(place.at("..data"));
    symlink(format!("..{version}"), place.at("..data_tmp")).unwrap();
    fs::rename(place.at("..data_tmp"), place.at("..data")).unwrap();
    for (name, _) in files {
        if fs::symlink_metadata(place.at(name)).is_err() {
            symlink(format!("..data/{name}"), place.at(name)).unwrap();
        }
    }
    for entry in fs::read_dir(place.manifests()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() && !path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    if let Ok(old) = old {
        fs::remove_dir_all(place.at(old.to_str().unwrap())).unwrap();
    }
}

#[test]
fn a_config_map_is_swapped_under_it() {
    for runtime in ["tokio", "smol"] {
        let place = Place::new();
        let mut tor = router(place.folder.path(), 11, place.port);
        let mut other = router(place.folder.path(), 12, place.port);
        let worker = node(PODS, "");
        let (to_tor, to_other) = (policy("rack0", 11, place.port), policy("rack0", 12, place.port));
        config_map(&place, "1", &[("node.yaml", &worker), ("rack0.yaml", &to_tor)]);
        let mut agent = place.agent(runtime);
        tor.has(&[PODS]);
        // Nothing is read twice.
        assert_eq!(agent.json(&["show", "faults"])["faults"], Value::Array(Vec::new()));

        config_map(&place, "2", &[("node.yaml", &worker), ("rack0.yaml", &to_other)]);
        agent.hears(&["neighbor 127.0.0.11: removed; cost: reset (its session ends with Cease 6/3)"]);
        tor.hears(&["received NOTIFICATION 6/3"]);
        other.has(&[PODS]);
        // Another name for the same: the object is in one file all the time.
        config_map(&place, "3", &[("node.yaml", &worker), ("policy.yaml", &to_other)]);
        agent.good();
        config_map(&place, "4", &[("node.yaml", &worker)]);
        other.hears(&["received NOTIFICATION 6/3"]);
        assert_eq!(other.sessions(), (1.into(), 1.into()));
        agent.stop();
    }
}

#[test]
fn a_directory_that_goes_away_and_comes_back() {
    let place = Place::new();
    let tor = router(place.folder.path(), 11, place.port);
    let policy = policy("rack0", 11, place.port);
    place.write("node.yaml", &node(PODS, ""));
    place.write("rack0.yaml", &policy);
    let mut agent = place.agent("smol");
    tor.has(&[PODS]);

    let away = place.folder.path().join("away");
    fs::rename(place.manifests(), &away).unwrap();
    agent.hears(&["there is no such directory", "what it held last stays in use"]);
    fs::create_dir(place.manifests()).unwrap();
    agent.hears(&["is back and holds no *.yaml"]);
    // A directory at `name` beside it that is whole.
    let whole = |name: &str, prefix: &str| {
        let folder = place.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("node.yaml"), node(prefix, "")).unwrap();
        fs::write(folder.join("rack0.yaml"), &policy).unwrap();
        folder
    };
    fs::rename(whole("full", "10.2.0.0/24"), place.manifests()).unwrap();
    agent.hears(&["originate 10.2.0.0/24"]);
    tor.has(&["10.2.0.0/24"]);
    // And what changes in the new one is seen.
    place.replace("node.yaml", &node("10.3.0.0/24", ""));
    tor.has(&["10.3.0.0/24"]);
    // Another one in its place, at once.
    let third = whole("third", "10.4.0.0/24");
    fs::rename(place.manifests(), place.folder.path().join("second")).unwrap();
    fs::rename(&third, place.manifests()).unwrap();
    tor.has(&["10.4.0.0/24"]);
    agent.good();
    // One that is back without a file is believed in the end.
    fs::rename(place.manifests(), place.folder.path().join("fourth")).unwrap();
    agent.hears(&["there is no such directory", "what it held last stays in use"]);
    let fifth = whole("fifth", "10.4.0.0/24");
    fs::remove_file(fifth.join("rack0.yaml")).unwrap();
    fs::rename(&fifth, place.manifests()).unwrap();
    agent.hears(&["is back without", "rack0.yaml, so far"]);
    agent.hears(&["instance 65010: ends"]);
    tor.has(&[]);
    agent.stop();
}

#[test]
fn one_object_in_two_files_and_two_policies_for_one_node() {
    let place = Place::new();
    let mut tor = router(place.folder.path(), 11, place.port);
    place.write("node.yaml", &node(PODS, ""));
    place.write("a.yaml", &policy("rack0", 11, place.port));
    let mut agent = place.agent("tokio");
    tor.has(&[PODS]);
    place.replace("b.yaml", &policy("rack0", 12, place.port));
    agent.hears(&["b.yaml:3:18: CiliumBGPPeeringPolicy/rack0", "already, at", "a.yaml:1, which is used"]);
    assert_eq!(tor.sessions(), (1.into(), 0.into()));
    fs::remove_file(place.at("b.yaml")).unwrap();
    agent.hears(&["b.yaml: gone"]);

    // As Cilium has it: two are none.
    place.replace("b.yaml", &policy("rack1", 12, place.port));
    agent.hears(&["more than one CiliumBGPPeeringPolicy applies to node worker"]);
    tor.hears(&["received NOTIFICATION 6/3"]);
    fs::remove_file(place.at("b.yaml")).unwrap();
    agent.hears(&["instance 65010: starts"]);
    tor.has(&[PODS]);

    // An annotation that is wrong takes nothing from what runs.
    place.replace("node.yaml", &node(PODS, "cilium.io/bgp-virtual-router.65010: router-id=x"));
    agent.hears(&["router-id: expected an IPv4 address"]);
    assert_eq!(agent.json(&["show", "summary"])["peers"]["127.0.0.11"]["state"], "Established");
    place.replace("node.yaml", &node(PODS, "cilium.io/bgp-virtual-router.65010: router-id=192.0.2.9"));
    agent.hears(&["router id changed; cost: reset"]);
    tor.hears(&["router id 192.0.2.9"]);

    // Its Node goes: nothing can be known of it.
    fs::remove_file(place.at("node.yaml")).unwrap();
    agent.hears(&["Node/worker: there is no such Node", "kubectl get node worker -o yaml"]);
    tor.has(&[]);
}

#[test]
fn several_instances_and_who_listens() {
    for runtime in ["tokio", "smol"] {
        let place = Place::new();
        let (mine, busy) = (port(), TcpListener::bind("0.0.0.0:0").unwrap());
        let taken = busy.local_addr().unwrap().port();
        let mut tor = router(place.folder.path(), 11, place.port);
        let two = policy("rack0", 11, place.port)
            + &format!(
                "  - localASN: 65020\n    neighbors: [{{peerAddress: 127.0.0.12/32, peerASN: 65012, peerPort: {}}}]\n",
                place.port
            );
        place.write("rack0.yaml", &two);
        let annotation = |port| format!("cilium.io/bgp-virtual-router.65020: local-port={port}");
        place.write("node.yaml", &node(PODS, &annotation(taken)));
        let mut agent = place.agent(runtime);
        // What is wrong with one stops no other.
        agent.hears(&["BGP instance 65020", &taken.to_string()]);
        tor.hears(&["neighbor 127.0.0.1: up"]);
        place.replace("node.yaml", &node(PODS, &annotation(mine)));
        agent.hears(&["instance 65020: starts", &format!("listening on port {mine}")]);
        agent.hears(&["no longer: Node/worker: BGP instance 65020"]);

        let several = agent.ask(&["show", "summary"]);
        assert!(several.code == 1 && several.stderr.contains("65010, 65020"), "{several}");
        let monitor = agent.ask(&["monitor"]);
        assert!(monitor.code == 1 && monitor.stderr.contains("65010, 65020"), "{monitor}");
        assert_eq!(agent.json(&["show", "summary", "--node", "65020"])["as"], 65020);
        let unknown = agent.ask(&["show", "summary", "--node", "65030"]);
        assert!(unknown.code == 1 && unknown.stderr.contains("it runs 65010, 65020"), "{unknown}");

        // A neighbour may connect, anybody else may not.
        let mut stranger = Raw::connect([127, 0, 0, 13], mine);
        assert_eq!(stranger.notification(), (6, 5));
        let mut peer = Raw::connect([127, 0, 0, 12], mine);
        peer.handshake(65012);
        agent.hears(&["instance 65020: neighbor 127.0.0.12: up, AS 65012"]);
        assert!(TcpStream::connect(("127.0.0.1", place.port)).is_err(), "the other one does not listen");

        // A port that it cannot have costs it nothing.
        let mut command = tool::peerage(&["monitor", "--node", "65020", "--socket"]);
        let mut monitor = Process::start(command.arg(&agent.socket), false);
        monitor.hears(&["neighbor 127.0.0.12: is Established"]);
        place.replace("node.yaml", &node(PODS, &annotation(taken)));
        agent.hears(&["BGP instance 65020", &taken.to_string(), "what ran of it goes on"]);
        place.replace("node.yaml", &node(PODS, &annotation(mine)));
        agent.hears(&["no longer: Node/worker: BGP instance 65020"]);
        let neighbor = agent.json(&["show", "neighbor", "127.0.0.12", "--node", "65020"]);
        assert_eq!(neighbor["127.0.0.12"]["bgpState"], "Established");
        // Another one is a new instance.
        let another = port();
        place.replace("node.yaml", &node(PODS, &annotation(another)));
        assert_eq!(peer.notification(), (6, 2));
        monitor.hears(&["neighbor 127.0.0.12: down: sent NOTIFICATION 6/2"]);
        agent.hears(&["instance 65020: starts", &format!("listening on port {another}")]);
        // It dials by now, and so it knows its neighbours.
        agent.hears(&["instance 65020: neighbor 127.0.0.12: does not come up: connection refused"]);
        let mut peer = Raw::connect([127, 0, 0, 12], another);
        peer.handshake(65012);
        agent.hears(&["instance 65020: neighbor 127.0.0.12: up, AS 65012"]);

        agent.stop();
        assert_eq!(peer.notification(), (6, 2));
        tor.hears(&["received NOTIFICATION 6/2"]);
    }
}

/// gracefulRestart of a policy: F from the second start on; no NOTIFICATION, or a Hard Reset, at the end.
#[test]
fn a_restart_under_graceful_restart() {
    let place = Place::new();
    let listener = TcpListener::bind(("127.0.0.11", place.port)).unwrap();
    place.write("node.yaml", &node(PODS, ""));
    let graceful = "gracefulRestart: {enabled: true, restartTimeSeconds: 61}";
    let text = policy("rack0", 11, place.port);
    let at = text.find("peerPort").unwrap();
    place.write("rack0.yaml", &format!("{}{graceful}\n      {}", &text[..at], &text[at..]));
    for (how, forwarding_kept, told) in
        [("graceful-restart", false, None), ("cease", true, Some((6, 9))), ("graceful-restart", true, None)]
    {
        let mut command = place.command("tokio");
        command.arg("--state-dir").arg(place.folder.path().join("state")).args(["--on-shutdown", how]);
        let mut process = Process::start(&mut command, true);
        process.hears(&["peerage show summary"]);
        let mut agent = Program { process, socket: place.folder.path().join("a.sock") };
        let mut peer = Raw { stream: listener.accept().unwrap().0, pending: Vec::new() };
        let (_, open) = peer.next().unwrap();
        let families = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
        let offer = Capability::GracefulRestart {
            restarting: true,
            notification: true,
            time: 61,
            families: families
                .into_iter()
                .map(|family| GracefulRestartFamily { family, forwarding_kept })
                .collect(),
        };
        let said = Open::decode(&open).unwrap().capabilities;
        assert!(said.contains(&offer), "{said:?}");
        peer.handshake_with(65010, Some(offer));
        agent.hears(&["neighbor 127.0.0.11: up"]);
        agent.process.signal("-TERM");
        assert_eq!(peer.ending(), told);
        drop(peer);
        agent.process.hears(&["ended"]);
        assert_eq!(tool::wait(&mut agent.process.child, PATIENCE), 0);
    }
}

#[test]
fn two_instances_swap_their_ports() {
    let place = Place::new();
    let two = policy("rack0", 11, place.port)
        + &format!(
            "  - localASN: 65020\n    neighbors: [{{peerAddress: 127.0.0.12/32, peerASN: 65012, peerPort: {}}}]\n",
            place.port
        );
    place.write("rack0.yaml", &two);
    let (a, b) = (port(), port());
    let ports = |of_65010: u16, of_65020: u16| {
        let annotation =
            |asn: u32, port: u16| format!("cilium.io/bgp-virtual-router.{asn}: local-port={port}");
        node(PODS, &format!("{}, {}", annotation(65010, of_65010), annotation(65020, of_65020)))
    };
    place.write("node.yaml", &ports(a, b));
    let mut agent = place.agent("tokio");
    agent.hears(&["instance 65020: starts", &format!("listening on port {b}")]);
    // It dials by now, and so it knows its neighbours.
    agent.hears(&["instance 65020: neighbor 127.0.0.12: does not come up: connection refused"]);
    let mut peer = Raw::connect([127, 0, 0, 12], b);
    peer.handshake(65012);
    agent.hears(&["instance 65020: neighbor 127.0.0.12: up"]);
    place.replace("node.yaml", &ports(b, a));
    assert_eq!(peer.notification(), (6, 2));
    agent.hears(&["instance 65010: starts", &format!("listening on port {b}")]);
    agent.hears(&["instance 65020: starts", &format!("listening on port {a}")]);
    agent.hears(&["instance 65020: neighbor 127.0.0.12: does not come up: connection refused"]);
    let mut peer = Raw::connect([127, 0, 0, 12], a);
    peer.handshake(65012);
    agent.hears(&["instance 65020: neighbor 127.0.0.12: up"]);
    agent.good();
    agent.stop();
}

#[test]
fn a_second_signal_ends_at_once() {
    let place = Place::new();
    let listener = TcpListener::bind(("127.0.0.11", place.port)).unwrap();
    place.write("node.yaml", &node(PODS, ""));
    place.write("rack0.yaml", &policy("rack0", 11, place.port));
    let mut agent = place.agent("tokio");
    let mut peer = Raw::accept(&listener);
    peer.handshake(65010);
    agent.hears(&["neighbor 127.0.0.11: up"]);
    // The peer does not hang up: the agent would wait for a while. Which of two signals that come together
    // is the second is the system's to say.
    agent.process.signal_twice("-INT", "-TERM");
    let code = tool::wait(&mut agent.process.child, PATIENCE);
    assert!([130, 143].contains(&code), "{code}");
}

#[test]
fn what_nobody_hints_at_is_seen_all_the_same() {
    let place = Place::new();
    let tor = router(place.folder.path(), 11, place.port);
    let elsewhere = place.folder.path().join("node.yaml");
    fs::write(&elsewhere, node(PODS, "")).unwrap();
    symlink(&elsewhere, place.at("node.yaml")).unwrap();
    place.write("rack0.yaml", &policy("rack0", 11, place.port));
    let _agent = place.agent("tokio");
    tor.has(&[PODS]);
    // No event in the directory.
    fs::write(&elsewhere, node("10.2.0.0/24", "")).unwrap();
    tor.has(&["10.2.0.0/24"]);
}

#[test]
fn a_neighbour_with_a_key_is_not_spoken_with() {
    let place = Place::new();
    let listener = TcpListener::bind(("127.0.0.12", place.port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let tor = router(place.folder.path(), 11, place.port);
    place.write("node.yaml", &node(PODS, ""));
    let guarded = format!(
        "    - {{peerAddress: 127.0.0.12/32, peerASN: 65010, peerPort: {}, connectRetryTimeSeconds: 1, \
         authSecretRef: key}}\n",
        place.port
    );
    place.write("rack0.yaml", &(policy("rack0", 11, place.port) + &guarded));
    let mut agent = place.agent("tokio");
    agent.hears(&["neighbors[1].authSecretRef", "no session is opened with this neighbour"]);
    tor.has(&[PODS]);
    let neighbor = agent.json(&["show", "neighbor", "127.0.0.12"]);
    assert_eq!(neighbor["127.0.0.12"]["shutdown"], true);
    // The other one is up: had this one been dialled, it would have been by now or before.
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn thousands_of_files() {
    let place = Place::new();
    let mut tor = router(place.folder.path(), 11, place.port);
    for number in 0..3000 {
        let other = policy(&format!("p{number}"), 11, place.port).replace("rack: rack0", "rack: another");
        place.write(&format!("p{number}.yaml"), &other);
    }
    place.write("node.yaml", &node(PODS, ""));
    let mut agent = place.agent("smol");
    place.write("rack0.yaml", &policy("rack0", 11, place.port));
    tor.hears(&["neighbor 127.0.0.1: up"]);
    tor.has(&[PODS]);
    agent.stop();
}

#[test]
fn what_cannot_start_says_what_helps() {
    let place = Place::new();
    fs::remove_dir(place.manifests()).unwrap();
    let run = Run::of(&mut place.command("tokio"));
    assert!(run.code == 1 && run.stderr.contains("manifests: there is no such directory; make it"), "{run}");
    fs::write(place.manifests(), "").unwrap();
    let run = Run::of(&mut place.command("tokio"));
    assert!(run.code == 1 && run.stderr.contains("expected a directory, found a file"), "{run}");
    fs::remove_file(place.manifests()).unwrap();

    // Nothing is there yet: it waits.
    fs::create_dir(place.manifests()).unwrap();
    let mut agent = place.agent("tokio");
    agent.hears(&["there is no such Node"]);
    let second = Run::of(&mut place.command("tokio"));
    assert!(second.code == 1 && second.stderr.contains("already runs"), "{second}");
    for (arguments, remedy) in [
        (&["apply", "-f", "-"][..], "change the files of its directory"),
        (&["clear", "all"], "follow its policies"),
        (&["monitor"], "runs no BGP instance"),
    ] {
        let run = agent.ask(arguments);
        assert!(run.code == 1 && run.stderr.contains(remedy), "{run}");
    }
    agent.stop();

    let usage = Run::of(&mut tool::peerage(&["agent", "--manifests", "x", "--node", ""]));
    assert_eq!(usage.code, 2, "{usage}");
    let help = Run::of(&mut tool::peerage(&["agent", "--help"]));
    assert!(help.stdout.contains("peerage agent --manifests DIR --node worker"), "{help}");
}

#[test]
fn where_an_agent_answers() {
    let place = Place::new();
    let with = |command: &[&str]| {
        let mut command = tool::peerage(command);
        command.env("XDG_RUNTIME_DIR", place.folder.path());
        command
    };
    let none = Run::of(&mut with(&["show", "faults"]));
    assert!(none.code == 1 && none.stderr.contains("`peerage agent`"), "{none}");
    let mut command = with(&["agent", "--manifests"]);
    let mut agent = Process::start(command.arg(place.manifests()).env("NODE_NAME", "worker"), true);
    agent.hears(&["peerage/agent.sock"]);
    agent.hears(&["Node/worker: there is no such Node"]);
    let found = Run::of(&mut with(&["show", "faults"]));
    assert!(found.code == 0 && found.stdout.contains("Node/worker: there is no such Node"), "{found}");
}

#[test]
fn log_lines_as_json() {
    let place = Place::new();
    place.write("node.yaml", &node(PODS, ""));
    let mut command = place.command("tokio");
    let mut process = Process::start(command.args(["-o", "json"]), true);
    let line = process.hears(&["no CiliumBGPPeeringPolicy selects it"]);
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "warn");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    process.signal("-INT");
    assert_eq!(tool::wait(&mut process.child, PATIENCE), 0);
}

/// A peer that is a plain socket.
struct Raw {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Raw {
    fn connect(from: [u8; 4], port: u16) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
        Self { stream: socket.into(), pending: Vec::new() }
    }

    fn accept(listener: &TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return Self { stream, pending: Vec::new() };
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
            }
            assert!(Instant::now() < end, "nobody connects");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn handshake(&mut self, asn: u32) {
        self.handshake_with(asn, None);
    }

    fn handshake_with(&mut self, asn: u32, more: Option<Capability>) {
        let own = [Capability::Multiprotocol(Family::IPV4_UNICAST), Capability::FourOctetAs(Asn(asn))];
        let mut open = Vec::new();
        Open {
            my_as: u16::try_from(asn).unwrap(),
            hold_time: 90,
            router_id: "10.0.0.12".parse().unwrap(),
            capabilities: own.into_iter().chain(more).collect(),
        }
        .encode(&mut open);
        self.stream.write_all(&open).unwrap();
        self.stream.write_all(&wire::KEEPALIVE).unwrap();
    }

    /// The next message; `None`: the connection is closed.
    fn next(&mut self) -> Option<(MessageKind, Vec<u8>)> {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = wire::frame(&self.pending, wire::MAX_LEN).unwrap() {
                let (message, len) = ((frame.kind, frame.body.to_vec()), frame.len);
                self.pending.drain(..len);
                return Some(message);
            }
            let len = match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                read => read.unwrap(),
            };
            self.pending.extend_from_slice(&buffer[..len]);
        }
    }

    /// Code and subcode of the next NOTIFICATION; `None`: it ends without one.
    fn ending(&mut self) -> Option<(u8, u8)> {
        while let Some((kind, body)) = self.next() {
            if kind == MessageKind::Notification {
                let notification = Notification::decode(&body).unwrap();
                return Some((notification.code, notification.subcode));
            }
        }
        None
    }

    /// Code and subcode of the next NOTIFICATION.
    fn notification(&mut self) -> (u8, u8) {
        self.ending().expect("a NOTIFICATION before it ends")
    }
}
