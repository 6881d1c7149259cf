//! What every program that stays up has: a log, signals, news of its speakers, and words for plans.

pub(crate) mod boot;
pub(crate) mod log;
pub(crate) mod monitor;
pub(crate) mod news;
pub(crate) mod plan;
pub(crate) mod signals;

/// So many of something.
pub(crate) fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
