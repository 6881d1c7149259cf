//! Two daemons on loopback: a route each way, and the withdrawal when one of them is killed.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Daemon {
    child: Child,
    lines: Receiver<String>,
}

impl Daemon {
    fn start(line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_peerage-embed"))
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the daemon starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// The first line from here on that starts with `start`.
    fn expect(&self, start: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.starts_with(start) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line `{start}`: {error}; there were {seen:#?}"),
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

#[test]
fn routes_arrive_on_both_sides_and_leave_with_their_speaker() {
    let listening = Daemon::start(
        "--asn 65002 --router-id 192.0.2.2 --listen 127.0.0.1:0 --passive --peer 127.0.0.1 --peer-as 65001 \
         --announce 198.51.100.0/24",
    );
    let address = listening.expect("listening on ").split_off("listening on ".len());
    let dial = |prefix: &str| {
        Daemon::start(&format!(
            "--asn 65001 --router-id 192.0.2.1 --peer {address} --peer-as 65002 --announce {prefix}"
        ))
    };
    let dialling = dial("203.0.113.0/24");
    assert_eq!(listening.expect("session up"), "session up: 127.0.0.1, AS 65001, router id 192.0.2.1");
    assert_eq!(dialling.expect("+"), "+ 198.51.100.0/24 via 127.0.0.1, AS path 65002");
    assert_eq!(listening.expect("+"), "+ 203.0.113.0/24 via 127.0.0.1, AS path 65001");

    drop(dialling);
    listening.expect("session down: 127.0.0.1: ");
    assert_eq!(listening.expect("-"), "- 203.0.113.0/24");

    // And it comes back, with something else to say.
    let dialling = dial("192.0.2.128/25");
    assert_eq!(listening.expect("+"), "+ 192.0.2.128/25 via 127.0.0.1, AS path 65001");
    // Both have to have heard before one goes: what was never learned is never withdrawn.
    assert_eq!(dialling.expect("+"), "+ 198.51.100.0/24 via 127.0.0.1, AS path 65002");
    drop(listening);
    assert_eq!(dialling.expect("-"), "- 198.51.100.0/24");
}

#[test]
fn a_wrong_peer_as_is_said_on_both_sides() {
    let listening = Daemon::start(
        "--asn 65002 --router-id 192.0.2.2 --listen 127.0.0.1:0 --passive --peer 127.0.0.1 --peer-as 65009",
    );
    let address = listening.expect("listening on ").split_off("listening on ".len());
    let dialling =
        Daemon::start(&format!("--asn 65001 --router-id 192.0.2.1 --peer {address} --peer-as 65002"));
    for (daemon, verb) in [(&listening, "sent"), (&dialling, "received")] {
        let line = daemon.expect("no session");
        assert!(
            line.contains(&format!("{verb} NOTIFICATION 2/2 (OPEN Message Error/Bad Peer AS)")),
            "{line}"
        );
    }
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let peer = "--peer 127.0.0.1 --peer-as 65002 --asn 65001";
    for (line, code, part) in [
        (format!("--router-id 192.0.2.1 {peer} --listen {address}"), 1, "cannot listen"),
        (format!("--router-id 0.0.0.0 {peer}"), 1, "router_id"),
        (peer.to_owned(), 2, "--router-id is missing"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_peerage-embed"))
            .args(line.split_whitespace())
            .output()
            .expect("the daemon starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {error}");
        assert!(error.starts_with("error: ") && error.contains(part), "{line}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
