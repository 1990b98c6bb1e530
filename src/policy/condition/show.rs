//! Formats tests for the log: only values of the config, never of a request.

use std::fmt::{self, Display, Formatter};

use super::{ClaimTest, Scalar, Test, TextTest};

impl Display for Test {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(tests) => list(formatter, "all(", tests, ")"),
            Self::Any(tests) => list(formatter, "any(", tests, ")"),
            Self::Not(test) => write!(formatter, "not({test})"),
            Self::Claim { path, test } => write!(formatter, "claim {path} {test}"),
            Self::Header { name, test } => write!(formatter, "header {name} {test}"),
            Self::Peer(pattern) => write!(formatter, "peer {pattern}"),
        }
    }
}

impl Display for ClaimTest {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(formatter, "equals {value}"),
            Self::In(values) => list(formatter, "in [", values, "]"),
            Self::Contains(value) => write!(formatter, "contains {value}"),
            Self::Prefix(text) => write!(formatter, "prefix {text:?}"),
            Self::Exists => formatter.write_str("exists"),
            Self::AtLeast(number) => write!(formatter, "at_least {number}"),
            Self::AtMost(number) => write!(formatter, "at_most {number}"),
            Self::MaxAge(seconds) => write!(formatter, "max_age {seconds}s"),
        }
    }
}

impl Display for TextTest {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(text) => write!(formatter, "equals {text:?}"),
            Self::In(texts) => write!(formatter, "in {texts:?}"),
            Self::Contains(text) => write!(formatter, "contains {text:?}"),
            Self::Prefix(text) => write!(formatter, "prefix {text:?}"),
            Self::Exists => formatter.write_str("exists"),
        }
    }
}

impl Display for Scalar {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(formatter, "{text:?}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Bool(flag) => write!(formatter, "{flag}"),
        }
    }
}

fn list<T: Display>(
    formatter: &mut Formatter<'_>,
    open: &str,
    items: &[T],
    close: &str,
) -> fmt::Result {
    formatter.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        formatter.write_str(if index > 0 { ", " } else { "" })?;
        write!(formatter, "{item}")?;
    }
    formatter.write_str(close)
}
