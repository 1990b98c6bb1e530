//! Verifies tokens.

#[cfg(feature = "cli")]
pub(crate) mod examine;

use std::cell::OnceCell;
use std::rc::Rc;

use foldhash::fast::FixedState;

use crate::denial::Reason;
use crate::json::Json;
use crate::token::budget::FailureBudget;
use crate::token::cache::TokenCache;
use crate::token::jws::{Jws, LastHeader};
use crate::token::keyring::{KeyLookupError, Keyring};
use crate::token::progress::{Check, Progress};
use crate::token::replay::{MemoryWindow, ReplayError, ReplayWindow, token_id};
use crate::token::signature::is_signed;
use crate::token::verified::VerifiedToken;
use crate::token::{
    Algorithm, Issuer, IssuerId, KeyAbsence, KeySet, MAX_LEEWAY, SecretWarning, SignatureBackend,
    Verified, VerifyError, checks,
};

/// Verifies the tokens of one config on one worker: holds the issuers, their keys and the cache. `D` is what
/// the caller derives from a token's claims; it is cached with the token.
pub(crate) struct Verifier<D> {
    issuers: Vec<IssuerState>,
    cache: TokenCache<D>,
    last_header: LastHeader,
    failures: FailureBudget,
    stats: Stats,
    warnings: Vec<SecretWarning>,
}

struct IssuerState {
    issuer: Issuer,
    name: Rc<str>,
    keys: Keyring,
    /// Present if the issuer has `one_use`.
    replay: Option<Box<dyn ReplayWindow>>,
}

/// The limits of the cache of verified tokens; 0 for either disables it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheLimits {
    /// The maximum number of tokens.
    pub entries: usize,
    /// The maximum estimated memory, in bytes: for each token twice its length, and its parsed claims.
    pub bytes: usize,
}

/// The parts of the request that [`RequestBinding`](crate::token::RequestBinding) compares claims with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveRequest<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path` as the client sent it, query included.
    pub path: &'a [u8],
    /// The canonical host: lower case, no port, no trailing dot.
    pub host: &'a [u8],
}

/// Counters since the start, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stats {
    /// Tokens that were found in the cache and are still valid.
    pub cache_hits: u64,
    /// Tokens that were not found in the cache.
    pub cache_misses: u64,
    /// Signature verifications by the back-end that the caller passed, by `Algorithm as usize`.
    pub by_backend: [u64; Algorithm::ALL.len()],
    /// Signature verifications by [`Portable`](crate::token::Portable), and all HMACs, by `Algorithm as usize`.
    pub by_portable: [u64; Algorithm::ALL.len()],
}

