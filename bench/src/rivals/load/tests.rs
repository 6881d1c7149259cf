//! The checker finds what is wrong, and nothing else.

use std::{net::IpAddr, time::Instant};

use peerage_core::wire::{
    MAX_LEN, Update,
    attr::{self, RawAttributes, code, flag},
    frame,
};

use super::{Expect, Receiver, compare::Difference, receiver::Fault};
use crate::table::{Prefix, Set, Table, Version, View, announce, withdraw};

const ASN: u32 = 65000;
const SENDER_AS: u32 = 64600;
const COUNT: usize = 2000;

fn address(version: Version) -> IpAddr {
    match version {
        Version::V4 => [127, 0, 0, 1].into(),
        Version::V6 => [0xfd77, 0, 0, 0, 0, 0, 0, 1].into(),
    }
}

struct Bench {
    expect: Expect,
    receiver: Receiver,
    version: Version,
}

impl Bench {
    fn new(version: Version, senders: u32) -> Self {
        let expect = Expect::new(Table::new(version, COUNT), ASN, SENDER_AS, senders);
        Self { expect, receiver: Receiver::new(address(version), COUNT), version }
    }

    fn view(sender: u32) -> View {
        View { sender, asn: SENDER_AS + sender, generation: 0 }
    }

    fn hear(&mut self, mut stream: &[u8]) -> Result<(), Fault> {
        while let Some(message) = frame(stream, MAX_LEN).expect("messages") {
            let update = Update::split(message.body).expect("an update");
            self.receiver.update(&self.expect, update, Instant::now())?;
            stream = &stream[message.len..];
        }
        Ok(())
    }

    /// What a speaker that is right sends of one group.
    fn right(&self, group: u32, sender: u32) -> Set {
        Set::new(group, Self::view(sender)).sent_on_by(ASN)
    }

    fn members(&self, group: u32) -> Vec<Prefix> {
        let members = self.expect.table.members(group);
        self.expect.table.prefixes[members.start as usize..members.end as usize].to_vec()
    }

    fn tell(&mut self, group: u32, set: &Set) -> Result<(), Fault> {
        let mut out = Vec::new();
        announce(set, address(self.version), &self.members(group), &mut out);
        self.hear(&out)
    }

    /// A group whose set has what a test is about.
    fn group(&self, fits: impl Fn(&Set) -> bool) -> u32 {
        let mut groups = 0..self.expect.table.groups();
        groups.find(|&group| fits(&Set::new(group, Self::view(0)))).expect("such a group")
    }
}

