//! A running lab, asked and changed from outside.

#[path = "../../lab-input/tests/support/mod.rs"]
mod support;
mod tool;

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{inputs, root};
use tool::Run;

/// A lab that stays up; killed if the test fails.
struct Up {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
    said: mpsc::Receiver<String>,
}

impl Up {
    fn start(runtime: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("run/lab.sock");
        let mut command = tool::lab(&inputs(&root().join("examples/lab")), &["--json", "--runtime", runtime]);
        let mut child = command
            .arg("--socket")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, said) = mpsc::channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| _ = say.send(line)));
        let up = Self { child, socket, _folder: folder, said };
        up.hears("the lab is up");
        up
    }

    /// Waits for a line on standard error.
    fn hears(&self, part: &str) {
        let mut heard = String::new();
        while let Ok(line) = self.said.recv_timeout(Duration::from_secs(60)) {
            if line.contains(part) {
                return;
            }
            heard += &(line + "\n");
        }
        panic!("{part} was not said:\n{heard}");
    }

    fn ask(&self, arguments: &[&str]) -> Run {
        let run = Run::of(tool::peerage(arguments).arg("--socket").arg(&self.socket));
        assert!(!run.stdout.contains("127.") && !run.stderr.contains("127."), "{run}");
        run
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let run = self.ask(&[arguments, &["-o", "json"]].concat());
        assert_eq!(run.code, 0, "{run}");
        run.json()
    }

    fn routes(&self) -> usize {
        self.json(&["show", "routes"])["routes"].as_object().unwrap().len()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The policy of rack 1 alone.
fn rack1(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("examples/lab/cilium-bgp-peering-policies.yaml")).unwrap();
    let document = text.split("\n---\n").find(|document| document.contains("name: rack1")).unwrap();
    let path = folder.join("rack1.yaml");
    std::fs::write(&path, document).unwrap();
    path
}

#[test]
fn a_policy_goes_and_comes_back() {
    for runtime in ["tokio", "smol"] {
        let mut up = Up::start(runtime);
        assert_eq!(up.routes(), 12);
        assert_eq!(std::fs::metadata(&up.socket).unwrap().permissions().mode() & 0o777, 0o600);

        let folder = tempfile::tempdir().unwrap();
        let policy = rack1(folder.path());
        let deleted = up.ask(&["delete", "-f", policy.to_str().unwrap()]);
        assert_eq!(deleted.code, 0, "{deleted}");
        assert!(deleted.stdout.contains("CiliumBGPPeeringPolicy/rack1 deleted"), "{deleted}");
        assert!(deleted.stdout.contains("router0: 10 routes"), "{deleted}");
        assert_eq!(up.routes(), 10);
        let neighbor = up.json(&["show", "neighbor", "10.0.3.2", "--node", "tor1"]);
        assert_ne!(neighbor["10.0.3.2"]["bgpState"], "Established");
        let tor1 = up.ask(&["show", "neighbor", "10.0.3.2", "--node", "tor1"]);
        assert!(tor1.stdout.contains("Last reset: received NOTIFICATION 6/3"), "{tor1}");
        assert_eq!(neighbor["10.0.3.2"]["lastReset"]["subcode"], 3);
        assert!(tor1.stdout.contains("Connections established 1; dropped 1"), "{tor1}");

        let gone = up.ask(&["show", "summary", "--node", "worker3"]);
        assert!(gone.code == 1 && gone.stderr.contains("worker3 runs no BGP instance"), "{gone}");

        let again = up.ask(&["delete", "-f", policy.to_str().unwrap()]);
        assert_eq!(again.code, 1, "{again}");
        assert!(again.stderr.contains("is not there"), "{again}");

        let applied = up.ask(&["apply", "-f", policy.to_str().unwrap()]);
        assert_eq!(applied.code, 0, "{applied}");
        assert_eq!(up.routes(), 12);
        let faults = up.json(&["show", "faults"]);
        assert_eq!(faults["node"], "bgp-cplane-demo");
        let pods = &faults["faults"][0];
        assert!(pods["severity"] == "notice" && pods["object"] == "Pod (v1)", "{faults}");

        stop(&mut up);
    }
}

/// Ctrl-C: Cease 6/2, exit 0, no socket file.
fn stop(up: &mut Up) {
    let pid = up.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    up.hears("NOTIFICATION 6/2");
    assert_eq!(tool::wait(&mut up.child, Duration::from_secs(20)), 0);
    assert!(!up.socket.exists());
}

#[test]
fn every_view_of_every_speaker() {
    let up = Up::start("tokio");
    let speakers = [
        "router0",
        "tor0",
        "tor1",
        "clab-bgp-cplane-demo-control-plane",
        "worker",
        "server2",
        "clab-bgp-cplane-demo-worker3/65011",
    ];
    for node in speakers {
        for what in ["summary", "routes", "neighbor"] {
            let text = up.ask(&["show", what, "--node", node]);
            assert!(text.code == 0 && !text.stdout.is_empty(), "{text}");
            assert!(up.json(&["show", what, "--node", node]).is_object());
        }
    }
    let route = up.json(&["show", "route", "10.1.2.0/24"]);
    assert_eq!(route["paths"][0]["path"], "65011");
    let longest = up.ask(&["show", "route", "10.1.2.7"]);
    assert!(longest.stdout.contains("10.1.2.0/24") && longest.stdout.contains("65011"), "{longest}");
    // What an agent told its peer about itself is what the article says.
    let agent = up.json(&["show", "neighbor", "--node", "worker"]);
    assert_eq!(agent["10.0.0.1"]["hostLocal"], "10.0.2.2");
    assert_eq!(agent["10.0.0.1"]["hostForeign"], "10.0.0.1");
    assert_eq!(agent["10.0.0.1"]["remoteRouterId"], "10.0.0.1");

    for (wrong, remedy) in [
        (&["show", "summary", "--node", "router9"][..], "there are router0"),
        (&["show", "neighbor", "net7"], "net0"),
        (&["show", "route", "192.0.2.0/24"], "no route"),
    ] {
        let run = up.ask(wrong);
        assert!(run.code == 1 && run.stderr.contains(remedy), "{run}");
    }
}

#[test]
fn a_bad_object_is_said_and_changes_nothing() {
    let up = Up::start("smol");
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.yaml");
    std::fs::write(
        &bad,
        "apiVersion: cilium.io/v2alpha1\nkind: CiliumBGPPeeringPolicy\nmetadata: {name: rack1}\nspec:\n  \
         virtualRouters:\n    - localASN: 65011\n      neighbors: [{peerAddress: nowhere, peerASN: 65011}]\n",
    )
    .unwrap();
    let run = up.ask(&["apply", "-f", bad.to_str().unwrap()]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("bad.yaml:") && run.stderr.contains("peerAddress"), "{run}");
    assert_eq!(up.routes(), 12);

    // A second lab on the same socket is told so, at once.
    let start = Instant::now();
    let second = Run::of(tool::peerage(&["lab"]).arg("--socket").arg(&up.socket));
    assert!(second.code == 1 && second.stderr.contains("already runs"), "{second}");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(up.routes(), 12);
}
