//! How far the verification of a token came.

/// The checks of a token, in the order in which [`Verifier`](crate::token::Verifier) makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Check {
    /// It is a compact JWS with a claims set.
    #[default]
    Shape,
    /// `iss` is an issuer of the config, whose `not_after` has not passed.
    Issuer,
    /// The issuer allows `alg`.
    Algorithm,
    /// There is one key for the token, which fits `alg` and is not revoked.
    Key,
    /// The signature is valid.
    Signature,
    /// `typ`
    Type,
    /// `exp`, `nbf`, `iat` and `max_age`
    Times,
    /// `aud`
    Audience,
    /// `max_lifetime`
    Lifetime,
    /// `require`, and the ID of a one-use token
    Required,
    /// Revoked subjects and tokens.
    Revocation,
    /// `bind`
    Binding,
}

/// How far a verification came.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The CPU time of the signature verification, in microseconds.
    pub(super) cost: u64,
    /// The check that failed, or the last one. Only the command reads it.
    #[cfg_attr(not(feature = "cli"), allow(dead_code))]
    pub(super) check: Check,
}
