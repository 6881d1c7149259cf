//! What happens while one waits, on standard error.

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

/// A clock that starts with the lab, and a voice.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    quiet: AtomicBool,
}

impl Progress {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), quiet: AtomicBool::new(false) }
    }

    /// A line with the time.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet.load(Ordering::Relaxed) {
            // Nobody reads: then nobody misses it.
            _ = writeln!(io::stderr().lock(), "[{:7.3}s] {text}", self.start.elapsed().as_secs_f64());
        }
    }

    /// Nothing more is worth saying.
    pub(crate) fn hush(&self) {
        self.quiet.store(true, Ordering::Relaxed);
    }
}
