//! Real packets from pod to pod, with the programs that people use, and what they print, read.

use std::{net::IpAddr, path::Path};

use anyhow::{Context as _, Result, bail};

use super::space::{program, run, said, within};

/// One ping of a second at most: what it printed, and whether it was answered.
pub(super) fn ping(directory: &Path, space: &Path, to: IpAddr) -> Result<(String, bool)> {
    let words = ["-n", "-c", "1", "-W", "1"];
    let output = within(space, || run(program("ping", directory)?.args(words).arg(to.to_string()), ""))?;
    // 0: answered; 1: not; anything else is no result.
    if !matches!(output.status.code(), Some(0 | 1)) {
        bail!("ping {to}: {}: {}", output.status, said(&output));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answered = received(&text).context("ping says no number of packets")? == 1;
    Ok((format!("ping {} {to}\n{text}", words.join(" ")), answered))
}

/// A traceroute: what it printed, and who answered at each hop.
pub(super) fn traceroute(
    directory: &Path,
    space: &Path,
    to: IpAddr,
) -> Result<(String, Vec<Option<IpAddr>>)> {
    let words = ["-n", "-q", "1", "-w", "1"];
    let output =
        within(space, || run(program("traceroute", directory)?.args(words).arg(to.to_string()), ""))?;
    if !output.status.success() {
        bail!("traceroute {to}: {}: {}", output.status, said(&output));
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = hops(&text);
    Ok((format!("traceroute {} {to}\n{text}", words.join(" ")), found))
}

/// `1 packets transmitted, 1 received, 0% packet loss, time 0ms`
fn received(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.contains("packets transmitted"))?;
    let part = line.split(',').find(|part| part.trim_end().ends_with("received"))?;
    part.split_whitespace().next()?.parse().ok()
}

/// ` 3  10.0.0.0  0.033 ms`, or ` 3  *`.
fn hops(text: &str) -> Vec<Option<IpAddr>> {
    let lines = text.lines().filter(|line| {
        line.split_whitespace().next().is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
    });
    lines.map(|line| line.split_whitespace().nth(1).and_then(|address| address.parse().ok())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ping_prints() {
        let text = "PING 10.1.2.10 (10.1.2.10) 56(84) bytes of data.\n\
                    64 bytes from 10.1.2.10: icmp_seq=1 ttl=59 time=0.077 ms\n\n\
                    --- 10.1.2.10 ping statistics ---\n\
                    1 packets transmitted, 1 received, 0% packet loss, time 0ms\n";
        assert_eq!(received(text), Some(1));
        let lost = "1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n";
        assert_eq!(received(lost), Some(0));
        assert_eq!(received("ping: connect: Network is unreachable\n"), None);
    }

    #[test]
    fn what_traceroute_prints() {
        let text = "traceroute to 10.1.3.10 (10.1.3.10), 30 hops max, 60 byte packets\n \
                    1  10.1.1.1  0.210 ms\n 2  *\n 3  10.0.0.0  0.033 ms !N\n30  10.1.3.10  0.035 ms\n";
        let wanted = [Some("10.1.1.1"), None, Some("10.0.0.0"), Some("10.1.3.10")];
        assert_eq!(hops(text), wanted.map(|hop| hop.map(|hop| hop.parse().unwrap())));
        assert_eq!(hops(""), []);
    }
}
