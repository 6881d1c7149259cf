//! What the figures were measured on.

use std::{fs, path::Path, process::Command};

use peerage_interop::Kind;

/// One paragraph.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let memory = memory.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    let virtual_machine = field("flags").is_some_and(|flags| flags.split(' ').any(|it| it == "hypervisor"));
    format!(
        "{cores} cores of {}{}, {} GiB, Linux {}; BIRD {}; Peerage {}; {}.",
        field("model name").unwrap_or_else(|| "an unknown processor".into()),
        if virtual_machine { " (virtual)" } else { "" },
        memory.div_ceil(1024 * 1024),
        read("/proc/sys/kernel/osrelease").trim(),
        Kind::Bird.version().unwrap_or_else(|| "of unknown version".into()),
        said("git", &["describe", "--always", "--dirty"]).unwrap_or_else(|| "of unknown commit".into()),
        said("date", &["--utc", "+%Y-%m-%d"]).unwrap_or_default(),
    )
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(program).args(arguments).current_dir(root).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
