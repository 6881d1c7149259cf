//! OpenBGPD. Its processes change to a user of their own, so it needs root.
//!
//! It takes a hold time of one or two seconds, against RFC 4271 §6.2, unless `holdtime min` is configured.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::Result;
use ipnet::IpNet;
use serde_json::Value;

use super::{COMMUNITY, Config, Driver, EXTENDED, LARGE, LOCAL_PREF, MED, Marks, Peer, command, display};
use crate::namespace::output;

#[derive(Debug)]
pub(super) struct Openbgpd;

impl Driver for Openbgpd {
    fn file(&self, config: &Config, dir: &Path) -> (&'static str, String) {
        let mut text = format!(
            "AS {}
router-id {}
fib-update no
nexthop qualify via default
connect-retry 1
socket \"{}\"
listen on {}
",
            config.asn,
            config.router_id(),
            display(dir, "bgpd.sock"),
            config.address,
        );
        for route in &config.routes {
            let set = if route.decorated { decoration() } else { String::new() };
            let _ = writeln!(text, "network {} {set}", route.prefix);
        }
        for peer in &config.neighbors {
            let Peer { address, asn, passive, hold, key, ttl_security } = peer;
            let key = key.map_or_else(String::new, |key| format!("tcp md5sig password \"{key}\""));
            let is_ipv4 = address.is_ipv4();
            let _ = writeln!(
                text,
                "neighbor {address} {{
    remote-as {asn}
    local-address {}
    holdtime {hold}
    holdtime min 3
    announce IPv4 {}
    announce IPv6 {}
    {}
    {}
    {key}
}}",
                config.address,
                if is_ipv4 { "unicast" } else { "none" },
                if is_ipv4 { "none" } else { "unicast" },
                if *ttl_security {
                    "ttl-security yes"
                } else if config.is_internal(peer) {
                    ""
                } else {
                    "multihop 64"
                },
                if *passive { "passive" } else { "" },
            );
        }
        text.push_str("allow from any\nallow to any\n");
        ("bgpd.conf", text)
    }

    fn commands(&self, _config: &Config, dir: &Path) -> Vec<Command> {
        vec![command(&format!("/usr/sbin/bgpd -d -v -f {}", display(dir, "bgpd.conf")))]
    }

    fn is_ready(&self, dir: &Path) -> bool {
        bgpctl(dir, "show summary").is_ok()
    }

    fn received(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<usize> {
        let json: Value = serde_json::from_str(&bgpctl(dir, &format!("-j show neighbor {}", peer.address))?)?;
        let count = json.pointer("/neighbors/0/stats/prefixes/received").and_then(Value::as_u64);
        Ok(usize::try_from(count.unwrap_or(0))?)
    }

    fn route(&self, dir: &Path, prefix: IpNet) -> Result<String> {
        bgpctl(dir, &format!("show rib detail {prefix}"))
    }

    fn neighbor(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<String> {
        bgpctl(dir, &format!("show neighbor {}", peer.address))
    }

    fn reset(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<()> {
        bgpctl(dir, &format!("neighbor {} clear", peer.address)).map(drop)
    }

    fn marks(&self) -> Marks {
        Marks {
            transitive: vec![
                format!("Communities: {}:{}", COMMUNITY.0, COMMUNITY.1),
                format!("Large Communities: {}:{}:{}", LARGE.0, LARGE.1, LARGE.2),
                format!("Ext. Communities: rt {}:{}", EXTENDED.0, EXTENDED.1),
                format!("metric {MED}"),
            ],
            local_pref: format!("localpref {LOCAL_PREF}"),
        }
    }
}

fn decoration() -> String {
    format!(
        "set {{ community {}:{} large-community {}:{}:{} ext-community rt {}:{} metric {MED} localpref {LOCAL_PREF} }}",
        COMMUNITY.0, COMMUNITY.1, LARGE.0, LARGE.1, LARGE.2, EXTENDED.0, EXTENDED.1
    )
}

fn bgpctl(dir: &Path, line: &str) -> Result<String> {
    output(Command::new("bgpctl").args(["-s", &display(dir, "bgpd.sock")]).args(line.split_whitespace()))
}
