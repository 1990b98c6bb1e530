//! The argument of Envoy's foreign function `verify_signature`, as pure functions: the proxy room
//! makes the call.
//!
//! Source: Envoy `source/extensions/common/wasm/foreign.cc`, message `VerifySignatureArguments`:
//! `1 hash_function`, `2 public_key` (DER SubjectPublicKeyInfo), `3 signature`, `4 text`; the result
//! is `1 result` (bool), `2 error` (string).

use crate::token::jws::Jws;
use crate::token::{Algorithm, Family, PublicKey};

/// The function's name.
pub const FUNCTION: &str = "verify_signature";

/// The function's answer to a good signature: `result` true, no `error`. Anything else is none.
pub const GOOD: [u8; 2] = [0x08, 0x01];

/// The argument for one token, or `None` where the host has no such algorithm (PSS, EdDSA, HMAC). The
/// host ties neither curve nor padding to the hash; that `key` fits `algorithm` does.
pub fn verify_signature_argument(
    algorithm: Algorithm,
    key: &PublicKey,
    token: &Jws<'_>,
) -> Option<Vec<u8>> {
    if !key.fits(algorithm) || token.signature.len() != key.signature_len() {
        return None;
    }
    let hash = hash_function(algorithm)?;
    let der;
    let signature: &[u8] = if algorithm.family() == Family::Ecdsa {
        der = ecdsa_der(&token.signature)?;
        &der
    } else {
        &token.signature
    };
    let fields = [hash.as_bytes(), key.spki(), signature, token.signing_input];
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

/// The host's name of the algorithm's hash; `None` where the host has no such algorithm.
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
    /// Zero has no digits here and needs one; a leading 1 bit would read as a sign.
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

    /// With its tag, and a length of one byte: it has at most 67 bytes.
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
