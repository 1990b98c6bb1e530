//! New keys. Randomness comes from the operating system.

use superboring::rsa::Rsa;

use super::json::{object, string};
use super::private::secret_jwk;
use super::public;
use crate::json::Json;
use crate::token::{Algorithm, Family, base64url};

/// A new key.
pub(in crate::cli) struct NewKey {
    /// Its private JWK.
    pub(in crate::cli) jwk: Json,
    /// Its `kid`.
    pub(in crate::cli) kid: String,
    /// The bare secret of HS*.
    pub(in crate::cli) secret: Option<String>,
}

/// Generates a key. `bits` is the size of an RSA modulus: 2048, 3072 or 4096. The default `kid` is the RFC 7638
/// thumbprint; for a secret it is random, because a thumbprint would be a hash of the secret (RFC 7638 §7).
/// `None` if the operating system has no randomness.
pub(in crate::cli) fn generate(
    algorithm: Algorithm,
    bits: u32,
    kid: Option<&str>,
) -> Option<NewKey> {
    let members = match algorithm.family() {
        Family::Hmac => return secret(algorithm, kid),
        Family::EdDsa => ed25519()?,
        Family::RsaPkcs1 | Family::RsaPss => rsa(bits)?,
        Family::Ecdsa => ecdsa(algorithm)?,
    };
    let (_, key) = public::part(object_of(&members).as_object()?).ok()?;
    let kid = kid.map_or_else(|| key.thumbprint().to_owned(), str::to_owned);
    let (kty, rest) = members.split_first()?;
    let mut all = vec![kty.clone()];
    all.extend([
        ("alg", string(algorithm.name())),
        ("use", string("sig")),
        ("kid", string(&kid)),
    ]);
    all.extend_from_slice(rest);
    Some(NewKey {
        jwk: object_of(&all),
        kid,
        secret: None,
    })
}

