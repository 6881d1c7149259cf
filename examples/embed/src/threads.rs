//! What waits in blocking calls: the threads around the speaker, none of which knows anything about BGP.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, SyncSender},
    thread,
    time::Duration,
};

use bytes::Bytes;
use peerage_core::speaker::{CloseReason, ConnId};

/// What the threads tell the owner of the speaker.
pub(crate) enum Fact {
    Accepted(TcpStream),
    Connected(ConnId, io::Result<TcpStream>),
    Bytes(ConnId, Vec<u8>),
    Written(ConnId),
    Closed(ConnId, CloseReason),
}

/// Accepts connections for as long as there is a daemon.
pub(crate) fn accept(listener: &TcpListener, facts: &SyncSender<Fact>) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if facts.send(Fact::Accepted(stream)).is_err() {
                    return;
                }
            }
            // Out of descriptors, most likely: that passes.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Reads a connection to its end.
pub(crate) fn read(conn: ConnId, mut stream: &TcpStream, facts: &SyncSender<Fact>) {
    let mut buffer = vec![0; 65_536];
    let reason = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break CloseReason::Closed,
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                if facts.send(Fact::Bytes(conn, bytes)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break reason(&error),
        }
    };
    // Nobody to tell is fine: then the daemon is gone.
    drop(facts.send(Fact::Closed(conn, reason)));
}

/// Writes what it is given, and says so.
pub(crate) fn write(
    conn: ConnId,
    mut stream: &TcpStream,
    chunks: &Receiver<Bytes>,
    facts: &SyncSender<Fact>,
) {
    while let Ok(bytes) = chunks.recv() {
        let fact = match stream.write_all(&bytes) {
            Ok(()) => Fact::Written(conn),
            Err(error) => Fact::Closed(conn, reason(&error)),
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}

/// Both ends of a connection. On a socket for both families an IPv4 address comes as an IPv6 one.
pub(crate) fn addresses(stream: &TcpStream) -> io::Result<(SocketAddr, SocketAddr)> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    Ok((plain(stream.peer_addr()?), plain(stream.local_addr()?)))
}

pub(crate) fn reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => CloseReason::Refused,
        io::ErrorKind::TimedOut => CloseReason::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => CloseReason::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CloseReason::Reset,
        _ => CloseReason::Failed,
    }
}
