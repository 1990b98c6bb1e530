//! The steps of a login, decided: to the provider, back from it, and on with a session.

use super::{Decision, Edge, Fresh, Request, canonical_host};
use crate::login::callback::{Begun, Code, callback};
use crate::login::exchange::{TokenAnswer, TokenRequest, session_of, token_request};
use crate::login::{self, Failure, LoginError, Step, Success};
use crate::record::{Outcome, Record};
use crate::reply::{Form, Reply};
use crate::settings::Logout;
use crate::{cookie, session};

/// A code that the provider shall give tokens for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What to ask the provider.
    pub request: TokenRequest,
    code: Code,
    begun: Begun,
}

impl Edge {
    /// Whether the request is for `redirect_uri`, whose path is the edge's own.
    pub(super) fn is_callback(&self, request: &Request<'_>) -> bool {
        self.callback_path() == Some(request.path) && self.is_callback_host(request)
    }

    /// Cookies belong to a host. A login that began on another one could not come back to its cookie.
    pub(super) fn is_callback_host(&self, request: &Request<'_>) -> bool {
        let authority = self.settings.login.redirect_uri.split('/').nth(2);
        authority.is_some_and(|authority| canonical_host(authority) == canonical_host(request.host))
    }

    fn callback_path(&self) -> Option<&str> {
        let uri = &self.settings.login.redirect_uri;
        let (_, rest) = uri.split_once("://")?;
        rest.find('/').and_then(|slash| rest.get(slash..))
    }

    /// Sends the browser to log in. The login has the correlation ID of this request.
    pub(super) fn start_login(
        &self,
        request: &Request<'_>,
        fresh: &Fresh,
        record: &mut Record,
    ) -> Reply {
        record.outcome = Outcome::Redirected;
        record.status = 302;
        record.login = Some(Step::Start);
        let to = login::start::start(
            &self.login_key,
            &self.settings,
            &fresh.login_secret,
            &record.correlation_id,
            &request.path_and_query(),
            cookie::names(request.values("cookie")),
            fresh.now_ms / 1000,
        );
        let header = &self.settings.correlation.header;
        Reply::redirect(&to.location, &to.cookies, header, &record.correlation_id)
    }

    /// The provider's answer, brought by the browser.
    pub(super) fn callback(&self, request: &Request<'_>, fresh: &Fresh) -> (Decision, Record) {
        let correlation = self.picked(request, fresh);
        let now = fresh.now_ms / 1000;
        // A script, a form or an image of another site cannot bring an answer: only a navigation can.
        let callback = if request.is_navigation() && request.method == "GET" {
            let query = request.query.unwrap_or_default();
            let cookies = request.values("cookie");
            callback(&self.login_key, &self.settings, query, cookies, now)
        } else {
            login::callback::Callback {
                login: None,
                code: Err(LoginError::Request.into()),
            }
        };
        let correlation = match &callback.login {
            Some(begun) => correlation.of_login(begun.correlation_id.clone()),
            None => correlation,
        };
        let mut record = request.record(&correlation, fresh);
        record.login = Some(Step::Callback);
        let decision = match (callback.login, callback.code) {
            (Some(begun), Ok(code)) => Decision::Exchange(Box::new(Exchange {
                request: token_request(&self.settings, &self.client_secret, &code),
                code,
                begun,
            })),
            (begun, code) => {
                // A code without a login cannot be: there is nothing to exchange it with.
                let failure = code.err().unwrap_or_else(|| LoginError::State.into());
                let reply = self.login_failed(request, begun.as_ref(), failure, &mut record);
                Decision::Reply(reply)
            }
        };
        (decision, record)
    }

