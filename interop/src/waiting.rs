//! Waiting with a deadline.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Long enough for anything on a busy machine: after a reset GoBGP rests for half a minute, and 100,000
/// routes take it as long. A test that passes never waits this long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at something until it is there.
///
/// # Errors
/// If it is not there after [`PATIENCE`].
pub fn wait<T>(what: &str, look: impl FnMut() -> Option<T>) -> Result<T> {
    wait_within(PATIENCE, what, look)
}

/// Looks at something until it is there, for so long.
///
/// # Errors
/// If it is not there in time.
pub fn wait_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} for {what}");
        }
        sleep(Duration::from_millis(20));
    }
}
