//! The lab in network namespaces: the real binary, real FRR and real packets, on the article's originals, our
//! own files and changed copies. It is held against the loopback lab, which has its own tests.
//!
//! Needs root, FRR, ping and traceroute. PEERAGE_INSTALL=1, which `cargo xtask test` sets, installs them;
//! what is missing is said loudly, and fails under CI.
#![cfg(target_os = "linux")]

#[path = "../../lab-input/tests/support/mod.rs"]
mod support;
mod tool;

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use peerage_interop::install;
use peerage_lab_input::Inputs;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value};
use support::{Copy, inputs, root};
use tool::{Run, shared};

/// Longer than anything takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the lab runs, with the packages that have it.
const PROGRAMS: [(&str, &str); 8] = [
    ("vtysh", "frr"),
    ("frr/zebra", "frr"),
    ("frr/bgpd", "frr"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("ping", "iputils-ping"),
    ("traceroute", "traceroute"),
    ("setpriv", "util-linux"),
];

/// One at a time: the machine may have two cores, and sessions in the lab have a hold time of nine seconds.
static ALONE: Mutex<()> = Mutex::new(());

/// The machine, for a test alone, if it has what the lab needs.
fn machine() -> Option<MutexGuard<'static, ()>> {
    static INSTALL: Once = Once::new();
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    INSTALL.call_once(|| {
        if std::env::var_os("PEERAGE_INSTALL").is_some()
            && let Err(error) = install::install(PROGRAMS)
        {
            say(&format!("{error:#}"));
        }
    });
    let missing = PROGRAMS.iter().find(|(program, _)| !install::is_there(program));
    let why = match missing {
        _ if !rustix::process::geteuid().is_root() => "the lab in namespaces needs root".to_owned(),
        Some((program, package)) => format!("{program} is not installed: apt-get install {package}"),
        None => return Some(guard),
    };
    self::missing(&why);
    None
}

/// What cannot be tested here is said; CI has to have it.
fn missing(why: &str) {
    let ci = std::env::var("CI").is_ok_and(|it| !matches!(it.as_str(), "" | "0" | "false"));
    assert!(!ci, "CI runs every test: {why}");
    say(why);
}

/// Not by eprintln!, which the test harness keeps to itself when a test passes.
fn say(why: &str) {
    _ = io::stderr().write_all(format!("!!!! NOT TESTED: {why}\n").as_bytes());
}

/// `peerage lab --netns` on these files.
fn netns(inputs: &Inputs, more: &[&str]) -> Command {
    let mut words = vec!["--netns"];
    if !more.contains(&"--timeout") {
        words.extend(["--timeout", "60s"]);
    }
    tool::lab(inputs, &[&words, more].concat())
}

/// The article's originals, else our own files.
fn article() -> Inputs {
    shared("article").map_or_else(own, |article| inputs(&article))
}

fn own() -> Inputs {
    inputs(&root().join("examples/lab"))
}

/// Other networks and AS numbers than the article's.
fn changed() -> Copy {
    Copy::new()
        .replace("cluster.yaml", "10.1.0.0/16", "10.9.0.0/16")
        .replace_all("topo.yaml", "65000", "4200000000")
        .replace_all("topo.yaml", "65010'", "64601'")
        .replace_all("topo.yaml", "65011'", "64602'")
        .replace_all("cilium-bgp-peering-policies.yaml", "65010", "64601")
        .replace_all("cilium-bgp-peering-policies.yaml", "65011", "64602")
}

/// How many routes router0 has.
fn routes(document: &Value, stage: &str) -> usize {
    document[stage]["router0"]["table"]["routes"].as_object().map_or(0, Map::len)
}

/// What the loopback lab says on the same files.
fn loopback(inputs: &Inputs) -> Value {
    let run = tool::once(inputs, &["--json", "--timeout", "60s"]);
    assert_eq!(run.code, 0, "{run}");
    run.json()
}

/// The hops that the loopback lab computes, without the first: from inside a pod it is Cilium's.
fn computed(inputs: &Inputs) -> Vec<String> {
    let run = tool::once(inputs, &["--timeout", "60s"]);
    let lines = run.stdout.lines().skip_while(|line| !line.starts_with("Path from pod")).skip(2);
    lines.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect()
}

