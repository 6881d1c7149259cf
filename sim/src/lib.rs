//! A deterministic network of BGP speakers in virtual time.
//!
//! [`World`] holds any number of [`Speaker`](peerage_core::Speaker)s, the byte pipes between them and
//! one clock. Everything that could be luck comes from one seed: latencies, how a stream is cut into
//! pieces, who is served first, how late a runtime drains. The same seed gives the same
//! [transcript](World::transcript); a failure prints its seed and how to run it again.
//!
//! ```
//! use peerage_sim::World;
//!
//! let mut world = World::new(7);
//! world.speaker("a", 65001).speaker("b", 65002);
//! world.peer("a", "b");
//! world.originate("a", "192.0.2.0/24");
//! world.start();
//! world.settle(); // until nothing is left to do, and then every invariant is checked
//! assert!(world.has("b", "192.0.2.0/24"));
//! ```
//!
//! [`Solo`] is one speaker whose peers are played by a test, octet by octet. [`naive`] holds the rules of
//! decision and export once more, written as slowly as the RFCs state them: [`World::check`] holds every
//! speaker against them.
//!
//! The crate opens no socket and reads no clock; only the environment variables `PEERAGE_SIM_SEED` and
//! `PEERAGE_SIM_CASES` reach it from outside (see [`cases`]).
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod build;
pub mod drill;
mod lab;
pub mod message;
pub mod naive;
mod net;
mod record;
mod rng;
mod seed;
mod solo;
mod transcript;
mod world;

pub use build::{Neighbors, attributes, desired, external, internal, prefix};
pub use lab::{Lab, lab};
pub use record::{Half, Received};
pub use rng::Rng;
pub use seed::{cases, scaled};
pub use solo::Solo;
pub use world::{Segmentation, World};
