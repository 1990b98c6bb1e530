//! Tests of the path, and how many requests of a path pattern satisfy them.

use super::expr::Cover;
use super::path_shape::{End, PathShape, Segment};
use super::spelling::{decode, is_plain};
use super::text::{Text, TextRule};

/// A test of the path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PathTest {
    /// Every path.
    Any,
    /// A path that the filter refuses or that no request has.
    Never,
    /// The paths of a shape.
    Shape {
        shape: PathShape,
        /// Whether it depends on Envoy's normalization which spellings the source matches.
        doubtful: bool,
    },
    /// The paths of a shape that ends in a tail, less the one without the slash before it.
    Below(PathShape),
    /// Paths that start with these segments, and whose next one starts with this text.
    Prefix(Vec<String>, String),
    /// Another test, and a shape that has all its paths.
    Other {
        within: PathShape,
        text: Option<Text>,
    },
}

impl PathTest {
    /// A text compared with the path without its query.
    pub(super) fn of(text: &Text) -> Self {
        let other = |lead: &str| Self::Other {
            within: PathShape::below_lead(lead),
            text: Some(text.clone()),
        };
        match &text.rule {
            TextRule::Any | TextRule::NonEmpty => Self::Any,
            _ if text.ignore_case => other(""),
            TextRule::Exact(path) => exact(path),
            TextRule::Prefix(path) => prefix(path),
            TextRule::Regex(regex) => {
                let literal = |character: char| {
                    character.is_ascii_alphanumeric() || "/-_~".contains(character)
                };
                let end = regex.find(|character| !literal(character));
                // An operator may make the character before it optional, and `|` all of it.
                let lead = match end.map(|end| regex.split_at_checked(end)) {
                    Some(Some((lead, _))) if !regex.contains('|') => {
                        lead.get(..lead.len().saturating_sub(1)).unwrap_or_default()
                    }
                    _ => "",
                };
                other(lead)
            }
            TextRule::Suffix(_) | TextRule::Contains(_) | TextRule::Unknown => other(""),
        }
    }

    /// Envoy's `uri_template`, of which Istio's `{*}` and `{**}` become `*` and `**`.
    pub(super) fn template(template: &str) -> Self {
        let lead_end = template.find(['*', '{']).unwrap_or(template.len());
        let lead = template.get(..lead_end).unwrap_or_default();
        let opaque = || Self::Other {
            within: PathShape::below_lead(lead),
            text: None,
        };
        let Some(path) = template.strip_prefix('/') else {
            return opaque();
        };
        let mut segments = Vec::new();
        let mut doubtful = false;
        let pieces: Vec<&str> = path.split('/').collect();
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.iter().enumerate() {
            match *piece {
                "" if index == last => {
                    let end = if segments.is_empty() {
                        End::Plain
                    } else {
                        End::Slash
                    };
                    return Self::Shape {
                        shape: PathShape { segments, end },
                        doubtful,
                    };
                }
                piece if is_rest(piece) && index == last && !doubtful => {
                    return Self::below(PathShape {
                        segments,
                        end: End::Tail,
                    });
                }
                piece if is_one(piece) => segments.push(Segment::Variable),
                piece if piece.contains(['*', '{', '}']) => return opaque(),
                piece => match decode(piece) {
                    Some((literal, found)) => {
                        doubtful |= found;
                        segments.push(Segment::Literal(literal));
                    }
                    None => return Self::Never,
                },
            }
        }
        let shape = PathShape {
            segments,
            end: End::Plain,
        };
        if !shape.is_valid() {
            return Self::Never;
        }
        Self::Shape { shape, doubtful }
    }

    fn below(shape: PathShape) -> Self {
        if shape.is_valid() {
            Self::Below(shape)
        } else {
            Self::Never
        }
    }

    /// The shapes that it tells apart from others.
    pub(super) fn shapes(&self) -> Vec<PathShape> {
        let shapes = match self {
            Self::Any | Self::Never => Vec::new(),
            Self::Other { within, .. } => vec![within.clone()],
            Self::Shape { shape, .. } => vec![shape.clone()],
            Self::Below(shape) => {
                let base = PathShape {
                    end: End::Plain,
                    ..shape.clone()
                };
                if shape.segments.is_empty() {
                    vec![shape.clone()]
                } else {
                    vec![shape.clone(), base]
                }
            }
            Self::Prefix(segments, text) => {
                let all = segments.iter().chain([text]).cloned();
                let within = PathShape::below(segments.iter().cloned());
                vec![PathShape::below(all), within]
            }
        };
        shapes.into_iter().filter(PathShape::is_valid).collect()
    }

