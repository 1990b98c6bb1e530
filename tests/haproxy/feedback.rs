//! The HAProxy in front counts the filter's denials and throttles who causes them.

use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Request, Response};
use serde_json::json;

use crate::chain::*;

const PATH: &str = "/tenants/a/orders/7";

/// Three denials of an address, or of a subject, and then 429.
fn start() -> Chain {
    let front: &[(&str, &str)] = &[("DENIALS_PER_MINUTE", "3")];
    Chain::with(&Options {
        front,
        ..Options::default()
    })
}

fn from(request: Request, address: &str, token: &str) -> Response {
    let response = with_token(request.header("x-client-address", address), token).send();
    for name in ["x-verdict", "x-verdict-subject"] {
        assert_eq!(response.header(name), None, "{response:?}");
    }
    response
}

fn forged(subject: &str) -> String {
    let key = Key::secret("HS256", "edge-1", b"another-secret-0123456789abcdef0123");
    key.sign(&tokens::claims(
        &json!({"sub": subject, "roles": ["reader"], "tenant_id": "a"}),
    ))
}

#[test]
fn an_address_that_is_denied_too_often_is_throttled_and_no_other() {
    let chain = start();
    let edge = chain.edge();
    let good = token("alice", &["reader"]);
    for _ in 0..3 {
        assert_eq!(
            from(edge.get(PATH), "203.0.113.1", &forged("mallory")).status,
            401
        );
    }
    for token in [&forged("mallory"), &good] {
        let request = edge.get(PATH).header("x-correlation-id", "throttled-1");
        let response = from(request, "203.0.113.1", token);
        assert_eq!(
            (response.status, &*code(&response)),
            (429, "denials_address")
        );
        assert_eq!(response.header("retry-after").as_deref(), Some("60"));
        assert_eq!(
            response.header("x-correlation-id").as_deref(),
            Some("throttled-1")
        );
        assert_eq!(response.json()["correlation_id"], "throttled-1");
    }
    let front = chain.front.record("throttled-1");
    assert_eq!(
        (&front["outcome"], &front["reason"]),
        (&json!("denied"), &json!("denials_address"))
    );
    assert_eq!(chain.count(), 0);
    assert_eq!(from(edge.get(PATH), "203.0.113.2", &good).status, 200);
    // Also by IPv6.
    for expected in [401, 401, 401, 429] {
        assert_eq!(
            from(edge.get(PATH), "2001:db8::1", &forged("mallory")).status,
            expected
        );
    }
    assert_eq!(from(edge.get(PATH), "2001:db8::2", &good).status, 200);
}

#[test]
fn a_subject_that_is_denied_too_often_is_throttled_wherever_it_comes_from() {
    let chain = start();
    let edge = chain.edge();
    // Alice may not write. Each request comes from another address, with another token.
    for number in 0..3 {
        let token =
            token_with(&json!({"sub": "alice", "roles": ["reader"], "jti": format!("{number}")}));
        let address = format!("203.0.113.{number}");
        assert_eq!(
            from(edge.request("POST", PATH), &address, &token).status,
            403
        );
    }
    let response = from(edge.get(PATH), "203.0.113.9", &token("alice", &["reader"]));
    assert_eq!(
        (response.status, &*code(&response)),
        (429, "denials_subject")
    );
    assert_eq!(chain.count(), 0);
    assert_eq!(
        from(edge.get(PATH), "203.0.113.9", &token("bob", &["reader"])).status,
        200
    );
}

#[test]
fn nobody_throttles_somebody_else() {
    let chain = start();
    let edge = chain.edge();
    let alice = token("alice", &["reader"]);
    assert_eq!(
        from(
            edge.get(PATH).header("x-correlation-id", "first"),
            "203.0.113.99",
            &alice
        )
        .status,
        200
    );
    let hash = chain.front.record("first")["subject"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(hash.len(), 32, "{hash}");
    for number in 0..6 {
        let address = format!("203.0.113.{number}");
        // With a forged token of the subject.
        assert_eq!(from(edge.get(PATH), &address, &forged("alice")).status, 401);
        // With the headers that tell of denials: in a request, and from an upstream.
        let request = edge.get(PATH).header("x-verdict-subject", &hash);
        let request = request.header("x-answer", &hash);
        assert_eq!(
            from(
                request,
                &format!("198.51.100.{number}"),
                &token("bob", &["reader"])
            )
            .status,
            200
        );
    }
    assert_eq!(from(edge.get(PATH), "203.0.113.99", &alice).status, 200);
    assert_eq!(
        from(edge.get(PATH), "198.51.100.1", &token("bob", &["reader"])).status,
        200
    );
}

#[test]
fn without_an_address_from_the_edge_no_client_throttles_the_edge() {
    let front: &[(&str, &str)] = &[
        ("EDGE_NAMES_CLIENT", "no"),
        ("DENIALS_PER_MINUTE", "3"),
        ("REQUESTS_PER_10S", "3"),
    ];
    let chain = Chain::with(&Options {
        front,
        ..Options::default()
    });
    let edge = chain.edge();
    for _ in 0..6 {
        // The client's own header, which such an edge does not remove.
        let response = from(edge.get(PATH), "203.0.113.1", &forged("mallory"));
        assert_eq!(response.status, 401);
    }
    let request = edge.get(PATH).header("x-correlation-id", "last");
    assert_eq!(
        from(request, "203.0.113.1", &token("alice", &["reader"])).status,
        200
    );
    assert_eq!(chain.front.record("last")["client"], "127.0.0.1");
    // The limit by subject stays.
    for expected in [403, 403, 403, 429] {
        let request = edge.request("POST", PATH);
        assert_eq!(
            from(request, "203.0.113.1", &token("alice", &["reader"])).status,
            expected
        );
    }
}

#[test]
fn more_requests_than_the_limit_are_answered_by_haproxy() {
    let front: &[(&str, &str)] = &[("REQUESTS_PER_10S", "5")];
    let chain = Chain::with(&Options {
        front,
        ..Options::default()
    });
    let edge = chain.edge();
    let responses: Vec<Response> = (0..40)
        .map(|_| from(edge.get("/public/x"), "203.0.113.1", ""))
        .collect();
    let refused: Vec<&Response> = responses
        .iter()
        .filter(|response| response.status == 429)
        .collect();
    assert!(!refused.is_empty(), "{responses:?}");
    for response in &refused {
        assert_eq!(code(response), "requests");
        assert_eq!(response.header("retry-after").as_deref(), Some("10"));
    }
    assert_eq!(chain.count(), responses.len() - refused.len());
    assert_eq!(from(edge.get("/public/x"), "203.0.113.2", "").status, 200);
}
