//! What goes wrong with the resource itself (docs/troubleshooting.md, "Istio: the filter does not run").

use std::fs;
use std::thread;
use std::time::Duration;

use edge_claims_harness::{Request, tools};
use serde_json::{Value, json};

use crate::lab::{Istiod, Lab, Lease};
use crate::manifests::{self, Image};
use crate::process::wait;
use crate::proxy::{GATEWAY, Proxy};
use crate::requests::CLAIMS;

/// The route that the readiness probe needs, as istio/readiness/virtualservice.yaml has it.
fn with_ready_route(config: &mut Value) {
    let routes = config["rbac"]["routes"].as_array_mut().expect("a list");
    routes.push(json!({
        "name": "ready", "hosts": ["ready.invalid"], "path": "/ready", "methods": ["GET"], "allow": "public",
    }));
}

fn admin(lab: &Lab, gateway: &Proxy) -> Request {
    gateway
        .client()
        .get("/admin/x")
        .header(CLAIMS, lab.token(&json!({"roles": ["admin"]})))
}

/// The probe of istio/readiness/deployment-patch.yaml.
fn probe(gateway: &Proxy) -> u16 {
    let patch = manifests::docs("istio/readiness/deployment-patch.yaml");
    let probe = &patch["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"];
    assert_eq!(probe["port"], 8080);
    let host = probe["httpHeaders"][0]["value"].as_str().expect("a host");
    let path = probe["path"].as_str().expect("a path");
    gateway.client().get(path).host(host).send().status
}

#[test]
fn a_refused_config_is_harmless_until_the_proxy_restarts() {
    let mut lab = Lab::open();
    let image = Image::push();
    let good = image.overlay(manifests::GATEWAY[0]);
    lab.apply(&good);
    lab.apply(&manifests::file(manifests::TELEMETRY));
    let mut gateway = lab.gateway();
    assert_eq!(admin(&lab, &gateway).send().status, 200);
    let refused = good
        .clone()
        .config(|config| config["rbac"]["rules"] = json!([]));
    lab.apply(&refused);
    gateway.wait_for_log("config refused");
    gateway.wait_for_log("rbac.rules: unknown key");
    assert_eq!(
        admin(&lab, &gateway).send().status,
        200,
        "the previous config goes on"
    );
    let metrics = gateway.admin("/stats/prometheus");
    let refusals = metrics
        .lines()
        .find(|line| line.contains("edge_claims_config_refused_total") && !line.starts_with('#'));
    assert!(
        refusals.is_some_and(|line| !line.ends_with(" 0")),
        "{refusals:?}"
    );
    // The pod starts again.
    drop(gateway);
    let mut gateway = lab.start(&GATEWAY);
    wait("the listener", || {
        std::net::TcpStream::connect("127.0.0.1:8080").ok()
    });
    wait("a response without filters", || {
        (admin(&lab, &gateway).send().status == 500).then_some(())
    });
    gateway.wait_for_log("NFCF");
    lab.apply(&good);
    wait("the mended config", || {
        (admin(&lab, &gateway).send().status == 200).then_some(())
    });
}

#[test]
fn a_wrong_digest_denies_everything_at_once() {
    let mut lab = Lab::open();
    let image = Image::push();
    let good = image.overlay(manifests::GATEWAY[0]);
    lab.apply(&manifests::file(manifests::TELEMETRY));
    lab.apply(&good);
    let mut gateway = lab.gateway();
    assert_eq!(admin(&lab, &gateway).send().status, 200);
    let wrong = Image {
        digest: "ab".repeat(32),
    };
    lab.apply(&wrong.overlay(manifests::GATEWAY[0]));
    wait("the denial of everything", || {
        (gateway.client().get("/public/x").send().status == 403).then_some(())
    });
    assert_eq!(admin(&lab, &gateway).send().status, 403);
    gateway.wait_for_log("rbac_access_denied_matched_policy[none]");
    let failed = agent_fetches(&gateway);
    assert!(
        failed
            .iter()
            .any(|line| !line.contains("result=\"success\"")),
        "the alert has something to see: {failed:?}"
    );
    lab.apply(&good);
    wait("the right digest", || {
        (admin(&lab, &gateway).send().status == 200).then_some(())
    });
}

