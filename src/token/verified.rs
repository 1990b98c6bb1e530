//! The proof that a token was verified.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use smol_str::SmolStr;

use crate::claims::Claims;
use crate::token::{Algorithm, IssuerId, PublicKey};

/// Claims that passed the signature verification and all checks of their [`Issuer`] for one request. Only
/// [`Verifier::verify`] creates it; the command, which forwards nothing, can also assume claims. Cheap to clone. `D` is what the caller derives from the claims, see
/// [`Verified::derived`].
///
/// [`Issuer`]: crate::token::Issuer
/// [`Verifier::verify`]: crate::token::Verifier::verify
pub(crate) struct Verified<D> {
    token: Rc<VerifiedToken<D>>,
    from_cache: bool,
}

/// A verified token in the cache.
pub(super) struct VerifiedToken<D> {
    pub(super) claims: Claims,
    pub(super) issuer: IssuerId,
    pub(super) issuer_name: Rc<str>,
    /// The key's `kid`.
    pub(super) kid: Option<SmolStr>,
    /// Whether the token has a `kid`.
    pub(super) names_its_key: bool,
    pub(super) algorithm: Algorithm,
    pub(super) times: Times,
    /// Whether it is accepted only while the fetched keys are fresh.
    pub(super) needs_remote: bool,
    /// The public key that verified it; `None` for a secret.
    pub(super) key: Option<Rc<PublicKey>>,
    /// The CPU time of its signature verification, in microseconds.
    pub(super) cost_micros: u64,
    /// See [`Verified::derived`].
    pub(super) derived: OnceCell<D>,
}

/// The registered times of a token in Unix seconds (RFC 7519 §4.1.4 to §4.1.6). Fractions are rounded to the
/// strict side: `exp` down, `nbf` and `iat` up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    /// `exp`
    pub expiry: Option<u64>,
    /// `nbf`
    pub not_before: Option<u64>,
    /// `iat`
    pub issued_at: Option<u64>,
}

impl<D> Verified<D> {
    pub(super) fn new(token: Rc<VerifiedToken<D>>, from_cache: bool) -> Self {
        Self { token, from_cache }
    }

    /// Claims that the command treats as verified.
    #[cfg(feature = "cli")]
    pub(crate) fn assumed(claims: Claims, issuer: IssuerId, name: &str) -> Self {
        let token = VerifiedToken {
            claims,
            issuer,
            issuer_name: name.into(),
            kid: None,
            names_its_key: false,
            algorithm: Algorithm::EdDsa,
            times: Times::default(),
            needs_remote: false,
            key: None,
            cost_micros: 0,
            derived: OnceCell::new(),
        };
        Self::new(Rc::new(token), true)
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.token.claims
    }

    pub(crate) fn issuer(&self) -> IssuerId {
        self.token.issuer
    }

    /// Its issuer's name: the token's `iss`.
    pub(crate) fn issuer_name(&self) -> &str {
        &self.token.issuer_name
    }

    /// The `kid` of the key that verified it.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.token.kid.as_deref()
    }

    /// The algorithm that its key verified.
    #[cfg(test)]
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.token.algorithm
    }

    /// `exp` in Unix seconds, leeway not included.
    pub(crate) fn expiry(&self) -> u64 {
        self.token.times.expiry.unwrap_or_default()
    }

    /// `iat` in Unix seconds.
    pub(crate) fn issued_at(&self) -> Option<u64> {
        self.token.times.issued_at
    }

    pub(super) fn cost_micros(&self) -> u64 {
        self.token.cost_micros
    }

    /// Whether the token was in the cache.
    pub(crate) fn is_cached(&self) -> bool {
        self.from_cache
    }

    /// The result of `derive`, computed once per token and cached with it. `derive` must depend only on the
    /// claims and the config.
    pub(crate) fn derived(&self, derive: impl FnOnce(&Claims) -> D) -> &D {
        let claims = &self.token.claims;
        self.token.derived.get_or_init(|| derive(claims))
    }
}

impl<D> Clone for Verified<D> {
    fn clone(&self) -> Self {
        Self {
            token: Rc::clone(&self.token),
            from_cache: self.from_cache,
        }
    }
}

impl<D> fmt::Debug for Verified<D> {
    /// Omits the claims, so that they do not reach a log by accident.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verified")
            .field("issuer", &self.token.issuer_name)
            .field("kid", &self.token.kid)
            .field("algorithm", &self.token.algorithm)
            .field("from_cache", &self.from_cache)
            .finish_non_exhaustive()
    }
}
