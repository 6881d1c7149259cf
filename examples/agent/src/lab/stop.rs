//! Ctrl-C and SIGTERM: asked for once, the lab ends in order; asked for twice, at once.

use std::sync::{
    Arc, Condvar, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};

/// Whether the end was asked for.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    requested: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Stop {
    /// Watches signals from now on.
    pub(crate) fn watch() -> Result<Arc<Self>> {
        let stop = Arc::new(Self::default());
        let handler = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            if handler.requested() {
                // 128 + SIGINT, as a shell has it.
                std::process::exit(130);
            }
            handler.request();
        })
        .context("cannot watch for Ctrl-C")?;
        Ok(stop)
    }

    /// Asks for the end.
    pub(crate) fn request(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.requested.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Whether the end was asked for.
    pub(crate) fn requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// Waits until it is.
    pub(crate) fn wait(&self) {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(guard, |()| !self.requested()));
    }
}
