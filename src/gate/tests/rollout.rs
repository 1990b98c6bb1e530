//! Shadow mode, `enforce_percent`, `on_failure`.

use serde_json::{Value, json};

use super::{Action, Bench, forged, get, token};

#[test]
fn shadow_mode_allows_all_but_malformed_requests() {
    let mut bench = Bench::with(|policy| policy["mode"] = json!("shadow"));
    let reader = token(&json!({"roles": ["reader"]}));
    let bad = forged(&reader);
    let claims = |token: &'static str| ("x-edge-claims", token);
    let (reader, bad): (&'static str, &'static str) = (reader.leak(), bad.leak());
    for (request, expected) in [
        (get("/me", &[]), "shadow/claims_missing/me"),
        (get("/me", &[claims(bad)]), "shadow/signature_invalid/me"),
        (get("/admin", &[claims(reader)]), "shadow/role/admin"),
        (get("/nowhere", &[claims(reader)]), "shadow/route_unknown/-"),
        (get("/mesh", &[]), "shadow/peer/mesh"),
        (get("/public/x", &[]), "allow/public"),
        (get("/me", &[claims(reader)]), "allow/me"),
        (get("/public//x", &[]), "deny/path_ambiguous/public"),
        (get("/%zz", &[]), "deny/request_malformed/-"),
        (
            get("/me", &[claims(reader), claims(reader)]),
            "deny/claims_repeated/-",
        ),
    ] {
        assert_eq!(bench.verdict(&request), expected, "{request:?}");
    }
    let seen = bench.forwarded(&get("/admin", &[claims(bad), ("x-auth-subject", "root")]));
    assert!(!seen.contains_key("x-auth-subject") && !seen.contains_key("x-edge-claims"));
    let seen = bench.forwarded(&get("/admin", &[claims(reader), ("x-auth-roles", "admin")]));
    assert_eq!(
        seen["x-auth-roles"],
        ["reader"],
        "identity is from verified claims only"
    );
    let counters = bench.gate.counters().take();
    assert_eq!(counters.shadowed.iter().sum::<u64>(), 7);
}

fn share(route: &str, percent: u8) -> Value {
    json!({"name": route, "path": format!("/{route}"), "enforce_percent": percent, "allow": {"any_role": ["x"]}})
}

#[test]
fn enforce_percent_selects_by_verified_subject_and_route() {
    let mut bench = Bench::with(|policy| {
        policy["rbac"]["routes"] = json!([
            share("zero", 0),
            share("one", 1),
            share("thirty", 30),
            share("also", 30),
            share("all", 100)
        ]);
    });
    let mut enforced = |route: &str, subject: &Value| {
        let token = token(&json!({"sub": subject}));
        let verdict = bench.verdict(&get(&format!("/{route}"), &[("x-edge-claims", &token)]));
        assert!(
            ["deny", "shadow"].contains(&verdict.split('/').next().unwrap()),
            "{verdict}"
        );
        verdict.starts_with("deny/")
    };
    let subjects: Vec<Value> = (0..500)
        .map(|index| json!(format!("user-{index}")))
        .collect();
    let mut of =
        |route: &str| -> Vec<bool> { subjects.iter().map(|it| enforced(route, it)).collect() };
    let (thirty, again, also) = (of("thirty"), of("thirty"), of("also"));
    assert_eq!(thirty, again, "the same subject, the same verdict");
    assert_ne!(thirty, also, "each route selects other subjects");
    let count = thirty.iter().filter(|it| **it).count();
    assert!((110..=190).contains(&count), "{count} of 500 for 30 %");
    assert!(of("all").iter().all(|it| *it) && of("zero").iter().all(|it| !it));
    // Without a subject, denials are enforced unless the share is 0.
    for nobody in [json!(null), json!(7), json!(["user-1"])] {
        assert!(
            enforced("one", &nobody) && enforced("thirty", &nobody),
            "{nobody}"
        );
        assert!(!enforced("zero", &nobody));
    }
    for route in ["one", "thirty"] {
        let path = format!("/{route}");
        assert_eq!(
            bench.verdict(&get(&path, &[])),
            format!("deny/claims_missing/{route}")
        );
        let bad = forged(&token(&json!({"sub": "user-1"})));
        let verdict = bench.verdict(&get(&path, &[("x-edge-claims", &bad)]));
        assert_eq!(verdict, format!("deny/signature_invalid/{route}"));
    }
    assert_eq!(
        bench.verdict(&get("/zero", &[])),
        "shadow/claims_missing/zero"
    );
}

#[test]
fn on_failure_overrides_statuses_of_a_route() {
    let mut bench = Bench::with(|policy| {
        policy["rbac"]["routes"][2]["on_failure"] =
            json!({"claims_missing": 404, "role": 404, "path_ambiguous": 404});
    });
    let mut status = |path: &str, claims: Option<Value>| {
        let token = claims.map(|claims| token(&claims));
        let headers: Vec<(&str, &str)> = token
            .iter()
            .map(|it| ("x-edge-claims", it.as_str()))
            .collect();
        match bench.decide(&get(path, &headers)).action {
            Action::Reply { reply, .. } => reply.status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(status("/admin", None), 404);
    assert_eq!(status("/admin", Some(json!({}))), 404);
    assert_eq!(status("/admin", Some(json!({"exp": 1}))), 401);
    assert_eq!(status("/me", None), 401);
    assert_eq!(status("/nowhere", None), 401);
}
