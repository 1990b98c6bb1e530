//! The proof that a token was verified.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use smol_str::SmolStr;

use crate::claims::Claims;
use crate::token::{Algorithm, PublicKey};

/// Claims whose signature, times, audience and everything else that their [`Issuer`] demands were
/// checked for the request at hand. Only [`Verifier::verify`] makes one. Clones share all of it.
///
/// [`Issuer`]: crate::token::Issuer
/// [`Verifier::verify`]: crate::token::Verifier::verify
#[derive(Clone)]
pub struct Verified {
    token: Rc<VerifiedToken>,
    from_cache: bool,
}

/// What verification found out about a token, for as long as it is remembered.
pub(super) struct VerifiedToken {
    pub(super) claims: Claims,
    pub(super) issuer: usize,
    pub(super) issuer_name: Rc<str>,
    /// The key's `kid`.
    pub(super) kid: Option<SmolStr>,
    /// Whether the token has a `kid`.
    pub(super) names_its_key: bool,
    pub(super) algorithm: Algorithm,
    pub(super) times: Times,
    /// Whether it would be accepted only as long as the fetched keys are believed.
    pub(super) needs_remote: bool,
    /// The remote key that verified it; `None` for keys that can't be withdrawn without a new config.
    pub(super) remote_key: Option<Rc<PublicKey>>,
    pub(super) memo: RefCell<Vec<Rc<dyn Any>>>,
}

/// The registered times of a token in Unix seconds (RFC 7519 §4.1.4 to §4.1.6). Fractions are rounded
/// against the token: `exp` down, `nbf` and `iat` up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// `exp`
    pub expiry: Option<u64>,
    /// `nbf`
    pub not_before: Option<u64>,
    /// `iat`
    pub issued_at: Option<u64>,
}

impl Verified {
    pub(super) fn new(token: Rc<VerifiedToken>, from_cache: bool) -> Self {
        Self { token, from_cache }
    }

    /// The claims.
    pub fn claims(&self) -> &Claims {
        &self.token.claims
    }

    /// The index of its issuer in the config.
    pub fn issuer(&self) -> usize {
        self.token.issuer
    }

    /// Its issuer's name: the token's `iss`.
    pub fn issuer_name(&self) -> &str {
        &self.token.issuer_name
    }

    /// The `kid` of the key that verified it.
    pub fn kid(&self) -> Option<&str> {
        self.token.kid.as_deref()
    }

    /// The algorithm that its key verified.
    pub fn algorithm(&self) -> Algorithm {
        self.token.algorithm
    }

    /// `exp` in Unix seconds, leeway not included.
    pub fn expiry(&self) -> u64 {
        self.token.times.expiry.unwrap_or_default()
    }

    /// `iat` in Unix seconds.
    pub fn issued_at(&self) -> Option<u64> {
        self.token.times.issued_at
    }

    /// Whether this request needed no signature verification.
    #[allow(clippy::wrong_self_convention)]
    pub fn from_cache(&self) -> bool {
        self.from_cache
    }

    /// What `derive` makes of the claims, computed once per token and type, as long as the token is
    /// cached: role sets, header values. `T` names the slot, so each caller uses a type of its own,
    /// and `derive` must depend on the claims and the config only.
    pub fn memo<T: 'static>(&self, derive: impl FnOnce(&Claims) -> T) -> Rc<T> {
        let known = self
            .token
            .memo
            .borrow()
            .iter()
            .find_map(|value| Rc::clone(value).downcast::<T>().ok());
        known.unwrap_or_else(|| {
            // Computed before the list is borrowed, so that `derive` may use a memo itself.
            let value = Rc::new(derive(&self.token.claims));
            let slot: Rc<dyn Any> = Rc::clone(&value) as Rc<dyn Any>;
            self.token.memo.borrow_mut().push(slot);
            value
        })
    }

    /// A stand-in for tests of other rooms.
    #[cfg(test)]
    #[allow(dead_code)]
    pub(crate) fn assume(claims: Claims) -> Self {
        let text = |name| claims.get(name).and_then(crate::json::Json::as_str);
        let token = VerifiedToken {
            issuer: 0,
            issuer_name: text("iss").unwrap_or("https://edge.example.com").into(),
            kid: Some("test".into()),
            names_its_key: true,
            algorithm: Algorithm::Es256,
            times: Times {
                expiry: Some(u64::MAX),
                ..Times::default()
            },
            needs_remote: false,
            remote_key: None,
            memo: RefCell::default(),
            claims,
        };
        Self::new(Rc::new(token), false)
    }
}

impl fmt::Debug for Verified {
    /// Names the issuer and the key; claims never reach a log by accident.
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
