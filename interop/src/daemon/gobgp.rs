//! GoBGP.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::Result;
use ipnet::IpNet;
use serde_json::Value;

use super::{COMMUNITY, Config, Driver, EXTENDED, LARGE, LOCAL_PREF, MED, Marks, Peer, command};
use crate::namespace::output;

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
            config.address,
        );
        for peer in &config.neighbors {
            let Peer { address, asn, passive, hold } = peer;
            let _ = writeln!(
                text,
                "[[neighbors]]
  [neighbors.config]
    neighbor-address = \"{address}\"
    peer-as = {asn}
  [neighbors.timers.config]
    hold-time = {hold}
    keepalive-interval = {}
    connect-retry = 1
    idle-hold-time-after-reset = 1
  [neighbors.transport.config]
    passive-mode = {passive}
    local-address = \"{}\"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = \"{}-unicast\"",
                hold / 3,
                config.address,
                if address.is_ipv4() { "ipv4" } else { "ipv6" },
            );
            if !config.is_internal(peer) {
                text.push_str(
                    "  [neighbors.ebgp-multihop.config]\n    enabled = true\n    multihop-ttl = 64\n",
                );
            }
        }
        ("gobgpd.toml", text)
    }

    fn commands(&self, _config: &Config, dir: &Path) -> Vec<Command> {
        vec![command(&format!(
            "gobgpd -f {}/gobgpd.toml -l warn --pprof-disable --api-hosts 127.0.0.1:50051",
            dir.display()
        ))]
    }

    fn is_ready(&self, _dir: &Path) -> bool {
        gobgp("global").is_ok_and(|text| text.contains("Router-ID"))
    }

    fn originate(&self, config: &Config, _dir: &Path) -> Result<()> {
        for route in &config.routes {
            let family = family(route.prefix);
            let mut line =
                format!("global rib add -a {family} {} nexthop {} origin igp", route.prefix, config.address);
            if route.decorated {
                let _ = write!(
                    line,
                    " community {}:{} med {MED} local-pref {LOCAL_PREF} large-community {}:{}:{} rt {}:{}",
                    COMMUNITY.0, COMMUNITY.1, LARGE.0, LARGE.1, LARGE.2, EXTENDED.0, EXTENDED.1
                );
            }
            gobgp(&line)?;
        }
        Ok(())
    }

    fn received(&self, _dir: &Path, _index: usize, peer: &Peer) -> Result<usize> {
        let json: Value = serde_json::from_str(&gobgp(&format!("neighbor {} -j", peer.address))?)?;
        let count = json.pointer("/afi_safis/0/state/received").and_then(Value::as_u64).unwrap_or(0);
        Ok(usize::try_from(count)?)
    }

    fn route(&self, _dir: &Path, prefix: IpNet) -> Result<String> {
        gobgp(&format!("global rib -a {} {prefix}", family(prefix)))
    }

    fn neighbor(&self, _dir: &Path, _index: usize, peer: &Peer) -> Result<String> {
        gobgp(&format!("neighbor {}", peer.address))
    }

    fn reset(&self, _dir: &Path, _index: usize, peer: &Peer) -> Result<()> {
        gobgp(&format!("neighbor {} reset", peer.address)).map(drop)
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

fn gobgp(line: &str) -> Result<String> {
    output(Command::new("gobgp").args(["-u", "127.0.0.1"]).args(line.split_whitespace()))
}
