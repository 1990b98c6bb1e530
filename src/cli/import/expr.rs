//! The conditions of the source, as one Boolean expression per rule.
//!
//! The filter has no test for an absent claim, header or certificate, so an expression is not evaluated but
//! approximated from below: [`Expr::at`] fixes host, path and method, and what remains is translated so that it
//! holds only if the source's condition holds. What has no such translation never holds.

use std::rc::Rc;

use super::hosts::HostShape;
use super::methods;
use super::path_shape::PathShape;
use super::paths::PathTest;
use super::text::Text;

/// A condition of the source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// All hold; without members, always.
    All(Vec<Expr>),
    /// One holds; without members, never.
    Any(Vec<Expr>),
    /// It does not hold; holds if the value is absent.
    Not(Box<Expr>),
    /// One test.
    Leaf(Rc<Leaf>),
}

/// One test of the source.
#[derive(Debug, PartialEq)]
pub(super) struct Leaf {
    /// Where it is: file, object and rule.
    pub(super) place: Rc<str>,
    /// The test as the source writes it.
    pub(super) text: String,
    /// What is tested.
    pub(super) kind: Kind,
}

/// What a test looks at.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    /// The path, without the query.
    Path(PathTest),
    /// The authority.
    Host(Text),
    /// The method.
    Method(Text),
    /// A verified token.
    Token,
    /// A verified token of one of these issuers.
    Issuers(Vec<String>),
    /// A claim of a verified token; one of the tests holds.
    Claim {
        /// The names that lead to it.
        path: Vec<String>,
        /// The tests.
        tests: Vec<ValueTest>,
        /// Whether a string is split at spaces, and is a list then.
        spaces: bool,
    },
    /// A request header.
    Header {
        /// The name.
        name: String,
        /// The test; `None` if any value will do.
        test: Option<Text>,
        /// Whether the test must fail. A missing header satisfies neither.
        invert: bool,
    },
    /// The client's certificate; one of the tests holds.
    Peer(Vec<PeerTest>),
    /// A test that the filter does not have; why.
    Unknown(&'static str),
}

/// A test of a claim's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ValueTest {
    /// A string.
    Text(Text),
    /// A list with such a string.
    Member(Text),
    /// A boolean.
    Bool(bool),
    /// This number.
    Number(f64),
    /// A number not below the first and below the second.
    Range(f64, f64),
    /// Any value.
    Present,
    /// Another test, which the filter does not have.
    Other,
}

/// A test of the client's certificate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PeerTest {
    /// A name in the certificate.
    Name(Text),
    /// Any certificate with a name.
    AnyName,
    /// Any TLS connection.
    AnyTls,
    /// Istio: a namespace of any trust domain.
    Namespace(String),
    /// Istio: a service account of any trust domain.
    ServiceAccount {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Which requests a condition is asked about. `None` leaves a part open.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cell<'c> {
    pub(super) host: Option<&'c HostShape>,
    pub(super) path: Option<&'c PathShape>,
    /// `Some(None)`: all methods that no rule names.
    pub(super) method: Option<Option<&'c str>>,
}

/// How many of a cell's requests satisfy a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cover {
    /// All.
    Full,
    /// None.
    None,
    /// Some.
    Partial,
}

impl Cover {
    pub(super) const fn exactly(holds: bool) -> Self {
        if holds { Self::Full } else { Self::None }
    }
}

/// What remains of a condition within a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Residual {
    /// Always holds.
    True,
    /// Never holds.
    False,
    /// All hold.
    All(Vec<Residual>),
    /// One holds.
    Any(Vec<Residual>),
    /// A test, or its opposite.
    Leaf(Rc<Leaf>, bool),
}

impl Expr {
    pub(super) fn leaf(place: &Rc<str>, text: impl Into<String>, kind: Kind) -> Self {
        Self::Leaf(Rc::new(Leaf {
            place: Rc::clone(place),
            text: text.into(),
            kind,
        }))
    }

    pub(super) const fn always() -> Self {
        Self::All(Vec::new())
    }

    pub(super) const fn never() -> Self {
        Self::Any(Vec::new())
    }

    pub(super) fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// All tests in it.
    pub(super) fn leaves(&self, found: &mut Vec<Rc<Leaf>>) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.leaves(found);
                }
            }
            Self::Not(part) => part.leaves(found),
            Self::Leaf(leaf) => found.push(Rc::clone(leaf)),
        }
    }

    /// What remains of it, or of its opposite, for the requests of a cell.
    pub(super) fn at(&self, cell: Cell<'_>, negated: bool) -> Residual {
        match self {
            Self::All(parts) if !negated => {
                Residual::all(parts.iter().map(|part| part.at(cell, negated)))
            }
            Self::Any(parts) if negated => {
                Residual::all(parts.iter().map(|part| part.at(cell, negated)))
            }
            Self::All(parts) | Self::Any(parts) => {
                Residual::any(parts.iter().map(|part| part.at(cell, negated)))
            }
            Self::Not(part) => part.at(cell, !negated),
            Self::Leaf(leaf) => match leaf.cover(cell) {
                Some(Cover::Full) => Residual::constant(!negated),
                Some(Cover::None) => Residual::constant(negated),
                Some(Cover::Partial) | None => Residual::Leaf(Rc::clone(leaf), negated),
            },
        }
    }
}

impl Leaf {
    /// `None` if host, path and method do not decide it.
    fn cover(&self, cell: Cell<'_>) -> Option<Cover> {
        match &self.kind {
            Kind::Path(test) => Some(test.cover(cell.path?)),
            Kind::Host(text) => Some(cell.host?.cover(text)),
            Kind::Method(text) => Some(methods::cover(text, cell.method?)),
            Kind::Token
            | Kind::Issuers(_)
            | Kind::Claim { .. }
            | Kind::Header { .. }
            | Kind::Peer(_)
            | Kind::Unknown(_) => None,
        }
    }
}

impl Residual {
    const fn constant(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => {
                    for part in inner {
                        push(&mut kept, part);
                    }
                }
                other => push(&mut kept, other),
            }
        }
        // What one part requires, another need not offer the opposite of.
        let facts: Vec<Self> = kept
            .iter()
            .filter(|part| matches!(part, Self::Leaf(..)))
            .cloned()
            .collect();
        for index in 0..kept.len() {
            let Some(Self::Any(choices)) = kept.get(index) else {
                continue;
            };
            let open = |choice: &&Self| !facts.iter().any(|fact| fact.excludes(choice));
            let left: Vec<Self> = choices.iter().filter(open).cloned().collect();
            if left.len() < choices.len() {
                let changed = kept.iter().enumerate().map(|(other, part)| {
                    if other == index {
                        Self::any(left.clone())
                    } else {
                        part.clone()
                    }
                });
                return Self::all(changed.collect::<Vec<_>>());
            }
        }
        match kept.len() {
            0 => Self::True,
            1 => kept.pop().unwrap_or(Self::True),
            _ => Self::All(kept),
        }
    }

    /// Whether it is the opposite of a test.
    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(one, negated), Self::Leaf(other, opposite)) => {
                negated != opposite && one.kind == other.kind
            }
            _ => false,
        }
    }

    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => {
                    for part in inner {
                        push(&mut kept, part);
                    }
                }
                other => push(&mut kept, other),
            }
        }
        match kept.len() {
            0 => Self::False,
            1 => kept.pop().unwrap_or(Self::False),
            _ => Self::Any(kept),
        }
    }
}

fn push(kept: &mut Vec<Residual>, part: Residual) {
    if !kept.contains(&part) {
        kept.push(part);
    }
}
