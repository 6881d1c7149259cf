//! Running the binary, with an end to every wait.
#![allow(dead_code, unreachable_pub)]

use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU16, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use peerage_lab_input::Inputs;
use serde_json::Value;

/// Longer than any run of a test takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than anything takes that is waited for in a running program.
const HEARING: Duration = Duration::from_secs(30);

/// Where the ports of tests are: below those that the system gives to who asks for any (from 32768 on), so
/// that no connection of anybody takes one between here and its use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that is free on every address, and is given to nobody else in this process.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let many = u32::from(PORTS.end - PORTS.start);
    // Another process starts elsewhere: two numbers that follow each other are far apart.
    let first = std::process::id().wrapping_mul(97) % many;
    for _ in 0..many {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from((first + next) % many).unwrap();
        // One after the other: the second is for both families.
        let is_taken = |address: IpAddr| match TcpListener::bind((address, port)) {
            Ok(_) => false,
            // Without IPv6 nothing is taken there.
            Err(error) => error.kind() == io::ErrorKind::AddrInUse,
        };
        if !is_taken(Ipv4Addr::UNSPECIFIED.into()) && !is_taken(Ipv6Addr::UNSPECIFIED.into()) {
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// The binary with arguments.
pub fn peerage(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerage"));
    command.args(arguments).stdin(Stdio::null()).env_remove("PEERAGE_SOCKET");
    command
}

/// `peerage lab` on these files.
pub fn lab(inputs: &Inputs, more: &[&str]) -> Command {
    let mut command = peerage(&["lab"]);
    command.arg("--cluster").arg(&inputs.cluster).arg("--topology").arg(&inputs.topology);
    command.arg("--manifests").args(&inputs.manifests);
    if let Some(values) = &inputs.values {
        command.arg("--values").arg(values);
    }
    command.args(more);
    command
}

/// `peerage lab --once` on these files.
pub fn once(inputs: &Inputs, more: &[&str]) -> Run {
    Run::of(&mut lab(inputs, &[&["--once"], more].concat()))
}

/// A run that has ended.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = read(child.stdout.take().unwrap());
        let stderr = read(child.stderr.take().unwrap());
        let code = wait(&mut child, PATIENCE);
        let run = Self { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
        assert!(code >= 0, "it did not end by itself\n{run}");
        run
    }

    /// What it printed, which has to be one JSON document and nothing else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n-- stdout\n{}\n-- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A process and the lines of one of its streams; killed if the test fails.
pub struct Process {
    pub child: Child,
    said: mpsc::Receiver<String>,
    pub heard: Vec<String>,
}

impl Process {
    pub fn start(command: &mut Command, stderr: bool) -> Self {
        let (out, err) =
            if stderr { (Stdio::null(), Stdio::piped()) } else { (Stdio::piped(), Stdio::null()) };
        let mut child = command.stdout(out).stderr(err).spawn().unwrap();
        let (say, said) = mpsc::channel();
        fn lines(stream: impl Read + Send + 'static, say: mpsc::Sender<String>) {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            thread::spawn(move || lines.for_each(|line| _ = say.send(line)));
        }
        match (child.stdout.take(), child.stderr.take()) {
            (Some(stdout), _) => lines(stdout, say),
            (_, Some(stderr)) => lines(stderr, say),
            _ => {}
        }
        Self { child, said, heard: Vec::new() }
    }

    /// Waits for a line that is not heard yet and has all these parts.
    pub fn hears(&mut self, parts: &[&str]) -> String {
        let end = Instant::now() + HEARING;
        while let Ok(line) = self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.heard.push(line.clone());
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
        }
        panic!("{parts:?} was not said:\n{}", self.heard.join("\n"));
    }

    /// Two signals at once: it does not run in between.
    pub fn signal_twice(&self, one: &str, other: &str) {
        for name in ["-STOP", one, other, "-CONT"] {
            self.signal(name);
        }
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// All of a stream, in a thread, so that no pipe fills up.
pub fn read(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        _ = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The exit status; -1 where it had to be killed, or a signal ended it.
pub fn wait(child: &mut Child, limit: Duration) -> i32 {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or(-1);
        }
        thread::sleep(Duration::from_millis(20));
    }
    _ = child.kill();
    _ = child.wait();
    -1
}

/// Something in the folder that is shared by everyone who builds Peerage. It is not in the repository:
/// without it a test has nothing to do, but for CI, which has it.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("PEERAGE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is not there, and CI has to have it", found.display());
    // Not by eprintln!, which the test harness keeps to itself when a test passes.
    let line = format!("!!!! NOT TESTED: {} is not there; set PEERAGE_SHARED\n", found.display());
    _ = io::stderr().write_all(line.as_bytes());
    None
}
