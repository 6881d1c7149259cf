//! A receiver: what it holds, and whether what it is told is right.

use std::{fmt, net::IpAddr, time::Instant};

use ipnet::IpNet;
use peerage_core::wire::{
    Family, Update,
    attr::{code, split},
};

use super::{
    compare::{Difference, compare, second_as},
    expect::{Expect, Run, Which},
};
use crate::table::{Prefix, Version, read};

/// Why a speaker is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It cannot be read.
    Malformed(&'static str),
    /// A prefix that nobody announced; `None`: one that no table here could have.
    Extra(Option<IpNet>),
    /// The AS path does not say which sender it came from.
    Origin(IpNet),
    /// An attribute is not what it has to be.
    Attribute(IpNet, Difference),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "an UPDATE with malformed {what}"),
            Self::Extra(Some(prefix)) => write!(f, "{prefix}, which nobody announced"),
            Self::Extra(None) => f.write_str("a prefix that nobody announced"),
            Self::Origin(prefix) => write!(f, "{prefix}: the second AS of its path is no sender's"),
            Self::Attribute(prefix, difference) => write!(f, "{prefix}: {difference}"),
        }
    }
}

/// What a receiver holds.
pub(crate) struct Receiver {
    /// The speaker's address on this session.
    next_hop: IpAddr,
    /// By prefix: 0, or the sender whose path it is, from 1 on.
    held: Vec<u8>,
    /// Prefixes held.
    pub(crate) count: usize,
    /// Of them, those by the best path.
    pub(crate) best: usize,
    /// The prefix after the last one heard of is probably the next.
    guess: u32,
    /// When changes arrived.
    pub(crate) arrivals: Vec<(u32, Instant)>,
    pub(crate) updates: u64,
    pub(crate) announced: u64,
    pub(crate) withdrawn: u64,
    pub(crate) last_heard: Option<Instant>,
}

impl Receiver {
    pub(crate) fn new(next_hop: IpAddr, prefixes: usize) -> Self {
        Self {
            next_hop,
            held: vec![0; prefixes],
            count: 0,
            best: 0,
            guess: 0,
            arrivals: Vec::new(),
            updates: 0,
            announced: 0,
            withdrawn: 0,
            last_heard: None,
        }
    }

    /// Hears an UPDATE: every prefix and every attribute in it.
    pub(crate) fn update(&mut self, expect: &Expect, update: Update<'_>, now: Instant) -> Result<(), Fault> {
        self.updates += 1;
        let version = expect.table.version;
        let before = self.announced + self.withdrawn;
        if version == Version::V4 {
            self.withdraw(expect, update.withdrawn)?;
            if !update.nlri.is_empty() {
                self.announce(expect, update.attributes, update.nlri, now)?;
            }
        } else {
            if !update.nlri.is_empty() || !update.withdrawn.is_empty() {
                return Err(Fault::Extra(None));
            }
            let parts = split(update.attributes).map_err(|_| Fault::Malformed("attributes"))?;
            let others = parts.mp_reach.map(|it| it.family).into_iter();
            let mut others = others.chain(parts.mp_unreach.map(|it| it.family));
            if others.any(|family| family != Family::IPV6_UNICAST) {
                return Err(Fault::Extra(None));
            }
            if let Some(unreach) = parts.mp_unreach {
                self.withdraw(expect, unreach.withdrawn)?;
            }
            if let Some(reach) = parts.mp_reach {
                let IpAddr::V6(next_hop) = self.next_hop else {
                    return Err(Fault::Malformed("next hop"));
                };
                if reach.next_hop != next_hop.octets() {
                    let mut first = None;
                    let _ = read(version, reach.nlri, |prefix| first = first.or(prefix));
                    let first = first.ok_or(Fault::Malformed("MP_REACH_NLRI"))?;
                    let difference = Difference {
                        code: code::MP_REACH_NLRI,
                        expected: Some((0, next_hop.octets().to_vec())),
                        got: Some((0, reach.next_hop.to_vec())),
                    };
                    return Err(Fault::Attribute(first.net(version), difference));
                }
                self.announce(expect, &parts.rest, reach.nlri, now)?;
            }
        }
        if self.announced + self.withdrawn != before {
            self.last_heard = Some(now);
        }
        Ok(())
    }

    fn withdraw(&mut self, expect: &Expect, field: &[u8]) -> Result<(), Fault> {
        let mut fault = None;
        let mut run = Run::default();
        let fits = read(expect.table.version, field, |prefix| {
            let number = prefix.and_then(|prefix| expect.table.number(prefix, self.guess));
            let Some(number) = number else {
                fault.get_or_insert_with(|| Fault::Extra(prefix.map(|it| it.net(expect.table.version))));
                return;
            };
            self.guess = number + 1;
            self.withdrawn += 1;
            let slot = &mut self.held[number as usize];
            let held = std::mem::take(slot);
            if held != 0 {
                if !run.members.contains(&number) {
                    run = expect.run(number);
                }
                self.count -= 1;
                self.best -= usize::from(run.best + 1 == u32::from(held));
            }
        });
        match fault {
            Some(fault) => Err(fault),
            None if !fits => Err(Fault::Malformed("withdrawn routes")),
            None => Ok(()),
        }
    }

    fn announce(&mut self, expect: &Expect, block: &[u8], field: &[u8], now: Instant) -> Result<(), Fault> {
        // Whose path it is; that the first AS is right is found out by the comparison.
        let sender = second_as(block).unwrap_or(0).wrapping_sub(expect.sender_as);
        let mut run = Run::default();
        let mut fault = None;
        let fits = read(expect.table.version, field, |prefix| {
            let found = prefix.and_then(|prefix| Some((prefix, expect.table.number(prefix, self.guess)?)));
            let Some((prefix, number)) = found else {
                fault.get_or_insert_with(|| Fault::Extra(prefix.map(|it| it.net(expect.table.version))));
                return;
            };
            self.guess = number + 1;
            if !run.members.contains(&number) {
                run = expect.run(number);
                if let Err(why) = self.check(expect, run.which, sender, block, prefix) {
                    fault.get_or_insert(why);
                }
            }
            self.announced += 1;
            if let Which::Change(change) = run.which {
                self.arrivals.push((change, now));
            }
            self.hold(number, sender, run.best);
        });
        match fault {
            Some(fault) => Err(fault),
            None if !fits => Err(Fault::Malformed("NLRI")),
            None => Ok(()),
        }
    }

    #[inline]
    fn check(
        &self,
        expect: &Expect,
        which: Which,
        sender: u32,
        block: &[u8],
        prefix: Prefix,
    ) -> Result<(), Fault> {
        if sender >= expect.senders() {
            return Err(Fault::Origin(prefix.net(expect.table.version)));
        }
        compare(expect.block(which, sender), block, self.next_hop)
            .map_err(|difference| Fault::Attribute(prefix.net(expect.table.version), difference))
    }

    #[inline]
    fn hold(&mut self, number: u32, sender: u32, best: u32) {
        let slot = &mut self.held[number as usize];
        if *slot == 0 {
            self.count += 1;
        } else {
            self.best -= usize::from(best + 1 == u32::from(*slot));
        }
        self.best += usize::from(best == sender);
        *slot = sender as u8 + 1;
    }

    /// Whether it holds the whole table, each prefix by its best path.
    pub(crate) fn is_complete(&self) -> bool {
        self.best == self.held.len()
    }
}
