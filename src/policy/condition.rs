//! Typed tests on claims, headers and the mTLS peer, combined by `all`, `any` and `not`.
//!
//! A test has three results: a value that is missing or of another type satisfies neither the test nor its
//! `not`.

mod evaluate;
mod number;
mod show;
mod step_up;

use crate::claims::ClaimPath;
use crate::header_name::HeaderName;

pub(crate) use self::evaluate::{TestResult, evaluate, failing};
pub(crate) use self::number::Number;
pub(crate) use self::step_up::step_up;

use super::peer::PeerPattern;

/// A test, or a combination of tests.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// All must hold. If one has no value, the result is [`TestResult::Missing`].
    All(Vec<Test>),
    /// One must hold. If none does and one has no value, the result is [`TestResult::Missing`].
    Any(Vec<Test>),
    /// The test must fail; a missing value is not sufficient.
    Not(Box<Test>),
    /// A test on a claim.
    Claim {
        /// The claim.
        path: ClaimPath,
        /// The test.
        test: ClaimTest,
    },
    /// A test that every value of a header must pass.
    Header {
        /// The name.
        name: HeaderName,
        /// The test.
        test: TextTest,
    },
    /// The mTLS peer's SPIFFE ID.
    Peer(PeerPattern),
}

/// A test on a claim's value.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimTest {
    /// Equal, with the same type; 5 and 5.0 are equal.
    Equals(Scalar),
    /// Equal to one of these.
    In(Vec<Scalar>),
    /// A list that contains this value.
    Contains(Scalar),
    /// A string with this prefix.
    Prefix(String),
    /// Anything but null.
    Exists,
    /// A number of at least this value.
    AtLeast(Number),
    /// A number of at most this value.
    AtMost(Number),
    /// A time (NumericDate, RFC 7519 §2) at most this many seconds in the past and at most
    /// [`FUTURE_LEEWAY`] in the future.
    MaxAge(u64),
}

/// A test on a header's value; case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// Equal.
    Equals(String),
    /// Equal to one of these.
    In(Vec<String>),
    /// Contains this text.
    Contains(String),
    /// Starts with this text.
    Prefix(String),
    /// Any value, including the empty one.
    Exists,
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A string.
    String(String),
    /// A number.
    Number(Number),
    /// A boolean.
    Bool(bool),
}

/// How far in the future a time claim may be, in seconds.
pub(crate) const FUTURE_LEEWAY: i64 = 60;

/// Why a test is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// An empty `all` or `any`.
    #[error("`{0}` is empty: name at least one test, or leave it out")]
    Empty(&'static str),
    /// An empty `in`.
    #[error("`in` is empty and would never hold: name at least one value")]
    EmptyIn,
    /// An empty `prefix` or `contains`.
    #[error("`{0}` is empty and would always hold: write `exists` if that is meant")]
    EmptyText(&'static str),
    /// A header that proxies set but any client can send.
    #[error("clients can send the header {0}, so it proves nothing: test a claim or `peer`")]
    ForgedHeader(HeaderName),
}

impl Test {
    /// The names of all headers that it tests.
    pub fn headers(&self) -> Vec<&str> {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().flat_map(Self::headers).collect(),
            Self::Not(test) => test.headers(),
            Self::Header { name, .. } => vec![name],
            Self::Claim { .. } | Self::Peer(_) => Vec::new(),
        }
    }

    /// Checks that no part would always or never hold.
    ///
    /// # Errors
    /// The first [`TestError`].
    pub fn validate(&self) -> Result<(), TestError> {
        match self {
            Self::All(tests) if tests.is_empty() => Err(TestError::Empty("all")),
            Self::Any(tests) if tests.is_empty() => Err(TestError::Empty("any")),
            Self::All(tests) | Self::Any(tests) => tests.iter().try_for_each(Self::validate),
            Self::Not(test) => test.validate(),
            Self::Claim { test, .. } => match test {
                ClaimTest::In(values) if values.is_empty() => Err(TestError::EmptyIn),
                ClaimTest::Prefix(text) if text.is_empty() => Err(TestError::EmptyText("prefix")),
                _ => Ok(()),
            },
            Self::Header { name, test } => {
                TestError::check_header(name)?;
                match test {
                    TextTest::In(values) if values.is_empty() => Err(TestError::EmptyIn),
                    TextTest::Prefix(text) if text.is_empty() => {
                        Err(TestError::EmptyText("prefix"))
                    }
                    TextTest::Contains(text) if text.is_empty() => {
                        Err(TestError::EmptyText("contains"))
                    }
                    _ => Ok(()),
                }
            }
            Self::Peer(_) => Ok(()),
        }
    }
}

impl TestError {
    /// Checks that the header can be trusted in a test.
    ///
    /// # Errors
    /// [`TestError::ForgedHeader`]
    pub fn check_header(name: &HeaderName) -> Result<(), Self> {
        if is_forged(name) {
            Err(Self::ForgedHeader(name.clone()))
        } else {
            Ok(())
        }
    }
}

/// Whether proxies use the header to describe the client; a client could forge it.
fn is_forged(name: &str) -> bool {
    name == "forwarded" || name.starts_with("x-forwarded-") || name.starts_with("x-envoy-")
}

#[cfg(test)]
mod tests;
