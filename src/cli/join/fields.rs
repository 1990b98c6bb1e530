//! One line of a log: a JSON object with named fields.

use std::borrow::Cow;
use std::fmt;

use crate::json::{Json, Object};

/// A line that is a JSON object.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The JSON text, as logged.
    pub text: &'a str,
    object: Object,
}

/// Why a line cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    TooLong,
    NotUtf8,
    NotJson,
    NotAnObject,
    IdTooLong,
}

impl<'a> Record<'a> {
    /// Parses a line. Text before its first `{` is ignored: container runtimes, syslog and Viceroy write a
    /// prefix.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Broken> {
        let text = std::str::from_utf8(line).map_err(|_| Broken::NotUtf8)?;
        let start = text.find('{').ok_or(Broken::NotAnObject)?;
        let text = text.get(start..).unwrap_or_default();
        match Json::parse(text.as_bytes()) {
            Ok(Json::Object(object)) => Ok(Self { text, object }),
            Ok(_) => Err(Broken::NotAnObject),
            Err(_) => Err(Broken::NotJson),
        }
    }

    /// The text of a field: the member with this name, else the nested member at this dotted path. `null`, an
    /// empty string and `-` (Envoy's empty value) count as missing.
    pub(super) fn get(&self, field: &str) -> Option<Cow<'_, str>> {
        let value = self.object.get(field).or_else(|| {
            let mut names = field.split('.');
            let mut value = self.object.get(names.next()?)?;
            for name in names {
                value = value.as_object()?.get(name)?;
            }
            Some(value)
        })?;
        let text: Cow<'_, str> = match value {
            Json::String(text) => text.as_str().into(),
            Json::Integer(number) => number.to_string().into(),
            Json::Float(number) => number.to_string().into(),
            Json::Bool(value) => value.to_string().into(),
            Json::Null | Json::Array(_) | Json::Object(_) => return None,
        };
        (!text.is_empty() && text != "-").then_some(text)
    }

    /// An HTTP status. Envoy logs 0 when the client got no response.
    pub(super) fn status(&self, field: &str) -> Option<u16> {
        self.get(field)?
            .parse()
            .ok()
            .filter(|status| *status < 1000)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "longer than --max-line-kib",
            Self::NotUtf8 => "not UTF-8",
            Self::NotJson => "not JSON",
            Self::NotAnObject => "no JSON object",
            Self::IdTooLong => "an ID longer than 256 bytes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(line: &str, field: &str) -> Option<String> {
        let record = Record::parse(line.as_bytes()).unwrap();
        record.get(field).map(Cow::into_owned)
    }

    #[test]
    fn a_field_is_found_by_name_or_by_its_parts() {
        assert_eq!(get(r#"{"a": "x"}"#, "a").as_deref(), Some("x"));
        assert_eq!(get(r#"{"a": {"b": 7}}"#, "a.b").as_deref(), Some("7"));
        assert_eq!(
            get(r#"{"a.b": "flat", "a": {"b": 7}}"#, "a.b").as_deref(),
            Some("flat")
        );
        assert_eq!(get(r#"{"a": "x"}"#, "a.b"), None);
    }

    #[test]
    fn empty_values_count_as_missing() {
        for value in ["null", "\"\"", "\"-\"", "[]", "{}"] {
            assert_eq!(get(&format!(r#"{{"a": {value}}}"#), "a"), None, "{value}");
        }
        assert_eq!(get("{}", "a"), None);
    }

    #[test]
    fn text_before_the_object_is_ignored() {
        assert_eq!(get(r#"edge_log :: {"a": 1}"#, "a").as_deref(), Some("1"));
        assert_eq!(
            get(r#"2026-11-21T02:41:04.1Z stdout F {"a": 1}"#, "a").as_deref(),
            Some("1")
        );
    }

    #[test]
    fn a_line_without_one_object_is_broken() {
        for (line, broken) in [
            (&b"text"[..], Broken::NotAnObject),
            (b"[1]", Broken::NotAnObject),
            (b"{\"a\": 1", Broken::NotJson),
            (b"{\"a\": 1} {\"a\": 2}", Broken::NotJson),
            (b"{\"a\": \"\xff\"}", Broken::NotUtf8),
        ] {
            assert_eq!(Record::parse(line).unwrap_err(), broken);
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
        assert_eq!(Record::parse(deep.as_bytes()).unwrap_err(), Broken::NotJson);
    }
}
