//! The argument of the host's `verify_signature`.

use proptest::prelude::*;

use super::{ecdsa_der, hash_function, verify_signature_argument};
use crate::token::tests::support::{inline, kid, token};
use crate::token::{Algorithm, Jws, PublicKey};

#[test]
fn der_integers_are_minimal_and_not_negative() {
    let der = |r: &[u8], s: &[u8]| ecdsa_der(&[r, s].concat()).unwrap();
    assert_eq!(der(&[1, 2], &[3, 4]), [0x30, 8, 2, 2, 1, 2, 2, 2, 3, 4]);
    assert_eq!(
        der(&[0, 2], &[0x80, 4]),
        [0x30, 8, 2, 1, 2, 2, 3, 0, 0x80, 4]
    );
    assert_eq!(der(&[0, 0], &[0, 0x80]), [0x30, 7, 2, 1, 0, 2, 2, 0, 0x80]);
    assert_eq!(der(&[0, 0x7f], &[0, 0]), [0x30, 6, 2, 1, 0x7f, 2, 1, 0]);
    // ES512's content is longer than 127 bytes, so its length takes two.
    let long = der(&[0xff; 66], &[0xff; 66]);
    assert_eq!(long[..6], [0x30, 0x81, 138, 2, 67, 0]);
    assert_eq!(long.len(), 141);
    for bad in [&[][..], &[1], &[1; 3], &[1; 134]] {
        assert_eq!(ecdsa_der(bad), None);
    }
}

proptest! {
    #[test]
    fn der_is_what_the_ecdsa_crate_writes(r in 1_u128.., s in 1_u128.., half in any::<bool>()) {
        let wide = |number: u128| {
            let mut bytes = [0; 32];
            let start = if half { 16 } else { 3 };
            bytes[start..start + 16].copy_from_slice(&number.to_be_bytes());
            bytes
        };
        let raw = [wide(r), wide(s)].concat();
        let expected = p256::ecdsa::Signature::from_slice(&raw).unwrap().to_der();
        prop_assert_eq!(ecdsa_der(&raw).unwrap(), expected.as_bytes());
    }
}

/// Decodes the four Protocol Buffers fields.
fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields = vec![];
    while let [tag, rest @ ..] = bytes {
        assert_eq!(tag & 7, 2);
        let mut length = 0;
        let mut shift = 0;
        let mut rest = rest;
        while let [byte, after @ ..] = rest {
            rest = after;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        fields.push((tag >> 3, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    fields
}

#[test]
fn the_argument_has_its_four_fields() {
    let keys = inline(&["rsa", "p256", "p384", "p521", "ed25519"]);
    let key = |algorithm: Algorithm| {
        keys.iter()
            .find(|key| key.kid() == Some(kid(algorithm)))
            .unwrap()
    };
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !one.is_symmetric()) {
        let text = token(algorithm);
        let jws = Jws::parse(text.as_bytes()).unwrap();
        let argument =
            verify_signature_argument(algorithm, key(algorithm), jws.signing_input, &jws.signature);
        let Some(hash) = hash_function(algorithm) else {
            assert_eq!(argument, None, "{algorithm}");
            continue;
        };
        let signature = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
                ecdsa_der(&jws.signature).unwrap()
            }
            _ => jws.signature.clone(),
        };
        assert_eq!(
            fields(&argument.unwrap()),
            [
                (1, hash.as_bytes().to_vec()),
                (2, key(algorithm).spki().to_vec()),
                (3, signature),
                (4, text.rsplit_once('.').unwrap().0.as_bytes().to_vec()),
            ]
        );
    }
    assert_eq!(hash_function(Algorithm::Es384), Some("sha384"));
    assert_eq!(hash_function(Algorithm::Rs512), Some("sha512"));
}

#[test]
fn a_key_that_does_not_fit_gets_no_argument() {
    let text = token(Algorithm::Es256);
    let jws = Jws::parse(text.as_bytes()).unwrap();
    let argument = |algorithm, key: &PublicKey, signature: &[u8]| {
        verify_signature_argument(algorithm, key, jws.signing_input, signature)
    };
    for key in inline(&["rsa", "p384", "p521", "ed25519"]).iter() {
        assert_eq!(argument(Algorithm::Es256, key, &jws.signature), None);
    }
    let set = inline(&["p256"]);
    let key = set.iter().next().unwrap();
    assert_eq!(argument(Algorithm::Es384, key, &jws.signature), None);
    let longer = [&jws.signature[..], &[0, 0]].concat();
    assert_eq!(argument(Algorithm::Es256, key, &longer), None);
}
