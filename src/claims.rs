//! The claims of a token (RFC 7519 §4): a JSON object, and paths into it.

use std::fmt;

use crate::json::{Json, JsonError, Object};

/// A JWT claims set, verified or not; `crate::token::Verified` is the proof of verification.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(Object);

/// The path to a claim as a list of member names, so that names with dots, slashes or whole URLs need
/// no escaping: `["https://example.com/roles"]`, `["realm_access", "roles"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<String>);

impl Claims {
    /// Parses a claims set; `Ok(None)` if the text is JSON but not an object.
    ///
    /// # Errors
    /// Any `JsonError`; duplicate names are an error at any depth.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, JsonError> {
        Ok(match Json::parse_strict(bytes)? {
            Json::Object(object) => Some(Self(object)),
            _ => None,
        })
    }

    /// The value at a path; a claim whose value is `null` counts as absent.
    pub fn at(&self, path: &ClaimPath) -> Option<&Json> {
        let (first, rest) = path.0.split_first()?;
        let mut value = self.0.get(first)?;
        for name in rest {
            value = value.as_object()?.get(name)?;
        }
        (*value != Json::Null).then_some(value)
    }

    /// The value of a top-level claim; `null` counts as absent.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| **value != Json::Null)
    }

    /// Whether `aud`, a string or a list of strings (RFC 7519 §4.1.3), contains an accepted value.
    pub(crate) fn has_audience(&self, accepted: &[String]) -> bool {
        let is_accepted = |value: &Json| {
            value
                .as_str()
                .is_some_and(|value| accepted.iter().any(|known| known == value))
        };
        match self.get("aud") {
            Some(Json::Array(values)) => values.iter().any(is_accepted),
            Some(value) => is_accepted(value),
            None => false,
        }
    }

    /// All members, in the order of the token.
    pub fn members(&self) -> &Object {
        &self.0
    }
}

impl From<Object> for Claims {
    fn from(object: Object) -> Self {
        Self(object)
    }
}

impl ClaimPath {
    /// A path of one or more names; `None` for an empty one.
    pub fn new(names: Vec<String>) -> Option<Self> {
        (!names.is_empty()).then_some(Self(names))
    }

    /// The names, outermost first.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl From<&str> for ClaimPath {
    /// A top-level claim.
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(name)?;
        }
        Ok(())
    }
}
