//! The claims of a token (RFC 7519 §4): a JSON object, and paths into it.

use std::fmt;

use crate::json::{Json, JsonError, Object};

/// A JWT claims set. Nothing here says that it was verified: see `crate::token::Verified`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Claims(Object);

/// The way to a claim, member by member, so that names with dots, slashes or whole URLs need no
/// escaping: `["https://example.com/roles"]`, `["realm_access", "roles"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimPath(Vec<String>);

impl Claims {
    /// Parses a claims set; duplicate names at any depth are refused.
    ///
    /// # Errors
    /// Any [`JsonError`], or `Ok(None)` where the text is JSON but no object.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, JsonError> {
        Ok(match Json::parse_strict(bytes)? {
            Json::Object(object) => Some(Self(object)),
            _ => None,
        })
    }

    /// The value at a path. `null` is the same as nothing: an absent claim.
    pub fn at(&self, path: &ClaimPath) -> Option<&Json> {
        let (first, rest) = path.0.split_first()?;
        let mut value = self.0.get(first)?;
        for name in rest {
            value = value.as_object()?.get(name)?;
        }
        (*value != Json::Null).then_some(value)
    }

    /// The value of a top-level claim; `null` is the same as nothing.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name).filter(|value| **value != Json::Null)
    }

    /// The members as they stand in the token.
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

    /// The names from the claims set inwards.
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
