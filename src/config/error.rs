//! The errors of a config: path, error and what is expected.

use std::fmt;

use super::conflict::Conflict;
use super::headers::HeaderConflict;
use super::path::ConfigPath;
use super::test_error::PolicyTestError;
use crate::header_name::HeaderNameError;
use crate::json::JsonError;
use crate::policy::access::AccessError;
use crate::policy::condition::TestError;
use crate::policy::host::HostPatternError;
use crate::policy::method::MethodError;
use crate::policy::pattern::PatternError;
use crate::policy::peer::PeerPatternError;
use crate::policy::roles::RoleCycle;
use crate::policy::table::TableError;
use crate::token::jwks::{KeyProblem, KeySetError};

/// All errors of a rejected config.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// One error of a config.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct ConfigError {
    /// The path of the value.
    pub path: ConfigPath,
    /// The error.
    pub kind: ErrorKind,
}

/// The kinds of errors.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The config is empty or only white space.
    #[error("the plugin config is empty; it needs at least claims.issuers and rbac.routes")]
    Empty,
    /// The bytes are not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] JsonError),
    /// The key is unknown.
    #[error("unknown key{}; keys here are {known}", match nearest { Some(key) => format!(", did you mean `{key}`?"), None => String::new() })]
    UnknownKey {
        /// A known key with a similar spelling.
        nearest: Option<&'static str>,
        /// All known keys.
        known: String,
    },
    /// The object has the key more than once.
    #[error("duplicate key; keep one")]
    DuplicateKey,
    /// A required key is missing.
    #[error("missing; {expected}")]
    Missing {
        /// What is expected.
        expected: &'static str,
    },
    /// The value has the wrong type.
    #[error("is {found}, must be {expected}")]
    Type {
        /// The type, and the value if it is a scalar.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// The value has the right type but is not allowed.
    #[error("{found} is not allowed; {expected}")]
    Value {
        /// The value as JSON.
        found: String,
        /// What is expected.
        expected: String,
    },
    /// An empty list or object, which could be mistaken for *any*.
    #[error("is empty; {expected}")]
    EmptyList {
        /// What is expected.
        expected: &'static str,
    },
    /// Not a valid header name.
    #[error("{text:?} is not a valid header name: {error}")]
    HeaderName {
        /// The text.
        text: String,
        /// The error.
        error: HeaderNameError,
    },
    /// Not a valid method.
    #[error("{text:?} is not a valid method: {error}{}", match error {
        MethodError::LowerCase => format!("; write {:?}", text.to_ascii_uppercase()),
        _ => String::new(),
    })]
    Method {
        /// The text.
        text: String,
        /// The error.
        error: MethodError,
    },
    /// Not a valid path pattern.
    #[error("{text:?} is not a valid path pattern: {error}")]
    PathPattern {
        /// The text.
        text: String,
        /// The error.
        error: PatternError,
    },
    /// Not a valid host pattern.
    #[error(transparent)]
    HostPattern(#[from] HostPatternError),
    /// Not a valid pattern for SPIFFE IDs.
    #[error(transparent)]
    PeerPattern(#[from] PeerPatternError),
    /// Not a valid key set.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// Not a valid key.
    #[error(transparent)]
    Key(#[from] KeyProblem),
    /// A header with two purposes.
    #[error(transparent)]
    Header(#[from] HeaderConflict),
    /// Invalid access rules.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// An invalid condition.
    #[error(transparent)]
    Condition(#[from] TestError),
    /// Roles that include each other.
    #[error(transparent)]
    Roles(#[from] RoleCycle),
    /// Routes that conflict.
    #[error(transparent)]
    Routes(#[from] TableError),
    /// A policy test that fails or is invalid.
    #[error(transparent)]
    PolicyTest(#[from] PolicyTestError),
    /// Other values that contradict each other or have no effect.
    #[error(transparent)]
    Conflict(#[from] Conflict),
}

impl ErrorKind {
    /// Every kind, in the order of the docs.
    pub const KINDS: [&'static str; 10] = [
        "empty",
        "json",
        "unknown_key",
        "duplicate_key",
        "missing",
        "type",
        "value",
        "empty_list",
        "invalid",
        "conflict",
    ];

    /// The name of the kind in the troubleshooting guide.
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
            Self::HeaderName { .. }
            | Self::Method { .. }
            | Self::PathPattern { .. }
            | Self::HostPattern(_)
            | Self::PeerPattern(_)
            | Self::KeySet(_)
            | Self::Key(_) => "invalid",
            Self::Header(_)
            | Self::Access(_)
            | Self::Condition(_)
            | Self::Roles(_)
            | Self::Routes(_)
            | Self::PolicyTest(_)
            | Self::Conflict(_) => "conflict",
        }
    }
}

impl ConfigErrors {
    /// An error of the config as a whole.
    pub(super) fn of_whole(kind: ErrorKind) -> Self {
        let path = ConfigPath::root();
        Self(vec![ConfigError { path, kind }])
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(errors) = self;
        let plural = if errors.len() == 1 { "error" } else { "errors" };
        write!(formatter, "config refused, {} {plural}", errors.len())?;
        errors
            .iter()
            .try_for_each(|error| write!(formatter, "\n  {error}"))
    }
}
