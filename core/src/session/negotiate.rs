//! Two OPENs make an agreement (RFC 4271 §4.2, §6.2, RFC 5492, RFC 6286, RFC 6793, RFC 8654, RFC 8950,
//! RFC 4724, RFC 8538).

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    facts::PeerAs,
    wire::{Afi, Asn, Capability, Family, GracefulRestartFamily, Notification, Open, RouterId, SessionKind},
};

/// What an OPEN says of graceful restart (RFC 4724 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartOffer {
    /// How long the peer is to wait for the next session; seconds count, up to 4,095.
    pub restart_time: Duration,
    /// R: this speaker has restarted, and the peer need not wait for its End-of-RIB.
    pub restarting: bool,
    /// F, of every family: what was announced before is still forwarded.
    pub forwarding_kept: bool,
}

/// How a session is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// The speaker's AS.
    pub asn: Asn,
    /// The speaker's identifier.
    pub router_id: RouterId,
    /// Which AS the peer may be in.
    pub peer_as: PeerAs,
    /// Proposed hold time.
    pub hold: Duration,
    /// Time between KEEPALIVEs if the peer agrees to the hold time.
    pub keepalive: Duration,
    /// How long the peer may take to send its OPEN.
    pub open: Duration,
    /// Send hold time, if it is not the default.
    pub send_hold: Option<Duration>,
    /// Families to offer.
    pub families: Vec<Family>,
    /// Offer IPv4 NLRI with IPv6 next hops.
    pub extended_next_hop: bool,
    /// Offer graceful restart for all families.
    pub graceful_restart: Option<RestartOffer>,
    /// Host name to send.
    pub hostname: Option<String>,
}

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The peer's AS.
    pub asn: Asn,
    /// iBGP or eBGP.
    pub kind: SessionKind,
    /// The peer's identifier.
    pub router_id: RouterId,
    /// Hold time; zero: none.
    pub hold: Duration,
    /// Time between KEEPALIVEs; zero: none are sent.
    pub keepalive: Duration,
    /// AS numbers have four octets.
    pub four_octet_as: bool,
    /// Messages may be longer than 4,096 octets.
    pub extended_message: bool,
    /// The peer understands ROUTE-REFRESH.
    pub route_refresh: bool,
    /// IPv4 NLRI may have IPv6 next hops, both ways.
    pub extended_next_hop: bool,
    /// Both sides offered graceful restart: the peer keeps routes when the connection goes away without a
    /// NOTIFICATION (RFC 4724 §4.2).
    pub graceful_restart: bool,
    /// Both sides set its N bit: the peer keeps routes also over a NOTIFICATION, unless that is a Hard
    /// Reset (RFC 8538 §4).
    pub graceful_notification: bool,
    /// Families both sides offered, in the order of their numbers.
    pub families: Vec<Family>,
    /// The peer's host name.
    pub hostname: Option<String>,
    /// The peer's capabilities, in its order.
    pub capabilities: Vec<Capability>,
}

impl SessionConfig {
    /// The capabilities to offer.
    pub fn capabilities(&self) -> Vec<Capability> {
        let mut capabilities: Vec<Capability> =
            self.families.iter().map(|family| Capability::Multiprotocol(*family)).collect();
        capabilities.push(Capability::RouteRefresh);
        if self.extended_next_hop && self.families.contains(&Family::IPV4_UNICAST) {
            capabilities.push(Capability::ExtendedNextHop(Vec::from([(Family::IPV4_UNICAST, Afi::IPV6)])));
        }
        capabilities.push(Capability::ExtendedMessage);
        if let Some(offer) = self.graceful_restart {
            let families = self.families.iter();
            capabilities.push(Capability::GracefulRestart {
                restarting: offer.restarting,
                notification: true,
                time: u16::try_from(offer.restart_time.as_secs()).unwrap_or(u16::MAX).min(0x0FFF),
                families: families
                    .map(|&family| GracefulRestartFamily { family, forwarding_kept: offer.forwarding_kept })
                    .collect(),
            });
        }
        capabilities.push(Capability::FourOctetAs(self.asn));
        if let Some(host) = &self.hostname {
            capabilities.push(Capability::Fqdn { host: host.clone(), domain: String::new() });
        }
        capabilities
    }

