//! The grammar: one configuration line, one [`Command`]. Where a command may stand is `config`'s matter.

use std::net::Ipv4Addr;

use ipnet::IpNet;
use peerage_core::{
    speaker::PeerAs,
    wire::{Asn, Family},
};

/// What is understood, for the fault about what is not.
const UNDERSTOOD: &str = "understood are: configure terminal; frr defaults; hostname; router bgp; bgp router-id; \
     [no] bgp ebgp-requires-policy; [no] bgp default ipv4-unicast; timers bgp; address-family ipv4|ipv6 unicast; \
     exit-address-family; redistribute connected; network; exit; end; write [memory]; and neighbor ... with peer-group, \
     interface, remote-as, default-originate, timers, description, update-source, next-hop-self, \
     route-reflector-client, ebgp-multihop, maximum-prefix, passive, shutdown, [no] ... activate";

/// A profile of defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defaults {
    /// `frr defaults traditional`, which holds where nothing else is said.
    #[default]
    Traditional,
    /// `frr defaults datacenter`.
    Datacenter,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `!`, an empty line or `write`.
    Nothing,
    /// `configure terminal`
    Configure,
    /// `end`
    End,
    /// `exit`
    Exit,
    /// `exit-address-family`
    ExitFamily,
    /// `frr defaults datacenter`
    Defaults(Defaults),
    /// `hostname tor0`
    Hostname(String),
    /// `router bgp 65000`
    Router(Asn),
    /// `bgp router-id 10.0.0.0`
    RouterId(Ipv4Addr),
    /// `[no] bgp ebgp-requires-policy`
    RequiresPolicy(bool),
    /// `[no] bgp default ipv4-unicast`
    DefaultIpv4(bool),
    /// `timers bgp 3 9`
    Timers(Keepalive),
    /// `address-family ipv4 unicast`
    Family(Family),
    /// `redistribute connected`
    Redistribute,
    /// `network 10.2.0.0/16`
    Network(IpNet),
    /// `neighbor NAME ...`
    Neighbor(String, Setting),
}

/// The two timers that are set together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    /// Seconds between KEEPALIVEs.
    pub(crate) keepalive: u16,
    /// Hold time in seconds.
    pub(crate) hold: u16,
}

/// What is said about a neighbour or a peer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `neighbor G peer-group`: there is a group of this name.
    Group,
    /// `neighbor X peer-group G`
    Member(String),
    /// `neighbor IF interface [v6only] [peer-group G | remote-as AS]`
    Interface(Option<Box<Self>>),
    /// `neighbor X remote-as external|internal|N`
    RemoteAs(PeerAs),
    /// `neighbor X default-originate`
    DefaultOriginate,
    /// `neighbor X timers 3 9`
    Timers(Keepalive),
    /// `neighbor X timers connect 10`
    ConnectRetry(u16),
    /// `neighbor X description ...`
    Description(String),
    /// `neighbor X update-source A|IF`
    UpdateSource(String),
    /// `neighbor X next-hop-self`
    NextHopSelf,
    /// `neighbor X route-reflector-client`
    ReflectorClient,
    /// `neighbor X ebgp-multihop [N]`
    Multihop(u8),
    /// `neighbor X maximum-prefix N`
    MaximumPrefix(u32),
    /// `neighbor X passive`
    Passive,
    /// `neighbor X shutdown`
    Shutdown,
    /// `[no] neighbor X activate`
    Activate(bool),
}

impl Setting {
    /// Whether it may stand in `address-family`; others belong to `router bgp` itself.
    pub(crate) fn stands_in_family(&self) -> bool {
        matches!(
            self,
            Self::Member(_)
                | Self::DefaultOriginate
                | Self::NextHopSelf
                | Self::ReflectorClient
                | Self::MaximumPrefix(_)
                | Self::Activate(_)
        )
    }
}

