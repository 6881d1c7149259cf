//! Peerage on tokio: sockets, clock and wake-ups for a [`Speaker`], no protocol decisions.
//!
//! One lock around the speaker, one task for each connection and each listening socket, one for the
//! time. A task that has read bytes hands them in and carries out what follows; the lock is never held
//! across an await. All that does not depend on tokio is in [`peerage_sockets`].
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use peerage_core::Speaker;
//! use peerage_sockets::{Clock, Direct, seed};
//! use peerage_tokio::Node;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Within a runtime this is `Node::spawn`; a program without one gives it a thread.
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! let handle = runtime.handle().clone();
//! std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
//!
//! let speaker = Speaker::new(seed(), Clock.now());
//! let node = Node::spawn_on(&handle, speaker, Arc::new(Direct), &["127.0.0.1:0".parse()?])?;
//! node.set_event_sink(Box::new(|event| println!("{event:?}")));
//! let neighbors = node.with(|speaker, _now| speaker.neighbors());
//! assert!(neighbors.is_empty());
//! node.shutdown_blocking("maintenance", Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```

use std::{
    io::{self, Read as _},
    net::SocketAddr,
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
use socket2::SockRef;
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream},
    runtime::Handle,
    task::yield_now,
    time::{sleep, timeout},
};

/// A speaker that runs. A handle: clones are of the same node, which runs until it is shut down or its
/// runtime ends, whether or not there are handles.
#[derive(Clone, Debug)]
pub struct Node {
    driver: Arc<Driver<Tokio>>,
    listening: Arc<[SocketAddr]>,
}

#[derive(Debug)]
struct Tokio(Handle);

impl Host for Tokio {
    fn open(driver: &Arc<Driver<Self>>, connection: Arc<Connection>) {
        driver.host.0.spawn(open(Arc::clone(driver), connection));
    }
}

impl Node {
    /// Runs `speaker` on the tokio runtime of the caller, accepting connections on `addresses`. When it
    /// returns, they are bound.
    ///
    /// The speaker must have been made with the time of [`peerage_sockets::Clock`].
    ///
    /// # Errors
    /// If there is no runtime, or an address cannot be listened on; the text says which and why.
    pub fn spawn(
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        addresses: &[SocketAddr],
    ) -> io::Result<Self> {
        let handle = Handle::try_current().map_err(io::Error::other)?;
        Self::spawn_on(&handle, speaker, setup, addresses)
    }

    /// [`Node::spawn`] on a given runtime, from anywhere.
    ///
    /// # Errors
    /// If an address cannot be listened on; the text says which and why.
    pub fn spawn_on(
        handle: &Handle,
        speaker: Speaker,
        setup: Arc<dyn SocketSetup>,
        addresses: &[SocketAddr],
    ) -> io::Result<Self> {
        let _context = handle.enter();
        let listeners = addresses
            .iter()
            .map(|&address| TcpListener::from_std(listen(&*setup, address)?))
            .collect::<io::Result<Vec<_>>>()?;
        let listening = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let driver = Driver::new(Tokio(handle.clone()), speaker, setup, listeners.len());
        for listener in listeners {
            handle.spawn(accept(Arc::clone(&driver), listener));
        }
        handle.spawn(tick(Arc::clone(&driver)));
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
        let _ = timeout(limit, self.driver.drained()).await;
        self.driver.kill();
        // Only a task that does not get to run is still there then.
        let _ = timeout(LINGER, self.driver.drained()).await;
    }

    /// [`Node::shutdown`] for a thread that is not the runtime's.
    ///
    /// # Panics
    /// If it is called within a task: await [`Node::shutdown`] there.
    pub fn shutdown_blocking(&self, text: &str, limit: Duration) {
        self.driver.host.0.block_on(self.shutdown(text, limit));
    }
}

