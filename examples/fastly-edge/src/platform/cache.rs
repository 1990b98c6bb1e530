//! The platform's cache: the provider's key set and verified sessions. It belongs to a point of presence, and only
//! this service reads and writes it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use fastly::Request;
use fastly::cache::core::{self, CacheKey, Found, Transaction};
use fastly_edge::session::SessionKeys;
use fastly_edge::session::cache::SessionCache;
use fastly_edge::settings::JwksSource;

use super::{KEYS_BACKEND, bounded_body, now_ms};

/// How long a key set counts while the provider does not answer.
const KEEP: Duration = Duration::from_secs(86_400);
/// How long after a fetch that failed, or that an unknown key caused, there is no other one.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest key set that is read, in bytes.
const MAX_KEY_SET: usize = 65_536;

/// The provider's key set.
pub(super) struct ProviderKeys {
    uri: String,
    every: Duration,
    /// What is known.
    pub(super) text: Option<String>,
    /// This request's duty to fetch it anew, once its response is out.
    duty: Option<Transaction>,
}

impl ProviderKeys {
    /// From the cache. Where it holds nothing, one request fetches it and the others wait for that; then there is a
    /// wait to tell.
    pub(super) fn load(source: &JwksSource) -> (Self, Option<Duration>) {
        let started = Instant::now();
        let mut keys = Self {
            uri: source.uri.clone(),
            every: Duration::from_secs(source.refresh_seconds),
            text: None,
            duty: None,
        };
        let Ok(transaction) = Transaction::lookup(keys.key()).execute() else {
            return (keys, None);
        };
        let mut waited = None;
        let must = transaction.must_insert_or_update();
        match transaction.found() {
            Some(found) => {
                keys.text = text(&found);
                keys.duty = must.then_some(transaction);
            }
            None if must => {
                keys.text = fetch(&keys.uri);
                keys.store(transaction, None);
                waited = Some(started.elapsed());
            }
            None => {}
        }
        (keys, waited)
    }

    /// After the response: fetches the key set if it is due. Nobody waits for that.
    pub(super) fn refresh(mut self) {
        if let Some(transaction) = self.duty.take() {
            let before = transaction.found().map(|found| fetched_at(&found));
            let asked = now_ms();
            let fetched = fetch(&self.uri);
            // Another request may have met an unknown key meanwhile: what it fetched is newer.
            let newest = core::lookup(self.key()).execute().ok().flatten();
            if newest.is_some_and(|newest| fetched_at(&newest) >= asked) {
                let _ = transaction.cancel_insert_or_update();
                return;
            }
            match fetched {
                Some(text) => {
                    self.text = Some(text);
                    self.store(transaction, None);
                }
                None => self.store(transaction, before),
            }
        }
    }

    /// The key set, if it is another one now: a token names a key that it has not. Whatever the number of such
    /// tokens, there is one fetch in each [`PAUSE`].
    pub(super) fn refetch(&self) -> Option<String> {
        let pause = Transaction::lookup(key("pause", &self.uri))
            .execute()
            .ok()?;
        if pause.must_insert_or_update() {
            let asked = now_ms();
            if let Some(text) = fetch(&self.uri) {
                let insert = core::insert(self.key(), self.every)
                    .stale_while_revalidate(KEEP)
                    .user_metadata(bytes_of(asked).into())
                    .execute();
                write(insert, &text);
            }
            // Only now: who waits for this finds the new set.
            write(pause.insert(PAUSE).execute(), "");
        }
        let found = core::lookup(self.key()).execute().ok()??;
        text(&found).filter(|text| Some(text) != self.text.as_ref())
    }

    /// Stores the set. One that could not be fetched anew (`before`: when it was fetched last, in milliseconds since
    /// 1970) is tried again after [`PAUSE`], and counts no longer than [`KEEP`].
    fn store(&self, transaction: Transaction, before: Option<u64>) {
        let now = now_ms();
        let fetched = before.unwrap_or(now);
        let fresh = before.is_none() && self.text.is_some();
        let age = Duration::from_millis(now.saturating_sub(fetched));
        let keep = if self.text.is_some() {
            KEEP.saturating_sub(age)
        } else {
            Duration::ZERO
        };
        let text = self.text.as_deref().filter(|_| !keep.is_zero());
        let insert = transaction
            .insert(if fresh { self.every } else { PAUSE })
            .stale_while_revalidate(keep)
            .user_metadata(bytes_of(fetched).into())
            .execute();
        write(insert, text.unwrap_or_default());
    }

    fn key(&self) -> CacheKey {
        key("jwks", &self.uri)
    }
}

/// Verified sessions in the cache.
pub(super) struct Sessions;

impl SessionCache for Sessions {
    fn get(&self, id: &[u8; 32]) -> Option<String> {
        let found = core::lookup(session_key(id)).execute().ok()??;
        text(&found)
    }

    fn put(&self, id: &[u8; 32], value: &str, seconds: u64) {
        let insert = core::insert(session_key(id), Duration::from_secs(seconds))
            .sensitive_data(true)
            .execute();
        write(insert, value);
    }
}

/// Asks the provider for its key set. An answer that this edge could not use is none.
fn fetch(uri: &str) -> Option<String> {
    let mut request = Request::get(uri).with_header("accept", "application/json");
    request.set_pass(true);
    let mut response = request.send(KEYS_BACKEND).ok()?;
    let body = bounded_body(&mut response, MAX_KEY_SET);
    let text = String::from_utf8(body).ok()?;
    let usable = response.get_status() == 200
        && text.len() <= MAX_KEY_SET
        && SessionKeys::parse(&text).is_ok();
    usable.then_some(text)
}

/// A cache that does not take an entry costs a fetch or a signature, and no request.
fn write<E>(insert: Result<fastly::http::body::StreamingBody, E>, text: &str) {
    if let Ok(mut body) = insert
        && body.write_all(text.as_bytes()).is_ok()
    {
        let _ = body.finish();
    }
}

fn text(found: &Found) -> Option<String> {
    let text = found.to_stream().ok()?.into_string();
    (!text.is_empty()).then_some(text)
}

fn fetched_at(found: &Found) -> u64 {
    let bytes = found.user_metadata();
    bytes.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

fn bytes_of(milliseconds: u64) -> Vec<u8> {
    milliseconds.to_be_bytes().to_vec()
}

fn key(kind: &str, uri: &str) -> CacheKey {
    format!("edge-claims/{kind}/{uri}").into_bytes().into()
}

fn session_key(id: &[u8; 32]) -> CacheKey {
    [&b"edge-claims/session/"[..], id].concat().into()
}
