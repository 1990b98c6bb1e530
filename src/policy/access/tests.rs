mod alternatives;
mod conditions;
mod step_up;

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

fn needs(builder: &mut RoleModelBuilder, names: &[&str]) -> Vec<RequiredRole> {
    names.iter().map(|name| builder.require(name)).collect()
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
        headers: &crate::headers::Headers::default(),
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
