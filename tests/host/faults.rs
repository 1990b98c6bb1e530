//! Each function of the ABI fails with each status: always, or one time only. The filter does not panic, and
//! no request passes that would not pass on a sound host.

use serde_json::{Value, json};

use crate::fake::{Call, FAILURES, Fault, Host, INTERNAL_FAILURE, Pairs, host};
use crate::world::{CLAIMS, Edge, Fate, Vm, config, get, host_with_keys, instances, vm_on};

/// The statuses that a call can fail with. HTTP calls go through the SDK, whose dispatcher must know them; it
/// panics on statuses that Envoy does not return for them.
fn statuses(call: Call) -> &'static [u32] {
    match call {
        Call::Http => &[2, 10],
        _ => &FAILURES,
    }
}

/// A policy with everything that makes host calls.
fn policy(edge: &Edge) -> Value {
    let mut config = config(edge);
    config["log"] = json!({"allow": 1.0, "access_fields": ["correlation_id", "verdict", "route",
        "reason", "issuer", "kid", "correlation_source"]});
    let issuers = config["claims"]["issuers"].as_array_mut().unwrap();
    issuers[0]["one_use"] = json!({"claim": "jti", "entries": 100});
    let mut remote = issuers[0].clone();
    remote["issuer"] = json!("https://other.example.com");
    remote["keys"] = json!({"remote": {"url": "https://keys.example.com", "cluster": "keys"}});
    remote.as_object_mut().unwrap().remove("one_use");
    issuers.push(remote);
    config
}

/// What a VM goes through, and what became of each request.
fn life(vm: &mut Vm, edge: &Edge) -> Vec<(&'static str, Fate)> {
    let root = vm.root();
    // If a worker refused a valid config, its requests would pass unfiltered.
    assert!(vm.configure(root, &policy(edge).to_string()));
    vm.tick(root);
    let token = |jti: &str, roles: &[&str]| edge.token(&json!({"jti": jti, "roles": roles}));
    let (good, used, weak) = (
        token("1", &["reader"]),
        token("2", &["reader"]),
        token("3", &[]),
    );
    let forged = Edge::new("k").token(&json!({"jti": "4"}));
    let mine = [
        ("x-auth-subject", b"root".as_slice()),
        ("x-auth-subject", b"admin"),
        ("X_Auth_Roles", b"admin"),
        ("x-original-url", b"/admin"),
        ("x-correlation-id", b"\xff"),
    ];
    let with = |token: &'static str, value: &[u8], path: &str, vm: &mut Vm| {
        let mut headers = get(path, &mine);
        headers.push((token, value));
        vm.exchange(root, &headers).0
    };
    let orders = "/tenants/a/orders";
    let mut fates = vec![
        ("good", with(CLAIMS, &good, orders, vm)),
        ("public", with("x-none", b"", "/public/x", vm)),
        (
            "public with a token",
            with(CLAIMS, &forged, "/public/x", vm),
        ),
        ("none", with("x-none", b"", orders, vm)),
        ("forged", with(CLAIMS, &forged, orders, vm)),
        ("weak", with(CLAIMS, &weak, orders, vm)),
        ("peer", with("x-none", b"", "/inside", vm)),
        ("ambiguous", with(CLAIMS, &good, "/public/..%2fadmin", vm)),
        ("used, first", with(CLAIMS, &used, orders, vm)),
        ("used, again", with(CLAIMS, &used, orders, vm)),
    ];
    let id = vm.stream(root);
    let fate = vm.send_headers(id, &get("/public/x", &[]), false);
    vm.send_body(id, 9);
    let trailers = [("x-auth-subject", b"root".as_slice()), ("x-sum", b"1")];
    if let Some(left) = vm.send_trailers(id, &trailers) {
        assert!(matches!(fate, Fate::Passed(_)), "{fate:?}");
        assert_eq!(instances(&left, "x-auth-subject"), 0);
    }
    vm.end(id);
    // One that waits for keys, until its keys come.
    let other = edge.token(&json!({"iss": "https://other.example.com"}));
    let id = vm.stream(root);
    let waiting = get(orders, &[(CLAIMS, &other)]);
    vm.send(id, &waiting);
    vm.wait(2_000);
    vm.tick(root);
    for call in host(|host| host.calls.clone()) {
        let body = json!({"keys": [edge.jwk()]}).to_string();
        vm.answer(root, call.token, Some(("200", body.as_bytes())));
    }
    vm.tick(root);
    fates.push(("waiting", vm.fate(id)));
    vm.respond(id);
    vm.end(id);
    vm.wait(20_000);
    vm.tick(root);
    fates
}

/// The requests that pass on a sound host.
const PASS: [&str; 5] = [
    "good",
    "public",
    "public with a token",
    "used, first",
    "waiting",
];

fn run(fault: Option<Fault>, edge: &Edge) -> (Vec<(&'static str, Fate)>, Host) {
    let edge = edge.clone();
    let fake = Host {
        fault,
        ..host_with_keys()
    };
    vm_on(fake, move |vm| {
        let fates = life(vm, &edge);
        (fates, host(std::mem::take))
    })
}

/// The headers that an upstream believes.
fn believed(pairs: &Pairs) -> Vec<(usize, Vec<Vec<u8>>)> {
    let of = |name: &str| (instances(pairs, name), crate::fake::values(pairs, name));
    [CLAIMS, "x-auth-subject", "x-auth-roles", "x-original-url"]
        .map(of)
        .to_vec()
}

fn lets_nothing_more_through(
    fault: Fault,
    fates: &[(&'static str, Fate)],
    sound: &[(&'static str, Fate)],
) {
    let fate_of = |wanted| fates.iter().find(|(what, _)| *what == wanted);
    let first_passed = matches!(fate_of("used, first"), Some((_, Fate::Passed(_))));
    for ((what, fate), (_, expected)) in fates.iter().zip(sound) {
        let Fate::Passed(headers) = fate else {
            continue;
        };
        // If the fault denied its first use, the second one is the first.
        if *what == "used, again" && !first_passed {
            continue;
        }
        let Fate::Passed(expected) = expected else {
            panic!("{fault:?}: {what} passed");
        };
        assert_eq!(
            believed(headers),
            believed(expected),
            "{fault:?}: {what} passed with other headers"
        );
    }
}

#[test]
fn on_a_sound_host_what_may_pass_passes() {
    let (fates, _) = run(None, &Edge::new("k"));
    for (what, fate) in fates {
        let passed = matches!(fate, Fate::Passed(_));
        assert_eq!(passed, PASS.contains(&what), "{what}: {fate:?}");
    }
}

#[test]
fn a_function_that_always_fails_lets_nothing_more_through() {
    let edge = Edge::new("k");
    let (sound, _) = run(None, &edge);
    for call in Call::ALL {
        for &status in statuses(call) {
            let fault = Fault {
                call,
                status,
                only: None,
            };
            lets_nothing_more_through(fault, &run(Some(fault), &edge).0, &sound);
        }
    }
}

#[test]
fn a_function_that_fails_one_time_lets_nothing_more_through() {
    let edge = Edge::new("k");
    let (sound, host) = run(None, &edge);
    for call in Call::ALL {
        let made = host.made.get(&call).copied().unwrap_or_default();
        assert!(made > 0, "{call:?} is never made");
        // Of very frequent calls a sample: metrics are defined hundreds of times.
        let step = made.div_ceil(60);
        for only in (0..made).step_by(step) {
            let fault = Fault {
                call,
                status: INTERNAL_FAILURE,
                only: Some(only),
            };
            lets_nothing_more_through(fault, &run(Some(fault), &edge).0, &sound);
        }
    }
}
