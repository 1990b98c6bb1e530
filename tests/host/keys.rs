//! Keys from a server: who waits, who passes, and what a bad answer changes.

use serde_json::json;

use crate::fake::{Call, Fault, Host, HttpCall, INTERNAL_FAILURE, host, value};
use crate::world::{CLAIMS, Edge, Fate, LONG, Vm, get, host_with_keys, remote_config, vm, vm_on};

const ORDERS: &str = "/tenants/a/orders";

/// A plugin with keys from a server, which looks for them on its first tick.
fn started(vm: &mut Vm) -> u32 {
    let root = vm.plugin(&remote_config());
    assert!(
        calls().is_empty(),
        "a config that is only tried out calls nobody"
    );
    vm.tick(root);
    root
}

fn calls() -> Vec<HttpCall> {
    host(|host| host.calls.clone())
}

/// The token of the one call under way.
#[track_caller]
fn call() -> u32 {
    let calls = calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls[0].token
}

fn key_set(edge: &Edge) -> Vec<u8> {
    json!({"keys": [edge.jwk()]}).to_string().into_bytes()
}

#[test]
fn a_request_before_the_first_keys_waits_and_passes() {
    vm_on(host_with_keys(), |vm| {
        let edge = Edge::new("k");
        let root = started(vm);
        let calls = calls();
        assert_eq!(
            value(&calls[0].headers, ":path").as_deref(),
            Some("/jwks.json")
        );
        assert_eq!(
            value(&calls[0].headers, ":authority").as_deref(),
            Some("keys.example.com")
        );
        assert_eq!(
            (calls[0].timeout, calls[0].cluster.as_str()),
            (2_000, "keys")
        );
        let id = vm.stream(root);
        let token = edge.token(&json!({}));
        assert_eq!(vm.send(id, &get(ORDERS, &[(CLAIMS, &token)])), Fate::Held);
        // Nobody else waits for it.
        vm.request(root, &get("/public/x", &[(CLAIMS, &token)]))
            .passed();
        vm.request(root, &get(ORDERS, &[]))
            .denied(401, "claims_missing");
        vm.answer(root, call(), Some(("200", &key_set(&edge))));
        let headers = vm.fate(id).passed();
        assert_eq!(value(&headers, "x-auth-subject").as_deref(), Some("alice"));
        assert_eq!(value(&headers, CLAIMS), None);
        let response = vm.respond(id);
        assert!(value(&response, "x-correlation-id").is_some());
        vm.end(id);
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

#[test]
fn no_bad_answer_lets_a_waiting_request_pass() {
    let forger = Edge::new("k");
    let wrong = key_set(&forger);
    let huge = [b"{\"keys\": [".as_slice(), &vec![b' '; 70_000], b"]}"].concat();
    let answers: [(Option<(&str, &[u8])>, u32, &str); 8] = [
        (None, 503, "keys_unavailable"),
        (Some(("500", b"")), 503, "keys_unavailable"),
        (Some(("302", b"")), 503, "keys_unavailable"),
        (Some(("200", b"")), 503, "keys_unavailable"),
        (Some(("200", b"{\"keys\": []}")), 503, "keys_unavailable"),
        (Some(("200", b"\xff\xfe")), 503, "keys_unavailable"),
        (Some(("200", &huge)), 503, "keys_unavailable"),
        (Some(("200", &wrong)), 401, "signature_invalid"),
    ];
    for (answer, status, reason) in answers {
        let answer = answer.map(|(status, body)| (status.to_owned(), body.to_vec()));
        let edge = Edge::new("k");
        vm_on(host_with_keys(), move |vm| {
            let root = started(vm);
            let id = vm.stream(root);
            let token = edge.token(&json!({}));
            assert_eq!(vm.send(id, &get(ORDERS, &[(CLAIMS, &token)])), Fate::Held);
            let answer = answer
                .as_ref()
                .map(|(status, body)| (status.as_str(), body.as_slice()));
            vm.answer(root, call(), answer);
            vm.wait(u64::try_from(LONG.as_millis()).unwrap());
            vm.tick(root);
            vm.fate(id).denied(status, reason);
            vm.end(id);
        });
    }
}

#[test]
fn an_answer_without_end_is_given_up() {
    vm_on(host_with_keys(), |vm| {
        let root = started(vm);
        let id = vm.stream(root);
        let token = Edge::new("k").token(&json!({}));
        assert_eq!(vm.send(id, &get(ORDERS, &[(CLAIMS, &token)])), Fate::Held);
        assert!(host(|host| host.tick_period) < 1_000, "it looks often");
        vm.wait(3_600);
        vm.tick(root);
        let reply = vm.fate(id).denied(503, "keys_unavailable");
        assert!(reply.header("retry-after").is_some());
        assert_eq!(
            host(|host| host.tick_period),
            1_000,
            "nobody waits any more"
        );
    });
}

#[test]
fn an_unknown_cluster_is_tried_again() {
    vm(|vm| {
        let edge = Edge::new("k");
        let root = started(vm);
        assert!(calls().is_empty());
        assert!(host(|host| host.log_text()).contains("no such cluster"));
        host(|host| host.clusters.push("keys".to_owned()));
        vm.wait(60_000);
        vm.tick(root);
        vm.answer(root, call(), Some(("200", &key_set(&edge))));
        host(|host| host.now -= 60_000 * 1_000_000);
        let token = edge.token(&json!({}));
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

#[test]
fn a_client_that_gives_up_while_it_waits_is_forgotten() {
    vm_on(host_with_keys(), |vm| {
        let edge = Edge::new("k");
        let root = started(vm);
        let token = edge.token(&json!({}));
        let id = vm.stream(root);
        assert_eq!(vm.send(id, &get(ORDERS, &[(CLAIMS, &token)])), Fate::Held);
        vm.end(id);
        vm.answer(root, call(), Some(("200", &key_set(&edge))));
        vm.tick(root);
        assert_eq!(vm.fate(id), Fate::Held, "nothing was done to it");
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

#[test]
fn another_worker_takes_the_keys_from_the_first() {
    let edge = Edge::new("k");
    let set = key_set(&edge);
    let shared = vm_on(host_with_keys(), move |vm| {
        let root = started(vm);
        vm.answer(root, call(), Some(("200", &set)));
        host(|host| host.shared.clone())
    });
    let mut second = host_with_keys();
    second.shared = shared;
    vm_on(second, move |vm| {
        let root = started(vm);
        assert!(calls().is_empty(), "one fetch for all");
        let token = edge.token(&json!({}));
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

/// Other plugins of the same Envoy can write there: that must never trap.
#[test]
fn damaged_shared_data_is_no_key_set() {
    let edge = Edge::new("k");
    let set = key_set(&edge);
    let shared = vm_on(host_with_keys(), move |vm| {
        let root = started(vm);
        vm.answer(root, call(), Some(("200", &set)));
        host(|host| host.shared.clone())
    });
    let good = shared.lock().unwrap().clone();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |value| value.clear(),
        |value| value.truncate(3),
        |value| value.iter_mut().for_each(|byte| *byte = 0xff),
        |value| value.reverse(),
    ];
    for damage in damages {
        let mut fake = host_with_keys();
        {
            let mut data = good.clone();
            data.values_mut().for_each(|(value, _)| damage(value));
            *fake.shared.lock().unwrap() = data;
        }
        fake.clusters.clear();
        let edge = edge.clone();
        vm_on(fake, move |vm| {
            let root = started(vm);
            let token = edge.token(&json!({}));
            let id = vm.stream(root);
            let fate = vm.send(id, &get(ORDERS, &[(CLAIMS, &token)]));
            assert!(!matches!(fate, Fate::Passed(_)), "{fate:?}");
            vm.wait(10_000);
            vm.tick(root);
            vm.fate(id).denied(503, "keys_unavailable");
        });
    }
}

#[test]
fn a_worker_that_can_read_no_shared_data_fetches_for_itself() {
    vm_on(with_broken(Call::GetShared), |vm| {
        let edge = Edge::new("k");
        let root = started(vm);
        vm.answer(root, call(), Some(("200", &key_set(&edge))));
        let token = edge.token(&json!({}));
        vm.request(root, &get(ORDERS, &[(CLAIMS, &token)])).passed();
    });
}

/// Without a plan that holds for all workers there would be no end of fetches.
#[test]
fn where_no_plan_can_be_written_no_keys_come_and_nothing_passes() {
    vm_on(with_broken(Call::SetShared), |vm| {
        let root = started(vm);
        vm.tick(root);
        assert!(calls().is_empty());
        let token = Edge::new("k").token(&json!({}));
        let id = vm.stream(root);
        vm.send(id, &get(ORDERS, &[(CLAIMS, &token)]));
        vm.wait(10_000);
        vm.tick(root);
        vm.fate(id).denied(503, "keys_unavailable");
    });
}

fn with_broken(call: Call) -> Host {
    let fault = Fault {
        call,
        status: INTERNAL_FAILURE,
        only: None,
    };
    Host {
        fault: Some(fault),
        ..host_with_keys()
    }
}