/// Runs the course and compares it with the loopback lab: tables, and the way of packets.
fn check(inputs: &Inputs, first: &str, more: &[&str]) -> Value {
    let run = Run::of(&mut netns(inputs, &[&["--once", "--json"], more].concat()));
    assert_eq!(run.code, 0, "{run}");
    let document = run.json();
    compare(&document, &loopback(inputs));
    assert_eq!((routes(&document, "before"), routes(&document, "after")), (8, 12), "{run}");
    let wanted = format!("ping and traceroute: {first}, {}\n", computed(inputs).join(", "));
    assert!(run.stderr.contains(&wanted), "{wanted}{run}");
    document
}

/// Where FRR's document may differ from the loopback lab's, and why. Everything else is equal, values too.
const DIFFERENT: [(&str, &str); 14] = [
    ("ribMemory", "core has no such figure"),
    ("peerMemory", "core has no such figure"),
    ("peerGroupMemory", "core has no such figure"),
    ("version", "core counts changes of the table, not of each route"),
    ("ribCount", "FRR counts the inner nodes of its tree, too"),
    ("msgRcvd", "time and how routes are packed"),
    ("msgSent", "time and how routes are packed"),
    ("peerUptime", "time"),
    ("peerUptimeMsec", "time"),
    ("peerUptimeEstablishedEpoch", "time"),
    ("peers.tableVersion", "FRR 8 leaves it at 0; and versions count changes on the way"),
    ("connectionsEstablished", "FRR's two ends of a link dial at once, and may lose a session to that"),
    ("connectionsDropped", "as connectionsEstablished"),
    ("tableVersion", "it counts changes on the way, which depend on who came first"),
];

/// FRR's document and the loopback lab's have the same keys and, but for `DIFFERENT` and two rules, values.
fn compare(frr: &Value, ours: &Value) {
    let mut differences = Vec::new();
    walk("", &without_null(frr), &without_null(ours), &mut differences);
    assert_eq!(differences, [""; 0]);
}

/// FRR leaves out what it has not; the loopback lab says `null`.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(key, value)| (key.clone(), without_null(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_null).collect()),
        other => other.clone(),
    }
}

fn walk(at: &str, frr: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (frr, ours) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let place = format!("{at}.{key}");
                let excused = |listed: &str| match listed.split_once('.') {
                    Some((parent, listed)) => listed == key && at.contains(&format!(".{parent}.")),
                    None => listed == key,
                };
                match (one.get(key), other.get(key)) {
                    _ if DIFFERENT.iter().any(|(listed, _)| excused(listed)) => {}
                    // FRR tells an eBGP neighbour also what came from it; nobody takes that.
                    (Some(frr), Some(ours)) if key == "pfxSnt" && one["idType"] == "interface" => {
                        if frr.as_u64() < ours.as_u64() {
                            differences.push(format!("{place}: {frr} against {ours}"));
                        }
                    }
                    // Who is dialled in vain goes back and forth between Connect, Active and Idle.
                    (Some(frr), Some(ours)) if key == "state" && frr != "Established" => {
                        if ours == "Established" {
                            differences.push(format!("{place}: {frr} against {ours}"));
                        }
                    }
                    (Some(frr), Some(ours)) => walk(&place, frr, ours, differences),
                    (frr, ours) => differences.push(format!("{place}: {frr:?} against {ours:?}")),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (frr, ours)) in one.iter().zip(other).enumerate() {
                walk(&format!("{at}[{index}]"), frr, ours, differences);
            }
        }
        _ if frr != ours => differences.push(format!("{at}: {frr} against {ours}")),
        _ => {}
    }
}

#[test]
fn the_originals() {
    let Some(_alone) = machine() else { return };
    let Some(article) = shared("article") else { return };
    let before = Host::look();
    check(&inputs(&article), "10.1.1.1", &["--runtime", "tokio"]);
    assert_eq!(Host::look(), before);
}

/// Two labs at once disturb each other in nothing.
#[test]
fn our_own_files_and_changed_ones_at_the_same_time() {
    let Some(_alone) = machine() else { return };
    let copy = changed();
    thread::scope(|scope| {
        scope.spawn(|| check(&own(), "10.1.1.1", &["--runtime", "smol"]));
        let document = check(&copy.inputs, "10.9.1.1", &["--runtime", "tokio"]);
        let path = &document["after"]["tor0"]["table"]["routes"]["10.9.3.0/24"][0]["path"];
        assert_eq!(path, "4200000000 64602");
    });
}

