use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

fn key(text: &str) -> NeighborKey {
    match (text.parse(), text.parse()) {
        (Ok(address), _) => NeighborKey::Address(address),
        (_, Ok(range)) => NeighborKey::Range(range),
        _ => NeighborKey::Interface(text.into()),
    }
}

/// A name, a key and a least TTL.
type Asked = (&'static str, Option<&'static str>, Option<u8>);

fn state(neighbors: &[Asked]) -> State {
    let options = |md5: &Option<&str>, min_ttl| SocketOptions {
        ttl: None,
        min_ttl,
        md5_key: md5.map(|md5| md5.as_bytes().to_vec()),
    };
    let neighbors = neighbors.iter().map(|(name, md5, ttl)| (key(name), options(md5, *ttl)));
    State { neighbors: neighbors.collect(), ..State::default() }
}

#[test]
fn a_listener_checks_what_all_ask_for() {
    let table: [(&[Asked], u8, bool); 5] = [
        (&[], 0, false),
        (&[("192.0.2.1", None, None)], 0, false),
        (&[("192.0.2.1", None, Some(255)), ("192.0.2.2", None, Some(254))], 254, true),
        (&[("192.0.2.1", None, Some(255)), ("192.0.2.2", None, None)], 0, true),
        // Those of the other family come to another socket.
        (&[("192.0.2.0/24", None, Some(255)), ("net0", None, None)], 255, true),
    ];
    for (neighbors, all, any) in table {
        assert_eq!(state(neighbors).least_ttl(true), LeastTtl { all, any }, "{neighbors:?}");
    }
}

#[test]
fn keys_are_by_address_and_an_interface_has_one_when_it_is_known() {
    let mut state = state(&[
        ("192.0.2.1", Some("a"), None),
        ("198.51.100.0/24", Some("b"), None),
        ("192.0.2.2", None, None),
        ("net0", Some("c"), None),
        ("net1", Some("d"), None),
    ]);
    let mut faults = Vec::new();
    let of = |keys: BTreeMap<IpNet, Vec<u8>>| {
        keys.into_iter()
            .map(|(peers, key)| format!("{peers} {}", String::from_utf8_lossy(&key)))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(state.keys(true, &mut faults)), ["192.0.2.1/32 a", "198.51.100.0/24 b"]);
    assert!(state.keys(false, &mut faults).is_empty());
    let both: Ipv6Addr = "fe80::1".parse().unwrap();
    state.last.insert("net0".into(), both);
    assert_eq!(of(state.keys(false, &mut faults)), ["fe80::1/128 c"]);
    assert!(faults.is_empty());
    state.last.insert("net1".into(), both);
    assert_eq!(of(state.keys(false, &mut faults)), ["fe80::1/128 c"]);
    let [(who, error)] = &faults[..] else { panic!("{faults:?}") };
    assert!(who == "net1" && error.to_string().contains("fe80::1"), "{error}");
}

#[test]
fn who_cannot_connect_for_another_s_key_is_named() {
    let mut state = state(&[
        ("192.0.2.0/24", Some("a"), None),
        ("192.0.2.1", None, None),
        ("192.0.2.2", Some("b"), None),
        ("192.0.2.128/25", None, None),
        ("192.0.0.0/16", None, None),
        ("net0", Some("c"), None),
        ("net1", None, None),
        ("net2", None, None),
    ]);
    for (name, address) in [("net0", "fe80::1"), ("net1", "fe80::1"), ("net2", "fe80::2")] {
        state.last.insert(name.into(), address.parse().unwrap());
    }
    let said = |is_ipv4| {
        let mut faults = Vec::new();
        state.keys(is_ipv4, &mut faults);
        faults.into_iter().map(|(who, error)| (who, error.to_string())).collect::<Vec<_>>()
    };
    let [(one, text), (range, _)] = &said(true)[..] else { panic!("{:?}", said(true)) };
    assert_eq!((&**one, &**range), ("192.0.2.1", "192.0.2.128/25"));
    assert!(text.contains("from 192.0.2.0/24"), "{text}");
    let [(who, text)] = &said(false)[..] else { panic!("{:?}", said(false)) };
    assert!(who == "net1" && text.contains("from fe80::1 has"), "{text}");
}

#[test]
fn whoever_is_not_the_one_on_the_link_is_found_by_address() {
    let mut state =
        state(&[("net0", Some("a"), None), ("fe80::2", Some("b"), None), ("fe80::/64", Some("c"), None)]);
    let found = |state: &State, remote: &str, interface| {
        state.find(remote.parse().unwrap(), interface).map(|(key, _)| key.to_string())
    };
    // Nobody is known there.
    assert_eq!(found(&state, "fe80::2", Some("net0")).as_deref(), Some("net0"));
    state.link_local.insert("net0".into(), "fe80::1".parse().unwrap());
    assert_eq!(found(&state, "fe80::1", Some("net0")).as_deref(), Some("net0"));
    assert_eq!(found(&state, "fe80::2", Some("net0")).as_deref(), Some("fe80::2"));
    assert_eq!(found(&state, "fe80::3", Some("net0")).as_deref(), Some("fe80::/64"));
    assert_eq!(found(&state, "fe80::2", None).as_deref(), Some("fe80::2"));
    // Never without what the interface asks for.
    assert_eq!(found(&state, "fe80:0:0:1::3", Some("net0")).as_deref(), Some("net0"));
}

