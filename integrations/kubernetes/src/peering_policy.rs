//! `CiliumBGPPeeringPolicy` (`cilium.io/v2alpha1`): its types, its table, and what the table cannot say.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use peerage_core::wire::Family;
use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    path_attributes::{AdvertisedPathAttributes, PATH_ATTRIBUTES},
    schema::{Field, Object, Problem, Shape},
    selector::{LABEL_SELECTOR, LabelSelector, METADATA, Metadata},
    service::AddressType,
};

/// Which nodes speak BGP with whom, and what they announce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumBGPPeeringPolicy {
    /// Its name.
    pub metadata: Metadata,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PeeringPolicySpec>,
}

/// `spec`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeeringPolicySpec {
    /// The nodes it is for: every node where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,
    /// BGP instances, each with an AS of its own.
    pub virtual_routers: Vec<VirtualRouter>,
}

/// `spec.virtualRouters[]`: one BGP instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualRouter {
    /// Its AS.
    #[serde(rename = "localASN")]
    pub local_asn: u32,
    /// Whether the node's PodCIDRs are announced.
    #[serde(rename = "exportPodCIDR", default, skip_serializing_if = "Option::is_none")]
    pub export_pod_cidr: Option<bool>,
    /// IP pools of which the node's prefixes are announced.
    #[serde(rename = "podIPPoolSelector", default, skip_serializing_if = "Option::is_none")]
    pub pod_ip_pool_selector: Option<LabelSelector>,
    /// Services that are announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,
    /// Which addresses of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_advertisements: Option<Vec<String>>,
    /// Its peers.
    pub neighbors: Vec<NeighborSpec>,
}

/// `spec.virtualRouters[].neighbors[]`: one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeighborSpec {
    /// Its address with a length, which does not matter: `10.0.0.1/32`.
    pub peer_address: String,
    /// Its TCP port: 179.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// Its AS.
    #[serde(rename = "peerASN")]
    pub peer_asn: u32,
    /// The Secret with the TCP MD5 key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret_ref: Option<String>,
    /// TTL towards an eBGP peer: 1.
    #[serde(rename = "eBGPMultihopTTL", default, skip_serializing_if = "Option::is_none")]
    pub ebgp_multihop_ttl: Option<u8>,
    /// Time between attempts to connect: 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_retry_time_seconds: Option<u32>,
    /// Hold time: 90.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_time_seconds: Option<u16>,
    /// Time between KEEPALIVEs: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive_time_seconds: Option<u16>,
    /// Graceful restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<GracefulRestart>,
    /// Families to offer: IPv4 and IPv6 unicast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<FamilyName>>,
    /// What is put on the routes it gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised_path_attributes: Option<Vec<AdvertisedPathAttributes>>,
}

/// `gracefulRestart`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GracefulRestart {
    /// Whether it is used.
    pub enabled: bool,
    /// How long the peer keeps routes: 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_time_seconds: Option<u16>,
}

/// `families[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyName {
    /// `ipv4`, `ipv6`, …
    pub afi: String,
    /// `unicast`, …
    pub safi: String,
}

static PEERING_POLICY: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional("spec", Shape::Object(&SPEC)),
    ],
});

const ASN: Shape = Shape::Integer { min: 0, max: 4_294_967_295 };

static SPEC: Object = Object {
    open: false,
    fields: &[
        Field::optional("nodeSelector", Shape::Object(&LABEL_SELECTOR)),
        Field::required("virtualRouters", Shape::List { items: &Shape::Object(&VIRTUAL_ROUTER), least: 1 }),
    ],
};

static VIRTUAL_ROUTER: Object = Object {
    open: false,
    fields: &[
        Field::required("localASN", ASN),
        Field::optional("exportPodCIDR", Shape::Bool),
        Field::optional("podIPPoolSelector", Shape::Object(&LABEL_SELECTOR)),
        Field::optional("serviceSelector", Shape::Object(&LABEL_SELECTOR)),
        Field::optional(
            "serviceAdvertisements",
            Shape::List { items: &Shape::Choice(&["LoadBalancerIP", "ClusterIP", "ExternalIP"]), least: 0 },
        ),
        Field::required("neighbors", Shape::List { items: &Shape::Object(&NEIGHBOR), least: 1 }),
    ],
};

