//! A synthetic table as UPDATEs: the same every time.

use peerage_core::wire::{
    Asn, Community, MessageKind, Origin,
    attr::{self, AsPath, PathAttributes, code, flag},
    begin_message, finish_message,
};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// Distinct prefixes, most of them /24, in ascending order.
fn prefixes(count: usize) -> impl Iterator<Item = (u32, u8)> {
    let mut random = Random(1);
    let mut next: u32 = 0x0100_0000;
    (0..count).map(move |_| {
        let len: u8 = match random.below(1000) {
            0..=620 => 24,
            621..=723 => 23,
            724..=835 => 22,
            836..=888 => 21,
            889..=933 => 20,
            934..=959 => 19,
            960..=986 => 18,
            _ => 16,
        };
        let size = 1u32 << (32 - len);
        let address = next.next_multiple_of(size);
        next = address.wrapping_add(size);
        (address, len)
    })
}

/// The table of one sender.
pub(crate) fn table(count: usize, seed: u32, asn: u32) -> Vec<u8> {
    let mut random = Random(u64::from(seed) + 99);
    let mut groups = Vec::new();
    let mut all = prefixes(count).peekable();
    while all.peek().is_some() {
        // Heavy-tailed, 5.5 on average.
        let size = match random.below(100) {
            0..=49 => 1,
            50..=74 => 1 + random.below(4),
            75..=94 => 4 + random.below(12),
            _ => 16 + random.below(64),
        };
        groups.push(all.by_ref().take(size as usize).collect::<Vec<_>>());
    }
    for index in (1..groups.len()).rev() {
        groups.swap(index, random.below(index as u64 + 1) as usize);
    }
    let mut out = Vec::new();
    for group in groups {
        let hops = 2 + random.below(4);
        let path: Vec<u32> =
            std::iter::once(asn).chain((0..hops).map(|_| 1000 + random.below(400_000) as u32)).collect();
        let mut attributes = PathAttributes {
            origin: if random.below(10) == 0 { Origin::Incomplete } else { Origin::Igp },
            as_path: AsPath::sequence(path.into_iter().map(Asn)),
            ..PathAttributes::default()
        };
        if random.below(10) < 6 {
            attributes.communities =
                (0..1 + random.below(5)).map(|_| Community(random.next() as u32 | 1)).collect();
        }
        let mut block = Vec::new();
        attributes.encode(&mut block);
        attr::write(flag::TRANSITIVE, code::NEXT_HOP, &[192, 0, 1, seed as u8 + 1], &mut block);
        for chunk in group.chunks(900) {
            let start = begin_message(&mut out, MessageKind::Update);
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&(block.len() as u16).to_be_bytes());
            out.extend_from_slice(&block);
            chunk.iter().for_each(|&prefix| nlri(prefix, &mut out));
            finish_message(&mut out, start);
        }
    }
    out
}

/// The withdrawal of a table, in full messages.
pub(crate) fn withdraw(count: usize) -> Vec<u8> {
    let all: Vec<_> = prefixes(count).collect();
    let mut out = Vec::new();
    for chunk in all.chunks(1000) {
        let start = begin_message(&mut out, MessageKind::Update);
        let field = out.len();
        out.extend_from_slice(&[0, 0]);
        chunk.iter().for_each(|&prefix| nlri(prefix, &mut out));
        let len = (out.len() - field - 2) as u16;
        out[field..field + 2].copy_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        finish_message(&mut out, start);
    }
    out
}

fn nlri((address, len): (u32, u8), out: &mut Vec<u8>) {
    out.push(len);
    out.extend_from_slice(&address.to_be_bytes()[..usize::from(len).div_ceil(8)]);
}
