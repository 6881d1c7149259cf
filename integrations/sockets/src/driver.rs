//! The part of a runtime that does not depend on which one it is: the lock around the speaker, and
//! carrying what comes out of it to whoever waits for it.
//!
//! It decides nothing: bytes, times and addresses go in as they come, actions are passed on as they are.
//! Every call locks, runs, takes the actions out, unlocks and only then opens connections and delivers
//! events, so nothing foreign ever runs under the lock but the closure of [`Driver::with`].

use std::{
    collections::{HashMap, HashSet},
    fmt, io,
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use peerage_core::{
    Speaker,
    speaker::{Action, CloseReason, ConnId, Event},
    time::Instant,
};
use smallvec::SmallVec;
use socket2::SockRef;

use crate::{Clock, Connection, SocketSetup, close_reason, connect, outlet::ON_THE_SPOT, signal::Signal};

/// Octets read, and asked for to be written, at a time: enough that a system call costs nothing beside
/// the work on them, little enough that the lock is soon free for other connections.
pub(crate) const CHUNK: usize = 64 << 10;

/// Steps of long work done under one lock. More is done in turns with the connections.
const WORK_SLICE: usize = 1024;

/// Events taken out under one lock.
const EVENT_BATCH: usize = 64;

/// Connections that may linger at a time. A flood of connections that are refused would otherwise hold a
/// descriptor each for as long as [`LINGER`](crate::LINGER).
const LINGERING: usize = 256;

/// What a runtime adds: tasks.
pub trait Host: Send + Sync + Sized + 'static {
    /// Opens `connection` in a task of its own: [`Driver::dial`], then [`Driver::connected`] or
    /// [`Driver::failed`].
    fn open(driver: &Arc<Driver<Self>>, connection: Arc<Connection>);
}

type Sink = Box<dyn FnMut(Event) + Send>;

/// A speaker and everyone who waits for it.
pub struct Driver<H> {
    /// The runtime's own part.
    pub host: H,
    setup: Arc<dyn SocketSetup>,
    state: Mutex<State>,
    /// Wakes the task that ticks.
    ticker: Signal,
    retimed: AtomicBool,
    /// Wakes who waits for the end.
    end: Signal,
    stopping: AtomicBool,
    killed: AtomicBool,
    /// How often the options of sockets have changed, and who waits for that to set those of listeners.
    options: AtomicU64,
    relisten: Signal,
    /// Read buffers that nobody uses now. Reading and handling is one step without an await in it, so
    /// there are never more of them than threads.
    buffers: Mutex<Vec<Box<[u8]>>>,
}

struct State {
    speaker: Speaker,
    connections: HashMap<ConnId, Arc<Connection>>,
    lingering: HashSet<ConnId>,
    listeners: usize,
    /// What the ticking task sleeps until; `None`: it sleeps until it is woken.
    armed: Option<Instant>,
    /// Whoever delivers events has taken it; what is here then takes its place.
    sink: Option<Sink>,
    delivering: bool,
}

/// What is to be done after unlocking.
#[derive(Default)]
struct Due {
    writable: SmallVec<[Arc<Connection>; ON_THE_SPOT]>,
    opens: Vec<Arc<Connection>>,
    events: Vec<Event>,
    sink: Option<Sink>,
    /// Long work is waiting.
    busy: bool,
}

/// What to do after [`Driver::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadStep {
    /// There may be more: read again after others had their turn.
    Again,
    /// Wait until the socket is readable.
    Wait,
    /// Nothing will come any more.
    End(CloseReason),
}

/// What to do after [`Driver::tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Work is waiting: tick again after others had their turn.
    Again,
    /// Sleep this long, or until [`Driver::retimed`].
    Sleep(Duration),
    /// Wait for [`Driver::retimed`].
    Wait,
    /// It is over.
    End,
}

impl<H: Host> Driver<H> {
    /// A driver of `speaker`, whose time must come from [`Clock`]. `listeners`: how many tasks will
    /// accept connections, each of which calls [`Driver::listener_closed`] in the end.
    pub fn new(host: H, speaker: Speaker, setup: Arc<dyn SocketSetup>, listeners: usize) -> Arc<Self> {
        Arc::new(Self {
            host,
            setup,
            state: Mutex::new(State {
                speaker,
                connections: HashMap::new(),
                lingering: HashSet::new(),
                listeners,
                armed: None,
                sink: None,
                delivering: false,
            }),
            ticker: Signal::default(),
            retimed: AtomicBool::new(false),
            end: Signal::default(),
            stopping: AtomicBool::new(false),
            killed: AtomicBool::new(false),
            options: AtomicU64::new(0),
            relisten: Signal::default(),
            buffers: Mutex::default(),
        })
    }

