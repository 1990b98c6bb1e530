//! What the config says of one issuer, checked and compiled.

use std::collections::HashSet;

use crate::claims::ClaimPath;
use crate::token::{Algorithm, KeySet, Secret};

/// An issuer's index in the config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(pub(crate) usize);

/// One issuer of tokens and everything that its tokens must satisfy. `config` fills it in;
/// [`Verifier`](crate::token::Verifier) owns it afterwards. Times are whole seconds unless a field
/// says otherwise.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The exact `iss`. No two issuers of a config share one.
    pub name: String,
    /// At least one of these must be in `aud`; `None` is the config's `any_audience: true`.
    pub audiences: Option<Vec<String>>,
    /// The allow-list for `alg`. Either all symmetric or none.
    pub algorithms: Vec<Algorithm>,
    /// The exact `typ` of the header, if one is demanded.
    pub token_type: Option<String>,
    /// The keys in the config itself.
    pub inline: KeySet,
    /// Where further keys come from.
    pub remote: Option<RemoteKeys>,
    /// Shared secrets of the VM's environment, for HS*.
    pub secrets: Vec<Secret>,
    /// The accepted difference between clocks.
    pub leeway: u64,
    /// The greatest age of a token, now − `iat`, without leeway.
    pub max_age: Option<u64>,
    /// The longest lifetime of a token, `exp` − `iat`; no leeway applies.
    pub max_lifetime: Option<u64>,
    /// Claims that must be present (`exp` always must).
    pub require: Vec<ClaimPath>,
    /// Claims that must equal the live request.
    pub bind: RequestBinding,
    /// Each token is accepted once.
    pub one_use: Option<OneUse>,
    /// The revocation lists.
    pub revoked: Revoked,
    /// Unix time in seconds from which on this issuer's tokens are refused.
    pub not_after: Option<u64>,
}

/// The largest `leeway` that a config may have, in seconds. Used one-use tokens are kept for that long
/// after `exp`, whatever the leeway is now: a later config may have a larger one.
pub(crate) const MAX_LEEWAY: u64 = 300;

/// A JWKS behind an Envoy cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The URL; its host becomes `:authority`, its path and query `:path`.
    pub url: String,
    /// Envoy's name of the cluster that the call goes to.
    pub cluster: String,
    /// Seconds between two fetches.
    pub refresh: u64,
    /// Milliseconds that one fetch may take.
    pub timeout: u64,
    /// Seconds for which the keys of a fetch are trusted while no later fetch succeeds.
    pub max_stale: u64,
}

/// Claims that must equal the request, in the form in which it is judged and goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestBinding {
    /// The claim that names the method, compared exactly (methods are case-sensitive, RFC 9110 §9.1).
    pub method: Option<ClaimPath>,
    /// The claim that names the path: `:path` up to its first `?`, compared exactly. The query may be
    /// any; a claim that contains a `?` never matches.
    pub path: Option<ClaimPath>,
    /// The claim that names path and query: the whole `:path`, compared exactly.
    pub path_and_query: Option<ClaimPath>,
    /// The claim that names the host: the canonical host (no port, no trailing dot), in any case.
    pub host: Option<ClaimPath>,
}

/// One-use tokens: each is accepted once per proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneUse {
    /// The claim that identifies the token, a string.
    pub claim: ClaimPath,
    /// The most used tokens that are kept at a time.
    pub entries: usize,
}

/// Revocation lists. Both lists of keys revoke the key itself, under whatever `kid` and in whatever
/// source of the issuer it appears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// `kid` values. A key that is known under one of them, now or after a later fetch, is revoked for as
    /// long as the config is loaded, and so is every token that names one of them.
    pub kids: HashSet<String>,
    /// RFC 7638 thumbprints of keys (SHA-256, base64url without padding).
    pub thumbprints: HashSet<String>,
    /// `sub` values.
    pub subjects: HashSet<String>,
    /// `jti` values.
    pub token_ids: HashSet<String>,
}
