//! `istio/kustomize`, rendered.

use std::fs;
use std::path::Path;
use std::process::Command;

use edge_claims_harness::tools;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::expected::{OVERLAYS, traffic_extension, wasm_plugin};
use crate::program::{checked, documents, installed, of_kind, printed};

fn build(folder: &Path) -> String {
    printed(
        Command::new(installed("kustomize"))
            .arg("build")
            .arg(folder),
    )
}

fn overlay(name: &str) -> String {
    build(&tools::root().join("istio/kustomize/overlays").join(name))
}

/// The tests of `tests/manual` take these manifests to be what kustomize makes.
#[test]
fn the_overlays_are_what_the_other_tests_take_them_for() {
    let root = tools::root();
    for (name, _) in OVERLAYS {
        for (overlay_name, mut expected) in [
            (name.to_owned(), wasm_plugin(root, name)),
            (
                format!("{name}-trafficextension"),
                traffic_extension(root, name),
            ),
        ] {
            let namespace = if name == "gateway" {
                "istio-ingress"
            } else {
                "shop"
            };
            expected["metadata"]["namespace"] = json!(namespace);
            let text = overlay(&overlay_name);
            let rendered = documents(&text);
            let kind = expected["kind"].as_str().unwrap();
            assert_eq!(of_kind(&rendered, kind), [&expected], "{overlay_name}");
            checked(&text, 1);
            // The gateway's overlay brings the key server, in one namespace for all.
            for kind in ["ServiceEntry", "DestinationRule"] {
                let found = of_kind(&rendered, kind);
                assert_eq!(
                    found.len(),
                    usize::from(name == "gateway"),
                    "{overlay_name}"
                );
                assert!(
                    found
                        .iter()
                        .all(|it| it["metadata"]["namespace"] == namespace)
                );
            }
            let filters = [
                of_kind(&rendered, "WasmPlugin"),
                of_kind(&rendered, "TrafficExtension"),
            ];
            assert_eq!(filters.concat().len(), 1, "{overlay_name}: two filters");
        }
    }
}

/// A waypoint is selected by reference, and both kinds say the same.
#[test]
fn the_waypoint_is_selected_by_reference() {
    let text = overlay("waypoint");
    checked(&text, 1);
    let plugin = documents(&text);
    let plugin = of_kind(&plugin, "WasmPlugin")[0];
    let spec = plugin["spec"].as_object().unwrap();
    let reference =
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}]);
    assert_eq!(spec["targetRefs"], reference);
    assert!(!spec.contains_key("selector") && !spec.contains_key("match"));
    let text = overlay("waypoint-trafficextension");
    checked(&text, 1);
    let extension = documents(&text);
    let extension = of_kind(&extension, "TrafficExtension")[0];
    assert_eq!(extension["spec"]["targetRefs"], reference);
    assert_eq!(
        extension["spec"]["wasm"]["pluginConfig"],
        spec["pluginConfig"]
    );
}

/// A user's own overlay over the base: another policy, with a large number and with an inline key, of
/// which YAML 1.1 reads a name as a boolean.
#[test]
fn an_overlay_of_ones_own_keeps_what_it_says() {
    let folder = TempDir::new().unwrap();
    let tree = folder.path().join("istio/kustomize");
    for part in ["base", "components/trafficextension"] {
        let to = tree.join(part);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(tools::root().join("istio/kustomize").join(part)).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
        }
    }
    let mine = tree.join("mine");
    fs::create_dir_all(&mine).unwrap();
    let kustomization = |folder: &Path, rest: &str| {
        let head = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        fs::write(folder.join("kustomization.yaml"), format!("{head}{rest}")).unwrap();
    };
    kustomization(
        &mine,
        "namespace: mine\nresources: [../base]\npatches: [{path: config.yaml}]\n",
    );
    let config = r#"apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: edge-claims}
spec:
  selector: {matchLabels: {app: mine}}
  pluginConfig:
    claims:
      cache_entries: 1000000
      issuers:
      - issuer: https://edge.example.com
        audiences: [mesh.example.com]
        algorithms: [ES256]
        keys: {inline: {keys: [{kty: EC, crv: P-256, kid: edge-1, alg: ES256, x: ZPmAg2eqCp7090DYABpmYMzzuPsWImecM2LsAr2eM-w, "y": zaYhpcOTuX4XrNcoVRoG3qKP0DanxVe1xuGkcR_8GIY}]}}
        max_lifetime: 1h
    rbac: {routes: [{name: all, path: "/{*rest}", allow: authenticated}]}
"#;
    fs::write(mine.join("config.yaml"), config).unwrap();
    let extension = tree.join("mine-trafficextension");
    fs::create_dir_all(&extension).unwrap();
    kustomization(
        &extension,
        "resources: [../mine]\ncomponents: [../components/trafficextension]\n",
    );
    let written: Value = serde_saphyr::from_str(config).unwrap();
    for (folder, kind, wasm) in [
        (&mine, "WasmPlugin", "/spec"),
        (&extension, "TrafficExtension", "/spec/wasm"),
    ] {
        let text = build(folder);
        let rendered = documents(&text);
        let wasm = of_kind(&rendered, kind)[0].pointer(wasm).unwrap();
        assert_eq!(wasm["pluginConfig"], written["spec"]["pluginConfig"]);
        assert!(text.contains("\"y\":"), "{text}");
        checked(&text, 1);
    }
}
