//! What is wrong with a config, where, and what would be right.

use std::cell::RefCell;
use std::fmt;

use crate::json::JsonError;

/// The way to a value in the config: `rbac.routes[3].allow.any_role[0]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(String);

impl Place {
    /// The config as a whole.
    pub fn root() -> Self {
        Self::default()
    }

    /// A member of the object at this place.
    pub fn key(&self, name: &str) -> Self {
        let plain = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Self(match (self.0.is_empty(), plain) {
            (true, true) => name.to_owned(),
            (false, true) => format!("{}.{name}", self.0),
            (_, false) => format!("{}[{name:?}]", self.0),
        })
    }

    /// An element of the list at this place, counted from 0.
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "config" } else { &self.0 })
    }
}

/// One problem of a config.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub fault: Fault,
}

/// What can be wrong with a value.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There are no bytes, or only white space.
    #[error("the plugin config is empty; it needs at least claims.issuers and rbac.routes")]
    Empty,
    /// The bytes are no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] JsonError),
    /// The key means nothing here.
    #[error("unknown key{}; keys here are {known}", match nearest { Some(key) => format!(", did you mean `{key}`?"), None => String::new() })]
    UnknownKey {
        /// A known key that is spelled much alike.
        nearest: Option<&'static str>,
        /// All keys that are known here.
        known: String,
    },
    /// The key stands more than once in its object.
    #[error("this key stands more than once; keep one")]
    DuplicateKey,
    /// A key that must be there is not.
    #[error("missing; {expected}")]
    Missing {
        /// What it takes.
        expected: &'static str,
    },
    /// The value has another type.
    #[error("is {found}, must be {expected}")]
    Type {
        /// What it is.
        found: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The value has the right type, but is none that is allowed.
    #[error("{found:?} is not allowed; {expected}")]
    Value {
        /// What it is.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// An empty list or object where it would read as «any».
    #[error("is empty; {expected}")]
    EmptyList {
        /// What would be right.
        expected: &'static str,
    },
    /// Two values that can't stand together, or one that another room refuses.
    #[error("{0}")]
    Conflict(String),
}

impl Fault {
    /// Every kind, in the order of the docs.
    pub const KINDS: [&'static str; 9] = [
        "empty",
        "json",
        "unknown_key",
        "duplicate_key",
        "missing",
        "type",
        "value",
        "empty_list",
        "conflict",
    ];

    /// The kind: the entry of the troubleshooting page.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Json(_) => "json",
            Self::UnknownKey { .. } => "unknown_key",
            Self::DuplicateKey => "duplicate_key",
            Self::Missing { .. } => "missing",
            Self::Type { .. } => "type",
            Self::Value { .. } => "value",
            Self::EmptyList { .. } => "empty_list",
            Self::Conflict(_) => "conflict",
        }
    }
}

/// The problems of one config, as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&self, place: &Place, fault: Fault) {
        self.0.borrow_mut().push(Problem {
            place: place.clone(),
            fault,
        });
    }

    /// How many there are so far.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them, in the order they were found.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// Every problem of a config that was refused.
#[derive(Debug)]
pub struct Refused(pub Vec<Problem>);

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        let plural = if problems.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(formatter, "config refused, {} {plural}", problems.len())?;
        problems
            .iter()
            .try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}
