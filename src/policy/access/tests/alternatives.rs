//! Several alternatives, and the one that a denial reports.

use super::*;

#[test]
fn one_alternative_is_sufficient() {
    let alternatives = || {
        vec![
            conditions(Conditions {
                audiences: strings(&["a"]),
                ..Conditions::default()
            }),
            conditions(Conditions {
                bind: bind("tenant", "tenant_id"),
                ..Conditions::default()
            }),
        ]
    };
    let held = |claims: &str| check_with(alternatives(), roles(), claims, &[]).is_ok();
    assert!(held(r#"{"aud":"a","tenant_id":"a"}"#));
    assert!(held(r#"{"tenant_id":"a"}"#));
    assert!(!held("{}"));
}

#[test]
fn the_closest_alternative_is_reported() {
    let one = |audience: &str, tenant: &str| {
        conditions(Conditions {
            audiences: strings(&[audience]),
            bind: bind("tenant", tenant),
            ..Conditions::default()
        })
    };
    let claims = r#"{"aud":"good","tenant_id":"x"}"#;
    assert_eq!(
        denial(
            vec![one("bad", "tenant_id"), one("good", "tenant_id")],
            claims
        )
        .0,
        Reason::BindingRoute
    );
    assert_eq!(
        denial(
            vec![one("good", "tenant_id"), one("bad", "tenant_id")],
            claims
        )
        .0,
        Reason::BindingRoute
    );
    // If both are equally close, the first is reported.
    let (_, text) = denial(vec![one("b1", "tenant_id"), one("b2", "tenant_id")], claims);
    assert_eq!(text, "audience: needs any of [b1]");
    // An alternative that a step-up would satisfy comes first.
    let step = conditions(when(acr("mfa")));
    assert_eq!(
        denial(vec![one("good", "tenant_id"), step], claims).0,
        Reason::StepUp
    );
}

#[test]
fn without_claims_the_reason_is_claims_missing_if_claims_could_help() {
    let peers = conditions(Conditions {
        peers: vec![PeerPattern::parse("spiffe://td/x").unwrap()],
        ..Conditions::default()
    });
    let reason = denial(vec![peers.clone(), Alternative::Authenticated], "").0;
    assert_eq!(reason, Reason::ClaimsMissing);
    assert_eq!(denial(vec![peers], "").0, Reason::Peer);
}

#[test]
fn a_failed_condition_is_explained_without_the_claims_value() {
    let test = Test::Claim {
        path: ClaimPath::from("dept"),
        test: ClaimTest::Equals(Scalar::String("sales".into())),
    };
    let one = || conditions(when(Test::All(vec![test.clone()])));
    let (reason, text) = denial(vec![one()], r#"{"dept":"secret"}"#);
    assert_eq!(
        (reason, &*text),
        (
            Reason::Condition,
            r#"condition: claim dept equals "sales": does not hold"#
        )
    );
    let (_, text) = denial(vec![one()], "{}");
    assert!(text.contains("absent"), "{text}");
}

#[test]
fn explanations_are_limited_and_have_no_control_characters() {
    let roles: Vec<String> = (0..500).map(|index| format!("\"r{index}\\n\"")).collect();
    let claims = format!(
        r#"{{"roles":["{}",{}]}}"#,
        "x".repeat(5_000),
        roles.join(",")
    );
    let mut builder = self::roles();
    let one = Conditions {
        any_role: needs(&mut builder, &["owner"]),
        ..Conditions::default()
    };
    let denial = check_with(vec![conditions(one)], builder, &claims, &[]).unwrap_err();
    let text = denial.explanation.clone().unwrap_or_default();
    assert!(text.len() < 500 && text.contains("and 481 more"), "{text}");
    assert!(!text.contains('\n'));
}

#[test]
fn alternatives_that_never_decide_are_rejected() {
    let one = || {
        conditions(Conditions {
            audiences: strings(&["a"]),
            ..Conditions::default()
        })
    };
    let peers = || {
        conditions(Conditions {
            peers: vec![PeerPattern::parse("spiffe://td/x").unwrap()],
            ..Conditions::default()
        })
    };
    use Alternative::{Authenticated, Public};
    let never = |unused, by| Err(AccessError::NeverDecides { unused, by });
    for (alternatives, result) in [
        (vec![], Err(AccessError::NoAlternative)),
        (
            vec![one(), conditions(Conditions::default())],
            Err(AccessError::NoCondition(1)),
        ),
        (vec![Public, one()], never(1, "public")),
        (vec![peers(), Public], never(0, "public")),
        (vec![Authenticated, Public], never(0, "public")),
        (vec![Public, Public], never(1, "public")),
        (vec![one(), Authenticated], never(0, "authenticated")),
        (
            vec![Authenticated, Authenticated],
            never(1, "authenticated"),
        ),
        (vec![Authenticated, peers()], Ok(())),
        (vec![one(), peers()], Ok(())),
        (
            vec![conditions(Conditions {
                scopes: Some(Scopes {
                    claim: ClaimPath::from("scope"),
                    all: vec![],
                }),
                ..Conditions::default()
            })],
            Err(AccessError::NoScope(0)),
        ),
        (
            vec![conditions(when(Test::All(vec![])))],
            Err(AccessError::When {
                index: 0,
                error: TestError::Empty("all"),
            }),
        ),
    ] {
        assert_eq!(Access::new(alternatives).map(|_| ()), result);
    }
}
