//! What the kernel says of interfaces and their IPv6 addresses (rtnetlink(7)): all of them once, and from
//! then on what changes.
//!
//! Only the few attributes that matter here are looked at: an attribute of a newer kernel that no library
//! knows yet must not hide an interface. Framing is `netlink-packet-core`'s.

use std::{
    io::{self, IoSliceMut},
    net::Ipv6Addr,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NlasIterator};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmsg, send, socket,
    },
};

/// More than the kernel puts into one datagram.
const BUFFER: usize = 64 << 10;
/// Datagrams read at a time.
const BATCH: usize = 64;
const HEADER: usize = 16;
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

/// Something about an interface, by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// It is there, and so.
    Link {
        /// Its number.
        index: u32,
        /// Its name.
        name: String,
        /// Its link-layer address; empty where it has none.
        link_layer: Vec<u8>,
        /// Up, and with a carrier.
        running: bool,
    },
    /// It is gone.
    LinkGone(u32),
    /// It has a link-local address.
    Address {
        /// Its number.
        index: u32,
        /// The address.
        address: Ipv6Addr,
        /// Whether it may be used: nobody else has it (RFC 4862 §5.4).
        usable: bool,
    },
    /// It has it no longer.
    AddressGone {
        /// Its number.
        index: u32,
        /// The address.
        address: Ipv6Addr,
    },
    /// Everything from here on is everything there is.
    Begin,
    /// That was everything.
    End,
}

/// What is asked for, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Links,
    Addresses,
}

/// A socket in this thread's network namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
    asked: Asked,
    /// Something was lost while it answered: ask again then.
    again: bool,
    sequence: u32,
}

