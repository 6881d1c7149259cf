//! A raw ICMPv6 socket on one interface.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv6Addr, SocketAddrV6},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

use nix::{
    cmsg_space,
    sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::message::HOP_LIMIT;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// The longest message that is read: a jumbo frame. Longer ones would be fragmented, which neighbour
/// discovery does not allow (RFC 6980 §5).
const LONGEST: usize = 9216;

/// A packet.
#[derive(Debug)]
pub(crate) struct Received<'b> {
    pub(crate) source: Ipv6Addr,
    pub(crate) hop_limit: u8,
    pub(crate) octets: &'b [u8],
}

/// Whom a packet goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Nodes,
    Routers,
}

#[derive(Debug)]
pub(crate) struct Icmp {
    socket: Socket,
    index: u32,
    buffer: Vec<u8>,
    control: Vec<u8>,
}

impl Icmp {
    /// Opens one on the interface with that name and number.
    pub(crate) fn open(name: &str, index: u32) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).map_err(|error| {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return error;
            }
            let text = "finding the neighbour on an interface needs CAP_NET_RAW: add the capability, or give \
                        the neighbour by its address; until then this end waits for it to connect, which a \
                        neighbour with a TCP MD5 key cannot";
            io::Error::new(error.kind(), text)
        })?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        socket.attach_filter(&routers_only())?;
        socket.set_recv_hoplimit_v6(true)?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_loop_v6(false)?;
        socket.join_multicast_v6(&ALL_ROUTERS, index)?;
        Ok(Self { socket, index, buffer: vec![0; LONGEST], control: cmsg_space!(libc::c_int) })
    }

    /// Its interface's number.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Sends a packet. The kernel takes a link-local address for its source, and computes the checksum.
    pub(crate) fn send(&self, to: To, octets: &[u8]) -> io::Result<()> {
        let to = match to {
            To::Nodes => ALL_NODES,
            To::Routers => ALL_ROUTERS,
        };
        self.socket.send_to(octets, &SocketAddrV6::new(to, 0, 0, self.index).into()).map(drop)
    }

    /// The next packet, if one is there.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Received<'_>>> {
        let (source, hop_limit, length) = {
            let mut into = [IoSliceMut::new(&mut self.buffer)];
            let socket = self.socket.as_raw_fd();
            let message = match recvmsg::<SockaddrIn6>(
                socket,
                &mut into,
                Some(&mut self.control),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => message,
                Err(nix::errno::Errno::EAGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let hop_limit = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
                _ => None,
            });
            let source = message.address.map_or(Ipv6Addr::UNSPECIFIED, |address| address.ip());
            // Without a hop limit it could be from anywhere.
            (source, hop_limit.unwrap_or(0), message.bytes)
        };
        Ok(Some(Received { source, hop_limit, octets: self.buffer.get(..length).unwrap_or_default() }))
    }
}

impl AsFd for Icmp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Nothing but Router Solicitations and Advertisements, so that a flood of pings wakes nobody: a program for
/// the kernel (classic BPF), since nobody has a safe ICMP6_FILTER.
fn routers_only() -> [SockFilter; 5] {
    let load = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let end = (libc::BPF_RET | libc::BPF_K) as u16;
    [
        SockFilter::new(load, 0, 0, 0),
        SockFilter::new(equal, 2, 0, 133),
        SockFilter::new(equal, 1, 0, 134),
        SockFilter::new(end, 0, 0, 0),
        SockFilter::new(end, 0, 0, u32::MAX),
    ]
}
