//! Makes what the plan says: namespaces, settings, veths, addresses, routes. No shell runs; `ip` reads its
//! commands, which are built from checked values, and every program gets its words one by one.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use super::{
    plan::{Plan, Port, Space},
    space::{self, program, said, within},
};

/// What the kernel is told in each namespace before there is any interface. They are a namespace's own, as
/// all of `net` is that is here.
const SETTINGS: [(&str, &str); 8] = [
    // Unnumbered sessions are over link-local addresses, which are ready without a search for duplicates.
    ("net/ipv6/conf/all/disable_ipv6", "0"),
    ("net/ipv6/conf/default/disable_ipv6", "0"),
    ("net/ipv6/conf/default/accept_dad", "0"),
    // Packets may come back another way than they went.
    ("net/ipv4/conf/all/rp_filter", "0"),
    ("net/ipv4/conf/default/rp_filter", "0"),
    // Every probe of a traceroute is answered.
    ("net/ipv4/icmp_ratelimit", "0"),
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
];
/// How many of them are for machines that pass packets on.
const FORWARDING: usize = 2;

/// Makes everything. What can do without is left out and said.
pub(super) fn build(run: &Path, plan: &Plan) -> Result<Vec<String>> {
    for folder in ["nodes", "pods"] {
        fs::create_dir(run.join(folder))
            .with_context(|| format!("cannot make {}", run.join(folder).display()))?;
    }
    for space in &plan.spaces {
        space::make(&run.join(&space.file), run)?;
        within(&run.join(&space.file), || settings(space))?;
    }
    let lines: Vec<String> = plan
        .links
        .iter()
        .map(|link| format!("link add {} type veth peer {}", end(&link.a, ""), end(&link.b, "name ")))
        .collect();
    ip(run, &lines)?;
    let mut notices = plan.notices.clone();
    for space in &plan.spaces {
        let missing = within(&run.join(&space.file), || {
            ip(run, &space.ip)?;
            rules(run, space)
        });
        notices.extend(missing.with_context(|| space.file.clone())?);
    }
    Ok(notices)
}

/// An end of a veth. Its file is named from the run directory, where `ip` runs: a path without blanks.
fn end(port: &Port, before: &str) -> String {
    let mut text = format!("{before}{}", port.interface);
    if let Some(mac) = port.mac {
        let octets: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
        text += &format!(" address {}", octets.join(":"));
    }
    text + &format!(
        " netns {}",
        if port.space.contains('/') { port.space.clone() } else { format!("./{}", port.space) }
    )
}

/// Tells `ip` several things; what it does not do is named.
fn ip(run: &Path, lines: &[String]) -> Result<()> {
    let output = space::run(program("ip", run)?.args(["-batch", "-"]), &(lines.join("\n") + "\n"))?;
    if !output.status.success() {
        let said = said(&output);
        let number = said.rsplit_once("-:").and_then(|(_, number)| number.trim().parse::<usize>().ok());
        let line = number.and_then(|number| lines.get(number.checked_sub(1)?)).map_or("", String::as_str);
        bail!("ip {line}: {said}");
    }
    Ok(())
}

fn settings(space: &Space) -> Result<()> {
    let count = SETTINGS.len() - if space.forwards { 0 } else { FORWARDING };
    for (name, value) in SETTINGS.iter().take(count) {
        let path = Path::new("/proc/sys").join(name);
        match fs::write(&path, value) {
            // A kernel without IPv6 or with the setting elsewhere: what needs it will say so.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            result => result.with_context(|| format!("cannot write {value} to {}", path.display()))?,
        }
    }
    Ok(())
}

/// Source NAT. Nothing that the lab shows crosses it, so the lab can do without.
fn rules(run: &Path, space: &Space) -> Result<Vec<String>> {
    let mut notices = Vec::new();
    for (name, words) in &space.rules {
        if super::outside::find(name).is_none() {
            notices.push(format!("{}: {name} is not installed, the MASQUERADE rule is left out", space.file));
            continue;
        }
        // Its lock is a file of the host's otherwise.
        let lock = run.join("xtables.lock");
        space::output(program(name, run)?.env("XTABLES_LOCKFILE", lock).args(words))?;
    }
    Ok(notices)
}
