//! The ConfigMap `cilium-config`: how Cilium is set up, as far as that matters here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    format,
    objects::{Resource, name_of},
    schema::{Field, Object, Shape},
    selector::{METADATA, Metadata},
};

/// `v1` `ConfigMap` of the name `cilium-config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    /// Name and namespace.
    pub metadata: Metadata,
    /// What it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<CiliumConfig>,
}

/// `data` of `cilium-config`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiliumConfig {
    /// The IPAM mode: `cluster-pool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<String>,
}

static CONFIG_MAP: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::optional(
            "data",
            Shape::Object(&Object {
                open: true,
                fields: &[Field::optional("ipam", Shape::Text(&format::ANY))],
            }),
        ),
    ],
});

impl Resource for ConfigMap {
    const KIND: &'static str = "ConfigMap";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const NAMESPACED: bool = true;

    fn shape() -> &'static Shape {
        &CONFIG_MAP
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn is_wanted(value: &Value) -> bool {
        name_of(value) == Self::CILIUM
    }
}

impl ConfigMap {
    /// The one that Cilium is set up by.
    pub(crate) const CILIUM: &str = "cilium-config";

    /// Cilium's IPAM mode; where it says none, that is Cilium's default.
    pub fn ipam(&self) -> &str {
        self.data.as_ref().and_then(|data| data.ipam.as_deref()).unwrap_or("cluster-pool")
    }
}
