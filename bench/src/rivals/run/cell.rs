//! One run: one workload, one speaker, in namespaces of its own.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_interop::namespace;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{
    bgpload,
    daemon::{Daemon, Rival},
    figures::{Figures, Latency},
    usage::{Usage, machine_cpu},
};
use crate::{
    Common,
    load::{Endpoint, Expect, Net, Peer, Receiver, Role},
    table::{Random, Set, Table, View, announce, feed, withdraw},
    workload::{ASN, Kind, Neighbor, SENDER_AS, Workload},
};

/// When a phase is given up.
const LIMIT: Duration = Duration::from_secs(120);
/// A speaker is idle when in so long it uses less than a hundredth of it.
const QUIET: Duration = Duration::from_millis(300);
/// The same where no figures are wanted.
const SMOKE_QUIET: Duration = Duration::from_millis(100);

/// Runs one workload with one speaker. Called once, in namespaces made for it.
pub(crate) fn run(workload: &Workload, rival: Rival, common: &Common) -> Result<Figures> {
    prepare(workload)?;
    let folder = tempfile::Builder::new().prefix("rivals").tempdir_in("/run")?;
    let daemon = Daemon::start(rival, workload, &common.peerage, folder.path())?;
    // The speaker may run anywhere; so does the machine's last core, where the generator is.
    stay_on_last_core()?;
    if let Some(bgpload) = &common.validate {
        return bgpload::run(bgpload, workload, &daemon);
    }
    let quiet = if common.smoke { SMOKE_QUIET } else { QUIET };
    let mut cell = Cell { workload: *workload, net: net(workload)?, daemon, quiet };
    let result = cell.measure();
    result.map_err(|error| match cell.daemon.last_words() {
        words if words.is_empty() => error,
        words => error.context(format!("its last words: {words}")),
    })
}

/// An interface, addresses and a folder that the host does not see.
fn prepare(workload: &Workload) -> Result<()> {
    namespace::run("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])?;
    namespace::run("ip", ["link", "set", "lo", "up"])?;
    let mut addresses = Vec::new();
    for Neighbor { address, local, .. } in [workload.senders(), workload.receivers()].concat() {
        addresses.extend([address, local.ip()]);
    }
    addresses.sort_unstable();
    addresses.dedup();
    // IPv4 has all of 127.0.0.0/8.
    for address in addresses.into_iter().filter(IpAddr::is_ipv6) {
        namespace::run("ip", ["address", "add", &format!("{address}/128"), "dev", "lo"])?;
    }
    Ok(())
}

fn stay_on_last_core() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu)).context("a processor")?;
    let mut only = CpuSet::new();
    only.set(last);
    Ok(sched_setaffinity(None, &only)?)
}

fn net(workload: &Workload) -> Result<Net> {
    let table = Table::new(workload.version, workload.prefixes);
    let endpoint = |it: &Neighbor| Endpoint { asn: it.asn, local: it.address, remote: it.local };
    let senders = workload.senders();
    let mut peers: Vec<Peer> = senders.iter().map(|it| Peer::new(endpoint(it), Role::Sender)).collect();
    for it in &workload.receivers() {
        let receiver = Receiver::new(it.local.ip(), workload.prefixes);
        peers.push(Peer::new(endpoint(it), Role::Receiver(receiver)));
    }
    let expect = Expect::new(table, ASN, SENDER_AS, senders.len() as u32);
    Net::new(expect, peers)
}

/// What has been used when a phase starts.
struct Start {
    daemon: Usage,
    generator: Usage,
    machine: f64,
    updates: u64,
    prefixes: u64,
    at: Instant,
}

struct Cell {
    workload: Workload,
    net: Net,
    daemon: Daemon,
    quiet: Duration,
}

impl Cell {
    fn measure(&mut self) -> Result<Figures> {
        // Prepared before the clock runs.
        let feeds: Vec<Arc<[u8]>> = (0..self.workload.senders)
            .map(|sender| {
                let view = Self::view(sender, 0);
                feed(&self.net.expect.table, view, self.workload.next_hop(sender)).into()
            })
            .collect();
        self.establish()?;
        let start = self.start()?;
        for (index, feed) in feeds.into_iter().enumerate() {
            self.net.peers[index].feed(feed);
            self.net.write(index)?;
        }
        self.wait("every receiver to hold the table", |net| net.receivers().all(Receiver::is_complete))?;
        let figures = self.end(&start)?;
        if !self.net.receivers().all(Receiver::is_complete) {
            bail!("receivers held the whole table, and then no longer");
        }
        match self.workload.kind {
            Kind::Table => Ok(figures),
            Kind::Withdraw => self.withdraw(),
            Kind::Churn { rate, seconds } => self.churn(f64::from(rate), rate * seconds),
        }
    }

    fn view(sender: u8, generation: u32) -> View {
        let sender = u32::from(sender);
        View { sender, asn: SENDER_AS + sender, generation }
    }

