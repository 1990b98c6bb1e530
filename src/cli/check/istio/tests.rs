use super::*;
use crate::cli::source::{configs_in, documents};

const CONFIG: &str = r"
    claims:
      issuers:
      - issuer: https://edge.example.com
        audiences: [mesh]
        algorithms: [ES256]
        max_lifetime: 5m
        keys: {remote: {url: https://keys.example.com/jwks.json, cluster: outbound|443||keys.example.com}}
    rbac: {routes: [{name: health, path: /health, allow: public}]}
    tests: [{name: health, request: {path: /health}, expect: allow}]";

/// A plugin without a warning in a mesh that has `SERVICE_ENTRY`.
fn wasm_plugin(selector: &str, rest: &str) -> String {
    format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: gate, namespace: apps}}\nspec:\n  \
         {selector}\n  url: oci://registry.example.com/edge-claims:1\n  \
         sha256: {digest}\n  {rest}\n  pluginConfig: {CONFIG}\n",
        digest = "a1".repeat(32)
    )
}

const SIDECAR: &str = "selector: {matchLabels: {app: orders}}";
const GATEWAY: &str = "selector: {matchLabels: {istio: ingressgateway}}";
const INBOUND: &str = "match: [{mode: SERVER}]";
const SERVICE_ENTRY: &str = r#"{"kind": "ServiceEntry", "metadata": {"name": "keys", "namespace": "edge"},
    "spec": {"hosts": ["keys.example.com"], "ports": [{"number": 443}]}}"#;

/// The rules that the plugin breaks, and the excerpts.
fn broken(plugin: &str, objects: &[&str]) -> Vec<(&'static str, String)> {
    let source = Source::new("plugin.yaml".to_owned(), plugin.to_owned());
    let mut mesh = Mesh::default();
    for object in objects {
        let source = Source::new("mesh.yaml".to_owned(), (*object).to_owned());
        mesh.add(&documents(&source).unwrap());
    }
    let read = documents(&source).unwrap();
    mesh.add(&read);
    let found = configs_in(read, &source).unwrap();
    let config = found[0].load().unwrap();
    let warnings = compare(&found[0], &config, &mesh);
    let excerpt = |range: Range<usize>| source.text[range].to_owned();
    warnings
        .into_iter()
        .map(|warning| (warning.rule, excerpt(warning.range)))
        .collect()
}

/// Asserts which one rule the plugin breaks, if any.
fn assert_rule(plugin: &str, objects: &[&str], rule: Option<&str>) {
    let rules: Vec<&str> = broken(plugin, objects)
        .iter()
        .map(|(rule, _)| *rule)
        .collect();
    assert_eq!(
        rules,
        rule.into_iter().collect::<Vec<_>>(),
        "{plugin}\n{objects:?}"
    );
}

#[test]
fn careful_plugins_have_no_warning() {
    assert_rule(&wasm_plugin(SIDECAR, INBOUND), &[SERVICE_ENTRY], None);
    assert_rule(&wasm_plugin(GATEWAY, ""), &[SERVICE_ENTRY], None);
    assert_rule(
        &wasm_plugin(GATEWAY, "match: [{mode: CLIENT}]"),
        &[SERVICE_ENTRY],
        None,
    );
}

#[test]
fn the_key_server_must_be_a_cluster() {
    let plugin = wasm_plugin(SIDECAR, INBOUND);
    let rule = Some("istio_keys_cluster");
    let place = "outbound|443||keys.example.com";
    assert_eq!(
        broken(&plugin, &[]),
        [("istio_keys_cluster", place.to_owned())]
    );
    assert_rule(&plugin, &[&SERVICE_ENTRY.replace("443", "8443")], rule);
    assert_rule(
        &plugin,
        &[&SERVICE_ENTRY.replace("keys.ex", "other.ex")],
        rule,
    );
    let exported = |to: &str| {
        SERVICE_ENTRY.replace("\"hosts\"", &format!("\"exportTo\": [\"{to}\"], \"hosts\""))
    };
    assert_rule(&plugin, &[&exported(".")], rule);
    assert_rule(&plugin, &[&exported("other")], rule);
    assert_rule(&plugin, &[&exported("apps")], None);
    // A Service of the cluster.
    let plugin = plugin.replace("443||keys.example.com", "80||keys.edge.svc.cluster.local");
    let service = r#"{"kind": "Service", "metadata": {"name": "keys", "namespace": "edge"}, "spec": {"ports": [{"port": 80}]}}"#;
    assert_rule(&plugin, &[service], None);
    assert_rule(&plugin, &[SERVICE_ENTRY], rule);
    // A cluster of an EnvoyFilter.
    let plugin = plugin.replace("outbound|80||keys.edge.svc.cluster.local", "keys");
    let filter = r#"{"kind": "EnvoyFilter", "metadata": {"name": "f"}, "spec": {"configPatches":
        [{"applyTo": "CLUSTER", "patch": {"operation": "ADD", "value": {"name": "keys"}}}]}}"#;
    assert_rule(&plugin, &[filter], None);
    assert_rule(&plugin, &[SERVICE_ENTRY], rule);
}