    /// How many requests of a shape, less those of narrower shapes, satisfy it.
    pub(super) fn cover(&self, of: &PathShape) -> Cover {
        match self {
            Self::Any => Cover::Full,
            Self::Never => Cover::None,
            Self::Shape { shape, doubtful } => match (of.is_within(shape), doubtful) {
                (true, true) => Cover::Partial,
                (within, _) => Cover::exactly(within),
            },
            Self::Below(shape) => {
                let is_base = of.end == End::Plain && of.segments.len() == shape.segments.len();
                Cover::exactly(of.is_within(shape) && (!is_base || shape.segments.is_empty()))
            }
            Self::Prefix(segments, text) => cover_prefix(of, segments, text),
            Self::Other { within, .. } if !of.is_within(within) => Cover::None,
            Self::Other { text, .. } => {
                let path = of.literal().filter(|path| path.bytes().all(is_plain));
                let held = path
                    .zip(text.as_ref())
                    .and_then(|(path, text)| text.matches(&path));
                held.map_or(Cover::Partial, Cover::exactly)
            }
        }
    }
}

fn cover_prefix(of: &PathShape, segments: &[String], text: &str) -> Cover {
    if !of.is_within(&PathShape::below(segments.iter().cloned())) {
        return Cover::None;
    }
    match of.segments.get(segments.len()) {
        Some(Segment::Literal(literal)) => Cover::exactly(literal.starts_with(text)),
        None if of.end != End::Tail => Cover::None,
        Some(Segment::Variable) | None => Cover::Partial,
    }
}

fn exact(path: &str) -> PathTest {
    let Some(inner) = path.strip_prefix('/') else {
        return PathTest::Never;
    };
    let (inner, end) = match inner.strip_suffix('/') {
        Some(inner) => (inner, End::Slash),
        None => (inner, End::Plain),
    };
    if inner.is_empty() && end == End::Slash {
        return PathTest::Never;
    }
    let pieces = inner.split('/').filter(|_| !inner.is_empty());
    let Some((segments, doubtful)) = literals(pieces) else {
        return PathTest::Never;
    };
    let shape = PathShape {
        segments: segments.into_iter().map(Segment::Literal).collect(),
        end,
    };
    if shape.is_valid() {
        PathTest::Shape { shape, doubtful }
    } else {
        PathTest::Never
    }
}

fn prefix(path: &str) -> PathTest {
    let Some(inner) = path.strip_prefix('/') else {
        return if path.is_empty() {
            PathTest::Any
        } else {
            PathTest::Never
        };
    };
    let (full, text) = inner
        .rsplit_once('/')
        .map_or((None, inner), |(full, text)| (Some(full), text));
    let pieces = full.into_iter().flat_map(|full| full.split('/'));
    let Some((segments, doubtful)) = literals(pieces) else {
        return PathTest::Never;
    };
    if doubtful || !text.bytes().all(is_plain) {
        return PathTest::Other {
            within: PathShape::below_lead(path),
            text: Some(Text::new(TextRule::Prefix(path.to_owned()))),
        };
    }
    let below = PathShape::below(segments.iter().cloned());
    if text.is_empty() || !below.is_valid() {
        PathTest::below(below)
    } else {
        PathTest::Prefix(segments, text.to_owned())
    }
}

fn literals<'p>(pieces: impl Iterator<Item = &'p str>) -> Option<(Vec<String>, bool)> {
    let mut doubtful = false;
    let mut segments = Vec::new();
    for piece in pieces {
        let (literal, found) = decode(piece)?;
        doubtful |= found;
        segments.push(literal);
    }
    Some((segments, doubtful))
}

fn is_one(piece: &str) -> bool {
    piece == "*" || braces(piece).is_some_and(|inner| !inner.contains('=') || inner.ends_with("=*"))
}

fn is_rest(piece: &str) -> bool {
    piece == "**" || braces(piece).is_some_and(|inner| inner.ends_with("=**"))
}

fn braces(piece: &str) -> Option<&str> {
    let inner = piece.strip_prefix('{')?.strip_suffix('}')?;
    let name = inner.split('=').next().unwrap_or_default();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(inner)
}

#[cfg(test)]
mod tests;
