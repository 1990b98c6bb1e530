//! Configs, clocks and ticks.

use serde_json::json;

use super::edge::{Edge, policy};
use super::fake_host::{Call, FakeHost, NOW};
use super::logs;
use super::support::{ORDERS, Rig, get};

#[test]
fn a_rejected_config_is_logged_and_counted() {
    let mut rig = Rig::new(FakeHost::new());
    let mut bad = policy(&Edge::new(1));
    bad["claims"]["issuers"][0]["audience"] = json!("x");
    bad["mode"] = json!("off");
    assert!(!rig.worker.configure(bad.to_string().as_bytes()));
    let lines = logs::with("edge-claims");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for place in ["claims.issuers[0].audience", "mode: "] {
        assert!(lines[0].contains(place), "{lines:?}");
    }
    assert_eq!(rig.metric("edge_claims_config_refused_total"), 1);
    // If the proxy still runs the worker, it denies all requests.
    rig.request(&get("/public/x", &[])).denied(503, "internal");
}

#[test]
fn a_rejected_config_leaves_the_previous_one_active() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    assert!(!rig.worker.configure(b"{}"));
    rig.request(&get("/public/x", &[])).passed();
    rig.request(&get("/admin", &[]))
        .denied(401, "claims_missing");
}

/// If only one worker rejected a config, Envoy would forward its requests unfiltered.
#[test]
fn no_failure_of_the_host_rejects_a_config() {
    for call in Call::ALL {
        let host = FakeHost::new();
        host.break_call(call);
        Rig::on(host, &policy(&Edge::new(1)));
    }
}

#[test]
fn every_request_is_denied_without_a_clock() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    let token = edge.good_token();
    rig.get(ORDERS, &token).passed();
    rig.host.break_call(Call::Clock);
    rig.get(ORDERS, &token).denied(503, "internal");
    rig.request(&get("/public/x", &[])).denied(503, "internal");
    rig.tick();
    rig.host.repair();
    rig.get(ORDERS, &token).passed();
}

#[test]
fn a_clock_at_either_end_of_time_makes_no_token_valid() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&policy(&edge));
    let token = edge.good_token();
    for (now_ms, reason) in [(0, "not_yet_valid"), (u64::MAX, "expired")] {
        rig.host.state().now_ms = now_ms;
        rig.get(ORDERS, &token).denied(401, reason);
        rig.tick();
    }
    rig.host.state().now_ms = NOW * 1_000;
    rig.get(ORDERS, &token).passed();
}

#[test]
fn the_start_line_is_logged_by_one_worker() {
    let first = Rig::with(&policy(&Edge::new(1)));
    let _second = Rig::on(first.host.another_worker(), &policy(&Edge::new(1)));
    let lines = logs::with("config sha256");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        env!("CARGO_PKG_VERSION"),
        "mode enforce",
        "4 routes",
        "issuers https://edge.example.com",
    ] {
        assert!(lines[0].contains(part), "{part}: {lines:?}");
    }
    // Another config, or the same one later, is logged again.
    let mut other = policy(&Edge::new(1));
    other["mode"] = json!("shadow");
    let third = Rig::on(first.host.another_worker(), &other);
    assert_eq!(logs::with("config sha256").len(), 2);
    assert_eq!(logs::with("mode is shadow").len(), 1);
    let mut fourth = Rig::new(third.host.another_worker());
    fourth.elapse(5_000);
    fourth.configure(&other);
    assert_eq!(logs::with("config sha256").len(), 3);
}

#[test]
fn a_break_glass_issuer_is_logged_every_15_minutes_by_one_worker() {
    let mut config = policy(&Edge::new(1));
    config["claims"]["issuers"][0]["not_after"] = json!("2026-01-01T01:00:00Z");
    let mut first = Rig::on(FakeHost::new(), &config);
    let mut second = Rig::on(first.host.another_worker(), &config);
    let mut lines = Vec::new();
    for _ in 0..5 {
        for rig in [&mut first, &mut second] {
            rig.flush();
            rig.elapse(15 * 60_000);
        }
        lines.push(logs::with("BREAK-GLASS").len());
    }
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    assert_eq!(logs::with("has ended at 2026-01-01T01:00:00Z").len(), 1);
    let gauge = "issuer=.=https://edge.example.com;.;edge_claims_break_glass";
    assert_eq!(first.metric(gauge), 0);
}

#[test]
fn a_host_that_rejects_the_tick_is_logged() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    host.break_call(Call::TickPeriod);
    let mut rig = Rig::on(host, &policy(&edge));
    assert_eq!(logs::with("proxy_set_tick_period_milliseconds").len(), 1);
    rig.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn the_tick_is_short_only_at_first() {
    let mut rig = Rig::with(&policy(&Edge::new(1)));
    assert_eq!(rig.host.state().tick_period, 25);
    rig.tick();
    assert_eq!(rig.host.state().tick_period, 1_000);
}