#[test]
fn a_sidecar_must_see_the_key_server() {
    let plugin = wasm_plugin(SIDECAR, INBOUND);
    let sidecar = |hosts: &str, labels: &str, namespace: &str| {
        format!(
            "kind: Sidecar\nmetadata: {{name: s, namespace: {namespace}}}\nspec:\n  workloadSelector: {{labels: {{{labels}}}}}\n  \
             egress: [{{hosts: [{hosts}]}}]\n"
        )
    };
    let rule = Some("istio_keys_egress");
    for (hosts, labels, namespace, rule) in [
        ("./*", "app: orders", "apps", rule),
        ("./*", "", "apps", rule),
        ("./*", "", "istio-system", rule),
        ("edge/other.example.com, istio-system/*", "", "apps", rule),
        ("./*", "app: other", "apps", None),
        ("./*", "", "elsewhere", None),
        ("'*/*'", "", "apps", None),
        ("./*, edge/keys.example.com", "", "apps", None),
        ("edge/*", "", "apps", None),
        ("'edge/*.example.com'", "", "apps", None),
    ] {
        let sidecar = sidecar(hosts, labels, namespace);
        assert_rule(&plugin, &[SERVICE_ENTRY, &sidecar], rule);
    }
    // A Sidecar object does not concern gateways.
    let gateway = wasm_plugin(GATEWAY, "");
    assert_rule(
        &gateway,
        &[SERVICE_ENTRY, &sidecar("./*", "", "apps")],
        None,
    );
}

#[test]
fn gateways_and_waypoints_must_get_the_cluster() {
    let istiod = r#"{"kind": "Deployment", "metadata": {"name": "istiod"}, "spec": {"template": {"spec": {"containers":
        [{"env": [{"name": "PILOT_FILTER_GATEWAY_CLUSTER_CONFIG", "value": "true"}]}]}}}}"#;
    let referenced = r#"{"kind": "EnvoyFilter", "metadata": {"name": "f", "annotations":
        {"envoyfilter.istio.io/referenced-services": "a.example.com, keys.example.com"}}, "spec": {}}"#;
    let rule = Some("istio_keys_gateway");
    let gateway = wasm_plugin(GATEWAY, "");
    assert_rule(&gateway, &[SERVICE_ENTRY, istiod], rule);
    assert_rule(&gateway, &[SERVICE_ENTRY, istiod, referenced], None);
    assert_rule(
        &gateway,
        &[SERVICE_ENTRY, &istiod.replace("true", "false")],
        None,
    );
    let waypoint = r#"{"kind": "Gateway", "metadata": {"name": "way", "namespace": "apps"}, "spec":
        {"gatewayClassName": "istio-waypoint"}}"#;
    let plugin = wasm_plugin("targetRefs: [{kind: Gateway, name: way}]", "");
    assert_rule(&plugin, &[SERVICE_ENTRY, waypoint], rule);
    assert_rule(&plugin, &[SERVICE_ENTRY, waypoint, referenced], None);
    assert_rule(
        &plugin,
        &[SERVICE_ENTRY, &waypoint.replace("istio-waypoint", "istio")],
        None,
    );
    let plugin = wasm_plugin("targetRefs: [{kind: Service, name: orders}]", "");
    assert_rule(&plugin, &[SERVICE_ENTRY], rule);
}

