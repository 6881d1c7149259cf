//! The load generator: senders and receivers of one BGP speaker, in one thread.
//!
//! Senders write prepared octets. Receivers check everything that they are told against what the speaker
//! has to make of it.

mod compare;
mod expect;
mod net;
mod peer;
mod receiver;
#[cfg(test)]
mod tests;

pub(crate) use expect::Expect;
pub(crate) use net::Net;
pub(crate) use peer::{Endpoint, Peer, Role};
pub(crate) use receiver::Receiver;
