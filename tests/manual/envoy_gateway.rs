//! The manifests for Envoy Gateway. `tests/envoy_gateway` runs them.

use serde_json::Value;

use crate::{loads, read, yaml};

pub const POLICIES: [&str; 2] = ["policy", "route-policy"];

/// The documents of a file of `examples/envoy-gateway`.
fn documents(name: &str) -> Vec<Value> {
    let name = format!("examples/envoy-gateway/{name}.yaml");
    let text = read(&name);
    text.split("\n---\n")
        .map(|text| yaml(&name, text))
        .collect()
}

/// The extension with the filter.
pub fn wasm(name: &str) -> Value {
    documents(name).remove(0)["spec"]["wasm"][0].take()
}

fn proxy() -> Value {
    let documents = documents("envoy-proxy");
    let proxy = documents.into_iter().find(|it| it["kind"] == "EnvoyProxy");
    proxy.expect("an EnvoyProxy")
}

/// The values that the bootstrap gets at a path.
fn added(proxy: &Value, path: &str) -> Vec<Value> {
    let patches = proxy["spec"]["bootstrap"]["jsonPatches"].as_array();
    let patches = patches.expect("patches").iter();
    let there = patches.filter(|patch| patch["path"] == path);
    there
        .inspect(|patch| assert_eq!(patch["op"], "add"))
        .map(|patch| patch["value"].clone())
        .collect()
}

#[test]
fn the_policies_hold_a_config_that_loads_and_fail_closed() {
    for name in POLICIES {
        let wasm = wasm(name);
        loads(name, &wasm["config"]);
        assert_eq!(wasm["failOpen"], false, "{name}");
        // The patch of fail-reload.yaml finds the filter by this name.
        assert_eq!(wasm["name"], "edge_claims", "{name}");
        let code = &wasm["code"]["image"];
        assert_eq!(code["sha256"].as_str().map(str::len), Some(64), "{name}");
    }
    let patch = documents("fail-reload").remove(0);
    let operation = &patch["spec"]["jsonPatches"][0]["operation"];
    assert_eq!(operation["value"], "FAIL_RELOAD");
    assert!(
        operation["jsonPath"]
            .as_str()
            .unwrap()
            .contains("'edge_claims'")
    );
}

#[test]
fn the_access_log_the_labels_and_the_cluster_are_those_of_the_docs() {
    let proxy = proxy();
    let format = &proxy["spec"]["telemetry"]["accessLog"]["settings"][0]["format"]["json"];
    let docs = yaml("envoy.yaml", &read("docs/access-logs/envoy.yaml"));
    let wanted = &docs["access_log"][0]["typed_config"]["log_format"]["json_format"];
    assert!(wanted.is_object());
    assert_eq!(format, wanted);

    let tags = yaml("stats_tags.yaml", &read("examples/envoy/stats_tags.yaml"));
    let wanted = tags["stats_config"]["stats_tags"].as_array().unwrap();
    assert_eq!(&added(&proxy, "/stats_config/stats_tags/-"), wanted);

    let clusters = added(&proxy, "/static_resources/clusters/-");
    let used = &wasm("policy")["config"]["claims"]["issuers"][0]["keys"]["remote"]["cluster"];
    assert!(used.is_string());
    assert_eq!(&clusters[0]["name"], used);
}

/// The versions of the README are those that are tested.
#[test]
fn the_readme_installs_the_version_that_is_tested() {
    let module = read("tests/go/envoy-gateway/go.mod");
    let readme = read("examples/envoy-gateway/README.md");
    let version = readme
        .split("gateway-helm --version ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("the version");
    assert!(
        module.contains(&format!("github.com/envoyproxy/gateway {version}")),
        "{version}"
    );
}
