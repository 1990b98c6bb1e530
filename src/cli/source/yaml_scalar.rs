//! The values of YAML scalars, as kubectl resolves them.
//!
//! kubectl turns YAML into JSON by `sigs.k8s.io/yaml`, which resolves plain scalars by YAML 1.1: `on`, `yes` and
//! `n` are booleans, `0777` is octal. Envoy (yaml-cpp) does the same, but never for keys.

use crate::json::Json;

/// The value of a plain scalar. `None`: a number that JSON does not have.
pub(super) fn plain(text: &str) -> Option<Json> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Json::Null),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF"
        | ".nan" | ".NaN" | ".NAN" => return None,
        _ => {}
    }
    if let Some(flag) = boolean(text) {
        return Some(Json::Bool(flag));
    }
    if let Some(number) = number(text) {
        return Some(number);
    }
    Some(Json::String(text.into()))
}

/// A boolean of YAML 1.1.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(false)
        }
        _ => None,
    }
}

/// A number as Go's `strconv.ParseInt(…, 0, 64)` and `ParseFloat` read it, underscores removed.
fn number(text: &str) -> Option<Json> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        Some(two) if two.starts_with('0') && two.bytes().all(|byte| byte.is_ascii_digit()) => {
            (8, digits.get(1..)?)
        }
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        return Some(Json::Integer(number));
    }
    let is_float = |text: &str| {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (text.get(..at)?, text.get(at.checked_add(1)?..)),
            None => (text, None),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let mantissa =
            digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
        let exponent = exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        });
        (mantissa && exponent).then_some(())
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(&text);
    is_float(unsigned)?;
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(Json::Float(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those that `sigs.k8s.io/yaml` 1.6.0 gave.
    #[test]
    fn scalars_are_those_of_kubectl() {
        let string = |text: &str| Json::String(text.into());
        for (text, expected) in [
            ("~", Json::Null),
            ("on", Json::Bool(true)),
            ("y", Json::Bool(true)),
            ("NO", Json::Bool(false)),
            ("yEs", string("yEs")),
            ("12", Json::Integer(12)),
            ("+12", Json::Integer(12)),
            ("-1_000", Json::Integer(-1000)),
            ("0777", Json::Integer(511)),
            ("0o17", Json::Integer(15)),
            ("0x1F", Json::Integer(31)),
            ("0b101", Json::Integer(5)),
            ("-0b101", Json::Integer(-5)),
            ("0", Json::Integer(0)),
            ("08", Json::Float(8.0)),
            ("1.5", Json::Float(1.5)),
            (".5", Json::Float(0.5)),
            ("5.", Json::Float(5.0)),
            ("1e3", Json::Float(1000.0)),
            ("1e", string("1e")),
            (
                "18446744073709551615",
                Json::Float(18_446_744_073_709_551_615.0),
            ),
            ("2027-01-01T00:00:00Z", string("2027-01-01T00:00:00Z")),
            ("12:30", string("12:30")),
            ("1.2.3", string("1.2.3")),
            ("--1", string("--1")),
            ("0x", string("0x")),
            ("-", string("-")),
            (".", string(".")),
            ("1_000.5", Json::Float(1000.5)),
            ("+.5", Json::Float(0.5)),
            ("-.5", Json::Float(-0.5)),
            ("1E5", Json::Float(100_000.0)),
            ("1e400", string("1e400")),
            ("0_7", Json::Integer(7)),
            ("0O7", Json::Integer(7)),
            ("0X1f", Json::Integer(31)),
            ("+0x1F", Json::Integer(31)),
            ("0x_1", Json::Integer(1)),
            ("0b", string("0b")),
            ("009", Json::Float(9.0)),
            ("1__0", Json::Integer(10)),
            ("-0", Json::Integer(0)),
            ("_1", string("_1")),
            ("-x", string("-x")),
            ("=", string("=")),
            ("2001-01-01", string("2001-01-01")),
            ("Null", Json::Null),
            ("nULL", string("nULL")),
            ("tRUE", string("tRUE")),
            ("Off", Json::Bool(false)),
        ] {
            assert_eq!(plain(text), Some(expected), "{text}");
        }
        for text in [".inf", "-.Inf", ".NaN"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
