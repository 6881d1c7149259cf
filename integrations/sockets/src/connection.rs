//! One connection as its tasks see it: what the speaker wants of it, told by flags and a wake-up.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use peerage_core::speaker::{ConnId, ConnectTarget};

use crate::{Accepted, Write, driver::lock, outlet::Outlet, signal::Signal};

/// A connection, from the speaker's wish or an accepted socket until its tasks have let go of it.
#[derive(Debug)]
pub struct Connection {
    id: ConnId,
    target: Option<ConnectTarget>,
    accepted: Option<Accepted>,
    writable: AtomicBool,
    closing: AtomicBool,
    killed: AtomicBool,
    written: AtomicBool,
    stale: AtomicBool,
    signal: Signal,
    outlet: Mutex<Outlet>,
}

impl Connection {
    /// One that is to be opened.
    pub(crate) fn outgoing(id: ConnId, target: ConnectTarget) -> Self {
        Self { target: Some(target), ..Self::new(id) }
    }

    /// One that was accepted.
    pub(crate) fn incoming(id: ConnId, accepted: Accepted) -> Self {
        Self { accepted: Some(accepted), ..Self::new(id) }
    }

    fn new(id: ConnId) -> Self {
        Self {
            id,
            target: None,
            accepted: None,
            writable: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            written: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            signal: Signal::default(),
            outlet: Mutex::default(),
        }
    }

    /// What the speaker calls it.
    pub const fn id(&self) -> ConnId {
        self.id
    }

    /// Says how its socket is written to. Before the socket goes, it has to [`Connection::detach`].
    pub fn attach(&self, write: Write) {
        lock(&self.outlet).write = Some(write);
    }

    /// Nothing is written any more.
    pub fn detach(&self) {
        lock(&self.outlet).write = None;
    }

    pub(crate) const fn outlet(&self) -> &Mutex<Outlet> {
        &self.outlet
    }

    /// Where it leads, if this end opens it.
    pub const fn target(&self) -> Option<&ConnectTarget> {
        self.target.as_ref()
    }

    /// Its ends, as the speaker sees them; `local` is that of one that was opened here.
    pub(crate) fn ends(&self, local: SocketAddr) -> Option<Accepted> {
        self.accepted.clone().or_else(|| {
            let target = self.target.as_ref()?;
            Some(Accepted { remote: target.remote, local, interface: target.interface.clone() })
        })
    }

    /// Waits until its socket's options have to be set anew.
    pub(crate) async fn stale(&self) {
        self.signal.wait(|| self.stale.swap(false, Ordering::AcqRel).then_some(())).await;
    }

    pub(crate) fn make_stale(&self) {
        self.stale.store(true, Ordering::Release);
        self.signal.notify();
    }

    /// Whether the speaker is done with it: what [`Driver::flush`](crate::Driver::flush) still
    /// writes is the last, and what comes in is for nobody.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether anything was given out to be written.
    pub(crate) fn has_written(&self) -> bool {
        self.written.load(Ordering::Acquire)
    }

    /// Waits until there may be something to transmit, or the speaker is done.
    pub async fn writable(&self) {
        self.signal
            .wait(|| (self.writable.swap(false, Ordering::AcqRel) || self.is_closing()).then_some(()))
            .await;
    }

    /// Waits until the speaker is done with it.
    pub async fn closing(&self) {
        self.signal.wait(|| self.is_closing().then_some(())).await;
    }

    /// Waits until its tasks have to let go of it as it is.
    pub async fn killed(&self) {
        self.signal.wait(|| self.killed.load(Ordering::Acquire).then_some(())).await;
    }

    pub(crate) fn wake_writable(&self) {
        self.writable.store(true, Ordering::Release);
        self.signal.notify();
    }

    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.signal.notify();
    }

    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.close();
    }

    pub(crate) fn note_written(&self) {
        self.written.store(true, Ordering::Release);
    }
}
