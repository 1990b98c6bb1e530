use super::*;
use crate::denial::Reason;
use crate::policy::condition::{ClaimTest, Scalar, TextTest};
use crate::policy::explanation::{Refusal, StepUp};
use crate::policy::path::CanonicalPath;
use crate::policy::pattern::PathPattern;
use crate::policy::roles::{RoleFormat, RoleModelBuilder, RoleSource};

fn roles() -> RoleModelBuilder {
    let source = RoleSource {
        claim: ClaimPath::from("roles"),
        format: RoleFormat::List,
    };
    RoleModelBuilder::new(Some(source), &[("admin".into(), vec!["editor".into()])])
}

fn needs(builder: &mut RoleModelBuilder, names: &[&str]) -> Vec<RoleNeed> {
    names.iter().map(|name| builder.need(name)).collect()
}

fn conditions(conditions: Conditions) -> Alternative {
    Alternative::Conditions(Box::new(conditions))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A check of claims (none if empty) on `/tenants/{tenant}/{*rest}`, requested for tenant `a`.
fn check_with(
    alternatives: Vec<Alternative>,
    builder: RoleModelBuilder,
    claims: &str,
    peers: &[&str],
) -> Result<Grant, Refusal> {
    let access = Access::new(alternatives).unwrap();
    let model = builder.build().unwrap();
    let claims = (!claims.is_empty()).then(|| Claims::parse(claims.as_bytes()).unwrap().unwrap());
    let pattern = PathPattern::parse("/tenants/{tenant}/{*rest}").unwrap();
    let path = CanonicalPath::parse(b"/tenants/a").unwrap();
    let resolved = claims.as_ref().map(|claims| model.roles_of(claims));
    let subject = Subject {
        claims: claims.as_ref(),
        role_model: &model,
        roles: None,
        issuer: Some("https://edge"),
        variables: Variables::of(&pattern, &path),
        headers: &NoHeaders,
        peers,
        now: 1_000_000,
    };
    let result = check(&access, &subject);
    let cached = check(
        &access,
        &Subject {
            roles: resolved.as_ref(),
            ..subject
        },
    );
    assert_eq!(result, cached, "resolved roles make no difference");
    result
}

fn refusal(alternatives: Vec<Alternative>, claims: &str) -> (Reason, String) {
    let refusal = check_with(alternatives, roles(), claims, &[]).unwrap_err();
    (refusal.reason, refusal.explanation.to_string())
}

fn passes(one: Conditions, claims: &str) -> bool {
    check_with(vec![conditions(one)], roles(), claims, &[]).is_ok()
}

fn bind(variable: &str, claim: &str) -> Vec<Binding> {
    vec![Binding {
        variable: variable.into(),
        claim: ClaimPath::from(claim),
    }]
}

fn acr(value: &str) -> Test {
    Test::Claim {
        path: ClaimPath::from("acr"),
        test: ClaimTest::Equals(Scalar::String(value.into())),
    }
}

fn max_age(seconds: u64) -> Test {
    Test::Claim {
        path: ClaimPath::from("auth_time"),
        test: ClaimTest::MaxAge(seconds),
    }
}

fn when(test: Test) -> Conditions {
    Conditions {
        when: Some(test),
        ..Conditions::default()
    }
}

#[test]
fn a_public_route_needs_nothing() {
    let grant = check_with(vec![Alternative::Public], roles(), "", &[]).unwrap();
    assert_eq!((grant.alternative(), grant.means()), (0, Means::Public));
}

#[test]
fn an_authenticated_route_needs_claims() {
    let grant = check_with(vec![Alternative::Authenticated], roles(), "{}", &[]).unwrap();
    assert_eq!(grant.means(), Means::Claims);
    let (reason, text) = refusal(vec![Alternative::Authenticated], "");
    assert_eq!((reason, &*text), (Reason::ClaimsMissing, "claims: none"));
}

#[test]
fn a_role_is_held_directly_or_by_inclusion() {
    let mut builder = roles();
    let any_role = needs(&mut builder, &["editor", "owner"]);
    let one = || {
        vec![conditions(Conditions {
            any_role: any_role.clone(),
            ..Conditions::default()
        })]
    };
    for claims in [
        r#"{"roles":["editor"]}"#,
        r#"{"roles":["admin"]}"#,
        r#"{"roles":"owner"}"#,
    ] {
        let mut builder = roles();
        needs(&mut builder, &["editor", "owner"]);
        assert!(check_with(one(), builder, claims, &[]).is_ok(), "{claims}");
    }
    let mut builder = roles();
    needs(&mut builder, &["editor", "owner"]);
    let refusal = check_with(one(), builder, r#"{"roles":["reader"]}"#, &[]).unwrap_err();
    assert_eq!(refusal.reason, Reason::Role);
    assert_eq!(
        refusal.explanation.to_string(),
        "role: has [reader], needs any of [editor, owner]"
    );
}

#[test]
fn all_roles_means_every_one() {
    let check_roles = |claims: &str| {
        let mut builder = roles();
        let all_roles = needs(&mut builder, &["editor", "auditor"]);
        let one = conditions(Conditions {
            all_roles,
            ..Conditions::default()
        });
        check_with(vec![one], builder, claims, &[])
    };
    assert!(check_roles(r#"{"roles":["admin","auditor"]}"#).is_ok());
    let refusal = check_roles(r#"{"roles":["admin"]}"#).unwrap_err();
    assert_eq!(
        refusal.explanation.to_string(),
        "role: has [admin], needs all of [editor, auditor]"
    );
}

#[test]
fn issuers_and_audiences_are_the_routes_own() {
    let issuers = |issuers: &[&str]| Conditions {
        issuers: strings(issuers),
        ..Conditions::default()
    };
    assert!(passes(issuers(&["https://other", "https://edge"]), "{}"));
    let (reason, text) = refusal(vec![conditions(issuers(&["https://other"]))], "{}");
    assert_eq!(
        (reason, &*text),
        (Reason::IssuerRoute, "issuer: needs any of [https://other]")
    );
    let audiences = || Conditions {
        audiences: strings(&["orders"]),
        ..Conditions::default()
    };
    assert!(passes(audiences(), r#"{"aud":"orders"}"#));
    assert!(passes(audiences(), r#"{"aud":["x","orders"]}"#));
    for claims in [
        "{}",
        r#"{"aud":"order"}"#,
        r#"{"aud":["x"]}"#,
        r#"{"aud":{"orders":1}}"#,
    ] {
        let (reason, text) = refusal(vec![conditions(audiences())], claims);
        assert_eq!(
            (reason, &*text),
            (Reason::AudienceRoute, "audience: needs any of [orders]")
        );
    }
}

#[test]
fn scopes_come_from_a_string_or_a_list() {
    let scopes = || Conditions {
        scopes: Some(Scopes {
            claim: ClaimPath::from("scope"),
            all: strings(&["orders:read", "orders:write"]),
        }),
        ..Conditions::default()
    };
    assert!(passes(
        scopes(),
        r#"{"scope":"orders:write x orders:read"}"#
    ));
    assert!(passes(
        scopes(),
        r#"{"scope":["orders:write","orders:read"]}"#
    ));
    for claims in [
        r#"{"scope":"orders:read"}"#,
        r#"{"scope":["orders:read orders:write"]}"#,
        r#"{"scope":["orders:read","orders:write",1]}"#,
        r#"{"scope":"orders:read,orders:write"}"#,
        "{}",
    ] {
        assert_eq!(
            refusal(vec![conditions(scopes())], claims).0,
            Reason::Scope,
            "{claims}"
        );
    }
    let (_, text) = refusal(vec![conditions(scopes())], r#"{"scope":"orders:read"}"#);
    assert_eq!(
        text,
        "scope: has [orders:read], needs all of [orders:read, orders:write]"
    );
}

#[test]
fn a_bound_variable_equals_a_string_or_a_member() {
    let tenant = || Conditions {
        bind: bind("tenant", "tenant_id"),
        ..Conditions::default()
    };
    assert!(passes(tenant(), r#"{"tenant_id":"a"}"#));
    assert!(passes(tenant(), r#"{"tenant_id":["b","a"]}"#));
    let (reason, text) = refusal(vec![conditions(tenant())], r#"{"tenant_id":"secret"}"#);
    assert_eq!(
        (reason, &*text),
        (
            Reason::BindingRoute,
            r#"binding: {tenant} is "a", claim tenant_id differs"#
        )
    );
    for claims in ["{}", r#"{"tenant_id":5}"#, r#"{"tenant_id":{"a":1}}"#] {
        let (_, text) = refusal(vec![conditions(tenant())], claims);
        assert!(text.ends_with("absent or of another type"), "{text}");
    }
    assert!(!passes(tenant(), r#"{"tenant_id":"A"}"#));
    assert!(!passes(tenant(), r#"{"tenant_id":[]}"#));
}

#[test]
fn an_empty_rest_and_an_unknown_variable_equal_nothing() {
    for variable in ["rest", "nobody"] {
        let one = Conditions {
            bind: bind(variable, "x"),
            ..Conditions::default()
        };
        assert!(!passes(one, r#"{"x":""}"#), "{variable}");
    }
}

#[test]
fn peers_alone_need_no_claims_and_beside_others_they_do() {
    let peers = || vec![PeerPattern::parse("spiffe://td/ns/edge/*").unwrap()];
    let alone = || {
        conditions(Conditions {
            peers: peers(),
            ..Conditions::default()
        })
    };
    let edge = "spiffe://td/ns/edge/sa";
    let grant = check_with(vec![alone()], roles(), "", &[edge]).unwrap();
    assert_eq!(grant.means(), Means::Peer);
    let grant = check_with(vec![alone()], roles(), "{}", &[edge]).unwrap();
    assert_eq!(grant.means(), Means::Peer);
    for found in [
        &[][..],
        &["spiffe://td/ns/x/sa"],
        &[edge, "spiffe://td/ns/x/sa"],
    ] {
        let refusal = check_with(vec![alone()], roles(), "", found).unwrap_err();
        assert_eq!(refusal.reason, Reason::Peer, "{found:?}");
    }
    let both = || {
        conditions(Conditions {
            peers: peers(),
            audiences: strings(&["orders"]),
            ..Conditions::default()
        })
    };
    let refusal = check_with(vec![both()], roles(), "", &[edge]).unwrap_err();
    assert_eq!(refusal.reason, Reason::ClaimsMissing);
    let claims = r#"{"aud":"orders"}"#;
    assert_eq!(
        check_with(vec![both()], roles(), claims, &[edge])
            .unwrap()
            .means(),
        Means::Claims
    );
    let refusal = check_with(vec![both()], roles(), claims, &[]).unwrap_err();
    assert_eq!(
        refusal.explanation.to_string(),
        "peer: there is none, needs any of [spiffe://td/ns/edge/*]"
    );
}

#[test]
fn header_conditions_alone_need_claims() {
    let one = when(Test::Header {
        name: "x-env".into(),
        test: TextTest::Exists,
    });
    assert_eq!(refusal(vec![conditions(one)], "").0, Reason::ClaimsMissing);
}

#[test]
fn one_alternative_suffices_and_the_first_that_holds_is_named() {
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
    let held = |claims: &str| {
        check_with(alternatives(), roles(), claims, &[])
            .map(Grant::alternative)
            .ok()
    };
    assert_eq!(held(r#"{"aud":"a","tenant_id":"a"}"#), Some(0));
    assert_eq!(held(r#"{"tenant_id":"a"}"#), Some(1));
    assert_eq!(held("{}"), None);
}

#[test]
fn the_alternative_that_got_furthest_is_reported() {
    let one = |audience: &str, tenant: &str| {
        conditions(Conditions {
            audiences: strings(&[audience]),
            bind: bind("tenant", tenant),
            ..Conditions::default()
        })
    };
    let claims = r#"{"aud":"good","tenant_id":"x"}"#;
    assert_eq!(
        refusal(
            vec![one("bad", "tenant_id"), one("good", "tenant_id")],
            claims
        )
        .0,
        Reason::BindingRoute
    );
    assert_eq!(
        refusal(
            vec![one("good", "tenant_id"), one("bad", "tenant_id")],
            claims
        )
        .0,
        Reason::BindingRoute
    );
    // None further than the other: the first.
    let (_, text) = refusal(vec![one("b1", "tenant_id"), one("b2", "tenant_id")], claims);
    assert_eq!(text, "audience: needs any of [b1]");
    // One that a step-up would satisfy, before all others.
    let step = conditions(when(acr("mfa")));
    assert_eq!(
        refusal(vec![one("good", "tenant_id"), step], claims).0,
        Reason::StepUp
    );
}

#[test]
fn without_claims_the_reason_is_that_unless_claims_could_not_help() {
    let peers = conditions(Conditions {
        peers: vec![PeerPattern::parse("spiffe://td/x").unwrap()],
        ..Conditions::default()
    });
    let reason = refusal(vec![peers.clone(), Alternative::Authenticated], "").0;
    assert_eq!(reason, Reason::ClaimsMissing);
    assert_eq!(refusal(vec![peers], "").0, Reason::Peer);
}

#[test]
fn a_condition_that_fails_is_named_without_the_claims_value() {
    let test = Test::Claim {
        path: ClaimPath::from("dept"),
        test: ClaimTest::Equals(Scalar::String("sales".into())),
    };
    let one = || conditions(when(Test::All(vec![test.clone()])));
    let (reason, text) = refusal(vec![one()], r#"{"dept":"secret"}"#);
    assert_eq!(
        (reason, &*text),
        (
            Reason::Condition,
            r#"condition: claim dept equals "sales": does not hold"#
        )
    );
    let (_, text) = refusal(vec![one()], "{}");
    assert!(text.contains("absent"), "{text}");
}

#[test]
fn only_what_a_new_login_would_mend_is_a_step_up() {
    let step_up = |test: Test, claims: &str| {
        let refusal = check_with(vec![conditions(when(test))], roles(), claims, &[]).unwrap_err();
        assert_eq!(
            refusal.reason == Reason::StepUp,
            refusal.step_up().is_some()
        );
        refusal.step_up().cloned()
    };
    let asks = |acr_values: &[&str], max_age: Option<u64>| {
        Some(StepUp {
            acr_values: strings(acr_values),
            max_age,
        })
    };
    let dept = || Test::Claim {
        path: ClaimPath::from("dept"),
        test: ClaimTest::Exists,
    };
    let acr_in = Test::Claim {
        path: ClaimPath::from("acr"),
        test: ClaimTest::In(vec![
            Scalar::String("gold".into()),
            Scalar::String("silver".into()),
            Scalar::String("not \"quotable".into()),
        ]),
    };
    assert_eq!(
        step_up(acr("mfa"), r#"{"acr":"pwd"}"#),
        asks(&["mfa"], None)
    );
    assert_eq!(step_up(acr("mfa"), "{}"), asks(&["mfa"], None));
    assert_eq!(step_up(acr_in, "{}"), asks(&["gold", "silver"], None));
    assert_eq!(
        step_up(max_age(900), r#"{"auth_time":1}"#),
        asks(&[], Some(900))
    );
    let both = || Test::All(vec![acr("mfa"), max_age(900), max_age(600)]);
    assert_eq!(step_up(both(), "{}"), asks(&["mfa"], Some(600)));
    // What holds already is not asked for.
    let fresh = r#"{"auth_time":999990}"#;
    assert_eq!(step_up(both(), fresh), asks(&["mfa"], None));
    // Something else fails too.
    assert_eq!(step_up(Test::All(vec![acr("mfa"), dept()]), "{}"), None);
    assert_eq!(
        step_up(Test::All(vec![acr("mfa"), dept()]), r#"{"dept":1}"#),
        asks(&["mfa"], None)
    );
    // One way out is enough, and only its needs are asked for.
    let either = Test::Any(vec![
        dept(),
        Test::All(vec![dept(), max_age(1)]),
        acr("mfa"),
    ]);
    assert_eq!(step_up(either, "{}"), asks(&["mfa"], None));
    // Nobody can be asked to have another acr than one.
    assert_eq!(
        step_up(Test::Not(Box::new(acr("pwd"))), r#"{"acr":"pwd"}"#),
        None
    );
    // A claim of that name further inside is another claim.
    let inner = Test::Claim {
        path: ClaimPath::new(strings(&["x", "acr"])).unwrap(),
        test: ClaimTest::Exists,
    };
    assert_eq!(step_up(inner, "{}"), None);
}

#[test]
fn a_step_up_needs_everything_else_to_hold() {
    let one = Conditions {
        audiences: strings(&["orders"]),
        ..when(acr("mfa"))
    };
    assert_eq!(
        refusal(vec![conditions(one.clone())], "{}").0,
        Reason::AudienceRoute
    );
    assert_eq!(
        refusal(vec![conditions(one.clone())], "").0,
        Reason::ClaimsMissing
    );
    assert_eq!(
        refusal(vec![conditions(one)], r#"{"aud":"orders"}"#).0,
        Reason::StepUp
    );
}

#[test]
fn explanations_are_bounded_and_clean() {
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
    let refusal = check_with(vec![conditions(one)], builder, &claims, &[]).unwrap_err();
    let text = refusal.explanation.to_string();
    assert!(text.len() < 500 && text.contains("and 481 more"), "{text}");
    assert!(!text.contains('\n'));
}

#[test]
fn alternatives_that_never_decide_are_refused() {
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