impl Netlink {
    /// Hears of changes from now on, and asks for everything.
    pub(crate) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
        Ok(Self { socket, buffer: vec![0; BUFFER], asked: Asked::Nothing, again: true, sequence: 0 })
    }

    /// Whether there is something to ask for, although nothing may arrive before that.
    pub(crate) fn is_behind(&self) -> bool {
        self.again && self.asked == Asked::Nothing
    }

    /// What there is to hear, at most a batch.
    pub(crate) fn read(&mut self, mut update: impl FnMut(Update)) -> io::Result<()> {
        for _ in 0..BATCH {
            if self.asked == Asked::Nothing && std::mem::take(&mut self.again) {
                update(Update::Begin);
                self.ask(Asked::Links)?;
            }
            let mut into = [IoSliceMut::new(&mut self.buffer)];
            let socket = self.socket.as_raw_fd();
            let length = match recvmsg::<NetlinkAddr>(socket, &mut into, None, MsgFlags::MSG_TRUNC) {
                // Somebody else's word on interfaces does not count.
                Ok(message) if message.address.is_none_or(|sender| sender.pid() != 0) => continue,
                Ok(message) => message.bytes,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                // The kernel had more to say than the socket holds.
                Err(Errno::ENOBUFS) => {
                    self.again = true;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let Some(datagram) = self.buffer.get(..length) else {
                self.again = true;
                continue;
            };
            let answer = read_all(datagram, self.sequence, &mut update);
            // Something changed between two parts of it.
            self.again |= answer.torn;
            if let Some(code) = answer.failed {
                // What was known stays in force: no End, and all is asked for again on a new socket.
                return Err(io::Error::from_raw_os_error(code));
            }
            if answer.done {
                match self.asked {
                    Asked::Links => self.ask(Asked::Addresses)?,
                    Asked::Addresses => {
                        self.asked = Asked::Nothing;
                        update(Update::End);
                    }
                    Asked::Nothing => {}
                }
            }
        }
        Ok(())
    }

    fn ask(&mut self, what: Asked) -> io::Result<()> {
        self.asked = what;
        self.sequence = self.sequence.wrapping_add(1);
        let (kind, family, body) = match what {
            Asked::Links => (libc::RTM_GETLINK, libc::AF_UNSPEC, LINK_HEADER),
            Asked::Addresses => (libc::RTM_GETADDR, libc::AF_INET6, ADDRESS_HEADER),
            Asked::Nothing => return Ok(()),
        };
        let mut request = vec![0; HEADER + body];
        let mut message = NetlinkBuffer::new(&mut request);
        message.set_length((HEADER + body) as u32);
        message.set_message_type(kind);
        message.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
        message.set_sequence_number(self.sequence);
        if let Some(octet) = message.payload_mut().first_mut() {
            *octet = family as u8;
        }
        send(self.socket.as_raw_fd(), &request, MsgFlags::empty())?;
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How far the answer to a question is.
#[derive(Debug, Default)]
struct Answer {
    done: bool,
    torn: bool,
    /// It is not complete, and why.
    failed: Option<i32>,
}

/// Reads a datagram's messages, some of which may be the answer to the question with that number.
fn read_all(mut datagram: &[u8], sequence: u32, update: &mut impl FnMut(Update)) -> Answer {
    let mut answer = Answer::default();
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let kind = message.message_type();
        let ours = message.sequence_number() == sequence;
        answer.torn |= ours && message.flags() & NLM_F_DUMP_INTR != 0;
        if i32::from(kind) == libc::NLMSG_DONE || i32::from(kind) == libc::NLMSG_ERROR {
            answer.done |= ours;
            if ours && let Some(code) = error_code(kind, message.payload()) {
                answer.failed = Some(code);
            }
        } else if let Some(it) = read_one(kind, message.payload()) {
            update(it);
        }
        let next = (message.length() as usize).next_multiple_of(4);
        datagram = datagram.get(next..).unwrap_or_default();
    }
    answer
}

/// The error with which an answer ends; `None`: it is complete. Neither kind has to say anything.
fn error_code(kind: u16, body: &[u8]) -> Option<i32> {
    match body.first_chunk().map(|octets| i32::from_ne_bytes(*octets)) {
        Some(0) => None,
        Some(code) => Some(code.saturating_neg().max(1)),
        None => (i32::from(kind) == libc::NLMSG_ERROR).then_some(libc::EPROTO),
    }
}

/// Reads one message; `None`: it is about something else.
fn read_one(kind: u16, body: &[u8]) -> Option<Update> {
    match kind {
        libc::RTM_NEWLINK | libc::RTM_DELLINK => {
            // A bridge says of its ports that they are gone as its ports.
            if *body.first()? != libc::AF_UNSPEC as u8 {
                return None;
            }
            let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
            let flags = u32::from_ne_bytes(*body.get(8..)?.first_chunk()?);
            if kind == libc::RTM_DELLINK {
                return Some(Update::LinkGone(index));
            }
            let wanted = (libc::IFF_UP | libc::IFF_RUNNING).cast_unsigned();
            let (mut name, mut link_layer) = (String::new(), Vec::new());
            for attribute in NlasIterator::new(body.get(LINK_HEADER..)?).map_while(Result::ok) {
                match attribute.kind() {
                    libc::IFLA_IFNAME => {
                        let text = attribute.value().split(|octet| *octet == 0).next()?;
                        name = String::from_utf8(text.to_vec()).ok()?;
                    }
                    libc::IFLA_ADDRESS => link_layer = attribute.value().to_vec(),
                    _ => {}
                }
            }
            let running = flags & wanted == wanted;
            (!name.is_empty()).then_some(Update::Link { index, name, link_layer, running })
        }
        libc::RTM_NEWADDR | libc::RTM_DELADDR => {
            if *body.first()? != libc::AF_INET6 as u8 {
                return None;
            }
            let mut flags = u32::from(*body.get(2)?);
            let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
            let (mut address, mut local) = (None, None);
            for attribute in NlasIterator::new(body.get(ADDRESS_HEADER..)?).map_while(Result::ok) {
                match attribute.kind() {
                    libc::IFA_ADDRESS => address = ipv6(attribute.value()),
                    // On a point-to-point link the other is the peer's.
                    libc::IFA_LOCAL => local = ipv6(attribute.value()),
                    libc::IFA_FLAGS => flags = u32::from_ne_bytes(*attribute.value().first_chunk()?),
                    _ => {}
                }
            }
            let address = local.or(address).filter(Ipv6Addr::is_unicast_link_local)?;
            if kind == libc::RTM_DELADDR {
                return Some(Update::AddressGone { index, address });
            }
            let usable = flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) == 0;
            Some(Update::Address { index, address, usable })
        }
        _ => None,
    }
}

fn ipv6(octets: &[u8]) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(*octets.first_chunk::<16>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut octets = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        octets.extend(kind.to_ne_bytes());
        octets.extend(value);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    fn link(flags: i32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = vec![0; 4];
        octets.extend(7_u32.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend([0; 4]);
        octets.extend(attributes.concat());
        octets
    }

    fn address(flags: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = vec![libc::AF_INET6 as u8, 64, flags, 253];
        octets.extend(7_u32.to_ne_bytes());
        octets.extend(attributes.concat());
        octets
    }

    #[test]
    fn a_link_runs_when_it_is_up_and_has_a_carrier() {
        let both = libc::IFF_UP | libc::IFF_RUNNING;
        for (flags, running) in [(both, true), (libc::IFF_UP, false), (libc::IFF_RUNNING, false), (0, false)]
        {
            // 250 is no attribute that anybody knows.
            let body = link(
                flags,
                &[
                    attribute(250, &[1, 2, 3]),
                    attribute(libc::IFLA_IFNAME, b"net0\0"),
                    attribute(libc::IFLA_ADDRESS, &[2; 6]),
                ],
            );
            let wanted = Update::Link { index: 7, name: "net0".into(), link_layer: vec![2; 6], running };
            assert_eq!(read_one(libc::RTM_NEWLINK, &body), Some(wanted));
            assert_eq!(read_one(libc::RTM_DELLINK, &body), Some(Update::LinkGone(7)));
        }
        let mut of_bridge = link(both, &[attribute(libc::IFLA_IFNAME, b"net0\0")]);
        of_bridge[0] = libc::AF_BRIDGE as u8;
        assert_eq!(read_one(libc::RTM_DELLINK, &of_bridge), None);
        assert_eq!(read_one(libc::RTM_NEWLINK, &link(both, &[])), None);
    }

    #[test]
    fn an_address_counts_when_nobody_else_has_it() {
        let own: Ipv6Addr = "fe80::1".parse().unwrap();
        let said = [attribute(libc::IFA_ADDRESS, &own.octets())];
        for (flags, usable) in [
            (0, true),
            (libc::IFA_F_TENTATIVE, false),
            (libc::IFA_F_DADFAILED, false),
            (libc::IFA_F_PERMANENT, true),
        ] {
            let wanted = Update::Address { index: 7, address: own, usable };
            assert_eq!(read_one(libc::RTM_NEWADDR, &address(flags as u8, &said)), Some(wanted.clone()));
            let long = [said[0].clone(), attribute(libc::IFA_FLAGS, &flags.to_ne_bytes())];
            assert_eq!(read_one(libc::RTM_NEWADDR, &address(0, &long)), Some(wanted));
        }
        let gone = Update::AddressGone { index: 7, address: own };
        assert_eq!(read_one(libc::RTM_DELADDR, &address(0, &said)), Some(gone));
        let global: Ipv6Addr = "2001:db8::1".parse().unwrap();
        assert_eq!(
            read_one(libc::RTM_NEWADDR, &address(0, &[attribute(libc::IFA_ADDRESS, &global.octets())])),
            None
        );
        assert_eq!(read_one(libc::RTM_NEWADDR, &address(0, &[attribute(libc::IFA_ADDRESS, &[1])])), None);
    }

    #[test]
    fn an_answer_that_ends_with_an_error_is_not_complete() {
        let said = |kind: i32, sequence: u32, body: &[u8]| {
            let mut octets = vec![0; HEADER + body.len()];
            let mut message = NetlinkBuffer::new(&mut octets);
            message.set_length((HEADER + body.len()) as u32);
            message.set_message_type(kind as u16);
            message.set_sequence_number(sequence);
            message.payload_mut().copy_from_slice(body);
            let answer = read_all(&octets, 7, &mut |_| {});
            (answer.done, answer.failed)
        };
        let denied = (-libc::EPERM).to_ne_bytes();
        let none = 0_i32.to_ne_bytes();
        assert_eq!(said(libc::NLMSG_DONE, 7, &none), (true, None));
        assert_eq!(said(libc::NLMSG_DONE, 7, &[]), (true, None));
        assert_eq!(said(libc::NLMSG_DONE, 7, &denied), (true, Some(libc::EPERM)));
        assert_eq!(said(libc::NLMSG_ERROR, 7, &denied), (true, Some(libc::EPERM)));
        assert_eq!(said(libc::NLMSG_ERROR, 7, &i32::MIN.to_ne_bytes()), (true, Some(i32::MAX)));
        assert_eq!(said(libc::NLMSG_ERROR, 7, &[]), (true, Some(libc::EPROTO)));
        // An answer to somebody else's, or an earlier one's.
        assert_eq!(said(libc::NLMSG_ERROR, 6, &denied), (false, None));
    }

    #[test]
    fn the_kernel_names_its_loopback_interface() {
        let mut netlink = Netlink::open().expect("anybody may ask");
        let (mut names, mut ended) = (Vec::new(), false);
        while !ended {
            netlink
                .read(|update| match update {
                    Update::Link { name, .. } => names.push(name),
                    Update::End => ended = true,
                    _ => {}
                })
                .expect("an answer");
        }
        assert!(names.contains(&"lo".to_owned()), "{names:?}");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_passed_over(octets in prop::collection::vec(any::<u8>(), 0..200), kind in 16..24_u16) {
            let _ = read_one(kind, &octets);
            let _ = read_all(&octets, 1, &mut |_| {});
        }
    }
}
