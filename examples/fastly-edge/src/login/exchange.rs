//! The code for tokens: the request to the token endpoint (RFC 6749 §4.1.3, RFC 7636 §4.5) and its answer.

use ct_codecs::{Base64, Encoder as _};
use serde::Deserialize;
use url::form_urlencoded;

use super::callback::Code;
use super::{Failure, LoginError, error_name, set_cookie};
use crate::session::SessionKeys;
use crate::settings::{ClientAuthentication, Settings};

/// The longest answer of the token endpoint that is read, in bytes.
pub const MAX_ANSWER_LENGTH: usize = 65_536;

/// Browsers keep no cookie whose name and value are longer together (RFC 6265bis §5.6).
const MAX_COOKIE_LENGTH: usize = 4096;

/// A request to the token endpoint: always POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The token endpoint.
    pub url: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The form.
    pub body: String,
}

/// The answer of the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAnswer {
    /// The status.
    pub status: u16,
    /// The body, no more than [`MAX_ANSWER_LENGTH`] and a byte of it.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

/// Asks for the tokens of a code.
#[must_use]
pub fn token_request(settings: &Settings, client_secret: &str, code: &Code) -> TokenRequest {
    let login = &settings.login;
    let client_id = &settings.session.client_id;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", &code.code)
        .append_pair("redirect_uri", &login.redirect_uri)
        .append_pair("code_verifier", &code.verifier);
    let mut headers = vec![
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
        ("accept", "application/json".to_owned()),
    ];
    match login.client_authentication {
        ClientAuthentication::None => {
            form.append_pair("client_id", client_id);
        }
        ClientAuthentication::ClientSecretPost => {
            form.append_pair("client_id", client_id)
                .append_pair("client_secret", client_secret);
        }
        ClientAuthentication::ClientSecretBasic => {
            // Both are form-encoded first (RFC 6749 §2.3.1).
            let encode = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let pair = format!("{}:{}", encode(client_id), encode(client_secret));
            let pair = Base64::encode_to_string(pair).unwrap_or_default();
            headers.push(("authorization", format!("Basic {pair}")));
        }
    }
    TokenRequest {
        url: login.token_endpoint.clone(),
        headers,
        body: form.finish(),
    }
}

/// The session's `Set-Cookie` and the ID token itself, if the answer has one that is verified and is of this
/// login. `now`: seconds since 1970.
///
/// # Errors
/// [`Failure`], which has no part of the answer but a registered error's name.
pub fn session_of(
    answer: &TokenAnswer,
    code: &Code,
    keys: &SessionKeys,
    settings: &Settings,
    now: u64,
) -> Result<(String, String), Failure> {
    if answer.status != 200 {
        return Err(Failure::of_token_endpoint(answer));
    }
    let provider = |detail: &str| Failure {
        error: LoginError::Provider,
        detail: Some(format!("token endpoint: {detail}")),
    };
    if answer.body.len() > MAX_ANSWER_LENGTH {
        return Err(provider("the answer is too long"));
    }
    let tokens: Tokens =
        serde_json::from_slice(&answer.body).map_err(|_| provider("no JSON with an id_token"))?;
    let token = tokens.id_token;
    let refused = |detail: &str| Failure {
        error: LoginError::Token,
        detail: Some(format!("id_token: {detail}")),
    };
    let expires = keys
        .verify_login(&token, &settings.session, &code.nonce, now)
        .map_err(|error| refused(error.code()))?;
    let name = &settings.session.cookie;
    if name.len().saturating_add(token.len()) > MAX_COOKIE_LENGTH {
        return Err(refused("too long for a cookie"));
    }
    let life = expires.saturating_sub(now);
    Ok((set_cookie(name, &token, life), token))
}

impl Failure {
    /// `invalid_grant` is about this code: used before, expired, or of another login. All else is about the
    /// edge's own registration, or the provider.
    fn of_token_endpoint(answer: &TokenAnswer) -> Self {
        let said: Option<ErrorAnswer> = serde_json::from_slice(&answer.body).ok();
        let said = said.map(|answer| answer.error);
        if said.as_deref() == Some("invalid_grant") {
            return LoginError::Code.into();
        }
        let said = said.as_deref().map_or("", error_name);
        Self {
            error: LoginError::Provider,
            detail: Some(
                format!("token endpoint: {} {said}", answer.status)
                    .trim_end()
                    .to_owned(),
            ),
        }
    }
}
