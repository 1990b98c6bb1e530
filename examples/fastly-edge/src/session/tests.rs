use jwt_simple::common::HeaderOptions;
use serde_json::json;

use super::*;

pub(crate) const NOW: u64 = 1_800_000_000;

/// An authorization server: one key, and the ID tokens that it signs.
pub(crate) struct Server(ES256KeyPair);

impl Server {
    pub(crate) fn new() -> Self {
        Self(ES256KeyPair::generate().with_key_id("login-1"))
    }

    pub(crate) fn keys(&self) -> SessionKeys {
        SessionKeys::parse(&json!({"keys": [self.jwk()]}).to_string()).unwrap()
    }

    pub(crate) fn jwk(&self) -> Value {
        let mut key = self.0.public_key();
        key = key.with_key_id("login-1");
        serde_json::from_str(&key.to_jwk()).unwrap()
    }

    /// Signs the claims of [`good`] with changes: `null` takes a claim away.
    pub(crate) fn sign(&self, changes: &Value) -> String {
        self.sign_as(changes, "JWT")
    }

    fn sign_as(&self, changes: &Value, typ: &str) -> String {
        let mut claims = good();
        for (name, value) in changes.as_object().unwrap() {
            claims.insert(name.clone(), value.clone());
        }
        claims.retain(|_, value| !value.is_null());
        let mut token = Claims::with_custom_claims(claims, Duration::from_secs(0));
        (token.issued_at, token.expires_at, token.invalid_before) = (None, None, None);
        let options = HeaderOptions {
            signature_type: Some(typ.to_owned()),
            ..HeaderOptions::default()
        };
        self.0.sign_with_options(token, &options).unwrap()
    }
}

fn good() -> Map<String, Value> {
    let claims = json!({
        "iss": "https://login.example.com", "aud": "shop", "sub": "u-1", "iat": NOW - 10,
        "exp": NOW + 3600, "realm_access": {"roles": ["reader"]}, "tenant_id": "acme", "email": "a@example.com",
    });
    claims.as_object().unwrap().clone()
}

fn verify(server: &Server, token: &str) -> Result<Session, SessionError> {
    server
        .keys()
        .verify(token, &crate::settings::tests::settings().session, NOW)
}

#[test]
fn a_good_id_token_is_a_session() {
    let server = Server::new();
    let session = verify(&server, &server.sign(&json!({}))).unwrap();
    assert_eq!(session.subject(), "u-1");
    assert_eq!(session.roles(), ["reader"]);
    assert_eq!(json!(session.copied()), json!({"tenant_id": "acme"}));
}

#[test]
fn each_check_has_its_reason() {
    use SessionError as E;
    let server = Server::new();
    for (changes, error) in [
        (json!({"exp": NOW - 31}), E::Expired),
        (json!({"exp": null}), E::Claims),
        (json!({"iat": NOW + 31}), E::NotYetValid),
        (json!({"nbf": NOW + 31}), E::NotYetValid),
        (json!({"iss": "https://login.example.com/"}), E::Issuer),
        (json!({"iss": null}), E::Issuer),
        (json!({"aud": "other"}), E::Audience),
        (json!({"aud": null}), E::Audience),
        (
            json!({"aud": ["shop", "other"], "azp": "other"}),
            E::Audience,
        ),
        (json!({"sub": null}), E::Claims),
        (json!({"sub": ""}), E::Claims),
        (json!({"realm_access": {"roles": "reader"}}), E::Claims),
        (json!({"realm_access": {"roles": [1]}}), E::Claims),
    ] {
        let token = server.sign(&changes);
        assert_eq!(verify(&server, &token), Err(error), "{changes}");
    }
}

#[test]
fn leeway_and_lists_are_accepted() {
    let server = Server::new();
    for changes in [
        json!({"exp": NOW - 29}),
        json!({"iat": NOW + 29}),
        json!({"aud": ["shop", "other"], "azp": "shop"}),
        json!({"realm_access": null}),
    ] {
        let token = server.sign(&changes);
        assert!(verify(&server, &token).is_ok(), "{changes}");
    }
}

#[test]
fn another_servers_token_and_a_changed_one_do_not_verify() {
    let server = Server::new();
    let foreign = Server::new().sign(&json!({}));
    assert_eq!(verify(&server, &foreign), Err(SessionError::Signature));
    let token = server.sign(&json!({}));
    let other = server.sign(&json!({"sub": "admin"}));
    let (head, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let mixed = format!("{head}.{signature}");
    assert_eq!(verify(&server, &mixed), Err(SessionError::Signature));
}

#[test]
fn other_tokens_of_the_same_issuer_are_no_session() {
    let server = Server::new();
    for typ in ["at+jwt", "edge-claims+jwt", "logout+jwt"] {
        let token = server.sign_as(&json!({}), typ);
        assert_eq!(
            verify(&server, &token),
            Err(SessionError::Malformed),
            "{typ}"
        );
    }
}

#[test]
fn what_is_no_token_is_malformed_and_alg_none_has_no_key() {
    let server = Server::new();
    for token in ["", "a", "a.b.c", "....", &"a".repeat(5000)] {
        assert_eq!(
            verify(&server, token),
            Err(SessionError::Malformed),
            "{token}"
        );
    }
    // {"alg":"none"} and {"alg":"HS256"}
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
        let token = server.sign(&json!({}));
        let payload = token.split('.').nth(1).unwrap();
        let forged = format!("{header}.{payload}.AAAA");
        assert_eq!(verify(&server, &forged), Err(SessionError::KeyUnknown));
    }
}

#[test]
fn rs256_works_and_key_types_are_not_confused() {
    let rsa = RS256KeyPair::generate(2048).unwrap().with_key_id("rsa");
    let public: Value =
        serde_json::from_str(&rsa.public_key().with_key_id("rsa").to_jwk()).unwrap();
    let server = Server::new();
    let keys = SessionKeys::parse(&json!({"keys": [server.jwk(), public]}).to_string()).unwrap();
    let settings = crate::settings::tests::settings().session;
    let mut token = Claims::with_custom_claims(good(), Duration::from_secs(0));
    (token.issued_at, token.expires_at, token.invalid_before) = (None, None, None);
    let signed = rsa.sign(token.clone()).unwrap();
    assert!(keys.verify(&signed, &settings, NOW).is_ok());
    let wrong_id = rsa.with_key_id("login-1").sign(token).unwrap();
    assert_eq!(
        keys.verify(&wrong_id, &settings, NOW),
        Err(SessionError::KeyUnknown)
    );
}

#[test]
fn a_token_without_kid_needs_a_lone_key() {
    let server = Server::new();
    let keys = |set: &[Value]| SessionKeys::parse(&json!({"keys": set}).to_string()).unwrap();
    let one = keys(&[server.jwk()]);
    let two = keys(&[server.jwk(), Server::new().jwk()]);
    assert!(one.select("ES256", None).is_some());
    assert!(two.select("ES256", None).is_none());
    assert!(
        two.select("ES256", Some("login-1")).is_none(),
        "a repeated kid selects none"
    );
}

#[test]
fn a_key_set_without_a_usable_key_is_refused() {
    for set in [
        "",
        "[]",
        "{}",
        r#"{"keys": []}"#,
        r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#,
        r#"{"keys": [{"kty": "EC", "crv": "P-256", "x": "", "y": ""}]}"#,
    ] {
        assert!(SessionKeys::parse(set).is_err(), "{set}");
    }
    let mut encryption = Server::new().jwk();
    encryption["use"] = json!("enc");
    assert!(SessionKeys::parse(&json!({"keys": [encryption]}).to_string()).is_err());
}
