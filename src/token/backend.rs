//! Signature back-ends: the trait, and the portable implementation.

use jwt_simple::prelude::{
    ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, PS256PublicKey, PS384PublicKey, PS512PublicKey,
    RS256PublicKey, RS384PublicKey, RS512PublicKey, RSAPublicKeyLike,
};
use p521::ecdsa::signature::Verifier as _;
use superboring::pkey::PKey;
use superboring::sign::Verifier as RsaVerifier;

use crate::token::key::{Material, RSA_EXPONENT};
use crate::token::{Algorithm, PublicKey};

/// Verifies asymmetric signatures. The caller checks that `key` fits `algorithm`, and that the signature
/// has the length of the key's signatures.
pub trait SignatureBackend {
    /// Whether `signature` is valid for `message`, the JWS signing input. `None` if this back-end does not
    /// support the algorithm or fails; then the portable one verifies.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool>;

    /// The estimated CPU time of a verification, in microseconds.
    fn cost_micros(&self, algorithm: Algorithm, key: &PublicKey) -> u64 {
        portable_cost_micros(algorithm, key)
    }
}

/// The back-end that works on every host: jwt-simple, except for ES512, which it does not support (p521),
/// and EdDSA, for which ed25519-dalek takes less than half the time on wasm32.
///
/// It uses the signature verification below jwt-simple's JWT layer. `verify_token` would parse the token
/// again, and check header and times by different rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Portable;

impl SignatureBackend for Portable {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        Some(self.check(algorithm, key, message, signature))
    }
}

impl Portable {
    /// Whether `signature` is valid for `message`.
    pub fn check(
        self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        match (algorithm, &key.material) {
            (Algorithm::Es256, Material::P256(key)) => {
                p256::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    let key: &p256::ecdsa::VerifyingKey = key.public_key().as_ref();
                    key.verify(message, &signature).is_ok()
                })
            }
            (Algorithm::Es384, Material::P384(key)) => {
                p384::ecdsa::Signature::from_slice(signature).is_ok_and(|signature| {
                    let key: &p384::ecdsa::VerifyingKey = key.public_key().as_ref();
                    key.verify(message, &signature).is_ok()
                })
            }
            (Algorithm::Es512, Material::P521(key)) => {
                p521::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            (Algorithm::EdDsa, Material::Ed25519(key)) => {
                ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            (_, Material::Rsa(modulus)) => check_rsa(algorithm, modulus, message, signature),
            // The key does not fit the algorithm.
            _ => false,
        }
    }
}

/// Measured in Envoy 1.40 as the CPU time of a request with an invalid signature minus that of a request
/// with an invalid HMAC. The cost of RSA is quadratic: 1 ms for 2048 bits, 4 ms for 4096 bits.
fn portable_cost_micros(algorithm: Algorithm, key: &PublicKey) -> u64 {
    let length = u64::try_from(key.signature_len()).unwrap_or(u64::MAX);
    match algorithm {
        Algorithm::Es256 => 650,
        Algorithm::Es384 => 2_200,
        Algorithm::Es512 => 2_450,
        Algorithm::EdDsa => 120,
        _ if algorithm.is_symmetric() => 10,
        _ => length.saturating_mul(length).div_ceil(64),
    }
}

fn check_rsa(algorithm: Algorithm, modulus: &[u8], message: &[u8], signature: &[u8]) -> bool {
    macro_rules! check_with {
        ($key:ident) => {
            $key::from_components(modulus, &RSA_EXPONENT)
                .is_ok_and(|key| is_valid_rsa(&key, message, signature).unwrap_or(false))
        };
    }
    match algorithm {
        Algorithm::Rs256 => check_with!(RS256PublicKey),
        Algorithm::Rs384 => check_with!(RS384PublicKey),
        Algorithm::Rs512 => check_with!(RS512PublicKey),
        Algorithm::Ps256 => check_with!(PS256PublicKey),
        Algorithm::Ps384 => check_with!(PS384PublicKey),
        Algorithm::Ps512 => check_with!(PS512PublicKey),
        _ => false,
    }
}

/// jwt-simple's key type determines hash and padding.
fn is_valid_rsa<K: RSAPublicKeyLike>(key: &K, message: &[u8], signature: &[u8]) -> Option<bool> {
    let public_key = PKey::from_rsa(key.public_key().as_ref().clone()).ok()?;
    let mut verifier = RsaVerifier::new(K::hash(), &public_key).ok()?;
    verifier.set_rsa_padding(key.padding_scheme()).ok()?;
    verifier.update(message).ok()?;
    verifier.verify(signature).ok()
}
