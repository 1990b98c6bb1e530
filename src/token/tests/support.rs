//! An issuer, its keys, and tokens with arbitrary headers and payloads.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike};
use p256::ecdsa::signature::Signer as _;
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::{Padding, Rsa};
use superboring::sign::Signer;

use crate::denial::Reason;
use crate::json::Json;
use crate::token::{
    Algorithm, CacheLimits, Issuer, KeySet, LiveRequest, Portable, PublicKey, RequestBinding,
    Revoked, Secret, SignatureBackend, Verified, Verifier, VerifyError, base64url,
};

/// The time of all tests.
pub const NOW: u64 = 1_800_000_000;

/// The secret of `HS*` tokens: 64 bytes.
pub const SECRET: &[u8; 64] = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub const LIVE: LiveRequest<'static> = LiveRequest {
    method: b"GET",
    path: b"/orders/7?page=2",
    host: b"shop.example.com",
};

pub const CACHE: CacheLimits = CacheLimits {
    entries: 100,
    bytes: 1_000_000,
};

/// Header and payload of a valid token of [`issuer`].
pub fn header(algorithm: Algorithm) -> String {
    format!(r#"{{"alg":"{algorithm}","kid":"{}"}}"#, kid(algorithm))
}

pub const CLAIMS: &str = r#"{"iss":"https://edge.example.com","sub":"alice","aud":"mesh.example.com","iat":1799999990,"exp":1800000060,"jti":"t1"}"#;

/// The claims with additional or changed members.
pub fn claims_with(members: &str) -> String {
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(CLAIMS).unwrap();
    let others: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&format!("{{{members}}}")).unwrap();
    claims.extend(others);
    serde_json::to_string(&claims).unwrap()
}

/// The claims without one.
pub fn claims_without(name: &str) -> String {
    let mut claims: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(CLAIMS).unwrap();
    claims.remove(name).unwrap();
    serde_json::to_string(&claims).unwrap()
}

/// The name of the test key for an algorithm, and its `kid`.
pub fn kid(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "p256",
        Algorithm::Es384 => "p384",
        Algorithm::Es512 => "p521",
        Algorithm::EdDsa => "ed25519",
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => "secret",
        _ => "rsa",
    }
}

/// A valid token.
pub fn token(algorithm: Algorithm) -> String {
    sign(algorithm, &header(algorithm), CLAIMS)
}

/// A token of any header and payload, signed with the issuer's key for the algorithm.
pub fn sign(algorithm: Algorithm, header: &str, payload: &str) -> String {
    sign_with(kid(algorithm), algorithm, header, payload)
}

/// The same, signed with the key of that name.
pub fn sign_with(key: &str, algorithm: Algorithm, header: &str, payload: &str) -> String {
    let signing_input = format!("{}.{}", encode(header), encode(payload));
    let signature = signature(key, algorithm, signing_input.as_bytes());
    format!("{signing_input}.{}", encode(signature))
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

fn signature(key: &str, algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
    let private = || base64url::decode(PRIVATE[key].as_bytes()).unwrap();
    match algorithm {
        Algorithm::Es256 => {
            let key = p256::ecdsa::SigningKey::from_slice(&private()).unwrap();
            let signature: p256::ecdsa::Signature = key.sign(input);
            signature.to_bytes().to_vec()
        }
        Algorithm::Es384 => {
            let key = p384::ecdsa::SigningKey::from_slice(&private()).unwrap();
            let signature: p384::ecdsa::Signature = key.sign(input);
            signature.to_bytes().to_vec()
        }
        Algorithm::Es512 => {
            let key = p521::ecdsa::SigningKey::from_slice(&private()).unwrap();
            let signature: p521::ecdsa::Signature = key.sign(input);
            signature.to_bytes().to_vec()
        }
        Algorithm::EdDsa => {
            let seed = ed25519_compact::Seed::from_slice(&private()).unwrap();
            ed25519_compact::KeyPair::from_seed(seed)
                .sk
                .sign(input, None)
                .to_vec()
        }
        Algorithm::Hs256 => HS256Key::from_bytes(SECRET).authentication_tag(input),
        Algorithm::Hs384 => HS384Key::from_bytes(SECRET).authentication_tag(input),
        Algorithm::Hs512 => HS512Key::from_bytes(SECRET).authentication_tag(input),
        _ => rsa_signature(key, algorithm, input),
    }
}

fn rsa_signature(key: &str, algorithm: Algorithm, input: &[u8]) -> Vec<u8> {
    let pem: &[u8] = match key {
        "rsa" => include_bytes!("keys/rsa.pem"),
        "other-rsa" => include_bytes!("keys/other-rsa.pem"),
        other => panic!("no RSA key {other}"),
    };
    let key = PKey::from_rsa(Rsa::private_key_from_pem(pem).unwrap()).unwrap();
    let digest = match algorithm.hash_len() {
        32 => MessageDigest::sha256(),
        48 => MessageDigest::sha384(),
        _ => MessageDigest::sha512(),
    };
    let padding = match algorithm.family() {
        crate::token::Family::RsaPss => Padding::PKCS1_PSS,
        _ => Padding::PKCS1,
    };
    let mut signer = Signer::new(digest, &key).unwrap();
    signer.set_rsa_padding(padding).unwrap();
    signer.update(input).unwrap();
    signer.sign_to_vec().unwrap()
}

static PRIVATE: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("keys/private.json")).unwrap());

