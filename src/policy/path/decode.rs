//! Percent-decoding of one segment, and what in it two programs would read differently.

use super::PathError;
use super::rules::{Ambiguity, AmbiguitySet};

/// What was found in one decoded segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Findings {
    /// Classes that a rule may let through.
    pub(crate) classes: AmbiguitySet,
    /// Classes that no rule lets through: what is hidden in them cannot be resolved.
    pub(crate) hidden: AmbiguitySet,
}

/// Decodes every percent triplet of a segment once (RFC 3986 §2.1) and appends the bytes.
pub(crate) fn decode_segment(raw: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let decoded = if byte == b'%' {
            let (value, after) = triplet(after).ok_or(PathError::Percent)?;
            rest = after;
            value
        } else {
            byte
        };
        if decoded.is_ascii_control() || byte == b' ' {
            return Err(PathError::Control);
        }
        out.push(decoded);
    }
    Ok(())
}

/// What a decoded segment holds. Only its dots are looked at as a whole: see [`is_dots`].
pub(crate) fn inspect(decoded: &[u8]) -> Findings {
    let mut found = Findings::default();
    for byte in decoded {
        match byte {
            b'/' => found.classes.insert(Ambiguity::EncodedSlash),
            b'\\' => found.classes.insert(Ambiguity::Backslash),
            b';' => found.classes.insert(Ambiguity::Semicolon),
            _ => {}
        }
    }
    if !is_dots(decoded) && hides_dots(decoded) {
        found.classes.insert(Ambiguity::DotSegments);
        found.hidden.insert(Ambiguity::DotSegments);
    }
    if has_triplet(decoded) {
        found.classes.insert(Ambiguity::DoubleEncoding);
        let mut twice = Vec::with_capacity(decoded.len());
        decode_leniently(decoded, &mut twice);
        if hides_dots(&twice) {
            found.classes.insert(Ambiguity::DotSegments);
            found.hidden.insert(Ambiguity::DotSegments);
        }
        if twice.iter().any(u8::is_ascii_control) || std::str::from_utf8(&twice).is_err() {
            found.hidden.insert(Ambiguity::DoubleEncoding);
        }
    }
    found
}

/// Whether a decoded segment is `.` or `..`, which can be resolved.
pub(crate) fn is_dots(decoded: &[u8]) -> bool {
    matches!(decoded, b"." | b"..")
}

/// Decodes as a backend would that decodes a second time; broken triplets stay as they are.
pub(crate) fn decode_leniently(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match triplet(after) {
            Some((value, after)) if byte == b'%' => {
                rest = after;
                out.push(value);
            }
            _ => out.push(byte),
        }
    }
}

/// Whether a backend that splits at a decoded `/` or `\`, or cuts `;…`, would find a dot segment.
fn hides_dots(decoded: &[u8]) -> bool {
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .filter_map(|part| part.split(|byte| *byte == b';').next())
        .any(is_dots)
}

fn has_triplet(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|window| match window {
        [b'%', digits @ ..] => triplet(digits).is_some(),
        _ => false,
    })
}

/// The byte that two hexadecimal digits stand for, and what follows them.
fn triplet(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (pair, rest) = digits.split_at_checked(2)?;
    let mut value = 0_u8;
    for digit in pair {
        let digit = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        value = (value << 4) | digit;
    }
    Some((value, rest))
}
