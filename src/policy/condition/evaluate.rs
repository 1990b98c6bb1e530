//! What a test comes to for a subject.

use std::cmp::Ordering;

use crate::json::Json;

use super::{ClaimTest, FUTURE_LEEWAY, Number, Scalar, Test, TextTest};
use crate::policy::access::Subject;

/// What a test comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is so.
    Holds,
    /// It is known not to be so.
    Fails,
    /// What it looks at is not there, or of another type.
    Missing,
}

/// Evaluates a test.
pub(crate) fn evaluate(test: &Test, subject: &Subject<'_>) -> Outcome {
    match test {
        Test::All(tests) => {
            // Missing outweighs failing, so that `not` around it cannot be satisfied by a claim
            // that is left out.
            let mut outcome = Outcome::Holds;
            for test in tests {
                match evaluate(test, subject) {
                    Outcome::Holds => {}
                    Outcome::Fails => outcome = Outcome::Fails,
                    Outcome::Missing => return Outcome::Missing,
                }
            }
            outcome
        }
        Test::Any(tests) => {
            let mut outcome = Outcome::Fails;
            for test in tests {
                match evaluate(test, subject) {
                    Outcome::Holds => return Outcome::Holds,
                    Outcome::Fails => {}
                    Outcome::Missing => outcome = Outcome::Missing,
                }
            }
            outcome
        }
        Test::Not(test) => match evaluate(test, subject) {
            Outcome::Holds => Outcome::Fails,
            Outcome::Fails => Outcome::Holds,
            Outcome::Missing => Outcome::Missing,
        },
        Test::Claim { path, test } => subject
            .claims
            .and_then(|claims| claims.at(path))
            .and_then(|value| claim_holds(test, value, subject.now))
            .map_or(Outcome::Missing, Outcome::of),
        Test::Header { name, test } => {
            let mut together = Together::default();
            subject
                .headers
                .each(name, &mut |value| together.add(text_holds(test, value)));
            together.outcome()
        }
        Test::Peer(pattern) => {
            let mut together = Together::default();
            for peer in subject.peers {
                together.add(pattern.covers(peer));
            }
            together.outcome()
        }
    }
}

/// The part of a test to blame for that it does not hold: the innermost that is to blame alone.
pub(crate) fn failing<'t>(test: &'t Test, subject: &Subject<'_>) -> (&'t Test, Outcome) {
    match test {
        Test::All(tests) => tests
            .iter()
            .find(|test| evaluate(test, subject) != Outcome::Holds)
            .map_or((test, Outcome::Missing), |test| failing(test, subject)),
        Test::Any(tests) => match tests.as_slice() {
            [only] => failing(only, subject),
            _ => (test, evaluate(test, subject)),
        },
        _ => (test, evaluate(test, subject)),
    }
}

impl Outcome {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// Several values under one test. Each must pass on its own: where some do and some do not, neither
/// the test nor its `not` is satisfied.
#[derive(Default)]
struct Together {
    held: bool,
    failed: bool,
}

impl Together {
    fn add(&mut self, holds: bool) {
        if holds {
            self.held = true;
        } else {
            self.failed = true;
        }
    }

    fn outcome(&self) -> Outcome {
        match (self.held, self.failed) {
            (true, false) => Outcome::Holds,
            (false, true) => Outcome::Fails,
            _ => Outcome::Missing,
        }
    }
}

/// `None` where the value is of a type that the test is not about.
fn claim_holds(test: &ClaimTest, value: &Json, now: u64) -> Option<bool> {
    match test {
        ClaimTest::Equals(scalar) => scalar.same(value),
        ClaimTest::In(scalars) => {
            let mut known = None;
            for scalar in scalars {
                match scalar.same(value) {
                    Some(true) => return Some(true),
                    Some(false) => known = Some(false),
                    None => {}
                }
            }
            known
        }
        ClaimTest::Contains(scalar) => Some(
            value
                .as_array()?
                .iter()
                .any(|member| scalar.same(member) == Some(true)),
        ),
        ClaimTest::Prefix(prefix) => Some(value.as_str()?.starts_with(&**prefix)),
        ClaimTest::Exists => Some(true),
        ClaimTest::AtLeast(least) => Some(Number::of(value)?.compare(*least) != Ordering::Less),
        ClaimTest::AtMost(most) => Some(Number::of(value)?.compare(*most) != Ordering::Greater),
        ClaimTest::MaxAge(seconds) => {
            let time = Number::of(value)?;
            let now = i64::try_from(now).ok()?;
            let oldest = now.saturating_sub_unsigned(*seconds);
            let newest = now.saturating_add(FUTURE_LEEWAY);
            if time.compare(Number::Integer(newest)) == Ordering::Greater {
                return None;
            }
            Some(time.compare(Number::Integer(oldest)) != Ordering::Less)
        }
    }
}

fn text_holds(test: &TextTest, value: &[u8]) -> bool {
    match test {
        TextTest::Equals(text) => value == text.as_bytes(),
        TextTest::In(texts) => texts.iter().any(|text| value == text.as_bytes()),
        // Never empty: see `Test::validate`; an empty one holds nowhere.
        TextTest::Contains(text) => value
            .windows(text.len().max(1))
            .any(|window| window == text.as_bytes()),
        TextTest::Prefix(text) => value.starts_with(text.as_bytes()),
        TextTest::Exists => true,
    }
}

impl Scalar {
    /// `None` where the types differ.
    fn same(&self, value: &Json) -> Option<bool> {
        match (self, value) {
            (Self::String(text), Json::String(value)) => Some(text == value),
            (Self::Bool(flag), Json::Bool(value)) => Some(flag == value),
            (Self::Number(number), _) => Number::of(value).map(|value| *number == value),
            _ => None,
        }
    }
}
