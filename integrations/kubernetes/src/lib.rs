//! From Kubernetes objects to what a speaker should do.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fault;
pub mod yaml;

pub use fault::{Fault, Severity};
