//! The edge claims: one token per request, signed with the key from the secret store.

use jwt_simple::common::HeaderOptions;
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};

use crate::geo::Geo;
use crate::session::Session;
use crate::settings::ClaimsSettings;

/// What signs: a P-256 key with its `kid`.
pub struct Signer {
    key: ES256KeyPair,
    id: String,
}

/// Why the secret cannot sign: the edge then answers 503. It never holds a part of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Not a private JWK of P-256 (RFC 7518 §6.2), or its public half is another key's.
    #[error("signing_key: not a private P-256 JWK")]
    NotAKey,
    /// It has no `kid`, so the mesh could not tell it from the next one.
    #[error("signing_key: the JWK has no kid")]
    NoKeyId,
}

/// The request that a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding<'a> {
    /// `htm`: the method.
    pub method: &'a str,
    /// `htq`: the path as it is sent to the mesh, with the query. `htp` is the same without it.
    pub path_and_query: &'a str,
    /// `hth`: the host in lower case, without port and trailing dot.
    pub host: &'a str,
    /// `cid`: the correlation ID.
    pub correlation_id: &'a str,
    /// `jti`: this token's own ID.
    pub token_id: &'a str,
    /// `geo`: where the client is, if `claims.geo` is on and the platform knows it.
    pub geo: Option<&'a Geo>,
}

impl Binding<'_> {
    fn path(&self) -> &str {
        let path = self.path_and_query.split('?').next();
        path.unwrap_or(self.path_and_query)
    }
}

impl Signer {
    /// Parses the secret `signing_key`: a private JWK, so that key and `kid` change in one step.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn parse(jwk: &str) -> Result<Self, SignerError> {
        let key = ES256KeyPair::from_jwk(jwk).map_err(|_| SignerError::NotAKey)?;
        let parsed: Value = serde_json::from_str(jwk).map_err(|_| SignerError::NotAKey)?;
        match parsed.get("kid").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(Self {
                id: id.to_owned(),
                key,
            }),
            _ => Err(SignerError::NoKeyId),
        }
    }

    /// The `kid`.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// Signs the edge claims of one request. `now`: seconds since 1970.
    ///
    /// There is no `nbf`: it would only add another clock to disagree about.
    ///
    /// # Errors
    /// What jwt-simple says where a signature cannot be made.
    pub fn mint(
        &self,
        session: &Session,
        binding: Binding<'_>,
        settings: &ClaimsSettings,
        now: u64,
    ) -> Result<String, jwt_simple::Error> {
        let mut custom: Map<String, Value> = session.copied().clone();
        for (name, value) in [
            ("roles", json!(session.roles())),
            ("cid", json!(binding.correlation_id)),
            ("htm", json!(binding.method)),
            ("htp", json!(binding.path())),
            ("htq", json!(binding.path_and_query)),
            ("hth", json!(binding.host)),
        ] {
            custom.insert(name.to_owned(), value);
        }
        if let Some(geo) = binding.geo {
            custom.insert("geo".to_owned(), geo.to_claim());
        }
        let life = Duration::from_secs(settings.life_seconds);
        let mut claims = Claims::with_custom_claims(custom, life)
            .with_issuer(&settings.issuer)
            .with_audience(&settings.audience)
            .with_subject(session.subject())
            .with_jwt_id(binding.token_id);
        let issued_at = Duration::from_secs(now);
        claims.issued_at = Some(issued_at);
        claims.expires_at = Some(Duration::from_secs(
            now.saturating_add(settings.life_seconds),
        ));
        claims.invalid_before = None;
        let header = HeaderOptions {
            signature_type: Some(settings.r#type.clone()),
            content_type: None,
        };
        self.key.sign_with_options(claims, &header)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::session::tests::{NOW, Server};

    pub(crate) fn signing_key() -> ES256KeyPair {
        ES256KeyPair::generate().with_key_id("edge-1")
    }

    #[test]
    fn the_token_says_what_the_mesh_checks() {
        let key = signing_key();
        let signer = Signer::parse(&key.to_jwk()).unwrap();
        assert_eq!(signer.key_id(), "edge-1");
        let settings = crate::settings::tests::settings();
        let server = Server::new();
        let session = server
            .keys()
            .verify(&server.sign(&json!({})), &settings.session, NOW)
            .unwrap();
        let geo = Geo::new("EU", "DE", "BE", "berlin");
        let binding = Binding {
            method: "POST",
            path_and_query: "/orders?page=2",
            host: "shop.example.com",
            correlation_id: "c-1",
            token_id: "t-1",
            geo: geo.as_ref(),
        };
        let token = signer
            .mint(&session, binding, &settings.claims, NOW)
            .unwrap();

        let header = Token::decode_metadata(&token).unwrap();
        assert_eq!(header.algorithm(), "ES256");
        assert_eq!(header.key_id(), Some("edge-1"));
        assert_eq!(header.signature_type(), Some("edge-claims+jwt"));
        let options = VerificationOptions {
            artificial_time: Some(Duration::from_secs(NOW)),
            ..VerificationOptions::default()
        };
        let claims: JWTClaims<Map<String, Value>> = key
            .public_key()
            .verify_token(&token, Some(options))
            .unwrap();
        assert_eq!(
            serde_json::to_value(&claims).unwrap(),
            json!({
                "iss": "https://edge.example.com", "aud": "mesh.example.com", "sub": "u-1",
                "iat": NOW, "exp": NOW + 60, "jti": "t-1", "cid": "c-1", "htm": "POST",
                "htp": "/orders", "htq": "/orders?page=2", "hth": "shop.example.com", "roles": ["reader"], "tenant_id": "acme",
                "geo": {"continent": "EU", "country": "DE", "region": "BE", "city": "berlin"},
            })
        );
    }

    #[test]
    fn only_a_private_key_with_its_kid_signs() {
        let key = signing_key();
        let without_id = ES256KeyPair::generate().to_jwk();
        assert_eq!(Signer::parse(&without_id).err(), Some(SignerError::NoKeyId));
        for secret in ["", "{}", &key.public_key().to_jwk(), &key.to_pem().unwrap()] {
            assert_eq!(Signer::parse(secret).err(), Some(SignerError::NotAKey));
        }
    }
}
