//! What a host, a test or a laboratory has to say about sockets.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
};

use peerage_core::speaker::{ConnectTarget, SocketOptions};
use socket2::Socket;

use crate::interface;

/// The addresses of a connection to be opened, as the operating system is to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Where to connect from; `None` leaves it to the system.
    pub bind: Option<SocketAddr>,
    /// Where to connect to.
    pub remote: SocketAddr,
}

/// The addresses of an accepted connection, or of any that is open, as the speaker is to see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The peer.
    pub remote: SocketAddr,
    /// This end.
    pub local: SocketAddr,
    /// The interface, where the peer's address is link-local.
    pub interface: Option<String>,
}

/// Called before a socket connects, before it listens and after it has accepted.
///
/// Every method has a default that takes addresses as they are; [`Direct`] has only these. Implement it
/// to set what an operating system knows and this crate does not (TCP MD5, GTSM, a device to bind to),
/// or to put addresses that exist nowhere onto sockets that do, as a laboratory does.
///
/// The methods are called on the runtime's threads: they must not block.
///
/// ```
/// use std::net::SocketAddr;
///
/// use peerage_core::speaker::ConnectTarget;
/// use peerage_sockets::{Dial, SocketSetup};
///
/// /// Every neighbour is really on this host, at its own port number plus 10,000.
/// struct Shifted;
///
/// impl SocketSetup for Shifted {
///     fn dial(&self, target: &ConnectTarget) -> std::io::Result<Dial> {
///         let remote = SocketAddr::from(([127, 0, 0, 1], target.remote.port() + 10_000));
///         Ok(Dial { bind: None, remote })
///     }
/// }
/// ```
pub trait SocketSetup: Send + Sync + 'static {
    /// Which addresses a connection to `target` really uses.
    ///
    /// # Errors
    /// If they cannot be had: the connection then counts as one that could not be opened.
    fn dial(&self, target: &ConnectTarget) -> io::Result<Dial> {
        direct(target)
    }

    /// What the speaker is told of the real local address of a connection that it asked for.
    fn local(&self, local: SocketAddr) -> SocketAddr {
        local
    }

    /// What the speaker is told of an accepted connection; `None` closes it without a word.
    fn accepted(&self, remote: SocketAddr, local: SocketAddr) -> Option<Accepted> {
        let interface = match remote {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => interface::name(v6.scope_id()),
            SocketAddr::V4(_) | SocketAddr::V6(_) => None,
        };
        Some(Accepted { remote, local, interface })
    }

    /// Sets a neighbour's options on a socket that is about to connect as `dial` says.
    ///
    /// # Errors
    /// If an option cannot be set: the connection is then not opened, for a neighbour that asks for a
    /// key must never be talked to without it.
    fn prepare(&self, socket: &Socket, dial: &Dial, options: &SocketOptions) -> io::Result<()> {
        let _ = dial;
        set_options(socket, options)
    }

    /// Sets options on a socket that is about to be bound to `address` and to listen there.
    ///
    /// # Errors
    /// If an option cannot be set: [`listen`](crate::listen) then fails.
    fn listen(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        let _ = (socket, address);
        Ok(())
    }

    /// Sets options on an accepted connection, before the speaker is told of it.
    ///
    /// # Errors
    /// If an option cannot be set: the connection is then closed without a word.
    fn configure(&self, socket: &Socket, accepted: &Accepted) -> io::Result<()> {
        let _ = (socket, accepted);
        Ok(())
    }

    /// Sets options anew on a socket that listens on `address`: what [`SocketSetup::listen`] set them from has
    /// changed, as somebody said by [`Driver::refresh_sockets`](crate::Driver::refresh_sockets). What cannot be
    /// set is for the implementation to report: the others' connections still have to be accepted.
    fn relisten(&self, socket: &Socket, address: SocketAddr) {
        let _ = (socket, address);
    }

    /// Sets options anew on an open connection, opened by either end, likewise.
    ///
    /// # Errors
    /// If an option cannot be set: the connection is then closed.
    fn reconfigure(&self, socket: &Socket, connection: &Accepted) -> io::Result<()> {
        let _ = (socket, connection);
        Ok(())
    }

    /// A connection to `target` could not be opened. The speaker is told a
    /// [`CloseReason`](peerage_core::speaker::CloseReason); `error` has what people want to read.
    fn dial_failed(&self, target: &ConnectTarget, error: &io::Error) {
        let _ = (target, error);
    }
}

/// Addresses and options as the speaker says them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl SocketSetup for Direct {}

/// The addresses of `target`, with the interface's number where they are link-local.
fn direct(target: &ConnectTarget) -> io::Result<Dial> {
    let remote = match target.remote {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => scoped(v6, target)?,
        remote => remote,
    };
    let bind = match target.local {
        None => None,
        Some(local) if local.is_ipv4() != remote.is_ipv4() => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the source address {local} and the peer {} are of different families", remote.ip()),
            ));
        }
        Some(IpAddr::V6(v6)) if v6.is_unicast_link_local() => {
            Some(scoped(SocketAddrV6::new(v6, 0, 0, 0), target)?)
        }
        Some(local) => Some(SocketAddr::new(local, 0)),
    };
    Ok(Dial { bind, remote })
}