#[test]
fn two_kinds_must_not_meet() {
    let other = |selector: &str, namespace: &str| {
        format!(
            "kind: TrafficExtension\nmetadata: {{name: other, namespace: {namespace}}}\nspec:\n  {selector}\n  wasm: \
             {{url: 'oci://registry.example.com/edge-claims:1', pluginConfig: {{claims: {{}}}}}}\n"
        )
    };
    let plugin = wasm_plugin(SIDECAR, INBOUND);
    let url = "oci://registry.example.com/edge-claims:1";
    let meets = broken(&plugin, &[SERVICE_ENTRY, &other(SIDECAR, "apps")]);
    assert_eq!(meets, [("istio_both_kinds", url.to_owned())]);
    let rule = Some("istio_both_kinds");
    assert_rule(&plugin, &[SERVICE_ENTRY, &other("match: []", "apps")], rule);
    assert_rule(
        &plugin,
        &[SERVICE_ENTRY, &other("match: []", "istio-system")],
        rule,
    );
    assert_rule(
        &plugin,
        &[SERVICE_ENTRY, &other(GATEWAY, "elsewhere")],
        None,
    );
    let apart = other("selector: {matchLabels: {app: cart}}", "apps");
    assert_rule(&plugin, &[SERVICE_ENTRY, &apart], None);
    // Another program's plugin.
    let foreign = other(SIDECAR, "apps")
        .replace("edge-claims", "waf")
        .replace("claims", "rules");
    assert_rule(&plugin, &[SERVICE_ENTRY, &foreign], None);
}

#[test]
fn the_mode_must_be_that_of_the_workload() {
    for (plugin, rule) in [
        (wasm_plugin(GATEWAY, INBOUND), Some("istio_gateway_mode")),
        (wasm_plugin(SIDECAR, ""), Some("istio_sidecar_mode")),
        (
            wasm_plugin(SIDECAR, "match: [{mode: CLIENT}]"),
            Some("istio_sidecar_mode"),
        ),
        (
            wasm_plugin(SIDECAR, "match: [{ports: [{number: 80}]}]"),
            Some("istio_sidecar_mode"),
        ),
    ] {
        assert_rule(&plugin, &[SERVICE_ENTRY], rule);
    }
    // A gateway with labels of its own.
    let own = "selector: {matchLabels: {app: edge-gw, tier: front}}";
    let gateway =
        "kind: Gateway\nmetadata: {name: g, namespace: apps}\nspec: {selector: {app: edge-gw}}\n";
    assert_rule(
        &wasm_plugin(own, INBOUND),
        &[SERVICE_ENTRY, gateway],
        Some("istio_gateway_mode"),
    );
    assert_rule(&wasm_plugin(own, ""), &[SERVICE_ENTRY, gateway], None);
}

#[test]
fn the_digest_must_be_one() {
    let digest = "a1".repeat(32);
    let plugin = wasm_plugin(SIDECAR, INBOUND);
    let rule = Some("istio_digest");
    let with = |sha256: &str| plugin.replace(&digest, sha256);
    assert_eq!(
        broken(&with("abc"), &[SERVICE_ENTRY]),
        [("istio_digest", "abc".to_owned())]
    );
    let zeros = format!("\"{}\"", "0".repeat(64));
    assert_rule(&with(&zeros), &[SERVICE_ENTRY], rule);
    assert_rule(&with(&digest.to_uppercase()), &[SERVICE_ENTRY], rule);
    assert_rule(&with(&format!("sha256:{digest}")), &[SERVICE_ENTRY], rule);
    let without = plugin.replace(&format!("sha256: {digest}"), "");
    assert_rule(&without, &[SERVICE_ENTRY], rule);
    let of_url =
        |text: &str, other: &str| text.replace("claims:1", &format!("claims@sha256:{other}"));
    assert_rule(&of_url(&without, &digest), &[SERVICE_ENTRY], None);
    assert_rule(&of_url(&plugin, &digest), &[SERVICE_ENTRY], None);
    assert_rule(&of_url(&plugin, &"b2".repeat(32)), &[SERVICE_ENTRY], rule);
    assert_rule(
        &without.replace("oci://registry.example.com", "file:///opt"),
        &[SERVICE_ENTRY],
        None,
    );
}

#[test]
fn lists_are_read_and_other_documents_are_not() {
    let list = format!(r#"{{"kind": "List", "items": [{SERVICE_ENTRY}]}}"#);
    assert_rule(&wasm_plugin(SIDECAR, INBOUND), &[&list], None);
    let mut mesh = Mesh::default();
    for text in ["a: 1", "[1]", "kind: Pod", "kind: Pod\nspec: 1"] {
        let source = Source::new("other.yaml".to_owned(), text.to_owned());
        mesh.add(&documents(&source).unwrap());
    }
    assert!(mesh.is_empty());
}
