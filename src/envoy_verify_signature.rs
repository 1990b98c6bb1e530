//! The argument and the result of Envoy's foreign function `verify_signature`, as pure functions; the
//! module `proxy` makes the call. Not part of the feature `proxy`, because the test-vector plugin
//! uses it too.
//!
//! Source: Envoy `source/extensions/common/wasm/foreign.cc`, message `VerifySignatureArguments`:
//! `1 hash_function`, `2 public_key` (DER SubjectPublicKeyInfo), `3 signature`, `4 text`; the result
//! is `1 result` (bool), `2 error` (string). The function has no parameter for the padding and always uses
//! PKCS #1 v1.5, so it does not support PS*; nor does it support EdDSA and HMAC.

use crate::token::{Algorithm, Family, PublicKey};

/// The function's name.
pub const FUNCTION: &str = "verify_signature";

/// The result for a valid signature: `result` true, no `error`. Any other result means that the signature
/// is not valid.
pub const GOOD: [u8; 2] = [0x08, 0x01];

/// The argument for one signature; `None` if the function does not support the algorithm. The function
/// does not check that the curve belongs to the hash, so this checks that `key` fits `algorithm`.
pub fn verify_signature_argument(
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Option<Vec<u8>> {
    if !key.fits(algorithm) || signature.len() != key.signature_len() {
        return None;
    }
    let hash = hash_function(algorithm)?;
    let der;
    let signature: &[u8] = if algorithm.family() == Family::Ecdsa {
        der = ecdsa_der(signature)?;
        &der
    } else {
        signature
    };
    let fields = [hash.as_bytes(), key.spki(), signature, message];
    // A tag and a length of at most five bytes each.
    let capacity = fields
        .iter()
        .fold(0_usize, |sum, field| sum.saturating_add(field.len()));
    let mut argument = Vec::with_capacity(capacity.saturating_add(24));
    for (number, field) in (1_u8..).zip(fields) {
        // Protocol Buffers, "Length-Delimited Records": wire type 2.
        argument.push((number << 3) | 2);
        push_varint(&mut argument, field.len());
        argument.extend_from_slice(field);
    }
    Some(argument)
}

/// The function's name for the algorithm's hash; `None` if it does not support the algorithm.
pub(crate) fn hash_function(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 => Some("sha256"),
        Algorithm::Es384 | Algorithm::Rs384 => Some("sha384"),
        Algorithm::Es512 | Algorithm::Rs512 => Some("sha512"),
        _ => None,
    }
}

/// A JWS signature r‖s (RFC 7518 §3.4) as the DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3); `None` unless
/// it is two equal halves of at most 66 bytes.
pub(crate) fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) || signature.len() > 132 {
        return None;
    }
    let (r, s) = signature.split_at_checked(signature.len().checked_div(2)?)?;
    let (r, s) = (Integer::new(r)?, Integer::new(s)?);
    let length = r.encoded_len()?.checked_add(s.encoded_len()?)?;
    let mut der = Vec::with_capacity(length.checked_add(3)?);
    der.push(0x30);
    push_der_length(&mut der, length)?;
    r.push(&mut der)?;
    s.push(&mut der)?;
    Some(der)
}

/// X.690 §8.3: the shortest two's complement of a number that is not negative.
struct Integer<'n> {
    /// Whether a zero byte comes first: zero needs a digit, and a leading 1 bit would mean a negative number.
    pad: bool,
    digits: &'n [u8],
}

impl<'n> Integer<'n> {
    fn new(number: &'n [u8]) -> Option<Self> {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..)?;
        let pad = digits.first().is_none_or(|first| first & 0x80 != 0);
        Some(Self { pad, digits })
    }

    fn len(&self) -> Option<usize> {
        self.digits.len().checked_add(usize::from(self.pad))
    }

    /// Includes the tag and one byte for the length, which is at most 67.
    fn encoded_len(&self) -> Option<usize> {
        self.len()?.checked_add(2)
    }

    fn push(&self, der: &mut Vec<u8>) -> Option<()> {
        der.push(0x02);
        push_der_length(der, self.len()?)?;
        if self.pad {
            der.push(0);
        }
        der.extend_from_slice(self.digits);
        Some(())
    }
}

/// X.690 §10.1, up to 255: the longest signature is two numbers of 67 bytes.
fn push_der_length(der: &mut Vec<u8>, length: usize) -> Option<()> {
    let length = u8::try_from(length).ok()?;
    if length >= 0x80 {
        der.push(0x81);
    }
    der.push(length);
    Some(())
}

/// Protocol Buffers, "Base 128 Varints".
fn push_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        #[allow(clippy::cast_possible_truncation)]
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation)]
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests;
