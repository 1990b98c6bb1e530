//! The canonical path of a request, and its ambiguity classes.
//!
//! Each segment is percent-decoded exactly once; a decoded slash is never a separator. In the forwarded
//! path, dot and empty segments are resolved and unreserved characters are decoded, so that Envoy's routes
//! and the backends see the same path as the policy.

mod decode;
mod interpretations;
mod rules;

use std::borrow::Cow;

use crate::bytes::ByteSet;

use self::decode::decode_unreserved;
pub(crate) use self::decode::{decode_segment, inspect, is_dots};
pub(crate) use self::interpretations::interpretations;
pub(crate) use self::rules::{
    Ambiguity, AmbiguitySet, PathRuleOverrides, PathRules, Resolve, Retain, TrailingSlash,
};

/// The value of `:path`, split and decoded, with dot and empty segments resolved. Borrowed from the request
/// if nothing had to be changed.
#[derive(Debug, Clone)]
pub struct CanonicalPath<'r> {
    segments: SegmentText<'r>,
    classes: AmbiguitySet,
    hidden: AmbiguitySet,
    /// The `:path` to forward, query included, if it differs from the one received.
    normalized: Option<Vec<u8>>,
}

/// Why a `:path` is not valid. Always answered with 400 `request_malformed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with a slash: it is empty, `*`, or in absolute form.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// A raw `#`: a fragment is never sent (RFC 9110 §7.1).
    #[error("the path holds a fragment")]
    Fragment,
    /// A control byte, raw or decoded, or a raw space.
    #[error("the path holds a control character")]
    Control,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the path holds a broken percent triplet")]
    Percent,
    /// Not UTF-8 after decoding, overlong forms included.
    #[error("the path is not UTF-8")]
    Utf8,
    /// A `..` that leads above the root.
    #[error("the path leads above the root")]
    AboveRoot,
}

/// Decoded segments in one text, separated by a byte that segments cannot contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentText<'r> {
    /// UTF-8 without a separator at start or end; empty for the root. No segment is empty.
    pub(crate) text: Cow<'r, [u8]>,
    /// `/` if nothing was decoded, else NUL (control bytes are rejected).
    pub(crate) separator: u8,
    /// Whether the path ends in a slash; false for the root.
    pub(crate) trailing_slash: bool,
}

impl<'r> CanonicalPath<'r> {
    /// Parses the value of `:path` (RFC 9113 §8.3.1; RFC 3986 §3.3).
    ///
    /// # Errors
    /// A `PathError`
    pub fn parse(raw: &'r [u8]) -> Result<Self, PathError> {
        let inner = raw.strip_prefix(b"/").ok_or(PathError::NotAbsolute)?;
        let mut plain = true;
        let mut end = inner.len();
        let starts_segment = |index: usize| {
            let before = index.checked_sub(1).and_then(|before| inner.get(before));
            before.is_none_or(|byte| *byte == b'/')
        };
        for (index, &byte) in inner.iter().enumerate() {
            if ORDINARY.has(byte) {
                continue;
            }
            match byte {
                b'/' | b'.' if starts_segment(index) => plain = false,
                b'%' | b';' | b'\\' => plain = false,
                b'?' => {
                    end = index;
                    break;
                }
                b'#' => return Err(PathError::Fragment),
                0..=b' ' | 0x7F => return Err(PathError::Control),
                0x80.. => plain = false,
                _ => {}
            }
        }
        let (path, query) = inner.split_at_checked(end).unwrap_or((inner, b""));
        if !plain {
            return Self::parse_special(path, query);
        }
        Ok(Self {
            segments: SegmentText {
                text: Cow::Borrowed(path.strip_suffix(b"/").unwrap_or(path)),
                separator: b'/',
                trailing_slash: path.ends_with(b"/"),
            },
            classes: AmbiguitySet::EMPTY,
            hidden: AmbiguitySet::EMPTY,
            normalized: None,
        })
    }

    /// The ambiguity classes of the path as received.
    pub fn classes(&self) -> AmbiguitySet {
        self.classes
    }

    /// The first class for which the rules reject the path. Dot segments that only a backend could find
    /// inside a segment (`..%2f`, `..;x`, `%252e%252e`) cannot be resolved and are always rejected.
    pub fn rejected_by(&self, rules: &PathRules) -> Option<Ambiguity> {
        self.classes
            .iter()
            .find(|class| self.hidden.contains(*class) || rules.rejects(*class))
    }

