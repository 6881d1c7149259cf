//! From a configuration file to what a BGP speaker should do.
//!
//! ```text
//! text (TOML)  ->  tables with places  ->  Config { desired: Desired, listen, socket, … }
//!                  every fault at once, each with its line and column
//! ```
//!
//! [`parse`] is pure: it reads no file, asks no system and keeps nothing. It either gives a [`Config`] that
//! a speaker takes as it is, or every [`Fault`] of the text: what is no TOML, keys that nobody knows, values
//! that are not what they should be, and what [`Desired::check`] finds, led back to where it was written.
//!
//! ```
//! let text = r#"
//! as = 65010
//! router-id = "10.0.0.1"
//! originate = ["10.0.1.0/24"]
//!
//! [neighbor."10.0.1.2"]
//! as = "internal"
//! timers = { hold = 9 }
//! "#;
//! let config = peerage_config::parse("tor.toml", text).map_err(|faults| format!("{faults:?}"))?;
//! assert_eq!(config.desired.neighbors.len(), 1);
//!
//! let faults = peerage_config::parse("tor.toml", &text.replace("hold = 9", "hold = 2")).unwrap_err();
//! assert_eq!(
//!     faults[0].to_string(),
//!     r#"tor.toml:8:19: neighbor."10.0.1.2".timers.hold: 2s is not acceptable (RFC 4271 §4.2); expected 0 or 3 to 65535 whole seconds"#
//! );
//! # Ok::<(), String>(())
//! ```
//!
//! Every key is in [`mod@reference`], from which `docs/router.md` is made. A neighbour is a table with its name:
//! what stands there says what it is, so nothing has to be said twice, and TOML itself finds the one that is
//! there two times.
//!
//! ```toml
//! [neighbor."10.0.1.2"]       # an address
//! [neighbor.net0]             # whoever is on the other end of an interface
//! [neighbor."10.1.0.0/16"]    # whoever connects from there
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fault;
mod hint;
mod neighbor;
mod originate;
mod policy;
mod reader;
pub mod reference;
mod render;
mod router;
mod value;

use std::{net::SocketAddr, path::PathBuf};

use peerage_core::speaker::Desired;
use serde::Serialize;

pub use fault::{Fault, Severity};
pub use render::render;
pub use router::parse;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What the speaker should do. [`Desired::check`] finds nothing wrong with it.
    pub desired: Desired,
    /// Where connections are awaited. Empty: nowhere, the router only connects.
    pub listen: Vec<SocketAddr>,
    /// The Unix socket that answers commands, where the file names one.
    pub socket: Option<PathBuf>,
    /// How much is logged.
    pub log: LogLevel,
    /// What is accepted, and surely not meant so or worth knowing.
    pub notices: Vec<Fault>,
}

impl Config {
    /// A configuration that says nothing beyond this: all addresses, port 179.
    pub fn new(desired: Desired) -> Self {
        Self {
            desired,
            listen: router::default_listen(),
            socket: None,
            log: LogLevel::default(),
            notices: Vec::new(),
        }
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ends something.
    Error,
    /// What somebody should look at.
    Warn,
    /// Sessions that come and go, and changes of the configuration.
    #[default]
    Info,
    /// Each connection.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As the file and most programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
