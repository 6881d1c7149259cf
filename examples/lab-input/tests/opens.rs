//! What the lab's speakers say first: their OPENs hold the article's addresses, never those of loopback.

mod support;

use std::net::Ipv6Addr;

use peerage_core::{
    Speaker,
    speaker::{Action, NeighborKey},
    time::Instant,
    wire::{Open, frame},
};
use peerage_kubernetes::compile;
use peerage_lab_input::load;
use support::{inputs, root};

#[test]
fn no_open_names_a_loopback_address() {
    let (lab, _) = load(&inputs(&root().join("examples/lab")));
    let lab = lab.expect("our own lab");
    let nodes = lab.nodes.iter().flat_map(|node| compile(&lab.snapshot, &node.name).instances.into_values());
    let (now, mut opens) = (Instant::ZERO, 0);
    for desired in lab.routers.iter().map(|router| router.desired.clone()).chain(nodes) {
        let mut speaker = Speaker::new([0; 32], now);
        let wanted = desired.neighbors.len();
        speaker.reconcile(now, &desired).expect("what a speaker takes");
        for key in desired.neighbors.keys() {
            if let NeighborKey::Interface(name) = key {
                speaker.handle_neighbor(now, name, Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)));
            }
        }
        let mut said = 0;
        while let Some(action) = speaker.poll_action() {
            let Action::Connect { conn, target, .. } = action else { continue };
            // As the lab's adapter says it: the article's address of this end.
            speaker.handle_connected(now, conn, target.remote);
            let octets = speaker.poll_transmit(now, conn, 65536).expect("an OPEN");
            let message = frame(&octets, 4096).expect("a message").expect("a whole one");
            let open = Open::decode(message.body).expect("an OPEN");
            assert!(!open.router_id.to_string().starts_with("127."), "{open:?}");
            assert!(!octets.windows(4).any(|window| window == b"127."), "{open:?}");
            assert!(!octets.windows(4).any(|window| matches!(window, [127, 0..=99, _, _])), "{open:?}");
            said += 1;
        }
        assert_eq!(said, wanted);
        opens += said;
    }
    // Two of router0, three of each ToR, one of each node.
    assert_eq!(opens, 12);
}
