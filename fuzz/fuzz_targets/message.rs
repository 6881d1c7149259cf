//! Messages of every kind: nothing panics, and encoding what was decoded is a fixed point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage_fuzz::message::{Input, check};

fuzz_target!(|input: Input<'_>| check(&input));
