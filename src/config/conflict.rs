//! Values that contradict each other, or that can have no effect.

use crate::denial::Reason;

/// Why values that are valid each on its own are rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// HS* beside algorithms with public keys.
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
        /// The key as it was written.
        was: &'static str,
        /// The key as it arrived.
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
    /// A kept separator where no other interpretation of a path can be safe.
    #[error(
        "keeps a character that some backends split segments at, but the path {path} neither starts with a \
         literal segment nor ends with {{*rest}}: every such request would be refused; remove the rule, or \
         change the path"
    )]
    KeepNeverHolds {
        /// The route's path.
        path: String,
    },
    /// A test that has not exactly one kind.
    #[error("a test needs exactly one of {allowed}; this one has {found}")]
    TestKind {
        /// The kinds of test.
        allowed: String,
        /// Those that it has.
        found: String,
    },
    /// A test of a claim or header that has not exactly one comparison.
    #[error("a test of a {of} needs exactly one of {allowed}; this one has {found}")]
    Comparison {
        /// `claim` or `header`.
        of: &'static str,
        /// The comparisons.
        allowed: String,
        /// Those that it has.
        found: String,
    },
    /// Tests that are nested too deeply.
    #[error("tests are nested deeper than {0} levels")]
    TooDeep(usize),
    /// Not a deny reason.
    #[error("{0:?} is not a deny reason; the reasons are {reasons}", reasons = reason_codes())]
    UnknownReason(String),
    /// A deny reason that occurs only before a route is known.
    #[error("{code} is decided before a route is known, so this has no effect: remove it", code = .0.code())]
    ReasonWithoutRoute(Reason),
    /// A header that the filter must not set or remove.
    #[error("the header {0} belongs to HTTP itself: choose another")]
    HttpHeader(String),
    /// A correlation header with secrets.
    #[error("the header {0} holds secrets, and correlation IDs are logged: choose another")]
    SecretHeader(String),
}

/// The codes of all deny reasons.
pub(super) fn reason_codes() -> String {
    let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    codes.join(", ")
}
