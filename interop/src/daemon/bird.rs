//! BIRD 2. Its next hops are resolved in tables of their own, for on the loopback interface nothing is
//! directly connected.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::{Context as _, Result};
use ipnet::IpNet;

use super::{
    COMMUNITY, Config, Driver, EXTENDED, LARGE, LOCAL_PREF, MED, Marks, Peer, Unnumbered, command, display,
};
use crate::namespace::output;

#[derive(Debug)]
pub(super) struct Bird;

impl Driver for Bird {
    fn file(&self, config: &Config, _dir: &Path) -> (&'static str, String) {
        let mut text = format!(
            "log stderr all;
router id {};
protocol device {{ }}
filter announce {{
  # BIRD sends a MED over eBGP only where the export filter has set it.
  if source = RTS_STATIC && defined(bgp_med) then bgp_med = bgp_med;
  accept;
}}
ipv4 table hops4;
ipv6 table hops6;
protocol static {{ ipv4 {{ table hops4; }}; route 10.77.0.0/24 via \"lo\"; }}
protocol static {{ ipv6 {{ table hops6; }}; route fd77::/64 via \"lo\"; }}
",
            config.router_id()
        );
        for (family, is_ipv4) in [("ipv4", true), ("ipv6", false)] {
            let _ = writeln!(text, "protocol static {{\n  {family};");
            for route in config.routes.iter().filter(|route| route.prefix.addr().is_ipv4() == is_ipv4) {
                let edits = if route.decorated { decoration() } else { String::new() };
                let _ = writeln!(text, "  route {} blackhole {{ {edits} }};", route.prefix);
            }
            text.push_str("}\n");
        }
        for (index, peer) in config.neighbors.iter().enumerate() {
            let Peer { address, asn, passive, hold, key, ttl_security } = peer;
            let key = key.map_or_else(String::new, |key| format!("password \"{key}\";"));
            let family = if address.is_ipv4() { '4' } else { '6' };
            let _ = writeln!(
                text,
                "protocol bgp p{index} {{
  local {} port 179 as {};
  neighbor {address} as {asn};
  {}
  {key}
  strict bind yes;
  passive {};
  hold time {hold};
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  ipv{family} {{ igp table hops{family}; import all; export filter announce; }};
}}",
                config.address,
                config.asn,
                if *ttl_security { "multihop 1;\n  ttl security yes;" } else { "multihop;" },
                if *passive { "yes" } else { "no" },
            );
        }
        if let Some(Unnumbered { interface, address, asn, passive, .. }) = &config.unnumbered {
            // It lets itself be found, but does not look.
            let _ = writeln!(
                text,
                "protocol radv {{ interface \"{interface}\" {{ max ra interval 10; default lifetime 0; }}; }}
protocol bgp p0 {{
  local as {};
  neighbor {address}%'{interface}' as {asn};
  direct;
  passive {};
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  ipv4 {{ extended next hop yes; import all; export all; }};
}}",
                config.asn,
                if *passive { "yes" } else { "no" },
            );
        }
        ("bird.conf", text)
    }

    fn commands(&self, config: &Config, dir: &Path) -> Vec<Command> {
        let dir = dir.display();
        let line = format!("bird -f -c {dir}/bird.conf -s {dir}/bird.ctl -P {dir}/bird.pid");
        vec![config.unnumbered.as_ref().map_or_else(|| command(&line), |link| link.within(&line))]
    }

    fn is_ready(&self, dir: &Path) -> bool {
        birdc(dir, "show status").is_ok()
    }

    fn received(&self, dir: &Path, index: usize, _peer: &Peer) -> Result<usize> {
        // "  Routes:         2 imported, 1 exported, 0 preferred"
        let text = birdc(dir, &format!("show protocols all p{index}"))?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("Routes:")).unwrap_or("0");
        Ok(line.split_whitespace().next().context("a number")?.parse()?)
    }

    fn route(&self, dir: &Path, prefix: IpNet) -> Result<String> {
        let shown = birdc(dir, &format!("show route {prefix} all"));
        match shown {
            Err(error) if error.to_string().contains("Network not found") => Ok(String::new()),
            shown => shown,
        }
    }

    fn neighbor(&self, dir: &Path, index: usize, _peer: &Peer) -> Result<String> {
        birdc(dir, &format!("show protocols all p{index}"))
    }

    fn reset(&self, dir: &Path, index: usize, _peer: &Peer) -> Result<()> {
        birdc(dir, &format!("restart p{index}")).map(drop)
    }

    fn marks(&self) -> Marks {
        Marks {
            transitive: vec![
                format!("BGP.community: ({},{})", COMMUNITY.0, COMMUNITY.1),
                format!("BGP.large_community: ({}, {}, {})", LARGE.0, LARGE.1, LARGE.2),
                format!("BGP.ext_community: (rt, {}, {})", EXTENDED.0, EXTENDED.1),
                format!("BGP.med: {MED}"),
            ],
            local_pref: format!("BGP.local_pref: {LOCAL_PREF}"),
        }
    }
}

fn decoration() -> String {
    format!(
        "bgp_community.add(({},{})); bgp_large_community.add(({},{},{})); \
         bgp_ext_community.add((rt,{},{})); bgp_med = {MED}; bgp_local_pref = {LOCAL_PREF};",
        COMMUNITY.0, COMMUNITY.1, LARGE.0, LARGE.1, LARGE.2, EXTENDED.0, EXTENDED.1
    )
}

fn birdc(dir: &Path, line: &str) -> Result<String> {
    output(Command::new("birdc").args(["-s", &display(dir, "bird.ctl")]).args(line.split_whitespace()))
}
