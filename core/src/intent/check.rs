//! What is wrong with a [`Desired`]: every fault, not the first.

use alloc::{format, string::String, vec::Vec};
use core::{net::IpAddr, time::Duration};

use super::{Desired, Fault, Faults, Neighbor};
use crate::{
    facts::{NeighborKey, PeerAs},
    wire::{Asn, Family},
};

/// A timer that is due again at once would keep the speaker busy for ever.
const SHORTEST: Duration = Duration::from_millis(1);
/// What Cilium's schema allows at most, in seconds.
const LONGEST: Duration = Duration::from_secs(0x7FFF_FFFF);
/// The restart time has 12 bits (RFC 4724 §3).
const LONGEST_RESTART: Duration = Duration::from_secs(4095);

/// Collects faults under a path.
struct Collector {
    faults: Vec<Fault>,
}

impl Collector {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.faults.push(Fault { path: path.into(), message: message.into() });
    }
}

impl Desired {
    /// Every fault of this value.
    pub fn check(&self) -> Result<(), Faults> {
        let mut collector = Collector { faults: Vec::new() };
        if self.asn == Asn::ZERO {
            collector.add("asn", "0 is reserved (RFC 7607); expected 1 to 4294967295");
        }
        if self.router_id.0 == 0 {
            collector.add("router_id", "0.0.0.0 identifies nobody (RFC 6286); expected another IPv4 address");
        }
        if self.hostname.as_ref().is_some_and(|name| name.len() > 64) {
            collector.add("hostname", "the FQDN capability has room for 64 octets");
        }
        if self.limits.events == 0 {
            collector.add("limits.events", "expected at least 1");
        }
        for prefix in self.originate.keys().filter(|prefix| **prefix != prefix.trunc()) {
            let message = format!("has bits beyond its length; expected {}", prefix.trunc());
            collector.add(format!("originate[{prefix}]"), message);
        }
        for (key, neighbor) in &self.neighbors {
            let path = format!("neighbors[{key}]");
            check_key(key, neighbor, &path, &mut collector);
            check_neighbor(neighbor, &path, &mut collector);
        }
        if collector.faults.is_empty() { Ok(()) } else { Err(Faults(collector.faults)) }
    }
}

fn check_key(key: &NeighborKey, neighbor: &Neighbor, path: &str, collector: &mut Collector) {
    match key {
        NeighborKey::Address(address) => {
            if address.is_unspecified() || address.is_multicast() {
                collector.add(path, format!("{address} is nobody's address; expected a unicast address"));
            }
            if neighbor.local_address.is_some_and(|local| local.is_ipv4() != address.is_ipv4()) {
                collector.add(
                    format!("{path}.local_address"),
                    format!("expected an address of the same family as {address}"),
                );
            }
        }
        NeighborKey::Interface(name) => {
            if name.is_empty() {
                collector.add(path, "an interface has a name");
            }
            if matches!(neighbor.local_address, Some(IpAddr::V4(_))) {
                collector.add(
                    format!("{path}.local_address"),
                    "the session of an interface is over IPv6 link-local addresses; leave it out",
                );
            }
        }
        NeighborKey::Range(_) => {}
    }
}

fn check_neighbor(neighbor: &Neighbor, path: &str, collector: &mut Collector) {
    if neighbor.asn == PeerAs::Number(Asn::ZERO) {
        collector.add(format!("{path}.asn"), "0 is reserved (RFC 7607); expected 1 to 4294967295");
    }
    if neighbor.port == 0 {
        collector.add(format!("{path}.port"), "expected 1 to 65535");
    }
    if neighbor.families.is_empty() {
        collector.add(format!("{path}.families"), "expected at least one family");
    }
    for family in &neighbor.default_originate {
        if !matches!(*family, Family::IPV4_UNICAST | Family::IPV6_UNICAST) {
            collector.add(
                format!("{path}.default_originate"),
                format!("{family} has no default route; expected ipv4-unicast or ipv6-unicast"),
            );
        }
    }
    let timers = &neighbor.timers;
    let hold = timers.hold.as_secs();
    if timers.hold.subsec_nanos() != 0 || matches!(hold, 1 | 2) || hold > 65535 {
        collector.add(
            format!("{path}.timers.hold"),
            format!(
                "{:?} is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds",
                timers.hold
            ),
        );
    } else if hold > 0 && (timers.keepalive.is_zero() || timers.keepalive > timers.hold) {
        collector.add(
            format!("{path}.timers.keepalive"),
            format!("{:?} does not keep a session alive whose hold time is {hold} s", timers.keepalive),
        );
    }
    let bounded = [
        ("keepalive", Some(timers.keepalive).filter(|it| hold > 0 && !it.is_zero())),
        ("connect_retry", Some(timers.connect_retry)),
        ("idle_hold", Some(timers.idle_hold)),
        ("open", Some(timers.open)),
        ("send_hold", timers.send_hold),
    ];
    for (name, value) in bounded {
        if value.is_some_and(|value| !(SHORTEST..=LONGEST).contains(&value)) {
            collector.add(format!("{path}.timers.{name}"), "expected 1 ms to 2147483647 s");
        }
    }
    if let Some(restart) = &neighbor.graceful_restart
        && (restart.restart_time.subsec_nanos() != 0 || restart.restart_time > LONGEST_RESTART)
    {
        collector.add(
            format!("{path}.graceful_restart.restart_time"),
            format!(
                "{:?} does not fit its 12 bits (RFC 4724 §3); expected 0 to 4095 whole seconds",
                restart.restart_time
            ),
        );
    }
    if neighbor.prefix_limit == Some(0) {
        collector.add(format!("{path}.prefix_limit"), "expected at least 1, or none for the default");
    }
}
