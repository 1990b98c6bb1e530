//! The other ways in which common backends read a path whose odd bytes are kept as data.

use super::decode::decode_leniently;
use super::{SEPARATOR, SegmentText};
use std::borrow::Cow;

/// One backend's habits.
#[derive(Debug, Clone, Copy)]
struct Habits {
    decodes_twice: bool,
    splits_at_encoded_slash: bool,
    splits_at_backslash: bool,
    cuts_parameters: bool,
}

/// Every reading of a path that differs from the one that is matched, for all combinations of: a
/// second decoding, `%2F` and `\` as separators, `;…` cut. Dot segments need no thought here: those
/// that only another reading finds are refused when the path is parsed.
pub(crate) fn readings<'p>(
    path: &'p SegmentText<'_>,
) -> impl Iterator<Item = SegmentText<'static>> + 'p {
    (1_u8..16).filter_map(|bits| {
        let habits = Habits {
            decodes_twice: bits & 1 != 0,
            splits_at_encoded_slash: bits & 2 != 0,
            splits_at_backslash: bits & 4 != 0,
            cuts_parameters: bits & 8 != 0,
        };
        read(path, habits)
    })
}

/// `None` where one of the habits changes nothing, so that no reading comes twice.
fn read(path: &SegmentText<'_>, habits: Habits) -> Option<SegmentText<'static>> {
    let mut text: Vec<u8> = Vec::with_capacity(path.text.len());
    if habits.decodes_twice {
        decode_leniently(&path.text, &mut text);
        if text == *path.text {
            return None;
        }
    } else {
        text.extend_from_slice(&path.text);
    }
    let has = |byte: u8| text.contains(&byte);
    if habits.splits_at_encoded_slash && !has(b'/')
        || habits.splits_at_backslash && !has(b'\\')
        || habits.cuts_parameters && !has(b';')
    {
        return None;
    }
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut trailing_slash = path.trailing_slash;
    let segments = text.split(|byte| {
        *byte == SEPARATOR
            || habits.splits_at_encoded_slash && *byte == b'/'
            || habits.splits_at_backslash && *byte == b'\\'
    });
    for segment in segments {
        let segment = if habits.cuts_parameters {
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
        trailing_slash = path.trailing_slash;
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