/// Sessions and tables are the loopback lab's; no packet is sent, and it says why.
#[test]
fn peerage_as_the_routers() {
    let Some(_alone) = machine() else { return };
    let inputs = article();
    let words = ["--once", "--json", "--routers", "peerage", "--runtime", "smol"];
    let run = Run::of(&mut netns(&inputs, &words));
    assert_eq!(run.code, 0, "{run}");
    let document = run.json();
    compare(&document, &loopback(&inputs));
    assert_eq!((routes(&document, "before"), routes(&document, "after")), (8, 12), "{run}");
    assert!(
        run.stderr.contains("no ping, no traceroute: `peerage router` puts no routes into the kernel"),
        "{run}"
    );
}

/// What does not come up is named, and what the policies of the other rack lead to is there all the same.
#[test]
fn one_wrong_peer_as() {
    let Some(_alone) = machine() else { return };
    let copy = Copy::new().replace("cilium-bgp-peering-policies.yaml", "peerASN: 65011", "peerASN: 65012");
    let run = Run::of(&mut netns(&copy.inputs, &["--once", "--json", "--timeout", "15s"]));
    assert_eq!(run.code, 1, "{run}");
    let document = run.json();
    assert_eq!((routes(&document, "before"), routes(&document, "after")), (8, 10), "{run}");
    for text in [
        "not converged with the policies within 15s",
        "  session ",
        "clab-bgp-cplane-demo-worker3",
        "10.0.4.2",
    ] {
        assert!(run.stderr.contains(text), "{text}\n{run}");
    }
}

/// Without agents nothing comes to the fabric, and by its tables no packet would arrive.
#[test]
fn no_agents() {
    let Some(_alone) = machine() else { return };
    let copy = Copy::new().replace("values.yaml", "enabled: true", "enabled: false");
    let run = Run::of(&mut netns(&copy.inputs, &["--once", "--json", "--routers", "peerage"]));
    assert_eq!(run.code, 0, "{run}");
    let document = run.json();
    assert_eq!((routes(&document, "before"), routes(&document, "after")), (8, 8), "{run}");
    assert!(run.stderr.contains("no agent runs"), "{run}");
}

/// For people: FRR's own tables, the computed path, and what ping and traceroute print.
#[test]
fn it_stays_up_and_answers_until_ctrl_c() {
    let Some(_alone) = machine() else { return };
    let before = Host::look();
    let files = Copy::new();
    let mut lab = Running::start(&files.inputs);
    lab.until("the lab is up");
    for text in [
        "router0# show bgp ipv4 summary wide    (FRR ",
        "Displayed  8 routes and 8 total paths\n",
        "Displayed  12 routes and 12 total paths\n",
        "*> 10.1.3.0/24                                  net1                                                         0 65011 i\n",
        "computed from the routers' tables:\n",
        "nettool-1# ping -n -c 1 -W 1 10.1.2.10\n",
        "1 packets transmitted, 1 received",
        "nettool-1# traceroute -n -q 1 -w 1 10.1.2.10\n",
        "The packets went the way that the tables have.\n",
    ] {
        assert!(lab.output().contains(text), "{text}\n{}", lab.output());
    }
    for (words, text) in [
        (&["show", "summary"][..], "net1            4      65011      65000"),
        (&["show", "routes", "--node", "tor0"], "10.1.3.0/24                                  net0"),
        (&["show", "route", "10.1.3.7", "-o", "json"], "\"prefix\":\"10.1.3.0/24\""),
        (&["show", "neighbor", "10.0.1.2", "--node", "tor0"], "BGP state = Established"),
        (&["show", "summary", "--node", "server2"], "10.0.0.2        4      65011      65011"),
    ] {
        let run = lab.ask(words);
        assert!(run.code == 0 && run.stdout.contains(text), "{text}\n{run}");
    }
    for (words, text) in [
        (&["show", "neighbor", "net0 json"][..], "router0 has no neighbor net0 json; it has net0, net1"),
        (&["show", "route", "99.0.0.0/8"], "not in table"),
        (&["show", "routes", "--node", "router7"], "there is no router7; there are router0"),
    ] {
        let run = lab.ask(words);
        assert!(run.code == 1 && run.stderr.contains(text), "{text}\n{run}");
    }
    let policies = files.path("cilium-bgp-peering-policies.yaml");
    let policies = policies.to_str().unwrap();
    let run = lab.ask(&["delete", "-f", policies]);
    assert!(run.code == 0 && run.stdout.contains("router0: 8 routes\n"), "{run}");
    let run = lab.ask(&["apply", "-f", policies]);
    assert!(run.code == 0 && run.stdout.contains("router0: 12 routes\n"), "{run}");

    assert!(lab.traces() > 0);
    lab.signal(Signal::INT);
    assert_eq!(tool::wait(&mut lab.child, PATIENCE), 0, "{}", lab.errors());
    lab.is_gone();
    assert!(!lab.socket().exists() && !lab.directory().exists());
    assert_eq!(Host::look(), before);
}

