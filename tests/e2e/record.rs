//! The filter's own record: its fields, its schema, its sampling.

use std::collections::BTreeSet;

use edge_claims_harness::{Envoy, Request, envoy, tools};
use serde_json::{Value, json};

use crate::every_reason::{LOG_KEY, OUT_OF_REACH, Reasons};
use crate::support::{CLAIMS, World};

/// What the filter recorded so far, parsed.
fn records(envoy: &Envoy) -> Vec<Value> {
    lines(envoy)
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn lines(envoy: &Envoy) -> Vec<String> {
    let start = "{\"event\":\"edge_claims\"";
    let log = envoy.log();
    let found = log
        .lines()
        .filter_map(|line| Some(line[line.find(start)?..].to_owned()));
    found.collect()
}

/// Sends a request under an ID and returns its record.
#[track_caller]
fn record_of(envoy: &Envoy, request: Request, id: &str) -> Value {
    let response = request.header("x-correlation-id", id).send();
    assert_ne!(response.status, 0, "{response:?}");
    let line = envoy.wait_for_log(&format!("\"correlation_id\":\"{id}\""));
    serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap()
}

fn document() -> Value {
    let path = tools::root().join("docs/record.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&document()).expect("the schema is one")
}

#[test]
fn every_line_of_a_mixed_run_fits_the_schema() {
    let schema = schema();
    for mode in ["enforce", "shadow"] {
        let mut world = Reasons::start(|policy| policy["mode"] = json!(mode), |setup| setup);
        let mut expected = 0;
        let mut reasons = BTreeSet::new();
        for (reason, request) in world.requests() {
            let id = format!("{mode}-{expected}");
            let record = record_of(&world.envoy, request, &id);
            let malformed = [
                "claims_repeated",
                "request_malformed",
                "path_ambiguous",
                "spoofed_header",
            ];
            let verdict = match reason {
                "allow" => "allow",
                _ if mode == "shadow" && !malformed.contains(&reason) => "shadow",
                _ => "deny",
            };
            assert_eq!(record["outcome"], verdict, "{reason}: {record}");
            if verdict != "allow" {
                assert_eq!(record["reason"], reason, "{record}");
            }
            reasons.insert(reason);
            expected += 1;
        }
        let missing: Vec<String> = codes()
            .into_iter()
            .filter(|code| !reasons.contains(code.as_str()))
            .collect();
        assert_eq!(missing, OUT_OF_REACH, "not provoked");
        expected += hostile_requests(&world.envoy);
        let seen = envoy::wait("all records", || {
            Some(records(&world.envoy)).filter(|it| it.len() >= expected)
        });
        for record in seen.unwrap() {
            let problems: Vec<String> = schema
                .iter_errors(&record)
                .map(|it| it.to_string())
                .collect();
            assert!(problems.is_empty(), "{record:#}: {problems:#?}");
        }
        for line in lines(&world.envoy) {
            assert!(
                line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{line:?}"
            );
        }
    }
}

/// The codes of the schema; tests/docs.rs holds them against the enum.
fn codes() -> Vec<String> {
    let codes = document()["properties"]["reason"]["enum"].clone();
    serde_json::from_value(codes).unwrap()
}

/// Bytes of all kinds where the record shows what a client sent. The number that reached the filter.
fn hostile_requests(envoy: &Envoy) -> usize {
    let odd: [&[u8]; 5] = [
        b"\xff\xfe",
        b"\"},{\"event\":\"x\"",
        b"\xc3\xa9\xf0\x9f\x98\x80",
        b"\\u0000",
        &[b'a'; 2_000],
    ];
    let mut reached = 0;
    for bytes in odd {
        let path = [b"/public/", bytes].concat();
        let requests = [
            envoy.get(&path),
            envoy
                .get("/public/x")
                .header("x-request-id", bytes)
                .header("traceparent", bytes),
            envoy.get("/public/x").host(bytes),
            envoy.get("/public/x").http2().header("x-request-id", bytes),
            envoy
                .get("/public/x")
                .header(CLAIMS, bytes)
                .header("user-agent", bytes),
        ];
        for request in requests {
            reached += usize::from(request.send().header("x-correlation-id").is_some());
        }
    }
    assert!(reached > 15, "Envoy let only {reached} of them through");
    reached
}

#[test]
fn a_record_links_the_ids_and_shows_no_query() {
    let world = World::with(
        |policy| policy["log"] = json!({"allow": 1.0}),
        |setup| setup,
    );
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let request = world
        .envoy
        .get("/public/x?token=secret")
        .header("traceparent", &parent);
    let record = record_of(&world.envoy, request.header("tracestate", "a=b"), "linked");
    let seen = world.upstream.only();
    assert_eq!(record["trace_id"], trace);
    assert_eq!(
        record["request_id"].as_str(),
        seen.header("x-request-id").as_deref()
    );
    assert_eq!(
        (&record["path"], &record["route"]),
        (&json!("/public/x"), &json!("public"))
    );
    assert_eq!(seen.header("traceparent"), Some(parent));
    assert_eq!(seen.header("tracestate").as_deref(), Some("a=b"));
    for (n, bad) in [
        "00-0-0-01",
        "x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ]
    .iter()
    .enumerate()
    {
        let request = world.envoy.get("/public/x").header("traceparent", bad);
        let record = record_of(&world.envoy, request, &format!("bad-{n}"));
        assert_eq!(record.get("trace_id"), None, "{bad}");
        assert_eq!(
            world.upstream.only().header("traceparent").as_deref(),
            Some(*bad),
            "untouched"
        );
    }
}

#[test]
fn shares_are_sampled() {
    let share = json!({"allow": 0.3, "deny": 0.0, "shadow": 0.5});
    let world = World::with(
        |policy| {
            policy["log"] = share;
            policy["rbac"]["routes"][5]["mode"] = json!("shadow");
        },
        |setup| setup,
    );
    let send = |path: &str| {
        let requests: Vec<Vec<u8>> = vec![world.envoy.get(path).to_http1(); 400];
        let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        world.envoy.client().conversation(&requests)
    };
    for (path, status) in [("/public/x", 200), ("/me", 401), ("/audit", 200)] {
        assert!(send(path).iter().all(|response| response.status == status));
    }
    // A record is written before its request goes on, so that all are there.
    let records = records(&world.envoy);
    let count = |verdict: &str| {
        records
            .iter()
            .filter(|record| record["outcome"] == verdict)
            .count()
    };
    // Six standard deviations to each side: 9.2 of 400 at 0.3, 10 at 0.5.
    let (allow, shadow) = (count("allow"), count("shadow"));
    assert!((65..=175).contains(&allow), "{allow} of 400 at 0.3");
    assert!((140..=260).contains(&shadow), "{shadow} of 400 at 0.5");
    assert_eq!(count("deny"), 0);
}

#[test]
fn subjects_are_shown_as_a_keyed_hash_or_not_at_all() {
    let hash = |key: &str, subject: &str| -> String {
        let mac = hmac_sha256::HMAC::mac(subject.as_bytes(), key.as_bytes());
        mac[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut world = Reasons::start(|_| {}, |setup| setup);
    for subject in ["alice", "bob"] {
        let token = world.token(&json!({"sub": subject}));
        let record = record_of(
            &world.envoy,
            world.envoy.get("/me").header(CLAIMS, token),
            subject,
        );
        assert_eq!(record["subject"], hash(LOG_KEY.1, subject));
    }
    for log in [
        json!({"allow": 1.0}),
        json!({"allow": 1.0, "subject": "none", "hash_key_env": LOG_KEY.0}),
        json!({"allow": 1.0, "hash_key_env": "NOT_THERE"}),
    ] {
        let missing = log["hash_key_env"] == "NOT_THERE";
        let mut world = Reasons::start(|policy| policy["log"] = log, |setup| setup);
        let token = world.token(&json!({"sub": "alice-the-subject"}));
        let record = record_of(
            &world.envoy,
            world.envoy.get("/me").header(CLAIMS, token),
            "none",
        );
        assert_eq!(record.get("subject"), None, "{record}");
        assert_eq!(
            world
                .envoy
                .log()
                .contains("no NOT_THERE in the VM's environment"),
            missing
        );
        assert!(!world.envoy.log().contains("alice-the-subject"));
    }
}
