//! `peerage router` as processes that peer on loopback, and what asks and changes them.

mod tool;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tool::{Process, Run, port};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A router that runs.
struct Router {
    process: Process,
    config: PathBuf,
    socket: PathBuf,
}

impl Router {
    fn start(folder: &Path, name: &str, config: &str, runtime: &str) -> Self {
        Self::start_with(folder, name, config, &["--runtime", runtime])
    }

    fn start_with(folder: &Path, name: &str, config: &str, more: &[&str]) -> Self {
        let file = folder.join(format!("{name}.toml"));
        let socket = folder.join(format!("{name}.sock"));
        fs::write(&file, config).unwrap();
        let mut command = tool::peerage(&["router", "-c"]);
        command.arg(&file).arg("--socket").arg(&socket).args(more);
        let mut process = Process::start(&mut command, true);
        process.hears(&["peerage show summary"]);
        Self { process, config: file, socket }
    }

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
            assert!(Instant::now() < end, "{run}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn has(&self, prefix: &str) {
        self.until(&["show", "route", prefix], |route| route["paths"][0]["bestpath"] == true);
    }

    fn monitor(&self, more: &[&str]) -> Process {
        let mut command = tool::peerage(&["monitor"]);
        Process::start(command.args(more).arg("--socket").arg(&self.socket), false)
    }

    /// Writes the file anew and has it read.
    fn reload(&self, config: &str) {
        fs::write(&self.config, config).unwrap();
        self.process.signal("-HUP");
    }

    /// Ends in order.
    fn stop(&mut self) {
        self.process.signal("-TERM");
        self.process.hears(&["ended"]);
        assert_eq!(tool::wait(&mut self.process.child, PATIENCE), 0);
        assert!(!self.socket.exists());
    }
}

/// A file: this end is 127.0.0.`own` in AS 65000 + `own`, and so are its neighbours.
fn config(port: u16, own: u8, neighbors: &[u8], more: &str) -> String {
    let mut text = format!(
        "as = {}\nrouter-id = \"10.0.0.{own}\"\nlisten = [\"127.0.0.{own}:{port}\"]\n\
         originate = [\"10.{own}.0.0/16\", \"2001:db8:{own}::/48\"]\nhostname = \"r{own}\"\n{more}\n",
        65000 + u32::from(own),
    );
    for other in neighbors {
        text += &format!(
            "[neighbor.\"127.0.0.{other}\"]\nas = {}\nlocal-address = \"127.0.0.{own}\"\nport = {port}\n\
             import = \"accept\"\nexport = \"accept\"\n\
             timers = {{ hold = 30, connect-retry = 1, idle-hold = 1 }}\n",
            65000 + u32::from(*other),
        );
    }
    text
}

#[test]
fn two_routers_exchange_routes_and_end_in_order() {
    for (one, other) in [("tokio", "smol"), ("smol", "tokio")] {
        let (folder, port) = (tempfile::tempdir().unwrap(), port());
        let mut a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), one);
        let mut b = Router::start(folder.path(), "b", &config(port, 2, &[1], ""), other);
        assert_eq!(fs::metadata(&a.socket).unwrap().permissions().mode() & 0o777, 0o600);
        a.hears(&["neighbor 127.0.0.2: up, AS 65002, router id 10.0.0.2"]);
        a.has("10.2.0.0/16");
        b.has("10.1.0.0/16");

        let summary = a.json(&["show", "summary"]);
        assert_eq!(summary["peers"]["127.0.0.2"]["state"], "Established");
        assert_eq!(summary["ribCount"], 2);
        let routes = a.json(&["show", "routes", "--family", "ipv6"]);
        assert!(routes["routes"]["2001:db8:1::/48"].is_array(), "{routes}");
        let text = a.ask(&["show", "neighbor", "127.0.0.2"]);
        for part in ["BGP state: Established", "Capabilities received: ", "4-octet AS 65002", "host name r2"]
        {
            assert!(text.stdout.contains(part), "{part}\n{text}");
        }
        let unknown = a.ask(&["show", "neighbor", "127.0.0.9"]);
        assert!(unknown.code == 1 && unknown.stderr.contains("it has 127.0.0.2"), "{unknown}");
        let manifests = a.ask(&["apply", "-f", "-"]);
        assert!(manifests.code == 1 && manifests.stderr.contains("SIGHUP"), "{manifests}");

        a.stop();
        b.hears(&["neighbor 127.0.0.1: down: received NOTIFICATION 6/2"]);
        let neighbor = b.json(&["show", "neighbor", "127.0.0.1"]);
        assert_eq!(neighbor["127.0.0.1"]["lastReset"]["subcode"], 2);
        assert_eq!(neighbor["127.0.0.1"]["lastReset"]["direction"], "received");
        assert!(b.ask(&["show", "neighbor"]).stdout.contains("Last reset: received NOTIFICATION 6/2"));
        b.stop();
    }
}

