//! The redirect to the authorization endpoint (OpenID Connect Core 1.0 §3.1.2.1).
//!
//! The edge only starts the login. The application behind `redirect_uri` ends it: it compares
//! `state` and `nonce` with the cookie, trades the code for tokens, sets the session's cookie and
//! sends the browser back to the return path.

use crate::settings::{Login, SessionSettings};

/// The cookie that ties a login to the browser that began it, for ten minutes.
pub const COOKIE: &str = "__Host-login";

/// One begun login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The value of `Location`.
    pub location: String,
    /// The value of `Set-Cookie`: `<state>.<nonce>.<return path, percent-encoded>`.
    pub cookie: String,
}

/// Where a login goes, and where it comes back to.
///
/// `state` and `nonce` are fresh and unguessable. The return path stays with the browser, in the
/// cookie: an authorization server needs not know it, and nobody can send a user a link that logs in
/// and ends up elsewhere.
#[must_use]
pub fn redirect(
    login: &Login,
    session: &SessionSettings,
    state: &str,
    nonce: &str,
    return_path: &str,
) -> Redirect {
    let parameters = [
        ("response_type", "code"),
        ("client_id", &session.client_id),
        ("redirect_uri", &login.redirect_uri),
        ("scope", &login.scope),
        ("state", state),
        ("nonce", nonce),
    ];
    let mut location = login.authorize_endpoint.clone();
    let mut separator = if location.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        location.push(separator);
        location.push_str(name);
        location.push('=');
        location.push_str(&percent_encode(value));
        separator = '&';
    }
    let return_path = percent_encode(local(return_path));
    Redirect {
        location,
        cookie: format!(
            "{COOKIE}={state}.{nonce}.{return_path}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"
        ),
    }
}

/// The return path, if it stays on this host: `//host` and `/\host` are other hosts to a browser
/// (WHATWG URL, *relative slash state*). A path that a cookie has no room for is not kept either.
fn local(path: &str) -> &str {
    let mut bytes = path.bytes();
    let stays = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    if stays && path.len() <= 1024 {
        path
    } else {
        "/"
    }
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(return_path: &str) -> Redirect {
        let settings = crate::settings::tests::settings();
        redirect(&settings.login, &settings.session, "st", "no", return_path)
    }

    #[test]
    fn the_redirect_has_what_the_authorization_server_needs() {
        assert_eq!(
            to("/orders?page=2").location,
            "https://login.example.com/authorize?response_type=code&client_id=shop\
             &redirect_uri=https%3A%2F%2Fshop.example.com%2Flogin%2Fcallback&scope=openid&state=st&nonce=no"
        );
    }

    #[test]
    fn the_return_path_stays_with_the_browser() {
        let cookie = to("/orders?page=2&x=;").cookie;
        assert!(
            cookie.starts_with("__Host-login=st.no.%2Forders%3Fpage%3D2%26x%3D%3B; Path=/; "),
            "{cookie}"
        );
    }

    #[test]
    fn a_return_path_never_leads_to_another_host() {
        for path in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "evil",
        ] {
            assert!(
                to(path).cookie.starts_with("__Host-login=st.no.%2F;"),
                "{path}"
            );
        }
        assert!(
            to(&"/a".repeat(600))
                .cookie
                .starts_with("__Host-login=st.no.%2F;")
        );
    }
}
