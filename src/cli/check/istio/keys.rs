//! Whether a workload has the cluster of an issuer's key server.

use super::read::{list, object, text, texts};
use super::select::{Workload, sidecar_applies, workload};
use super::{Mesh, MeshObject, Plugin};
use crate::json::Json;

/// The annotation by which an `EnvoyFilter` makes istiod send a cluster that no route uses.
const REFERENCED: &str = "envoyfilter.istio.io/referenced-services";

/// The setting of istiod with which gateways only get the clusters of their routes.
const FILTERED_CLUSTERS: &str = "PILOT_FILTER_GATEWAY_CLUSTER_CONFIG";

/// A cluster that istiod makes of a port of a host: `outbound|443||keys.example.com`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HostPort<'c> {
    port: i64,
    host: &'c str,
}

impl<'c> HostPort<'c> {
    /// Parses `direction|port|subset|host`.
    fn parse(cluster: &'c str) -> Option<Self> {
        let mut parts = cluster.split('|');
        let (direction, port, _subset, host) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_outbound = direction == "outbound" && parts.next().is_none() && !host.is_empty();
        let port = port.parse().ok()?;
        is_outbound.then_some(Self { port, host })
    }
}

/// The rule that is broken, and why the workload may lack the cluster.
pub(super) fn missing(
    plugin: Plugin<'_>,
    cluster: &str,
    mesh: &Mesh,
) -> Option<(&'static str, String)> {
    let Some(server) = HostPort::parse(cluster) else {
        // A cluster that an EnvoyFilter adds has any name.
        let is_added = mesh
            .of_kind("EnvoyFilter")
            .any(|filter| adds_cluster(filter, cluster));
        let problem = "istiod makes no cluster of this name: it must be outbound|PORT||HOST, with a host and a port of \
                       a ServiceEntry or a Service";
        return (!is_added).then(|| ("istio_keys_cluster", problem.to_owned()));
    };
    let Some(owner) = mesh.objects.iter().find(|object| serves(object, server)) else {
        let HostPort { port, host } = server;
        return Some((
            "istio_keys_cluster",
            format!("no ServiceEntry or Service has the host {host} with the port {port}"),
        ));
    };
    if !is_exported(owner, &plugin.object.namespace) {
        let problem = format!(
            "{} is not exported to this namespace (exportTo)",
            owner.title()
        );
        return Some(("istio_keys_cluster", problem));
    }
    let is_referenced = mesh.of_kind("EnvoyFilter").any(|filter| {
        filter
            .annotation(REFERENCED)
            .is_some_and(|hosts| hosts.split(',').any(|host| host.trim() == server.host))
    });
    match workload(plugin, mesh) {
        Workload::Waypoint if !is_referenced => Some((
            "istio_keys_gateway",
            "a waypoint gets no cluster that none of its routes uses".to_owned(),
        )),
        Workload::Gateway if !is_referenced && filters_clusters(mesh) => Some((
            "istio_keys_gateway",
            format!(
                "with {FILTERED_CLUSTERS}, a gateway gets no cluster that none of its routes uses"
            ),
        )),
        Workload::Other => mesh
            .of_kind("Sidecar")
            .find(|sidecar| {
                sidecar_applies(sidecar, plugin.object) && hides(sidecar, owner, server.host)
            })
            .map(|sidecar| {
                let problem = format!(
                    "{} does not let its workloads see the key server",
                    sidecar.title()
                );
                ("istio_keys_egress", problem)
            }),
        Workload::Gateway | Workload::Waypoint => None,
    }
}

/// Whether an object makes the cluster.
fn serves(object: &MeshObject, server: HostPort<'_>) -> bool {
    let has_port = |key| {
        list(&object.spec, "ports").any(|port| port.get(key) == Some(&Json::Integer(server.port)))
    };
    match object.kind.as_str() {
        "ServiceEntry" => {
            texts(&object.spec, "hosts").any(|host| host == server.host) && has_port("number")
        }
        "Service" => {
            let name = format!("{}.{}.svc", object.name, object.namespace);
            let is_host = server.host == name
                || server
                    .host
                    .strip_prefix(&name)
                    .is_some_and(|domain| domain.starts_with('.'));
            is_host && has_port("port")
        }
        _ => false,
    }
}

/// Whether a namespace sees an object: `exportTo`, everywhere by default.
fn is_exported(owner: &MeshObject, namespace: &str) -> bool {
    let mut to = texts(&owner.spec, "exportTo").peekable();
    to.peek().is_none()
        || to.any(|to| to == "*" || to == namespace || (to == "." && owner.namespace == namespace))
}

/// Whether a `Sidecar` has egress rules, none of which names the host.
fn hides(sidecar: &MeshObject, owner: &MeshObject, host: &str) -> bool {
    let mut egress = list(&sidecar.spec, "egress").peekable();
    egress.peek().is_some()
        && !egress
            .flat_map(|rule| texts(rule, "hosts"))
            .any(|rule| names(rule, sidecar, owner, host))
}

/// Whether an egress rule, `namespace/dnsName`, names a host of an object.
fn names(rule: &str, sidecar: &MeshObject, owner: &MeshObject, host: &str) -> bool {
    let Some((namespace, name)) = rule.split_once('/') else {
        return false;
    };
    let is_namespace = match namespace {
        "*" => true,
        "." => owner.namespace == sidecar.namespace,
        namespace => namespace == owner.namespace,
    };
    let is_host = match name.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => name == host,
    };
    is_namespace && is_host
}

/// Whether a container of istiod has the setting.
fn filters_clusters(mesh: &Mesh) -> bool {
    mesh.of_kind("Deployment").any(|deployment| {
        let pod =
            object(&deployment.spec, "template").and_then(|template| object(template, "spec"));
        pod.into_iter()
            .flat_map(|pod| list(pod, "containers"))
            .flat_map(|container| list(container, "env"))
            .any(|variable| {
                text(variable, "name") == Some(FILTERED_CLUSTERS)
                    && text(variable, "value") == Some("true")
            })
    })
}

/// Whether an `EnvoyFilter` adds a cluster of that name.
fn adds_cluster(filter: &MeshObject, cluster: &str) -> bool {
    list(&filter.spec, "configPatches").any(|patch| {
        let value = object(patch, "patch").and_then(|patch| object(patch, "value"));
        text(patch, "applyTo") == Some("CLUSTER")
            && value.and_then(|value| text(value, "name")) == Some(cluster)
    })
}
