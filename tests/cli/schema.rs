//! `edge-claims schema`.

use std::path::Path;

use serde_json::{Value, json};

use crate::manifests::{OVERLAYS, traffic_extension, wasm_plugin};
use crate::{Run, folder};

fn run(arguments: &[&str]) -> Run {
    crate::run(&folder(&[]), &[&["schema"], arguments].concat(), "")
}

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let run = run(arguments);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    run.stdout
}

#[test]
fn it_prints_the_published_schema() {
    let published = read("docs/config.schema.json");
    assert_eq!(printed(&[]), published);
    assert_eq!(printed(&["--for", "config"]), published);
}

#[test]
fn the_published_admission_policy_is_that_of_the_schema() {
    let published = read("istio/admission/policy.yaml");
    assert_eq!(printed(&["--for", "admission-policy"]), published);
    // One rule for each section of the config, so that the message names the section.
    let schema: Value = serde_json::from_str(&printed(&[])).unwrap();
    for section in schema["properties"].as_object().unwrap().keys() {
        let message = format!("pluginConfig.{section} breaks the config's schema");
        assert_eq!(published.matches(&message).count(), 1, "{section}");
    }
}

/// As an editor uses it: the manifest passes, and each mistake is found, in the resource and in the config.
#[test]
fn the_schemas_of_resources_find_mistakes_in_the_resource_and_in_the_config() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (kind, manifest, wasm) in OVERLAYS.iter().flat_map(|(overlay, _)| {
        [
            ("wasmplugin", wasm_plugin(root, overlay), "/spec"),
            (
                "trafficextension",
                traffic_extension(root, overlay),
                "/spec/wasm",
            ),
        ]
    }) {
        let text = printed(&["--for", kind]);
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert!(jsonschema::meta::is_valid(&schema), "{kind}");
        let validator = jsonschema::validator_for(&schema).unwrap();
        let name = format!("{kind} {}", manifest["metadata"]["name"]);
        let problems: Vec<String> = validator
            .iter_errors(&manifest)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(problems, Vec::<String>::new(), "{name}");
        for (place, value) in [
            ("/kind", json!("Wasmplugin")),
            ("/spec/faze", json!("AUTHN")),
            ("/spec/phase", json!("AUTH")),
            ("WASM/failStrategy", json!("FAIL_CLOSED")),
            ("WASM/pluginConfig/rbac/routes/0/alow", json!("public")),
            ("WASM/pluginConfig/rbac/routes/0/allow", json!("everyone")),
            ("WASM/pluginConfig/claims/issuers/0/leeway", json!(10)),
            ("WASM/pluginConfig", json!({})),
        ] {
            let place = place.replace("WASM", wasm);
            let (parent, key) = place.rsplit_once('/').unwrap();
            let mut changed = manifest.clone();
            changed.pointer_mut(parent).unwrap()[key] = value;
            assert!(!validator.is_valid(&changed), "{name}: {place}");
        }
        let mut without = manifest.clone();
        let spec = without.pointer_mut(wasm).unwrap().as_object_mut().unwrap();
        spec.remove("pluginConfig");
        assert!(!validator.is_valid(&without), "{name}: no pluginConfig");
    }
}

#[test]
fn the_chart_has_the_schema_of_its_values() {
    let printed: Value = serde_json::from_str(&printed(&["--for", "helm"])).unwrap();
    let of_chart = read("istio/helm/edge-claims/values.schema.json");
    let of_chart: Value = serde_json::from_str(&of_chart).unwrap();
    assert!(
        printed == of_chart,
        "run: edge-claims schema --for helm > istio/helm/edge-claims/values.schema.json"
    );
    assert!(jsonschema::meta::is_valid(&printed));
}

#[test]
fn an_unknown_kind_is_wrong_usage() {
    let run = run(&["--for", "gateway"]);
    assert_eq!((run.code, &*run.stdout), (2, ""));
    let message = run.stderr;
    for kind in ["config", "wasmplugin", "trafficextension", "helm"] {
        assert!(message.contains(kind), "{message}");
    }
}
