//! The pitfalls of istio/README.md: each as a user runs into it, and what the page says to do.

use edge_claims_harness::tokens::Key;
use serde_json::{Value, json};

use crate::lab::{Lab, Lease};
use crate::manifests::{self, Image, Manifests};
use crate::proxy::{GATEWAY, Proxy, Workload};
use crate::requests::CLAIMS;

/// A gateway with the filter, changed.
fn gateway_with(change: impl FnOnce(Manifests) -> Manifests) -> (Lease, Proxy) {
    let mut lab = Lab::open();
    lab.apply(&manifests::file(manifests::TELEMETRY));
    lab.apply(&change(Image::push().overlay(manifests::GATEWAY[0])));
    let gateway = lab.gateway();
    (lab, gateway)
}

/// **`mode` in `match`**, and **Requests without the filter**.
#[test]
fn mode_server_on_a_gateway_removes_the_filter() {
    let server = |filter: &mut Value| filter["spec"]["match"] = json!([{"mode": "SERVER"}]);
    let (lab, mut gateway) = gateway_with(|manifests| manifests.changed(server));
    let response = gateway.client().get("/admin/x").send();
    assert_eq!(response.status, 200, "unverified: {response:?}");
    assert_eq!(lab.web.count(), 1);
    let line = gateway.wait_for_log("10.10.3.1:9080");
    let record: Value = serde_json::from_str(&line).expect("the format of the docs");
    assert_eq!(
        record["verdict"],
        Value::Null,
        "no verdict: that is the sign. {record}"
    );
}

/// **`mode` in `match`**: on a sidecar.
#[test]
fn without_mode_server_a_sidecar_denies_the_services_own_requests() {
    let mut lab = Lab::open();
    let mut overlay = Image::push().overlay(manifests::SIDECAR[0]);
    overlay.filter()["metadata"]["namespace"] = json!("billing");
    overlay.filter()["spec"]["selector"]["matchLabels"] = json!({"app": "billing"});
    lab.apply(&overlay);
    let own = |billing: &Proxy| {
        billing
            .client()
            .get("/tenants/a/orders/1")
            .host("orders.shop.svc.cluster.local")
            .send()
    };
    let orders = lab.sidecar();
    let billing = lab.billing();
    assert_eq!(own(&billing).status, 200, "as shipped, with mode SERVER");
    drop(billing);
    overlay.filter()["spec"]
        .as_object_mut()
        .expect("a spec")
        .remove("match");
    lab.apply(&overlay);
    let billing = lab.billing();
    let response = own(&billing);
    assert_eq!(
        (response.status, response.json()["code"].as_str()),
        (401, Some("claims_missing")),
        "{response:?}"
    );
    assert_eq!(lab.orders.count(), 1);
    drop(orders);
}

/// **Path normalization.**
#[test]
fn paths_that_istio_leaves_as_they_are_are_denied_unless_a_route_allows_them() {
    let paths = ["/public//x", "/public/a%2Fb", "/public/a;v=1"];
    let (lab, gateway) = gateway_with(|manifests| manifests);
    for path in paths {
        let response = gateway.client().get(path).send();
        assert_eq!(
            (response.status, response.json()["code"].as_str()),
            (400, Some("path_ambiguous")),
            "{path}: {response:?}"
        );
    }
    assert_eq!(lab.web.count(), 0);
    drop((gateway, lab));

    let rules =
        json!({"empty_segments": "normalize", "encoded_slash": "keep", "semicolon": "keep"});
    let allow = |config: &mut Value| config["rbac"]["routes"][0]["path_rules"] = rules;
    let (lab, gateway) = gateway_with(|manifests| manifests.config(allow));
    for path in paths {
        let response = gateway.client().get(path).send();
        assert_eq!(response.status, 200, "{path}: {response:?}");
    }
    let seen: Vec<String> = lab
        .web
        .take()
        .iter()
        .map(edge_claims_harness::Seen::path)
        .collect();
    assert_eq!(seen, ["/public/x", "/public/a%2Fb", "/public/a;v=1"]);
}