    /// The OPEN to send.
    pub fn open(&self) -> Open {
        Open {
            my_as: self.asn.as_u16_or_trans(),
            hold_time: u16::try_from(self.hold.as_secs()).unwrap_or(u16::MAX),
            router_id: self.router_id,
            capabilities: self.capabilities(),
        }
    }

    /// What the peer's OPEN and ours agree on, or why they do not.
    pub fn negotiate(&self, open: &Open) -> Result<Negotiated, Notification> {
        let asn = open.asn();
        let own = asn == self.asn;
        let expected = match self.peer_as {
            PeerAs::Number(number) => asn == number,
            PeerAs::External => !own,
            PeerAs::Internal => own,
            PeerAs::Any => true,
        };
        if !expected || asn == Asn::ZERO {
            // RFC 4271 §6.2, RFC 7607 §2.
            return Err(Notification::new(2, 2));
        }
        if own && open.router_id == self.router_id {
            // RFC 6286 §2.1: an identifier is unique within its AS.
            return Err(Notification::new(2, 3));
        }
        let has = |wanted: &Capability| open.capabilities.contains(wanted);
        let mut offered: Vec<Family> = open
            .capabilities
            .iter()
            .filter_map(|capability| match capability {
                Capability::Multiprotocol(family) => Some(*family),
                _ => None,
            })
            .collect();
        if offered.is_empty() {
            // A peer that says nothing speaks IPv4 unicast (RFC 4760 §8).
            offered.push(Family::IPV4_UNICAST);
        }
        let mut families: Vec<Family> =
            self.families.iter().copied().filter(|family| offered.contains(family)).collect();
        families.sort_unstable();
        if families.is_empty() {
            return Err(self.unsupported());
        }
        let proposed = Duration::from_secs(self.hold.as_secs());
        let hold = proposed.min(Duration::from_secs(open.hold_time.into()));
        let keepalive = if hold.is_zero() {
            Duration::ZERO
        } else if hold == proposed {
            self.keepalive
        } else {
            self.keepalive.min(hold / 3)
        };
        let extended_next_hop = self.extended_next_hop
            && open.capabilities.iter().any(|capability| match capability {
                Capability::ExtendedNextHop(list) => list.contains(&(Family::IPV4_UNICAST, Afi::IPV6)),
                _ => false,
            });
        // RFC 4724 §3: all but the last are ignored.
        let restart = open.capabilities.iter().rev().find_map(|capability| match capability {
            Capability::GracefulRestart { notification, .. } => Some(*notification),
            _ => None,
        });
        let restart = restart.filter(|_| self.graceful_restart.is_some());
        Ok(Negotiated {
            asn,
            kind: if own { SessionKind::Internal } else { SessionKind::External },
            router_id: open.router_id,
            hold,
            keepalive,
            four_octet_as: open.capabilities.iter().any(|it| matches!(it, Capability::FourOctetAs(_))),
            extended_message: has(&Capability::ExtendedMessage),
            route_refresh: has(&Capability::RouteRefresh),
            extended_next_hop,
            graceful_restart: restart.is_some(),
            graceful_notification: restart == Some(true),
            families,
            hostname: open.capabilities.iter().find_map(|capability| match capability {
                Capability::Fqdn { host, .. } => Some(host.clone()),
                _ => None,
            }),
            capabilities: open.capabilities.clone(),
        })
    }

    /// RFC 5492 §5: the data are the capabilities that would have been needed.
    fn unsupported(&self) -> Notification {
        let data = self
            .families
            .iter()
            .flat_map(|family| {
                let [high, low] = family.afi.0.to_be_bytes();
                [1, 4, high, low, 0, family.safi.0]
            })
            .collect();
        Notification { data, ..Notification::new(2, 7) }
    }
}
