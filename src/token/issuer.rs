//! The compiled config of one issuer.

use std::collections::HashSet;

use crate::claims::ClaimPath;
use crate::token::{Algorithm, KeySet, Secret};

/// An issuer's index in the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(pub(crate) usize);

/// An issuer and the requirements for its tokens. Durations are in seconds.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss`, unique in the config.
    pub name: String,
    /// At least one of these must be in `aud`; `None` for `any_audience: true`.
    pub audiences: Option<Vec<String>>,
    /// The allowed values of `alg`: either all symmetric or none.
    pub algorithms: Vec<Algorithm>,
    /// The required `typ` of the header.
    pub token_type: Option<String>,
    /// The keys in the config.
    pub inline: KeySet,
    /// The source of further keys.
    pub remote: Option<RemoteKeys>,
    /// Shared secrets in the VM's environment, for HS*.
    pub secrets: Vec<Secret>,
    /// The tolerated difference between clocks.
    pub leeway: u64,
    /// The maximum age of a token, now − `iat`; the leeway is added.
    pub max_age: Option<u64>,
    /// The maximum lifetime of a token, `exp` − `iat`; without leeway.
    pub max_lifetime: Option<u64>,
    /// Claims that must be present, in addition to `exp`.
    pub require: Vec<ClaimPath>,
    /// Claims that must match the request.
    pub bind: RequestBinding,
    /// Set if each token is accepted only once.
    pub one_use: Option<OneUse>,
    /// The revocation lists.
    pub revoked: Revoked,
    /// The Unix time in seconds from which this issuer's tokens are rejected.
    pub not_after: Option<u64>,
}

/// The maximum `leeway` of a config, in seconds. Used one-use tokens are kept for this time after `exp`,
/// because a later config may have a larger leeway.
pub(crate) const MAX_LEEWAY: u64 = 300;

/// A JWKS behind an Envoy cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The URL; its host becomes `:authority`, its path and query `:path`.
    pub url: String,
    /// The Envoy cluster for the call.
    pub cluster: String,
    /// The time between two fetches, in seconds.
    pub refresh: u64,
    /// The timeout of a fetch, in milliseconds.
    pub timeout: u64,
    /// How long fetched keys are used if no later fetch succeeds, in seconds.
    pub max_stale: u64,
}

/// Claims that must match the canonical request, which is forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestBinding {
    /// The claim for the method, compared exactly (methods are case-sensitive, RFC 9110 §9.1).
    pub method: Option<ClaimPath>,
    /// The claim for the path without its query, compared exactly. A claim that contains a `?` never
    /// matches.
    pub path: Option<ClaimPath>,
    /// The claim for the whole `:path`, compared exactly.
    pub path_and_query: Option<ClaimPath>,
    /// The claim for the canonical host (no port, no trailing dot), not case-sensitive.
    pub host: Option<ClaimPath>,
}

/// One-use tokens: each proxy accepts each token once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneUse {
    /// The claim that identifies the token, a string.
    pub claim: ClaimPath,
    /// The maximum number of used tokens that are kept at a time.
    pub entries: usize,
}

/// Revocation lists. `kids` and `thumbprints` revoke the key itself, in all sources of the issuer and under
/// any `kid`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// `kid` values. They revoke tokens with such a `kid`, and every key that has had such a `kid` since the
    /// config was loaded.
    pub kids: HashSet<String>,
    /// RFC 7638 thumbprints of keys (SHA-256, base64url without padding).
    pub thumbprints: HashSet<String>,
    /// `sub` values.
    pub subjects: HashSet<String>,
    /// `jti` values.
    pub token_ids: HashSet<String>,
}
