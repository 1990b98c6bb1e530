//! From the bytes of a token to [`Verified`].

use std::cell::RefCell;
use std::rc::Rc;

use foldhash::fast::FixedState;

use crate::denial::Reason;
use crate::json::Json;
use crate::token::cache::{self, ForgedTokens, VerifiedTokens};
use crate::token::jws::{Jws, LastHeader};
use crate::token::keyring::{Chosen, Keyring, Miss};
use crate::token::refusal::{Absence, Refusal};
use crate::token::replay::{MemoryWindow, ReplayError, ReplayWindow, token_id};
use crate::token::verified::VerifiedToken;
use crate::token::{
    Algorithm, Issuer, KeySet, Portable, SecretWarning, SignatureBackend, Verified, checks,
};

/// Everything that one worker knows about tokens: the issuers of one config, their keys, and what it
/// remembers. A new config makes a new one.
pub struct Verifier {
    issuers: Vec<IssuerState>,
    verified: VerifiedTokens,
    forged: ForgedTokens,
    last_header: LastHeader,
    stats: Stats,
    warnings: Vec<SecretWarning>,
}

struct IssuerState {
    issuer: Issuer,
    name: Rc<str>,
    keys: Keyring,
    /// There where the issuer has `one_use`.
    replay: Option<Box<dyn ReplayWindow>>,
}

/// The bounds of the cache of verified tokens; 0 of either turns it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheLimits {
    /// The most tokens.
    pub entries: usize,
    /// The most bytes that they may take, roughly: twice the length of each token, and its claims' tree.
    pub bytes: usize,
}

/// What [`RequestBinding`](crate::token::RequestBinding) compares with.
#[derive(Debug, Clone, Copy)]
pub struct LiveRequest<'a> {
    /// `:method`
    pub method: &'a [u8],
    /// `:path` as it arrived, query included.
    pub path: &'a [u8],
    /// The canonical host: lower case, no port, no trailing dot.
    pub host: &'a [u8],
}

/// What was counted since the start, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Tokens that were found in the cache of verified tokens, and still good.
    pub cache_hits: u64,
    /// Tokens that were not.
    pub cache_misses: u64,
    /// Tokens that were found among the forged ones.
    pub forged_hits: u64,
    /// Signature verifications by the back-end that the caller passed, by `Algorithm as usize`.
    pub by_backend: [u64; Algorithm::ALL.len()],
    /// Signature verifications by [`Portable`] in its place, and all HMACs, by `Algorithm as usize`.
    pub by_portable: [u64; Algorithm::ALL.len()],
}

/// Forged tokens are worth little room: each costs its sender as much as a new one.
const FORGED: CacheLimits = CacheLimits {
    entries: 256,
    bytes: 262_144,
};

