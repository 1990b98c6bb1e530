//! One-use tokens: the replay window that all workers of a process share.

use serde_json::json;

use super::edge::{Edge, one_use_policy};
use super::fake_host::{Call, FakeHost, NOW};
use super::support::{ORDERS, Outcome, Rig};

fn token(edge: &Edge, id: u64) -> String {
    edge.token(&json!({"jti": id.to_string()}))
}

#[test]
fn a_one_use_token_passes_once_on_all_workers_and_configs() {
    let edge = Edge::new(1);
    let mut first = Rig::with(&one_use_policy(&edge));
    let mut second = Rig::on(first.host.another_worker(), &one_use_policy(&edge));
    let used = token(&edge, 1);
    // A token that is denied for another reason is not consumed.
    first.get("/admin", &used).denied(403, "role");
    first.get(ORDERS, &used).passed();
    first.get(ORDERS, &used).denied(401, "replayed");
    second.get(ORDERS, &used).denied(401, "replayed");
    first.configure(&one_use_policy(&edge));
    first.get(ORDERS, &used).denied(401, "replayed");
    second.get(ORDERS, &token(&edge, 2)).passed();
    first.get(ORDERS, &token(&edge, 2)).denied(401, "replayed");
}

#[test]
fn a_token_that_was_used_before_a_push_with_a_larger_leeway_stays_used() {
    let edge = Edge::new(1);
    let with_leeway = |leeway: &str| {
        let mut config = one_use_policy(&edge);
        config["claims"]["issuers"][0]["leeway"] = json!(leeway);
        config
    };
    let mut rig = Rig::with(&with_leeway("10s"));
    let used = token(&edge, 1);
    rig.get(ORDERS, &used).passed();
    // The token has expired, leeway included; the next use removes it from the window.
    rig.elapse(80_000);
    rig.get(ORDERS, &used).denied(401, "expired");
    for id in 2..50 {
        let other = edge.token(&json!({"jti": id.to_string(), "exp": NOW + 600}));
        rig.get(ORDERS, &other).passed();
    }
    rig.configure(&with_leeway("5m"));
    rig.get(ORDERS, &used).denied(401, "replayed");
}

#[test]
fn a_full_window_accepts_tokens_after_old_ones_expire() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&one_use_policy(&edge));
    let later = |id: u64| edge.token(&json!({"jti": id.to_string(), "exp": NOW + 1_000}));
    let mut id = 0;
    while matches!(rig.get(ORDERS, &token(&edge, id)), Outcome::Passed(_)) {
        id += 1;
        assert!(id <= 150, "the window does not fill");
    }
    // `exp` plus the maximum leeway of 5 minutes.
    rig.elapse(359_000);
    rig.get(ORDERS, &later(id)).denied(503, "internal");
    rig.elapse(1_000);
    rig.get(ORDERS, &later(id)).passed();
}

#[test]
fn a_token_that_cannot_be_recorded_is_denied() {
    let edge = Edge::new(1);
    for call in [Call::GetShared, Call::SetShared] {
        let mut rig = Rig::with(&one_use_policy(&edge));
        rig.host.break_call(call);
        rig.get(ORDERS, &token(&edge, 1)).denied(503, "internal");
        rig.host.repair();
        rig.get(ORDERS, &token(&edge, 1)).passed();
    }
}

#[test]
fn a_lost_compare_and_swap_is_retried() {
    let edge = Edge::new(1);
    let mut rig = Rig::with(&one_use_policy(&edge));
    rig.host.state().lost_races = 15;
    rig.get(ORDERS, &token(&edge, 1)).passed();
    rig.host.state().lost_races = 16;
    rig.get(ORDERS, &token(&edge, 2)).denied(503, "internal");
    rig.get(ORDERS, &token(&edge, 1)).denied(401, "replayed");
    rig.get(ORDERS, &token(&edge, 2)).passed();
}

#[test]
fn a_damaged_window_does_not_stop_the_worker() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    let mut rig = Rig::on(host.clone(), &one_use_policy(&edge));
    let damages: [fn(&mut Vec<u8>); 4] = [
        |value| value.truncate(value.len() / 2),
        |value| value.push(1),
        |value| value.fill(0xff),
        Vec::clear,
    ];
    for (id, damage) in (0..).step_by(2).zip(damages) {
        rig.get(ORDERS, &token(&edge, id)).passed();
        let mut process = host.process();
        let shards = process
            .shared
            .iter_mut()
            .filter(|(key, _)| key.contains("used"));
        shards.for_each(|(_, (value, _))| damage(value));
        drop(process);
        rig.get(ORDERS, &token(&edge, id + 1)).passed();
        rig.get(ORDERS, &token(&edge, id + 1))
            .denied(401, "replayed");
    }
}
