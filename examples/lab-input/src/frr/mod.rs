//! FRR's configuration language, as far as the lab needs it: `vtysh -c` lines in, a [`Desired`] out.
//!
//! The semantics are those of FRR 8.2.2: what a line means, where it may stand, and what holds where
//! nothing is said.
//!
//! [`Desired`]: peerage_core::speaker::Desired

mod command;
mod config;
mod desired;
#[cfg(test)]
mod tests;

pub use command::Defaults;
pub(crate) use config::Config;
pub(crate) use desired::{Host, router};
