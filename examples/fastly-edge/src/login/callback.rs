//! The way back: the provider's answer in the query of `redirect_uri` (RFC 6749 §4.1.2, RFC 9207), checked
//! against the state and the browser's cookie before anything in it counts.

use url::form_urlencoded;

use super::key::LoginKey;
use super::start::{Kept, State, cookie_name};
use super::{Failure, LIFE_SECONDS, LoginError, error_name};
use crate::cookie::{self, Found};
use crate::settings::Settings;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The login that this browser began, if it did.
    pub login: Option<Begun>,
    /// The code and what to do with it, or why there is none.
    pub code: Result<Code, Failure>,
}

/// A login that this very browser began at this edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The correlation ID of the visit that was sent to log in.
    pub correlation_id: String,
    /// The cookie that has done its work: every answer takes it away.
    pub cookie: String,
}

/// A code to exchange for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: String,
    /// PKCE's verifier.
    pub verifier: String,
    /// What the ID token must have as `nonce`.
    pub nonce: String,
    /// Where the browser goes on.
    pub return_path: String,
}

/// The parameters of the answer.
#[derive(Default)]
struct Answer {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Reads the provider's answer. `cookies`: every value of the `Cookie` header; `now`: seconds since 1970.
#[must_use]
pub fn callback<'a>(
    key: &LoginKey,
    settings: &Settings,
    query: &str,
    cookies: impl Iterator<Item = &'a [u8]>,
    now: u64,
) -> Callback {
    let refused = |error: LoginError| Callback {
        login: None,
        code: Err(error.into()),
    };
    let Some(answer) = Answer::parse(query) else {
        return refused(LoginError::Request);
    };
    let Some(state) = answer
        .state
        .as_deref()
        .and_then(|state| State::open(state, key))
    else {
        return refused(LoginError::State);
    };
    // Only from here on does the ID of the state count: whoever merely knows a state has not the cookie.
    let name = cookie_name(&state.tie);
    let Some(kept) = kept(cookies, &name).filter(|kept| kept.tie(key) == state.tie) else {
        return refused(LoginError::Browser);
    };
    Callback {
        code: answer.code(key, settings, &state, &kept, now),
        login: Some(Begun {
            correlation_id: state.correlation_id,
            cookie: name,
        }),
    }
}

fn kept<'a>(cookies: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<Kept> {
    match cookie::find(cookies, name) {
        Found::One(value) => Kept::from_value(value),
        Found::None | Found::Repeated => None,
    }
}

impl Answer {
    /// `None` where a parameter is repeated, which RFC 6749 §3.1 forbids: two readers could take different ones.
    fn parse(query: &str) -> Option<Self> {
        let mut answer = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut answer.state,
                "code" => &mut answer.code,
                "iss" => &mut answer.iss,
                "error" => &mut answer.error,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(answer)
    }

    fn code(
        self,
        key: &LoginKey,
        settings: &Settings,
        state: &State,
        kept: &Kept,
        now: u64,
    ) -> Result<Code, Failure> {
        let leeway = settings.session.leeway_seconds;
        let ended = now > state.began.saturating_add(LIFE_SECONDS);
        if ended || state.began > now.saturating_add(leeway) {
            return Err(LoginError::Expired.into());
        }
        // Mix-up: the answer of another provider (RFC 9207 §2.4), also where it is an error.
        let issuer_fits = match &self.iss {
            Some(iss) => *iss == settings.session.issuer,
            None => !settings.login.require_iss,
        };
        if !issuer_fits {
            return Err(LoginError::Issuer.into());
        }
        match (self.code, self.error) {
            (Some(code), None) if !code.is_empty() => Ok(Code {
                code,
                verifier: kept.verifier(key),
                nonce: kept.nonce(key),
                return_path: kept.return_path.clone(),
            }),
            (None, Some(error)) if error == "access_denied" => Err(LoginError::Denied.into()),
            (None, Some(error)) => Err(Failure {
                error: LoginError::Refused,
                detail: Some(format!("authorization endpoint: {}", error_name(&error))),
            }),
            _ => Err(LoginError::Request.into()),
        }
    }
}
