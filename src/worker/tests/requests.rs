//! Requests: the reply, the forwarded headers and the access log fields.

use serde_json::{Value, json};

use super::edge::{Edge, policy};
use super::fake_host::{Call, FakeHost};
use super::logs;
use super::support::{CLAIMS, ORDERS, Rig, get, values};
use crate::worker::host::PeerCertificate;

#[test]
fn an_allowed_request_gets_identity_and_one_correlation_id() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    let token = edge.token(&json!({"cid": "signed-1"}));
    let sent = [
        (CLAIMS, token.as_bytes()),
        ("x-auth-subject", b"root"),
        ("x-auth-subject", b"admin"),
        ("x_auth_roles", b"admin"),
        ("x-correlation-id", b"client"),
    ];
    // The second time the token comes from the cache.
    for _ in 0..2 {
        let stream = rig.send(&get(ORDERS, &sent), false);
        let seen = rig.outcome(stream).passed();
        assert_eq!(values(&seen, "x-auth-subject"), ["alice"]);
        assert_eq!(values(&seen, "x-auth-roles"), ["reader"]);
        assert_eq!(values(&seen, "x-correlation-id"), ["signed-1"]);
        for gone in [CLAIMS, "x_auth_roles"] {
            assert_eq!(values(&seen, gone), [""; 0]);
        }
        assert_eq!(rig.response_id(stream).as_deref(), Some("signed-1"));
        assert_eq!(rig.logged_id(stream).as_deref(), Some("signed-1"));
        assert_eq!(rig.verdict(stream).as_deref(), Some("allow/orders"));
    }
}

#[test]
fn a_denied_request_is_answered_and_its_headers_show_the_correlation_id() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    let sent = [("x-correlation-id", b"not an id".as_slice())];
    let stream = rig.send(&get(ORDERS, &sent), false);
    let reply = rig.outcome(stream).denied(401, "claims_missing");
    assert_eq!(reply.details, "edge_claims_denied{claims_missing}{orders}");
    let id = rig.logged_id(stream).unwrap();
    assert_eq!(reply.header("x-correlation-id"), Some(id.as_str()));
    assert_eq!(rig.response_id(stream), Some(id.clone()));
    let request = rig.host.state().streams[&stream].request.clone().unwrap();
    assert_eq!(values(&request, "x-correlation-id"), [id]);
    assert_eq!(
        rig.verdict(stream).as_deref(),
        Some("deny/claims_missing/orders")
    );
}

#[test]
fn a_worker_without_a_config_denies_every_request() {
    let mut rig = Rig::new(FakeHost::new());
    rig.tick();
    let stream = rig.send(&get("/public/x", &[]), false);
    let reply = rig.outcome(stream).denied(503, "internal");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(rig.verdict(stream).as_deref(), Some("deny/internal/-"));
    // Without a config there is no correlation header, but the body has the ID.
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["correlation_id"], rig.logged_id(stream).unwrap());
}

#[test]
fn a_failure_is_counted_as_a_denial_and_has_a_correlation_id() {
    let edge = Edge::new(1);
    let token = edge.good_token();
    let headers = get(
        ORDERS,
        &[(CLAIMS, token.as_bytes()), ("x-auth-subject", b"root")],
    );
    for call in [Call::Headers, Call::Edit, Call::Clock] {
        let mut config = policy(&edge);
        config["log"] = json!({"allow": 1.0});
        let mut rig = Rig::with(&config);
        rig.host.break_call(call);
        let stream = rig.send(&headers, false);
        let reply = rig.outcome(stream).denied(503, "internal");
        let id = rig.logged_id(stream).unwrap();
        assert_eq!(
            reply.header("x-correlation-id"),
            Some(id.as_str()),
            "{call:?}"
        );
        assert!(reply.header("retry-after").is_some(), "{call:?}");
        assert_eq!(
            rig.verdict(stream).as_deref(),
            Some("deny/internal/-"),
            "{call:?}"
        );
        assert_eq!(logs::with("\"outcome\":\"allow\""), [""; 0], "{call:?}");
        rig.host.repair();
        rig.flush();
        assert_eq!(rig.requests("deny", "internal"), 1, "{call:?}");
        assert_eq!(rig.requests("allow", "none"), 0, "{call:?}");
        let route = "route=.=orders;.;decision=.=allow;.;edge_claims_route_requests_total";
        assert_eq!(rig.host.metric(route).unwrap_or_default(), 0, "{call:?}");
    }
}

#[test]
fn a_request_that_cannot_be_answered_stays_paused() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    rig.host.break_call(Call::Reply);
    rig.request(&get(ORDERS, &[])).held();
    assert_eq!(logs::with("proxy_send_local_response").len(), 1);
}

#[test]
fn a_request_without_log_fields_passes() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    rig.host.break_call(Call::LogField);
    rig.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn a_peer_counts_only_if_its_certificate_was_validated() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    let ids = |id: &str| PeerCertificate::Validated(vec![id.to_owned()]);
    let inside = get("/inside", &[]);
    let stream = rig.send_from(ids("spiffe://mesh/ns/a/sa/x"), &inside, false);
    rig.outcome(stream).passed();
    for peer in [
        PeerCertificate::Absent,
        ids("spiffe://mesh/ns/b/sa/x"),
        PeerCertificate::Validated(Vec::new()),
    ] {
        let stream = rig.send_from(peer, &inside, false);
        rig.outcome(stream).denied(403, "peer");
    }
    assert_eq!(logs::with("peer_validation"), [""; 0]);
    for _ in 0..3 {
        let stream = rig.send_from(PeerCertificate::Unvalidated, &inside, false);
        rig.outcome(stream).denied(403, "peer");
    }
    assert_eq!(logs::with("peer_validation").len(), 1, "logged once");
}

#[test]
fn no_token_is_logged() {
    let edge = Edge::new(1);
    let mut config = policy(&edge);
    config["log"] = json!({"allow": 1.0, "deny": 1.0});
    let mut rig = Rig::with(&config);
    let token = edge.token(&json!({"secret": "hush"}));
    for path in ["/public/x", "/admin", "/tenants/a/orders?t=1", "/%00"] {
        rig.get(path, &token);
    }
    assert_eq!(logs::with("\"outcome\"").len(), 4);
    for part in token.split('.').chain(["hush"]) {
        assert_eq!(logs::with(part), [""; 0]);
    }
}

#[test]
fn missing_randomness_is_logged_once_and_ids_still_differ() {
    let host = FakeHost::new();
    host.state().random = false;
    let mut rig = Rig::on(host, &policy(&Edge::new(1)));
    let mut ids: Vec<String> = (0..3)
        .map(|_| {
            let stream = rig.send(&get("/public/x", &[]), false);
            rig.outcome(stream).passed();
            rig.logged_id(stream).unwrap()
        })
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(logs::with("no random bytes").len(), 1);
    // Random bytes are used as soon as the host has them.
    rig.host.state().random = true;
    let stream = rig.send(&get("/public/x", &[]), false);
    let id = rig.logged_id(stream).unwrap();
    assert_ne!(
        id.rsplit_once('-').unwrap().0,
        ids[2].rsplit_once('-').unwrap().0
    );
}
