//! What both runtimes need of an operating system and would otherwise write twice: sockets made the
//! way BGP wants them, a clock, a seed, and the [`Driver`] that carries calls into a
//! [`Speaker`](peerage_core::Speaker) and takes its actions and events out again.
//!
//! It awaits nothing but a [`Connection`]'s own flags, spawns nothing, and decides nothing that the
//! protocol has an opinion on. A runtime adds readiness, sleeping and tasks; a [`SocketSetup`] adds
//! what a host, a test or a laboratory has to say about addresses and socket options.
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use peerage_sockets::{Direct, SocketSetup, listen};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = listen(&Direct, SocketAddr::from(([127, 0, 0, 1], 0)))?;
//! assert_ne!(listener.local_addr()?.port(), 0);
//!
//! // The address is taken now, and the error says so.
//! let again = listen(&Direct, listener.local_addr()?).unwrap_err();
//! assert!(again.to_string().contains("in use"));
//! # Ok(())
//! # }
//! ```

mod clock;
mod connection;
mod driver;
mod interface;
mod outlet;
mod setup;
mod signal;
mod tcp;

pub use clock::{Clock, seed};
pub use connection::Connection;
pub use driver::{Driver, Host, ReadStep, Tick};
pub use outlet::{Flushed, Write};
pub use setup::{Accepted, Dial, Direct, SocketSetup};
pub use tcp::{LINGER, accept_pause, close_reason, connect, finish, listen, reset_on_close};
