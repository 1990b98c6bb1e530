//! The resources: those of `examples/envoy-gateway`, adapted to this machine, and those that tests make.

use std::fs;
use std::path::Path;

use ct_codecs::{Base64, Encoder as _};
use edge_claims_harness::tokens::Key;
use edge_claims_harness::{KeyServer, tools};
use serde_json::{Value, json};

/// The version of Envoy that Envoy Gateway believes to start. See [`crate::lab`].
pub const ENVOY: &str = "1.39.1";

/// The documents of a file of `examples/envoy-gateway`.
pub fn example(name: &str) -> Vec<Value> {
    let path = tools::root().join("examples/envoy-gateway").join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect()
}

/// What every test has, whatever its resources: the service `shop` as an address, and what makes modules
/// reach Envoy without a cluster.
///
/// In a cluster, Envoy Gateway mounts its authority into Envoy's pods at `/certs`, and Envoy's certificate is the Secret
/// `envoy`. In standalone mode, it makes the same files elsewhere, and a Secret of its own that does not fit them.
pub fn shared(folder: &Path, upstream: u16) -> Vec<Value> {
    let certificates = folder.join("home/config/certs/envoy");
    let file = |name: &str| {
        let bytes = fs::read(certificates.join(name)).expect("certgen has made it");
        Base64::encode_to_string(bytes).expect("short enough")
    };
    vec![
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "envoy", "namespace": "envoy-gateway-system"},
            "data": {"tls.crt": file("tls.crt"), "tls.key": file("tls.key"), "ca.crt": file("ca.crt")},
        }),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
            "metadata": {"name": "modules", "namespace": "shop"},
            "spec": {
                "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
                "type": "JSONPatch",
                "jsonPatches": [{
                    "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
                    "name": "wasm_cluster",
                    "operation": {
                        "op": "replace",
                        "path": "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename",
                        "value": certificates.join("ca.crt"),
                    },
                }],
            },
        }),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
            "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"endpoints": [{"ip": {"address": "127.0.0.1", "port": upstream}}]},
        }),
    ]
}

/// `gateway.yaml` and `envoy-proxy.yaml` of the example. The Service is a Backend, and the key server listens where
/// the test has it.
pub fn gateway(keys: Option<&KeyServer>) -> Vec<Value> {
    let mut documents = example("envoy-proxy.yaml");
    documents.extend(example("gateway.yaml"));
    for document in &mut documents {
        match document["kind"].as_str() {
            Some("HTTPRoute") => {
                document["spec"]["rules"][0]["backendRefs"] = backend();
            }
            Some("EnvoyProxy") => {
                // Two workers, also on a larger machine.
                document["spec"]["concurrency"] = json!(2);
                // Without a version, Envoy Gateway would ask the internet for the newest.
                document["spec"]["provider"] =
                    json!({"type": "Host", "host": {"envoyVersion": ENVOY}});
                if let Some(keys) = keys {
                    plain_keys(document, keys.upstream().port());
                }
            }
            _ => {}
        }
    }
    documents
}

/// The backend of every route.
pub fn backend() -> Value {
    json!([{"group": "gateway.envoyproxy.io", "kind": "Backend", "name": "shop"}])
}

/// Points the cluster of the key server to a port of loopback that speaks no TLS.
fn plain_keys(proxy: &mut Value, port: u16) {
    let patches = proxy["spec"]["bootstrap"]["jsonPatches"].as_array_mut();
    let cluster = patches
        .and_then(|patches| {
            patches
                .iter_mut()
                .find(|patch| patch["path"] == "/static_resources/clusters/-")
        })
        .expect("the example has the cluster");
    cluster["value"]["transport_socket"].take();
    let cluster = cluster["value"].as_object_mut().expect("a cluster");
    cluster.remove("transport_socket");
    let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    endpoint["address"]["socket_address"]["port_value"] = json!(port);
}

/// A route of the gateway for a host and a path, below which it matches.
pub fn route(name: &str, host: Option<&str>, prefix: &str) -> Value {
    let mut route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
                "backendRefs": backend(),
            }],
        },
    });
    if let Some(host) = host {
        route["spec"]["hostnames"] = json!([host]);
    }
    route
}

/// An EnvoyExtensionPolicy with the filter.
pub fn policy(name: &str, target: (&str, &str), code: &Value, config: &Value) -> Value {
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "targetRefs": [
                {"group": "gateway.networking.k8s.io", "kind": target.0, "name": target.1},
            ],
            "wasm": [{"name": "edge_claims", "failOpen": false, "code": code, "config": config}],
        },
    })
}

/// The gateway's policy, with that module and config.
pub fn gateway_policy(code: &Value, config: &Value) -> Value {
    policy("edge-claims", ("Gateway", "edge"), code, config)
}

/// A plugin config that trusts this key. `/public` is public, everything else needs a token.
pub fn config(key: &Key) -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com",
            "audiences": ["mesh.example.com"],
            "algorithms": [key.algorithm()],
            "keys": {"inline": {"keys": [key.jwk()]}},
            "max_lifetime": "15m",
        }]},
        "rbac": {"routes": [
            {"name": "public", "path": "/public", "allow": "public"},
            {"name": "rest", "path": "/{*rest}", "allow": "authenticated"},
        ]},
        "log": {"access_fields": ["correlation_id", "verdict", "path"]},
    })
}

/// The same with changes laid over its top level.
pub fn config_with(key: &Key, changes: &Value) -> Value {
    let mut config = config(key);
    for (name, value) in changes.as_object().expect("changes are an object") {
        config[name] = value.clone();
    }
    config
}

/// A config whose only route is public, under this name.
pub fn public_config(key: &Key, route: &str) -> Value {
    config_with(
        key,
        &json!({"rbac": {"routes": [{"name": route, "path": "/{*rest}", "allow": "public"}]}}),
    )
}
