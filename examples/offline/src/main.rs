//! Two speakers in memory.

fn main() {}