/// However early or late it is killed: no process, namespace or mount is left; an empty directory is, until
/// the next lab.
#[test]
fn killed_in_the_middle() {
    let Some(_alone) = machine() else { return };
    let before = Host::look();
    let mut left = Vec::new();
    for moment in ["network namespaces", "are configured", "converged with the fabric"] {
        let mut lab = Running::start(&own());
        lab.until(moment);
        lab.signal(Signal::KILL);
        tool::wait(&mut lab.child, PATIENCE);
        lab.is_gone();
        assert!(fs::read_dir(lab.directory()).is_ok_and(|mut entries| entries.next().is_none()));
        left.push(lab.directory());
    }
    // Its first process, too, whatever the one outside does then.
    let mut lab = Running::start(&own());
    lab.until("are configured");
    let inner = lab.inner();
    kill_process(inner, Signal::KILL).unwrap();
    assert_eq!(tool::wait(&mut lab.child, PATIENCE), 1, "{}", lab.errors());
    lab.is_gone();
    assert!(left.iter().chain([&lab.directory()]).all(|left| !left.exists()));
    assert_eq!(Host::look(), before);
}

#[test]
fn terminated_in_the_middle() {
    let Some(_alone) = machine() else { return };
    let mut lab = Running::start(&own());
    lab.until("are configured");
    lab.signal(Signal::TERM);
    assert!(tool::wait(&mut lab.child, PATIENCE) >= 0);
    assert!(
        lab.errors().contains("not converged with the fabric when it was interrupted"),
        "{}",
        lab.errors()
    );
    lab.is_gone();
    assert!(!lab.directory().exists());
}

/// What a line of the topology would do beyond what is understood is a fault with its place. Nothing of it
/// is done, and nothing else.
#[test]
fn hostile_lines() {
    let Some(_alone) = machine() else { return };
    let trap = tempfile::tempdir().unwrap();
    let sprung = trap.path().join("sprung");
    let file = sprung.display();
    let address = "ip addr add 10.0.0.0/32 dev lo";
    let id = "'bgp router-id 10.0.0.2'";
    for (from, to) in [
        (address, format!("ip addr add 10.0.0.0/32 dev lo ; touch {file}")),
        (address, format!("ip addr add $(touch {file}) dev lo")),
        (address, format!("ip addr add `touch {file}` dev lo")),
        (address, format!("ip addr add 10.0.0.0/32 dev lo && cp /etc/passwd {file}")),
        (address, format!("cp /etc/passwd {file}")),
        (address, format!("bash -c 'echo > {file}'")),
        (address, format!("ip -batch {file}")),
        (address, format!("ip netns exec x touch {file}")),
        (id, "'write file'".to_owned()),
        (id, format!("'log file {file}'")),
        (id, format!("'do start-shell touch {file}'")),
        (id, format!("'bgp router-id 10.0.0.2' --log file:{file}")),
        (id, format!("\"bgp router-id 10.0.0.2\\nlog file {file}\"")),
    ] {
        let copy = Copy::new().replace("topo.yaml", from, &to);
        let run = Run::of(&mut netns(&copy.inputs, &["--once"]));
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{to}\n{run}");
        let place = format!("{}:", copy.path("topo.yaml").display());
        let fault = run.stderr.lines().find_map(|line| line.strip_prefix(&place));
        assert!(fault.is_some_and(|fault| fault.starts_with(|c: char| c.is_ascii_digit())), "{to}\n{run}");
        assert!(!run.stderr.contains("namespaces, "), "{to}\n{run}");
        assert!(!sprung.exists(), "{to}\n{run}");
    }
}

