//! A peer that is a plain socket: it says one OPEN, right or wrong, and hears what becomes of it.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use peerage_core::wire::{
    Asn, Capability, Family, MAX_EXTENDED_LEN, MessageKind, Notification, Open, RouterId, frame,
};
use socket2::{Domain, Socket, Type};

/// Connects from `from` to `to`, sends an OPEN and returns the NOTIFICATION that answers it.
///
/// # Errors
/// If there is no connection, or no NOTIFICATION within 10 seconds.
pub fn answer_to_open(from: IpAddr, to: SocketAddr, asn: u32, hold_time: u16) -> Result<Notification> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect(&to.into())?;
    let mut stream = TcpStream::from(socket);
    let mut open = Vec::new();
    Open {
        my_as: Asn(asn).as_u16_or_trans(),
        hold_time,
        router_id: RouterId(0x0a4d_0009),
        capabilities: vec![
            Capability::Multiprotocol(Family::IPV4_UNICAST),
            Capability::FourOctetAs(Asn(asn)),
        ],
    }
    .encode(&mut open);
    stream.write_all(&open)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        while let Some(message) = frame(&heard, MAX_EXTENDED_LEN)? {
            if message.kind == MessageKind::Notification {
                return Ok(Notification::decode(message.body)?);
            }
            let len = message.len;
            heard.drain(..len);
        }
        match stream.read(&mut buffer) {
            Ok(0) => bail!("{to} closed without a NOTIFICATION"),
            Ok(len) => heard.extend_from_slice(buffer.get(..len).context("what was read")?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("{to} did not object to the OPEN")
}
