//! GoBGP.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
    path::Path,
    process::Command,
};

use anyhow::Result;
use ipnet::IpNet;
use serde_json::Value;

use super::{
    COMMUNITY, Config, Driver, EXTENDED, LARGE, LOCAL_PREF, MED, Marks, Peer, Unnumbered, command, display,
};
use crate::namespace::output;

/// The socket that it answers on.
pub(super) const API: &str = "api.sock";

#[derive(Debug)]
pub(super) struct Gobgp;

impl Driver for Gobgp {
    fn file(&self, config: &Config, _dir: &Path) -> (&'static str, String) {
        let mut text = format!(
            "[global.config]
  as = {}
  router-id = \"{}\"
  port = 179
  local-address-list = [\"{}\"]
",
            config.asn,
            config.router_id(),
            if config.unnumbered.is_some() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { config.address },
        );
        if let Some(Unnumbered { interface, asn, .. }) = &config.unnumbered {
            let _ = writeln!(
                text,
                "[[neighbors]]
  [neighbors.config]
    neighbor-interface = \"{interface}\"
    peer-as = {asn}
  [neighbors.timers.config]
    connect-retry = 1
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = \"ipv4-unicast\""
            );
        }
        for peer in &config.neighbors {
            let Peer { address, asn, passive, hold, key, ttl_security } = peer;
            let helps = config.graceful_restart;
            let key = key.map_or_else(String::new, |key| format!("    auth-password = \"{key}\"\n"));
            let _ = writeln!(
                text,
                "[[neighbors]]
  [neighbors.config]
    neighbor-address = \"{address}\"
    peer-as = {asn}
{key}  [neighbors.timers.config]
    hold-time = {hold}
    keepalive-interval = {}
    connect-retry = 1
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    passive-mode = {passive}
    local-address = \"{}\"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = \"{}-unicast\"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = {helps}
  [neighbors.graceful-restart.config]
    enabled = {helps}
    restart-time = 120
    notification-enabled = {helps}",
                hold / 3,
                config.address,
                if address.is_ipv4() { "ipv4" } else { "ipv6" },
            );
            if *ttl_security {
                text.push_str("  [neighbors.ttl-security.config]\n    enabled = true\n    ttl-min = 255\n");
            } else if !config.is_internal(peer) {
                text.push_str(
                    "  [neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = 64\n",
                );
            }
        }
        ("gobgpd.toml", text)
    }

    fn commands(&self, config: &Config, dir: &Path) -> Vec<Command> {
        let dir = dir.display();
        let line =
            format!("gobgpd -f {dir}/gobgpd.toml -l warn --pprof-disable --api-hosts unix://{dir}/{API}");
        vec![config.unnumbered.as_ref().map_or_else(|| command(&line), |link| link.within(&line))]
    }

    fn is_ready(&self, dir: &Path) -> bool {
        gobgp(dir, "global").is_ok_and(|text| text.contains("Router-ID"))
    }

    fn originate(&self, config: &Config, dir: &Path) -> Result<()> {
        for route in &config.routes {
            let family = family(route.prefix);
            // Without a next hop it is the session's address.
            let mut line = format!("global rib add -a {family} {} origin igp", route.prefix);
            if route.decorated {
                let _ = write!(
                    line,
                    " community {}:{} med {MED} local-pref {LOCAL_PREF} large-community {}:{}:{} rt {}:{}",
                    COMMUNITY.0, COMMUNITY.1, LARGE.0, LARGE.1, LARGE.2, EXTENDED.0, EXTENDED.1
                );
            }
            gobgp(dir, &line)?;
        }
        Ok(())
    }

    fn received(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<usize> {
        let json: Value = serde_json::from_str(&gobgp(dir, &format!("neighbor {} -j", peer.address))?)?;
        let count = json.pointer("/afi_safis/0/state/received").and_then(Value::as_u64).unwrap_or(0);
        Ok(usize::try_from(count)?)
    }

    fn route(&self, dir: &Path, prefix: IpNet) -> Result<String> {
        gobgp(dir, &format!("global rib -a {} {prefix}", family(prefix)))
    }

    fn neighbor(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<String> {
        gobgp(dir, &format!("neighbor {}", peer.address))
    }

    fn reset(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<()> {
        gobgp(dir, &format!("neighbor {} reset", peer.address)).map(drop)
    }

    fn marks(&self) -> Marks {
        Marks {
            transitive: vec![
                format!("{{Communities: {}:{}}}", COMMUNITY.0, COMMUNITY.1),
                format!("{{LargeCommunity: [ {}:{}:{}]}}", LARGE.0, LARGE.1, LARGE.2),
                format!("{{Extcomms: [{}:{}]}}", EXTENDED.0, EXTENDED.1),
                format!("{{Med: {MED}}}"),
            ],
            local_pref: format!("{{LocalPref: {LOCAL_PREF}}}"),
        }
    }
}

fn family(prefix: IpNet) -> &'static str {
    if prefix.addr().is_ipv4() { "ipv4" } else { "ipv6" }
}

fn gobgp(dir: &Path, line: &str) -> Result<String> {
    let target = format!("unix://{}", display(dir, API));
    output(Command::new("gobgp").args(["--target", &target]).args(line.split_whitespace()))
}
