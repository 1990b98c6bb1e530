//! Evaluates tests with three possible results.

use std::cmp::Ordering;

use crate::json::Json;

use super::{ClaimTest, FUTURE_LEEWAY, Number, Scalar, Test, TextTest};
use crate::policy::access::AccessRequest;

/// The result of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TestResult {
    /// The test holds.
    Holds,
    /// The test does not hold.
    Fails,
    /// The value is absent, of another type, or its instances differ. Neither the test nor its `not` is
    /// satisfied.
    Missing,
}

pub(crate) fn evaluate(test: &Test, request: &AccessRequest<'_>) -> TestResult {
    match test {
        Test::All(tests) => {
            // Missing takes precedence over failing, so that omitting a claim cannot satisfy a `not`
            // around this.
            let mut result = TestResult::Holds;
            for test in tests {
                match evaluate(test, request) {
                    TestResult::Holds => {}
                    TestResult::Fails => result = TestResult::Fails,
                    TestResult::Missing => return TestResult::Missing,
                }
            }
            result
        }
        Test::Any(tests) => {
            let mut result = TestResult::Fails;
            for test in tests {
                match evaluate(test, request) {
                    TestResult::Holds => return TestResult::Holds,
                    TestResult::Fails => {}
                    TestResult::Missing => result = TestResult::Missing,
                }
            }
            result
        }
        Test::Not(test) => match evaluate(test, request) {
            TestResult::Holds => TestResult::Fails,
            TestResult::Fails => TestResult::Holds,
            TestResult::Missing => TestResult::Missing,
        },
        Test::Claim { path, test } => request
            .claims
            .and_then(|claims| claims.at(path))
            .and_then(|value| claim_holds(test, value, request.now))
            .map_or(TestResult::Missing, TestResult::of),
        Test::Header { name, test } => {
            let mut all_values = AllValues::default();
            for value in request.headers.all(name) {
                all_values.add(text_holds(test, value));
            }
            all_values.result()
        }
        Test::Peer(pattern) => {
            let mut all_values = AllValues::default();
            for peer in request.peers {
                all_values.add(pattern.covers(peer));
            }
            all_values.result()
        }
    }
}

/// The innermost part that explains why a test does not hold.
pub(crate) fn failing<'t>(test: &'t Test, request: &AccessRequest<'_>) -> (&'t Test, TestResult) {
    match test {
        Test::All(tests) => tests
            .iter()
            .find(|test| evaluate(test, request) != TestResult::Holds)
            .map_or((test, TestResult::Missing), |test| failing(test, request)),
        Test::Any(tests) => match tests.as_slice() {
            [only] => failing(only, request),
            _ => (test, evaluate(test, request)),
        },
        _ => (test, evaluate(test, request)),
    }
}

impl TestResult {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// The combined result of a test on several values. If only some values pass, neither the test nor its
/// `not` is satisfied.
#[derive(Default)]
struct AllValues {
    held: bool,
    failed: bool,
}

impl AllValues {
    fn add(&mut self, holds: bool) {
        if holds {
            self.held = true;
        } else {
            self.failed = true;
        }
    }

    fn result(&self) -> TestResult {
        match (self.held, self.failed) {
            (true, false) => TestResult::Holds,
            (false, true) => TestResult::Fails,
            _ => TestResult::Missing,
        }
    }
}

/// `None` if the value has the wrong type for the test.
fn claim_holds(test: &ClaimTest, value: &Json, now: u64) -> Option<bool> {
    match test {
        ClaimTest::Equals(scalar) => scalar.equals(value),
        ClaimTest::In(scalars) => {
            let mut known = None;
            for scalar in scalars {
                match scalar.equals(value) {
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
                .any(|member| scalar.equals(member) == Some(true)),
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
        // `Test::validate` rejects an empty text; `max` prevents a panic.
        TextTest::Contains(text) => value
            .windows(text.len().max(1))
            .any(|window| window == text.as_bytes()),
        TextTest::Prefix(text) => value.starts_with(text.as_bytes()),
        TextTest::Exists => true,
    }
}

impl Scalar {
    /// `None` if the types differ.
    fn equals(&self, value: &Json) -> Option<bool> {
        match (self, value) {
            (Self::String(text), Json::String(value)) => Some(text == value),
            (Self::Bool(flag), Json::Bool(value)) => Some(flag == value),
            (Self::Number(number), _) => Number::of(value).map(|value| *number == value),
            _ => None,
        }
    }
}
