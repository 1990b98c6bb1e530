//! The Helm chart: linted, rendered, and refused with a config that is wrong.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use edge_claims_harness::tools;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::expected::{OVERLAYS, traffic_extension, wasm_plugin};
use crate::program::{both, checked, documents, installed, of_kind, printed};

fn chart() -> PathBuf {
    tools::root().join("istio/helm/edge-claims")
}

/// Helm with a home of its own.
fn helm(arguments: &[&str], folder: &TempDir) -> Command {
    let mut command = Command::new(installed("helm"));
    command.args(arguments).env("HOME", folder.path());
    command
}

/// The values that make of the chart what an overlay of kustomize is.
fn values(overlay: &str, kind: &str) -> Value {
    let plugin = wasm_plugin(tools::root(), overlay);
    let spec = &plugin["spec"];
    json!({
        "kind": kind,
        "image": {"url": spec["url"], "sha256": spec["sha256"]},
        "place": overlay,
        "matchLabels": spec["selector"]["matchLabels"],
        "keyServer": {"host": if overlay == "gateway" { "keys.example.com" } else { "" }},
        "config": spec["pluginConfig"],
    })
}

/// Runs `helm lint` or `helm template` with these values instead of those of the chart's file.
fn run(what: &[&str], values: &Value) -> Output {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("values.json");
    fs::write(&file, values.to_string()).unwrap();
    helm(what, &folder)
        .arg("--values")
        .arg(&file)
        .arg(chart())
        .output()
        .expect("helm runs")
}

