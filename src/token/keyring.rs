//! All keys of one issuer, and which of them a token is verified with: never more than one.

use std::collections::HashSet;
use std::rc::Rc;

use crate::denial::Reason;
use crate::token::secret::SecretKey;
use crate::token::{Algorithm, Issuer, KeyAbsence, KeySet, PublicKey, SecretWarning};

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keyring {
    inline: KeySet,
    secrets: Vec<NamedSecret>,
    remote: Option<Remote>,
    revoked: RevokedKeys,
}

/// The public keys that are revoked, by RFC 7638 thumbprint: those of the config, and those that are or
/// were known under a revoked `kid`.
#[derive(Debug)]
struct RevokedKeys {
    kids: HashSet<String>,
    thumbprints: HashSet<String>,
}

#[derive(Debug)]
struct NamedSecret {
    kid: Option<String>,
    /// `None` if the environment does not have it.
    key: Option<SecretKey>,
    /// Whether this secret is listed under any of its `kid`s.
    revoked: bool,
}

#[derive(Debug)]
struct Remote {
    max_stale: u64,
    fetched: Option<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    at: u64,
}

/// The one key for a token.
#[derive(Debug)]
pub(super) enum Chosen<'a> {
    Secret {
        key: &'a SecretKey,
        kid: Option<&'a str>,
        revoked: bool,
    },
    Inline(&'a Rc<PublicKey>),
    Remote(&'a Rc<PublicKey>),
}

/// Why there is no key for a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyLookupError {
    /// No fetch would bring one.
    Denied(Reason),
    /// A fetch might bring it.
    Unavailable(KeyAbsence),
}

impl Chosen<'_> {
    /// The key's own `kid`, which is the token's if that has one.
    pub(super) fn kid(&self) -> Option<&str> {
        match self {
            Self::Secret { kid, .. } => *kid,
            Self::Inline(key) | Self::Remote(key) => key.kid(),
        }
    }

    /// The public key; `None` for a secret.
    pub(super) fn public_key(&self) -> Option<&Rc<PublicKey>> {
        match self {
            Self::Inline(key) | Self::Remote(key) => Some(key),
            Self::Secret { .. } => None,
        }
    }
}

impl Keyring {
    /// Takes the issuer's inline keys, and its secrets from the environment.
    pub(super) fn new(
        index: usize,
        issuer: &Issuer,
        env: &dyn Fn(&str) -> Option<Vec<u8>>,
        warnings: &mut Vec<SecretWarning>,
    ) -> Self {
        let secrets = issuer.secrets.iter().enumerate();
        let secrets: Vec<_> = secrets
            .map(|(place, secret)| {
                let bytes = env(&secret.env).filter(|bytes| !bytes.is_empty());
                match &bytes {
                    None => warnings.push(SecretWarning::Missing {
                        issuer: index,
                        index: place,
                        env: secret.env.clone(),
                    }),
                    Some(bytes) => {
                        let wanted = issuer.algorithms.iter();
                        let short = wanted.filter(|algorithm| {
                            algorithm.is_symmetric() && bytes.len() < algorithm.hash_len()
                        });
                        warnings.extend(short.map(|algorithm| SecretWarning::TooShort {
                            issuer: index,
                            index: place,
                            env: secret.env.clone(),
                            algorithm: *algorithm,
                            bytes: bytes.len(),
                            needed: algorithm.hash_len(),
                        }));
                    }
                }
                let named = NamedSecret {
                    kid: secret.kid.clone(),
                    key: bytes.as_deref().map(SecretKey::new),
                    revoked: false,
                };
                (named, bytes)
            })
            .collect();
        let mut revoked = RevokedKeys {
            kids: issuer.revoked.kids.clone(),
            thumbprints: issuer.revoked.thumbprints.clone(),
        };
        revoked.learn(&issuer.inline);
        Self {
            inline: issuer.inline.clone(),
            secrets: mark_revoked(secrets, &revoked.kids),
            revoked,
            remote: issuer.remote.as_ref().map(|remote| Remote {
                max_stale: remote.max_stale,
                fetched: None,
            }),
        }
    }

