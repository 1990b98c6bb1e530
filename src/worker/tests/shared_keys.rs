//! Remote keys, shared by the workers of a process.

use super::edge::{Edge, key_set, remote_policy};
use super::fake_host::{Call, FakeHost};
use super::support::{ORDERS, Outcome, Rig};

#[test]
fn one_fetch_serves_all_workers() {
    let edge = Edge::new(1);
    let mut first = Rig::fetching();
    let (mut second, mut third) = (first.sibling(), first.sibling());
    let waiting: Vec<_> = [&mut first, &mut second, &mut third]
        .map(|rig| rig.send_token(&edge.good_token()))
        .into();
    for rig in [&second, &third] {
        assert!(rig.calls().is_empty());
    }
    first.respond_with_key(&edge);
    for (rig, stream) in [&mut first, &mut second, &mut third]
        .into_iter()
        .zip(waiting)
    {
        rig.tick();
        rig.outcome(stream).passed();
        assert!(rig.calls().is_empty());
    }
    let mut late = Rig::on(first.host.another_worker(), &remote_policy());
    late.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn a_retired_worker_releases_its_lease() {
    let edge = Edge::new(1);
    let mut first = Rig::fetching();
    let mut second = first.sibling();
    assert!(second.calls().is_empty());
    first.worker.retire();
    second.tick();
    second.respond_with_key(&edge);
    second.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn another_worker_fetches_after_a_lease_expires() {
    let edge = Edge::new(1);
    let mut first = Rig::fetching();
    let mut second = first.sibling();
    second.elapse(2_999);
    second.tick();
    assert!(second.calls().is_empty());
    second.elapse(1);
    second.tick();
    second.respond_with_key(&edge);
    second.get(ORDERS, &edge.good_token()).passed();
    // The first worker's late response is older.
    first.elapse(3_001);
    first.respond_with_key(&Edge::new(2));
    first.tick();
    first.get(ORDERS, &edge.good_token()).passed();
    let mut late = first.sibling();
    late.get(ORDERS, &edge.good_token()).passed();
}

#[test]
fn a_fetch_for_a_new_key_id_serves_all_workers() {
    let (old, new) = (Edge::with_kid(1, "old"), Edge::with_kid(2, "new"));
    let mut first = Rig::fetching();
    first.respond_with_key(&old);
    let mut second = first.sibling();
    first.elapse(1_000);
    second.elapse(1_000);
    let waiting = second.send_token(&new.good_token());
    second.tick();
    second.respond(Some(("200", &key_set(&[&new]))));
    second.outcome(waiting).passed();
    first.tick();
    first.get(ORDERS, &new.good_token()).passed();
}

#[test]
fn a_lost_compare_and_swap_is_retried() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    let mut rig = Rig::on(host, &remote_policy());
    rig.host.state().lost_races = 7;
    rig.tick();
    rig.host.state().lost_races = 7;
    rig.respond_with_key(&edge);
    rig.get(ORDERS, &edge.good_token()).passed();
    rig.sibling().get(ORDERS, &edge.good_token()).passed();
}

/// Other plugins of the same process can write to shared data.
#[test]
fn damaged_shared_data_is_not_a_key_set() {
    let edge = Edge::new(1);
    let damages: [fn(&mut Vec<u8>); 5] = [
        Vec::clear,
        |value| value.truncate(3),
        |value| value.truncate(20),
        |value| value.fill(0xff),
        |value| value.reverse(),
    ];
    for damage in damages {
        let mut first = Rig::fetching();
        first.respond_with_key(&edge);
        {
            let mut process = first.host.process();
            process.clusters.clear();
            process
                .shared
                .values_mut()
                .for_each(|(value, _)| damage(value));
        }
        let mut second = first.sibling();
        let stream = second.send_token(&edge.good_token());
        let outcome = second.outcome(stream);
        assert!(!matches!(outcome, Outcome::Passed(_)), "{outcome:?}");
        second.elapse(10_000);
        second.tick();
        second.outcome(stream).denied(503, "keys_unavailable");
        // The worker fetches itself.
        second.host.process().clusters.push("keys".to_owned());
        second.elapse(60_000);
        second.tick();
        second.respond_with_key(&edge);
        second.elapse(0);
        let now = second.host.state().now_ms / 1_000;
        let token = edge.token(&serde_json::json!({"iat": now, "exp": now + 60}));
        second.get(ORDERS, &token).passed();
    }
}

#[test]
fn a_shared_set_from_the_future_is_fetched_again() {
    let edge = Edge::new(1);
    let mut first = Rig::fetching();
    first.elapse(120_000);
    first.respond_with_key(&edge);
    // The clock was set back by two minutes.
    first.host.state().now_ms -= 120_000;
    let mut second = first.sibling();
    let waiting = second.send_token(&edge.good_token());
    second.outcome(waiting).held();
    second.respond_with_key(&edge);
    second.outcome(waiting).passed();
}

#[test]
fn a_worker_that_cannot_read_shared_data_fetches_for_itself() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    host.break_call(Call::GetShared);
    let mut rig = Rig::on(host, &remote_policy());
    rig.tick();
    rig.respond_with_key(&edge);
    rig.get(ORDERS, &edge.good_token()).passed();
}

/// Without a shared plan, nothing would limit the fetches.
#[test]
fn a_worker_that_cannot_write_shared_data_fetches_nothing() {
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    host.break_call(Call::SetShared);
    let mut rig = Rig::on(host, &remote_policy());
    rig.tick();
    rig.tick();
    assert!(rig.calls().is_empty());
    let waiting = rig.send_token(&Edge::new(1).good_token());
    rig.elapse(10_000);
    rig.tick();
    rig.outcome(waiting).denied(503, "keys_unavailable");
}
