//! JSON values (RFC 8259) that keep duplicate member names.
//!
//! A caller can thus reject duplicates (RFC 7515 §4, RFC 7519 §4) instead of silently using one of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;

/// A JSON value (RFC 8259 §3).
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits `i64`.
    Integer(i64),
    /// Any other number; always finite.
    Float(f64),
    /// A string.
    String(SmolStr),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object in the order they were written, duplicates included.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object(Vec<(SmolStr, Json)>);

/// Why bytes are not acceptable JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, nested too deep (128 levels), or a number out of range.
    #[error("{0}")]
    Syntax(#[from] serde_json::Error),
    /// Not UTF-8, which RFC 8259 §8.1 requires.
    #[error("not UTF-8 from byte {} on", .0.valid_up_to())]
    Utf8(#[from] std::str::Utf8Error),
    /// Two members of one object have the same name.
    #[error("duplicate key {0:?}")]
    DuplicateKey(String),
}

impl Json {
    /// Parses one JSON text; duplicate member names are kept.
    ///
    /// # Errors
    /// `JsonError::Syntax` with line and column, or `JsonError::Utf8`.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        // Checking UTF-8 once for the whole text is faster than once for each string in it.
        Ok(serde_json::from_str(std::str::from_utf8(bytes)?)?)
    }

    /// Parses one JSON text and rejects duplicate member names at any depth.
    ///
    /// # Errors
    /// As [`Self::parse`], or `JsonError::DuplicateKey` with the first repeated name.
    pub fn parse_strict(bytes: &[u8]) -> Result<Self, JsonError> {
        let json = Self::parse(bytes)?;
        match json.duplicate_key() {
            Some(name) => Err(JsonError::DuplicateKey(name.to_owned())),
            None => Ok(json),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The integer, if it is one: `5.0` is, `5.5` and floats beyond ±2^53 are not.
    pub fn as_integer(&self) -> Option<i64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Self::Integer(number) => Some(*number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "within ±2^53, and whole")]
                Some(*number as i64)
            }
            _ => None,
        }
    }

    /// The heap memory that the value owns, in bytes: capacity, not length; without the allocator's overhead.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) => 0,
            Self::String(text) => string_bytes(text),
            Self::Array(items) => items.iter().fold(vec_bytes(items), |sum, item| {
                sum.saturating_add(item.heap_bytes())
            }),
            Self::Object(object) => object.heap_bytes(),
        }
    }

    /// The name of the value's type, for messages: `a string`, `an object`, ….
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    fn duplicate_key(&self) -> Option<&str> {
        match self {
            Self::Array(items) => items.iter().find_map(Self::duplicate_key),
            Self::Object(object) => object
                .duplicate_key()
                .or_else(|| object.iter().find_map(|(_, value)| value.duplicate_key())),
            _ => None,
        }
    }
}

impl Object {
    /// The heap memory that the object owns: see [`Json::heap_bytes`].
    pub fn heap_bytes(&self) -> usize {
        self.0
            .iter()
            .fold(vec_bytes(&self.0), |sum, (name, value)| {
                sum.saturating_add(string_bytes(name))
                    .saturating_add(value.heap_bytes())
            })
    }

    /// The first member with that name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// All members in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the object has no members.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A duplicate name, if there is one. O(n log n), because it runs on unverified tokens.
    pub fn duplicate_key(&self) -> Option<&str> {
        if self.0.len() <= FEW_MEMBERS {
            let mut rest = self.0.as_slice();
            while let Some(((name, _), after)) = rest.split_first() {
                if after.iter().any(|(other, _)| other == name) {
                    return Some(name);
                }
                rest = after;
            }
            return None;
        }
        let mut names: Vec<&str> = self.0.iter().map(|(key, _)| key.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [a, b] if a == b => Some(*a),
            _ => None,
        })
    }
}

fn vec_bytes<T>(items: &Vec<T>) -> usize {
    items.capacity().saturating_mul(size_of::<T>())
}

fn string_bytes(text: &SmolStr) -> usize {
    if text.is_heap_allocated() {
        text.len()
    } else {
        0
    }
}

impl FromIterator<(SmolStr, Json)> for Object {
    fn from_iter<T: IntoIterator<Item = (SmolStr, Json)>>(members: T) -> Self {
        Self(members.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct Name(SmolStr);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member's name")
    }

    fn visit_str<E>(self, value: &str) -> Result<Name, E> {
        Ok(Name(value.into()))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        #[expect(clippy::cast_precision_loss, reason = "above i64 numbers are doubles")]
        Ok(i64::try_from(value).map_or(Json::Float(value as f64), Json::Integer))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Float(value))
        } else {
            Err(E::custom("number out of range"))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = access.next_key()? {
            members.push((name, access.next_value()?));
        }
        if members.len() > MAX_MEMBERS {
            return Err(A::Error::custom("an object with too many members"));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// Up to this many members, comparing each pair of names is faster than sorting.
const FEW_MEMBERS: usize = 24;

/// More than any realistic config or token has, and few enough not to slow a worker down.
const MAX_MEMBERS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens are parsed before they are verified: a short text must not use much memory.
    #[test]
    fn empty_values_allocate_nothing() {
        for text in ["{}", "[]", "\"\"", "0"] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().heap_bytes(), 0);
        }
    }

    #[test]
    fn a_duplicate_key_is_found_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"\u0061":1,"a":1}"#,
        ] {
            assert!(
                matches!(Json::parse_strict(text.as_bytes()), Err(JsonError::DuplicateKey(name)) if name == "a")
            );
        }
        assert!(Json::parse_strict(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn a_duplicate_key_is_found_among_any_number_of_members() {
        for count in [2, 23, 24, 25, 26, 60] {
            for (one, other) in [
                (0, 1),
                (0, count - 1),
                (count - 2, count - 1),
                (1, count / 2),
            ] {
                let mut names: Vec<String> = (0..count).map(|id| format!("n{id}")).collect();
                let text = |names: &[String]| {
                    let members: Vec<_> = names.iter().map(|name| format!("{name:?}:1")).collect();
                    format!("{{\"x\":[{{{}}}]}}", members.join(","))
                };
                assert!(Json::parse_strict(text(&names).as_bytes()).is_ok());
                if one != other {
                    names[other] = names[one].clone();
                    let found = Json::parse_strict(text(&names).as_bytes());
                    assert!(
                        matches!(found, Err(JsonError::DuplicateKey(_))),
                        "{names:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn invalid_utf8_is_rejected() {
        assert!(matches!(Json::parse(b"\"\xff\""), Err(JsonError::Utf8(_))));
    }

    #[test]
    fn numbers_out_of_range_or_with_invalid_syntax_are_rejected() {
        for text in [
            "1e999", "-1e999", "NaN", "Infinity", "01", "+1", ".5", "0x10",
        ] {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(
            Json::parse(b"18446744073709551615").unwrap().as_integer(),
            None
        );
        assert_eq!(Json::parse(b"5.0").unwrap().as_integer(), Some(5));
        assert_eq!(Json::parse(b"5.5").unwrap().as_integer(), None);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "[".repeat(100_000);
        assert!(Json::parse(deep.as_bytes()).is_err());
    }
}