fn code_of(result: Result<(), Fault>) -> u8 {
    match result {
        Err(Fault::Attribute(_, Difference { code, .. })) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_speaker_that_is_right_completes_the_table() {
    for version in [Version::V4, Version::V6] {
        let mut bench = Bench::new(version, 1);
        for group in 0..bench.expect.table.groups() {
            assert!(!bench.receiver.is_complete());
            bench.tell(group, &bench.right(group, 0)).expect("nothing is wrong");
        }
        assert!(bench.receiver.is_complete());
        assert_eq!(bench.receiver.announced, COUNT as u64);
        let gone = withdraw(&bench.expect.table);
        bench.hear(&gone).expect("nothing is wrong");
        assert_eq!((bench.receiver.count, bench.receiver.best), (0, 0));
    }
}

#[test]
fn one_prefix_too_few_is_not_the_table() {
    let mut bench = Bench::new(Version::V4, 1);
    for group in 1..bench.expect.table.groups() {
        bench.tell(group, &bench.right(group, 0)).expect("nothing is wrong");
    }
    // What is told twice is not counted twice.
    bench.tell(1, &bench.right(1, 0)).expect("nothing is wrong");
    let members = bench.members(0);
    let mut out = Vec::new();
    announce(&bench.right(0, 0), address(Version::V4), &members[1..], &mut out);
    bench.hear(&out).expect("nothing is wrong");
    assert!(!bench.receiver.is_complete());
}

#[test]
fn a_prefix_too_many_is_a_fault() {
    for version in [Version::V4, Version::V6] {
        let mut bench = Bench::new(version, 1);
        let larger = Table::new(version, COUNT + 1);
        let mut others = larger.prefixes.iter().filter(|&&it| bench.expect.table.number(it, 0).is_none());
        let other = *others.next().expect("one more");
        let mut out = Vec::new();
        announce(&bench.right(0, 0), address(version), &[other], &mut out);
        assert_eq!(bench.hear(&out), Err(Fault::Extra(Some(other.net(version)))));
    }
}

#[test]
fn wrong_attributes_are_faults_with_a_name() {
    for version in [Version::V4, Version::V6] {
        let mut bench = Bench::new(version, 1);
        let group = bench.group(|set| set.med.is_some() && set.communities.len() > 1);
        let right = bench.right(group, 0);
        bench.tell(group, &right).expect("nothing is wrong");

        // The path: not prepended, prepended twice, a hop changed.
        let learnt = Set::new(group, Bench::view(0));
        let not_prepended = Set { med: None, ..learnt.clone() };
        assert!(matches!(bench.tell(group, &not_prepended), Err(Fault::Origin(_))));
        let twice = right.clone().sent_on_by(ASN);
        assert!(matches!(bench.tell(group, &twice), Err(Fault::Origin(_))));
        let mut hop = right.clone();
        hop.path[2] += 1;
        assert_eq!(code_of(bench.tell(group, &hop)), code::AS_PATH);
        let mut first = right.clone();
        first.path[0] += 1;
        assert_eq!(code_of(bench.tell(group, &first)), code::AS_PATH);

        // MED is for neighbours only.
        let med = Set { med: learnt.med, ..right.clone() };
        assert_eq!(code_of(bench.tell(group, &med)), code::MULTI_EXIT_DISC);

        // Communities: one missing, all missing, one too many.
        let mut missing = right.clone();
        missing.communities.pop();
        assert_eq!(code_of(bench.tell(group, &missing)), code::COMMUNITIES);
        missing.communities.clear();
        assert_eq!(code_of(bench.tell(group, &missing)), code::COMMUNITIES);
        let mut more = right.clone();
        more.communities.push(u32::MAX);
        assert_eq!(code_of(bench.tell(group, &more)), code::COMMUNITIES);

        let origin = Set { origin: 1, ..right.clone() };
        assert_eq!(code_of(bench.tell(group, &origin)), code::ORIGIN);

        let large = bench.group(|set| !set.large_communities.is_empty());
        let without = Set { large_communities: Vec::new(), ..bench.right(large, 0) };
        assert_eq!(code_of(bench.tell(large, &without)), code::LARGE_COMMUNITIES);
        let aggregated = bench.group(|set| set.aggregator.is_some());
        let without = Set { aggregator: None, ..bench.right(aggregated, 0) };
        assert_eq!(code_of(bench.tell(aggregated, &without)), code::ATOMIC_AGGREGATE);
        // Another group's set, which is right for that one.
        let other = bench.right(large, 0);
        assert!(bench.tell(group, &other).is_err());
    }
}

#[test]
fn a_wrong_next_hop_is_a_fault() {
    for (version, other, code) in [
        (Version::V4, IpAddr::from([192, 0, 2, 1]), code::NEXT_HOP),
        (Version::V6, [0xfd77, 0, 0, 0, 0, 0, 0, 2].into(), code::MP_REACH_NLRI),
    ] {
        let mut bench = Bench::new(version, 1);
        let mut out = Vec::new();
        announce(&bench.right(0, 0), other, &bench.members(0), &mut out);
        assert_eq!(code_of(bench.hear(&out)), code);
    }
}

#[test]
fn another_order_and_form_are_no_faults() {
    let mut bench = Bench::new(Version::V4, 1);
    let group = bench.group(|set| set.communities.len() > 2);
    let mut set = bench.right(group, 0);
    set.communities.reverse();
    let (mut block, mut shuffled) = (Vec::new(), Vec::new());
    set.write(Some([127, 0, 0, 1].into()), &mut block);
    let mut attributes: Vec<_> = RawAttributes::new(&block).collect();
    attributes.reverse();
    for attribute in attributes {
        if attribute.code == code::NEXT_HOP {
            shuffled.extend([attribute.flags | flag::EXTENDED_LENGTH, code::NEXT_HOP, 0, 4]);
            shuffled.extend(attribute.value);
        } else {
            attr::write(attribute.flags, attribute.code, attribute.value, &mut shuffled);
        }
    }
    assert_ne!(block, shuffled);
    let mut nlri = Vec::new();
    bench.members(group).iter().for_each(|prefix| prefix.write(&mut nlri));
    let update = Update { withdrawn: &[], attributes: &shuffled, nlri: &nlri };
    bench.receiver.update(&bench.expect, update, Instant::now()).expect("nothing is wrong");
    // The same with an attribute cut off at its end.
    shuffled.pop();
    let update = Update { withdrawn: &[], attributes: &shuffled, nlri: &nlri };
    assert!(bench.receiver.update(&bench.expect, update, Instant::now()).is_err());
}

#[test]
fn a_path_that_is_not_the_best_does_not_complete_the_table() {
    let mut bench = Bench::new(Version::V4, 3);
    for group in 0..bench.expect.table.groups() {
        let best = bench.expect.run(bench.expect.table.members(group).start).best;
        let worse = (best + 1) % 3;
        bench.tell(group, &bench.right(group, worse)).expect("right, only not the best");
    }
    assert_eq!((bench.receiver.count, bench.receiver.best), (COUNT, 0));
    for group in 0..bench.expect.table.groups() {
        let best = bench.expect.run(bench.expect.table.members(group).start).best;
        bench.tell(group, &bench.right(group, best)).expect("nothing is wrong");
    }
    assert!(bench.receiver.is_complete());
}

#[test]
fn after_a_change_what_was_right_is_wrong() {
    let mut bench = Bench::new(Version::V4, 1);
    let set = Set::new(0, View { generation: 1, ..Bench::view(0) }).sent_on_by(ASN);
    bench.expect.change(0, &set);
    let prefix = bench.expect.table.prefixes[0];
    let mut out = Vec::new();
    announce(&set, address(Version::V4), &[prefix], &mut out);
    bench.hear(&out).expect("nothing is wrong");
    assert_eq!(bench.receiver.arrivals.iter().map(|it| it.0).collect::<Vec<_>>(), [0]);
    out.clear();
    announce(&bench.right(0, 0), address(Version::V4), &[prefix], &mut out);
    assert_eq!(code_of(bench.hear(&out)), code::COMMUNITIES);
}
