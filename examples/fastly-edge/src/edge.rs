//! One request, decided: forwarded with edge claims, sent to log in, or refused.

use uuid::{NoContext, Timestamp, Uuid};

use crate::cookie::{self, Found};
use crate::correlation::Correlation;
use crate::headers::is_reserved;
use crate::login;
use crate::mint::{Binding, Signer};
use crate::record::{Outcome, Record, subject_hash, trace_id};
use crate::reply::{Form, Reply};
use crate::session::{Session, SessionError, SessionKeys};
use crate::settings::Settings;

/// The correlation header where there are no settings to name it.
pub const DEFAULT_CORRELATION_HEADER: &str = "x-correlation-id";

/// All that the edge needs to decide. There is no half of it: what is missing fails the request.
pub struct Edge {
    /// The settings.
    pub settings: Settings,
    /// The key set of the authorization server.
    pub session_keys: SessionKeys,
    /// What signs the edge claims.
    pub signer: Signer,
    /// The key of the log's subject hash, if there is one.
    pub log_key: Option<Vec<u8>>,
}

/// Why the edge cannot decide. Neither holds a value from a store.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store has no such item, or there is no such store.
    #[error("{0}: missing")]
    Missing(&'static str),
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] crate::settings::SettingsError),
    /// The key set cannot be used.
    #[error(transparent)]
    Keys(#[from] crate::session::KeySetError),
    /// The signing key cannot be used.
    #[error(transparent)]
    Signer(#[from] crate::mint::SignerError),
    /// The log's key is so short that subjects could be found by trying.
    #[error("log_key: must be at least 16 bytes long")]
    LogKey,
}

/// A request as the client sent it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The host, with a port if the client named one.
    pub host: &'a str,
    /// The path as it will be sent on, without the query.
    pub path: &'a str,
    /// The query.
    pub query: Option<&'a str>,
    /// Every header, one pair a value, names in any case.
    pub headers: &'a [(String, Vec<u8>)],
}

/// What is new for each request.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// A correlation ID, if the request needs one.
    pub correlation_id: String,
    /// `jti`.
    pub token_id: String,
    /// The login's `state`: 122 random bits.
    pub state: String,
    /// The login's `nonce`: 122 random bits.
    pub nonce: String,
}

/// What to do with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send it to the mesh with these changes.
    Forward(Edits),
    /// Answer it.
    Reply(Reply),
}

/// The changes to a request's headers: first all of `remove`, then all of `set`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits {
    /// Headers to take away, every value.
    pub remove: Vec<String>,
    /// Headers to set to one value each.
    pub set: Vec<(String, Vec<u8>)>,
}

impl Edge {
    /// Loads everything. `config` and `secret` look an item up in the config store and the secret store.
    ///
    /// # Errors
    /// [`LoadError`], naming the first item that is missing or cannot be used.
    pub fn load(
        config: impl Fn(&str) -> Option<String>,
        secret: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, LoadError> {
        let item = |name: &'static str| config(name).ok_or(LoadError::Missing(name));
        let signing_key = secret("signing_key").ok_or(LoadError::Missing("signing_key"))?;
        let log_key = secret("log_key");
        if log_key.as_ref().is_some_and(|key| key.len() < 16) {
            return Err(LoadError::LogKey);
        }
        Ok(Self {
            settings: Settings::parse(&item("settings")?)?,
            session_keys: SessionKeys::parse(&item("session_jwks")?)?,
            signer: Signer::parse(&String::from_utf8_lossy(&signing_key))?,
            log_key,
        })
    }

    /// Decides a request, and writes into the record what there is to say before the answer is known.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>, fresh: &Fresh, record: &mut Record) -> Decision {
        let correlation_id = record.correlation_id.clone();
        let session = self.session(request, fresh.now_ms / 1000);
        match session {
            Ok(session) => self.forward(request, Some(&session), fresh, record),
            Err(error) => {
                record.reason = Some(error.code());
                if self.settings.is_public(request.path) {
                    return self.forward(request, None, fresh, record);
                }
                Decision::Reply(self.refuse(request, fresh, record, &correlation_id))
            }
        }
    }

    fn session(&self, request: &Request<'_>, now: u64) -> Result<Session, SessionError> {
        match cookie::find(request.values("cookie"), &self.settings.session.cookie) {
            Found::None => Err(SessionError::Missing),
            Found::Repeated => Err(SessionError::Repeated),
            Found::One(token) => self.session_keys.verify(token, &self.settings.session, now),
        }
    }

    fn forward(
        &self,
        request: &Request<'_>,
        session: Option<&Session>,
        fresh: &Fresh,
        record: &mut Record,
    ) -> Decision {
        let settings = &self.settings;
        let correlation = &settings.correlation.header;
        let mut edits = self.strip(request);
        record.stripped_headers = u32::try_from(edits.remove.len()).unwrap_or(u32::MAX);
        self.keep_session(request, &mut edits);
        edits.put(correlation, &record.correlation_id);
        record.outcome = Outcome::Forwarded;
        let Some(session) = session else {
            return Decision::Forward(edits);
        };
        let binding = Binding {
            method: request.method,
            path_and_query: &request.path_and_query(),
            host: &canonical_host(request.host),
            correlation_id: &record.correlation_id,
            token_id: &fresh.token_id,
        };
        let now = fresh.now_ms / 1000;
        let Ok(token) = self.signer.mint(session, binding, &settings.claims, now) else {
            record.fail("mint", 503);
            let id = &record.correlation_id;
            return Decision::Reply(Reply::problem(request.form(), 503, "mint", correlation, id));
        };
        edits.put(&settings.claims.header, &token);
        record.kid = Some(self.signer.key_id().to_owned());
        record.token_id = Some(fresh.token_id.clone());
        record.subject = self
            .log_key
            .as_deref()
            .map(|key| subject_hash(key, session.subject()));
        Decision::Forward(edits)
    }

