//! `peerage router` on both ends of links, in network namespaces: neighbours that are known by an interface.
#![cfg(target_os = "linux")]

mod tool;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv6Addr, SocketAddrV6},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    net::netdevice,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tool::Run;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network namespace, for as long as a process is in it.
struct Namespace(Child);

/// Users who are not root may have namespaces too, by a user namespace.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that something is not tested, which CI does not accept.
fn left_out(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}, and CI has to have it");
    // Not by eprintln!, which the test harness keeps to itself when a test passes.
    _ = std::io::Write::write_all(&mut std::io::stderr(), format!("!!!! NOT TESTED: {why}\n").as_bytes());
}

/// Sends a Router Advertisement (RFC 4861 §4.2) for 30 s; the kernel fills in the checksum.
fn advertise(interface: &str, from: Ipv6Addr, hops: u32) {
    let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
    let index = netdevice::name_to_index(&socket, interface).unwrap();
    socket.set_multicast_hops_v6(hops).unwrap();
    socket.bind(&SocketAddrV6::new(from, 0, 0, index).into()).unwrap();
    let all_nodes = SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, index);
    socket.send_to(&[134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0], &all_nodes.into()).unwrap();
}

impl Namespace {
    /// A new one, where namespaces can be had; where not, that is said, and in CI an error.
    fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        Self::hold(command)
    }

    /// Another one whose links can be joined with this one's.
    fn beside(&self) -> Self {
        Self::hold(self.command("unshare")).expect("a namespace beside the first")
    }

    fn hold(mut command: Command) -> Option<Self> {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let child = command.args(["--net", "--", "sleep", "600"]).stdin(Stdio::null()).spawn();
        let mut namespace = child.map(Self);
        let end = Instant::now() + PATIENCE;
        while let Ok(it) = &mut namespace {
            let there = fs::read_link(format!("/proc/{}/ns/net", it.0.id()));
            if it.0.try_wait().unwrap().is_some() {
                break;
            }
            // unshare becomes sleep once it has made it.
            let name = fs::read_to_string(format!("/proc/{}/comm", it.0.id())).unwrap_or_default();
            if name == "sleep\n" && there.is_ok_and(|there| there != own) {
                return namespace.ok();
            }
            assert!(Instant::now() < end, "no namespace in time");
            thread::sleep(Duration::from_millis(5));
        }
        left_out("network namespaces cannot be had here (unshare)");
        None
    }

    /// Does something in it, on a thread of its own.
    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// A command that is run in it.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--net"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--", program]);
        command
    }

    /// Runs `ip` in it.
    fn ip(&self, line: &str) -> String {
        let run = Run::of(self.command("ip").args(line.split_whitespace()));
        assert_eq!(run.code, 0, "ip {line}\n{run}");
        run.stdout
    }

    /// Waits until several more segments are dropped for one of these reasons (TcpExt of /proc/net/netstat).
    fn drops(&self, reasons: &[&str]) {
        let count = || -> u64 {
            let text = Run::of(self.command("cat").arg("/proc/self/net/netstat")).stdout;
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
            let names = lines.next().unwrap().split(' ').zip(lines.next().unwrap().split(' '));
            names
                .filter(|(name, _)| reasons.contains(name))
                .map(|(_, value)| value.parse::<u64>().unwrap())
                .sum()
        };
        let (before, end) = (count(), Instant::now() + PATIENCE);
        while count() < before + 3 {
            assert!(Instant::now() < end, "nothing is dropped for {reasons:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The link-local address of an interface, once it may be used.
    fn link_local(&self, interface: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.ip(&format!("-6 -o address show dev {interface} scope link -tentative"));
            if let Some(address) = text.split_whitespace().find(|word| word.starts_with("fe80:")) {
                return address.split('/').next().unwrap().to_owned();
            }
            assert!(Instant::now() < end, "{interface} has no address");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Two namespaces with a link between them, whose ends are both called net0.
struct Pair {
    a: Namespace,
    b: Namespace,
}

impl Pair {
    fn new() -> Option<Self> {
        let a = Namespace::new()?;
        let b = a.beside();
        let pair = Self { a, b };
        pair.link();
        Some(pair)
    }

    fn link(&self) {
        self.a.ip(&format!("link add net0 type veth peer name net0 netns {}", self.b.0.id()));
        self.a.ip("link set net0 up");
        self.b.ip("link set net0 up");
    }
}

/// A router that runs in a namespace; killed if the test fails.
struct Router {
    child: Child,
    said: mpsc::Receiver<String>,
    heard: Vec<String>,
    file: PathBuf,
    socket: PathBuf,
}

impl Router {
    fn start(namespace: &Namespace, folder: &Path, name: &str, config: &str, runtime: &str) -> Self {
        let command = namespace.command(env!("CARGO_BIN_EXE_peerage"));
        let mut router = Self::spawn(command, folder, name, config, runtime);
        router.hears(&["peerage show summary"]);
        router
    }

    fn spawn(mut command: Command, folder: &Path, name: &str, config: &str, runtime: &str) -> Self {
        let (file, socket) = (folder.join(format!("{name}.toml")), folder.join(format!("{name}.sock")));
        fs::write(&file, config).unwrap();
        command.args(["router", "--runtime", runtime, "-c"]).arg(&file).arg("--socket").arg(&socket);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (say, said) = mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        thread::spawn(move || lines.for_each(|line| _ = say.send(line)));
        Self { child, said, heard: Vec::new(), file, socket }
    }

    /// Waits for a line that has all these parts and was not waited for yet. What two threads say comes in
    /// either order.
    fn hears(&mut self, parts: &[&str]) -> String {
        self.hears_within(parts, PATIENCE).unwrap_or_else(|| panic!("{parts:?} was not said"))
    }

    /// The same, for as long as that.
    fn hears_within(&mut self, parts: &[&str], time: Duration) -> Option<String> {
        let fits = |line: &String| parts.iter().all(|part| line.contains(part));
        let end = Instant::now() + time;
        loop {
            if let Some(at) = self.heard.iter().position(fits) {
                return Some(self.heard.remove(at));
            }
            self.heard.push(self.said.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?);
        }
    }

    fn neighbor(&self, name: &str) -> Value {
        let run = Run::of(
            tool::peerage(&["show", "neighbor", name, "-o", "json"]).arg("--socket").arg(&self.socket),
        );
        assert_eq!(run.code, 0, "{run}");
        run.json()[name].clone()
    }

    /// Waits for a route.
    fn has(&self, prefix: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut command = tool::peerage(&["show", "route", prefix, "-o", "json"]);
            let run = Run::of(command.arg("--socket").arg(&self.socket));
            if run.code == 0 && run.json()["paths"][0]["bestpath"] == true {
                return;
            }
            assert!(Instant::now() < end, "{run}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn reload(&self, config: &str) {
        fs::write(&self.file, config).unwrap();
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    fn stop(&mut self) {
        self.signal("-TERM");
        self.hears(&["ended"]);
        assert_eq!(tool::wait(&mut self.child, PATIENCE), 0);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if thread::panicking() {
            self.heard.extend(self.said.try_iter());
            println!("{}:\n{}", self.file.display(), self.heard.join("\n"));
        }
    }
}

/// A router with one neighbour, on an interface.
fn config(own: u8, interface: &str, more: &str) -> String {
    format!(
        "as = {}\nrouter-id = \"10.0.0.{own}\"\nlisten = [\"[::]:179\"]\noriginate = [\"10.{own}.0.0/16\"]\n\
         [neighbor.{interface}]\nas = \"external\"\nimport = \"accept\"\nexport = \"accept\"\n{more}\n\
         timers = {{ hold = 9, connect-retry = 1, idle-hold = 1 }}\n",
        65000 + u32::from(own),
    )
}

#[test]
fn two_routers_on_a_link_find_each_other() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    // Either may be the one that connects.
    for (runtimes, passive) in [(["tokio", "smol"], ["", "passive = true"]), (["smol", "tokio"], ["", ""])] {
        let mut a = Router::start(&pair.a, folder.path(), "a", &config(1, "net0", passive[0]), runtimes[0]);
        let mut b = Router::start(&pair.b, folder.path(), "b", &config(2, "net0", passive[1]), runtimes[1]);
        a.hears(&[&format!("net0: {} is on the link", pair.b.link_local("net0"))]);
        b.hears(&[&format!("net0: {} is on the link", pair.a.link_local("net0"))]);
        a.hears(&["neighbor net0: up, AS 65002"]);
        b.hears(&["neighbor net0: up, AS 65001"]);
        // It says that it goes, and the other knows nobody then.
        a.stop();
        b.hears(&["net0: nobody is known on the link any more"]);
        b.stop();
    }
}

#[test]
fn links_come_go_and_change() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    pair.a.ip("link delete net0");
    let mut a = Router::start(&pair.a, folder.path(), "a", &config(1, "net0", ""), "tokio");
    let mut b = Router::start(&pair.b, folder.path(), "b", &config(2, "net0", ""), "smol");
    a.hears(&["warn", "there is no interface net0 in this network namespace"]);

    // It appears.
    pair.link();
    a.hears(&["is on the link"]);
    a.hears(&["neighbor net0: up"]);
    b.hears(&["neighbor net0: up"]);

    // The carrier is lost, and comes back: the session ends by its hold time.
    pair.b.ip("link set net0 down");
    a.hears(&["net0: nobody is known on the link any more"]);
    a.hears(&["neighbor net0: down"]);
    a.hears(&["warn", "net0 is down or has no carrier"]);
    pair.b.ip("link set net0 up");
    a.hears(&["is on the link"]);
    a.hears(&["neighbor net0: up"]);

    // The other end becomes another one: a new address, and the old one is no longer there.
    pair.b.ip("link set net0 down");
    pair.b.ip("link set net0 address 02:00:00:00:00:77");
    pair.b.ip("link set net0 up");
    a.hears(&["net0: fe80::ff:fe00:77 is on the link"]);
    a.hears(&["neighbor net0: up"]);

    // It takes another name, and the configuration follows.
    pair.a.ip("link set net0 down");
    pair.a.ip("link set net0 name uplink");
    pair.a.ip("link set uplink up");
    a.hears(&["warn", "there is no interface net0"]);
    a.reload(&config(1, "uplink", ""));
    a.hears(&["neighbor uplink: fe80::ff:fe00:77 is on the link"]);
    a.hears(&["neighbor uplink: up"]);
    a.stop();
    b.stop();
}

#[test]
fn what_was_forwarded_is_nobody_on_the_link() {
    if !is_root() {
        return left_out("a thread enters another namespace only as root");
    }
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut a = Router::start(&pair.a, folder.path(), "a", &config(1, "net0", "passive = true"), "tokio");
    let honest = pair.b.link_local("net0");
    pair.b.ip("address add fe80::bad/64 dev net0 nodad");
    pair.a.link_local("net0");
    let send = |from: &str, hops: u32| pair.b.within(|| advertise("net0", from.parse().unwrap(), hops));
    // What is sent first arrives first, and would be said first. The first may come before anybody listens.
    let end = Instant::now() + PATIENCE;
    let line = loop {
        send("fe80::bad", 64);
        send("fe80::bad", 254);
        send(&honest, 255);
        if let Some(line) = a.hears_within(&["is on the link"], Duration::from_millis(500)) {
            break line;
        }
        assert!(Instant::now() < end, "nobody is found");
    };
    assert!(line.contains(&honest), "{line}");
    a.stop();
}

#[test]
fn without_the_capability_it_says_what_is_missing_and_waits() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = pair.a.command("setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw", "--"]);
    command.arg(env!("CARGO_BIN_EXE_peerage"));
    let mut a = Router::spawn(command, folder.path(), "a", &config(1, "net0", ""), "tokio");
    a.hears(&["warn", "neighbor net0: ", "needs CAP_NET_RAW: add the capability"]);
    // Whoever knows where it is may connect.
    let found = pair.a.link_local("net0");
    let mut b = Router::start(&pair.b, folder.path(), "b", &config(2, "net0", ""), "smol");
    assert_eq!(a.neighbor("net0")["bgpState"], "Active", "{found}");
    b.stop();
    a.stop();
}

#[test]
fn a_key_keeps_others_out_and_changes_under_a_session() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    // KEEPALIVEs every second, so that there is something to drop.
    let with =
        |own: u8, more: &str| config(own, "net0", more).replace("hold = 9", "hold = 60, keepalive = 1");
    let key = |own: u8, key: &str| with(own, &format!("password = \"{key}\""));
    let mut a = Router::start(&pair.a, folder.path(), "a", &key(1, "hush-hush"), "tokio");
    let mut b = Router::start(&pair.b, folder.path(), "b", &with(2, ""), "smol");
    pair.a.drops(&["TCPMD5NotFound"]);
    assert_eq!(a.neighbor("net0")["connectionsEstablished"], 0);
    b.reload(&key(2, "psst-psst"));
    pair.a.drops(&["TCPMD5Failure"]);
    assert_eq!(a.neighbor("net0")["connectionsEstablished"], 0);
    b.reload(&key(2, "hush-hush"));
    a.hears(&["neighbor net0: up"]);
    b.hears(&["neighbor net0: up"]);

    // Another key at one end, then at the other: the session waits for that, and goes on.
    a.reload(&key(1, "psst-psst"));
    a.hears(&["password changed; cost: none"]);
    pair.a.drops(&["TCPMD5Failure"]);
    b.reload(&key(2, "psst-psst"));
    b.hears(&["password changed; cost: none"]);
    let received =
        |router: &Router| router.neighbor("net0")["messageStats"]["keepalivesRecv"].as_u64().unwrap();
    for router in [&a, &b] {
        let (before, end) = (received(router), Instant::now() + PATIENCE);
        while received(router) < before + 3 {
            assert!(Instant::now() < end, "nothing arrives: {:#}", router.neighbor("net0"));
            thread::sleep(Duration::from_millis(50));
        }
        let neighbor = router.neighbor("net0");
        assert_eq!(neighbor["connectionsEstablished"], 1, "{neighbor:#}");
        assert_eq!(neighbor["connectionsDropped"], 0, "{neighbor:#}");
        assert!(!neighbor.to_string().contains("psst"), "{neighbor:#}");
    }
    a.stop();
    b.stop();
    for router in [&a, &b] {
        let said = router.heard.join("\n");
        assert!(!said.contains("hush") && !said.contains("psst"), "{said}");
    }
}

#[test]
fn a_ttl_is_checked_and_changes_under_a_session() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let with =
        |own: u8, more: &str| config(own, "net0", more).replace("hold = 9", "hold = 60, keepalive = 1");
    let mut a = Router::start(&pair.a, folder.path(), "a", &with(1, "ttl-security = 1"), "smol");
    let mut b = Router::start(&pair.b, folder.path(), "b", &with(2, ""), "tokio");
    pair.a.drops(&["TCPMinTTLDrop"]);
    assert_eq!(a.neighbor("net0")["connectionsEstablished"], 0);
    b.reload(&with(2, "ttl-security = 1"));
    a.hears(&["neighbor net0: up"]);
    b.hears(&["neighbor net0: up"]);
    // Without it at one end the other drops what comes, and no longer when it is back.
    b.reload(&with(2, ""));
    b.hears(&["cost: none"]);
    pair.a.drops(&["TCPMinTTLDrop"]);
    b.reload(&with(2, "ttl-security = 1").replace("10.2.0.0/16", "10.22.0.0/16"));
    a.has("10.22.0.0/16");
    assert_eq!(a.neighbor("net0")["connectionsEstablished"], 1);
    a.stop();
    b.stop();
}

#[test]
fn a_range_has_one_key_for_all() {
    let Some(pair) = Pair::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    pair.a.ip("address add 10.9.0.1/24 dev net0");
    pair.b.ip("address add 10.9.0.2/24 dev net0");
    pair.b.ip("address add 10.9.0.3/24 dev net0");
    let with = |own: u8, neighbor: &str, more: &str| {
        config(own, &format!("\"{neighbor}\""), more).replace("[::]", "0.0.0.0")
    };
    let guarded = "ttl-security = 1\npassword = \"hush-hush\"";
    let mut a = Router::start(&pair.a, folder.path(), "a", &with(1, "10.9.0.0/24", guarded), "tokio");
    // The wrong key, and then one after the other with the right one.
    let wrong = guarded.replace("hush", "psst");
    let b = Router::start(&pair.b, folder.path(), "b", &with(2, "10.9.0.1", &wrong), "smol");
    pair.a.drops(&["TCPMD5Failure"]);
    for address in ["10.9.0.2", "10.9.0.3"] {
        b.reload(&with(2, "10.9.0.1", &format!("{guarded}\nlocal-address = \"{address}\"")));
        a.hears(&[&format!("neighbor {address}: up, AS 65002")]);
    }
    a.stop();
}
