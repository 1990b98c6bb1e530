//! The session: an OpenID Connect ID token, checked as OpenID Connect Core 1.0 §3.1.3.7 asks.

pub mod cache;

use std::collections::HashSet;

use jwt_simple::JWTError;
use jwt_simple::prelude::*;
use serde_json::{Map, Value};

use crate::settings::SessionSettings;

/// The longest ID token that is looked at, in bytes: browsers keep no longer cookies.
const MAX_TOKEN_LENGTH: usize = 4096;

/// A session that was verified. Only [`SessionKeys`] makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    subject: String,
    roles: Vec<String>,
    copied: Map<String, Value>,
    expires: u64,
}

/// Why a cookie is no session. The code is what the log line's `reason` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionError {
    /// There is no cookie.
    Missing,
    /// There is more than one.
    Repeated,
    /// Not a compact JWS of a type that an ID token has, or longer than 4096 bytes.
    Malformed,
    /// No key of the key set fits its `alg` and `kid`.
    KeyUnknown,
    /// The signature does not verify.
    Signature,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// `iss` is another.
    Issuer,
    /// `aud` lacks the client ID, or `azp` is another client.
    Audience,
    /// `nonce` is missing, or of another login.
    Nonce,
    /// `sub` or `exp` is missing, or the roles are no list of strings.
    Claims,
}

/// The key set of the authorization server, fetched from there or from the config store.
#[derive(Debug)]
pub struct SessionKeys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    verifier: Verifier,
    /// The hash of the whole JWK.
    fingerprint: [u8; 32],
}

#[derive(Debug)]
enum Verifier {
    Es256(ES256PublicKey),
    Rs256(Box<RS256PublicKey>),
}

/// Why a key set cannot be used: the edge then answers 503.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not a JWK set (RFC 7517 §5).
    #[error("session_jwks: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no key that this edge can use.
    #[error("session_jwks: no signing key for ES256 or RS256")]
    NoKey,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl SessionKeys {
    /// Parses a JWK set. Keys for anything but verifying ES256 and RS256 are passed over, as
    /// RFC 7517 §5 has it.
    ///
    /// # Errors
    /// [`KeySetError`], where no key is left.
    pub fn parse(jwks: &str) -> Result<Self, KeySetError> {
        let set: KeySet = serde_json::from_str(jwks)?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::from_jwk).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self(keys))
    }

    /// Verifies an ID token. `now`: seconds since 1970.
    ///
    /// # Errors
    /// [`SessionError`]; never `Missing` or `Repeated`, which the cookie decides.
    pub fn verify(
        &self,
        token: &str,
        settings: &SessionSettings,
        now: u64,
    ) -> Result<Session, SessionError> {
        self.check(token, settings, now, None)
    }

    /// Verifies an ID token as [`Self::verify`] does, and that it is of the login with this nonce. Returns `exp`.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn verify_login(
        &self,
        token: &str,
        settings: &SessionSettings,
        nonce: &str,
        now: u64,
    ) -> Result<u64, SessionError> {
        let session = self.check(token, settings, now, Some(nonce))?;
        Ok(session.expires)
    }

    fn check(
        &self,
        token: &str,
        settings: &SessionSettings,
        now: u64,
        nonce: Option<&str>,
    ) -> Result<Session, SessionError> {
        let key = self.key_of(token)?;
        let options = VerificationOptions {
            allowed_issuers: Some(HashSet::from([settings.issuer.clone()])),
            allowed_audiences: Some(HashSet::from([settings.client_id.clone()])),
            time_tolerance: Some(Duration::from_secs(settings.leeway_seconds)),
            max_token_length: Some(MAX_TOKEN_LENGTH),
            artificial_time: Some(Duration::from_secs(now)),
            required_nonce: nonce.map(str::to_owned),
            ..VerificationOptions::default()
        };
        let claims: JWTClaims<Map<String, Value>> = match &key.verifier {
            Verifier::Es256(key) => key.verify_token(token, Some(options)),
            Verifier::Rs256(key) => key.verify_token(token, Some(options)),
        }
        .map_err(|error| SessionError::from_jwt(&error))?;
        Session::from_claims(claims, settings)
    }

    /// The key that a token names, if it has the form of an ID token.
    fn key_of(&self, token: &str) -> Result<&Key, SessionError> {
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(SessionError::Malformed);
        }
        let header = Token::decode_metadata(token).map_err(|_| SessionError::Malformed)?;
        // An access token (`at+jwt`, RFC 9068), the edge's own claims or a logout token are no ID token,
        // even from the same issuer for the same audience.
        if header
            .signature_type()
            .is_some_and(|typ| !typ.eq_ignore_ascii_case("JWT"))
        {
            return Err(SessionError::Malformed);
        }
        self.select(header.algorithm(), header.key_id())
            .ok_or(SessionError::KeyUnknown)
    }

    /// A token without `kid` is accepted only where one key alone fits its `alg`.
    fn select(&self, algorithm: &str, id: Option<&str>) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| {
            key.verifier.algorithm() == algorithm && (id.is_none() || key.id.as_deref() == id)
        });
        let key = fitting.next()?;
        fitting.next().is_none().then_some(key)
    }
}

