//! Percent-decoding of one segment, and detection of ambiguities in it.

use super::PathError;
use super::rules::{Ambiguity, AmbiguitySet};
use crate::bytes::ByteSet;

/// The ambiguities in one decoded segment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Findings {
    /// Classes that a rule may allow.
    pub(crate) classes: AmbiguitySet,
    /// Classes that are always rejected, because they cannot be resolved.
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

/// Finds the ambiguities in a decoded segment, except for [`is_dots`].
pub(crate) fn inspect(decoded: &[u8]) -> Findings {
    let mut found = Findings::default();
    for byte in decoded {
        match byte {
            b'/' => found.classes.insert(Ambiguity::EncodedSlash),
            b'\\' => found.classes.insert(Ambiguity::Backslash),
            b';' => found.classes.insert(Ambiguity::Semicolon),
            b'?' | b'#' => found.classes.insert(Ambiguity::EncodedQuery),
            _ => {}
        }
    }
    if !is_dots(decoded) && hides_dots(decoded) {
        found.classes.insert(Ambiguity::DotSegments);
        found.hidden.insert(Ambiguity::DotSegments);
    }
    if has_triplet(decoded) {
        found.classes.insert(Ambiguity::DoubleEncoding);
        let again = std::iter::successors(decode_again(decoded), |text| decode_again(text));
        for (decodings, text) in again.enumerate() {
            if hides_dots(&text) {
                found.classes.insert(Ambiguity::DotSegments);
                found.hidden.insert(Ambiguity::DotSegments);
            }
            let is_text = !text.iter().any(u8::is_ascii_control) && str::from_utf8(&text).is_ok();
            if !is_text || decodings >= MAX_DECODINGS {
                found.hidden.insert(Ambiguity::DoubleEncoding);
                break;
            }
        }
    }
    found
}

/// Whether a decoded segment is `.` or `..`, which can be resolved.
pub(crate) fn is_dots(decoded: &[u8]) -> bool {
    matches!(decoded, b"." | b"..")
}

/// Decodes a decoded text once more, as some backends do: broken triplets are kept. `None` if that changes
/// nothing.
pub(crate) fn decode_again(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
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
    (out != text).then_some(out)
}

/// Decodes the percent triplets of unreserved characters (RFC 3986 §2.3, §6.2.2.2) and appends the
/// result. All other triplets are kept: backends differ in whether `%2F` is the same as `/`.
pub(crate) fn decode_unreserved(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match triplet(after) {
            Some((value, after)) if byte == b'%' && UNRESERVED.has(value) => {
                rest = after;
                out.push(value);
            }
            _ => out.push(byte),
        }
    }
}

/// RFC 3986 §2.3.
static UNRESERVED: ByteSet = ByteSet::alphanumeric_and(b"-._~");

/// A path that needs more decodings than this to become stable is always rejected.
const MAX_DECODINGS: usize = 4;

/// Whether a backend that splits at a decoded `/` or `\`, or removes `;…`, `?…` or `#…`, would find a dot
/// segment.
fn hides_dots(decoded: &[u8]) -> bool {
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .filter_map(|part| part.split(|byte| matches!(byte, b';' | b'?' | b'#')).next())
        .any(is_dots)
}

fn has_triplet(decoded: &[u8]) -> bool {
    decoded.windows(3).any(|window| match window {
        [b'%', digits @ ..] => triplet(digits).is_some(),
        _ => false,
    })
}

/// The value of two hexadecimal digits, and the bytes after them.
fn triplet(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (pair, rest) = digits.split_at_checked(2)?;
    let mut value = 0_u8;
    for digit in pair {
        let digit = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        value = (value << 4) | digit;
    }
    Some((value, rest))
}
