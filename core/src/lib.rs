//! Peerage's core: a BGP speaker as a pure state machine.
//!
//! A [`Speaker`] never opens a socket, reads a clock, starts a thread or writes a log. Facts go in, and what
//! to do comes out; the program that holds it moves bytes between it and the network. That program is
//! small: this is all of it, for two speakers that talk through memory.
//!
//! ```
//! use std::collections::VecDeque;
//! use peerage_core::{Speaker, speaker::*, policy::Policy, time::Instant, wire::{Asn, Family, attr::PathAttributes}};
//!
//! // Intent is a value. eBGP says nothing and hears nothing without a policy (RFC 8212).
//! let desired = |asn, id: &str, peer: &str, passive| -> Result<Desired, Box<dyn std::error::Error>> {
//!     let mut desired = Desired::new(Asn(asn), id.parse()?);
//!     let mut neighbor = Neighbor::new(PeerAs::External);
//!     neighbor.passive = passive;
//!     neighbor.import = Some(Policy::accept());
//!     neighbor.export = Some(Policy::accept());
//!     desired.neighbors.insert(NeighborKey::Address(peer.parse()?), neighbor);
//!     Ok(desired)
//! };
//! let now = Instant::ZERO; // Time is an argument: here it stands still.
//! let mut a = Speaker::new([1; 32], now);
//! let mut b = Speaker::new([2; 32], now);
//! a.reconcile(now, &desired(65001, "192.0.2.1", "192.0.2.2", false)?)?;
//! b.reconcile(now, &desired(65002, "192.0.2.2", "192.0.2.1", true)?)?;
//! let prefix = "198.51.100.0/24".parse()?;
//! a.originate(SourceId(1), &[Origination { prefix, attributes: PathAttributes::default() }]);
//! a.release(now); // Every source of routes is complete: let them be announced.
//! b.release(now);
//!
//! // The run loop. `a` dials; the "network" accepts at once and carries bytes both ways.
//! let (from_a, from_b) = ("192.0.2.1:50000".parse()?, "192.0.2.2:179".parse()?);
//! let mut conns = None;
//! let mut ready = VecDeque::new();
//! loop {
//!     while let Some(action) = a.poll_action() {
//!         match action {
//!             Action::Connect { conn, .. } => {
//!                 a.handle_connected(now, conn, from_a);
//!                 conns = Some((conn, b.handle_accepted(now, from_a, from_b, None)));
//!             }
//!             Action::Writable(_) => ready.push_back('a'),
//!             _ => unreachable!("nothing is closed here"),
//!         }
//!     }
//!     while let Some(action) = b.poll_action() {
//!         assert!(matches!(action, Action::Writable(_)));
//!         ready.push_back('b');
//!     }
//!     let Some((at_a, at_b)) = conns else { continue };
//!     match ready.pop_front() {
//!         Some('a') => while let Some(bytes) = a.poll_transmit(now, at_a, 65536) { b.handle_bytes(now, at_b, &bytes) },
//!         Some(_) => while let Some(bytes) = b.poll_transmit(now, at_b, 65536) { a.handle_bytes(now, at_a, &bytes) },
//!         None => break, // Nothing to do until `poll_timeout()`.
//!     }
//! }
//!
//! let route = b.rib().route(prefix).ok_or("not learned")?;
//! assert_eq!(route.paths[0].attributes.as_path.to_string(), "65001");
//! assert_eq!(b.neighbors()[0].state, PeerState::Established);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The layers
//!
//! Strictly downward; only [`speaker`] sees everything.
//!
//! | module | what it does |
//! |---|---|
//! | [`speaker`] | the facade: intent, facts, actions, events |
//! | [`rib`] | the table, the decision, and what follows the table |
//! | `peer` | one neighbour: when to connect, which of two connections survives |
//! | [`session`] | one connection: OpenSent, OpenConfirm, Established, timers, negotiation |
//! | `intent` | what is wanted, as a value: [`speaker::Desired`] |
//! | [`policy`] | a route in, a verdict and edits out |
//! | `facts` | the words they share: who is who, why things end |
//! | [`wire`] | bytes to messages and back |
//! | [`time`] | time as the caller tells it |
//!
//! # What holds always
//!
//! - No input panics. What a peer does wrong is a NOTIFICATION and an [`speaker::Event`], never an `Err`.
//! - Any order of calls is legal; draining late only delays. State is consistent after each call.
//! - Bytes are pulled. What a peer that does not read is owed is bounded by the table's size.
//! - The same calls give the same answers: hashing and jitter come from the seed.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

/// What the README shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

mod facts;
mod intent;
mod peer;
pub mod policy;
pub mod rib;
pub mod session;
pub mod speaker;
pub mod time;
pub mod wire;

pub use speaker::Speaker;
