//! What an `exec` line of a topology would do. Lines are recognised, never run.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{model::Masquerade, words::Word};

/// What is understood, for the fault about what is not.
const UNDERSTOOD: &str = "understood are: ip addr add ADDRESS/LENGTH dev IF, ip link del IF, ip link set IF up, \
     ip route add|replace PREFIX|default via ADDRESS [dev IF], ip route add|replace blackhole PREFIX, \
     iptables -t nat -A POSTROUTING -o IF -j MASQUERADE, touch FILE, sed -i ... /etc/frr/daemons, \
     frrinit.sh start, vtysh -c 'COMMAND' ...";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exec {
    /// `ip addr add 10.0.0.1/32 dev lo`
    AddAddress {
        /// The address with its length, host bits kept.
        address: IpNet,
        /// Its interface.
        interface: String,
    },
    /// `ip link del eth0`
    DeleteLink(String),
    /// `ip route add blackhole 10.0.0.0/8`
    Blackhole(IpNet),
    /// `ip route replace default via 10.0.1.1`
    Route {
        /// Where to.
        prefix: IpNet,
        /// Through whom.
        via: IpAddr,
        /// Over which interface, where the line says so.
        interface: Option<String>,
    },
    /// `vtysh -c '...'`: configuration lines for FRR.
    Vtysh(Vec<Word>),
    /// `iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE`
    Masquerade(Masquerade),
    /// Understood, and nothing the lab has to do.
    NoEffect,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecError {
    /// The octet of the line it is about.
    pub(crate) offset: usize,
    /// What, and what would be right.
    pub(crate) message: String,
}

/// Recognises a line.
pub(crate) fn parse(words: &[Word]) -> Result<Exec, ExecError> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let Some((&program, arguments)) = texts.split_first() else {
        return Err(ExecError { offset: 0, message: "an empty line; expected a command".into() });
    };
    let failed = |message: String| ExecError { offset: words.first().map_or(0, |word| word.offset), message };
    let base = program.rsplit('/').next().unwrap_or(program);
    match base {
        "vtysh" => vtysh(words.get(1..).unwrap_or_default()),
        "ip" => ip(arguments).map_err(failed),
        "iptables" | "ip6tables" => match masquerade(base == "iptables", arguments) {
            Some(rule) => Ok(Exec::Masquerade(rule)),
            None => Err(failed(format!("`{}` is not understood; {UNDERSTOOD}", texts.join(" ")))),
        },
        "touch" if !arguments.is_empty() && arguments.iter().all(|file| !file.starts_with('-')) => {
            Ok(Exec::NoEffect)
        }
        "sed" if is_daemons_edit(arguments) => Ok(Exec::NoEffect),
        "frrinit.sh" if matches!(arguments, ["start" | "restart"]) => Ok(Exec::NoEffect),
        _ => Err(failed(format!("`{}` is not understood; {UNDERSTOOD}", texts.join(" ")))),
    }
}

/// `-c COMMAND` and nothing else.
fn vtysh(arguments: &[Word]) -> Result<Exec, ExecError> {
    let mut commands = Vec::new();
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let failed = |message: String| ExecError { offset: option.offset, message };
        if !matches!(option.text.as_str(), "-c" | "--command") {
            return Err(failed(format!("vtysh: `{}` is not understood; expected -c 'COMMAND'", option.text)));
        }
        let command = rest.next().ok_or_else(|| failed("vtysh: no command follows the last -c".into()))?;
        commands.push(command.clone());
    }
    if commands.is_empty() {
        return Err(ExecError {
            offset: 0,
            message: "vtysh without commands; expected vtysh -c 'COMMAND'".into(),
        });
    }
    Ok(Exec::Vtysh(commands))
}

