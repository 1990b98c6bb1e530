//! A private key or a shared secret (RFC 7517, RFC 7518 §6, RFC 8037 §2) that signs.
//!
//! The public part is read by the filter's own reader of key sets, so that a key that signs here is one that
//! the filter accepts. As in the filter, the signature is computed below jwt-simple's JWT layer, which would
//! add claims of its own.

use jwt_simple::prelude::{HS256Key, HS384Key, HS512Key, MACLike};
use p256::ecdsa::signature::Signer as _;
use superboring::bn::BigNum;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Private};
use superboring::rsa::{Padding, Rsa};
use superboring::sign::Signer as RsaSigner;

use super::json::{object, string};
use super::public::{self, PublicPartError};
use crate::json::{Json, JsonError, Object};
use crate::token::{Algorithm, Family, base64url};

/// A key that signs tokens.
pub(in crate::cli) struct PrivateKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    /// Its public JWK; `None` for a secret.
    public: Option<Json>,
    material: Material,
}

enum Material {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(p521::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
    Rsa(PKey<Private>),
    Secret(Vec<u8>),
}

/// Why a JWK cannot sign. Messages never show a value of a private member.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum PrivateKeyError {
    /// PEM, the other common form of a key.
    #[error("a PEM file: keys are read as JWK (RFC 7517); `keys new` writes one")]
    Pem,
    /// Not JSON, or JSON with duplicate names.
    #[error("not a JWK: {0}; a secret as a JWK comes from `keys new --secret-out`")]
    Syntax(JsonError),
    /// JSON, but no key.
    #[error("not a JWK: must be an object with `kty`; a JWKS has several keys, and one must sign")]
    NotAKey,
    /// Only the public part of a key.
    #[error("a public key: the private key is needed to sign")]
    PublicOnly,
    /// A member is missing or not what its type of key needs.
    #[error("{name}: must be base64url without padding{}", length(*bytes))]
    Member {
        /// Which.
        name: &'static str,
        /// The required length in bytes, after decoding.
        bytes: Option<usize>,
    },
    /// `kid` or `alg` is not a string.
    #[error("{name}: must be a string")]
    NotAString {
        /// Which.
        name: &'static str,
    },
    /// The private part does not belong to the public part.
    #[error("d: does not belong to the public part of the key: the file is damaged")]
    Mismatch,
    /// An RSA key that is incomplete or inconsistent.
    #[error(
        "n, e, d, p, q, dp, dq, qi: must all be present and belong to each other (RFC 7518 §6.3.2)"
    )]
    Rsa,
    /// `use` or `key_ops` excludes signing (RFC 7517 §4.2, §4.3).
    #[error("use, key_ops: the key is not for signing")]
    Use,
    /// `alg` of a secret is not an HS* algorithm.
    #[error("alg {alg:?}: must be HS256, HS384 or HS512 for a shared secret, or absent")]
    SecretAlgorithm {
        /// The value.
        alg: String,
    },
    /// A secret is shorter than the hash (RFC 7518 §3.2).
    #[error("k: {bytes} bytes: must be at least {needed}, the length of the hash")]
    ShortSecret {
        /// The length.
        bytes: usize,
        /// The minimum length.
        needed: usize,
    },
    /// The public part is not accepted.
    #[error(transparent)]
    Public(#[from] PublicPartError),
}

fn length(bytes: Option<usize>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(", of {bytes} bytes"))
}

impl PrivateKey {
    /// Reads a private JWK.
    ///
    /// # Errors
    /// A [`PrivateKeyError`]
    pub(in crate::cli) fn parse(text: &str) -> Result<Self, PrivateKeyError> {
        if text.trim_start().starts_with("-----BEGIN") {
            return Err(PrivateKeyError::Pem);
        }
        let json = Json::parse_strict(text.as_bytes()).map_err(PrivateKeyError::Syntax)?;
        let jwk = json.as_object().ok_or(PrivateKeyError::NotAKey)?;
        Self::from_jwk(jwk)
    }

