//! What policies share: VMs, and so fetched keys and used one-use tokens.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Bad, KeyServer, Request};
use serde_json::{Value, json};

use crate::lab::{Lab, wait};
use crate::manifests::{self, gateway_policy, policy};
use crate::sources::Files;

/// A config whose tokens are good once, and whose keys come from the key server.
fn config(key: &Key) -> Value {
    let mut config = manifests::config(key);
    let issuer = &mut config["claims"]["issuers"][0];
    issuer["keys"] = json!({"remote": {
        "url": "https://keys.example.com/.well-known/jwks.json", "cluster": "edge-claims-keys",
    }});
    issuer["one_use"] = json!({"claim": "jti"});
    config
}

fn with_token(request: Request, key: &Key, id: &str) -> Request {
    let token = key.sign(&tokens::claims(&json!({"jti": id})));
    request.header("x-edge-claims", token)
}

/// Waits until a request with a new token passes.
fn until_it_serves(lab: &Lab, host: &str, key: &Key) {
    let mut count = 0;
    wait("a request that passes", || {
        count += 1;
        let id = format!("{host}-{count}-{:p}", &raw const *lab);
        let status = with_token(lab.get("/orders").host(host), key, &id)
            .send()
            .status;
        (status == 200).then_some(())
    })
    .unwrap_or_else(|problem| panic!("{problem}\n{}", lab.gateway_log()));
}

#[test]
fn policies_share_neither_keys_nor_used_tokens_and_the_routes_of_one_policy_do() {
    let key = Key::generate("ES256", "edge-1");
    let (files, keys) = (Files::start(), KeyServer::start(&[&key]));
    let mut resources = manifests::gateway(Some(&keys));
    resources.push(gateway_policy(&files.code(), &config(&key)));
    let lab = Lab::start(&resources);
    until_it_serves(&lab, "shop.example.com", &key);
    assert_eq!(keys.fetches(), 1);

    // Two routes, one policy: one use.
    let first = lab.get("/orders");
    let second = lab.get("/orders").host("partners.example.com");
    assert_eq!(with_token(first.clone(), &key, "a").send().status, 200);
    assert_eq!(with_token(second.clone(), &key, "a").send().status, 401);
    assert_eq!(
        lab.access("verdict", "deny/replayed/rest")["host"],
        "partners.example.com"
    );

    // Two policies: each accepts the token once, and fetches the keys itself.
    resources.push(policy(
        "partners",
        ("HTTPRoute", "partners"),
        &files.code(),
        &config(&key),
    ));
    lab.change(&resources);
    wait("the second policy", || {
        (lab.filters().len() == 2).then_some(())
    })
    .unwrap_or_else(|problem| panic!("{problem}\n{}", lab.gateway_log()));
    until_it_serves(&lab, "partners.example.com", &key);
    wait("a second fetch", || (keys.fetches() == 2).then_some(()))
        .unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(with_token(first.clone(), &key, "b").send().status, 200);
    assert_eq!(with_token(second.clone(), &key, "b").send().status, 200);
    assert_eq!(with_token(first, &key, "b").send().status, 401);
    assert_eq!(with_token(second, &key, "b").send().status, 401);

    // In standalone mode, Envoy Gateway leaves out the kind before the first slash.
    for name in ["edge-claims", "partners"] {
        let is_it = |filter: &Value| {
            let id = filter["typed_config"]["config"]["vm_config"]["vm_id"].as_str();
            id.is_some_and(|id| id.ends_with(&format!("/shop/{name}/wasm/0")))
        };
        assert!(
            lab.filters().iter().any(is_it),
            "{name}: {:#?}",
            lab.filters()
        );
    }
}

#[test]
fn keys_and_used_tokens_survive_an_update_of_the_policy() {
    let key = Key::generate("ES256", "edge-1");
    let (files, keys) = (Files::start(), KeyServer::start(&[&key]));
    let with = |config: &Value| {
        let mut resources = manifests::gateway(Some(&keys));
        resources.push(gateway_policy(&files.code(), config));
        resources
    };
    let lab = Lab::start(&with(&config(&key)));
    until_it_serves(&lab, "shop.example.com", &key);
    assert_eq!(with_token(lab.get("/orders"), &key, "a").send().status, 200);

    keys.answer_badly(Bad::Error, &[]);
    let mut changed = config(&key);
    changed["rbac"]["routes"][0]["path"] = json!("/open");
    lab.change(&with(&changed));
    lab.until(200, &lab.get("/open"));
    until_it_serves(&lab, "shop.example.com", &key);
    assert_eq!(with_token(lab.get("/orders"), &key, "a").send().status, 401);
    lab.access("verdict", "deny/replayed/rest");
}

/// The key server's cluster in other ways than the example's, which restart no proxy.
#[test]
fn the_cluster_of_a_route_or_of_a_patch_reaches_the_key_server_too() {
    let key = Key::generate("ES256", "edge-1");
    let (files, keys) = (Files::start(), KeyServer::start(&[&key]));
    let port = keys.upstream().port();

    let mut of_a_route = manifests::route("keys", Some("keys.invalid"), "/");
    of_a_route["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("keys");
    let backend = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
        "metadata": {"name": "keys", "namespace": "shop"},
        "spec": {"endpoints": [{"fqdn": {"hostname": "keys.example.com", "port": port}}]},
    });
    let patch = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
        "metadata": {"name": "keys", "namespace": "shop"},
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"},
            "type": "JSONPatch",
            "jsonPatches": [{
                "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
                "name": "patched-keys",
                "operation": {"op": "add", "path": "", "value": {
                    "name": "patched-keys", "type": "STRICT_DNS", "connect_timeout": "2s",
                    "load_assignment": {"cluster_name": "patched-keys", "endpoints": [{"lb_endpoints": [
                        {"endpoint": {"address": {"socket_address":
                            {"address": "keys.example.com", "port_value": port}}}},
                    ]}]},
                }},
            }],
        },
    });
    for (cluster, more) in [
        ("httproute/shop/keys/rule/0", vec![of_a_route, backend]),
        ("patched-keys", vec![patch]),
    ] {
        let before = keys.fetches();
        let mut config = config(&key);
        config["claims"]["issuers"][0]["keys"]["remote"]["cluster"] = json!(cluster);
        let mut resources = manifests::gateway(None);
        resources.push(gateway_policy(&files.code(), &config));
        resources.extend(more);
        let lab = Lab::start(&resources);
        until_it_serves(&lab, "shop.example.com", &key);
        assert!(keys.fetches() > before, "{cluster}");
    }
}
