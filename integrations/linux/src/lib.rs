//! What belongs to Linux and not to a runtime: finding whoever is on the other end of an unnumbered link, and
//! keeping others out of sessions.
//!
//! [`Protection`] is a [`SocketSetup`](peerage_sockets::SocketSetup) that sets TCP MD5 keys (RFC 2385) and checks
//! TTLs (RFC 5082), on connections of both directions.
//!
//! [`Discovery`] does what FRR does where a neighbour is given by its interface: it sends Router
//! Advertisements there (RFC 4861), listens to those of the other end, and says whose they are. It is a
//! thread of its own, for any runtime or none.
//!
//! ```no_run
//! use std::sync::{Arc, Mutex};
//!
//! use peerage_core::Speaker;
//! use peerage_linux::{Discovery, Found};
//! use peerage_sockets::{Clock, seed};
//!
//! # fn main() -> std::io::Result<()> {
//! // With a runtime it is `node.with(|speaker, now| …)`.
//! let speaker = Arc::new(Mutex::new(Speaker::new(seed(), Clock.now())));
//! let told = Arc::clone(&speaker);
//! let discovery = Discovery::start(move |found| match found {
//!     Found::Neighbor { interface, address } => {
//!         told.lock().unwrap().handle_neighbor(Clock.now(), &interface, address);
//!     }
//!     Found::Fault { interface, error } => eprintln!("{interface}: {error}"),
//!     _ => {}
//! })?;
//! discovery.watch(["eth0".to_owned()]);
//! // It ends when it is dropped.
//! # Ok(())
//! # }
//! ```
#![cfg(target_os = "linux")]

mod discovery;
mod exchange;
mod icmp;
mod links;
mod listener;
mod message;
mod netlink;
mod protection;
mod sockopt;

pub use discovery::{Discovery, Found};
pub use protection::Protection;
