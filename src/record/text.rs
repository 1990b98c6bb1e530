//! Request data as text that is safe in logs.

use std::time::{Duration, SystemTime};

/// The last millisecond of the year 9999: RFC 3339 has no later time.
const LAST_TIME: u64 = 253_402_300_799_999;

/// A text that access logs can print unescaped: at most 256 characters; `"`, `\` and all characters that
/// are not printable ASCII are replaced by `_`.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .take(256)
        .map(|character| match character {
            '"' | '\\' => '_',
            character if character.is_ascii_graphic() => character,
            _ => '_',
        })
        .collect()
}

/// A path that access logs can print unescaped: its first 512 bytes, without the query; `"`, `\` and all
/// bytes that are not printable ASCII are percent-encoded.
pub(crate) fn plain_path(path: &[u8]) -> String {
    let path = without_query(path);
    let mut text = String::with_capacity(path.len());
    for byte in path.get(..512).unwrap_or(path) {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\') {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The first 16 bytes of the subject's HMAC-SHA-256 (RFC 2104), in hex. Without the key nobody can find
/// the subject by trying names.
pub(crate) fn keyed_hash(key: &[u8], subject: &str) -> String {
    let mac = hmac_sha256::HMAC::mac(subject.as_bytes(), key);
    mac.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default()
}

/// Appends a member of a JSON object; nothing if `value` is `None`. All characters that are not printable
/// ASCII are escaped (RFC 8259 §7), bytes that are not UTF-8 as `\u00XX`, so that the record is one line of
/// valid JSON without control characters. The escaped text is truncated to `limit` bytes and `...`.
pub(super) fn push_text(line: &mut String, name: &str, limit: usize, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":\"");
    let end = line.len().saturating_add(limit);
    let characters = value.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|byte| char::from(*byte));
        chunk.valid().chars().chain(invalid)
    });
    for character in characters {
        let before = line.len();
        for unit in character.encode_utf16(&mut [0; 2]) {
            push_unit(line, *unit);
        }
        if line.len() > end {
            line.truncate(before);
            line.push_str("...");
            break;
        }
    }
    line.push('"');
}

/// Appends a time, given in milliseconds since 1970, as RFC 3339 in UTC with milliseconds.
pub(super) fn push_rfc3339(line: &mut String, milliseconds: u64) {
    let since_1970 = Duration::from_millis(milliseconds.min(LAST_TIME));
    if let Some(time) = SystemTime::UNIX_EPOCH.checked_add(since_1970) {
        line.push_str(&format!("{}", humantime::format_rfc3339_millis(time)));
    }
}

/// Appends one UTF-16 code unit, escaped if necessary.
fn push_unit(line: &mut String, unit: u16) {
    match u8::try_from(unit) {
        Ok(b'"') => line.push_str("\\\""),
        Ok(b'\\') => line.push_str("\\\\"),
        Ok(byte @ 0x20..=0x7e) => line.push(char::from(byte)),
        _ => line.push_str(&format!("\\u{unit:04x}")),
    }
}
