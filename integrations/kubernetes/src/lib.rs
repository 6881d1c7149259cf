//! From Kubernetes objects to what a speaker should do.

mod fault;

pub use fault::{Fault, Severity};
