//! One session, from any state, with anything coming in: nothing panics, no timer stays due, output is
//! bounded, and nothing of the neighbour is left behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage_fuzz::session::{Input, check};

fuzz_target!(|input: Input| check(&input));