#[test]
fn check_says_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(
        &file,
        "as = 0\nrouter-id = \"10.0.0.1\"\nlisten = [\"nowhere\"]\n\n[neighbor.\"10.0.0.2\"]\nas = 65000\n\
         timers.hold = 2\nimprot = \"accept\"\n",
    )
    .unwrap();
    let run = Run::of(tool::peerage(&["router", "--check", "-c"]).arg(&file));
    assert_eq!(run.code, 1, "{run}");
    for place in ["bad.toml:1:6: ", "bad.toml:3:11: ", "bad.toml:7:15: ", "bad.toml:8:1: ", "4 faults"] {
        assert!(run.stderr.contains(place), "{place}\n{run}");
    }
    // Without --check nothing is started either.
    let run = Run::of(tool::peerage(&["router", "-c"]).arg(&file));
    assert!(run.code == 1 && run.stderr.contains("nothing was started"), "{run}");
    let run = Run::of(&mut tool::peerage(&["router", "--check", "-c", "/nonexistent/r.toml"]));
    assert!(run.code == 1 && run.stderr.contains("there is no such file"), "{run}");
}

#[test]
fn examples_pass() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../router");
    for name in ["tor", "route-reflector", "collector"] {
        let run =
            Run::of(tool::peerage(&["router", "--check", "-c"]).arg(examples.join(format!("{name}.toml"))));
        assert_eq!(run.code, 0, "{run}");
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
        assert!(run.stdout.contains("good: AS "), "{run}");
    }
}

#[test]
fn a_reload_says_what_it_costs() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let mut a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), "tokio");
    let b = Router::start(folder.path(), "b", &config(port, 2, &[1], ""), "smol");
    b.has("10.1.0.0/16");
    let established =
        |router: &Router| router.json(&["show", "neighbor"])["127.0.0.2"]["connectionsEstablished"].clone();

    let more = config(port, 1, &[2], "").replace("\"10.1.0.0/16\"", "\"10.1.0.0/16\", \"10.77.0.0/16\"");
    a.reload(&more);
    a.hears(&["reload: 1 change, highest cost: none"]);
    a.hears(&["originate 10.77.0.0/16; cost: none"]);
    b.has("10.77.0.0/16");
    assert_eq!(established(&a), 1);

    a.reload(&more.replace("hold = 30", "hold = 2"));
    a.hears(&["a.toml:", "timers.hold"]);
    a.hears(&["1 fault; what runs goes on unchanged"]);
    assert_eq!(established(&a), 1);

    let slower = more.replace("hold = 30", "hold = 21").replace("listen = [", "listen = [\"127.0.0.1:1\", ");
    a.reload(&slower);
    a.hears(&["`listen` differs", "needs a restart"]);
    a.hears(&["neighbor 127.0.0.2: timers changed; cost: reset"]);
    a.until(&["show", "neighbor"], |all| {
        all["127.0.0.2"]["connectionsEstablished"] == 2 && all["127.0.0.2"]["bgpTimerHoldTimeMsecs"] == 21_000
    });
    a.reload(&slower);
    a.hears(&["reload: nothing changes"]);
    a.stop();
}

