//! What a reader of configuration files gets: a configuration, or every fault at its place.

mod docs;
mod examples;
mod faults;
mod keys;
mod neighbors;
mod policies;
mod properties;
mod values;

use peerage_config::{Config, parse};

/// The least that a file says.
pub(crate) const BASE: &str = "as = 65000\nrouter-id = \"10.0.0.1\"\n";

/// What a text says, about which nothing is to be said.
pub(crate) fn config(text: &str) -> Config {
    parse("t.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

/// What is wrong with a text.
pub(crate) fn faults(text: &str) -> Vec<String> {
    match parse("t.toml", text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// What is said about a text that is accepted.
pub(crate) fn notices(text: &str) -> Vec<String> {
    config(text).notices.iter().map(ToString::to_string).collect()
}
