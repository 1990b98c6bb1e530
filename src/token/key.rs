//! A validated public key, in the forms that the signature back-ends need.

use ed25519_dalek::VerifyingKey;
use jwt_simple::prelude::{ES256PublicKey, ES384PublicKey, RS256PublicKey};
use p521::ecdsa::VerifyingKey as P521PublicKey;

use crate::token::roca::has_roca_fingerprint;
use crate::token::{Algorithm, base64url};

/// A public key of a key set. Two are equal if `kid`, algorithms and key are equal.
#[derive(Debug)]
pub struct PublicKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    spki: Vec<u8>,
    thumbprint: String,
    signature_len: usize,
    pub(super) material: Material,
}

/// The key in the form of the portable back-end.
#[derive(Debug)]
pub(super) enum Material {
    P256(ES256PublicKey),
    P384(ES384PublicKey),
    P521(Box<P521PublicKey>),
    Ed25519(Box<VerifyingKey>),
    /// The modulus without leading zeros. jwt-simple has one key type for each algorithm, created on use.
    Rsa(Vec<u8>),
}

/// Why a key is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadKey {
    /// The coordinates or the encoded point are not on the curve, or are a weak point.
    NotOnCurve,
    /// The size of the RSA modulus, in bits, is not accepted.
    RsaSize(usize),
    /// The RSA exponent is not 65537.
    RsaExponent,
    /// The RSA modulus is even.
    RsaModulus,
    /// The RSA modulus has the ROCA fingerprint.
    Roca,
}

/// The minimum size of an RSA modulus, in bits (RFC 7518 §3.3).
pub(crate) const MIN_RSA_BITS: usize = 2048;

/// The maximum size of an RSA modulus, in bits. Envoy supports larger ones, but the decision must not
/// depend on the back-end.
pub(crate) const MAX_RSA_BITS: usize = 4096;

/// 65537, the only accepted exponent.
pub(super) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

