//! Request methods (RFC 9110 §9.1).

use std::fmt;

use crate::bytes::ByteSet;

/// A method: a token (RFC 9110 §5.6.2) without lower-case letters, other than CONNECT.
///
/// Methods are case-sensitive, but some backends treat `delete` as DELETE. A route for DELETE would not
/// match such a request, so lower-case letters are rejected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Method(Box<str>);

/// Why bytes are not accepted as a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// The method is empty.
    #[error("the method is empty")]
    Empty,
    /// A byte that is not allowed in a token.
    #[error("the method has a character that is not allowed in a token (RFC 9110 §5.6.2)")]
    Character,
    /// A lower-case letter.
    #[error("the method has a lower-case letter")]
    LowerCase,
    /// CONNECT opens a tunnel, which routes cannot describe. Envoy presents an extended CONNECT (RFC 8441)
    /// as GET.
    #[error("CONNECT is always denied")]
    Connect,
}

impl Method {
    /// Checks the method of a request.
    ///
    /// # Errors
    /// A [`MethodError`]
    pub fn check(method: &[u8]) -> Result<(), MethodError> {
        static ACCEPTED: ByteSet =
            ByteSet::of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~");
        if method.is_empty() {
            return Err(MethodError::Empty);
        }
        if method == b"CONNECT" {
            return Err(MethodError::Connect);
        }
        if ACCEPTED.has_all(method) {
            return Ok(());
        }
        let rejected = method.iter().find(|byte| !ACCEPTED.has(**byte));
        Err(match rejected {
            Some(byte) if byte.is_ascii_lowercase() => MethodError::LowerCase,
            _ => MethodError::Character,
        })
    }

    /// Parses the method of a route.
    ///
    /// # Errors
    /// A [`MethodError`]
    pub fn parse(text: &str) -> Result<Self, MethodError> {
        Self::check(text.as_bytes()).map(|()| Self(text.into()))
    }

    /// The method.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_lower_case_letters_are_accepted() {
        for text in ["GET", "M-SEARCH", "VERSION_2", "!#$%&'*+-.^_`|~", "7"] {
            assert_eq!(
                Method::parse(text).map(|method| method.to_string()),
                Ok(text.into())
            );
        }
    }

    #[test]
    fn invalid_methods_are_rejected_with_the_cause() {
        for (bytes, error) in [
            (&b""[..], MethodError::Empty),
            (b"get", MethodError::LowerCase),
            (b"Delete", MethodError::LowerCase),
            (b"connect", MethodError::LowerCase),
            (b"CONNECT", MethodError::Connect),
            (b"G ET", MethodError::Character),
            (b"GET\0", MethodError::Character),
            (b"GET,PUT", MethodError::Character),
            (b"G\xff", MethodError::Character),
        ] {
            assert_eq!(Method::check(bytes), Err(error), "{bytes:?}");
        }
    }
}
