//! What the config store says, checked. An unknown or missing member is an error, never a default.

use serde::Deserialize;

/// The item `settings` of the config store `edge_config`: one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The edge claims that this edge makes.
    pub claims: ClaimsSettings,
    /// The session that a client must have.
    pub session: SessionSettings,
    /// Where a client without one is sent.
    pub login: Login,
    /// Paths that are forwarded without a session too, each with everything below it. What happens
    /// to them is the mesh's to decide: they carry no claims.
    pub public_paths: Vec<String>,
    /// The correlation ID.
    pub correlation: CorrelationSettings,
}

/// The edge claims that this edge makes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimsSettings {
    /// The header that carries them to the mesh.
    pub header: String,
    /// `iss`: what the filter has under `issuers[].issuer`.
    pub issuer: String,
    /// `aud`: what the filter has under `issuers[].audiences`.
    pub audience: String,
    /// `typ` of the token's header.
    pub r#type: String,
    /// Life in seconds, 1 to 300: a token covers one request's way to the mesh.
    pub life_seconds: u64,
    /// Whether the claim `geo` says where the client is, as the platform's lookup knows it.
    pub geo: bool,
}

/// The session that a client must have: an OpenID Connect ID token in a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSettings {
    /// The cookie's name.
    pub cookie: String,
    /// `iss` of the ID token, exactly.
    pub issuer: String,
    /// The client ID, which `aud` must hold.
    pub client_id: String,
    /// Where the authorization server publishes its key set. Without it, the key set is `session_jwks` of the config
    /// store; with it, that one counts as long as none was fetched.
    pub jwks: Option<JwksSource>,
    /// How far the clocks may differ, in seconds, at most 300.
    pub leeway_seconds: u64,
    /// How long a session counts as verified, in seconds, at most 300. 0: each request verifies it.
    pub cache_seconds: u64,
    /// Where the roles are in the ID token, member by member; they become the claim `roles`.
    pub roles: Vec<String>,
    /// Claims that are passed on as they are, top-level names.
    pub copy: Vec<String>,
}

/// Where the authorization server publishes its key set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksSource {
    /// `jwks_uri`, an https URL; the backend `login_keys` leads there.
    pub uri: String,
    /// How often it is fetched, in seconds, 1 to 3600: a key that the server withdraws counts as long.
    pub refresh_seconds: u64,
}

/// How a client without a session gets one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The authorization endpoint, an https URL.
    pub authorize_endpoint: String,
    /// The token endpoint, an https URL; the backend `login` leads there.
    pub token_endpoint: String,
    /// Where the authorization server sends the browser back to: an https URL of this edge, as it is registered. Its
    /// path is the edge's own.
    pub redirect_uri: String,
    /// The scopes to ask for, `openid` among them.
    pub scope: String,
    /// How the edge proves at the token endpoint that it is the client.
    pub client_authentication: ClientAuthentication,
    /// Whether the authorization server puts `iss` into its answers (RFC 9207; its metadata then has
    /// `authorization_response_iss_parameter_supported`). An answer without it is then refused.
    pub require_iss: bool,
    /// How a user ends the session; without it, sessions end by themselves.
    pub logout: Option<Logout>,
}

/// How a user ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// The path at this edge, on the host of `redirect_uri`.
    pub path: String,
    /// The authorization server's page that ends its own session (OpenID Connect RP-Initiated Logout 1.0), an https
    /// URL.
    pub end_session_endpoint: String,
}

/// How the edge proves at the token endpoint that it is the client (OpenID Connect Core 1.0 §9). PKCE is used with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthentication {
    /// It does not: a public client, protected by PKCE and the registered `redirect_uri`.
    None,
    /// The secret `client_secret`, in the header `authorization`.
    ClientSecretBasic,
    /// The secret `client_secret`, in the form.
    ClientSecretPost,
}

