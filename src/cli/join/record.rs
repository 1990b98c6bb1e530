//! One line of a log: a JSON object, of which only the fields that the join reads are kept.
//!
//! The others are skipped without an allocation: a line has some 25 fields, and the join needs about eight.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{FIELDS, Field, Fields, Unit, Wanted};
use crate::json::Json;

/// A line that is a JSON object.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The JSON text, as logged.
    pub text: &'a str,
    values: Values<'a>,
}

#[derive(Debug, Default)]
struct Values<'a>([Slot<'a>; FIELDS]);

/// A field's value so far. A member with the whole name comes before a nested one, and the first of several
/// before the others.
#[derive(Debug, Default)]
enum Slot<'a> {
    #[default]
    Absent,
    Nested(Scalar<'a>),
    Flat(Scalar<'a>),
}

#[derive(Debug, Clone, PartialEq)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(u64),
    Negative(i64),
    Float(f64),
    Bool(bool),
    /// `null`, an array or an object.
    Missing,
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
    pub(super) fn parse(line: &'a [u8], fields: &Fields) -> Result<Self, Broken> {
        let text = std::str::from_utf8(line).map_err(|_| Broken::NotUtf8)?;
        let start = text.find('{').ok_or(Broken::NotAnObject)?;
        let text = text.get(start..).unwrap_or_default();
        let mut json = serde_json::Deserializer::from_str(text);
        let values = ObjectSeed(fields).deserialize(&mut json);
        let values = values.and_then(|values| json.end().map(|()| values));
        let values = values.map_err(|_| Broken::NotJson)?;
        Ok(Self { text, values })
    }

    /// The text of a field: the member with its name, else the nested member at this dotted path. `null`, an
    /// empty string and `-` (Envoy's empty value) count as missing.
    pub(super) fn get(&self, field: Field) -> Option<Cow<'_, str>> {
        let text: Cow<'_, str> = match self.values.get(field)? {
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Integer(number) => number.to_string().into(),
            Scalar::Negative(number) => number.to_string().into(),
            Scalar::Float(number) => number.to_string().into(),
            Scalar::Bool(value) => value.to_string().into(),
            Scalar::Missing => return None,
        };
        (!text.is_empty() && text != "-").then_some(text)
    }

    /// A whole number, as a JSON number or as text.
    pub(super) fn integer(&self, field: Field) -> Option<u64> {
        match self.values.get(field)? {
            Scalar::Integer(number) => Some(*number),
            Scalar::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// An HTTP status. Envoy logs 0 when the client got no response.
    pub(super) fn status(&self, field: Field) -> Option<u16> {
        u16::try_from(self.integer(field)?)
            .ok()
            .filter(|status| *status < 1000)
    }

    /// A duration in microseconds, from a number or a text in the unit of the field's name.
    pub(super) fn micros(&self, field: Field, fields: &Fields) -> Option<u64> {
        let unit = fields.unit(field);
        if let Some(number) = self.integer(field) {
            return match unit {
                Unit::Nanoseconds => Some(number / 1000),
                _ => number.checked_mul(unit.micros()),
            };
        }
        let number: f64 = match self.values.get(field)? {
            Scalar::Float(number) => *number,
            Scalar::Text(text) => text.parse().ok()?,
            _ => return None,
        };
        let duration = Duration::try_from_secs_f64(number * unit.seconds()).ok()?;
        u64::try_from(duration.as_micros()).ok()
    }
}

impl<'a> Values<'a> {
    fn get(&self, field: Field) -> Option<&Scalar<'a>> {
        match self.0.get(field as usize)? {
            Slot::Flat(value) | Slot::Nested(value) => Some(value),
            Slot::Absent => None,
        }
    }

    fn set(&mut self, field: Field, new: Slot<'a>) {
        if let Some(slot) = self.0.get_mut(field as usize)
            && matches!(
                (&slot, &new),
                (Slot::Absent, _) | (Slot::Nested(_), Slot::Flat(_))
            )
        {
            *slot = new;
        }
    }
}

struct ObjectSeed<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = Values<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Values<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = Values<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Values<'de>, A::Error> {
        let mut values = Values::default();
        while let Some(Name(name)) = members.next_key()? {
            let (mut flat, mut nested) = (false, false);
            for wanted in &self.0.0 {
                flat |= wanted.name == *name;
                nested |= wanted.root.as_deref() == Some(&*name);
            }
            if nested {
                let member: Json = members.next_value()?;
                for wanted in &self.0.0 {
                    if wanted.name == *name {
                        values.set(wanted.field, Slot::Flat(Scalar::of(&member)));
                    } else if wanted.root.as_deref() == Some(&*name) {
                        values.set(wanted.field, Slot::Nested(nested_value(&member, wanted)));
                    }
                }
            } else if flat {
                let value: Scalar<'de> = members.next_value()?;
                let same_name = self.0.0.iter().filter(|wanted| wanted.name == *name);
                for wanted in same_name {
                    values.set(wanted.field, Slot::Flat(value.clone()));
                }
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(values)
    }
}

fn nested_value(member: &Json, wanted: &Wanted) -> Scalar<'static> {
    let mut names = wanted.name.split('.').skip(1);
    let value = names.try_fold(member, |value, name| value.as_object()?.get(name));
    value.map_or(Scalar::Missing, Scalar::of)
}

/// A member's name, borrowed if it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(ScalarVisitor)? {
            Scalar::Text(name) => Ok(Self(name)),
            _ => Ok(Self(Cow::Borrowed(""))),
        }
    }
}

impl Scalar<'_> {
    fn of(json: &Json) -> Scalar<'static> {
        match json {
            Json::String(text) => Scalar::Text(text.as_str().to_owned().into()),
            Json::Integer(number) => {
                u64::try_from(*number).map_or(Scalar::Negative(*number), Scalar::Integer)
            }
            Json::Float(number) => Scalar::Float(*number),
            Json::Bool(value) => Scalar::Bool(*value),
            Json::Null | Json::Array(_) | Json::Object(_) => Scalar::Missing,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Negative(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Missing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Scalar<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Missing)
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
mod tests;