#[test]
fn a_monitor_sees_sessions_and_routes() {
    for runtime in ["tokio", "smol"] {
        let (folder, port) = (tempfile::tempdir().unwrap(), port());
        let a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), runtime);
        let mut lines = a.monitor(&["-o", "json"]);
        lines.hears(&["\"event\":\"start\"", "\"router\":\"r1\""]);
        lines.hears(&["\"event\":\"neighbor\"", "127.0.0.2"]);
        let mut text = a.monitor(&[]);
        text.hears(&["r1: 1 neighbor, 2 prefix routes"]);
        let mut b = Router::start(folder.path(), "b", &config(port, 2, &[1], ""), runtime);
        let up: Value = serde_json::from_str(&lines.hears(&["\"event\":\"up\""])).unwrap();
        assert_eq!((&up["neighbor"], &up["as"]), (&"127.0.0.2".into(), &65002.into()));
        let route: Value =
            serde_json::from_str(&lines.hears(&["\"event\":\"route\"", "10.2.0.0/16"])).unwrap();
        assert_eq!(route["nextHop"], "127.0.0.2");
        assert_eq!(route["path"], "65002");
        text.hears(&["route 10.2.0.0/16 via 127.0.0.2 from 127.0.0.2 path 65002"]);

        // Other attributes are another route.
        let med =
            config(port, 2, &[1], "").replace("\"10.2.0.0/16\"", "{ prefix = \"10.2.0.0/16\", med = 7 }");
        b.reload(&med);
        lines.hears(&["\"event\":\"route\"", "10.2.0.0/16", "\"med\":7"]);
        b.reload(&med.replace("{ prefix = \"10.2.0.0/16\", med = 7 }", "\"10.22.0.0/16\""));
        lines.hears(&["\"event\":\"withdraw\"", "10.2.0.0/16"]);
        text.hears(&["withdraw 10.2.0.0/16"]);

        b.stop();
        text.hears(&["neighbor 127.0.0.2: down: received NOTIFICATION 6/2"]);
        text.hears(&["withdraw 10.22.0.0/16"]);
    }
}

#[test]
fn clear_hard_and_soft() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let mut a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), "smol");
    let mut b = Router::start(folder.path(), "b", &config(port, 2, &[1], ""), "tokio");
    b.has("10.1.0.0/16");
    a.has("10.2.0.0/16");
    let updates =
        || b.json(&["show", "neighbor"])["127.0.0.1"]["messageStats"]["updatesRecv"].as_u64().unwrap();
    let before = updates();
    let run = a.ask(&["clear", "127.0.0.2", "--soft-out"]);
    assert!(run.code == 0 && run.stdout.contains("everything is sent to it again"), "{run}");
    b.until(&["show", "neighbor"], |all| {
        all["127.0.0.1"]["messageStats"]["updatesRecv"].as_u64().unwrap() > before
    });
    let run = a.ask(&["clear", "all", "--soft-in"]);
    assert!(run.code == 0 && run.stdout.contains("the import policy is run"), "{run}");
    assert_eq!(b.json(&["show", "neighbor"])["127.0.0.1"]["connectionsEstablished"], 1);

    let run = a.ask(&["clear", "r2"]);
    assert!(run.code == 0 && run.stdout.contains("neighbor 127.0.0.2: reset"), "{run}");
    b.hears(&["neighbor 127.0.0.1: down: received NOTIFICATION 6/4"]);
    b.hears(&["neighbor 127.0.0.1: up"]);
    a.hears(&["down: sent NOTIFICATION 6/4"]);
    let run = a.ask(&["clear", "127.0.0.9"]);
    assert!(run.code == 1 && run.stderr.contains("there are 127.0.0.2"), "{run}");
}

#[test]
fn the_losing_path_says_why() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let a = Router::start(folder.path(), "a", &config(port, 1, &[2, 3], ""), "tokio");
    let both = |own, more: &str| {
        config(port, own, &[1], "")
            .replace("originate = [", &format!("originate = [{{ prefix = \"10.9.0.0/16\"{more} }}, "))
    };
    let _b = Router::start(folder.path(), "b", &both(2, ""), "smol");
    let _c = Router::start(folder.path(), "c", &both(3, ", prepend = { count = 2 }"), "tokio");
    let route =
        a.until(&["show", "route", "10.9.0.0/16"], |route| route["paths"].as_array().unwrap().len() == 2);
    assert_eq!(route["paths"][0]["path"], "65002");
    assert_eq!(route["paths"][1]["lostBy"], "AS_PATH length");
    let text = a.ask(&["show", "route", "10.9.1.1"]);
    assert!(text.stdout.contains("valid, best (AS Path)"), "{text}");
    assert!(text.stdout.contains("valid, not best: AS_PATH length"), "{text}");
}