    /// A browser that navigates is sent to log in. Anything else could not follow: a script's fetch
    /// would end in a CORS error at the login page, a POST would lose its body, gRPC knows no redirect.
    fn refuse(
        &self,
        request: &Request<'_>,
        fresh: &Fresh,
        record: &mut Record,
        correlation_id: &str,
    ) -> Reply {
        let header = &self.settings.correlation.header;
        if request.is_navigation() {
            record.outcome = Outcome::Redirected;
            record.status = 302;
            let Settings { login, session, .. } = &self.settings;
            let back = request.path_and_query();
            let to = login::redirect(login, session, &fresh.state, &fresh.nonce, &back);
            Reply::redirect(to, header, correlation_id)
        } else {
            record.outcome = Outcome::Denied;
            record.status = 401;
            let code = record.reason.unwrap_or("session_missing");
            Reply::problem(request.form(), 401, code, header, correlation_id)
        }
    }

    fn strip(&self, request: &Request<'_>) -> Edits {
        let mut remove: Vec<String> = request
            .headers
            .iter()
            .map(|(name, _)| name)
            .filter(|name| {
                is_reserved(
                    name,
                    &self.settings.claims.header,
                    &self.settings.correlation.header,
                )
            })
            .cloned()
            .collect();
        remove.sort_unstable();
        remove.dedup();
        Edits {
            remove,
            set: Vec::new(),
        }
    }

    /// The session stays at the edge, so that nothing behind it can leak or replay it; other cookies
    /// go on.
    fn keep_session(&self, request: &Request<'_>, edits: &mut Edits) {
        let name = &self.settings.session.cookie;
        let others: Vec<Vec<u8>> = request
            .values("cookie")
            .filter_map(|value| cookie::without(value, name))
            .collect();
        edits.remove.push("cookie".to_owned());
        if !others.is_empty() {
            edits
                .set
                .push(("cookie".to_owned(), others.join(&b"; "[..])));
        }
    }
}

impl Request<'_> {
    /// The values of a header, in any case of its name.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The correlation ID: made of what the client sent, and what is fresh.
    #[must_use]
    pub fn correlation(&self, header: &str, trust_client: bool, fresh: &Fresh) -> Correlation {
        Correlation::pick(
            self.values(header),
            trust_client,
            fresh.correlation_id.clone(),
        )
    }

    /// The record of this request, before it is decided.
    #[must_use]
    pub fn record(&self, correlation: &Correlation, fresh: &Fresh) -> Record {
        let mut record = Record::new(fresh.now_ms, correlation, self.method, self.host, self.path);
        let mut traces = self.values("traceparent");
        record.trace_id = traces
            .next()
            .filter(|_| traces.next().is_none())
            .and_then(|value| trace_id(std::str::from_utf8(value).ok()?))
            .map(str::to_owned);
        record
    }

    /// The form of an answer that the client can understand.
    #[must_use]
    pub fn form(&self) -> Form {
        Form::of(self.values("content-type").next())
    }

    /// Fetch Metadata says what a request is for; where a client does not send it, GET and HEAD are
    /// taken for navigation.
    fn is_navigation(&self) -> bool {
        let mut modes = self.values("sec-fetch-mode");
        matches!(self.method, "GET" | "HEAD")
            && self.form() != Form::Grpc
            && modes.next().is_none_or(|mode| mode == b"navigate")
    }

    fn path_and_query(&self) -> String {
        match self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.to_owned(),
        }
    }
}

impl Edits {
    fn put(&mut self, name: &str, value: &str) {
        self.set.push((name.to_owned(), value.as_bytes().to_vec()));
    }
}

impl Record {
    /// Notes that the edge itself, or the way to the mesh, failed.
    pub fn fail(&mut self, reason: &'static str, status: u16) {
        self.outcome = Outcome::Failed;
        self.reason = Some(reason);
        self.status = status;
    }
}

impl Fresh {
    /// New IDs: version 7 for what is looked up by time, version 4 for what nobody may guess.
    #[must_use]
    pub fn new(now_ms: u64) -> Self {
        let timestamp = || {
            let nanoseconds = u32::try_from(now_ms % 1000)
                .unwrap_or(0)
                .saturating_mul(1_000_000);
            Timestamp::from_unix(NoContext, now_ms / 1000, nanoseconds)
        };
        Self {
            now_ms,
            correlation_id: Uuid::new_v7(timestamp()).to_string(),
            token_id: Uuid::new_v7(timestamp()).to_string(),
            state: Uuid::new_v4().simple().to_string(),
            nonce: Uuid::new_v4().simple().to_string(),
        }
    }
}

/// The host as the mesh compares it: lower case, without port and trailing dot.
#[must_use]
pub fn canonical_host(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
