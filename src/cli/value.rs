//! Values of configs and claims as `serde_json` prints them.

use serde_json::{Map, Number, Value};

use crate::json::Json;

/// The same value; of members with the same name, the last.
pub(super) fn of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Integer(number) => Value::Number((*number).into()),
        Json::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Json::String(text) => Value::String(text.to_string()),
        Json::Array(items) => Value::Array(items.iter().map(of).collect()),
        Json::Object(object) => {
            let members = object.iter();
            let members = members.map(|(name, value)| (name.to_owned(), of(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}
