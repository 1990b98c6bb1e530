//! JSON output that is safe to print on a terminal.

use std::fmt::Write as _;

use smol_str::SmolStr;

use crate::json::Json;

/// An object with these members, in this order.
pub(in crate::cli) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    Json::Object(
        members
            .into_iter()
            .map(|(name, value)| (SmolStr::from(name), value))
            .collect(),
    )
}

/// A string.
pub(in crate::cli) fn string(text: impl AsRef<str>) -> Json {
    Json::String(text.as_ref().into())
}

/// A list of strings.
pub(in crate::cli) fn strings<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Json {
    Json::Array(texts.into_iter().map(string).collect())
}

/// The string or `null`.
pub(in crate::cli) fn optional<T: AsRef<str>>(text: Option<T>) -> Json {
    text.map_or(Json::Null, string)
}

/// The number; one above the range of `i64` is `null`.
pub(in crate::cli) fn number(number: impl TryInto<i64>) -> Json {
    number.try_into().map_or(Json::Null, Json::Integer)
}

/// The value on one line.
pub(in crate::cli) fn compact(json: &Json) -> String {
    let mut text = String::new();
    write(&mut text, json, None);
    text
}

/// The value over several lines; lists and objects without lists and objects in them stay on one line if they
/// are short.
pub(in crate::cli) fn pretty(json: &Json) -> String {
    let mut text = String::new();
    write(&mut text, json, Some(0));
    text
}

/// The longest line of a list or an object that `pretty` keeps on one line.
const LINE: usize = 80;

fn write(text: &mut String, json: &Json, depth: Option<usize>) {
    match json {
        Json::Null => text.push_str("null"),
        Json::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Json::Integer(number) => text.push_str(&number.to_string()),
        Json::Float(number) => {
            // A finite number can be written.
            text.push_str(&serde_json::to_string(number).unwrap_or_default());
        }
        Json::String(value) => write_string(text, value),
        Json::Array(items) => {
            let depth = depth.filter(|_| !fits_on_a_line(json));
            list(
                text,
                depth,
                ('[', ']'),
                items.iter(),
                |text, item, depth| {
                    write(text, item, depth);
                },
            );
        }
        Json::Object(object) => {
            let depth = depth.filter(|depth| *depth == 0 || !fits_on_a_line(json));
            list(
                text,
                depth,
                ('{', '}'),
                object.iter(),
                |text, (name, value), depth| {
                    write_string(text, name);
                    text.push_str(if depth.is_some() { ": " } else { ":" });
                    write(text, value, depth);
                },
            );
        }
    }
}

fn list<T>(
    text: &mut String,
    depth: Option<usize>,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    mut each: impl FnMut(&mut String, T, Option<usize>),
) {
    let inner = depth.map(|depth| depth.saturating_add(1));
    text.push(open);
    let mut is_empty = true;
    for item in items {
        if !is_empty {
            text.push(',');
        }
        is_empty = false;
        new_line(text, inner);
        each(text, item, inner);
    }
    if !is_empty {
        new_line(text, depth);
    }
    text.push(close);
}

fn new_line(text: &mut String, depth: Option<usize>) {
    if let Some(depth) = depth {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    }
}

fn fits_on_a_line(json: &Json) -> bool {
    let is_scalar = |value: &Json| !matches!(value, Json::Array(_) | Json::Object(_));
    let flat = match json {
        Json::Array(items) => items.iter().all(is_scalar),
        Json::Object(object) => object.iter().all(|(_, value)| is_scalar(value)),
        _ => true,
    };
    flat && compact(json).len() <= LINE
}

/// A JSON string (RFC 8259 §7) whose control characters and invisible ones are escaped.
fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(character),
            // `escape_debug` leaves a character that can be printed as it is.
            _ if character.escape_debug().count() == 1 => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_value() {
        let text = r#"{"a":[1,-2.5,true,null,"x"],"b":{"c":{"d":[]},"e":{}},"f\n\"\\":"\u0000\u001b[31m\u202e\u007fü😀"}"#;
        let json = Json::parse(text.as_bytes()).unwrap();
        assert_eq!(Json::parse(compact(&json).as_bytes()).unwrap(), json);
        assert_eq!(Json::parse(pretty(&json).as_bytes()).unwrap(), json);
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        let hostile = "\u{1b}[2J\r\u{0}\u{9b}1m\u{202e}\u{200b}\u{feff}\u{7f}";
        let is_safe = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(is_safe(&compact(&string(hostile))));
    }

    #[test]
    fn short_lists_stay_on_one_line() {
        let json = Json::parse(br#"{"aud":["a","b"],"deep":{"list":[{"a":1}]}}"#).unwrap();
        let expected = r#"{
  "aud": ["a","b"],
  "deep": {
    "list": [
      {"a":1}
    ]
  }
}"#;
        assert_eq!(pretty(&json), expected);
    }
}