    /// The key for a token: the one that its `kid` names, inline before remote; without `kid` the
    /// only one of the issuer that fits its algorithm. Secrets verify HS* only, public keys the
    /// others only, so neither can stand in for the other.
    pub(super) fn choose(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: u64,
    ) -> Result<Chosen<'_>, KeyLookupError> {
        if algorithm.is_symmetric() {
            self.choose_secret(kid, algorithm)
        } else if let Some(kid) = kid {
            self.choose_named(kid, algorithm, now)
        } else {
            self.choose_only(algorithm, now)
        }
    }

    fn choose_secret(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Chosen<'_>, KeyLookupError> {
        let mut named = self.secrets.iter().filter(|secret| match kid {
            Some(kid) => secret.kid.as_deref() == Some(kid),
            None => secret.key.as_ref().is_none_or(|key| key.fits(algorithm)),
        });
        let (Some(secret), None) = (named.next(), named.next()) else {
            return Err(KeyLookupError::Denied(Reason::KeyUnknown));
        };
        match &secret.key {
            // The operator's error, not the sender's.
            None => Err(KeyLookupError::Denied(Reason::KeysUnavailable)),
            Some(key) if key.fits(algorithm) => {
                let kid = secret.kid.as_deref();
                Ok(Chosen::Secret {
                    key,
                    kid,
                    revoked: secret.revoked,
                })
            }
            Some(_) => Err(KeyLookupError::Denied(Reason::AlgorithmRefused)),
        }
    }

    fn choose_named(
        &self,
        kid: &str,
        algorithm: Algorithm,
        now: u64,
    ) -> Result<Chosen<'_>, KeyLookupError> {
        let named = |key: &&Rc<PublicKey>| key.kid() == Some(kid);
        let chosen = match self.inline.shared().iter().find(named) {
            Some(key) => Chosen::Inline(key),
            None => {
                let keys = self.fetched(now)?.map(KeySet::shared).unwrap_or_default();
                Chosen::Remote(keys.iter().find(named).ok_or_else(|| self.unknown())?)
            }
        };
        match &chosen {
            Chosen::Inline(key) | Chosen::Remote(key) if !key.fits(algorithm) => {
                Err(KeyLookupError::Denied(Reason::AlgorithmRefused))
            }
            _ => Ok(chosen),
        }
    }

    fn choose_only(&self, algorithm: Algorithm, now: u64) -> Result<Chosen<'_>, KeyLookupError> {
        let inline = self.inline.shared().iter().map(Chosen::Inline);
        let remote = self.fetched(now)?.map(KeySet::shared).unwrap_or_default();
        let remote = remote
            .iter()
            // A key that is inline as well counts once.
            .filter(|key| self.inline.iter().all(|other| other.spki() != key.spki()))
            .map(Chosen::Remote);
        let mut fitting = inline.chain(remote).filter(|chosen| match chosen {
            Chosen::Inline(key) | Chosen::Remote(key) => key.fits(algorithm),
            Chosen::Secret { .. } => false,
        });
        match (fitting.next(), fitting.next()) {
            (Some(chosen), None) => Ok(chosen),
            (Some(_), Some(_)) => Err(KeyLookupError::Denied(Reason::KeyUnknown)),
            (None, _) => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> KeyLookupError {
        match self.remote {
            Some(_) => KeyLookupError::Unavailable(KeyAbsence::UnknownKid),
            None => KeyLookupError::Denied(Reason::KeyUnknown),
        }
    }

    /// The fetched keys, if there is a source of them.
    fn fetched(&self, now: u64) -> Result<Option<&KeySet>, KeyLookupError> {
        let Some(remote) = &self.remote else {
            return Ok(None);
        };
        let fetched = remote
            .fetched
            .as_ref()
            .ok_or(KeyLookupError::Unavailable(KeyAbsence::NeverFetched))?;
        if remote.is_stale(now) {
            return Err(KeyLookupError::Unavailable(KeyAbsence::Stale));
        }
        Ok(Some(&fetched.keys))
    }

    /// Whether the fetched keys are older than `max_stale`.
    pub(super) fn is_stale(&self, now: u64) -> bool {
        self.remote
            .as_ref()
            .is_some_and(|remote| remote.is_stale(now))
    }

    /// Whether the choice of that key for a token of that `kid` rests on the fetched keys: on their
    /// having it, or, without `kid`, on their having no other that fits.
    pub(super) fn needs_remote(&self, kid: Option<&str>, chosen: &Chosen<'_>) -> bool {
        match chosen {
            Chosen::Secret { .. } => false,
            Chosen::Inline(_) => kid.is_none() && self.remote.is_some(),
            Chosen::Remote(_) => true,
        }
    }

    /// Replaces the fetched keys; whether they changed. An empty set replaces nothing.
    pub(super) fn set_remote(&mut self, mut keys: KeySet, at: u64) -> bool {
        let Some(remote) = self.remote.as_mut().filter(|_| !keys.is_empty()) else {
            return false;
        };
        let before = remote
            .fetched
            .take()
            .map(|fetched| fetched.keys)
            .unwrap_or_default();
        keys.keep_from(&before);
        self.revoked.learn(&keys);
        let changed = keys != before;
        remote.fetched = Some(Fetched { keys, at });
        changed
    }

    /// Whether the key that was chosen for a token is revoked.
    pub(super) fn is_revoked(&self, chosen: &Chosen<'_>) -> bool {
        match chosen {
            Chosen::Secret { revoked, .. } => *revoked,
            Chosen::Inline(key) | Chosen::Remote(key) => self.revoked.contains(key),
        }
    }

    /// Whether a public key is revoked.
    pub(super) fn is_revoked_key(&self, key: &PublicKey) -> bool {
        self.revoked.contains(key)
    }

    /// Whether that very key is still among the fetched ones.
    pub(super) fn has_remote(&self, key: &Rc<PublicKey>) -> bool {
        self.remote
            .iter()
            .filter_map(|remote| remote.fetched.as_ref())
            .any(|fetched| {
                fetched
                    .keys
                    .shared()
                    .iter()
                    .any(|other| Rc::ptr_eq(other, key))
            })
    }

    pub(super) fn fetched_at(&self) -> Option<u64> {
        Some(self.remote.as_ref()?.fetched.as_ref()?.at)
    }

    pub(super) fn len(&self) -> usize {
        let secrets = self
            .secrets
            .iter()
            .filter(|secret| secret.key.is_some())
            .count();
        let remote = self
            .remote
            .iter()
            .filter_map(|remote| remote.fetched.as_ref());
        let remote: usize = remote.map(|fetched| fetched.keys.len()).sum();
        self.inline
            .len()
            .saturating_add(secrets)
            .saturating_add(remote)
    }
}

