//! Access logs by Telemetry, for one proxy and for the whole mesh, in the formats of the docs.

use serde_json::{Value, json};

use crate::manifests;
use crate::process::wait;
use crate::requests::Mesh;

/// The Telemetry of the docs for the whole mesh: without its selector, in the root namespace.
fn for_the_whole_mesh() -> Value {
    let mut telemetry = manifests::docs(manifests::TELEMETRY);
    telemetry["metadata"]["namespace"] = json!("istio-system");
    telemetry["spec"]
        .as_object_mut()
        .expect("a spec")
        .remove("selector");
    telemetry
}

#[test]
fn one_id_is_in_the_logs_of_gateway_and_sidecar() {
    let mesh = Mesh::trafficextension();
    let send = || {
        let response = mesh
            .request("GET", "/tenants/a/orders/7", &["reader"])
            .send();
        assert_eq!(response.status, 200, "{response:?}");
        response
            .header("x-correlation-id")
            .expect("each response has an ID")
    };
    let id = send();
    mesh.gateway.access(&id);
    assert!(
        !mesh.orders.log().contains(&id),
        "the Telemetry of the docs is for the gateway alone"
    );

    mesh.lab.apply(&for_the_whole_mesh());
    // The gateway makes an ID for each request without one.
    let id = wait("an ID in both logs", || {
        Some(send()).filter(|id| mesh.orders.log().contains(id))
    });
    for proxy in [&mesh.gateway, &mesh.orders] {
        let record = proxy.access(&id);
        assert!(
            record["verdict"]
                .as_str()
                .is_some_and(|verdict| verdict.starts_with("allow/")),
            "{record}"
        );
        assert_eq!(record["path"], "/tenants/a/orders/7", "{record}");
        assert_eq!(record["status"], 200, "{record}");
    }

    drop(mesh.lab.orders.take());
    let denied = mesh
        .request("POST", "/tenants/a/orders/7", &["reader"])
        .send();
    assert_eq!(denied.status, 403, "{denied:?}");
    let id = denied
        .header("x-correlation-id")
        .expect("each response has an ID");
    assert_eq!(
        mesh.gateway.access(&id)["verdict"],
        "allow/shop",
        "who is logged in passes the gateway"
    );
    let record = mesh.orders.access(&id);
    assert!(
        record["verdict"]
            .as_str()
            .is_some_and(|verdict| verdict.starts_with("deny/")),
        "{record}"
    );
    assert_eq!(mesh.lab.orders.count(), 0);
}
