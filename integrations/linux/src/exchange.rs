//! When to send what on one link, and who is on its other end. Sans I/O: the caller has the socket and the
//! clock.

use std::{
    net::Ipv6Addr,
    time::{Duration, Instant},
};

use crate::message::Message;

/// The longest time between advertisements, where a neighbour is given by its interface: FRR's.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long ours count, in seconds: three times that (RFC 4861 §6.2.1), as FRR's do.
pub(crate) const LIFETIME: u16 = 30;
/// The least time between advertisements to all (MIN_DELAY_BETWEEN_RAS, RFC 4861 §10).
const LEAST: Duration = Duration::from_secs(3);
/// Advertisements that follow the first as soon as they may, for one whose loss would cost an interval
/// (MAX_INITIAL_RTR_ADVERTISEMENTS).
const INITIAL: u8 = 3;
/// Who asks is answered this much later at most, so that many who ask at once get one answer
/// (MAX_RA_DELAY_TIME).
const DELAY: Duration = Duration::from_millis(500);
/// Questions asked until somebody is there (MAX_RTR_SOLICITATIONS), and the time between them
/// (RTR_SOLICITATION_INTERVAL).
const SOLICITATIONS: u8 = 3;
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
/// How long an advertisement counts that says it is nobody's default router: three times the longest
/// interval that the RFC allows (AdvDefaultLifetime for a MaxRtrAdvInterval of 600 s). Such a router is on
/// the link all the same, and FRR takes it for the neighbour too.
const NO_DEFAULT: Duration = Duration::from_secs(1800);

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Send {
    /// An advertisement to all nodes.
    Advertisement,
    /// A solicitation to all routers.
    Solicitation,
}

/// Whoever is on the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Other {
    address: Ipv6Addr,
    /// Somebody's default router.
    is_default: bool,
    until: Instant,
}

/// One link that is ready.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// When the next advertisement goes.
    advertise: Instant,
    /// When the last one went.
    advertised: Option<Instant>,
    initial: u8,
    /// When the next solicitation goes, and how many are left.
    solicit: Instant,
    solicitations: u8,
    other: Option<Other>,
    /// Who stopped being a router. It may say so more than once (RFC 4861 §6.2.5).
    left: Option<Ipv6Addr>,
    /// Another address counts from then on: whoever makes up addresses must not have the speaker dial
    /// them all.
    changeable: Instant,
}

impl Exchange {
    /// A link has become ready. `jitter` is a random fraction, so that links that come up together do not
    /// send together.
    pub(crate) fn new(now: Instant, jitter: f64) -> Self {
        let first = now + DELAY.mul_f64(jitter);
        Self {
            advertise: first,
            advertised: None,
            initial: INITIAL,
            solicit: first,
            solicitations: SOLICITATIONS,
            other: None,
            left: None,
            changeable: now,
        }
    }

    /// The address of whoever is on the other end.
    pub(crate) fn other(&self) -> Option<Ipv6Addr> {
        self.other.map(|other| other.address)
    }

    /// A valid message came from an address that is not our own.
    pub(crate) fn handle(&mut self, now: Instant, source: Ipv6Addr, message: Message, jitter: f64) {
        match message {
            Message::Solicitation => {
                let answer = (now + DELAY.mul_f64(jitter)).max(self.earliest(now));
                self.advertise = self.advertise.min(answer);
            }
            Message::Advertisement { lifetime } => self.heard(now, source, lifetime),
        }
    }

    fn heard(&mut self, now: Instant, address: Ipv6Addr, lifetime: u16) {
        let is_default = lifetime > 0;
        let counts = if is_default { Duration::from_secs(lifetime.into()) } else { NO_DEFAULT };
        match self.other {
            // It stops being a router (RFC 4861 §6.2.5).
            Some(other) if other.address == address && other.is_default && !is_default => {
                (self.other, self.left) = (None, Some(address));
            }
            _ if self.left == Some(address) && !is_default => {}
            Some(other) if other.address != address && now < self.changeable => {}
            known => {
                if known.is_none_or(|known| known.address != address) {
                    self.changeable = now + LEAST;
                }
                self.left.take_if(|left| *left == address);
                self.other = Some(Other { address, is_default, until: now + counts });
            }
        }
    }

    /// When the next advertisement may go.
    fn earliest(&self, now: Instant) -> Instant {
        self.advertised.map_or(now, |last| last + LEAST)
    }

    /// Lets time pass, and says what is to be sent now, one at a time.
    pub(crate) fn poll(&mut self, now: Instant, jitter: f64) -> Option<Send> {
        if self.other.is_some_and(|other| other.until <= now) {
            self.other = None;
        }
        if self.advertise <= now {
            self.advertised = Some(now);
            let pause = if self.initial > 0 {
                self.initial -= 1;
                LEAST
            } else {
                // Between a third of the interval and all of it (MinRtrAdvInterval).
                INTERVAL.mul_f64(0.33 + 0.67 * jitter)
            };
            self.advertise = now + pause;
            return Some(Send::Advertisement);
        }
        if self.wants_to_ask() && self.solicit <= now {
            self.solicitations -= 1;
            self.solicit = now + SOLICITATION_INTERVAL;
            return Some(Send::Solicitation);
        }
        None
    }