static NEIGHBOR: Object = Object {
    open: false,
    fields: &[
        Field::required("peerAddress", Shape::Text(&format::CIDR)),
        Field::optional("peerPort", Shape::Integer { min: 1, max: 65535 }),
        Field::required("peerASN", ASN),
        Field::optional("authSecretRef", Shape::Text(&format::ANY)),
        Field::optional("eBGPMultihopTTL", Shape::Integer { min: 1, max: 255 }),
        Field::optional("connectRetryTimeSeconds", Shape::Integer { min: 1, max: 2_147_483_647 }),
        Field::optional("holdTimeSeconds", Shape::Integer { min: 3, max: 65535 }),
        Field::optional("keepAliveTimeSeconds", Shape::Integer { min: 1, max: 65535 }),
        Field::optional("gracefulRestart", Shape::Object(&GRACEFUL_RESTART)),
        Field::optional("families", Shape::List { items: &Shape::Object(&FAMILY), least: 0 }),
        Field::optional(
            "advertisedPathAttributes",
            Shape::List { items: &Shape::Object(&PATH_ATTRIBUTES), least: 0 },
        ),
    ],
};

static GRACEFUL_RESTART: Object = Object {
    open: false,
    fields: &[
        Field::required("enabled", Shape::Bool),
        Field::optional("restartTimeSeconds", Shape::Integer { min: 1, max: 4095 }),
    ],
};

static FAMILY: Object = Object {
    open: false,
    fields: &[
        Field::required("afi", Shape::Choice(&["ipv4", "ipv6", "l2vpn", "ls", "opaque"])),
        Field::required(
            "safi",
            Shape::Choice(&[
                "unicast",
                "multicast",
                "mpls_label",
                "encapsulation",
                "vpls",
                "evpn",
                "ls",
                "sr_policy",
                "mup",
                "mpls_vpn",
                "mpls_vpn_multicast",
                "route_target_constraints",
                "flowspec_unicast",
                "flowspec_vpn",
                "key_value",
            ]),
        ),
    ],
};

impl Resource for CiliumBGPPeeringPolicy {
    const KIND: &'static str = "CiliumBGPPeeringPolicy";
    const VERSIONS: &'static [&'static str] = &["cilium.io/v2alpha1"];

    fn shape() -> &'static Shape {
        &PEERING_POLICY
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self) -> Vec<Problem> {
        self.problems()
    }
}

const NOT_YET: &str = "checked, and not yet acted on";

impl CiliumBGPPeeringPolicy {
    /// Which nodes it is for; `None` is every node.
    pub fn node_selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().and_then(|spec| spec.node_selector.as_ref())
    }

    /// Its instances.
    pub fn virtual_routers(&self) -> &[VirtualRouter] {
        self.spec.as_ref().map_or(&[], |spec| &spec.virtual_routers)
    }

    /// What the schema cannot say.
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.spec.is_none() {
            let message = "without a spec this policy is for every node, and does nothing there";
            problems.push(Problem::notice("spec", message));
        }
        if let Some(selector) = self.node_selector() {
            selector.check("spec.nodeSelector", &mut problems);
        }
        let mut seen = BTreeMap::new();
        for (index, router) in self.virtual_routers().iter().enumerate() {
            let path = format!("spec.virtualRouters[{index}]");
            if let Some(first) = seen.insert(router.local_asn, index) {
                let message = format!(
                    "AS {} is already that of spec.virtualRouters[{first}]: expected an AS of its own",
                    router.local_asn
                );
                problems.push(Problem::error(format!("{path}.localASN"), message));
            }
            router.check(&path, &mut problems);
        }
        problems
    }
}