impl PublicKey {
    /// The `kid`.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that it may be used with: those of its type and curve, or the one in its `alg`.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Whether it may be used with the algorithm.
    pub fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The key as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), for the host.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key's RFC 7638 thumbprint with SHA-256, in base64url; it does not depend on the `kid`.
    pub(crate) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Its `kty`, its `crv` unless it is an RSA key, and its size in bits.
    #[cfg(feature = "cli")]
    pub(crate) fn kind(&self) -> (&'static str, Option<&'static str>, usize) {
        match &self.material {
            Material::P256(_) => ("EC", Some("P-256"), 256),
            Material::P384(_) => ("EC", Some("P-384"), 384),
            Material::P521(_) => ("EC", Some("P-521"), 521),
            Material::Ed25519(_) => ("OKP", Some("Ed25519"), 256),
            Material::Rsa(modulus) => ("RSA", None, bit_length(modulus)),
        }
    }

    /// The length of its signatures in bytes (RFC 7518 §3.3 to §3.5, RFC 8032 §5.1.6).
    pub fn signature_len(&self) -> usize {
        self.signature_len
    }

    /// Restricts it to one algorithm; `None` if it does not support that one.
    pub(super) fn only_for(mut self, algorithm: Algorithm) -> Option<Self> {
        self.fits(algorithm).then(|| {
            self.algorithms = vec![algorithm];
            self
        })
    }

    pub(super) fn p256(kid: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let key =
            ES256PublicKey::from_bytes(&uncompressed(x, y)).map_err(|_| BadKey::NotOnCurve)?;
        let spki = key.to_der().map_err(|_| BadKey::NotOnCurve)?;
        Ok(Self::new(
            kid,
            &[Algorithm::Es256],
            spki,
            ec_thumbprint("P-256", x, y),
            64,
            Material::P256(key),
        ))
    }

    pub(super) fn p384(kid: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let key =
            ES384PublicKey::from_bytes(&uncompressed(x, y)).map_err(|_| BadKey::NotOnCurve)?;
        let spki = key.to_der().map_err(|_| BadKey::NotOnCurve)?;
        Ok(Self::new(
            kid,
            &[Algorithm::Es384],
            spki,
            ec_thumbprint("P-384", x, y),
            96,
            Material::P384(key),
        ))
    }

    pub(super) fn p521(kid: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, BadKey> {
        let point = uncompressed(x, y);
        let key = P521PublicKey::from_sec1_bytes(&point).map_err(|_| BadKey::NotOnCurve)?;
        let spki = [&P521_SPKI_PREFIX[..], &point[..]].concat();
        Ok(Self::new(
            kid,
            &[Algorithm::Es512],
            spki,
            ec_thumbprint("P-521", x, y),
            132,
            Material::P521(Box::new(key)),
        ))
    }

    pub(super) fn ed25519(kid: Option<String>, x: &[u8]) -> Result<Self, BadKey> {
        let bytes = x.try_into().map_err(|_| BadKey::NotOnCurve)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| BadKey::NotOnCurve)?;
        // Each point has one valid encoding (RFC 8032 §5.1.3). Points of small order would verify forged
        // signatures.
        let canonical = key.to_edwards().compress().to_bytes() == *bytes;
        if !canonical || key.is_weak() {
            return Err(BadKey::NotOnCurve);
        }
        Ok(Self::new(
            kid,
            &[Algorithm::EdDsa],
            [&ED25519_SPKI_PREFIX[..], &bytes[..]].concat(),
            thumbprint(&[
                ("crv", "Ed25519"),
                ("kty", "OKP"),
                ("x", &base64url::encode(x)),
            ]),
            64,
            Material::Ed25519(Box::new(key)),
        ))
    }

    pub(super) fn rsa(kid: Option<String>, n: &[u8], e: &[u8]) -> Result<Self, BadKey> {
        let n = without_leading_zeros(n);
        let bits = bit_length(n);
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(BadKey::RsaSize(bits));
        }
        if without_leading_zeros(e) != RSA_EXPONENT {
            return Err(BadKey::RsaExponent);
        }
        if has_roca_fingerprint(n) {
            return Err(BadKey::Roca);
        }
        let key =
            RS256PublicKey::from_components(n, &RSA_EXPONENT).map_err(|_| BadKey::RsaModulus)?;
        let spki = key.to_der().map_err(|_| BadKey::RsaModulus)?;
        Ok(Self::new(
            kid,
            &RSA,
            spki,
            thumbprint(&[("e", "AQAB"), ("kty", "RSA"), ("n", &base64url::encode(n))]),
            bits.div_ceil(8),
            Material::Rsa(n.to_vec()),
        ))
    }

    fn new(
        kid: Option<String>,
        algorithms: &[Algorithm],
        spki: Vec<u8>,
        thumbprint: String,
        signature_len: usize,
        material: Material,
    ) -> Self {
        let algorithms = algorithms.to_vec();
        Self {
            kid,
            algorithms,
            spki,
            thumbprint,
            signature_len,
            material,
        }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.algorithms == other.algorithms && self.spki == other.spki
    }
}

impl Eq for PublicKey {}

const RSA: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// The SubjectPublicKeyInfo of a P-521 key up to its uncompressed point (RFC 5480 §2).
const P521_SPKI_PREFIX: [u8; 25] = [
    0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05,
    0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00,
];

/// The SubjectPublicKeyInfo of an Ed25519 key up to its point (RFC 8410 §4).
const ED25519_SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The uncompressed point (SEC 1 §2.3.3).
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

fn ec_thumbprint(curve: &str, x: &[u8], y: &[u8]) -> String {
    let (x, y) = (base64url::encode(x), base64url::encode(y));
    thumbprint(&[("crv", curve), ("kty", "EC"), ("x", &x), ("y", &y)])
}

/// RFC 7638 §3: SHA-256 over the required members in lexicographic order. No value needs escaping.
fn thumbprint(members: &[(&str, &str)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":\"{value}\""))
        .collect();
    let json = format!("{{{}}}", members.join(","));
    base64url::encode(&hmac_sha256::Hash::hash(json.as_bytes()))
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The number of bits of a big-endian number without leading zero bytes.
fn bit_length(number: &[u8]) -> usize {
    let first_zeros = number
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    number.len().saturating_mul(8).saturating_sub(first_zeros)
}