/// Leaving without a word or with a Hard Reset, and F only where this boot has seen the router before.
#[test]
fn a_restart_as_the_neighbour_sees_it() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let state = folder.path().join("state");
    let graceful = |own, other| {
        config(port, own, &[other], "").replace("import =", "graceful-restart = \"1m\"\nimport =")
    };
    let mut b = Router::start(folder.path(), "b", &graceful(2, 1), "smol");
    let runs = [
        ("tokio", "graceful-restart", "", "down: connection closed by the peer"),
        ("smol", "cease", " F", "down: received NOTIFICATION 6/9 (Cease/Hard Reset for 6/2"),
        ("tokio", "graceful-restart", "", "down: connection closed by the peer"),
    ];
    for (number, (runtime, how, kept, said)) in runs.into_iter().enumerate() {
        if number == 2 {
            fs::write(state.join("boot-id"), "another boot").unwrap();
        }
        let more = ["--runtime", runtime, "--on-shutdown", how, "--state-dir", state.to_str().unwrap()];
        let mut a = Router::start_with(folder.path(), "a", &graceful(1, 2), &more);
        b.has("10.1.0.0/16");
        let received = b.ask(&["show", "neighbor", "127.0.0.1"]).stdout;
        let offer = format!("graceful restart (60 s, R, N, ipv4-unicast{kept}, ipv6-unicast{kept})");
        let line = received.lines().find(|line| line.contains("Capabilities received")).unwrap();
        assert!(line.contains(&offer), "{line}");
        a.stop();
        b.hears(&["neighbor 127.0.0.1: ", said]);
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let mut a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), "tokio");
    let b = Router::start(folder.path(), "b", &config(port, 2, &[1], ""), "tokio");
    b.has("10.1.0.0/16");
    // A peer that does not close its end is waited for.
    b.process.signal("-STOP");
    // Which of two that come together is the second is the system's to say.
    a.process.signal_twice("-INT", "-TERM");
    let code = tool::wait(&mut a.process.child, PATIENCE);
    assert!([130, 143].contains(&code), "{code}");
}

/// A reader that takes nothing is dropped and holds nobody up.
#[test]
fn a_monitor_that_does_not_read_is_dropped() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let mut a = Router::start(folder.path(), "a", &config(port, 1, &[2], ""), "smol");
    let mut stuck = UnixStream::connect(&a.socket).unwrap();
    stuck.write_all(b"{\"request\":\"monitor\",\"format\":\"json\"}\n").unwrap();
    // It listens.
    let mut head = [0];
    stuck.read_exact(&mut head).unwrap();
    let many: Vec<String> = (0..10_000).map(|i| format!("\"20.{}.{}.0/24\"", i / 256, i % 256)).collect();
    let full =
        config(port, 2, &[1], "").replace("originate = [", &format!("originate = [{}, ", many.join(", ")));
    let b = Router::start(folder.path(), "b", &full, "smol");
    a.has("20.39.0.0/24");
    a.hears(&["monitor: a reader", "was dropped"]);
    assert_eq!(b.json(&["show", "neighbor"])["127.0.0.1"]["connectionsEstablished"], 1);
}

/// `show` finds the router of this host by itself, and one whose file names a socket by that.
#[test]
fn where_a_router_answers() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let (file, named) = (folder.path().join("r.toml"), folder.path().join("named.sock"));
    let with = |command: &[&str]| {
        let mut command = tool::peerage(command);
        command.env("XDG_RUNTIME_DIR", folder.path());
        command
    };
    let none = Run::of(&mut with(&["show", "summary"]));
    assert!(none.code == 1 && none.stderr.contains("`peerage router`"), "{none}");
    fs::write(&file, config(port, 1, &[], "")).unwrap();
    let mut router = Process::start(with(&["router", "-c"]).arg(&file), true);
    router.hears(&["peerage/router.sock"]);
    let found = Run::of(&mut with(&["show", "summary"]));
    assert!(found.code == 0 && found.stdout.contains("r1# show bgp ipv4 summary"), "{found}");
    drop(router);

    fs::write(&file, config(port, 1, &[], &format!("socket = \"{}\"", named.display()))).unwrap();
    let mut router = Process::start(with(&["router", "-c"]).arg(&file), true);
    router.hears(&["named.sock"]);
    let found = Run::of(with(&["show", "routes"]).arg("--socket").arg(&named));
    assert!(found.code == 0 && found.stdout.contains("10.1.0.0/16"), "{found}");
}

#[test]
fn a_socket_in_use_and_a_port_in_use_are_said() {
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let a = Router::start(folder.path(), "a", &config(port, 1, &[], ""), "tokio");
    let other = folder.path().join("other.toml");
    fs::write(&other, config(port, 2, &[], "")).unwrap();
    let run = Run::of(tool::peerage(&["router", "-c"]).arg(&other).arg("--socket").arg(&a.socket));
    assert!(run.code == 1 && run.stderr.contains("already runs"), "{run}");
    let run =
        Run::of(tool::peerage(&["router", "-c"]).arg(&a.config).arg("--socket").arg(folder.path().join("s")));
    assert!(run.code == 1 && run.stderr.contains("in use"), "{run}");
}
