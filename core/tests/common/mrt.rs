//! Reads the BGP messages out of an MRT file (RFC 6396, RFC 8050): BGP4MP and BGP4MP_ET, subtypes
//! MESSAGE, MESSAGE_AS4, their _LOCAL kin and MESSAGE_AS4_ADDPATH. Everything else in the file is passed over.

use std::{
    io::{self, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use flate2::read::MultiGzDecoder;

/// One recorded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was recorded, in microseconds since 1970.
    pub(crate) timestamp: u64,
    /// Who sent it (or, in a dump of both directions, the other end).
    pub(crate) peer_ip: IpAddr,
    /// The peer's AS.
    pub(crate) peer_as: u32,
    /// Whether AS numbers in the message have four octets.
    pub(crate) as4: bool,
    /// Whether its prefixes have path ids (RFC 8050).
    pub(crate) add_path: bool,
    /// The whole message, header included.
    pub(crate) message: Vec<u8>,
}

/// Iterates over the messages of a file. Ends where the file is cut off.
#[derive(Clone, Debug)]
pub(crate) struct Mrt {
    octets: Vec<u8>,
    at: usize,
}

impl Mrt {
    /// Over octets that are not compressed.
    pub(crate) fn new(octets: Vec<u8>) -> Self {
        Self { octets, at: 0 }
    }

    /// Over a file, compressed by gzip or not.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let raw = std::fs::read(path)?;
        if !raw.starts_with(&[0x1F, 0x8B]) {
            return Ok(Self::new(raw));
        }
        let mut octets = Vec::new();
        MultiGzDecoder::new(&raw[..]).read_to_end(&mut octets)?;
        Ok(Self::new(octets))
    }
}

impl Iterator for Mrt {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            let mut header = Cursor(self.octets.get(self.at..)?);
            let seconds = header.u32()?;
            let (kind, subtype, len) = (header.u16()?, header.u16()?, header.u32()?);
            let body = header.take(len as usize)?;
            self.at += 12 + body.len();
            if let Some(record) = record(seconds, kind, subtype, Cursor(body)) {
                return Some(record);
            }
        }
    }
}

fn record(seconds: u32, kind: u16, subtype: u16, mut body: Cursor<'_>) -> Option<Record> {
    const BGP4MP: u16 = 16;
    const BGP4MP_ET: u16 = 17;
    const MESSAGE: u16 = 1;
    const MESSAGE_AS4: u16 = 4;
    // What the recording speaker sent itself.
    const MESSAGE_LOCAL: u16 = 6;
    const MESSAGE_AS4_LOCAL: u16 = 7;
    const MESSAGE_AS4_ADD_PATH: u16 = 9;
    let microseconds = match kind {
        BGP4MP => 0,
        BGP4MP_ET => body.u32()?,
        _ => return None,
    };
    let (as4, add_path) = match subtype {
        MESSAGE | MESSAGE_LOCAL => (false, false),
        MESSAGE_AS4 | MESSAGE_AS4_LOCAL => (true, false),
        MESSAGE_AS4_ADD_PATH => (true, true),
        _ => return None,
    };
    let mut asn = || if as4 { body.u32() } else { body.u16().map(u32::from) };
    let (peer_as, _local_as) = (asn()?, asn()?);
    let _interface = body.u16()?;
    let afi = body.u16()?;
    let mut address = || match afi {
        1 => body.array().map(|octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets))),
        2 => body.array().map(|octets: [u8; 16]| IpAddr::V6(Ipv6Addr::from(octets))),
        _ => None,
    };
    let (peer_ip, _local_ip) = (address()?, address()?);
    Some(Record {
        timestamp: u64::from(seconds) * 1_000_000 + u64::from(microseconds),
        peer_ip,
        peer_as,
        as4,
        add_path,
        message: body.0.to_vec(),
    })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }
}
