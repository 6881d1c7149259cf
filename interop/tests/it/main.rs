//! Every behaviour, with every daemon: see the crate's documentation.

mod active;
mod attributes;
mod bulk;
mod collision;
mod common;
mod four_octet_as;
mod graceful_restart;
mod hold_time;
mod ipv4;
mod ipv6;
mod local_pref;
mod md5;
mod passive;
mod reset;
mod stopped_reader;
mod ttl_security;
mod unknown_attribute;
mod unnumbered;
mod withdraw;
mod wrong_as;

use std::process::ExitCode;

use peerage_interop::Behaviour;

/// In the order of the table.
const BEHAVIOURS: &[Behaviour] = &[
    active::BEHAVIOUR,
    passive::BEHAVIOUR,
    collision::BEHAVIOUR,
    ipv4::BEHAVIOUR,
    ipv6::BEHAVIOUR,
    unnumbered::BEHAVIOUR,
    four_octet_as::BEHAVIOUR,
    attributes::BEHAVIOUR,
    local_pref::BEHAVIOUR,
    unknown_attribute::BEHAVIOUR,
    withdraw::BEHAVIOUR,
    reset::BEHAVIOUR,
    graceful_restart::BEHAVIOUR,
    wrong_as::BEHAVIOUR,
    hold_time::BEHAVIOUR,
    md5::BEHAVIOUR,
    ttl_security::BEHAVIOUR,
    bulk::BEHAVIOUR,
    stopped_reader::BEHAVIOUR,
];

fn main() -> ExitCode {
    peerage_interop::main(BEHAVIOURS)
}
