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
    /// How far the clocks may differ, in seconds, at most 300.
    pub leeway_seconds: u64,
    /// Where the roles are in the ID token, member by member; they become the claim `roles`.
    pub roles: Vec<String>,
    /// Claims that are passed on as they are, top-level names.
    pub copy: Vec<String>,
}

/// Where a client without a session is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The authorization endpoint, an https URL.
    pub authorize_endpoint: String,
    /// Where the authorization server sends the browser back to, an https URL.
    pub redirect_uri: String,
    /// The scopes to ask for, `openid` among them.
    pub scope: String,
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

/// Claims that the edge sets itself, which `session.copy` may not name.
const OWN_CLAIMS: [&str; 13] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cid", "htm", "htp", "htq", "hth", "roles",
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
                settings.login.authorize_endpoint.starts_with("https://")
                    && settings.login.redirect_uri.starts_with("https://"),
                "login.authorize_endpoint, login.redirect_uri",
                "must be https URLs",
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
            (": 30", ": 301", "session.leeway_seconds"),
            (r#""tenant_id""#, r#""sub""#, "session.copy"),
            (
                "https://login.example.com/authorize",
                "http://login",
                "login.authorize_endpoint",
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
    fn a_public_path_covers_whole_segments() {
        let settings = settings();
        assert!(settings.is_public("/public"));
        assert!(settings.is_public("/public/logo.svg"));
        assert!(!settings.is_public("/publicity"));
        assert!(!settings.is_public("/"));
    }
}
