//! One line of an access log: the fields that a replay reads; the others are skipped without an allocation.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Json;

/// A field of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Field {
    /// The method.
    Method,
    /// `:authority`
    Host,
    /// The path.
    Path,
    /// The time of the request, RFC 3339.
    Time,
    /// The logged subject.
    Subject,
    /// The claims.
    Claims,
}

const FIELDS: usize = 6;

const ALL: [(&str, Field, &str); FIELDS] = [
    ("method", Field::Method, "method"),
    ("host", Field::Host, "host"),
    ("path", Field::Path, "path"),
    ("time", Field::Time, "time"),
    ("subject", Field::Subject, "subject"),
    ("claims", Field::Claims, "claims"),
];

/// The names of the fields in the log.
#[derive(Debug)]
pub(super) struct FieldNames([String; FIELDS]);

impl FieldNames {
    /// The default names, and those that options replace.
    pub(super) fn new(replaced: &[(Field, String)]) -> Self {
        Self(ALL.map(|(_, field, default)| {
            let given = replaced.iter().rev().find(|(known, _)| *known == field);
            given.map_or_else(|| default.to_owned(), |(_, name)| name.clone())
        }))
    }

    /// Parses `FIELD=NAME`.
    pub(super) fn parse(text: &str) -> Result<(Field, String), String> {
        let (word, name) = text.split_once('=').ok_or("write FIELD=NAME")?;
        let found = ALL.iter().find(|(known, ..)| *known == word);
        let (_, field, _) =
            found.ok_or("the fields are method, host, path, time, subject, claims")?;
        Ok((*field, name.to_owned()))
    }

    /// Whether a line has the host under the name of earlier versions, and not under this one.
    pub(super) fn is_old(&self, line: &[u8]) -> bool {
        let start = line.iter().position(|byte| *byte == b'{');
        let object = start
            .and_then(|start| line.get(start..))
            .unwrap_or_default();
        let object = serde_json::from_slice(object).unwrap_or(Json::Null);
        let has = |name: &str| {
            let members = object.as_object();
            members.is_some_and(|members| members.get(name).is_some())
        };
        let host = self.0.get(Field::Host as usize);
        host.is_some_and(|host| !has(host)) && has("authority")
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }
}

/// The fields of one line.
#[derive(Debug, Default)]
pub(super) struct Record<'a>([Option<Cow<'a, str>>; FIELDS]);

impl<'a> Record<'a> {
    /// Parses a line; text before its first `{` is ignored. `None` if it is not one JSON object.
    pub(super) fn parse(line: &'a [u8], names: &FieldNames) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let text = text.get(text.find('{')?..)?;
        let mut json = serde_json::Deserializer::from_str(text);
        let record = json.deserialize_map(RecordVisitor(names)).ok()?;
        json.end().ok()?;
        Some(record)
    }

    /// The text of a field. `-`, Envoy's empty value, counts as missing.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        let text = self.0.get(field as usize)?.as_deref()?;
        (!text.is_empty() && text != "-").then_some(text)
    }
}

struct RecordVisitor<'n>(&'n FieldNames);

impl<'de> Visitor<'de> for RecordVisitor<'_> {
    type Value = Record<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let mut record = Record::default();
        while let Some(Text(name)) = map.next_key()? {
            let slot = self
                .0
                .position(&name)
                .and_then(|index| record.0.get_mut(index));
            match slot {
                Some(slot) => {
                    let value: &'de RawValue = map.next_value()?;
                    // A string without its quotes and escapes; an object as it is written.
                    *slot = match value.get() {
                        "null" => None,
                        text if text.starts_with('"') => {
                            serde_json::from_str::<Text<'de>>(text).ok().map(|it| it.0)
                        }
                        text => Some(Cow::Borrowed(text)),
                    };
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(record)
    }
}

/// A string, borrowed if it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_fields_of_a_line_are_read() {
        let names = FieldNames::new(&[(Field::Host, "h".to_owned())]);
        let line = br#"prefix {"method":"G\u0045T","x":{"path":"/no"},"path":"/a\"b","h":"-","claims":{"a":1},"subject":null}"#;
        let record = Record::parse(line, &names).unwrap();
        assert_eq!(record.get(Field::Method), Some("GET"));
        assert_eq!(record.get(Field::Path), Some("/a\"b"));
        assert_eq!(record.get(Field::Host), None);
        assert_eq!(record.get(Field::Claims), Some(r#"{"a":1}"#));
        assert_eq!(record.get(Field::Subject), None);
        for line in ["", "x", "{", "{} x", "[]", r#"{"method":1,"#] {
            assert!(Record::parse(line.as_bytes(), &names).is_none(), "{line}");
        }
        assert!(Record::parse(b"{\"a\":\"\xff\"}", &names).is_none());
    }

    #[test]
    fn fields_are_named_by_options() {
        assert_eq!(
            FieldNames::parse("host=x.y"),
            Ok((Field::Host, "x.y".to_owned()))
        );
        assert!(FieldNames::parse("host").is_err());
        assert!(FieldNames::parse("hots=x").is_err());
    }
}
