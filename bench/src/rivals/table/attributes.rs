//! Attribute sets: as a sender announces them, and as a speaker has to send them on over eBGP.

use std::net::Ipv4Addr;

use peerage_core::wire::attr::{
    self, code,
    flag::{OPTIONAL, TRANSITIVE},
};

use super::random::Random;

/// One attribute set but for its next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) origin: u8,
    pub(crate) path: Vec<u32>,
    pub(crate) med: Option<u32>,
    /// Of AGGREGATOR; with ATOMIC_AGGREGATE.
    pub(crate) aggregator: Option<u32>,
    /// Ascending, each once: there are daemons that sort them.
    pub(crate) communities: Vec<u32>,
    pub(crate) large_communities: Vec<[u32; 3]>,
}

/// Whose set it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// The sender's number.
    pub(crate) sender: u32,
    /// Its AS.
    pub(crate) asn: u32,
    /// Another set for each generation, by an attribute that goes everywhere.
    pub(crate) generation: u32,
}

impl Set {
    /// The set of a group of prefixes as one sender has it.
    pub(crate) fn new(group: u32, view: View) -> Self {
        let mut random = Random::new(u64::from(group) << 24 ^ u64::from(view.sender) << 56);
        let origin = if random.below(10) == 0 { 2 } else { 0 };
        let hops = 3 + random.below(4);
        let mut path = vec![view.asn];
        // A few big carriers near the sender, more networks further out.
        path.extend((1..hops - 1).map(|hop| {
            let pool = if hop == 1 { 30 } else { 2_000 };
            3_000 + random.below(pool) as u32 * 7
        }));
        let origin_as = origin_as(group);
        path.push(origin_as);
        let med = (random.below(5) == 0).then(|| random.below(200) as u32);
        let aggregator = (random.below(20) == 0).then_some(origin_as);
        let mut communities = Vec::new();
        if random.below(10) < 6 {
            let count = 1 + random.below(8);
            communities.extend(
                (0..count).map(|_| (3_000 + random.below(30) as u32 * 7) << 16 | random.below(4_000) as u32),
            );
        }
        if view.generation > 0 {
            // Two octets would come round again.
            communities.extend([2_000 << 16 | view.generation & 0xffff, 2_001 << 16 | view.generation >> 16]);
        }
        communities.sort_unstable();
        communities.dedup();
        let mut large_communities = Vec::new();
        if random.below(20) == 0 {
            let count = 1 + random.below(3);
            large_communities.extend(
                (0..count).map(|_| [origin_as, random.below(100) as u32, random.below(100_000) as u32]),
            );
            large_communities.sort_unstable();
            large_communities.dedup();
        }
        Self { origin, path, med, aggregator, communities, large_communities }
    }

    /// What a speaker of AS `asn` makes of it for external peers (RFC 4271 §5.1.2, §5.1.4): its AS is in
    /// front, the MED is gone, all else is as it was.
    pub(crate) fn sent_on_by(mut self, asn: u32) -> Self {
        self.path.insert(0, asn);
        self.med = None;
        self
    }

    /// Appends the attributes in the order of their codes; without a next hop where that is in
    /// MP_REACH_NLRI.
    pub(crate) fn write(&self, next_hop: Option<Ipv4Addr>, out: &mut Vec<u8>) {
        attr::write(TRANSITIVE, code::ORIGIN, &[self.origin], out);
        let mut value = vec![2, self.path.len() as u8];
        value.extend(self.path.iter().flat_map(|asn| asn.to_be_bytes()));
        attr::write(TRANSITIVE, code::AS_PATH, &value, out);
        if let Some(next_hop) = next_hop {
            attr::write(TRANSITIVE, code::NEXT_HOP, &next_hop.octets(), out);
        }
        if let Some(med) = self.med {
            attr::write(OPTIONAL, code::MULTI_EXIT_DISC, &med.to_be_bytes(), out);
        }
        if let Some(asn) = self.aggregator {
            attr::write(TRANSITIVE, code::ATOMIC_AGGREGATE, &[], out);
            value.clear();
            value.extend(asn.to_be_bytes());
            value.extend([192, 0, 2, 9]);
            attr::write(OPTIONAL | TRANSITIVE, code::AGGREGATOR, &value, out);
        }
        if !self.communities.is_empty() {
            value.clear();
            value.extend(self.communities.iter().flat_map(|community| community.to_be_bytes()));
            attr::write(OPTIONAL | TRANSITIVE, code::COMMUNITIES, &value, out);
        }
        if !self.large_communities.is_empty() {
            value.clear();
            value.extend(self.large_communities.iter().flatten().flat_map(|word| word.to_be_bytes()));
            attr::write(OPTIONAL | TRANSITIVE, code::LARGE_COMMUNITIES, &value, out);
        }
    }
}

fn origin_as(group: u32) -> u32 {
    let mut random = Random::new(0xa500_0000 + u64::from(group));
    match random.below(2) {
        0 => 20_000 + random.below(44_000) as u32,
        _ => 131_072 + random.below(70_000) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_changes_what_is_sent_on() {
        let set = |generation| Set::new(9, View { sender: 0, asn: 64600, generation }).sent_on_by(65000);
        for generation in [1, 2, 65_536, 65_537] {
            assert_ne!(set(0), set(generation));
            assert_ne!(set(generation), set(generation + 1));
        }
    }
}
