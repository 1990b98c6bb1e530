//! The login: authorization code with PKCE (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9700), from the redirect
//! to the session, with one correlation ID.
//!
//! The edge keeps nothing between the requests of a login. The `state` that goes through the provider holds the
//! visit's correlation ID, sealed with the secret `login_key`. A cookie of this login alone holds a secret and the
//! return path; the state is good only together with it.
//!
//! | module | holds |
//! |---|---|
//! | [`key`] | seals and opens |
//! | [`start`] | the redirect to the provider |
//! | [`callback`] | the provider's answer |
//! | [`exchange`] | the code for an ID token |
//! | [`visit`] | the login's ID for the first request of the session |

pub mod callback;
pub mod exchange;
pub mod key;
pub mod start;
pub mod visit;

use self::callback::{Begun, Code};
use self::key::LoginKey;

/// What the cookie of a login begins with; 16 hex digits follow. `__Host-` keeps other hosts and plain HTTP from
/// setting it (RFC 6265bis §4.1.3).
pub const COOKIE_PREFIX: &str = "__Host-login-";

/// What the cookie begins with that gives the login's ID to the first request.
pub const VISIT_PREFIX: &str = "__Host-visit-";

/// How long a login may take, in seconds.
pub const LIFE_SECONDS: u64 = 600;

/// Which step of a login a request is, in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Sent to the provider.
    Start,
    /// Came back from it.
    Callback,
    /// The first request with the new session.
    FirstRequest,
}

/// Why a login did not end in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginError {
    /// Not a navigation, a parameter is repeated, or there is neither a code nor an error.
    Request,
    /// There is no state, or this edge did not make it.
    State,
    /// This browser did not begin the login, or ended it already.
    Browser,
    /// The login took longer than ten minutes.
    Expired,
    /// The answer names another provider, or none where `login.require_iss` is on.
    Issuer,
    /// The user or the provider's policy said no.
    Denied,
    /// The provider refused for another reason.
    Refused,
    /// The token endpoint does not take the code.
    Code,
    /// The token endpoint cannot be reached, refuses the edge, or gives no tokens.
    Provider,
    /// The ID token does not verify, is of another login, or is too long.
    Token,
}

/// An error, and for the operator what was found; never a value that somebody could use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The error.
    pub error: LoginError,
    /// For the log.
    pub detail: Option<String>,
}

/// A login that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// Where the browser goes on, on this host.
    pub location: String,
    /// The values of `Set-Cookie`: the session, the visit, and the end of the login's own.
    pub cookies: Vec<String>,
}

/// Ends a login: `session` is the `Set-Cookie` and the value of the new session.
#[must_use]
pub fn succeed(
    key: &LoginKey,
    begun: &Begun,
    code: &Code,
    session: (String, String),
    now: u64,
) -> Success {
    let (set_session, session) = session;
    // Once more where it is used: the cookie is authentic, but a rule that counts is checked at its place.
    let location = start::local(&code.return_path).to_owned();
    Success {
        cookies: vec![
            set_session,
            visit::begin(key, &begun.correlation_id, &session, &location, now),
            clear_cookie(&begun.cookie),
        ],
        location,
    }
}

/// Whether a cookie is the login's own business, which no backend sees.
#[must_use]
pub fn is_own_cookie(name: &[u8]) -> bool {
    name.starts_with(COOKIE_PREFIX.as_bytes()) || name.starts_with(VISIT_PREFIX.as_bytes())
}

impl LoginError {
    /// What the log and the answer say.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Request => "login_request",
            Self::State => "login_state",
            Self::Browser => "login_browser",
            Self::Expired => "login_expired",
            Self::Issuer => "login_issuer",
            Self::Denied => "login_denied",
            Self::Refused => "login_refused",
            Self::Code => "login_code",
            Self::Provider => "login_provider",
            Self::Token => "login_token",
        }
    }

    /// The status of the answer: 4xx where another attempt may help, 502 where the operator must.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Request
            | Self::State
            | Self::Browser
            | Self::Expired
            | Self::Issuer
            | Self::Code => 400,
            Self::Denied => 403,
            Self::Refused | Self::Provider | Self::Token => 502,
        }
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self {
            error,
            detail: None,
        }
    }
}

/// A `Set-Cookie` that only this host gets back, over TLS, out of reach of scripts, and on navigations only where
/// another site leads here: the provider does.
fn set_cookie(name: &str, value: &str, life_seconds: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={life_seconds}; Secure; HttpOnly; SameSite=Lax")
}

/// A `Set-Cookie` that takes the cookie away.
#[must_use]
pub fn clear_cookie(name: &str) -> String {
    set_cookie(name, "", 0)
}

/// The name of an OAuth error, if it looks like one: anybody can write the query.
fn error_name(error: &str) -> &str {
    let fits = (1..=64).contains(&error.len())
        && error
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if fits {
        error
    } else {
        "an error without a registered name"
    }
}

#[cfg(test)]
mod tests;
