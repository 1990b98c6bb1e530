//! Values that contradict each other or have no effect.

use crate::denial::Reason;

/// Why values are rejected that are valid on their own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// HS* together with public-key algorithms.
    #[error(
        "HS* and public-key algorithms must not share an issuer, or a public key could be used as the secret: give the secret an issuer of its own"
    )]
    MixedAlgorithms,
    /// `keys.secrets` for an issuer with public keys.
    #[error("secrets are for HS256, HS384 and HS512 only")]
    SecretsWithoutHmac,
    /// A key set for an issuer with HS*.
    #[error("HS* takes its keys from `secrets` only: a key set is public")]
    PublicKeysWithHmac,
    /// Both `audiences` and `any_audience: true`.
    #[error("contradicts `audiences`: keep one of the two")]
    AnyAudience,
    /// A member of a key that YAML 1.1 turned into a boolean.
    #[error(
        "YAML 1.1, which kubectl reads, turns the bare key {was} into {is}: write \"{was}\" in quotes"
    )]
    YamlBoolean {
        /// The key in the YAML file.
        was: &'static str,
        /// The key in the config.
        is: &'static str,
    },
    /// A bound variable that the path does not have.
    #[error("the path has no variable {{{variable}}}, so this never holds; it has {known}")]
    UnknownVariable {
        /// The variable.
        variable: String,
        /// The variables of the path.
        known: String,
    },
    /// `keep` for a separator on a route where every such request would be denied.
    #[error(
        "keeps a character that some backends split segments at, but the path {path} neither starts with a \
         literal segment nor ends with {{*rest}}: every such request would be refused; remove the rule, or \
         change the path"
    )]
    KeepNeverHolds {
        /// The route's path.
        path: String,
    },
    /// A test with no kind or several kinds.
    #[error("a test needs exactly one of {allowed}; this one has {found}")]
    TestKind {
        /// The kinds of tests.
        allowed: String,
        /// Those in the test.
        found: String,
    },
    /// A test of a claim or header with no comparison or several.
    #[error("a test of a {of} needs exactly one of {allowed}; this one has {found}")]
    Comparison {
        /// `claim` or `header`.
        of: &'static str,
        /// The comparisons.
        allowed: String,
        /// Those in the test.
        found: String,
    },
    /// Tests that are nested too deeply.
    #[error("tests are nested deeper than {0} levels")]
    TooDeep(usize),
    /// Not a deny reason.
    #[error("{0:?} is not a deny reason; the reasons are {reasons}", reasons = reason_codes())]
    UnknownReason(String),
    /// A deny reason that is only used before a route is known.
    #[error("{code} is decided before a route is known, so this has no effect: remove it", code = .0.code())]
    ReasonWithoutRoute(Reason),
    /// A header that the filter must not set or remove.
    #[error("the header {0} belongs to HTTP itself: choose another")]
    HttpHeader(String),
    /// A correlation header that contains secrets.
    #[error("the header {0} holds secrets, and correlation IDs are logged: choose another")]
    SecretHeader(String),
}

/// The codes of all deny reasons.
pub(super) fn reason_codes() -> String {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    codes.join(", ")
}
