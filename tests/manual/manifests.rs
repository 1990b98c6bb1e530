//! The Istio manifests as kustomize composes them: `tests/manifests` compares the two.

use std::path::Path;

use serde_json::{Value, json};

/// Where the filter runs, and the example whose config its overlay has.
pub const OVERLAYS: [(&str, &str); 2] = [
    ("gateway", "examples/gateway/per-session.yaml"),
    ("sidecar", "examples/sidecar/orders.yaml"),
];

/// The fields of a WasmPlugin that a TrafficExtension has in `spec.wasm`.
const MODULE_FIELDS: [&str; 5] = [
    "url",
    "sha256",
    "imagePullPolicy",
    "failStrategy",
    "pluginConfig",
];

/// The WasmPlugin of an overlay, but for its namespace.
pub fn wasm_plugin(root: &Path, overlay: &str) -> Value {
    let read = |name: &str| -> Value {
        let file = root.join("istio/kustomize").join(name);
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    };
    let mut manifest = read("base/wasmplugin.yaml");
    for change in read("base/image.yaml").as_array().unwrap() {
        let field = change["path"].as_str().unwrap().strip_prefix("/spec/");
        manifest["spec"][field.unwrap()] = change["value"].clone();
    }
    merge(
        &mut manifest,
        read(&format!("overlays/{overlay}/config.yaml")),
    );
    manifest
}

/// The same as a TrafficExtension.
pub fn traffic_extension(root: &Path, overlay: &str) -> Value {
    let mut manifest = wasm_plugin(root, overlay);
    manifest["kind"] = json!("TrafficExtension");
    let mut wasm = json!({});
    let spec = manifest["spec"].as_object_mut().unwrap();
    for field in MODULE_FIELDS {
        wasm[field] = spec.remove(field).unwrap();
    }
    spec.insert("wasm".to_owned(), wasm);
    manifest
}

/// RFC 7386, which is what kustomize does for a custom resource.
fn merge(target: &mut Value, patch: Value) {
    match (target, patch) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(members.entry(name).or_insert(Value::Null), change);
            }
        }
        (target, patch) => *target = patch,
    }
}
