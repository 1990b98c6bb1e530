//! What an edge does: signs claims with ES256 (RFC 7515, RFC 7518 §3.4).

use std::time::{SystemTime, UNIX_EPOCH};

use ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use serde_json::{Value, json};

const KID: &str = "edge-1";

pub struct Key(SigningKey);

impl Key {
    pub fn generate() -> Self {
        Self(SigningKey::generate())
    }

    /// The public key as a JWK (RFC 7517).
    pub fn jwk(&self) -> Value {
        // Uncompressed (SEC 1 §2.3.3): 0x04, then x and y, 32 bytes each.
        let point = self.0.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": KID, "alg": "ES256",
            "x": base64url(x), "y": base64url(y)})
    }

    /// A compact JWS of the claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KID});
        let [header, claims] = [&header, claims].map(|part| base64url(part.to_string().as_bytes()));
        let input = format!("{header}.{claims}");
        let signature: Signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", base64url(&signature.to_bytes()))
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn base64url(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("a token is short enough to encode")
}
