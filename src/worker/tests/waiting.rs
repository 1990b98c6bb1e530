//! Requests that wait for keys: log fields and limits.

use serde_json::{Value, json};

use super::edge::{Edge, policy, remote_policy};
use super::fake_host::Call;
use super::logs;
use super::support::{CLAIMS, ORDERS, Rig, get, post, values};

const MISSES: &str = "result=.=miss;.;edge_claims_cache_total";

const KIB: u64 = 1_024;

#[test]
fn a_request_has_its_id_and_verdict_before_it_waits_and_keeps_the_id() {
    let edge = Edge::new(1);
    let token = edge.good_token();
    let claims = (CLAIMS, token.as_bytes());
    for accepted in [None, Some("edge-17")] {
        let mut headers = get(ORDERS, &[claims]);
        headers.extend(accepted.map(|id| ("x-correlation-id", id.as_bytes())));
        for passes in [true, false] {
            let mut rig = Rig::fetching();
            let stream = rig.send(&headers, false);
            rig.outcome(stream).held();
            let id = rig.logged_id(stream).unwrap();
            assert_eq!(accepted.unwrap_or(&id), id);
            let waiting_verdict = rig.verdict(stream);
            assert_eq!(
                waiting_verdict.as_deref(),
                Some("deny/keys_unavailable/orders")
            );
            let request = rig.host.state().streams[&stream].request.clone().unwrap();
            assert_eq!(values(&request, "x-correlation-id"), [id.as_str()]);
            assert_eq!(rig.response_id(stream), None);
            if passes {
                rig.respond_with_key(&edge);
                let seen = rig.outcome(stream).passed();
                assert_eq!(values(&seen, "x-correlation-id"), [id.as_str()]);
                assert_eq!(values(&seen, "x-auth-subject"), ["alice"]);
                assert_eq!(rig.verdict(stream).as_deref(), Some("allow/orders"));
            } else {
                rig.respond_with_key(&Edge::new(2));
                let reply = rig.outcome(stream).denied(401, "signature_invalid");
                assert_eq!(reply.header("x-correlation-id"), Some(id.as_str()));
                assert_eq!(
                    rig.verdict(stream).as_deref(),
                    Some("deny/signature_invalid/orders")
                );
            }
            assert_eq!(rig.logged_id(stream), Some(id.clone()));
            assert_eq!(rig.response_id(stream), Some(id));
        }
    }
}

#[test]
fn a_signed_id_replaces_the_one_that_a_request_waited_with() {
    let edge = Edge::new(1);
    let token = edge.token(&json!({"cid": "signed-1"}));
    for (sent, overwritten) in [(None, 0), (Some("edge-17"), 1)] {
        let mut headers = get(ORDERS, &[(CLAIMS, token.as_bytes())]);
        headers.extend(sent.map(|id: &str| ("x-correlation-id", id.as_bytes())));
        let mut rig = Rig::fetching();
        let stream = rig.send(&headers, false);
        let before = rig.logged_id(stream).unwrap();
        assert_eq!(sent.unwrap_or(&before), before);
        rig.respond_with_key(&edge);
        let seen = rig.outcome(stream).passed();
        assert_eq!(values(&seen, "x-correlation-id"), ["signed-1"]);
        assert_eq!(rig.logged_id(stream).as_deref(), Some("signed-1"));
        assert_eq!(rig.response_id(stream).as_deref(), Some("signed-1"));
        rig.flush();
        let metric = rig.metric("edge_claims_correlation_overwritten_total");
        assert_eq!(metric, overwritten, "{sent:?}");
    }
}

#[test]
fn a_malformed_id_is_counted_once_for_a_request_that_waits() {
    let edge = Edge::new(1);
    let token = edge.good_token();
    let headers = [
        (CLAIMS, token.as_bytes()),
        ("x-correlation-id", b"not an id"),
    ];
    let mut rig = Rig::fetching();
    let stream = rig.send(&get(ORDERS, &headers), false);
    rig.respond_with_key(&edge);
    rig.outcome(stream).passed();
    rig.flush();
    assert_eq!(rig.metric("edge_claims_correlation_malformed_total"), 1);
}

