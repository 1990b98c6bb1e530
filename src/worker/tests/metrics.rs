//! Metrics.

use serde_json::{Value, json};

use super::edge::{Edge, policy};
use super::fake_host::Call;
use super::support::{CLAIMS, ORDERS, Rig, get};

const CACHED: &str = "edge_claims_cache_entries";

#[test]
fn requests_are_counted_without_a_host_call() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    assert_eq!(
        rig.requests("allow", "none"),
        0,
        "defined before anything happens"
    );
    let calls = |rig: &Rig| {
        let state = rig.host.state();
        [Call::DefineMetric, Call::AddToMetric, Call::RecordMetric]
            .map(|call| state.made.get(&call).copied())
    };
    let before = calls(&rig);
    rig.get(ORDERS, &edge.good_token()).passed();
    rig.request(&get("/admin", &[]))
        .denied(401, "claims_missing");
    assert_eq!(calls(&rig), before);
    rig.flush();
    for _ in 0..2 {
        assert_eq!(rig.requests("allow", "none"), 1);
        assert_eq!(rig.requests("deny", "claims_missing"), 1);
        rig.flush();
    }
}

#[test]
fn metrics_are_the_sums_over_all_workers() {
    let edge = Edge::new(1);
    let mut first = Rig::with(&policy(&edge));
    let mut second = Rig::on(first.host.another_worker(), &policy(&edge));
    for rig in [&mut first, &mut second] {
        rig.get(ORDERS, &edge.good_token()).passed();
        rig.flush();
    }
    assert_eq!(first.requests("allow", "none"), 2);
    assert_eq!(first.metric(CACHED), 2);
    first.worker.retire();
    assert_eq!(first.metric(CACHED), 1, "its cache is gone");
    drop(first);
    second.worker.retire();
    assert_eq!(second.metric(CACHED), 0);
}

#[test]
fn counts_before_a_new_config_are_not_lost() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    rig.get(ORDERS, &edge.good_token()).passed();
    rig.configure(&policy(&edge));
    assert_eq!(rig.requests("allow", "none"), 1);
    assert_eq!(rig.metric(CACHED), 0);
    rig.get(ORDERS, &edge.good_token()).passed();
    rig.worker.retire();
    assert_eq!(rig.requests("allow", "none"), 2);
}

#[test]
fn key_ids_have_a_limited_number_of_series() {
    let edges: Vec<Edge> = (1..=80)
        .map(|seed| Edge::with_kid(seed, &format!("k{seed}")))
        .collect();
    let mut config = policy(&edges[0]);
    config["claims"]["issuers"] = json!([config["claims"]["issuers"][0], null]);
    let issuer = config["claims"]["issuers"][0].clone();
    // A key set has at most 64 keys.
    for (index, edges) in edges.chunks(40).enumerate() {
        let keys: Vec<Value> = edges.iter().map(Edge::jwk).collect();
        let mut issuer = issuer.clone();
        issuer["issuer"] = json!(format!("issuer-{index}"));
        issuer["keys"] = json!({"inline": {"keys": keys}});
        config["claims"]["issuers"][index] = issuer;
    }
    let mut rig = Rig::with(&config);
    for (index, edge) in edges.iter().enumerate() {
        let token = edge.token(&json!({"iss": format!("issuer-{}", index / 40)}));
        rig.get(ORDERS, &token).passed();
        if index % 20 == 19 {
            rig.flush();
        }
    }
    let process = rig.host.process();
    let series = process.metrics.iter();
    let tokens = series.filter(|(name, _)| name.ends_with("edge_claims_tokens_total"));
    assert_eq!(tokens.clone().count(), 65);
    assert_eq!(tokens.map(|(_, count)| count).sum::<i128>(), 80);
}

#[test]
fn no_text_of_a_request_becomes_a_series() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    rig.flush();
    let before = rig.host.process().metrics.len();
    for index in 0..20_u8 {
        let path = format!("/nowhere/{index}");
        let forger = Edge::with_kid(index + 2, &format!("forged{index}"));
        rig.request(&get(&path, &[(CLAIMS, forger.good_token().as_bytes())]));
    }
    rig.flush();
    let verifications = "algorithm=.=ES256;.;backend=.=portable;.;edge_claims_verifications_total";
    let process = rig.host.process();
    let added: Vec<&String> = process.metrics[before..]
        .iter()
        .map(|(name, _)| name)
        .collect();
    assert!(added.iter().all(|name| *name == verifications), "{added:?}");
}
