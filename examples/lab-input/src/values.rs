//! Helm values: whether there are agents at all.

use peerage_kubernetes::{Fault, yaml::Document};
use serde_json::Value;

use crate::yaml::{error, items, keys, kind, member, notice, value};

/// The one key that the lab acts on.
const ENABLED: &str = "bgpControlPlane.enabled";

/// Whether the BGP control plane is on. Every other key is worth a notice.
pub(crate) fn read(document: &Document, faults: &mut Vec<Fault>) -> bool {
    let enabled = match value(document, ENABLED) {
        Some(Value::Bool(enabled)) => *enabled,
        Some(other) => {
            faults.push(error(document, ENABLED, format!("expected true or false, found {}", kind(other))));
            false
        }
        None => {
            let parent = "bgpControlPlane";
            match value(document, parent) {
                Some(Value::Object(_)) | None => faults.push(notice(
                    document,
                    parent,
                    format!("{ENABLED} is not set, which in Cilium means false: no node runs an agent"),
                )),
                Some(other) => {
                    faults.push(error(
                        document,
                        parent,
                        format!("expected a mapping, found {}", kind(other)),
                    ));
                }
            }
            false
        }
    };
    for key in keys(document, "", faults) {
        without_effect(document, &member("", &key), faults);
    }
    enabled
}

/// A notice for every leaf but the one.
fn without_effect(document: &Document, path: &str, faults: &mut Vec<Fault>) {
    match value(document, path) {
        Some(Value::Object(members)) if !members.is_empty() => {
            for key in keys(document, path, faults) {
                without_effect(document, &member(path, &key), faults);
            }
        }
        Some(Value::Array(values)) if !values.is_empty() => {
            for path in items(document, path, faults) {
                without_effect(document, &path, faults);
            }
        }
        _ if path == ENABLED || path == "bgpControlPlane" => {}
        _ => faults.push(notice(document, path, "no effect in the lab")),
    }
}