#[test]
fn the_chart_renders_what_kustomize_does() {
    for (overlay, _) in OVERLAYS {
        for (kind, expected) in [
            ("WasmPlugin", wasm_plugin(tools::root(), overlay)),
            (
                "TrafficExtension",
                traffic_extension(tools::root(), overlay),
            ),
        ] {
            let values = values(overlay, kind);
            let lint = run(&["lint", "--strict"], &values);
            assert!(lint.status.success(), "{}", both(&lint));
            let output = run(&["template", "mine", "--namespace", "shop"], &values);
            assert!(output.status.success(), "{}", both(&output));
            let text = String::from_utf8(output.stdout).unwrap();
            let rendered = documents(&text);
            let found = of_kind(&rendered, kind);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0]["spec"], expected["spec"], "{overlay} {kind}");
            assert_eq!(found[0]["metadata"]["name"], "mine");
            assert_eq!(found[0]["metadata"]["namespace"], "shop");
            checked(&text, 1);
            let keys = fs::read_to_string(tools::root().join("istio/keys/serviceentry.yaml"));
            let keys = documents(&keys.unwrap());
            for kind in ["ServiceEntry", "DestinationRule"] {
                let found = of_kind(&rendered, kind);
                if overlay == "gateway" {
                    assert_eq!(found[0]["spec"], of_kind(&keys, kind)[0]["spec"]);
                } else {
                    assert!(found.is_empty(), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_waypoint_is_selected_by_reference() {
    let mut values = values("sidecar", "WasmPlugin");
    values["place"] = json!("waypoint");
    values["waypoint"] = json!("mine");
    let output = run(&["template", "edge"], &values);
    assert!(output.status.success(), "{}", both(&output));
    let rendered = documents(&String::from_utf8(output.stdout).unwrap());
    let spec = &of_kind(&rendered, "WasmPlugin")[0]["spec"];
    assert_eq!(
        spec["targetRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "mine"}])
    );
    assert!(spec.get("selector").is_none() && spec.get("match").is_none());
}

/// A secret for the registry, and a key whose name YAML 1.1 reads as a boolean.
#[test]
fn values_arrive_as_they_are_written() {
    let mut values = values("gateway", "TrafficExtension");
    values["image"]["pullSecret"] = json!("login");
    values["config"]["claims"]["cache_entries"] = json!(1_000_000);
    values["config"]["claims"]["issuers"][0]["keys"] = json!({"inline": {"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "edge-1", "alg": "ES256",
        "x": "ZPmAg2eqCp7090DYABpmYMzzuPsWImecM2LsAr2eM-w",
        "y": "zaYhpcOTuX4XrNcoVRoG3qKP0DanxVe1xuGkcR_8GIY",
    }]}});
    let output = run(&["template", "edge"], &values);
    assert!(output.status.success(), "{}", both(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let rendered = documents(&text);
    let wasm = &of_kind(&rendered, "TrafficExtension")[0]["spec"]["wasm"];
    assert_eq!(wasm["imagePullSecret"], "login");
    assert_eq!(wasm["pluginConfig"], values["config"]);
    assert!(text.contains("\"y\":"), "{text}");
    checked(&text, 1);
}

/// Without labels, a sidecar's filter would be in every proxy of the namespace; a gateway has Istio's label.
#[test]
fn the_proxies_are_named() {
    let mut values = values("sidecar", "WasmPlugin");
    values["matchLabels"] = json!({});
    let output = run(&["template", "edge"], &values);
    assert!(!output.status.success());
    assert!(both(&output).contains("matchLabels"), "{}", both(&output));
    values["place"] = json!("gateway");
    let output = run(&["template", "edge"], &values);
    assert!(output.status.success(), "{}", both(&output));
    let rendered = documents(&String::from_utf8(output.stdout).unwrap());
    let selector = &of_kind(&rendered, "WasmPlugin")[0]["spec"]["selector"];
    assert_eq!(
        *selector,
        json!({"matchLabels": {"istio": "ingressgateway"}})
    );
}

/// Each mistake is found before anything reaches a cluster, by `helm lint` and by `helm template`, which checks as
/// `helm install` does.
#[test]
fn wrong_values_are_refused() {
    let good = values("gateway", "WasmPlugin");
    for (place, value, part) in [
        ("/config/rbac/routes/0/alow", json!("public"), "alow"),
        ("/config/rbac/routes/0/allow", json!("everyone"), "allow"),
        ("/config/claims/issuers/0/leeway", json!(10), "leeway"),
        ("/config", json!({}), "claims"),
        ("/image/sha256", json!(""), "sha256"),
        ("/image/sha256", json!("sha256:00"), "sha256"),
        (
            "/image/url",
            json!("registry.example.com/edge-claims"),
            "url",
        ),
        ("/place", json!("proxy"), "place"),
        ("/kind", json!("Deployment"), "kind"),
        ("/failStrategy", json!("FAIL_OPEN"), "failStrategy"),
    ] {
        let mut wrong = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        wrong.pointer_mut(parent).unwrap()[name] = value;
        for what in [&["lint"][..], &["template", "edge"]] {
            let output = run(what, &wrong);
            let report = both(&output);
            assert!(!output.status.success(), "{place}: {report}");
            assert!(report.contains(part), "{place}: {report}");
        }
    }
}

/// There is no default policy that would let somebody in or lock everybody out.
#[test]
fn a_config_must_be_given() {
    let folder = TempDir::new().unwrap();
    let chart = chart().display().to_string();
    let output = helm(&["template", "edge", &chart], &folder)
        .output()
        .unwrap();
    let report = both(&output);
    assert!(!output.status.success(), "{report}");
    assert!(report.contains("config"), "{report}");
    let package = helm(&["package", &chart, "--destination"], &folder)
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(package.status.success(), "{}", both(&package));
    // Its version is the filter's.
    let shown = printed(&mut helm(&["show", "chart", &chart], &folder));
    let shown = &documents(&shown)[0];
    let manifest = fs::read_to_string(tools::root().join("Cargo.toml")).unwrap();
    let version = format!("\nversion = {}\n", shown["appVersion"]);
    assert!(manifest.contains(&version), "{shown}");
    assert_eq!(shown["version"], shown["appVersion"]);
}
