//! Peerage on smol: sockets, clock and wake-ups for a [`Speaker`], no protocol decisions.
//!
//! One lock around the speaker, one task for each connection and each listening socket, one for the
//! time. A task that has read bytes hands them in and carries out what follows; the lock is never held
//! across an await. All that does not depend on smol is in [`peerage_sockets`].
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use peerage_core::Speaker;
//! use peerage_sockets::{Clock, Direct, seed};
//! use peerage_smol::Node;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // smol's own executor has a thread of its own; a program with an executor uses `Node::spawn_on`.
//! let speaker = Speaker::new(seed(), Clock.now());
//! let node = Node::spawn(speaker, Arc::new(Direct), &["127.0.0.1:0".parse()?])?;
//! node.set_event_sink(Box::new(|event| println!("{event:?}")));
//! let neighbors = node.with(|speaker, _now| speaker.neighbors());
//! assert!(neighbors.is_empty());
//! node.shutdown_blocking("maintenance", Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```

use std::{
    future::Future,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use peerage_core::{
    Speaker,
    speaker::{CloseReason, Event},
    time::Instant,
};
use peerage_sockets::{
    Connection, Driver, Flushed, Host, LINGER, ReadStep, SocketSetup, Tick, accept_pause, close_reason,
    finish, listen, reset_on_close,
};
use smol::{
    Async, Executor, Timer,
    future::{or, yield_now},
};

/// A speaker that runs. A handle: clones are of the same node, which runs until it is shut down or its
/// runtime ends, whether or not there are handles.
#[derive(Clone, Debug)]
pub struct Node {
    driver: Arc<Driver<Smol>>,
    listening: Arc<[SocketAddr]>,
}

/// `None`: smol's own executor.
#[derive(Debug)]
struct Smol(Option<Arc<Executor<'static>>>);

impl Smol {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Some(executor) => executor.spawn(task).detach(),
            None => smol::spawn(task).detach(),
        }
    }
}

impl Host for Smol {
    fn open(driver: &Arc<Driver<Self>>, connection: Arc<Connection>) {
        driver.host.spawn(open(Arc::clone(driver), connection));
    }
}

impl Node {
    /// Runs `speaker` on smol's own executor, accepting connections on `addresses`. When it returns, they
    /// are bound.
    ///
    /// The speaker must have been made with the time of [`peerage_sockets::Clock`].
    ///
    /// # Errors
    /// If an address cannot be listened on; the text says which and why.
    pub fn spawn(
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        addresses: &[SocketAddr],
    ) -> io::Result<Self> {
        Self::start(Smol(None), speaker, setup, addresses)
    }

    /// [`Node::spawn`] on a given executor, which some thread runs.
    ///
    /// # Errors
    /// If an address cannot be listened on; the text says which and why.
    pub fn spawn_on(
        executor: &Arc<Executor<'static>>,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        addresses: &[SocketAddr],
    ) -> io::Result<Self> {
        Self::start(Smol(Some(Arc::clone(executor))), speaker, setup, addresses)
    }

    fn start(
        host: Smol,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        addresses: &[SocketAddr],
    ) -> io::Result<Self> {
        let listeners = addresses
            .iter()
            .map(|&address| Async::new_nonblocking(listen(&*setup, address)?))
            .collect::<io::Result<Vec<_>>>()?;
        let listening =
            listeners.iter().map(|listener| listener.get_ref().local_addr()).collect::<io::Result<_>>()?;
        let driver = Driver::new(host, speaker, setup, listeners.len());
        for listener in listeners {
            driver.host.spawn(accept(Arc::clone(&driver), listener));
        }
        driver.host.spawn(tick(Arc::clone(&driver)));
        Ok(Self { driver, listening })
    }

    /// Runs `f` on the speaker, then carries out what it led to. Call it from any thread, in a task too.
    ///
    /// `f` runs under the lock that every connection needs: it must not block, and must not call a
    /// method of this node.
    pub fn with<R>(&self, f: impl FnOnce(&mut Speaker, Instant) -> R) -> R {
        self.driver.with(f)
    }

    /// The addresses that are listened on, with their real ports.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.listening.to_vec()
    }

    /// Gives all events from now on, and those still waiting in the speaker, to `sink`. It is called on
    /// whichever thread an event arises on, one event at a time and in order, without a lock: it may call
    /// [`Node::with`], and must not block. Until there is a sink, events wait in the speaker, which
    /// bounds them.
    pub fn set_event_sink(&self, sink: Box<dyn FnMut(Event) + Send>) {
        self.driver.set_event_sink(sink);
    }

    /// Has the options of every socket, listening or connected, set anew by
    /// [`SocketSetup::relisten`] and [`SocketSetup::reconfigure`]. Call it after what the setup takes them
    /// from has changed: keys, for instance. Sessions go on.
    pub fn refresh_sockets(&self) {
        self.driver.refresh_sockets();
    }

    /// Ends all sessions with Cease 6/2 and `text`, waits until their last octets are written and their
    /// sockets closed, for `limit` at most, and ends all tasks. The speaker can still be looked at.
    pub async fn shutdown(&self, text: &str, limit: Duration) {
        self.driver.stop(text);
        // Late or not, what is left ends now.
        or(self.driver.drained(), sleep(limit)).await;
        self.driver.kill();
        // Only a task that does not get to run is still there then.
        or(self.driver.drained(), sleep(LINGER)).await;
    }

    /// [`Node::shutdown`] for a thread that is not the executor's. Within a task, await
    /// [`Node::shutdown`]: blocking there would keep from running what it waits for.
    pub fn shutdown_blocking(&self, text: &str, limit: Duration) {
        smol::block_on(self.shutdown(text, limit));
    }
}