#[test]
fn a_request_waits_only_after_its_id_is_set() {
    let token = Edge::new(1).good_token();
    let mut rig = Rig::fetching();
    rig.host.break_call(Call::Edit);
    let stream = rig.send_token(&token);
    rig.outcome(stream).denied(503, "internal");
    assert_eq!(rig.worker.waited(stream), None);
    rig.host.repair();
    rig.host.break_call(Call::LogField);
    let stream = rig.send_token(&token);
    rig.outcome(stream).held();
}

#[test]
fn a_body_that_is_large_or_of_unknown_length_does_not_wait() {
    let edge = Edge::new(1);
    let token = edge.good_token();
    let length = |value: &'static [u8]| vec![("content-length", value)];
    let refused: [Vec<(&str, &[u8])>; 10] = [
        vec![],
        vec![("transfer-encoding", b"chunked")],
        length(b"65537"),
        length(b"18446744073709551616"),
        length(b"-1"),
        length(b"+1"),
        vec![("content-length", b"1"), ("content-length", b"2")],
        length(b"x"),
        length(b""),
        vec![("upgrade", b"websocket"), ("content-length", b"0")],
    ];
    for more in refused {
        let mut rig = Rig::fetching();
        let stream = rig.send(&post(&token, &more), true);
        let reply = rig.outcome(stream).denied(503, "keys_unavailable");
        assert!(reply.header("retry-after").is_some(), "{more:?}");
    }
    for value in [&b"0"[..], b"3", b"65536"] {
        let mut rig = Rig::fetching();
        let stream = rig.send(&post(&token, &[("content-length", value)]), true);
        rig.outcome(stream).held();
        rig.respond_with_key(&edge);
        rig.outcome(stream).passed();
    }
    // Without a body, `content-length` is ignored.
    let mut rig = Rig::fetching();
    let stream = rig.send(&post(&token, &[]), false);
    rig.outcome(stream).held();
}

#[test]
fn a_request_that_may_not_wait_still_causes_the_fetch() {
    let (old, new) = (Edge::with_kid(1, "old"), Edge::with_kid(2, "new"));
    let token = new.good_token();
    let mut rig = Rig::fetching();
    rig.respond_with_key(&old);
    rig.elapse(1_000);
    let stream = rig.send(&post(&token, &[]), true);
    rig.outcome(stream).denied(503, "keys_unavailable");
    rig.tick();
    rig.respond_with_key(&new);
    let stream = rig.send(&post(&token, &[]), true);
    rig.outcome(stream).passed();
}

#[test]
fn the_bodies_of_waiting_requests_are_limited() {
    let token = Edge::new(1).good_token();
    let mut rig = Rig::fetching();
    let length = (64 * KIB).to_string();
    let large = post(&token, &[("content-length", length.as_bytes())]);
    let streams: Vec<_> = (0..128).map(|_| rig.send(&large, true)).collect();
    for stream in &streams {
        rig.outcome(*stream).held();
    }
    let refused = rig.send(&large, true);
    let reply = rig.outcome(refused).denied(503, "keys_unavailable");
    assert!(reply.header("retry-after").is_some());
    let smallest = rig.send(&post(&token, &[("content-length", b"1")]), true);
    rig.outcome(smallest).denied(503, "keys_unavailable");
    let without_body = rig.send_token(&token);
    rig.outcome(without_body).held();
    // A request that ends frees its share of the limit.
    rig.end(streams[0]);
    let next = rig.send(&large, true);
    rig.outcome(next).held();
}

#[test]
fn waiting_requests_are_limited_and_count_one_cache_miss_each() {
    let edge = Edge::new(1);
    let mut rig = Rig::fetching();
    let token = edge.good_token();
    let streams: Vec<_> = (0..512).map(|_| rig.send_token(&token)).collect();
    rig.flush();
    let before = rig.metric(MISSES);
    for _ in 0..10 {
        rig.get(ORDERS, &token).denied(503, "keys_unavailable");
    }
    let more = rig.send(&post(&token, &[]), true);
    rig.outcome(more).denied(503, "keys_unavailable");
    rig.flush();
    assert_eq!(rig.metric(MISSES), before + 11);
    rig.respond_with_key(&edge);
    for stream in streams {
        rig.outcome(stream).passed();
    }
}

