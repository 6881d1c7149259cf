//! Running a policy over one route.

use alloc::vec::Vec;

use ipnet::IpNet;

use super::{Policy, RouteSource, Set, Verdict};
use crate::{
    speaker::SourceId,
    wire::{
        NextHop,
        attr::{PathAttributes, Summary},
    },
};

/// A route as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct RouteView<'a> {
    /// Its prefix.
    pub prefix: IpNet,
    /// Where it came from.
    pub source: RouteSource,
    /// Who originated it here, if anybody did.
    pub origination: Option<SourceId>,
    /// Its next hop.
    pub next_hop: Option<NextHop>,
    /// Its attributes.
    pub attributes: &'a PathAttributes,
}

/// What a policy changes about a route it accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edits {
    /// In order.
    pub sets: Vec<Set>,
}

/// A policy: data of this module, or a program's own.
pub trait RoutePolicy {
    /// Decides about one route.
    fn apply(&self, route: &RouteView<'_>) -> (Verdict, Edits);
}

impl RoutePolicy for Policy {
    fn apply(&self, route: &RouteView<'_>) -> (Verdict, Edits) {
        let _ = (route, Summary::default());
        todo!()
    }
}
