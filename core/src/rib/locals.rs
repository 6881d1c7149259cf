//! Routes originated here. Several sources may want one prefix; the lowest source's attributes count.

use alloc::collections::BTreeMap;

use ipnet::IpNet;

use crate::{facts::SourceId, wire::attr::PathAttributes};

/// Who wants which prefix originated, and how.
#[derive(Debug, Default)]
pub(super) struct Locals {
    wanted: BTreeMap<IpNet, BTreeMap<SourceId, PathAttributes>>,
}

impl Locals {
    /// Whether what is announced may have changed.
    pub(super) fn insert(&mut self, prefix: IpNet, source: SourceId, attributes: &PathAttributes) -> bool {
        let wanted = self.wanted.entry(prefix).or_default();
        let same = wanted.get(&source) == Some(attributes);
        if !same {
            wanted.insert(source, attributes.clone());
        }
        !same && wanted.first_key_value().is_some_and(|(first, _)| *first == source)
    }

    /// Whether what is announced may have changed.
    pub(super) fn remove(&mut self, prefix: IpNet, source: SourceId) -> bool {
        let Some(wanted) = self.wanted.get_mut(&prefix) else { return false };
        let first = wanted.first_key_value().is_some_and(|(first, _)| *first == source);
        let removed = wanted.remove(&source).is_some();
        if wanted.is_empty() {
            self.wanted.remove(&prefix);
        }
        first && removed
    }

    /// What is announced.
    pub(super) fn get(&self, prefix: IpNet) -> Option<&PathAttributes> {
        self.wanted.get(&prefix)?.first_key_value().map(|(_, attributes)| attributes)
    }

    /// On whose behalf.
    pub(super) fn source(&self, prefix: IpNet) -> Option<SourceId> {
        self.wanted.get(&prefix)?.first_key_value().map(|(source, _)| *source)
    }
}