#[test]
fn no_request_waits_in_shadow_mode() {
    let edge = Edge::new(1);
    let of_route = |config: &mut Value| config["rbac"]["routes"][1]["mode"] = json!("shadow");
    let of_config = |config: &mut Value| config["mode"] = json!("shadow");
    for change in [of_route as fn(&mut Value), of_config] {
        let mut config = remote_policy();
        change(&mut config);
        let mut rig = Rig::with(&config);
        rig.host.process().clusters.push("keys".to_owned());
        rig.tick();
        let stream = rig.send_token(&edge.good_token());
        let seen = rig.outcome(stream).passed();
        for gone in [CLAIMS, "x-auth-subject"] {
            assert_eq!(values(&seen, gone), [""; 0]);
        }
        let verdict = rig.verdict(stream);
        assert_eq!(verdict.as_deref(), Some("shadow/keys_unavailable/orders"));
        rig.respond_with_key(&edge);
        rig.get(ORDERS, &edge.good_token()).passed();
    }
}

/// Otherwise shadow mode would report other verdicts than enforcement.
#[test]
fn a_new_key_id_causes_a_fetch_in_shadow_mode() {
    let (old, new) = (Edge::with_kid(1, "old"), Edge::with_kid(2, "new"));
    let mut config = remote_policy();
    config["mode"] = json!("shadow");
    let mut rig = Rig::with(&config);
    rig.host.process().clusters.push("keys".to_owned());
    rig.tick();
    rig.respond_with_key(&old);
    rig.elapse(1_000);
    rig.get(ORDERS, &new.good_token()).passed();
    rig.tick();
    rig.respond_with_key(&new);
    let stream = rig.send_token(&new.good_token());
    assert_eq!(rig.verdict(stream).as_deref(), Some("allow/orders"));
}

#[test]
fn requests_that_wait_during_a_config_push_are_decided_by_the_new_config() {
    let edge = Edge::new(1);
    let other_keys = || {
        let mut config = remote_policy();
        config["claims"]["issuers"][0]["keys"]["remote"]["url"] =
            json!("https://other.example.com");
        config
    };
    // The new config has the key, another key, no such issuer, or waits for keys itself.
    let other_issuer = |edge: &Edge| {
        let mut config = policy(edge);
        config["claims"]["issuers"][0]["issuer"] = json!("https://other.example.com");
        config
    };
    for (config, status, reason) in [
        (policy(&edge), 0, ""),
        (policy(&Edge::new(2)), 401, "signature_invalid"),
        (other_issuer(&edge), 401, "issuer_unknown"),
    ] {
        let mut rig = Rig::fetching();
        let stream = rig.send_token(&edge.good_token());
        let id = rig.logged_id(stream);
        rig.configure(&config);
        if status == 0 {
            rig.outcome(stream).passed();
        } else {
            rig.outcome(stream).denied(status, reason);
        }
        assert_eq!(rig.worker.waited(stream), Some(status == 0));
        assert_eq!(rig.logged_id(stream), id);
        assert_eq!(rig.response_id(stream), id);
    }
    let mut rig = Rig::fetching();
    let stream = rig.send_token(&edge.good_token());
    rig.configure(&other_keys());
    rig.outcome(stream).held();
    rig.host.state().calls.clear();
    rig.tick();
    assert_eq!(rig.calls()[0].url[1], "other.example.com");
    rig.respond_with_key(&edge);
    rig.outcome(stream).passed();
    // Earlier decisions are kept.
    rig.configure(&other_keys());
    assert_eq!(rig.worker.waited(stream), Some(true));
    // A rejected config changes nothing.
    let mut rig = Rig::fetching();
    let stream = rig.send_token(&edge.good_token());
    assert!(!rig.worker.configure(b"{}"));
    rig.outcome(stream).held();
    rig.respond_with_key(&edge);
    rig.outcome(stream).passed();
}

#[test]
fn a_request_that_waits_has_a_record_of_its_decision_only() {
    let edge = Edge::new(1);
    let mut config = remote_policy();
    config["log"] = json!({"allow": 1.0});
    let mut rig = Rig::with(&config);
    rig.host.process().clusters.push("keys".to_owned());
    rig.tick();
    let stream = rig.send_token(&edge.good_token());
    assert_eq!(logs::with("\"outcome\""), [""; 0]);
    rig.flush();
    assert_eq!(
        rig.requests("deny", "keys_unavailable"),
        0,
        "not counted either"
    );
    rig.respond_with_key(&edge);
    rig.outcome(stream).passed();
    assert_eq!(logs::with("\"outcome\"").len(), 1);
    assert_eq!(logs::with("\"outcome\":\"allow\"").len(), 1);
}
