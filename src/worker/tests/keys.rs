//! Remote keys, fetched by one worker.

use serde_json::json;

use super::edge::{Edge, key_set, remote_policy};
use super::fake_host::{Call, FakeHost};
use super::logs;
use super::support::{CLAIMS, ORDERS, Rig, get};

#[test]
fn a_request_before_the_first_keys_waits_and_passes() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    let mut rig = Rig::on(host, &remote_policy());
    assert!(rig.calls().is_empty(), "loading a config makes no call");
    rig.tick();
    let call = rig.calls().remove(0);
    assert_eq!(call.url, ["https", "keys.example.com", "/jwks.json"]);
    assert_eq!((call.cluster.as_str(), call.timeout_ms), ("keys", 2_000));
    let token = edge.good_token();
    let waiting = rig.send_token(&token);
    rig.outcome(waiting).held();
    // Requests that do not need the key do not wait.
    rig.get("/public/x", &token).passed();
    rig.request(&get(ORDERS, &[])).denied(401, "claims_missing");
    rig.respond_with_key(&edge);
    rig.outcome(waiting).passed();
    assert_eq!(rig.worker.waited(waiting), Some(true));
    rig.end(waiting);
    assert_eq!(rig.worker.waited(waiting), None);
    rig.get(ORDERS, &token).passed();
}

#[test]
fn the_query_of_a_key_url_is_not_logged() {
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    let mut policy = remote_policy();
    policy["claims"]["issuers"][0]["keys"]["remote"]["url"] =
        json!("https://keys.example.com/jwks.json?api_key=hidden");
    let mut rig = Rig::on(host, &policy);
    rig.tick();
    assert_eq!(rig.calls()[0].url[2], "/jwks.json?api_key=hidden");
    rig.respond(Some(("500", b"")));
    let failed = logs::with("keys of https://keys.example.com/jwks.json could not be fetched");
    assert_eq!(failed.len(), 1);
    assert_eq!(logs::with("hidden"), [""; 0]);
}

#[test]
fn an_unusable_response_never_allows_a_waiting_request() {
    let edge = Edge::new(1);
    let other = key_set(&[&Edge::new(2)]);
    let huge = [b"{\"keys\": [".as_slice(), &vec![b' '; 70_000], b"]}"].concat();
    let unusable: [Option<(&str, &[u8])>; 8] = [
        None,
        Some(("", b"")),
        Some(("500", b"")),
        Some(("302", b"")),
        Some(("200", b"")),
        Some(("200", b"\xff\xfe")),
        Some(("200", b"[]")),
        Some(("200", &huge)),
    ];
    for response in unusable {
        let mut rig = Rig::fetching();
        let waiting = rig.send_token(&edge.good_token());
        rig.respond(response);
        rig.outcome(waiting).held();
        rig.elapse(30_000);
        rig.tick();
        rig.outcome(waiting).denied(503, "keys_unavailable");
        assert_eq!(rig.worker.waited(waiting), Some(false));
        rig.flush();
        let failed = rig.metric("result=.=failed;.;edge_claims_key_fetches_total");
        assert_eq!(failed, 1, "{response:?}");
    }
    let mut rig = Rig::fetching();
    let waiting = rig.send_token(&edge.good_token());
    rig.respond(Some(("200", &other)));
    rig.outcome(waiting).denied(401, "signature_invalid");
}

#[test]
fn a_fetch_without_a_response_is_abandoned() {
    let mut rig = Rig::fetching();
    let waiting = rig.send_token(&Edge::new(1).good_token());
    assert_eq!(rig.host.state().tick_period, 25);
    rig.elapse(3_499);
    rig.tick();
    rig.outcome(waiting).held();
    rig.elapse(1);
    rig.tick();
    let reply = rig.outcome(waiting).denied(503, "keys_unavailable");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(rig.host.state().tick_period, 1_000, "no request waits");
}