    /// Ends a login with the provider's answer, or without one where the provider could not be reached.
    ///
    /// # Errors
    /// [`Failure`]: to be told by [`Self::login_failed`]. With new keys, another attempt may do better if
    /// [`Failure::is_unknown_key`].
    pub fn complete(
        &self,
        exchange: &Exchange,
        answer: Option<&TokenAnswer>,
        now: u64,
    ) -> Result<Success, Failure> {
        let answer = answer.ok_or_else(|| Failure {
            error: LoginError::Provider,
            detail: Some("token endpoint: not reachable".to_owned()),
        })?;
        let Exchange { code, begun, .. } = exchange;
        let session = session_of(answer, code, &self.session_keys, &self.settings, now)?;
        Ok(login::succeed(&self.login_key, begun, code, session, now))
    }

    /// The answer to a login that was completed.
    #[must_use]
    pub fn login_ended(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
        result: Result<Success, Failure>,
        record: &mut Record,
    ) -> Reply {
        match result {
            Ok(success) => {
                record.outcome = Outcome::LoggedIn;
                record.status = 302;
                let header = &self.settings.correlation.header;
                let Success { location, cookies } = &success;
                Reply::redirect(location, cookies, header, &record.correlation_id)
            }
            Err(failure) => self.login_failed(request, Some(&exchange.begun), failure, record),
        }
    }

    /// The logout's settings, if the request is for it.
    pub(super) fn logout(&self, request: &Request<'_>) -> Option<&Logout> {
        let logout = self.settings.login.logout.as_ref()?;
        (request.path == logout.path && self.is_callback_host(request)).then_some(logout)
    }

    /// Takes the session's cookie away and sends the browser to the provider, to end the session there too. Only a
    /// page of this host and the user's own hand may do that, or any other site could log users out.
    pub(super) fn log_out(
        &self,
        logout: &Logout,
        request: &Request<'_>,
        fresh: &Fresh,
    ) -> (Decision, Record) {
        let mut record = request.record(&self.picked(request, fresh), fresh);
        let header = &self.settings.correlation.header;
        let reply = if request.is_own_navigation() {
            record.outcome = Outcome::LoggedOut;
            record.status = 303;
            let client_id = [("client_id", &self.settings.session.client_id)];
            let location = url::Url::parse_with_params(&logout.end_session_endpoint, client_id);
            let location = location.map_or_else(|_| "/".to_owned(), String::from);
            let cookie = login::clear_cookie(&self.settings.session.cookie);
            let mut reply = Reply::redirect(&location, &[cookie], header, &record.correlation_id);
            // Also after a POST, the browser goes on with GET.
            reply.status = record.status;
            reply
        } else {
            record.outcome = Outcome::Denied;
            record.status = 403;
            record.reason = Some("logout_cross_site");
            Reply::problem(
                request.form(),
                403,
                "logout_cross_site",
                header,
                &record.correlation_id,
            )
        };
        (Decision::Reply(reply), record)
    }

    fn login_failed(
        &self,
        request: &Request<'_>,
        begun: Option<&Begun>,
        failure: Failure,
        record: &mut Record,
    ) -> Reply {
        let Failure { error, detail } = failure;
        record.reason = Some(error.code());
        record.error = detail;
        record.status = error.status();
        record.outcome = if error.status() < 500 {
            Outcome::Denied
        } else {
            Outcome::Failed
        };
        let header = &self.settings.correlation.header;
        let id = &record.correlation_id;
        let mut reply = if request.form() == Form::Problem && request.accepts_html() {
            Reply::page(record.status, error.code(), header, id)
        } else {
            Reply::problem(request.form(), record.status, error.code(), header, id)
        };
        if let Some(begun) = begun {
            reply.add_cookie(&login::clear_cookie(&begun.cookie));
        }
        reply
    }
}

impl Failure {
    /// Whether the ID token is signed with a key that is not in the key set: it may be a new one.
    #[must_use]
    pub fn is_unknown_key(&self) -> bool {
        let unknown = format!("id_token: {}", session::SessionError::KeyUnknown.code());
        self.detail.as_deref() == Some(&*unknown)
    }
}
