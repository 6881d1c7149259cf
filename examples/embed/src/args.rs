//! The command line.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use peerage_core::wire::{Asn, RouterId};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Peerage's core in a plain daemon: speaks BGP with one neighbour and prints what it learns.

Usage: peerage-embed --asn N --router-id ID --peer ADDR[:PORT] --peer-as N [options]

  --asn N               our AS
  --router-id ID        our router id, such as 192.0.2.1
  --peer ADDR[:PORT]    the neighbour; port 179 where none is given; [ADDR]:PORT for IPv6
  --peer-as N           the neighbour's AS
  --listen ADDR:PORT    also accept connections here; port 0 takes a free one
  --passive             do not dial, only accept
  --announce PREFIX     announce this prefix; may be repeated
  -h, --help            this text
";

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) asn: Asn,
    pub(crate) router_id: RouterId,
    pub(crate) peer: SocketAddr,
    pub(crate) peer_as: Asn,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) passive: bool,
    pub(crate) announce: Vec<IpNet>,
}

/// Reads the command line; `None`: it asks for help.
pub(crate) fn parse(words: impl IntoIterator<Item = String>) -> Result<Option<Args>, String> {
    let mut words = words.into_iter();
    let (mut asn, mut router_id, mut peer, mut peer_as) = (None, None, None, None);
    let (mut listen, mut passive, mut announce) = (None, false, Vec::new());
    while let Some(word) = words.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value =
            || inline.clone().or_else(|| words.next()).ok_or_else(|| format!("{flag} needs a value"));
        match flag {
            "-h" | "--help" => return Ok(None),
            "--passive" => passive = true,
            "--asn" => asn = Some(parse_asn(flag, &value()?)?),
            "--peer-as" => peer_as = Some(parse_asn(flag, &value()?)?),
            "--router-id" => router_id = Some(read(flag, &value()?, "a router id such as 192.0.2.1")?),
            "--peer" => peer = Some(parse_peer(&value()?)?),
            "--listen" => listen = Some(read(flag, &value()?, "an address and port such as 127.0.0.1:1790")?),
            "--announce" => announce.push(parse_prefix(&value()?)?),
            _ => return Err(format!("no flag `{word}`: see --help")),
        }
    }
    if passive && listen.is_none() {
        return Err("--passive only accepts: it needs --listen".into());
    }
    let missing = |flag: &str| format!("{flag} is missing: see --help");
    Ok(Some(Args {
        asn: asn.ok_or_else(|| missing("--asn"))?,
        router_id: router_id.ok_or_else(|| missing("--router-id"))?,
        peer: peer.ok_or_else(|| missing("--peer"))?,
        peer_as: peer_as.ok_or_else(|| missing("--peer-as"))?,
        listen,
        passive,
        announce,
    }))
}

fn read<T: std::str::FromStr>(flag: &str, text: &str, expected: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{flag} `{text}`: expected {expected}"))
}

fn parse_asn(flag: &str, text: &str) -> Result<Asn, String> {
    read(flag, text, "an AS number from 1 to 4294967295").map(Asn)
}

fn parse_peer(text: &str) -> Result<SocketAddr, String> {
    let alone = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 179));
    let expected = "an address, or an address and port such as 192.0.2.2:1790 or [2001:db8::2]:1790";
    text.parse().or_else(|_| alone()).map_err(|_| format!("--peer `{text}`: expected {expected}"))
}

fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let prefix: IpNet = read("--announce", text, "a prefix such as 198.51.100.0/24")?;
    let network = prefix.trunc();
    if prefix == network {
        Ok(prefix)
    } else {
        Err(format!("--announce `{text}` has bits behind its length: did you mean {network}?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Args>, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_whole_command_line() {
        let line = "--asn 65001 --router-id 192.0.2.1 --peer=[2001:db8::2]:1790 --peer-as 4200000000 \
            --listen 127.0.0.1:0 --passive --announce 198.51.100.0/24 --announce 2001:db8:1::/48";
        let args = parsed(line).expect("no error").expect("no help");
        assert_eq!((args.asn, args.peer_as), (Asn(65001), Asn(4_200_000_000)));
        assert_eq!(args.peer, "[2001:db8::2]:1790".parse().expect("an address"));
        assert_eq!((args.passive, args.announce.len()), (true, 2));
        assert_eq!(
            parsed("--asn x --help"),
            Err("--asn `x`: expected an AS number from 1 to 4294967295".into())
        );
        assert_eq!(parsed("--help"), Ok(None));
    }

    #[test]
    fn a_peer_without_a_port_is_on_179() {
        for (text, expected) in [("192.0.2.2", "192.0.2.2:179"), ("::1", "[::1]:179"), ("[::1]:5", "[::1]:5")]
        {
            assert_eq!(parse_peer(text).map(|peer| peer.to_string()), Ok(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_one_sentence() {
        let whole = "--asn 1 --router-id 1.1.1.1 --peer 1.1.1.2 --peer-as 2";
        for (line, part) in [
            ("--asn 1", "--router-id is missing"),
            ("--asn", "--asn needs a value"),
            ("--router-id 7", "such as 192.0.2.1"),
            ("--peer host", "[2001:db8::2]:1790"),
            ("--announce 10.0.0.1/8", "10.0.0.0/8"),
            ("--anounce 10.0.0.0/8", "--help"),
            (&format!("{whole} --passive"), "--listen"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part) && !error.contains('\n'), "{line}: {error}");
        }
    }
}