    /// The key in a private JWK.
    ///
    /// # Errors
    /// A [`PrivateKeyError`]
    pub(in crate::cli) fn from_jwk(jwk: &Object) -> Result<Self, PrivateKeyError> {
        let kty = jwk.get("kty").and_then(Json::as_str);
        let kty = kty.ok_or(PrivateKeyError::NotAKey)?;
        check_use(jwk)?;
        let kid = text(jwk, "kid")?.map(str::to_owned);
        if kty == "oct" {
            return secret(jwk, kid);
        }
        if jwk.get("d").is_none() {
            return Err(PrivateKeyError::PublicOnly);
        }
        let (public, key) = public::part(jwk)?;
        let material = match kty {
            "RSA" => Material::Rsa(rsa(jwk)?),
            _ => curve(jwk)?,
        };
        Ok(Self {
            kid,
            algorithms: key.algorithms().to_vec(),
            public: Some(public),
            material,
        })
    }

    /// The `kid`.
    pub(in crate::cli) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that it may sign with, the usual one first.
    pub(in crate::cli) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The public JWK; `None` for a secret.
    pub(in crate::cli) fn public_jwk(&self) -> Option<&Json> {
        self.public.as_ref()
    }

    /// The bytes of a secret.
    pub(in crate::cli) fn secret(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Secret(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Signs. `None` if the key does not fit the algorithm, or there is no randomness.
    pub(in crate::cli) fn sign(&self, algorithm: Algorithm, input: &[u8]) -> Option<Vec<u8>> {
        if !self.algorithms.contains(&algorithm) {
            return None;
        }
        Some(match &self.material {
            Material::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(input).ok()?;
                signature.to_bytes().to_vec()
            }
            Material::P384(key) => {
                let signature: p384::ecdsa::Signature = key.try_sign(input).ok()?;
                signature.to_bytes().to_vec()
            }
            Material::P521(key) => {
                let signature: p521::ecdsa::Signature = key.try_sign(input).ok()?;
                signature.to_bytes().to_vec()
            }
            Material::Ed25519(key) => key.try_sign(input).ok()?.to_bytes().to_vec(),
            Material::Rsa(key) => rsa_signature(key, algorithm, input)?,
            Material::Secret(secret) => match algorithm {
                Algorithm::Hs256 => HS256Key::from_bytes(secret).authentication_tag(input),
                Algorithm::Hs384 => HS384Key::from_bytes(secret).authentication_tag(input),
                _ => HS512Key::from_bytes(secret).authentication_tag(input),
            },
        })
    }
}

fn check_use(jwk: &Object) -> Result<(), PrivateKeyError> {
    let is_sig = jwk
        .get("use")
        .is_none_or(|purpose| purpose.as_str() == Some("sig"));
    let signs = |operations: &Json| {
        let operations = operations.as_array().unwrap_or_default();
        operations.iter().any(|one| one.as_str() == Some("sign"))
    };
    if is_sig && jwk.get("key_ops").is_none_or(signs) {
        Ok(())
    } else {
        Err(PrivateKeyError::Use)
    }
}

fn text<'a>(jwk: &'a Object, name: &'static str) -> Result<Option<&'a str>, PrivateKeyError> {
    jwk.get(name)
        .map(|value| value.as_str().ok_or(PrivateKeyError::NotAString { name }))
        .transpose()
}

fn bytes(
    jwk: &Object,
    name: &'static str,
    bytes: Option<usize>,
) -> Result<Vec<u8>, PrivateKeyError> {
    jwk.get(name)
        .and_then(Json::as_str)
        .and_then(|text| base64url::decode(text.as_bytes()))
        .filter(|value| bytes.is_none_or(|bytes| value.len() == bytes))
        .ok_or(PrivateKeyError::Member { name, bytes })
}

fn secret(jwk: &Object, kid: Option<String>) -> Result<PrivateKey, PrivateKeyError> {
    let secret = bytes(jwk, "k", None)?;
    let symmetric = Algorithm::ALL.into_iter().filter(|one| one.is_symmetric());
    let algorithms: Vec<Algorithm> = match text(jwk, "alg")? {
        Some(alg) => {
            let named = Algorithm::from_name(alg).filter(|one| one.is_symmetric());
            vec![named.ok_or_else(|| PrivateKeyError::SecretAlgorithm {
                alg: alg.to_owned(),
            })?]
        }
        None => symmetric.collect(),
    };
    let needed = algorithms.first().map_or(0, |one| one.hash_len());
    if secret.len() < needed {
        return Err(PrivateKeyError::ShortSecret {
            bytes: secret.len(),
            needed,
        });
    }
    let long_enough = |one: &Algorithm| secret.len() >= one.hash_len();
    Ok(PrivateKey {
        kid,
        algorithms: algorithms.into_iter().filter(long_enough).collect(),
        public: None,
        material: Material::Secret(secret),
    })
}

/// The private key on the curve of a JWK whose public part is valid.
fn curve(jwk: &Object) -> Result<Material, PrivateKeyError> {
    macro_rules! ecdsa {
        ($curve:ident, $length:literal, $variant:ident) => {{
            let d = bytes(jwk, "d", Some($length))?;
            let key =
                $curve::ecdsa::SigningKey::from_slice(&d).map_err(|_| PrivateKeyError::Mismatch)?;
            let point = key.verifying_key().to_sec1_point(false);
            let expected = [&[4], &*bytes(jwk, "x", None)?, &*bytes(jwk, "y", None)?].concat();
            (point.as_bytes() == expected).then_some(Material::$variant(key))
        }};
    }
    let material = match jwk.get("crv").and_then(Json::as_str) {
        Some("P-256") => ecdsa!(p256, 32, P256),
        Some("P-384") => ecdsa!(p384, 48, P384),
        Some("P-521") => ecdsa!(p521, 66, P521),
        _ => {
            let d = bytes(jwk, "d", Some(32))?;
            let seed = d.try_into().map_err(|_| PrivateKeyError::Mismatch)?;
            let key = ed25519_dalek::SigningKey::from_bytes(&seed);
            let expected = bytes(jwk, "x", None)?;
            (key.verifying_key().as_bytes()[..] == expected).then_some(Material::Ed25519(key))
        }
    };
    material.ok_or(PrivateKeyError::Mismatch)
}

fn rsa(jwk: &Object) -> Result<PKey<Private>, PrivateKeyError> {
    let number = |name| {
        let bytes = bytes(jwk, name, None).map_err(|_| PrivateKeyError::Rsa)?;
        BigNum::from_slice(&bytes).map_err(|_| PrivateKeyError::Rsa)
    };
    let key = Rsa::from_private_components(
        number("n")?,
        number("e")?,
        number("d")?,
        number("p")?,
        number("q")?,
        number("dp")?,
        number("dq")?,
        number("qi")?,
    )
    .map_err(|_| PrivateKeyError::Rsa)?;
    if !key.check_key().unwrap_or(false) {
        return Err(PrivateKeyError::Rsa);
    }
    PKey::from_rsa(key).map_err(|_| PrivateKeyError::Rsa)
}

fn rsa_signature(key: &PKey<Private>, algorithm: Algorithm, input: &[u8]) -> Option<Vec<u8>> {
    let digest = match algorithm.hash_len() {
        32 => MessageDigest::sha256(),
        48 => MessageDigest::sha384(),
        _ => MessageDigest::sha512(),
    };
    let padding = match algorithm.family() {
        Family::RsaPss => Padding::PKCS1_PSS,
        _ => Padding::PKCS1,
    };
    let mut signer = RsaSigner::new(digest, key).ok()?;
    signer.set_rsa_padding(padding).ok()?;
    signer.update(input).ok()?;
    signer.sign_to_vec().ok()
}

/// The JWK of a secret.
pub(super) fn secret_jwk(secret: &[u8], algorithm: Algorithm, kid: &str) -> Json {
    object([
        ("kty", string("oct")),
        ("alg", string(algorithm.name())),
        ("kid", string(kid)),
        ("k", string(base64url::encode(secret))),
    ])
}
