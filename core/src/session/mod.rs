//! One TCP connection that carries BGP: OpenSent, OpenConfirm, Established (RFC 4271 §8.2.2).
//!
//! A session negotiates, keeps the hold, keepalive and send hold timers, and says what a message means
//! in its state. It knows nothing of other connections, of routes, or of how it came to be open: that is
//! `peer`'s.
//!
//! ```text
//!            OPEN            KEEPALIVE, and establish()
//! OpenSent ───────▶ OpenConfirm ──────────────▶ Established
//!     └────────────────┴───────────┬────────────────┘
//!                                  ▼  NOTIFICATION, error, timer, close()
//!                                Closed
//! ```

mod negotiate;

use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

pub use negotiate::{Negotiated, RestartOffer, SessionConfig};

use crate::{
    facts::{DownReason, MessageCounts},
    time::Instant,
    wire::{
        Frame, KEEPALIVE, MAX_EXTENDED_LEN, MAX_LEN, MessageError, MessageKind, Notification, Open,
        RouteRefresh, Update,
    },
};

/// Where a session is, with what it owns there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Our OPEN is sent.
    OpenSent,
    /// The peer's OPEN was acceptable. `confirmed`: its KEEPALIVE came too, and only
    /// [`Session::establish`] is missing.
    OpenConfirm {
        /// What both sides agreed on.
        negotiated: Box<Negotiated>,
        /// The peer's KEEPALIVE came.
        confirmed: bool,
    },
    /// Routes are exchanged.
    Established(Box<Negotiated>),
    /// Over. What [`Session::take_control`] still returns is to be sent.
    Closed,
}

/// What a message means.
#[derive(Debug)]
#[must_use]
pub enum Outcome<'a> {
    /// Nothing beyond the session.
    Nothing,
    /// The peer's OPEN was accepted: another connection to it may now be found to collide.
    Opened,
    /// Both sides agreed: [`Session::establish`] it, unless a colliding connection is to win.
    Confirmed,
    /// Routes.
    Update(Update<'a>),
    /// Routes are asked for.
    Refresh(RouteRefresh),
    /// The session is closed.
    Down(DownReason),
}

/// One session.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    state: SessionState,
    /// OPEN, KEEPALIVE, NOTIFICATION, ROUTE-REFRESH that were not taken yet: they go before routes.
    control: Vec<u8>,
    heard: Instant,
    /// The peer has to send its OPEN by then.
    open_by: Option<Instant>,
    keepalive_at: Option<Instant>,
    /// Writing has to make progress by then (RFC 9687).
    send_by: Option<Instant>,
    /// Messages received.
    pub received: MessageCounts,
    /// Messages sent.
    pub sent: MessageCounts,
}

impl Session {
    /// A session on a connection that has just opened: its OPEN is ready to be sent.
    pub fn new(now: Instant, config: SessionConfig) -> Self {
        let mut session = Self {
            state: SessionState::OpenSent,
            control: Vec::new(),
            heard: now,
            open_by: Some(now + config.open),
            keepalive_at: None,
            send_by: None,
            received: MessageCounts::default(),
            sent: MessageCounts::default(),
            config,
        };
        session.config.open().encode(&mut session.control);
        session.sent.opens += 1;
        session
    }

