//! The values of a pattern's variables in a path.

use std::borrow::Cow;
use std::fmt;

use crate::policy::path::{CanonicalPath, SegmentText};
use crate::policy::pattern::{PathPattern, Segment};

/// The values of a route's path variables, which are extracted on demand.
#[derive(Clone, Copy, Default)]
pub(crate) struct Variables<'a>(Option<(&'a PathPattern, &'a SegmentText<'a>)>);

impl<'a> Variables<'a> {
    /// The variables of a pattern in a path that it matches.
    pub(crate) fn of(pattern: &'a PathPattern, path: &'a CanonicalPath<'_>) -> Self {
        Self::new(pattern, path.segment_text())
    }

    pub(crate) fn new(pattern: &'a PathPattern, path: &'a SegmentText<'_>) -> Self {
        Self(Some((pattern, path)))
    }

    /// The decoded value (UTF-8) of a variable; `None` if the pattern does not have it. The value of
    /// `{*rest}` has slashes between its segments but not at its end, and may be empty.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let (pattern, path) = self.0?;
        let mut rest = path.start();
        for segment in pattern.segments() {
            match segment {
                Segment::Tail(variable) if **variable == *name => {
                    return Some(
                        rest.map_or(Cow::Borrowed(b"".as_slice()), |rest| path.join(rest)),
                    );
                }
                _ => {
                    let (value, after) = path.next(rest?);
                    if segment.variable() == Some(name) {
                        return Some(Cow::Borrowed(value));
                    }
                    rest = after;
                }
            }
        }
        None
    }
}

impl fmt::Debug for Variables<'_> {
    /// Only the names, because values are untrusted.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().flat_map(|(pattern, _)| pattern.variables());
        formatter.debug_set().entries(names).finish()
    }
}
