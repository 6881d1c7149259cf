//! Connections that nobody wants: strangers, too many of them, and more than there are descriptors.

use std::{
    env,
    fs::File,
    io::{Read, Seek},
    process::Command,
    time::{Duration, Instant},
};

use peerage_core::speaker::Event;

use crate::{
    Adapter,
    bed::{Node, PATIENCE, link, wait},
    raw::{Message, RawPeer},
};

/// Set in the process that runs out of descriptors.
const CHILD: &str = "PEERAGE_CONFORMANCE_DESCRIPTORS";

/// A source that is no neighbour's gets Cease 6/5.
pub fn an_unconfigured_source_is_refused<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    let mut stranger = RawPeer::connect(102, node.address());
    stranger.expect_end(6, 5);
    let from = node.wait_event("Refused", |event| match event {
        Event::Refused { remote } => Some(*remote),
        _ => None,
    });
    assert_eq!(from, stranger.local());
    // The neighbour is still welcome.
    let mut peer = RawPeer::connect(101, node.address());
    peer.handshake(90);
    node.wait_up(101);
    node.stop();
}

/// Hundreds of strangers that never close: each is let go, and a neighbour gets through meanwhile.
pub fn accepting_survives_a_flood<A: Adapter>() {
    let adapter = A::start();
    let (mut a, mut b) = (Node::start(&adapter, 1), Node::start(&adapter, 2));
    link(&mut b, &mut a);
    a.reconcile();
    let mut strangers: Vec<_> = (0..300).map(|_| RawPeer::connect(102, a.address())).collect();
    let start = Instant::now();
    b.reconcile();
    b.wait_up(1);
    assert!(start.elapsed() < Duration::from_secs(4), "it took {:?}", start.elapsed());

    let mut told = 0;
    for stranger in &mut strangers {
        match stranger.next() {
            Message::Notification(refusal) => {
                assert_eq!((refusal.code, refusal.subcode), (6, 5));
                told += 1;
            }
            Message::End | Message::Reset => {}
            other => panic!("a stranger was sent {other:?}"),
        }
    }
    assert!(told > 0, "nobody was told why");
    assert_eq!(a.status(2).dropped, 0);
    drop(strangers);
    a.stop();
    b.stop();
}

/// Without descriptors nothing can be accepted; when there are some again, accepting goes on. It takes a
/// process of its own, for its limit.
pub fn accepting_survives_a_lack_of_descriptors<A: Adapter>() {
    if env::var_os(CHILD).is_some() {
        return without_descriptors::<A>();
    }
    let program = env::current_exe().expect("the test has a program");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 96 && exec \"$0\" accepting_survives_a_lack_of_descriptors"])
        .arg(program)
        .env(CHILD, "1")
        .output()
        .expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn without_descriptors<A: Adapter>() {
    let adapter = A::start();
    let mut node = Node::start(&adapter, 1);
    node.raw_neighbor(101, |_| {});
    node.reconcile();
    // Once, so that everything that is opened on first use is open.
    let mut first = RawPeer::connect(102, node.address());
    first.expect_end(6, 5);
    drop(first);

    let mut time = ProcessorTime::open();
    let mut hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).take(1000).collect();
    assert!(hoard.len() < 96, "the limit is not there");
    hoard.pop();
    let mut peer = RawPeer::connect(101, node.address());
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The connection waits in the backlog. Accepting fails again and again, which must cost little.
    let (before, start) = (time.ticks(), Instant::now());
    wait("accepting to have been tried for a while", || {
        (start.elapsed() > Duration::from_millis(300)).then_some(())
    });
    let used = time.ticks() - before;
    assert!(used < 5, "{used} ticks of 10 ms in 300 ms: accepting burns the processor");
    drop(hoard);
    let start = Instant::now();
    peer.handshake(90);
    node.wait_up(101);
    assert!(start.elapsed() < PATIENCE / 10, "it took {:?}", start.elapsed());
    node.stop();
}

/// The processor time of this process, from a file that is opened while there are descriptors.
struct ProcessorTime(File);

impl ProcessorTime {
    fn open() -> Self {
        Self(File::open("/proc/self/stat").expect("Linux has it"))
    }

    /// Ticks of 10 ms used so far.
    fn ticks(&mut self) -> u64 {
        let mut text = String::new();
        self.0.rewind().and_then(|()| self.0.read_to_string(&mut text)).expect("it can be read again");
        let fields = text.rsplit(')').next().unwrap_or_default();
        let times = fields.split_whitespace().skip(11).take(2);
        times.map(|field| field.parse::<u64>().expect("utime and stime are numbers")).sum()
    }
}
