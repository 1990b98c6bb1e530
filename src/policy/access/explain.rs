//! Explains a failed check for the log: the test that failed, the actual and the required values.
//!
//! Only values of roles, scopes and path variables are shown, limited in number and length.

use super::AccessRequest;
use super::check::{FailedTest, check_binding, scopes_in};
use crate::denial::{Denial, Reason};
use crate::policy::condition::{Test, TestResult, failing};
use crate::policy::roles::RequiredRole;

/// The maximum number of names in a list.
const MAX_NAMES: usize = 20;

/// The maximum number of characters of a name.
const MAX_NAME: usize = 64;

#[cold]
pub(super) fn explain(failed: FailedTest<'_>, request: &AccessRequest<'_>) -> Box<Denial> {
    let (reason, explanation) = match &failed {
        FailedTest::ClaimsMissing => return Reason::ClaimsMissing.into(),
        FailedTest::Issuer(issuers) => (
            Reason::IssuerRoute,
            format!("issuer: needs any of {}", strings(issuers)),
        ),
        FailedTest::Audience(audiences) => (
            Reason::AudienceRoute,
            format!("audience: needs any of {}", strings(audiences)),
        ),
        FailedTest::AnyRole(needs) => (Reason::Role, roles("any", needs, request)),
        FailedTest::AllRoles(needs) => (Reason::Role, roles("all", needs, request)),
        FailedTest::Scopes(scopes) => {
            let claims = request.claims.into_iter();
            let has = list(claims.flat_map(|claims| scopes_in(claims, &scopes.claim)));
            let needs = strings(&scopes.all);
            (
                Reason::Scope,
                format!("scope: has {has}, needs all of {needs}"),
            )
        }
        FailedTest::Binding(binding) => {
            let name = &binding.variable;
            let claim = &binding.claim;
            let text = match request.variables.get(name) {
                None => format!("binding: the path has no {{{name}}}"),
                Some(value) => {
                    let value = shorten(&String::from_utf8_lossy(&value));
                    let result = request
                        .claims
                        .map(|claims| check_binding(binding, claims, request));
                    let problem = match result {
                        Some(TestResult::Fails) => "differs",
                        _ => "is absent or of another type",
                    };
                    format!("binding: {{{name}}} is {value:?}, claim {claim} {problem}")
                }
            };
            (Reason::BindingRoute, text)
        }
        FailedTest::Peer(patterns) => {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let problem = if request.peers.is_empty() {
                "none"
            } else {
                "it differs"
            };
            (
                Reason::Peer,
                format!("peer: {problem}, needs any of {}", strings(&patterns)),
            )
        }
        FailedTest::When(test) => (Reason::Condition, condition(test, request)),
        FailedTest::StepUp(test, _) => {
            let (part, _) = failing(test, request);
            (Reason::StepUp, format!("step_up: {part}: does not hold"))
        }
    };
    let step_up = match failed {
        FailedTest::StepUp(_, step_up) => Some(step_up),
        _ => None,
    };
    Box::new(Denial {
        reason,
        explanation: Some(explanation),
        step_up,
    })
}

fn roles(how_many: &str, needs: &[RequiredRole], request: &AccessRequest<'_>) -> String {
    let claims = request.claims.into_iter();
    let has = list(claims.flat_map(|claims| request.role_model.names_in(claims)));
    let needs = list(needs.iter().map(RequiredRole::name));
    format!("role: has {has}, needs {how_many} of {needs}")
}

fn condition(test: &Test, request: &AccessRequest<'_>) -> String {
    let (part, result) = failing(test, request);
    let problem = if result == TestResult::Missing {
        "absent, of another type, or its values differ"
    } else {
        "does not hold"
    };
    format!("condition: {part}: {problem}")
}

fn strings(names: &[String]) -> String {
    list(names.iter().map(String::as_str))
}

/// `[a, b and 3 more]`
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names = names;
    let shown: Vec<String> = names.by_ref().take(MAX_NAMES).map(shorten).collect();
    let shown = shown.join(", ");
    match names.count() {
        0 => format!("[{shown}]"),
        more => format!("[{shown} and {more} more]"),
    }
}

/// At most [`MAX_NAME`] characters, without control characters.
fn shorten(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters
        .by_ref()
        .take(MAX_NAME)
        .map(|character| {
            if character.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                character
            }
        })
        .collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}
