mod alternatives;
mod conditions;
mod step_up;

use super::*;
use crate::denial::Reason;
use crate::denial::{Denial, StepUp};
use crate::policy::condition::{ClaimTest, Scalar, TextTest};
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

/// Checks claims (none if empty) for a request of tenant `a` to `/tenants/{tenant}/{*rest}`.
fn check_with(
    alternatives: Vec<Alternative>,
    builder: RoleModelBuilder,
    claims: &str,
    peers: &[&str],
) -> Result<Basis<()>, Box<Denial>> {
    let access = Access::new(alternatives).unwrap();
    let model = builder.build().unwrap();
    let claims = (!claims.is_empty()).then(|| Claims::parse(claims.as_bytes()).unwrap().unwrap());
    let pattern = PathPattern::parse("/tenants/{tenant}/{*rest}").unwrap();
    let path = CanonicalPath::parse(b"/tenants/a").unwrap();
    let roles = claims.as_ref().map(|claims| model.roles_of(claims));
    let peers: Vec<String> = peers.iter().map(|peer| (*peer).to_owned()).collect();
    let request = AccessRequest {
        claims: claims.as_ref(),
        roles: roles.as_ref(),
        issuer: Some("https://edge"),
        role_model: &model,
        variables: Variables::of(&pattern, &path),
        headers: &Headers::default(),
        peers: &peers,
        now: 1_000_000,
    };
    check(&access, claims.as_ref().map(|_| ()), &request)
}

fn denial(alternatives: Vec<Alternative>, claims: &str) -> (Reason, String) {
    let denial = check_with(alternatives, roles(), claims, &[]).unwrap_err();
    (denial.reason, denial.explanation.unwrap_or_default())
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
