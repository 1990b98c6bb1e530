//! Path patterns: `/tenants/{tenant}/orders/{*rest}`.

use std::fmt;

use super::path::{PathError, decode_segment, inspect, is_dots};

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    source: Box<str>,
    segments: Box<[Segment]>,
    trailing_slash: bool,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A literal, decoded.
    Literal(Box<str>),
    /// `{name}`: any non-empty segment.
    Variable(Box<str>),
    /// `{*name}`: the rest of the path, which may be empty.
    Tail(Box<str>),
}

/// Why a text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No slash at the start.
    #[error("it must start with '/'")]
    NoLeadingSlash,
    /// `?` or `#`.
    #[error("it has a {0:?}: a route matches only the path, without query and fragment")]
    QueryOrFragment(char),
    /// `//`.
    #[error("it has an empty segment: write a single '/'")]
    EmptySegment,
    /// `.` or `..`, also percent-encoded.
    #[error("the segment {0:?} is a dot segment: write the path without it")]
    DotSegment(String),
    /// `*` outside `{*name}`.
    #[error(
        "the segment {0:?} has a '*': write {{name}} for one segment, {{*name}} for the rest of the path, or %2A for the character"
    )]
    Star(String),
    /// A segment with a variable and other text, or an unbalanced brace.
    #[error(
        "the segment {0:?} mixes text and braces: a variable must be a whole segment, as in /{{name}}"
    )]
    Mixed(String),
    /// A variable with an invalid name.
    #[error("{0:?} is not a valid variable name: use letters, digits and '_', and no digit first")]
    VariableName(String),
    /// Two variables with the same name.
    #[error("two variables are named {0:?}: give each its own name")]
    DuplicateVariable(String),
    /// `{*name}` before the end.
    #[error("{{*{0}}} matches the rest of the path: nothing may follow it, not even a slash")]
    TailNotLast(String),
    /// A segment that backends could interpret in different ways.
    #[error(
        "the segment {segment:?} is ambiguous ({class}): use a variable instead, and set path_rules to keep such paths"
    )]
    Ambiguous {
        /// The segment.
        segment: String,
        /// The code of its ambiguity class.
        class: &'static str,
    },
    /// Bytes that are not allowed in a path.
    #[error("the segment {segment:?} can match no request: {error}")]
    Malformed {
        /// The segment.
        segment: String,
        /// The error.
        error: PathError,
    },
    /// More segments than a pattern may have.
    #[error("it has more than {MAX_SEGMENTS} segments")]
    TooManySegments,
}

/// The maximum number of segments of a pattern; the lookup recurses once for each.
pub(crate) const MAX_SEGMENTS: usize = 128;

impl PathPattern {
    /// Parses a pattern. Literal segments may be percent-encoded; they are compared decoded.
    ///
    /// # Errors
    /// The first [`PatternError`].
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        let path = source
            .strip_prefix('/')
            .ok_or(PatternError::NoLeadingSlash)?;
        if let Some(mark) = path
            .chars()
            .find(|character| matches!(character, '?' | '#'))
        {
            return Err(PatternError::QueryOrFragment(mark));
        }
        let (path, trailing_slash) = match path.strip_suffix('/') {
            Some(path) if !path.is_empty() => (path, true),
            Some(_) => return Err(PatternError::EmptySegment),
            None => (path, false),
        };
        let mut segments: Vec<Segment> = Vec::new();
        if !path.is_empty() {
            for text in path.split('/') {
                if let Some(Segment::Tail(name)) = segments.last() {
                    return Err(PatternError::TailNotLast(name.to_string()));
                }
                if segments.len() >= MAX_SEGMENTS {
                    return Err(PatternError::TooManySegments);
                }
                let segment = parse_segment(text)?;
                if let Some(name) = segment.variable()
                    && segments.iter().any(|other| other.variable() == Some(name))
                {
                    return Err(PatternError::DuplicateVariable(name.to_owned()));
                }
                segments.push(segment);
            }
        }
        match segments.last() {
            Some(Segment::Tail(name)) if trailing_slash => {
                return Err(PatternError::TailNotLast(name.to_string()));
            }
            _ => {}
        }
        Ok(Self {
            source: source.into(),
            segments: segments.into(),
            trailing_slash,
        })
    }

    /// The segments; none for the root.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether it ends in a slash; false for the root.
    pub fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// The names of its variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::variable)
    }

    /// A text that is equal for patterns that differ only in the names of variables and in a trailing
    /// slash.
    pub(crate) fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            // A literal has no control characters.
            shape.push('\u{0}');
            match segment {
                Segment::Literal(text) => shape.push_str(text),
                Segment::Variable(_) => shape.push('\u{1}'),
                Segment::Tail(_) => shape.push('\u{2}'),
            }
        }
        shape
    }
}

impl Segment {
    /// The name of the variable, if it is one.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Variable(name) | Self::Tail(name) => Some(name),
        }
    }
}

impl fmt::Display for PathPattern {
    /// The pattern as in the config.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source)
    }
}

fn parse_segment(text: &str) -> Result<Segment, PatternError> {
    if text.is_empty() {
        return Err(PatternError::EmptySegment);
    }
    if let Some(name) = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .filter(|name| !name.contains(['{', '}']))
    {
        return match name.strip_prefix('*') {
            Some(name) => variable_name(name).map(Segment::Tail),
            None => variable_name(name).map(Segment::Variable),
        };
    }
    if text.contains(['{', '}']) {
        return Err(PatternError::Mixed(text.to_owned()));
    }
    if text.contains('*') {
        return Err(PatternError::Star(text.to_owned()));
    }
    literal(text)
}

fn variable_name(name: &str) -> Result<Box<str>, PatternError> {
    let valid = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit());
    if !valid {
        return Err(PatternError::VariableName(name.to_owned()));
    }
    Ok(name.into())
}

fn literal(text: &str) -> Result<Segment, PatternError> {
    let malformed = |error| PatternError::Malformed {
        segment: text.to_owned(),
        error,
    };
    let mut decoded = Vec::with_capacity(text.len());
    decode_segment(text.as_bytes(), &mut decoded).map_err(malformed)?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed(PathError::Utf8))?;
    if is_dots(decoded.as_bytes()) {
        return Err(PatternError::DotSegment(text.to_owned()));
    }
    let found = inspect(decoded.as_bytes());
    if let Some(class) = found.classes.iter().next() {
        return Err(PatternError::Ambiguous {
            segment: text.to_owned(),
            class: class.code(),
        });
    }
    Ok(Segment::Literal(decoded.into_boxed_str()))
}

#[cfg(test)]
mod tests;
