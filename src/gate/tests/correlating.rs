//! The correlation ID.

use serde_json::{Value, json};

use super::{Bench, Fields, field, get, token};
use crate::record::AccessField;

const OTHER: &[(&str, &str)] = &[("x-request-cid", "second")];

fn ids(policy: &mut Value) {
    policy["correlation"] = json!({"accept": ["x-correlation-id", "x-request-cid"]});
}

fn request(cid: Option<Value>, headers: &[(&str, &str)]) -> Fields {
    let token = token(&cid.map_or_else(|| json!({}), |cid| json!({"cid": cid})));
    let mut all = vec![("x-edge-claims", token.as_str())];
    all.extend(headers);
    get("/me", &all)
}

#[test]
fn the_signed_id_wins_then_an_accepted_header_then_a_new_id() {
    let mut bench = Bench::with(ids);
    let first = ("x-correlation-id", "first");
    let second = OTHER[0];
    let bad = ("x-correlation-id", "not an id");
    for (request, id, source) in [
        (
            request(Some(json!("signed")), &[first, second]),
            Some("signed"),
            "signed",
        ),
        (
            request(Some(json!("signed")), &[]),
            Some("signed"),
            "signed",
        ),
        (
            request(Some(json!("signed")), &[bad]),
            Some("signed"),
            "signed",
        ),
        (request(None, &[first, second]), Some("first"), "header"),
        (request(None, &[second]), Some("second"), "header"),
        (request(None, &[bad, second]), Some("second"), "header"),
        (request(None, &[bad]), None, "generated"),
        (request(None, &[]), None, "generated"),
        // A malformed signed ID is ignored.
        (
            request(Some(json!("a b")), &[first]),
            Some("first"),
            "header",
        ),
        (request(Some(json!(7)), &[first]), Some("first"), "header"),
        (
            request(Some(json!("x".repeat(129))), &[]),
            None,
            "generated",
        ),
    ] {
        let decision = bench.decide(&request);
        assert_eq!(
            field(&decision, AccessField::CorrelationSource).as_deref(),
            Some(source),
            "{request:?}"
        );
        let seen = bench.forwarded(&request);
        let header = &seen["x-correlation-id"];
        assert_eq!(header.len(), 1, "{request:?}");
        match id {
            Some(id) => assert_eq!(header[0], id, "{request:?}"),
            // UUIDv7 (RFC 9562 §5.7)
            None => assert!(
                header[0].len() == 36 && header[0].as_bytes()[14] == b'7',
                "{header:?}"
            ),
        }
        let (name, value) = decision.response_header.unwrap();
        assert_eq!((&*name, &*value), ("x-correlation-id", header[0].as_str()));
    }
    let counters = bench.gate.counters().take();
    assert!(counters.correlation_overwritten > 0 && counters.correlation_malformed > 0);
}

#[test]
fn a_rejected_token_provides_no_signed_id() {
    let mut bench = Bench::with(ids);
    let forged = super::forged(&token(&json!({"cid": "signed"})));
    for path in ["/me", "/public/x"] {
        let decision = bench.decide(&get(
            path,
            &[("x-edge-claims", &forged), ("x-correlation-id", "mine")],
        ));
        assert_eq!(
            field(&decision, AccessField::CorrelationSource).as_deref(),
            Some("header")
        );
    }
}

#[test]
fn repeated_correlation_headers_are_replaced_by_one() {
    let mut bench = Bench::with(ids);
    let twice = [("x-correlation-id", "a"), ("x-correlation-id", "b")];
    for cid in [None, Some(json!("signed"))] {
        let seen = bench.forwarded(&request(cid, &twice));
        assert_eq!(seen["x-correlation-id"].len(), 1, "{seen:?}");
    }
}

#[test]
fn a_repeated_header_is_skipped_for_the_next_accepted_one() {
    let mut bench = Bench::with(ids);
    let sent = [
        ("x-correlation-id", "a"),
        ("x-correlation-id", "b"),
        ("x-request-cid", "c"),
    ];
    let seen = bench.forwarded(&request(None, &sent));
    assert_eq!(seen["x-correlation-id"], ["c"]);
}

#[test]
fn other_accepted_headers_are_forwarded_only_with_a_valid_id() {
    let mut bench = Bench::with(ids);
    let own = ("x-correlation-id", "own");
    let other = |value| ("x-request-cid", value);
    for (sent, left, malformed) in [
        (vec![own, other("good")], &["good"][..], 0),
        (vec![own, other("not good")], &[], 1),
        (vec![own, other("a"), other("a")], &[], 1),
        // A malformed second instance does not make the first one valid.
        (vec![own, other("a"), other("not good")], &[], 1),
        (vec![own], &[], 0),
    ] {
        bench.gate.counters().take();
        let seen = bench.forwarded(&request(None, &sent));
        assert_eq!(seen["x-correlation-id"], ["own"], "{sent:?}");
        let passed = seen.get("x-request-cid").map_or(&[][..], Vec::as_slice);
        assert_eq!(passed, left, "{sent:?}");
        let counted = bench.gate.counters().take().correlation_malformed;
        assert_eq!(counted, malformed, "{sent:?}");
    }
    // Repeated headers and aliases are ignored.
    for sent in [
        &[other("a"), other("b")][..],
        &[("x_request_cid", "a")],
        &[("x_request-cid", "a"), ("X-Request-Cid", "a")],
    ] {
        let decision = bench.decide(&request(None, sent));
        let source = field(&decision, AccessField::CorrelationSource);
        assert_eq!(source.as_deref(), Some("generated"), "{sent:?}");
    }
}

#[test]
fn no_decision_depends_on_the_correlation_id() {
    let mut bench = Bench::with(ids);
    let long = "x".repeat(10_000);
    for id in ["a", "", "a b", "\u{1b}[31m", "a\"b", "%0a", long.as_str()] {
        for (path, expected) in [
            ("/me", "deny/claims_missing/me"),
            ("/public/x", "allow/public"),
        ] {
            let request = get(path, &[("x-correlation-id", id)]);
            assert_eq!(bench.verdict(&request), expected, "{id:?}");
        }
    }
}