impl VirtualRouter {
    /// Which addresses of the chosen Services are announced: LoadBalancerIP where nothing is said.
    pub fn service_advertisements(&self) -> Vec<AddressType> {
        match &self.service_advertisements {
            None => vec![AddressType::LoadBalancerIP],
            Some(names) => names.iter().filter_map(|name| name.parse().ok()).collect(),
        }
    }

    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        if self.local_asn == 0 {
            problems.push(Problem::error(format!("{path}.localASN"), "AS 0 is reserved (RFC 7607)"));
        }
        for (name, selector) in
            [("podIPPoolSelector", &self.pod_ip_pool_selector), ("serviceSelector", &self.service_selector)]
        {
            if let Some(selector) = selector {
                selector.check(&format!("{path}.{name}"), problems);
            }
        }
        if let Some(advertisements) = &self.service_advertisements {
            let message = match (&self.service_selector, &advertisements[..]) {
                (None, _) => Some("no effect without serviceSelector: no Service is chosen"),
                (Some(_), []) => Some("an empty list: no address of the chosen Services is announced"),
                _ => None,
            };
            let path = format!("{path}.serviceAdvertisements");
            problems.extend(message.map(|message| Problem::notice(path, message)));
        }
        let mut seen = BTreeMap::new();
        for (index, neighbor) in self.neighbors.iter().enumerate() {
            let at = format!("{path}.neighbors[{index}]");
            if let Some(address) = neighbor.address()
                && let Some(first) = seen.insert(address, index)
            {
                let message = format!("{address} is already the address of {path}.neighbors[{first}]");
                problems.push(Problem::error(format!("{at}.peerAddress"), message));
            }
            neighbor.check(self.local_asn, &at, problems);
        }
    }
}

impl NeighborSpec {
    /// The default of `peerPort`.
    pub const DEFAULT_PORT: u16 = 179;
    /// The default of `eBGPMultihopTTL`.
    pub const DEFAULT_EBGP_MULTIHOP_TTL: u8 = 1;
    /// The default of `connectRetryTimeSeconds`.
    pub const DEFAULT_CONNECT_RETRY: u32 = 120;
    /// The default of `holdTimeSeconds`.
    pub const DEFAULT_HOLD: u16 = 90;
    /// The default of `keepAliveTimeSeconds`.
    pub const DEFAULT_KEEPALIVE: u16 = 30;
    /// The default of `gracefulRestart.restartTimeSeconds`.
    pub const DEFAULT_RESTART_TIME: u16 = 120;

    /// Its address without the length.
    pub fn address(&self) -> Option<IpAddr> {
        self.peer_address.parse::<IpNet>().ok().map(|prefix| prefix.addr())
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.peer_port.unwrap_or(Self::DEFAULT_PORT)
    }

    /// Seconds of the hold time.
    pub fn hold(&self) -> u16 {
        self.hold_time_seconds.unwrap_or(Self::DEFAULT_HOLD)
    }

    /// Seconds between KEEPALIVEs.
    pub fn keepalive(&self) -> u16 {
        self.keep_alive_time_seconds.unwrap_or(Self::DEFAULT_KEEPALIVE)
    }

    /// Seconds between attempts to connect.
    pub fn connect_retry(&self) -> u32 {
        self.connect_retry_time_seconds.unwrap_or(Self::DEFAULT_CONNECT_RETRY)
    }

    /// How long the peer is asked to keep routes, in seconds, where it is.
    pub fn graceful_restart(&self) -> Option<u16> {
        let restart = self.graceful_restart.as_ref().filter(|restart| restart.enabled)?;
        Some(restart.restart_time_seconds.unwrap_or(Self::DEFAULT_RESTART_TIME))
    }

    /// The families to offer; an empty list is as good as none.
    pub fn families(&self) -> Vec<Family> {
        let named: Vec<_> = self.families.iter().flatten().filter_map(FamilyName::family).collect();
        if named.is_empty() { vec![Family::IPV4_UNICAST, Family::IPV6_UNICAST] } else { named }
    }