#[test]
fn a_fetch_from_an_unknown_cluster_is_retried() {
    let edge = Edge::new(1);
    let mut rig = Rig::on(FakeHost::new(), &remote_policy());
    rig.tick();
    assert!(rig.calls().is_empty());
    assert_eq!(logs::with("no cluster \"keys\"").len(), 1);
    rig.host.process().clusters.push("keys".to_owned());
    rig.elapse(500);
    rig.tick();
    rig.respond_with_key(&edge);
    rig.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn a_request_with_a_new_key_id_waits_for_a_fetch() {
    let (old, new) = (Edge::with_kid(1, "old"), Edge::with_kid(2, "new"));
    let mut rig = Rig::fetching();
    rig.respond_with_key(&old);
    rig.elapse(1_000);
    let waiting = rig.send_token(&new.good_token());
    rig.outcome(waiting).held();
    rig.get(ORDERS, &old.good_token()).passed();
    rig.tick();
    rig.respond(Some(("200", &key_set(&[&old, &new]))));
    rig.outcome(waiting).passed();
    rig.get(ORDERS, &old.good_token()).passed();
}

#[test]
fn a_key_id_that_a_fetch_does_not_bring_is_denied() {
    let known = Edge::with_kid(1, "known");
    let made_up = Edge::with_kid(2, "made-up").good_token();
    let mut rig = Rig::fetching();
    rig.respond_with_key(&known);
    rig.elapse(1_000);
    let waiting = rig.send_token(&made_up);
    rig.tick();
    rig.respond_with_key(&known);
    rig.outcome(waiting).denied(401, "key_unknown");
}

#[test]
fn forged_key_ids_cause_few_fetches() {
    let known = Edge::with_kid(1, "known");
    let made_up = Edge::with_kid(2, "made-up").good_token();
    let mut rig = Rig::fetching();
    rig.respond_with_key(&known);
    let mut fetches = 0;
    for _ in 0..100 {
        rig.elapse(50);
        let waiting = rig.send_token(&made_up);
        rig.tick();
        if !rig.calls().is_empty() {
            fetches += 1;
            rig.respond_with_key(&known);
        }
        // 503 if no fetch was possible: the key ID could be a new one.
        let reply = rig.outcome(waiting);
        assert!(
            matches!(reply, super::support::Outcome::Replied(_)),
            "{reply:?}"
        );
        rig.end(waiting);
    }
    assert_eq!(fetches, 3);
    rig.get(ORDERS, &known.good_token()).passed();
}

#[test]
fn a_key_server_that_fails_does_not_remove_keys() {
    let edge = Edge::new(1);
    let mut rig = Rig::fetching();
    rig.respond_with_key(&edge);
    for _ in 0..3 {
        rig.elapse(301_000);
        rig.tick();
        rig.respond(Some(("503", b"")));
        let now = rig.host.state().now_ms / 1_000;
        let token = edge.token(&json!({"iat": now, "exp": now + 60}));
        rig.get(ORDERS, &token).passed();
    }
}

#[test]
fn a_client_that_leaves_while_its_request_waits_is_forgotten() {
    let edge = Edge::new(1);
    let mut rig = Rig::fetching();
    let waiting = rig.send_token(&edge.good_token());
    rig.end(waiting);
    rig.respond_with_key(&edge);
    assert_eq!(rig.worker.waited(waiting), None);
    // A stream whose end the host has not reported yet.
    let mut rig = Rig::fetching();
    let waiting = rig.send_token(&edge.good_token());
    rig.host.state().streams.remove(&waiting);
    rig.respond_with_key(&edge);
    rig.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn a_request_that_waited_passes_only_if_its_headers_can_be_edited() {
    let edge = Edge::new(1);
    let token = edge.good_token();
    let headers = get(
        ORDERS,
        &[(CLAIMS, token.as_bytes()), ("x-correlation-id", b"c-1")],
    );
    for call in [Call::Edit, Call::Headers] {
        let mut rig = Rig::fetching();
        let waiting = rig.send(&headers, false);
        rig.outcome(waiting).held();
        rig.host.break_call(call);
        rig.respond_with_key(&edge);
        if call == Call::Edit {
            let reply = rig.outcome(waiting).denied(503, "internal");
            assert_eq!(
                reply.header("x-correlation-id"),
                Some("c-1"),
                "it keeps its ID"
            );
            assert_eq!(rig.logged_id(waiting).as_deref(), Some("c-1"));
            assert_eq!(rig.verdict(waiting).as_deref(), Some("deny/internal/-"));
        }
        assert_ne!(rig.worker.waited(waiting), Some(true), "{call:?}");
        rig.host.repair();
        rig.flush();
        assert_eq!(rig.requests("allow", "none"), 0, "{call:?}");
    }
}
