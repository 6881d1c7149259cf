//! What one run of one speaker showed.

use serde::{Deserialize, Serialize};

/// The figures of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Seconds from the first octet written to the last one that was waited for.
    pub(crate) wall: f64,
    /// CPU seconds of the speaker, user and system, until it had nothing more to do.
    pub(crate) cpu: f64,
    /// Most memory that the speaker had resident since its start, in KiB.
    pub(crate) peak_rss_kib: u64,
    /// CPU seconds of the generator in the same time.
    pub(crate) generator_cpu: f64,
    /// CPU seconds that anything else on the machine used.
    pub(crate) foreign_cpu: f64,
    /// UPDATEs that receivers got.
    pub(crate) updates: u64,
    /// Prefixes announced and withdrawn in them.
    pub(crate) prefixes: u64,
    /// From the writing of a change to its reading.
    pub(crate) latency: Option<Latency>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}
