//! One session (invariants 5 and 6): octets in any pieces, timers and polls in between, from any state.
//!
//! The play itself is [`peerage_sim::drill`], which the simulator's tests run on seeds as well.

use arbitrary::{Arbitrary, Unstructured};
use peerage_sim::drill::{Before, Op, play};

/// A state to start in and what happens then. On disk: two octets, then the operations, each a selector
/// and its arguments, lengths in two octets, big end first.
#[derive(Clone, Debug)]
pub struct Input {
    /// How far the session is.
    pub before: Before,
    /// The speaker's seed.
    pub seed: u8,
    /// What happens.
    pub ops: Vec<Op>,
}

/// The selector of [`Op::Message`], for seeds.
pub const MESSAGE: u8 = 1;
/// The selector of [`Op::Poll`], for seeds.
pub const POLL: u8 = 5;

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let [before, seed] = *u.bytes(2)?.first_chunk().ok_or(arbitrary::Error::NotEnoughData)?;
        let before = match before % 3 {
            0 => Before::OpenSent,
            1 => Before::OpenConfirm,
            _ => Before::Established,
        };
        let mut ops = Vec::new();
        while let Ok(op) = op(u) {
            ops.push(op);
        }
        Ok(Self { before, seed, ops })
    }

    fn arbitrary_take_rest(mut u: Unstructured<'a>) -> arbitrary::Result<Self> {
        Self::arbitrary(&mut u)
    }
}

fn op(u: &mut Unstructured<'_>) -> arbitrary::Result<Op> {
    Ok(match octet(u)? % 12 {
        0 => Op::Bytes(octets(u)?),
        MESSAGE => Op::Message(octet(u)?, octets(u)?),
        2 => Op::Advance(u32::from(two(u)?) * 4),
        3 => Op::Timeout,
        4 => Op::Transmit(two(u)?),
        POLL => Op::Poll,
        6 => Op::Close,
        7 => Op::Accept,
        8 => Op::Connected,
        9 => Op::Reconcile(octet(u)? & 1 == 1),
        // Messages are what matters most.
        _ => Op::Message(1 + octet(u)? % 5, octets(u)?),
    })
}

fn octet(u: &mut Unstructured<'_>) -> arbitrary::Result<u8> {
    u.bytes(1)?.first().copied().ok_or(arbitrary::Error::NotEnoughData)
}

fn two(u: &mut Unstructured<'_>) -> arbitrary::Result<u16> {
    u.bytes(2)?.first_chunk().copied().map(u16::from_be_bytes).ok_or(arbitrary::Error::NotEnoughData)
}

/// A length and so many octets, or what there is.
fn octets(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let len = usize::from(two(u)?).min(u.len());
    Ok(u.bytes(len)?.to_vec())
}

/// Panics if something is wrong.
pub fn check(input: &Input) {
    play(input.before, input.seed, &input.ops);
}
