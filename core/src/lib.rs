//! Peerage's core: a BGP speaker as a pure state machine.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;

mod peer;
pub mod policy;
pub mod rib;
pub mod session;
pub mod speaker;

pub mod time;
pub mod wire;

pub use speaker::Speaker;
