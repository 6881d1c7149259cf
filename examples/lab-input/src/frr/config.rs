//! The state that configuration lines build up, with FRR's rules about where a line may stand and what
//! has to come before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use peerage_core::{
    speaker::{NeighborKey, PeerAs},
    wire::{Asn, Family},
};

use super::command::{Command, Defaults, Keepalive, Setting, parse};
use crate::place::Place;

/// What the lines of one router said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    context: Context,
    /// Defaults for what comes after.
    pub(crate) defaults: Defaults,
    /// `hostname`
    pub(crate) hostname: Option<String>,
    /// `router bgp`
    pub(crate) bgp: Option<Bgp>,
    /// What each `vtysh` says to FRR: lines that are understood, their words apart by one space.
    pub(crate) vtysh: Vec<Vec<String>>,
}

/// Where the next line stands. A line that has no meaning in one is tried in the one around it, as
/// FRR does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Context {
    /// Before `configure terminal`.
    #[default]
    Enable,
    /// Within it.
    Config,
    /// Within `router bgp`.
    Bgp,
    /// Within `address-family`.
    Family(Family),
    /// Within something whose first line was wrong. That has been said; the lines within it are read
    /// for themselves and change nothing, until the context that is left for.
    Lost(Within),
}

/// What a wrong line would have opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Router,
    Family,
}

/// One `router bgp`.
#[derive(Clone, Debug)]
pub(crate) struct Bgp {
    /// Where it stands.
    pub(crate) place: Place,
    /// Its AS.
    pub(crate) asn: Asn,
    /// The defaults that held when it was entered.
    pub(crate) defaults: Defaults,
    /// `bgp router-id`
    pub(crate) router_id: Option<Ipv4Addr>,
    /// `bgp ebgp-requires-policy` (RFC 8212)
    pub(crate) requires_policy: bool,
    /// `timers bgp`
    pub(crate) timers: Option<Keepalive>,
    /// Peer groups by name.
    pub(crate) groups: BTreeMap<String, Peer>,
    /// Neighbours.
    pub(crate) neighbors: BTreeMap<NeighborKey, Peer>,
    /// Families of `redistribute connected`.
    pub(crate) redistribute: BTreeSet<Family>,
    /// `network`
    pub(crate) networks: BTreeMap<IpNet, Place>,
    default_ipv4: bool,
}

/// What was said about a neighbour or a group by itself; what a group says is not merged in yet.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it was first named.
    pub(crate) place: Place,
    /// Its group.
    pub(crate) group: Option<String>,
    /// `remote-as`
    pub(crate) asn: Option<PeerAs>,
    /// Whether IPv4 unicast is active where nothing is said.
    pub(crate) default_ipv4: bool,
    /// `activate`, `no activate`
    pub(crate) activate: BTreeMap<Family, bool>,
    /// `default-originate`
    pub(crate) default_originate: BTreeSet<Family>,
    /// `timers`
    pub(crate) timers: Option<Keepalive>,
    /// `timers connect`
    pub(crate) connect_retry: Option<u16>,
    /// `description`
    pub(crate) description: Option<String>,
    /// `update-source`
    pub(crate) update_source: Option<(String, Place)>,
    /// `next-hop-self`
    pub(crate) next_hop_self: bool,
    /// `route-reflector-client`
    pub(crate) reflector_client: Option<Place>,
    /// `ebgp-multihop`
    pub(crate) multihop: Option<u8>,
    /// `maximum-prefix`
    pub(crate) maximum_prefix: Option<u32>,
    /// `passive`
    pub(crate) passive: bool,
    /// `shutdown`
    pub(crate) shutdown: bool,
}

