//! Header names.

use std::fmt;
use std::ops::Deref;

use crate::bytes::ByteSet;

/// A header name (RFC 9110 §5.1) in lower case, at most 128 bytes long. A pseudo-header is not one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(Box<str>);

/// Why a text is not a header name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderNameError {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// More than 128 bytes.
    #[error("it is longer than {} bytes", HeaderName::MAX_LENGTH)]
    TooLong,
    /// It starts with a colon.
    #[error("it is a pseudo-header; hosts, methods and paths have keys of their own in a route")]
    Pseudo,
    /// A byte that no token has (RFC 9110 §5.6.2).
    #[error("use letters, digits and !#$%&'*+-.^_`|~")]
    Character,
}

impl HeaderName {
    /// The longest name that is accepted.
    pub const MAX_LENGTH: usize = 128;

    /// Parses a name in any case.
    ///
    /// # Errors
    /// A [`HeaderNameError`]
    pub fn parse(text: &str) -> Result<Self, HeaderNameError> {
        static TOKEN: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
        if text.is_empty() {
            return Err(HeaderNameError::Empty);
        }
        if text.len() > Self::MAX_LENGTH {
            return Err(HeaderNameError::TooLong);
        }
        if text.starts_with(':') {
            return Err(HeaderNameError::Pseudo);
        }
        if !TOKEN.has_all(text.as_bytes()) {
            return Err(HeaderNameError::Character);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with every byte that is no letter or digit as `-`. Two headers whose folded names are
    /// equal can be one header to a backend: CGI (RFC 3875 §4.1.18) and PHP turn such bytes into `_`.
    pub fn folded(&self) -> String {
        let fold = |character: char| match character {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        };
        self.0.chars().map(fold).collect()
    }
}

impl Deref for HeaderName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
impl PartialEq<&str> for HeaderName {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_lower_case() {
        let name = HeaderName::parse("X-Auth_Subject").unwrap();
        assert_eq!(name.as_str(), "x-auth_subject");
    }

    #[test]
    fn texts_that_are_not_names_are_rejected_with_their_cause() {
        for (text, error) in [
            ("", HeaderNameError::Empty),
            (":path", HeaderNameError::Pseudo),
            ("x a", HeaderNameError::Character),
            ("x:a", HeaderNameError::Character),
            ("x-\u{e9}", HeaderNameError::Character),
            ("x\0", HeaderNameError::Character),
        ] {
            assert_eq!(HeaderName::parse(text), Err(error), "{text:?}");
        }
        assert!(HeaderName::parse(&"x".repeat(128)).is_ok());
        let long = HeaderName::parse(&"x".repeat(129));
        assert_eq!(long, Err(HeaderNameError::TooLong));
    }

    #[test]
    fn every_byte_that_is_no_letter_or_digit_folds_alike() {
        for text in ["x-auth-1", "x_auth_1", "x.auth~1", "X!AUTH*1"] {
            assert_eq!(HeaderName::parse(text).unwrap().folded(), "x-auth-1");
        }
        assert_ne!(HeaderName::parse("xauth1").unwrap().folded(), "x-auth-1");
    }
}
