//! The keys of one issuer, and the choice of the one key for a token.

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

/// The revoked public keys, by RFC 7638 thumbprint: those in the config, and those that have or had a
/// revoked `kid`.
#[derive(Debug)]
struct RevokedKeys {
    kids: HashSet<String>,
    thumbprints: HashSet<String>,
}

#[derive(Debug)]
struct NamedSecret {
    kid: Option<String>,
    /// `None` if the environment does not contain it.
    key: Option<SecretKey>,
    /// Whether this secret has a revoked `kid` in any entry.
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
    /// A fetch would not help.
    Denied(Reason),
    /// A fetch may bring the key.
    Unavailable(KeyAbsence),
}

impl Chosen<'_> {
    /// The key's `kid`, which equals the token's if it has one.
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
    /// Collects the issuer's inline keys, and its secrets from the environment.
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
                        let algorithms = issuer.algorithms.iter();
                        let short = algorithms.filter(|algorithm| {
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
        revoked.add_from(&issuer.inline);
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

    /// The key for a token: the one with its `kid`, inline before remote; without `kid`, the issuer's only key
    /// for its algorithm. Secrets are used only for HS*, public keys only for other algorithms.
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
            // The operator's error, not the client's.
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
            // A key that is also inline counts once.
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

    /// The fetched keys; `Ok(None)` if the issuer has no remote keys.
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

    /// Whether the choice of a key depends on the fetched keys: it is one of them, or the token has no `kid`,
    /// so that another fitting key would change the choice.
    pub(super) fn needs_remote(&self, kid: Option<&str>, chosen: &Chosen<'_>) -> bool {
        match chosen {
            Chosen::Secret { .. } => false,
            Chosen::Inline(_) => kid.is_none() && self.remote.is_some(),
            Chosen::Remote(_) => true,
        }
    }

    /// Replaces the fetched keys, unless the set is empty. Returns whether they changed.
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
        self.revoked.add_from(&keys);
        let changed = keys != before;
        remote.fetched = Some(Fetched { keys, at });
        changed
    }

    /// Whether the chosen key is revoked.
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

    /// Whether this key object is one of the fetched keys.
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
    /// Adds the keys of a set that have a revoked `kid`. They stay revoked, because a later set may contain the
    /// same key with another `kid`.
    fn add_from(&mut self, keys: &KeySet) {
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
