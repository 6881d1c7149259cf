//! `advertisedPathAttributes`: what a policy puts on the routes that a neighbour gets.

use peerage_core::wire::{Community, LargeCommunity};
use serde::{Deserialize, Serialize};

use crate::{
    format,
    schema::{Field, Object, Problem, Shape},
    selector::{LABEL_SELECTOR, LabelSelector},
};

/// `advertisedPathAttributes[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdvertisedPathAttributes {
    /// Which kind of route.
    pub selector_type: String,
    /// Which of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Communities to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub communities: Option<Communities>,
    /// LOCAL_PREF, towards iBGP peers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_preference: Option<u32>,
}

/// `communities`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Communities {
    /// `65010:100` or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard: Option<Vec<String>>,
    /// By name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub well_known: Option<Vec<String>>,
    /// `65010:1:100`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<Vec<String>>,
}

pub(crate) static PATH_ATTRIBUTES: Object = Object {
    open: false,
    fields: &[
        Field::required(
            "selectorType",
            Shape::Choice(&["PodCIDR", "CiliumLoadBalancerIPPool", "CiliumPodIPPool"]),
        ),
        Field::optional("selector", Shape::Object(&LABEL_SELECTOR)),
        Field::optional("communities", Shape::Object(&COMMUNITIES)),
        Field::optional("localPreference", Shape::Integer { min: 0, max: 4_294_967_295 }),
    ],
};

static COMMUNITIES: Object = Object {
    open: false,
    fields: &[
        Field::optional("standard", Shape::List { items: &Shape::Text(&format::COMMUNITY), least: 0 }),
        Field::optional("wellKnown", Shape::List { items: &Shape::Choice(&format::WELL_KNOWN), least: 0 }),
        Field::optional("large", Shape::List { items: &Shape::Text(&format::LARGE_COMMUNITY), least: 0 }),
    ],
};

impl AdvertisedPathAttributes {
    /// What the schema cannot say.
    pub(crate) fn check(&self, internal: bool, path: &str, problems: &mut Vec<Problem>) {
        if let Some(selector) = &self.selector {
            selector.check(&format!("{path}.selector"), problems);
        }
        let communities = self.communities.as_ref();
        let some = communities.is_some_and(|it| !it.standard().is_empty() || !it.large().is_empty());
        if self.local_preference.is_some() && !internal {
            let message = "no effect on a peer in another AS";
            problems.push(Problem::notice(format!("{path}.localPreference"), message));
        } else if self.local_preference.is_none() && !some {
            let message = "no effect: neither communities nor localPreference";
            problems.push(Problem::notice(path, message));
        }
    }
}

impl Communities {
    /// Standard and well-known communities, each once, in order of their values.
    pub fn standard(&self) -> Vec<Community> {
        let numbers = self.standard.iter().flatten().filter_map(|text| format::community(text));
        let names = self.well_known.iter().flatten().filter_map(|name| format::well_known(name));
        let mut communities: Vec<_> = numbers.chain(names).collect();
        communities.sort_unstable();
        communities.dedup();
        communities
    }

    /// Large communities, each once, in order of their values.
    pub fn large(&self) -> Vec<LargeCommunity> {
        let texts = self.large.iter().flatten();
        let mut communities: Vec<_> = texts.filter_map(|text| format::large_community(text)).collect();
        communities.sort_unstable();
        communities.dedup();
        communities
    }
}