impl Config {
    /// Another `vtysh` starts.
    pub(crate) fn begin(&mut self) {
        self.context = Context::Enable;
        self.vtysh.push(Vec::new());
    }

    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str, place: &Place) -> Result<(), String> {
        match parse(line) {
            Ok(command) => {
                if let Some(said) = self.vtysh.last_mut().filter(|_| command != Command::Nothing) {
                    said.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
                }
                self.command(command, place).map_err(|message| format!("`{}`: {message}", line.trim()))
            }
            Err(message) => {
                self.lose(line.split_whitespace().next().unwrap_or_default());
                Err(message)
            }
        }
    }

    /// After a wrong line that opens a context.
    fn lose(&mut self, keyword: &str) {
        self.context = match (keyword, self.context) {
            (_, Context::Enable) => Context::Enable,
            ("router", _) => Context::Lost(Within::Router),
            ("address-family", Context::Bgp | Context::Family(_)) => Context::Lost(Within::Family),
            (_, context) => context,
        };
    }

    fn command(&mut self, command: Command, place: &Place) -> Result<(), String> {
        match command {
            Command::Nothing => {}
            Command::Configure => self.context = Context::Config,
            Command::End => self.context = Context::Enable,
            Command::ExitFamily | Command::Exit if self.context == Context::Lost(Within::Family) => {
                self.context = Context::Bgp;
            }
            Command::Exit => {
                self.context = match self.context {
                    Context::Lost(_) => Context::Config,
                    Context::Enable | Context::Config => Context::Enable,
                    Context::Bgp => Context::Config,
                    Context::Family(_) => Context::Bgp,
                }
            }
            Command::Router(asn) => self.router(asn, place)?,
            _ if matches!(self.context, Context::Lost(_)) => {}
            Command::ExitFamily => match self.context {
                Context::Family(_) => self.context = Context::Bgp,
                _ => return Err("there is no address-family to leave".into()),
            },
            Command::Defaults(defaults) => {
                self.in_config()?;
                self.defaults = defaults;
            }
            Command::Hostname(name) => {
                self.in_config()?;
                self.hostname = Some(name);
            }
            Command::RouterId(id) => self.in_bgp()?.router_id = Some(id),
            Command::RequiresPolicy(required) => self.in_bgp()?.requires_policy = required,
            Command::DefaultIpv4(active) => self.in_bgp()?.default_ipv4 = active,
            Command::Timers(timers) => self.in_bgp()?.timers = Some(timers),
            Command::Family(family) => {
                self.in_bgp()?;
                self.context = Context::Family(family);
            }
            Command::Redistribute => {
                let (bgp, family) = self.in_family()?;
                bgp.redistribute.insert(family);
            }
            Command::Network(net) => {
                let (bgp, family) = self.in_family()?;
                if (family == Family::IPV4_UNICAST) != net.addr().is_ipv4() {
                    return Err(format!("{net} is not of {family}"));
                }
                bgp.networks.entry(net).or_insert_with(|| place.clone());
            }
            Command::Neighbor(name, setting) => {
                if !setting.stands_in_family() {
                    self.in_bgp()?;
                }
                let (bgp, family) = self.in_family()?;
                bgp.neighbor(&name, setting, family, place)?;
            }
        }
        Ok(())
    }

    fn router(&mut self, asn: Asn, place: &Place) -> Result<(), String> {
        self.in_config()?;
        match &self.bgp {
            Some(bgp) if bgp.asn != asn => {
                let line = bgp.place.line.map_or(String::new(), |line| format!(" in line {line}"));
                self.context = Context::Lost(Within::Router);
                return Err(format!("there is a router bgp {} already{line}; expected one", bgp.asn));
            }
            Some(_) => {}
            None => {
                self.bgp = Some(Bgp {
                    place: place.clone(),
                    asn,
                    defaults: self.defaults,
                    router_id: None,
                    requires_policy: self.defaults == Defaults::Traditional,
                    timers: None,
                    groups: BTreeMap::new(),
                    neighbors: BTreeMap::new(),
                    redistribute: BTreeSet::new(),
                    networks: BTreeMap::new(),
                    default_ipv4: true,
                });
            }
        }
        self.context = Context::Bgp;
        Ok(())
    }

    /// For a line that stands in `configure terminal`, which it leaves inner contexts for.
    fn in_config(&mut self) -> Result<(), String> {
        if self.context == Context::Enable {
            return Err("`configure terminal` has to come first".into());
        }
        self.context = Context::Config;
        Ok(())
    }

    /// For a line that stands in `router bgp`, which it leaves an address family for.
    fn in_bgp(&mut self) -> Result<&mut Bgp, String> {
        if let Context::Family(_) = self.context {
            self.context = Context::Bgp;
        }
        self.in_family().map(|(bgp, _)| bgp)
    }

    /// For a line that stands in `address-family`; directly in `router bgp` it is about IPv4 unicast.
    fn in_family(&mut self) -> Result<(&mut Bgp, Family), String> {
        let family = match self.context {
            Context::Enable | Context::Config | Context::Lost(_) => {
                return Err("it stands outside of `router bgp`".into());
            }
            Context::Bgp => Family::IPV4_UNICAST,
            Context::Family(family) => family,
        };
        match &mut self.bgp {
            Some(bgp) => Ok((bgp, family)),
            None => Err("it stands outside of `router bgp`".into()),
        }
    }
}

