//! The way to the provider: the authorization request (OpenID Connect Core 1.0 §3.1.2.1) with PKCE
//! (RFC 7636), and the cookie that ties the login to the browser.

use hmac_sha256::Hash;
use url::form_urlencoded;

use super::key::{LoginKey, base64url};
use super::{COOKIE_PREFIX, LIFE_SECONDS, clear_cookie, set_cookie};
use crate::settings::Settings;

/// How many logins of one browser may be under way, one for each tab. The oldest end first, so that a page
/// that opens many cannot fill the browser's cookies.
const MAX_PARALLEL: usize = 4;

/// The longest return path that is kept, in bytes.
const MAX_RETURN_PATH: usize = 1024;

/// One begun login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The value of `Location`.
    pub location: String,
    /// The values of `Set-Cookie`.
    pub cookies: Vec<String>,
}

/// What the browser keeps of a login, in a cookie of its own: a secret and the return path. PKCE's
/// verifier and the nonce are derived from the secret with the key, so that the cookie alone does not tell them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) secret: Vec<u8>,
    pub(super) return_path: String,
}

/// What goes through the provider, sealed: when the login began, the visit's correlation ID, and which
/// browser's it is. The return path is not in it: the provider need not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) began: u64,
    pub(super) tie: [u8; 16],
    pub(super) correlation_id: String,
}

/// Begins a login. `secret` is fresh and unguessable; `names` are the cookies that the browser sent; `now` is in
/// seconds since 1970.
#[must_use]
pub fn start<'a>(
    key: &LoginKey,
    settings: &Settings,
    secret: &[u8],
    correlation_id: &str,
    return_path: &str,
    names: impl Iterator<Item = &'a str>,
    now: u64,
) -> Redirect {
    let kept = Kept {
        secret: secret.to_vec(),
        return_path: local(return_path).to_owned(),
    };
    let state = State {
        began: now,
        tie: kept.tie(key),
        correlation_id: correlation_id.to_owned(),
    };
    let challenge = base64url(&Hash::hash(kept.verifier(key).as_bytes()));
    let login = &settings.login;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &settings.session.client_id)
        .append_pair("redirect_uri", &login.redirect_uri)
        .append_pair("scope", &login.scope)
        .append_pair("state", &state.seal(key))
        .append_pair("nonce", &kept.nonce(key))
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let endpoint = &login.authorize_endpoint;
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    let under_way: Vec<&str> = names.filter(|name| is_cookie_name(name)).collect();
    let too_many = under_way
        .len()
        .saturating_add(1)
        .saturating_sub(MAX_PARALLEL);
    // Browsers send the oldest first (RFC 6265 §5.4).
    let mut cookies: Vec<String> = under_way
        .into_iter()
        .take(too_many)
        .map(clear_cookie)
        .collect();
    cookies.push(set_cookie(
        &cookie_name(&state.tie),
        &kept.to_value(),
        LIFE_SECONDS,
    ));
    Redirect {
        location: format!("{endpoint}{separator}{query}"),
        cookies,
    }
}

impl Kept {
    pub(super) fn to_value(&self) -> String {
        let path = base64url(self.return_path.as_bytes());
        format!("{}.{path}", base64url(&self.secret))
    }

    pub(super) fn from_value(value: &str) -> Option<Self> {
        use ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};
        let decode = |text| Base64UrlSafeNoPadding::decode_to_vec(text, None).ok();
        let (secret, path) = value.split_once('.')?;
        Some(Self {
            secret: decode(secret)?,
            return_path: String::from_utf8(decode(path)?).ok()?,
        })
    }

    /// What the state has of this cookie: all of it counts, so neither part can be exchanged.
    pub(super) fn tie(&self, key: &LoginKey) -> [u8; 16] {
        let mac = key.mac("cookie", &[&self.secret, self.return_path.as_bytes()]);
        mac.first_chunk().copied().unwrap_or_default()
    }

    /// PKCE's `code_verifier`: 43 characters (RFC 7636 §4.1).
    pub(super) fn verifier(&self, key: &LoginKey) -> String {
        key.derive("pkce", &[&self.secret])
    }

    /// `nonce`.
    pub(super) fn nonce(&self, key: &LoginKey) -> String {
        key.derive("nonce", &[&self.secret])
    }
}

impl State {
    fn seal(&self, key: &LoginKey) -> String {
        let mut payload = self.began.to_be_bytes().to_vec();
        payload.extend(self.tie);
        payload.extend(self.correlation_id.as_bytes());
        key.seal("state", &[], &payload)
    }

    pub(super) fn open(sealed: &str, key: &LoginKey) -> Option<Self> {
        let payload = key.open("state", &[], sealed)?;
        let (began, rest) = payload.split_first_chunk()?;
        let (tie, id) = rest.split_first_chunk()?;
        Some(Self {
            began: u64::from_be_bytes(*began),
            tie: *tie,
            correlation_id: String::from_utf8(id.to_vec()).ok()?,
        })
    }
}

/// The cookie of one login: parallel logins have one each.
pub(super) fn cookie_name(tie: &[u8; 16]) -> String {
    let tag: String = tie
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{COOKIE_PREFIX}{tag}")
}

fn is_cookie_name(name: &str) -> bool {
    name.strip_prefix(COOKIE_PREFIX)
        .is_some_and(|tag| tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The return path, if it stays on this host: `//host` and `/\host` are other hosts to a browser, and tabs and
/// line ends between are nothing to it (WHATWG URL, *relative slash state*). A path that a cookie has no room for
/// is not kept either.
pub(super) fn local(path: &str) -> &str {
    let mut bytes = path.bytes();
    let stays = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    if stays && visible && path.len() <= MAX_RETURN_PATH {
        path
    } else {
        "/"
    }
}
