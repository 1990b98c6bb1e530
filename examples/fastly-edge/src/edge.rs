//! One request, decided: forwarded with edge claims, sent to log in, or refused.

mod load;
mod login;
mod request;

pub use self::load::LoadError;
pub use self::login::Exchange;
pub use self::request::{Fresh, Request, canonical_host};

use crate::cookie::{self, Found};
use crate::correlation::Correlation;
use crate::headers::is_reserved;
use crate::login::key::LoginKey;
use crate::login::{Step, clear_cookie, is_own_cookie, visit};
use crate::mint::{Binding, Signer};
use crate::record::{Outcome, Record, subject_hash};
use crate::reply::Reply;
use crate::session::cache::SessionCache;
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
    /// What seals the states of logins.
    pub login_key: LoginKey,
    /// The client's secret at the provider; empty for a public client.
    pub client_secret: String,
}

/// What to do with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Send it to the mesh with these changes.
    Forward(Edits),
    /// Answer it.
    Reply(Reply),
    /// Ask the provider for tokens, then [`Edge::complete`] the login.
    Exchange(Box<Exchange>),
}

/// The changes to a request's headers: first all of `remove`, then all of `set`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits {
    /// Headers to take away, every value.
    pub remove: Vec<String>,
    /// Headers to set to one value each.
    pub set: Vec<(String, Vec<u8>)>,
    /// `Set-Cookie` values to add to the mesh's response.
    pub response_cookies: Vec<String>,
}

impl Edge {
    /// Decides a request, with a record of what there is to say before the answer is known. `cache` has verified
    /// sessions.
    #[must_use]
    pub fn decide(
        &self,
        request: &Request<'_>,
        fresh: &Fresh,
        cache: &dyn SessionCache,
    ) -> (Decision, Record) {
        if self.is_callback(request) {
            return self.callback(request, fresh);
        }
        if let Some(logout) = self.logout(request) {
            return self.log_out(logout, request, fresh);
        }
        let now = fresh.now_ms / 1000;
        let correlation = self.picked(request, fresh);
        match self.session(request, now, cache) {
            Ok((token, session)) => {
                let visit = request
                    .is_safe()
                    .then(|| self.first_request(request, token, now))
                    .flatten();
                let Some((id, visit_cookie)) = visit else {
                    let mut record = request.record(&correlation, fresh);
                    let decision = self.forward(request, Some(&session), fresh, &mut record);
                    return (decision, record);
                };
                let mut record = request.record(&correlation.of_login(id), fresh);
                record.login = Some(Step::FirstRequest);
                let mut decision = self.forward(request, Some(&session), fresh, &mut record);
                if let Decision::Forward(edits) = &mut decision {
                    edits.response_cookies.push(clear_cookie(&visit_cookie));
                }
                (decision, record)
            }
            Err(error) => {
                let mut record = request.record(&correlation, fresh);
                record.reason = Some(error.code());
                let decision = if self.settings.is_public(request.path) {
                    self.forward(request, None, fresh, &mut record)
                } else {
                    Decision::Reply(self.refuse(request, fresh, &mut record))
                };
                (decision, record)
            }
        }
    }

    fn picked(&self, request: &Request<'_>, fresh: &Fresh) -> Correlation {
        let settings = &self.settings.correlation;
        request.correlation(&settings.header, settings.trust_client, fresh)
    }

    fn session<'a>(
        &self,
        request: &Request<'a>,
        now: u64,
        cache: &dyn SessionCache,
    ) -> Result<(&'a str, Session), SessionError> {
        match cookie::find(request.values("cookie"), &self.settings.session.cookie) {
            Found::None => Err(SessionError::Missing),
            Found::Repeated => Err(SessionError::Repeated),
            Found::One(token) => {
                let settings = &self.settings.session;
                let session = self
                    .session_keys
                    .verify_cached(token, settings, now, cache)?;
                Ok((token, session))
            }
        }
    }

    fn first_request(
        &self,
        request: &Request<'_>,
        session: &str,
        now: u64,
    ) -> Option<(String, String)> {
        let path_and_query = request.path_and_query();
        let cookies = request.values("cookie");
        visit::first_request(&self.login_key, cookies, session, &path_and_query, now)
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
        self.keep_own_cookies(request, &mut edits);
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
            geo: request.geo,
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
    fn refuse(&self, request: &Request<'_>, fresh: &Fresh, record: &mut Record) -> Reply {
        if request.is_navigation() && self.is_callback_host(request) {
            return self.start_login(request, fresh, record);
        }
        record.outcome = Outcome::Denied;
        record.status = 401;
        let code = record.reason.unwrap_or("session_missing");
        let header = &self.settings.correlation.header;
        Reply::problem(request.form(), 401, code, header, &record.correlation_id)
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
            ..Edits::default()
        }
    }

    /// The session and the login stay at the edge, so that nothing behind it can leak or replay them; other cookies
    /// go on.
    fn keep_own_cookies(&self, request: &Request<'_>, edits: &mut Edits) {
        let session = &self.settings.session.cookie;
        let is_own = |name: &[u8]| name == session.as_bytes() || is_own_cookie(name);
        let others: Vec<Vec<u8>> = request
            .values("cookie")
            .filter_map(|value| cookie::without(value, is_own))
            .collect();
        edits.remove.push("cookie".to_owned());
        if !others.is_empty() {
            edits
                .set
                .push(("cookie".to_owned(), others.join(&b"; "[..])));
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

#[cfg(test)]
mod tests;
