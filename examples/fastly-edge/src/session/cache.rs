//! Sessions that were verified a moment ago, so that not every request of a page costs a signature.
//!
//! An entry is good for one ID token, under one key and one set of rules: the key set is looked at first, and a
//! token whose key is gone is not looked up. Its life is short, and never longer than the token's.

use hmac_sha256::Hash;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Session, SessionError, SessionKeys};
use crate::settings::SessionSettings;

/// Where verified sessions are kept: the platform's cache. Only this service can write it.
pub trait SessionCache {
    /// The value, if there is one.
    fn get(&self, key: &[u8; 32]) -> Option<String>;
    /// Keeps a value for some seconds.
    fn put(&self, key: &[u8; 32], value: &str, seconds: u64);
}

/// Keeps nothing.
pub struct NoCache;

impl SessionCache for NoCache {
    fn get(&self, _: &[u8; 32]) -> Option<String> {
        None
    }

    fn put(&self, _: &[u8; 32], _: &str, _: u64) {}
}

/// A session as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    subject: String,
    roles: Vec<String>,
    copied: Map<String, Value>,
    expires: u64,
}

impl SessionKeys {
    /// [`Self::verify`], or what it said about the same token at most `session.cache_seconds` ago.
    ///
    /// # Errors
    /// [`SessionError`]. No error is kept: a stranger could fill the cache with them.
    pub fn verify_cached(
        &self,
        token: &str,
        settings: &SessionSettings,
        now: u64,
        cache: &dyn SessionCache,
    ) -> Result<Session, SessionError> {
        if settings.cache_seconds == 0 {
            return self.verify(token, settings, now);
        }
        let id = self.cache_key(token, settings)?;
        if let Some(session) = cache.get(&id).and_then(|value| kept(&value)) {
            return if now > session.expires.saturating_add(settings.leeway_seconds) {
                Err(SessionError::Expired)
            } else {
                Ok(session)
            };
        }
        let session = self.verify(token, settings, now)?;
        let life = session
            .expires
            .saturating_sub(now)
            .min(settings.cache_seconds);
        if life > 0 {
            let kept = Kept {
                subject: session.subject.clone(),
                roles: session.roles.clone(),
                copied: session.copied.clone(),
                expires: session.expires,
            };
            cache.put(&id, &serde_json::to_string(&kept).unwrap_or_default(), life);
        }
        Ok(session)
    }

    /// The hash of all that the verdict depends on, but for the time: the token, its key and the rules.
    fn cache_key(&self, token: &str, settings: &SessionSettings) -> Result<[u8; 32], SessionError> {
        let key = self.key_of(token)?;
        let mut hash = Hash::new();
        for part in [
            &key.fingerprint[..],
            format!("{settings:?}").as_bytes(),
            token.as_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Ok(hash.finalize())
    }
}

fn kept(value: &str) -> Option<Session> {
    let kept: Kept = serde_json::from_str(value).ok()?;
    Some(Session {
        subject: kept.subject,
        roles: kept.roles,
        copied: kept.copied,
        expires: kept.expires,
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashMap;

    use serde_json::json;

    use super::super::tests::{NOW, Server};
    use super::*;

    #[derive(Default)]
    struct Memory(RefCell<HashMap<[u8; 32], (String, u64)>>);

    impl SessionCache for Memory {
        fn get(&self, key: &[u8; 32]) -> Option<String> {
            self.0.borrow().get(key).map(|(value, _)| value.clone())
        }

        fn put(&self, key: &[u8; 32], value: &str, seconds: u64) {
            self.0
                .borrow_mut()
                .insert(*key, (value.to_owned(), seconds));
        }
    }

    fn settings() -> SessionSettings {
        crate::settings::tests::settings().session
    }

    #[test]
    fn a_kept_session_is_the_verified_one() {
        let (server, cache) = (Server::new(), Memory::default());
        let (keys, token) = (server.keys(), server.sign(&json!({})));
        let verify = || keys.verify_cached(&token, &settings(), NOW, &cache);
        let first = verify().unwrap();
        assert_eq!(cache.0.borrow().len(), 1);
        assert_eq!(verify().unwrap(), first);
        // It is really the kept one that counts.
        for (value, _) in cache.0.borrow_mut().values_mut() {
            *value = value.replace("reader", "kept");
        }
        assert_eq!(verify().unwrap().roles(), ["kept"]);
        // What is no session is verified again.
        for (value, _) in cache.0.borrow_mut().values_mut() {
            *value = "{}".to_owned();
        }
        assert_eq!(verify().unwrap(), first);
    }

    #[test]
    fn it_ends_with_the_token_and_before() {
        let (server, cache) = (Server::new(), Memory::default());
        let keys = server.keys();
        let token = server.sign(&json!({"exp": NOW + 20}));
        assert!(keys.verify_cached(&token, &settings(), NOW, &cache).is_ok());
        assert_eq!(cache.0.borrow().values().next().unwrap().1, 20);
        let late = keys.verify_cached(&token, &settings(), NOW + 51, &cache);
        assert_eq!(late, Err(SessionError::Expired));
        let long = server.sign(&json!({}));
        assert!(keys.verify_cached(&long, &settings(), NOW, &cache).is_ok());
        let lives: Vec<u64> = cache
            .0
            .borrow()
            .values()
            .map(|(_, seconds)| *seconds)
            .collect();
        assert!(lives.contains(&settings().cache_seconds), "{lives:?}");
    }

    #[test]
    fn another_key_rule_or_token_is_another_session() {
        let (server, cache) = (Server::new(), Memory::default());
        let token = server.sign(&json!({}));
        assert!(
            server
                .keys()
                .verify_cached(&token, &settings(), NOW, &cache)
                .is_ok()
        );
        // The key was withdrawn, or replaced under the same ID.
        let other = Server::new();
        let replaced = other.keys().verify_cached(&token, &settings(), NOW, &cache);
        assert_eq!(replaced, Err(SessionError::Signature));
        let mut renamed = other.jwk();
        renamed["kid"] = json!("login-2");
        let keys = SessionKeys::parse(&json!({"keys": [renamed]}).to_string()).unwrap();
        let withdrawn = keys.verify_cached(&token, &settings(), NOW, &cache);
        assert_eq!(withdrawn, Err(SessionError::KeyUnknown));
        // The rules changed.
        let mut strict = settings();
        strict.client_id = "other".to_owned();
        let refused = server.keys().verify_cached(&token, &strict, NOW, &cache);
        assert_eq!(refused, Err(SessionError::Audience));
        // The same head and payload, another signature.
        let (head, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{head}.{}", "A".repeat(86));
        let refused = server
            .keys()
            .verify_cached(&forged, &settings(), NOW, &cache);
        assert_eq!(refused, Err(SessionError::Signature));
        assert_eq!(cache.0.borrow().len(), 1, "no error is kept");
    }

    #[test]
    fn without_seconds_nothing_is_kept() {
        let (server, cache) = (Server::new(), Memory::default());
        let mut off = settings();
        off.cache_seconds = 0;
        let token = server.sign(&json!({}));
        assert!(
            server
                .keys()
                .verify_cached(&token, &off, NOW, &cache)
                .is_ok()
        );
        assert_eq!(cache.0.borrow().len(), 0);
    }
}
