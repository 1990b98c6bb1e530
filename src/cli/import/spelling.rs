//! How segments of paths are spelled: percent-encoded or not.

/// Why a template is listed.
pub(super) const MORE_SEGMENTS: &str = "a template matches no segment with characters outside RFC 3986, such as `[`, `*` or `\"`; a variable of a route matches any segment";

/// Why a path with reserved characters is listed.
pub(super) const MORE_SPELLINGS: &str =
    "the route matches the path with its reserved characters percent-encoded as well";

/// A segment as the filter decodes it, and whether it depends on Envoy which spellings the source matches; `None`
/// if the filter refuses it, or no path can have it.
pub(super) fn decode(piece: &str) -> Option<(String, bool)> {
    if piece.is_empty() || piece.contains(['?', '#']) {
        return None;
    }
    let mut doubtful = false;
    let mut bytes = Vec::new();
    let mut rest = piece.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            doubtful |= !is_plain(byte) && !RESERVED.contains(&byte);
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let high = digit(rest.next()?)?;
        let low = digit(rest.next()?)?;
        let decoded = u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?;
        // Only a byte that always needs the encoding has one spelling.
        doubtful |= decoded < 0x80 && !b" \"<>`{}".contains(&decoded);
        bytes.push(decoded);
    }
    Some((String::from_utf8(bytes).ok()?, doubtful))
}

/// Characters that may stand in a path percent-encoded or not. The filter takes both spellings for the same.
const RESERVED: &[u8] = b"!$&'()+,:@=*";

/// Whether a path of the source has a character of [`RESERVED`], so that the filter matches more spellings.
pub(super) fn has_reserved(path: &str) -> bool {
    path.bytes()
        .any(|byte| byte != b'*' && RESERVED.contains(&byte))
}

/// A segment as a pattern writes it.
pub(super) fn encode(literal: &str) -> String {
    let mut text = String::new();
    for byte in literal.bytes() {
        if byte != b'/' && (is_plain(byte) || (byte != b'*' && RESERVED.contains(&byte))) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// Unreserved (RFC 3986 §2.3): Envoy and the filter decode these, so that they have one spelling.
pub(super) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
}