    /// Runs `f` on the speaker, then carries out what it led to. Call it from any thread.
    ///
    /// `f` runs under the lock that every connection needs: it must not block, and must not call a
    /// method of this driver.
    pub fn with<R>(self: &Arc<Self>, f: impl FnOnce(&mut Speaker, Instant) -> R) -> R {
        self.enter(|state, now| f(&mut state.speaker, now))
    }

    /// Gives all events from now on, and those still waiting in the speaker, to `sink`. It is called on
    /// whichever thread an event arises on, one event at a time and in order, without a lock: it may call
    /// [`Driver::with`]. Until there is a sink, events wait in the speaker, which bounds them. One that
    /// panics is called again for the next event; one that takes another's place is called when that has
    /// returned.
    pub fn set_event_sink(self: &Arc<Self>, sink: Sink) {
        // An old one is dropped without the lock.
        let _old = self.enter(|state, _| state.sink.replace(sink));
    }

    /// Starts to connect where `connection` leads.
    ///
    /// # Errors
    /// If that fails at once.
    pub fn dial(&self, connection: &Connection) -> io::Result<TcpStream> {
        let target = connection.target().ok_or(io::ErrorKind::InvalidInput)?;
        connect(&*self.setup, target)
    }

    /// The socket of [`Driver::dial`] became writable: it is open or has failed.
    ///
    /// # Errors
    /// If it has failed.
    pub fn connected<'a, S>(self: &Arc<Self>, connection: &Connection, stream: &'a S) -> io::Result<()>
    where
        SockRef<'a>: From<&'a S>,
    {
        let socket = SockRef::from(stream);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        let local = self.setup.local(socket_addr(&socket)?);
        self.with(|speaker, now| speaker.handle_connected(now, connection.id(), local));
        Ok(())
    }

    /// A connection could not be opened.
    pub fn failed(self: &Arc<Self>, connection: &Connection, error: &io::Error) {
        if let Some(target) = connection.target() {
            self.setup.dial_failed(target, error);
        }
        self.closed(connection, close_reason(error));
    }

    /// A connection from `remote` was accepted; `None`: close it.
    pub fn accepted<'a, S>(self: &Arc<Self>, stream: &'a S, remote: SocketAddr) -> Option<Arc<Connection>>
    where
        SockRef<'a>: From<&'a S>,
    {
        let socket = SockRef::from(stream);
        let options = self.options.load(Ordering::Acquire);
        let accepted = self.setup.accepted(remote, socket_addr(&socket).ok()?)?;
        self.setup.configure(&socket, &accepted).ok()?;
        socket.set_tcp_nodelay(true).ok()?;
        if self.is_stopping() {
            return None;
        }
        let connection = self.enter(|state, now| {
            let (remote, local, interface) = (accepted.remote, accepted.local, accepted.interface.as_deref());
            let id = state.speaker.handle_accepted(now, remote, local, interface);
            let connection = Arc::new(Connection::incoming(id, accepted));
            state.connections.insert(id, Arc::clone(&connection));
            connection
        });
        if self.options.load(Ordering::Acquire) != options {
            // They changed after they were set, and perhaps before anybody could find the connection.
            connection.make_stale();
        }
        Some(connection)
    }

    /// Reads once by `read`, which must not block, and hands what came to the speaker.
    pub fn read(
        self: &Arc<Self>,
        connection: &Connection,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> ReadStep {
        let spare = lock(&self.buffers).pop();
        let mut buffer = spare.unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
        let step = match read(&mut buffer) {
            Ok(0) => ReadStep::End(CloseReason::Closed),
            Ok(len) => {
                let data = buffer.get(..len).unwrap_or_default();
                let step = if len < buffer.len() { ReadStep::Wait } else { ReadStep::Again };
                if !connection.is_closing() {
                    let handle = |state: &mut State, now| {
                        state.speaker.handle_bytes(now, connection.id(), data);
                    };
                    let ((), mut due) = self.enter_due(handle);
                    // While more comes in, what goes out may change again.
                    if step == ReadStep::Wait && due.writable.len() <= ON_THE_SPOT {
                        due.writable.drain(..).for_each(|connection| self.flush_now(&connection));
                    }
                    self.carry_out(due);
                }
                step
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ReadStep::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => ReadStep::Again,
            Err(error) => ReadStep::End(close_reason(&error)),
        };
        lock(&self.buffers).push(buffer);
        step
    }

    /// Whether to wait for the peer before closing a connection on which everything is written: the input
    /// that is still under way would otherwise reset it (see [`finish`](crate::finish)).
    pub fn lingers(&self, connection: &Connection) -> bool {
        // Where nothing was written nothing can be lost.
        if !connection.has_written() {
            return false;
        }
        let mut state = lock(&self.state);
        let lingers = state.lingering.len() < LINGERING;
        if lingers {
            state.lingering.insert(connection.id());
        }
        lingers
    }

    /// The socket of a connection is closed, or was never opened.
    pub fn closed(self: &Arc<Self>, connection: &Connection, reason: CloseReason) {
        self.enter(|state, now| {
            state.connections.remove(&connection.id());
            state.lingering.remove(&connection.id());
            state.speaker.handle_closed(now, connection.id(), reason);
        });
        if self.is_stopping() {
            self.end.notify();
        }
    }

    /// Lets time pass and does some of the work that is waiting. Called in a loop by one task.
    pub fn tick(self: &Arc<Self>) -> Tick {
        if self.killed.load(Ordering::Acquire) {
            return Tick::End;
        }
        let (due, deadline) = {
            let mut state = lock(&self.state);
            let now = Clock.now();
            if state.speaker.poll_timeout().is_some_and(|deadline| deadline <= now) {
                state.speaker.handle_timeout(now);
            }
            let due = self.settle(&mut state, now);
            // Whatever is found earlier than this from here on wakes the task.
            state.armed = state.speaker.poll_timeout();
            self.retimed.store(false, Ordering::Release);
            (due, state.armed)
        };
        let busy = due.busy;
        self.carry_out(due);
        match deadline {
            _ if busy => Tick::Again,
            Some(deadline) => Tick::Sleep(Clock.until(deadline)),
            None => Tick::Wait,
        }
    }

    /// Waits until the task that ticks has to do so before the time it was told.
    pub async fn retimed(&self) {
        let due = || self.retimed.swap(false, Ordering::AcqRel) || self.killed.load(Ordering::Acquire);
        self.ticker.wait(|| due().then_some(())).await;
    }

    /// Has the options of every socket, listening or connected, set anew by [`SocketSetup::relisten`] and
    /// [`SocketSetup::reconfigure`], for they are other ones now. Sessions go on.
    pub fn refresh_sockets(&self) {
        self.options.fetch_add(1, Ordering::AcqRel);
        let connections: Vec<_> = lock(&self.state).connections.values().cloned().collect();
        connections.iter().for_each(|connection| connection.make_stale());
        self.relisten.notify();
    }

    /// Waits until the options of a listening socket change, and sets them. `seen`, 0 at first, is kept
    /// from one call to the next.
    pub async fn relisten<'a, S>(&self, listener: &'a S, seen: &mut u64)
    where
        SockRef<'a>: From<&'a S>,
    {
        let changed = || {
            let options = self.options.load(Ordering::Acquire);
            (std::mem::replace(seen, options) != options).then_some(())
        };
        self.relisten.wait(changed).await;
        let socket = SockRef::from(listener);
        if let Ok(address) = socket_addr(&socket) {
            self.setup.relisten(&socket, address);
        }
    }

    /// Sets a connection's options whenever they change, until that fails: the connection is then to be
    /// closed.
    pub async fn reconfigure<'a, S>(&self, connection: &Connection, stream: &'a S) -> io::Error
    where
        SockRef<'a>: From<&'a S>,
    {
        loop {
            connection.stale().await;
            let socket = SockRef::from(stream);
            let done = socket_addr(&socket).and_then(|local| match connection.ends(local) {
                Some(ends) => self.setup.reconfigure(&socket, &ends),
                None => Ok(()),
            });
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Begins to stop: sessions end with `text`, no connection is accepted or opened any more.
    pub fn stop(self: &Arc<Self>, text: &str) {
        self.stopping.store(true, Ordering::Release);
        self.with(|speaker, now| speaker.shutdown(now, text));
        self.end.notify();
    }

    /// Waits until [`Driver::stop`].
    pub async fn stopping(&self) {
        self.end.wait(|| self.is_stopping().then_some(())).await;
    }

    /// One of the tasks that accept has closed its socket.
    pub fn listener_closed(&self) {
        {
            let mut state = lock(&self.state);
            state.listeners = state.listeners.saturating_sub(1);
        }
        self.end.notify();
    }

    /// Waits until every socket is closed.
    pub async fn drained(&self) {
        self.end
            .wait(|| {
                let state = lock(&self.state);
                (state.connections.is_empty() && state.listeners == 0).then_some(())
            })
            .await;
    }

    /// Makes every task end at once.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        let connections: Vec<_> = lock(&self.state).connections.values().cloned().collect();
        connections.iter().for_each(|connection| connection.kill());
        self.wake_ticker();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn wake_ticker(&self) {
        self.retimed.store(true, Ordering::Release);
        self.ticker.notify();
    }

    /// Locks, runs `f`, takes out what it led to, unlocks and carries it out.
    fn enter<R>(self: &Arc<Self>, f: impl FnOnce(&mut State, Instant) -> R) -> R {
        let (result, due) = self.enter_due(f);
        self.carry_out(due);
        result
    }

    /// Locks, runs `f`, takes out what it led to and unlocks.
    fn enter_due<R>(&self, f: impl FnOnce(&mut State, Instant) -> R) -> (R, Due) {
        let mut state = lock(&self.state);
        // After locking, so that the speaker's time never goes back.
        let now = Clock.now();
        let result = f(&mut state, now);
        (result, self.settle(&mut state, now))
    }

    /// Does what must not be done under the lock.
    fn carry_out(self: &Arc<Self>, due: Due) {
        due.writable.iter().for_each(|connection| connection.wake_writable());
        for connection in due.opens {
            H::open(self, connection);
        }
        if let Some(sink) = due.sink {
            self.deliver(sink, due.events);
        }
    }

    /// Takes actions and events out of the speaker and wakes whom they are for.
    fn settle(&self, state: &mut State, now: Instant) -> Due {
        let mut due = Due { busy: state.speaker.work(now, WORK_SLICE), ..Due::default() };
        while let Some(action) = state.speaker.poll_action() {
            match action {
                Action::Connect { conn, target, .. } if !self.is_stopping() => {
                    let connection = Arc::new(Connection::outgoing(conn, target));
                    state.connections.insert(conn, Arc::clone(&connection));
                    due.opens.push(connection);
                }
                Action::Writable(conn) => {
                    due.writable.extend(state.connections.get(&conn).cloned());
                }
                Action::Close(conn) => {
                    if let Some(connection) = state.connections.get(&conn) {
                        connection.close();
                    }
                }
                _ => {}
            }
        }
        if state.sink.is_some() && !state.delivering {
            due.events = state.take_events();
            if !due.events.is_empty() {
                due.sink = state.sink.take();
                state.delivering = true;
            }
        }
        // A deadline that moved away wakes nobody: the task finds nothing due and sleeps on.
        let earlier = match (state.speaker.poll_timeout(), state.armed) {
            (Some(next), Some(armed)) => next < armed,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        if due.busy || earlier {
            self.wake_ticker();
        }
        due
    }

    /// Gives events to the sink until there are none. Whoever holds the sink delivers for everyone, so
    /// order is kept without a lock on it.
    fn deliver(&self, mut sink: Sink, mut events: Vec<Event>) {
        while !events.is_empty() {
            for event in events {
                // A panic in it has been reported where it happened; the next event is another one.
                let _ = catch_unwind(AssertUnwindSafe(|| sink(event)));
            }
            // A sink that was set meanwhile gets what is left. The old one goes without the lock, for what it
            // holds is not known here.
            let mut state = lock(&self.state);
            let old = state.sink.take().map(|new| std::mem::replace(&mut sink, new));
            events = state.take_events();
            if events.is_empty() {
                state.sink = Some(sink);
                state.delivering = false;
                drop(state);
                drop(old);
                return;
            }
        }
    }
}

impl State {
    fn take_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.speaker.poll_event()).take(EVENT_BATCH).collect()
    }
}

impl<H> fmt::Debug for Driver<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("stopping", &self.stopping).finish_non_exhaustive()
    }
}

/// A panic in someone's closure has been reported where it happened; the other neighbours' sessions go
/// on.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket_addr(socket: &SockRef<'_>) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}