    /// The `:path` to forward, query included; `None` if it is unchanged.
    pub fn normalized(&self) -> Option<&[u8]> {
        self.normalized.as_deref()
    }

    /// The decoded segments; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.segments.start();
        std::iter::from_fn(move || {
            let (segment, after) = self.segments.next(rest?);
            rest = after;
            Some(segment)
        })
    }

    /// Whether the resolved path ends in a slash; false for the root.
    pub fn trailing_slash(&self) -> bool {
        self.segments.trailing_slash
    }

    pub(crate) fn segment_text(&self) -> &SegmentText<'r> {
        &self.segments
    }

    /// Parses a path with percent-encoding or special characters.
    #[cold]
    fn parse_special(path: &[u8], query: &[u8]) -> Result<Self, PathError> {
        let mut classes = AmbiguitySet::EMPTY;
        let mut hidden = AmbiguitySet::EMPTY;
        let mut decoded: Vec<u8> = Vec::with_capacity(path.len());
        let mut kept: Vec<Kept<'_>> = Vec::new();
        let mut trailing_slash = false;
        let mut raw_segments = path.split(|byte| *byte == b'/').peekable();
        while let Some(raw) = raw_segments.next() {
            let last = raw_segments.peek().is_none();
            if raw.is_empty() {
                if last {
                    trailing_slash = true;
                } else {
                    classes.insert(Ambiguity::EmptySegments);
                }
                continue;
            }
            let start = decoded.len();
            decode_segment(raw, &mut decoded)?;
            let segment = decoded.get(start..).unwrap_or_default();
            if is_dots(segment) {
                classes.insert(Ambiguity::DotSegments);
                let parent = segment == b"..";
                decoded.truncate(start);
                if parent {
                    let left = kept.pop().ok_or(PathError::AboveRoot)?;
                    decoded.truncate(left.start);
                }
                // RFC 3986 §5.2.4: a dot segment at the end leaves a slash there.
                trailing_slash = last;
                continue;
            }
            // Checked before a `..` may remove the segment.
            std::str::from_utf8(segment).map_err(|_| PathError::Utf8)?;
            let found = inspect(segment);
            classes.extend(found.classes);
            hidden.extend(found.hidden);
            kept.push(Kept { raw, start });
            decoded.push(SEPARATOR);
        }
        decoded.pop();
        trailing_slash &= !kept.is_empty();
        let normal = join(&kept, trailing_slash, query);
        let sent = [b"/", path, query].concat();
        Ok(Self {
            segments: SegmentText {
                text: Cow::Owned(decoded),
                separator: SEPARATOR,
                trailing_slash,
            },
            classes,
            hidden,
            normalized: (normal != sent).then_some(normal),
        })
    }
}

impl SegmentText<'_> {
    /// Where [`Self::next`] starts; `None` at the root.
    pub(crate) fn start(&self) -> Option<&[u8]> {
        (!self.text.is_empty()).then_some(&*self.text)
    }

    /// Splits the first segment off the rest.
    pub(crate) fn next<'t>(&self, rest: &'t [u8]) -> (&'t [u8], Option<&'t [u8]>) {
        let mut parts = rest.splitn(2, |byte| *byte == self.separator);
        (parts.next().unwrap_or_default(), parts.next())
    }

    /// The rest, with slashes between the segments.
    pub(crate) fn join<'t>(&self, rest: &'t [u8]) -> Cow<'t, [u8]> {
        if self.separator == b'/' {
            Cow::Borrowed(rest)
        } else {
            let slash = |byte: &u8| if *byte == self.separator { b'/' } else { *byte };
            rest.iter().map(slash).collect()
        }
    }
}

/// A segment that remains after dot and empty segments were resolved.
struct Kept<'p> {
    raw: &'p [u8],
    /// Where its decoded form starts.
    start: usize,
}

/// Characters that all programs interpret in the same way.
static ORDINARY: ByteSet = ByteSet::alphanumeric_and(b"-_~!$&'()*+,=:@");

/// Separates decoded segments, which cannot contain it because control bytes are rejected.
pub(crate) const SEPARATOR: u8 = 0;

fn join(kept: &[Kept<'_>], trailing_slash: bool, query: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    for segment in kept {
        path.push(b'/');
        decode_unreserved(segment.raw, &mut path);
    }
    if trailing_slash || kept.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(query);
    path
}

#[cfg(test)]
mod tests;
