//! The Istio manifests: against the schemas of the CRDs, and each plugin config as istiod sends it.

use serde_json::{Map, Value, json};

use crate::manifests::{OVERLAYS, traffic_extension, wasm_plugin};
use crate::{loads, path, read, yaml};

/// Whether kubectl (YAML 1.1) takes a bare scalar for a boolean.
pub fn is_yaml_1_1_boolean(text: &str) -> bool {
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false"];
    words.contains(&text.to_ascii_lowercase().as_str())
}

/// Each overlay as each kind: the kind, the manifest, and the part with the module.
pub fn manifests() -> Vec<(&'static str, Value, &'static str)> {
    let root = path("");
    let both = |(overlay, _): &(&'static str, _)| {
        [
            ("WasmPlugin", wasm_plugin(&root, overlay), "/spec"),
            (
                "TrafficExtension",
                traffic_extension(&root, overlay),
                "/spec/wasm",
            ),
        ]
    };
    OVERLAYS.iter().flat_map(both).collect()
}

/// The schema of a CRD as the API server applies it to what kubectl sends: a field that it does not
/// know is an error (`kubectl apply --validate=strict`, the default).
fn validator(kind: &str) -> jsonschema::Validator {
    fn strict(schema: &mut Value) {
        match schema {
            Value::Object(members) => {
                members.values_mut().for_each(strict);
                let open = members.contains_key("additionalProperties")
                    || members.contains_key("x-kubernetes-preserve-unknown-fields");
                if members.get("properties").is_some_and(Value::is_object)
                    && members.get("type") == Some(&json!("object"))
                    && !open
                {
                    members.insert("additionalProperties".into(), json!(false));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(strict),
            _ => {}
        }
    }
    let file = format!("istio/testdata/{}.schema.json", kind.to_lowercase());
    let mut schema: Value = serde_json::from_str(&read(&file)).unwrap();
    for always in ["apiVersion", "kind", "metadata"] {
        schema["properties"][always] = json!({});
    }
    strict(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_manifests_fit_the_crds() {
    for (kind, manifest, _) in manifests() {
        assert_eq!(manifest["apiVersion"], "extensions.istio.io/v1alpha1");
        let errors: Vec<String> = validator(kind)
            .iter_errors(&manifest)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{manifest}");
    }
}

/// The schemas do find mistakes.
#[test]
fn the_crds_refuse_what_is_wrong() {
    for (kind, manifest, wasm) in manifests() {
        for (field, value) in [
            ("failStrategy", json!("FAIL_CLOSED")),
            ("pluginConfig", json!("text")),
            ("pluginConfiguration", json!({})),
            ("sha256", json!("sha256:00")),
        ] {
            let mut manifest = manifest.clone();
            manifest.pointer_mut(wasm).unwrap()[field] = value;
            assert!(!validator(kind).is_valid(&manifest), "{field}: {manifest}");
        }
    }
}

#[test]
fn the_manifests_avoid_the_traps() {
    for (overlay, example) in OVERLAYS {
        let manifest = wasm_plugin(&path(""), overlay);
        let spec = &manifest["spec"];
        assert_eq!(spec["failStrategy"], "FAIL_RELOAD", "{overlay}");
        assert_eq!(spec["phase"], "AUTHN", "{overlay}");
        if overlay == "gateway" {
            assert_eq!(spec.get("match"), None, "a gateway counts as CLIENT");
        } else {
            assert_eq!(spec["match"], json!([{"mode": "SERVER"}]), "{overlay}");
        }
        assert_eq!(
            spec["pluginConfig"],
            yaml(example, &read(example)),
            "{overlay} has drifted"
        );
    }
}

/// `kubectl apply -f istio/`, also with `-R`, creates no filter: a file alone is none.
#[test]
fn no_file_alone_is_a_filter() {
    let mut parts = 0;
    let mut folders = vec![path("istio")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                // Helm's templates are not YAML: kubectl refuses them.
                if !file.ends_with("edge-claims/templates") {
                    folders.push(file);
                }
            } else if file
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = std::fs::read_to_string(&file).unwrap();
                for document in text.split("\n---\n") {
                    let document = yaml(&file.display().to_string(), document);
                    let kind = document["kind"].as_str().unwrap_or_default();
                    if kind == "WasmPlugin" || kind == "TrafficExtension" {
                        assert!(!validator(kind).is_valid(&document), "{}", file.display());
                        parts += 1;
                    }
                }
            }
        }
    }
    // Three of kustomize, and the values of the chart.
    assert_eq!(parts, 4);
}

/// What kubectl (YAML 1.1 keys, no null), the Struct (doubles) and istiod (sorted keys, compact, with
/// `<>&` escaped) make of a config that was written as YAML.
fn as_istiod_sends_it(config: &Value) -> String {
    fn convert(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut names: Vec<&String> = members.keys().collect();
                names.sort();
                let mut sorted = Map::new();
                for name in names {
                    let member = &members[name];
                    let key = match name.to_ascii_lowercase().as_str() {
                        "y" | "yes" | "on" => "true".to_owned(),
                        "n" | "no" | "off" => "false".to_owned(),
                        _ => name.clone(),
                    };
                    if !member.is_null() {
                        sorted.insert(key, convert(member));
                    }
                }
                Value::Object(sorted)
            }
            Value::Array(items) => items.iter().map(convert).collect(),
            // The smallest text of the double: 1.0 is 1.
            Value::Number(number) => {
                let double = number.as_f64().unwrap();
                if double.fract() == 0.0 && double.abs() < 1e15 {
                    json!(double as i64)
                } else {
                    json!(double)
                }
            }
            other => other.clone(),
        }
    }
    let text = convert(config).to_string();
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[test]
fn plugin_configs_load_as_istiod_sends_them() {
    let load = |name: &str, config: &Value| {
        let sent = as_istiod_sends_it(config);
        if let Err(refused) = edge_claims::internals::load(sent.as_bytes()) {
            panic!("{name}: {refused}\n{sent}");
        }
    };
    for (overlay, _) in OVERLAYS {
        let manifest = wasm_plugin(&path(""), overlay);
        load(overlay, &manifest["spec"]["pluginConfig"]);
    }
    let mut full = yaml("full.yaml", &read("examples/config/full.yaml"));
    // What the README warns of: `y` of an EC key survives only where it is quoted, which no parser
    // of YAML 1.2 can tell. As it is quoted there, it stays.
    full["claims"]["issuers"][0]["keys"]
        .as_object_mut()
        .unwrap()
        .remove("inline");
    load("full.yaml", &full);
}

#[test]
fn doubles_count_as_whole_numbers() {
    let mut config = yaml("full.yaml", &read("examples/config/full.yaml"));
    config["claims"]["max_bytes"] = json!(8192.0);
    config["rbac"]["routes"][2]["enforce_percent"] = json!(100.0);
    config["rbac"]["routes"][2]["on_failure"]["keys_unavailable"] = json!(503.0);
    loads("full.yaml with doubles", &config);
}

/// A bare `y` arrives as "true": the config must not load with half a key.
#[test]
fn a_key_that_yaml_1_1_has_spoilt_is_refused() {
    let config = yaml("full.yaml", &read("examples/config/full.yaml"));
    let refused = edge_claims::internals::load(as_istiod_sends_it(&config).as_bytes());
    let text = refused.expect_err("the key has lost its y").to_string();
    assert!(text.contains("claims.issuers[0].keys.inline"), "{text}");
    assert!(text.contains("write \"y\" in quotes"), "{text}");
}

#[test]
fn an_absent_config_is_refused() {
    assert!(edge_claims::internals::load(b"").is_err());
}
