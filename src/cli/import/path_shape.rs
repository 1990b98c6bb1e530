//! The requests that one path pattern matches.
//!
//! The routes tell `/a` and `/a/` apart (`trailing_slash: distinct`), as the source does.

use super::spelling::{encode, is_plain};
use crate::policy::pattern::PathPattern;

/// The requests that one path pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PathShape {
    pub(super) segments: Vec<Segment>,
    pub(super) end: End,
}

/// One segment of a shape.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// A literal, decoded.
    Literal(String),
    /// Any segment.
    Variable,
}

/// How a shape ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// After the last segment.
    Plain,
    /// With a slash.
    Slash,
    /// With any number of further segments, or none.
    Tail,
}

impl PathShape {
    pub(super) const fn all() -> Self {
        Self {
            segments: Vec::new(),
            end: End::Tail,
        }
    }

    /// The paths below these segments.
    pub(super) fn below(segments: impl IntoIterator<Item = String>) -> Self {
        Self {
            segments: segments.into_iter().map(Segment::Literal).collect(),
            end: End::Tail,
        }
    }

    /// A shape that has all paths which start with a text: as many of its whole segments as have one spelling.
    pub(super) fn below_lead(lead: &str) -> Self {
        let whole = lead.rsplit_once('/').map_or("", |(whole, _)| whole);
        let segments = whole.split('/').skip(1);
        let plain =
            segments.take_while(|segment| !segment.is_empty() && segment.bytes().all(is_plain));
        let below = Self::below(plain.map(str::to_owned));
        if below.is_valid() { below } else { Self::all() }
    }

    /// The pattern of a route.
    pub(super) fn pattern(&self) -> String {
        let mut text = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(&encode(literal)),
                Segment::Variable => text.push_str(&format!("{{v{}}}", index.saturating_add(1))),
            }
        }
        match self.end {
            End::Tail => text.push_str("/{*rest}"),
            End::Slash => text.push('/'),
            End::Plain if text.is_empty() => text.push('/'),
            End::Plain => {}
        }
        text
    }

    /// Whether a route can have this pattern.
    pub(super) fn is_valid(&self) -> bool {
        PathPattern::parse(&self.pattern()).is_ok()
    }

    /// The paths that both match.
    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let (short, long) = if self.segments.len() <= other.segments.len() {
            (self, other)
        } else {
            (other, self)
        };
        let end = match (short.end, long.end) {
            (End::Tail, end) => end,
            (end, End::Tail) if short.segments.len() == long.segments.len() => end,
            (one, other) if one == other && short.segments.len() == long.segments.len() => one,
            _ => return None,
        };
        let mut segments = Vec::with_capacity(long.segments.len());
        for (index, segment) in long.segments.iter().enumerate() {
            segments.push(match (short.segments.get(index), segment) {
                (None | Some(Segment::Variable), segment) => segment.clone(),
                (Some(literal), Segment::Variable) => literal.clone(),
                (Some(one), other) if one == other => one.clone(),
                _ => return None,
            });
        }
        Some(Self { segments, end })
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.meet(other).as_ref() == Some(self)
    }

    /// Greater for the one of two that decides a path which both match.
    pub(super) fn specificity(&self) -> Vec<u8> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(_) => 2,
            Segment::Variable => 1,
        });
        let end = if self.end == End::Tail { 0 } else { 3 };
        segments.chain([end]).collect()
    }

    /// The text, if it is a single path.
    pub(super) fn literal(&self) -> Option<String> {
        let is_literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        (self.end != End::Tail && self.segments.iter().all(is_literal)).then(|| self.pattern())
    }
}
