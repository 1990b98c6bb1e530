//! The ambiguity classes of a path, and the rules for them.

use std::fmt;

/// A way in which two programs can interpret one path differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Ambiguity {
    /// A segment `.` or `..`, also as `%2e`, before `;…`, or next to `%2F`, `\` or `%5C`.
    DotSegments,
    /// `//`; not a single slash at the end.
    EmptySegments,
    /// `%2F`: some backends treat it as a separator.
    EncodedSlash,
    /// A percent triplet that appears only after decoding: `%2541`. Some backends decode twice.
    DoubleEncoding,
    /// `;` or `%3B`: some backends remove path parameters.
    Semicolon,
    /// `\` or `%5C`: some backends treat it as a separator.
    Backslash,
    /// `%3F` or `%23`: some proxies forward it decoded, so that the path ends there.
    EncodedQuery,
}

/// A set of [`Ambiguity`] classes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct AmbiguitySet(u8);

/// What to do with a class that can be resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolve {
    /// Answer 400 `path_ambiguous`.
    #[default]
    Reject,
    /// Match the resolved path and write it back to `:path`.
    Normalize,
}

/// What to do with a class that is data to some backends and syntax to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retain {
    /// Answer 400 `path_ambiguous`.
    #[default]
    Reject,
    /// Treat it as data inside its segment, never as a separator, and forward it unchanged.
    Keep,
}

/// Whether `/a` and `/a/` are the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrailingSlash {
    /// One path.
    #[default]
    Same,
    /// Two paths.
    Distinct,
}

/// `rbac.path`: one rule per class. The default rejects every class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathRules {
    /// Rule for [`Ambiguity::DotSegments`].
    pub dot_segments: Resolve,
    /// Rule for [`Ambiguity::EmptySegments`].
    pub empty_segments: Resolve,
    /// Rule for [`Ambiguity::EncodedSlash`].
    pub encoded_slash: Retain,
    /// Rule for [`Ambiguity::DoubleEncoding`].
    pub double_encoding: Retain,
    /// Rule for [`Ambiguity::Semicolon`].
    pub semicolon: Retain,
    /// Rule for [`Ambiguity::Backslash`].
    pub backslash: Retain,
    /// Rule for [`Ambiguity::EncodedQuery`].
    pub encoded_query: Retain,
    /// Whether `/a` and `/a/` are the same path.
    pub trailing_slash: TrailingSlash,
}

/// A route's `path_rules`, which override those of `rbac.path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathRuleOverrides {
    /// Replaces [`PathRules::dot_segments`].
    pub dot_segments: Option<Resolve>,
    /// Replaces [`PathRules::empty_segments`].
    pub empty_segments: Option<Resolve>,
    /// Replaces [`PathRules::encoded_slash`].
    pub encoded_slash: Option<Retain>,
    /// Replaces [`PathRules::double_encoding`].
    pub double_encoding: Option<Retain>,
    /// Replaces [`PathRules::semicolon`].
    pub semicolon: Option<Retain>,
    /// Replaces [`PathRules::backslash`].
    pub backslash: Option<Retain>,
    /// Replaces [`PathRules::encoded_query`].
    pub encoded_query: Option<Retain>,
    /// Replaces [`PathRules::trailing_slash`].
    pub trailing_slash: Option<TrailingSlash>,
}

impl PathRules {
    /// Whether these rules reject paths of this class.
    pub fn rejects(&self, class: Ambiguity) -> bool {
        match class {
            Ambiguity::DotSegments => self.dot_segments == Resolve::Reject,
            Ambiguity::EmptySegments => self.empty_segments == Resolve::Reject,
            Ambiguity::EncodedSlash => self.encoded_slash == Retain::Reject,
            Ambiguity::DoubleEncoding => self.double_encoding == Retain::Reject,
            Ambiguity::Semicolon => self.semicolon == Retain::Reject,
            Ambiguity::Backslash => self.backslash == Retain::Reject,
            Ambiguity::EncodedQuery => self.encoded_query == Retain::Reject,
        }
    }
}

#[cfg(test)]
impl PathRules {
    /// Accepts every class that can be accepted.
    pub(crate) const LENIENT: Self = Self {
        dot_segments: Resolve::Normalize,
        empty_segments: Resolve::Normalize,
        encoded_slash: Retain::Keep,
        double_encoding: Retain::Keep,
        semicolon: Retain::Keep,
        backslash: Retain::Keep,
        encoded_query: Retain::Keep,
        trailing_slash: TrailingSlash::Same,
    };
}

impl PathRuleOverrides {
    /// The rules of a route: the overrides that are set, else the base.
    pub fn over(&self, base: &PathRules) -> PathRules {
        PathRules {
            dot_segments: self.dot_segments.unwrap_or(base.dot_segments),
            empty_segments: self.empty_segments.unwrap_or(base.empty_segments),
            encoded_slash: self.encoded_slash.unwrap_or(base.encoded_slash),
            double_encoding: self.double_encoding.unwrap_or(base.double_encoding),
            semicolon: self.semicolon.unwrap_or(base.semicolon),
            backslash: self.backslash.unwrap_or(base.backslash),
            encoded_query: self.encoded_query.unwrap_or(base.encoded_query),
            trailing_slash: self.trailing_slash.unwrap_or(base.trailing_slash),
        }
    }
}

impl Ambiguity {
    /// Every class, in the order in which they are reported.
    pub const ALL: [Self; 7] = [
        Self::DotSegments,
        Self::EmptySegments,
        Self::EncodedSlash,
        Self::DoubleEncoding,
        Self::Semicolon,
        Self::Backslash,
        Self::EncodedQuery,
    ];

    /// The key of its rule in `rbac.path`, also shown in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DotSegments => "dot_segments",
            Self::EmptySegments => "empty_segments",
            Self::EncodedSlash => "encoded_slash",
            Self::DoubleEncoding => "double_encoding",
            Self::Semicolon => "semicolon",
            Self::Backslash => "backslash",
            Self::EncodedQuery => "encoded_query",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::DotSegments => 1,
            Self::EmptySegments => 2,
            Self::EncodedSlash => 4,
            Self::DoubleEncoding => 8,
            Self::Semicolon => 16,
            Self::Backslash => 32,
            Self::EncodedQuery => 64,
        }
    }
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl AmbiguitySet {
    /// No class.
    pub const EMPTY: Self = Self(0);

    /// Adds a class.
    pub fn insert(&mut self, class: Ambiguity) {
        self.0 |= class.bit();
    }

    /// Adds every class of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the set contains the class.
    pub const fn contains(self, class: Ambiguity) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The classes, in the order of [`Ambiguity::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Ambiguity> {
        Ambiguity::ALL
            .into_iter()
            .filter(move |class| self.contains(*class))
    }
}

impl fmt::Debug for AmbiguitySet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_set()
            .entries(self.iter().map(Ambiguity::code))
            .finish()
    }
}