/// Tells the speaker the time and does its waiting work, in turns with everyone else.
async fn tick(driver: Arc<Driver<Smol>>) {
    loop {
        match driver.tick() {
            Tick::Again => yield_now().await,
            Tick::Sleep(time) => or(driver.retimed(), sleep(time)).await,
            Tick::Wait => driver.retimed().await,
            Tick::End => return,
        }
    }
}

async fn accept(driver: Arc<Driver<Smol>>, listener: Async<TcpListener>) {
    let mut seen = 0;
    loop {
        let next = async {
            loop {
                let accept = async { Some(listener.accept().await) };
                let relisten = async {
                    driver.relisten(listener.get_ref(), &mut seen).await;
                    None
                };
                if let Some(accepted) = or(relisten, accept).await {
                    break Some(accepted);
                }
            }
        };
        let stop = async {
            driver.stopping().await;
            None
        };
        match or(stop, next).await {
            None => break,
            Some(Ok((stream, remote))) => {
                if let Some(connection) = driver.accepted(stream.get_ref(), remote) {
                    driver.host.spawn(serve(Arc::clone(&driver), connection, stream));
                }
                // A flood never makes it wait, and smol does not take turns by itself.
                yield_now().await;
            }
            Some(Err(error)) => {
                if let Some(pause) = accept_pause(&error) {
                    sleep(pause).await;
                }
            }
        }
    }
    drop(listener);
    driver.listener_closed();
}

async fn open(driver: Arc<Driver<Smol>>, connection: Arc<Connection>) {
    let opening = async {
        let stream = Async::new_nonblocking(driver.dial(&connection)?)?;
        stream.writable().await?;
        driver.connected(&connection, stream.get_ref())?;
        Ok(Some(stream))
    };
    let given_up = async {
        connection.closing().await;
        io::Result::Ok(None)
    };
    match or(opening, given_up).await {
        Ok(Some(stream)) => serve(driver, connection, stream).await,
        Ok(None) => driver.closed(&connection, CloseReason::Failed),
        Err(error) => driver.failed(&connection, &error),
    }
}

/// Runs an open connection to its end.
async fn serve(driver: Arc<Driver<Smol>>, connection: Arc<Connection>, stream: Async<TcpStream>) {
    let stream = Arc::new(stream);
    // Weak: a task that is dropped takes its socket along.
    let socket = Arc::downgrade(&stream);
    connection.attach(Box::new(move |octets| match socket.upgrade() {
        Some(socket) => socket.get_ref().write(octets),
        None => Err(io::ErrorKind::NotConnected.into()),
    }));
    let reason = exchange(&driver, &connection, &stream).await;
    // The socket goes first: whoever waits for the connection to be gone may want its port.
    connection.detach();
    drop(stream);
    driver.closed(&connection, reason);
}

async fn exchange(
    driver: &Arc<Driver<Smol>>,
    connection: &Connection,
    stream: &Async<TcpStream>,
) -> CloseReason {
    // Both directions at once: a peer that does not read can still be heard.
    let receiving = async { Some(receive(driver, connection, stream).await) };
    let sending = async { send(driver, connection, stream).await.err().map(|error| close_reason(&error)) };
    let late = async {
        overdue(connection).await;
        reset_on_close(stream.get_ref());
        Some(CloseReason::Failed)
    };
    let changing = async { Some(close_reason(&driver.reconfigure(connection, stream.get_ref()).await)) };
    if let Some(reason) = or(receiving, or(sending, or(late, changing))).await {
        return reason;
    }
    if driver.lingers(connection) {
        finish(stream.get_ref());
        let receiving = async { _ = receive(driver, connection, stream).await };
        let late = async {
            overdue(connection).await;
            reset_on_close(stream.get_ref());
        };
        or(receiving, late).await;
    }
    CloseReason::Failed
}

/// Hands in what comes, until nothing will.
async fn receive(
    driver: &Arc<Driver<Smol>>,
    connection: &Connection,
    stream: &Async<TcpStream>,
) -> CloseReason {
    loop {
        match driver.read(connection, |buffer| stream.get_ref().read(buffer)) {
            ReadStep::Again => yield_now().await,
            ReadStep::Wait => {
                if let Err(error) = stream.readable().await {
                    return close_reason(&error);
                }
            }
            ReadStep::End(reason) => return reason,
        }
    }
}

/// Writes what there is to write, until there will be no more.
async fn send(
    driver: &Arc<Driver<Smol>>,
    connection: &Connection,
    stream: &Async<TcpStream>,
) -> io::Result<()> {
    loop {
        // Asked first: what the speaker still had to say when it was done is then written below.
        let last = connection.is_closing();
        match driver.flush(connection)? {
            Flushed::More => yield_now().await,
            Flushed::Blocked => stream.writable().await?,
            Flushed::Idle if last => return Ok(()),
            Flushed::Idle => connection.writable().await,
        }
    }
}

/// When a connection has to be gone, finished or not.
async fn overdue(connection: &Connection) {
    connection.closing().await;
    or(connection.killed(), sleep(LINGER)).await;
}

async fn sleep(time: Duration) {
    Timer::after(time).await;
}
