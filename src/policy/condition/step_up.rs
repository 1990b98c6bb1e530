//! Step-up authentication (RFC 9470): a request fails only because the user's authentication is too weak or
//! too old.

use super::evaluate::{TestResult, evaluate};
use super::{ClaimTest, Scalar, Test};
use crate::claims::ClaimPath;
use crate::denial::StepUp;
use crate::policy::access::AccessRequest;

/// The step-up that could make a failed condition hold, if there is one.
///
/// Only tests on `acr`, `amr` and `auth_time` outside of `not` count: a challenge cannot ask a user to
/// fail a test.
pub(crate) fn step_up(test: &Test, request: &AccessRequest<'_>) -> Option<StepUp> {
    fixable_by_reauthentication(test, request).then(|| {
        let mut step_up = StepUp::default();
        collect(test, request, &mut step_up);
        step_up
    })
}

fn fixable_by_reauthentication(test: &Test, request: &AccessRequest<'_>) -> bool {
    match test {
        Test::All(tests) => tests
            .iter()
            .all(|test| fixable_by_reauthentication(test, request)),
        Test::Any(tests) => tests
            .iter()
            .any(|test| fixable_by_reauthentication(test, request)),
        Test::Claim { path, .. } if is_about_authentication(path) => true,
        _ => evaluate(test, request) == TestResult::Holds,
    }
}

fn collect(test: &Test, request: &AccessRequest<'_>, step_up: &mut StepUp) {
    if evaluate(test, request) == TestResult::Holds {
        return;
    }
    match test {
        Test::All(tests) => {
            for test in tests {
                collect(test, request, step_up);
            }
        }
        Test::Any(tests) => {
            if let Some(test) = tests
                .iter()
                .find(|test| fixable_by_reauthentication(test, request))
            {
                collect(test, request, step_up);
            }
        }
        Test::Claim { path, test } => match test {
            ClaimTest::Equals(Scalar::String(value)) if is(path, "acr") => {
                step_up.add_acr(value);
            }
            ClaimTest::In(values) if is(path, "acr") => {
                for value in values {
                    if let Scalar::String(value) = value {
                        step_up.add_acr(value);
                    }
                }
            }
            ClaimTest::MaxAge(seconds) if is(path, "auth_time") => {
                let seconds = step_up
                    .max_age
                    .map_or(*seconds, |other| other.min(*seconds));
                step_up.max_age = Some(seconds);
            }
            _ => {}
        },
        Test::Not(_) | Test::Header { .. } | Test::Peer(_) => {}
    }
}

fn is_about_authentication(path: &ClaimPath) -> bool {
    is(path, "acr") || is(path, "amr") || is(path, "auth_time")
}

fn is(path: &ClaimPath, claim: &str) -> bool {
    matches!(path.names(), [name] if name == claim)
}

impl StepUp {
    /// Adds a value, unless the quoted, space-separated list of a challenge cannot contain it.
    fn add_acr(&mut self, value: &str) {
        let fits = !value.is_empty()
            && value
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if fits && !self.acr_values.iter().any(|known| known == value) {
            self.acr_values.push(value.to_owned());
        }
    }
}