    /// When to poll again.
    pub(crate) fn timeout(&self) -> Instant {
        let ask = self.wants_to_ask().then_some(self.solicit);
        let gone = self.other.map(|other| other.until);
        [ask, gone].into_iter().flatten().fold(self.advertise, Instant::min)
    }

    fn wants_to_ask(&self) -> bool {
        self.other.is_none() && self.solicitations > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);
    const B: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xb);
    const NOBODY: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

    fn router(lifetime: u16) -> Message {
        Message::Advertisement { lifetime }
    }

    /// Lets time pass until `end`; what is sent, and after how many milliseconds.
    fn run(exchange: &mut Exchange, start: Instant, end: Duration, jitter: f64) -> Vec<(u128, Send)> {
        let mut sent = Vec::new();
        loop {
            let now = exchange.timeout().max(start);
            if now > start + end {
                return sent;
            }
            while let Some(send) = exchange.poll(now, jitter) {
                sent.push(((now - start).as_millis(), send));
            }
        }
    }

    #[test]
    fn a_link_that_comes_up_is_told_and_asked() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        let sent = run(&mut exchange, now, Duration::from_secs(40), 1.0);
        let (tell, ask): (Vec<_>, Vec<_>) = sent.iter().partition(|(_, send)| *send == Send::Advertisement);
        let times = |sent: Vec<&(u128, Send)>| sent.into_iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(times(tell), [0, 3000, 6000, 9000, 19000, 29000, 39000]);
        assert_eq!(times(ask), [0, 4000, 8000]);
    }

    #[test]
    fn who_is_found_is_asked_no_longer() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        assert_eq!(exchange.poll(now, 0.0), Some(Send::Advertisement));
        exchange.handle(now, A, router(30), 0.0);
        assert_eq!((exchange.poll(now, 0.0), exchange.other()), (None, Some(A)));
    }

    #[test]
    fn questions_are_answered_within_bounds() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        run(&mut exchange, now, Duration::from_secs(60), 1.0);
        // The last went at 59 s, the next is due at 69 s.
        let later = now + Duration::from_secs(63);
        // However many ask: one answer at once, the next three seconds later.
        let mut answers = Vec::new();
        for millis in 0..10_000_u64 {
            let at = later + Duration::from_millis(millis);
            exchange.handle(at, NOBODY, Message::Solicitation, 0.5);
            while let Some(send) = exchange.poll(at, 1.0) {
                answers.push((millis, send));
            }
        }
        let only = |at: u64| (at, Send::Advertisement);
        assert_eq!(answers, [only(250), only(3250), only(6250), only(9250)]);
    }

    #[test]
    fn who_falls_silent_is_gone() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        exchange.handle(now, A, router(30), 0.0);
        let at = |seconds| now + Duration::from_secs(seconds);
        while exchange.poll(at(29), 0.0).is_some() {}
        assert_eq!(exchange.other(), Some(A));
        // It says so again: 30 more seconds.
        exchange.handle(at(29), A, router(30), 0.0);
        while exchange.poll(at(58), 0.0).is_some() {}
        assert_eq!(exchange.other(), Some(A));
        while exchange.poll(at(59), 0.0).is_some() {}
        assert_eq!(exchange.other(), None);
    }

    #[test]
    fn who_stops_being_a_router_is_gone_and_who_never_was_one_is_there() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        exchange.handle(now, A, router(30), 0.0);
        exchange.handle(now, A, router(0), 0.0);
        assert_eq!(exchange.other(), None);
        // As often as it likes.
        exchange.handle(now, A, router(0), 0.0);
        assert_eq!(exchange.other(), None);
        exchange.handle(now + LEAST, A, router(30), 0.0);
        assert_eq!(exchange.other(), Some(A));
        exchange.handle(now + LEAST, A, router(0), 0.0);
        assert_eq!(exchange.other(), None);
        let now = now + LEAST;
        exchange.handle(now, B, router(0), 0.0);
        exchange.handle(now, B, router(0), 0.0);
        assert_eq!(exchange.other(), Some(B));
        while exchange.poll(now + Duration::from_secs(1800), 0.0).is_some() {}
        assert_eq!(exchange.other(), None);
    }

    #[test]
    fn another_address_counts_but_not_each_of_many() {
        let now = Instant::now();
        let mut exchange = Exchange::new(now, 0.0);
        exchange.handle(now, A, router(30), 0.0);
        exchange.handle(now + Duration::from_millis(2999), B, router(30), 0.0);
        assert_eq!(exchange.other(), Some(A));
        exchange.handle(now + Duration::from_secs(3), B, router(30), 0.0);
        assert_eq!(exchange.other(), Some(B));
        let mut changes = 0;
        for millis in 3001..13_000_u64 {
            let made_up = Ipv6Addr::from(u128::from(A) + u128::from(millis));
            let before = exchange.other();
            exchange.handle(now + Duration::from_millis(millis), made_up, router(9), 0.0);
            changes += usize::from(exchange.other() != before);
        }
        assert_eq!(changes, 3);
    }
}
