//! What the config says of one issuer, checked and compiled.

use std::collections::HashSet;

use crate::claims::ClaimPath;
use crate::token::{Algorithm, KeySet, Secret};

/// One issuer of tokens and everything that its tokens must satisfy. The config room fills it in;
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
    /// The keys that stand in the config.
    pub inline: KeySet,
    /// Where further keys come from.
    pub remote: Option<RemoteKeys>,
    /// Shared secrets of the VM's environment, for HS*.
    pub secrets: Vec<Secret>,
    /// How far clocks may differ.
    pub leeway: u64,
    /// The oldest that a token may be: now − `iat`, beyond which only the leeway counts.
    pub max_age: Option<u64>,
    /// The longest that a token may be made to live: `exp` − `iat`, without leeway.
    pub max_lifetime: Option<u64>,
    /// Claims that must be there (`exp` always must).
    pub require: Vec<ClaimPath>,
    /// Claims that must equal the live request.
    pub bind: RequestBinding,
    /// A token lets one request pass.
    pub one_use: Option<OneUse>,
    /// What was taken back.
    pub revoked: Revoked,
    /// Unix time in seconds from which on nothing of this issuer is believed.
    pub not_after: Option<u64>,
}

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
    /// Seconds after a fetch for which its keys are still believed when no later one succeeded.
    pub max_stale: u64,
}

/// Claims that must equal the live request as it arrived at this hop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestBinding {
    /// The claim that names the method, compared exactly (methods are case-sensitive, RFC 9110 §9.1).
    pub method: Option<ClaimPath>,
    /// The claim that names the path: exactly the raw `:path`, up to its first `?` unless the claim
    /// itself has a `?`, in which case path and query must be equal.
    pub path: Option<ClaimPath>,
    /// The claim that names path and query: exactly the raw `:path`.
    pub path_and_query: Option<ClaimPath>,
    /// The claim that names the host: the canonical host (no port, no trailing dot), in any case.
    pub host: Option<ClaimPath>,
}

/// How often a token may be used: once, as far as one proxy and its workers can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneUse {
    /// The claim that identifies the token, a string.
    pub claim: ClaimPath,
    /// The most tokens remembered at a time.
    pub entries: usize,
}

/// Revocation lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// `kid` values; refused before any cryptography.
    pub kids: HashSet<String>,
    /// Keys by their RFC 7638 thumbprint: SHA-256 in base64url without padding.
    pub thumbprints: HashSet<String>,
    /// `sub` values.
    pub subjects: HashSet<String>,
    /// `jti` values.
    pub token_ids: HashSet<String>,
}