/// **YAML 1.1.**
#[test]
fn an_unquoted_y_of_a_key_is_no_y() {
    let key = Key::generate("ES256", "inline-1");
    let jwk = key.jwk();
    // As text, because the quotes are what counts.
    let keys = |y: &str| {
        let field = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
        format!(
            "{{kty: EC, crv: P-256, alg: ES256, kid: inline-1, x: \"{}\", {y}: \"{}\"}}",
            field("x"),
            field("y")
        )
    };
    let mut lab = Lab::open();
    let image = Image::push();
    let manifest = |y: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n\
             metadata: {{name: edge-claims-gateway, namespace: istio-ingress}}\n\
             spec:\n  selector: {{matchLabels: {{istio: ingressgateway}}}}\n  phase: AUTHN\n  \
             url: oci://{}\n  sha256: \"{}\"\n  failStrategy: FAIL_RELOAD\n  pluginConfig:\n    claims:\n      issuers:\n      \
             - {{issuer: https://edge.example.com, audiences: [mesh.example.com], algorithms: [ES256], type: edge-claims+jwt, \
             keys: {{inline: {{keys: [{}]}}}}}}\n    rbac: {{routes: [{{name: all, path: \"/{{*rest}}\", allow: authenticated}}]}}\n",
            manifests::IMAGE,
            image.digest,
            keys(y)
        )
    };
    for (y, name, status) in [("y", "true", 500), ("\"y\"", "y", 200)] {
        lab.apply(&manifest(y));
        let kept = lab.cluster.run(&[
            "get",
            "wasmplugin",
            "edge-claims-gateway",
            "-n",
            "istio-ingress",
            "-o",
            "json",
        ]);
        let kept: Value = serde_json::from_str(&kept).expect("kubectl prints JSON");
        let kept =
            &kept["spec"]["pluginConfig"]["claims"]["issuers"][0]["keys"]["inline"]["keys"][0];
        assert_eq!(kept[name], jwk["y"], "{kept}");
        let gateway = lab.gateway();
        let token = crate::lab::token(&key, &json!({}));
        let response = gateway.client().get("/x").header(CLAIMS, token).send();
        assert_eq!(response.status, status, "{y}: {response:?}");
    }
}

/// **Numbers and null.**
#[test]
fn numbers_as_doubles_and_absent_nulls_are_accepted_and_an_empty_config_is_not() {
    let doubles = |config: &mut Value| {
        config["claims"]["cache_entries"] = json!(20_000.0);
        config["responses"] = Value::Null;
    };
    let (lab, gateway) = gateway_with(|manifests| manifests.config(doubles));
    let token = lab.token(&json!({"roles": ["admin"]}));
    assert_eq!(
        gateway
            .client()
            .get("/admin/x")
            .header(CLAIMS, token)
            .send()
            .status,
        200
    );
    drop((gateway, lab));
    for empty in [None, Some(json!({}))] {
        let (lab, mut gateway) = gateway_with(|mut manifests| {
            let spec = manifests.filter()["spec"].as_object_mut().expect("a spec");
            spec.remove("pluginConfig");
            spec.extend(empty.map(|config| ("pluginConfig".to_owned(), config)));
            manifests
        });
        let line = gateway.wait_for_log("edge-claims");
        assert_eq!(
            gateway.client().get("/public/x").send().status,
            500,
            "{line}"
        );
        assert_eq!(lab.web.count(), 0);
    }
}

/// **Environment.**
#[test]
fn secrets_come_from_the_environment_of_the_proxys_container() {
    let workload = Workload {
        environment: &[("EDGE_CLAIMS_LOG_KEY", "0123456789abcdef0123456789abcdef")],
        ..GATEWAY
    };
    let mut lab = Lab::open();
    lab.apply(&manifests::file(manifests::TELEMETRY));
    let overlay = Image::push().overlay(manifests::GATEWAY[0]).config(|config| {
        config["log"] = json!({"hash_key_env": "EDGE_CLAIMS_LOG_KEY", "access_fields": ["correlation_id", "verdict", "subject"]});
    });
    let env = json!({"env": [{"name": "EDGE_CLAIMS_LOG_KEY", "valueFrom": "HOST"}]});
    lab.apply(&overlay.changed(|filter| filter["spec"]["vmConfig"] = env));
    let gateway = lab.start(&workload).ready();
    let response = gateway
        .client()
        .get("/admin/x")
        .header(CLAIMS, lab.token(&json!({"roles": ["admin"]})))
        .send();
    assert_eq!(response.status, 200, "{response:?}");
    let record = gateway.access(&response.header("x-correlation-id").expect("an ID"));
    let subject = record["subject"].as_str().unwrap_or_default();
    assert!(
        subject.len() > 10 && subject != "alice",
        "the subject as a keyed hash: {record}"
    );
}

/// **Logs.**
#[test]
fn records_are_in_the_log_only_at_the_level_info() {
    let (_lab, mut gateway) = gateway_with(|manifests| manifests);
    let denied = |id: &str| {
        let response = gateway
            .client()
            .get("/admin/x")
            .header("x-correlation-id", id)
            .send();
        assert_eq!(response.status, 401);
        gateway.access(id);
    };
    denied("quiet-1");
    gateway.log_wasm_at("info");
    denied("loud-1");
    let line = |log: &str, id: &str| {
        log.lines()
            .any(|line| line.contains("wasm log") && line.contains(id))
    };
    gateway.wait_for_log("wasm log");
    let log = gateway.log();
    assert!(line(&log, "loud-1") && !line(&log, "quiet-1"), "{log}");
}

/// **Ports in hosts.**
#[test]
fn the_port_of_a_host_goes_on_only_if_it_is_kept() {
    for (setting, host) in [
        ("strip", "shop.example.com"),
        ("keep", "shop.example.com:8443"),
    ] {
        let keep = |config: &mut Value| config["rbac"]["authority_port"] = json!(setting);
        let (lab, gateway) = gateway_with(|manifests| manifests.config(keep));
        let request = gateway
            .client()
            .get("/admin/x")
            .host("shop.example.com:8443");
        let response = request
            .header(CLAIMS, lab.token(&json!({"roles": ["admin"]})))
            .send();
        assert_eq!(response.status, 200, "{setting}: {response:?}");
        assert_eq!(
            String::from_utf8_lossy(&lab.web.only().authority),
            host,
            "{setting}"
        );
    }
}

/// **`vm_id`.**
#[test]
fn two_plugins_of_a_proxy_share_used_tokens() {
    let mut lab = Lab::open();
    let overlay = Image::push()
        .overlay(manifests::GATEWAY[0])
        .config(|config| {
            config["claims"]["issuers"][0]["one_use"] = json!({});
            config["claims"]["issuers"][0]["require"] = json!(["jti"]);
        });
    lab.apply(&overlay);
    let key = lab.key.clone();
    let token = |id: &str| crate::lab::token(&key, &json!({"roles": ["admin"], "jti": id}));
    let gateway = lab.gateway();
    let admin = |gateway: &Proxy, token: &str| {
        gateway
            .client()
            .get("/admin/x")
            .header(CLAIMS, token)
            .send()
    };
    assert_eq!(
        admin(&gateway, &token("1")).status,
        200,
        "one plugin: the token is new"
    );
    drop(gateway);
    lab.apply(&overlay.changed(|filter| filter["metadata"]["name"] = json!("another-plugin")));
    let gateway = lab.gateway();
    assert!(
        !gateway.admin("/config_dump").contains("\"vm_id\""),
        "Istio sets none"
    );
    let response = admin(&gateway, &token("2"));
    assert_eq!(
        response.json()["code"],
        "replayed",
        "the second plugin knows what the first one used: {response:?}"
    );
}
