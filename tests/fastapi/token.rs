//! The token, verified a second time in the service.

use edge_claims_harness::tokens::Key;
use edge_claims_harness::{Bad, KeyServer, Request};
use serde_json::{Value, json};

use crate::chain::{Chain, bobs_token};
use crate::service::{SECRET, Service};

/// A service that verifies, in a chain; and the key server that only it asks.
fn verifying(pause: &str) -> (Chain, KeyServer) {
    let edge = Key::generate("ES256", "edge-1");
    let keys = KeyServer::start(&[&edge]);
    let url = format!("http://127.0.0.1:{}/jwks.json", keys.upstream().port());
    let service = Service::with_secret(&[
        ("ORDERS_JWKS_URL", &url),
        ("ORDERS_JWKS_PAUSE_SECONDS", pause),
    ]);
    (Chain::around(service, edge), keys)
}

/// Somebody between the filter and the service, who knows the secret.
fn insider(chain: &Chain, subject: &str, token: &str) -> Request {
    chain
        .service
        .client()
        .get("/me")
        .header("connection", "close")
        .header("x-proxy-secret", SECRET)
        .header("x-auth-subject", subject)
        .header("x-edge-claims", token)
}

fn code(request: Request) -> String {
    let response = request.send();
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    body["code"]
        .as_str()
        .map_or_else(|| response.status.to_string(), str::to_owned)
}

#[test]
fn who_can_write_headers_still_needs_the_edges_signature() {
    let (chain, _keys) = verifying("10");
    assert_eq!(chain.get("/me", &json!({})).send().status, 200);
    let own = Key::generate("ES256", "edge-1");
    let good = chain.token(&json!({}));
    for (subject, token, expected) in [
        ("bob", good.as_str(), "200"),
        ("admin", &good, "token_of_another"),
        (
            "admin",
            &bobs_token(&own, &json!({"sub": "admin"})),
            "token_invalid",
        ),
        ("bob", &chain.token(&json!({"exp": 1})), "token_expired"),
        ("bob", "", "token_invalid"),
    ] {
        assert_eq!(code(insider(&chain, subject, token)), expected, "{subject}");
    }
}

#[test]
fn keys_are_fetched_once_per_window_whatever_is_asked() {
    let (chain, keys) = verifying("10");
    // The chain's first request has fetched.
    assert_eq!(keys.fetches(), 1);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    assert_eq!(chain.get("/me", &json!({})).send().status, 200);
                }
            });
        }
    });
    for number in 0..100 {
        let invented = Key::generate("ES256", &format!("invented-{number}"));
        let token = bobs_token(&invented, &json!({}));
        assert_eq!(code(insider(&chain, "bob", &token)), "token_invalid");
    }
    assert_eq!(keys.fetches(), 1);
}

#[test]
fn a_key_server_that_fails_is_not_asked_by_every_request() {
    let edge = Key::generate("ES256", "edge-1");
    let keys = KeyServer::start(&[&edge]);
    keys.answer_badly(Bad::Error, &[&edge]);
    let url = format!("http://127.0.0.1:{}/jwks.json", keys.upstream().port());
    let service = Service::with_secret(&[
        ("ORDERS_JWKS_URL", &url),
        ("ORDERS_JWKS_PAUSE_SECONDS", "600"),
    ]);
    for _ in 0..50 {
        let response = service
            .client()
            .get("/me")
            .header("connection", "close")
            .header("x-proxy-secret", SECRET)
            .header("x-auth-subject", "bob")
            .header("x-edge-claims", bobs_token(&edge, &json!({})))
            .send();
        assert_eq!(response.status, 503, "{response:?}");
    }
    assert_eq!(keys.fetches(), 1);
}
