//! Typed tests on claims, headers and the mTLS peer, combined by `all`, `any` and `not`.
//!
//! What is missing or of another type never satisfies, in `not` either: a test has three outcomes.

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

/// A condition: a test, or several combined.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Every one must hold. If something is missing in one, nothing is known.
    All(Vec<Test>),
    /// One must hold. If none does and something is missing in one, nothing is known.
    Any(Vec<Test>),
    /// It must be known not to hold.
    Not(Box<Test>),
    /// A test on a claim.
    Claim {
        /// The claim.
        path: ClaimPath,
        /// What it must be.
        test: ClaimTest,
    },
    /// A test on a header, which every value of it must pass on its own.
    Header {
        /// The name.
        name: HeaderName,
        /// What each value must be.
        test: TextTest,
    },
    /// The mTLS peer's SPIFFE ID.
    Peer(PeerPattern),
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimTest {
    /// This value, of this type; 5 and 5.0 are one number.
    Equals(Scalar),
    /// One of these.
    In(Vec<Scalar>),
    /// A list with this member.
    Contains(Scalar),
    /// A string that starts so.
    Prefix(String),
    /// Anything but null.
    Exists,
    /// A number, this or more.
    AtLeast(Number),
    /// A number, this or less.
    AtMost(Number),
    /// A time (RFC 7519 §2 NumericDate) no longer ago than this many seconds, and no more than
    /// [`FUTURE_LEEWAY`] ahead.
    MaxAge(u64),
}

/// What a header's value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextTest {
    /// This text, case and all.
    Equals(String),
    /// One of these.
    In(Vec<String>),
    /// A text with this in it.
    Contains(String),
    /// A text that starts so.
    Prefix(String),
    /// Anything, empty too.
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

/// How far, in seconds, a time claim may lie ahead of this proxy's clock.
pub(crate) const FUTURE_LEEWAY: i64 = 60;

/// Why a test makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TestError {
    /// `all` or `any` of nothing.
    #[error("`{0}` is empty: name at least one test, or leave it out")]
    Empty(&'static str),
    /// `in` of nothing.
    #[error("`in` is empty and would never hold: name at least one value")]
    EmptyIn,
    /// `prefix` or `contains` of the empty string.
    #[error("`{0}` is empty and would always hold: write `exists` if that is meant")]
    EmptyText(&'static str),
    /// A header that any client can send as if a proxy had set it.
    #[error("clients can send the header {0}, so it proves nothing: test a claim or `peer`")]
    ForgedHeader(HeaderName),
}

impl Test {
    /// The names of all headers that it looks at.
    pub fn headers(&self) -> Vec<&str> {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().flat_map(Self::headers).collect(),
            Self::Not(test) => test.headers(),
            Self::Header { name, .. } => vec![name],
            Self::Claim { .. } | Self::Peer(_) => Vec::new(),
        }
    }

    /// Looks for what would always or never hold.
    ///
    /// # Errors
    /// The first [`TestError`] from the left.
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
    /// Whether a test on this header can prove anything.
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

/// What proxies tell each other about the client: never to be trusted from the wire.
fn is_forged(name: &str) -> bool {
    name == "forwarded" || name.starts_with("x-forwarded-") || name.starts_with("x-envoy-")
}

#[cfg(test)]
mod tests;
