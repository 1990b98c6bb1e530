//! Header names (RFC 9110 §5.1).

use std::fmt;
use std::ops::Deref;

use crate::bytes::ByteSet;

/// A header name (RFC 9110 §5.1) in lower case, at most 128 bytes long; never a pseudo-header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderName(Box<str>);

/// Why a text is not a header name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderNameError {
    /// The text is empty.
    #[error("it is empty")]
    Empty,
    /// More than 128 bytes.
    #[error("it is longer than {} bytes", HeaderName::MAX_LENGTH)]
    TooLong,
    /// It starts with a colon.
    #[error("it is a pseudo-header; hosts, methods and paths have keys of their own in a route")]
    Pseudo,
    /// A byte that is not allowed in a token (RFC 9110 §5.6.2).
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

    /// The name with every byte other than a letter or digit replaced by `-`. Two headers whose folded
    /// names are equal can be one header to a backend: CGI (RFC 3875 §4.1.18) and PHP replace such bytes
    /// by `_`.
    pub fn folded(&self) -> String {
        self.0.bytes().map(|byte| char::from(fold(byte))).collect()
    }
}

/// A letter in lower case, a digit as it is, any other byte as `-`.
pub(crate) fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
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
    fn names_are_converted_to_lower_case() {
        let name = HeaderName::parse("X-Auth_Subject").unwrap();
        assert_eq!(name.as_str(), "x-auth_subject");
    }

    #[test]
    fn invalid_names_are_rejected_with_the_cause() {
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
    fn every_byte_but_letters_and_digits_folds_to_a_hyphen() {
        for text in ["x-auth-1", "x_auth_1", "x.auth~1", "X!AUTH*1"] {
            assert_eq!(HeaderName::parse(text).unwrap().folded(), "x-auth-1");
        }
        assert_ne!(HeaderName::parse("xauth1").unwrap().folded(), "x-auth-1");
    }
}