/// Reads a line.
pub(crate) fn parse(line: &str) -> Result<Command, String> {
    // FRR would take what follows a line break for a further command.
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(format!("{line:?} has a control character; expected one command in one line"));
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    Ok(match words.as_slice() {
        [] | ["write"] | ["write", "memory"] | ["do", "write"] | ["do", "write", "memory"] => {
            Command::Nothing
        }
        [comment, ..] if comment.starts_with(['!', '#']) => Command::Nothing,
        ["conf" | "configure", "t" | "term" | "terminal"] => Command::Configure,
        ["end"] => Command::End,
        ["exit"] => Command::Exit,
        ["exit-address-family"] => Command::ExitFamily,
        ["frr", "defaults", "traditional"] => Command::Defaults(Defaults::Traditional),
        ["frr", "defaults", "datacenter"] => Command::Defaults(Defaults::Datacenter),
        ["hostname", name] => Command::Hostname((*name).to_owned()),
        ["router", "bgp", asn] => Command::Router(as_number(asn)?),
        ["bgp", "router-id", id] => match id.parse::<Ipv4Addr>() {
            Ok(id) if !id.is_unspecified() => Command::RouterId(id),
            _ => return Err(format!("`{id}` is not a router id; expected an IPv4 address")),
        },
        ["bgp", "ebgp-requires-policy"] => Command::RequiresPolicy(true),
        ["no", "bgp", "ebgp-requires-policy"] => Command::RequiresPolicy(false),
        ["bgp", "default", "ipv4-unicast"] => Command::DefaultIpv4(true),
        ["no", "bgp", "default", "ipv4-unicast"] => Command::DefaultIpv4(false),
        ["timers", "bgp", keepalive, hold] => Command::Timers(timers(keepalive, hold)?),
        ["address-family", "ipv4", "unicast"] | ["address-family", "ipv4"] => {
            Command::Family(Family::IPV4_UNICAST)
        }
        ["address-family", "ipv6", "unicast"] | ["address-family", "ipv6"] => {
            Command::Family(Family::IPV6_UNICAST)
        }
        ["redistribute", "connected"] => Command::Redistribute,
        ["network", prefix] => match prefix.parse::<IpNet>() {
            Ok(net) => Command::Network(net.trunc()),
            Err(_) => return Err(format!("`{prefix}` is not a prefix; expected one like 10.2.0.0/16")),
        },
        ["no", "neighbor", name, "activate"] => {
            Command::Neighbor((*name).to_owned(), Setting::Activate(false))
        }
        ["neighbor", name, setting @ ..] => match neighbor(setting)? {
            Some(setting) => Command::Neighbor((*name).to_owned(), setting),
            None => return Err(unknown(line)),
        },
        _ => return Err(unknown(line)),
    })
}

fn neighbor(words: &[&str]) -> Result<Option<Setting>, String> {
    Ok(Some(match words {
        ["peer-group"] => Setting::Group,
        ["peer-group", group] => Setting::Member((*group).to_owned()),
        ["interface", "v6only", rest @ ..] | ["interface", rest @ ..] => match rest {
            [] => Setting::Interface(None),
            ["peer-group", _] | ["remote-as", _] => Setting::Interface(neighbor(rest)?.map(Box::new)),
            _ => return Ok(None),
        },
        ["remote-as", "external"] => Setting::RemoteAs(PeerAs::External),
        ["remote-as", "internal"] => Setting::RemoteAs(PeerAs::Internal),
        ["remote-as", asn] => Setting::RemoteAs(PeerAs::Number(
            as_number(asn).map_err(|message| format!("{message}, external or internal"))?,
        )),
        ["default-originate"] => Setting::DefaultOriginate,
        ["timers", "connect", seconds] => match seconds.parse() {
            Ok(seconds @ 1..) => Setting::ConnectRetry(seconds),
            _ => return Err(format!("`{seconds}` is not a time; expected 1 to 65535 seconds")),
        },
        ["timers", keepalive, hold] => Setting::Timers(timers(keepalive, hold)?),
        ["description", _, ..] => Setting::Description(words.get(1..).unwrap_or_default().join(" ")),
        ["update-source", source] => Setting::UpdateSource((*source).to_owned()),
        ["next-hop-self"] => Setting::NextHopSelf,
        ["route-reflector-client"] => Setting::ReflectorClient,
        ["ebgp-multihop"] => Setting::Multihop(255),
        ["ebgp-multihop", hops] => match hops.parse() {
            Ok(hops @ 1..) => Setting::Multihop(hops),
            _ => return Err(format!("`{hops}` is not a number of hops; expected 1 to 255")),
        },
        ["maximum-prefix", count] => match count.parse() {
            Ok(count @ 1..) => Setting::MaximumPrefix(count),
            _ => return Err(format!("`{count}` is not a number of prefixes; expected 1 to 4294967295")),
        },
        ["passive"] => Setting::Passive,
        ["shutdown"] => Setting::Shutdown,
        ["activate"] => Setting::Activate(true),
        _ => return Ok(None),
    }))
}

fn unknown(line: &str) -> String {
    format!("`{}` is not understood; {UNDERSTOOD}", line.trim())
}

fn as_number(text: &str) -> Result<Asn, String> {
    match text.parse() {
        Ok(Asn(0)) | Err(_) => Err(format!("`{text}` is not an AS number; expected 1 to 4294967295")),
        Ok(asn) => Ok(asn),
    }
}

/// RFC 4271 §4.2: a hold time of one or two seconds is none.
fn timers(keepalive: &str, hold: &str) -> Result<Keepalive, String> {
    let keepalive = keepalive
        .parse()
        .map_err(|_| format!("`{keepalive}` is not a keepalive time; expected 0 to 65535 seconds"))?;
    match hold.parse() {
        Ok(hold @ 3..) if keepalive == 0 => Err(format!(
            "a keepalive time of 0 does not keep a session alive whose hold time is {hold} s; expected 1 or more"
        )),
        Ok(hold @ (0 | 3..)) => Ok(Keepalive { keepalive, hold }),
        _ => Err(format!("`{hold}` is not a hold time; expected 0 or 3 to 65535 seconds")),
    }
}
