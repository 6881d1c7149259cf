//! IPv4 routes over a link that has only link-local addresses (RFC 8950). Peerage knows its neighbour by the
//! interface alone; the test tells it the address that is there. FRR does so, too, and learns Peerage's
//! address from a router advertisement, which the test sends, for Peerage does not send any yet. GoBGP takes
//! the address from the kernel's table of neighbours. BIRD has it in its configuration.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use peerage_core::{
    speaker::{NeighborKey, PeerAs},
    wire::attr::PathAttributes,
};
use peerage_interop::{
    Behaviour, Config, Daemon, Kind, Ours, Unnumbered, accepting,
    namespace::{OURS, THEIRS, output, run as sh},
    wait,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::common::{OUR_AS, THEIR_AS, announce, ensure_path, net};

pub(crate) const BEHAVIOUR: Behaviour = Behaviour {
    name: "unnumbered",
    about: "IPv4 over link-local addresses, unnumbered",
    heavy: false,
    root: true,
    cannot,
    run,
};

fn cannot(kind: Kind) -> Option<&'static str> {
    (kind == Kind::Openbgpd)
        .then_some("OpenBGPD 7.7 does not have capability 5 (RFC 8950): IPv4 routes need an IPv4 next hop.")
}

/// Another network namespace, for as long as a process is in it.
struct Namespace(Child);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(kind: Kind) -> Result<()> {
    let there = Namespace(
        Command::new("unshare").args(["--net", "--", "sleep", "600"]).stdin(Stdio::null()).spawn()?,
    );
    let id = there.0.id().to_string();
    let within = |line: &str| {
        let words = ["-t", &id, "-n", "--"].into_iter().chain(line.split_whitespace());
        output(Command::new("nsenter").args(words))
    };
    // unshare has not made it yet when it is spawned.
    wait("the other namespace", || {
        let own = std::fs::read_link("/proc/self/ns/net").ok()?;
        (std::fs::read_link(format!("/proc/{id}/ns/net")).ok()? != own).then_some(())
    })?;
    sh("ip", ["link", "add", "net0", "type", "veth", "peer", "name", "net1", "netns", &id])?;
    sh("ip", ["link", "set", "net0", "up"])?;
    within("ip link set lo up")?;
    within("ip link set net1 up")?;
    let own = link_local(|| output(Command::new("ip").args(["-6", "-o", "address", "show", "dev", "net0"])))?;
    let peer = link_local(|| within("ip -6 -o address show dev net1"))?;

    let (theirs, mine) = (net("198.18.1.0/24")?, net("198.18.2.0/24")?);
    let config = Config {
        asn: THEIR_AS,
        address: THEIRS,
        neighbors: Vec::new(),
        routes: vec![announce(theirs, false)],
        unnumbered: Some(Unnumbered {
            interface: "net1".into(),
            process: there.0.id(),
            address: own,
            asn: OUR_AS,
        }),
    };
    let mac = std::fs::read_to_string("/sys/class/net/net0/address")?;
    within(&format!("ip -6 neighbor replace {own} lladdr {} dev net1 nud reachable", mac.trim()))?;
    let daemon = Daemon::start(kind, config)?;
    let listen = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 179);
    let mut ours = Ours::start_listening(OUR_AS, OURS, listen)?;
    let key = NeighborKey::Interface("net0".into());
    let mut neighbor = accepting(THEIR_AS);
    neighbor.asn = PeerAs::External;
    ours.configure(key.clone(), neighbor)?;
    ours.with(|speaker, now| speaker.handle_neighbor(now, "net0", Some(peer)));
    let advertise = Advertiser::new(own)?;
    wait("an unnumbered session", || {
        advertise.send().ok()?;
        sleep(Duration::from_millis(200));
        ours.is_up(key.clone()).then_some(())
    })
    .with_context(|| format!("{:?}\n{}", ours.status(key.clone()), daemon.log()))?;
    ours.originate([mine], &PathAttributes::default());
    let path = ours.wait_route(theirs)?;
    ensure_path(&path, &[THEIR_AS], IpAddr::V6(peer))?;
    ensure!(path.next_hop.is_some_and(|it| it.is_link_local()), "{path:?}");
    daemon.wait_shows(mine, &[mine.to_string(), own.to_string(), OUR_AS.to_string()])
}

/// The link-local address of an interface, once it may be used.
fn link_local(mut show: impl FnMut() -> Result<String>) -> Result<Ipv6Addr> {
    wait("a link-local address", || {
        let text = show().ok()?;
        let line = text.lines().find(|line| line.contains("scope link") && !line.contains("tentative"))?;
        let address = line.split_whitespace().find(|word| word.starts_with("fe80::"))?;
        address.split('/').next()?.parse().ok()
    })
}

/// Says on net0 that a router is there (RFC 4861 §4.2).
struct Advertiser {
    socket: Socket,
    to: SocketAddr,
}

impl Advertiser {
    fn new(own: Ipv6Addr) -> Result<Self> {
        let index = std::fs::read_to_string("/sys/class/net/net0/ifindex")?.trim().parse()?;
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.bind(&SocketAddr::from(SocketAddrV6::new(own, 0, 0, index)).into())?;
        socket.set_multicast_if_v6(index)?;
        socket.set_multicast_hops_v6(255)?;
        let all_nodes = "ff02::1".parse()?;
        Ok(Self { socket, to: SocketAddrV6::new(all_nodes, 0, 0, index).into() })
    }

    /// The kernel fills in the checksum.
    fn send(&self) -> Result<()> {
        let advertisement = [134, 0, 0, 0, 64, 0, 0, 30, 0, 0, 0, 0, 0, 0, 0, 0];
        self.socket.send_to(&advertisement, &self.to.into())?;
        Ok(())
    }
}
