//! Messages in one line each, by the codecs of core's `wire` layer.

use peerage_core::wire::{
    Capability, Frame, MAX_EXTENDED_LEN, MessageError, MessageKind, Notification, Open, Origin, RouteRefresh,
    Update,
    attr::{PathAttributes, RawAttributes, code},
    frame,
    nlri::Ipv4Prefixes,
};

/// Cuts a stream into messages, each with what it says.
pub(crate) fn messages(stream: &[u8]) -> Vec<(&[u8], String)> {
    let mut messages = Vec::new();
    let mut rest = stream;
    while let Ok(Some(message)) = frame(rest, MAX_EXTENDED_LEN) {
        let Some((octets, after)) = rest.split_at_checked(message.len) else { break };
        messages.push((octets, describe(message).unwrap_or_else(|error| format!("malformed: {error}"))));
        rest = after;
    }
    messages
}

fn describe(message: Frame<'_>) -> Result<String, MessageError> {
    Ok(match message.kind {
        MessageKind::Open => open(&Open::decode(message.body)?),
        MessageKind::Update => update(&Update::split(message.body)?),
        MessageKind::Notification => Notification::decode(message.body)?.to_string(),
        MessageKind::Keepalive => "KEEPALIVE".to_owned(),
        MessageKind::RouteRefresh => {
            format!("ROUTE-REFRESH {}", RouteRefresh::decode(message.body)?.family)
        }
    })
}

fn open(open: &Open) -> String {
    let capabilities: Vec<String> = open.capabilities.iter().map(capability).collect();
    format!(
        "OPEN AS {}, hold time {} s, router id {}; {}",
        open.asn(),
        open.hold_time,
        open.router_id,
        capabilities.join(", ")
    )
}

fn capability(capability: &Capability) -> String {
    match capability {
        Capability::Multiprotocol(family) => family.to_string(),
        Capability::RouteRefresh => "route refresh".to_owned(),
        Capability::EnhancedRouteRefresh => "enhanced route refresh".to_owned(),
        Capability::ExtendedMessage => "extended messages".to_owned(),
        Capability::FourOctetAs(asn) => format!("four-octet AS {asn}"),
        Capability::Fqdn { host, .. } => format!("host name {host}"),
        other => format!("{other:?}"),
    }
}

/// An UPDATE of IPv4 routes from a session with four-octet AS numbers.
fn update(update: &Update<'_>) -> String {
    if let Some(family) = update.end_of_rib() {
        return format!("UPDATE End-of-RIB {family}");
    }
    let prefixes = |field| {
        let prefixes = Ipv4Prefixes::new(field).map_while(Result::ok).map(|prefix| prefix.to_string());
        prefixes.collect::<Vec<_>>().join(" ")
    };
    let mut text = "UPDATE".to_owned();
    if !update.withdrawn.is_empty() {
        text.push_str(&format!(" withdraws {}", prefixes(update.withdrawn)));
    }
    if !update.nlri.is_empty() {
        let next_hop = RawAttributes::new(update.attributes).find(|it| it.code == code::NEXT_HOP);
        let next_hop =
            next_hop.and_then(|it| <[u8; 4]>::try_from(it.value).ok()).map(std::net::Ipv4Addr::from);
        text.push_str(&format!(" announces {}", prefixes(update.nlri)));
        text.push_str(&next_hop.map_or_else(String::new, |address| format!(" via {address}")));
        text.push_str(&attributes(&PathAttributes::decode(update.attributes)));
    }
    text
}

fn attributes(attributes: &PathAttributes) -> String {
    let origin = match attributes.origin {
        Origin::Igp => "IGP",
        Origin::Egp => "EGP",
        Origin::Incomplete => "incomplete",
    };
    let mut text = format!("; origin {origin}, AS path {}", attributes.as_path);
    if let Some(med) = attributes.med {
        text.push_str(&format!(", MED {med}"));
    }
    for community in &attributes.communities {
        text.push_str(&format!(", community {community}"));
    }
    text
}
