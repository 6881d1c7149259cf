//! TCP sockets as BGP wants them, and their errors in words that help.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use peerage_core::speaker::{CloseReason, ConnectTarget};
use socket2::{Domain, Protocol, Socket, Type};

use crate::SocketSetup;

/// Connections that the system keeps until they are accepted. Linux caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// How long accepting rests after the system ran out of something: as long as it takes to close a few
/// connections, not so long that a peer would notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that the speaker is done with may take to carry its last octets to the peer.
/// Nothing but its own socket waits for this.
pub const LINGER: Duration = Duration::from_secs(1);

/// Starts to connect to `target`, without waiting. When the socket becomes writable it is connected, or
/// has an error to be taken.
///
/// # Errors
/// If `setup` has no addresses for it, an option cannot be set, or the system knows at once that it
/// cannot connect. The text names the addresses.
pub fn connect(setup: &dyn SocketSetup, target: &ConnectTarget) -> io::Result<TcpStream> {
    let dial = setup.dial(target)?;
    let socket = Socket::new(Domain::for_address(dial.remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    setup.prepare(&socket, &dial, &target.socket)?;
    if let Some(bind) = dial.bind {
        socket.bind(&bind.into()).map_err(|error| {
            explain(&error, &format!("cannot connect to {} from {}", dial.remote, bind.ip()), bind)
        })?;
    }
    match socket.connect(&dial.remote.into()) {
        Err(error) if !in_progress(&error) => {
            Err(explain(&error, &format!("cannot connect to {}", dial.remote), dial.remote))
        }
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

/// Listens on `address`; port 0 takes any free one.
///
/// An IPv6 socket takes IPv6 connections only, so that `0.0.0.0` and `[::]` can both be listened on and
/// no peer has two forms of its address.
///
/// # Errors
/// If the address cannot be had. The text names it and says what would help.
pub fn listen(setup: &dyn SocketSetup, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Elsewhere than on Unix it would let two processes share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    setup.listen(&socket, address)?;
    socket
        .bind(&address.into())
        .and_then(|()| socket.listen(BACKLOG))
        .map_err(|error| explain(&error, &format!("cannot listen on {address}"), address))?;
    Ok(socket.into())
}

/// What a speaker is told about a connection that failed with `error`.
pub fn close_reason(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => CloseReason::Refused,
        io::ErrorKind::TimedOut => CloseReason::TimedOut,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::PermissionDenied => CloseReason::Unreachable,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            CloseReason::Reset
        }
        io::ErrorKind::UnexpectedEof => CloseReason::Closed,
        _ => CloseReason::Failed,
    }
}

/// How long to wait before accepting again after `error`. `None`: at once, for only the connection that
/// was to be accepted has failed. Otherwise the system is short of something, such as descriptors, and
/// trying again at once would only burn the processor.
pub fn accept_pause(error: &io::Error) -> Option<Duration> {
    match error.kind() {
        io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::Interrupted
        | io::ErrorKind::WouldBlock => None,
        _ => Some(ACCEPT_PAUSE),
    }
}

/// Says on the wire that no more will be written.
///
/// The peer can then read everything and close its end, which is to be waited for: closing with input
/// unread resets the connection, and the reset can overtake the NOTIFICATION that says why.
pub fn finish<'a, S>(socket: &'a S)
where
    socket2::SockRef<'a>: From<&'a S>,
{
    // It can only fail on a connection that the peer has ended, which is what is wanted.
    let _ = socket2::SockRef::from(socket).shutdown(Shutdown::Write);
}

/// Makes closing `socket` discard what is not sent yet: a peer that has stopped reading would otherwise
/// keep it in the kernel's memory for minutes.
pub fn reset_on_close<'a, S>(socket: &'a S)
where
    socket2::SockRef<'a>: From<&'a S>,
{
    // It can only fail on a socket that is gone, which then holds nothing.
    let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Whether a non-blocking connect has merely begun.
fn in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// The error with what failed in front and what would help behind it.
fn explain(error: &io::Error, what: &str, address: SocketAddr) -> io::Error {
    let port = address.port();
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse if port != 0 => {
            format!("port {port} is in use: stop the other BGP speaker, or configure another port")
        }
        io::ErrorKind::PermissionDenied if (1..1024).contains(&port) => {
            format!(
                "port {port} needs CAP_NET_BIND_SERVICE: add the capability, or configure a port from 1024 up"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is on no interface of this host: configure an address that is", address.ip())
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{what}: {remedy}"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use peerage_core::speaker::SocketOptions;

    use super::*;
    use crate::Direct;

    const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn target(remote: SocketAddr, local: Option<&str>) -> ConnectTarget {
        ConnectTarget {
            remote,
            local: local.map(|local| local.parse().expect("an address")),
            interface: None,
            socket: SocketOptions::default(),
        }
    }

    #[test]
    fn a_connection_comes_from_its_source_address() {
        let listener = listen(&Direct, ANY_PORT).expect("listen");
        listener.set_nonblocking(false).expect("blocking");
        let address = listener.local_addr().expect("an address");
        let stream = connect(&Direct, &target(address, Some("127.0.0.9"))).expect("connect");
        let (_, from) = listener.accept().expect("accept");
        assert_eq!(from.ip(), "127.0.0.9".parse::<IpAddr>().expect("an address"));
        assert!(stream.nodelay().expect("nodelay"));
    }

    #[test]
    fn errors_name_the_address_and_the_remedy() {
        let listener = listen(&Direct, ANY_PORT).expect("listen");
        let address = listener.local_addr().expect("an address");
        let error = listen(&Direct, address).expect_err("in use").to_string();
        assert!(error.contains(&address.to_string()) && error.contains("in use: stop"), "{error}");

        let error = listen(&Direct, "192.0.2.1:0".parse().expect("an address")).expect_err("not here");
        assert!(error.to_string().contains("192.0.2.1 is on no interface"), "{error}");
        assert_eq!(close_reason(&error), CloseReason::Unreachable);

        let error = connect(&Direct, &target(address, Some("192.0.2.1"))).expect_err("not here");
        assert!(error.to_string().contains("192.0.2.1 is on no interface"), "{error}");

        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = explain(&denied, "cannot listen", "0.0.0.0:179".parse().expect("an address"));
        assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"), "{error}");
    }

    #[test]
    fn both_wildcards_can_be_listened_on() {
        // A port that is free on one may be taken on the other.
        let both = (0..20).any(|_| {
            let Ok(v6) = listen(&Direct, "[::]:0".parse().expect("an address")) else { return true };
            let port = v6.local_addr().expect("an address").port();
            listen(&Direct, SocketAddr::from(([0, 0, 0, 0], port))).is_ok()
        });
        assert!(both, "IPv4 beside IPv6");
    }

    #[test]
    fn accepting_rests_only_when_the_system_is_short_of_something() {
        // 24 is EMFILE on every Unix.
        assert!(accept_pause(&io::Error::from_raw_os_error(24)).is_some());
        assert!(accept_pause(&io::Error::from(io::ErrorKind::ConnectionAborted)).is_none());
    }
}
