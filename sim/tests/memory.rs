//! Invariant 12, as far as one stalled peer goes: what it is owed is bounded by the prefixes there are,
//! not by what came and went. 300,000 distinct prefixes here; ten million take minutes without
//! optimisation (`PEERAGE_SIM_CASES=33` runs them).
//!
//! One test to a file: the process's memory is measured.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net};
use peerage_core::{speaker::PeerState, wire::Family};
use peerage_sim::{
    Neighbors as _, Solo, desired, external,
    message::{self, Attrs, Message, OpenSpec},
    scaled,
};

const BATCH: u32 = 800;

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()
}

#[test]
fn churn_past_a_stalled_peer_is_flat() {
    let peers = [("10.0.0.2", 65002), ("10.0.0.3", 65003), ("10.0.0.4", 65004)];
    let mut wanted = desired(65000, [10, 0, 0, 1].into());
    for (address, asn) in peers {
        wanted = wanted.neighbor(address, external(asn));
    }
    // Little, so that the stalled one leaves the group early.
    wanted.limits.retained_octets = 256 << 10;
    let mut solo = Solo::new(1, &wanted);
    let [feed, live, stalled] =
        peers.map(|(address, asn)| solo.establish(address, &OpenSpec::new(asn, address.parse().unwrap())));
    for conn in [feed, live, stalled] {
        solo.messages(conn);
    }
    solo.block(stalled, true);
    // One that stays, so that there is something to be behind with.
    let path =
        |tag: u32| Attrs::new(&[65002, 64000 + tag % 7], [10, 0, 0, 2].into()).communities(&[tag % 100]);
    let stays = peerage_sim::prefix("192.0.2.0/24");
    solo.bytes(feed, &message::announce(&path(0), &[stays]));

    let total = scaled(300_000 / u64::from(BATCH)) as u32;
    let mut steady: Option<(u64, peerage_core::rib::Sizes)> = None;
    let mut heard = 0;
    for batch in 0..total {
        let nets: Vec<IpNet> = (0..BATCH)
            .map(|net| {
                let number = batch * BATCH + net;
                IpNet::V4(Ipv4Net::new((0x1000_0000 + number * 16).into(), 28).unwrap())
            })
            .collect();
        solo.bytes(feed, &message::announce(&path(batch), &nets));
        // What stays changes all the time.
        solo.bytes(feed, &message::announce(&path(batch), &[stays]));
        heard += solo.messages(live).len();
        solo.bytes(feed, &message::withdraw(&nets));
        heard += solo.messages(live).len();
        let _ = (solo.output(live), solo.output(feed), solo.messages(feed));
        let sizes = solo.speaker.rib().sizes();
        assert_eq!(sizes.prefixes, 1);
        // The stalled one is behind by windows up to the limit, then by bits.
        assert!(sizes.retained_octets <= wanted.limits.retained_octets + (128 << 10), "{sizes:?}");
        // What was encoded for it before that counts as told, so it is owed the withdrawals: no more
        // prefixes than the octets held, at five each at least.
        let bound = wanted.limits.retained_octets / 5 + BATCH as usize;
        assert!(sizes.ids <= bound && sizes.owed <= bound, "{sizes:?}");
        if batch == total / 2 {
            steady = resident().map(|kilobytes| (kilobytes, sizes));
        }
    }
    assert!(heard > 0);
    let end = solo.speaker.rib().sizes();
    println!("{} distinct prefixes: {end:?}", total * BATCH);
    if let (Some((before, sizes)), Some(after)) = (steady, resident()) {
        println!("resident: {before} KiB in the middle, {after} KiB at the end");
        assert!(after <= before + 4096, "{before} KiB, then {after} KiB");
        assert!(end.ids <= sizes.ids && end.owed <= sizes.owed, "{sizes:?}, then {end:?}");
        assert!(end.attribute_sets <= sizes.attribute_sets + 8, "{sizes:?}, then {end:?}");
    }
    assert_eq!(solo.state("10.0.0.4"), PeerState::Established);

    // Reading again, it gets where the others are, by little.
    solo.block(stalled, false);
    let mut table = BTreeSet::new();
    let mut octets = 0;
    for message in solo.messages(stalled) {
        let Message::Update(facts) = message else { continue };
        octets += facts.body.len();
        for net in &facts.withdrawn {
            table.remove(net);
        }
        table.extend(facts.announced.keys().copied());
    }
    assert_eq!(table, BTreeSet::from([stays]));
    assert!(octets <= wanted.limits.retained_octets + (1 << 20), "{octets} octets to catch up");
    let sizes = solo.speaker.rib().sizes();
    assert_eq!((sizes.prefixes, sizes.ids, sizes.owed, sizes.retained_octets), (1, 1, 0, 0));
    solo.bytes(feed, &message::withdraw(&[stays]));
    solo.messages(live);
    solo.messages(stalled);
    let sizes = solo.speaker.rib().sizes();
    assert_eq!((sizes.ids, sizes.attribute_sets), (0, 0), "{sizes:?}");
    assert_eq!(solo.speaker.rib().len(Family::IPV4_UNICAST), 0);
}