type Member = (&'static str, Json);

fn object_of(members: &[Member]) -> Json {
    object(members.iter().cloned())
}

fn encoded(bytes: &[u8]) -> Json {
    string(base64url::encode(bytes))
}

/// Random bytes of the operating system.
pub(in crate::cli) fn random<const LENGTH: usize>() -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// The filter takes secrets from environment variables, which cannot hold every byte: the secret is text in
/// base64url that encodes as many random bytes as the hash has.
fn secret(algorithm: Algorithm, kid: Option<&str>) -> Option<NewKey> {
    let bytes = random::<64>()?;
    let secret = base64url::encode(bytes.get(..algorithm.hash_len())?);
    let kid = match kid {
        Some(kid) => kid.to_owned(),
        None => base64url::encode(&random::<12>()?),
    };
    Some(NewKey {
        jwk: secret_jwk(secret.as_bytes(), algorithm, &kid),
        kid,
        secret: Some(secret),
    })
}

fn ed25519() -> Option<Vec<Member>> {
    let key = ed25519_dalek::SigningKey::from_bytes(&random()?);
    Some(vec![
        ("kty", string("OKP")),
        ("crv", string("Ed25519")),
        ("x", encoded(key.verifying_key().as_bytes())),
        ("d", encoded(key.as_bytes())),
    ])
}

fn ecdsa(algorithm: Algorithm) -> Option<Vec<Member>> {
    macro_rules! generate {
        ($curve:ident, $name:literal, $length:literal, $first:literal) => {{
            let key = loop {
                let mut bytes = random::<$length>()?;
                // The bits above the order of the curve are always zero.
                if let Some(first) = bytes.first_mut() {
                    *first &= $first;
                }
                // Zero, or not below the order: another number.
                if let Ok(key) = $curve::ecdsa::SigningKey::from_slice(&bytes) {
                    break key;
                }
            };
            let point = key.verifying_key().to_sec1_point(false);
            vec![
                ("kty", string("EC")),
                ("crv", string($name)),
                ("x", encoded(point.x()?)),
                ("y", encoded(point.y()?)),
                ("d", encoded(&key.to_bytes())),
            ]
        }};
    }
    Some(match algorithm {
        Algorithm::Es256 => generate!(p256, "P-256", 32, 0xff),
        Algorithm::Es384 => generate!(p384, "P-384", 48, 0xff),
        _ => generate!(p521, "P-521", 66, 0x01),
    })
}

fn rsa(bits: u32) -> Option<Vec<Member>> {
    let key = Rsa::generate(bits).ok()?;
    let member = |name, number: superboring::bn::BigNum| (name, encoded(&number.to_vec()));
    Some(vec![
        ("kty", string("RSA")),
        member("n", key.n()),
        member("e", key.e()),
        member("d", key.d()),
        member("p", key.p()),
        member("q", key.q()),
        member("dp", key.dmp1()?),
        member("dq", key.dmq1()?),
        member("qi", key.iqmp()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::private::PrivateKey;
    use super::*;
    use crate::json::Json;
    use crate::token::tests::support;
    use crate::token::{CacheLimits, Issuer, KeySet, LiveRequest, Portable, Secret, Verifier};

    /// The filter's verifier accepts what each new key signs, and refuses it under any other key.
    #[test]
    fn the_filter_accepts_what_a_new_key_signs() {
        for algorithm in Algorithm::ALL {
            let new = generate(algorithm, 2048, None).unwrap();
            let key = PrivateKey::from_jwk(new.jwk.as_object().unwrap()).unwrap();
            assert_eq!(key.kid(), Some(new.kid.as_str()));
            assert_eq!(key.algorithms(), [algorithm]);
            let issuer = issuer_of(algorithm, &key);
            let secret = new.secret.map(String::into_bytes);
            let mut verifier: Verifier<()> = Verifier::new(
                vec![issuer],
                CacheLimits {
                    entries: 0,
                    bytes: 0,
                },
                1,
                &|_| secret.clone(),
            );
            let header = format!(r#"{{"alg":"{algorithm}","kid":"{}"}}"#, new.kid);
            let input = format!(
                "{}.{}",
                support::encode(header),
                support::encode(support::CLAIMS)
            );
            let mut signature = key.sign(algorithm, input.as_bytes()).unwrap();
            let mut accepts = |signature: &[u8]| {
                let token = format!("{input}.{}", support::encode(signature));
                let live = LiveRequest {
                    method: b"GET",
                    path: b"/",
                    host: b"a",
                };
                verifier
                    .verify(token.as_bytes(), &live, support::NOW * 1_000, &Portable)
                    .is_ok()
            };
            assert!(accepts(&signature), "{algorithm}");
            signature[5] ^= 1;
            assert!(!accepts(&signature), "{algorithm}");
            let others = Algorithm::ALL
                .into_iter()
                .filter(|other| *other != algorithm);
            assert!(
                others
                    .into_iter()
                    .all(|other| key.sign(other, b"").is_none())
            );
        }
    }

    fn issuer_of(algorithm: Algorithm, key: &PrivateKey) -> Issuer {
        let mut issuer = support::issuer();
        issuer.algorithms = vec![algorithm];
        match key.public_jwk() {
            Some(jwk) => {
                let set = object([("keys", Json::Array(vec![jwk.clone()]))]);
                issuer.inline = KeySet::inline(&set).unwrap();
                let first = issuer.inline.iter().next().unwrap();
                assert_eq!(key.kid(), Some(first.thumbprint()));
            }
            None => {
                issuer.inline = KeySet::default();
                issuer.secrets = vec![Secret {
                    env: "SECRET".to_owned(),
                    kid: key.kid().map(str::to_owned),
                }];
            }
        }
        issuer
    }

    #[test]
    fn secrets_can_be_environment_variables_and_are_long_enough() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            let secret = generate(algorithm, 2048, None).unwrap().secret.unwrap();
            assert!(secret.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(
                base64url::decode(secret.as_bytes()).unwrap().len(),
                algorithm.hash_len()
            );
        }
    }

    #[test]
    fn rsa_keys_have_the_chosen_size() {
        let new = generate(Algorithm::Ps384, 3072, Some("mine")).unwrap();
        let n = new
            .jwk
            .as_object()
            .unwrap()
            .get("n")
            .unwrap()
            .as_str()
            .unwrap();
        assert_eq!(base64url::decode(n.as_bytes()).unwrap().len(), 384);
        assert_eq!(new.kid, "mine");
    }
}
