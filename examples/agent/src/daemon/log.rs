//! One readable line for each thing that happens, on standard error.
//!
//! Whoever says something never waits: a thread of its own writes, and what it cannot keep up with is
//! counted and lost.

use std::{
    io::{self, Write as _},
    sync::{
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use peerage_config::LogLevel;
use serde_json::json;

use crate::cli::Format;

/// Lines that wait to be written.
const WAITING: usize = 4096;
/// How long the last lines may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    entries: SyncSender<Entry>,
    level: AtomicU8,
    format: Format,
    lost: AtomicU64,
}

#[derive(Debug)]
enum Entry {
    Line(String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

impl Log {
    /// Writes from now on what is as important as `level`.
    pub(crate) fn start(level: LogLevel, format: Format) -> Result<Self> {
        let (entries, waiting) = sync_channel(WAITING);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write(&waiting))
            .context("cannot start a thread")?;
        Ok(Self { entries, level: AtomicU8::new(level as u8), format, lost: AtomicU64::new(0) })
    }

    /// Another level from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// A line, where its level is one that is logged.
    pub(crate) fn say(&self, level: LogLevel, text: &str) {
        if level as u8 <= self.level.load(Ordering::Relaxed) {
            self.tell(level, text);
        }
    }

    /// A line whatever is logged: somebody asked for it.
    pub(crate) fn tell(&self, level: LogLevel, text: &str) {
        let time = stamp(SystemTime::now());
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} lines of this log are lost: nobody took them in time");
            let line = self.line(&time, LogLevel::Warn, &text);
            if self.entries.try_send(Entry::Line(line)).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        let line = self.line(&time, level, text);
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn line(&self, time: &str, level: LogLevel, text: &str) -> String {
        match self.format {
            Format::Text => format!("{time} {:5} {text}", level.name()),
            Format::Json => json!({ "time": time, "level": level.name(), "message": text }).to_string(),
        }
    }

    /// Waits until everything so far is written, for a moment.
    pub(crate) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.entries.try_send(Entry::Flush(done)).is_ok() {
            _ = wait.recv_timeout(PATIENCE);
        }
    }
}

fn write(waiting: &Receiver<Entry>) {
    for entry in waiting {
        match entry {
            // Nobody reads: then nobody misses it.
            Entry::Line(line) => _ = writeln!(io::stderr().lock(), "{line}"),
            Entry::Flush(done) => _ = done.send(()),
        }
    }
}

/// A moment as RFC 3339 has it, in UTC and milliseconds.
pub(crate) fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

/// The date that many days after 1970-01-01, in the Gregorian calendar. Years begin in March here, so that
/// a leap day is the last of its year.
const fn date(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01; 146,097 of them are 400 years.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |seconds: u64| stamp(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00.007Z");
        assert_eq!(at(1_704_067_199), "2023-12-31T23:59:59.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }
}