/// One sentence with what helps.
#[test]
fn what_it_needs() {
    let Some(_alone) = machine() else { return };
    let place = tempfile::tempdir_in("/tmp").unwrap();
    let binary = place.path().join("peerage");
    fs::copy(env!("CARGO_BIN_EXE_peerage"), &binary).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.path(), open).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary);
    let run = Run::of(command.args(["lab", "--netns", "--once"]));
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run}");
    assert!(run.stderr.contains("needs root: run `sudo peerage lab --netns`"), "{run}");

    // With Peerage as the routers it does not, where users may have namespaces.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary);
    command.args(["lab", "--netns", "--once", "--json", "--routers", "peerage", "--timeout", "60s"]);
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    let run = Run::of(command.env("XDG_RUNTIME_DIR", &home).current_dir("/"));
    if run.stderr.contains("no namespaces can be had here") {
        missing("users may have no namespaces here");
    } else {
        assert_eq!((run.code, routes(&run.json(), "after")), (0, 12), "{run}");
    }

    let hide = "mount -t tmpfs none /usr/lib/frr && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", hide, "sh"]).arg(&binary).args(["lab", "--netns", "--once"]);
    let run = Run::of(&mut command);
    assert_eq!((run.code, run.stderr.lines().count()), (1, 1), "{run}");
    assert!(run.stderr.contains("apt-get install frr\n"), "{run}");
    assert_eq!(Run::of(&mut tool::peerage(&["lab", "--routers", "peerage"])).code, 2);
}

/// What a lab could leave on the host: named namespaces, interfaces, files of FRR's, settings.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    spaces: String,
    links: String,
    files: Vec<String>,
}

impl Host {
    fn look() -> Self {
        let ip = |words: &[&str]| {
            let output = Command::new("ip").args(words).stdin(Stdio::null()).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let mut files = Vec::new();
        for folder in ["/run/frr", "/etc/frr", "/var/log/frr", "/run/netns"] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let changed = entry.metadata().and_then(|found| found.modified()).ok();
                files.push(format!("{} {changed:?}", entry.path().display()));
            }
        }
        files.sort();
        for name in
            ["ipv4/ip_forward", "ipv4/icmp_ratelimit", "ipv4/conf/all/rp_filter", "ipv6/conf/all/forwarding"]
        {
            let value = fs::read_to_string(Path::new("/proc/sys/net").join(name)).unwrap_or_default();
            files.push(format!("{name} {value}"));
        }
        Self { spaces: ip(&["netns", "list"]), links: ip(&["-brief", "link"]), files }
    }
}

/// A lab that stays up.
struct Running {
    child: Child,
    place: tempfile::TempDir,
}

impl Running {
    fn start(inputs: &Inputs) -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| fs::File::create(place.path().join(name)).unwrap();
        let mut command = netns(inputs, &["--socket", place.path().join("lab.sock").to_str().unwrap()]);
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        Self { child, place }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.place.path().join("out")).unwrap()
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.place.path().join("err")).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("lab.sock")
    }

    fn directory(&self) -> PathBuf {
        Path::new("/run").join(format!("peerage-netns-{}", self.child.id()))
    }

    /// Until it says this.
    fn until(&mut self, text: &str) {
        let start = Instant::now();
        while !self.errors().contains(text) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "{text}: {ended:?}\n{}", self.errors());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask(&self, words: &[&str]) -> Run {
        Run::of(tool::peerage(words).arg("--socket").arg(self.socket()))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its first process within the namespaces, as the host calls it.
    fn inner(&self) -> Pid {
        let wanted = format!("--within\0{}\0", self.directory().display());
        let found = processes().into_iter().find(|number| {
            let line = fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default();
            line.ends_with(&wanted) && !line.starts_with("unshare") && !line.starts_with("setpriv")
        });
        Pid::from_raw(found.unwrap()).unwrap()
    }

    /// How many processes are of it, by their command lines or by what they see mounted.
    fn traces(&self) -> usize {
        let name = self.directory();
        let name = name.to_str().unwrap();
        let of_it = |number: &i32| {
            ["cmdline", "mountinfo"].iter().any(|file| {
                let text = fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(&format!("{name}\0"))
                    || String::from_utf8_lossy(&text).contains(&format!("{name}/"))
                    || String::from_utf8_lossy(&text).contains(&format!("{name} "))
            })
        };
        processes().iter().filter(|number| of_it(number)).count()
    }

    /// Until nothing of it is there. The kernel takes a moment for what it ends.
    fn is_gone(&self) {
        let start = Instant::now();
        while self.traces() > 0 {
            assert!(start.elapsed() < PATIENCE, "{} processes are left\n{}", self.traces(), self.errors());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