/// The agent's counter of fetches, as the alert EdgeClaimsModuleNotFetched reads it.
fn agent_fetches(gateway: &Proxy) -> Vec<String> {
    let alerts = manifests::file("docs/dashboards/alerts.yaml");
    let name = "istio_agent_wasm_remote_fetch_count";
    assert!(alerts.contains(name));
    let metrics = gateway.agent("/stats/prometheus");
    metrics
        .lines()
        .filter(|line| line.starts_with(name) && !line.ends_with(" 0"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn without_the_registry_a_new_proxy_denies_everything_until_the_resource_changes() {
    let mut lab = Lab::open();
    let image = Image::push();
    let good = image
        .overlay(manifests::GATEWAY[0])
        .config(with_ready_route);
    lab.apply(&manifests::file(manifests::TELEMETRY));
    lab.apply(&manifests::file("istio/readiness/virtualservice.yaml"));
    lab.apply(&good);
    lab.registry.down();
    let mut gateway = lab.gateway();
    assert_eq!(gateway.readiness(), 200, "the agent says that it is ready");
    wait("the denial of everything", || {
        (admin(&lab, &gateway).send().status == 403).then_some(())
    });
    assert_eq!(probe(&gateway), 403, "the probe through the filter sees it");
    gateway.wait_for_log("rbac_access_denied_matched_policy[none]");
    lab.hosts_up();
    // The agent does not try again by itself.
    thread::sleep(Duration::from_secs(5));
    assert_eq!(admin(&lab, &gateway).send().status, 403);
    // Any change of the resource makes istiod send it again.
    let annotated =
        good.changed(|filter| filter["metadata"]["annotations"] = json!({"again": "1"}));
    lab.apply(&annotated);
    wait("the module", || {
        (admin(&lab, &gateway).send().status == 200).then_some(())
    });
    assert_eq!(probe(&gateway), 200);
}

#[test]
fn a_module_in_a_file_needs_no_registry() {
    let mut lab = Lab::open();
    lab.registry.down();
    let file = lab.path("plugin.wasm");
    fs::copy(tools::module(), &file).expect("the folder is ours");
    let image = Image {
        digest: "ab".repeat(32),
    };
    let mounted = image.overlay(manifests::GATEWAY[0]).changed(|filter| {
        let spec = filter["spec"].as_object_mut().expect("an object");
        spec.remove("sha256");
        spec.insert(
            "url".to_owned(),
            json!(format!("file://{}", file.display())),
        );
    });
    lab.apply(&mounted);
    let gateway = lab.gateway();
    assert_eq!(gateway.client().get("/admin/x").send().status, 401);
    assert_eq!(admin(&lab, &gateway).send().status, 200);
}

/// A request with a token to the sidecar of `orders`.
fn order(lab: &Lease, sidecar: &Proxy) -> Request {
    let token = lab.token(&json!({"roles": ["reader"], "tenant_id": "a"}));
    sidecar
        .client()
        .get("/tenants/a/orders/1")
        .header(CLAIMS, token)
}

#[test]
fn a_sidecar_object_that_hides_the_key_server_makes_tokens_unverifiable() {
    let mut lab = Lab::open();
    let image = Image::push();
    lab.apply(&manifests::file("istio/keys/serviceentry.yaml"));
    lab.apply(&image.overlay(manifests::SIDECAR[0]));
    let sidecar_object = |hosts: Value| {
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
            "metadata": {"name": "orders", "namespace": "shop"},
            "spec": {
                "workloadSelector": {"labels": {"app": "orders"}},
                "ingress": [{
                    "port": {"number": 8081, "protocol": "HTTP", "name": "http"},
                    "bind": "10.10.2.1", "defaultEndpoint": "127.0.0.1:9081",
                }],
                "egress": [{"hosts": hosts}],
            },
        })
    };
    lab.apply(&sidecar_object(json!(["billing/*"])));
    let mut sidecar = lab.sidecar();
    let response = order(&lab, &sidecar).send();
    assert_eq!(
        (response.status, response.json()["code"].as_str()),
        (503, Some("keys_unavailable")),
        "{response:?}"
    );
    let line = sidecar.wait_for_log("Envoy knows no cluster");
    assert!(line.contains("`egress` of the Sidecar objects"), "{line}");
    // The line of the file that names the key server.
    let shipped = manifests::docs("istio/keys/sidecar-egress.yaml");
    let hosts = shipped["spec"]["egress"][0]["hosts"]
        .as_array()
        .expect("a list");
    let keys = hosts.last().expect("one").clone();
    lab.apply(&sidecar_object(json!(["billing/*", keys])));
    wait("the keys", || {
        (order(&lab, &sidecar).send().status == 200).then_some(())
    });
}

#[test]
fn a_gateway_with_filtered_clusters_needs_the_reference() {
    let mut lab = Lab::open();
    lab.istiod(Istiod {
        environment: vec![("PILOT_FILTER_GATEWAY_CLUSTER_CONFIG", "true")],
        ..Istiod::default()
    });
    let image = Image::push();
    lab.apply(&image.overlay(manifests::GATEWAY[0]));
    let mut gateway = lab.gateway();
    assert_eq!(
        admin(&lab, &gateway).send().json()["code"],
        "keys_unavailable"
    );
    let line = gateway.wait_for_log("Envoy knows no cluster");
    assert!(
        line.contains("PILOT_FILTER_GATEWAY_CLUSTER_CONFIG"),
        "{line}"
    );
    lab.apply(&manifests::file("istio/keys/referenced-service.yaml"));
    wait("the keys", || {
        (admin(&lab, &gateway).send().status == 200).then_some(())
    });
}

#[test]
fn both_kinds_on_one_workload_deny_good_requests() {
    let mut lab = Lab::open();
    let image = Image::push();
    lab.apply(&manifests::file("istio/keys/serviceentry.yaml"));
    lab.apply(&image.overlay(manifests::SIDECAR[0]));
    let sidecar = lab.sidecar();
    assert_eq!(order(&lab, &sidecar).send().status, 200);
    lab.apply(&image.overlay(manifests::SIDECAR[1]));
    wait("the second filter", || {
        let response = order(&lab, &sidecar).send();
        (response.status == 401 && response.json()["code"] == "claims_missing").then_some(())
    });
    lab.delete(&image.overlay(manifests::SIDECAR[0]));
    wait("one filter again", || {
        (order(&lab, &sidecar).send().status == 200).then_some(())
    });
}

#[test]
fn the_admission_policy_refuses_configs_that_break_the_schema() {
    let lab = Lab::open();
    let policy = manifests::file("istio/admission/policy.yaml");
    lab.apply(&policy);
    let image = Image {
        digest: "ab".repeat(32),
    };
    let overlays = || {
        let names = manifests::GATEWAY.iter().chain(&manifests::SIDECAR);
        names.map(|name| image.overlay(name))
    };
    let unknown = |config: &mut Value| config["rbac"]["rules"] = json!([]);
    // The API server takes a moment to enforce a new policy.
    let probe = image
        .overlay(manifests::GATEWAY[0])
        .config(unknown)
        .to_string();
    wait("the policy", || {
        let arguments = ["apply", "--dry-run=server", "-f", "-"];
        (!lab.cluster.kubectl(&arguments, &probe).status.success()).then_some(())
    });
    for manifest in overlays() {
        lab.apply(&manifest);
    }
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 9] = [
        ("pluginConfig.rbac", |config| {
            config["rbac"]["rules"] = json!([])
        }),
        ("pluginConfig breaks", |config| config["rabc"] = json!({})),
        ("pluginConfig breaks", |config| {
            config.as_object_mut().expect("an object").remove("claims");
        }),
        ("pluginConfig.claims", |config| {
            config["claims"]["issuers"] = json!([])
        }),
        ("pluginConfig.claims", |config| {
            config["claims"]["issuers"][0]["algorithms"] = json!(["none"])
        }),
        ("pluginConfig.claims", |config| {
            config["claims"]["issuers"][0]["leeway"] = json!("10")
        }),
        ("pluginConfig.rbac", |config| {
            config["rbac"]["routes"][0]["path"] = json!("public")
        }),
        ("pluginConfig.rbac", |config| {
            config["rbac"]["routes"][0]["methods"] = json!(["get"])
        }),
        ("pluginConfig.rbac", |config| {
            config["rbac"]["routes"][1]["allow"] = json!({"any_rol": ["x"]})
        }),
    ];
    for manifest in overlays() {
        for (place, change) in changes {
            let refusal = lab
                .cluster
                .refusal(&manifest.clone().config(change).to_string());
            assert!(
                refusal.contains("edge-claims-config") && refusal.contains(place),
                "{place}: {refusal}"
            );
        }
        // Without a config, Istio would send an empty one.
        let mut empty = manifest.clone();
        empty
            .wasm()
            .as_object_mut()
            .expect("an object")
            .remove("pluginConfig");
        lab.cluster.refusal(&empty.to_string());
    }
    // What would cost more than Kubernetes allows passes.
    let large = image.overlay(manifests::GATEWAY[0]).config(|config| {
        let routes = config["rbac"]["routes"].as_array_mut().expect("a list");
        routes.extend((0..3_000).map(|number| {
            json!({"name": format!("r{number}"), "path": format!("/r{number}/{{*rest}}"), "allow": {"any_role": ["x"]}})
        }));
    });
    let dry_run = ["apply", "--server-side", "--dry-run=server", "-f", "-"];
    let output = lab.cluster.kubectl(&dry_run, &large.to_string());
    assert!(output.status.success(), "{output:?}");
    // Plugins of other programs are none of its business.
    lab.apply(&json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": {"name": "other", "namespace": "shop"},
        "spec": {"url": "oci://registry.example.com/other:1", "pluginConfig": {"rules": [1]}},
    }));
    // For other tests, it must be gone.
    lab.delete(&policy);
    wait("the end of the policy", || {
        let arguments = ["apply", "--dry-run=server", "-f", "-"];
        let output = lab.cluster.kubectl(&arguments, &probe);
        output.status.success().then_some(())
    });
}