fn ip(arguments: &[&str]) -> Result<Exec, String> {
    let arguments = match arguments {
        ["-4" | "-6", rest @ ..] => rest,
        all => all,
    };
    match arguments {
        ["a" | "addr" | "address", "a" | "add" | "replace", address, "dev", interface] => {
            Ok(Exec::AddAddress { address: interface_address(address)?, interface: (*interface).into() })
        }
        ["l" | "link", "del" | "delete", interface] | ["l" | "link", "del" | "delete", "dev", interface] => {
            Ok(Exec::DeleteLink((*interface).into()))
        }
        ["l" | "link", "set", _, "up"] | ["l" | "link", "set", "dev", _, "up"] => Ok(Exec::NoEffect),
        ["r" | "route", "a" | "add" | "r" | "replace", "blackhole", prefix] => {
            Ok(Exec::Blackhole(route_prefix(prefix, None)?))
        }
        ["r" | "route", "a" | "add" | "r" | "replace", prefix, "via", via, rest @ ..] => {
            let interface = match rest {
                [] => None,
                ["dev", interface] => Some((*interface).to_owned()),
                [other, ..] => return Err(format!("ip route: `{other}` is not understood; {UNDERSTOOD}")),
            };
            let via: IpAddr = via.parse().map_err(|_| format!("`{via}` is not an address"))?;
            let prefix = route_prefix(prefix, Some(via))?;
            if via.is_ipv4() != prefix.addr().is_ipv4() {
                return Err(format!("{prefix} and {via} are of different families"));
            }
            Ok(Exec::Route { prefix, via, interface })
        }
        _ => Err(format!("`ip {}` is not understood; {UNDERSTOOD}", arguments.join(" "))),
    }
}

/// An address with or without a length; without one it is a host's, as in iproute2.
fn interface_address(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| format!("`{text}` is not an address with a length; expected one like 10.0.1.1/24"))
}

/// A prefix, or `default` in the family of `via`. Bits beyond the length must be clear, as in iproute2.
fn route_prefix(text: &str, via: Option<IpAddr>) -> Result<IpNet, String> {
    if text == "default" {
        return Ok(match via {
            Some(IpAddr::V6(_)) => IpNet::V6(ipnet::Ipv6Net::default()),
            _ => IpNet::V4(ipnet::Ipv4Net::default()),
        });
    }
    let net = interface_address(text)
        .map_err(|_| format!("`{text}` is not a prefix; expected one like 10.0.0.0/8, or default"))?;
    if net != net.trunc() {
        return Err(format!("`{text}` has bits beyond its length; {} would be a prefix", net.trunc()));
    }
    Ok(net)
}

/// Source NAT on the way out of the fabric, each part said once.
fn masquerade(ipv4: bool, arguments: &[&str]) -> Option<Masquerade> {
    let (mut nat, mut chain, mut jump) = (false, false, false);
    let mut rule = Masquerade { ipv4, out: None, source: None, destination: None };
    let net = |text: &str| interface_address(text).ok().filter(|net| net.addr().is_ipv4() == ipv4);
    let pairs = arguments.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    for pair in pairs {
        let twice = match pair {
            ["-t" | "--table", "nat"] => std::mem::replace(&mut nat, true),
            ["-A" | "--append" | "-I", "POSTROUTING"] => std::mem::replace(&mut chain, true),
            ["-j" | "--jump", "MASQUERADE"] => std::mem::replace(&mut jump, true),
            ["-o" | "--out-interface", interface] => {
                rule.out.replace(Some(*interface).filter(|name| is_interface(name))?.to_owned()).is_some()
            }
            ["-s" | "--source", prefix] => rule.source.replace(net(prefix)?).is_some(),
            ["-d" | "--destination", prefix] => rule.destination.replace(net(prefix)?).is_some(),
            _ => return None,
        };
        if twice {
            return None;
        }
    }
    (nat && chain && jump).then_some(rule)
}

/// Whether a name may be an interface's: as Linux has it, and nothing that a program could take for an
/// option or a path.
pub(crate) fn is_interface(name: &str) -> bool {
    name.len() <= 15 && is_plain(name)
}