/// The correlation ID.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrelationSettings {
    /// Its header, to the mesh and to the client.
    pub header: String,
    /// Whether a well-formed ID of the client is used. Leave it off unless every client is yours.
    pub trust_client: bool,
}

/// Why the settings cannot be used. The edge then answers 503: it never runs on half of them.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the JSON object that is documented.
    #[error("settings: {0}")]
    Json(#[from] serde_json::Error),
    /// A member whose value cannot be used.
    #[error("settings: {place}: {problem}")]
    Value {
        /// The member.
        place: &'static str,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
}

const URL_PROBLEM: &str =
    "must be an https URL without user, password and fragment; http only for localhost";

/// Claims that the edge sets itself, which `session.copy` may not name.
const OWN_CLAIMS: [&str; 14] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cid", "htm", "htp", "htq", "hth", "roles",
    "geo",
];

impl Settings {
    /// Parses and checks the settings.
    ///
    /// # Errors
    /// [`SettingsError`], naming the first member that is wrong.
    pub fn parse(json: &str) -> Result<Self, SettingsError> {
        let settings: Self = serde_json::from_str(json)?;
        let checks = [
            (
                is_header_name(&settings.claims.header),
                "claims.header",
                "must be a header name",
            ),
            (
                is_header_name(&settings.correlation.header),
                "correlation.header",
                "must be a header name",
            ),
            (
                (1..=300).contains(&settings.claims.life_seconds),
                "claims.life_seconds",
                "must be 1 to 300",
            ),
            (
                !settings.claims.issuer.is_empty() && !settings.claims.audience.is_empty(),
                "claims.issuer, claims.audience",
                "must not be empty",
            ),
            (
                !settings.session.issuer.is_empty() && !settings.session.client_id.is_empty(),
                "session.issuer, session.client_id",
                "must not be empty",
            ),
            (
                settings.session.leeway_seconds <= 300,
                "session.leeway_seconds",
                "must be at most 300",
            ),
            (
                settings.session.cache_seconds <= 300,
                "session.cache_seconds",
                "must be at most 300",
            ),
            (
                settings
                    .session
                    .jwks
                    .as_ref()
                    .is_none_or(|jwks| is_secure_url(&jwks.uri)),
                "session.jwks.uri",
                URL_PROBLEM,
            ),
            (
                settings
                    .session
                    .jwks
                    .as_ref()
                    .is_none_or(|jwks| (1..=3600).contains(&jwks.refresh_seconds)),
                "session.jwks.refresh_seconds",
                "must be 1 to 3600",
            ),
            (
                !settings.session.roles.is_empty(),
                "session.roles",
                "must name a claim, member by member",
            ),
            (
                !settings
                    .session
                    .copy
                    .iter()
                    .any(|name| OWN_CLAIMS.contains(&name.as_str())),
                "session.copy",
                "must not name a claim that the edge sets itself",
            ),
            (
                settings
                    .session
                    .cookie
                    .strip_prefix("__Host-")
                    .is_some_and(is_cookie_name)
                    && !crate::login::is_own_cookie(settings.session.cookie.as_bytes()),
                "session.cookie",
                "must be __Host- and a name of A-Za-z0-9_-, and not begin with __Host-login- or __Host-visit-",
            ),
            (
                [
                    &settings.login.authorize_endpoint,
                    &settings.login.token_endpoint,
                    &settings.login.redirect_uri,
                ]
                .into_iter()
                .all(|url| is_secure_url(url)),
                "login.authorize_endpoint, login.token_endpoint, login.redirect_uri",
                URL_PROBLEM,
            ),
            (
                settings.login.logout.as_ref().is_none_or(|logout| {
                    logout.path.starts_with('/') && is_secure_url(&logout.end_session_endpoint)
                }),
                "login.logout",
                "must have a path that starts with / and an https URL as end_session_endpoint",
            ),
            (
                !settings.login.redirect_uri.contains('?'),
                "login.redirect_uri",
                "must have no query",
            ),
            (
                settings
                    .login
                    .scope
                    .split(' ')
                    .any(|scope| scope == "openid"),
                "login.scope",
                "must have openid",
            ),
            (
                settings
                    .public_paths
                    .iter()
                    .all(|path| path.starts_with('/')),
                "public_paths",
                "must start with /",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, place, problem)) => Err(SettingsError::Value { place, problem }),
            None => Ok(settings),
        }
    }

    /// Whether a path is one of `public_paths` or below one; prefixes end at a segment's end.
    #[must_use]
    pub fn is_public(&self, path: &str) -> bool {
        self.public_paths.iter().any(|public| {
            let public = public.trim_end_matches('/');
            path.strip_prefix(public)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Browsers take `localhost` and loopback addresses for secure also over plain HTTP (W3C Secure Contexts §3.1), and
/// keep `Secure` cookies of them; on every other host, codes and cookies need TLS.
fn is_secure_url(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    bare && (url.scheme() == "https" || (url.scheme() == "http" && local))
}

/// Some characters of RFC 6265 §4.1.1.
fn is_cookie_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// RFC 9110 §5.6.2, in lower case.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const JSON: &str = include_str!("../settings.json");

    pub(crate) fn settings() -> Settings {
        Settings::parse(JSON).unwrap()
    }

    #[test]
    fn the_documented_settings_load() {
        assert_eq!(settings().claims.life_seconds, 60);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (from, to, place) in [
            (": 60", ": 0", "claims.life_seconds"),
            (": 60", ": 301", "claims.life_seconds"),
            (": 30,", ": 301,", "session.leeway_seconds"),
            (
                "\"cache_seconds\": 30",
                "\"cache_seconds\": 301",
                "session.cache_seconds",
            ),
            (
                "seconds\": 300",
                "seconds\": 3601",
                "session.jwks.refresh_seconds",
            ),
            ("\"/logout\"", "\"logout\"", "login.logout"),
            ("com/jwks", "com/jwks#a", "session.jwks.uri"),
            (r#""tenant_id""#, r#""geo""#, "session.copy"),
            (r#""tenant_id""#, r#""sub""#, "session.copy"),
            (
                "https://login.example.com/authorize",
                "http://login.example.com/authorize",
                "login.authorize_endpoint",
            ),
            (
                "https://login.example.com/token",
                "https://user@login.example.com/token",
                "login.token_endpoint",
            ),
            (
                "/login/callback",
                "/login/callback?x=1",
                "login.redirect_uri",
            ),
            ("__Host-session", "session", "session.cookie"),
            ("__Host-session", "__Host-login-x", "session.cookie"),
            (
                r#"ication": "none""#,
                r#"ication": "secret""#,
                "client_secret_basic",
            ),
            (r#""/public""#, r#""public""#, "public_paths"),
            ("x-edge-claims", "X Edge", "claims.header"),
            (r#""trust_client""#, r#""trust""#, "trust"),
            (r#""scope": "openid""#, r#""scope": "email""#, "login.scope"),
        ] {
            let error = Settings::parse(&JSON.replace(from, to)).unwrap_err();
            assert!(error.to_string().contains(place), "{error}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for url in [
            "https://login.example.com/a",
            "http://localhost:8080/a",
            "http://login.localhost/a",
            "http://127.0.0.1/a",
            "http://[::1]:80/a",
        ] {
            assert!(is_secure_url(url), "{url}");
        }
        for url in [
            "http://login.example.com/a",
            "http://localhost.example.com/a",
            "http://127.0.0.1.example.com/a",
            "https://u:p@login.example.com/a",
            "https://login.example.com/#a",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_secure_url(url), "{url}");
        }
    }

    #[test]
    fn a_public_path_covers_whole_segments() {
        let settings = settings();
        assert!(settings.is_public("/public"));
        assert!(settings.is_public("/public/logo.svg"));
        assert!(!settings.is_public("/publicity"));
        assert!(!settings.is_public("/"));
    }
}