    fn check(&self, local_asn: u32, path: &str, problems: &mut Vec<Problem>) {
        self.check_address(path, problems);
        if self.peer_asn == 0 {
            problems.push(Problem::error(format!("{path}.peerASN"), "AS 0 is reserved (RFC 7607)"));
        }
        self.check_timers(path, problems);
        if self.ebgp_multihop_ttl.is_some() && self.peer_asn == local_asn {
            let message = "no effect on a peer in the same AS";
            problems.push(Problem::notice(format!("{path}.eBGPMultihopTTL"), message));
        }
        if self.auth_secret_ref.is_some() {
            let message = format!("{NOT_YET}: no session is opened with this neighbour");
            problems.push(Problem::notice(format!("{path}.authSecretRef"), message));
        }
        for (index, name) in self.families.iter().flatten().enumerate() {
            let known = [Family::IPV4_UNICAST, Family::IPV6_UNICAST];
            if name.family().is_some_and(|family| !known.contains(&family)) {
                let message =
                    format!("{}/{} is offered, and nothing is announced in it", name.afi, name.safi);
                problems.push(Problem::notice(format!("{path}.families[{index}]"), message));
            }
        }
        for (index, attributes) in self.advertised_path_attributes.iter().flatten().enumerate() {
            let path = format!("{path}.advertisedPathAttributes[{index}]");
            attributes.check(self.peer_asn == local_asn, &path, problems);
        }
    }

    fn check_address(&self, path: &str, problems: &mut Vec<Problem>) {
        let Ok(prefix) = self.peer_address.parse::<IpNet>() else { return };
        let path = format!("{path}.peerAddress");
        if let Some(reason) = format::unusable_peer(prefix.addr()) {
            problems.push(Problem::error(path, format!("{}: {reason}", prefix.addr())));
        } else if prefix.prefix_len() != prefix.max_prefix_len() {
            let message = format!(
                "the length /{} has no effect: the peer is {} alone, as with /{}",
                prefix.prefix_len(),
                prefix.addr(),
                prefix.max_prefix_len()
            );
            problems.push(Problem::notice(path, message));
        }
    }

    fn check_timers(&self, path: &str, problems: &mut Vec<Problem>) {
        let (hold, keepalive) = (self.hold(), self.keepalive());
        if keepalive <= hold {
            return;
        }
        let default = |given: Option<u16>| if given.is_some() { "" } else { " (the default)" };
        let field =
            if self.keep_alive_time_seconds.is_some() { "keepAliveTimeSeconds" } else { "holdTimeSeconds" };
        let peer = self.address().map_or_else(|| self.peer_address.clone(), |address| address.to_string());
        let message = format!(
            "peer AS {} at {peer}: the keepalive time of {keepalive} s{} is longer than the hold time of \
             {hold} s{}: set keepAliveTimeSeconds to a third of it, {} s",
            self.peer_asn,
            default(self.keep_alive_time_seconds),
            default(self.hold_time_seconds),
            (hold / 3).max(1),
        );
        problems.push(Problem::error(format!("{path}.{field}"), message));
    }
}

impl FamilyName {
    /// The code points behind the names.
    pub fn family(&self) -> Option<Family> {
        let afi = match self.afi.as_str() {
            "ipv4" => 1,
            "ipv6" => 2,
            "l2vpn" => 25,
            "ls" => 16388,
            "opaque" => 16397,
            _ => return None,
        };
        let safi = match self.safi.as_str() {
            "unicast" => 1,
            "multicast" => 2,
            "mpls_label" => 4,
            "encapsulation" => 7,
            "vpls" => 65,
            "evpn" => 70,
            "ls" => 71,
            "sr_policy" => 73,
            "mup" => 85,
            "mpls_vpn" => 128,
            "mpls_vpn_multicast" => 129,
            "route_target_constraints" => 132,
            "flowspec_unicast" => 133,
            "flowspec_vpn" => 134,
            "key_value" => 241,
            _ => return None,
        };
        Some(Family::new(afi, safi))
    }
}
