//! The article's lab: a router, two top-of-rack switches, four Kubernetes nodes.
//!
//! The values are the article's; what its tools make of them (connected routes, peer groups) is written
//! here as [`Desired`], the way a front end would.

use core::net::IpAddr;
use std::collections::BTreeMap;

use peerage_core::{
    policy::Policy,
    speaker::{Desired, Neighbor, NeighborKey, PeerAs},
    wire::{Family, Origin, attr::PathAttributes},
};

use crate::{World, prefix};

/// The lab, not started.
#[derive(Debug)]
pub struct Lab {
    /// Its world: `router0`, `tor0`, `tor1`, `server0` to `server3`.
    pub world: World,
    /// What the agents are to be once the policies are applied.
    pub policies: BTreeMap<String, Desired>,
}

impl Lab {
    /// Applies the policies: the agents start to peer.
    pub fn apply_policies(&mut self) -> &mut World {
        let policies = self.policies.clone();
        self.world.converge(&policies);
        &mut self.world
    }

    /// Deletes the policy of a rack.
    pub fn delete_policy(&mut self, rack: u8) -> &mut World {
        for server in [2 * rack, 2 * rack + 1] {
            self.world.edit(&format!("server{server}"), |desired| {
                desired.neighbors.clear();
                desired.originate.clear();
            });
        }
        &mut self.world
    }
}

/// Builds the lab.
pub fn lab(seed: u64) -> Lab {
    let mut world = World::new(seed);
    let router = |asn, id: [u8; 4], connected: &[&str]| {
        let mut desired = crate::desired(asn, id.into());
        desired.hostname = Some("vm".to_owned());
        for net in connected {
            let attributes =
                PathAttributes { origin: Origin::Incomplete, med: Some(0), ..PathAttributes::default() };
            desired.originate.insert(prefix(net), attributes);
        }
        desired
    };
    world.speaker_with("router0", router(65000, [10, 0, 0, 0], &["10.0.0.0/32", "172.20.20.0/24"]));
    world.speaker_with("tor0", router(65010, [10, 0, 0, 1], &["10.0.0.1/32", "10.0.1.0/24", "10.0.2.0/24"]));
    world.speaker_with("tor1", router(65011, [10, 0, 0, 2], &["10.0.0.2/32", "10.0.3.0/24", "10.0.4.0/24"]));
    world.address("tor0", "10.0.1.1").address("tor0", "10.0.2.1");
    world.address("tor1", "10.0.3.1").address("tor1", "10.0.4.1");
    world.link("router0", "net0", "tor0", "net0");
    world.link("router0", "net1", "tor1", "net0");
    let mut policies = BTreeMap::new();
    for server in 0..4_u8 {
        let (name, asn) = (format!("server{server}"), 65010 + u32::from(server) / 2);
        let id = [10, 0, server + 1, 2];
        world.speaker_with(&name, crate::desired(asn, id.into()));
        world.listens(&name, false);
        let mut wanted = crate::desired(asn, id.into());
        let mut neighbor = Neighbor::new(PeerAs::Number(peerage_core::wire::Asn(asn)));
        neighbor.local_address = Some(IpAddr::from(id));
        let tor = IpAddr::from([10, 0, 0, 1 + server / 2]);
        wanted.neighbors.insert(NeighborKey::Address(tor), neighbor);
        wanted.originate.insert(prefix(&format!("10.1.{server}.0/24")), PathAttributes::default());
        policies.insert(name, wanted);
    }
    let routers = |default: bool| {
        let mut neighbor = Neighbor::new(PeerAs::External);
        neighbor.peer_group = Some("ROUTERS".to_owned());
        neighbor.import = Some(Policy::accept());
        neighbor.export = Some(Policy::accept());
        neighbor.families = [Family::IPV4_UNICAST].into();
        if default {
            neighbor.default_originate = [Family::IPV4_UNICAST].into();
        }
        neighbor
    };
    world.edit("router0", |desired| {
        desired.neighbors.insert(NeighborKey::Interface("net0".to_owned()), routers(true));
        desired.neighbors.insert(NeighborKey::Interface("net1".to_owned()), routers(true));
    });
    for (tor, servers) in [("tor0", [1, 2]), ("tor1", [3, 4])] {
        world.edit(tor, |desired| {
            desired.neighbors.insert(NeighborKey::Interface("net0".to_owned()), routers(false));
            for third in servers {
                let mut neighbor = Neighbor::new(PeerAs::Internal);
                neighbor.peer_group = Some("SERVERS".to_owned());
                neighbor.families = [Family::IPV4_UNICAST].into();
                let address = IpAddr::from([10, 0, third, 2]);
                desired.neighbors.insert(NeighborKey::Address(address), neighbor);
            }
        });
    }
    Lab { world, policies }
}