impl RevokedKeys {
    /// Revokes the keys of a set that have a revoked `kid`, for good: a later set may have the same key
    /// under another `kid`.
    fn learn(&mut self, keys: &KeySet) {
        let listed = keys
            .iter()
            .filter(|key| key.kid().is_some_and(|kid| self.kids.contains(kid)));
        self.thumbprints
            .extend(listed.map(|key| key.thumbprint().to_owned()));
    }

    fn contains(&self, key: &PublicKey) -> bool {
        !self.thumbprints.is_empty() && self.thumbprints.contains(key.thumbprint())
    }
}

/// Marks the secrets with a revoked `kid`, and those with the same bytes.
fn mark_revoked(
    secrets: Vec<(NamedSecret, Option<Vec<u8>>)>,
    kids: &HashSet<String>,
) -> Vec<NamedSecret> {
    let listed: Vec<Vec<u8>> = secrets
        .iter()
        .filter(|(secret, _)| secret.kid.as_ref().is_some_and(|kid| kids.contains(kid)))
        .filter_map(|(_, bytes)| bytes.clone())
        .collect();
    secrets
        .into_iter()
        .map(|(secret, bytes)| NamedSecret {
            revoked: bytes.is_some_and(|bytes| listed.contains(&bytes)),
            ..secret
        })
        .collect()
}

impl Remote {
    fn is_stale(&self, now: u64) -> bool {
        self.fetched
            .as_ref()
            .is_some_and(|fetched| now >= fetched.at.saturating_add(self.max_stale))
    }
}
