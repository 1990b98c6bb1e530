//! The values that a path gives to a pattern's variables.

use std::borrow::Cow;
use std::fmt;

use crate::policy::path::{CanonicalPath, SegmentText};
use crate::policy::pattern::{PathPattern, Segment};

/// The values of a route's path variables, read from the path when asked for.
#[derive(Clone, Copy, Default)]
pub struct Variables<'a>(Option<(&'a PathPattern, &'a SegmentText<'a>)>);

impl<'a> Variables<'a> {
    /// No variables.
    pub fn none() -> Self {
        Self(None)
    }

    /// The variables of a pattern in a path that it matches.
    pub fn of(pattern: &'a PathPattern, path: &'a CanonicalPath<'_>) -> Self {
        Self::new(pattern, path.segment_text())
    }

    pub(crate) fn new(pattern: &'a PathPattern, path: &'a SegmentText<'_>) -> Self {
        Self(Some((pattern, path)))
    }

    /// The value of a variable, decoded: UTF-8. That of `{*rest}` has slashes between its segments, none at
    /// its end, and may be empty. `None` if the pattern has no such variable.
    pub fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
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
    /// The names only: values are the request's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().flat_map(|(pattern, _)| pattern.variables());
        formatter.debug_set().entries(names).finish()
    }
}