impl Bgp {
    fn neighbor(
        &mut self,
        name: &str,
        setting: Setting,
        family: Family,
        place: &Place,
    ) -> Result<(), String> {
        let new = Peer::new(place, self.default_ipv4);
        let address = name.parse::<IpAddr>().ok();
        if let Some(IpAddr::V6(address)) = address
            && address.is_unicast_link_local()
        {
            return Err("a link-local neighbour is configured by its interface".into());
        }
        match setting {
            Setting::Group if address.is_some() => Err("a peer group's name is not an address".into()),
            Setting::Group if self.interface(name).is_some() => {
                Err(format!("{name} is an interface already; a peer group needs another name"))
            }
            Setting::Group => {
                self.groups.entry(name.to_owned()).or_insert(new);
                Ok(())
            }
            Setting::Interface(_) if address.is_some() => Err(format!("{name} is not an interface")),
            Setting::Interface(_) if self.groups.contains_key(name) => {
                Err(format!("{name} is a peer group already, not an interface"))
            }
            Setting::Interface(inner) => {
                self.neighbors.entry(NeighborKey::Interface(name.to_owned())).or_insert(new);
                match inner {
                    Some(inner) => self.neighbor(name, *inner, family, place),
                    None => Ok(()),
                }
            }
            Setting::Member(group) => self.join(name, address, &group, new),
            Setting::RemoteAs(asn) => {
                if let Some(address) = address {
                    self.neighbors.entry(NeighborKey::Address(address)).or_insert(new);
                }
                let of_group = self.peer(name, address)?.group.clone();
                if let Some(group) = of_group
                    && self
                        .groups
                        .get(&group)
                        .is_some_and(|group| group.asn.is_some_and(|other| other != asn))
                {
                    return Err(format!("its peer group {group} has another remote-as already"));
                }
                self.peer(name, address)?.asn = Some(asn);
                Ok(())
            }
            other => {
                self.peer(name, address)?.set(other, family, place);
                Ok(())
            }
        }
    }

    fn join(&mut self, name: &str, address: Option<IpAddr>, group: &str, new: Peer) -> Result<(), String> {
        let Some(of_group) = self.groups.get(group).map(|group| group.asn) else {
            return Err(format!(
                "there is no peer group {group}; `neighbor {group} peer-group` has to come first"
            ));
        };
        if self.groups.contains_key(name) {
            return Err(format!("{name} is a peer group, which cannot be in another"));
        }
        if let Some(address) = address {
            self.neighbors.entry(NeighborKey::Address(address)).or_insert(new);
        }
        let peer = self.peer(name, address)?;
        if let Some(other) = &peer.group
            && other != group
        {
            return Err(format!("{name} is in peer group {other} already"));
        }
        if of_group.is_some() && peer.asn.is_some() && of_group != peer.asn {
            return Err(format!("{name} has another remote-as than its peer group {group}"));
        }
        peer.group = Some(group.to_owned());
        Ok(())
    }

    fn interface(&mut self, name: &str) -> Option<&mut Peer> {
        self.neighbors.get_mut(&NeighborKey::Interface(name.to_owned()))
    }

    /// The neighbour or group of this name, which has to be there.
    fn peer(&mut self, name: &str, address: Option<IpAddr>) -> Result<&mut Peer, String> {
        if let Some(address) = address {
            return self.neighbors.get_mut(&NeighborKey::Address(address)).ok_or_else(|| {
                format!("there is no neighbour {name} yet; its remote-as or peer-group has to come first")
            });
        }
        if self.groups.contains_key(name) {
            return self.groups.get_mut(name).ok_or_else(String::new);
        }
        self.interface(name).ok_or_else(|| {
            format!(
                "{name} is no address, and no peer group or interface neighbour yet; `neighbor {name} \
                 peer-group` or `neighbor {name} interface ...` has to come first"
            )
        })
    }
}

impl Peer {
    fn new(place: &Place, default_ipv4: bool) -> Self {
        Self {
            place: place.clone(),
            group: None,
            asn: None,
            default_ipv4,
            activate: BTreeMap::new(),
            default_originate: BTreeSet::new(),
            timers: None,
            connect_retry: None,
            description: None,
            update_source: None,
            next_hop_self: false,
            reflector_client: None,
            multihop: None,
            maximum_prefix: None,
            passive: false,
            shutdown: false,
        }
    }

    fn set(&mut self, setting: Setting, family: Family, place: &Place) {
        match setting {
            // These make or join something and are the caller's.
            Setting::Group | Setting::Interface(_) | Setting::Member(_) | Setting::RemoteAs(_) => {}
            Setting::DefaultOriginate => {
                self.default_originate.insert(family);
            }
            Setting::Timers(timers) => self.timers = Some(timers),
            Setting::ConnectRetry(seconds) => self.connect_retry = Some(seconds),
            Setting::Description(text) => self.description = Some(text),
            Setting::UpdateSource(source) => self.update_source = Some((source, place.clone())),
            Setting::NextHopSelf => self.next_hop_self = true,
            Setting::ReflectorClient => self.reflector_client = Some(place.clone()),
            Setting::Multihop(hops) => self.multihop = Some(hops),
            Setting::MaximumPrefix(count) => {
                self.maximum_prefix = Some(self.maximum_prefix.map_or(count, |other| other.min(count)));
            }
            Setting::Passive => self.passive = true,
            Setting::Shutdown => self.shutdown = true,
            Setting::Activate(active) => {
                self.activate.insert(family, active);
            }
        }
    }
}
