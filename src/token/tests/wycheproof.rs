//! Project Wycheproof's vectors on the primitives that tokens are verified with.
//!
//! Their messages are not tokens, so they go to [`Portable::check`], with keys made by the code that
//! reads key sets.

use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::envoy_verify_signature::ecdsa_der;
use crate::token::key::RSA_EXPONENT;
use crate::token::secret::SecretKey;
use crate::token::{Algorithm, Portable, PublicKey};

/// Whether a signature is valid. Its length is checked as the verifier does.
fn raw(algorithm: Algorithm, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    key.fits(algorithm)
        && signature.len() == key.signature_len()
        && Portable.check(algorithm, key, message, signature)
}

/// How many vectors had which outcome; a wrong one panics.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    accepted: usize,
    rejected: usize,
}

impl Tally {
    fn add(&mut self, right: bool, expected: TestResult, what: &dyn std::fmt::Debug) {
        match expected {
            TestResult::Valid => assert!(right, "refused: {what:?}"),
            TestResult::Invalid => assert!(!right, "accepted: {what:?}"),
            TestResult::Acceptable => {}
        }
        if right {
            self.accepted += 1;
        } else {
            self.rejected += 1;
        }
    }
}

#[test]
fn ecdsa_with_fixed_length_signatures() {
    for (name, algorithm) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, Algorithm::Es256),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, Algorithm::Es384),
        (ecdsa::TestName::EcdsaSecp521r1Sha512P1363, Algorithm::Es512),
    ] {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key;
            let (x, y) = point[1..].split_at((point.len() - 1) / 2);
            let key = match algorithm {
                Algorithm::Es256 => PublicKey::p256(None, x, y),
                Algorithm::Es384 => PublicKey::p384(None, x, y),
                _ => PublicKey::p521(None, x, y),
            };
            let key = key.unwrap();
            assert_eq!(key.spki(), group.der.as_slice());
            for test in group.tests {
                let right = raw(algorithm, &key, &test.msg, &test.sig);
                tally.add(right, test.result, &test);
                if test.sig.len() == key.signature_len() {
                    // What the host gets says the same as what it was made of.
                    let der = ecdsa_der(&test.sig).unwrap();
                    if let (Algorithm::Es256, Ok(signature)) =
                        (algorithm, p256::ecdsa::Signature::from_der(&der))
                    {
                        assert_eq!(signature.to_bytes().as_slice(), test.sig.as_slice());
                    }
                }
            }
        }
        assert!(
            tally.accepted > 100 && tally.rejected > 50,
            "{algorithm}: {tally:?}"
        );
    }
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let key = PublicKey::ed25519(None, &group.key.pk).unwrap();
        assert_eq!(key.spki(), group.der.as_slice());
        for test in group.tests {
            let right = raw(Algorithm::EdDsa, &key, &test.msg, &test.sig);
            tally.add(right, test.result, &test);
        }
    }
    assert!(tally.accepted > 50 && tally.rejected > 30, "{tally:?}");
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName;
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::Rs256),
        (TestName::Rsa2048Sha384, Algorithm::Rs384),
        (TestName::Rsa2048Sha512, Algorithm::Rs512),
        (TestName::Rsa3072Sha256, Algorithm::Rs256),
        (TestName::Rsa3072Sha384, Algorithm::Rs384),
        (TestName::Rsa3072Sha512, Algorithm::Rs512),
        (TestName::Rsa4096Sha256, Algorithm::Rs256),
        (TestName::Rsa4096Sha384, Algorithm::Rs384),
        (TestName::Rsa4096Sha512, Algorithm::Rs512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let Ok(key) = PublicKey::rsa(None, &group.key.n, &group.key.e) else {
                assert_ne!(without_zeros(&group.key.e), RSA_EXPONENT);
                continue;
            };
            assert_eq!(key.spki(), group.der.as_slice());
            for test in group.tests {
                let right = raw(algorithm, &key, &test.msg, &test.sig);
                tally.add(right, test.result, &test);
                if test.result == TestResult::Acceptable {
                    assert!(!right, "lenient padding accepted: {test:?}");
                }
            }
        }
        assert!(
            tally.accepted > 5 && tally.rejected > 200,
            "{name:?}: {tally:?}"
        );
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName;
    for (name, algorithm) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            assert_eq!(group.salt_size, algorithm.hash_len());
            let Ok(key) = PublicKey::rsa(None, &group.key.n, &group.key.e) else {
                assert_ne!(without_zeros(&group.key.e), RSA_EXPONENT);
                continue;
            };
            for test in group.tests {
                tally.add(
                    raw(algorithm, &key, &test.msg, &test.sig),
                    test.result,
                    &test,
                );
            }
        }
        assert!(
            tally.accepted > 5 && tally.rejected > 20,
            "{name:?}: {tally:?}"
        );
    }
}

/// RFC 7518 §3.5: the salt is as long as the hash, so valid signatures with another salt are rejected.
#[test]
fn rsa_pss_with_another_salt_is_rejected() {
    use rsa_pss_verify::TestName;
    let mut refused = 0;
    for (name, algorithm) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, Algorithm::Ps256),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, Algorithm::Ps512),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::rsa(None, &group.key.n, &group.key.e).unwrap();
            for test in group
                .tests
                .iter()
                .filter(|test| test.result == TestResult::Valid)
            {
                assert!(!raw(algorithm, &key, &test.msg, &test.sig), "{test:?}");
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

/// Secrets shorter than the hash and truncated tags are not accepted.
#[test]
fn hmac() {
    for (name, algorithm) in [
        (mac::TestName::HmacSha256, Algorithm::Hs256),
        (mac::TestName::HmacSha384, Algorithm::Hs384),
        (mac::TestName::HmacSha512, Algorithm::Hs512),
    ] {
        let mut tally = Tally::default();
        for group in mac::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let right = SecretKey::new(&test.key).verify(algorithm, &test.msg, &test.tag);
                let whole = test.key.len() >= algorithm.hash_len()
                    && test.tag.len() == algorithm.hash_len();
                let expected = if whole {
                    test.result
                } else {
                    TestResult::Invalid
                };
                tally.add(right, expected, &test);
            }
        }
        assert!(
            tally.accepted > 10 && tally.rejected > 50,
            "{algorithm}: {tally:?}"
        );
    }
}
