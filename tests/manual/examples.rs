//! The example configs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{loads, path, read, yaml};

#[test]
fn every_example_config_loads() {
    let mut count = 0;
    for folder in ["examples/config", "examples/gateway", "examples/sidecar"] {
        for entry in std::fs::read_dir(path(folder)).unwrap() {
            let file = entry.unwrap().path();
            let name = file.display().to_string();
            let config = yaml(&name, &std::fs::read_to_string(&file).unwrap());
            loads(&name, &config);
            let tests = config["tests"].as_array().map_or(0, Vec::len);
            assert!(tests > 0, "{name} has no tests of its own");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

/// The profiles differ where they must.
#[test]
fn gateway_and_sidecar_fit_together() {
    let load = |name: &str| yaml(name, &read(name));
    let request = load("examples/gateway/per-request.yaml");
    let session = load("examples/gateway/per-session.yaml");
    let sidecar = load("examples/sidecar/orders.yaml");
    let issuer = |config: &Value| config["claims"]["issuers"][0].clone();
    for gateway in [&request, &session] {
        assert_eq!(gateway["claims"]["forward"], true);
        for key in ["issuer", "audiences", "algorithms", "type", "keys"] {
            assert_eq!(issuer(gateway)[key], issuer(&sidecar)[key], "{key}");
        }
        assert_eq!(gateway["claims"]["header"], sidecar["claims"]["header"]);
        assert_eq!(
            gateway["identity"]["headers"],
            sidecar["identity"]["headers"]
        );
    }
    assert!(issuer(&request).get("one_use").is_some());
    assert!(issuer(&sidecar).get("one_use").is_none());
    assert_eq!(sidecar["claims"]["forward"], false);
    assert_eq!(sidecar["identity"]["on_spoof"], "strip");
}

/// The plugin config inside an Envoy config.
pub fn plugin_config(envoy: &Value) -> Value {
    let filter = &envoy["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
    let http = &filter["typed_config"]["http_filters"][0];
    let text = http["typed_config"]["config"]["configuration"]["value"]
        .as_str()
        .expect("the plugin's configuration is a string");
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_envoy_configs_hold_a_config_that_loads_and_reload_what_fails() {
    for name in [
        "examples/envoy/standalone.yaml",
        "examples/docker-compose/envoy.yaml",
    ] {
        let envoy = yaml(name, &read(name));
        loads(name, &plugin_config(&envoy));
        assert!(read(name).contains("failure_policy: FAIL_RELOAD"), "{name}");
    }
}

/// The end-to-end tests run the standalone one; Compose differs by three addresses.
#[test]
fn compose_runs_the_standalone_envoy() {
    let standalone = read("examples/envoy/standalone.yaml");
    let changed = standalone
        .replace(
            "{address: 127.0.0.1, port_value: 10000}",
            "{address: 0.0.0.0, port_value: 10000}",
        )
        .replace("type: STATIC", "type: STRICT_DNS")
        .replace(
            "{address: 127.0.0.1, port_value: 8080}",
            "{address: upstream, port_value: 8080}",
        );
    let name = "examples/docker-compose/envoy.yaml";
    assert_eq!(yaml(name, &changed), yaml(name, &read(name)));
    let compose = read("examples/docker-compose/docker-compose.yaml");
    let compose = yaml("docker-compose.yaml", &compose);
    assert!(compose["services"]["upstream"].is_object());
    assert!(compose["services"]["envoy"]["environment"]["EDGE_CLAIMS_SECRET"].is_string());
}

/// The filter's fields that a text prints.
fn printed_fields(text: &str) -> BTreeSet<String> {
    text.split("%FILTER_STATE(wasm.edge_claims.")
        .skip(1)
        .map(|rest| {
            let field = rest.split_once(":PLAIN)%");
            field.expect("as plain text").0.to_owned()
        })
        .collect()
}

fn access_fields(config: &Value) -> BTreeSet<String> {
    let fields = config["log"]["access_fields"].as_array();
    let fields = fields.expect("log.access_fields").iter();
    fields
        .map(|field| field.as_str().expect("a name").to_owned())
        .collect()
}

/// A client can choose `x-envoy-original-path`: the formats print the path that was judged.
#[test]
fn the_formats_print_the_path_that_was_judged_and_the_configs_offer_it() {
    for name in [
        "examples/envoy/standalone.yaml",
        "examples/docker-compose/envoy.yaml",
    ] {
        let text = read(name);
        let offered = access_fields(&plugin_config(&yaml(name, &text)));
        assert_eq!(printed_fields(&text), offered, "{name}");
    }
    let every = access_fields(&yaml("full.yaml", &read("examples/config/full.yaml")));
    for name in ["envoy.yaml", "istio-mesh-config.yaml"] {
        let text = read(&format!("docs/access-logs/{name}"));
        assert_eq!(printed_fields(&text), every, "{name}");
        assert!(!text.to_lowercase().contains("original-path"), "{name}");
    }
    for name in [
        "gateway/per-request",
        "gateway/per-session",
        "sidecar/orders",
    ] {
        let name = format!("examples/{name}.yaml");
        let offered = access_fields(&yaml(&name, &read(&name)));
        assert!(offered.contains("path"), "{name}: {offered:?}");
    }
}
