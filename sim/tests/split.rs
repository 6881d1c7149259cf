//! Invariant 4: however a byte stream is cut, state and output are the same.

use peerage_core::{speaker::Event, wire::Family};
use peerage_sim::{
    Neighbors as _, Rng, Segmentation, Solo, World, cases, desired, external,
    message::{self, Attrs, OpenSpec},
    prefix,
};

/// A stream of a peer's messages after the handshake, with a fault at the end in some cases.
fn stream(rng: &mut Rng) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..20 + rng.below(20) {
        let net = prefix(&format!("10.{}.0.0/16", rng.below(10)));
        let octets = match rng.below(8) {
            0 => message::keepalive(),
            1 => message::withdraw(&[net]),
            2 => message::route_refresh(Family::IPV4_UNICAST),
            // Malformed: treated as a withdrawal.
            3 => message::announce(
                &Attrs::default().origin(9).as_path(&[65002]).next_hop([10, 0, 0, 2].into()),
                &[net],
            ),
            _ => {
                let path = [65002, 64000 + rng.below(9) as u32];
                message::announce(&Attrs::new(&path, [10, 0, 0, 2].into()).med(rng.below(3) as u32), &[net])
            }
        };
        stream.extend_from_slice(&octets);
    }
    match rng.below(4) {
        0 => stream.extend_from_slice(&message::notification(6, 2, &[])),
        1 => stream.extend_from_slice(&[0; 19]),
        2 => stream.extend_from_slice(&message::message(9, &[])),
        _ => {}
    }
    stream
}

/// Plays the handshake and a stream in pieces; returns everything that can be seen afterwards.
fn play(stream: &[u8], mut next: impl FnMut(usize) -> usize) -> String {
    let wanted = desired(65001, [10, 0, 0, 1].into())
        .neighbor("10.0.0.2", external(65002))
        .neighbor("10.0.0.3", external(65003));
    let mut solo = Solo::new(4, &wanted);
    let third = solo.establish("10.0.0.3", &OpenSpec::new(65003, [10, 0, 0, 3].into()));
    let conn = solo.accept("10.0.0.2");
    let mut rest =
        [OpenSpec::new(65002, [10, 0, 0, 2].into()).encode(), message::keepalive(), stream.to_vec()].concat();
    while !rest.is_empty() {
        let piece: Vec<u8> = rest.drain(..next(rest.len()).clamp(1, rest.len())).collect();
        solo.speaker.handle_bytes(solo.now, conn, &piece);
    }
    solo.pump();
    let status = solo.speaker.neighbors();
    let routes = solo.speaker.rib().routes(Family::IPV4_UNICAST);
    let events: Vec<&Event> = solo.events.iter().collect();
    let text = format!("{status:#?} {routes:#?} {events:#?}");
    format!("{text} {:02x?} {:02x?} {:?}", solo.output(conn), solo.output(third), solo.closed)
}

#[test]
fn pieces_do_not_matter() {
    cases(30, |seed| {
        let mut rng = Rng::new(seed);
        let stream = stream(&mut rng);
        let whole = play(&stream, |len| len);
        let octets = play(&stream, |_| 1);
        let random = play(&stream, |len| 1 + rng.index(len.min(60)));
        assert!(whole == octets, "octet by octet:\n{whole}\n{octets}");
        assert!(whole == random, "at random:\n{whole}\n{random}");
    });
}

/// In a world of speakers the tables are the same whatever the network does to the streams.
#[test]
fn networks_converge_to_the_same_tables() {
    cases(4, |seed| {
        let mut tables = Vec::new();
        for segmentation in [Segmentation::Whole, Segmentation::Random, Segmentation::Octets] {
            let mut world = World::new(seed);
            world.segmentation(segmentation).speaker("a", 65001).speaker("b", 65002).speaker("c", 65003);
            world.peer("a", "b").peer("b", "c").peer("a", "c");
            for net in 0..30 {
                world.originate(["a", "b", "c"][net % 3], &format!("10.{net}.0.0/16"));
            }
            world.start().settle();
            tables.push(["a", "b", "c"].map(|name| {
                let routes = world.routes(name, Family::IPV4_UNICAST);
                routes
                    .iter()
                    .map(|route| (route.prefix, route.best().map(|best| best.attributes.clone())))
                    .collect::<Vec<_>>()
            }));
        }
        assert!(tables.windows(2).all(|two| two[0] == two[1]), "{tables:#?}");
    });
}
