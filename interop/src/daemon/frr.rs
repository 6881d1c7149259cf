//! FRR: bgpd by itself, without zebra and without changing its user; with both for an unnumbered
//! neighbour, in the network namespace of another process.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use serde_json::Value;

use super::{COMMUNITY, Config, Driver, EXTENDED, LARGE, LOCAL_PREF, MED, Marks, Peer, Unnumbered, command};
use crate::namespace::output;

pub(super) const BGPD: &str = "/usr/lib/frr/bgpd";
pub(super) const ZEBRA: &str = "/usr/lib/frr/zebra";

#[derive(Debug)]
pub(super) struct Frr;

impl Driver for Frr {
    fn file(&self, config: &Config, _dir: &Path) -> (&'static str, String) {
        let (asn, router_id) = (config.asn, config.router_id());
        let mut text = format!(
            "debug bgp neighbor-events
router bgp {asn}
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
"
        );
        let mut names = Vec::new();
        if let Some(Unnumbered { interface, passive, key, .. }) = &config.unnumbered {
            text.push_str(&format!(" neighbor {interface} interface remote-as external\n"));
            text.push_str(&format!(" neighbor {interface} timers connect 1\n"));
            if *passive {
                text.push_str(&format!(" neighbor {interface} passive\n"));
            }
            if let Some(key) = key {
                text.push_str(&format!(" neighbor {interface} password {key}\n"));
            }
            names.push((interface.clone(), true));
        }
        for peer in &config.neighbors {
            let Peer { address, asn, hold, passive, key, ttl_security } = peer;
            text.push_str(&format!(
                " neighbor {address} remote-as {asn}
 neighbor {address} update-source {}
 neighbor {address} timers {} {hold}
 neighbor {address} timers connect 1
 neighbor {address} advertisement-interval 0
",
                config.address,
                hold / 3,
            ));
            if !config.is_internal(peer) {
                text.push_str(&format!(" neighbor {address} disable-connected-check\n"));
            }
            if *passive {
                text.push_str(&format!(" neighbor {address} passive\n"));
            }
            if let Some(key) = key {
                text.push_str(&format!(" neighbor {address} password {key}\n"));
            }
            if *ttl_security {
                text.push_str(&format!(" neighbor {address} ttl-security hops 1\n"));
            }
            names.push((address.to_string(), address.is_ipv4()));
        }
        for (family, is_ipv4) in [("ipv4", true), ("ipv6", false)] {
            text.push_str(&format!(" address-family {family} unicast\n"));
            for (name, _) in names.iter().filter(|(_, it)| *it == is_ipv4) {
                text.push_str(&format!("  neighbor {name} activate\n  neighbor {name} send-community all\n"));
            }
            for route in config.routes.iter().filter(|route| route.prefix.addr().is_ipv4() == is_ipv4) {
                let map = if route.decorated { " route-map DECORATED" } else { "" };
                text.push_str(&format!("  network {}{map}\n", route.prefix));
            }
            text.push_str(" exit-address-family\n");
        }
        text.push_str(&format!(
            "route-map DECORATED permit 10
 set community {}:{}
 set large-community {}:{}:{}
 set extcommunity rt {}:{}
 set metric {MED}
 set local-preference {LOCAL_PREF}
",
            COMMUNITY.0, COMMUNITY.1, LARGE.0, LARGE.1, LARGE.2, EXTENDED.0, EXTENDED.1
        ));
        ("bgpd.conf", text)
    }

    fn commands(&self, config: &Config, dir: &Path) -> Vec<Command> {
        let dir = dir.display();
        let common = format!("-P 0 --vty_socket {dir} --log stdout --log-level debugging");
        let bgpd = format!("{BGPD} {common} -f {dir}/bgpd.conf -i {dir}/bgpd.pid -z {dir}/zserv");
        match &config.unnumbered {
            None => vec![command(&format!("{bgpd} -n -Z -S -l {}", config.address))],
            Some(link) => {
                let zebra = format!("{ZEBRA} {common} -f {dir}/zebra.conf -i {dir}/zebra.pid -z {dir}/zserv");
                vec![link.within(&zebra), link.within(&bgpd)]
            }
        }
    }

    fn is_ready(&self, dir: &Path) -> bool {
        vtysh(dir, "show bgp summary json").is_ok()
    }

    fn received(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<usize> {
        let family = if peer.address.is_ipv4() { "ipv4" } else { "ipv6" };
        let json: Value =
            serde_json::from_str(&vtysh(dir, &format!("show bgp {family} unicast summary json"))?)?;
        let peers = json.get("peers").or_else(|| json.pointer(&format!("/{family}Unicast/peers")));
        let count = peers.and_then(|peers| peers.get(peer.address.to_string())?.get("pfxRcd")?.as_u64());
        Ok(usize::try_from(count.context("pfxRcd")?)?)
    }

    fn route(&self, dir: &Path, prefix: IpNet) -> Result<String> {
        let family = if prefix.addr().is_ipv4() { "ipv4" } else { "ipv6" };
        vtysh(dir, &format!("show bgp {family} unicast {prefix}"))
    }

    fn neighbor(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<String> {
        vtysh(dir, &format!("show bgp neighbors {}", peer.address))
    }

    fn reset(&self, dir: &Path, _index: usize, peer: &Peer) -> Result<()> {
        vtysh(dir, &format!("clear bgp {}", peer.address)).map(drop)
    }

    fn marks(&self) -> Marks {
        Marks {
            transitive: vec![
                format!("Community: {}:{}", COMMUNITY.0, COMMUNITY.1),
                format!("Large Community: {}:{}:{}", LARGE.0, LARGE.1, LARGE.2),
                format!("Extended Community: RT:{}:{}", EXTENDED.0, EXTENDED.1),
                format!("metric {MED}"),
            ],
            local_pref: format!("localpref {LOCAL_PREF}"),
        }
    }
}

fn vtysh(dir: &Path, line: &str) -> Result<String> {
    output(Command::new("vtysh").arg("--vty_socket").arg(dir).arg("--config_dir").arg(dir).args(["-c", line]))
}
