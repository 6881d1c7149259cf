//! Core in a plain std daemon.

fn main() {}
