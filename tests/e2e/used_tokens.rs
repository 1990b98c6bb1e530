//! Tokens that let one request pass, where something else changes: the config, or what a route asks
//! for. And what is counted and logged where the filter itself can't decide.

use std::thread;
use std::time::Duration;

use edge_claims_harness::tls::Authority;
use edge_claims_harness::{Reload, tokens};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, count_validated_peers, issuer, policy, until};

fn once(policy: &mut Value) {
    policy["claims"]["issuers"][0]["one_use"] = json!({"claim": "jti", "entries": 1000});
}

#[test]
fn a_push_that_raises_the_leeway_does_not_let_a_used_token_pass_again() {
    let leeway = |leeway: &'static str| {
        move |policy: &mut Value| {
            once(policy);
            policy["claims"]["issuers"][0]["leeway"] = json!(leeway);
        }
    };
    let mut world = World::with(leeway("0s"), |setup| setup);
    let exp = tokens::now() + 3;
    let used: Vec<String> = (0..20)
        .map(|number| world.token(&json!({"jti": format!("used-{number}"), "exp": exp})))
        .collect();
    for token in &used {
        world.allowed(world.envoy.get("/me").header(CLAIMS, token));
        let again = world.envoy.get("/me").header(CLAIMS, token);
        world.denied(again, 401, "replayed");
    }
    while tokens::now() <= exp + 1 {
        thread::sleep(Duration::from_millis(100));
    }
    // Traffic that makes use of the places of what has expired.
    for number in 0..60 {
        let token = world.token(&json!({"jti": format!("other-{number}")}));
        world.allowed(world.envoy.get("/me").header(CLAIMS, token));
    }
    let mut pushed = policy(&[issuer(ISSUER, &[&world.key])]);
    leeway("5m")(&mut pushed);
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&pushed));
    assert_eq!(result, Reload::Accepted);
    // The new config is in force: it takes a token that expired as long ago.
    let expired = world.token(&json!({"jti": "unused", "exp": exp}));
    until("the new leeway", || {
        world
            .envoy
            .get("/me")
            .header(CLAIMS, &expired)
            .send()
            .status
            == 200
    });
    let _ = world.upstream.take();
    let passed = used
        .iter()
        .filter(|token| world.envoy.get("/me").header(CLAIMS, token).send().status == 200)
        .count();
    assert_eq!(passed, 0, "of {} used tokens", used.len());
    assert_eq!(world.upstream.take(), []);
}

#[test]
fn a_used_token_is_dropped_where_the_peer_suffices() {
    const GATEWAY: &str = "spiffe://cluster.local/ns/edge/sa/gateway";
    let authority = Authority::new();
    let gateway = authority.client(GATEWAY);
    let world = World::with(
        |policy| {
            once(policy);
            count_validated_peers(policy);
            policy["rbac"]["routes"] = json!([
                {"name": "me", "path": "/me", "allow": "authenticated"},
                {"name": "peer", "path": "/peer", "allow": {"peers": [GATEWAY]}},
                {"name": "either", "path": "/either",
                    "allow": [{"any_role": ["admin"]}, {"peers": [GATEWAY]}]},
                {"name": "both", "path": "/both",
                    "allow": {"peers": [GATEWAY], "any_role": ["reader"]}},
            ]);
        },
        |setup| setup.mtls(&authority, &gateway),
    );
    let token = world.token(&json!({"jti": "one", "roles": ["reader"]}));
    let with = |path: &str| world.envoy.get(path).header(CLAIMS, &token);
    world.allowed(with("/me"));
    world.denied(with("/me"), 401, "replayed");
    for path in ["/peer", "/either"] {
        let seen = world.allowed(with(path));
        assert_eq!(seen.header("x-auth-subject"), None, "{path}");
        assert_eq!(seen.header(CLAIMS), None, "{path}");
    }
    // Where claims are asked for, too, it is worth as little as elsewhere.
    world.denied(with("/both"), 401, "replayed");
}

#[test]
fn a_full_window_is_counted_and_has_an_id() {
    let world = World::with(
        |policy| {
            once(policy);
            policy["claims"]["issuers"][0]["one_use"]["entries"] = json!(100);
        },
        |setup| setup,
    );
    let count = |decision: &str, reason: &str| {
        world.envoy.stats().of(&format!(
            "wasmcustom.decision=.={decision};.;reason=.={reason};.;edge_claims_requests_total"
        ))
    };
    let (mut passed, mut failed) = (0, 0);
    for number in 0..220 {
        let token = world.token(&json!({"jti": format!("token-{number}")}));
        let response = world.envoy.get("/me").header(CLAIMS, token).send();
        if response.status == 200 {
            passed += 1;
            continue;
        }
        failed += 1;
        assert_eq!(response.status, 503, "{response:?}");
        assert_eq!(response.json()["code"], "internal", "{response:?}");
        assert!(response.header("retry-after").is_some(), "{response:?}");
        let id = response.header("x-correlation-id").unwrap();
        assert_eq!(response.json()["correlation_id"], id.as_str());
        let record = world
            .envoy
            .wait_for_access(|record| record["correlation_id"] == id.as_str());
        let verdict = record["verdict"].as_str().unwrap_or_default();
        assert!(verdict.starts_with("deny/internal/"), "{record}");
    }
    assert!(failed > 0, "the window did not fill");
    until("every request to be counted", || {
        count("deny", "internal") == failed && count("allow", "none") == passed
    });
}
