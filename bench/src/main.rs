//! What the table costs in process: bytes in, bytes out, no sockets.
//!
//! `cargo run --release -p peerage-bench -- [table|peers|fanout|withdraw] [PREFIXES]`
//!
//! The table is synthetic: prefix lengths in the internet's proportions, 5.5 prefixes to an attribute set,
//! AS paths of 3 to 6 hops. Times are CPU time of the one thread; memory is what the process holds.

mod feed;

use std::{hint::black_box, time::Duration};

use peerage_core::{
    Speaker,
    policy::Policy,
    speaker::{Action, ConnId, Desired, Neighbor, NeighborKey, PeerAs},
    time::Instant,
    wire::{Asn, Capability, Family, KEEPALIVE, Open, RouterId},
};

const NOW: Instant = Instant::ZERO;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let workload = arguments.next().unwrap_or_else(|| "table".into());
    let prefixes = arguments.next().map_or(1_000_000, |text| {
        text.parse().unwrap_or_else(|_| {
            eprintln!("{text} is no number of prefixes");
            std::process::exit(2);
        })
    });
    match workload.as_str() {
        "table" => table(prefixes, 1, 1),
        "peers" => table(prefixes / 10, 10, 10),
        "fanout" => table(prefixes / 10, 1, 50),
        "withdraw" => withdraw(prefixes),
        _ => {
            eprintln!("workloads: table, peers, fanout, withdraw");
            std::process::exit(2);
        }
    }
}

/// A speaker with established sessions that bytes are fed to by hand.
struct Bench {
    speaker: Speaker,
    senders: Vec<ConnId>,
    receivers: Vec<ConnId>,
}

impl Bench {
    fn new(senders: u8, receivers: u8) -> Self {
        let mut desired = Desired::new(Asn(65000), RouterId(1));
        let mut peers = Vec::new();
        for (net, base, count) in [(1, 64600, senders), (2, 64800, receivers)] {
            for index in 0..count {
                let address = std::net::IpAddr::from([192, 0, net, index + 1]);
                let asn = Asn(base + u32::from(index));
                let mut neighbor = Neighbor::new(PeerAs::Number(asn));
                neighbor.passive = true;
                neighbor.import = Some(Policy::accept());
                neighbor.export = Some(Policy::accept());
                desired.neighbors.insert(NeighborKey::Address(address), neighbor);
                peers.push((address, asn, net == 1));
            }
        }
        let mut speaker = Speaker::new([7; 32], NOW);
        speaker.reconcile(NOW, &desired).expect("a good configuration");
        speaker.release(NOW);
        let mut bench = Self { speaker, senders: Vec::new(), receivers: Vec::new() };
        for (address, asn, sends) in peers {
            let local = ([192, 0, 2, 254], 179).into();
            let conn = bench.speaker.handle_accepted(NOW, (address, 40000).into(), local, None);
            let mut hello = Vec::new();
            Open {
                my_as: asn.as_u16_or_trans(),
                hold_time: 0,
                router_id: RouterId(asn.0),
                capabilities: vec![
                    Capability::Multiprotocol(Family::IPV4_UNICAST),
                    Capability::FourOctetAs(asn),
                ],
            }
            .encode(&mut hello);
            hello.extend_from_slice(&KEEPALIVE);
            bench.speaker.handle_bytes(NOW, conn, &hello);
            if sends { bench.senders.push(conn) } else { bench.receivers.push(conn) }
        }
        bench.drain();
        bench
    }

    /// Takes everything that is to be sent; octets.
    fn drain(&mut self) -> usize {
        let mut octets = 0;
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Writable(conn) = action {
                while let Some(bytes) = self.speaker.poll_transmit(NOW, conn, 65536) {
                    octets += black_box(bytes).len();
                }
            }
        }
        while self.speaker.poll_event().is_some() {}
        octets
    }
}

fn table(prefixes: usize, senders: u8, receivers: u8) {
    let feeds: Vec<Vec<u8>> =
        (0..senders).map(|index| feed::table(prefixes, u32::from(index), 64600 + u32::from(index))).collect();
    let mut bench = Bench::new(senders, receivers);
    let base = resident();
    let start = cpu();
    let mut sent = 0;
    // Senders take turns, a buffer each, as a runtime reads them.
    let mut at = vec![0; feeds.len()];
    let mut reading = Duration::ZERO;
    while feeds.iter().zip(&at).any(|(feed, at)| *at < feed.len()) {
        let read = cpu();
        for (index, feed) in feeds.iter().enumerate() {
            let end = (at[index] + 65536).min(feed.len());
            bench.speaker.handle_bytes(NOW, bench.senders[index], &feed[at[index]..end]);
            at[index] = end;
        }
        reading += cpu() - read;
        sent += bench.drain();
    }
    let all = cpu() - start;
    let sizes = bench.speaker.rib().sizes();
    let routes = bench.speaker.rib().len(Family::IPV4_UNICAST);
    println!(
        "{senders} x {prefixes} prefixes to {receivers}: {:.1} ms in all; handle_bytes {:.1} ms ({:.0} ns a route), poll_transmit {:.1} ms; {routes} routes, {} attribute sets, {:.1} MiB sent",
        all.as_secs_f64() * 1e3,
        reading.as_secs_f64() * 1e3,
        reading.as_nanos() as f64 / (prefixes * usize::from(senders)) as f64,
        (all - reading).as_secs_f64() * 1e3,
        sizes.attribute_sets,
        sent as f64 / 1048576.0,
    );
    println!(
        "memory: {:.1} MiB more than before, peak {:.1} MiB: {:.0} octets a path",
        (resident() - base) as f64 / 1048576.0,
        peak() as f64 / 1048576.0,
        (resident() - base) as f64 / (prefixes * usize::from(senders)) as f64,
    );
}

fn withdraw(prefixes: usize) {
    let feed = feed::table(prefixes, 0, 64600);
    let gone = feed::withdraw(prefixes);
    let mut bench = Bench::new(1, 1);
    let sender = bench.senders[0];
    for chunk in feed.chunks(65536) {
        bench.speaker.handle_bytes(NOW, sender, chunk);
    }
    bench.drain();
    let start = cpu();
    for chunk in gone.chunks(65536) {
        bench.speaker.handle_bytes(NOW, sender, chunk);
        bench.drain();
    }
    println!(
        "withdraw {prefixes}: {:.1} ms; left: {:?}",
        (cpu() - start).as_secs_f64() * 1e3,
        bench.speaker.rib().sizes()
    );
}

/// CPU time of this process (Linux): what other processes use does not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0))
}

fn status(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn resident() -> usize {
    status("VmRSS:")
}

fn peak() -> usize {
    status("VmHWM:")
}
