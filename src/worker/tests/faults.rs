//! Every host call fails, always or once. The worker does not panic, and allows no request that it would not
//! allow on a working host.

use serde_json::{Value, json};

use super::edge::{Edge, key_set, policy};
use super::fake_host::{Call, FakeHost, Fault, Pairs, Signatures};
use super::support::{CLAIMS, Field, ORDERS, Outcome, Rig, get, values};
use crate::worker::host::PeerCertificate;

/// A policy with everything that makes host calls.
fn policy_with_all(edge: &Edge) -> Value {
    let mut config = policy(edge);
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

/// The requests that are allowed on a working host.
const PASS: [&str; 7] = [
    "good",
    "public",
    "public with a forged token",
    "peer",
    "used once",
    "waiting",
    "with trailers",
];

type Outcomes = Vec<(&'static str, Outcome)>;

/// Runs a worker through its life cycle; returns the result of each request.
fn life(rig: &mut Rig, edge: &Edge) -> Outcomes {
    rig.configure(&policy_with_all(edge));
    rig.tick();
    let token = |id: &str, roles: &[&str]| edge.token(&json!({"jti": id, "roles": roles}));
    let (good, used, weak) = (
        token("1", &["reader"]),
        token("2", &["reader"]),
        token("3", &[]),
    );
    let forged = Edge::new(9).token(&json!({"jti": "4"}));
    let ask = |token: &str, path: &str, rig: &mut Rig| {
        let mut headers: Vec<Field<'_>> = vec![
            ("x-auth-subject", b"root"),
            ("x-auth-subject", b"admin"),
            ("X_Auth_Roles", b"admin"),
            ("x-original-url", b"/admin"),
            ("x-correlation-id", b"\xff"),
        ];
        if !token.is_empty() {
            headers.push((CLAIMS, token.as_bytes()));
        }
        rig.request(&get(path, &headers))
    };
    let mut outcomes = Outcomes::new();
    for (name, token, path) in [
        ("good", &good, ORDERS),
        ("public", &String::new(), "/public/x"),
        ("public with a forged token", &forged, "/public/x"),
        ("no token", &String::new(), ORDERS),
        ("forged", &forged, ORDERS),
        ("weak", &weak, ORDERS),
        ("no peer", &String::new(), "/inside"),
        ("ambiguous", &good, "/public/..%2fadmin"),
        ("used once", &used, ORDERS),
        ("used again", &used, ORDERS),
    ] {
        outcomes.push((name, ask(token, path, rig)));
    }
    for (name, peer) in [
        ("unvalidated peer", PeerCertificate::Unvalidated),
        (
            "peer",
            PeerCertificate::Validated(vec!["spiffe://mesh/ns/a/sa/x".to_owned()]),
        ),
    ] {
        let stream = rig.send_from(peer, &get("/inside", &[]), false);
        outcomes.push((name, rig.outcome(stream)));
    }
    let stream = rig.send(&get("/public/x", &[]), true);
    // A request that was answered has no trailers.
    let mut outcome = rig.outcome(stream);
    if matches!(outcome, Outcome::Passed(_)) {
        let sent = [("x-auth-subject", b"root".as_slice()), ("x-other", b"1")];
        match rig.send_trailers(stream, &sent) {
            Some(left) => assert_eq!(values(&left, "x-auth-subject"), [""; 0]),
            None => outcome = Outcome::Held,
        }
    }
    outcomes.push(("with trailers", outcome));
    // A request that waits for its keys.
    let other = edge.token(&json!({"iss": "https://other.example.com"}));
    let waiting = rig.send_token(&other);
    rig.elapse(2_000);
    rig.tick();
    if !rig.calls().is_empty() {
        rig.respond(Some(("200", &key_set(&[edge]))));
    }
    rig.tick();
    outcomes.push(("waiting", rig.outcome(waiting)));
    rig.end(waiting);
    rig.elapse(20_000);
    rig.tick();
    rig.worker.retire();
    outcomes
}

fn run(fault: Option<Fault>, edge: &Edge) -> (Outcomes, FakeHost) {
    let host = FakeHost::new();
    host.process().clusters.push("keys".to_owned());
    // The self-test is slow, so it runs only for the calls that it makes.
    if fault.is_none_or(|fault| fault.call == Call::Verify) {
        host.state().signatures = Signatures::Correct;
    }
    host.state().fault = fault;
    let mut rig = Rig::new(host);
    let outcomes = life(&mut rig, edge);
    (outcomes, rig.host)
}

/// The headers that an upstream trusts.
fn trusted(pairs: &Pairs) -> Vec<Vec<String>> {
    [
        CLAIMS,
        "x-auth-subject",
        "X_Auth_Roles",
        "x-auth-roles",
        "x-original-url",
    ]
    .map(|name| values(pairs, name))
    .to_vec()
}

#[track_caller]
fn allows_no_other_request(fault: Fault, outcomes: &Outcomes, expected: &Outcomes) {
    let passed = |request: &str| {
        let mut named = outcomes.iter().filter(|(name, _)| *name == request);
        named.any(|(_, outcome)| matches!(outcome, Outcome::Passed(_)))
    };
    for ((name, outcome), (_, expected_outcome)) in outcomes.iter().zip(expected) {
        let Outcome::Passed(headers) = outcome else {
            continue;
        };
        // If the fault denied the first use, the second use is allowed.
        if *name == "used again" && !passed("used once") {
            continue;
        }
        let Outcome::Passed(expected) = expected_outcome else {
            panic!("{fault:?}: {name} passed");
        };
        assert_eq!(trusted(headers), trusted(expected), "{fault:?}: {name}");
    }
}

#[test]
fn all_valid_requests_pass_on_a_working_host() {
    let (outcomes, host) = run(None, &Edge::new(1));
    for (name, outcome) in outcomes {
        let passed = matches!(outcome, Outcome::Passed(_));
        assert_eq!(passed, PASS.contains(&name), "{name}: {outcome:?}");
    }
    for call in Call::ALL {
        assert!(
            host.state().made.contains_key(&call),
            "{call:?} is never made"
        );
    }
}

#[test]
fn a_call_that_always_fails_allows_no_other_request() {
    let edge = Edge::new(1);
    let (expected, _) = run(None, &edge);
    for call in Call::ALL {
        let fault = Fault { call, only: None };
        allows_no_other_request(fault, &run(Some(fault), &edge).0, &expected);
    }
}

#[test]
fn a_call_that_fails_once_allows_no_other_request() {
    let edge = Edge::new(1);
    let (expected, host) = run(None, &edge);
    for call in Call::ALL {
        let made = host.state().made[&call];
        // Only a sample of frequent calls: metrics are defined hundreds of times.
        for only in (0..made).step_by(made.div_ceil(60)) {
            let fault = Fault {
                call,
                only: Some(only),
            };
            allows_no_other_request(fault, &run(Some(fault), &edge).0, &expected);
        }
    }
}
