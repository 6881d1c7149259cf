//! The two socket options of BGP's that no safe library has: TCP MD5 keys (RFC 2385) and the least TTL of what
//! is received (RFC 5082). socket2, rustix and nix have neither, so this is the crate's only unsafe code: one
//! call of setsockopt(2), on values that are plain octets.
#![allow(unsafe_code)]

use std::{io, net::IpAddr, os::fd::AsRawFd as _};

use ipnet::IpNet;
use libc::{c_int, c_void, socklen_t};
use socket2::Socket;

/// The longest key.
pub(crate) const LONGEST_KEY: usize = libc::TCP_MD5SIG_MAXKEYLEN;

/// TCP_MD5SIG_FLAG_PREFIX of linux/tcp.h, which libc does not have.
const FLAG_PREFIX: u8 = 1;

/// `struct tcp_md5sig` of linux/tcp.h.
#[repr(C)]
struct Md5Key {
    /// A `struct sockaddr_storage`.
    address: [u8; 128],
    flags: u8,
    prefix_len: u8,
    key_len: u16,
    ifindex: c_int,
    key: [u8; LONGEST_KEY],
}

/// Segments to and from those addresses are signed with `key` from now on, which replaces another one; an
/// empty key is none: they are not signed.
pub(crate) fn set_md5_key(socket: &Socket, peers: IpNet, key: &[u8]) -> io::Result<()> {
    match put_md5_key(socket, peers, key) {
        // There was none to take away.
        Err(error) if key.is_empty() && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// Sets the key of a connection that was accepted, as [`set_md5_key`] does. `false`: it was made without one,
/// and has none now that matters, for it is to be closed.
///
/// A connection has the key that the listening socket had for its address when the handshake was over, as one
/// for that address alone. No option reads it, but the kernel says whether there was one to take away.
pub(crate) fn renew_md5_key(socket: &Socket, remote: IpAddr, key: &[u8]) -> io::Result<bool> {
    let exact = IpNet::from(remote);
    let wide = IpNet::new(remote, exact.max_prefix_len() - 1).map_err(io::Error::other)?;
    // In force for the moment in which the other is away: nothing unsigned gets in between.
    put_md5_key(socket, wide, key)?;
    match put_md5_key(socket, exact, &[]) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(false),
        result => result?,
    }
    put_md5_key(socket, exact, key)?;
    put_md5_key(socket, wide, &[])?;
    Ok(true)
}

fn put_md5_key(socket: &Socket, peers: IpNet, key: &[u8]) -> io::Result<()> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "a TCP MD5 key has 80 octets at most");
    let mut value = Md5Key {
        address: [0; 128],
        flags: FLAG_PREFIX,
        prefix_len: peers.prefix_len(),
        key_len: u16::try_from(key.len()).map_err(|_| too_long())?,
        ifindex: 0,
        key: [0; LONGEST_KEY],
    };
    value.key.get_mut(..key.len()).ok_or_else(too_long)?.copy_from_slice(key);
    let (family, at, octets) = match peers.network() {
        IpAddr::V4(v4) => (libc::AF_INET, 4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, 8, v6.octets().to_vec()),
    };
    let (begin, rest) = value.address.split_at_mut(at);
    begin[..2].copy_from_slice(&(family as libc::sa_family_t).to_ne_bytes());
    rest[..octets.len()].copy_from_slice(&octets);
    set(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG_EXT, &value)
}

/// Segments with a lower TTL or hop limit are dropped from now on; 0: none are.
pub(crate) fn set_min_ttl(socket: &Socket, is_ipv4: bool, least: u8) -> io::Result<()> {
    let least = c_int::from(least);
    if is_ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &least)
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &least)
    }
}

/// The TTL or hop limit of what is sent; `None`: the system's default.
pub(crate) fn set_ttl(socket: &Socket, is_ipv4: bool, ttl: Option<u8>) -> io::Result<()> {
    let ttl = ttl.map_or(-1, c_int::from);
    if is_ipv4 {
        set(socket, libc::IPPROTO_IP, libc::IP_TTL, &ttl)
    } else {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, &ttl)
    }
}

/// Not for others: there are options whose value has a pointer in it.
fn set<T>(socket: &Socket, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and `value` is a T for as long as the
    // call takes, which reads no further than it is told and keeps nothing.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast::<c_void>(),
            size_of::<T>() as socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    #[test]
    fn a_key_is_as_the_kernel_draws_it() {
        assert_eq!(size_of::<Md5Key>(), 216);
        for (domain, peers) in [(Domain::IPV4, "192.0.2.0/24"), (Domain::IPV6, "2001:db8::/32")] {
            let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
            let peers = peers.parse().expect("a prefix");
            set_md5_key(&socket, peers, b"secret").expect("CONFIG_TCP_MD5SIG");
            set_md5_key(&socket, peers, &[7; LONGEST_KEY]).expect("another key");
            set_md5_key(&socket, peers, b"").expect("none");
            set_md5_key(&socket, peers, b"").expect("none again");
            let error = set_md5_key(&socket, peers, &[7; LONGEST_KEY + 1]).expect_err("too long");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn ttls_are_set_and_left_to_the_system_again() {
        for (domain, is_ipv4) in [(Domain::IPV4, true), (Domain::IPV6, false)] {
            let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
            let ttl = || if is_ipv4 { socket.ttl_v4() } else { socket.unicast_hops_v6() }.expect("a TTL");
            let before = ttl();
            set_ttl(&socket, is_ipv4, Some(255)).expect("a TTL");
            assert_eq!(ttl(), 255);
            set_ttl(&socket, is_ipv4, None).expect("the default");
            assert_eq!(ttl(), before);
            set_min_ttl(&socket, is_ipv4, 255).expect("a least TTL");
            set_min_ttl(&socket, is_ipv4, 0).expect("none");
        }
    }
}