    /// Where it is.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// How it was opened.
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// What both sides agreed on, once they did.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        match &self.state {
            SessionState::OpenConfirm { negotiated, .. } | SessionState::Established(negotiated) => {
                Some(negotiated)
            }
            SessionState::OpenSent | SessionState::Closed => None,
        }
    }

    /// Longest message the peer may send.
    pub fn receive_limit(&self) -> usize {
        match self.negotiated() {
            Some(negotiated) if negotiated.extended_message => MAX_EXTENDED_LEN,
            _ => MAX_LEN,
        }
    }

    /// A message arrived. Every state has an outcome for every message (RFC 4271 §8.2.2, RFC 6608).
    pub fn handle_message<'a>(&mut self, now: Instant, frame: Frame<'a>) -> Outcome<'a> {
        self.heard = now;
        match frame.kind {
            MessageKind::Open => {
                self.received.opens += 1;
                self.handle_open(now, frame.body)
            }
            MessageKind::Keepalive => {
                self.received.keepalives += 1;
                self.handle_keepalive()
            }
            MessageKind::Update => {
                self.received.updates += 1;
                match self.state {
                    SessionState::Established(_) => match Update::split(frame.body) {
                        Ok(update) => Outcome::Update(update),
                        Err(error) => self.fail(&error),
                    },
                    _ => self.unexpected(),
                }
            }
            MessageKind::RouteRefresh => {
                self.received.refreshes += 1;
                match self.state {
                    SessionState::Established(_) => match RouteRefresh::decode(frame.body) {
                        Ok(refresh) => Outcome::Refresh(refresh),
                        Err(error) => self.fail(&error),
                    },
                    _ => self.unexpected(),
                }
            }
            MessageKind::Notification => {
                self.received.notifications += 1;
                self.state = SessionState::Closed;
                match Notification::decode(frame.body) {
                    Ok(notification) => Outcome::Down(DownReason::Received(notification)),
                    // A NOTIFICATION is never answered by one (RFC 4271 §6.4).
                    Err(error) => Outcome::Down(DownReason::Received(error.notification())),
                }
            }
        }
    }

    fn handle_open(&mut self, now: Instant, body: &[u8]) -> Outcome<'static> {
        if !matches!(self.state, SessionState::OpenSent) {
            return self.unexpected();
        }
        let open = match Open::decode(body) {
            Ok(open) => open,
            Err(error) => return self.fail(&error),
        };
        match self.config.negotiate(&open) {
            Ok(negotiated) => {
                self.open_by = None;
                self.control.extend_from_slice(&KEEPALIVE);
                self.sent.keepalives += 1;
                if !negotiated.keepalive.is_zero() {
                    self.keepalive_at = Some(now + negotiated.keepalive);
                }
                self.state = SessionState::OpenConfirm { negotiated: Box::new(negotiated), confirmed: false };
                Outcome::Opened
            }
            Err(notification) => self.down(notification),
        }
    }

    fn handle_keepalive(&mut self) -> Outcome<'static> {
        match &mut self.state {
            SessionState::OpenSent => self.unexpected(),
            SessionState::OpenConfirm { confirmed, .. } => {
                *confirmed = true;
                Outcome::Confirmed
            }
            SessionState::Established(_) | SessionState::Closed => Outcome::Nothing,
        }
    }

    /// A header or a message cannot be right: closes the session.
    pub fn fail(&mut self, error: &MessageError) -> Outcome<'static> {
        self.down(error.notification())
    }

    /// RFC 6608: the message has no business in this state.
    fn unexpected(&mut self) -> Outcome<'static> {
        let subcode = match self.state {
            SessionState::OpenSent => 1,
            SessionState::OpenConfirm { .. } => 2,
            SessionState::Established(_) => 3,
            SessionState::Closed => return Outcome::Nothing,
        };
        self.down(Notification::new(5, subcode))
    }

    fn down(&mut self, notification: Notification) -> Outcome<'static> {
        match self.close(notification) {
            Some(reason) => Outcome::Down(reason),
            None => Outcome::Nothing,
        }
    }

    /// Ends the session with a NOTIFICATION; `None`: it was over already.
    pub fn close(&mut self, notification: Notification) -> Option<DownReason> {
        if self.state == SessionState::Closed {
            return None;
        }
        notification.encode(&mut self.control);
        self.sent.notifications += 1;
        self.state = SessionState::Closed;
        Some(DownReason::Sent(notification))
    }

    /// Ends the session so that the peer keeps no route of it, whatever it has agreed to: with a Hard Reset
    /// where it would keep them over a plain NOTIFICATION (RFC 8538 §3). `None`: it was over already.
    pub fn close_hard(&mut self, notification: Notification) -> Option<DownReason> {
        let keeps = self.negotiated().is_some_and(|it| it.graceful_notification);
        self.close(if keeps { notification.into_hard_reset() } else { notification })
    }

    /// Ends the session without a word, so that a peer which agreed to graceful restart keeps its routes
    /// (RFC 4724 §4.2). `None`: it has not agreed, or nothing is announced yet.
    pub fn leave(&mut self) -> Option<DownReason> {
        match &self.state {
            SessionState::Established(negotiated) if negotiated.graceful_restart => {
                self.state = SessionState::Closed;
                Some(DownReason::GracefulRestart)
            }
            _ => None,
        }
    }

    /// From OpenConfirm to Established; `false`: it is not there, or the peer has not confirmed.
    pub fn establish(&mut self) -> bool {
        match core::mem::replace(&mut self.state, SessionState::Closed) {
            SessionState::OpenConfirm { negotiated, confirmed: true } => {
                self.state = SessionState::Established(negotiated);
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Gives the peer less time for its OPEN: another connection waits for this one.
    pub fn expect_open_by(&mut self, deadline: Instant) {
        if let Some(by) = &mut self.open_by {
            *by = (*by).min(deadline);
        }
    }

    /// Queues a ROUTE-REFRESH.
    pub fn request_refresh(&mut self, refresh: &RouteRefresh) {
        refresh.encode(&mut self.control);
        self.sent.refreshes += 1;
    }

    /// What is to be sent before routes.
    pub fn take_control(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.control)
    }

    /// Whether there is anything to be sent before routes.
    pub fn has_control(&self) -> bool {
        !self.control.is_empty()
    }

    /// There is something to write, or writing went on: it has to go on within the send hold time.
    pub fn writing(&mut self, now: Instant) {
        let time = self.config.send_hold.unwrap_or_else(|| {
            // RFC 9687 §3: eight minutes, or twice the hold time where that is more.
            let hold = self.negotiated().map_or(Duration::ZERO, |it| it.hold);
            Duration::from_secs(480).max(hold * 2)
        });
        self.send_by = Some(now + time);
    }

    /// Everything is written.
    pub fn written(&mut self) {
        self.send_by = None;
    }

    /// Whether a send hold time runs.
    pub fn is_writing(&self) -> bool {
        self.send_by.is_some()
    }

    fn hold_at(&self) -> Option<Instant> {
        let hold = self.negotiated()?.hold;
        (!hold.is_zero()).then(|| self.heard + hold)
    }

    /// The next moment at which [`Session::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == SessionState::Closed {
            return None;
        }
        [self.open_by, self.hold_at(), self.keepalive_at, self.send_by].into_iter().flatten().min()
    }

    /// Time has come to `now`. `jitter` is a random fraction in 0..=65,535, for the next KEEPALIVE.
    pub fn handle_timeout(&mut self, now: Instant, jitter: u16) -> Option<DownReason> {
        if self.state == SessionState::Closed {
            return None;
        }
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if due(self.open_by) || due(self.hold_at()) {
            return self.close(Notification::new(4, 0));
        }
        if due(self.send_by) {
            self.close(Notification::new(8, 0));
            return Some(DownReason::SendHoldTimerExpired);
        }
        if due(self.keepalive_at) {
            let interval = self.negotiated().map_or(Duration::ZERO, |it| it.keepalive);
            self.control.extend_from_slice(&KEEPALIVE);
            self.sent.keepalives += 1;
            self.keepalive_at = (!interval.is_zero()).then(|| now + crate::time::jittered(interval, jitter));
        }
        None
    }
}