impl<D> Verifier<D> {
    /// Creates a verifier for the issuers of a config. `seed` must be random and secret. `env` reads an
    /// environment variable of the VM; a missing one is not an error, see [`Verifier::warnings`].
    pub(crate) fn new(
        issuers: Vec<Issuer>,
        limits: CacheLimits,
        seed: u64,
        env: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Self {
        let hasher = FixedState::with_seed(seed);
        let mut warnings = Vec::new();
        let issuers = issuers
            .into_iter()
            .enumerate()
            .map(|(index, issuer)| IssuerState::new(index, issuer, env, &mut warnings))
            .collect();
        Self {
            issuers,
            cache: TokenCache::new(limits.entries, limits.bytes, hasher),
            last_header: LastHeader::default(),
            failures: FailureBudget::new(),
            stats: Stats::default(),
            warnings,
        }
    }

    /// Warnings about missing or short secrets, to be logged.
    pub(crate) fn warnings(&self) -> &[SecretWarning] {
        &self.warnings
    }

    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The number of cached tokens, and their estimated memory in bytes.
    pub(crate) fn cached(&self) -> (usize, usize) {
        (self.cache.len(), self.cache.used())
    }

    /// Verifies a token for a request at `now_ms` (milliseconds since 1970). At most one signature is
    /// verified.
    ///
    /// # Errors
    /// The first check that fails, in this order: shape, issuer, `alg` allowed, `kid` and key, `alg`
    /// fits the key, signature, `typ`, times and `max_age`, `aud`, `max_lifetime`, `require`,
    /// revocation, binding. [`Reason::Overloaded`] instead of an expensive signature verification if too
    /// many of these were for rejected tokens. Does not consume a one-use token: see [`Verifier::consume`].
    pub(crate) fn verify(
        &mut self,
        token: &[u8],
        live: &LiveRequest<'_>,
        now_ms: u64,
        backend: &dyn SignatureBackend,
    ) -> Result<Verified<D>, VerifyError> {
        let now = now_ms.checked_div(1_000).unwrap_or_default();
        if let Some(known) = self.cache.get(token) {
            let known = Rc::clone(known);
            let recheck = self.recheck(&known, live, now);
            return match recheck {
                Ok(()) => {
                    self.stats.cache_hits = self.stats.cache_hits.saturating_add(1);
                    Ok(Verified::new(known, true))
                }
                Err(error) => {
                    if error == VerifyError::Denied(Reason::Expired) {
                        self.cache.remove(token);
                    }
                    Err(error)
                }
            };
        }
        self.stats.cache_misses = self.stats.cache_misses.saturating_add(1);
        let mut progress = Progress::default();
        let fresh = self.verify_fresh(token, live, now_ms, backend, &mut progress);
        let verified = Rc::new(fresh.inspect_err(|_| self.failures.charge(progress.cost))?);
        if let Some(state) = self.issuers.get(verified.issuer.0)
            && state.issuer.one_use.is_none()
        {
            let issuers = &self.issuers;
            let is_expired = |old: &VerifiedToken<D>| {
                issuers.get(old.issuer.0).is_none_or(|state| {
                    let times = checks::times(&state.issuer, &old.times, now);
                    times
                        .and(checks::issuer_in_force(&state.issuer, now))
                        .is_err()
                })
            };
            self.cache.insert(token, Rc::clone(&verified), is_expired);
        }
        Ok(Verified::new(verified, false))
    }

    /// The checks whose results can differ between two requests with the same token.
    fn recheck(
        &self,
        token: &VerifiedToken<D>,
        live: &LiveRequest<'_>,
        now: u64,
    ) -> Result<(), VerifyError> {
        let state = self.issuers.get(token.issuer.0).ok_or(Reason::Internal)?;
        checks::issuer_in_force(&state.issuer, now)?;
        if token.needs_remote && state.keys.is_stale(now) {
            return Err(VerifyError::KeyUnavailable {
                issuer: token.issuer,
                why: KeyAbsence::Stale,
            });
        }
        checks::times(&state.issuer, &token.times, now)?;
        // A key set fetched since then may have revoked the key.
        let revoked = |key: &Rc<_>| state.keys.is_revoked_key(key);
        if token.key.as_ref().is_some_and(revoked) {
            return Err(Reason::Revoked.into());
        }
        checks::not_revoked(&state.issuer, token.kid.as_deref(), &token.claims)?;
        Ok(checks::bound(&state.issuer, &token.claims, live)?)
    }

    /// Makes all checks, in the order of [`Check`].
    #[inline(never)]
    fn verify_fresh(
        &mut self,
        token: &[u8],
        live: &LiveRequest<'_>,
        now_ms: u64,
        backend: &dyn SignatureBackend,
        progress: &mut Progress,
    ) -> Result<VerifiedToken<D>, VerifyError> {
        let now = now_ms.checked_div(1_000).unwrap_or_default();
        let jws =
            Jws::parse_after(&mut self.last_header, token).map_err(|_| Reason::ClaimsMalformed)?;
        progress.check = Check::Issuer;
        let (index, state) = jws
            .issuer()
            .and_then(|name| {
                self.issuers
                    .iter()
                    .enumerate()
                    .find(|(_, state)| state.issuer.name == name)
            })
            .ok_or(Reason::IssuerUnknown)?;
        let issuer = &state.issuer;
        checks::issuer_in_force(issuer, now)?;
        progress.check = Check::Algorithm;
        let algorithm = Algorithm::from_name(&jws.algorithm)
            .filter(|algorithm| issuer.algorithms.contains(algorithm))
            .ok_or(Reason::AlgorithmRefused)?;
        progress.check = Check::Key;
        let kid = jws.kid.as_deref();
        checks::kid_not_revoked(issuer, kid)?;
        let chosen = state
            .keys
            .choose(kid, algorithm, now)
            .map_err(|error| match error {
                KeyLookupError::Denied(reason) => VerifyError::Denied(reason),
                KeyLookupError::Unavailable(why) => VerifyError::KeyUnavailable {
                    issuer: IssuerId(index),
                    why,
                },
            })?;
        // The token may have no `kid`.
        checks::kid_not_revoked(issuer, chosen.kid())?;
        if state.keys.is_revoked(&chosen) {
            return Err(Reason::Revoked.into());
        }
        progress.check = Check::Signature;
        progress.cost = match chosen.public_key() {
            Some(key) => backend.cost_micros(algorithm, key),
            None => 0,
        };
        if !self.failures.allows(progress.cost, now_ms) {
            progress.cost = 0;
            return Err(Reason::Overloaded.into());
        }
        if !is_signed(algorithm, &chosen, &jws, backend, &mut self.stats) {
            return Err(Reason::SignatureInvalid.into());
        }

        progress.check = Check::Type;
        checks::token_type(issuer, jws.token_type.as_deref())?;
        progress.check = Check::Times;
        checks::times(issuer, &jws.times, now)?;
        progress.check = Check::Audience;
        checks::audience(issuer, &jws.claims)?;
        progress.check = Check::Lifetime;
        checks::lifetime(issuer, &jws.times)?;
        progress.check = Check::Required;
        checks::required(issuer, &jws.claims)?;
        progress.check = Check::Revocation;
        checks::not_revoked(issuer, chosen.kid(), &jws.claims)?;
        progress.check = Check::Binding;
        checks::bound(issuer, &jws.claims, live)?;
        Ok(VerifiedToken {
            issuer: IssuerId(index),
            issuer_name: Rc::clone(&state.name),
            kid: chosen.kid().map(Into::into),
            names_its_key: kid.is_some(),
            needs_remote: state.keys.needs_remote(kid, &chosen),
            algorithm,
            times: jws.times,
            key: chosen.public_key().map(Rc::clone),
            cost_micros: progress.cost,
            derived: OnceCell::new(),
            claims: jws.claims,
        })
    }

    /// Consumes a one-use token; does nothing for other tokens. Must be called last, when everything else
    /// allows the request.
    ///
    /// # Errors
    /// [`Reason::Replayed`]; [`Reason::Internal`] (503) if the window is full or its storage failed: a token
    /// that is not recorded could be used again.
    pub(crate) fn consume(&mut self, verified: &Verified<D>, now: u64) -> Result<(), Reason> {
        let state = self
            .issuers
            .get_mut(verified.issuer().0)
            .ok_or(Reason::Internal)?;
        let Some(one_use) = &state.issuer.one_use else {
            return Ok(());
        };
        let claim = verified.claims().at(&one_use.claim).and_then(Json::as_str);
        let id = token_id(&state.name, claim.ok_or(Reason::ClaimRequired)?);
        let keep_until = verified.expiry().saturating_add(MAX_LEEWAY);
        let window = state.replay.as_mut().ok_or(Reason::Internal)?;
        window.consume(id, keep_until, now).map_err(|error| {
            self.failures.charge(verified.cost_micros());
            match error {
                ReplayError::Replayed => Reason::Replayed,
                ReplayError::Full => Reason::Internal,
            }
        })
    }

    /// Replaces the issuer's replay window by one that all workers share.
    pub(crate) fn set_replay_window(&mut self, issuer: IssuerId, window: Box<dyn ReplayWindow>) {
        if let Some(state) = self.issuers.get_mut(issuer.0) {
            state.replay = Some(window);
        }
    }

    /// Replaces the remote keys of an issuer by a set fetched at `fetched_at` (Unix seconds). Removes cached
    /// tokens whose key is not in the new set. Returns whether any key changed. Does nothing if the set is
    /// empty or the issuer has no remote keys.
    pub(crate) fn set_keys(&mut self, issuer: IssuerId, keys: KeySet, fetched_at: u64) -> bool {
        let Some(state) = self.issuers.get_mut(issuer.0) else {
            return false;
        };
        let changed = state.keys.set_remote(keys, fetched_at);
        if changed {
            let keys = &state.keys;
            // A token without `kid` was accepted because only one key fits its algorithm. The new set may
            // have another one.
            self.cache.retain(|token| {
                let is_kept = |key: &Rc<_>| token.names_its_key && keys.has_remote(key);
                token.issuer != issuer
                    || !token.needs_remote
                    || token.key.as_ref().is_some_and(is_kept)
            });
        }
        changed
    }

    /// When the remote keys of an issuer were fetched, in Unix seconds; `None` if never.
    pub(crate) fn keys_fetched_at(&self, issuer: IssuerId) -> Option<u64> {
        self.issuers.get(issuer.0)?.keys.fetched_at()
    }

    /// The number of an issuer's keys: inline, secrets that are present, and remote (also if stale).
    pub(crate) fn keys_loaded(&self, issuer: IssuerId) -> usize {
        self.issuers
            .get(issuer.0)
            .map_or(0, |state| state.keys.len())
    }
}

impl IssuerState {
    fn new(
        index: usize,
        issuer: Issuer,
        env: &dyn Fn(&str) -> Option<Vec<u8>>,
        warnings: &mut Vec<SecretWarning>,
    ) -> Self {
        let keys = Keyring::new(index, &issuer, env, warnings);
        let replay = issuer
            .one_use
            .as_ref()
            .map(|one_use| Box::new(MemoryWindow::new(one_use.entries)) as Box<dyn ReplayWindow>);
        Self {
            name: Rc::from(issuer.name.as_str()),
            keys,
            replay,
            issuer,
        }
    }
}