#[test]
fn who_goes_and_comes_has_its_key_meanwhile() {
    let protection = Protection::new(|_, _| {});
    let options =
        |md5: &str| SocketOptions { md5_key: Some(md5.as_bytes().to_vec()), ..SocketOptions::default() };
    protection.set_neighbors([(key("net0"), options("a"))]);
    let keys = || protection.lock().keys(false, &mut Vec::new()).into_keys().collect::<Vec<_>>();
    let one: Ipv6Addr = "fe80::1".parse().unwrap();
    let other: Ipv6Addr = "fe80::2".parse().unwrap();
    for (address, changes, kept) in
        [(Some(one), true, one), (None, false, one), (Some(one), false, one), (Some(other), true, other)]
    {
        assert_eq!(protection.set_link_local("net0", address), changes, "{address:?}");
        assert_eq!(keys(), [IpNet::from(IpAddr::V6(kept))]);
    }
    // No interface is remembered that is nobody's.
    assert!(!protection.set_link_local("net0", None));
    protection.set_neighbors([]);
    assert!(keys().is_empty());
    assert!(protection.lock().last.is_empty());
}

#[test]
fn the_same_is_said_once_and_what_is_kept_of_it_is_bounded() {
    let said = std::sync::Arc::new(Mutex::new(Vec::new()));
    let tell = std::sync::Arc::clone(&said);
    let protection = Protection::new(move |who, _| tell.lock().unwrap().push(who.to_owned()));
    let error = |text: &str| io::Error::other(text.to_owned());
    for _ in 0..3 {
        protection.say("net0", &error("one"));
        protection.say("net0", &error("another"));
    }
    assert_eq!(*said.lock().unwrap(), ["net0", "net0"]);
    for text in 0..3 * MOST_TOLD {
        protection.say("net0", &error(&text.to_string()));
    }
    assert!(protection.lock().told.len() <= MOST_TOLD);
}

/// Waits until there is a connection to be accepted.
fn waits(listener: &std::net::TcpListener) {
    let mut wanted = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut wanted, PollTimeout::from(10_000_u16)).unwrap(), 1);
}

#[test]
fn what_was_accepted_without_its_key_is_refused() {
    let protection = Protection::new(|_, _| {});
    let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    // Connected before there is a key, accepted after.
    let client = std::net::TcpStream::connect(address).unwrap();
    let options = SocketOptions { md5_key: Some(b"key".to_vec()), ..SocketOptions::default() };
    protection.set_neighbors([(key("127.0.0.0/8"), options)]);
    let remote = client.local_addr().unwrap();
    waits(&listener);
    let (stream, _) = listener.accept().unwrap();
    let stream = Socket::from(stream);
    let accepted = Accepted { remote, local: address, interface: None };
    let refused = |stream: &Socket, accepted: &Accepted| {
        let error = protection.configure(stream, accepted).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    };
    refused(&stream, &accepted);
    // From here on the kernel lets nobody in without it.
    protection.relisten(&Socket::from(listener.try_clone().unwrap()), address);
    let late = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let dropped = late.connect_timeout(&address.into(), std::time::Duration::from_millis(200)).unwrap_err();
    assert_eq!(dropped.kind(), io::ErrorKind::TimedOut);
    // That changes nothing about what was there before.
    refused(&stream, &accepted);
    // Whoever has the key comes in, and the connection still has it.
    let signed = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let net = IpNet::from(address.ip());
    sockopt::set_md5_key(&signed, net, b"key").unwrap();
    signed.connect(&address.into()).unwrap();
    waits(&listener);
    let (stream, remote) = listener.accept().unwrap();
    let stream = Socket::from(stream);
    let accepted = Accepted { remote, local: address, interface: None };
    for _ in 0..2 {
        protection.configure(&stream, &accepted).unwrap();
    }
    io::Write::write_all(&mut &signed, b"signed").unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut octets = [0; 6];
    io::Read::read_exact(&mut &stream, &mut octets).unwrap();
    assert_eq!(&octets, b"signed");
}

#[test]
fn what_waits_to_be_accepted_when_the_key_is_set_is_refused() {
    for peers in ["127.0.0.0/8", "127.0.0.1"] {
        let said = std::sync::Arc::new(Mutex::new(Vec::new()));
        let tell = std::sync::Arc::clone(&said);
        let protection = Protection::new(move |who, error| {
            tell.lock().unwrap().push(format!("{who}: {error}"));
        });
        let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        waits(&listener);
        let options = SocketOptions { md5_key: Some(b"key".to_vec()), ..SocketOptions::default() };
        protection.set_neighbors([(key(peers), options)]);
        protection.relisten(&Socket::from(listener.try_clone().unwrap()), address);
        let (stream, remote) = listener.accept().unwrap();
        assert_eq!(remote, client.local_addr().unwrap());
        let accepted = Accepted { remote, local: address, interface: None };
        let error = protection.configure(&Socket::from(stream), &accepted).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let said = said.lock().unwrap();
        let [line] = &said[..] else { panic!("{said:?}") };
        assert!(line.starts_with(&format!("{peers}: ")) && line.contains("has to be made again"), "{line}");
    }
}

#[test]
fn no_key_is_printed() {
    let protection = Protection::new(|_, _| {});
    let options = SocketOptions { md5_key: Some(b"hush-hush".to_vec()), ..SocketOptions::default() };
    protection.set_neighbors([(key("192.0.2.1"), options)]);
    let listener = peerage_sockets::listen(&protection, "127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(!format!("{protection:?} {listener:?}").contains("hush"));
    assert!(!format!("{protection:?}").contains("104, 117, 115, 104"));
    for code in [libc::ENOPROTOOPT, libc::ENOMEM, libc::EINVAL] {
        let error = explain_md5(io::Error::from_raw_os_error(code)).to_string();
        assert!(error.contains("key"), "{error}");
    }
}
