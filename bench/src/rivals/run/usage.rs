//! What processes have used, from /proc.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU seconds of all its threads, user and system.
    pub(crate) cpu: f64,
    /// Most memory it has had resident, in KiB.
    pub(crate) peak_rss_kib: u64,
}

impl Usage {
    /// Of a running process.
    ///
    /// # Errors
    /// If it is not running.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let proc = Path::new("/proc").join(pid.to_string());
        let read = |name: &str| {
            fs::read_to_string(proc.join(name)).with_context(|| format!("process {pid} has ended"))
        };
        // The scheduler counts nanoseconds, but forgets threads that have ended; the other counts those
        // too, in hundredths of a second.
        let ticks = ticks(&read("stat")?).context("/proc/PID/stat")?;
        let mut nanos = 0;
        for task in fs::read_dir(proc.join("task"))? {
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split_whitespace().next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
        }
        let status = read("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|it| it.split_whitespace().next()?.parse().ok());
        Ok(Self {
            cpu: (ticks as f64 / tick_rate()).max(nanos as f64 / 1e9),
            peak_rss_kib: peak.context("VmHWM in /proc/PID/status")?,
        })
    }
}

/// User and system ticks from /proc/PID/stat. The command name may have spaces in it.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn tick_rate() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// CPU seconds that the whole machine has spent on anything.
pub(crate) fn machine_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|it| it.parse().ok())
        .collect();
    // All but idle and waiting for disks; guests are in user time already.
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, it)| it).sum();
    busy as f64 / tick_rate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let own = std::process::id();
        let before = Usage::of(own).expect("it runs");
        assert!(before.peak_rss_kib > 0);
        let start = machine_cpu();
        let mut word = 1_u64;
        while Usage::of(own).expect("it runs").cpu < before.cpu + 0.03 {
            word = std::hint::black_box(word.wrapping_mul(3));
        }
        assert!(machine_cpu() >= start);
        assert_eq!(ticks("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13"), Some(23));
    }
}
