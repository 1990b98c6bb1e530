//! Identity headers: headers that tell the upstream who makes a request, set from verified claims.

use crate::claims::ClaimPath;
use crate::header_name::HeaderName;
use crate::json::Json;

/// The maximum size of an identity header's value, in bytes. A longer value is omitted, not cut: half a
/// list of roles would be a different list.
pub(crate) const MAX_VALUE: usize = 4096;

/// What to do with a request that already has a reserved header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSpoof {
    /// Remove the header.
    #[default]
    Strip,
    /// Deny the request (`spoofed_header`).
    Reject,
}

/// One entry of the config's `identity.headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeader {
    /// The header's name.
    pub name: HeaderName,
    /// The claim it is set from.
    pub claim: ClaimPath,
}

/// The value of one identity header, or `None` where the claim is absent, an object, or too long.
///
/// Lists are joined with commas. `%`, commas inside a value and every byte outside 0x21–0x7E are
/// percent-encoded, so that no claim can end the header and one value cannot be read as two.
pub(crate) fn header_value(claim: &Json) -> Option<String> {
    let items = match claim {
        Json::Array(items) => items,
        scalar => std::slice::from_ref(scalar),
    };
    join(items.iter(), push_scalar)
}

/// The value of an identity header for a list of names.
pub(crate) fn list_value<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    join(names, push_text)
}

fn join<T>(
    items: impl Iterator<Item = T>,
    push: impl Fn(&mut String, T) -> Option<()>,
) -> Option<String> {
    let mut value = String::with_capacity(64);
    for (index, item) in items.enumerate() {
        if index > 0 {
            value.push(',');
        }
        push(&mut value, item)?;
    }
    (value.len() <= MAX_VALUE).then_some(value)
}

fn push_scalar(value: &mut String, scalar: &Json) -> Option<()> {
    match scalar {
        Json::String(text) => push_text(value, text)?,
        Json::Integer(number) => value.push_str(&number.to_string()),
        Json::Float(number) => value.push_str(&serde_json::Number::from_f64(*number)?.to_string()),
        Json::Bool(flag) => value.push_str(if *flag { "true" } else { "false" }),
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    }
    Some(())
}

fn push_text(value: &mut String, text: &str) -> Option<()> {
    if text.len() > MAX_VALUE {
        return None;
    }
    for byte in text.bytes() {
        if (0x21..=0x7e).contains(&byte) && byte != b'%' && byte != b',' {
            value.push(char::from(byte));
        } else {
            value.push('%');
            for nibble in [byte >> 4, byte & 0xf] {
                let digit = char::from_digit(u32::from(nibble), 16)?;
                value.push(digit.to_ascii_uppercase());
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Option<String> {
        header_value(&Json::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn scalars_are_written_as_text_and_lists_are_joined() {
        assert_eq!(value(r#""u-1""#).as_deref(), Some("u-1"));
        assert_eq!(value("12").as_deref(), Some("12"));
        assert_eq!(value("1.5").as_deref(), Some("1.5"));
        assert_eq!(value("true").as_deref(), Some("true"));
        assert_eq!(value(r#"["a","b",3]"#).as_deref(), Some("a,b,3"));
        assert_eq!(value("[]").as_deref(), Some(""));
    }

    #[test]
    fn separators_and_control_characters_are_percent_encoded() {
        assert_eq!(
            value(r#""a\r\nx-admin: 1""#).as_deref(),
            Some("a%0D%0Ax-admin:%201")
        );
        assert_eq!(
            value(r#"["a,admin","%2C"]"#).as_deref(),
            Some("a%2Cadmin,%252C")
        );
        assert_eq!(value(r#""a,b""#).as_deref(), Some("a%2Cb"));
        let names = ["a", "b c", "d,e"];
        assert_eq!(
            list_value(names.into_iter()).as_deref(),
            Some("a,b%20c,d%2Ce")
        );
        assert_eq!(value(r#""é""#).as_deref(), Some("%C3%A9"));
        assert_eq!(value(r#""\u0000\u007f""#).as_deref(), Some("%00%7F"));
    }

    #[test]
    fn objects_null_nested_lists_and_long_values_give_no_header() {
        for json in ["{}", "null", r#"[{"a":1}]"#, "[[1]]", "[null]"] {
            assert_eq!(value(json), None, "{json}");
        }
        assert!(value(&format!("{:?}", "a".repeat(MAX_VALUE))).is_some());
        assert_eq!(value(&format!("{:?}", "a".repeat(MAX_VALUE + 1))), None);
    }
}
