//! Time and chance, as a speaker takes them.

use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
    time::{Duration, Instant as SystemInstant},
};

use peerage_core::time::Instant;

/// One epoch for the process: a speaker made with one clock and driven by another would otherwise see
/// time jump.
static EPOCH: LazyLock<SystemInstant> = LazyLock::new(SystemInstant::now);

/// The system's monotonic clock in a speaker's terms. All clocks of a process agree.
///
/// ```
/// use peerage_sockets::Clock;
///
/// let before = Clock.now();
/// assert!(Clock.now() >= before);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// What time it is.
    pub fn now(self) -> Instant {
        Instant::from_micros(u64::try_from(EPOCH.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// How long it is until `deadline`; zero if that has passed.
    ///
    /// The clock counts whole microseconds, rounded down, so one is added: whoever sleeps this long
    /// wakes at the deadline or after it, never just before.
    pub fn until(self, deadline: Instant) -> Duration {
        let left = deadline.saturating_since(self.now());
        if left.is_zero() { left } else { left + Duration::from_micros(1) }
    }
}

/// A seed for [`Speaker::new`](peerage_core::Speaker::new), from the system's random numbers.
///
/// It makes jitter and hash tables unpredictable, it is not a key. Where the system has no random
/// numbers to give, the standard library's hash keys and the time stand in.
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if getrandom::fill(&mut seed).is_err() {
        for octets in seed.chunks_mut(8) {
            let word = RandomState::new().hash_one(SystemInstant::now().elapsed());
            for (octet, random) in octets.iter_mut().zip(word.to_ne_bytes()) {
                *octet = random;
            }
        }
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_never_ends_before_its_deadline() {
        let deadline = Clock.now() + Duration::from_millis(2);
        std::thread::sleep(Clock.until(deadline));
        assert!(Clock.now() >= deadline);
        assert_eq!(Clock.until(deadline), Duration::ZERO);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(seed(), seed());
    }
}
