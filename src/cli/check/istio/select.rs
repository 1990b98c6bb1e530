//! Which workloads a plugin runs in.

use super::read::{list, object, strings, text};
use super::{Mesh, MeshObject, Plugin};
use crate::json::Object;

/// Where Istio's own objects are, by default. A plugin or a `Sidecar` there is for the whole mesh.
const ROOT_NAMESPACE: &str = "istio-system";

/// The labels that Istio's own charts give to gateways.
const GATEWAY_LABELS: [(&str, &str); 2] = [("istio", "ingressgateway"), ("istio", "egressgateway")];

/// What a plugin runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// The proxy of a `Gateway`.
    Gateway,
    /// A waypoint of ambient mode.
    Waypoint,
    /// Sidecars, or a gateway that the objects do not show.
    Other,
}

/// What a plugin runs in, as far as the objects show it.
pub(super) fn workload(plugin: Plugin<'_>, mesh: &Mesh) -> Workload {
    for target in targets(&plugin.object.spec) {
        let (kind, name) = (text(target, "kind"), text(target, "name"));
        match kind {
            Some("Service" | "ServiceEntry") => return Workload::Waypoint,
            Some("GatewayClass") if name == Some("istio-waypoint") => return Workload::Waypoint,
            Some("Gateway") => {
                let is_waypoint = mesh.of_kind("Gateway").any(|gateway| {
                    Some(gateway.name.as_str()) == name
                        && gateway.namespace == plugin.object.namespace
                        && text(&gateway.spec, "gatewayClassName") == Some("istio-waypoint")
                });
                return if is_waypoint {
                    Workload::Waypoint
                } else {
                    Workload::Gateway
                };
            }
            _ => {}
        }
    }
    let labels = labels(&plugin.object.spec, "selector");
    let has = |wanted: &[(String, String)]| {
        !wanted.is_empty() && wanted.iter().all(|label| labels.contains(label))
    };
    let is_gateway = mesh.of_kind("Gateway").any(|gateway| {
        object(&gateway.spec, "selector").is_some_and(|selector| has(&strings(selector)))
    });
    let is_usual = GATEWAY_LABELS
        .iter()
        .any(|(key, value)| has(&[((*key).to_owned(), (*value).to_owned())]));
    if is_gateway || is_usual {
        Workload::Gateway
    } else {
        Workload::Other
    }
}

/// Whether two plugins may run in one workload.
pub(super) fn may_meet(one: &MeshObject, other: &MeshObject) -> bool {
    let is_root = |object: &MeshObject| object.namespace == ROOT_NAMESPACE;
    if one.namespace != other.namespace && !is_root(one) && !is_root(other) {
        return false;
    }
    let names = |object: &MeshObject| -> Vec<(String, String)> {
        targets(&object.spec)
            .filter_map(|target| {
                let part = |key| Some(text(target, key)?.to_owned());
                Some((part("kind")?, part("name")?))
            })
            .collect()
    };
    let (targets_of_one, targets_of_other) = (names(one), names(other));
    match (targets_of_one.is_empty(), targets_of_other.is_empty()) {
        (true, true) => labels_may_meet(
            &labels(&one.spec, "selector"),
            &labels(&other.spec, "selector"),
        ),
        (false, false) => targets_of_one
            .iter()
            .any(|target| targets_of_other.contains(target)),
        // A workload of a target can have any labels.
        _ => true,
    }
}

/// Whether a `Sidecar` is for workloads of a plugin.
pub(super) fn sidecar_applies(sidecar: &MeshObject, plugin: &MeshObject) -> bool {
    let is_same = sidecar.namespace == plugin.namespace
        || sidecar.namespace == ROOT_NAMESPACE
        || plugin.namespace == ROOT_NAMESPACE;
    let workloads = object(&sidecar.spec, "workloadSelector")
        .and_then(|selector| object(selector, "labels"))
        .map(strings);
    is_same
        && labels_may_meet(
            &workloads.unwrap_or_default(),
            &labels(&plugin.spec, "selector"),
        )
}

/// `targetRefs`, and the older `targetRef`.
fn targets(spec: &Object) -> impl Iterator<Item = &Object> {
    list(spec, "targetRefs").chain(object(spec, "targetRef"))
}

/// `matchLabels` of a selector.
fn labels(spec: &Object, selector: &str) -> Vec<(String, String)> {
    object(spec, selector)
        .and_then(|selector| object(selector, "matchLabels"))
        .map(strings)
        .unwrap_or_default()
}

/// Whether a workload can have both sets of labels.
fn labels_may_meet(one: &[(String, String)], other: &[(String, String)]) -> bool {
    one.iter().all(|(key, value)| {
        other
            .iter()
            .all(|(other_key, other_value)| key != other_key || value == other_value)
    })
}
