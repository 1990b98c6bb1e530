//! Who computes a signature: the host, or jwt-simple in here.

use ed25519_dalek::Signature as Ed25519Signature;
use jwt_simple::prelude::{
    Duration, ECDSAP256PublicKeyLike, ECDSAP384PublicKeyLike, NoCustomClaims, PS256PublicKey,
    PS384PublicKey, PS512PublicKey, RS256PublicKey, RS384PublicKey, RS512PublicKey,
    RSAPublicKeyLike, UnixTimeStamp, VerificationOptions,
};
use p521::ecdsa::Signature as P521Signature;
use p521::ecdsa::signature::Verifier as _;

use crate::token::jws::{self, Jws};
use crate::token::key::{Material, RSA_EXPONENT};
use crate::token::{Algorithm, PublicKey};

/// A verifier of asymmetric signatures. What reaches it was checked before: `key` fits `algorithm`,
/// and the signature has the length that the key's signatures have.
pub trait SignatureBackend {
    /// Whether `token.signature` is right for `token.signing_input`; `None` where this back-end can't
    /// tell, so that the portable one has to. It must never say `Some(false)` because of a failure of
    /// its own: that answer is remembered.
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, token: &Jws<'_>) -> Option<bool>;
}

/// jwt-simple; but p521 for ES512, which jwt-simple lacks, and ed25519-dalek for EdDSA, which takes less
/// than half of its time here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Portable;

impl SignatureBackend for Portable {
    fn verify(&self, algorithm: Algorithm, key: &PublicKey, token: &Jws<'_>) -> Option<bool> {
        Some(self.check(algorithm, key, token))
    }
}

impl Portable {
    /// Whether the signature is right. Never in doubt.
    pub fn check(self, algorithm: Algorithm, key: &PublicKey, token: &Jws<'_>) -> bool {
        match (algorithm, &key.material) {
            (Algorithm::Es256, Material::P256(key)) => accepts(token, |text, options| {
                key.verify_token::<NoCustomClaims>(text, options).is_ok()
            }),
            (Algorithm::Es384, Material::P384(key)) => accepts(token, |text, options| {
                key.verify_token::<NoCustomClaims>(text, options).is_ok()
            }),
            (Algorithm::Es512, Material::P521(key)) => P521Signature::from_slice(&token.signature)
                .is_ok_and(|signature| key.verify(token.signing_input, &signature).is_ok()),
            (Algorithm::EdDsa, Material::Ed25519(key)) => {
                Ed25519Signature::from_slice(&token.signature).is_ok_and(|signature| {
                    key.verify_strict(token.signing_input, &signature).is_ok()
                })
            }
            (_, Material::Rsa(modulus)) => rsa(algorithm, modulus, token),
            // The key fixes the algorithm; any other pair is a mistake of the caller.
            _ => false,
        }
    }
}

fn rsa(algorithm: Algorithm, n: &[u8], token: &Jws<'_>) -> bool {
    macro_rules! verified_by {
        ($key:ident) => {
            $key::from_components(n, &RSA_EXPONENT).is_ok_and(|key| {
                accepts(token, |text, options| {
                    key.verify_token::<NoCustomClaims>(text, options).is_ok()
                })
            })
        };
    }
    match algorithm {
        Algorithm::Rs256 => verified_by!(RS256PublicKey),
        Algorithm::Rs384 => verified_by!(RS384PublicKey),
        Algorithm::Rs512 => verified_by!(RS512PublicKey),
        Algorithm::Ps256 => verified_by!(PS256PublicKey),
        Algorithm::Ps384 => verified_by!(PS384PublicKey),
        Algorithm::Ps512 => verified_by!(PS512PublicKey),
        _ => false,
    }
}

/// Runs jwt-simple's verification so that only the signature can fail it: it also reads the header
/// and the claims, which [`Jws::parse`] checked more strictly, and the times, which are ours to check
/// for fresh and cached tokens alike.
fn accepts(
    token: &Jws<'_>,
    verify: impl FnOnce(&str, Option<VerificationOptions>) -> bool,
) -> bool {
    let options = VerificationOptions {
        // At the epoch and without tolerance, nothing has expired: 0 − 0 ≤ `exp`, whatever `exp` is.
        artificial_time: Some(UnixTimeStamp::from_secs(0)),
        time_tolerance: Some(Duration::from_secs(0)),
        // And nothing is too early.
        accept_future: true,
        // Without this, a `typ` that does not end in `JWT` would be refused.
        required_signature_type: token.token_type.as_ref().map(ToString::to_string),
        max_token_length: Some(jws::MAX_BYTES),
        max_header_length: Some(jws::MAX_BYTES),
        ..VerificationOptions::default()
    };
    verify(token.token, Some(options))
}
