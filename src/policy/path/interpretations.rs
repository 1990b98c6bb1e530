//! Other interpretations of a path by common backends.

use std::borrow::Cow;

use super::decode::decode_again;
use super::{SEPARATOR, SegmentText};

/// How a backend treats special bytes in a decoded path.
#[derive(Debug, Clone, Copy)]
struct BackendQuirks {
    splits_at_encoded_slash: bool,
    splits_at_backslash: bool,
    cuts_parameters: bool,
    ends_at_query: bool,
}

/// All interpretations that differ from the one that is matched: combinations of repeated
/// percent-decoding, `%2F` and `\\` as separators, removal of `;…`, and a path that ends at `%3F` or `%23`.
/// They have no dot segments: a path with hidden dot segments is always rejected (see [`CanonicalPath::rejected_by`]).
///
/// [`CanonicalPath::rejected_by`]: super::CanonicalPath::rejected_by
pub(crate) fn interpretations<'p>(
    path: &'p SegmentText<'_>,
) -> impl Iterator<Item = SegmentText<'static>> + 'p {
    let texts = std::iter::successors(Some(path.text.to_vec()), |text| decode_again(text));
    texts.enumerate().flat_map(move |(decodings, text)| {
        let first = u8::from(decodings == 0);
        (first..16).filter_map(move |bits| {
            let quirks = BackendQuirks {
                splits_at_encoded_slash: bits & 1 != 0,
                splits_at_backslash: bits & 2 != 0,
                cuts_parameters: bits & 4 != 0,
                ends_at_query: bits & 8 != 0,
            };
            interpret(path, &text, quirks)
        })
    })
}

/// `None` if one of the quirks changes nothing, so that each interpretation is returned only once.
fn interpret(
    path: &SegmentText<'_>,
    text: &[u8],
    quirks: BackendQuirks,
) -> Option<SegmentText<'static>> {
    let has = |byte: u8| text.contains(&byte);
    if quirks.splits_at_encoded_slash && !has(b'/')
        || quirks.splits_at_backslash && !has(b'\\')
        || quirks.cuts_parameters && !has(b';')
        || quirks.ends_at_query && !text.iter().any(is_query)
    {
        return None;
    }
    let query = text
        .iter()
        .position(is_query)
        .filter(|_| quirks.ends_at_query);
    let (text, ends_in_slash) = match query {
        Some(end) => (text.get(..end).unwrap_or_default(), false),
        None => (text, path.trailing_slash),
    };
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut trailing_slash = ends_in_slash;
    let segments = text.split(|byte| {
        *byte == SEPARATOR
            || quirks.splits_at_encoded_slash && *byte == b'/'
            || quirks.splits_at_backslash && *byte == b'\\'
    });
    for segment in segments {
        let segment = if quirks.cuts_parameters {
            segment
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or(segment)
        } else {
            segment
        };
        if segment.is_empty() {
            trailing_slash = true;
            continue;
        }
        trailing_slash = ends_in_slash;
        out.extend_from_slice(segment);
        out.push(SEPARATOR);
    }
    out.pop();
    std::str::from_utf8(&out).ok()?;
    Some(SegmentText {
        trailing_slash: trailing_slash && !out.is_empty(),
        text: Cow::Owned(out),
        separator: SEPARATOR,
    })
}

/// Whether a decoded byte would end a path (RFC 3986 §3.3).
fn is_query(byte: &u8) -> bool {
    matches!(byte, b'?' | b'#')
}