impl Verifier {
    /// A verifier for the issuers of a config. `seed` is random and secret. `env` reads an
    /// environment variable of the VM; what it lacks never fails, see [`Verifier::warnings`].
    pub fn new(
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
            verified: VerifiedTokens::new(limits.entries, limits.bytes, hasher.clone()),
            forged: ForgedTokens::new(FORGED.entries, FORGED.bytes, hasher),
            last_header: LastHeader::default(),
            stats: Stats::default(),
            warnings,
        }
    }

    /// The issuers, in the order of the config.
    pub fn issuers(&self) -> impl ExactSizeIterator<Item = &Issuer> {
        self.issuers.iter().map(|state| &state.issuer)
    }

    /// What the environment lacks, to be shouted about.
    pub fn warnings(&self) -> &[SecretWarning] {
        &self.warnings
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How many verified tokens are remembered, and roughly how many bytes they take.
    pub fn cached(&self) -> (usize, usize) {
        (self.verified.len(), self.verified.used())
    }

    /// Verifies a token for the request at hand, at `now` in Unix seconds. At most one signature is
    /// computed.
    ///
    /// # Errors
    /// The first check that fails, in this order: shape, issuer, `alg` allowed, `kid` and key, `alg`
    /// fits the key, signature, `typ`, times and `max_age`, `aud`, `max_lifetime`, `require`,
    /// revocation, binding. A one-use token is not used up by this: see [`Verifier::consume`].
    pub fn verify(
        &mut self,
        token: &[u8],
        live: &LiveRequest<'_>,
        now: u64,
        backend: &dyn SignatureBackend,
    ) -> Result<Verified, Refusal> {
        if let Some(known) = self.verified.get(token) {
            let known = Rc::clone(known);
            let recheck = self.recheck(&known, live, now);
            return match recheck {
                Ok(()) => {
                    self.stats.cache_hits = self.stats.cache_hits.saturating_add(1);
                    Ok(Verified::new(known, true))
                }
                Err(refusal) => {
                    if refusal == Refusal::Denied(Reason::Expired) {
                        self.verified.remove(token);
                    }
                    Err(refusal)
                }
            };
        }
        self.stats.cache_misses = self.stats.cache_misses.saturating_add(1);
        if self.forged.get(token).is_some() {
            self.stats.forged_hits = self.stats.forged_hits.saturating_add(1);
            return Err(Reason::SignatureInvalid.into());
        }
        let verified = Rc::new(self.verify_fresh(token, live, now, backend)?);
        if let Some(state) = self.issuers.get(verified.issuer)
            && state.issuer.one_use.is_none()
        {
            let cost = cache::verified_cost(token, &verified.claims);
            let issuers = &self.issuers;
            let worthless = |old: &Rc<VerifiedToken>| {
                issuers.get(old.issuer).is_none_or(|state| {
                    let times = checks::times(&state.issuer, &old.times, now);
                    times
                        .and(checks::issuer_in_force(&state.issuer, now))
                        .is_err()
                })
            };
            self.verified
                .insert(token, Rc::clone(&verified), cost, worthless);
        }
        Ok(Verified::new(verified, false))
    }

    /// What can change between two requests with one token.
    fn recheck(
        &self,
        token: &VerifiedToken,
        live: &LiveRequest<'_>,
        now: u64,
    ) -> Result<(), Refusal> {
        let state = self.issuers.get(token.issuer).ok_or(Reason::Internal)?;
        checks::issuer_in_force(&state.issuer, now)?;
        if token.needs_remote && state.keys.is_stale(now) {
            return Err(absent(token.issuer, token.kid.as_deref(), Absence::Stale));
        }
        checks::times(&state.issuer, &token.times, now)?;
        // The lists are those that the token passed when it was fresh; asked again, so that this holds
        // whatever becomes of a verifier's life span. Empty lists cost nothing.
        checks::not_revoked(&state.issuer, token.kid.as_deref(), &token.claims)?;
        Ok(checks::bound(&state.issuer, &token.claims, live)?)
    }

    #[inline(never)]
    fn verify_fresh(
        &mut self,
        token: &[u8],
        live: &LiveRequest<'_>,
        now: u64,
        backend: &dyn SignatureBackend,
    ) -> Result<VerifiedToken, Refusal> {
        let jws =
            Jws::parse_after(&mut self.last_header, token).map_err(|_| Reason::ClaimsMalformed)?;
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
        let algorithm = Algorithm::from_name(&jws.algorithm)
            .filter(|algorithm| issuer.algorithms.contains(algorithm))
            .ok_or(Reason::AlgorithmRefused)?;
        let kid = jws.kid.as_deref();
        checks::kid_not_revoked(issuer, kid)?;
        let chosen = state
            .keys
            .choose(kid, algorithm, now)
            .map_err(|miss| match miss {
                Miss::Refused(reason) => Refusal::Denied(reason),
                Miss::Absent(why) => absent(index, kid, why),
            })?;
        // A token without `kid` can't get round the list.
        checks::kid_not_revoked(issuer, chosen.kid())?;
        if !is_signed(algorithm, &chosen, &jws, backend, &mut self.stats) {
            let cost = cache::forged_cost(token);
            self.forged.insert(token, index, cost, |_| true);
            return Err(Reason::SignatureInvalid.into());
        }

        checks::token_type(issuer, jws.token_type.as_deref())?;
        checks::times(issuer, &jws.times, now)?;
        checks::audience(issuer, &jws.claims)?;
        checks::lifetime(issuer, &jws.times)?;
        checks::required(issuer, &jws.claims)?;
        checks::not_revoked(issuer, chosen.kid(), &jws.claims)?;
        checks::bound(issuer, &jws.claims, live)?;
        Ok(VerifiedToken {
            issuer: index,
            issuer_name: Rc::clone(&state.name),
            kid: chosen.kid().map(Into::into),
            names_its_key: kid.is_some(),
            needs_remote: state.keys.needs_remote(kid, &chosen),
            algorithm,
            times: jws.times,
            remote_key: chosen.withdrawable(),
            memo: RefCell::default(),
            claims: jws.claims,
        })
    }

    /// Uses up a one-use token; nothing for other issuers. The last step, when everything else would
    /// let the request pass.
    ///
    /// # Errors
    /// [`Reason::Replayed`]; [`Reason::Internal`] (503) where the window is full or its storage
    /// failed: to let the request pass would be to let it pass again later.
    pub fn consume(&mut self, verified: &Verified, now: u64) -> Result<(), Reason> {
        let state = self
            .issuers
            .get_mut(verified.issuer())
            .ok_or(Reason::Internal)?;
        let Some(one_use) = &state.issuer.one_use else {
            return Ok(());
        };
        let claim = verified.claims().at(&one_use.claim).and_then(Json::as_str);
        let id = token_id(&state.name, claim.ok_or(Reason::ClaimRequired)?);
        let keep_until = verified.expiry().saturating_add(state.issuer.leeway);
        let window = state.replay.as_mut().ok_or(Reason::Internal)?;
        window
            .consume(id, keep_until, now)
            .map_err(|error| match error {
                ReplayError::Replayed => Reason::Replayed,
                ReplayError::Full => Reason::Internal,
            })
    }

    /// Puts another window, one that all workers share, in the place of the issuer's own.
    pub fn set_replay_window(&mut self, issuer: usize, window: Box<dyn ReplayWindow>) {
        if let Some(state) = self.issuers.get_mut(issuer) {
            state.replay = Some(window);
        }
    }

    /// Replaces the remote keys of an issuer by a set fetched at `fetched_at` (Unix seconds). What
    /// is remembered of tokens whose key is no longer there is forgotten; the tokens of keys that
    /// stay (same `kid`, same key) stay too. Returns whether any key changed. An empty set and an
    /// issuer without remote keys change nothing.
    pub fn set_keys(&mut self, issuer: usize, keys: KeySet, fetched_at: u64) -> bool {
        let Some(state) = self.issuers.get_mut(issuer) else {
            return false;
        };
        let changed = state.keys.set_remote(keys, fetched_at);
        if changed {
            let keys = &state.keys;
            // Without a `kid`, a token was accepted because its key was the only one that fits,
            // which the new set may have changed.
            self.verified.retain(|token| {
                let stays = |key: &Rc<_>| token.names_its_key && keys.has_remote(key);
                token.issuer != issuer
                    || !token.needs_remote
                    || token.remote_key.as_ref().is_some_and(stays)
            });
            self.forged.retain(|of| *of != issuer);
        }
        changed
    }

    /// When the remote keys of an issuer were fetched, in Unix seconds; `None` if never.
    pub fn keys_fetched_at(&self, issuer: usize) -> Option<u64> {
        self.issuers.get(issuer)?.keys.fetched_at()
    }

    /// How many keys an issuer has now: inline, secrets that were found, and remote ones, stale or
    /// not.
    pub fn keys_loaded(&self, issuer: usize) -> usize {
        self.issuers.get(issuer).map_or(0, |state| state.keys.len())
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

fn absent(issuer: usize, kid: Option<&str>, why: Absence) -> Refusal {
    Refusal::KeysAbsent {
        issuer,
        kid: kid.map(str::to_owned),
        why,
    }
}

/// The one signature verification of a request.
fn is_signed(
    algorithm: Algorithm,
    chosen: &Chosen<'_>,
    token: &Jws<'_>,
    backend: &dyn SignatureBackend,
    stats: &mut Stats,
) -> bool {
    let count = |counters: &mut [u64]| {
        if let Some(counter) = counters.get_mut(algorithm as usize) {
            *counter = counter.saturating_add(1);
        }
    };
    match chosen {
        Chosen::Secret { key, .. } => {
            count(&mut stats.by_portable);
            key.verify(algorithm, token.signing_input, &token.signature)
        }
        Chosen::Inline(key) | Chosen::Remote(key) => {
            if token.signature.len() != key.signature_len() {
                return false;
            }
            match backend.verify(algorithm, key, token) {
                Some(right) => {
                    count(&mut stats.by_backend);
                    right
                }
                None => {
                    count(&mut stats.by_portable);
                    Portable.check(algorithm, key, token)
                }
            }
        }
    }
}