/// The SubjectPublicKeyInfo of each test key as pyca/cryptography writes it.
pub static SPKI: LazyLock<HashMap<String, String>> =
    LazyLock::new(|| serde_json::from_str(include_str!("keys/spki.json")).unwrap());

/// A JWK of `keys/jwks.json`.
pub fn jwk(name: &str) -> serde_json::Value {
    let set: serde_json::Value = serde_json::from_str(include_str!("keys/jwks.json")).unwrap();
    let keys = set["keys"].as_array().unwrap();
    keys.iter()
        .find(|key| key["kid"] == name)
        .unwrap_or_else(|| panic!("no key {name}"))
        .clone()
}

/// An inline key set of these keys.
pub fn inline(names: &[&str]) -> KeySet {
    let keys: Vec<_> = names.iter().map(|name| jwk(name)).collect();
    inline_of(&serde_json::json!({ "keys": keys })).unwrap()
}

pub fn inline_of(set: &serde_json::Value) -> Result<KeySet, Vec<crate::token::jwks::KeySetError>> {
    KeySet::inline(&Json::parse(set.to_string().as_bytes()).unwrap())
}

/// A fetched key set of these keys.
pub fn fetched(names: &[&str]) -> KeySet {
    let keys: Vec<_> = names.iter().map(|name| jwk(name)).collect();
    let set = serde_json::json!({ "keys": keys }).to_string();
    let (set, problems) = KeySet::fetched(set.as_bytes()).unwrap();
    assert_eq!(problems, []);
    set
}

/// An issuer with one inline key per algorithm, without secrets, that requires only an audience.
pub fn issuer() -> Issuer {
    Issuer {
        name: "https://edge.example.com".into(),
        audiences: Some(vec!["mesh.example.com".into()]),
        algorithms: Algorithm::ALL
            .into_iter()
            .filter(|one| !one.is_symmetric())
            .collect(),
        token_type: None,
        inline: inline(&["rsa", "p256", "p384", "p521", "ed25519"]),
        remote: None,
        secrets: vec![],
        leeway: 10,
        max_age: None,
        max_lifetime: None,
        require: vec![],
        bind: RequestBinding::default(),
        one_use: None,
        revoked: Revoked::default(),
        not_after: None,
    }
}

/// An issuer of HS* tokens.
pub fn symmetric_issuer() -> Issuer {
    Issuer {
        algorithms: vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512],
        inline: KeySet::default(),
        secrets: vec![Secret {
            env: "SECRET".into(),
            kid: Some("secret".into()),
        }],
        ..issuer()
    }
}

/// An issuer that allows the algorithm.
pub fn issuer_for(algorithm: Algorithm) -> Issuer {
    if algorithm.is_symmetric() {
        symmetric_issuer()
    } else {
        issuer()
    }
}

pub fn environment(name: &str) -> Option<Vec<u8>> {
    match name {
        "SECRET" => Some(SECRET.to_vec()),
        "SHORT" => Some(SECRET[..40].to_vec()),
        "EMPTY" => Some(vec![]),
        _ => None,
    }
}

pub fn verifier(issuer: Issuer) -> Verifier<()> {
    Verifier::new(vec![issuer], CACHE, 42, &environment)
}

/// The verdict on a token: at [`NOW`], for [`LIVE`], by [`Portable`].
pub fn verdict(verifier: &mut Verifier<()>, token: &str) -> Result<Verified<()>, VerifyError> {
    verifier.verify(token.as_bytes(), &LIVE, NOW * 1_000, &Portable)
}

/// The reason why one issuer does not accept a token; `None` if it does.
pub fn reason(issuer: Issuer, token: &str) -> Option<Reason> {
    verdict(&mut verifier(issuer), token)
        .err()
        .map(|refusal| refusal.reason_after_fetch())
}

/// The same at another time.
pub fn reason_at(issuer: Issuer, token: &str, now: u64) -> Option<Reason> {
    let verdict = verifier(issuer).verify(
        token.as_bytes(),
        &LIVE,
        now.saturating_mul(1_000),
        &Portable,
    );
    verdict.err().map(|refusal| refusal.reason_after_fetch())
}

/// A back-end that counts its calls and returns a configured result.
#[derive(Default)]
pub struct Counting {
    pub calls: Cell<u32>,
    pub answer: Option<Option<bool>>,
    /// The cost of each verification in microseconds; 0 by default, so that nothing is limited.
    pub cost: u64,
}

impl SignatureBackend for Counting {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        self.calls.set(self.calls.get() + 1);
        self.answer
            .unwrap_or_else(|| Portable.verify(algorithm, key, message, signature))
    }

    fn cost_micros(&self, _algorithm: Algorithm, _key: &PublicKey) -> u64 {
        self.cost
    }
}