impl Key {
    fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = jwk.to_string();
        let member = |name| jwk.get(name).and_then(Value::as_str);
        if member("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let verifier = match (member("kty")?, member("alg")) {
            ("EC", None | Some("ES256")) => Verifier::Es256(ES256PublicKey::from_jwk(&text).ok()?),
            ("RSA", None | Some("RS256")) => {
                Verifier::Rs256(Box::new(RS256PublicKey::from_jwk(&text).ok()?))
            }
            _ => return None,
        };
        Some(Self {
            id: member("kid").map(str::to_owned),
            verifier,
            fingerprint: hmac_sha256::Hash::hash(text.as_bytes()),
        })
    }
}

impl Verifier {
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }
}

impl Session {
    fn from_claims(
        claims: JWTClaims<Map<String, Value>>,
        settings: &SessionSettings,
    ) -> Result<Self, SessionError> {
        let authorized_party = claims.custom.get("azp");
        if authorized_party.is_some_and(|party| party.as_str() != Some(&settings.client_id)) {
            return Err(SessionError::Audience);
        }
        let subject = claims.subject.filter(|subject| !subject.is_empty());
        let (Some(subject), Some(expires)) = (subject, claims.expires_at) else {
            return Err(SessionError::Claims);
        };
        let copied = settings
            .copy
            .iter()
            .filter_map(|name| Some((name.clone(), claims.custom.get(name)?.clone())))
            .collect();
        Ok(Self {
            subject,
            roles: roles(&claims.custom, &settings.roles)?,
            copied,
            expires: expires.as_secs(),
        })
    }

    /// `sub` of the ID token.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The roles; none where the ID token has no such claim.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The claims that `session.copy` names, where the ID token has them.
    #[must_use]
    pub const fn copied(&self) -> &Map<String, Value> {
        &self.copied
    }
}

fn roles(claims: &Map<String, Value>, path: &[String]) -> Result<Vec<String>, SessionError> {
    let mut place = path.iter();
    let mut value = place.next().and_then(|name| claims.get(name));
    for name in place {
        value = value.and_then(|value| value.get(name));
    }
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => Vec::deserialize(value).map_err(|_| SessionError::Claims),
    }
}

impl SessionError {
    /// What the log says.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "session_missing",
            Self::Repeated => "session_repeated",
            Self::Malformed => "session_malformed",
            Self::KeyUnknown => "session_key_unknown",
            Self::Signature => "session_signature",
            Self::Expired => "session_expired",
            Self::NotYetValid => "session_not_yet_valid",
            Self::Issuer => "session_issuer",
            Self::Audience => "session_audience",
            Self::Nonce => "session_nonce",
            Self::Claims => "session_claims",
        }
    }

    fn from_jwt(error: &jwt_simple::Error) -> Self {
        match error.downcast_ref::<JWTError>() {
            Some(JWTError::InvalidSignature) => Self::Signature,
            Some(JWTError::TokenHasExpired) => Self::Expired,
            Some(JWTError::ClockDrift | JWTError::TokenNotValidYet) => Self::NotYetValid,
            Some(JWTError::RequiredIssuerMismatch | JWTError::RequiredIssuerMissing) => {
                Self::Issuer
            }
            Some(JWTError::RequiredAudienceMismatch | JWTError::RequiredAudienceMissing) => {
                Self::Audience
            }
            Some(JWTError::RequiredNonceMismatch | JWTError::RequiredNonceMissing) => Self::Nonce,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
