//! The kinds of conditions.

use super::*;

#[test]
fn a_public_route_needs_nothing() {
    let grant = check_with(vec![Alternative::Public], roles(), "", &[]).unwrap();
    assert_eq!(grant, Basis::Public);
}

#[test]
fn an_authenticated_route_needs_claims() {
    let grant = check_with(vec![Alternative::Authenticated], roles(), "{}", &[]).unwrap();
    assert_eq!(grant, Basis::Claims(()));
    let (reason, text) = denial(vec![Alternative::Authenticated], "");
    assert_eq!((reason, &*text), (Reason::ClaimsMissing, ""));
}

#[test]
fn a_role_can_be_included_by_another_role() {
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
    let denial = check_with(one(), builder, r#"{"roles":["reader"]}"#, &[]).unwrap_err();
    assert_eq!(denial.reason, Reason::Role);
    assert_eq!(
        denial.explanation.clone().unwrap_or_default(),
        "role: has [reader], needs any of [editor, owner]"
    );
}

#[test]
fn all_roles_requires_every_role() {
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
    let denial = check_roles(r#"{"roles":["admin"]}"#).unwrap_err();
    assert_eq!(
        denial.explanation.clone().unwrap_or_default(),
        "role: has [admin], needs all of [editor, auditor]"
    );
}

#[test]
fn a_route_can_restrict_issuers_and_audiences() {
    let issuers = |issuers: &[&str]| Conditions {
        issuers: strings(issuers),
        ..Conditions::default()
    };
    assert!(passes(issuers(&["https://other", "https://edge"]), "{}"));
    let (reason, text) = denial(vec![conditions(issuers(&["https://other"]))], "{}");
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
        let (reason, text) = denial(vec![conditions(audiences())], claims);
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
            denial(vec![conditions(scopes())], claims).0,
            Reason::Scope,
            "{claims}"
        );
    }
    let (_, text) = denial(vec![conditions(scopes())], r#"{"scope":"orders:read"}"#);
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
    let (reason, text) = denial(vec![conditions(tenant())], r#"{"tenant_id":"secret"}"#);
    assert_eq!(
        (reason, &*text),
        (
            Reason::BindingRoute,
            r#"binding: {tenant} is "a", claim tenant_id differs"#
        )
    );
    for claims in ["{}", r#"{"tenant_id":5}"#, r#"{"tenant_id":{"a":1}}"#] {
        let (_, text) = denial(vec![conditions(tenant())], claims);
        assert!(text.ends_with("absent or of another type"), "{text}");
    }
    assert!(!passes(tenant(), r#"{"tenant_id":"A"}"#));
    assert!(!passes(tenant(), r#"{"tenant_id":[]}"#));
}

#[test]
fn an_empty_tail_or_unknown_variable_never_equals_a_claim() {
    for variable in ["rest", "nobody"] {
        let one = Conditions {
            bind: bind(variable, "x"),
            ..Conditions::default()
        };
        assert!(!passes(one, r#"{"x":""}"#), "{variable}");
    }
}

#[test]
fn peers_need_claims_only_together_with_other_conditions() {
    let peers = || vec![PeerPattern::parse("spiffe://td/ns/edge/*").unwrap()];
    let alone = || {
        conditions(Conditions {
            peers: peers(),
            ..Conditions::default()
        })
    };
    let edge = "spiffe://td/ns/edge/sa";
    let grant = check_with(vec![alone()], roles(), "", &[edge]).unwrap();
    assert_eq!(grant, Basis::Peer);
    let grant = check_with(vec![alone()], roles(), "{}", &[edge]).unwrap();
    assert_eq!(grant, Basis::Peer);
    for found in [
        &[][..],
        &["spiffe://td/ns/x/sa"],
        &[edge, "spiffe://td/ns/x/sa"],
    ] {
        let denial = check_with(vec![alone()], roles(), "", found).unwrap_err();
        assert_eq!(denial.reason, Reason::Peer, "{found:?}");
    }
    let both = || {
        conditions(Conditions {
            peers: peers(),
            audiences: strings(&["orders"]),
            ..Conditions::default()
        })
    };
    let denial = check_with(vec![both()], roles(), "", &[edge]).unwrap_err();
    assert_eq!(denial.reason, Reason::ClaimsMissing);
    let claims = r#"{"aud":"orders"}"#;
    assert_eq!(
        check_with(vec![both()], roles(), claims, &[edge]).unwrap(),
        Basis::Claims(())
    );
    let denial = check_with(vec![both()], roles(), claims, &[]).unwrap_err();
    assert_eq!(
        denial.explanation.clone().unwrap_or_default(),
        "peer: none, needs any of [spiffe://td/ns/edge/*]"
    );
}

#[test]
fn header_conditions_need_claims() {
    let one = when(Test::Header {
        name: crate::header_name::HeaderName::parse("x-env").unwrap(),
        test: TextTest::Exists,
    });
    assert_eq!(denial(vec![conditions(one)], "").0, Reason::ClaimsMissing);
}