    fn establish(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.net.peers.iter().all(Peer::is_established) {
            self.daemon.check()?;
            if Instant::now() > deadline {
                bail!("not every session is established");
            }
            self.net.poll(self.quiet)?;
        }
        self.idle().map(drop)
    }

    fn wait(&mut self, what: &str, holds: impl FnMut(&Net) -> bool) -> Result<()> {
        self.net.until(what, Instant::now() + LIMIT, holds)
    }

    /// Waits until the speaker has nothing to do.
    fn idle(&mut self) -> Result<Usage> {
        let deadline = Instant::now() + LIMIT;
        let mut before = Usage::of(self.daemon.pid())?;
        loop {
            let until = Instant::now() + self.quiet;
            while Instant::now() < until {
                self.net.poll(self.quiet)?;
            }
            self.daemon.check()?;
            let now = Usage::of(self.daemon.pid())?;
            if now.cpu - before.cpu < self.quiet.as_secs_f64() / 100.0 {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("the speaker is never idle");
            }
            before = now;
        }
    }

    fn heard(&self) -> (u64, u64) {
        self.net.receivers().fold((0, 0), |(updates, prefixes), it| {
            (updates + it.updates, prefixes + it.announced + it.withdrawn)
        })
    }

    fn start(&self) -> Result<Start> {
        let (updates, prefixes) = self.heard();
        Ok(Start {
            daemon: Usage::of(self.daemon.pid())?,
            generator: Usage::of(std::process::id())?,
            machine: machine_cpu(),
            updates,
            prefixes,
            at: Instant::now(),
        })
    }

    fn end(&mut self, start: &Start) -> Result<Figures> {
        let last = self.net.last_heard().context("nothing was heard")?;
        let daemon = self.idle()?;
        let cpu = daemon.cpu - start.daemon.cpu;
        let generator_cpu = Usage::of(std::process::id())?.cpu - start.generator.cpu;
        let (updates, prefixes) = self.heard();
        Ok(Figures {
            wall: (last - start.at).as_secs_f64(),
            cpu,
            peak_rss_kib: daemon.peak_rss_kib,
            generator_cpu,
            foreign_cpu: (machine_cpu() - start.machine - cpu - generator_cpu).max(0.0),
            updates: updates - start.updates,
            prefixes: prefixes - start.prefixes,
            latency: None,
        })
    }

    fn withdraw(&mut self) -> Result<Figures> {
        let octets = withdraw(&self.net.expect.table).into();
        let start = self.start()?;
        self.net.peers[0].feed(octets);
        self.net.write(0)?;
        self.wait("every receiver to hold nothing", |net| net.receivers().all(|it| it.count == 0))?;
        self.end(&start)
    }

    /// Open loop: what the speaker delays does not slow the sending down.
    fn churn(&mut self, rate: f64, count: u32) -> Result<Figures> {
        let count = count as usize;
        let mut numbers: Vec<u32> = (0..self.workload.prefixes as u32).collect();
        Random::new(7).shuffle(&mut numbers);
        numbers.truncate(count);
        let mut messages = Vec::with_capacity(count);
        for (&number, generation) in numbers.iter().zip(1..) {
            let expect = &mut self.net.expect;
            let set = Set::new(expect.table.group_of(number), Self::view(0, generation));
            let mut message = Vec::new();
            let prefix = expect.table.prefixes[number as usize];
            announce(&set, self.workload.next_hop(0), &[prefix], &mut message);
            messages.push(message);
            expect.change(number, &set.sent_on_by(ASN));
        }
        let wanted = count * usize::from(self.workload.receivers);
        let mut sent: Vec<Instant> = Vec::with_capacity(count);
        let mut latencies = Vec::with_capacity(wanted);
        let start = self.start()?;
        let deadline = start.at + LIMIT;
        while latencies.len() < wanted {
            if Instant::now() > deadline {
                bail!("{} of {wanted} changes arrived", latencies.len());
            }
            let due = ((start.at.elapsed().as_secs_f64() * rate) as usize).min(count);
            while sent.len() < due {
                sent.push(Instant::now());
                self.net.peers[0].send(&messages[sent.len() - 1]);
                self.net.write(0)?;
            }
            self.net.poll(Duration::from_millis(1))?;
            for receiver in self.net.receivers_mut() {
                for (change, at) in receiver.arrivals.drain(..) {
                    latencies.push((at - sent[change as usize]).as_secs_f64() * 1e3);
                }
            }
        }
        let mut figures = self.end(&start)?;
        // One that comes twice would hide one that does not come.
        if self.net.receivers().any(|it| !it.arrivals.is_empty()) || figures.prefixes != wanted as u64 {
            bail!("{} announcements for {wanted} changes", figures.prefixes);
        }
        latencies.sort_by(f64::total_cmp);
        let quantile = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
        figures.latency = Some(Latency { p50: quantile(0.5), p99: quantile(0.99) });
        Ok(figures)
    }
}
