//! EndpointSlices, and which of their endpoints count as backends.

use serde::{Deserialize, Serialize};

use crate::{
    format,
    objects::Resource,
    options::Terminating,
    schema::{Field, Object, Problem, Shape},
    selector::{METADATA, Metadata},
};

/// `discovery.k8s.io/v1` `EndpointSlice`: what matters of it here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Name, namespace, and the label that names the Service.
    pub metadata: Metadata,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// Its endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<Endpoint>>,
}

/// `endpoints[]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// How it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<EndpointConditions>,
    /// The node it runs on, where it runs on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
}

/// `endpoints[].conditions`: each may be unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointConditions {
    /// It takes traffic. For a Service with publishNotReadyAddresses it is always `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Its probe succeeds, whether it terminates or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving: Option<bool>,
    /// It is about to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminating: Option<bool>,
}

static ENDPOINT_SLICE: Shape = Shape::Object(&Object {
    open: true,
    fields: &[
        Field::required("metadata", Shape::Object(&METADATA)),
        Field::required("addressType", Shape::Choice(&["IPv4", "IPv6", "FQDN"])),
        Field::optional("endpoints", Shape::List { items: &Shape::Object(&ENDPOINT), least: 0 }),
    ],
});

static ENDPOINT: Object = Object {
    open: true,
    fields: &[
        Field::optional("conditions", Shape::Object(&CONDITIONS)),
        Field::optional("nodeName", Shape::Text(&format::ANY)),
    ],
};

static CONDITIONS: Object = Object {
    open: true,
    fields: &[
        Field::optional("ready", Shape::Bool),
        Field::optional("serving", Shape::Bool),
        Field::optional("terminating", Shape::Bool),
    ],
};

/// The label that names a slice's Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

impl Resource for EndpointSlice {
    const KIND: &'static str = "EndpointSlice";
    const VERSIONS: &'static [&'static str] = &["discovery.k8s.io/v1"];
    const NAMESPACED: bool = true;

    fn shape() -> &'static Shape {
        &ENDPOINT_SLICE
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.service().is_none() {
            let message = format!("no effect: no label {SERVICE_NAME} says which Service it belongs to");
            problems.push(Problem::notice("metadata.labels", message));
        }
        if self.address_type == "FQDN" {
            let message = "no effect: an FQDN is no backend of an address; expected IPv4 or IPv6";
            problems.push(Problem::notice("addressType", message));
        }
        problems
    }
}

impl EndpointSlice {
    /// The Service it belongs to, in the same namespace.
    pub fn service(&self) -> Option<&str> {
        let labels = self.metadata.labels.as_ref()?;
        labels.get(SERVICE_NAME).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether an endpoint that counts runs on the node. One without a nodeName runs on none.
    pub(crate) fn has_backend_on(&self, node: &str, terminating: Terminating) -> bool {
        self.endpoints.iter().flatten().any(|endpoint| {
            let conditions = endpoint.conditions.unwrap_or_default();
            endpoint.node_name.as_deref() == Some(node) && conditions.count(terminating)
        })
    }
}

impl EndpointConditions {
    /// Whether an endpoint in these conditions counts as a backend.
    ///
    /// An unknown `ready` is as good as `true` and an unknown `terminating` as `false`; an unknown
    /// `serving` says no more than `ready` does.
    pub fn count(&self, terminating: Terminating) -> bool {
        let ready = self.ready != Some(false);
        let serving = self.serving == Some(true);
        let ends = self.terminating == Some(true);
        match terminating {
            Terminating::Withdraw => ready || (serving && !ends),
            Terminating::Keep => ready || serving,
        }
    }
}
