//! Time as the caller tells it.
//!
//! Core never reads a clock. Every call that needs the time takes an [`Instant`]: microseconds since
//! an epoch of the caller's choice, which only has to stand still. Durations are
//! [`core::time::Duration`].

use core::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A moment, in microseconds since an epoch of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the end of time.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Saturates at zero.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A fixed set of deadlines, indexed by the discriminant of a timer enum.
///
/// `N` is the number of timers; an index at or past it is ignored, so no call panics.
#[derive(Clone, Debug)]
pub struct TimerTable<const N: usize> {
    deadlines: [Option<Instant>; N],
}

impl<const N: usize> Default for TimerTable<N> {
    fn default() -> Self {
        Self { deadlines: [None; N] }
    }
}

impl<const N: usize> TimerTable<N> {
    /// Starts or restarts a timer.
    pub fn set(&mut self, timer: usize, deadline: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer) {
            *slot = Some(deadline);
        }
    }

    /// Stops a timer.
    pub fn stop(&mut self, timer: usize) {
        if let Some(slot) = self.deadlines.get_mut(timer) {
            *slot = None;
        }
    }

    /// When a timer is due, if it runs.
    pub fn get(&self, timer: usize) -> Option<Instant> {
        self.deadlines.get(timer).copied().flatten()
    }

    /// The earliest deadline of all.
    pub fn next(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Stops a timer that is due at `now` and says whether it was.
    pub fn expired(&mut self, timer: usize, now: Instant) -> bool {
        match self.get(timer) {
            Some(deadline) if deadline <= now => {
                self.stop(timer);
                true
            }
            _ => false,
        }
    }
}

/// An interval shortened at random to between three quarters and all of it (RFC 4271 §10). `random` is a
/// fraction in 0..=65,535.
pub fn jittered(interval: Duration, random: u16) -> Duration {
    let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    // Two bits for the quarter, sixteen for the fraction.
    Duration::from_micros(micros - ((u128::from(micros) * u128::from(random)) >> 18) as u64)
}
