//! Access to the fields of Envoy's and Istio's objects. Envoy reads `snake_case` and `lowerCamelCase`.

use crate::json::{Json, Object};

/// An object whose fields are read by their `snake_case` names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'j>(Option<&'j Object>);

impl<'j> Fields<'j> {
    pub(super) fn of(json: Option<&'j Json>) -> Self {
        Self(json.and_then(Json::as_object))
    }

    /// The value of a field; `None` if it is absent or null.
    pub(super) fn get(self, name: &str) -> Option<&'j Json> {
        let object = self.0?;
        let found = object.get(name).or_else(|| object.get(&camel(name)));
        found.filter(|value| **value != Json::Null)
    }

    pub(super) fn object(self, name: &str) -> Self {
        Self::of(self.get(name))
    }

    pub(super) fn text(self, name: &str) -> Option<&'j str> {
        self.get(name)?.as_str()
    }

    pub(super) fn flag(self, name: &str) -> bool {
        self.get(name) == Some(&Json::Bool(true))
    }

    pub(super) fn list(self, name: &str) -> &'j [Json] {
        self.get(name).and_then(Json::as_array).unwrap_or_default()
    }

    /// The strings of a list; numbers as text, as in `ports: [80]`.
    pub(super) fn texts(self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(text_of).collect()
    }

    /// The strings of a list; `None` if it is no list of scalars.
    pub(super) fn all_texts(self, name: &str) -> Option<Vec<String>> {
        self.get(name)?.as_array()?.iter().map(text_of).collect()
    }

    /// The fields that are set, by their `snake_case` names.
    pub(super) fn names(self) -> Vec<String> {
        let members = self.0.into_iter().flat_map(Object::iter);
        members
            .filter(|(_, value)| **value != Json::Null)
            .map(|(name, _)| snake(name))
            .collect()
    }

    /// The members of a map, whose names are kept.
    pub(super) fn members(self) -> impl Iterator<Item = (&'j str, &'j Json)> {
        self.0.into_iter().flat_map(Object::iter)
    }
}

/// A string, or a number or boolean as text.
pub(super) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::String(text) => Some(text.to_string()),
        Json::Integer(number) => Some(number.to_string()),
        Json::Float(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// A value for messages and for the config.
pub(super) fn to_value(json: &Json) -> serde_json::Value {
    use serde_json::Value;
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::from(*flag),
        Json::Integer(number) => Value::from(*number),
        Json::Float(number) => Value::from(*number),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(to_value).collect(),
        Json::Object(object) => object
            .iter()
            .map(|(name, value)| (name.to_owned(), to_value(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// A field as Istio writes it.
pub(super) fn camel(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        match character {
            '_' => upper = true,
            character if upper => {
                text.push(character.to_ascii_uppercase());
                upper = false;
            }
            character => text.push(character),
        }
    }
    text
}

fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}