/// A link-local address with its scope: the one it came with, or the interface's.
fn scoped(address: SocketAddrV6, target: &ConnectTarget) -> io::Result<SocketAddr> {
    let scope = match (&target.interface, address.scope_id()) {
        (Some(interface), _) => interface::index(interface)?,
        (None, 0) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is link-local: configure the neighbour by its interface", address.ip()),
            ));
        }
        (None, scope) => scope,
    };
    Ok(SocketAddrV6::new(*address.ip(), address.port(), 0, scope).into())
}

/// What the portable socket interface can do of a neighbour's options.
fn set_options(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    // A security option that is asked for and not set would fail open.
    if options.md5_key.is_some() {
        return Err(unsupported("a TCP MD5 key"));
    }
    if options.min_ttl.is_some() {
        return Err(unsupported("a minimum TTL (GTSM)"));
    }
    let Some(ttl) = options.ttl else { return Ok(()) };
    if socket.local_addr()?.is_ipv6() {
        socket.set_unicast_hops_v6(ttl.into())
    } else {
        socket.set_ttl_v4(ttl.into())
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "{what} is not supported by the plain socket setup: take it out of the neighbour, or use a SocketSetup for this system"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(remote: &str, local: Option<&str>, interface: Option<&str>) -> ConnectTarget {
        ConnectTarget {
            remote: remote.parse().expect("an address"),
            local: local.map(|local| local.parse().expect("an address")),
            interface: interface.map(str::to_owned),
            socket: SocketOptions::default(),
        }
    }

    #[test]
    fn addresses_are_taken_as_they_are() {
        let dial = Direct.dial(&target("192.0.2.1:179", Some("192.0.2.2"), None)).expect("dial");
        assert_eq!(dial.remote, "192.0.2.1:179".parse().expect("an address"));
        assert_eq!(dial.bind, Some("192.0.2.2:0".parse().expect("an address")));
        assert_eq!(Direct.dial(&target("192.0.2.1:179", None, None)).expect("dial").bind, None);
    }

    #[test]
    fn families_must_agree() {
        let error = Direct.dial(&target("192.0.2.1:179", Some("2001:db8::1"), None)).expect_err("mixed");
        assert!(error.to_string().contains("different families"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_link_local_peer_gets_its_interface() {
        let number = interface::index("lo").expect("lo");
        let dial = Direct.dial(&target("[fe80::1]:179", Some("fe80::2"), Some("lo"))).expect("dial");
        assert!(matches!(dial.remote, SocketAddr::V6(v6) if v6.scope_id() == number && v6.port() == 179));
        assert!(matches!(dial.bind, Some(SocketAddr::V6(v6)) if v6.scope_id() == number && v6.port() == 0));

        let error = Direct.dial(&target("[fe80::1]:179", None, None)).expect_err("no interface");
        assert!(error.to_string().contains("interface"), "{error}");

        let remote = SocketAddrV6::new("fe80::1".parse().expect("an address"), 4000, 0, number);
        let accepted = Direct.accepted(remote.into(), "[fe80::2]:179".parse().expect("an address"));
        assert_eq!(accepted.expect("kept").interface.as_deref(), Some("lo"));
    }

    #[test]
    fn an_accepted_global_address_has_no_interface() {
        let (remote, local) = ("192.0.2.1:4000".parse().expect("a"), "192.0.2.2:179".parse().expect("a"));
        assert_eq!(Direct.accepted(remote, local), Some(Accepted { remote, local, interface: None }));
    }

    #[test]
    fn options_are_set_or_refused_never_passed_over() {
        for (domain, ttl) in [(socket2::Domain::IPV4, 1), (socket2::Domain::IPV6, 2)] {
            let socket = Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
            let dial = Dial { bind: None, remote: "192.0.2.1:179".parse().expect("an address") };
            let options = SocketOptions { ttl: Some(ttl), ..SocketOptions::default() };
            Direct.prepare(&socket, &dial, &options).expect("a TTL can be set");
            let set =
                if domain == socket2::Domain::IPV4 { socket.ttl_v4() } else { socket.unicast_hops_v6() };
            assert_eq!(set.expect("a TTL"), u32::from(ttl));

            let options = SocketOptions { md5_key: Some(b"secret".to_vec()), ..SocketOptions::default() };
            let error = Direct.prepare(&socket, &dial, &options).expect_err("no MD5 here");
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
            assert!(!error.to_string().contains("secret"));

            let options = SocketOptions { min_ttl: Some(254), ..SocketOptions::default() };
            let error = Direct.prepare(&socket, &dial, &options).expect_err("no GTSM here");
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
    }
}