/// Tells the speaker the time and does its waiting work, in turns with everyone else.
async fn tick(driver: Arc<Driver<Tokio>>) {
    loop {
        match driver.tick() {
            Tick::Again => yield_now().await,
            Tick::Sleep(time) => _ = timeout(time, driver.retimed()).await,
            Tick::Wait => driver.retimed().await,
            Tick::End => return,
        }
    }
}

async fn accept(driver: Arc<Driver<Tokio>>, listener: TcpListener) {
    let mut seen = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = driver.relisten(&listener, &mut seen) => continue,
            () = driver.stopping() => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                if let Some(connection) = driver.accepted(&stream, remote) {
                    driver.host.0.spawn(serve(Arc::clone(&driver), connection, stream));
                }
            }
            Err(error) => {
                if let Some(pause) = accept_pause(&error) {
                    sleep(pause).await;
                }
            }
        }
    }
    drop(listener);
    driver.listener_closed();
}

async fn open(driver: Arc<Driver<Tokio>>, connection: Arc<Connection>) {
    let opening = async {
        let stream = TcpStream::from_std(driver.dial(&connection)?)?;
        stream.writable().await?;
        driver.connected(&connection, &stream)?;
        Ok(stream)
    };
    let opened = tokio::select! {
        opened = opening => opened,
        () = connection.closing() => return driver.closed(&connection, CloseReason::Failed),
    };
    match opened {
        Ok(stream) => serve(driver, connection, stream).await,
        Err(error) => driver.failed(&connection, &error),
    }
}

/// Runs an open connection to its end.
async fn serve(driver: Arc<Driver<Tokio>>, connection: Arc<Connection>, stream: TcpStream) {
    let stream = Arc::new(stream);
    // Weak: a task that is dropped takes its socket along.
    let socket = Arc::downgrade(&stream);
    connection.attach(Box::new(move |octets| match socket.upgrade() {
        Some(socket) => socket.try_write(octets),
        None => Err(io::ErrorKind::NotConnected.into()),
    }));
    let reason = exchange(&driver, &connection, &stream).await;
    // The socket goes first: whoever waits for the connection to be gone may want its port.
    connection.detach();
    drop(stream);
    driver.closed(&connection, reason);
}

async fn exchange(driver: &Arc<Driver<Tokio>>, connection: &Connection, stream: &TcpStream) -> CloseReason {
    // Both directions at once: a peer that does not read can still be heard.
    let sent = tokio::select! {
        reason = receive(driver, connection, stream) => return reason,
        sent = send(driver, connection, stream) => sent,
        error = driver.reconfigure(connection, stream) => return close_reason(&error),
        () = overdue(connection) => {
            reset_on_close(stream);
            return CloseReason::Failed;
        }
    };
    if let Err(error) = sent {
        return close_reason(&error);
    }
    if driver.lingers(connection) {
        finish(stream);
        tokio::select! {
            _ = receive(driver, connection, stream) => {}
            () = overdue(connection) => reset_on_close(stream),
        }
    }
    CloseReason::Failed
}

/// Hands in what comes, until nothing will.
async fn receive(driver: &Arc<Driver<Tokio>>, connection: &Connection, stream: &TcpStream) -> CloseReason {
    loop {
        match driver.read(connection, |buffer| read(stream, buffer)) {
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

/// Reads once. A read that leaves room in the buffer has emptied the socket: tokio is told so, as its own
/// readers do it, or it would have the socket read again only to hear that there is nothing.
fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = None;
    let result = stream.try_io(Interest::READABLE, || {
        let len = (&*SockRef::from(stream)).read(buffer)?;
        got = Some(len);
        if len == 0 || len == buffer.len() { Ok(len) } else { Err(io::ErrorKind::WouldBlock.into()) }
    });
    got.map_or(result, Ok)
}

/// Writes what there is to write, until there will be no more.
async fn send(driver: &Arc<Driver<Tokio>>, connection: &Connection, stream: &TcpStream) -> io::Result<()> {
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
    let _ = timeout(LINGER, connection.killed()).await;
}
