//! The filter in the ingress gateway: what is applied, and what is deleted.

use serde_json::json;

use crate::lab::Lab;
use crate::manifests::{self, Image};
use crate::process::wait;
use crate::requests::CLAIMS;

#[test]
fn the_overlay_works_with_nothing_but_the_digest_changed() {
    let mut lab = Lab::open();
    let image = Image::push();
    let overlay = image.overlay(manifests::GATEWAY[0]);
    lab.apply(&overlay);
    let gateway = lab.gateway();
    let denied = gateway.client().get("/tenants/a/orders").send();
    assert_eq!(denied.status, 401, "{denied:?}");
    assert_eq!(lab.web.count() + lab.orders.count(), 0);
    let token = lab.token(&json!({"roles": ["admin"]}));
    let allowed = gateway
        .client()
        .get("/admin/x")
        .header(CLAIMS, token)
        .send();
    assert_eq!(allowed.status, 200, "{allowed:?}");
    assert_eq!(
        lab.web.only().header("x-auth-subject").as_deref(),
        Some("alice")
    );
    assert_eq!(gateway.readiness(), 200);

    // Nothing else protects the services.
    lab.delete(&overlay);
    wait("the gateway without the filter", || {
        (gateway.client().get("/admin/x").send().status == 200).then_some(())
    });
}

#[test]
fn the_api_server_refuses_what_is_no_filter() {
    let lab = Lab::open();
    for part in [
        "base/wasmplugin.yaml",
        "overlays/gateway/config.yaml",
        "overlays/sidecar/config.yaml",
    ] {
        lab.cluster
            .refusal(&manifests::file(&format!("istio/kustomize/{part}")));
    }
    let image = Image::push();
    for (field, value) in [
        ("failStrategy", json!("FAIL_CLOSED")),
        ("pluginConfig", json!("text")),
        ("url", json!("ftp://example.com/x")),
    ] {
        for overlay in manifests::GATEWAY {
            let mut overlay = image.overlay(overlay);
            overlay.wasm()[field] = value.clone();
            let refusal = lab.cluster.refusal(&overlay.to_string());
            assert!(refusal.contains(field), "{field}: {refusal}");
        }
    }
}