/// Letters, digits, `-`, `_` and `.`, the first a letter or a digit.
pub(crate) fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Turns on FRR's daemons. Edits of other files could be configuration, so they are not understood.
fn is_daemons_edit(arguments: &[&str]) -> bool {
    matches!(arguments, ["-i", .., "/etc/frr/daemons"] if arguments.len() >= 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::split;

    fn read(line: &str) -> Result<Exec, ExecError> {
        parse(&split(line).unwrap())
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn every_kind_of_line() {
        let lo = |address: &str| Exec::AddAddress { address: net(address), interface: "lo".into() };
        assert_eq!(read("ip addr add 10.0.0.0/32 dev lo"), Ok(lo("10.0.0.0/32")));
        assert_eq!(read("/sbin/ip -6 a add fd00::1/128 dev lo"), Ok(lo("fd00::1/128")));
        assert_eq!(read("ip address add 10.0.0.9 dev lo"), Ok(lo("10.0.0.9/32")));
        assert_eq!(read("ip link del eth0"), Ok(Exec::DeleteLink("eth0".into())));
        assert_eq!(read("ip link delete dev eth0"), Ok(Exec::DeleteLink("eth0".into())));
        assert_eq!(read("ip link set dev net0 up"), Ok(Exec::NoEffect));
        assert_eq!(read("ip route add blackhole 10.0.0.0/8"), Ok(Exec::Blackhole(net("10.0.0.0/8"))));
        for (line, prefix, via, interface) in [
            ("ip route replace default via 10.0.1.1", "0.0.0.0/0", "10.0.1.1", None),
            ("ip route add default via fd00::1 dev net0", "::/0", "fd00::1", Some("net0")),
            ("ip r add 10.2.0.0/16 via 10.0.1.1", "10.2.0.0/16", "10.0.1.1", None),
        ] {
            let interface = interface.map(str::to_owned);
            let via = via.parse().unwrap();
            assert_eq!(read(line), Ok(Exec::Route { prefix: net(prefix), via, interface }));
        }
        let rule = |source: Option<&str>| {
            let (out, source) = (Some("eth0".to_owned()), source.map(net));
            Ok(Exec::Masquerade(Masquerade { ipv4: true, out, source, destination: None }))
        };
        assert_eq!(read("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE"), rule(None));
        let line = "iptables -t nat -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE";
        assert_eq!(read(line), rule(Some("10.0.0.0/8")));
        for line in [
            "touch /etc/frr/vtysh.conf",
            "sed -i -e 's/bgpd=no/bgpd=yes/g' /etc/frr/daemons",
            "usr/lib/frr/frrinit.sh start",
        ] {
            assert_eq!(read(line), Ok(Exec::NoEffect), "{line}");
        }
        let Ok(Exec::Vtysh(commands)) = read("vtysh -c 'conf t' -c ' router bgp 1'") else { panic!() };
        assert_eq!(commands.iter().map(|word| &word.text).collect::<Vec<_>>(), ["conf t", " router bgp 1"]);
    }

    #[test]
    fn anything_else_is_an_error() {
        for (line, part) in [
            ("", "empty line"),
            ("rm -rf /", "`rm -rf /` is not understood; understood are: ip addr add"),
            ("ip addr add 10.0.0.1/33 dev lo", "`10.0.0.1/33` is not an address with a length"),
            ("ip addr add 10.0.0.1/24", "is not understood"),
            ("ip addr del 10.0.0.1/24 dev net0", "is not understood"),
            ("ip link set net0 down", "is not understood"),
            ("ip route add blackhole 10.0.0.1/8", "10.0.0.0/8 would be a prefix"),
            ("ip route add blackhole ten", "`ten` is not a prefix"),
            ("ip route add default via router", "`router` is not an address"),
            ("ip route add fd00::/8 via 10.0.0.1", "different families"),
            ("ip route add default via 10.0.0.1 metric 5", "`metric` is not understood"),
            ("ip route add default", "is not understood"),
            ("iptables -t nat -A POSTROUTING -o eth0 -j DROP", "is not understood"),
            ("iptables -A FORWARD -j MASQUERADE", "is not understood"),
            ("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE --random", "is not understood"),
            ("iptables -t nat -A POSTROUTING -o eth0 -o eth1 -j MASQUERADE", "is not understood"),
            ("iptables -t nat -A POSTROUTING -o /etc/passwd -j MASQUERADE", "is not understood"),
            ("iptables -t nat -A POSTROUTING -s everywhere -j MASQUERADE", "is not understood"),
            ("touch", "is not understood"),
            ("ip addr add 10.0.0.1/32 dev lo ; rm -rf /", "is not understood"),
            ("ip addr add $(reboot) dev lo", "is not an address"),
            ("sed -i 's/a/b/' /etc/frr/frr.conf", "is not understood"),
            ("/usr/lib/frr/frrinit.sh stop", "is not understood"),
            ("vtysh", "vtysh without commands"),
            ("vtysh -b", "`-b` is not understood; expected -c 'COMMAND'"),
            ("vtysh -c", "no command follows"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.message.contains(part), "{line}: {}", error.message);
        }
    }

    proptest! {
        #[test]
        fn any_words_are_no_panic(words in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                proptest::sample::select(vec![
                    "ip", "addr", "add", "dev", "lo", "10.0.0.1/24", "route", "via", "default", "vtysh", "-c",
                    "iptables", "-t", "nat", "sed", "-i", "link", "del", "blackhole", "::/0", "-6",
                ]).prop_map(str::to_owned),
            ], 0..8,
        )) {
            let words: Vec<Word> = words.into_iter().map(|text| Word { text, offset: 0 }).collect();
            let _ = parse(&words);
        }
    }
}
